// SPDX-License-Identifier: GPL-2.0
/* Page faults with each allocation failing: by MADV_POPULATE_*, which tells, and by plain access. */
#include "kselftest_harness.h"
#include <fcntl.h>
#include <linux/mman.h>

#include "mm.h"
#include "walk.h"

#define SEED	41
#define PAGES	6

FIXTURE(fault) {
	struct walk w;
};

/* Pages far apart: each needs a page table of its own. */
#define STRIDE	PMD_SIZE

static char *page(struct walk *w, int i)
{
	return w->p + i * STRIDE;
}

static void drop(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(0, madvise(w->p, w->len, MADV_DONTNEED));
}

/* Those that were populated before the failure are zero, as those are that were not. */
static void zero(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	for (int i = 0; i < PAGES; i++)
		if (mm_pfn(0, page(w, i)))
			EXPECT_EQ(-1, mm_check_byte(page(w, i), PAGE, 0));
}

FIXTURE_SETUP(fault)
{
	NEED(mm_need_fail_nth());
	self->w = (struct walk) {
		._metadata = _metadata, .len = PAGES * STRIDE, .error = ENOMEM, .intact = zero, .undo = drop,
	};
	self->w.p = mm_map_aligned(self->w.len, STRIDE);
	ASSERT_NE(NULL, self->w.p);
}

FIXTURE_TEARDOWN(fault)
{
	munmap(self->w.p, self->w.len);
}

static int populate(struct walk *w)
{
	for (int i = 0; i < PAGES; i++)
		if (madvise(page(w, i), PAGE, MADV_POPULATE_WRITE))
			return -errno;
	return 0;
}

static void populated(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	for (int i = 0; i < PAGES; i++)
		EXPECT_NE(0, mm_pfn(0, page(w, i)));
	zero(w);
}

/* A new mapping each time: with no anon_vma and no page tables. */
static void map_again(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_TRUE(walk_map(w->p, w->len));
}

/* populating a new region: ENOMEM for anon_vma, page tables and pages, and RssAnon counts what is there */
TEST_F(fault, populate)
{
	struct walk *w = &self->w;

	w->may_change = true;
	w->call = populate;
	w->done = populated;
	w->undo = map_again;
	walk(w);
	/* A page and a table each. */
	EXPECT_LE(2 * PAGES, w->failed);
}

static int store(struct walk *w)
{
	for (int i = 0; i < PAGES; i++)
		mm_fill(page(w, i), PAGE, SEED + i);
	return 0;
}

static void stored(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	for (int i = 0; i < PAGES; i++)
		EXPECT_EQ(-1, mm_check(page(w, i), PAGE, SEED + i));
}

/* plain stores to a new region: a fault that fails is repeated, the process sees nothing of it */
TEST_F(fault, store)
{
	struct walk *w = &self->w;

	w->call = store;
	w->done = stored;
	w->undo = map_again;
	walk(w);
	EXPECT_LE(2 * PAGES, w->injected);
	EXPECT_EQ(0, w->failed);
}

static int child_right(void *arg)
{
	struct walk *w = arg;

	for (int i = 0; i < PAGES; i++)
		if (mm_check(page(w, i), PAGE, SEED + i) >= 0)
			return 1;
	return 0;
}

static struct mm_tree *tree;

/* The parent's pages are its child's again. */
static void share(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	if (tree)
		mm_tree_end(tree);
	store(w);
	tree = mm_tree_fork(1, 1, NULL, NULL);
	EXPECT_NE(NULL, tree);
}

static void copied(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	for (int i = 0; i < PAGES; i++)
		EXPECT_NE(mm_pfn(0, page(w, i)), mm_pfn(mm_tree_pid(tree, 0), page(w, i)));
	stored(w);
	EXPECT_EQ(0, mm_tree_call(tree, 0, child_right, w));
}

static void both_right(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	stored(w);
	EXPECT_EQ(0, mm_tree_call(tree, 0, child_right, w));
}

/* copy on write after fork: ENOMEM for each copy, and both processes keep their bytes */
TEST_F(fault, copy_on_write)
{
	struct walk *w = &self->w;

	w->may_change = true;
	w->call = populate;
	w->done = copied;
	w->intact = both_right;
	w->undo = share;
	share(w);
	walk(w);
	EXPECT_LE(PAGES, w->failed);
	mm_tree_end(tree);
	tree = NULL;
}

/* Every page of a file, through a descriptor that stays: one page of the memory after the other. */
static int read_file(struct walk *w)
{
	for (int i = 0; i < PAGES; i++) {
		ssize_t n = pread(w->fd, page(w, i), PAGE, i * PAGE);

		if (n != (ssize_t)PAGE)
			return n < 0 ? -errno : -EFAULT;
	}
	return 0;
}

/* What a failed read(2) left is zero or the bytes of the file. */
static void none_or_file(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	for (int i = 0; i < PAGES; i++)
		if (mm_pfn(0, page(w, i)) && mm_check_byte(page(w, i), PAGE, 0) >= 0)
			EXPECT_EQ(-1, mm_check(page(w, i), PAGE, SEED + i));
}

/* read(2) into memory that is not there: the fault is repeated or it is EFAULT, never with wrong bytes */
TEST_F(fault, read)
{
	struct walk *w = &self->w;

	w->may_change = true;
	w->fd = mm_memfd(PAGES * PAGE);
	store(w);
	for (int i = 0; i < PAGES; i++)
		ASSERT_EQ(PAGE, pwrite(w->fd, page(w, i), PAGE, i * PAGE));
	map_again(w);
	w->error = EFAULT;
	w->call = read_file;
	w->done = stored;
	w->intact = none_or_file;
	w->undo = map_again;
	walk(w);
	EXPECT_LE(2 * PAGES, w->injected);
	close(w->fd);
}

/* A new file each time: without page cache. */
static void open_again(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	if (w->fd)
		close(w->fd);
	w->fd = mm_memfd(w->len);
	EXPECT_EQ(w->p, mmap(w->p, w->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, w->fd, 0));
}

/* shared memory: ENOMEM for page cache, tables and pages, RssShmem counts what is there */
TEST_F(fault, shmem)
{
	struct walk *w = &self->w;

	open_again(w);
	w->may_change = true;
	w->call = populate;
	w->done = populated;
	w->undo = open_again;
	walk(w);
	EXPECT_LE(PAGES, w->failed);
	close(w->fd);
}

TEST_HARNESS_MAIN
