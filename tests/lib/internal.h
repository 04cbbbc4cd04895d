/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the library share with each other, and tests do not see. */
#ifndef MMUML_TESTS_INTERNAL_H
#define MMUML_TESTS_INTERNAL_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* Open /proc/PID/NAME (@pid 0: the caller) read-only; the descriptor or -errno. */
int mm_proc_open(pid_t pid, const char *name);
/* The same as a stream; NULL and errno. */
FILE *mm_proc_fopen(pid_t pid, const char *name);
/* The number behind "FIELD:" or "FIELD " in a line of /proc/PID/NAME, "yes" being 1; -ENOENT if there is none, or -errno. */
long mm_proc_value(pid_t pid, const char *name, const char *field);
/* The raw pagemap entries of @n pages. */
#define MM_PM_SWAP	(1ULL << 62)
#define MM_PM_PRESENT	(1ULL << 63)
int mm_pagemap(pid_t pid, const void *addr, uint64_t *entries, size_t n);
/*
 * Wait until nobody else can run: after its fork() of the test the harness breaks copies on write, kernel threads
 * free what the test before has left, or hold a reference to an anon_vma while they walk.
 */
void mm_let_others_finish(void);
/* Wait until the callbacks of call_rcu() that are pending now have run. */
void mm_rcu_barrier(void);
/* Pages that wait on the per-CPU lists of free pages, or -errno. */
long mm_pcp_count(void);

#endif
