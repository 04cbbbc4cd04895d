// SPDX-License-Identifier: GPL-2.0
/* Pages of files and shmem: each mapping is counted, in each process, and truncation finds all of them. */
#include <fcntl.h>
#include <unistd.h>
#include <sys/stat.h>
#include <linux/falloc.h>
#include <linux/kernel-page-flags.h>

#include "kselftest_harness.h"
#include "mm.h"

#define AROUND	16			/* pages that one read fault maps (fault_around_bytes) */
#define PAGES	(2 * AROUND)
#define LEN	(PAGES * PAGE)
#define RW	(PROT_READ | PROT_WRITE)
#define CHILDREN 4

/* The processes of a tree find the mapping here. */
static char *region;

static int read_pages(void *arg)
{
	mm_touch_read(region, LEN);
	return 0;
}

static int wrong_bytes(void *arg)
{
	return mm_check(region, LEN, 1) != -1;
}

static int unmap_pages(void *arg)
{
	return munmap(region, LEN);
}

/* The signal that a read of the page at @arg raises. */
static int read_signal(void *arg)
{
	return mm_probe_read(arg);
}

static int byte_at(void *arg)
{
	return *(unsigned char *)arg;
}

/* Frames [from, to) of @pfns that are mapped @count times. */
static int mapped(const uint64_t *pfns, int from, int to, long count)
{
	int n = 0;

	for (int i = from; i < to; i++)
		n += pfns[i] && mm_kpagecount(pfns[i]) == count;
	return n;
}

static int same_frames(pid_t pid, const char *p, const uint64_t *pfns)
{
	uint64_t now[PAGES];
	int n = 0;

	if (mm_pfns(pid, p, now, PAGES))
		return -1;
	for (int i = 0; i < PAGES; i++)
		n += now[i] && now[i] == pfns[i];
	return n;
}

FIXTURE(file)
{
	int fd;
	struct mm_tree *t;
	uint64_t pfns[PAGES];		/* of the page cache */
};

FIXTURE_VARIANT(file)
{
	const char *dir;		/* NULL: a memfd */
	const char *rss;		/* the counter of the process */
};

FIXTURE_VARIANT_ADD(file, shmem) { .rss = "RssShmem" };
FIXTURE_VARIANT_ADD(file, ext4) { .dir = "/mnt", .rss = "RssFile" };

static char *map_file(int fd, int flags)
{
	char *p = mm_reserve(LEN, AROUND * PAGE);

	return mmap(p, LEN, RW, flags | MAP_FIXED, fd, 0);
}

FIXTURE_SETUP(file)
{
	char *p;

	self->fd = mm_tmpfile(variant->dir, LEN);
	ASSERT_LE(0, self->fd);
	p = map_file(self->fd, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	mm_fill(p, LEN, 1);
	ASSERT_EQ(0, fsync(self->fd));
	ASSERT_EQ(0, mm_pfns(0, p, self->pfns, PAGES));
	ASSERT_EQ(0, munmap(p, LEN));
	region = map_file(self->fd, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, region);
}

FIXTURE_TEARDOWN(file)
{
	if (self->t)
		mm_tree_end(self->t);
	munmap(region, LEN);
	close(self->fd);
}

/* each process that reads a page adds a mapping of the same frame; munmap() or exit of each takes one away */
TEST_F(file, mapcount)
{
	EXPECT_EQ(PAGES, mapped(self->pfns, 0, PAGES, 0));
	read_pages(NULL);
	EXPECT_EQ(PAGES, mapped(self->pfns, 0, PAGES, 1));
	self->t = mm_tree_fork(1, CHILDREN, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	/* Without an anon_vma, fork() copies no page tables. */
	EXPECT_EQ(PAGES, mapped(self->pfns, 0, PAGES, 1));
	for (int i = 0; i < CHILDREN; i++) {
		EXPECT_EQ(0, mm_tree_call(self->t, i, wrong_bytes, NULL));
		EXPECT_EQ(PAGES, same_frames(mm_tree_pid(self->t, i), region, self->pfns));
		EXPECT_EQ(PAGES, mapped(self->pfns, 0, PAGES, i + 2));
	}
	for (int i = 0; i < CHILDREN; i++) {
		ASSERT_EQ(0, i % 2 ? mm_tree_call(self->t, i, unmap_pages, NULL) : mm_tree_kill(self->t, i));
		EXPECT_EQ(PAGES, mapped(self->pfns, 0, PAGES, CHILDREN - i));
	}
	EXPECT_EQ(PAGES, same_frames(0, region, self->pfns));
}

/* of a private mapping with an anon_vma, fork() maps the file pages in the child at once */
TEST_F(file, fork_of_private)
{
	char *p = map_file(self->fd, MAP_PRIVATE);

	ASSERT_NE(MAP_FAILED, p);
	p[0] = 1;
	mm_touch_read(p, LEN);
	EXPECT_EQ(PAGES - 1, mapped(self->pfns, 1, PAGES, 1));
	self->t = mm_tree_fork(1, CHILDREN, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	EXPECT_EQ(PAGES - 1, mapped(self->pfns, 1, PAGES, 1 + CHILDREN));
	EXPECT_EQ(0, mm_kpagecount(self->pfns[0]));
	EXPECT_EQ(1 + CHILDREN, mm_kpagecount(mm_pfn(0, p)));
	munmap(p, LEN);
}

/* RSS counts every mapping of a page, nr_mapped each page once */
TEST_F(file, accounts)
{
	long rss[4], nr[4];
	char *twice;

	/* The first round is for the pages that looking itself takes. */
	for (int i = 0; i < 2; i++) {
		rss[0] = mm_status(0, variant->rss);
		nr[0] = mm_vmstat("nr_mapped");
		read_pages(NULL);
		rss[1] = mm_status(0, variant->rss);
		nr[1] = mm_vmstat("nr_mapped");
		twice = map_file(self->fd, MAP_SHARED);
		mm_touch_read(twice, LEN);
		rss[2] = mm_status(0, variant->rss);
		nr[2] = mm_vmstat("nr_mapped");
		munmap(twice, LEN);
		madvise(region, LEN, MADV_DONTNEED);
		rss[3] = mm_status(0, variant->rss);
		nr[3] = mm_vmstat("nr_mapped");
	}
	EXPECT_EQ(LEN / KB, rss[1] - rss[0]);
	EXPECT_EQ(2 * LEN / KB, rss[2] - rss[0]);
	EXPECT_EQ(rss[0], rss[3]);
	EXPECT_EQ(PAGES, nr[1] - nr[0]);
	EXPECT_EQ(PAGES, nr[2] - nr[0]);
	EXPECT_EQ(nr[0], nr[3]);
}

/* one process can map a page several times: all of them the same frame, each counted */
TEST_F(file, mapped_thrice)
{
	char *more[2];

	read_pages(NULL);
	for (int i = 0; i < 2; i++) {
		more[i] = map_file(self->fd, i ? MAP_SHARED : MAP_PRIVATE);
		ASSERT_NE(MAP_FAILED, more[i]);
		mm_touch_read(more[i], LEN);
		EXPECT_EQ(PAGES, same_frames(0, more[i], self->pfns));
	}
	EXPECT_EQ(PAGES, mapped(self->pfns, 0, PAGES, 3));
	EXPECT_EQ(0, munmap(more[0], LEN));
	EXPECT_EQ(PAGES, mapped(self->pfns, 0, PAGES, 2));
	EXPECT_EQ(0, munmap(more[1] + LEN / 2, LEN / 2));
	EXPECT_EQ(PAGES / 2, mapped(self->pfns, 0, PAGES / 2, 2));
	EXPECT_EQ(PAGES / 2, mapped(self->pfns, PAGES / 2, PAGES, 1));
	EXPECT_EQ(0, munmap(more[1], LEN / 2));
}

/* one read maps the whole window around it, if its pages are cached, and none outside */
TEST_F(file, fault_around)
{
	mm_touch_read(region + 3 * PAGE, PAGE);
	EXPECT_EQ(AROUND, mm_count_present(0, region, LEN));
	EXPECT_EQ(AROUND, mm_count_present(0, region, AROUND * PAGE));
	EXPECT_EQ(AROUND, mapped(self->pfns, 0, AROUND, 1));
	EXPECT_EQ(PAGES - AROUND, mapped(self->pfns, AROUND, PAGES, 0));
	EXPECT_EQ(-1, mm_check(region, AROUND * PAGE, 1));
}

/* unmapped pages stay in the cache, in the same frames, and are mapped again from there */
TEST_F(file, cached)
{
	read_pages(NULL);
	ASSERT_EQ(0, madvise(region, LEN, MADV_DONTNEED));
	EXPECT_EQ(0, mm_count_present(0, region, LEN));
	EXPECT_EQ(PAGES, mapped(self->pfns, 0, PAGES, 0));
	read_pages(NULL);
	EXPECT_EQ(PAGES, same_frames(0, region, self->pfns));
	EXPECT_EQ(0, wrong_bytes(NULL));
}

/* a write to a private mapping replaces the file page by an anonymous one; the file keeps its bytes */
TEST_F(file, private_write)
{
	char *p = map_file(self->fd, MAP_PRIVATE), byte;
	uint64_t pfn;

	ASSERT_NE(MAP_FAILED, p);
	read_pages(NULL);
	mm_touch_read(p, LEN);
	EXPECT_EQ(PAGES, mapped(self->pfns, 0, PAGES, 2));
	p[5 * PAGE] ^= 1;
	pfn = mm_pfn(0, p + 5 * PAGE);
	EXPECT_NE(self->pfns[5], pfn);
	EXPECT_TRUE(mm_kpf(pfn, KPF_ANON));
	EXPECT_EQ(1, mm_kpagecount(pfn));
	EXPECT_EQ(1, mm_kpagecount(self->pfns[5]));
	EXPECT_EQ(PAGES - 1, same_frames(0, p, self->pfns));
	EXPECT_EQ(0, wrong_bytes(NULL));
	ASSERT_EQ(1, pread(self->fd, &byte, 1, 5 * PAGE));
	EXPECT_EQ(p[5 * PAGE] ^ 1, byte);
	munmap(p, LEN);
}

/* truncation unmaps the tail, and private copies of it, from every process: access is SIGBUS */
TEST_F(file, truncate)
{
	char *p = map_file(self->fd, MAP_PRIVATE);

	ASSERT_NE(MAP_FAILED, p);
	/* A private copy goes as well. */
	p[(PAGES - 1) * PAGE] ^= 1;
	read_pages(NULL);
	self->t = mm_tree_fork(1, CHILDREN, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	for (int i = 0; i < CHILDREN; i++)
		ASSERT_EQ(0, mm_tree_call(self->t, i, read_pages, NULL));
	EXPECT_EQ(PAGES, mapped(self->pfns, 0, PAGES, 1 + CHILDREN));
	ASSERT_EQ(0, ftruncate(self->fd, LEN / 2));
	EXPECT_EQ(PAGES / 2, mapped(self->pfns, 0, PAGES / 2, 1 + CHILDREN));
	EXPECT_EQ(PAGES / 2, mm_count_present(0, region, LEN));
	EXPECT_EQ(SIGBUS, mm_probe_read(region + LEN / 2));
	EXPECT_EQ(SIGBUS, mm_probe_read(p + (PAGES - 1) * PAGE));
	for (int i = 0; i < CHILDREN; i++) {
		EXPECT_EQ(PAGES / 2, mm_count_present(mm_tree_pid(self->t, i), region, LEN));
		EXPECT_EQ(0, mm_tree_call(self->t, i, read_signal, region + LEN / 2 - PAGE));
		EXPECT_EQ(SIGBUS, mm_tree_call(self->t, i, read_signal, region + LEN / 2));
	}
	munmap(p, LEN);
}

/* a punched hole is unmapped from every process: all read zeroes there, but for the private copy of a page */
TEST_F(file, punch_hole)
{
	char *p = map_file(self->fd, MAP_PRIVATE), old;

	ASSERT_NE(MAP_FAILED, p);
	p[2 * PAGE] ^= 1;
	old = p[2 * PAGE];
	read_pages(NULL);
	self->t = mm_tree_fork(1, CHILDREN, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	for (int i = 0; i < CHILDREN; i++)
		ASSERT_EQ(0, mm_tree_call(self->t, i, read_pages, NULL));
	ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, 2 * PAGE));
	EXPECT_EQ(PAGES - 2, mm_count_present(0, region, LEN));
	EXPECT_EQ(-1, mm_check_byte(region + PAGE, 2 * PAGE, 0));
	for (int i = 0; i < CHILDREN; i++) {
		EXPECT_EQ(PAGES - 2, mm_count_present(mm_tree_pid(self->t, i), region, LEN));
		EXPECT_EQ(0, mm_tree_call(self->t, i, byte_at, region + PAGE));
		EXPECT_EQ(0, mm_tree_call(self->t, i, byte_at, region + 2 * PAGE));
	}
	EXPECT_EQ(old, p[2 * PAGE]);
	EXPECT_EQ(0, p[PAGE]);
	EXPECT_EQ(-1, mm_check(region, PAGE, 1));
	EXPECT_EQ(-1, mm_check_from(region + 3 * PAGE, LEN - 3 * PAGE, 1, 3 * PAGE));
	munmap(p, LEN);
}

/* a page that was written through a mapping, gone since, is dirty until fsync(); the file has the byte */
TEST_F(file, written_back)
{
	char byte;

	EXPECT_EQ(!variant->dir, mm_kpf(self->pfns[4], KPF_DIRTY));
	region[4 * PAGE] = 'x';
	ASSERT_EQ(0, munmap(region, LEN));
	EXPECT_TRUE(mm_kpf(self->pfns[4], KPF_DIRTY));
	EXPECT_EQ(!variant->dir, mm_kpf(self->pfns[5], KPF_DIRTY));
	ASSERT_EQ(0, fsync(self->fd));
	EXPECT_EQ(!variant->dir, mm_kpf(self->pfns[4], KPF_DIRTY));
	ASSERT_EQ(1, pread(self->fd, &byte, 1, 4 * PAGE));
	EXPECT_EQ('x', byte);
}

TEST_HARNESS_MAIN
