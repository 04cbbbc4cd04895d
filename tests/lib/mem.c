// SPDX-License-Identifier: GPL-2.0
/* Mappings at chosen addresses, patterns that tell pages apart, and accesses that may fault. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mm.h"

/*
 * The heap gets its final size at once: the library and the harness allocate between two looks at the
 * address space, and a [heap] that grew or a new mapping of malloc() would look like an effect of the test.
 */
__attribute__((constructor)) static void settle_heap(void)
{
	mallopt(M_TOP_PAD, 4 * MB);
	mallopt(M_TRIM_THRESHOLD, 64 * MB);
	mallopt(M_MMAP_THRESHOLD, 16 * MB);
	free(malloc(1));
}

static size_t page_up(size_t len)
{
	return (len + PAGE - 1) & ~(PAGE - 1);
}

/*
 * Find room for [len] bytes at @offset past a multiple of @align, with at least a page to spare on both
 * sides: two regions that were mapped one after the other must not become one VMA. The range comes back
 * reserved, the room around it is given back.
 */
static char *find_room(size_t len, size_t align, size_t offset)
{
	size_t room = len + align + offset % align + 2 * PAGE;
	char *base, *p;
	uintptr_t start;

	base = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return NULL;
	start = (uintptr_t)base + PAGE - offset % align;
	start = (start + align - 1) / align * align + offset % align;
	p = (char *)start;
	munmap(base, p - base);
	munmap(p + len, base + room - (p + len));
	return p;
}

void *mm_reserve(size_t len, size_t align)
{
	if (!len || !align || align % PAGE) {
		errno = EINVAL;
		return NULL;
	}
	return find_room(page_up(len), align, 0);
}

void *mm_map_at_offset(size_t len, size_t align, size_t offset)
{
	char *p;

	if (!len || !align || align % PAGE || offset % PAGE) {
		errno = EINVAL;
		return NULL;
	}
	len = page_up(len);
	p = find_room(len, align, offset);
	if (!p)
		return NULL;
	/* A new mapping, not mprotect(): the VMA shall be what a plain mmap() gives. */
	if (mmap(p, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		 -1, 0) == MAP_FAILED) {
		munmap(p, len);
		return NULL;
	}
	return p;
}

void *mm_map_aligned(size_t len, size_t align)
{
	return mm_map_at_offset(len, align, 0);
}

static int sized(int fd, size_t len)
{
	int err;

	if (fd < 0)
		return -errno;
	if (!ftruncate(fd, len))
		return fd;
	err = errno;
	close(fd);
	return -err;
}

int mm_memfd(size_t len)
{
	return sized(memfd_create("mm", MFD_CLOEXEC), len);
}

int mm_tmpfile(const char *dir, size_t len)
{
	if (!dir || !*dir)
		return mm_memfd(len);
	return sized(open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), len);
}

void *mm_map(size_t len, size_t align, int flags, int fd)
{
	void *p = mm_reserve(len, align);

	if (!p)
		return NULL;
	p = mmap(p, len, PROT_READ | PROT_WRITE, flags | MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

/*
 * The pattern is a sequence of 64-bit words. Both steps are one to one in the word's number, so that no
 * word comes twice, and the fold brings the high bits, which differ most, into the low bytes.
 */
static inline uint64_t word(uint64_t seed, uint64_t nr)
{
	uint64_t z = (nr + seed * 0xd1342543de82ef95ULL + 1) * 0x9e3779b97f4a7c15ULL;

	return z ^ (z >> 29);
}

static inline unsigned char pattern_byte(uint64_t seed, size_t offset)
{
	uint64_t w = word(seed, offset / 8);

	return w >> (offset % 8 * 8);
}

void mm_fill_from(void *p, size_t len, uint64_t seed, size_t offset)
{
	unsigned char *c = p;
	size_t i = 0;

	for (; i < len && (offset + i) % 8; i++)
		c[i] = pattern_byte(seed, offset + i);
	for (; i + 8 <= len; i += 8) {
		uint64_t w = word(seed, (offset + i) / 8);

		memcpy(c + i, &w, 8);
	}
	for (; i < len; i++)
		c[i] = pattern_byte(seed, offset + i);
}

void mm_fill(void *p, size_t len, uint64_t seed)
{
	mm_fill_from(p, len, seed, 0);
}

ssize_t mm_check_from(const void *p, size_t len, uint64_t seed, size_t offset)
{
	const unsigned char *c = p;
	size_t i = 0;

	for (; i < len && (offset + i) % 8; i++)
		if (c[i] != pattern_byte(seed, offset + i))
			return i;
	for (; i + 8 <= len; i += 8) {
		uint64_t w;

		memcpy(&w, c + i, 8);
		w ^= word(seed, (offset + i) / 8);
		if (w)
			return i + __builtin_ctzll(w) / 8;
	}
	for (; i < len; i++)
		if (c[i] != pattern_byte(seed, offset + i))
			return i;
	return -1;
}

ssize_t mm_check(const void *p, size_t len, uint64_t seed)
{
	return mm_check_from(p, len, seed, 0);
}

ssize_t mm_check_byte(const void *p, size_t len, unsigned char byte)
{
	const uint64_t want = byte * 0x0101010101010101ULL;
	const unsigned char *c = p;
	size_t i = 0;

	for (; i + 8 <= len; i += 8) {
		uint64_t w;

		memcpy(&w, c + i, 8);
		if (w != want)
			return i + __builtin_ctzll(w ^ want) / 8;
	}
	for (; i < len; i++)
		if (c[i] != byte)
			return i;
	return -1;
}

unsigned long mm_touch_read(const void *p, size_t len)
{
	const volatile unsigned char *c = p;
	unsigned long sum = 0;

	for (size_t i = 0; i < len; i += PAGE)
		sum += c[i];
	return sum;
}

void mm_touch_write(void *p, size_t len)
{
	unsigned char *c = p;

	/* One instruction that reads and writes: a load of its own would first map the zero page. */
	for (size_t i = 0; i < len; i += PAGE)
		asm volatile("orb $0, %0" : "+m" (c[i]));
}

static sigjmp_buf probe_env;
static volatile sig_atomic_t probe_code;
static struct sigaction old_segv, old_bus;
static int probing;		/* depth of mm_probe_begin() */

static void probe_handler(int sig, siginfo_t *info, void *context)
{
	(void)context;
	probe_code = info->si_code;
	siglongjmp(probe_env, sig);
}

void mm_probe_begin(void)
{
	/* No mask is saved or changed: a probe that meets no fault makes no system call. */
	struct sigaction sa = { .sa_sigaction = probe_handler, .sa_flags = SA_SIGINFO | SA_NODEFER };

	if (probing++)
		return;
	sigemptyset(&sa.sa_mask);
	sigaction(SIGSEGV, &sa, &old_segv);
	sigaction(SIGBUS, &sa, &old_bus);
}

void mm_probe_end(void)
{
	if (--probing)
		return;
	sigaction(SIGSEGV, &old_segv, NULL);
	sigaction(SIGBUS, &old_bus, NULL);
}

static int probe(volatile unsigned char *p, bool write, unsigned char byte)
{
	int sig;

	mm_probe_begin();
	probe_code = 0;
	sig = sigsetjmp(probe_env, 0);
	if (!sig) {
		if (write)
			*p = byte;
		else
			(void)*p;
	}
	mm_probe_end();
	return sig;
}

int mm_probe_read(const void *p)
{
	return probe((volatile unsigned char *)p, false, 0);
}

int mm_probe_write(void *p, unsigned char byte)
{
	return probe(p, true, byte);
}

int mm_probe_code(void)
{
	return probe_code;
}

uint64_t mm_rand(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 0x2545f4914f6cdd1dULL;
}
