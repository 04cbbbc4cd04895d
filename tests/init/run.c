// SPDX-License-Identifier: GPL-2.0
/*
 * The plan, and one test: a program in a session of its own, read until its end or the end of its time (collect.c). MARK_BEGIN and
 * MARK_END go to the kernel's log, so that the host can tell which test a report of the kernel belongs to.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <stdlib.h>

#include "init.h"

#define TAINT_TEST	(1UL << 18)	/* include/linux/panic.h */
#define WORDS_MAX	16		/* of a program that is not on the harness */
#define IDLE		"(idle)"
#define IDLE_WORD	"idle"		/* in the place of the name for the harness */

void read_plan(struct plan *plan)
{
	char *line = NULL;
	size_t cap = 0;
	FILE *f = fopen(PLAN_FILE, "re");

	*plan = (struct plan){ 0 };
	if (!f)
		die(PLAN_FILE);
	while (getline(&line, &cap, f) > 0) {
		struct test t = { 0 };

		errno = EINVAL;
		if (sscanf(line, "%m[^\t]\t%m[^\t]\t%m[^\t]\t%ld", &t.name, &t.program, &t.harness, &t.limit) != 4)
			die("malformed line in " PLAN_FILE);
		plan->tests = grow(plan->tests, (plan->n + 1) * sizeof(t));
		plan->tests[plan->n++] = t;
	}
	free(line);
	fclose(f);
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

/*
 * The kernel's own tests find themselves by ./NAME, and what they write to is a file system with a device, where there is one.
 * False: this is none of them.
 */
static bool own_directory(const struct test *t)
{
	char link[PATH_MAX], path[PATH_MAX];

	if (strncmp(t->program, UPSTREAM_AREA ".", sizeof(UPSTREAM_AREA)))
		return false;
	snprintf(link, sizeof(link), "/mnt/%s", t->program + sizeof(UPSTREAM_AREA));
	snprintf(path, sizeof(path), "/tests/%s", t->program);
	unlink(link);
	return !symlink(path, link) && !chdir("/mnt");
}

/* What a test's process is before it is the test's; only in the child of vfork(). */
static void become(const struct test *t, int out)
{
	int null = open("/dev/null", O_RDONLY);

	setsid();
	dup2(null, 0);
	if (null > 0)
		close(null);
	dup2(out, 1);
	dup2(out, 2);
	if (!own_directory(t) && chdir("/tmp"))
		perror("/tmp");
}

/* The words of @line into @argv, which has WORDS_MAX places and one for the NULL behind them. */
static void split(char *line, char **argv)
{
	char *save = NULL;
	int n = 0;

	for (char *word = strtok_r(line, " ", &save); word && n < WORDS_MAX; word = strtok_r(NULL, " ", &save))
		argv[n++] = word;
	argv[n] = NULL;
}

/*
 * Start the test in a session of its own with @out for what it prints; 0 or an errno. Not fork(): a copy of this address
 * space, made to be thrown away by execve(), costs the host as much as a short test; nor posix_spawn(), which asks for each
 * signal's handler.
 */
static int start(struct test *t, int out)
{
	char path[PATH_MAX], words[256], *argv[WORDS_MAX + 2] = { t->program, "-r", settings.dry ? "(none)" : t->harness, NULL };
	volatile int err = 0;

	snprintf(path, sizeof(path), "/tests/%s", t->program);
	if (is_foreign(t)) {
		snprintf(words, sizeof(words), "%s", t->harness + 1);
		split(words, argv + 1);
	}
	t->pid = vfork();
	if (!t->pid) {
		become(t, out);
		execve(path, argv, environ);
		err = errno;
		_exit(127);
	}
	if (t->pid < 0)
		return errno;
	if (err)
		waitpid(t->pid, NULL, 0);
	return err;
}

/* Nothing of one test may run during the next. */
int reap_strays(void)
{
	int n = 0;

	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		n++;
	return n;
}

void run_test(struct test *t, struct output *out, struct outcome *o)
{
	unsigned long before = taint();
	int pipefd[2], err;

	out->len = out->lost = 0;
	if (settings.counters)
		counters_begin();
	kmsg("<6>" MARK_BEGIN "%s", t->name);
	if (pipe2(pipefd, O_CLOEXEC))
		die("pipe");
	err = start(t, pipefd[1]);
	close(pipefd[1]);
	if (err) {
		out->len = sprintf(out->text, "/tests/%s: %s\n", t->program, strerror(err));
		o->status = W_EXITCODE(127, 0);
	} else {
		collect(pipefd[0], t->pid, now_ms() + t->limit, out, o);
	}
	close(pipefd[0]);
	o->strays = reap_strays();
	if (settings.counters)
		counters_end();
	if (settings.left)
		left_after(is_foreign(t), o->left, sizeof(o->left));
	/* That a test of the kernel's own was run is no fault of it. */
	o->taint = taint() & ~before & ~TAINT_TEST;
	kmsg("<6>" MARK_END "%s", t->name);
}

bool is_idle_test(int argc, char **argv)
{
	return argc > 2 && !strcmp(argv[2], IDLE_WORD) && getpid() != 1;
}

void idle_windows(struct output *out)
{
	struct test idle = { .name = IDLE, .program = "../init", .harness = IDLE_WORD, .limit = 5000 };

	gcov_take("(boot)");
	for (int i = 0; i < 4; i++) {
		struct outcome o = { 0 };

		gcov_reset();
		run_test(&idle, out, &o);
		/* The first one also fills caches. */
		if (i)
			gcov_take(idle.name);
	}
}

void run_plan(struct plan *plan)
{
	static struct output out;

	if (settings.coverage) {
		gcov_open();
		idle_windows(&out);
	}
	if (settings.left)
		left_begin();
	for (int i = 0; i < plan->n; i++) {
		struct test *t = &plan->tests[i];
		struct outcome o = { 0 };

		ktap_say(SAY_BEGIN, "%s", t->name);
		gcov_reset();
		run_test(t, &out, &o);
		gcov_take(t->name);
		if (settings.counters)
			counters_say();
		ktap_result(i + 1, t, &out, &o);
	}
}
