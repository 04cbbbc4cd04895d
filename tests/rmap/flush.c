// SPDX-License-Identifier: GPL-2.0
/*
 * Two that take memory from one address space at a time. The one that ends first cannot know what the other has not yet
 * flushed, and flushes all of the address space; a file that is truncated does so without the mmap_lock.
 *
 * With one CPU they run in turns: the thread that truncates has real-time priority, and the end of its nap takes the CPU
 * from an madvise() that gives up its spinlock every few pages.
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mm.h"

#define LEN		(4 * PMD_SIZE)
#define FILE_LEN	(16 * PAGE)
#define SEED		57
#define NAP_NS		20000		/* naps are of one to four times so long */
#define MEETINGS	12
#define MOST_ROUNDS	400

static struct {
	char *file_map, *p;
	int fd;
	volatile bool giving, stop;
	volatile long round, meetings, wrong;
	uint64_t seed;
} both;

/* The file loses its pages: who reads them gets SIGBUS, at once. */
static void truncate_it(void)
{
	both.wrong += !!ftruncate(both.fd, 0);
	for (size_t i = 0; i < FILE_LEN; i += PAGE)
		both.wrong += mm_probe_read(both.file_map + i) != SIGBUS;
	both.wrong += !!ftruncate(both.fd, FILE_LEN);
	mm_fill(both.file_map, FILE_LEN, SEED);
}

static void *truncater(void *arg)
{
	long last = -1;

	(void)arg;
	if (mm_set_fifo(1)) {
		both.wrong++;
		return NULL;
	}
	while (!both.stop) {
		mm_nap(NAP_NS * (1 + mm_rand(&both.seed) % 4));
		if (!both.giving || both.round == last)
			continue;
		last = both.round;
		truncate_it();
		/* Only if the other had not come to its end: it cannot have gone on meanwhile. */
		both.meetings += both.giving;
	}
	return NULL;
}

/* a truncation in the middle of MADV_DONTNEED: nothing of the file is reached any more, nor of the memory afterwards */
TEST(truncate_in_dontneed)
{
	pthread_t thread;

	memset(&both, 0, sizeof(both));
	both.seed = 20260727;
	both.fd = mm_memfd(FILE_LEN);
	ASSERT_LE(0, both.fd);
	both.file_map = mmap(NULL, FILE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, both.fd, 0);
	ASSERT_NE(MAP_FAILED, both.file_map);
	mm_fill(both.file_map, FILE_LEN, SEED);
	both.p = mm_map_aligned(LEN, PMD_SIZE);
	ASSERT_NE(NULL, both.p);
	ASSERT_EQ(0, pthread_create(&thread, NULL, truncater, NULL));
	while (both.meetings < MEETINGS && both.round < MOST_ROUNDS && !both.wrong) {
		ASSERT_EQ(0, madvise(both.p, LEN, MADV_POPULATE_WRITE));
		both.p[LEN - 1] = 1;
		both.giving = true;
		ASSERT_EQ(0, madvise(both.p, LEN, MADV_DONTNEED));
		both.giving = false;
		both.round++;
		ASSERT_EQ(0, both.p[LEN - 1]);
	}
	both.stop = true;
	pthread_join(thread, NULL);
	EXPECT_EQ(0, both.wrong);
	EXPECT_LE(MEETINGS, both.meetings);
	EXPECT_EQ(-1, mm_check_byte(both.p, LEN, 0));
	mm_report("rounds", both.round);
	close(both.fd);
}

TEST_HARNESS_MAIN
