// SPDX-License-Identifier: GPL-2.0
/*
 * UFFDIO_MOVE of pages in each state that a page of swap may have: in memory or not, in the swap cache, clean, written since; at
 * the new place reclaim finds it, and writes what it holds (UFFDIO_MOVE(2const)).
 */
#include "kselftest_harness.h"
#include <sys/uio.h>
#include <sys/wait.h>
#include "uffd.h"

#define PAGES	16
#define LEN	(PAGES * PAGE)
#define SEED	1

/* What is done to pages that hold their bytes, before they move. */
static int stay(char *p)
{
	return 0;
}

static int out(char *p)
{
	return mm_pageout(p, LEN);
}

static int back(char *p)
{
	return out(p) || mm_check(p, LEN, SEED) != -1;
}

static int cached(char *p)
{
	return out(p) || madvise(p, LEN, MADV_WILLNEED);
}

/* Out of the page tables, and kept in the swap cache by somebody who has a reference until then. */
static int kept(char *p)
{
	struct iovec iov = { .iov_base = p, .iov_len = LEN };
	int fds[2], ret = -1;

	if (pipe(fds))
		return -1;
	if (vmsplice(fds[1], &iov, 1, 0) == LEN && !madvise(p, LEN, MADV_PAGEOUT))
		ret = mm_count_swapped(0, p, LEN) != PAGES;
	close(fds[0]);
	close(fds[1]);
	return ret;
}

static int free_for_taking(char *p)
{
	if (madvise(p, LEN, MADV_FREE))
		return -1;
	mm_fill(p, LEN, SEED);
	return 0;
}

static int unshared(char *p)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	mm_fill(p, LEN, SEED);
	return 0;
}

FIXTURE(move) {
	int fd;
	char *src, *dst;
	long swap;
};

FIXTURE_VARIANT(move) {
	int (*prepare)(char *p);
};

FIXTURE_VARIANT_ADD(move, written) { stay };
FIXTURE_VARIANT_ADD(move, out) { out };
FIXTURE_VARIANT_ADD(move, back) { back };
FIXTURE_VARIANT_ADD(move, cached) { cached };
FIXTURE_VARIANT_ADD(move, kept) { kept };
FIXTURE_VARIANT_ADD(move, freed_and_written) { free_for_taking };
FIXTURE_VARIANT_ADD(move, shared_and_written) { unshared };

FIXTURE_SETUP(move)
{
	NEED(mm_need_swap());
	NEED(uffd_need((UFFD_FEATURE_MOVE | UFFD_FEATURE_SIGBUS), "USERFAULTFD with UFFDIO_MOVE"));
	self->swap = mm_swap_used();
	self->fd = uffd_open((UFFD_FEATURE_MOVE | UFFD_FEATURE_SIGBUS));
	ASSERT_LE(0, self->fd);
	self->src = mm_map_aligned(LEN, PAGE);
	self->dst = mm_map_aligned(LEN, PAGE);
	ASSERT_TRUE(self->src && self->dst);
	ASSERT_EQ(0, uffd_register(self->fd, self->dst, LEN, UFFDIO_REGISTER_MODE_MISSING));
	mm_fill(self->src, LEN, SEED);
	mm_lru_drain();
}

FIXTURE_TEARDOWN(move)
{
	close(self->fd);
	munmap(self->dst, LEN);
	munmap(self->src, LEN);
	EXPECT_EQ(self->swap, mm_swap_used());
}

/* All pages, by one call or by several: it stops where it has to look again. */
static int move(FIXTURE_DATA(move) *self)
{
	size_t done = 0;

	for (int i = 0; i < 1000 && done < LEN; i++) {
		struct uffdio_move m = {
			.dst = (uintptr_t)self->dst + done, .src = (uintptr_t)self->src + done, .len = LEN - done,
		};

		if (ioctl(self->fd, UFFDIO_MOVE, &m) && errno != EAGAIN)
			return errno;
		if (m.move > 0)
			done += m.move;
	}
	return done == LEN ? 0 : EAGAIN;
}

/* the bytes are at the new place, reclaim takes all of them from there, and they come back */
TEST_F(move, reclaim)
{
	ASSERT_EQ(0, variant->prepare(self->src));
	ASSERT_EQ(0, move(self));
	EXPECT_EQ(0, mm_count_present(0, self->src, LEN));
	EXPECT_EQ(0, mm_count_swapped(0, self->src, LEN));
	ASSERT_EQ(0, munmap(self->src, LEN));
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(-1, mm_check(self->dst, LEN, SEED));
		EXPECT_EQ(PAGES, mm_count_present(0, self->dst, LEN));
		EXPECT_EQ(0, mm_pageout(self->dst, LEN));
		EXPECT_EQ(PAGES, mm_count_swapped(0, self->dst, LEN));
	}
	EXPECT_EQ(-1, mm_check(self->dst, LEN, SEED));
}

/* what is written before the move, and nothing after it, is what comes back */
TEST_F(move, written_before)
{
	ASSERT_EQ(0, variant->prepare(self->src));
	mm_fill(self->src, LEN, SEED + 1);
	ASSERT_EQ(0, move(self));
	ASSERT_EQ(0, munmap(self->src, LEN));
	EXPECT_EQ(0, mm_pageout(self->dst, LEN));
	EXPECT_EQ(-1, mm_check(self->dst, LEN, SEED + 1));
}

/* what is written after the move, is what comes back; before that nobody else gets to see it */
TEST_F(move, written_after)
{
	ASSERT_EQ(0, variant->prepare(self->src));
	ASSERT_EQ(0, move(self));
	mm_fill(self->dst, LEN, SEED + 2);
	EXPECT_EQ(0, uffd_unregister(self->fd, self->dst, LEN));
	EXPECT_EQ(-1, mm_check_byte(self->src, LEN, 0));
	EXPECT_EQ(0, mm_pageout(self->dst, LEN));
	EXPECT_EQ(-1, mm_check(self->dst, LEN, SEED + 2));
}

/* a child that is forked after the move shares the pages at the new place, and swapoff finds both */
TEST_F(move, shared_later)
{
	struct mm_tree *t;

	ASSERT_EQ(0, variant->prepare(self->src));
	ASSERT_EQ(0, move(self));
	EXPECT_EQ(0, uffd_unregister(self->fd, self->dst, LEN));
	t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, t);
	ASSERT_EQ(0, mm_swap_cycle());
	EXPECT_EQ(-1, mm_check(self->dst, LEN, SEED));
	EXPECT_EQ(PAGES, mm_count_present(mm_tree_pid(t, 0), self->dst, LEN) + mm_count_swapped(mm_tree_pid(t, 0), self->dst, LEN));
	mm_fill(self->dst, LEN, SEED + 3);
	mm_tree_end(t);
	EXPECT_EQ(-1, mm_check(self->dst, LEN, SEED + 3));
}

TEST_HARNESS_MAIN
