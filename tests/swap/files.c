// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that a private mapping of a file has copied, while they are in swap: a truncation takes them like those in memory, a hole
 * that is punched leaves them (mmap(2), ftruncate(2), fallocate(2)).
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	16
#define LEN	(PAGES * PAGE)
#define CUT	(PAGES / 2)		/* what is left of the file, in pages */
#define SEED	1
#define COPY	2			/* of the private copies */

FIXTURE(copies) {
	int fd;
	char *p;
	long swap, process_swap;
};

FIXTURE_VARIANT(copies) {
	const char *dir;		/* "" is a memfd */
	bool out;			/* in swap */
};

FIXTURE_VARIANT_ADD(copies, ext4) { .dir = "/mnt" };
FIXTURE_VARIANT_ADD(copies, ext4_out) { .dir = "/mnt", .out = true };
FIXTURE_VARIANT_ADD(copies, tmpfs) { .dir = "/tmp" };
FIXTURE_VARIANT_ADD(copies, tmpfs_out) { .dir = "/tmp", .out = true };
FIXTURE_VARIANT_ADD(copies, memfd) { .dir = "" };
FIXTURE_VARIANT_ADD(copies, memfd_out) { .dir = "", .out = true };

FIXTURE_SETUP(copies)
{
	NEED(mm_need_swap());
	NEED(!strcmp(variant->dir, "/mnt") && access("/dev/ubdb", F_OK) ? "ext4 on /dev/ubdb" : NULL);
	self->fd = mm_tmpfile(variant->dir, LEN);
	ASSERT_LE(0, self->fd);
	self->p = mm_map(LEN, PAGE, MAP_SHARED, self->fd);
	ASSERT_NE(NULL, self->p);
	mm_fill(self->p, LEN, SEED);
	ASSERT_EQ(self->p, mmap(self->p, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, self->fd, 0));
	self->swap = mm_swap_used();
	self->process_swap = mm_status(0, "VmSwap");
	mm_fill(self->p, LEN, COPY);
	if (variant->out)
		ASSERT_EQ(0, mm_pageout(self->p, LEN));
	ASSERT_EQ(variant->out ? PAGES : 0, mm_count_swapped(0, self->p, LEN));
}

FIXTURE_TEARDOWN(copies)
{
	munmap(self->p, LEN);
	close(self->fd);
	EXPECT_EQ(self->swap, mm_swap_used());
}

/* cut off: SIGBUS, no slot of swap, also when the file grows again, and the copies before the end are there */
TEST_F(copies, truncated)
{
	long kb = variant->out ? (long)(CUT * PAGE / KB) : 0;

	ASSERT_EQ(0, ftruncate(self->fd, CUT * PAGE));
	EXPECT_EQ(self->process_swap + kb, mm_status(0, "VmSwap"));
	EXPECT_EQ(kb, mm_smaps(0, self->p, "Swap"));
	EXPECT_EQ(self->swap + (variant->out ? CUT : 0), mm_swap_used());
	EXPECT_EQ(0, mm_count_swapped(0, self->p + CUT * PAGE, LEN - CUT * PAGE));
	EXPECT_EQ(0, mm_count_present(0, self->p + CUT * PAGE, LEN - CUT * PAGE));
	for (int i = CUT; i < PAGES; i++) {
		EXPECT_EQ(SIGBUS, mm_probe_read(self->p + i * PAGE)) TH_LOG("page %d", i);
	}
	EXPECT_EQ(-1, mm_check(self->p, CUT * PAGE, COPY));
	ASSERT_EQ(0, ftruncate(self->fd, LEN));
	EXPECT_EQ(-1, mm_check_byte(self->p + CUT * PAGE, LEN - CUT * PAGE, 0));
	EXPECT_EQ(-1, mm_check(self->p, CUT * PAGE, COPY));
}

static char *region;

static int cut_off(void *arg)
{
	for (int i = CUT; i < PAGES; i++)
		if (mm_probe_read(region + i * PAGE) != SIGBUS)
			return 1 + i;
	return mm_check(region, CUT * PAGE, COPY) != -1;
}

/* in a child, too, which shares the copies */
TEST_F(copies, child)
{
	struct mm_tree *t;

	region = self->p;
	t = mm_tree_fork(2, 1, NULL, NULL);
	ASSERT_NE(NULL, t);
	ASSERT_EQ(0, ftruncate(self->fd, CUT * PAGE));
	EXPECT_EQ(0, mm_tree_call(t, 0, cut_off, NULL));
	EXPECT_EQ(0, mm_tree_call(t, 1, cut_off, NULL));
	mm_tree_end(t);
	EXPECT_EQ(0, cut_off(NULL));
}

/* a hole takes the pages of the file, and not the copies, wherever they are */
TEST_F(copies, punched)
{
	char bytes[PAGE];

	ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, LEN));
	EXPECT_EQ(variant->out ? PAGES : 0, mm_count_swapped(0, self->p, LEN));
	EXPECT_EQ(-1, mm_check(self->p, LEN, COPY));
	ASSERT_EQ(PAGE, pread(self->fd, bytes, PAGE, PAGE));
	EXPECT_EQ(-1, mm_check_byte(bytes, PAGE, 0));
}

/* MADV_DONTNEED gives the copies up, and the file shows again */
TEST_F(copies, given_up)
{
	ASSERT_EQ(0, madvise(self->p, CUT * PAGE, MADV_DONTNEED));
	EXPECT_EQ(self->swap + (variant->out ? PAGES - CUT : 0), mm_swap_used());
	EXPECT_EQ(-1, mm_check(self->p, CUT * PAGE, SEED));
	EXPECT_EQ(-1, mm_check_from(self->p + CUT * PAGE, LEN - CUT * PAGE, COPY, CUT * PAGE));
}

TEST_HARNESS_MAIN
