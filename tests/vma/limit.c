// SPDX-License-Identifier: GPL-2.0
/*
 * vm.max_map_count, Documentation/admin-guide/sysctl/vm.rst: "the maximum number of memory map areas a process may have". At the
 * limit a call that needs one more is ENOMEM and changes nothing; what needs none, or gives one back, is done.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	8
#define LEN	(PAGES * PAGE)
#define MIDDLE	(3 * PAGE)
#define PART	(2 * PAGE)
#define SEED	1
#define RW	(PROT_READ | PROT_WRITE)
#define LIMIT	"/proc/sys/vm/max_map_count"
#define MOST	64			/* mappings that a case makes at most */

static char *region;	/* LEN bytes, a mapping of its own, then LEN that are read-only, then as much room as before */

static int set_limit(long n)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", n);
	return mm_write_file(LIMIT, text);
}

/* Mappings of the process, without those that are the kernel's own in all processes. */
static long count(void)
{
	char *maps = mm_maps(0);
	long n = 0;

	for (char *at = maps; at && (at = strchr(at, '\n')); at++)
		n++;
	if (maps && strstr(maps, "[vsyscall]"))
		n--;
	free(maps);
	return n;
}

static int err(long ret)
{
	return ret ? errno : 0;
}

static int map_at(char *p, size_t len)
{
	return mmap(p, len, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p ? 0 : errno;
}

#define CALL(name, ...) static int name(char *p) { return __VA_ARGS__; }
CALL(map_apart, map_at(p - 2 * PAGE, PAGE))
CALL(map_beside, map_at(p - PAGE, PAGE))
CALL(map_over_all, map_at(p, LEN))
CALL(map_over_first, map_at(p, PAGE))
CALL(map_over_middle, map_at(p + MIDDLE, PART))
CALL(unmap_first, err(munmap(p, PAGE)))
CALL(unmap_middle, err(munmap(p + MIDDLE, PART)))
CALL(unmap_all, err(munmap(p, LEN)))
CALL(unmap_several, err(munmap(p + PAGE, LEN)))
CALL(protect_first, err(mprotect(p, PAGE, PROT_READ)))
CALL(protect_middle, err(mprotect(p + MIDDLE, PART, PROT_READ)))
CALL(protect_last, err(mprotect(p + LEN - PAGE, PAGE, PROT_READ)))
CALL(protect_all, err(mprotect(p, LEN, PROT_NONE)))
CALL(protect_and_merge, err(mprotect(p, LEN, PROT_READ)))
CALL(protect_as_it_is, err(mprotect(p + MIDDLE, PART, RW)))
CALL(lock_first, err(mlock(p, PAGE)))
CALL(lock_middle, err(mlock(p + MIDDLE, PART)))
CALL(lock_all, err(mlock(p, LEN)))
CALL(advise_first, err(madvise(p, PAGE, MADV_DONTFORK)))
CALL(advise_all, err(madvise(p, LEN, MADV_DONTFORK)))
CALL(discard_middle, err(madvise(p + MIDDLE, PART, MADV_DONTNEED)))

FIXTURE(at_limit) {
	long limit, n;
};

FIXTURE_VARIANT(at_limit) {
	int (*call)(char *p);
	int left;		/* how many below the limit it needs: 0 is at it, -1 one above it, as mmap() may go */
	int err;		/* of a call for which there is too little */
	bool free;		/* it is done whatever the limit */
};

#define V(name, ...) FIXTURE_VARIANT_ADD(at_limit, name) { .call = name, __VA_ARGS__ }
V(map_apart, .left = 0, .err = ENOMEM);
V(map_beside, .left = 0, .err = ENOMEM);
V(map_over_all, .left = 0, .err = ENOMEM);
V(map_over_first, .left = 0, .err = ENOMEM);
V(map_over_middle, .left = 1, .err = ENOMEM);
V(unmap_first, .free = true);
V(unmap_middle, .left = 1, .err = ENOMEM);
V(unmap_all, .free = true);
V(unmap_several, .free = true);
V(protect_first, .left = 1, .err = ENOMEM);
V(protect_middle, .left = 2, .err = ENOMEM);
V(protect_last, .free = true);
V(protect_all, .free = true);
V(protect_and_merge, .free = true);
V(protect_as_it_is, .free = true);
V(lock_first, .left = 1, .err = ENOMEM);
V(lock_middle, .left = 2, .err = ENOMEM);
V(lock_all, .free = true);
V(advise_first, .left = 1, .err = EAGAIN);
V(advise_all, .free = true);
V(discard_middle, .free = true);

FIXTURE_SETUP(at_limit)
{
	region = mm_reserve(4 * LEN, PAGE);
	ASSERT_NE(NULL, region);
	ASSERT_EQ(0, munmap(region, 4 * LEN));
	region += LEN;
	ASSERT_EQ(0, map_at(region, 2 * LEN));
	mm_fill(region, 2 * LEN, SEED);
	ASSERT_EQ(0, mprotect(region + LEN, LEN, PROT_READ));
	self->limit = mm_read_long(LIMIT);
	ASSERT_LT(0, self->limit);
	self->n = count();
	ASSERT_EQ(self->n, count());
}

FIXTURE_TEARDOWN(at_limit)
{
	EXPECT_EQ(0, set_limit(self->limit));
	munmap(region - LEN, 4 * LEN);
}

/* what needs none is done at the limit and above it */
static void done(struct __test_metadata *_metadata, const FIXTURE_VARIANT(at_limit) *variant, int left, long n)
{
	EXPECT_EQ(0, set_limit(n + left));
	EXPECT_EQ(0, variant->call(region)) TH_LOG("%d left", left);
}

/* one too few and nothing changes; as many as it needs and it is done */
TEST_F(at_limit, exactly)
{
	char *before, *after;

	if (variant->free) {
		done(_metadata, variant, -1, self->n);
		return;
	}
	for (int left = -1; left < variant->left; left++) {
		before = mm_maps(0);
		ASSERT_EQ(0, set_limit(self->n + left));
		EXPECT_EQ(variant->err, variant->call(region)) TH_LOG("%d left", left);
		ASSERT_EQ(0, set_limit(self->limit));
		after = mm_maps(0);
		/* A mapping that was split before it was known that there is no second one may stay in two. */
		if (left < 1)
			EXPECT_STREQ(before, after);
		EXPECT_EQ(-1, mm_check(region, 2 * LEN, SEED));
		EXPECT_EQ(0, mm_probe_write(region + MIDDLE, region[MIDDLE]));
		EXPECT_EQ(0, mm_status(0, "VmLck"));
		/* As it was, if it was split. */
		ASSERT_EQ(0, mprotect(region, LEN, RW));
		free(before);
		free(after);
		self->n = count();
	}
	done(_metadata, variant, variant->left, self->n);
}

/* one by one: mmap() makes as many as the limit says and one more, munmap() of one makes room for one */
TEST(one_by_one)
{
	long limit = mm_read_long(LIMIT), n;
	char *room = mm_reserve(2 * MOST * PAGE, PAGE);
	int made = 0;

	ASSERT_NE(NULL, room);
	ASSERT_EQ(0, munmap(room, 2 * MOST * PAGE));
	n = count();
	ASSERT_EQ(0, set_limit(n + 10));
	for (; made < MOST && !map_at(room + 2 * made * PAGE, PAGE); made++)
		;
	EXPECT_EQ(11, made);
	EXPECT_EQ(ENOMEM, map_at(room + 2 * made * PAGE, PAGE));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(0, munmap(room + 2 * i * PAGE, PAGE));
		EXPECT_EQ(0, map_at(room + 2 * (made + i) * PAGE, PAGE));
		EXPECT_EQ(ENOMEM, map_at(room + 2 * (made + i + 1) * PAGE, PAGE));
	}
	EXPECT_EQ(0, set_limit(limit));
	EXPECT_EQ(n + 11, count());
	munmap(room, 2 * MOST * PAGE);
	EXPECT_EQ(n, count());
}

static int child_counts(void *arg)
{
	long n = count();

	/* It has no less room than its parent, which it does not share. */
	if (n != (long)(intptr_t)arg)
		return 1;
	return map_at(region + LEN, PAGE) == ENOMEM && !munmap(region, PAGE) && !map_at(region + LEN, PAGE) ? 0 : 2;
}

/* fork() is done above the limit, for all mappings, and the child is held to it by itself */
TEST(forked)
{
	long limit = mm_read_long(LIMIT), n;

	region = mm_reserve(2 * LEN, PAGE);
	ASSERT_NE(NULL, region);
	ASSERT_EQ(0, munmap(region, 2 * LEN));
	ASSERT_EQ(0, map_at(region, PAGE));
	n = count();
	ASSERT_EQ(0, set_limit(n - 1));
	EXPECT_EQ(0, mm_in_child(child_counts, (void *)(intptr_t)n));
	EXPECT_EQ(0, set_limit(limit));
	munmap(region, PAGE);
}

TEST_HARNESS_MAIN
