// SPDX-License-Identifier: GPL-2.0
/*
 * Calls that change what a range of mappings may, or shall, be: over mappings that become one on the way, over holes, and over one
 * that refuses (mprotect(2), mlock(2), mseal(2), madvise(2)).
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "mm.h"

#define PIECES	5
#define PIECE	(2 * PAGE)
#define LEN	(PIECES * PIECE)
#define SEED	1
#define NAME	"mm-ranges"
#define RW	(PROT_READ | PROT_WRITE)

/* What a call does that finds a hole: all ahead of it and nothing behind it, all around it, or nothing. */
enum hole { STOPS, PASSES, REFUSES };

FIXTURE(ranges) {
	char *p;
};

FIXTURE_VARIANT(ranges) {
	int (*set)(char *p, size_t len);
	int (*unset)(char *p, size_t len);
	const char *flag;		/* of VmFlags, or the rights, or the name */
	enum hole hole;
};

static int protect(char *p, size_t len)
{
	return mprotect(p, len, PROT_READ);
}

static int unprotect(char *p, size_t len)
{
	return mprotect(p, len, RW);
}

static int lock(char *p, size_t len)
{
	return mlock(p, len);
}

static int lock_on_fault(char *p, size_t len)
{
	return mlock2(p, len, MLOCK_ONFAULT);
}

static int unlock(char *p, size_t len)
{
	return munlock(p, len);
}

static int seal(char *p, size_t len)
{
	return mm_mseal(p, len);
}

#define ADVICE(name, advice) static int name(char *p, size_t len) { return madvise(p, len, advice); }
ADVICE(dont_fork, MADV_DONTFORK)
ADVICE(do_fork, MADV_DOFORK)
ADVICE(dont_dump, MADV_DONTDUMP)
ADVICE(do_dump, MADV_DODUMP)
ADVICE(wipe, MADV_WIPEONFORK)
ADVICE(keep, MADV_KEEPONFORK)
ADVICE(by_random, MADV_RANDOM)
ADVICE(normal, MADV_NORMAL)
ADVICE(mergeable, MADV_MERGEABLE)
ADVICE(unmergeable, MADV_UNMERGEABLE)

static int name(char *p, size_t len)
{
	return prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, len, NAME);
}

static int unname(char *p, size_t len)
{
	return prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, len, NULL);
}

#define V(call, back, what, at_hole) FIXTURE_VARIANT_ADD(ranges, call) { .set = call, .unset = back, .flag = what, .hole = at_hole }
V(protect, unprotect, "r--p", STOPS);
V(lock, unlock, "lo", STOPS);
V(lock_on_fault, unlock, "lf", STOPS);
V(seal, NULL, "sl", REFUSES);
V(dont_fork, do_fork, "dc", PASSES);
V(dont_dump, do_dump, "dd", PASSES);
V(wipe, keep, "wf", PASSES);
V(by_random, normal, "rr", PASSES);
V(mergeable, unmergeable, "mg", PASSES);
V(name, unname, "[anon:" NAME "]", PASSES);

static bool is_set(const char *p, const char *flag)
{
	struct mm_vma vma;

	if (strlen(flag) == 2)
		return mm_vmflag(0, p, flag);
	return !mm_vma(0, p, &vma) && !strcmp(*flag == '[' ? vma.path : vma.prot, flag);
}

/* How many pages of [from, to) are set, or are not, but should be. */
static int wrong(const char *p, size_t from, size_t to, const char *flag, bool set)
{
	int n = 0;

	for (size_t at = from; at < to; at += PAGE)
		n += is_set(p + at, flag) != set;
	return n;
}

/* Five mappings, which a page that cannot be touched keeps away from all others. */
static char *pieces(void)
{
	char *p = mm_map_aligned(LEN, PAGE);

	if (p)
		mm_fill(p, LEN, SEED);
	return p;
}

FIXTURE_SETUP(ranges)
{
	NEED(variant->set == seal && mm_mseal(NULL, 0) ? "mseal()" : NULL);
	NEED(variant->set == mergeable ? mm_need_ksm() : NULL);
	self->p = pieces();
	ASSERT_NE(NULL, self->p);
	if (variant->set == name && name(self->p, PAGE))
		SKIP(return, "needs ANON_VMA_NAME");
	ASSERT_TRUE(variant->set != name || !unname(self->p, PAGE));
	if (variant->set == seal)
		return;
	/* What VmFlags does not say cannot be asserted. */
	ASSERT_EQ(0, variant->set(self->p, LEN));
	ASSERT_EQ(0, wrong(self->p, 0, LEN, variant->flag, true));
	ASSERT_EQ(0, variant->unset(self->p, LEN));
	ASSERT_EQ(0, wrong(self->p, 0, LEN, variant->flag, false));
	ASSERT_EQ(1, mm_vma_count(0, self->p, LEN));
}

FIXTURE_TEARDOWN(ranges)
{
	munmap(self->p, LEN);
}

/* every second piece has it already, whichever begins, and the range begins and ends within pieces or not: all has it in the end */
TEST_F(ranges, on_the_way)
{
	for (int odd = 0; odd < 2; odd++) {
		for (int inside = 0; inside < 4; inside++) {
			size_t from = inside & 1 ? PAGE : 0, to = LEN - (inside & 2 ? PAGE : 0);
			char *p = pieces();
			int vmas = 1;

			ASSERT_NE(NULL, p);
			for (int i = odd; i < PIECES; i += 2)
				ASSERT_EQ(0, variant->set(p + i * PIECE, PIECE));
			/* What is outside keeps what it has. */
			vmas += (inside & 1 && odd) + (inside & 2 && odd);
			EXPECT_EQ(0, variant->set(p + from, to - from)) TH_LOG("from %zu to %zu, %d", from, to, odd);
			EXPECT_EQ(0, wrong(p, from, to, variant->flag, true)) TH_LOG("from %zu to %zu, %d", from, to, odd);
			EXPECT_EQ(0, wrong(p, 0, from, variant->flag, !odd));
			EXPECT_EQ(0, wrong(p, to, LEN, variant->flag, !odd));
			EXPECT_EQ(vmas, mm_vma_count(0, p, LEN));
			EXPECT_EQ(-1, mm_check(p, LEN, SEED));
			if (variant->unset)
				munmap(p, LEN);
		}
	}
}

/* the same when it is taken away */
TEST_F(ranges, off_the_way)
{
	if (!variant->unset) {
		/* There is no way back for a seal. */
		ASSERT_EQ(0, variant->set(self->p + PIECE, PIECE));
		EXPECT_EQ(-1, munmap(self->p, LEN));
		EXPECT_EQ(-1, mprotect(self->p, LEN, PROT_NONE));
		EXPECT_EQ(0, wrong(self->p, PIECE, 2 * PIECE, variant->flag, true));
		return;
	}
	for (int odd = 0; odd < 2; odd++) {
		for (int i = odd; i < PIECES; i += 2)
			ASSERT_EQ(0, variant->set(self->p + i * PIECE, PIECE));
		EXPECT_EQ(0, variant->unset(self->p + PAGE, LEN - 2 * PAGE));
		EXPECT_EQ(0, wrong(self->p, PAGE, LEN - PAGE, variant->flag, false));
		EXPECT_EQ(0, wrong(self->p, 0, PAGE, variant->flag, !odd));
		EXPECT_EQ(0, wrong(self->p, LEN - PAGE, LEN, variant->flag, !odd));
		EXPECT_EQ(0, variant->unset(self->p, LEN));
		EXPECT_EQ(1, mm_vma_count(0, self->p, LEN));
	}
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
}

/* a hole, wherever it is, is ENOMEM; what lies ahead of it has changed, and what lies behind it if the call says so */
TEST_F(ranges, hole)
{
	for (int hole = 0; hole < PIECES; hole++) {
		char *p = pieces();
		size_t at = hole * PIECE, behind = at + PIECE;
		bool ahead_set = variant->hole != REFUSES, behind_set = variant->hole == PASSES;
		int bad = 0;		/* pieces that have not what they should */

		ASSERT_NE(NULL, p);
		/* So that the first merges with the second, before the hole comes. */
		if (hole != 1)
			ASSERT_EQ(0, variant->set(p + PIECE, PIECE));
		ASSERT_EQ(0, munmap(p + at, PIECE));
		errno = 0;
		EXPECT_EQ(-1, variant->set(p, LEN)) TH_LOG("piece %d", hole);
		EXPECT_EQ(ENOMEM, errno) TH_LOG("piece %d", hole);
		for (int i = 0; i < PIECES; i++) {
			bool has = i == 1 || (i < hole ? ahead_set : behind_set);

			if (i != hole && wrong(p, i * PIECE, (i + 1) * PIECE, variant->flag, has))
				bad |= 1 << i;
		}
		EXPECT_EQ(0, bad) TH_LOG("hole %d", hole);
		EXPECT_EQ(-ENOENT, mm_vma(0, p + at, &(struct mm_vma){ 0 }));
		if (hole)
			EXPECT_EQ(-1, mm_check(p, at, SEED));
		if (hole < PIECES - 1)
			EXPECT_EQ(-1, mm_check_from(p + behind, LEN - behind, SEED, behind));
		if (variant->unset)
			munmap(p, LEN);
	}
}

/* a length of 0 changes nothing, one that wraps is an error */
TEST_F(ranges, lengths)
{
	char *maps = mm_maps(0);

	EXPECT_EQ(0, variant->set(self->p, 0));
	EXPECT_STREQ(maps, mm_maps(0));
	for (int i = 0; i < 3; i++) {
		static const size_t lens[] = { -PAGE, -2 * PAGE, 1 };
		size_t len = lens[i] == 1 ? -(uintptr_t)self->p : lens[i];

		errno = 0;
		EXPECT_EQ(-1, variant->set(self->p, len)) TH_LOG("length %zx", len);
		EXPECT_TRUE(errno == EINVAL || errno == ENOMEM) TH_LOG("length %zx: %d", len, errno);
	}
	free(maps);
}

/* a mapping that may not have the right is EACCES, wherever it is: those ahead of it have changed, it and the rest have not */
TEST(refused)
{
	int fd = mm_memfd(LEN), ro;
	char path[64];

	ASSERT_LE(0, fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, ro);
	for (int bad = 0; bad < PIECES; bad++) {
		char *p = pieces();
		int wrong_rights = 0;

		ASSERT_NE(NULL, p);
		ASSERT_EQ(0, mprotect(p, LEN, PROT_READ));
		ASSERT_EQ(p + bad * PIECE, mmap(p + bad * PIECE, PIECE, PROT_READ, MAP_SHARED | MAP_FIXED, ro, 0));
		errno = 0;
		EXPECT_EQ(-1, mprotect(p, LEN, RW)) TH_LOG("piece %d", bad);
		EXPECT_EQ(EACCES, errno) TH_LOG("piece %d", bad);
		for (int i = 0; i < PIECES; i++)
			wrong_rights += (i < bad ? 0 : SIGSEGV) != mm_probe_write(p + i * PIECE, 1);
		EXPECT_EQ(0, wrong_rights) TH_LOG("piece %d", bad);
		/* With a hole behind it, too, and ENOMEM if the hole comes first. */
		if (bad < PIECES - 2) {
			ASSERT_EQ(0, munmap(p + (bad + 1) * PIECE, PIECE));
			EXPECT_EQ(-1, mprotect(p, LEN, RW));
			EXPECT_EQ(EACCES, errno);
			EXPECT_EQ(-1, mprotect(p + (bad + 1) * PIECE, PIECE, RW));
			EXPECT_EQ(ENOMEM, errno);
		}
		if (bad > 0) {
			ASSERT_EQ(0, munmap(p, PIECE));
			EXPECT_EQ(-1, mprotect(p, LEN, RW));
			EXPECT_EQ(ENOMEM, errno);
		}
		munmap(p, LEN);
	}
}

TEST_HARNESS_MAIN
