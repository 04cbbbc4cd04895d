// SPDX-License-Identifier: GPL-2.0
/* mremap() of memory that is shared with other processes since fork(): each has its place for one frame. */
#include "kselftest_harness.h"
#include "mremap.h"

#define SEED	1
#define CHILD	2
#define PARENT	3

FIXTURE(shared) {
	char *old, *new;
	size_t len, pages;
	uint64_t pfn[PMD_SIZE / PAGE];
	struct mm_tree *tree;
	struct mm_cgroup cg;
};

FIXTURE_VARIANT(shared) {
	size_t len, old, new;	/* offsets past a multiple of PMD_SIZE */
};

FIXTURE_VARIANT_ADD(shared, page) { .len = 16 * PAGE, .old = 3 * PAGE, .new = 8 * PAGE };
FIXTURE_VARIANT_ADD(shared, pmd) { .len = PMD_SIZE };
FIXTURE_VARIANT_ADD(shared, mutual) { .len = PMD_SIZE, .old = 504 * PAGE, .new = 504 * PAGE };

FIXTURE_SETUP(shared)
{
	char *room;

	self->len = variant->len;
	self->pages = variant->len / PAGE;
	room = free_range(8 * PMD_SIZE, PMD_SIZE);
	ASSERT_NE(NULL, room);
	self->old = room + variant->old;
	self->new = room + 3 * PMD_SIZE + variant->new;
	ASSERT_EQ(self->old, map_at(self->old, self->len));
	fill_new(self->old, self->len, SEED);
	ASSERT_EQ(0, mm_pfns(0, self->old, self->pfn, self->pages));
}

FIXTURE_TEARDOWN(shared)
{
	if (self->tree)
		mm_tree_end(self->tree);
	if (!self->cg.path[0])
		return;
	munmap(self->new, self->len);
	EXPECT_EQ(0, mm_cgroup_remove(&self->cg));
}

/* How many pages at @p have other frames than before all this. */
static long changed(const FIXTURE_DATA(shared) *self, char *p)
{
	uint64_t now[PMD_SIZE / PAGE];

	return mm_pfns(0, p, now, self->pages) ? -1 : other_frames(self->pfn, now, self->pages);
}

/* Write one page in eight. */
static void write_some(const FIXTURE_DATA(shared) *self, char *p, uint64_t seed)
{
	for (size_t at = 0; at < self->len; at += 8 * PAGE)
		mm_fill_from(p + at, PAGE, seed, at);
}

/* Pages that do not have the pattern of @seed if they are one in eight, and of SEED if not. */
static long wrong_some(const FIXTURE_DATA(shared) *self, char *p, uint64_t seed)
{
	long bad = 0;

	for (size_t at = 0; at < self->len; at += PAGE)
		bad += mm_check_from(p + at, PAGE, at % (8 * PAGE) ? SEED : seed, at) != -1;
	return bad;
}

/* What the members of a tree are asked, in terms of the place where they have the region. */
static int at_old(void *arg)
{
	FIXTURE_DATA(shared) *self = arg;

	if (wrong_some(self, self->old, SEED))
		return 1;
	return changed(self, self->old) ? 2 : 0;
}

static int bytes_at_old(void *arg)
{
	FIXTURE_DATA(shared) *self = arg;

	return wrong_some(self, self->old, SEED) ? 1 : 0;
}

static int write_at_old(void *arg)
{
	FIXTURE_DATA(shared) *self = arg;

	write_some(self, self->old, CHILD);
	return wrong_some(self, self->old, CHILD) || kernel_check(self->old, PAGE, CHILD) != -1;
}

static int move_to_new(void *arg)
{
	FIXTURE_DATA(shared) *self = arg;

	if (move(self->old, self->len, self->new) != self->new)
		return 1;
	if (wrong_some(self, self->new, SEED) || changed(self, self->new))
		return 2;
	return gone(self->old, 4 * PAGE) ? 0 : 3;
}

static int write_at_new(void *arg)
{
	FIXTURE_DATA(shared) *self = arg;

	write_some(self, self->new, CHILD);
	return wrong_some(self, self->new, CHILD) || kernel_check(self->new, PAGE, CHILD) != -1;
}

/* the parent moves: the child keeps its place, both share the frames until one of them writes */
TEST_F(shared, parent_moves)
{
	self->tree = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->tree);
	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	EXPECT_EQ(0, changed(self, self->new));
	EXPECT_EQ(2, mm_kpagecount(self->pfn[0]));
	EXPECT_EQ(2, mm_kpagecount(self->pfn[self->pages - 1]));
	EXPECT_EQ(0, mm_tree_call(self->tree, 0, at_old, self));
	EXPECT_EQ(0, wrong_some(self, self->new, SEED));
	/* The parent's write gives it frames of its own; the child keeps the old ones, alone. */
	write_some(self, self->new, PARENT);
	EXPECT_EQ((self->pages + 7) / 8, changed(self, self->new));
	EXPECT_EQ(1, mm_kpagecount(self->pfn[0]));
	EXPECT_EQ(0, mm_tree_call(self->tree, 0, at_old, self));
	EXPECT_EQ(0, mm_tree_call(self->tree, 0, write_at_old, self));
	EXPECT_EQ(0, wrong_some(self, self->new, PARENT));
	EXPECT_EQ(-1, kernel_check(self->new, PAGE, PARENT));
}

/* the child moves and writes: the parent keeps place, frames and bytes */
TEST_F(shared, child_moves)
{
	self->tree = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->tree);
	EXPECT_EQ(0, mm_tree_call(self->tree, 0, move_to_new, self));
	EXPECT_EQ(2, mm_kpagecount(self->pfn[0]));
	EXPECT_EQ(0, at_old(self));
	EXPECT_EQ(0, mm_tree_call(self->tree, 0, write_at_new, self));
	EXPECT_EQ(0, at_old(self));
	EXPECT_EQ(1, mm_kpagecount(self->pfn[0]));
	EXPECT_EQ(2, mm_kpagecount(self->pfn[1]));
	/* When the child is gone, its parent writes without a copy. */
	mm_tree_end(self->tree);
	self->tree = NULL;
	write_some(self, self->old, PARENT);
	EXPECT_EQ(0, changed(self, self->old));
	EXPECT_EQ(0, wrong_some(self, self->old, PARENT));
}

static int move_by_level(void *arg)
{
	FIXTURE_DATA(shared) *self = arg;
	char *to = self->new + PAGE;

	/* Not where the others have moved. */
	if (move(self->old, self->len, to) != to)
		return 1;
	return wrong_some(self, to, SEED) || changed(self, to) ? 2 : 0;
}

static int write_by_level(void *arg)
{
	FIXTURE_DATA(shared) *self = arg;

	write_some(self, self->new + PAGE, CHILD);
	return wrong_some(self, self->new + PAGE, CHILD) ? 1 : 0;
}

/* parent, child and grandchild at places of their own: one frame, three mappings, three contents later */
TEST_F(shared, three_places)
{
	self->tree = mm_tree_fork(2, 1, NULL, NULL);
	ASSERT_NE(NULL, self->tree);
	EXPECT_EQ(3, mm_kpagecount(self->pfn[0]));
	EXPECT_EQ(0, mm_tree_call(self->tree, 1, move_by_level, self));
	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	EXPECT_EQ(3, mm_kpagecount(self->pfn[0]));
	EXPECT_EQ(0, mm_tree_call(self->tree, 1, write_by_level, self));
	write_some(self, self->new, PARENT);
	EXPECT_EQ(1, mm_kpagecount(self->pfn[0]));
	EXPECT_EQ(0, mm_tree_call(self->tree, 0, at_old, self));
	EXPECT_EQ(0, wrong_some(self, self->new, PARENT));
	EXPECT_EQ(0, mm_tree_call(self->tree, 0, write_at_old, self));
	EXPECT_EQ(0, wrong_some(self, self->new, PARENT));
}

static int swapped_at_old(void *arg)
{
	FIXTURE_DATA(shared) *self = arg;

	return mm_count_swapped(0, self->old, self->len) == self->pages ? 0 : 1;
}

/* reclaim finds one frame at two places in two processes: both lose it to swap, and both get it back */
TEST_F(shared, reclaim)
{
	long out = 0;

	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	/* Pages belong to the group in which they were touched: the region is made again, in a group. */
	ASSERT_EQ(0, mm_cgroup_create(&self->cg, "mremap-cow"));
	ASSERT_EQ(0, mm_cgroup_enter(&self->cg));
	ASSERT_EQ(0, madvise(self->old, self->len, MADV_DONTNEED));
	fill_new(self->old, self->len, SEED);
	ASSERT_EQ(0, mm_cgroup_leave());
	self->tree = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->tree);
	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	for (int i = 0; i < 16 && out < (long)self->pages; i++) {
		mm_lru_drain();
		mm_cgroup_reclaim(&self->cg, self->len);
		out = mm_count_swapped(0, self->new, self->len);
	}
	EXPECT_EQ(self->pages, out);
	EXPECT_EQ(0, mm_tree_call(self->tree, 0, swapped_at_old, self));
	EXPECT_EQ(0, wrong_some(self, self->new, SEED));
	write_some(self, self->new, PARENT);
	EXPECT_EQ(0, mm_tree_call(self->tree, 0, bytes_at_old, self));
	EXPECT_EQ(0, mm_tree_call(self->tree, 0, write_at_old, self));
	EXPECT_EQ(0, wrong_some(self, self->new, PARENT));
}

/* moved, forked, and moved again in both: places differ, frames do not */
TEST_F(shared, move_fork_move)
{
	char *again = self->new + 2 * PMD_SIZE + 16 * PAGE;

	ASSERT_EQ(again, move(self->old, self->len, again));
	ASSERT_EQ(self->old, move(again, self->len, self->old));
	self->tree = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->tree);
	EXPECT_EQ(0, mm_tree_call(self->tree, 0, move_to_new, self));
	ASSERT_EQ(again, move(self->old, self->len, again));
	EXPECT_EQ(0, changed(self, again));
	EXPECT_EQ(2, mm_kpagecount(self->pfn[0]));
	write_some(self, again, PARENT);
	EXPECT_EQ(0, mm_tree_call(self->tree, 0, write_at_new, self));
	EXPECT_EQ(0, wrong_some(self, again, PARENT));
}

/* a private file mapping after fork: copied pages are shared and moved like anonymous ones, the file stays */
TEST(private_file)
{
	FIXTURE_DATA(shared) self = { .len = 16 * PAGE, .pages = 16 };
	int fd = mm_tmpfile("/mnt", self.len);
	char *file;

	ASSERT_LE(0, fd);
	self.old = free_range(4 * PMD_SIZE, PMD_SIZE);
	self.new = self.old + 2 * PMD_SIZE + PAGE;
	ASSERT_NE(NULL, self.old);
	ASSERT_EQ(self.old, mmap(self.old, self.len, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_FIXED, fd, 0));
	mm_fill(self.old, self.len, SEED);
	ASSERT_EQ(0, mm_pfns(0, self.old, self.pfn, self.pages));
	self.tree = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self.tree);
	ASSERT_EQ(self.new, move(self.old, self.len, self.new));
	EXPECT_EQ(0, changed(&self, self.new));
	EXPECT_EQ(2, mm_kpagecount(self.pfn[3]));
	write_some(&self, self.new, PARENT);
	EXPECT_EQ(0, mm_tree_call(self.tree, 0, at_old, &self));
	EXPECT_EQ(0, mm_tree_call(self.tree, 0, write_at_old, &self));
	EXPECT_EQ(0, wrong_some(&self, self.new, PARENT));
	mm_tree_end(self.tree);
	file = mmap(NULL, self.len, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, file);
	EXPECT_EQ(-1, mm_check_byte(file, self.len, 0));
	close(fd);
}

TEST_HARNESS_MAIN
