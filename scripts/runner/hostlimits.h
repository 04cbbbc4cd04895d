/* SPDX-License-Identifier: GPL-2.0 */
/* How much of this machine its processes may use: CPUs and memory, by affinity and control groups. */
#ifndef MMUML_HOSTLIMITS_H
#define MMUML_HOSTLIMITS_H

struct limits {
	double cpus;		/* that can run at a time; a quota may leave less than one */
	char *cpus_by;		/* what leaves so few, NULL: there are no more */
	long memory_mb;		/* that can be taken without swapping; -1: not known */
	char *memory_by;	/* what leaves so little, NULL: there is no more */
};

/*
 * Read them. @root stands before each path below /proc and /sys, "" but for tests. What cannot be read limits nothing.
 * Ended by limits_free().
 */
void limits_read(struct limits *l, const char *root);
void limits_free(struct limits *l);
/* How often the kernel killed a process of a control group that this one is in because its memory was at an end; 0 if not known. */
long long limits_oom_kills(const char *root);

#endif
