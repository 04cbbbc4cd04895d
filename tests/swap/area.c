// SPDX-License-Identifier: GPL-2.0
/* swapon(2) and swapoff(2): which areas are none, and what there is of swap when one comes, goes, or may not be used. */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/swap.h>
#include <unistd.h>
#include "mm.h"

#define SYS	"/sys/block/zram0/"
#define DEV	"/dev/zram0"
#define PAGES	4096UL			/* of the area */
#define SEED	1

/* The first page of an area: union swap_header. */
struct header {
	char boot[1024];
	uint32_t version, last_page, bad_pages;
	char uuid[16], volume[16];
	uint32_t padding[117];
	uint32_t bad[637];
	char rest[2];
	char magic[10];
} __attribute__((packed));

_Static_assert(sizeof(struct header) == PAGE, "");

static long swap_free(void)
{
	mm_slots_drain();
	return mm_meminfo("SwapFree");
}

FIXTURE(area) {
	int fd;
	struct header h;
	long total, free;		/* kB */
	bool reset;
};

FIXTURE_SETUP(area)
{
	self->fd = -1;
	NEED(access(SYS "disksize", W_OK) ? "ZRAM" : NULL);
	self->reset = true;
	ASSERT_EQ(0, mm_write_file(SYS "disksize", "16M"));
	self->fd = open(DEV, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->h.version = 1;
	self->h.last_page = PAGES - 1;
	memcpy(self->h.magic, "SWAPSPACE2", 10);
	self->total = mm_meminfo("SwapTotal");
	self->free = swap_free();
}

FIXTURE_TEARDOWN(area)
{
	if (!self->reset)
		return;
	swapoff(DEV);
	if (self->fd >= 0)
		close(self->fd);
	EXPECT_EQ(0, mm_write_file(SYS "reset", "1"));
	EXPECT_EQ(self->total, mm_meminfo("SwapTotal"));
}

/* 0 or the errno of swapon() of an area with this header */
static int on(FIXTURE_DATA(area) *self, int flags)
{
	if (pwrite(self->fd, &self->h, PAGE, 0) != PAGE || fsync(self->fd))
		return -1;
	return swapon(DEV, flags) ? errno : 0;
}

#define EXPECT_SWAP(pages) do {								\
		EXPECT_EQ(self->total + (long)((pages) * PAGE / KB), mm_meminfo("SwapTotal"));	\
		EXPECT_EQ(self->free + (long)((pages) * PAGE / KB), swap_free());	\
	} while (0)

/* a good one adds its pages but for the first, and takes them away again; twice is EBUSY, without it is EINVAL */
TEST_F(area, good)
{
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, on(self, 0));
		EXPECT_SWAP(PAGES - 1);
		EXPECT_EQ(-1, swapon(DEV, 0));
		EXPECT_EQ(EBUSY, errno);
		EXPECT_SWAP(PAGES - 1);
		ASSERT_EQ(0, swapoff(DEV));
		EXPECT_SWAP(0);
		EXPECT_EQ(-1, swapoff(DEV));
		EXPECT_EQ(EINVAL, errno);
	}
}

/*
 * One bad page at most here: of several the second is beyond the end of badpages[1] of union swap_header, which
 * UBSAN reports at its every use (setup_swap_clusters_info()).
 */

/* an area that is not all of the device is as large as it says; its own bad page is not counted */
TEST_F(area, parts)
{
	self->h.last_page = 99;
	ASSERT_EQ(0, on(self, 0));
	EXPECT_SWAP(99);
	ASSERT_EQ(0, swapoff(DEV));
	self->h.bad_pages = 1;
	for (int i = 0; i < 3; i++) {
		self->h.bad[0] = (uint32_t[]){ 1, 50, 99 }[i];
		ASSERT_EQ(0, on(self, 0));
		EXPECT_SWAP(98);
		ASSERT_EQ(0, swapoff(DEV));
		EXPECT_SWAP(0);
	}
}

/* numbers of bad pages outside of the area are EINVAL, however far; and too many of them */
TEST_F(area, bad_pages)
{
	static const uint32_t numbers[] = { 0, PAGES, PAGES + 1, PAGES + 511, 2 * PAGES, 1 << 20, 1 << 30, -1U };

	self->h.bad_pages = 1;
	for (int i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		self->h.bad[0] = numbers[i];
		EXPECT_EQ(EINVAL, on(self, 0)) TH_LOG("page %u", numbers[i]);
		EXPECT_SWAP(0);
	}
	self->h.last_page = 99;
	self->h.bad[0] = 100;
	EXPECT_EQ(EINVAL, on(self, 0));
	self->h.bad[0] = 511;
	EXPECT_EQ(EINVAL, on(self, 0));
	self->h.bad_pages = 638;
	for (int i = 0; i < 637; i++)
		self->h.bad[i] = 1;
	EXPECT_EQ(EINVAL, on(self, 0));
	EXPECT_SWAP(0);
	self->h.bad_pages = 0;
	EXPECT_EQ(0, on(self, 0));
	EXPECT_SWAP(99);
}

/* what has no signature, another version, no page, or more pages than the device is none: EINVAL */
TEST_F(area, no_area)
{
	self->h.magic[0] = 'X';
	EXPECT_EQ(EINVAL, on(self, 0));
	self->h.magic[0] = 'S';
	self->h.version = 2;
	EXPECT_EQ(EINVAL, on(self, 0));
	self->h.version = 1;
	self->h.last_page = 0;
	EXPECT_EQ(EINVAL, on(self, 0));
	self->h.last_page = PAGES;
	EXPECT_EQ(EINVAL, on(self, 0));
	self->h.last_page = PAGES - 1;
	EXPECT_EQ(EINVAL, on(self, 1 << 20));
	EXPECT_SWAP(0);
	EXPECT_EQ(-1, swapon("/proc/self/exe/none", 0));
	EXPECT_EQ(ENOTDIR, errno);
	EXPECT_EQ(-1, swapon("/dev/null", 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, swapon("/tmp", 0));
	EXPECT_EQ(-1, swapoff("/tmp"));
	EXPECT_EQ(0, on(self, 0));
}

static int as_user(void *arg)
{
	if (setuid(1000))
		return 255;
	if (!swapon(DEV, 0) || errno != EPERM)
		return 1;
	return !swapoff(DEV) || errno != EPERM;
}

/* an ordinary user may neither: EPERM */
TEST_F(area, user)
{
	EXPECT_EQ(0, mm_in_child(as_user, NULL));
	ASSERT_EQ(0, on(self, 0));
	EXPECT_EQ(0, mm_in_child(as_user, NULL));
	EXPECT_SWAP(PAGES - 1);
}

/* a bad page is not used: all others are, with the bytes that they were given */
TEST_F(area, used)
{
	const size_t n = 64, len = n * PAGE;
	char *p = mm_map_aligned(len, PAGE);
	long swapped;

	ASSERT_NE(NULL, p);
	self->h.last_page = 65;
	self->h.bad_pages = 1;
	self->h.bad[0] = 33;
	ASSERT_EQ(0, on(self, SWAP_FLAG_PREFER | 100));
	EXPECT_SWAP(64);
	mm_fill(p, len, SEED);
	EXPECT_EQ(0, mm_pageout(p, len));
	swapped = self->free + (long)(64 * PAGE / KB) - swap_free();
	EXPECT_EQ((long)(len / KB), swapped);
	EXPECT_EQ(-1, mm_check(p, len, SEED));
	munmap(p, len);
	ASSERT_EQ(0, swapoff(DEV));
}

/* pages that the limit of their group keeps from swap leave the number of free slots as it is */
TEST(limit)
{
	const size_t len = 64 * PAGE;
	struct mm_cgroup cg;
	long free;
	char *p;

	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	ASSERT_EQ(0, mm_cgroup_create(&cg, "swap-limit"));
	ASSERT_EQ(0, mm_cgroup_write(&cg, "memory.swap.max", "0"));
	p = mm_map_aligned(len, PAGE);
	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, mm_cgroup_enter(&cg));
	mm_fill(p, len, SEED);
	ASSERT_EQ(0, mm_cgroup_leave());
	mm_lru_drain();
	free = swap_free();
	for (int i = 0; i < 3; i++) {
		madvise(p, len, MADV_PAGEOUT);
		mm_cgroup_reclaim_anon(&cg, len);
	}
	EXPECT_EQ(free, swap_free());
	EXPECT_EQ(0, mm_count_swapped(0, p, len));
	EXPECT_EQ(0, mm_cgroup_read(&cg, "memory.swap.current"));
	/* A limit that lets some of them go. */
	ASSERT_EQ(0, mm_cgroup_write(&cg, "memory.swap.max", "65536"));
	for (int i = 0; i < 3; i++) {
		madvise(p, len, MADV_PAGEOUT);
		mm_cgroup_reclaim_anon(&cg, len);
	}
	EXPECT_EQ(65536, mm_cgroup_read(&cg, "memory.swap.current"));
	EXPECT_EQ(free - 64, swap_free());
	EXPECT_EQ(-1, mm_check(p, len, SEED));
	munmap(p, len);
	EXPECT_EQ(free, swap_free());
	EXPECT_EQ(0, mm_cgroup_remove(&cg));
}

TEST_HARNESS_MAIN
