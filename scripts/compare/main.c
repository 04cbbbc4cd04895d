// SPDX-License-Identifier: GPL-2.0
/* Compare the runs of two kernels test by test and counter by counter, and check what a change promises. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"

static const char usage[] =
"usage: mmuml-compare --base RUN... --changed RUN... [options]     RUN: a run directory, several with REPEAT=\n"
"       mmuml-compare --expect FILE --print                        check an expect file; print its profile and tests\n"
"  --name NAME           of the change\n"
"  --base-stack S, --changed-stack S     what was built on each side\n"
"  --base-build DIR, --changed-build DIR where vmlinux and the compiler's warnings are\n"
"  --expect FILE         relations to check\n"
"  --step                one patch of the change: only what --expect promises to break may break, relations can wait\n"
"  --kernels             the sides are two kernels: a test that only one can run is no loss\n"
"  --idle WHY            the comparison can show nothing: say so, exit 4\n"
"  --ran N/M             N of M changed lines ran (coverage); 0 is a verdict of its own, exit 4\n"
"  --json                print report.json instead of the text    --verbose   all tests and counters\n"
"  --note FILE           write the run directory's name to FILE\n"
"exit status: 0 nothing broken, all relations hold   1 a test broken or a relation fails   2 usage\n"
"  4 no test passed or the changed code never ran   otherwise what the run that has no result ended with\n";

enum {
	OPT_BASE = 256, OPT_CHANGED, OPT_NAME, OPT_BASE_STACK, OPT_CHANGED_STACK, OPT_BASE_BUILD, OPT_CHANGED_BUILD,
	OPT_EXPECT, OPT_STEP, OPT_KERNELS, OPT_IDLE, OPT_RAN, OPT_JSON, OPT_VERBOSE, OPT_PRINT, OPT_STARTED, OPT_NOTE, OPT_HELP,
};

static const struct option longopts[] = {
	{ "base", 1, NULL, OPT_BASE }, { "changed", 1, NULL, OPT_CHANGED }, { "name", 1, NULL, OPT_NAME },
	{ "base-stack", 1, NULL, OPT_BASE_STACK }, { "changed-stack", 1, NULL, OPT_CHANGED_STACK },
	{ "base-build", 1, NULL, OPT_BASE_BUILD }, { "changed-build", 1, NULL, OPT_CHANGED_BUILD },
	{ "expect", 1, NULL, OPT_EXPECT }, { "step", 0, NULL, OPT_STEP },
	{ "kernels", 0, NULL, OPT_KERNELS }, { "idle", 1, NULL, OPT_IDLE }, { "ran", 1, NULL, OPT_RAN },
	{ "json", 0, NULL, OPT_JSON }, { "verbose", 0, NULL, OPT_VERBOSE }, { "print", 0, NULL, OPT_PRINT },
	{ "started", 1, NULL, OPT_STARTED }, { "note", 1, NULL, OPT_NOTE }, { "help", 0, NULL, OPT_HELP }, { 0 },
};

static const char *expect_path, *note;
static bool print_only;

static void set(struct compare *c, int opt, const char *arg)
{
	switch (opt) {
	case OPT_BASE: side_add(&c->side[BASE], arg); break;
	case OPT_CHANGED: side_add(&c->side[CHANGED], arg); break;
	case OPT_NAME: c->name = arg; break;
	case OPT_BASE_STACK: c->side[BASE].stack = arg; break;
	case OPT_CHANGED_STACK: c->side[CHANGED].stack = arg; break;
	case OPT_BASE_BUILD: c->side[BASE].build = arg; break;
	case OPT_CHANGED_BUILD: c->side[CHANGED].build = arg; break;
	case OPT_EXPECT: expect_path = arg; break;
	case OPT_STEP: c->step = true; break;
	case OPT_KERNELS: c->kernels = true; break;
	case OPT_IDLE: c->idle = *arg ? arg : NULL; break;
	case OPT_RAN:
		if (sscanf(arg, "%ld/%ld", &c->lines_ran, &c->lines_all) != 2)
			die(EX_USAGE, "mmuml-compare --help", NULL, "--ran '%s' is not N/M", arg);
		break;
	case OPT_JSON: c->json = true; break;
	case OPT_VERBOSE: c->verbose = true; break;
	case OPT_PRINT: print_only = true; break;
	case OPT_STARTED: c->started = strtod(arg, NULL); break;
	case OPT_NOTE: note = arg; break;
	case OPT_HELP:
		fputs(usage, stdout);
		exit(EX_PASS);
	default:
		fputs(usage, stderr);
		exit(EX_USAGE);
	}
}

int main(int argc, char **argv)
{
	struct compare c = { .name = "", .lines_ran = -1, .lines_all = -1,
			     .side = { { .word = "base", .stack = "" }, { .word = "changed", .stack = "" } } };
	struct expect e;
	int opt;

	while ((opt = getopt_long(argc, argv, "", longopts, NULL)) != -1)
		set(&c, opt, optarg);
	if (optind < argc)
		die(EX_USAGE, "mmuml-compare --help", NULL, "unexpected argument '%s'", argv[optind]);
	if (expect_path) {
		expect_read(&e, expect_path);
		c.expect = &e;
	}
	if (print_only) {
		if (!c.expect)
			die(EX_USAGE, "mmuml-compare --help", NULL, "--print needs --expect FILE");
		printf("profile %s\ntests %s\n", e.profile ? e.profile : "", e.tests ? e.tests : "");
		return EX_PASS;
	}
	if (!c.side[BASE].n || !c.side[CHANGED].n)
		die(EX_USAGE, "mmuml-compare --help", NULL, "a run of each side is needed");
	for (int s = 0; s < 2; s++)
		side_sizes(&c.side[s]);
	c.dir = rundir_make("compare", note);
	rundir_latest(c.dir);
	return compare_report(&c);
}
