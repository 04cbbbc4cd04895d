// SPDX-License-Identifier: GPL-2.0
/* Migration of KSM pages: all that share one find it in its new frame, and it is still KSM's. */
#include "kselftest_harness.h"
#include <unistd.h>
#include <linux/kernel-page-flags.h>

#include "mm.h"

#define N	64
#define LEN	(N * PAGE)
#define KINDS	8			/* different contents, each in N / KINDS pages */

/* The region is merged; the tree's one process has it as well. */
FIXTURE(ksm)
{
	struct mm_stage *stage;
	struct mm_tree *tree;
	char *p;
	uint64_t was[N], is[N];
};

static void fill_kinds(char *p)
{
	for (int i = 0; i < N; i++)
		mm_fill(p + i * PAGE, PAGE, i % KINDS + 1);
}

static char *region;

/* Pages from @p that hold the content of their kind. */
static int good_kinds(void *arg)
{
	int good = 0;

	for (int i = 0; i < N; i++)
		good += mm_check((char *)arg + i * PAGE, PAGE, i % KINDS + 1) == -1;
	return good;
}

FIXTURE_SETUP(ksm)
{
	NEED(mm_need_compaction());
	NEED(mm_need_ksm());
	region = self->p = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, self->p);
	self->stage = mm_stage(2 * LEN);
	ASSERT_NE(NULL, self->stage);
	fill_kinds(self->p);
	ASSERT_EQ(0, madvise(self->p, LEN, MADV_MERGEABLE));
	ASSERT_EQ(0, mm_ksm_scan(3));
	ASSERT_EQ(KINDS, mm_ksm_stat("pages_shared"));
	ASSERT_EQ(N - KINDS, mm_ksm_stat("pages_sharing"));
	self->tree = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->tree);
}

FIXTURE_TEARDOWN(ksm)
{
	if (self->tree)
		mm_tree_end(self->tree);
	mm_stage_end(self->stage);
	munmap(self->p, LEN);
	mm_ksm_unmerge_all();
}

/* every sharer, in both processes, has the new frame, which is a KSM page with all the old one's mappings */
TEST_F(ksm, moved)
{
	uint64_t child[N];

	EXPECT_EQ(N, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	ASSERT_EQ(0, mm_pfns(mm_tree_pid(self->tree, 0), self->p, child, N));
	EXPECT_EQ(0, memcmp(self->is, child, sizeof(child)));
	for (int i = 0; i < N; i++) {
		EXPECT_EQ(self->was[i % KINDS], self->was[i]);
		EXPECT_EQ(self->is[i % KINDS], self->is[i]);
		EXPECT_TRUE(mm_is_ksm(self->is[i], true));
		EXPECT_EQ(2 * N / KINDS, mm_kpagecount(self->is[i]));
	}
	EXPECT_EQ(N, good_kinds(self->p));
	EXPECT_EQ(N, mm_tree_call(self->tree, 0, good_kinds, region));
	EXPECT_EQ(KINDS, mm_ksm_stat("pages_shared"));
	EXPECT_EQ(N - KINDS, mm_ksm_stat("pages_sharing"));
}

/* a sharer that writes after the move gets its own page; with the old bytes it merges with the moved one */
TEST_F(ksm, written_and_merged)
{
	EXPECT_EQ(N, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	mm_fill(self->p, PAGE, 100);
	EXPECT_NE(self->is[0], mm_pfn(0, self->p));
	EXPECT_FALSE(mm_is_ksm(mm_pfn(0, self->p), false));
	EXPECT_EQ(2 * N / KINDS - 1, mm_kpagecount(self->is[0]));
	EXPECT_EQ(N - 1, good_kinds(self->p));
	EXPECT_EQ(N, mm_tree_call(self->tree, 0, good_kinds, region));
	/* Back to the bytes of its kind: the stable tree knows the moved page by them. */
	mm_fill(self->p, PAGE, 1);
	ASSERT_EQ(0, mm_ksm_scan(3));
	EXPECT_EQ(self->is[0], mm_pfn(0, self->p));
	EXPECT_EQ(2 * N / KINDS, mm_kpagecount(self->is[0]));
	EXPECT_EQ(N, good_kinds(self->p));
}

/* unmerging after the move gives every sharer a frame of its own, with the bytes of its kind */
TEST_F(ksm, unmerged)
{
	uint64_t then[N];

	EXPECT_EQ(N, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	ASSERT_EQ(0, mm_ksm_unmerge_all());
	EXPECT_EQ(0, mm_ksm_stat("pages_shared"));
	ASSERT_EQ(0, mm_pfns(0, self->p, then, N));
	for (int i = 0; i < N; i++) {
		EXPECT_FALSE(mm_is_ksm(then[i], false));
		EXPECT_EQ(1, mm_kpagecount(then[i]));
	}
	EXPECT_EQ(N, good_kinds(self->p));
	EXPECT_EQ(N, mm_tree_call(self->tree, 0, good_kinds, region));
}

TEST_HARNESS_MAIN
