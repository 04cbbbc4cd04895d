// SPDX-License-Identifier: GPL-2.0
/* anon_vma and anon_vma_chain objects: allocated, shared with neighbours, inherited, used again, freed. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "mm.h"

#define REGIONS		5
#define REGION		(4 * PAGE)

/* What fork() costs: of each VMA with an anon_vma the child gets one of its own, and one link more. */
struct fork_cost {
	long faulted;		/* VMAs with an anon_vma: anon_vma objects of the child */
	long links;		/* anon_vma_chain objects of the parent */
	long vmas;
};

static void __attribute__((noreturn)) sleeper(void)
{
	for (;;)
		pause();
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Objects that fork() adds, as long as the child lives; into *@arg. */
static int measure_fork(void *arg)
{
	struct mm_objects base = mm_objects(), *grown = arg;
	pid_t pid = fork();

	if (!pid)
		sleeper();
	*grown = mm_objects_since(&base);
	end(pid);
	return pid < 0 ? -1 : 0;
}

static struct fork_cost fork_cost(void)
{
	struct mm_objects grown;

	measure_fork(&grown);
	return (struct fork_cost) {
		.faulted = grown.anon_vma,
		.links = grown.chain - grown.anon_vma,
		.vmas = grown.vma,
	};
}

static void map_regions(char *p[REGIONS])
{
	for (int i = 0; i < REGIONS; i++) {
		p[i] = mm_map_aligned(REGION, PAGE);
		if (p[i])
			mm_touch_write(p[i], REGION);
	}
}

/* the first write to a region allocates one anon_vma and one link; reads and further writes none */
TEST(first_write)
{
	char *p = mm_map_aligned(16 * PAGE, PAGE);
	struct mm_objects base;

	ASSERT_NE(NULL, p);
	base = mm_objects();
	mm_touch_read(p, 16 * PAGE);
	EXPECT_OBJECTS(base, 0, 0, 0);
	p[3 * PAGE] = 1;
	EXPECT_OBJECTS(base, 1, 1, 0);
	mm_touch_write(p, 16 * PAGE);
	EXPECT_EQ(16, mm_count_present(0, p, 16 * PAGE));
	EXPECT_OBJECTS(base, 1, 1, 0);
	munmap(p, 16 * PAGE);
	EXPECT_OBJECTS(base, 0, 0, -1);
}

/* memory that several processes share through a file or shmem has no anon_vma, however it is used */
TEST(shared_has_none)
{
	int fd = mm_memfd(4 * PAGE);
	struct mm_objects base = mm_objects();
	char *anon, *file;

	ASSERT_LE(0, fd);
	anon = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	file = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, anon);
	ASSERT_NE(MAP_FAILED, file);
	mm_touch_write(anon, 4 * PAGE);
	mm_touch_write(file, 4 * PAGE);
	EXPECT_EQ(4, mm_count_present(0, file, 4 * PAGE));
	EXPECT_OBJECTS(base, 0, 0, 2);
	munmap(anon, 4 * PAGE);
	munmap(file, 4 * PAGE);
	EXPECT_OBJECTS(base, 0, 0, 0);
	close(fd);
}

/* a private file mapping gets its anon_vma with the first copied page, not with pages that are only read */
TEST(private_file)
{
	int fd = mm_memfd(4 * PAGE);
	struct mm_objects base;
	char *p;

	ASSERT_LE(0, fd);
	p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	base = mm_objects();
	mm_touch_read(p, 4 * PAGE);
	EXPECT_EQ(4, mm_count_present(0, p, 4 * PAGE));
	EXPECT_OBJECTS(base, 0, 0, 0);
	p[PAGE] = 1;
	EXPECT_OBJECTS(base, 1, 1, 0);
	munmap(p, 4 * PAGE);
	EXPECT_OBJECTS(base, 0, 0, -1);
	close(fd);
}

/* MADV_DONTNEED frees the pages and keeps the anon_vma, which the next write uses */
TEST(survives_dontneed)
{
	char *p = mm_map_aligned(4 * PAGE, PAGE);
	struct mm_objects base = mm_objects();

	ASSERT_NE(NULL, p);
	mm_touch_write(p, 4 * PAGE);
	EXPECT_OBJECTS(base, 1, 1, 0);
	ASSERT_EQ(0, madvise(p, 4 * PAGE, MADV_DONTNEED));
	EXPECT_EQ(0, mm_count_present(0, p, 4 * PAGE));
	EXPECT_OBJECTS(base, 1, 1, 0);
	mm_touch_write(p, 4 * PAGE);
	EXPECT_OBJECTS(base, 1, 1, 0);
	munmap(p, 4 * PAGE);
	EXPECT_OBJECTS(base, 0, 0, -1);
}

FIXTURE(neighbours)
{
	struct mm_objects base;
	char *p;		/* two VMAs, [0, 4) and [4, 8) */
};

FIXTURE_VARIANT(neighbours)
{
	int first;		/* page that is written first */
	int prot;		/* of the lower VMA */
	int advice;		/* for the lower VMA */
	long own;		/* anon_vmas that the second write allocates */
};

/* The flags of the VMAs differ in what mprotect() may change, or in more than that. */
FIXTURE_VARIANT_ADD(neighbours, next) { .first = 4, .prot = PROT_READ | PROT_WRITE | PROT_EXEC };
FIXTURE_VARIANT_ADD(neighbours, prev) { .first = 0, .prot = PROT_READ | PROT_WRITE | PROT_EXEC };
FIXTURE_VARIANT_ADD(neighbours, other_flags) {
	.first = 0, .prot = PROT_READ | PROT_WRITE, .advice = MADV_DONTDUMP, .own = 1,
};

FIXTURE_SETUP(neighbours)
{
	self->p = mm_map_aligned(8 * PAGE, PAGE);
	ASSERT_NE(NULL, self->p);
	self->base = mm_objects();
	ASSERT_EQ(0, mprotect(self->p, 4 * PAGE, variant->prot));
	if (variant->advice)
		ASSERT_EQ(0, madvise(self->p, 4 * PAGE, variant->advice));
	EXPECT_OBJECTS(self->base, 0, 0, 1);
}

FIXTURE_TEARDOWN(neighbours)
{
	munmap(self->p, 8 * PAGE);
}

/* a VMA split off before the first write takes the anon_vma of its neighbour, if their flags allow */
TEST_F(neighbours, find_mergeable)
{
	char *p = self->p;

	p[variant->first * PAGE] = 1;
	EXPECT_OBJECTS(self->base, 1, 1, 1);
	p[(4 - variant->first) * PAGE] = 1;
	EXPECT_OBJECTS(self->base, 1 + variant->own, 2, 1);
}

/* the VMAs become one again if, and only if, they share an anon_vma */
TEST_F(neighbours, merge_back)
{
	char *p = self->p;

	mm_touch_write(p + variant->first * PAGE, PAGE);
	mm_touch_write(p, 8 * PAGE);
	ASSERT_EQ(0, mprotect(p, 4 * PAGE, PROT_READ | PROT_WRITE));
	if (variant->advice)
		ASSERT_EQ(0, madvise(p, 4 * PAGE, MADV_DODUMP));
	EXPECT_EQ(1 + variant->own, mm_vma_count(0, p, 8 * PAGE));
	EXPECT_OBJECTS(self->base, 1 + variant->own, 1 + variant->own, variant->own);
}

static int neighbour_of_forked(void *arg)
{
	char *p = arg;
	struct mm_objects base, grown;

	if (mprotect(p, 4 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC))
		return 1;
	base = mm_objects();
	p[0] = 1;
	grown = mm_objects_since(&base);
	return grown.anon_vma == 1 && grown.chain == 1 ? 0 : 2;
}

/* the anon_vma of a VMA that came through fork() is not shared with a neighbour of the child */
TEST(not_mergeable_after_fork)
{
	char *p = mm_map_aligned(8 * PAGE, PAGE);

	ASSERT_NE(NULL, p);
	/* Two VMAs, of which the upper one alone has an anon_vma. */
	ASSERT_EQ(0, mprotect(p, 4 * PAGE, PROT_READ));
	p[4 * PAGE] = 1;
	EXPECT_EQ(0, mm_in_child(neighbour_of_forked, p));
	munmap(p, 8 * PAGE);
}

/* pieces that mprotect() cuts out have a link each to one anon_vma; undone, one VMA and one link remain */
TEST(split_and_merge)
{
	char *p = mm_map_aligned(16 * PAGE, PAGE);
	struct mm_objects base = mm_objects();

	ASSERT_NE(NULL, p);
	mm_fill(p, 16 * PAGE, 1);
	for (int i = 0; i < 16; i += 2)
		ASSERT_EQ(0, mprotect(p + i * PAGE, PAGE, PROT_READ));
	EXPECT_EQ(16, mm_vma_count(0, p, 16 * PAGE));
	EXPECT_OBJECTS(base, 1, 16, 15);
	ASSERT_EQ(0, mprotect(p, 16 * PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(1, mm_vma_count(0, p, 16 * PAGE));
	EXPECT_OBJECTS(base, 1, 1, 0);
	EXPECT_EQ(-1, mm_check(p, 16 * PAGE, 1));
	munmap(p, 16 * PAGE);
	EXPECT_OBJECTS(base, 0, 0, -1);
}

FIXTURE(fork_tree)
{
	struct mm_tree *tree;
	char *p[REGIONS];
};

FIXTURE_VARIANT(fork_tree)
{
	unsigned int depth, width;
};

FIXTURE_VARIANT_ADD(fork_tree, one_child) { .depth = 1, .width = 1 };
FIXTURE_VARIANT_ADD(fork_tree, chain_of_2) { .depth = 2, .width = 1 };
FIXTURE_VARIANT_ADD(fork_tree, chain_of_6) { .depth = 6, .width = 1 };
FIXTURE_VARIANT_ADD(fork_tree, eight_children) { .depth = 1, .width = 8 };
FIXTURE_VARIANT_ADD(fork_tree, binary_3_levels) { .depth = 3, .width = 2 };

FIXTURE_SETUP(fork_tree)
{
}

FIXTURE_TEARDOWN(fork_tree)
{
	if (self->tree)
		mm_tree_end(self->tree);
}

/* at level k of a fork tree a VMA has one anon_vma of its own and k links more than in the first process */
TEST_F(fork_tree, growth)
{
	struct fork_cost cost = fork_cost();
	struct mm_objects base, grown, want = { 0 };
	long nodes = 1;

	map_regions(self->p);
	cost.faulted += REGIONS;
	cost.links += REGIONS;
	for (unsigned int level = 1; level <= variant->depth; level++) {
		nodes *= variant->width;
		want.anon_vma += nodes * cost.faulted;
		want.chain += nodes * (cost.links + level * cost.faulted);
	}
	base = mm_objects();
	self->tree = mm_tree_fork(variant->depth, variant->width, NULL, NULL);
	ASSERT_NE(NULL, self->tree);
	grown = mm_objects_since(&base);
	EXPECT_EQ(want.anon_vma, grown.anon_vma);
	EXPECT_EQ(want.chain, grown.chain);
	mm_tree_end(self->tree);
	self->tree = NULL;
	EXPECT_OBJECTS(base, 0, 0, 0);
}

/* fork() adds no object for a region that was not written yet, but for the VMA */
TEST(fork_of_unfaulted)
{
	struct fork_cost before = fork_cost(), after;
	char *p = mm_map_aligned(REGION, PAGE);

	ASSERT_NE(NULL, p);
	mm_touch_read(p, REGION);
	after = fork_cost();
	EXPECT_EQ(before.faulted, after.faulted);
	EXPECT_EQ(before.links, after.links);
	EXPECT_EQ(before.vmas + 1, after.vmas);
	munmap(p, REGION);
}

/* a child inherits a MADV_WIPEONFORK region without links, and nothing of a MADV_DONTFORK region */
TEST(wipeonfork_and_dontfork)
{
	struct fork_cost before = fork_cost(), wiped, kept;
	char *p = mm_map_aligned(REGION, PAGE);

	ASSERT_NE(NULL, p);
	mm_touch_write(p, REGION);
	ASSERT_EQ(0, madvise(p, REGION, MADV_WIPEONFORK));
	wiped = fork_cost();
	EXPECT_EQ(before.faulted, wiped.faulted);
	EXPECT_EQ(before.links, wiped.links);
	EXPECT_EQ(before.vmas + 1, wiped.vmas);
	ASSERT_EQ(0, madvise(p, REGION, MADV_KEEPONFORK));
	ASSERT_EQ(0, madvise(p, REGION, MADV_DONTFORK));
	kept = fork_cost();
	EXPECT_EQ(before.faulted, kept.faulted);
	EXPECT_EQ(before.links, kept.links);
	EXPECT_EQ(before.vmas, kept.vmas);
	munmap(p, REGION);
}

static void wait_for_exit_of(pid_t pid)
{
	struct pollfd fd = { .fd = syscall(__NR_pidfd_open, pid, 0), .events = POLLIN };

	poll(&fd, 1, -1);
	close(fd.fd);
}

/* A daemon that forks and exits, @generations times: each waits for the end of its parent first. */
static void __attribute__((noreturn)) relay(int generations, int ready)
{
	while (--generations) {
		pid_t me = getpid();

		if (fork())
			_exit(0);
		wait_for_exit_of(me);
	}
	generations = getpid();
	if (write(ready, &generations, sizeof(generations)) != sizeof(generations))
		_exit(1);
	sleeper();
}

FIXTURE(relay)
{
	int ready[2];
	int last;		/* the process that lives */
	char *p[REGIONS];
};

FIXTURE_VARIANT(relay)
{
	int generations;
};

FIXTURE_VARIANT_ADD(relay, generations_2) { .generations = 2 };
FIXTURE_VARIANT_ADD(relay, generations_3) { .generations = 3 };
FIXTURE_VARIANT_ADD(relay, generations_20) { .generations = 20 };

FIXTURE_SETUP(relay)
{
	ASSERT_EQ(0, pipe(self->ready));
	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	map_regions(self->p);
}

FIXTURE_TEARDOWN(relay)
{
	if (self->last)
		end(self->last);
}

/*
 * An anon_vma without a VMA and with one child at most is given to the next child. The second generation
 * brings a second anon_vma to each VMA of the first process, and there the number stays.
 */
/* however many times a process forks and exits, its last descendant has two anon_vmas and two links more */
TEST_F(relay, reuse)
{
	struct fork_cost cost = fork_cost();
	struct mm_objects base = mm_objects();

	if (!fork())
		relay(variant->generations, self->ready[1]);
	ASSERT_EQ(sizeof(self->last), read(self->ready[0], &self->last, sizeof(self->last)));
	for (int i = 1; i < variant->generations; i++)
		ASSERT_LT(0, waitpid(-1, NULL, 0));
	EXPECT_OBJECTS(base, 2 * cost.faulted, cost.links + 2 * cost.faulted, cost.vmas);
	end(self->last);
	self->last = 0;
	EXPECT_OBJECTS(base, 0, 0, 0);
}

FIXTURE(two_children)
{
	struct mm_tree *tree;
	struct mm_objects *grown;	/* shared with the tree */
	char *p[REGIONS];
};

FIXTURE_SETUP(two_children)
{
	self->grown = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->grown);
	map_regions(self->p);
	/* Nodes 0 (1, 2) and 3 (4, 5); the second half is not needed. */
	self->tree = mm_tree_fork(2, 2, NULL, NULL);
	ASSERT_NE(NULL, self->tree);
	for (int i = 5; i >= 3; i--)
		ASSERT_EQ(0, mm_tree_kill(self->tree, i));
}

FIXTURE_TEARDOWN(two_children)
{
	if (self->tree)
		mm_tree_end(self->tree);
}

/* an anon_vma that lost its VMA goes to a new child when it has one child left, not when it has two */
TEST_F(two_children, reuse_with_one)
{
	struct mm_objects *grown = self->grown, first;

	/* The parent lives: its anon_vma is in use. */
	ASSERT_EQ(0, mm_tree_call(self->tree, 1, measure_fork, grown));
	first = *grown;
	EXPECT_LT(REGIONS, first.anon_vma);
	/* Without VMA, but with two children. */
	ASSERT_EQ(0, mm_tree_kill(self->tree, 0));
	ASSERT_EQ(0, mm_tree_call(self->tree, 1, measure_fork, grown));
	EXPECT_EQ(first.anon_vma, grown->anon_vma);
	EXPECT_EQ(first.chain, grown->chain);
	/* With one. */
	ASSERT_EQ(0, mm_tree_kill(self->tree, 2));
	ASSERT_EQ(0, mm_tree_call(self->tree, 1, measure_fork, grown));
	EXPECT_EQ(0, grown->anon_vma);
	EXPECT_EQ(first.chain - first.anon_vma, grown->chain);
}

TEST_HARNESS_MAIN
