// SPDX-License-Identifier: GPL-2.0
/*
 * mremap() to another place, for every way in which source and target can lie to each other: every byte
 * arrives, the old place is gone, the frames are the same, and the page tables at the new place do all
 * that page tables have to do afterwards.
 */
#include "kselftest_harness.h"
#include "mremap.h"

#define PMD_PAGES	(PMD_SIZE / PAGE)
#define MAX_FILLED	128
#define SPARSE		(16 * MB)	/* longer regions are filled at interesting places only */

/* Seeds of what is written: before the move, by user space after it, by the kernel, by a child, below. */
enum { BEFORE = 1, USER, KERNEL, CHILD, NEIGHBOUR };

FIXTURE(align) {
	char *old, *new;
	size_t len;
	size_t page[MAX_FILLED];	/* numbers of the pages that were written */
	uint64_t pfn[MAX_FILLED];	/* their frames */
	size_t n;
};

/* Source and target begin @old and @new bytes after a multiple of @unit. */
FIXTURE_VARIANT(align) {
	size_t unit, old, new, len;
	size_t around;			/* the source's VMA has so many bytes more on both sides */
	bool below_old, below_new;	/* something is mapped in the same table, below it */
};

/* no alignment in common */
FIXTURE_VARIANT_ADD(align, page) {
	.unit = PMD_SIZE, .old = 3 * PAGE, .new = 5 * PAGE, .len = 16 * PAGE,
};
/* whole tables */
FIXTURE_VARIANT_ADD(align, pmd) {
	.unit = PMD_SIZE, .len = 2 * PMD_SIZE,
};
/* one page short of a table */
FIXTURE_VARIANT_ADD(align, pmd_short) {
	.unit = PMD_SIZE, .len = PMD_SIZE - PAGE,
};
/* a table and a few pages of the next */
FIXTURE_VARIANT_ADD(align, pmd_tail) {
	.unit = PMD_SIZE, .len = PMD_SIZE + 17 * PAGE,
};
FIXTURE_VARIANT_ADD(align, pmd_source_only) {
	.unit = PMD_SIZE, .new = PAGE, .len = 2 * PMD_SIZE,
};
FIXTURE_VARIANT_ADD(align, pmd_target_only) {
	.unit = PMD_SIZE, .old = PMD_SIZE - PAGE, .len = 2 * PMD_SIZE,
};
/* mutually aligned: the kernel may round both down and move the first table as well */
FIXTURE_VARIANT_ADD(align, mutual) {
	.unit = PMD_SIZE, .old = PMD_SIZE - 5 * PAGE, .new = PMD_SIZE - 5 * PAGE, .len = PMD_SIZE + 12 * PAGE,
};
/* mutually aligned, all in one table: rounding is not worth it */
FIXTURE_VARIANT_ADD(align, mutual_short) {
	.unit = PMD_SIZE, .old = 200 * PAGE, .new = 200 * PAGE, .len = 100 * PAGE,
};
/* mutually aligned, but rounding the source down would take a neighbour's pages along */
FIXTURE_VARIANT_ADD(align, mutual_below_source) {
	.unit = PMD_SIZE, .old = 300 * PAGE, .new = 300 * PAGE, .len = PMD_SIZE, .below_old = true,
};
/* mutually aligned, but rounding the target down would hit a neighbour's table */
FIXTURE_VARIANT_ADD(align, mutual_below_target) {
	.unit = PMD_SIZE, .old = 300 * PAGE, .new = 300 * PAGE, .len = PMD_SIZE, .below_new = true,
};
/* mutually aligned, but the VMA begins before the range that moves */
FIXTURE_VARIANT_ADD(align, mutual_inside) {
	.unit = PMD_SIZE, .old = 300 * PAGE, .new = 300 * PAGE, .len = PMD_SIZE, .around = 64 * PAGE,
};
/* a table out of the middle of a VMA */
FIXTURE_VARIANT_ADD(align, pmd_inside) {
	.unit = PMD_SIZE, .len = PMD_SIZE, .around = 64 * PAGE,
};
/* tables on both sides of a 1 GB boundary to one side of it, and back */
FIXTURE_VARIANT_ADD(align, pmd_over_pud) {
	.unit = PUD_SIZE, .old = PUD_SIZE - PMD_SIZE, .new = 3 * PMD_SIZE, .len = 2 * PMD_SIZE,
};
FIXTURE_VARIANT_ADD(align, pmd_onto_pud) {
	.unit = PUD_SIZE, .old = 3 * PMD_SIZE, .new = PUD_SIZE - PMD_SIZE, .len = 2 * PMD_SIZE,
};
/* a whole table of tables */
FIXTURE_VARIANT_ADD(align, pud) {
	.unit = PUD_SIZE, .len = PUD_SIZE,
};
FIXTURE_VARIANT_ADD(align, pud_two) {
	.unit = PUD_SIZE, .len = 2 * PUD_SIZE,
};
/* a table of tables, a few tables and a few pages */
FIXTURE_VARIANT_ADD(align, pud_tail) {
	.unit = PUD_SIZE, .len = PUD_SIZE + 3 * PMD_SIZE + 5 * PAGE,
};
/* one table short of a table of tables */
FIXTURE_VARIANT_ADD(align, pud_short) {
	.unit = PUD_SIZE, .len = PUD_SIZE - PMD_SIZE,
};
/* tables up to a 1 GB boundary, a table of tables from there on */
FIXTURE_VARIANT_ADD(align, pud_mutual) {
	.unit = PUD_SIZE, .old = PUD_SIZE / 2, .new = PUD_SIZE / 2, .len = PUD_SIZE + PUD_SIZE / 2,
};
/* pages, tables, a table of tables, a table, pages */
FIXTURE_VARIANT_ADD(align, pud_mutual_pages) {
	.unit = PUD_SIZE, .old = PUD_SIZE - PMD_SIZE - 3 * PAGE, .new = PUD_SIZE - PMD_SIZE - 3 * PAGE,
	.len = PUD_SIZE + 2 * PMD_SIZE + 9 * PAGE,
};
/* 1 GB that is aligned by 2 MB at one end */
FIXTURE_VARIANT_ADD(align, pud_source_only) {
	.unit = PUD_SIZE, .new = PMD_SIZE, .len = PUD_SIZE + PMD_SIZE,
};
FIXTURE_VARIANT_ADD(align, pud_target_only) {
	.unit = PUD_SIZE, .old = PUD_SIZE - PMD_SIZE, .len = PUD_SIZE + PMD_SIZE,
};
/* 1 GB that goes page by page */
FIXTURE_VARIANT_ADD(align, pud_by_pages) {
	.unit = PUD_SIZE, .old = PAGE, .len = PUD_SIZE,
};

/* Whether the page at @p of the source is to be written: the ends of tables and some in between. */
static bool wanted(const char *start, const char *p, size_t len)
{
	size_t in_pmd = (uintptr_t)p / PAGE % PMD_PAGES, pmd = (uintptr_t)p / PMD_SIZE % PMD_PAGES;

	if (p == start || p == start + len - PAGE)
		return true;
	if (len <= 16 * PAGE)
		return (p - start) / PAGE % 7 != 3;
	if (len <= SPARSE)
		return in_pmd <= 2 || in_pmd == 255 || in_pmd == 256 || in_pmd >= 509 || in_pmd % 32 == 5;
	return (pmd <= 2 || pmd == 255 || pmd == 511) &&
	       (in_pmd <= 1 || in_pmd == 300 || in_pmd == 511);
}

/* How many of the pages that were written do not have the pattern of @seed at @base, according to @check. */
static long bad_pages(const FIXTURE_DATA(align) *self, char *base, uint64_t seed,
		      ssize_t (*check)(const void *p, size_t len, uint64_t seed, size_t offset))
{
	long bad = 0;

	for (size_t i = 0; i < self->n; i++) {
		size_t at = self->page[i] * PAGE;

		bad += check(base + at, PAGE, seed, at) != -1;
	}
	return bad;
}

static long wrong(const FIXTURE_DATA(align) *self, char *base, uint64_t seed)
{
	return bad_pages(self, base, seed, mm_check_from);
}

static long wrong_for_kernel(const FIXTURE_DATA(align) *self, char *base, uint64_t seed)
{
	return bad_pages(self, base, seed, kernel_check_from);
}

static void fill(const FIXTURE_DATA(align) *self, char *base, uint64_t seed)
{
	for (size_t i = 0; i < self->n; i++)
		mm_fill_from(base + self->page[i] * PAGE, PAGE, seed, self->page[i] * PAGE);
}

static long fill_by_kernel(const FIXTURE_DATA(align) *self, char *base, uint64_t seed)
{
	long failed = 0;

	for (size_t i = 0; i < self->n; i++)
		failed += !!kernel_fill_from(base + self->page[i] * PAGE, PAGE, seed, self->page[i] * PAGE);
	return failed;
}

/* The frames of the pages that were written. */
static int frames(const FIXTURE_DATA(align) *self, char *base, uint64_t *pfn)
{
	size_t run;
	int err = 0;

	for (size_t i = 0; i < self->n && !err; i += run) {
		for (run = 1; i + run < self->n && self->page[i + run] == self->page[i] + run; run++)
			;
		err = mm_pfns(0, base + self->page[i] * PAGE, pfn + i, run);
	}
	return err;
}

/* How many of the pages that were written have another frame than before the move. */
static long other_frames_at(const FIXTURE_DATA(align) *self, char *base)
{
	uint64_t now[MAX_FILLED];

	if (frames(self, base, now))
		return -1;
	return other_frames(self->pfn, now, self->n);
}

/* How many of the holes next to a page that was written do not read as zero. */
static long dirty_holes(const FIXTURE_DATA(align) *self, char *base)
{
	long bad = 0;

	for (size_t i = 0; i + 1 < self->n; i++) {
		size_t hole = self->page[i] + 1;

		if (hole != self->page[i + 1])
			bad += mm_check_byte(base + hole * PAGE, PAGE, 0) != -1;
	}
	return bad;
}

/* How many of the pages that were written do not answer every access with SIGSEGV, "not mapped". */
static long reachable_pages(const FIXTURE_DATA(align) *self, char *base)
{
	long n = 0;

	for (size_t i = 0; i < self->n; i++)
		n += reachable(base + self->page[i] * PAGE, PAGE);
	return n;
}

/* What is left at @base: VMAs, and pages that were written and can still be reached. */
static long still_there(const FIXTURE_DATA(align) *self, char *base)
{
	return mm_vma_count(0, base, self->len) + reachable_pages(self, base);
}

/* What lies around the source or below source and target, see the variant; false if it is not as it was. */
static bool neighbours(FIXTURE_DATA(align) *self, const FIXTURE_VARIANT(align) *v, bool make)
{
	struct { bool exists; char *p; size_t len; } part[] = {
		{ v->around, self->old - v->around, v->around },
		{ v->around, self->old + self->len, v->around },
		{ v->below_old, self->old - 3 * PAGE, PAGE },
		{ v->below_new, self->new - 3 * PAGE, PAGE },
	};
	bool fine = true;

	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		if (!part[i].exists)
			continue;
		if (make && !v->around)
			fine &= map_at(part[i].p, part[i].len) == part[i].p;
		if (make)
			mm_fill(part[i].p, part[i].len, NEIGHBOUR + i);
		fine &= mm_check(part[i].p, part[i].len, NEIGHBOUR + i) == -1;
	}
	return fine;
}

FIXTURE_SETUP(align)
{
	/* Room of a unit above and below both, so that nothing else is in their tables. */
	size_t room = (variant->len / variant->unit + 3) * variant->unit;
	char *base = free_range(2 * room, variant->unit);

	ASSERT_NE(NULL, base);
	self->len = variant->len;
	self->old = base + variant->unit + variant->old;
	self->new = base + room + variant->unit + variant->new;
	ASSERT_EQ(self->old - variant->around,
		  map_at(self->old - variant->around, self->len + 2 * variant->around));
	ASSERT_TRUE(neighbours(self, variant, true));
	for (char *p = self->old; p < self->old + self->len; p += PAGE) {
		if (!wanted(self->old, p, self->len))
			continue;
		ASSERT_GT(MAX_FILLED, self->n);
		self->page[self->n++] = (p - self->old) / PAGE;
	}
	fill(self, self->old, BEFORE);
	ASSERT_EQ(0, frames(self, self->old, self->pfn));
	ASSERT_EQ((self->n * PAGE + 2 * variant->around) / KB, mm_smaps(0, self->old, "Rss"));
}

FIXTURE_TEARDOWN(align)
{
	EXPECT_TRUE(neighbours(self, variant, false));
}

/* bytes and frames arrive, the old place is gone, and both user space and the kernel write at the new one */
TEST_F(align, arrives)
{
	struct mm_vma vma;

	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	EXPECT_EQ(0, wrong(self, self->new, BEFORE));
	EXPECT_EQ(0, wrong_for_kernel(self, self->new, BEFORE));
	EXPECT_EQ(0, other_frames_at(self, self->new));
	EXPECT_EQ(self->n * PAGE / KB, mm_smaps(0, self->new, "Rss"));
	EXPECT_EQ(0, still_there(self, self->old));
	ASSERT_EQ(0, mm_vma(0, self->new, &vma));
	EXPECT_EQ((unsigned long)self->new, vma.start);
	EXPECT_EQ((unsigned long)self->new + self->len, vma.end);
	fill(self, self->new, USER);
	EXPECT_EQ(0, wrong_for_kernel(self, self->new, USER));
	ASSERT_EQ(0, fill_by_kernel(self, self->new, KERNEL));
	EXPECT_EQ(0, wrong(self, self->new, KERNEL));
	EXPECT_EQ(0, other_frames_at(self, self->new));
	EXPECT_EQ(0, dirty_holes(self, self->new));
}

/* a new mapping at the old place is empty and independent; the region moves back over it */
TEST_F(align, back)
{
	FIXTURE_DATA(align) there = *self;

	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	ASSERT_EQ(self->old, map_at(self->old, self->len));
	EXPECT_EQ(2 * variant->around / KB, mm_smaps(0, self->old, "Rss"));
	EXPECT_EQ(self->n, wrong(self, self->old, BEFORE));
	EXPECT_EQ(0, dirty_holes(self, self->old));
	fill(self, self->old, USER);
	EXPECT_EQ(0, wrong(self, self->new, BEFORE));
	EXPECT_EQ(0, wrong_for_kernel(self, self->old, USER));
	ASSERT_EQ(0, frames(self, self->old, there.pfn));
	EXPECT_EQ(self->n, other_frames(self->pfn, there.pfn, self->n));

	ASSERT_EQ(self->old, move(self->new, self->len, self->old));
	EXPECT_EQ(0, wrong(self, self->old, BEFORE));
	EXPECT_EQ(0, other_frames_at(self, self->old));
	EXPECT_EQ((self->n * PAGE + 2 * variant->around) / KB, mm_smaps(0, self->old, "Rss"));
	EXPECT_EQ(0, still_there(self, self->new));
	fill(self, self->old, KERNEL);
	EXPECT_EQ(0, wrong_for_kernel(self, self->old, KERNEL));
	EXPECT_EQ(0, dirty_holes(self, self->old));
}

/* Which of the three the child does not find as it should be: bytes, frames, the old place; 0 if none. */
static int child_differs(void *arg)
{
	FIXTURE_DATA(align) *self = arg;

	if (wrong(self, self->new, BEFORE) || wrong_for_kernel(self, self->new, BEFORE))
		return 1;
	if (other_frames_at(self, self->new))
		return 2;
	return still_there(self, self->old) ? 3 : 0;
}

static int child_writes(void *arg)
{
	FIXTURE_DATA(align) *self = arg;

	if (wrong(self, self->new, BEFORE))
		return 1;
	fill(self, self->new, CHILD);
	return wrong(self, self->new, CHILD) || wrong_for_kernel(self, self->new, CHILD) ? 2 : 0;
}

/* a child forked after the move has the same frames there, and neither sees what the other writes */
TEST_F(align, fork)
{
	struct mm_tree *t;

	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, t);
	EXPECT_EQ(0, mm_tree_call(t, 0, child_differs, self));
	EXPECT_EQ(2, mm_kpagecount(self->pfn[0]));
	EXPECT_EQ(2, mm_kpagecount(self->pfn[self->n - 1]));
	fill(self, self->new, USER);
	EXPECT_EQ(self->n, other_frames_at(self, self->new));
	EXPECT_EQ(0, mm_tree_call(t, 0, child_writes, self));
	EXPECT_EQ(0, wrong(self, self->new, USER));
	EXPECT_EQ(0, wrong_for_kernel(self, self->new, USER));
	mm_tree_end(t);
	EXPECT_EQ(0, dirty_holes(self, self->new));
}

/* A view of the pages in [from, to), or of those outside. */
static FIXTURE_DATA(align) part_of(const FIXTURE_DATA(align) *self, size_t from, size_t to, bool inside)
{
	FIXTURE_DATA(align) part = *self;

	part.n = 0;
	for (size_t i = 0; i < self->n; i++) {
		size_t at = self->page[i] * PAGE;

		if ((from <= at && at < to) != inside)
			continue;
		part.page[part.n] = self->page[i];
		part.pfn[part.n++] = self->pfn[i];
	}
	return part;
}

/* How many of the pages do not answer a write, or a read, with SIGSEGV and @code. */
static long writable(const FIXTURE_DATA(align) *self, char *base, int code)
{
	long n = 0;

	mm_probe_begin();
	for (size_t i = 0; i < self->n; i++)
		n += mm_probe_write(base + self->page[i] * PAGE, 0xee) != SIGSEGV || mm_probe_code() != code;
	mm_probe_end();
	return n;
}

static long readable(const FIXTURE_DATA(align) *self, char *base, int code)
{
	long n = 0;

	mm_probe_begin();
	for (size_t i = 0; i < self->n; i++)
		n += mm_probe_read(base + self->page[i] * PAGE) != SIGSEGV || mm_probe_code() != code;
	mm_probe_end();
	return n;
}

/* mprotect(), MADV_DONTNEED and munmap() of a part at the new place do their work there and only there */
TEST_F(align, edit)
{
	/* Three parts, split at page boundaries that mean nothing: the middle one is edited. */
	size_t from = self->page[self->n / 3] * PAGE, to = self->page[2 * self->n / 3] * PAGE + PAGE;
	FIXTURE_DATA(align) in = part_of(self, from, to, true), out = part_of(self, from, to, false);
	char *p = self->new;
	long anon;

	ASSERT_EQ(p, move(self->old, self->len, p));
	ASSERT_EQ(0, mprotect(p + from, to - from, PROT_READ));
	EXPECT_EQ(3, mm_vma_count(0, p, self->len));
	EXPECT_EQ(0, writable(&in, p, SEGV_ACCERR));
	EXPECT_EQ(0, wrong(&in, p, BEFORE));
	fill(&out, p, USER);
	EXPECT_EQ(0, wrong_for_kernel(&out, p, USER));
	ASSERT_EQ(0, mprotect(p + from, to - from, PROT_NONE));
	EXPECT_EQ(0, readable(&in, p, SEGV_ACCERR));
	ASSERT_EQ(0, mprotect(p + from, to - from, PROT_READ | PROT_WRITE));
	EXPECT_EQ(1, mm_vma_count(0, p, self->len));
	EXPECT_EQ(0, wrong(&in, p, BEFORE));
	fill(&in, p, USER);
	EXPECT_EQ(0, wrong_for_kernel(self, p, USER));
	EXPECT_EQ(0, other_frames_at(self, p));

	ASSERT_EQ(0, madvise(p + from, to - from, MADV_DONTNEED));
	EXPECT_EQ(out.n * PAGE / KB, mm_smaps(0, p, "Rss"));
	EXPECT_EQ(in.n, wrong(&in, p, USER));
	EXPECT_EQ(0, dirty_holes(&in, p));
	fill(&in, p, CHILD);
	EXPECT_EQ(0, wrong_for_kernel(&in, p, CHILD));

	mm_vmstat("nr_anon_pages");
	anon = mm_vmstat("nr_anon_pages");
	ASSERT_EQ(0, munmap(p + from, to - from));
	EXPECT_EQ(in.n, anon - mm_vmstat("nr_anon_pages"));
	EXPECT_EQ(0, mm_vma_count(0, p + from, to - from));
	EXPECT_EQ(0, reachable_pages(&in, p));
	EXPECT_EQ(0, wrong(&out, p, USER));
	EXPECT_EQ(0, other_frames_at(&out, p));
	anon = mm_vmstat("nr_anon_pages");
	ASSERT_EQ(0, munmap(p, self->len));
	EXPECT_EQ(out.n, anon - mm_vmstat("nr_anon_pages"));
	EXPECT_EQ(0, still_there(self, p));
}

TEST_HARNESS_MAIN
