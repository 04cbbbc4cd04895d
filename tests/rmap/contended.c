// SPDX-License-Identifier: GPL-2.0
/*
 * Walks of the reverse map while somebody else holds its lock. A process moves half of its memory away and back: on
 * the way back the VMAs merge, and the move holds anon_vma->rwsem, or i_mmap_rwsem, for writing. A real-time process
 * takes the CPU from it, more often than not there, and walks.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mm.h"

#define IDLE	"/sys/kernel/mm/page_idle/bitmap"
#define LEN	(2 * PMD_SIZE)
#define PAGES	(LEN / PAGE)
#define ROUNDS	120
#define SEED	31

struct shared {
	int stop, moves, wrong;
	uint64_t pfns[PAGES];
};

FIXTURE(contended)
{
	struct mm_cgroup cg;
	struct shared *shared;
	char *p, *aside;
	pid_t mover;
	bool in_group;
};

FIXTURE_VARIANT(contended)
{
	bool file;
};

FIXTURE_VARIANT_ADD(contended, anon) { .file = false };
FIXTURE_VARIANT_ADD(contended, shmem) { .file = true };

/* Half of the region goes aside and comes back, until told to stop; then everything must be as it was. */
static void move(struct shared *s, char *p, char *aside)
{
	char *half = p + LEN / 2;

	mm_pfns(0, p, s->pfns, PAGES);
	__atomic_store_n(&s->moves, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&s->stop, __ATOMIC_SEQ_CST)) {
		if (mremap(p, LEN / 2, LEN / 2, MREMAP_MAYMOVE | MREMAP_FIXED, aside) != aside ||
		    mremap(aside, LEN / 2, LEN / 2, MREMAP_MAYMOVE | MREMAP_FIXED, p) != p)
			_exit(1);
		s->moves++;
		mm_touch_read(half, 16 * PAGE);
	}
	_exit(mm_vma_count(0, p, LEN) != 1 ? 2 : mm_check(p, LEN, SEED) >= 0 ? 3 : 0);
}

FIXTURE_SETUP(contended)
{
	int fd;

	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	NEED(access(IDLE, W_OK) ? "IDLE_PAGE_TRACKING" : NULL);
	ASSERT_EQ(0, mm_cgroup_create(&self->cg, "contended"));
	self->in_group = true;
	self->shared = mmap(NULL, sizeof(*self->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	/* Not at the border of a page table: PTEs move, not tables. */
	self->p = mm_map_at_offset(LEN, PMD_SIZE, PAGE);
	self->aside = mm_reserve(LEN, PMD_SIZE);
	ASSERT_NE(NULL, self->p);
	ASSERT_NE(NULL, self->aside);
	if (variant->file) {
		fd = mm_memfd(LEN);
		ASSERT_EQ(self->p, mmap(self->p, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0));
		close(fd);
	}
	self->mover = fork();
	ASSERT_LE(0, self->mover);
	if (!self->mover) {
		if (mm_cgroup_enter(&self->cg))
			_exit(4);
		mm_fill(self->p, LEN, SEED);
		move(self->shared, self->p, self->aside + (variant->file ? 0 : 2 * PAGE));
	}
	for (int i = 0; i < 1000 && !__atomic_load_n(&self->shared->moves, __ATOMIC_SEQ_CST); i++)
		usleep(1000);
	ASSERT_LE(1, self->shared->moves);
	ASSERT_EQ(0, mm_set_fifo(1));
}

FIXTURE_TEARDOWN(contended)
{
	if (self->mover > 0) {
		kill(self->mover, SIGKILL);
		waitpid(self->mover, NULL, 0);
	}
	if (self->in_group)
		mm_cgroup_remove(&self->cg);
}

/* Let the mover end; what it says of its memory. */
static int end_mover(FIXTURE_DATA(contended) *self)
{
	int status;

	__atomic_store_n(&self->shared->stop, 1, __ATOMIC_SEQ_CST);
	waitpid(self->mover, &status, 0);
	self->mover = 0;
	return status;
}

/* The mover runs; where it is when the time is over is chance. */
static void some_time(int i)
{
	usleep(300 + i * 337 % 1700);
}

/* reclaim passes over pages whose lock it does not get, takes others, and no byte is lost */
TEST_F(contended, reclaim)
{
	struct mm_snap *snap = mm_snap();

	for (int i = 0; i < ROUNDS / 60; i++) {
		some_time(i);
		mm_cgroup_reclaim(&self->cg, 16 * PAGE);
	}
	EXPECT_LE(2, self->shared->moves);
	EXPECT_LE(1, mm_delta(snap, "pswpout"));
	EXPECT_EQ(0, end_mover(self));
	mm_snap_free(snap);
}

/* the idle bit is set and cleared by a walk that waits for the lock */
TEST_F(contended, idle)
{
	uint64_t word, pfn = self->shared->pfns[PAGES - 1];
	int fd = open(IDLE, O_RDWR | O_CLOEXEC), idle = 0, moves = self->shared->moves;

	ASSERT_LE(0, fd);
	mm_lru_drain();
	for (int i = 0; i < ROUNDS; i++) {
		some_time(i);
		word = 1ULL << pfn % 64;
		ASSERT_EQ(8, pwrite(fd, &word, 8, pfn / 64 * 8));
		ASSERT_EQ(8, pread(fd, &word, 8, pfn / 64 * 8));
		idle += word >> pfn % 64 & 1;
	}
	/* The last page of the half that stays is never touched. */
	EXPECT_EQ(ROUNDS, idle);
	EXPECT_LT(moves, self->shared->moves);
	EXPECT_EQ(0, end_mover(self));
	close(fd);
}

TEST_HARNESS_MAIN
