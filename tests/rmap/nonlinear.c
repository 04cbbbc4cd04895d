// SPDX-License-Identifier: GPL-2.0
/* remap_file_pages(), once nonlinear VMAs: many VMAs now, and the reverse map finds the pages in each. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <linux/falloc.h>

#include "kselftest_harness.h"
#include "mm.h"

#define PAGES	8
#define LEN	(PAGES * PAGE)
#define RW	(PROT_READ | PROT_WRITE)

/* The processes of a tree find the nonlinear mapping here. */
static char *region;

/* The C library's wrapper is deprecated. */
static int remap(void *p, size_t len, int prot, size_t page, int flags)
{
	return syscall(__NR_remap_file_pages, p, len, prot, page, flags);
}

/* Map the pages of the file in reverse order. */
static int reverse(void)
{
	int err = 0;

	for (int i = 0; i < PAGES; i++)
		err |= remap(region + i * PAGE, PAGE, 0, PAGES - 1 - i, 0);
	return err;
}

/* Pages that do not show the page of the file that they have to. */
static int wrong_pages(void *arg)
{
	int n = 0;

	for (int i = 0; i < PAGES; i++)
		n += mm_check_from(region + i * PAGE, PAGE, 1, (PAGES - 1 - i) * PAGE) != -1;
	return n;
}

static int signal_at(void *arg)
{
	return mm_probe_read(arg);
}

FIXTURE(mapping)
{
	int fd;
	struct mm_tree *t;
	char *linear;			/* another mapping of the file */
	uint64_t pfns[PAGES];		/* of the file's pages */
	int vmas;			/* of the process, before */
};

FIXTURE_VARIANT(mapping)
{
	const char *dir;
};

FIXTURE_VARIANT_ADD(mapping, shmem) { };
FIXTURE_VARIANT_ADD(mapping, ext4) { .dir = "/mnt" };

FIXTURE_SETUP(mapping)
{
	self->fd = mm_tmpfile(variant->dir, LEN);
	ASSERT_LE(0, self->fd);
	self->linear = mmap(NULL, LEN, RW, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->linear);
	mm_fill(self->linear, LEN, 1);
	ASSERT_EQ(0, mm_pfns(0, self->linear, self->pfns, PAGES));
	region = mm_map(LEN, PAGE, MAP_SHARED, self->fd);
	ASSERT_NE(NULL, region);
}

FIXTURE_TEARDOWN(mapping)
{
	if (self->t)
		mm_tree_end(self->t);
	munmap(region, LEN);
	munmap(self->linear, LEN);
	close(self->fd);
}

/* each call makes a VMA with the offset asked for, and maps that page of the file at once */
TEST_F(mapping, reversed)
{
	struct mm_vma vma;

	ASSERT_EQ(0, reverse());
	EXPECT_EQ(PAGES, mm_vma_count(0, region, LEN));
	EXPECT_EQ(PAGES, mm_count_present(0, region, LEN));
	for (int i = 0; i < PAGES; i++) {
		ASSERT_EQ(0, mm_vma(0, region + i * PAGE, &vma));
		EXPECT_EQ((PAGES - 1 - i) * PAGE, vma.offset);
		EXPECT_EQ(0, strcmp("rw-s", vma.prot));
		EXPECT_EQ(self->pfns[PAGES - 1 - i], mm_pfn(0, region + i * PAGE));
		EXPECT_EQ(2, mm_kpagecount(self->pfns[i]));
	}
	EXPECT_EQ(0, wrong_pages(NULL));
}

/* a write through the reversed mapping is seen at the page's linear address and in the file */
TEST_F(mapping, write)
{
	char byte;

	ASSERT_EQ(0, reverse());
	region[PAGE + 7] ^= 1;
	byte = region[PAGE + 7];
	EXPECT_EQ(byte, self->linear[(PAGES - 2) * PAGE + 7]);
	ASSERT_EQ(1, pread(self->fd, &byte, 1, (PAGES - 2) * PAGE + 7));
	EXPECT_EQ(region[PAGE + 7], byte);
}

/* a window of several pages is one VMA, and back in its place it merges with its neighbours */
TEST_F(mapping, window)
{
	ASSERT_EQ(0, remap(region + 2 * PAGE, 3 * PAGE, 0, 5, 0));
	EXPECT_EQ(3, mm_vma_count(0, region, LEN));
	EXPECT_EQ(-1, mm_check(region, 2 * PAGE, 1));
	EXPECT_EQ(-1, mm_check_from(region + 2 * PAGE, 3 * PAGE, 1, 5 * PAGE));
	EXPECT_EQ(-1, mm_check_from(region + 5 * PAGE, 3 * PAGE, 1, 5 * PAGE));
	ASSERT_EQ(0, remap(region + 2 * PAGE, 3 * PAGE, 0, 2, 0));
	EXPECT_EQ(1, mm_vma_count(0, region, LEN));
	EXPECT_EQ(-1, mm_check(region, LEN, 1));
}

/* a range over several VMAs of one mapping is replaced by one VMA */
TEST_F(mapping, over_several)
{
	ASSERT_EQ(0, reverse());
	ASSERT_EQ(0, remap(region + PAGE, (PAGES - 1) * PAGE, 0, 1, 0));
	EXPECT_EQ(2, mm_vma_count(0, region, LEN));
	EXPECT_EQ(-1, mm_check_from(region, PAGE, 1, (PAGES - 1) * PAGE));
	EXPECT_EQ(-1, mm_check_from(region + PAGE, LEN - PAGE, 1, PAGE));
}

/* a hole punched into the file is found at the nonlinear address, in the process and in its child */
TEST_F(mapping, punch_hole)
{
	ASSERT_EQ(0, reverse());
	self->t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	EXPECT_EQ(0, mm_tree_call(self->t, 0, wrong_pages, NULL));
	EXPECT_EQ(3, mm_kpagecount(self->pfns[2]));
	ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2 * PAGE, PAGE));
	for (int i = 0; i < PAGES; i++) {
		EXPECT_EQ(i == PAGES - 3 ? 0 : self->pfns[PAGES - 1 - i], mm_pfn(0, region + i * PAGE));
		EXPECT_EQ(i == PAGES - 3 ? 0 : self->pfns[PAGES - 1 - i],
			  mm_pfn(mm_tree_pid(self->t, 0), region + i * PAGE));
	}
	EXPECT_EQ(-1, mm_check_byte(region + (PAGES - 3) * PAGE, PAGE, 0));
	EXPECT_EQ(1, mm_tree_call(self->t, 0, wrong_pages, NULL));
}

/* truncation takes the first pages of the reversed mapping away, which are the last ones of the file */
TEST_F(mapping, truncate)
{
	ASSERT_EQ(0, reverse());
	self->t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	ASSERT_EQ(0, ftruncate(self->fd, LEN - 2 * PAGE));
	for (int i = 0; i < PAGES; i++) {
		EXPECT_EQ(i < 2 ? SIGBUS : 0, mm_probe_read(region + i * PAGE));
		EXPECT_EQ(i < 2 ? SIGBUS : 0, mm_tree_call(self->t, 0, signal_at, region + i * PAGE));
	}
	EXPECT_EQ(3, mm_kpagecount(self->pfns[0]));
}

/* a locked mapping stays locked in each piece, page for page */
TEST_F(mapping, locked)
{
	/* A page that is mapped twice counts by halves. */
	ASSERT_EQ(0, munmap(self->linear, LEN));
	ASSERT_EQ(0, mlock(region, LEN));
	ASSERT_EQ(0, reverse());
	for (int i = 0; i < PAGES; i++) {
		EXPECT_TRUE(mm_vmflag(0, region + i * PAGE, "lo"));
		EXPECT_EQ(PAGE / KB, mm_smaps(0, region + i * PAGE, "Locked"));
	}
	ASSERT_EQ(0, munlock(region, LEN));
	EXPECT_EQ(0, wrong_pages(NULL));
}

FIXTURE(refused)
{
	int fd;
	char *maps;
};

FIXTURE_SETUP(refused)
{
	self->fd = mm_memfd(LEN);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(refused)
{
	munmap(region, LEN);
	close(self->fd);
}

/* What the call returns, and that it left the address space as it was: errno, or -1. */
static int refused(void *p, size_t len, int prot, size_t page)
{
	char *before = mm_maps(0), *after;
	int err, same;

	err = remap(p, len, prot, page, 0) ? errno : 0;
	after = mm_maps(0);
	same = before && after && !strcmp(before, after);
	free(before);
	free(after);
	return same ? err : -1;
}

/* protections, private and anonymous private memory, offsets that wrap, empty ranges and holes are EINVAL */
TEST_F(refused, einval)
{
	region = mmap(NULL, LEN, RW, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, region);
	EXPECT_EQ(EINVAL, refused(region, PAGE, PROT_READ, 1));
	EXPECT_EQ(EINVAL, refused(region, PAGE - 1, 0, 1));
	EXPECT_EQ(EINVAL, refused(region, PAGE, 0, -1UL));
	EXPECT_EQ(EINVAL, refused((void *)-PAGE, 2 * PAGE, 0, 1));
	/* A hole in the range, and a VMA of other flags. */
	ASSERT_EQ(0, mprotect(region + 4 * PAGE, PAGE, PROT_READ));
	EXPECT_EQ(EINVAL, refused(region + 2 * PAGE, 4 * PAGE, 0, 0));
	ASSERT_EQ(0, munmap(region + 4 * PAGE, PAGE));
	EXPECT_EQ(EINVAL, refused(region + 2 * PAGE, 4 * PAGE, 0, 0));
	EXPECT_EQ(EINVAL, refused(region + 4 * PAGE, PAGE, 0, 0));
	ASSERT_EQ(region, mmap(region, LEN, RW, MAP_PRIVATE | MAP_FIXED, self->fd, 0));
	EXPECT_EQ(EINVAL, refused(region, PAGE, 0, 1));
	ASSERT_EQ(region, mmap(region, LEN, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_EQ(EINVAL, refused(region, PAGE, 0, 1));
}

/* the address is rounded down to its page, as it always was */
TEST_F(refused, unaligned)
{
	region = mmap(NULL, LEN, RW, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, region);
	mm_fill(region, LEN, 1);
	ASSERT_EQ(0, remap(region + PAGE + 1, PAGE + 1, 0, 6, 0));
	EXPECT_EQ(3, mm_vma_count(0, region, LEN));
	EXPECT_EQ(-1, mm_check_from(region + PAGE, PAGE, 1, 6 * PAGE));
	EXPECT_EQ(-1, mm_check_from(region + 2 * PAGE, PAGE, 1, 2 * PAGE));
}

TEST_HARNESS_MAIN
