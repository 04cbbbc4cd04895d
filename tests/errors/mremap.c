// SPDX-License-Identifier: GPL-2.0
/* mremap() with each of its allocations failing: ENOMEM, and what was mapped is where it was. */
#include "kselftest_harness.h"
#include <linux/mman.h>

#include "mm.h"
#include "walk.h"

#define SEED	11
#define OTHER	12	/* bytes of what lay at the new place */

FIXTURE(mremap) {
	struct walk w;
};

/* The call: [p+skip, p+skip+old_len) to @new_len bytes, with @flags, at q. */
static size_t skip, old_len, new_len;
static int flags;

static int mremap_call(struct walk *w)
{
	char *at = mremap(w->p + skip, old_len, new_len, flags, w->q);

	if (at == MAP_FAILED)
		return -errno;
	/* Without MREMAP_FIXED it says where. */
	w->q = at;
	return 0;
}

static void move_back(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;
	char *home = w->p + skip;

	if (new_len > old_len)
		EXPECT_EQ(0, munmap(w->q + old_len, new_len - old_len));
	EXPECT_EQ(home, mremap(w->q, old_len, old_len, MREMAP_MAYMOVE | MREMAP_FIXED, home));
}

static void intact(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(-1, mm_check(w->p, w->len, SEED));
}

/* All of it arrived, what it grew by is zero, and the old place is no longer mapped. */
static void moved(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(-1, mm_check_from(w->q, old_len, SEED, skip));
	EXPECT_EQ(-1, mm_check_byte(w->q + old_len, new_len - old_len, 0));
	EXPECT_EQ(0, mm_vma_count(0, w->p + skip, old_len));
}

FIXTURE_SETUP(mremap)
{
	NEED(mm_need_fail_nth());
	self->w = (struct walk) {
		._metadata = _metadata, .len = 12 * PAGE, .error = ENOMEM,
		.call = mremap_call, .done = moved, .undo = move_back, .intact = intact,
	};
	skip = 0;
	old_len = new_len = self->w.len;
	flags = MREMAP_MAYMOVE | MREMAP_FIXED;
}

FIXTURE_TEARDOWN(mremap)
{
	if (self->w.p)
		munmap(self->w.p, self->w.len);
}

/* Fill a region, and find a place for it at @align; the place is left unmapped. */
static bool prepare(struct walk *w, size_t align)
{
	w->p = mm_map_aligned(w->len, align);
	if (w->fd && mmap(w->p, w->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, w->fd, 0) != w->p)
		return false;
	w->q = mm_reserve(new_len, align);
	if (!w->p || !w->q)
		return false;
	munmap(w->q, new_len);
	mm_fill(w->p, w->len, SEED);
	return true;
}

static void shrink_back(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(0, munmap(w->p + old_len, new_len - old_len));
}

static void grown(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(w->p, w->q);
	EXPECT_EQ(-1, mm_check(w->p, w->len, SEED));
	EXPECT_EQ(-1, mm_check_byte(w->p + old_len, new_len - old_len, 0));
}

/* a locked region grows in place even if its new pages cannot be had at once */
TEST_F(mremap, grow_locked)
{
	struct walk *w = &self->w;

	new_len = 2 * old_len;
	flags = 0;
	w->done = grown;
	w->undo = shrink_back;
	/* The place that is free is behind it. */
	w->p = mm_map_aligned(new_len, PAGE);
	ASSERT_NE(NULL, w->p);
	ASSERT_EQ(0, munmap(w->p + old_len, new_len - old_len));
	mm_fill(w->p, old_len, SEED);
	ASSERT_EQ(0, mlock(w->p, old_len));
	walk(w);
	EXPECT_LE(1, w->injected);
	EXPECT_EQ(0, w->failed);
}

/* Two VMAs with a hole of four pages between them. */
static void two_vmas(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(2, mm_vma_count(0, w->p, w->len));
	EXPECT_EQ(0, mm_vma_count(0, w->p + old_len, 4 * PAGE));
	EXPECT_EQ(-1, mm_check_from(w->p + new_len, w->len - new_len, SEED, new_len));
}

static void one_vma(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(1, mm_vma_count(0, w->p, w->len));
	EXPECT_EQ(-1, mm_check_from(w->p + new_len, w->len - new_len, SEED, new_len));
}

static void new_hole(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	/* Both sides of the hole anew: the left one shall have no anon_vma. */
	EXPECT_EQ(0, munmap(w->p, w->len));
	EXPECT_TRUE(walk_map(w->p, old_len));
	EXPECT_TRUE(walk_map(w->p + new_len, w->len - new_len));
	mm_fill_from(w->p + new_len, w->len - new_len, SEED, new_len);
}

/* a VMA without pages that would grow up to one with pages keeps its size, and gets none of its anon_vmas */
TEST_F(mremap, grow_into_next)
{
	struct walk *w = &self->w;

	old_len = 4 * PAGE;
	new_len = 8 * PAGE;
	flags = 0;
	w->done = one_vma;
	w->undo = new_hole;
	w->intact = two_vmas;
	w->p = mm_map_aligned(w->len, PAGE);
	ASSERT_NE(NULL, w->p);
	new_hole(w);
	walk(w);
	EXPECT_LE(1, w->failed);
}

/* a whole VMA is either at the new place, or at the old one with nothing changed */
TEST_F(mremap, move)
{
	struct walk *w = &self->w;

	ASSERT_TRUE(prepare(w, PAGE));
	walk(w);
	EXPECT_LE(1, w->failed);
}

/* To where no page tables are, so that their allocation may fail when the new VMA is there already. */
static void walk_growth(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	new_len = 2 * old_len;
	ASSERT_TRUE(prepare(w, PUD_SIZE));
	walk(w);
	EXPECT_LE(3, w->failed);
}

/* the same for a VMA that grows on the way */
TEST_F(mremap, grow_and_move)
{
	self->w.any_commit = true;
	walk_growth(&self->w);
}

/* the same, for the charge: what it would have grown by is given back */
TEST_F(mremap, charge_of_growth)
{
	walk_growth(&self->w);
}

/* Every 32nd page only: it is the tables that matter. */
static void fill_sparse(char *p, size_t len)
{
	for (size_t at = 0; at < len; at += 32 * PAGE)
		mm_fill_from(p + at, PAGE, SEED, at);
}

static bool sparse_right(const char *p, size_t len)
{
	for (size_t at = 0; at < len; at += 32 * PAGE)
		if (mm_check_from(p + at, PAGE, SEED, at) >= 0 || mm_count_present(0, p + at, 32 * PAGE) != 1)
			return false;
	return true;
}

static void pmds_moved(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_TRUE(sparse_right(w->q, w->len));
	EXPECT_EQ(0, mm_vma_count(0, w->p, w->len));
}

static void pmds_intact(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_TRUE(sparse_right(w->p, w->len));
}

/* whole page tables, both places aligned: those that had moved before the failure are back */
TEST_F(mremap, move_pmds)
{
	struct walk *w = &self->w;

	w->len = old_len = new_len = 3 * PMD_SIZE;
	w->done = pmds_moved;
	w->intact = pmds_intact;
	/* The new place is in another PUD, so that there are no tables at all. */
	w->p = mm_map_aligned(w->len, PUD_SIZE);
	w->q = mm_reserve(w->len, PUD_SIZE);
	ASSERT_TRUE(w->p && w->q);
	munmap(w->q, w->len);
	fill_sparse(w->p, w->len);
	walk(w);
	EXPECT_LE(3, w->failed);
}

/* a page-misaligned move over three page tables: PTEs that had moved before the failure are back */
TEST_F(mremap, move_ptes)
{
	struct walk *w = &self->w;

	w->len = old_len = new_len = 3 * PMD_SIZE;
	w->done = pmds_moved;
	w->intact = pmds_intact;
	w->p = mm_map_aligned(w->len, PUD_SIZE);
	w->q = mm_reserve(w->len + PAGE, PUD_SIZE);
	ASSERT_TRUE(w->p && w->q);
	munmap(w->q, w->len + PAGE);
	w->q += PAGE;
	fill_sparse(w->p, w->len);
	walk(w);
	EXPECT_LE(5, w->failed);
}

/* a locked VMA: VmLck and the lock itself survive each failure */
TEST_F(mremap, move_locked)
{
	struct walk *w = &self->w;

	ASSERT_TRUE(prepare(w, PAGE));
	ASSERT_EQ(0, mlock(w->p, w->len));
	walk(w);
	EXPECT_LE(1, w->failed);
	EXPECT_TRUE(mm_vmflag(0, w->p, "lo"));
	EXPECT_EQ(w->len / KB, mm_status(0, "VmLck"));
}

static void left(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(-1, mm_check(w->q, w->len, SEED));
	EXPECT_EQ(-1, mm_check_byte(w->p, w->len, 0));
	EXPECT_EQ(1, mm_vma_count(0, w->p, w->len));
}

/* MREMAP_DONTUNMAP: a failure leaves the pages where they were, and no second VMA */
TEST_F(mremap, dontunmap)
{
	struct walk *w = &self->w;

	flags |= MREMAP_DONTUNMAP;
	w->done = left;
	ASSERT_TRUE(prepare(w, PAGE));
	walk(w);
	EXPECT_LE(1, w->failed);
}

/* What lay at the new place is unmapped first: after a failure it may be gone, but not in part. */
static void source_intact(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;
	int there = mm_vma_count(0, w->q, w->len);

	EXPECT_EQ(-1, mm_check(w->p, w->len, SEED));
	EXPECT_GE(1, there);
	if (there)
		EXPECT_EQ(-1, mm_check(w->q, w->len, OTHER));
}

static void put_other(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_TRUE(walk_map(w->q, w->len));
	mm_fill(w->q, w->len, OTHER);
}

static void move_back_put_other(struct walk *w)
{
	if (mm_vma_count(0, w->p, w->len) == 0)
		move_back(w);
	put_other(w);
}

/* MREMAP_FIXED onto another mapping: the source is never hurt, the target is there in full or not at all */
TEST_F(mremap, onto_mapping)
{
	struct walk *w = &self->w;

	w->may_change = true;
	w->intact = source_intact;
	w->undo = move_back_put_other;
	ASSERT_TRUE(prepare(w, PAGE));
	put_other(w);
	walk(w);
	EXPECT_LE(1, w->failed);
}

#define PARTS	3

/* How many of the VMAs are at the new place: they go one by one. */
static int parts_moved(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;
	size_t part = w->len / PARTS;
	int n = 0;

	for (int i = 0; i < PARTS; i++) {
		bool there = mm_vma_count(0, w->q + i * part, part);

		EXPECT_EQ(!there, mm_vma_count(0, w->p + i * part, part));
		EXPECT_EQ(-1, mm_check_from((there ? w->q : w->p) + i * part, part, SEED, i * part));
		/* None overtakes. */
		EXPECT_TRUE(!there || n == i);
		n += there;
	}
	return n;
}

static void some_parts(struct walk *w)
{
	parts_moved(w);
}

static void all_parts(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(PARTS, parts_moved(w));
}

static void parts_back(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;
	size_t len = parts_moved(w) * (w->len / PARTS);

	if (len)
		EXPECT_EQ(w->p, mremap(w->q, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, w->p));
	EXPECT_EQ(0, parts_moved(w));
}

/* several VMAs in one call: those before the failure have moved, each is in one place with all its bytes */
TEST_F(mremap, several_vmas)
{
	struct walk *w = &self->w;
	size_t part = w->len / PARTS;
	int shmem = mm_memfd(part);

	NEED(mm_need_mremap_vmas());
	w->may_change = true;
	w->done = all_parts;
	w->intact = some_parts;
	w->undo = parts_back;
	ASSERT_TRUE(prepare(w, PAGE));
	ASSERT_EQ(w->p + part, mmap(w->p + part, part, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_FIXED, shmem, 0));
	mm_fill(w->p, w->len, SEED);
	ASSERT_EQ(0, mprotect(w->p + 2 * part, part, PROT_READ));
	walk(w);
	EXPECT_LE(2 * PARTS, w->failed);
	close(shmem);
}

/* shared and private file mappings: the file's lists of VMAs survive the failure, as truncation shows */
TEST_F(mremap, move_file)
{
	struct walk *w = &self->w;
	int fd = mm_tmpfile("/mnt", w->len);

	ASSERT_TRUE(prepare(w, PAGE));
	ASSERT_EQ(w->p, mmap(w->p, w->len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0));
	mm_fill(w->p, w->len, SEED);
	walk(w);
	EXPECT_LE(1, w->failed);
	ASSERT_EQ(0, ftruncate(fd, 0));
	EXPECT_EQ(0, mm_count_present(0, w->p, w->len));
	close(fd);
}

/* If there is no memory to unmap the old place, mremap() succeeds all the same: it stays, without pages. */
static void middle_moved(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(-1, mm_check_from(w->q, old_len, SEED, skip));
	EXPECT_EQ(-1, mm_check(w->p, skip, SEED));
	EXPECT_EQ(-1, mm_check_from(w->p + skip + old_len, w->len - skip - old_len, SEED, skip + old_len));
	EXPECT_EQ(0, mm_count_present(0, w->p + skip, old_len));
}

/* From nothing: what a failure left of the old place has other VMAs than before. */
static void start_again(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(0, munmap(w->p, w->len));
	EXPECT_EQ(0, munmap(w->q, new_len));
	EXPECT_EQ(w->p, mmap(w->p, w->len, PROT_READ | PROT_WRITE,
			     (w->fd ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS) | MAP_FIXED, w->fd ?: -1, 0));
	mm_fill(w->p, w->len, SEED);
}

static void walk_middle(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	skip = 4 * PAGE;
	old_len = new_len = 4 * PAGE;
	w->done = middle_moved;
	w->undo = start_again;
	w->may_split = true;
	ASSERT_TRUE(prepare(w, PAGE));
	walk(w);
	/* Some fail the call, and some only what it does to the old place. */
	EXPECT_LE(1, w->failed);
	EXPECT_LE(w->failed + 3, w->injected);
}

/* the middle of a VMA: it is in one place with all its bytes, and so is what is around it */
TEST_F(mremap, move_middle)
{
	self->w.any_commit = true;
	walk_middle(&self->w);
}

/* the same, for the charge: when all of it is unmapped, Committed_AS is what it was */
TEST_F(mremap, charge_of_middle)
{
	walk_middle(&self->w);
}

/* the same for a shared mapping, which is not charged for */
TEST_F(mremap, no_charge_of_middle)
{
	self->w.fd = mm_memfd(self->w.len);
	walk_middle(&self->w);
	close(self->w.fd);
}

TEST_HARNESS_MAIN
