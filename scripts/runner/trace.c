// SPDX-License-Identifier: GPL-2.0
/* Addresses in a line of the kernel's log. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"

struct ask {
	bool (*symbol)(void *arg, const char *key, struct buf *out);
	bool (*in_text)(void *arg, unsigned long addr);
	void *arg;
};

/* A kernel text address at *@s, written as 0x60001234 or [<60001234>]; 0 if there is none. @s moves past it. */
static unsigned long take_address(const struct ask *a, const char *line, const char **s, bool *bracket)
{
	const char *digits = *s;
	unsigned long addr;
	size_t n;

	*bracket = !strncmp(digits, "[<", 2);
	if (!*bracket && (strncmp(digits, "0x", 2) || (digits > line && isalnum((unsigned char)digits[-1]))))
		return 0;
	digits += 2;
	n = strspn(digits, "0123456789abcdefABCDEF");
	if (n < 8 || n > 16 || (*bracket && strncmp(digits + n, ">]", 2)))
		return 0;
	addr = strtoul(digits, NULL, 16);
	if (!a->in_text(a->arg, addr))
		return 0;
	*s = digits + n + (*bracket ? 2 : 0);
	return addr;
}

/* " func (file:line)"; a return address belongs to the call before it, an instruction pointer does not. */
static void annotate(const struct ask *a, unsigned long addr, bool exact, struct buf *out)
{
	struct buf text = { 0 };
	char key[32];

	snprintf(key, sizeof(key), exact ? "%lx" : "%lx-", addr);
	if (a->symbol(a->arg, key, &text))
		buf_printf(out, " %s", text.s);
	buf_free(&text);
}

void trace_decode(const char *line, bool (*symbol)(void *arg, const char *key, struct buf *out),
		  bool (*in_text)(void *arg, unsigned long addr), void *arg, struct buf *out)
{
	const struct ask ask = { symbol, in_text, arg }, *a = &ask;
	unsigned long pending = 0;		/* in brackets: said again behind the "?", or described at the end */
	const char *s = line;
	bool decoded = false;

	while (*s) {
		const char *start = s;
		bool bracket;
		unsigned long addr = take_address(a, line, &s, &bracket);

		if (!addr) {
			buf_add(out, s++, 1);
			continue;
		}
		buf_add(out, start, s - start);
		decoded = true;
		if (bracket) {
			pending = addr;
		} else {
			annotate(a, addr, start - line >= 3 && !strncmp(start - 3, "ip ", 3), out);
			if (addr == pending)
				pending = 0;
		}
	}
	if (pending) {
		annotate(a, pending, !strncmp(line, "RIP: ", 5), out);
	} else if (!decoded) {
		const char *word = strrchr(line, ' ');
		struct buf text = { 0 };

		word = word ? word + 1 : line;
		if (strstr(word, "+0x") && a->symbol(a->arg, word, &text))
			buf_printf(out, " %s", text.s);
		buf_free(&text);
	}
}

const char *trace_culprit(const char *text)
{
	static const char *const machinery[] = {
		"show_stack", "dump_stack", "__dump_stack", "panic", "vpanic", "__warn", "warn_slowpath", "report_bug", "kasan_",
		"__kasan", "print_report", "__asan", "check_", "dump_trace", "_dump", "print_", "segv", "sig_handler",
		"hard_handler", "__ubsan", "ubsan_", "lockdep", "__lock_acquire", "lock_acquire", "_raw_", "__raw_",
		"oops", "die", "exc_", "bad_", "__stack_chk", "fortify_panic", "__fortify", "relay_signal", "bust_",
		"check_memory", "__might_", "do_trap", "lkdtm_do_action", "memcpy", "memset", "__assert", "save_stack_trace",
		"save_trace", "stack_trace_save", "set_track", "__alloc_object", "__create_object", "create_object", "kmemleak_",
		"kmem_cache_alloc", "__kmalloc", "kmalloc_", "slab_alloc", "slab_post_alloc",
	};
	static char place[256];
	const char *p = text;

	while ((p = strstr(p, " ("))) {
		const char *open = p + 2, *close = strchr(open, ')'), *colon, *name = p;
		bool skip = false;

		p = open;
		/* "[<60001234>] ? f": a word that happened to lie on the stack. */
		while (name > text && name[-1] != '\n')
			name--;
		if (memmem(name, open - name, "] ? ", 4))
			continue;
		name = open - 2;
		if (!close || close - open >= (long)sizeof(place) || memchr(open, '\n', close - open))
			continue;
		colon = memchr(open, ':', close - open);
		if (!colon || !isdigit((unsigned char)colon[1]) || !memchr(open, '/', close - open))
			continue;
		while (name > text && !isspace((unsigned char)name[-1]))
			name--;
		for (size_t i = 0; i < sizeof(machinery) / sizeof(machinery[0]); i++)
			if (!strncmp(name, machinery[i], strlen(machinery[i])))
				skip = true;
		if (skip)
			continue;
		snprintf(place, sizeof(place), "%.*s", (int)(close - open), open);
		return place;
	}
	return NULL;
}

