// SPDX-License-Identifier: GPL-2.0
/* A counter over the number at the end of the names of tests, both sides. */
#include <fnmatch.h>
#include <stdlib.h>

#include "compare.h"

/* How many tests have the counter on either side. */
static int points(const struct plot *p, const struct side *sides, struct curve *curves)
{
	const char *name;
	int n = 0;
	json_t *t;

	json_object_foreach(sides[CHANGED].tests[0], name, t) {
		struct stat_of y;
		bool known = false;
		double x;

		if (fnmatch(p->glob, name, 0) || !number_at_end(name, &x))
			continue;
		for (int s = 0; s < 2; s++) {
			if (!side_counter(sides, s, name, p->counter, &y))
				continue;
			curve_add(&curves[s], x, y.median);
			known = true;
		}
		n += known;
	}
	return n;
}

void plot_write(const struct plot *p, const struct side *sides, const char *dir, struct buf *out)
{
	struct curve curves[2] = { { .name = "base" }, { .name = "changed" } };
	char *svg = xasprintf("%s/%s.svg", dir, p->name), *why = NULL;
	int n;

	n = points(p, sides, curves);
	if (!n)
		why = xasprintf("no test %s has %s", p->glob, p->counter);
	else
		why = plot_svg(svg, p->title, p->xlabel, p->counter, curves, 2);
	if (why)
		buf_printf(out, "  %s: no plot: %s\n", p->name, why);
	else
		buf_printf(out, "  %s: %d points -> %s\n", p->name, n, svg);
	for (int s = 0; s < 2; s++)
		free(curves[s].at);
	free(why);
	free(svg);
}
