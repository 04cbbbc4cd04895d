/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel counted over a whole test: vmstat, slab objects, page faults, lock acquisitions and longest holds. */
#ifndef MMUML_INIT_COUNT_H
#define MMUML_INIT_COUNT_H

#include <stdio.h>

/* Remember all counters as they are now; nothing of the test before is running. */
void count_begin(void);
/* Read them again; all children of the test are reaped. */
void count_end(void);
/* Print "# counter NAME N" for each that changed between the two. */
void count_print(FILE *to);

#endif
