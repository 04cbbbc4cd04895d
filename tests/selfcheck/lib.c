// SPDX-License-Identifier: GPL-2.0
/* The library of the tests sees what happens in the kernel, and would notice if it did not happen. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/kernel-page-flags.h>

#include "kselftest_harness.h"
#include "mm.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

/* A page that the test and its children share: results come back through it. */
static void *shared_page(void)
{
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* ---- mem.c ---- */

/* mm_check() finds a single flipped bit, wherever it is, and nothing else */
TEST(check_finds_flipped_bit)
{
	size_t len = 3 * PAGE + 5;
	unsigned char *p = mm_map_aligned(4 * PAGE, PAGE);
	uint64_t state = 42;

	ASSERT_NE(NULL, p);
	p += 3;
	mm_fill(p, len, 7);
	ASSERT_EQ(-1, mm_check(p, len, 7));
	for (int i = 0; i < 200; i++) {
		size_t at = i < 16 ? i : i < 32 ? len - 1 - (i - 16) : mm_rand(&state) % len;

		p[at] ^= 1 << i % 8;
		ASSERT_EQ(at, mm_check(p, len, 7));
		ASSERT_EQ(-1, mm_check_from(p + at + 1, len - at - 1, 7, at + 1));
		p[at] ^= 1 << i % 8;
	}
	EXPECT_EQ(-1, mm_check(p, len, 7));
	EXPECT_EQ(0, p[-1]);
	EXPECT_EQ(0, p[len]);
}

/* the pattern has no two equal pages, words or seeds, and its parts fit together */
TEST(pattern_is_unique)
{
	size_t len = 64 * PAGE;
	char *p = mm_map_aligned(len, PAGE);
	char *q = mm_map_aligned(len, PAGE);

	ASSERT_NE(NULL, p);
	ASSERT_NE(NULL, q);
	mm_fill(p, len, 1);
	for (size_t i = PAGE; i < len; i += PAGE)
		for (size_t j = 0; j < i; j += PAGE)
			ASSERT_NE(0, memcmp(p + i, p + j, PAGE));
	mm_fill(q, len, 2);
	for (size_t i = 0; i < len; i += PAGE)
		EXPECT_LE(0, mm_check(q + i, PAGE, 1));
	for (size_t i = 0; i < len; i += 1001)
		mm_fill_from(q + i, len - i < 1001 ? len - i : 1001, 1, i);
	EXPECT_EQ(0, memcmp(p, q, len));
	EXPECT_EQ(-1, mm_check_from(p + 777, 5000, 1, 777));
	EXPECT_LE(0, mm_check(p + 777, 5000, 1));
}

/* mm_check_byte() finds the one other byte at every alignment */
TEST(check_byte)
{
	unsigned char buf[100];

	memset(buf, 0xa5, sizeof(buf));
	for (size_t from = 0; from < 9; from++)
		for (size_t at = from; at < sizeof(buf); at++) {
			buf[at] = 0xa4;
			ASSERT_EQ(at - from, mm_check_byte(buf + from, sizeof(buf) - from, 0xa5));
			buf[at] = 0xa5;
			ASSERT_EQ(-1, mm_check_byte(buf + from, sizeof(buf) - from, 0xa5));
		}
}

/* mapped regions are where they were asked for, and two in a row are two VMAs */
TEST(map_places)
{
	struct mm_vma vma;

	for (int i = 0; i < 4; i++) {
		char *p = mm_map_at_offset(3 * PAGE, PMD_SIZE, 5 * PAGE);
		char *q = mm_reserve(PMD_SIZE, PMD_SIZE);

		ASSERT_NE(NULL, p);
		ASSERT_NE(NULL, q);
		EXPECT_EQ(5 * PAGE, (uintptr_t)p % PMD_SIZE);
		ASSERT_EQ(0, mm_vma(0, p + PAGE, &vma));
		EXPECT_EQ((uintptr_t)p, vma.start);
		EXPECT_EQ((uintptr_t)p + 3 * PAGE, vma.end);
		EXPECT_STREQ("rw-p", vma.prot);
		EXPECT_EQ(0, (uintptr_t)q % PMD_SIZE);
		ASSERT_EQ(0, mm_vma(0, q, &vma));
		EXPECT_EQ((uintptr_t)q, vma.start);
		EXPECT_EQ((uintptr_t)q + PMD_SIZE, vma.end);
		EXPECT_STREQ("---p", vma.prot);
	}
}

/* touching to write faults once a page; touching to read maps the zero page */
TEST(touch_faults_once)
{
	size_t n = 64;
	char *p = mm_map_aligned(n * PAGE, PMD_SIZE);
	char *q = mm_map_aligned(n * PAGE, PMD_SIZE);
	struct mm_snap *s;
	long faults;

	ASSERT_NE(NULL, p);
	ASSERT_NE(NULL, q);
	s = mm_snap();
	ASSERT_NE(NULL, s);
	mm_touch_write(p, n * PAGE);
	faults = mm_delta(s, "pgfault");
	EXPECT_LE(n, faults);
	EXPECT_GT(n + 16, faults);
	EXPECT_EQ(n, mm_count_present(0, p, n * PAGE));
	EXPECT_NE(mm_pfn(0, p), mm_pfn(0, p + PAGE));
	EXPECT_EQ(0, mm_touch_read(q, n * PAGE));
	EXPECT_TRUE(mm_kpf(mm_pfn(0, q), KPF_ZERO_PAGE));
	EXPECT_EQ(mm_pfn(0, q), mm_pfn(0, q + PAGE));
	mm_snap_free(s);
}

static void other_handler(int sig)
{
	(void)sig;
}

/* a probe tells the signal and its code, and leaves handlers and memory as they were */
TEST(probe_tells_signal)
{
	struct sigaction sa = { .sa_handler = other_handler }, now;
	char *p = mm_map_aligned(PAGE, PAGE);
	char *none = mm_reserve(PAGE, PAGE);
	int fd = mm_memfd(PAGE);
	char *f = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	ASSERT_NE(NULL, p);
	ASSERT_NE(NULL, none);
	ASSERT_NE(MAP_FAILED, f);
	ASSERT_EQ(0, sigaction(SIGSEGV, &sa, NULL));
	EXPECT_EQ(0, mm_probe_write(p, 9));
	EXPECT_EQ(9, *p);
	EXPECT_EQ(0, mm_probe_read(p));
	EXPECT_EQ(SIGSEGV, mm_probe_read(none));
	EXPECT_EQ(SEGV_ACCERR, mm_probe_code());
	ASSERT_EQ(0, mprotect(p, PAGE, PROT_READ));
	EXPECT_EQ(SIGSEGV, mm_probe_write(p, 1));
	EXPECT_EQ(SEGV_ACCERR, mm_probe_code());
	EXPECT_EQ(0, mm_probe_read(p));
	EXPECT_EQ(9, *p);
	ASSERT_EQ(0, munmap(none, PAGE));
	EXPECT_EQ(SIGSEGV, mm_probe_read(none));
	EXPECT_EQ(SEGV_MAPERR, mm_probe_code());
	EXPECT_EQ(0, mm_probe_read(f));
	EXPECT_EQ(SIGBUS, mm_probe_read(f + PAGE));
	ASSERT_EQ(0, sigaction(SIGSEGV, NULL, &now));
	EXPECT_TRUE(now.sa_handler == other_handler);
	close(fd);
}

/* the generator gives the published xorshift64* sequence */
TEST(rand_is_fixed)
{
	uint64_t state = 1;

	EXPECT_EQ(0x47e4ce4b896cdd1dULL, mm_rand(&state));
	EXPECT_EQ(0xabcfa6a8e079651dULL, mm_rand(&state));
	EXPECT_EQ(0xb9d10d8feb731f57ULL, mm_rand(&state));
}

/* ---- pagemap.c ---- */

struct look {
	char *p;
	uint64_t pfn[2];
	long count[2];
};

static int look_and_write(void *arg)
{
	struct look *look = arg;

	look->pfn[0] = mm_pfn(0, look->p);
	look->count[0] = mm_kpagecount(look->pfn[0]);
	*look->p = 2;
	look->pfn[1] = mm_pfn(0, look->p);
	look->count[1] = mm_kpagecount(look->pfn[1]);
	return 0;
}

/* a forked page is one frame with two mappings until one side writes */
TEST(pfn_follows_cow)
{
	struct look *look = shared_page();
	struct mm_page page;
	uint64_t pfn;

	ASSERT_NE(NULL, look);
	look->p = mm_map_aligned(PAGE, PAGE);
	*look->p = 1;
	pfn = mm_pfn(0, look->p);
	ASSERT_NE(0, pfn);
	ASSERT_EQ(0, mm_page(0, look->p, &page));
	EXPECT_TRUE(page.present);
	EXPECT_TRUE(page.exclusive);
	EXPECT_FALSE(page.file);
	EXPECT_EQ(1, mm_kpagecount(pfn));
	EXPECT_TRUE(mm_kpf(pfn, KPF_ANON));
	EXPECT_FALSE(mm_kpf(pfn, KPF_BUDDY));
	ASSERT_EQ(0, mm_in_child(look_and_write, look));
	EXPECT_EQ(pfn, look->pfn[0]);
	EXPECT_EQ(2, look->count[0]);
	EXPECT_NE(pfn, look->pfn[1]);
	EXPECT_EQ(1, look->count[1]);
	EXPECT_EQ(pfn, mm_pfn(0, look->p));
	EXPECT_EQ(1, *look->p);
}

/* batches of entries are the entries one by one, and counts are their sum */
TEST(pagemap_batches)
{
	size_t n = 700;
	char *p = mm_map_aligned(n * PAGE, PMD_SIZE);
	uint64_t pfns[700], state = 3;
	long present = 0;

	ASSERT_NE(NULL, p);
	for (size_t i = 0; i < n; i++)
		if (mm_rand(&state) % 3)
			present++, p[i * PAGE] = 1;
	ASSERT_EQ(0, mm_pfns(0, p, pfns, n));
	for (size_t i = 0; i < n; i++) {
		ASSERT_EQ(mm_pfn(0, p + i * PAGE), pfns[i]);
		present -= !!pfns[i];
	}
	EXPECT_EQ(0, present);
	EXPECT_EQ(1, mm_count_present(0, p + n * PAGE - PAGE, PAGE) +
		     !pfns[n - 1]);
}

/* file pages and guard pages are told from anonymous ones */
TEST(pagemap_kinds)
{
	int fd = mm_memfd(PAGE);
	char *f = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *p = mm_map_aligned(2 * PAGE, PAGE);
	struct mm_page page;

	ASSERT_NE(MAP_FAILED, f);
	ASSERT_NE(NULL, p);
	*f = *p = 1;
	ASSERT_EQ(0, mm_page(0, f, &page));
	EXPECT_TRUE(page.present);
	EXPECT_TRUE(page.file);
	EXPECT_TRUE(mm_kpf(page.pfn, KPF_MMAP));
	EXPECT_FALSE(mm_kpf(page.pfn, KPF_ANON));
	ASSERT_EQ(0, mm_page(0, p + PAGE, &page));
	EXPECT_FALSE(page.present);
	EXPECT_FALSE(page.guard);
	EXPECT_EQ(-ENOENT, mm_page(0x3fffff, p, &page));
	EXPECT_TRUE(mm_kpageflags(~0ULL >> 20) & 1ULL << KPF_NOPAGE);
	NEED(mm_need_guard(MAP_PRIVATE));
	ASSERT_EQ(0, madvise(p + PAGE, PAGE, MADV_GUARD_INSTALL));
	ASSERT_EQ(0, mm_page(0, p + PAGE, &page));
	EXPECT_TRUE(page.guard);
	EXPECT_FALSE(page.present);
	close(fd);
}

/* ---- vma.c ---- */

/* a split, a lock and a touch show in the VMA's own account and in no other */
TEST(vma_accounts)
{
	char *p = mm_map_aligned(9 * PAGE, PAGE);
	struct mm_vma vma;
	long locked;

	ASSERT_NE(NULL, p);
	EXPECT_EQ(1, mm_vma_count(0, p, 9 * PAGE));
	EXPECT_EQ(0, mm_smaps(0, p, "Rss"));
	mm_touch_write(p, 4 * PAGE);
	EXPECT_EQ(16, mm_smaps(0, p, "Rss"));
	EXPECT_EQ(36, mm_smaps(0, p, "Size"));
	ASSERT_EQ(0, mprotect(p + 3 * PAGE, 3 * PAGE, PROT_READ));
	EXPECT_EQ(3, mm_vma_count(0, p, 9 * PAGE));
	EXPECT_EQ(1, mm_vma_count(0, p, 3 * PAGE));
	EXPECT_EQ(2, mm_vma_count(0, p + 2 * PAGE, 2 * PAGE));
	EXPECT_EQ(12, mm_smaps(0, p, "Rss"));
	EXPECT_EQ(4, mm_smaps(0, p + 3 * PAGE, "Rss"));
	ASSERT_EQ(0, mm_vma(0, p + 4 * PAGE, &vma));
	EXPECT_STREQ("r--p", vma.prot);
	EXPECT_EQ((uintptr_t)p + 3 * PAGE, vma.start);
	locked = mm_status(0, "VmLck");
	EXPECT_FALSE(mm_vmflag(0, p, "lo"));
	ASSERT_EQ(0, mlock(p, 3 * PAGE));
	EXPECT_TRUE(mm_vmflag(0, p, "lo"));
	EXPECT_FALSE(mm_vmflag(0, p + 3 * PAGE, "lo"));
	EXPECT_EQ(locked + 12, mm_status(0, "VmLck"));
	EXPECT_EQ(-ENOENT, mm_smaps(0, p, "Rs"));
	EXPECT_EQ(-ENOENT, mm_status(0, "Vm"));
	ASSERT_EQ(0, munmap(p, 9 * PAGE));
	EXPECT_EQ(-ENOENT, mm_vma(0, p, &vma));
	EXPECT_EQ(0, mm_vma_count(0, p, 9 * PAGE));
}

/* the text of the address space is equal as long as nothing changes, in spite of malloc() */
TEST(maps_repeat)
{
	char *first = mm_maps(0), *text, *p;

	ASSERT_NE(NULL, first);
	for (int i = 0; i < 50; i++) {
		text = mm_maps(0);
		ASSERT_NE(NULL, text);
		ASSERT_STREQ(first, text);
	}
	p = mm_map_aligned(PAGE, PAGE);
	text = mm_maps(0);
	EXPECT_STRNE(first, text);
	ASSERT_EQ(0, munmap(p, PAGE));
	text = mm_maps(0);
	EXPECT_STREQ(first, text);
}

/* ---- stat.c ---- */

/* a counter grows by what happened, to the page, and falls back */
TEST(vmstat_is_exact)
{
	size_t n = 300;
	char *p = mm_map_aligned(n * PAGE, PMD_SIZE);
	struct mm_snap *s;

	ASSERT_NE(NULL, p);
	*p = 1;
	s = mm_snap();
	ASSERT_NE(NULL, s);
	EXPECT_EQ(0, mm_delta(s, "nr_anon_pages"));
	mm_touch_write(p, n * PAGE);
	EXPECT_EQ(n - 1, mm_delta(s, "nr_anon_pages"));
	ASSERT_EQ(0, madvise(p, n * PAGE, MADV_DONTNEED));
	EXPECT_EQ(-1, mm_delta(s, "nr_anon_pages"));
	EXPECT_LT(0, mm_meminfo("MemTotal"));
	EXPECT_EQ(-ENOENT, mm_meminfo("MemTota"));
	EXPECT_EQ(-ENOENT, mm_vmstat("nr_anon"));
	mm_snap_free(s);
}

static int ask_unknown(void *arg)
{
	fclose(stderr);
	return mm_delta(arg, "nr_nonsense");
}

/* the difference of a counter that does not exist ends the program */
TEST(unknown_counter_aborts)
{
	struct mm_snap *s = mm_snap();

	ASSERT_NE(NULL, s);
	EXPECT_EQ(-SIGABRT, mm_in_child(ask_unknown, s));
	mm_snap_free(s);
}

/* the count of a slab cache grows by exactly the objects that are made, and returns */
TEST(slab_counts_vmas)
{
	size_t n = 101;
	char *p = mm_map_aligned(2 * n * PAGE, PAGE);
	long vmas, chains;

	ASSERT_NE(NULL, p);
	*p = 1;
	vmas = mm_slab("vm_area_struct");
	if (vmas == -ENOENT)
		SKIP(return, "needs SLUB_DEBUG (/sys/kernel/slab)");
	chains = mm_slab("anon_vma_chain");
	ASSERT_LT(0, vmas);
	ASSERT_LT(0, chains);
	ASSERT_EQ(vmas, mm_slab("vm_area_struct"));
	for (size_t i = 0; i < n; i++)
		ASSERT_EQ(0, mprotect(p + (2 * i + 1) * PAGE, PAGE, PROT_READ));
	EXPECT_EQ(vmas + 2 * n - 1, mm_slab("vm_area_struct"));
	EXPECT_EQ(chains + 2 * n - 1, mm_slab("anon_vma_chain"));
	ASSERT_EQ(0, mprotect(p, 2 * n * PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(vmas, mm_slab("vm_area_struct"));
	EXPECT_EQ(chains, mm_slab("anon_vma_chain"));
}

static int touch_stack(void *arg)
{
	volatile char *p = arg;

	*p = 1;
	return 0;
}

/* after fork and exit every cache that a process uses is where it was */
TEST(slab_returns_after_fork)
{
	static const char * const caches[] = {
		"vm_area_struct", "anon_vma", "anon_vma_chain", "mm_struct", "maple_node",
		"files_cache", "fs_cache", "filp",
	};
	size_t n = sizeof(caches) / sizeof(caches[0]);
	char *p = mm_map_aligned(PAGE, PAGE);
	long before[8];

	ASSERT_NE(NULL, p);
	if (mm_slab("anon_vma") == -ENOENT)
		SKIP(return, "needs SLUB_DEBUG (/sys/kernel/slab)");
	*p = 1;
	ASSERT_EQ(0, mm_in_child(touch_stack, p));
	/* A process before this test may not be gone yet. */
	mm_settle();
	for (size_t i = 0; i < n; i++)
		before[i] = mm_slab(caches[i]);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 7; i++)
			ASSERT_EQ(0, mm_in_child(touch_stack, p));
		for (size_t i = 0; i < n; i++) {
			EXPECT_EQ(before[i], mm_slab(caches[i])) {
				TH_LOG("cache %s, round %d", caches[i], round);
			}
		}
	}
}

/* objects that wait for an RCU callback are not counted as used */
TEST(slab_waits_for_rcu)
{
	long before = mm_slab("shmem_inode_cache");
	int fds[40];

	if (before == -ENOENT)
		SKIP(return, "needs SLUB_DEBUG (/sys/kernel/slab)");
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 40; i++)
			fds[i] = mm_memfd(0);
		EXPECT_EQ(before + 40, mm_slab("shmem_inode_cache"));
		for (int i = 0; i < 40; i++)
			close(fds[i]);
		EXPECT_EQ(before, mm_slab("shmem_inode_cache"));
	}
}

/* acquisitions of the anon_vma lock grow with every fork and exit, by the same number */
TEST(lock_counts)
{
	char *p = mm_map_aligned(PAGE, PAGE);
	long n[4];

	if (mm_lock_count("&anon_vma->rwsem") == -ENOENT)
		SKIP(return, "needs LOCK_STAT");
	ASSERT_NE(NULL, p);
	for (int i = 0; i < 4; i++) {
		n[i] = mm_lock_count("&anon_vma->rwsem");
		ASSERT_EQ(0, mm_in_child(touch_stack, p));
	}
	EXPECT_LT(n[1], n[2]);
	EXPECT_EQ(n[2] - n[1], n[3] - n[2]);
	EXPECT_EQ(0, mm_lock_count("&anon_vma->rws"));
}

/* ---- file.c ---- */

/* numbers and errors of files come back as they are */
TEST(files)
{
	char text[64];

	EXPECT_EQ(-ENOENT, mm_read_long("/proc/nothing"));
	EXPECT_EQ(-ENOENT, mm_write_file("/proc/nothing", "1"));
	EXPECT_EQ(-EINVAL, mm_write_file("/proc/self/oom_score_adj", "none"));
	ASSERT_EQ(0, mm_write_file("/proc/self/oom_score_adj", "-17"));
	EXPECT_EQ(-17, mm_read_long("/proc/self/oom_score_adj"));
	EXPECT_EQ(4, mm_read_file("/proc/self/oom_score_adj", text, sizeof(text)));
	EXPECT_STREQ("-17\n", text);
	EXPECT_EQ(2, mm_read_file("/proc/self/oom_score_adj", text, 3));
	EXPECT_STREQ("-1", text);
}

/* ---- reclaim.c ---- */

/* paged out pages are on the swap device, count as such, and come back byte for byte */
TEST(pageout_writes_to_swap)
{
	size_t n = 200, len = n * PAGE;
	char *p = mm_map_aligned(len, PMD_SIZE);
	struct mm_page a, b;
	struct mm_snap *s;
	long used;

	NEED(mm_need_swap());
	ASSERT_NE(NULL, p);
	mm_fill(p, len, 5);
	used = mm_swap_used();
	s = mm_snap();
	ASSERT_NE(NULL, s);
	EXPECT_EQ(0, mm_pageout(p, len));
	EXPECT_EQ(0, mm_count_present(0, p, len));
	EXPECT_EQ(n, mm_count_swapped(0, p, len));
	EXPECT_EQ(n * 4, mm_smaps(0, p, "Swap"));
	EXPECT_EQ(used + (long)n, mm_swap_used());
	EXPECT_EQ(n, mm_delta(s, "pswpout"));
	ASSERT_EQ(0, mm_page(0, p, &a));
	ASSERT_EQ(0, mm_page(0, p + PAGE, &b));
	EXPECT_TRUE(a.swapped && b.swapped);
	EXPECT_NE(a.swap_offset, b.swap_offset);
	EXPECT_EQ(0, mm_delta(s, "pswpin"));
	EXPECT_EQ(-1, mm_check(p, len, 5));
	EXPECT_EQ(n, mm_delta(s, "pswpin"));
	EXPECT_EQ(n, mm_count_present(0, p, len));
	mm_snap_free(s);
}

/* a shared file in memory goes to swap as well, and is read back from there */
TEST(pageout_of_shmem)
{
	size_t n = 60, len = n * PAGE;
	unsigned char in_core[60];
	int fd = mm_memfd(len);
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct mm_snap *s;

	NEED(mm_need_swap());
	ASSERT_NE(MAP_FAILED, p);
	mm_fill(p, len, 5);
	s = mm_snap();
	ASSERT_NE(NULL, s);
	EXPECT_EQ(0, mm_pageout(p, len));
	ASSERT_EQ(0, mincore(p, len, in_core));
	EXPECT_EQ(-1, mm_check_byte(in_core, n, 0));
	EXPECT_LE(n, mm_delta(s, "pswpout"));
	EXPECT_EQ(-1, mm_check(p, len, 5));
	EXPECT_LE(n, mm_delta(s, "pswpin"));
	mm_snap_free(s);
	close(fd);
}

/* a new page waits in a batch, where nothing can isolate it, until the batches are drained */
TEST(lru_drain)
{
	char *p = mm_map_aligned(2 * PAGE, PAGE);

	ASSERT_NE(NULL, p);
	mm_lru_drain();
	*p = 1;
	EXPECT_FALSE(mm_kpf(mm_pfn(0, p), KPF_LRU));
	mm_lru_drain();
	EXPECT_TRUE(mm_kpf(mm_pfn(0, p), KPF_LRU));
	p[PAGE] = 1;
	EXPECT_FALSE(mm_kpf(mm_pfn(0, p + PAGE), KPF_LRU));
	mm_settle();
	EXPECT_TRUE(mm_kpf(mm_pfn(0, p + PAGE), KPF_LRU));
}

/* a swap cycle brings every page back without an access */
TEST(swap_cycle_brings_back)
{
	size_t n = 100, len = n * PAGE;
	char *p = mm_map_aligned(len, PMD_SIZE);

	NEED(mm_need_swap());
	ASSERT_NE(NULL, p);
	mm_fill(p, len, 6);
	ASSERT_EQ(0, mm_pageout(p, len));
	ASSERT_EQ(0, mm_swap_cycle());
	EXPECT_EQ(0, mm_swap_used());
	EXPECT_EQ(n, mm_count_present(0, p, len));
	EXPECT_EQ(-1, mm_check(p, len, 6));
	EXPECT_EQ(NULL, mm_need_swap());
	EXPECT_EQ(0, mm_pageout(p, len));
	EXPECT_EQ(-1, mm_check(p, len, 6));
}

/* a locked page cannot be paged out, and mm_pageout() says so */
TEST(pageout_leaves_mlocked)
{
	char *p = mm_map_aligned(8 * PAGE, PAGE);

	NEED(mm_need_swap());
	ASSERT_NE(NULL, p);
	mm_fill(p, 8 * PAGE, 6);
	ASSERT_EQ(0, mlock(p + 2 * PAGE, PAGE));
	EXPECT_EQ(-EINVAL, mm_pageout(p, 8 * PAGE));
	EXPECT_EQ(2, mm_count_swapped(0, p, 8 * PAGE));
	EXPECT_EQ(0, mm_pageout(p, 2 * PAGE));
	EXPECT_NE(0, mm_pfn(0, p + 2 * PAGE));
	EXPECT_EQ(0, mm_pageout(p + 3 * PAGE, 5 * PAGE));
	EXPECT_EQ(7, mm_count_swapped(0, p, 8 * PAGE));
}

/* ---- memcg.c ---- */

struct charge {
	struct mm_cgroup cg;
	char *p;
	size_t len;
	long current, anon, swapped, after, check;
	int enter, reclaim;
};

static int charge_group(void *arg)
{
	struct charge *c = arg;

	c->enter = mm_cgroup_enter(&c->cg);
	mm_fill(c->p, c->len, 8);
	c->current = mm_cgroup_read(&c->cg, "memory.current");
	c->anon = mm_cgroup_stat(&c->cg, "anon");
	c->reclaim = mm_cgroup_reclaim(&c->cg, c->len / 2);
	c->swapped = mm_count_swapped(0, c->p, c->len);
	c->after = mm_cgroup_read(&c->cg, "memory.current");
	c->check = mm_check(c->p, c->len, 8);
	return mm_cgroup_leave();
}

/* a group is charged for what its process touches, and reclaim takes it from there */
TEST(memcg_charges)
{
	struct charge *c = shared_page();
	long len = 8 * MB;

	NEED(mm_need_memcg());
	NEED(mm_need_swap());
	ASSERT_NE(NULL, c);
	c->len = len;
	c->p = mm_map_aligned(len, PMD_SIZE);
	ASSERT_EQ(0, mm_cgroup_create(&c->cg, "selfcheck"));
	EXPECT_EQ(-EEXIST, mm_cgroup_create(&c->cg, "selfcheck"));
	EXPECT_EQ(0, mm_cgroup_read(&c->cg, "memory.current"));
	EXPECT_EQ(-ERANGE, mm_cgroup_read(&c->cg, "memory.max"));
	ASSERT_EQ(0, mm_in_child(charge_group, c));
	EXPECT_EQ(0, c->enter);
	EXPECT_LE(len, c->current);
	EXPECT_GT(len + (long)MB, c->current);
	EXPECT_LT(len - (long)(128 * PAGE), c->anon);
	EXPECT_EQ(0, c->reclaim);
	EXPECT_LE(len / 2 / (long)PAGE, c->swapped + 64);
	EXPECT_GT(len * 6 / 10, c->after);
	EXPECT_EQ(-1, c->check);
	EXPECT_EQ(-ENOENT, mm_cgroup_stat(&c->cg, "ano"));
	EXPECT_EQ(0, mm_cgroup_remove(&c->cg));
	EXPECT_EQ(-ENOENT, mm_cgroup_read(&c->cg, "memory.current"));
}

/* ---- ksm.c ---- */

/* equal pages become one frame within a known number of scans, and unmerging parts them */
TEST(ksm_merges)
{
	char *p = mm_map_aligned(4 * PAGE, PAGE);
	long scans;

	NEED(mm_need_ksm());
	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, mm_ksm_unmerge_all());
	mm_fill(p, PAGE, 1);
	mm_fill(p + PAGE, PAGE, 2);
	mm_fill(p + 2 * PAGE, PAGE, 1);
	mm_fill(p + 3 * PAGE, PAGE, 3);
	ASSERT_EQ(0, madvise(p, 4 * PAGE, MADV_MERGEABLE));
	scans = mm_ksm_stat("full_scans");
	ASSERT_EQ(0, mm_ksm_scan(1));
	EXPECT_EQ(scans + 1, mm_ksm_stat("full_scans"));
	EXPECT_NE(mm_pfn(0, p), mm_pfn(0, p + 2 * PAGE));
	ASSERT_EQ(0, mm_ksm_scan(2));
	EXPECT_EQ(scans + 3, mm_ksm_stat("full_scans"));
	EXPECT_EQ(mm_pfn(0, p), mm_pfn(0, p + 2 * PAGE));
	EXPECT_TRUE(mm_is_ksm(mm_pfn(0, p), true));
	EXPECT_NE(mm_pfn(0, p + PAGE), mm_pfn(0, p + 3 * PAGE));
	EXPECT_EQ(1, mm_ksm_stat("pages_shared"));
	EXPECT_EQ(1, mm_ksm_stat("pages_sharing"));
	ASSERT_EQ(0, mm_ksm_unmerge_all());
	EXPECT_NE(mm_pfn(0, p), mm_pfn(0, p + 2 * PAGE));
	EXPECT_EQ(0, mm_ksm_stat("pages_shared"));
	EXPECT_EQ(-1, mm_check(p, PAGE, 1));
	EXPECT_EQ(-1, mm_check(p + 2 * PAGE, PAGE, 1));
}

/* ---- compact.c, pin.c ---- */

#define REGION	512UL

/* How many of every @step-th page from @from have another frame now. */
static size_t moved(const uint64_t *was, const uint64_t *is, size_t from, size_t step)
{
	size_t n = 0;

	for (size_t i = from; i < REGION; i += step)
		n += was[i] != is[i];
	return n;
}

/* compaction moves pages that lie low, but not the pinned ones, which move when the pins are gone */
TEST(compaction_and_pins)
{
	uint64_t was[REGION], is[REGION];
	struct mm_stage *stage;
	struct mm_pin pin;
	struct mm_snap *s;
	char *p;

	NEED(mm_need_compaction());
	NEED(mm_need_pin());
	p = mm_map_aligned(REGION * PAGE, PMD_SIZE);
	ASSERT_NE(NULL, p);
	stage = mm_stage(REGION * PAGE);
	ASSERT_NE(NULL, stage);
	mm_fill(p, REGION * PAGE, 9);
	ASSERT_EQ(0, mm_pin_uring_stride(&pin, p, REGION * PAGE, 2));
	s = mm_snap();
	ASSERT_NE(NULL, s);
	EXPECT_EQ(REGION / 2, mm_stage_move_pages(stage, p, REGION, was, is));
	EXPECT_EQ(0, moved(was, is, 0, 2));
	EXPECT_EQ(REGION / 2, moved(was, is, 1, 2));
	EXPECT_LE(REGION / 2, mm_delta(s, "pgmigrate_success"));
	EXPECT_EQ(-1, mm_check(p, REGION * PAGE, 9));
	mm_stage_end(stage);
	mm_unpin(&pin);
	stage = mm_stage(REGION * PAGE);
	ASSERT_NE(NULL, stage);
	ASSERT_LE(0, mm_stage_move_pages(stage, p, REGION, was, is));
	EXPECT_EQ(REGION / 2, moved(was, is, 0, 2));
	EXPECT_EQ(-1, mm_check(p, REGION * PAGE, 9));
	mm_stage_end(stage);
	mm_snap_free(s);
}

/* fragmented memory gives compaction something to do, and is free again afterwards */
TEST(fragment_feeds_compaction)
{
	struct mm_snap *s;
	long free_before;
	void *holes;

	NEED(mm_need_compaction());
	mm_compact();
	mm_pcp_drain();
	free_before = mm_vmstat("nr_free_pages");
	holes = mm_fragment(16 * MB);
	ASSERT_NE(NULL, holes);
	s = mm_snap();
	ASSERT_NE(NULL, s);
	ASSERT_EQ(0, mm_compact());
	EXPECT_LT(100, mm_delta(s, "pgmigrate_success"));
	mm_unfragment(holes);
	mm_pcp_drain();
	EXPECT_LE(free_before - 1000, mm_vmstat("nr_free_pages"));
	mm_snap_free(s);
}

/* pins through io_uring are counted by the kernel, one a page, and gone when mm_unpin() returns */
TEST(pins_uring)
{
	size_t len = 50 * PAGE;
	char *p = mm_map_aligned(len, PAGE);
	struct mm_snap *s;
	struct mm_pin pin;

	NEED(mm_need_pin());
	ASSERT_NE(NULL, p);
	s = mm_snap();
	ASSERT_EQ(0, mm_pin_uring(&pin, p, len));
	EXPECT_EQ(50, mm_delta(s, "nr_foll_pin_acquired"));
	EXPECT_EQ(0, mm_delta(s, "nr_foll_pin_released"));
	mm_unpin(&pin);
	EXPECT_EQ(50, mm_delta(s, "nr_foll_pin_released"));
	ASSERT_EQ(0, mm_pin_uring_stride(&pin, p, len, 3));
	EXPECT_EQ(50 + 17, mm_delta(s, "nr_foll_pin_acquired"));
	mm_unpin(&pin);
	mm_unpin(&pin);
	EXPECT_EQ(50 + 17, mm_delta(s, "nr_foll_pin_released"));
	EXPECT_EQ(-EFAULT, mm_pin_uring(&pin, mm_reserve(PAGE, PAGE), PAGE));
	mm_snap_free(s);
}

static int look_at(void *arg)
{
	struct look *look = arg;

	look->pfn[0] = mm_pfn(0, look->p);
	return 0;
}

/* a page that gup_test pins is copied at fork, others are shared */
TEST(pins_gup)
{
	struct look *look = shared_page();
	struct mm_pin pin, second;
	char *p = mm_map_aligned(8 * PAGE, PAGE);

	NEED(mm_need_gup_test());
	ASSERT_NE(NULL, look);
	ASSERT_NE(NULL, p);
	mm_touch_write(p, 8 * PAGE);
	ASSERT_EQ(0, mm_pin_gup(&pin, p, 4 * PAGE));
	EXPECT_EQ(-EBUSY, mm_pin_gup(&second, p, PAGE));
	look->p = p + 3 * PAGE;
	ASSERT_EQ(0, mm_in_child(look_at, look));
	EXPECT_NE(mm_pfn(0, look->p), look->pfn[0]);
	look->p = p + 4 * PAGE;
	ASSERT_EQ(0, mm_in_child(look_at, look));
	EXPECT_EQ(mm_pfn(0, look->p), look->pfn[0]);
	mm_unpin(&pin);
	look->p = p + 3 * PAGE;
	ASSERT_EQ(0, mm_in_child(look_at, look));
	EXPECT_EQ(mm_pfn(0, look->p), look->pfn[0]);
}

/* ---- fork.c ---- */

static int return_arg(void *arg)
{
	return (intptr_t)arg;
}

static int die_of(void *arg)
{
	signal((intptr_t)arg, SIG_DFL);
	raise((intptr_t)arg);
	return 0;
}

/* a child's return value and the signal that ends it are told apart */
TEST(child_results)
{
	EXPECT_EQ(0, mm_in_child(return_arg, (void *)0));
	EXPECT_EQ(77, mm_in_child(return_arg, (void *)77));
	EXPECT_EQ(-SIGKILL, mm_in_child(die_of, (void *)(intptr_t)SIGKILL));
	EXPECT_EQ(-SIGUSR1, mm_in_child(die_of, (void *)(intptr_t)SIGUSR1));
	EXPECT_EQ(-1, waitpid(-1, NULL, 0));
}

static pid_t parent_of(pid_t pid)
{
	return mm_status(pid, "PPid");
}

static void count_level(unsigned int level, void *arg)
{
	((unsigned int *)arg)[level]++;
}

static int my_pid_is(void *arg)
{
	return getpid() == (pid_t)(intptr_t)arg;
}

/* a tree has the parents, levels and order that were asked for, and ends without a trace */
TEST(tree_shape)
{
	unsigned int *setups = shared_page();
	struct mm_tree *t;
	pid_t pids[14];

	ASSERT_NE(NULL, setups);
	t = mm_tree_fork(3, 2, count_level, setups);
	ASSERT_NE(NULL, t);
	ASSERT_EQ(14, mm_tree_size(t));
	EXPECT_EQ(2, setups[1]);
	EXPECT_EQ(4, setups[2]);
	EXPECT_EQ(8, setups[3]);
	for (unsigned int i = 0; i < 14; i++) {
		/* Depth first: 0 (1 (2 3) 4 (5 6)) 7 (8 (9 10) 11 (12 13)) */
		static const int level[] = { 1, 2, 3, 3, 2, 3, 3, 1, 2, 3, 3, 2, 3, 3 };
		static const int parent[] = { -1, 0, 1, 1, 0, 4, 4, -1, 7, 8, 8, 7, 11, 11 };

		pids[i] = mm_tree_pid(t, i);
		EXPECT_EQ(level[i], mm_tree_level(t, i));
		EXPECT_EQ(parent[i] < 0 ? getpid() : pids[parent[i]], parent_of(pids[i]));
		EXPECT_EQ(1, mm_tree_call(t, i, my_pid_is, (void *)(intptr_t)pids[i]));
		EXPECT_EQ(200, mm_tree_call(t, i, return_arg, (void *)200));
	}
	EXPECT_EQ(-ESRCH, mm_tree_call(t, 14, return_arg, NULL));
	mm_tree_end(t);
	for (unsigned int i = 0; i < 14; i++)
		EXPECT_EQ(-1, kill(pids[i], 0));
	EXPECT_EQ(-1, waitpid(-1, NULL, WNOHANG));
	EXPECT_EQ(ECHILD, errno);
}

/* a node in the middle of a chain exits alone; one that crashes is reported and the rest goes on */
TEST(tree_survives_losses)
{
	struct mm_tree *t = mm_tree_fork(5, 1, NULL, NULL);

	ASSERT_NE(NULL, t);
	EXPECT_EQ(0, mm_tree_kill(t, 2));
	EXPECT_EQ(-1, kill(mm_tree_pid(t, 2), 0));
	EXPECT_EQ(-ESRCH, mm_tree_call(t, 2, return_arg, NULL));
	EXPECT_EQ(-ESRCH, mm_tree_kill(t, 2));
	EXPECT_EQ(3, mm_tree_call(t, 3, return_arg, (void *)3));
	EXPECT_EQ(getpid(), parent_of(mm_tree_pid(t, 3)));
	EXPECT_EQ(-SIGSEGV, mm_tree_call(t, 3, die_of, (void *)(intptr_t)SIGSEGV));
	EXPECT_EQ(4, mm_tree_call(t, 4, return_arg, (void *)4));
	EXPECT_EQ(-SIGKILL, mm_tree_call(t, 1, die_of, (void *)(intptr_t)SIGKILL));
	EXPECT_EQ(1, mm_tree_call(t, 0, return_arg, (void *)1));
	ASSERT_EQ(0, kill(mm_tree_pid(t, 0), SIGTERM));
	EXPECT_EQ(-SIGTERM, mm_tree_call(t, 0, return_arg, (void *)1));
	EXPECT_EQ(4, mm_tree_call(t, 4, return_arg, (void *)4));
	mm_tree_end(t);
	EXPECT_EQ(-1, waitpid(-1, NULL, WNOHANG));
	EXPECT_EQ(ECHILD, errno);
}

static int abandon_tree(void *arg)
{
	struct mm_tree *t = mm_tree_fork(4, 2, NULL, NULL);
	pid_t *pids = arg;

	if (!t)
		return 1;
	for (unsigned int i = 0; i < mm_tree_size(t); i++)
		pids[i] = mm_tree_pid(t, i);
	raise(SIGKILL);
	return 0;
}

/* the nodes do not outlive the process that made the tree, however it ends */
TEST(tree_dies_with_caller)
{
	pid_t *pids = shared_page();
	int n = 0;

	ASSERT_NE(NULL, pids);
	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	ASSERT_EQ(-SIGKILL, mm_in_child(abandon_tree, pids));
	while (waitpid(-1, NULL, 0) > 0)
		n++;
	EXPECT_EQ(30, n);
	for (int i = 0; i < 30; i++) {
		EXPECT_LT(1, pids[i]);
		EXPECT_EQ(-1, kill(pids[i], 0));
	}
}

static void fail_at_two(unsigned int level, void *arg)
{
	(void)arg;
	if (level == 2)
		raise(SIGKILL);
}

/* a tree that cannot be completed is an error, and leaves no process */
TEST(tree_fails_whole)
{
	EXPECT_EQ(NULL, mm_tree_fork(3, 2, fail_at_two, NULL));
	EXPECT_EQ(ECHILD, errno);
	EXPECT_EQ(-1, waitpid(-1, NULL, WNOHANG));
	EXPECT_EQ(ECHILD, errno);
	EXPECT_EQ(NULL, mm_tree_fork(20, 2, NULL, NULL));
	EXPECT_EQ(EINVAL, errno);
}

struct tree_mem {
	char *p;
	int fill, check;
};

static void write_level(unsigned int level, void *arg)
{
	struct tree_mem *m = arg;

	m->p[level * PAGE] = level;
}

static int look_level(void *arg)
{
	struct tree_mem *m = arg;
	int levels = 0;

	for (int i = 0; i < 6; i++)
		levels |= !!m->p[i * PAGE] << i;
	return levels;
}

/* each level of a chain has its ancestors' pages, not its descendants' */
TEST(tree_copies_memory)
{
	static struct tree_mem m;
	struct mm_tree *t;

	m.p = mm_map_aligned(6 * PAGE, PAGE);
	ASSERT_NE(NULL, m.p);
	m.p[0] = 9;
	t = mm_tree_fork(4, 1, write_level, &m);
	ASSERT_NE(NULL, t);
	EXPECT_EQ(0x01, look_level(&m));
	EXPECT_EQ(0x03, mm_tree_call(t, 0, look_level, &m));
	EXPECT_EQ(0x07, mm_tree_call(t, 1, look_level, &m));
	EXPECT_EQ(0x1f, mm_tree_call(t, 3, look_level, &m));
	EXPECT_EQ(mm_pfn(0, m.p), mm_pfn(mm_tree_pid(t, 3), m.p));
	EXPECT_EQ(5, mm_kpagecount(mm_pfn(0, m.p)));
	EXPECT_EQ(2, mm_kpagecount(mm_pfn(mm_tree_pid(t, 2), m.p + 3 * PAGE)));
	EXPECT_NE(mm_pfn(mm_tree_pid(t, 0), m.p + 2 * PAGE), mm_pfn(mm_tree_pid(t, 1), m.p + 2 * PAGE));
	mm_tree_end(t);
	EXPECT_EQ(1, mm_kpagecount(mm_pfn(0, m.p)));
}

/* ---- fail.c ---- */

struct walk {
	int calls, failed, last_ret;
	bool fork_in_after, injected_last;
};

static int fork_once(void *arg)
{
	pid_t pid = fork();
	int status;

	(void)arg;
	if (pid < 0)
		return -errno;
	if (!pid)
		_exit(0);
	waitpid(pid, &status, 0);
	return 0;
}

static int after_fork(int nth, int ret, void *arg)
{
	struct walk *w = arg;

	w->calls++;
	w->failed += ret == -ENOMEM || ret == -EAGAIN;
	w->last_ret = ret;
	w->injected_last = mm_fail_injected();
	if (nth != w->calls)
		return -EINVAL;
	return fork_once(NULL) ? -ECANCELED : 0;
}

/* a walk over fork() makes it fail many times, ends, and its last call succeeds */
TEST(fail_walk_of_fork)
{
	char *p = mm_map_aligned(PAGE, PAGE);
	struct walk w = { 0 };
	int n;

	NEED(mm_need_fail_nth());
	ASSERT_EQ(0, mm_fail_setup());
	*p = 1;
	n = mm_fail_walk(fork_once, after_fork, &w);
	TH_LOG("%d allocations of fork() failed in turn, %d calls returned an error", n, w.failed);
	EXPECT_LT(20, n);
	EXPECT_GT(2000, n);
	EXPECT_EQ(n + 1, w.calls);
	EXPECT_LT(20, w.failed);
	EXPECT_GE(n, w.failed);
	EXPECT_EQ(0, w.last_ret);
	EXPECT_FALSE(w.injected_last);
	EXPECT_EQ(0, mm_read_long("/proc/thread-self/fail-nth"));
}

static int do_nothing(void *arg)
{
	(void)arg;
	return getppid() < 0;
}

static int stop_at_three(int nth, int ret, void *arg)
{
	(void)ret;
	(void)arg;
	return nth == 3 ? -42 : 0;
}

/* nothing to fail gives no failures, and the caller can end a walk */
TEST(fail_walk_ends)
{
	NEED(mm_need_fail_nth());
	ASSERT_EQ(0, mm_fail_setup());
	EXPECT_EQ(0, mm_fail_walk(do_nothing, NULL, NULL));
	EXPECT_EQ(-42, mm_fail_walk(fork_once, stop_at_three, NULL));
	EXPECT_EQ(0, mm_read_long("/proc/thread-self/fail-nth"));
	EXPECT_EQ(0, fork_once(NULL));
}

/* ---- sys.c ---- */

/* a sealed mapping cannot be unmapped */
TEST(sys_mseal)
{
	char *p = mm_map_aligned(PAGE, PAGE);

	if (mm_mseal(p, PAGE) && errno == ENOSYS)
		SKIP(return, "needs mseal()");
	EXPECT_EQ(-1, munmap(p, PAGE));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(0, mm_probe_write(p, 1));
}

/* userfaultfd gives a descriptor that is not ready, or says what is missing */
TEST(sys_userfaultfd)
{
	int fd = mm_userfaultfd(O_CLOEXEC | O_NONBLOCK);
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	if (fd < 0 && errno == ENOSYS)
		SKIP(return, "needs USERFAULTFD");
	ASSERT_LE(0, fd);
	EXPECT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_EQ(POLLERR, pfd.revents);
	close(fd);
}

/* advice to another process acts on that process only */
TEST(sys_process_madvise)
{
	char *p = mm_map_aligned(4 * PAGE, PAGE);
	struct mm_tree *t;
	pid_t pid;

	NEED(mm_need_swap());
	t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, t);
	pid = mm_tree_pid(t, 0);
	ASSERT_EQ(0, mm_tree_call(t, 0, touch_stack, p));
	*p = 1;
	mm_settle();
	EXPECT_EQ(4 * PAGE, mm_process_madvise(pid, p, 4 * PAGE, MADV_PAGEOUT));
	EXPECT_EQ(1, mm_count_swapped(pid, p, 4 * PAGE));
	EXPECT_EQ(1, mm_count_present(0, p, 4 * PAGE));
	mm_tree_end(t);
}

TEST_HARNESS_MAIN
