// SPDX-License-Identifier: GPL-2.0
/* MADV_FREE: reclaim drops what was given up without any swap, and keeps what was written to or is in use. */
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>
#include <linux/kernel-page-flags.h>

#include "kselftest_harness.h"
#include "mm.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE	0x08	/* linux/mman.h */
#endif

#define PAGES	64
#define LEN	(PAGES * PAGE)
#define SEED	41

/* The pages under test, where the processes of a tree find them. */
static char *region;

static int wrong_bytes(void *arg)
{
	return mm_check(region, LEN, SEED) == -1 ? 0 : 1;
}

/* The pages are charged to a group of their own; reclaim of it meets nothing else. */
FIXTURE(lazyfree) {
	struct mm_cgroup cg;
	struct mm_snap *before;
	long swap_used;
};

FIXTURE_SETUP(lazyfree)
{
	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	ASSERT_EQ(0, mm_cgroup_create(&self->cg, "lazyfree"));
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	ASSERT_EQ(0, mm_cgroup_enter(&self->cg));
	mm_fill(region, LEN, SEED);
	ASSERT_EQ(0, mm_cgroup_leave());
	/* MADV_FREE passes over pages that are not on an LRU list yet. */
	mm_lru_drain();
	self->swap_used = mm_swap_used();
	self->before = mm_snap();
}

FIXTURE_TEARDOWN(lazyfree)
{
	mm_cgroup_leave();
	munmap(region, LEN);
	EXPECT_EQ(0, mm_cgroup_remove(&self->cg));
	EXPECT_EQ(self->swap_used, mm_swap_used());
	mm_snap_free(self->before);
}

/* pages given up are dropped without a write to swap, and read as zero afterwards */
TEST_F(lazyfree, dropped)
{
	long rss = mm_status(0, "RssAnon");

	ASSERT_EQ(0, madvise(region, LEN, MADV_FREE));
	mm_lru_drain();
	EXPECT_EQ(PAGES, mm_delta(self->before, "pglazyfree"));
	EXPECT_EQ(LEN / KB, mm_smaps(0, region, "LazyFree"));
	/* Until reclaim comes, nothing is lost. */
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
	EXPECT_EQ(0, mm_pageout(region, LEN));
	EXPECT_EQ(PAGES, mm_delta(self->before, "pglazyfreed"));
	EXPECT_EQ(0, mm_delta(self->before, "pswpout"));
	EXPECT_EQ(0, mm_count_swapped(0, region, LEN));
	EXPECT_EQ(self->swap_used, mm_swap_used());
	EXPECT_EQ(LEN / KB, rss - mm_status(0, "RssAnon"));
	EXPECT_EQ(-1, mm_check_byte(region, LEN, 0));
}

/* pages written to since they were given up are swapped out like any other, the rest is dropped */
TEST_F(lazyfree, redirtied_kept)
{
	struct mm_page page;
	int wrong = 0;

	ASSERT_EQ(0, madvise(region, LEN, MADV_FREE));
	for (int i = 0; i < PAGES; i += 2)
		region[i * PAGE] ^= 0xff;
	mm_lru_drain();
	EXPECT_EQ(LEN / 2 / KB, mm_smaps(0, region, "LazyFree"));
	EXPECT_EQ(0, mm_pageout(region, LEN));
	EXPECT_EQ(PAGES / 2, mm_delta(self->before, "pglazyfreed"));
	EXPECT_EQ(PAGES / 2, mm_delta(self->before, "pswpout"));
	for (int i = 0; i < PAGES; i++) {
		mm_page(0, region + i * PAGE, &page);
		wrong += page.swapped != !(i % 2);
	}
	EXPECT_EQ(0, wrong);
	for (int i = 0; i < PAGES; i += 2) {
		region[i * PAGE] ^= 0xff;
		EXPECT_EQ(-1, mm_check_from(region + i * PAGE, PAGE, SEED, i * PAGE));
		EXPECT_EQ(-1, mm_check_byte(region + (i + 1) * PAGE, PAGE, 0));
	}
}

/* reading a page that was given up does not keep it */
TEST_F(lazyfree, read_does_not_keep)
{
	ASSERT_EQ(0, madvise(region, LEN, MADV_FREE));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
	EXPECT_EQ(0, mm_pageout(region, LEN));
	EXPECT_EQ(PAGES, mm_delta(self->before, "pglazyfreed"));
	EXPECT_EQ(-1, mm_check_byte(region, LEN, 0));
}

/* a page with a reference from a pipe is kept with its bytes until the pipe is read */
TEST_F(lazyfree, spliced_kept)
{
	struct iovec iov = { .iov_base = region, .iov_len = PAGE };
	uint64_t pfn = mm_pfn(0, region);
	static char buf[PAGE];
	int fds[2];

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(PAGE, vmsplice(fds[1], &iov, 1, 0));
	ASSERT_EQ(0, madvise(region, LEN, MADV_FREE));
	/* Some kernels make what they could not free memory that goes to swap. */
	ASSERT_EQ(0, madvise(region, LEN, MADV_PAGEOUT));
	NEED(mm_kpf(pfn, KPF_SWAPBACKED) ? "MADV_FREE that outlives a reference" : NULL);
	EXPECT_EQ(1, mm_pageout(region, LEN));
	EXPECT_EQ(pfn, mm_pfn(0, region));
	EXPECT_EQ(PAGES - 1, mm_delta(self->before, "pglazyfreed"));
	EXPECT_EQ(-1, mm_check(region, PAGE, SEED));
	EXPECT_EQ(-1, mm_check_byte(region + PAGE, LEN - PAGE, 0));
	ASSERT_EQ(PAGE, read(fds[0], buf, PAGE));
	EXPECT_EQ(-1, mm_check(buf, PAGE, SEED));
	EXPECT_EQ(0, mm_pageout(region, PAGE));
	EXPECT_EQ(0, mm_count_swapped(0, region, PAGE));
	EXPECT_EQ(PAGES, mm_delta(self->before, "pglazyfreed"));
	EXPECT_EQ(-1, mm_check_byte(region, PAGE, 0));
}

/* giving up pages that are on swap frees their slots at once, and they read as zero */
TEST_F(lazyfree, swapped)
{
	ASSERT_EQ(0, mm_pageout(region, LEN));
	EXPECT_EQ(PAGES, mm_swap_used() - self->swap_used);
	ASSERT_EQ(0, madvise(region, LEN, MADV_FREE));
	EXPECT_EQ(self->swap_used, mm_swap_used());
	EXPECT_EQ(0, mm_count_swapped(0, region, LEN));
	EXPECT_EQ(0, mm_delta(self->before, "pswpin"));
	EXPECT_EQ(-1, mm_check_byte(region, LEN, 0));
}

/* giving up pages that are in the swap cache frees their slots, and reclaim drops them without a write */
TEST_F(lazyfree, swap_cached)
{
	long written;

	ASSERT_EQ(0, mm_pageout(region, LEN));
	mm_touch_read(region, LEN);
	mm_lru_drain();
	ASSERT_EQ(PAGES, mm_swap_used() - self->swap_used);
	ASSERT_EQ(0, madvise(region, LEN, MADV_FREE));
	EXPECT_EQ(self->swap_used, mm_swap_used());
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
	written = mm_delta(self->before, "pswpout");
	EXPECT_EQ(0, mm_pageout(region, LEN));
	EXPECT_EQ(written, mm_delta(self->before, "pswpout"));
	EXPECT_EQ(-1, mm_check_byte(region, LEN, 0));
}

/* a child that shares the pages keeps its bytes, whatever reclaim does to those that the parent gave up */
TEST_F(lazyfree, shared_with_child)
{
	struct mm_tree *t = mm_tree_fork(1, 1, NULL, NULL);
	struct mm_page page;
	int wrong = 0;
	pid_t child;

	ASSERT_NE(NULL, t);
	child = mm_tree_pid(t, 0);
	ASSERT_EQ(0, madvise(region, LEN, MADV_FREE));
	mm_lru_drain();
	EXPECT_FALSE(mm_kpf(mm_pfn(0, region), KPF_SWAPBACKED));
	mm_cgroup_reclaim(&self->cg, LEN);
	EXPECT_EQ(0, mm_delta(self->before, "pglazyfreed"));
	/* Once they are ordinary ones again, a later round of the same reclaim may write them to swap. */
	EXPECT_EQ(PAGES, mm_count_present(child, region, LEN) + mm_count_swapped(child, region, LEN));
	for (int i = 0; i < PAGES; i++) {
		/* The child's page is an ordinary one again; the parent has the same one, or none. */
		mm_page(child, region + i * PAGE, &page);
		wrong += page.present && !mm_kpf(page.pfn, KPF_SWAPBACKED);
		mm_page(0, region + i * PAGE, &page);
		wrong += page.present || page.swapped ? mm_check_from(region + i * PAGE, PAGE, SEED, i * PAGE) != -1
						      : mm_check_byte(region + i * PAGE, PAGE, 0) != -1;
	}
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(0, mm_tree_call(t, 0, wrong_bytes, NULL));
	mm_tree_end(t);
}

/* pages of a MAP_DROPPABLE mapping are dropped by reclaim though they were written to, and never swapped */
TEST_F(lazyfree, droppable)
{
	char *p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0);
	long anon;

	ASSERT_NE(MAP_FAILED, p);
	mm_fill(p, LEN, SEED);
	EXPECT_EQ(-1, mm_check(p, LEN, SEED));
	EXPECT_FALSE(mm_kpf(mm_pfn(0, p), KPF_SWAPBACKED));
	anon = mm_delta(self->before, "nr_anon_pages");
	EXPECT_EQ(0, mm_pageout(p, LEN));
	EXPECT_EQ(PAGES, anon - mm_delta(self->before, "nr_anon_pages"));
	EXPECT_EQ(0, mm_delta(self->before, "pswpout"));
	EXPECT_EQ(0, mm_count_swapped(0, p, LEN));
	EXPECT_EQ(-1, mm_check_byte(p, LEN, 0));
	EXPECT_EQ(0, munmap(p, LEN));
}

TEST_HARNESS_MAIN
