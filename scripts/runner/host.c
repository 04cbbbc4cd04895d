// SPDX-License-Identifier: GPL-2.0
/* What this machine must allow before a kernel can run on it as a process. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <unistd.h>

#include "hostlimits.h"
#include "runner.h"

/* Kernels at a time for each CPU: half of a test is waiting for RCU and the 10 ms tick. */
#define PER_CPU		2

struct problem {
	char *what, *because, *advice;
};

/* Where UML makes the file that is a guest's memory, and maps it executable: choose_tempdir() of arch/um/os-Linux/mem.c. */
static const char *memory_dir(const char **var)
{
	static const char *const vars[] = { "TMPDIR", "TMP", "TEMP" };
	struct statfs fs;

	*var = NULL;

	for (size_t i = 0; i < sizeof(vars) / sizeof(*vars); i++) {
		const char *dir = getenv(vars[i]);

		if (dir && *dir) {
			*var = vars[i];
			return dir;
		}
	}
	return !statfs("/dev/shm", &fs) && fs.f_type == TMPFS_MAGIC ? "/dev/shm" : "/tmp";
}

/* Megabytes free in there; -1: not known. */
static long memory_room(const char *dir)
{
	struct statvfs fs;

	return statvfs(dir, &fs) ? -1 : (long)((unsigned long long)fs.f_bavail * fs.f_frsize >> 20);
}

static bool check_memory_file(long mem_mb, struct problem *p)
{
	const char *var, *dir = memory_dir(&var);
	long room = memory_room(dir);
	void *map;
	int fd;

	p->advice = xasprintf("mount -o remount,exec,size=2G /dev/shm, or TMPDIR=/dir make run (%ld MB, exec)", mem_mb);
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0700);
	if (fd < 0) {
		char *name = xasprintf("%s/mmuml-XXXXXX", dir);

		fd = errno == EISDIR || errno == EOPNOTSUPP || errno == EINVAL ? mkstemp(name) : -1;
		if (fd >= 0)
			unlink(name);
		free(name);
	}
	if (fd < 0 || ftruncate(fd, 4096)) {
		p->what = xasprintf("no file for the guest's memory in %s", dir);
		p->because = var ? xasprintf("%s=%s: %s", var, dir, strerror(errno)) : xasprintf("%s", strerror(errno));
		return false;
	}
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED) {
		p->what = xasprintf("%s does not allow executable mappings", dir);
		p->because = xasprintf("%s: mounted noexec", strerror(errno));
		return false;
	}
	munmap(map, 4096);
	if (room >= 0 && room < mem_mb) {
		p->what = xasprintf("%s is too small for the guest's memory", dir);
		p->because = xasprintf("%ld MB free, %ld MB needed", room, mem_mb);
		return false;
	}
	return true;
}

/* UML's stubs run under a seccomp filter that the process installs itself. */
static bool check_seccomp(struct problem *p)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		unsigned int action = SECCOMP_RET_TRAP;

		_exit(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) ? 1 : 0);
	}
	if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status))
		return true;
	p->what = xasprintf("seccomp filters are not available");
	p->because = xasprintf("seccomp(2) refuses SECCOMP_RET_TRAP here (a container's profile?)");
	p->advice = xasprintf("run outside the container, or allow seccomp(2) in its profile");
	return false;
}

static bool check_ptrace(struct problem *p)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0))
			_exit(1);
		raise(SIGSTOP);
		_exit(0);
	}
	if (pid > 0 && waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status)) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		return true;
	}
	p->what = xasprintf("ptrace is forbidden");
	p->because = xasprintf("gdb, valgrind and kernels before 6.16 need PTRACE_TRACEME, which fails here (a container's profile, or kernel.yama.ptrace_scope?)");
	p->advice = xasprintf("allow ptrace(2), for example docker run --cap-add=SYS_PTRACE");
	return false;
}

static long number(const char *path, const char *key)
{
	char *text = read_whole(path, NULL), *at;
	long n = -1;

	at = text ? (key ? strstr(text, key) : text) : NULL;
	if (at)
		n = strtol(at + (key ? strlen(key) : 0), NULL, 10);
	free(text);
	return n;
}

static bool check_map_count(struct problem *p)
{
	long n = number("/proc/sys/vm/max_map_count", NULL);

	if (n < 0 || n >= 65530)
		return true;
	p->what = xasprintf("vm.max_map_count is %ld", n);
	p->because = xasprintf("each run of contiguous guest pages is one mapping; the tests need 65530");
	p->advice = xasprintf("sysctl -w vm.max_map_count=65530");
	return false;
}

static bool check_available(long mem_mb, struct problem *p)
{
	struct limits l;

	limits_read(&l, "");
	if (l.memory_mb >= 0 && l.memory_mb < mem_mb) {
		p->what = xasprintf("not enough memory");
		p->because = xasprintf("%ld MB available%s%s, the guest has %ld MB", l.memory_mb, l.memory_by ? " by " : "",
				       l.memory_by ? l.memory_by : "", mem_mb);
		p->advice = xasprintf("close something, or make run MEM=%ld", l.memory_mb / 2);
	}
	limits_free(&l);
	return !p->what;
}

bool host_fixes_addresses(void)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(personality(personality(0xffffffff) | ADDR_NO_RANDOMIZE) == -1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status);
}

int host_jobs(int wanted, int most, long mem_mb, char **why)
{
	const char *var, *dir = memory_dir(&var);
	long room = memory_room(dir);
	struct limits l;
	int jobs;

	limits_read(&l, "");
	jobs = wanted ? wanted : (int)(PER_CPU * l.cpus);
	if (jobs > most)
		jobs = most;
	if (jobs < 1)
		jobs = 1;
	*why = NULL;
	if (room >= 0 && room / mem_mb < jobs) {
		jobs = room / mem_mb;
		*why = xasprintf("%s has %ld MB free", dir, room);
	}
	if (l.memory_mb >= 0 && l.memory_mb / mem_mb < jobs) {
		jobs = l.memory_mb / mem_mb;
		free(*why);
		*why = xasprintf("%ld MB of memory are available%s%s", l.memory_mb, l.memory_by ? " by " : "",
				 l.memory_by ? l.memory_by : "");
	}
	limits_free(&l);
	return jobs > 0 ? jobs : 1;
}

/* What make doctor says of it. */
static void show_limits(long mem_mb)
{
	const char *var, *dir = memory_dir(&var);
	struct limits l;
	char *why;
	int jobs = host_jobs(0, INT_MAX, mem_mb, &why);

	limits_read(&l, "");
	printf("  %-18s %g%s%s\n", "CPUs", l.cpus, l.cpus_by ? ": " : "", l.cpus_by ? l.cpus_by : "");
	printf("  %-18s %ld MB%s%s\n", "memory available", l.memory_mb, l.memory_by ? ": " : "", l.memory_by ? l.memory_by : "");
	printf("  %-18s %s%s%s, %ld MB free\n", "memory of guests", dir, var ? " of " : "", var ? var : "", memory_room(dir));
	printf("  %-18s %s\n", "addresses", host_fixes_addresses() ? "fixed" :
	       "random: " ADDRESSES_VARY);
	printf("  %-18s %d of MEM=%ld%s%s\n", "kernels at a time", jobs, mem_mb, why ? ": " : "", why ? why : "");
	limits_free(&l);
	free(why);
}

static int check_all(long mem_mb, bool traced, struct problem *found, bool table)
{
	static const char *const names[] = { "guest memory file", "seccomp", "ptrace", "max_map_count", "memory" };
	int n = 0;

	for (int i = 0; i < 5; i++) {
		struct problem p = { 0 };
		bool ok = i == 0 ? check_memory_file(mem_mb, &p) : i == 1 ? check_seccomp(&p) : i == 2 ? !traced || check_ptrace(&p) :
			  i == 3 ? check_map_count(&p) : check_available(mem_mb, &p);

		if (table)
			printf("  %-18s %s\n", names[i], ok ? "ok" : p.what);
		if (!ok)
			found[n++] = p;
	}
	return n;
}

static void say_problems(const struct problem *p, int n)
{
	for (int i = 0; i < n; i++)
		fprintf(stderr, "mmuml: error: %s\n  because: %s\n  try:     %s\n", p[i].what, p[i].because, p[i].advice);
}

int host_report(long mem_mb)
{
	struct problem p[5];
	int n = check_all(mem_mb, true, p, true);

	show_limits(mem_mb);
	fflush(stdout);
	say_problems(p, n);
	return n;
}

static void exit_for(const struct problem *p, int n)
{
	say_problems(p, n);
	if (n)
		exit(EX_HOST);
}

void host_check(long mem_mb, bool traced)
{
	struct problem p[5];

	exit_for(p, check_all(mem_mb, traced, p, false));
}

void host_check_ptrace(void)
{
	struct problem p;

	exit_for(&p, check_ptrace(&p) ? 0 : 1);
}
