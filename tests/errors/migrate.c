// SPDX-License-Identifier: GPL-2.0
/* Migration with each allocation failing: by soft offlining, which allocates targets, and by compaction. */
#include "kselftest_harness.h"
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <linux/mman.h>

#include "mm.h"
#include "walk.h"

#define SEED		71
#define PAGES		4
#define COMPACT		"/proc/sys/vm/compact_memory"

FIXTURE(migrate) {
	struct walk w;
	long corrupted;
};

static uint64_t was[PAGES];
static struct mm_tree *tree;

FIXTURE_SETUP(migrate)
{
	NEED(mm_need_fail_nth());
	self->w = (struct walk) { ._metadata = _metadata, .len = PAGES * PAGE, .error = ENOMEM, .fd = -1 };
	self->corrupted = mm_meminfo("HardwareCorrupted");
	self->w.p = mm_map_aligned(self->w.len, PAGE);
	ASSERT_NE(NULL, self->w.p);
}

FIXTURE_TEARDOWN(migrate)
{
	if (tree)
		mm_tree_end(tree);
	tree = NULL;
	munmap(self->w.p, self->w.len);
	if (self->w.fd >= 0)
		close(self->w.fd);
	EXPECT_EQ(self->corrupted, mm_meminfo("HardwareCorrupted"));
}

static int wrong_bytes(void *arg)
{
	struct walk *w = arg;

	return mm_check(w->p, w->len, SEED) >= 0;
}

/* Whether this process and its child have the first page in one frame; which. */
static uint64_t frame(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;
	uint64_t pfn = mm_pfn(0, w->p);

	EXPECT_EQ(pfn, mm_pfn(mm_tree_pid(tree, 0), w->p));
	EXPECT_EQ(0, wrong_bytes(w));
	EXPECT_EQ(0, mm_tree_call(tree, 0, wrong_bytes, w));
	return pfn;
}

/* Migration gives up (EBUSY) on a page that somebody else, compaction say, has a reference to for a moment. */
static int soft_offline(struct walk *w)
{
	int err, tries = 3;

	while ((err = madvise(w->p, PAGE, MADV_SOFT_OFFLINE) ? -errno : 0) == -EBUSY && --tries)
		usleep(1000);
	return err;
}

static void same_frame(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(was[0], frame(w));
	EXPECT_FALSE(mm_kpf(was[0], KPF_HWPOISON));
}

static void other_frame(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_NE(was[0], frame(w));
	EXPECT_NE(0, frame(w));
	EXPECT_TRUE(mm_kpf(was[0], KPF_HWPOISON));
}

/* The frame that was given up is taken back. */
static void unpoison(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(0, mm_unpoison(was[0]));
	was[0] = frame(w);
}

static void walk_soft_offline(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	NEED(mm_need_soft_offline());
	tree = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, tree);
	/* Mapped by both. */
	ASSERT_EQ(0, mm_tree_call(tree, 0, wrong_bytes, w));
	was[0] = frame(w);
	w->call = soft_offline;
	w->done = other_frame;
	w->intact = same_frame;
	w->undo = unpoison;
	walk(w);
	EXPECT_LE(1, w->failed);
}

/* an anonymous page that a child shares: without a target ENOMEM, it stays in its frame, mapped by both */
TEST_F(migrate, anon)
{
	struct walk *w = &self->w;

	mm_fill(w->p, w->len, SEED);
	walk_soft_offline(w);
}

/* the same for a page of shared memory: it stays in the page cache */
TEST_F(migrate, shmem)
{
	struct walk *w = &self->w;

	w->fd = mm_memfd(w->len);
	ASSERT_EQ(w->p, mmap(w->p, w->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, w->fd, 0));
	mm_fill(w->p, w->len, SEED);
	walk_soft_offline(w);
}

/* the same for a page of an ext4 file that is dirty */
TEST_F(migrate, file)
{
	struct walk *w = &self->w;

	w->fd = mm_tmpfile("/mnt", w->len);
	ASSERT_EQ(w->p, mmap(w->p, w->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, w->fd, 0));
	mm_fill(w->p, w->len, SEED);
	walk_soft_offline(w);
}

static struct mm_stage *stage;

static int compact(struct walk *w)
{
	return pwrite(w->fd, "1", 1, 0) == 1 ? 0 : -errno;
}

static void all_moved(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;
	uint64_t is[PAGES];

	EXPECT_EQ(0, mm_pfns(0, w->p, is, PAGES));
	EXPECT_EQ(PAGES, mm_moved(was, is, PAGES));
	EXPECT_EQ(0, wrong_bytes(w));
}

/* Pages that lie low, and holes above them: a stage is good for one compaction. */
static void set_stage(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	mm_stage_end(stage);
	EXPECT_EQ(0, madvise(w->p, w->len, MADV_DONTNEED));
	stage = mm_stage(w->len);
	EXPECT_NE(NULL, stage);
	mm_fill(w->p, w->len, SEED);
	EXPECT_EQ(0, mm_pfns(0, w->p, was, PAGES));
	mm_stage_open(stage);
}

static void all_there(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(0, wrong_bytes(w));
}

/* compaction: its targets are free frames, so that all pages move though an allocation fails */
TEST_F(migrate, compact)
{
	struct walk *w = &self->w;

	NEED(mm_need_compaction());
	w->fd = open(COMPACT, O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, w->fd);
	set_stage(w);
	w->call = compact;
	w->done = all_moved;
	w->intact = all_there;
	w->undo = set_stage;
	walk(w);
	mm_stage_end(stage);
	stage = NULL;
}

TEST_HARNESS_MAIN
