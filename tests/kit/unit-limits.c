// SPDX-License-Identifier: GPL-2.0
/* What limits CPUs and memory, on control groups as hosts and containers show them. Built with AddressSanitizer by hosts.sh. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../../scripts/lib/kit.h"
#include "../../scripts/runner/hostlimits.h"

#define ROOT	"unit-limits.root"
#define MB(n)	((n) * 1048576LL)

static int failures, cases;

/* One file of the host, its directories made. */
static void put(const char *path, const char *text)
{
	char *name = xasprintf(ROOT "%s", path);
	int err;

	for (char *s = name + sizeof(ROOT); (s = strchr(s, '/')); *s++ = '/') {
		*s = '\0';
		if (mkdir(name, 0755) && errno != EEXIST)
			die(1, NULL, strerror(errno), "mkdir %s", name);
	}
	err = write_whole(name, text, strlen(text));
	if (err)
		die(1, NULL, strerror(-err), "%s", name);
	free(name);
}

static void put_number(const char *path, long long n)
{
	char *text = xasprintf("%lld\n", n);

	put(path, text);
	free(text);
}

/* A host with 8 GB available, this process in @cgroup, with @mounts. */
static void host(const char *cgroup, const char *mounts)
{
	remove_tree(ROOT);
	mkdir(ROOT, 0755);
	put("/proc/meminfo", "MemTotal:       16000000 kB\nMemAvailable:    8388608 kB\n");
	put("/proc/self/cgroup", cgroup);
	put("/proc/self/mountinfo", mounts);
}

/* @cpus 0: no quota. */
static void expect(const char *what, double cpus, long memory_mb, const char *by)
{
	struct limits l;
	bool ok;

	limits_read(&l, ROOT);
	cases++;
	ok = l.memory_mb == memory_mb && (cpus ? l.cpus == cpus : !l.cpus_by || !strstr(l.cpus_by, "quota")) &&
	     (by ? (l.memory_by && strstr(l.memory_by, by)) || (l.cpus_by && strstr(l.cpus_by, by)) : !l.memory_by);
	if (!ok) {
		failures++;
		printf("unit-limits: %s: %g CPUs (%s), %ld MB (%s) instead of %g, %ld (%s)\n", what, l.cpus,
		       l.cpus_by ? l.cpus_by : "", l.memory_mb, l.memory_by ? l.memory_by : "", cpus, memory_mb, by ? by : "");
	}
	limits_free(&l);
}

#define V2_MOUNT	"24 1 8:1 / / rw - ext4 /dev/sda1 rw\n31 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"

static void version_2(void)
{
	host("0::/user.slice/a.scope\n", V2_MOUNT);
	expect("no files", 0, 8192, NULL);
	put("/sys/fs/cgroup/user.slice/a.scope/memory.max", "max\n");
	put("/sys/fs/cgroup/user.slice/a.scope/cpu.max", "max 100000\n");
	expect("no limits", 0, 8192, NULL);
	put("/sys/fs/cgroup/user.slice/a.scope/cpu.max", "50000 100000\n");
	expect("half a CPU", 0.5, 8192, NULL);
	put("/sys/fs/cgroup/user.slice/cpu.max", "25000 100000\n");
	expect("less above it", 0.25, 8192, NULL);
	put_number("/sys/fs/cgroup/user.slice/a.scope/memory.max", MB(4096));
	put_number("/sys/fs/cgroup/user.slice/a.scope/memory.current", MB(1096));
	expect("max", 0.25, 3000, "a.scope");
	put("/sys/fs/cgroup/user.slice/a.scope/memory.stat", "anon 5\nfile 99\ninactive_file 104857600\nactive_file 209715200\n");
	expect("the cache is given back", 0.25, 3300, "a.scope");
	put_number("/sys/fs/cgroup/user.slice/a.scope/memory.high", MB(2096));
	expect("high is below max", 0.25, 1300, "a.scope");
	put_number("/sys/fs/cgroup/user.slice/memory.max", MB(2000));
	put_number("/sys/fs/cgroup/user.slice/memory.current", MB(1900));
	expect("less above it", 0.25, 100, "limit of /sys/fs/cgroup/user.slice");
	put_number("/sys/fs/cgroup/user.slice/memory.current", MB(2100));
	expect("over the limit", 0.25, 0, "user.slice");
}

static void containers(void)
{
	/* Its own cgroup namespace: its group is the root of what it sees. */
	host("0::/\n", V2_MOUNT);
	put_number("/sys/fs/cgroup/memory.max", MB(512));
	put_number("/sys/fs/cgroup/memory.current", 0);
	expect("a namespace", 0, 512, "limit of /sys/fs/cgroup");
	/* The host's namespace, of which a part is mounted. */
	host("0::/docker/0123\n", "31 24 0:26 /docker/0123 /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
	put_number("/sys/fs/cgroup/memory.max", MB(600));
	expect("a part of the host's", 0, 600, "limit of /sys/fs/cgroup");
	/* A path that is outside of what is mounted. */
	host("0::/../other\n", V2_MOUNT);
	put_number("/sys/fs/cgroup/memory.max", MB(700));
	expect("outside", 0, 700, "limit of /sys/fs/cgroup");
}

static void version_1(void)
{
	host("9:name=systemd:/x\n4:memory:/a/b\n3:cpuset:/\n2:cpu,cpuacct:/a\n0::/\n",
	     "32 31 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
	     "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
	     "34 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	     "35 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
	put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "-1\n");
	put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
	put_number("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", 9223372036854771712LL);
	put_number("/sys/fs/cgroup/memory/a/b/memory.usage_in_bytes", MB(10));
	expect("no limits", 0, 8192, NULL);
	put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "75000\n");
	put_number("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", MB(1000));
	put_number("/sys/fs/cgroup/memory/a/memory.usage_in_bytes", MB(500));
	put("/sys/fs/cgroup/memory/a/memory.stat", "inactive_file 1\ntotal_inactive_file 104857600\ntotal_active_file 0\n");
	expect("both", 0.75, 600, "limit of /sys/fs/cgroup/memory/a");
}

static void oom_kills(const char *what, long long want)
{
	long long n = limits_oom_kills(ROOT);

	cases++;
	if (n == want)
		return;
	failures++;
	printf("unit-limits: %s: %lld kills instead of %lld\n", what, n, want);
}

static void kills(void)
{
	host("0::/a/b\n", V2_MOUNT);
	oom_kills("no groups", 0);
	put("/sys/fs/cgroup/a/memory.events", "low 0\nhigh 5\nmax 7\noom 3\noom_kill 2\noom_group_kill 9\n");
	put("/sys/fs/cgroup/a/b/memory.events", "low 0\noom 1\noom_kill 1\n");
	oom_kills("of the group above", 2);
	host("4:memory:/a\n", "34 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
	put("/sys/fs/cgroup/memory/a/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n");
	oom_kills("version 1", 4);
}

int main(void)
{
	version_2();
	containers();
	version_1();
	kills();
	remove_tree(ROOT);
	printf("unit-limits: %d passed, %d failed\n", cases - failures, failures);
	return failures ? 1 : 0;
}
