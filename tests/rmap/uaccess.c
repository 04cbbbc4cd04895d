// SPDX-License-Identifier: GPL-2.0
/* What the kernel writes for a process makes the page dirty, and what the process may not touch it leaves. */
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/futex.h>

#include "kselftest_harness.h"
#include "mm.h"

#define PAGES	64
#define LEN	(PAGES * PAGE)
#define SEED	31

static int pipe_fd[2], zero_fd;

/* Each puts four bytes at p, without the process itself writing, and returns what they are now. */
static int32_t by_pipe(void *p)
{
	int32_t value = 0x5ca1ab1e;

	if (write(pipe_fd[1], &value, 4) != 4 || read(pipe_fd[0], p, 4) != 4)
		return -1;
	return value;
}

static int32_t by_zero(void *p)
{
	return read(zero_fd, p, 4) == 4 ? 0 : -1;
}

static int32_t by_futex_op(void *p)
{
	static uint32_t nobody;
	int op = FUTEX_OP(FUTEX_OP_SET, 0x123, FUTEX_OP_CMP_EQ, 0);

	return syscall(SYS_futex, &nobody, FUTEX_WAKE_OP_PRIVATE, 1, 1L, p, op) < 0 ? -1 : 0x123;
}

/* Taking a PI futex that is free puts the thread's id into it, and leaves nothing behind in the kernel. */
static int32_t by_futex_pi(void *p)
{
	return syscall(SYS_futex, p, FUTEX_LOCK_PI_PRIVATE, 0, NULL) ? -1 : syscall(SYS_gettid);
}

static int32_t by_futex_add(void *p)
{
	static uint32_t nobody;
	int op = FUTEX_OP(FUTEX_OP_ADD, 0x77, FUTEX_OP_CMP_EQ, 0);

	return syscall(SYS_futex, &nobody, FUTEX_WAKE_OP_PRIVATE, 1, 1L, p, op) < 0 ? -1 : 0x77;
}

FIXTURE(uaccess) {
	char *p;
};

FIXTURE_VARIANT(uaccess) {
	int32_t (*put)(void *p);
};

FIXTURE_VARIANT_ADD(uaccess, copy_to_user) { .put = by_pipe };
FIXTURE_VARIANT_ADD(uaccess, clear_user) { .put = by_zero };
FIXTURE_VARIANT_ADD(uaccess, futex_set) { .put = by_futex_op };
FIXTURE_VARIANT_ADD(uaccess, futex_add) { .put = by_futex_add };
FIXTURE_VARIANT_ADD(uaccess, futex_cmpxchg) { .put = by_futex_pi };

static void open_sources(struct __test_metadata *_metadata)
{
	ASSERT_EQ(0, pipe(pipe_fd));
	zero_fd = open("/dev/zero", O_RDONLY);
	ASSERT_LE(0, zero_fd);
}

/* The pattern everywhere but in the first four bytes of a page: zeros for a futex, ones for /dev/zero. */
static void fill(char *p, bool ones)
{
	mm_fill(p, LEN, SEED);
	for (size_t i = 0; i < LEN; i += PAGE)
		memset(p + i, ones ? 0xff : 0, 4);
}

FIXTURE_SETUP(uaccess)
{
	NEED(mm_need_swap());
	open_sources(_metadata);
	self->p = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, self->p);
	fill(self->p, variant->put == by_zero);
}

FIXTURE_TEARDOWN(uaccess)
{
	munmap(self->p, LEN);
}

/* Pages whose first four bytes are not @value, or that lost something else. */
static int lost(const char *p, int32_t value)
{
	int n = 0;

	for (size_t i = 0; i < LEN; i += PAGE)
		n += memcmp(p + i, &value, 4) || mm_check_from(p + i + 4, PAGE - 4, SEED, i + 4) != -1;
	return n;
}

static int32_t put_everywhere(int32_t (*put)(void *p), char *p)
{
	int32_t value = -1;

	for (size_t i = 0; i < LEN; i += PAGE) {
		value = put(p + i);
		if (value == -1)
			break;
	}
	return value;
}

/* a page swapped in by a read is clean: what a system call puts there then survives the next reclaim */
TEST_F(uaccess, swapped_in)
{
	struct mm_snap *before;
	int32_t value;

	ASSERT_EQ(0, mm_pageout(self->p, LEN));
	mm_touch_read(self->p, LEN);
	ASSERT_EQ(PAGES, mm_count_present(0, self->p, LEN));
	value = put_everywhere(variant->put, self->p);
	ASSERT_NE(-1, value);
	EXPECT_EQ(0, lost(self->p, value));
	before = mm_snap();
	ASSERT_EQ(0, mm_pageout(self->p, LEN));
	EXPECT_EQ(PAGES, mm_delta(before, "pswpout"));
	EXPECT_EQ(0, lost(self->p, value));
	mm_snap_free(before);
}

/* what a system call puts into a page that MADV_FREE gave up keeps the page from being dropped */
TEST_F(uaccess, freed)
{
	int32_t value;

	mm_lru_drain();
	ASSERT_EQ(0, madvise(self->p, LEN, MADV_FREE));
	value = put_everywhere(variant->put, self->p);
	ASSERT_NE(-1, value);
	ASSERT_EQ(0, mm_pageout(self->p, LEN));
	EXPECT_EQ(PAGES, mm_count_swapped(0, self->p, LEN));
	EXPECT_EQ(0, lost(self->p, value));
}

/* a system call that writes to a page on swap brings it back, with the bytes around what it wrote */
TEST_F(uaccess, swapped_out)
{
	int32_t value;

	ASSERT_EQ(0, mm_pageout(self->p, LEN));
	value = put_everywhere(variant->put, self->p);
	ASSERT_NE(-1, value);
	EXPECT_EQ(PAGES, mm_count_present(0, self->p, LEN));
	ASSERT_EQ(0, mm_pageout(self->p, LEN));
	EXPECT_EQ(0, lost(self->p, value));
}

static int first_bytes(void *arg)
{
	int32_t value;

	memcpy(&value, arg, 4);
	return value != 0 && value != -1;
}

/* a system call that writes to a page shared with a child copies it first: the child sees nothing of it */
TEST_F(uaccess, breaks_cow)
{
	struct mm_tree *t = mm_tree_fork(1, 1, NULL, NULL);
	uint64_t before[PAGES], after[PAGES];
	int32_t value;
	int same = 0;

	ASSERT_NE(NULL, t);
	ASSERT_EQ(0, mm_pfns(0, self->p, before, PAGES));
	value = put_everywhere(variant->put, self->p);
	ASSERT_NE(-1, value);
	ASSERT_EQ(0, mm_pfns(0, self->p, after, PAGES));
	for (int i = 0; i < PAGES; i++)
		same += before[i] == after[i];
	EXPECT_EQ(0, same);
	EXPECT_EQ(0, mm_tree_call(t, 0, first_bytes, self->p));
	EXPECT_EQ(before[0], mm_pfn(mm_tree_pid(t, 0), self->p));
	EXPECT_EQ(0, lost(self->p, value));
	mm_tree_end(t);
}

/* ---- access that must fail ---- */

FIXTURE(denied) {
	char *p;
};

FIXTURE_VARIANT(denied) {
	int prot;
	bool readable;
};

FIXTURE_VARIANT_ADD(denied, prot_none) { .prot = PROT_NONE };
FIXTURE_VARIANT_ADD(denied, prot_read) { .prot = PROT_READ, .readable = true };

FIXTURE_SETUP(denied)
{
	open_sources(_metadata);
	self->p = mm_map_aligned(4 * PAGE, PAGE);
	ASSERT_NE(NULL, self->p);
	mm_fill(self->p, 4 * PAGE, SEED);
	ASSERT_EQ(0, mprotect(self->p + 2 * PAGE, PAGE, variant->prot));
}

FIXTURE_TEARDOWN(denied)
{
	munmap(self->p, 4 * PAGE);
}

/* a system call reads a page only if the process may: EFAULT for PROT_NONE, a short count before it */
TEST_F(denied, copy_from_user)
{
	char *page = self->p + 2 * PAGE, buf[32];
	int fd = mm_memfd(0);

	errno = 0;
	EXPECT_EQ(variant->readable ? 16 : -1, write(pipe_fd[1], page, 16));
	EXPECT_EQ(variant->readable ? 0 : EFAULT, errno);
	if (variant->readable) {
		ASSERT_EQ(16, read(pipe_fd[0], buf, 16));
		EXPECT_EQ(-1, mm_check_from(buf, 16, SEED, 2 * PAGE));
	}
	EXPECT_EQ(variant->readable ? 64 : 32, write(fd, page - 32, 64));
	ASSERT_EQ(32, pread(fd, buf, 32, 0));
	EXPECT_EQ(-1, mm_check_from(buf, 32, SEED, 2 * PAGE - 32));
	close(fd);
	EXPECT_EQ(variant->readable ? 0 : SIGSEGV, mm_probe_read(page));
}

/* a system call writes to a populated page only if the process may, and a failed write changes no byte */
TEST_F(denied, copy_to_user)
{
	char *page = self->p + 2 * PAGE, buf[64] = { 0 };

	ASSERT_EQ(64, write(pipe_fd[1], buf, 64));
	errno = 0;
	EXPECT_EQ(-1, read(pipe_fd[0], page, 16));
	EXPECT_EQ(EFAULT, errno);
	errno = 0;
	EXPECT_EQ(-1, read(zero_fd, page, 16));
	EXPECT_EQ(EFAULT, errno);
	errno = 0;
	EXPECT_EQ(-1, by_futex_op(page));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(SIGSEGV, mm_probe_write(page, 0));
	ASSERT_EQ(0, mprotect(page, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(-1, mm_check(self->p, 4 * PAGE, SEED));
}

TEST_HARNESS_MAIN
