/* SPDX-License-Identifier: GPL-2.0 */
/* What a kernel can run under. A new tool is a file with a struct tool, and its name in the table of tool.c. */
#ifndef MMUML_TOOL_H
#define MMUML_TOOL_H

#include "runner.h"

/* Descriptors of the kernel process beside 0 to 2. */
#define RESULT_FD	3	/* the guest's ttyS0 */
#define SILENCE_FD	4	/* a pipe that never says anything as its input: UML wants a descriptor of its own for that */
#define SILENCE_END_FD	5
#define CONSOLE_FD	6	/* the console, for a tool that has 1 and 2 for itself */
#define XML_FD		7	/* what the tool itself has to say */

struct tool {
	const char *name;		/* of --tool */
	const char *verb;		/* make target that starts a kernel under it; NULL: none of its own */
	const char *seccomp;		/* how UML holds its processes there: "on", "off" */
	bool traced;			/* cannot do without ptrace() */
	bool xml;			/* speaks on XML_FD, in memcheck's form */
	bool debugger;			/* holds the kernel at will: no limit of time means anything */
	int piece_min;			/* tests for which another kernel is worth its boot */
	enum job companions[3];		/* kernels beside each test's own, JOB_TESTS at the end; each test has a kernel of its own then */
	/* All may be NULL. Exits with EX_HOST or EX_USAGE if the host, the kernel or its command line will not do. */
	void (*check)(const struct options *o);
	/* The words before the kernel's own, into @argv; how many. */
	int (*words)(char **argv, const struct start *s);
	/* Words of the kernel command line; how many. */
	int (*kernel_words)(char **argv, const struct start *s);
	/* In the child: become the kernel, or a tool that starts it with these words. */
	void (*exec)(const struct start *s, char **argv) __attribute__((noreturn));
	/* In the child, before that. */
	void (*environment)(const struct start *s);
	/* All kernels of a test have ended, by job: what they cost as "counter NAME N" lines into @counters. */
	void (*counted)(const struct options *o, const char *run_dir, const struct test *t, const int *boots, struct buf *counters);
	/* The run is over. */
	void (*conclude)(const struct plan *plan, const char *run_dir);
	/* The first kernel came to no test: exits with EX_HOST if the tool is why, else returns. */
	void (*refused)(const char *run_dir);
};

extern const struct tool tool_plain, tool_gdb, tool_memcheck, tool_cachegrind, tool_kcalls, tool_probe;

/* The tool of that name; exits with EX_USAGE if there is none. */
const struct tool *tool_find(const char *name);
/* The tool of a kernel that is started for @job in a run under @tool. */
const struct tool *tool_for(const struct tool *tool, enum job job);

#endif
