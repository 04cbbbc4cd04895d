// SPDX-License-Identifier: GPL-2.0
/* The stack that exec prepares is not migrated before it is in its place, and its strings arrive intact. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/kernel-page-flags.h>
#include <linux/userfaultfd.h>

#include "kselftest_harness.h"
#include "mm.h"

#define ROLE		"check-strings"	/* argv[1] of a program that only looks at its arguments */
#define STRINGS		8
#define LENGTH		(16 * PAGE - 1)	/* of each; the zero byte fills the last page */
#define STACK_PAGES	(STRINGS * 16)
#define PAGES		64		/* of ordinary memory, for comparison */
#define LEN		(PAGES * PAGE)
#define FRAMES_MAX	(1UL << 20)
#define ANON_MAPPED	(1ULL << KPF_ANON | 1ULL << KPF_MMAP)

static char letter(int string, size_t i)
{
	return 'a' + (i * 7 + i / 26 + string * 11) % 26;
}

static char *make_string(int string)
{
	char *s = malloc(LENGTH + 1);

	for (size_t i = 0; i < LENGTH; i++)
		s[i] = letter(string, i);
	s[LENGTH] = '\0';
	return s;
}

static bool string_ok(const char *s, int string)
{
	if (strlen(s) != LENGTH)
		return false;
	for (size_t i = 0; i < LENGTH; i++)
		if (s[i] != letter(string, i))
			return false;
	return true;
}

/* The executed program ends here, before the harness starts: with the number of wrong strings. */
__attribute__((constructor)) static void check_strings(int argc, char **argv)
{
	int wrong = 0;

	if (argc < 2 || strcmp(argv[1], ROLE))
		return;
	if (argc != 3 + STRINGS || strcmp(argv[2], "late"))
		_exit(100);
	for (int i = 0; i < STRINGS; i++)
		wrong += !string_ok(argv[3 + i], i);
	_exit(wrong);
}

/* One bit a frame: whether it is mapped anonymous memory. */
struct frames {
	size_t n;
	uint8_t anon[FRAMES_MAX];
};

static int look(struct frames *f)
{
	static uint64_t flags[4096];
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	ssize_t got;

	f->n = 0;
	if (fd < 0)
		return -1;
	while ((got = read(fd, flags, sizeof(flags))) > 0)
		for (size_t i = 0; i < got / sizeof(flags[0]) && f->n < FRAMES_MAX; i++)
			f->anon[f->n++] = (flags[i] & ANON_MAPPED) == ANON_MAPPED;
	close(fd);
	return got;
}

static long count_new(const struct frames *was, const struct frames *is)
{
	long n = 0;

	for (size_t i = 0; i < is->n; i++)
		n += is->anon[i] && !was->anon[i];
	return n;
}

/* Of the frames that came between the first look and the second, those that are there at the third. */
static long count_stayed(const struct frames *was, const struct frames *is, const struct frames *then)
{
	long n = 0;

	for (size_t i = 0; i < is->n; i++)
		n += is->anon[i] && !was->anon[i] && then->anon[i];
	return n;
}

FIXTURE(blocked)
{
	int uffd;
	char *late;			/* a page that is not there until the test gives it */
	char *region;			/* ordinary memory */
	char *argv[3 + STRINGS + 1];
	char *child_stack;
	pid_t pid;
	struct mm_stage *stage;
	struct frames *frames;
};

static int open_uffd(char *page)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (uintptr_t)page, PAGE }, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = mm_userfaultfd(O_CLOEXEC);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg))
		return -1;
	return fd;
}

FIXTURE_SETUP(blocked)
{
	NEED(mm_need_compaction());
	self->late = mm_map_aligned(PAGE, PAGE);
	self->child_stack = mm_map_aligned(16 * PAGE, PAGE);
	self->frames = mmap(NULL, 3 * sizeof(*self->frames), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(NULL, self->late);
	ASSERT_NE(NULL, self->child_stack);
	ASSERT_NE(MAP_FAILED, self->frames);
	mm_touch_write(self->child_stack, 16 * PAGE);
	self->uffd = open_uffd(self->late);
	ASSERT_LE(0, self->uffd);
	self->argv[0] = "rmap.exec";
	self->argv[1] = ROLE;
	self->argv[2] = self->late;
	for (int i = 0; i < STRINGS; i++)
		self->argv[3 + i] = make_string(i);
	ASSERT_EQ(0, look(&self->frames[0]));
	self->stage = mm_stage(LEN + STACK_PAGES * PAGE);
	ASSERT_NE(NULL, self->stage);
	self->region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, self->region);
	mm_fill(self->region, LEN, 1);
}

FIXTURE_TEARDOWN(blocked)
{
	if (self->pid > 0) {
		kill(self->pid, SIGKILL);
		waitpid(self->pid, NULL, 0);
	}
	mm_stage_end(self->stage);
}

static int exec_self(void *arg)
{
	execve("/proc/self/exe", arg, (char *[]) { NULL });
	_exit(99);
}

/*
 * exec copies the strings from the last to the first and sleeps at the one that is not there, with most of
 * its stack in a VMA that is not where it will be.
 */
static int start_exec(FIXTURE_DATA(blocked) *self)
{
	struct uffd_msg msg;

	self->pid = clone(exec_self, self->child_stack + 16 * PAGE, CLONE_VM | SIGCHLD, self->argv);
	if (self->pid < 0 || read(self->uffd, &msg, sizeof(msg)) != sizeof(msg))
		return -1;
	if (msg.event != UFFD_EVENT_PAGEFAULT || msg.arg.pagefault.address != (uintptr_t)self->late)
		return -1;
	return 0;
}

/* Give exec its string; the program's exit status. */
static int finish_exec(FIXTURE_DATA(blocked) *self)
{
	static char page[4096] __attribute__((aligned(4096))) = "late";
	struct uffdio_copy copy = { .dst = (uintptr_t)self->late, .src = (uintptr_t)page, .len = PAGE };
	int status;

	if (ioctl(self->uffd, UFFDIO_COPY, &copy) || waitpid(self->pid, &status, 0) != self->pid)
		return -1;
	self->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* compaction in the middle of exec moves ordinary pages and none of the new stack, whose strings are right */
TEST_F(blocked, stack_stays)
{
	struct frames *f = self->frames;
	uint64_t was[PAGES], is[PAGES];
	struct mm_snap *before;

	ASSERT_EQ(0, look(&f[0]));
	ASSERT_EQ(0, start_exec(self));
	ASSERT_EQ(0, look(&f[1]));
	/* Not many more: what this process copied meanwhile. */
	EXPECT_LE(STACK_PAGES, count_new(&f[0], &f[1]));
	EXPECT_GE(STACK_PAGES + 16, count_new(&f[0], &f[1]));
	before = mm_snap();
	EXPECT_EQ(PAGES, mm_stage_move_pages(self->stage, self->region, PAGES, was, is));
	EXPECT_LE(STACK_PAGES, mm_delta(before, "pgmigrate_fail"));
	ASSERT_EQ(0, look(&f[2]));
	EXPECT_LE(STACK_PAGES, count_stayed(&f[0], &f[1], &f[2]));
	EXPECT_EQ(-1, mm_check(self->region, LEN, 1));
	EXPECT_EQ(0, finish_exec(self));
	mm_snap_free(before);
}

/* programs that are started while memory is compacted without pause get their strings intact */
TEST(under_compaction)
{
	struct mm_snap *before = mm_snap();
	void *holes = mm_fragment(8 * MB);
	char *argv[3 + STRINGS + 1] = { "rmap.exec", ROLE, "late" };
	int status;

	NEED(mm_need_compaction());
	ASSERT_NE(NULL, holes);
	for (int i = 0; i < STRINGS; i++)
		argv[3 + i] = make_string(i);
	for (int i = 0; i < 4; i++) {
		pid_t pid = fork();

		if (!pid)
			exec_self(argv);
		while (!waitpid(pid, &status, WNOHANG))
			ASSERT_EQ(0, mm_compact());
		EXPECT_EQ(0, status);
	}
	EXPECT_LT(0, mm_delta(before, "pgmigrate_success"));
	mm_unfragment(holes);
	mm_snap_free(before);
}

TEST_HARNESS_MAIN
