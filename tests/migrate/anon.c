// SPDX-License-Identifier: GPL-2.0
/* Migration of private anonymous pages: other frames, and everything else as it was. */
#include "kselftest_harness.h"
#include <fcntl.h>
#include <unistd.h>
#include <linux/kernel-page-flags.h>

#include "mm.h"

#define N		64
#define LEN		(N * PAGE)
#define IDLE_BITMAP	"/sys/kernel/mm/page_idle/bitmap"

static long with_flag(const uint64_t *pfns, int flag)
{
	long n = 0;

	for (int i = 0; i < N; i++)
		n += mm_kpf(pfns[i], flag);
	return n;
}

/* Pages of [p, p + n pages) that hold the pattern of @seed for their place in the region. */
static long holding(const char *region, size_t from, size_t n, uint64_t seed)
{
	long good = 0;

	for (size_t i = from; i < from + n; i++)
		good += mm_check_from(region + i * PAGE, PAGE, seed, i * PAGE) == -1;
	return good;
}

/* Private memory in frames from which compaction moves it. */
FIXTURE(anon)
{
	struct mm_stage *stage;
	char *p;
	uint64_t was[N], is[N];
};

FIXTURE_SETUP(anon)
{
	NEED(mm_need_compaction());
	self->p = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, self->p);
	self->stage = mm_stage(LEN);
	ASSERT_NE(NULL, self->stage);
	mm_fill(self->p, LEN, 1);
}

FIXTURE_TEARDOWN(anon)
{
	mm_stage_end(self->stage);
	munmap(self->p, LEN);
}

/* every page gets another frame and keeps its bytes, its flags and its one mapping; holes stay holes */
TEST_F(anon, moved)
{
	long rss;

	for (int i = 0; i < N; i += 4)
		ASSERT_EQ(0, madvise(self->p + i * PAGE, PAGE, MADV_DONTNEED));
	rss = mm_smaps(0, self->p, "Rss");
	EXPECT_EQ(N / 4 * 3 * PAGE / KB, rss);
	EXPECT_EQ(N / 4 * 3, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	EXPECT_EQ(rss, mm_smaps(0, self->p, "Rss"));
	EXPECT_EQ(rss, mm_smaps(0, self->p, "Anonymous"));
	for (int i = 0; i < N; i++) {
		if (i % 4 == 0) {
			EXPECT_EQ(0, self->is[i]);
			EXPECT_EQ(-1, mm_check_byte(self->p + i * PAGE, PAGE, 0));
			continue;
		}
		EXPECT_EQ(-1, mm_check_from(self->p + i * PAGE, PAGE, 1, i * PAGE));
		EXPECT_EQ(1, mm_kpagecount(self->is[i]));
		EXPECT_TRUE(mm_kpf(self->is[i], KPF_ANON));
		EXPECT_TRUE(mm_kpf(self->is[i], KPF_SWAPBACKED));
	}
}

/* a read-only and an inaccessible page move too, stay that, and are written in place once that is allowed */
TEST_F(anon, protected)
{
	uint64_t then[N];

	ASSERT_EQ(0, mprotect(self->p, LEN / 2, PROT_READ));
	ASSERT_EQ(0, mprotect(self->p + LEN / 2, LEN / 2, PROT_NONE));
	EXPECT_EQ(N, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	EXPECT_EQ(-1, mm_check(self->p, LEN / 2, 1));
	for (int i = 0; i < N; i++) {
		EXPECT_EQ(SIGSEGV, mm_probe_write(self->p + i * PAGE, 0));
		EXPECT_EQ(i < N / 2 ? 0 : SIGSEGV, mm_probe_read(self->p + i * PAGE));
	}
	ASSERT_EQ(0, mprotect(self->p, LEN, PROT_READ | PROT_WRITE));
	EXPECT_EQ(-1, mm_check(self->p, LEN, 1));
	mm_fill(self->p, LEN, 2);
	ASSERT_EQ(0, mm_pfns(0, self->p, then, N));
	EXPECT_EQ(0, mm_moved(self->is, then, N));
	EXPECT_EQ(-1, mm_check(self->p, LEN, 2));
}

/* what was written before the move and what is written after it, both survive reclaim and swap-in */
TEST_F(anon, reclaimed)
{
	NEED(mm_need_swap());
	EXPECT_EQ(N, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	mm_fill(self->p, LEN / 2, 2);
	EXPECT_EQ(0, mm_pageout(self->p, LEN));
	EXPECT_EQ(N, mm_count_swapped(0, self->p, LEN));
	EXPECT_EQ(N / 2, holding(self->p, 0, N / 2, 2));
	EXPECT_EQ(N / 2, holding(self->p, N / 2, N / 2, 1));
}

/* MADV_FREE pages stay free for the taking after the move, and pages rewritten since then do not become it */
TEST_F(anon, lazyfree)
{
	struct mm_snap *snap;

	NEED(mm_need_swap());
	ASSERT_EQ(0, madvise(self->p, LEN, MADV_FREE));
	mm_fill(self->p, LEN / 2, 2);
	EXPECT_EQ(N, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	EXPECT_EQ(0, with_flag(self->is, KPF_SWAPBACKED));
	snap = mm_snap();
	EXPECT_EQ(0, mm_pageout(self->p, LEN));
	EXPECT_EQ(N / 2, mm_delta(snap, "pglazyfreed"));
	EXPECT_EQ(N / 2, mm_delta(snap, "pswpout"));
	EXPECT_EQ(N / 2, mm_count_swapped(0, self->p, LEN));
	EXPECT_EQ(N / 2, holding(self->p, 0, N / 2, 2));
	EXPECT_EQ(-1, mm_check_byte(self->p + LEN / 2, LEN / 2, 0));
	mm_snap_free(snap);
}

/* Set the idle flag of each frame, and clear the accessed bit of what maps it; how many that worked for. */
static long mark_idle(const uint64_t *pfns)
{
	int fd = open(IDLE_BITMAP, O_WRONLY);
	long n = 0;

	for (int i = 0; i < N; i++) {
		uint64_t word = 1ULL << pfns[i] % 64;

		n += pwrite(fd, &word, sizeof(word), pfns[i] / 64 * 8) == sizeof(word);
	}
	close(fd);
	return n;
}

/* How many of @n frames are idle still; looks for the accessed bit in what maps them. */
static long count_idle(const uint64_t *pfns, int n)
{
	int fd = open(IDLE_BITMAP, O_RDONLY);
	long count = 0;

	for (int i = 0; i < n; i++) {
		uint64_t word;

		if (pread(fd, &word, sizeof(word), pfns[i] / 64 * 8) == sizeof(word))
			count += word >> pfns[i] % 64 & 1;
	}
	close(fd);
	return count;
}

/* an idle page is idle in its new frame, until it is accessed there */
TEST_F(anon, idle)
{
	if (access(IDLE_BITMAP, R_OK))
		SKIP(return, "needs IDLE_PAGE_TRACKING");
	mm_settle();
	ASSERT_EQ(0, mm_pfns(0, self->p, self->was, N));
	ASSERT_EQ(N, mark_idle(self->was));
	EXPECT_EQ(N, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	EXPECT_EQ(N, with_flag(self->is, KPF_IDLE));
	mm_touch_read(self->p, LEN / 2);
	EXPECT_EQ(0, count_idle(self->is, N / 2));
	EXPECT_EQ(N / 2, count_idle(self->is + N / 2, N / 2));
}

/* pages that map the zero page are left alone, in the middle of others that move */
TEST_F(anon, zeropage)
{
	long moved = 0;

	for (int i = 0; i < N; i += 2) {
		ASSERT_EQ(0, madvise(self->p + i * PAGE, PAGE, MADV_DONTNEED));
		mm_touch_read(self->p + i * PAGE, PAGE);
	}
	EXPECT_EQ(N / 2, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	for (int i = 0; i < N; i += 2) {
		EXPECT_TRUE(mm_kpf(self->is[i], KPF_ZERO_PAGE));
		EXPECT_EQ(self->was[i], self->is[i]);
		EXPECT_EQ(self->is[0], self->is[i]);
		EXPECT_EQ(-1, mm_check_byte(self->p + i * PAGE, PAGE, 0));
		moved += self->was[i + 1] != self->is[i + 1];
	}
	EXPECT_EQ(N / 2, moved);
}

/* Pages that were read back from swap: clean, and still in the swap cache. */
FIXTURE(swapin)
{
	struct mm_stage *stage;
	struct mm_snap *snap;
	char *p;
	uint64_t was[N], is[N];
};

FIXTURE_SETUP(swapin)
{
	NEED(mm_need_compaction());
	NEED(mm_need_swap());
	self->p = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, self->p);
	mm_fill(self->p, LEN, 1);
	ASSERT_EQ(0, mm_pageout(self->p, LEN));
	self->stage = mm_stage(LEN);
	ASSERT_NE(NULL, self->stage);
	mm_touch_read(self->p, LEN);
	ASSERT_EQ(0, mm_pfns(0, self->p, self->was, N));
	ASSERT_EQ(N, with_flag(self->was, KPF_SWAPCACHE));
}

FIXTURE_TEARDOWN(swapin)
{
	mm_snap_free(self->snap);
	mm_stage_end(self->stage);
	munmap(self->p, LEN);
}

/* clean pages of the swap cache move with their slots: reclaim after that writes and loses nothing */
TEST_F(swapin, clean)
{
	long used = mm_swap_used();

	EXPECT_EQ(N, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	EXPECT_EQ(N, with_flag(self->is, KPF_SWAPCACHE));
	EXPECT_EQ(used, mm_swap_used());
	EXPECT_EQ(-1, mm_check(self->p, LEN, 1));
	self->snap = mm_snap();
	EXPECT_EQ(0, mm_pageout(self->p, LEN));
	EXPECT_EQ(0, mm_delta(self->snap, "pswpout"));
	EXPECT_EQ(-1, mm_check(self->p, LEN, 1));
}

/* of the same pages, those written before or after the move, and no others, are written to swap again */
TEST_F(swapin, dirty)
{
	const size_t q = LEN / 4;

	mm_fill_from(self->p + q, q, 2, q);
	mm_fill_from(self->p + 3 * q, q, 2, 3 * q);
	EXPECT_EQ(N, mm_stage_move_pages(self->stage, self->p, N, self->was, self->is));
	mm_fill_from(self->p + 2 * q, q, 3, 2 * q);
	mm_fill_from(self->p + 3 * q, q, 3, 3 * q);
	self->snap = mm_snap();
	EXPECT_EQ(0, mm_pageout(self->p, LEN));
	EXPECT_EQ(N / 4 * 3, mm_delta(self->snap, "pswpout"));
	EXPECT_EQ(N / 4, holding(self->p, 0, N / 4, 1));
	EXPECT_EQ(N / 4, holding(self->p, N / 4, N / 4, 2));
	EXPECT_EQ(N / 2, holding(self->p, N / 2, N / 2, 3));
}

TEST_HARNESS_MAIN
