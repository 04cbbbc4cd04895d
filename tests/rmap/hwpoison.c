// SPDX-License-Identifier: GPL-2.0
/* Memory failure: a poisoned page leaves all page tables, who touches it is told, the rest stays usable. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/futex.h>
#include <linux/kernel-page-flags.h>

#include "kselftest_harness.h"
#include "mm.h"

#define INJECT		"/sys/kernel/debug/hwpoison/corrupt-pfn"
#define PAGES		4
#define LEN		(PAGES * PAGE)
#define BAD		1	/* the page that gets poisoned */
#define SEED		101
#define NODES		6	/* of a tree of depth 2 and width 2 */

/* The pages under test, where the processes of a tree find them, and the address of the one that fails. */
static char *region, *bad;

static int inject(uint64_t pfn)
{
	char text[32];

	snprintf(text, sizeof(text), "%#llx", (unsigned long long)pfn);
	return mm_write_file(INJECT, text);
}

/* What a process gets that reads, then writes the page: BUS_MCEERR_AR, or what went differently. */
static int probe_bad(void *arg)
{
	if (mm_probe_read(bad) != SIGBUS)
		return -1;
	if (mm_probe_code() != BUS_MCEERR_AR)
		return mm_probe_code();
	if (mm_probe_write(bad, 0) != SIGBUS)
		return -2;
	return mm_probe_code();
}

/* Whether all pages but the poisoned one are as they were. */
static int others_wrong(void *arg)
{
	for (int i = 0; i < PAGES; i++)
		if (i != BAD && mm_check_from(region + i * PAGE, PAGE, SEED, i * PAGE) != -1)
			return 1;
	return 0;
}

static int wrong_bytes(void *arg)
{
	return mm_check(region, LEN, SEED) == -1 ? 0 : 1;
}

FIXTURE(hwpoison) {
	struct mm_tree *t;
	uint64_t pfn;		/* of the page that gets poisoned */
	long corrupted;		/* kB */
	int fd;
};

FIXTURE_SETUP(hwpoison)
{
	NEED(mm_need_memory_failure());
	self->fd = -1;
	self->corrupted = mm_meminfo("HardwareCorrupted");
	region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	bad = region + BAD * PAGE;
	mm_fill(region, LEN, SEED);
	mm_lru_drain();
	self->pfn = mm_pfn(0, bad);
	ASSERT_NE(0, self->pfn);
}

/* A poisoned page can be given back once nothing refers to it. */
FIXTURE_TEARDOWN(hwpoison)
{
	if (self->t)
		mm_tree_end(self->t);
	munmap(region, LEN);
	if (self->fd >= 0)
		close(self->fd);
	mm_lru_drain();
	if (mm_kpf(self->pfn, KPF_HWPOISON))
		EXPECT_EQ(0, mm_unpoison(self->pfn));
	EXPECT_FALSE(mm_kpf(self->pfn, KPF_HWPOISON));
	EXPECT_EQ(self->corrupted, mm_meminfo("HardwareCorrupted"));
}

/* Put a shared mapping of a file in the place of the anonymous region. */
static void map_file(struct __test_metadata *_metadata, FIXTURE_DATA(hwpoison) *self, int fd)
{
	ASSERT_LE(0, fd);
	self->fd = fd;
	ASSERT_EQ(region, mmap(region, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0));
	mm_fill(region, LEN, SEED);
	mm_lru_drain();
	self->pfn = mm_pfn(0, bad);
	ASSERT_NE(0, self->pfn);
}

/* a poisoned page leaves the page table and is counted, an access raises SIGBUS, its neighbours stay */
TEST_F(hwpoison, anon)
{
	ASSERT_EQ(0, inject(self->pfn));
	EXPECT_TRUE(mm_kpf(self->pfn, KPF_HWPOISON));
	EXPECT_EQ(PAGE / KB, mm_meminfo("HardwareCorrupted") - self->corrupted);
	EXPECT_EQ(0, mm_pfn(0, bad));
	EXPECT_EQ(PAGES - 1, mm_count_present(0, region, LEN));
	EXPECT_EQ(BUS_MCEERR_AR, probe_bad(NULL));
	EXPECT_EQ(0, others_wrong(NULL));
	EXPECT_EQ(0, mm_probe_write(bad - 1, 0));
	EXPECT_EQ(0, mm_probe_write(bad + PAGE, 0));
}

/* after the poisoned place was given up it is ordinary memory, in another frame */
TEST_F(hwpoison, dontneed_heals)
{
	ASSERT_EQ(0, inject(self->pfn));
	ASSERT_EQ(BUS_MCEERR_AR, probe_bad(NULL));
	ASSERT_EQ(0, madvise(bad, PAGE, MADV_DONTNEED));
	EXPECT_EQ(-1, mm_check_byte(bad, PAGE, 0));
	mm_fill_from(bad, PAGE, SEED, BAD * PAGE);
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
	EXPECT_NE(0, mm_pfn(0, bad));
	EXPECT_NE(self->pfn, mm_pfn(0, bad));
	EXPECT_TRUE(mm_kpf(self->pfn, KPF_HWPOISON));
}

static siginfo_t bus_info;
static int bus_count;

static void on_bus(int sig, siginfo_t *info, void *context)
{
	bus_info = *info;
	bus_count++;
}

/* madvise(MADV_HWPOISON) on a dirty page raises SIGBUS at once, with the address and the size of the page */
TEST_F(hwpoison, madvise)
{
	struct sigaction sa = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO }, old;

	ASSERT_EQ(0, sigaction(SIGBUS, &sa, &old));
	EXPECT_EQ(0, madvise(bad, PAGE, MADV_HWPOISON));
	ASSERT_EQ(0, sigaction(SIGBUS, &old, NULL));
	EXPECT_EQ(1, bus_count);
	EXPECT_EQ(BUS_MCEERR_AR, bus_info.si_code);
	EXPECT_EQ(bad, bus_info.si_addr);
	EXPECT_EQ(12, bus_info.si_addr_lsb);
	EXPECT_TRUE(mm_kpf(self->pfn, KPF_HWPOISON));
	EXPECT_EQ(BUS_MCEERR_AR, probe_bad(NULL));
	EXPECT_EQ(0, others_wrong(NULL));
}

/* a page that seven processes share leaves all page tables; each is told when it touches it, not before */
TEST_F(hwpoison, fork_tree)
{
	self->t = mm_tree_fork(2, 2, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	ASSERT_EQ(NODES + 1, mm_kpagecount(self->pfn));
	ASSERT_EQ(0, inject(self->pfn));
	EXPECT_EQ(0, mm_kpagecount(self->pfn));
	for (int i = 0; i < NODES; i++) {
		EXPECT_EQ(PAGES - 1, mm_count_present(mm_tree_pid(self->t, i), region, LEN));
		EXPECT_EQ(BUS_MCEERR_AR, mm_tree_call(self->t, i, probe_bad, NULL));
		EXPECT_EQ(0, mm_tree_call(self->t, i, others_wrong, NULL));
	}
	EXPECT_EQ(BUS_MCEERR_AR, probe_bad(NULL));
	EXPECT_EQ(0, others_wrong(NULL));
}

/* a child that is forked afterwards inherits the poisoned entry */
TEST_F(hwpoison, fork_after)
{
	ASSERT_EQ(0, inject(self->pfn));
	self->t = mm_tree_fork(1, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	EXPECT_EQ(BUS_MCEERR_AR, mm_tree_call(self->t, 0, probe_bad, NULL));
	EXPECT_EQ(0, mm_tree_call(self->t, 0, others_wrong, NULL));
	EXPECT_EQ(BUS_MCEERR_AR, probe_bad(NULL));
}

/* What early_kill's processes report, in memory that they share. */
struct early {
	int code[2];
	void *addr[2];
	int n;
};

static struct early *early;

static void on_early(int sig, siginfo_t *info, void *context)
{
	early->code[early->n % 2] = info->si_code;
	early->addr[early->n % 2] = info->si_addr;
	early->n++;
}

static int want_early(void *arg)
{
	struct sigaction sa = { .sa_sigaction = on_early, .sa_flags = SA_SIGINFO };

	return prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0) || sigaction(SIGBUS, &sa, NULL);
}

static int nothing(void *arg)
{
	return 0;
}

/* of the processes that map the page only the one that asked for it is told at once, with the address */
TEST_F(hwpoison, early_kill)
{
	early = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, early);
	self->t = mm_tree_fork(1, 3, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	ASSERT_EQ(0, mm_tree_call(self->t, 1, want_early, NULL));
	ASSERT_EQ(0, inject(self->pfn));
	/* The others have no handler: a signal would have killed them. */
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(0, mm_tree_call(self->t, i, nothing, NULL));
	EXPECT_EQ(1, early->n);
	EXPECT_EQ(BUS_MCEERR_AO, early->code[0]);
	EXPECT_EQ(bad, early->addr[0]);
	munmap(early, PAGE);
}

/* Where the process that asks for it maps the file. */
static char *elsewhere;

static int want_early_elsewhere(void *arg)
{
	return mremap(region, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere) != elsewhere || want_early(arg);
}

/* told at once of a page of a file is also who maps it but has never touched it, with the address in its own VMA */
TEST_F(hwpoison, early_kill_file)
{
	map_file(_metadata, self, mm_memfd(LEN));
	elsewhere = mm_reserve(LEN, PAGE);
	ASSERT_NE(NULL, elsewhere);
	early = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, early);
	self->t = mm_tree_fork(1, 3, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	ASSERT_EQ(0, mm_tree_call(self->t, 1, want_early_elsewhere, NULL));
	ASSERT_EQ(1, mm_kpagecount(self->pfn));
	ASSERT_EQ(0, inject(self->pfn));
	/* The others have no handler: a signal would have killed them. */
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(0, mm_tree_call(self->t, i, nothing, NULL));
	EXPECT_EQ(1, early->n);
	EXPECT_EQ(BUS_MCEERR_AO, early->code[0]);
	EXPECT_EQ(elsewhere + BAD * PAGE, early->addr[0]);
	munmap(early, PAGE);
	munmap(elsewhere, LEN);
}

/* a clean page of a file is dropped without a signal, and read again from the disk into another frame */
TEST_F(hwpoison, file_clean)
{
	map_file(_metadata, self, mm_tmpfile("/mnt", LEN));
	ASSERT_EQ(0, fsync(self->fd));
	self->t = mm_tree_fork(1, 2, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	ASSERT_EQ(0, mm_tree_call(self->t, 0, wrong_bytes, NULL));
	ASSERT_EQ(2, mm_kpagecount(self->pfn));
	ASSERT_EQ(0, inject(self->pfn));
	EXPECT_EQ(0, mm_kpagecount(self->pfn));
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(0, mm_tree_call(self->t, i, wrong_bytes, NULL));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
	EXPECT_NE(self->pfn, mm_pfn(0, bad));
	EXPECT_NE(0, mm_pfn(0, bad));
	EXPECT_EQ(mm_pfn(0, bad), mm_pfn(mm_tree_pid(self->t, 0), bad));
	EXPECT_EQ(0, fsync(self->fd));
}

/* a dirty page of a file is lost: SIGBUS for who maps it, EIO from fsync once, the file has its old bytes */
TEST_F(hwpoison, file_dirty)
{
	static char buf[PAGE];

	map_file(_metadata, self, mm_tmpfile("/mnt", LEN));
	ASSERT_EQ(0, fsync(self->fd));
	memset(bad, 0xee, PAGE);
	ASSERT_EQ(0, inject(self->pfn));
	EXPECT_EQ(BUS_MCEERR_AR, probe_bad(NULL));
	EXPECT_EQ(0, others_wrong(NULL));
	EXPECT_EQ(-1, fsync(self->fd));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(0, fsync(self->fd));
	ASSERT_EQ(PAGE, pread(self->fd, buf, PAGE, BAD * PAGE));
	EXPECT_EQ(-1, mm_check_from(buf, PAGE, SEED, BAD * PAGE));
}

/* a page of shmem has no other copy: SIGBUS in a new mapping too, EIO from read, until it is punched out */
TEST_F(hwpoison, shmem)
{
	static char buf[PAGE];

	map_file(_metadata, self, mm_memfd(LEN));
	ASSERT_EQ(0, inject(self->pfn));
	EXPECT_EQ(BUS_MCEERR_AR, probe_bad(NULL));
	EXPECT_EQ(0, others_wrong(NULL));
	ASSERT_EQ(region, mmap(region, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, self->fd, 0));
	EXPECT_EQ(BUS_MCEERR_AR, probe_bad(NULL));
	EXPECT_EQ(-1, pread(self->fd, buf, PAGE, BAD * PAGE));
	EXPECT_EQ(EIO, errno);
	ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, BAD * PAGE, PAGE));
	EXPECT_EQ(-1, mm_check_byte(bad, PAGE, 0));
	EXPECT_EQ(0, others_wrong(NULL));
}

/* system calls that read or write the poisoned page fail with EFAULT, or stop short before it */
TEST_F(hwpoison, system_calls)
{
	char buf[64] = { 0 };
	int fds[2], fd = mm_memfd(0);

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(0, inject(self->pfn));
	errno = 0;
	EXPECT_EQ(-1, write(fds[1], bad, 16));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(32, write(fd, bad - 32, 64));
	ASSERT_EQ(32, pread(fd, buf, 64, 0));
	EXPECT_EQ(-1, mm_check_from(buf, 32, SEED, BAD * PAGE - 32));
	ASSERT_EQ(64, write(fds[1], buf, 64));
	errno = 0;
	EXPECT_EQ(-1, read(fds[0], bad, 16));
	EXPECT_EQ(EFAULT, errno);
	errno = 0;
	EXPECT_EQ(-1, open(bad, O_RDONLY));
	EXPECT_EQ(EFAULT, errno);
	errno = 0;
	EXPECT_EQ(-1, syscall(SYS_futex, bad, FUTEX_WAIT_PRIVATE, 0, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, others_wrong(NULL));
	close(fd);
}

/* being locked does not keep a poisoned page mapped, and it is not counted as locked any more */
TEST_F(hwpoison, mlocked)
{
	struct mm_snap *before = mm_snap();

	ASSERT_EQ(0, mlock(region, LEN));
	ASSERT_EQ(PAGES, mm_delta(before, "nr_mlock"));
	ASSERT_EQ(0, inject(self->pfn));
	mm_lru_drain();
	EXPECT_EQ(PAGES - 1, mm_delta(before, "nr_mlock"));
	EXPECT_EQ(BUS_MCEERR_AR, probe_bad(NULL));
	EXPECT_EQ(0, others_wrong(NULL));
	ASSERT_EQ(0, munlock(region, LEN));
	mm_lru_drain();
	EXPECT_EQ(0, mm_delta(before, "nr_mlock"));
	EXPECT_EQ(0, mm_delta(before, "nr_unevictable"));
	mm_snap_free(before);
}

/* a clean page with a copy on swap is dropped without a signal, and read from there again */
TEST_F(hwpoison, swap_cache_clean)
{
	struct mm_snap *before;

	NEED(mm_need_swap());
	ASSERT_EQ(0, mm_pageout(region, LEN));
	mm_touch_read(region, LEN);
	self->pfn = mm_pfn(0, bad);
	ASSERT_NE(0, self->pfn);
	mm_lru_drain();
	ASSERT_TRUE(mm_kpf(self->pfn, KPF_SWAPCACHE));
	before = mm_snap();
	ASSERT_EQ(0, inject(self->pfn));
	EXPECT_EQ(1, mm_count_swapped(0, region, LEN));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
	EXPECT_EQ(1, mm_delta(before, "pswpin"));
	EXPECT_NE(self->pfn, mm_pfn(0, bad));
	mm_snap_free(before);
}

/* MADV_SOFT_OFFLINE moves the page with its bytes to another frame, for all who map it, without a signal */
TEST_F(hwpoison, soft_offline)
{
	self->t = mm_tree_fork(2, 1, NULL, NULL);
	ASSERT_NE(NULL, self->t);
	ASSERT_EQ(0, madvise(bad, PAGE, MADV_SOFT_OFFLINE));
	EXPECT_TRUE(mm_kpf(self->pfn, KPF_HWPOISON));
	EXPECT_EQ(PAGE / KB, mm_meminfo("HardwareCorrupted") - self->corrupted);
	EXPECT_NE(0, mm_pfn(0, bad));
	EXPECT_NE(self->pfn, mm_pfn(0, bad));
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(mm_pfn(0, bad), mm_pfn(mm_tree_pid(self->t, i), bad));
		EXPECT_EQ(0, mm_tree_call(self->t, i, wrong_bytes, NULL));
	}
	EXPECT_EQ(3, mm_kpagecount(mm_pfn(0, bad)));
	EXPECT_EQ(-1, mm_check(region, LEN, SEED));
}

TEST_HARNESS_MAIN
