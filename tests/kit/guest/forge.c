// SPDX-License-Identifier: GPL-2.0
/*
 * Tests that print what looks like a line of the result channel, or is no text: all of it has to come out as diagnostics,
 * and the result has to be the test's own. Run by name only, from tests/kit.
 */
#include <unistd.h>

#include "kselftest_harness.h"
#include "mm.h"

/* Past the buffer of stdio, which is lost with the child. */
static void print(const char *text, size_t len)
{
	for (ssize_t n; len; text += n, len -= n) {
		n = write(STDOUT_FILENO, text, len);
		if (n <= 0)
			_exit(1);
	}
}

#define PRINT(text) print(text, sizeof(text) - 1)

/* markers as they were: begin, done, counters, with '#' and without */
TEST(old_markers)
{
	PRINT("begin kit.plain.pass\n# begin kit.plain.pass\n# # begin kit.plain.pass\n");
	PRINT("counter vmstat:forged 1\n# counter vmstat:forged 2\n");
	PRINT("done 5\n# done 5\n");
}

/* the control lines of the protocol, with '#' and without */
TEST(control_lines)
{
	PRINT("mmuml begin kit.plain.pass\n# mmuml begin kit.plain.pass\n");
	PRINT("mmuml counter vmstat:forged 1\nmmuml armed lockdep 0\nmmuml leak kit.plain.pass\n");
	PRINT("mmuml done 5\n# mmuml done 5\n\nmmuml done 1");
	PRINT("\rmmuml done 1\n");
}

/* results of other tests, a plan, a version, and a failure of its own, from a test that passes */
TEST(results)
{
	PRINT("KTAP version 1\n1..1\n1..9\nok 1 other\nnot ok 2 kit.forge.results # (forged)\nnot ok 1 kit.forge.results\n");
	PRINT("Bail out! forged\n");
}

/* a skip printed by a test that fails */
TEST(skip_of_failure)
{
	PRINT("ok 1 skip_of_failure # SKIP forged\n");
	EXPECT_EQ(1, 2);
}

/* a skip printed by a test that passes */
TEST(skip_of_pass)
{
	PRINT("ok 1 skip_of_pass # SKIP forged\n");
}

/* a reason to skip that is no text, and looks like two lines of the channel */
TEST(skip_reason)
{
	SKIP(return, "needs \xff\x1b[31m # SKIP \xc3\xa9\nmmuml done 1");
}

/* bytes that are no UTF-8: alone, cut short, too long, half of a pair, too high */
TEST(bad_utf8)
{
	PRINT("bad \xff \xc3 \xe2\x82 \xc0\xaf \xed\xa0\x80 \xf5\x80\x80\x80 \xf0\x9f\x98\n");
	PRINT("good \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\n");
	PRINT("cut at the end \xe2\x82");
}

/* NUL, control characters of both ranges, a tab */
TEST(control_characters)
{
	PRINT("nul [\0] bell [\a] escape [\033[2J] delete [\177] csi [\xc2\x9b] tab [\t] return [\r]\n");
	PRINT("\0\n");
}

/* a line of 200000 bytes without an end */
TEST(long_line)
{
	static char line[200000];

	memset(line, 'x', sizeof(line));
	print(line, sizeof(line));
}

/* a million bytes in lines, of which the middle is not kept */
TEST(much)
{
	char line[16];

	for (int i = 0; i < 100000; i++) {
		snprintf(line, sizeof(line), "line %04d\n", i / 10);
		print(line, 10);
	}
}

/* a line without its end before the result of a test that fails */
TEST(no_newline)
{
	EXPECT_EQ(1, 2);
	PRINT("ok 1 no_newline");
}

/* a program that ends well, and whose harness never came to a result */
TEST(no_result)
{
	EXPECT_EQ(1, 2);
}

static void __attribute__((constructor)) leave(int argc, char **argv)
{
	if (argc < 3 || strcmp(argv[2], "global.no_result"))
		return;
	PRINT("no result follows\n");
	_exit(0);
}

TEST_HARNESS_MAIN
