// SPDX-License-Identifier: GPL-2.0
/* Anonymous pages that fork() shares: who maps them, when a write copies, when the last owner keeps them. */
#include <fcntl.h>
#include <unistd.h>
#include <sys/uio.h>
#include <linux/kernel-page-flags.h>

#include "kselftest_harness.h"
#include "mm.h"

#define PAGES	8
#define LEN	(PAGES * PAGE)

/* The processes of a tree find the pages under test here. */
static char *region;

/* Pages of which @pid maps the frame of @pfns. */
static int same_frames(pid_t pid, const uint64_t *pfns)
{
	uint64_t now[PAGES];
	int n = 0;

	if (mm_pfns(pid, region, now, PAGES))
		return -1;
	for (int i = 0; i < PAGES; i++)
		n += now[i] && now[i] == pfns[i];
	return n;
}

/* Frames that are mapped @count times. */
static int mapped(const uint64_t *pfns, long count)
{
	int n = 0;

	for (int i = 0; i < PAGES; i++)
		n += mm_kpagecount(pfns[i]) == count;
	return n;
}

/* Pages of the caller that no other process maps, as pagemap says. */
static int exclusive(void)
{
	struct mm_page page;
	int n = 0;

	for (int i = 0; i < PAGES; i++)
		n += !mm_page(0, region + i * PAGE, &page) && page.present && page.exclusive;
	return n;
}

static int write_pages(void *seed)
{
	mm_fill(region, LEN, (long)seed);
	return 0;
}

static int wrong_pages(void *seed)
{
	return mm_check(region, LEN, (long)seed) != -1;
}

/* Reclaim finds each page, through whichever anon_vma it has, and each comes back as it was. */
static int lost_pages(void *seed)
{
	if (mm_pageout(region, LEN) || mm_count_swapped(0, region, LEN) != PAGES)
		return -1;
	return wrong_pages(seed);
}

/* What the process and all processes have: RssAnon in kB, NR_ANON_MAPPED in pages. */
struct account {
	long rss, anon;
};

static struct account account(void)
{
	return (struct account) { mm_status(0, "RssAnon"), mm_vmstat("nr_anon_pages") };
}

/* the first write to each page is charged to the process, and the end of the mapping takes it back */
TEST(accounts)
{
	struct account before, written, after;

	/* The first round copies the pages that looking itself writes to. */
	for (int i = 0; i < 2; i++) {
		region = mm_map_aligned(LEN, PAGE);
		ASSERT_NE(NULL, region);
		mm_touch_read(region, LEN);
		before = account();
		mm_fill(region, LEN, 1);
		written = account();
		munmap(region, LEN);
		after = account();
	}
	EXPECT_EQ(LEN / KB, written.rss - before.rss);
	EXPECT_EQ(PAGES, written.anon - before.anon);
	EXPECT_EQ(before.rss, after.rss);
	EXPECT_EQ(before.anon, after.anon);
}

/* the first write to a page maps a frame that nobody else has, as anonymous memory, once */
TEST(first_write)
{
	const uint64_t want = 1ULL << KPF_ANON | 1ULL << KPF_MMAP | 1ULL << KPF_SWAPBACKED;
	uint64_t pfns[PAGES];

	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	mm_fill(region, LEN, 1);
	ASSERT_EQ(0, mm_pfns(0, region, pfns, PAGES));
	for (int i = 0; i < PAGES; i++) {
		EXPECT_EQ(want, mm_kpageflags(pfns[i]) & want);
		EXPECT_FALSE(mm_is_ksm(pfns[i], false));
		for (int j = 0; j < i; j++)
			EXPECT_NE(pfns[i], pfns[j]);
	}
	EXPECT_EQ(PAGES, mapped(pfns, 1));
	EXPECT_EQ(PAGES, exclusive());
	munmap(region, LEN);
}

FIXTURE(shared)
{
	struct mm_tree *t;
	uint64_t pfns[PAGES];		/* of the pages that all share */
};

FIXTURE_VARIANT(shared)
{
	unsigned int depth, width;
};

FIXTURE_VARIANT_ADD(shared, one_child) { .depth = 1, .width = 1 };
FIXTURE_VARIANT_ADD(shared, chain_of_four) { .depth = 4, .width = 1 };
FIXTURE_VARIANT_ADD(shared, binary_tree) { .depth = 2, .width = 2 };

FIXTURE_SETUP(shared)
{
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	mm_fill(region, LEN, 1);
	ASSERT_EQ(0, mm_pfns(0, region, self->pfns, PAGES));
	self->t = mm_tree_fork(variant->depth, variant->width, NULL, NULL);
	ASSERT_NE(NULL, self->t);
}

FIXTURE_TEARDOWN(shared)
{
	if (self->t)
		mm_tree_end(self->t);
	munmap(region, LEN);
}

/* after fork() every process maps the same frames, and each that exits takes one mapping away */
TEST_F(shared, mapcount)
{
	unsigned int size = mm_tree_size(self->t);

	EXPECT_EQ(PAGES, mapped(self->pfns, size + 1));
	EXPECT_EQ(0, exclusive());
	for (unsigned int i = 0; i < size; i++)
		EXPECT_EQ(PAGES, same_frames(mm_tree_pid(self->t, i), self->pfns));
	for (unsigned int i = 0; i < size; i++) {
		ASSERT_EQ(0, mm_tree_kill(self->t, i));
		EXPECT_EQ(PAGES, mapped(self->pfns, size - i));
	}
	EXPECT_EQ(PAGES, exclusive());
	EXPECT_EQ(PAGES, same_frames(0, self->pfns));
}

/* a process that writes to shared pages gets copies; the others keep the frames and their bytes */
TEST_F(shared, write_copies)
{
	unsigned int size = mm_tree_size(self->t), writer = size - 1;
	uint64_t copies[PAGES];

	ASSERT_EQ(0, mm_tree_call(self->t, writer, write_pages, (void *)2));
	EXPECT_EQ(0, same_frames(mm_tree_pid(self->t, writer), self->pfns));
	EXPECT_EQ(PAGES, mapped(self->pfns, size));
	ASSERT_EQ(0, mm_pfns(mm_tree_pid(self->t, writer), region, copies, PAGES));
	EXPECT_EQ(PAGES, mapped(copies, 1));
	EXPECT_EQ(0, mm_tree_call(self->t, writer, wrong_pages, (void *)2));
	for (unsigned int i = 0; i < writer; i++) {
		EXPECT_EQ(PAGES, same_frames(mm_tree_pid(self->t, i), self->pfns));
		EXPECT_EQ(0, mm_tree_call(self->t, i, wrong_pages, (void *)1));
	}
	EXPECT_EQ(0, wrong_pages((void *)1));
}

/* the first process that wrote the pages, and is the last to map them, writes to them without a copy */
TEST_F(shared, root_keeps)
{
	struct mm_snap *before;

	mm_tree_end(self->t);
	self->t = NULL;
	before = mm_snap();
	write_pages((void *)2);
	EXPECT_EQ(PAGES, mm_delta(before, "pgreuse"));
	EXPECT_EQ(PAGES, same_frames(0, self->pfns));
	EXPECT_EQ(0, lost_pages((void *)2));
	mm_snap_free(before);
}

/* the last process of a tree keeps the frames that an ancestor wrote, and reclaim finds them in it */
TEST_F(shared, last_descendant_keeps)
{
	unsigned int last = mm_tree_size(self->t) - 1;
	struct mm_snap *before;

	for (unsigned int i = 0; i < last; i++)
		ASSERT_EQ(0, mm_tree_kill(self->t, i));
	ASSERT_EQ(0, munmap(region, LEN));
	EXPECT_EQ(PAGES, mapped(self->pfns, 1));
	before = mm_snap();
	ASSERT_EQ(0, mm_tree_call(self->t, last, write_pages, (void *)2));
	EXPECT_LE(PAGES, mm_delta(before, "pgreuse"));
	EXPECT_EQ(PAGES, same_frames(mm_tree_pid(self->t, last), self->pfns));
	EXPECT_EQ(0, mm_tree_call(self->t, last, lost_pages, (void *)2));
	mm_snap_free(before);
}

/* a page that its last owner kept is shared and copied like any other at the next fork() */
TEST_F(shared, again)
{
	unsigned int size = mm_tree_size(self->t);

	mm_tree_end(self->t);
	write_pages((void *)2);
	self->t = mm_tree_fork(variant->depth, variant->width, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	EXPECT_EQ(PAGES, mapped(self->pfns, size + 1));
	ASSERT_EQ(0, mm_tree_call(self->t, 0, write_pages, (void *)3));
	write_pages((void *)4);
	/* A single child took copies, so that the frames are the parent's alone again. */
	EXPECT_EQ(size == 1 ? PAGES : 0, same_frames(0, self->pfns));
	EXPECT_EQ(PAGES, mapped(self->pfns, size == 1 ? 1 : size - 1));
	EXPECT_EQ(0, wrong_pages((void *)4));
	EXPECT_EQ(0, mm_tree_call(self->t, 0, wrong_pages, (void *)3));
	for (unsigned int i = 1; i < size; i++)
		EXPECT_EQ(0, mm_tree_call(self->t, i, wrong_pages, (void *)2));
}

/* a page of one process alone is written in place after mprotect() took the right away and gave it back */
TEST(mprotect_keeps)
{
	struct mm_snap *before;
	uint64_t pfns[PAGES];

	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	mm_fill(region, LEN, 1);
	ASSERT_EQ(0, mm_pfns(0, region, pfns, PAGES));
	ASSERT_EQ(0, mprotect(region, LEN, PROT_READ));
	EXPECT_EQ(SIGSEGV, mm_probe_write(region, 0));
	ASSERT_EQ(0, mprotect(region, LEN, PROT_READ | PROT_WRITE));
	before = mm_snap();
	mm_fill(region, LEN, 2);
	EXPECT_EQ(0, mm_delta(before, "pgreuse"));
	EXPECT_EQ(PAGES, same_frames(0, pfns));
	EXPECT_EQ(PAGES, mapped(pfns, 1));
	mm_snap_free(before);
	munmap(region, LEN);
}

static int return_0(void *arg)
{
	return 0;
}

FIXTURE(piped)
{
	int pipe[2];
	uint64_t pfns[PAGES];
	char *copy;
};

/* vmsplice() puts references to the pages into a pipe: users that are not mappings. */
FIXTURE_SETUP(piped)
{
	struct iovec iov = { .iov_len = LEN };

	region = mm_map_aligned(LEN, PAGE);
	self->copy = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	ASSERT_NE(NULL, self->copy);
	mm_fill(region, LEN, 1);
	ASSERT_EQ(0, mm_pfns(0, region, self->pfns, PAGES));
	ASSERT_EQ(0, pipe(self->pipe));
	iov.iov_base = region;
	ASSERT_EQ(LEN, vmsplice(self->pipe[1], &iov, 1, 0));
}

FIXTURE_TEARDOWN(piped)
{
	close(self->pipe[0]);
	close(self->pipe[1]);
	munmap(region, LEN);
	munmap(self->copy, LEN);
}

/* a page that was never shared is written in place though another user holds it, who sees the new bytes */
TEST_F(piped, exclusive_in_place)
{
	write_pages((void *)2);
	EXPECT_EQ(PAGES, same_frames(0, self->pfns));
	ASSERT_EQ(LEN, read(self->pipe[0], self->copy, LEN));
	EXPECT_EQ(-1, mm_check(self->copy, LEN, 2));
}

/* a page that was shared once is copied if another user holds it, though one process alone maps it */
TEST_F(piped, once_shared_copies)
{
	ASSERT_EQ(0, mm_in_child(return_0, NULL));
	EXPECT_EQ(PAGES, mapped(self->pfns, 1));
	write_pages((void *)2);
	EXPECT_EQ(0, same_frames(0, self->pfns));
	EXPECT_EQ(PAGES, mapped(self->pfns, 0));
	ASSERT_EQ(LEN, read(self->pipe[0], self->copy, LEN));
	EXPECT_EQ(-1, mm_check(self->copy, LEN, 1));
	EXPECT_EQ(0, wrong_pages((void *)2));
}

/* fork() gives the child copies of pinned pages at once, and the pinned frames stay with the parent */
TEST(pinned)
{
	struct mm_tree *t;
	struct mm_pin pin;
	uint64_t pfns[PAGES];

	NEED(mm_need_pin());
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	mm_fill(region, LEN, 1);
	ASSERT_EQ(0, mm_pin_uring_stride(&pin, region, LEN, 2));
	ASSERT_EQ(0, mm_pfns(0, region, pfns, PAGES));
	t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, t);
	for (int i = 0; i < PAGES; i++) {
		bool pinned = i % 2 == 0;

		EXPECT_EQ(pinned ? 1 : 2, mm_kpagecount(pfns[i]));
		EXPECT_EQ(!pinned, mm_pfn(mm_tree_pid(t, 0), region + i * PAGE) == pfns[i]);
	}
	EXPECT_EQ(0, mm_tree_call(t, 0, wrong_pages, (void *)1));
	/* A write does not take the pinned frames away from the parent, though the child lives. */
	write_pages((void *)2);
	EXPECT_EQ(PAGES / 2, same_frames(0, pfns));
	EXPECT_EQ(0, mm_tree_call(t, 0, wrong_pages, (void *)1));
	mm_tree_end(t);
	mm_unpin(&pin);
	munmap(region, LEN);
}

TEST_HARNESS_MAIN
