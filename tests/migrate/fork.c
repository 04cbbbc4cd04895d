// SPDX-License-Identifier: GPL-2.0
/* Migration of pages that a tree of processes shares: each of them has to find the same new frame. */
#include "kselftest_harness.h"
#include <unistd.h>

#include "mm.h"

#define N	64
#define LEN	(N * PAGE)
#define BORN	8			/* pages that a process of the first level adds */
#define WIDE	30			/* children of one process */
#define TREE	6			/* processes of depth 2 and width 2 */

/* What a process of the tree is to look at: the pages [first, first + n) of those at @p. */
struct view {
	char *p;
	size_t first, n;
	uint64_t seed;
};

/* The pages under test, at one address in every process; and the orders, in memory that all of them share. */
static char *region;
static struct view *order;

FIXTURE(fork)
{
	struct mm_stage *stage;
	struct mm_tree *tree;
	uint64_t was[N], is[N];
};

FIXTURE_SETUP(fork)
{
	NEED(mm_need_compaction());
	order = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, order);
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	self->stage = mm_stage(2 * LEN);
	ASSERT_NE(NULL, self->stage);
	mm_fill(region, LEN, 1);
}

FIXTURE_TEARDOWN(fork)
{
	if (self->tree)
		mm_tree_end(self->tree);
	mm_stage_end(self->stage);
	munmap(region, LEN);
	munmap(order, PAGE);
}

static int do_check(void *arg)
{
	const struct view *v = arg;

	return mm_check_from(v->p + v->first * PAGE, v->n * PAGE, v->seed, v->first * PAGE) != -1;
}

static int do_fill(void *arg)
{
	const struct view *v = arg;

	mm_fill_from(v->p + v->first * PAGE, v->n * PAGE, v->seed, v->first * PAGE);
	return 0;
}

/* Let process @i look whether the bytes are the pattern's: 0, or 1 if one is wrong. */
static int check(struct mm_tree *tree, int i, struct view view)
{
	*order = view;
	return mm_tree_call(tree, i, do_check, order);
}

static int fill(struct mm_tree *tree, int i, struct view view)
{
	*order = view;
	return mm_tree_call(tree, i, do_fill, order);
}

/* How many of @n pages from @first a process has in the frames @pfns. */
static long agreed(pid_t pid, const char *p, size_t first, size_t n, const uint64_t *pfns)
{
	uint64_t mine[N];
	long same = 0;

	if (mm_pfns(pid, p + first * PAGE, mine, n))
		return -1;
	for (size_t i = 0; i < n; i++)
		same += mine[i] && mine[i] == pfns[first + i];
	return same;
}

static long counted(const uint64_t *pfns, size_t n, long mappings)
{
	long good = 0;

	for (size_t i = 0; i < n; i++)
		good += mm_kpagecount(pfns[i]) == mappings;
	return good;
}

/* parent, children and grandchildren find the same new frames and bytes; the number of mappings is kept */
TEST_F(fork, tree)
{
	struct view all = { region, 0, N, 1 };

	self->tree = mm_tree_fork(2, 2, NULL, NULL);
	ASSERT_NE(NULL, self->tree);
	ASSERT_EQ(TREE, mm_tree_size(self->tree));
	EXPECT_EQ(N, mm_stage_move_pages(self->stage, region, N, self->was, self->is));
	EXPECT_EQ(N, counted(self->is, N, TREE + 1));
	EXPECT_EQ(-1, mm_check(region, LEN, 1));
	for (int i = 0; i < TREE; i++) {
		EXPECT_EQ(N, agreed(mm_tree_pid(self->tree, i), region, 0, N, self->is));
		EXPECT_EQ(0, check(self->tree, i, all));
	}
}

/* a page mapped by 30 children of one process moves for all of them, and has 31 mappings as before */
TEST_F(fork, wide)
{
	struct view all = { region, 0, N, 1 };

	self->tree = mm_tree_fork(1, WIDE, NULL, NULL);
	ASSERT_NE(NULL, self->tree);
	EXPECT_EQ(N, mm_stage_move_pages(self->stage, region, N, self->was, self->is));
	EXPECT_EQ(N, counted(self->is, N, WIDE + 1));
	for (int i = 0; i < WIDE; i++) {
		EXPECT_EQ(N, agreed(mm_tree_pid(self->tree, i), region, 0, N, self->is));
		EXPECT_EQ(0, check(self->tree, i, all));
	}
}

/* pages that processes copied before the move stay theirs alone, and the rest stays shared by the others */
TEST_F(fork, copied_before)
{
	uint64_t own[BORN];

	self->tree = mm_tree_fork(2, 2, NULL, NULL);
	ASSERT_NE(NULL, self->tree);
	for (int i = 0; i < TREE; i++) {
		struct view mine = { region, i * BORN, BORN, i + 2 };

		ASSERT_EQ(0, fill(self->tree, i, mine));
	}
	EXPECT_EQ(N, mm_stage_move_pages(self->stage, region, N, self->was, self->is));
	EXPECT_EQ(TREE * BORN, counted(self->is, TREE * BORN, TREE));
	EXPECT_EQ(N - TREE * BORN, counted(self->is + TREE * BORN, N - TREE * BORN, TREE + 1));
	EXPECT_EQ(-1, mm_check(region, LEN, 1));
	for (int i = 0; i < TREE; i++) {
		struct view below = { region, 0, i * BORN, 1 };
		struct view mine = { region, i * BORN, BORN, i + 2 };
		struct view above = { region, (i + 1) * BORN, N - (i + 1) * BORN, 1 };
		pid_t pid = mm_tree_pid(self->tree, i);

		EXPECT_EQ(N - BORN, agreed(pid, region, 0, N, self->is));
		EXPECT_EQ(0, agreed(pid, region, i * BORN, BORN, self->is));
		ASSERT_EQ(0, mm_pfns(pid, region + i * BORN * PAGE, own, BORN));
		EXPECT_EQ(BORN, counted(own, BORN, 1));
		EXPECT_EQ(0, check(self->tree, i, below));
		EXPECT_EQ(0, check(self->tree, i, mine));
		EXPECT_EQ(0, check(self->tree, i, above));
	}
}

/* a write after the move, by parent or child, copies the page for the writer; nobody else sees it */
TEST_F(fork, copied_after)
{
	struct view child = { region, 0, N / 4, 2 }, old = { region, 0, N, 1 };

	self->tree = mm_tree_fork(2, 2, NULL, NULL);
	ASSERT_NE(NULL, self->tree);
	EXPECT_EQ(N, mm_stage_move_pages(self->stage, region, N, self->was, self->is));
	ASSERT_EQ(0, fill(self->tree, 0, child));
	mm_fill_from(region + LEN / 2, LEN / 2, 3, LEN / 2);
	EXPECT_EQ(0, agreed(0, region, N / 2, N / 2, self->is));
	EXPECT_EQ(N / 2, agreed(0, region, 0, N / 2, self->is));
	EXPECT_EQ(0, agreed(mm_tree_pid(self->tree, 0), region, 0, N / 4, self->is));
	EXPECT_EQ(0, check(self->tree, 0, child));
	EXPECT_EQ(-1, mm_check(region, LEN / 2, 1));
	EXPECT_EQ(-1, mm_check_from(region + LEN / 2, LEN / 2, 3, LEN / 2));
	for (int i = 1; i < TREE; i++) {
		EXPECT_EQ(N, agreed(mm_tree_pid(self->tree, i), region, 0, N, self->is));
		EXPECT_EQ(0, check(self->tree, i, old));
	}
}

/* Each process of the first level has pages of its own, which its children share. */
static void give_birth(unsigned int level, void *arg)
{
	struct view own = { arg, 0, BORN, getpid() };

	if (level == 1)
		do_fill(&own);
}

/* pages first written by a child move for it and its children; those of its brother are others */
TEST_F(fork, born_in_child)
{
	uint64_t family[2][BORN], then[BORN];
	int parent = -1;

	self->tree = mm_tree_fork(2, 2, give_birth, region);
	ASSERT_NE(NULL, self->tree);
	EXPECT_EQ(0, mm_pfns(mm_tree_pid(self->tree, 0), region, family[0], BORN));
	EXPECT_EQ(0, mm_pfns(mm_tree_pid(self->tree, TREE / 2), region, family[1], BORN));
	EXPECT_EQ(N, mm_stage_move_pages(self->stage, region, N, self->was, self->is));
	EXPECT_EQ(BORN, counted(self->is, BORN, 1));
	for (int i = 0; i < TREE; i++) {
		pid_t pid = mm_tree_pid(self->tree, i);
		struct view own = { region, 0, BORN, 0 };

		if (mm_tree_level(self->tree, i) == 1)
			parent = i;
		own.seed = mm_tree_pid(self->tree, parent);
		EXPECT_EQ(0, check(self->tree, i, own));
		EXPECT_EQ(0, mm_pfns(pid, region, then, BORN));
		EXPECT_EQ(BORN, mm_moved(family[parent != 0], then, BORN));
		EXPECT_EQ(BORN, counted(then, BORN, TREE / 2));
		EXPECT_EQ(BORN, agreed(mm_tree_pid(self->tree, parent), region, 0, BORN, then));
		EXPECT_EQ(0, agreed(pid, region, 0, BORN, self->is));
	}
}

/* pages move that their writer has unmapped, with a process of the middle dead, for all who are left */
TEST_F(fork, orphans)
{
	struct view all = { region, 0, N, 1 };
	uint64_t was[N], is[N];

	self->tree = mm_tree_fork(2, 2, NULL, NULL);
	ASSERT_NE(NULL, self->tree);
	ASSERT_EQ(0, munmap(region, LEN));
	ASSERT_EQ(0, mm_tree_kill(self->tree, 0));
	ASSERT_EQ(0, mm_pfns(mm_tree_pid(self->tree, 1), region, was, N));
	ASSERT_EQ(0, mm_stage_move(self->stage));
	ASSERT_EQ(0, mm_pfns(mm_tree_pid(self->tree, 1), region, is, N));
	EXPECT_EQ(N, mm_moved(was, is, N));
	EXPECT_EQ(N, counted(is, N, TREE - 1));
	for (int i = 1; i < TREE; i++) {
		EXPECT_EQ(N, agreed(mm_tree_pid(self->tree, i), region, 0, N, is));
		EXPECT_EQ(0, check(self->tree, i, all));
	}
}

static char *elsewhere;

/* One VMA becomes many, at another place: what the walk finds has other addresses and other page offsets. */
static int scatter(void *arg)
{
	for (int i = 0; i < N; i += 4)
		if (mprotect(region + i * PAGE, 2 * PAGE, PROT_READ))
			return 1;
	for (int i = 0; i < N; i += 2)
		if (mremap(region + i * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			   elsewhere + i * PAGE) == MAP_FAILED)
			return 1;
	return 0;
}

/* a child that has the pages in many VMAs at other addresses gets the same new frames there */
TEST_F(fork, scattered)
{
	struct view all = { region, 0, N, 1 }, moved;
	pid_t pid;

	elsewhere = mm_reserve(LEN, PAGE);
	ASSERT_NE(NULL, elsewhere);
	moved = (struct view) { elsewhere, 0, N, 1 };
	self->tree = mm_tree_fork(2, 1, NULL, NULL);
	ASSERT_NE(NULL, self->tree);
	ASSERT_EQ(0, mm_tree_call(self->tree, 0, scatter, NULL));
	pid = mm_tree_pid(self->tree, 0);
	EXPECT_EQ(N / 2, mm_vma_count(pid, elsewhere, LEN));
	EXPECT_EQ(N, mm_stage_move_pages(self->stage, region, N, self->was, self->is));
	EXPECT_EQ(N, counted(self->is, N, 3));
	EXPECT_EQ(N, agreed(pid, elsewhere, 0, N, self->is));
	EXPECT_EQ(N, agreed(mm_tree_pid(self->tree, 1), region, 0, N, self->is));
	EXPECT_EQ(0, check(self->tree, 0, moved));
	EXPECT_EQ(0, check(self->tree, 1, all));
	EXPECT_EQ(-1, mm_check(region, LEN, 1));
}

TEST_HARNESS_MAIN
