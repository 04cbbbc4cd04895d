// SPDX-License-Identifier: GPL-2.0
/* The report: 80 columns of plain text for a cover letter, and the same as JSON. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "compare.h"

#define LOG_LINES	20

struct tally {
	int same, fixed, broken, fresh, promised, one_only, pass, skip;
	int relations, failed;
};

static const char *worded(const char *status)
{
	return status ? status : "-";
}

static bool bad(const char *status)
{
	return status && strcmp(status, "PASS") && strcmp(status, "SKIP");
}

bool status_passed(const char *status)
{
	return status && !strcmp(status, "PASS");
}

/* What became of a test. A pass that is a skip now is a loss too: nothing shows the effect any more; but of two kernels, one has
 * what the other has not. */
static const char *verdict(const char *base, const char *changed, bool kernels)
{
	if (kernels && !bad(base) && !bad(changed) && status_passed(base) != status_passed(changed))
		return "one only";
	if (status_passed(base))
		return status_passed(changed) ? "same" : "BROKEN";
	if (status_passed(changed))
		return bad(base) ? "FIXED" : "new";
	if (!bad(base) && bad(changed))
		return "BROKEN";
	return "same";
}

static double percent(double base, double changed)
{
	return base > 0 ? (changed - base) / base * 100 : 0;
}

/* ---- tests ---- */

/* Names of both sides' first runs, in the order of the plan. */
static json_t *test_names(const struct compare *c)
{
	json_t *names = json_array(), *seen = json_object(), *t;
	size_t i;

	for (int s = 0; s < 2; s++) {
		json_array_foreach(json_object_get(c->side[s].results[0], "tests"), i, t) {
			const char *name = json_string_value(json_object_get(t, "name"));

			if (json_object_get(seen, name))
				continue;
			json_object_set_new(seen, name, json_true());
			json_array_append_new(names, json_string(name));
		}
	}
	json_decref(seen);
	return names;
}

static void test_line(struct buf *b, const char *what, const char *name, const char *base, const char *changed)
{
	if (strlen(name) > 50)
		buf_printf(b, "  %-8s %s\n  %-8s %-50s %-8s %s\n", what, name, "", "", worded(base), worded(changed));
	else
		buf_printf(b, "  %-8s %-50s %-8s %s\n", what, name, worded(base), worded(changed));
}

static void add_reason(struct buf *b, const char *word, const char *reason)
{
	if (reason)
		buf_printf(b, "           %s: %.*s\n", word, 60, reason);
}

static void report_tests(const struct compare *c, json_t *names, struct tally *n, struct buf *b, json_t *out)
{
	json_t *v;
	size_t i;

	buf_printf(b, "\nTests %53s  %-8s %s\n", "", "base", "changed");
	json_array_foreach(names, i, v) {
		const char *name = json_string_value(v), *why[2], *status[2], *what;

		for (int s = 0; s < 2; s++)
			status[s] = side_status(&c->side[s], name, &why[s]);
		what = verdict(status[BASE], status[CHANGED], c->kernels);
		if (!strcmp(what, "BROKEN") && expect_broken(c->expect, name)) {
			what = "promised";
			n->promised++;
		}
		n->same += !strcmp(what, "same");
		n->fixed += !strcmp(what, "FIXED");
		n->broken += !strcmp(what, "BROKEN");
		n->fresh += !strcmp(what, "new");
		n->one_only += !strcmp(what, "one only");
		n->pass += status_passed(status[CHANGED]);
		n->skip += status[CHANGED] && !strcmp(status[CHANGED], "SKIP");
		json_array_append_new(out, json_pack("{s:s, s:s?, s:s?, s:s, s:s?, s:s?}", "name", name, "base", status[BASE],
			"changed", status[CHANGED], "verdict", what, "base_reason", why[BASE], "changed_reason", why[CHANGED]));
		if (!c->verbose && !strcmp(what, "same") && !strcmp(worded(status[BASE]), worded(status[CHANGED])))
			continue;
		test_line(b, what, name, status[BASE], status[CHANGED]);
		add_reason(b, "base", why[BASE]);
		add_reason(b, "changed", why[CHANGED]);
	}
	buf_printf(b, "  of %zu tests: %d FIXED, %d BROKEN, %d new, %d same", json_array_size(names), n->fixed, n->broken,
		   n->fresh, n->same);
	if (n->promised)
		buf_printf(b, ", %d broken as promised", n->promised);
	if (n->one_only)
		buf_printf(b, ", %d on one kernel only", n->one_only);
	buf_printf(b, " (%d pass, %d skip)\n", n->pass, n->skip);
}

/* ---- logs, size, time ---- */

static void add_log(struct buf *b, char sign, const char *text)
{
	int lines = 0;

	while (text && *text) {
		const char *end = strchrnul(text, '\n');

		if (lines++ == LOG_LINES) {
			buf_printf(b, "  ...\n");
			return;
		}
		buf_printf(b, "  %c %.*s\n", sign, end - text > 76 ? 76 : (int)(end - text), text);
		text = *end ? end + 1 : end;
	}
}

static json_t *text_lines(const char *text)
{
	json_t *a = json_array();

	while (text && *text) {
		const char *end = strchrnul(text, '\n');
		json_t *line = json_stringn(text, end - text);

		json_array_append_new(a, line ? line : json_string("(not UTF-8)"));
		text = *end ? end + 1 : end;
	}
	return a;
}

static void report_logs(const struct compare *c, struct buf *b, json_t *out)
{
	struct buf gone = { 0 }, come = { 0 };
	int n_gone, n_come, reports[2] = { log_reports(&c->side[BASE]), log_reports(&c->side[CHANGED]) };

	log_new(&c->side[BASE], &c->side[CHANGED], &gone, &n_gone);
	log_new(&c->side[CHANGED], &c->side[BASE], &come, &n_come);
	if (c->kernels) {
		buf_printf(b, "\nKernel log: reports (WARN, KASAN, lockdep, ...) base %d, changed %d\n", reports[BASE], reports[CHANGED]);
		buf_free(&gone);
		buf_free(&come);
		return;
	}
	buf_printf(b, "\nKernel log: reports (WARN, KASAN, lockdep, ...) base %d, changed %d; lines only in one: %d, %d\n",
		   reports[BASE], reports[CHANGED], n_gone, n_come);
	add_log(b, '-', gone.s);
	add_log(b, '+', come.s);
	json_object_set_new(out, "log", json_pack("{s:i, s:i, s:o, s:o}", "base_reports", reports[BASE], "changed_reports",
		reports[CHANGED], "only_base", text_lines(gone.s), "only_changed", text_lines(come.s)));
	gone.len = come.len = 0;
	if (gone.s)
		*gone.s = '\0';
	if (come.s)
		*come.s = '\0';
	log_warnings(&c->side[BASE], &c->side[CHANGED], &gone, &n_gone);
	log_warnings(&c->side[CHANGED], &c->side[BASE], &come, &n_come);
	buf_printf(b, "Compiler warnings: %d gone, %d new\n", n_gone, n_come);
	add_log(b, '-', gone.s);
	add_log(b, '+', come.s);
	json_object_set_new(out, "compiler_warnings", json_pack("{s:o, s:o}", "only_base", text_lines(gone.s), "only_changed",
		text_lines(come.s)));
	buf_free(&gone);
	buf_free(&come);
}

static struct stat_of seconds(const struct side *s, const char *key)
{
	double v[MAX_RUNS];
	int n = 0;

	for (int i = 0; i < s->n; i++) {
		json_t *time = json_object_get(s->results[i], key);

		if (json_is_number(time))
			v[n++] = json_number_value(time);
	}
	return stat_of(v, n);
}

static void time_line(const struct compare *c, const char *what, const char *key, struct buf *b, json_t *out)
{
	struct stat_of t[2] = { seconds(&c->side[BASE], key), seconds(&c->side[CHANGED], key) };

	if (!t[BASE].n || !t[CHANGED].n) {
		buf_printf(b, "%s: not known\n", what);
		return;
	}
	buf_printf(b, "%s: base %.2fs, changed %.2fs, %+.1f%% (noisy)\n", what, t[BASE].median, t[CHANGED].median,
		   percent(t[BASE].median, t[CHANGED].median));
	if (t[BASE].n > 1)
		buf_printf(b, "  min..max: base %.2f..%.2f, changed %.2f..%.2f\n", t[BASE].min, t[BASE].max, t[CHANGED].min,
			   t[CHANGED].max);
	json_object_set_new(out, key, json_pack("{s:o, s:o}", "base", stat_json(t[BASE]), "changed", stat_json(t[CHANGED])));
}

static void report_sizes(const struct compare *c, struct buf *b, json_t *out)
{
	const struct side *s = c->side;

	if (s[BASE].text < 0 || s[CHANGED].text < 0) {
		buf_printf(b, "Size: not known (no vmlinux)\n");
	} else {
		buf_printf(b, "Size: text (functions) %ld -> %ld (%+ld), data %ld -> %ld (%+ld),\n  bss %ld -> %ld (%+ld)\n", s[BASE].text,
			   s[CHANGED].text, s[CHANGED].text - s[BASE].text, s[BASE].data, s[CHANGED].data,
			   s[CHANGED].data - s[BASE].data, s[BASE].bss, s[CHANGED].bss, s[CHANGED].bss - s[BASE].bss);
		json_object_set_new(out, "size", json_pack("{s:[I,I], s:[I,I], s:[I,I]}", "text", (json_int_t)s[BASE].text,
			(json_int_t)s[CHANGED].text, "data", (json_int_t)s[BASE].data, (json_int_t)s[CHANGED].data, "bss",
			(json_int_t)s[BASE].bss, (json_int_t)s[CHANGED].bss));
	}
	time_line(c, "Boot", "boot_s", b, out);
	time_line(c, "Tests", "tests_s", b, out);
}

/* ---- expect ---- */

static void report_shows(const struct expect *e, struct tally *n, struct buf *b, json_t *out)
{
	for (int i = 0; i < e->n_shows; i++) {
		const struct show *s = &e->shows[i];

		n->failed += !s->known;
		buf_printf(b, "  %-5s %s %s\n", s->known ? "shown" : "FAILS", s->counter, s->test);
		if (s->known)
			buf_printf(b, "        base %.10g, changed %.10g\n", s->v[BASE].median, s->v[CHANGED].median);
		else
			buf_printf(b, "        line %d: %s\n", s->line, s->why);
		json_array_append_new(out, json_pack("{s:o, s:i, s:b, s:o, s:o, s:s?}", "relation",
			json_sprintf("show %s %s", s->counter, s->test), "line", s->line, "holds", s->known,
			"base", s->known ? stat_json(s->v[BASE]) : json_null(),
			"changed", s->known ? stat_json(s->v[CHANGED]) : json_null(), "why", s->why));
	}
}

static void report_expect(const struct compare *c, struct tally *n, struct buf *b, json_t *out)
{
	const struct expect *e = c->expect;

	if (!e || c->step)
		return;
	n->relations = e->n_relations + e->n_broken + e->n_shows;
	buf_printf(b, "\nExpect (%s)\n", e->path);
	for (int i = 0; i < e->n_relations; i++) {
		const struct relation *r = &e->relations[i];

		n->failed += !r->holds;
		buf_printf(b, "  %-5s %s\n", r->holds ? "holds" : "FAILS", r->text);
		if (r->known)
			buf_printf(b, "        %.10g %s %.10g\n", r->left, r->op, r->right);
		else
			buf_printf(b, "        line %d: %s\n", r->line, r->why);
		json_array_append_new(out, json_pack("{s:s, s:i, s:b, s:o, s:o, s:s?}", "relation", r->text, "line", r->line,
			"holds", r->holds, "left", r->known ? json_real(r->left) : json_null(),
			"right", r->known ? json_real(r->right) : json_null(), "why", r->why));
	}
	for (int i = 0; i < e->n_broken; i++) {
		const struct broken *r = &e->broken[i];

		n->failed += !r->holds;
		buf_printf(b, "  %-5s broken %s\n        %s\n", r->holds ? "holds" : "FAILS", r->test, r->why);
		json_array_append_new(out, json_pack("{s:o, s:i, s:b, s:s}", "relation", json_sprintf("broken %s", r->test),
			"line", r->line, "holds", r->holds, "why", r->why));
	}
	report_shows(e, n, b, out);
}

/* ---- all of it ---- */

static const char *of_manifest(const struct side *s, const char *key)
{
	const char *v = json_string_value(json_object_get(s->manifest[0], key));

	return v ? v : "";
}

static json_t *tree_of(const struct side *s, const char *key)
{
	return json_object_get(json_object_get(s->manifest[0], "tree"), key);
}

/* "0123abcd subject" -> "subject" */
static const char *subject(json_t *patch)
{
	const char *s = json_string_value(patch), *blank = s ? strchr(s, ' ') : NULL;

	return blank ? blank + 1 : "";
}

/* Subjects of the changed side that the base has not. */
static json_t *added_patches(const struct compare *c)
{
	json_t *base = json_object(), *added = json_array(), *p;
	size_t i;

	json_array_foreach(tree_of(&c->side[BASE], "patches"), i, p)
		json_object_set_new(base, subject(p), json_true());
	json_array_foreach(tree_of(&c->side[CHANGED], "patches"), i, p)
		if (!json_object_get(base, subject(p)))
			json_array_append_new(added, json_string(subject(p)));
	json_decref(base);
	return added;
}

static void report_head(const struct compare *c, struct buf *b, json_t *out)
{
	json_t *added = added_patches(c), *p;
	size_t i;

	buf_printf(b, "mmuml compare: %s\n", c->name);
	for (int s = 0; s < 2; s++) {
		buf_printf(b, "  %-8s %s, %s, commit %.12s%s\n", c->side[s].word, c->side[s].stack,
			   of_manifest(&c->side[s], "kernel_release"), json_string_value(tree_of(&c->side[s], "commit")) ?
			   json_string_value(tree_of(&c->side[s], "commit")) : "unknown",
			   json_is_true(tree_of(&c->side[s], "uncommitted_edits")) ? " and uncommitted edits" : "");
		json_object_set_new(out, c->side[s].word, json_pack("{s:s, s:s, s:O?, s:o}", "stack", c->side[s].stack,
			"kernel_release", of_manifest(&c->side[s], "kernel_release"), "commit", tree_of(&c->side[s], "commit"),
			"runs", json_array()));
		for (int r = 0; r < c->side[s].n; r++)
			json_array_append_new(json_object_get(json_object_get(out, c->side[s].word), "runs"),
					      json_string(c->side[s].dirs[r]));
	}
	json_array_foreach(added, i, p)
		if (!c->kernels)
			buf_printf(b, "           + %.65s\n", json_string_value(p));
	buf_printf(b, "  profile %s, tests %s, seed %s\n  %s\n", of_manifest(&c->side[BASE], "profile"),
		   *of_manifest(&c->side[BASE], "tests") ? of_manifest(&c->side[BASE], "tests") : "(all)",
		   of_manifest(&c->side[BASE], "seed"), of_manifest(&c->side[BASE], "compiler"));
	json_object_set_new(out, "patches", added);
	json_object_set_new(out, "profile", json_string(of_manifest(&c->side[BASE], "profile")));
	json_object_set_new(out, "tests_asked", json_string(of_manifest(&c->side[BASE], "tests")));
}

/* The kernel did not get as far as its tests, or the run was cut: what the runner said. */
static int no_result(const struct compare *c, struct buf *b)
{
	for (int s = 0; s < 2; s++) {
		for (int i = 0; i < c->side[s].n; i++) {
			int code = json_integer_value(json_object_get(c->side[s].results[i], "exit"));
			const char *said;
			size_t k, ran = 0;
			json_t *t;

			json_array_foreach(json_object_get(c->side[s].results[i], "tests"), k, t) {
				const char *status = json_string_value(json_object_get(t, "status"));

				ran += status && strcmp(status, "NOTRUN");
			}
			if (ran && code != EX_INTERRUPTED)
				continue;
			said = json_string_value(json_object_get(c->side[s].results[i], "verdict"));
			buf_printf(b, "\nNO RESULT on the %s side: %s\n", c->side[s].word, said ? said : "the run has no verdict");
			return code ? code : EX_FAIL;
		}
	}
	return 0;
}

/* The changed code, as far as can be told; what mends a test has had its effect. */
static bool never_ran(const struct compare *c, const struct tally *n)
{
	return !c->lines_ran && !n->fixed && !n->promised;
}

static int exit_code(const struct compare *c, const struct tally *n, int none)
{
	if (n->broken || n->failed)
		return EX_FAIL;
	if (none)
		return none;
	if (c->idle || never_ran(c, n) || !(n->pass + n->promised))
		return EX_SKIP;
	return EX_PASS;
}

static char *verdict_line(const struct compare *c, const struct tally *n, int code)
{
	struct buf b = { 0 };
	struct timespec ts;

	buf_printf(&b, "mmuml: %s compare %s (%d FIXED, %d BROKEN", code == EX_PASS ? "PASS" : code == EX_SKIP ? "SKIP" : "FAIL",
		   c->name, n->fixed, n->broken);
	if (n->relations)
		buf_printf(&b, ", expect %d of %d hold", n->relations - n->failed, n->relations);
	if (code == EX_SKIP)
		buf_printf(&b, ", %s", c->idle ? "nothing can differ" : never_ran(c, n) ?
			   "the changed code never ran" : "no test passed");
	clock_gettime(CLOCK_REALTIME, &ts);
	buf_printf(&b, ")");
	if (c->started)
		buf_printf(&b, "  total %.1fs", ts.tv_sec + ts.tv_nsec / 1e9 - c->started);
	buf_printf(&b, " -> %s", c->dir);
	return b.s;
}

static void put(const struct compare *c, const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", c->dir, name);
	int err = write_whole(path, text, strlen(text));

	if (err)
		die(EX_HOST, "df -h out", strerror(-err), "cannot write %s", path);
	free(path);
}

int compare_report(struct compare *c)
{
	json_t *out = json_object(), *names = test_names(c), *tests = json_array(), *counters = json_array();
	json_t *relations = json_array();
	struct tally n = { 0 };
	struct buf b = { 0 };
	char *line, *text;
	int code, none;

	if (c->expect)
		expect_check(c->expect, c->side);
	report_head(c, &b, out);
	if (c->idle)
		buf_printf(&b, "\nNOTHING CAN DIFFER: %s\n", c->idle);
	if (c->lines_all >= 0)
		buf_printf(&b, "\nChanged lines that ran: %ld of %ld%s\n", c->lines_ran, c->lines_all,
			   c->lines_ran ? "" : "; THE CHANGED CODE NEVER RAN in these tests");
	none = no_result(c, &b);
	report_tests(c, names, &n, &b, tests);
	report_counters(c, names, &b, counters);
	report_logs(c, &b, out);
	report_sizes(c, &b, out);
	report_expect(c, &n, &b, relations);
	if (c->expect && c->expect->n_plots && !c->step)
		buf_printf(&b, "\nPlots\n");
	for (int i = 0; c->expect && i < c->expect->n_plots && !c->step; i++)
		plot_write(&c->expect->plots[i], c->side, c->dir, &b);
	code = exit_code(c, &n, none);
	line = verdict_line(c, &n, code);
	put(c, "report.txt", b.s);
	put(c, "verdict", line);
	if (c->expect && !c->step) {
		char *table = table_of(c->expect, c->side);

		put(c, "table.md", table ? table : "");
		free(table);
	}
	json_object_set_new(out, "name", json_string(c->name));
	json_object_set_new(out, "verdict", json_string(line));
	json_object_set_new(out, "exit", json_integer(code));
	if (c->lines_all >= 0)
		json_object_set_new(out, "changed_lines", json_pack("{s:I, s:I}", "ran", (json_int_t)c->lines_ran, "all",
			(json_int_t)c->lines_all));
	json_object_set_new(out, "tests", tests);
	json_object_set_new(out, "summary", json_pack("{s:i, s:i, s:i, s:i, s:i}", "same", n.same, "fixed", n.fixed, "broken",
		n.broken, "new", n.fresh, "promised", n.promised));
	json_object_set_new(out, "counters", counters);
	json_object_set_new(out, "expect", relations);
	text = json_dumps(out, JSON_INDENT(1) | JSON_REAL_PRECISION(10));
	put(c, "report.json", text);
	printf("%s%s\n", c->json ? text : b.s, c->json ? "" : line);
	free(text);
	free(line);
	buf_free(&b);
	json_decref(names);
	json_decref(out);
	return code;
}
