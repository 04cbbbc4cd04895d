// SPDX-License-Identifier: GPL-2.0
/*
 * Compaction by the share of the pages that are pinned: so many of every 8. The number at the end of a case's
 * name is that share, for a plot of what compaction costs over it.
 */
#include "kselftest_harness.h"

#include "cost.h"
#include "mm.h"

#define N	512
#define LEN	(N * PAGE)

FIXTURE(share)
{
	struct mm_stage *stage;
	struct mm_cost *cost;
	struct mm_pin pin[8];
	char *p;
	uint64_t was[N], is[N];
};

FIXTURE_VARIANT(share)
{
	int flags;			/* of mmap() */
	int pinned;			/* pages of every 8 */
};

FIXTURE_VARIANT_ADD(share, anon_0) { MAP_PRIVATE, 0 };
FIXTURE_VARIANT_ADD(share, anon_1) { MAP_PRIVATE, 1 };
FIXTURE_VARIANT_ADD(share, anon_2) { MAP_PRIVATE, 2 };
FIXTURE_VARIANT_ADD(share, anon_3) { MAP_PRIVATE, 3 };
FIXTURE_VARIANT_ADD(share, anon_4) { MAP_PRIVATE, 4 };
FIXTURE_VARIANT_ADD(share, anon_5) { MAP_PRIVATE, 5 };
FIXTURE_VARIANT_ADD(share, anon_6) { MAP_PRIVATE, 6 };
FIXTURE_VARIANT_ADD(share, anon_7) { MAP_PRIVATE, 7 };
FIXTURE_VARIANT_ADD(share, shmem_0) { MAP_SHARED, 0 };
FIXTURE_VARIANT_ADD(share, shmem_1) { MAP_SHARED, 1 };
FIXTURE_VARIANT_ADD(share, shmem_2) { MAP_SHARED, 2 };
FIXTURE_VARIANT_ADD(share, shmem_3) { MAP_SHARED, 3 };
FIXTURE_VARIANT_ADD(share, shmem_4) { MAP_SHARED, 4 };
FIXTURE_VARIANT_ADD(share, shmem_5) { MAP_SHARED, 5 };
FIXTURE_VARIANT_ADD(share, shmem_6) { MAP_SHARED, 6 };
FIXTURE_VARIANT_ADD(share, shmem_7) { MAP_SHARED, 7 };

FIXTURE_SETUP(share)
{
	NEED(mm_need_compaction());
	NEED(mm_need_pin());
	self->p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, variant->flags | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	self->stage = mm_stage(LEN);
	ASSERT_NE(NULL, self->stage);
	ASSERT_EQ(0, madvise(self->p, LEN, MADV_POPULATE_WRITE));
	mm_fill(self->p, LEN, 1);
	for (int i = 0; i < variant->pinned; i++)
		ASSERT_EQ(0, mm_pin_uring_stride(&self->pin[i], self->p + i * PAGE, LEN - i * PAGE, 8));
	mm_stage_open(self->stage);
	ASSERT_EQ(0, mm_pfns(0, self->p, self->was, N));
	self->cost = mm_cost_begin(compact_cost);
	ASSERT_NE(NULL, self->cost);
}

FIXTURE_TEARDOWN(share)
{
	for (int i = 0; i < variant->pinned; i++)
		mm_unpin(&self->pin[i]);
	mm_stage_end(self->stage);
	munmap(self->p, LEN);
}

/* whatever the share of the pinned pages, these stay and all others move */
TEST_F(share, of)
{
	ASSERT_EQ(0, mm_compact());
	mm_cost_end(self->cost);
	ASSERT_EQ(0, mm_pfns(0, self->p, self->is, N));
	EXPECT_EQ(N / 8 * (8 - variant->pinned), mm_moved(self->was, self->is, N));
	for (int i = 0; i < N; i++)
		if (i % 8 < variant->pinned)
			EXPECT_EQ(self->was[i], self->is[i]);
	EXPECT_EQ(-1, mm_check(self->p, LEN, 1));
}

TEST_HARNESS_MAIN
