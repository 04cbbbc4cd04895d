/* SPDX-License-Identifier: GPL-2.0 */
/* What a compaction did and cost, for the host to compare kernels by. */
#ifndef MMUML_TESTS_COMPACT_COST_H
#define MMUML_TESTS_COMPACT_COST_H

#include "mm.h"

#define COST_LOCKS	3

struct cost {
	struct mm_snap *snap;
	long locks[COST_LOCKS];
};

static const char *const cost_locks[COST_LOCKS][2] = {
	{ "anon_vma_lock", "&anon_vma->rwsem" },
	{ "i_mmap_lock", "&mapping->i_mmap_rwsem" },
	{ "lru_lock", "&lruvec->lru_lock" },
};

static inline bool cost_begin(struct cost *c)
{
	c->snap = mm_snap();
	for (int i = 0; i < COST_LOCKS; i++)
		c->locks[i] = mm_lock_count(cost_locks[i][1]);
	return c->snap;
}

/* Report the counters and, if the kernel has LOCK_STAT, the acquisitions since cost_begin(). */
static inline void cost_report(struct cost *c)
{
	static const char *const counters[] = {
		"pgmigrate_success", "pgmigrate_fail", "compact_isolated", "compact_migrate_scanned",
		"compact_free_scanned",
	};
	long locks[COST_LOCKS];

	for (int i = 0; i < COST_LOCKS; i++)
		locks[i] = mm_lock_count(cost_locks[i][1]);
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		mm_report(counters[i], mm_delta(c->snap, counters[i]));
	for (int i = 0; i < COST_LOCKS; i++)
		if (c->locks[i] >= 0)
			mm_report(cost_locks[i][0], locks[i] - c->locks[i]);
}

#endif
