// SPDX-License-Identifier: GPL-2.0
/*
 * Instructions of one test: what cachegrind counted in the boot that ran it, less what it counted in one that only started its
 * program. Both are the same to the bit but for the test, so the difference is the test. And what each function costs with all
 * that it calls, which kcalls (scripts/kcalls/) has counted between the markers of the test.
 */
#include <errno.h>
#include <fnmatch.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "decode.h"
#include "plot.h"
#include "runner.h"

#define TOP		25	/* functions on the terminal */
#define ENTRIES		"sys_*|handle_page_fault"	/* into the kernel; shown with what they call */

/* A line of source in one function; the function's own sum has line 0. */
struct spot {
	char *fn, *file;
	long line, n;
};

struct counts {
	void *tree;		/* of struct spot, by fn, file, line */
	struct spot **all;
	size_t nr;
};

static int compare(const void *a, const void *b)
{
	const struct spot *x = a, *y = b;
	int d = strcmp(x->fn, y->fn);

	if (!d)
		d = strcmp(x->file, y->file);
	if (!d)
		d = x->line < y->line ? -1 : x->line > y->line;
	return d;
}

static struct spot *find(struct counts *c, const char *fn, const char *file, long line)
{
	struct spot key = { .fn = (char *)fn, .file = (char *)file, .line = line }, *p, **at;

	at = tsearch(&key, &c->tree, compare);
	if (!at)
		die(EX_HOST, NULL, NULL, "out of memory");
	if (*at != &key)
		return *at;
	p = xcalloc(1, sizeof(*p));
	*p = (struct spot){ .fn = xasprintf("%s", fn), .file = xasprintf("%s", file), .line = line };
	*at = p;
	c->all = grow(c->all, c->nr, sizeof(*c->all));
	c->all[c->nr++] = p;
	return p;
}

/* Add the counts of one file of cachegrind, times @sign; false if it is none. */
static bool add_file(struct counts *c, const char *path, int sign)
{
	char *line = NULL, *file = xasprintf("?"), *fn = xasprintf("?");
	size_t cap = 0;
	bool whole = false;
	long nr, n;
	FILE *f = fopen(path, "re");

	while (f && getline(&line, &cap, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "fl=", 3)) {
			free(file);
			file = xasprintf("%s", decode_short_path(line + 3));
		} else if (!strncmp(line, "fn=", 3)) {
			free(fn);
			fn = xasprintf("%s", line + 3);
		} else if (sscanf(line, "%ld %ld", &nr, &n) == 2) {
			find(c, fn, file, nr)->n += sign * n;
		} else if (!strncmp(line, "summary:", 8)) {
			whole = true;
		}
	}
	if (f)
		fclose(f);
	free(line);
	free(file);
	free(fn);
	return whole;
}

/* ---- sums ---- */

struct sum {
	const char *name, *file;
	long n, most;
};

static int by_name(const void *a, const void *b)
{
	const struct spot *x = *(struct spot *const *)a, *y = *(struct spot *const *)b;

	return compare(x, y);
}

static int by_count(const void *a, const void *b)
{
	const struct sum *x = a, *y = b;

	if (x->n != y->n)
		return x->n < y->n ? 1 : -1;
	return strcmp(x->name, y->name);
}

static bool is_source(const char *file)
{
	size_t n = strlen(file);

	return n > 2 && !strcmp(file + n - 2, ".c");
}

/* One sum per function: inlined code counts for the function that it is in, whose file is the .c file that has most of it. */
static struct sum *functions(struct counts *c, size_t *nr)
{
	struct sum *sums = xcalloc(c->nr + 1, sizeof(*sums)), *s = NULL;
	const char *file = NULL;
	long in_file = 0;

	qsort(c->all, c->nr, sizeof(*c->all), by_name);
	for (size_t i = 0; i < c->nr; i++) {
		const struct spot *p = c->all[i];

		if (!s || strcmp(s->name, p->fn)) {
			s = s ? s + 1 : sums;
			s->name = p->fn;
			s->file = p->file;
			file = NULL;
		}
		if (!file || strcmp(file, p->file)) {
			file = p->file;
			in_file = 0;
		}
		s->n += p->n;
		in_file += labs(p->n);
		if (is_source(file) && (!is_source(s->file) || in_file > s->most)) {
			s->file = file;
			s->most = in_file;
		}
	}
	*nr = s ? s - sums + 1 : 0;
	return sums;
}

/* ---- what is told ---- */

static bool below_mm(const char *file)
{
	return !strncmp(file, "mm/", 3);
}

static bool wanted(const char *fn, const char *globs)
{
	char *copy = xasprintf("%s", globs), *save = NULL, *g;
	bool hit = false;

	for (g = strtok_r(copy, "|, ", &save); g && !hit; g = strtok_r(NULL, "|, ", &save))
		hit = !fnmatch(g, fn, 0);
	free(copy);
	return hit;
}

/* Functions and files below mm/ as counters, for results.json and make compare: not all, for UML prints pids of the host. */
static void as_counters(const struct sum *s, size_t nr, struct buf *out)
{
	struct { const char *file; long n; } files[512];
	size_t n_files = 0, k;
	long mm = 0;

	for (size_t i = 0; i < nr; i++) {
		if (!below_mm(s[i].file) || !s[i].n)
			continue;
		mm += s[i].n;
		buf_printf(out, "counter ir:%s %ld\n", s[i].name, s[i].n);
		for (k = 0; k < n_files && strcmp(files[k].file, s[i].file); k++)
			;
		if (k == n_files && n_files < sizeof(files) / sizeof(files[0]))
			files[n_files++].file = s[i].file, files[k].n = 0;
		if (k < n_files)
			files[k].n += s[i].n;
	}
	for (k = 0; k < n_files; k++)
		buf_printf(out, "counter ir:%s %ld\n", files[k].file, files[k].n);
	buf_printf(out, "counter ir:mm/ %ld\n", mm);
}

/* Line NR of a file of the tree, without its indentation, malloc'ed. */
static char *source_line(const char *tree, const char *file, long nr)
{
	char *path = xasprintf("%s/%s", tree ? tree : ".", file), *line = NULL;
	size_t cap = 0;
	FILE *f = fopen(path, "re");

	while (f && nr > 0 && getline(&line, &cap, f) > 0)
		nr--;
	if (f)
		fclose(f);
	free(path);
	if (!line || nr)
		return xasprintf("%s", "");
	line[strcspn(line, "\n")] = '\0';
	return line;
}

/* Every line of the functions that F= names. */
static void lines(const struct counts *c, const char *globs, const char *tree, FILE *out)
{
	const char *fn = "", *file = "";

	for (size_t i = 0; i < c->nr; i++) {
		const struct spot *p = c->all[i];
		char *text;

		if (!p->n || !wanted(p->fn, globs))
			continue;
		if (strcmp(fn, p->fn) || strcmp(file, p->file))
			fprintf(out, "\n%s (%s)\n", p->fn, p->file);
		fn = p->fn;
		file = p->file;
		text = source_line(tree, p->file, p->line);
		fprintf(out, "%12ld %6ld %s\n", p->n, p->line, text);
		free(text);
	}
}

static void table(const struct sum *s, size_t nr, const char *globs, size_t most, FILE *out)
{
	fprintf(out, "%14s  %s\n", "instructions", "function");
	for (size_t i = 0; i < nr && most; i++) {
		if (!s[i].n || (globs ? !wanted(s[i].name, globs) : !below_mm(s[i].file) && out == stdout))
			continue;
		fprintf(out, "%14ld  %s (%s)\n", s[i].n, s[i].name, s[i].file);
		most--;
	}
}

/* ---- with what they call ---- */

/* A function's calls in one test. */
struct whole {
	char fn[128], file[256];
	long calls, n;
};

static int by_whole(const void *a, const void *b)
{
	const struct whole *x = a, *y = b;

	if (x->n != y->n)
		return x->n < y->n ? 1 : -1;
	return strcmp(x->fn, y->fn);
}

/* What kcalls wrote, malloc'ed; NULL if it did not come to its end. */
static struct whole *read_whole_calls(const char *path, size_t *nr)
{
	struct whole *all = NULL, w = { 0 };
	char *line = NULL;
	size_t cap = 0;
	bool whole = false;
	FILE *f = fopen(path, "re");

	*nr = 0;
	while (f && getline(&line, &cap, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		whole = !strcmp(line, "# whole");
		if (sscanf(line, "# %127s %ld %ld", w.fn, &w.calls, &w.n) == 3 || strncmp(line, "fl=", 3) || !w.n)
			continue;
		snprintf(w.file, sizeof(w.file), "%s", decode_short_path(line + 3));
		all = grow(all, *nr, sizeof(*all));
		all[(*nr)++] = w;
		w.n = 0;
	}
	if (f)
		fclose(f);
	free(line);
	if (!whole) {
		free(all);
		return NULL;
	}
	qsort(all, *nr, sizeof(*all), by_whole);
	return all;
}

static void whole_table(const struct whole *all, size_t nr, const char *globs, size_t most, FILE *out)
{
	fprintf(out, "%14s %10s %14s  %s\n", "with callees", "calls", "a call", "function");
	for (size_t i = 0; i < nr && most; i++) {
		if (!all[i].calls || (globs && !wanted(all[i].fn, globs)))
			continue;
		fprintf(out, "%14ld %10ld %14ld  %s (%s)\n", all[i].n, all[i].calls, all[i].n / all[i].calls, all[i].fn,
			all[i].file);
		most--;
	}
}

/* Functions below mm/ and entries into the kernel as counters. */
static void whole_counters(const struct whole *all, size_t nr, struct buf *out)
{
	for (size_t i = 0; i < nr; i++) {
		if (!all[i].calls || (!below_mm(all[i].file) && !wanted(all[i].fn, ENTRIES)))
			continue;
		buf_printf(out, "counter incl:%s %ld\n", all[i].fn, all[i].n);
		buf_printf(out, "counter calls:%s %ld\n", all[i].fn, all[i].calls);
	}
}

/* ---- a test ---- */

void ir_report(const struct options *o, const char *run_dir, const char *test, int boot, int dry, int calls, struct buf *counters)
{
	char *a = xasprintf("%s/cachegrind.%d.out", run_dir, boot), *b = xasprintf("%s/cachegrind.%d.out", run_dir, dry);
	char *k = xasprintf("%s/calls.%d.%s", run_dir, calls, test), *to = xasprintf("%s/callgrind.out.%s", run_dir, test);
	char *path = xasprintf("%s/profile.txt", run_dir);
	const char *globs = getenv("F");
	struct counts c = { 0 };
	struct whole *w;
	struct sum *s;
	size_t nr, nr_w;
	FILE *f;

	if (!add_file(&c, a, 1) || !add_file(&c, b, -1))
		die(EX_FAIL, "make run PROFILE=valgrind T=...", "cachegrind writes its counts when the kernel ends, and one did not",
		    "no counts of %s in %s", test, run_dir);
	w = read_whole_calls(k, &nr_w);
	if (!w)
		die(EX_FAIL, "make run PROFILE=valgrind T=...", xasprintf("kcalls did not come to the end of the test, see %s", k),
		    "no calls of %s in %s", test, run_dir);
	rename(k, to);
	globs = globs && *globs ? globs : NULL;
	s = functions(&c, &nr);
	as_counters(s, nr, counters);
	whole_counters(w, nr_w, counters);
	qsort(s, nr, sizeof(*s), by_count);
	f = fopen(path, "ae");
	if (!f)
		die(EX_HOST, "df -h out", strerror(errno), "cannot write %s", path);
	fprintf(f, "%s\n", test);
	table(s, nr, NULL, nr, f);
	whole_table(w, nr_w, NULL, nr_w, f);
	fprintf(f, "\n");
	fclose(f);
	printf("  %-7s %s\n", "IR", test);
	table(s, nr, globs, TOP, stdout);
	whole_table(w, nr_w, globs ? globs : ENTRIES, TOP, stdout);
	if (globs)
		lines(&c, globs, o->tree, stdout);
	fflush(stdout);
	for (size_t i = 0; i < c.nr; i++) {
		free(c.all[i]->fn);
		free(c.all[i]->file);
	}
	tdestroy(c.tree, free);
	free(c.all);
	free(s);
	free(w);
	free(a);
	free(b);
	free(k);
	free(to);
	free(path);
}

/* ---- over the sizes of a family of tests ---- */

/* "counter WORD:FN N" of a test; false if there is none. */
static bool counter_of(const struct test *t, const char *word, const char *fn, long *n)
{
	char *start = xasprintf("counter %s:%s ", word, fn), *at = t->kept.counters.s ? strstr(t->kept.counters.s, start) : NULL;

	if (at)
		*n = strtol(at + strlen(start), NULL, 10);
	free(start);
	return at;
}

/* The curve of the tests whose names begin with the first @stem characters of this one, and end in a number. */
static struct curve *curve_of(struct curve **curves, int *n, const char *test, size_t stem)
{
	int i;

	for (i = 0; i < *n && (strncmp((*curves)[i].name, test, stem) || (*curves)[i].name[stem]); i++)
		;
	if (i == *n) {
		*curves = grow(*curves, *n, sizeof(**curves));
		(*curves)[(*n)++].name = xasprintf("%.*s", (int)stem, test);
	}
	return &(*curves)[i];
}

/* One picture of @fn: of a whole test, or a call. */
static void plot_function(const struct plan *plan, const char *dir, const char *fn, bool a_call)
{
	char *svg = xasprintf("%s/%s%s.svg", dir, fn, a_call ? ".call" : "");
	char *title = xasprintf("%s with callees%s", fn, a_call ? ", a call" : ", in the whole test"), *why;
	struct curve *curves = NULL, *drawn = NULL;
	int n = 0, n_drawn = 0;

	for (int i = 0; i < plan->n; i++) {
		const struct test *t = &plan->tests[i];
		long whole, calls;
		const char *digits;
		double x;

		digits = number_at_end(t->name, &x);
		if (digits && counter_of(t, "incl", fn, &whole) && counter_of(t, "calls", fn, &calls))
			curve_add(curve_of(&curves, &n, t->name, digits - t->name), x,
				  a_call ? (double)whole / calls : whole);
	}
	for (int i = 0; i < n; i++) {
		/* A point is no curve. */
		if (curves[i].n < 2)
			continue;
		drawn = grow(drawn, n_drawn, sizeof(*drawn));
		drawn[n_drawn++] = curves[i];
	}
	if (n_drawn) {
		why = plot_svg(svg, title, "the number at the end of the test", "instructions", drawn, n_drawn);
		printf("  %-7s %s%s%s\n", "PLOT", svg, why ? ": no plot: " : "", why ? why : "");
		free(why);
	}
	for (int i = 0; i < n; i++) {
		free((char *)curves[i].name);
		free(curves[i].at);
	}
	free(curves);
	free(drawn);
	free(title);
	free(svg);
}

void ir_plots(const struct plan *plan, const char *dir)
{
	const char *globs = getenv("F");
	char **seen = NULL;
	size_t n = 0;

	for (int i = 0; globs && *globs && i < plan->n; i++) {
		const char *at = plan->tests[i].kept.counters.s;

		while (at && (at = strstr(at, "counter calls:"))) {
			char *fn;
			size_t k = 0;

			at += strlen("counter calls:");
			fn = xasprintf("%.*s", (int)strcspn(at, " "), at);
			while (k < n && strcmp(seen[k], fn))
				k++;
			if (k < n || !wanted(fn, globs)) {
				free(fn);
				continue;
			}
			seen = grow(seen, n, sizeof(*seen));
			seen[n++] = fn;
			plot_function(plan, dir, fn, false);
			plot_function(plan, dir, fn, true);
		}
	}
	for (size_t k = 0; k < n; k++)
		free(seen[k]);
	free(seen);
}
