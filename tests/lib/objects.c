// SPDX-License-Identifier: GPL-2.0
/* The objects that the reverse map and the address spaces of all processes consist of. */
#include "mm.h"
#include "internal.h"

long mm_slab_now(const char *cache)
{
	char path[128];
	int err;

	/* What waits in per-CPU sheaves or in KASAN's quarantine counts as used. */
	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", cache);
	err = mm_write_file(path, "1");
	if (err)
		return err;
	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/objects", cache);
	return mm_read_long(path);
}

static struct mm_objects look(void)
{
	return (struct mm_objects) {
		.anon_vma = mm_slab_now("anon_vma"),
		.chain = mm_slab_now("anon_vma_chain"),
		.vma = mm_slab_now("vm_area_struct"),
	};
}

/*
 * The kernel frees all three at once, but SLUB_RCU_DEBUG delays that by a grace period for caches with
 * SLAB_TYPESAFE_BY_RCU. Waiting for one is slow, so it is done only where KASAN or the hooks for memcheck, one of which
 * that needs, have made room behind each object.
 */
static bool frees_late(void)
{
	static enum { UNKNOWN, AT_ONCE, LATE } frees;
	long object, slab;

	if (frees == UNKNOWN) {
		object = mm_read_long("/sys/kernel/slab/anon_vma_chain/object_size");
		slab = mm_read_long("/sys/kernel/slab/anon_vma_chain/slab_size");
		frees = object > 0 && object == slab ? AT_ONCE : LATE;
	}
	return frees == LATE;
}

struct mm_objects mm_objects(void)
{
	mm_let_others_finish();
	if (frees_late())
		mm_rcu_barrier();
	return look();
}

struct mm_objects mm_objects_since(const struct mm_objects *base)
{
	struct mm_objects now = mm_objects();

	return (struct mm_objects) {
		.anon_vma = now.anon_vma - base->anon_vma,
		.chain = now.chain - base->chain,
		.vma = now.vma - base->vma,
	};
}
