// SPDX-License-Identifier: GPL-2.0
/*
 * Calls on a file of shared memory (fallocate, ftruncate, write, seals, remap_file_pages) with each allocation failing, while nobody,
 * a userfaultfd or a pin holds on to its mapping: an error, and size, blocks and bytes as before, or all of it.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>

#include "mm.h"
#include "../uffd/uffd.h"
#include "walk.h"

#define SEED	121
#define PAGES	12
#define LEN	(PAGES * PAGE)
#define FILLED	8		/* those behind them are a hole */
#define PINNED	7
#define RW	(PROT_READ | PROT_WRITE)

#define CLUSTER	"/proc/sys/vm/page-cluster"

FIXTURE(shmem) {
	struct walk w;
	char cluster[16];
};

FIXTURE_VARIANT(shmem) {
	int (*call)(struct walk *w);
	size_t size, zero_from, zero_to;	/* effects: of the file, of what was filled */
	int blocks;				/* pages that it has then */
	bool swapped;				/* all of it is in swap */
	bool maps;				/* the first pages of the mapping show others */
	int or_error;
	int least;				/* allocations */
};

static int falloc(struct walk *w, int mode, size_t from, size_t len)
{
	return fallocate(w->fd, mode, from, len) ? -errno : 0;
}

static int extend(struct walk *w)
{
	return falloc(w, 0, 6 * PAGE, 10 * PAGE);
}

static int keep_size(struct walk *w)
{
	return falloc(w, FALLOC_FL_KEEP_SIZE, 10 * PAGE, 6 * PAGE);
}

/* From the middle of a page to the middle of another. */
#define HOLE_FROM	(2 * PAGE + PAGE / 2)
#define HOLE_TO		(5 * PAGE + PAGE / 2)

static int punch(struct walk *w)
{
	return falloc(w, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, HOLE_FROM, HOLE_TO - HOLE_FROM);
}

static int shrink(struct walk *w)
{
	return ftruncate(w->fd, HOLE_TO) ? -errno : 0;
}

static int remove_pages(struct walk *w)
{
	return madvise(w->p + 3 * PAGE, 2 * PAGE, MADV_REMOVE) ? -errno : 0;
}

static int seal_write(struct walk *w)
{
	return fcntl(w->fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) ? -errno : 0;
}

static int remap(struct walk *w)
{
	return remap_file_pages(w->p, 2 * PAGE, 0, 4, 0) ? -errno : 0;
}

#define V(variant) FIXTURE_VARIANT_ADD(shmem, variant)
V(extend) { .call = extend, .size = 16 * PAGE, .blocks = 16, .or_error = ENOSPC, .least = 8 };
V(keep_size) { .call = keep_size, .size = LEN, .blocks = 14, .or_error = ENOSPC, .least = 6 };
V(punch) { .call = punch, .size = LEN, .zero_from = HOLE_FROM, .zero_to = HOLE_TO, .blocks = 6 };
V(punch_swapped) { .call = punch, .size = LEN, .zero_from = HOLE_FROM, .zero_to = HOLE_TO, .blocks = 6, .swapped = true };
V(shrink) { .call = shrink, .size = HOLE_TO, .zero_from = HOLE_TO, .zero_to = LEN, .blocks = 6 };
V(shrink_swapped) { .call = shrink, .size = HOLE_TO, .zero_from = HOLE_TO, .zero_to = LEN, .blocks = 6, .swapped = true };
V(remove) { .call = remove_pages, .size = LEN, .zero_from = 3 * PAGE, .zero_to = 5 * PAGE, .blocks = 6 };
V(seal) { .call = seal_write, .size = LEN, .blocks = FILLED };
V(remap) { .call = remap, .size = LEN, .blocks = FILLED, .maps = true, .least = 3 };

static const FIXTURE_VARIANT(shmem) *v;
static enum { NOBODY, WATCHED, HELD } holder;
static int uffd;
static struct mm_pin pin;
static uint64_t pinned_pfn;
static bool called;
static int kept_edges;
static char buf[16 * PAGE];

/*
 * A part of a page that was to become zero. What is in swap and finds no memory to be read in, shmem_get_partial_folio() leaves as it
 * is, and the call succeeds; but all of it is left, or none.
 */
static void expect_edge(struct walk *w, size_t from, size_t to)
{
	struct __test_metadata *_metadata = w->_metadata;

	if (v->swapped && mm_fail_injected() && mm_check_from(buf + from, to - from, SEED, from) == -1 && from < to) {
		kept_edges++;
		return;
	}
	EXPECT_EQ(-1, mm_check_byte(buf + from, to - from, 0)) {
		TH_LOG("%zu bytes from %zu were to be zero", to - from, from);
	}
}

/* Size, blocks and bytes; those in [zero_from, zero_to) are zero. */
static void expect_file(struct walk *w, size_t size, int blocks, size_t zero_from, size_t zero_to)
{
	struct __test_metadata *_metadata = w->_metadata;
	size_t filled = FILLED * PAGE, whole_from, whole_to;
	struct stat st;

	EXPECT_EQ(0, fstat(w->fd, &st));
	EXPECT_EQ(size, st.st_size);
	EXPECT_EQ(blocks, st.st_blocks / (PAGE / 512));
	/* What was cut off is zero when it comes back. */
	if (size < LEN)
		EXPECT_EQ(0, ftruncate(w->fd, LEN));
	memset(buf, 0xee, sizeof(buf));
	EXPECT_EQ(size < LEN ? LEN : size, pread(w->fd, buf, sizeof(buf), 0));
	if (zero_to == 0)
		zero_from = zero_to = filled;
	if (zero_to > filled)
		zero_to = filled;
	EXPECT_EQ(-1, mm_check(buf, zero_from, SEED));
	whole_from = (zero_from + PAGE - 1) & ~(PAGE - 1);
	whole_to = zero_to & ~(PAGE - 1);
	expect_edge(w, zero_from, whole_from);
	EXPECT_EQ(-1, mm_check_byte(buf + whole_from, whole_to - whole_from, 0));
	expect_edge(w, whole_to, zero_to);
	EXPECT_EQ(-1, mm_check_from(buf + zero_to, filled - zero_to, SEED, zero_to));
	EXPECT_EQ(-1, mm_check_byte(buf + filled, (size < LEN ? LEN : size) - filled, 0));
}

/* The mapping shows the file, and is whose it was. */
static void expect_mapping(struct walk *w, int first)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(-1, mm_check_from(w->p, 2 * PAGE, SEED, first * PAGE));
	EXPECT_EQ(0, mm_check_byte(w->p + 2 * PAGE, PAGE, 0));
	/* What is mapped anew is nobody's. */
	if (holder == WATCHED)
		EXPECT_EQ(!first, mm_vmflag(0, w->p, "um"));
	if (holder == WATCHED)
		EXPECT_TRUE(mm_vmflag(0, w->p + LEN - PAGE, "um"));
}

static void all_done(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	expect_file(w, v->size, v->blocks, v->zero_from, v->zero_to);
	expect_mapping(w, v->maps ? 4 : 0);
	if (v->call == seal_write) {
		EXPECT_EQ(-1, ftruncate(w->fd, LEN + PAGE));
		EXPECT_EQ(EPERM, errno);
	}
}

static void intact(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	/* What is in swap comes in when it is looked at. */
	if (v->swapped && !called)
		return;
	expect_file(w, LEN, FILLED, 0, 0);
	/* mmap() over a mapping may have unmapped it. */
	if (!v->maps || mm_vma_count(0, w->p, 2 * PAGE))
		expect_mapping(w, 0);
	if (holder == HELD && !v->swapped && v->call != shrink)
		EXPECT_EQ(pinned_pfn, mm_pfn(0, w->p + PINNED * PAGE));
	EXPECT_EQ(0, fcntl(w->fd, F_GET_SEALS));
}

static void fill(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	mm_fill(buf, FILLED * PAGE, SEED);
	EXPECT_EQ(FILLED * PAGE, pwrite(w->fd, buf, FILLED * PAGE, 0));
	/* Of a userfaultfd's only what the file has can be touched. */
	mm_touch_write(w->p, FILLED * PAGE);
	if (holder == HELD) {
		EXPECT_EQ(0, mm_pin_uring(&pin, w->p + PINNED * PAGE, PAGE));
		pinned_pfn = mm_pfn(0, w->p + PINNED * PAGE);
	}
	if (v->swapped)
		EXPECT_EQ(0, mm_pageout(w->p, FILLED * PAGE));
}

/* A new file, in a new mapping. */
static void start_again(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	if (holder == HELD && w->fd >= 0)
		mm_unpin(&pin);
	if (w->fd >= 0)
		close(w->fd);
	w->fd = memfd_create("mm", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	EXPECT_EQ(0, ftruncate(w->fd, LEN));
	EXPECT_EQ(w->p, mmap(w->p, LEN, RW, MAP_SHARED | MAP_FIXED, w->fd, 0));
	if (holder == WATCHED)
		EXPECT_EQ(0, uffd_register(uffd, w->p, LEN, UFFDIO_REGISTER_MODE_MISSING));
	fill(w);
	called = false;
}

static int call_it(struct walk *w)
{
	called = true;
	return v->call(w);
}

static void walk_shmem(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	start_again(w);
	walk(w);
	/* For the rest the caches had something left. */
	EXPECT_LE(v->least, w->injected);
	EXPECT_LE(!!v->least, w->failed);
	if (v->swapped)
		mm_report("kept_edges", kept_edges);
	if (holder == HELD)
		mm_unpin(&pin);
}

FIXTURE_SETUP(shmem)
{
	struct walk *w = &self->w;

	NEED(mm_need_fail_nth());
	v = variant;
	if (v->swapped) {
		NEED(mm_need_swap());
		/* Without readahead, which would be a second try. */
		ASSERT_LT(0, mm_read_file(CLUSTER, self->cluster, sizeof(self->cluster)));
		ASSERT_EQ(0, mm_write_file(CLUSTER, "0"));
	}
	*w = (struct walk) {
		._metadata = _metadata, .len = LEN, .error = ENOMEM, .or_error = v->or_error, .call = call_it, .done = all_done,
		.undo = start_again, .intact = intact, .fd = -1, .reclaims = v->swapped, .may_split = true,
		.may_change = v->maps,
	};
	w->p = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, w->p);
}

FIXTURE_TEARDOWN(shmem)
{
	if (self->cluster[0])
		mm_write_file(CLUSTER, self->cluster);
}

/* nobody but its mapping uses it: an error and nothing changed, or all of it */
TEST_F(shmem, alone)
{
	walk_shmem(&self->w);
}

/* a userfaultfd watches the mapping, and goes on to */
TEST_F(shmem, watched)
{
	NEED(uffd_need(UFFD_FEATURE_SIGBUS, "USERFAULTFD"));
	holder = WATCHED;
	uffd = uffd_open(UFFD_FEATURE_SIGBUS);
	ASSERT_LE(0, uffd);
	walk_shmem(&self->w);
	close(uffd);
}

/* a page of the mapping is pinned, and stays in its frame */
TEST_F(shmem, pinned)
{
	NEED(mm_need_pin());
	holder = HELD;
	walk_shmem(&self->w);
}

static int create(struct walk *w)
{
	w->fd = memfd_create("mm", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return w->fd < 0 ? -errno : 0;
}

static void created(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;
	char byte = 1;

	EXPECT_EQ(1, pwrite(w->fd, &byte, 1, PAGE));
	EXPECT_EQ(0, fcntl(w->fd, F_GET_SEALS));
}

static void close_it(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(0, close(w->fd));
}

static void nothing(struct walk *w)
{
}

/* memfd_create(): an error and no file, or one that can be written and sealed */
TEST(creation)
{
	static const char *const caches[] = { "filp", "shmem_inode_cache", NULL };
	struct walk w = {
		._metadata = _metadata, .error = ENOMEM, .or_error = ENOSPC, .call = create, .done = created, .undo = close_it,
		.intact = nothing, .caches = caches, .by_rcu = true,
	};

	NEED(mm_need_fail_nth());
	walk(&w);
	EXPECT_LE(3, w.failed);
}

TEST_HARNESS_MAIN
