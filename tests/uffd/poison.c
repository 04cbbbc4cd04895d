// SPDX-License-Identifier: GPL-2.0
/*
 * UFFDIO_POISON: who touches such a page is told that it is lost, as if the hardware had failed, wherever the page goes, until it
 * is given up (UFFDIO_POISON(2const)).
 */
#include "kselftest_harness.h"
#include <signal.h>
#include <sys/wait.h>
#include "uffd.h"

#define PAGES	8
#define LEN	(PAGES * PAGE)
#define BAD	3		/* and the next one */
#define N_BAD	2
#define SEED	1

static char *region, *bad;

FIXTURE(poison) {
	int fd;
};

FIXTURE_VARIANT(poison) {
	int flags;
};

FIXTURE_VARIANT_ADD(poison, anon) { .flags = MAP_PRIVATE };
FIXTURE_VARIANT_ADD(poison, shmem) { .flags = MAP_SHARED };

static int poison(int fd, char *p, size_t len)
{
	struct uffdio_poison arg = { .range = { .start = (uintptr_t)p, .len = len } };

	return ioctl(fd, UFFDIO_POISON, &arg) ? errno : arg.updated == len ? 0 : -1;
}

FIXTURE_SETUP(poison)
{
	NEED(uffd_need(UFFD_FEATURE_POISON | UFFD_FEATURE_MISSING_SHMEM, "USERFAULTFD with UFFDIO_POISON"));
	self->fd = uffd_open(UFFD_FEATURE_POISON | UFFD_FEATURE_MISSING_SHMEM);
	ASSERT_LE(0, self->fd);
	region = mm_map(LEN, PAGE, variant->flags, -1);
	ASSERT_NE(NULL, region);
	bad = region + BAD * PAGE;
	mm_fill(region, BAD * PAGE, SEED);
	mm_fill_from(bad + N_BAD * PAGE, LEN - (BAD + N_BAD) * PAGE, SEED, (BAD + N_BAD) * PAGE);
	ASSERT_EQ(0, uffd_register(self->fd, region, LEN, UFFDIO_REGISTER_MODE_MISSING));
	ASSERT_EQ(0, poison(self->fd, bad, N_BAD * PAGE));
}

FIXTURE_TEARDOWN(poison)
{
	close(self->fd);
	munmap(region, LEN);
}

/* Whether the two pages are lost, to read and to write, and all others as they were. */
static int not_as_said(void *arg)
{
	for (int i = 0; i < N_BAD; i++) {
		if (mm_probe_read(bad + i * PAGE) != SIGBUS || mm_probe_code() != BUS_MCEERR_AR)
			return 1 + i;
		if (mm_probe_write(bad + i * PAGE, 1) != SIGBUS || mm_probe_code() != BUS_MCEERR_AR)
			return 3 + i;
	}
	if (mm_check(region, BAD * PAGE, SEED) != -1)
		return 5;
	return mm_check_from(bad + N_BAD * PAGE, LEN - (BAD + N_BAD) * PAGE, SEED, (BAD + N_BAD) * PAGE) != -1 ? 6 : 0;
}

static int not_zero(void *arg)
{
	return mm_check_byte(bad, N_BAD * PAGE, 0) != -1;
}

/* each access is SIGBUS, as often as it is made; a system call is EFAULT; nothing counts as memory or as swap */
TEST_F(poison, touched)
{
	int pipe_fd[2];
	long swap = mm_status(0, "VmSwap");

	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(0, not_as_said(NULL));
	}
	ASSERT_EQ(0, pipe(pipe_fd));
	errno = 0;
	EXPECT_EQ(-1, write(pipe_fd[1], bad, 1));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(PAGES - N_BAD, mm_count_present(0, region, LEN));
	EXPECT_EQ(swap, mm_status(0, "VmSwap"));
	EXPECT_EQ(0, mm_smaps(0, region, "Swap"));
	EXPECT_EQ((PAGES - N_BAD) * PAGE / KB, mm_smaps(0, region, "Rss"));
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

/* the child of a private mapping has lost what its parent has; what is shared is another process's to lose, or not */
TEST_F(poison, fork)
{
	bool private = variant->flags == MAP_PRIVATE;

	EXPECT_EQ(0, mm_in_child(private ? not_as_said : not_zero, NULL));
	EXPECT_EQ(0, not_as_said(NULL));
	/* Without the userfaultfd as well. */
	ASSERT_EQ(0, uffd_unregister(self->fd, region, LEN));
	EXPECT_EQ(0, not_as_said(NULL));
	if (private)
		EXPECT_EQ(0, mm_in_child(not_as_said, NULL));
}

/* grandchildren, too */
TEST_F(poison, generations)
{
	struct mm_tree *t;

	if (variant->flags != MAP_PRIVATE)
		return;
	t = mm_tree_fork(3, 1, NULL, NULL);
	ASSERT_NE(NULL, t);
	for (int i = 0; i < mm_tree_size(t); i++) {
		EXPECT_EQ(0, mm_tree_call(t, i, not_as_said, NULL)) TH_LOG("process %d", i);
	}
	mm_tree_end(t);
}

/* rights that are taken away and given back, a lock, advice and reclaim change nothing of it */
TEST_F(poison, stays)
{
	ASSERT_EQ(0, mprotect(region, LEN, PROT_NONE));
	ASSERT_EQ(0, mprotect(region, LEN, PROT_READ));
	ASSERT_EQ(0, mprotect(region, LEN, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, not_as_said(NULL));
	EXPECT_EQ(0, madvise(region, LEN, MADV_COLD));
	EXPECT_EQ(0, madvise(region, LEN, MADV_WILLNEED));
	EXPECT_EQ(0, madvise(region, LEN, MADV_PAGEOUT));
	EXPECT_EQ(0, not_as_said(NULL));
	mlock(region, LEN);
	EXPECT_EQ(0, not_as_said(NULL));
	EXPECT_EQ(0, munlock(region, LEN));
	errno = 0;
	EXPECT_EQ(-1, madvise(bad, PAGE, MADV_POPULATE_READ));
	EXPECT_EQ(EHWPOISON, errno);
	EXPECT_EQ(-1, madvise(bad, PAGE, MADV_POPULATE_WRITE));
	EXPECT_EQ(EHWPOISON, errno);
	if (!mm_need_swap())
		ASSERT_EQ(0, mm_swap_cycle());
	EXPECT_EQ(0, not_as_said(NULL));
}

/* it goes along to where the memory is moved, and is not at the old place */
TEST_F(poison, moved)
{
	char *old = region, *to = mm_reserve(LEN, PAGE);

	ASSERT_EQ(0, uffd_unregister(self->fd, region, LEN));
	ASSERT_EQ(to, mremap(region, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to));
	region = to;
	bad = region + BAD * PAGE;
	EXPECT_EQ(0, not_as_said(NULL));
	EXPECT_EQ(SIGSEGV, mm_probe_read(old + BAD * PAGE));
}

/* given up, or mapped anew, the place is ordinary memory again, and the handler's if it was; nothing else heals it */
TEST_F(poison, heals)
{
	ASSERT_EQ(0, uffd_unregister(self->fd, region, LEN));
	ASSERT_EQ(0, madvise(bad, PAGE, MADV_DONTNEED));
	EXPECT_EQ(-1, mm_check_byte(bad, PAGE, 0));
	EXPECT_EQ(SIGBUS, mm_probe_read(bad + PAGE));
	EXPECT_EQ(0, mm_probe_write(bad, 1));
	ASSERT_EQ(bad, mmap(bad, N_BAD * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_EQ(0, not_zero(NULL));
}

/* a page that the handler brings takes the place of the lost one */
TEST_F(poison, replaced)
{
	static char page[PAGE];

	mm_fill(page, PAGE, SEED + 1);
	ASSERT_EQ(0, uffd_copy(self->fd, bad, page));
	EXPECT_EQ(0, memcmp(bad, page, PAGE));
	EXPECT_EQ(SIGBUS, mm_probe_read(bad + PAGE));
}

/* pages that are there, or lost already, cannot be lost: EEXIST; nor others' memory: ENOENT; nor nothing: EINVAL */
TEST_F(poison, errors)
{
	EXPECT_EQ(EEXIST, poison(self->fd, region, PAGE));
	EXPECT_EQ(EEXIST, poison(self->fd, bad, PAGE));
	EXPECT_EQ(EINVAL, poison(self->fd, bad, 0));
	EXPECT_EQ(EINVAL, poison(self->fd, bad + 1, PAGE));
	EXPECT_EQ(EINVAL, poison(self->fd, bad, PAGE + 1));
	EXPECT_EQ(EINVAL, poison(self->fd, bad, -(uintptr_t)bad));
	EXPECT_EQ(EINVAL, poison(self->fd, bad, -PAGE));
	EXPECT_EQ(ENOENT, poison(self->fd, region - PAGE, PAGE));
	EXPECT_EQ(0, not_as_said(NULL));
}

TEST_HARNESS_MAIN
