// SPDX-License-Identifier: GPL-2.0
/*
 * Advice that brings, drops or guards pages, with each allocation failing, while nobody, a userfaultfd, a pin or KSM holds on to them:
 * ENOMEM and the first pages only, or all of them.
 */
#include "kselftest_harness.h"
#include <linux/mman.h>

#include "mm.h"
#include "walk.h"
#include "handler.h"

#define SEED	131
#define PAGES	8
#define LEN	(PAGES * PAGE)
#define PINNED	2

/* So that the pages have two page tables. */
#define HALF	(PAGES / 2 * PAGE)

FIXTURE(pages) {
	struct walk w;
};

enum page_is { MISSING, PRESENT, GUARD, SWAPPED };

FIXTURE_VARIANT(pages) {
	int advice;
	bool filled, guarded;		/* before it */
	enum page_is becomes;
	bool lazily;			/* or stays what it was */
	int removes;			/* events */
	int least;
	int pages;			/* allocations in all */
};

#define V(variant) FIXTURE_VARIANT_ADD(pages, variant)
V(populate_read) { .advice = MADV_POPULATE_READ, .becomes = PRESENT, .least = 1 };
V(populate_write) { .advice = MADV_POPULATE_WRITE, .becomes = PRESENT, .least = 1, .pages = PAGES };
V(guard) { .advice = MADV_GUARD_INSTALL, .becomes = GUARD, .least = 2 };
V(guard_filled) { .advice = MADV_GUARD_INSTALL, .filled = true, .becomes = GUARD };
V(unguard) { .advice = MADV_GUARD_REMOVE, .guarded = true, .becomes = MISSING };
V(dontneed) { .advice = MADV_DONTNEED, .filled = true, .becomes = MISSING, .removes = 1 };
V(free) { .advice = MADV_FREE, .filled = true, .becomes = MISSING, .lazily = true, .removes = 1 };
V(cold) { .advice = MADV_COLD, .filled = true, .becomes = PRESENT };
V(pageout) { .advice = MADV_PAGEOUT, .filled = true, .becomes = SWAPPED, .lazily = true };

static const FIXTURE_VARIANT(pages) *v;
static enum { NOBODY, WATCHED, HELD, MERGED } holder;
static struct mm_pin pin;
static uint64_t pinned_pfn;
static bool filled;

static size_t pattern_of(int page)
{
	return holder == MERGED ? 0 : page * PAGE;
}

static enum page_is look(char *at)
{
	struct mm_page page;

	if (mm_page(0, at, &page))
		abort();
	/* Kernels whose pagemap does not tell of guards show something swapped. */
	if (page.guard || (page.swapped && mm_probe_read(at) == SIGSEGV))
		return GUARD;
	return page.present ? PRESENT : page.swapped ? SWAPPED : MISSING;
}

/* What is in memory has the right bytes; what is not is not looked at, for it would come. */
static void bytes_of_present(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	for (int i = 0; i < PAGES; i++) {
		char *at = w->p + i * PAGE;

		if (look(at) != PRESENT)
			continue;
		if (filled) {
			EXPECT_EQ(-1, mm_check_from(at, PAGE, SEED, pattern_of(i))) TH_LOG("page %d", i);
		} else {
			EXPECT_EQ(-1, mm_check_byte(at, PAGE, 0)) TH_LOG("page %d", i);
		}
	}
}

static void expect_held(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	for (int i = 0; holder == WATCHED && i < PAGES; i += PAGES - 1)
		EXPECT_TRUE(mm_vmflag(0, w->p + i * PAGE, "um"));
	/* A pin holds the frame, not the page table entry. */
	if (holder == HELD && v->becomes != GUARD && v->becomes != MISSING)
		EXPECT_EQ(pinned_pfn, mm_pfn(0, w->p + PINNED * PAGE));
}

static void all_done(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	for (int i = 0; i < PAGES; i++) {
		enum page_is now = look(w->p + i * PAGE);

		if (!v->lazily || now != PRESENT)
			EXPECT_EQ(v->becomes, now) TH_LOG("page %d", i);
	}
	bytes_of_present(w);
	expect_held(w);
	if (holder == WATCHED) {
		handler_wait();
		EXPECT_EQ(v->removes, handler_took(UFFD_EVENT_REMOVE));
	}
}

/* What a failure leaves: the first pages are done, those behind them are as they were. */
static void some_done(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;
	enum page_is was = v->guarded ? GUARD : filled ? PRESENT : MISSING;
	int i = 0;

	while (i < PAGES && look(w->p + i * PAGE) == v->becomes)
		i++;
	for (; i < PAGES; i++)
		EXPECT_EQ(was, look(w->p + i * PAGE)) TH_LOG("page %d", i);
	bytes_of_present(w);
	expect_held(w);
}

/* A new region, without page tables, and whose it was. */
static void start_again(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	if (holder == HELD)
		mm_unpin(&pin);
	EXPECT_EQ(0, munmap(w->p - PMD_SIZE + HALF, 2 * PMD_SIZE));
	EXPECT_TRUE(walk_map(w->p, LEN));
	for (int i = 0; filled && i < PAGES; i++)
		mm_fill_from(w->p + i * PAGE, PAGE, SEED, pattern_of(i));
	if (v->guarded)
		EXPECT_EQ(0, madvise(w->p, LEN, MADV_GUARD_INSTALL));
	if (holder == WATCHED) {
		EXPECT_EQ(0, uffd_register(handler_fds[0], w->p, LEN, UFFDIO_REGISTER_MODE_MISSING));
		handler_wait();
		handler_took(UFFD_EVENT_REMOVE);
	} else if (holder == HELD) {
		EXPECT_EQ(0, mm_pin_uring(&pin, w->p + PINNED * PAGE, PAGE));
		pinned_pfn = mm_pfn(0, w->p + PINNED * PAGE);
	} else if (holder == MERGED) {
		walk_merge(w, w->p, PAGES);
	}
}

static int advise(struct walk *w)
{
	return madvise(w->p, LEN, v->advice) ? -errno : 0;
}

static void walk_pages(struct walk *w, int least)
{
	struct __test_metadata *_metadata = w->_metadata;

	filled = v->filled || (!v->guarded && (holder == HELD || holder == MERGED));
	start_again(w);
	walk(w);
	EXPECT_LE(least, w->failed);
	/* Dropping needs nothing. */
	if (v->becomes == MISSING || v->lazily || v->advice == MADV_COLD)
		EXPECT_EQ(0, w->failed);
	if (holder == HELD)
		mm_unpin(&pin);
}

FIXTURE_SETUP(pages)
{
	struct walk *w = &self->w;
	char *p;

	NEED(mm_need_fail_nth());
	v = variant;
	if (v->becomes == GUARD || v->guarded)
		NEED(mm_need_guard(MAP_PRIVATE));
	if (v->becomes == SWAPPED)
		NEED(mm_need_swap());
	*w = (struct walk) {
		._metadata = _metadata, .len = LEN, .error = ENOMEM, .call = advise, .done = all_done, .intact = some_done,
		.undo = start_again, .may_change = true, .reclaims = v->becomes == SWAPPED,
	};
	p = mm_reserve(4 * PMD_SIZE, PMD_SIZE);
	ASSERT_NE(NULL, p);
	w->p = p + 2 * PMD_SIZE - HALF;
}

FIXTURE_TEARDOWN(pages)
{
}

/* nobody holds on to them */
TEST_F(pages, alone)
{
	walk_pages(&self->w, v->least);
	/* A call that got some pages before the failure tries again by itself. */
	EXPECT_LE(v->pages, self->w.injected);
}

/* a userfaultfd has the range, serves its faults, is told of what goes, and keeps it */
TEST_F(pages, watched)
{
	NEED(uffd_need(UFFD_FEATURE_EVENT_REMOVE, "USERFAULTFD"));
	holder = WATCHED;
	ASSERT_TRUE(handler_start(1, UFFD_FEATURE_EVENT_REMOVE));
	walk_pages(&self->w, 0);
	handler_stop();
}

/* a page of them is pinned */
TEST_F(pages, pinned)
{
	NEED(mm_need_pin());
	if (v->guarded)
		SKIP(return, "needs a page that can be pinned");
	holder = HELD;
	walk_pages(&self->w, 0);
}

/* KSM has merged all of them: to write to them copies are needed, one after the other */
TEST_F(pages, merged)
{
	void *other;

	NEED(mm_need_ksm());
	if (v->guarded)
		SKIP(return, "needs pages that can be merged");
	holder = MERGED;
	other = mm_ksm_start();
	ASSERT_NE(NULL, other);
	walk_pages(&self->w, v->advice == MADV_POPULATE_WRITE);
	EXPECT_LE(v->pages, self->w.injected);
	mm_ksm_stop(other);
}

TEST_HARNESS_MAIN
