// SPDX-License-Identifier: GPL-2.0
/* The compare program's parsers and arithmetic on good and broken input. Built with AddressSanitizer by check.sh. */
#include <stdlib.h>
#include <string.h>

#include "../../scripts/compare/compare.h"

#define UNIT "unit"
#include "unit.h"

/* A line, and what stands in the error about it; NULL: it is right. */
static const struct { const char *line, *error; } lines[] = {
	{ "lock:&anon_vma->rwsem rmap.cost.depth-5 changed <= base / 4", NULL },
	{ "a t.t.t base == 1", NULL },
	{ "a t.t.t base == -1.5 * base:u.u.u + b:c@changed - changed", NULL },
	{ "a\tt.t.t\tbase  !=   2", NULL },
	{ "# anything \" at all", NULL },
	{ "", NULL },
	{ "   ", NULL },
	{ "profile count", NULL },
	{ "tests a.*,b.c.d", NULL },
	{ "broken a.b.c", NULL },
	{ "plot p \"A title\" \"x label\" lock:a rmap.cost.*", NULL },
	{ "a t.t.t base ==", "not COUNTER TEST" },
	{ "a t.t.t both == 1", "'both' is neither base nor changed" },
	{ "a t.t.t base = 1", "'=' is none of" },
	{ "a t.t.t base == 1 /", "'/' ends where a term should follow" },
	{ "a t.t.t base == 1 ^ 2", "'^' is none of * / + -" },
	{ "a t.t.t base == one", "'one' is no number" },
	{ "a t.t.t base == 1x", "'1x' is no number" },
	{ "a t.t.t base == nan", "'nan' is no number" },
	{ "a t.t.t base == base:", "'base:' is no number" },
	{ "a t.t.t base == @base", "'@base' is no number" },
	{ "a t.t.t base == c@side", "'c@side' is no number" },
	{ "a t.t.t base == 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1", "more than 8 terms" },
	{ "a t.t.t base == 1 # no comment here", "'#' is none of * / + -" },
	{ "profile", "'profile' takes one word" },
	{ "profile a b", "'profile' takes one word" },
	{ "profile a\nprofile b", "a second 'profile' line" },
	{ "broken", "'broken' takes one word" },
	{ "plot p \"A title\" x lock:a", "not plot NAME" },
	{ "plot p \"A title x lock:a g", "a quote that is not closed" },
	{ "plot ../p t x c g", "with a slash" },
	{ "show lock:a rmap.cost.depth-1", NULL },
	{ "show lock:a", "not show COUNTER TEST" },
	{ "nonsense", "not COUNTER TEST" },
};

static void test_lines(void)
{
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct expect e;
		char *err = expect_parse(&e, "x/expect", lines[i].line);

		check(!err == !lines[i].error, lines[i].line, err);
		if (err && lines[i].error) {
			check(strstr(err, lines[i].error) != NULL, lines[i].line, err);
			check(!strncmp(err, "x/expect:", 9), "file and line", err);
		}
		free(err);
		expect_free(&e);
	}
}

static void test_line_number(void)
{
	struct expect e;
	char *err = expect_parse(&e, "f", "# one\nprofile fast\n\nbad\n");

	check(err && !strncmp(err, "f:4: ", 5), "line number", err);
	free(err);
	expect_free(&e);
}

static const char *const base_json =
	"{\"a.b.c\": {\"status\": \"PASS\", \"counters\": {\"lock:x\": 40, \"vmstat:p\": 7, \"own\": 3}},"
	" \"a.b.d\": {\"status\": \"FAIL\", \"counters\": {\"lock:x\": 1}},"
	" \"a.b.e\": {\"status\": \"PASS\", \"counters\": {\"lock:y\": 5, \"lock:1234567890123456789012345678901234567\": 9}},"
	" \"a.b.f\": {\"status\": \"PASS\", \"counters\": {}}}";
static const char *const changed_json =
	"{\"a.b.c\": {\"status\": \"PASS\", \"counters\": {\"lock:x\": 10, \"vmstat:q\": 2}},"
	" \"a.b.d\": {\"status\": \"PASS\", \"counters\": {\"lock:x\": 1}},"
	" \"a.b.e\": {\"status\": \"CRASH\", \"counters\": {\"lock:y\": 5}},"
	" \"a.b.f\": {\"status\": \"PASS\", \"counters\": {}}}";

/* A relation, whether it holds, and why it does not, if that is no matter of numbers. */
static const struct { const char *line; bool holds; const char *why; } relations[] = {
	{ "lock:x a.b.c changed <= base / 4", true, NULL },
	{ "lock:x a.b.c changed < base / 4", false, NULL },
	{ "lock:x a.b.c base == 2 + 2 * 10", true, NULL },
	{ "lock:x a.b.c base - 1 == 1", false, "line" },
	{ "lock:x a.b.c base == vmstat:p@base * 5 + 5", true, NULL },
	{ "lock:y a.b.c changed == 0", true, NULL },
	{ "vmstat:q a.b.c base == 0", true, NULL },
	{ "lock:y a.b.e base == base:a.b.e", true, NULL },
	{ "lock:12345678901234567890123456789012345678901 a.b.e base == 9", true, NULL },
	{ "lock:z a.b.c changed == 0", false, "counter lock:z never appeared" },
	{ "insn:f a.b.c changed == 0", false, "counter insn:f never appeared" },
	{ "own a.b.c changed == 0", false, "counter own never appeared" },
	{ "lock:x a.b.f base == 0", false, "counter lock:x never appeared" },
	{ "lock:x a.b.d base == 1", false, "a.b.d is FAIL on the base side" },
	{ "lock:y a.b.e changed == 5", false, "a.b.e is CRASH on the changed side" },
	{ "lock:x a.b.x base == 1", false, "no test a.b.x ran" },
	{ "lock:x a.b.c base >= 1 / lock:y@base", false, "division by 0" },
	{ "broken a.b.e", true, NULL },
	{ "broken a.b.c", false, "PASS -> PASS" },
	{ "broken a.b.d", false, "FAIL -> PASS" },
	{ "broken a.b.z", false, "did not run" },
	{ "show lock:x a.b.c", true, NULL },
	{ "show lock:z a.b.c", false, "counter lock:z never appeared" },
	{ "show lock:x a.b.d", false, "a.b.d is FAIL on the base side" },
};

static void test_relations(void)
{
	struct side sides[2] = { { .word = "base", .n = 1 }, { .word = "changed", .n = 1 } };

	sides[BASE].tests[0] = json_loads(base_json, 0, NULL);
	sides[CHANGED].tests[0] = json_loads(changed_json, 0, NULL);
	check(sides[BASE].tests[0] && sides[CHANGED].tests[0], "test data", base_json);
	for (size_t i = 0; i < sizeof(relations) / sizeof(relations[0]); i++) {
		struct expect e;
		char *err = expect_parse(&e, "x", relations[i].line);
		const char *why;
		int failed;

		if (err) {
			check(relations[i].why && !strcmp(relations[i].why, "line"), relations[i].line, err);
			free(err);
			expect_free(&e);
			continue;
		}
		failed = expect_check(&e, sides);
		why = e.n_broken ? e.broken[0].why : e.n_shows ? e.shows[0].why : e.relations[0].why;
		check(failed == !relations[i].holds, relations[i].line, why);
		check(!relations[i].why || (why && strstr(why, relations[i].why)), relations[i].line, why);
		if (e.n_broken)
			check(expect_broken(&e, e.broken[0].test) == relations[i].holds, "expect_broken", relations[i].line);
		expect_free(&e);
	}
	json_decref(sides[BASE].tests[0]);
	json_decref(sides[CHANGED].tests[0]);
}

/* Each test's counter once, relations before shows. */
static void test_table(void)
{
	struct side sides[2] = { { .word = "base", .n = 1 }, { .word = "changed", .n = 1 } };
	struct expect e;
	char *table;

	sides[BASE].tests[0] = json_loads(base_json, 0, NULL);
	sides[CHANGED].tests[0] = json_loads(changed_json, 0, NULL);
	check(!expect_parse(&e, "x", "show vmstat:q a.b.c\nlock:x a.b.c base == 40\nlock:x a.b.c changed < base\nbroken a.b.e\n"),
	      "test data", "table");
	table = table_of(&e, sides);
	check(!strcmp(table, "| test | counter | base | changed | ratio |\n|---|---|---:|---:|---:|\n"
		      "| a.b.c | lock:x | 40 | 10 | 0.25 |\n| a.b.c | vmstat:q | 0 | 2 | - |\n"
		      "\n| test | base | changed |\n|---|---|---|\n| a.b.e | PASS | CRASH |\n"), "table", table);
	free(table);
	expect_free(&e);
	json_decref(sides[BASE].tests[0]);
	json_decref(sides[CHANGED].tests[0]);
}

static void test_stat(void)
{
	double odd[] = { 3, 1, 2 }, even[] = { 4, 1, 2, 3 };
	struct stat_of s = stat_of(odd, 3);

	check(s.min == 1 && s.median == 2 && s.max == 3 && s.n == 3, "stat_of", "odd");
	s = stat_of(even, 4);
	check(s.min == 1 && s.median == 2.5 && s.max == 4, "stat_of", "even");
	check(stat_of(even, 0).n == 0, "stat_of", "none");
}

static const struct { const char *line, *norm; } logs[] = {
	{ "[    0.210000] f+0x1a/0x2b at 0xdeadbeef", "f+#/# at #" },
	{ "[    0.210000][   T12] task 123 ran 4.56 s", "task # ran # s" },
	{ "no stamp ffffffff81234567 x86_64 ext4", "no stamp # x86_64 ext4" },
	{ "[not a stamp] 7", "[not a stamp] #" },
	{ "[", "[" },
	{ "", "" },
};

static void test_logs(void)
{
	struct side a = { .word = "base", .n = 1 }, b = { .word = "changed", .n = 1 };
	struct buf out = { 0 };
	char norm[64];
	int n;

	for (size_t i = 0; i < sizeof(logs) / sizeof(logs[0]); i++) {
		log_normalise(logs[i].line, norm, sizeof(norm));
		check(!strcmp(norm, logs[i].norm), logs[i].line, norm);
	}
	log_normalise("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", norm, 8);
	check(strlen(norm) < 8, "a long line", norm);
	buf_printf(&a.console[0], "==== boot 1\n[    0.1] one 1\n[    0.2] two\n");
	buf_printf(&b.console[0], "==== boot 2\n[    0.7] one 9\n[    0.8] WARNING: mm/x.c:3 at f+0x1/0x2, CPU#0: x/1\n"
		   "[    0.9] WARNING: mm/x.c:3 at f+0x1/0x2, CPU#0: x/1\n[    1.0] WARNING: two\n");
	log_new(&b, &a, &out, &n);
	check(n == 2 && !strcmp(out.s, "WARNING: mm/x.c:3 at f+0x1/0x2, CPU#0: x/1\nWARNING: two\n"), "log_new", out.s);
	check(log_reports(&a) == 0, "log_reports", "base");
	/* What only looks like one is none. */
	check(log_reports(&b) == 2, "log_reports", "changed");
	buf_free(&out);
	buf_free(&a.console[0]);
	buf_free(&b.console[0]);
}

int main(void)
{
	test_lines();
	test_line_number();
	test_relations();
	test_table();
	test_stat();
	test_logs();
	return unit_end();
}
