/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Coverage of one run: what the run directory holds under coverage/, and the interface of each file that reads it.
 *
 *   counters.N     of boot N, as tests/init/counters.c wrote them
 *   gcno/mm/x.gcno the compiler's notes of each instrumented object
 *   whole/mm/x.gcno the same of a touched source compiled without optimisation
 *   src/mm/x.c     the sources that are reported, as they were compiled
 *   files          these sources, one a line: "interest PATH" or "touched PATH"
 *   changes.diff   the change under study, git diff --unified=0
 *   marks          the conditional groups that the compiler saw: "FILE-NUMBER LINE", numbers from 1 in the order of files;
 *                  line 0 is the file itself
 *   headline       the report's first line
 *   excluded       "PATH REASON" of a file that no object of this configuration is made of
 */
#ifndef MMUML_COVER_H
#define MMUML_COVER_H

#include <stdbool.h>
#include <stdint.h>

#include "../lib/kit.h"

#define GRAPH_MAX	(1 << 16)	/* arcs, blocks of one function */

/* ---- notes.c: one object's flow graphs (.gcno of gcc 12 and later) ---- */

struct arc {
	int src, dst;
	bool on_tree, fake;
};

struct step {			/* of the solution: one unknown from what is known */
	enum { BLOCK_SUCC, BLOCK_PRED, ARC_SUCC, ARC_PRED } kind;
	int block, arc;
};

struct line_part {		/* a line's share in one function: the arcs that enter its blocks from elsewhere */
	int line;		/* index into cover.lines */
	int *arcs, n;
	bool tail;		/* of the function's last block alone; the other blocks that have the line, if any, are a part of their own */
	bool ends;		/* one of the blocks ends with the line */
};

struct branch {			/* way @nr out of the decisions on a line, whatever number of copies of it there are */
	int line, nr;
	int next;		/* branch of the same line, -1: none */
	uint64_t taken, now, idle;	/* by tests, the idle share taken off; in the window in hand; the idle share */
};

struct way {			/* one copy of it */
	int function, arc, branch;
};

struct function {
	char *name;
	uint32_t ident, cfg;
	int file, start, end;	/* file: index into cover.files, -1 if it is not reported */
	int object;
	int n_blocks, n_arcs, n_steps, n_parts;
	struct arc *arcs;
	int *out_at, *in, *in_at;	/* arcs out of block b: [out_at[b], out_at[b + 1]); into it: in[in_at[b]...] */
	struct step *steps;
	struct line_part *parts;
	size_t counters;	/* word in the object's .gcda at which its arc counters begin, 0 if it has none */
	int n_counters;
	uint64_t entered;	/* by tests, the idle share taken off */
};

struct source {
	char *path;		/* relative to the kernel root */
	bool touched;
	char **text;		/* [1..n_lines], without newlines */
	int n_lines;
	int *line;		/* [1..n_lines]: index into cover.lines, -1: no code */
	char **excluded;	/* [1..n_lines]: condition that keeps the line from being compiled, or NULL */
	bool *changed;		/* [1..n_lines] */
	char *not_built;	/* why no object is made of it, or NULL */
	bool instrumented;	/* some instrumented object has code of it */
};

struct line {
	int file, nr;
	uint64_t count;		/* executions by tests, the idle share taken off */
	uint64_t raw;		/* with it */
	bool idle;		/* boot or idle windows executed it */
	int branches;		/* the first of them, -1: none */
	bool shared;		/* it ends some blocks and not others: gcov counts those that it ends */
	uint64_t *tests;	/* bit set over cover.tests */
};

struct object {
	char *path;		/* mm/mremap.o: relative to the build directory */
	uint32_t version, stamp;
	uint32_t *words, *total;	/* the .gcda as first read; the sum over all tests */
	uint32_t *window;		/* of the window in hand */
	size_t n_words;
	int first, end;		/* functions [first, end) */
	bool dirty;		/* window differs from words */
};

struct cover {
	char *dir;		/* run directory */
	const struct cover *optimised;	/* this one has the notes of unoptimised code of the same sources */
	struct source *files;
	struct line *lines;
	struct function *functions;
	struct branch *branches;
	struct way *ways;	/* in the order of the functions */
	struct object *objects;
	char **tests;
	int n_files, n_lines, n_functions, n_branches, n_ways, n_objects, n_tests;
	uint64_t *now, *idle;		/* line counts of the window in hand; the most that an idle window had */
	uint64_t *now_entered, *idle_entered;
	int n_with_data;	/* objects that some boot had counters of */
	int boots;			/* streams read */
	enum lost { NOT_LOST, LOST_WITH_GUEST, LOST_WINDOW } *lost;	/* of each test: why it ran without leaving counters */
};

/* The index of a reported file, or -1. */
int cover_file(const struct cover *c, const char *path);
/* Read every coverage/gcno file; exits with EX_BUILD when one cannot be used. */
void notes_read_all(struct cover *c);
/* One of them; @name: its path below gcno/. */
void notes_read_one(struct cover *c, const char *path, const char *name);

/* ---- dropped.c: what the compiler leaves out ---- */

/* Lines of touched files without code that the same source compiled without optimisation has: why, in excluded[]. */
void dropped_find(struct cover *c);
/* For notes.c, with each function of the unoptimised notes. */
void dropped_vote(struct cover *w, int n_blocks, int (*pairs)[2], int n);

/* ---- counters.c: windows ---- */

/* Called for each test's window, line counts in c->now with the idle share taken off. */
typedef void window_fn(struct cover *c, int test, void *arg);
/* Read every counters.N of the run: totals, bit sets of tests. Traps of the format are errors (EX_BUILD, EX_FAIL). */
void counters_read_all(struct cover *c, window_fn *each, void *arg);
/* Write each object's sum over the tests as a .gcda beside its .gcno, ask gcov, and compare: the lines that ran. */
void counters_verify(struct cover *c);

/* ---- source.c: the sources, the change, conditional compilation ---- */

/* The files, their text and the change, of what the run directory holds. */
void sources_list(struct cover *c);
/* That, and what is left out; exits with EX_BUILD if the marks know nothing of a touched file. */
void sources_read(struct cover *c);
/* The file with a mark at its head and after each conditional directive; @nr: its number in coverage/marks. */
void source_marked(const struct source *f, int nr, struct buf *out);
/* Does a changed line lie in a group that @marks do not hold, for another reason than the configuration? */
bool source_unsure(struct source *f, int file, const char *marks);
/* "mmuml-cov mark NR FILE": the same on stdout. */
int source_mark(const char *nr, const char *path);
/* Lines of @to that are new or changed in "git diff --unified=0" text, called once for each hunk. */
struct hunk {
	const char *path;
	int old_at, old_n, new_at, new_n;
	const char *lines;	/* old_n + new_n of them, within the text of the diff */
};

typedef void hunk_fn(void *arg, const struct hunk *h);
void diff_read(const char *text, hunk_fn *fn, void *arg);
/* Everything that the run directory holds. */
struct cover *cover_read(const char *dir, window_fn *each, void *arg);

/* ---- report.c ---- */

struct share {
	int all, hit;
};

struct share changed_share(const struct cover *c, int file);	/* file -1: of all */
void report_text(struct cover *c);
/* Write the report's first line, without a newline, to a file. */
void report_headline(const struct cover *c, const char *path);
void report_who(struct cover *c, const char *who);
void report_base(struct cover *c, struct cover *base);
/* EX_PASS, or EX_FAIL with what is wrong printed: the reviewed list of what no test reaches. */
int report_unreached(struct cover *c, const char *list);
void report_json(struct cover *c, const char *path);

/* ---- tracefile.c ---- */

/* lcov's format, one TN: record for each test; @changed_only restricts it to the change under study. */
struct tracefile *tracefile_open(const char *path, bool changed_only);
window_fn tracefile_window;
void tracefile_close(struct cover *c, struct tracefile *t);

/* ---- map.c: which tests execute which line, for make run T=@changed ---- */

void map_write(const struct cover *c, const char *path);
/*
 * "mmuml-cov ask MAP", a diff with --unified=0 from the map's sources to those as they are on stdin. One line each on stdout:
 * "function NAME" that it edits, "test NAME" that it concerns, "start" if it is what each test's start executes, "all WHY" if that
 * is not known. Exits with EX_USAGE if there is no map, EX_BUILD if it is damaged.
 */
int map_ask(const char *path);

#endif
