// SPDX-License-Identifier: GPL-2.0
/* Protection and mremap(): it moves with the pages, is enforced at the new place, can be changed there. */
#include "kselftest_harness.h"
#include "mremap.h"

#define SEED	1
#define LATER	2

FIXTURE(region) {
	char *old, *new;
	size_t len;
};

FIXTURE_VARIANT(region) {
	size_t len, old, new;	/* offsets past a multiple of PMD_SIZE */
};

FIXTURE_VARIANT_ADD(region, page) { .len = 32 * PAGE, .old = 3 * PAGE, .new = 7 * PAGE };
FIXTURE_VARIANT_ADD(region, pmd) { .len = 2 * PMD_SIZE };
FIXTURE_VARIANT_ADD(region, mutual) { .len = PMD_SIZE, .old = 496 * PAGE, .new = 496 * PAGE };

/* One page in four is used. */
#define STEP	(4 * PAGE)

static void fill(const FIXTURE_DATA(region) *self, char *p, uint64_t seed)
{
	for (size_t at = 0; at < self->len; at += STEP)
		mm_fill_from(p + at, PAGE, seed, at);
}

static long wrong(const FIXTURE_DATA(region) *self, char *p, uint64_t seed)
{
	long bad = 0;

	for (size_t at = 0; at < self->len; at += STEP)
		bad += mm_check_from(p + at, PAGE, seed, at) != -1 ||
		       kernel_check_from(p + at, PAGE, seed, at) != -1;
	return bad;
}

/* How many of some pages do not answer a write (or a read) with SIGSEGV for lack of permission. */
static long permits(const FIXTURE_DATA(region) *self, char *p, bool write)
{
	long n = 0;

	mm_probe_begin();
	for (size_t at = 0; at < self->len; at += 8 * STEP) {
		int sig = write ? mm_probe_write(p + at, 1) : mm_probe_read(p + at);

		n += sig != SIGSEGV || mm_probe_code() != SEGV_ACCERR;
	}
	mm_probe_end();
	return n;
}

FIXTURE_SETUP(region)
{
	char *room = free_range(8 * PMD_SIZE, PMD_SIZE);

	ASSERT_NE(NULL, room);
	self->len = variant->len;
	self->old = room + variant->old;
	self->new = room + 4 * PMD_SIZE + variant->new;
	ASSERT_EQ(self->old, map_at(self->old, self->len));
	fill(self, self->old, SEED);
}

FIXTURE_TEARDOWN(region)
{
	munmap(self->old, self->len);
	munmap(self->new, self->len);
}

/* a read-only region is readable and not writable at the new place, for user space and for the kernel */
TEST_F(region, read_only)
{
	int pipefd[2];

	ASSERT_EQ(0, mprotect(self->old, self->len, PROT_READ));
	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	EXPECT_EQ(0, permits(self, self->new, true));
	EXPECT_EQ(0, wrong(self, self->new, SEED));
	/* What a system call has to write there, it may not. */
	ASSERT_EQ(0, pipe(pipefd));
	ASSERT_EQ(8, write(pipefd[1], "01234567", 8));
	EXPECT_EQ(-1, read(pipefd[0], self->new, 8));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(8, write(pipefd[1], self->new, 8));
	close(pipefd[0]);
	close(pipefd[1]);
	EXPECT_EQ(0, wrong(self, self->new, SEED));
	ASSERT_EQ(0, mprotect(self->new, self->len, PROT_READ | PROT_WRITE));
	fill(self, self->new, LATER);
	EXPECT_EQ(0, wrong(self, self->new, LATER));
}

/* a region that becomes read-only after it has moved refuses writes, even if it was written to there */
TEST_F(region, made_read_only)
{
	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	ASSERT_EQ(0, mprotect(self->new, self->len, PROT_READ));
	EXPECT_EQ(0, permits(self, self->new, true));
	EXPECT_EQ(0, wrong(self, self->new, SEED));
	ASSERT_EQ(0, mprotect(self->new, self->len, PROT_READ | PROT_WRITE));
	fill(self, self->new, LATER);
	ASSERT_EQ(0, mprotect(self->new, self->len, PROT_READ));
	EXPECT_EQ(0, permits(self, self->new, true));
	EXPECT_EQ(0, wrong(self, self->new, LATER));
}

/* one that loses all access just after it has moved refuses reads, too, and nothing is lost */
TEST_F(region, made_inaccessible)
{
	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	ASSERT_EQ(0, mprotect(self->new, self->len, PROT_NONE));
	EXPECT_EQ(0, permits(self, self->new, true));
	EXPECT_EQ(0, permits(self, self->new, false));
	ASSERT_EQ(self->old, move(self->new, self->len, self->old));
	EXPECT_EQ(0, permits(self, self->old, false));
	EXPECT_EQ(0, reachable(self->new, PAGE));
	ASSERT_EQ(0, mprotect(self->old, self->len, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, wrong(self, self->old, SEED));
}

/* single pages in the middle of a moved table: each has its own protection, its neighbours theirs */
TEST_F(region, single_pages)
{
	size_t a = self->len / 2, b = a + STEP, c = b + STEP;
	char *p = self->new;

	ASSERT_EQ(p, move(self->old, self->len, p));
	ASSERT_EQ(0, mprotect(p + a, PAGE, PROT_READ));
	ASSERT_EQ(0, mprotect(p + b, PAGE, PROT_NONE));
	ASSERT_EQ(0, mprotect(p + c, PAGE, PROT_READ | PROT_EXEC));
	EXPECT_EQ(7, mm_vma_count(0, p, self->len));
	EXPECT_EQ(SIGSEGV, mm_probe_write(p + a, 1));
	EXPECT_EQ(-1, mm_check_from(p + a, PAGE, SEED, a));
	EXPECT_EQ(SIGSEGV, mm_probe_read(p + b));
	EXPECT_EQ(SIGSEGV, mm_probe_write(p + c, 1));
	EXPECT_EQ(-1, mm_check_from(p + c, PAGE, SEED, c));
	for (size_t at = 0; at < self->len; at += STEP)
		if (at < a || at > c)
			mm_fill_from(p + at, PAGE, LATER, at);
	for (size_t at = a; at <= c; at += STEP) {
		ASSERT_EQ(0, mprotect(p + at, PAGE, PROT_READ | PROT_WRITE));
		EXPECT_EQ(-1, mm_check_from(p + at, PAGE, SEED, at));
		mm_fill_from(p + at, PAGE, LATER, at);
	}
	EXPECT_EQ(1, mm_vma_count(0, p, self->len));
	EXPECT_EQ(0, wrong(self, p, LATER));
}

/* int f(void) { return 4711; } */
static const unsigned char code[] = { 0xb8, 0x67, 0x12, 0x00, 0x00, 0xc3 };

static int call(void *arg)
{
	int (*f)(void);

	memcpy(&f, &arg, sizeof(f));
	return f() == 4711 ? 0 : 1;
}

/* code runs at the new place, not at the old one, and not when the new one has lost all access */
TEST_F(region, code)
{
	size_t at = self->len - 2 * STEP;

	memcpy(self->old + at, code, sizeof(code));
	ASSERT_EQ(0, mprotect(self->old, self->len, PROT_READ | PROT_EXEC));
	ASSERT_EQ(0, mm_in_child(call, self->old + at));
	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	EXPECT_EQ(0, mm_in_child(call, self->new + at));
	EXPECT_EQ(-SIGSEGV, mm_in_child(call, self->old + at));
	ASSERT_EQ(0, mprotect(self->new, self->len, PROT_NONE));
	EXPECT_EQ(-SIGSEGV, mm_in_child(call, self->new + at));
}

TEST_HARNESS_MAIN
