// SPDX-License-Identifier: GPL-2.0
/*
 * mmap() of each kind with each of its allocations failing: ENOMEM, or ENOSPC for the inode, no mapping, and of the file that it
 * made nothing is left.
 */
#include "kselftest_harness.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "mm.h"
#include "walk.h"

#define PAGES	8

/* Caches of what mmap() makes or takes hold of. */
static const char *const caches[] = { "filp", "shmem_inode_cache", NULL };

static int map_flags;

static int mmap_call(struct walk *w)
{
	char *p = mmap(w->p, w->len, PROT_READ | PROT_WRITE, map_flags | MAP_FIXED_NOREPLACE, w->fd, 0);

	return p == w->p ? 0 : -errno;
}

static void mapped(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(1, mm_vma_count(0, w->p, w->len));
	EXPECT_EQ(0, mm_probe_write(w->p + w->len - 1, 'x'));
}

static void unmap(struct walk *w)
{
	munmap(w->p, w->len);
}

static void free_place(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(0, mm_vma_count(0, w->p, w->len));
}

FIXTURE(mmap) {
	struct walk w;
};

FIXTURE_VARIANT(mmap) {
	int flags;
	int (*file)(void);
	int beside;		/* a mapping before it, 1, or behind it, 2, or both, with which it may become one */
};

static int zero(void)
{
	return open("/dev/zero", O_RDWR | O_CLOEXEC);
}

static int memfd(void)
{
	return mm_memfd(PAGES * PAGE);
}

static int on_disk(void)
{
	return mm_tmpfile("/mnt", PAGES * PAGE);
}

#define V(name, f, of, by) FIXTURE_VARIANT_ADD(mmap, name) { .flags = f, .file = of, .beside = by }
V(anon, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);
V(anon_before, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 1);
V(anon_behind, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 2);
V(anon_between, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 3);
V(anon_shared, MAP_SHARED | MAP_ANONYMOUS, NULL, 0);
V(zero_private, MAP_PRIVATE, zero, 0);
V(zero_shared, MAP_SHARED, zero, 0);
V(memfd_private, MAP_PRIVATE, memfd, 0);
V(memfd_shared, MAP_SHARED, memfd, 0);
V(file_private, MAP_PRIVATE, on_disk, 0);
V(file_shared, MAP_SHARED, on_disk, 0);

FIXTURE_SETUP(mmap)
{
	NEED(mm_need_fail_nth());
	NEED(mm_slab_now("filp") < 0 ? "SLUB_DEBUG" : NULL);
	self->w = (struct walk) {
		._metadata = _metadata, .len = PAGES * PAGE, .call = mmap_call, .done = mapped, .undo = unmap, .intact = free_place,
		.error = ENOMEM, .or_error = variant->flags & MAP_SHARED ? ENOSPC : 0, .fd = -1,
		.caches = caches, .by_rcu = true,
	};
	map_flags = variant->flags;
	if (variant->file) {
		self->w.fd = variant->file();
		ASSERT_LE(0, self->w.fd);
	}
	self->w.p = mm_reserve(3 * self->w.len, PAGE);
	ASSERT_NE(NULL, self->w.p);
	ASSERT_EQ(0, munmap(self->w.p, 3 * self->w.len));
	self->w.p += self->w.len;
	/* As long as it is there /proc/self/maps has it in its own line. */
	if (variant->beside & 1)
		ASSERT_TRUE(walk_map(self->w.p - PAGE, PAGE));
	if (variant->beside & 2)
		ASSERT_TRUE(walk_map(self->w.p + self->w.len, PAGE));
}

FIXTURE_TEARDOWN(mmap)
{
	munmap(self->w.p - PAGE, self->w.len + 2 * PAGE);
	if (self->w.fd >= 0)
		close(self->w.fd);
}

/* no failure leaves a mapping, a file or an inode behind */
TEST_F(mmap, nothing_left)
{
	walk(&self->w);
	/* What becomes a part of its neighbour may need no memory. */
	EXPECT_LE(!variant->beside, self->w.injected);
}

TEST_HARNESS_MAIN
