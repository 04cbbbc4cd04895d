/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the programs of the kit say to each other: exit codes, markers in the kernel's log, lines of the result channel, columns
 * of tests.list and of the guest's plan. The one owner: C includes this file (on the host and in the guest), the shell and
 * gdb's Python read its "#define NAME VALUE" lines (scripts/lib/kit.sh, scripts/gdb/mmkit/protocol.py).
 */
#ifndef MMUML_PROTOCOL_H
#define MMUML_PROTOCOL_H

/* Exit codes, the same for every program and script. */
#define EX_PASS		0
#define EX_FAIL		1
#define EX_USAGE	2
#define EX_HOST		3
#define EX_SKIP		4
#define EX_PATCH	5
#define EX_CONFIG	6
#define EX_BUILD	7
#define EX_REPORT	8
#define EX_NEVER	9	/* mmuml-cov alone: the changed code was never executed */
#define EX_TIMEOUT	124
#define EX_UNTESTABLE	125	/* for git bisect run: skip this commit */
#define EX_BISECT_STOP	129	/* for git bisect run: stop */
#define EX_INTERRUPTED	130

/* Lines of the kernel's log, written by the guest's init through /dev/kmsg: MARK_BEGIN NAME, ... */
#define MARK_BEGIN	"mmuml: begin "
#define MARK_END	"mmuml: end "
#define MARK_INIT	"mmuml: init: "	/* init cannot go on, with the reason */

/*
 * The result channel (ttyS0): KTAP version 1 with flat names. What a test prints comes as diagnostics, "# TEXT", one a line,
 * bytes that are no printable text as \xNN: so nothing that a test prints can look like one of the lines below, none of which
 * begins with '#'.
 *	SAY_BEGIN NAME		the test is about to start
 *	SAY_COUNTER NAME N	what init counted over the test that is being reported
 *	SAY_ARMED NAME N	at the end of a boot: the answer to one line of /host/armed (see below), N as read there
 *	SAY_LEAK NAME		the last leak that kmemleak wrote to the kernel's log was allocated while that test ran
 *	SAY_DONE N		all N tests of the plan were run; the power-off follows
 */
#define SAY_BEGIN	"mmuml begin "
#define SAY_COUNTER	"mmuml counter "
#define SAY_ARMED	"mmuml armed "
#define SAY_LEAK	"mmuml leak "
#define SAY_DONE	"mmuml done "

/*
 * /host/plan: one test a line, NAME<tab>PROGRAM<tab>HARNESS-NAME<tab>MILLISECONDS. The limit is the whole limit: nobody
 * multiplies it again.
 * Where HARNESS-NAME begins with FOREIGN the program is not on the harness: what follows are its words.
 * /host/armed: one question a line, NAME<tab>FILE<tab>KEY: init finds the first line of FILE that holds KEY (all of the file if
 * KEY is empty), and says the first whole number behind it; -1 if there is no such file or line.
 */
#define UPSTREAM_AREA	"mm"	/* of the kernel's own tests, area and program's name */
#define FOREIGN		"!"
#define PLAN_FILE	"/host/plan"
#define ARMED_FILE	"/host/armed"

/*
 * tests.list, of the guest build: NAME<tab>PROGRAM<tab>HARNESS-NAME<tab>ATTRIBUTES<tab>PURPOSE. ATTRIBUTES is "-", or words
 * separated by blanks, stated in the source by MM_TEST_IS() of tests/lib/mm.h:
 *	alone		in a kernel of its own, whose memory others would find in an odd state
 *	limit=SECONDS	instead of the runner's limit for one test
 *	cpus=N		needs N CPUs (skipped with that reason where there are fewer)
 *	upstream	one of the kernel's own: held against KNOWN, which lies beside tests.list
 *	quick		one of those that run where no test is named, as the kit's own do
 *	asked		runs only where T= has its whole name
 */
#define LIST_COLUMNS	5

#endif
