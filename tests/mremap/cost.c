// SPDX-License-Identifier: GPL-2.0
/*
 * What a move costs in locks and flushes, by the number of page tables (PMDs) that move, with one page in each.
 * UML has one page table lock for each mm. Where another machine flushes its TLB, UML notes a range, under sync_tlb_lock:
 * that class stands for flushes.
 */
#include "kselftest_harness.h"
#include "mremap.h"

#define SEED		1
#define LATER		2
#define SOME		3	/* the page of each table that is there, see spot() */

static const char *const cost_names[] = {
	"lock:&anon_vma->rwsem", "lock:&mapping->i_mmap_rwsem", "lock:&mm->page_table_lock",
	"lock:&mm->context.sync_tlb_lock", NULL
};

enum kind { ANON, SHMEM, EXT4 };

FIXTURE(tables) {
	char *old, *new;
	size_t len;
	int fd;
};

FIXTURE_VARIANT(tables) {
	enum kind kind;
	unsigned int pmds;
	size_t old, new;	/* offsets past a multiple of PUD_SIZE */
	unsigned int every;	/* only each so-many-th table has a page; 0: all */
};

/* Not from the start of a PMD table, so that no PMD table moves whole; source and target are placed alike. */
#define ALIKE	.old = PMD_SIZE, .new = PMD_SIZE
#define ADD(name, ...) FIXTURE_VARIANT_ADD(tables, name) { __VA_ARGS__ }

ADD(anon_1,	.kind = ANON, .pmds = 1, ALIKE);
ADD(anon_16,	.kind = ANON, .pmds = 16, ALIKE);
ADD(anon_64,	.kind = ANON, .pmds = 64, ALIKE);
ADD(anon_128,	.kind = ANON, .pmds = 128, ALIKE);
ADD(anon_256,	.kind = ANON, .pmds = 256, ALIKE);
ADD(anon_511,	.kind = ANON, .pmds = 511, ALIKE);
ADD(shmem_1,	.kind = SHMEM, .pmds = 1, ALIKE);
ADD(shmem_128,	.kind = SHMEM, .pmds = 128, ALIKE);
ADD(shmem_511,	.kind = SHMEM, .pmds = 511, ALIKE);
ADD(ext4_128,	.kind = EXT4, .pmds = 128, ALIKE);
/* source and target lie differently in their PMD tables: a run ends where either does */
ADD(shifted_511, .kind = ANON, .pmds = 511, .old = PMD_SIZE, .new = 300 * PMD_SIZE);
ADD(shifted_1100, .kind = ANON, .pmds = 1100, .old = PMD_SIZE, .new = 300 * PMD_SIZE);
/* every second, every third table is not there */
ADD(holes_255,	.kind = ANON, .pmds = 255 * 2, ALIKE, .every = 2);
ADD(holes_170,	.kind = SHMEM, .pmds = 170 * 3, ALIKE, .every = 3);
/* control: no common alignment, page by page whatever the kernel can do */
ADD(control_128, .kind = ANON, .pmds = 128, .old = PMD_SIZE, .new = PMD_SIZE + PAGE);
ADD(control_511, .kind = ANON, .pmds = 511, .old = PMD_SIZE, .new = PMD_SIZE + PAGE);

static void *map_kind(enum kind kind, int fd, void *p, size_t len)
{
	if (kind == ANON)
		return map_at(p, len);
	return mmap(p, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
}

/* The pages that are there are not all in the same place of their tables. */
static size_t spot(size_t pmd)
{
	return pmd * PMD_SIZE + pmd * SOME % (PMD_SIZE / PAGE) * PAGE;
}

static unsigned int every(const FIXTURE_VARIANT(tables) *v)
{
	return v->every ?: 1;
}

FIXTURE_SETUP(tables)
{
	size_t room = (variant->pmds * PMD_SIZE / PUD_SIZE + 3) * PUD_SIZE;
	char *base = free_range(2 * room, PUD_SIZE);

	ASSERT_NE(NULL, base);
	self->len = variant->pmds * PMD_SIZE;
	self->old = base + variant->old;
	self->new = base + room + variant->new;
	self->fd = variant->kind == SHMEM ? mm_memfd(self->len) :
		   variant->kind == EXT4 ? mm_tmpfile("/mnt", self->len) : -1;
	ASSERT_EQ(variant->kind == ANON, self->fd < 0);
	ASSERT_EQ(self->old, map_kind(variant->kind, self->fd, self->old, self->len));
	for (size_t i = 0; i < variant->pmds; i += every(variant))
		mm_fill_from(self->old + spot(i), PAGE, SEED, spot(i));
}

FIXTURE_TEARDOWN(tables)
{
	munmap(self->new, self->len);
	if (self->fd >= 0)
		close(self->fd);
}

/* the pages of all tables arrive, are gone at the old place and can be written: what the move cost */
TEST_F(tables, move)
{
	static uint64_t was[2048];
	struct mm_cost *cost;
	long lost = 0, other = 0, left = 0, unwritten = 0;
	char *at;

	for (size_t i = 0; i < variant->pmds; i += every(variant))
		was[i] = mm_pfn(0, self->old + spot(i));
	cost = mm_cost_begin(cost_names);
	ASSERT_NE(NULL, cost);
	at = move(self->old, self->len, self->new);
	mm_cost_end(cost);
	ASSERT_EQ(self->new, at);
	for (size_t i = 0; i < variant->pmds; i += every(variant)) {
		lost += mm_check_from(at + spot(i), PAGE, SEED, spot(i)) != -1;
		other += mm_pfn(0, at + spot(i)) != was[i];
		left += reachable(self->old + spot(i), PAGE);
		mm_fill_from(at + spot(i), PAGE, LATER, spot(i));
		unwritten += kernel_check_from(at + spot(i), PAGE, LATER, spot(i)) != -1;
	}
	EXPECT_EQ(0, lost);
	EXPECT_EQ(0, other);
	EXPECT_EQ(0, left);
	EXPECT_EQ(0, unwritten);
	mm_report("tables", (variant->pmds + every(variant) - 1) / every(variant));
}

TEST_HARNESS_MAIN
