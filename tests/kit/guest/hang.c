// SPDX-License-Identifier: GPL-2.0
/* Tests that never end, and tests that leave something behind. Run by name only, from tests/kit. */
#include <signal.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mm.h"

/* a test that waits for ever */
TEST(forever)
{
	for (;;)
		pause();
}

/* a test that loops for ever */
TEST(loop)
{
	for (;;)
		__asm__ volatile("");
}

/* a test that ends but leaves a process running */
TEST(stray)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		setsid();
		for (;;)
			pause();
	}
}

/* a test that locks all the memory there is, so that swap does not help */
TEST(memory)
{
	size_t len = 2048 * MB;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, mlock2(p, len, MLOCK_ONFAULT));
	for (size_t i = 0; i < len; i += PAGE)
		p[i] = i;
	EXPECT_EQ(0, len) TH_LOG("2 GB fitted into the guest");
}

TEST_HARNESS_MAIN
