// SPDX-License-Identifier: GPL-2.0
/* mremap() of merged pages: what moves gets copies of its own, what stays remains merged. */
#include "kselftest_harness.h"
#include <linux/kernel-page-flags.h>
#include "mremap.h"

#define SEED	77001
#define LATER	2

FIXTURE(merged) {
	char *a, *b, *to;	/* two regions of the same bytes, and where b goes */
	size_t len, pages;
	uint64_t pfn[PMD_SIZE / PAGE];
};

FIXTURE_VARIANT(merged) {
	size_t len, old, new;	/* offsets past a multiple of PMD_SIZE */
};

FIXTURE_VARIANT_ADD(merged, page) { .len = 16 * PAGE, .old = 3 * PAGE, .new = 7 * PAGE };
FIXTURE_VARIANT_ADD(merged, pmd) { .len = PMD_SIZE };

FIXTURE_SETUP(merged)
{
	char *room;

	NEED(mm_need_ksm());
	self->len = variant->len;
	self->pages = self->len / PAGE;
	room = free_range(10 * PMD_SIZE, PMD_SIZE);
	ASSERT_NE(NULL, room);
	self->a = room + PAGE;
	self->b = room + 3 * PMD_SIZE + variant->old;
	self->to = room + 6 * PMD_SIZE + variant->new;
	ASSERT_EQ(self->a, map_at(self->a, self->len));
	ASSERT_EQ(self->b, map_at(self->b, self->len));
	fill_new(self->a, self->len, SEED);
	fill_new(self->b, self->len, SEED);
	ASSERT_EQ(0, madvise(self->a, self->len, MADV_MERGEABLE));
	ASSERT_EQ(0, madvise(self->b, self->len, MADV_MERGEABLE));
	ASSERT_EQ(0, mm_ksm_scan(2));
	ASSERT_EQ(self->pages, mm_ksm_stat("pages_sharing"));
	ASSERT_EQ(0, mm_pfns(0, self->a, self->pfn, self->pages));
}

FIXTURE_TEARDOWN(merged)
{
	EXPECT_EQ(0, mm_ksm_unmerge_all());
	EXPECT_EQ(0, mm_ksm_stat("pages_sharing"));
}

/* How many pages at @p are not the merged ones, of the pages from number @first. */
static long unmerged(const FIXTURE_DATA(merged) *self, char *p, size_t first, size_t n)
{
	uint64_t now[PMD_SIZE / PAGE];

	return mm_pfns(0, p, now, n) ? -1 : other_frames(self->pfn + first, now, n);
}

/* the moved region has frames of its own with the same bytes, nothing is shared any more, the other stays */
TEST_F(merged, move)
{
	ASSERT_EQ(0, unmerged(self, self->b, 0, self->pages));
	ASSERT_TRUE(mm_is_ksm(self->pfn[0], true));
	ASSERT_EQ(self->to, move(self->b, self->len, self->to));
	EXPECT_EQ(self->pages, unmerged(self, self->to, 0, self->pages));
	EXPECT_EQ(self->pages, mm_count_present(0, self->to, self->len));
	EXPECT_EQ(-1, mm_check(self->to, self->len, SEED));
	EXPECT_EQ(0, unmerged(self, self->a, 0, self->pages));
	EXPECT_EQ(-1, mm_check(self->a, self->len, SEED));
	EXPECT_EQ(1, mm_kpagecount(self->pfn[0]));
	EXPECT_TRUE(mm_vmflag(0, self->to, "mg"));
	EXPECT_EQ(0, reachable(self->b, PAGE));
	EXPECT_EQ(0, reachable(self->b + self->len - PAGE, PAGE));
	mm_fill(self->to, self->len, LATER);
	EXPECT_EQ(-1, kernel_check(self->to, self->len, LATER));
	EXPECT_EQ(-1, mm_check(self->a, self->len, SEED));
}

/* the new place is still mergeable: the next scans merge it again, and a write breaks that again */
TEST_F(merged, merges_again)
{
	ASSERT_EQ(self->to, move(self->b, self->len, self->to));
	ASSERT_EQ(0, mm_ksm_scan(2));
	EXPECT_EQ(self->pages, mm_ksm_stat("pages_sharing"));
	EXPECT_EQ(0, unmerged(self, self->to, 0, self->pages));
	EXPECT_EQ(-1, mm_check(self->to, self->len, SEED));
	mm_fill(self->to, PAGE, LATER);
	EXPECT_EQ(1, unmerged(self, self->to, 0, self->pages));
	EXPECT_EQ(-1, kernel_check(self->to, PAGE, LATER));
	EXPECT_EQ(-1, mm_check(self->a, self->len, SEED));
}

/* a part of the region moves: that part is no longer merged, the rest still is */
TEST_F(merged, part)
{
	size_t half = self->pages / 2;

	ASSERT_EQ(self->to, move(self->b + half * PAGE, half * PAGE, self->to));
	EXPECT_EQ(half, unmerged(self, self->to, half, half));
	EXPECT_EQ(-1, mm_check_from(self->to, half * PAGE, SEED, half * PAGE));
	EXPECT_EQ(0, unmerged(self, self->b, 0, half));
	EXPECT_EQ(-1, mm_check(self->b, half * PAGE, SEED));
	EXPECT_EQ(0, unmerged(self, self->a, 0, self->pages));
	EXPECT_EQ(2, mm_kpagecount(self->pfn[0]));
	EXPECT_EQ(1, mm_kpagecount(self->pfn[half]));
}

static int child_checks(void *arg)
{
	FIXTURE_DATA(merged) *self = arg;

	if (unmerged(self, self->b, 0, self->pages) || mm_check(self->b, self->len, SEED) != -1)
		return 1;
	mm_fill(self->b, self->len, LATER);
	return mm_check(self->b, self->len, LATER) == -1 ? 0 : 2;
}

/* a child keeps the merged pages at the old place when its parent moves */
TEST_F(merged, fork)
{
	struct mm_tree *t = mm_tree_fork(1, 1, NULL, NULL);

	ASSERT_NE(NULL, t);
	ASSERT_EQ(self->to, move(self->b, self->len, self->to));
	/* Twice in the child, once in the parent. */
	EXPECT_EQ(3, mm_kpagecount(self->pfn[0]));
	EXPECT_EQ(0, mm_tree_call(t, 0, child_checks, self));
	EXPECT_EQ(-1, mm_check(self->to, self->len, SEED));
	EXPECT_EQ(-1, mm_check(self->a, self->len, SEED));
	mm_tree_end(t);
}

TEST_HARNESS_MAIN
