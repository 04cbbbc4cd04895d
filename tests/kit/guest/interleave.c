// SPDX-License-Identifier: GPL-2.0
/* Two processes on two CPUs that gdb lets run in a chosen order: scripts/gdb/interleave. They need ncpus=2. */
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mm.h"

#define AT	((char *)0x50000000)	/* the scripts know it */
#define LEN	(16 * PAGE)

static void on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* Keep all memory but [p, p+LEN) where it is: compaction leaves locked pages alone (compact_unevictable_allowed). */
static void lock_all_but(char *p)
{
	char *maps = mm_maps(0), *line, *save = NULL;
	unsigned long start, end;

	for (line = strtok_r(maps, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (sscanf(line, "%lx-%lx", &start, &end) == 2 && start != (unsigned long)p)
			mlock((void *)start, end - start);
	free(maps);
}

/*
 * Leave as soon as a page is being migrated: /proc/self/pagemap shows a migration entry as swapped. What the process
 * itself needs must not be migrated with it.
 */
static void leaver(char *p)
{
	prctl(PR_SET_NAME, "leaver");
	on_cpu(1);
	lock_all_but(p);
	for (;;) {
		usleep(2000000);	/* gdb needs its time, too */
		if (mm_count_swapped(0, p, LEN))
			_exit(0);
	}
}

/* a child that shares pages exits while its parent migrates them */
TEST(migrate_exit)
{
	struct mm_stage *stage;
	char *p;
	pid_t pid;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "needs two CPUs (make interleave)");
	on_cpu(0);
	prctl(PR_SET_NAME, "migrator");
	ASSERT_EQ(0, mm_write_file("/proc/sys/vm/compact_unevictable_allowed", "0"));
	stage = mm_stage(LEN);
	ASSERT_NE(NULL, stage);
	p = mmap(AT, LEN, PROT_READ | PROT_WRITE, MAP_FIXED_NOREPLACE | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_EQ(AT, p);
	mm_fill(p, LEN, 1);
	pid = fork();
	if (!pid)
		leaver(p);
	usleep(50000);
	ASSERT_EQ(0, mm_stage_move(stage));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_EQ(-1, mm_check(p, LEN, 1));
	mm_stage_end(stage);
}
MM_TEST_IS(migrate_exit, "cpus=2");

TEST_HARNESS_MAIN
