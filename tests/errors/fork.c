// SPDX-License-Identifier: GPL-2.0
/* fork() with each of its allocations failing: no child, nothing lost, nothing left behind. */
#include "kselftest_harness.h"
#include <fcntl.h>
#include <linux/mman.h>

#include "mm.h"
#include "walk.h"

#define SEED		7
#define CHAIN		4	/* generations above the process that forks */

static pid_t child;

/* The child stays until it is told to check what it got. */
static int go[2];

static bool has_bytes(struct walk *w)
{
	return mm_check(w->p, w->len, SEED) < 0;
}

/* What the parent's memory has to be, and what the child has to find. */
static bool (*parent_right)(struct walk *w), (*child_right)(struct walk *w);

static int fork_call(struct walk *w)
{
	pid_t pid = fork();
	char byte;

	if (pid < 0)
		return -errno;
	if (!pid) {
		if (read(go[0], &byte, 1) != 1)
			_exit(2);
		_exit(!child_right(w));
	}
	child = pid;
	return 0;
}

static void child_has_it(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;
	int status = -1;

	EXPECT_EQ(1, write(go[1], "", 1));
	EXPECT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

static void nothing(struct walk *w)
{
}

/* The parent's memory, and no child that it would have to wait for. */
static void intact(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_TRUE(parent_right(w));
	EXPECT_EQ(-1, waitpid(-1, NULL, WNOHANG));
	EXPECT_EQ(ECHILD, errno);
}

/* @least: allocations that have to be there, so that the walk did not miss what it is for. */
static void walk_fork(struct walk *w, int least)
{
	struct __test_metadata *_metadata = w->_metadata;

	w->call = fork_call;
	w->done = child_has_it;
	w->undo = nothing;
	w->intact = intact;
	w->error = ENOMEM;
	w->repeat_every = 4;
	ASSERT_EQ(0, pipe2(go, O_CLOEXEC));
	walk(w);
	EXPECT_LE(least, w->failed);
	close(go[0]);
	close(go[1]);
}

FIXTURE(fork) {
	struct walk w;
};

FIXTURE_SETUP(fork)
{
	NEED(mm_need_fail_nth());
	NEED(mm_need_swap());
	self->w = (struct walk) { ._metadata = _metadata, .len = 12 * PAGE };
	parent_right = child_right = has_bytes;
}

FIXTURE_TEARDOWN(fork)
{
	if (self->w.p)
		munmap(self->w.p, self->w.len);
}

/* private memory in three VMAs: fork() fails with ENOMEM, no child is left, the parent keeps all */
TEST_F(fork, private)
{
	struct walk *w = &self->w;

	w->p = mm_map_aligned(w->len, PAGE);
	ASSERT_NE(NULL, w->p);
	mm_fill(w->p, w->len, SEED);
	ASSERT_EQ(0, mprotect(w->p + 4 * PAGE, 4 * PAGE, PROT_READ));
	walk_fork(w, 40);
}

/* Each generation writes, so that it has an anon_vma of its own; the last one forks under the walk. */
static int descend(void *arg)
{
	struct walk *w = arg;
	struct __test_metadata *_metadata = w->_metadata;
	int ret;

	mm_touch_write(w->p, w->len);
	w->nth++;
	if (w->nth <= CHAIN) {
		ret = mm_in_child(descend, w);
		EXPECT_EQ(0, ret);
	} else {
		walk_fork(w, 40 + CHAIN);
	}
	return !__test_passed(_metadata);
}

/* the same in the fifth generation: a failure while a chain of anon_vmas is cloned leaves none behind */
TEST_F(fork, chain)
{
	struct walk *w = &self->w;

	w->p = mm_map_aligned(w->len, PAGE);
	ASSERT_NE(NULL, w->p);
	mm_fill(w->p, w->len, SEED);
	EXPECT_EQ(0, descend(w));
}

static bool all_swapped(struct walk *w)
{
	return mm_count_swapped(0, w->p, w->len) == (long)(w->len / PAGE);
}

/* memory that is swapped out stays there, each slot with one user, and the child of the repeat reads it */
TEST_F(fork, swapped)
{
	struct walk *w = &self->w;

	w->p = mm_map_aligned(w->len, PAGE);
	ASSERT_NE(NULL, w->p);
	mm_fill(w->p, w->len, SEED);
	ASSERT_EQ(0, mm_pageout(w->p, w->len));
	parent_right = all_swapped;
	walk_fork(w, 30);
	EXPECT_TRUE(has_bytes(w));
}

/* private file and shared memory, locked, guarded and unmapped pages: counters of each kind stay */
TEST_F(fork, kinds)
{
	struct walk *w = &self->w;
	int file = mm_tmpfile("/mnt", w->len), shmem = mm_memfd(w->len);
	bool guard = !mm_need_guard(MAP_PRIVATE);

	w->p = mm_reserve(w->len + 2 * PAGE, PAGE);
	ASSERT_NE(NULL, w->p);
	ASSERT_NE(MAP_FAILED, mmap(w->p, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file, 0));
	ASSERT_NE(MAP_FAILED, mmap(w->p + 3 * PAGE, 3 * PAGE, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_FIXED, shmem, 0));
	ASSERT_TRUE(walk_map(w->p + 6 * PAGE, 6 * PAGE + 2 * PAGE));
	mm_fill(w->p, w->len, SEED);
	if (guard)
		ASSERT_EQ(0, madvise(w->p + w->len + PAGE, PAGE, MADV_GUARD_INSTALL));
	ASSERT_EQ(0, mlock(w->p + 8 * PAGE, 2 * PAGE));
	walk_fork(w, 40);
	EXPECT_EQ(guard ? SIGSEGV : 0, mm_probe_read(w->p + w->len + PAGE));
	munmap(w->p + w->len, 2 * PAGE);
	close(file);
	close(shmem);
}

static bool sparse_bytes(struct walk *w)
{
	for (size_t at = 0; at < w->len; at += PMD_SIZE)
		if (mm_check(w->p + at, PAGE, SEED + at) >= 0)
			return false;
	return true;
}

/* one page in each of eight page tables: a failure at any table undoes those before it */
TEST_F(fork, page_tables)
{
	struct walk *w = &self->w;

	w->len = 8 * PMD_SIZE;
	w->p = mm_map_aligned(w->len, PMD_SIZE);
	ASSERT_NE(NULL, w->p);
	for (size_t at = 0; at < w->len; at += PMD_SIZE)
		mm_fill(w->p + at, PAGE, SEED + at);
	parent_right = child_right = sparse_bytes;
	walk_fork(w, 40);
}

/* pinned pages are copied by fork() itself: the copies that fail are ENOMEM, and the pins keep their pages */
TEST_F(fork, pinned)
{
	struct walk *w = &self->w;
	uint64_t before[12], after[12];
	struct mm_pin pin;

	NEED(mm_need_pin());
	w->p = mm_map_aligned(w->len, PAGE);
	ASSERT_NE(NULL, w->p);
	mm_fill(w->p, w->len, SEED);
	ASSERT_EQ(0, mm_pin_uring(&pin, w->p, w->len));
	ASSERT_EQ(0, mm_pfns(0, w->p, before, 12));
	walk_fork(w, 40 + 12);
	mm_touch_write(w->p, w->len);
	ASSERT_EQ(0, mm_pfns(0, w->p, after, 12));
	for (int i = 0; i < 12; i++)
		EXPECT_EQ(before[i], after[i]);
	mm_unpin(&pin);
}

TEST_HARNESS_MAIN
