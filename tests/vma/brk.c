// SPDX-License-Identifier: GPL-2.0
/* The heap, which brk(2) makes longer and shorter: what /proc/PID/maps calls it, and what its new part is. */
#include "kselftest_harness.h"
#include <errno.h>
#include <linux/mman.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	8
#define LEN	(PAGES * PAGE)

/* The kernel's brk(): the end that the heap has then, whether that is the one asked for or not. */
static char *to(void *end)
{
	return (char *)syscall(__NR_brk, end);
}

/* Each case is a child's own matter: what else the process allocates comes behind what brk() has been told. */
FIXTURE(heap) {
	char *end;		/* a multiple of the page size; LEN before it are the case's, and free behind it */
};

FIXTURE_SETUP(heap)
{
	char *end = to(NULL);

	end = (char *)(((uintptr_t)end + PAGE - 1) & ~(PAGE - 1)) + LEN;
	ASSERT_EQ(end, to(end));
	self->end = end;
	mm_touch_write(end - LEN, LEN);
}

FIXTURE_TEARDOWN(heap)
{
}

static int heaps(void)
{
	char *maps = mm_maps(0), *at = maps;
	int n = 0;

	while (at && (at = strstr(at, "[heap]"))) {
		at++;
		n++;
	}
	return n;
}

static bool is_heap(const char *p)
{
	struct mm_vma vma;

	return !mm_vma(0, p, &vma) && !strcmp(vma.path, "[heap]");
}

/* mappings that touch the heap at its end, or at its beginning, are none; parts of it that are mappings are */
TEST_F(heap, name)
{
	struct mm_vma vma;
	char *beside;
	int n;

	ASSERT_EQ(0, mm_vma(0, self->end - 1, &vma));
	EXPECT_STREQ("[heap]", vma.path);
	n = heaps();
	EXPECT_LE(1, n);
	beside = mmap(self->end, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	ASSERT_EQ(self->end, beside);
	EXPECT_FALSE(is_heap(beside));
	EXPECT_TRUE(is_heap(self->end - 1));
	beside = (char *)vma.start - PAGE;
	if (mmap(beside, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == beside) {
		EXPECT_FALSE(is_heap(beside));
		EXPECT_TRUE(is_heap(beside + PAGE));
	}
	EXPECT_EQ(n, heaps());
	ASSERT_EQ(0, mprotect(self->end - 2 * PAGE, PAGE, PROT_READ));
	EXPECT_TRUE(is_heap(self->end - 2 * PAGE));
	EXPECT_EQ(n + 2, heaps());
	/* What was the heap is memory like any other. */
	ASSERT_EQ(0, munmap(self->end, PAGE));
	ASSERT_EQ(self->end - 2 * PAGE, to(self->end - 2 * PAGE));
	EXPECT_EQ(n, heaps());
	EXPECT_EQ(-ENOENT, mm_vma(0, self->end - 1, &vma));
}

static int read_only(char *p, size_t len)
{
	return mprotect(p, len, PROT_READ);
}

static int locked(char *p, size_t len)
{
	return mlock(p, len);
}

static int not_forked(char *p, size_t len)
{
	return madvise(p, len, MADV_DONTFORK);
}

static int wiped(char *p, size_t len)
{
	return madvise(p, len, MADV_WIPEONFORK);
}

static int not_dumped(char *p, size_t len)
{
	return madvise(p, len, MADV_DONTDUMP);
}

static int at_random(char *p, size_t len)
{
	return madvise(p, len, MADV_RANDOM);
}

static const struct change {
	const char *name, *flag;
	int (*call)(char *p, size_t len);
} changes[] = {
	{ "mprotect", "wr", read_only },
	{ "mlock", "lo", locked },
	{ "DONTFORK", "dc", not_forked },
	{ "WIPEONFORK", "wf", wiped },
	{ "DONTDUMP", "dd", not_dumped },
	{ "RANDOM", "rr", at_random },
};

/* what is added is ordinary memory, whatever the end of the heap has become, which stays that */
TEST_F(heap, grows_behind)
{
	for (int i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		const struct change *c = &changes[i];
		char *end = self->end;
		long lck;
		bool was;

		ASSERT_EQ(0, c->call(end - PAGE, PAGE)) TH_LOG("%s", c->name);
		was = mm_vmflag(0, end - PAGE, c->flag);
		lck = mm_status(0, "VmLck");
		self->end += 2 * PAGE;
		ASSERT_EQ(self->end, to(self->end));
		EXPECT_EQ(was, mm_vmflag(0, end - PAGE, c->flag)) TH_LOG("%s", c->name);
		EXPECT_EQ(!was, mm_vmflag(0, end, c->flag)) TH_LOG("%s", c->name);
		EXPECT_EQ(lck, mm_status(0, "VmLck")) TH_LOG("%s", c->name);
		EXPECT_EQ(-1, mm_check_byte(end, 2 * PAGE, 0));
		EXPECT_EQ(0, mm_probe_write(end, 1)) TH_LOG("%s", c->name);
		EXPECT_TRUE(is_heap(end));
	}
	EXPECT_EQ(SIGSEGV, mm_probe_write(self->end - 2 * PAGE * sizeof(changes) / sizeof(*changes) - PAGE, 1));
}

/* after mlockall(MCL_FUTURE) what is added is locked and there, what was there is not */
TEST_F(heap, locked_later)
{
	char *end = self->end;
	long lck = mm_status(0, "VmLck");

	ASSERT_EQ(0, mlockall(MCL_FUTURE));
	ASSERT_EQ(end + LEN, to(end + LEN));
	EXPECT_EQ(PAGES, mm_count_present(0, end, LEN));
	EXPECT_TRUE(mm_vmflag(0, end, "lo"));
	EXPECT_FALSE(mm_vmflag(0, end - PAGE, "lo"));
	EXPECT_EQ(lck + (long)(LEN / KB), mm_status(0, "VmLck"));
	/* One more piece becomes one with it. */
	ASSERT_EQ(end + 2 * LEN, to(end + 2 * LEN));
	EXPECT_EQ(1, mm_vma_count(0, end, 2 * LEN));
	EXPECT_EQ(lck + (long)(2 * LEN / KB), mm_status(0, "VmLck"));
	ASSERT_EQ(end, to(end));
	EXPECT_EQ(lck, mm_status(0, "VmLck"));
	ASSERT_EQ(0, munlockall());
	ASSERT_EQ(end + PAGE, to(end + PAGE));
	EXPECT_FALSE(mm_vmflag(0, end, "lo"));
	EXPECT_EQ(0, mm_count_present(0, end, PAGE));
}

/* it grows and shrinks by bytes, its pages come and go whole, and Committed_AS and VmData follow */
TEST_F(heap, bytes)
{
	long committed = mm_meminfo("Committed_AS"), data = mm_status(0, "VmData");
	char *end = self->end;

	ASSERT_EQ(end + 1, to(end + 1));
	EXPECT_EQ(0, mm_probe_write(end + PAGE - 1, 1));
	EXPECT_EQ(SIGSEGV, mm_probe_write(end + PAGE, 1));
	EXPECT_EQ(data + (long)(PAGE / KB), mm_status(0, "VmData"));
	EXPECT_EQ(committed + (long)(PAGE / KB), mm_meminfo("Committed_AS"));
	ASSERT_EQ(end + PAGE, to(end + PAGE));
	EXPECT_EQ(data + (long)(PAGE / KB), mm_status(0, "VmData"));
	ASSERT_EQ(end + PAGE + 1, to(end + PAGE + 1));
	EXPECT_EQ(0, mm_probe_write(end + PAGE, 1));
	ASSERT_EQ(end, to(end));
	EXPECT_EQ(SIGSEGV, mm_probe_read(end));
	EXPECT_EQ(data, mm_status(0, "VmData"));
	EXPECT_EQ(committed, mm_meminfo("Committed_AS"));
	/* What comes again is new. */
	ASSERT_EQ(end + 2 * PAGE, to(end + 2 * PAGE));
	EXPECT_EQ(-1, mm_check_byte(end, 2 * PAGE, 0));
}

/* where something is in the way, or a limit is, it stays as long as it is; so it does below its beginning */
TEST_F(heap, cannot_grow)
{
	struct rlimit old, limit;
	char *end = self->end;

	ASSERT_EQ(end + 2 * PAGE, mmap(end + 2 * PAGE, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	EXPECT_EQ(end, to(end + 3 * PAGE));
	EXPECT_EQ(end, to(end + 2 * PAGE + 1));
	EXPECT_EQ(end, to(NULL));
	EXPECT_EQ(end, to((char *)1));
	EXPECT_EQ(end, to((char *)-PAGE));
	EXPECT_EQ(SIGSEGV, mm_probe_read(end));
	ASSERT_EQ(0, munmap(end + 2 * PAGE, PAGE));
	ASSERT_EQ(0, getrlimit(RLIMIT_DATA, &old));
	limit = old;
	limit.rlim_cur = PAGE;
	ASSERT_EQ(0, setrlimit(RLIMIT_DATA, &limit));
	EXPECT_EQ(end, to(end + PAGE));
	ASSERT_EQ(0, setrlimit(RLIMIT_DATA, &old));
	limit.rlim_cur = (mm_status(0, "VmSize") + PAGE / KB) * KB;
	ASSERT_EQ(0, getrlimit(RLIMIT_AS, &old));
	limit.rlim_max = old.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &limit));
	EXPECT_EQ(end, to(end + 2 * PAGE));
	EXPECT_EQ(end + PAGE, to(end + PAGE));
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &old));
	EXPECT_EQ(end + 3 * PAGE, to(end + 3 * PAGE));
}

TEST_HARNESS_MAIN
