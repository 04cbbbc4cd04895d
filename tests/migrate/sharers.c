// SPDX-License-Identifier: GPL-2.0
/*
 * What many processes that share pages do in the middle of the walk that migrates one of these pages.
 *
 * The walk takes the VMAs in a known order: that of the test itself; many of the filler, which make the walk
 * long and hold none of the pages; the sharers'; that of the watcher. The watcher has real-time priority, and
 * looks after each short nap whether the test has its new entry for a page already and itself the old one
 * still: then the walk is between the two and, with one CPU, stands still there, and the watcher strikes. The
 * sharers have real-time priority too, so that they are through before the walk goes on, unless they have to
 * wait for it. That is what the anon_vma's lock is for.
 */
#include "kselftest_harness.h"
#include <fcntl.h>
#include <sched.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mm.h"

#define N		32		/* pages that are migrated */
#define LEN		(N * PAGE)
#define SHARERS		8
#define FILLERS		400		/* VMAs */
#define ROUNDS		20		/* to find the walk where it is wanted */
#define NAP_NS		20000
#define LONG_NAP_NS	1000000
#define PRIO_SHARER	1
#define PRIO_WATCHER	2
#define SPARE		96		/* pages: more than the low frames that are left */

static struct control {
	volatile int ready;		/* processes that wait for what they are to do */
	volatile int go;		/* futex: the sharers' turn */
	volatile bool set, stop;	/* the watcher may begin, has to end */
	volatile int struck, done;	/* the strike came; sharers that have acted */
	volatile long left;		/* migration entries, */
	volatile int wrong;		/* and wrong pages: found in the end */
} *control;

/* Several processes do it, and one may take the CPU from another in the middle. */
static void count(volatile int *n)
{
	__atomic_fetch_add(n, 1, __ATOMIC_RELAXED);
}

/*
 * In front of the pages under test lie as many that the watcher alone keeps: they pull its VMA to the front.
 * Behind them lie as many more, so that the VMAs do not end with them.
 */
static char *front, *region, *aside, *spare;

static void set_fifo(int priority)
{
	if (mm_set_fifo(priority))
		_exit(2);
}

static bool is_present(uint64_t entry)
{
	return entry >> 63;
}

static bool read_entries(int pagemap, const char *p, uint64_t *entries)
{
	return pread(pagemap, entries, N * sizeof(*entries), (uintptr_t)p / PAGE * 8) == N * sizeof(*entries);
}

static long count_migrating(const char *p)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	long n = mm_count_migrating(pagemap, p, N);

	if (n < 0)
		_exit(2);
	close(pagemap);
	return n;
}

/* ---- what the processes do in the middle of the walk ---- */

static void sharer_unmaps(void)
{
	munmap(region, LEN);
	count(&control->done);
	pause();
}

static void sharer_exits(void)
{
	count(&control->done);
	_exit(0);
}

static void sharer_forks(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(mm_check(region, LEN, 1) != -1);
	if (pid < 0 || mm_check(region, LEN, 1) != -1)
		count(&control->wrong);
	waitpid(pid, NULL, 0);
	count(&control->done);
	pause();
}

/* All sharers act, now. */
static void wake_sharers(void)
{
	control->go = 1;
	syscall(__NR_futex, &control->go, FUTEX_WAKE, SHARERS, NULL, NULL, 0);
}

/*
 * The watcher's pages go from a VMA that the walk finds last to one that it finds first: the new VMA merges
 * with that of the pages in front, whose offset is lower.
 */
static void remap_to_front(void)
{
	if (mremap(aside, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, region) != region)
		_exit(2);
	aside = region;
}

FIXTURE(sharers)
{
	struct mm_stage *stage;
	pid_t watcher, filler, sharer[SHARERS];
};

FIXTURE_VARIANT(sharers)
{
	void (*act)(void);		/* a sharer */
	void (*strike)(void);		/* the watcher */
	bool back;			/* while the pages return to the page tables, only then */
	long stay;			/* sharers that still have the pages afterwards */
};

FIXTURE_VARIANT_ADD(sharers, unmap) { .act = sharer_unmaps, .strike = wake_sharers };
FIXTURE_VARIANT_ADD(sharers, exit) { .act = sharer_exits, .strike = wake_sharers };
FIXTURE_VARIANT_ADD(sharers, fork) { .act = sharer_forks, .strike = wake_sharers, .stay = SHARERS };
FIXTURE_VARIANT_ADD(sharers, remap) { .strike = remap_to_front, .back = true, .stay = SHARERS };

FIXTURE_SETUP(sharers)
{
	NEED(mm_need_compaction());
	control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, control);
	aside = mm_reserve(LEN, PAGE);
	ASSERT_NE(NULL, aside);
}

static void end(pid_t *pid)
{
	if (*pid > 0) {
		kill(*pid, SIGKILL);
		waitpid(*pid, NULL, 0);
	}
	*pid = 0;
}

static void end_all(FIXTURE_DATA(sharers) *self)
{
	for (int i = 0; i < SHARERS; i++)
		end(&self->sharer[i]);
	end(&self->filler);
	end(&self->watcher);
	mm_stage_end(self->stage);
	self->stage = NULL;
	munmap(front, 3 * LEN);
	munmap(spare, SPARE * PAGE);
}

FIXTURE_TEARDOWN(sharers)
{
	end_all(self);
	munmap(control, sizeof(*control));
}

/*
 * VMAs with the offsets of the pages under test, and without a page: moved away from a VMA that stays, as it
 * is larger than what is moved. Each links to the anon_vma of the pages.
 */
static void __attribute__((noreturn)) run_filler(void)
{
	char *many = mm_reserve(2UL * FILLERS * LEN, PAGE);

	if (!many || madvise(region, 2 * LEN, MADV_DONTNEED))
		_exit(2);
	for (int i = 0; i < FILLERS; i++) {
		char *to = many + 2 * i * LEN;

		if (mremap(region, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) != to)
			_exit(2);
	}
	count(&control->ready);
	for (;;)
		pause();
}

static void __attribute__((noreturn)) run_sharer(void (*act)(void))
{
	mm_touch_read(region, LEN);
	if (act)
		set_fifo(PRIO_SHARER);
	count(&control->ready);
	while (!control->go)
		syscall(__NR_futex, &control->go, FUTEX_WAIT, 0, NULL, NULL, 0);
	if (act)
		act();
	for (;;)
		pause();
}

/* Is the walk of a page past the @first of the processes, and not yet at the watcher? */
static bool walk_is_between(int first, int last, bool back)
{
	uint64_t a[N], b[N];

	if (!read_entries(first, region, a) || !read_entries(last, aside, b))
		_exit(2);
	for (int i = 0; i < N; i++)
		if ((is_present(a[i]) && mm_entry_migrating(b[i])) ||
		    (!back && mm_entry_migrating(a[i]) && is_present(b[i])))
			return true;
	return false;
}

static void __attribute__((noreturn)) run_watcher(void (*strike)(void), bool back)
{
	int last = open("/proc/self/pagemap", O_RDONLY), first;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/pagemap", getppid());
	first = open(path, O_RDONLY);
	set_fifo(PRIO_WATCHER);
	count(&control->ready);
	while (!control->set)
		mm_nap(LONG_NAP_NS);
	/* Now, so that the walk finds the new VMA after those of all others. */
	if (mremap(region, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, aside) != aside)
		_exit(2);
	mm_touch_read(aside, LEN);
	count(&control->ready);
	while (!control->stop && !control->struck) {
		if (walk_is_between(first, last, back)) {
			control->struck = 1;
			strike();
		} else {
			mm_nap(NAP_NS);
		}
	}
	while (!control->stop)
		mm_nap(LONG_NAP_NS);
	/* To touch a page that never came back would be to wait for ever. */
	control->left = count_migrating(aside);
	if (!control->left && mm_check(aside, LEN, 1) != -1)
		count(&control->wrong);
	_exit(0);
}

static void wait_ready(int n)
{
	while (control->ready < n)
		sched_yield();
}

static long counted(long mappings)
{
	uint64_t pfns[N];
	long good = 0;

	if (mm_pfns(0, region, pfns, N))
		return -1;
	for (int i = 0; i < N; i++)
		good += mm_kpagecount(pfns[i]) == mappings;
	return good;
}

/* Whether the watcher found the walk where it was wanted. */
static bool run_round(struct __test_metadata *_metadata, FIXTURE_DATA(sharers) *self,
		      const FIXTURE_VARIANT(sharers) *variant)
{
	uint64_t was[N], is[N];
	int status;

	memset(control, 0, sizeof(*control));
	self->stage = mm_stage(LEN);
	EXPECT_NE(NULL, self->stage);
	front = mm_map_aligned(3 * LEN, PAGE);
	region = front + LEN;
	mm_fill(region, LEN, 1);
	EXPECT_EQ(0, mm_pfns(0, region, was, N));
	/* The stacks of those who have to be quick do not lie, and migrate, among the pages under test. */
	spare = mm_map_aligned(SPARE * PAGE, PAGE);
	madvise(spare, SPARE * PAGE, MADV_DONTFORK);
	mm_touch_write(spare, SPARE * PAGE);
	self->watcher = fork();
	if (!self->watcher)
		run_watcher(variant->strike, variant->back);
	wait_ready(1);
	munmap(front, LEN);
	self->filler = fork();
	if (!self->filler)
		run_filler();
	wait_ready(2);
	for (int i = 0; i < SHARERS; i++) {
		self->sharer[i] = fork();
		if (!self->sharer[i])
			run_sharer(variant->act);
	}
	wait_ready(2 + SHARERS);
	control->set = true;
	wait_ready(3 + SHARERS);
	EXPECT_EQ(N, counted(2 + SHARERS));
	mm_stage_open(self->stage);
	EXPECT_EQ(0, mm_compact());
	while (control->struck && variant->act && control->done < SHARERS)
		mm_nap(LONG_NAP_NS);
	control->stop = true;
	EXPECT_EQ(self->watcher, waitpid(self->watcher, &status, 0));
	self->watcher = 0;
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, control->left);
	EXPECT_EQ(0, control->wrong);
	EXPECT_EQ(-1, mm_check(region, LEN, 1));
	EXPECT_EQ(0, mm_pfns(0, region, is, N));
	EXPECT_LE(N / 2, mm_moved(was, is, N));
	if (control->struck)
		EXPECT_EQ(N, counted(1 + variant->stay));
	end_all(self);
	return control->struck;
}

/* what sharers do in the middle of the walk waits for its end: no entry, byte or anon_vma is lost */
TEST_F(sharers, walked)
{
	struct mm_objects base;
	int rounds = 0;

	mm_settle();
	base = mm_objects();
	while (rounds++ < ROUNDS && __test_passed(_metadata) && !run_round(_metadata, self, variant))
		;
	EXPECT_GE(ROUNDS, rounds);
	mm_settle();
	EXPECT_OBJECTS(base, 0, 0, 0);
	mm_report("rounds", rounds);
}

TEST_HARNESS_MAIN
