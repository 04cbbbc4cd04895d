// SPDX-License-Identifier: GPL-2.0
/*
 * mincore(2): "returns a vector that indicates whether pages of the calling process's virtual memory are resident in core":
 * mapped, or of a file and in the page cache, or in the swap cache.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	8
#define LEN	(PAGES * PAGE)
#define SEED	1
#define RW	(PROT_READ | PROT_WRITE)
#define FILL	0xa5		/* of a vector before the call */

#define EXPECT_ERROR(err, call) do { errno = 0; EXPECT_EQ(-1, call); EXPECT_EQ((err), errno); } while (0)

/* A bit for each page of the range that is in core; -errno, or -1000 if a byte is neither 0 nor 1. */
static long in_core(char *p, int pages)
{
	unsigned char vec[2 * PAGES];
	long bits = 0;

	memset(vec, FILL, sizeof(vec));
	if (mincore(p, pages * PAGE, vec))
		return -errno;
	for (int i = 0; i < pages; i++) {
		if (vec[i] > 1)
			return -1000;
		bits |= (long)vec[i] << i;
	}
	for (int i = pages; i < 2 * PAGES; i++)
		if (vec[i] != FILL)
			return -1000;
	return bits;
}

#define ALL	0xff

/* private memory: what was touched, by a load too, until it is given up or swapped out */
TEST(anon)
{
	char *p = mm_map_aligned(LEN, PAGE);

	ASSERT_NE(NULL, p);
	EXPECT_EQ(0, in_core(p, PAGES));
	mm_touch_read(p, PAGE);
	mm_fill(p + 2 * PAGE, 2 * PAGE, SEED);
	EXPECT_EQ(0x0d, in_core(p, PAGES));
	ASSERT_EQ(0, madvise(p + 2 * PAGE, PAGE, MADV_DONTNEED));
	EXPECT_EQ(0x09, in_core(p, PAGES));
	ASSERT_EQ(0, madvise(p, LEN, MADV_POPULATE_WRITE));
	EXPECT_EQ(ALL, in_core(p, PAGES));
	/* Rights do not matter. */
	ASSERT_EQ(0, mprotect(p, LEN, PROT_NONE));
	EXPECT_EQ(ALL, in_core(p, PAGES));
	ASSERT_EQ(0, mprotect(p, LEN, RW));
	ASSERT_EQ(0, madvise(p, LEN, MADV_FREE));
	EXPECT_EQ(ALL, in_core(p, PAGES));
	munmap(p, LEN);
}

FIXTURE(swapped) {
	char *p;
};

FIXTURE_VARIANT(swapped) {
	int flags;
};

FIXTURE_VARIANT_ADD(swapped, anon) { .flags = MAP_PRIVATE };
FIXTURE_VARIANT_ADD(swapped, shmem) { .flags = MAP_SHARED };

FIXTURE_SETUP(swapped)
{
	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	self->p = mm_reserve(LEN, PAGE);
	ASSERT_EQ(self->p, mmap(self->p, LEN, RW, variant->flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
}

FIXTURE_TEARDOWN(swapped)
{
	munmap(self->p, LEN);
}

/* what is in swap alone is not in core, what was read from there is, and what is in the swap cache before it is mapped */
TEST_F(swapped, out_and_in)
{
	mm_fill(self->p, LEN, SEED);
	EXPECT_EQ(ALL, in_core(self->p, PAGES));
	ASSERT_EQ(0, munmap(self->p, LEN));
	ASSERT_EQ(self->p, mmap(self->p, LEN, RW, variant->flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	ASSERT_EQ(0, mm_fill_swapped(self->p, LEN, SEED));
	ASSERT_EQ(0, in_core(self->p, PAGES));
	EXPECT_EQ(-1, mm_check(self->p, PAGE, SEED));
	EXPECT_EQ(1, in_core(self->p, 1));
	ASSERT_EQ(0, madvise(self->p, LEN, MADV_WILLNEED));
	/* It is there when it has been read, which the call does not wait for. */
	for (int ms = 0; ms < 1000 && in_core(self->p, PAGES) != ALL; ms++)
		usleep(1000);
	EXPECT_EQ(ALL, in_core(self->p, PAGES));
	EXPECT_GT(PAGES, mm_count_present(0, self->p, LEN));
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
	EXPECT_EQ(ALL, in_core(self->p, PAGES));
}

FIXTURE(file) {
	int fd;
	char *p, *q;		/* shared, and private */
};

FIXTURE_VARIANT(file) {
	const char *dir;
	bool disk;
};

FIXTURE_VARIANT_ADD(file, ext4) { .dir = "/mnt", .disk = true };
FIXTURE_VARIANT_ADD(file, tmpfs) { .dir = "/tmp" };

FIXTURE_SETUP(file)
{
	self->fd = mm_tmpfile(variant->dir, LEN);
	ASSERT_LE(0, self->fd);
	self->p = mmap(NULL, LEN, RW, MAP_SHARED, self->fd, 0);
	self->q = mmap(NULL, LEN, RW, MAP_PRIVATE, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	ASSERT_NE(MAP_FAILED, self->q);
}

FIXTURE_TEARDOWN(file)
{
	munmap(self->p, LEN);
	munmap(self->q, LEN);
	close(self->fd);
}

/* what the page cache has, whoever brought it in and whether it is mapped or not: by all mappings of it */
TEST_F(file, page_cache)
{
	char buf[PAGE];

	EXPECT_EQ(0, in_core(self->p, PAGES));
	EXPECT_EQ(0, in_core(self->q, PAGES));
	mm_fill(buf, PAGE, SEED);
	for (int i = 1; i < PAGES; i += 3)
		ASSERT_EQ(PAGE, pwrite(self->fd, buf, PAGE, i * PAGE));
	EXPECT_EQ(0x92, in_core(self->p, PAGES));
	EXPECT_EQ(0x92, in_core(self->q, PAGES));
	EXPECT_EQ(0, mm_count_present(0, self->p, LEN));
	/* A copy is in core when the page of the file is not any more. */
	mm_fill(self->q + PAGE, PAGE, SEED + 1);
	ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, LEN));
	EXPECT_EQ(0, in_core(self->p, PAGES));
	EXPECT_EQ(0x02, in_core(self->q, PAGES));
	EXPECT_EQ(-1, mm_check(self->q + PAGE, PAGE, SEED + 1));
}

/* what the page cache has given up is not in core: nothing but the disk has it */
TEST_F(file, given_up)
{
	int had;

	mm_fill(self->p, LEN, SEED);
	ASSERT_EQ(0, fsync(self->fd));
	ASSERT_EQ(0, madvise(self->p, LEN, MADV_DONTNEED));
	EXPECT_EQ(ALL, in_core(self->p, PAGES));
	EXPECT_EQ(0, mm_count_present(0, self->p, LEN));
	mm_lru_drain();
	ASSERT_EQ(0, posix_fadvise(self->fd, 0, LEN, POSIX_FADV_DONTNEED));
	had = in_core(self->p, PAGES);
	EXPECT_EQ(variant->disk ? 0 : ALL, had);
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
	EXPECT_EQ(ALL, in_core(self->p, PAGES));
}

/* beyond the end of the file nothing is in core, nor what was there before it was cut */
TEST_F(file, beyond_end)
{
	mm_fill(self->p, LEN, SEED);
	ASSERT_EQ(0, ftruncate(self->fd, 3 * PAGE + 1));
	EXPECT_EQ(0x0f, in_core(self->p, PAGES));
	ASSERT_EQ(0, ftruncate(self->fd, LEN));
	EXPECT_EQ(0x0f, in_core(self->p, PAGES));
}

/* The pages of another's file, which the child maps: all are said to be in core, so that it learns nothing. */
static int others_file(void *arg)
{
	FIXTURE_DATA(file) *self = arg;
	char path[64], *p;
	long bits;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->fd);
	if (setresuid(1000, 1000, 1000))
		return 1;
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return 2;
	p = mmap(NULL, LEN, RW, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return 3;
	bits = in_core(p, PAGES);
	return bits == ALL ? 0 : bits == 0x01 ? 10 : 4;
}

/* of a file that one neither owns nor may write all pages are in core, of one's own those that are */
TEST_F(file, of_others)
{
	static const char buf[PAGE];

	ASSERT_EQ(0, fchmod(self->fd, 0644));
	/* A store would read the pages beside it, too; of less than a page the rest is not there. */
	ASSERT_EQ(PAGE, pwrite(self->fd, buf, PAGE, 0));
	EXPECT_EQ(0, mm_in_child(others_file, self));
	ASSERT_EQ(0, fchmod(self->fd, 0666));
	EXPECT_EQ(10, mm_in_child(others_file, self));
	ASSERT_EQ(0, fchmod(self->fd, 0644));
	ASSERT_EQ(0, fchown(self->fd, 1000, 0));
	EXPECT_EQ(10, mm_in_child(others_file, self));
	EXPECT_EQ(0x01, in_core(self->p, PAGES));
}

/* over several mappings, of different kinds, page by page */
TEST(mixed)
{
	int fd = mm_memfd(LEN);
	char *p = mm_map_aligned(LEN, PAGE), byte = 1;

	ASSERT_LE(0, fd);
	ASSERT_NE(NULL, p);
	ASSERT_EQ(p + 3 * PAGE, mmap(p + 3 * PAGE, 3 * PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0));
	ASSERT_EQ(1, pwrite(fd, &byte, 1, PAGE));
	mm_touch_write(p + 2 * PAGE, PAGE);
	mm_touch_write(p + 7 * PAGE, PAGE);
	EXPECT_EQ(0x94, in_core(p, PAGES));
	EXPECT_EQ(0x25, in_core(p + 2 * PAGE, 6));
	munmap(p, LEN);
	close(fd);
}

/* guard regions are nothing: not in core, whatever was there before */
TEST(guard)
{
	char *p = mm_map_aligned(LEN, PAGE);

	NEED(mm_need_guard(MAP_PRIVATE));
	ASSERT_NE(NULL, p);
	mm_fill(p, LEN, SEED);
	ASSERT_EQ(0, madvise(p + 2 * PAGE, 2 * PAGE, MADV_GUARD_INSTALL));
	EXPECT_EQ(0xf3, in_core(p, PAGES));
	munmap(p, LEN);
}

/* an address within a page is EINVAL, a vector that cannot be written EFAULT, what is not mapped or wraps ENOMEM */
TEST(errors)
{
	unsigned char vec[PAGES], *end = mm_map_aligned(2 * PAGE, PAGE);
	char *p = mm_map_aligned(LEN, PAGE);

	ASSERT_NE(NULL, p);
	ASSERT_NE(NULL, end);
	ASSERT_EQ(0, mprotect(end + PAGE, PAGE, PROT_NONE));
	end += PAGE;
	mm_touch_write(p, LEN);
	EXPECT_ERROR(EINVAL, mincore(p + 1, PAGE, vec));
	EXPECT_ERROR(EINVAL, mincore(p + 1, 0, vec));
	EXPECT_ERROR(EFAULT, mincore(p, LEN, NULL));
	EXPECT_ERROR(EFAULT, mincore(p, LEN, end));
	EXPECT_ERROR(EFAULT, mincore(p, LEN, end - PAGES + 1));
	EXPECT_EQ(0, mincore(p, LEN, end - PAGES));
	EXPECT_EQ(0, mincore(p, 0, vec));
	EXPECT_EQ(0, mincore(p, LEN - PAGE + 1, end - PAGES));
	EXPECT_EQ(1, end[-1]);
	EXPECT_ERROR(ENOMEM, mincore(p, -(uintptr_t)p, vec));
	EXPECT_ERROR(ENOMEM, mincore(p, -PAGE, vec));
	ASSERT_EQ(0, munmap(p + 3 * PAGE, PAGE));
	memset(vec, FILL, sizeof(vec));
	EXPECT_ERROR(ENOMEM, mincore(p, LEN, vec));
	/* A vector that is too short beyond the hole is not looked at. */
	EXPECT_EQ(FILL, vec[4]);
	EXPECT_ERROR(ENOMEM, mincore(p + 3 * PAGE, PAGE, vec));
	EXPECT_EQ(0, mincore(p, 3 * PAGE, vec));
	munmap(p, LEN);
	munmap(end - PAGE, 2 * PAGE);
}

TEST_HARNESS_MAIN
