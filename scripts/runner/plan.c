// SPDX-License-Identifier: GPL-2.0
/* Which tests there are (tests.list of the guest build) and which of them T= selects. */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"

/* The attributes of a test; false if one is none. */
static bool take_attributes(struct test *t)
{
	char *copy = xasprintf("%s", t->attributes), *save = NULL, *word;
	bool ok = true;

	for (word = strtok_r(copy, " ", &save); word && ok; word = strtok_r(NULL, " ", &save)) {
		if (!strcmp(word, "alone"))
			t->alone = true;
		else if (!strcmp(word, "upstream"))
			t->upstream = true;
		else if (!strcmp(word, "quick"))
			t->quick = true;
		else if (!strcmp(word, "asked"))
			t->asked = true;
		else
			ok = !strcmp(word, "-") || sscanf(word, "limit=%lf", &t->limit) == 1 || sscanf(word, "cpus=%d", &t->cpus) == 1;
	}
	free(copy);
	return ok;
}

bool plan_add(struct plan *p, const char *line)
{
	struct test t = { .of = -1, .now.cause = -1, .kept.cause = -1 };
	char *learned;

	if (sscanf(line, "%m[^\t]\t%m[^\t]\t%m[^\t]\t%m[^\t]\t%m[^\n]", &t.name, &t.program, &t.harness, &t.attributes,
		   &t.purpose) != LIST_COLUMNS || !take_attributes(&t))
		return false;
	learned = strchr(t.purpose, '\t');
	if (learned) {
		*learned = '\0';
		t.learned = strtod(learned + 1, NULL);
	}
	p->tests = grow(p->tests, p->n, sizeof(t));
	p->tests[p->n++] = t;
	return true;
}

char *plan_line(const struct test *t)
{
	return xasprintf("%s\t%s\t%s\t%s\t%s\t%g", t->name, t->program, t->harness, t->attributes, t->purpose, t->learned);
}

void plan_read(struct plan *all, const char *path)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t cap = 0;
	int nr = 0;

	if (!f)
		die(EX_USAGE, "make build", strerror(errno), "no list of tests at %s", path);
	*all = (struct plan){ 0 };
	while (getline(&line, &cap, f) > 0) {
		nr++;
		line[strcspn(line, "\n")] = '\0';
		if (!plan_add(all, line))
			die(EX_USAGE, "make clean build", xasprintf("%s:%d: %s", path, nr, line), "malformed line in the list of tests");
	}
	free(line);
	fclose(f);
}

void outcome_clear(struct outcome *o)
{
	free(o->reason);
	buf_free(&o->log);
	buf_free(&o->counters);
	buf_free(&o->trace);
	buf_free(&o->reports);
	*o = (struct outcome){ .cause = -1 };
}

const char *status_word(enum status s)
{
	static const char *const words[] = {
		[ST_NOTRUN] = "NOTRUN", [ST_PASS] = "PASS", [ST_SKIP] = "SKIP", [ST_KNOWN] = "KNOWN", [ST_FAIL] = "FAIL", [ST_TIMEOUT] = "TIMEOUT",
		[ST_REPORT] = "CRASH",
	};

	return words[s];
}

/* Levenshtein distance of two short names. */
static int distance(const char *a, const char *b)
{
	int row[128], la = strlen(a), lb = strlen(b), i, j;

	if (lb >= 127)
		return 1000;
	for (j = 0; j <= lb; j++)
		row[j] = j;
	for (i = 1; i <= la; i++) {
		int diag = row[0];

		row[0] = i;
		for (j = 1; j <= lb; j++) {
			int best = diag + (a[i - 1] != b[j - 1]);

			diag = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[lb];
}

static void unknown_test(const struct plan *all, const char *glob)
{
	const struct test *best = NULL;
	int best_d = 1000;
	char *because;

	for (int i = 0; i < all->n; i++) {
		const struct test *t = &all->tests[i];
		int d = strstr(t->name, glob) ? 0 : distance(glob, t->name);

		if (d < best_d) {
			best_d = d;
			best = t;
		}
	}
	because = xasprintf("none of the %d tests matches", all->n);
	if (best)
		die(EX_USAGE, xasprintf("make run T=%s   (make list shows all)", best->name), because, "no test '%s'", glob);
	die(EX_USAGE, "make list", because, "no test '%s'", glob);
}

static bool kit_own(const struct test *t)
{
	return !strncmp(t->name, "kit.", 4);
}

/* Whether it runs where no test is named. */
static bool by_default(const struct test *t)
{
	return !kit_own(t) && (!t->upstream || t->quick);
}

void plan_select(struct plan *out, const struct plan *all, const char *globs)
{
	bool *taken = xcalloc(all->n + 1, sizeof(*taken));
	char *copy = xasprintf("%s", globs ? globs : ""), *save = NULL, *glob;
	bool any = false;

	for (glob = strtok_r(copy, ", \t\n", &save); glob; glob = strtok_r(NULL, ", \t\n", &save)) {
		bool hit = false;

		any = true;
		for (int i = 0; i < all->n; i++) {
			struct test *t = &all->tests[i];

			if (fnmatch(glob, t->name, 0) || (kit_own(t) && strncmp(glob, "kit.", 4)) ||
			    (t->asked && strcmp(glob, t->name)))
				continue;
			hit = taken[i] = true;
		}
		if (!hit)
			unknown_test(all, glob);
	}
	*out = (struct plan){ .tests = xcalloc(all->n + 1, sizeof(struct test)) };
	for (int i = 0; i < all->n; i++)
		if (any ? taken[i] : by_default(&all->tests[i]))
			out->tests[out->n++] = all->tests[i];
	if (!out->n)
		die(EX_USAGE, "make list", "the guest was built without tests", "no test selected");
	free(taken);
	free(copy);
}

void plan_first(struct plan *p, const char *path)
{
	char *text = read_whole(path, NULL), *save = NULL;
	int at = 0;

	if (!text)
		die(EX_USAGE, "make run", strerror(errno), "cannot read %s", path);
	for (char *name = strtok_r(text, "\n", &save); name; name = strtok_r(NULL, "\n", &save))
		for (int i = at; i < p->n; i++) {
			struct test t = p->tests[i];

			if (strcmp(t.name, name))
				continue;
			memmove(&p->tests[at + 1], &p->tests[at], (i - at) * sizeof(t));
			p->tests[at++] = t;
			break;
		}
	free(text);
}
