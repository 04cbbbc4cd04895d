// SPDX-License-Identifier: GPL-2.0
/* Tests that pass, and leave something behind. */
#include <fcntl.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mm.h"

#define PAGES	4

/* a file in /tmp */
TEST(file)
{
	char page[PAGE];
	int fd = open("/tmp/left", O_RDWR | O_CREAT, 0600);

	memset(page, 1, sizeof(page));
	for (int i = 0; i < PAGES; i++)
		ASSERT_EQ(PAGE, write(fd, page, PAGE));
}

/* a segment of shared memory that nobody has touched */
TEST(segment)
{
	ASSERT_LE(0, shmget(IPC_PRIVATE, PAGES * PAGE, IPC_CREAT | 0600));
}

/* a file in /tmp whose page is on the swap device only */
TEST(swapped)
{
	int fd = open("/tmp/out", O_RDWR | O_CREAT, 0600);
	char *p;

	ASSERT_EQ(0, ftruncate(fd, PAGE));
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	*p = 1;
	ASSERT_EQ(0, mm_pageout(p, PAGE));
}

/* ksmd, running */
TEST(ksmd)
{
	ASSERT_EQ(0, mm_write_file("/sys/kernel/mm/ksm/run", "1"));
}

/* a frame that is thought bad */
TEST(poison)
{
	char *p = mm_map_aligned(PAGE, PAGE);

	ASSERT_NE(NULL, p);
	*p = 1;
	ASSERT_EQ(0, madvise(p, PAGE, MADV_SOFT_OFFLINE));
}

/* nothing: what the others left is not charged to it */
TEST(tidy)
{
	char *p = mm_map_aligned(PAGES * PAGE, PAGE);

	ASSERT_NE(NULL, p);
	mm_fill(p, PAGES * PAGE, 1);
}

TEST_HARNESS_MAIN
