// SPDX-License-Identifier: GPL-2.0
/* lcov's tracefile (geninfo(1)): for each test what it executed, and once, under an empty test name, every line there is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cover.h"

struct tracefile {
	FILE *f;
	const char *path;
	bool changed_only;
};

static bool wanted(const struct cover *c, const struct tracefile *t, const struct line *l)
{
	return !t->changed_only || c->files[l->file].changed[l->nr];
}

/* TN: takes letters, digits and underscores. */
static void test_name(FILE *f, const char *name)
{
	fputs("TN:", f);
	for (; *name; name++)
		fputc(strchr(".-()", *name) ? '_' : *name, f);
	fputc('\n', f);
}

static void functions(const struct cover *c, struct tracefile *t, int file, bool all)
{
	for (int i = 0; i < c->n_functions && !t->changed_only; i++) {
		const struct function *f = &c->functions[i];

		if (f->file != file || (!all && !c->now_entered[i]))
			continue;
		fprintf(t->f, "FN:%d,%s\nFNDA:%llu,%s\n", f->start, f->name,
			all ? 0ULL : (unsigned long long)c->now_entered[i], f->name);
	}
}

static void lines(const struct cover *c, struct tracefile *t, int file, bool all)
{
	const struct source *s = &c->files[file];

	for (int nr = 1; nr <= s->n_lines; nr++) {
		int at = s->line[nr];

		if (at < 0 || (!all && !c->now[at]) || !wanted(c, t, &c->lines[at]))
			continue;
		for (int b = c->lines[at].branches; b >= 0; b = c->branches[b].next)
			if (all)
				fprintf(t->f, "BRDA:%d,0,%d,-\n", nr, c->branches[b].nr);
			else
				fprintf(t->f, "BRDA:%d,0,%d,%llu\n", nr, c->branches[b].nr,
					(unsigned long long)c->branches[b].now);
		fprintf(t->f, "DA:%d,%llu\n", nr, all ? 0ULL : (unsigned long long)c->now[at]);
	}
}

static bool any(const struct cover *c, const struct tracefile *t, int file, bool all)
{
	for (int i = 0; i < c->n_lines; i++)
		if (c->lines[i].file == file && (all || c->now[i]) && wanted(c, t, &c->lines[i]))
			return true;
	return false;
}

static void record(const struct cover *c, struct tracefile *t, const char *name, bool all)
{
	for (int i = 0; i < c->n_files; i++) {
		if (!any(c, t, i, all))
			continue;
		test_name(t->f, name);
		fprintf(t->f, "SF:%s\n", c->files[i].path);
		functions(c, t, i, all);
		lines(c, t, i, all);
		fputs("end_of_record\n", t->f);
	}
}

void tracefile_window(struct cover *c, int test, void *arg)
{
	record(c, arg, c->tests[test], false);
}

struct tracefile *tracefile_open(const char *path, bool changed_only)
{
	struct tracefile *t = xcalloc(1, sizeof(*t));

	*t = (struct tracefile){ .f = fopen(path, "we"), .path = path, .changed_only = changed_only };
	if (!t->f)
		die(EX_HOST, "df -h out", strerror(errno), "cannot write %s", path);
	return t;
}

void tracefile_close(struct cover *c, struct tracefile *t)
{
	record(c, t, "", true);
	if (fclose(t->f))
		die(EX_HOST, "df -h out", strerror(errno), "cannot write %s", t->path);
	free(t);
}
