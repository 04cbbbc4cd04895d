// SPDX-License-Identifier: GPL-2.0
/* Swap entries: read by one or by all owners, copied by fork(), taken back by swapoff. */
#include <sys/swap.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mm.h"

#define PAGES	8
#define LEN	(PAGES * PAGE)

/* The processes of a tree find the pages under test here. */
static char *region;

static int write_pages(void *seed)
{
	mm_fill(region, LEN, (long)seed);
	return 0;
}

static int wrong_pages(void *seed)
{
	return mm_check(region, LEN, (long)seed) != -1;
}

static int unmap_pages(void *arg)
{
	return munmap(region, LEN);
}

/* Pages that two processes have as the same frame or the same swap entry. */
static int same_pages(pid_t one, pid_t other)
{
	struct mm_page a, b;
	int n = 0;

	for (int i = 0; i < PAGES; i++) {
		if (mm_page(one, region + i * PAGE, &a) || mm_page(other, region + i * PAGE, &b))
			return -1;
		n += (a.present && b.present && a.pfn == b.pfn) ||
		     (a.swapped && b.swapped && a.swap_type == b.swap_type &&
		      a.swap_offset == b.swap_offset);
	}
	return n;
}

static int mapped(pid_t pid, long count)
{
	int n = 0;

	for (int i = 0; i < PAGES; i++)
		n += mm_kpagecount(mm_pfn(pid, region + i * PAGE)) == count;
	return n;
}

FIXTURE(swapped)
{
	struct mm_cgroup cg;
	struct mm_tree *t;
	struct mm_snap *before;		/* when the pages are out, nothing is read yet */
	long slots;			/* in use before */
};

FIXTURE_VARIANT(swapped)
{
	unsigned int depth, width;
};

FIXTURE_VARIANT_ADD(swapped, eight_children) { .depth = 1, .width = 8 };
FIXTURE_VARIANT_ADD(swapped, chain_of_three) { .depth = 3, .width = 1 };

/* The pages are charged to the group, the processes are not in it. */
FIXTURE_SETUP(swapped)
{
	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	ASSERT_EQ(0, mm_cgroup_create(&self->cg, "swapin"));
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	self->slots = mm_swap_used();
	ASSERT_EQ(0, mm_cgroup_enter(&self->cg));
	mm_fill(region, LEN, 1);
	ASSERT_EQ(0, mm_cgroup_leave());
	self->t = mm_tree_fork(variant->depth, variant->width, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	ASSERT_EQ(0, mm_cgroup_drop(&self->cg, region, LEN));
	ASSERT_EQ(PAGES, mm_count_swapped(0, region, LEN));
	self->before = mm_snap();
}

FIXTURE_TEARDOWN(swapped)
{
	if (self->t)
		mm_tree_end(self->t);
	munmap(region, LEN);
	EXPECT_EQ(self->slots, mm_swap_used());
	EXPECT_EQ(0, mm_cgroup_remove(&self->cg));
	mm_snap_free(self->before);
}

/* all owners of a page get the same swap entry, so that it takes one slot, which the last owner frees */
TEST_F(swapped, one_slot)
{
	unsigned int size = mm_tree_size(self->t);

	EXPECT_EQ(PAGES, mm_swap_used() - self->slots);
	EXPECT_EQ(PAGES, mm_count_swapped(0, region, LEN));
	for (unsigned int i = 0; i < size; i++)
		EXPECT_EQ(PAGES, same_pages(0, mm_tree_pid(self->t, i)));
	ASSERT_EQ(0, munmap(region, LEN));
	for (unsigned int i = 0; i < size; i++) {
		EXPECT_EQ(PAGES, mm_swap_used() - self->slots);
		/* One unmaps, the next exits. */
		ASSERT_EQ(0, i % 2 ? mm_tree_call(self->t, i, unmap_pages, NULL) : mm_tree_kill(self->t, i));
	}
	EXPECT_EQ(0, mm_swap_used() - self->slots);
}

/* the first owner who reads a page brings it in for all: the others map the same frame without I/O */
TEST_F(swapped, shared_frame)
{
	unsigned int size = mm_tree_size(self->t);

	EXPECT_EQ(0, mm_tree_call(self->t, size - 1, wrong_pages, (void *)1));
	EXPECT_EQ(PAGES, mm_delta(self->before, "pswpin"));
	EXPECT_EQ(PAGES, mapped(mm_tree_pid(self->t, size - 1), 1));
	for (unsigned int i = 0; i < size - 1; i++)
		EXPECT_EQ(0, mm_tree_call(self->t, i, wrong_pages, (void *)1));
	EXPECT_EQ(0, wrong_pages((void *)1));
	EXPECT_EQ(PAGES, mm_delta(self->before, "pswpin"));
	for (unsigned int i = 0; i < size; i++)
		EXPECT_EQ(PAGES, same_pages(0, mm_tree_pid(self->t, i)));
	EXPECT_EQ(PAGES, mapped(0, size + 1));
}

/* a shared page belongs to the root anon_vma whoever reads it first: the next reclaim finds all its owners */
TEST_F(swapped, root_anon_vma)
{
	unsigned int size = mm_tree_size(self->t);

	for (int i = size - 1; i >= 0; i--)
		EXPECT_EQ(0, mm_tree_call(self->t, i, wrong_pages, (void *)1));
	EXPECT_EQ(0, wrong_pages((void *)1));
	EXPECT_EQ(PAGES, mapped(0, size + 1));
	EXPECT_EQ(0, mm_cgroup_drop(&self->cg, region, LEN));
	EXPECT_EQ(PAGES, mm_count_swapped(0, region, LEN));
	for (unsigned int i = 0; i < size; i++)
		EXPECT_EQ(PAGES, same_pages(0, mm_tree_pid(self->t, i)));
}

/* an owner who writes to a shared page gets a copy; the others read the old bytes, from one frame */
TEST_F(swapped, write_copies)
{
	unsigned int size = mm_tree_size(self->t);

	ASSERT_EQ(0, mm_tree_call(self->t, size - 1, write_pages, (void *)2));
	EXPECT_EQ(PAGES, mapped(mm_tree_pid(self->t, size - 1), 1));
	EXPECT_EQ(0, wrong_pages((void *)1));
	for (unsigned int i = 0; i < size - 1; i++)
		EXPECT_EQ(0, mm_tree_call(self->t, i, wrong_pages, (void *)1));
	EXPECT_EQ(0, same_pages(0, mm_tree_pid(self->t, size - 1)));
	EXPECT_EQ(PAGES, mapped(0, size));
	EXPECT_EQ(0, mm_tree_call(self->t, size - 1, wrong_pages, (void *)2));
}

/* the last owner of a page that others had shared keeps the frame when it writes, and frees the swap slot */
TEST_F(swapped, last_owner_keeps)
{
	unsigned int last = mm_tree_size(self->t) - 1;
	pid_t pid = mm_tree_pid(self->t, last);
	uint64_t pfns[PAGES], after[PAGES];

	ASSERT_EQ(0, munmap(region, LEN));
	for (unsigned int i = 0; i < last; i++)
		ASSERT_EQ(0, mm_tree_kill(self->t, i));
	EXPECT_EQ(0, mm_tree_call(self->t, last, wrong_pages, (void *)1));
	ASSERT_EQ(0, mm_pfns(pid, region, pfns, PAGES));
	EXPECT_EQ(PAGES, mapped(pid, 1));
	ASSERT_EQ(0, mm_tree_call(self->t, last, write_pages, (void *)2));
	ASSERT_EQ(0, mm_pfns(pid, region, after, PAGES));
	EXPECT_EQ(0, memcmp(pfns, after, sizeof(pfns)));
	EXPECT_EQ(self->slots, mm_swap_used());
	EXPECT_EQ(0, mm_tree_call(self->t, last, wrong_pages, (void *)2));
}

/* swapoff brings each page back as one frame that all its owners map, and no entry is left */
TEST_F(swapped, swapoff)
{
	unsigned int size = mm_tree_size(self->t);

	ASSERT_EQ(0, mm_swap_cycle());
	EXPECT_EQ(0, mm_swap_used());
	EXPECT_EQ(PAGES, mm_count_present(0, region, LEN));
	EXPECT_EQ(PAGES, mapped(0, size + 1));
	for (unsigned int i = 0; i < size; i++)
		EXPECT_EQ(PAGES, same_pages(0, mm_tree_pid(self->t, i)));
	EXPECT_EQ(PAGES, mm_delta(self->before, "pswpin"));
	EXPECT_EQ(0, wrong_pages((void *)1));
	for (unsigned int i = 0; i < size; i++)
		EXPECT_EQ(0, mm_tree_call(self->t, i, wrong_pages, (void *)1));
	/* Their anon_vma is one that leads to all of them. */
	EXPECT_EQ(0, mm_cgroup_drop(&self->cg, region, LEN));
	for (unsigned int i = 0; i < size; i++)
		EXPECT_EQ(PAGES, same_pages(0, mm_tree_pid(self->t, i)));
	self->slots = 0;
}

FIXTURE(alone)
{
	long slots;
};

FIXTURE_SETUP(alone)
{
	NEED(mm_need_swap());
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	self->slots = mm_swap_used();
	mm_fill(region, LEN, 1);
	ASSERT_EQ(0, mm_pageout(region, LEN));
	EXPECT_EQ(PAGES, mm_count_swapped(0, region, LEN));
	EXPECT_EQ(PAGES, mm_swap_used() - self->slots);
}

FIXTURE_TEARDOWN(alone)
{
	munmap(region, LEN);
	EXPECT_EQ(self->slots, mm_swap_used());
}

/* a page of one process comes back exclusive: a write after the read keeps the frame and needs no check */
TEST_F(alone, exclusive)
{
	struct mm_snap *before = mm_snap();
	uint64_t pfns[PAGES], after[PAGES];

	EXPECT_EQ(0, wrong_pages((void *)1));
	ASSERT_EQ(0, mm_pfns(0, region, pfns, PAGES));
	EXPECT_EQ(PAGES, mapped(0, 1));
	write_pages((void *)2);
	ASSERT_EQ(0, mm_pfns(0, region, after, PAGES));
	EXPECT_EQ(0, memcmp(pfns, after, sizeof(pfns)));
	EXPECT_EQ(PAGES, mm_delta(before, "pswpin"));
	mm_snap_free(before);
}

/* fork() copies swap entries, not pages, and a write of the parent after that does not reach the child */
TEST_F(alone, fork_of_entries)
{
	struct mm_tree *t = mm_tree_fork(1, 1, NULL, NULL);

	ASSERT_NE(NULL, t);
	EXPECT_EQ(PAGES, mm_count_swapped(0, region, LEN));
	EXPECT_EQ(PAGES, same_pages(0, mm_tree_pid(t, 0)));
	EXPECT_EQ(PAGES, mm_swap_used() - self->slots);
	EXPECT_EQ(0, wrong_pages((void *)1));
	write_pages((void *)2);
	EXPECT_EQ(0, mm_tree_call(t, 0, wrong_pages, (void *)1));
	EXPECT_EQ(0, wrong_pages((void *)2));
	EXPECT_EQ(0, same_pages(0, mm_tree_pid(t, 0)));
	mm_tree_end(t);
}

/* MADV_WILLNEED reads pages into the swap cache unmapped, and their owner maps them without I/O */
TEST_F(alone, from_swap_cache)
{
	struct mm_snap *before = mm_snap();

	ASSERT_EQ(0, madvise(region, LEN, MADV_WILLNEED));
	EXPECT_EQ(PAGES, mm_count_swapped(0, region, LEN));
	EXPECT_EQ(PAGES, mm_delta(before, "nr_swapcached"));
	EXPECT_EQ(0, wrong_pages((void *)1));
	EXPECT_EQ(PAGES, mm_count_present(0, region, LEN));
	/* A read is counted when it begins, since 7.3 when it has ended: who maps the page waits for that. */
	EXPECT_EQ(PAGES, mm_delta(before, "pswpin"));
	EXPECT_EQ(0, mm_delta(before, "pgmajfault"));
	mm_snap_free(before);
}

/* MADV_DONTNEED of half the pages frees their slots at once, unread; the others keep theirs */
TEST_F(alone, dontneed_frees_slots)
{
	struct mm_snap *before = mm_snap();

	ASSERT_EQ(0, madvise(region, LEN / 2, MADV_DONTNEED));
	EXPECT_EQ(PAGES / 2, mm_swap_used() - self->slots);
	EXPECT_EQ(0, mm_delta(before, "pswpin"));
	EXPECT_EQ(-1, mm_check_byte(region, LEN / 2, 0));
	EXPECT_EQ(-1, mm_check_from(region + LEN / 2, LEN / 2, 1, LEN / 2));
	mm_snap_free(before);
}

/* swapoff finds pages at the address to which mremap() moved their entries */
TEST_F(alone, swapoff_after_mremap)
{
	char *there = mm_reserve(LEN, PAGE);

	ASSERT_NE(NULL, there);
	ASSERT_EQ(there, mremap(region, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, there));
	region = there;
	EXPECT_EQ(PAGES, mm_count_swapped(0, region, LEN));
	ASSERT_EQ(0, mm_swap_cycle());
	EXPECT_EQ(PAGES, mm_count_present(0, region, LEN));
	EXPECT_EQ(PAGES, mapped(0, 1));
	EXPECT_EQ(0, mm_swap_used());
	EXPECT_EQ(0, wrong_pages((void *)1));
	/* Their anon_vma and index are right for the new address. */
	EXPECT_EQ(0, mm_pageout(region, LEN));
	EXPECT_EQ(0, wrong_pages((void *)1));
	self->slots = 0;
}

FIXTURE(swapless)
{
};

FIXTURE_SETUP(swapless)
{
	NEED(mm_need_swap());
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	mm_fill(region, LEN, 1);
	ASSERT_EQ(0, swapoff("/dev/ubda"));
}

FIXTURE_TEARDOWN(swapless)
{
	munmap(region, LEN);
	EXPECT_EQ(0, swapon("/dev/ubda", 0));
}

/* without swap no page is unmapped: all stay, in the same frames */
TEST_F(swapless, pages_stay)
{
	struct mm_snap *before = mm_snap();
	uint64_t pfns[PAGES], after[PAGES];

	ASSERT_EQ(0, mm_pfns(0, region, pfns, PAGES));
	EXPECT_EQ(PAGES, mm_pageout(region, LEN));
	EXPECT_EQ(0, mm_delta(before, "pswpout"));
	ASSERT_EQ(0, mm_pfns(0, region, after, PAGES));
	EXPECT_EQ(0, memcmp(pfns, after, sizeof(pfns)));
	EXPECT_EQ(0, wrong_pages((void *)1));
	mm_snap_free(before);
}

TEST_HARNESS_MAIN
