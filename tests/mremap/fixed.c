// SPDX-License-Identifier: GPL-2.0
/* MREMAP_FIXED onto what is mapped already: the target goes, exactly, and its frames are freed. */
#include "kselftest_harness.h"
#include "mremap.h"

#define OLD	1	/* seeds: of the source, of the target, of what is written later */
#define TARGET	2
#define LATER	3

FIXTURE(over) {
	char *from, *to;
	size_t len;
};

FIXTURE_VARIANT(over) {
	size_t from, to, len;	/* offsets past a multiple of PMD_SIZE */
};

FIXTURE_VARIANT_ADD(over, page) { .from = 3 * PAGE, .to = 9 * PAGE, .len = 32 * PAGE };
FIXTURE_VARIANT_ADD(over, pmd) { .len = 2 * PMD_SIZE };
FIXTURE_VARIANT_ADD(over, mutual) { .from = 480 * PAGE, .to = 480 * PAGE, .len = PMD_SIZE + 64 * PAGE };
FIXTURE_VARIANT_ADD(over, pmd_misaligned) { .to = 16 * PAGE, .len = PMD_SIZE + 16 * PAGE };

FIXTURE_SETUP(over)
{
	self->len = variant->len;
	self->from = mm_map_at_offset(self->len, PMD_SIZE, variant->from);
	self->to = mm_map_at_offset(self->len, PMD_SIZE, variant->to);
	ASSERT_NE(NULL, self->from);
	ASSERT_NE(NULL, self->to);
}

FIXTURE_TEARDOWN(over)
{
	munmap(self->from, self->len);
	munmap(self->to, self->len);
}

/* Of so many bytes the last page is a page of the source, the others are holes. */
#define STEP	(16 * PAGE)

static void fill_source(const FIXTURE_DATA(over) *self)
{
	for (size_t at = STEP - PAGE; at < self->len; at += STEP)
		mm_fill_from(self->from + at, PAGE, OLD, at);
}

/* How many holes of the source do not read as zero at the target, plus how many pages are wrong. */
static long bad_at_target(const FIXTURE_DATA(over) *self)
{
	long bad = 0;

	for (size_t at = 0; at < self->len; at += STEP) {
		bad += mm_check_byte(self->to + at, STEP - PAGE, 0) != -1;
		bad += mm_check_from(self->to + at + STEP - PAGE, PAGE, OLD, at + STEP - PAGE) != -1;
	}
	return bad;
}

/* every page of the target is lost and freed; where the source had no page the target reads zero */
TEST_F(over, populated)
{
	size_t pages = self->len / PAGE;
	long anon;

	fill_source(self);
	fill_new(self->to, self->len, TARGET);
	mm_vmstat("nr_anon_pages");
	anon = mm_vmstat("nr_anon_pages");
	ASSERT_EQ(self->to, move(self->from, self->len, self->to));
	EXPECT_EQ(pages, anon - mm_vmstat("nr_anon_pages"));
	EXPECT_EQ(pages / 16, mm_count_present(0, self->to, self->len));
	/* What is reached there otherwise are frames that belong to others by now: do not write to them. */
	ASSERT_EQ(0, bad_at_target(self));
	mm_fill(self->to, self->len, LATER);
	EXPECT_EQ(-1, kernel_check(self->to, self->len, LATER));
	EXPECT_EQ(0, reachable(self->from + STEP - PAGE, PAGE));
}

/* nothing was ever touched in the source: the whole target reads zero afterwards */
TEST_F(over, by_nothing)
{
	size_t pages = self->len / PAGE;
	long anon;

	fill_new(self->to, self->len, TARGET);
	mm_vmstat("nr_anon_pages");
	anon = mm_vmstat("nr_anon_pages");
	ASSERT_EQ(self->to, move(self->from, self->len, self->to));
	EXPECT_EQ(pages, anon - mm_vmstat("nr_anon_pages"));
	EXPECT_EQ(0, mm_count_present(0, self->to, self->len));
	ASSERT_EQ(-1, mm_check_byte(self->to, self->len, 0));
	mm_fill(self->to, self->len, LATER);
	EXPECT_EQ(-1, kernel_check(self->to, self->len, LATER));
}

/* the target's pages are in swap: their swap slots are freed, and nothing of them comes back */
TEST_F(over, swapped)
{
	struct mm_cgroup cg;

	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	ASSERT_EQ(0, mm_cgroup_create(&cg, "mremap-fixed"));
	ASSERT_EQ(0, mm_cgroup_enter(&cg));
	for (size_t at = 0; at < self->len; at += STEP)
		mm_fill(self->to + at, 2 * PAGE, TARGET);
	ASSERT_EQ(0, mm_cgroup_leave());
	ASSERT_EQ(0, mm_pageout(self->to, self->len));
	fill_source(self);
	ASSERT_EQ(self->len / STEP * 2 * PAGE, mm_cgroup_read(&cg, "memory.swap.current"));
	ASSERT_EQ(self->to, move(self->from, self->len, self->to));
	EXPECT_EQ(0, mm_cgroup_read(&cg, "memory.swap.current"));
	EXPECT_EQ(0, mm_count_swapped(0, self->to, self->len));
	EXPECT_EQ(0, bad_at_target(self));
	EXPECT_EQ(0, mm_cgroup_remove(&cg));
}

/* a target in the middle of several VMAs and holes: their other parts stay as they are */
TEST(several)
{
	char *to = mm_map_aligned(24 * PAGE, PMD_SIZE), *from = mm_map_aligned(16 * PAGE, PAGE);
	struct mm_vma vma;

	ASSERT_NE(NULL, to);
	ASSERT_NE(NULL, from);
	mm_fill(from, 16 * PAGE, OLD);
	mm_fill(to, 24 * PAGE, TARGET);
	ASSERT_EQ(0, mprotect(to + 8 * PAGE, 4 * PAGE, PROT_READ));
	ASSERT_EQ(0, munmap(to + 14 * PAGE, 2 * PAGE));
	ASSERT_EQ(0, mprotect(to + 18 * PAGE, 6 * PAGE, PROT_NONE));
	ASSERT_EQ(to + 4 * PAGE, move(from, 16 * PAGE, to + 4 * PAGE));
	EXPECT_EQ(-1, mm_check(to + 4 * PAGE, 16 * PAGE, OLD));
	EXPECT_EQ(-1, mm_check(to, 4 * PAGE, TARGET));
	ASSERT_EQ(0, mm_vma(0, to + 20 * PAGE, &vma));
	EXPECT_EQ((unsigned long)to + 20 * PAGE, vma.start);
	EXPECT_EQ((unsigned long)to + 24 * PAGE, vma.end);
	EXPECT_STREQ("---p", vma.prot);
	ASSERT_EQ(0, mprotect(to + 20 * PAGE, 4 * PAGE, PROT_READ));
	EXPECT_EQ(-1, mm_check_from(to + 20 * PAGE, 4 * PAGE, TARGET, 20 * PAGE));
	mm_fill(to + 4 * PAGE, 16 * PAGE, LATER);
	EXPECT_EQ(-1, kernel_check(to + 4 * PAGE, 16 * PAGE, LATER));
	EXPECT_EQ(-1, mm_check(to, 4 * PAGE, TARGET));
}

FIXTURE(within) {
	char *p;
};

/* The source and the target are parts of one VMA, both of @len bytes. */
FIXTURE_VARIANT(within) {
	size_t from, to, len;
};

FIXTURE_VARIANT_ADD(within, down) { .from = 40 * PAGE, .to = 8 * PAGE, .len = 8 * PAGE };
FIXTURE_VARIANT_ADD(within, up) { .from = 8 * PAGE, .to = 40 * PAGE, .len = 8 * PAGE };
FIXTURE_VARIANT_ADD(within, next_to_it) { .from = 16 * PAGE, .to = 24 * PAGE, .len = 8 * PAGE };
FIXTURE_VARIANT_ADD(within, mutual) {
	.from = PMD_SIZE + 256 * PAGE, .to = 256 * PAGE, .len = 256 * PAGE,
};
FIXTURE_VARIANT_ADD(within, mutual_crossing) {
	.from = 2 * PMD_SIZE + 500 * PAGE, .to = 500 * PAGE, .len = PMD_SIZE,
};
FIXTURE_VARIANT_ADD(within, pmd) { .from = 2 * PMD_SIZE, .to = PMD_SIZE, .len = PMD_SIZE };

FIXTURE_SETUP(within)
{
	self->p = mm_map_aligned(4 * PMD_SIZE, PMD_SIZE);
	ASSERT_NE(NULL, self->p);
}

FIXTURE_TEARDOWN(within)
{
	munmap(self->p, 4 * PMD_SIZE);
}

/* Every 8th page of the VMA is filled, and those next to the ends of source and target. */
static bool is_filled(const FIXTURE_VARIANT(within) *v, size_t at)
{
	return at / PAGE % 8 == 0 || at == v->from - PAGE || at == v->to - PAGE ||
	       at == v->from + v->len - PAGE || at == v->to + v->len - PAGE;
}

/* What is expected in a page of the VMA after the move: the byte offset in the pattern, or -1 for zeroes. */
static ssize_t origin(const FIXTURE_VARIANT(within) *v, size_t at)
{
	if (v->to <= at && at < v->to + v->len)
		at += v->from - v->to;
	return is_filled(v, at) ? (ssize_t)at : -1;
}

/* a part of a VMA moves over another part of it: both ends of both are as exact as the middle */
TEST_F(within, one_vma)
{
	long bad = 0;

	for (size_t at = 0; at < 4 * PMD_SIZE; at += PAGE)
		if (is_filled(variant, at))
			mm_fill_from(self->p + at, PAGE, OLD, at);
	ASSERT_EQ(self->p + variant->to,
		  move(self->p + variant->from, variant->len, self->p + variant->to));
	EXPECT_EQ(0, reachable(self->p + variant->from, PAGE));
	EXPECT_EQ(0, reachable(self->p + variant->from + variant->len - PAGE, PAGE));
	EXPECT_EQ(0, mm_vma_count(0, self->p + variant->from, variant->len));
	for (size_t at = 0; at < 4 * PMD_SIZE; at += PAGE) {
		ssize_t want = origin(variant, at);

		if (variant->from <= at && at < variant->from + variant->len)
			continue;
		if (want >= 0)
			bad += mm_check_from(self->p + at, PAGE, OLD, want) != -1;
		else if (at % (64 * PAGE) == PAGE)
			bad += mm_check_byte(self->p + at, PAGE, 0) != -1;
	}
	EXPECT_EQ(0, bad);
}

/* a shared file mapping in the way is unmapped: the file keeps its bytes, whatever is written later */
TEST(file)
{
	size_t len = 16 * PAGE;
	int fd = mm_tmpfile("/mnt", len);
	char *from = mm_map_aligned(len, PMD_SIZE), *to = mm_reserve(len, PMD_SIZE), *file;

	ASSERT_LE(0, fd);
	ASSERT_NE(NULL, from);
	ASSERT_NE(NULL, to);
	ASSERT_EQ(to, mmap(to, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0));
	mm_fill(to, len, TARGET);
	mm_fill(from, len, OLD);
	ASSERT_EQ(to, move(from, len, to));
	EXPECT_EQ(-1, mm_check(to, len, OLD));
	mm_fill(to, len, LATER);
	file = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, file);
	EXPECT_EQ(-1, mm_check(file, len, TARGET));
	EXPECT_EQ(-1, kernel_check(to, len, LATER));
	close(fd);
}

/* a locked target is unlocked with its pages: VmLck falls by its size */
TEST(locked)
{
	size_t len = 16 * PAGE;
	char *from = mm_map_aligned(len, PMD_SIZE), *to = mm_map_aligned(len, PMD_SIZE);
	long locked, pages;

	ASSERT_NE(NULL, from);
	ASSERT_NE(NULL, to);
	ASSERT_EQ(0, mlock(to, len));
	mm_fill(from, len, OLD);
	mm_vmstat("nr_mlock");
	locked = mm_status(0, "VmLck");
	pages = mm_vmstat("nr_mlock");
	ASSERT_EQ(to, move(from, len, to));
	EXPECT_EQ(len / KB, locked - mm_status(0, "VmLck"));
	mm_lru_drain();
	EXPECT_EQ(len / PAGE, pages - mm_vmstat("nr_mlock"));
	EXPECT_FALSE(mm_vmflag(0, to, "lo"));
	EXPECT_EQ(-1, mm_check(to, len, OLD));
}

/* 1 GB onto 1 GB in which other pages are mapped: the target has the source's pages and no other */
TEST(pud)
{
	static const size_t at[] = { 0, PAGE, PMD_SIZE - PAGE, PMD_SIZE, 5 * PMD_SIZE, PUD_SIZE - PAGE };
	static const size_t target_at[] = { PAGE, 2 * PAGE, 3 * PMD_SIZE, 5 * PMD_SIZE, PUD_SIZE - 2 * PAGE };
	char *from = free_range(2 * PUD_SIZE, PUD_SIZE), *to = from + PUD_SIZE;
	long anon;

	ASSERT_NE(NULL, from);
	ASSERT_EQ(from, map_at(from, PUD_SIZE));
	ASSERT_EQ(to, map_at(to, PUD_SIZE));
	for (size_t i = 0; i < 6; i++)
		mm_fill(from + at[i], PAGE, OLD + 10 * i);
	for (size_t i = 0; i < 5; i++)
		mm_fill(to + target_at[i], PAGE, TARGET);
	mm_vmstat("nr_anon_pages");
	anon = mm_vmstat("nr_anon_pages");
	ASSERT_EQ(to, move(from, PUD_SIZE, to));
	EXPECT_EQ(5, anon - mm_vmstat("nr_anon_pages"));
	EXPECT_EQ(6 * PAGE / KB, mm_smaps(0, to, "Rss"));
	for (size_t i = 0; i < 6; i++)
		EXPECT_EQ(-1, mm_check(to + at[i], PAGE, OLD + 10 * i));
	EXPECT_EQ(-1, mm_check_byte(to + 2 * PAGE, PAGE, 0));
	EXPECT_EQ(-1, mm_check_byte(to + 3 * PMD_SIZE, PAGE, 0));
	EXPECT_EQ(-1, mm_check_byte(to + PUD_SIZE - 2 * PAGE, PAGE, 0));
	for (size_t i = 0; i < 6; i++)
		EXPECT_EQ(0, reachable(from + at[i], PAGE));
}

TEST_HARNESS_MAIN
