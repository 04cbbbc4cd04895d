// SPDX-License-Identifier: GPL-2.0
/* The objects that the reverse map and the address spaces of all processes consist of. */
#include "mm.h"
#include "internal.h"

static const char *const caches[] = { "anon_vma", "anon_vma_chain", "vm_area_struct" };

static long in_use(const char *cache)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", cache);
	mm_write_file(path, "1");
	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/objects", cache);
	return mm_read_long(path);
}

/* Right when no object waits for an RCU callback: always, but for debug kernels that delay each kfree(). */
static struct mm_objects look(void)
{
	return (struct mm_objects) {
		.anon_vma = in_use(caches[0]),
		.chain = in_use(caches[1]),
		.vma = in_use(caches[2]),
	};
}

struct mm_objects mm_objects(void)
{
	look();
	mm_rcu_barrier();
	return look();
}

static struct mm_objects since(const struct mm_objects *base, struct mm_objects now)
{
	return (struct mm_objects) {
		.anon_vma = now.anon_vma - base->anon_vma,
		.chain = now.chain - base->chain,
		.vma = now.vma - base->vma,
	};
}

struct mm_objects mm_objects_since(const struct mm_objects *base, const struct mm_objects *want)
{
	struct mm_objects grown = since(base, look());

	if (want && grown.anon_vma == want->anon_vma && grown.chain == want->chain &&
	    grown.vma == want->vma)
		return grown;
	return since(base, mm_objects());
}
