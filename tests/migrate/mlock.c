// SPDX-License-Identifier: GPL-2.0
/* Migration of mlocked pages: they move if vm.compact_unevictable_allowed says so, and stay locked. */
#include "kselftest_harness.h"
#include <unistd.h>
#include <linux/kernel-page-flags.h>

#include "mm.h"

#define N		64
#define LEN		(N * PAGE)
#define KPF_MLOCKED	33		/* fs/proc/page.c, "kernel hacking assistances" */
#define ALLOWED		"/proc/sys/vm/compact_unevictable_allowed"

/* The first half of the region is locked. */
FIXTURE(mlock)
{
	struct mm_stage *stage;
	long allowed, locked;
	char *p;
	uint64_t was[N], is[N];
};

FIXTURE_SETUP(mlock)
{
	NEED(mm_need_compaction());
	self->allowed = mm_read_long(ALLOWED);
	ASSERT_LE(0, self->allowed);
	self->p = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, self->p);
	self->locked = mm_vmstat("nr_mlock");
	self->stage = mm_stage(LEN);
	ASSERT_NE(NULL, self->stage);
	mm_fill(self->p, LEN, 1);
	ASSERT_EQ(0, mlock(self->p, LEN / 2));
	mm_settle();
	ASSERT_EQ(self->locked + N / 2, mm_vmstat("nr_mlock"));
}

FIXTURE_TEARDOWN(mlock)
{
	mm_write_file(ALLOWED, self->allowed ? "1" : "0");
	mm_stage_end(self->stage);
	munmap(self->p, LEN);
}

static long with_flag(const uint64_t *pfns, int flag)
{
	long n = 0;

	for (int i = 0; i < N; i++)
		n += mm_kpf(pfns[i], flag);
	return n;
}

/* allowed: locked pages move, stay locked and unevictable in every counter, and munlock() undoes it */
TEST_F(mlock, allowed)
{
	long unevictable = mm_vmstat("nr_unevictable");

	ASSERT_EQ(0, mm_write_file(ALLOWED, "1"));
	EXPECT_EQ(N, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	mm_settle();
	EXPECT_EQ(self->locked + N / 2, mm_vmstat("nr_mlock"));
	EXPECT_EQ(unevictable, mm_vmstat("nr_unevictable"));
	EXPECT_EQ(LEN / 2 / KB, mm_smaps(0, self->p, "Locked"));
	EXPECT_EQ(N / 2, with_flag(self->is, KPF_MLOCKED));
	EXPECT_EQ(N / 2, with_flag(self->is, KPF_UNEVICTABLE));
	EXPECT_EQ(-1, mm_check(self->p, LEN, 1));
	ASSERT_EQ(0, munlock(self->p, LEN / 2));
	mm_settle();
	EXPECT_EQ(self->locked, mm_vmstat("nr_mlock"));
	EXPECT_EQ(unevictable - N / 2, mm_vmstat("nr_unevictable"));
	EXPECT_EQ(0, with_flag(self->is, KPF_UNEVICTABLE));
	EXPECT_EQ(-1, mm_check(self->p, LEN, 1));
}

/* not allowed: locked pages keep their frames, their neighbours move */
TEST_F(mlock, refused)
{
	ASSERT_EQ(0, mm_write_file(ALLOWED, "0"));
	EXPECT_EQ(N / 2, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	EXPECT_EQ(0, mm_moved(self->was, self->is, N / 2));
	EXPECT_EQ(self->locked + N / 2, mm_vmstat("nr_mlock"));
	EXPECT_EQ(N / 2, with_flag(self->is, KPF_UNEVICTABLE));
	EXPECT_EQ(-1, mm_check(self->p, LEN, 1));
}

/* a page that one process locked and another maps moves for both, and is locked until the first unmaps it */
TEST_F(mlock, shared)
{
	struct mm_tree *tree = mm_tree_fork(1, 1, NULL, NULL);
	uint64_t child[N];

	ASSERT_NE(NULL, tree);
	ASSERT_EQ(0, mm_write_file(ALLOWED, "1"));
	EXPECT_EQ(N, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	ASSERT_EQ(0, mm_pfns(mm_tree_pid(tree, 0), self->p, child, N));
	EXPECT_EQ(0, memcmp(self->is, child, sizeof(child)));
	/* A share of each page, as in Pss. */
	EXPECT_EQ(LEN / 2 / 2 / KB, mm_smaps(0, self->p, "Locked"));
	EXPECT_EQ(0, mm_smaps(mm_tree_pid(tree, 0), self->p, "Locked"));
	EXPECT_EQ(self->locked + N / 2, mm_vmstat("nr_mlock"));
	mm_tree_end(tree);
	mm_settle();
	EXPECT_EQ(self->locked + N / 2, mm_vmstat("nr_mlock"));
	EXPECT_EQ(-1, mm_check(self->p, LEN, 1));
	ASSERT_EQ(0, munmap(self->p, LEN));
	mm_settle();
	EXPECT_EQ(self->locked, mm_vmstat("nr_mlock"));
	self->p = mm_map_aligned(LEN, PAGE);
}

TEST_HARNESS_MAIN
