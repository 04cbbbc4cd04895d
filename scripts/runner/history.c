// SPDX-License-Identifier: GPL-2.0
/*
 * What each test took in earlier runs that passed, by profile and tool: out/history/PROFILE.TOOL, "NAME<tab>SECONDS" lines. A test
 * that hangs is told from a slow one by it long before the limit that holds for all.
 */
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "results.h"
#include "tool.h"

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct test *)a)->name, ((const struct test *)b)->name);
}

static char *path_of(const struct options *o)
{
	return xasprintf("out/history/%s.%s", o->profile ? o->profile : "unknown", o->tool->name);
}

/* Call @take with each line of the file that names a test. */
static void each(const char *path, void (*take)(void *arg, const char *name, double s), void *arg)
{
	char *all = read_whole(path, NULL), *save = NULL;

	for (char *l = all ? strtok_r(all, "\n", &save) : NULL; l; l = strtok_r(NULL, "\n", &save)) {
		char *tab = strchr(l, '\t');

		if (!tab)
			continue;
		*tab = '\0';
		take(arg, l, strtod(tab + 1, NULL));
	}
	free(all);
}

static void learn(void *arg, const char *name, double s)
{
	struct test want = { .name = (char *)name }, **t = tfind(&want, arg, by_name);

	if (t)
		(*t)->learned = s;
}

static void *tree_of(const struct plan *plan)
{
	void *tree = NULL;

	for (int i = 0; i < plan->n; i++)
		if (!tsearch(&plan->tests[i], &tree, by_name))
			die(EX_HOST, NULL, NULL, "out of memory");
	return tree;
}

static void keep(void *node)
{
	(void)node;
}

void history_read(struct plan *plan, const struct options *o)
{
	char *path = path_of(o);
	void *tree = tree_of(plan);

	each(path, learn, &tree);
	tdestroy(tree, keep);
	free(path);
}

struct merge {
	struct buf out;
	void *tree;
};

/* Lines about tests that did not run this time stay. */
static void carry(void *arg, const char *name, double s)
{
	struct merge *m = arg;
	struct test want = { .name = (char *)name };

	if (!tfind(&want, &m->tree, by_name))
		buf_printf(&m->out, "%s\t%.3f\n", name, s);
}

void history_write(const struct verdict *v, const struct options *o)
{
	char *path = path_of(o);
	struct merge m = { .tree = tree_of(&v->plan) };
	int err;

	each(path, carry, &m);
	for (int i = 0; i < v->planned; i++) {
		const struct test *t = &v->plan.tests[i];
		double s = t->learned;

		/* The slowest of the last few: one quick run does not make the limit short. */
		if (t->kept.status == ST_PASS)
			s = t->kept.ms / 1000 > s ? t->kept.ms / 1000 : (3 * s + t->kept.ms / 1000) / 4;
		if (s > 0)
			buf_printf(&m.out, "%s\t%.3f\n", t->name, s);
	}
	mkdir("out/history", 0755);
	err = write_whole(path, m.out.s ? m.out.s : "", m.out.len);
	if (err)
		fprintf(stderr, "mmuml: warning: %s: %s\n", path, strerror(-err));
	tdestroy(m.tree, keep);
	buf_free(&m.out);
	free(path);
}
