/* SPDX-License-Identifier: GPL-2.0 */
/* make watch: which files count, what is heard of them, and the round that a save sets off. */
#ifndef MMUML_WATCH_H
#define MMUML_WATCH_H

#include "../lib/kit.h"

/* A directory with all below it; of the kernel's tree only what its kernels can be made of. */
struct root {
	const char *kind;	/* the word that the round gets for its files */
	const char *dir;
	const char *only;	/* the one file of it that counts, or NULL */
	bool kernel;
	bool sources;		/* only those of its files count */
};

/* ---- notify.c: inotify ---- */

/* Open it, or the kit's error; the descriptor. */
int notify_open(void);
/* Watch @root; where inotify cannot do it, the kit's error. */
void notify_add(const struct root *root);
int notify_count(void);
/*
 * Take what has come, without waiting: @each gets every file that was written, moved or removed, by its root and its path below
 * it. Directories that appear are watched, and their files are told of. A NULL path: something was lost, any file may be another.
 */
void notify_read(void (*each)(const struct root *root, const char *path));

/* ---- files.c: what they hold ---- */

enum change {
	SAME,		/* it holds what it held */
	CHANGED,
	ELSEWHERE,	/* a source of which this kernel is not made */
	NOTHING,	/* no source */
};

/* Whether a name is one that editors, tag programs and kbuild leave behind. */
bool files_ignored(const char *name);
/* Know what @root's files hold now, all of them; of a kernel's tree those of @inputs (mmuml-fresh's list), if there is one. */
void files_know(const struct root *root, const char *inputs);
/* What became of a file since it was last asked for; it is known as it is now. */
enum change files_look(const struct root *root, const char *path);
/* Of all that is known of @root, @each gets what is another than it was; it is known as it is now. */
void files_look_all(const struct root *root, void (*each)(const struct root *root, const char *path));

/* ---- round.c: the command that a save starts ---- */

/* Start it, on a save at @saved (realtime, s; 0: none). What it writes to its descriptor 7 comes to round_words(). */
void round_start(char **command, double saved);
/* The descriptor to wait on, and the bytes that have come, one word each; 0 at their end. */
int round_fd(void);
int round_word(void);
/* Take ended children; whether the round is over. */
bool round_reap(void);
/* End it with everything that it has started, and wait for that. */
void round_stop(void);

#endif
