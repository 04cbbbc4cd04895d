// SPDX-License-Identifier: GPL-2.0
/*
 * MADV_PAGEOUT of mappings of files. madvise(2): "Reclaim a given range of pages. This is done to free up memory occupied by these
 * pages"; of pages that the file shares with others only for who owns the file or could write it. What a private mapping has
 * copied is its own, whoever owns the file.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	8
#define LEN	(PAGES * PAGE)
#define COPIED	3		/* pages of a private mapping that were written */
#define SEED	1
#define OWN	2
#define USER	1000

/* What the child has, where both find it. */
static struct {
	char *p;
	int fd, flags;
	uid_t uid;
	mode_t mode;
} child;

/* Map the file as the user; its pages are read, and the first COPIED of a private mapping written. */
static int set_up(void *arg)
{
	int prot = PROT_READ | (child.flags == MAP_PRIVATE ? PROT_WRITE : 0);

	if (setresuid(child.uid, child.uid, child.uid))
		return errno;
	if (mmap(child.p, LEN, prot, child.flags | MAP_FIXED, child.fd, 0) != child.p)
		return errno;
	mm_touch_read(child.p, LEN);
	if (child.flags == MAP_PRIVATE)
		mm_fill(child.p, COPIED * PAGE, OWN);
	return 0;
}

static int advise(void *arg)
{
	return madvise(child.p, LEN, (long)arg) ? errno : 0;
}

/* 0, or what is wrong with the bytes. */
static int check(void *arg)
{
	size_t own = child.flags == MAP_PRIVATE ? COPIED * PAGE : 0;

	if (own && mm_check(child.p, own, OWN) != -1)
		return 1;
	return mm_check_from(child.p + own, LEN - own, SEED, own) == -1 ? 0 : 2;
}

FIXTURE(file) {
	struct mm_tree *t;
	pid_t pid;
	bool writable;			/* the file, by the child */
};

FIXTURE_VARIANT(file) {
	const char *dir;
	int flags;
	uid_t uid, owner;
	mode_t mode;
};

#define V(name, where, how, user, of, perm)	\
	FIXTURE_VARIANT_ADD(file, name) { .dir = where, .flags = how, .uid = user, .owner = of, .mode = perm }
V(tmpfs_readable, "/tmp", MAP_PRIVATE, USER, 0, 0644);
V(tmpfs_unreadable, "/tmp", MAP_PRIVATE, USER, 0, 0600);
V(tmpfs_writable, "/tmp", MAP_PRIVATE, USER, 0, 0666);
V(tmpfs_owner, "/tmp", MAP_PRIVATE, USER, USER, 0444);
V(tmpfs_root, "/tmp", MAP_PRIVATE, 0, USER, 0644);
V(ext4_readable, "/mnt", MAP_PRIVATE, USER, 0, 0644);
V(ext4_writable, "/mnt", MAP_PRIVATE, USER, 0, 0666);
V(ext4_owner, "/mnt", MAP_PRIVATE, USER, USER, 0444);
V(ext4_root, "/mnt", MAP_PRIVATE, 0, USER, 0644);
V(tmpfs_shared_readable, "/tmp", MAP_SHARED, USER, 0, 0644);
V(tmpfs_shared_writable, "/tmp", MAP_SHARED, USER, 0, 0666);
V(ext4_shared_readable, "/mnt", MAP_SHARED, USER, 0, 0644);
V(ext4_shared_writable, "/mnt", MAP_SHARED, USER, 0, 0666);
V(ext4_shared_owner, "/mnt", MAP_SHARED, USER, USER, 0444);

FIXTURE_SETUP(file)
{
	static char buf[LEN];

	NEED(mm_need_swap());
	child.fd = mm_tmpfile(variant->dir, LEN);
	child.p = mm_reserve(LEN, PAGE);
	ASSERT_LE(0, child.fd);
	ASSERT_NE(NULL, child.p);
	mm_fill(buf, LEN, SEED);
	ASSERT_EQ(LEN, pwrite(child.fd, buf, LEN, 0));
	ASSERT_EQ(0, fsync(child.fd));
	ASSERT_EQ(0, fchown(child.fd, variant->owner, 0));
	ASSERT_EQ(0, fchmod(child.fd, variant->mode));
	child.flags = variant->flags;
	child.uid = variant->uid;
	self->writable = !variant->uid || variant->uid == variant->owner || variant->mode & 0002;
	self->t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	self->pid = mm_tree_pid(self->t, 0);
	ASSERT_EQ(0, mm_tree_call(self->t, 0, set_up, NULL));
	mm_lru_drain();
	ASSERT_EQ(PAGES, mm_count_present(self->pid, child.p, LEN));
}

FIXTURE_TEARDOWN(file)
{
	if (self->t)
		mm_tree_end(self->t);
	close(child.fd);
}

/* pages that a private mapping has copied go to swap, those of the file only for who may write it, and no other bytes come back */
TEST_F(file, goes)
{
	const bool private = variant->flags == MAP_PRIVATE;
	const size_t own = private ? COPIED : 0, others = PAGES - own;

	for (int tries = 0; tries < 10; tries++) {
		ASSERT_EQ(0, mm_tree_call(self->t, 0, advise, (void *)MADV_PAGEOUT));
		mm_writeback_wait();
		if (mm_count_present(self->pid, child.p, LEN) <= (self->writable ? 0 : others))
			break;
	}
	EXPECT_EQ(0, mm_count_present(self->pid, child.p, own * PAGE));
	EXPECT_EQ(own, mm_count_swapped(self->pid, child.p, own * PAGE));
	EXPECT_EQ(own * PAGE / KB, mm_status(self->pid, "VmSwap"));
	EXPECT_EQ(self->writable ? 0 : others, mm_count_present(self->pid, child.p + own * PAGE, others * PAGE));
	EXPECT_EQ(0, mm_tree_call(self->t, 0, check, NULL));
	EXPECT_EQ(PAGES, mm_count_present(self->pid, child.p, LEN));
}

/* MADV_COLD takes nothing away, whoever asks */
TEST_F(file, cold)
{
	ASSERT_EQ(0, mm_tree_call(self->t, 0, advise, (void *)MADV_COLD));
	EXPECT_EQ(PAGES, mm_count_present(self->pid, child.p, LEN));
	EXPECT_EQ(0, mm_tree_call(self->t, 0, check, NULL));
}

TEST_HARNESS_MAIN
