// SPDX-License-Identifier: GPL-2.0
/* Memory cgroups and the reverse map: whose pages go, whose references count, and what the accounts say. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mm.h"

#define PAGES	256
#define LEN	(PAGES * PAGE)
#define SEED	71

/* The pages under test, where the processes of a tree find them. */
static char *region;

static int read_pages(void *arg)
{
	mm_touch_read(region, LEN);
	return 0;
}

static int read_half(void *arg)
{
	mm_touch_read(region, LEN / 2);
	return 0;
}

static int wrong_bytes(void *arg)
{
	return mm_check(region, LEN, SEED) == -1 ? 0 : 1;
}

/* The number behind a name in memory.events or memory.swap.events. */
static long event(const struct mm_cgroup *cg, const char *file, const char *name)
{
	char path[160], text[512], *at;

	snprintf(path, sizeof(path), "%s/%s", cg->path, file);
	if (mm_read_file(path, text, sizeof(text)) < 0)
		return -1;
	at = strstr(text, name);
	return at ? atol(at + strlen(name)) : -1;
}

static int move_to(const struct mm_cgroup *cg, pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	return mm_cgroup_write(cg, "cgroup.procs", text);
}

FIXTURE(memcg) {
	struct mm_cgroup a, b;
	struct mm_tree *t;
	long swap_used;
};

FIXTURE_SETUP(memcg)
{
	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	ASSERT_EQ(0, mm_cgroup_create(&self->a, "memcg-a"));
	ASSERT_EQ(0, mm_cgroup_create(&self->b, "memcg-b"));
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	mm_lru_drain();
	self->swap_used = mm_swap_used();
	ASSERT_EQ(0, mm_cgroup_enter(&self->a));
	mm_fill(region, LEN, SEED);
	ASSERT_EQ(0, mm_cgroup_leave());
}

FIXTURE_TEARDOWN(memcg)
{
	if (self->t)
		mm_tree_end(self->t);
	mm_cgroup_leave();
	munmap(region, LEN);
	EXPECT_EQ(self->swap_used, mm_swap_used());
	EXPECT_EQ(0, mm_cgroup_remove(&self->a));
	EXPECT_EQ(0, mm_cgroup_remove(&self->b));
}

/* memory.reclaim swaps out at least what was asked for, and the group's accounts follow page by page */
TEST_F(memcg, reclaim_accounts)
{
	struct mm_snap *before = mm_snap();
	long swapped;

	EXPECT_EQ(LEN, mm_cgroup_stat_now(&self->a, "anon"));
	EXPECT_LE(LEN, mm_cgroup_read(&self->a, "memory.current"));
	EXPECT_EQ(0, mm_cgroup_read(&self->a, "memory.swap.current"));
	ASSERT_EQ(0, mm_cgroup_reclaim(&self->a, LEN / 2));
	swapped = mm_count_swapped(0, region, LEN);
	EXPECT_LE(PAGES / 2, swapped);
	EXPECT_EQ(swapped * PAGE, mm_cgroup_read(&self->a, "memory.swap.current"));
	EXPECT_EQ(swapped, mm_swap_used() - self->swap_used);
	EXPECT_EQ(swapped, mm_delta(before, "pswpout"));
	EXPECT_EQ(LEN - swapped * PAGE, mm_cgroup_stat_now(&self->a, "anon"));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
	EXPECT_EQ(LEN, mm_cgroup_stat_now(&self->a, "anon"));
	ASSERT_EQ(0, munmap(region, LEN));
	EXPECT_EQ(0, mm_cgroup_stat_now(&self->a, "anon"));
	EXPECT_EQ(0, mm_cgroup_read(&self->a, "memory.swap.current"));
	mm_snap_free(before);
}

/* a limit below what the group uses pushes pages out at once, and swap-in others: no byte is lost */
TEST_F(memcg, max)
{
	ASSERT_EQ(0, mm_cgroup_write(&self->a, "memory.max", "512K"));
	EXPECT_GE(512 * KB, mm_cgroup_read(&self->a, "memory.current"));
	EXPECT_LE(PAGES - 512 * KB / PAGE, mm_count_swapped(0, region, LEN));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
	EXPECT_GE(512 * KB, mm_cgroup_read(&self->a, "memory.current"));
	EXPECT_LE(PAGES - 512 * KB / PAGE, mm_count_swapped(0, region, LEN));
	EXPECT_LT(0, event(&self->a, "memory.events", "\nmax "));
	EXPECT_EQ(0, event(&self->a, "memory.events", "\noom_kill "));
	mm_fill(region, LEN, SEED + 1);
	EXPECT_GE(512 * KB, mm_cgroup_read(&self->a, "memory.current"));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED + 1));
}

/* without swap for the group reclaim takes no anonymous page, and says so */
TEST_F(memcg, no_swap)
{
	ASSERT_EQ(0, mm_cgroup_write(&self->a, "memory.swap.max", "0"));
	EXPECT_EQ(-EAGAIN, mm_cgroup_reclaim(&self->a, LEN / 2));
	EXPECT_EQ(PAGES, mm_count_present(0, region, LEN));
	EXPECT_EQ(self->swap_used, mm_swap_used());
	EXPECT_EQ(LEN, mm_cgroup_stat_now(&self->a, "anon"));
	ASSERT_EQ(0, mm_cgroup_write(&self->a, "memory.swap.max", "max"));
	EXPECT_EQ(0, mm_cgroup_reclaim(&self->a, LEN / 2));
	EXPECT_LE(PAGES / 2, mm_count_swapped(0, region, LEN));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
}

/* pages belong to the group that touched them first: reclaim of another one that maps them takes none */
TEST_F(memcg, first_touch_owns)
{
	pid_t child;

	self->t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	child = mm_tree_pid(self->t, 0);
	ASSERT_EQ(0, move_to(&self->b, child));
	ASSERT_EQ(0, mm_tree_call(self->t, 0, read_pages, NULL));
	EXPECT_EQ(0, mm_cgroup_stat_now(&self->b, "anon"));
	mm_cgroup_reclaim(&self->b, LEN);
	EXPECT_EQ(PAGES, mm_count_present(0, region, LEN));
	EXPECT_EQ(PAGES, mm_count_present(child, region, LEN));
	for (int i = 0; i < 10 && mm_count_present(0, region, LEN); i++)
		mm_cgroup_reclaim(&self->a, LEN);
	EXPECT_EQ(0, mm_count_present(0, region, LEN));
	EXPECT_EQ(0, mm_count_present(child, region, LEN));
	EXPECT_EQ(PAGES, mm_count_swapped(child, region, LEN));
	EXPECT_EQ(LEN, mm_cgroup_read(&self->a, "memory.swap.current"));
	/* Whoever brings them back, they are charged to the group that had them. */
	EXPECT_EQ(0, mm_tree_call(self->t, 0, wrong_bytes, NULL));
	EXPECT_EQ(LEN, mm_cgroup_stat_now(&self->a, "anon"));
	EXPECT_EQ(0, mm_cgroup_stat_now(&self->b, "anon"));
}

/* a copy on write is charged to the group of the process that wrote, the original stays where it was */
TEST_F(memcg, copy_is_charged)
{
	self->t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	ASSERT_EQ(0, mm_cgroup_enter(&self->b));
	mm_fill(region, LEN, SEED + 2);
	ASSERT_EQ(0, mm_cgroup_leave());
	EXPECT_EQ(LEN, mm_cgroup_stat_now(&self->a, "anon"));
	EXPECT_EQ(LEN, mm_cgroup_stat_now(&self->b, "anon"));
	ASSERT_EQ(0, mm_tree_call(self->t, 0, wrong_bytes, NULL));
	ASSERT_EQ(0, mm_tree_kill(self->t, 0));
	EXPECT_EQ(0, mm_cgroup_stat_now(&self->a, "anon"));
	EXPECT_EQ(LEN, mm_cgroup_stat_now(&self->b, "anon"));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED + 2));
}

/* however many processes map a page, its group counts it once, and until the last mapping is gone */
TEST_F(memcg, file_mapped)
{
	char *anon = region;
	int fd = mm_memfd(LEN);

	ASSERT_LE(0, fd);
	region = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, region);
	ASSERT_EQ(0, mm_cgroup_enter(&self->b));
	mm_fill(region, LEN, SEED);
	ASSERT_EQ(0, mm_cgroup_leave());
	self->t = mm_tree_fork(1, 3, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, mm_tree_call(self->t, i, read_pages, NULL));
	ASSERT_EQ(4, mm_kpagecount(mm_pfn(0, region)));
	EXPECT_EQ(LEN, mm_cgroup_stat_now(&self->b, "shmem"));
	EXPECT_EQ(LEN, mm_cgroup_stat_now(&self->b, "file_mapped"));
	ASSERT_EQ(0, munmap(region, LEN));
	region = anon;
	mm_tree_kill(self->t, 0);
	mm_tree_kill(self->t, 1);
	EXPECT_EQ(LEN, mm_cgroup_stat_now(&self->b, "file_mapped"));
	mm_tree_kill(self->t, 2);
	EXPECT_EQ(0, mm_cgroup_stat_now(&self->b, "file_mapped"));
	EXPECT_EQ(LEN, mm_cgroup_stat_now(&self->b, "shmem"));
	close(fd);
	EXPECT_EQ(0, mm_cgroup_stat_now(&self->b, "shmem"));
}

/* ---- whose references count ---- */

/* The parent is in the group that pays for the pages, the child in another; one reads the older half. */
FIXTURE(reference) {
	struct mm_cgroup a, b;
	struct mm_tree *t;
};

FIXTURE_VARIANT(reference) {
	bool own;
};

FIXTURE_VARIANT_ADD(reference, own_group) { .own = true };
FIXTURE_VARIANT_ADD(reference, other_group) { .own = false };

FIXTURE_SETUP(reference)
{
	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	ASSERT_EQ(0, mm_cgroup_create(&self->a, "reference-a"));
	ASSERT_EQ(0, mm_cgroup_create(&self->b, "reference-b"));
	ASSERT_EQ(0, mm_cgroup_enter(&self->a));
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	mm_fill(region, LEN, SEED);
	/* Back from swap and clean, so that reclaim frees at once what it chooses; and old. */
	ASSERT_EQ(0, mm_pageout(region, LEN));
	mm_touch_read(region, LEN);
	mm_lru_drain();
	ASSERT_EQ(0, madvise(region, LEN, MADV_COLD));
	self->t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	ASSERT_EQ(0, move_to(&self->b, mm_tree_pid(self->t, 0)));
}

FIXTURE_TEARDOWN(reference)
{
	mm_tree_end(self->t);
	mm_cgroup_leave();
	munmap(region, LEN);
	EXPECT_EQ(0, mm_cgroup_remove(&self->a));
	EXPECT_EQ(0, mm_cgroup_remove(&self->b));
}

/* reclaim of a group spares the pages that its own processes read since, but not those that others read */
TEST_F(reference, group)
{
	long older, newer;

	if (variant->own)
		mm_touch_read(region, LEN / 2);
	else
		ASSERT_EQ(0, mm_tree_call(self->t, 0, read_half, NULL));
	ASSERT_EQ(0, mm_cgroup_reclaim_anon(&self->a, 256 * KB));
	older = mm_count_swapped(0, region, LEN / 2);
	newer = mm_count_swapped(0, region + LEN / 2, LEN / 2);
	EXPECT_EQ(0, variant->own ? older : newer);
	EXPECT_LE(32, variant->own ? newer : older);
	EXPECT_EQ(older + newer, mm_count_swapped(mm_tree_pid(self->t, 0), region, LEN));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
	EXPECT_EQ(0, mm_tree_call(self->t, 0, wrong_bytes, NULL));
}

TEST_HARNESS_MAIN
