// SPDX-License-Identifier: GPL-2.0
/* Curves over a number, as an SVG by gnuplot: it knows scales and labels, and every distribution has it. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/kit.h"
#include "plot.h"

const char *number_at_end(const char *name, double *x)
{
	const char *p = name + strlen(name);

	while (p > name && isdigit((unsigned char)p[-1]))
		p--;
	if (!*p)
		return NULL;
	*x = strtod(p, NULL);
	return p;
}

void curve_add(struct curve *c, double x, double y)
{
	c->at = grow(c->at, c->n, sizeof(*c->at));
	c->at[c->n++] = (struct point){ x, y };
}

static int by_x(const void *a, const void *b)
{
	const struct point *p = a, *q = b;

	return (p->x > q->x) - (p->x < q->x);
}

static void script(const char *svg, const char *title, const char *xlabel, const char *ylabel, struct curve *c, int n, FILE *f)
{
	double low = 0, high = 0;

	for (int i = 0; i < n; i++) {
		qsort(c[i].at, c[i].n, sizeof(*c[i].at), by_x);
		for (int k = 0; k < c[i].n; k++) {
			double y = c[i].at[k].y;

			if (y > 0 && (!low || y < low))
				low = y;
			if (y > high)
				high = y;
		}
	}
	fprintf(f, "set terminal svg size 640,420 noenhanced\nset output '%s'\nset title '%s'\nset xlabel '%s'\n"
		"set ylabel '%s'\nset key above right\nset grid\n", svg, title, xlabel, ylabel);
	fprintf(f, low > 0 && high > 100 * low ? "set logscale y\n" : "set yrange [0:*]\n");
	for (int i = 0; i < n; i++) {
		fprintf(f, "$c%d << EOD\n", i);
		for (int k = 0; k < c[i].n; k++)
			fprintf(f, "%.17g %.17g\n", c[i].at[k].x, c[i].at[k].y);
		fprintf(f, "EOD\n");
	}
	for (int i = 0; i < n; i++)
		fprintf(f, "%s $c%d with linespoints title '%s'", i ? "," : "plot", i, c[i].name);
	fprintf(f, "\n");
}

char *plot_svg(const char *svg, const char *title, const char *xlabel, const char *ylabel, struct curve *c, int n)
{
	FILE *f;

	if (system("command -v gnuplot >/dev/null 2>&1"))
		return xasprintf("gnuplot is not installed (make deps)");
	f = popen("gnuplot 2>/dev/null", "w");
	if (!f)
		return xasprintf("%s", strerror(errno));
	script(svg, title, xlabel, ylabel, c, n, f);
	if (pclose(f) || access(svg, R_OK))
		return xasprintf("gnuplot failed");
	return NULL;
}
