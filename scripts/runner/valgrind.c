// SPDX-License-Identifier: GPL-2.0
/* Valgrind around a kernel: memcheck, cachegrind, and kcalls, which stands beside cachegrind. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

#define OLDEST		319	/* 3.19: what Debian 12 has, and what this was made with */
#define PIECE_MIN	100	/* a boot takes some 2 s of a CPU, a test 0.2 s */
#define EPOCH		"1800000000000000000"	/* ns: what the clock starts from where two runs shall be the same */

static const char *tool_path(void)
{
	const char *name = getenv("VALGRIND");

	return name && *name ? name : "valgrind";
}

/* 319 for 3.19; 0 without a valgrind. */
static int version(void)
{
	char *cmd = xasprintf("'%s' --version 2>/dev/null", tool_path());
	FILE *p = popen(cmd, "r");
	int major = 0, minor = 0;

	if (p && fscanf(p, "valgrind-%d.%d", &major, &minor) != 2)
		major = minor = 0;
	if (p)
		pclose(p);
	free(cmd);
	return major * 100 + minor;
}

/* Where kcalls lies, beside the runner: valgrind takes its tools from one directory. */
#define KCALLS_DIR	"valgrind"

static void check(const struct options *o)
{
	char *config = kconfig_read(o, NULL), *path;
	int v = version();

	if (!v)
		die(EX_HOST, "make deps  (package valgrind)", NULL, "no valgrind: '%s --version' says nothing", tool_path());
	if (v < OLDEST)
		die(EX_HOST, "a valgrind from 3.19 on in PATH, or VALGRIND=/path/to/valgrind", NULL,
		    "valgrind %d.%d is too old", v / 100, v % 100);
	if (!kconfig_has(config, "UML_VALGRIND"))
		die(EX_HOST, "make memcheck, or make run PROFILE=valgrind", xasprintf("%s has no CONFIG_UML_VALGRIND=y", kconfig_path(o)),
		    "the kernel %s cannot run under valgrind", o->kernel);
	if (o->append && strstr(o->append, "slab_debug"))
		die(EX_USAGE, "leave slab_debug out of APPEND=", "SLUB's own checks read what memcheck guards: each is a report",
		    "slab_debug and valgrind do not go together");
	free(config);
	if (o->tool == &tool_memcheck)
		return;
	path = beside_self(KCALLS_DIR "/kcalls-amd64-linux");
	if (access(path, X_OK))
		die(EX_HOST, "make deps  (package valgrind), then make host", "it is built where valgrind's libcoregrind is",
		    "no %s", path);
	free(path);
}

static bool is_dry(const struct start *s)
{
	return s->job == JOB_DRY || s->job == JOB_ORIGINS_BOOT;
}

static int common_words(char **argv, const struct start *s)
{
	int n = 0;

	argv[n++] = xasprintf("%s", tool_path());
	argv[n++] = xasprintf("--tool=%s", s->tool->name);
	/* Not what the user's .valgrindrc and VALGRIND_OPTS say. */
	argv[n++] = xasprintf("--command-line-only=yes");
	argv[n++] = xasprintf("--log-file=../valgrind.%d.log", s->nr);
	/* The processes of the guest are processes of the host that valgrind has no part in. */
	argv[n++] = xasprintf("--child-silent-after-fork=yes");
	argv[n++] = xasprintf("--trace-children=no");
	argv[n++] = xasprintf("--vgdb=no");
	/* Much of a kernel runs once: code translated anew for each way that leads to it costs more than the jumps saved. */
	argv[n++] = xasprintf("--vex-guest-chase=no");
	return n;
}

static int memcheck_words(char **argv, const struct start *s)
{
	int n = common_words(argv, s);

	argv[n++] = xasprintf("--xml=yes");
	argv[n++] = xasprintf("--xml-fd=%d", XML_FD);
	argv[n++] = xasprintf("--num-callers=24");
	/* Of a report's addresses only, and by libdw: valgrind would read it all at each start. */
	argv[n++] = xasprintf("--read-inline-info=no");
	argv[n++] = xasprintf("--error-limit=no");
	/* Where an undefined value came from is known to a memcheck that is half as fast. */
	argv[n++] = xasprintf("--track-origins=%s", s->job == JOB_ORIGINS || s->job == JOB_ORIGINS_BOOT ? "yes" : "no");
	argv[n++] = xasprintf("--show-leak-kinds=definite");
	return n;
}

static int cachegrind_words(char **argv, const struct start *s)
{
	int n = common_words(argv, s);

	argv[n++] = xasprintf("--cache-sim=no");
	argv[n++] = xasprintf("--cachegrind-out-file=../cachegrind.%d.out", s->nr);
	return n;
}

static int kcalls_words(char **argv, const struct start *s)
{
	int n = common_words(argv, s);

	argv[n++] = xasprintf("--out=../calls.%d", s->nr);
	return n;
}

static void kcalls_environment(const struct start *s)
{
	(void)s;
	setenv("VALGRIND_LIB", beside_self(KCALLS_DIR), 1);
}

/* All of the kernel's data is where memcheck's leak check looks. */
static int memcheck_kernel(char **argv, const struct start *s)
{
	int n = 0;

	argv[n++] = xasprintf("norandmaps");
	argv[n++] = xasprintf("rodata=off");
	argv[n++] = xasprintf("mmuml.dry=%d", is_dry(s));
	return n;
}

/*
 * Counts: neither work nor sleep takes time, and nothing differs from one run to the next. Not for memcheck: there are tests in
 * which the clock takes the CPU from somebody (and "time-travel" without inf-cpu panics now and then: time goes backwards).
 */
static int counting_kernel(char **argv, const struct start *s)
{
	int n = memcheck_kernel(argv, s);

	argv[n++] = xasprintf("time-travel=inf-cpu");
	argv[n++] = xasprintf("time-travel-start=%s", EPOCH);
	return n;
}

static void counted(const struct options *o, const char *run_dir, const struct test *t, const int *boots, struct buf *counters)
{
	ir_report(o, run_dir, t->name, boots[JOB_TESTS], boots[JOB_DRY], boots[JOB_CALLS], counters);
}

const struct tool tool_memcheck = {
	.name = "memcheck", .verb = "memcheck", .seccomp = "off", .traced = true, .xml = true, .piece_min = PIECE_MIN, .check = check,
	.words = memcheck_words, .kernel_words = memcheck_kernel, .refused = valgrind_refused,
};

const struct tool tool_cachegrind = {
	.name = "cachegrind", .verb = "profile", .seccomp = "off", .traced = true, .piece_min = PIECE_MIN, .check = check,
	.words = cachegrind_words, .kernel_words = counting_kernel, .companions = { JOB_DRY, JOB_CALLS }, .counted = counted,
	.conclude = ir_plots, .refused = valgrind_refused,
};

/* Looks at the test only, between its markers. */
const struct tool tool_kcalls = {
	.name = "kcalls", .seccomp = "off", .traced = true, .check = check, .words = kcalls_words, .kernel_words = counting_kernel,
	.environment = kcalls_environment,
};

void valgrind_refused(const char *run_dir)
{
	static const char *const logs[] = { "valgrind.1.log", "console.log" };

	for (int i = 0; i < 2; i++) {
		char *path = xasprintf("%s/%s", run_dir, logs[i]), *log = read_whole(path, NULL), *at;

		at = log ? strstr(log, "valgrind: ") : NULL;
		if (log && !at)
			at = strstr(log, "setup_physmem - mapping");
		if (at)
			die(EX_HOST, xasprintf("less %s; ulimit -v unlimited; make memcheck MEM=128", path),
			    xasprintf("%.*s", (int)strcspn(at, "\n"), at), "valgrind cannot run a kernel on this host");
		free(path);
		free(log);
	}
}
