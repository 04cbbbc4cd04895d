// SPDX-License-Identifier: GPL-2.0
/* The reader of kbuild's .cmd files, on what kbuild writes. Built with AddressSanitizer by check.sh. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../scripts/lib/kit.h"

#define FILE_NAME	"unit-kbuild.cmd"

static int failures, cases;

static void same(const char *got, const char *want, const char *what)
{
	cases++;
	if (got == want || (got && want && !strcmp(got, want)))
		return;
	failures++;
	printf("unit-kbuild: %s: '%s' instead of '%s'\n", what, got ? got : "(null)", want ? want : "(null)");
}

static struct kbuild_cmd *read_text(const char *text)
{
	struct kbuild_cmd *k;

	if (write_whole(FILE_NAME, text, strlen(text)))
		abort();
	k = kbuild_read(FILE_NAME);
	unlink(FILE_NAME);
	return k;
}

/* The words, each in brackets, the wrapper's before a bar. */
static char *shown(char **words)
{
	struct buf b = { 0 };
	int wrapper = words ? kbuild_wrapper(words) : 0;

	if (!words)
		return NULL;
	for (int i = 0; words[i]; i++)
		buf_printf(&b, "%s[%s]", wrapper && i == wrapper ? "|" : "", words[i]);
	return b.s;
}

static const char *const commands[][2] = {
	{ "gcc -O2 -c -o x.o x.c", "[gcc][-O2][-c][-o][x.o][x.c]" },
	{ "/a/b/scripts/cc.sh gcc -O2 x.c", "[/a/b/scripts/cc.sh]|[gcc][-O2][x.c]" },
	{ "ccache gcc-12 -m64 x.c", "[ccache]|[gcc-12][-m64][x.c]" },
	{ "A=1 nice ccache gcc -m64 x.c", "[A=1][nice][ccache]|[gcc][-m64][x.c]" },
	{ "gcc  -DB='\"mm/x\"'  -DP='a b' ", "[gcc][-DB=\"mm/x\"][-DP=a b]" },
	{ "gcc -DH='$(pound)$$x' -DI='\\#'", "[gcc][-DH=#$x][-DI=#]" },
	{ "rm -f x; ar cD x", NULL },
	{ "gcc $$(cat flags) x.c", NULL },
	{ "gcc -c x.c > y", NULL },
};

static void test_commands(void)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		char *text = xasprintf("savedcmd_mm/x.o := %s\n\nsource_mm/x.o := ../mm/x.c\n", commands[i][0]);
		struct kbuild_cmd *k = read_text(text);
		char **words = kbuild_words(k), *line = shown(words);

		same(line, commands[i][1], commands[i][0]);
		same(k->target, "mm/x.o", "target");
		same(k->source, "../mm/x.c", "source");
		kbuild_free_words(words);
		kbuild_free(k);
		free(line);
		free(text);
	}
}

static void test_inputs(void)
{
	struct kbuild_cmd *k = read_text("cmd_mm/x.o := gcc -c x.c\n\nsource_mm/x.o := ../mm/x.c\n\ndeps_mm/x.o := \\\n"
		"    $(wildcard include/config/SMP) \\\n  ../include/linux/a.h \\\n  ../mm/damon/../b.h \\\n  include/generated/c.h \\\n"
		"\nmm/x.o: $(deps_mm/x.o)\n\n$(deps_mm/x.o):\n");
	static const char *const want[] = { "../mm/x.c", "../include/linux/a.h", "../mm/damon/../b.h", "include/generated/c.h" };

	same(k->command, "gcc -c x.c", "the command of an older kernel");
	for (int i = 0; i < 4; i++)
		same(i < k->n_inputs ? k->inputs[i] : NULL, want[i], "input");
	same(k->n_inputs == 4 ? "4" : "more", "4", "inputs");
	kbuild_free(k);
	k = read_text("");
	same(k->command, NULL, "no command");
	same(kbuild_words(k) ? "words" : NULL, NULL, "no words");
	kbuild_free(k);
	same(kbuild_read("/no/such.cmd") ? "read" : NULL, NULL, "no file");
}

static const char *const paths[][2] = {
	{ "../mm/rmap.c", "mm/rmap.c" }, { "../mm/damon/../vma.h", "mm/vma.h" }, { "../a/b/../../c/d.h", "c/d.h" },
	{ "include/generated/x.h", NULL }, { "../../x.h", NULL }, { "/usr/include/x.h", NULL }, { "../../a/../b.h", NULL },
};

static void test_paths(void)
{
	char *at;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		at = kbuild_source_path(paths[i][0]);
		same(at, paths[i][1], paths[i][0]);
		free(at);
	}
	at = kbuild_cmd_path("mm/rmap.o");
	same(at, "mm/.rmap.o.cmd", "beside the object");
	free(at);
	at = kbuild_cmd_path("vmlinux");
	same(at, ".vmlinux.cmd", "at the top");
	free(at);
}

int main(void)
{
	test_commands();
	test_inputs();
	test_paths();
	printf("unit-kbuild: %d cases, %d failed\n", cases, failures);
	return failures != 0;
}
