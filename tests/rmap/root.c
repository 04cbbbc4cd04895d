// SPDX-License-Identifier: GPL-2.0
/* The root of an anon_vma hierarchy: how long it lives, and that its lock stands for all. */
#include <errno.h>
#include <unistd.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "mm.h"

#define DEPTH	3
#define LEN	(4 * PAGE)
#define REGIONS	10
#define LOCK	"&anon_vma->rwsem"

/* The processes of a tree find the memory under test here. */
static char *region;
static char *regions[REGIONS];

static int unmap_region(void *arg)
{
	return munmap(region, LEN);
}

FIXTURE(chain)
{
	struct mm_tree *t;
};

/* The level that unmaps the region next, and the anon_vmas that this frees; level 0 is the test itself. */
FIXTURE_VARIANT(chain)
{
	struct {
		int level;
		long anon_vmas;
	} step[DEPTH + 1];
};

/* An anon_vma goes with the last VMA that links to it: its own one, or one of a descendant. */
FIXTURE_VARIANT_ADD(chain, oldest_first) { .step = { { 0, 0 }, { 1, 0 }, { 2, 0 }, { 3, 4 } } };
FIXTURE_VARIANT_ADD(chain, newest_first) { .step = { { 3, 1 }, { 2, 1 }, { 1, 1 }, { 0, 1 } } };
FIXTURE_VARIANT_ADD(chain, middle_first) { .step = { { 2, 0 }, { 1, 0 }, { 0, 0 }, { 3, 4 } } };
FIXTURE_VARIANT_ADD(chain, from_both_ends) { .step = { { 0, 0 }, { 3, 1 }, { 1, 0 }, { 2, 3 } } };

FIXTURE_SETUP(chain)
{
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	mm_fill(region, LEN, 1);
	self->t = mm_tree_fork(DEPTH, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
}

FIXTURE_TEARDOWN(chain)
{
	if (self->t)
		mm_tree_end(self->t);
}

/* each level unlinks a VMA from all anon_vmas above; those without a VMA are freed, the root last */
TEST_F(chain, lifetime)
{
	for (int i = 0; i <= DEPTH; i++) {
		struct mm_objects base = mm_objects();
		int level = variant->step[i].level;

		ASSERT_EQ(0, level ? mm_tree_call(self->t, level - 1, unmap_region, NULL) :
			     unmap_region(NULL));
		EXPECT_OBJECTS(base, -variant->step[i].anon_vmas, -(level + 1), -1);
	}
}

/* What fork() and the exit of the child cost. */
struct cost {
	long anon_vmas, links;		/* objects that the child has */
	long locks;			/* acquisitions of the lock class, or -ENOENT */
};

static int measure(void *arg)
{
	struct cost *cost = arg;
	struct mm_objects base = mm_objects(), grown;
	long before = mm_lock_count(LOCK);
	int pipefd[2];
	pid_t pid;

	if (pipe(pipefd))
		return -1;
	pid = fork();
	if (!pid) {
		char c;

		close(pipefd[1]);
		_exit(read(pipefd[0], &c, 1) != 0);
	}
	grown = mm_objects_since(&base);
	cost->anon_vmas = grown.anon_vma;
	cost->links = grown.chain;
	close(pipefd[0]);
	close(pipefd[1]);
	waitpid(pid, NULL, 0);
	cost->locks = before < 0 ? before : mm_lock_count(LOCK) - before;
	return 0;
}

static int unmap_regions(void *arg)
{
	int err = 0;

	for (int i = 0; i < REGIONS; i++)
		err |= munmap(regions[i], LEN);
	return err;
}

FIXTURE(locks)
{
	struct mm_tree *t;
	struct cost *cost;		/* shared: with the regions, without */
};

FIXTURE_VARIANT(locks)
{
	unsigned int depth;		/* of the process that forks */
};

FIXTURE_VARIANT_ADD(locks, depth_1) { .depth = 1 };
FIXTURE_VARIANT_ADD(locks, depth_2) { .depth = 2 };
FIXTURE_VARIANT_ADD(locks, depth_6) { .depth = 6 };

FIXTURE_SETUP(locks)
{
	self->cost = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->cost);
	for (int i = 0; i < REGIONS; i++) {
		regions[i] = mm_map_aligned(LEN, PAGE);
		ASSERT_NE(NULL, regions[i]);
		mm_touch_write(regions[i], LEN);
	}
	self->t = mm_tree_fork(variant->depth, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
}

FIXTURE_TEARDOWN(locks)
{
	if (self->t)
		mm_tree_end(self->t);
}

/*
 * All anon_vmas of a hierarchy share the root's lock. Where LOCK_STAT counts, fork() takes it twice and exit
 * once for each VMA, however many anon_vmas the VMA links to.
 */
/* the links of a forked VMA grow with the depth, the locks taken do not */
TEST_F(locks, once)
{
	struct cost *with = &self->cost[0], *without = &self->cost[1];
	unsigned int last = variant->depth - 1;

	ASSERT_EQ(0, mm_tree_call(self->t, last, measure, with));
	ASSERT_EQ(0, mm_tree_call(self->t, last, unmap_regions, NULL));
	ASSERT_EQ(0, mm_tree_call(self->t, last, measure, without));
	EXPECT_EQ(REGIONS, with->anon_vmas - without->anon_vmas);
	EXPECT_EQ(REGIONS * (variant->depth + 2), with->links - without->links);
	EXPECT_EQ(with->locks < 0 ? 0 : 3 * REGIONS, with->locks - without->locks);
}

TEST_HARNESS_MAIN
