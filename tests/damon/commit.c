// SPDX-License-Identifier: GPL-2.0
/*
 * "commit" of /sys/kernel/mm/damon: what runs goes on with what was written since, all of it and each kind of filter, and what it
 * had before is freed (Documentation/admin-guide/mm/damon/usage.rst).
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <unistd.h>
#include "damon.h"

#define PAGES	32
#define LEN	(PAGES * PAGE)
#define SEED	1
#define INTERVALS CONTEXT "monitoring_attrs/intervals/"
#define PATIENCE	1000		/* polls of 2 ms or more */

static char *region;

static int intervals(unsigned int us)
{
	int err = put(INTERVALS "sample_us", "%u", us);

	err = err ?: put(INTERVALS "aggr_us", "%u", us);
	return err ?: put(INTERVALS "update_us", "%u", 100 * us);
}

FIXTURE(commit) {
	struct mm_cgroup cg;
	char name[32];			/* of its own: one that was removed may still be found by its path */
};

/* The first half of the pages is the group's. */
FIXTURE_SETUP(commit)
{
	NEED(need_damon());
	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	snprintf(self->name, sizeof(self->name), "commit-%d", getpid());
	ASSERT_EQ(0, mm_cgroup_create(&self->cg, self->name));
	ASSERT_EQ(0, mm_cgroup_enter(&self->cg));
	mm_fill(region, LEN / 2, SEED);
	ASSERT_EQ(0, mm_cgroup_leave());
	mm_fill_from(region + LEN / 2, LEN / 2, SEED, LEN / 2);
	mm_lru_drain();
	ASSERT_EQ(0, put("nr_kdamonds", "1"));
	ASSERT_EQ(0, put("0/contexts/nr_contexts", "1"));
	ASSERT_EQ(0, put(CONTEXT "targets/nr_targets", "1"));
	ASSERT_EQ(0, put_frames(region, PAGES));
	ASSERT_EQ(0, put(CONTEXT "schemes/nr_schemes", "1"));
	ASSERT_EQ(0, put(SCHEME "action", "pageout"));
	ASSERT_EQ(0, put(SCHEME "access_pattern/sz/max", "%lu", PUD_SIZE));
	ASSERT_EQ(0, put(SCHEME "access_pattern/age/max", "%d", 1 << 30));
	ASSERT_EQ(0, intervals(5000));
}

FIXTURE_TEARDOWN(commit)
{
	put("0/state", "off");
	EXPECT_FALSE(is_on());
	EXPECT_EQ(0, put("nr_kdamonds", "0"));
	munmap(region, LEN);
	EXPECT_EQ(0, mm_cgroup_remove(&self->cg));
}

/* Pages of the first half that are out, once it is as many as are wanted, or for good. */
static long out_of(const char *p, long want)
{
	long n = 0;

	for (int i = 0; i < PATIENCE; i++) {
		n = mm_count_swapped(0, p, LEN / 2);
		if (n == want)
			break;
		usleep(2000);
	}
	return n;
}

/* as often as it is done, no object is left that was only for that */
TEST_F(commit, nothing_left)
{
	long regions;

	NEED(mm_slab("damon_region") < 0 ? "a cache of DAMON's regions" : NULL);
	ASSERT_EQ(0, put(SCHEME "action", "stat"));
	ASSERT_EQ(0, put("0/state", "on"));
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, put("0/state", "commit"));
	regions = mm_slab("damon_region");
	for (int i = 0; i < 16; i++) {
		ASSERT_EQ(0, put("0/state", "commit"));
	}
	/* Each has a region for each page. */
	EXPECT_GT(regions + 8 * PAGES, mm_slab("damon_region"));
	ASSERT_EQ(0, put("0/state", "off"));
	ASSERT_EQ(0, put("nr_kdamonds", "0"));
	EXPECT_GT(PAGES, mm_slab("damon_region"));
}

/* How many regions the scheme has looked at so far. */
static long tried(void)
{
	int err = put("0/state", "update_schemes_stats");

	return err ?: mm_read_long(ADMIN SCHEME "stats/nr_tried");
}

/* Pages that are not of the group are passed over. */
static int only_group(const char *dir, const char *group)
{
	char file[96];
	int err;

	snprintf(file, sizeof(file), SCHEME "%s/nr_filters", dir);
	err = put(file, "1");
	snprintf(file, sizeof(file), SCHEME "%s/0/type", dir);
	err = err ?: put(file, "memcg");
	snprintf(file, sizeof(file), SCHEME "%s/0/memcg_path", dir);
	err = err ?: put(file, "/%s", group);
	snprintf(file, sizeof(file), SCHEME "%s/0/matching", dir);
	err = err ?: put(file, "N");
	snprintf(file, sizeof(file), SCHEME "%s/0/allow", dir);
	return err ?: put(file, "N");
}

/* a filter that was there is there afterwards: the group's pages go, the others stay */
TEST_F(commit, filter_stays)
{
	NEED(access(ADMIN SCHEME "ops_filters", F_OK) ? "DAMON's ops_filters" : NULL);
	ASSERT_EQ(0, only_group("ops_filters", self->name));
	/* No region is that old, until it shall begin. */
	ASSERT_EQ(0, put(SCHEME "access_pattern/age/min", "1000000"));
	ASSERT_EQ(0, put("0/state", "on"));
	ASSERT_EQ(0, mm_count_swapped(0, region, LEN));
	ASSERT_EQ(0, put(SCHEME "access_pattern/age/min", "0"));
	ASSERT_EQ(0, put("0/state", "commit"));
	EXPECT_EQ(PAGES / 2, out_of(region, PAGES / 2));
	/* Some more rounds, in which nothing else may go. */
	for (int i = 0; i < PATIENCE && tried() < 5 * PAGES; i++)
		usleep(2000);
	EXPECT_EQ(0, put("0/state", "off"));
	EXPECT_EQ(0, mm_count_swapped(0, region + LEN / 2, LEN / 2));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
}

/* what the smallest region would be is judged before anything changes: EINVAL, and it goes on as it was */
TEST_F(commit, sizes)
{
	static const int units[] = { 3, 5, 7, 1000, 4095 };

	NEED(access(ADMIN CONTEXT "addr_unit", F_OK) ? "DAMON's addr_unit" : NULL);
	ASSERT_EQ(0, put(SCHEME "action", "stat"));
	ASSERT_EQ(0, put("0/state", "on"));
	for (int i = 0; i < sizeof(units) / sizeof(*units); i++) {
		int size = 4096 / units[i];

		if (!(size & (size - 1)))
			continue;
		ASSERT_EQ(0, put(CONTEXT "addr_unit", "%d", units[i]));
		EXPECT_EQ(-EINVAL, put("0/state", "commit")) TH_LOG("unit %d", units[i]);
		EXPECT_TRUE(is_on());
	}
	ASSERT_EQ(0, put(CONTEXT "addr_unit", "1"));
	EXPECT_EQ(0, put("0/state", "commit"));
	EXPECT_EQ(-EINVAL, put(CONTEXT "addr_unit", "0"));
	EXPECT_TRUE(is_on());
}

TEST_HARNESS_MAIN
