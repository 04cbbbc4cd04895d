// SPDX-License-Identifier: GPL-2.0
/* mprotect(2), "ERRORS": what is refused, before anything has changed; and PROT_GROWSDOWN, which is for stacks. */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	8
#define LEN	(PAGES * PAGE)
#define SEED	1
#define RW	(PROT_READ | PROT_WRITE)
#define GAP	(512 * PAGE)		/* more than stack_guard_gap */

#define EXPECT_ERROR(err, call) do { errno = 0; EXPECT_EQ(-1, call); EXPECT_EQ((err), errno); } while (0)

/* an address within a page, rights that there are not and a direction that is none are EINVAL, whatever the length */
TEST(invalid)
{
	char *p = mm_map_aligned(LEN, PAGE), *maps;
	static const int prots[] = {
		0x10, 0x40, 0x80, 0x1000, 0x800000, 1 << 30, PROT_GROWSDOWN | PROT_GROWSUP, PROT_GROWSDOWN | PROT_GROWSUP | RW,
	};
	static const size_t lens[] = { 0, 1, PAGE, LEN };

	ASSERT_NE(NULL, p);
	mm_fill(p, LEN, SEED);
	maps = mm_maps(0);
	for (int i = 0; i < 4; i++) {
		if (lens[i]) {
			for (int j = 0; j < sizeof(prots) / sizeof(*prots); j++)
				EXPECT_ERROR(EINVAL, mprotect(p, lens[i], prots[j]));
		}
		EXPECT_ERROR(EINVAL, mprotect(p + 1, lens[i], PROT_READ));
		EXPECT_ERROR(EINVAL, mprotect(p + PAGE - 1, lens[i], PROT_READ));
	}
	EXPECT_STREQ(maps, mm_maps(0));
	EXPECT_EQ(0, mprotect(p, 0, PROT_NONE));
	EXPECT_STREQ(maps, mm_maps(0));
	EXPECT_EQ(-1, mm_check(p, LEN, SEED));
	free(maps);
	munmap(p, LEN);
}

/* PROT_SEM is a right that changes nothing */
TEST(semaphores)
{
	char *p = mm_map_aligned(LEN, PAGE);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, mprotect(p, PAGE, RW | PROT_SEM));
	EXPECT_EQ(1, mm_vma_count(0, p, LEN));
	EXPECT_EQ(0, mm_probe_write(p, 1));
	munmap(p, LEN);
}

/* no mapping is ENOMEM: none at all, none at the beginning, none at the end, and beyond what a process can have */
TEST(not_mapped)
{
	char *p = mm_map_aligned(3 * LEN, PAGE), *maps;

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, munmap(p, LEN));
	ASSERT_EQ(0, munmap(p + 2 * LEN, LEN));
	maps = mm_maps(0);
	EXPECT_ERROR(ENOMEM, mprotect(p, LEN, PROT_READ));
	EXPECT_ERROR(ENOMEM, mprotect(p, 2 * LEN, PROT_READ));
	EXPECT_ERROR(ENOMEM, mprotect(p + 2 * LEN, PAGE, PROT_READ));
	EXPECT_STREQ(maps, mm_maps(0));
	EXPECT_ERROR(ENOMEM, mprotect(p + LEN, -(uintptr_t)(p + LEN) - PAGE, RW));
	EXPECT_ERROR(ENOMEM, mprotect(p + LEN, -PAGE, RW));
	EXPECT_STREQ(maps, mm_maps(0));
	free(maps);
	munmap(p + LEN, LEN);
}

/* "EACCES: The memory cannot be given the specified access", nothing of it: a file that is open to read, mapped shared */
TEST(read_only_file)
{
	static const int prots[] = { PROT_WRITE, RW, RW | PROT_EXEC };
	const char *dirs[] = { "/tmp", "/mnt" };

	for (int i = 0; i < 2; i++) {
		int fd = mm_tmpfile(dirs[i], LEN), ro;
		char path[64], *p, *q;

		ASSERT_LE(0, fd);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ro = open(path, O_RDONLY | O_CLOEXEC);
		ASSERT_LE(0, ro);
		p = mmap(NULL, LEN, PROT_READ, MAP_SHARED, ro, 0);
		q = mmap(NULL, LEN, PROT_READ, MAP_PRIVATE, ro, 0);
		ASSERT_NE(MAP_FAILED, p);
		ASSERT_NE(MAP_FAILED, q);
		for (int j = 0; j < 3; j++) {
			EXPECT_ERROR(EACCES, mprotect(p, LEN, prots[j]));
			EXPECT_ERROR(EACCES, mprotect(p + PAGE, PAGE, prots[j]));
		}
		EXPECT_EQ(1, mm_vma_count(0, p, LEN));
		EXPECT_EQ(SIGSEGV, mm_probe_write(p + PAGE, 1));
		/* What takes rights away may be done, and undone. */
		EXPECT_EQ(0, mprotect(p, LEN, PROT_NONE));
		EXPECT_ERROR(EACCES, mprotect(p, LEN, RW));
		EXPECT_EQ(0, mprotect(p, LEN, PROT_READ));
		/* A private mapping is the process's own. */
		EXPECT_EQ(0, mprotect(q, LEN, RW));
		mm_fill(q, LEN, SEED);
		EXPECT_EQ(-1, mm_check_byte(p, LEN, 0));
		munmap(p, LEN);
		munmap(q, LEN);
		close(ro);
		close(fd);
	}
}

/* so is a memfd that is sealed against writes; a mapping that could be made writable keeps the seal away, a private one is free */
TEST(sealed_file)
{
	int fd = memfd_create("mm", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char *p, *q;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, LEN));
	p = mmap(NULL, LEN, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_ERROR(EBUSY, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	ASSERT_EQ(0, munmap(p, LEN));
	ASSERT_EQ(0, fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	p = mmap(NULL, LEN, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_ERROR(EACCES, mprotect(p, LEN, RW));
	q = mmap(NULL, LEN, PROT_READ, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_EQ(0, mprotect(q, LEN, RW));
	EXPECT_EQ(0, mm_probe_write(q, 1));
	EXPECT_EQ(0, *p);
	munmap(p, LEN);
	munmap(q, LEN);
	close(fd);
}

/* PROT_GROWSDOWN: "Apply the protection mode down to the beginning of a mapping that grows downward" */
TEST(grows_down)
{
	char *room = mm_reserve(2 * GAP + LEN, PAGE), *p = room + GAP;

	ASSERT_NE(NULL, room);
	ASSERT_EQ(0, munmap(room, 2 * GAP + LEN));
	ASSERT_EQ(p, mmap(p, LEN, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0));
	mm_fill(p, LEN, SEED);
	ASSERT_EQ(0, mprotect(p + 4 * PAGE, PAGE, PROT_READ | PROT_GROWSDOWN));
	for (int i = 0; i < PAGES; i++) {
		EXPECT_EQ(i <= 4 ? SIGSEGV : 0, mm_probe_write(p + i * PAGE, p[i * PAGE])) TH_LOG("page %d", i);
	}
	/* Without it a page is a page, and the mapping is in three. */
	ASSERT_EQ(0, mprotect(p, LEN, RW));
	ASSERT_EQ(0, mprotect(p + 4 * PAGE, PAGE, PROT_READ));
	for (int i = 0; i < PAGES; i++) {
		EXPECT_EQ(i == 4 ? SIGSEGV : 0, mm_probe_write(p + i * PAGE, p[i * PAGE])) TH_LOG("page %d", i);
	}
	EXPECT_EQ(-1, mm_check(p, LEN, SEED));
	ASSERT_EQ(0, munmap(p, LEN));
}

/* "Invalid": what does not grow, or not that way */
TEST(grows_not)
{
	char *p = mm_map_aligned(LEN, PAGE), *maps;

	ASSERT_NE(NULL, p);
	maps = mm_maps(0);
	EXPECT_ERROR(EINVAL, mprotect(p + PAGE, PAGE, PROT_READ | PROT_GROWSDOWN));
	EXPECT_ERROR(EINVAL, mprotect(p + PAGE, PAGE, PROT_READ | PROT_GROWSUP));
	EXPECT_STREQ(maps, mm_maps(0));
	ASSERT_EQ(0, munmap(p, LEN));
	EXPECT_ERROR(ENOMEM, mprotect(p - PAGE, PAGE, PROT_READ | PROT_GROWSUP));
	free(maps);
}

/* RLIMIT_DATA is of what can be written: a mapping that would be beyond it stays as it is, ENOMEM */
TEST(data_limit)
{
	char *p = mm_reserve(LEN, PAGE);
	struct rlimit old, limit;
	long kb;

	ASSERT_EQ(p, mmap(p, LEN, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	ASSERT_EQ(0, getrlimit(RLIMIT_DATA, &old));
	kb = mm_status(0, "VmData");
	limit = old;
	limit.rlim_cur = kb * KB + 2 * PAGE;
	ASSERT_EQ(0, setrlimit(RLIMIT_DATA, &limit));
	EXPECT_ERROR(ENOMEM, mprotect(p, LEN, RW));
	EXPECT_EQ(1, mm_vma_count(0, p, LEN));
	EXPECT_EQ(SIGSEGV, mm_probe_write(p, 1));
	EXPECT_EQ(kb, mm_status(0, "VmData"));
	EXPECT_EQ(0, mprotect(p, 2 * PAGE, RW));
	EXPECT_EQ(kb + (long)(2 * PAGE / KB), mm_status(0, "VmData"));
	EXPECT_ERROR(ENOMEM, mprotect(p + 2 * PAGE, PAGE, RW));
	/* What is read-only again is free for others. */
	EXPECT_EQ(0, mprotect(p, 2 * PAGE, PROT_READ));
	EXPECT_EQ(kb, mm_status(0, "VmData"));
	EXPECT_EQ(0, mprotect(p + 4 * PAGE, 2 * PAGE, RW));
	ASSERT_EQ(0, setrlimit(RLIMIT_DATA, &old));
	ASSERT_EQ(0, munmap(p, LEN));
	EXPECT_EQ(kb, mm_status(0, "VmData"));
}

TEST_HARNESS_MAIN
