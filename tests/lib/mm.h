/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a test of mm/ needs to see and to do from user space: page frames and flags, counters and
 * their differences, swap, KSM, compaction, reclaim, pins, fork trees, fault injection, patterns.
 *
 * Unless a function says otherwise it returns 0 or a non-negative value, and -errno on failure.
 * Functions named mm_need_*() return NULL, or the reason why a test has to be skipped:
 *
 *	NEED(mm_need_swap());
 */
#ifndef MMUML_TESTS_MM_H
#define MMUML_TESTS_MM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/types.h>

#include "abi.h"

/* The harness gives each test 30 seconds, whatever SCALE= says; here init holds the limit, and takes the stacks. */
#ifdef TEST_TIMEOUT_DEFAULT
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT (7 * 86400)
#endif

#define PAGE		4096UL
#define PMD_SIZE	(2UL << 20)
#define PUD_SIZE	(1UL << 30)
#define KB		1024UL
#define MB		(1024UL * 1024)

/* Skip the test (kselftest_harness.h) with the reason that a mm_need_*() gave. */
#define NEED(why_expr)					\
	do {						\
		const char *why_ = (why_expr);		\
		if (why_)				\
			SKIP(return, "needs %s", why_);	\
	} while (0)

/*
 * What the runner has to know about a test before it starts it; behind the test: "alone limit=60", the words of tests.list in
 * scripts/lib/protocol.h. @test is the name of a TEST(), or FIXTURE_TEST for all variants of a TEST_F(). list.sh reads the
 * section of the object; nothing of it is linked.
 */
#define MM_TEST_IS(test, attributes)							\
	_Static_assert(sizeof(_##test##_object), "");					\
	static const char mm_test_is_##test[] __attribute__((section("mm_test_is"), used)) = #test "\t" attributes

/* ---- memory and patterns (mem.c) ---- */

/* Map @len bytes read-write, private and anonymous, the address a multiple of @align; NULL on failure. These
 * functions leave at least a page unmapped on both sides, so that their regions do not merge with each other. */
void *mm_map_aligned(size_t len, size_t align);
/* The same, starting @offset bytes after a multiple of @align. */
void *mm_map_at_offset(size_t len, size_t align, size_t offset);
/* Reserve (PROT_NONE) an aligned range that later MAP_FIXED and MREMAP_FIXED may use. */
void *mm_reserve(size_t len, size_t align);
/* A shmem file (memfd) of @len bytes, or an unlinked one in @dir, which NULL and "" are not: a memfd; the descriptor. */
int mm_memfd(size_t len);
int mm_tmpfile(const char *dir, size_t len);
/* Map @len bytes read-write as mm_map_aligned() does, but with MAP_PRIVATE or MAP_SHARED in @flags, of @fd or (-1) anonymous. */
void *mm_map(size_t len, size_t align, int flags, int fd);

/* Fill every byte of [p, p+len) with a pattern of @seed and the offset: no two pages are alike. */
void mm_fill(void *p, size_t len, uint64_t seed);
/* The same pattern, but as if the range began at byte @offset of a filled one. */
void mm_fill_from(void *p, size_t len, uint64_t seed, size_t offset);
/* First offset in [p, p+len) that differs from the pattern, or -1 if every byte is right. */
ssize_t mm_check(const void *p, size_t len, uint64_t seed);
ssize_t mm_check_from(const void *p, size_t len, uint64_t seed, size_t offset);
/* First offset in [p, p+len) that is not @byte, or -1. */
ssize_t mm_check_byte(const void *p, size_t len, unsigned char byte);
/* Read one byte of every page (so that each is mapped); returns their sum so that it is not optimised away. */
unsigned long mm_touch_read(const void *p, size_t len);
/* Write one byte of every page without changing it. */
void mm_touch_write(void *p, size_t len);
/* Read one byte at p; 0, or the signal (SIGSEGV, SIGBUS) that the access raised. Likewise a write of @byte. */
int mm_probe_read(const void *p);
int mm_probe_write(void *p, unsigned char byte);
/* Around many probes: the handlers stay until the end, which saves four system calls for each. A fault elsewhere between the two is
 * taken for one of the last probe's: there must be none. */
void mm_probe_begin(void);
void mm_probe_end(void);
/* si_code of the last signal that mm_probe_*() caught. */
int mm_probe_code(void);

/* A small seeded generator (xorshift64*): the same numbers on every machine. @state must not be 0. */
uint64_t mm_rand(uint64_t *state);

/* ---- page tables as user space sees them (pagemap.c); @pid 0 is the caller ---- */

struct mm_page {
	bool present, swapped, file, exclusive, soft_dirty, uffd_wp, guard;
	uint64_t pfn;			/* if present */
	unsigned int swap_type;		/* if swapped */
	uint64_t swap_offset;
};
/* The pagemap entry of one page (Documentation/admin-guide/mm/pagemap.rst). */
int mm_page(pid_t pid, const void *addr, struct mm_page *page);
/* Its PFN, or 0 if it is not present. */
uint64_t mm_pfn(pid_t pid, const void *addr);
/* Whether an entry of pagemap is a migration entry: it looks like a page on a swap device that is not there. */
static inline bool mm_entry_migrating(uint64_t entry)
{
	return entry >> 62 == 1 && entry & 0x1f;
}
/* How many of @n pages from @addr are on their way to another frame, by the open /proc/PID/pagemap @fd; or -errno. */
long mm_count_migrating(int fd, const void *addr, size_t n);
/* PFNs of @n pages from @addr into @pfns (0 where not present). */
int mm_pfns(pid_t pid, const void *addr, uint64_t *pfns, size_t n);
/* How many pages of the range are present / swapped out. */
long mm_count_present(pid_t pid, const void *addr, size_t len);
long mm_count_swapped(pid_t pid, const void *addr, size_t len);
/* /proc/kpageflags and /proc/kpagecount of a frame; bits KPF_* of linux/kernel-page-flags.h. */
uint64_t mm_kpageflags(uint64_t pfn);
long mm_kpagecount(uint64_t pfn);
bool mm_kpf(uint64_t pfn, int kpf_bit);
/* What a test that poisons frames needs, and one of MADV_SOFT_OFFLINE that gives them back: a reason to skip, or NULL. */
const char *mm_need_memory_failure(void);
const char *mm_need_soft_offline(void);
/* Give a poisoned frame back (Documentation/mm/hwpoison.rst); 0 or -errno. */
int mm_unpoison(uint64_t pfn);

/* ---- VMAs (vma.c) ---- */

struct mm_vma {
	unsigned long start, end, offset;
	char prot[5];			/* "rw-p" */
	char path[128];
};
/* The VMA that holds @addr, from /proc/PID/maps; -ENOENT if none. */
int mm_vma(pid_t pid, const void *addr, struct mm_vma *vma);
/* Number of VMAs that intersect [addr, addr+len). */
int mm_vma_count(pid_t pid, const void *addr, size_t len);
/* All of /proc/PID/maps in one malloc'ed string, to compare the address space before and after. */
char *mm_maps(pid_t pid);
/* A field of the VMA's smaps entry in kB ("Rss", "Pss", "Swap", "Locked", "Shared_Dirty", ...), or -errno. */
long mm_smaps(pid_t pid, const void *addr, const char *field);
/* The same field of all VMAs whose VmFlags has @flag, summed up. */
long mm_smaps_sum(pid_t pid, const char *field, const char *flag);
/* Whether VmFlags of that entry has the two-letter @flag ("lo", "mg", "uw", ...). */
bool mm_vmflag(pid_t pid, const void *addr, const char *flag);
/* Whether guard regions can be had in a mapping of these flags: MAP_PRIVATE or MAP_SHARED, and anonymous. */
const char *mm_need_guard(int flags);
/* Whether mremap(MREMAP_FIXED) moves a range of several VMAs, or of VMAs and holes. */
const char *mm_need_mremap_vmas(void);
/* Whether mremap() makes all its checks before it changes anything: otherwise a call that is refused may have unmapped its
 * target, and what it was to cut off. */
const char *mm_need_mremap_checks(void);
/* A field of /proc/PID/status in kB or as a plain number ("VmRSS", "VmHWM", "VmLck", "RssAnon", ...). */
long mm_status(pid_t pid, const char *field);

/* ---- counters and their differences (stat.c) ---- */

/* One counter of /proc/vmstat, of /proc/meminfo (kB); -ENOENT if the kernel has no such counter. */
long mm_vmstat(const char *name);
long mm_meminfo(const char *name);
/* nr_mlock of /proc/vmstat, with the pages that were in a batch of this CPU. */
long mm_mlocked(void);
/* Objects in use in one slab cache (active_objs is a whole-slab figure on SLUB: the function shrinks the
 * cache and drains per-CPU lists first, so that equal states give equal numbers). It waits for RCU callbacks, some
 * 60 ms a call. Caches of whole tasks (task_struct, cred, pid, ...) also change when a kworker comes or goes.
 * -ENOENT without SLUB_DEBUG or such a cache. */
long mm_slab(const char *cache);
/* The same without the wait: what RCU is about to free counts as used, and under KASAN what was freed just now may. */
long mm_slab_now(const char *cache);
/* Acquisitions of a lock class in /proc/lock_stat, which init may have cleared before the test; the -R/-W suffix is
 * optional there and both are summed; 0 if the class was not seen, -ENOENT without LOCK_STAT. */
long mm_lock_count(const char *class_name);

/* Page faults of the caller so far that needed no I/O. */
long mm_minor_faults(void);

/* Whether the kernel has that counter in /proc/vmstat. */
const char *mm_need_vmstat(const char *name);

/* A snapshot of many counters at once. */
struct mm_snap;
struct mm_snap *mm_snap(void);
/* How much a /proc/vmstat counter grew since @before; 0 for a counter that does not exist is never returned:
 * an unknown name aborts the test program with a message. */
long mm_delta(const struct mm_snap *before, const char *name);
void mm_snap_free(struct mm_snap *s);

/* Report a counter of this test to the host (KTAP diagnostic "# counter NAME VALUE"), for compare and expect. */
void mm_report(const char *name, long value);

/* What the stretch of a test between the two calls costs, reported under the same names: "vmstat:NAME" and, if the
 * kernel has LOCK_STAT, "lock:CLASS"; @names ends with NULL, holds at most 24 and outlives the stretch. NULL if a
 * name has no such form or memory is short. mm_cost_end() reports and frees. */
struct mm_cost;
struct mm_cost *mm_cost_begin(const char *const *names);
void mm_cost_end(struct mm_cost *cost);

/* Wait (at most ~2 s) until RCU-freed objects and lru_add batches are drained, so that counts can be compared. */
void mm_settle(void);

/* ---- files of the kernel (file.c) ---- */

int mm_write_file(const char *path, const char *text);	/* 0 or -errno of open or write */
long mm_read_long(const char *path);			/* the first number in the file, or -errno */
ssize_t mm_read_file(const char *path, char *buf, size_t size); /* NUL-terminated; length or -errno */

/* ---- reclaim and swap (reclaim.c) ---- */

const char *mm_need_swap(void);
/* Give back the swap slots that CPUs cache, which count as in use, and freed ones as charged. */
void mm_slots_drain(void);
/* MADV_PAGEOUT until every page that can go is out of the page tables and of the swap cache: the next access reads
 * from the device. Returns the number of pages of the range that are still present. A page that another process
 * maps too stays (MADV_PAGEOUT passes over it: mm_cgroup_reclaim() does not); a mlocked VMA is -EINVAL. For a
 * memfd (shmem) a few other pages of the system may go with it. */
long mm_pageout(void *p, size_t len);
long mm_swap_used(void);				/* pages in use on all swap devices */
/*
 * Until no page is under writeback, at most 2 s: the block device's thread may take its time. Reclaim passes over such a page, and
 * one that is written again keeps its swap slot.
 */
void mm_writeback_wait(void);
/* swapoff and swapon again the first swap device: brings every page back in. */
int mm_swap_cycle(void);

/* ---- memory cgroups v2 at /sys/fs/cgroup (memcg.c) ---- */

struct mm_cgroup { char path[64]; };
const char *mm_need_memcg(void);
int mm_cgroup_create(struct mm_cgroup *cg, const char *name);
int mm_cgroup_enter(const struct mm_cgroup *cg);	/* move the caller in */
int mm_cgroup_leave(void);				/* back to the root group */
int mm_cgroup_remove(struct mm_cgroup *cg);
int mm_cgroup_write(const struct mm_cgroup *cg, const char *file, const char *text);
long mm_cgroup_read(const struct mm_cgroup *cg, const char *file); /* the number in it; -ERANGE for "max" */
long mm_cgroup_stat(const struct mm_cgroup *cg, const char *name);	/* a line of memory.stat */
/*
 * Events of the group, so many that memory.stat has to look at what CPUs have counted: it would pass over less than some hundred
 * (mm/memcontrol.c, memcg_vmstats_needs_flush()). The caller is back in the root group then.
 */
void mm_cgroup_stir(const struct mm_cgroup *cg);
/* A line of memory.stat as it is now: mm_cgroup_stir() first. */
long mm_cgroup_stat_now(const struct mm_cgroup *cg, const char *name);
int mm_cgroup_reclaim(const struct mm_cgroup *cg, size_t bytes);	/* 0, or -EAGAIN if it fell short */
/* The same of what goes to swap only: swappiness=max, or the most that this kernel takes. */
int mm_cgroup_reclaim_anon(const struct mm_cgroup *cg, size_t bytes);

/* ---- KSM (ksm.c) ---- */

const char *mm_need_ksm(void);
/* Let ksmd make exactly @passes full scans, then stop it. A page is merged in the second scan that finds it
 * unchanged. -ETIMEDOUT if nothing is MADV_MERGEABLE. */
int mm_ksm_scan(unsigned int passes);
int mm_ksm_unmerge_all(void);				/* run=2, then run=0 */
/* Before scans whose pages shall merge or not by their bytes alone, and whoever else has mergeable memory or not; a page that
 * is mergeable and like no other, for mm_ksm_stop(); NULL on failure. */
void *mm_ksm_start(void);
void mm_ksm_stop(void *page);				/* unmerges all */
/* A line of /proc/PID/ksm_stat; "yes" is 1, "no" 0. */
long mm_ksm_process(pid_t pid, const char *name);
/* Whether the frame is of KSM, by KPF_KSM; @unknown where that bit is set for all anonymous pages. */
bool mm_is_ksm(uint64_t pfn, bool unknown);
long mm_ksm_stat(const char *name);			/* pages_shared, pages_sharing, full_scans, ... */

/* ---- migration and compaction (compact.c) ---- */

const char *mm_need_compaction(void);
int mm_compact(void);					/* /proc/sys/vm/compact_memory, all zones */
/* Hand freed pages from the per-CPU lists, where compaction does not find them, back to the buddy lists (but for
 * some hundred that stay). */
void mm_pcp_drain(void);
/* Make compaction want to move pages: allocate @bytes of memory in single pages and free every second one. Returns a
 * handle for mm_unfragment(). How many pages move depends on where they lie: mm_stage() makes that certain. */
void *mm_fragment(size_t bytes);
void mm_unfragment(void *handle);

/* ---- pages that move for certain (stage.c) ---- */

/*
 * Compaction moves what lies low in memory into holes of pageblocks that lie high. So:
 *
 *	stage = mm_stage(len);		the next @len bytes that are touched get the lowest frames that there are
 *	...				allocate and fill the memory under test, at once
 *	mm_stage_move(stage);		mm_stage_open(), which makes the holes, and mm_compact(): all of it that may
 *					move, does
 *	mm_stage_end(stage);
 *
 * NULL and errno, or -errno, on failure. A stage moves once; it takes 3 * @len, 6 MB and as much
 * as there is of files in memory. Children do not inherit it.
 */
struct mm_stage;
struct mm_stage *mm_stage(size_t len);
/* Whether freed pages go to per-CPU lists. If so the pages of a stage lie side by side, without SMP two and two. */
bool mm_stage_per_cpu(void);
void mm_stage_open(struct mm_stage *s);
int mm_stage_move(struct mm_stage *s);
/* The same, with the caller's frames of @n pages from @p before (@was) and after (@is); how many pages moved. */
long mm_stage_move_pages(struct mm_stage *s, const void *p, size_t n, uint64_t *was, uint64_t *is);
void mm_stage_end(struct mm_stage *s);		/* NULL is allowed */
/* How many pages were present and still are, in another frame. */
size_t mm_moved(const uint64_t *was, const uint64_t *is, size_t n);

/* ---- pins (pin.c) ---- */

struct mm_pin { int fd; unsigned int kind; void *reader; };
const char *mm_need_pin(void);				/* io_uring registered buffers */
const char *mm_need_gup_test(void);
/* FOLL_LONGTERM pins of [p, p+len) through IORING_REGISTER_BUFFERS (each segment at most 1 GB). */
int mm_pin_uring(struct mm_pin *pin, void *p, size_t len);
/* Pins of every @stride-th page (stride 2: every second), at most 16384 of them. */
int mm_pin_uring_stride(struct mm_pin *pin, void *p, size_t len, unsigned int stride);
/* pin_user_pages() through /sys/kernel/debug/gup_test (PIN_LONGTERM_TEST_*); one at a time, else -EBUSY. */
int mm_pin_gup(struct mm_pin *pin, void *p, size_t len);
/* The same to read only: the way to pin pages of a file on disk, which io_uring and mm_pin_gup() refuse. */
int mm_pin_gup_read(struct mm_pin *pin, void *p, size_t len);
/* Pins of short-lived I/O (FOLL_PIN alone), which do not move the pages out of a CMA area first: of a thread
 * whose process_vm_readv() of at most 512 pages waits for a userfaultfd. */
const char *mm_need_pin_short(void);
int mm_pin_short(struct mm_pin *pin, void *p, size_t len);
void mm_unpin(struct mm_pin *pin);

/* ---- processes (fork.c) ---- */

/* Run @fn(@arg) in a child; its return value (0..255), or -signal if it died of one, or -errno. */
int mm_in_child(int (*fn)(void *arg), void *arg);

/*
 * A tree of processes that stay alive and do what they are told. Every node was forked by its parent after the
 * parent wrote to the memory under test, so that the anon_vma hierarchy has the shape that is asked for.
 */
struct mm_tree;
/* @depth levels below the caller, @width children at each node (1: a chain). Each node runs @setup(level, @arg) after its fork. */
struct mm_tree *mm_tree_fork(unsigned int depth, unsigned int width, void (*setup)(unsigned int level, void *arg), void *arg);
unsigned int mm_tree_size(const struct mm_tree *t);	/* processes, the caller not counted */
pid_t mm_tree_pid(const struct mm_tree *t, unsigned int i); /* in the order of creation, depth first */
unsigned int mm_tree_level(const struct mm_tree *t, unsigned int i); /* 1 = child of the caller */
/* Let node @i run @fn(@arg) (addresses are valid in it: it was forked); the function's return value, -signal, or -errno. */
int mm_tree_call(struct mm_tree *t, unsigned int i, int (*fn)(void *arg), void *arg);
int mm_tree_kill(struct mm_tree *t, unsigned int i);	/* let node @i exit; its descendants stay */
void mm_tree_end(struct mm_tree *t);			/* all of them exit, waited for */

/* ---- who runs when, on one CPU (turns.c) ---- */

/* SCHED_FIFO for the caller's thread; 0 or -errno. */
int mm_set_fifo(int priority);
/* Sleep less than a second; the end takes the CPU from any thread of lower priority, wherever that is. */
void mm_nap(long ns);

/* ---- fault injection: Documentation/fault-injection/fault-injection.rst, /proc/self/fail-nth (fail.c) ---- */

const char *mm_need_fail_nth(void);
/* Set up failslab and fail_page_alloc so that fail-nth reaches every allocation, GFP_KERNEL ones included. */
int mm_fail_setup(void);
/* For @after below: whether an allocation failed in the call that was just made (it did in all but the last). */
bool mm_fail_injected(void);
/*
 * Call @fn(@arg) with the 1st, 2nd, 3rd ... allocation of the calling task failing, until a call in which nothing
 * was left to fail. @after(n, ret, @arg) runs after each, the last one included, with injection off, and returns 0
 * to go on, else the walk stops with that value. Returns the number of allocations that were made to fail.
 * Children of @fn are not injected (fork() clears fail-nth). The number differs between walks by what the slab
 * sheaves hold: assert a range. An error that reaches nobody is no sign of a bug: caches have fallbacks.
 */
int mm_fail_walk(int (*fn)(void *arg), int (*after)(int nth, int ret, void *arg), void *arg);

/* ---- system calls that the C library may lack (sys.c): raw, -1 and errno ---- */

int mm_mseal(void *p, size_t len);
int mm_userfaultfd(int flags);
int mm_process_madvise(pid_t pid, void *p, size_t len, int advice);
/* Root has all capabilities: give up the effective one @cap (CAP_IPC_LOCK, ...). */
int mm_drop_cap(int cap);

/* ---- objects of the reverse map, of all processes together (objects.c) ---- */

/* In use in the caches anon_vma, anon_vma_chain and vm_area_struct: exact, as mm_slab() is, but faster. */
struct mm_objects { long anon_vma, chain, vma; };
struct mm_objects mm_objects(void);
/* How many came since @base. */
struct mm_objects mm_objects_since(const struct mm_objects *base);
/* Exactly so many more of each than at @base (a struct mm_objects). */
#define EXPECT_OBJECTS(base, anon_vmas, chains, vmas)			\
	do {								\
		struct mm_objects grown_ = mm_objects_since(&(base));	\
		EXPECT_EQ((anon_vmas), grown_.anon_vma);		\
		EXPECT_EQ((chains), grown_.chain);			\
		EXPECT_EQ((vmas), grown_.vma);				\
	} while (0)

/* ---- batches of the LRU lists (stat.c) ---- */

/* Move what waits in the batches (new, locked, unlocked, lazily freed pages) to the lists: what mm_settle() does
 * too, but without waiting for RCU, which takes up to 60 ms. */
void mm_lru_drain(void);

/* ---- reclaim from all processes (drop.c) ---- */

/*
 * Reclaim @cg until no page of the range is in memory: mapped by any process, or in the swap cache. Returns how many
 * are. The range has to be written, and charged, in the group; the processes that map it may be anywhere.
 */
long mm_cgroup_drop(const struct mm_cgroup *cg, void *p, size_t len);
/*
 * mm_fill() and reclaim, in a group of its own, so that nothing else goes, until all of the range is in swap and nowhere else: what
 * mm_cgroup_drop() returns. It needs mm_need_swap() and mm_need_memcg().
 */
long mm_fill_swapped(void *p, size_t len, uint64_t seed);

#endif
