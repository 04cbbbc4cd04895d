// SPDX-License-Identifier: GPL-2.0
/* Who runs when, on one CPU. */
#include <errno.h>
#include <sched.h>
#include <time.h>

#include "mm.h"

int mm_set_fifo(int priority)
{
	const struct sched_param param = { .sched_priority = priority };

	return sched_setscheduler(0, SCHED_FIFO, &param) ? -errno : 0;
}

void mm_nap(long ns)
{
	const struct timespec t = { .tv_nsec = ns };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}
