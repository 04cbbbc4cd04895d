// SPDX-License-Identifier: GPL-2.0
/* UFFDIO_MOVE: an anonymous page goes to another address, and to the anon_vma of another VMA, without a copy. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include "kselftest_harness.h"
#include "mm.h"

#define PAGES	16
#define LEN	(PAGES * PAGE)
#define SEED	81
#define PGD_SIZE (512 * PUD_SIZE)	/* of an entry of the top page table */

FIXTURE(uffd_move)
{
	char *src, *dst;
	int fd;
};

FIXTURE_SETUP(uffd_move)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MOVE };
	struct uffdio_register reg = { .range.len = LEN, .mode = UFFDIO_REGISTER_MODE_MISSING };

	self->fd = mm_userfaultfd(O_CLOEXEC | O_NONBLOCK);
	NEED(self->fd < 0 || ioctl(self->fd, UFFDIO_API, &api) ? "USERFAULTFD with UFFDIO_MOVE" : NULL);
	self->src = mm_map_aligned(LEN, PAGE);
	self->dst = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, self->src);
	ASSERT_NE(NULL, self->dst);
	reg.range.start = (uintptr_t)self->dst;
	ASSERT_EQ(0, ioctl(self->fd, UFFDIO_REGISTER, &reg));
}

FIXTURE_TEARDOWN(uffd_move)
{
	close(self->fd);
}

/* Move @len bytes to the start of the destination; the bytes that moved, or -errno. */
static long move(FIXTURE_DATA(uffd_move) *self, const char *from, size_t len, uint64_t mode)
{
	struct uffdio_move m = { .dst = (uintptr_t)self->dst, .src = (uintptr_t)from, .len = len, .mode = mode };

	return ioctl(self->fd, UFFDIO_MOVE, &m) ? -errno : m.move;
}

/* the frames are the same ones, exclusive, and the reverse map finds them at their new address alone */
TEST_F(uffd_move, same_frames)
{
	uint64_t was[PAGES], is[PAGES];
	struct mm_page page;

	mm_fill(self->src, LEN, SEED);
	ASSERT_EQ(0, mm_pfns(0, self->src, was, PAGES));
	EXPECT_EQ(LEN, move(self, self->src, LEN, 0));
	ASSERT_EQ(0, mm_pfns(0, self->dst, is, PAGES));
	for (int i = 0; i < PAGES; i++)
		EXPECT_EQ(was[i], is[i]);
	EXPECT_EQ(0, mm_count_present(0, self->src, LEN));
	ASSERT_EQ(0, mm_page(0, self->dst, &page));
	EXPECT_TRUE(page.exclusive);
	EXPECT_EQ(-1, mm_check(self->dst, LEN, SEED));
	/* The source's VMA, and what hung at it, is gone: the walk goes by the anon_vma of the destination. */
	ASSERT_EQ(0, munmap(self->src, LEN));
	if (!mm_need_swap()) {
		EXPECT_EQ(0, mm_pageout(self->dst, LEN));
		EXPECT_EQ(PAGES, mm_count_swapped(0, self->dst, LEN));
		EXPECT_EQ(-1, mm_check(self->dst, LEN, SEED));
	}
}

/* pages in swap move by their entries: nothing is read from the device until they are touched */
TEST_F(uffd_move, swapped)
{
	struct mm_page was, is;
	struct mm_snap *before;

	NEED(mm_need_swap());
	mm_fill(self->src, LEN, SEED);
	ASSERT_EQ(0, mm_pageout(self->src, LEN));
	ASSERT_EQ(0, mm_page(0, self->src, &was));
	before = mm_snap();
	EXPECT_EQ(LEN, move(self, self->src, LEN, 0));
	EXPECT_EQ(0, mm_delta(before, "pswpin"));
	ASSERT_EQ(0, mm_page(0, self->dst, &is));
	EXPECT_TRUE(is.swapped);
	EXPECT_EQ(was.swap_offset, is.swap_offset);
	EXPECT_EQ(0, mm_count_swapped(0, self->src, LEN));
	EXPECT_EQ(-1, mm_check(self->dst, LEN, SEED));
	mm_snap_free(before);
}

/* a page that a child shares stays where it is: EBUSY */
TEST_F(uffd_move, shared)
{
	struct mm_tree *t;

	mm_fill(self->src, LEN, SEED);
	t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, t);
	EXPECT_EQ(-EBUSY, move(self, self->src, LEN, 0));
	EXPECT_EQ(PAGES, mm_count_present(0, self->src, LEN));
	EXPECT_EQ(0, mm_count_present(0, self->dst, LEN));
	mm_tree_end(t);
	EXPECT_EQ(-1, mm_check(self->src, LEN, SEED));
}

/* a hole ends the move unless holes are allowed; what came before it has moved */
TEST_F(uffd_move, hole)
{
	mm_fill(self->src, LEN, SEED);
	ASSERT_EQ(0, madvise(self->src + 4 * PAGE, PAGE, MADV_DONTNEED));
	/* A part that moved is no error of the call's, which says how much it was. */
	EXPECT_EQ(-EAGAIN, move(self, self->src, LEN, 0));
	EXPECT_EQ(4, mm_count_present(0, self->dst, LEN));
	EXPECT_EQ(-1, mm_check(self->dst, 4 * PAGE, SEED));
	EXPECT_EQ(PAGES - 5, mm_count_present(0, self->src, LEN));
}

/* no page table at all, at one level or the other, is a hole too: ENOENT, or nothing to move */
TEST_F(uffd_move, no_table)
{
	const size_t sizes[] = { PMD_SIZE, PUD_SIZE, PGD_SIZE };
	char *p;

	for (int i = 0; i < 3; i++) {
		/* With three levels the address space is one entry of a PGD. */
		if ((uintptr_t)&p < 2 * sizes[i])
			break;
		/* Reserve twice the size: in the middle of it nothing was ever mapped. */
		p = mm_reserve(2 * sizes[i], sizes[i]);
		ASSERT_NE(NULL, p);
		p += sizes[i];
		ASSERT_EQ(p, mmap(p, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
		EXPECT_EQ(-ENOENT, move(self, p, LEN, 0));
		EXPECT_EQ(LEN, move(self, p, LEN, UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES));
		EXPECT_EQ(0, mm_count_present(0, self->dst, LEN));
		ASSERT_EQ(0, munmap(p - sizes[i], 2 * sizes[i]));
	}
}

TEST_HARNESS_MAIN
