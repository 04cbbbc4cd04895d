// SPDX-License-Identifier: GPL-2.0
/* mremap() of regions of which little is there: pages that are not stay absent, and cost no page tables. */
#include "kselftest_harness.h"
#include "mremap.h"

#define SEED	1
#define LATER	2

/* @n different numbers below @limit, in ascending order. */
static void pick(size_t *number, size_t n, size_t limit, uint64_t seed)
{
	size_t left = n;

	for (size_t i = 0; i < limit && left; i++)
		if (mm_rand(&seed) % (limit - i) < left)
			number[n - left--] = i;
}

#define SOME	96
#define REGION	(9 * PMD_SIZE)

/* a few random pages of many tables, moved five times to random places: all bytes, frames and holes arrive */
TEST(scattered)
{
	size_t page[SOME], room = REGION + 4 * PMD_SIZE;
	char *base = free_range(2 * room, PMD_SIZE), *at;
	uint64_t pfn[SOME], seed = 20181, off;

	ASSERT_NE(NULL, base);
	pick(page, SOME, REGION / PAGE, 7);
	at = base + mm_rand(&seed) % (PMD_SIZE / PAGE) * PAGE;
	ASSERT_EQ(at, map_at(at, REGION));
	for (int i = 0; i < SOME; i++) {
		mm_fill_from(at + page[i] * PAGE, PAGE, SEED, page[i] * PAGE);
		pfn[i] = mm_pfn(0, at + page[i] * PAGE);
	}
	for (int round = 0; round < 5; round++) {
		/* Any page, the same place in a table, or the start of one. */
		off = mm_rand(&seed) % (PMD_SIZE / PAGE) * PAGE;
		if (round % 3 == 1)
			off = (uintptr_t)at % PMD_SIZE;
		if (round % 3 == 2)
			off = 0;
		char *to = base + (round % 2 ? 0 : room) + mm_rand(&seed) % 3 * PMD_SIZE + off;

		ASSERT_EQ(to, move(at, REGION, to));
		EXPECT_EQ(0, mm_vma_count(0, at, REGION));
		for (int i = 0; i < SOME; i++) {
			EXPECT_EQ(-1, mm_check_from(to + page[i] * PAGE, PAGE, SEED, page[i] * PAGE));
			EXPECT_EQ(pfn[i], mm_pfn(0, to + page[i] * PAGE));
		}
		EXPECT_EQ(SOME, mm_count_present(0, to, REGION));
		EXPECT_EQ(0, reachable(at + page[round] * PAGE, PAGE));
		at = to;
	}
	for (int i = 0; i < SOME; i++)
		mm_fill_from(at + page[i] * PAGE, PAGE, LATER, page[i] * PAGE);
	for (int i = 0; i < SOME; i++)
		EXPECT_EQ(-1, kernel_check_from(at + page[i] * PAGE, PAGE, LATER, page[i] * PAGE));
}

/* nothing was ever touched: the move makes no page tables, and all of the new place reads zero */
TEST(untouched)
{
	size_t len = 64 * MB;
	char *old, *new;
	long tables;

	/* The first look takes what looking needs. */
	mm_status(0, "VmPTE");
	old = free_range(2 * len, PMD_SIZE);
	new = old + len;
	ASSERT_NE(NULL, old);
	ASSERT_EQ(old, map_at(old, len));
	tables = mm_status(0, "VmPTE");
	ASSERT_EQ(new, move(old, len, new));
	EXPECT_EQ(tables, mm_status(0, "VmPTE"));
	EXPECT_EQ(0, mm_count_present(0, new, len));
	for (size_t at = 0; at < len; at += 4 * MB)
		EXPECT_EQ(-1, mm_check_byte(new + at, PAGE, 0));
	mm_fill(new + len - PAGE, PAGE, SEED);
	EXPECT_EQ(-1, kernel_check(new + len - PAGE, PAGE, SEED));
	EXPECT_EQ(0, reachable(old, PAGE));
	EXPECT_EQ(0, reachable(old + len - PAGE, PAGE));
}

/* an aligned region with one page in every third table has as many page tables after the move as before */
TEST(tables_kept)
{
	size_t len = 30 * PMD_SIZE;
	char *old = free_range(2 * len, PUD_SIZE), *new = old + len;
	long tables;

	ASSERT_NE(NULL, old);
	ASSERT_EQ(old, map_at(old, len));
	for (size_t at = 0; at < len; at += 3 * PMD_SIZE)
		mm_fill_from(old + at + 5 * PAGE, PAGE, SEED, at);
	tables = mm_status(0, "VmPTE");
	ASSERT_EQ(new, move(old, len, new));
	EXPECT_EQ(tables, mm_status(0, "VmPTE"));
	EXPECT_EQ(10, mm_count_present(0, new, len));
	for (size_t at = 0; at < len; at += 3 * PMD_SIZE)
		EXPECT_EQ(-1, mm_check_from(new + at + 5 * PAGE, PAGE, SEED, at));
	ASSERT_EQ(0, munmap(new, len));
	/* And the table that they were all in. */
	EXPECT_EQ((10 + 1) * PAGE / KB, tables - mm_status(0, "VmPTE"));
}

/* pages that were only read show the zero page at the new place as well, and get their own when written */
TEST(zero_page)
{
	size_t len = PMD_SIZE + 8 * PAGE;
	char *old = free_range(2 * len + PMD_SIZE, PMD_SIZE), *new = old + 2 * PMD_SIZE;
	uint64_t zero;

	ASSERT_NE(NULL, old);
	ASSERT_EQ(old, map_at(old, len));
	for (size_t at = 0; at < len; at += 8 * PAGE)
		mm_touch_read(old + at, PAGE);
	zero = mm_pfn(0, old);
	ASSERT_NE(0, zero);
	ASSERT_EQ(new, move(old, len, new));
	for (size_t at = 0; at < len; at += 8 * PAGE)
		EXPECT_EQ(zero, mm_pfn(0, new + at));
	EXPECT_EQ(len / PAGE / 8, mm_count_present(0, new, len));
	for (size_t at = 0; at < len; at += 16 * PAGE)
		mm_fill_from(new + at, PAGE, SEED, at);
	for (size_t at = 0; at < len; at += 16 * PAGE) {
		EXPECT_EQ(-1, kernel_check_from(new + at, PAGE, SEED, at));
		EXPECT_NE(zero, mm_pfn(0, new + at));
		if (at + 8 * PAGE < len)
			EXPECT_EQ(-1, mm_check_byte(new + at + 8 * PAGE, PAGE, 0));
	}
}

/* a region without any access keeps its pages out of reach at the new place, until it gets access there */
TEST(no_access)
{
	size_t len = PMD_SIZE + 40 * PAGE;
	char *old = free_range(4 * PMD_SIZE, PMD_SIZE), *new = old + 2 * PMD_SIZE;
	uint64_t first, last;

	ASSERT_NE(NULL, old);
	ASSERT_EQ(old, map_at(old, len));
	for (size_t at = 0; at < len; at += 24 * PAGE)
		mm_fill_from(old + at, PAGE, SEED, at);
	first = mm_pfn(0, old);
	last = mm_pfn(0, old + PMD_SIZE + 16 * PAGE);
	ASSERT_NE(0, last);
	ASSERT_EQ(0, mprotect(old, len, PROT_NONE));
	ASSERT_EQ(new, move(old, len, new));
	for (size_t at = 0; at < len; at += 24 * PAGE) {
		EXPECT_EQ(SIGSEGV, mm_probe_read(new + at));
		EXPECT_EQ(SEGV_ACCERR, mm_probe_code());
	}
	EXPECT_EQ(0, reachable(old, PAGE));
	ASSERT_EQ(0, mprotect(new, len, PROT_READ | PROT_WRITE));
	EXPECT_EQ(first, mm_pfn(0, new));
	EXPECT_EQ(last, mm_pfn(0, new + PMD_SIZE + 16 * PAGE));
	for (size_t at = 0; at < len; at += 24 * PAGE) {
		EXPECT_EQ(-1, mm_check_from(new + at, PAGE, SEED, at));
		mm_fill_from(new + at, PAGE, LATER, at);
		EXPECT_EQ(-1, kernel_check_from(new + at, PAGE, LATER, at));
	}
}

TEST_HARNESS_MAIN
