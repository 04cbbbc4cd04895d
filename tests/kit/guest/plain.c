// SPDX-License-Identifier: GPL-2.0
/* The ordinary ways for a test to end, and twenty tests of which the seventh panics. Run by name only. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mm.h"

/* a test that passes */
TEST(pass)
{
	EXPECT_EQ(1, 1);
}

/* a test that fails, with both values in its log */
TEST(fail)
{
	EXPECT_EQ(40 + 2, 43);
}

/* a test that skips, with its reason */
TEST(skip)
{
	SKIP(return, "needs NUMA");
}

/* a test that dies of a signal */
TEST(killed)
{
	kill(getppid(), SIGKILL);
	kill(getpid(), SIGKILL);
}

/* a test that passes or fails by the seed */
TEST(seed)
{
	const char *seed = getenv("MMUML_SEED");

	ASSERT_NE(NULL, seed);
	EXPECT_EQ(0, strcmp(seed, "7"));
}

FIXTURE(order) {
};

FIXTURE_VARIANT(order) {
	int n;
};

#define V(number) FIXTURE_VARIANT_ADD(order, n##number) { .n = 1##number - 100 }
V(01); V(02); V(03); V(04); V(05); V(06); V(07); V(08); V(09); V(10);
V(11); V(12); V(13); V(14); V(15); V(16); V(17); V(18); V(19); V(20);

FIXTURE_SETUP(order)
{
}

FIXTURE_TEARDOWN(order)
{
}

/* the seventh of twenty panics, all others pass */
TEST_F(order, of_twenty)
{
	if (variant->n == 7)
		mm_write_file("/proc/sysrq-trigger", "c");
}

TEST_HARNESS_MAIN
