// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that were in swap and are back: what is in them then is what the next reclaim keeps, whether they were written since or
 * not, by whom, and where their bytes had been.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	32
#define LEN	(PAGES * PAGE)
#define SEED	1
#define ZSWAP	"/sys/module/zswap/parameters/enabled"

FIXTURE(back) {
	struct mm_cgroup cg;
	char *p, *twin;			/* what the bytes shall be */
	bool zswap;			/* was on */
	int fd;
};

FIXTURE_VARIANT(back) {
	int flags;
	bool zswap;
	bool zeroes;			/* pages of zeroes have no place on the disk */
};

FIXTURE_VARIANT_ADD(back, anon) { .flags = MAP_PRIVATE };
FIXTURE_VARIANT_ADD(back, shmem) { .flags = MAP_SHARED };
FIXTURE_VARIANT_ADD(back, anon_zswap) { .flags = MAP_PRIVATE, .zswap = true };
FIXTURE_VARIANT_ADD(back, shmem_zswap) { .flags = MAP_SHARED, .zswap = true };
FIXTURE_VARIANT_ADD(back, anon_zero) { .flags = MAP_PRIVATE, .zeroes = true };
FIXTURE_VARIANT_ADD(back, shmem_zero) { .flags = MAP_SHARED, .zeroes = true };

static int set_zswap(bool on)
{
	return access(ZSWAP, W_OK) ? 0 : mm_write_file(ZSWAP, on ? "1" : "0");
}

/* A quarter of the page is bytes, so that it can be compressed. */
static void fill(const FIXTURE_VARIANT(back) *variant, char *p, int from, int n, int seed)
{
	for (int i = from; i < from + n; i++) {
		memset(p + i * PAGE, 0, PAGE);
		if (!variant->zeroes)
			mm_fill_from(p + i * PAGE, PAGE / 4, seed, i * PAGE);
	}
}

FIXTURE_SETUP(back)
{
	char text[8];

	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	NEED(variant->zswap && access(ZSWAP, W_OK) ? "ZSWAP" : NULL);
	self->zswap = mm_read_file(ZSWAP, text, sizeof(text)) > 0 && *text == 'Y';
	ASSERT_EQ(0, set_zswap(variant->zswap));
	ASSERT_EQ(0, mm_cgroup_create(&self->cg, "swap-back"));
	self->p = mm_map(LEN, PAGE, variant->flags, -1);
	self->twin = mm_map_aligned(LEN, PAGE);
	ASSERT_TRUE(self->p && self->twin);
	ASSERT_EQ(0, mm_cgroup_enter(&self->cg));
	fill(variant, self->p, 0, PAGES, SEED);
	ASSERT_EQ(0, mm_cgroup_leave());
	memcpy(self->twin, self->p, LEN);
	mm_lru_drain();
	self->fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
}

FIXTURE_TEARDOWN(back)
{
	close(self->fd);
	munmap(self->p, LEN);
	munmap(self->twin, LEN);
	EXPECT_EQ(0, mm_cgroup_remove(&self->cg));
	EXPECT_EQ(0, set_zswap(self->zswap));
}

/*
 * All of it out. What was read ahead from zswap is dirty, and as long as nobody has mapped it reclaim does not write it: it is
 * neither of a file nor, yet, anonymous (mm/vmscan.c, pageout()).
 */
static long out(FIXTURE_DATA(back) *self)
{
	mm_touch_read(self->p, LEN);
	return mm_cgroup_drop(&self->cg, self->p, LEN);
}

static int wrong(const FIXTURE_DATA(back) *self)
{
	int n = 0;

	for (int i = 0; i < PAGES; i++)
		n += !!memcmp(self->p + i * PAGE, self->twin + i * PAGE, PAGE);
	return n;
}

/* read only, three times out and back */
TEST_F(back, read)
{
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, out(self));
		EXPECT_EQ(0, wrong(self)) TH_LOG("round %d", i);
	}
}

/* what was written since, in part of the pages and of their bytes */
TEST_F(back, written)
{
	for (int round = 0; round < 3; round++) {
		ASSERT_EQ(0, out(self));
		EXPECT_EQ(0, wrong(self)) TH_LOG("round %d", round);
		for (int i = round; i < PAGES; i += 3) {
			memset(self->p + i * PAGE + 100 * round, 0x11 * (round + 1), 50);
			memset(self->twin + i * PAGE + 100 * round, 0x11 * (round + 1), 50);
		}
	}
	ASSERT_EQ(0, out(self));
	EXPECT_EQ(0, wrong(self));
}

/* what was written without a read before: the fault brings the page in, and what is around the store stays */
TEST_F(back, stored)
{
	for (int round = 0; round < 2; round++) {
		ASSERT_EQ(0, out(self));
		for (int i = round; i < PAGES; i += 2) {
			self->p[i * PAGE + PAGE / 2] = 'x' + round;
			self->twin[i * PAGE + PAGE / 2] = 'x' + round;
		}
		ASSERT_EQ(0, out(self));
	}
	EXPECT_EQ(0, wrong(self));
}

/* what the kernel wrote for a system call, through another mapping of the same memory too */
TEST_F(back, by_system_call)
{
	char bytes[64];

	memset(bytes, 'k', sizeof(bytes));
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, out(self));
	EXPECT_EQ(0, wrong(self));
	for (int i = 0; i < PAGES; i += 2) {
		struct iovec from = { bytes, sizeof(bytes) }, to = { self->p + i * PAGE + 7, sizeof(bytes) };

		EXPECT_EQ(sizeof(bytes), i % 4 ? process_vm_writev(getpid(), &from, 1, &to, 1, 0) :
			  pwrite(self->fd, bytes, sizeof(bytes), (uintptr_t)to.iov_base));
		memcpy(self->twin + i * PAGE + 7, bytes, sizeof(bytes));
	}
	ASSERT_EQ(0, out(self));
	EXPECT_EQ(0, wrong(self));
}

/* pages that are asked for ahead, and are in memory without a place in the page table when reclaim comes, or a fault */
TEST_F(back, ahead)
{
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, out(self));
		ASSERT_EQ(0, madvise(self->p, LEN, MADV_WILLNEED));
		if (!variant->zswap)
			ASSERT_EQ(0, mm_cgroup_drop(&self->cg, self->p, LEN));
		EXPECT_EQ(0, wrong(self)) TH_LOG("round %d", i);
	}
	ASSERT_EQ(0, out(self));
	ASSERT_EQ(0, madvise(self->p, LEN, MADV_WILLNEED));
	for (int i = 0; i < PAGES; i += 2)
		self->p[i * PAGE] = self->twin[i * PAGE] = 'w';
	ASSERT_EQ(0, out(self));
	EXPECT_EQ(0, wrong(self));
}

/* all of it rewritten, as something else than it was: bytes in place of zeroes, and zeroes in place of bytes */
TEST_F(back, another_kind)
{
	for (int round = 0; round < 3; round++) {
		ASSERT_EQ(0, out(self));
		for (int i = 0; i < PAGES; i++) {
			bool zero = (i + round) % 2;

			memset(self->p + i * PAGE, 0, PAGE);
			if (!zero)
				mm_fill_from(self->p + i * PAGE, PAGE / 4, SEED + round, i * PAGE);
		}
		memcpy(self->twin, self->p, LEN);
		ASSERT_EQ(0, out(self));
		EXPECT_EQ(0, wrong(self)) TH_LOG("round %d", round);
	}
}

/* zswap is turned off, and on again, while pages are out: they come back from where they are, and go where it says next */
TEST_F(back, zswap_switched)
{
	if (!variant->zswap)
		return;
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, out(self));
		ASSERT_EQ(0, set_zswap(i % 2));
		EXPECT_EQ(0, wrong(self)) TH_LOG("round %d", i);
		for (int j = i; j < PAGES; j += 4)
			self->p[j * PAGE + 1] = self->twin[j * PAGE + 1] = 'a' + i;
	}
	ASSERT_EQ(0, out(self));
	EXPECT_EQ(0, wrong(self));
}

/* swapoff brings them back with the bytes of last time, and the next swap area gets them as they are then */
TEST_F(back, swapoff)
{
	ASSERT_EQ(0, out(self));
	EXPECT_EQ(0, wrong(self));
	for (int i = 0; i < PAGES; i += 2)
		self->p[i * PAGE + 5] = self->twin[i * PAGE + 5] = 's';
	ASSERT_EQ(0, out(self));
	ASSERT_EQ(0, mm_swap_cycle());
	EXPECT_EQ(0, wrong(self));
	for (int i = 1; i < PAGES; i += 2)
		self->p[i * PAGE + 6] = self->twin[i * PAGE + 6] = 't';
	ASSERT_EQ(0, out(self));
	EXPECT_EQ(0, wrong(self));
}

TEST_HARNESS_MAIN
