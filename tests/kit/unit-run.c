// SPDX-License-Identifier: GPL-2.0
/* What the run's core reads and writes: lines of the result channel, records, memcheck's XML, text and files of the library, on lines that
 * real kernels printed, and on broken ones. Built with AddressSanitizer. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../scripts/runner/ktap.h"
#include "../../scripts/runner/memcheck.h"
#include "../../scripts/runner/record.h"

#define UNIT "unit-run"
#include "unit.h"

/* ---- ktap.c ---- */

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
	{ "not ok 4 a.b.c # ()", KTAP_NOT_OK, 4, "a.b.c", false, "" },
	{ "not ok a.b.c", KTAP_OTHER, 0, "", false, "" },
	{ "ok", KTAP_OTHER, 0, "", false, "" },
	{ "ok 1", KTAP_OTHER, 1, "", false, "" },
	{ "ok 1 ", KTAP_OTHER, 1, "", false, "" },
	{ "ok 1  # SKIP x", KTAP_OTHER, 1, "", false, "" },
	{ "okay 1 x", KTAP_OTHER, 0, "", false, "" },
	{ "mmuml begin a.b.c", KTAP_BEGIN, 0, "a.b.c", false, "" },
	{ "mmuml begin ", KTAP_OTHER, 0, "", false, "" },
	{ "mmuml begin a.b.c d", KTAP_OTHER, 0, "", false, "" },
	{ "mmuml done 20", KTAP_DONE, 20, "", false, "" },
	{ "mmuml done well", KTAP_OTHER, 0, "", false, "" },
	{ "mmuml done -1", KTAP_OTHER, 0, "", false, "" },
	{ "mmuml done 2x", KTAP_OTHER, 0, "", false, "" },
	{ "mmuml done", KTAP_OTHER, 0, "", false, "" },
	{ "mmuml counter vmstat:pgfault -3", KTAP_COUNTER, -3, "vmstat:pgfault", false, "" },
	{ "mmuml counter vmstat:pgfault", KTAP_OTHER, 0, "", false, "" },
	{ "mmuml armed lockdep 1", KTAP_ARMED, 1, "lockdep", false, "" },
	{ "mmuml armed lockdep on", KTAP_OTHER, 0, "", false, "" },
	{ "mmuml leak a.b.c", KTAP_LEAK, 0, "a.b.c", false, "" },
	{ "mmuml said a.b.c", KTAP_OTHER, 0, "", false, "" },
	{ "# begin a.b.c", KTAP_DIAG, 0, "", false, "" },
	{ "# mmuml begin a.b.c", KTAP_DIAG, 0, "", false, "" },
	{ "# mmuml done 20", KTAP_DIAG, 0, "", false, "" },
	{ "#mmuml done 20", KTAP_DIAG, 0, "", false, "" },
	{ " mmuml done 20", KTAP_OTHER, 0, "", false, "" },
	{ "#", KTAP_DIAG, 0, "", false, "" },
	{ "", KTAP_OTHER, 0, "", false, "" },
	{ "all is well", KTAP_OTHER, 0, "", false, "" },
};

static void test_ktap(void)
{
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
}

/* A name and a reason longer than their fields are cut, not overrun, and never inside a character. */
static void test_ktap_long(void)
{
	static const char *const heads[] = { "ok 1 ", "mmuml begin ", "not ok 1 a # (", "ok 1 a # SKIP ", "mmuml leak ", "1.." };

	for (size_t head = 0; head < sizeof(heads) / sizeof(heads[0]); head++)
		for (size_t odd = 0; odd < 2; odd++) {
			struct buf line = { 0 };
			struct ktap_line k;

			buf_printf(&line, "%s%s", heads[head], odd ? "x" : "");
			for (int i = 0; i < 50000; i++)
				buf_add(&line, "\xc3\xa9", 2);
			ktap_parse(line.s, &k);
			check(strlen(k.name) < sizeof(k.name) && strlen(k.reason) < sizeof(k.reason), "length", heads[head]);
			check(!*k.name || k.name[strlen(k.name) - 1] != '\xc3', "name cut in a character", heads[head]);
			check(!*k.reason || k.reason[strlen(k.reason) - 1] != '\xc3', "reason cut in a character", heads[head]);
			buf_free(&line);
		}
}

/* ---- record.c ---- */

struct read {
	int n;
	struct buf data[8];
	enum event_kind kind[8];
	int boot[8];
};

static void note(void *arg, const struct event *e)
{
	struct read *r = arg;

	check(r->n < 8, "more events than were written", e->data);
	check(e->data[e->len] == '\0', "no NUL behind the bytes", e->data);
	r->kind[r->n] = e->kind;
	r->boot[r->n] = e->boot;
	buf_add(&r->data[r->n++], e->data, e->len);
}

static void write_event(FILE *f, enum event_kind kind, const char *data, size_t len)
{
	struct event e = { .t = 1.5, .kind = kind, .boot = 3, .data = data, .len = len };

	record_write(f, &e);
}

/* Any bytes come back as they were, a stream cut at its newlines, and no line of the file has what an editor would take away. */
static void test_record(void)
{
	char all[256], *text;
	struct read r = { 0 };
	FILE *f = record_open("unit.record", false);

	for (int i = 0; i < 256; i++)
		all[i] = i;
	write_event(f, EV_STACKS, all, sizeof(all));
	write_event(f, EV_CONSOLE, "one\ntwo \n\nfour", 14);
	write_event(f, EV_LIMIT, "", 0);
	write_event(f, EV_STOP, " \\n a\\x20 ", 10);
	fclose(f);
	record_read("unit.record", note, &r);
	check(r.n == 7, "events", "one, four, one and one");
	check(r.data[0].len == sizeof(all) && !memcmp(r.data[0].s, all, sizeof(all)), "bytes of an event", "0 to 255");
	check(!strcmp(r.data[1].s, "one\n") && !strcmp(r.data[2].s, "two \n") && !strcmp(r.data[3].s, "\n") &&
	      !strcmp(r.data[4].s, "four"), "lines of a stream", r.data[1].s);
	check(r.kind[5] == EV_LIMIT && !r.data[5].len && r.boot[5] == 3, "an event without data", r.data[5].s);
	check(!strcmp(r.data[6].s, " \\n a\\x20 "), "backslashes and blanks", r.data[6].s);
	text = read_whole("unit.record", NULL);
	check(text && !strstr(text, " \n"), "a blank at the end of a line", text);
	/* A runner that was killed leaves half a line; it can be written on behind comments. */
	f = fopen("unit.record", "w");
	fprintf(f, "# a comment\n\n1.0 exit 2 9\n1.0 console 1 half of");
	fclose(f);
	memset(&r, 0, sizeof(r));
	record_read("unit.record", note, &r);
	check(r.n == 1 && r.kind[0] == EV_EXIT && r.boot[0] == 2 && !strcmp(r.data[0].s, "9"), "half a line", r.data[0].s);
	free(text);
	unlink("unit.record");
}

/* ---- text.c, file.c ---- */

static void test_text(void)
{
	static const struct { const char *from, *to; } clean[] = {
		{ "plain\ttext\n", "plain\ttext\n" },
		{ "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "\xff\xfe", "\\xff\\xfe" },
		{ "\x1b[31m\x7f", "\\x1b[31m\\x7f" },
		{ "\xc3(", "\\xc3(" },
		{ "\xc0\xaf", "\\xc0\\xaf" },			/* too long a form */
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },		/* half of a pair */
		{ "\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80" },	/* beyond what there is */
		{ "end \xe2\x82", "end \\xe2\\x82" },
	};
	const char *rest = "a\n\nb", *line;
	char small[5];
	size_t len;

	for (size_t i = 0; i < sizeof(clean) / sizeof(clean[0]); i++) {
		struct buf b = { 0 };

		buf_add_clean(&b, clean[i].from, strlen(clean[i].from));
		check(b.s && !strcmp(b.s, clean[i].to), "made clean", clean[i].to);
		buf_free(&b);
	}
	text_copy(small, sizeof(small), "abc\xc3\xa9", 5);
	check(!strcmp(small, "abc"), "cut before a character", small);
	text_copy(small, sizeof(small), "ab\xc3\xa9z", 5);
	check(!strcmp(small, "ab\xc3\xa9"), "with a whole character", small);
	check(text_line(&rest, &line, &len) && len == 1 && *line == 'a', "first line", line);
	check(text_line(&rest, &line, &len) && len == 0, "empty line", line);
	check(text_line(&rest, &line, &len) && len == 1 && *line == 'b' && !text_line(&rest, &line, &len), "last line", line);
	rest = NULL;
	check(!text_line(&rest, &line, &len), "no text", NULL);
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

/* ---- memcheck.c ---- */

static bool no_symbol(void *arg, const char *key, struct buf *out)
{
	(void)arg, (void)key, (void)out;
	return false;
}

static void mark(void *arg, bool begin, const char *test)
{
	buf_printf(arg, "%s%s ", begin ? "+" : "-", test);
}

#define ERROR(kind, fn)	"<error><kind>" kind "</kind><what>Use of uninitialised value of size 8</what>\n" \
			"<stack><frame><ip>0x10</ip><fn>" fn "</fn></frame></stack></error>\n"

/* Marks as they come, however the bytes are cut, and each report with the test that ran; what is no text breaks nothing. */
static void test_memcheck(void)
{
	static const char xml[] =
		"<?xml version=\"1.0\"?>\n<valgrindoutput>\n" ERROR("UninitCondition", "early")
		"<clientmsg>\n  <text>mmuml: begin area.file.one\n  </text>\n</clientmsg>\n"
		ERROR("UninitValue", "somewhere")
		"<clientmsg>\n  <text>a name \x01\xff & [<60001234>] f\n[<60001234>] ? g & <h>\n  </text>\n</clientmsg>\n"
		"<clientmsg><text>mmuml: end area.file.one</text></clientmsg>\n"
		"<clientmsg><text>mmuml: begin area.file.on</text></clientmsg>\n"
		"<clientmsg><text>mmuml: end area.file.on</text></clientmsg>\n";

	for (size_t step = 1; step < sizeof(xml); step += 7) {
		struct memcheck *m = memcheck_new(no_symbol, NULL);
		struct buf marks = { 0 }, text = { 0 };
		char *first, *why = NULL;

		for (size_t at = 0; at < sizeof(xml) - 1 && !why; at += step)
			why = memcheck_feed(m, xml + at, sizeof(xml) - 1 - at < step ? sizeof(xml) - 1 - at : step, mark, &marks);
		check(!why, "the XML cannot be read", why);
		check(marks.s && !strcmp(marks.s, "+area.file.one -area.file.one +area.file.on -area.file.on "), "marks", marks.s);
		check(!memcheck_take(m, "area.file.on", &text, &first) && !first, "a report of another test", text.s);
		check(memcheck_take(m, "area.file.one", &text, &first) == 1 && strstr(text.s, "memcheck: UninitValue: Use of") &&
		      strstr(text.s, "somewhere (0x10)") && !strstr(text.s, "early"), "report", text.s);
		check(memcheck_undefined(text.s), "is of an undefined value", text.s);
		check(first && !strcmp(first, "UninitValue"), "kind and place", first);
		free(first);
		check(!memcheck_take(m, "area.file.one", &text, &first), "taken twice", text.s);
		check(memcheck_take(m, NULL, &text, &first) == 1 && strstr(text.s, "early"), "outside the tests", text.s);
		free(first);
		memcheck_free(m);
		buf_free(&marks);
		buf_free(&text);
	}
}

static void test_memcheck_broken(void)
{
	static const char half[] = "<?xml version=\"1.0\"?>\n<valgrindoutput>\n<error></what>\n";
	struct memcheck *m = memcheck_new(no_symbol, NULL);
	struct buf marks = { 0 };
	char *why = memcheck_feed(m, half, sizeof(half) - 1, mark, &marks);

	check(why && strstr(why, "line 3"), "broken XML", why);
	free(why);
	why = memcheck_feed(m, half, sizeof(half) - 1, mark, &marks);
	check(!why, "said twice", why);
	memcheck_free(m);
}

int main(void)
{
	test_ktap();
	test_ktap_long();
	test_record();
	test_text();
	test_files();
	test_memcheck();
	test_memcheck_broken();
	return unit_end();
}
