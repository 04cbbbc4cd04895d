/* SPDX-License-Identifier: GPL-2.0 */
/* Which tests there are, which were asked for, and what became of each. */
#ifndef MMUML_PLAN_H
#define MMUML_PLAN_H

#include "../lib/kit.h"

/* From the best to the worst: of several rounds the worst is kept. */
enum status { ST_NOTRUN, ST_PASS, ST_SKIP, ST_KNOWN, ST_FAIL, ST_TIMEOUT, ST_REPORT };

/* What one run of a test came to. */
struct outcome {
	enum status status;
	char *reason;		/* in parentheses in the output; NULL if there is none */
	struct buf log;		/* what it printed */
	struct buf counters;	/* "counter NAME N" lines that others counted over it */
	struct buf trace;	/* reports of the kernel while it ran, decoded */
	struct buf reports;	/* those of memcheck alone, which are in @trace as well */
	bool said;		/* the guest said so itself */
	double ms;
	int boot, round;	/* from 1; 0: it did not run */
	int cause;		/* index of the verdict's causes, -1 if it is none of several */
};

/* Where a test is in this round. */
enum stage { TEST_WAITS, TEST_RUNS, TEST_ENDED };

struct test {
	char *name;		/* area.file.case */
	char *program, *harness, *attributes, *purpose;	/* tests.list, see protocol.h */
	bool alone;		/* has a kernel of its own */
	bool upstream;		/* one of the kernel's own, held against what is known to fail; */
	bool quick, asked;	/* such a one that runs where no test is named; only where its whole name is */
	int of;			/* test whose program reported it, -1: it is in the plan itself */
	double limit;		/* s, instead of the runner's; 0: none stated */
	int cpus;		/* that it needs */
	double learned;		/* s, from the last runs that passed; 0: unknown */
	struct outcome now;	/* of this round */
	struct outcome kept;	/* the worst of all rounds */
	enum stage stage;
	bool open;		/* ended, and looked at once more before it counts (another limit, origins) */
	double began;		/* s of the run */
};

struct plan {
	struct test *tests;
	int n;
};

static inline bool went_wrong(enum status s)
{
	return s >= ST_FAIL;
}

/* A line of tests.list (protocol.h), no newline, behind the last column perhaps a tab and a learned limit; false if it is none. */
bool plan_add(struct plan *p, const char *line);
/* The same line of a test, its learned limit behind it, malloc'ed. */
char *plan_line(const struct test *t);
/* Read tests.list; exits with EX_USAGE if it cannot be read. */
void plan_read(struct plan *all, const char *path);
/* The tests that match a comma- or blank-separated list of globs, in the order of the list file. An element that matches
 * none is an error that names what is near (EX_USAGE). Without globs: all but the kit's own (area "kit"). */
void plan_select(struct plan *out, const struct plan *all, const char *globs);
/* Those named in the file @path, a name a line, to the front, in its order; exits with EX_USAGE if it cannot be read. */
void plan_first(struct plan *p, const char *path);
void outcome_clear(struct outcome *o);
/* "PASS", "CRASH", ... */
const char *status_word(enum status s);

#endif
