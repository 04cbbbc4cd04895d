// SPDX-License-Identifier: GPL-2.0
/* What the guest has mounted before its first test, and its swap. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

#include "init.h"

static void mount_one(const char *type, const char *where)
{
	mkdir(where, 0755);
	if (mount(type, where, type, 0, NULL) && errno != EBUSY)
		die(where);
}

#define PAGE	4096

/* What /proc/swaps says of the first area, in kB, of which there is one. */
static long swap_used_kb(void)
{
	FILE *f = fopen("/proc/swaps", "re");
	long kb = 0;

	if (f && fscanf(f, "%*[^\n] %*s %*s %*s %ld", &kb) != 1)
		kb = 0;
	if (f)
		fclose(f);
	return kb;
}

/*
 * Whether a page that goes out takes more than its slot: the others are in a cache of the CPU and count as in use, until
 * they are given back (tests/lib/reclaim.c).
 */
static bool swap_slots_cached(void)
{
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long kb = 0;

	if (p == MAP_FAILED)
		return false;
	*p = 1;
	for (int i = 0; i < 10 && !kb; i++) {
		madvise(p, PAGE, MADV_PAGEOUT);
		kb = swap_used_kb();
	}
	munmap(p, PAGE);
	return kb > PAGE / 1024;
}

static void swap_on(const char *dev)
{
	if (swapon(dev, 0))
		die(dev);
	if (swap_slots_cached())
		setenv("MMUML_SLOTS_CACHED", "1", 1);
}

void mount_all(void)
{
	mount_one("proc", "/proc");
	mount_one("sysfs", "/sys");
	mount_one("devtmpfs", "/dev");
	mount_one("debugfs", "/sys/kernel/debug");
	mount_one("cgroup2", "/sys/fs/cgroup");
	mount_one("tmpfs", "/tmp");
	mkdir("/dev/shm", 01777);
	mount_one("tmpfs", "/dev/shm");
	mkdir("/dev/pts", 0755);
	mount_one("devpts", "/dev/pts");
	if (mount("none", "/host", "hostfs", 0, "/"))
		die("hostfs on /host");
	put_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (!access("/dev/ubdb", F_OK) && mount("/dev/ubdb", "/mnt", "ext4", MS_NOATIME, NULL))
		die("/dev/ubdb on /mnt");
	if (!access(SWAP_DEVICE, F_OK))
		swap_on(SWAP_DEVICE);
}
