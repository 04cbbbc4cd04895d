// SPDX-License-Identifier: GPL-2.0
/* Guests that die or complain: what the runner has to recognise. Run by name only, from tests/kit. */
#include <fcntl.h>

#include "kselftest_harness.h"
#include "mm.h"

#define LKDTM "/sys/kernel/debug/provoke-crash/DIRECT"

/* the kernel panics */
TEST(panic)
{
	ASSERT_EQ(0, mm_write_file("/proc/sysrq-trigger", "c"));
}

/* the kernel follows a NULL pointer */
TEST(oops)
{
	ASSERT_EQ(0, mm_write_file(LKDTM, "EXCEPTION"));
}

/* the kernel runs into BUG() */
TEST(bug)
{
	ASSERT_EQ(0, mm_write_file(LKDTM, "BUG"));
}

/* the kernel warns, and the test itself passes */
TEST(warn)
{
	ASSERT_EQ(0, mm_write_file(LKDTM, "WARNING"));
}

/* the kernel reads a freed object: only KASAN notices */
TEST(use_after_free)
{
	mm_write_file(LKDTM, "READ_AFTER_FREE");
}

/* the kernel stops with interrupts off and answers nobody */
TEST(hard_lockup)
{
	mm_write_file(LKDTM, "HARDLOCKUP");
}

/* a task sleeps in the kernel and cannot be killed */
TEST(unkillable)
{
	mm_write_file(LKDTM, "HUNG_TASK");
}

TEST_HARNESS_MAIN
