// SPDX-License-Identifier: GPL-2.0
/* What the guest has mounted before its first test, and its swap. */
#include <errno.h>
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

void mount_all(void)
{
	mount_one("proc", "/proc");
	mount_one("sysfs", "/sys");
	mount_one("devtmpfs", "/dev");
	mount_one("debugfs", "/sys/kernel/debug");
	mount_one("cgroup2", "/sys/fs/cgroup");
	mount_one("tmpfs", "/tmp");
	mkdir("/dev/pts", 0755);
	mount_one("devpts", "/dev/pts");
	if (mount("none", "/host", "hostfs", 0, "/"))
		die("hostfs on /host");
	put_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (!access("/dev/ubdb", F_OK) && mount("/dev/ubdb", "/mnt", "ext4", MS_NOATIME, NULL))
		die("/dev/ubdb on /mnt");
	if (!access("/dev/ubda", F_OK) && swapon("/dev/ubda", 0))
		die("swapon /dev/ubda");
}
