// SPDX-License-Identifier: GPL-2.0
/*
 * mmap(2) where something is mapped: MAP_FIXED replaces it, MAP_FIXED_NOREPLACE "never clobbers a preexisting mapped range", a hint
 * is a hint; and what is refused leaves all that was there.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	8
#define LEN	(PAGES * PAGE)
#define SEED	1
#define RW	(PROT_READ | PROT_WRITE)
#define ANON	(MAP_PRIVATE | MAP_ANONYMOUS)

/* PAGES pages in the middle of a range that is free. */
FIXTURE(over) {
	char *room, *p;
	char *maps;
};

FIXTURE_VARIANT(over) {
	int from, to;		/* pages that are asked for, by those of the mapping */
};

#define V(name, first, end) FIXTURE_VARIANT_ADD(over, name) { .from = first, .to = end }
V(exactly, 0, PAGES);
V(first_page, 0, 1);
V(last_page, PAGES - 1, PAGES);
V(middle, 3, 5);
V(end_in_first, -2, 1);
V(begin_in_last, PAGES - 1, PAGES + 2);
V(around, -1, PAGES + 1);
V(just_before, -2, 0);
V(just_behind, PAGES, PAGES + 2);

FIXTURE_SETUP(over)
{
	self->room = mm_reserve(3 * LEN, PAGE);
	ASSERT_NE(NULL, self->room);
	ASSERT_EQ(0, munmap(self->room, 3 * LEN));
	self->p = self->room + LEN;
	ASSERT_EQ(self->p, mmap(self->p, LEN, RW, ANON | MAP_FIXED, -1, 0));
	mm_fill(self->p, LEN, SEED);
	self->maps = mm_maps(0);
}

FIXTURE_TEARDOWN(over)
{
	free(self->maps);
	munmap(self->room, 3 * LEN);
}

static bool overlaps(const FIXTURE_VARIANT(over) *v)
{
	return v->from < PAGES && v->to > 0;
}

/* what is there is EEXIST, nothing has changed; beside it the mapping is where it was asked for */
TEST_F(over, noreplace)
{
	char *at = self->p + variant->from * (long)PAGE, *got;
	size_t len = (variant->to - variant->from) * PAGE;

	for (int i = 0; i < 3; i++) {
		static const int flags[] = { 0, MAP_FIXED, MAP_POPULATE };

		errno = 0;
		got = mmap(at, len, RW, ANON | MAP_FIXED_NOREPLACE | flags[i], -1, 0);
		if (overlaps(variant)) {
			EXPECT_EQ(MAP_FAILED, got);
			EXPECT_EQ(EEXIST, errno);
		} else {
			EXPECT_EQ(at, got);
			EXPECT_EQ(-1, mm_check_byte(at, len, 0));
			ASSERT_EQ(0, munmap(at, len));
		}
		EXPECT_STREQ(self->maps, mm_maps(0));
		EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
	}
}

/* MAP_FIXED takes its place, of the pages asked for and no more */
TEST_F(over, replaced)
{
	char *at = self->p + variant->from * (long)PAGE;
	size_t len = (variant->to - variant->from) * PAGE;
	long rss = mm_smaps(0, self->p, "Rss");

	ASSERT_EQ(PAGES * PAGE / KB, rss);
	ASSERT_EQ(at, mmap(at, len, PROT_READ, ANON | MAP_FIXED, -1, 0));
	for (int i = variant->from < 0 ? variant->from : 0; i < PAGES || i < variant->to; i++) {
		char *page = self->p + i * (long)PAGE;
		bool new = variant->from <= i && i < variant->to;

		EXPECT_EQ(-1, new ? mm_check_byte(page, PAGE, 0) : mm_check_from(page, PAGE, SEED, i * PAGE)) TH_LOG("page %d", i);
		EXPECT_EQ(new ? SIGSEGV : 0, mm_probe_write(page, *page)) TH_LOG("page %d", i);
	}
}

/* without either it is mapped somewhere else if something is there, where it was asked for if not */
TEST_F(over, hint)
{
	char *at = self->p + variant->from * (long)PAGE;
	size_t len = (variant->to - variant->from) * PAGE;
	char *got = mmap(at, len, PROT_READ, ANON, -1, 0);

	ASSERT_NE(MAP_FAILED, got);
	if (overlaps(variant)) {
		EXPECT_TRUE(got + len <= self->p || got >= self->p + LEN);
	} else {
		EXPECT_EQ(at, got);
	}
	ASSERT_EQ(0, munmap(got, len));
	EXPECT_STREQ(self->maps, mm_maps(0));
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
}

/* MAP_FIXED that fails, for whatever reason it can be known before: what was there is there */
TEST_F(over, refused)
{
	char *at = self->p + variant->from * (long)PAGE;
	size_t len = (variant->to - variant->from) * PAGE;
	int fd = mm_tmpfile("/tmp", LEN), ends[2], ro, wo;
	char path[64], *got;
	struct { char *at; size_t len; int prot, flags, fd; off_t offset; int err; } calls[] = {
		{ at, len, RW, MAP_PRIVATE, -1, 0, EBADF },
		{ at, len, RW, MAP_PRIVATE, 0, 0, ENODEV },
		{ at, len, RW, MAP_PRIVATE, 0, 0, EACCES },
		{ at, len, RW, MAP_SHARED, 0, 0, EACCES },
		{ at, len, RW, MAP_PRIVATE, 0, 1, EINVAL },
		{ at, len, RW, MAP_PRIVATE, 0, -(off_t)PAGE, EOVERFLOW },
		{ at, 0, RW, ANON, -1, 0, EINVAL },
		{ at + 1, len, RW, ANON, -1, 0, EINVAL },
		{ at, len, RW, MAP_ANONYMOUS, -1, 0, EINVAL },
		{ at, -PAGE, RW, ANON, -1, 0, ENOMEM },
		{ at, len, RW, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0, EINVAL },
		{ at, len, RW, MAP_SHARED_VALIDATE | MAP_SYNC, 0, 0, EOPNOTSUPP },
	};

	ASSERT_LE(0, fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	wo = open(path, O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, ro);
	ASSERT_LE(0, wo);
	ASSERT_EQ(0, pipe2(ends, O_CLOEXEC));
	calls[1].fd = ends[0];
	calls[2].fd = wo;
	calls[3].fd = ro;
	calls[4].fd = calls[5].fd = calls[11].fd = ro;
	for (int i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		errno = 0;
		got = mmap(calls[i].at, calls[i].len, calls[i].prot, calls[i].flags | MAP_FIXED, calls[i].fd, calls[i].offset);
		EXPECT_EQ(MAP_FAILED, got);
		EXPECT_EQ(calls[i].err, errno) TH_LOG("call %d", i);
		EXPECT_STREQ(self->maps, mm_maps(0)) TH_LOG("call %d", i);
		EXPECT_EQ(-1, mm_check(self->p, LEN, SEED)) TH_LOG("call %d", i);
	}
	close(fd);
	close(ro);
	close(wo);
	close(ends[0]);
	close(ends[1]);
}

/* addresses below vm.mmap_min_addr are EPERM without CAP_SYS_RAWIO, and no hint leads there */
TEST(low)
{
	long least = mm_read_long("/proc/sys/vm/mmap_min_addr");
	char *p;

	NEED(least < (long)PAGE ? "vm.mmap_min_addr" : NULL);
	ASSERT_EQ(0, mm_drop_cap(CAP_SYS_RAWIO));
	errno = 0;
	EXPECT_EQ(MAP_FAILED, mmap((void *)(least - PAGE), PAGE, RW, ANON | MAP_FIXED, -1, 0));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, RW, ANON | MAP_FIXED, -1, 0));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
	EXPECT_EQ(EPERM, errno);
	p = mmap((void *)PAGE, PAGE, RW, ANON, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_LE(least, (long)p);
	munmap(p, PAGE);
	p = (char *)least;
	EXPECT_EQ(p, mmap(p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
	munmap(p, PAGE);
}

/* RLIMIT_AS: a page more than it allows is ENOMEM; a mapping that takes the place of as much is none */
TEST(address_space)
{
	char *p = mm_map_aligned(LEN, PAGE);
	struct rlimit old, limit;

	ASSERT_NE(NULL, p);
	mm_fill(p, LEN, SEED);
	ASSERT_EQ(0, getrlimit(RLIMIT_AS, &old));
	limit = old;
	limit.rlim_cur = mm_status(0, "VmSize") * KB;
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &limit));
	errno = 0;
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, RW, ANON, -1, 0));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(MAP_FAILED, mmap(p + PAGE, LEN, RW, ANON | MAP_FIXED, -1, 0));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(-1, mm_check(p, LEN, SEED));
	EXPECT_EQ(p, mmap(p, PAGE, RW, ANON | MAP_FIXED, -1, 0));
	EXPECT_EQ(-1, mm_check_byte(p, PAGE, 0));
	EXPECT_EQ(-1, mm_check_from(p + PAGE, LEN - PAGE, SEED, PAGE));
	EXPECT_EQ(0, munmap(p + PAGE, PAGE));
	EXPECT_EQ(p + PAGE, mmap(p + PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &old));
	munmap(p, LEN);
}

TEST_HARNESS_MAIN
