// SPDX-License-Identifier: GPL-2.0
/*
 * What is locked is counted by page of address space in VmLck (proc_pid_status(5)), by mapping in the flag "lo" of smaps, and by
 * page of memory in Locked and Mlocked: they agree after each call that splits, merges, moves, replaces or unmaps a locked mapping.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <linux/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	8
#define LEN	(PAGES * PAGE)
#define PART	(2 * PAGE)		/* the middle: pages 3 and 4 */
#define MIDDLE	(3 * PAGE)
#define SEED	1
#define OTHER	2
#define RW	(PROT_READ | PROT_WRITE)
#define GONE	-1

/* A mapping of PAGES pages in a range that is free. */
FIXTURE(locked) {
	char *room, *p, *to;	/* p has LEN free behind it, to as well */
	long mlocked;		/* pages, of the system */
	int flags, lock_flags;
};

FIXTURE_VARIANT(locked) {
	/* What is done; 0 or errno. */
	int (*call)(FIXTURE_DATA(locked) *self, char *p);
	long locked;		/* pages of address space after it */
	bool anew;		/* bytes of the middle are gone */
	bool anon;		/* of private anonymous memory only */
	bool shared;		/* of shared memory only */
};

static int err(long ret)
{
	return ret ? errno : 0;
}

static int refused(long ret, int want)
{
	return ret != -1 ? -1 : errno == want ? 0 : errno;
}

#define CALL(name) static int name(FIXTURE_DATA(locked) *self, char *p)

CALL(protect_middle)
{
	return err(mprotect(p + MIDDLE, PART, PROT_READ));
}

CALL(protect_and_back)
{
	return err(mprotect(p + MIDDLE, PART, PROT_NONE)) ?: err(mprotect(p + MIDDLE, PART, RW));
}

CALL(protect_all)
{
	return err(mprotect(p, LEN, PROT_READ));
}

CALL(unmap_first)
{
	return err(munmap(p, PAGE));
}

CALL(unmap_middle)
{
	return err(munmap(p + MIDDLE, PART));
}

CALL(unmap_last)
{
	return err(munmap(p + LEN - PAGE, PAGE));
}

CALL(unmap_around)
{
	return err(munmap(p - LEN, 3 * LEN));
}

static int map_over(char *p, int flags)
{
	return mmap(p + MIDDLE, PART, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | flags, -1, 0) == p + MIDDLE ? 0 : errno;
}

CALL(replace)
{
	return map_over(p, 0);
}

CALL(replace_locked)
{
	return map_over(p, MAP_LOCKED);
}

CALL(replace_with_none)
{
	return mmap(p + MIDDLE, PART, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p + MIDDLE ? 0 : errno;
}

CALL(unlock_middle)
{
	return err(munlock(p + MIDDLE, PART));
}

CALL(unlock_all)
{
	return err(munlock(p, LEN));
}

CALL(unlock_bytes)
{
	/* Rounded out to the two pages that have them. */
	return err(munlock(p + MIDDLE + PAGE - 1, 2));
}

CALL(lock_again)
{
	return err(mlock2(p, LEN, self->lock_flags)) ?: err(mlock2(p + MIDDLE, PART, self->lock_flags));
}

CALL(lock_the_other_way)
{
	return err(mlock2(p + MIDDLE, PART, self->lock_flags ^ MLOCK_ONFAULT));
}

CALL(unlock_and_lock)
{
	return err(munlock(p + MIDDLE, PART)) ?: err(mlock2(p + MIDDLE, PART, self->lock_flags));
}

CALL(grow)
{
	return mremap(p, LEN, LEN + PART, 0) == p ? 0 : errno;
}

CALL(shrink)
{
	return mremap(p, LEN, LEN - PART, 0) == p ? 0 : errno;
}

CALL(move)
{
	return mremap(p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, self->to) == self->to ? 0 : errno;
}

CALL(move_middle)
{
	return mremap(p + MIDDLE, PART, PART, MREMAP_MAYMOVE | MREMAP_FIXED, self->to) == self->to ? 0 : errno;
}

CALL(move_onto)
{
	return mremap(p, PART, PART, MREMAP_MAYMOVE | MREMAP_FIXED, p + MIDDLE) == p + MIDDLE ? 0 : errno;
}

CALL(duplicate)
{
	return mremap(p, 0, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, self->to) == self->to ? 0 : errno;
}

CALL(advise_middle)
{
	return err(madvise(p + MIDDLE, PART, MADV_DONTFORK)) ?: err(madvise(p, LEN, MADV_RANDOM));
}

CALL(name_middle)
{
	prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p + MIDDLE, PART, "locked");
	return 0;
}

CALL(discard)
{
	return refused(madvise(p + MIDDLE, PART, MADV_DONTNEED), EINVAL);
}

CALL(discard_locked)
{
	return err(madvise(p + MIDDLE, PART, MADV_DONTNEED_LOCKED));
}

CALL(pageout)
{
	return refused(madvise(p, LEN, MADV_PAGEOUT), EINVAL) ?: refused(madvise(p, LEN, MADV_COLD), EINVAL);
}

CALL(punch)
{
	return refused(madvise(p + MIDDLE, PART, MADV_REMOVE), EINVAL);
}

CALL(map_beside)
{
	char *next = mmap(p + LEN, PAGE, RW, self->flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	return next == p + LEN ? 0 : errno;
}

CALL(map_beside_locked)
{
	char *next = mmap(p + LEN, PAGE, RW, self->flags | MAP_ANONYMOUS | MAP_FIXED | MAP_LOCKED, -1, 0);

	return next == p + LEN ? 0 : errno;
}

CALL(remap_pages)
{
	return err(remap_file_pages(p + MIDDLE, PAGE, 0, 3, 0));
}

/* A child has no locks, whatever it does with what its parent has locked. */
static int child(void *arg)
{
	FIXTURE_DATA(locked) *self = arg;
	char *p = self->p;

	if (mm_status(0, "VmLck") || mm_smaps_sum(0, "Size", "lo"))
		return 1;
	mm_fill(p, LEN, OTHER);
	if (mprotect(p + MIDDLE, PART, PROT_READ) || munmap(p, PAGE) || munlock(p + PAGE, LEN - PAGE))
		return 2;
	if (mlock(p + PAGE, PAGE) || mm_status(0, "VmLck") != PAGE / KB)
		return 3;
	mm_fill(p + PAGE, PAGE, OTHER);
	return munlockall() || mm_status(0, "VmLck") ? 4 : 0;
}

CALL(fork_child)
{
	return mm_in_child(child, self);
}

CALL(unlock_everything)
{
	return err(munlockall());
}

#define V(name, pages, ...) FIXTURE_VARIANT_ADD(locked, name) { .call = name, .locked = pages, __VA_ARGS__ }
V(protect_middle, PAGES);
V(protect_and_back, PAGES);
V(protect_all, PAGES);
V(unmap_first, PAGES - 1);
V(unmap_middle, PAGES - 2);
V(unmap_last, PAGES - 1);
V(unmap_around, 0);
V(replace, PAGES - 2, .anew = true);
V(replace_locked, PAGES, .anew = true);
V(replace_with_none, PAGES - 2);
V(unlock_middle, PAGES - 2);
V(unlock_all, 0);
V(unlock_bytes, PAGES - 2);
V(lock_again, PAGES);
V(lock_the_other_way, PAGES);
V(unlock_and_lock, PAGES);
V(grow, PAGES + 2, .anon = true);
V(shrink, PAGES - 2);
V(move, PAGES);
V(move_middle, PAGES);
V(move_onto, PAGES - 2);
V(duplicate, 2 * PAGES, .shared = true);
V(advise_middle, PAGES);
V(name_middle, PAGES);
V(discard, PAGES);
V(discard_locked, PAGES, .anew = true, .anon = true);
V(pageout, PAGES);
V(punch, PAGES);
V(map_beside, PAGES);
V(map_beside_locked, PAGES + 1);
V(remap_pages, PAGES, .shared = true);
V(fork_child, PAGES, .anon = true);
V(unlock_everything, 0);

FIXTURE_SETUP(locked)
{
	self->room = mm_reserve(6 * LEN, PAGE);
	ASSERT_NE(NULL, self->room);
	ASSERT_EQ(0, munmap(self->room, 6 * LEN));
	self->p = self->room + LEN;
	self->to = self->room + 4 * LEN;
	ASSERT_EQ(0, mm_status(0, "VmLck"));
	self->mlocked = mm_mlocked();
}

FIXTURE_TEARDOWN(locked)
{
	munmap(self->room, 6 * LEN);
	EXPECT_EQ(0, mm_status(0, "VmLck"));
	EXPECT_EQ(self->mlocked, mm_mlocked());
}

/* Pages of the range that are locked and there. */
static long there(const char *p, size_t len)
{
	long n = 0;

	for (size_t at = 0; at < len; at += PAGE)
		if (mm_vmflag(0, p + at, "lo"))
			n += mm_count_present(0, p + at, PAGE);
	return n;
}

/* What is asserted of each call: the counters agree, and the bytes that are there are right. */
static void check(struct __test_metadata *_metadata, FIXTURE_DATA(locked) *self, const FIXTURE_VARIANT(locked) *variant)
{
	long pages, mapped = 0;

	EXPECT_EQ(variant->locked * PAGE / KB, mm_status(0, "VmLck"));
	EXPECT_EQ(variant->locked * PAGE / KB, mm_smaps_sum(0, "Size", "lo"));
	pages = there(self->room, 6 * LEN);
	if (variant->call != duplicate && variant->call != remap_pages) {
		EXPECT_EQ(pages, mm_mlocked() - self->mlocked);
		EXPECT_EQ(pages * PAGE / KB, mm_smaps_sum(0, "Locked", "lo"));
	}
	/* Bytes, wherever the pages are. */
	mm_probe_begin();
	for (size_t at = 0; at < 6 * LEN; at += PAGE) {
		char *q = self->room + at;
		size_t from = q >= self->to ? at - 4 * LEN : at - LEN;
		ssize_t wrong;

		if (mm_probe_read(q))
			continue;
		mapped++;
		if (variant->call == move_middle && q >= self->to)
			from += MIDDLE;
		else if (variant->call == move_onto && q >= self->p + MIDDLE && q < self->p + MIDDLE + PART)
			from -= MIDDLE;
		else if (variant->call == remap_pages && q == self->p + MIDDLE)
			from = 3 * PAGE;
		else if (variant->anew && from >= MIDDLE && from < MIDDLE + PART)
			from = LEN;
		wrong = from < LEN ? mm_check_from(q, PAGE, SEED, from) : mm_check_byte(q, PAGE, 0);
		EXPECT_EQ(-1, wrong) TH_LOG("page %zu", at / PAGE);
	}
	mm_probe_end();
	if (variant->call != unmap_around)
		EXPECT_LE(PAGES - 3, mapped);
}

static void run(struct __test_metadata *_metadata, FIXTURE_DATA(locked) *self, const FIXTURE_VARIANT(locked) *variant)
{
	ASSERT_EQ(self->p, mmap(self->p, LEN, RW, self->flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	ASSERT_EQ(0, mlock2(self->p, LEN, self->lock_flags));
	ASSERT_EQ(self->lock_flags ? 0 : PAGES, mm_count_present(0, self->p, LEN));
	mm_fill(self->p, LEN, SEED);
	ASSERT_EQ(PAGES, mm_mlocked() - self->mlocked);
	ASSERT_EQ(LEN / KB, mm_status(0, "VmLck"));
	ASSERT_EQ(0, variant->call(self, self->p));
	check(_metadata, self, variant);
}

/* the counters agree, and the bytes stay: private memory that is locked at once or as it is touched, and shared memory */
TEST_F(locked, adds_up)
{
	static const struct { int flags, lock_flags; } kinds[] = {
		{ MAP_PRIVATE, 0 }, { MAP_PRIVATE, MLOCK_ONFAULT }, { MAP_SHARED, 0 },
	};

	for (int i = 0; i < 3; i++) {
		self->flags = kinds[i].flags;
		self->lock_flags = kinds[i].lock_flags;
		if (self->flags == MAP_SHARED ? variant->anon : variant->shared)
			continue;
		run(_metadata, self, variant);
		ASSERT_EQ(0, munmap(self->room, 6 * LEN));
		ASSERT_EQ(0, mm_status(0, "VmLck"));
		ASSERT_EQ(self->mlocked, mm_mlocked());
	}
}

TEST_HARNESS_MAIN
