// SPDX-License-Identifier: GPL-2.0
/*
 * The commands of a userfaultfd with each allocation failing: ENOMEM, or the number of bytes that were done, which are the first ones.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>

#include "mm.h"
#include "../uffd/uffd.h"
#include "walk.h"

#define SEED	111
#define PAGES	8
#define LEN	(PAGES * PAGE)
#define RW	(PROT_READ | PROT_WRITE)

/* So that the pages of a range have two page tables. */
#define HALF	(PAGES / 2 * PAGE)

FIXTURE(uffdio) {
	struct walk w;
};

FIXTURE_VARIANT(uffdio) {
	ssize_t (*call)(char *to, char *from);	/* bytes that are done, or -errno */
	int filled;				/* each page then: from, zeroes, or poisoned */
	bool shared;				/* memory of a memfd */
	bool takes;				/* the pages away from where they come from */
	int least;
};

enum { FROM, ZEROES, POISONED };

static int uffd;

/* Bytes done in all and the error that came then, as the struct's last field tells. */
static ssize_t done_or(int ret, int64_t done)
{
	return done > 0 ? done : ret ? -errno : 0;
}

static ssize_t copy(char *to, char *from)
{
	struct uffdio_copy arg = { .dst = (uintptr_t)to, .src = (uintptr_t)from, .len = LEN };
	int ret = ioctl(uffd, UFFDIO_COPY, &arg);

	return done_or(ret, arg.copy);
}

static ssize_t zeropage(char *to, char *from)
{
	struct uffdio_zeropage arg = { .range = { (uintptr_t)to, LEN } };
	int ret = ioctl(uffd, UFFDIO_ZEROPAGE, &arg);

	return done_or(ret, arg.zeropage);
}

static ssize_t poison(char *to, char *from)
{
	struct uffdio_poison arg = { .range = { (uintptr_t)to, LEN } };
	int ret = ioctl(uffd, UFFDIO_POISON, &arg);

	return done_or(ret, arg.updated);
}

static ssize_t move(char *to, char *from)
{
	struct uffdio_move arg = { .dst = (uintptr_t)to, .src = (uintptr_t)from, .len = LEN };
	int ret = ioctl(uffd, UFFDIO_MOVE, &arg);

	return done_or(ret, arg.move);
}

#define V(variant) FIXTURE_VARIANT_ADD(uffdio, variant)
V(copy) { .call = copy, .least = PAGES };
V(copy_shared) { .call = copy, .shared = true, .least = PAGES };
V(zeropage) { .call = zeropage, .filled = ZEROES, .least = 1 };
V(zeropage_shared) { .call = zeropage, .filled = ZEROES, .shared = true, .least = PAGES };
V(poison) { .call = poison, .filled = POISONED, .least = 1 };
V(move) { .call = move, .takes = true, .least = 1 };

static const FIXTURE_VARIANT(uffdio) *v;
static size_t bytes_done;

static int call_it(struct walk *w)
{
	ssize_t n = v->call(w->p, w->q);

	bytes_done = n > 0 ? n : 0;
	return n < 0 ? n : n == LEN ? 0 : -EAGAIN;
}

static void expect_page(struct walk *w, int i, bool is_done)
{
	struct __test_metadata *_metadata = w->_metadata;
	char *to = w->p + i * PAGE, *from = w->q + i * PAGE;

	if (!is_done) {
		/* Nothing is there: with UFFD_FEATURE_SIGBUS a fault says so. */
		EXPECT_EQ(SIGBUS, mm_probe_read(to)) TH_LOG("page %d", i);
		EXPECT_EQ(BUS_ADRERR, mm_probe_code());
	} else if (v->filled == POISONED) {
		EXPECT_EQ(SIGBUS, mm_probe_read(to)) TH_LOG("page %d", i);
		EXPECT_EQ(BUS_MCEERR_AR, mm_probe_code());
	} else if (v->filled == ZEROES) {
		EXPECT_EQ(-1, mm_check_byte(to, PAGE, 0));
	} else {
		EXPECT_EQ(-1, mm_check_from(to, PAGE, SEED, i * PAGE));
	}
	if (v->takes && is_done) {
		EXPECT_EQ(0, mm_count_present(0, from, PAGE));
	} else {
		EXPECT_EQ(-1, mm_check_from(from, PAGE, SEED, i * PAGE));
	}
}

/* The pages that the result counts have it, and none behind them. */
static void as_it_said(struct walk *w)
{
	for (int i = 0; i < PAGES; i++)
		expect_page(w, i, i * PAGE < bytes_done);
}

static void all_done(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(LEN, bytes_done);
	as_it_said(w);
}

/* A new range, without page tables, that is the userfaultfd's; what was moved is filled again. */
static void start_again(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	/* All of the tables' ranges, so that they go. */
	EXPECT_EQ(0, munmap(w->p - PMD_SIZE + HALF, 2 * PMD_SIZE));
	if (v->shared) {
		close(w->fd);
		w->fd = mm_memfd(LEN);
		EXPECT_EQ(w->p, mmap(w->p, LEN, RW, MAP_SHARED | MAP_FIXED, w->fd, 0));
	} else {
		EXPECT_TRUE(walk_map(w->p, LEN));
	}
	EXPECT_EQ(0, uffd_register(uffd, w->p, LEN, UFFDIO_REGISTER_MODE_MISSING));
	if (bytes_done && v->takes)
		for (int i = 0; i < PAGES; i++)
			mm_fill_from(w->q + i * PAGE, PAGE, SEED, i * PAGE);
	bytes_done = 0;
}

static void walk_uffdio(struct walk *w)
{
	static const char *const caches[] = { "userfaultfd_ctx_cache", NULL };
	struct __test_metadata *_metadata = w->_metadata;

	for (int i = 0; i < PAGES; i++)
		mm_fill_from(w->q + i * PAGE, PAGE, SEED, i * PAGE);
	start_again(w);
	if (v->call(w->p, w->q) < 0 && (errno == EINVAL || errno == ENOTTY))
		SKIP(return, "needs the command");
	bytes_done = LEN;
	start_again(w);
	w->caches = caches;
	walk(w);
	EXPECT_LE(v->least, w->failed);
}

FIXTURE_SETUP(uffdio)
{
	struct walk *w = &self->w;
	char *p;

	NEED(mm_need_fail_nth());
	NEED(uffd_need(UFFD_FEATURE_SIGBUS, "USERFAULTFD"));
	v = variant;
	*w = (struct walk) {
		._metadata = _metadata, .len = LEN, .error = ENOMEM, .or_error = EAGAIN, .call = call_it, .done = all_done,
		.intact = as_it_said, .undo = start_again, .may_change = true,
	};
	p = mm_reserve(4 * PMD_SIZE, PMD_SIZE);
	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, munmap(p, 4 * PMD_SIZE));
	w->p = p + 2 * PMD_SIZE - HALF;
	w->q = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, w->q);
	w->fd = -1;
	uffd = uffd_open(UFFD_FEATURE_SIGBUS);
	ASSERT_LE(0, uffd);
}

FIXTURE_TEARDOWN(uffdio)
{
	close(uffd);
}

/* ENOMEM, or so many bytes, and a fault of each page behind them is told of */
TEST_F(uffdio, bytes)
{
	walk_uffdio(&self->w);
}

static int open_one(struct walk *w)
{
	w->fd = uffd_open(0);
	return w->fd < 0 ? w->fd : 0;
}

static void is_open(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(0, uffd_register(w->fd, w->p, LEN, UFFDIO_REGISTER_MODE_MISSING));
	EXPECT_TRUE(mm_vmflag(0, w->p, "um"));
	EXPECT_EQ(0, uffd_copy(w->fd, w->p, w->q));
	EXPECT_EQ(-1, mm_check(w->p, PAGE, SEED));
}

static void close_it(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(0, close(w->fd));
	EXPECT_FALSE(mm_vmflag(0, w->p, "um"));
	EXPECT_EQ(0, madvise(w->p, LEN, MADV_DONTNEED));
}

static void source_there(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(-1, mm_check(w->q, PAGE, SEED));
}

/* userfaultfd() itself: ENOMEM and no file, or one that works */
TEST(creation)
{
	static const char *const caches[] = { "userfaultfd_ctx_cache", "filp", NULL };
	struct walk w = {
		._metadata = _metadata, .len = LEN, .error = ENOMEM, .call = open_one, .done = is_open, .undo = close_it,
		.intact = source_there, .caches = caches,
	};

	NEED(mm_need_fail_nth());
	NEED(uffd_need(0, "USERFAULTFD"));
	w.p = mm_map_aligned(LEN, PAGE);
	w.q = mm_map_aligned(LEN, PAGE);
	ASSERT_TRUE(w.p && w.q);
	mm_fill(w.q, PAGE, SEED);
	walk(&w);
	EXPECT_LE(2, w.failed);
}

TEST_HARNESS_MAIN
