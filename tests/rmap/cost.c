// SPDX-License-Identifier: GPL-2.0
/* What fork() and the exit of the child cost in the reverse map, by the depth of the process that forks. */
#include <errno.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mm.h"

#define VMAS	69
#define LOCK	"&anon_vma->rwsem"

/* The processes of a tree find the memory under test here: a page in each VMA. */
static char *vma[VMAS];

/* Of one fork() and the exit of the child: its objects while it lives, what is left of them, the locks taken. */
struct cost {
	struct mm_objects alive, left;
	long locks;			/* or -ENOENT */
	int wrong;			/* exit status of the child */
};

FIXTURE(fork)
{
	struct mm_tree *t;		/* depth 0 has none */
	struct cost *cost;		/* shared: with the VMAs, without */
};

/* How many forks lie between the process that made the VMAs and the one that forks. */
FIXTURE_VARIANT(fork)
{
	unsigned int depth;
};

FIXTURE_VARIANT_ADD(fork, 0) { .depth = 0 };
FIXTURE_VARIANT_ADD(fork, 1) { .depth = 1 };
FIXTURE_VARIANT_ADD(fork, 2) { .depth = 2 };
FIXTURE_VARIANT_ADD(fork, 3) { .depth = 3 };
FIXTURE_VARIANT_ADD(fork, 4) { .depth = 4 };
FIXTURE_VARIANT_ADD(fork, 5) { .depth = 5 };

FIXTURE_SETUP(fork)
{
	self->cost = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->cost);
	for (int i = 0; i < VMAS; i++) {
		vma[i] = mm_map_aligned(PAGE, PAGE);
		ASSERT_NE(NULL, vma[i]);
		mm_fill(vma[i], PAGE, i + 1);
	}
	if (variant->depth) {
		self->t = mm_tree_fork(variant->depth, 1, NULL, NULL);
		ASSERT_NE(NULL, self->t);
	}
}

FIXTURE_TEARDOWN(fork)
{
	mm_tree_end(self->t);
}

static int wrong_pages(uint64_t seed)
{
	int wrong = 0;

	for (int i = 0; i < VMAS; i++)
		wrong += vma[i] && mm_check(vma[i], PAGE, seed + i) != -1;
	return wrong;
}

static void write_pages(uint64_t seed)
{
	for (int i = 0; i < VMAS; i++)
		if (vma[i])
			mm_fill(vma[i], PAGE, seed + i);
}

/* The child finds the parent's pages, and has copies of its own when it has written. */
static int child(void *arg)
{
	int wrong = wrong_pages(1);

	(void)arg;
	write_pages(1001);
	return wrong + wrong_pages(1001);
}

/* The same in a child that does nothing but wait to be looked at. */
static int count_alive(struct cost *cost)
{
	struct mm_objects base = mm_objects();
	struct mm_tree *t = mm_tree_fork(1, 1, NULL, NULL);

	if (!t)
		return -errno;
	cost->alive = mm_objects_since(&base);
	mm_tree_end(t);
	cost->left = mm_objects_since(&base);
	return 0;
}

static int measure(void *arg)
{
	struct cost *cost = arg;
	long before = mm_lock_count(LOCK);

	cost->wrong = mm_in_child(child, NULL);
	cost->locks = before < 0 ? before : mm_lock_count(LOCK) - before;
	return count_alive(cost);
}

static int unmap_all(void *arg)
{
	int err = 0;

	(void)arg;
	for (int i = 0; i < VMAS; i++) {
		err |= munmap(vma[i], PAGE);
		vma[i] = NULL;
	}
	return err;
}

static int right_pages(void *arg)
{
	(void)arg;
	return wrong_pages(1);
}

static int call(struct mm_tree *t, unsigned int depth, int (*fn)(void *arg), void *arg)
{
	return t ? mm_tree_call(t, depth - 1, fn, arg) : fn(arg);
}

/* the child has an anon_vma and depth + 2 links for each VMA, right pages, and leaves nothing: what its locks cost */
TEST_F(fork, depth)
{
	struct cost *with = &self->cost[0], *without = &self->cost[1];

	ASSERT_EQ(0, call(self->t, variant->depth, measure, with));
	EXPECT_EQ(0, call(self->t, variant->depth, right_pages, NULL));
	ASSERT_EQ(0, call(self->t, variant->depth, unmap_all, NULL));
	ASSERT_EQ(0, call(self->t, variant->depth, measure, without));
	EXPECT_EQ(0, with->wrong);
	EXPECT_EQ(VMAS, with->alive.anon_vma - without->alive.anon_vma);
	EXPECT_EQ(VMAS * (variant->depth + 2), with->alive.chain - without->alive.chain);
	EXPECT_EQ(VMAS, with->alive.vma - without->alive.vma);
	EXPECT_EQ(0, with->left.anon_vma);
	EXPECT_EQ(0, with->left.chain);
	EXPECT_EQ(0, with->left.vma);
	/* The program's own VMAs have their share in both. */
	if (with->locks >= 0)
		mm_report("lock:" LOCK, with->locks - without->locks);
}

TEST_HARNESS_MAIN
