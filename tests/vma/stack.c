// SPDX-License-Identifier: GPL-2.0
/*
 * Mappings that grow. mmap(2), MAP_GROWSDOWN: "Touching an address in the [...] page below the mapping will cause the mapping to
 * grow by a page", to the next mapping less stack_guard_gap (Documentation/admin-guide/kernel-parameters.txt), RLIMIT_STACK,
 * RLIMIT_AS, RLIMIT_MEMLOCK. The touch is a system call's: arch/um lets stores have only what is near the stack pointer.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	4
#define LEN	(PAGES * PAGE)
#define GAP	(256 * PAGE)		/* stack_guard_gap */
#define ROOM	(4 * GAP)
#define SEED	1
#define RW	(PROT_READ | PROT_WRITE)
#define ANON	(MAP_PRIVATE | MAP_ANONYMOUS)

FIXTURE(grows) {
	char *room, *p;		/* ROOM is free below p */
	int zero;		/* /dev/zero */
};

static void begin(struct __test_metadata *_metadata, FIXTURE_DATA(grows) *self, int flags)
{
	self->zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->zero);
	self->room = mm_reserve(ROOM + 2 * GAP, PAGE);
	ASSERT_NE(NULL, self->room);
	ASSERT_EQ(0, munmap(self->room, ROOM + 2 * GAP));
	self->p = self->room + ROOM;
	ASSERT_EQ(self->p, mmap(self->p, LEN, RW, ANON | MAP_GROWSDOWN | MAP_FIXED | flags, -1, 0));
	mm_fill(self->p, LEN, SEED);
}

FIXTURE_SETUP(grows)
{
	begin(_metadata, self, 0);
}

FIXTURE_TEARDOWN(grows)
{
	munmap(self->room, ROOM + 2 * GAP);
	close(self->zero);
}

/* Let the kernel write a byte at @at; 0 or errno. */
static int touch(const FIXTURE_DATA(grows) *self, char *at)
{
	return read(self->zero, at, 1) == 1 ? 0 : errno;
}

static char *start_of(const char *p)
{
	struct mm_vma vma;

	return mm_vma(0, p, &vma) ? NULL : (char *)vma.start;
}

/* by as much as it takes, with one page for each that was touched; the bytes above stay, the new ones are zeroes */
TEST_F(grows, on_touch)
{
	static const int down[] = { 1, 2, 5, 100, 256, 600 };

	EXPECT_TRUE(mm_vmflag(0, self->p, "gd"));
	for (int i = 0; i < 6; i++) {
		char *at = self->p - down[i] * PAGE;

		ASSERT_EQ(-ENOENT, mm_vma(0, at, &(struct mm_vma){ 0 }));
		EXPECT_EQ(0, touch(self, at + PAGE - 1)) TH_LOG("%d pages down", down[i]);
		EXPECT_EQ(at, start_of(self->p));
		EXPECT_EQ(PAGES + i + 1, mm_count_present(0, at, self->p + LEN - at));
	}
	EXPECT_EQ(-1, mm_check_byte(self->p - 600 * PAGE, 600 * PAGE, 0));
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
	EXPECT_EQ(0, mm_probe_write(self->p - 600 * PAGE, 1));
	EXPECT_EQ(1, mm_vma_count(0, self->room, ROOM + LEN));
}

/* it is accounted as it grows: Committed_AS and VmStk, which munmap() gives back */
TEST_F(grows, accounted)
{
	long committed, stack;

	mm_meminfo("Committed_AS");
	committed = mm_meminfo("Committed_AS");
	stack = mm_status(0, "VmStk");
	ASSERT_EQ(0, touch(self, self->p - 10 * PAGE));
	EXPECT_EQ(committed + (long)(10 * PAGE / KB), mm_meminfo("Committed_AS"));
	EXPECT_EQ(stack + (long)(10 * PAGE / KB), mm_status(0, "VmStk"));
	ASSERT_EQ(0, munmap(self->p - 10 * PAGE, 10 * PAGE));
	EXPECT_EQ(committed, mm_meminfo("Committed_AS"));
	EXPECT_EQ(stack, mm_status(0, "VmStk"));
	/* What has been unmapped can be had again, empty. */
	EXPECT_EQ(0, touch(self, self->p - PAGE));
	EXPECT_EQ(self->p - PAGE, start_of(self->p));
	EXPECT_EQ(-1, mm_check_byte(self->p - PAGE, PAGE, 0));
}

/* a load by the kernel grows it as a store does; above it there is nothing to be had */
TEST_F(grows, downwards_only)
{
	int ends[2];

	ASSERT_EQ(0, pipe2(ends, O_CLOEXEC));
	EXPECT_EQ(1, write(ends[1], self->p - 2 * PAGE, 1));
	EXPECT_EQ(self->p - 2 * PAGE, start_of(self->p));
	EXPECT_EQ(EFAULT, touch(self, self->p + LEN));
	EXPECT_EQ(SIGSEGV, mm_probe_read(self->p + LEN));
	EXPECT_EQ(SEGV_MAPERR, mm_probe_code());
	close(ends[0]);
	close(ends[1]);
}

static int child(void *arg)
{
	FIXTURE_DATA(grows) *self = arg;

	if (touch(self, self->p - 3 * PAGE) || start_of(self->p) != self->p - 3 * PAGE)
		return 1;
	return mm_check(self->p, LEN, SEED) == -1 ? 0 : 2;
}

/* a child's grows by itself, and so does the parent's */
TEST_F(grows, in_child)
{
	EXPECT_EQ(0, mm_in_child(child, self));
	EXPECT_EQ(self->p, start_of(self->p));
	EXPECT_EQ(0, touch(self, self->p - PAGE));
	EXPECT_EQ(0, mm_in_child(child, self));
	EXPECT_EQ(self->p - PAGE, start_of(self->p));
}

/* RLIMIT_STACK holds for all of it: to the page, and what is refused is EFAULT and no page */
TEST_F(grows, stack_limit)
{
	struct rlimit old, limit;

	ASSERT_EQ(0, getrlimit(RLIMIT_STACK, &old));
	limit = old;
	limit.rlim_cur = LEN + 8 * PAGE;
	ASSERT_EQ(0, setrlimit(RLIMIT_STACK, &limit));
	EXPECT_EQ(EFAULT, touch(self, self->p - 9 * PAGE));
	EXPECT_EQ(self->p, start_of(self->p));
	EXPECT_EQ(0, touch(self, self->p - 8 * PAGE));
	EXPECT_EQ(EFAULT, touch(self, self->p - 8 * PAGE - 1));
	EXPECT_EQ(self->p - 8 * PAGE, start_of(self->p));
	/* What is mapped stays if the limit falls below it. */
	limit.rlim_cur = PAGE;
	ASSERT_EQ(0, setrlimit(RLIMIT_STACK, &limit));
	EXPECT_EQ(0, touch(self, self->p - 4 * PAGE));
	EXPECT_EQ(EFAULT, touch(self, self->p - 9 * PAGE));
	ASSERT_EQ(0, setrlimit(RLIMIT_STACK, &old));
	EXPECT_EQ(0, touch(self, self->p - 9 * PAGE));
}

/* so does RLIMIT_AS */
TEST_F(grows, address_space)
{
	struct rlimit old, limit;

	ASSERT_EQ(0, getrlimit(RLIMIT_AS, &old));
	limit = old;
	limit.rlim_cur = mm_status(0, "VmSize") * KB + 3 * PAGE;
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &limit));
	EXPECT_EQ(EFAULT, touch(self, self->p - 4 * PAGE));
	EXPECT_EQ(0, touch(self, self->p - 3 * PAGE));
	EXPECT_EQ(EFAULT, touch(self, self->p - 4 * PAGE));
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &old));
	EXPECT_EQ(self->p - 3 * PAGE, start_of(self->p));
}

/* locked it is locked as it grows, to RLIMIT_MEMLOCK */
TEST_F(grows, locked)
{
	struct rlimit limit;

	ASSERT_EQ(0, mlock(self->p, LEN));
	ASSERT_EQ(0, touch(self, self->p - 2 * PAGE));
	EXPECT_EQ((LEN + 2 * PAGE) / KB, mm_status(0, "VmLck"));
	EXPECT_TRUE(mm_vmflag(0, self->p - 2 * PAGE, "lo"));
	EXPECT_EQ(mm_smaps_sum(0, "Size", "lo"), mm_status(0, "VmLck"));
	ASSERT_EQ(0, getrlimit(RLIMIT_MEMLOCK, &limit));
	limit.rlim_cur = LEN + 4 * PAGE;
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &limit));
	ASSERT_EQ(0, mm_drop_cap(CAP_IPC_LOCK));
	EXPECT_EQ(EFAULT, touch(self, self->p - 5 * PAGE));
	EXPECT_EQ(0, touch(self, self->p - 4 * PAGE));
	EXPECT_EQ(EFAULT, touch(self, self->p - 5 * PAGE));
	EXPECT_EQ((LEN + 4 * PAGE) / KB, mm_status(0, "VmLck"));
	ASSERT_EQ(0, munmap(self->p - 4 * PAGE, LEN + 4 * PAGE));
	EXPECT_EQ(0, mm_status(0, "VmLck"));
}

/* a mapping that the kernel places, or is given a hint for, leaves the gap; who says MAP_FIXED may have any of it */
TEST_F(grows, gap_is_kept)
{
	char *q = mmap(self->p - PAGE, PAGE, RW, ANON, -1, 0);

	ASSERT_NE(MAP_FAILED, q);
	EXPECT_TRUE(q + PAGE + GAP <= self->p || q >= self->p + LEN) TH_LOG("%ld", (long)(self->p - q));
	ASSERT_EQ(0, munmap(q, PAGE));
	q = self->p - GAP;
	EXPECT_NE(q, mmap(q, PAGE, RW, ANON, -1, 0));
	/* Outside of it. */
	q = self->p - GAP - PAGE;
	EXPECT_EQ(q, mmap(q, PAGE, RW, ANON, -1, 0));
	ASSERT_EQ(0, munmap(q, PAGE));
	q = self->p - PAGE;
	EXPECT_EQ(q, mmap(q, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
	ASSERT_EQ(0, munmap(q, PAGE));
	EXPECT_EQ(self->p, start_of(self->p));
}

FIXTURE(neighbour) {
	FIXTURE_DATA(grows) g;
};

FIXTURE_VARIANT(neighbour) {
	int prot, flags;
	bool in_the_way;
};

FIXTURE_VARIANT_ADD(neighbour, writable) { .prot = RW, .in_the_way = true };
FIXTURE_VARIANT_ADD(neighbour, readable) { .prot = PROT_READ, .in_the_way = true };
FIXTURE_VARIANT_ADD(neighbour, shared) { .prot = RW, .flags = MAP_SHARED, .in_the_way = true };
FIXTURE_VARIANT_ADD(neighbour, no_rights) { .prot = PROT_NONE };
FIXTURE_VARIANT_ADD(neighbour, stack) { .prot = RW, .flags = MAP_GROWSDOWN };

FIXTURE_SETUP(neighbour)
{
	begin(_metadata, &self->g, 0);
}

FIXTURE_TEARDOWN(neighbour)
{
	munmap(self->g.room, ROOM + 2 * GAP);
	close(self->g.zero);
}

/* it grows to the gap above a neighbour, and to the neighbour itself if that cannot be touched or is a stack too */
TEST_F(neighbour, gap)
{
	char *q = self->g.p - 2 * GAP, *p = self->g.p;
	int flags = MAP_ANONYMOUS | MAP_FIXED | (variant->flags & MAP_SHARED ?: MAP_PRIVATE) | variant->flags;

	ASSERT_EQ(q, mmap(q, PAGE, variant->prot, flags, -1, 0));
	EXPECT_EQ(0, touch(&self->g, q + PAGE + GAP));
	EXPECT_EQ(q + PAGE + GAP, start_of(p));
	if (variant->in_the_way) {
		EXPECT_EQ(EFAULT, touch(&self->g, q + PAGE + GAP - 1));
		EXPECT_EQ(EFAULT, touch(&self->g, q + PAGE));
		EXPECT_EQ(q + PAGE + GAP, start_of(p));
		/* When it goes the room is there. */
		ASSERT_EQ(0, munmap(q, PAGE));
		EXPECT_EQ(0, touch(&self->g, q + PAGE + GAP - 1));
	} else {
		EXPECT_EQ(0, touch(&self->g, q + PAGE + GAP - 1));
		EXPECT_EQ(0, touch(&self->g, q + PAGE));
		EXPECT_EQ(q + PAGE, start_of(p));
	}
	EXPECT_EQ(-1, mm_check(p, LEN, SEED));
}

/* Use @bytes of stack, each page of it. */
static __attribute__((noinline)) unsigned long dig(size_t bytes)
{
	volatile char room[8 * PAGE];

	for (size_t i = 0; i < sizeof(room); i += PAGE)
		room[sizeof(room) - 1 - i] = i;
	return bytes > sizeof(room) ? dig(bytes - sizeof(room)) + room[0] : room[PAGE];
}

static int dig_in_child(void *arg)
{
	struct rlimit limit = { MB, MB };

	if (setrlimit(RLIMIT_STACK, &limit))
		return 1;
	return dig((uintptr_t)arg) == 1 ? 1 : 0;
}

/* the stack of a process grows by its own stores, to RLIMIT_STACK; beyond it is SIGSEGV */
TEST(of_process)
{
	EXPECT_EQ(0, mm_in_child(dig_in_child, (void *)(MB / 2)));
	EXPECT_EQ(-SIGSEGV, mm_in_child(dig_in_child, (void *)(MB + MB / 2)));
}

TEST_HARNESS_MAIN
