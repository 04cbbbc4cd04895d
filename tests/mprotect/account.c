// SPDX-License-Identifier: GPL-2.0
/*
 * What mprotect() charges: private memory that may be written counts in Committed_AS (Documentation/mm/overcommit-accounting.rst),
 * from when it may first, until it is unmapped, or may not any more and has no page.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <signal.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	64
#define LEN	(PAGES * PAGE)
#define LEN_KB	((long)(LEN / KB))
#define SEED	1
#define RW	(PROT_READ | PROT_WRITE)
#define MODE	"/proc/sys/vm/overcommit_memory"
#define LIMIT	"/proc/sys/vm/overcommit_kbytes"
#define RATIO	"/proc/sys/vm/overcommit_ratio"

#define EXPECT_ERROR(err, call) do { errno = 0; EXPECT_EQ(-1, call); EXPECT_EQ((err), errno); } while (0)

FIXTURE(charge) {
	char *p;
	int fd;
	long committed, data;
};

FIXTURE_VARIANT(charge) {
	int prot, flags;	/* as it is mapped */
	const char *dir;
	long mapped;		/* pages charged when it is mapped, */
	long writable;		/* and when it may be written */
	bool data;		/* it counts in VmData then */
};

#define V(name, ...) FIXTURE_VARIANT_ADD(charge, name) { __VA_ARGS__ }
V(anon, .prot = RW, .flags = MAP_PRIVATE, .mapped = PAGES, .writable = PAGES, .data = true);
V(anon_read, .prot = PROT_READ, .flags = MAP_PRIVATE, .writable = PAGES, .data = true);
V(anon_none, .prot = PROT_NONE, .flags = MAP_PRIVATE, .writable = PAGES, .data = true);
V(anon_noreserve, .prot = PROT_READ, .flags = MAP_PRIVATE | MAP_NORESERVE, .data = true);
V(file, .prot = PROT_READ, .flags = MAP_PRIVATE, .dir = "/mnt", .writable = PAGES, .data = true);
V(file_noreserve, .prot = PROT_READ, .flags = MAP_PRIVATE | MAP_NORESERVE, .dir = "/mnt", .data = true);
V(file_shared, .prot = PROT_READ, .flags = MAP_SHARED, .dir = "/mnt");
V(shmem, .prot = PROT_READ, .flags = MAP_SHARED, .mapped = PAGES, .writable = PAGES);

FIXTURE_SETUP(charge)
{
	self->fd = -1;
	if (variant->dir) {
		self->fd = mm_tmpfile(variant->dir, LEN);
		ASSERT_LE(0, self->fd);
	}
	self->p = mm_reserve(LEN, PAGE);
	ASSERT_NE(NULL, self->p);
	ASSERT_EQ(0, munmap(self->p, LEN));
	/* What reading them takes is there. */
	mm_meminfo("Committed_AS");
	mm_status(0, "VmData");
	self->committed = mm_meminfo("Committed_AS");
	self->data = mm_status(0, "VmData");
	ASSERT_EQ(self->p, mmap(self->p, LEN, variant->prot, variant->flags | MAP_FIXED | (variant->dir ? 0 : MAP_ANONYMOUS),
				self->fd, 0));
}

FIXTURE_TEARDOWN(charge)
{
	munmap(self->p, LEN);
	EXPECT_EQ(self->committed, mm_meminfo("Committed_AS"));
	EXPECT_EQ(self->data, mm_status(0, "VmData"));
	if (self->fd >= 0)
		close(self->fd);
}

static long charged(const FIXTURE_DATA(charge) *self)
{
	return (mm_meminfo("Committed_AS") - self->committed) * (long)KB / (long)PAGE;
}

static long counted(const FIXTURE_DATA(charge) *self)
{
	return (mm_status(0, "VmData") - self->data) * (long)KB / (long)PAGE;
}

/* by page, once, as it becomes writable; what is read-only again is no data, and not charged if it is anonymous and has no page */
TEST_F(charge, once)
{
	long left = variant->dir || variant->flags == MAP_SHARED ? variant->writable : 0;

	EXPECT_EQ(variant->mapped, charged(self));
	ASSERT_EQ(0, mprotect(self->p, LEN, RW));
	EXPECT_EQ(variant->writable, charged(self));
	EXPECT_EQ(variant->data ? PAGES : 0, counted(self));
	ASSERT_EQ(0, mprotect(self->p, LEN, PROT_READ));
	EXPECT_EQ(left, charged(self));
	EXPECT_EQ(0, counted(self));
	ASSERT_EQ(0, mprotect(self->p, LEN, PROT_NONE));
	EXPECT_EQ(left, charged(self));
	ASSERT_EQ(0, mprotect(self->p, LEN, RW));
	EXPECT_EQ(variant->writable, charged(self));
	EXPECT_EQ(variant->data ? PAGES : 0, counted(self));
	ASSERT_EQ(0, munmap(self->p, LEN));
	EXPECT_EQ(0, charged(self));
}

/* with a page of its own it stays charged, all of it, whatever the rights, and is given back when it is unmapped */
TEST_F(charge, with_pages)
{
	ASSERT_EQ(0, mprotect(self->p, LEN, RW));
	mm_fill(self->p + PAGE, PAGE, SEED);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, mprotect(self->p, LEN, i ? PROT_NONE : PROT_READ));
		EXPECT_EQ(variant->writable, charged(self));
		EXPECT_EQ(0, counted(self));
		ASSERT_EQ(0, mprotect(self->p + PAGE, PAGE, RW));
		EXPECT_EQ(variant->writable, charged(self));
		EXPECT_EQ(variant->data ? 1 : 0, counted(self));
	}
	EXPECT_EQ(-1, mm_check(self->p + PAGE, PAGE, SEED));
	ASSERT_EQ(0, munmap(self->p + PAGE, LEN - PAGE));
	ASSERT_EQ(0, munmap(self->p, PAGE));
	EXPECT_EQ(0, charged(self));
}

/* a part is charged as such, and given back by parts */
TEST_F(charge, parts)
{
	long a_page = variant->mapped || !variant->writable ? 0 : 1;

	ASSERT_EQ(0, mprotect(self->p + PAGE, PAGE, RW));
	EXPECT_EQ(variant->mapped + a_page, charged(self));
	ASSERT_EQ(0, mprotect(self->p + 3 * PAGE, 2 * PAGE, RW));
	EXPECT_EQ(variant->mapped + 3 * a_page, charged(self));
	ASSERT_EQ(0, mprotect(self->p, 5 * PAGE, RW));
	EXPECT_EQ(variant->mapped + 5 * a_page, charged(self));
	ASSERT_EQ(0, munmap(self->p + 2 * PAGE, PAGE));
	/* Shared memory is charged as a whole, while there is any of it. */
	EXPECT_EQ(variant->mapped + 4 * a_page - (variant->mapped && variant->flags == MAP_PRIVATE), charged(self));
	ASSERT_EQ(0, munmap(self->p, 2 * PAGE));
	EXPECT_EQ(variant->mapped + 2 * a_page - (variant->mapped && variant->flags == MAP_PRIVATE ? 3 : 0), charged(self));
}

static int restore(const char *path, long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", value);
	return mm_write_file(path, text);
}

/* overcommit_memory=2: what is above CommitLimit cannot become writable, ENOMEM, and is as it was; what was charged once can */
TEST(strict)
{
	long mode = mm_read_long(MODE), kbytes = mm_read_long(LIMIT), ratio = mm_read_long(RATIO);
	long swap = mm_meminfo("SwapTotal"), room = 64 * 1024;
	size_t len = 4 * room * KB, more = (swap + room) * KB;
	char *p = mm_reserve(len, PAGE), *q = mm_map_aligned(more, PAGE);
	int done;

	/* What is committed is more than the swap there is, which CommitLimit has too; a process is kept from 1/32 of its size. */
	ASSERT_NE(NULL, q);
	mm_touch_write(q, PAGE);
	ASSERT_EQ(0, mprotect(q, more, PROT_READ));
	ASSERT_EQ(p, mmap(p, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	ASSERT_EQ(0, restore(LIMIT, mm_meminfo("Committed_AS") + room - swap));
	done = restore(MODE, 2);
	EXPECT_ERROR(ENOMEM, mprotect(p, len, RW));
	EXPECT_EQ(SIGSEGV, mm_probe_write(p, 1));
	EXPECT_EQ(1, mm_vma_count(0, p, len));
	EXPECT_EQ(0, mprotect(p, PAGE, RW));
	EXPECT_EQ(0, mprotect(q, more, RW));
	EXPECT_EQ(0, restore(MODE, mode));
	EXPECT_EQ(0, kbytes ? restore(LIMIT, kbytes) : restore(RATIO, ratio));
	EXPECT_EQ(0, done);
	EXPECT_EQ(0, mprotect(p, len, RW));
	munmap(q, more);
	munmap(p, len);
}

TEST_HARNESS_MAIN
