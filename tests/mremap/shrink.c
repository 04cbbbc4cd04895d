// SPDX-License-Identifier: GPL-2.0
/* mremap() to a smaller size: what is cut off is unmapped and freed, and nothing else. */
#include "kselftest_harness.h"
#include "mremap.h"

#define SEED	1
#define PAGES	16

FIXTURE(region) {
	char *p;
	uint64_t pfn[PAGES];
};

FIXTURE_SETUP(region)
{
	self->p = mm_map_at_offset(PAGES * PAGE, PMD_SIZE, PMD_SIZE - 5 * PAGE);
	ASSERT_NE(NULL, self->p);
	mm_fill(self->p, PAGES * PAGE, SEED);
	ASSERT_EQ(0, mm_pfns(0, self->p, self->pfn, PAGES));
	/* The counters are looked at once, so that what that takes has been taken. */
	mm_vmstat("nr_anon_pages");
}

FIXTURE_TEARDOWN(region)
{
	munmap(self->p, PAGES * PAGE);
}

static long changed(const FIXTURE_DATA(region) *self, char *p, size_t first, size_t n)
{
	uint64_t now[PAGES];

	return mm_pfns(0, p, now, n) ? -1 : other_frames(self->pfn + first, now, n);
}

/* the head keeps its bytes and frames, the frames of the tail are free and its addresses too */
TEST_F(region, in_place)
{
	long vm_size = mm_status(0, "VmSize"), anon = mm_vmstat("nr_anon_pages");
	struct mm_vma vma;

	ASSERT_EQ(self->p, mremap(self->p, PAGES * PAGE, 3 * PAGE, 0));
	EXPECT_EQ(PAGES - 3, anon - mm_vmstat("nr_anon_pages"));
	EXPECT_EQ((PAGES - 3) * PAGE / KB, vm_size - mm_status(0, "VmSize"));
	EXPECT_EQ(0, changed(self, self->p, 0, 3));
	EXPECT_EQ(-1, mm_check(self->p, 3 * PAGE, SEED));
	EXPECT_TRUE(gone(self->p + 3 * PAGE, (PAGES - 3) * PAGE));
	ASSERT_EQ(0, mm_vma(0, self->p, &vma));
	EXPECT_EQ((unsigned long)self->p, vma.start);
	EXPECT_EQ((unsigned long)self->p + 3 * PAGE, vma.end);
}

/* the part that is cut out of a VMA's middle leaves what is behind it alone */
TEST_F(region, middle)
{
	ASSERT_EQ(self->p + 2 * PAGE, mremap(self->p + 2 * PAGE, 6 * PAGE, 2 * PAGE, 0));
	EXPECT_EQ(0, changed(self, self->p, 0, 4));
	EXPECT_EQ(-1, mm_check(self->p, 4 * PAGE, SEED));
	EXPECT_TRUE(gone(self->p + 4 * PAGE, 4 * PAGE));
	EXPECT_EQ(0, changed(self, self->p + 8 * PAGE, 8, PAGES - 8));
	EXPECT_EQ(-1, mm_check_from(self->p + 8 * PAGE, (PAGES - 8) * PAGE, SEED, 8 * PAGE));
	EXPECT_EQ(2, mm_vma_count(0, self->p, PAGES * PAGE));
}

/* a range to be shrunk may span VMAs and holes: all that lies behind the new end goes */
TEST_F(region, over_vmas)
{
	ASSERT_EQ(0, mprotect(self->p + 6 * PAGE, 2 * PAGE, PROT_READ));
	ASSERT_EQ(0, munmap(self->p + 9 * PAGE, 2 * PAGE));
	ASSERT_EQ(4, mm_vma_count(0, self->p, PAGES * PAGE));
	ASSERT_EQ(self->p, mremap(self->p, 14 * PAGE, PAGE, 0));
	EXPECT_EQ(0, changed(self, self->p, 0, 1));
	EXPECT_EQ(-1, mm_check(self->p, PAGE, SEED));
	EXPECT_TRUE(gone(self->p + PAGE, 13 * PAGE));
	EXPECT_EQ(-1, mm_check_from(self->p + 14 * PAGE, 2 * PAGE, SEED, 14 * PAGE));
	EXPECT_EQ(2, mm_vma_count(0, self->p, PAGES * PAGE));
}

/* the new end may lie in a later VMA than the start */
TEST_F(region, end_in_next_vma)
{
	ASSERT_EQ(0, mprotect(self->p + 4 * PAGE, 4 * PAGE, PROT_READ));
	ASSERT_EQ(self->p, mremap(self->p, PAGES * PAGE, 6 * PAGE, 0));
	EXPECT_EQ(-1, mm_check(self->p, 6 * PAGE, SEED));
	EXPECT_EQ(2, mm_vma_count(0, self->p, PAGES * PAGE));
	EXPECT_EQ(SIGSEGV, mm_probe_write(self->p + 5 * PAGE, 0));
	EXPECT_EQ(SEGV_ACCERR, mm_probe_code());
	EXPECT_TRUE(gone(self->p + 6 * PAGE, (PAGES - 6) * PAGE));
}

/* shrunk and moved at once: the head arrives with its frames, the tail is freed, the old place is empty */
TEST_F(region, fixed)
{
	char *to = free_range(PAGES * PAGE, PMD_SIZE);
	long anon;

	ASSERT_NE(NULL, to);
	ASSERT_EQ(to, map_at(to, PAGES * PAGE));
	mm_fill(to, PAGES * PAGE, SEED + 1);
	anon = mm_vmstat("nr_anon_pages");
	ASSERT_EQ(to, mremap(self->p, PAGES * PAGE, 7 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to));
	/* What was cut off, and what the target held. */
	EXPECT_EQ(PAGES - 7 + 7, anon - mm_vmstat("nr_anon_pages"));
	EXPECT_EQ(0, changed(self, to, 0, 7));
	EXPECT_EQ(-1, mm_check(to, 7 * PAGE, SEED));
	EXPECT_EQ(-1, mm_check_from(to + 7 * PAGE, (PAGES - 7) * PAGE, SEED + 1, 7 * PAGE));
	EXPECT_TRUE(gone(self->p, PAGES * PAGE));
	munmap(to, PAGES * PAGE);
}

/* shrinking by whole page tables, to a page and to a table boundary, frees all pages of them */
TEST_F(region, tables)
{
	char *p = mm_map_aligned(3 * PMD_SIZE, PMD_SIZE);
	long anon;

	ASSERT_NE(NULL, p);
	for (size_t at = 0; at < 3 * PMD_SIZE; at += 64 * PAGE)
		mm_fill_from(p + at, PAGE, SEED, at);
	anon = mm_vmstat("nr_anon_pages");
	ASSERT_EQ(p, mremap(p, 3 * PMD_SIZE, 2 * PMD_SIZE, 0));
	EXPECT_EQ(8, anon - mm_vmstat("nr_anon_pages"));
	EXPECT_EQ(0, reachable(p + 2 * PMD_SIZE, PAGE));
	EXPECT_EQ(-1, mm_check_from(p + 2 * PMD_SIZE - 64 * PAGE, PAGE, SEED, 2 * PMD_SIZE - 64 * PAGE));
	ASSERT_EQ(p, mremap(p, 2 * PMD_SIZE, PAGE, 0));
	EXPECT_EQ(8 + 15, anon - mm_vmstat("nr_anon_pages"));
	EXPECT_EQ(-1, mm_check(p, PAGE, SEED));
	for (size_t at = 64 * PAGE; at < 2 * PMD_SIZE; at += 64 * PAGE)
		EXPECT_EQ(0, reachable(p + at, PAGE));
	EXPECT_EQ(0, reachable(p + PAGE, PAGE));
}

/* the same size, without MREMAP_FIXED, changes nothing, with MREMAP_MAYMOVE and without */
TEST_F(region, same_size)
{
	char *before = mm_maps(0), *after;

	EXPECT_EQ(self->p, mremap(self->p, PAGES * PAGE, PAGES * PAGE, 0));
	EXPECT_EQ(self->p + PAGE, mremap(self->p + PAGE, PAGE, PAGE, MREMAP_MAYMOVE));
	after = mm_maps(0);
	EXPECT_STREQ(before, after);
	EXPECT_EQ(0, changed(self, self->p, 0, PAGES));
	EXPECT_EQ(-1, mm_check(self->p, PAGES * PAGE, SEED));
}

/* shrunk and grown again: what comes back in place of the tail reads zero, not the old bytes */
TEST_F(region, and_grow)
{
	ASSERT_EQ(self->p, mremap(self->p, PAGES * PAGE, 2 * PAGE, 0));
	ASSERT_EQ(self->p, mremap(self->p, 2 * PAGE, PAGES * PAGE, 0));
	EXPECT_EQ(2, mm_count_present(0, self->p, PAGES * PAGE));
	EXPECT_EQ(-1, mm_check(self->p, 2 * PAGE, SEED));
	EXPECT_EQ(-1, mm_check_byte(self->p + 2 * PAGE, (PAGES - 2) * PAGE, 0));
	mm_fill(self->p, PAGES * PAGE, SEED + 1);
	EXPECT_EQ(-1, kernel_check(self->p, PAGES * PAGE, SEED + 1));
}

TEST_HARNESS_MAIN
