// SPDX-License-Identifier: GPL-2.0
/*
 * Deferred I/O of a frame buffer: pages without a folio of the page cache, which the reverse map of the device's
 * mapping makes read-only again after they were written (mm/rmap.c: mapping_wrprotect_range()).
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mm.h"

#define FB	"/dev/fb0"
#define PAGES	16
#define LEN	(PAGES * PAGE)
#define SEED	61

/* The frame buffer, where the processes of a tree find it. */
static char *region;

static const char *need_defio(void)
{
	char text[8] = "";

	mm_read_file("/sys/module/vfb/parameters/defio", text, sizeof(text));
	return text[0] == 'Y' && !access(FB, R_OK | W_OK) ? NULL : "FB_VIRTUAL, a vfb with deferred I/O, and vfb.defio=1";
}

/* Write one byte of each of the first @pages pages, which does not change it; the page faults that this took. */
static int write_pages(void *pages)
{
	long before = mm_minor_faults();

	mm_touch_write(region, (long)pages * PAGE);
	return mm_minor_faults() - before;
}

static int write_all(void *arg)
{
	return write_pages((void *)PAGES);
}

FIXTURE(defio)
{
	struct mm_tree *t;
	int fd;
};

FIXTURE_SETUP(defio)
{
	NEED(need_defio());
	self->fd = open(FB, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	region = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, region);
	mm_fill(region, LEN, SEED);
	ASSERT_EQ(0, fsync(self->fd));
}

FIXTURE_TEARDOWN(defio)
{
	if (self->t)
		mm_tree_end(self->t);
	munmap(region, LEN);
	close(self->fd);
}

/* Let the work run that makes written pages read-only. */
static void refresh(FIXTURE_DATA(defio) *self)
{
	fsync(self->fd);
}

/* after a refresh each page that was written, and no other, faults once more when it is written */
TEST_F(defio, faults_again)
{
	EXPECT_EQ(PAGES, write_all(NULL));
	EXPECT_EQ(0, write_all(NULL));
	refresh(self);
	EXPECT_EQ(PAGES / 2, write_pages((void *)(PAGES / 2)));
	refresh(self);
	EXPECT_EQ(PAGES, write_all(NULL));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
}

/* a page that was only read stays as it is: nothing was deferred for it */
TEST_F(defio, reads)
{
	mm_touch_read(region, LEN);
	EXPECT_EQ(PAGES, write_all(NULL));
	mm_touch_read(region, LEN);
	EXPECT_EQ(0, write_all(NULL));
}

/* all processes that map the frame buffer lose the right to write, and see the same bytes */
TEST_F(defio, all_mappers)
{
	self->t = mm_tree_fork(1, 3, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	for (int i = 0; i < 3; i++)
		mm_tree_call(self->t, i, write_all, NULL);
	/* The first refresh finds all of them with writable pages. */
	refresh(self);
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(PAGES, mm_tree_call(self->t, i, write_all, NULL));
		EXPECT_EQ(0, mm_tree_call(self->t, i, write_all, NULL));
	}
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
}

/* the device reads what was written through the mapping, and the other way round */
TEST_F(defio, same_bytes)
{
	char buf[64];

	ASSERT_EQ(sizeof(buf), pread(self->fd, buf, sizeof(buf), 3 * PAGE));
	EXPECT_EQ(-1, mm_check_from(buf, sizeof(buf), SEED, 3 * PAGE));
	memset(buf, 0x5a, sizeof(buf));
	ASSERT_EQ(sizeof(buf), pwrite(self->fd, buf, sizeof(buf), 3 * PAGE));
	EXPECT_EQ(-1, mm_check_byte(region + 3 * PAGE, sizeof(buf), 0x5a));
}

TEST_HARNESS_MAIN
