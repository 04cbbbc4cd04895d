// SPDX-License-Identifier: GPL-2.0
/* Page tables and page frames as /proc shows them: pagemap, kpageflags, kpagecount. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/kernel-page-flags.h>

#include "mm.h"
#include "internal.h"

/* Documentation/admin-guide/mm/pagemap.rst */
#define PM_PFN_BITS		55
#define PM_SWAP_TYPE_BITS	5
#define PM_SOFT_DIRTY		(1ULL << 55)
#define PM_EXCLUSIVE		(1ULL << 56)
#define PM_UFFD_WP		(1ULL << 57)
#define PM_GUARD		(1ULL << 58)
#define PM_FILE			(1ULL << 61)
#define PM_PFN(e)		((e) & ((1ULL << PM_PFN_BITS) - 1))

#define BATCH			256

static int read_entries(int fd, const void *addr, uint64_t *entries, size_t n)
{
	char *to = (char *)entries;
	off_t pos = (uintptr_t)addr / PAGE * sizeof(*entries);
	size_t left = n * sizeof(*entries);

	while (left) {
		ssize_t got = pread(fd, to, left, pos);

		if (got < 0)
			return -errno;
		if (!got)
			return -EFAULT;	/* past the end of the address space */
		to += got;
		pos += got;
		left -= got;
	}
	return 0;
}

long mm_count_migrating(int fd, const void *addr, size_t n)
{
	uint64_t entries[BATCH];
	long migrating = 0;

	for (size_t done = 0; done < n; done += BATCH) {
		size_t now = n - done < BATCH ? n - done : BATCH;
		int err = read_entries(fd, (const char *)addr + done * PAGE, entries, now);

		if (err)
			return err;
		for (size_t i = 0; i < now; i++)
			migrating += mm_entry_migrating(entries[i]);
	}
	return migrating;
}

/*
 * The caller's own stays open, for tests ask for page after page; not over fork(), where it would go on showing the parent. A child
 * of a raw clone(2) must not ask.
 */
static int own = -1;

static void forget_own(void)
{
	if (own >= 0)
		close(own);
	own = -1;
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, forget_own);
}

static int pagemap_open(pid_t pid)
{
	if (pid)
		return mm_proc_open(pid, "pagemap");
	if (own < 0)
		own = mm_proc_open(0, "pagemap");
	return own;
}

static void pagemap_close(int fd)
{
	if (fd != own)
		close(fd);
}

int mm_pagemap(pid_t pid, const void *addr, uint64_t *entries, size_t n)
{
	int fd = pagemap_open(pid);
	int err;

	if (fd < 0)
		return fd;
	err = read_entries(fd, addr, entries, n);
	pagemap_close(fd);
	return err;
}

/* Call @see(entry, index, @arg) for each page of the range. */
static int for_each_entry(pid_t pid, const void *addr, size_t n,
			  void (*see)(uint64_t entry, size_t i, void *arg), void *arg)
{
	uint64_t entries[BATCH];
	int fd, err = 0;

	fd = pagemap_open(pid);
	if (fd < 0)
		return fd;
	for (size_t done = 0; done < n && !err; done += BATCH) {
		size_t now = n - done < BATCH ? n - done : BATCH;

		err = read_entries(fd, (const char *)addr + done * PAGE, entries, now);
		for (size_t i = 0; i < now && !err; i++)
			see(entries[i], done + i, arg);
	}
	pagemap_close(fd);
	return err;
}

static void decode(uint64_t entry, size_t i, void *arg)
{
	struct mm_page *page = arg;

	(void)i;
	*page = (struct mm_page) {
		.present	= entry & MM_PM_PRESENT,
		.swapped	= entry & MM_PM_SWAP,
		.file		= entry & PM_FILE,
		.exclusive	= entry & PM_EXCLUSIVE,
		.soft_dirty	= entry & PM_SOFT_DIRTY,
		.uffd_wp	= entry & PM_UFFD_WP,
		.guard		= entry & PM_GUARD,
	};
	if (page->present) {
		page->pfn = PM_PFN(entry);
	} else if (page->swapped) {
		page->swap_type = entry & ((1U << PM_SWAP_TYPE_BITS) - 1);
		page->swap_offset = PM_PFN(entry) >> PM_SWAP_TYPE_BITS;
	}
}

int mm_page(pid_t pid, const void *addr, struct mm_page *page)
{
	*page = (struct mm_page) { 0 };
	return for_each_entry(pid, addr, 1, decode, page);
}

uint64_t mm_pfn(pid_t pid, const void *addr)
{
	struct mm_page page;

	return mm_page(pid, addr, &page) ? 0 : page.pfn;
}

static void store_pfn(uint64_t entry, size_t i, void *arg)
{
	uint64_t *pfns = arg;

	pfns[i] = entry & MM_PM_PRESENT ? PM_PFN(entry) : 0;
}

int mm_pfns(pid_t pid, const void *addr, uint64_t *pfns, size_t n)
{
	return for_each_entry(pid, addr, n, store_pfn, pfns);
}

struct count {
	uint64_t bit;
	long n;
};

static void count_bit(uint64_t entry, size_t i, void *arg)
{
	struct count *count = arg;

	(void)i;
	if (entry & count->bit)
		count->n++;
}

static long count_pages(pid_t pid, const void *addr, size_t len, uint64_t bit)
{
	struct count count = { .bit = bit };
	int err = for_each_entry(pid, addr, (len + PAGE - 1) / PAGE, count_bit, &count);

	return err ? err : count.n;
}

long mm_count_present(pid_t pid, const void *addr, size_t len)
{
	return count_pages(pid, addr, len, MM_PM_PRESENT);
}

long mm_count_swapped(pid_t pid, const void *addr, size_t len)
{
	return count_pages(pid, addr, len, MM_PM_SWAP);
}

/* A file that holds one 64-bit word a frame, open from the first question on. */
struct frames {
	const char *path;
	int fd;
};

static int read_frame(struct frames *f, uint64_t pfn, uint64_t *value)
{
	ssize_t n;

	if (f->fd < 0)
		f->fd = open(f->path, O_RDONLY | O_CLOEXEC);
	if (f->fd < 0)
		return -errno;
	n = pread(f->fd, value, sizeof(*value), pfn * sizeof(*value));
	if (n < 0)
		return -errno;
	return n == sizeof(*value) ? 0 : -ENXIO;
}

uint64_t mm_kpageflags(uint64_t pfn)
{
	static struct frames frames = { "/proc/kpageflags", -1 };
	uint64_t flags;

	return read_frame(&frames, pfn, &flags) ? 1ULL << KPF_NOPAGE : flags;
}

long mm_kpagecount(uint64_t pfn)
{
	static struct frames frames = { "/proc/kpagecount", -1 };
	uint64_t count;
	int err = read_frame(&frames, pfn, &count);

	return err ? err : (long)count;
}

bool mm_kpf(uint64_t pfn, int kpf_bit)
{
	return mm_kpageflags(pfn) & 1ULL << kpf_bit;
}

#define UNPOISON	"/sys/kernel/debug/hwpoison/unpoison-pfn"

const char *mm_need_memory_failure(void)
{
	/* Nothing to do, but an unknown advice is refused first. */
	if (madvise(NULL, 0, MADV_HWPOISON))
		return "MEMORY_FAILURE";
	return access(UNPOISON, W_OK) ? "HWPOISON_INJECT" : NULL;
}

const char *mm_need_soft_offline(void)
{
	const char *why = mm_need_memory_failure();

	if (why)
		return why;
	/* For page_owner a page is freed when it is poisoned and when that ends: its counts become wrong. */
	return access("/sys/kernel/debug/page_owner", F_OK) ? NULL : "a kernel without PAGE_OWNER";
}

int mm_unpoison(uint64_t pfn)
{
	char text[32];

	snprintf(text, sizeof(text), "%#llx", (unsigned long long)pfn);
	return mm_write_file(UNPOISON, text);
}
