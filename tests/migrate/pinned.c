// SPDX-License-Identifier: GPL-2.0
/* Pages that something holds do not move: what is read or written through the old frame has to stay right. */
#include "kselftest_harness.h"
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "mm.h"

#define N	64
#define LEN	(N * PAGE)
#define HELD	(N / 2)			/* pages at the start of the region */

/* Copy what is pinned to user memory, from the frames: mm/gup_test.h, which is no uapi header. */
#define PIN_LONGTERM_TEST_READ	_IOW('g', 9, __u64)

FIXTURE(pinned)
{
	struct mm_stage *stage;
	struct mm_pin pin;
	char *p;
	uint64_t was[N], is[N];
};

FIXTURE_VARIANT(pinned)
{
	int flags;			/* of mmap() */
};

FIXTURE_VARIANT_ADD(pinned, anon) { .flags = MAP_PRIVATE };
FIXTURE_VARIANT_ADD(pinned, shmem) { .flags = MAP_SHARED };

FIXTURE_SETUP(pinned)
{
	NEED(mm_need_compaction());
	NEED(mm_need_pin());
	NEED(mm_need_gup_test());
	self->p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, variant->flags | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	self->stage = mm_stage(2 * LEN);
	ASSERT_NE(NULL, self->stage);
	mm_fill(self->p, LEN, 1);
}

FIXTURE_TEARDOWN(pinned)
{
	mm_unpin(&self->pin);
	mm_stage_end(self->stage);
	munmap(self->p, LEN);
}

static long moved_of_parity(const uint64_t *was, const uint64_t *is, int parity)
{
	long n = 0;

	for (int i = parity; i < N; i += 2)
		n += mm_moved(was + i, is + i, 1);
	return n;
}

/* every second page, registered with io_uring, keeps its frame and its neighbours move; unpinned, it moves */
TEST_F(pinned, io_uring)
{
	uint64_t then[N];

	ASSERT_EQ(0, mm_pin_uring_stride(&self->pin, self->p, LEN, 2));
	EXPECT_EQ(N / 2, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	EXPECT_EQ(0, moved_of_parity(self->was, self->is, 0));
	EXPECT_EQ(N / 2, moved_of_parity(self->was, self->is, 1));
	EXPECT_EQ(-1, mm_check(self->p, LEN, 1));
	mm_unpin(&self->pin);
	ASSERT_EQ(0, mm_compact());
	ASSERT_EQ(0, mm_pfns(0, self->p, then, N));
	EXPECT_EQ(N / 2, moved_of_parity(self->is, then, 0));
	EXPECT_EQ(-1, mm_check(self->p, LEN, 1));
}

/* what the process writes after compaction is what the holder of the pin reads from its frames */
TEST_F(pinned, coherent)
{
	static char seen[HELD * PAGE];
	__u64 to = (uintptr_t)seen;

	ASSERT_EQ(0, mm_pin_gup(&self->pin, self->p, HELD * PAGE));
	EXPECT_EQ(N - HELD, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	EXPECT_EQ(0, mm_moved(self->was, self->is, HELD));
	mm_fill(self->p, LEN, 2);
	ASSERT_EQ(0, ioctl(self->pin.fd, PIN_LONGTERM_TEST_READ, &to));
	EXPECT_EQ(-1, mm_check(seen, sizeof(seen), 2));
	EXPECT_EQ(-1, mm_check(self->p, LEN, 2));
}

static char *region;

static int check_half(void *arg)
{
	return mm_check(region, LEN / 2, 1) != -1;
}

/* what fork() had to copy for a child of the pinning process moves, what it shares with the pin does not */
TEST_F(pinned, forked)
{
	bool anon = variant->flags == MAP_PRIVATE;
	uint64_t was[N], is[N];
	struct mm_tree *tree;

	region = self->p;
	ASSERT_EQ(0, mm_pin_gup(&self->pin, self->p, HELD * PAGE));
	tree = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, tree);
	ASSERT_EQ(0, mm_tree_call(tree, 0, check_half, NULL));
	ASSERT_EQ(0, mm_pfns(mm_tree_pid(tree, 0), self->p, was, HELD));
	EXPECT_EQ(N - HELD, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	ASSERT_EQ(0, mm_pfns(mm_tree_pid(tree, 0), self->p, is, HELD));
	EXPECT_EQ(0, mm_moved(self->was, self->is, HELD));
	EXPECT_EQ(anon ? HELD : 0, mm_moved(self->was, was, HELD));
	EXPECT_EQ(anon ? HELD : 0, mm_moved(was, is, HELD));
	EXPECT_EQ(0, mm_tree_call(tree, 0, check_half, NULL));
	EXPECT_EQ(-1, mm_check(self->p, LEN, 1));
	mm_tree_end(tree);
}

/* pages lent to a pipe stay until they are read from it, and what is read is what they hold then */
TEST_F(pinned, pipe)
{
	struct iovec iov = { self->p, 8 * PAGE };
	static char seen[8 * PAGE];
	uint64_t then[N];
	int fds[2];

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(8 * PAGE, vmsplice(fds[1], &iov, 1, 0));
	EXPECT_EQ(N - 8, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	EXPECT_EQ(0, mm_moved(self->was, self->is, 8));
	mm_fill(self->p, LEN, 2);
	ASSERT_EQ(sizeof(seen), read(fds[0], seen, sizeof(seen)));
	EXPECT_EQ(-1, mm_check(seen, sizeof(seen), 2));
	close(fds[0]);
	close(fds[1]);
	ASSERT_EQ(0, mm_compact());
	ASSERT_EQ(0, mm_pfns(0, self->p, then, N));
	EXPECT_EQ(8, mm_moved(self->is, then, 8));
	EXPECT_EQ(-1, mm_check(self->p, LEN, 2));
}

TEST_HARNESS_MAIN
