/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of "mmuml-cov gather" say to each other. */
#ifndef MMUML_GATHER_H
#define MMUML_GATHER_H

#include <sys/types.h>

#include "cover.h"

struct place {
	char *dir;		/* coverage/ of the run directory */
	char *tree, *build;	/* absolute: kernel tree, its build directory */
	char *scratch;		/* absolute, removed at the end */
	struct cover *c;	/* files and the change */
	struct buf excluded;	/* of coverage/excluded (cover.h) */
};

/* ---- compile.c ---- */

struct job {
	char *object;		/* "mm/rmap.o", malloc'ed */
	const char *file;	/* touched, that it is run for */
	char *out, *err;	/* files: what the compiler printed */
	char *error;		/* why it failed: the compiler's first error line, or NULL */
	char **words;
	pid_t pid;
};

/*
 * Take the object's compilation from its .cmd file below @build, without wrapper and outputs, with the words @add; @error if it
 * has none that can be run again.
 */
void job_prepare(struct job *j, const char *build, const char *scratch, const char *const *add);
/* Run jobs in the directory @cwd, as many at a time as there are CPUs; those that have an @error are left alone. */
void jobs_run(struct job *jobs, int n, const char *cwd);
void job_free(struct job *j);

/* ---- marks.c ---- */

/*
 * coverage/marks: what the preprocessor takes of each touched file when it compiles the objects that are made of it. A touched
 * file that no object is made of goes to @excluded; one that cannot be told ends the program (EX_BUILD) with the cause.
 */
void marks_make(struct place *p);

/* ---- gather.c ---- */

/* A path below @p->build, malloc'ed. */
char *built(const struct place *p, const char *format, const char *name);
/* Why the file is not compiled, for @p->excluded. */
void exclude(struct place *p, const char *path, const char *why);
/* Is there a reason already? */
bool is_excluded(const struct place *p, const char *path);

/* "mmuml-cov gather RUN TREE PROFILE LIST"; the exit status. */
int gather(char **argv);

#endif
