// SPDX-License-Identifier: GPL-2.0
/*
 * What a test left behind, or the kernel lost, once all processes of the test are gone. Each is asked after every test, so the
 * usual answer has to be cheap: a few short reads. Only where something is not as it was is there time to wait: a worker
 * has an mm or a file for a moment longer, a CPU has pages in a batch.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

#define PAGE	4096
#define WAIT_MS	10
#define WAITS	100

/* A figure that is after a test what it was before. */
struct figure {
	const char *name, *file, *key;	/* the number behind @key, the first one if it is "" */
	const char *unit;
	const char *own, *own_key;	/* what of it is nobody's or init's, or NULL, */
	long sign;			/* and whether it is in the figure or missing from it */
	bool off;			/* nothing is to be learned of it in this kernel */
	long before;
};

#define MEMINFO		"/proc/meminfo"
#define OWN_PAGES	"/proc/self/smaps_rollup"
#define KSM		"/sys/kernel/mm/ksm/"

#define IN_MEMINFO(what)	.name = what, .file = MEMINFO, .key = what ":", .unit = " kB"
#define IN_KSM(what)		.name = "ksm/" what, .file = KSM what, .key = "", .unit = ""

static struct figure figures[] = {
	{ IN_MEMINFO("AnonPages"), .own = OWN_PAGES, .own_key = "Anonymous:", .sign = 1 },
	{ IN_MEMINFO("Mlocked"), .own = OWN_PAGES, .own_key = "Locked:", .sign = 1 },
	{ IN_MEMINFO("Shmem") },
	/* A slot whose page is in the swap cache is free as soon as somebody wants one. */
	{ IN_MEMINFO("SwapFree"), .own = MEMINFO, .own_key = "SwapCached:", .sign = -1 },
	{ IN_MEMINFO("Committed_AS") },
	{ IN_MEMINFO("HardwareCorrupted") },
	{ IN_KSM("pages_shared") },
	{ IN_KSM("run") },
};

#define N_FIGURES	(sizeof(figures) / sizeof(figures[0]))

/* Files that are read again and again: one descriptor each. */
struct watched {
	const char *path;
	int fd;
	char text[8192];
};

static struct watched watched[] = {
	{ .path = MEMINFO }, { .path = OWN_PAGES }, { .path = KSM "pages_shared" }, { .path = KSM "run" },
};

#define N_WATCHED	(sizeof(watched) / sizeof(watched[0]))

static long unowned_before;
static int patience = WAITS;
static int refresh = -1;		/* /proc/sys/vm/stat_refresh */
static char *empty;			/* a mapping of a page that nobody touches */

/*
 * All CPUs' parts of the counters into one, which the kernel refuses if one of them is below zero; then what
 * the files say. False: it refused.
 */
static bool look(void)
{
	bool sound = refresh < 0 || write(refresh, "1", 1) > 0;

	for (size_t i = 0; i < N_WATCHED; i++) {
		ssize_t n = watched[i].fd < 0 ? -1 : pread(watched[i].fd, watched[i].text, sizeof(watched[i].text) - 1, 0);

		watched[i].text[n < 0 ? 0 : n] = '\0';
	}
	return sound;
}

/* The number behind @key in what @file said last; 0 if there is none. */
static long said(const char *file, const char *key)
{
	for (size_t i = 0; i < N_WATCHED; i++) {
		const char *at;

		if (strcmp(watched[i].path, file))
			continue;
		at = strstr(watched[i].text, key);
		return at ? strtol(at + strlen(key), NULL, 10) : 0;
	}
	return 0;
}

static long now_of(const struct figure *f)
{
	long n = said(f->file, f->key);

	return f->own ? n - f->sign * said(f->own, f->own_key) : n;
}

static long meminfo(const char *key)
{
	return said(MEMINFO, key);
}

/*
 * kB on the LRU lists that are neither mapped anonymous memory nor in a page cache. Whoever holds a page that has no user left
 * keeps it from being freed, and so on its list: a reference that nobody gives back. An anonymous page that is mapped and in the
 * swap cache counts twice.
 */
static long unowned(void)
{
	long lists = meminfo("Active:") + meminfo("Inactive:") + meminfo("Unevictable:");
	long owned = meminfo("AnonPages:") + meminfo("\nCached:") + meminfo("Buffers:") + meminfo("SwapCached:");

	return lists - owned;
}

/* The pages that this CPU has in a batch go to their lists, or are freed: madvise_cold() of mm/madvise.c begins with that. */
static void drain_here(void)
{
	madvise(empty, PAGE, MADV_COLD);
}

static void drain_everywhere(void)
{
	cpu_set_t all, one;

	if (sched_getaffinity(0, sizeof(all), &all))
		return;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		drain_here();
	}
	sched_setaffinity(0, sizeof(all), &all);
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = WAIT_MS * 1000000L }, NULL);
}

static void note(char *text, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void note(char *text, size_t size, const char *fmt, ...)
{
	size_t len = strlen(text);
	va_list ap;

	if (len)
		len += snprintf(text + len, size - len, ", ");
	va_start(ap, fmt);
	if (len < size)
		vsnprintf(text + len, size - len, fmt, ap);
	va_end(ap);
}

/* All that is not as it should be, into @text, which is empty if all is. */
static void compare(bool kernel_only, char *text, size_t size)
{
	long kb;

	*text = '\0';
	if (!look())
		note(text, size, "a counter of /proc/vmstat below zero");
	kb = unowned() - unowned_before;
	if (labs(kb) > meminfo("SwapCached:"))
		note(text, size, "%ld kB on the LRU lists that nobody owns", kb);
	for (size_t i = 0; i < N_FIGURES && !kernel_only; i++) {
		struct figure *f = &figures[i];
		long now = now_of(f);

		if (now != f->before && !f->off)
			note(text, size, "%s %ld%s, was %ld", f->name, now, f->unit, f->before);
	}
}

static void take(void)
{
	for (size_t i = 0; i < N_FIGURES; i++)
		figures[i].before = now_of(&figures[i]);
	unowned_before = unowned();
}

/* Remember how it is, once it stays so: what was freed goes in its own time. */
static void settle(void)
{
	char text[256];

	for (int i = 0; i < WAITS; i++) {
		drain_everywhere();
		look();
		take();
		nap();
		compare(false, text, sizeof(text));
		if (!*text)
			break;
	}
}

/* Slots that nobody needs any more go when they like, and would be missed by a test that counts those in use. */
static void empty_swap_cache(void)
{
	if (swapoff(SWAP_DEVICE) || swapon(SWAP_DEVICE, 0))
		kmsg("<4>mmuml: " SWAP_DEVICE ": %s", strerror(errno));
	settle();
}

void left_begin(void)
{
	/* A slot of swap that init has would be the last test's. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		die("mlockall");
	empty = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* What is locked is not drained for. */
	if (empty == MAP_FAILED || munlock(empty, PAGE))
		die("mmap");
	refresh = open("/proc/sys/vm/stat_refresh", O_WRONLY | O_CLOEXEC);
	for (size_t i = 0; i < N_WATCHED; i++)
		watched[i].fd = open(watched[i].path, O_RDONLY | O_CLOEXEC);
	/* CPUs that keep slots for later count them as in use (mounts.c). */
	for (size_t i = 0; i < N_FIGURES; i++)
		figures[i].off = !strcmp(figures[i].name, "SwapFree") && getenv("MMUML_SLOTS_CACHED");
	settle();
}

void left_after(bool kernel_only, char *text, size_t size)
{
	drain_here();
	compare(kernel_only, text, size);
	for (int i = 0; i < patience && *text; i++) {
		nap();
		drain_everywhere();
		compare(kernel_only, text, size);
	}
	/* Where test after test leaves something, a second for each would be too much. */
	if (*text)
		patience = patience / 2 + 2;
	/* Once is enough: the next test is held against what there is now. */
	take();
	if (meminfo("SwapCached:"))
		empty_swap_cache();
}
