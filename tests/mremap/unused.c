// SPDX-License-Identifier: GPL-2.0
/*
 * The fifth argument of mremap(2), of which the man page says "MREMAP_FIXED [...] accepts a fifth argument": without it and
 * MREMAP_DONTUNMAP it is whatever the register holds, and nothing depends on it.
 */
#include "kselftest_harness.h"
#include <sys/syscall.h>
#include "mremap.h"

#define SEED	1
#define OTHER	2
#define PAGES	8
#define LEN	(PAGES * PAGE)

/* What the register holds: a number, or an offset from the region, or from the mapping beside it. */
enum from { NOTHING, REGION, NEIGHBOUR };

FIXTURE(unused) {
	char *p, *other;
	uint64_t pfn[PAGES], other_pfn[PAGES];
	unsigned long junk;
};

FIXTURE_VARIANT(unused) {
	enum from from;
	unsigned long offset;
};

FIXTURE_VARIANT_ADD(unused, one) { .offset = 1 };
FIXTURE_VARIANT_ADD(unused, all_ones) { .offset = -1UL };
FIXTURE_VARIANT_ADD(unused, last_page) { .offset = -PAGE };
FIXTURE_VARIANT_ADD(unused, beyond_end) { .offset = 1UL << 63 };
FIXTURE_VARIANT_ADD(unused, source) { .from = REGION };
FIXTURE_VARIANT_ADD(unused, in_source) { .from = REGION, .offset = 2 * PAGE };
FIXTURE_VARIANT_ADD(unused, before_source) { .from = REGION, .offset = -2 * PAGE };
FIXTURE_VARIANT_ADD(unused, unaligned) { .from = REGION, .offset = PMD_SIZE + 8 };
FIXTURE_VARIANT_ADD(unused, mapping) { .from = NEIGHBOUR };

FIXTURE_SETUP(unused)
{
	self->p = mm_map_aligned(LEN, PAGE);
	self->other = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, self->p);
	ASSERT_NE(NULL, self->other);
	mm_fill(self->p, LEN, SEED);
	mm_fill(self->other, LEN, OTHER);
	ASSERT_EQ(0, mm_pfns(0, self->p, self->pfn, PAGES));
	ASSERT_EQ(0, mm_pfns(0, self->other, self->other_pfn, PAGES));
	self->junk = variant->offset;
	if (variant->from == REGION)
		self->junk += (unsigned long)self->p;
	if (variant->from == NEIGHBOUR)
		self->junk += (unsigned long)self->other;
}

/* What lies where the argument points is not touched by any of these calls. */
FIXTURE_TEARDOWN(unused)
{
	uint64_t now[PAGES];

	EXPECT_EQ(0, mm_pfns(0, self->other, now, PAGES));
	EXPECT_EQ(0, other_frames(self->other_pfn, now, PAGES));
	EXPECT_EQ(-1, mm_check(self->other, LEN, OTHER));
}

static char *sys_mremap(const FIXTURE_DATA(unused) *self, char *p, size_t old_len, size_t new_len, unsigned long flags)
{
	return (char *)syscall(__NR_mremap, p, old_len, new_len, flags, self->junk);
}

/* How many of the first @n pages at @p are not those that the region began with. */
static long differ(const FIXTURE_DATA(unused) *self, char *p, size_t n)
{
	uint64_t now[PAGES];

	if (mm_pfns(0, p, now, n) || mm_check(p, n * PAGE, SEED) != -1)
		return -1;
	return other_frames(self->pfn, now, n);
}

/* the same size again changes nothing, with MREMAP_MAYMOVE and without */
TEST_F(unused, same_size)
{
	char *maps = mm_maps(0);

	EXPECT_EQ(self->p, sys_mremap(self, self->p, LEN, LEN, 0));
	EXPECT_EQ(self->p, sys_mremap(self, self->p, LEN, LEN, MREMAP_MAYMOVE));
	EXPECT_STREQ(maps, mm_maps(0));
	EXPECT_EQ(0, differ(self, self->p, PAGES));
}

/* a smaller size cuts off the tail where it is, with MREMAP_MAYMOVE and without */
TEST_F(unused, shrink)
{
	ASSERT_EQ(self->p, sys_mremap(self, self->p, LEN, 5 * PAGE, 0));
	EXPECT_TRUE(gone(self->p + 5 * PAGE, 3 * PAGE));
	ASSERT_EQ(self->p, sys_mremap(self, self->p, 5 * PAGE, 2 * PAGE, MREMAP_MAYMOVE));
	EXPECT_TRUE(gone(self->p + 2 * PAGE, 3 * PAGE));
	EXPECT_EQ(0, differ(self, self->p, 2));
}

/* where there is room the region grows where it is, with MREMAP_MAYMOVE and without */
TEST_F(unused, grow)
{
	ASSERT_EQ(0, munmap(self->p + 4 * PAGE, 4 * PAGE));
	ASSERT_EQ(self->p, sys_mremap(self, self->p, 4 * PAGE, 5 * PAGE, 0));
	ASSERT_EQ(self->p, sys_mremap(self, self->p, 5 * PAGE, LEN, MREMAP_MAYMOVE));
	EXPECT_EQ(0, differ(self, self->p, 4));
	EXPECT_EQ(-1, mm_check_byte(self->p + 4 * PAGE, 4 * PAGE, 0));
}

/* without room it moves, with its frames, to a place of the kernel's choice; without MREMAP_MAYMOVE it is ENOMEM */
TEST_F(unused, move)
{
	char *to;

	ASSERT_EQ(self->p + 4 * PAGE, mmap(self->p + 4 * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	errno = 0;
	EXPECT_EQ(MAP_FAILED, sys_mremap(self, self->p, 4 * PAGE, LEN, 0));
	EXPECT_EQ(ENOMEM, errno);
	to = sys_mremap(self, self->p, 4 * PAGE, LEN, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, to);
	EXPECT_NE(self->p, to);
	EXPECT_EQ(0, differ(self, to, 4));
	EXPECT_TRUE(gone(self->p, 4 * PAGE));
}

/* an old size of 0 maps shared memory a second time, at a place of the kernel's choice */
TEST_F(unused, duplicate)
{
	char *shared = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), *twin;

	ASSERT_NE(MAP_FAILED, shared);
	mm_fill(shared, LEN, SEED);
	twin = sys_mremap(self, shared, 0, LEN, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, twin);
	EXPECT_NE(shared, twin);
	EXPECT_EQ(-1, mm_check(twin, LEN, SEED));
	EXPECT_EQ(mm_pfn(0, shared), mm_pfn(0, twin));
}


/* with MREMAP_FIXED or MREMAP_DONTUNMAP the argument is a place: what cannot be one is EINVAL, and nothing changes */
TEST(judged)
{
	static const unsigned long flags[] = {
		MREMAP_MAYMOVE | MREMAP_FIXED, MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
		MREMAP_MAYMOVE | MREMAP_DONTUNMAP | MREMAP_FIXED,
	};
	char *p = mm_map_aligned(LEN, PAGE), *maps;

	ASSERT_NE(NULL, p);
	mm_fill(p, LEN, SEED);
	maps = mm_maps(0);
	for (int i = 0; i < 3; i++) {
		unsigned long at = (unsigned long)p, bad[] = { 1, -1UL, -PAGE, 1UL << 63, at, at + PAGE, at - PAGE, at + 1 };

		for (int j = 0; j < 8; j++) {
			errno = 0;
			EXPECT_EQ(-1, syscall(__NR_mremap, p, LEN, LEN, flags[i], bad[j]));
			EXPECT_EQ(EINVAL, errno) TH_LOG("flags %lu, argument %lx", flags[i], bad[j]);
		}
	}
	EXPECT_STREQ(maps, mm_maps(0));
	EXPECT_EQ(-1, mm_check(p, LEN, SEED));
}

TEST_HARNESS_MAIN
