// SPDX-License-Identifier: GPL-2.0
/*
 * What KSM does beside merging: the pages that it counts as scanned, mappings that are its from the beginning and still become one,
 * seals, and merged pages that are lost (Documentation/admin-guide/mm/ksm.rst).
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	64
#define LEN	(PAGES * PAGE)
#define PIECES	4
#define SEED	1
#define RW	(PROT_READ | PROT_WRITE)
#define SMART	"/sys/kernel/mm/ksm/smart_scan"

static char *region;

static void fill_alike(char *p, int n)
{
	for (int i = 0; i < n; i++)
		mm_fill(p + i * PAGE, PAGE, SEED);
}

/* each pass counts every page that it looks at, whether it comes to an end or not, and no other */
TEST(scanned)
{
	long before, smart;
	char *other;

	NEED(mm_need_ksm());
	NEED(mm_ksm_stat("pages_scanned") < 0 ? "pages_scanned" : NULL);
	smart = mm_ksm_stat("smart_scan");
	if (smart >= 0)
		ASSERT_EQ(0, mm_write_file(SMART, "0"));
	other = mm_ksm_start();
	ASSERT_NE(NULL, other);
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	mm_fill(region, LEN, SEED);
	ASSERT_EQ(0, madvise(region, LEN, MADV_MERGEABLE));
	ASSERT_EQ(0, mm_ksm_scan(1));
	for (int passes = 1; passes <= 3; passes++) {
		before = mm_ksm_stat("pages_scanned");
		ASSERT_EQ(0, mm_ksm_scan(passes));
		/* The page of mm_ksm_start() too; a pass more may have begun. */
		EXPECT_LE(passes * (PAGES + 1), mm_ksm_stat("pages_scanned") - before);
		EXPECT_GE((passes + 1) * (PAGES + 1), mm_ksm_stat("pages_scanned") - before);
	}
	ASSERT_EQ(0, munmap(region, LEN));
	before = mm_ksm_stat("pages_scanned");
	ASSERT_EQ(0, mm_ksm_scan(2));
	EXPECT_LE(2, mm_ksm_stat("pages_scanned") - before);
	EXPECT_GE(3, mm_ksm_stat("pages_scanned") - before);
	mm_ksm_stop(other);
	if (smart >= 0)
		ASSERT_EQ(0, mm_write_file(SMART, smart ? "1" : "0"));
}

FIXTURE(any) {
	int unused;
};

FIXTURE_VARIANT(any) {
	bool asked;			/* by PR_SET_MEMORY_MERGE */
	bool touched;			/* each piece, before the next comes */
};

FIXTURE_VARIANT_ADD(any, no) { .asked = false };
FIXTURE_VARIANT_ADD(any, no_touched) { .asked = false, .touched = true };
FIXTURE_VARIANT_ADD(any, yes) { .asked = true };
FIXTURE_VARIANT_ADD(any, yes_touched) { .asked = true, .touched = true };

FIXTURE_SETUP(any)
{
	NEED(mm_need_ksm());
	NEED(prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0) < 0 ? "PR_SET_MEMORY_MERGE" : NULL);
	if (!variant->asked)
		return;
	/* Before 6.17 the flag came when the mapping was there, too late to merge; mremap() of several mappings is of 6.17 too. */
	NEED(mm_need_mremap_vmas() ? "a PR_SET_MEMORY_MERGE that lets new mappings merge" : NULL);
	ASSERT_EQ(0, prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0));
}

FIXTURE_TEARDOWN(any)
{
	prctl(PR_SET_MEMORY_MERGE, 0, 0, 0, 0);
}

static char *piece(char *p, int i, int flags, int fd)
{
	return mmap(p + i * LEN, LEN, RW, flags | MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, i * LEN);
}

/* pieces that are mapped side by side, in whatever order, are one mapping, mergeable or not */
TEST_F(any, anonymous)
{
	static const int orders[][PIECES] = { { 0, 1, 2, 3 }, { 3, 2, 1, 0 }, { 0, 2, 1, 3 }, { 3, 0, 2, 1 } };
	char *p;

	for (int i = 0; i < 4; i++) {
		p = mm_reserve(PIECES * LEN, PAGE);
		ASSERT_NE(NULL, p);
		ASSERT_EQ(0, munmap(p, PIECES * LEN));
		for (int j = 0; j < PIECES; j++) {
			ASSERT_EQ(p + orders[i][j] * LEN, piece(p, orders[i][j], MAP_PRIVATE, -1));
			if (variant->touched)
				mm_touch_write(p + orders[i][j] * LEN, LEN);
		}
		/* What was touched apart from each other has an anon_vma each, which keeps mappings apart that had no neighbour. */
		if (!variant->touched || i < 2)
			EXPECT_EQ(1, mm_vma_count(0, p, PIECES * LEN)) TH_LOG("order %d", i);
		EXPECT_EQ(variant->asked, mm_vmflag(0, p, "mg"));
		EXPECT_EQ(variant->asked, mm_vmflag(0, p + (PIECES - 1) * LEN, "mg"));
		munmap(p, PIECES * LEN);
	}
}

/* the same for the pieces of a file, private and shared, of which only the private ones are mergeable */
TEST_F(any, files)
{
	static const char *const dirs[] = { "/tmp", "/mnt" };

	for (int i = 0; i < 4; i++) {
		int flags = i % 2 ? MAP_SHARED : MAP_PRIVATE, fd = mm_tmpfile(dirs[i / 2], PIECES * LEN);
		char *p = mm_reserve(PIECES * LEN, PAGE);

		ASSERT_TRUE(p && fd >= 0);
		for (int j = 0; j < PIECES; j++)
			ASSERT_EQ(p + j * LEN, piece(p, j, flags, fd));
		EXPECT_EQ(1, mm_vma_count(0, p, PIECES * LEN)) TH_LOG("%s, %s", dirs[i / 2], i % 2 ? "shared" : "private");
		EXPECT_EQ(variant->asked && flags == MAP_PRIVATE, mm_vmflag(0, p, "mg"));
		munmap(p, PIECES * LEN);
		close(fd);
	}
}

static int maps_beside(void *arg)
{
	piece(region, 1, MAP_PRIVATE, -1);
	return mm_vma_count(0, region, 2 * LEN);
}

/* a child of such a process goes on with it, a mapping beside that of its parent is one with it, if no page was touched */
TEST_F(any, child)
{
	region = mm_reserve(2 * LEN, PAGE);
	ASSERT_EQ(region, piece(region, 0, MAP_PRIVATE, -1));
	EXPECT_EQ(1, mm_in_child(maps_beside, NULL));
}

/* a seal outlives MADV_UNMERGEABLE and MADV_MERGEABLE, as do the other flags of the mapping */
TEST(sealed)
{
	static const char *const flags[] = { "sl", "dd", "dc", "rr", "nr" };

	NEED(mm_need_ksm());
	NEED(mm_mseal(NULL, 0) ? "mseal()" : NULL);
	region = mmap(NULL, LEN, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, region);
	ASSERT_EQ(0, madvise(region, LEN, MADV_DONTDUMP));
	ASSERT_EQ(0, madvise(region, LEN, MADV_DONTFORK));
	ASSERT_EQ(0, madvise(region, LEN, MADV_RANDOM));
	ASSERT_EQ(0, mm_mseal(region, LEN));
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, madvise(region, LEN, i % 2 ? MADV_UNMERGEABLE : MADV_MERGEABLE));
		EXPECT_EQ(!(i % 2), mm_vmflag(0, region, "mg"));
		for (int j = 0; j < sizeof(flags) / sizeof(*flags); j++) {
			EXPECT_TRUE(mm_vmflag(0, region, flags[j])) TH_LOG("%s, %d", flags[j], i);
		}
		EXPECT_EQ(-1, munmap(region, LEN));
		EXPECT_EQ(EPERM, errno);
	}
}

static int bus_error(void *arg)
{
	if (mm_probe_read(region) != SIGBUS || mm_probe_code() != BUS_MCEERR_AR)
		return 1;
	return mm_check(region + 2 * PAGE, PAGE, SEED + 1) != -1;
}

static volatile sig_atomic_t told;
static void *told_of;

static void on_bus(int sig, siginfo_t *info, void *context)
{
	told++;
	told_of = info->si_addr;
	/* The access is not repeated: the page is replaced. */
	mmap(region, 2 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

/* a merged page that is lost is lost for all who have it: who asks for it is told at once, the others when they touch it */
TEST(lost)
{
	struct sigaction sa = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO }, old;
	struct mm_tree *t;
	uint64_t pfn;
	char *other;

	NEED(mm_need_ksm());
	NEED(mm_need_memory_failure());
	other = mm_ksm_start();
	ASSERT_NE(NULL, other);
	region = mm_map_aligned(4 * PAGE, PAGE);
	ASSERT_NE(NULL, region);
	fill_alike(region, 2);
	mm_fill(region + 2 * PAGE, PAGE, SEED + 1);
	ASSERT_EQ(0, madvise(region, 4 * PAGE, MADV_MERGEABLE));
	ASSERT_EQ(0, mm_ksm_scan(3));
	pfn = mm_pfn(0, region);
	ASSERT_TRUE(mm_is_ksm(pfn, true));
	ASSERT_EQ(pfn, mm_pfn(0, region + PAGE));
	t = mm_tree_fork(1, 2, NULL, NULL);
	ASSERT_NE(NULL, t);
	ASSERT_EQ(0, sigaction(SIGBUS, &sa, &old));
	ASSERT_EQ(0, madvise(region, PAGE, MADV_HWPOISON));
	EXPECT_LE(1, told);
	EXPECT_TRUE(told_of == region || told_of == region + PAGE);
	ASSERT_EQ(0, sigaction(SIGBUS, &old, NULL));
	EXPECT_EQ(0, mm_tree_call(t, 0, bus_error, NULL));
	EXPECT_EQ(0, mm_tree_call(t, 1, bus_error, NULL));
	EXPECT_EQ(-1, mm_check(region + 2 * PAGE, PAGE, SEED + 1));
	mm_tree_end(t);
	munmap(region, 4 * PAGE);
	mm_ksm_stop(other);
	mm_lru_drain();
	EXPECT_EQ(0, mm_unpoison(pfn));
}

TEST_HARNESS_MAIN
