// SPDX-License-Identifier: GPL-2.0
/* Guests whose word cannot be taken. Run by name only, from tests/kit. */
#include <fcntl.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mm.h"
#include "protocol.h"

static void say(const char *text)
{
	int fd = open("/dev/ttyS0", O_WRONLY | O_NOCTTY);

	if (fd >= 0 && write(fd, text, strlen(text)) > 0)
		close(fd);
}

/* the guest powers off in the middle, with exit status 0 */
TEST(early_exit)
{
	reboot(RB_POWER_OFF);
}

/* a result for a test that was not asked for */
TEST(foreign_result)
{
	say("ok 1 mremap.move.arrives-page\n");
}

/* a good result for itself, twice */
TEST(double_result)
{
	say("ok 1 kit.lie.double_result\n");
}

/* text that is no KTAP on the result channel */
TEST(garbage)
{
	say("all is well\n");
}

/* a result line that breaks off, then power off */
TEST(truncated)
{
	say("ok 1 kit.lie.trunc");
	reboot(RB_POWER_OFF);
}

/* the end of the run announced before its time */
TEST(early_done)
{
	say(SAY_DONE "1\n");
}

TEST_HARNESS_MAIN
