// SPDX-License-Identifier: GPL-2.0
/*
 * What is cut off a file, or punched out of it, while it is mapped. mmap(2): "SIGBUS: Attempted access to a page of the buffer that
 * lies beyond the end of the mapped file"; fallocate(2): a hole reads as zeroes. Private copies go with the end, not with a hole.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	8
#define LEN	(PAGES * PAGE)
#define COPIED	2			/* every second page of the private mapping is its own */
#define SEED	1
#define OWN	2
#define RW	(PROT_READ | PROT_WRITE)

FIXTURE(file) {
	int fd;
	char *p, *q;			/* shared, and private */
	struct mm_cgroup cg;
	long shmem, mlocked, swap;
	blkcnt_t empty;			/* blocks of a file without pages */
};

FIXTURE_VARIANT(file) {
	const char *dir;		/* "" is a memfd */
	bool locked, swapped;
};

#define V(name, ...) FIXTURE_VARIANT_ADD(file, name) { __VA_ARGS__ }
V(tmpfs, .dir = "/tmp");
V(tmpfs_locked, .dir = "/tmp", .locked = true);
V(tmpfs_swapped, .dir = "/tmp", .swapped = true);
V(memfd, .dir = "");
V(memfd_locked, .dir = "", .locked = true);
V(memfd_swapped, .dir = "", .swapped = true);
V(ext4, .dir = "/mnt");
V(ext4_locked, .dir = "/mnt", .locked = true);
V(ext4_swapped, .dir = "/mnt", .swapped = true);

static blkcnt_t blocks(int fd)
{
	struct stat st;

	fsync(fd);
	return fstat(fd, &st) ? -1 : st.st_blocks;
}

static bool on_disk(const FIXTURE_VARIANT(file) *v)
{
	return !strcmp(v->dir, "/mnt");
}

FIXTURE_SETUP(file)
{
	NEED(variant->swapped ? mm_need_swap() ?: mm_need_memcg() : NULL);
	self->shmem = mm_meminfo("Shmem");
	self->mlocked = mm_mlocked();
	self->swap = mm_swap_used();
	self->fd = mm_tmpfile(variant->dir, LEN);
	ASSERT_LE(0, self->fd);
	self->empty = blocks(self->fd);
	self->p = mm_reserve(LEN, PAGE);
	self->q = mm_reserve(LEN, PAGE);
	ASSERT_EQ(self->p, mmap(self->p, LEN, RW, MAP_SHARED | MAP_FIXED, self->fd, 0));
	ASSERT_EQ(self->q, mmap(self->q, LEN, RW, MAP_PRIVATE | MAP_FIXED, self->fd, 0));
	if (variant->swapped) {
		ASSERT_EQ(0, mm_cgroup_create(&self->cg, "truncate"));
		ASSERT_EQ(0, mm_cgroup_enter(&self->cg));
	}
	mm_fill(self->p, LEN, SEED);
	ASSERT_EQ(self->empty + (blkcnt_t)(LEN / 512), blocks(self->fd));
	mm_touch_read(self->q, LEN);
	for (size_t at = 0; at < LEN; at += COPIED * PAGE)
		mm_fill_from(self->q + at, PAGE, OWN, at);
	if (variant->locked) {
		ASSERT_EQ(0, mlock(self->p, LEN));
		ASSERT_EQ(0, mlock2(self->q, LEN, MLOCK_ONFAULT));
	}
	if (variant->swapped) {
		ASSERT_EQ(0, mm_cgroup_leave());
		ASSERT_EQ(0, mm_cgroup_drop(&self->cg, self->q, LEN));
		ASSERT_EQ(0, mm_cgroup_drop(&self->cg, self->p, LEN));
	}
}

FIXTURE_TEARDOWN(file)
{
	munmap(self->p, LEN);
	munmap(self->q, LEN);
	close(self->fd);
	if (variant->swapped)
		EXPECT_EQ(0, mm_cgroup_remove(&self->cg));
	EXPECT_EQ(self->shmem, mm_meminfo("Shmem"));
	EXPECT_EQ(self->mlocked, mm_mlocked());
	if (!mm_vmstat("nr_swapcached"))
		EXPECT_EQ(self->swap, mm_swap_used());
}

/* How a page of the private mapping reads: its own, or the file's. */
static bool own_page(const FIXTURE_DATA(file) *self, size_t at)
{
	return at / PAGE % COPIED == 0;
}

/* How many pages of [from, to) do not have the bytes that they had. */
static int changed(const FIXTURE_DATA(file) *self, size_t from, size_t to, bool own)
{
	int n = 0;

	for (size_t at = from; at < to; at += PAGE) {
		n += mm_check_from(self->p + at, PAGE, SEED, at) != -1;
		if (own)
			n += mm_check_from(self->q + at, PAGE, own_page(self, at) ? OWN : SEED, at) != -1;
	}
	return n;
}

/* How many accesses to [from, to), by either mapping, to read or to write, are not SIGBUS, BUS_ADRERR. */
static int allowed(const FIXTURE_DATA(file) *self, size_t from, size_t to)
{
	int n = 0;

	mm_probe_begin();
	for (size_t at = from; at < to; at += PAGE) {
		for (int i = 0; i < 4; i++) {
			char *c = (i & 1 ? self->p : self->q) + at;
			int sig = i & 2 ? mm_probe_write(c, 1) : mm_probe_read(c);

			n += sig != SIGBUS || mm_probe_code() != BUS_ADRERR;
		}
	}
	mm_probe_end();
	return n;
}

/* what is behind the new end is SIGBUS, also what a private mapping had copied; memory, blocks and slots of it are free */
TEST_F(file, cut)
{
	for (int pages = PAGES - 1; pages >= 0; pages -= 3) {
		ASSERT_EQ(0, ftruncate(self->fd, pages * PAGE));
		EXPECT_EQ(0, allowed(self, pages * PAGE, LEN)) TH_LOG("cut to %d pages", pages);
		EXPECT_EQ(0, mm_count_present(0, self->p + pages * PAGE, LEN - pages * PAGE));
		EXPECT_EQ(0, mm_count_present(0, self->q + pages * PAGE, LEN - pages * PAGE));
		EXPECT_EQ(0, mm_count_swapped(0, self->q + pages * PAGE, LEN - pages * PAGE));
		EXPECT_EQ(self->empty + (blkcnt_t)(pages * PAGE / 512), blocks(self->fd)) TH_LOG("cut to %d pages", pages);
		EXPECT_EQ(variant->locked ? 2 * LEN / KB : 0, mm_status(0, "VmLck"));
	}
	EXPECT_EQ(0, changed(self, 0, PAGE, true));
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	EXPECT_EQ(0, allowed(self, 0, LEN));
	EXPECT_EQ(self->shmem, mm_meminfo("Shmem"));
	EXPECT_EQ(self->mlocked, mm_mlocked());
	if (!mm_vmstat("nr_swapcached"))
		EXPECT_EQ(self->swap, mm_swap_used());
}

/* longer again it has zeroes where it was cut, by both mappings, to the byte, and can be written */
TEST_F(file, cut_and_longer)
{
	const size_t end = 3 * PAGE + 100, page = 3 * PAGE;
	char buf[PAGE];

	ASSERT_EQ(0, ftruncate(self->fd, end));
	EXPECT_EQ(0, allowed(self, 4 * PAGE, LEN));
	/* Behind the end, but in its page: zeroes, which can be written and are not the file's. */
	EXPECT_EQ(-1, mm_check_from(self->p + page, 100, SEED, page));
	EXPECT_EQ(-1, mm_check_byte(self->p + end, PAGE - 100, 0));
	ASSERT_EQ(0, ftruncate(self->fd, LEN));
	EXPECT_EQ(-1, mm_check_byte(self->p + end, LEN - end, 0));
	EXPECT_EQ(-1, mm_check_byte(self->q + 4 * PAGE, LEN - 4 * PAGE, 0));
	EXPECT_EQ(0, changed(self, 0, page, true));
	EXPECT_EQ(PAGE, pread(self->fd, buf, PAGE, page));
	EXPECT_EQ(-1, mm_check_from(buf, 100, SEED, page));
	EXPECT_EQ(-1, mm_check_byte(buf + 100, PAGE - 100, 0));
	mm_fill(self->p, LEN, SEED);
	EXPECT_EQ(0, changed(self, 0, LEN, false));
	EXPECT_EQ(self->empty + (blkcnt_t)(LEN / 512), blocks(self->fd));
	/* The private mapping follows the file where it has no copy any more. */
	EXPECT_EQ(-1, mm_check_from(self->q + 4 * PAGE, LEN - 4 * PAGE, SEED, 4 * PAGE));
}

/* what is written behind the end within the last page is not the file's: no read() has it, nor the file on a disk when it grows */
TEST_F(file, tail)
{
	const size_t end = 2 * PAGE + 10;
	char byte;

	ASSERT_EQ(0, ftruncate(self->fd, end));
	EXPECT_EQ(0, self->p[end]);
	EXPECT_EQ(0, mm_probe_write(self->p + end, 0x77));
	EXPECT_EQ(0, pread(self->fd, &byte, 1, end));
	EXPECT_EQ(SIGBUS, mm_probe_write(self->p + 3 * PAGE, 0x77));
	ASSERT_EQ(0, ftruncate(self->fd, LEN));
	EXPECT_EQ(1, pread(self->fd, &byte, 1, end));
	EXPECT_EQ(byte, self->p[end]);
	/* Shared memory is not zeroed as it grows. */
	mm_report("tail_kept", byte != 0);
	if (on_disk(variant))
		EXPECT_EQ(0, byte);
	ASSERT_EQ(0, ftruncate(self->fd, end));
	ASSERT_EQ(0, ftruncate(self->fd, LEN));
	EXPECT_EQ(0, self->p[end]);
}

/* a hole reads as zeroes, and is none for a private mapping where it has copied; the length stays, blocks and pages go */
TEST_F(file, punched)
{
	const size_t from = 2 * PAGE, to = 6 * PAGE;

	ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, to - from));
	EXPECT_EQ(self->empty + (blkcnt_t)((LEN - (to - from)) / 512), blocks(self->fd));
	EXPECT_EQ(LEN, lseek(self->fd, 0, SEEK_END));
	EXPECT_EQ(0, mm_count_present(0, self->p + from, to - from));
	if (!on_disk(variant) && !variant->swapped)
		EXPECT_EQ(self->shmem + (long)((LEN - (to - from)) / KB), mm_meminfo("Shmem"));
	for (size_t at = from; at < to; at += PAGE) {
		char *c = self->q + at;

		EXPECT_EQ(-1, own_page(self, at) ? mm_check_from(c, PAGE, OWN, at) : mm_check_byte(c, PAGE, 0));
	}
	EXPECT_EQ(-1, mm_check_byte(self->p + from, to - from, 0));
	EXPECT_EQ(0, changed(self, 0, from, true));
	EXPECT_EQ(0, changed(self, to, LEN, true));
	EXPECT_EQ(variant->locked ? 2 * LEN / KB : 0, mm_status(0, "VmLck"));
	mm_fill(self->p, LEN, SEED);
	EXPECT_EQ(self->empty + (blkcnt_t)(LEN / 512), blocks(self->fd));
	EXPECT_EQ(0, changed(self, 0, LEN, true));
}

/* a hole of bytes has zeroes for these alone, and no block goes but whole ones */
TEST_F(file, punched_bytes)
{
	const size_t from = PAGE + 100, to = 4 * PAGE + 50;
	struct statvfs st;
	size_t gone;

	ASSERT_EQ(0, fstatvfs(self->fd, &st));
	gone = to / st.f_bsize * st.f_bsize - (from / st.f_bsize + 1) * st.f_bsize;
	ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, to - from));
	EXPECT_EQ(self->empty + (blkcnt_t)((LEN - gone) / 512), blocks(self->fd));
	EXPECT_EQ(-1, mm_check_byte(self->p + from, to - from, 0));
	EXPECT_EQ(-1, mm_check_from(self->p, from, SEED, 0));
	EXPECT_EQ(-1, mm_check_from(self->p + to, LEN - to, SEED, to));
	/* The copies are as they were: of these two pages and beyond. */
	EXPECT_EQ(-1, mm_check_from(self->q + 2 * PAGE, PAGE, OWN, 2 * PAGE));
	EXPECT_EQ(-1, mm_check_from(self->q + 4 * PAGE, PAGE, OWN, 4 * PAGE));
}

static int child(void *arg)
{
	FIXTURE_DATA(file) *self = arg;

	return ftruncate(self->fd, 2 * PAGE) || allowed(self, 2 * PAGE, LEN) || changed(self, 0, 2 * PAGE, true);
}

/* who cuts it does so for all that map it */
TEST_F(file, by_child)
{
	EXPECT_EQ(0, mm_in_child(child, self));
	EXPECT_EQ(0, allowed(self, 2 * PAGE, LEN));
	EXPECT_EQ(0, changed(self, 0, 2 * PAGE, true));
}

/* a mapping that is longer than its file, from the first: SIGBUS behind the last page, which system calls have as EFAULT */
TEST(longer_than_file)
{
	static const char *const dirs[] = { "/tmp", "/mnt" };

	for (int i = 0; i < 2; i++) {
		int fd = mm_tmpfile(dirs[i], PAGE + 1), ends[2];
		char *p = mmap(NULL, LEN, RW, MAP_SHARED, fd, 0);

		ASSERT_LE(0, fd);
		ASSERT_NE(MAP_FAILED, p);
		ASSERT_EQ(0, pipe2(ends, O_CLOEXEC));
		EXPECT_EQ(0, mm_probe_write(p + PAGE, 1));
		EXPECT_EQ(SIGBUS, mm_probe_read(p + 2 * PAGE));
		EXPECT_EQ(BUS_ADRERR, mm_probe_code());
		EXPECT_EQ(SIGBUS, mm_probe_write(p + LEN - PAGE, 1));
		errno = 0;
		EXPECT_EQ(-1, write(ends[1], p + 2 * PAGE, 1));
		EXPECT_EQ(EFAULT, errno);
		/* It grows with the file. */
		ASSERT_EQ(0, ftruncate(fd, LEN));
		EXPECT_EQ(0, mm_probe_read(p + LEN - PAGE));
		EXPECT_EQ(1, p[PAGE]);
		munmap(p, LEN);
		close(fd);
		close(ends[0]);
		close(ends[1]);
	}
}

TEST_HARNESS_MAIN
