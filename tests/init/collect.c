// SPDX-License-Identifier: GPL-2.0
/* What a test prints, read until its process is gone or its time is up. */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Keep what came, at most 4096 bytes. */
static void keep(struct output *out, const char *buf, size_t n)
{
	const size_t head = HELD_MAX / 2, tail = HELD_MAX / 4;

	if (out->len + n > HELD_MAX) {
		memmove(out->text + head, out->text + out->len - tail, tail);
		out->lost += out->len - head - tail;
		out->len = head + tail;
	}
	memcpy(out->text + out->len, buf, n);
	out->len += n;
}

/* Whether there may be more to read. */
static bool read_some(int fd, struct output *out)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n > 0)
		keep(out, buf, n);
	return n > 0;
}

/*
 * Read what the test prints until its process is gone or the time is up. Its end is polled for, not slept for: a
 * sleep lasts a tick of 10 ms.
 */
void collect(int fd, pid_t pid, long deadline, struct output *out, struct outcome *o)
{
	struct pollfd p[] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN },
	};
	long left;

	if (p[1].fd < 0)
		die("pidfd_open");
	for (;;) {
		left = deadline - now_ms();
		poll(p, 2, left > 0 ? left : 0);
		if (p[0].revents) {
			if (!read_some(fd, out))
				p[0].fd = -1;
			else if (left > 0)
				continue;
		}
		if (p[1].revents) {
			/* poll() looks at one after the other: it may have written behind the first look, and ended before the second. */
			while (p[0].fd >= 0 && now_ms() < deadline && poll(p, 1, 0) > 0 && read_some(fd, out))
				;
			break;
		}
		if (left <= 0) {
			o->timed_out = true;
			put_file("/proc/sysrq-trigger", "t");
			kill(-1, SIGKILL);
			break;
		}
	}
	waitpid(pid, &o->status, 0);
	close(p[1].fd);
}
