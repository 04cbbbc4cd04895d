// SPDX-License-Identifier: GPL-2.0
/* Every error of mremap(2): the errno, and that mappings, frames and bytes are what they were before. */
#include "kselftest_harness.h"
#include <linux/aio_abi.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include "mremap.h"

#define SEED		1
#define TARGET		2
#define PAGES		8
#define LEN		(PAGES * PAGE)
#define PGDIR_SIZE	(1UL << 39)

#define MAP_COUNT	"/proc/sys/vm/max_map_count"
#define MIN_ADDR	"/proc/sys/vm/mmap_min_addr"

FIXTURE(refused) {
	char *p, *to, *hole;		/* the region, another one, and a place where nothing is */
	uint64_t pfn[PAGES], to_pfn[PAGES];
	long map_count, min_addr;	/* to be restored */
};

FIXTURE_SETUP(refused)
{
	self->map_count = mm_read_long(MAP_COUNT);
	self->min_addr = mm_read_long(MIN_ADDR);
	self->p = mm_map_at_offset(LEN, PMD_SIZE, 5 * PAGE);
	self->to = mm_map_at_offset(LEN, PMD_SIZE, 9 * PAGE);
	self->hole = free_range(LEN, PMD_SIZE);
	ASSERT_NE(NULL, self->p);
	ASSERT_NE(NULL, self->to);
	ASSERT_NE(NULL, self->hole);
	mm_fill(self->p, LEN, SEED);
	mm_fill(self->to, LEN, TARGET);
	ASSERT_EQ(0, mm_pfns(0, self->p, self->pfn, PAGES));
	ASSERT_EQ(0, mm_pfns(0, self->to, self->to_pfn, PAGES));
}

static int restore(const char *path, long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", value);
	return mm_write_file(path, text);
}

/* Root has all capabilities: give some up, or take them back. */
static int use_caps(unsigned int caps, bool use)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(__NR_capget, &head, data))
		return -errno;
	if (use)
		data[0].effective |= caps;
	else
		data[0].effective &= ~caps;
	return syscall(__NR_capset, &head, data) ? -errno : 0;
}

FIXTURE_TEARDOWN(refused)
{
	EXPECT_EQ(0, use_caps(1U << CAP_SYS_RAWIO, true));
	EXPECT_EQ(0, restore(MAP_COUNT, self->map_count));
	EXPECT_EQ(0, restore(MIN_ADDR, self->min_addr));
}

static bool holds(char *p, const uint64_t *pfn, uint64_t seed)
{
	uint64_t now[PAGES];

	return !mm_pfns(0, p, now, PAGES) && !other_frames(pfn, now, PAGES) && mm_check(p, LEN, seed) == -1;
}

static bool intact(const FIXTURE_DATA(refused) *self)
{
	return holds(self->p, self->pfn, SEED) && holds(self->to, self->to_pfn, TARGET);
}

/* The raw system call: the C library knows too well what its arguments can be. */
static long sys_mremap(void *p, size_t old_len, size_t new_len, unsigned long flags, void *to)
{
	return syscall(__NR_mremap, p, old_len, new_len, flags, to);
}

/* @call fails with @err and changes no mapping of the process, no page and no byte. */
#define EXPECT_REFUSED(err, call)			\
	do {						\
		char *before_ = mm_maps(0), *after_;	\
							\
		errno = 0;				\
		EXPECT_EQ(-1, (call));			\
		EXPECT_EQ((err), errno);		\
		after_ = mm_maps(0);			\
		EXPECT_STREQ(before_, after_);		\
		EXPECT_TRUE(intact(self));		\
		free(before_);				\
		free(after_);				\
	} while (0)

#define MAYMOVE		MREMAP_MAYMOVE
#define FIXED		(MREMAP_MAYMOVE | MREMAP_FIXED)
#define DONTUNMAP	(MREMAP_MAYMOVE | MREMAP_DONTUNMAP)

/* The end of the address space: a multiple of what an entry of the top table spans, just above the stack. */
static unsigned long task_size(void)
{
	struct mm_vma vma;
	int local = 0;

	if (mm_vma(0, &local, &vma))
		return 0;
	return (vma.end + PGDIR_SIZE - 1) / PGDIR_SIZE * PGDIR_SIZE;
}

/* flags that do not exist, or do not go together, are EINVAL */
TEST_F(refused, flags)
{
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, LEN, LEN, 8, NULL));
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, LEN, LEN, MAYMOVE | 1UL << 40, NULL));
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, LEN, LEN, MREMAP_FIXED, self->to));
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, LEN, LEN, MREMAP_DONTUNMAP, NULL));
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, LEN, LEN, MREMAP_FIXED | MREMAP_DONTUNMAP, self->to));
}

/* addresses that are no multiples of the page size are EINVAL */
TEST_F(refused, unaligned)
{
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p + 1, LEN, 2 * LEN, MAYMOVE, NULL));
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p + PAGE / 2, PAGE, PAGE, 0, NULL));
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, LEN, LEN, FIXED, self->to + 1));
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, LEN, LEN, DONTUNMAP, self->hole + 8));
}

/* a new size of 0, also when rounding up makes it 0, is EINVAL */
TEST_F(refused, no_size)
{
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, LEN, 0, 0, NULL));
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, LEN, 0, FIXED, self->to));
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, LEN, -1UL, MAYMOVE, NULL));
}

/* a new size or place beyond the address space is EINVAL */
TEST_F(refused, beyond_end)
{
	unsigned long end = task_size();

	ASSERT_NE(0, end);
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, LEN, end + PAGE, FIXED, self->to));
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, LEN, LEN, FIXED, (void *)(end - LEN + PAGE)));
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, LEN, LEN, FIXED, (void *)end));
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, LEN, LEN, DONTUNMAP, (void *)-PAGE));
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, end, PAGE, 0, NULL));
}

/* the same for a size when the kernel shall find the place */
TEST_F(refused, beyond_end_anywhere)
{
	unsigned long end = task_size();

	NEED(mm_need_mremap_checks());
	ASSERT_NE(0, end);
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, LEN, end + PAGE, MAYMOVE, NULL));
}

/* source and target that overlap, by a page or altogether, are EINVAL */
TEST_F(refused, overlap)
{
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, LEN, LEN, FIXED, self->p));
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, LEN, LEN, FIXED, self->p + PAGE));
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p + PAGE, LEN - PAGE, LEN - PAGE, FIXED, self->p));
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, PAGE, LEN, FIXED, self->p - LEN + PAGE));
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, LEN, PAGE, FIXED, self->p + LEN - PAGE));
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, LEN, LEN, DONTUNMAP, self->p + PAGE));
}

/* MREMAP_DONTUNMAP with a change of size is EINVAL */
TEST_F(refused, dontunmap_resize)
{
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, LEN, LEN + PAGE, DONTUNMAP, NULL));
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, LEN, LEN - PAGE, DONTUNMAP, NULL));
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, LEN, LEN - PAGE, DONTUNMAP | FIXED, self->to));
}

/* a private mapping cannot be duplicated: an old size of 0 is EINVAL */
TEST_F(refused, duplicate_private)
{
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, 0, LEN, MAYMOVE, NULL));
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, -1UL, LEN, MAYMOVE, NULL));
}

/* a shared mapping that would be duplicated in place is ENOMEM: it is there already */
TEST_F(refused, duplicate_in_place)
{
	char *shared = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, shared);
	mm_fill(shared, LEN, SEED);
	EXPECT_REFUSED(ENOMEM, sys_mremap(shared, 0, LEN, 0, NULL));
	EXPECT_EQ(-1, mm_check(shared, LEN, SEED));
}

/* where nothing is mapped there is nothing to remap: EFAULT */
TEST_F(refused, not_mapped)
{
	EXPECT_REFUSED(EFAULT, sys_mremap(self->hole, LEN, LEN, 0, NULL));
	EXPECT_REFUSED(EFAULT, sys_mremap(self->hole, LEN, 2 * LEN, MAYMOVE, NULL));
	EXPECT_REFUSED(EFAULT, sys_mremap(self->hole, LEN, PAGE, 0, NULL));
	EXPECT_REFUSED(EFAULT, sys_mremap(self->hole, LEN, LEN, FIXED, self->to));
	EXPECT_REFUSED(EFAULT, sys_mremap(self->hole, 0, LEN, MAYMOVE, NULL));
	EXPECT_REFUSED(EFAULT, sys_mremap(self->hole, LEN, LEN, DONTUNMAP, NULL));
}

/* a range that begins in a hole is EFAULT, even if the rest of it is mapped */
TEST_F(refused, hole_at_start)
{
	EXPECT_REFUSED(EFAULT, sys_mremap(self->p - PAGE, LEN, LEN, FIXED, self->to));
	EXPECT_REFUSED(EFAULT, sys_mremap(self->p - PAGE, LEN, LEN, 0, NULL));
}

/* a range that goes beyond its VMA cannot grow, nor leave a mapping behind without MREMAP_FIXED: EFAULT */
TEST_F(refused, beyond_vma)
{
	EXPECT_REFUSED(EFAULT, sys_mremap(self->p, LEN + PAGE, LEN + 2 * PAGE, MAYMOVE, NULL));
	EXPECT_REFUSED(EFAULT, sys_mremap(self->p + PAGE, LEN, LEN + PAGE, 0, NULL));
	EXPECT_REFUSED(EFAULT, sys_mremap(self->p, LEN + PAGE, LEN + PAGE, DONTUNMAP, NULL));
	ASSERT_EQ(0, mprotect(self->p + 4 * PAGE, 4 * PAGE, PROT_READ));
	EXPECT_REFUSED(EFAULT, sys_mremap(self->p, LEN, LEN + PAGE, MAYMOVE, NULL));
}

/* the same with MREMAP_FIXED, for a private mapping that would be duplicated too: the target stays */
TEST_F(refused, target_stays)
{
	NEED(mm_need_mremap_checks());
	EXPECT_REFUSED(EINVAL, sys_mremap(self->p, 0, LEN, FIXED, self->to));
	EXPECT_REFUSED(EFAULT, sys_mremap(self->p, LEN + PAGE, LEN + 2 * PAGE, FIXED, self->to));
	ASSERT_EQ(0, mprotect(self->p + 4 * PAGE, 4 * PAGE, PROT_READ));
	EXPECT_REFUSED(EFAULT, sys_mremap(self->p, LEN, LEN + PAGE, FIXED, self->to));
	EXPECT_REFUSED(EFAULT, sys_mremap(self->p, LEN, 6 * PAGE, FIXED, self->to));
}

/* what is in the way, or the middle of a VMA, is ENOMEM without MREMAP_MAYMOVE */
TEST_F(refused, in_the_way)
{
	ASSERT_EQ(self->p + LEN, map_at(self->p + LEN + PAGE, PAGE) - PAGE);
	EXPECT_REFUSED(ENOMEM, sys_mremap(self->p, LEN, LEN + 2 * PAGE, 0, NULL));
	EXPECT_REFUSED(ENOMEM, sys_mremap(self->p, PAGE, 2 * PAGE, 0, NULL));
	EXPECT_REFUSED(ENOMEM, sys_mremap(self->p + PAGE, PAGE, 2 * PAGE, 0, NULL));
}

/* more than the address space has room for is ENOMEM, though it is not beyond its size */
TEST_F(refused, no_room)
{
	unsigned long end = task_size();

	ASSERT_EQ(self->hole, map_at(self->hole, LEN));
	EXPECT_REFUSED(ENOMEM, sys_mremap(self->hole, LEN, end, MAYMOVE, NULL));
	EXPECT_REFUSED(ENOMEM, sys_mremap(self->hole, LEN, end - PAGE, MAYMOVE, NULL));
	EXPECT_REFUSED(ENOMEM, sys_mremap(self->hole, LEN, end - (unsigned long)self->hole, 0, NULL));
}

static int limit(int resource, unsigned long value)
{
	struct rlimit r = { value, RLIM_INFINITY };

	return setrlimit(resource, &r) ? -errno : 0;
}

/* growing past RLIMIT_AS is ENOMEM, up to it is not; a move needs no more than there is */
TEST_F(refused, rlimit_as)
{
	ASSERT_EQ(0, limit(RLIMIT_AS, mm_status(0, "VmSize") * KB + 4 * PAGE));
	EXPECT_REFUSED(ENOMEM, sys_mremap(self->p, LEN, LEN + 5 * PAGE, 0, NULL));
	EXPECT_REFUSED(ENOMEM, sys_mremap(self->p, LEN, LEN + 5 * PAGE, MAYMOVE, NULL));
	EXPECT_REFUSED(ENOMEM, sys_mremap(self->p, LEN, LEN + 5 * PAGE, FIXED, self->hole));
	EXPECT_REFUSED(ENOMEM, sys_mremap(self->p, LEN, LEN, DONTUNMAP, NULL));
	EXPECT_EQ((long)self->p, sys_mremap(self->p, LEN, LEN + 4 * PAGE, 0, NULL));
	EXPECT_EQ((long)self->hole, sys_mremap(self->p, LEN, LEN, FIXED, self->hole));
	EXPECT_TRUE(holds(self->hole, self->pfn, SEED));
}

/* growing private memory past RLIMIT_DATA is ENOMEM; shared memory is not data */
TEST_F(refused, rlimit_data)
{
	char *shared = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, shared);
	mm_fill(shared, LEN, SEED);
	ASSERT_EQ(0, limit(RLIMIT_DATA, mm_status(0, "VmData") * KB + 4 * PAGE));
	EXPECT_REFUSED(ENOMEM, sys_mremap(self->p, LEN, LEN + 5 * PAGE, MAYMOVE, NULL));
	EXPECT_REFUSED(ENOMEM, sys_mremap(self->p, LEN, LEN, DONTUNMAP, NULL));
	EXPECT_EQ((long)self->p, sys_mremap(self->p, LEN, LEN + 4 * PAGE, 0, NULL));
	EXPECT_REFUSED(ENOMEM, sys_mremap(self->p, LEN + 4 * PAGE, LEN + 5 * PAGE, 0, NULL));
	shared = mremap(shared, LEN, 4 * LEN, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, shared);
	EXPECT_EQ(-1, mm_check(shared, LEN, SEED));
}

/* more than memory and swap together is ENOMEM where memory is accounted, and only there */
TEST_F(refused, overcommit)
{
	size_t much = 4096 * MB;
	char *p;

	EXPECT_REFUSED(ENOMEM, sys_mremap(self->p, LEN, much, MAYMOVE, NULL));
	EXPECT_REFUSED(ENOMEM, sys_mremap(self->to, LEN, much, 0, NULL));
	ASSERT_EQ(self->hole, map_at(self->hole, LEN));
	mm_fill(self->hole, PAGE, SEED);
	p = mremap(self->hole, LEN, much, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(-1, mm_check(p, PAGE, SEED));
	EXPECT_EQ(-1, mm_check_byte(p + much - PAGE, PAGE, 0));
}

/* leaving a mapping of most of memory and swap behind would need them twice: ENOMEM, and its pages stay */
TEST_F(refused, overcommit_twice)
{
	size_t half = 600 * MB;
	char *big = mmap(NULL, half, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, big);
	mm_fill(big + half - PAGE, PAGE, SEED);
	big = mremap(big, half, 2 * half, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, big);
	/* The hint must not overlap the region, and the range from 0 on would. */
	EXPECT_REFUSED(ENOMEM, sys_mremap(big, 2 * half, 2 * half, DONTUNMAP, (void *)(64 * PUD_SIZE)));
	EXPECT_EQ(-1, mm_check(big + half - PAGE, PAGE, SEED));
	EXPECT_EQ(1, mm_count_present(0, big + half - 16 * PAGE, 32 * PAGE));
	/* A plain move needs nothing. */
	EXPECT_NE(-1, sys_mremap(big, 2 * half, 2 * half, FIXED, free_range(2 * half, PMD_SIZE)));
}

static int set_map_count(long value)
{
	return restore(MAP_COUNT, value);
}

/* a move needs headroom for four more mappings below the limit, leaving one behind for five: else ENOMEM */
TEST_F(refused, map_count)
{
	long maps = mm_vma_count(0, NULL, -1UL);

	NEED(mm_need_mremap_checks());
	ASSERT_EQ(0, set_map_count(maps + 3));
	EXPECT_REFUSED(ENOMEM, sys_mremap(self->p, LEN, LEN, FIXED, self->to));
	EXPECT_REFUSED(ENOMEM, sys_mremap(self->p, LEN, LEN + PAGE, MAYMOVE, NULL));
	EXPECT_REFUSED(ENOMEM, sys_mremap(self->p, LEN, PAGE, 0, NULL));
	ASSERT_EQ(0, set_map_count(maps + 4));
	EXPECT_REFUSED(ENOMEM, sys_mremap(self->p, LEN, LEN, DONTUNMAP, NULL));
	EXPECT_EQ((long)self->hole, sys_mremap(self->p, LEN, LEN, FIXED, self->hole));
	EXPECT_TRUE(holds(self->hole, self->pfn, SEED));
	ASSERT_EQ(0, set_map_count(maps + 5));
	EXPECT_EQ((long)self->p, sys_mremap(self->hole, LEN, LEN, DONTUNMAP | FIXED, self->p));
	EXPECT_TRUE(intact(self));
	EXPECT_EQ(-1, mm_check_byte(self->hole, LEN, 0));
}

/* locked memory past RLIMIT_MEMLOCK is EAGAIN without the capability for it */
TEST_F(refused, memlock)
{
	ASSERT_EQ(0, mlock(self->p, LEN));
	ASSERT_EQ(0, limit(RLIMIT_MEMLOCK, LEN + PAGE));
	ASSERT_EQ(0, use_caps(1U << CAP_IPC_LOCK, false));
	EXPECT_REFUSED(EAGAIN, sys_mremap(self->p, LEN, LEN + 2 * PAGE, 0, NULL));
	EXPECT_REFUSED(EAGAIN, sys_mremap(self->p, LEN, LEN + 2 * PAGE, MAYMOVE, NULL));
	EXPECT_REFUSED(EAGAIN, sys_mremap(self->p, LEN, LEN + 2 * PAGE, FIXED, self->hole));
	EXPECT_EQ(LEN / KB, mm_status(0, "VmLck"));
	EXPECT_EQ((long)self->p, sys_mremap(self->p, LEN, LEN + PAGE, 0, NULL));
	EXPECT_EQ((LEN + PAGE) / KB, mm_status(0, "VmLck"));
	munlock(self->p, LEN + PAGE);
}

/* addresses below vm.mmap_min_addr are EPERM as a target without the capability for it */
TEST_F(refused, low_address)
{
	ASSERT_EQ(0, restore(MIN_ADDR, 4 * PAGE));
	ASSERT_EQ(0, use_caps(1U << CAP_SYS_RAWIO, false));
	EXPECT_REFUSED(EPERM, sys_mremap(self->p, LEN, LEN, FIXED, NULL));
	EXPECT_REFUSED(EPERM, sys_mremap(self->p, PAGE, PAGE, FIXED, (void *)(3 * PAGE)));
	EXPECT_EQ((long)(4 * PAGE), sys_mremap(self->p, LEN, LEN, FIXED, (void *)(4 * PAGE)));
	EXPECT_TRUE(holds((char *)(4 * PAGE), self->pfn, SEED));
}

/* a sealed mapping cannot be moved, grown, shrunk, left behind or remapped to its own size: EPERM */
TEST_F(refused, sealed_source)
{
	ASSERT_EQ(0, mm_mseal(self->p, LEN));
	EXPECT_REFUSED(EPERM, sys_mremap(self->p, LEN, LEN, FIXED, self->to));
	EXPECT_REFUSED(EPERM, sys_mremap(self->p, LEN, 2 * LEN, MAYMOVE, NULL));
	EXPECT_REFUSED(EPERM, sys_mremap(self->p, LEN, LEN + PAGE, 0, NULL));
	EXPECT_REFUSED(EPERM, sys_mremap(self->p, LEN, PAGE, 0, NULL));
	EXPECT_REFUSED(EPERM, sys_mremap(self->p, LEN, LEN, DONTUNMAP, NULL));
	EXPECT_REFUSED(EPERM, sys_mremap(self->p, LEN, LEN, 0, NULL));
	EXPECT_REFUSED(EPERM, sys_mremap(self->p + PAGE, PAGE, PAGE, FIXED, self->hole));
}

/* a sealed mapping, or one that is so in part, cannot be overwritten nor cut off: EPERM */
TEST_F(refused, sealed_target)
{
	char *next = self->p + LEN;
	struct mm_vma vma;

	ASSERT_EQ(0, mm_mseal(self->to + 4 * PAGE, PAGE));
	EXPECT_REFUSED(EPERM, sys_mremap(self->p, LEN, LEN, FIXED, self->to));
	EXPECT_REFUSED(EPERM, sys_mremap(self->p, LEN, LEN, FIXED, self->to - 2 * PAGE));
	EXPECT_REFUSED(EPERM, sys_mremap(self->p, LEN, 2 * LEN, FIXED, self->to));
	ASSERT_EQ(next, mmap(next, PAGE, PROT_READ,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	ASSERT_EQ(0, mm_mseal(next, PAGE));
	EXPECT_REFUSED(EPERM, sys_mremap(self->p, LEN + PAGE, LEN, 0, NULL));
	/* Where the cut would be the VMA is split by then, which is all that is left of the attempt. */
	EXPECT_EQ(-1, sys_mremap(self->p, LEN + PAGE, PAGE, 0, NULL));
	EXPECT_EQ(EPERM, errno);
	EXPECT_TRUE(intact(self));
	ASSERT_EQ(0, mm_vma(0, self->p + PAGE, &vma));
	EXPECT_STREQ("rw-p", vma.prot);
	EXPECT_EQ((unsigned long)next, vma.end);
	ASSERT_EQ(0, mm_vma(0, next, &vma));
	EXPECT_STREQ("r--p", vma.prot);
}

FIXTURE(ring) {
	aio_context_t ctx;
	char *p;		/* the ring, which its driver wants to keep in one piece */
	size_t len;
};

FIXTURE_VARIANT(ring) {
	unsigned int events;
	size_t at, to;		/* offsets past a multiple of PMD_SIZE */
};

FIXTURE_VARIANT_ADD(ring, page) { .events = 256, .at = 3 * PAGE, .to = 5 * PAGE };
/* some 4 MB, moved by page tables to and fro where the kernel does that */
FIXTURE_VARIANT_ADD(ring, pmd) { .events = 65536 };
FIXTURE_VARIANT_ADD(ring, mutual) { .events = 65536, .at = 500 * PAGE, .to = 500 * PAGE };

FIXTURE_SETUP(ring)
{
	struct mm_vma vma;
	char *room;

	ASSERT_EQ(0, syscall(__NR_io_setup, variant->events, &self->ctx));
	ASSERT_EQ(0, mm_vma(0, (void *)self->ctx, &vma));
	self->len = vma.end - vma.start;
	room = free_range(self->len + PMD_SIZE, PMD_SIZE);
	ASSERT_NE(NULL, room);
	self->p = room + variant->at;
	ASSERT_EQ(self->p, move((void *)self->ctx, self->len, self->p));
	self->ctx = (aio_context_t)self->p;
	/* No event will come: what is behind the ring's head is ours. */
	fill_new(self->p + PAGE, self->len - PAGE, SEED);
	mm_touch_read(self->p, PAGE);
}

FIXTURE_TEARDOWN(ring)
{
	EXPECT_EQ(0, syscall(__NR_io_destroy, self->ctx));
}

static bool intact_ring(const FIXTURE_DATA(ring) *self, const uint64_t *before, uint64_t *now)
{
	return !mm_pfns(0, self->p, now, self->len / PAGE) && !other_frames(before, now, self->len / PAGE) &&
	       mm_check(self->p + PAGE, self->len - PAGE, SEED) == -1;
}

/* the driver refuses the move of a part when the pages have moved already: EINVAL, and all are back */
TEST_F(ring, driver)
{
	size_t part = self->len - PAGE, pages = self->len / PAGE;
	uint64_t *before = calloc(2 * pages, sizeof(*before)), *now = before + pages;
	char *to, *maps, *after;
	bool refused;

	ASSERT_NE(NULL, before);
	ASSERT_EQ(0, mm_pfns(0, self->p, before, pages));
	to = free_range(part + PMD_SIZE, PMD_SIZE) + variant->to;
	maps = mm_maps(0);
	refused = sys_mremap(self->p, part, part, FIXED, to) == -1;
	if (!refused) {
		self->ctx = (aio_context_t)to;
		munmap(self->p + part, PAGE);
	}
	NEED(refused ? NULL : "an AIO ring that stays in one piece");
	EXPECT_EQ(EINVAL, errno);
	after = mm_maps(0);
	EXPECT_STREQ(maps, after);
	EXPECT_TRUE(intact_ring(self, before, now));
	EXPECT_EQ(0, reachable(to, 4 * PAGE));
	EXPECT_EQ(0, reachable(to + part - PAGE, PAGE));
	for (size_t at = PAGE; at < self->len; at += 16 * PAGE) {
		mm_fill_from(self->p + at, PAGE, TARGET, at);
		EXPECT_EQ(-1, kernel_check_from(self->p + at, PAGE, TARGET, at));
	}
	free(before);
}

/* a mapping that may not grow is EFAULT if it is to, and EINVAL if it is to be left behind */
TEST_F(ring, expand)
{
	size_t pages = self->len / PAGE;
	uint64_t *before = calloc(2 * pages, sizeof(*before)), *now = before + pages;
	char *maps, *after;

	ASSERT_NE(NULL, before);
	ASSERT_EQ(0, mm_pfns(0, self->p, before, pages));
	maps = mm_maps(0);
	EXPECT_EQ(-1, sys_mremap(self->p, self->len, self->len + PAGE, MAYMOVE, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, sys_mremap(self->p, self->len, self->len + PAGE, 0, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, sys_mremap(self->p, self->len, self->len, DONTUNMAP, NULL));
	EXPECT_EQ(EINVAL, errno);
	after = mm_maps(0);
	EXPECT_STREQ(maps, after);
	EXPECT_TRUE(intact_ring(self, before, now));
	free(before);
}

TEST_HARNESS_MAIN
