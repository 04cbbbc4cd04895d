// SPDX-License-Identifier: GPL-2.0
/* Raw system calls that the C library of the host may be too old for. */
#include <errno.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "mm.h"

int mm_mseal(void *p, size_t len)
{
	return syscall(__NR_mseal, p, len, 0UL);
}

int mm_userfaultfd(int flags)
{
	return syscall(__NR_userfaultfd, flags);
}

/* Returns the number of bytes advised as an int: a test has no ranges of 2 GB. */
int mm_process_madvise(pid_t pid, void *p, size_t len, int advice)
{
	struct iovec iov = { .iov_base = p, .iov_len = len };
	int pidfd, ret;

	pidfd = syscall(__NR_pidfd_open, pid ? pid : getpid(), 0);
	if (pidfd < 0)
		return -1;
	ret = syscall(__NR_process_madvise, pidfd, &iov, 1UL, advice, 0U);
	close(pidfd);
	return ret;
}

int mm_drop_cap(int cap)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(__NR_capget, &head, data))
		return -errno;
	data[cap / 32].effective &= ~(1U << cap % 32);
	return syscall(__NR_capset, &head, data) ? -errno : 0;
}
