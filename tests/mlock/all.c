// SPDX-License-Identifier: GPL-2.0
/*
 * mlockall(2): "MCL_CURRENT: Lock all pages which are currently mapped", "MCL_FUTURE: Lock all pages which will become mapped",
 * "MCL_ONFAULT: Used together with [these]. Mark all current (with MCL_CURRENT) or future (with MCL_FUTURE) mappings to lock pages
 * when they are faulted in."
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	8
#define LEN	(PAGES * PAGE)
#define SEED	1
#define MARK	"mlock-all"		/* argv[0] of the program that looks */
#define RW	(PROT_READ | PROT_WRITE)

#define EXPECT_ERROR(err, call) do { errno = 0; EXPECT_EQ(-1, call); EXPECT_EQ((err), errno); } while (0)

/* What exec() has started says by its status how much it has locked. */
__attribute__((constructor)) static void look(int argc, char **argv, char **envp)
{
	char *p;

	if (argc < 1 || strcmp(argv[0], MARK))
		return;
	p = mmap(NULL, LEN, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	_exit((mm_status(0, "VmLck") ? 1 : 0) | (mm_count_present(0, p, LEN) ? 2 : 0) | (mm_smaps_sum(0, "Size", "lo") ? 4 : 0));
}

FIXTURE(all) {
	char *was, *none, *will;	/* mappings before the call, and room for one after it */
	long mlocked;
};

FIXTURE_VARIANT(all) {
	int flags;
};

#define V(name, how) FIXTURE_VARIANT_ADD(all, name) { .flags = how }
V(current, MCL_CURRENT);
V(future, MCL_FUTURE);
V(both, MCL_CURRENT | MCL_FUTURE);
V(current_on_fault, MCL_CURRENT | MCL_ONFAULT);
V(future_on_fault, MCL_FUTURE | MCL_ONFAULT);
V(both_on_fault, MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);

FIXTURE_SETUP(all)
{
	self->was = mm_map_aligned(LEN, PAGE);
	self->none = mm_map_aligned(LEN, PAGE);
	self->will = mm_reserve(LEN, PAGE);
	ASSERT_NE(NULL, self->was);
	ASSERT_NE(NULL, self->none);
	ASSERT_NE(NULL, self->will);
	ASSERT_EQ(0, munmap(self->will, LEN));
	mm_fill(self->was, PAGE, SEED);
	ASSERT_EQ(0, mprotect(self->none, LEN, PROT_NONE));
	self->mlocked = mm_mlocked();
	ASSERT_EQ(0, mlockall(variant->flags));
}

FIXTURE_TEARDOWN(all)
{
	EXPECT_EQ(0, munlockall());
	EXPECT_EQ(0, mm_status(0, "VmLck"));
	EXPECT_EQ(self->mlocked, mm_mlocked());
}

/* A new mapping of @flags. */
static char *map(FIXTURE_DATA(all) *self, int flags)
{
	char *p = mmap(self->will, LEN, RW, flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* what was mapped is locked if MCL_CURRENT is there, and all there if MCL_ONFAULT is not; what cannot be touched is locked too */
TEST_F(all, was_mapped)
{
	bool locked = variant->flags & MCL_CURRENT, on_fault = variant->flags & MCL_ONFAULT;

	EXPECT_EQ(locked, mm_vmflag(0, self->was, "lo"));
	EXPECT_EQ(locked && on_fault, mm_vmflag(0, self->was, "lf"));
	EXPECT_EQ(locked, mm_vmflag(0, self->none, "lo"));
	EXPECT_EQ(locked && !on_fault ? PAGES : 1, mm_count_present(0, self->was, LEN));
	EXPECT_EQ(0, mm_count_present(0, self->none, LEN));
	EXPECT_EQ(mm_smaps_sum(0, "Size", "lo"), mm_status(0, "VmLck"));
	EXPECT_EQ(locked, mm_status(0, "VmLck") > 0);
	if (locked)
		EXPECT_LT(PAGES, mm_mlocked() - self->mlocked);
	EXPECT_EQ(-1, mm_check(self->was, PAGE, SEED));
}

/* what is mapped later is locked if MCL_FUTURE is there, whatever it is of, and all there if MCL_ONFAULT is not */
TEST_F(all, will_be_mapped)
{
	bool locked = variant->flags & MCL_FUTURE, on_fault = variant->flags & MCL_ONFAULT;

	for (int i = 0; i < 2; i++) {
		long lck = mm_status(0, "VmLck");
		char *p = map(self, i ? MAP_SHARED : MAP_PRIVATE);

		ASSERT_NE(NULL, p);
		EXPECT_EQ(locked, mm_vmflag(0, p, "lo"));
		EXPECT_EQ(locked && on_fault, mm_vmflag(0, p, "lf"));
		EXPECT_EQ(locked && !on_fault ? PAGES : 0, mm_count_present(0, p, LEN));
		EXPECT_EQ(lck + (locked ? (long)(LEN / KB) : 0), mm_status(0, "VmLck"));
		mm_fill(p, LEN, SEED);
		EXPECT_EQ(locked ? LEN / KB : 0, mm_smaps(0, p, "Locked"));
		EXPECT_EQ(locked ? -1 : 0, madvise(p, LEN, MADV_DONTNEED));
		ASSERT_EQ(0, munmap(p, LEN));
		EXPECT_EQ(lck, mm_status(0, "VmLck"));
	}
}

/* MAP_POPULATE brings nothing in where MCL_ONFAULT holds; what was locked in its own way has the way of the next mlockall() */
TEST_F(all, populate)
{
	bool on_fault = variant->flags & MCL_FUTURE && variant->flags & MCL_ONFAULT;
	char *p = map(self, MAP_PRIVATE | MAP_POPULATE);

	ASSERT_NE(NULL, p);
	EXPECT_EQ(on_fault ? 0 : PAGES, mm_count_present(0, p, LEN));
	ASSERT_EQ(0, mlock2(p, PAGE, MLOCK_ONFAULT));
	ASSERT_EQ(0, mlockall(MCL_CURRENT));
	EXPECT_TRUE(mm_vmflag(0, p, "lo"));
	EXPECT_FALSE(mm_vmflag(0, p, "lf"));
	EXPECT_EQ(1, mm_vma_count(0, p, LEN));
	EXPECT_EQ(PAGES, mm_count_present(0, p, LEN));
	ASSERT_EQ(0, munmap(p, LEN));
}

/* one more call takes the place of the last: MCL_FUTURE is over if it is not said again */
TEST_F(all, again)
{
	char *p;

	ASSERT_EQ(0, mlockall(MCL_CURRENT | MCL_ONFAULT));
	EXPECT_TRUE(mm_vmflag(0, self->was, "lf"));
	p = map(self, MAP_PRIVATE);
	ASSERT_NE(NULL, p);
	EXPECT_FALSE(mm_vmflag(0, p, "lo"));
	ASSERT_EQ(0, mlockall(MCL_FUTURE));
	EXPECT_FALSE(mm_vmflag(0, p, "lo"));
	EXPECT_TRUE(mm_vmflag(0, self->was, "lo"));
	p = map(self, MAP_PRIVATE);
	EXPECT_TRUE(mm_vmflag(0, p, "lo"));
	EXPECT_EQ(mm_smaps_sum(0, "Size", "lo"), mm_status(0, "VmLck"));
	ASSERT_EQ(0, munmap(p, LEN));
}

/* munlockall() ends both, of mappings that are and that will be, and leaves the pages */
TEST_F(all, undone)
{
	long present = mm_count_present(0, self->was, LEN);
	char *p;

	ASSERT_EQ(0, munlockall());
	EXPECT_EQ(0, mm_status(0, "VmLck"));
	EXPECT_EQ(0, mm_smaps_sum(0, "Size", "lo"));
	EXPECT_EQ(self->mlocked, mm_mlocked());
	EXPECT_EQ(present, mm_count_present(0, self->was, LEN));
	p = map(self, MAP_PRIVATE);
	ASSERT_NE(NULL, p);
	EXPECT_FALSE(mm_vmflag(0, p, "lo"));
	EXPECT_EQ(0, mm_count_present(0, p, LEN));
	ASSERT_EQ(0, munmap(p, LEN));
}

static int child(void *arg)
{
	FIXTURE_DATA(all) *self = arg;
	char *p;

	if (mm_status(0, "VmLck") || mm_smaps_sum(0, "Size", "lo"))
		return 1;
	p = map(self, MAP_PRIVATE);
	if (!p || mm_vmflag(0, p, "lo") || mm_count_present(0, p, LEN))
		return 2;
	mm_fill(self->was, LEN, SEED);
	return mm_status(0, "VmLck") ? 3 : 0;
}

/* mlock(2): "Memory locks are not inherited by a child created via fork(2)", nor is MCL_FUTURE */
TEST_F(all, fork)
{
	long lck = mm_status(0, "VmLck");

	EXPECT_EQ(0, mm_in_child(child, self));
	EXPECT_EQ(lck, mm_status(0, "VmLck"));
	EXPECT_EQ(-1, mm_check(self->was, PAGE, SEED));
}

static int run(void *arg)
{
	static char *argv[] = { MARK, NULL }, *envp[] = { NULL };
	int flags = (intptr_t)arg;

	if (mlockall(flags))
		return 100;
	execve("/proc/self/exe", argv, envp);
	return 101;
}

/* "and are automatically removed [...] during an execve(2)", with MCL_FUTURE */
TEST_F(all, exec)
{
	EXPECT_EQ(0, mm_in_child(run, (void *)(intptr_t)variant->flags));
}

/* no flag, one alone that is none, and those that there are not: EINVAL, nothing is locked */
TEST(errors)
{
	static const int flags[] = { 0, MCL_ONFAULT, 8, 8 | MCL_CURRENT, -1, 1 << 31 };
	char *p;

	for (int i = 0; i < 6; i++)
		EXPECT_ERROR(EINVAL, mlockall(flags[i]));
	EXPECT_EQ(0, mm_status(0, "VmLck"));
	p = mm_map_aligned(PAGE, PAGE);
	EXPECT_FALSE(mm_vmflag(0, p, "lo"));
	munmap(p, PAGE);
}

/* a call that is wrong leaves what an earlier one has set */
TEST(errors_keep)
{
	char *p;

	ASSERT_EQ(0, mlockall(MCL_FUTURE));
	EXPECT_ERROR(EINVAL, mlockall(0));
	EXPECT_ERROR(EINVAL, mlockall(MCL_ONFAULT));
	p = mmap(NULL, LEN, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_TRUE(mm_vmflag(0, p, "lo"));
	EXPECT_EQ(PAGES, mm_count_present(0, p, LEN));
	ASSERT_EQ(0, munlockall());
	munmap(p, LEN);
}

TEST_HARNESS_MAIN
