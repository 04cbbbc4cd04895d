// SPDX-License-Identifier: GPL-2.0
/* mremap() of file mappings: which page of the file is where, and that the file follows the new place. */
#include "kselftest_harness.h"
#include <linux/aio_abi.h>
#include <linux/falloc.h>
#include <linux/kernel-page-flags.h>
#include <sys/syscall.h>
#include "mremap.h"

#define SEED	1	/* of the file */
#define OWN	2	/* of what a private mapping has in place of it */
#define LATER	3
#define FIRST	3	/* the mapping begins at this page of the file */

FIXTURE(file) {
	int fd;
	size_t len;
	char *new;
	char *buf;		/* as long as the mapping */
};

FIXTURE_VARIANT(file) {
	const char *dir;	/* NULL: shmem */
	size_t len, old, new;	/* offsets past a multiple of PMD_SIZE */
};

FIXTURE_VARIANT_ADD(file, ext4) { .dir = "/mnt", .len = 16 * PAGE, .old = 2 * PAGE, .new = 9 * PAGE };
FIXTURE_VARIANT_ADD(file, ext4_pmd) { .dir = "/mnt", .len = PMD_SIZE };
FIXTURE_VARIANT_ADD(file, shmem) { .len = 16 * PAGE, .old = 2 * PAGE, .new = 9 * PAGE };
FIXTURE_VARIANT_ADD(file, shmem_pmd) { .len = PMD_SIZE };
FIXTURE_VARIANT_ADD(file, shmem_mutual) { .len = PMD_SIZE, .old = 448 * PAGE, .new = 448 * PAGE };

/* Write the mapped part of the file anew. */
static int rewrite(const FIXTURE_DATA(file) *self, uint64_t seed)
{
	mm_fill(self->buf, self->len, seed);
	return pwrite(self->fd, self->buf, self->len, FIRST * PAGE) == (ssize_t)self->len ? 0 : -errno;
}

/* First byte of pages [first, end) of the mapping that read(2) does not find in the file, or -1. */
static ssize_t check_file(const FIXTURE_DATA(file) *self, size_t first, size_t end, uint64_t seed)
{
	size_t n = (end - first) * PAGE;

	if (pread(self->fd, self->buf, n, (FIRST + first) * PAGE) != (ssize_t)n)
		return 0;
	return mm_check_from(self->buf, n, seed, first * PAGE);
}

FIXTURE_SETUP(file)
{
	self->len = variant->len;
	self->fd = variant->dir ? mm_tmpfile(variant->dir, self->len + FIRST * PAGE) :
				  mm_memfd(self->len + FIRST * PAGE);
	ASSERT_LE(0, self->fd);
	self->buf = malloc(self->len);
	ASSERT_NE(NULL, self->buf);
	ASSERT_EQ(0, rewrite(self, SEED));
}

FIXTURE_TEARDOWN(file)
{
	close(self->fd);
	free(self->buf);
}

/* Map the file at an address of the variant; choose the other one. */
static char *map_file(FIXTURE_DATA(file) *self, const FIXTURE_VARIANT(file) *v, int flags)
{
	char *room = free_range(2 * (self->len + PMD_SIZE), PMD_SIZE), *old;

	if (!room)
		return MAP_FAILED;
	self->new = room + (self->len + PMD_SIZE) / PMD_SIZE * PMD_SIZE + v->new;
	old = room + v->old;
	return mmap(old, self->len, PROT_READ | PROT_WRITE, flags | MAP_FIXED, self->fd, FIRST * PAGE);
}

/* shared: frames, bytes and offset are kept, and what is written at the new place is in the file */
TEST_F(file, shared)
{
	char *old = map_file(self, variant, MAP_SHARED), *new = self->new;
	size_t pages = self->len / PAGE;
	uint64_t before[PMD_SIZE / PAGE], after[PMD_SIZE / PAGE];
	struct mm_vma vma;

	ASSERT_NE(MAP_FAILED, old);
	mm_touch_read(old, self->len);
	ASSERT_EQ(0, mm_pfns(0, old, before, pages));
	ASSERT_EQ(new, move(old, self->len, new));
	ASSERT_EQ(0, mm_pfns(0, new, after, pages));
	EXPECT_EQ(0, other_frames(before, after, pages));
	EXPECT_EQ(-1, mm_check(new, self->len, SEED));
	ASSERT_EQ(0, mm_vma(0, new, &vma));
	EXPECT_EQ(FIRST * PAGE, vma.offset);
	EXPECT_STREQ("rw-s", vma.prot);
	EXPECT_TRUE(gone(old, 16 * PAGE));
	mm_fill(new, self->len, LATER);
	EXPECT_EQ(-1, check_file(self, 0, pages, LATER));
	ASSERT_EQ(0, rewrite(self, SEED));
	EXPECT_EQ(-1, mm_check(new, self->len, SEED));
	EXPECT_EQ(0, msync(new, self->len, MS_SYNC));
	ASSERT_EQ(0, munmap(new, self->len));
	EXPECT_EQ(-1, check_file(self, 0, pages, SEED));
}

/* private: copied pages keep their frames, others stay those of the file, and the file is never changed */
TEST_F(file, private)
{
	char *old = map_file(self, variant, MAP_PRIVATE), *new = self->new;
	size_t pages = self->len / PAGE;
	uint64_t before[PMD_SIZE / PAGE], after[PMD_SIZE / PAGE];
	struct mm_page page;

	ASSERT_NE(MAP_FAILED, old);
	mm_touch_read(old, self->len);
	for (size_t i = 1; i < pages; i += 2)
		mm_fill_from(old + i * PAGE, PAGE, OWN, i * PAGE);
	ASSERT_EQ(0, mm_pfns(0, old, before, pages));
	ASSERT_EQ(new, move(old, self->len, new));
	ASSERT_EQ(0, mm_pfns(0, new, after, pages));
	EXPECT_EQ(0, other_frames(before, after, pages));
	ASSERT_EQ(0, mm_page(0, new, &page));
	EXPECT_TRUE(page.file);
	ASSERT_EQ(0, mm_page(0, new + PAGE, &page));
	EXPECT_FALSE(page.file);
	/* What others write to the file shows in the pages that are still its own. */
	ASSERT_EQ(0, rewrite(self, LATER));
	for (size_t i = 0; i < pages; i++)
		EXPECT_EQ(-1, mm_check_from(new + i * PAGE, PAGE, i & 1 ? OWN : LATER, i * PAGE));
	EXPECT_TRUE(gone(old, 16 * PAGE));
	/* Write to all: the others are copied now, and the file keeps its bytes. */
	mm_fill(new, self->len, OWN + 10);
	EXPECT_EQ(-1, kernel_check(new, self->len, OWN + 10));
	EXPECT_EQ(-1, check_file(self, 0, pages, LATER));
	ASSERT_EQ(0, mm_pfns(0, new, after, pages));
	EXPECT_EQ(pages / 2, other_frames(before, after, pages));
}

/* the file finds its mapping at the new place: what truncation cuts off raises SIGBUS there */
TEST_F(file, truncate)
{
	char *old = map_file(self, variant, MAP_SHARED), *new = self->new;
	size_t half = self->len / 2;

	ASSERT_NE(MAP_FAILED, old);
	mm_touch_write(old, self->len);
	ASSERT_EQ(new, move(old, self->len, new));
	ASSERT_EQ(0, ftruncate(self->fd, FIRST * PAGE + half));
	EXPECT_EQ(half / PAGE, mm_count_present(0, new, self->len));
	EXPECT_EQ(-1, mm_check(new, half, SEED));
	for (size_t at = half; at < self->len; at += 4 * PAGE) {
		EXPECT_EQ(SIGBUS, mm_probe_read(new + at));
		EXPECT_EQ(SIGBUS, mm_probe_write(new + at, 1));
	}
	ASSERT_EQ(0, ftruncate(self->fd, FIRST * PAGE + self->len));
	EXPECT_EQ(-1, mm_check_byte(new + half, half, 0));
	mm_fill(new, self->len, LATER);
	EXPECT_EQ(-1, check_file(self, 0, self->len / PAGE, LATER));
}

/* a hole punched into the file shows at the new place, and is filled through it again */
TEST_F(file, punch)
{
	char *old = map_file(self, variant, MAP_SHARED), *new = self->new;
	size_t hole = 4 * PAGE, pages = self->len / PAGE;

	ASSERT_NE(MAP_FAILED, old);
	mm_touch_write(old, self->len);
	ASSERT_EQ(new, move(old, self->len, new));
	ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       FIRST * PAGE + hole, hole));
	EXPECT_EQ(pages - 4, mm_count_present(0, new, self->len));
	EXPECT_EQ(-1, mm_check(new, hole, SEED));
	EXPECT_EQ(-1, mm_check_byte(new + hole, hole, 0));
	EXPECT_EQ(-1, mm_check_from(new + 2 * hole, self->len - 2 * hole, SEED, 2 * hole));
	mm_fill_from(new + hole, hole, LATER, hole);
	EXPECT_EQ(-1, check_file(self, 4, 8, LATER));
	EXPECT_EQ(-1, check_file(self, 8, pages, SEED));
}

/* old_size 0 of a shared mapping makes a second one of the same pages, at the same offset */
TEST_F(file, duplicate)
{
	char *old = map_file(self, variant, MAP_SHARED), *new = self->new;
	size_t pages = self->len / PAGE;
	uint64_t at_old[PMD_SIZE / PAGE], at_new[PMD_SIZE / PAGE];
	struct mm_vma vma;

	ASSERT_NE(MAP_FAILED, old);
	mm_touch_read(old, self->len);
	ASSERT_EQ(0, mm_pfns(0, old, at_old, pages));
	ASSERT_EQ(new, mremap(old, 0, self->len, MREMAP_MAYMOVE | MREMAP_FIXED, new));
	EXPECT_EQ(0, mm_count_present(0, new, self->len));
	EXPECT_EQ(pages, mm_count_present(0, old, self->len));
	EXPECT_EQ(-1, mm_check(new, self->len, SEED));
	ASSERT_EQ(0, mm_pfns(0, new, at_new, pages));
	EXPECT_EQ(0, other_frames(at_old, at_new, pages));
	ASSERT_EQ(0, mm_vma(0, new, &vma));
	EXPECT_EQ(FIRST * PAGE, vma.offset);
	mm_fill(new, self->len, LATER);
	EXPECT_EQ(-1, mm_check(old, self->len, LATER));
	EXPECT_EQ(-1, check_file(self, 0, pages, LATER));
	ASSERT_EQ(0, munmap(old, self->len));
	EXPECT_EQ(-1, mm_check(new, self->len, LATER));
	/* From the middle: what lies behind it, as far as is asked for. */
	old = mremap(new + 5 * PAGE, 0, 2 * PAGE, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, old);
	EXPECT_EQ(-1, mm_check_from(old, 2 * PAGE, LATER, 5 * PAGE));
	ASSERT_EQ(0, mm_vma(0, old, &vma));
	EXPECT_EQ((FIRST + 5) * PAGE, vma.offset);
}

/* a mapping that grows past the end of the file raises SIGBUS there, until the file grows too */
TEST_F(file, grow)
{
	char *old = map_file(self, variant, MAP_SHARED);
	size_t more = 8 * PAGE;

	ASSERT_NE(MAP_FAILED, old);
	mm_touch_read(old, self->len);
	ASSERT_EQ(old, mremap(old, self->len, self->len + more, 0));
	EXPECT_EQ(-1, mm_check(old, self->len, SEED));
	EXPECT_EQ(SIGBUS, mm_probe_read(old + self->len));
	EXPECT_EQ(SIGBUS, mm_probe_write(old + self->len + more - PAGE, 1));
	ASSERT_EQ(0, ftruncate(self->fd, FIRST * PAGE + self->len + more));
	EXPECT_EQ(-1, mm_check_byte(old + self->len, more, 0));
	mm_fill_from(old + self->len, more, LATER, self->len);
	EXPECT_EQ(-1, check_file(self, self->len / PAGE, self->len / PAGE + 8, LATER));
}

/* writeback finds its pages at the new place: they are clean after msync(), and dirty again when written */
TEST(mkclean)
{
	size_t len = PMD_SIZE + 64 * PAGE;
	char *room = free_range(4 * PMD_SIZE, PMD_SIZE), *old = room, *new = room + 2 * PMD_SIZE;
	int fd = mm_tmpfile("/mnt", len);
	struct mm_page page;

	ASSERT_NE(NULL, room);
	ASSERT_LE(0, fd);
	ASSERT_EQ(old, mmap(old, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0));
	for (size_t at = 0; at < len; at += 32 * PAGE)
		mm_fill_from(old + at, PAGE, SEED, at);
	ASSERT_EQ(new, move(old, len, new));
	EXPECT_EQ(18 * PAGE / KB, mm_smaps(0, new, "Shared_Dirty") + mm_smaps(0, new, "Private_Dirty"));
	ASSERT_EQ(0, msync(new, len, MS_SYNC));
	EXPECT_EQ(0, mm_smaps(0, new, "Shared_Dirty") + mm_smaps(0, new, "Private_Dirty"));
	ASSERT_EQ(0, mm_page(0, new + PMD_SIZE, &page));
	EXPECT_FALSE(mm_kpf(page.pfn, KPF_DIRTY));
	mm_fill_from(new + PMD_SIZE, PAGE, LATER, PMD_SIZE);
	EXPECT_TRUE(mm_kpf(page.pfn, KPF_DIRTY));
	EXPECT_EQ(PAGE / KB, mm_smaps(0, new, "Shared_Dirty") + mm_smaps(0, new, "Private_Dirty"));
	ASSERT_EQ(0, msync(new, len, MS_SYNC));
	EXPECT_FALSE(mm_kpf(page.pfn, KPF_DIRTY));
	EXPECT_EQ(page.pfn, mm_pfn(0, new + PMD_SIZE));
	EXPECT_EQ(-1, mm_check_from(new + PMD_SIZE, PAGE, LATER, PMD_SIZE));
	close(fd);
}

/* old_size 0 works for shared anonymous memory too: two places, the same pages */
TEST(duplicate_anon)
{
	char *old = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), *new;

	ASSERT_NE(MAP_FAILED, old);
	mm_fill(old, 8 * PAGE, SEED);
	new = mremap(old, 0, 8 * PAGE, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, new);
	ASSERT_NE(old, new);
	EXPECT_EQ(-1, mm_check(new, 8 * PAGE, SEED));
	EXPECT_EQ(mm_pfn(0, old), mm_pfn(0, new));
	EXPECT_EQ(2, mm_kpagecount(mm_pfn(0, new)));
	mm_fill(old, 8 * PAGE, LATER);
	EXPECT_EQ(-1, mm_check(new, 8 * PAGE, LATER));
	ASSERT_EQ(0, munmap(old, 8 * PAGE));
	EXPECT_EQ(-1, mm_check(new, 8 * PAGE, LATER));
	EXPECT_EQ(1, mm_kpagecount(mm_pfn(0, new)));
}

/* Read one page of @fd through AIO context @ctx; the number of events that came back. */
static long aio_read(aio_context_t ctx, int fd, void *buf)
{
	struct iocb cb = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = fd,
		.aio_buf = (uintptr_t)buf,
		.aio_nbytes = PAGE,
		.aio_data = 4711,
	}, *list[] = { &cb };
	struct io_event event = { 0 };

	if (syscall(__NR_io_submit, ctx, 1L, list) != 1)
		return -errno;
	if (syscall(__NR_io_getevents, ctx, 1L, 1L, &event, NULL) != 1)
		return -errno;
	return event.data == 4711 && event.res == PAGE ? 1 : -EIO;
}

/* the driver of a mapping is told that it moved: an AIO ring works at its new address, and only there */
TEST(aio_ring)
{
	int fd = mm_memfd(PAGE);
	aio_context_t ctx = 0;
	struct mm_vma vma;
	uint64_t pfn;
	char *ring, *new, *buf;
	size_t len;

	ASSERT_LE(0, fd);
	buf = mm_map_aligned(PAGE, PAGE);
	ASSERT_NE(NULL, buf);
	mm_fill(buf, PAGE, SEED);
	ASSERT_EQ(PAGE, pwrite(fd, buf, PAGE, 0));
	ASSERT_EQ(0, syscall(__NR_io_setup, 32, &ctx));
	ring = (char *)ctx;
	ASSERT_EQ(0, mm_vma(0, ring, &vma));
	len = vma.end - vma.start;
	mm_touch_read(ring, len);
	pfn = mm_pfn(0, ring);
	new = mremap(ring, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, free_range(len, PMD_SIZE));
	ASSERT_NE(MAP_FAILED, new);
	EXPECT_EQ(pfn, mm_pfn(0, new));
	memset(buf, 0, PAGE);
	EXPECT_EQ(1, aio_read((aio_context_t)new, fd, buf));
	EXPECT_EQ(-1, mm_check(buf, PAGE, SEED));
	EXPECT_EQ(-EINVAL, aio_read(ctx, fd, buf));
	EXPECT_TRUE(gone(ring, len));
	EXPECT_EQ(0, syscall(__NR_io_destroy, (aio_context_t)new));
	EXPECT_TRUE(gone(new, len));
	close(fd);
}

TEST_HARNESS_MAIN
