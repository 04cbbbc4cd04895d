// SPDX-License-Identifier: GPL-2.0
/*
 * Known states of mm for the gdb commands: each test makes one, says in the kernel log what it is by its own
 * reckoning ("mmuml: state NAME VALUE"), and calls getsid(), where gdb stops.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mm.h"

#define AT	((char *)0x50000000)	/* where the memory under test is, so that gdb can be told beforehand */
#define PAGES	4
#define FILE_AT	((char *)0x51000000)
#define KSM_AT	((char *)0x52000000)

static void say(const char *name, unsigned long value)
{
	char line[128];
	int fd = open("/dev/kmsg", O_WRONLY), n;

	n = snprintf(line, sizeof(line), "<6>mmuml: state %s %#lx", name, value);
	if (fd < 0 || write(fd, line, n) != n)
		_exit(1);
	close(fd);
}

static void stop_here(void)
{
	syscall(SYS_getsid, 0);
}

static char *map_at(char *at, size_t len, int flags, int fd)
{
	return mmap(at, len, PROT_READ | PROT_WRITE, MAP_FIXED_NOREPLACE | flags, fd, 0);
}

static int write_first(void *arg)
{
	*(volatile char *)AT = 7;
	say("copy_pid", getpid());
	say("copy_pfn", mm_pfn(0, AT));
	return 0;
}

static int read_file_page(void *arg)
{
	return FILE_AT[0] == 1 ? 0 : 1;
}

/* The rest of /proc/zoneinfo and /proc/buddyinfo is about zones that this guest does not have. */
static void say_zone(void)
{
	static char text[65536];
	unsigned long v, order[11];
	char *at;

	mm_read_file("/proc/zoneinfo", text, sizeof(text));
	at = strstr(text, "zone   Normal");
	if (!at)
		at = strstr(text, "zone");
	if (sscanf(strstr(at, "managed"), "managed %lu", &v) == 1)
		say("managed", v);
	if (sscanf(strstr(at, "spanned"), "spanned %lu", &v) == 1)
		say("spanned", v);
	if (sscanf(strstr(at, "low "), "low %lu", &v) == 1)
		say("low", v);
	mm_read_file("/proc/buddyinfo", text, sizeof(text));
	at = strstr(text, "Normal");
	if (sscanf(at + 6, "%lu %lu %lu %lu %lu %lu %lu %lu %lu %lu %lu", &order[0], &order[1], &order[2], &order[3],
		   &order[4], &order[5], &order[6], &order[7], &order[8], &order[9], &order[10]) == 11)
		say("order10", order[10]);
}

/* Objects in use in a cache, as /proc/slabinfo has them. */
static long slab_objects(const char *cache)
{
	char text[32768], name[64];
	long objects;

	if (mm_read_file("/proc/slabinfo", text, sizeof(text)) < 0)
		return -1;
	for (char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "%63s %ld", name, &objects) == 2 && !strcmp(name, cache))
			return objects;
	}
	return -1;
}

/* six processes share a page, one copied it; a swapped page, a file page; what /proc says of them */
TEST(forked)
{
	struct mm_tree *t;
	struct mm_page swapped;
	struct mm_vma vma;
	int fd = mm_memfd(PAGE);
	char maps[16384];
	long lines = 0;

	ASSERT_EQ(AT, map_at(AT, PAGES * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1));
	ASSERT_EQ(FILE_AT, map_at(FILE_AT, PAGE, MAP_SHARED, fd));
	FILE_AT[0] = 1;
	mm_fill(AT, 2 * PAGE, 1);
	ASSERT_EQ(0, mm_pageout(AT + PAGE, PAGE));
	t = mm_tree_fork(1, 5, NULL, NULL);
	ASSERT_NE(NULL, t);
	ASSERT_EQ(0, mm_tree_call(t, 1, write_first, NULL));
	for (int i = 0; i < 5; i++) {
		char name[16];

		ASSERT_EQ(0, mm_tree_call(t, i, read_file_page, NULL));
		snprintf(name, sizeof(name), "child%d", i);
		say(name, mm_tree_pid(t, i));
	}
	ASSERT_EQ(0, mm_page(0, AT + PAGE, &swapped));
	ASSERT_EQ(0, mm_vma(0, AT, &vma));
	ASSERT_LT(0, mm_read_file("/proc/self/maps", maps, sizeof(maps)));
	for (char *s = maps; *s; s++)
		lines += *s == '\n';
	say("pid", getpid());
	say("pfn", mm_pfn(0, AT));
	say("count", mm_kpagecount(mm_pfn(0, AT)));
	say("kpageflags", mm_kpageflags(mm_pfn(0, AT)));
	say("file_pfn", mm_pfn(0, FILE_AT));
	say("file_count", mm_kpagecount(mm_pfn(0, FILE_AT)));
	say("swap_type", swapped.swap_type);
	say("swap_offset", swapped.swap_offset);
	say("vma_start", vma.start);
	say("vma_end", vma.end);
	say("vmas", lines);
	say("anon_vmas", slab_objects("anon_vma"));
	say_zone();
	stop_here();
	mm_tree_end(t);
}

/* one page in 64 processes and the parent */
TEST(many)
{
	struct mm_tree *t;

	ASSERT_EQ(AT, map_at(AT, PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1));
	mm_fill(AT, PAGE, 1);
	t = mm_tree_fork(1, 63, NULL, NULL);
	ASSERT_NE(NULL, t);
	say("pfn", mm_pfn(0, AT));
	say("count", mm_kpagecount(mm_pfn(0, AT)));
	stop_here();
	mm_tree_end(t);
}

/* two pages that KSM merged */
TEST(ksm)
{
	NEED(mm_need_ksm());
	ASSERT_EQ(KSM_AT, map_at(KSM_AT, 2 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1));
	mm_fill(KSM_AT, PAGE, 5);
	mm_fill(KSM_AT + PAGE, PAGE, 5);
	ASSERT_EQ(0, madvise(KSM_AT, 2 * PAGE, MADV_MERGEABLE));
	ASSERT_EQ(0, mm_ksm_scan(3));
	ASSERT_EQ(mm_pfn(0, KSM_AT), mm_pfn(0, KSM_AT + PAGE));
	say("pfn", mm_pfn(0, KSM_AT));
	say("count", mm_kpagecount(mm_pfn(0, KSM_AT)));
	stop_here();
	mm_ksm_unmerge_all();
}

/* a memory cgroup with so many anonymous pages */
TEST(cgroup)
{
	struct mm_cgroup cg;

	NEED(mm_need_memcg());
	ASSERT_EQ(0, mm_cgroup_create(&cg, "state"));
	ASSERT_EQ(0, mm_cgroup_enter(&cg));
	ASSERT_EQ(AT, map_at(AT, 100 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1));
	mm_fill(AT, 100 * PAGE, 1);
	mm_lru_drain();
	mm_settle();
	say("inactive_anon", mm_cgroup_stat(&cg, "inactive_anon") / PAGE);
	say("active_anon", mm_cgroup_stat(&cg, "active_anon") / PAGE);
	stop_here();
	munmap(AT, 100 * PAGE);
	mm_cgroup_leave();
	mm_cgroup_remove(&cg);
}

static volatile bool ready, enough;

static void *map_and_unmap(void *arg)
{
	say("waiter", gettid());
	ready = true;
	while (!enough)
		munmap(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), PAGE);
	return NULL;
}

/* one thread holds the mmap_lock for long and often, another one wants it */
TEST(locks)
{
	size_t len = 64 * MB;
	pthread_t thread;
	char *p = mm_map_aligned(len, PMD_SIZE);

	ASSERT_NE(NULL, p);
	mm_touch_write(p, len);
	say("holder", getpid());
	ASSERT_EQ(0, pthread_create(&thread, NULL, map_and_unmap, NULL));
	while (!ready)
		usleep(1000);
	for (int i = 0; i < 40; i++)
		ASSERT_EQ(0, mprotect(p, len, i & 1 ? PROT_READ | PROT_WRITE : PROT_READ));
	enough = true;
	pthread_join(thread, NULL);
}

TEST_HARNESS_MAIN
