// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that nobody will use again, but is still mapped: that of a process which has lost its last user and waits,
 * before its mappings go, for I/O that it began (mm/util.c: exit_mmap() comes after exit_aio()). The I/O is a read
 * of a FUSE file, whose server, this test, does not answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <linux/aio_abi.h>
#include <linux/fuse.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "mm.h"

#define PAGES	128
#define LEN	(PAGES * PAGE)
#define SEED	71
#define BAIT	(2 * MB)
#define MIN_FREE "/proc/sys/vm/min_free_kbytes"
#define PLACE	"/tmp/last_exit"

FIXTURE(last_exit)
{
	struct mm_cgroup cg;
	int dev;		/* /dev/fuse, the server's end */
	char *region, *bait;	/* of the process; pages that kswapd can take */
	pid_t pid;
	bool in_group, mounted;
};

/* Send the answer to a request; 0 or -errno. */
static int answer(int dev, uint64_t unique, const void *data, size_t len)
{
	struct {
		struct fuse_out_header head;
		char data[256];
	} out = { .head = { .len = sizeof(out.head) + len, .unique = unique } };

	memcpy(out.data, data, len);
	return write(dev, &out, out.head.len) == out.head.len ? 0 : -errno;
}

/* Answer one request for the only file of the file system; a read stays without an answer, and returns 1. */
static int serve(int dev)
{
	static char in[FUSE_MIN_READ_BUFFER + 256 * KB];
	const struct fuse_in_header *head = (void *)in;
	const struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION,
		.flags = FUSE_ASYNC_DIO, .max_background = 12, .max_write = 4096,
	};
	const struct fuse_attr_out attr = { .attr = { .ino = 1, .size = PAGE, .mode = S_IFREG | 0600, .nlink = 1 } };
	const struct fuse_open_out opened = { .fh = 1 };

	if (read(dev, in, sizeof(in)) < (ssize_t)sizeof(*head))
		return -errno;
	switch (head->opcode) {
	case FUSE_INIT:
		return answer(dev, head->unique, &init, sizeof(init));
	case FUSE_GETATTR:
		return answer(dev, head->unique, &attr, sizeof(attr));
	case FUSE_OPEN:
		return answer(dev, head->unique, &opened, sizeof(opened));
	case FUSE_READ:
		return 1;
	default:
		return 0;
	}
}

/* The process under test: its memory, an asynchronous read into none of it, and nothing else until it is killed. */
static void fill_and_read(char *region, char *buf)
{
	struct iocb cb = { .aio_lio_opcode = IOCB_CMD_PREAD, .aio_buf = (uintptr_t)buf, .aio_nbytes = PAGE };
	struct iocb *list[] = { &cb };
	aio_context_t ctx = 0;
	struct stat st;
	int fd;

	mm_fill(region, LEN, SEED);
	fd = open(PLACE, O_RDONLY | O_DIRECT | O_CLOEXEC);
	cb.aio_fildes = fd;
	if (fd < 0 || fstat(fd, &st) || st.st_size != (off_t)PAGE || syscall(__NR_io_setup, 1, &ctx) ||
	    syscall(__NR_io_submit, ctx, 1L, list) != 1)
		_exit(1);
	for (;;)
		pause();
}

FIXTURE_SETUP(last_exit)
{
	char options[64], *buf;
	int ret = 0;

	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	self->dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	NEED(self->dev < 0 ? "FUSE_FS" : NULL);
	ASSERT_EQ(0, mm_cgroup_create(&self->cg, "last_exit"));
	self->in_group = true;
	ASSERT_EQ(0, mknod(PLACE, S_IFREG | 0600, 0));
	snprintf(options, sizeof(options), "fd=%d,rootmode=100600,user_id=0,group_id=0", self->dev);
	ASSERT_EQ(0, mount("fuse", PLACE, "fuse", 0, options));
	self->mounted = true;
	self->region = mm_map_aligned(LEN, PAGE);
	self->bait = mm_map_aligned(BAIT, PAGE);
	buf = mm_map_aligned(PAGE, PAGE);
	ASSERT_NE(NULL, self->region);
	ASSERT_NE(NULL, self->bait);
	ASSERT_NE(NULL, buf);
	buf[0] = 1;
	self->pid = fork();
	ASSERT_LE(0, self->pid);
	if (!self->pid) {
		close(self->dev);
		if (mm_cgroup_enter(&self->cg))
			_exit(2);
		fill_and_read(self->region, buf);
	}
	for (int i = 0; i < 10 && !ret; i++)
		ret = serve(self->dev);
	ASSERT_EQ(1, ret);
}

FIXTURE_TEARDOWN(last_exit)
{
	if (self->mounted)
		umount2(PLACE, MNT_DETACH);
	/* The end of the server ends the read. */
	close(self->dev);
	unlink(PLACE);
	if (self->pid > 0) {
		kill(self->pid, SIGKILL);
		waitpid(self->pid, NULL, 0);
	}
	if (self->in_group)
		EXPECT_EQ(0, mm_cgroup_remove(&self->cg));
	/* A kswapd that gave up, for want of something to take, begins again after any reclaim that succeeds. */
	if (self->bait) {
		mm_touch_write(self->bait, BAIT);
		mm_write_file("/sys/fs/cgroup/memory.reclaim", "131072");
	}
}

/* Wait for the process to have no memory of its own any more, and to sleep; whether it does. */
static bool in_exit(pid_t pid)
{
	char path[32], text[256];
	const char *state;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (int i = 0; i < 500; i++, usleep(10 * 1000)) {
		if (mm_read_file(path, text, sizeof(text)) < 0)
			return false;
		state = strrchr(text, ')');
		if (state && state[2] == 'D' && mm_status(pid, "VmRSS") < 0)
			return true;
	}
	return false;
}

/* Whether kswapd took a page of the group, or looked at all of them so often that none was left that it would take. */
static bool scanned(const struct mm_cgroup *cg, long enough)
{
	return mm_cgroup_read(cg, "memory.swap.current") || mm_cgroup_stat(cg, "pgscan") >= enough;
}

/*
 * Let kswapd look at the pages of the group, as if memory were short: the low watermark goes above what is free, the
 * minimum stays below it. (memory.reclaim takes no notice of mappings outside of its group, and the memory of a
 * process that exits belongs to none.) Whether it did.
 */
static bool kswapd_scans(FIXTURE_DATA(last_exit) *self)
{
	long enough = mm_cgroup_stat_now(&self->cg, "pgscan") + 4 * PAGES;
	char old[32], text[32];
	int err;

	mm_touch_write(self->bait, BAIT);
	if (mm_read_file(MIN_FREE, old, sizeof(old)) < 0)
		return false;
	snprintf(text, sizeof(text), "%ld", mm_meminfo("MemFree") * 100 / 115);
	err = mm_write_file(MIN_FREE, text);
	for (int i = 0; !err && i < 1000 && !scanned(&self->cg, enough); i++) {
		/* A page more, for which somebody looks at the watermark. */
		madvise(self->bait, PAGE, MADV_DONTNEED);
		mm_touch_write(self->bait, PAGE);
		usleep(1000);
	}
	mm_write_file(MIN_FREE, old);
	return !err && scanned(&self->cg, enough);
}

/* while the process lives, want of memory drives its pages to swap */
TEST_F(last_exit, alive)
{
	EXPECT_TRUE(kswapd_scans(self));
	EXPECT_LT(0, mm_cgroup_read(&self->cg, "memory.swap.current"));
}

/* in its last exit no page is written to swap, from where nobody would ever read it */
TEST_F(last_exit, nothing_written)
{
	long anon;

	ASSERT_EQ(0, kill(self->pid, SIGKILL));
	ASSERT_TRUE(in_exit(self->pid));
	anon = mm_cgroup_stat_now(&self->cg, "anon");
	EXPECT_LE(LEN, anon);
	EXPECT_TRUE(kswapd_scans(self));
	EXPECT_EQ(0, mm_cgroup_read(&self->cg, "memory.swap.current"));
	EXPECT_EQ(anon, mm_cgroup_stat_now(&self->cg, "anon"));
	/* All of it goes when the read ends. */
	ASSERT_EQ(0, umount2(PLACE, MNT_DETACH));
	self->mounted = false;
	close(self->dev);
	ASSERT_EQ(self->pid, waitpid(self->pid, NULL, 0));
	self->pid = 0;
	EXPECT_EQ(0, mm_cgroup_stat_now(&self->cg, "anon"));
}

TEST_HARNESS_MAIN
