// SPDX-License-Identifier: GPL-2.0
/*
 * Memory arranged so that compaction moves certain pages, and all of them.
 *
 * Compaction moves pages from the low end of a zone into free frames at its high end, in pageblocks that are
 * partly in use. So the pages under test have to lie low and such holes high, whatever earlier tests left.
 * Where the next page comes from is certain in one case only: it is the one on the per-CPU list that was
 * freed last. So a ballast is allocated, its lowest frames go to that list, which is made long enough, and
 * from there to the pages under test. Then the list is made short and the rest of the ballast becomes holes.
 *
 * A kernel without SMP may not use these lists (mm/page_alloc.c: pcp_spin_trylock()). There it is the page of order
 * 0 on the buddy list that was freed last, so that no page that is freed may find its buddy free.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "mm.h"
#include "internal.h"

#define BLOCK		1024UL	/* pages in a pageblock, with neither THP nor hugetlb */
#define SPARE		64UL	/* low frames for what else is allocated meanwhile */
#define OTHERS		512UL	/* holes for what else lies low and moves first, and is in no count of pages */
#define KEEP		256UL	/* of so many pages one stays: a pageblock that is all free is no target */
#define PCP_HIGH	"/proc/sys/vm/percpu_pagelist_high_fraction"
#define PCP_LONG	8	/* an eighth of all memory, the longest that can be had */
#define PCP_SHORT	1000000	/* a few batches, the shortest */

struct mm_stage {
	size_t size;		/* of this */
	char *ballast;
	size_t pages;
	size_t low;		/* frames that were given to the pages under test */
	long pcp_high;		/* to be restored */
	uint32_t by_pfn[];	/* pages of the ballast: the low ones, then the others, that of the lowest frame first */
};

static void set_pcp_high(long fraction)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", fraction);
	mm_write_file(PCP_HIGH, text);
}

/* What was freed last is on such a list, if anything ever is. */
bool mm_stage_per_cpu(void)
{
	static enum { UNKNOWN, YES, NO } uses;
	char *p;

	if (uses == UNKNOWN) {
		p = mm_map_aligned(PAGE, PAGE);
		if (!p)
			return true;
		*p = 1;
		munmap(p, PAGE);
		uses = mm_pcp_count() ? YES : NO;
	}
	return uses == YES;
}

/*
 * The pages of the ballast by rising pfn; in front, without per-CPU lists, the low ones of two frames side by side whose
 * buddies stay. A table over all pfns and no qsort(), whose room on the heap, touched between
 * two looks at RssAnon, would be a leak of the test.
 */
static int sort_ballast(struct mm_stage *s, const uint64_t *pfns)
{
	uint64_t first = UINT64_MAX, last = 0;
	uint32_t *page_at;		/* plus one */
	bool pairs = !mm_stage_per_cpu();
	size_t n = 0;

	for (size_t i = 0; i < s->pages; i++) {
		if (!pfns[i])
			return -EAGAIN;	/* swapped out already */
		first = pfns[i] < first ? pfns[i] : first;
		last = pfns[i] > last ? pfns[i] : last;
	}
	page_at = mm_map_aligned((last - first + 1) * sizeof(*page_at), PAGE);
	if (!page_at)
		return -ENOMEM;
	for (size_t i = 0; i < s->pages; i++)
		page_at[pfns[i] - first] = i + 1;
	for (uint64_t i = -first % 4; pairs && i + 3 <= last - first && n < s->low; i += 4)
		if (page_at[i] && page_at[i + 1] && page_at[i + 2] && page_at[i + 3]) {
			s->by_pfn[n++] = page_at[i + 1] - 1;
			s->by_pfn[n++] = page_at[i + 2] - 1;
			page_at[i + 1] = page_at[i + 2] = 0;
		}
	for (uint64_t i = 0; i <= last - first; i++)
		if (page_at[i])
			s->by_pfn[n++] = page_at[i] - 1;
	munmap(page_at, (last - first + 1) * sizeof(*page_at));
	return 0;
}

static int fill_ballast(struct mm_stage *s)
{
	uint64_t *pfns;
	int err;

	/* Not for children: a frame that they share does not become free here. */
	if (madvise(s->ballast, s->pages * PAGE, MADV_DONTFORK) ||
	    madvise(s->ballast, s->pages * PAGE, MADV_POPULATE_WRITE))
		return -errno;
	pfns = mm_map_aligned(s->pages * sizeof(*pfns), PAGE);
	if (!pfns)
		return -ENOMEM;
	err = mm_pfns(0, s->ballast, pfns, s->pages);
	if (!err)
		err = sort_ballast(s, pfns);
	munmap(pfns, s->pages * sizeof(*pfns));
	/* A page in a batch that waits for its LRU list has a user more, and would not be freed. */
	mm_lru_drain();
	return err;
}

/* Free by_pfn[from] to by_pfn[to - 1] but every @keep-th; in one go what is contiguous in the ballast too. */
static void give_back(struct mm_stage *s, size_t from, size_t to, size_t keep)
{
	size_t i = from, first, last, n;

	while (i < to) {
		first = last = s->by_pfn[i];
		n = 1;
		if (i++ % keep == 0)
			continue;
		for (; i < to && i % keep; i++, n++) {
			size_t page = s->by_pfn[i];

			if (page == first - 1)
				first = page;
			else if (page == last + 1)
				last = page;
			else
				break;
		}
		madvise(s->ballast + first * PAGE, n * PAGE, MADV_DONTNEED);
	}
}

/* Files that compaction may move: the programs in the initramfs, too. Of one size in a process, as its mappings are. */
static size_t file_pages(void)
{
	static size_t pages;

	if (!pages)
		pages = mm_vmstat("nr_file_pages");
	return pages;
}

struct mm_stage *mm_stage(size_t len)
{
	size_t low = (len + PAGE - 1) / PAGE + SPARE;
	size_t pages = 3 * low + file_pages() + OTHERS + BLOCK;
	/* Mapped: a heap that grows for it would look like a leak of the test. */
	size_t size = sizeof(struct mm_stage) + pages * sizeof(uint32_t);
	struct mm_stage *s = mm_map_aligned(size, PAGE);

	if (!s)
		return NULL;
	s->size = size;
	s->pages = pages;
	s->low = low;
	s->pcp_high = mm_read_long(PCP_HIGH);
	s->ballast = mm_map_aligned(pages * PAGE, PAGE);
	set_pcp_high(PCP_LONG);
	if (!s->ballast || fill_ballast(s)) {
		mm_stage_end(s);
		return NULL;
	}
	/*
	 * What is freed later would be in front of ours: by a journal that commits, by RCU the stacks of processes that
	 * have ended, which are four pages each.
	 */
	sync();
	mm_let_others_finish();
	mm_rcu_barrier();
	give_back(s, 0, low, SIZE_MAX);
	return s;
}

void mm_stage_open(struct mm_stage *s)
{
	set_pcp_high(PCP_SHORT);
	give_back(s, s->low, s->pages, KEEP);
}

int mm_stage_move(struct mm_stage *s)
{
	mm_stage_open(s);
	return mm_compact();
}

size_t mm_moved(const uint64_t *was, const uint64_t *is, size_t n)
{
	size_t moved = 0;

	for (size_t i = 0; i < n; i++)
		moved += was[i] && is[i] && was[i] != is[i];
	return moved;
}

long mm_stage_move_pages(struct mm_stage *s, const void *p, size_t n, uint64_t *was, uint64_t *is)
{
	int err;

	err = mm_pfns(0, p, was, n);
	if (!err)
		err = mm_stage_move(s);
	if (!err)
		err = mm_pfns(0, p, is, n);
	return err ? err : (long)mm_moved(was, is, n);
}

void mm_stage_end(struct mm_stage *s)
{
	if (!s)
		return;
	if (s->ballast)
		munmap(s->ballast, s->pages * PAGE);
	set_pcp_high(s->pcp_high);
	munmap(s, s->size);
}
