/* SPDX-License-Identifier: GPL-2.0 */
/* What the units of the host programs share: a check and its count. UNIT is the unit's name, defined before. */
#ifndef MMUML_UNIT_H
#define MMUML_UNIT_H

#include <stdbool.h>
#include <stdio.h>

static int failures, cases;

static void check(bool ok, const char *what, const char *detail)
{
	cases++;
	if (ok)
		return;
	failures++;
	printf(UNIT ": %s: '%s'\n", what, detail ? detail : "(none)");
}

/* The unit's last line, and its exit status. */
static int unit_end(void)
{
	printf(UNIT ": %d checks, %d failed\n", cases, failures);
	return failures ? 1 : 0;
}

#endif
