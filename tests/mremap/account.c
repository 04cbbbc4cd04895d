// SPDX-License-Identifier: GPL-2.0
/* What mremap() does to the charge for memory (Committed_AS) and to the sizes of the address space. */
#include "kselftest_harness.h"
#include "mm.h"

#define LEN	(16 * PAGE)

FIXTURE(account) {
	char *p, *q;
	long committed, vm_size, data;
};

FIXTURE_VARIANT(account) {
	size_t new_len;
	int flags;
	size_t old_stays;	/* bytes of the old range that are mapped afterwards */
	bool at_q;
};

FIXTURE_VARIANT_ADD(account, shrink) { .new_len = LEN / 2 };
FIXTURE_VARIANT_ADD(account, grow) { .new_len = LEN + 4 * PAGE };
FIXTURE_VARIANT_ADD(account, move) {
	.new_len = LEN, .flags = MREMAP_MAYMOVE | MREMAP_FIXED, .at_q = true,
};
FIXTURE_VARIANT_ADD(account, grow_and_move) {
	.new_len = 2 * LEN, .flags = MREMAP_MAYMOVE | MREMAP_FIXED, .at_q = true,
};
FIXTURE_VARIANT_ADD(account, shrink_and_move) {
	.new_len = LEN / 4, .flags = MREMAP_MAYMOVE | MREMAP_FIXED, .at_q = true,
};
FIXTURE_VARIANT_ADD(account, dontunmap) {
	.new_len = LEN, .flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, .at_q = true,
	.old_stays = LEN,
};

FIXTURE_SETUP(account)
{
	self->p = mm_map_aligned(2 * LEN, PAGE);
	self->q = mm_reserve(2 * LEN, PAGE);
	ASSERT_TRUE(self->p && self->q);
	ASSERT_EQ(0, munmap(self->q, 2 * LEN));
	ASSERT_EQ(0, munmap(self->p + LEN, LEN));
	mm_fill(self->p, LEN, 1);
	self->committed = mm_meminfo("Committed_AS");
	self->vm_size = mm_status(0, "VmSize");
	self->data = mm_status(0, "VmData");
}

FIXTURE_TEARDOWN(account)
{
}

/* Committed_AS, VmSize and VmData follow the mapped bytes, and unmapping gives all back */
TEST_F(account, charge)
{
	size_t kept = variant->new_len < LEN ? variant->new_len : LEN;
	long kb = (long)(variant->new_len + variant->old_stays - LEN) / (long)KB;
	char *at = mremap(self->p, LEN, variant->new_len, variant->flags, self->q);

	ASSERT_EQ(variant->at_q ? self->q : self->p, at);
	EXPECT_EQ(-1, mm_check(at, kept, 1));
	EXPECT_EQ(self->committed + kb, mm_meminfo("Committed_AS"));
	EXPECT_EQ(self->vm_size + kb, mm_status(0, "VmSize"));
	EXPECT_EQ(self->data + kb, mm_status(0, "VmData"));
	ASSERT_EQ(0, munmap(self->p, 2 * LEN));
	ASSERT_EQ(0, munmap(self->q, 2 * LEN));
	EXPECT_EQ(self->committed - (long)(LEN / KB), mm_meminfo("Committed_AS"));
	EXPECT_EQ(self->vm_size - (long)(LEN / KB), mm_status(0, "VmSize"));
}

/* a mapping that begins at 0 is charged for like any other when a part of it has moved away, and what is left is given back */
TEST(at_zero)
{
	char text[32], *p, *to = mm_reserve(LEN, PAGE);
	long min = mm_read_long("/proc/sys/vm/mmap_min_addr"), committed;

	ASSERT_NE(NULL, to);
	ASSERT_EQ(0, munmap(to, LEN));
	ASSERT_EQ(0, mm_write_file("/proc/sys/vm/mmap_min_addr", "0"));
	for (int where = 0; where < 3; where++) {
		committed = mm_meminfo("Committed_AS");
		p = mmap(NULL, 3 * LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		ASSERT_EQ(NULL, p);
		EXPECT_EQ(committed + (long)(3 * LEN / KB), mm_meminfo("Committed_AS"));
		ASSERT_EQ(to, mremap(p + where * LEN, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to));
		EXPECT_EQ(committed + (long)(3 * LEN / KB), mm_meminfo("Committed_AS"));
		for (int i = 0; i < 3; i++)
			EXPECT_EQ(i != where, mm_vmflag(0, p + i * LEN, "ac"));
		ASSERT_EQ(0, munmap(to, LEN));
		EXPECT_EQ(committed + (long)(2 * LEN / KB), mm_meminfo("Committed_AS"));
		ASSERT_EQ(0, munmap(p, 3 * LEN));
		EXPECT_EQ(committed, mm_meminfo("Committed_AS")) TH_LOG("part %d", where);
	}
	snprintf(text, sizeof(text), "%ld", min);
	mm_write_file("/proc/sys/vm/mmap_min_addr", text);
}

TEST_HARNESS_MAIN
