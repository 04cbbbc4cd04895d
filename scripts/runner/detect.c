// SPDX-License-Identifier: GPL-2.0
/* What a line of the kernel's console means: the reports that make a run fail, and init's own markers. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "runner.h"

struct pattern {
	const char *text;	/* what the line begins with, after the time stamp */
	enum report_kind kind;
};

/* In this order: the first that fits decides. */
static const struct pattern patterns[] = {
	{ "mmuml: begin ",				RP_BEGIN },
	{ "mmuml: end ",				RP_END },
	{ "mmuml: init: ",				RP_INIT },
	{ "reboot: Power down",				RP_POWER_DOWN },
	{ "reboot: System halted",			RP_POWER_DOWN },
	{ "Kernel panic - not syncing: Kernel mode fault", RP_OOPS },
	{ "Kernel panic - not syncing: Segfault with no mm", RP_OOPS },
	{ "Kernel panic - not syncing: ",		RP_PANIC },
	{ "Oops",					RP_OOPS },
	{ "BUG: KASAN: ",				RP_KASAN },
	{ "BUG: KFENCE: ",				RP_KASAN },
	{ "UBSAN: ",					RP_UBSAN },
	{ "BUG: Bad ",					RP_BADPAGE },
	{ "BUG: non-zero pgtables_bytes",		RP_BADPAGE },
	{ "BUG: workqueue lockup",			RP_STALL },
	{ "BUG: soft lockup",				RP_STALL },
	{ "BUG: ",					RP_BUG },
	{ "kernel BUG at ",				RP_BUG },
	{ "WARNING: possible ",				RP_LOCKDEP },
	{ "WARNING: inconsistent lock state",		RP_LOCKDEP },
	{ "WARNING: suspicious RCU usage",		RP_LOCKDEP },
	{ "WARNING: bad unlock balance",		RP_LOCKDEP },
	{ "WARNING: held lock freed",			RP_LOCKDEP },
	{ "WARNING: lock held when returning",		RP_LOCKDEP },
	{ "WARNING: Nested lock was not taken",		RP_LOCKDEP },
	{ "WARNING: HARDIRQ-",				RP_LOCKDEP },
	{ "WARNING: SOFTIRQ-",				RP_LOCKDEP },
	{ "DEBUG_LOCKS_WARN_ON",			RP_LOCKDEP },
	{ "WARNING: ",					RP_WARN },
	{ "INFO: task ",				RP_HUNG },
	{ "INFO: rcu_",					RP_STALL },
	{ "rcu: INFO: rcu_",				RP_STALL },
	{ "kmemleak: ",					RP_KMEMLEAK },
	{ "UML ran out of memory on the host side",	RP_HOST_MEMORY },
};

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

void watch_line(const char *line, struct report *out)
{
	const char *s = after_stamp(line);

	out->kind = RP_NONE;
	out->what[0] = '\0';
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		size_t n = strlen(patterns[i].text);

		if (strncmp(s, patterns[i].text, n))
			continue;
		if (patterns[i].kind == RP_KMEMLEAK && !strstr(s, "new suspected memory leak"))
			return;
		if (patterns[i].kind == RP_HUNG && !strstr(s, "blocked for more than"))
			return;
		out->kind = patterns[i].kind;
		if (out->kind == RP_BEGIN || out->kind == RP_END || out->kind == RP_INIT)
			s += n;
		else if (!strncmp(s, "Kernel panic - not syncing: ", 28))
			s += 28;
		else if (out->kind == RP_KMEMLEAK)
			s += n;
		snprintf(out->what, sizeof(out->what), "%s", s);
		/* " (see /sys/kernel/debug/kmemleak)": init has. */
		if (out->kind == RP_KMEMLEAK && strstr(out->what, " (see "))
			*strstr(out->what, " (see ") = '\0';
		return;
	}
}

const char *report_word(enum report_kind kind)
{
	switch (kind) {
	case RP_PANIC:		return "panic";
	case RP_OOPS:		return "oops";
	case RP_BUG:		return "BUG";
	case RP_WARN:		return "WARN";
	case RP_KASAN:		return "KASAN";
	case RP_UBSAN:		return "UBSAN";
	case RP_LOCKDEP:	return "lockdep";
	case RP_HUNG:		return "hung task";
	case RP_STALL:		return "stall";
	case RP_KMEMLEAK:	return "kmemleak";
	case RP_BADPAGE:	return "bad page";
	case RP_HOST_MEMORY:	return "host memory";
	default:		return "?";
	}
}
