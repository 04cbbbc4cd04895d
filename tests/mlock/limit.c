// SPDX-License-Identifier: GPL-2.0
/*
 * RLIMIT_MEMLOCK, getrlimit(2): "The maximum number of bytes of memory that may be locked into RAM". Who lacks CAP_IPC_LOCK is held
 * to it, to the page, by each call that locks: mlock(2), mmap(2) and brk(2) say with what error.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	8
#define LEN	(PAGES * PAGE)
#define RW	(PROT_READ | PROT_WRITE)

#define EXPECT_ERROR(err, call) do { errno = 0; EXPECT_EQ(-1, call); EXPECT_EQ((err), errno); } while (0)

static int set_limit(size_t bytes)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit))
		return -1;
	limit.rlim_cur = bytes;
	return setrlimit(RLIMIT_MEMLOCK, &limit);
}

/* Lock the @pages of @p in some way, which was nothing before; 0 or errno. */
static int by_mlock(char *p, int pages)
{
	if (mmap(p, pages * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != p)
		return errno;
	return mlock(p, pages * PAGE) ? errno : 0;
}

static int by_mlock_on_fault(char *p, int pages)
{
	if (mmap(p, pages * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != p)
		return errno;
	return mlock2(p, pages * PAGE, MLOCK_ONFAULT) ? errno : 0;
}

static int by_mmap(char *p, int pages)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_LOCKED;

	return mmap(p, pages * PAGE, RW, flags, -1, 0) == p ? 0 : errno;
}

static int by_mmap_shared(char *p, int pages)
{
	return mmap(p, pages * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED | MAP_LOCKED, -1, 0) == p ? 0 : errno;
}

/* mlockall(MCL_FUTURE) lasts, as it does for those who have it. */
static int by_future(char *p, int pages)
{
	if (mlockall(MCL_FUTURE))
		return errno;
	return mmap(p, pages * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p ? 0 : errno;
}

static int by_growth(char *p, int pages)
{
	if (mmap(p, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_LOCKED, -1, 0) != p)
		return errno;
	return mremap(p, PAGE, pages * PAGE, 0) == p ? 0 : errno;
}

FIXTURE(limit) {
	char *p;
};

FIXTURE_VARIANT(limit) {
	int (*lock)(char *p, int pages);
	int over;		/* errno beyond the limit, */
	int none;		/* and with a limit of 0 */
};

#define V(name, beyond, nothing) FIXTURE_VARIANT_ADD(limit, name) { .lock = name, .over = beyond, .none = nothing }
V(by_mlock, ENOMEM, EPERM);
V(by_mlock_on_fault, ENOMEM, EPERM);
V(by_mmap, EAGAIN, EPERM);
V(by_mmap_shared, EAGAIN, EPERM);
V(by_future, EAGAIN, EPERM);
V(by_growth, EAGAIN, EPERM);

FIXTURE_SETUP(limit)
{
	self->p = mm_reserve(2 * LEN, PAGE);
	ASSERT_NE(NULL, self->p);
	ASSERT_EQ(0, munmap(self->p, 2 * LEN));
	ASSERT_EQ(0, set_limit(LEN));
}

FIXTURE_TEARDOWN(limit)
{
	munlockall();
}

/* up to the last page of it all is locked */
TEST_F(limit, reached)
{
	ASSERT_EQ(0, mm_drop_cap(CAP_IPC_LOCK));
	EXPECT_EQ(0, variant->lock(self->p, PAGES));
	EXPECT_EQ(LEN / KB, mm_status(0, "VmLck"));
	EXPECT_EQ(LEN / KB, mm_smaps_sum(0, "Size", "lo"));
	EXPECT_EQ(variant->lock == by_mlock_on_fault ? 0 : PAGES, mm_count_present(0, self->p, LEN));
	/* Room for none: not for a page. */
	munlockall();
	ASSERT_EQ(0, set_limit(LEN + PAGE - 1));
	ASSERT_EQ(0, mlock(self->p, LEN));
	EXPECT_EQ(variant->over, variant->lock(self->p + PAGES * PAGE, variant->lock == by_growth ? 2 : 1));
	EXPECT_EQ(LEN / KB, mm_status(0, "VmLck"));
}

/* a page more is refused, and nothing is locked; who has the capability may lock it */
TEST_F(limit, exceeded)
{
	long kb = variant->lock == by_growth ? PAGE / KB : 0;

	ASSERT_EQ(0, mm_drop_cap(CAP_IPC_LOCK));
	EXPECT_EQ(variant->over, variant->lock(self->p, PAGES + 1));
	EXPECT_EQ(kb, mm_status(0, "VmLck"));
	EXPECT_EQ(kb, mm_smaps_sum(0, "Size", "lo"));
}

/* nothing of it may be had: a privilege is needed */
TEST_F(limit, nothing)
{
	ASSERT_EQ(0, set_limit(0));
	ASSERT_EQ(0, mm_drop_cap(CAP_IPC_LOCK));
	EXPECT_EQ(variant->none, variant->lock(self->p, PAGES));
	EXPECT_EQ(0, mm_status(0, "VmLck"));
}

/* CAP_IPC_LOCK: no limit holds, 0 included */
TEST_F(limit, privileged)
{
	EXPECT_EQ(0, variant->lock(self->p, PAGES + 1));
	EXPECT_EQ((LEN + PAGE) / KB, mm_status(0, "VmLck"));
	munlockall();
	ASSERT_EQ(0, munmap(self->p, LEN + PAGE));
	ASSERT_EQ(0, set_limit(0));
	EXPECT_EQ(0, variant->lock(self->p, PAGES + 1));
	EXPECT_EQ((LEN + PAGE) / KB, mm_status(0, "VmLck"));
}

/* what is locked already does not count again, where the ranges overlap */
TEST(overlap)
{
	char *p = mm_map_aligned(2 * LEN, PAGE);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, set_limit(LEN));
	ASSERT_EQ(0, mm_drop_cap(CAP_IPC_LOCK));
	ASSERT_EQ(0, mlock(p + 2 * PAGE, LEN - 2 * PAGE));
	/* Two pages are left: before it, behind it, at both sides, and the whole again. */
	EXPECT_EQ(0, mlock(p + 2 * PAGE, LEN - 2 * PAGE));
	EXPECT_EQ(0, mlock(p, LEN));
	EXPECT_EQ(LEN / KB, mm_status(0, "VmLck"));
	ASSERT_EQ(0, munlock(p, 2 * PAGE));
	EXPECT_EQ(0, mlock(p + 4 * PAGE, LEN - 2 * PAGE));
	EXPECT_EQ(LEN / KB, mm_status(0, "VmLck"));
	ASSERT_EQ(0, munlock(p + LEN, 2 * PAGE));
	EXPECT_EQ(0, mlock(p + PAGE, LEN));
	EXPECT_EQ(LEN / KB, mm_status(0, "VmLck"));
	/* From within it to beyond: what lies ahead of the range is no part of it. */
	EXPECT_ERROR(ENOMEM, mlock(p + 5 * PAGE, LEN - 3 * PAGE));
	EXPECT_EQ(LEN / KB, mm_status(0, "VmLck"));
	/* With a page in the middle that is not: it takes the place of one that is left. */
	ASSERT_EQ(0, munlock(p + 4 * PAGE, PAGE));
	EXPECT_EQ(0, mlock(p + PAGE, LEN));
	EXPECT_ERROR(ENOMEM, mlock(p + PAGE, LEN + PAGE));
	EXPECT_ERROR(ENOMEM, mlock(p, LEN + PAGE));
	EXPECT_ERROR(ENOMEM, mlock(p + LEN + PAGE, PAGE));
	EXPECT_EQ(LEN / KB, mm_status(0, "VmLck"));
	munmap(p, 2 * LEN);
}

static int give_back(char *p, int way)
{
	switch (way) {
	case 0:
		return munlock(p, LEN);
	case 1:
		return munlockall();
	case 2:
		return mmap(p, LEN, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != p;
	default:
		return munmap(p, LEN);
	}
}

/* munlock(), munlockall() and munmap() are free to all, and give the limit back; one that is lowered takes nothing away */
TEST(given_back)
{
	char *p = mm_map_aligned(LEN, PAGE);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, set_limit(LEN));
	ASSERT_EQ(0, mm_drop_cap(CAP_IPC_LOCK));
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, mlock(p, LEN));
		ASSERT_EQ(0, set_limit(0));
		EXPECT_EQ(LEN / KB, mm_status(0, "VmLck"));
		EXPECT_ERROR(EPERM, mlock(p, PAGE));
		ASSERT_EQ(0, give_back(p, i));
		EXPECT_EQ(0, mm_status(0, "VmLck"));
		ASSERT_EQ(0, set_limit(LEN));
	}
}

/* mlockall(MCL_CURRENT) wants room for all of the address space; MCL_FUTURE alone does not ask */
TEST(all)
{
	long size = mm_status(0, "VmSize") * KB;

	/* The numbers are read by what may map: with room to spare, and some less than there is. */
	ASSERT_EQ(0, set_limit(size - 64 * PAGE));
	ASSERT_EQ(0, mm_drop_cap(CAP_IPC_LOCK));
	EXPECT_ERROR(ENOMEM, mlockall(MCL_CURRENT));
	EXPECT_ERROR(ENOMEM, mlockall(MCL_CURRENT | MCL_FUTURE));
	EXPECT_ERROR(ENOMEM, mlockall(MCL_CURRENT | MCL_ONFAULT));
	EXPECT_EQ(0, mm_status(0, "VmLck"));
	ASSERT_EQ(0, set_limit(size + 64 * PAGE));
	EXPECT_EQ(0, mlockall(MCL_CURRENT | MCL_ONFAULT));
	EXPECT_LT(0, mm_status(0, "VmLck"));
	EXPECT_EQ(mm_smaps_sum(0, "Size", "lo"), mm_status(0, "VmLck"));
	EXPECT_EQ(0, munlockall());
	EXPECT_EQ(0, mm_status(0, "VmLck"));
	ASSERT_EQ(0, set_limit(PAGE));
	EXPECT_EQ(0, mlockall(MCL_FUTURE));
	EXPECT_EQ(0, munlockall());
	ASSERT_EQ(0, set_limit(0));
	EXPECT_ERROR(EPERM, mlockall(MCL_CURRENT));
	EXPECT_ERROR(EPERM, mlockall(MCL_FUTURE));
	EXPECT_ERROR(EPERM, mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT));
	EXPECT_EQ(0, munlockall());
}

/* with MCL_FUTURE the heap stays as long as it is where the limit ends, to the page */
TEST(heap)
{
	char *end = (char *)(((uintptr_t)syscall(__NR_brk, 0) + PAGE - 1) & ~(PAGE - 1));

	ASSERT_EQ(0, set_limit(LEN));
	ASSERT_EQ(0, mm_drop_cap(CAP_IPC_LOCK));
	ASSERT_EQ(end, (char *)syscall(__NR_brk, end));
	ASSERT_EQ(0, mlockall(MCL_FUTURE));
	EXPECT_EQ(end, (char *)syscall(__NR_brk, end + LEN + 1));
	EXPECT_EQ(0, mm_status(0, "VmLck"));
	EXPECT_EQ(end + LEN, (char *)syscall(__NR_brk, end + LEN));
	EXPECT_EQ(LEN / KB, mm_status(0, "VmLck"));
	EXPECT_EQ(end + LEN, (char *)syscall(__NR_brk, end + LEN + PAGE));
	ASSERT_EQ(0, munlockall());
	EXPECT_EQ(end, (char *)syscall(__NR_brk, end));
}

TEST_HARNESS_MAIN
