// SPDX-License-Identifier: GPL-2.0
/* mremap() of guard regions: the markers move like pages, and none stays behind or is lost. */
#include "kselftest_harness.h"
#include <linux/mman.h>
#include "mremap.h"

#define SEED	1
#define LATER	2

FIXTURE(guarded) {
	char *old, *new;
	size_t len;
};

FIXTURE_VARIANT(guarded) {
	size_t len, old, new;		/* offsets past a multiple of PMD_SIZE */
	size_t from, to;		/* the guard region, as offsets into the range */
	bool shmem;
};

FIXTURE_VARIANT_ADD(guarded, page) {
	.len = 16 * PAGE, .old = 3 * PAGE, .new = 7 * PAGE, .from = 4 * PAGE, .to = 9 * PAGE,
};
FIXTURE_VARIANT_ADD(guarded, pmd) {
	.len = 2 * PMD_SIZE, .from = PMD_SIZE - 8 * PAGE, .to = PMD_SIZE + 8 * PAGE,
};
/* a whole page table of markers and nothing else */
FIXTURE_VARIANT_ADD(guarded, pmd_full) { .len = 3 * PMD_SIZE, .from = PMD_SIZE, .to = 2 * PMD_SIZE };
FIXTURE_VARIANT_ADD(guarded, mutual) {
	.len = PMD_SIZE, .old = 496 * PAGE, .new = 496 * PAGE, .from = 8 * PAGE, .to = 32 * PAGE,
};
FIXTURE_VARIANT_ADD(guarded, shmem) {
	.len = 16 * PAGE, .old = 3 * PAGE, .new = 7 * PAGE, .from = 4 * PAGE, .to = 9 * PAGE, .shmem = true,
};
FIXTURE_VARIANT_ADD(guarded, shmem_pmd) {
	.len = PMD_SIZE, .from = 100 * PAGE, .to = 140 * PAGE, .shmem = true,
};

/* Pages outside the guard region that hold bytes: its neighbours, and one in 16 of the others. */
static bool is_data(const FIXTURE_VARIANT(guarded) *v, size_t at)
{
	if (v->from <= at && at < v->to)
		return false;
	return at + PAGE == v->from || at == v->to || at % (16 * PAGE) == 0;
}

FIXTURE_SETUP(guarded)
{
	char *room = free_range(8 * PMD_SIZE, PMD_SIZE);

	NEED(mm_need_guard(variant->shmem ? MAP_SHARED : MAP_PRIVATE));
	ASSERT_NE(NULL, room);
	self->len = variant->len;
	self->old = room + variant->old;
	self->new = room + 4 * PMD_SIZE + variant->new;
	ASSERT_EQ(self->old, mmap(self->old, self->len, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_FIXED |
				  (variant->shmem ? MAP_SHARED : MAP_PRIVATE), -1, 0));
	for (size_t at = 0; at < self->len; at += PAGE)
		if (is_data(variant, at))
			mm_fill_from(self->old + at, PAGE, SEED, at);
	ASSERT_EQ(0, madvise(self->old + variant->from, variant->to - variant->from, MADV_GUARD_INSTALL));
}

FIXTURE_TEARDOWN(guarded)
{
	munmap(self->old, self->len);
	munmap(self->new, self->len);
}

/* Offsets to look at in a guard region: both ends and some in between. */
static size_t next(size_t at, const FIXTURE_VARIANT(guarded) *v)
{
	size_t step = (v->to - v->from) / PAGE > 16 ? 16 * PAGE : PAGE;

	return at < v->to - PAGE && at + step >= v->to ? v->to - PAGE : at + step;
}

/* How many pages of the guard region, of those that are looked at, let a read or a write through at @p. */
static long open_pages(const FIXTURE_VARIANT(guarded) *v, char *p)
{
	long n = 0;

	mm_probe_begin();
	for (size_t at = v->from; at < v->to; at = next(at, v)) {
		n += mm_probe_read(p + at) != SIGSEGV;
		n += mm_probe_write(p + at, 1) != SIGSEGV;
	}
	mm_probe_end();
	return n;
}

#define PM_GUARD	(1ULL << 58)	/* Documentation/admin-guide/mm/pagemap.rst */

/* How many pages of the range have a guard marker. */
static long markers(char *p, size_t len)
{
	static uint64_t entry[3 * PMD_SIZE / PAGE];
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ssize_t size = len / PAGE * sizeof(*entry), n;
	long found = 0;

	n = pread(fd, entry, size, (uintptr_t)p / PAGE * sizeof(*entry));
	close(fd);
	if (n != size)
		return -1;
	for (size_t i = 0; i < len / PAGE; i++)
		found += !!(entry[i] & PM_GUARD);
	return found;
}

static long wrong(const FIXTURE_DATA(guarded) *self, const FIXTURE_VARIANT(guarded) *v, char *p)
{
	long bad = 0;

	for (size_t at = 0; at < self->len; at += PAGE)
		if (is_data(v, at))
			bad += mm_check_from(p + at, PAGE, SEED, at) != -1;
	return bad;
}

/* at the new place the same pages raise SIGSEGV and the others hold their bytes; the old place is gone */
TEST_F(guarded, move)
{
	size_t len = variant->to - variant->from;

	ASSERT_EQ(0, open_pages(variant, self->old));
	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	EXPECT_EQ(0, open_pages(variant, self->new));
	EXPECT_EQ(len / PAGE, markers(self->new + variant->from, len));
	EXPECT_EQ(0, markers(self->new, variant->from));
	EXPECT_EQ(0, markers(self->new + variant->to, self->len - variant->to));
	EXPECT_EQ(0, wrong(self, variant, self->new));
	EXPECT_EQ(0, reachable(self->old, PAGE));
	EXPECT_EQ(0, mm_vma_count(0, self->old, self->len));
}

/* taken away at the new place, the pages read zero and take writes; a new mapping at the old has no guards */
TEST_F(guarded, removed)
{
	size_t len = variant->to - variant->from;

	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	ASSERT_EQ(0, madvise(self->new + variant->from, len, MADV_GUARD_REMOVE));
	EXPECT_EQ(0, markers(self->new + variant->from, len));
	for (size_t at = variant->from; at < variant->to; at = next(at, variant)) {
		EXPECT_EQ(-1, mm_check_byte(self->new + at, PAGE, 0));
		mm_fill_from(self->new + at, PAGE, LATER, at);
		EXPECT_EQ(-1, kernel_check_from(self->new + at, PAGE, LATER, at));
	}
	EXPECT_EQ(0, wrong(self, variant, self->new));
	ASSERT_EQ(self->old, map_at(self->old, self->len));
	EXPECT_EQ(0, mm_probe_write(self->old + variant->from, 1));
	EXPECT_EQ(0, mm_probe_write(self->old + variant->to - PAGE, 1));
}

/* MREMAP_DONTUNMAP takes the guards along: the old range can be read and written where they were */
TEST_F(guarded, dontunmap)
{
	ASSERT_EQ(self->new, mremap(self->old, self->len, self->len,
				    MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, self->new));
	EXPECT_EQ(0, open_pages(variant, self->new));
	EXPECT_EQ(0, wrong(self, variant, self->new));
	EXPECT_EQ(0, markers(self->old, self->len));
	for (size_t at = variant->from; at < variant->to; at = next(at, variant)) {
		EXPECT_EQ(-1, mm_check_byte(self->old + at, PAGE, 0));
		EXPECT_EQ(0, mm_probe_write(self->old + at, 1));
	}
}

struct child {
	const FIXTURE_VARIANT(guarded) *v;
	char *p;
};

static int open_in_child(void *arg)
{
	struct child *c = arg;

	return open_pages(c->v, c->p) ? 1 : 0;
}

/* a child forked after the move has the guards at the new place; munmap() of them takes only them */
TEST_F(guarded, fork)
{
	struct child c = { variant, self->new };

	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	EXPECT_EQ(0, mm_in_child(open_in_child, &c));
	EXPECT_EQ(0, open_pages(variant, self->new));
	ASSERT_EQ(0, munmap(self->new + variant->from, variant->to - variant->from));
	ASSERT_EQ(self->new + variant->from, map_at(self->new + variant->from, variant->to - variant->from));
	EXPECT_EQ(-1, mm_check_byte(self->new + variant->from, PAGE, 0));
	EXPECT_EQ(0, wrong(self, variant, self->new));
}

/* guards at the end of a region that grows stay where they are: the new part has none */
TEST(grow)
{
	char *room = free_range(PMD_SIZE, PMD_SIZE), *p = room;

	NEED(mm_need_guard(MAP_PRIVATE));
	ASSERT_NE(NULL, room);
	ASSERT_EQ(p, map_at(p, 8 * PAGE));
	mm_fill(p, 6 * PAGE, SEED);
	ASSERT_EQ(0, madvise(p + 6 * PAGE, 2 * PAGE, MADV_GUARD_INSTALL));
	ASSERT_EQ(p, mremap(p, 8 * PAGE, 16 * PAGE, 0));
	EXPECT_EQ(SIGSEGV, mm_probe_read(p + 6 * PAGE));
	EXPECT_EQ(SIGSEGV, mm_probe_write(p + 7 * PAGE, 1));
	EXPECT_EQ(2, markers(p, 16 * PAGE));
	EXPECT_EQ(-1, mm_check_byte(p + 8 * PAGE, 8 * PAGE, 0));
	mm_fill(p + 8 * PAGE, 8 * PAGE, LATER);
	EXPECT_EQ(-1, kernel_check(p + 8 * PAGE, 8 * PAGE, LATER));
	EXPECT_EQ(-1, mm_check(p, 6 * PAGE, SEED));
	/* What is cut off and comes back has none either. */
	ASSERT_EQ(p, mremap(p, 16 * PAGE, 6 * PAGE, 0));
	ASSERT_EQ(p, mremap(p, 6 * PAGE, 8 * PAGE, 0));
	EXPECT_EQ(0, markers(p, 8 * PAGE));
	EXPECT_EQ(-1, mm_check_byte(p + 6 * PAGE, 2 * PAGE, 0));
}

/* a target with guards loses them: what is moved there has its own pages, and reads zero elsewhere */
TEST(target)
{
	char *room = free_range(4 * PMD_SIZE, PMD_SIZE), *p = room, *to = room + 2 * PMD_SIZE;
	size_t len = PMD_SIZE;

	NEED(mm_need_guard(MAP_PRIVATE));
	ASSERT_NE(NULL, room);
	ASSERT_EQ(p, map_at(p, len));
	ASSERT_EQ(to, map_at(to, len));
	mm_fill(p, 4 * PAGE, SEED);
	ASSERT_EQ(0, madvise(to, 64 * PAGE, MADV_GUARD_INSTALL));
	ASSERT_EQ(to, move(p, len, to));
	EXPECT_EQ(0, markers(to, len));
	EXPECT_EQ(-1, mm_check(to, 4 * PAGE, SEED));
	for (size_t at = 4 * PAGE; at < 64 * PAGE; at += 5 * PAGE)
		EXPECT_EQ(-1, mm_check_byte(to + at, PAGE, 0));
	mm_fill(to + 8 * PAGE, PAGE, LATER);
	EXPECT_EQ(-1, kernel_check(to + 8 * PAGE, PAGE, LATER));
}

TEST_HARNESS_MAIN
