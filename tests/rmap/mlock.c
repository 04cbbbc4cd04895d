// SPDX-License-Identifier: GPL-2.0
/* Locked memory: reclaim spares the pages in all page tables that map them, and the counters agree. */
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/kernel-page-flags.h>

#include "kselftest_harness.h"
#include "mm.h"

#define KPF_MLOCKED	33	/* include/linux/kernel-page-flags.h, not uapi */
#define PAGES	64
#define LEN	(PAGES * PAGE)
#define SEED	61

/* The pages under test, where the processes of a tree find them. */
static char *region;

static int count_flag(const char *p, int kpf)
{
	int n = 0;

	for (int i = 0; i < PAGES; i++)
		n += mm_kpf(mm_pfn(0, p + i * PAGE), kpf);
	return n;
}

static int same_frames(const uint64_t *pfns, const char *p)
{
	int n = 0;

	for (int i = 0; i < PAGES; i++)
		n += pfns[i] && pfns[i] == mm_pfn(0, p + i * PAGE);
	return n;
}

/* The pages are charged to a group of their own, whose reclaim meets nothing else. */
FIXTURE(mlock) {
	struct mm_cgroup cg;
	struct mm_tree *t;
	struct mm_snap *before;
	uint64_t pfns[PAGES];
	int fd;
};

FIXTURE_VARIANT(mlock) {
	bool file;
	const char *dir;
};

FIXTURE_VARIANT_ADD(mlock, anon) { };
FIXTURE_VARIANT_ADD(mlock, shmem) { .file = true };
FIXTURE_VARIANT_ADD(mlock, ext4) { .file = true, .dir = "/mnt" };

static char *map_region(int fd)
{
	if (fd < 0)
		return mm_map_aligned(LEN, PAGE);
	return mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

FIXTURE_SETUP(mlock)
{
	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	ASSERT_EQ(0, mm_cgroup_create(&self->cg, "mlock"));
	self->fd = -1;
	if (variant->file)
		self->fd = mm_tmpfile(variant->dir, LEN);
	region = map_region(self->fd);
	ASSERT_NE(NULL, region);
	ASSERT_NE(MAP_FAILED, region);
	ASSERT_EQ(0, mm_cgroup_enter(&self->cg));
	mm_fill(region, LEN, SEED);
	ASSERT_EQ(0, mm_cgroup_leave());
	if (self->fd >= 0)
		ASSERT_EQ(0, fsync(self->fd));
	mm_lru_drain();
	ASSERT_EQ(0, mm_pfns(0, region, self->pfns, PAGES));
	self->before = mm_snap();
}

FIXTURE_TEARDOWN(mlock)
{
	if (self->t)
		mm_tree_end(self->t);
	mm_cgroup_leave();
	munmap(region, LEN);
	if (self->fd >= 0)
		close(self->fd);
	mm_lru_drain();
	EXPECT_EQ(0, mm_delta(self->before, "nr_mlock"));
	EXPECT_EQ(0, mm_delta(self->before, "nr_unevictable"));
	EXPECT_EQ(0, mm_cgroup_remove(&self->cg));
	mm_snap_free(self->before);
}

/* locked pages are counted, are on no reclaimable list, and stay in their frames whatever reclaim asks for */
TEST_F(mlock, stays)
{
	long locked = mm_status(0, "VmLck");

	ASSERT_EQ(0, mlock(region, LEN));
	mm_lru_drain();
	EXPECT_EQ(PAGES, mm_delta(self->before, "nr_mlock"));
	EXPECT_EQ(PAGES, mm_delta(self->before, "nr_unevictable"));
	EXPECT_EQ(PAGES, mm_delta(self->before, "unevictable_pgs_mlocked"));
	EXPECT_EQ(PAGES, mm_delta(self->before, "unevictable_pgs_culled"));
	EXPECT_EQ(LEN / KB, mm_status(0, "VmLck") - locked);
	EXPECT_EQ(LEN / KB, mm_smaps(0, region, "Locked"));
	EXPECT_EQ(PAGES, count_flag(region, KPF_MLOCKED));
	EXPECT_EQ(PAGES, count_flag(region, KPF_UNEVICTABLE));
	EXPECT_EQ(-1, madvise(region, LEN, MADV_PAGEOUT));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-EAGAIN, mm_cgroup_reclaim(&self->cg, LEN));
	EXPECT_EQ(PAGES, same_frames(self->pfns, region));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
}

/* unlocked pages are off the counters, back on the lists, and go with the next reclaim */
TEST_F(mlock, munlock_releases)
{
	ASSERT_EQ(0, mlock(region, LEN));
	ASSERT_EQ(0, munlock(region, LEN));
	mm_lru_drain();
	EXPECT_EQ(0, mm_delta(self->before, "nr_mlock"));
	EXPECT_EQ(0, mm_delta(self->before, "nr_unevictable"));
	EXPECT_EQ(PAGES, mm_delta(self->before, "unevictable_pgs_munlocked"));
	EXPECT_EQ(PAGES, mm_delta(self->before, "unevictable_pgs_rescued"));
	EXPECT_EQ(0, mm_smaps(0, region, "Locked"));
	EXPECT_EQ(0, count_flag(region, KPF_MLOCKED));
	EXPECT_EQ(0, count_flag(region, KPF_UNEVICTABLE));
	EXPECT_EQ(PAGES, same_frames(self->pfns, region));
	EXPECT_EQ(0, mm_pageout(region, LEN));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
}

/* unmapping locked pages unlocks them */
TEST_F(mlock, munmap_unlocks)
{
	ASSERT_EQ(0, mlock(region, LEN));
	mm_lru_drain();
	ASSERT_EQ(PAGES, mm_delta(self->before, "nr_mlock"));
	ASSERT_EQ(0, munmap(region, LEN / 2));
	mm_lru_drain();
	EXPECT_EQ(PAGES / 2, mm_delta(self->before, "nr_mlock"));
	EXPECT_EQ(PAGES / 2, mm_delta(self->before, "nr_unevictable"));
	ASSERT_EQ(0, munmap(region + LEN / 2, LEN / 2));
	mm_lru_drain();
	EXPECT_EQ(0, mm_delta(self->before, "nr_mlock"));
	EXPECT_EQ(0, mm_delta(self->before, "nr_unevictable"));
	EXPECT_EQ(PAGES, mm_delta(self->before, "unevictable_pgs_munlocked") +
		  mm_delta(self->before, "unevictable_pgs_cleared"));
}

/* Lock what is mapped as it is: mlock() would first make private copies of what is shared. */
static int lock_here(void *arg)
{
	mm_touch_read(region, LEN);
	return syscall(SYS_mlock2, region, LEN, MLOCK_ONFAULT) ? errno : 0;
}

static int unlock_here(void *arg)
{
	return munlock(region, LEN) ? errno : 0;
}

/* pages that one process of three has locked stay in the page tables of all three until it unlocks them */
TEST_F(mlock, one_of_three)
{
	self->t = mm_tree_fork(1, 2, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	mm_touch_read(region, LEN);
	ASSERT_EQ(0, mm_tree_call(self->t, 0, lock_here, NULL));
	mm_lru_drain();
	EXPECT_EQ(PAGES, mm_delta(self->before, "nr_mlock"));
	EXPECT_EQ(0, mm_smaps(0, region, "Locked"));
	EXPECT_LT(0, mm_smaps(mm_tree_pid(self->t, 0), region, "Locked"));
	EXPECT_EQ(-EAGAIN, mm_cgroup_reclaim(&self->cg, LEN));
	EXPECT_EQ(PAGES, same_frames(self->pfns, region));
	EXPECT_EQ(PAGES, mm_count_present(mm_tree_pid(self->t, 0), region, LEN));
	ASSERT_EQ(0, mm_tree_call(self->t, 0, unlock_here, NULL));
	mm_lru_drain();
	EXPECT_EQ(0, mm_delta(self->before, "nr_mlock"));
	for (int i = 0; i < 10; i++)
		mm_cgroup_reclaim(&self->cg, LEN);
	EXPECT_EQ(0, mm_count_present(0, region, LEN));
	EXPECT_EQ(0, mm_count_present(mm_tree_pid(self->t, 0), region, LEN));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
}

/* the exit of the process that has locked the pages unlocks them */
TEST_F(mlock, exit_unlocks)
{
	self->t = mm_tree_fork(1, 2, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	mm_touch_read(region, LEN);
	ASSERT_EQ(0, mm_tree_call(self->t, 0, lock_here, NULL));
	ASSERT_EQ(0, mm_tree_call(self->t, 1, lock_here, NULL));
	ASSERT_EQ(0, mm_tree_kill(self->t, 0));
	mm_lru_drain();
	EXPECT_EQ(PAGES, mm_delta(self->before, "nr_mlock"));
	EXPECT_EQ(PAGES, count_flag(region, KPF_MLOCKED));
	ASSERT_EQ(0, mm_tree_kill(self->t, 1));
	mm_lru_drain();
	EXPECT_EQ(0, mm_delta(self->before, "nr_mlock"));
	EXPECT_EQ(0, mm_delta(self->before, "nr_unevictable"));
	EXPECT_EQ(PAGES, same_frames(self->pfns, region));
	EXPECT_EQ(0, count_flag(region, KPF_UNEVICTABLE));
}

/* a child does not inherit the lock, but while the parent has it the pages that both map stay */
TEST_F(mlock, fork_inherits_nothing)
{
	pid_t child;

	ASSERT_EQ(0, mlock(region, LEN));
	self->t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	child = mm_tree_pid(self->t, 0);
	mm_lru_drain();
	EXPECT_EQ(PAGES, mm_delta(self->before, "nr_mlock"));
	EXPECT_EQ(LEN / KB, mm_status(0, "VmLck"));
	EXPECT_EQ(0, mm_status(child, "VmLck"));
	EXPECT_TRUE(mm_vmflag(0, region, "lo"));
	EXPECT_FALSE(mm_vmflag(child, region, "lo"));
	EXPECT_EQ(-EAGAIN, mm_cgroup_reclaim(&self->cg, LEN));
	EXPECT_EQ(PAGES, same_frames(self->pfns, region));
}

/* ---- pages that come into a locked VMA ---- */

FIXTURE(incoming) {
	struct mm_cgroup cg;
	struct mm_snap *before;
};

FIXTURE_SETUP(incoming)
{
	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	ASSERT_EQ(0, mm_cgroup_create(&self->cg, "incoming"));
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	mm_lru_drain();
	self->before = mm_snap();
}

FIXTURE_TEARDOWN(incoming)
{
	mm_cgroup_leave();
	munmap(region, LEN);
	EXPECT_EQ(0, mm_cgroup_remove(&self->cg));
	mm_lru_drain();
	EXPECT_EQ(0, mm_delta(self->before, "nr_mlock"));
	EXPECT_EQ(0, mm_delta(self->before, "nr_unevictable"));
	mm_snap_free(self->before);
}

/* of a range that is locked on fault exactly the pages that were touched get locked, as they come */
TEST_F(incoming, new_pages)
{
	ASSERT_EQ(0, syscall(SYS_mlock2, region, LEN, MLOCK_ONFAULT));
	EXPECT_EQ(0, mm_delta(self->before, "nr_mlock"));
	mm_fill(region, LEN / 2, SEED);
	mm_lru_drain();
	EXPECT_EQ(PAGES / 2, mm_count_present(0, region, LEN));
	EXPECT_EQ(PAGES / 2, mm_delta(self->before, "nr_mlock"));
	EXPECT_EQ(PAGES / 2, mm_delta(self->before, "nr_unevictable"));
	EXPECT_EQ(PAGES / 2, count_flag(region, KPF_MLOCKED));
	EXPECT_EQ(LEN / 2 / KB, mm_smaps(0, region, "Locked"));
}

/* mlock brings all pages back from swap before it returns, and from then on reclaim spares them */
TEST_F(incoming, from_swap)
{
	uint64_t pfns[PAGES];

	ASSERT_EQ(0, mm_cgroup_enter(&self->cg));
	mm_fill(region, LEN, SEED);
	ASSERT_EQ(0, mm_pageout(region, LEN));
	ASSERT_EQ(0, mlock(region, LEN));
	ASSERT_EQ(PAGES, mm_count_present(0, region, LEN));
	ASSERT_EQ(0, mm_pfns(0, region, pfns, PAGES));
	/* In 7.2 do_swap_page() marks no page as locked, which reclaim makes good for those that it meets. */
	for (int i = 0; i < 4; i++)
		mm_cgroup_reclaim(&self->cg, LEN);
	mm_lru_drain();
	EXPECT_EQ(PAGES, same_frames(pfns, region));
	EXPECT_EQ(0, mm_count_swapped(0, region, LEN));
	EXPECT_EQ(count_flag(region, KPF_MLOCKED), mm_delta(self->before, "nr_mlock"));
	EXPECT_EQ(count_flag(region, KPF_UNEVICTABLE), mm_delta(self->before, "nr_unevictable"));
	EXPECT_EQ(LEN / KB, mm_status(0, "VmLck"));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
}

/* a copy on write into a locked VMA is locked, the original that the child keeps no longer is */
TEST_F(incoming, copies)
{
	struct mm_tree *t;
	uint64_t pfn;

	mm_fill(region, LEN, SEED);
	ASSERT_EQ(0, mlock(region, LEN));
	pfn = mm_pfn(0, region);
	t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, t);
	mm_fill(region, LEN, SEED + 1);
	mm_lru_drain();
	EXPECT_EQ(pfn, mm_pfn(mm_tree_pid(t, 0), region));
	EXPECT_FALSE(mm_kpf(pfn, KPF_MLOCKED));
	EXPECT_FALSE(mm_kpf(pfn, KPF_UNEVICTABLE));
	EXPECT_EQ(PAGES, count_flag(region, KPF_MLOCKED));
	EXPECT_EQ(PAGES, mm_delta(self->before, "nr_mlock"));
	EXPECT_EQ(PAGES, mm_delta(self->before, "nr_unevictable"));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED + 1));
	mm_tree_end(t);
}

/* ---- pages that are locked without anybody having noticed ---- */

/*
 * Locks are counted in folio->mlock_count, but only while the page is on the unevictable list. A page of
 * shmem that two locked VMAs map while it waits in the lru_add batch, because the batch of mlock was full
 * first, is counted once. The first munlock then makes it evictable though the other VMA is locked.
 * mm/mlock.c knows it: "reclaim will fix it if not".
 */
FIXTURE(missed) {
	struct mm_cgroup cg;
	struct mm_snap *before;
	char *other;
	long left;		/* pages that are still known to be locked */
};

FIXTURE_VARIANT(missed) {
	bool inside;		/* the process is in the group whose pages are reclaimed */
};

/* Reclaim looks for references in its own group only: it meets the locked VMA there, or when it unmaps. */
FIXTURE_VARIANT_ADD(missed, by_reference) { .inside = true };
FIXTURE_VARIANT_ADD(missed, by_unmap) { .inside = false };

/* Fault each page into both mappings before it reaches an LRU list. */
static void fill_both(char *other)
{
	for (size_t at = 0; at < LEN; at += PAGE) {
		mm_fill_from(region + at, PAGE, SEED, at);
		mm_touch_read(other + at, PAGE);
	}
	mm_lru_drain();
}

FIXTURE_SETUP(missed)
{
	int fd;

	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	ASSERT_EQ(0, mm_cgroup_create(&self->cg, "missed"));
	fd = mm_memfd(LEN);
	ASSERT_LE(0, fd);
	region = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, region);
	self->other = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, self->other);
	close(fd);
	mm_lru_drain();
	self->before = mm_snap();
	ASSERT_EQ(0, syscall(SYS_mlock2, region, LEN, MLOCK_ONFAULT));
	ASSERT_EQ(0, syscall(SYS_mlock2, self->other, LEN, MLOCK_ONFAULT));
	ASSERT_EQ(0, mm_cgroup_enter(&self->cg));
	fill_both(self->other);
	if (!variant->inside)
		ASSERT_EQ(0, mm_cgroup_leave());
	ASSERT_EQ(PAGES, mm_delta(self->before, "nr_mlock"));
	ASSERT_EQ(0, munlock(region, LEN));
	self->left = mm_delta(self->before, "nr_mlock");
	ASSERT_GT(PAGES, self->left);
	EXPECT_TRUE(mm_vmflag(0, self->other, "lo"));
}

FIXTURE_TEARDOWN(missed)
{
	mm_cgroup_leave();
	munmap(region, LEN);
	munmap(self->other, LEN);
	mm_lru_drain();
	EXPECT_EQ(0, mm_delta(self->before, "nr_mlock"));
	EXPECT_EQ(0, mm_delta(self->before, "nr_unevictable"));
	EXPECT_EQ(0, mm_cgroup_remove(&self->cg));
	mm_snap_free(self->before);
}

/* reclaim that finds a page of a locked VMA without the mark of one marks it, and leaves it where it is */
TEST_F(missed, reclaim_restores)
{
	uint64_t pfns[PAGES];

	ASSERT_EQ(0, mm_pfns(0, self->other, pfns, PAGES));
	mm_cgroup_reclaim(&self->cg, LEN);
	mm_lru_drain();
	EXPECT_EQ(PAGES, mm_delta(self->before, "nr_mlock"));
	EXPECT_EQ(PAGES, mm_delta(self->before, "nr_unevictable"));
	EXPECT_EQ(PAGES, count_flag(self->other, KPF_MLOCKED));
	EXPECT_EQ(PAGES, same_frames(pfns, self->other));
	/* The other, unlocked mapping only loses pages if reclaim got as far as unmapping. */
	EXPECT_EQ(variant->inside ? PAGES : self->left, mm_count_present(0, region, LEN));
	EXPECT_EQ(-1, mm_check(self->other, LEN, SEED));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
}

TEST_HARNESS_MAIN
