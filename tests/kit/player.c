// SPDX-License-Identifier: GPL-2.0
/*
 * A kernel that is none, for the runner to start: it plays what a kernel said, so that a run can be had of any order of events, in no time.
 * Environment: PLAY_RECORD=FILE, a record of a run: the kernel number N of it, N being that of the working directory .../bootN, says what it
 * said, in the same order, and ends as it ended. Without it the tests of host/plan are played, each as the last part of its name says:
 *	fail, skip, warn, crash, dies (without a word), between (a report after its end), gone (it dies after its end), garbage (no KTAP),
 *	slow (a second), hang (init ends it at its limit); anything else passes
 * PLAY_OLD=1: with the markers that the guest had before protocol.h.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../scripts/runner/record.h"

#define CONSOLE		1
#define RESULT		3
#define XML		7

static bool old;

static __attribute__((noreturn)) void until_killed(void)
{
	for (;;)
		pause();
}

/* Say it, but only when the other streams are read as far as they go: the runner gets all in this order. */
static void say(int fd, const char *s, size_t len)
{
	static const int fds[] = { CONSOLE, RESULT, XML };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		int left;

		while (fds[i] != fd && !ioctl(fds[i], FIONREAD, &left) && left > 0)
			usleep(100);
	}
	while (len) {
		ssize_t n = write(fd, s, len);

		/* Nobody listens any more: the runner is about to kill us. */
		if (n < 0)
			until_killed();
		s += n;
		len -= n;
	}
}

static __attribute__((format(printf, 2, 3))) void sayf(int fd, const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		exit(EX_HOST);
	va_end(ap);
	say(fd, s, strlen(s));
	free(s);
}

static __attribute__((noreturn)) void end(int status)
{
	if (!WIFSIGNALED(status))
		_exit(WEXITSTATUS(status));
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
	signal(WTERMSIG(status), SIG_DFL);
	raise(WTERMSIG(status));
	_exit(EX_HOST);
}

/* ---- a record ---- */

static void say_result(const char *s, size_t len)
{
	if (old && (!strncmp(s, SAY_ARMED, strlen(SAY_ARMED)) || !strncmp(s, SAY_LEAK, strlen(SAY_LEAK))))
		return;
	if (old && !strncmp(s, "mmuml ", 6)) {
		sayf(RESULT, "# %.*s", (int)len - 6, s + 6);
		return;
	}
	say(RESULT, s, len);
}

static __attribute__((format(printf, 1, 2))) void say_resultf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		exit(EX_HOST);
	va_end(ap);
	say_result(s, strlen(s));
	free(s);
}

static void play(void *arg, const struct event *e)
{
	if (e->boot != *(int *)arg)
		return;
	switch (e->kind) {
	case EV_CONSOLE:
		say(CONSOLE, e->data, e->len);
		break;
	case EV_RESULT:
		say_result(e->data, e->len);
		break;
	case EV_XML:
		say(XML, e->data, e->len);
		break;
	case EV_LIMIT:
	case EV_STOP:
		/* The runner kills it. */
		until_killed();
	case EV_EXIT:
		end(atoi(e->data));
	default:
		break;
	}
}

static int boot_number(void)
{
	char *dir = getcwd(NULL, 0), *name = dir ? strrchr(dir, '/') : NULL;
	int nr = 0;

	if (!name || sscanf(name, "/boot%d", &nr) != 1)
		die(EX_USAGE, NULL, dir, "not started in the directory of a kernel");
	return nr;
}

/* ---- the plan ---- */

static bool is(const char *test, const char *what)
{
	const char *last = strrchr(test, '.');

	return last && !strncmp(last + 1, what, strlen(what));
}

/* As long as the guest's init waits for a test: the plan says milliseconds; before protocol.h, seconds, times a word of the command line. */
static void wait_for_limit(const char *limit, char **argv)
{
	double s = atof(limit) / (old ? 1 : 1000), scale;

	for (; old && *argv; argv++)
		if (sscanf(*argv, "mmuml.scale=%lf", &scale) == 1)
			s *= scale;
	usleep(s * 1e6);
}

static void play_test(int nr, const char *test, const char *limit, char **argv)
{
	char *timeout = xasprintf(" # (timeout, %s in the plan)", limit);
	const char *bad = is(test, "hang") ? timeout : is(test, "fail") ? " # (exit 1)" : NULL;

	say_resultf(SAY_BEGIN "%s\n", test);
	sayf(CONSOLE, MARK_BEGIN "%s\n", test);
	if (is(test, "dies"))
		end(SIGSEGV);
	if (is(test, "crash")) {
		sayf(CONSOLE, "BUG: failure at mm/rmap.c:1234/played()!\nKernel panic - not syncing: BUG!\n");
		end(SIGABRT);
	}
	if (is(test, "slow"))
		sleep(1);
	if (is(test, "hang"))
		wait_for_limit(limit, argv);
	if (is(test, "warn"))
		sayf(CONSOLE, "WARNING: mm/rmap.c:99 at 0x600c7a60, CPU#0: played/1\n");
	if (is(test, "garbage"))
		say_resultf("this is no KTAP\n");
	sayf(CONSOLE, MARK_END "%s\n", test);
	say_resultf("%sok %d %s%s\n", bad ? "not " : "", nr, test, bad ? bad : is(test, "skip") ? " # SKIP played" : "");
	free(timeout);
	if (is(test, "between"))
		sayf(CONSOLE, "BUG: KASAN: slab-use-after-free in played+0x1/0x2\n");
	if (is(test, "gone"))
		end(SIGSEGV);
}

static void play_plan(char **argv)
{
	char *plan = read_whole("host/plan", NULL), *save = NULL, *line;
	int n = 0, nr = 0;

	if (!plan)
		die(EX_USAGE, NULL, strerror(errno), "no host/plan");
	for (char *s = plan; *s; s++)
		n += *s == '\n';
	sayf(CONSOLE, "Linux version 0-played\n");
	say_resultf("KTAP version 1\n1..%d\n", n);
	for (line = strtok_r(plan, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *limit = strrchr(line, '\t');

		line[strcspn(line, "\t")] = '\0';
		play_test(++nr, line, limit ? limit + 1 : "0", argv);
	}
	say_resultf(SAY_DONE "%d\n", n);
	sayf(CONSOLE, "reboot: Power down\n");
}

int main(int argc, char **argv)
{
	const char *record = getenv("PLAY_RECORD");
	int nr = boot_number();

	(void)argc;
	old = getenv("PLAY_OLD") != NULL;
	signal(SIGPIPE, SIG_IGN);
	if (!record) {
		play_plan(argv);
		return 0;
	}
	record_read(record, play, &nr);
	/* The record knows of no such kernel, or not of its end. */
	until_killed();
}
