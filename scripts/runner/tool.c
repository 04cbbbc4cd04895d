// SPDX-License-Identifier: GPL-2.0
/* The tools, and the two that need no file of their own: none at all, and breakpoints on the lines of a change. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

#define PIECE_MIN	24

/* Kernels before 6.16 hold their processes by ptrace() alone, and say so only by not coming up. */
static void plain_refused(const char *run_dir __attribute__((unused)))
{
	host_check_ptrace();
}

const struct tool tool_plain = { .name = "none", .verb = "run", .seccomp = "on", .piece_min = PIECE_MIN, .refused = plain_refused };

/* The program beside the runner that starts the kernel with breakpoints; the run directory is one above. */
static int probe_words(char **argv, const struct start *s)
{
	argv[0] = beside_self("mmuml-probe");
	argv[1] = realpath(s->opt->probe, NULL);
	argv[2] = xasprintf("../ran");
	if (!argv[1])
		die(EX_USAGE, "mmuml-run --help", strerror(errno), "--probe %s", s->opt->probe);
	return 3;
}

static void probe_check(const struct options *o)
{
	if (!o->probe)
		die(EX_USAGE, "mmuml-run --help", "the tool's lines are what --probe names", "no --probe");
	if (o->cpus != 1)
		die(EX_USAGE, "mmuml-run --help", "a breakpoint that is taken out for one CPU is passed by the other",
		    "--probe and --cpus %ld do not go together", o->cpus);
}

const struct tool tool_probe = {
	.name = "probe", .verb = "run", .seccomp = "on", .traced = true, .piece_min = PIECE_MIN, .check = probe_check, .words = probe_words,
};

static const struct tool *const tools[] = {
	&tool_plain, &tool_gdb, &tool_memcheck, &tool_cachegrind, &tool_kcalls, &tool_probe,
};

const struct tool *tool_find(const char *name)
{
	struct buf names = { 0 };

	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
		if (!strcmp(tools[i]->name, name))
			return tools[i];
		buf_printf(&names, " %s", tools[i]->name);
	}
	die(EX_USAGE, "mmuml-run --help", xasprintf("there are:%s", names.s), "no tool '%s'", name);
}

const struct tool *tool_for(const struct tool *tool, enum job job)
{
	return job == JOB_CALLS ? &tool_kcalls : tool;
}
