/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of userfaultfd(2) share: one to have, ranges of it, and whose a fault is. */
#ifndef MMUML_TESTS_UFFD_H
#define MMUML_TESTS_UFFD_H

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "mm.h"

/* A userfaultfd with these features; -errno, EINVAL if the kernel has not all of them. */
static inline int uffd_open(uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = mm_userfaultfd(O_CLOEXEC | O_NONBLOCK), err;

	if (fd < 0)
		return -errno;
	if (!ioctl(fd, UFFDIO_API, &api))
		return fd;
	err = errno;
	close(fd);
	return -err;
}

static inline const char *uffd_need(uint64_t features, const char *what)
{
	int fd = uffd_open(features);

	if (fd < 0)
		return what;
	close(fd);
	return NULL;
}

/*
 * Kernels that have no guard regions give a userfaultfd more than it may have: what can be dropped, and what is another's to release.
 */
static inline const char *uffd_need_checks(void)
{
	return mm_need_guard(MAP_PRIVATE | MAP_ANONYMOUS);
}

/* 0 or the errno */
static inline int uffd_register(int fd, void *p, size_t len, uint64_t mode)
{
	struct uffdio_register reg = { .range = { .start = (uintptr_t)p, .len = len }, .mode = mode };

	return ioctl(fd, UFFDIO_REGISTER, &reg) ? errno : 0;
}

static inline int uffd_unregister(int fd, void *p, size_t len)
{
	struct uffdio_range range = { .start = (uintptr_t)p, .len = len };

	return ioctl(fd, UFFDIO_UNREGISTER, &range) ? errno : 0;
}

static inline int uffd_wake(int fd, void *p, size_t len)
{
	struct uffdio_range range = { .start = (uintptr_t)p, .len = len };

	return ioctl(fd, UFFDIO_WAKE, &range) ? errno : 0;
}

/* Copy a page; 0 or the errno */
static inline int uffd_copy(int fd, void *to, const void *from)
{
	struct uffdio_copy copy = { .dst = (uintptr_t)to, .src = (uintptr_t)from, .len = PAGE };

	return ioctl(fd, UFFDIO_COPY, &copy) ? errno : 0;
}

/* Whether an event comes within a time that is long for one that does, and is not waited for where none shall come. */
static inline bool uffd_waits(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1 && p.revents & POLLIN;
}

/* The next event of 10 s, and the page that it is about if it is a fault; -1 if there is none. */
static inline int uffd_event(int fd, void **at)
{
	struct uffd_msg msg;

	if (!uffd_waits(fd, 10000) || read(fd, &msg, sizeof(msg)) != sizeof(msg))
		return -1;
	if (at)
		*at = (void *)((uintptr_t)msg.arg.pagefault.address & ~(PAGE - 1));
	return msg.event;
}

#endif
