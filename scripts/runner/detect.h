/* SPDX-License-Identifier: GPL-2.0 */
/* What a line of the kernel's console means: the table of detectors, one row for each way in which a kernel complains. */
#ifndef MMUML_DETECT_H
#define MMUML_DETECT_H

#include <stdbool.h>
#include <stdio.h>

enum line_kind { LINE_PLAIN, LINE_REPORT, LINE_BEGIN, LINE_END, LINE_INIT, LINE_POWER_DOWN };

/* Where a report names its place: in the words of its first line, or in its stack only. */
enum place { PLACE_WORDS, PLACE_TRACE };

struct detector {
	const char *name;	/* of the row, unique: "bad-pmd" */
	const char *class;	/* the word in a test's reason: "panic", "oops", "BUG", "WARN", "KASAN", "lockdep", ... */
	const char *pattern;	/* POSIX extended regular expression; matches at the start of the text behind the time stamp */
	const char *option;	/* Kconfig option that arms it, "PROVE_LOCKING"; NULL: always there */
	int taint;		/* bit of /proc/sys/kernel/tainted that it sets, -1 if none */
	bool fatal;		/* the kernel does not survive it */
	bool once;		/* it, or its whole class, is silent after its first report in a boot */
	enum place place;
	/* Asked at the end of each boot (protocol.h, ARMED_FILE), under the row's name: at least @armed_least while it is armed.
	 * Without a key it cannot be asked; with a key and no file, init knows the answer. One row of a detector asks. */
	const char *armed_file, *armed_key;
	long armed_least;
};

struct line {
	enum line_kind kind;
	const struct detector *by;	/* of a LINE_REPORT, else NULL */
	/* Of a report the kernel's own words, without the time stamp, "Kernel panic - not syncing: " and "kmemleak: "; the test's
	 * name of LINE_BEGIN and LINE_END; the reason of LINE_INIT. Cut to fit. */
	char what[256];
};

/* The rows, in the order in which they are tried: the first that matches decides. */
extern const struct detector detectors[];
extern const int n_detectors;

/* Classify one line of the console (no newline). Never fails; most lines are LINE_PLAIN. Any thread. */
void detect_line(const char *line, struct line *out);

/* The table for people: a line a row, in the order of the rows. */
void detect_table(FILE *f);

#endif
