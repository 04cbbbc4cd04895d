// SPDX-License-Identifier: GPL-2.0
/* Reclaim of certain pages from all processes that map them, until they are on the disk only. */
#include <errno.h>
#include <unistd.h>

#include "mm.h"

#define BATCH	256

/* Pages of the range that are in memory, mapped or in the swap cache. */
static long in_memory(char *p, size_t len)
{
	unsigned char in_core[BATCH];
	size_t pages = (len + PAGE - 1) / PAGE;
	long n = 0;

	for (size_t from = 0; from < pages; from += BATCH) {
		size_t now = pages - from < BATCH ? pages - from : BATCH;

		if (mincore(p + from * PAGE, now * PAGE, in_core))
			return -errno;
		for (size_t i = 0; i < now; i++)
			n += in_core[i] & 1;
	}
	return n;
}

long mm_cgroup_drop(const struct mm_cgroup *cg, void *p, size_t len)
{
	long n;

	for (int pass = 0; pass < 1000; pass++) {
		n = in_memory(p, len);
		if (n <= 0)
			break;
		mm_cgroup_reclaim(cg, len);
		if (mm_vmstat("nr_writeback") > 0)
			usleep(1000);
	}
	return n;
}

long mm_fill_swapped(void *p, size_t len, uint64_t seed)
{
	struct mm_cgroup cg;
	long n;
	int err;

	err = mm_cgroup_create(&cg, "fill-swapped");
	if (!err)
		err = mm_cgroup_enter(&cg);
	if (err)
		return err;
	mm_fill(p, len, seed);
	mm_cgroup_leave();
	n = mm_cgroup_drop(&cg, p, len);
	err = mm_cgroup_remove(&cg);
	return n ?: err;
}
