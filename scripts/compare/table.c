// SPDX-License-Identifier: GPL-2.0
/* The values behind a change's promises as a table in Markdown, for the change's README. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"

static void add_value(struct buf *b, struct stat_of s)
{
	buf_printf(b, s.median == floor(s.median) ? "%.0f" : "%.1f", s.median);
}

/* A row, unless the test's counter has one already. */
static void add_row(struct buf *b, json_t *seen, const char *test, const char *counter, const struct side *sides)
{
	char *key = xasprintf("%s %s", test, counter);
	struct stat_of v[2];

	if (!json_object_get(seen, key) && side_counter(sides, BASE, test, counter, &v[BASE]) &&
	    side_counter(sides, CHANGED, test, counter, &v[CHANGED])) {
		buf_printf(b, "| %s | %s | ", test, counter);
		add_value(b, v[BASE]);
		buf_printf(b, " | ");
		add_value(b, v[CHANGED]);
		if (v[BASE].median)
			buf_printf(b, " | %.3g |\n", v[CHANGED].median / v[BASE].median);
		else
			buf_printf(b, " | - |\n");
	}
	json_object_set_new(seen, key, json_true());
	free(key);
}

char *table_of(const struct expect *e, const struct side *sides)
{
	json_t *seen = json_object();
	struct buf b = { 0 };

	if (e->n_relations + e->n_shows)
		buf_printf(&b, "| test | counter | base | changed | ratio |\n|---|---|---:|---:|---:|\n");
	for (int i = 0; i < e->n_relations; i++)
		add_row(&b, seen, e->relations[i].test, e->relations[i].counter, sides);
	for (int i = 0; i < e->n_shows; i++)
		add_row(&b, seen, e->shows[i].test, e->shows[i].counter, sides);
	if (e->n_broken)
		buf_printf(&b, "%s| test | base | changed |\n|---|---|---|\n", b.len ? "\n" : "");
	for (int i = 0; i < e->n_broken; i++) {
		const char *base = side_status(&sides[BASE], e->broken[i].test, NULL);
		const char *changed = side_status(&sides[CHANGED], e->broken[i].test, NULL);

		buf_printf(&b, "| %s | %s | %s |\n", e->broken[i].test, base ? base : "-", changed ? changed : "-");
	}
	json_decref(seen);
	return b.s;
}
