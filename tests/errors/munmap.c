// SPDX-License-Identifier: GPL-2.0
/* munmap() and what unmaps on the way (mmap over mappings, brk), with each of its allocations failing. */
#include "kselftest_harness.h"
#include "mm.h"
#include "walk.h"

#define SEED	31
#define PAGES	12
#define THIRD	(PAGES / 3 * PAGE)

FIXTURE(munmap) {
	struct walk w;
};

FIXTURE_SETUP(munmap)
{
	NEED(mm_need_fail_nth());
	ASSERT_TRUE(walk_split_region(&self->w, _metadata, PAGES, SEED));
}

FIXTURE_TEARDOWN(munmap)
{
	munmap(self->w.p, self->w.len);
}

static int unmap_middle(struct walk *w)
{
	return munmap(w->q, THIRD) ? -errno : 0;
}

static void outer_thirds(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(2, mm_vma_count(0, w->p, w->len));
	EXPECT_EQ(SIGSEGV, mm_probe_read(w->q));
	EXPECT_EQ(-1, mm_check(w->p, THIRD, SEED));
	EXPECT_EQ(-1, mm_check_from(w->q + THIRD, THIRD, SEED, 2 * THIRD));
}

static void fill_hole(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_TRUE(walk_map(w->q, THIRD));
	mm_fill_from(w->q, THIRD, SEED, THIRD);
}

/* a hole in the middle: ENOMEM, not a byte of the region is lost */
TEST_F(munmap, middle)
{
	struct walk *w = &self->w;

	w->call = unmap_middle;
	w->done = outer_thirds;
	w->undo = fill_hole;
	walk(w);
	EXPECT_LE(3, w->failed);
}

/* Three VMAs; the call takes half of the first, the second, and half of the third. */
static void three_vmas(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_TRUE(walk_map(w->p, w->len));
	mm_fill(w->p, w->len, SEED);
	EXPECT_EQ(0, mlock(w->q, PAGE));
	EXPECT_EQ(0, mprotect(w->q, THIRD, PROT_READ));
}

static int unmap_three(struct walk *w)
{
	return munmap(w->p + 2 * PAGE, w->len - 4 * PAGE) ? -errno : 0;
}

static void ends_left(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(2, mm_vma_count(0, w->p, w->len));
	EXPECT_EQ(0, mm_vma_count(0, w->p + 2 * PAGE, w->len - 4 * PAGE));
	EXPECT_EQ(-1, mm_check(w->p, 2 * PAGE, SEED));
	EXPECT_EQ(-1, mm_check_from(w->p + w->len - 2 * PAGE, 2 * PAGE, SEED, w->len - 2 * PAGE));
	EXPECT_EQ(0, mm_status(0, "VmLck"));
}

/* several VMAs, the outer ones in part: all of them stay, the locked page too, or all of the range goes */
TEST_F(munmap, several)
{
	struct walk *w = &self->w;

	w->call = unmap_three;
	w->done = ends_left;
	w->undo = three_vmas;
	three_vmas(w);
	walk(w);
	EXPECT_LE(3, w->failed);
}

static int map_over(struct walk *w)
{
	return mmap(w->q, THIRD, PROT_READ, MAP_SHARED | MAP_FIXED, w->fd, 0) == MAP_FAILED ? -errno : 0;
}

static void file_in_middle(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(3, mm_vma_count(0, w->p, w->len));
	EXPECT_EQ(-1, mm_check_byte(w->q, THIRD, 0));
	EXPECT_EQ(-1, mm_check(w->p, THIRD, SEED));
	EXPECT_EQ(-1, mm_check_from(w->q + THIRD, THIRD, SEED, 2 * THIRD));
}

/* Once the old pages are gone, vms_abort_munmap_vmas() leaves a hole of the whole range. */
static void middle_or_hole(struct walk *w)
{
	if (mm_vma_count(0, w->q, THIRD))
		walk_bytes(w);
	else
		outer_thirds(w);
}

/* mmap(MAP_FIXED) over the middle: the old mapping stays with all its bytes or goes as a whole */
TEST_F(munmap, map_fixed)
{
	struct walk *w = &self->w;

	w->fd = mm_memfd(THIRD);
	w->may_change = true;
	w->call = map_over;
	w->done = file_in_middle;
	w->undo = fill_hole;
	w->intact = middle_or_hole;
	walk(w);
	EXPECT_LE(4, w->failed);
	close(w->fd);
}

static int unmap_all(struct walk *w)
{
	return munmap(w->p, w->len) ? -errno : 0;
}

static void nothing_left(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(0, mm_vma_count(0, w->p, w->len));
}

/* whole VMAs need no memory to go: the range is unmapped whatever fails */
TEST_F(munmap, whole)
{
	struct walk *w = &self->w;

	w->call = unmap_all;
	w->done = nothing_left;
	w->undo = three_vmas;
	three_vmas(w);
	walk(w);
	EXPECT_EQ(0, w->failed);
}

TEST_HARNESS_MAIN
