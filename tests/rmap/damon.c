// SPDX-License-Identifier: GPL-2.0
/* DAMON: it finds accesses through the reverse map, and its scheme "pageout" really swaps pages out. */
#include <errno.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "damon.h"

#define PAGES		64
#define LEN		(PAGES * PAGE)
#define SEED		91
#define NODES		6	/* of a tree of depth 2 and width 2 */
#define PATIENCE	1000	/* polls of 2 ms or more */

/* The pages under test, where the processes of a tree find them. */
static char *region;

/* A fixed range of the address space of one process. */
static int watch_range(pid_t pid)
{
	int err;

	err = put(CONTEXT "operations", "fvaddr");
	err = err ?: put(CONTEXT "targets/0/pid_target", "%d", pid);
	err = err ?: put(CONTEXT "targets/0/regions/nr_regions", "1");
	return err ?: put_region(0, (uintptr_t)region, (uintptr_t)region + LEN);
}

/* One monitor with one scheme: page out what was not accessed during an interval. */
static int set_up(void)
{
	int err;

	err = put("nr_kdamonds", "1");
	err = err ?: put("0/contexts/nr_contexts", "1");
	err = err ?: put(CONTEXT "targets/nr_targets", "1");
	err = err ?: put(CONTEXT "schemes/nr_schemes", "1");
	err = err ?: put(SCHEME "action", "pageout");
	err = err ?: put(SCHEME "access_pattern/sz/max", "%lu", PUD_SIZE);
	err = err ?: put(SCHEME "access_pattern/age/max", "%d", 1 << 30);
	return err;
}

static int set_interval(unsigned int us)
{
	int err;

	err = put(CONTEXT "monitoring_attrs/intervals/sample_us", "%u", us);
	err = err ?: put(CONTEXT "monitoring_attrs/intervals/aggr_us", "%u", us);
	return err ?: put(CONTEXT "monitoring_attrs/intervals/update_us", "%u", 100 * us);
}

static long stat_of_scheme(const char *name)
{
	char path[160];

	put("0/state", "update_schemes_stats");
	snprintf(path, sizeof(path), ADMIN SCHEME "stats/%s", name);
	return mm_read_long(path);
}

static int wrong_bytes(void *arg)
{
	return mm_check(region, LEN, SEED) == -1 ? 0 : 1;
}

static int fill_again(void *seed)
{
	mm_fill(region, LEN, (long)seed);
	return 0;
}

static int wrong_for(void *seed)
{
	return mm_check(region, LEN, (long)seed) == -1 ? 0 : 1;
}

FIXTURE(damon) {
	struct mm_tree *t;
	long swap_used;
};

FIXTURE_SETUP(damon)
{
	NEED(mm_need_swap());
	NEED(need_damon());
	ASSERT_EQ(0, set_up());
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	mm_fill(region, LEN, SEED);
	mm_lru_drain();
	self->swap_used = mm_swap_used();
}

FIXTURE_TEARDOWN(damon)
{
	put("0/state", "off");
	EXPECT_FALSE(is_on());
	EXPECT_EQ(0, put("nr_kdamonds", "0"));
	if (self->t)
		mm_tree_end(self->t);
	munmap(region, LEN);
	EXPECT_EQ(self->swap_used, mm_swap_used());
}

/* physical memory: the pages that nobody reads are swapped out, those that are read stay in their frames */
TEST_F(damon, hot_stay)
{
	struct mm_snap *before = mm_snap();
	uint64_t pfns[PAGES];
	int wrong = 0;

	NEED(access(ADMIN SCHEME "stats/max_nr_snapshots", W_OK) ? "DAMON's max_nr_snapshots" : NULL);
	ASSERT_EQ(0, put_frames(region, PAGES));
	ASSERT_EQ(0, mm_pfns(0, region, pfns, PAGES));
	/* The hot pages have to be read once in this time, and that means a page fault for each. */
	ASSERT_EQ(0, set_interval(500000));
	/* One round and no more: when it is turned off, kdamond cuts its last interval short. */
	ASSERT_EQ(0, put(SCHEME "stats/max_nr_snapshots", "1"));
	ASSERT_EQ(0, put("0/state", "on"));
	for (int i = 0; i < PATIENCE && mm_count_swapped(0, region, LEN) < PAGES - PAGES / 16; i++) {
		for (int j = 0; j < PAGES; j += 16)
			mm_touch_read(region + j * PAGE, PAGE);
		usleep(2000);
	}
	EXPECT_EQ(0, put("0/state", "off"));
	EXPECT_EQ(PAGES - PAGES / 16, mm_count_swapped(0, region, LEN));
	EXPECT_EQ(PAGES - PAGES / 16, mm_delta(before, "pswpout"));
	for (int i = 0; i < PAGES; i++)
		wrong += mm_pfn(0, region + i * PAGE) != (i % 16 ? 0 : pfns[i]);
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
	mm_snap_free(before);
}

/* physical memory: pages that seven processes share get swap entries in all their page tables */
TEST_F(damon, shared)
{
	struct mm_snap *before = mm_snap();

	self->t = mm_tree_fork(2, 2, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	ASSERT_EQ(NODES + 1, mm_kpagecount(mm_pfn(0, region)));
	ASSERT_EQ(0, put_frames(region, PAGES));
	ASSERT_EQ(0, set_interval(10000));
	ASSERT_EQ(0, put("0/state", "on"));
	for (int i = 0; i < PATIENCE && mm_count_swapped(0, region, LEN) < PAGES; i++)
		usleep(2000);
	EXPECT_EQ(0, put("0/state", "off"));
	EXPECT_EQ(PAGES, mm_count_swapped(0, region, LEN));
	EXPECT_EQ(PAGES, mm_swap_used() - self->swap_used);
	EXPECT_EQ(PAGES, mm_delta(before, "pswpout"));
	for (int i = 0; i < NODES; i++) {
		EXPECT_EQ(PAGES, mm_count_swapped(mm_tree_pid(self->t, i), region, LEN));
		EXPECT_EQ(0, mm_tree_call(self->t, i, wrong_bytes, NULL));
	}
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
	mm_snap_free(before);
}

/* A child with bytes of its own in the region, which is what is watched; its PID. */
static pid_t watch_child(struct __test_metadata *_metadata, FIXTURE_DATA(damon) *self)
{
	pid_t pid;

	self->t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	pid = mm_tree_pid(self->t, 0);
	ASSERT_EQ(0, mm_tree_call(self->t, 0, fill_again, (void *)(SEED + 1L)));
	mm_lru_drain();
	ASSERT_EQ(0, watch_range(pid));
	return pid;
}

/* the address space of one process: its own pages go, those of another process at the same place stay */
TEST_F(damon, address_space)
{
	pid_t pid = watch_child(_metadata, self);

	ASSERT_EQ(0, set_interval(10000));
	ASSERT_EQ(0, put("0/state", "on"));
	for (int i = 0; i < PATIENCE && mm_count_swapped(pid, region, LEN) < PAGES; i++)
		usleep(2000);
	EXPECT_EQ(0, put("0/state", "off"));
	EXPECT_EQ(PAGES, mm_count_swapped(pid, region, LEN));
	EXPECT_EQ(PAGES, mm_count_present(0, region, LEN));
	EXPECT_EQ(PAGES, mm_swap_used() - self->swap_used);
	EXPECT_EQ(0, mm_tree_call(self->t, 0, wrong_for, (void *)(SEED + 1L)));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
}

/* DAMON looks at addresses in the middle of pages of a process that sleeps; the process reads its bytes when it wakes up */
TEST_F(damon, sampled)
{
	pid_t pid = watch_child(_metadata, self);

	ASSERT_EQ(0, put(SCHEME "action", "stat"));
	ASSERT_EQ(0, set_interval(2000));
	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(0, put("0/state", "on"));
		for (int j = 0; j < PATIENCE && stat_of_scheme("nr_tried") < 3; j++)
			usleep(2000);
		EXPECT_LE(3, stat_of_scheme("nr_tried"));
		ASSERT_EQ(0, put("0/state", "off"));
		ASSERT_EQ(0, mm_tree_call(self->t, 0, wrong_for, (void *)(SEED + 1L)));
	}
	EXPECT_EQ(PAGES, mm_count_present(pid, region, LEN));
}

/* a scheme with a memcg filter takes the pages of that group and of no other */
TEST_F(damon, group_filter)
{
	struct mm_cgroup cg;

	NEED(mm_need_memcg());
	NEED(access(ADMIN SCHEME "ops_filters", F_OK) ? "DAMON's ops_filters" : NULL);
	ASSERT_EQ(0, mm_cgroup_create(&cg, "damon"));
	ASSERT_EQ(0, madvise(region, LEN / 2, MADV_DONTNEED));
	ASSERT_EQ(0, mm_cgroup_enter(&cg));
	mm_fill(region, LEN / 2, SEED);
	ASSERT_EQ(0, mm_cgroup_leave());
	mm_lru_drain();
	ASSERT_EQ(0, put_frames(region, PAGES));
	ASSERT_EQ(0, put(SCHEME "ops_filters/nr_filters", "1"));
	ASSERT_EQ(0, put(SCHEME "ops_filters/0/type", "memcg"));
	ASSERT_EQ(0, put(SCHEME "ops_filters/0/memcg_path", "/damon"));
	ASSERT_EQ(0, put(SCHEME "ops_filters/0/matching", "N"));
	ASSERT_EQ(0, put(SCHEME "ops_filters/0/allow", "N"));
	ASSERT_EQ(0, set_interval(10000));
	ASSERT_EQ(0, put("0/state", "on"));
	for (int i = 0; i < PATIENCE && mm_count_swapped(0, region, LEN) < PAGES / 2; i++)
		usleep(2000);
	/* Some more rounds, in which nothing else may go. */
	for (int i = 0; i < PATIENCE && stat_of_scheme("nr_tried") < 5 * PAGES; i++)
		usleep(2000);
	EXPECT_EQ(0, put("0/state", "off"));
	EXPECT_EQ(PAGES / 2, mm_count_swapped(0, region, LEN / 2));
	EXPECT_EQ(PAGES / 2, mm_count_present(0, region + LEN / 2, LEN / 2));
	EXPECT_EQ(LEN / 2, mm_cgroup_read(&cg, "memory.swap.current"));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
	munmap(region, LEN);
	EXPECT_EQ(0, mm_cgroup_remove(&cg));
}

TEST_HARNESS_MAIN
