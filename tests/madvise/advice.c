// SPDX-License-Identifier: GPL-2.0
/*
 * Each advice of madvise(2): of which memory it is taken, what it does around a hole ("ENOMEM: Addresses in the specified range
 * are not currently mapped"; the rest is advised all the same), and where it stops.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	6
#define LEN	(PAGES * PAGE)
#define PART	(2 * PAGE)		/* a third */
#define SEED	1
#define RW	(PROT_READ | PROT_WRITE)

enum kind { ANON, ANON_READ, ANON_NONE, SHMEM, SHMEM_READ, EXT4, EXT4_READ, EXT4_PRIVATE, LOCKED, KINDS };

static const struct {
	const char *name;
	int flags, prot;
	bool file, locked;
} kinds[KINDS] = {
	[ANON] = { "anon", MAP_PRIVATE, RW },
	[ANON_READ] = { "anon, read-only", MAP_PRIVATE, PROT_READ },
	[ANON_NONE] = { "anon, no rights", MAP_PRIVATE, PROT_NONE },
	[SHMEM] = { "shmem", MAP_SHARED, RW },
	[SHMEM_READ] = { "shmem, read-only", MAP_SHARED, PROT_READ },
	[EXT4] = { "ext4", MAP_SHARED, RW, true },
	[EXT4_READ] = { "ext4, read-only", MAP_SHARED, PROT_READ, true },
	[EXT4_PRIVATE] = { "ext4, private", MAP_PRIVATE, RW, true },
	[LOCKED] = { "locked", MAP_PRIVATE, RW, false, true },
};

FIXTURE(advice) {
	int fd;
};

FIXTURE_VARIANT(advice) {
	int nr;
	int err[KINDS];		/* 0: it is taken */
	enum kind kind;		/* on which its effect is seen: */
	const char *flag;	/* of VmFlags, */
	int gone;		/* or the pages of a third that are not there any more, */
	int there;		/* or are there now, */
	bool guard;		/* or cannot be touched */
	bool keeps;		/* the bytes, of memory of each kind */
	bool stops;		/* at a hole */
};

#define V(name, ...) FIXTURE_VARIANT_ADD(advice, name) { .nr = MADV_##name, __VA_ARGS__ }
V(NORMAL, .keeps = true);
V(RANDOM, .flag = "rr", .keeps = true);
V(SEQUENTIAL, .flag = "sr", .keeps = true);
V(WILLNEED, .keeps = true);
V(DONTNEED, .gone = 2, .err = { [LOCKED] = EINVAL });
V(DONTNEED_LOCKED, .kind = LOCKED, .gone = 2);
V(FREE, .err = { [SHMEM] = EINVAL, [SHMEM_READ] = EINVAL, [EXT4] = EINVAL, [EXT4_READ] = EINVAL, [EXT4_PRIVATE] = EINVAL,
		 [LOCKED] = EINVAL });
V(COLD, .keeps = true, .err = { [LOCKED] = EINVAL });
V(PAGEOUT, .keeps = true, .err = { [LOCKED] = EINVAL });
V(POPULATE_READ, .there = 2, .keeps = true, .stops = true, .err = { [ANON_NONE] = EINVAL });
V(POPULATE_WRITE, .there = 2, .keeps = true, .stops = true,
  .err = { [ANON_READ] = EINVAL, [ANON_NONE] = EINVAL, [SHMEM_READ] = EINVAL, [EXT4_READ] = EINVAL });
V(REMOVE, .kind = SHMEM, .gone = 2,
  .err = { [ANON] = EINVAL, [ANON_READ] = EINVAL, [ANON_NONE] = EINVAL, [LOCKED] = EINVAL, [EXT4_PRIVATE] = EACCES });
V(DONTFORK, .flag = "dc", .keeps = true);
V(DOFORK, .keeps = true);
V(WIPEONFORK, .flag = "wf", .keeps = true,
  .err = { [SHMEM] = EINVAL, [SHMEM_READ] = EINVAL, [EXT4] = EINVAL, [EXT4_READ] = EINVAL, [EXT4_PRIVATE] = EINVAL });
V(KEEPONFORK, .keeps = true);
V(DONTDUMP, .flag = "dd", .keeps = true);
V(DODUMP, .keeps = true);
V(MERGEABLE, .flag = "mg", .keeps = true);
V(UNMERGEABLE, .keeps = true);
V(GUARD_INSTALL, .guard = true, .err = { [LOCKED] = EINVAL });
V(GUARD_REMOVE, .keeps = true);

static bool is_guard(int nr)
{
	return nr == MADV_GUARD_INSTALL || nr == MADV_GUARD_REMOVE;
}

FIXTURE_SETUP(advice)
{
	NEED(is_guard(variant->nr) ? mm_need_guard(MAP_PRIVATE) : NULL);
	NEED(variant->nr == MADV_MERGEABLE || variant->nr == MADV_UNMERGEABLE ? mm_need_ksm() : NULL);
	self->fd = mm_tmpfile("/mnt", LEN);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(advice)
{
	close(self->fd);
}

/* LEN bytes of the kind, filled or untouched. */
static char *map(const FIXTURE_DATA(advice) *self, enum kind k, bool fill)
{
	int fd = kinds[k].file ? self->fd : -1;
	char *p = mm_map(LEN, PAGE, kinds[k].flags, fd);

	if (!p)
		return NULL;
	if (fill)
		mm_fill(p, LEN, SEED);
	if (kinds[k].locked && mlock(p, LEN))
		return NULL;
	if (kinds[k].prot != RW && mprotect(p, LEN, kinds[k].prot))
		return NULL;
	return p;
}

/* 0 or errno */
static int advise(char *p, size_t len, int nr)
{
	return madvise(p, len, nr) ? errno : 0;
}

/* memory of each kind: taken, or the errno of the manual, and then no byte has changed and no mapping */
TEST_F(advice, kinds)
{
	for (int k = 0; k < KINDS; k++) {
		int want = variant->err[k];
		char *p;

		if (is_guard(variant->nr) && (kinds[k].file || kinds[k].flags == MAP_SHARED) && mm_need_guard(MAP_SHARED))
			continue;
		p = map(self, k, true);
		ASSERT_NE(NULL, p) TH_LOG("%s", kinds[k].name);
		EXPECT_EQ(want, advise(p, LEN, variant->nr)) TH_LOG("%s", kinds[k].name);
		EXPECT_EQ(want, advise(p + PAGE, PART, variant->nr)) TH_LOG("%s", kinds[k].name);
		if (want)
			EXPECT_EQ(1, mm_vma_count(0, p, LEN));
		if ((want || variant->keeps) && kinds[k].prot & PROT_READ)
			EXPECT_EQ(-1, mm_check(p, LEN, SEED)) TH_LOG("%s", kinds[k].name);
		EXPECT_EQ(kinds[k].locked ? LEN / KB : 0, mm_status(0, "VmLck"));
		ASSERT_EQ(0, munmap(p, LEN));
	}
}

/* Whether the third at @p has been advised; -1 if one of its pages has and one has not. */
static int advised(const FIXTURE_VARIANT(advice) *v, char *p)
{
	int n = 0;

	for (int i = 0; i < 2; i++, p += PAGE) {
		if (v->flag)
			n += mm_vmflag(0, p, v->flag);
		else if (v->guard)
			n += mm_probe_read(p) == SIGSEGV;
		else if (v->gone)
			n += !mm_count_present(0, p, PAGE);
		else
			n += mm_count_present(0, p, PAGE);
	}
	return n == 1 ? -1 : n == 2;
}

static bool has_effect(const FIXTURE_VARIANT(advice) *v)
{
	return v->flag || v->guard || v->gone || v->there;
}

/* a third, whichever: that much is advised and no more */
TEST_F(advice, part)
{
	for (int i = 0; i < 3; i++) {
		char *p = map(self, variant->kind, !variant->there);

		ASSERT_NE(NULL, p);
		/* Bytes of a page are the page. */
		EXPECT_EQ(0, advise(p + i * PART, PART - PAGE + 1, variant->nr));
		for (int j = 0; j < 3 && has_effect(variant); j++) {
			EXPECT_EQ(i == j, advised(variant, p + j * PART)) TH_LOG("advised part %d, seen part %d", i, j);
		}
		ASSERT_EQ(0, munmap(p, LEN));
	}
}

/* a hole, wherever: ENOMEM, and what is mapped is advised, behind it too; populating ends there */
TEST_F(advice, hole)
{
	for (int hole = 0; hole < 3; hole++) {
		char *p = map(self, variant->kind, !variant->there);

		ASSERT_NE(NULL, p);
		ASSERT_EQ(0, munmap(p + hole * PART, PART));
		EXPECT_EQ(ENOMEM, advise(p, LEN, variant->nr)) TH_LOG("hole %d", hole);
		EXPECT_EQ(-ENOENT, mm_vma(0, p + hole * PART, &(struct mm_vma){ 0 }));
		for (int i = 0; i < 3 && has_effect(variant); i++) {
			bool want = i < hole || !variant->stops;

			if (i != hole)
				EXPECT_EQ(want, advised(variant, p + i * PART)) TH_LOG("hole %d, part %d", hole, i);
		}
		munmap(p, LEN);
	}
}

/* a mapping of another kind, wherever: if it refuses that is the error, and what is behind it is not advised; else all is */
TEST_F(advice, among_others)
{
	enum kind other = LOCKED;

	for (int k = 0; k < KINDS; k++) {
		if (variant->err[k])
			other = k;
	}
	for (int at = 0; at < 3; at++) {
		char *p = map(self, variant->kind, !variant->there), *q = map(self, other, true);
		int want = variant->err[other];

		ASSERT_NE(NULL, p);
		ASSERT_NE(NULL, q);
		ASSERT_EQ(p + at * PART, mremap(q, PART, PART, MREMAP_MAYMOVE | MREMAP_FIXED, p + at * PART));
		EXPECT_EQ(want, advise(p, LEN, variant->nr)) TH_LOG("part %d is %s", at, kinds[other].name);
		for (int i = 0; i < 3 && has_effect(variant); i++) {
			if (i != at)
				EXPECT_EQ(i < at || !want, advised(variant, p + i * PART)) TH_LOG("part %d of %d", i, at);
		}
		/* With a hole ahead a refusal is the error still, but of what stops there. */
		if (at) {
			ASSERT_EQ(0, munmap(p, PAGE));
			EXPECT_EQ(variant->stops ? ENOMEM : want ?: ENOMEM, advise(p, LEN, variant->nr)) TH_LOG("part %d", at);
		}
		munmap(p, LEN);
		munmap(q, LEN);
	}
}

/* no length is no advice, wherever; an address within a page and a length that wraps are EINVAL; nothing mapped is ENOMEM */
TEST_F(advice, ranges)
{
	char *p = map(self, variant->kind, true);

	ASSERT_NE(NULL, p);
	EXPECT_EQ(0, advise(p, 0, variant->nr));
	EXPECT_EQ(0, advise(NULL, 0, variant->nr));
	EXPECT_EQ(EINVAL, advise(p + 1, PAGE, variant->nr));
	EXPECT_EQ(EINVAL, advise(p + 1, 0, variant->nr));
	EXPECT_EQ(EINVAL, advise(p, -1UL, variant->nr));
	EXPECT_EQ(EINVAL, advise(p, -PAGE, variant->nr));
	EXPECT_EQ(EINVAL, advise(p, -(uintptr_t)p - 1 + PAGE, variant->nr));
	EXPECT_EQ(-1, mm_check(p, LEN, SEED));
	EXPECT_EQ(1, mm_vma_count(0, p, LEN));
	ASSERT_EQ(0, munmap(p, LEN));
	EXPECT_EQ(ENOMEM, advise(p, LEN, variant->nr));
	EXPECT_EQ(ENOMEM, advise(p, 1, variant->nr));
}

/* what is no advice is EINVAL, of any range: nothing has changed */
TEST(unknown)
{
	static const int numbers[] = { -1, 5, 6, 7, 26, 99, 104, 1 << 16, INT32_MIN };
	char *p = mm_map_aligned(LEN, PAGE);

	ASSERT_NE(NULL, p);
	mm_fill(p, LEN, SEED);
	for (int i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		EXPECT_EQ(EINVAL, advise(p, LEN, numbers[i])) TH_LOG("%d", numbers[i]);
		EXPECT_EQ(EINVAL, advise(p, 0, numbers[i])) TH_LOG("%d", numbers[i]);
		EXPECT_EQ(EINVAL, advise(NULL, LEN, numbers[i])) TH_LOG("%d", numbers[i]);
	}
	EXPECT_EQ(-1, mm_check(p, LEN, SEED));
	munmap(p, LEN);
}

TEST_HARNESS_MAIN
