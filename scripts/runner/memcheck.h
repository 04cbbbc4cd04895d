/* SPDX-License-Identifier: GPL-2.0 */
/* Memcheck's reports, read from its XML as it comes. */
#ifndef MMUML_MEMCHECK_H
#define MMUML_MEMCHECK_H

#include "../lib/kit.h"

struct memcheck;

/* A reader for one kernel; @symbol as in trace.h. */
struct memcheck *memcheck_new(bool (*symbol)(void *arg, const char *key, struct buf *out), void *arg);
/*
 * Take more of the XML. The kernel repeats its log to valgrind, init's markers with it: @mark is called for each, so that every
 * report is known to lie within a test or outside all. NULL, or why it cannot be read from here on, malloc'ed.
 */
char *memcheck_feed(struct memcheck *m, const char *s, size_t len, void (*mark)(void *arg, bool begin, const char *test), void *arg);
/* Move the reports made while @test ran (NULL: outside tests) to the end of @out; how many, and in @first the kind and place of
 * the first, malloc'ed. */
int memcheck_take(struct memcheck *m, const char *test, struct buf *out, char **first);
void memcheck_free(struct memcheck *m);
/* Whether one of these reports is of an undefined value: "Conditional jump or move depends on uninitialised value(s)", ... */
bool memcheck_undefined(const char *reports);

#endif
