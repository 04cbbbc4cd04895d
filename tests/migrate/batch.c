// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that lie side by side in memory are migrated in one batch, whoever they belong to: what one page
 * needs must not be taken for the needs of the next, and what happens to some of them must not keep the
 * others.
 */
#include "kselftest_harness.h"
#include <fcntl.h>
#include <unistd.h>
#include <linux/kernel-page-flags.h>

#include "mm.h"

#define FEW	32			/* pages of each kind */
#define SIZE	(FEW * PAGE)
#define KPF_MLOCKED	33		/* fs/proc/page.c, "kernel hacking assistances" */

/* What a page of the mixture is: private memory of two VMAs, locked, shmem, the same bytes in all for KSM. */
enum kind { ONE, OTHER, LOCKED, SHMEM, EQUAL, KINDS };

static char *kind_at[KINDS];

static void fill_page(enum kind kind, int i)
{
	mm_fill(kind_at[kind] + i * PAGE, PAGE, kind == EQUAL ? 1 : kind * FEW + i + 2);
}

/* How many pages hold what they should. */
static int good_pages(void *arg)
{
	int good = 0;

	for (int kind = 0; kind < KINDS; kind++)
		for (int i = 0; i < FEW; i++)
			good += mm_check(kind_at[kind] + i * PAGE, PAGE,
					 kind == EQUAL ? 1 : kind * FEW + i + 2) == -1;
	return good;
}

static int all_pfns(uint64_t pfns[KINDS][FEW])
{
	int err = 0;

	for (int kind = 0; kind < KINDS; kind++)
		err |= mm_pfns(0, kind_at[kind], pfns[kind], FEW);
	return err;
}

/* Pages with one of another kind in the next frame. */
static int beside_others(uint64_t pfns[KINDS][FEW])
{
	int n = 0;

	for (int i = 0; i < FEW; i++)
		for (int kind = 0; kind + 1 < KINDS; kind++)
			n += pfns[kind][i] + 1 == pfns[kind + 1][i] || pfns[kind + 1][i] + 1 == pfns[kind][i];
	return n;
}

static bool map_kinds(int shmem)
{
	for (int kind = 0; kind < KINDS; kind++) {
		kind_at[kind] = mm_map_aligned(SIZE, PAGE);
		if (!kind_at[kind])
			return false;
	}
	if (mmap(kind_at[SHMEM], SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, shmem, 0) !=
	    kind_at[SHMEM])
		return false;
	return !mlock2(kind_at[LOCKED], SIZE, MLOCK_ONFAULT) &&
	       !madvise(kind_at[EQUAL], SIZE, MADV_MERGEABLE);
}

static void unmap_kinds(void)
{
	for (int kind = 0; kind < KINDS; kind++)
		munmap(kind_at[kind], SIZE);
}

/* private, locked, shared and merged pages alternate in memory: all move, each stays what it is */
TEST(mixed)
{
	uint64_t was[KINDS][FEW], is[KINDS][FEW];
	struct mm_objects base;
	struct mm_stage *stage;
	struct mm_tree *tree;
	int shmem;

	NEED(mm_need_compaction());
	NEED(mm_need_ksm());
	if (mm_read_long("/proc/sys/vm/compact_unevictable_allowed") != 1)
		SKIP(return, "needs vm.compact_unevictable_allowed");
	mm_settle();
	base = mm_objects();
	shmem = mm_memfd(SIZE);
	ASSERT_LE(0, shmem);
	ASSERT_TRUE(map_kinds(shmem));
	stage = mm_stage(KINDS * SIZE);
	ASSERT_NE(NULL, stage);
	for (int i = 0; i < FEW; i++)
		for (int kind = 0; kind < KINDS; kind++)
			fill_page(kind, i);
	ASSERT_EQ(0, all_pfns(was));
	EXPECT_LE(KINDS * FEW / (mm_stage_per_cpu() ? 2 : 3), beside_others(was));
	ASSERT_EQ(0, mm_ksm_scan(3));
	EXPECT_EQ(1, mm_ksm_stat("pages_shared"));
	tree = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, tree);
	ASSERT_EQ(0, all_pfns(was));
	ASSERT_EQ(0, mm_stage_move(stage));
	ASSERT_EQ(0, all_pfns(is));
	EXPECT_EQ(KINDS * FEW, mm_moved(&was[0][0], &is[0][0], KINDS * FEW));
	EXPECT_EQ(KINDS * FEW, good_pages(NULL));
	EXPECT_EQ(KINDS * FEW, mm_tree_call(tree, 0, good_pages, NULL));
	for (int i = 0; i < FEW; i++) {
		EXPECT_TRUE(mm_kpf(is[LOCKED][i], KPF_MLOCKED));
		EXPECT_FALSE(mm_kpf(is[ONE][i], KPF_MLOCKED));
		EXPECT_TRUE(mm_is_ksm(is[EQUAL][i], true));
		EXPECT_EQ(2, mm_kpagecount(is[ONE][i]));
		EXPECT_EQ(2, mm_kpagecount(is[OTHER][i]));
	}
	EXPECT_EQ(2 * FEW, mm_kpagecount(is[EQUAL][0]));
	mm_tree_end(tree);
	mm_stage_end(stage);
	unmap_kinds();
	close(shmem);
	mm_ksm_unmerge_all();
	mm_settle();
	EXPECT_OBJECTS(base, 0, 0, 0);
}

/* ---- the owner of the pages acts while they are in between ---- */

#define OWNED	256			/* pages: eight batches, in one of which it is to act */
#define OWNED_SIZE	(OWNED * PAGE)
#define SPARE	256			/* pages: all low frames that the owner's do not take */
#define NAP_NS	20000
#define ROUNDS	10

static struct control {
	volatile int stage;		/* what the owner is to do, what it has done */
	volatile bool stop;
	volatile int met;		/* migration entries when it acted */
	volatile int wrong;
} *control;

enum stage { BORN, MAY_FILL, FILLED };

static char *region;

static void wait_stage(int stage)
{
	while (control->stage < stage)
		mm_nap(NAP_NS);
}

static void owner_unmaps(void)
{
	munmap(region, OWNED_SIZE);
}

static void owner_exits(void)
{
	_exit(0);
}

static void owner_unmaps_half(void)
{
	for (int i = 0; i < OWNED; i += 2)
		munmap(region + i * PAGE, PAGE);
	for (int i = 1; i < OWNED; i += 2)
		control->wrong += mm_check_from(region + i * PAGE, PAGE, 1, i * PAGE) != -1;
}

/* The pages are the child's alone, and of its own anon_vma; the root is its parent's. */
static void __attribute__((noreturn)) run_owner(void (*act)(void))
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	char *spare = mm_map_aligned(SPARE * PAGE, PAGE);

	if (mm_set_fifo(1))
		_exit(2);
	wait_stage(MAY_FILL);
	mm_fill(region, OWNED_SIZE, 1);
	mm_touch_write(spare, SPARE * PAGE);
	control->stage = FILLED;
	while (!control->stop && !control->met) {
		control->met = mm_count_migrating(pagemap, region, OWNED);
		if (control->met < 0)
			_exit(2);
		if (control->met)
			act();
		else
			mm_nap(NAP_NS);
	}
	_exit(0);
}

FIXTURE(owner)
{
	struct mm_stage *stage;
	pid_t pid;
};

FIXTURE_VARIANT(owner)
{
	void (*act)(void);
};

FIXTURE_VARIANT_ADD(owner, unmaps) { .act = owner_unmaps };
FIXTURE_VARIANT_ADD(owner, exits) { .act = owner_exits };
FIXTURE_VARIANT_ADD(owner, unmaps_half) { .act = owner_unmaps_half };

FIXTURE_SETUP(owner)
{
	NEED(mm_need_compaction());
	control = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, control);
	region = mm_map_aligned(OWNED_SIZE, PAGE);
	ASSERT_NE(NULL, region);
	/* The parent has an anon_vma, and no page but one. */
	mm_touch_write(region, PAGE);
}

FIXTURE_TEARDOWN(owner)
{
	if (self->pid > 0) {
		kill(self->pid, SIGKILL);
		waitpid(self->pid, NULL, 0);
	}
	mm_stage_end(self->stage);
	munmap(region, OWNED_SIZE);
	munmap(control, PAGE);
}

/* the pages' only owner leaves them between unmapping and remapping: neither pages nor anon_vmas are lost */
TEST_F(owner, leaves)
{
	struct mm_objects base;
	int met = 0, status;

	mm_settle();
	base = mm_objects();
	for (int round = 0; round < ROUNDS && !met; round++) {
		memset(control, 0, sizeof(*control));
		self->pid = fork();
		if (!self->pid)
			run_owner(variant->act);
		self->stage = mm_stage(OWNED_SIZE);
		ASSERT_NE(NULL, self->stage);
		control->stage = MAY_FILL;
		wait_stage(FILLED);
		mm_stage_open(self->stage);
		ASSERT_EQ(0, mm_compact());
		met = control->met;
		control->stop = true;
		ASSERT_EQ(self->pid, waitpid(self->pid, &status, 0));
		self->pid = 0;
		EXPECT_EQ(0, status);
		EXPECT_EQ(0, control->wrong);
		mm_stage_end(self->stage);
		self->stage = NULL;
	}
	EXPECT_LT(0, met);
	mm_settle();
	EXPECT_OBJECTS(base, 0, 0, 0);
	mm_report("migration_entries_met", met);
}

TEST_HARNESS_MAIN
