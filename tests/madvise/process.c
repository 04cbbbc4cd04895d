// SPDX-License-Identifier: GPL-2.0
/*
 * process_madvise(2) of several ranges: "returns the number of bytes advised. This return value may be less than the total number
 * of requested bytes, if an error occurred after some iovec elements were already processed."
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include "mm.h"

#define RANGES	4
#define SEED	1
#define STEP	(4 * PAGE)	/* from range to range; a range is two pages */
#define LEN	(2 * PAGE)
#define BAD	2		/* kinds of bad ranges */

/* The processes of a tree find the ranges here. */
static char *region;

FIXTURE(ranges) {
	struct mm_tree *t;
	pid_t pid;
	int pidfd;
	struct iovec iov[RANGES];
};

FIXTURE_VARIANT(ranges) {
	int advice;
	bool remote;		/* of a child, not of the caller */
};

FIXTURE_VARIANT_ADD(ranges, cold) { .advice = MADV_COLD };
FIXTURE_VARIANT_ADD(ranges, pageout) { .advice = MADV_PAGEOUT };
FIXTURE_VARIANT_ADD(ranges, willneed) { .advice = MADV_WILLNEED };
FIXTURE_VARIANT_ADD(ranges, cold_remote) { .advice = MADV_COLD, .remote = true };
FIXTURE_VARIANT_ADD(ranges, pageout_remote) { .advice = MADV_PAGEOUT, .remote = true };
FIXTURE_VARIANT_ADD(ranges, willneed_remote) { .advice = MADV_WILLNEED, .remote = true };
/* what discards is for the caller's own memory */
FIXTURE_VARIANT_ADD(ranges, dontneed) { .advice = MADV_DONTNEED };
FIXTURE_VARIANT_ADD(ranges, free) { .advice = MADV_FREE };
FIXTURE_VARIANT_ADD(ranges, populate_write) { .advice = MADV_POPULATE_WRITE };
FIXTURE_VARIANT_ADD(ranges, random) { .advice = MADV_RANDOM };
FIXTURE_VARIANT_ADD(ranges, guard_install) { .advice = MADV_GUARD_INSTALL };

static long advise(int pidfd, const struct iovec *iov, size_t n, int advice)
{
	return syscall(__NR_process_madvise, pidfd, iov, n, advice, 0U);
}

static const char *need_advice(int pidfd, int advice)
{
	return !advise(pidfd, NULL, 0, advice) ? NULL : "process_madvise() that takes this advice";
}

FIXTURE_SETUP(ranges)
{
	region = mm_map_aligned(RANGES * STEP, PAGE);
	ASSERT_NE(NULL, region);
	for (int i = 0; i < RANGES; i++) {
		self->iov[i] = (struct iovec) { .iov_base = region + i * STEP, .iov_len = LEN };
		ASSERT_EQ(0, munmap(region + i * STEP + LEN, STEP - LEN));
		mm_fill(region + i * STEP, LEN, SEED);
	}
	if (variant->remote) {
		self->t = mm_tree_fork(1, 1, NULL, NULL);
		ASSERT_NE(NULL, self->t);
	}
	self->pid = self->t ? mm_tree_pid(self->t, 0) : getpid();
	self->pidfd = syscall(__NR_pidfd_open, self->pid, 0);
	ASSERT_LE(0, self->pidfd);
	NEED(need_advice(self->pidfd, variant->advice));
}

FIXTURE_TEARDOWN(ranges)
{
	close(self->pidfd);
	if (self->t)
		mm_tree_end(self->t);
}

/* A range of each kind that is none: a hole, an address within a page. */
static struct iovec bad_range(int kind, int *err)
{
	static const int errs[BAD] = { ENOMEM, EINVAL };
	struct iovec iov = { .iov_base = region + LEN, .iov_len = LEN };

	if (kind == 1)
		iov.iov_base = region + 1;
	*err = errs[kind];
	return iov;
}

/* good ranges only, also empty ones: all their bytes */
TEST_F(ranges, all_good)
{
	EXPECT_EQ(RANGES * LEN, advise(self->pidfd, self->iov, RANGES, variant->advice));
	self->iov[1].iov_len = 0;
	EXPECT_EQ((RANGES - 1) * LEN, advise(self->pidfd, self->iov, RANGES, variant->advice));
	EXPECT_EQ(0, advise(self->pidfd, self->iov + 1, 1, variant->advice));
}

/* a bad range behind others: the bytes of those before it; as the first it is the error itself */
TEST_F(ranges, bad_at)
{
	for (int kind = 0; kind < BAD; kind++) {
		for (int at = 0; at < RANGES; at++) {
			struct iovec iov[RANGES];
			int err;

			memcpy(iov, self->iov, sizeof(iov));
			iov[at] = bad_range(kind, &err);
			errno = 0;
			EXPECT_EQ(at ? at * (long)LEN : -1, advise(self->pidfd, iov, RANGES, variant->advice))
				TH_LOG("range %d is bad (%d)", at, kind);
			EXPECT_EQ(at ? 0 : err, errno) TH_LOG("range %d is bad (%d)", at, kind);
		}
	}
}

/* a range of which a part only is mapped counts for nothing, and ends the call */
TEST_F(ranges, half_mapped)
{
	self->iov[2].iov_len = LEN + PAGE;
	EXPECT_EQ(2 * LEN, advise(self->pidfd, self->iov, RANGES, variant->advice));
	errno = 0;
	EXPECT_EQ(-1, advise(self->pidfd, self->iov + 2, 1, variant->advice));
	EXPECT_EQ(ENOMEM, errno);
}

/* what was counted was done, and nothing behind the bad range: private pages go before it, and stay behind it */
TEST(effect)
{
	const int gone[] = { MADV_DONTNEED, MADV_PAGEOUT };
	struct iovec iov[RANGES], *bad = &iov[2];
	int pidfd = syscall(__NR_pidfd_open, getpid(), 0);

	NEED(mm_need_swap());
	ASSERT_LE(0, pidfd);
	region = mm_map_aligned(RANGES * STEP, PAGE);
	ASSERT_NE(NULL, region);
	for (int i = 0; i < RANGES; i++)
		iov[i] = (struct iovec) { .iov_base = region + i * STEP, .iov_len = LEN };
	ASSERT_EQ(0, munmap(region + 2 * STEP, LEN));
	for (int i = 0; i < 2; i++) {
		mm_fill(region, LEN, SEED);
		mm_fill(region + STEP, LEN, SEED);
		mm_fill(region + 3 * STEP, LEN, SEED);
		mm_lru_drain();
		if (need_advice(pidfd, gone[i]))
			continue;
		for (int tries = 0; tries < 10 && mm_count_present(0, region, STEP + LEN); tries++) {
			EXPECT_EQ((bad - iov) * LEN, advise(pidfd, iov, RANGES, gone[i]));
			mm_writeback_wait();
		}
		EXPECT_EQ(0, mm_count_present(0, region, STEP + LEN));
		EXPECT_EQ(gone[i] == MADV_PAGEOUT ? 4 : 0, mm_count_swapped(0, region, STEP + LEN));
		EXPECT_EQ(2, mm_count_present(0, region + 3 * STEP, LEN));
	}
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
	close(pidfd);
}

static int become_nobody(void *arg)
{
	if (setresuid(65534, 65534, 65534))
		return errno;
	return prctl(PR_SET_DUMPABLE, 1) ? errno : 0;
}

static int advise_other(void *pid)
{
	struct iovec iov = { .iov_base = region, .iov_len = PAGE };
	int pidfd = syscall(__NR_pidfd_open, (pid_t)(intptr_t)pid, 0);

	return advise(pidfd, &iov, 1, MADV_COLD) < 0 ? errno : 0;
}

/* the errors that are of the call, whatever the ranges: flags, advice, descriptor, number of ranges, rights */
TEST(errors)
{
	struct iovec iov = { .iov_len = PAGE }, none = { 0 };
	struct mm_tree *t;
	int pidfd;

	region = mm_map_aligned(PAGE, PAGE);
	ASSERT_NE(NULL, region);
	mm_touch_write(region, PAGE);
	iov.iov_base = region;
	t = mm_tree_fork(1, 2, NULL, NULL);
	ASSERT_NE(NULL, t);
	pidfd = syscall(__NR_pidfd_open, mm_tree_pid(t, 0), 0);
	ASSERT_LE(0, pidfd);
	EXPECT_EQ(PAGE, advise(pidfd, &iov, 1, MADV_COLD));
#define EXPECT_ERROR(err, ...) do { errno = 0; EXPECT_EQ(-1, __VA_ARGS__); EXPECT_EQ((err), errno); } while (0)
	EXPECT_ERROR(EINVAL, syscall(__NR_process_madvise, pidfd, &iov, 1UL, MADV_COLD, 1U));
	EXPECT_ERROR(EINVAL, advise(pidfd, &iov, 1, -1));
	EXPECT_ERROR(EINVAL, advise(pidfd, &iov, 1, 7));
	EXPECT_ERROR(EINVAL, advise(pidfd, &none, 1, 7));
	EXPECT_ERROR(EINVAL, advise(pidfd, &iov, 1025, MADV_COLD));
	EXPECT_ERROR(EFAULT, advise(pidfd, NULL, 1, MADV_COLD));
	EXPECT_ERROR(EBADF, advise(-1, &iov, 1, MADV_COLD));
	EXPECT_ERROR(EBADF, advise(0, &iov, 1, MADV_COLD));
	/* What would change another's memory. */
	EXPECT_ERROR(EINVAL, advise(pidfd, &iov, 1, MADV_DONTNEED));
	EXPECT_ERROR(EINVAL, advise(pidfd, &iov, 1, MADV_RANDOM));
	EXPECT_ERROR(EINVAL, advise(pidfd, &iov, 1, MADV_POPULATE_WRITE));
	ASSERT_EQ(0, mm_tree_call(t, 0, become_nobody, NULL));
	ASSERT_EQ(0, mm_tree_call(t, 1, become_nobody, NULL));
	/* Of another user, and of his own without CAP_SYS_NICE. */
	EXPECT_EQ(EACCES, mm_tree_call(t, 0, advise_other, (void *)(intptr_t)getpid()));
	EXPECT_EQ(EPERM, mm_tree_call(t, 0, advise_other, (void *)(intptr_t)mm_tree_pid(t, 1)));
	ASSERT_EQ(0, mm_tree_kill(t, 0));
	EXPECT_ERROR(ESRCH, advise(pidfd, &iov, 1, MADV_COLD));
	close(pidfd);
	mm_tree_end(t);
}

/* In a child without any capability. */
static int advise_self(void *arg)
{
	const int advice[] = { MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED, MADV_DONTNEED, MADV_POPULATE_WRITE };
	struct iovec iov = { .iov_base = region, .iov_len = LEN };
	int pidfd;

	if (setuid(1000))
		return 255;
	pidfd = syscall(__NR_pidfd_open, getpid(), 0);
	for (int i = 0; i < sizeof(advice) / sizeof(*advice); i++)
		if (advise(pidfd, &iov, 1, advice[i]) != LEN)
			return 1 + i;
	return mm_check_byte(region, LEN, 0) != -1 ? 250 : 0;
}

/* what a process may ask of its own memory by madvise() it may by this, too: no capability is needed */
TEST(own_memory)
{
	int pidfd = syscall(__NR_pidfd_open, getpid(), 0);

	ASSERT_LE(0, pidfd);
	NEED(need_advice(pidfd, MADV_DONTNEED));
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	mm_fill(region, LEN, SEED);
	EXPECT_EQ(0, mm_in_child(advise_self, NULL));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
	close(pidfd);
}

TEST_HARNESS_MAIN
