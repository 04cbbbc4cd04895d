// SPDX-License-Identifier: GPL-2.0
/*
 * mremap() of many page tables of different content side by side, which may move as runs: each arrives as what it
 * was, wherever the PMD tables of source and target begin and end.
 */
#include "kselftest_harness.h"
#include <linux/mman.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include "mremap.h"

#define SEED	1
#define LATER	2
#define BELOW	3	/* what the target held before */
#define MAX	128	/* page tables of a region */
#define FULL	(PMD_SIZE / PAGE)

/*
 * What a table holds, by the letter at its place of a pattern that repeats:
 *
 *	.  there is no table		e  it is empty			p  a few pages
 *	f  512 pages			s  pages, one of them in swap	g  pages, one of them a guard
 *	z  pages, one of them zero	r  pages of another VMA: read-only
 */
FIXTURE(run) {
	char *old, *new;
	size_t len;
	uint64_t pfn[MAX];	/* of the first page of each table */
};

FIXTURE_VARIANT(run) {
	const char *pattern;
	unsigned int pmds;
	size_t old, new;	/* offsets past a multiple of PUD_SIZE */
	size_t tail;		/* so many bytes more than tables */
	bool near;		/* source and target are in one PMD table */
};

#define PMDS(n)	((n) * PMD_SIZE)
#define ADD(name, ...) FIXTURE_VARIANT_ADD(run, name) { __VA_ARGS__ }

ADD(pages,	.pattern = "p", .pmds = 40, .old = PMDS(3), .new = PMDS(3));
ADD(holes,	.pattern = "p.pp..", .pmds = 40, .old = PMDS(3), .new = PMDS(70));
ADD(empty,	.pattern = "epe.", .pmds = 40, .old = PMDS(3), .new = PMDS(70));
ADD(mixed,	.pattern = "ps.gzepp", .pmds = 40, .old = PMDS(3), .new = PMDS(70));
ADD(full,	.pattern = "fp.", .pmds = 9, .old = PMDS(3), .new = PMDS(4));
/* a hole first, a hole last */
ADD(ends,	.pattern = "..ppp..", .pmds = 7, .old = PMDS(5), .new = PMDS(8));
ADD(nothing,	.pattern = ".", .pmds = 40, .old = PMDS(5), .new = PMDS(8));
/* several VMAs, whose borders lie between tables */
ADD(vmas,	.pattern = "pprrp.r", .pmds = 21, .old = PMDS(5), .new = PMDS(8));
/* up to the end of a PMD table, from its start on, and across, on either side */
ADD(up_to_end,	.pattern = "ps.p", .pmds = 20, .old = PMDS(492), .new = PMDS(100));
ADD(onto_end,	.pattern = "ps.p", .pmds = 20, .old = PMDS(100), .new = PMDS(492));
ADD(from_start,	.pattern = "ps.p", .pmds = 20, .old = 0, .new = PMDS(100));
ADD(over_end,	.pattern = "pzpgs", .pmds = 20, .old = PMDS(505), .new = PMDS(100));
ADD(onto_over,	.pattern = "pzpgs", .pmds = 20, .old = PMDS(100), .new = PMDS(505));
ADD(both_over,	.pattern = "pzpgs", .pmds = 20, .old = PMDS(505), .new = PMDS(498));
ADD(hole_over,	.pattern = "pppp....", .pmds = 20, .old = PMDS(506), .new = PMDS(498));
/* mutually aligned, and the first table and the last go only in part */
ADD(part,	.pattern = "pps.", .pmds = 18, .old = PMDS(4) - 9 * PAGE, .new = PMDS(9) - 9 * PAGE, .tail = 11 * PAGE);
ADD(part_over,	.pattern = "pps.", .pmds = 18, .old = PMDS(508) - 9 * PAGE, .new = PMDS(501) - 9 * PAGE);
/* no alignment in common: page by page */
ADD(control,	.pattern = "ps.gzepp", .pmds = 40, .old = PMDS(3), .new = PMDS(70) + PAGE);
ADD(near_down,	.pattern = "ps.gzepp", .pmds = 40, .old = PMDS(100), .new = PMDS(20), .near = true);
ADD(near_up,	.pattern = "ps.gzepp", .pmds = 40, .old = PMDS(20), .new = PMDS(60), .near = true);
/* more than two PMD tables */
ADD(long_shift,	.pattern = "p.......p..............s", .pmds = 127, .old = PMDS(400), .new = PMDS(450));

static char type(const FIXTURE_VARIANT(run) *v, size_t i)
{
	return v->pattern[i % strlen(v->pattern)];
}

/* Three pages of a table are used, not always the same ones; the last one is of a special kind in some tables. */
static size_t spot(size_t table, unsigned int k)
{
	return table * PMD_SIZE + (table * 7 % 150 + k * 170) * PAGE;
}

static void put(char *place, size_t table, unsigned int k, uint64_t seed)
{
	mm_fill_from(place + spot(table, k), PAGE, seed, spot(table, k));
}

static bool has(char *place, size_t table, unsigned int k, uint64_t seed)
{
	return mm_check_from(place + spot(table, k), PAGE, seed, spot(table, k)) == -1;
}

static bool has_zero(char *place, size_t table, unsigned int k)
{
	return mm_check_byte(place + spot(table, k), PAGE, 0) == -1;
}

/* Make the tables; false if that went wrong. */
static bool make(char *p, char type, size_t i)
{
	if (type == '.')
		return true;
	put(p, i, 0, SEED);
	put(p, i, 1, SEED);
	switch (type) {
	case 'e':
		return !madvise(p + PMDS(i), PMD_SIZE, MADV_DONTNEED);
	case 'f':
		fill_new(p + PMDS(i), PMD_SIZE, LATER);
		for (unsigned int k = 0; k < 3; k++)
			put(p, i, k, SEED);
		return true;
	case 's':
		put(p, i, 2, SEED);
		return mm_pageout(p + spot(i, 2), PAGE) == 0 && mm_count_swapped(0, p + spot(i, 2), PAGE) == 1;
	case 'g':
		return !madvise(p + spot(i, 2), PAGE, MADV_GUARD_INSTALL);
	case 'z':
		return has_zero(p, i, 2);
	case 'r':
		return !mprotect(p + PMDS(i), PMD_SIZE, PROT_READ);
	}
	return true;
}

/* Whether the table at its place is what make() has made. */
static bool arrived(char *p, char type, size_t i, uint64_t pfn)
{
	if (type == '.' || type == 'e')
		return !mm_count_present(0, p + PMDS(i), PMD_SIZE) && has_zero(p, i, 0);
	if (mm_pfn(0, p + spot(i, 0)) != pfn || !has(p, i, 0, SEED) || !has(p, i, 1, SEED))
		return false;
	switch (type) {
	case 'f':
		return mm_count_present(0, p + PMDS(i), PMD_SIZE) == FULL && has(p, i, 2, SEED);
	case 's':
		return mm_count_swapped(0, p + spot(i, 2), PAGE) == 1 && has(p, i, 2, SEED);
	case 'g':
		return mm_probe_read(p + spot(i, 2)) == SIGSEGV;
	case 'z':
		return has_zero(p, i, 2);
	case 'r':
		return mm_probe_write(p + spot(i, 1), 0) == SIGSEGV && mm_probe_code() == SEGV_ACCERR;
	}
	return mm_count_present(0, p + PMDS(i), PMD_SIZE) == 2;
}

FIXTURE_SETUP(run)
{
	char *base;

	NEED(mm_need_swap());
	/* 'r' is a VMA of its own. */
	NEED(strchr(variant->pattern, 'r') ? mm_need_mremap_vmas() : NULL);
	NEED(strchr(variant->pattern, 'g') ? mm_need_guard(MAP_PRIVATE) : NULL);
	base = free_range(8 * PUD_SIZE, PUD_SIZE);
	ASSERT_NE(NULL, base);
	self->len = PMDS(variant->pmds) + variant->tail;
	self->old = base + PUD_SIZE + variant->old;
	self->new = base + (variant->near ? PUD_SIZE : 4 * PUD_SIZE) + variant->new;
	ASSERT_EQ(self->old, map_at(self->old, self->len));
	for (size_t i = 0; i < variant->pmds; i++)
		ASSERT_TRUE(make(self->old, type(variant, i), i));
	for (size_t i = 0; i < variant->pmds; i++)
		self->pfn[i] = mm_pfn(0, self->old + spot(i, 0));
}

FIXTURE_TEARDOWN(run)
{
	munmap(self->old, self->len);
	munmap(self->new, self->len);
}

/* How many tables are not at @p as they were made. */
static long missing(FIXTURE_DATA(run) *self, const FIXTURE_VARIANT(run) *v, char *p)
{
	long n = 0;

	mm_probe_begin();
	for (size_t i = 0; i < v->pmds; i++)
		n += !arrived(p, type(v, i), i, self->pfn[i]);
	mm_probe_end();
	return n;
}

/* How many of the pages that were used can be reached at @p. */
static long left(const FIXTURE_VARIANT(run) *v, char *p)
{
	long n = 0;

	for (size_t i = 0; i < v->pmds; i++)
		for (unsigned int k = 0; k < 3; k++)
			n += reachable(p + spot(i, k), PAGE);
	return n;
}

/* Write all pages that may be written, and read them back through the kernel; how many are wrong. */
static long unwritten(const FIXTURE_VARIANT(run) *v, char *p)
{
	long n = 0;

	for (size_t i = 0; i < v->pmds; i++) {
		if (type(v, i) == 'r')
			continue;
		for (unsigned int k = 0; k < 2; k++)
			put(p, i, k, LATER);
		for (unsigned int k = 0; k < 2; k++)
			n += kernel_check_from(p + spot(i, k), PAGE, LATER, spot(i, k)) != -1;
	}
	return n;
}

/* every table arrives as what it was, and nothing stays behind; the new place can be written */
TEST_F(run, arrives)
{
	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	EXPECT_EQ(0, missing(self, variant, self->new));
	EXPECT_EQ(0, mm_vma_count(0, self->old, self->len));
	EXPECT_EQ(0, left(variant, self->old));
	EXPECT_EQ(0, unwritten(variant, self->new));
}

/* over a target that has pages of its own everywhere: they are gone, where tables are missing too; then back */
TEST_F(run, over)
{
	ASSERT_EQ(self->new, map_at(self->new, self->len));
	for (size_t i = 0; i < variant->pmds; i++)
		for (unsigned int k = 0; k < 3; k++)
			put(self->new, i, k, BELOW);
	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	EXPECT_EQ(0, left(variant, self->old));
	ASSERT_EQ(self->old, move(self->new, self->len, self->old));
	EXPECT_EQ(0, missing(self, variant, self->old));
	EXPECT_EQ(0, left(variant, self->new));
	EXPECT_EQ(0, unwritten(variant, self->old));
}

/* MREMAP_DONTUNMAP: the tables are at the new place, the old one is empty and can be filled on its own */
TEST_F(run, dontunmap)
{
	ASSERT_EQ(self->new, mremap(self->old, self->len, self->len,
				    MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, self->new));
	EXPECT_EQ(0, mm_count_present(0, self->old, self->len));
	EXPECT_EQ(0, unwritten(variant, self->old));
	EXPECT_EQ(0, missing(self, variant, self->new));
}

struct place {
	FIXTURE_DATA(run) *self;
	const FIXTURE_VARIANT(run) *variant;
};

static int in_child(void *arg)
{
	struct place *at = arg;

	if (missing(at->self, at->variant, at->self->new))
		return 1;
	if (left(at->variant, at->self->old))
		return 2;
	return unwritten(at->variant, at->self->new) ? 3 : 0;
}

/* a child forked after the move has all of it, and its writes are its own */
TEST_F(run, fork)
{
	struct place at = { self, variant };

	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	EXPECT_EQ(0, mm_in_child(in_child, &at));
	for (size_t i = 0; i < variant->pmds; i++)
		if (self->pfn[i])
			EXPECT_TRUE(has(self->new, i, 0, SEED));
}

#define TABLES	24

FIXTURE(tables) {
	char *old, *new;
};

/* Regions with a page in each of TABLES tables. */
FIXTURE_SETUP(tables)
{
	char *base = free_range(4 * PUD_SIZE, PUD_SIZE);

	ASSERT_NE(NULL, base);
	self->old = base + PMDS(500);
	self->new = base + 2 * PUD_SIZE + PMDS(3);
	ASSERT_EQ(self->old, map_at(self->old, PMDS(TABLES)));
	for (size_t i = 0; i < TABLES; i++)
		put(self->old, i, 0, SEED);
}

FIXTURE_TEARDOWN(tables)
{
}

/* merged pages: what moves gets frames of its own, of the same bytes, and what stays remains merged */
TEST_F(tables, ksm)
{
	char *twin = self->new + PUD_SIZE;
	uint64_t pfn[TABLES];

	NEED(mm_need_ksm());
	ASSERT_EQ(twin, map_at(twin, PMDS(TABLES)));
	for (size_t i = 0; i < TABLES; i++)
		put(twin, i, 0, SEED);
	ASSERT_EQ(0, madvise(self->old, PMDS(TABLES), MADV_MERGEABLE));
	ASSERT_EQ(0, madvise(twin, PMDS(TABLES), MADV_MERGEABLE));
	ASSERT_EQ(0, mm_ksm_scan(2));
	for (size_t i = 0; i < TABLES; i++) {
		pfn[i] = mm_pfn(0, twin + spot(i, 0));
		ASSERT_EQ(pfn[i], mm_pfn(0, self->old + spot(i, 0)));
	}
	ASSERT_EQ(self->new, move(self->old, PMDS(TABLES), self->new));
	for (size_t i = 0; i < TABLES; i++) {
		EXPECT_NE(pfn[i], mm_pfn(0, self->new + spot(i, 0)));
		EXPECT_EQ(pfn[i], mm_pfn(0, twin + spot(i, 0)));
		EXPECT_TRUE(has(self->new, i, 0, SEED));
		put(self->new, i, 0, LATER);
		EXPECT_TRUE(has(twin, i, 0, SEED));
		EXPECT_EQ(0, reachable(self->old + spot(i, 0), PAGE));
	}
	EXPECT_EQ(0, mm_ksm_unmerge_all());
}

/* a userfaultfd that does not ask for the event: the new place is ordinary memory, at every page of the run */
TEST_F(tables, uffd)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { .start = (unsigned long)self->old, .len = PMDS(TABLES) },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = mm_userfaultfd(O_CLOEXEC | O_NONBLOCK);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioctl(fd, UFFDIO_API, &api));
	ASSERT_EQ(0, ioctl(fd, UFFDIO_REGISTER, &reg));
	ASSERT_EQ(self->new, move(self->old, PMDS(TABLES), self->new));
	EXPECT_FALSE(mm_vmflag(0, self->new, "um"));
	for (size_t i = 0; i < TABLES; i++) {
		EXPECT_TRUE(has(self->new, i, 0, SEED));
		EXPECT_TRUE(has_zero(self->new, i, 1));
		EXPECT_EQ(0, reachable(self->old + spot(i, 0), PAGE));
	}
	close(fd);
}

/* after the move reclaim finds every page at its new place, and all come back */
TEST_F(tables, reclaim)
{
	NEED(mm_need_swap());
	ASSERT_EQ(self->new, move(self->old, PMDS(TABLES), self->new));
	EXPECT_EQ(0, mm_pageout(self->new, PMDS(TABLES)));
	EXPECT_EQ(TABLES, mm_count_swapped(0, self->new, PMDS(TABLES)));
	for (size_t i = 0; i < TABLES; i++)
		EXPECT_TRUE(has(self->new, i, 0, SEED));
}

TEST_HARNESS_MAIN
