// SPDX-License-Identifier: GPL-2.0
/* The files of /proc/PID about memory for a process that has unmapped all of its own: they say so, and nothing else happens. */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "mm.h"

FIXTURE(nothing) {
	pid_t pid;
	char text[16384];
	ssize_t len;
};

/* The end of the last mapping. */
static uintptr_t top(void)
{
	char *maps = mm_maps(0), *last;
	uintptr_t end = 0;

	if (maps && *maps) {
		maps[strlen(maps) - 1] = 0;
		last = strrchr(maps, '\n');
		sscanf(last ? last + 1 : maps, "%*x-%lx", &end);
	}
	free(maps);
	return end;
}

/* A child that stops at the end of the system call that unmaps everything, and never gets back to its program. */
FIXTURE_SETUP(nothing)
{
	uintptr_t end = top();
	int status;

	ASSERT_NE(0, end);
	self->pid = fork();
	ASSERT_LE(0, self->pid);
	if (!self->pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		syscall(__NR_munmap, 0, end);
		_exit(1);
	}
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, 0));
	ASSERT_TRUE(WIFSTOPPED(status));
	/* The end of raise(), of which libc makes more than one system call, and that of munmap(). */
	for (int i = 0; i < 64 && mm_status(self->pid, "VmSize"); i++) {
		ASSERT_EQ(0, ptrace(PTRACE_SYSCALL, self->pid, 0, 0));
		ASSERT_EQ(self->pid, waitpid(self->pid, &status, 0));
		ASSERT_TRUE(WIFSTOPPED(status));
	}
	ASSERT_EQ(0, mm_status(self->pid, "VmSize"));
}

FIXTURE_TEARDOWN(nothing)
{
	int status;

	kill(self->pid, SIGKILL);
	waitpid(self->pid, &status, 0);
	EXPECT_TRUE(WIFSIGNALED(status));
}

static ssize_t look(FIXTURE_DATA(nothing) *self, const char *file)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", self->pid, file);
	*self->text = 0;
	self->len = mm_read_file(path, self->text, sizeof(self->text));
	return self->len;
}

/* maps and smaps are empty, and each figure of smaps_rollup is 0 */
TEST_F(nothing, maps)
{
	EXPECT_EQ(0, look(self, "maps"));
	EXPECT_EQ(0, look(self, "smaps"));
	ASSERT_LE(0, look(self, "smaps_rollup"));
	for (char *at = self->text; (at = strstr(at, " kB")); at++) {
		char *figure = at;

		while (figure > self->text && figure[-1] != ' ')
			figure--;
		EXPECT_EQ(0, atol(figure)) TH_LOG("%.40s", figure);
	}
}

/* statm and the sizes of status are 0 */
TEST_F(nothing, sizes)
{
	static const char *const fields[] = { "VmSize", "VmLck", "VmPin", "VmRSS", "RssAnon", "RssFile", "RssShmem", "VmData",
					      "VmStk", "VmSwap" };
	long size = -1, rss = -1;

	ASSERT_LT(0, look(self, "statm"));
	ASSERT_EQ(2, sscanf(self->text, "%ld %ld", &size, &rss));
	EXPECT_EQ(0, size);
	EXPECT_EQ(0, rss);
	for (int i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		EXPECT_EQ(0, mm_status(self->pid, fields[i])) TH_LOG("%s", fields[i]);
	}
	EXPECT_LT(0, mm_status(self->pid, "VmHWM"));
}

/* pagemap has no page, its scan finds none, a query of maps none either, and mem cannot be read */
TEST_F(nothing, pages)
{
	struct page_region region;
	struct pm_scan_arg scan = {
		.size = sizeof(scan), .end = ((uintptr_t)&region & ~(PAGE - 1)) + PAGE, .vec = (uintptr_t)&region, .vec_len = 1,
		.category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED | PAGE_IS_PFNZERO, .return_mask = PAGE_IS_PRESENT,
	};
	struct procmap_query q = { .size = sizeof(q), .query_flags = PROCMAP_QUERY_COVERING_OR_NEXT_VMA };
	uint64_t entry = -1;
	char path[64], byte;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", self->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(8, pread(fd, &entry, 8, (uintptr_t)&entry / PAGE * 8));
	EXPECT_EQ(0, entry);
	EXPECT_EQ(0, ioctl(fd, PAGEMAP_SCAN, &scan));
	close(fd);
	snprintf(path, sizeof(path), "/proc/%d/maps", self->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	EXPECT_EQ(-1, ioctl(fd, PROCMAP_QUERY, &q));
	EXPECT_TRUE(errno == ENOENT || errno == ENOTTY);
	close(fd);
	snprintf(path, sizeof(path), "/proc/%d/mem", self->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, pread(fd, &byte, 1, (uintptr_t)&byte));
	EXPECT_EQ(EIO, errno);
	close(fd);
}

/* what is written to clear_refs, and advice to it, finds nothing to do; its command line is gone */
TEST_F(nothing, orders)
{
	int pidfd = syscall(__NR_pidfd_open, self->pid, 0);
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/clear_refs", self->pid);
	for (int i = 1; i <= 5; i++) {
		char order[2] = { '0' + i };

		if (i == 4)		/* soft-dirty bits, which not every kernel has */
			continue;
		EXPECT_EQ(0, mm_write_file(path, order)) TH_LOG("%d", i);
	}
	ASSERT_LE(0, pidfd);
	EXPECT_EQ(-1, mm_process_madvise(pidfd, (void *)((uintptr_t)path & ~(PAGE - 1)), PAGE, MADV_COLD));
	EXPECT_GE(0, look(self, "cmdline"));
	EXPECT_GE(0, look(self, "environ"));
	EXPECT_LT(0, look(self, "stat"));
	EXPECT_LT(0, look(self, "status"));
	close(pidfd);
}

TEST_HARNESS_MAIN
