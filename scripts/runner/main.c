// SPDX-License-Identifier: GPL-2.0
/* Run in-guest tests in a UML kernel and say how they ended: options, and the order of things. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "runner.h"

static const char usage[] =
"usage: mmuml-run --kernel VMLINUX --guest DIR [--tests GLOBS] [options]\n"
"  --kernel FILE     the UML kernel to start\n"
"  --guest DIR       base.cpio, cpio/, swap.img, ext4.img and tests.list of the guest build\n"
"  --tests GLOBS     tests to run, for example 'mremap.*,rmap.unmap.shared' (default: all)\n"
"  --counters        count vmstat, slab objects, faults and locks over each test\n"
"  --isolate         one kernel per test\n"
"  --repeat N        run the selection N times\n"
"  --scale X         multiply all time limits (default 1)\n"
"  --limit S         seconds for one test (default 25)\n"
"  --boot-limit S    seconds from start to the first test (default 20)\n"
"  --run-limit S     seconds for the whole run (default 900 for each repetition; 0: none)\n"
"  --mem MB          memory of the guest (default 512)\n"
"  --cpus N          CPUs of the guest (default 1: the correctness tests hold with one only)\n"
"  --jobs N          kernels at a time for long lists (default: two per CPU)\n"
"  --seed N          seed of the random tests (default 1)\n"
"  --append WORDS    further words of the kernel command line\n"
"  --gdb             start the guest under gdb (scripts/gdb/), without time limits; breakpoints: environment B,\n"
"                    commands instead of a terminal: CMDS, one a line\n"
"  --on-fail         with --gdb: stop at the first test that fails\n"
"  --attach          gdb on the newest guest that is running\n"
"  --valgrind TOOL   the guest under valgrind's memcheck or cachegrind; the program: environment VALGRIND\n"
"  --shell           an interactive shell in the guest; --hostfs DIR shows DIR at /host\n"
"  --list            print the tests and their purposes\n"
"  --doctor          check what this host must allow\n"
"  --what NAME       part of the run directory's name; --profile, --tree, --series, --linux: for the manifest\n"
"  --note FILE       write the run directory's name to FILE\n"
"  --given WORDS     further variables of the make line, for the one that is offered after a failure\n"
"  --coverage        keep the counters of each test in coverage/ of the run directory\n"
"  --probe CODE      note in RUNDIR/ran which of these lines the kernel reached (scripts/probe/)\n"
"  --verbose         all output of all tests\n"
"exit status: 0 pass  1 a test failed  2 usage  3 host not ready  4 only skips  8 panic, oops, WARN,\n"
"  sanitizer or lockdep report  124 timeout  130 interrupted\n";

enum {
	OPT_KERNEL = 256, OPT_GUEST, OPT_TESTS, OPT_ISOLATE, OPT_REPEAT, OPT_SCALE, OPT_LIMIT, OPT_BOOT_LIMIT,
	OPT_RUN_LIMIT, OPT_MEM, OPT_CPUS, OPT_SEED, OPT_APPEND, OPT_SHELL, OPT_HOSTFS, OPT_LIST, OPT_DOCTOR, OPT_WHAT,
	OPT_PROFILE, OPT_TREE, OPT_SERIES, OPT_GIVEN, OPT_LINUX, OPT_STARTED, OPT_JOBS, OPT_VERBOSE, OPT_COVERAGE, OPT_COUNTERS,
	OPT_VALGRIND, OPT_GDB, OPT_ON_FAIL, OPT_ATTACH, OPT_PROBE, OPT_NOTE, OPT_HELP,
};

static const struct option longopts[] = {
	{ "kernel", 1, NULL, OPT_KERNEL }, { "guest", 1, NULL, OPT_GUEST }, { "tests", 1, NULL, OPT_TESTS },
	{ "isolate", 0, NULL, OPT_ISOLATE }, { "repeat", 1, NULL, OPT_REPEAT }, { "scale", 1, NULL, OPT_SCALE },
	{ "limit", 1, NULL, OPT_LIMIT }, { "boot-limit", 1, NULL, OPT_BOOT_LIMIT },
	{ "run-limit", 1, NULL, OPT_RUN_LIMIT }, { "mem", 1, NULL, OPT_MEM }, { "cpus", 1, NULL, OPT_CPUS },
	{ "seed", 1, NULL, OPT_SEED }, { "append", 1, NULL, OPT_APPEND }, { "shell", 0, NULL, OPT_SHELL },
	{ "hostfs", 1, NULL, OPT_HOSTFS }, { "list", 0, NULL, OPT_LIST }, { "doctor", 0, NULL, OPT_DOCTOR },
	{ "what", 1, NULL, OPT_WHAT }, { "profile", 1, NULL, OPT_PROFILE }, { "tree", 1, NULL, OPT_TREE },
	{ "series", 1, NULL, OPT_SERIES }, { "given", 1, NULL, OPT_GIVEN },
	{ "linux", 1, NULL, OPT_LINUX }, { "started", 1, NULL, OPT_STARTED },
	{ "jobs", 1, NULL, OPT_JOBS }, { "verbose", 0, NULL, OPT_VERBOSE }, { "coverage", 0, NULL, OPT_COVERAGE },
	{ "counters", 0, NULL, OPT_COUNTERS }, { "gdb", 0, NULL, OPT_GDB }, { "on-fail", 0, NULL, OPT_ON_FAIL },
	{ "attach", 0, NULL, OPT_ATTACH }, { "probe", 1, NULL, OPT_PROBE }, { "note", 1, NULL, OPT_NOTE },
	{ "valgrind", 1, NULL, OPT_VALGRIND },
	{ "help", 0, NULL, OPT_HELP }, { 0 },
};

/* A number of at least @min, or a usage error. */
static double number(const char *option, const char *s, double min)
{
	char *end;
	double v = strtod(s, &end);

	if (end == s || *end || v < min || v > 1e6)
		die(EX_USAGE, "mmuml-run --help", NULL, "--%s '%s' is not a number from %g on", option, s, min);
	return v;
}

static bool doctor;

static const char *non_empty(const char *s)
{
	return s && *s ? s : NULL;
}

static void set(struct options *o, int opt, const char *arg)
{
	switch (opt) {
	case OPT_KERNEL: o->kernel = arg; break;
	case OPT_GUEST: o->guest = arg; break;
	case OPT_TESTS: o->tests = non_empty(arg); break;
	case OPT_ISOLATE: o->isolate = true; break;
	case OPT_REPEAT: o->repeat = number("repeat", arg, 1); break;
	case OPT_SCALE: o->scale = number("scale", arg, 0.01); break;
	case OPT_LIMIT: o->test_limit = number("limit", arg, 1); break;
	case OPT_BOOT_LIMIT: o->boot_limit = number("boot-limit", arg, 0.1); break;
	case OPT_RUN_LIMIT: o->run_limit = number("run-limit", arg, 0); break;
	case OPT_MEM: o->mem_mb = number("mem", arg, 64); break;
	case OPT_CPUS: o->cpus = number("cpus", arg, 1); break;
	case OPT_SEED: o->seed = arg; break;
	case OPT_APPEND: o->append = non_empty(arg); break;
	case OPT_SHELL: o->shell = true; break;
	case OPT_HOSTFS: o->hostfs = non_empty(arg); break;
	case OPT_LIST: o->list = true; break;
	case OPT_DOCTOR: doctor = true; break;
	case OPT_WHAT: o->what = arg; break;
	case OPT_PROFILE: o->profile = non_empty(arg); break;
	case OPT_TREE: o->tree = non_empty(arg); break;
	case OPT_GIVEN: o->given = non_empty(arg); break;
	case OPT_SERIES: o->series = non_empty(arg); break;
	case OPT_LINUX: o->linux_path = non_empty(arg); break;
	case OPT_STARTED: o->started = strtod(arg, NULL); break;
	case OPT_JOBS: o->jobs = number("jobs", arg, 1); break;
	case OPT_COVERAGE: o->coverage = true; break;
	case OPT_COUNTERS: o->counters = true; break;
	case OPT_VERBOSE: o->verbose = true; break;
	case OPT_GDB: o->gdb = true; break;
	case OPT_ON_FAIL: o->gdb = o->on_fail = true; break;
	case OPT_VALGRIND: o->valgrind = non_empty(arg); break;
	case OPT_ATTACH: o->attach = true; break;
	case OPT_PROBE: o->probe = non_empty(arg); break;
	case OPT_NOTE: o->note = arg; break;
	case OPT_HELP:
		fputs(usage, stdout);
		exit(EX_PASS);
	default:
		fputs(usage, stderr);
		exit(EX_USAGE);
	}
}

static void on_signal(int sig)
{
	interrupted = sig;
}

/* Whatever ends us, the kernel and its stubs go too: we are their reaper, and they die with us. */
static void take_charge(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void list(const struct plan *all)
{
	for (int i = 0; i < all->n; i++)
		if (strncmp(all->tests[i].name, "kit.", 4))
			printf("%-44s %s\n", all->tests[i].name, all->tests[i].purpose);
}

static int shell(const struct options *o)
{
	char *dir = report_dir("shell", NULL), *work = xasprintf("%s/boot1", dir);
	int code;

	signal(SIGINT, SIG_IGN);
	code = guest_shell(o, work);
	remove_tree(dir);
	free(work);
	free(dir);
	return code;
}

int main(int argc, char **argv)
{
	struct options o = { .what = "run", .seed = "1", .mem_mb = 512, .cpus = 1, .scale = 1, .boot_limit = 20,
			     .test_limit = 25, .run_limit = -1, .repeat = 1,
			     /* Half of a test is waiting for RCU and the 10 ms tick. */
			     .jobs = 2 * sysconf(_SC_NPROCESSORS_ONLN) };
	struct run r = { .opt = &o };
	struct plan all;
	char *path;
	int opt, code;

	while ((opt = getopt_long(argc, argv, "h", longopts, NULL)) != -1)
		set(&o, opt == 'h' ? OPT_HELP : opt, optarg);
	if (optind < argc)
		die(EX_USAGE, "mmuml-run --help", NULL, "unexpected argument '%s'", argv[optind]);
	if (o.run_limit < 0)
		o.run_limit = 900.0 * o.repeat;
	if (doctor)
		return host_report(o.mem_mb) ? EX_HOST : EX_PASS;
	if (o.attach) {
		take_charge();
		return guest_attach();
	}
	if (!o.guest || (!o.kernel && !o.list))
		die(EX_USAGE, "mmuml-run --help", NULL, "--kernel and --guest are needed");
	path = xasprintf("%s/tests.list", o.guest);
	plan_read(&all, path);
	free(path);
	if (o.list) {
		list(&all);
		return EX_PASS;
	}
	if (access(o.kernel, X_OK))
		die(EX_USAGE, "make build", strerror(errno), "no kernel at %s", o.kernel);
	take_charge();
	if (o.shell) {
		host_check(o.mem_mb);
		return shell(&o);
	}
	plan_select(&r.plan, &all, o.tests);
	if (o.gdb) {
		o.jobs = 1;
		o.run_limit = 0;
	}
	if (o.valgrind)
		valgrind_check(&o);
	host_check(o.mem_mb);
	if (o.probe && o.valgrind)
		die(EX_USAGE, "mmuml-run --help", "valgrind runs a translation, where no breakpoint is met",
		    "--probe and --valgrind do not go together");
	decode_init(o.kernel);
	r.dir = report_dir(o.what, o.note);
	report_latest(r.dir);
	run_all(&r);
	if (o.valgrind && r.fatal)
		valgrind_refused(r.dir);
	if (o.valgrind && !strcmp(o.valgrind, "cachegrind"))
		ir_plots(&r.plan, r.dir);
	if (o.gdb && (!o.on_fail || r.gdb_status)) {
		if (o.on_fail)
			report_all(&r, argc, argv);
		else
			printf("mmuml: GDB status %d -> %s\n", r.gdb_status, r.dir);
		return r.gdb_status;
	}
	code = report_all(&r, argc, argv);
	decode_end();
	return code;
}
