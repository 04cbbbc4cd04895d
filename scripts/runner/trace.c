// SPDX-License-Identifier: GPL-2.0
/* Addresses in a line of the kernel's log, and the frame of a stack that a report is about. */
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

/* The same of "func+0x12/0x34", the last word of @line; in "RIP: 0033:func+0x12/0x34" it is an instruction. */
static void annotate_name(const struct ask *a, const char *line, struct buf *out)
{
	bool exact = !strncmp(line, "RIP: ", 5);
	const char *word = strrchr(line, exact ? ':' : ' ');
	struct buf text = { 0 };
	char *key;

	word = word ? word + strspn(word, ": ") : line;
	if (!strstr(word, "+0x"))
		return;
	key = xasprintf("%s%s", word, exact ? "=" : "");
	if (a->symbol(a->arg, key, &text))
		buf_printf(out, " %s", text.s);
	free(key);
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
		annotate_name(a, line, out);
	}
}

/*
 * Functions in which a report is made, not what it is about. Whole names: check_pte() and bad_area() are mm's own, and a report in
 * them is theirs. Three kinds are mm's own and skipped on purpose: what only prints, the allocators' entry points (a slab object
 * is no better or worse for who handed it out), and the checks that slub runs on its objects.
 */
static const char *const machinery[] = {
	/* stacks, panics, warnings */
	"__die", "__dump_stack", "__fortify_panic", "__fortify_report", "__stack_chk_fail", "__warn", "__warn_printk", "bust_spinlocks",
	"check_panic_on_warn", "die", "dump_stack", "dump_stack_lvl", "dump_trace", "fortify_panic", "oops_enter", "oops_exit", "panic",
	"report_bug", "save_stack_trace", "show_regs", "show_stack", "show_trace", "vpanic", "warn_slowpath_fmt",
	/* a signal of the host becomes a fault of the kernel */
	"bus_handler", "hard_handler", "relay_signal", "segv", "segv_handler", "show_segv_info", "sig_handler", "sig_handler_common",
	/* lockdep, spinlocks, contexts */
	"__lock_acquire", "__might_resched", "__might_sleep", "check_deadlock", "check_irq_usage", "check_noncircular",
	"check_prev_add", "check_prevs_add", "check_wait_context", "graph_unlock", "lock_acquire", "lock_release", "mark_lock",
	"mark_lock_irq", "mark_usage", "print_bad_contention", "print_circular_bug", "print_deadlock_bug", "print_freed_lock_bug",
	"print_irq_inversion_bug", "print_lock_invalid_wait_context", "print_unlock_imbalance_bug", "print_usage_bug", "save_trace",
	"rwlock_bug", "spin_bug", "spin_dump", "validate_chain",
	/* lists, counts, objects, strings */
	"__list_add", "__list_add_valid", "__list_add_valid_or_report", "__list_del_entry", "__list_del_entry_valid",
	"__list_del_entry_valid_or_report", "list_add", "list_add_tail", "list_del", "list_del_init", "list_move", "list_move_tail",
	"debug_print_object", "memcpy", "memmove", "memset", "refcount_warn_saturate",
	/* sanitizers */
	"check_region_inline", "check_slab_allocation", "describe_object", "end_report", "print_address_description", "print_report",
	"start_report", "ubsan_epilogue", "ubsan_prologue",
	/* on purpose: of mm, only prints */
	"__dump_page", "__might_fault", "bad_page", "dump_mm", "dump_page", "dump_vma", "print_bad_page_map", "print_bad_pte",
	/* on purpose: entry points of the allocators */
	"do_slab_free", "kfree", "kmalloc", "kmalloc_array", "kmalloc_node", "kmem_cache_free", "kvfree", "kvmalloc", "kzalloc",
	"slab_alloc_node", "slab_free", "slab_free_hook", "slab_post_alloc_hook",
	/* on purpose: slub checks its objects, kmemleak and page_owner note who asked for them */
	"__create_object", "__link_object", "__alloc_object", "__slab_bug", "__slab_err", "alloc_consistency_checks",
	"check_bytes_and_report", "check_object", "check_slab", "create_object", "free_consistency_checks", "object_err",
	"print_trailer", "set_track_prepare", "slab_bug", "slab_err", "slab_pad_check",
};

/* Families that are nothing but machinery, so that each compiler's and kernel's members need not be known. */
static const char *const families[] = {
	"__asan_", "__kasan_", "__kfence_", "__kmalloc", "__kmsan_", "__tsan_", "__ubsan_", "_raw_read_", "_raw_spin_", "_raw_write_",
	"__raw_read_", "__raw_spin_", "__raw_write_", "do_raw_", "kasan_", "kcsan_", "kfence_", "kmem_cache_alloc", "kmemleak_",
	"kmsan_", "lockdep_", "lkdtm_do_action", "__page_table_check_", "page_table_check_", "stack_trace_save",
};

bool trace_skips(const char *name)
{
	/* "check_object.cold", "print_usage_bug.part.0", "kmalloc_noprof" */
	size_t len = strcspn(name, ". \n(");

	if (len > 7 && !strncmp(name + len - 7, "_noprof", 7))
		len -= 7;
	for (size_t i = 0; i < sizeof(machinery) / sizeof(machinery[0]); i++)
		if (strlen(machinery[i]) == len && !strncmp(name, machinery[i], len))
			return true;
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		if (!strncmp(name, families[i], strlen(families[i])))
			return true;
	return false;
}

/* Whether the line up to @at is "[<60001234>] ? ...": a word that happened to lie on the stack. */
static bool unreliable(const char *text, const char *at)
{
	const char *start = at;

	while (start > text && start[-1] != '\n')
		start--;
	return memmem(start, at - start, "] ? ", 4);
}

/* Whether "dir/file.c:12" stands in [from, to). */
static bool is_place(const char *from, const char *to)
{
	const char *colon = memchr(from, ':', to - from);

	return colon && isdigit((unsigned char)colon[1]) && memchr(from, '/', colon - from) && !memchr(from, '\n', to - from);
}

const char *trace_culprit(const char *text)
{
	static char place[256];
	const char *p = text;

	while ((p = strstr(p, " ("))) {
		const char *name = p, *open = p + 2, *close = strchr(open, ')');

		p = open;
		if (!close || close - open >= (long)sizeof(place) || !is_place(open, close) || unreliable(text, name))
			continue;
		while (name > text && !isspace((unsigned char)name[-1]))
			name--;
		if (trace_skips(name))
			continue;
		snprintf(place, sizeof(place), "%.*s", (int)(close - open), open);
		return place;
	}
	return NULL;
}
