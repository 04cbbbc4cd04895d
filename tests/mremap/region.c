// SPDX-License-Identifier: GPL-2.0
/*
 * What a move costs by the size of the region, in MB, which is the number at the end of each name. UML notes each entry
 * that it sets under sync_tlb_lock, so that this class counts the entries that were moved one by one.
 */
#include "kselftest_harness.h"
#include "mremap.h"

#define SEED	1
#define LATER	2
#define EVERY	32		/* pages: each so-many-th is there in a sparse region, and written and looked at in any */
#define STEP	(EVERY * PAGE)
#define STAMP	64		/* bytes of it */

static const char *const region_cost[] = {
	"lock:&anon_vma->rwsem", "lock:&mm->page_table_lock", "lock:&mm->context.sync_tlb_lock", NULL
};

FIXTURE(region)
{
	char *old, *new;
	size_t len;
	uint64_t *was, *is;		/* page frames, one for each page of the region */
};

FIXTURE_VARIANT(region)
{
	size_t mb;
	size_t old, new;		/* offsets past a multiple of PUD_SIZE */
	bool sparse;
};

#define ADD(name, ...) FIXTURE_VARIANT_ADD(region, name) { __VA_ARGS__ }

/* all pages, placed alike: whole page tables */
ADD(all_2,	2, PMD_SIZE, PMD_SIZE, false);
ADD(all_16,	16, PMD_SIZE, PMD_SIZE, false);
ADD(all_64,	64, PMD_SIZE, PMD_SIZE, false);
/* 1 GB at a multiple of 1 GB: a whole PMD table; sparse, for more memory than a guest has */
ADD(sparse_1024, 1024, 0, 0, true);
/* control: no common alignment */
ADD(control_16,	16, PMD_SIZE, PMD_SIZE + PAGE, false);

FIXTURE_SETUP(region)
{
	char *base = free_range(4 * PUD_SIZE, PUD_SIZE);

	self->len = variant->mb * MB;
	self->was = calloc(self->len / PAGE, sizeof(uint64_t));
	self->is = calloc(self->len / PAGE, sizeof(uint64_t));
	ASSERT_TRUE(base && self->was && self->is);
	self->old = base + variant->old;
	self->new = base + 2 * PUD_SIZE + variant->new;
	ASSERT_EQ(self->old, map_at(self->old, self->len));
	if (!variant->sparse)
		ASSERT_EQ(0, madvise(self->old, self->len, MADV_POPULATE_WRITE));
	for (size_t i = 0; i < self->len; i += STEP)
		mm_fill_from(self->old + i, STAMP, SEED, i);
}

FIXTURE_TEARDOWN(region)
{
	munmap(self->old, self->len);
	munmap(self->new, self->len);
	free(self->was);
	free(self->is);
}

/* all pages arrive in their frames with their bytes, none is left behind: what the move cost */
TEST_F(region, move)
{
	long lost = 0, left = 0, unwritten = 0, pages = 0, other = 0;
	struct mm_cost *cost;
	char *at;

	ASSERT_EQ(0, mm_pfns(0, self->old, self->was, self->len / PAGE));
	cost = mm_cost_begin(region_cost);
	ASSERT_NE(NULL, cost);
	at = move(self->old, self->len, self->new);
	mm_cost_end(cost);
	ASSERT_EQ(self->new, at);
	left = mm_count_present(0, self->old, self->len);
	ASSERT_EQ(0, mm_pfns(0, at, self->is, self->len / PAGE));
	for (size_t n = 0; n < self->len / PAGE; n++) {
		bool there = !variant->sparse || n % EVERY == 0;

		other += !self->was[n] == there || self->was[n] != self->is[n];
		pages += there;
	}
	for (size_t i = 0; i < self->len; i += STEP) {
		lost += mm_check_from(at + i, STAMP, SEED, i) != -1;
		mm_fill_from(at + i, STAMP, LATER, i);
		unwritten += mm_check_from(at + i, STAMP, LATER, i) != -1;
	}
	EXPECT_EQ(0, other);
	EXPECT_EQ(0, lost);
	EXPECT_EQ(0, left);
	EXPECT_EQ(0, unwritten);
	EXPECT_NE(0, mm_probe_read(self->old));
	EXPECT_NE(0, mm_probe_read(self->old + self->len - PAGE));
	mm_report("pages", pages);
}

TEST_HARNESS_MAIN
