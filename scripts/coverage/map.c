// SPDX-License-Identifier: GPL-2.0
/*
 * Which tests execute which line, of a run of all of them, for make run T=@changed: written after each such run, and asked for
 * the lines of an edit. One entry a line:
 *   test NAME                  tests have numbers from 0, in this order
 *   set HEX                    of tests, 64 a word, words separated by blanks; numbers from 0
 *   file PATH                  what follows is about this file
 *   fn START END NAME          a function's lines
 *   ln NR SET IDLE             a line with code; IDLE: 1 if boot, or a process that does nothing, executes it
 * An edit of lines with code concerns the tests that execute them; one between such lines, or of others, those that execute the
 * line before or behind it: what is new has no record of its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cover.h"

struct set {
	const uint64_t *bits;
	int nr;
};

static int by_bits_n;

static int by_bits(const void *a, const void *b)
{
	return memcmp(((const struct set *)a)->bits, ((const struct set *)b)->bits, by_bits_n * sizeof(uint64_t));
}

void map_write(const struct cover *c, const char *path)
{
	struct set *sets = xcalloc(c->n_lines + 1, sizeof(*sets));
	int *set_of = xcalloc(c->n_lines + 1, sizeof(*set_of)), n_sets = 0;
	struct buf b = { 0 };

	by_bits_n = c->n_tests / 64 + 1;
	for (int t = 0; t < c->n_tests; t++)
		buf_printf(&b, "test %s\n", c->tests[t]);
	for (int i = 0; i < c->n_lines; i++)
		sets[i] = (struct set){ c->lines[i].tests, i };
	qsort(sets, c->n_lines, sizeof(*sets), by_bits);
	for (int i = 0; i < c->n_lines; i++) {
		if (!i || by_bits(&sets[i - 1], &sets[i])) {
			buf_printf(&b, "set");
			for (int w = 0; w < by_bits_n; w++)
				buf_printf(&b, " %llx", (unsigned long long)sets[i].bits[w]);
			buf_printf(&b, "\n");
			n_sets++;
		}
		set_of[sets[i].nr] = n_sets - 1;
	}
	for (int f = 0; f < c->n_files; f++) {
		if (!c->files[f].instrumented)
			continue;
		buf_printf(&b, "file %s\n", c->files[f].path);
		for (int i = 0; i < c->n_functions; i++)
			if (c->functions[i].file == f)
				buf_printf(&b, "fn %d %d %s\n", c->functions[i].start, c->functions[i].end, c->functions[i].name);
		for (int nr = 1; nr <= c->files[f].n_lines; nr++) {
			int l = c->files[f].line[nr];

			if (l >= 0)
				buf_printf(&b, "ln %d %d %d\n", nr, set_of[l], c->lines[l].idle);
		}
	}
	if (write_whole(path, b.s, b.len))
		die(EX_HOST, "df -h build", strerror(errno), "%s cannot be written", path);
	buf_free(&b);
	free(sets);
	free(set_of);
}

/* ---- asked ---- */

struct mfn {
	int start, end;
	char *name;
	bool said;
};

struct mline {
	int nr, set;
	bool idle;
};

struct mfile {
	char *path;
	struct mfn *fns;
	struct mline *lines;
	int n_fns, n_lines;
};

struct map {
	char **tests;
	uint64_t **sets;
	struct mfile *files;
	int n_tests, n_sets, n_files;
	uint64_t *hit;		/* tests that the edit concerns */
	bool idle;		/* what each test's start executes is edited */
};

static uint64_t *words_of(const char *s, int n)
{
	uint64_t *w = xcalloc(n, sizeof(*w));
	char *end;

	for (int i = 0; i < n; i++, s = end)
		w[i] = strtoull(s, &end, 16);
	return w;
}

static bool map_line(struct map *m, const char *s)
{
	struct mfile *f = m->n_files ? &m->files[m->n_files - 1] : NULL;
	int a, b, c, at = 0;

	if (!strncmp(s, "test ", 5)) {
		m->tests = grow(m->tests, m->n_tests, sizeof(*m->tests));
		m->tests[m->n_tests++] = xasprintf("%s", s + 5);
	} else if (!strncmp(s, "set ", 4)) {
		m->sets = grow(m->sets, m->n_sets, sizeof(*m->sets));
		m->sets[m->n_sets++] = words_of(s + 4, m->n_tests / 64 + 1);
	} else if (!strncmp(s, "file ", 5)) {
		m->files = grow(m->files, m->n_files, sizeof(*m->files));
		m->files[m->n_files++] = (struct mfile){ .path = xasprintf("%s", s + 5) };
	} else if (f && sscanf(s, "fn %d %d %n", &a, &b, &at) == 2 && at) {
		f->fns = grow(f->fns, f->n_fns, sizeof(*f->fns));
		f->fns[f->n_fns++] = (struct mfn){ a, b, xasprintf("%s", s + at), false };
	} else if (f && sscanf(s, "ln %d %d %d", &a, &b, &c) == 3 && b < m->n_sets) {
		f->lines = grow(f->lines, f->n_lines, sizeof(*f->lines));
		f->lines[f->n_lines++] = (struct mline){ a, b, c };
	} else {
		return false;
	}
	return true;
}

static void map_read(struct map *m, const char *path)
{
	char *text = read_whole(path, NULL), *save = NULL;
	int nr = 0;

	if (!text)
		die(EX_USAGE, "make map", NULL, "there is no %s", path);
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		nr++;
		if (!map_line(m, l))
			die(EX_BUILD, "make map", NULL, "%s:%d: '%.40s' is no line of a map", path, nr, l);
	}
	free(text);
	m->hit = xcalloc(m->n_tests / 64 + 1, sizeof(*m->hit));
}

static void take(struct map *m, const struct mline *l)
{
	for (int w = 0; w <= m->n_tests / 64; w++)
		m->hit[w] |= m->sets[l->set][w];
	m->idle |= l->idle;
}

/* The function that both lines are in, or NULL; of several (a macro makes more than one) the first. */
static struct mfn *function_at(struct mfile *f, int from, int to)
{
	for (int i = 0; i < f->n_fns; i++)
		if (f->fns[i].start <= from && f->fns[i].end >= to)
			return &f->fns[i];
	return NULL;
}

static bool is_comment(const char *line, size_t len)
{
	if (len >= 2 && line[0] == '/' && line[1] == '/')
		return true;
	if (len >= 2 && line[0] == '/' && line[1] == '*')
		return !memmem(line, len, "*/", 2) || (line[len - 2] == '*' && line[len - 1] == '/');
	return len && line[0] == '*' && (len == 1 || line[1] == ' ' || line[1] == '/');
}

/* Nothing but blank lines and comments, in the @n lines of a hunk. */
static bool says_nothing(const char *hunk, int n)
{
	const char *line;
	size_t len;

	while (n > 0 && text_line(&hunk, &line, &len)) {
		if (*line == '\\')
			continue;
		for (n--, line++, len--; len && (*line == ' ' || *line == '\t'); line++, len--)
			;
		if (len && !is_comment(line, len))
			return false;
	}
	return true;
}

static void concern(struct map *m, struct mfile *f, int old_at, int old_n)
{
	int from = old_at, to = old_n ? old_at + old_n - 1 : old_at + 1;
	struct mfn *fn = function_at(f, from, to);
	const struct mline *before = NULL;
	bool own = false;

	if (!fn) {
		printf("all %s:%d is outside of functions\n", f->path, from);
		return;
	}
	if (!fn->said)
		printf("function %s\n", fn->name);
	fn->said = true;
	for (int i = 0; old_n && i < f->n_lines; i++)
		if (f->lines[i].nr >= from && f->lines[i].nr <= to) {
			take(m, &f->lines[i]);
			own = true;
		}
	if (own)
		return;
	for (int i = 0; i < f->n_lines && f->lines[i].nr <= fn->end; i++) {
		if (f->lines[i].nr < fn->start)
			continue;
		if (f->lines[i].nr <= from) {
			before = &f->lines[i];
		} else {
			take(m, &f->lines[i]);
			break;
		}
	}
	if (before)
		take(m, before);
}

static void ask_hunk(void *arg, const struct hunk *h)
{
	struct map *m = arg;
	int f = 0;

	if (says_nothing(h->lines, h->old_n + h->new_n))
		return;
	while (f < m->n_files && strcmp(m->files[f].path, h->path))
		f++;
	if (f == m->n_files)
		printf("all %s is not in the map\n", h->path);
	else
		concern(m, &m->files[f], h->old_at, h->old_n);
}

int map_ask(const char *path)
{
	char *diff = read_whole("/dev/stdin", NULL);
	struct map m = { 0 };

	map_read(&m, path);
	diff_read(diff, ask_hunk, &m);
	for (int t = 0; t < m.n_tests; t++)
		if (m.hit[t / 64] >> t % 64 & 1)
			printf("test %s\n", m.tests[t]);
	if (m.idle)
		printf("start\n");
	free(diff);
	return EX_PASS;
}
