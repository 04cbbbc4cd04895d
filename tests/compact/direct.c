// SPDX-License-Identifier: GPL-2.0
/*
 * Compaction for one allocation: io_uring asks for a region in one piece, and memory has none of that size.
 *
 * Nearly all of memory is given to a file in memory, and the file keeps one page of every 64. Nothing is swapped out
 * meanwhile, which would make room too. Pageblocks that regions had stay the kernel's, and are no place to move pages to:
 * no other test may follow in this kernel.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/io_uring.h>
#include <linux/kernel-page-flags.h>

#include "mm.h"

#define ORDER		9
#define PIECE		(1UL << ORDER)
#define KEEP		64UL
#define LEFT_FREE	(32 * MB)
#define REGIONS		64
#define EXTRA		4		/* pieces that are not there */
#define SEED		5

/* How many pieces of ORDER the free blocks of all zones hold; -1 if that cannot be read. */
static long free_pieces(void)
{
	char line[512];
	long sum = 0;
	FILE *f = fopen("/proc/buddyinfo", "re");

	if (!f)
		return -1;
	/* "Node 0, zone   Normal   12   7 ...": the number of free blocks of each order */
	while (fgets(line, sizeof(line), f)) {
		char *p = strstr(line, "zone") + strlen("zone"), *end;

		p += strspn(p, " ");
		p += strcspn(p, " ");
		for (int order = 0; ; order++, p = end) {
			long n = strtol(p, &end, 10);

			if (end == p)
				break;
			if (order >= ORDER)
				sum += n << (order - ORDER);
		}
	}
	fclose(f);
	return sum;
}

FIXTURE(direct)
{
	struct mm_snap *snap;
	struct mm_pin pin;
	size_t len;
	char *p;			/* the file, mapped */
	int fd, n;
	int rings[REGIONS];
	char *regions[REGIONS];
};

/* Whether the region lies in one block. */
static bool in_one_piece(const char *region)
{
	uint64_t pfns[PIECE];

	if (mm_pfns(0, region, pfns, PIECE) || !mm_kpf(pfns[0], KPF_COMPOUND_HEAD))
		return false;
	for (size_t i = 0; i < PIECE; i++)
		if (pfns[i] != pfns[0] + i)
			return false;
	return true;
}

/*
 * One more region: 1 if it lies in one piece; 0 if in single pages, or if it could not be had (with page owner,
 * alloc_pages_bulk() returns no more than one); -errno.
 */
static int add_region(FIXTURE_DATA(direct) *self)
{
	struct mm_region_desc desc = { .size = PIECE * PAGE };
	struct mm_mem_region_reg reg = { .region_uptr = (uintptr_t)&desc };
	struct io_uring_params params = { 0 };
	char *p;
	int fd;

	if (self->n == REGIONS)
		return -ENOSPC;
	fd = syscall(__NR_io_uring_setup, 1U, &params);
	if (fd < 0)
		return -errno;
	self->rings[self->n] = fd;
	self->regions[self->n++] = MAP_FAILED;
	if (syscall(__NR_io_uring_register, fd, MM_REGISTER_MEM_REGION, &reg, 1))
		return errno == ENOMEM ? 0 : -errno;
	p = mmap(NULL, PIECE * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, desc.mmap_offset);
	if (p == MAP_FAILED)
		return -errno;
	self->regions[self->n - 1] = p;
	return in_one_piece(p);
}

/* The pages that the file keeps that do not hold what they should. */
static long wrong_pages(FIXTURE_DATA(direct) *self)
{
	char page[PAGE];
	long wrong = 0;

	for (size_t at = 0; at < self->len; at += KEEP * PAGE)
		wrong += pread(self->fd, page, PAGE, at) != PAGE || mm_check_from(page, PAGE, SEED, at) != -1;
	return wrong;
}

static bool fill_memory(FIXTURE_DATA(direct) *self)
{
	char page[PAGE];

	self->len = (mm_meminfo("MemFree") * KB - LEFT_FREE) / (KEEP * PAGE) * (KEEP * PAGE);
	self->fd = mm_memfd(self->len);
	if (self->fd < 0 || fallocate(self->fd, 0, 0, self->len))
		return false;
	self->p = mmap(NULL, self->len, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	if (self->p == MAP_FAILED)
		return false;
	for (size_t at = 0; at < self->len; at += KEEP * PAGE) {
		mm_fill_from(page, PAGE, SEED, at);
		if (pwrite(self->fd, page, PAGE, at) != PAGE ||
		    fallocate(self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at + PAGE, (KEEP - 1) * PAGE))
			return false;
	}
	mm_pcp_drain();
	return true;
}

/* A region that cannot be had for another reason than its kind is the tests' to find. */
static const char *need_region(void)
{
	struct io_uring_params params = { 0 };
	struct mm_region_desc desc = { .size = PAGE };
	struct mm_mem_region_reg reg = { .region_uptr = (uintptr_t)&desc };
	int fd = syscall(__NR_io_uring_setup, 1U, &params);
	int err = syscall(__NR_io_uring_register, fd, MM_REGISTER_MEM_REGION, &reg, 1) ? errno : 0;

	close(fd);
	return err == EINVAL ? "IORING_REGISTER_MEM_REGION" : NULL;
}

FIXTURE_SETUP(direct)
{
	self->fd = -1;
	self->p = MAP_FAILED;
	self->pin.fd = -1;
	NEED(mm_need_compaction());
	NEED(mm_need_pin());
	NEED(need_region());
	ASSERT_EQ(0, mm_write_file("/proc/sys/vm/swappiness", "0"));
	/* Nor may kcompactd gather the pages before they are pinned. */
	ASSERT_EQ(0, mm_write_file("/proc/sys/vm/compaction_proactiveness", "0"));
	ASSERT_TRUE(fill_memory(self));
	self->snap = mm_snap();
}

FIXTURE_TEARDOWN(direct)
{
	if (self->pin.fd >= 0)
		mm_unpin(&self->pin);
	for (int i = 0; i < self->n; i++) {
		if (self->regions[i] != MAP_FAILED)
			munmap(self->regions[i], PIECE * PAGE);
		close(self->rings[i]);
	}
	if (self->p != MAP_FAILED)
		munmap(self->p, self->len);
	close(self->fd);
	mm_snap_free(self->snap);
}

/* pages are moved out of the way of large allocations, and each gets its one piece; nothing is lost */
TEST_F(direct, succeeds)
{
	long pieces = free_pieces();

	ASSERT_LE(0, pieces);
	/* kcompactd has the same work, and may have done it before each time. */
	while (self->n < pieces + EXTRA || (self->n < REGIONS && !mm_delta(self->snap, "compact_success")))
		ASSERT_EQ(1, add_region(self));
	EXPECT_LE(EXTRA, mm_delta(self->snap, "pgmigrate_success"));
	EXPECT_EQ(0, wrong_pages(self));
}
MM_TEST_IS(direct_succeeds, "alone");

/* kswapd, woken for an allocation that fails, wakes kcompactd */
TEST_F(direct, wakes_kcompactd)
{
	int whole;

	ASSERT_EQ(0, mm_pin_uring_stride(&self->pin, self->p, self->len, KEEP));
	do {
		whole = add_region(self);
		ASSERT_LE(0, whole);
	} while (whole);
	/* It may find that compaction has been put off. */
	for (int i = 0; i < 5000 && !mm_delta(self->snap, "compact_daemon_wake"); i++)
		usleep(1000);
	EXPECT_LE(1, mm_delta(self->snap, "compact_daemon_wake"));
	EXPECT_EQ(0, wrong_pages(self));
}
MM_TEST_IS(direct_wakes_kcompactd, "alone");

/* where a pin is in every block it fails, is not tried for each allocation, and these get single pages */
TEST_F(direct, fails)
{
	long stalls = 0, tries;
	int whole;

	ASSERT_EQ(0, mm_pin_uring_stride(&self->pin, self->p, self->len, KEEP));
	do {
		whole = add_region(self);
		ASSERT_LE(0, whole);
		tries = mm_delta(self->snap, "compact_stall") - stalls;
		stalls += tries;
	} while (whole || tries);
	/* Before that it was, here or by kcompactd. */
	EXPECT_LE(1, mm_delta(self->snap, "compact_fail") + mm_delta(self->snap, "compact_daemon_wake"));
	EXPECT_EQ(0, wrong_pages(self));
}
MM_TEST_IS(direct_fails, "alone");

TEST_HARNESS_MAIN
