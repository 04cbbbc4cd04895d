// SPDX-License-Identifier: GPL-2.0
/* KSM: exact numbers of scans, and its counters. */
#include <errno.h>
#include <unistd.h>

#include "mm.h"

#define KSM			"/sys/kernel/mm/ksm/"
#define SCAN_TIMEOUT_MS		30000
#define POLL_MS			2

const char *mm_need_ksm(void)
{
	return access(KSM "run", W_OK) ? "KSM" : NULL;
}

long mm_ksm_stat(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), KSM "%s", name);
	return mm_read_long(path);
}

static int set(const char *name, long value)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), KSM "%s", name);
	snprintf(text, sizeof(text), "%ld", value);
	return mm_write_file(path, text);
}

/*
 * Between two scans ksmd sleeps so long that only a changed sleep_millisecs wakes it: each change is one
 * scan. A change that falls into a scan has no effect, so it is repeated until the scan is counted.
 */
static int step(long until)
{
	long sleep_ms = 1000 * 1000;
	int err;

	for (int ms = 0; mm_ksm_stat("full_scans") < until; ms += POLL_MS) {
		if (ms > SCAN_TIMEOUT_MS)
			return -ETIMEDOUT;
		err = set("sleep_millisecs", ++sleep_ms);
		if (err)
			return err;
		usleep(POLL_MS * 1000);
	}
	return 0;
}

int mm_ksm_scan(unsigned int passes)
{
	long sleep_ms = mm_ksm_stat("sleep_millisecs");
	long to_scan = mm_ksm_stat("pages_to_scan");
	long scans;
	int err;

	if (sleep_ms < 0 || to_scan < 0)
		return -ENOENT;
	/* No page limit: a scan that ends in the middle would leave the next one to begin there. */
	err = set("pages_to_scan", 0x7fffffff);
	if (!err)
		err = set("sleep_millisecs", 1000 * 1000);
	scans = mm_ksm_stat("full_scans");
	if (!err)
		err = set("run", 1);
	for (unsigned int i = 1; i <= passes && !err; i++)
		err = step(scans + i);
	set("run", 0);
	set("pages_to_scan", to_scan);
	set("sleep_millisecs", sleep_ms);
	return err;
}

int mm_ksm_unmerge_all(void)
{
	int err = set("run", 2);

	return err ? err : set("run", 0);
}
