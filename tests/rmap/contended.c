// SPDX-License-Identifier: GPL-2.0
/*
 * Walks of the reverse map while somebody else holds its lock. A process moves most of its region away and back: on
 * the way back the VMAs merge, and the move holds anon_vma->rwsem, or i_mmap_rwsem, for writing. A real-time process
 * takes the CPU from it, more often than not there, and walks. What moves is, but for a few pages, guard markers, for
 * which there is nothing to do but to move them: the mover spends its time under the lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/mman.h>

#include "kselftest_harness.h"
#include "mm.h"

#define IDLE	"/sys/kernel/mm/page_idle/bitmap"
#define MOVE	(16 * PMD_SIZE)	/* that goes and comes back: pages, then markers */
#define STAY	(16 * PAGE)	/* behind it */
#define LEN	(MOVE + STAY)
#define DATA	(16 * PAGE)	/* the pages in it */
#define ROUNDS	60
#define CALLS	10
#define SEED	31

struct shared {
	int stop, moves;
	uint64_t pfn;		/* of the last page of all */
};

FIXTURE(contended)
{
	struct mm_cgroup cg;
	struct mm_snap *before;	/* of when there is no mover yet, which never rests */
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

/*
 * The region goes and comes back, until told to stop; then everything must be as it was. No page is touched
 * meanwhile.
 */
static void move(struct shared *s, char *p, char *aside)
{
	mm_fill(p, DATA, SEED);
	mm_fill(p + MOVE, STAY, SEED);
	if (madvise(p + DATA, MOVE - DATA, MADV_GUARD_INSTALL))
		_exit(1);
	s->pfn = mm_pfn(0, p + LEN - PAGE);
	__atomic_store_n(&s->moves, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&s->stop, __ATOMIC_SEQ_CST)) {
		if (mremap(p, MOVE, MOVE, MREMAP_MAYMOVE | MREMAP_FIXED, aside) != aside ||
		    mremap(aside, MOVE, MOVE, MREMAP_MAYMOVE | MREMAP_FIXED, p) != p)
			_exit(2);
		s->moves++;
	}
	if (mm_vma_count(0, p, LEN) != 1 || mm_probe_read(p + DATA) != SIGSEGV)
		_exit(3);
	_exit(mm_check(p, DATA, SEED) >= 0 || mm_check(p + MOVE, STAY, SEED) >= 0 ? 4 : 0);
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
	self->before = mm_snap();
	self->mover = fork();
	ASSERT_LE(0, self->mover);
	if (!self->mover) {
		if (mm_cgroup_enter(&self->cg))
			_exit(5);
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
	mm_snap_free(self->before);
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

/* reclaim takes pages or, where it does not get their lock, passes over them, and no byte is lost */
TEST_F(contended, reclaim)
{
	int err, status;

	for (int i = 0; i < CALLS; i++) {
		some_time(i);
		err = mm_cgroup_reclaim(&self->cg, PAGE);
		EXPECT_TRUE(!err || err == -EAGAIN);
	}
	EXPECT_LE(2, self->shared->moves);
	/* When nobody holds the lock, what was passed over goes. */
	ASSERT_EQ(0, kill(self->mover, SIGSTOP));
	ASSERT_EQ(self->mover, waitpid(self->mover, &status, WUNTRACED));
	mm_cgroup_reclaim(&self->cg, 2 * DATA);
	EXPECT_LE(1, mm_delta(self->before, "pswpout"));
	ASSERT_EQ(0, kill(self->mover, SIGCONT));
	EXPECT_EQ(0, end_mover(self));
}

/* the idle bit is set and cleared by a walk that waits for the lock */
TEST_F(contended, idle)
{
	uint64_t word, pfn = self->shared->pfn;
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
	EXPECT_EQ(ROUNDS, idle);
	EXPECT_LT(moves, self->shared->moves);
	EXPECT_EQ(0, end_mover(self));
	close(fd);
}

TEST_HARNESS_MAIN
