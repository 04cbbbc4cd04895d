// SPDX-License-Identifier: GPL-2.0
/*
 * Calls that unmap or move mappings (munmap, mmap, mremap), with each allocation failing, while two userfaultfds are told of it, a page
 * is pinned, or KSM has merged all of them. mremap.c and munmap.c have those that nobody holds on to.
 */
#include "kselftest_harness.h"
#include <linux/mman.h>

#include "mm.h"
#include "walk.h"
#include "handler.h"

#define SEED	101
#define PAGES	12
#define LEN	(PAGES * PAGE)
#define RW	(PROT_READ | PROT_WRITE)

/* Three mappings of four pages each; the last is another userfaultfd's than the first two. */
#define THIRD	4

FIXTURE(moves) {
	struct walk w;
};

FIXTURE_VARIANT(moves) {
	int (*call)(char *p, char *q);
	/*
	 * A letter for each page of the two places: which page it was, 0 of zeroes, '.' is not mapped; '_' neither, but without the
	 * memory to unmap it mremap() succeeds all the same, and leaves a mapping without pages.
	 */
	const char *there, *new_place;
	bool may_leave_hole;
	bool copies;			/* what KSM has merged, before anything else */
	int unmaps, remaps;		/* events */
};

static int fails(const void *p)
{
	return p == MAP_FAILED ? -errno : 0;
}

static int unmap_part(char *p, char *q)
{
	return munmap(p + 5 * PAGE, 2 * PAGE) ? -errno : 0;
}

static int unmap_three(char *p, char *q)
{
	return munmap(p + 2 * PAGE, 8 * PAGE) ? -errno : 0;
}

static int map_over(char *p, char *q)
{
	return fails(mmap(p + 2 * PAGE, 8 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
}

static int move_one(char *p, char *q)
{
	return fails(mremap(p + 4 * PAGE, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q));
}

static int move_part(char *p, char *q)
{
	return fails(mremap(p + 5 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q));
}

static int dont_unmap(char *p, char *q)
{
	return fails(mremap(p + 4 * PAGE, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, q));
}

static int grow_and_move(char *p, char *q)
{
	return fails(mremap(p + 8 * PAGE, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q));
}

static int shrink(char *p, char *q)
{
	return fails(mremap(p + 4 * PAGE, 4 * PAGE, 2 * PAGE, 0));
}

#define V(variant) FIXTURE_VARIANT_ADD(moves, variant)
V(unmap_part) { .call = unmap_part, .there = "abcde..hijkl", .new_place = "........", .unmaps = 1 };
V(unmap_three) { .call = unmap_three, .there = "ab........kl", .new_place = "........", .unmaps = 2 };
V(map_over) { .call = map_over, .there = "ab00000000kl", .new_place = "........", .unmaps = 2, .may_leave_hole = true };
V(move_one) { .call = move_one, .there = "abcd____ijkl", .new_place = "efgh....", .unmaps = 1, .remaps = 1, .copies = true };
V(move_part) { .call = move_part, .there = "abcde__hijkl", .new_place = "fg......", .unmaps = 1, .remaps = 1, .copies = true };
V(dont_unmap) { .call = dont_unmap, .there = "abcd0000ijkl", .new_place = "efgh....", .remaps = 1, .copies = true };
V(grow_and_move) { .call = grow_and_move, .there = "abcdefgh____", .new_place = "ijkl0000", .unmaps = 1, .remaps = 1,
	.copies = true };
V(shrink) { .call = shrink, .there = "abcdef..ijkl", .new_place = "........", .unmaps = 1 };

static const FIXTURE_VARIANT(moves) *v;

/* ---- who holds on to it ---- */

static enum { NOBODY, TOLD, PINNED, MERGED } holder;

static int in_vain;
static struct mm_pin pin;
static uint64_t pinned_pfn;

static void hold(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	if (holder == TOLD) {
		EXPECT_EQ(0, uffd_register(handler_fds[0], w->p, 2 * THIRD * PAGE, UFFDIO_REGISTER_MODE_MISSING));
		EXPECT_EQ(0, uffd_register(handler_fds[1], w->p + 2 * THIRD * PAGE, THIRD * PAGE, UFFDIO_REGISTER_MODE_MISSING));
	} else if (holder == PINNED) {
		/* One that all of the calls are about, where there is one. */
		EXPECT_EQ(0, mm_pin_uring(&pin, w->p + 5 * PAGE, PAGE));
		pinned_pfn = mm_pfn(0, w->p + 5 * PAGE);
		EXPECT_NE(0, pinned_pfn);
	} else if (holder == MERGED) {
		walk_merge(w, w->p, PAGES);
	}
}

static void let_go(void)
{
	if (holder == PINNED)
		mm_unpin(&pin);
}

/* ---- what has to hold ---- */

static size_t pattern_of(int page)
{
	return holder == MERGED ? 0 : page * PAGE;
}

static void expect_pages(struct walk *w, char *p, const char *pages)
{
	struct __test_metadata *_metadata = w->_metadata;

	for (int i = 0; pages[i]; i++) {
		char *at = p + i * PAGE;

		if (pages[i] == '.') {
			size_t n = strspn(pages + i, ".");

			EXPECT_EQ(0, mm_vma_count(0, at, n * PAGE)) TH_LOG("page %d", i);
			i += n - 1;
		} else if (pages[i] == '_') {
			EXPECT_EQ(0, mm_fail_injected() ? mm_count_present(0, at, PAGE) : mm_vma_count(0, at, PAGE));
		} else if (pages[i] == '0') {
			EXPECT_EQ(-1, mm_check_byte(at, PAGE, 0)) TH_LOG("page %d", i);
		} else {
			EXPECT_EQ(-1, mm_check_from(at, PAGE, SEED, pattern_of(pages[i] - 'a'))) TH_LOG("page %d", i);
			if (holder == PINNED && pages[i] == 'f')
				EXPECT_EQ(pinned_pfn, mm_pfn(0, at));
		}
	}
}

static void all_done(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;
	int unmap = v->unmaps;

	expect_pages(w, w->p, v->there);
	expect_pages(w, w->q, v->new_place);
	if (holder != TOLD)
		return;
	if (strchr(v->there, '_') && mm_vma_count(0, w->p + (strchr(v->there, '_') - v->there) * PAGE, PAGE))
		unmap = 0;
	handler_wait();
	EXPECT_EQ(unmap, handler_took(UFFD_EVENT_UNMAP));
	EXPECT_EQ(v->remaps, handler_took(UFFD_EVENT_REMAP));
}

/*
 * All of it is there, and whose it was; UFFDIO_COPY finds the page that is there, and does not go on to wait for the end of a change
 * (EAGAIN).
 */
static void intact(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	if (v->may_leave_hole && mm_vma_count(0, w->p + 2 * PAGE, 8 * PAGE) == 0) {
		expect_pages(w, w->p, "ab........kl");
	} else {
		expect_pages(w, w->p, "abcdefghijkl");
		for (int i = 0; holder == TOLD && i < PAGES; i += THIRD)
			EXPECT_TRUE(mm_vmflag(0, w->p + i * PAGE, "um"));
	}
	expect_pages(w, w->q, "........");
	if (holder == TOLD) {
		EXPECT_EQ(EEXIST, uffd_copy(handler_fds[0], w->p, w->p));
		EXPECT_EQ(EEXIST, uffd_copy(handler_fds[1], w->p + 11 * PAGE, w->p));
		handler_wait();
		EXPECT_EQ(0, handler_took(UFFD_EVENT_REMAP));
		/* vms_gather_munmap_vmas() does not take back what it has prepared. */
		in_vain += handler_took(UFFD_EVENT_UNMAP);
	}
	if (holder == MERGED && !v->copies && !v->may_leave_hole)
		EXPECT_TRUE(walk_is_merged(w->p, PAGES));
}

static void build(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_TRUE(walk_map(w->p, LEN));
	for (int i = 0; i < PAGES; i++)
		mm_fill_from(w->p + i * PAGE, PAGE, SEED, pattern_of(i));
	EXPECT_EQ(0, madvise(w->p + THIRD * PAGE, THIRD * PAGE, MADV_RANDOM));
	hold(w);
}

static void rebuild(struct walk *w)
{
	let_go();
	munmap(w->p, LEN);
	munmap(w->q, 2 * THIRD * PAGE);
	if (holder == TOLD) {
		handler_wait();
		handler_took(UFFD_EVENT_UNMAP);
	}
	build(w);
}

static int call_it(struct walk *w)
{
	return v->call(w->p, w->q);
}

static void walk_moves(struct walk *w, int least)
{
	struct __test_metadata *_metadata = w->_metadata;

	build(w);
	walk(w);
	let_go();
	EXPECT_LE(least, w->failed);
}

static void find_places(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	w->p = mm_map_aligned(LEN, PAGE);
	w->q = mm_reserve(64 * MB, PAGE);
	ASSERT_TRUE(w->p && w->q);
	/* Mappings that are made elsewhere, such as a thread's stack, will be at the lower end. */
	munmap(w->q, 64 * MB);
	w->q += 64 * MB - 2 * THIRD * PAGE;
}

FIXTURE_SETUP(moves)
{
	struct walk *w = &self->w;

	NEED(mm_need_fail_nth());
	v = variant;
	*w = (struct walk) {
		._metadata = _metadata, .len = LEN, .error = ENOMEM, .call = call_it, .done = all_done, .intact = intact,
		.undo = rebuild, .may_split = true, .may_change = v->may_leave_hole,
	};
	if (v->may_leave_hole)
		NEED(need_charge_back());
	find_places(w);
}

FIXTURE_TEARDOWN(moves)
{
}

/* userfaultfds are told of what was done; they keep what was not, and are not left to wait */
TEST_F(moves, told)
{
	const uint64_t features = UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_EVENT_REMAP;
	static const char *const caches[] = { "userfaultfd_ctx_cache", NULL };

	NEED(uffd_need(features, "USERFAULTFD"));
	holder = TOLD;
	ASSERT_TRUE(handler_start(2, features));
	self->w.caches = caches;
	walk_moves(&self->w, 1);
	mm_report("told_in_vain", in_vain);
	handler_stop();
}

/* munmap() that a sealed mapping refuses when others are taken out already: all are there, and whose they were */
TEST(refused)
{
	static const FIXTURE_VARIANT(moves) nothing = { 0 };
	const uint64_t features = UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_EVENT_REMAP;
	struct walk w = { ._metadata = _metadata };

	NEED(uffd_need(features, "USERFAULTFD"));
	v = &nothing;
	holder = TOLD;
	find_places(&w);
	ASSERT_TRUE(handler_start(2, features));
	build(&w);
	if (mm_mseal(w.p + 2 * THIRD * PAGE, THIRD * PAGE))
		SKIP(return, "needs mseal()");
	EXPECT_EQ(-1, munmap(w.p, LEN));
	EXPECT_EQ(EPERM, errno);
	intact(&w);
	mm_report("told_in_vain", in_vain);
	handler_stop();
}

/* a page that is pinned stays in its frame wherever it is mapped */
TEST_F(moves, pinned)
{
	NEED(mm_need_pin());
	holder = PINNED;
	walk_moves(&self->w, 1);
}

/* what KSM has merged stays merged if the call fails, and is right if it does not */
TEST_F(moves, merged)
{
	void *other;

	NEED(mm_need_ksm());
	holder = MERGED;
	other = mm_ksm_start();
	ASSERT_NE(NULL, other);
	walk_moves(&self->w, 1);
	mm_ksm_stop(other);
}

TEST_HARNESS_MAIN
