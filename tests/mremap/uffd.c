// SPDX-License-Identifier: GPL-2.0
/*
 * mremap() of memory that a userfaultfd handles: with UFFD_FEATURE_EVENT_REMAP the handler is told and
 * goes on at the new place, without it the new place is ordinary memory.
 */
#include "kselftest_harness.h"
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include "mremap.h"

#define SEED	1	/* of pages that were there before */
#define SERVED	2	/* of those that the handler supplies */
#define LATER	3

/* What the handler has seen: read by the test after a fault was served, or after settle(). */
struct handler {
	int fd, ask, answer;			/* the userfaultfd; eventfds to and from the thread */
	pthread_t thread;
	unsigned int faults, remaps, unmaps, others;
	unsigned long fault_at;			/* the last one */
	unsigned long from, to, len;		/* of the last remap event */
	unsigned long unmap_start, unmap_end;
};

static void serve(struct handler *h, unsigned long addr)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));
	struct uffdio_copy copy = { .dst = addr & ~(PAGE - 1), .src = (uintptr_t)page, .len = PAGE };

	mm_fill_from(page, PAGE, SERVED, copy.dst % PUD_SIZE);
	h->fault_at = copy.dst;
	h->faults++;
	while (ioctl(h->fd, UFFDIO_COPY, &copy) && errno == EAGAIN)
		;
}

enum { SETTLE = 1, STOP };

/* Nothing is left to handle: do what was asked for; false if that is to stop. */
static bool idle(struct handler *h, bool asked)
{
	uint64_t what = 0;

	if (!asked || read(h->ask, &what, sizeof(what)) != sizeof(what))
		return true;
	return write(h->answer, &what, sizeof(what)) == sizeof(what) && what == SETTLE;
}

static void *handle(void *arg)
{
	struct handler *h = arg;
	struct pollfd fds[2] = {
		{ .fd = h->fd, .events = POLLIN },
		{ .fd = h->ask, .events = POLLIN },
	};
	struct uffd_msg msg;

	for (;;) {
		poll(fds, 2, -1);
		if (read(h->fd, &msg, sizeof(msg)) != sizeof(msg)) {
			if (!idle(h, fds[1].revents))
				return NULL;
			continue;
		}
		switch (msg.event) {
		case UFFD_EVENT_PAGEFAULT:
			serve(h, msg.arg.pagefault.address);
			break;
		case UFFD_EVENT_REMAP:
			h->from = msg.arg.remap.from;
			h->to = msg.arg.remap.to;
			h->len = msg.arg.remap.len;
			h->remaps++;
			break;
		case UFFD_EVENT_UNMAP:
			h->unmap_start = msg.arg.remove.start;
			h->unmap_end = msg.arg.remove.end;
			h->unmaps++;
			break;
		default:
			h->others++;
		}
	}
}

static int start(struct handler *h, uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };

	h->fd = mm_userfaultfd(O_CLOEXEC | O_NONBLOCK);
	h->ask = eventfd(0, EFD_CLOEXEC);
	h->answer = eventfd(0, EFD_CLOEXEC);
	if (h->fd < 0 || h->ask < 0 || h->answer < 0 || ioctl(h->fd, UFFDIO_API, &api))
		return -errno;
	return -pthread_create(&h->thread, NULL, handle, h);
}

/* mremap() returns when its event has been read, which is before it has been looked at: wait for that. */
static bool settle(struct handler *h, uint64_t what)
{
	return write(h->ask, &what, sizeof(what)) == sizeof(what) &&
	       read(h->answer, &what, sizeof(what)) == sizeof(what);
}

static unsigned int remaps(struct handler *h)
{
	return settle(h, SETTLE) ? h->remaps : -1;
}

static void stop(struct handler *h)
{
	if (settle(h, STOP))
		pthread_join(h->thread, NULL);
	close(h->fd);
	close(h->ask);
	close(h->answer);
}

static int arm(struct handler *h, char *p, size_t len)
{
	struct uffdio_register reg = {
		.range = { .start = (unsigned long)p, .len = len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	return ioctl(h->fd, UFFDIO_REGISTER, &reg) ? -errno : 0;
}

/* Whether the handler supplies the page at @p: exactly one fault, for that address, with its bytes. */
static bool is_served(struct handler *h, char *p)
{
	unsigned int before = h->faults;

	mm_touch_read(p, PAGE);
	return __atomic_load_n(&h->faults, __ATOMIC_ACQUIRE) == before + 1 &&
	       h->fault_at == (unsigned long)p &&
	       mm_check_from(p, PAGE, SERVED, (uintptr_t)p % PUD_SIZE) == -1;
}

/* Whether the page is there or appears as zeroes without any help. */
static bool is_zero(struct handler *h, char *p)
{
	unsigned int before = h->faults;

	return mm_check_byte(p, PAGE, 0) == -1 && __atomic_load_n(&h->faults, __ATOMIC_ACQUIRE) == before;
}

FIXTURE(uffd) {
	struct handler h;
	char *old, *new;
	size_t len;
	uint64_t pfn[16];
};

FIXTURE_VARIANT(uffd) {
	size_t len, old, new;	/* offsets past a multiple of PMD_SIZE */
	uint64_t features;
};

FIXTURE_VARIANT_ADD(uffd, page) { .len = 32 * PAGE, .old = 3 * PAGE, .new = 7 * PAGE };
FIXTURE_VARIANT_ADD(uffd, page_event) {
	.len = 32 * PAGE, .old = 3 * PAGE, .new = 7 * PAGE, .features = UFFD_FEATURE_EVENT_REMAP,
};
FIXTURE_VARIANT_ADD(uffd, pmd) { .len = PMD_SIZE };
FIXTURE_VARIANT_ADD(uffd, pmd_event) { .len = PMD_SIZE, .features = UFFD_FEATURE_EVENT_REMAP };

FIXTURE_SETUP(uffd)
{
	char *room;

	ASSERT_EQ(0, start(&self->h, variant->features));
	room = free_range(8 * PMD_SIZE, PMD_SIZE);
	ASSERT_NE(NULL, room);
	self->len = variant->len;
	self->old = room + variant->old;
	self->new = room + 4 * PMD_SIZE + variant->new;
	ASSERT_EQ(self->old, map_at(self->old, self->len));
	mm_fill(self->old, 16 * PAGE, SEED);
	ASSERT_EQ(0, mm_pfns(0, self->old, self->pfn, 16));
	ASSERT_EQ(0, arm(&self->h, self->old, self->len));
	ASSERT_TRUE(mm_vmflag(0, self->old, "um"));
	ASSERT_TRUE(is_served(&self->h, self->old + 16 * PAGE));
}

FIXTURE_TEARDOWN(uffd)
{
	stop(&self->h);
	EXPECT_EQ(0, self->h.others);
}

static long changed(const FIXTURE_DATA(uffd) *self, char *p)
{
	uint64_t now[16];

	return mm_pfns(0, p, now, 16) ? -1 : other_frames(self->pfn, now, 16);
}

/* with the event: told once, of the right ranges, and the new place is the handler's; without: no more */
TEST_F(uffd, move)
{
	bool event = variant->features & UFFD_FEATURE_EVENT_REMAP;

	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	EXPECT_EQ(0, changed(self, self->new));
	EXPECT_EQ(-1, mm_check(self->new, 16 * PAGE, SEED));
	EXPECT_EQ(-1, mm_check_from(self->new + 16 * PAGE, PAGE, SERVED,
				    (uintptr_t)(self->old + 16 * PAGE) % PUD_SIZE));
	EXPECT_EQ(event, mm_vmflag(0, self->new, "um"));
	EXPECT_EQ(event, remaps(&self->h));
	EXPECT_EQ(event ? (unsigned long)self->old : 0, self->h.from);
	EXPECT_EQ(event ? (unsigned long)self->new : 0, self->h.to);
	EXPECT_EQ(event ? self->len : 0, self->h.len);
	EXPECT_TRUE((event ? is_served : is_zero)(&self->h, self->new + 17 * PAGE));
	EXPECT_TRUE((event ? is_served : is_zero)(&self->h, self->new + self->len - PAGE));
	EXPECT_EQ(event ? 3 : 1, self->h.faults);
	mm_fill(self->new, 18 * PAGE, LATER);
	EXPECT_EQ(-1, kernel_check(self->new, 18 * PAGE, LATER));
	EXPECT_TRUE(gone(self->old, 20 * PAGE));
}

/* MREMAP_DONTUNMAP: the old place, all missing, is still the handler's; the new one only with the event */
TEST_F(uffd, dontunmap)
{
	bool event = variant->features & UFFD_FEATURE_EVENT_REMAP;

	ASSERT_EQ(self->new, mremap(self->old, self->len, self->len,
				    MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, self->new));
	EXPECT_EQ(0, changed(self, self->new));
	EXPECT_EQ(-1, mm_check(self->new, 16 * PAGE, SEED));
	EXPECT_EQ(0, mm_count_present(0, self->old, self->len));
	EXPECT_TRUE(mm_vmflag(0, self->old, "um"));
	EXPECT_EQ(event, mm_vmflag(0, self->new, "um"));
	EXPECT_EQ(event, remaps(&self->h));
	EXPECT_TRUE(is_served(&self->h, self->old));
	EXPECT_TRUE(is_served(&self->h, self->old + 15 * PAGE));
	EXPECT_TRUE(is_served(&self->h, self->old + self->len - PAGE));
	EXPECT_EQ(-1, mm_check(self->new, 16 * PAGE, SEED));
	EXPECT_TRUE((event ? is_served : is_zero)(&self->h, self->new + 20 * PAGE));
}

/* grown by moving: the event says the old length, and the new part belongs to whom the rest belongs */
TEST_F(uffd, grow)
{
	bool event = variant->features & UFFD_FEATURE_EVENT_REMAP;
	size_t more = 8 * PAGE;

	ASSERT_EQ(self->new, mremap(self->old, self->len, self->len + more,
				    MREMAP_MAYMOVE | MREMAP_FIXED, self->new));
	EXPECT_EQ(0, changed(self, self->new));
	EXPECT_EQ(event, remaps(&self->h));
	EXPECT_EQ(event ? self->len : 0, self->h.len);
	EXPECT_TRUE((event ? is_served : is_zero)(&self->h, self->new + self->len));
	EXPECT_TRUE((event ? is_served : is_zero)(&self->h, self->new + self->len + more - PAGE));
	EXPECT_EQ(-1, mm_check(self->new, 16 * PAGE, SEED));
}

/* a move back and forth: with the event it is the handler's all the way, without it never again */
TEST_F(uffd, back)
{
	bool event = variant->features & UFFD_FEATURE_EVENT_REMAP;

	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	ASSERT_EQ(self->old, move(self->new, self->len, self->old));
	EXPECT_EQ(0, changed(self, self->old));
	EXPECT_EQ(-1, mm_check(self->old, 16 * PAGE, SEED));
	EXPECT_EQ(event ? 2 : 0, remaps(&self->h));
	EXPECT_EQ(event, mm_vmflag(0, self->old, "um"));
	EXPECT_EQ(event ? (unsigned long)self->new : 0, self->h.from);
	EXPECT_EQ(event ? (unsigned long)self->old : 0, self->h.to);
	EXPECT_TRUE((event ? is_served : is_zero)(&self->h, self->old + 18 * PAGE));
	EXPECT_EQ(0, reachable(self->new, PAGE));
}

/* a move that fails sends no event, and the handler goes on at the old place */
TEST_F(uffd, refused)
{
	EXPECT_EQ(MAP_FAILED, mremap(self->old, self->len, self->len + PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
				     self->old + PAGE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mremap(self->old + PAGE, self->len, self->len + PAGE,
				     MREMAP_MAYMOVE | MREMAP_FIXED, self->new));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, remaps(&self->h));
	EXPECT_TRUE(is_served(&self->h, self->old + 17 * PAGE));
	EXPECT_EQ(0, changed(self, self->old));
	EXPECT_EQ(-1, mm_check(self->old, 16 * PAGE, SEED));
}

/* a target that another userfaultfd handles: that is told of the unmapping, and gets no fault any more */
TEST_F(uffd, target)
{
	struct handler other = { 0 };

	ASSERT_EQ(0, start(&other, UFFD_FEATURE_EVENT_UNMAP));
	/* The thread's stack may have taken the place that the fixture chose. */
	self->new = mm_map_at_offset(self->len, PMD_SIZE, variant->new);
	ASSERT_NE(NULL, self->new);
	ASSERT_EQ(0, arm(&other, self->new, self->len));
	ASSERT_TRUE(is_served(&other, self->new + 20 * PAGE));
	ASSERT_EQ(self->new, move(self->old, self->len, self->new));
	ASSERT_TRUE(settle(&other, SETTLE));
	EXPECT_EQ(1, other.unmaps);
	EXPECT_EQ((unsigned long)self->new, other.unmap_start);
	EXPECT_EQ((unsigned long)self->new + self->len, other.unmap_end);
	EXPECT_EQ(-1, mm_check(self->new, 16 * PAGE, SEED));
	EXPECT_TRUE((variant->features ? is_served : is_zero)(&self->h, self->new + 20 * PAGE));
	EXPECT_EQ(1, other.faults);
	stop(&other);
}

/* shared memory: the file's pages are at both places, missing ones are the handler's at the old one */
TEST_F(uffd, shmem)
{
	bool event = variant->features & UFFD_FEATURE_EVENT_REMAP;
	int fd = mm_memfd(self->len);
	char *old = self->old + 3 * PMD_SIZE / 2, *new = self->new + 3 * PMD_SIZE / 2;

	ASSERT_LE(0, fd);
	ASSERT_EQ(old, mmap(old, self->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0));
	mm_fill(old, 8 * PAGE, SEED);
	ASSERT_EQ(0, arm(&self->h, old, self->len));
	ASSERT_EQ(new, mremap(old, self->len, self->len,
			      MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, new));
	EXPECT_EQ(event, remaps(&self->h));
	EXPECT_EQ(-1, mm_check(new, 8 * PAGE, SEED));
	EXPECT_EQ(-1, mm_check(old, 8 * PAGE, SEED));
	EXPECT_EQ(1, self->h.faults);
	EXPECT_TRUE(is_served(&self->h, old + 9 * PAGE));
	/* What was supplied is in the file, and so at the new place. */
	EXPECT_EQ(-1, mm_check_from(new + 9 * PAGE, PAGE, SERVED, (uintptr_t)(old + 9 * PAGE) % PUD_SIZE));
	EXPECT_TRUE((event ? is_served : is_zero)(&self->h, new + 10 * PAGE));
	close(fd);
}

TEST_HARNESS_MAIN
