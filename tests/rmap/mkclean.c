// SPDX-License-Identifier: GPL-2.0
/* Writeback makes pages of a shared file mapping clean and read-only, in all page tables that map them. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/kernel-page-flags.h>

#include "kselftest_harness.h"
#include "mm.h"

#define PAGES	16
#define LEN	(PAGES * PAGE)
#define SEED	51
#define DIR	"/mnt"
#define DISK	"/dev/ubdb"

/* The pages under test, where the processes of a tree find them. */
static char *region;

static const char *need_ext4(void)
{
	return access(DISK, F_OK) ? "ext4 on " DISK " at " DIR : NULL;
}

/* Write one byte of each page, which does not change it; the page faults that this took. */
static int write_pages(void *arg)
{
	long before = mm_minor_faults();

	mm_touch_write(region, LEN);
	return mm_minor_faults() - before;
}

static int read_pages(void *arg)
{
	long before = mm_minor_faults();

	mm_touch_read(region, LEN);
	return mm_minor_faults() - before;
}

/* Private and shared: who maps a page decides which of the two smaps calls it. */
static long dirty_kb(pid_t pid)
{
	return mm_smaps(pid, region, "Private_Dirty") + mm_smaps(pid, region, "Shared_Dirty");
}

static long clean_kb(pid_t pid)
{
	return mm_smaps(pid, region, "Private_Clean") + mm_smaps(pid, region, "Shared_Clean");
}

/* Where one page of the file lies on the disk, or -1 if it has no place there yet. */
static off_t place_on_disk(int fd, off_t at)
{
	union {
		struct fiemap map;
		char room[sizeof(struct fiemap) + sizeof(struct fiemap_extent)];
	} u = { .map = { .fm_start = at, .fm_length = PAGE, .fm_extent_count = 1 } };
	const struct fiemap_extent *extent = u.map.fm_extents;

	if (ioctl(fd, FS_IOC_FIEMAP, &u.map) || !u.map.fm_mapped_extents)
		return -1;
	if (extent->fe_flags & (FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_UNWRITTEN))
		return -1;
	return extent->fe_physical + (at - extent->fe_logical);
}

/* How many pages of the file are on the disk with the pattern; O_DIRECT on the file would write it first. */
static int right_on_disk(int fd, uint64_t seed)
{
	char *buf = mm_map_aligned(PAGE, PAGE);
	int disk = open(DISK, O_RDONLY | O_DIRECT | O_CLOEXEC);
	int n = 0;

	for (off_t at = 0; at < (off_t)LEN; at += PAGE) {
		off_t place = place_on_disk(fd, at);

		n += place >= 0 && pread(disk, buf, PAGE, place) == PAGE &&
		     mm_check_from(buf, PAGE, seed, at) == -1;
	}
	close(disk);
	munmap(buf, PAGE);
	return n;
}

FIXTURE(mkclean) {
	struct mm_tree *t;
	int fd;
};

FIXTURE_SETUP(mkclean)
{
	NEED(need_ext4());
	self->fd = mm_tmpfile(DIR, LEN);
	ASSERT_LE(0, self->fd);
	region = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, region);
	mm_fill(region, LEN, SEED);
}

FIXTURE_TEARDOWN(mkclean)
{
	if (self->t)
		mm_tree_end(self->t);
	munmap(region, LEN);
	close(self->fd);
}

/* msync makes all pages clean, and the bytes are on the disk */
TEST_F(mkclean, msync_cleans)
{
	struct mm_snap *before = mm_snap();

	EXPECT_EQ(LEN / KB, dirty_kb(0));
	EXPECT_EQ(0, right_on_disk(self->fd, SEED));
	ASSERT_EQ(0, msync(region, LEN, MS_SYNC));
	EXPECT_EQ(0, dirty_kb(0));
	EXPECT_EQ(LEN / KB, clean_kb(0));
	EXPECT_LE(PAGES, mm_delta(before, "nr_written"));
	EXPECT_EQ(PAGES, mm_count_present(0, region, LEN));
	EXPECT_EQ(PAGES, right_on_disk(self->fd, SEED));
	EXPECT_FALSE(mm_kpf(mm_pfn(0, region), KPF_DIRTY));
	mm_snap_free(before);
}

/* the first write after msync faults once a page and makes it dirty again; reads and further writes do not */
TEST_F(mkclean, redirty_faults)
{
	EXPECT_EQ(0, write_pages(NULL));
	ASSERT_EQ(0, msync(region, LEN, MS_SYNC));
	EXPECT_EQ(0, read_pages(NULL));
	EXPECT_EQ(0, dirty_kb(0));
	EXPECT_EQ(PAGES, write_pages(NULL));
	EXPECT_EQ(LEN / KB, dirty_kb(0));
	EXPECT_EQ(0, write_pages(NULL));
	EXPECT_TRUE(mm_kpf(mm_pfn(0, region), KPF_DIRTY));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
}

/* what is written between two msyncs reaches the disk with the second */
TEST_F(mkclean, second_msync)
{
	ASSERT_EQ(0, msync(region, LEN, MS_SYNC));
	mm_fill(region, LEN, SEED + 1);
	EXPECT_EQ(PAGES, right_on_disk(self->fd, SEED));
	ASSERT_EQ(0, msync(region, LEN, MS_SYNC));
	EXPECT_EQ(PAGES, right_on_disk(self->fd, SEED + 1));
	EXPECT_EQ(0, dirty_kb(0));
}

/* one msync cleans the pages in the tables of all four processes: each faults again on its next write */
TEST_F(mkclean, all_mappers)
{
	self->t = mm_tree_fork(1, 3, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	for (int i = 0; i < 3; i++)
		ASSERT_LE(0, mm_tree_call(self->t, i, write_pages, NULL));
	ASSERT_EQ(4, mm_kpagecount(mm_pfn(0, region)));
	EXPECT_EQ(LEN / KB, mm_smaps(0, region, "Shared_Dirty"));
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(0, mm_tree_call(self->t, i, write_pages, NULL));
	ASSERT_EQ(0, msync(region, LEN, MS_SYNC));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(0, mm_smaps(mm_tree_pid(self->t, i), region, "Shared_Dirty"));
		EXPECT_EQ(LEN / KB, mm_smaps(mm_tree_pid(self->t, i), region, "Shared_Clean"));
	}
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(0, mm_tree_call(self->t, i, read_pages, NULL));
		EXPECT_EQ(PAGES, mm_tree_call(self->t, i, write_pages, NULL));
	}
	EXPECT_EQ(PAGES, write_pages(NULL));
	EXPECT_EQ(LEN / KB, mm_smaps(0, region, "Shared_Dirty"));
}

static int fill_half(void *seed)
{
	mm_fill_from(region + LEN / 2, LEN / 2, (long)seed, LEN / 2);
	return 0;
}

/* what a process wrote through its own mapping reaches the disk when another one calls fsync */
TEST_F(mkclean, written_by_child)
{
	ASSERT_EQ(0, fsync(self->fd));
	self->t = mm_tree_fork(2, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	ASSERT_EQ(0, mm_tree_call(self->t, 1, fill_half, (void *)(SEED + 2L)));
	EXPECT_EQ(PAGES, right_on_disk(self->fd, SEED));
	ASSERT_EQ(0, fsync(self->fd));
	EXPECT_EQ(PAGES / 2, right_on_disk(self->fd, SEED));
	EXPECT_EQ(PAGES / 2, right_on_disk(self->fd, SEED + 2));
	EXPECT_EQ(-1, mm_check_from(region + LEN / 2, LEN / 2, SEED + 2, LEN / 2));
}

/* private copies in a mapping of the same file stay dirty and writable, and do not reach the disk */
TEST_F(mkclean, private_copies)
{
	char *shared = region;

	region = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, self->fd, 0);
	ASSERT_NE(MAP_FAILED, region);
	mm_fill(region, LEN, SEED + 3);
	ASSERT_EQ(0, msync(shared, LEN, MS_SYNC));
	EXPECT_EQ(LEN / KB, mm_smaps(0, region, "Private_Dirty"));
	EXPECT_EQ(0, mm_smaps(0, shared, "Private_Dirty"));
	EXPECT_EQ(0, write_pages(NULL));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED + 3));
	EXPECT_EQ(PAGES, right_on_disk(self->fd, SEED));
	EXPECT_EQ(0, munmap(region, LEN));
	region = shared;
	EXPECT_EQ(PAGES, write_pages(NULL));
}

/* only the pages that a write made dirty are written, and only they fault again */
TEST_F(mkclean, dirty_subset)
{
	long faults;

	ASSERT_EQ(0, msync(region, LEN, MS_SYNC));
	for (int i = 0; i < PAGES; i += 4)
		region[i * PAGE] ^= 0xff;
	EXPECT_EQ(LEN / 4 / KB, dirty_kb(0));
	EXPECT_EQ(PAGES, right_on_disk(self->fd, SEED));
	ASSERT_EQ(0, msync(region, LEN, MS_SYNC));
	EXPECT_EQ(PAGES * 3 / 4, right_on_disk(self->fd, SEED));
	for (int i = 0; i < PAGES; i += 4)
		region[i * PAGE] ^= 0xff;
	faults = write_pages(NULL);
	EXPECT_EQ(PAGES * 3 / 4, faults);
	ASSERT_EQ(0, msync(region, LEN, MS_SYNC));
	EXPECT_EQ(PAGES, right_on_disk(self->fd, SEED));
}

/* pages of shmem have no writeback: msync leaves them dirty and takes no write permission away */
TEST(shmem_stays_dirty)
{
	int fd = mm_memfd(LEN);

	ASSERT_LE(0, fd);
	region = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, region);
	mm_fill(region, LEN, SEED);
	ASSERT_EQ(0, msync(region, LEN, MS_SYNC));
	EXPECT_EQ(LEN / KB, dirty_kb(0));
	EXPECT_EQ(0, write_pages(NULL));
	close(fd);
}

/* rights that are taken away and given back leave a clean page clean: its next write faults, is noticed, and reaches the disk */
TEST_F(mkclean, mprotected)
{
	ASSERT_EQ(0, msync(region, LEN, MS_SYNC));
	ASSERT_EQ(0, mprotect(region, LEN, PROT_READ));
	ASSERT_EQ(0, mprotect(region, LEN, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, read_pages(NULL));
	EXPECT_EQ(0, dirty_kb(0));
	EXPECT_FALSE(mm_kpf(mm_pfn(0, region), KPF_DIRTY));
	EXPECT_EQ(PAGES, write_pages(NULL));
	EXPECT_TRUE(mm_kpf(mm_pfn(0, region), KPF_DIRTY));
	mm_fill(region, LEN, SEED + 1);
	EXPECT_EQ(LEN / KB, dirty_kb(0));
	ASSERT_EQ(0, fsync(self->fd));
	EXPECT_EQ(PAGES, right_on_disk(self->fd, SEED + 1));
	/* Those that are dirty may be written at once. */
	write_pages(NULL);
	ASSERT_EQ(0, mprotect(region, LEN, PROT_NONE));
	ASSERT_EQ(0, mprotect(region, LEN, PROT_READ | PROT_WRITE));
	mm_fill(region, LEN, SEED + 2);
	ASSERT_EQ(0, mprotect(region, LEN, PROT_READ));
	ASSERT_EQ(0, msync(region, LEN, MS_SYNC));
	EXPECT_EQ(PAGES, right_on_disk(self->fd, SEED + 2));
	ASSERT_EQ(0, mprotect(region, LEN, PROT_READ | PROT_WRITE));
	EXPECT_EQ(PAGES, write_pages(NULL));
}

TEST_HARNESS_MAIN
