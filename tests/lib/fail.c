// SPDX-License-Identifier: GPL-2.0
/* Let allocations fail one after the other: fault injection by /proc/thread-self/fail-nth. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "mm.h"

#define FAIL_NTH	"/proc/thread-self/fail-nth"
#define DEBUGFS		"/sys/kernel/debug/"

/* A walk that has not ended after so many failures never will: @fn does something else each time. */
#define MAX_WALK	100000

static bool last_injected;

const char *mm_need_fail_nth(void)
{
	if (access(FAIL_NTH, W_OK))
		return "FAULT_INJECTION (" FAIL_NTH ")";
	if (access(DEBUGFS "failslab/ignore-gfp-wait", W_OK))
		return "FAILSLAB, FAULT_INJECTION_DEBUG_FS";
	return NULL;
}

/*
 * As they are at boot, both injectors leave out every allocation that may sleep, page allocations of
 * order 0 and those of user memory: nearly all of what mm/ does. fail-nth needs no probability.
 */
int mm_fail_setup(void)
{
	static const char * const settings[][2] = {
		{ DEBUGFS "failslab/verbose", "0" },
		{ DEBUGFS "failslab/probability", "0" },
		{ DEBUGFS "failslab/cache-filter", "N" },
		{ DEBUGFS "failslab/ignore-gfp-wait", "N" },
		{ DEBUGFS "fail_page_alloc/verbose", "0" },
		{ DEBUGFS "fail_page_alloc/probability", "0" },
		{ DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N" },
		{ DEBUGFS "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ DEBUGFS "fail_page_alloc/min-order", "0" },
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]) && !err; i++)
		err = mm_write_file(settings[i][0], settings[i][1]);
	return err;
}

/* The file is open before and after: opening it allocates. */
static int arm(int fd, int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", nth);

	return pwrite(fd, text, len, 0) == len ? 0 : -errno;
}

/* What is left to count down: 0 if the failure has happened. */
static int disarm(int fd)
{
	char text[16] = "";
	int left;

	if (pread(fd, text, sizeof(text) - 1, 0) < 0)
		return -errno;
	left = atoi(text);
	return left ? arm(fd, 0) ?: left : 0;
}

bool mm_fail_injected(void)
{
	return last_injected;
}

int mm_fail_walk(int (*fn)(void *arg), int (*after)(int nth, int ret, void *arg), void *arg)
{
	int fd, nth, ret, left, err = -ELOOP;

	fd = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (nth = 1; nth <= MAX_WALK; nth++) {
		err = arm(fd, nth);
		if (err)
			break;
		ret = fn(arg);
		left = disarm(fd);
		err = left < 0 ? left : 0;
		if (err)
			break;
		last_injected = !left;
		err = after ? after(nth, ret, arg) : 0;
		if (err)
			break;
		if (left) {
			err = nth - 1;
			break;
		}
		err = -ELOOP;
	}
	close(fd);
	return err;
}
