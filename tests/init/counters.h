/* SPDX-License-Identifier: GPL-2.0 */
/* The counters of the instrumented objects (CONFIG_GCOV_KERNEL), window by window. */
#ifndef MMUML_COUNTERS_H
#define MMUML_COUNTERS_H

/* Open /host/counters and find the objects; 0, or -1 if the kernel has no counters (errno says why). */
int counters_open(void);
/* All counters to 0: a window begins. */
void counters_reset(void);
/* The window ends: append its counters, under @name. Nothing happens without counters_open(). */
void counters_take(const char *name);

#endif
