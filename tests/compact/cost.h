/* SPDX-License-Identifier: GPL-2.0 */
/* What a compaction did and cost, for the host to compare kernels by. */
#ifndef MMUML_TESTS_COMPACT_COST_H
#define MMUML_TESTS_COMPACT_COST_H

#include "mm.h"

static const char *const compact_cost[] = {
	"vmstat:pgmigrate_success", "vmstat:pgmigrate_fail", "vmstat:compact_isolated",
	"vmstat:compact_migrate_scanned", "vmstat:compact_free_scanned", "lock:&anon_vma->rwsem",
	"lock:&mapping->i_mmap_rwsem", "lock:&lruvec->lru_lock", NULL
};

#endif
