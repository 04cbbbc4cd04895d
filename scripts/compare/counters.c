// SPDX-License-Identifier: GPL-2.0
/* The counters that differ: as a table of the report, and all of them for the JSON. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"

#define COUNTER_ROWS	24	/* in the text; all are in the JSON, and in the text with V=1 */
#define SCORE_MIN	10	/* of a row in the text while runs are too few to tell what varies by itself */
#define RUNS_ENOUGH	3

struct row {
	const char *test, *counter;
	struct stat_of v[2];
	double score;		/* how much it says: the difference against what chance does to a count of that size */
};

/* All names of counters that a test has on either side. */
static json_t *counter_names(const struct compare *c, const char *test)
{
	json_t *names = json_object(), *v;
	const char *key;

	for (int s = 0; s < 2; s++)
		for (int i = 0; i < c->side[s].n; i++)
			json_object_foreach(json_object_get(side_test(&c->side[s], i, test), "counters"), key, v)
				json_object_set_new(names, key, json_true());
	return names;
}

static void add_row(struct row **rows, int *n, struct row r)
{
	double d = r.v[CHANGED].median - r.v[BASE].median;

	if (*n % 1024 == 0) {
		*rows = realloc(*rows, (*n + 1024) * sizeof(**rows));
		if (!*rows)
			die(EX_HOST, NULL, NULL, "out of memory");
	}
	r.score = d * d / (fabs(r.v[BASE].median) + fabs(r.v[CHANGED].median) + 1);
	(*rows)[(*n)++] = r;
}

/* The rows that differ, of tests that ended alike; @all counts the others too. */
static struct row *counter_rows(const struct compare *c, json_t *names, json_t *keep, int *n, int *all)
{
	struct row *rows = NULL;
	json_t *v, *unused;
	size_t i;

	*n = *all = 0;
	json_array_foreach(names, i, v) {
		const char *test = json_string_value(v), *counter;
		const char *base = side_status(&c->side[BASE], test, NULL);
		const char *changed = side_status(&c->side[CHANGED], test, NULL);
		json_t *counters;

		if (!status_passed(base) || !status_passed(changed))
			continue;
		counters = counter_names(c, test);
		json_array_append_new(keep, counters);
		json_object_foreach(counters, counter, unused) {
			struct row r = { .test = test, .counter = counter };

			for (int s = 0; s < 2; s++)
				side_counter(c->side, s, test, counter, &r.v[s]);
			(*all)++;
			if (r.v[BASE].median != r.v[CHANGED].median)
				add_row(&rows, n, r);
		}
	}
	return rows;
}

static int by_score(const void *a, const void *b)
{
	const struct row *p = a, *q = b;

	if (p->score != q->score)
		return p->score < q->score ? 1 : -1;
	return strcmp(p->test, q->test) ? strcmp(p->test, q->test) : strcmp(p->counter, q->counter);
}

static char *plain(double v)
{
	return v == floor(v) && fabs(v) < 1e15 ? xasprintf("%.0f", v) : xasprintf("%.1f", v);
}

static void counter_line(struct buf *b, const struct row *r)
{
	double base = r->v[BASE].median, changed = r->v[CHANGED].median;
	char *sb = plain(base), *sc = plain(changed), *d = plain(fabs(changed - base));
	char *ratio = base > 0 ? xasprintf("%.3g", changed / base) : xasprintf("-");

	if (strlen(r->counter) > 35)
		buf_printf(b, "    %s\n    %-35s", r->counter, "");
	else
		buf_printf(b, "    %-35s", r->counter);
	buf_printf(b, " %10s %10s %c%-9s %7s\n", sb, sc, changed < base ? '-' : '+', d, ratio);
	if (r->v[BASE].min != r->v[BASE].max || r->v[CHANGED].min != r->v[CHANGED].max)
		buf_printf(b, "      min..max: base %.10g..%.10g, changed %.10g..%.10g\n", r->v[BASE].min, r->v[BASE].max,
			   r->v[CHANGED].min, r->v[CHANGED].max);
	free(sb);
	free(sc);
	free(d);
	free(ratio);
}

/* Not for the text: the zones' counts repeat the nodes', everything that runs moves the free pages, and what varies from run
 * to run as much as from side to side says nothing; nor does a small difference as long as that is not known, or a time. */
static bool dull(const struct row *r)
{
	if (!strncmp(r->counter, "vmstat:nr_zone_", 15) || !strcmp(r->counter, "vmstat:nr_free_pages"))
		return true;
	if (r->v[BASE].n < RUNS_ENOUGH)
		return r->score < SCORE_MIN || !strncmp(r->counter, "hold:", 5);
	return r->v[BASE].min <= r->v[CHANGED].max && r->v[CHANGED].min <= r->v[BASE].max;
}

json_t *stat_json(struct stat_of s)
{
	return json_pack("{s:f, s:f, s:f, s:i}", "min", s.min, "median", s.median, "max", s.max, "n", s.n);
}

void report_counters(const struct compare *c, json_t *names, struct buf *b, json_t *out)
{
	json_t *keep = json_array();
	int n, all, top = 0, most = c->verbose ? 1 << 30 : COUNTER_ROWS;
	struct row *rows = counter_rows(c, names, keep, &n, &all);
	bool *printed = xcalloc(n + 1, sizeof(*printed));

	if (n)
		qsort(rows, n, sizeof(*rows), by_score);
	buf_printf(b, "\nCounters, medians of %d run(s)          %10s %10s %-10s %7s\n", c->side[BASE].n, "base", "changed",
		   "difference", "ratio");
	for (int i = 0; i < n; i++)
		json_array_append_new(out, json_pack("{s:s, s:s, s:o, s:o, s:f, s:o}", "test", rows[i].test, "counter",
			rows[i].counter, "base", stat_json(rows[i].v[BASE]), "changed", stat_json(rows[i].v[CHANGED]), "difference",
			rows[i].v[CHANGED].median - rows[i].v[BASE].median, "ratio", rows[i].v[BASE].median ?
			json_real(rows[i].v[CHANGED].median / rows[i].v[BASE].median) : json_null()));
	for (int i = 0; i < n && top < most; i++)
		if (c->verbose || !dull(&rows[i]))
			rows[top++] = rows[i];
	/* Test by test, in the order of the largest row of each. */
	for (int i = 0; i < top; i++) {
		if (printed[i])
			continue;
		buf_printf(b, "  %s\n", rows[i].test);
		for (int j = i; j < top; j++) {
			if (printed[j] || strcmp(rows[j].test, rows[i].test))
				continue;
			counter_line(b, &rows[j]);
			printed[j] = true;
		}
	}
	buf_printf(b, "  %d of %d differ%s\n", n, all, top < n ? "; shown are the largest, report.json has all" : "");
	free(rows);
	free(printed);
	json_decref(keep);
}
