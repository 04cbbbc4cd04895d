/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The record of a run: all that came from its kernels and all that was done to them, one event a line, as it happened. The
 * results are a function of it (verdict.h), so they can be made again from it at any time: mmuml-run --replay.
 *
 * A line is "SECONDS KIND BOOT DATA": seconds since the run began; the kernel's number, or 0; DATA with \n, \t, \\ and \xNN for
 * what is not printable ASCII, up to the end of the line, which is no blank. The stream of a kernel is cut at its newlines, one event each, so that
 * a record can be read, searched, and cut by hand.
 */
#ifndef MMUML_RECORD_H
#define MMUML_RECORD_H

#include "../lib/kit.h"

enum event_kind {
	EV_SET,		/* NAME VALUE: a setting of the run, before all else */
	EV_TEST,	/* a line of tests.list that was selected, in order, and behind it a tab and its learned limit in s, 0: none */
	EV_ROUND,	/* N: the Nth repetition begins */
	EV_START,	/* JOB FIRST END CONSOLE: a kernel starts for tests [FIRST, END) */
	EV_CONSOLE, EV_RESULT, EV_XML,	/* bytes of its three streams */
	EV_STACKS,	/* lines about the kernel process from outside, as if it had printed them */
	EV_SYMBOL,	/* KEY<tab>TEXT: what the debug information says (trace.h) */
	EV_COUNTERS,	/* TEST<newline>lines "counter NAME N": what was counted around it */
	EV_PEAK,	/* KB: resident memory of the kernel process, at most, so far */
	EV_LIMIT,	/* its time is up; what follows until its end are its last words */
	EV_STOP,	/* WHY: it is put down with the run: nothing is its fault */
	EV_EXIT,	/* STATUS of wait(2): it is gone, nothing more comes from it */
	EV_END_RUN,	/* WHY: nothing more is started ("interrupted", "run timeout 900s", HOST_TOOK and why, ...) */
	EV_DEBUGGER,	/* STATUS of the gdb that ran the kernel */
	EV_AMEND,	/* STATUS<tab>WHY<tab>ADD: the verdict that a later stage gave */
	EV_DONE,	/* SECONDS since the user's command began, 0 if unknown: the record is whole */
	EV_KINDS,
};

struct event {
	double t;
	enum event_kind kind;
	int boot;
	const char *data;	/* @len bytes, and a NUL behind them that does not count */
	size_t len;
};

typedef void (*event_sink)(void *arg, const struct event *e);

/* Open @path for one more event after the other; exits with EX_HOST if it cannot. @again: behind what it holds already. */
FILE *record_open(const char *path, bool again);
/* Write one event, out of this program's memory: a killed runner leaves all that it saw. */
void record_write(FILE *f, const struct event *e);
/*
 * Hand each event of the file @path to @sink. A last line without newline, cut off with the runner, is left out. Exits with EX_USAGE
 * if it cannot be read, or a line is none, with file:line.
 */
void record_read(const char *path, event_sink sink, void *arg);

#endif
