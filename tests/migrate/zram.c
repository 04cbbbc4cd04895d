// SPDX-License-Identifier: GPL-2.0
/* Migration of pages that are on no LRU list (movable_ops): zsmalloc's, with the data of a zram disk. */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "mm.h"

#define SYS	"/sys/block/zram0/"
#define DEV	"/dev/zram0"
#define N	512			/* blocks on the disk */
#define LEN	(N * PAGE)

FIXTURE(zram)
{
	struct mm_stage *stage;
	struct mm_snap *snap;
	char *buf;
	int fd;
};

FIXTURE_SETUP(zram)
{
	self->fd = -1;
	NEED(mm_need_compaction());
	if (access(SYS "disksize", W_OK))
		SKIP(return, "needs ZRAM");
	ASSERT_EQ(0, mm_write_file(SYS "disksize", "16M"));
	self->fd = open(DEV, O_RDWR | O_DIRECT | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->buf = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, self->buf);
}

FIXTURE_TEARDOWN(zram)
{
	mm_snap_free(self->snap);
	mm_stage_end(self->stage);
	if (self->fd < 0)
		return;
	close(self->fd);
	munmap(self->buf, LEN);
	mm_write_file(SYS "reset", "1");
}

/* Blocks that compress to a half, so that a page holds parts of several. */
static void fill_blocks(char *buf)
{
	memset(buf, 0, LEN);
	for (int i = 0; i < N; i++)
		mm_fill_from(buf + i * PAGE, PAGE / 2, 1, i * PAGE);
}

static int good_blocks(const char *buf)
{
	int good = 0;

	for (int i = 0; i < N; i++)
		good += mm_check_from(buf + i * PAGE, PAGE / 2, 1, i * PAGE) == -1 &&
			mm_check_byte(buf + i * PAGE + PAGE / 2, PAGE / 2, 0) == -1;
	return good;
}

/* How many pages a compaction moves when nothing but the stage is there. */
static long moved_otherwise(void)
{
	struct mm_snap *snap;
	long moved = -1;

	for (int i = 0; i < 2; i++) {
		struct mm_stage *stage = mm_stage(LEN);

		snap = mm_snap();
		if (stage && !mm_stage_move(stage))
			moved = mm_delta(snap, "pgmigrate_success");
		mm_stage_end(stage);
		mm_snap_free(snap);
	}
	return moved;
}

/* the pages of the pool move, none is lost, and the disk reads back what was written before and after */
TEST_F(zram, pool)
{
	long pool = mm_vmstat("nr_zspages"), others = moved_otherwise(), pages, moved;

	fill_blocks(self->buf);
	self->stage = mm_stage(LEN);
	ASSERT_NE(NULL, self->stage);
	ASSERT_EQ(LEN, pwrite(self->fd, self->buf, LEN, 0));
	pages = mm_vmstat("nr_zspages") - pool;
	EXPECT_LE(N / 2, pages);
	mm_stage_open(self->stage);
	self->snap = mm_snap();
	ASSERT_EQ(0, mm_compact());
	moved = mm_delta(self->snap, "pgmigrate_success");
	mm_report("moved", moved);
	mm_report("moved_otherwise", others);
	mm_report("pages", pages);
	/* How many of them lie low enough varies. */
	EXPECT_LT(others + N / 8, moved);
	EXPECT_EQ(0, mm_delta(self->snap, "nr_zspages"));
	memset(self->buf, 0, LEN);
	ASSERT_EQ(LEN, pread(self->fd, self->buf, LEN, 0));
	EXPECT_EQ(N, good_blocks(self->buf));
	ASSERT_EQ(LEN / 2, pwrite(self->fd, self->buf, LEN / 2, LEN / 2));
	ASSERT_EQ(LEN, pread(self->fd, self->buf, LEN, 0));
	EXPECT_EQ(0, memcmp(self->buf, self->buf + LEN / 2, LEN / 2));
}

TEST_HARNESS_MAIN
