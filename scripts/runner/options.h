/* SPDX-License-Identifier: GPL-2.0 */
/* The runner's command line. */
#ifndef MMUML_OPTIONS_H
#define MMUML_OPTIONS_H

#include "runner.h"

/* What is asked of the program instead of a run. */
enum action { DO_RUN, DO_SHELL, DO_LIST, DO_DOCTOR, DO_ATTACH, DO_REPLAY, DO_RESULT, DO_AMEND, DO_DETECTORS };

struct request {
	enum action action;
	const char *dir, *key;		/* --replay DIR, --result DIR KEY, --amend DIR */
	const char *into;		/* --replay: where the results go */
	const char *status, *why, *add;	/* --amend */
};

/* Read the command line; exits with EX_USAGE, or after --help. */
void options_read(struct options *o, struct request *q, int argc, char **argv);

#endif
