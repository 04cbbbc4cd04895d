// SPDX-License-Identifier: GPL-2.0
/* Swap-in, swap-out and swapoff with each of their allocations failing. */
#include "kselftest_harness.h"
#include <linux/mman.h>
#include <sys/swap.h>

#include "mm.h"
#include "walk.h"

#define SEED	51
#define PAGES	8
#define DEVICE	"/dev/ubda"

#define CLUSTER	"/proc/sys/vm/page-cluster"

FIXTURE(swapin) {
	struct walk w;
	char cluster[16];
};

/* All of the bytes without reading them: those in memory are right, the others are in swap. */
static void there_or_swapped(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;
	long present = 0;

	for (size_t at = 0; at < w->len; at += PAGE) {
		if (!mm_pfn(0, w->p + at))
			continue;
		EXPECT_EQ(-1, mm_check_from(w->p + at, PAGE, SEED, at));
		present++;
	}
	EXPECT_EQ(w->len / PAGE, present + mm_count_swapped(0, w->p, w->len));
}

static void all_there(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(w->len / PAGE, mm_count_present(0, w->p, w->len));
	EXPECT_EQ(-1, mm_check(w->p, w->len, SEED));
}

static void swap_out(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(0, mm_pageout(w->p, w->len));
}

FIXTURE_SETUP(swapin)
{
	NEED(mm_need_fail_nth());
	NEED(mm_need_swap());
	self->w = (struct walk) {
		._metadata = _metadata, .len = PAGES * PAGE, .error = ENOMEM,
		.done = all_there, .intact = there_or_swapped, .undo = swap_out, .may_change = true,
	};
	/* Without readahead, which tries in vain and leaves it to the fault to try again. */
	ASSERT_LT(0, mm_read_file(CLUSTER, self->cluster, sizeof(self->cluster)));
	ASSERT_EQ(0, mm_write_file(CLUSTER, "0"));
	self->w.p = mm_map_aligned(self->w.len, PAGE);
	ASSERT_NE(NULL, self->w.p);
	mm_fill(self->w.p, self->w.len, SEED);
	swap_out(&self->w);
}

FIXTURE_TEARDOWN(swapin)
{
	mm_write_file(CLUSTER, self->cluster);
	munmap(self->w.p, self->w.len);
}

/* One page at a time: a call that got some pages before the failure tries the next one again by itself. */
static int populate(struct walk *w)
{
	for (size_t at = 0; at < w->len; at += PAGE)
		if (madvise(w->p + at, PAGE, MADV_POPULATE_READ))
			return -errno;
	return 0;
}

/* swap-in by populating: ENOMEM, and each page is in memory with its bytes or still in swap */
TEST_F(swapin, populate)
{
	struct walk *w = &self->w;

	w->call = populate;
	walk(w);
	/* A full sheaf makes one allocation fewer fail, here and there. */
	EXPECT_LE(PAGES - 2, w->failed);
}

static int load(struct walk *w)
{
	return mm_check(w->p, w->len, SEED) < 0 ? 0 : -EIO;
}

/* swap-in by plain loads: they all succeed and get the right bytes */
TEST_F(swapin, load)
{
	struct walk *w = &self->w;

	w->call = load;
	walk(w);
	EXPECT_LE(PAGES, w->injected);
	EXPECT_EQ(0, w->failed);
}

static int store(struct walk *w)
{
	mm_fill(w->p, w->len, SEED);
	return 0;
}

static struct mm_tree *tree;

/* Slots that a child uses too: the parent cannot take over the pages that it reads in. */
static void share(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	if (tree)
		mm_tree_end(tree);
	swap_out(w);
	tree = mm_tree_fork(1, 1, NULL, NULL);
	EXPECT_NE(NULL, tree);
}

static int child_reads(void *arg)
{
	struct walk *w = arg;

	return mm_check(w->p, w->len, SEED) >= 0;
}

/* stores to swapped pages that a child shares: swap-in and copy, both repeated until they succeed */
TEST_F(swapin, store_shared)
{
	struct walk *w = &self->w;

	share(w);
	w->call = store;
	w->undo = share;
	walk(w);
	EXPECT_LE(2 * PAGES, w->injected);
	EXPECT_EQ(0, w->failed);
	EXPECT_EQ(0, mm_tree_call(tree, 0, child_reads, w));
	mm_tree_end(tree);
}

static int page_out(struct walk *w)
{
	return madvise(w->p, w->len, MADV_PAGEOUT) ? -errno : 0;
}

static void swap_in(struct walk *w)
{
	/* Written, so that the pages give up their slots; one that is still on its way out would keep it. */
	mm_writeback_wait();
	mm_fill(w->p, w->len, SEED);
	all_there(w);
}

/* swap-out: what finds no memory stays in memory, the call succeeds, no page is in neither place */
TEST_F(swapin, page_out)
{
	struct walk *w = &self->w;

	swap_in(w);
	w->call = page_out;
	w->done = there_or_swapped;
	w->undo = swap_in;
	walk(w);
	EXPECT_EQ(0, w->failed);
}

static int swap_off(struct walk *w)
{
	return swapoff(DEVICE) ? -errno : 0;
}

static void swap_on_again(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	if (mm_need_swap())
		EXPECT_EQ(0, swapon(DEVICE, 0));
	swap_out(w);
}

static void swap_is_off(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_NE(NULL, mm_need_swap());
	all_there(w);
}

static void swap_is_on(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(NULL, mm_need_swap());
	there_or_swapped(w);
}

/* swapoff: ENOMEM, the device stays on, and no page is lost in either place */
TEST_F(swapin, swapoff)
{
	struct walk *w = &self->w;

	w->call = swap_off;
	w->done = swap_is_off;
	w->intact = swap_is_on;
	w->undo = swap_on_again;
	walk(w);
	EXPECT_LE(3, w->failed);
	EXPECT_LE(PAGES, w->injected);
}

/* The page tables of shared memory do not say what is in swap. */
static void those_there(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	for (size_t at = 0; at < w->len; at += PAGE)
		if (mm_pfn(0, w->p + at))
			EXPECT_EQ(-1, mm_check_from(w->p + at, PAGE, SEED, at));
}

/* shared memory in swap: ENOMEM while its page cache is filled again, the repeat has the right bytes */
TEST_F(swapin, shmem)
{
	struct walk *w = &self->w;
	struct mm_snap *before = mm_snap();

	w->fd = mm_memfd(w->len);
	ASSERT_EQ(w->p, mmap(w->p, w->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, w->fd, 0));
	mm_fill(w->p, w->len, SEED);
	swap_out(w);
	w->call = populate;
	w->intact = those_there;
	w->reclaims = true;
	walk(w);
	EXPECT_LE(PAGES - 2, w->failed);
	/* All of it came from the disk, in each of the rounds. */
	EXPECT_LE(w->failed * PAGES, mm_delta(before, "pswpin"));
	mm_snap_free(before);
	close(w->fd);
}

/* ---- a slot that more page tables use than its own count can tell ---- */

#define MANY	70	/* a count of so many needs memory: SWP_TB_COUNT_MAX of mm/swap_table.h is at most 31, SWAP_MAP_MAX was 62 */

struct many {
	struct __test_metadata *_metadata;
	struct mm_cgroup cg;
	struct mm_tree *t;
	char *p;
	int halfway;		/* failures that left the page mapped by some and swapped out by others */
	int retried;		/* failures after which reclaim got it out altogether */
};

static int reclaim_one(void *arg)
{
	struct many *m = arg;

	return mm_cgroup_reclaim(&m->cg, PAGE);
}

static int wrong_page(void *arg)
{
	struct many *m = arg;

	return mm_check(m->p, PAGE, SEED) >= 0;
}

/* Each process has the page, or the entry of it, and finds its bytes; then all of them map it again. */
static int all_have_it(int nth, int ret, void *arg)
{
	struct many *m = arg;
	struct __test_metadata *_metadata = m->_metadata;
	int mapped = 0, swapped = 0;
	struct mm_page page;

	for (int i = 0; i < MANY; i++) {
		EXPECT_EQ(0, mm_page(mm_tree_pid(m->t, i), m->p, &page));
		mapped += page.present;
		swapped += page.swapped;
	}
	EXPECT_EQ(MANY, mapped + swapped);
	m->halfway += mapped && swapped;
	m->retried += !ret && mm_fail_injected() && swapped == MANY;
	for (int i = 0; i < MANY; i++)
		EXPECT_EQ(0, mm_tree_call(m->t, i, wrong_page, m));
	return 0;
}

/* swap-out of a page of 70 processes: without memory for the count some keep it mapped, and none loses a byte */
TEST(count_of_many)
{
	struct many m = { ._metadata = _metadata };

	NEED(mm_need_fail_nth());
	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	ASSERT_EQ(0, mm_fail_setup());
	m.p = mm_map_aligned(PAGE, PAGE);
	ASSERT_NE(NULL, m.p);
	ASSERT_EQ(0, mm_cgroup_create(&m.cg, "many"));
	ASSERT_EQ(0, mm_cgroup_enter(&m.cg));
	mm_fill(m.p, PAGE, SEED);
	ASSERT_EQ(0, mm_cgroup_leave());
	m.t = mm_tree_fork(1, MANY, NULL, NULL);
	ASSERT_NE(NULL, m.t);
	/* The children's alone: what the caller maps is looked at no more. */
	ASSERT_EQ(0, madvise(m.p, PAGE, MADV_DONTNEED));
	EXPECT_LE(1, mm_fail_walk(reclaim_one, all_have_it, &m));
	mm_tree_end(m.t);
	EXPECT_EQ(0, mm_cgroup_remove(&m.cg));
	/* Memory that is kept for the next count is there when reclaim tries again, at once. */
	if (!m.halfway && m.retried && __test_passed(_metadata))
		SKIP(return, "needs a swap count that gives its memory back (mm/swap_table.h)");
	EXPECT_LE(1, m.halfway);
}

TEST_HARNESS_MAIN
