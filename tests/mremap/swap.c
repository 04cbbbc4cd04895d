// SPDX-License-Identifier: GPL-2.0
/* mremap() of memory that is in swap: the entries move, the pages stay in swap, and come back there. */
#include "kselftest_harness.h"
#include "mremap.h"

#define SEED	1
#define LATER	2
#define MAX	(PMD_SIZE / PAGE + 32)

FIXTURE(out) {
	char *old, *new;
	size_t len, pages;
	struct mm_page page[MAX];	/* entries before the move */
	struct mm_cgroup cg;		/* of the region's pages: its counters are nobody else's */
};

FIXTURE_VARIANT(out) {
	size_t len, old, new;	/* offsets past a multiple of PMD_SIZE */
};

FIXTURE_VARIANT_ADD(out, page) { .len = 32 * PAGE, .old = 3 * PAGE, .new = 500 * PAGE };
FIXTURE_VARIANT_ADD(out, pmd) { .len = PMD_SIZE };
FIXTURE_VARIANT_ADD(out, mutual) { .len = PMD_SIZE, .old = 488 * PAGE, .new = 488 * PAGE };

/* Every eighth page is used: swap is slow. */
#define STEP	(8 * PAGE)

/* Swap slots in use by the pages of the group. */
static long slots(const struct mm_cgroup *cg)
{
	return mm_cgroup_read(cg, "memory.swap.current") / (long)PAGE;
}

static long look(const FIXTURE_DATA(out) *self, char *p, struct mm_page *page)
{
	int err = 0;

	for (size_t at = 0; at < self->len && !err; at += STEP)
		err = mm_page(0, p + at, &page[at / PAGE]);
	return err;
}

static void fill(const FIXTURE_DATA(out) *self, char *p, uint64_t seed)
{
	for (size_t at = 0; at < self->len; at += STEP)
		mm_fill_from(p + at, PAGE, seed, at);
}

static long wrong(const FIXTURE_DATA(out) *self, char *p, uint64_t seed)
{
	long bad = 0;

	for (size_t at = 0; at < self->len; at += STEP)
		bad += mm_check_from(p + at, PAGE, seed, at) != -1;
	return bad;
}

FIXTURE_SETUP(out)
{
	char *room;

	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	self->len = variant->len;
	self->pages = variant->len / STEP;
	ASSERT_EQ(0, mm_cgroup_create(&self->cg, "mremap-swap"));
	room = free_range(6 * PMD_SIZE, PMD_SIZE);
	ASSERT_NE(NULL, room);
	self->old = room + variant->old;
	self->new = room + 3 * PMD_SIZE + variant->new;
	ASSERT_EQ(self->old, map_at(self->old, self->len));
	ASSERT_EQ(0, mm_cgroup_enter(&self->cg));
	fill(self, self->old, SEED);
	ASSERT_EQ(0, mm_cgroup_leave());
	ASSERT_EQ(0, mm_pageout(self->old, self->len));
	ASSERT_EQ(self->pages, mm_count_swapped(0, self->old, self->len));
	ASSERT_EQ(self->pages, slots(&self->cg));
	ASSERT_EQ(0, look(self, self->old, self->page));
}

FIXTURE_TEARDOWN(out)
{
	munmap(self->old, self->len);
	munmap(self->new, self->len);
	EXPECT_EQ(0, slots(&self->cg));
	EXPECT_EQ(0, mm_cgroup_remove(&self->cg));
}

/* the same entries are at the new place, nothing was read for that, and the bytes come back there */
TEST_F(out, moves)
{
	struct mm_page now[MAX];

	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	EXPECT_EQ(self->pages, mm_count_swapped(0, self->new, self->len));
	EXPECT_EQ(self->pages, slots(&self->cg));
	EXPECT_EQ((long)(self->pages * PAGE / KB), mm_smaps(0, self->new, "Swap"));
	ASSERT_EQ(0, look(self, self->new, now));
	for (size_t at = 0; at < self->len; at += STEP) {
		EXPECT_EQ(self->page[at / PAGE].swap_offset, now[at / PAGE].swap_offset);
		EXPECT_EQ(self->page[at / PAGE].swap_type, now[at / PAGE].swap_type);
	}
	EXPECT_EQ(0, wrong(self, self->new, SEED));
	EXPECT_EQ(self->pages, mm_count_present(0, self->new, self->len));
	fill(self, self->new, LATER);
	for (size_t at = 0; at < self->len; at += STEP)
		EXPECT_EQ(-1, kernel_check_from(self->new + at, PAGE, LATER, at));
	EXPECT_TRUE(!mm_vma_count(0, self->old, self->len) && !reachable(self->old, PAGE));
}

/* munmap() at the new place frees the swap slots */
TEST_F(out, munmap)
{
	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	ASSERT_EQ(0, munmap(self->new, self->len / 2));
	EXPECT_EQ(self->pages / 2, slots(&self->cg));
	ASSERT_EQ(0, munmap(self->new + self->len / 2, self->len / 2));
	EXPECT_EQ(0, slots(&self->cg));
}

/* swapoff finds the entries at the new place: all pages are there, with their bytes */
TEST_F(out, swapoff)
{
	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	ASSERT_EQ(0, mm_swap_cycle());
	EXPECT_EQ(0, mm_count_swapped(0, self->new, self->len));
	EXPECT_EQ(self->pages, mm_count_present(0, self->new, self->len));
	EXPECT_EQ(0, wrong(self, self->new, SEED));
	fill(self, self->new, LATER);
	EXPECT_EQ(0, wrong(self, self->new, LATER));
}

/* a page that was the region's alone still is when it comes back: a write after a read does not copy it */
TEST_F(out, exclusive)
{
	struct mm_page page;
	uint64_t pfn;

	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	for (size_t at = 0; at < self->len; at += 4 * STEP) {
		ASSERT_EQ(-1, mm_check_from(self->new + at, PAGE, SEED, at));
		ASSERT_EQ(0, mm_page(0, self->new + at, &page));
		pfn = page.pfn;
		EXPECT_TRUE(page.present && page.exclusive);
		mm_fill_from(self->new + at, PAGE, LATER, at);
		EXPECT_EQ(pfn, mm_pfn(0, self->new + at));
		EXPECT_EQ(-1, kernel_check_from(self->new + at, PAGE, LATER, at));
	}
}

static int child_reads(void *arg)
{
	FIXTURE_DATA(out) *self = arg;

	return wrong(self, self->old, SEED) ? 1 : 0;
}

static int child_writes(void *arg)
{
	FIXTURE_DATA(out) *self = arg;

	fill(self, self->old, LATER + 1);
	return wrong(self, self->old, LATER + 1) ? 1 : 0;
}

/* entries shared with a child move in the parent only: both get their bytes, at their own places */
TEST_F(out, fork)
{
	struct mm_tree *t;

	t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, t);
	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	EXPECT_EQ(self->pages, mm_count_swapped(0, self->new, self->len));
	EXPECT_EQ(self->pages, mm_count_swapped(mm_tree_pid(t, 0), self->old, self->len));
	EXPECT_EQ(self->pages, slots(&self->cg));
	/* Half is read before the child writes, half after it. */
	for (size_t at = 0; at < self->len / 2; at += STEP)
		EXPECT_EQ(-1, mm_check_from(self->new + at, PAGE, SEED, at));
	EXPECT_EQ(0, mm_tree_call(t, 0, child_reads, self));
	EXPECT_EQ(0, mm_tree_call(t, 0, child_writes, self));
	EXPECT_EQ(0, wrong(self, self->new, SEED));
	fill(self, self->new, LATER);
	EXPECT_EQ(0, wrong(self, self->new, LATER));
	mm_tree_end(t);
}

/* what is in memory and what is in swap keep to themselves, page by page */
TEST_F(out, mixed)
{
	uint64_t pfn[MAX] = { 0 };
	struct mm_page now[MAX];

	/* Every second of the pages comes back and is changed. */
	for (size_t at = 0; at < self->len; at += 2 * STEP) {
		mm_fill_from(self->old + at, PAGE, LATER, at);
		pfn[at / PAGE] = mm_pfn(0, self->old + at);
		ASSERT_NE(0, pfn[at / PAGE]);
	}
	/* Read-ahead may have mapped others, too. */
	ASSERT_EQ(0, look(self, self->old, self->page));
	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	ASSERT_EQ(0, look(self, self->new, now));
	for (size_t at = 0; at < self->len; at += STEP) {
		struct mm_page *was = &self->page[at / PAGE], *is = &now[at / PAGE];

		EXPECT_EQ(was->present, is->present);
		EXPECT_EQ(was->pfn, is->pfn);
		EXPECT_EQ(was->swap_offset, is->swap_offset);
		EXPECT_EQ(-1, mm_check_from(self->new + at, PAGE, at % (2 * STEP) ? SEED : LATER, at));
	}
}

/* pages of shared memory that are in swap have no entry to move: the new place finds them all the same */
TEST(shmem)
{
	size_t len = 32 * PAGE;
	char *old, *new;
	struct mm_cgroup cg;

	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	ASSERT_EQ(0, mm_cgroup_create(&cg, "mremap-shmem"));
	old = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, old);
	ASSERT_EQ(0, mm_cgroup_enter(&cg));
	mm_fill(old, len, SEED);
	ASSERT_EQ(0, mm_cgroup_leave());
	ASSERT_EQ(0, mm_pageout(old, len));
	ASSERT_EQ(len / PAGE, slots(&cg));
	new = free_range(len, PMD_SIZE);
	ASSERT_EQ(new, move(old, len, new));
	EXPECT_EQ(0, mm_count_present(0, new, len));
	EXPECT_EQ(len / PAGE, slots(&cg));
	EXPECT_EQ(-1, mm_check(new, len, SEED));
	mm_fill(new, len, LATER);
	EXPECT_EQ(-1, kernel_check(new, len, LATER));
	ASSERT_EQ(0, munmap(new, len));
	EXPECT_EQ(0, slots(&cg));
	EXPECT_EQ(0, mm_cgroup_remove(&cg));
}

FIXTURE(after) {
	char *old, *new;
	size_t len;
};

FIXTURE_VARIANT(after) {
	size_t unit, old, new, len;
};

FIXTURE_VARIANT_ADD(after, page) { .unit = PMD_SIZE, .old = 3 * PAGE, .new = 5 * PAGE, .len = 256 * PAGE };
FIXTURE_VARIANT_ADD(after, pmd) { .unit = PMD_SIZE, .len = 2 * PMD_SIZE };
FIXTURE_VARIANT_ADD(after, mutual) {
	.unit = PMD_SIZE, .old = 480 * PAGE, .new = 480 * PAGE, .len = PMD_SIZE + 64 * PAGE,
};
FIXTURE_VARIANT_ADD(after, pud) { .unit = PUD_SIZE, .len = PUD_SIZE };

FIXTURE_SETUP(after)
{
	size_t room = (variant->len / variant->unit + 2) * variant->unit;
	char *base = free_range(2 * room, variant->unit);

	ASSERT_NE(NULL, base);
	self->len = variant->len;
	self->old = base + variant->old;
	self->new = base + room + variant->new;
	ASSERT_EQ(self->old, map_at(self->old, self->len));
}

FIXTURE_TEARDOWN(after)
{
	munmap(self->new, self->len);
}

/* reclaim finds pages at the place that their table was moved to: all go to swap and come back */
TEST_F(after, reclaim)
{
	size_t step = self->len / 32;

	NEED(mm_need_swap());
	for (size_t at = 0; at < self->len; at += step)
		mm_fill_from(self->old + at, PAGE, SEED, at);
	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	for (size_t at = 0; at < self->len; at += step)
		ASSERT_EQ(0, mm_pageout(self->new + at, PAGE));
	EXPECT_EQ(32 * PAGE / KB, mm_smaps(0, self->new, "Swap"));
	EXPECT_EQ(0, mm_smaps(0, self->new, "Rss"));
	for (size_t at = 0; at < self->len; at += step) {
		EXPECT_EQ(-1, mm_check_from(self->new + at, PAGE, SEED, at));
		mm_fill_from(self->new + at, PAGE, LATER, at);
		EXPECT_EQ(-1, kernel_check_from(self->new + at, PAGE, LATER, at));
	}
}

TEST_HARNESS_MAIN
