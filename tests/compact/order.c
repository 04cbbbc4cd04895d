// SPDX-License-Identifier: GPL-2.0
/*
 * Compaction for an allocation: the rings of io_uring are physically contiguous where the allocator has such a block.
 *
 * All free blocks of ORDER and above are taken by other rings, and the memory under test is every second frame of a
 * stretch: what is free then are single frames.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/io_uring.h>

#include "mm.h"

#define ORDER		4
#define RING		1024U			/* entries: 64 KB of them, a block of ORDER */
#define RING_PAGES	(1UL << ORDER)
#define RING_MAX	32768U			/* blocks of order 9 */
#define N		8192UL
#define LEN		(N * PAGE)
#define FDS_MAX		1000
#define TRIES		40
#define SLACK		(4 * MB / PAGE)		/* of free frames, for what else goes on */

FIXTURE(order)
{
	struct mm_snap *snap;
	struct mm_pin pin;
	bool pinned;
	char *p;
	int fds[FDS_MAX], n_fds;
	long free;
	uint64_t was[N], is[N];
};

/* Blocks of @order that could be had, from /proc/buddyinfo. */
static long free_blocks(int order)
{
	char text[1024], *s = text;
	long n = 0, count;
	int used;

	if (mm_read_file("/proc/buddyinfo", text, sizeof(text)) < 0)
		return -1;
	while ((s = strstr(s, "zone"))) {
		if (sscanf(s, "zone %*s%n", &used))
			return -1;
		s += used;
		for (int o = 0; sscanf(s, "%ld%n", &count, &used) == 1; o++, s += used)
			if (o >= order)
				n += count << (o - order);
	}
	return n;
}

/* A ring of two blocks: the entries, and the queues, which take more than half as much. */
static int ring(unsigned int entries)
{
	struct io_uring_params params = { 0 };

	return syscall(__NR_io_uring_setup, entries, &params);
}

static bool take_ring(FIXTURE_DATA(order) *self, unsigned int entries)
{
	int fd = self->n_fds < FDS_MAX ? ring(entries) : -1;

	if (fd < 0)
		return false;
	self->fds[self->n_fds++] = fd;
	return true;
}

/* Leave no block of ORDER or above. Each ring finds free blocks: nothing is compacted for it. */
static bool take_blocks(FIXTURE_DATA(order) *self)
{
	int order = 9;

	for (unsigned int entries = RING_MAX; entries >= RING; entries /= 2, order--)
		while (free_blocks(order) >= 2)
			if (!take_ring(self, entries))
				return false;
	while (free_blocks(ORDER) > 0)
		if (!take_ring(self, RING / 2))
			return false;
	return true;
}

/* Free every second page. */
static void make_holes(char *p)
{
	for (size_t i = 1; i < N; i += 2)
		madvise(p + i * PAGE, PAGE, MADV_DONTNEED);
	mm_pcp_drain();
}

/* Pages with the bytes of their place. */
static long right_pages(const char *p)
{
	long n = 0;

	for (size_t i = 0; i < N; i += 2)
		n += mm_check_from(p + i * PAGE, PAGE, 1, i * PAGE) < 0;
	return n;
}

/* Whether the entries of a ring are one block: frames in a row from a multiple of their number on. */
static bool contiguous(int fd)
{
	size_t len = RING_PAGES * PAGE;
	char *sqes = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQES);
	uint64_t pfns[RING_PAGES];
	bool row;

	if (sqes == MAP_FAILED)
		return false;
	row = !mm_pfns(0, sqes, pfns, RING_PAGES) && pfns[0] && pfns[0] % RING_PAGES == 0;
	for (size_t i = 1; i < RING_PAGES; i++)
		row &= pfns[i] == pfns[0] + i;
	munmap(sqes, len);
	return row;
}

FIXTURE_SETUP(order)
{
	struct rlimit files = { FDS_MAX + 64, FDS_MAX + 64 };

	NEED(mm_need_compaction());
	NEED(mm_need_pin());
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	self->free = mm_vmstat("nr_free_pages");
	self->p = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, self->p);
	ASSERT_EQ(0, madvise(self->p, LEN, MADV_POPULATE_WRITE));
	mm_fill(self->p, LEN, 1);
}

/* The memory of rings comes back when a worker has closed them. */
FIXTURE_TEARDOWN(order)
{
	if (self->pinned)
		mm_unpin(&self->pin);
	for (int i = 0; i < self->n_fds; i++)
		close(self->fds[i]);
	mm_snap_free(self->snap);
	munmap(self->p, LEN);
	for (int i = 0; i < 5000 && mm_vmstat("nr_free_pages") < self->free - SLACK; i++)
		usleep(1000);
	EXPECT_LE(self->free - SLACK, mm_vmstat("nr_free_pages"));
}

/* pinned pages: no block, compaction is put off and tried again; unpinned, they move until the allocation has its block */
TEST_F(order, direct)
{
	bool off = false, again = false;

	ASSERT_EQ(0, mm_pin_uring_stride(&self->pin, self->p, LEN, 2));
	self->pinned = true;
	make_holes(self->p);
	ASSERT_TRUE(take_blocks(self));
	ASSERT_EQ(0, free_blocks(ORDER));
	ASSERT_EQ(0, mm_pfns(0, self->p, self->was, N));
	self->snap = mm_snap();
	/* The first ones get blocks that other pages of the system leave. */
	for (int i = 0; i < TRIES && !mm_delta(self->snap, "compact_fail"); i++)
		ASSERT_TRUE(take_ring(self, RING));
	EXPECT_LE(1, mm_delta(self->snap, "compact_fail"));
	for (int i = 0; i < TRIES && !(off && again); i++) {
		long stalls = mm_delta(self->snap, "compact_stall");

		ASSERT_TRUE(take_ring(self, RING));
		if (mm_delta(self->snap, "compact_stall") > stalls)
			again |= off;
		else
			off = true;
	}
	EXPECT_FALSE(contiguous(self->fds[self->n_fds - 1]));
	EXPECT_TRUE(off);
	EXPECT_TRUE(again);
	ASSERT_EQ(0, mm_pfns(0, self->p, self->is, N));
	EXPECT_EQ(0, mm_moved(self->was, self->is, N));
	mm_unpin(&self->pin);
	self->pinned = false;
	mm_snap_free(self->snap);
	self->snap = mm_snap();
	for (int i = 0; i < TRIES && !mm_delta(self->snap, "compact_success"); i++)
		ASSERT_TRUE(take_ring(self, RING));
	EXPECT_LE(1, mm_delta(self->snap, "compact_success"));
	EXPECT_TRUE(contiguous(self->fds[self->n_fds - 1]));
	ASSERT_EQ(0, mm_pfns(0, self->p, self->is, N));
	EXPECT_LE(RING_PAGES / 2, mm_moved(self->was, self->is, N));
	EXPECT_EQ(N / 2, right_pages(self->p));
}

TEST_HARNESS_MAIN
