// SPDX-License-Identifier: GPL-2.0
/* Compaction, and memory that gives it something to do. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mm.h"
#include "internal.h"

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

#define PCP_HIGH	"/proc/sys/vm/percpu_pagelist_high_fraction"
#define PCP_FOLDS	64		/* (7/8)^64: from all of memory to the floor */
#define PCP_SHORT	"1000000"	/* so small a part of memory that the floor counts: four batches */

#define PCP_FREES	256		/* one after the other, each with a batch */
#define ZONEINFO_SIZE	(16 * KB)

/* In memory of its own: a heap that grows, or static memory that is touched, would look like a leak of the test. */
long mm_pcp_count(void)
{
	char *text = mm_map_aligned(ZONEINFO_SIZE, PAGE);
	long sum, n;

	if (!text)
		return -ENOMEM;
	sum = mm_read_file("/proc/zoneinfo", text, ZONEINFO_SIZE);
	if (sum >= 0) {
		sum = 0;
		for (char *p = strstr(text, " count:"); p; p = strstr(p + 1, " count:"))
			sum += sscanf(p, " count: %ld", &n) == 1 ? n : 0;
	}
	munmap(text, ZONEINFO_SIZE);
	return sum;
}

/* A page that comes to a list that is too long takes a batch away. */
static void free_some(void)
{
	char *p = mm_map_aligned(PCP_FREES * PAGE, PAGE);

	if (!p)
		return;
	mm_touch_write(p, PCP_FREES * PAGE);
	munmap(p, PCP_FREES * PAGE);
}

/*
 * Every fold of the counters takes an eighth off the length that the per-CPU lists of free pages may have,
 * down to a floor that can be set (decay_pcp_high()); user space has no way to empty them. A kernel without SMP that
 * has such lists does not fold.
 */
void mm_pcp_drain(void)
{
	long before = mm_pcp_count();
	char was[32];

	if (mm_read_file(PCP_HIGH, was, sizeof(was)) > 0)
		mm_write_file(PCP_HIGH, PCP_SHORT);
	for (int i = 0; i < PCP_FOLDS; i++)
		mm_write_file("/proc/sys/vm/stat_refresh", "1");
	if (before > 0 && mm_pcp_count() >= before)
		free_some();
	mm_write_file(PCP_HIGH, was);
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
	/* Several times as fast as page faults. */
	if (madvise(f->p, f->len, MADV_POPULATE_WRITE))
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
