// SPDX-License-Identifier: GPL-2.0
/* KSM with each allocation of the caller failing: entering it, breaking it by advice, by stores, and fork. */
#include "kselftest_harness.h"
#include <linux/prctl.h>
#include <sys/prctl.h>

#include "mm.h"
#include "walk.h"

#define SEED	61
#define PAGES	4
#define RUN	"/sys/kernel/mm/ksm/run"

FIXTURE(ksm) {
	struct walk w;
};

/* Every page the same. */
static void fill(struct walk *w)
{
	for (size_t at = 0; at < w->len; at += PAGE)
		mm_fill(w->p + at, PAGE, SEED);
}

static void bytes(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	for (size_t at = 0; at < w->len; at += PAGE)
		EXPECT_EQ(-1, mm_check(w->p + at, PAGE, SEED));
}

static bool mergeable(struct walk *w)
{
	return mm_vmflag(0, w->p, "mg");
}

static bool one_page(struct walk *w)
{
	for (size_t at = PAGE; at < w->len; at += PAGE)
		if (mm_pfn(0, w->p + at) != mm_pfn(0, w->p))
			return false;
	return true;
}

static void merge(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(0, madvise(w->p, w->len, MADV_MERGEABLE));
	/* A page that did not merge at once is left out of some scans (smart_scan). */
	for (int i = 0; i < 10 && !one_page(w); i++)
		EXPECT_EQ(0, mm_ksm_scan(2));
	EXPECT_TRUE(one_page(w));
	EXPECT_EQ(1, mm_ksm_stat("pages_shared"));
	EXPECT_EQ(PAGES - 1, mm_ksm_stat("pages_sharing"));
}

static void broken(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	bytes(w);
	for (size_t at = PAGE; at < w->len; at += PAGE)
		EXPECT_NE(mm_pfn(0, w->p), mm_pfn(0, w->p + at));
}

FIXTURE_SETUP(ksm)
{
	NEED(mm_need_fail_nth());
	NEED(mm_need_ksm());
	self->w = (struct walk) {
		._metadata = _metadata, .len = PAGES * PAGE, .intact = bytes, .done = broken, .undo = merge,
		.may_change = true,
	};
	self->w.p = mm_map_aligned(self->w.len, PAGE);
	ASSERT_NE(NULL, self->w.p);
	fill(&self->w);
}

FIXTURE_TEARDOWN(ksm)
{
	mm_ksm_unmerge_all();
	munmap(self->w.p, self->w.len);
}

static int unmerge(struct walk *w)
{
	return madvise(w->p, w->len, MADV_UNMERGEABLE) ? -errno : 0;
}

static void unmerged(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_FALSE(mergeable(w));
	broken(w);
}

static void merged(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	bytes(w);
	EXPECT_TRUE(mergeable(w));
}

/* MADV_UNMERGEABLE: EAGAIN when a copy fails, the bytes stay and the VMA stays mergeable */
TEST_F(ksm, unmerge)
{
	struct walk *w = &self->w;

	merge(w);
	w->error = EAGAIN;
	w->call = unmerge;
	w->done = unmerged;
	w->intact = merged;
	walk(w);
	EXPECT_LE(PAGES, w->failed);
}

static int unmerge_all(struct walk *w)
{
	return mm_write_file(RUN, "2");
}

/* run=2: ENOMEM when a copy fails, and the bytes stay */
TEST_F(ksm, unmerge_all)
{
	struct walk *w = &self->w;

	merge(w);
	w->error = ENOMEM;
	w->call = unmerge_all;
	walk(w);
	EXPECT_LE(PAGES, w->failed);
	EXPECT_EQ(0, mm_write_file(RUN, "0"));
}

static int store(struct walk *w)
{
	fill(w);
	return 0;
}

/* stores to merged pages: the copies that fail are made again, the process sees nothing of it */
TEST_F(ksm, store)
{
	struct walk *w = &self->w;

	merge(w);
	w->call = store;
	walk(w);
	EXPECT_LE(PAGES, w->injected);
	EXPECT_EQ(0, w->failed);
}

static int enter(void *arg)
{
	struct walk *w = arg;

	return madvise(w->p, w->len, MADV_MERGEABLE) ? -errno : 0;
}

static int entered(int nth, int ret, void *arg)
{
	struct walk *w = arg;
	struct __test_metadata *_metadata = w->_metadata;

	if (ret) {
		w->failed++;
		EXPECT_TRUE(mm_fail_injected());
		EXPECT_EQ(-EAGAIN, ret);
	}
	EXPECT_EQ(!ret, mm_vmflag(0, w->p, "mg"));
	bytes(w);
	return 0;
}

/* the first MADV_MERGEABLE of a process: EAGAIN without a slot for ksmd, and the VMA is not mergeable */
TEST_F(ksm, enter)
{
	struct walk *w = &self->w;

	/* Nothing to undo: once it is done, the process is known to ksmd. */
	ASSERT_EQ(0, mm_fail_setup());
	EXPECT_LE(1, mm_fail_walk(enter, entered, w));
	EXPECT_EQ(1, w->failed);
	merge(w);
}

static int merge_any(void *arg)
{
	return prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0) ? -errno : 0;
}

static int merges_any(int nth, int ret, void *arg)
{
	struct walk *w = arg;
	struct __test_metadata *_metadata = w->_metadata;

	if (ret) {
		w->failed++;
		EXPECT_TRUE(mm_fail_injected());
		EXPECT_EQ(-ENOMEM, ret);
	}
	EXPECT_EQ(!ret, prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0));
	EXPECT_EQ(!ret, mergeable(w));
	bytes(w);
	return 0;
}

/* PR_SET_MEMORY_MERGE: ENOMEM without a slot for ksmd, no mapping is mergeable and the process is not said to be */
TEST_F(ksm, merge_any)
{
	struct walk *w = &self->w;

	if (prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0))
		SKIP(return, "needs PR_SET_MEMORY_MERGE");
	ASSERT_EQ(0, mm_fail_setup());
	EXPECT_LE(1, mm_fail_walk(merge_any, merges_any, w));
	EXPECT_EQ(1, w->failed);
	merge(w);
	EXPECT_EQ(0, prctl(PR_SET_MEMORY_MERGE, 0, 0, 0, 0));
	broken(w);
	EXPECT_FALSE(mergeable(w));
}

static int fork_call(struct walk *w)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(mm_check(w->p, PAGE, SEED) >= 0 || !mergeable(w));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

static void nothing(struct walk *w)
{
}

/* fork() of a process with merged pages: ENOMEM, ksmd knows no more processes and shares as before */
TEST_F(ksm, fork)
{
	struct walk *w = &self->w;

	merge(w);
	w->may_change = false;
	w->error = ENOMEM;
	w->repeat_every = 4;
	w->call = fork_call;
	w->done = nothing;
	w->undo = nothing;
	walk(w);
	EXPECT_EQ(1, mm_ksm_stat("pages_shared"));
	EXPECT_EQ(PAGES - 1, mm_ksm_stat("pages_sharing"));
	EXPECT_LE(40, w->failed);
}

TEST_HARNESS_MAIN
