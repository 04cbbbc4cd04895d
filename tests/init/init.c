// SPDX-License-Identifier: GPL-2.0
/*
 * PID 1 of the guest: mounts, swap, one child per test case, KTAP on the result channel, power off.
 *
 * Kernel command line: mmuml.mode=test|shell, mmuml.scale=N (time limits times N), mmuml.seed=N,
 * mmuml.coverage=1 (counters.c: the counters of each test to /host/counters), mmuml.counters=1 (count.c: what the kernel
 * counted over each test), mmuml.dry=1 (start the tests' programs, run no test).
 * The plan is /host/plan: one case a line, "NAME<tab>PROGRAM<tab>HARNESS-NAME<tab>SECONDS".
 * Markers "mmuml: begin NAME" and "mmuml: end NAME" go to the kernel log, so that the host can tell which
 * test a report of the kernel belongs to.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "count.h"
#include "counters.h"

#define RESULT_TTY	"/dev/ttyS0"
#define KMEMLEAK	"/sys/kernel/debug/kmemleak"
#define SKIP_CODE	4		/* KSFT_SKIP of kselftest.h */
#define HELD_MAX	(256 * 1024)	/* output of one test that is kept */

struct test {
	char *name, *program, *harness;
	int limit;
};

struct outcome {
	int status;		/* of waitpid() */
	bool timed_out;
	unsigned long taint;	/* bits that appeared during the test */
	int strays;		/* processes that outlived it */
};

static FILE *result;
static int scale = 1;
static bool counters;
static char seed[32] = "1";
static bool coverage;
static bool dry;

static void kmsg(const char *fmt, ...)
{
	char buf[256];
	va_list ap;
	int fd, n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf) - 1, fmt, ap);
	va_end(ap);
	n = n < (int)sizeof(buf) - 1 ? n : (int)sizeof(buf) - 2;
	/* Without it the line is shown when the next one comes. */
	buf[n++] = '\n';
	fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, buf, n) < 0)
		perror("init: /dev/kmsg");
	close(fd);
}

static void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	_exit(1);
}

/* Stop with a reason that the host prints: without a working init there is no test. */
static void die(const char *what)
{
	kmsg("<2>mmuml: init: %s: %s", what, strerror(errno));
	power_off();
}

static void put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		kmsg("<4>mmuml: init: %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void mount_one(const char *type, const char *where)
{
	mkdir(where, 0755);
	if (mount(type, where, type, 0, NULL) && errno != EBUSY)
		die(where);
}

static void mounts(void)
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
}

static void swap_on(void)
{
	if (!access("/dev/ubda", F_OK) && swapon("/dev/ubda", 0))
		die("swapon /dev/ubda");
}

/* Value of a word KEY=VALUE of the kernel command line, or NULL. */
static char *cmdline_word(const char *key)
{
	static char line[4096];
	char *word, *save = NULL;
	size_t n = strlen(key);
	FILE *f = fopen("/proc/cmdline", "re");

	if (!f || !fgets(line, sizeof(line), f))
		die("/proc/cmdline");
	fclose(f);
	for (word = strtok_r(line, " \n", &save); word; word = strtok_r(NULL, " \n", &save))
		if (!strncmp(word, key, n) && word[n] == '=')
			return word + n + 1;
	return NULL;
}

static unsigned long taint(void)
{
	unsigned long bits = 0;
	FILE *f = fopen("/proc/sys/kernel/tainted", "re");

	if (!f || fscanf(f, "%lu", &bits) != 1)
		die("/proc/sys/kernel/tainted");
	fclose(f);
	return bits;
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- the plan ---- */

static struct test *read_plan(int *count)
{
	struct test *tests = NULL;
	char *line = NULL;
	size_t cap = 0;
	int n = 0;
	FILE *f = fopen("/host/plan", "re");

	if (!f)
		die("/host/plan");
	while (getline(&line, &cap, f) > 0) {
		struct test t = { 0 };

		if (sscanf(line, "%m[^\t]\t%m[^\t]\t%m[^\t]\t%d", &t.name, &t.program, &t.harness, &t.limit) != 4)
			die("malformed line in /host/plan");
		tests = realloc(tests, (n + 1) * sizeof(*tests));
		if (!tests)
			die("no memory for the plan");
		tests[n++] = t;
	}
	free(line);
	fclose(f);
	*count = n;
	return tests;
}

/* ---- one test ---- */

/*
 * Start the test in a session of its own with @out for what it prints; 0 or an errno. Not fork(): a copy of this address
 * space, made to be thrown away by execve(), costs the host as much as a short test.
 */
static int start(const struct test *t, int out, pid_t *pid)
{
	char path[PATH_MAX], *argv[] = { t->program, "-r", dry ? "(none)" : t->harness, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int err;

	snprintf(path, sizeof(path), "/tests/%s", t->program);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out, 1);
	posix_spawn_file_actions_adddup2(&files, out, 2);
	posix_spawn_file_actions_addchdir_np(&files, "/tmp");
	err = posix_spawn(pid, path, &files, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return err;
}

/* Keep what came; too much output loses its middle. */
static size_t keep(char *held, size_t len, const char *buf, size_t n)
{
	if (len + n > HELD_MAX) {
		memmove(held + HELD_MAX / 2, held + len - HELD_MAX / 4, HELD_MAX / 4);
		len = HELD_MAX / 2 + HELD_MAX / 4;
	}
	memcpy(held + len, buf, n);
	return len + n;
}

/*
 * Read what the test prints until its process is gone or the time is up. Its end is polled for, not slept for: a
 * sleep lasts a tick of 10 ms.
 */
static size_t collect(int fd, pid_t pid, long deadline, char *held, struct outcome *o)
{
	struct pollfd p[] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN },
	};
	size_t len = 0;
	char buf[4096];

	if (p[1].fd < 0)
		die("pidfd_open");
	for (;;) {
		long left = deadline - now_ms();
		ssize_t n;

		poll(p, 2, left > 0 ? left : 0);
		if (p[0].revents) {
			n = read(fd, buf, sizeof(buf));
			if (n > 0) {
				len = keep(held, len, buf, n);
				if (left > 0)
					continue;
			} else {
				p[0].fd = -1;
			}
		}
		if (p[1].revents) {
			waitpid(pid, &o->status, 0);
			break;
		}
		if (left <= 0) {
			o->timed_out = true;
			put_file("/proc/sysrq-trigger", "t");
			kill(-1, SIGKILL);
			waitpid(pid, &o->status, 0);
			break;
		}
	}
	close(p[1].fd);
	return len;
}

/* Nothing of one test may run during the next. */
static int reap_strays(void)
{
	int n = 0;

	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		n++;
	return n;
}

static void run(const struct test *t, char *held, size_t *len, struct outcome *o)
{
	unsigned long before = taint();
	int out[2], err;
	pid_t pid;

	if (counters)
		count_begin();
	kmsg("<6>mmuml: begin %s", t->name);
	if (pipe2(out, O_CLOEXEC))
		die("pipe");
	err = start(t, out[1], &pid);
	close(out[1]);
	if (err) {
		*len = sprintf(held, "/tests/%s: %s\n", t->program, strerror(err));
		o->status = W_EXITCODE(127, 0);
	} else {
		*len = collect(out[0], pid, now_ms() + 1000L * t->limit * scale, held, o);
	}
	close(out[0]);
	o->strays = reap_strays();
	if (counters)
		count_end();
	o->taint = taint() & ~before;
	kmsg("<6>mmuml: end %s", t->name);
}

/* ---- what the host reads ---- */

/* Lines of the harness that say nothing new: our own plan and result line stand for them. */
static bool boilerplate(const char *line)
{
	static const char *const starts[] = {
		"TAP version", "1..1", "# Starting ", "#  RUN  ", "#            OK  ", "#          FAIL  ",
		"# PASSED: ", "# FAILED: ", "# Totals: ", "ok 1 ", "not ok 1 ", "#          SKIP ",
	};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (!strncmp(line, starts[i], strlen(starts[i])))
			return true;
	return false;
}

/* Diagnostics first, "# " before each line; the reason of a skip is returned. */
static const char *tell(char *held, size_t len)
{
	const char *reason = NULL;
	char *line, *save = NULL;

	held[len] = '\0';
	for (line = strtok_r(held, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *skip = strstr(line, "# SKIP ");

		if (!strncmp(line, "ok 1 ", 5) && skip)
			reason = skip + 7;
		if (!boilerplate(line))
			fprintf(result, "# %s\n", !strncmp(line, "# ", 2) ? line + 2 : line);
	}
	return reason;
}

static void report(int nr, const struct test *t, char *held, size_t len, const struct outcome *o)
{
	const char *reason;
	int code = WIFEXITED(o->status) ? WEXITSTATUS(o->status) : -1;

	/* Ours first: what the test reports under the same name, about a narrower stretch, is the last word. */
	if (counters)
		count_print(result);
	reason = tell(held, len);
	if (o->strays)
		fprintf(result, "# left %d process(es) behind\n", o->strays);
	if (o->timed_out)
		fprintf(result, "not ok %d %s # (timeout %ds)\n", nr, t->name, t->limit * scale);
	else if (o->taint)
		fprintf(result, "not ok %d %s # (kernel tainted %#lx)\n", nr, t->name, o->taint);
	else if (WIFSIGNALED(o->status))
		fprintf(result, "not ok %d %s # (signal %d)\n", nr, t->name, WTERMSIG(o->status));
	else if (code == SKIP_CODE || (!code && reason))
		fprintf(result, "ok %d %s # SKIP %s\n", nr, t->name, reason ? reason : "no reason given");
	else if (code)
		fprintf(result, "not ok %d %s # (exit %d)\n", nr, t->name, code);
	else
		fprintf(result, "ok %d %s\n", nr, t->name);
	fflush(result);
}

/* What runs without any test: the boot, then this program itself in the place of a test. */
static void idle_windows(char *held)
{
	struct test idle = { "(idle)", "../init", "idle", 5 };

	if (!coverage)
		return;
	if (counters_open())
		die("the kernel has no counters: /sys/kernel/debug/gcov");
	counters_take("(boot)");
	for (int i = 0; i < 4; i++) {
		struct outcome o = { 0 };
		size_t len;

		counters_reset();
		run(&idle, held, &len, &o);
		/* The first one also fills caches. */
		if (i)
			counters_take(idle.name);
	}
}

/*
 * Objects that nothing leads to any more, with the stacks that allocated them, into the kernel's log. Twice: kmemleak
 * (Documentation/dev-tools/kmemleak.rst) reports what is five seconds old and did not change between two scans.
 */
static void look_for_leaks(void)
{
	char *line = NULL;
	size_t size = 0;
	FILE *f;

	if (access(KMEMLEAK, W_OK))
		return;
	put_file(KMEMLEAK, "scan");
	put_file(KMEMLEAK, "scan");
	f = fopen(KMEMLEAK, "re");
	while (f && getline(&line, &size, f) > 0)
		kmsg("<4>%.*s", (int)strcspn(line, "\n"), line);
	if (f)
		fclose(f);
	free(line);
}

static void run_tests(void)
{
	static char held[HELD_MAX + 4096];
	struct test *tests;
	int n;

	tests = read_plan(&n);
	fprintf(result, "KTAP version 1\n1..%d\n# seed %s\n", n, seed);
	fflush(result);
	idle_windows(held);
	for (int i = 0; i < n; i++) {
		struct outcome o = { 0 };
		size_t len;

		fprintf(result, "# begin %s\n", tests[i].name);
		fflush(result);
		counters_reset();
		run(&tests[i], held, &len, &o);
		counters_take(tests[i].name);
		report(i + 1, &tests[i], held, len, &o);
	}
	look_for_leaks();
	fprintf(result, "# done %d\n", n);
	fflush(result);
	tcdrain(fileno(result));
}

/* ---- interactive ---- */

static void shell(void)
{
	pid_t pid;
	int status;

	if (access("/bin/busybox", X_OK)) {
		errno = ENOENT;
		die("/bin/busybox (the host had none when the guest was built)");
	}
	pid = fork();
	if (!pid) {
		int tty = open("/dev/tty0", O_RDWR);

		setsid();
		ioctl(tty, TIOCSCTTY, 1);
		dup2(tty, 0);
		dup2(tty, 1);
		dup2(tty, 2);
		setenv("PATH", "/bin:/tests", 1);
		setenv("HOME", "/tmp", 1);
		setenv("PS1", "mmuml:\\w# ", 1);
		if (symlink("busybox", "/bin/sh") || system("busybox --install -s /bin"))
			perror("busybox --install");
		execl("/bin/busybox", "sh", "-i", NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	reap_strays();
}

static void open_result_channel(void)
{
	struct termios t;
	int fd = open(RESULT_TTY, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		die(RESULT_TTY);
	tcgetattr(fd, &t);
	cfmakeraw(&t);
	tcsetattr(fd, TCSANOW, &t);
	result = fdopen(fd, "w");
}

int main(int argc, char **argv)
{
	const char *word;
	bool interactive;

	if (argc > 2 && !strcmp(argv[2], "idle") && getpid() != 1)
		return 0;
	mounts();
	swap_on();
	word = cmdline_word("mmuml.mode");
	interactive = word && !strcmp(word, "shell");
	word = cmdline_word("mmuml.scale");
	if (word)
		scale = atoi(word);
	word = cmdline_word("mmuml.seed");
	if (word)
		snprintf(seed, sizeof(seed), "%s", word);
	setenv("MMUML_SEED", seed, 1);
	coverage = cmdline_word("mmuml.coverage");
	word = cmdline_word("mmuml.counters");
	counters = word && !strcmp(word, "1");
	word = cmdline_word("mmuml.dry");
	dry = word && !strcmp(word, "1");
	if (interactive) {
		shell();
	} else {
		open_result_channel();
		run_tests();
	}
	power_off();
}
