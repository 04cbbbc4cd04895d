// SPDX-License-Identifier: GPL-2.0
/*
 * What another thread or the kernel does to memory while its page tables move: no byte is lost, and who frees a page
 * can rely on it that nobody reaches the page any more, at the old address neither.
 *
 * With one CPU the two run in turns: the other thread has real-time priority and takes short naps. Their ends
 * interrupt mremap() wherever it is, and take effect where it gives up a spinlock.
 */
#include "kselftest_harness.h"
#include <linux/falloc.h>
#include <pthread.h>
#include <setjmp.h>
#include "mremap.h"

#define PMDS		256
#define LEN		(PMDS * PMD_SIZE)
#define NAP_NS		20000		/* naps are of one to four times so long */
#define MOVES		60		/* at least so many */
#define MOST_MOVES	3000
#define STEPS		24		/* until the other thread has met so many moves */
#define LOOKS		16		/* at pages, in a step */
#define REFILL		4		/* of so many pages that were taken away, one comes back: the rest is empty tables */

enum kind { ANON, SHMEM, EXT4 };

/* What the two threads share. */
static struct {
	char *place[2];			/* where the region is, in turns */
	int fd, mem;			/* the file, if any; /proc/self/mem */
	enum kind kind;
	struct mm_cgroup cg;
	volatile bool moving, stop;
	volatile long moves, steps;
	volatile long stale, wrong;	/* see the steps */
	uint64_t value[PMDS];		/* of the page in each table */
	uint64_t seed;
} race;

/* One page in each table, not always the same one. */
static volatile uint64_t *page_at(char *place, size_t i)
{
	return (volatile uint64_t *)(place + i * PMD_SIZE + i % 512 * PAGE);
}

static sigjmp_buf fault_env;

static void fault_handler(int sig)
{
	siglongjmp(fault_env, sig);
}

/* Read *p, or write it if @write; whether that was possible. Only the other thread may do so. */
static bool reach(volatile uint64_t *p, uint64_t *value, bool write)
{
	if (sigsetjmp(fault_env, 1))
		return false;
	if (write)
		*p = *value;
	else
		*value = *p;
	return true;
}

static long stale_at(char *place, long move)
{
	uint64_t value;
	long n = 0;

	for (int i = 0; i < LOOKS; i++) {
		size_t page = mm_rand(&race.seed) % (PMDS / REFILL) * REFILL;

		n += reach(page_at(place, page), &value, false) && value && race.moves == move;
	}
	return n;
}

/*
 * All pages were freed while the move @move was under way: what is still reached with a byte of theirs was kept in
 * reach by a translation that should be gone. After the move they are filled again. First the old place: a page that
 * is really gone makes us wait for the end of the move.
 */
static void look_for_stale(long move)
{
	race.stale += stale_at(race.place[move % 2], move);
	race.stale += stale_at(race.place[(move + 1) % 2], move);
}

/* The file loses all its pages. */
static bool step_punch(long move)
{
	if (fallocate(race.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, LEN))
		return false;
	look_for_stale(move);
	return true;
}

static bool step_truncate(long move)
{
	if (ftruncate(race.fd, 0))
		return false;
	look_for_stale(move);
	return !ftruncate(race.fd, LEN);
}

/* Wherever the region is when the move lets us in, it loses all its pages; so it will not at both places. */
static bool step_dontneed(long move)
{
	bool one = !madvise(race.place[0], LEN, MADV_DONTNEED);
	bool two = !madvise(race.place[1], LEN, MADV_DONTNEED);

	look_for_stale(move);
	return one || two;
}

/* Pages hold what was written last, and can be written, wherever the region is. */
static bool step_write(long move)
{
	(void)move;
	for (int i = 0; i < LOOKS; i++) {
		size_t n = mm_rand(&race.seed) % PMDS;
		uint64_t value, next = race.value[n] + PMDS;

		for (int k = 0; k < 2; k++)
			if (reach(page_at(race.place[k], n), &value, false))
				race.wrong += value != race.value[n];
		if (reach(page_at(race.place[i % 2], n), &next, true))
			race.value[n] = next;
	}
	return true;
}

/* Reclaim looks the pages up through the reverse map, and takes what it finds. */
static bool step_reclaim(long move)
{
	(void)move;
	mm_cgroup_reclaim(&race.cg, 64 * PAGE);
	return true;
}

static void *other_thread(void *arg)
{
	bool (*const *step)(long move) = arg;
	long last = -1;

	if (mm_set_fifo(1)) {
		race.wrong++;
		return NULL;
	}
	while (!race.stop) {
		mm_nap(NAP_NS * (1 + mm_rand(&race.seed) % 4));
		/* Once in a move: after that there is nothing to take. */
		if (!race.moving || race.moves == last)
			continue;
		last = race.moves;
		race.wrong += !(*step)(race.moves);
		race.steps++;
	}
	return NULL;
}

FIXTURE(race) {
	pthread_t other;
};

FIXTURE_VARIANT(race) {
	enum kind kind;
	bool (*step)(long move);
	bool emptied;			/* the step takes the pages away: they are filled anew before each move */
};

FIXTURE_VARIANT_ADD(race, punch_shmem) { SHMEM, step_punch, true };
FIXTURE_VARIANT_ADD(race, punch_ext4) { EXT4, step_punch, true };
FIXTURE_VARIANT_ADD(race, truncate_shmem) { SHMEM, step_truncate, true };
FIXTURE_VARIANT_ADD(race, truncate_ext4) { EXT4, step_truncate, true };
FIXTURE_VARIANT_ADD(race, dontneed_anon) { ANON, step_dontneed, true };
FIXTURE_VARIANT_ADD(race, write_anon) { ANON, step_write, false };
FIXTURE_VARIANT_ADD(race, write_shmem) { SHMEM, step_write, false };
FIXTURE_VARIANT_ADD(race, reclaim_anon) { ANON, step_reclaim, false };
FIXTURE_VARIANT_ADD(race, reclaim_shmem) { SHMEM, step_reclaim, false };

static int map_region(void)
{
	char *p = race.place[0];

	if (race.kind == ANON)
		return map_at(p, LEN) == p ? 0 : -errno;
	race.fd = race.kind == SHMEM ? mm_memfd(LEN) : mm_tmpfile("/mnt", LEN);
	if (race.fd < 0)
		return race.fd;
	return mmap(p, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, race.fd, 0) == p ? 0 : -errno;
}

/*
 * Pages are there again. The kernel writes them: beyond the end of a file that was just truncated it gets an
 * error, user space would get SIGBUS.
 */
static void fill(char *place)
{
	for (size_t i = 0; i < PMDS; i += REFILL)
		if (pwrite(race.mem, &race.value[i], sizeof(race.value[i]), (uintptr_t)page_at(place, i)) < 0)
			continue;
}

FIXTURE_SETUP(race)
{
	struct sigaction sa = { .sa_handler = fault_handler };
	char *room;

	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	memset(&race, 0, sizeof(race));
	race.kind = variant->kind;
	race.seed = 20181026;
	race.fd = -1;
	race.mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, race.mem);
	room = free_range(4 * PUD_SIZE, PUD_SIZE);
	ASSERT_NE(NULL, room);
	/* Two PMD tables, and the middle of each: nothing but PMDs move. */
	race.place[0] = room + PMD_SIZE;
	race.place[1] = room + 2 * PUD_SIZE + 100 * PMD_SIZE;
	ASSERT_EQ(0, mm_cgroup_create(&race.cg, "mremap-race"));
	ASSERT_EQ(0, mm_cgroup_enter(&race.cg));
	ASSERT_EQ(0, map_region());
	for (size_t i = 0; i < PMDS; i++)
		*page_at(race.place[0], i) = race.value[i] = i + 1;
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

FIXTURE_TEARDOWN(race)
{
	munmap(race.place[race.moves % 2], LEN);
	if (race.fd >= 0)
		close(race.fd);
	close(race.mem);
	EXPECT_EQ(0, mm_cgroup_leave());
	EXPECT_EQ(0, mm_cgroup_remove(&race.cg));
}

/* Moves to and fro, until the other thread has met enough of them; false if one failed. */
static bool move_about(bool refill)
{
	while (race.moves < MOVES || (race.steps < STEPS && race.moves < MOST_MOVES)) {
		char *from = race.place[race.moves % 2], *to = race.place[(race.moves + 1) % 2];
		void *at;

		if (refill)
			fill(from);
		race.moving = true;
		at = move(from, LEN, to);
		race.moving = false;
		if (at != to)
			return false;
		race.moves++;
	}
	return true;
}

/* Pages that the file, or what was written last, has otherwise; or that are still reached at the other place. */
static long wrong_pages(char *place, char *other, bool emptied)
{
	long wrong = 0;

	for (size_t i = 0; i < PMDS; i++) {
		uint64_t is = *page_at(place, i), want = emptied ? is : race.value[i];

		if (race.fd >= 0 && pread(race.fd, &want, sizeof(want), (char *)page_at(place, i) - place) != sizeof(want))
			wrong++;
		wrong += is != want || (!emptied && want != race.value[i]);
		wrong += reach(page_at(other, i), &is, false);
	}
	return wrong;
}

/* what is done to the region during its moves has its plain effect; nobody reaches a page after it was freed */
TEST_F(race, moves)
{
	bool (*step)(long move) = variant->step;
	struct mm_snap *snap = mm_snap();

	ASSERT_EQ(0, pthread_create(&self->other, NULL, other_thread, &step));
	EXPECT_TRUE(move_about(variant->emptied));
	race.stop = true;
	ASSERT_EQ(0, pthread_join(self->other, NULL));
	EXPECT_EQ(0, race.stale);
	EXPECT_EQ(0, race.wrong);
	EXPECT_EQ(0, wrong_pages(race.place[race.moves % 2], race.place[(race.moves + 1) % 2], variant->emptied));
	EXPECT_LE(STEPS, race.steps);
	if (variant->step == step_reclaim)
		EXPECT_LT(0, mm_delta(snap, "pswpout"));
	mm_report("moves", race.moves);
	mm_report("steps", race.steps);
	mm_snap_free(snap);
}

TEST_HARNESS_MAIN
