// SPDX-License-Identifier: GPL-2.0
/*
 * msync(2): "flushes changes made to the in-core copy of a file [...] back to the filesystem", of the range and no more, and what
 * of it is not mapped is ENOMEM after the rest has been flushed.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	8
#define LEN	(PAGES * PAGE)
#define SEED	1
#define RW	(PROT_READ | PROT_WRITE)
#define LEN_KB	((long)(LEN / KB))
#define PAGE_KB	((long)(PAGE / KB))

#define EXPECT_ERROR(err, call) do { errno = 0; EXPECT_EQ(-1, call); EXPECT_EQ((err), errno); } while (0)

static long dirty(const char *p)
{
	return mm_smaps(0, p, "Private_Dirty") + mm_smaps(0, p, "Shared_Dirty");
}

/* A file on a disk, mapped shared, written, and not on the disk yet. */
FIXTURE(disk) {
	int fd;
	char *p;
};

FIXTURE_SETUP(disk)
{
	self->fd = mm_tmpfile("/mnt", LEN);
	ASSERT_LE(0, self->fd);
	self->p = mm_reserve(LEN, PAGE);
	ASSERT_EQ(self->p, mmap(self->p, LEN, RW, MAP_SHARED | MAP_FIXED, self->fd, 0));
	mm_fill(self->p, LEN, SEED);
	ASSERT_EQ(0, fsync(self->fd));
	ASSERT_EQ(0, dirty(self->p));
	mm_fill(self->p, LEN, SEED + 1);
	ASSERT_EQ(LEN_KB, dirty(self->p));
}

FIXTURE_TEARDOWN(disk)
{
	munmap(self->p, LEN);
	close(self->fd);
}

/* MS_SYNC: on the disk when it returns, the pages are clean, mapped and where they were; a store makes one dirty again */
TEST_F(disk, sync)
{
	uint64_t was[PAGES], is[PAGES];
	long written;

	ASSERT_EQ(0, mm_pfns(0, self->p, was, PAGES));
	written = mm_vmstat("nr_written");
	ASSERT_EQ(0, msync(self->p, LEN, MS_SYNC));
	EXPECT_EQ(0, dirty(self->p));
	EXPECT_EQ(LEN_KB, mm_smaps(0, self->p, "Private_Clean"));
	EXPECT_LE(PAGES, mm_vmstat("nr_written") - written);
	ASSERT_EQ(0, mm_pfns(0, self->p, is, PAGES));
	for (int i = 0; i < PAGES; i++) {
		EXPECT_EQ(was[i], is[i]) TH_LOG("page %d", i);
	}
	mm_touch_write(self->p + 3 * PAGE, PAGE);
	EXPECT_EQ(PAGE_KB, dirty(self->p));
	/* From the disk, and nowhere else. */
	ASSERT_EQ(0, msync(self->p, LEN, MS_SYNC));
	ASSERT_EQ(0, madvise(self->p, LEN, MADV_DONTNEED));
	mm_lru_drain();
	ASSERT_EQ(0, posix_fadvise(self->fd, 0, LEN, POSIX_FADV_DONTNEED));
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED + 1));
}

/* MS_ASYNC, no flag and MS_INVALIDATE alone start nothing, as the manual says since Linux 2.6.19: the pages stay dirty */
TEST_F(disk, nothing_to_wait_for)
{
	static const int flags[] = { MS_ASYNC, 0, MS_INVALIDATE, MS_ASYNC | MS_INVALIDATE };

	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, msync(self->p, LEN, flags[i]));
		EXPECT_EQ(LEN_KB, dirty(self->p)) TH_LOG("flags %d", flags[i]);
	}
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED + 1));
	EXPECT_EQ(0, msync(self->p, LEN, MS_SYNC | MS_INVALIDATE));
	EXPECT_EQ(0, dirty(self->p));
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED + 1));
}

/* a part, rounded out to pages: those outside stay dirty */
TEST_F(disk, part)
{
	ASSERT_EQ(0, msync(self->p + 2 * PAGE, PAGE + 1, MS_SYNC));
	EXPECT_EQ(LEN_KB - 2 * PAGE_KB, dirty(self->p));
	ASSERT_EQ(0, mprotect(self->p + 2 * PAGE, 2 * PAGE, PROT_READ));
	EXPECT_EQ(0, dirty(self->p + 2 * PAGE));
	EXPECT_EQ(2 * PAGE_KB, dirty(self->p));
	EXPECT_EQ(4 * PAGE_KB, dirty(self->p + 4 * PAGE));
	ASSERT_EQ(0, msync(self->p, 0, MS_SYNC));
	EXPECT_EQ(2 * PAGE_KB, dirty(self->p));
	/* Over mappings of different rights all of it goes. */
	ASSERT_EQ(0, msync(self->p, LEN, MS_SYNC));
	EXPECT_EQ(0, dirty(self->p));
	EXPECT_EQ(0, dirty(self->p + 4 * PAGE));
}

/* by another mapping of the file, and by another process: the pages are the file's */
TEST_F(disk, other_mapping)
{
	char *q = mmap(NULL, LEN, PROT_READ, MAP_SHARED, self->fd, 0);

	ASSERT_NE(MAP_FAILED, q);
	ASSERT_EQ(0, msync(q + 4 * PAGE, 4 * PAGE, MS_SYNC));
	EXPECT_EQ(4 * PAGE_KB, dirty(self->p));
	/* A private one has nothing to write back. */
	ASSERT_EQ(q, mmap(q, LEN, RW, MAP_PRIVATE | MAP_FIXED, self->fd, 0));
	mm_fill(q, PAGE, SEED + 2);
	ASSERT_EQ(0, msync(q, LEN, MS_SYNC));
	EXPECT_EQ(4 * PAGE_KB, dirty(self->p));
	EXPECT_EQ(-1, mm_check(q, PAGE, SEED + 2));
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED + 1));
	munmap(q, LEN);
}

/* a hole: ENOMEM, and what is mapped before and behind it is on the disk; without MS_SYNC too, and nothing is */
TEST_F(disk, hole)
{
	char *q = mmap(NULL, LEN, PROT_READ, MAP_SHARED, self->fd, 0);

	ASSERT_NE(MAP_FAILED, q);
	ASSERT_EQ(0, munmap(self->p + 3 * PAGE, PAGE));
	EXPECT_ERROR(ENOMEM, msync(self->p, LEN, MS_ASYNC));
	mm_touch_read(q, LEN);
	EXPECT_EQ(LEN_KB, dirty(q));
	EXPECT_ERROR(ENOMEM, msync(self->p, LEN, MS_SYNC));
	EXPECT_EQ(PAGE_KB, dirty(q));
	EXPECT_ERROR(ENOMEM, msync(self->p + 3 * PAGE, PAGE, MS_SYNC));
	EXPECT_EQ(PAGE_KB, dirty(q));
	/* At an end of it. */
	mm_fill(self->p + 2 * PAGE, PAGE, SEED);
	EXPECT_ERROR(ENOMEM, msync(self->p + 2 * PAGE, 2 * PAGE, MS_SYNC));
	EXPECT_EQ(PAGE_KB, dirty(q));
	munmap(q, LEN);
}

/* "EBUSY: MS_INVALIDATE was specified in flags, and a memory lock exists for the specified address range" */
TEST_F(disk, locked)
{
	ASSERT_EQ(0, mlock(self->p + 4 * PAGE, PAGE));
	EXPECT_ERROR(EBUSY, msync(self->p, LEN, MS_INVALIDATE));
	EXPECT_ERROR(EBUSY, msync(self->p + 4 * PAGE, PAGE, MS_SYNC | MS_INVALIDATE));
	EXPECT_ERROR(EBUSY, msync(self->p + 4 * PAGE, PAGE, MS_ASYNC | MS_INVALIDATE));
	EXPECT_EQ(PAGE_KB, dirty(self->p + 4 * PAGE));
	EXPECT_EQ(0, msync(self->p, 4 * PAGE, MS_INVALIDATE));
	/* Without it a lock does not matter. */
	EXPECT_EQ(0, msync(self->p, LEN, MS_SYNC));
	EXPECT_EQ(0, dirty(self->p + 4 * PAGE));
	ASSERT_EQ(0, munlock(self->p, LEN));
	EXPECT_EQ(0, msync(self->p, LEN, MS_INVALIDATE));
}

/* flags that exclude each other or that there are not, and an address within a page, are EINVAL: nothing is written */
TEST_F(disk, invalid)
{
	static const int flags[] = { MS_SYNC | MS_ASYNC, MS_SYNC | MS_ASYNC | MS_INVALIDATE, 8, 8 | MS_SYNC, 1 << 30, -1 };

	for (int i = 0; i < 6; i++)
		EXPECT_ERROR(EINVAL, msync(self->p, LEN, flags[i]));
	EXPECT_ERROR(EINVAL, msync(self->p + 1, LEN, MS_SYNC));
	EXPECT_ERROR(EINVAL, msync(self->p + PAGE - 1, 1, MS_SYNC));
	EXPECT_ERROR(ENOMEM, msync(self->p, -(uintptr_t)self->p - PAGE, MS_ASYNC));
	EXPECT_ERROR(ENOMEM, msync(self->p, -2 * PAGE, MS_SYNC));
	EXPECT_EQ(LEN_KB, dirty(self->p));
}

FIXTURE(memory) {
	int fd;
	char *p;
};

FIXTURE_VARIANT(memory) {
	int flags;
	const char *dir;
};

FIXTURE_VARIANT_ADD(memory, anon) { .flags = MAP_PRIVATE };
FIXTURE_VARIANT_ADD(memory, shmem) { .flags = MAP_SHARED };
FIXTURE_VARIANT_ADD(memory, tmpfs) { .flags = MAP_SHARED, .dir = "/tmp" };
FIXTURE_VARIANT_ADD(memory, tmpfs_private) { .flags = MAP_PRIVATE, .dir = "/tmp" };

FIXTURE_SETUP(memory)
{
	self->fd = variant->dir ? mm_tmpfile(variant->dir, LEN) : -1;
	self->p = mm_reserve(LEN, PAGE);
	ASSERT_EQ(self->p, mmap(self->p, LEN, RW, variant->flags | MAP_FIXED | (variant->dir ? 0 : MAP_ANONYMOUS), self->fd, 0));
	mm_fill(self->p, LEN, SEED);
}

FIXTURE_TEARDOWN(memory)
{
	munmap(self->p, LEN);
	if (self->fd >= 0)
		close(self->fd);
}

/* what no disk is behind is as it was, with the same errors */
TEST_F(memory, stays)
{
	EXPECT_EQ(0, msync(self->p, LEN, MS_SYNC));
	EXPECT_EQ(0, msync(self->p, LEN, MS_ASYNC | MS_INVALIDATE));
	EXPECT_EQ(LEN_KB, dirty(self->p));
	EXPECT_EQ(PAGES, mm_count_present(0, self->p, LEN));
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
	EXPECT_ERROR(EINVAL, msync(self->p, LEN, MS_SYNC | MS_ASYNC));
	ASSERT_EQ(0, mlock(self->p, PAGE));
	EXPECT_ERROR(EBUSY, msync(self->p, LEN, MS_INVALIDATE));
	ASSERT_EQ(0, munmap(self->p + PAGE, PAGE));
	EXPECT_ERROR(ENOMEM, msync(self->p, LEN, MS_SYNC));
}

TEST_HARNESS_MAIN
