// SPDX-License-Identifier: GPL-2.0
/* A pinned page that has a copy in the swap cache: only folio_try_share_anon_rmap_pte() keeps it from being unmapped. */
#include <errno.h>
#include <linux/kernel-page-flags.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mm.h"

#define N	8
#define SEED	41

FIXTURE(pinned)
{
	struct mm_pin pin;
	uint64_t was[N], is[N];
	char *p;
	bool is_pinned;
};

FIXTURE_SETUP(pinned)
{
	NEED(mm_need_swap());
	NEED(mm_need_gup_test());
	self->p = mm_map_aligned(N * PAGE, PAGE);
	ASSERT_NE(NULL, self->p);
	mm_fill(self->p, N * PAGE, SEED);
	ASSERT_EQ(0, mm_pageout(self->p, N * PAGE));
	/* A read leaves the page in the swap cache. */
	mm_touch_read(self->p, N * PAGE);
	ASSERT_EQ(0, mm_pin_gup(&self->pin, self->p, N * PAGE));
	self->is_pinned = true;
	ASSERT_EQ(0, mm_pfns(0, self->p, self->was, N));
	for (int i = 0; i < N; i++)
		ASSERT_TRUE(mm_kpf(self->was[i], KPF_SWAPCACHE));
}

FIXTURE_TEARDOWN(pinned)
{
	if (self->is_pinned)
		mm_unpin(&self->pin);
	munmap(self->p, N * PAGE);
}

/* reclaim leaves it where it is, mapped and with its bytes, as long as the pin lasts */
TEST_F(pinned, reclaim)
{
	EXPECT_EQ(N, mm_pageout(self->p, N * PAGE));
	ASSERT_EQ(0, mm_pfns(0, self->p, self->is, N));
	EXPECT_EQ(0, memcmp(self->was, self->is, sizeof(self->was)));
	mm_unpin(&self->pin);
	self->is_pinned = false;
	EXPECT_EQ(0, mm_pageout(self->p, N * PAGE));
	EXPECT_EQ(-1, mm_check(self->p, N * PAGE, SEED));
}

/* migration leaves it where it is, and works once the pin is gone */
TEST_F(pinned, migrate)
{
	NEED(madvise(NULL, 0, MADV_SOFT_OFFLINE) ? "MEMORY_FAILURE" : NULL);
	errno = 0;
	EXPECT_EQ(-1, madvise(self->p, PAGE, MADV_SOFT_OFFLINE));
	EXPECT_EQ(EBUSY, errno);
	ASSERT_EQ(0, mm_pfns(0, self->p, self->is, N));
	EXPECT_EQ(0, memcmp(self->was, self->is, sizeof(self->was)));
	mm_unpin(&self->pin);
	self->is_pinned = false;
	if (mm_need_soft_offline())
		return;
	EXPECT_EQ(0, madvise(self->p, PAGE, MADV_SOFT_OFFLINE));
	EXPECT_NE(self->was[0], mm_pfn(0, self->p));
	EXPECT_EQ(-1, mm_check(self->p, N * PAGE, SEED));
	EXPECT_EQ(0, mm_unpoison(self->was[0]));
}

/* a pin for long, to write, of a file that has to know of writes is refused: EFAULT; to read, or of memory, it is granted */
TEST(of_files)
{
	static const char *const dirs[] = { "/mnt", "/tmp", "" };

	NEED(mm_need_gup_test());
	NEED(mm_need_pin());
	NEED(access("/dev/ubdb", F_OK) ? "ext4 on /dev/ubdb" : NULL);
	for (int i = 0; i < 2 * sizeof(dirs) / sizeof(*dirs); i++) {
		const char *dir = dirs[i / 2];
		int fd = mm_tmpfile(dir, N * PAGE), flags = i % 2 ? MAP_PRIVATE : MAP_SHARED;
		int want = !strcmp(dir, "/mnt") && flags == MAP_SHARED ? -EFAULT : 0, got;
		char *p = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
		struct mm_pin pin;

		ASSERT_NE(MAP_FAILED, p);
		mm_fill(p, N * PAGE, SEED);
		got = mm_pin_gup(&pin, p, N * PAGE);
		EXPECT_EQ(want, got) TH_LOG("gup_test: %s, %s", dir, i % 2 ? "private" : "shared");
		if (!got)
			mm_unpin(&pin);
		got = mm_pin_uring(&pin, p, N * PAGE);
		EXPECT_EQ(want, got) TH_LOG("io_uring: %s, %s", dir, i % 2 ? "private" : "shared");
		if (!got)
			mm_unpin(&pin);
		got = mm_pin_gup_read(&pin, p, N * PAGE);
		EXPECT_EQ(0, got) TH_LOG("to read: %s, %s", dir, i % 2 ? "private" : "shared");
		if (!got)
			mm_unpin(&pin);
		EXPECT_EQ(-1, mm_check(p, N * PAGE, SEED));
		munmap(p, N * PAGE);
		close(fd);
	}
}

TEST_HARNESS_MAIN
