/* SPDX-License-Identifier: GPL-2.0 */
/* DAMON by its files in sysfs (Documentation/admin-guide/mm/damon/usage.rst): one kdamond, which is that of the test. */
#ifndef MMUML_TESTS_DAMON_H
#define MMUML_TESTS_DAMON_H

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mm.h"

#define ADMIN		"/sys/kernel/mm/damon/admin/kdamonds/"
#define CONTEXT		"0/contexts/0/"
#define SCHEME		CONTEXT "schemes/0/"

static inline const char *need_damon(void)
{
	return access(ADMIN "nr_kdamonds", W_OK) ? "DAMON_SYSFS" : NULL;
}

/* Write to a file below ADMIN; 0 or -errno. */
__attribute__((format(printf, 2, 3))) static inline int put(const char *file, const char *fmt, ...)
{
	char path[256], text[128];
	va_list ap;

	snprintf(path, sizeof(path), ADMIN "%s", file);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return mm_write_file(path, text);
}

/* A region of the first target. */
static inline int put_region(int i, uint64_t start, uint64_t end)
{
	char file[96];
	int err;

	snprintf(file, sizeof(file), CONTEXT "targets/0/regions/%d/start", i);
	err = put(file, "%llu", (unsigned long long)start);
	snprintf(file, sizeof(file), CONTEXT "targets/0/regions/%d/end", i);
	return err ?: put(file, "%llu", (unsigned long long)end);
}

static inline int by_frame(const void *a, const void *b)
{
	uint64_t x = *(uint64_t *)a, y = *(uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Watch the frames of @n pages at @p, a region each, in rising order: no two pages are ever sampled for each other. */
static inline int put_frames(char *p, int n)
{
	uint64_t pfns[n];
	int err;

	err = mm_pfns(0, p, pfns, n);
	qsort(pfns, n, sizeof(*pfns), by_frame);
	err = err ?: put(CONTEXT "operations", "paddr");
	err = err ?: put(CONTEXT "targets/0/regions/nr_regions", "%d", n);
	for (int i = 0; i < n && !err; i++)
		err = put_region(i, pfns[i] * PAGE, (pfns[i] + 1) * PAGE);
	return err;
}

static inline bool is_on(void)
{
	char text[16];

	return mm_read_file(ADMIN "0/state", text, sizeof(text)) > 0 && !strncmp(text, "on", 2);
}

#endif
