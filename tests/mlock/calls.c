// SPDX-License-Identifier: GPL-2.0
/* mlock(2), mlock2(2), munlock(2): what they refuse, what they lock of memory of each kind, and that it is there then or not. */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	8
#define LEN	(PAGES * PAGE)
#define MANY	64L
#define SEED	1
#define RW	(PROT_READ | PROT_WRITE)

#define EXPECT_ERROR(err, call) do { errno = 0; EXPECT_EQ(-1, call); EXPECT_EQ((err), errno); } while (0)

FIXTURE(memory) {
	char *p;
	int fd;
	long mlocked;
};

FIXTURE_VARIANT(memory) {
	int prot, flags;
	const char *dir;	/* of a file, "" is a memfd, NULL is anonymous */
	size_t file;		/* its length, LEN if 0 */
	enum { UNTOUCHED, TOUCHED, SWAPPED, GUARDED } state;
	int err;		/* of mlock() */
	int present;		/* pages that are there after mlock() */
	bool copies;		/* they are the process's own */
	bool shared;		/* one page all over: the zero page */
	bool late;		/* Mlocked has them when reclaim meets them: what comes back from swap is on a list already */
};

#define V(name, ...) FIXTURE_VARIANT_ADD(memory, name) { __VA_ARGS__ }
V(anon, .prot = RW, .flags = MAP_PRIVATE, .present = PAGES, .copies = true);
V(anon_touched, .prot = RW, .flags = MAP_PRIVATE, .state = TOUCHED, .present = PAGES, .copies = true);
V(anon_swapped, .prot = RW, .flags = MAP_PRIVATE, .state = SWAPPED, .present = PAGES, .copies = true, .late = true);
V(anon_read, .prot = PROT_READ, .flags = MAP_PRIVATE, .present = PAGES, .shared = true);
V(anon_none, .prot = PROT_NONE, .flags = MAP_PRIVATE, .err = ENOMEM);
V(anon_noreserve, .prot = RW, .flags = MAP_PRIVATE | MAP_NORESERVE, .present = PAGES, .copies = true);
V(anon_guard, .prot = RW, .flags = MAP_PRIVATE, .state = GUARDED, .err = ENOMEM, .present = 2, .copies = true);
V(shmem, .prot = RW, .flags = MAP_SHARED, .present = PAGES);
V(shmem_swapped, .prot = RW, .flags = MAP_SHARED, .state = SWAPPED, .present = PAGES);
V(shmem_read, .prot = PROT_READ, .flags = MAP_SHARED, .present = PAGES);
V(memfd_private, .prot = RW, .flags = MAP_PRIVATE, .dir = "", .present = PAGES, .copies = true);
V(memfd_private_read, .prot = PROT_READ, .flags = MAP_PRIVATE, .dir = "", .present = PAGES);
V(memfd_short, .prot = RW, .flags = MAP_SHARED, .dir = "", .file = 3 * PAGE, .err = ENOMEM, .present = 3);
V(ext4, .prot = RW, .flags = MAP_SHARED, .dir = "/mnt", .present = PAGES);
V(ext4_read, .prot = PROT_READ, .flags = MAP_SHARED, .dir = "/mnt", .present = PAGES);
V(ext4_private, .prot = RW, .flags = MAP_PRIVATE, .dir = "/mnt", .present = PAGES, .copies = true);
V(ext4_private_read, .prot = PROT_READ, .flags = MAP_PRIVATE, .dir = "/mnt", .present = PAGES);
V(ext4_short, .prot = RW, .flags = MAP_SHARED, .dir = "/mnt", .file = 3 * PAGE, .err = ENOMEM, .present = 3);

FIXTURE_SETUP(memory)
{
	NEED(variant->state == SWAPPED ? mm_need_swap() ?: mm_need_memcg() : NULL);
	NEED(variant->state == GUARDED ? mm_need_guard(MAP_PRIVATE) : NULL);
	self->fd = -1;
	if (variant->dir) {
		size_t len = variant->file ?: LEN;

		self->fd = mm_tmpfile(variant->dir, len);
		ASSERT_LE(0, self->fd);
	}
	self->p = mm_reserve(LEN, PAGE);
	ASSERT_EQ(self->p, mmap(self->p, LEN, variant->prot, variant->flags | MAP_FIXED | (variant->dir ? 0 : MAP_ANONYMOUS),
				self->fd, 0));
	if (variant->state == TOUCHED)
		mm_fill(self->p, LEN, SEED);
	if (variant->state == SWAPPED)
		ASSERT_EQ(0, mm_fill_swapped(self->p, LEN, SEED));
	if (variant->state == GUARDED)
		ASSERT_EQ(0, madvise(self->p + 2 * PAGE, PAGE, MADV_GUARD_INSTALL));
	if (variant->state != TOUCHED)
		ASSERT_EQ(0, mm_count_present(0, self->p, LEN));
	self->mlocked = mm_mlocked();
}

FIXTURE_TEARDOWN(memory)
{
	munmap(self->p, LEN);
	if (self->fd >= 0)
		close(self->fd);
	EXPECT_EQ(0, mm_status(0, "VmLck"));
	EXPECT_EQ(self->mlocked, mm_mlocked());
}

/* all of it is accounted, and there if it can be; a private mapping that may be written has its own pages at once */
TEST_F(memory, lock)
{
	errno = 0;
	EXPECT_EQ(variant->err ? -1 : 0, mlock(self->p, LEN));
	EXPECT_EQ(variant->err, errno);
	EXPECT_TRUE(mm_vmflag(0, self->p, "lo"));
	EXPECT_EQ(LEN / KB, mm_status(0, "VmLck"));
	EXPECT_EQ(variant->present, mm_count_present(0, self->p, LEN));
	for (int i = 0; i < variant->present; i++) {
		struct mm_page page;

		ASSERT_EQ(0, mm_page(0, self->p + i * PAGE, &page));
		EXPECT_EQ(!variant->copies && !variant->shared, page.file) TH_LOG("page %d", i);
	}
	if (variant->late)
		mm_report("not_mlocked", variant->present - (mm_mlocked() - self->mlocked));
	else if (!variant->shared)
		EXPECT_EQ(variant->present, mm_mlocked() - self->mlocked);
	if (variant->state == TOUCHED || variant->state == SWAPPED)
		EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
	/* Unlocked it stays where it is. */
	EXPECT_EQ(0, munlock(self->p, LEN));
	EXPECT_EQ(0, mm_status(0, "VmLck"));
	EXPECT_EQ(self->mlocked, mm_mlocked());
	EXPECT_EQ(variant->present, mm_count_present(0, self->p, LEN));
}

/* MLOCK_ONFAULT brings nothing in; what is touched then is locked, by store and by load */
TEST_F(memory, on_fault)
{
	int was = variant->state == TOUCHED ? PAGES : 0;

	ASSERT_EQ(0, mlock2(self->p, LEN, MLOCK_ONFAULT));
	EXPECT_TRUE(mm_vmflag(0, self->p, "lo"));
	EXPECT_TRUE(mm_vmflag(0, self->p, "lf"));
	EXPECT_EQ(LEN / KB, mm_status(0, "VmLck"));
	EXPECT_EQ(was, mm_count_present(0, self->p, LEN));
	EXPECT_EQ(was, mm_mlocked() - self->mlocked);
	if (variant->prot == PROT_NONE)
		return;
	EXPECT_EQ(0, variant->prot & PROT_WRITE ? mm_probe_write(self->p, 1) : mm_probe_read(self->p));
	EXPECT_EQ(0, mm_probe_read(self->p + PAGE));
	EXPECT_EQ(1, mm_count_present(0, self->p, PAGE));
	EXPECT_EQ(1, mm_count_present(0, self->p + PAGE, PAGE));
	/* The page of zeroes that a load has got is nobody's. */
	if (!variant->shared && !variant->late)
		EXPECT_LE(variant->dir ? 2 : 1, mm_mlocked() - self->mlocked);
	EXPECT_EQ(0, munlock(self->p, LEN));
	EXPECT_FALSE(mm_vmflag(0, self->p, "lf"));
	EXPECT_EQ(self->mlocked, mm_mlocked());
}

/* mlock(2): "the address range is rounded": one byte is its page, two may be two pages */
TEST(bytes)
{
	static const struct { size_t at, len; int pages; } ranges[] = {
		{ 0, 1, 1 }, { 1, 1, 1 }, { PAGE - 1, 1, 1 }, { PAGE - 1, 2, 2 }, { 0, PAGE, 1 }, { 0, PAGE + 1, 2 },
		{ 1, PAGE, 2 }, { PAGE / 2, 2 * PAGE, 3 }, { 5, 0, 1 }, { 0, 0, 0 },
	};
	char *p = mm_map_aligned(LEN, PAGE);

	ASSERT_NE(NULL, p);
	for (int i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
		size_t at = ranges[i].at, len = ranges[i].len;

		EXPECT_EQ(0, mlock(p + PAGE + at, len)) TH_LOG("%zu bytes at %zu", len, at);
		EXPECT_EQ(ranges[i].pages * PAGE / KB, mm_status(0, "VmLck")) TH_LOG("%zu bytes at %zu", len, at);
		EXPECT_FALSE(mm_vmflag(0, p, "lo"));
		EXPECT_EQ(ranges[i].pages > 0, mm_vmflag(0, p + PAGE, "lo"));
		EXPECT_EQ(0, munlock(p + PAGE + at, len)) TH_LOG("%zu bytes at %zu", len, at);
		EXPECT_EQ(0, mm_status(0, "VmLck")) TH_LOG("%zu bytes at %zu", len, at);
	}
	munmap(p, LEN);
}

/* flags that there are not are EINVAL, before anything is locked; what is not mapped is ENOMEM */
TEST(errors)
{
	char *p = mm_map_aligned(LEN, PAGE);
	static const int flags[] = { 2, 3, 4, 0x40, -1, 1 << 31 };

	ASSERT_NE(NULL, p);
	for (int i = 0; i < 6; i++)
		EXPECT_ERROR(EINVAL, mlock2(p, LEN, flags[i]));
	EXPECT_EQ(0, mm_status(0, "VmLck"));
	ASSERT_EQ(0, munmap(p, LEN));
	EXPECT_ERROR(ENOMEM, mlock(p, PAGE));
	EXPECT_ERROR(ENOMEM, mlock(p, 1));
	EXPECT_ERROR(ENOMEM, mlock2(p, PAGE, MLOCK_ONFAULT));
	EXPECT_ERROR(ENOMEM, munlock(p, PAGE));
	EXPECT_ERROR(ENOMEM, munlock(p + 1, 1));
	EXPECT_EQ(0, mm_status(0, "VmLck"));
}

/* locked pages that came back from swap stay, whatever reclaim wants */
TEST(from_swap)
{
	char *p = mm_map_aligned(MANY * PAGE, PAGE);
	struct mm_cgroup cg;
	long before = mm_mlocked();

	NEED(mm_need_swap());
	NEED(mm_need_memcg());
	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, mm_cgroup_create(&cg, "from_swap"));
	ASSERT_EQ(0, mm_cgroup_enter(&cg));
	mm_fill(p, MANY * PAGE, SEED);
	ASSERT_EQ(0, mm_pageout(p, MANY * PAGE));
	ASSERT_EQ(0, mlock(p, MANY * PAGE));
	ASSERT_EQ(0, mm_cgroup_leave());
	for (int i = 0; i < 10 && mm_mlocked() == before; i++) {
		EXPECT_EQ(-EAGAIN, mm_cgroup_reclaim(&cg, MANY * PAGE));
	}
	EXPECT_EQ(MANY, mm_count_present(0, p, MANY * PAGE));
	/* How many reclaim has met is chance. */
	mm_report("mlocked_late", mm_mlocked() - before);
	EXPECT_EQ(-1, mm_check(p, MANY * PAGE, SEED));
	ASSERT_EQ(0, munmap(p, MANY * PAGE));
	EXPECT_EQ(before, mm_mlocked());
	EXPECT_EQ(0, mm_cgroup_remove(&cg));
}

/* a page that cannot be had ends the call: what is behind it is locked, and there when it is touched */
TEST(part_of_it)
{
	char *p = mm_map_aligned(LEN, PAGE);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, mprotect(p + 3 * PAGE, PAGE, PROT_NONE));
	EXPECT_ERROR(ENOMEM, mlock(p, LEN));
	EXPECT_EQ(LEN / KB, mm_status(0, "VmLck"));
	EXPECT_EQ(3, mm_count_present(0, p, LEN));
	EXPECT_TRUE(mm_vmflag(0, p + LEN - PAGE, "lo"));
	mm_fill(p + 4 * PAGE, PAGE, SEED);
	EXPECT_EQ(4 * PAGE / KB, mm_smaps_sum(0, "Locked", "lo"));
	ASSERT_EQ(0, munmap(p, LEN));
	EXPECT_EQ(0, mm_status(0, "VmLck"));
}

/* locks do not stack: one munlock() undoes any number of them, of the whole and of parts */
TEST(no_stack)
{
	char *p = mm_map_aligned(LEN, PAGE);

	ASSERT_NE(NULL, p);
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, mlock(p, LEN));
		ASSERT_EQ(0, mlock(p + i * PAGE, 2 * PAGE));
		EXPECT_EQ(LEN / KB, mm_status(0, "VmLck"));
	}
	EXPECT_EQ(1, mm_vma_count(0, p, LEN));
	EXPECT_EQ(0, munlock(p, LEN));
	EXPECT_EQ(0, mm_status(0, "VmLck"));
	EXPECT_EQ(0, munlock(p, LEN));
	EXPECT_EQ(0, mm_status(0, "VmLck"));
	EXPECT_FALSE(mm_vmflag(0, p, "lo"));
	munmap(p, LEN);
}

TEST_HARNESS_MAIN
