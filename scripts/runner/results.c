// SPDX-License-Identifier: GPL-2.0
/* Results of a run: the exit code and the verdict's line, KTAP, JSON, JUnit, memcheck's reports. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "results.h"
#include "rundir.h"

/* ---- what it comes to ---- */

enum status results_status(const struct verdict *v, const struct test *t, const char **reason)
{
	const struct outcome *o = t->open ? &t->now : &t->kept;

	*reason = o->reason;
	if (t->stage == TEST_RUNS && !v->whole) {
		*reason = "was running when the run was cut off";
		return ST_REPORT;
	}
	return o->status;
}

struct tally results_tally(const struct verdict *v)
{
	struct tally n = { 0 };

	for (int i = 0; i < v->plan.n; i++) {
		const struct test *t = &v->plan.tests[i];
		const char *reason;
		enum status s = results_status(v, t, &reason);

		n.pass += s == ST_PASS;
		n.fail += s == ST_FAIL;
		n.known += s == ST_KNOWN;
		n.skip += s == ST_SKIP;
		n.crash += s == ST_REPORT;
		n.timeout += s == ST_TIMEOUT;
		n.notrun += s == ST_NOTRUN;
		n.running += t->stage == TEST_RUNS && !v->whole;
	}
	return n;
}

/* The gravest of all that was wrong; ST_PASS if nothing was. */
static enum status worst(const struct verdict *v, const struct tally *n)
{
	enum status s = n->crash ? ST_REPORT : n->timeout ? ST_TIMEOUT : n->fail || n->notrun || v->ended ? ST_FAIL : ST_PASS;

	if (v->ended && v->ended_status > s)
		s = v->ended_status;
	for (int i = 0; i < v->n_outside; i++)
		if (v->outside[i].status > s)
			s = v->outside[i].status;
	return s;
}

/* Whether it is a later stage that found the only thing that is wrong. */
static bool amended(const struct verdict *v, const struct tally *n)
{
	return v->amended_status == ST_FAIL && worst(v, n) == ST_PASS;
}

/* A run under gdb comes to what gdb's commands came to; one that waited for a failure, only if they failed. */
static bool gdb_decides(const struct verdict *v)
{
	return v->whole && v->set.gdb && v->gdb_status >= 0 && (!v->set.on_fail || v->gdb_status > 0);
}

int results_code(const struct verdict *v)
{
	struct tally n = results_tally(v);

	if (gdb_decides(v))
		return v->gdb_status;
	if (v->interrupted || !v->whole)
		return EX_INTERRUPTED;
	/* What came before may be the host's doing as well. */
	if (v->host_took)
		return EX_HOST;
	switch (worst(v, &n)) {
	case ST_REPORT:
		return EX_REPORT;
	case ST_TIMEOUT:
		return EX_TIMEOUT;
	case ST_FAIL:
		return EX_FAIL;
	default:
		break;
	}
	if (amended(v, &n))
		return EX_FAIL;
	return n.pass || n.known ? EX_PASS : EX_SKIP;
}

char *results_cause(const struct verdict *v, int cause)
{
	const struct cause *c = &v->causes[cause];
	const char *how = c->status == ST_REPORT ? "crashed" : c->status == ST_TIMEOUT ? "timed out" : "failed", *reason = c->reason;
	int first, n = cause_tests(v, cause, &first);
	const struct test *t = first < 0 ? NULL : &v->plan.tests[first];

	if (n < 2)
		return NULL;
	if (t)
		results_status(v, t, &reason);
	return xasprintf("%d tests %s: %s (first: %s)", n, how, reason ? reason : c->reason, t ? t->name : "outside the tests");
}

/* The first that is as bad as @s, a test or something outside, malloc'ed; NULL if there is none. */
static char *first_of(const struct verdict *v, enum status s)
{
	for (int i = 0; i < v->plan.n; i++) {
		const struct test *t = &v->plan.tests[i];
		const char *reason;
		char *several;

		if (results_status(v, t, &reason) != s)
			continue;
		several = t->kept.cause < 0 ? NULL : results_cause(v, t->kept.cause);
		return several ? several : reason ? xasprintf("%s: %s", t->name, reason) : xasprintf("%s", t->name);
	}
	for (int i = 0; i < v->n_outside; i++) {
		const struct outside *o = &v->outside[i];

		/* Where it is what the run ended with, that says it. */
		if (o->status == s && !(v->ended && strstr(v->ended, o->reason)))
			return xasprintf("%s: %s", o->where, o->reason);
	}
	return NULL;
}

/* In parentheses: the reason of the verdict, which is one as grave as the verdict itself, and why the run ended before its end. */
static void why(const struct verdict *v, const struct tally *n, struct buf *b)
{
	enum status s = worst(v, n);
	char *first = went_wrong(s) ? first_of(v, s) : NULL;
	const char *ended = v->interrupted ? NULL : v->ended;

	if (amended(v, n))
		ended = v->amended;
	if (first || ended)
		buf_printf(b, " (%s%s%s)", first ? first : "", first && ended ? "; " : "", ended ? ended : "");
	free(first);
}

char *results_line(const struct verdict *v)
{
	struct tally n = results_tally(v);
	int code = results_code(v), done = v->plan.n - n.notrun - n.running;
	struct buf b = { 0 };

	if (gdb_decides(v) && !v->set.on_fail) {
		buf_printf(&b, "mmuml: GDB status %d -> %s", code, v->set.dir ? v->set.dir : ".");
		return b.s;
	}
	buf_printf(&b, "mmuml: ");
	if (code == EX_PASS)
		buf_printf(&b, "PASS %d of %d", n.pass, v->plan.n);
	else if (code == EX_SKIP)
		buf_printf(&b, "SKIP %d of %d", n.skip, v->plan.n);
	else if (code == EX_INTERRUPTED)
		buf_printf(&b, "%s after %d of %d", v->interrupted ? "INTERRUPTED" : "CUT OFF", done, v->plan.n);
	else if (code == EX_HOST)
		buf_printf(&b, "HOST after %d of %d", done, v->plan.n);
	else if (amended(v, &n))
		buf_printf(&b, "FAIL");
	else
		buf_printf(&b, "%s %d of %d", code == EX_REPORT ? "CRASH" : code == EX_TIMEOUT ? "TIMEOUT" : "FAIL",
			   v->plan.n - n.pass - n.known - n.skip - (v->gave_up ? n.notrun : 0), v->plan.n);
	why(v, &n, &b);
	if (n.known)
		buf_printf(&b, ", %d known to fail", n.known);
	if (n.skip && code != EX_SKIP)
		buf_printf(&b, ", %d skipped", n.skip);
	if (n.notrun && code != EX_INTERRUPTED && n.notrun < v->plan.n)
		buf_printf(&b, ", %d not run", n.notrun);
	buf_printf(&b, "  boot %.1fs tests %.1fs", v->boot_s, v->run_s > v->boot_s ? v->run_s - v->boot_s : 0);
	if (v->total_s > 0)
		buf_printf(&b, " total %.1fs", v->total_s);
	if (v->added)
		buf_printf(&b, "  %s", v->added);
	buf_printf(&b, " -> %s", v->set.dir ? v->set.dir : ".");
	return b.s;
}

/* ---- KTAP ---- */

static void add_lines(struct buf *b, const char *prefix, const char *text)
{
	const char *line;
	size_t len;

	while (text_line(&text, &line, &len))
		buf_printf(b, "%s%.*s\n", prefix, (int)len, line);
}

static void outside_line(const struct outside *o, struct buf *b)
{
	buf_printf(b, "# outside the tests: %s: %s", o->where, o->reason);
	if (o->times > 1)
		buf_printf(b, " (%d times)", o->times);
	buf_printf(b, "\n");
}

static char *ktap(const struct verdict *v)
{
	struct buf b = { 0 };

	buf_printf(&b, "KTAP version 1\n1..%d\n", v->plan.n);
	for (int i = 0; i < v->plan.n; i++) {
		const struct test *t = &v->plan.tests[i];
		const struct outcome *o = &t->kept;
		const char *reason;
		enum status s = results_status(v, t, &reason);

		add_lines(&b, "# ", o->log.s);
		add_lines(&b, "# ", o->reports.s);
		add_lines(&b, "# ", o->trace.s);
		buf_printf(&b, "%s %d %s", s == ST_PASS || s == ST_SKIP ? "ok" : "not ok", i + 1, t->name);
		if (s == ST_SKIP)
			buf_printf(&b, " # SKIP %s", reason ? reason : "");
		else if (s == ST_KNOWN)
			buf_printf(&b, " # TODO %s", reason ? reason : "");
		else if (s == ST_NOTRUN)
			buf_printf(&b, " # (not run)");
		else if (reason)
			buf_printf(&b, " # (%s)", reason);
		buf_printf(&b, "\n");
	}
	for (int i = 0; i < v->n_outside; i++)
		outside_line(&v->outside[i], &b);
	return b.s;
}

/* ---- JSON ---- */

/* A string that is valid whatever came: jansson takes UTF-8 only. */
static json_t *text(const char *s)
{
	struct buf clean = { 0 };
	json_t *j = s ? json_string(s) : json_null();

	if (j)
		return j;
	buf_add_clean(&clean, s, strlen(s));
	j = json_string(clean.s ? clean.s : "");
	buf_free(&clean);
	return j;
}

/* "counter NAME VALUE" lines; the last of a name counts. */
static void add_counters(json_t *obj, const char *s)
{
	const char *line;
	size_t len;

	while (text_line(&s, &line, &len)) {
		char *copy = text_dup(line, len), name[128];
		long value;

		if (sscanf(copy, "counter %127s %ld", name, &value) == 2)
			json_object_set_new(obj, name, json_integer(value));
		free(copy);
	}
}

/* Counters of a test: those that others counted over it, then its own, about a narrower stretch. */
static json_t *counters(const struct outcome *o)
{
	json_t *obj = json_object();

	add_counters(obj, o->counters.s);
	add_counters(obj, o->log.s);
	return obj;
}

static json_t *trace(const struct buf *reports, const struct buf *kernel)
{
	struct buf both = { 0 };
	json_t *j;

	if (!reports->len && !kernel->len)
		return json_null();
	buf_add(&both, reports->s ? reports->s : "", reports->len);
	buf_add(&both, kernel->s ? kernel->s : "", kernel->len);
	j = text(both.s);
	buf_free(&both);
	return j;
}

static json_t *tests(const struct verdict *v)
{
	json_t *all = json_array();

	for (int i = 0; i < v->plan.n; i++) {
		const struct test *t = &v->plan.tests[i];
		const struct outcome *o = &t->kept;
		const char *reason;
		enum status s = results_status(v, t, &reason);

		json_array_append_new(all, json_pack("{s:o, s:s, s:o, s:f, s:i, s:i, s:o, s:o, s:o, s:o}", "name", text(t->name),
			"status", status_word(s), "reason", text(reason), "ms", o->ms, "boot", o->boot, "round", o->round,
			"cause", o->cause < 0 ? json_null() : json_integer(o->cause), "counters", counters(o), "log",
			text(o->log.s), "trace", trace(&o->reports, &o->trace)));
	}
	return all;
}

static json_t *outside_all(const struct verdict *v)
{
	json_t *all = json_array();

	for (int i = 0; i < v->n_outside; i++) {
		const struct outside *o = &v->outside[i];

		json_array_append_new(all, json_pack("{s:o, s:s, s:o, s:i, s:i, s:o}", "where", text(o->where), "status",
			status_word(o->status), "reason", text(o->reason), "boot", o->boot, "times", o->times, "trace",
			trace(&o->reports, &o->trace)));
	}
	return all;
}

/* All of them as one text. */
static json_t *outside_text(const struct verdict *v)
{
	struct buf b = { 0 };
	json_t *j;

	for (int i = 0; i < v->n_outside; i++) {
		const struct outside *o = &v->outside[i];

		buf_printf(&b, "%s: %s\n%s%s", o->where, o->reason, o->reports.s ? o->reports.s : "", o->trace.s ? o->trace.s : "");
	}
	j = text(b.s);
	buf_free(&b);
	return j;
}

static json_t *causes(const struct verdict *v)
{
	json_t *all = json_array();

	for (int i = 0; i < v->n_causes; i++) {
		const struct cause *c = &v->causes[i];
		int first, n = cause_tests(v, i, &first);

		json_array_append_new(all, json_pack("{s:o, s:s, s:i, s:i, s:o}", "reason", text(c->reason), "status",
			status_word(c->status), "tests", n, "boots", c->boots, "first",
			first < 0 ? json_null() : text(v->plan.tests[first].name)));
	}
	return all;
}

static char *json(const struct verdict *v, const char *line)
{
	struct tally n = results_tally(v);
	char *s;
	json_t *j = json_pack("{s:o, s:i, s:i, s:f, s:f, s:I, s:o, s:o, s:o, s:o, s:{s:i, s:i, s:i, s:i, s:i, s:i}, s:o}",
		"verdict", text(line), "exit", results_code(v), "boots", v->n_boots, "boot_s", v->boot_s, "tests_s",
		v->run_s > v->boot_s ? v->run_s - v->boot_s : 0.0, "peak_rss_kb", (json_int_t)v->peak_kb, "ended", text(v->ended),
		"causes", causes(v), "outside_tests", outside_text(v), "outside", outside_all(v), "summary", "pass", n.pass, "fail",
		n.fail, "skip", n.skip, "crash", n.crash, "timeout", n.timeout, "notrun", n.notrun, "tests", tests(v));

	if (j && n.known)
		json_object_set_new(json_object_get(j, "summary"), "known", json_integer(n.known));
	if (!j)
		die(EX_HOST, NULL, "jansson refuses a value", "the results cannot be written as JSON");
	s = json_dumps(j, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
	json_decref(j);
	return s;
}

/* ---- JUnit ---- */

static void xml(struct buf *b, const char *s)
{
	for (; s && *s; s++) {
		switch (*s) {
		case '<': buf_printf(b, "&lt;"); break;
		case '>': buf_printf(b, "&gt;"); break;
		case '&': buf_printf(b, "&amp;"); break;
		case '"': buf_printf(b, "&quot;"); break;
		default:
			if ((unsigned char)*s >= ' ' || *s == '\n' || *s == '\t')
				buf_add(b, s, 1);
		}
	}
}

static void junit_case(const struct verdict *v, const struct test *t, struct buf *b)
{
	const char *dot = strrchr(t->name, '.'), *tag, *reason;
	enum status s = results_status(v, t, &reason);

	dot = dot ? dot : t->name;
	buf_printf(b, "<testcase classname=\"%.*s\" name=\"%s\" time=\"%.3f\">", (int)(dot - t->name), t->name,
		   *dot == '.' ? dot + 1 : dot, t->kept.ms / 1000);
	if (s != ST_PASS) {
		tag = s == ST_SKIP || s == ST_KNOWN ? "skipped" : "failure";
		buf_printf(b, "<%s message=\"%s ", tag, status_word(s));
		xml(b, reason);
		buf_printf(b, "\">");
		xml(b, t->kept.log.s);
		xml(b, t->kept.reports.s);
		xml(b, t->kept.trace.s);
		buf_printf(b, "</%s>", tag);
	}
	buf_printf(b, "</testcase>\n");
}

static char *junit(const struct verdict *v)
{
	struct tally n = results_tally(v);
	struct buf b = { 0 };

	buf_printf(&b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"mmuml\" tests=\"%d\" failures=\"%d\" "
		   "errors=\"%d\" skipped=\"%d\" time=\"%.3f\">\n", v->plan.n, n.fail + n.crash + n.timeout + n.notrun, v->n_outside,
		   n.skip + n.known, v->run_s);
	for (int i = 0; i < v->plan.n; i++)
		junit_case(v, &v->plan.tests[i], &b);
	for (int i = 0; i < v->n_outside; i++) {
		buf_printf(&b, "<system-err>");
		xml(&b, v->outside[i].where);
		buf_printf(&b, ": ");
		xml(&b, v->outside[i].reason);
		buf_printf(&b, "</system-err>\n");
	}
	buf_printf(&b, "</testsuite>\n");
	return b.s;
}

/* ---- memcheck.txt ---- */

/* Reports, each with the test that ran. */
static void add_reports(struct buf *b, const char *test, const char *reports)
{
	const char *line;
	size_t len;

	while (text_line(&reports, &line, &len)) {
		if (!strncmp(line, "memcheck: ", 10))
			buf_printf(b, "%s%s: ", b->len ? "\n" : "", test);
		buf_printf(b, "%.*s\n", (int)len, line);
	}
}

static char *memcheck_text(const struct verdict *v)
{
	struct buf b = { 0 };

	for (int i = 0; i < v->plan.n; i++)
		add_reports(&b, v->plan.tests[i].name, v->plan.tests[i].kept.reports.s);
	for (int i = 0; i < v->n_outside; i++)
		add_reports(&b, "(outside the tests)", v->outside[i].reports.s);
	return b.s ? b.s : xasprintf("%s", "");
}

static void put(const char *dir, const char *name, char *s)
{
	rundir_put(dir, name, s, strlen(s));
	free(s);
}

void results_write(const struct verdict *v, const char *dir)
{
	char *line = results_line(v);

	put(dir, RUN_KTAP, ktap(v));
	put(dir, RUN_JSON, json(v, line));
	put(dir, RUN_JUNIT, junit(v));
	/* There, and empty, if all is well. */
	if (v->set.memcheck)
		put(dir, RUN_MEMCHECK, memcheck_text(v));
	put(dir, RUN_VERDICT, line);
}
