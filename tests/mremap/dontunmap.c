// SPDX-License-Identifier: GPL-2.0
/* MREMAP_DONTUNMAP: the pages move, the old mapping stays and is as if it had just been made. */
#include "kselftest_harness.h"
#include "mremap.h"

#define SEED		1
#define LATER		2

/* Leave [old, old+len) mapped and move its pages, to @to if it is not NULL. */
static char *leave(char *old, size_t len, char *to)
{
	return mremap(old, len, len, MREMAP_MAYMOVE | MREMAP_DONTUNMAP | (to ? MREMAP_FIXED : 0), to);
}

FIXTURE(anon) {
	char *old, *to;
	size_t len;
	uint64_t *pfn;		/* of all pages of the region */
};

FIXTURE_VARIANT(anon) {
	size_t len, old, new;	/* offsets past a multiple of PMD_SIZE */
	bool fixed;
};

FIXTURE_VARIANT_ADD(anon, page) { .len = 16 * PAGE, .old = 3 * PAGE };
FIXTURE_VARIANT_ADD(anon, page_fixed) { .len = 16 * PAGE, .old = 3 * PAGE, .new = 7 * PAGE, .fixed = true };
FIXTURE_VARIANT_ADD(anon, pmd) { .len = PMD_SIZE, .fixed = true };
FIXTURE_VARIANT_ADD(anon, pmd_misaligned) { .len = PMD_SIZE, .new = PAGE, .fixed = true };
FIXTURE_VARIANT_ADD(anon, mutual) {
	.len = PMD_SIZE, .old = 500 * PAGE, .new = 500 * PAGE, .fixed = true,
};

FIXTURE_SETUP(anon)
{
	self->len = variant->len;
	self->old = mm_map_at_offset(self->len, PMD_SIZE, variant->old);
	ASSERT_NE(NULL, self->old);
	fill_new(self->old, self->len, SEED);
	self->pfn = calloc(2 * self->len / PAGE, sizeof(*self->pfn));
	ASSERT_NE(NULL, self->pfn);
	ASSERT_EQ(0, mm_pfns(0, self->old, self->pfn, self->len / PAGE));
	if (variant->fixed) {
		self->to = free_range(self->len + variant->new, PMD_SIZE);
		ASSERT_NE(NULL, self->to);
		self->to += variant->new;
	}
}

FIXTURE_TEARDOWN(anon)
{
	free(self->pfn);
}

/* How many pages at @p have other frames than the region had before the move. */
static long changed(const FIXTURE_DATA(anon) *self, char *p)
{
	uint64_t *now = self->pfn + self->len / PAGE;

	return mm_pfns(0, p, now, self->len / PAGE) ? -1 : other_frames(self->pfn, now, self->len / PAGE);
}

/* frames and bytes are at the new place, the old one is empty, reads zero, and both are independent */
TEST_F(anon, leaves_zeroes)
{
	long vm_size = mm_status(0, "VmSize");
	struct mm_vma before, after;
	char *new;

	ASSERT_EQ(0, mm_vma(0, self->old, &before));
	new = leave(self->old, self->len, self->to);
	ASSERT_NE(MAP_FAILED, new);
	ASSERT_NE(self->old, new);
	if (self->to)
		ASSERT_EQ(self->to, new);
	EXPECT_EQ(0, mm_count_present(0, self->old, self->len));
	EXPECT_EQ(0, changed(self, new));
	EXPECT_EQ(-1, mm_check(new, self->len, SEED));
	ASSERT_EQ(0, mm_vma(0, self->old, &after));
	EXPECT_EQ(before.start, after.start);
	EXPECT_EQ(before.end, after.end);
	EXPECT_STREQ(before.prot, after.prot);
	EXPECT_EQ(self->len / KB, mm_status(0, "VmSize") - vm_size);

	ASSERT_EQ(-1, mm_check_byte(self->old, self->len, 0));
	for (size_t at = 0; at < self->len; at += 8 * PAGE)
		mm_fill_from(self->old + at, PAGE, LATER, at);
	EXPECT_EQ(-1, mm_check(new, self->len, SEED));
	EXPECT_EQ(-1, kernel_check(new, self->len, SEED));
	for (size_t at = 0; at < self->len; at += 8 * PAGE)
		EXPECT_EQ(-1, kernel_check_from(self->old + at, PAGE, LATER, at));
	EXPECT_EQ(0, changed(self, new));
}

/* done twice from one place: each target has what the old place held at its time */
TEST_F(anon, twice)
{
	char *first, *second;

	first = leave(self->old, self->len, self->to);
	ASSERT_NE(MAP_FAILED, first);
	mm_fill(self->old, 4 * PAGE, LATER);
	second = leave(self->old, self->len, NULL);
	ASSERT_NE(MAP_FAILED, second);
	EXPECT_EQ(0, changed(self, first));
	EXPECT_EQ(-1, mm_check(first, self->len, SEED));
	EXPECT_EQ(4, mm_count_present(0, second, self->len));
	EXPECT_EQ(-1, mm_check(second, 4 * PAGE, LATER));
	EXPECT_EQ(-1, mm_check_byte(second + 4 * PAGE, 4 * PAGE, 0));
	ASSERT_EQ(-1, mm_check_byte(self->old, self->len, 0));
	mm_fill(self->old, PAGE, LATER + 1);
	EXPECT_EQ(-1, mm_check(second, PAGE, LATER));
	EXPECT_EQ(-1, mm_check(first, PAGE, SEED));
}

static int child_view(void *arg)
{
	FIXTURE_DATA(anon) *self = arg;

	if (mm_check_byte(self->old, self->len, 0) != -1)
		return 1;
	mm_fill(self->old, PAGE, LATER);
	return kernel_check(self->old, PAGE, LATER) == -1 ? 0 : 2;
}

/* a child forked afterwards finds zeroes at the old place, and its parent does not see what it writes */
TEST_F(anon, fork)
{
	char *new = leave(self->old, self->len, self->to);

	ASSERT_NE(MAP_FAILED, new);
	EXPECT_EQ(0, mm_in_child(child_view, self));
	EXPECT_EQ(-1, mm_check_byte(self->old, PAGE, 0));
	EXPECT_EQ(-1, mm_check(new, self->len, SEED));
	EXPECT_EQ(0, changed(self, new));
}

/* the middle of a VMA: its other pages keep their place, frames and bytes, in one VMA with the hole */
TEST(middle)
{
	char *p = mm_map_aligned(16 * PAGE, PMD_SIZE), *new;
	uint64_t before[16], after[16];

	ASSERT_NE(NULL, p);
	mm_fill(p, 16 * PAGE, SEED);
	ASSERT_EQ(0, mm_pfns(0, p, before, 16));
	new = leave(p + 4 * PAGE, 8 * PAGE, NULL);
	ASSERT_NE(MAP_FAILED, new);
	ASSERT_EQ(0, mm_pfns(0, p, after, 16));
	for (int i = 0; i < 16; i++)
		EXPECT_EQ(i < 4 || i >= 12 ? before[i] : 0, after[i]);
	ASSERT_EQ(0, mm_pfns(0, new, after, 8));
	EXPECT_EQ(0, other_frames(before + 4, after, 8));
	EXPECT_EQ(1, mm_vma_count(0, p, 16 * PAGE));
	EXPECT_EQ(-1, mm_check(p, 4 * PAGE, SEED));
	EXPECT_EQ(-1, mm_check_byte(p + 4 * PAGE, 8 * PAGE, 0));
	EXPECT_EQ(-1, mm_check_from(p + 12 * PAGE, 4 * PAGE, SEED, 12 * PAGE));
	EXPECT_EQ(-1, mm_check_from(new, 8 * PAGE, SEED, 4 * PAGE));
}

/* the old mapping's protection is kept: what was read-only still refuses writes, at both places */
TEST(read_only)
{
	char *p = mm_map_aligned(4 * PAGE, PMD_SIZE), *new;

	ASSERT_NE(NULL, p);
	mm_fill(p, 4 * PAGE, SEED);
	ASSERT_EQ(0, mprotect(p, 4 * PAGE, PROT_READ));
	new = leave(p, 4 * PAGE, NULL);
	ASSERT_NE(MAP_FAILED, new);
	EXPECT_EQ(-1, mm_check_byte(p, 4 * PAGE, 0));
	EXPECT_EQ(-1, mm_check(new, 4 * PAGE, SEED));
	EXPECT_EQ(SIGSEGV, mm_probe_write(p, 0));
	EXPECT_EQ(SEGV_ACCERR, mm_probe_code());
	EXPECT_EQ(SIGSEGV, mm_probe_write(new, 0));
	EXPECT_EQ(SEGV_ACCERR, mm_probe_code());
}

/* shared memory: both places lead to the same pages afterwards, and a write through either is seen by all */
TEST(shmem)
{
	size_t len = 16 * PAGE;
	int fd = mm_memfd(len);
	uint64_t before[16], at_new[16], at_old[16];
	char *old, *new, *file;

	ASSERT_LE(0, fd);
	old = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	file = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, old);
	ASSERT_NE(MAP_FAILED, file);
	mm_fill(old, len, SEED);
	ASSERT_EQ(0, mm_pfns(0, old, before, 16));
	new = leave(old, len, NULL);
	ASSERT_NE(MAP_FAILED, new);
	EXPECT_EQ(0, mm_count_present(0, old, len));
	ASSERT_EQ(0, mm_pfns(0, new, at_new, 16));
	EXPECT_EQ(0, other_frames(before, at_new, 16));
	EXPECT_EQ(-1, mm_check(new, len, SEED));
	EXPECT_EQ(-1, mm_check(old, len, SEED));
	ASSERT_EQ(0, mm_pfns(0, old, at_old, 16));
	EXPECT_EQ(0, other_frames(before, at_old, 16));
	mm_fill(old, len / 2, LATER);
	mm_fill_from(new + len / 2, len / 2, LATER, len / 2);
	EXPECT_EQ(-1, mm_check(new, len, LATER));
	EXPECT_EQ(-1, mm_check(old, len, LATER));
	EXPECT_EQ(-1, mm_check(file, len, LATER));
	close(fd);
}

/* shared anonymous memory is the same as shared memory of a file, and its pages are not lost */
TEST(shared_anon)
{
	size_t len = 8 * PAGE;
	char *old = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), *new;

	ASSERT_NE(MAP_FAILED, old);
	mm_fill(old, len, SEED);
	new = leave(old, len, NULL);
	ASSERT_NE(MAP_FAILED, new);
	EXPECT_EQ(-1, mm_check(new, len, SEED));
	EXPECT_EQ(-1, mm_check(old, len, SEED));
	EXPECT_EQ(mm_pfn(0, new), mm_pfn(0, old));
	mm_fill(old, PAGE, LATER);
	EXPECT_EQ(-1, mm_check(new, PAGE, LATER));
}

/* a private file mapping: copied pages go to the new place, at the old one the file shows again */
TEST(private_file)
{
	size_t len = 8 * PAGE;
	int fd = mm_tmpfile("/mnt", len);
	char buf[PAGE], *old, *new;
	uint64_t copy;

	ASSERT_LE(0, fd);
	mm_fill(buf, PAGE, SEED);
	for (int i = 0; i < 8; i++)
		ASSERT_EQ(PAGE, pwrite(fd, buf, PAGE, i * PAGE));
	old = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, old);
	mm_fill(old + 2 * PAGE, PAGE, LATER);
	copy = mm_pfn(0, old + 2 * PAGE);
	new = leave(old, len, NULL);
	ASSERT_NE(MAP_FAILED, new);
	EXPECT_EQ(copy, mm_pfn(0, new + 2 * PAGE));
	EXPECT_EQ(-1, mm_check(new + 2 * PAGE, PAGE, LATER));
	for (int i = 0; i < 8; i++)
		EXPECT_EQ(-1, mm_check(old + i * PAGE, PAGE, SEED));
	EXPECT_EQ(-1, mm_check(new + PAGE, PAGE, SEED));
	mm_fill(old + 2 * PAGE, PAGE, LATER + 1);
	EXPECT_EQ(-1, mm_check(new + 2 * PAGE, PAGE, LATER));
	close(fd);
}

/* the lock goes with the pages: VmLck stays, the new place is locked and the old one no longer */
TEST(locked)
{
	size_t len = 8 * PAGE;
	char *old = mm_map_aligned(len, PMD_SIZE), *new;
	long locked;

	ASSERT_NE(NULL, old);
	ASSERT_EQ(0, mlock(old, len));
	mm_fill(old, len, SEED);
	locked = mm_status(0, "VmLck");
	EXPECT_EQ(len / KB, locked);
	new = leave(old, len, NULL);
	ASSERT_NE(MAP_FAILED, new);
	EXPECT_EQ(locked, mm_status(0, "VmLck"));
	EXPECT_TRUE(mm_vmflag(0, new, "lo"));
	EXPECT_FALSE(mm_vmflag(0, old, "lo"));
	EXPECT_EQ(len / KB, mm_smaps(0, new, "Locked"));
	EXPECT_EQ(0, mm_count_present(0, old, len));
	EXPECT_EQ(-1, mm_check(new, len, SEED));
	ASSERT_EQ(0, munmap(old, len));
	EXPECT_EQ(locked, mm_status(0, "VmLck"));
	ASSERT_EQ(0, munmap(new, len));
	EXPECT_EQ(0, mm_status(0, "VmLck"));
}

/* the locked middle of a VMA leaves an unlocked middle behind: locked, unlocked, locked */
TEST(locked_middle)
{
	char *old = mm_map_aligned(12 * PAGE, PMD_SIZE), *new;

	ASSERT_NE(NULL, old);
	ASSERT_EQ(0, mlock(old, 12 * PAGE));
	mm_fill(old, 12 * PAGE, SEED);
	new = leave(old + 4 * PAGE, 4 * PAGE, NULL);
	ASSERT_NE(MAP_FAILED, new);
	EXPECT_EQ(12 * PAGE / KB, mm_status(0, "VmLck"));
	EXPECT_EQ(3, mm_vma_count(0, old, 12 * PAGE));
	EXPECT_TRUE(mm_vmflag(0, old, "lo"));
	EXPECT_FALSE(mm_vmflag(0, old + 4 * PAGE, "lo"));
	EXPECT_TRUE(mm_vmflag(0, old + 8 * PAGE, "lo"));
	EXPECT_TRUE(mm_vmflag(0, new, "lo"));
	EXPECT_EQ(-1, mm_check_from(new, 4 * PAGE, SEED, 4 * PAGE));
	EXPECT_EQ(-1, mm_check_byte(old + 4 * PAGE, 4 * PAGE, 0));
	EXPECT_EQ(-1, mm_check_from(old + 8 * PAGE, 4 * PAGE, SEED, 8 * PAGE));
	munmap(old, 12 * PAGE);
	munmap(new, 4 * PAGE);
	EXPECT_EQ(0, mm_status(0, "VmLck"));
}

/* memory that was never touched, to the place right behind it: two mappings that both work, not one */
TEST(untouched_adjacent)
{
	char *p = free_range(8 * PAGE, PMD_SIZE);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(p, map_at(p, 4 * PAGE));
	ASSERT_EQ(p + 4 * PAGE, leave(p, 4 * PAGE, p + 4 * PAGE));
	EXPECT_EQ(-1, mm_check_byte(p, 8 * PAGE, 0));
	mm_fill(p, 8 * PAGE, SEED);
	EXPECT_EQ(-1, kernel_check(p, 8 * PAGE, SEED));
	EXPECT_EQ(8, mm_count_present(0, p, 8 * PAGE));
	EXPECT_EQ(0, reachable(p + 8 * PAGE, PAGE));
	ASSERT_EQ(0, munmap(p, 4 * PAGE));
	EXPECT_EQ(-1, mm_check_from(p + 4 * PAGE, 4 * PAGE, SEED, 4 * PAGE));
}

TEST_HARNESS_MAIN
