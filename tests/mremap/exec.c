// SPDX-License-Identifier: GPL-2.0
/* The move of the new program's stack at exec: megabytes of arguments arrive, the old place is empty. */
#include "kselftest_harness.h"
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include "mremap.h"

#define MARK	"mremap-exec"		/* argv[0] of the program that looks */
#define ARG_LEN	(100 * KB)

/* What the new program tells through its standard output. */
struct seen {
	int argc;
	int wrong;			/* arguments and environment strings that are not what was passed */
	bool aux;			/* the auxiliary vector is right, too */
	bool grows;			/* the stack grows downwards as far as it may */
	unsigned long start, end;	/* of the stack's VMA at the start of the program */
	unsigned long page;		/* an argument's page is a present anonymous page: its PFN */
	int stacks;			/* VMAs named [stack] */
	long left;			/* what can be reached where the stack was made, see argv[1] */
};

/* No byte of an argument may be 0; the last one ends it. */
static void make_arg(char *arg, size_t len, uint64_t seed)
{
	mm_fill(arg, len, seed);
	for (size_t i = 0; i < len; i++)
		arg[i] |= 1;
	arg[len - 1] = '\0';
}

static bool is_arg(const char *arg, size_t len, uint64_t seed)
{
	static char want[ARG_LEN];

	make_arg(want, len, seed);
	return strlen(arg) == len - 1 && !memcmp(arg, want, len);
}

/* Use @depth more megabytes of stack. */
static __attribute__((noinline)) unsigned long dig(unsigned int depth)
{
	volatile char room[MB];

	for (size_t i = 0; i < MB; i += 16 * PAGE)
		room[i] = depth;
	return depth ? dig(depth - 1) + room[depth * 16 * PAGE] : room[0];
}

static int count_stacks(void)
{
	char *maps = mm_maps(0);
	int n = 0;

	for (char *p = maps; p && (p = strstr(p, "[stack]")); p++)
		n++;
	free(maps);
	return n;
}

/* From the end of the stack to where it ended without randomisation nothing is left. */
static long left_above(unsigned long end, unsigned long top)
{
	long n = 0;

	if (top <= end)
		return 0;
	n += mm_vma_count(0, (void *)end, top - end);
	for (unsigned long at = end; at < top; at += 64 * PAGE)
		n += reachable((void *)at, PAGE);
	return n + reachable((void *)(top - PAGE), PAGE);
}

static void look(int argc, char **argv, char **envp, struct seen *s)
{
	struct mm_vma vma;

	s->argc = argc;
	mm_vma(0, argv[argc - 1], &vma);
	s->start = vma.start;
	s->end = vma.end;
	s->stacks = count_stacks();
	for (int i = 2; i < argc; i++)
		s->wrong += !is_arg(argv[i], ARG_LEN, i);
	for (int i = 0; envp[i]; i++)
		s->wrong += !is_arg(envp[i], 1000, 1000 + i);
	s->aux = !strcmp((char *)getauxval(AT_EXECFN), "/proc/self/exe") && getauxval(AT_RANDOM) &&
		 getauxval(AT_PAGESZ) == PAGE;
	s->page = mm_pfn(0, argv[argc - 1]);
	s->left = left_above(vma.end, strtoul(argv[1], NULL, 16));
	s->grows = dig(5) > 0;
}

/* The program itself, when a test runs it anew: before main(), which knows nothing of it. */
__attribute__((constructor)) static void as_new_program(int argc, char **argv, char **envp)
{
	struct seen s = { 0 };

	if (argc < 2 || strcmp(argv[0], MARK))
		return;
	look(argc, argv, envp, &s);
	_exit(write(1, &s, sizeof(s)) == sizeof(s) ? 0 : 1);
}

#define MAX_ARGS	64

struct run {
	char *argv[MAX_ARGS + 3], *envp[MAX_ARGS + 1];
	char top[32];			/* for left_above() */
	unsigned long persona;
	int out;
};

/* Arguments of ARG_LEN bytes, and environment strings of 1000. */
static void prepare(struct run *r, unsigned int args, unsigned int envs)
{
	memset(r, 0, sizeof(*r));
	r->argv[0] = MARK;
	r->argv[1] = r->top;
	for (unsigned int i = 2; i < args + 2; i++) {
		r->argv[i] = malloc(ARG_LEN);
		make_arg(r->argv[i], ARG_LEN, i);
	}
	for (unsigned int i = 0; i < envs; i++) {
		r->envp[i] = malloc(1000);
		make_arg(r->envp[i], 1000, 1000 + i);
	}
}

/* In a child: become the new program. */
static int become(void *arg)
{
	struct rlimit limit = { 64 * MB, 64 * MB };
	struct run *r = arg;

	if (setrlimit(RLIMIT_STACK, &limit) || personality(r->persona) < 0 || dup2(r->out, 1) < 0)
		return 100;
	execve("/proc/self/exe", r->argv, r->envp);
	return errno;
}

/* Run the new program and read what it has seen; 0, its exit status, or -errno. */
static int run(struct run *r, struct seen *s)
{
	int fd[2], ret;
	ssize_t n;

	memset(s, 0, sizeof(*s));
	if (pipe2(fd, O_CLOEXEC))
		return -errno;
	r->out = fd[1];
	ret = mm_in_child(become, r);
	close(fd[1]);
	n = read(fd[0], s, sizeof(*s));
	close(fd[0]);
	return ret ? ret : n == sizeof(*s) ? 0 : -EIO;
}

FIXTURE(exec) {
	struct run run;
};

FIXTURE_VARIANT(exec) {
	unsigned int args, envs;
};

FIXTURE_VARIANT_ADD(exec, small) { .args = 1, .envs = 3 };
/* more than a page table */
FIXTURE_VARIANT_ADD(exec, table) { .args = 24, .envs = 40 };
/* nearly all that is allowed, in several page tables */
FIXTURE_VARIANT_ADD(exec, tables) { .args = 58, .envs = 1 };

FIXTURE_SETUP(exec)
{
	prepare(&self->run, variant->args, variant->envs);
}

FIXTURE_TEARDOWN(exec)
{
}

/* the stack goes to a random place below the one it was made at: all strings arrive, nothing is left above */
TEST_F(exec, arguments)
{
	struct seen fixed, s;

	/* Without randomisation it stays where it was made. */
	self->run.persona = ADDR_NO_RANDOMIZE;
	ASSERT_EQ(0, run(&self->run, &fixed));
	EXPECT_EQ(variant->args + 2, fixed.argc);
	EXPECT_EQ(0, fixed.wrong);
	EXPECT_TRUE(fixed.grows);
	EXPECT_EQ(1, fixed.stacks);

	self->run.persona = 0;
	snprintf(self->run.top, sizeof(self->run.top), "%lx", fixed.end);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, run(&self->run, &s));
		EXPECT_EQ(variant->args + 2, s.argc);
		EXPECT_EQ(0, s.wrong);
		EXPECT_TRUE(s.aux);
		EXPECT_TRUE(s.grows);
		EXPECT_EQ(1, s.stacks);
		EXPECT_NE(0, s.page);
		EXPECT_EQ(0, s.left);
		EXPECT_LE(s.end, fixed.end);
		EXPECT_LE(variant->args * ARG_LEN, s.end - s.start);
	}
}

/* too many arguments are E2BIG, and the process that tried goes on */
TEST(too_many)
{
	struct run r;
	struct seen s;

	prepare(&r, 63, 0);
	EXPECT_EQ(E2BIG, run(&r, &s));
	r.argv[4] = NULL;
	ASSERT_EQ(0, run(&r, &s));
	EXPECT_EQ(4, s.argc);
	EXPECT_EQ(0, s.wrong);
}

TEST_HARNESS_MAIN
