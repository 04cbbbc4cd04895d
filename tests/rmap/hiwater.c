// SPDX-License-Identifier: GPL-2.0
/* The high-water mark of the resident set: reclaim records it before it takes pages away. */
#include <stdlib.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mm.h"

#define PAGES	1024
#define LEN	(PAGES * PAGE)
#define SEED	81

/*
 * The mark is taken from the per-CPU counters of anonymous, file and shmem pages as they are, each of which
 * may be off by a batch of 32 pages; VmRSS sums them up.
 */
#define SLACK	(3 * 32 * PAGE / KB)

/* The pages under test, where the child finds them. */
static char *region;

static int fill(void *seed)
{
	mm_fill(region, LEN, (long)seed);
	return 0;
}

static int drop(void *arg)
{
	return madvise(region, LEN, MADV_DONTNEED);
}

static int wrong_bytes(void *arg)
{
	return mm_check(region, LEN, SEED) == -1 ? 0 : 1;
}

static int reset_mark(void *arg)
{
	return mm_write_file("/proc/self/clear_refs", "5");
}

/*
 * VmHWM is the larger one of the mark and of what is resident now, and the mark moves only when pages are
 * about to go. If reclaim forgot it, VmHWM would fall with VmRSS. The child sleeps whenever it is looked at.
 */
FIXTURE(hiwater) {
	struct mm_cgroup cg;
	struct mm_tree *t;
	pid_t pid;
	long base;		/* resident without the region, kB */
};

FIXTURE_SETUP(hiwater)
{
	char pid[16];

	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	ASSERT_EQ(0, mm_cgroup_create(&self->cg, "hiwater"));
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	self->t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	self->pid = mm_tree_pid(self->t, 0);
	snprintf(pid, sizeof(pid), "%d", self->pid);
	ASSERT_EQ(0, mm_cgroup_write(&self->cg, "cgroup.procs", pid));
	/* Once for nothing: the code and the stack that it takes are resident afterwards. */
	ASSERT_EQ(0, mm_tree_call(self->t, 0, fill, (void *)(SEED + 1L)));
	ASSERT_EQ(1, mm_tree_call(self->t, 0, wrong_bytes, NULL));
	ASSERT_EQ(0, mm_tree_call(self->t, 0, drop, NULL));
	ASSERT_EQ(0, mm_tree_call(self->t, 0, reset_mark, NULL));
	self->base = mm_status(self->pid, "VmRSS");
	ASSERT_GE(SLACK, mm_status(self->pid, "VmHWM") - self->base);
	ASSERT_EQ(0, mm_tree_call(self->t, 0, fill, (void *)(long)SEED));
	ASSERT_EQ(LEN / KB, mm_status(self->pid, "VmRSS") - self->base);
}

FIXTURE_TEARDOWN(hiwater)
{
	mm_tree_end(self->t);
	munmap(region, LEN);
	EXPECT_EQ(0, mm_cgroup_remove(&self->cg));
}

/* MADV_PAGEOUT lowers VmRSS by the pages that went and leaves VmHWM at the peak, also when they are back */
TEST_F(hiwater, pageout)
{
	long peak = mm_status(self->pid, "VmRSS");

	for (int i = 0; i < 10 && mm_count_present(self->pid, region, LEN); i++)
		ASSERT_EQ(LEN, mm_process_madvise(self->pid, region, LEN, MADV_PAGEOUT));
	EXPECT_EQ(PAGES, mm_count_swapped(self->pid, region, LEN));
	EXPECT_EQ(self->base, mm_status(self->pid, "VmRSS"));
	EXPECT_GE(SLACK, labs(mm_status(self->pid, "VmHWM") - peak));
	ASSERT_EQ(0, mm_tree_call(self->t, 0, wrong_bytes, NULL));
	EXPECT_EQ(peak, mm_status(self->pid, "VmRSS"));
	EXPECT_GE(SLACK, labs(mm_status(self->pid, "VmHWM") - peak));
}

/* reclaim of the group by another process does the same */
TEST_F(hiwater, memcg_reclaim)
{
	long peak = mm_status(self->pid, "VmRSS");
	long gone;

	ASSERT_EQ(0, mm_cgroup_reclaim(&self->cg, LEN / 2));
	gone = mm_count_swapped(self->pid, region, LEN);
	EXPECT_LE(PAGES / 2, gone);
	EXPECT_GE(peak - gone * (long)(PAGE / KB), mm_status(self->pid, "VmRSS"));
	EXPECT_GE(SLACK, labs(mm_status(self->pid, "VmHWM") - peak));
}

/* the mark can be reset to what is left, and what comes back then is a new peak */
TEST_F(hiwater, reset)
{
	long low;

	for (int i = 0; i < 10 && mm_count_present(self->pid, region, LEN); i++)
		ASSERT_EQ(LEN, mm_process_madvise(self->pid, region, LEN, MADV_PAGEOUT));
	ASSERT_EQ(0, mm_tree_call(self->t, 0, reset_mark, NULL));
	low = mm_status(self->pid, "VmRSS");
	EXPECT_EQ(self->base, low);
	EXPECT_GE(SLACK, labs(mm_status(self->pid, "VmHWM") - low));
	ASSERT_EQ(0, mm_tree_call(self->t, 0, wrong_bytes, NULL));
	EXPECT_EQ(LEN / KB, mm_status(self->pid, "VmRSS") - low);
	EXPECT_GE(SLACK, labs(mm_status(self->pid, "VmHWM") - low - (long)(LEN / KB)));
}

TEST_HARNESS_MAIN
