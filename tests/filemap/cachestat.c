// SPDX-License-Identifier: GPL-2.0
/* cachestat(2): which pages of a file are in memory, dirty, or were; and who may know (mm/filemap.c, "return values"). */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "mm.h"

#ifndef __NR_cachestat
#define __NR_cachestat 451
#endif

#define PAGES	32
#define LEN	(PAGES * PAGE)
#define SEED	1
#define USER	1000

static int ask(int fd, uint64_t off, uint64_t len, struct cachestat *cs)
{
	struct cachestat_range range = { .off = off, .len = len };

	return syscall(__NR_cachestat, fd, &range, cs, 0U) ? errno : 0;
}

static const char *need_cachestat(void)
{
	struct cachestat cs;

	return ask(-1, 0, 0, &cs) == ENOSYS ? "cachestat()" : NULL;
}

FIXTURE(file) {
	int fd;
	struct mm_cgroup cg;
	struct cachestat cs;
};

FIXTURE_VARIANT(file) {
	const char *dir;		/* "" is a memfd */
	bool on_disk;
};

FIXTURE_VARIANT_ADD(file, ext4) { .dir = "/mnt", .on_disk = true };
FIXTURE_VARIANT_ADD(file, tmpfs) { .dir = "/tmp" };
FIXTURE_VARIANT_ADD(file, memfd) { .dir = "" };

static int write_pages(int fd, int from, int n)
{
	static char page[PAGE];

	for (int i = from; i < from + n; i++) {
		mm_fill_from(page, PAGE, SEED, i * PAGE);
		if (pwrite(fd, page, PAGE, i * PAGE) != PAGE)
			return -errno;
	}
	return 0;
}

static int read_pages(int fd, int from, int n)
{
	static char page[PAGE];
	int bad = 0;

	for (int i = from; i < from + n; i++)
		bad += pread(fd, page, PAGE, i * PAGE) != PAGE || mm_check_from(page, PAGE, SEED, i * PAGE) != -1;
	return bad;
}

FIXTURE_SETUP(file)
{
	NEED(need_cachestat());
	NEED(mm_need_memcg());
	NEED(variant->on_disk && access("/dev/ubdb", F_OK) ? "ext4 on /dev/ubdb" : NULL);
	NEED(variant->on_disk ? NULL : mm_need_swap());
	self->fd = mm_tmpfile(variant->dir, LEN);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, mm_cgroup_create(&self->cg, "cachestat"));
}

FIXTURE_TEARDOWN(file)
{
	close(self->fd);
	EXPECT_EQ(0, mm_cgroup_remove(&self->cg));
}

#define EXPECT_STAT(off, len, cache, dirty, evicted) do {		\
		EXPECT_EQ(0, ask(self->fd, off, len, &self->cs));	\
		EXPECT_EQ((cache), self->cs.nr_cache);			\
		EXPECT_EQ((dirty), self->cs.nr_dirty);			\
		EXPECT_EQ((evicted), self->cs.nr_evicted);		\
		EXPECT_EQ(0, self->cs.nr_writeback);			\
		EXPECT_GE(self->cs.nr_evicted, self->cs.nr_recently_evicted); \
	} while (0)

/* each page that is there counts in each range that has a byte of it; holes and what lies behind the end do not */
TEST_F(file, ranges)
{
	EXPECT_STAT(0, 0, 0, 0, 0);
	ASSERT_EQ(0, write_pages(self->fd, 4, 8));
	ASSERT_EQ(0, write_pages(self->fd, 20, 2));
	ASSERT_EQ(0, fsync(self->fd));
	EXPECT_STAT(0, 0, 10, 0, 0);
	EXPECT_STAT(0, LEN, 10, 0, 0);
	EXPECT_STAT(4 * PAGE, 8 * PAGE, 8, 0, 0);
	EXPECT_STAT(4 * PAGE + 1, 8 * PAGE - 2, 8, 0, 0);
	EXPECT_STAT(5 * PAGE - 1, 1, 1, 0, 0);
	EXPECT_STAT(5 * PAGE - 1, 2, 2, 0, 0);
	EXPECT_STAT(0, 4 * PAGE, 0, 0, 0);
	EXPECT_STAT(0, 4 * PAGE + 1, 1, 0, 0);
	EXPECT_STAT(11 * PAGE, 0, 3, 0, 0);
	EXPECT_STAT(12 * PAGE, 8 * PAGE, 0, 0, 0);
	EXPECT_STAT(LEN, 0, 0, 0, 0);
	EXPECT_STAT(100 * LEN, LEN, 0, 0, 0);
}

/* what was written is dirty until it is on the disk; a file in memory has no such pages */
TEST_F(file, dirty)
{
	char *p;

	ASSERT_EQ(0, write_pages(self->fd, 0, PAGES));
	ASSERT_EQ(0, fsync(self->fd));
	EXPECT_STAT(0, 0, PAGES, 0, 0);
	ASSERT_EQ(0, write_pages(self->fd, 3, 5));
	p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	mm_touch_write(p + 16 * PAGE, 2 * PAGE);
	EXPECT_STAT(0, 0, PAGES, variant->on_disk ? 7 : 0, 0);
	EXPECT_STAT(4 * PAGE, 13 * PAGE, 13, variant->on_disk ? 5 : 0, 0);
	ASSERT_EQ(0, fsync(self->fd));
	EXPECT_STAT(0, 0, PAGES, 0, 0);
	munmap(p, LEN);
}

/* what reclaim has taken was there, until it is there again; what was cut off never was */
TEST_F(file, evicted)
{
	ASSERT_EQ(0, mm_cgroup_enter(&self->cg));
	ASSERT_EQ(0, write_pages(self->fd, 0, PAGES));
	ASSERT_EQ(0, mm_cgroup_leave());
	ASSERT_EQ(0, fsync(self->fd));
	mm_lru_drain();
	for (int i = 0; i < 50; i++) {
		mm_cgroup_reclaim(&self->cg, LEN);
		ASSERT_EQ(0, ask(self->fd, 0, 0, &self->cs));
		if (!self->cs.nr_cache)
			break;
		mm_writeback_wait();
	}
	EXPECT_STAT(0, 0, 0, 0, PAGES);
	EXPECT_STAT(PAGE, 3 * PAGE, 0, 0, 3);
	EXPECT_EQ(0, read_pages(self->fd, 0, PAGES));
	EXPECT_EQ(0, ask(self->fd, 0, 0, &self->cs));
	EXPECT_EQ(PAGES, self->cs.nr_cache);
	EXPECT_EQ(0, self->cs.nr_evicted);
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	EXPECT_STAT(0, 0, 0, 0, 0);
}

/* a hole that is punched has no page, nor one that is given up by fadvise() where there is a disk */
TEST_F(file, given_up)
{
	ASSERT_EQ(0, write_pages(self->fd, 0, PAGES));
	ASSERT_EQ(0, fsync(self->fd));
	ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, 4 * PAGE));
	EXPECT_STAT(0, 0, PAGES - 4, 0, 0);
	EXPECT_STAT(PAGE, 4 * PAGE, 0, 0, 0);
	mm_lru_drain();
	ASSERT_EQ(0, posix_fadvise(self->fd, 8 * PAGE, 8 * PAGE, POSIX_FADV_DONTNEED));
	EXPECT_STAT(8 * PAGE, 8 * PAGE, variant->on_disk ? 0 : 8, 0, 0);
	EXPECT_EQ(0, read_pages(self->fd, 8, 8));
	EXPECT_STAT(8 * PAGE, 8 * PAGE, 8, 0, 0);
}

/* arguments that make no sense: EBADF, EINVAL, EFAULT, and nothing is written */
TEST_F(file, errors)
{
	struct cachestat_range range = { .len = LEN };
	struct cachestat cs;

	memset(&cs, 0x55, sizeof(cs));
	EXPECT_EQ(EBADF, ask(-1, 0, 0, &cs));
	EXPECT_EQ(EBADF, ask(999, 0, 0, &cs));
	for (int bit = 0; bit < 32; bit++) {
		errno = 0;
		EXPECT_EQ(-1, syscall(__NR_cachestat, self->fd, &range, &cs, 1U << bit));
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(-1, mm_check_byte(&cs, sizeof(cs), 0x55));
	EXPECT_EQ(EFAULT, ask(self->fd, 0, 0, (void *)8));
	errno = 0;
	EXPECT_EQ(-1, syscall(__NR_cachestat, self->fd, (void *)8, &cs, 0U));
	EXPECT_EQ(EFAULT, errno);
}

struct other {
	mode_t mode;
	uid_t owner;
	int open_as_root;		/* flags, or -1 */
	int open_as_user;
	int want;
};

/* In a child of another user. */
static int ask_as_user(void *arg)
{
	const struct other *o = arg;
	const char *name = "/tmp/mm-cachestat";
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600), as_root = -1, got;
	struct cachestat cs;

	if (fd < 0 || write_pages(fd, 0, 4) || fchmod(fd, o->mode) || fchown(fd, o->owner, o->owner))
		return 250;
	if (o->open_as_root >= 0)
		as_root = open(name, o->open_as_root | O_CLOEXEC);
	if (setgid(USER) || setuid(USER))
		return 251;
	close(fd);
	fd = as_root >= 0 ? as_root : open(name, o->open_as_user | O_CLOEXEC);
	if (fd < 0)
		return 252;
	got = ask(fd, 0, 0, &cs);
	if (!got && cs.nr_cache != 4)
		return 253;
	return got;
}

/* of a file one has to be the owner, or have it open to write, or be able to: else EPERM; opened to read is no right */
TEST(who)
{
	static const struct other others[] = {
		{ 0644, 0, -1, O_RDONLY, EPERM },
		{ 0444, 0, O_RDONLY, 0, EPERM },
		{ 0600, 0, O_RDONLY, 0, EPERM },
		{ 0600, 0, O_RDWR, 0, 0 },
		{ 0600, 0, O_WRONLY, 0, 0 },
		{ 0646, 0, -1, O_RDONLY, 0 },
		{ 0666, 0, -1, O_RDONLY, 0 },
		{ 0400, USER, -1, O_RDONLY, 0 },
		{ 0644, USER, O_RDONLY, 0, 0 },
	};
	struct cachestat cs;
	int fd;

	NEED(need_cachestat());
	for (int i = 0; i < sizeof(others) / sizeof(*others); i++) {
		EXPECT_EQ(others[i].want, mm_in_child(ask_as_user, (void *)&others[i])) TH_LOG("case %d", i);
		unlink("/tmp/mm-cachestat");
	}
	/* The superuser may know of all. */
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	EXPECT_EQ(0, ask(fd, 0, 0, &cs));
	EXPECT_LT(0, cs.nr_cache);
	close(fd);
}

TEST_HARNESS_MAIN
