// SPDX-License-Identifier: GPL-2.0
/*
 * Walks of the reverse map while somebody else holds its lock. A process moves most of its region away and back: on
 * the way back the VMAs merge, and the move holds anon_vma->rwsem, or i_mmap_rwsem, for writing. A real-time process
 * takes the CPU from it, more often than not there, and walks. What moves is, but for a few pages, guard markers, for
 * which there is nothing to do but to move them: the mover spends its time under the lock.
 *
 * On one CPU the mover runs only while the walker sleeps. So if the walker had to sleep in a walk that waits for the lock,
 * and did not before that, the mover had the lock ever since it lost the CPU: that is how a round knows.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
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
#define PAGES	((DATA + STAY) / PAGE)
#define ALL	MB		/* more than there is in the group: reclaim looks at all of it, again and again */
#define HELD	5		/* rounds in which the lock has to be held */
#define ROUNDS	100		/* to find it so */
#define SEED	31

struct shared {
	int stop, moves;
	int wanted;		/* the pages shall be in memory */
	int back;		/* the region is on its way back */
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

/* All pages are in memory, and nobody has used them lately. */
static void bring_back(struct shared *s, char *p)
{
	mm_touch_read(p, DATA);
	mm_touch_read(p + MOVE, STAY);
	if (madvise(p, DATA, MADV_COLD) || madvise(p + MOVE, STAY, MADV_COLD))
		_exit(6);
	if (mm_pfns(0, p, s->pfns, DATA / PAGE) || mm_pfns(0, p + MOVE, s->pfns + DATA / PAGE, STAY / PAGE))
		_exit(7);
}

/*
 * The region goes and comes back, until told to stop; then everything must be as it was. No page is touched
 * meanwhile, unless that is wanted.
 */
static void move(struct shared *s, char *p, char *aside)
{
	/* What else the mover has stays in memory, so that reclaim has no other pages. */
	if (mlockall(MCL_CURRENT | MCL_ONFAULT) || munlock(p, LEN))
		_exit(8);
	mm_fill(p, DATA, SEED);
	mm_fill(p + MOVE, STAY, SEED);
	if (madvise(p + DATA, MOVE - DATA, MADV_GUARD_INSTALL))
		_exit(1);
	bring_back(s, p);
	__atomic_store_n(&s->moves, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&s->stop, __ATOMIC_SEQ_CST)) {
		if (__atomic_load_n(&s->wanted, __ATOMIC_SEQ_CST)) {
			bring_back(s, p);
			__atomic_store_n(&s->wanted, 0, __ATOMIC_SEQ_CST);
		}
		if (mremap(p, MOVE, MOVE, MREMAP_MAYMOVE | MREMAP_FIXED, aside) != aside)
			_exit(2);
		__atomic_store_n(&s->back, 1, __ATOMIC_SEQ_CST);
		if (mremap(aside, MOVE, MOVE, MREMAP_MAYMOVE | MREMAP_FIXED, p) != p)
			_exit(2);
		__atomic_store_n(&s->back, 0, __ATOMIC_SEQ_CST);
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
	NEED(mm_need_guard(variant->file ? MAP_SHARED : MAP_PRIVATE));
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

/* The mover runs, and is on its way back when the caller takes the CPU; where on the way is chance. */
static void some_time(const struct shared *s, int i)
{
	do
		usleep(300 + i * 337 % 1700);
	while (!__atomic_load_n(&s->back, __ATOMIC_SEQ_CST));
}

static void want_pages(struct shared *s)
{
	__atomic_store_n(&s->wanted, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&s->wanted, __ATOMIC_SEQ_CST))
		usleep(1000);
	mm_lru_drain();
}

/* How often the caller has slept, and how often it has lost the CPU. */
static void switches(long *slept, long *lost)
{
	struct rusage ru;

	getrusage(RUSAGE_THREAD, &ru);
	*slept = ru.ru_nvcsw;
	*lost = ru.ru_nivcsw;
}

/* Set the idle bit of the last page by a walk that waits for the lock; whether it had to. */
static bool set_idle(int fd, const struct shared *s)
{
	uint64_t pfn = s->pfns[PAGES - 1], word = 1ULL << pfn % 64;
	long slept, lost, before;

	switches(&before, &lost);
	if (pwrite(fd, &word, 8, pfn / 64 * 8) != 8)
		return false;
	switches(&slept, &lost);
	return slept > before;
}

/* Reclaim all there is; whether nobody else ran meanwhile. */
static bool reclaim_undisturbed(const struct mm_cgroup *cg, int *err)
{
	long slept[2], lost[2];

	switches(&slept[0], &lost[0]);
	*err = mm_cgroup_reclaim(cg, ALL);
	switches(&slept[1], &lost[1]);
	return slept[0] == slept[1] && lost[0] == lost[1];
}

/* How many of the pages the mover maps: the others have been taken, and are not mapped by anybody. */
static long mapped(const struct shared *s)
{
	long n = 0;

	for (size_t i = 0; i < PAGES; i++)
		n += mm_kpagecount(s->pfns[i]) == 1;
	return n;
}

/* reclaim that does not get the lock passes over the pages and does not wait, and takes them later; no byte is lost */
TEST_F(contended, reclaim)
{
	int fd = open(IDLE, O_RDWR | O_CLOEXEC), held = 0, rounds, err, status;

	ASSERT_LE(0, fd);
	for (rounds = 0; rounds < ROUNDS && held < HELD; rounds++) {
		want_pages(self->shared);
		some_time(self->shared, rounds);
		if (!reclaim_undisturbed(&self->cg, &err) || !set_idle(fd, self->shared))
			continue;
		held++;
		EXPECT_EQ(-EAGAIN, err);
		EXPECT_EQ(PAGES, mapped(self->shared));
	}
	EXPECT_EQ(HELD, held);
	/* When nobody holds the lock, what was passed over goes. */
	want_pages(self->shared);
	ASSERT_EQ(0, kill(self->mover, SIGSTOP));
	ASSERT_EQ(self->mover, waitpid(self->mover, &status, WUNTRACED));
	EXPECT_EQ(PAGES, mapped(self->shared));
	EXPECT_EQ(-EAGAIN, mm_cgroup_reclaim(&self->cg, ALL));
	EXPECT_EQ(0, mm_count_present(self->mover, self->p, LEN));
	EXPECT_EQ(0, mm_count_present(self->mover, self->aside, LEN));
	ASSERT_EQ(0, kill(self->mover, SIGCONT));
	EXPECT_EQ(0, end_mover(self));
	mm_report("rounds", rounds);
	close(fd);
}

/* the idle bit is set and cleared by walks that wait for the lock */
TEST_F(contended, idle)
{
	uint64_t word, pfn = self->shared->pfns[PAGES - 1];
	int fd = open(IDLE, O_RDWR | O_CLOEXEC), held = 0, idle = 0, rounds, moves = self->shared->moves;

	ASSERT_LE(0, fd);
	mm_lru_drain();
	for (rounds = 0; rounds < ROUNDS && held < HELD; rounds++) {
		some_time(self->shared, rounds);
		held += set_idle(fd, self->shared);
		ASSERT_EQ(8, pread(fd, &word, 8, pfn / 64 * 8));
		idle += word >> pfn % 64 & 1;
	}
	EXPECT_EQ(HELD, held);
	EXPECT_EQ(rounds, idle);
	EXPECT_LT(moves, self->shared->moves);
	EXPECT_EQ(0, end_mover(self));
	mm_report("rounds", rounds);
	close(fd);
}

TEST_HARNESS_MAIN
