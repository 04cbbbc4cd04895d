// SPDX-License-Identifier: GPL-2.0
/*
 * What KSM remembers of a process: /proc/PID/ksm_stat and ksm_merging_pages (Documentation/filesystems/proc.rst 3.14) over fork,
 * stores and exit, and PR_SET_MEMORY_MERGE over scans, fork and execve(2) (PR_SET_MEMORY_MERGE(2const)).
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "mm.h"

#define SAME	16			/* pages that are equal */
#define ZEROES	8			/* and pages of zeroes, which KSM gives the zero page */
#define LEN	((SAME + ZEROES) * PAGE)
#define SEED	1

#define ZERO_PAGES "/sys/kernel/mm/ksm/use_zero_pages"

/* Where the processes of a tree have the pages. */
static char *region;

static const char *need_ksm_stat(void)
{
	return mm_ksm_process(0, "ksm_zero_pages") < 0 ? "ksm_zero_pages in /proc/PID/ksm_stat" : mm_need_ksm();
}

/* The page tells a program that execve() started what its exit status shall say. */
__attribute__((constructor)) static void exec_answers(void)
{
	if (getenv("MMUML_MEMORY_MERGE"))
		_exit(prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0));
}

static int memory_merge(void *arg)
{
	return prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0);
}

static int memory_merge_after_exec(void *arg)
{
	setenv("MMUML_MEMORY_MERGE", "1", 1);
	execl("/proc/self/exe", "exec", NULL);
	return -1;
}

static int touch_zero(void *arg)
{
	mm_touch_write(region + SAME * PAGE, PAGE);
	return 0;
}

static int wrong(void *arg)
{
	for (int i = 0; i < SAME; i++)
		if (mm_check(region + i * PAGE, PAGE, SEED) != -1)
			return 1;
	return mm_check_byte(region + SAME * PAGE, ZEROES * PAGE, 0) == -1 ? 0 : 2;
}

static void fill(void)
{
	for (int i = 0; i < SAME; i++)
		mm_fill(region + i * PAGE, PAGE, SEED);
	mm_touch_write(region + SAME * PAGE, ZEROES * PAGE);
}

FIXTURE(stat) {
	char *other;
	struct mm_tree *t;
	long items;			/* of the caller */
};

FIXTURE_VARIANT(stat) {
	bool any;			/* by PR_SET_MEMORY_MERGE, not by madvise() */
};

FIXTURE_VARIANT_ADD(stat, madvise) { .any = false };
FIXTURE_VARIANT_ADD(stat, prctl) { .any = true };

FIXTURE_SETUP(stat)
{
	NEED(need_ksm_stat());
	ASSERT_EQ(0, mm_ksm_stat("ksm_zero_pages"));
	self->other = mm_ksm_start();
	ASSERT_NE(NULL, self->other);
	ASSERT_EQ(0, mm_write_file(ZERO_PAGES, "1"));
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	fill();
	if (variant->any)
		ASSERT_EQ(0, prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0));
	ASSERT_EQ(0, madvise(region, LEN, MADV_MERGEABLE));
	ASSERT_EQ(0, mm_ksm_scan(3));
	/* Of the whole process, which has pages of zeroes and twins of its own. */
	self->items = mm_ksm_process(0, "ksm_rmap_items");
	ASSERT_LE(SAME, mm_ksm_process(0, "ksm_merging_pages"));
	ASSERT_LE(ZEROES, mm_ksm_process(0, "ksm_zero_pages"));
}

FIXTURE_TEARDOWN(stat)
{
	if (self->t)
		mm_tree_end(self->t);
	prctl(PR_SET_MEMORY_MERGE, 0, 0, 0, 0);
	munmap(region, LEN);
	mm_ksm_stop(self->other);
	mm_write_file(ZERO_PAGES, "0");
	EXPECT_EQ(0, mm_ksm_stat("ksm_zero_pages"));
	EXPECT_EQ(0, mm_ksm_process(0, "ksm_merging_pages"));
	EXPECT_EQ(0, mm_ksm_process(0, "ksm_zero_pages"));
}

/* the numbers of a process are those of its pages, and its profit is their size less what KSM needs for them */
TEST_F(stat, adds_up)
{
	long merging = mm_ksm_process(0, "ksm_merging_pages"), zero = mm_ksm_process(0, "ksm_zero_pages");
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ksm_merging_pages", getpid());
	EXPECT_EQ(merging, mm_read_long(path));
	EXPECT_EQ(zero, mm_ksm_stat("ksm_zero_pages"));
	/* One of each set is shared, the others share it; the page of mm_ksm_start() is neither. */
	EXPECT_EQ(merging, mm_ksm_stat("pages_shared") + mm_ksm_stat("pages_sharing"));
	EXPECT_LE(merging + 1, self->items);
	EXPECT_GT((merging + zero) * (long)PAGE, mm_ksm_process(0, "ksm_process_profit"));
	if (!variant->any) {
		EXPECT_EQ(SAME, merging);
		EXPECT_EQ(ZEROES, zero);
		EXPECT_EQ(SAME + 1, self->items);
	}
}

/* a child of fork has merged nothing: its own numbers begin at 0; the zero pages it has from its parent it has indeed */
TEST_F(stat, child)
{
	long merging = mm_ksm_process(0, "ksm_merging_pages"), zero = mm_ksm_process(0, "ksm_zero_pages");
	pid_t pid;

	self->t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	pid = mm_tree_pid(self->t, 0);
	EXPECT_EQ(0, mm_ksm_process(pid, "ksm_merging_pages"));
	EXPECT_EQ(0, mm_ksm_process(pid, "ksm_rmap_items"));
	EXPECT_LE(ZEROES, mm_ksm_process(pid, "ksm_zero_pages"));
	EXPECT_EQ(merging, mm_ksm_process(0, "ksm_merging_pages"));
	EXPECT_EQ(self->items, mm_ksm_process(0, "ksm_rmap_items"));
	/* Between the two looks processes write to what else they have: only where that is mergeable, too, some are gone. */
	if (!variant->any) {
		EXPECT_EQ(ZEROES, mm_ksm_process(pid, "ksm_zero_pages"));
		EXPECT_EQ(2 * ZEROES, mm_ksm_stat("ksm_zero_pages"));
		EXPECT_EQ(zero, mm_ksm_process(0, "ksm_zero_pages"));
		EXPECT_EQ(ZEROES * PAGE, mm_ksm_process(pid, "ksm_process_profit"));
	}
	EXPECT_EQ(0, mm_tree_call(self->t, 0, wrong, NULL));
}

/* a store to a zero page takes it off the numbers of who wrote, and his exit takes the rest off the sum */
TEST_F(stat, child_writes)
{
	long before, sum, own;
	pid_t pid;

	self->t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	pid = mm_tree_pid(self->t, 0);
	EXPECT_EQ(0, mm_tree_call(self->t, 0, wrong, NULL));
	before = mm_ksm_process(pid, "ksm_zero_pages");
	sum = mm_ksm_stat("ksm_zero_pages");
	own = mm_ksm_process(0, "ksm_zero_pages");
	EXPECT_EQ(0, mm_tree_call(self->t, 0, touch_zero, NULL));
	EXPECT_EQ(before - 1, mm_ksm_process(pid, "ksm_zero_pages"));
	EXPECT_EQ(sum - 1, mm_ksm_stat("ksm_zero_pages"));
	EXPECT_EQ(own, mm_ksm_process(0, "ksm_zero_pages"));
	ASSERT_EQ(0, mm_tree_kill(self->t, 0));
	EXPECT_EQ(own, mm_ksm_stat("ksm_zero_pages"));
	EXPECT_EQ(0, wrong(NULL));
}

/* scans give the child numbers of its own, by what it shares after the fork */
TEST_F(stat, child_merges)
{
	pid_t pid;

	self->t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	pid = mm_tree_pid(self->t, 0);
	ASSERT_EQ(0, mm_ksm_scan(2));
	EXPECT_LE(SAME, mm_ksm_process(pid, "ksm_merging_pages"));
	EXPECT_LE(SAME + 1, mm_ksm_process(pid, "ksm_rmap_items"));
	EXPECT_EQ(0, mm_tree_call(self->t, 0, wrong, NULL));
	if (!variant->any)
		EXPECT_EQ(SAME, mm_ksm_process(pid, "ksm_merging_pages"));
}

/* unmapping and MADV_UNMERGEABLE take pages off the numbers, of each kind as many as went */
TEST_F(stat, unmapped)
{
	long merging = mm_ksm_process(0, "ksm_merging_pages"), zero;

	ASSERT_EQ(0, munmap(region + (SAME + 6) * PAGE, 2 * PAGE));
	zero = mm_ksm_process(0, "ksm_zero_pages");
	ASSERT_EQ(0, munmap(region + (SAME + 4) * PAGE, 2 * PAGE));
	EXPECT_EQ(zero - 2, mm_ksm_process(0, "ksm_zero_pages"));
	ASSERT_EQ(0, madvise(region + (SAME + 2) * PAGE, 2 * PAGE, MADV_UNMERGEABLE));
	EXPECT_EQ(zero - 4, mm_ksm_process(0, "ksm_zero_pages"));
	ASSERT_EQ(0, madvise(region, 2 * PAGE, MADV_UNMERGEABLE));
	/* ksmd looks after what it had merged when it comes by. */
	ASSERT_EQ(0, mm_ksm_scan(1));
	EXPECT_EQ(merging - 2, mm_ksm_process(0, "ksm_merging_pages"));
}

FIXTURE(any) {
	char *other;
	struct mm_tree *t;
	pid_t pid;			/* of the child that asked for it */
};

/* PR_SET_MEMORY_MERGE, and then no area that is: what is there is taken out of it again. */
static int merge_later(void *arg)
{
	unsigned long start, end;
	char *maps, *line;

	if (prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0))
		return errno;
	maps = mm_maps(0);
	for (line = maps; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "%lx-%lx", &start, &end) != 2)
			break;
		madvise((void *)start, end - start, MADV_UNMERGEABLE);
	}
	free(maps);
	return 0;
}

/* A new mapping, at the place that was kept for it; whether it is mergeable. */
static int map_new(void *arg)
{
	if (mmap(region, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != region)
		return -1;
	fill();
	return mm_vmflag(0, region, "mg");
}

static int forget(void *arg)
{
	return prctl(PR_SET_MEMORY_MERGE, 0, 0, 0, 0) ? errno : 0;
}

FIXTURE_SETUP(any)
{
	NEED(mm_need_ksm());
	NEED(prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0) < 0 ? "PR_SET_MEMORY_MERGE" : NULL);
	region = mm_reserve(LEN, PAGE);
	ASSERT_NE(NULL, region);
	self->other = mm_ksm_start();
	ASSERT_NE(NULL, self->other);
	self->t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	self->pid = mm_tree_pid(self->t, 0);
	ASSERT_EQ(0, mm_tree_call(self->t, 0, merge_later, NULL));
	ASSERT_EQ(1, mm_tree_call(self->t, 0, memory_merge, NULL));
}

FIXTURE_TEARDOWN(any)
{
	if (self->t)
		mm_tree_end(self->t);
	munmap(region, LEN);
	mm_ksm_stop(self->other);
}

/* scans that find no mergeable area forget nothing: what is mapped after them is merged */
TEST_F(any, outlives_scans)
{
	ASSERT_EQ(0, mm_ksm_scan(2));
	EXPECT_EQ(1, mm_tree_call(self->t, 0, memory_merge, NULL));
	EXPECT_NE(0, mm_ksm_process(self->pid, "ksm_merge_any"));
	EXPECT_EQ(1, mm_tree_call(self->t, 0, map_new, NULL));
	ASSERT_EQ(0, mm_ksm_scan(3));
	EXPECT_LE(SAME, mm_ksm_process(self->pid, "ksm_merging_pages"));
	EXPECT_TRUE(mm_is_ksm(mm_pfn(self->pid, region), true));
	EXPECT_EQ(mm_pfn(self->pid, region), mm_pfn(self->pid, region + (SAME - 1) * PAGE));
	EXPECT_EQ(0, mm_tree_call(self->t, 0, wrong, NULL));
}

static int child_says(void *arg)
{
	return mm_in_child(memory_merge, NULL);
}

static int program_says(void *arg)
{
	return mm_in_child(memory_merge_after_exec, NULL);
}

/* children and the programs that they start have it, before such scans and after them */
TEST_F(any, inherited)
{
	EXPECT_EQ(1, mm_tree_call(self->t, 0, child_says, NULL));
	EXPECT_EQ(1, mm_tree_call(self->t, 0, program_says, NULL));
	ASSERT_EQ(0, mm_ksm_scan(2));
	EXPECT_EQ(1, mm_tree_call(self->t, 0, child_says, NULL));
	EXPECT_EQ(1, mm_tree_call(self->t, 0, program_says, NULL));
}

/* PR_SET_MEMORY_MERGE to 0 ends it, for children too: what is mapped then is not merged, and what was is no more */
TEST_F(any, ends)
{
	EXPECT_EQ(1, mm_tree_call(self->t, 0, map_new, NULL));
	ASSERT_EQ(0, mm_ksm_scan(3));
	EXPECT_TRUE(mm_is_ksm(mm_pfn(self->pid, region), true));
	EXPECT_EQ(0, mm_tree_call(self->t, 0, forget, NULL));
	EXPECT_EQ(0, mm_tree_call(self->t, 0, memory_merge, NULL));
	EXPECT_FALSE(mm_is_ksm(mm_pfn(self->pid, region), false));
	EXPECT_EQ(0, mm_tree_call(self->t, 0, child_says, NULL));
	EXPECT_EQ(0, mm_tree_call(self->t, 0, program_says, NULL));
	EXPECT_EQ(0, mm_tree_call(self->t, 0, map_new, NULL));
	EXPECT_EQ(0, mm_tree_call(self->t, 0, wrong, NULL));
}

/* arguments that are not used have to be 0: EINVAL */
TEST(arguments)
{
	NEED(mm_need_ksm());
	NEED(prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0) < 0 ? "PR_SET_MEMORY_MERGE" : NULL);
	for (int i = 1; i < 5; i++) {
		unsigned long a[5] = { 0 };

		a[i] = 1;
		errno = 0;
		EXPECT_EQ(-1, prctl(PR_GET_MEMORY_MERGE, a[1], a[2], a[3], a[4]));
		EXPECT_EQ(EINVAL, errno);
		if (i == 1)
			continue;
		errno = 0;
		EXPECT_EQ(-1, prctl(PR_SET_MEMORY_MERGE, 1, a[2], a[3], a[4]));
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(0, memory_merge(NULL));
}

TEST_HARNESS_MAIN
