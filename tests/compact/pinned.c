// SPDX-License-Identifier: GPL-2.0
/*
 * Compaction among pinned pages: what it moves, what it leaves, and what it costs, in the six cases of the
 * discussion of 2014 ("avoid isolating pinned pages"): memory of either kind, with none of it, half of
 * it or every second page registered with io_uring.
 */
#include "kselftest_harness.h"

#include "cost.h"
#include "mm.h"

#define N	2048
#define LEN	(N * PAGE)

enum pinned { NONE, HALF, EVERY_2ND };

FIXTURE(pinned)
{
	struct mm_stage *stage;
	struct mm_cost *cost;
	struct mm_snap *snap;
	struct mm_pin pin;
	char *p;
	uint64_t was[N], is[N];
};

FIXTURE_VARIANT(pinned)
{
	int flags;			/* of mmap() */
	enum pinned pinned;
};

FIXTURE_VARIANT_ADD(pinned, anon_none) { MAP_PRIVATE, NONE };
FIXTURE_VARIANT_ADD(pinned, anon_half) { MAP_PRIVATE, HALF };
FIXTURE_VARIANT_ADD(pinned, anon_every_2nd) { MAP_PRIVATE, EVERY_2ND };
FIXTURE_VARIANT_ADD(pinned, shmem_none) { MAP_SHARED, NONE };
FIXTURE_VARIANT_ADD(pinned, shmem_half) { MAP_SHARED, HALF };
FIXTURE_VARIANT_ADD(pinned, shmem_every_2nd) { MAP_SHARED, EVERY_2ND };

static int pin(struct mm_pin *pin, char *p, enum pinned pinned)
{
	if (pinned == HALF)
		return mm_pin_uring(pin, p, LEN / 2);
	return pinned == EVERY_2ND ? mm_pin_uring_stride(pin, p, LEN, 2) : 0;
}

static bool is_pinned(int i, enum pinned pinned)
{
	return pinned == HALF ? i < N / 2 : pinned == EVERY_2ND && i % 2 == 0;
}

FIXTURE_SETUP(pinned)
{
	NEED(mm_need_compaction());
	NEED(mm_need_pin());
	self->p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, variant->flags | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	self->stage = mm_stage(LEN);
	ASSERT_NE(NULL, self->stage);
	ASSERT_EQ(0, madvise(self->p, LEN, MADV_POPULATE_WRITE));
	mm_fill(self->p, LEN, 1);
	ASSERT_EQ(0, pin(&self->pin, self->p, variant->pinned));
	mm_stage_open(self->stage);
	ASSERT_EQ(0, mm_pfns(0, self->p, self->was, N));
	self->snap = mm_snap();
	ASSERT_NE(NULL, self->snap);
	self->cost = mm_cost_begin(compact_cost);
	ASSERT_NE(NULL, self->cost);
}

FIXTURE_TEARDOWN(pinned)
{
	mm_unpin(&self->pin);
	mm_snap_free(self->snap);
	mm_stage_end(self->stage);
	munmap(self->p, LEN);
}

/* unpinned pages all move, pinned ones never, and are tried once at most; what it costs */
TEST_F(pinned, row)
{
	/* Pages that may refuse to move whatever is pinned: of block devices, of a ramfs. */
	long others = mm_vmstat("nr_file_pages") - mm_vmstat("nr_shmem");
	long moved = 0, stayed = 0, pins = 0;

	ASSERT_EQ(0, mm_compact());
	mm_cost_end(self->cost);
	ASSERT_EQ(0, mm_pfns(0, self->p, self->is, N));
	for (int i = 0; i < N; i++) {
		bool same = self->was[i] == self->is[i];

		pins += is_pinned(i, variant->pinned);
		if (is_pinned(i, variant->pinned))
			stayed += same;
		else
			moved += !same;
	}
	EXPECT_EQ(variant->pinned ? N / 2 : 0, pins);
	EXPECT_EQ(pins, stayed);
	EXPECT_EQ(N - pins, moved);
	EXPECT_LE(N - pins, mm_delta(self->snap, "pgmigrate_success"));
	/* Whether pinned pages are tried at all is for the relations of the changes: mm-changes/. */
	EXPECT_GE(others + 1 + pins, mm_delta(self->snap, "pgmigrate_fail"));
	EXPECT_EQ(-1, mm_check(self->p, LEN, 1));
	mm_report("moved", moved);
}

TEST_HARNESS_MAIN
