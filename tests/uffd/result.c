// SPDX-License-Identifier: GPL-2.0
/*
 * What the ioctls that fill memory leave in the last field of their argument: "the number of bytes that was actually copied, or an
 * error (a negated errno-style value)" (UFFDIO_COPY(2const); ZEROPAGE, MOVE, CONTINUE and POISON alike).
 */
#include "kselftest_harness.h"
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "uffd.h"

#define PAGES	8
#define LEN	(PAGES * PAGE)
#define SEED	1
#define RW	(PROT_READ | PROT_WRITE)
#define MISSING	UFFDIO_REGISTER_MODE_MISSING
#define JUNK	0x5a5a5a5aL

/* Each call: 0 or an errno, and what its field holds afterwards. */
struct result { int err; long field; };

static struct result copy(int fd, char *to, char *from, size_t len)
{
	struct uffdio_copy arg = { .dst = (uintptr_t)to, .src = (uintptr_t)from, .len = len, .copy = JUNK };
	int err = ioctl(fd, UFFDIO_COPY, &arg) ? errno : 0;

	return (struct result) { err, arg.copy };
}

static struct result zeropage(int fd, char *to, char *from, size_t len)
{
	struct uffdio_zeropage arg = { .range = { .start = (uintptr_t)to, .len = len }, .zeropage = JUNK };
	int err = ioctl(fd, UFFDIO_ZEROPAGE, &arg) ? errno : 0;

	return (struct result) { err, arg.zeropage };
}

static struct result move(int fd, char *to, char *from, size_t len)
{
	struct uffdio_move arg = { .dst = (uintptr_t)to, .src = (uintptr_t)from, .len = len, .move = JUNK };
	int err = ioctl(fd, UFFDIO_MOVE, &arg) ? errno : 0;

	return (struct result) { err, arg.move };
}

static struct result cont(int fd, char *to, char *from, size_t len)
{
	struct uffdio_continue arg = { .range = { .start = (uintptr_t)to, .len = len }, .mapped = JUNK };
	int err = ioctl(fd, UFFDIO_CONTINUE, &arg) ? errno : 0;

	return (struct result) { err, arg.mapped };
}

static struct result poison(int fd, char *to, char *from, size_t len)
{
	struct uffdio_poison arg = { .range = { .start = (uintptr_t)to, .len = len }, .updated = JUNK };
	int err = ioctl(fd, UFFDIO_POISON, &arg) ? errno : 0;

	return (struct result) { err, arg.updated };
}

#define EXPECT_RESULT(error, value, call) do {		\
		struct result r_ = (call);		\
		EXPECT_EQ((error), r_.err);		\
		EXPECT_EQ((value), r_.field);		\
	} while (0)

/* What changes the mappings of a process and waits until the handler has read of it. */
struct changing {
	char *p;
	char *to;
	int (*change)(struct changing *c);
	uint64_t feature;
	int event;
};

static int discard(struct changing *c)
{
	return madvise(c->p, PAGE, MADV_DONTNEED);
}

static int unmap(struct changing *c)
{
	return munmap(c->p, PAGE);
}

static int remap(struct changing *c)
{
	return mremap(c->p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, c->to) == c->to ? 0 : -1;
}

/* The child's exit must not wait for anything. */
static int fork_one(struct changing *c)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	return pid < 0 || waitpid(pid, NULL, 0) != pid ? -1 : 0;
}

static void *change(void *arg)
{
	struct changing *c = arg;

	return (void *)(intptr_t)c->change(c);
}

FIXTURE(changing) {
	struct changing c;
	int fd;
	char *p, *from;
	pthread_t thread;
	bool runs;
};

FIXTURE_VARIANT(changing) {
	int (*change)(struct changing *c);
	uint64_t feature;
	int event;
};

FIXTURE_VARIANT_ADD(changing, discard) { discard, UFFD_FEATURE_EVENT_REMOVE, UFFD_EVENT_REMOVE };
FIXTURE_VARIANT_ADD(changing, unmap) { unmap, UFFD_FEATURE_EVENT_UNMAP, UFFD_EVENT_UNMAP };
FIXTURE_VARIANT_ADD(changing, remap) { remap, UFFD_FEATURE_EVENT_REMAP, UFFD_EVENT_REMAP };
FIXTURE_VARIANT_ADD(changing, fork) { fork_one, UFFD_FEATURE_EVENT_FORK, UFFD_EVENT_FORK };

FIXTURE_SETUP(changing)
{
	NEED(uffd_need(variant->feature, "USERFAULTFD"));
	self->fd = uffd_open(variant->feature);
	self->p = mm_map_aligned(LEN, PAGE);
	self->from = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, self->p);
	ASSERT_NE(NULL, self->from);
	mm_fill(self->from, LEN, SEED);
	ASSERT_EQ(0, uffd_register(self->fd, self->p, LEN, MISSING));
	EXPECT_RESULT(0, (long)PAGE, copy(self->fd, self->p + LEN - PAGE, self->from, PAGE));
	self->c = (struct changing) { .p = self->p + LEN - PAGE, .change = variant->change };
	self->c.to = mm_reserve(PAGE, PAGE);
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, change, &self->c));
	self->runs = true;
	/* From here on to the read it stands still. */
	ASSERT_TRUE(uffd_waits(self->fd, 10000));
}

/* The event is read, and what it waits for goes on. */
static int let_go(FIXTURE_DATA(changing) *self)
{
	struct uffd_msg msg;
	void *ret = NULL;

	if (!self->runs || read(self->fd, &msg, sizeof(msg)) != sizeof(msg))
		return -1;
	self->runs = false;
	if (msg.event == UFFD_EVENT_FORK)
		close(msg.arg.fork.ufd);
	pthread_join(self->thread, &ret);
	return ret ? -2 : msg.event;
}

FIXTURE_TEARDOWN(changing)
{
	let_go(self);
	close(self->fd);
}

/* while mappings are changing each of them is EAGAIN and its field says so; nothing was done; then it works */
TEST_F(changing, eagain)
{
	EXPECT_RESULT(EAGAIN, -EAGAIN, copy(self->fd, self->p, self->from, LEN / 2));
	EXPECT_RESULT(EAGAIN, -EAGAIN, zeropage(self->fd, self->p, NULL, LEN / 2));
	EXPECT_RESULT(EAGAIN, -EAGAIN, cont(self->fd, self->p, NULL, LEN / 2));
	if (!uffd_need(UFFD_FEATURE_MOVE, "UFFDIO_MOVE"))
		EXPECT_RESULT(EAGAIN, -EAGAIN, move(self->fd, self->p, self->from, LEN / 2));
	if (!uffd_need(UFFD_FEATURE_POISON, "UFFDIO_POISON"))
		EXPECT_RESULT(EAGAIN, -EAGAIN, poison(self->fd, self->p, NULL, LEN / 2));
	EXPECT_EQ(0, mm_count_present(0, self->p, LEN / 2));
	EXPECT_EQ(-1, mm_check(self->from, LEN, SEED));
	EXPECT_EQ(variant->event, let_go(self));
	EXPECT_RESULT(0, (long)LEN / 4, copy(self->fd, self->p, self->from, LEN / 4));
	EXPECT_RESULT(0, (long)LEN / 4, zeropage(self->fd, self->p + LEN / 4, NULL, LEN / 4));
	EXPECT_EQ(-1, mm_check(self->p, LEN / 4, SEED));
	EXPECT_EQ(-1, mm_check_byte(self->p + LEN / 4, LEN / 4, 0));
}

FIXTURE(filled) {
	int fd;
	char *p, *from, *hole;
};

FIXTURE_VARIANT(filled) {
	int flags;
	struct result (*fill)(int fd, char *to, char *from, size_t len);
	uint64_t features;
};

FIXTURE_VARIANT_ADD(filled, copy_anon) { MAP_PRIVATE, copy, 0 };
FIXTURE_VARIANT_ADD(filled, copy_shmem) { MAP_SHARED, copy, UFFD_FEATURE_MISSING_SHMEM };
FIXTURE_VARIANT_ADD(filled, zeropage_anon) { MAP_PRIVATE, zeropage, 0 };
FIXTURE_VARIANT_ADD(filled, zeropage_shmem) { MAP_SHARED, zeropage, UFFD_FEATURE_MISSING_SHMEM };
FIXTURE_VARIANT_ADD(filled, poison_anon) { MAP_PRIVATE, poison, UFFD_FEATURE_POISON };
FIXTURE_VARIANT_ADD(filled, poison_shmem) { MAP_SHARED, poison, UFFD_FEATURE_POISON | UFFD_FEATURE_MISSING_SHMEM };
FIXTURE_VARIANT_ADD(filled, move_anon) { MAP_PRIVATE, move, UFFD_FEATURE_MOVE };

FIXTURE_SETUP(filled)
{
	NEED(uffd_need(variant->features, "a userfaultfd with these features"));
	self->fd = uffd_open(variant->features);
	self->from = mm_map_aligned(LEN, PAGE);
	self->hole = mm_reserve(LEN, PAGE);
	self->p = mm_reserve(LEN, PAGE);
	ASSERT_NE(NULL, self->from);
	ASSERT_NE(NULL, self->hole);
	ASSERT_EQ(self->p, mmap(self->p, LEN, RW, variant->flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	munmap(self->hole, LEN);
	mm_fill(self->from, LEN, SEED);
	ASSERT_EQ(0, uffd_register(self->fd, self->p, LEN, MISSING));
}

FIXTURE_TEARDOWN(filled)
{
	close(self->fd);
}

/* all of it: no error, and the whole length */
TEST_F(filled, whole)
{
	EXPECT_RESULT(0, (long)LEN, variant->fill(self->fd, self->p, self->from, LEN));
	if (variant->fill == copy || variant->fill == move)
		EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
	if (variant->fill == zeropage)
		EXPECT_EQ(-1, mm_check_byte(self->p, LEN, 0));
	if (variant->fill == poison)
		EXPECT_EQ(SIGBUS, mm_probe_read(self->p));
}

/* a page that is there already ends it: what came before it is EAGAIN and that length, nothing before it is EEXIST */
TEST_F(filled, there_already)
{
	EXPECT_RESULT(0, (long)PAGE, copy(self->fd, self->p + 3 * PAGE, self->from + 5 * PAGE, PAGE));
	EXPECT_RESULT(EAGAIN, 3 * (long)PAGE, variant->fill(self->fd, self->p, self->from, LEN));
	EXPECT_RESULT(EEXIST, -EEXIST, variant->fill(self->fd, self->p + 3 * PAGE, self->from + 3 * PAGE, PAGE));
	EXPECT_RESULT(0, 4 * (long)PAGE, variant->fill(self->fd, self->p + 4 * PAGE, self->from + 4 * PAGE, 4 * PAGE));
	EXPECT_EQ(-1, mm_check_from(self->p + 3 * PAGE, PAGE, SEED, 5 * PAGE));
}

/* a target that is not registered, or not mapped, is ENOENT for the call and in the field; for UFFDIO_MOVE it is EINVAL */
TEST_F(filled, not_registered)
{
	const int unregistered = variant->fill == move ? EINVAL : ENOENT;
	char *other = mm_map_aligned(LEN, PAGE);

	ASSERT_NE(NULL, other);
	EXPECT_RESULT(ENOENT, -ENOENT, variant->fill(self->fd, self->hole, self->from, PAGE));
	EXPECT_RESULT(unregistered, -unregistered, variant->fill(self->fd, other, self->from, PAGE));
	EXPECT_EQ(0, mm_count_present(0, other, LEN));
	EXPECT_EQ(-1, mm_check(self->from, LEN, SEED));
}

/* arguments that make no sense are EINVAL, and nothing is filled */
TEST_F(filled, arguments)
{
	EXPECT_EQ(EINVAL, variant->fill(self->fd, self->p + 1, self->from, PAGE).err);
	EXPECT_EQ(EINVAL, variant->fill(self->fd, self->p, self->from, PAGE + 1).err);
	EXPECT_EQ(EINVAL, variant->fill(self->fd, self->p, self->from, 0).err);
	EXPECT_EQ(EINVAL, variant->fill(self->fd, (char *)-PAGE, self->from, PAGE).err);
	EXPECT_EQ(0, mm_count_present(0, self->p, LEN));
}

FIXTURE(source) {
	int fd;
	char *p, *from;
};

FIXTURE_VARIANT(source) {
	int flags;
	uint64_t features;
};

FIXTURE_VARIANT_ADD(source, anon) { MAP_PRIVATE, 0 };
FIXTURE_VARIANT_ADD(source, shmem) { MAP_SHARED, UFFD_FEATURE_MISSING_SHMEM };

FIXTURE_SETUP(source)
{
	NEED(uffd_need(variant->features, "a userfaultfd with these features"));
	self->fd = uffd_open(variant->features);
	self->from = mm_map_aligned(LEN, PAGE);
	self->p = mm_reserve(LEN, PAGE);
	ASSERT_NE(NULL, self->from);
	ASSERT_EQ(self->p, mmap(self->p, LEN, RW, variant->flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	mm_fill(self->from, LEN, SEED);
	ASSERT_EQ(0, uffd_register(self->fd, self->p, LEN, MISSING));
}

FIXTURE_TEARDOWN(source)
{
	close(self->fd);
}

/* a source that cannot be read ends the copy: EAGAIN and the length before it, EFAULT if that is nothing */
TEST_F(source, unreadable)
{
	ASSERT_EQ(0, munmap(self->from + 5 * PAGE, PAGE));
	EXPECT_RESULT(EAGAIN, 5 * (long)PAGE, copy(self->fd, self->p, self->from, LEN));
	EXPECT_RESULT(EFAULT, -EFAULT, copy(self->fd, self->p + 5 * PAGE, self->from + 5 * PAGE, PAGE));
	EXPECT_EQ(5, mm_count_present(0, self->p, LEN));
	EXPECT_EQ(-1, mm_check(self->p, 5 * PAGE, SEED));
}

/* a source that is not in memory is read in: all of it arrives, one that lies across pages too */
TEST_F(source, swapped)
{
	NEED(mm_need_swap());
	mm_pageout(self->from, LEN);
	EXPECT_RESULT(0, 4 * (long)PAGE, copy(self->fd, self->p, self->from, 4 * PAGE));
	EXPECT_RESULT(0, 3 * (long)PAGE, copy(self->fd, self->p + 4 * PAGE, self->from + 4 * PAGE + 8, 3 * PAGE));
	EXPECT_EQ(-1, mm_check(self->p, 4 * PAGE, SEED));
	EXPECT_EQ(-1, mm_check_from(self->p + 4 * PAGE, 3 * PAGE, SEED, 4 * PAGE + 8));
}

TEST_HARNESS_MAIN
