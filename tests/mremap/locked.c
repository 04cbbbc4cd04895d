// SPDX-License-Identifier: GPL-2.0
/* mremap() of locked memory: the lock goes along, is accounted once, and new pages are there at once. */
#include "kselftest_harness.h"
#include <linux/capability.h>
#include <linux/kernel-page-flags.h>
#include <sys/resource.h>
#include "mremap.h"

#define KPF_MLOCKED	33	/* of the kernel's own linux/kernel-page-flags.h */

#define SEED	1
#define PAGES	16
#define LEN	(PAGES * PAGE)

FIXTURE(region) {
	char *p;
	uint64_t pfn[PAGES];
	long nr_mlock;		/* pages of the region, counted by the kernel */
};

FIXTURE_SETUP(region)
{
	self->p = mm_map_at_offset(LEN, PMD_SIZE, 5 * PAGE);
	ASSERT_NE(NULL, self->p);
	mm_fill(self->p, LEN, SEED);
	mm_lru_drain();
	self->nr_mlock = mm_vmstat("nr_mlock");
	ASSERT_EQ(0, mlock(self->p, LEN));
	mm_lru_drain();
	ASSERT_EQ(PAGES, mm_vmstat("nr_mlock") - self->nr_mlock);
	ASSERT_EQ(LEN / KB, mm_status(0, "VmLck"));
	ASSERT_EQ(0, mm_pfns(0, self->p, self->pfn, PAGES));
}

FIXTURE_TEARDOWN(region)
{
	munlockall();
	mm_lru_drain();
	EXPECT_EQ(self->nr_mlock, mm_vmstat("nr_mlock"));
}

static long changed(const FIXTURE_DATA(region) *self, char *p, size_t first, size_t n)
{
	uint64_t now[PAGES];

	return mm_pfns(0, p, now, n) ? -1 : other_frames(self->pfn + first, now, n);
}

/* the mapping is locked at the new place, its pages are still mlocked, and VmLck is what it was */
TEST_F(region, move)
{
	char *new = free_range(LEN, PMD_SIZE);

	ASSERT_EQ(new, move(self->p, LEN, new));
	EXPECT_EQ(LEN / KB, mm_status(0, "VmLck"));
	EXPECT_TRUE(mm_vmflag(0, new, "lo"));
	EXPECT_EQ(LEN / KB, mm_smaps(0, new, "Locked"));
	EXPECT_EQ(0, changed(self, new, 0, PAGES));
	EXPECT_EQ(-1, mm_check(new, LEN, SEED));
	mm_lru_drain();
	EXPECT_EQ(PAGES, mm_vmstat("nr_mlock") - self->nr_mlock);
	for (int i = 0; i < PAGES; i += 5) {
		EXPECT_TRUE(mm_kpf(self->pfn[i], KPF_MLOCKED));
		EXPECT_TRUE(mm_kpf(self->pfn[i], KPF_UNEVICTABLE));
	}
	ASSERT_EQ(0, munmap(new, LEN));
	mm_lru_drain();
	EXPECT_EQ(0, mm_status(0, "VmLck"));
	EXPECT_EQ(0, mm_vmstat("nr_mlock") - self->nr_mlock);
}

/* whole tables of locked pages: all stay locked on the way */
TEST_F(region, tables)
{
	size_t len = PMD_SIZE + 16 * PAGE;
	char *p = mm_map_aligned(len, PMD_SIZE), *new;
	long before;

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, mlock(p, len));
	mm_fill(p, len, SEED);
	mm_lru_drain();
	before = mm_vmstat("nr_mlock");
	new = free_range(len, PMD_SIZE);
	ASSERT_EQ(new, move(p, len, new));
	mm_lru_drain();
	EXPECT_EQ(before, mm_vmstat("nr_mlock"));
	EXPECT_EQ((LEN + len) / KB, mm_status(0, "VmLck"));
	EXPECT_EQ(len / KB, mm_smaps(0, new, "Locked"));
	EXPECT_EQ(-1, mm_check(new, len, SEED));
	ASSERT_EQ(0, munlock(new, len));
	mm_lru_drain();
	EXPECT_EQ(len / PAGE, before - mm_vmstat("nr_mlock"));
	EXPECT_EQ(LEN / KB, mm_status(0, "VmLck"));
	EXPECT_EQ(0, mm_smaps(0, new, "Locked"));
	munmap(new, len);
}

/* the middle moves and all three parts are locked afterwards, each page once */
TEST_F(region, middle)
{
	char *new = free_range(LEN, PMD_SIZE);

	ASSERT_EQ(new, move(self->p + 4 * PAGE, 8 * PAGE, new));
	EXPECT_EQ(LEN / KB, mm_status(0, "VmLck"));
	EXPECT_TRUE(mm_vmflag(0, self->p, "lo"));
	EXPECT_TRUE(mm_vmflag(0, self->p + 12 * PAGE, "lo"));
	EXPECT_TRUE(mm_vmflag(0, new, "lo"));
	EXPECT_EQ(0, changed(self, new, 4, 8));
	EXPECT_EQ(0, changed(self, self->p, 0, 4));
	mm_lru_drain();
	EXPECT_EQ(PAGES, mm_vmstat("nr_mlock") - self->nr_mlock);
}

/* grown in place: the new pages are there without a touch, locked and accounted */
TEST_F(region, grow)
{
	ASSERT_EQ(self->p, mremap(self->p, LEN, LEN + 8 * PAGE, 0));
	EXPECT_EQ(PAGES + 8, mm_count_present(0, self->p, LEN + 8 * PAGE));
	EXPECT_EQ((LEN + 8 * PAGE) / KB, mm_status(0, "VmLck"));
	EXPECT_EQ((LEN + 8 * PAGE) / KB, mm_smaps(0, self->p, "Locked"));
	EXPECT_EQ(0, changed(self, self->p, 0, PAGES));
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
	EXPECT_EQ(-1, mm_check_byte(self->p + LEN, 8 * PAGE, 0));
	mm_lru_drain();
	EXPECT_EQ(PAGES + 8, mm_vmstat("nr_mlock") - self->nr_mlock);
}

/* grown by moving: likewise, and nothing of the old place stays accounted */
TEST_F(region, grow_elsewhere)
{
	char *new;

	ASSERT_EQ(self->p + LEN, mmap(self->p + LEN, PAGE, PROT_NONE,
				      MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	new = mremap(self->p, LEN, LEN + 8 * PAGE, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, new);
	ASSERT_NE(self->p, new);
	EXPECT_EQ(PAGES + 8, mm_count_present(0, new, LEN + 8 * PAGE));
	EXPECT_EQ((LEN + 8 * PAGE) / KB, mm_status(0, "VmLck"));
	EXPECT_EQ(0, changed(self, new, 0, PAGES));
	EXPECT_EQ(-1, mm_check(new, LEN, SEED));
	EXPECT_EQ(-1, mm_check_byte(new + LEN, 8 * PAGE, 0));
	mm_lru_drain();
	EXPECT_EQ(PAGES + 8, mm_vmstat("nr_mlock") - self->nr_mlock);
}

/* shrunk: what was cut off is no longer accounted, its pages are free */
TEST_F(region, shrink)
{
	ASSERT_EQ(self->p, mremap(self->p, LEN, 5 * PAGE, 0));
	EXPECT_EQ(5 * PAGE / KB, mm_status(0, "VmLck"));
	mm_lru_drain();
	EXPECT_EQ(5, mm_vmstat("nr_mlock") - self->nr_mlock);
	EXPECT_EQ(0, changed(self, self->p, 0, 5));
	EXPECT_TRUE(gone(self->p + 5 * PAGE, LEN - 5 * PAGE));
}

/* locked on fault: the flag moves along, a grown part is accounted but only there when it is touched */
TEST_F(region, on_fault)
{
	char *p = mm_map_aligned(LEN, PMD_SIZE), *new;

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, mlock2(p, LEN, MLOCK_ONFAULT));
	mm_fill(p, 3 * PAGE, SEED);
	ASSERT_EQ(p, mremap(p, LEN, LEN + 4 * PAGE, 0));
	new = free_range(LEN + 4 * PAGE, PMD_SIZE);
	ASSERT_EQ(new, move(p, LEN + 4 * PAGE, new));
	EXPECT_EQ((2 * LEN + 4 * PAGE) / KB, mm_status(0, "VmLck"));
	EXPECT_TRUE(mm_vmflag(0, new, "lo"));
	EXPECT_EQ(3, mm_count_present(0, new, LEN + 4 * PAGE));
	EXPECT_EQ(-1, mm_check(new, 3 * PAGE, SEED));
	mm_fill(new + LEN, PAGE, SEED);
	mm_lru_drain();
	EXPECT_EQ(PAGES + 4, mm_vmstat("nr_mlock") - self->nr_mlock);
	EXPECT_TRUE(mm_kpf(mm_pfn(0, new + LEN), KPF_MLOCKED));
	munmap(new, LEN + 4 * PAGE);
}

/* up to RLIMIT_MEMLOCK a locked mapping grows; a page more is EAGAIN, nothing changed; moves are free */
TEST_F(region, limit)
{
	struct rlimit limit = { LEN + 4 * PAGE, LEN + 4 * PAGE };
	char *before, *after, *new;

	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &limit));
	ASSERT_EQ(0, mm_drop_cap(CAP_IPC_LOCK));
	before = mm_maps(0);
	EXPECT_EQ(MAP_FAILED, mremap(self->p, LEN, LEN + 5 * PAGE, 0));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(MAP_FAILED, mremap(self->p, LEN, LEN + 5 * PAGE, MREMAP_MAYMOVE));
	EXPECT_EQ(EAGAIN, errno);
	after = mm_maps(0);
	EXPECT_STREQ(before, after);
	EXPECT_EQ(LEN / KB, mm_status(0, "VmLck"));
	EXPECT_EQ(0, changed(self, self->p, 0, PAGES));
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
	ASSERT_EQ(self->p, mremap(self->p, LEN, LEN + 4 * PAGE, 0));
	EXPECT_EQ((LEN + 4 * PAGE) / KB, mm_status(0, "VmLck"));
	new = free_range(LEN + 4 * PAGE, PMD_SIZE);
	ASSERT_EQ(new, move(self->p, LEN + 4 * PAGE, new));
	EXPECT_EQ((LEN + 4 * PAGE) / KB, mm_status(0, "VmLck"));
	EXPECT_EQ(-1, mm_check(new, LEN, SEED));
	EXPECT_EQ(-1, mm_check_byte(new + LEN, 4 * PAGE, 0));
}

static int child_moves(void *arg)
{
	FIXTURE_DATA(region) *self = arg;
	char *to = self->p + 16 * MB;

	if (mm_status(0, "VmLck") || mm_vmflag(0, self->p, "lo"))
		return 1;
	if (move(self->p, LEN, to) != to || mm_check(to, LEN, SEED) != -1)
		return 2;
	return mm_status(0, "VmLck") || mm_vmflag(0, to, "lo") ? 3 : 0;
}

/* a child does not inherit the lock: it moves the region without any account */
TEST_F(region, fork)
{
	char *new = free_range(LEN, PMD_SIZE);

	ASSERT_EQ(new, move(self->p, LEN, new));
	self->p = new;
	EXPECT_EQ(0, mm_in_child(child_moves, self));
	EXPECT_EQ(LEN / KB, mm_status(0, "VmLck"));
	EXPECT_EQ(-1, mm_check(new, LEN, SEED));
	mm_lru_drain();
	EXPECT_EQ(PAGES, mm_vmstat("nr_mlock") - self->nr_mlock);
}

TEST_HARNESS_MAIN
