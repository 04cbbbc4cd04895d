// SPDX-License-Identifier: GPL-2.0
/* Reclaim through the reverse map: every mapping of a page goes, and what comes back are the same bytes. */
#include <fcntl.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mm.h"

#define PAGES	64
#define LEN	(PAGES * PAGE)
#define SEED	11
#define NODES	6	/* of a tree of depth 2 and width 2 */

/* The pages under test; the processes of a tree find them here. */
static char *region;

/* Pages of the range that are in memory, mapped or in the swap cache. */
static int in_memory(const void *p)
{
	unsigned char vec[PAGES];
	int n = 0;

	if (mincore((void *)p, LEN, vec))
		return -1;
	for (int i = 0; i < PAGES; i++)
		n += vec[i] & 1;
	return n;
}

/* These run in the processes of a tree. */
static int wrong_bytes(void *arg)
{
	return mm_check(region, LEN, SEED) == -1 ? 0 : 1;
}

static int wrong_for(void *seed)
{
	return mm_check(region, LEN, (long)seed) == -1 ? 0 : 1;
}

static int fill_again(void *seed)
{
	mm_fill(region, LEN, (long)seed);
	return 0;
}

static int count_processes(struct mm_tree *t, int (*fn)(void *arg))
{
	int n = 0;

	for (unsigned int i = 0; i < mm_tree_size(t); i++)
		n += mm_tree_call(t, i, fn, NULL);
	return n;
}

/* Pages that @pid and the caller map, or have swapped out, as one and the same. */
static int same_pages(pid_t pid)
{
	struct mm_page a, b;
	int n = 0;

	for (int i = 0; i < PAGES; i++) {
		mm_page(0, region + i * PAGE, &a);
		mm_page(pid, region + i * PAGE, &b);
		n += (a.present || a.swapped) && a.present == b.present && a.swapped == b.swapped &&
		     a.pfn == b.pfn && a.swap_type == b.swap_type && a.swap_offset == b.swap_offset;
	}
	return n;
}

/* Pairs of pages that share a swap entry. */
static int doubles(const uint64_t *slots)
{
	int n = 0;

	for (int i = 0; i < PAGES; i++)
		for (int j = 0; j < i; j++)
			n += slots[i] == slots[j];
	return n;
}

static void swap_slots(const char *p, uint64_t *slots)
{
	struct mm_page page;

	for (int i = 0; i < PAGES; i++) {
		mm_page(0, p + i * PAGE, &page);
		slots[i] = page.swapped ? (uint64_t)page.swap_type << 56 | page.swap_offset : 0;
	}
}

/*
 * The pages under test, and nothing else, are charged to a group of their own, and the processes that map
 * them stay outside: memory.reclaim reaches these pages alone, and takes no notice of who uses them.
 */
FIXTURE(reclaim) {
	struct mm_cgroup cg;
	struct mm_tree *t;
	long swap_used;
};

FIXTURE_SETUP(reclaim)
{
	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	ASSERT_EQ(0, mm_cgroup_create(&self->cg, "reclaim"));
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	mm_lru_drain();
	self->swap_used = mm_swap_used();
	ASSERT_EQ(0, mm_cgroup_enter(&self->cg));
	mm_fill(region, LEN, SEED);
	ASSERT_EQ(0, mm_cgroup_leave());
}

FIXTURE_TEARDOWN(reclaim)
{
	if (self->t)
		mm_tree_end(self->t);
	mm_cgroup_leave();
	munmap(region, LEN);
	EXPECT_EQ(0, mm_cgroup_remove(&self->cg));
}

/* each private page goes to a swap slot of its own, leaves memory, and is read back byte for byte */
TEST_F(reclaim, round_trip)
{
	struct mm_snap *before = mm_snap();
	long swap_kb = mm_status(0, "VmSwap");
	uint64_t slots[PAGES];

	EXPECT_EQ(0, mm_cgroup_drop(&self->cg, region, LEN));
	EXPECT_EQ(PAGES, mm_count_swapped(0, region, LEN));
	swap_slots(region, slots);
	EXPECT_EQ(0, doubles(slots));
	EXPECT_EQ(LEN / KB, mm_status(0, "VmSwap") - swap_kb);
	EXPECT_EQ(PAGES, mm_swap_used() - self->swap_used);
	EXPECT_EQ(PAGES, mm_delta(before, "pswpout"));
	EXPECT_EQ(0, mm_delta(before, "pswpin"));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
	EXPECT_EQ(PAGES, mm_count_present(0, region, LEN));
	EXPECT_EQ(PAGES, mm_delta(before, "pswpin"));
	EXPECT_EQ(swap_kb, mm_status(0, "VmSwap"));
	mm_snap_free(before);
}

/* a page that was only read since it came back keeps its slot and is not written to swap again */
TEST_F(reclaim, clean_not_rewritten)
{
	uint64_t first[PAGES], second[PAGES];
	struct mm_snap *before;

	ASSERT_EQ(0, mm_cgroup_drop(&self->cg, region, LEN));
	swap_slots(region, first);
	mm_touch_read(region, LEN);
	before = mm_snap();
	ASSERT_EQ(0, mm_cgroup_drop(&self->cg, region, LEN));
	swap_slots(region, second);
	EXPECT_EQ(0, mm_delta(before, "pswpout"));
	EXPECT_EQ(0, memcmp(first, second, sizeof(first)));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
	mm_snap_free(before);
}

/* a page that was written since it came back is written to swap again, with the new bytes */
TEST_F(reclaim, dirty_rewritten)
{
	struct mm_snap *before;

	ASSERT_EQ(0, mm_cgroup_drop(&self->cg, region, LEN));
	mm_touch_read(region, LEN);
	region[5 * PAGE + 7] ^= 0xff;
	before = mm_snap();
	ASSERT_EQ(0, mm_cgroup_drop(&self->cg, region, LEN));
	EXPECT_EQ(1, mm_delta(before, "pswpout"));
	EXPECT_EQ(5 * PAGE + 7, mm_check(region, LEN, SEED));
	region[5 * PAGE + 7] ^= 0xff;
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
	mm_snap_free(before);
}

/* swap slots are free again when pages that are on swap, or came back from there, are dropped or unmapped */
TEST_F(reclaim, slots_freed)
{
	size_t part = LEN / 4;

	ASSERT_EQ(0, mm_cgroup_drop(&self->cg, region, LEN));
	ASSERT_EQ(PAGES, mm_swap_used() - self->swap_used);
	ASSERT_EQ(0, madvise(region, part, MADV_DONTNEED));
	EXPECT_EQ(PAGES * 3 / 4, mm_swap_used() - self->swap_used);
	ASSERT_EQ(0, munmap(region + part, part));
	EXPECT_EQ(PAGES / 2, mm_swap_used() - self->swap_used);
	mm_touch_read(region + 2 * part, part);
	mm_touch_write(region + 3 * part, part);
	EXPECT_EQ(-1, mm_check_from(region + 2 * part, 2 * part, SEED, 2 * part));
	ASSERT_EQ(0, madvise(region + 2 * part, 2 * part, MADV_DONTNEED));
	EXPECT_EQ(0, mm_swap_used() - self->swap_used);
	EXPECT_EQ(-1, mm_check_byte(region, part, 0));
	EXPECT_EQ(-1, mm_check_byte(region + 2 * part, 2 * part, 0));
}

/* reclaim of pages that seven processes share puts one and the same swap entry into all page tables */
TEST_F(reclaim, fork_tree)
{
	struct mm_snap *before;

	self->t = mm_tree_fork(2, 2, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	EXPECT_EQ(NODES + 1, mm_kpagecount(mm_pfn(0, region)));
	before = mm_snap();
	EXPECT_EQ(0, mm_cgroup_drop(&self->cg, region, LEN));
	EXPECT_EQ(PAGES, mm_delta(before, "pswpout"));
	EXPECT_EQ(PAGES, mm_swap_used() - self->swap_used);
	EXPECT_EQ(PAGES, mm_count_swapped(0, region, LEN));
	for (int i = 0; i < NODES; i++) {
		EXPECT_EQ(PAGES, same_pages(mm_tree_pid(self->t, i)));
		EXPECT_EQ(LEN / KB, mm_smaps(mm_tree_pid(self->t, i), region, "Swap"));
		EXPECT_EQ(LEN / KB / (NODES + 1), mm_smaps(mm_tree_pid(self->t, i), region, "SwapPss"));
	}
	EXPECT_EQ(0, count_processes(self->t, wrong_bytes));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
	EXPECT_EQ(PAGES, mm_delta(before, "pswpin"));
	for (int i = 0; i < NODES; i++)
		EXPECT_EQ(PAGES, same_pages(mm_tree_pid(self->t, i)));
	EXPECT_EQ(NODES + 1, mm_kpagecount(mm_pfn(0, region)));
	mm_snap_free(before);
}

/* what one process writes into shared pages that are swapped out, the others do not see */
TEST_F(reclaim, cow_after_swap)
{
	self->t = mm_tree_fork(2, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	ASSERT_EQ(0, mm_cgroup_drop(&self->cg, region, LEN));
	ASSERT_EQ(0, mm_tree_call(self->t, 0, fill_again, (void *)(SEED + 1L)));
	EXPECT_EQ(0, mm_tree_call(self->t, 0, wrong_for, (void *)(SEED + 1L)));
	EXPECT_EQ(0, same_pages(mm_tree_pid(self->t, 0)));
	EXPECT_EQ(PAGES, mm_count_swapped(0, region, LEN));
	EXPECT_EQ(PAGES, same_pages(mm_tree_pid(self->t, 1)));
	EXPECT_EQ(0, mm_tree_call(self->t, 1, wrong_bytes, NULL));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
	/* The third reader is gone: the slots are the caller's and the grandchild's. */
	mm_tree_kill(self->t, 0);
	EXPECT_EQ(PAGES, same_pages(mm_tree_pid(self->t, 1)));
}

/* children that are forked while the pages are swapped out share the slots and free none of them */
TEST_F(reclaim, fork_of_swapped)
{
	ASSERT_EQ(0, mm_cgroup_drop(&self->cg, region, LEN));
	self->t = mm_tree_fork(1, 3, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	EXPECT_EQ(PAGES, mm_swap_used() - self->swap_used);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(PAGES, same_pages(mm_tree_pid(self->t, i)));
	ASSERT_EQ(0, mm_tree_kill(self->t, 0));
	EXPECT_EQ(PAGES, mm_swap_used() - self->swap_used);
	EXPECT_EQ(0, mm_tree_call(self->t, 1, wrong_bytes, NULL));
	ASSERT_EQ(0, mm_tree_call(self->t, 2, fill_again, (void *)(SEED + 2L)));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
}

/* swapoff finds every process that has an entry: all map the pages again, and share them */
TEST_F(reclaim, swapoff)
{
	self->t = mm_tree_fork(2, 2, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	ASSERT_EQ(0, mm_cgroup_drop(&self->cg, region, LEN));
	ASSERT_EQ(PAGES, mm_count_swapped(0, region, LEN));
	ASSERT_EQ(0, mm_swap_cycle());
	EXPECT_EQ(0, mm_swap_used());
	EXPECT_EQ(PAGES, mm_count_present(0, region, LEN));
	for (int i = 0; i < NODES; i++)
		EXPECT_EQ(PAGES, same_pages(mm_tree_pid(self->t, i)));
	EXPECT_EQ(NODES + 1, mm_kpagecount(mm_pfn(0, region)));
	EXPECT_EQ(0, count_processes(self->t, wrong_bytes));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
}

/* MADV_PAGEOUT leaves pages alone that another process maps too, and takes them when it is gone */
TEST_F(reclaim, pageout_spares_shared)
{
	uint64_t before[PAGES], after[PAGES];

	self->t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	ASSERT_EQ(0, mm_pfns(0, region, before, PAGES));
	EXPECT_EQ(PAGES, mm_pageout(region, LEN));
	ASSERT_EQ(0, mm_pfns(0, region, after, PAGES));
	EXPECT_EQ(0, memcmp(before, after, sizeof(before)));
	EXPECT_EQ(0, mm_swap_used() - self->swap_used);
	ASSERT_EQ(0, mm_tree_kill(self->t, 0));
	EXPECT_EQ(0, mm_pageout(region, LEN));
	EXPECT_EQ(PAGES, mm_count_swapped(0, region, LEN));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
}

/* process_madvise(MADV_PAGEOUT) swaps out the pages of the other process and none of the caller's */
TEST_F(reclaim, process_madvise)
{
	pid_t pid;

	self->t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	pid = mm_tree_pid(self->t, 0);
	ASSERT_EQ(0, mm_tree_call(self->t, 0, fill_again, (void *)(SEED + 3L)));
	mm_lru_drain();
	EXPECT_EQ(LEN, mm_process_madvise(pid, region, LEN, MADV_PAGEOUT));
	EXPECT_EQ(PAGES, mm_count_swapped(pid, region, LEN));
	EXPECT_EQ(PAGES, mm_count_present(0, region, LEN));
	EXPECT_EQ(0, mm_count_swapped(0, region, LEN));
	EXPECT_EQ(PAGES, mm_swap_used() - self->swap_used);
	EXPECT_EQ(0, mm_tree_call(self->t, 0, wrong_for, (void *)(SEED + 3L)));
	EXPECT_EQ(PAGES, mm_count_present(pid, region, LEN));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
}

/* pinned pages keep their frames and their bytes while their neighbours are swapped out */
TEST_F(reclaim, pinned_stay)
{
	uint64_t before[PAGES], after[PAGES];
	struct mm_pin pin;
	int moved = 0;

	NEED(mm_need_pin());
	ASSERT_EQ(0, mm_pin_uring_stride(&pin, region, LEN, 2));
	ASSERT_EQ(0, mm_pfns(0, region, before, PAGES));
	EXPECT_EQ(PAGES / 2, mm_pageout(region, LEN));
	ASSERT_EQ(0, mm_pfns(0, region, after, PAGES));
	for (int i = 0; i < PAGES; i++)
		moved += after[i] != (i % 2 ? 0 : before[i]);
	EXPECT_EQ(0, moved);
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
	mm_unpin(&pin);
	EXPECT_EQ(0, mm_pageout(region, LEN));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
}

/* reclaim, swap-in and exit of a fork tree leave no anon_vma, no VMA, no slot and no page behind */
TEST_F(reclaim, nothing_left)
{
	struct mm_objects base = mm_objects();
	struct mm_snap *before = mm_snap();

	self->t = mm_tree_fork(2, 2, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	ASSERT_EQ(0, mm_cgroup_drop(&self->cg, region, LEN));
	ASSERT_EQ(0, mm_tree_call(self->t, 3, fill_again, (void *)(SEED + 4L)));
	ASSERT_EQ(0, mm_tree_call(self->t, 2, wrong_bytes, NULL));
	EXPECT_LT(0, mm_objects_since(&base).chain);
	mm_tree_end(self->t);
	self->t = NULL;
	mm_touch_read(region, LEN);
	ASSERT_EQ(0, madvise(region, LEN, MADV_DONTNEED));
	mm_fill(region, LEN, SEED);
	EXPECT_OBJECTS(base, 0, 0, 0);
	EXPECT_EQ(0, mm_swap_used() - self->swap_used);
	EXPECT_EQ(0, mm_delta(before, "nr_anon_pages"));
	mm_snap_free(before);
}

/* ---- pages of files and of shmem, mapped by all processes of a tree ---- */

FIXTURE(mapped) {
	struct mm_cgroup cg;
	struct mm_tree *t;
	long swap_used;
	int fd;
};

FIXTURE_VARIANT(mapped) {
	const char *dir;	/* NULL: shmem */
};

FIXTURE_VARIANT_ADD(mapped, shmem) { };
FIXTURE_VARIANT_ADD(mapped, ext4) { .dir = "/mnt" };

FIXTURE_SETUP(mapped)
{
	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	ASSERT_EQ(0, mm_cgroup_create(&self->cg, "mapped"));
	self->fd = mm_tmpfile(variant->dir, LEN);
	ASSERT_LE(0, self->fd);
	region = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, region);
	mm_lru_drain();
	self->swap_used = mm_swap_used();
	ASSERT_EQ(0, mm_cgroup_enter(&self->cg));
	mm_fill(region, LEN, SEED);
	ASSERT_EQ(0, mm_cgroup_leave());
	/* Reclaim writes no dirty page of a file. */
	ASSERT_EQ(0, fsync(self->fd));
}

FIXTURE_TEARDOWN(mapped)
{
	if (self->t)
		mm_tree_end(self->t);
	mm_cgroup_leave();
	munmap(region, LEN);
	close(self->fd);
	EXPECT_EQ(0, mm_cgroup_remove(&self->cg));
}

static int touch(void *arg)
{
	mm_touch_read(region, LEN);
	return 0;
}

/* reclaim takes shared pages out of all page tables; each process reads the same bytes again */
TEST_F(mapped, file_tree)
{
	struct mm_snap *before;

	self->t = mm_tree_fork(2, 2, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	before = mm_snap();
	count_processes(self->t, touch);
	mm_touch_read(region, LEN);
	ASSERT_EQ(NODES + 1, mm_kpagecount(mm_pfn(0, region)));
	EXPECT_EQ(0, mm_cgroup_drop(&self->cg, region, LEN));
	EXPECT_EQ(0, mm_count_present(0, region, LEN));
	for (int i = 0; i < NODES; i++) {
		EXPECT_EQ(0, mm_count_present(mm_tree_pid(self->t, i), region, LEN));
		EXPECT_EQ(0, mm_smaps(mm_tree_pid(self->t, i), region, "Rss"));
	}
	EXPECT_EQ(variant->dir ? 0 : PAGES, mm_swap_used() - self->swap_used);
	EXPECT_EQ(variant->dir ? 0 : PAGES, mm_delta(before, "pswpout"));
	EXPECT_EQ(0, count_processes(self->t, wrong_bytes));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
	EXPECT_EQ(PAGES, in_memory(region));
	EXPECT_EQ(NODES + 1, mm_kpagecount(mm_pfn(0, region)));
	for (int i = 0; i < NODES; i++)
		EXPECT_EQ(PAGES, same_pages(mm_tree_pid(self->t, i)));
	mm_snap_free(before);
}

/* private copies of file pages go to swap and come back; the file keeps its own bytes */
TEST_F(mapped, private_copy)
{
	char *shared = region;

	region = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, self->fd, 0);
	ASSERT_NE(MAP_FAILED, region);
	mm_fill(region, LEN, SEED + 5);
	EXPECT_EQ(0, mm_pageout(region, LEN));
	EXPECT_EQ(PAGES, mm_count_swapped(0, region, LEN));
	EXPECT_EQ(-1, mm_check(shared, LEN, SEED));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED + 5));
	EXPECT_EQ(0, munmap(region, LEN));
	region = shared;
	EXPECT_EQ(0, mm_swap_used() - self->swap_used);
}

/* ---- the accessed bit decides which pages go ---- */

#define MANY	256

/* Here the process is inside its group: its references count. */
FIXTURE(chance) {
	struct mm_cgroup cg;
	char *p;
};

FIXTURE_VARIANT(chance) {
	bool touch;		/* read the older half of the pages before the reclaim */
};

FIXTURE_VARIANT_ADD(chance, touched) { .touch = true };
FIXTURE_VARIANT_ADD(chance, untouched) { .touch = false };

FIXTURE_SETUP(chance)
{
	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	ASSERT_EQ(0, mm_cgroup_create(&self->cg, "chance"));
	ASSERT_EQ(0, mm_cgroup_enter(&self->cg));
	self->p = mm_map_aligned(MANY * PAGE, PAGE);
	ASSERT_NE(NULL, self->p);
	mm_fill(self->p, MANY * PAGE, SEED);
	/* Back from swap and clean, so that reclaim frees at once what it chooses. */
	ASSERT_EQ(0, mm_pageout(self->p, MANY * PAGE));
	mm_touch_read(self->p, MANY * PAGE);
	mm_lru_drain();
}

FIXTURE_TEARDOWN(chance)
{
	munmap(self->p, MANY * PAGE);
	mm_cgroup_leave();
	EXPECT_EQ(0, mm_cgroup_remove(&self->cg));
}

/* reclaim takes the oldest pages, but if those were read since, it spares them and takes the next ones */
TEST_F(chance, second_chance)
{
	size_t half = MANY / 2 * PAGE;
	long older, newer;

	/* Clears the accessed bits of all pages. */
	ASSERT_EQ(0, madvise(self->p, 2 * half, MADV_COLD));
	if (variant->touch)
		mm_touch_read(self->p, half);
	ASSERT_EQ(0, mm_cgroup_reclaim_anon(&self->cg, 256 * KB));
	older = mm_count_swapped(0, self->p, half);
	newer = mm_count_swapped(0, self->p + half, half);
	EXPECT_EQ(0, variant->touch ? older : newer);
	EXPECT_LE(256 * KB / PAGE, variant->touch ? newer : older);
	EXPECT_EQ(-1, mm_check(self->p, 2 * half, SEED));
}

/* ---- the multi-generational LRU looks at the neighbours of a page that it finds accessed ---- */

#define WINDOW	64	/* BITS_PER_LONG: lru_gen_look_around() sees that many PTEs */
#define WINDOWS	8

FIXTURE(look_around) {
	struct mm_cgroup cg;
	char *p;
	int fd;
};

FIXTURE_VARIANT(look_around) {
	const char *lru_gen;
};

FIXTURE_VARIANT_ADD(look_around, classic) { .lru_gen = "n" };
FIXTURE_VARIANT_ADD(look_around, mglru) { .lru_gen = "y" };

/*
 * Pages of a file, clean, so that reclaim can free them at once; written in such an order that two neighbours
 * on the LRU list never belong to one window.
 */
FIXTURE_SETUP(look_around)
{
	static char page[PAGE] = "look";

	NEED(mm_need_memcg());
	ASSERT_EQ(0, mm_write_file("/sys/kernel/mm/lru_gen/enabled", variant->lru_gen));
	ASSERT_EQ(0, mm_cgroup_create(&self->cg, "look_around"));
	ASSERT_EQ(0, mm_cgroup_enter(&self->cg));
	self->fd = mm_tmpfile("/mnt", WINDOWS * WINDOW * PAGE);
	ASSERT_LE(0, self->fd);
	for (size_t i = 0; i < WINDOW; i++)
		for (size_t w = 0; w < WINDOWS; w++)
			ASSERT_EQ(PAGE, pwrite(self->fd, page, PAGE, (w * WINDOW + i) * PAGE));
	ASSERT_EQ(0, fsync(self->fd));
	self->p = mm_reserve(WINDOWS * WINDOW * PAGE, WINDOW * PAGE);
	ASSERT_EQ(self->p, mmap(self->p, WINDOWS * WINDOW * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED,
				self->fd, 0));
	mm_touch_read(self->p, WINDOWS * WINDOW * PAGE);
	mm_lru_drain();
}

FIXTURE_TEARDOWN(look_around)
{
	munmap(self->p, WINDOWS * WINDOW * PAGE);
	close(self->fd);
	mm_cgroup_leave();
	EXPECT_EQ(0, mm_write_file("/sys/kernel/mm/lru_gen/enabled", "n"));
	EXPECT_EQ(0, mm_cgroup_remove(&self->cg));
}

/* How many of the pages that are mapped have lost their accessed bit: reading those costs a fault each. */
static long count_old(const char *p)
{
	static uint64_t pfns[WINDOWS * WINDOW];
	long before;

	mm_pfns(0, p, pfns, WINDOWS * WINDOW);
	before = mm_minor_faults();
	for (int i = 0; i < WINDOWS * WINDOW; i++)
		if (pfns[i])
			mm_touch_read(p + i * PAGE, PAGE);
	return mm_minor_faults() - before;
}

/* reclaim clears the accessed bit of a page that it scans; with generations that of 63 neighbours too */
TEST_F(look_around, neighbours)
{
	struct mm_snap *before;
	long scanned, old;

	EXPECT_EQ(0, count_old(self->p));
	before = mm_snap();
	mm_cgroup_write(&self->cg, "memory.reclaim", "4K swappiness=0");
	scanned = mm_delta(before, "pgscan_file");
	old = count_old(self->p);
	EXPECT_LT(0, old);
	if (*variant->lru_gen == 'y') {
		EXPECT_LT(2 * scanned, old);
	} else {
		EXPECT_LE(old, scanned);
	}
	mm_report("scanned", scanned);
	mm_report("old", old);
	mm_snap_free(before);
}

TEST_HARNESS_MAIN
