// SPDX-License-Identifier: GPL-2.0
/*
 * mprotect(2): "If the calling process tries to access memory in a manner that violates the protections, then the kernel generates
 * a SIGSEGV signal for the process". The bytes stay as they are, of memory of each kind, and so do others' rights.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/uio.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	8
#define LEN	(PAGES * PAGE)
#define SEED	1
#define OTHER	2
#define RW	(PROT_READ | PROT_WRITE)

#define EXPECT_ERROR(err, call) do { errno = 0; EXPECT_EQ(-1, call); EXPECT_EQ((err), errno); } while (0)

FIXTURE(memory) {
	char *p;
	int fd;
};

FIXTURE_VARIANT(memory) {
	int flags;
	const char *dir;	/* of a file, "" is a memfd, NULL is anonymous */
	bool swapped, locked;
};

#define V(name, ...) FIXTURE_VARIANT_ADD(memory, name) { __VA_ARGS__ }
V(anon, .flags = MAP_PRIVATE);
V(anon_swapped, .flags = MAP_PRIVATE, .swapped = true);
V(anon_locked, .flags = MAP_PRIVATE, .locked = true);
V(shmem, .flags = MAP_SHARED);
V(shmem_swapped, .flags = MAP_SHARED, .swapped = true);
V(memfd, .flags = MAP_SHARED, .dir = "");
V(memfd_private, .flags = MAP_PRIVATE, .dir = "");
V(ext4, .flags = MAP_SHARED, .dir = "/mnt");
V(ext4_private, .flags = MAP_PRIVATE, .dir = "/mnt");

FIXTURE_SETUP(memory)
{
	NEED(variant->swapped ? mm_need_swap() ?: mm_need_memcg() : NULL);
	self->fd = -1;
	if (variant->dir) {
		self->fd = mm_tmpfile(variant->dir, LEN);
		ASSERT_LE(0, self->fd);
	}
	self->p = mm_map(LEN, PAGE, variant->flags, self->fd);
	ASSERT_NE(NULL, self->p);
	if (variant->swapped)
		ASSERT_EQ(0, mm_fill_swapped(self->p, LEN, SEED));
	if (!variant->swapped)
		mm_fill(self->p, LEN, SEED);
	if (variant->locked)
		ASSERT_EQ(0, mlock(self->p, LEN));
	ASSERT_EQ(variant->swapped ? 0 : PAGES, mm_count_present(0, self->p, LEN));
}

FIXTURE_TEARDOWN(memory)
{
	munmap(self->p, LEN);
	if (self->fd >= 0)
		close(self->fd);
}

/* How many pages of the range do not answer to a load or a store with this signal and code. */
static int others(char *p, size_t len, bool write, int sig, int code)
{
	int n = 0;

	mm_probe_begin();
	for (size_t at = 0; at < len; at += PAGE) {
		int got = write ? mm_probe_write(p + at, *(p + at)) : mm_probe_read(p + at);

		n += got != sig || (sig && mm_probe_code() != code);
	}
	mm_probe_end();
	return n;
}

/* A store of any byte, where one may not load either. */
static int stores(char *p, size_t len, int sig, int code)
{
	int n = 0;

	mm_probe_begin();
	for (size_t at = 0; at < len; at += PAGE)
		n += mm_probe_write(p + at, 0x55) != sig || mm_probe_code() != code;
	mm_probe_end();
	return n;
}

/* without any right a load and a store are SIGSEGV, SEGV_ACCERR; when the rights come back so do the bytes, in the same frames */
TEST_F(memory, none_and_back)
{
	uint64_t was[PAGES], is[PAGES];

	ASSERT_EQ(0, mm_pfns(0, self->p, was, PAGES));
	ASSERT_EQ(0, mprotect(self->p, LEN, PROT_NONE));
	EXPECT_EQ(0, others(self->p, LEN, false, SIGSEGV, SEGV_ACCERR));
	EXPECT_EQ(0, stores(self->p, LEN, SIGSEGV, SEGV_ACCERR));
	EXPECT_EQ(1, mm_vma_count(0, self->p, LEN));
	ASSERT_EQ(0, mprotect(self->p, LEN, RW));
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
	ASSERT_EQ(0, mm_pfns(0, self->p, is, PAGES));
	for (int i = 0; i < PAGES && !variant->swapped; i++) {
		EXPECT_EQ(was[i], is[i]) TH_LOG("page %d", i);
	}
	mm_fill(self->p, LEN, OTHER);
	EXPECT_EQ(-1, mm_check(self->p, LEN, OTHER));
	EXPECT_EQ(variant->locked ? LEN / KB : 0, mm_status(0, "VmLck"));
}

/* read-only, a store is SIGSEGV, SEGV_ACCERR and changes nothing; writable again it is done in the same frame */
TEST_F(memory, read_only_and_back)
{
	uint64_t was[PAGES], is[PAGES];

	ASSERT_EQ(0, mprotect(self->p, LEN, PROT_READ));
	EXPECT_EQ(0, stores(self->p, LEN, SIGSEGV, SEGV_ACCERR));
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
	EXPECT_EQ(0, stores(self->p, LEN, SIGSEGV, SEGV_ACCERR));
	ASSERT_EQ(0, mm_pfns(0, self->p, was, PAGES));
	ASSERT_EQ(0, mprotect(self->p, LEN, RW));
	EXPECT_EQ(0, others(self->p, LEN, true, 0, 0));
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
	ASSERT_EQ(0, mm_pfns(0, self->p, is, PAGES));
	for (int i = 0; i < PAGES; i++) {
		EXPECT_EQ(was[i], is[i]) TH_LOG("page %d", i);
	}
}

/* a part: it alone is refused, as a mapping of its own; given back it is one with the rest again */
TEST_F(memory, part)
{
	for (int first = 0; first < PAGES; first += 3) {
		char *q = self->p + first * PAGE;
		size_t behind = LEN - (first + 2) * PAGE;

		ASSERT_EQ(0, mprotect(q, 2 * PAGE, PROT_NONE));
		EXPECT_EQ(first && behind ? 3 : 2, mm_vma_count(0, self->p, LEN)) TH_LOG("from page %d", first);
		EXPECT_EQ(0, others(q, 2 * PAGE, false, SIGSEGV, SEGV_ACCERR));
		EXPECT_EQ(0, stores(q, 2 * PAGE, SIGSEGV, SEGV_ACCERR));
		EXPECT_EQ(0, others(self->p, first * PAGE, true, 0, 0));
		EXPECT_EQ(0, others(q + 2 * PAGE, behind, true, 0, 0));
		ASSERT_EQ(0, mprotect(q, 2 * PAGE, RW));
		EXPECT_EQ(1, mm_vma_count(0, self->p, LEN)) TH_LOG("from page %d", first);
		EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
	}
}

/* a length within a page is that page; the pages beside it keep their rights */
TEST_F(memory, bytes)
{
	ASSERT_EQ(0, mprotect(self->p + 2 * PAGE, 1, PROT_READ));
	EXPECT_EQ(0, stores(self->p + 2 * PAGE, PAGE, SIGSEGV, SEGV_ACCERR));
	EXPECT_EQ(0, others(self->p, 2 * PAGE, true, 0, 0));
	EXPECT_EQ(0, others(self->p + 3 * PAGE, LEN - 3 * PAGE, true, 0, 0));
	ASSERT_EQ(0, mprotect(self->p + 2 * PAGE, PAGE + 1, PROT_READ));
	EXPECT_EQ(0, stores(self->p + 2 * PAGE, 2 * PAGE, SIGSEGV, SEGV_ACCERR));
	EXPECT_EQ(0, others(self->p + 4 * PAGE, LEN - 4 * PAGE, true, 0, 0));
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
}

/* system calls are refused what the process is: EFAULT, and the pipe or the memory keeps what it has */
TEST_F(memory, system_calls)
{
	char byte = 'x';
	int ends[2];

	ASSERT_EQ(0, pipe2(ends, O_CLOEXEC | O_NONBLOCK));
	ASSERT_EQ(0, mprotect(self->p, LEN, PROT_NONE));
	EXPECT_ERROR(EFAULT, write(ends[1], self->p, PAGE));
	EXPECT_ERROR(EAGAIN, read(ends[0], &byte, 1));
	ASSERT_EQ(1, write(ends[1], &byte, 1));
	EXPECT_ERROR(EFAULT, read(ends[0], self->p, 1));
	ASSERT_EQ(0, mprotect(self->p, LEN, PROT_READ));
	while (read(ends[0], &byte, 1) == 1)
		;
	EXPECT_EQ(PAGE, write(ends[1], self->p, PAGE));
	EXPECT_ERROR(EFAULT, read(ends[0], self->p + PAGE, PAGE));
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
	close(ends[0]);
	close(ends[1]);
}

static int child(void *arg)
{
	FIXTURE_DATA(memory) *self = arg;

	/* It has what its parent had, and its own from then on. */
	if (stores(self->p, LEN, SIGSEGV, SEGV_ACCERR) || mprotect(self->p, LEN, RW))
		return 1;
	return others(self->p, LEN, true, 0, 0) ? 2 : mprotect(self->p, LEN, PROT_NONE) ? 3 : 0;
}

/* rights are the process's: a child inherits them, and what it changes is its own */
TEST_F(memory, child)
{
	ASSERT_EQ(0, mprotect(self->p, LEN, PROT_READ));
	EXPECT_EQ(0, mm_in_child(child, self));
	EXPECT_EQ(0, others(self->p, LEN, false, 0, 0));
	EXPECT_EQ(0, stores(self->p, LEN, SIGSEGV, SEGV_ACCERR));
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
}

/* what is mapped twice has the rights of each mapping */
TEST_F(memory, second_mapping)
{
	int flags = MREMAP_MAYMOVE;
	char *q;

	if (variant->flags == MAP_PRIVATE) {
		/* There is no second one: the pages move, the rights with them. */
		ASSERT_EQ(0, mprotect(self->p, LEN, PROT_READ));
		q = mm_reserve(LEN, PAGE);
		ASSERT_EQ(q, mremap(self->p, LEN, LEN, flags | MREMAP_FIXED, q));
		EXPECT_EQ(SIGSEGV, mm_probe_read(self->p));
		EXPECT_EQ(SEGV_MAPERR, mm_probe_code());
	} else {
		q = mremap(self->p, 0, LEN, flags);
		ASSERT_NE(MAP_FAILED, q);
		ASSERT_EQ(0, mprotect(q, LEN, PROT_READ));
		EXPECT_EQ(0, others(self->p, LEN, true, 0, 0));
	}
	EXPECT_EQ(0, stores(q, LEN, SIGSEGV, SEGV_ACCERR));
	EXPECT_EQ(-1, mm_check(q, LEN, SEED));
	ASSERT_EQ(0, munmap(q, LEN));
}

/* where nothing is mapped a load and a store are SEGV_MAPERR, beside it in a mapping without rights SEGV_ACCERR */
TEST(codes)
{
	char *p = mm_map_aligned(4 * PAGE, PAGE);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, mprotect(p + PAGE, 3 * PAGE, PROT_NONE));
	ASSERT_EQ(0, munmap(p + 2 * PAGE, PAGE));
	EXPECT_EQ(0, others(p + 2 * PAGE, PAGE, false, SIGSEGV, SEGV_MAPERR));
	EXPECT_EQ(0, stores(p + 2 * PAGE, PAGE, SIGSEGV, SEGV_MAPERR));
	EXPECT_EQ(0, others(p + PAGE, PAGE, false, SIGSEGV, SEGV_ACCERR));
	EXPECT_EQ(0, stores(p + 3 * PAGE, PAGE, SIGSEGV, SEGV_ACCERR));
	/* It is not there for having been touched. */
	EXPECT_EQ(0, mm_count_present(0, p + PAGE, PAGE));
	munmap(p, 4 * PAGE);
}

TEST_HARNESS_MAIN
