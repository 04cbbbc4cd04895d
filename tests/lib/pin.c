// SPDX-License-Identifier: GPL-2.0
/* Pins of user pages: by io_uring's registered buffers, by the kernel's gup_test, by a process_vm_readv(). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>

#include "mm.h"

#define GUP_TEST	"/sys/kernel/debug/gup_test"
#define MAX_SEGMENT	(1UL << 30)	/* io_uring/rsrc.c: SZ_1G */
#define MAX_SEGMENTS	(1U << 14)	/* io_uring/rsrc.c: IORING_MAX_REG_BUFFERS */

/* mm/process_vm_access.c pins as many pages at once as two pages hold pointers. */
#define MAX_SHORT	(512 * PAGE)

enum { PIN_NONE, PIN_URING, PIN_GUP, PIN_SHORT };

/* From mm/gup_test.h, which is no uapi header. */
struct pin_longterm_test {
	uint64_t addr;
	uint64_t size;
	uint32_t flags;
};
#define PIN_LONGTERM_TEST_START			_IOW('g', 7, struct pin_longterm_test)
#define PIN_LONGTERM_TEST_STOP			_IO('g', 8)
#define PIN_LONGTERM_TEST_FLAG_USE_WRITE	1

/* gup_test holds one set of pins for the whole kernel, and closing any descriptor of it drops them. */
static bool gup_busy;

static int ring_open(void)
{
	struct io_uring_params params = { 0 };
	int fd = syscall(__NR_io_uring_setup, 1U, &params);

	return fd < 0 ? -errno : fd;
}

const char *mm_need_pin(void)
{
	int fd = ring_open();

	if (fd < 0)
		return "IO_URING";
	close(fd);
	return NULL;
}

const char *mm_need_gup_test(void)
{
	return access(GUP_TEST, R_OK) ? "GUP_TEST (" GUP_TEST ")" : NULL;
}

static int pin_segments(struct mm_pin *pin, const struct iovec *iov, unsigned int n)
{
	int err = 0;

	pin->kind = PIN_NONE;
	pin->fd = ring_open();
	if (pin->fd < 0)
		return pin->fd;
	if (syscall(__NR_io_uring_register, pin->fd, IORING_REGISTER_BUFFERS, iov, n)) {
		err = -errno;
		close(pin->fd);
		pin->fd = -1;
		return err;
	}
	pin->kind = PIN_URING;
	return 0;
}

/* Segments of @size bytes, one every @step bytes. */
static int pin_range(struct mm_pin *pin, char *p, size_t len, size_t size, size_t step)
{
	size_t n = (len + step - 1) / step;
	struct iovec *iov;
	int err;

	pin->fd = -1;
	pin->kind = PIN_NONE;
	if (!n || n > MAX_SEGMENTS)
		return -EINVAL;
	iov = calloc(n, sizeof(*iov));
	if (!iov)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		size_t left = len - i * step;

		iov[i].iov_base = p + i * step;
		iov[i].iov_len = left < size ? left : size;
	}
	err = pin_segments(pin, iov, n);
	free(iov);
	return err;
}

int mm_pin_uring(struct mm_pin *pin, void *p, size_t len)
{
	return pin_range(pin, p, len, MAX_SEGMENT, MAX_SEGMENT);
}

int mm_pin_uring_stride(struct mm_pin *pin, void *p, size_t len, unsigned int stride)
{
	if (!stride)
		return -EINVAL;
	return pin_range(pin, p, len, PAGE, stride * PAGE);
}

static int pin_gup(struct mm_pin *pin, void *p, size_t len, uint32_t flags)
{
	struct pin_longterm_test args = {
		.addr = (uintptr_t)p,
		.size = len,
		.flags = flags,
	};
	int err;

	pin->fd = -1;
	pin->kind = PIN_NONE;
	if (gup_busy)
		return -EBUSY;
	pin->fd = open(GUP_TEST, O_RDWR | O_CLOEXEC);
	if (pin->fd < 0)
		return -errno;
	if (ioctl(pin->fd, PIN_LONGTERM_TEST_START, &args)) {
		err = -errno;
		close(pin->fd);
		pin->fd = -1;
		return err;
	}
	pin->kind = PIN_GUP;
	gup_busy = true;
	return 0;
}

int mm_pin_gup(struct mm_pin *pin, void *p, size_t len)
{
	return pin_gup(pin, p, len, PIN_LONGTERM_TEST_FLAG_USE_WRITE);
}

int mm_pin_gup_read(struct mm_pin *pin, void *p, size_t len)
{
	return pin_gup(pin, p, len, 0);
}

/* A thread that reads [from, from+len) into a place whose pages are missing until the userfaultfd is closed. */
struct reader {
	pthread_t thread;
	struct iovec from, to;
};

static void *read_blocked(void *arg)
{
	struct reader *r = arg;

	return (void *)process_vm_readv(getpid(), &r->to, 1, &r->from, 1, 0);
}

/* A userfaultfd that watches the range; the descriptor. */
static int watch(void *p, size_t len)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (uintptr_t)p, len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int err, fd = mm_userfaultfd(O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (!ioctl(fd, UFFDIO_API, &api) && !ioctl(fd, UFFDIO_REGISTER, &reg))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

const char *mm_need_pin_short(void)
{
	int fd = mm_userfaultfd(O_CLOEXEC);

	if (fd < 0)
		return "USERFAULTFD";
	close(fd);
	return NULL;
}

static int reader_end(struct mm_pin *pin)
{
	struct reader *r = pin->reader;
	void *ret = NULL;
	int err;

	close(pin->fd);
	err = -pthread_join(r->thread, &ret);
	if (!err && (ssize_t)ret != (ssize_t)r->from.iov_len)
		err = -EFAULT;
	munmap(r->to.iov_base, r->to.iov_len);
	free(r);
	pin->reader = NULL;
	return err;
}

int mm_pin_short(struct mm_pin *pin, void *p, size_t len)
{
	struct pollfd fault = { .events = POLLIN };
	struct reader *r;
	int err;

	pin->fd = -1;
	pin->kind = PIN_NONE;
	if (len > MAX_SHORT)
		return -EINVAL;
	r = malloc(sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->from = (struct iovec) { p, len };
	r->to = (struct iovec) { mm_map_aligned(len, PAGE), len };
	if (!r->to.iov_base) {
		free(r);
		return -ENOMEM;
	}
	err = fault.fd = pin->fd = watch(r->to.iov_base, len);
	if (err >= 0)
		err = -pthread_create(&r->thread, NULL, read_blocked, r);
	if (err) {
		if (pin->fd >= 0)
			close(pin->fd);
		pin->fd = -1;
		munmap(r->to.iov_base, len);
		free(r);
		return err;
	}
	pin->reader = r;
	/* The pages are pinned before the first byte is copied. */
	if (poll(&fault, 1, 2000) != 1) {
		err = reader_end(pin);
		pin->fd = -1;
		return err ? err : -ETIMEDOUT;
	}
	pin->kind = PIN_SHORT;
	return 0;
}

/* Ask for the end of the pins first: what a ring still holds at its close goes later, in a worker. */
void mm_unpin(struct mm_pin *pin)
{
	if (pin->kind == PIN_URING) {
		syscall(__NR_io_uring_register, pin->fd, IORING_UNREGISTER_BUFFERS, NULL, 0U);
	} else if (pin->kind == PIN_GUP) {
		ioctl(pin->fd, PIN_LONGTERM_TEST_STOP);
		gup_busy = false;
	}
	if (pin->kind == PIN_SHORT)
		reader_end(pin);
	else if (pin->kind != PIN_NONE)
		close(pin->fd);
	pin->kind = PIN_NONE;
	pin->fd = -1;
}
