// SPDX-License-Identifier: GPL-2.0
/*
 * Documentation/userspace-api/mseal.rst: munmap(), mremap(), mmap(MAP_FIXED) and mprotect() of a sealed mapping are EPERM, wherever
 * in the range it is, and it is as it was; what leaves address, size and rights alone still works.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	9
#define LEN	(PAGES * PAGE)
#define THIRD	(3 * PAGE)
#define SEED	1
#define RW	(PROT_READ | PROT_WRITE)

#define EXPECT_ERROR(err, call) do { errno = 0; EXPECT_EQ(-1, call); EXPECT_EQ((err), errno); } while (0)

static const char *need_mseal(void)
{
	return mm_mseal(NULL, 0) ? "mseal()" : NULL;
}

/* Three thirds, of which one is sealed, and as much room on both sides. */
FIXTURE(sealed) {
	char *p, *to;
};

FIXTURE_VARIANT(sealed) {
	/* A call of [p, p + len); 0 or errno. */
	int (*call)(FIXTURE_DATA(sealed) *self, char *p, size_t len);
	int flags;
	bool whole;		/* a range of several mappings is refused before anything of it has changed */
	bool single;		/* it is of a range within one mapping */
};

static int err(long ret)
{
	return ret ? errno : 0;
}

static int moved(char *got, char *want)
{
	return got == MAP_FAILED ? errno : got == want ? 0 : -1;
}

#define CALL(name) static int name(FIXTURE_DATA(sealed) *self, char *p, size_t len)

CALL(unmap)
{
	return err(munmap(p, len));
}

CALL(unmap_more)
{
	return err(munmap(p - PAGE, len + 2 * PAGE));
}

CALL(protect_none)
{
	return err(mprotect(p, len, PROT_NONE));
}

CALL(protect_read)
{
	return err(mprotect(p, len, PROT_READ));
}

CALL(protect_exec)
{
	return err(mprotect(p, len, RW | PROT_EXEC));
}

CALL(map_over)
{
	return moved(mmap(p, len, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), p);
}

CALL(map_over_none)
{
	return moved(mmap(p, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0), p);
}

CALL(shrink)
{
	return moved(mremap(p, len, PAGE, 0), p);
}

CALL(grow)
{
	return moved(mremap(p, len, len + PAGE, 0), p);
}

CALL(grow_and_move)
{
	return moved(mremap(p, len, len + PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, self->to), self->to);
}

CALL(move)
{
	return moved(mremap(p, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, self->to), self->to);
}

CALL(move_and_shrink)
{
	return moved(mremap(p, len, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, self->to), self->to);
}

CALL(move_dontunmap)
{
	return moved(mremap(p, len, len, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, self->to), self->to);
}

CALL(move_onto)
{
	char *q = mmap(self->to, len, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	int ret;

	mm_fill(q, len, SEED);
	ret = moved(mremap(q, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, p), p);
	/* What would have come stays where it was. */
	if (ret && mm_check(q, len, SEED) != -1)
		ret = -2;
	munmap(q, len);
	return ret;
}

CALL(duplicate)
{
	return moved(mremap(p, 0, len, MREMAP_MAYMOVE | MREMAP_FIXED, self->to), self->to);
}

CALL(remap_pages)
{
	return err(remap_file_pages(p, PAGE, 0, 1, 0));
}

#define V(name, ...) FIXTURE_VARIANT_ADD(sealed, name) { .call = name, __VA_ARGS__ }
V(unmap, .whole = true);
V(unmap_more, .whole = true);
V(protect_none);
V(protect_read);
V(protect_exec);
V(map_over, .whole = true);
V(map_over_none, .whole = true);
V(shrink, .single = true);
V(grow, .single = true);
V(grow_and_move, .single = true);
V(move, .single = true);
V(move_and_shrink, .single = true);
V(move_dontunmap, .single = true);
V(move_onto, .whole = true);
V(duplicate, .flags = MAP_SHARED, .single = true);
V(remap_pages, .flags = MAP_SHARED, .single = true);

FIXTURE_SETUP(sealed)
{
	NEED(need_mseal());
	self->to = mm_reserve(2 * LEN, PAGE);
	ASSERT_NE(NULL, self->to);
	ASSERT_EQ(0, munmap(self->to, 2 * LEN));
}

FIXTURE_TEARDOWN(sealed)
{
}

/* All thirds, the one that is @third sealed. */
static char *map(const FIXTURE_VARIANT(sealed) *v, int third)
{
	char *p = mm_reserve(3 * LEN, PAGE);

	if (!p || munmap(p, 3 * LEN))
		return NULL;
	p += LEN;
	if (mmap(p, LEN, RW, (v->flags ?: MAP_PRIVATE) | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != p)
		return NULL;
	mm_fill(p, LEN, SEED);
	return mm_mseal(p + third * THIRD, THIRD) ? NULL : p;
}

/* Whether [from, to) is a mapping as it was, and writable. */
static bool intact(char *p, size_t from, size_t to)
{
	for (size_t at = from; at < to; at += PAGE)
		if (mm_probe_write(p + at, p[at]) || !mm_count_present(0, p + at, PAGE))
			return false;
	return mm_check_from(p + from, to - from, SEED, from) == -1;
}

static bool rights(const char *p)
{
	struct mm_vma vma;

	return !mm_vma(0, p, &vma) && !strncmp(vma.prot, "rw-", 3);
}

/* of the sealed third itself, of its first and last pages and of one within: EPERM, and no page, byte or right has changed */
TEST_F(sealed, itself)
{
	static const struct { size_t at, len; } parts[] = {
		{ 0, THIRD }, { 0, PAGE }, { PAGE, PAGE }, { 2 * PAGE, PAGE }, { PAGE, 2 * PAGE },
	};

	for (int third = 0; third < 3; third++) {
		char *p = map(variant, third), *q = p + third * THIRD;

		ASSERT_NE(NULL, p);
		for (int i = 0; i < 5; i++) {
			/* One page can neither shrink nor be of two. */
			if (parts[i].len == PAGE && (variant->call == shrink || variant->call == move_and_shrink))
				continue;
			EXPECT_EQ(EPERM, variant->call(self, q + parts[i].at, parts[i].len)) TH_LOG("third %d, part %d", third, i);
			EXPECT_TRUE(intact(p, 0, LEN)) TH_LOG("third %d, part %d", third, i);
			EXPECT_TRUE(rights(q + parts[i].at));
			EXPECT_EQ(-ENOENT, mm_vma(0, p - PAGE, &(struct mm_vma){ 0 }));
			EXPECT_EQ(-ENOENT, mm_vma(0, p + LEN, &(struct mm_vma){ 0 }));
			EXPECT_EQ(-ENOENT, mm_vma(0, self->to, &(struct mm_vma){ 0 }));
		}
		EXPECT_TRUE(mm_vmflag(0, q, "sl"));
	}
}

/* of all thirds, of which one is sealed: EPERM; that one is as it was, and all others if the call begins with the check */
TEST_F(sealed, among_others)
{
	/* What takes a range of one mapping would not come to the others. */
	for (int third = 0; third < (variant->single ? 1 : 3); third++) {
		char *p = map(variant, third), *q = p + third * THIRD;
		int got;

		ASSERT_NE(NULL, p);
		got = variant->call(self, p, LEN);
		/* A range that goes beyond its mapping may be refused for that. */
		if (!variant->single || (got != EINVAL && got != EFAULT))
			EXPECT_EQ(EPERM, got) TH_LOG("third %d", third);
		EXPECT_TRUE(intact(p, third * THIRD, (third + 1) * THIRD)) TH_LOG("third %d", third);
		EXPECT_TRUE(rights(q));
		EXPECT_TRUE(mm_vmflag(0, q, "sl"));
		/* Behind it nothing changes in any case. */
		EXPECT_TRUE(intact(p, (third + 1) * THIRD, LEN)) TH_LOG("third %d", third);
		if (variant->whole)
			EXPECT_TRUE(intact(p, 0, LEN)) TH_LOG("third %d", third);
	}
}

/* of the thirds that are not: done, beside the seal */
TEST_F(sealed, beside)
{
	char *p = map(variant, 1), *q = p + 2 * THIRD;
	size_t len = THIRD;

	ASSERT_NE(NULL, p);
	if (variant->call == unmap_more) {
		q += PAGE;
		len -= PAGE;
	}
	/* The last: there is room behind it. */
	EXPECT_EQ(0, variant->call(self, q, len));
	EXPECT_TRUE(intact(p, 0, 2 * THIRD));
	EXPECT_TRUE(mm_vmflag(0, p + THIRD, "sl"));
	EXPECT_FALSE(mm_vmflag(0, p, "sl"));
	munmap(self->to, 2 * LEN);
}

/* a move of several mappings ends at the one that is sealed: that stays, and each other is in one place, whole */
TEST(moved_several)
{
	static const FIXTURE_VARIANT(sealed) plain = { .flags = MAP_PRIVATE };

	NEED(need_mseal());
	NEED(mm_need_mremap_vmas());
	for (int third = 0; third < 3; third++) {
		char *p = map(&plain, third), *to = mm_reserve(LEN, PAGE);

		ASSERT_NE(NULL, p);
		ASSERT_NE(NULL, to);
		ASSERT_EQ(0, munmap(to, LEN));
		EXPECT_ERROR(EPERM, mremap(p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED ? -1 : 0);
		EXPECT_TRUE(intact(p, third * THIRD, (third + 1) * THIRD)) TH_LOG("third %d", third);
		for (int i = 0; i < 3; i++) {
			bool here = !mm_probe_read(p + i * THIRD), there = !mm_probe_read(to + i * THIRD);

			EXPECT_NE(here, there) TH_LOG("third %d of %d", i, third);
			EXPECT_TRUE(i < third || here) TH_LOG("third %d of %d", i, third);
			EXPECT_EQ(-1, mm_check_from((here ? p : to) + i * THIRD, THIRD, SEED, i * THIRD));
		}
		munmap(to, LEN);
	}
}

/* what does not change the mapping works: stores, advice that keeps, locks, reads of it, sync, population, a second seal */
TEST(unaffected)
{
	char *p = mm_map_aligned(LEN, PAGE), byte;
	unsigned char vec[PAGES];
	int zero;

	NEED(need_mseal());
	ASSERT_NE(NULL, p);
	zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, zero);
	ASSERT_EQ(0, mm_mseal(p, LEN));
	mm_fill(p, LEN, SEED);
	EXPECT_EQ(0, mm_mseal(p, LEN));
	EXPECT_EQ(0, mm_mseal(p + PAGE, PAGE));
	EXPECT_EQ(1, mm_vma_count(0, p, LEN));
	EXPECT_EQ(0, mlock(p, PAGE));
	EXPECT_EQ(PAGE / KB, mm_status(0, "VmLck"));
	EXPECT_EQ(0, munlock(p, LEN));
	EXPECT_EQ(0, mincore(p, LEN, vec));
	EXPECT_EQ(0, msync(p, LEN, MS_SYNC));
	EXPECT_EQ(0, madvise(p, LEN, MADV_DONTDUMP) ?: madvise(p, LEN, MADV_DODUMP));
	EXPECT_EQ(0, madvise(p, LEN, MADV_POPULATE_WRITE));
	EXPECT_EQ(-1, mm_check(p, LEN, SEED));
	EXPECT_EQ(1, read(zero, p, 1));
	EXPECT_EQ(0, *p);
	/* Who may write may discard. */
	EXPECT_EQ(0, madvise(p, LEN, MADV_DONTNEED));
	EXPECT_EQ(0, mm_count_present(0, p, LEN));
	EXPECT_EQ(-1, mm_check_byte(p, LEN, 0));
	EXPECT_ERROR(EPERM, munmap(p, LEN));
	/* A mapping beside it is one of its own. */
	ASSERT_EQ(p + LEN, mmap(p + LEN, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	EXPECT_EQ(2, mm_vma_count(0, p, LEN + PAGE));
	EXPECT_EQ(0, munmap(p + LEN, PAGE));
	EXPECT_EQ(0, mm_probe_read(p));
	byte = p[LEN - 1];
	EXPECT_EQ(0, byte);
	close(zero);
}

static char *region;

static int child(void *arg)
{
	if (munmap(region, LEN) != -1 || errno != EPERM || mprotect(region, PAGE, PROT_NONE) != -1 || errno != EPERM)
		return 1;
	if (mremap(region, LEN, PAGE, 0) != MAP_FAILED || errno != EPERM)
		return 2;
	mm_fill(region, LEN, SEED + 1);
	return mm_vmflag(0, region, "sl") ? 0 : 3;
}

/* a child has the seal, and the seal of both ends with them: nothing is left */
TEST(inherited)
{
	long committed;

	NEED(need_mseal());
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	mm_fill(region, LEN, SEED);
	ASSERT_EQ(0, mm_mseal(region, LEN));
	mm_meminfo("Committed_AS");
	committed = mm_meminfo("Committed_AS");
	EXPECT_EQ(0, mm_in_child(child, NULL));
	EXPECT_EQ(committed, mm_meminfo("Committed_AS"));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
}

/* flags that there are not, an address within a page, a length that wraps: EINVAL; nothing mapped: ENOMEM; nothing is sealed */
TEST(errors)
{
	char *p = mm_map_aligned(LEN, PAGE);

	NEED(need_mseal());
	ASSERT_NE(NULL, p);
	EXPECT_ERROR(EINVAL, syscall(__NR_mseal, p, LEN, 1UL));
	EXPECT_ERROR(EINVAL, syscall(__NR_mseal, p, LEN, -1UL));
	EXPECT_ERROR(EINVAL, syscall(__NR_mseal, p, 0, 1UL));
	EXPECT_ERROR(EINVAL, mm_mseal(p + 1, PAGE));
	EXPECT_ERROR(EINVAL, mm_mseal(p, -1UL));
	EXPECT_ERROR(EINVAL, mm_mseal(p, -(uintptr_t)p + PAGE));
	EXPECT_EQ(0, mm_mseal(p, 0));
	ASSERT_EQ(0, munmap(p + LEN - PAGE, PAGE));
	EXPECT_ERROR(ENOMEM, mm_mseal(p, LEN));
	EXPECT_ERROR(ENOMEM, mm_mseal(p + LEN - PAGE, PAGE));
	EXPECT_FALSE(mm_vmflag(0, p, "sl"));
	EXPECT_EQ(0, munmap(p, LEN));
}

/* a sealed part of the heap stays: brk() below it or in it is refused, the end is where it was, and it may still grow */
TEST(heap)
{
	char *end;

	NEED(need_mseal());
	end = (char *)(((uintptr_t)syscall(__NR_brk, 0) + PAGE - 1) & ~(PAGE - 1));
	ASSERT_EQ(end + LEN, (char *)syscall(__NR_brk, end + LEN));
	mm_fill(end, LEN, SEED);
	ASSERT_EQ(0, mm_mseal(end + THIRD, THIRD));
	EXPECT_EQ(end + LEN, (char *)syscall(__NR_brk, end));
	EXPECT_EQ(end + LEN, (char *)syscall(__NR_brk, end + THIRD + PAGE));
	EXPECT_EQ(end + LEN, (char *)syscall(__NR_brk, end + 2 * THIRD - 1 - PAGE));
	EXPECT_EQ(-1, mm_check(end, LEN, SEED));
	EXPECT_EQ(end + 2 * THIRD, (char *)syscall(__NR_brk, end + 2 * THIRD));
	EXPECT_EQ(-1, mm_check(end, 2 * THIRD, SEED));
	EXPECT_EQ(end + LEN, (char *)syscall(__NR_brk, end + LEN));
	EXPECT_EQ(-1, mm_check_byte(end + 2 * THIRD, THIRD, 0));
}

TEST_HARNESS_MAIN
