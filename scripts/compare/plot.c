// SPDX-License-Identifier: GPL-2.0
/* A counter over the number at the end of the names of tests, both sides, as an SVG by gnuplot. */
#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compare.h"

struct point {
	double x;
	struct stat_of y[2];
	bool known[2];
};

static int by_x(const void *a, const void *b)
{
	const struct point *p = a, *q = b;

	return (p->x > q->x) - (p->x < q->x);
}

/* "rmap.cost.depth-5" -> 5; false without digits at the end. */
static bool number_at_end(const char *name, double *x)
{
	const char *p = name + strlen(name);

	while (p > name && isdigit((unsigned char)p[-1]))
		p--;
	if (!*p)
		return false;
	*x = strtod(p, NULL);
	return true;
}

static struct point *points(const struct plot *p, const struct side *sides, int *n)
{
	struct point *all = xcalloc(json_object_size(sides[CHANGED].tests[0]) + 1, sizeof(*all));
	const char *name;
	json_t *t;

	*n = 0;
	json_object_foreach(sides[CHANGED].tests[0], name, t) {
		struct point *at = &all[*n];

		if (fnmatch(p->glob, name, 0) || !number_at_end(name, &at->x))
			continue;
		for (int s = 0; s < 2; s++)
			at->known[s] = side_counter(sides, s, name, p->counter, &at->y[s]);
		if (at->known[BASE] || at->known[CHANGED])
			(*n)++;
	}
	qsort(all, *n, sizeof(*all), by_x);
	return all;
}

static bool have_gnuplot(void)
{
	return !system("command -v gnuplot >/dev/null 2>&1");
}

static void script(const struct plot *p, const struct point *at, int n, const char *svg, FILE *f)
{
	double low = 0, high = 0;

	for (int i = 0; i < n; i++) {
		for (int s = 0; s < 2; s++) {
			if (!at[i].known[s] || at[i].y[s].median <= 0)
				continue;
			if (!low || at[i].y[s].median < low)
				low = at[i].y[s].median;
			if (at[i].y[s].median > high)
				high = at[i].y[s].median;
		}
	}
	fprintf(f, "set terminal svg size 640,420 noenhanced\nset output '%s'\nset title '%s'\nset xlabel '%s'\n"
		"set ylabel '%s'\nset key above right\nset grid\n", svg, p->title, p->xlabel, p->counter);
	if (low > 0 && high > 100 * low)
		fprintf(f, "set logscale y\n");
	else
		fprintf(f, "set yrange [0:*]\n");
	for (int s = 0; s < 2; s++) {
		fprintf(f, "$%s << EOD\n", s ? "changed" : "base");
		for (int i = 0; i < n; i++)
			if (at[i].known[s])
				fprintf(f, "%.17g %.17g\n", at[i].x, at[i].y[s].median);
		fprintf(f, "EOD\n");
	}
	fprintf(f, "plot $base with linespoints title 'base', $changed with linespoints title 'changed'\n");
}

void plot_write(const struct plot *p, const struct side *sides, const char *dir, struct buf *out)
{
	char *svg = xasprintf("%s/%s.svg", dir, p->name);
	struct point *at;
	FILE *f = NULL;
	int n;

	at = points(p, sides, &n);
	if (!n)
		buf_printf(out, "  %s: no plot: no test %s has %s\n", p->name, p->glob, p->counter);
	else if (!have_gnuplot())
		buf_printf(out, "  %s: no plot: gnuplot is not installed (make deps)\n", p->name);
	else if (!(f = popen("gnuplot 2>/dev/null", "w")))
		buf_printf(out, "  %s: no plot: %s\n", p->name, strerror(errno));
	if (f) {
		script(p, at, n, svg, f);
		if (pclose(f) || access(svg, R_OK))
			buf_printf(out, "  %s: no plot: gnuplot failed\n", p->name);
		else
			buf_printf(out, "  %s: %d points -> %s\n", p->name, n, svg);
	}
	free(at);
	free(svg);
}
