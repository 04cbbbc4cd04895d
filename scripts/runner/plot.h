/* SPDX-License-Identifier: GPL-2.0 */
/* Curves as SVG, by gnuplot. */
#ifndef MMUML_PLOT_H
#define MMUML_PLOT_H

struct point { double x, y; };

struct curve {
	const char *name;
	struct point *at;	/* malloc'ed by curve_add() */
	int n;
};

/* "rmap.cost.depth-5" -> 5, and where it begins; NULL without digits at the end. */
const char *number_at_end(const char *name, double *x);
void curve_add(struct curve *c, double x, double y);
/* Write @svg with @n curves, sorted by x; NULL, or why there is none, malloc'ed. No text may hold a quote. */
char *plot_svg(const char *svg, const char *title, const char *xlabel, const char *ylabel, struct curve *c, int n);

#endif
