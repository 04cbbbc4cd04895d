// SPDX-License-Identifier: GPL-2.0
/*
 * A ptrace() for LD_PRELOAD that fails with EIO at one request: environment PTRACE_FAILS, the request's number, and
 * PTRACE_AFTER, how many of them succeed before (default 0).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

long ptrace(enum __ptrace_request request, ...)
{
	const char *which = getenv("PTRACE_FAILS"), *after = getenv("PTRACE_AFTER");
	static int seen;
	void *addr, *data;
	va_list ap;
	pid_t pid;

	va_start(ap, request);
	pid = va_arg(ap, pid_t);
	addr = va_arg(ap, void *);
	data = va_arg(ap, void *);
	va_end(ap);
	if (which && atoi(which) == (int)request && seen++ >= (after ? atoi(after) : 0)) {
		errno = EIO;
		return -1;
	}
	return syscall(SYS_ptrace, request, pid, addr, data);
}
