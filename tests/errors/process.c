// SPDX-License-Identifier: GPL-2.0
/* Calls on a process as a whole (mlockall, brk, execve), with each allocation failing. */
#include "kselftest_harness.h"
#include <fcntl.h>
#include <linux/prctl.h>
#include <stdlib.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "mm.h"
#include "walk.h"

#define SEED	141
#define PAGES	12
#define LEN	(PAGES * PAGE)
#define THIRD	(PAGES / 3 * PAGE)

/* ---- brk ---- */

static char *heap_end;
static long grows;

static int set_break(struct walk *w)
{
	char *end = heap_end + grows * (long)PAGE;

	return (char *)syscall(__NR_brk, end) == end ? 0 : -ENOMEM;
}

static void break_set(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;
	char *end = heap_end + grows * (long)PAGE;

	EXPECT_EQ(end, (char *)syscall(__NR_brk, 0));
	EXPECT_EQ(SIGSEGV, mm_probe_read(end));
	EXPECT_EQ(0, mm_probe_write(end - 1, 1));
	if (grows > 0)
		EXPECT_EQ(-1, mm_check_byte(heap_end, grows * PAGE - 1, 0));
}

static void break_back(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(heap_end, (char *)syscall(__NR_brk, heap_end));
	if (grows < 0)
		mm_fill(heap_end - 8 * PAGE, 8 * PAGE, SEED);
}

static void break_intact(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(heap_end, (char *)syscall(__NR_brk, 0));
	EXPECT_EQ(-1, mm_check(heap_end - 8 * PAGE, 8 * PAGE, SEED));
}

FIXTURE(brk) {
	struct walk w;
};

FIXTURE_VARIANT(brk) {
	long by;		/* pages */
	bool apart;		/* what is there already is another mapping: the call makes one */
	int least;
};

FIXTURE_VARIANT_ADD(brk, grow) { .by = 4 };
FIXTURE_VARIANT_ADD(brk, grow_apart) { .by = 4, .apart = true, .least = 1 };
FIXTURE_VARIANT_ADD(brk, shrink) { .by = -4 };

FIXTURE_SETUP(brk)
{
	NEED(mm_need_fail_nth());
	self->w = (struct walk) {
		._metadata = _metadata, .error = ENOMEM, .call = set_break, .done = break_set, .undo = break_back,
		.intact = break_intact,
	};
}

FIXTURE_TEARDOWN(brk)
{
}

/* brk(): the old break and all below it as it was, or the new one, with pages of zeroes */
TEST_F(brk, moved)
{
	struct walk *w = &self->w;

	/* Above what malloc() has taken, which is to stay out of it. */
	heap_end = (char *)(((uintptr_t)syscall(__NR_brk, 0) + 64 * PAGE) & ~(PAGE - 1));
	ASSERT_EQ(heap_end, (char *)syscall(__NR_brk, heap_end));
	mm_fill(heap_end - 8 * PAGE, 8 * PAGE, SEED);
	if (variant->apart)
		ASSERT_EQ(0, madvise(heap_end - 8 * PAGE, 8 * PAGE, MADV_DONTDUMP));
	grows = variant->by;
	walk(w);
	EXPECT_LE(variant->least, w->failed);
}

/* ---- mlockall ---- */

static int unlocked, missing;

static int lock_all(struct walk *w)
{
	return mlockall(MCL_CURRENT) ? -errno : 0;
}

/*
 * Without memory mlockall() passes over a mapping that it cannot merge with its neighbour, and over pages that it does not get
 * (mm/mlock.c: "Ignore errors"): what it did not do is counted, and only after a failure.
 */
static void all_locked(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;
	int not_locked = 0, not_there = 0;

	for (int i = 0; i < 3; i++)
		not_locked += !mm_vmflag(0, w->p + i * THIRD, "lo");
	not_there = PAGES - mm_count_present(0, w->p, LEN);
	if (!mm_fail_injected()) {
		EXPECT_EQ(0, not_locked);
		EXPECT_EQ(0, not_there);
	}
	unlocked += not_locked;
	missing += not_there;
	EXPECT_EQ(-1, mm_check(w->q, PAGE, SEED));
}

/* The middle is locked, the thirds beside it are not, and have no pages. */
static void lock_middle(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(0, munlockall());
	EXPECT_EQ(0, madvise(w->p, LEN, MADV_DONTNEED));
	EXPECT_EQ(0, mlock(w->p + THIRD, THIRD));
}

static void middle_locked(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(THIRD / KB, mm_status(0, "VmLck"));
	EXPECT_TRUE(mm_vmflag(0, w->p + THIRD, "lo"));
	EXPECT_FALSE(mm_vmflag(0, w->p, "lo"));
	EXPECT_EQ(-1, mm_check(w->q, PAGE, SEED));
}

/* mlockall(): all that there is in memory and locked, if nothing failed; no byte is lost if something did */
TEST(lock_all_memory)
{
	struct walk w = {
		._metadata = _metadata, .len = LEN, .error = ENOMEM, .or_error = EAGAIN, .call = lock_all, .done = all_locked,
		.undo = lock_middle, .intact = middle_locked, .may_split = true, .reclaims = true,
	};

	NEED(mm_need_fail_nth());
	w.p = mm_map_aligned(LEN, PAGE);
	w.q = mm_map_aligned(PAGE, PAGE);
	ASSERT_TRUE(w.p && w.q);
	mm_fill(w.q, PAGE, SEED);
	/* Each third with an anon_vma of its own. */
	mm_touch_write(w.p, LEN);
	lock_middle(&w);
	walk(&w);
	EXPECT_LE(2 * THIRD / PAGE, w.injected);
	mm_report("unlocked", unlocked);
	mm_report("missing", missing);
}

/* ---- execve ---- */

#define INTACT	100		/* and the errno, when execve() returned */
#define LOADER	127		/* of the C library that starts the new program, whose calls may fail as well */
#define MAX_NTH	1000

static int me, nowhere;

/* The new program: whether it has what the old one was to hand on. */
__attribute__((constructor))
static void new_program(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--executed"))
		_exit(prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0) != atoi(argv[2]));
}

FIXTURE(exec) {
	struct walk w;
};

FIXTURE_VARIANT(exec) {
	bool merges;		/* PR_SET_MEMORY_MERGE, which execve() has to enter into KSM's list anew */
};

FIXTURE_VARIANT_ADD(exec, plain) { };
FIXTURE_VARIANT_ADD(exec, merge_any) { .merges = true };

FIXTURE_SETUP(exec)
{
	NEED(mm_need_fail_nth());
	if (variant->merges) {
		NEED(mm_need_ksm());
		if (prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0))
			SKIP(return, "needs PR_SET_MEMORY_MERGE");
	}
}

FIXTURE_TEARDOWN(exec)
{
}

/* In the child. */
static void execute(struct walk *w, int nth, bool merges)
{
	char *argv[] = { "me", "--executed", merges ? "1" : "0", NULL }, *envp[] = { NULL };
	int fd = open("/proc/thread-self/fail-nth", O_WRONLY | O_CLOEXEC), err;
	char text[16];

	dup2(nowhere, STDERR_FILENO);
	snprintf(text, sizeof(text), "%d", nth);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		_exit(99);
	/* A stack that is not moved: a move that fails takes too much from Committed_AS (tests/FOUND.md), which cannot be mended here. */
	personality(ADDR_NO_RANDOMIZE);
	syscall(__NR_execveat, me, "", argv, envp, AT_EMPTY_PATH);
	err = errno;
	pwrite(fd, "0", 1, 0);
	_exit(mm_check(w->p, w->len, SEED) < 0 ? INTACT + err : 98);
}

/* Whether an allocation was left to fail, of a child that has ended and is not waited for yet. */
static bool was_injected(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fail-nth", pid);
	return mm_read_long(path) == 0;
}

/* execve(): it returns an error to the old program, or the new one runs, or is killed; nothing of either is left */
TEST_F(exec, old_or_new)
{
	int nth = 0, failed = 0, killed = 0, ran = 0, status;
	struct walk *w = &self->w;
	struct mm_objects base;
	bool injected = true;
	siginfo_t info;
	pid_t pid;

	*w = (struct walk) { ._metadata = _metadata, .len = LEN };
	w->p = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, w->p);
	mm_fill(w->p, LEN, SEED);
	me = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	ASSERT_TRUE(me >= 0 && nowhere >= 0);
	ASSERT_EQ(0, mm_fail_setup());
	walk_settle();
	base = mm_objects();
	while (injected && ++nth < MAX_NTH) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			execute(w, nth, variant->merges);
		ASSERT_EQ(0, waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
		injected = was_injected(pid);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		if (WIFSIGNALED(status)) {
			killed++;
			EXPECT_TRUE(WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGSEGV) TH_LOG("%#x", status);
		} else if (WEXITSTATUS(status) == LOADER || !WEXITSTATUS(status)) {
			ran++;
		} else {
			failed++;
			/* Without memory for a page of arguments, and for the headers of the program. */
			if (WEXITSTATUS(status) != INTACT + E2BIG && WEXITSTATUS(status) != INTACT + ENOEXEC)
				EXPECT_EQ(INTACT + ENOMEM, WEXITSTATUS(status)) TH_LOG("allocation %d", nth);
		}
	}
	EXPECT_FALSE(injected);
	EXPECT_EQ(0, status);
	EXPECT_LE(10, failed);
	walk_settle();
	EXPECT_OBJECTS(base, 0, 0, 0);
	mm_report("failed", failed);
	mm_report("killed", killed);
	mm_report("ran", ran);
}

TEST_HARNESS_MAIN
