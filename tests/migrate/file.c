// SPDX-License-Identifier: GPL-2.0
/* Migration of the page cache of a disk file system (ext4): frames change, dirty bytes reach the disk. */
#include "kselftest_harness.h"
#include <fcntl.h>
#include <unistd.h>
#include <linux/kernel-page-flags.h>

#include "mm.h"

#define DIR	"/mnt"
#define N	64
#define LEN	(N * PAGE)

static const char *need_file(void)
{
	return access(DIR "/lost+found", F_OK) ? "ext4 on " DIR : mm_need_compaction();
}

/* Pages of the file that are in the page cache. */
static long cached(int fd)
{
	char *p = mmap(NULL, LEN, PROT_READ, MAP_SHARED, fd, 0);
	unsigned char vec[N];
	long n = 0;

	if (mincore(p, LEN, vec))
		n = -1;
	for (int i = 0; i < N && n >= 0; i++)
		n += vec[i] & 1;
	munmap(p, LEN);
	return n;
}

/*
 * Write back and drop the cache of a file that nobody maps, for the next read to come from the disk; how many
 * pages are left. The end of a write may hold its last page for a moment yet.
 */
static long to_disk(int fd)
{
	long left = -1;

	for (int i = 0; i < 200 && left; i++) {
		if (fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
			return -1;
		left = cached(fd);
		if (left)
			usleep(1000);
	}
	return left;
}

FIXTURE(file)
{
	struct mm_stage *stage;
	int fd;
	char *p;
	uint64_t was[N], is[N];
};

/* The file is on the disk, and its cache in frames from which compaction moves it. */
FIXTURE_SETUP(file)
{
	static char bytes[LEN];

	NEED(need_file());
	self->fd = mm_tmpfile(DIR, LEN);
	ASSERT_LE(0, self->fd);
	mm_fill(bytes, LEN, 1);
	ASSERT_EQ(LEN, pwrite(self->fd, bytes, LEN, 0));
	ASSERT_EQ(0, to_disk(self->fd));
	self->stage = mm_stage(2 * LEN);
	ASSERT_NE(NULL, self->stage);
	self->p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	mm_touch_read(self->p, LEN);
}

FIXTURE_TEARDOWN(file)
{
	mm_stage_end(self->stage);
	munmap(self->p, LEN);
	close(self->fd);
}

static long with_flag(const uint64_t *pfns, size_t n, int flag)
{
	long count = 0;

	for (size_t i = 0; i < n; i++)
		count += mm_kpf(pfns[i], flag);
	return count;
}

/* clean pages of a shared and a private mapping get the same new frames, stay clean, keep their bytes */
TEST_F(file, clean)
{
	uint64_t other[N];
	char *q = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, self->fd, 0);

	ASSERT_NE(MAP_FAILED, q);
	mm_touch_read(q, LEN);
	EXPECT_EQ(N, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	ASSERT_EQ(0, mm_pfns(0, q, other, N));
	EXPECT_EQ(0, memcmp(self->is, other, sizeof(other)));
	EXPECT_EQ(0, with_flag(self->is, N, KPF_DIRTY));
	for (int i = 0; i < N; i++)
		EXPECT_EQ(2, mm_kpagecount(self->is[i]));
	EXPECT_EQ(-1, mm_check(self->p, LEN, 1));
	EXPECT_EQ(-1, mm_check(q, LEN, 1));
	munmap(q, LEN);
}

/* pages dirty in the page table when they move reach the disk, with no write after the move */
TEST_F(file, dirty_before)
{
	mm_fill(self->p, LEN / 2, 2);
	EXPECT_EQ(N, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	EXPECT_EQ(0, with_flag(self->is + N / 2, N / 2, KPF_DIRTY));
	ASSERT_EQ(0, munmap(self->p, LEN));
	ASSERT_EQ(0, to_disk(self->fd));
	self->p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	EXPECT_EQ(-1, mm_check(self->p, LEN / 2, 2));
	EXPECT_EQ(-1, mm_check_from(self->p + LEN / 2, LEN / 2, 1, LEN / 2));
}

/* the first write to a clean page after its move is noticed and reaches the disk; no other page is dirty */
TEST_F(file, dirty_after)
{
	mm_fill(self->p, LEN, 2);
	ASSERT_EQ(0, msync(self->p, LEN, MS_SYNC));
	EXPECT_EQ(N, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	EXPECT_EQ(0, with_flag(self->is, N, KPF_DIRTY));
	mm_fill(self->p, LEN / 2, 3);
	EXPECT_EQ(0, with_flag(self->is + N / 2, N / 2, KPF_DIRTY));
	ASSERT_EQ(0, munmap(self->p, LEN));
	ASSERT_EQ(0, to_disk(self->fd));
	self->p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	EXPECT_EQ(-1, mm_check(self->p, LEN / 2, 3));
	EXPECT_EQ(-1, mm_check_from(self->p + LEN / 2, LEN / 2, 2, LEN / 2));
}

/* copied pages of a private mapping move as anonymous memory, the file's own beside them, all bytes kept */
TEST_F(file, private_copy)
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
	EXPECT_EQ(N / 2, with_flag(is, N / 2, KPF_ANON));
	EXPECT_EQ(-1, mm_check(q, LEN / 2, 2));
	EXPECT_EQ(-1, mm_check_from(q + LEN / 2, LEN / 2, 1, LEN / 2));
	EXPECT_EQ(-1, mm_check(self->p, LEN, 1));
	munmap(q, LEN);
}

/* pages that were only written with write(2) and never mapped move while dirty, and reach the disk */
TEST_F(file, unmapped)
{
	static char bytes[LEN];

	ASSERT_EQ(0, mm_pfns(0, self->p, self->was, N));
	ASSERT_EQ(0, munmap(self->p, LEN));
	mm_fill(bytes, LEN, 2);
	ASSERT_EQ(LEN, pwrite(self->fd, bytes, LEN, 0));
	ASSERT_EQ(0, mm_stage_move(self->stage));
	self->p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	mm_touch_read(self->p, LEN);
	ASSERT_EQ(0, mm_pfns(0, self->p, self->is, N));
	EXPECT_EQ(N, mm_moved(self->was, self->is, N));
	EXPECT_EQ(-1, mm_check(self->p, LEN, 2));
	ASSERT_EQ(0, munmap(self->p, LEN));
	ASSERT_EQ(0, to_disk(self->fd));
	self->p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	EXPECT_EQ(-1, mm_check(self->p, LEN, 2));
}

TEST_HARNESS_MAIN
