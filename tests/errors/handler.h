/* SPDX-License-Identifier: GPL-2.0 */
/* A thread that reads the events of userfaultfds and counts them: those of faults get a page of zeroes. */
#ifndef MMUML_ERRORS_HANDLER_H
#define MMUML_ERRORS_HANDLER_H

#include <pthread.h>
#include <sys/eventfd.h>

#include "../uffd/uffd.h"

#define HANDLER_FDS	2
#define HANDLER_STOP	1000

static int handler_fds[HANDLER_FDS], handler_nr, handler_asked = -1;
static volatile int handler_answers, handler_events[256];
static pthread_t handler_thread;

static void handler_read(int fd)
{
	struct uffdio_zeropage zero = { .range = { .len = PAGE } };
	struct uffd_msg msg;

	if (read(fd, &msg, sizeof(msg)) != sizeof(msg))
		return;
	handler_events[msg.event]++;
	if (msg.event == UFFD_EVENT_PAGEFAULT) {
		zero.range.start = msg.arg.pagefault.address & ~(PAGE - 1);
		ioctl(fd, UFFDIO_ZEROPAGE, &zero);
	}
}

static void *handler(void *arg)
{
	struct pollfd fds[HANDLER_FDS + 1];
	eventfd_t what = 0;

	for (int i = 0; i <= handler_nr; i++)
		fds[i] = (struct pollfd) { i < handler_nr ? handler_fds[i] : handler_asked, POLLIN, 0 };
	while (what < HANDLER_STOP && poll(fds, handler_nr + 1, -1) > 0) {
		for (int i = 0; i < handler_nr; i++)
			if (fds[i].revents & POLLIN)
				handler_read(fds[i].fd);
		if (fds[handler_nr].revents && !eventfd_read(handler_asked, &what))
			handler_answers++;
	}
	return NULL;
}

/* @nr userfaultfds with these features and their handler; whether it runs. */
static bool handler_start(int nr, uint64_t features)
{
	handler_nr = nr;
	handler_asked = eventfd(0, EFD_CLOEXEC);
	for (int i = 0; i < nr; i++) {
		handler_fds[i] = uffd_open(features);
		if (handler_fds[i] < 0)
			return false;
	}
	return handler_asked >= 0 && !pthread_create(&handler_thread, NULL, handler, NULL);
}

/* A call that is told of goes on when the event is read, which is a moment before it is counted. */
static void handler_wait(void)
{
	int before = handler_answers;

	eventfd_write(handler_asked, 1);
	while (handler_answers == before)
		usleep(50);
}

/* How many there have been since the last look. */
static int handler_took(int event)
{
	int n = handler_events[event];

	handler_events[event] = 0;
	return n;
}

static void handler_stop(void)
{
	eventfd_write(handler_asked, HANDLER_STOP);
	pthread_join(handler_thread, NULL);
	for (int i = 0; i < handler_nr; i++)
		close(handler_fds[i]);
	close(handler_asked);
}

#endif
