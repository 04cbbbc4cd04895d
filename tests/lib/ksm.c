// SPDX-License-Identifier: GPL-2.0
/* KSM: exact numbers of scans, and its counters. */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <linux/kernel-page-flags.h>

#include "mm.h"
#include "internal.h"

#define KSM			"/sys/kernel/mm/ksm/"
#define SCAN_TIMEOUT_MS		30000
#define POLL_MS			2

const char *mm_need_ksm(void)
{
	return access(KSM "run", W_OK) ? "KSM" : NULL;
}

bool mm_is_ksm(uint64_t pfn, bool unknown)
{
	int local = 0;

	/* The stack is no KSM page, and in memory. */
	if (mm_kpf(mm_pfn(0, &local), KPF_KSM))
		return unknown;
	return mm_kpf(pfn, KPF_KSM);
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

/* The state letter of ksmd in /proc/PID/stat; 0 if there is no such thread. Kernel threads have low numbers. */
static char ksmd_state(void)
{
	static int pid;
	char path[64], text[256];

	for (int i = 2; !pid && i < 1000; i++) {
		snprintf(path, sizeof(path), "/proc/%d/comm", i);
		if (mm_read_file(path, text, sizeof(text)) > 0 && !strcmp(text, "ksmd\n"))
			pid = i;
	}
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	return mm_read_file(path, text, sizeof(text)) > 0 && strchr(text, ')') ? strchr(text, ')')[2] : 0;
}

static int wait_for_scan(long until)
{
	for (int ms = 0; mm_ksm_stat("full_scans") < until; ms += POLL_MS) {
		if (ms > SCAN_TIMEOUT_MS)
			return -ETIMEDOUT;
		usleep(POLL_MS * 1000);
	}
	return 0;
}

/*
 * A time to sleep that no scan will see the end of, and each time another: ksmd compares what it slept for with what
 * is set now, and would sleep on for a value that came back before it looked.
 */
static int set_long_sleep(void)
{
	static long ms;

	if (!ms)
		ms = 1000 * 1000 + 1000 * (getpid() % 1000);
	return set("sleep_millisecs", ++ms);
}

/*
 * Between two scans ksmd sleeps so long that only a changed sleep_millisecs wakes it: each change is one
 * scan. A change before it sleeps would be lost, one too many be a second scan; it sleeps interruptibly nowhere
 * else (mm/ksm.c: ksm_scan_thread()).
 */
static int next_scan(long until)
{
	int err;

	for (int ms = 0; ksmd_state() != 'S'; ms += POLL_MS) {
		if (ms > SCAN_TIMEOUT_MS)
			return -ETIMEDOUT;
		usleep(POLL_MS * 1000);
	}
	err = set_long_sleep();
	return err ? err : wait_for_scan(until);
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
		err = set_long_sleep();
	scans = mm_ksm_stat("full_scans");
	/* The first scan begins at once. */
	if (!err)
		err = set("run", 1);
	if (!err && passes)
		err = wait_for_scan(scans + 1);
	for (unsigned int i = 2; i <= passes && !err; i++)
		err = next_scan(scans + i);
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

/*
 * ksmd counts no scan when no memory is mergeable: one page always is. Smart scan would leave pages alone for
 * some scans that did not merge before.
 */
void *mm_ksm_start(void)
{
	char *page = mm_map_aligned(PAGE, PAGE);

	mm_write_file(KSM "smart_scan", "0");
	if (!page)
		return NULL;
	mm_fill(page, PAGE, 99);
	return madvise(page, PAGE, MADV_MERGEABLE) ? NULL : page;
}

void mm_ksm_stop(void *page)
{
	if (page)
		munmap(page, PAGE);
	mm_ksm_unmerge_all();
	mm_write_file(KSM "smart_scan", "1");
}

long mm_ksm_process(pid_t pid, const char *name)
{
	return mm_proc_value(pid, "ksm_stat", name);
}
