/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of mremap() share: room to move in, moves, and looks at both ends of a move. */
#ifndef MMUML_TESTS_MREMAP_H
#define MMUML_TESTS_MREMAP_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "mm.h"

/*
 * A range of addresses in which nothing is mapped; its start is a multiple of @align. NULL on failure.
 * The next mapping at no given address may land there: ask for it last.
 */
static inline char *free_range(size_t len, size_t align)
{
	char *p = mm_reserve(len, align);

	if (p)
		munmap(p, len);
	return p;
}

/*
 * Read-write private anonymous memory at exactly [p, p+len), which must be free. It is not accounted, so
 * that it may be larger than the guest's memory.
 */
static inline void *map_at(void *p, size_t len)
{
	return mmap(p, len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
}

/* mm_fill() of pages that are not there yet, without a page fault for each. */
static inline void fill_new(void *p, size_t len, uint64_t seed)
{
	madvise(p, len, MADV_POPULATE_WRITE);
	mm_fill(p, len, seed);
}

/* mremap() of a range to @to, over whatever is there. */
static inline void *move(void *from, size_t len, void *to)
{
	return mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

/* How many pages of the range do not answer a read and a write with SIGSEGV, "address not mapped". */
static inline long reachable(void *p, size_t len)
{
	char *c = p;
	long n = 0;

	for (size_t i = 0; i < len; i += PAGE) {
		bool gone = mm_probe_read(c + i) == SIGSEGV && mm_probe_code() == SEGV_MAPERR &&
			    mm_probe_write(c + i, 0xee) == SIGSEGV && mm_probe_code() == SEGV_MAPERR;

		n += !gone;
	}
	return n;
}

/* Whether nothing is left of a range: no VMA, no entry in the page tables, no page that can be reached. */
static inline bool gone(void *p, size_t len)
{
	return !mm_vma_count(0, p, len) && !mm_count_present(0, p, len) &&
	       !mm_count_swapped(0, p, len) && !reachable(p, len);
}

/*
 * mm_check_from() as the kernel sees the range: through the page tables and its own mapping of the
 * frames, not through what the processor (the host) has mapped for user space. /proc/self/mem and not
 * process_vm_readv(), which pins the pages and thereby ends the sharing of anonymous ones.
 */
static inline ssize_t kernel_check_from(const void *p, size_t len, uint64_t seed, size_t offset)
{
	static char buf[16 * PAGE];
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	ssize_t bad = fd < 0 ? 0 : -1;

	for (size_t i = 0; i < len && bad < 0; i += sizeof(buf)) {
		size_t n = len - i < sizeof(buf) ? len - i : sizeof(buf);

		if (pread(fd, buf, n, (uintptr_t)p + i) != (ssize_t)n)
			memset(buf, 0xa5, n);
		bad = mm_check_from(buf, n, seed, offset + i);
		if (bad >= 0)
			bad += i;
	}
	close(fd);
	return bad;
}

static inline ssize_t kernel_check(const void *p, size_t len, uint64_t seed)
{
	return kernel_check_from(p, len, seed, 0);
}

/* mm_fill_from() by the kernel, see above; 0 or -errno. */
static inline int kernel_fill_from(void *p, size_t len, uint64_t seed, size_t offset)
{
	static char buf[16 * PAGE];
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	int err = fd < 0 ? -errno : 0;

	for (size_t i = 0; i < len && !err; i += sizeof(buf)) {
		size_t n = len - i < sizeof(buf) ? len - i : sizeof(buf);

		mm_fill_from(buf, n, seed, offset + i);
		if (pwrite(fd, buf, n, (uintptr_t)p + i) != (ssize_t)n)
			err = errno ? -errno : -EIO;
	}
	close(fd);
	return err;
}

/* How many pages of two ranges have different frames; a page that is absent from either counts. */
static inline long other_frames(const uint64_t *a, const uint64_t *b, size_t n)
{
	long differ = 0;

	for (size_t i = 0; i < n; i++)
		differ += !a[i] || a[i] != b[i];
	return differ;
}

#endif
