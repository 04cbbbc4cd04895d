// SPDX-License-Identifier: GPL-2.0
/*
 * MREMAP_FIXED of a range with several VMAs in it: without a change of size all of them move, with the
 * holes between them; what cannot be moved with others stops the move where it is.
 */
#include "kselftest_harness.h"
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include "mremap.h"

#define SEED	1
#define LATER	2
#define PAGES	24

FIXTURE(range) {
	char *old, *new;
	uint64_t pfn[PAGES];
};

FIXTURE_SETUP(range)
{
	self->old = mm_map_at_offset(PAGES * PAGE, PMD_SIZE, PMD_SIZE - 9 * PAGE);
	self->new = free_range(PAGES * PAGE + PMD_SIZE, PMD_SIZE);
	ASSERT_NE(NULL, self->old);
	ASSERT_NE(NULL, self->new);
	self->new += 77 * PAGE;
	mm_fill(self->old, PAGES * PAGE, SEED);
	ASSERT_EQ(0, mm_pfns(0, self->old, self->pfn, PAGES));
}

FIXTURE_TEARDOWN(range)
{
	munmap(self->old, PAGES * PAGE);
	munmap(self->new, PAGES * PAGE);
}

/* Whether pages [first, first+n) of the range are at @p with frames and bytes. */
static bool holds(const FIXTURE_DATA(range) *self, char *p, size_t first, size_t n)
{
	uint64_t now[PAGES];

	return !mm_pfns(0, p, now, n) && !other_frames(self->pfn + first, now, n) &&
	       mm_check_from(p, n * PAGE, SEED, first * PAGE) == -1;
}

/* Whether the VMA at @p begins there, has @n pages and protection @prot. */
static bool vma_is(char *p, size_t n, const char *prot)
{
	struct mm_vma vma;

	return !mm_vma(0, p, &vma) && vma.start == (unsigned long)p &&
	       vma.end == (unsigned long)p + n * PAGE && !strcmp(vma.prot, prot);
}

/* rw 0-7, r 8-11, hole 12-15, rw 16-19, none 20-23 */
static int cut(char *p)
{
	if (mprotect(p + 8 * PAGE, 4 * PAGE, PROT_READ) || munmap(p + 12 * PAGE, 4 * PAGE))
		return -errno;
	return mprotect(p + 20 * PAGE, 4 * PAGE, PROT_NONE) ? -errno : 0;
}

/* VMAs of different protection move with it, a hole between them stays a hole, the old range is empty */
TEST_F(range, move)
{
	char *p = self->new;

	NEED(mm_need_mremap_vmas());
	ASSERT_EQ(0, cut(self->old));
	ASSERT_EQ(p, move(self->old, PAGES * PAGE, p));
	EXPECT_TRUE(vma_is(p, 8, "rw-p"));
	EXPECT_TRUE(vma_is(p + 8 * PAGE, 4, "r--p"));
	EXPECT_TRUE(vma_is(p + 16 * PAGE, 4, "rw-p"));
	EXPECT_TRUE(vma_is(p + 20 * PAGE, 4, "---p"));
	EXPECT_TRUE(gone(p + 12 * PAGE, 4 * PAGE));
	EXPECT_TRUE(holds(self, p, 0, 12));
	EXPECT_TRUE(holds(self, p + 16 * PAGE, 16, 4));
	EXPECT_EQ(SIGSEGV, mm_probe_write(p + 8 * PAGE, 0));
	EXPECT_EQ(SEGV_ACCERR, mm_probe_code());
	EXPECT_EQ(SIGSEGV, mm_probe_read(p + 20 * PAGE));
	ASSERT_EQ(0, mprotect(p + 20 * PAGE, 4 * PAGE, PROT_READ));
	EXPECT_TRUE(holds(self, p + 20 * PAGE, 20, 4));
	mm_fill(p, 8 * PAGE, LATER);
	EXPECT_EQ(-1, kernel_check(p, 8 * PAGE, LATER));
	EXPECT_TRUE(gone(self->old, PAGES * PAGE));
}

/* a range that begins and ends inside VMAs splits them: the outer parts stay */
TEST_F(range, split)
{
	char *p = self->new;

	NEED(mm_need_mremap_vmas());
	ASSERT_EQ(0, cut(self->old));
	ASSERT_EQ(p, move(self->old + 3 * PAGE, 15 * PAGE, p));
	EXPECT_TRUE(vma_is(self->old, 3, "rw-p"));
	EXPECT_TRUE(holds(self, self->old, 0, 3));
	EXPECT_TRUE(gone(self->old + 3 * PAGE, 15 * PAGE));
	EXPECT_TRUE(vma_is(self->old + 18 * PAGE, 2, "rw-p"));
	EXPECT_TRUE(holds(self, self->old + 18 * PAGE, 18, 2));
	EXPECT_TRUE(vma_is(p, 5, "rw-p"));
	EXPECT_TRUE(vma_is(p + 5 * PAGE, 4, "r--p"));
	EXPECT_TRUE(gone(p + 9 * PAGE, 4 * PAGE));
	EXPECT_TRUE(vma_is(p + 13 * PAGE, 2, "rw-p"));
	EXPECT_TRUE(holds(self, p, 3, 9));
	EXPECT_TRUE(holds(self, p + 13 * PAGE, 16, 2));
}

/* a hole at the end of the range does not matter */
TEST_F(range, hole_at_end)
{
	NEED(mm_need_mremap_vmas());
	ASSERT_EQ(0, cut(self->old));
	ASSERT_EQ(self->new, move(self->old, 14 * PAGE, self->new));
	EXPECT_TRUE(holds(self, self->new, 0, 12));
	EXPECT_EQ(2, mm_vma_count(0, self->new, PAGES * PAGE));
	EXPECT_TRUE(gone(self->old, 16 * PAGE));
	EXPECT_TRUE(holds(self, self->old + 16 * PAGE, 16, 4));
}

/* moved away and back, the VMAs are those from before, and frames and bytes too */
TEST_F(range, back)
{
	char *before, *after;

	NEED(mm_need_mremap_vmas());
	ASSERT_EQ(0, cut(self->old));
	before = mm_maps(0);
	ASSERT_EQ(self->new, move(self->old, PAGES * PAGE, self->new));
	ASSERT_EQ(self->old, move(self->new, PAGES * PAGE, self->old));
	after = mm_maps(0);
	EXPECT_STREQ(before, after);
	EXPECT_TRUE(holds(self, self->old, 0, 12));
	EXPECT_TRUE(holds(self, self->old + 16 * PAGE, 16, 4));
	EXPECT_EQ(0, reachable(self->new, PAGES * PAGE));
}

/* MREMAP_DONTUNMAP of several VMAs: all keep their place and protection, empty, all pages are moved */
TEST_F(range, dontunmap)
{
	char *p = self->new;

	NEED(mm_need_mremap_vmas());
	ASSERT_EQ(0, cut(self->old));
	ASSERT_EQ(p, mremap(self->old, PAGES * PAGE, PAGES * PAGE,
			    MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, p));
	EXPECT_TRUE(holds(self, p, 0, 12));
	EXPECT_TRUE(holds(self, p + 16 * PAGE, 16, 4));
	EXPECT_TRUE(gone(p + 12 * PAGE, 4 * PAGE));
	EXPECT_TRUE(vma_is(self->old, 8, "rw-p"));
	EXPECT_TRUE(vma_is(self->old + 8 * PAGE, 4, "r--p"));
	EXPECT_TRUE(vma_is(self->old + 16 * PAGE, 4, "rw-p"));
	EXPECT_TRUE(vma_is(self->old + 20 * PAGE, 4, "---p"));
	EXPECT_EQ(0, mm_count_present(0, self->old, PAGES * PAGE));
	EXPECT_EQ(-1, mm_check_byte(self->old, 12 * PAGE, 0));
	EXPECT_EQ(-1, mm_check_byte(self->old + 16 * PAGE, 4 * PAGE, 0));
}

/* anonymous, shared anonymous, shared and private file: each arrives as what it was, with its offset */
TEST(mixed)
{
	char *old = free_range(64 * PAGE, PMD_SIZE), *new = old + 35 * PAGE;
	int fd = mm_tmpfile("/mnt", 16 * PAGE), shm = mm_memfd(16 * PAGE);
	uint64_t before[20], after[20];
	struct mm_vma vma;
	char *file;

	NEED(mm_need_mremap_vmas());
	ASSERT_LE(0, fd);
	ASSERT_LE(0, shm);
	ASSERT_NE(NULL, old);
	ASSERT_EQ(old, map_at(old, 4 * PAGE));
	ASSERT_EQ(old + 4 * PAGE, mmap(old + 4 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	ASSERT_EQ(old + 10 * PAGE, mmap(old + 10 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_FIXED, shm, 5 * PAGE));
	ASSERT_EQ(old + 14 * PAGE, mmap(old + 14 * PAGE, 6 * PAGE, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_FIXED, fd, 7 * PAGE));
	mm_fill(old, 8 * PAGE, SEED);
	mm_fill_from(old + 10 * PAGE, 10 * PAGE, SEED, 10 * PAGE);
	ASSERT_EQ(0, mm_pfns(0, old, before, 20));
	ASSERT_EQ(new, move(old, 20 * PAGE, new));
	ASSERT_EQ(0, mm_pfns(0, new, after, 20));
	EXPECT_EQ(0, other_frames(before, after, 8));
	EXPECT_EQ(0, other_frames(before + 10, after + 10, 10));
	EXPECT_EQ(-1, mm_check(new, 8 * PAGE, SEED));
	EXPECT_EQ(-1, mm_check_from(new + 10 * PAGE, 10 * PAGE, SEED, 10 * PAGE));
	EXPECT_TRUE(vma_is(new, 4, "rw-p"));
	EXPECT_TRUE(vma_is(new + 4 * PAGE, 4, "rw-s"));
	EXPECT_TRUE(gone(new + 8 * PAGE, 2 * PAGE));
	EXPECT_TRUE(vma_is(new + 10 * PAGE, 4, "rw-s"));
	ASSERT_EQ(0, mm_vma(0, new + 10 * PAGE, &vma));
	EXPECT_EQ(5 * PAGE, vma.offset);
	EXPECT_TRUE(vma_is(new + 14 * PAGE, 6, "rw-p"));
	ASSERT_EQ(0, mm_vma(0, new + 14 * PAGE, &vma));
	EXPECT_EQ(7 * PAGE, vma.offset);
	EXPECT_TRUE(gone(old, 20 * PAGE));
	mm_fill(new + 10 * PAGE, 10 * PAGE, LATER);
	file = mmap(NULL, 16 * PAGE, PROT_READ, MAP_SHARED, shm, 0);
	ASSERT_NE(MAP_FAILED, file);
	EXPECT_EQ(-1, mm_check(file + 5 * PAGE, 4 * PAGE, LATER));
	file = mmap(NULL, 16 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, file);
	EXPECT_EQ(-1, mm_check_byte(file, 16 * PAGE, 0));
}

/* VMAs whose borders and page tables do not coincide, moved table by table: no page is lost or doubled */
TEST(tables)
{
	size_t len = 3 * PMD_SIZE, pages = len / PAGE, cut = PMD_SIZE + 100 * PAGE;
	char *old = mm_map_aligned(len, PMD_SIZE), *new = free_range(len, PMD_SIZE);
	static uint64_t before[1536], after[1536];

	NEED(mm_need_mremap_vmas());
	ASSERT_NE(NULL, old);
	ASSERT_NE(NULL, new);
	fill_new(old, len, SEED);
	ASSERT_EQ(0, mprotect(old + cut, 50 * PAGE, PROT_READ));
	ASSERT_EQ(0, munmap(old + cut + 20 * PAGE, 10 * PAGE));
	ASSERT_EQ(0, mm_pfns(0, old, before, pages));
	ASSERT_EQ(new, move(old, len, new));
	ASSERT_EQ(0, mm_pfns(0, new, after, pages));
	for (size_t i = 0; i < pages; i++)
		ASSERT_EQ(before[i], after[i]);
	EXPECT_EQ(pages - 10, mm_count_present(0, new, len));
	EXPECT_EQ(-1, mm_check(new, cut + 20 * PAGE, SEED));
	EXPECT_EQ(-1, mm_check_from(new + cut + 30 * PAGE, len - cut - 30 * PAGE, SEED, cut + 30 * PAGE));
	EXPECT_TRUE(gone(new + cut + 20 * PAGE, 10 * PAGE));
	EXPECT_TRUE(vma_is(new, cut / PAGE, "rw-p"));
	EXPECT_TRUE(vma_is(new + cut, 20, "r--p"));
	EXPECT_TRUE(vma_is(new + cut + 30 * PAGE, 20, "r--p"));
	EXPECT_TRUE(vma_is(new + cut + 50 * PAGE, pages - cut / PAGE - 50, "rw-p"));
	EXPECT_EQ(0, reachable(old, PAGE));
	EXPECT_EQ(0, reachable(old + cut, PAGE));
	EXPECT_EQ(0, reachable(old + len - PAGE, PAGE));
}

/* Register [p, p+len) with a new userfaultfd; the descriptor or -errno. */
static int arm(char *p, size_t len)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { .start = (unsigned long)p, .len = len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = mm_userfaultfd(O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	return ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg) ? -errno : fd;
}

/* a VMA of a userfaultfd that comes first is EFAULT at once: nothing moves */
TEST_F(range, uffd_first)
{
	int fd = arm(self->old, 8 * PAGE);
	char *before, *after;

	ASSERT_LE(0, fd);
	before = mm_maps(0);
	EXPECT_EQ(MAP_FAILED, move(self->old, PAGES * PAGE, self->new));
	EXPECT_EQ(EFAULT, errno);
	after = mm_maps(0);
	EXPECT_STREQ(before, after);
	EXPECT_TRUE(holds(self, self->old, 0, PAGES));
	EXPECT_EQ(0, reachable(self->new, PAGES * PAGE));
	close(fd);
}

/* one that comes later is EFAULT too, when what lies before it has moved; it and the rest stay */
TEST_F(range, uffd_later)
{
	int fd = arm(self->old + 8 * PAGE, 8 * PAGE);

	NEED(mm_need_mremap_vmas());
	ASSERT_LE(0, fd);
	EXPECT_EQ(MAP_FAILED, move(self->old, PAGES * PAGE, self->new));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_TRUE(holds(self, self->new, 0, 8));
	EXPECT_TRUE(gone(self->old, 8 * PAGE));
	EXPECT_TRUE(holds(self, self->old + 8 * PAGE, 8, PAGES - 8));
	EXPECT_TRUE(gone(self->new + 8 * PAGE, (PAGES - 8) * PAGE));
	close(fd);
}

/* one that is alone in the range moves like any other */
TEST_F(range, uffd_alone)
{
	int fd = arm(self->old + 8 * PAGE, 8 * PAGE);

	ASSERT_LE(0, fd);
	ASSERT_EQ(self->new, move(self->old + 8 * PAGE, 8 * PAGE, self->new));
	EXPECT_TRUE(holds(self, self->new, 8, 8));
	EXPECT_TRUE(gone(self->old + 8 * PAGE, 8 * PAGE));
	EXPECT_TRUE(holds(self, self->old, 0, 8));
	close(fd);
}

/* a sealed VMA stops the move with EPERM: it and what follows stay, all bytes are in one place */
TEST_F(range, sealed_later)
{
	NEED(mm_need_mremap_vmas());
	ASSERT_EQ(0, mprotect(self->old + 8 * PAGE, 4 * PAGE, PROT_READ));
	ASSERT_EQ(0, mm_mseal(self->old + 8 * PAGE, 4 * PAGE));
	EXPECT_EQ(MAP_FAILED, move(self->old, PAGES * PAGE, self->new));
	EXPECT_EQ(EPERM, errno);
	EXPECT_TRUE(holds(self, self->new, 0, 8));
	EXPECT_TRUE(gone(self->old, 8 * PAGE));
	EXPECT_TRUE(holds(self, self->old + 8 * PAGE, 8, PAGES - 8));
	EXPECT_TRUE(gone(self->new + 8 * PAGE, (PAGES - 8) * PAGE));
}

TEST_HARNESS_MAIN
