// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/PID/smaps_rollup: "each field is the sum of the corresponding fields from all the maps in /proc/pid/smaps"
 * (Documentation/ABI/testing/procfs-smaps_rollup).
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	16
#define LEN	(PAGES * PAGE)
#define SEED	1
#define LEN_KB	((long)(LEN / KB))
#define FIELDS	32

/* The figures of a file in their order, the values of all its entries added up. */
struct figures {
	int n, entries;
	struct figure { char name[24]; long kb; } of[FIELDS];
};

static struct figure *find(struct figures *f, const char *name)
{
	for (int i = 0; i < f->n; i++)
		if (!strcmp(f->of[i].name, name))
			return &f->of[i];
	return NULL;
}

/* Sizes are those of the mappings and of pages: a rollup has none. */
static bool is_figure(const char *name)
{
	return !strstr(name, "Size") && strcmp(name, "THPeligible") && strcmp(name, "ProtectionKey");
}

static int read_figures(pid_t pid, const char *file, struct figures *f)
{
	char path[64], line[512], name[24];
	struct figure *at;
	FILE *in;
	long kb;

	*f = (struct figures) { 0 };
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	in = fopen(path, "re");
	if (!in)
		return -errno;
	while (fgets(line, sizeof(line), in)) {
		if (sscanf(line, "%23[A-Za-z_]: %ld kB", name, &kb) != 2 || !is_figure(name))
			continue;
		at = find(f, name);
		if (!at && f->n < FIELDS) {
			at = &f->of[f->n++];
			strcpy(at->name, name);
		}
		if (at)
			at->kb += kb;
		f->entries += !strcmp(name, "Rss");
	}
	fclose(in);
	return f->n ? 0 : -ENODATA;
}

/* What the child has made, where both find it. */
static char *region;
static int file_fd;

static char *map(int flags, int fd)
{
	return mmap(region, LEN, PROT_READ | PROT_WRITE, flags | MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
}

static int anon(void *arg)
{
	mm_fill(map(MAP_PRIVATE, -1), LEN, SEED);
	return 0;
}

static int shmem(void *arg)
{
	mm_fill(map(MAP_SHARED, -1), LEN, SEED);
	return 0;
}

static int file_shared(void *arg)
{
	mm_fill(map(MAP_SHARED, file_fd), LEN, SEED);
	return 0;
}

static int file_read(void *arg)
{
	mm_touch_read(map(MAP_PRIVATE, file_fd), LEN);
	return 0;
}

static int file_copied(void *arg)
{
	mm_fill(map(MAP_PRIVATE, file_fd), LEN, SEED);
	return 0;
}

static int swapped(void *arg)
{
	return anon(NULL) || mm_pageout(region, LEN);
}

static int swapped_shmem(void *arg)
{
	return shmem(NULL) || mm_pageout(region, LEN);
}

static int ksm(void *arg)
{
	map(MAP_PRIVATE, -1);
	for (int i = 0; i < PAGES; i++)
		mm_fill(region + i * PAGE, PAGE, SEED);
	return madvise(region, LEN, MADV_MERGEABLE) || mm_ksm_scan(3);
}

static int locked(void *arg)
{
	return anon(NULL) || mlock(region, LEN);
}

static int lazy(void *arg)
{
	if (anon(NULL) || madvise(region, LEN, MADV_FREE))
		return -1;
	mm_lru_drain();
	return 0;
}

FIXTURE(rollup) {
	struct mm_tree *t;
	pid_t pid;
	struct figures sums, rollup;
};

FIXTURE_VARIANT(rollup) {
	int (*make)(void *arg);
	const char *figures[4];		/* those that count the region, as a whole */
	const char *(*need)(void);
	const char *dir;		/* of the file */
};

FIXTURE_VARIANT_ADD(rollup, anon) { .make = anon, .figures = { "Rss", "Private_Dirty", "Anonymous", "Pss_Dirty" } };
FIXTURE_VARIANT_ADD(rollup, shmem) { .make = shmem, .figures = { "Rss", "Private_Dirty", "Pss" } };
FIXTURE_VARIANT_ADD(rollup, file_shared) {
	.make = file_shared, .figures = { "Rss", "Private_Dirty", "Referenced" }, .dir = "/mnt",
};
FIXTURE_VARIANT_ADD(rollup, file_read) { .make = file_read, .figures = { "Rss", "Private_Clean", "Pss" }, .dir = "/mnt" };
FIXTURE_VARIANT_ADD(rollup, file_copied) { .make = file_copied, .figures = { "Rss", "Anonymous" }, .dir = "/mnt" };
FIXTURE_VARIANT_ADD(rollup, swap) { .make = swapped, .figures = { "Swap", "SwapPss" }, .need = mm_need_swap };
FIXTURE_VARIANT_ADD(rollup, swap_shmem) { .make = swapped_shmem, .figures = { "Swap" }, .need = mm_need_swap };
FIXTURE_VARIANT_ADD(rollup, ksm) { .make = ksm, .figures = { "Rss", "KSM" }, .need = mm_need_ksm };
FIXTURE_VARIANT_ADD(rollup, locked) { .make = locked, .figures = { "Rss", "Locked" } };
FIXTURE_VARIANT_ADD(rollup, lazyfree) { .make = lazy, .figures = { "Rss", "LazyFree" } };

FIXTURE_SETUP(rollup)
{
	if (variant->need)
		NEED(variant->need());
	file_fd = -1;
	if (variant->dir) {
		static char buf[LEN];

		file_fd = mm_tmpfile(variant->dir, LEN);
		ASSERT_LE(0, file_fd);
		ASSERT_EQ(LEN, write(file_fd, buf, LEN));
		ASSERT_EQ(0, fsync(file_fd));
	}
	region = mm_reserve(LEN, PAGE);
	ASSERT_NE(NULL, region);
	self->t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	self->pid = mm_tree_pid(self->t, 0);
	ASSERT_EQ(0, mm_tree_call(self->t, 0, variant->make, NULL));
	ASSERT_EQ(0, read_figures(self->pid, "smaps", &self->sums));
	ASSERT_EQ(0, read_figures(self->pid, "smaps_rollup", &self->rollup));
}

FIXTURE_TEARDOWN(rollup)
{
	if (self->t)
		mm_tree_end(self->t);
	if (variant->make == ksm)
		mm_ksm_unmerge_all();
	close(file_fd);
}

/* A figure of the entry of the region alone; it has one, or is -1. */
static long of_region(pid_t pid, const char *name)
{
	return mm_smaps(pid, region, name);
}

/* each figure is the sum over all mappings, and the region is in those that are its */
TEST_F(rollup, sums)
{
	EXPECT_EQ(1, self->rollup.entries);
	for (int i = 0; i < self->sums.n; i++) {
		struct figure *sum = &self->sums.of[i], *is = find(&self->rollup, sum->name);

		ASSERT_NE(NULL, is) TH_LOG("no %s", sum->name);
		/* Shares are rounded down to kB, each for itself or all together. */
		if (strstr(sum->name, "Pss") || !strcmp(sum->name, "Locked")) {
			EXPECT_LE(sum->kb, is->kb) TH_LOG("%s", sum->name);
			EXPECT_GE(sum->kb + self->sums.entries, is->kb) TH_LOG("%s", sum->name);
		} else {
			EXPECT_EQ(sum->kb, is->kb) TH_LOG("%s", sum->name);
		}
	}
	for (int i = 0; i < 4 && variant->figures[i]; i++) {
		const char *name = variant->figures[i];

		EXPECT_EQ(LEN_KB, of_region(self->pid, name)) TH_LOG("%s", name);
		EXPECT_LE(LEN_KB, find(&self->rollup, name)->kb) TH_LOG("%s", name);
	}
}

/* the parts of a figure add up to it: Rss by state, Pss by kind of page; status counts the same pages */
TEST_F(rollup, parts)
{
#define KB_OF(name) (find(&self->rollup, name)->kb)
	EXPECT_EQ(KB_OF("Rss"), KB_OF("Shared_Clean") + KB_OF("Shared_Dirty") + KB_OF("Private_Clean") + KB_OF("Private_Dirty"));
	EXPECT_LE(KB_OF("Pss_Anon") + KB_OF("Pss_File") + KB_OF("Pss_Shmem"), KB_OF("Pss"));
	EXPECT_GE(KB_OF("Pss_Anon") + KB_OF("Pss_File") + KB_OF("Pss_Shmem") + 3, KB_OF("Pss"));
	EXPECT_GE(KB_OF("Rss"), KB_OF("Pss"));
	EXPECT_GE(KB_OF("Pss"), KB_OF("Pss_Dirty"));
	EXPECT_EQ(mm_status(self->pid, "RssAnon"), KB_OF("Anonymous"));
	/* Pages of shared memory count for their mappings, too: the program is one. */
	EXPECT_LE(mm_status(self->pid, "VmSwap"), KB_OF("Swap"));
}

/* a page that two processes map is half of each: the shares of both are one page */
TEST(shares)
{
	struct figures alone, parent, child;
	struct mm_tree *t;

	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	mm_fill(region, LEN, SEED);
	t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, t);
	EXPECT_EQ(LEN_KB / 2, mm_smaps(0, region, "Pss"));
	EXPECT_EQ(LEN_KB, mm_smaps(0, region, "Shared_Dirty"));
	ASSERT_EQ(0, read_figures(getpid(), "smaps_rollup", &parent));
	ASSERT_EQ(0, read_figures(mm_tree_pid(t, 0), "smaps_rollup", &child));
	EXPECT_LE(LEN_KB, find(&child, "Shared_Dirty")->kb);
	EXPECT_LE(LEN_KB / 2, find(&child, "Pss_Anon")->kb);
	EXPECT_GE(find(&child, "Anonymous")->kb - LEN_KB / 2, find(&child, "Pss_Anon")->kb);
	mm_tree_end(t);
	ASSERT_EQ(0, read_figures(getpid(), "smaps_rollup", &alone));
	EXPECT_LE(find(&parent, "Pss_Anon")->kb + LEN_KB / 2, find(&alone, "Pss_Anon")->kb);
}

/* the one line of mappings spans all of them, from the first to the last */
TEST(span)
{
	unsigned long start, end, first, last = 0, from, to;
	char line[512], path[64] = { 0 };
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	char *maps, *at;

	ASSERT_NE(NULL, f);
	maps = mm_maps(0);
	ASSERT_NE(NULL, fgets(line, sizeof(line), f));
	fclose(f);
	ASSERT_EQ(3, sscanf(line, "%lx-%lx ---p 00000000 00:00 0 %63s", &start, &end, path));
	EXPECT_STREQ("[rollup]", path);
	ASSERT_EQ(1, sscanf(maps, "%lx", &first));
	for (at = maps; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (sscanf(at, "%lx-%lx", &from, &to) == 2)
			last = to;
	}
	EXPECT_EQ(first, start);
	EXPECT_EQ(last, end);
}

/* a process that has exited, and one of the kernel, have no memory: ESRCH, and no figures of 0 */
TEST(no_memory)
{
	char path[64], buf[4096];
	pid_t pid = fork();
	siginfo_t info;

	if (!pid)
		_exit(0);
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	EXPECT_EQ(-ESRCH, mm_read_file(path, buf, sizeof(buf)));
	EXPECT_EQ(-ESRCH, mm_read_file("/proc/2/smaps_rollup", buf, sizeof(buf)));
	EXPECT_EQ(pid, waitpid(pid, NULL, 0));
}

TEST_HARNESS_MAIN
