// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that fork, exit, unmap, remap, write and reclaim while their pages are being migrated.
 *
 * With one CPU the two run in turns: the process under test has real-time priority and takes short naps, and
 * the end of each nap interrupts compaction wherever it is, very often between a page's removal from
 * the page tables and its return. What it meets there is a migration entry.
 */
#include "kselftest_harness.h"
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>
#include <linux/falloc.h>

#include "mm.h"

#define N		128
#define LEN		(N * PAGE)
#define ROUNDS		2		/* in which migration entries have to be met */
#define TRIES		20
#define NAP_NS		30000
#define LONG_NAP_NS	200000		/* when nothing has happened for a while */
#define SELDOM		8		/* naps to a step when nothing is being migrated */
#define QUIET		50		/* naps with nothing being migrated, and the race is over */

/* What the compacting process and the racing one share. */
struct race {
	volatile bool ready, stop;
	int start[2];			/* pipe */
	volatile long steps, wrong;
	volatile long entries, between;	/* migration entries met; steps with some there, in this round */
	uint64_t serial[N];		/* last value written to each page */
};

static struct race *race;
static char *region, *spare;
static int region_fd;
static uint64_t state;

static char *page_at(char *base, int i)
{
	return base + i * PAGE;
}

static bool holds(char *base, int i)
{
	return mm_check_from(page_at(base, i), PAGE, 1, i * PAGE) == -1;
}

/* A child has the pages, copies some of them, finds all bytes right, and exits. */
static bool step_fork(int i)
{
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		mm_fill_from(page_at(region, i % (N / 2)), 8 * PAGE, 1, i % (N / 2) * PAGE);
		_exit(mm_check(region, LEN, 1) != -1);
	}
	return waitpid(pid, &status, 0) == pid && status == 0;
}

/* Pages go away in an order that jumps, every second one for good, and the others come back empty. */
static bool step_unmap(int i)
{
	char *p = page_at(region, i * 37 % N);

	if (i >= N)
		return true;
	if (i % 2)
		return !munmap(p, PAGE);
	return !madvise(p, PAGE, MADV_DONTNEED) && mm_check_byte(p, PAGE, 0) == -1;
}

/* A page loses and regains its permissions, VMAs split and merge, and a write has to work in the end. */
static bool step_protect(int i)
{
	int n = mm_rand(&state) % N;
	char *p = page_at(region, n);
	bool good;

	good = !mprotect(p, PAGE, i % 2 ? PROT_READ : PROT_NONE);
	good &= !mprotect(p, PAGE, PROT_READ | PROT_WRITE);
	good &= holds(region, n);
	mm_fill_from(p, PAGE, 1, n * PAGE);
	return good && holds(region, n);
}

/* A page goes to another address and back. */
static bool step_remap(int i)
{
	const int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
	int n = mm_rand(&state) % N;
	char *p = page_at(region, n), *q = page_at(spare, n);
	bool good;

	good = mremap(p, PAGE, PAGE, flags, q) == q && holds(spare, n);
	good &= mremap(q, PAGE, PAGE, flags, p) == p && holds(region, n);
	return good;
}

/* The value last written is still there; the next one is written. */
static bool step_write(int i)
{
	int n = mm_rand(&state) % N;
	volatile uint64_t *p = (uint64_t *)page_at(region, n);
	bool good = !race->serial[n] || *p == race->serial[n];

	race->serial[n] = i + 1;
	*p = i + 1;
	return good;
}

/* A few pages go to swap; one of them is read back. */
static bool step_pageout(int i)
{
	int n = mm_rand(&state) % (N - 4);

	madvise(page_at(region, n), 4 * PAGE, MADV_PAGEOUT);
	return holds(region, n + 1);
}

/* A page of the file is thrown away, reads as zeroes, and is written again. */
static bool step_punch(int i)
{
	int n = mm_rand(&state) % N;
	bool good;

	good = !fallocate(region_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, n * PAGE, PAGE);
	good &= mm_check_byte(page_at(region, n), PAGE, 0) == -1;
	mm_fill_from(page_at(region, n), PAGE, 1, n * PAGE);
	return good;
}

FIXTURE(race)
{
	struct mm_stage *stage;
	pid_t racer;
};

FIXTURE_VARIANT(race)
{
	bool (*step)(int i);
	int most;			/* steps in a round */
	bool shared;			/* shmem; or private memory */
	bool alone;			/* nobody but the racer maps the pages */
	bool rewritten;			/* by step_write(): the pattern is gone */
};

FIXTURE_VARIANT_ADD(race, fork) { .step = step_fork, .most = 12 };
FIXTURE_VARIANT_ADD(race, unmap) { .step = step_unmap, .most = 128 };
FIXTURE_VARIANT_ADD(race, protect) { .step = step_protect, .most = 80 };
FIXTURE_VARIANT_ADD(race, remap) { .step = step_remap, .most = 80 };
FIXTURE_VARIANT_ADD(race, write_anon) { .step = step_write, .most = 80, .alone = true };
FIXTURE_VARIANT_ADD(race, write_shmem) { .step = step_write, .most = 80, .shared = true, .rewritten = true };
FIXTURE_VARIANT_ADD(race, pageout_anon) { .step = step_pageout, .most = 80, .alone = true };
FIXTURE_VARIANT_ADD(race, pageout_shmem) { .step = step_pageout, .most = 80, .shared = true, .alone = true };
FIXTURE_VARIANT_ADD(race, punch_shmem) { .step = step_punch, .most = 80, .shared = true };

FIXTURE_SETUP(race)
{
	NEED(mm_need_compaction());
	NEED(mm_need_swap());
	race = mmap(NULL, sizeof(*race), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, race);
	ASSERT_EQ(0, pipe(race->start));
}

FIXTURE_TEARDOWN(race)
{
	if (self->racer > 0) {
		kill(self->racer, SIGKILL);
		waitpid(self->racer, NULL, 0);
	}
	mm_stage_end(self->stage);
	munmap(race, sizeof(*race));
}

/*
 * Naps, and steps: when pages are in between, and seldom otherwise; until compaction is over, or was here and
 * has gone on, or the steps are enough.
 */
static void __attribute__((noreturn)) run_race(bool (*step)(int i), int most, bool copy)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	int naps = 0, steps = 0, quiet = 0;
	bool seen = false;
	char go;

	if (copy)
		mm_fill(region, LEN, 1);
	/* Of shmem a fork copies no page tables: without entries in its own the racer would not see any migrate. */
	mm_touch_read(region, LEN);
	if (mm_set_fifo(1))
		_exit(1);
	race->ready = true;
	if (read(race->start[0], &go, 1) != 1)
		_exit(1);
	for (; !race->stop && steps < most && !(seen && quiet > QUIET); naps++) {
		long met = mm_count_migrating(pagemap, region, N);

		if (met < 0)
			_exit(1);
		race->entries += met;
		seen |= met;
		quiet = met ? 0 : quiet + 1;
		if (met || (naps % SELDOM == 0 && steps < most / 2)) {
			race->wrong += !step(steps++);
			race->between += met > 0;
		}
		mm_nap(quiet > QUIET ? LONG_NAP_NS : NAP_NS);
	}
	race->steps += steps;
	_exit(0);
}

static void map_region(int fd)
{
	int flags = fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;

	region = mmap(NULL, LEN, PROT_READ | PROT_WRITE, flags, fd, 0);
}

/* Pages that can be reached: of processes, on their way to another frame, in the page cache. */
static long pages_in_use(void)
{
	mm_settle();
	return mm_vmstat("nr_anon_pages") + mm_vmstat("nr_isolated_anon") + mm_vmstat("nr_isolated_file") +
	       mm_vmstat("nr_shmem");
}

/* The pages hold what they should: the pattern, or the values that the racer wrote last. */
static long wrong_pages(bool rewritten)
{
	long wrong = 0;

	for (int i = 0; i < N; i++)
		if (rewritten && race->serial[i])
			wrong += *(uint64_t *)page_at(region, i) != race->serial[i];
		else
			wrong += !holds(region, i);
	return wrong;
}

static long counted_once(const uint64_t *pfns)
{
	long once = 0;

	for (int i = 0; i < N; i++)
		once += mm_kpagecount(pfns[i]) == 1;
	return once;
}

/* what a process does to pages that have migration entries has its plain effect; no byte and no page is lost */
TEST_F(race, pages)
{
	uint64_t was[N], is[N];
	long moved = 0, in_use = 0, met = 0, tries;
	struct mm_snap *snap;
	int status;

	state = 1;
	spare = mm_reserve(LEN, PAGE);
	snap = mm_snap();
	for (tries = 0; tries < TRIES && met < ROUNDS; tries++) {
		race->ready = race->stop = false;
		race->between = 0;
		memset(race->serial, 0, sizeof(race->serial));
		self->stage = mm_stage(2 * LEN);
		ASSERT_NE(NULL, self->stage);
		region_fd = variant->shared ? mm_memfd(LEN) : -1;
		map_region(region_fd);
		mm_fill(region, LEN, 1);
		ASSERT_EQ(0, mm_pfns(0, region, was, N));
		self->racer = fork();
		if (!self->racer)
			run_race(variant->step, variant->most, variant->alone);
		while (!race->ready)
			sched_yield();
		if (variant->shared && variant->alone)
			munmap(region, LEN);
		mm_stage_open(self->stage);
		ASSERT_EQ(1, write(race->start[1], "", 1));
		ASSERT_EQ(0, mm_compact());
		race->stop = true;
		ASSERT_EQ(self->racer, waitpid(self->racer, &status, 0));
		self->racer = 0;
		EXPECT_EQ(0, status);
		if (variant->shared && variant->alone)
			map_region(region_fd);
		EXPECT_EQ(0, wrong_pages(variant->rewritten));
		ASSERT_EQ(0, mm_pfns(0, region, is, N));
		EXPECT_EQ(N, counted_once(is));
		moved += mm_moved(was, is, N);
		munmap(region, LEN);
		if (region_fd >= 0)
			close(region_fd);
		mm_stage_end(self->stage);
		self->stage = NULL;
		/* The first round also brings in what the test itself needs. */
		if (!tries)
			in_use = pages_in_use();
		met += race->between > 0;
	}
	EXPECT_EQ(in_use, pages_in_use());
	EXPECT_EQ(0, race->wrong);
	EXPECT_EQ(ROUNDS, met);
	EXPECT_LE(tries * N / 2, moved);
	if (variant->step == step_pageout)
		EXPECT_LT(0, mm_delta(snap, "pswpout"));
	mm_report("moved", moved);
	mm_report("steps", race->steps);
	mm_report("migration_entries_met", race->entries);
	mm_report("rounds", tries);
	mm_snap_free(snap);
	munmap(spare, LEN);
}

TEST_HARNESS_MAIN
