// SPDX-License-Identifier: GPL-2.0
/* What a line of the kernel's console means: the reports that make a run fail, and init's own markers. */
#include <ctype.h>
#include <pthread.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/kit.h"
#include "detect.h"

#define PANIC "Kernel panic - not syncing: "

const struct detector detectors[] = {
	{ "mode-fault", "oops", PANIC "Kernel mode fault", .taint = -1, .fatal = true },
	{ "no-mm", "oops", PANIC "Segfault with no mm", .taint = -1, .fatal = true },
	{ "panic", "panic", PANIC, .taint = -1, .fatal = true },
	{ "oops", "oops", "Oops", .taint = 7, .fatal = true },
	{ "kasan", "KASAN", "BUG: KASAN: ", "KASAN", 5, .place = PLACE_TRACE },
	{ "kfence", "KASAN", "BUG: KFENCE: ", "KFENCE", 5, .place = PLACE_TRACE },
	{ "ubsan", "UBSAN", "UBSAN: ", "UBSAN", -1, .place = PLACE_TRACE },
	{ "bad-page", "bad page", "BUG: (Bad |non-zero pgtables_bytes)", .taint = 5, .place = PLACE_TRACE },
	{ "lockup", "stall", "BUG: (workqueue|soft) lockup", .taint = -1 },
	{ "bug", "BUG", "(BUG: |kernel BUG at )", .taint = -1 },
	{ "lockdep", "lockdep", "(WARNING: (possible |inconsistent lock state|suspicious RCU usage|bad unlock balance|held lock freed|"
	  "lock held when returning|Nested lock was not taken|HARDIRQ-|SOFTIRQ-)|DEBUG_LOCKS_WARN_ON)", "PROVE_LOCKING", -1,
	  .once = true, .place = PLACE_TRACE },
	{ "warn", "WARN", "WARNING: ", .taint = 9 },
	{ "hung-task", "hung task", "INFO: task .* blocked for more than", "DETECT_HUNG_TASK", -1, .place = PLACE_TRACE },
	{ "rcu-stall", "stall", "(rcu: )?INFO: rcu_", .taint = -1 },
	{ "kmemleak", "kmemleak", "kmemleak: .*new suspected memory leak", "DEBUG_KMEMLEAK", -1, .place = PLACE_TRACE },
	{ "host-memory", "host memory", "UML ran out of memory on the host side", .taint = -1 },
};
const int n_detectors = sizeof(detectors) / sizeof(detectors[0]);

static const struct {
	const char *text;
	enum line_kind kind;
} marks[] = {
	{ MARK_BEGIN,			LINE_BEGIN },
	{ MARK_END,			LINE_END },
	{ MARK_INIT,			LINE_INIT },
	{ "reboot: Power down",		LINE_POWER_DOWN },
	{ "reboot: System halted",	LINE_POWER_DOWN },
};

static regex_t compiled[sizeof(detectors) / sizeof(detectors[0])];

static void compile(void)
{
	for (int i = 0; i < n_detectors; i++) {
		char *whole = xasprintf("^(%s)", detectors[i].pattern);

		if (regcomp(&compiled[i], whole, REG_EXTENDED | REG_NOSUB))
			die(EX_FAIL, NULL, detectors[i].pattern, "the pattern of detector %s is none", detectors[i].name);
		free(whole);
	}
}

/* "[   12.345678] " and "[   12.345678][  T123] " in front of the text. */
static const char *after_stamp(const char *line)
{
	while (*line == '[') {
		const char *close = strchr(line, ']');

		if (!close || !(isdigit((unsigned char)line[1]) || line[1] == ' '))
			break;
		line = close + 1;
		line += strspn(line, " ");
	}
	return line;
}

/* Words that the class says already, and a place to look that is gone with the kernel. */
static void keep_words(const char *s, struct line *out)
{
	static const char *const said[] = { PANIC, "kmemleak: " };
	char *see;

	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		if (!strncmp(s, said[i], strlen(said[i])))
			s += strlen(said[i]);
	snprintf(out->what, sizeof(out->what), "%s", s);
	see = strstr(out->what, " (see /sys/kernel/debug/kmemleak");
	if (see)
		*see = '\0';
}

void detect_line(const char *line, struct line *out)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const char *s = after_stamp(line);

	pthread_once(&once, compile);
	out->kind = LINE_PLAIN;
	out->by = NULL;
	out->what[0] = '\0';
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		size_t n = strlen(marks[i].text);

		if (strncmp(s, marks[i].text, n))
			continue;
		out->kind = marks[i].kind;
		snprintf(out->what, sizeof(out->what), "%s", out->kind == LINE_POWER_DOWN ? s : s + n);
		return;
	}
	for (int i = 0; i < n_detectors; i++) {
		if (regexec(&compiled[i], s, 0, NULL, 0))
			continue;
		out->kind = LINE_REPORT;
		out->by = &detectors[i];
		keep_words(s, out);
		return;
	}
}

/* ---- for run.c and report.c, until they are rewritten: to be deleted with its part of runner.h ---- */

#include "../lib/kit.h"

void detect_table(FILE *f)
{
	for (int i = 0; i < n_detectors; i++)
		fprintf(f, "%s\n", detectors[i].name);
}
