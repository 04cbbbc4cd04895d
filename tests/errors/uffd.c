// SPDX-License-Identifier: GPL-2.0
/* userfaultfd and allocations that fail: who is told of a fork, and what is left of its ranges when it goes away. */
#include "kselftest_harness.h"
#include <fcntl.h>
#include <linux/mman.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "mm.h"
#include "../uffd/uffd.h"
#include "walk.h"

#define PAGES	12
#define MAPPINGS 32
#define SEED	3

static int uffd;
static volatile int forks_told, forks_done;
static int told_in_vain;
static volatile bool stop;

/* The handler: takes the descriptors of the children, and counts them. */
static void *handle(void *arg)
{
	struct uffd_msg msg;

	while (!stop) {
		if (!uffd_waits(uffd, 100) || read(uffd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		if (msg.event == UFFD_EVENT_FORK) {
			forks_told++;
			close(msg.arg.fork.ufd);
		}
	}
	return NULL;
}

static pid_t forked;

static int fork_call(struct walk *w)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid)
		_exit(0);
	forks_done++;
	forked = pid;
	return 0;
}

static void child_ends(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;
	int status = -1;

	EXPECT_EQ(forked, waitpid(forked, &status, 0));
	EXPECT_EQ(0, status);
}

static void nothing(struct walk *w)
{
}

/*
 * Events are read before fork() returns, so that their number is known. What fails when the memory has been copied is told of, too:
 * that is a handful of allocations, and not those for the mappings.
 */
static void told_once(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	told_in_vain += forks_told - forks_done;
	forks_told = forks_done;
	EXPECT_EQ(-1, mm_check(w->p, w->len / 2, SEED));
	EXPECT_TRUE(mm_vmflag(0, w->p, "um"));
}

/* a fork that fails while it copies mappings is no event, and the handler keeps its ranges; one that succeeds is one */
TEST(forked_or_not)
{
	struct walk w = {
		._metadata = _metadata, .len = PAGES * PAGE, .call = fork_call, .done = child_ends, .undo = nothing,
		.intact = told_once, .error = ENOMEM, .repeat_every = 8,
	};
	pthread_t thread;
	char *more;

	NEED(mm_need_fail_nth());
	NEED(uffd_need(UFFD_FEATURE_EVENT_FORK, "USERFAULTFD"));
	uffd = uffd_open(UFFD_FEATURE_EVENT_FORK);
	ASSERT_LE(0, uffd);
	w.p = mm_map_aligned(w.len + (2 * MAPPINGS + 1) * PAGE, PAGE);
	ASSERT_NE(NULL, w.p);
	ASSERT_EQ(0, munmap(w.p + w.len, PAGE));
	mm_fill(w.p, w.len / 2, SEED);
	ASSERT_EQ(0, uffd_register(uffd, w.p, w.len, UFFDIO_REGISTER_MODE_MISSING));
	/* Mappings behind it, with a page in each. */
	more = mmap(w.p + w.len + PAGE, 2 * MAPPINGS * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		    -1, 0);
	ASSERT_EQ(w.p + w.len + PAGE, more);
	for (int i = 0; i < MAPPINGS; i++) {
		mm_touch_write(more + 2 * i * PAGE, PAGE);
		ASSERT_EQ(0, mprotect(more + 2 * i * PAGE, PAGE, PROT_READ));
	}
	ASSERT_EQ(0, pthread_create(&thread, NULL, handle, NULL));
	walk(&w);
	mm_report("told", told_in_vain);
	EXPECT_LE(2 * MAPPINGS, w.failed);
	EXPECT_GT(MAPPINGS, told_in_vain);
	stop = true;
	pthread_join(thread, NULL);
	close(uffd);
}

/* Every second pair of pages is a userfaultfd's; the pages between them are touched or not. */
static int take(struct walk *w)
{
	uffd = uffd_open(0);
	if (uffd < 0)
		return uffd;
	for (int i = 0; i < PAGES; i += 4)
		if (uffd_register(uffd, w->p + i * PAGE, 2 * PAGE, UFFDIO_REGISTER_MODE_MISSING))
			return -EIO;
	return 0;
}

static int go_away(void *arg)
{
	return close(uffd) ? -errno : 0;
}

static int nobody_has_it(int nth, int ret, void *arg)
{
	struct walk *w = arg;
	struct __test_metadata *_metadata = w->_metadata;
	int left = 0;

	for (int i = 0; i < PAGES; i++)
		left += mm_vmflag(0, w->p + i * PAGE, "um");
	EXPECT_EQ(0, ret);
	EXPECT_EQ(0, left) TH_LOG("allocation %d failing", nth);
	EXPECT_EQ(-1, mm_check(w->p, w->len, SEED));
	/* As one mapping, or as the pieces that they were. */
	EXPECT_GE(PAGES / 2, mm_vma_count(0, w->p, w->len)) TH_LOG("allocation %d failing", nth);
	EXPECT_EQ(0, mprotect(w->p, w->len, PROT_READ));
	EXPECT_EQ(0, mprotect(w->p, w->len, PROT_READ | PROT_WRITE));
	EXPECT_EQ(1, mm_vma_count(0, w->p, w->len));
	EXPECT_EQ(0, take(w));
	return __test_passed(_metadata) ? 0 : -ECANCELED;
}

/* a userfaultfd that is closed gives up all of its ranges, whatever fails on the way */
TEST(released)
{
	struct walk w = { ._metadata = _metadata, .len = PAGES * PAGE };

	NEED(mm_need_fail_nth());
	NEED(uffd_need(0, "USERFAULTFD"));
	w.p = mm_map_aligned(w.len, PAGE);
	ASSERT_NE(NULL, w.p);
	mm_fill(w.p, w.len, SEED);
	ASSERT_EQ(0, mm_fail_setup());
	ASSERT_EQ(0, take(&w));
	EXPECT_LE(1, mm_fail_walk(go_away, nobody_has_it, &w));
	close(uffd);
}

TEST_HARNESS_MAIN
