// SPDX-License-Identifier: GPL-2.0
/* Calls that split and merge VMAs (mprotect, madvise, mlock, mmap, prctl), with each allocation failing. */
#include "kselftest_harness.h"
#include <linux/mman.h>
#include <linux/prctl.h>
#include <sys/prctl.h>

#include "mm.h"
#include "walk.h"

#define SEED	21
#define PAGES	12

/* The middle third, which the calls change; a split in front of it and one behind it. */
#define MIDDLE	(PAGES / 3 * PAGE)

FIXTURE(split) {
	struct walk w;
};

FIXTURE_SETUP(split)
{
	NEED(mm_need_fail_nth());
	ASSERT_TRUE(walk_split_region(&self->w, _metadata, PAGES, SEED));
}

FIXTURE_TEARDOWN(split)
{
	munmap(self->w.p, self->w.len);
}

/* Protections as one letter a page: w, r or -; '.' is unmapped. */
static const char *prots(struct walk *w)
{
	static char text[PAGES + 1];
	struct mm_vma vma;

	for (int i = 0; i < PAGES; i++)
		text[i] = mm_vma(0, w->p + i * PAGE, &vma) ? '.' : vma.prot[1] == 'w' ? 'w' : vma.prot[0];
	return text;
}

static int protect_middle(struct walk *w)
{
	return mprotect(w->q, MIDDLE, PROT_READ) ? -errno : 0;
}

static void middle_protected(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_STREQ("wwwwrrrrwwww", prots(w));
	EXPECT_EQ(3, mm_vma_count(0, w->p, w->len));
	EXPECT_EQ(SIGSEGV, mm_probe_write(w->q, 0));
	walk_bytes(w);
}

static void unprotect(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(0, mprotect(w->p, w->len, PROT_READ | PROT_WRITE));
	EXPECT_EQ(1, mm_vma_count(0, w->p, w->len));
}

/* mprotect() of the middle: ENOMEM, all of it stays writable, and a split that was begun merges again */
TEST_F(split, mprotect)
{
	struct walk *w = &self->w;

	w->call = protect_middle;
	w->done = middle_protected;
	w->undo = unprotect;
	walk(w);
	EXPECT_LE(3, w->failed);
}

static int protect_most(struct walk *w)
{
	return mprotect(w->p + 2 * PAGE, 8 * PAGE, PROT_NONE) ? -errno : 0;
}

static void most_protected(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_STREQ("ww--------ww", prots(w));
}

/* From the left on, one VMA after the other: what is changed has no gap. */
static void some_protected(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;
	static const char *const states[] = { "wwwwrrrrwwww", "ww--rrrrwwww", "ww------wwww" };
	const char *now = prots(w);
	int i = 0;

	while (i < 3 && strcmp(now, states[i]))
		i++;
	EXPECT_GT(3, i) {
		TH_LOG("%s", now);
	}
}

static void protect_again(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(0, mprotect(w->p, w->len, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, protect_middle(w));
	walk_bytes(w);
}

/* mprotect() over three VMAs: those before the failure have changed, none is changed in part */
TEST_F(split, mprotect_three)
{
	struct walk *w = &self->w;

	w->may_change = true;
	w->call = protect_most;
	w->done = most_protected;
	w->intact = some_protected;
	w->undo = protect_again;
	protect_again(w);
	walk(w);
	EXPECT_LE(2, w->failed);
}

static int merge_back(struct walk *w)
{
	return mprotect(w->q, MIDDLE, PROT_READ | PROT_WRITE) ? -errno : 0;
}

static void one_again(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_STREQ("wwwwwwwwwwww", prots(w));
	EXPECT_EQ(-1, mm_check(w->p, MIDDLE, SEED));
	EXPECT_EQ(-1, mm_check_from(w->q + MIDDLE, MIDDLE, SEED, 2 * MIDDLE));
	EXPECT_EQ(0, mm_probe_write(w->q, 1));
}

/* The outer thirds have pages, the middle has none: who merges with it has to hand an anon_vma on. */
static void three_vmas(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_TRUE(walk_map(w->p, w->len));
	EXPECT_EQ(0, protect_middle(w));
	mm_fill(w->p, MIDDLE, SEED);
	EXPECT_EQ(0, mprotect(w->q + MIDDLE, MIDDLE, PROT_NONE));
	EXPECT_EQ(0, mprotect(w->q + MIDDLE, MIDDLE, PROT_READ | PROT_WRITE));
	mm_fill_from(w->q + MIDDLE, MIDDLE, SEED, 2 * MIDDLE);
}

static void three_intact(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_STREQ("wwwwrrrrwwww", prots(w));
	EXPECT_EQ(-1, mm_check(w->p, MIDDLE, SEED));
	EXPECT_EQ(-1, mm_check_byte(w->q, MIDDLE, 0));
	EXPECT_EQ(-1, mm_check_from(w->q + MIDDLE, MIDDLE, SEED, 2 * MIDDLE));
}

/* mprotect() that merges VMAs with and without pages: ENOMEM and the old rights, or all has the new ones */
TEST_F(split, merge)
{
	struct walk *w = &self->w;

	w->call = merge_back;
	w->done = one_again;
	w->intact = three_intact;
	w->undo = three_vmas;
	three_vmas(w);
	walk(w);
	EXPECT_LE(1, w->injected);
}

static int advise_middle(struct walk *w)
{
	return madvise(w->q, MIDDLE, MADV_DONTFORK) ? -errno : 0;
}

static void middle_advised(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_FALSE(mm_vmflag(0, w->p, "dc"));
	EXPECT_TRUE(mm_vmflag(0, w->q, "dc"));
	EXPECT_FALSE(mm_vmflag(0, w->q + MIDDLE, "dc"));
}

static void unadvise(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(0, madvise(w->p, w->len, MADV_DOFORK));
	EXPECT_EQ(1, mm_vma_count(0, w->p, w->len));
}

static void not_advised(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	for (int i = 0; i < PAGES; i++)
		EXPECT_FALSE(mm_vmflag(0, w->p + i * PAGE, "dc"));
	walk_bytes(w);
}

/* madvise() of the middle: EAGAIN, and no page has the advice */
TEST_F(split, madvise)
{
	struct walk *w = &self->w;

	w->error = EAGAIN;
	w->call = advise_middle;
	w->done = middle_advised;
	w->undo = unadvise;
	w->intact = not_advised;
	walk(w);
	EXPECT_LE(3, w->failed);
}

static int lock_middle(struct walk *w)
{
	return mlock(w->q, MIDDLE) ? -errno : 0;
}

static void middle_locked(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(MIDDLE / KB, mm_status(0, "VmLck"));
	EXPECT_TRUE(mm_vmflag(0, w->q, "lo"));
	EXPECT_FALSE(mm_vmflag(0, w->p, "lo"));
}

static void unlock(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(0, munlock(w->p, w->len));
	EXPECT_EQ(0, mm_status(0, "VmLck"));
}

/* mlock() of the middle: ENOMEM, VmLck and the flags of all pages as before */
TEST_F(split, mlock)
{
	struct walk *w = &self->w;

	w->call = lock_middle;
	w->done = middle_locked;
	w->undo = unlock;
	walk(w);
	EXPECT_LE(3, w->failed);
}

static int map_middle(struct walk *w)
{
	char *p = mmap(w->q, MIDDLE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	return p == MAP_FAILED ? -errno : 0;
}

static void hole_filled(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_STREQ("wwwwwwwwwwww", prots(w));
	EXPECT_EQ(-1, mm_check_byte(w->q, MIDDLE, 0));
	/* Without memory to merge it is a VMA of its own. */
	if (!mm_fail_injected())
		EXPECT_EQ(1, mm_vma_count(0, w->p, w->len));
}

static void make_hole(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(0, munmap(w->q, MIDDLE));
}

static void hole_intact(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_STREQ("wwww....wwww", prots(w));
	EXPECT_EQ(-1, mm_check(w->p, MIDDLE, SEED));
	EXPECT_EQ(-1, mm_check_from(w->q + MIDDLE, MIDDLE, SEED, 2 * MIDDLE));
}

/* mmap() into a hole: done with or without the merge of three VMAs, or ENOMEM and the hole is there */
TEST_F(split, mmap_merge)
{
	struct walk *w = &self->w;

	w->call = map_middle;
	w->done = hole_filled;
	w->undo = make_hole;
	w->intact = hole_intact;
	make_hole(w);
	walk(w);
	EXPECT_LE(1, w->injected);
}

static int name_middle(struct walk *w)
{
	return prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, w->q, MIDDLE, "middle") ? -errno : 0;
}

static void middle_named(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;
	struct mm_vma vma;

	EXPECT_EQ(0, mm_vma(0, w->q, &vma));
	EXPECT_STREQ("[anon:middle]", vma.path);
	EXPECT_EQ(3, mm_vma_count(0, w->p, w->len));
}

static void unname(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(0, prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, w->p, w->len, NULL));
	EXPECT_EQ(1, mm_vma_count(0, w->p, w->len));
}

/* a name for the middle: ENOMEM for the name or EAGAIN for a split, and no part of the region has it */
TEST_F(split, name)
{
	struct walk *w = &self->w;

	w->call = name_middle;
	w->done = middle_named;
	w->undo = unname;
	w->or_error = EAGAIN;
	walk(w);
	EXPECT_LE(3, w->failed);
}

TEST_HARNESS_MAIN
