// SPDX-License-Identifier: GPL-2.0
/* Compaction of anonymous memory that nothing holds: it moves; the cost, by the shape of its anon_vmas. */
#include "kselftest_harness.h"

#include "cost.h"
#include "mm.h"

#define N	1024
#define LEN	(N * PAGE)

/* The pages lie in @vmas VMAs with an anon_vma each, and @children processes have inherited them. */
FIXTURE(unpinned)
{
	struct mm_stage *stage;
	struct mm_tree *tree;
	struct mm_cost *cost;
	char *p;
	uint64_t was[N], is[N];
};

FIXTURE_VARIANT(unpinned)
{
	unsigned int vmas, children;
};

FIXTURE_VARIANT_ADD(unpinned, one_vma) { 1, 0 };
FIXTURE_VARIANT_ADD(unpinned, vmas) { 64, 0 };
FIXTURE_VARIANT_ADD(unpinned, forked) { 1, 6 };

/* Gaps of one page keep the VMAs, and with them their anon_vmas, apart. */
static char *vma_at(char *p, unsigned int i, unsigned int vmas)
{
	return p + i * (LEN / vmas + PAGE);
}

FIXTURE_SETUP(unpinned)
{
	NEED(mm_need_compaction());
	self->p = mm_reserve(LEN + variant->vmas * PAGE, PAGE);
	ASSERT_NE(NULL, self->p);
	self->stage = mm_stage(LEN);
	ASSERT_NE(NULL, self->stage);
	for (unsigned int i = 0; i < variant->vmas; i++) {
		char *p = vma_at(self->p, i, variant->vmas);

		ASSERT_EQ(p, mmap(p, LEN / variant->vmas, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE, -1, 0));
		mm_fill(p, LEN / variant->vmas, i);
	}
	if (variant->children) {
		self->tree = mm_tree_fork(1, variant->children, NULL, NULL);
		ASSERT_NE(NULL, self->tree);
	}
}

FIXTURE_TEARDOWN(unpinned)
{
	if (self->tree)
		mm_tree_end(self->tree);
	mm_stage_end(self->stage);
	munmap(self->p, LEN + variant->vmas * PAGE);
}

static int all_pfns(char *p, unsigned int vmas, uint64_t *pfns)
{
	int err = 0;

	for (unsigned int i = 0; i < vmas && !err; i++)
		err = mm_pfns(0, vma_at(p, i, vmas), pfns + i * (N / vmas), N / vmas);
	return err;
}

/* What the first and the last page that stayed are. */
static void tell_stayed(struct __test_metadata *_metadata, const uint64_t *was, const uint64_t *is)
{
	int stayed[2] = { -1, -1 };

	for (int i = 0; i < N; i++)
		if (was[i] == is[i])
			stayed[stayed[0] >= 0] = i;
	for (int i = 0; i < 2 && stayed[i] >= 0; i++)
		TH_LOG("page %d stayed: frame %#lx, flags %#lx, mapped %ld times", stayed[i], is[stayed[i]],
		       mm_kpageflags(is[stayed[i]]), mm_kpagecount(is[stayed[i]]));
}

/* every page moves once, keeps its bytes, and is mapped by as many processes as before */
TEST_F(unpinned, moved)
{
	long mapped = 0;

	ASSERT_EQ(0, all_pfns(self->p, variant->vmas, self->was));
	mm_stage_open(self->stage);
	self->cost = mm_cost_begin(compact_cost);
	ASSERT_NE(NULL, self->cost);
	ASSERT_EQ(0, mm_compact());
	mm_cost_end(self->cost);
	ASSERT_EQ(0, all_pfns(self->p, variant->vmas, self->is));
	EXPECT_EQ(N, mm_moved(self->was, self->is, N)) {
		tell_stayed(_metadata, self->was, self->is);
	}
	for (int i = 0; i < N; i++)
		mapped += mm_kpagecount(self->is[i]);
	EXPECT_EQ(N * (1 + variant->children), mapped);
	for (unsigned int i = 0; i < variant->vmas; i++)
		EXPECT_EQ(-1, mm_check(vma_at(self->p, i, variant->vmas), LEN / variant->vmas, i));
	mm_report("moved", mm_moved(self->was, self->is, N));
}

TEST_HARNESS_MAIN
