// SPDX-License-Identifier: GPL-2.0
/* KSM pages and their reverse map: merge, unmerge, fork, reclaim, swap, migration and mremap. */
#include <fcntl.h>
#include <unistd.h>
#include <linux/kernel-page-flags.h>

#include "kselftest_harness.h"
#include "mm.h"

#define SAME	16			/* pages that are equal */
#define PAGES	(SAME + 1)		/* and one that is not */
#define LEN	(PAGES * PAGE)
#define IDLE	"/sys/kernel/mm/page_idle/bitmap"

/* The processes of a tree find the pages under test here. */
static char *region;

static void fill_pages(void)
{
	for (int i = 0; i < SAME; i++)
		mm_fill(region + i * PAGE, PAGE, 1);
	mm_fill(region + SAME * PAGE, PAGE, 2);
}

/* Pages that do not hold what fill_pages() wrote. */
static int wrong_pages(void *arg)
{
	int n = mm_check(region + SAME * PAGE, PAGE, 2) != -1;

	for (int i = 0; i < SAME; i++)
		n += mm_check(region + i * PAGE, PAGE, 1) != -1;
	return n;
}

/* Pages [from, SAME) that @pid maps as the KSM page @pfn. */
static int mapped_as(pid_t pid, uint64_t pfn, int from)
{
	uint64_t pfns[SAME];
	int n = 0;

	if (!mm_is_ksm(pfn, true) || mm_pfns(pid, region, pfns, SAME))
		return -1;
	for (int i = from; i < SAME; i++)
		n += pfns[i] == pfn;
	return n;
}

/* Different frames of the equal pages, none of them of KSM. */
static int distinct(pid_t pid)
{
	uint64_t pfns[SAME];
	int n = 0;

	if (mm_pfns(pid, region, pfns, SAME))
		return -1;
	for (int i = 0; i < SAME; i++) {
		bool found = !pfns[i] || mm_is_ksm(pfns[i], false);

		for (int j = 0; j < i; j++)
			found |= pfns[j] == pfns[i];
		n += !found;
	}
	return n;
}

static int write_first(void *arg)
{
	mm_touch_write(region, PAGE);
	return 0;
}

FIXTURE(merged)
{
	struct mm_cgroup cg;
	struct mm_tree *t;
	struct mm_stage *stage;
	uint64_t pfn;			/* of the KSM page */
	long slots;			/* of swap, in use before */
	char *other;			/* mergeable, but like no other page */
};

FIXTURE_SETUP(merged)
{
	NEED(mm_need_ksm());
	NEED(mm_need_memcg());
	ASSERT_EQ(0, mm_ksm_stat("pages_shared"));
	self->other = mm_ksm_start();
	ASSERT_NE(NULL, self->other);
	ASSERT_EQ(0, mm_cgroup_create(&self->cg, "ksm"));
	self->slots = mm_swap_used();
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	self->stage = mm_stage(LEN);
	ASSERT_NE(NULL, self->stage);
	ASSERT_EQ(0, mm_cgroup_enter(&self->cg));
	fill_pages();
	ASSERT_EQ(0, mm_cgroup_leave());
	ASSERT_EQ(0, madvise(region, LEN, MADV_MERGEABLE));
	ASSERT_EQ(0, mm_ksm_scan(3));
	self->pfn = mm_pfn(0, region);
	ASSERT_EQ(SAME, mapped_as(0, self->pfn, 0));
}

FIXTURE_TEARDOWN(merged)
{
	mm_stage_end(self->stage);
	if (self->t)
		mm_tree_end(self->t);
	munmap(region, LEN);
	mm_ksm_stop(self->other);
	EXPECT_EQ(0, mm_ksm_stat("pages_shared"));
	EXPECT_EQ(self->slots, mm_swap_used());
	EXPECT_EQ(0, mm_cgroup_remove(&self->cg));
}

/* equal pages become one KSM page with a mapping for each, and the counters say so; the other page stays */
TEST_F(merged, one_frame)
{
	uint64_t odd = mm_pfn(0, region + SAME * PAGE);

	EXPECT_EQ(SAME, mm_kpagecount(self->pfn));
	EXPECT_NE(self->pfn, odd);
	EXPECT_FALSE(mm_is_ksm(odd, false));
	EXPECT_EQ(1, mm_ksm_stat("pages_shared"));
	EXPECT_EQ(SAME - 1, mm_ksm_stat("pages_sharing"));
	EXPECT_EQ(0, wrong_pages(NULL));
}

/* a write copies one page out of the KSM page; the others still share it, and it can merge again */
TEST_F(merged, write_unmerges)
{
	struct mm_snap *before = mm_snap();

	write_first(NULL);
	EXPECT_EQ(1, mm_delta(before, "cow_ksm"));
	EXPECT_NE(self->pfn, mm_pfn(0, region));
	EXPECT_FALSE(mm_is_ksm(mm_pfn(0, region), false));
	EXPECT_EQ(SAME - 1, mapped_as(0, self->pfn, 1));
	EXPECT_EQ(SAME - 1, mm_kpagecount(self->pfn));
	EXPECT_EQ(0, wrong_pages(NULL));
	region[0] ^= 1;
	ASSERT_EQ(0, mm_ksm_scan(2));
	EXPECT_EQ(1, mm_ksm_stat("pages_shared"));
	EXPECT_EQ(SAME - 2, mm_ksm_stat("pages_sharing"));
	EXPECT_EQ(SAME - 1, mm_kpagecount(self->pfn));
	region[0] ^= 1;
	ASSERT_EQ(0, mm_ksm_scan(3));
	EXPECT_EQ(SAME, mapped_as(0, self->pfn, 0));
	EXPECT_EQ(SAME - 1, mm_ksm_stat("pages_sharing"));
	mm_snap_free(before);
}

/* MADV_UNMERGEABLE gives every page a frame of its own again, with its bytes */
TEST_F(merged, unmergeable)
{
	ASSERT_EQ(0, madvise(region, LEN, MADV_UNMERGEABLE));
	EXPECT_EQ(SAME, distinct(0));
	EXPECT_EQ(0, wrong_pages(NULL));
	ASSERT_EQ(0, mm_ksm_scan(3));
	EXPECT_EQ(SAME, distinct(0));
	EXPECT_EQ(0, mm_ksm_stat("pages_shared"));
	EXPECT_EQ(0, mm_ksm_stat("pages_sharing"));
}

/* run=2 does the same for all processes, and ends the reverse map of KSM pages */
TEST_F(merged, unmerge_all)
{
	ASSERT_EQ(0, mm_ksm_unmerge_all());
	EXPECT_EQ(SAME, distinct(0));
	EXPECT_EQ(0, mm_ksm_stat("pages_shared"));
	EXPECT_EQ(0, mm_ksm_stat("pages_sharing"));
	EXPECT_EQ(0, wrong_pages(NULL));
}

/* children map the KSM page too; a write in one of them, and the exit of one, take those mappings away */
TEST_F(merged, fork)
{
	self->t = mm_tree_fork(1, 2, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	EXPECT_EQ(3 * SAME, mm_kpagecount(self->pfn));
	EXPECT_EQ(SAME, mapped_as(mm_tree_pid(self->t, 1), self->pfn, 0));
	ASSERT_EQ(0, mm_tree_call(self->t, 1, write_first, NULL));
	EXPECT_EQ(3 * SAME - 1, mm_kpagecount(self->pfn));
	EXPECT_EQ(SAME - 1, mapped_as(mm_tree_pid(self->t, 1), self->pfn, 0));
	EXPECT_EQ(SAME, mapped_as(mm_tree_pid(self->t, 0), self->pfn, 0));
	ASSERT_EQ(0, mm_tree_kill(self->t, 0));
	EXPECT_EQ(2 * SAME - 1, mm_kpagecount(self->pfn));
	EXPECT_EQ(0, mm_tree_call(self->t, 1, wrong_pages, NULL));
	EXPECT_EQ(0, wrong_pages(NULL));
}

/* reclaim finds every mapping of the KSM page, in parent and child, and gives all of them one swap entry */
TEST_F(merged, reclaim)
{
	struct mm_page first, page;

	self->t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	EXPECT_EQ(0, mm_cgroup_drop(&self->cg, region, LEN));
	EXPECT_EQ(2, mm_swap_used() - self->slots);
	ASSERT_EQ(0, mm_page(0, region, &first));
	EXPECT_TRUE(first.swapped);
	for (int i = 0; i < 2 * SAME; i++) {
		pid_t pid = i % 2 ? mm_tree_pid(self->t, 0) : 0;

		ASSERT_EQ(0, mm_page(pid, region + i / 2 * PAGE, &page));
		EXPECT_TRUE(page.swapped);
		EXPECT_EQ(first.swap_offset, page.swap_offset);
	}
	EXPECT_EQ(0, mm_tree_call(self->t, 0, wrong_pages, NULL));
	EXPECT_EQ(0, wrong_pages(NULL));
}

/* pages that leave swap are no KSM pages: one place gets the frame that was read, each other a copy */
TEST_F(merged, swapin_copies)
{
	struct mm_snap *before;

	EXPECT_EQ(0, mm_cgroup_drop(&self->cg, region, LEN));
	before = mm_snap();
	EXPECT_EQ(0, wrong_pages(NULL));
	EXPECT_EQ(2, mm_delta(before, "pswpin"));
	EXPECT_EQ(SAME - 1, mm_delta(before, "ksm_swpin_copy"));
	EXPECT_EQ(SAME, distinct(0));
	mm_snap_free(before);
	/* They merge again, and the counters do not count the first time twice. */
	ASSERT_EQ(0, mm_ksm_scan(3));
	EXPECT_EQ(SAME, mapped_as(0, mm_pfn(0, region), 0));
	EXPECT_EQ(1, mm_ksm_stat("pages_shared"));
	EXPECT_EQ(SAME - 1, mm_ksm_stat("pages_sharing"));
}

/* swapoff brings back all places that had the one swap entry of a KSM page */
TEST_F(merged, swapoff)
{
	EXPECT_EQ(0, mm_cgroup_drop(&self->cg, region, LEN));
	ASSERT_EQ(0, mm_swap_cycle());
	EXPECT_EQ(PAGES, mm_count_present(0, region, LEN));
	EXPECT_EQ(0, mm_swap_used());
	EXPECT_EQ(SAME, distinct(0));
	EXPECT_EQ(0, wrong_pages(NULL));
	self->slots = 0;
}

/* migration moves the KSM page once, and all mappings in parent and child follow it */
TEST_F(merged, migrate)
{
	uint64_t pfn;

	NEED(mm_need_compaction());
	self->t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	ASSERT_EQ(0, mm_stage_move(self->stage));
	pfn = mm_pfn(0, region);
	EXPECT_NE(self->pfn, pfn);
	EXPECT_EQ(SAME, mapped_as(0, pfn, 0));
	EXPECT_EQ(SAME, mapped_as(mm_tree_pid(self->t, 0), pfn, 0));
	EXPECT_EQ(2 * SAME, mm_kpagecount(pfn));
	EXPECT_EQ(1, mm_ksm_stat("pages_shared"));
	EXPECT_EQ(0, mm_tree_call(self->t, 0, wrong_pages, NULL));
	EXPECT_EQ(0, wrong_pages(NULL));
	/* The stable tree knows the new frame: another equal page joins it. */
	mm_fill(region + SAME * PAGE, PAGE, 1);
	ASSERT_EQ(0, mm_ksm_scan(3));
	EXPECT_EQ(pfn, mm_pfn(0, region + SAME * PAGE));
	EXPECT_EQ(1, mm_ksm_stat("pages_shared"));
	EXPECT_EQ(2 * SAME, mm_ksm_stat("pages_sharing"));
}

/* mremap() takes pages out of the KSM page as it moves them, and they merge again at the new address */
TEST_F(merged, mremap)
{
	char *there = mm_reserve(LEN, PAGE);
	uint64_t pfn;

	ASSERT_NE(NULL, there);
	/* The copies are charged to the group as well. */
	ASSERT_EQ(0, mm_cgroup_enter(&self->cg));
	ASSERT_EQ(there, mremap(region, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, there));
	ASSERT_EQ(0, mm_cgroup_leave());
	region = there;
	EXPECT_EQ(SAME, distinct(0));
	EXPECT_EQ(0, wrong_pages(NULL));
	ASSERT_EQ(0, mm_ksm_scan(3));
	pfn = mm_pfn(0, region);
	EXPECT_EQ(SAME, mapped_as(0, pfn, 0));
	EXPECT_EQ(SAME, mm_kpagecount(pfn));
	EXPECT_EQ(SAME - 1, mm_ksm_stat("pages_sharing"));
	/* Its reverse map leads there. */
	EXPECT_EQ(0, mm_cgroup_drop(&self->cg, region, LEN));
	EXPECT_EQ(PAGES, mm_count_swapped(0, region, LEN));
	EXPECT_EQ(0, wrong_pages(NULL));
}

/* Whether the frame is idle, which looks for accesses through every mapping. */
static int is_idle(int fd, uint64_t pfn)
{
	uint64_t word;

	if (pread(fd, &word, sizeof(word), pfn / 64 * 8) != sizeof(word))
		return -1;
	return word >> (pfn % 64) & 1;
}

static int set_idle(int fd, uint64_t pfn)
{
	uint64_t word = 1ULL << (pfn % 64);

	return pwrite(fd, &word, sizeof(word), pfn / 64 * 8) == sizeof(word) ? 0 : -1;
}

/* an access through any one mapping of the KSM page, of this process or a child, makes the page not idle */
TEST_F(merged, referenced)
{
	int fd = open(IDLE, O_RDWR | O_CLOEXEC);

	ASSERT_LE(0, fd);
	self->t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	for (int i = 0; i < SAME; i++) {
		ASSERT_EQ(0, set_idle(fd, self->pfn));
		EXPECT_EQ(1, is_idle(fd, self->pfn));
		mm_touch_read(region + i * PAGE, PAGE);
		EXPECT_EQ(0, is_idle(fd, self->pfn));
	}
	ASSERT_EQ(0, set_idle(fd, self->pfn));
	EXPECT_EQ(0, mm_tree_call(self->t, 0, wrong_pages, NULL));
	EXPECT_EQ(0, is_idle(fd, self->pfn));
	close(fd);
}

/* the reverse map of a KSM page keeps the anon_vma when its VMA is gone, until the next scan lets go */
TEST_F(merged, holds_anon_vma)
{
	struct mm_objects base = mm_objects();

	ASSERT_EQ(0, munmap(region, LEN));
	EXPECT_OBJECTS(base, 0, -1, -1);
	ASSERT_EQ(0, mm_ksm_scan(1));
	EXPECT_OBJECTS(base, -1, -1, -1);
	EXPECT_EQ(0, mm_ksm_stat("pages_sharing"));
}

static char *moved_region(void)
{
	char *there = mm_reserve(LEN, PAGE);

	fill_pages();
	return mremap(region, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, there);
}

/* Merge the pages of the caller; how many have become one. */
static int merge(void *arg)
{
	if (madvise(region, LEN, MADV_MERGEABLE) || mm_ksm_scan(3))
		return -1;
	return mapped_as(0, mm_pfn(0, region), 0);
}

FIXTURE(address)
{
	struct mm_tree *t;
	char *other;
};

FIXTURE_SETUP(address)
{
	NEED(mm_need_ksm());
	ASSERT_EQ(0, mm_ksm_stat("pages_shared"));
	self->other = mm_ksm_start();
	ASSERT_NE(NULL, self->other);
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
}

FIXTURE_TEARDOWN(address)
{
	if (self->t)
		mm_tree_end(self->t);
	munmap(region, LEN);
	mm_ksm_stop(self->other);
	EXPECT_EQ(0, mm_ksm_stat("pages_shared"));
}

/* merging finds the address of pages in a VMA that was moved, whose offset is not that of its address */
TEST_F(address, moved)
{
	region = moved_region();
	ASSERT_NE(MAP_FAILED, region);
	EXPECT_EQ(SAME, merge(NULL));
	EXPECT_EQ(SAME, mm_kpagecount(mm_pfn(0, region)));
	EXPECT_EQ(0, wrong_pages(NULL));
}

/* pages that a child has from its parent merge in the child, and stay as they are in the parent */
TEST_F(address, inherited)
{
	uint64_t before[SAME], after[SAME];

	fill_pages();
	self->t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	ASSERT_EQ(0, mm_pfns(0, region, before, SAME));
	EXPECT_EQ(SAME, mm_tree_call(self->t, 0, merge, NULL));
	ASSERT_EQ(0, mm_pfns(0, region, after, SAME));
	/* The first of them became the KSM page, which the parent maps where it was. */
	EXPECT_EQ(0, memcmp(before, after, sizeof(before)));
	EXPECT_EQ(SAME + 1, mm_kpagecount(mm_pfn(mm_tree_pid(self->t, 0), region)));
	EXPECT_EQ(0, wrong_pages(NULL));
	EXPECT_EQ(0, mm_tree_call(self->t, 0, wrong_pages, NULL));
}

static int fill_and_advise(void *arg)
{
	fill_pages();
	return madvise(region, LEN, MADV_MERGEABLE);
}

/* pages of processes that have nothing in common merge, and the page lives as long as one of them */
TEST_F(address, strangers)
{
	uint64_t pfn;

	/* Both write after the fork. */
	self->t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	ASSERT_EQ(0, mm_tree_call(self->t, 0, fill_and_advise, NULL));
	ASSERT_EQ(0, fill_and_advise(NULL));
	ASSERT_EQ(0, mm_ksm_scan(3));
	pfn = mm_pfn(0, region);
	EXPECT_EQ(SAME, mapped_as(0, pfn, 0));
	EXPECT_EQ(SAME, mapped_as(mm_tree_pid(self->t, 0), pfn, 0));
	EXPECT_EQ(2 * SAME, mm_kpagecount(pfn));
	EXPECT_EQ(1 + 1, mm_ksm_stat("pages_shared"));
	EXPECT_EQ(2 * SAME - 1 + 1, mm_ksm_stat("pages_sharing"));
	ASSERT_EQ(0, munmap(region, LEN));
	EXPECT_EQ(SAME, mm_kpagecount(pfn));
	EXPECT_EQ(0, mm_tree_call(self->t, 0, wrong_pages, NULL));
	ASSERT_EQ(0, mm_tree_kill(self->t, 0));
	EXPECT_EQ(0, mm_ksm_scan(2));
	EXPECT_EQ(0, mm_ksm_stat("pages_sharing"));
}

TEST_HARNESS_MAIN
