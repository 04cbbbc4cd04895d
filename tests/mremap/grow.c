// SPDX-License-Identifier: GPL-2.0
/* mremap() to a larger size: in place where there is room, else elsewhere, else not at all. */
#include "kselftest_harness.h"
#include "mremap.h"

#define SEED		1

FIXTURE(room) {
	char *p;		/* the region; room for RANGE bytes from here on */
	char *range;
};

#define RANGE		(4 * PMD_SIZE)

FIXTURE_SETUP(room)
{
	self->range = free_range(RANGE + PMD_SIZE, PMD_SIZE);
	ASSERT_NE(NULL, self->range);
	self->p = self->range + PMD_SIZE - 4 * PAGE;
	ASSERT_EQ(self->p, mmap(self->p, 4 * PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	mm_fill(self->p, 4 * PAGE, SEED);
}

FIXTURE_TEARDOWN(room)
{
	munmap(self->range, RANGE + PMD_SIZE);
}

/* into free space: same address and frames, the new part reads zero and takes writes, no longer than asked */
TEST_F(room, in_place)
{
	uint64_t before[4], after[4];
	long vm_size = mm_status(0, "VmSize");
	struct mm_vma vma;

	ASSERT_EQ(0, mm_pfns(0, self->p, before, 4));
	ASSERT_EQ(self->p, mremap(self->p, 4 * PAGE, 12 * PAGE, 0));
	ASSERT_EQ(0, mm_pfns(0, self->p, after, 4));
	EXPECT_EQ(0, other_frames(before, after, 4));
	EXPECT_EQ(4, mm_count_present(0, self->p, 12 * PAGE));
	EXPECT_EQ(-1, mm_check(self->p, 4 * PAGE, SEED));
	EXPECT_EQ(-1, mm_check_byte(self->p + 4 * PAGE, 8 * PAGE, 0));
	mm_fill(self->p, 12 * PAGE, SEED + 1);
	EXPECT_EQ(-1, kernel_check(self->p, 12 * PAGE, SEED + 1));
	ASSERT_EQ(0, mm_vma(0, self->p, &vma));
	EXPECT_EQ((unsigned long)self->p, vma.start);
	EXPECT_EQ((unsigned long)self->p + 12 * PAGE, vma.end);
	EXPECT_EQ(0, reachable(self->p + 12 * PAGE, PAGE));
	EXPECT_EQ(8 * PAGE / KB, mm_status(0, "VmSize") - vm_size);
}

/* in place over several page tables, a byte at a time of room used up exactly */
TEST_F(room, in_place_far)
{
	char *end = self->p + RANGE;

	ASSERT_EQ(end, map_at(end, PAGE));
	mm_fill(end, PAGE, SEED + 2);
	ASSERT_EQ(self->p, mremap(self->p, 4 * PAGE, RANGE, 0));
	EXPECT_EQ(-1, mm_check(self->p, 4 * PAGE, SEED));
	for (char *p = self->p + 4 * PAGE; p < end; p += 128 * PAGE) {
		EXPECT_EQ(-1, mm_check_byte(p, PAGE, 0));
		mm_fill(p, PAGE, SEED + 1);
		EXPECT_EQ(-1, kernel_check(p, PAGE, SEED + 1));
	}
	mm_fill(end - PAGE, PAGE, SEED + 1);
	EXPECT_EQ(-1, kernel_check(end - PAGE, PAGE, SEED + 1));
	EXPECT_EQ(-1, mm_check(end, PAGE, SEED + 2));
}

/* the end of a VMA grows although the range begins in its middle, and its beginning is left alone */
TEST_F(room, end_of_vma)
{
	uint64_t before[4], after[4];
	struct mm_vma vma;

	ASSERT_EQ(0, mm_pfns(0, self->p, before, 4));
	ASSERT_EQ(self->p + 3 * PAGE, mremap(self->p + 3 * PAGE, PAGE, 5 * PAGE, 0));
	ASSERT_EQ(0, mm_pfns(0, self->p, after, 4));
	EXPECT_EQ(0, other_frames(before, after, 4));
	EXPECT_EQ(-1, mm_check(self->p, 4 * PAGE, SEED));
	EXPECT_EQ(-1, mm_check_byte(self->p + 4 * PAGE, 4 * PAGE, 0));
	ASSERT_EQ(0, mm_vma(0, self->p, &vma));
	EXPECT_EQ((unsigned long)self->p, vma.start);
	EXPECT_EQ((unsigned long)self->p + 8 * PAGE, vma.end);
}

/* a hole in a VMA is closed by growing into it: one VMA again, and all bytes of both parts */
TEST_F(room, closes_hole)
{
	struct mm_vma vma;

	ASSERT_EQ(0, munmap(self->p + PAGE, 2 * PAGE));
	ASSERT_EQ(2, mm_vma_count(0, self->p, 4 * PAGE));
	ASSERT_EQ(self->p, mremap(self->p, PAGE, 3 * PAGE, 0));
	EXPECT_EQ(1, mm_vma_count(0, self->p, 4 * PAGE));
	ASSERT_EQ(0, mm_vma(0, self->p, &vma));
	EXPECT_EQ((unsigned long)self->p + 4 * PAGE, vma.end);
	EXPECT_EQ(-1, mm_check(self->p, PAGE, SEED));
	EXPECT_EQ(-1, mm_check_byte(self->p + PAGE, 2 * PAGE, 0));
	EXPECT_EQ(-1, mm_check_from(self->p + 3 * PAGE, PAGE, SEED, 3 * PAGE));
}

/* without MREMAP_MAYMOVE a neighbour in the way is ENOMEM, even if there is room for all pages but one */
TEST_F(room, blocked)
{
	char *next = self->p + 8 * PAGE, *before, *after;

	ASSERT_EQ(next, map_at(next, PAGE));
	mm_fill(next, PAGE, SEED + 2);
	before = mm_maps(0);
	EXPECT_EQ(MAP_FAILED, mremap(self->p, 4 * PAGE, 9 * PAGE, 0));
	EXPECT_EQ(ENOMEM, errno);
	after = mm_maps(0);
	EXPECT_STREQ(before, after);
	EXPECT_EQ(-1, mm_check(self->p, 4 * PAGE, SEED));
	EXPECT_EQ(0, reachable(self->p + 4 * PAGE, 4 * PAGE));
	EXPECT_EQ(-1, mm_check(next, PAGE, SEED + 2));
	EXPECT_EQ(self->p, mremap(self->p, 4 * PAGE, 8 * PAGE, 0));
	EXPECT_EQ(-1, mm_check_byte(self->p + 4 * PAGE, 4 * PAGE, 0));
}

/* with MREMAP_MAYMOVE the blocked region goes elsewhere with bytes and frames, and its neighbour stays */
TEST_F(room, moves)
{
	char *next = self->p + 4 * PAGE, *new;
	uint64_t before[4], after[4];
	long vm_size;

	/* Shared memory does not become one VMA with the region. */
	ASSERT_EQ(next, mmap(next, PAGE, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	mm_fill(next, PAGE, SEED + 2);
	ASSERT_EQ(0, mm_pfns(0, self->p, before, 4));
	vm_size = mm_status(0, "VmSize");
	new = mremap(self->p, 4 * PAGE, 600 * PAGE, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, new);
	ASSERT_NE(self->p, new);
	ASSERT_EQ(0, mm_pfns(0, new, after, 4));
	EXPECT_EQ(0, other_frames(before, after, 4));
	EXPECT_EQ(-1, mm_check(new, 4 * PAGE, SEED));
	EXPECT_EQ(-1, mm_check_byte(new + 4 * PAGE, 4 * PAGE, 0));
	EXPECT_EQ(-1, mm_check_byte(new + 599 * PAGE, PAGE, 0));
	mm_fill(new, 8 * PAGE, SEED + 3);
	EXPECT_EQ(-1, kernel_check(new, 8 * PAGE, SEED + 3));
	EXPECT_TRUE(gone(self->p, 4 * PAGE));
	EXPECT_EQ(-1, mm_check(next, PAGE, SEED + 2));
	EXPECT_EQ(596 * PAGE / KB, mm_status(0, "VmSize") - vm_size);
}

/* several page tables move on to a place with room for more of them */
TEST_F(room, tables_move)
{
	size_t len = PMD_SIZE + 40 * PAGE, pages = len / PAGE;
	char *p = mm_map_at_offset(len, PMD_SIZE, 0), *new;
	uint64_t before[600], after[600];

	ASSERT_NE(NULL, p);
	ASSERT_GT(600, pages);
	fill_new(p, len, SEED);
	ASSERT_EQ(p + len, mmap(p + len, PAGE, PROT_NONE,
				MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	ASSERT_EQ(0, mm_pfns(0, p, before, pages));
	new = mremap(p, len, 3 * PMD_SIZE, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, new);
	ASSERT_NE(p, new);
	ASSERT_EQ(0, mm_pfns(0, new, after, pages));
	EXPECT_EQ(0, other_frames(before, after, pages));
	EXPECT_EQ(-1, mm_check(new, len, SEED));
	EXPECT_EQ(-1, kernel_check(new, len, SEED));
	EXPECT_EQ(-1, mm_check_byte(new + len, 4 * PAGE, 0));
	EXPECT_EQ(0, reachable(p, 4 * PAGE));
	EXPECT_EQ(0, reachable(p + PMD_SIZE, PAGE));
}

/* growing the middle of a VMA takes just that part away: the rest stays as two VMAs */
TEST_F(room, middle_moves)
{
	uint64_t before[4], after[2];
	char *new;

	ASSERT_EQ(0, mm_pfns(0, self->p, before, 4));
	new = mremap(self->p + PAGE, 2 * PAGE, 6 * PAGE, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, new);
	ASSERT_EQ(0, mm_pfns(0, new, after, 2));
	EXPECT_EQ(0, other_frames(before + 1, after, 2));
	EXPECT_EQ(-1, mm_check_from(new, 2 * PAGE, SEED, PAGE));
	EXPECT_EQ(-1, mm_check_byte(new + 2 * PAGE, 4 * PAGE, 0));
	EXPECT_EQ(-1, mm_check(self->p, PAGE, SEED));
	EXPECT_EQ(-1, mm_check_from(self->p + 3 * PAGE, PAGE, SEED, 3 * PAGE));
	EXPECT_EQ(2, mm_vma_count(0, self->p, 4 * PAGE));
	EXPECT_TRUE(gone(self->p + PAGE, 2 * PAGE));
}

/* the middle of a VMA cannot grow where it is */
TEST_F(room, middle_blocked)
{
	char *before = mm_maps(0), *after;

	EXPECT_EQ(MAP_FAILED, mremap(self->p + PAGE, 2 * PAGE, 3 * PAGE, 0));
	EXPECT_EQ(ENOMEM, errno);
	after = mm_maps(0);
	EXPECT_STREQ(before, after);
	EXPECT_EQ(-1, mm_check(self->p, 4 * PAGE, SEED));
}

/* to a given place and larger at once: bytes and frames arrive, the rest of the target reads zero */
TEST_F(room, fixed)
{
	char *to = self->range + 2 * PMD_SIZE;
	uint64_t before[4], after[4];

	ASSERT_EQ(to, map_at(to, 16 * PAGE));
	mm_fill(to, 16 * PAGE, SEED + 2);
	ASSERT_EQ(0, mm_pfns(0, self->p, before, 4));
	ASSERT_EQ(to, mremap(self->p, 4 * PAGE, 12 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to));
	ASSERT_EQ(0, mm_pfns(0, to, after, 4));
	EXPECT_EQ(0, other_frames(before, after, 4));
	EXPECT_EQ(-1, mm_check(to, 4 * PAGE, SEED));
	EXPECT_EQ(-1, mm_check_byte(to + 4 * PAGE, 8 * PAGE, 0));
	EXPECT_EQ(-1, mm_check_from(to + 12 * PAGE, 4 * PAGE, SEED + 2, 12 * PAGE));
	EXPECT_TRUE(gone(self->p, 4 * PAGE));
}

/* what is not a multiple of the page size is rounded up, old and new length alike */
TEST_F(room, rounds_up)
{
	ASSERT_EQ(self->p, mremap(self->p, 3 * PAGE + 1, 4 * PAGE + 1, 0));
	EXPECT_EQ(-1, mm_check(self->p, 4 * PAGE, SEED));
	EXPECT_EQ(-1, mm_check_byte(self->p + 4 * PAGE, PAGE, 0));
	EXPECT_EQ(0, reachable(self->p + 5 * PAGE, PAGE));
}

TEST_HARNESS_MAIN
