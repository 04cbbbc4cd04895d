// SPDX-License-Identifier: GPL-2.0
/* The error form of every program of the kit, and the clock. */
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include "kit.h"

double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

void die(int code, const char *advice, const char *because, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("mmuml: error: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	if (because)
		fprintf(stderr, "  because: %s\n", because);
	if (advice)
		fprintf(stderr, "  try:     %s\n", advice);
	exit(code);
}
