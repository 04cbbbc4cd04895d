// SPDX-License-Identifier: GPL-2.0
/* The end of mappings and processes, in any order: what stays is found, what is gone leaves nothing. */
#include <signal.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "mm.h"

#define PAGES	9
#define LEN	(PAGES * PAGE)
#define THIRD	(3 * PAGE)
#define RW	(PROT_READ | PROT_WRITE)

/* The processes of a tree find the pages under test here. */
static char *region;

static int wrong_pages(void *arg)
{
	return mm_check(region, LEN, 1) != -1;
}

/* Pages that two processes have as the same frame or the same swap entry. */
static int same_pages(pid_t one, pid_t other, const char *p, int pages)
{
	struct mm_page a, b;
	int n = 0;

	for (int i = 0; i < pages; i++) {
		if (mm_page(one, p + i * PAGE, &a) || mm_page(other, p + i * PAGE, &b))
			return -1;
		n += (a.present && b.present && a.pfn == b.pfn) ||
		     (a.swapped && b.swapped && a.swap_offset == b.swap_offset);
	}
	return n;
}

static int mapped(pid_t pid, const char *p, int pages, long count)
{
	int n = 0;

	for (int i = 0; i < pages; i++)
		n += mm_kpagecount(mm_pfn(pid, p + i * PAGE)) == count;
	return n;
}

FIXTURE(family)
{
	struct mm_cgroup cg;		/* that the pages are charged to */
	struct mm_stage *stage;
	struct mm_tree *t;		/* nodes 0 (1, 2) and 3 (4, 5) */
};

FIXTURE_SETUP(family)
{
	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	ASSERT_EQ(0, mm_cgroup_create(&self->cg, "teardown"));
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	self->stage = mm_stage(LEN);
	ASSERT_NE(NULL, self->stage);
	ASSERT_EQ(0, mm_cgroup_enter(&self->cg));
	mm_fill(region, LEN, 1);
	ASSERT_EQ(0, mm_cgroup_leave());
	self->t = mm_tree_fork(2, 2, NULL, NULL);
	ASSERT_NE(NULL, self->t);
}

FIXTURE_TEARDOWN(family)
{
	mm_stage_end(self->stage);
	if (self->t)
		mm_tree_end(self->t);
	munmap(region, LEN);
	EXPECT_EQ(0, mm_cgroup_remove(&self->cg));
}

static int unmap_middle(void *arg)
{
	return munmap(region + THIRD, THIRD);
}

static int lost_sides(void *arg)
{
	return mm_check(region, THIRD, 1) != -1 ||
	       mm_check_from(region + 2 * THIRD, THIRD, 1, 2 * THIRD) != -1 ||
	       mm_probe_read(region + THIRD) != SIGSEGV;
}

/* munmap() of the middle unmaps it in that process alone, and reclaim finds the two sides */
TEST_F(family, unmap_middle)
{
	pid_t pid = mm_tree_pid(self->t, 4);
	struct mm_objects base = mm_objects();

	EXPECT_EQ(PAGES, mapped(0, region, PAGES, 7));
	ASSERT_EQ(0, mm_tree_call(self->t, 4, unmap_middle, NULL));
	EXPECT_EQ(2, mm_vma_count(pid, region, LEN));
	/* A VMA more, with a link to each of three anon_vmas. */
	EXPECT_OBJECTS(base, 0, 3, 1);
	EXPECT_EQ(3, mapped(0, region, 3, 7));
	EXPECT_EQ(3, mapped(0, region + THIRD, 3, 6));
	EXPECT_EQ(3, mapped(0, region + 2 * THIRD, 3, 7));
	EXPECT_EQ(0, mm_cgroup_drop(&self->cg, region, LEN));
	EXPECT_EQ(3, same_pages(0, pid, region, 3));
	EXPECT_EQ(0, mm_count_swapped(pid, region + THIRD, THIRD));
	EXPECT_EQ(3, same_pages(0, pid, region + 2 * THIRD, 3));
	for (int i = 0; i < 6; i++)
		EXPECT_EQ(0, mm_tree_call(self->t, i, i == 4 ? lost_sides : wrong_pages, NULL));
}

/* reclaim finds pages in all processes that are left when the one that wrote them is gone, and its child */
TEST_F(family, reclaim_of_orphans)
{
	ASSERT_EQ(0, mm_tree_kill(self->t, 0));
	ASSERT_EQ(0, munmap(region, LEN));
	EXPECT_EQ(PAGES, mapped(mm_tree_pid(self->t, 1), region, PAGES, 5));
	/* The caller does not map the pages any more: another process tells what becomes of them. */
	for (int i = 0; i < 100 && mm_count_swapped(mm_tree_pid(self->t, 1), region, LEN) < PAGES; i++)
		mm_cgroup_reclaim(&self->cg, LEN);
	for (int i = 1; i < 6; i++)
		EXPECT_EQ(PAGES, mm_count_swapped(mm_tree_pid(self->t, i), region, LEN));
	for (int i = 1; i < 6; i++) {
		EXPECT_EQ(0, mm_tree_call(self->t, i, wrong_pages, NULL));
		EXPECT_EQ(PAGES, same_pages(mm_tree_pid(self->t, 1), mm_tree_pid(self->t, i), region, PAGES));
	}
}

/* migration finds such pages in all processes that are left: they see one new frame, and the old bytes */
TEST_F(family, migration_of_orphans)
{
	pid_t first = mm_tree_pid(self->t, 1);
	uint64_t was[PAGES], is[PAGES];

	NEED(mm_need_compaction());
	ASSERT_EQ(0, mm_tree_kill(self->t, 0));
	ASSERT_EQ(0, mm_tree_kill(self->t, 3));
	ASSERT_EQ(0, munmap(region, LEN));
	ASSERT_EQ(0, mm_pfns(first, region, was, PAGES));
	ASSERT_EQ(0, mm_stage_move(self->stage));
	ASSERT_EQ(0, mm_pfns(first, region, is, PAGES));
	EXPECT_EQ(PAGES, mm_moved(was, is, PAGES));
	EXPECT_EQ(PAGES, mapped(first, region, PAGES, 4));
	for (int i = 1; i < 6; i++) {
		if (i == 3)
			continue;
		EXPECT_EQ(PAGES, same_pages(first, mm_tree_pid(self->t, i), region, PAGES));
		EXPECT_EQ(0, mm_tree_call(self->t, i, wrong_pages, NULL));
	}
}

/* 16 pages, half of them below a boundary of page tables, so that there are two of those. */
static char *big_region(void)
{
	char *p = mm_map_at_offset(PMD_SIZE, PMD_SIZE, PMD_SIZE - 8 * PAGE);

	mm_fill(p, 16 * PAGE, 1);
	return p;
}

/* What a process may leave behind, and does not. */
static int life_of_splits(void *arg)
{
	char *p = big_region();

	for (int i = 0; i < 16; i += 2)
		mprotect(p + i * PAGE, PAGE, PROT_READ);
	munmap(p + 5 * PAGE, 3 * PAGE);
	return 0;
}

static int life_of_moves(void *arg)
{
	char *p = big_region(), *q = mm_reserve(PMD_SIZE, PAGE);

	mremap(p + 4 * PAGE, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q);
	mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, q + 20 * PAGE);
	mm_touch_write(p, 4 * PAGE);
	return 0;
}

static int life_of_locks(void *arg)
{
	char *p = big_region();

	return mlock(p, 8 * PAGE) || mlock2(p + 8 * PAGE, 8 * PAGE, MLOCK_ONFAULT) ||
	       mm_status(0, "VmLck") != (long)(16 * PAGE / KB);
}

/* Half the pages in swap, half in memory again. (Reads that nobody waits for would leave slots behind.) */
static int life_in_swap(void *arg)
{
	char *p = big_region();

	if (mm_pageout(p, 16 * PAGE))
		return 1;
	mm_touch_read(p, 16 * PAGE);
	return mm_pageout(p + 8 * PAGE, 8 * PAGE) ? 2 : 0;
}

static int life_with_files(void *arg)
{
	int fd = mm_tmpfile("/mnt", LEN), mem = mm_memfd(LEN);
	char *p = mmap(NULL, LEN, RW, MAP_SHARED, fd, 0), *q = mmap(NULL, LEN, RW, MAP_PRIVATE, mem, 0);

	mm_touch_write(p, LEN);
	mm_touch_read(q, LEN);
	mm_touch_write(q, THIRD);
	return 0;
}

static void mix(unsigned int level, void *arg)
{
	life_of_splits(NULL);
	life_of_moves(NULL);
	mm_touch_write(region, LEN);
}

static int life_of_ancestors(void *arg)
{
	struct mm_tree *t;

	mix(0, NULL);
	t = mm_tree_fork(2, 2, mix, NULL);
	if (!t || mm_tree_kill(t, 0) || mm_tree_kill(t, 4))
		return 1;
	/* The others notice when this process is gone. */
	return 0;
}

static int life_cut_short(void *arg)
{
	mix(0, NULL);
	kill(getpid(), SIGKILL);
	return 0;
}

FIXTURE(leak)
{
};

FIXTURE_VARIANT(leak)
{
	int (*life)(void *arg);
	int ret;
};

FIXTURE_VARIANT_ADD(leak, splits) { .life = life_of_splits };
FIXTURE_VARIANT_ADD(leak, moves) { .life = life_of_moves };
FIXTURE_VARIANT_ADD(leak, mlock) { .life = life_of_locks };
FIXTURE_VARIANT_ADD(leak, swap) { .life = life_in_swap };
FIXTURE_VARIANT_ADD(leak, files) { .life = life_with_files };
FIXTURE_VARIANT_ADD(leak, fork_tree) { .life = life_of_ancestors };
FIXTURE_VARIANT_ADD(leak, killed) { .life = life_cut_short, .ret = -SIGKILL };

FIXTURE_SETUP(leak)
{
	/* Descendants that outlive their parent are waited for. */
	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	mm_fill(region, LEN, 1);
}

FIXTURE_TEARDOWN(leak)
{
	munmap(region, LEN);
}

static const char *const counters[] = {
	"nr_anon_pages", "nr_mapped", "nr_shmem", "nr_mlock", "nr_unevictable", "nr_swapcached",
	"nr_page_table_pages",
};

#define COUNTERS	(sizeof(counters) / sizeof(counters[0]))

static void look(long *n)
{
	for (int i = 0; i < COUNTERS; i++)
		n[i] = mm_vmstat(counters[i]);
}

/* One life, and those of the descendants that outlive it. */
static int live(int (*life)(void *arg))
{
	int ret = mm_in_child(life, NULL);

	while (waitpid(-1, NULL, 0) > 0)
		;
	return ret;
}

/* after the end of a process nothing of it is left: objects, pages, page tables, locked pages, swap slots */
TEST_F(leak, no_leak)
{
	long before[COUNTERS], after[COUNTERS], slots;
	struct mm_objects base;

	/* The first look and life are for what the test itself, and the caches, have once. */
	look(before);
	ASSERT_EQ(variant->ret, live(variant->life));
	mm_settle();
	base = mm_objects();
	slots = mm_swap_used();
	look(before);
	ASSERT_EQ(variant->ret, live(variant->life));
	mm_settle();
	look(after);
	EXPECT_OBJECTS(base, 0, 0, 0);
	EXPECT_EQ(slots, mm_swap_used());
	for (int i = 0; i < COUNTERS; i++) {
		EXPECT_EQ(before[i], after[i])
			TH_LOG("%s", counters[i]);
	}
}

#define VICTIMS	10
#define ROUNDS	2

struct race {
	struct mm_stage *stage;
	char *p;
	pid_t pid[VICTIMS];
};

/* Write pages of its own, and exit in the middle of what the parent does then, if the timer says so. */
static void __attribute__((noreturn)) victim(struct race *r, uint64_t seed)
{
	unsigned int us = mm_rand(&seed) % 4000;

	mm_fill(r->p, LEN, 2);
	kill(getpid(), SIGSTOP);
	usleep(us);
	_exit(mm_check(r->p, LEN, 2) != -1);
}

static int start_victims(struct race *r, int round)
{
	int status;

	for (int i = 0; i < VICTIMS; i++) {
		r->pid[i] = fork();
		if (!r->pid[i])
			victim(r, 1 + round * VICTIMS + i);
		if (r->pid[i] < 0 || waitpid(r->pid[i], &status, WUNTRACED) != r->pid[i] ||
		    !WIFSTOPPED(status))
			return -1;
	}
	for (int i = 0; i < VICTIMS; i++)
		kill(r->pid[i], SIGCONT);
	return 0;
}

/* How many of them are gone already. */
static int count_gone(struct race *r)
{
	siginfo_t info;
	int n = 0;

	for (int i = 0; i < VICTIMS; i++) {
		info.si_pid = 0;
		waitid(P_PID, r->pid[i], &info, WEXITED | WNOHANG | WNOWAIT);
		n += info.si_pid != 0;
	}
	return n;
}

/* How many of them saw wrong bytes. */
static int reap_victims(struct race *r)
{
	int n = 0, status;

	for (int i = 0; i < VICTIMS; i++)
		n += waitpid(r->pid[i], &status, 0) != r->pid[i] || status;
	return n;
}

/* processes that exit while their pages are migrated leave nothing, and no byte of the others is lost */
TEST(exit_under_migration)
{
	struct mm_objects base;
	uint64_t was[PAGES], is[PAGES];
	int hits = 0, gone;
	struct race r;

	NEED(mm_need_compaction());
	r.p = region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, r.p);
	mm_touch_write(r.p, LEN);
	base = mm_objects();
	for (int round = 0; round < ROUNDS; round++) {
		ASSERT_EQ(0, madvise(r.p, LEN, MADV_DONTNEED));
		r.stage = mm_stage((VICTIMS + 1) * LEN);
		ASSERT_NE(NULL, r.stage);
		mm_fill(r.p, LEN, 1);
		ASSERT_EQ(0, start_victims(&r, round));
		gone = count_gone(&r);
		EXPECT_EQ(PAGES, mm_stage_move_pages(r.stage, r.p, PAGES, was, is));
		hits += count_gone(&r) - gone;
		EXPECT_EQ(0, reap_victims(&r));
		EXPECT_EQ(0, wrong_pages(NULL));
		mm_stage_end(r.stage);
	}
	EXPECT_OBJECTS(base, 0, 0, 0);
	TH_LOG("%d of %d exited while pages were moved", hits, ROUNDS * VICTIMS);
	munmap(r.p, LEN);
}

TEST_HARNESS_MAIN
