// SPDX-License-Identifier: GPL-2.0
/* What starts compaction and what it is good for: sysctls, kcompactd, free pageblocks. */
#include "kselftest_harness.h"
#include <errno.h>
#include <unistd.h>

#include "mm.h"

#define BLOCK		1024UL
#define N		(3 * BLOCK)
#define LEN		(N * PAGE)
#define FEW		64
#define MUCH		(160 * MB)
#define PROACTIVENESS	"/proc/sys/vm/compaction_proactiveness"

FIXTURE(whole)
{
	struct mm_stage *stage;
	struct mm_snap *snap;
	long proactiveness;
	char *p;
	uint64_t was[N], is[N];
};

FIXTURE_SETUP(whole)
{
	NEED(mm_need_compaction());
	self->proactiveness = mm_read_long(PROACTIVENESS);
	ASSERT_LE(0, self->proactiveness);
	self->p = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, self->p);
}

FIXTURE_TEARDOWN(whole)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", self->proactiveness);
	mm_write_file(PROACTIVENESS, text);
	mm_snap_free(self->snap);
	mm_stage_end(self->stage);
	munmap(self->p, LEN);
}

/* Have the first @n pages of the region in frames from which compaction moves them. */
static bool stage_pages(FIXTURE_DATA(whole) *self, size_t n)
{
	self->stage = mm_stage(n * PAGE);
	if (!self->stage)
		return false;
	mm_fill(self->p, n * PAGE, 1);
	mm_stage_open(self->stage);
	self->snap = mm_snap();
	return self->snap && !mm_pfns(0, self->p, self->was, n);
}

/* where pages were moved away whole pageblocks are free afterwards */
TEST_F(whole, blocks)
{
	NEED(mm_need_vmstat("nr_free_pages_blocks"));
	ASSERT_TRUE(stage_pages(self, N));
	ASSERT_EQ(0, mm_compact());
	ASSERT_EQ(0, mm_pfns(0, self->p, self->is, N));
	EXPECT_EQ(N, mm_moved(self->was, self->is, N));
	EXPECT_LE(BLOCK, mm_delta(self->snap, "nr_free_pages_blocks"));
	EXPECT_EQ(-1, mm_check(self->p, LEN, 1));
}

/* vm.compact_memory takes 1 and nothing else: other values are EINVAL and no page is looked at */
TEST_F(whole, sysctl)
{
	static const char *const bad[] = { "0", "2", "-1", "x" };

	ASSERT_TRUE(stage_pages(self, FEW));
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(-EINVAL, mm_write_file("/proc/sys/vm/compact_memory", bad[i]));
	ASSERT_EQ(0, mm_pfns(0, self->p, self->is, FEW));
	EXPECT_EQ(0, mm_moved(self->was, self->is, FEW));
	EXPECT_EQ(0, mm_delta(self->snap, "compact_migrate_scanned"));
	ASSERT_EQ(0, mm_compact());
	ASSERT_EQ(0, mm_pfns(0, self->p, self->is, FEW));
	EXPECT_EQ(FEW, mm_moved(self->was, self->is, FEW));
	EXPECT_LE(FEW, mm_delta(self->snap, "compact_migrate_scanned"));
	/* By hand, not by the daemon. */
	EXPECT_EQ(0, mm_delta(self->snap, "compact_daemon_migrate_scanned"));
}

/* Wait until kcompactd has scanned some pages, which it counts at the end of a pass. */
static bool daemon_scans(const struct mm_snap *before)
{
	for (int i = 0; i < 1000; i++) {
		if (mm_delta(before, "compact_daemon_migrate_scanned"))
			return true;
		usleep(1000);
	}
	return false;
}

/* vm.compaction_proactiveness makes kcompactd move the pages, and it counts what it scanned as its own */
TEST_F(whole, proactive)
{
	void *holes = NULL;

	ASSERT_TRUE(stage_pages(self, FEW));
	ASSERT_EQ(0, mm_write_file(PROACTIVENESS, "100"));
	if (!daemon_scans(self->snap)) {
		/* Some kernels tolerate that free memory of one part in seven is in pieces, whatever the sysctl says. */
		holes = mm_fragment(MUCH);
		daemon_scans(self->snap);
	}
	EXPECT_LE(FEW, mm_delta(self->snap, "compact_daemon_migrate_scanned"));
	ASSERT_EQ(0, mm_pfns(0, self->p, self->is, FEW));
	EXPECT_EQ(FEW, mm_moved(self->was, self->is, FEW));
	EXPECT_EQ(-1, mm_check(self->p, FEW * PAGE, 1));
	EXPECT_LE(FEW, mm_delta(self->snap, "pgmigrate_success"));
	mm_unfragment(holes);
}

TEST_HARNESS_MAIN
