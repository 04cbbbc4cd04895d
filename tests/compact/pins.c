// SPDX-License-Identifier: GPL-2.0
/* Pins of every kind that come and go between and during compactions, and pages that only look pinned. */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "mm.h"

#define N	256
#define LEN	(N * PAGE)
#define RW	(PROT_READ | PROT_WRITE)

/* ---- pins of every kind ---- */

enum holder { URING, GUP, GUP_READ, SHORT, SPLICE };

/* A pipe that holds references (no pins) to the pages. */
static int hold_by_pipe(int pipe_fd[2], char *p)
{
	struct iovec iov = { p, LEN };
	ssize_t n;

	if (pipe(pipe_fd) || fcntl(pipe_fd[1], F_SETPIPE_SZ, LEN) < 0)
		return -errno;
	n = vmsplice(pipe_fd[1], &iov, 1, 0);
	return n < 0 ? -errno : n == LEN ? 0 : -EAGAIN;
}

FIXTURE(pins)
{
	struct mm_stage *stage;
	struct mm_pin pin;
	int pipe_fd[2], fd;
	char *p;
	uint64_t was[N], is[N];
};

FIXTURE_VARIANT(pins)
{
	enum { ANON, SHMEM, EXT4 } memory;
	enum holder holder;
};

FIXTURE_VARIANT_ADD(pins, anon_uring) { ANON, URING };
FIXTURE_VARIANT_ADD(pins, anon_gup) { ANON, GUP };
FIXTURE_VARIANT_ADD(pins, anon_short) { ANON, SHORT };
FIXTURE_VARIANT_ADD(pins, anon_splice) { ANON, SPLICE };
FIXTURE_VARIANT_ADD(pins, shmem_uring) { SHMEM, URING };
FIXTURE_VARIANT_ADD(pins, shmem_gup) { SHMEM, GUP };
FIXTURE_VARIANT_ADD(pins, shmem_short) { SHMEM, SHORT };
FIXTURE_VARIANT_ADD(pins, shmem_splice) { SHMEM, SPLICE };
FIXTURE_VARIANT_ADD(pins, ext4_gup_read) { EXT4, GUP_READ };
FIXTURE_VARIANT_ADD(pins, ext4_short) { EXT4, SHORT };
FIXTURE_VARIANT_ADD(pins, ext4_splice) { EXT4, SPLICE };

/* A file on disk whose pages are clean and in no cache; the descriptor. */
static int cold_file(void)
{
	int fd = mm_tmpfile("/mnt", LEN);
	char *p = mmap(NULL, LEN, RW, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -1;
	mm_fill(p, LEN, 1);
	if (fsync(fd) || munmap(p, LEN) || posix_fadvise(fd, 0, LEN, POSIX_FADV_DONTNEED))
		return -1;
	return fd;
}

FIXTURE_SETUP(pins)
{
	bool file = variant->memory == EXT4;

	self->pipe_fd[0] = self->pipe_fd[1] = self->fd = -1;
	NEED(mm_need_compaction());
	if (variant->holder == URING)
		NEED(mm_need_pin());
	if (variant->holder == GUP || variant->holder == GUP_READ)
		NEED(mm_need_gup_test());
	if (variant->holder == SHORT)
		NEED(mm_need_pin_short());
	if (file) {
		self->fd = cold_file();
		ASSERT_LE(0, self->fd);
	}
	self->p = mmap(NULL, LEN, RW, (variant->memory == ANON ? MAP_PRIVATE : MAP_SHARED) |
		       (file ? 0 : MAP_ANONYMOUS), self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	self->stage = mm_stage(LEN);
	ASSERT_NE(NULL, self->stage);
	ASSERT_EQ(0, madvise(self->p, LEN, file ? MADV_POPULATE_READ : MADV_POPULATE_WRITE));
	if (!file)
		mm_fill(self->p, LEN, 1);
	mm_stage_open(self->stage);
	ASSERT_EQ(0, mm_pfns(0, self->p, self->was, N));
}

FIXTURE_TEARDOWN(pins)
{
	mm_unpin(&self->pin);
	close(self->pipe_fd[0]);
	close(self->pipe_fd[1]);
	mm_stage_end(self->stage);
	munmap(self->p, LEN);
	close(self->fd);
}

static int hold(FIXTURE_DATA(pins) *self, enum holder holder)
{
	switch (holder) {
	case URING:
		return mm_pin_uring(&self->pin, self->p, LEN / 2);
	case GUP:
		return mm_pin_gup(&self->pin, self->p, LEN / 2);
	case GUP_READ:
		return mm_pin_gup_read(&self->pin, self->p, LEN / 2);
	case SHORT:
		return mm_pin_short(&self->pin, self->p, LEN / 2);
	default:
		return hold_by_pipe(self->pipe_fd, self->p);
	}
}

static void let_go(FIXTURE_DATA(pins) *self)
{
	mm_unpin(&self->pin);
	close(self->pipe_fd[0]);
	close(self->pipe_fd[1]);
	self->pipe_fd[0] = self->pipe_fd[1] = -1;
}

/* How many pages from the @from-th on a compaction has moved. */
static size_t compact(FIXTURE_DATA(pins) *self, int from)
{
	if (mm_compact() || mm_pfns(0, self->p, self->is, N))
		return 0;
	return mm_moved(self->was + from, self->is + from, N - from);
}

/* pages stay as long as they are held, and move as soon as they are not; their bytes are the same throughout */
TEST_F(pins, come_and_go)
{
	int held = variant->holder == SPLICE ? N : N / 2;
	/* What reading from a disk frees meanwhile may be the file's next frame, though not one of the stage. */
	int strays = variant->memory == EXT4 ? 4 : 0;

	ASSERT_EQ(0, hold(self, variant->holder));
	EXPECT_LE(N - held, compact(self, held) + strays);
	EXPECT_EQ(0, mm_moved(self->was, self->is, held));
	EXPECT_EQ(-1, mm_check(self->p, LEN, 1));
	let_go(self);
	EXPECT_LE(N, compact(self, 0) + strays);
	EXPECT_EQ(-1, mm_check(self->p, LEN, 1));
}

/* ---- pins while compaction runs ---- */

#define AT_ONCE	16			/* pages in a pin */

struct talk {
	volatile int ready, stop;
	volatile long rounds, moved_while_pinned, errors;
};

FIXTURE(racing)
{
	struct mm_stage *stage;
	struct talk *talk;
	char *p;
	uint64_t was[N], is[N];
	pid_t pid;
};

FIXTURE_VARIANT(racing)
{
	int flags;			/* of mmap() */
};

FIXTURE_VARIANT_ADD(racing, anon) { MAP_PRIVATE };
FIXTURE_VARIANT_ADD(racing, shmem) { MAP_SHARED };

/* Pin a few pages after the other, and see whether they are where they were when the pin goes. */
static void pin_and_unpin(struct talk *talk, char *p)
{
	uint64_t was[AT_ONCE], is[AT_ONCE];
	struct mm_pin pin;

	for (size_t at = 0; !talk->stop; at = (at + AT_ONCE * PAGE) % LEN) {
		if (mm_pin_uring(&pin, p + at, AT_ONCE * PAGE)) {
			talk->errors++;
			continue;
		}
		talk->errors += !!mm_pfns(0, p + at, was, AT_ONCE);
		talk->ready = 1;
		sched_yield();
		talk->errors += !!mm_pfns(0, p + at, is, AT_ONCE);
		talk->moved_while_pinned += mm_moved(was, is, AT_ONCE);
		mm_unpin(&pin);
		talk->rounds++;
	}
}

FIXTURE_SETUP(racing)
{
	NEED(mm_need_compaction());
	NEED(mm_need_pin());
	self->talk = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->talk);
	memset(self->talk, 0, sizeof(*self->talk));
	self->p = mmap(NULL, LEN, RW, variant->flags | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->p);
	self->stage = mm_stage(LEN);
	ASSERT_NE(NULL, self->stage);
	self->pid = fork();
	ASSERT_LE(0, self->pid);
	if (!self->pid) {
		mm_fill(self->p, LEN, 1);
		pin_and_unpin(self->talk, self->p);
		_exit(mm_check(self->p, LEN, 1) != -1);
	}
	while (!self->talk->ready)
		usleep(100);
	mm_stage_open(self->stage);
	ASSERT_EQ(0, mm_pfns(self->pid, self->p, self->was, N));
}

FIXTURE_TEARDOWN(racing)
{
	mm_stage_end(self->stage);
	munmap(self->p, LEN);
	munmap(self->talk, PAGE);
}

/* no page moves under a pin that comes while compaction runs; those that it leaves for a pin move later */
TEST_F(racing, with_compaction)
{
	int status = -1;

	ASSERT_EQ(0, mm_compact());
	/* The first pages have to be unpinned by now. */
	for (long end = self->talk->rounds + N / AT_ONCE; self->talk->rounds < end; )
		usleep(100);
	ASSERT_EQ(0, mm_compact());
	ASSERT_EQ(0, mm_pfns(self->pid, self->p, self->is, N));
	EXPECT_LE(N - 2 * AT_ONCE, mm_moved(self->was, self->is, N));
	EXPECT_EQ(0, self->talk->errors);
	EXPECT_EQ(0, self->talk->moved_while_pinned);
	self->talk->stop = 1;
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* ---- pages that look pinned ---- */

#define MANY	1100			/* mappings: more references than a pin counts for (GUP_PIN_COUNTING_BIAS) */
#define FEW	4

/* pages that more page tables map than a pin counts for are not pinned: they move, in all their mappings */
TEST(many_mappings)
{
	uint64_t was[FEW], is[FEW];
	struct mm_stage *stage;
	int fd, wrong = 0;
	char *p, *q;

	NEED(mm_need_compaction());
	fd = mm_memfd(FEW * PAGE);
	ASSERT_LE(0, fd);
	p = mm_reserve(MANY * FEW * PAGE, PAGE);
	ASSERT_NE(NULL, p);
	stage = mm_stage(FEW * PAGE);
	ASSERT_NE(NULL, stage);
	for (int i = 0; i < MANY; i++) {
		q = p + i * FEW * PAGE;
		ASSERT_EQ(q, mmap(q, FEW * PAGE, RW, MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0));
		if (!i)
			mm_fill(q, FEW * PAGE, 1);
	}
	ASSERT_EQ(FEW, mm_stage_move_pages(stage, p, FEW, was, is));
	for (int i = 0; i < FEW; i++)
		EXPECT_EQ(MANY, mm_kpagecount(is[i]));
	for (int i = 0; i < MANY; i++)
		wrong += mm_check(p + i * FEW * PAGE, FEW * PAGE, 1) != -1;
	EXPECT_EQ(0, wrong);
	mm_stage_end(stage);
	munmap(p, MANY * FEW * PAGE);
	close(fd);
}

TEST_HARNESS_MAIN
