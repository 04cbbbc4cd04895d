// SPDX-License-Identifier: GPL-2.0
/* Calls that merge VMAs (mprotect, mmap), with each allocation failing. middle.c has those that split them. */
#include "kselftest_harness.h"
#include <linux/mman.h>

#include "mm.h"
#include "walk.h"

#define SEED	21
#define PAGES	12

/* The middle third, which the calls change. */
#define MIDDLE	(PAGES / 3 * PAGE)

FIXTURE(merge) {
	struct walk w;
};

FIXTURE_SETUP(merge)
{
	NEED(mm_need_fail_nth());
	ASSERT_TRUE(walk_split_region(&self->w, _metadata, PAGES, SEED));
}

FIXTURE_TEARDOWN(merge)
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
TEST_F(merge, protect)
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
TEST_F(merge, map)
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

TEST_HARNESS_MAIN
