// SPDX-License-Identifier: GPL-2.0
/* What advice does to bytes, pages and processes, as madvise(2) has it: of private and shared memory and files. */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	8
#define LEN	(PAGES * PAGE)
#define AT	(2 * PAGE)		/* the part that is advised */
#define PART	(4 * PAGE)
#define BEHIND	(AT + PART)
#define SEED	1
#define OWN	2
#define RW	(PROT_READ | PROT_WRITE)

enum bytes { KEPT, ZERO, OF_FILE };

FIXTURE(memory) {
	char *p;
	int fd;
};

FIXTURE_VARIANT(memory) {
	int flags;
	const char *dir;	/* of a file, "" is a memfd, NULL is anonymous */
	bool swapped, locked;
	enum bytes dontneed;	/* what is read after it */
};

#define V(name, ...) FIXTURE_VARIANT_ADD(memory, name) { __VA_ARGS__ }
V(anon, .flags = MAP_PRIVATE, .dontneed = ZERO);
V(anon_swapped, .flags = MAP_PRIVATE, .swapped = true, .dontneed = ZERO);
V(anon_locked, .flags = MAP_PRIVATE, .locked = true, .dontneed = ZERO);
V(shmem, .flags = MAP_SHARED);
V(shmem_swapped, .flags = MAP_SHARED, .swapped = true);
V(shmem_locked, .flags = MAP_SHARED, .locked = true);
V(memfd_private, .flags = MAP_PRIVATE, .dir = "", .dontneed = OF_FILE);
V(ext4, .flags = MAP_SHARED, .dir = "/mnt");
V(ext4_private, .flags = MAP_PRIVATE, .dir = "/mnt", .dontneed = OF_FILE);
V(ext4_private_locked, .flags = MAP_PRIVATE, .dir = "/mnt", .locked = true, .dontneed = OF_FILE);

/* A file has its bytes before it is mapped, a private mapping's pages are its own then. */
FIXTURE_SETUP(memory)
{
	static char buf[LEN];

	NEED(variant->swapped ? mm_need_swap() ?: mm_need_memcg() : NULL);
	self->fd = -1;
	if (variant->dir) {
		self->fd = mm_tmpfile(variant->dir, LEN);
		ASSERT_LE(0, self->fd);
		mm_fill(buf, LEN, SEED);
		ASSERT_EQ(LEN, pwrite(self->fd, buf, LEN, 0));
	}
	self->p = mm_map(LEN, PAGE, variant->flags, self->fd);
	ASSERT_NE(NULL, self->p);
	if (variant->swapped)
		ASSERT_EQ(0, mm_fill_swapped(self->p, LEN, OWN));
	if (!variant->swapped)
		mm_fill(self->p, LEN, OWN);
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

static bool is(const char *p, size_t at, size_t len, enum bytes bytes)
{
	if (bytes == ZERO)
		return mm_check_byte(p + at, len, 0) == -1;
	return mm_check_from(p + at, len, bytes == KEPT ? OWN : SEED, at) == -1;
}

/* pages of the part go, those beside it stay; what is read then are zeroes, or what the file has */
TEST_F(memory, dontneed)
{
	long rss = mm_smaps(0, self->p, "Rss"), swap = mm_smaps(0, self->p, "Swap");
	const long kb = PART / KB;

	if (variant->locked) {
		EXPECT_EQ(-1, madvise(self->p + AT, PART, MADV_DONTNEED));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(PAGES, mm_count_present(0, self->p, LEN));
	}
	ASSERT_EQ(0, madvise(self->p + AT, PART, variant->locked ? MADV_DONTNEED_LOCKED : MADV_DONTNEED));
	EXPECT_EQ(0, mm_count_present(0, self->p + AT, PART));
	EXPECT_EQ(rss - (variant->swapped ? 0 : kb), mm_smaps(0, self->p, "Rss"));
	if (variant->swapped)
		EXPECT_EQ(swap - (variant->flags == MAP_PRIVATE ? kb : 0), mm_smaps(0, self->p, "Swap"));
	EXPECT_EQ(variant->locked ? LEN / KB : 0, mm_status(0, "VmLck"));
	EXPECT_TRUE(is(self->p, AT, PART, variant->dontneed));
	EXPECT_TRUE(is(self->p, 0, AT, KEPT));
	EXPECT_TRUE(is(self->p, BEHIND, LEN - BEHIND, KEPT));
	/* Memory as ever: it can be written again. */
	mm_fill_from(self->p + AT, PART, OWN, AT);
	EXPECT_TRUE(is(self->p, 0, LEN, KEPT));
}

/* a child has what its parent gave up, and the parent what the child did */
static int child_gives_up(void *arg)
{
	FIXTURE_DATA(memory) *self = arg;

	if (madvise(self->p + AT, PART, MADV_DONTNEED_LOCKED))
		return 1;
	return is(self->p, 0, AT, KEPT) && is(self->p, BEHIND, LEN - BEHIND, KEPT) ? 0 : 2;
}

/* what a child gives up its parent still has */
TEST_F(memory, dontneed_of_child)
{
	EXPECT_EQ(0, mm_in_child(child_gives_up, self));
	EXPECT_TRUE(is(self->p, 0, LEN, KEPT));
}

/* MADV_POPULATE_READ maps what is there, and changes no byte; MADV_POPULATE_WRITE makes private pages the process's own */
TEST_F(memory, populate)
{
	struct mm_page page;

	ASSERT_EQ(0, madvise(self->p, LEN, MADV_DONTNEED_LOCKED));
	ASSERT_EQ(0, mm_count_present(0, self->p, LEN));
	ASSERT_EQ(0, madvise(self->p + AT, PART, MADV_POPULATE_READ));
	/* Of a file those beside it may come along. */
	if (variant->dontneed == ZERO)
		EXPECT_EQ(0, mm_count_present(0, self->p, AT));
	EXPECT_EQ(PART / PAGE, mm_count_present(0, self->p + AT, PART));
	EXPECT_TRUE(is(self->p, AT, PART, variant->dontneed));
	ASSERT_EQ(0, mm_page(0, self->p + AT, &page));
	EXPECT_EQ(variant->dontneed != ZERO, page.file);
	ASSERT_EQ(0, madvise(self->p + AT, PART, MADV_POPULATE_WRITE));
	EXPECT_TRUE(is(self->p, AT, PART, variant->dontneed));
	ASSERT_EQ(0, mm_page(0, self->p + AT, &page));
	EXPECT_EQ(variant->flags == MAP_SHARED, page.file);
	/* The stores need no fault any more. */
	if (variant->flags == MAP_PRIVATE) {
		long faults = mm_minor_faults();

		mm_fill_from(self->p + AT, PART, OWN, AT);
		EXPECT_EQ(faults, mm_minor_faults());
		EXPECT_TRUE(is(self->p, AT, PART, KEPT));
	}
}

/* MADV_COLD and MADV_PAGEOUT lose no byte, of what was written before or after */
TEST_F(memory, cold)
{
	const int advice[] = { MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED, MADV_COLD };

	for (int i = 0; i < 4; i++) {
		bool refused = variant->locked && advice[i] != MADV_WILLNEED;

		errno = 0;
		EXPECT_EQ(refused ? -1 : 0, madvise(self->p + AT, PART, advice[i]));
		EXPECT_EQ(refused ? EINVAL : 0, errno);
		mm_fill_from(self->p + AT + PAGE, PAGE, OWN, AT + PAGE);
		EXPECT_TRUE(is(self->p, i % 2 ? 0 : AT, PART, KEPT));
	}
	EXPECT_TRUE(is(self->p, 0, LEN, KEPT));
}

static int child_sees(void *arg)
{
	FIXTURE_DATA(memory) *self = arg;

	/* The part is not there, what is beside it is. */
	if (mm_probe_read(self->p + AT) != SIGSEGV || mm_probe_code() != SEGV_MAPERR)
		return 1;
	if (mm_probe_read(self->p + BEHIND - 1) != SIGSEGV || mm_vma_count(0, self->p + AT, PART))
		return 2;
	if (!is(self->p, 0, AT, KEPT) || !is(self->p, BEHIND, LEN - BEHIND, KEPT))
		return 3;
	return 0;
}

static int child_has_all(void *arg)
{
	FIXTURE_DATA(memory) *self = arg;

	return is(self->p, 0, LEN, KEPT) ? 0 : 1;
}

/* MADV_DONTFORK: "Do not make the pages in this range available to the child after a fork(2)"; MADV_DOFORK undoes it */
TEST_F(memory, dontfork)
{
	ASSERT_EQ(0, madvise(self->p + AT, PART, MADV_DONTFORK));
	EXPECT_EQ(0, mm_in_child(child_sees, self));
	EXPECT_TRUE(is(self->p, 0, LEN, KEPT));
	ASSERT_EQ(0, madvise(self->p, LEN, MADV_DOFORK));
	EXPECT_EQ(0, mm_in_child(child_has_all, self));
	EXPECT_EQ(1, mm_vma_count(0, self->p, LEN));
}

static int grandchild_wiped(void *arg)
{
	FIXTURE_DATA(memory) *self = arg;

	return is(self->p, AT, PART, ZERO) ? 0 : 4;
}

static int child_wiped(void *arg)
{
	FIXTURE_DATA(memory) *self = arg;

	if (!is(self->p, AT, PART, ZERO) || !is(self->p, 0, AT, KEPT) || !is(self->p, BEHIND, LEN - BEHIND, KEPT))
		return 1;
	if (mm_status(0, "VmLck"))
		return 2;
	/* "The MADV_WIPEONFORK setting remains in place in the child." */
	mm_fill_from(self->p + AT, PART, OWN, AT);
	return mm_in_child(grandchild_wiped, self) ?: is(self->p, 0, LEN, KEPT) ? 0 : 3;
}

/* MADV_WIPEONFORK: the child finds zeroes, and so does its child; EINVAL of what is not private and anonymous */
TEST_F(memory, wipeonfork)
{
	if (variant->flags == MAP_SHARED || variant->dir) {
		EXPECT_EQ(-1, madvise(self->p + AT, PART, MADV_WIPEONFORK));
		EXPECT_EQ(EINVAL, errno);
	} else {
		ASSERT_EQ(0, madvise(self->p + AT, PART, MADV_WIPEONFORK));
		EXPECT_EQ(0, mm_in_child(child_wiped, self));
		EXPECT_TRUE(is(self->p, 0, LEN, KEPT));
		ASSERT_EQ(0, madvise(self->p, LEN, MADV_KEEPONFORK));
	}
	EXPECT_EQ(0, mm_in_child(child_has_all, self));
	EXPECT_TRUE(is(self->p, 0, LEN, KEPT));
	EXPECT_EQ(1, mm_vma_count(0, self->p, LEN));
}

static int child_guarded(void *arg)
{
	FIXTURE_DATA(memory) *self = arg;

	return mm_probe_read(self->p + AT) == SIGSEGV && mm_probe_write(self->p + BEHIND - 1, 1) == SIGSEGV &&
	       !mm_probe_read(self->p + BEHIND) ? 0 : 1;
}

/* MADV_GUARD_INSTALL: SIGSEGV, whatever the rights, in a child too, until MADV_GUARD_REMOVE; then as after MADV_DONTNEED */
TEST_F(memory, guard)
{
	NEED(mm_need_guard(variant->flags == MAP_SHARED || variant->dir ? MAP_SHARED : MAP_PRIVATE));
	if (variant->locked) {
		EXPECT_EQ(-1, madvise(self->p + AT, PART, MADV_GUARD_INSTALL));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_TRUE(is(self->p, 0, LEN, KEPT));
		return;
	}
	ASSERT_EQ(0, madvise(self->p + AT, PART, MADV_GUARD_INSTALL));
	for (int i = 0; i < 4; i++) {
		/* What does not take them away. */
		if (i == 1)
			ASSERT_EQ(0, madvise(self->p, LEN, MADV_DONTNEED));
		if (i == 2)
			ASSERT_EQ(0, mprotect(self->p, LEN, PROT_NONE) ?: mprotect(self->p, LEN, RW));
		if (i == 3)
			ASSERT_EQ(0, madvise(self->p, LEN, MADV_GUARD_INSTALL) ?: madvise(self->p, AT, MADV_GUARD_REMOVE) ?:
				     madvise(self->p + BEHIND, LEN - BEHIND, MADV_GUARD_REMOVE));
		for (size_t at = AT; at < BEHIND; at += PAGE) {
			EXPECT_EQ(SIGSEGV, mm_probe_read(self->p + at)) TH_LOG("%d, page %zu", i, at / PAGE);
		}
		EXPECT_EQ(SIGSEGV, mm_probe_write(self->p + AT, 1));
		EXPECT_TRUE(is(self->p, 0, AT, i ? variant->dontneed : KEPT));
		EXPECT_EQ(0, mm_in_child(child_guarded, self));
		EXPECT_EQ(1, mm_vma_count(0, self->p, LEN));
	}
	EXPECT_EQ(-1, madvise(self->p, LEN, MADV_POPULATE_READ));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(0, madvise(self->p + AT, PART, MADV_GUARD_REMOVE));
	EXPECT_TRUE(is(self->p, AT, PART, variant->dontneed));
	mm_fill(self->p, LEN, OWN);
	EXPECT_TRUE(is(self->p, 0, LEN, KEPT));
}

/* MADV_FREE: "the caller [...] can write to these pages", what is written stays; the rest is as it was or zero */
TEST(lazily_freed)
{
	char *p = mm_map_aligned(LEN, PAGE);

	NEED(mm_need_swap());
	ASSERT_NE(NULL, p);
	mm_fill(p, LEN, OWN);
	ASSERT_EQ(0, madvise(p + AT, PART, MADV_FREE));
	mm_lru_drain();
	EXPECT_EQ(PART / KB, mm_smaps(0, p, "LazyFree"));
	EXPECT_TRUE(is(p, 0, LEN, KEPT));
	mm_fill_from(p + AT, PAGE, OWN, AT);
	for (int i = 0; i < 10 && mm_count_present(0, p, LEN); i++)
		mm_pageout(p, LEN);
	EXPECT_TRUE(is(p, 0, AT + PAGE, KEPT));
	EXPECT_TRUE(is(p, BEHIND, LEN - BEHIND, KEPT));
	for (size_t at = AT + PAGE; at < BEHIND; at += PAGE) {
		EXPECT_TRUE(is(p, at, PAGE, KEPT) || is(p, at, PAGE, ZERO)) TH_LOG("page %zu", at / PAGE);
	}
	munmap(p, LEN);
}

/* MADV_FREE of pages in swap gives up their slots at once */
TEST(free_swapped)
{
	char *p = mm_map_aligned(LEN, PAGE);

	NEED(mm_need_swap());
	ASSERT_NE(NULL, p);
	mm_fill(p, LEN, OWN);
	for (int i = 0; i < 10 && mm_count_present(0, p, LEN); i++)
		mm_pageout(p, LEN);
	ASSERT_EQ(PAGES, mm_count_swapped(0, p, LEN));
	ASSERT_EQ(0, madvise(p + AT, PART, MADV_FREE));
	EXPECT_EQ(PAGES - PART / PAGE, mm_count_swapped(0, p, LEN));
	EXPECT_TRUE(is(p, AT, PART, ZERO));
	EXPECT_TRUE(is(p, 0, AT, KEPT));
	EXPECT_TRUE(is(p, BEHIND, LEN - BEHIND, KEPT));
	munmap(p, LEN);
}

FIXTURE(punched) {
	int fd;
	char *p, *q;		/* shared, and private with pages of its own in the first half of the part */
};

FIXTURE_VARIANT(punched) {
	const char *dir;
};

FIXTURE_VARIANT_ADD(punched, tmpfs) { .dir = "/tmp" };
FIXTURE_VARIANT_ADD(punched, ext4) { .dir = "/mnt" };

FIXTURE_SETUP(punched)
{
	self->fd = mm_tmpfile(variant->dir, LEN);
	ASSERT_LE(0, self->fd);
	self->p = mmap(NULL, LEN, RW, MAP_SHARED, self->fd, 0);
	self->q = mmap(NULL, LEN, RW, MAP_PRIVATE, self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	ASSERT_NE(MAP_FAILED, self->q);
	mm_fill(self->p, LEN, SEED);
	ASSERT_EQ(0, fsync(self->fd));
	mm_fill_from(self->q + AT, PART / 2, OWN, AT);
	mm_touch_read(self->q, LEN);
}

FIXTURE_TEARDOWN(punched)
{
	munmap(self->p, LEN);
	munmap(self->q, LEN);
	close(self->fd);
}

/* MADV_REMOVE: the part has no pages and no blocks, and reads as zeroes by whoever maps it; private copies stay */
TEST_F(punched, remove)
{
	struct stat was, is_now;
	char buf[PAGE];

	ASSERT_EQ(0, fstat(self->fd, &was));
	ASSERT_EQ(0, madvise(self->p + AT, PART, MADV_REMOVE));
	ASSERT_EQ(0, fsync(self->fd));
	ASSERT_EQ(0, fstat(self->fd, &is_now));
	EXPECT_EQ(was.st_size, is_now.st_size);
	EXPECT_EQ(was.st_blocks - (long)(PART / 512), is_now.st_blocks);
	EXPECT_EQ(0, mm_count_present(0, self->p + AT, PART));
	EXPECT_EQ(PART / 2 / PAGE, mm_count_present(0, self->q + AT, PART));
	EXPECT_EQ(PAGE, pread(self->fd, buf, PAGE, AT));
	EXPECT_EQ(-1, mm_check_byte(buf, PAGE, 0));
	EXPECT_TRUE(is(self->p, AT, PART, ZERO));
	EXPECT_TRUE(is(self->p, 0, AT, OF_FILE));
	EXPECT_TRUE(is(self->p, BEHIND, LEN - BEHIND, OF_FILE));
	EXPECT_TRUE(is(self->q, AT, PART / 2, KEPT));
	EXPECT_TRUE(is(self->q, AT + PART / 2, PART / 2, ZERO));
	/* Written again it has blocks again. */
	mm_fill(self->p, LEN, SEED);
	ASSERT_EQ(0, fsync(self->fd));
	ASSERT_EQ(0, fstat(self->fd, &is_now));
	EXPECT_EQ(was.st_blocks, is_now.st_blocks);
}

/* a file that cannot be written is EACCES by a mapping that never may, though who asks owns it */
TEST_F(punched, not_writable)
{
	char path[64], *r;
	int ro;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, ro);
	r = mmap(NULL, LEN, PROT_READ, MAP_SHARED, ro, 0);
	ASSERT_NE(MAP_FAILED, r);
	EXPECT_EQ(-1, madvise(r, LEN, MADV_REMOVE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, madvise(self->q, LEN, MADV_REMOVE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_TRUE(is(self->p, 0, LEN, OF_FILE));
	munmap(r, LEN);
	close(ro);
}

/* pages beyond the end of a file cannot be populated: EFAULT, and what is ahead of them is there */
TEST_F(punched, populate_beyond)
{
	ASSERT_EQ(0, ftruncate(self->fd, BEHIND));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, madvise(self->p, LEN, MADV_DONTNEED));
		EXPECT_EQ(-1, madvise(self->p, LEN, i ? MADV_POPULATE_WRITE : MADV_POPULATE_READ));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_EQ(BEHIND / PAGE, mm_count_present(0, self->p, LEN));
		EXPECT_TRUE(is(self->p, 0, BEHIND, OF_FILE));
	}
}

TEST_HARNESS_MAIN
