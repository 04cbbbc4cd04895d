/* SPDX-License-Identifier: GPL-2.0 */
/* The verdict of a run in the forms that people and programs read. */
#ifndef MMUML_RESULTS_H
#define MMUML_RESULTS_H

#include "runner.h"

struct tally {
	int pass, fail, known, skip, crash, timeout, notrun;
	int running;		/* of those that crashed: while the record is not whole */
};

struct tally results_tally(const struct verdict *v);
/* The exit code that the run comes to: the gravest class decides. */
int results_code(const struct verdict *v);
/* The last line, malloc'ed. */
char *results_line(const struct verdict *v);
/* Status and reason of a test as they stand: one that runs has crashed, should nobody come to say more. */
enum status results_status(const struct verdict *v, const struct test *t, const char **reason);
/* "12 tests crashed: BUG: mm/rmap.c:1 (first: NAME)", malloc'ed; NULL if there are not several. */
char *results_cause(const struct verdict *v, int cause);
/* Write results.ktap, results.json, junit.xml, memcheck.txt and verdict into @dir; exits with EX_HOST if it cannot. */
void results_write(const struct verdict *v, const char *dir);

/* ---- manifest.c ---- */

/* Begin to look at what takes a while: at all files of the tree, for edits. */
void manifest_begin(const struct options *o);
/* Write manifest.json, .config, and repro.sh with what it needs. */
void manifest_write(const struct options *o, const struct verdict *v, const char *dir);
/* The words of a make line that come to this test again, or to the run's selection if @t is NULL; malloc'ed. */
char *manifest_words(const struct options *o, const struct test *t);

/* ---- show.c: the terminal ---- */

/* Hooks of the verdict; @arg: struct show. */
struct show {
	const struct options *opt;	/* NULL in a replay */
	const struct verdict *v;
	const char *dir;
};

void show_settled(void *arg, const struct test *t);
void show_outside(void *arg, const struct outside *o);
void show_round(void *arg, int round);
/* The end: causes, the tail of the console if there is no better reason, the verdict. */
void show_end(const struct show *s);

/* ---- history.c: what tests took in earlier runs that passed ---- */

/* Fill in what is known of the tests under this profile and tool. */
void history_read(struct plan *plan, const struct options *o);
/* Remember what passed this time; a file that cannot be written is nothing but a warning. */
void history_write(const struct verdict *v, const struct options *o);

#endif
