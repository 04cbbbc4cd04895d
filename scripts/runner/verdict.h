/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events of a run (record.h) to what became of its tests: the one place that writes a status or a reason. No I/O, no clock, no
 * processes: time is that of the events, and what the debug information says comes through the hooks. So a run and its replay
 * come to the same.
 */
#ifndef MMUML_VERDICT_H
#define MMUML_VERDICT_H

#include "detect.h"
#include "plan.h"
#include "record.h"

/* Why a kernel is started. */
enum job {
	JOB_TESTS,		/* for tests of the plan */
	JOB_AGAIN,		/* for one whose learned limit was too short, or that hangs: with the whole limit */
	JOB_ORIGINS,		/* for one, under a memcheck that knows where undefined values came from */
	JOB_ORIGINS_BOOT,	/* the same for what was reported outside the tests: the test's program only starts */
	JOB_DRY,		/* beside one under cachegrind: its program only starts */
	JOB_CALLS,		/* beside one under cachegrind: what its functions cost with what they call */
	JOBS,
};

const char *job_word(enum job job);

/* What was wrong, but of no test. */
struct outside {
	char *where;		/* "boot", "after NAME", "power-off", "boot 3" */
	char *reason;
	struct buf trace;	/* decoded */
	struct buf reports;	/* of memcheck */
	enum status status;
	int boot, times;	/* the first, and in how many */
	int cause;
	bool open;		/* as of a test */
};

/* What several failures have in common. */
struct cause {
	char *key;		/* reason without what differs from test to test */
	char *reason;		/* of the first */
	int first;		/* test, or -1: outside the tests */
	enum status status;
	int boots;		/* that it ended */
};

/* What the console said in a stretch of time: during a test, or between two. */
struct said {
	struct buf log;
	const struct detector *by;	/* that reported first, or NULL */
	char what[256];			/* its words */
};

/* A kernel. */
struct vboot {
	int nr, first, end;		/* for tests [first, end) of the plan */
	int console;			/* which console log */
	enum job job;
	int next;			/* once it is gone: the first test that still has to run in this round */
	double started, since;		/* s: of the run; of the last step, from which the time limit counts */
	struct buf con, res;		/* unfinished lines */
	struct memcheck *mc;		/* its reader of memcheck's XML, or NULL */
	int seen_result, seen_console, seen_xml;	/* tests of which that stream has the end: [first, n) */
	int finished;			/* tests whose outcome is known: [first, n) */
	int in_console;			/* test that runs as the console has it, -1 between tests */
	int began;			/* last test that init announced, first - 1 before */
	bool version, planned, done, powered_down;
	bool limit, stopped, over, gone;	/* time is up; put down with the run; nothing more is wanted of it; no process */
	struct said said;		/* since the last marker on the console */
	struct said *of_test;		/* by test, from @first: those whose end the console has had */
	const char **spoke;		/* classes that reported in this boot: they may be silent from there on */
	int n_spoke;
	char **leaks;			/* tests that kmemleak's reports name */
	int n_leaks;
	bool *answered;			/* questions of EV_SET ask, by number */
};

struct verdict_hooks {
	/* trace.h */
	bool (*symbol)(void *arg, const char *key, struct buf *out);
	bool (*in_text)(void *arg, unsigned long addr);
	/* The test's outcome of this round is known: @t->now. */
	void (*settled)(void *arg, const struct test *t);
	void (*outside)(void *arg, const struct outside *o);
	void (*round)(void *arg, int round);
	void *arg;
};

/* Settings of the run: EV_SET. */
struct settings {
	double test_limit, boot_limit, scale;	/* s, s, factor */
	int repeat, cpus;
	bool isolate, gdb, on_fail, keep_going, memcheck;
	char *dir;				/* of the run, as its reader would name it */
	char **asked;				/* names of detectors that are asked at the end of each boot */
	int n_asked;
};

/* How EV_END_RUN begins where the host ended a kernel. */
#define HOST_TOOK	"the host ended a kernel: "

/* A kernel that should be started besides those for the tests in their order. */
struct wish {
	enum job job;
	int test;
};

/* A row of tests/upstream/KNOWN. */
struct known {
	char *name;		/* glob */
	enum status how;	/* ST_FAIL, ST_SKIP, ST_TIMEOUT */
	char *kernels;		/* "*", or versions separated by commas: "6.12,7.2" */
	char *reason;
};

struct verdict {
	struct settings set;
	struct plan plan;
	int planned;			/* of them were asked for; behind them the cases that programs reported */
	struct known *known;
	int n_known;
	struct verdict_hooks hooks;
	struct vboot **boots;
	int n_boots;
	int round;
	struct outside *outside;
	int n_outside;
	struct cause *causes;
	int n_causes;
	struct wish *wishes;
	int n_wishes, wishes_granted;
	int origins;			/* wishes for them so far */
	int row, row_of_any;		/* crashes and timeouts since the last pass: of known causes, of any */
	int doubtful;			/* timeouts within a learned limit that nothing has confirmed */
	bool confirming, confirm_now;	/* one of them is tried again with the whole limit; before all that can wait */
	bool confirmed;			/* a test has hung for the whole of its limit */
	int boot_failures;		/* since the last test that ended */
	char *ended;			/* why nothing more is started; NULL while it goes on */
	enum status ended_status;
	bool gave_up, interrupted;
	bool host_took;			/* a kernel was ended by the host: what it would have come to is not known */
	char *release;			/* of the kernel, from its banner */
	long peak_kb;
	double boot_s, run_s, total_s;		/* s: the first boot, all of the run, and since the user's command began */
	bool whole;			/* EV_DONE was there, and nothing is missing before it */
	bool round_began, gap;		/* a round was there; one had not all its tests */
	int gdb_status;			/* -1 without a debugger */
	char *amended, *added;		/* EV_AMEND: why; words at the end of the verdict */
	enum status amended_status;
};

void verdict_init(struct verdict *v, const struct verdict_hooks *hooks);
/* Take the next event of the run. */
void verdict_event(struct verdict *v, const struct event *e);
/* The run is at its end, as it was meant to or not: all that is still open is settled as it stands. */
void verdict_close(struct verdict *v);
/* Boot @nr, from 1. */
struct vboot *verdict_boot(const struct verdict *v, int nr);
/* Until when, in s of the run, that kernel has time for its next step. */
double verdict_deadline(const struct verdict *v, const struct vboot *b);
/* The whole limit of a test in s, or, @learned, the one that its last runs suggest. */
double verdict_limit(const struct verdict *v, const struct test *t, bool learned);
/* The oldest wish not granted yet into @w; @late: those that can wait for the end of the round as well. */
bool verdict_wish(struct verdict *v, bool late, struct wish *w);

/* ---- verdict-cause.c ---- */

/* "panic: mm/rmap.c:1234" from a report's words or, if they name no place, from its decoded stack; malloc'ed. */
char *cause_reason(const struct verdict *v, const struct detector *by, const char *what, const char *trace);
/* How many tests the cause @c has failed, each once, whatever the rounds; the first of them into @first, -1: none, or outside. */
int cause_tests(const struct verdict *v, int c, int *first);
/* Note that test @i (-1: none) ended like this; @ended: or a kernel. The index of its cause. May set v->ended: it is enough. */
int cause_note(struct verdict *v, int i, enum status status, const char *reason, bool ended);
/* A boot was ended by cause @cause. */
void cause_boot(struct verdict *v, int cause);
/* A test ran out of a learned limit; whether a kernel is to be put down so that one such test can be tried with the whole. */
bool cause_doubtful(struct verdict *v);
/* One was, and came to this. */
void cause_confirm(struct verdict *v, enum status status);
/* A test passed. */
void cause_pass(struct verdict *v);
/* @text, decoded line by line, behind @out. */
void cause_decode(const struct verdict *v, const char *text, struct buf *out);

#endif
