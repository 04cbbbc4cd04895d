// SPDX-License-Identifier: GPL-2.0
/* anon_vma_clone() and unlink_anon_vmas(): the links that split, merge, mremap and fork leave behind. */
#include "kselftest_harness.h"
#include "mm.h"

#define LEN	(9 * PAGE)
#define THIRD	(3 * PAGE)
#define RW	(PROT_READ | PROT_WRITE)
#define RWX	(PROT_READ | PROT_WRITE | PROT_EXEC)

/* Reclaim looks each page up through its anon_vma: 0 if it finds all of them and they come back right. */
static long lost(char *p, size_t len, uint64_t seed, size_t offset)
{
	long stay = mm_pageout(p, len);

	if (stay)
		return stay;
	if (mm_count_swapped(0, p, len) != (long)(len / PAGE))
		return -1;
	return mm_check_from(p, len, seed, offset) == -1 ? 0 : -2;
}

FIXTURE(region)
{
	struct mm_objects base;		/* with the one VMA, without an anon_vma */
	char *p;			/* LEN bytes */
	char *elsewhere;		/* LEN bytes, reserved */
};

FIXTURE_SETUP(region)
{
	self->p = mm_map_aligned(LEN, PAGE);
	self->elsewhere = mm_reserve(LEN, PAGE);
	ASSERT_NE(NULL, self->p);
	ASSERT_NE(NULL, self->elsewhere);
	self->base = mm_objects();
}

FIXTURE_TEARDOWN(region)
{
	munmap(self->p, LEN);
	munmap(self->elsewhere, LEN);
	EXPECT_OBJECTS(self->base, 0, 0, -2);
}

static void *move(char *from, size_t len, char *to, int more)
{
	return mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED | more, to);
}

/* a moved VMA has the links of the old one, which are gone, and reclaim finds its pages */
TEST_F(region, mremap_whole)
{
	mm_fill(self->p, LEN, 1);
	EXPECT_OBJECTS(self->base, 1, 1, 0);
	ASSERT_EQ(self->elsewhere, move(self->p, LEN, self->elsewhere, 0));
	/* The reservation was a VMA too. */
	EXPECT_OBJECTS(self->base, 1, 1, -1);
	EXPECT_EQ(0, lost(self->elsewhere, LEN, 1, 0));
}

/* moving the middle of a VMA leaves three with a link each to one anon_vma; moving it back, one with one */
TEST_F(region, mremap_middle)
{
	mm_fill(self->p, LEN, 1);
	ASSERT_EQ(self->elsewhere, move(self->p + THIRD, THIRD, self->elsewhere, 0));
	EXPECT_OBJECTS(self->base, 1, 3, 2);
	EXPECT_EQ(0, lost(self->p, THIRD, 1, 0));
	EXPECT_EQ(0, lost(self->elsewhere, THIRD, 1, THIRD));
	EXPECT_EQ(0, lost(self->p + 2 * THIRD, THIRD, 1, 2 * THIRD));
	ASSERT_EQ(self->p + THIRD, move(self->elsewhere, THIRD, self->p + THIRD, 0));
	EXPECT_EQ(1, mm_vma_count(0, self->p, LEN));
	EXPECT_OBJECTS(self->base, 1, 1, 0);
	EXPECT_EQ(0, lost(self->p, LEN, 1, 0));
}

/* a VMA without pages moves without links, and its first write at the new place allocates them */
TEST_F(region, mremap_unfaulted)
{
	ASSERT_EQ(self->elsewhere, move(self->p, LEN, self->elsewhere, 0));
	EXPECT_OBJECTS(self->base, 0, 0, -1);
	mm_fill(self->elsewhere, LEN, 1);
	EXPECT_OBJECTS(self->base, 1, 1, -1);
	EXPECT_EQ(0, lost(self->elsewhere, LEN, 1, 0));
}

/* MREMAP_DONTUNMAP of a whole VMA takes its links away, and the next write there allocates new ones */
TEST_F(region, dontunmap_whole)
{
	mm_fill(self->p, LEN, 1);
	ASSERT_EQ(self->elsewhere, move(self->p, LEN, self->elsewhere, MREMAP_DONTUNMAP));
	EXPECT_OBJECTS(self->base, 1, 1, 0);
	EXPECT_EQ(-1, mm_check_byte(self->p, LEN, 0));
	EXPECT_OBJECTS(self->base, 1, 1, 0);
	mm_fill(self->p, LEN, 2);
	EXPECT_OBJECTS(self->base, 2, 2, 0);
	EXPECT_EQ(0, lost(self->p, LEN, 2, 0));
	EXPECT_EQ(0, lost(self->elsewhere, LEN, 1, 0));
}

/* MREMAP_DONTUNMAP of a part of a VMA keeps the links of the old VMA, for the pages that stayed */
TEST_F(region, dontunmap_part)
{
	mm_fill(self->p, LEN, 1);
	ASSERT_EQ(self->elsewhere, move(self->p + THIRD, THIRD, self->elsewhere, MREMAP_DONTUNMAP));
	EXPECT_EQ(1, mm_vma_count(0, self->p, LEN));
	EXPECT_OBJECTS(self->base, 1, 2, 1);
	mm_fill(self->p + THIRD, THIRD, 2);
	EXPECT_OBJECTS(self->base, 1, 2, 1);
	EXPECT_EQ(0, lost(self->p, THIRD, 1, 0));
	EXPECT_EQ(0, lost(self->p + THIRD, THIRD, 2, 0));
	EXPECT_EQ(0, lost(self->p + 2 * THIRD, THIRD, 1, 2 * THIRD));
	EXPECT_EQ(0, lost(self->elsewhere, THIRD, 1, THIRD));
}

struct region {
	char *p, *elsewhere;
	int more;			/* flags of mremap() */
	struct mm_objects base, moved, written;
};

static int move_in_child(void *arg)
{
	struct region *r = arg;

	r->base = mm_objects();
	if (move(r->p, LEN, r->elsewhere, r->more) != r->elsewhere)
		return 1;
	r->moved = mm_objects_since(&r->base);
	/* The parent's pages, and copies of the first three that belong to the child alone. */
	if (mm_check(r->elsewhere, LEN, 1) != -1)
		return 2;
	mm_fill(r->elsewhere, THIRD, 3);
	r->written = mm_objects_since(&r->base);
	return lost(r->elsewhere, THIRD, 3, 0) ? 3 : 0;
}

FIXTURE(child_moves)
{
	struct region *r;		/* shared */
};

FIXTURE_VARIANT(child_moves)
{
	int more;
	long vmas;			/* that the move adds */
};

FIXTURE_VARIANT_ADD(child_moves, mremap) { .vmas = -1 };
FIXTURE_VARIANT_ADD(child_moves, dontunmap) { .more = MREMAP_DONTUNMAP };

FIXTURE_SETUP(child_moves)
{
	self->r = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->r);
	self->r->p = mm_map_aligned(LEN, PAGE);
	self->r->elsewhere = mm_reserve(LEN, PAGE);
	self->r->more = variant->more;
	ASSERT_NE(NULL, self->r->p);
	ASSERT_NE(NULL, self->r->elsewhere);
}

FIXTURE_TEARDOWN(child_moves)
{
}

/* in a child, all links to its ancestors' anon_vmas move with the VMA */
TEST_F(child_moves, keeps_ancestors)
{
	struct region *r = self->r;
	struct mm_objects base = mm_objects();
	uint64_t pfn[9], after[9];

	mm_fill(r->p, LEN, 1);
	ASSERT_EQ(0, mm_pfns(0, r->p, pfn, 9));
	EXPECT_EQ(0, mm_in_child(move_in_child, r));
	EXPECT_EQ(0, r->moved.anon_vma);
	EXPECT_EQ(0, r->moved.chain);
	EXPECT_EQ(variant->vmas, r->moved.vma);
	EXPECT_EQ(0, r->written.anon_vma);
	EXPECT_EQ(0, r->written.chain);
	/* Nothing of it touched the parent. */
	EXPECT_EQ(-1, mm_check(r->p, LEN, 1));
	ASSERT_EQ(0, mm_pfns(0, r->p, after, 9));
	EXPECT_EQ(0, memcmp(pfn, after, sizeof(pfn)));
	EXPECT_OBJECTS(base, 1, 1, 0);
}

FIXTURE(merge)
{
	struct mm_objects base;
	char *p;			/* three VMAs of THIRD bytes, of which the middle one is RWX */
};

/* Which of the three VMAs are written before the middle becomes like the others. */
FIXTURE_VARIANT(merge)
{
	bool written[3];
	long anon_vmas, before;		/* objects before */
	long vmas;			/* that remain, and links */
};

FIXTURE_VARIANT_ADD(merge, none) { .vmas = 1 };
FIXTURE_VARIANT_ADD(merge, middle) {
	.written = { false, true, false }, .anon_vmas = 1, .before = 1, .vmas = 1,
};
FIXTURE_VARIANT_ADD(merge, prev) {
	.written = { true, false, false }, .anon_vmas = 1, .before = 1, .vmas = 1,
};
FIXTURE_VARIANT_ADD(merge, next) {
	.written = { false, false, true }, .anon_vmas = 1, .before = 1, .vmas = 1,
};
FIXTURE_VARIANT_ADD(merge, prev_and_middle) {
	.written = { true, true, false }, .anon_vmas = 1, .before = 2, .vmas = 1,
};
FIXTURE_VARIANT_ADD(merge, middle_and_next) {
	.written = { false, true, true }, .anon_vmas = 1, .before = 2, .vmas = 1,
};
FIXTURE_VARIANT_ADD(merge, all) {
	.written = { true, true, true }, .anon_vmas = 1, .before = 3, .vmas = 1,
};
/* They were not neighbours when they were written: two anon_vmas, which cannot become one. */
FIXTURE_VARIANT_ADD(merge, prev_and_next) {
	.written = { true, false, true }, .anon_vmas = 2, .before = 2, .vmas = 2,
};

/* Whether a VMA with pages becomes one with a neighbour that has none. */
static const char *need_merge(void)
{
	char *p = mm_map_aligned(2 * PAGE, PAGE);
	int vmas = 1;

	if (p && !mprotect(p + PAGE, PAGE, RWX)) {
		p[PAGE] = 1;
		vmas = mprotect(p + PAGE, PAGE, RW) ? 1 : mm_vma_count(0, p, 2 * PAGE);
	}
	munmap(p, 2 * PAGE);
	return vmas == 1 ? NULL : "a VMA with pages that merges with one that has none";
}

FIXTURE_SETUP(merge)
{
	const bool *written = variant->written;

	/* If the two neighbours have pages it is they that take it in. */
	NEED(written[1] && !(written[0] && written[2]) ? need_merge() : NULL);
	self->p = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, self->p);
	self->base = mm_objects();
	ASSERT_EQ(0, mprotect(self->p + THIRD, THIRD, RWX));
	for (int i = 0; i < 3; i++)
		if (variant->written[i])
			mm_fill_from(self->p + i * THIRD, THIRD, 1, i * THIRD);
	EXPECT_OBJECTS(self->base, variant->anon_vmas, variant->before, 2);
}

FIXTURE_TEARDOWN(merge)
{
	munmap(self->p, LEN);
	EXPECT_OBJECTS(self->base, 0, 0, -1);
}

/* VMAs that become one have one link to one anon_vma, and reclaim finds the pages of all of them */
TEST_F(merge, mprotect)
{
	bool any = variant->anon_vmas;

	ASSERT_EQ(0, mprotect(self->p + THIRD, THIRD, RW));
	EXPECT_EQ(variant->vmas, mm_vma_count(0, self->p, LEN));
	EXPECT_OBJECTS(self->base, variant->anon_vmas, any ? variant->vmas : 0, variant->vmas - 1);
	for (int i = 0; i < 3; i++)
		if (!variant->written[i])
			mm_fill_from(self->p + i * THIRD, THIRD, 1, i * THIRD);
	EXPECT_OBJECTS(self->base, any ? variant->anon_vmas : 1, variant->vmas, variant->vmas - 1);
	EXPECT_EQ(0, lost(self->p, LEN, 1, 0));
}

FIXTURE(mmap_merge)
{
	struct mm_objects base;
	char *p;			/* LEN bytes, with a hole of THIRD bytes */
};

FIXTURE_VARIANT(mmap_merge)
{
	int hole;			/* which third */
};

FIXTURE_VARIANT_ADD(mmap_merge, below) { .hole = 0 };
FIXTURE_VARIANT_ADD(mmap_merge, between) { .hole = 1 };
FIXTURE_VARIANT_ADD(mmap_merge, above) { .hole = 2 };

FIXTURE_SETUP(mmap_merge)
{
	self->p = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, self->p);
	self->base = mm_objects();
	mm_fill(self->p, LEN, 1);
	ASSERT_EQ(0, munmap(self->p + variant->hole * THIRD, THIRD));
}

FIXTURE_TEARDOWN(mmap_merge)
{
	munmap(self->p, LEN);
	EXPECT_OBJECTS(self->base, 0, 0, -1);
}

static char *fill_hole(char *hole)
{
	return mmap(hole, THIRD, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

/* a new mapping beside a written VMA is merged into it and uses its anon_vma */
TEST_F(mmap_merge, same_process)
{
	char *hole = self->p + variant->hole * THIRD;

	ASSERT_EQ(hole, fill_hole(hole));
	EXPECT_EQ(1, mm_vma_count(0, self->p, LEN));
	EXPECT_OBJECTS(self->base, 1, 1, 0);
	EXPECT_EQ(-1, mm_check_byte(hole, THIRD, 0));
	mm_fill_from(hole, THIRD, 1, hole - self->p);
	EXPECT_OBJECTS(self->base, 1, 1, 0);
	EXPECT_EQ(0, lost(self->p, LEN, 1, 0));
}

struct hole {
	char *p, *hole;
};

static int map_beside_inherited(void *arg)
{
	struct hole *h = arg;
	int vmas = mm_vma_count(0, h->p, LEN);
	struct mm_objects base = mm_objects(), grown;

	if (fill_hole(h->hole) != h->hole)
		return 101;
	*h->hole = 1;
	grown = mm_objects_since(&base);
	if (mm_vma_count(0, h->p, LEN) != vmas + 1)
		return 102;
	return grown.anon_vma * 10 + grown.chain;
}

/* a new mapping beside a VMA that came through fork() stays alone, with an anon_vma and a link of its own */
TEST_F(mmap_merge, not_in_child)
{
	struct hole h = { .p = self->p, .hole = self->p + variant->hole * THIRD };

	EXPECT_EQ(11, mm_in_child(map_beside_inherited, &h));
}

/*
 * anon_vma_clone() of 7.0 and later reverses the order of the links, while unlink_anon_vmas() says that it
 * depends on it. Clones of clones have the links in every order; the processes go in every order too.
 */
#define DEPTH	5

FIXTURE(exit_order)
{
	struct mm_objects base;
	struct mm_tree *tree;
	char *p;			/* a page for each level */
};

/* Level 0 is the test itself, which unmaps the region instead of exiting. */
FIXTURE_VARIANT(exit_order)
{
	bool split;			/* each level splits the VMA in two */
	int order[DEPTH + 1];
};

FIXTURE_VARIANT_ADD(exit_order, oldest_first) { .order = { 0, 1, 2, 3, 4, 5 } };
FIXTURE_VARIANT_ADD(exit_order, newest_first) { .order = { 5, 4, 3, 2, 1, 0 } };
FIXTURE_VARIANT_ADD(exit_order, inside_out) { .order = { 2, 3, 1, 4, 0, 5 } };
FIXTURE_VARIANT_ADD(exit_order, split_oldest_first) { .split = true, .order = { 0, 1, 2, 3, 4, 5 } };
FIXTURE_VARIANT_ADD(exit_order, split_newest_first) { .split = true, .order = { 5, 4, 3, 2, 1, 0 } };
FIXTURE_VARIANT_ADD(exit_order, split_inside_out) { .split = true, .order = { 3, 2, 4, 1, 5, 0 } };

static struct chain {
	char *p;
	bool split;
	unsigned int level;
} chain;				/* each process has its own */

/* Each process has its own copy of the page of its level, and inherits those of the levels above. */
static void own_page(unsigned int level, void *arg)
{
	chain.level = level;
	mm_fill(chain.p + level * PAGE, PAGE, level);
	if (chain.split)
		mprotect(chain.p + level * PAGE, (DEPTH + 1 - level) * PAGE, level % 2 ? RWX : RW);
}

/* How many pages are not what the process has to see. */
static int wrong_pages(void *arg)
{
	int n = 0;

	for (unsigned int i = 0; i <= DEPTH; i++)
		n += mm_check(chain.p + i * PAGE, PAGE, i <= chain.level ? i : 0) != -1;
	return n;
}

/* The last process maps all its pages alone: the anon_vmas of the others, without a VMA now, lead to them. */
static int lost_pages(void *arg)
{
	long stay = mm_pageout(chain.p, (DEPTH + 1) * PAGE);

	return stay ? stay : wrong_pages(NULL);
}

FIXTURE_SETUP(exit_order)
{
	self->base = mm_objects();
	self->p = mm_map_aligned((DEPTH + 1) * PAGE, PAGE);
	ASSERT_NE(NULL, self->p);
	for (int i = 0; i <= DEPTH; i++)
		mm_fill(self->p + i * PAGE, PAGE, 0);
	chain.p = self->p;
	chain.split = variant->split;
	self->tree = mm_tree_fork(DEPTH, 1, own_page, NULL);
	ASSERT_NE(NULL, self->tree);
}

FIXTURE_TEARDOWN(exit_order)
{
	if (self->tree)
		mm_tree_end(self->tree);
}

/* Run @fn in the process of a level. */
static int at(struct mm_tree *tree, int level, int (*fn)(void *arg))
{
	return level ? mm_tree_call(tree, level - 1, fn, NULL) : fn(NULL);
}

/* The process of a level goes; the test unmaps the region instead. */
static int end_level(FIXTURE_DATA(exit_order) *self, int level)
{
	if (level)
		return mm_tree_kill(self->tree, level - 1);
	return munmap(self->p, (DEPTH + 1) * PAGE);
}

/* in whatever order the processes of a fork chain exit, the others see their pages, and no object is left */
TEST_F(exit_order, no_leak)
{
	bool gone[DEPTH + 1] = { false };

	for (int i = 0; i <= DEPTH; i++) {
		int level = variant->order[i];

		if (i == DEPTH)
			EXPECT_EQ(0, at(self->tree, level, lost_pages));
		ASSERT_EQ(0, end_level(self, level));
		gone[level] = true;
		for (int l = 0; l <= DEPTH; l++) {
			if (!gone[l])
				EXPECT_EQ(0, at(self->tree, l, wrong_pages));
		}
	}
	mm_tree_end(self->tree);
	self->tree = NULL;
	EXPECT_OBJECTS(self->base, 0, 0, 0);
}

TEST_HARNESS_MAIN
