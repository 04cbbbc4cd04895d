// SPDX-License-Identifier: GPL-2.0
/*
 * mprotect() and pages that are shared with others until somebody writes: of a child, of a file, of zeroes. A right to write is
 * none to write their bytes; a page that is the process's own is written where it is.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <signal.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	8
#define LEN	(PAGES * PAGE)
#define SEED	1
#define MINE	2
#define RW	(PROT_READ | PROT_WRITE)

/* The processes of a tree find the memory here. */
static char *region;

FIXTURE(shared) {
	struct mm_tree *t;
	uint64_t pfns[PAGES];
};

FIXTURE_VARIANT(shared) {
	int prot;		/* for a while, before the writer writes */
	bool child;		/* writes first, else the parent */
	bool before;		/* the rights are taken before the fork */
};

#define V(name, ...) FIXTURE_VARIANT_ADD(shared, name) { __VA_ARGS__ }
V(read_parent, .prot = PROT_READ);
V(read_child, .prot = PROT_READ, .child = true);
V(none_parent, .prot = PROT_NONE);
V(none_child, .prot = PROT_NONE, .child = true);
V(read_parent_before, .prot = PROT_READ, .before = true);
V(read_child_before, .prot = PROT_READ, .child = true, .before = true);
V(none_parent_before, .prot = PROT_NONE, .before = true);
V(none_child_before, .prot = PROT_NONE, .child = true, .before = true);

static int protect(void *prot)
{
	return mprotect(region, LEN, (intptr_t)prot) ? errno : 0;
}

static int fill(void *seed)
{
	mm_fill(region, LEN, (intptr_t)seed);
	return 0;
}

static int check(void *seed)
{
	return mm_check(region, LEN, (intptr_t)seed) == -1 ? 0 : 1;
}

FIXTURE_SETUP(shared)
{
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	mm_fill(region, LEN, SEED);
	if (variant->before)
		ASSERT_EQ(0, mprotect(region, LEN, variant->prot));
	self->t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	ASSERT_EQ(0, mm_pfns(0, region, self->pfns, PAGES));
}

FIXTURE_TEARDOWN(shared)
{
	mm_tree_end(self->t);
	munmap(region, LEN);
}

/* Who writes, and who must not see it. */
static int in(FIXTURE_DATA(shared) *self, bool child, int (*fn)(void *arg), intptr_t arg)
{
	return child ? mm_tree_call(self->t, 0, fn, (void *)arg) : fn((void *)arg);
}

/* the first to write gets pages of his own, the other keeps the bytes and, when he writes, the frames */
TEST_F(shared, writes)
{
	pid_t pid = mm_tree_pid(self->t, 0);
	pid_t writer = variant->child ? pid : 0, other = variant->child ? 0 : pid;
	int same = 0;

	if (!variant->before)
		ASSERT_EQ(0, in(self, variant->child, protect, variant->prot));
	ASSERT_EQ(0, in(self, variant->child, protect, RW));
	ASSERT_EQ(0, in(self, variant->child, check, SEED));
	ASSERT_EQ(0, in(self, variant->child, fill, MINE));
	if (variant->before)
		ASSERT_EQ(0, in(self, !variant->child, protect, PROT_READ));
	EXPECT_EQ(0, in(self, !variant->child, check, SEED));
	EXPECT_EQ(0, in(self, variant->child, check, MINE));
	for (int i = 0; i < PAGES; i++) {
		same += mm_pfn(other, region + i * PAGE) == self->pfns[i];
		EXPECT_NE(mm_pfn(writer, region + i * PAGE), mm_pfn(other, region + i * PAGE)) TH_LOG("page %d", i);
	}
	if (!(variant->before && variant->prot == PROT_NONE))
		EXPECT_EQ(PAGES, same);
	ASSERT_EQ(0, in(self, !variant->child, protect, RW));
	ASSERT_EQ(0, in(self, !variant->child, fill, SEED));
	EXPECT_EQ(0, in(self, !variant->child, check, SEED));
	EXPECT_EQ(0, in(self, variant->child, check, MINE));
}

/* the last owner writes in place: it makes no copy of what is its own alone */
TEST_F(shared, last)
{
	ASSERT_EQ(0, mm_tree_kill(self->t, 0));
	ASSERT_EQ(0, protect((void *)(intptr_t)variant->prot));
	ASSERT_EQ(0, protect((void *)(intptr_t)RW));
	ASSERT_EQ(0, fill((void *)(intptr_t)MINE));
	for (int i = 0; i < PAGES; i++) {
		EXPECT_EQ(self->pfns[i], mm_pfn(0, region + i * PAGE)) TH_LOG("page %d", i);
	}
}

/* a page of the process's own that can be written again is written without a fault */
TEST(no_fault)
{
	char *p = mm_map_aligned(LEN, PAGE);
	long faults;

	ASSERT_NE(NULL, p);
	mm_fill(p, LEN, SEED);
	ASSERT_EQ(0, mprotect(p, LEN, PROT_READ));
	ASSERT_EQ(-1, mm_check(p, LEN, SEED));
	ASSERT_EQ(0, mprotect(p, LEN, RW));
	faults = mm_minor_faults();
	mm_fill(p, LEN, MINE);
	EXPECT_EQ(faults, mm_minor_faults());
	EXPECT_EQ(-1, mm_check(p, LEN, MINE));
	munmap(p, LEN);
}

/* the page of zeroes is nobody's, whatever the rights: who writes gets one of his own, all others still read zeroes */
TEST(zeroes)
{
	char *p = mm_map_aligned(LEN, PAGE), *q = mm_map_aligned(LEN, PAGE);

	ASSERT_NE(NULL, p);
	ASSERT_NE(NULL, q);
	mm_touch_read(p, LEN);
	mm_touch_read(q, LEN);
	ASSERT_EQ(mm_pfn(0, p), mm_pfn(0, q));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, mprotect(p, LEN, i ? PROT_NONE : PROT_READ));
		ASSERT_EQ(0, mprotect(p, LEN, RW));
		mm_fill(p + i * PAGE, PAGE, SEED);
		EXPECT_EQ(-1, mm_check_byte(q, LEN, 0));
		EXPECT_EQ(-1, mm_check_byte(p + (i + 1) * PAGE, LEN - (i + 1) * PAGE, 0));
		EXPECT_NE(mm_pfn(0, p + i * PAGE), mm_pfn(0, q));
		EXPECT_EQ(mm_pfn(0, p + LEN - PAGE), mm_pfn(0, q));
	}
	munmap(p, LEN);
	munmap(q, LEN);
}

FIXTURE(file) {
	int fd;
	char *p, *q;		/* private, and shared */
};

FIXTURE_VARIANT(file) {
	const char *dir;
};

FIXTURE_VARIANT_ADD(file, ext4) { .dir = "/mnt" };
FIXTURE_VARIANT_ADD(file, tmpfs) { .dir = "/tmp" };

FIXTURE_SETUP(file)
{
	self->fd = mm_tmpfile(variant->dir, LEN);
	ASSERT_LE(0, self->fd);
	self->q = mmap(NULL, LEN, RW, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->q);
	mm_fill(self->q, LEN, SEED);
	self->p = mmap(NULL, LEN, PROT_READ, MAP_PRIVATE, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	mm_touch_read(self->p, LEN);
}

FIXTURE_TEARDOWN(file)
{
	munmap(self->p, LEN);
	munmap(self->q, LEN);
	close(self->fd);
}

/* a private mapping of pages of a file that becomes writable has no right to write them: the file keeps its bytes */
TEST_F(file, becomes_writable)
{
	struct mm_page page;

	ASSERT_EQ(mm_pfn(0, self->q), mm_pfn(0, self->p));
	ASSERT_EQ(0, mprotect(self->p, LEN, RW));
	mm_fill(self->p, 3 * PAGE, MINE);
	EXPECT_EQ(-1, mm_check(self->q, LEN, SEED));
	EXPECT_EQ(-1, mm_check(self->p, 3 * PAGE, MINE));
	EXPECT_EQ(-1, mm_check_from(self->p + 3 * PAGE, LEN - 3 * PAGE, SEED, 3 * PAGE));
	ASSERT_EQ(0, mm_page(0, self->p, &page));
	EXPECT_FALSE(page.file);
	/* What is not copied follows the file, what is does not. */
	self->q[0] ^= 1;
	self->q[LEN - 1] ^= 1;
	EXPECT_EQ(-1, mm_check(self->p, PAGE, MINE));
	EXPECT_EQ(self->q[LEN - 1], self->p[LEN - 1]);
	/* Read-only and back: the copies stay what they are. */
	ASSERT_EQ(0, mprotect(self->p, LEN, PROT_NONE));
	ASSERT_EQ(0, mprotect(self->p, LEN, RW));
	EXPECT_EQ(-1, mm_check(self->p, 3 * PAGE, MINE));
	EXPECT_EQ(page.pfn, mm_pfn(0, self->p));
}

/* a shared one writes the file */
TEST_F(file, shared)
{
	ASSERT_EQ(0, mprotect(self->q, LEN, PROT_READ));
	EXPECT_EQ(SIGSEGV, mm_probe_write(self->q, 1));
	ASSERT_EQ(0, mprotect(self->q, LEN, RW));
	mm_fill(self->q, LEN, MINE);
	EXPECT_EQ(-1, mm_check(self->p, LEN, MINE));
	EXPECT_EQ(mm_pfn(0, self->q), mm_pfn(0, self->p));
}

TEST_HARNESS_MAIN
