// SPDX-License-Identifier: GPL-2.0
/*
 * Which mappings a userfaultfd takes (of another type, UFFDIO_REGISTER(2const) has EINVAL), and that it keeps them to itself: another
 * can neither have nor release them.
 */
#include "kselftest_harness.h"
#include <linux/aio_abi.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include "uffd.h"

#define PAGES	8
#define LEN	(PAGES * PAGE)
#define SEED	1
#define MISSING	UFFDIO_REGISTER_MODE_MISSING

FIXTURE(type) {
	int fd;				/* userfaultfd; a fault of what it has is SIGBUS */
	char *p;
};

FIXTURE_VARIANT(type) {
	int prot, flags;
	int (*file)(void);
	int err;
};

static int memfd(void)
{
	return mm_memfd(LEN);
}

static int memfd_read_only(void)
{
	int fd = mm_memfd(LEN), ro;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	close(fd);
	return ro;
}

static int memfd_sealed(void)
{
	int fd = memfd_create("mm", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return ftruncate(fd, LEN) || fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) ? -1 : fd;
}

static int tmpfs(void)
{
	return mm_tmpfile("/tmp", LEN);
}

static int ext4(void)
{
	return mm_tmpfile("/mnt", LEN);
}

static int dev_zero(void)
{
	return open("/dev/zero", O_RDWR | O_CLOEXEC);
}

#define RW (PROT_READ | PROT_WRITE)
#define V(name, p, f, of, error) FIXTURE_VARIANT_ADD(type, name) { .prot = p, .flags = f, .file = of, .err = error }
V(anon, RW, MAP_PRIVATE, NULL, 0);
V(anon_read, PROT_READ, MAP_PRIVATE, NULL, 0);
V(anon_none, PROT_NONE, MAP_PRIVATE, NULL, 0);
V(anon_growsdown, RW, MAP_PRIVATE | MAP_GROWSDOWN, NULL, 0);
V(anon_noreserve, RW, MAP_PRIVATE | MAP_NORESERVE, NULL, 0);
V(anon_droppable, RW, MAP_DROPPABLE, NULL, EINVAL);
V(anon_droppable_none, PROT_NONE, MAP_DROPPABLE, NULL, EINVAL);
V(anon_shared, RW, MAP_SHARED, NULL, 0);
V(dev_zero, RW, MAP_PRIVATE, dev_zero, 0);
V(dev_zero_shared, RW, MAP_SHARED, dev_zero, 0);
V(memfd, RW, MAP_SHARED, memfd, 0);
V(memfd_read, PROT_READ, MAP_SHARED, memfd, 0);
V(memfd_private, RW, MAP_PRIVATE, memfd, 0);
V(memfd_private_of_ro, RW, MAP_PRIVATE, memfd_read_only, 0);
V(memfd_shared_of_ro, PROT_READ, MAP_SHARED, memfd_read_only, EPERM);
V(memfd_sealed, PROT_READ, MAP_SHARED, memfd_sealed, EPERM);
V(memfd_sealed_private, RW, MAP_PRIVATE, memfd_sealed, 0);
V(tmpfs, RW, MAP_SHARED, tmpfs, 0);
V(tmpfs_private, RW, MAP_PRIVATE, tmpfs, 0);
V(ext4, RW, MAP_SHARED, ext4, EINVAL);
V(ext4_private, RW, MAP_PRIVATE, ext4, EINVAL);

FIXTURE_SETUP(type)
{
	int file = variant->file ? variant->file() : -1;

	NEED(uffd_need(UFFD_FEATURE_SIGBUS | UFFD_FEATURE_MISSING_SHMEM, "USERFAULTFD of shared memory"));
	NEED(variant->flags == MAP_DROPPABLE ? uffd_need_checks() : NULL);
	self->fd = uffd_open(UFFD_FEATURE_SIGBUS | UFFD_FEATURE_MISSING_SHMEM);
	ASSERT_LE(0, self->fd);
	ASSERT_TRUE(!variant->file || file >= 0);
	self->p = mm_reserve(LEN, PAGE);
	ASSERT_NE(NULL, self->p);
	ASSERT_EQ(0, munmap(self->p, LEN));
	if (mmap(self->p, LEN, variant->prot, variant->flags | MAP_FIXED_NOREPLACE | (file < 0 ? MAP_ANONYMOUS : 0), file, 0) !=
	    self->p) {
		NEED(variant->flags == MAP_DROPPABLE && errno != ENOMEM ? "MAP_DROPPABLE" : NULL);
		ASSERT_EQ(0, errno);
	}
	close(file);
}

FIXTURE_TEARDOWN(type)
{
	close(self->fd);
}

/* taken: a fault of a page that is not there is the handler's; refused: nothing has changed, also beside what is taken */
TEST_F(type, taken)
{
	char *maps = mm_maps(0), *beside;

	EXPECT_EQ(variant->err, uffd_register(self->fd, self->p, LEN, MISSING));
	EXPECT_EQ(!variant->err, mm_vmflag(0, self->p, "um"));
	if (variant->err) {
		EXPECT_STREQ(maps, mm_maps(0));
		if (variant->prot & PROT_READ)
			EXPECT_EQ(0, mm_probe_read(self->p));
	} else if (variant->prot & PROT_READ) {
		EXPECT_EQ(SIGBUS, mm_probe_read(self->p + PAGE));
		EXPECT_EQ(0, mm_count_present(0, self->p, LEN));
		EXPECT_EQ(0, uffd_unregister(self->fd, self->p, LEN));
		EXPECT_EQ(0, mm_probe_read(self->p + PAGE));
	} else {
		EXPECT_EQ(0, uffd_unregister(self->fd, self->p, LEN));
	}
	EXPECT_FALSE(mm_vmflag(0, self->p, "um"));
	if (!variant->err)
		return;
	/* In one range with memory that could be taken, whichever comes first. */
	for (int below = 0; below < 2; below++) {
		beside = below ? self->p - LEN : self->p + LEN;
		if (mmap(beside, LEN, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != beside)
			continue;
		EXPECT_EQ(variant->err, uffd_register(self->fd, below ? beside : self->p, 2 * LEN, MISSING));
		EXPECT_FALSE(mm_vmflag(0, beside, "um"));
		EXPECT_FALSE(mm_vmflag(0, self->p, "um"));
		munmap(beside, LEN);
	}
}

/* mappings of the kernel's own making, which may not grow, are refused: EINVAL */
TEST(special)
{
	int fd = uffd_open(0);
	aio_context_t ctx = 0;
	struct mm_vma vma;
	char *maps, *vdso;

	NEED(fd < 0 ? "USERFAULTFD" : NULL);
	if (!syscall(__NR_io_setup, 1, &ctx)) {
		ASSERT_EQ(0, mm_vma(0, (void *)ctx, &vma));
		EXPECT_EQ(EINVAL, uffd_register(fd, (void *)vma.start, vma.end - vma.start, MISSING));
		EXPECT_EQ(0, syscall(__NR_io_destroy, ctx));
	}
	maps = mm_maps(0);
	vdso = strstr(maps, "[vdso]");
	if (vdso) {
		unsigned long start, end;

		while (vdso > maps && vdso[-1] != '\n')
			vdso--;
		ASSERT_EQ(2, sscanf(vdso, "%lx-%lx", &start, &end));
		EXPECT_NE(0, uffd_register(fd, (void *)start, end - start, MISSING));
	}
	close(fd);
}

/* ranges and modes that make no sense: EINVAL, and nothing is taken */
TEST(arguments)
{
	char *p = mm_map_aligned(LEN, PAGE), *hole = mm_reserve(LEN, PAGE);
	struct uffdio_api api = { .api = UFFD_API };
	int fd = mm_userfaultfd(O_CLOEXEC | O_NONBLOCK);

	NEED(fd < 0 ? "USERFAULTFD" : NULL);
	ASSERT_NE(NULL, p);
	munmap(hole, LEN);
	/* Before UFFDIO_API nothing works. */
	EXPECT_EQ(EINVAL, uffd_register(fd, p, LEN, MISSING));
	ASSERT_EQ(0, ioctl(fd, UFFDIO_API, &api));
	EXPECT_EQ(EINVAL, uffd_register(fd, p, LEN, 0));
	EXPECT_EQ(EINVAL, uffd_register(fd, p, LEN, 1UL << 40));
	EXPECT_EQ(EINVAL, uffd_register(fd, p, LEN, MISSING | 1UL << 40));
	if (!(api.features & UFFD_FEATURE_PAGEFAULT_FLAG_WP))
		EXPECT_EQ(EINVAL, uffd_register(fd, p, LEN, UFFDIO_REGISTER_MODE_WP));
	if (!(api.features & UFFD_FEATURE_MINOR_SHMEM))
		EXPECT_EQ(EINVAL, uffd_register(fd, p, LEN, UFFDIO_REGISTER_MODE_MINOR));
	EXPECT_EQ(EINVAL, uffd_register(fd, p + 1, LEN, MISSING));
	EXPECT_EQ(EINVAL, uffd_register(fd, p, LEN + 1, MISSING));
	EXPECT_EQ(EINVAL, uffd_register(fd, p, 0, MISSING));
	EXPECT_EQ(EINVAL, uffd_register(fd, p, -PAGE, MISSING));
	EXPECT_EQ(EINVAL, uffd_register(fd, (void *)-PAGE, PAGE, MISSING));
	EXPECT_EQ(EINVAL, uffd_register(fd, hole, LEN, MISSING));
	EXPECT_EQ(EINVAL, uffd_unregister(fd, hole, LEN));
	EXPECT_EQ(EINVAL, uffd_unregister(fd, p + 1, LEN));
	EXPECT_EQ(EINVAL, uffd_unregister(fd, p, 0));
	EXPECT_FALSE(mm_vmflag(0, p, "um"));
	/* What is not registered may be released, and what is may be taken again. */
	EXPECT_EQ(0, uffd_unregister(fd, p, LEN));
	EXPECT_EQ(0, uffd_register(fd, p, LEN, MISSING));
	EXPECT_EQ(0, uffd_register(fd, p, LEN, MISSING));
	EXPECT_EQ(1, mm_vma_count(0, p, LEN));
	close(fd);
	EXPECT_FALSE(mm_vmflag(0, p, "um"));
}

/* Two of one process: the first has the first half of the memory, the second the other half. */
FIXTURE(two) {
	int fd[2];
	char *p, *half[2], *free;	/* and what neither has */
};

FIXTURE_VARIANT(two) {
	int flags;
};

FIXTURE_VARIANT_ADD(two, anon) { .flags = MAP_PRIVATE };
FIXTURE_VARIANT_ADD(two, shmem) { .flags = MAP_SHARED };

FIXTURE_SETUP(two)
{
	const uint64_t shmem = variant->flags == MAP_SHARED ? UFFD_FEATURE_MISSING_SHMEM : 0;

	NEED(uffd_need(shmem, "USERFAULTFD"));
	self->p = mm_reserve(3 * LEN, PAGE);
	ASSERT_NE(NULL, self->p);
	ASSERT_EQ(self->p, mmap(self->p, 3 * LEN, RW, variant->flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	for (int i = 0; i < 2; i++) {
		self->fd[i] = uffd_open(shmem);
		self->half[i] = self->p + i * LEN;
		ASSERT_LE(0, self->fd[i]);
		ASSERT_EQ(0, uffd_register(self->fd[i], self->half[i], LEN, MISSING));
	}
	self->free = self->p + 2 * LEN;
}

FIXTURE_TEARDOWN(two)
{
	close(self->fd[0]);
	close(self->fd[1]);
}

static void *read_page(void *p)
{
	return (void *)(uintptr_t)mm_probe_read(p);
}

/* Whether a fault at @p comes to @fd, and ends with its answer. */
static bool is_served(int fd, char *p)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));
	pthread_t thread;
	void *at = NULL;

	mm_fill(page, PAGE, SEED);
	if (pthread_create(&thread, NULL, read_page, p))
		return false;
	if (uffd_event(fd, &at) != UFFD_EVENT_PAGEFAULT || at != p || uffd_copy(fd, p, page)) {
		/* It has to end, whoever is in charge of the page. */
		madvise(p, PAGE, MADV_POPULATE_WRITE);
		pthread_join(thread, NULL);
		return false;
	}
	pthread_join(thread, NULL);
	return mm_check(p, PAGE, SEED) == -1;
}

/* Both have what they had: a fault of each comes to its own. */
static int served(const FIXTURE_DATA(two) *self, int page)
{
	int n = 0;

	for (int i = 0; i < 2; i++) {
		char *p = self->half[i] + page * PAGE;

		/* A page that nobody looks after is there without an event, which would be waited for. */
		n += mm_vmflag(0, p, "um") && is_served(self->fd[i], p);
	}
	return n;
}

/* one cannot release what the other has, alone or in a range with its own or with free memory: EINVAL, and events go on */
TEST_F(two, unregister)
{
	NEED(uffd_need_checks());
	EXPECT_EQ(EINVAL, uffd_unregister(self->fd[1], self->half[0], LEN));
	EXPECT_EQ(EINVAL, uffd_unregister(self->fd[1], self->half[0] + PAGE, PAGE));
	EXPECT_EQ(2, served(self, 0));
	EXPECT_EQ(EINVAL, uffd_unregister(self->fd[1], self->p, 2 * LEN));
	EXPECT_EQ(EINVAL, uffd_unregister(self->fd[0], self->p, 2 * LEN));
	EXPECT_EQ(2, served(self, 1));
	EXPECT_EQ(EINVAL, uffd_unregister(self->fd[0], self->half[1], 2 * LEN));
	EXPECT_EQ(2, served(self, 2));
	EXPECT_FALSE(mm_vmflag(0, self->free, "um"));
	/* Its own, and free memory with it. */
	EXPECT_EQ(0, uffd_unregister(self->fd[1], self->half[1], 2 * LEN));
	EXPECT_FALSE(mm_vmflag(0, self->half[1], "um"));
	EXPECT_EQ(1, served(self, 3));
}

/* nor have it: EBUSY, also in a range with its own or with free memory, of which it gets nothing */
TEST_F(two, register)
{
	EXPECT_EQ(EBUSY, uffd_register(self->fd[1], self->half[0], LEN, MISSING));
	EXPECT_EQ(EBUSY, uffd_register(self->fd[1], self->p, 2 * LEN, MISSING));
	EXPECT_EQ(EBUSY, uffd_register(self->fd[0], self->half[1], 2 * LEN, MISSING));
	EXPECT_FALSE(mm_vmflag(0, self->free, "um"));
	EXPECT_EQ(2, served(self, 0));
	EXPECT_EQ(0, uffd_unregister(self->fd[0], self->half[0], LEN));
	EXPECT_EQ(0, uffd_register(self->fd[1], self->p, 3 * LEN, MISSING));
	EXPECT_TRUE(is_served(self->fd[1], self->half[0] + PAGE));
	EXPECT_TRUE(is_served(self->fd[1], self->free));
}

/* nor move pages into it: EINVAL, and the pages stay */
TEST_F(two, move)
{
	struct uffdio_move move = { .dst = (uintptr_t)self->half[0], .len = PAGE };
	char *page = mm_map_aligned(PAGE, PAGE);

	if (variant->flags == MAP_SHARED || uffd_need(UFFD_FEATURE_MOVE, "")) {
		EXPECT_NE(0, ioctl(self->fd[1], UFFDIO_MOVE, &move));
		return;
	}
	mm_fill(page, PAGE, SEED);
	move.src = (uintptr_t)page;
	EXPECT_EQ(-1, ioctl(self->fd[1], UFFDIO_MOVE, &move));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, mm_check(page, PAGE, SEED));
	EXPECT_EQ(0, mm_count_present(0, self->half[0], LEN));
	EXPECT_EQ(0, ioctl(self->fd[0], UFFDIO_MOVE, &move));
	EXPECT_EQ(-1, mm_check(self->half[0], PAGE, SEED));
}

/* nor wake who waits for the other, by UFFDIO_WAKE, by a page or by going away */
TEST_F(two, wake)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));
	pthread_t thread;
	void *at = NULL;

	mm_fill(page, PAGE, SEED);
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_page, self->half[0]));
	ASSERT_EQ(UFFD_EVENT_PAGEFAULT, uffd_event(self->fd[0], &at));
	EXPECT_EQ(self->half[0], at);
	EXPECT_EQ(0, uffd_wake(self->fd[1], self->half[0], LEN));
	EXPECT_EQ(0, uffd_wake(self->fd[1], self->p, 2 * LEN));
	ASSERT_EQ(0, close(self->fd[1]));
	self->fd[1] = -1;
	sched_yield();
	EXPECT_EQ(EBUSY, pthread_tryjoin_np(thread, NULL));
	EXPECT_FALSE(uffd_waits(self->fd[0], 0));
	EXPECT_EQ(0, mm_count_present(0, self->half[0], LEN));
	EXPECT_EQ(0, uffd_copy(self->fd[0], self->half[0], page));
	EXPECT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(-1, mm_check(self->half[0], PAGE, SEED));
}

/* closed, it gives up all that it had: who waits goes on with a page of zeroes, and the other may have the memory */
TEST_F(two, close)
{
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, read_page, self->half[0]));
	ASSERT_EQ(UFFD_EVENT_PAGEFAULT, uffd_event(self->fd[0], NULL));
	ASSERT_EQ(0, close(self->fd[0]));
	self->fd[0] = -1;
	EXPECT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(-1, mm_check_byte(self->half[0], PAGE, 0));
	EXPECT_FALSE(mm_vmflag(0, self->half[0], "um"));
	EXPECT_TRUE(mm_vmflag(0, self->half[1], "um"));
	EXPECT_EQ(0, uffd_register(self->fd[1], self->half[0], LEN, MISSING));
	EXPECT_TRUE(is_served(self->fd[1], self->half[0] + PAGE));
}

TEST_HARNESS_MAIN
