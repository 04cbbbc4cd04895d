// SPDX-License-Identifier: GPL-2.0
/* Compaction, and memory that gives it something to do. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "mm.h"

struct fragment {
	char *p;
	size_t len;
};

const char *mm_need_compaction(void)
{
	return access("/proc/sys/vm/compact_memory", W_OK) ? "COMPACTION" : NULL;
}

int mm_compact(void)
{
	return mm_write_file("/proc/sys/vm/compact_memory", "1");
}

/*
 * Every fold of the counters lets the per-CPU lists of free pages shrink by an eighth, down to some hundred
 * pages (decay_pcp_high()); user space has no way to empty them.
 */
void mm_pcp_drain(void)
{
	long before, now = mm_vmstat("nr_free_pages");

	for (int i = 0; i < 64; i++) {
		before = now;
		now = mm_vmstat("nr_free_pages");
		if (now == before && i > 8)
			break;
	}
}

/* Neighbouring pages of a fresh mapping are mostly neighbouring frames: every second one is a hole. */
void *mm_fragment(size_t bytes)
{
	struct fragment *f = malloc(sizeof(*f));

	if (!f)
		return NULL;
	f->len = bytes / (2 * PAGE) * (2 * PAGE);
	f->p = mm_map_aligned(f->len, PAGE);
	if (!f->p) {
		free(f);
		return NULL;
	}
	mm_touch_write(f->p, f->len);
	for (size_t i = 0; i < f->len; i += 2 * PAGE)
		madvise(f->p + i, PAGE, MADV_DONTNEED);
	mm_pcp_drain();
	return f;
}

void mm_unfragment(void *handle)
{
	struct fragment *f = handle;

	if (!f)
		return;
	munmap(f->p, f->len);
	free(f);
}
