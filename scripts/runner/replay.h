/* SPDX-License-Identifier: GPL-2.0 */
/* Results made again from the record of a run. */
#ifndef MMUML_REPLAY_H
#define MMUML_REPLAY_H

/* Read DIR/record, write the results into @into (NULL: @dir), show them as the run did; the run's exit code. */
int replay(const char *dir, const char *into);
/*
 * What a later stage found: @status ("PASS": nothing wrong, "FAIL") with @why, NULL if there is nothing to say, and @add, words for the
 * end of the verdict. Becomes part of the record; @started: when the user's command began, 0 if unknown. Prints the verdict;
 * the exit code that the run has now.
 */
int amend(const char *dir, const char *status, const char *why, const char *add, double started);

#endif
