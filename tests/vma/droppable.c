// SPDX-License-Identifier: GPL-2.0
/* MAP_DROPPABLE (mmap(2)): pages that may be dropped at any time cannot be locked, and no child has them. */
#include "kselftest_harness.h"
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	16
#define LEN	(PAGES * PAGE)
#define SEED	1
#define RW	(PROT_READ | PROT_WRITE)

static char *map(int more)
{
	char *p = mm_reserve(LEN, PAGE);

	return mmap(p, LEN, RW, MAP_DROPPABLE | MAP_ANONYMOUS | MAP_FIXED | more, -1, 0);
}

static const char *need_droppable(void)
{
	char *p = map(0);

	if (p == MAP_FAILED)
		return "MAP_DROPPABLE";
	munmap(p, LEN);
	return mm_need_guard(MAP_PRIVATE | MAP_ANONYMOUS);
}

FIXTURE(droppable) {
	char *p, *other;	/* of the two the other one can be locked */
	long lck;
};

FIXTURE_SETUP(droppable)
{
	NEED(need_droppable());
	self->p = map(0);
	self->other = mm_map_aligned(LEN, PAGE);
	ASSERT_TRUE(self->p != MAP_FAILED && self->other);
	mm_fill(self->p, LEN, SEED);
	mm_lru_drain();
	self->lck = mm_status(0, "VmLck");
}

FIXTURE_TEARDOWN(droppable)
{
	munlockall();
	munmap(self->p, LEN);
	munmap(self->other, LEN);
}

#define EXPECT_UNLOCKED(p) do {							\
		EXPECT_FALSE(mm_vmflag(0, p, "lo"));				\
		EXPECT_FALSE(mm_vmflag(0, p, "lf"));				\
		EXPECT_EQ(0, mm_smaps(0, p, "Locked"));				\
	} while (0)

/* mlock() and mlock2() do nothing to it, and VmLck stays */
TEST_F(droppable, mlock)
{
	long locked = mm_vmstat("nr_mlock");

	EXPECT_EQ(0, mlock(self->p, LEN));
	EXPECT_UNLOCKED(self->p);
	EXPECT_EQ(0, mlock2(self->p, LEN, MLOCK_ONFAULT));
	EXPECT_UNLOCKED(self->p);
	EXPECT_EQ(0, mlock(self->p + PAGE, PAGE));
	EXPECT_EQ(1, mm_vma_count(0, self->p, LEN));
	EXPECT_EQ(self->lck, mm_status(0, "VmLck"));
	EXPECT_EQ(locked, mm_vmstat("nr_mlock"));
	EXPECT_EQ(0, munlock(self->p, LEN));
	EXPECT_EQ(self->lck, mm_status(0, "VmLck"));
}

/* nor does mlockall() of what there is, nor of what will be; other memory is locked beside it */
TEST_F(droppable, mlockall)
{
	char *later;
	long lck;

	ASSERT_EQ(0, mlockall(MCL_CURRENT));
	EXPECT_UNLOCKED(self->p);
	EXPECT_TRUE(mm_vmflag(0, self->other, "lo"));
	ASSERT_EQ(0, mlockall(MCL_FUTURE | MCL_ONFAULT));
	lck = mm_status(0, "VmLck");
	later = map(0);
	ASSERT_NE(MAP_FAILED, later);
	EXPECT_UNLOCKED(later);
	EXPECT_EQ(lck, mm_status(0, "VmLck"));
	EXPECT_EQ(0, munmap(later, LEN));
	EXPECT_EQ(lck, mm_status(0, "VmLck"));
}

/* what was "locked" is still dropped by reclaim, and reads zero then; nothing of it goes to swap */
TEST_F(droppable, dropped)
{
	struct mm_cgroup cg;
	char *p;
	long swap = mm_swap_used();

	NEED(mm_need_memcg());
	ASSERT_EQ(0, mm_cgroup_create(&cg, "droppable"));
	ASSERT_EQ(0, mm_cgroup_enter(&cg));
	p = map(0);
	ASSERT_NE(MAP_FAILED, p);
	mm_fill(p, LEN, SEED);
	ASSERT_EQ(0, mm_cgroup_leave());
	EXPECT_EQ(0, mlock(p, LEN));
	mm_lru_drain();
	EXPECT_EQ(0, mm_cgroup_drop(&cg, p, LEN));
	EXPECT_EQ(swap, mm_swap_used());
	EXPECT_EQ(-1, mm_check_byte(p, LEN, 0));
	munmap(p, LEN);
	EXPECT_EQ(0, mm_cgroup_remove(&cg));
}

/* what does not go together with it is EINVAL: a lock from the start, a stack, a file, sharing */
TEST_F(droppable, flags)
{
	int fd = mm_memfd(LEN);

	errno = 0;
	EXPECT_EQ(MAP_FAILED, mmap(NULL, LEN, RW, MAP_DROPPABLE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0));
	EXPECT_EQ(EINVAL, errno);
	errno = 0;
	EXPECT_EQ(MAP_FAILED, mmap(NULL, LEN, RW, MAP_DROPPABLE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0));
	EXPECT_EQ(EINVAL, errno);
	errno = 0;
	EXPECT_EQ(MAP_FAILED, mmap(NULL, LEN, RW, MAP_DROPPABLE, fd, 0));
	EXPECT_EQ(EINVAL, errno);
	errno = 0;
	EXPECT_EQ(MAP_FAILED, mmap(NULL, LEN, RW, MAP_DROPPABLE | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	EXPECT_EQ(EINVAL, errno);
	close(fd);
}

static char *inherited;

static int not_zero(void *arg)
{
	return mm_check_byte(inherited, LEN, 0) != -1;
}

/* a child finds zeroes there, and cannot ask for more: MADV_KEEPONFORK is EINVAL; the parent keeps its bytes */
TEST_F(droppable, fork)
{
	inherited = self->p;
	EXPECT_EQ(0, mm_in_child(not_zero, NULL));
	errno = 0;
	EXPECT_EQ(-1, madvise(self->p, LEN, MADV_KEEPONFORK));
	EXPECT_EQ(EINVAL, errno);
	errno = 0;
	EXPECT_EQ(-1, madvise(self->p, LEN, MADV_DODUMP));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, mm_in_child(not_zero, NULL));
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
}

TEST_HARNESS_MAIN
