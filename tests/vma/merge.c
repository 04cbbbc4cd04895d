// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that was touched becomes one mapping with neighbours that never were: the reverse map of its pages goes with it, and finds
 * them when nothing is left of where they came from (Documentation/mm/process_addrs.rst, "VMA merge").
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	16
#define LEN	(PAGES * PAGE)
#define SEED	1
#define RW	(PROT_READ | PROT_WRITE)

enum how { MOVE, DONTUNMAP, PROTECT, ADVISE };
enum where { BEFORE = 1, BEHIND = 2 };

FIXTURE(merged) {
	struct mm_objects base;
	struct mm_stage *stage;
	char *room, *p;			/* three times LEN, and the touched memory in the middle of it */
	char *source;			/* where it was when it moved, or what was left there */
	size_t start, end;		/* of the one mapping, from @room */
	uint64_t was[PAGES], is[PAGES];
};

FIXTURE_VARIANT(merged) {
	enum how how;
	unsigned int where;		/* the neighbours lie */
};

FIXTURE_VARIANT_ADD(merged, move_before) { MOVE, BEFORE };
FIXTURE_VARIANT_ADD(merged, move_behind) { MOVE, BEHIND };
FIXTURE_VARIANT_ADD(merged, move_between) { MOVE, BEFORE | BEHIND };
FIXTURE_VARIANT_ADD(merged, dontunmap_before) { DONTUNMAP, BEFORE };
FIXTURE_VARIANT_ADD(merged, dontunmap_behind) { DONTUNMAP, BEHIND };
FIXTURE_VARIANT_ADD(merged, dontunmap_between) { DONTUNMAP, BEFORE | BEHIND };
FIXTURE_VARIANT_ADD(merged, protect_before) { PROTECT, BEFORE };
FIXTURE_VARIANT_ADD(merged, protect_behind) { PROTECT, BEHIND };
FIXTURE_VARIANT_ADD(merged, protect_between) { PROTECT, BEFORE | BEHIND };
FIXTURE_VARIANT_ADD(merged, advise_before) { ADVISE, BEFORE };
FIXTURE_VARIANT_ADD(merged, advise_behind) { ADVISE, BEHIND };
FIXTURE_VARIANT_ADD(merged, advise_between) { ADVISE, BEFORE | BEHIND };

static bool map(char *p)
{
	return mmap(p, LEN, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == p;
}

static bool move(char *from, char *to, int flags)
{
	return mremap(from, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED | flags, to) == to;
}

/* As its neighbours are, or not, for what is no move. */
static int be(char *p, enum how how, bool like_others)
{
	if (how == PROTECT)
		return mprotect(p, LEN, like_others ? RW : RW | PROT_EXEC);
	return madvise(p, LEN, like_others ? MADV_DODUMP : MADV_DONTDUMP);
}

FIXTURE_SETUP(merged)
{
	const bool moves = variant->how == MOVE || variant->how == DONTUNMAP;

	NEED(mm_need_swap());
	self->stage = mm_stage(LEN);
	ASSERT_NE(NULL, self->stage);
	self->room = mm_reserve(3 * LEN, PAGE);
	self->source = mm_reserve(LEN, PAGE);
	ASSERT_NE(NULL, self->room);
	ASSERT_NE(NULL, self->source);
	munmap(self->room, 3 * LEN);
	munmap(self->source, LEN);
	self->p = self->room + LEN;
	self->base = mm_objects();
	/* Touched where it will be in the end, for that is where its pages belong in a mapping. */
	ASSERT_TRUE(map(self->p));
	if (!moves)
		ASSERT_EQ(0, be(self->p, variant->how, false));
	mm_fill(self->p, LEN, SEED);
	if (moves)
		ASSERT_TRUE(move(self->p, self->source, 0));
	if (variant->where & BEFORE)
		ASSERT_TRUE(map(self->p - LEN));
	if (variant->where & BEHIND)
		ASSERT_TRUE(map(self->p + LEN));
	ASSERT_EQ(!moves + (variant->where & BEFORE) / BEFORE + (variant->where & BEHIND) / BEHIND,
		  mm_vma_count(0, self->room, 3 * LEN));
	if (moves) {
		ASSERT_TRUE(move(self->source, self->p, variant->how == DONTUNMAP ? MREMAP_DONTUNMAP : 0));
	} else {
		ASSERT_EQ(0, be(self->p, variant->how, true));
	}
	if (variant->how == DONTUNMAP)
		ASSERT_EQ(0, munmap(self->source, LEN));
	self->start = variant->where & BEFORE ? 0 : LEN;
	self->end = variant->where & BEHIND ? 3 * LEN : 2 * LEN;
	NEED(mm_vma_count(0, self->room, 3 * LEN) == 1 ? NULL : "a VMA with pages that merges with one that has none");
	ASSERT_EQ(0, mm_pfns(0, self->p, self->was, PAGES));
}

FIXTURE_TEARDOWN(merged)
{
	mm_stage_end(self->stage);
	munmap(self->room, 3 * LEN);
}

/* the pages are the ones that were touched, in one mapping, which has one anon_vma; unmapped, nothing is left of either */
TEST_F(merged, frees)
{
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
	EXPECT_OBJECTS(self->base, 1, 1, 1);
	ASSERT_EQ(0, munmap(self->room, 3 * LEN));
	EXPECT_OBJECTS(self->base, 0, 0, 0);
}

/* reclaim finds every page, and the bytes come back */
TEST_F(merged, reclaim)
{
	EXPECT_EQ(0, mm_pageout(self->p, LEN));
	EXPECT_EQ(PAGES, mm_count_swapped(0, self->p, LEN));
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
}

/* migration finds every page, and the bytes are in the new frames */
TEST_F(merged, migrate)
{
	NEED(mm_need_compaction());
	EXPECT_EQ(PAGES, mm_stage_move_pages(self->stage, self->p, PAGES, self->was, self->is));
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
}

static int child_checks(void *arg)
{
	char *p = arg;
	int wrong = mm_check(p, LEN, SEED) != -1;

	mm_fill(p, LEN / 2, SEED + 1);
	return wrong;
}

/* neighbours that are touched later have the same anon_vma, and a child has its own copies of all */
TEST_F(merged, touch_and_fork)
{
	char *start = self->room + self->start;
	size_t len = self->end - self->start;

	mm_touch_write(start, len);
	EXPECT_OBJECTS(self->base, 1, 1, 1);
	EXPECT_EQ(0, mm_in_child(child_checks, self->p));
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
	EXPECT_EQ(0, mm_pageout(start, len));
	EXPECT_EQ(len / PAGE, mm_count_swapped(0, start, len));
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
}

TEST_HARNESS_MAIN
