// SPDX-License-Identifier: GPL-2.0
/* The runner's command line: a table of the options, from which the help is made. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "tool.h"

enum kind { FLAG, TEXT, REAL, INT, LONG, ACTION };

struct option_row {
	const char *name, *arg, *help;
	enum kind kind;
	size_t at;		/* in struct options, of a field of that kind */
	double min;		/* of a number */
};

#define AT(field)	offsetof(struct options, field)

static const struct option_row rows[] = {
	{ "kernel", "FILE", "the UML kernel to start", TEXT, AT(kernel), 0 },
	{ "guest", "DIR", "base.cpio, cpio/, swap.img, ext4.img and tests.list of the guest build", TEXT, AT(guest), 0 },
	{ "tests", "GLOBS", "tests to run, for example 'mremap.*,rmap.unmap.shared' (default: all)", TEXT, AT(tests), 0 },
	{ "first", "FILE", "of these, those named in FILE come first, in its order", TEXT, AT(first), 0 },
	{ "tool", "NAME", "under which the kernel runs: none, gdb (breakpoints: environment B, commands: CMDS), memcheck,\n"
	  "cachegrind (the program: environment VALGRIND), probe", ACTION, 0, 0 },
	{ "counters", NULL, "count vmstat, slab objects, faults and locks over each test", FLAG, AT(counters), 0 },
	{ "isolate", NULL, "one kernel per test", FLAG, AT(isolate), 0 },
	{ "repeat", "N", "run the selection N times; the worst counts", INT, AT(repeat), 1 },
	{ "keep-going", NULL, "do not give up when everything fails", FLAG, AT(keep_going), 0 },
	{ "scale", "X", "multiply all time limits (default 1)", REAL, AT(scale), 0.01 },
	{ "limit", "S", "seconds for one test (default 20); less for one that was quick in earlier runs, which is run again\n"
	  "with all of it before it counts as hung", REAL, AT(test_limit), 0.01 },
	{ "boot-limit", "S", "seconds from start to the first test (default 20)", REAL, AT(boot_limit), 0.1 },
	{ "run-limit", "S", "seconds for the whole run (default 900 for each repetition; 0: none)", REAL, AT(run_limit), 0 },
	{ "mem", "MB", "memory of the guest (default 512)", LONG, AT(mem_mb), 64 },
	{ "cpus", "N", "CPUs of the guest (default 1: the correctness tests hold with one only)", LONG, AT(cpus), 1 },
	{ "jobs", "N", "kernels at a time for long lists (default: two per CPU)", INT, AT(jobs), 1 },
	{ "seed", "N", "seed of the random tests (default 1)", TEXT, AT(seed), 0 },
	{ "append", "WORDS", "further words of the kernel command line", TEXT, AT(append), 0 },
	{ "on-fail", NULL, "with --tool gdb: stop at the first test that fails", FLAG, AT(on_fail), 0 },
	{ "coverage", NULL, "keep the counters of each test in coverage/ of the run directory", FLAG, AT(coverage), 0 },
	{ "probe", "CODE", "note in RUNDIR/ran which of these lines the kernel reached (scripts/probe/)", TEXT, AT(probe), 0 },
	{ "hostfs", "DIR", "with --shell: show DIR at /host", TEXT, AT(hostfs), 0 },
	{ "what", "NAME", "part of the run directory's name", TEXT, AT(what), 0 },
	{ "note", "FILE", "write the run directory's name to FILE", TEXT, AT(note), 0 },
	{ "profile", "NAME", "for the manifest, as --tree DIR, --series STACK, --linux DIR", TEXT, AT(profile), 0 },
	{ "tree", "DIR", NULL, TEXT, AT(tree), 0 },
	{ "series", "STACK", NULL, TEXT, AT(series), 0 },
	{ "linux", "DIR", NULL, TEXT, AT(linux_path), 0 },
	{ "given", "WORDS", "further variables of the make line, for the one that is offered after a failure", TEXT, AT(given), 0 },
	{ "started", "SECONDS", "when the user's command began (date +%s.%N)", REAL, AT(started), 0 },
	{ "verbose", NULL, "all output of all tests", FLAG, AT(verbose), 0 },
	{ "shell", NULL, "instead of a run: an interactive shell in the guest", ACTION, 0, 0 },
	{ "attach", NULL, "gdb on the newest guest that is running", ACTION, 0, 0 },
	{ "list", NULL, "the tests and their purposes", ACTION, 0, 0 },
	{ "doctor", NULL, "what this host must allow", ACTION, 0, 0 },
	{ "detectors", NULL, "what is recognised in the kernel's log", ACTION, 0, 0 },
	{ "replay", "DIR", "make the results of a run again from its record, in place, or in --into DIR", ACTION, 0, 0 },
	{ "into", "DIR", NULL, ACTION, 0, 0 },
	{ "result", "DIR", "print what the results of a run say under --key KEY: verdict, exit, summary.pass, ...", ACTION, 0, 0 },
	{ "key", "KEY", NULL, ACTION, 0, 0 },
	{ "amend", "DIR", "let a later stage's finding into the verdict of a run: --status FAIL|PASS --why TEXT --add TEXT", ACTION, 0, 0 },
	{ "status", "WORD", NULL, ACTION, 0, 0 },
	{ "why", "TEXT", NULL, ACTION, 0, 0 },
	{ "add", "TEXT", NULL, ACTION, 0, 0 },
	{ "help", NULL, "this", ACTION, 0, 0 },
};

#define N_ROWS	(sizeof(rows) / sizeof(rows[0]))

static void help(FILE *f)
{
	fprintf(f, "usage: mmuml-run --kernel VMLINUX --guest DIR [--tests GLOBS] [options]\n");
	for (size_t i = 0; i < N_ROWS; i++) {
		const char *rest = rows[i].help, *line;
		char name[64];
		size_t len;

		snprintf(name, sizeof(name), "--%s%s%s", rows[i].name, rows[i].arg ? " " : "", rows[i].arg ? rows[i].arg : "");
		for (int n = 0; text_line(&rest, &line, &len); n++)
			fprintf(f, "  %-18s%s%.*s\n", n ? "" : name, strlen(name) > 17 && !n ? " " : "", (int)len, line);
	}
	fprintf(f, "exit status: %d pass  %d a test failed  %d usage  %d host not ready  %d only skips  %d panic, oops, WARN,\n"
		"  sanitizer or lockdep report  %d timeout  %d interrupted\n", EX_PASS, EX_FAIL, EX_USAGE, EX_HOST, EX_SKIP,
		EX_REPORT, EX_TIMEOUT, EX_INTERRUPTED);
}

/* A number of at least @min, or a usage error. */
static double number(const struct option_row *row, const char *s)
{
	char *end;
	double v = strtod(s, &end);

	if (end == s || *end || !(v >= row->min) || v > 1e10 || (row->kind != REAL && v != (long)v))
		die(EX_USAGE, "mmuml-run --help", NULL, "--%s '%s' is not a number from %g on", row->name, s, row->min);
	return v;
}

static void act(struct options *o, struct request *q, const char *name, const char *arg)
{
	static const struct { const char *name; enum action action; } actions[] = {
		{ "shell", DO_SHELL }, { "attach", DO_ATTACH }, { "list", DO_LIST }, { "doctor", DO_DOCTOR },
		{ "detectors", DO_DETECTORS }, { "replay", DO_REPLAY }, { "result", DO_RESULT }, { "amend", DO_AMEND },
	};

	if (!strcmp(name, "help")) {
		help(stdout);
		exit(EX_PASS);
	}
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (!strcmp(actions[i].name, name)) {
			q->action = actions[i].action;
			q->dir = arg;
			return;
		}
	if (!strcmp(name, "tool"))
		o->tool = tool_find(arg);
	else if (!strcmp(name, "into"))
		q->into = arg;
	else if (!strcmp(name, "key"))
		q->key = arg;
	else if (!strcmp(name, "status"))
		q->status = arg;
	else if (!strcmp(name, "why"))
		q->why = arg;
	else
		q->add = arg;
}

static void set(struct options *o, struct request *q, const struct option_row *row, const char *arg)
{
	char *at = (char *)o + row->at;

	switch (row->kind) {
	case FLAG:
		*(bool *)at = true;
		break;
	case TEXT:
		/* An empty word of a make line is none. */
		*(const char **)at = *arg ? arg : NULL;
		break;
	case REAL:
		*(double *)at = number(row, arg);
		break;
	case INT:
		*(int *)at = number(row, arg);
		break;
	case LONG:
		*(long *)at = number(row, arg);
		break;
	case ACTION:
		act(o, q, row->name, arg);
		break;
	}
}

void options_read(struct options *o, struct request *q, int argc, char **argv)
{
	struct option longopts[N_ROWS + 1] = { 0 };
	int opt, at;

	*o = (struct options){ .what = "run", .seed = "1", .mem_mb = 512, .cpus = 1, .scale = 1, .boot_limit = 20, .test_limit = 20,
			       .run_limit = -1, .repeat = 1, .tool = &tool_plain, .argc = argc, .argv = argv };
	*q = (struct request){ .action = DO_RUN };
	for (size_t i = 0; i < N_ROWS; i++)
		longopts[i] = (struct option){ rows[i].name, rows[i].arg ? required_argument : no_argument, NULL, 0 };
	while ((opt = getopt_long(argc, argv, "h", longopts, &at)) != -1) {
		if (opt == 'h') {
			help(stdout);
			exit(EX_PASS);
		}
		if (opt) {
			help(stderr);
			exit(EX_USAGE);
		}
		set(o, q, &rows[at], optarg);
	}
	if (optind < argc)
		die(EX_USAGE, "mmuml-run --help", NULL, "unexpected argument '%s'", argv[optind]);
	if (!o->seed)
		o->seed = "1";
	if (!o->what)
		o->what = "run";
	if (o->run_limit < 0)
		o->run_limit = 900.0 * o->repeat;
	if (o->on_fail)
		o->tool = &tool_gdb;
	/* Breakpoints of another process's making are for a kernel that no other tool holds, and one CPU. */
	if (o->probe && o->tool == &tool_plain && o->cpus == 1)
		o->tool = &tool_probe;
	else if (o->probe && o->tool != &tool_probe)
		die(EX_USAGE, "mmuml-run --help", o->cpus != 1 ? "a breakpoint that is taken out for one CPU is passed by the other" :
		    "under another tool no breakpoint of --probe is met", "--probe and --%s do not go together",
		    o->cpus != 1 ? "cpus" : o->tool->name);
	if (o->tool->debugger) {
		o->jobs = 1;
		o->run_limit = 0;
	}
}
