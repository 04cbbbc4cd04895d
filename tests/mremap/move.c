// SPDX-License-Identifier: GPL-2.0
/* mremap() to another place: every byte arrives, the old place is gone, the frames are the same. */
#include "kselftest_harness.h"
#include "mm.h"

/* a page-aligned anonymous region keeps its bytes and its page frames */
TEST(page_aligned)
{
	size_t len = 16 * PAGE;
	char *old = mm_map_at_offset(len, PMD_SIZE, PAGE);
	char *new = mm_reserve(len, PAGE);
	uint64_t before[16], after[16];

	ASSERT_NE(NULL, old);
	ASSERT_NE(NULL, new);
	mm_fill(old, len, 1);
	ASSERT_EQ(0, mm_pfns(0, old, before, 16));
	ASSERT_EQ(new, mremap(old, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, new));
	ASSERT_EQ(0, mm_pfns(0, new, after, 16));
	EXPECT_EQ(-1, mm_check(new, len, 1));
	for (int i = 0; i < 16; i++)
		EXPECT_EQ(before[i], after[i]);
	EXPECT_EQ(SIGSEGV, mm_probe_read(old));
}

TEST_HARNESS_MAIN
