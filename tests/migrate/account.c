// SPDX-License-Identifier: GPL-2.0
/* The books after migration: free frames, pages by kind, resident sizes, memory cgroups. */
#include "kselftest_harness.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mm.h"

#define N	256
#define LEN	(N * PAGE)
#define FEW	64
#define ROUNDS	16

/*
 * Frames that are free (on the per-CPU lists too), in a slab, a page table or a kernel stack: the kernel's own objects,
 * and threads of it that come and go, do not matter.
 */
static long free_frames(void)
{
	static char text[64 * KB];
	long sum = 0, n;
	char *line;

	mm_settle();
	if (mm_read_file("/proc/zoneinfo", text, sizeof(text)) < 0)
		return -1;
	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, " pages free %ld", &n) == 1 || sscanf(line, " count: %ld", &n) == 1)
			sum += n;
	}
	return sum + mm_vmstat("nr_slab_reclaimable") + mm_vmstat("nr_slab_unreclaimable") +
	       mm_vmstat("nr_page_table_pages") + mm_vmstat("nr_kernel_stack") * KB / PAGE;
}

/* Migrate @n pages, FEW at most, and free them again; how many moved. */
static long move_once(size_t n)
{
	static uint64_t was[FEW], is[FEW];
	struct mm_stage *stage = mm_stage(n * PAGE);
	char *p = mm_map_aligned(n * PAGE, PAGE);
	long moved;

	mm_fill(p, n * PAGE, 1);
	moved = stage ? mm_stage_move_pages(stage, p, n, was, is) : -1;
	if (mm_check(p, n * PAGE, 1) != -1)
		moved = -1;
	munmap(p, n * PAGE);
	mm_stage_end(stage);
	return moved;
}

/* after many moves as many frames are free as before: no page is lost or freed twice */
TEST(frames)
{
	long before, after, slack;

	NEED(mm_need_compaction());
	/* What is allocated once, for the moves and for the look at the books. */
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(FEW, move_once(FEW));
		before = free_frames();
	}
	/* The records of page owner and KASAN grow by blocks that never shrink. */
	slack = access("/sys/kernel/debug/page_owner", F_OK) ? ROUNDS : ROUNDS * FEW / 2;
	for (int i = 0; i < ROUNDS; i++)
		EXPECT_EQ(FEW, move_once(FEW));
	after = free_frames();
	EXPECT_LT(before - slack, after);
	EXPECT_GT(before + slack, after);
}

/* Memory of each kind: [0] private, [1] shmem, [2] a file's, in one mapping each. */
struct kinds {
	int shmem, file;
	char *p[3];
};

static bool map_kinds(struct kinds *k)
{
	k->shmem = mm_memfd(LEN);
	k->file = mm_tmpfile("/mnt", LEN);
	k->p[0] = mm_map_aligned(LEN, PAGE);
	k->p[1] = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, k->shmem, 0);
	k->p[2] = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, k->file, 0);
	return k->p[0] && k->p[1] != MAP_FAILED && k->p[2] != MAP_FAILED;
}

/* pages of each kind, isolated, dirty, in writeback, and the resident sizes are as many as before */
TEST(kinds)
{
	static const char *const same[] = {
		"nr_anon_pages", "nr_file_pages", "nr_shmem", "nr_mlock", "nr_unevictable",
		"nr_isolated_anon", "nr_isolated_file", "nr_dirty", "nr_writeback", "nr_swapcached",
		"nr_foll_pin_acquired", "pswpout",
	};
	static uint64_t was[3][N], is[3][N];
	struct mm_stage *stage;
	struct mm_snap *snap;
	struct kinds k;

	NEED(mm_need_compaction());
	ASSERT_TRUE(map_kinds(&k));
	stage = mm_stage(4 * LEN);
	ASSERT_NE(NULL, stage);
	for (int i = 0; i < 3; i++)
		mm_fill(k.p[i], LEN, i + 1);
	ASSERT_EQ(0, msync(k.p[2], LEN, MS_SYNC));
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, mm_pfns(0, k.p[i], was[i], N));
	mm_stage_open(stage);
	mm_settle();
	snap = mm_snap();
	/* What the test itself touches for its questions is touched now. */
	ASSERT_EQ(0, mm_delta(snap, "nr_isolated_anon"));
	mm_snap_free(snap);
	snap = mm_snap();
	ASSERT_EQ(0, mm_compact());
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		if (mm_delta(snap, same[i]))
			TH_LOG("%s:", same[i]);
		EXPECT_EQ(0, mm_delta(snap, same[i]));
	}
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(LEN / KB, mm_smaps(0, k.p[i], "Rss"));
		EXPECT_EQ(LEN / KB, mm_smaps(0, k.p[i], "Pss"));
		ASSERT_EQ(0, mm_pfns(0, k.p[i], is[i], N));
		EXPECT_EQ(N, mm_moved(was[i], is[i], N));
		EXPECT_EQ(-1, mm_check(k.p[i], LEN, i + 1));
	}
	EXPECT_LE(3 * N, mm_delta(snap, "pgmigrate_success"));
	mm_snap_free(snap);
	mm_stage_end(stage);
	close(k.shmem);
	close(k.file);
}

/* The memory of one process in a cgroup of its own. */
FIXTURE(memcg)
{
	struct mm_cgroup cg;
	struct mm_stage *stage;
	struct mm_tree *tree;
};

static struct mm_cgroup *group;
static char *region;

static int enter(void *arg)
{
	return mm_cgroup_enter(group);
}

static int fill(void *arg)
{
	mm_fill(region, LEN, 1);
	return 0;
}

static int check(void *arg)
{
	return mm_check(region, LEN, 1) != -1;
}

FIXTURE_SETUP(memcg)
{
	NEED(mm_need_compaction());
	NEED(mm_need_memcg());
	ASSERT_EQ(0, mm_cgroup_create(&self->cg, "migrate"));
	group = &self->cg;
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	self->tree = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->tree);
	ASSERT_EQ(0, mm_tree_call(self->tree, 0, enter, NULL));
}

FIXTURE_TEARDOWN(memcg)
{
	mm_stage_end(self->stage);
	if (self->tree)
		mm_tree_end(self->tree);
	mm_cgroup_remove(&self->cg);
}

/* Frames of @pfns that are charged to the group, which /proc/kpagecgroup names by its inode. */
static long charged(const struct mm_cgroup *cg, const uint64_t *pfns)
{
	int fd = open("/proc/kpagecgroup", O_RDONLY);
	uint64_t inode;
	struct stat st;
	long n = 0;

	if (fd < 0 || stat(cg->path, &st))
		return -1;
	for (int i = 0; i < N; i++)
		n += pread(fd, &inode, sizeof(inode), pfns[i] * sizeof(inode)) == sizeof(inode) &&
		     inode == st.st_ino;
	close(fd);
	return n;
}

/* the charge goes along to the new frame: the group pays as much as before, and nothing when all is gone */
TEST_F(memcg, charge)
{
	static uint64_t was[N], is[N];
	pid_t pid = mm_tree_pid(self->tree, 0);
	long current;

	self->stage = mm_stage(LEN);
	ASSERT_NE(NULL, self->stage);
	ASSERT_EQ(0, mm_tree_call(self->tree, 0, fill, NULL));
	ASSERT_EQ(0, mm_pfns(pid, region, was, N));
	EXPECT_EQ(N, charged(&self->cg, was));
	current = mm_cgroup_read(&self->cg, "memory.current");
	EXPECT_LE(LEN, current);
	ASSERT_EQ(0, mm_stage_move(self->stage));
	ASSERT_EQ(0, mm_pfns(pid, region, is, N));
	EXPECT_EQ(N, mm_moved(was, is, N));
	EXPECT_EQ(N, charged(&self->cg, is));
	EXPECT_EQ(current, mm_cgroup_read(&self->cg, "memory.current"));
	EXPECT_EQ(0, mm_tree_call(self->tree, 0, check, NULL));
	mm_tree_end(self->tree);
	self->tree = NULL;
	mm_settle();
	/* Left: the stock of the CPU, 64 pages at most, and kernel memory on its way out. */
	EXPECT_GT(LEN / 2, mm_cgroup_read(&self->cg, "memory.current"));
}

TEST_HARNESS_MAIN
