// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctl PAGEMAP_SCAN (Documentation/admin-guide/mm/pagemap.rst): what it says of each category is what pagemap says, and
 * queries that mean the same have the same answer.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "mm.h"

#define SEED	1
#define REGIONS	64

/* Where the pages of each kind lie: mappings of four pages, with a hole of two behind each. */
enum { ANON, SWAPPED, GUARDED, SHMEM, FILE_SHARED, FILE_PRIVATE, NO_ACCESS, MAPPINGS };
#define EACH	4
#define STRIDE	(EACH + 2)
#define PAGES	(MAPPINGS * STRIDE)
#define LEN	(PAGES * PAGE)

static const uint64_t categories[] = {
	PAGE_IS_WPALLOWED, PAGE_IS_WRITTEN, PAGE_IS_FILE, PAGE_IS_PRESENT, PAGE_IS_SWAPPED, PAGE_IS_PFNZERO, PAGE_IS_HUGE,
	PAGE_IS_SOFT_DIRTY, PAGE_IS_GUARD,
};

#define CATEGORIES (sizeof(categories) / sizeof(*categories))

FIXTURE(scan) {
	char *p;
	int fd, file;
	uint64_t zero;			/* the frame of the zero page */
	uint64_t known;			/* categories that the kernel has */
};

static char *at(const FIXTURE_DATA(scan) *self, int mapping, int page)
{
	return self->p + (mapping * STRIDE + page) * PAGE;
}

static int map(const FIXTURE_DATA(scan) *self, int mapping, int prot, int flags, int fd)
{
	char *p = at(self, mapping, 0);

	flags |= MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS : 0);
	return mmap(p, EACH * PAGE, prot, flags, fd, 0) == p ? 0 : -errno;
}

/* The bytes of the answer, in pages of the range; -errno. */
static long ask(const FIXTURE_DATA(scan) *self, struct pm_scan_arg *arg, bool *set)
{
	struct page_region regions[REGIONS];
	long n;

	memset(set, 0, PAGES * sizeof(*set));
	arg->size = sizeof(*arg);
	arg->start = (uintptr_t)self->p;
	arg->end = arg->start + LEN;
	arg->vec = (uintptr_t)regions;
	if (!arg->vec_len)
		arg->vec_len = REGIONS;
	do {
		n = ioctl(self->fd, PAGEMAP_SCAN, arg);
		for (long i = 0; i < n; i++)
			for (uint64_t a = regions[i].start; a < regions[i].end; a += PAGE)
				set[(a - (uintptr_t)self->p) / PAGE] = true;
		arg->start = arg->walk_end;
	} while (n > 0 && arg->start < arg->end);
	return n < 0 ? -errno : 0;
}

FIXTURE_SETUP(scan)
{
	static char buf[EACH * PAGE];
	bool set[PAGES];

	self->p = mm_reserve(LEN, PAGE);
	ASSERT_NE(NULL, self->p);
	munmap(self->p, LEN);
	self->fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	self->file = mm_tmpfile("/mnt", sizeof(buf));
	ASSERT_LE(0, self->fd);
	ASSERT_LE(0, self->file);
	ASSERT_EQ(sizeof(buf), pwrite(self->file, buf, sizeof(buf), 0));
	ASSERT_EQ(0, map(self, ANON, PROT_READ | PROT_WRITE, MAP_PRIVATE, -1));
	for (size_t i = 0; i < CATEGORIES; i++) {
		struct pm_scan_arg arg = { .category_mask = categories[i] };

		if (!ask(self, &arg, set))
			self->known |= categories[i];
	}
	NEED(self->known & PAGE_IS_PRESENT ? NULL : "PAGEMAP_SCAN");
	/* The second page of each mapping is read, the first and the last written, and the third never touched. */
	mm_touch_read(at(self, ANON, 1), PAGE);
	self->zero = mm_pfn(0, at(self, ANON, 1));
	ASSERT_NE(0, self->zero);
	ASSERT_EQ(0, map(self, SWAPPED, PROT_READ | PROT_WRITE, MAP_PRIVATE, -1));
	ASSERT_EQ(0, map(self, GUARDED, PROT_READ | PROT_WRITE, MAP_PRIVATE, -1));
	ASSERT_EQ(0, map(self, SHMEM, PROT_READ | PROT_WRITE, MAP_SHARED, -1));
	ASSERT_EQ(0, map(self, FILE_SHARED, PROT_READ | PROT_WRITE, MAP_SHARED, self->file));
	ASSERT_EQ(0, map(self, FILE_PRIVATE, PROT_READ | PROT_WRITE, MAP_PRIVATE, self->file));
	ASSERT_EQ(0, map(self, NO_ACCESS, PROT_READ | PROT_WRITE, MAP_PRIVATE, -1));
	for (int i = 0; i < MAPPINGS; i++) {
		mm_fill(at(self, i, 0), PAGE, SEED);
		mm_touch_read(at(self, i, 1), PAGE);
		mm_fill(at(self, i, EACH - 1), PAGE, SEED);
	}
	ASSERT_EQ(0, mprotect(at(self, NO_ACCESS, 0), EACH * PAGE, PROT_NONE));
	if (!mm_need_swap())
		mm_pageout(at(self, SWAPPED, 0), EACH * PAGE);
	if (!mm_need_guard(MAP_PRIVATE | MAP_ANONYMOUS))
		ASSERT_EQ(0, madvise(at(self, GUARDED, 1), 2 * PAGE, MADV_GUARD_INSTALL));
}

FIXTURE_TEARDOWN(scan)
{
	close(self->fd);
	close(self->file);
}

/* What pagemap says of it; the categories that pagemap knows nothing of are no page's. */
static bool expected(const FIXTURE_DATA(scan) *self, uint64_t category, const struct mm_page *page)
{
	switch (category) {
	case PAGE_IS_FILE:
		return page->file;
	case PAGE_IS_PRESENT:
		return page->present;
	case PAGE_IS_SWAPPED:
		return page->swapped;
	case PAGE_IS_PFNZERO:
		return page->present && page->pfn == self->zero;
	case PAGE_IS_SOFT_DIRTY:
		return page->soft_dirty;
	case PAGE_IS_GUARD:
		return page->guard;
	}
	return false;
}

/* each category is that of pagemap, page by page; nothing is said of addresses that are not mapped */
TEST_F(scan, is_pagemap)
{
	for (size_t c = 0; c < CATEGORIES; c++) {
		struct pm_scan_arg arg = { .category_mask = categories[c], .return_mask = categories[c] };
		bool set[PAGES];

		/* A page that no userfaultfd looks after is written or not as the kernel likes: see below. */
		if (categories[c] == PAGE_IS_WRITTEN || !(self->known & categories[c]))
			continue;
		ASSERT_EQ(0, ask(self, &arg, set));
		for (int i = 0; i < PAGES; i++) {
			struct mm_page page;

			ASSERT_EQ(0, mm_page(0, self->p + i * PAGE, &page));
			EXPECT_EQ(expected(self, categories[c], &page), set[i])
				TH_LOG("category %#lx of page %d of mapping %d", categories[c], i % STRIDE, i / STRIDE);
			if (i % STRIDE >= EACH)
				EXPECT_FALSE(set[i]);
		}
	}
}

/* Whether two answers are about the same pages. */
static bool same(const bool *a, const bool *b)
{
	return !memcmp(a, b, PAGES * sizeof(*a));
}

/* however a query is put, the answer is the same: other categories returned too, any of one, piece by piece, inverted */
TEST_F(scan, same_meaning)
{
	for (size_t c = 0; c < CATEGORIES; c++) {
		const uint64_t is = categories[c];
		struct pm_scan_arg plain = { .category_mask = is, .return_mask = is },
			all = { .category_mask = is, .return_mask = self->known },
			any = { .category_anyof_mask = is, .return_mask = is },
			both = { .category_mask = is, .category_anyof_mask = is, .return_mask = is },
			pieces = { .category_mask = is, .return_mask = is, .vec_len = 1 },
			pages = { .category_mask = is, .return_mask = is, .max_pages = 1 },
			not = { .category_mask = is, .category_inverted = is, .return_mask = self->known };
		bool set[PAGES], other[PAGES];

		if (!(self->known & is))
			continue;
		ASSERT_EQ(0, ask(self, &plain, set));
		ASSERT_EQ(0, ask(self, &all, other));
		EXPECT_TRUE(same(set, other)) TH_LOG("category %#lx and all returned", is);
		ASSERT_EQ(0, ask(self, &any, other));
		EXPECT_TRUE(same(set, other)) TH_LOG("any of %#lx", is);
		ASSERT_EQ(0, ask(self, &both, other));
		EXPECT_TRUE(same(set, other)) TH_LOG("%#lx, and any of it", is);
		ASSERT_EQ(0, ask(self, &pieces, other));
		EXPECT_TRUE(same(set, other)) TH_LOG("%#lx in regions one by one", is);
		ASSERT_EQ(0, ask(self, &pages, other));
		EXPECT_TRUE(same(set, other)) TH_LOG("%#lx in pages one by one", is);
		ASSERT_EQ(0, ask(self, &not, other));
		for (int i = 0; i < PAGES; i++) {
			EXPECT_EQ(i % STRIDE < EACH, set[i] + other[i])
				TH_LOG("not %#lx, page %d of mapping %d", is, i % STRIDE, i / STRIDE);
		}
	}
}

/* each region has the categories that all its pages have, of those that were asked for, and its neighbour has others */
TEST_F(scan, regions)
{
	struct page_region r[REGIONS];
	struct pm_scan_arg arg = {
		.size = sizeof(arg), .start = (uintptr_t)self->p, .end = (uintptr_t)self->p + LEN,
		.vec = (uintptr_t)r, .vec_len = REGIONS, .return_mask = self->known & ~PAGE_IS_WRITTEN,
	};
	int n = ioctl(self->fd, PAGEMAP_SCAN, &arg), pages = 0;

	ASSERT_LT(0, n);
	EXPECT_EQ(arg.end, arg.walk_end);
	for (int i = 0; i < n; i++) {
		for (uint64_t a = r[i].start; a < r[i].end; a += PAGE, pages++) {
			struct mm_page page;
			uint64_t is = 0;

			ASSERT_EQ(0, mm_page(0, (void *)a, &page));
			for (size_t c = 0; c < CATEGORIES; c++)
				if (arg.return_mask & categories[c] && expected(self, categories[c], &page))
					is |= categories[c];
			EXPECT_EQ(is, r[i].categories) TH_LOG("page %ld", (long)(a - arg.start) / (long)PAGE);
		}
		if (i)
			EXPECT_TRUE(r[i - 1].end < r[i].start ||
				    (r[i - 1].end == r[i].start && r[i - 1].categories != r[i].categories));
	}
	EXPECT_EQ(MAPPINGS * EACH, pages);
}

/* arguments that make no sense are refused, and memory that no userfaultfd looks after is not written to */
TEST_F(scan, errors)
{
	struct page_region r[4];
	const struct pm_scan_arg good = {
		.size = sizeof(good), .start = (uintptr_t)self->p, .end = (uintptr_t)self->p + LEN,
		.vec = (uintptr_t)r, .vec_len = 4, .return_mask = PAGE_IS_PRESENT, .category_mask = PAGE_IS_PRESENT,
	};
	struct pm_scan_arg arg = good;

#define EXPECT_ERROR(err, field, value) do {				\
		arg = good;						\
		arg.field = (value);					\
		errno = 0;						\
		EXPECT_EQ(-1, ioctl(self->fd, PAGEMAP_SCAN, &arg));	\
		EXPECT_EQ((err), errno);				\
	} while (0)
	ASSERT_LT(0, ioctl(self->fd, PAGEMAP_SCAN, &arg));
	EXPECT_ERROR(EINVAL, size, sizeof(arg) - 8);
	EXPECT_ERROR(EINVAL, flags, 1UL << 63);
	EXPECT_ERROR(EINVAL, category_mask, 1UL << 63);
	EXPECT_ERROR(EINVAL, category_inverted, 1UL << 63);
	EXPECT_ERROR(EINVAL, category_anyof_mask, 1UL << 63);
	EXPECT_ERROR(EINVAL, return_mask, 1UL << 63);
	EXPECT_ERROR(EINVAL, start, good.start + 1);
	EXPECT_ERROR(EFAULT, start, -PAGE);
	EXPECT_ERROR(EINVAL, vec, 0);
	EXPECT_ERROR(EFAULT, vec, -PAGE);
	EXPECT_ERROR(EPERM, flags, PM_SCAN_CHECK_WPASYNC);
	arg = good;
	arg.flags = PM_SCAN_WP_MATCHING;
	EXPECT_EQ(0, ioctl(self->fd, PAGEMAP_SCAN, &arg));
	EXPECT_EQ(good.end, arg.walk_end);
	EXPECT_EQ(-1, mm_check(at(self, ANON, 0), PAGE, SEED));
}

TEST_HARNESS_MAIN
