// SPDX-License-Identifier: GPL-2.0
/*
 * Where pages go that are swapped out, and that each is counted once, in /proc/vmstat and in the memory.stat of its group
 * (Documentation/admin-guide/cgroup-v2.rst: pswpin, pswpout, swpin_zero, swpout_zero, zswpin, zswpout).
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	32
#define LEN	(PAGES * PAGE)
#define SEED	1
#define ZSWAP	"/sys/module/zswap/parameters/enabled"

/* In pairs: in, out. */
static const char *const counters[] = { "pswpin", "pswpout", "swpin_zero", "swpout_zero", "zswpin", "zswpout" };

enum { DISK, ZERO, COMPRESSED, WAYS };
enum { IN, OUT };

FIXTURE(counts) {
	struct mm_cgroup cg;
	char *p;
	bool zswap;			/* was on */
	struct counts { long all[2 * WAYS], group[2 * WAYS]; } had, has;
};

FIXTURE_VARIANT(counts) {
	int flags;
	bool zswap;
};

FIXTURE_VARIANT_ADD(counts, anon) { .flags = MAP_PRIVATE };
FIXTURE_VARIANT_ADD(counts, shmem) { .flags = MAP_SHARED };
FIXTURE_VARIANT_ADD(counts, anon_zswap) { .flags = MAP_PRIVATE, .zswap = true };
FIXTURE_VARIANT_ADD(counts, shmem_zswap) { .flags = MAP_SHARED, .zswap = true };

static bool zswap_is_on(void)
{
	char text[8];

	return mm_read_file(ZSWAP, text, sizeof(text)) > 0 && *text == 'Y';
}

/* The counters as they are now; -ENOENT for those of zswap where there is none. */
static void look(const FIXTURE_DATA(counts) *self, struct counts *c)
{
	mm_cgroup_stir(&self->cg);
	for (int i = 0; i < 2 * WAYS; i++) {
		c->all[i] = mm_vmstat(counters[i]);
		c->group[i] = mm_cgroup_stat(&self->cg, counters[i]);
	}
}

FIXTURE_SETUP(counts)
{
	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	NEED(mm_need_vmstat("swpout_zero"));
	NEED(variant->zswap && access(ZSWAP, W_OK) ? "ZSWAP" : NULL);
	self->zswap = zswap_is_on();
	if (!access(ZSWAP, W_OK))
		ASSERT_EQ(0, mm_write_file(ZSWAP, variant->zswap ? "1" : "0"));
	ASSERT_EQ(0, mm_cgroup_create(&self->cg, "swap-zero"));
	self->p = mm_map(LEN, PAGE, variant->flags, -1);
	ASSERT_NE(NULL, self->p);
}

FIXTURE_TEARDOWN(counts)
{
	munmap(self->p, LEN);
	EXPECT_EQ(0, mm_cgroup_remove(&self->cg));
	if (!access(ZSWAP, W_OK))
		EXPECT_EQ(0, mm_write_file(ZSWAP, self->zswap ? "1" : "0"));
}

/* Write the pages of the range, zeroes or bytes that can be compressed, charged to the group. */
static int fill(FIXTURE_DATA(counts) *self, int from, int n, bool zeroes)
{
	int err = mm_cgroup_enter(&self->cg);

	for (int i = from; i < from + n; i++) {
		memset(self->p + i * PAGE, 0, PAGE);
		if (!zeroes)
			mm_fill_from(self->p + i * PAGE, PAGE / 4, SEED, i * PAGE);
	}
	return err ?: mm_cgroup_leave();
}

static int wrong(const FIXTURE_DATA(counts) *self, int from, int n, bool zeroes)
{
	int bad = 0;

	for (int i = from; i < from + n; i++) {
		const char *p = self->p + i * PAGE;

		bad += zeroes ? mm_check_byte(p, PAGE, 0) != -1 :
		       mm_check_from(p, PAGE / 4, SEED, i * PAGE) != -1 || mm_check_byte(p + PAGE / 4, 3 * PAGE / 4, 0) != -1;
	}
	return bad;
}

/* All of the group out; those that are not at once, next time. */
static long out(FIXTURE_DATA(counts) *self)
{
	return mm_cgroup_drop(&self->cg, self->p, LEN);
}

/* How much a counter has grown between the looks, that of all and that of the group, where it has one. */
#define EXPECT_GROWN(way, dir, n) do {							\
		const int at_ = 2 * (way) + (dir);					\
		EXPECT_EQ((n), self->has.all[at_] - self->had.all[at_]);		\
		if (self->had.group[at_] >= 0) {					\
			EXPECT_EQ((n), self->has.group[at_] - self->had.group[at_]);	\
		}								\
	} while (0)

/* pages of zeroes are neither written nor compressed: they count as such out and in, and nowhere else */
TEST_F(counts, zeroes)
{
	ASSERT_EQ(0, fill(self, 0, PAGES, true));
	look(self, &self->had);
	ASSERT_EQ(0, out(self));
	look(self, &self->has);
	EXPECT_GROWN(ZERO, OUT, PAGES);
	EXPECT_GROWN(DISK, OUT, 0);
	EXPECT_GROWN(COMPRESSED, OUT, 0);
	EXPECT_EQ(LEN, mm_cgroup_read(&self->cg, "memory.swap.current"));
	EXPECT_EQ(0, wrong(self, 0, PAGES, true));
	look(self, &self->has);
	EXPECT_GROWN(ZERO, IN, PAGES);
	EXPECT_GROWN(DISK, IN, 0);
	EXPECT_GROWN(COMPRESSED, IN, 0);
}

/* pages with bytes go to the disk, or to memory where zswap is on, each once */
TEST_F(counts, bytes)
{
	ASSERT_EQ(0, fill(self, 0, PAGES, false));
	look(self, &self->had);
	ASSERT_EQ(0, out(self));
	look(self, &self->has);
	EXPECT_GROWN(ZERO, OUT, 0);
	EXPECT_GROWN(variant->zswap ? COMPRESSED : DISK, OUT, PAGES);
	EXPECT_GROWN(variant->zswap ? DISK : COMPRESSED, OUT, 0);
	EXPECT_EQ(0, wrong(self, 0, PAGES, false));
	look(self, &self->has);
	EXPECT_GROWN(ZERO, IN, 0);
	EXPECT_GROWN(variant->zswap ? COMPRESSED : DISK, IN, PAGES);
	EXPECT_GROWN(variant->zswap ? DISK : COMPRESSED, IN, 0);
}

/* a page with a byte at its very end, or its very beginning, is none of zeroes */
TEST_F(counts, one_byte)
{
	ASSERT_EQ(0, fill(self, 0, PAGES, true));
	self->p[PAGE - 1] = 1;
	self->p[2 * PAGE] = 2;
	self->p[5 * PAGE + PAGE / 2] = 3;
	look(self, &self->had);
	ASSERT_EQ(0, out(self));
	look(self, &self->has);
	EXPECT_GROWN(ZERO, OUT, PAGES - 3);
	EXPECT_GROWN(variant->zswap ? COMPRESSED : DISK, OUT, 3);
	EXPECT_EQ(1, self->p[PAGE - 1]);
	EXPECT_EQ(2, self->p[2 * PAGE]);
	EXPECT_EQ(3, self->p[5 * PAGE + PAGE / 2]);
	EXPECT_EQ(-1, mm_check_byte(self->p + PAGE, PAGE, 0));
	EXPECT_EQ(-1, mm_check_byte(self->p, PAGE - 1, 0));
	EXPECT_EQ(-1, mm_check_byte(self->p + 6 * PAGE, (PAGES - 6) * PAGE, 0));
}

/* zeroes and bytes beside each other, and the other way round when their slots are used again */
TEST_F(counts, mixed)
{
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < PAGES; i++)
			ASSERT_EQ(0, fill(self, i, 1, (i + round) % 2));
		look(self, &self->had);
		ASSERT_EQ(0, out(self));
		look(self, &self->has);
		EXPECT_GROWN(ZERO, OUT, PAGES / 2);
		EXPECT_GROWN(variant->zswap ? COMPRESSED : DISK, OUT, PAGES / 2);
		for (int i = 0; i < PAGES; i++)
			EXPECT_EQ(0, wrong(self, i, 1, (i + round) % 2));
		look(self, &self->has);
		EXPECT_GROWN(ZERO, IN, PAGES / 2);
		EXPECT_GROWN(variant->zswap ? COMPRESSED : DISK, IN, PAGES / 2);
	}
}

/* swapoff fills pages with zeroes where they belong, and none is read for that */
TEST_F(counts, swapoff)
{
	const int way = variant->zswap ? COMPRESSED : DISK;

	ASSERT_EQ(0, fill(self, 0, PAGES / 2, true));
	ASSERT_EQ(0, fill(self, PAGES / 2, PAGES / 2, false));
	ASSERT_EQ(0, out(self));
	look(self, &self->had);
	ASSERT_EQ(0, mm_swap_cycle());
	look(self, &self->has);
	/* The pages of others came in, too. */
	EXPECT_EQ(PAGES / 2, self->has.group[2 * ZERO + IN] - self->had.group[2 * ZERO + IN]);
	if (self->had.group[2 * way + IN] >= 0)
		EXPECT_EQ(PAGES / 2, self->has.group[2 * way + IN] - self->had.group[2 * way + IN]);
	EXPECT_EQ(0, mm_cgroup_read(&self->cg, "memory.swap.current"));
	EXPECT_EQ(0, wrong(self, 0, PAGES / 2, true));
	EXPECT_EQ(0, wrong(self, PAGES / 2, PAGES / 2, false));
}

TEST_HARNESS_MAIN
