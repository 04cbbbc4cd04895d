// SPDX-License-Identifier: GPL-2.0
/* Migration of shmem pages: every mapping, and the file itself, has the new frame. */
#include "kselftest_harness.h"
#include <fcntl.h>
#include <unistd.h>
#include <linux/falloc.h>

#include "mm.h"

#define N	64
#define LEN	(N * PAGE)
#define MANY	100

FIXTURE(shmem)
{
	struct mm_stage *stage;
	int fd;
	char *p;
	uint64_t was[N], is[N];
};

FIXTURE_SETUP(shmem)
{
	NEED(mm_need_compaction());
	self->fd = mm_memfd(LEN);
	ASSERT_LE(0, self->fd);
	self->p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	self->stage = mm_stage(2 * LEN);
	ASSERT_NE(NULL, self->stage);
	mm_fill(self->p, LEN, 1);
}

FIXTURE_TEARDOWN(shmem)
{
	mm_stage_end(self->stage);
	munmap(self->p, LEN);
	close(self->fd);
}

static long counted(const uint64_t *pfns, size_t n, long mappings)
{
	long good = 0;

	for (size_t i = 0; i < n; i++)
		good += mm_kpagecount(pfns[i]) == mappings;
	return good;
}

/* What read(2) gives of the whole file: the first byte that is not the pattern's, or -1. */
static ssize_t check_file(int fd, uint64_t seed)
{
	static char buf[LEN];

	if (pread(fd, buf, LEN, 0) != LEN)
		return 0;
	return mm_check(buf, LEN, seed);
}

/* two mappings have the same new frames, and what either of them, or write(2), writes is seen everywhere */
TEST_F(shmem, two_mappings)
{
	static char bytes[LEN / 4];
	uint64_t other[N];
	char *q = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, self->fd, 0);

	ASSERT_NE(MAP_FAILED, q);
	EXPECT_EQ(N, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	ASSERT_EQ(0, mm_pfns(0, q, other, N));
	EXPECT_EQ(0, memcmp(self->is, other, sizeof(other)));
	EXPECT_EQ(N, counted(self->is, N, 2));
	EXPECT_EQ(-1, mm_check(self->p, LEN, 1));
	EXPECT_EQ(-1, mm_check(q, LEN, 1));
	EXPECT_EQ(-1, check_file(self->fd, 1));
	mm_fill(self->p, LEN / 2, 2);
	mm_fill_from(q + LEN / 2, LEN / 4, 2, LEN / 2);
	mm_fill_from(bytes, LEN / 4, 2, LEN / 4 * 3);
	ASSERT_EQ(LEN / 4, pwrite(self->fd, bytes, LEN / 4, LEN / 4 * 3));
	EXPECT_EQ(-1, mm_check(self->p, LEN, 2));
	EXPECT_EQ(-1, mm_check(q, LEN, 2));
	EXPECT_EQ(-1, check_file(self->fd, 2));
	munmap(q, LEN);
}

static char *region;

static int write_other_half(void *arg)
{
	if (mm_check(region, LEN, 1) != -1)
		return 1;
	mm_fill_from(region + LEN / 2, LEN / 2, 2, LEN / 2);
	return 0;
}

/* a child maps the same new frames, and its writes after the move reach the parent */
TEST_F(shmem, child)
{
	struct mm_tree *tree;
	uint64_t other[N];

	region = self->p;
	tree = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, tree);
	ASSERT_EQ(0, mm_tree_call(tree, 0, write_other_half, NULL));
	mm_fill(region, LEN, 1);
	EXPECT_EQ(N, mm_stage_move_pages(self->stage, region, N, self->was, self->is));
	ASSERT_EQ(0, mm_pfns(mm_tree_pid(tree, 0), region, other, N));
	EXPECT_EQ(0, memcmp(self->is, other, sizeof(other)));
	EXPECT_EQ(0, mm_tree_call(tree, 0, write_other_half, NULL));
	EXPECT_EQ(-1, mm_check(region, LEN / 2, 1));
	EXPECT_EQ(-1, mm_check_from(region + LEN / 2, LEN / 2, 2, LEN / 2));
	mm_tree_end(tree);
}

/* pages that nobody maps move in the page cache: mapped again they have other frames and the same bytes */
TEST_F(shmem, unmapped)
{
	ASSERT_EQ(0, mm_pfns(0, self->p, self->was, N));
	ASSERT_EQ(0, munmap(self->p, LEN));
	ASSERT_EQ(0, mm_stage_move(self->stage));
	EXPECT_EQ(-1, check_file(self->fd, 1));
	self->p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	ASSERT_EQ(0, mm_pfns(0, self->p, self->is, N));
	EXPECT_EQ(N, mm_moved(self->was, self->is, N));
	EXPECT_EQ(-1, mm_check(self->p, LEN, 1));
}

/* each of 100 mappings, with the pages in another order in every one, has the same new frames */
TEST_F(shmem, many_mappings)
{
	char *base = mm_reserve(MANY * 4 * PAGE, PAGE);

	ASSERT_NE(NULL, base);
	for (int i = 0; i < MANY; i++)
		for (int k = 0; k < 4; k++)
			ASSERT_NE(MAP_FAILED, mmap(base + (i * 4 + k) * PAGE, PAGE, PROT_READ,
						   MAP_SHARED | MAP_FIXED | MAP_POPULATE, self->fd,
						   (i + k) % 4 * PAGE));
	EXPECT_EQ(N, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	EXPECT_EQ(4, counted(self->is, 4, MANY + 1));
	EXPECT_EQ(N - 4, counted(self->is + 4, N - 4, 1));
	for (int i = 0; i < MANY; i++)
		for (int k = 0; k < 4; k++) {
			char *q = base + (i * 4 + k) * PAGE;
			int page = (i + k) % 4;

			EXPECT_EQ(self->is[page], mm_pfn(0, q));
			EXPECT_EQ(-1, mm_check_from(q, PAGE, 1, page * PAGE));
		}
	munmap(base, MANY * 4 * PAGE);
}

/* of a private mapping the copied pages and the shared ones move, and stay apart */
TEST_F(shmem, private)
{
	uint64_t was[N], is[N];
	char *q = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, self->fd, 0);

	ASSERT_NE(MAP_FAILED, q);
	mm_fill(q, LEN / 2, 2);
	mm_touch_read(q, LEN);
	ASSERT_EQ(0, mm_pfns(0, q, was, N));
	EXPECT_EQ(N, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	ASSERT_EQ(0, mm_pfns(0, q, is, N));
	EXPECT_EQ(N, mm_moved(was, is, N));
	EXPECT_EQ(N / 2, mm_moved(self->is, is, N / 2));
	EXPECT_EQ(0, mm_moved(self->is + N / 2, is + N / 2, N / 2));
	EXPECT_EQ(-1, mm_check(q, LEN / 2, 2));
	EXPECT_EQ(-1, mm_check(self->p, LEN, 1));
	mm_fill_from(self->p + LEN / 2, LEN / 2, 3, LEN / 2);
	EXPECT_EQ(-1, mm_check_from(q + LEN / 2, LEN / 2, 3, LEN / 2));
	munmap(q, LEN);
}

/* moved pages go to swap and come back with what was written before and after; a hole frees its pages */
TEST_F(shmem, reclaimed)
{
	long shmem;

	NEED(mm_need_swap());
	EXPECT_EQ(N, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	mm_fill(self->p, LEN / 2, 2);
	EXPECT_EQ(0, mm_pageout(self->p, LEN));
	EXPECT_EQ(-1, mm_check(self->p, LEN / 2, 2));
	EXPECT_EQ(-1, mm_check_from(self->p + LEN / 2, LEN / 2, 1, LEN / 2));
	shmem = mm_vmstat("nr_shmem");
	ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, LEN / 2));
	EXPECT_EQ(shmem - N / 2, mm_vmstat("nr_shmem"));
	EXPECT_EQ(-1, mm_check_byte(self->p, LEN / 2, 0));
}

TEST_HARNESS_MAIN
