// SPDX-License-Identifier: GPL-2.0
/* The runner's parsers on lines that real kernels printed, and on broken ones. Built with AddressSanitizer by check.sh. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../scripts/runner/runner.h"

static int failures, cases;

static void check(bool ok, const char *what, const char *line)
{
	cases++;
	if (ok)
		return;
	failures++;
	printf("unit: %s: '%s'\n", what, line);
}

struct ktap_case {
	const char *line;
	enum ktap_kind kind;
	long nr;
	const char *name;
	bool skip;
	const char *reason;
};

static const struct ktap_case ktap_cases[] = {
	{ "KTAP version 1", KTAP_VERSION, 0, "", false, "" },
	{ "1..20", KTAP_PLAN, 20, "", false, "" },
	{ "1..", KTAP_OTHER, 0, "", false, "" },
	{ "1..2x", KTAP_OTHER, 2, "", false, "" },
	{ "ok 1 a.b.c", KTAP_OK, 1, "a.b.c", false, "" },
	{ "ok 12 - a.b.c", KTAP_OK, 12, "a.b.c", false, "" },
	{ "ok 3 a.b.c # SKIP needs NUMA", KTAP_OK, 3, "a.b.c", true, "needs NUMA" },
	{ "ok 3 a.b.c # skip", KTAP_OK, 3, "a.b.c", true, "" },
	{ "not ok 4 a.b.c # (timeout 30s)", KTAP_NOT_OK, 4, "a.b.c", false, "timeout 30s" },
	{ "not ok 4 a.b.c # (panic: mm/rmap.c:12 (x))", KTAP_NOT_OK, 4, "a.b.c", false, "panic: mm/rmap.c:12 (x)" },
	{ "not ok 4 a.b.c # (unclosed", KTAP_NOT_OK, 4, "a.b.c", false, "unclosed" },
	{ "not ok a.b.c", KTAP_OTHER, 0, "", false, "" },
	{ "ok", KTAP_OTHER, 0, "", false, "" },
	{ "ok 1", KTAP_OTHER, 1, "", false, "" },
	{ "ok 1 ", KTAP_OTHER, 1, "", false, "" },
	{ "ok 1  # SKIP x", KTAP_OTHER, 1, "", false, "" },
	{ "okay 1 x", KTAP_OTHER, 0, "", false, "" },
	{ "# begin a.b.c", KTAP_BEGIN, 0, "a.b.c", false, "" },
	{ "# done 20", KTAP_DONE, 20, "", false, "" },
	{ "# done well", KTAP_DIAG, 0, "", false, "" },
	{ "#", KTAP_DIAG, 0, "", false, "" },
	{ "", KTAP_OTHER, 0, "", false, "" },
	{ "all is well", KTAP_OTHER, 0, "", false, "" },
};

static void test_ktap(void)
{
	char *huge = malloc(100001);

	for (size_t i = 0; i < sizeof(ktap_cases) / sizeof(ktap_cases[0]); i++) {
		const struct ktap_case *c = &ktap_cases[i];
		struct ktap_line k;

		ktap_parse(c->line, &k);
		check(k.kind == c->kind, "kind", c->line);
		if (k.kind == KTAP_OTHER || k.kind == KTAP_DIAG)
			continue;
		check(k.nr == c->nr, "number", c->line);
		check(!strcmp(k.name, c->name), "name", c->line);
		check(k.skip == c->skip, "skip", c->line);
		check(!strcmp(k.reason, c->reason), "reason", c->line);
	}
	/* A name and a reason longer than their fields are cut, not overrun. */
	memset(huge, 'x', 100000);
	huge[100000] = '\0';
	for (size_t cut = 0; cut < 3; cut++) {
		static const char *const heads[] = { "ok 1 ", "# begin ", "not ok 1 a # (" };
		struct ktap_line k;

		memcpy(huge, heads[cut], strlen(heads[cut]));
		ktap_parse(huge, &k);
		check(strlen(k.name) < sizeof(k.name) && strlen(k.reason) < sizeof(k.reason), "length", heads[cut]);
		memset(huge, 'x', 32);
	}
	free(huge);
}

static void test_files(void)
{
	char *text = read_whole("/nonexistent/file", NULL), hole[8192] = "head";
	size_t len;
	FILE *f;

	check(!text, "read_whole of what does not exist", "/nonexistent/file");
	check(write_whole("/nonexistent/dir/file", "x", 1) < 0, "write_whole into nowhere", "/nonexistent/dir/file");
	f = fopen("unit.sparse", "w");
	if (!f || fwrite(hole, 1, sizeof(hole), f) != sizeof(hole) || fclose(f) || truncate("unit.sparse", 1 << 20))
		check(false, "cannot make", "unit.sparse");
	check(!copy_sparse("unit.sparse", "unit.copy"), "copy_sparse", "unit.sparse");
	text = read_whole("unit.copy", &len);
	check(text && len == 1 << 20 && !memcmp(text, hole, sizeof(hole)), "bytes of the sparse copy", "unit.copy");
	free(text);
	unlink("unit.sparse");
	unlink("unit.copy");
}

/* The kernel is there; notes in @arg that it was looked at. */
static bool looks(void *arg)
{
	*(bool *)arg = true;
	return true;
}

/* Tests end in the log before the runner gets to them, and reports stay with theirs. */
static void test_memcheck(void)
{
	static const char xml[] =
		"<?xml version=\"1.0\"?>\n<valgrindoutput>\n"
		"<clientmsg><text>mmuml: begin area.file.one</text></clientmsg>\n"
		"<error><kind>UninitValue</kind><what>Use of uninitialised value of size 8</what>\n"
		"<stack><frame><ip>0x10</ip><fn>somewhere</fn></frame></stack></error>\n"
		"<clientmsg><text>mmuml: end area.file.one</text></clientmsg>\n"
		"<clientmsg><text>mmuml: begin area.file.on</text></clientmsg>\n"
		"<clientmsg><text>mmuml: end area.file.on</text></clientmsg>\n"
		"<clientmsg><text>mmuml: begin area.file.two</text></clientmsg>\n";
	struct vg *v = valgrind_open(".", 1);
	struct buf text = { 0 };
	bool looked = false;
	char *first;
	FILE *f = fopen("memcheck.1.xml", "w");

	check(f && fputs(xml, f) >= 0 && !fclose(f), "cannot write", "memcheck.1.xml");
	valgrind_wait(v, "area.file.one", looks, &looked);
	valgrind_wait(v, "area.file.on", looks, &looked);
	check(!looked, "waited for a test that has ended", "area.file.one");
	valgrind_wait(v, "area.file.two", looks, &looked);
	check(looked, "did not wait for a test that runs", "area.file.two");
	check(!valgrind_take(v, "area.file.on", &text, &first) && !first, "a report of another test", text.s);
	check(valgrind_take(v, "area.file.one", &text, &first) == 1 && strstr(text.s, "memcheck: UninitValue: Use of") &&
	      strstr(text.s, "somewhere (0x10)"), "report", text.s);
	check(first && !strcmp(first, "UninitValue"), "kind and place", first);
	free(first);
	valgrind_close(v);
	buf_free(&text);
	unlink("memcheck.1.xml");
}

int main(void)
{
	test_ktap();
	test_files();
	test_memcheck();
	printf("unit: %d checks, %d failed\n", cases, failures);
	return failures ? 1 : 0;
}
