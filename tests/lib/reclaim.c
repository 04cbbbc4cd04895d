// SPDX-License-Identifier: GPL-2.0
/* Getting pages out to swap and back. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/swap.h>
#include <unistd.h>

#include "mm.h"
#include "internal.h"

#define BATCH	256

/* The first swap device, and the pages in use on all of them; -ENODEV if there is none. */
static long read_swaps(char *first, size_t size)
{
	char line[512], path[256];
	long used = 0, kb;
	int n = 0;
	FILE *f;

	f = fopen("/proc/swaps", "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%255s %*s %*d %ld", path, &kb) != 2)
			continue;
		if (!n++ && first)
			snprintf(first, size, "%s", path);
		used += kb * KB / PAGE;
	}
	fclose(f);
	return n ? used : -ENODEV;
}

const char *mm_need_swap(void)
{
	return read_swaps(NULL, 0) < 0 ? "a swap device" : NULL;
}

/*
 * swapoff() of any area empties the caches of all: of one that has just been made for it, of ten pages, the least there can
 * be. Only where init found that there are such caches.
 */
void mm_slots_drain(void)
{
	static const uint32_t header[] = { 1, 9, 0 };	/* include/linux/swap.h: version, last_page, nr_badpages */
	char path[] = "/mnt/slots-XXXXXX", page[PAGE] = { 0 };
	int fd, err = 0;

	if (!getenv("MMUML_SLOTS_CACHED"))
		return;
	fd = mkostemp(path, O_CLOEXEC);
	for (int i = 9; i >= 0 && !err; i--) {
		if (!i) {
			memcpy(page + 1024, header, sizeof(header));
			memcpy(page + PAGE - 10, "SWAPSPACE2", 10);
		}
		err = pwrite(fd, page, PAGE, i * PAGE) != PAGE;
	}
	if (err || swapon(path, 0) || swapoff(path))
		fprintf(stderr, "# swap slots in caches of CPUs: %s\n", strerror(errno));
	unlink(path);
	close(fd);
}

long mm_swap_used(void)
{
	long used;

	mm_slots_drain();
	used = read_swaps(NULL, 0);

	return used == -ENODEV ? 0 : used;
}

int mm_swap_cycle(void)
{
	char path[256];
	long used = read_swaps(path, sizeof(path));

	if (used < 0)
		return used;
	if (swapoff(path))
		return -errno;
	return swapon(path, 0) ? -errno : 0;
}

void mm_writeback_wait(void)
{
	for (int ms = 0; ms < 2000 && mm_vmstat("nr_writeback") > 0; ms++)
		usleep(1000);
}

/* Unmap the pages. One that stays may have been locked for a moment or be under writeback. */
static long push_out(void *p, size_t len)
{
	long left = -1, before;

	for (int pass = 0; pass < 16; pass++) {
		before = left;
		mm_lru_drain();
		if (madvise(p, len, MADV_PAGEOUT))
			return -errno;
		left = mm_count_present(0, p, len);
		if (left <= 0 || (left == before && pass > 2))
			break;
		mm_writeback_wait();
	}
	return left;
}

/* One batch of count_cached(). */
static long batch_cached(char *p, size_t n, bool map)
{
	uint64_t entries[BATCH];
	unsigned char in_core[BATCH];
	long cached = 0;
	size_t run = 0;		/* pages right below i that are to be mapped */

	if (mm_pagemap(0, p, entries, n) || mincore(p, n * PAGE, in_core))
		return 0;
	for (size_t i = 0; i < n; i++) {
		bool hit = in_core[i] & 1 && !(entries[i] & MM_PM_PRESENT);

		cached += hit;
		if (hit && map && entries[i] & MM_PM_SWAP) {
			run++;
		} else if (run) {
			madvise(p + (i - run) * PAGE, run * PAGE, MADV_POPULATE_READ);
			run = 0;
		}
	}
	if (run)
		madvise(p + (n - run) * PAGE, run * PAGE, MADV_POPULATE_READ);
	return cached;
}

/*
 * How many pages are in memory without being mapped; those of them that a swap entry of the page table
 * leads to are mapped again (with @map), to read only.
 */
static long count_cached(char *p, size_t len, bool map)
{
	size_t n = (len + PAGE - 1) / PAGE;
	long cached = 0;

	for (size_t from = 0; from < n; from += BATCH)
		cached += batch_cached(p + from * PAGE, n - from < BATCH ? n - from : BATCH, map);
	return cached;
}

/* What the root group's LRU lists have at their ends: the only way for shmem, but others lose pages too. */
static void reclaim_anon(long pages)
{
	static const struct mm_cgroup root = { .path = "/sys/fs/cgroup" };

	mm_cgroup_reclaim_anon(&root, pages * PAGE);
}

/*
 * A page that was written to swap stays in the swap cache, since its writeback ended after reclaim had
 * looked at it: the next access would find it there and read nothing. Mapped again it is clean, and the
 * next MADV_PAGEOUT frees it at once.
 */
static void drop_cached(char *p, size_t len)
{
	long cached;

	for (int pass = 0; pass < 8; pass++) {
		mm_writeback_wait();
		cached = count_cached(p, len, true);
		if (!cached || !mm_vmstat("nr_swapcached"))
			return;
		mm_lru_drain();
		if (madvise(p, len, MADV_PAGEOUT))
			return;
		if (pass > 1 && count_cached(p, len, false))
			reclaim_anon(cached);
	}
}

long mm_pageout(void *p, size_t len)
{
	long left = push_out(p, len);

	if (left < 0)
		return left;
	drop_cached(p, len);
	return mm_count_present(0, p, len);
}
