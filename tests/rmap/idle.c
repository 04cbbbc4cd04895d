// SPDX-License-Identifier: GPL-2.0
/* The accessed bit, cleared and found by a walk over all mappings of a page: /sys/kernel/mm/page_idle. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <linux/kernel-page-flags.h>

#include "kselftest_harness.h"
#include "mm.h"

#define IDLE	"/sys/kernel/mm/page_idle/bitmap"
#define PAGES	64
#define LEN	(PAGES * PAGE)
#define SEED	21
#define NODES	6	/* of a tree of depth 2 and width 2 */

/* The pages under test, where the processes of a tree find them. */
static char *region;

static const char *need_idle(void)
{
	return access(IDLE, W_OK) ? "IDLE_PAGE_TRACKING" : NULL;
}

/* One bit a frame, in words of 64. */
static int idle_word(uint64_t pfn, uint64_t *word, bool set)
{
	off_t pos = pfn / 64 * sizeof(*word);
	static int fd = -1;
	ssize_t n;

	if (fd < 0)
		fd = open(IDLE, O_RDWR | O_CLOEXEC);
	n = set ? pwrite(fd, word, sizeof(*word), pos) : pread(fd, word, sizeof(*word), pos);
	return n == sizeof(*word) ? 0 : -EIO;
}

/* Mark one frame idle; this clears the accessed bit in every page table that maps it. */
static int set_idle(uint64_t pfn)
{
	uint64_t word = 1ULL << pfn % 64;

	return idle_word(pfn, &word, true);
}

/* Whether a frame is still idle: looks for the accessed bit in every page table that maps it. */
static bool is_idle(uint64_t pfn)
{
	uint64_t word = 0;

	return !idle_word(pfn, &word, false) && word >> pfn % 64 & 1;
}

static int set_all_idle(const uint64_t *pfns)
{
	int err = 0;

	for (int i = 0; i < PAGES && !err; i++)
		err = set_idle(pfns[i]);
	return err;
}

static int count_idle(const uint64_t *pfns)
{
	int n = 0;

	for (int i = 0; i < PAGES; i++)
		n += is_idle(pfns[i]);
	return n;
}

/* Read one byte of each page of the first half, or of all; the page faults that this took. */
static int read_half(void *arg)
{
	long before = mm_minor_faults();

	mm_touch_read(region, LEN / 2);
	return mm_minor_faults() - before;
}

static int read_all(void *arg)
{
	long before = mm_minor_faults();

	mm_touch_read(region, LEN);
	return mm_minor_faults() - before;
}

/* ---- memory of each kind, mapped once and by all processes of a tree ---- */

FIXTURE(idle) {
	struct mm_tree *t;
	uint64_t pfns[PAGES];
	int fd;
};

FIXTURE_VARIANT(idle) {
	bool file;
	const char *dir;	/* NULL: shmem */
};

FIXTURE_VARIANT_ADD(idle, anon) { };
FIXTURE_VARIANT_ADD(idle, shmem) { .file = true };
FIXTURE_VARIANT_ADD(idle, ext4) { .file = true, .dir = "/mnt" };

FIXTURE_SETUP(idle)
{
	NEED(need_idle());
	self->fd = -1;
	if (variant->file) {
		self->fd = mm_tmpfile(variant->dir, LEN);
		ASSERT_LE(0, self->fd);
		region = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
		ASSERT_NE(MAP_FAILED, region);
	} else {
		region = mm_map_aligned(LEN, PAGE);
		ASSERT_NE(NULL, region);
	}
	mm_fill(region, LEN, SEED);
	/* What is dirty could be written back, and then a write would fault for another reason. */
	if (self->fd >= 0)
		ASSERT_EQ(0, fsync(self->fd));
	mm_lru_drain();
	ASSERT_EQ(0, mm_pfns(0, region, self->pfns, PAGES));
}

FIXTURE_TEARDOWN(idle)
{
	if (self->t)
		mm_tree_end(self->t);
	munmap(region, LEN);
	if (self->fd >= 0)
		close(self->fd);
}

/* exactly the pages that were read since are not idle; the accessed bit costs one fault a page, once */
TEST_F(idle, reads)
{
	ASSERT_EQ(0, set_all_idle(self->pfns));
	EXPECT_EQ(PAGES, count_idle(self->pfns));
	EXPECT_TRUE(mm_kpf(self->pfns[0], KPF_IDLE));
	EXPECT_EQ(PAGES / 2, read_half(NULL));
	EXPECT_EQ(0, read_half(NULL));
	for (int i = 0; i < PAGES; i++)
		EXPECT_EQ(i >= PAGES / 2, is_idle(self->pfns[i]));
	EXPECT_FALSE(mm_kpf(self->pfns[0], KPF_IDLE));
	EXPECT_TRUE(mm_kpf(self->pfns[PAGES - 1], KPF_IDLE));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
}

/* a write makes a page busy too, and what it wrote is there */
TEST_F(idle, writes)
{
	int busy = 0;

	ASSERT_EQ(0, set_all_idle(self->pfns));
	for (int i = 0; i < PAGES; i += 4)
		region[i * PAGE + 1] = i;
	for (int i = 0; i < PAGES; i++)
		busy += !is_idle(self->pfns[i]);
	EXPECT_EQ(PAGES / 4, busy);
	for (int i = 0; i < PAGES; i += 4)
		EXPECT_EQ(i, region[i * PAGE + 1]);
}

/* of seven processes that map the pages, a read by any single one is found */
TEST_F(idle, any_mapper)
{
	self->t = mm_tree_fork(2, 2, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	for (int i = 0; i < NODES; i++)
		ASSERT_LE(0, mm_tree_call(self->t, i, read_half, NULL));
	mm_touch_read(region, LEN);
	ASSERT_EQ(NODES + 1, mm_kpagecount(self->pfns[0]));
	for (int i = 0; i < NODES; i++) {
		ASSERT_EQ(0, set_all_idle(self->pfns));
		ASSERT_EQ(PAGES, count_idle(self->pfns));
		ASSERT_EQ(PAGES / 2, mm_tree_call(self->t, i, read_half, NULL));
		EXPECT_EQ(PAGES / 2, count_idle(self->pfns));
	}
}

/* marking a page idle clears the accessed bit of every mapper: each of them faults once a page */
TEST_F(idle, all_cleared)
{
	self->t = mm_tree_fork(1, 3, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	for (int i = 0; i < 3; i++)
		ASSERT_LE(0, mm_tree_call(self->t, i, read_half, NULL));
	mm_touch_read(region, LEN);
	ASSERT_EQ(0, set_all_idle(self->pfns));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(PAGES / 2, mm_tree_call(self->t, i, read_half, NULL));
		EXPECT_EQ(0, mm_tree_call(self->t, i, read_half, NULL));
	}
	EXPECT_EQ(PAGES, read_all(NULL));
}

/* ---- what the kernel does for a process counts as well ---- */

/* a page that write(2) read from or read(2) wrote to is no longer idle */
TEST(system_calls)
{
	uint64_t pfns[PAGES];
	int pipe_fd[2];

	NEED(need_idle());
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	ASSERT_EQ(0, pipe(pipe_fd));
	mm_fill(region, LEN, SEED);
	mm_lru_drain();
	ASSERT_EQ(0, mm_pfns(0, region, pfns, PAGES));
	ASSERT_EQ(0, set_all_idle(pfns));
	ASSERT_EQ(16, write(pipe_fd[1], region, 16));
	EXPECT_FALSE(is_idle(pfns[0]));
	ASSERT_EQ(16, read(pipe_fd[0], region + PAGE, 16));
	EXPECT_FALSE(is_idle(pfns[1]));
	EXPECT_EQ(PAGES - 2, count_idle(pfns));
	EXPECT_EQ(0, memcmp(region, region + PAGE, 16));
	EXPECT_EQ(-1, mm_check_from(region + PAGE + 16, LEN - PAGE - 16, SEED, PAGE + 16));
}

/* read(2) of a file makes exactly the page cache page that it copies busy */
TEST(file_read)
{
	uint64_t pfns[PAGES];
	char buf[16];
	int fd;

	NEED(need_idle());
	fd = mm_tmpfile("/mnt", LEN);
	ASSERT_LE(0, fd);
	region = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, region);
	mm_fill(region, LEN, SEED);
	mm_lru_drain();
	ASSERT_EQ(0, mm_pfns(0, region, pfns, PAGES));
	ASSERT_EQ(0, munmap(region, LEN));
	ASSERT_EQ(0, set_all_idle(pfns));
	ASSERT_EQ(PAGES, count_idle(pfns));
	ASSERT_EQ(sizeof(buf), pread(fd, buf, sizeof(buf), 9 * PAGE));
	EXPECT_FALSE(is_idle(pfns[9]));
	EXPECT_EQ(PAGES - 1, count_idle(pfns));
	EXPECT_EQ(-1, mm_check_from(buf, sizeof(buf), SEED, 9 * PAGE));
	close(fd);
}

/* ---- what idle tracking took from the page tables is still known to reclaim ---- */

#define OLD	32
#define OTHERS	256

/*
 * The oldest pages of a group, and many younger ones, all clean pages of files without an accessed bit: they go at
 * once, in this order. How many of the oldest are mapped after as many pages were reclaimed. (Reclaim of a group asks
 * nobody outside of it: the caller is in it.)
 */
static long old_after_reclaim(struct __test_metadata *_metadata, bool read_and_idle)
{
	const size_t len = (OLD + OTHERS) * PAGE;
	int fd = mm_tmpfile("/mnt", len);
	uint64_t pfns[OLD];
	struct mm_cgroup cg;
	long left;

	region = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	EXPECT_NE(MAP_FAILED, region);
	EXPECT_EQ(0, mm_cgroup_create(&cg, "idle"));
	EXPECT_EQ(0, mm_cgroup_enter(&cg));
	mm_fill(region, len, SEED);
	EXPECT_EQ(0, fsync(fd));
	mm_lru_drain();
	EXPECT_EQ(0, mm_pfns(0, region, pfns, OLD));
	/* Forget the accessed bits, and what is known of them. */
	EXPECT_EQ(0, mm_write_file("/proc/self/clear_refs", "1"));
	if (read_and_idle) {
		mm_touch_read(region, OLD * PAGE);
		for (int i = 0; i < OLD; i++)
			EXPECT_EQ(0, set_idle(pfns[i]));
	}
	EXPECT_EQ(0, mm_cgroup_reclaim(&cg, OLD * PAGE));
	EXPECT_EQ(0, mm_cgroup_leave());
	left = mm_count_present(0, region, OLD * PAGE);
	EXPECT_GT(OLD + OTHERS, mm_count_present(0, region, len));
	EXPECT_EQ(-1, mm_check(region, len, SEED));
	munmap(region, len);
	close(fd);
	EXPECT_EQ(0, mm_cgroup_remove(&cg));
	return left;
}

/* a page that was read and then marked idle is spared by reclaim; without the read it is the first to go */
TEST(reclaim_knows)
{
	NEED(need_idle());
	NEED(mm_need_memcg());
	EXPECT_EQ(OLD, old_after_reclaim(_metadata, true));
	EXPECT_EQ(0, old_after_reclaim(_metadata, false));
}

TEST_HARNESS_MAIN
