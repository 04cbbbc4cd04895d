/* SPDX-License-Identifier: GPL-2.0 */
/* Two sides of a change, what is asked of them (expect), and the report. */
#ifndef MMUML_COMPARE_H
#define MMUML_COMPARE_H

#include <jansson.h>

#include "../lib/kit.h"
#include "../runner/plot.h"
#include "../runner/rundir.h"

/* ---- load.c: what the runs of one side found ---- */

#define MAX_RUNS	100

struct side {
	const char *word;		/* "base" or "changed" */
	const char *stack;		/* what was built, for people */
	const char *build;		/* directory of vmlinux, warnings; NULL if unknown */
	int n;				/* runs: REPEAT= */
	char *dirs[MAX_RUNS];
	json_t *results[MAX_RUNS], *manifest[MAX_RUNS];
	json_t *tests[MAX_RUNS];	/* name -> its object in results */
	struct buf console[MAX_RUNS];	/* all console logs of the run */
	long text, data, bss;		/* of vmlinux: functions, written sections; -1 if it cannot be read */
};

enum { BASE, CHANGED };

/* Read results.json, manifest.json and the console logs of a run directory; exits with EX_USAGE if one cannot be read. */
void side_add(struct side *s, const char *dir);
/* Sizes in vmlinux: text is the sum of its functions, data and bss are those of the sections. */
void side_sizes(struct side *s);
/* The object of a test in one run, or NULL. */
json_t *side_test(const struct side *s, int run, const char *test);
/* The worst status of a test over all runs ("PASS", ...), or NULL if no run has it; @reason of that run, may be NULL. */
const char *side_status(const struct side *s, const char *test, const char **reason);

struct stat_of {
	double min, median, max;
	int n;
};

/*
 * A counter of a test over all runs of the side. A counter that is collected over the whole test is not listed when it
 * is 0: it is taken as 0 if another test or the other side has it and this test has others of its namespace (what is
 * before the ':'). False if it never appeared.
 */
bool side_counter(const struct side *sides, int which, const char *test, const char *counter, struct stat_of *out);
/* Of n values. */
struct stat_of stat_of(double *values, int n);

/* ---- expect.c: the relations that a change promises ---- */

#define MAX_TERMS	8

enum term_kind { TERM_NUMBER, TERM_SIDE, TERM_OTHER_TEST, TERM_OTHER_COUNTER };

struct term {
	enum term_kind kind;
	char op;			/* before it: '*', '/', '+', '-'; 0 for the first */
	double number;
	int side;
	char *name;			/* the other test or counter */
};

struct relation {
	int line;
	char *text, *counter, *test, *op;
	int side;
	struct term terms[MAX_TERMS];
	int n_terms;
	/* once checked */
	bool known, holds;
	double left, right;
	char *why;			/* of a failure that is no matter of numbers */
};

struct broken {
	int line;
	char *test;
	bool holds;
	char *why;
};

/* A value that nothing is promised about, for the report and the change's table. */
struct show {
	int line;
	char *counter, *test;
	bool known;
	struct stat_of v[2];
	char *why;			/* it is not known */
};

struct plot {
	int line;
	char *name, *title, *xlabel, *counter, *glob;
};

struct expect {
	char *path, *profile, *tests;
	struct relation *relations;
	int n_relations;
	struct broken *broken;
	int n_broken;
	struct show *shows;
	int n_shows;
	struct plot *plots;
	int n_plots;
};

/* Read an expect file; a malformed line ends the program with EX_USAGE, named by file:line. */
void expect_read(struct expect *e, const char *path);
/* The same of a text; an error message, or NULL. Nothing is printed. */
char *expect_parse(struct expect *e, const char *path, const char *text);
void expect_free(struct expect *e);
/* Fill in the values; the number of lines that fail. */
int expect_check(struct expect *e, const struct side *sides);
bool expect_broken(const struct expect *e, const char *test);

/* ---- log.c: what the kernel and the compiler said ---- */

/* Lines of one side that the other has not, addresses, times and numbers put aside, each once; in order. */
void log_new(const struct side *of, const struct side *against, struct buf *out, int *lines);
/* Reports (WARN, KASAN, lockdep, ...) on the consoles of the first run. */
int log_reports(const struct side *s);
/* One console line without time stamp, addresses and numbers, into @out (of @size). */
void log_normalise(const char *line, char *out, size_t size);
/* Compiler warnings of the side's build that the other has not. */
void log_warnings(const struct side *of, const struct side *against, struct buf *out, int *lines);

/* ---- plot.c ---- */

/* Write @dir/NAME.svg with gnuplot; a line about it, or about why there is none, into @out. */
void plot_write(const struct plot *p, const struct side *sides, const char *dir, struct buf *out);

/* ---- table.c ---- */

/* The values that the relations are about and those that are to be shown, as a table for the change's README. */
char *table_of(const struct expect *e, const struct side *sides);

/* ---- report.c ---- */

struct compare {
	struct side side[2];
	struct expect *expect;		/* NULL: nothing promised */
	const char *name;		/* of the change */
	char *dir;			/* out/runs/...-compare */
	bool verbose, json;
	bool kernels;			/* the sides are two kernels: what only one has is no loss */
	bool step;			/* one patch of the change that expect is about: its relations can wait */
	double started;
	const char *idle;		/* loud: why the comparison can show nothing, NULL if it can */
	long lines_ran, lines_all;	/* changed lines that ran, of those that could; -1 if unknown */
};

/* Whether that is the status of a test that passed; NULL is none. */
bool status_passed(const char *status);
/* Print the report, write it to the directory; the exit code. */
int compare_report(struct compare *c);

/* ---- counters.c ---- */

/* A table of what differs in the tests of @names that passed on both sides, into @b; a row of JSON each into @out. */
void report_counters(const struct compare *c, json_t *names, struct buf *b, json_t *out);
/* { "min", "median", "max", "n" } */
json_t *stat_json(struct stat_of s);

#endif
