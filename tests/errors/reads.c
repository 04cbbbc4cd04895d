// SPDX-License-Identifier: GPL-2.0
/*
 * Calls that only look at memory, or at what /proc says of it, with each allocation failing: an error, or the answer that they give
 * when nothing fails. The memory is watched by a userfaultfd, pinned, merged by KSM, guarded and in swap.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "mm.h"
#include "../uffd/uffd.h"
#include "walk.h"

#define SEED	91
#define PAGES	12
#define LEN	(PAGES * PAGE)

/* What each page is; those that are not named are filled. */
enum { PINNED = 3, MERGED = 4, MERGED_TOO = 5, SWAPPED = 6, UNTOUCHED = 7, GUARDED = 9, WATCHED = 10, MISSING = 11 };

/* A system call gets all that does not end it: what is before the guarded page, and the one behind it. */
#define DATA	((GUARDED + 1) * PAGE)

#define ANSWER	(64 * KB)

static char *region;
static char answer[ANSWER], right_answer[ANSWER];
static size_t answer_len, right_len;
static int fd, pipe_fd[2];
static uint64_t guard_bit;	/* of PAGEMAP_SCAN, where there is one */

static bool has_data(int page)
{
	return page != SWAPPED && page != UNTOUCHED && page != GUARDED && page != MISSING;
}

static size_t pattern_of(int page)
{
	return page == MERGED_TOO ? MERGED * PAGE : page * PAGE;
}

/* ---- the calls: 0 and the answer, or -errno ---- */

static int take(ssize_t n, size_t want)
{
	if (n < 0)
		return -errno;
	answer_len = n;
	return n == want ? 0 : -EAGAIN;
}

/* The lines of the region's VMAs, or (smaps_rollup) those that begin with one of @keep. */
static void of_region(const char *text, const char *const *keep)
{
	unsigned long start, end;
	const char *line, *next;
	bool inside = false;

	for (line = text; *line; line = next) {
		next = line + strcspn(line, "\n");
		next += *next == '\n';
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start < (unsigned long)region + LEN && end > (unsigned long)region;
		for (int i = 0; keep && keep[i]; i++)
			inside |= !strncmp(line, keep[i], strlen(keep[i]));
		if (inside) {
			memcpy(answer + answer_len, line, next - line);
			answer_len += next - line;
		}
		inside &= !keep;
	}
}

static int read_text(const char *path, const char *const *keep)
{
	static char text[ANSWER];
	size_t len = 0;
	ssize_t n;
	int f, err;

	f = open(path, O_RDONLY | O_CLOEXEC);
	if (f < 0)
		return -errno;
	while ((n = read(f, text + len, sizeof(text) - 1 - len)) > 0)
		len += n;
	err = n < 0 ? -errno : 0;
	close(f);
	text[len] = '\0';
	if (!err)
		of_region(text, keep);
	return err;
}

static int maps(struct walk *w)
{
	return read_text("/proc/self/maps", NULL);
}

static int smaps(struct walk *w)
{
	return read_text("/proc/self/smaps", NULL);
}

static int rollup(struct walk *w)
{
	static const char *const keep[] = { "KSM:", "Swap:", "SwapPss:", "Locked:", NULL };

	return read_text("/proc/self/smaps_rollup", keep);
}

static int pagemap(struct walk *w)
{
	return take(pread(fd, answer, PAGES * 8, (uintptr_t)region / PAGE * 8), PAGES * 8);
}

/* All categories, in as many regions as there may be. */
static int scan(struct walk *w)
{
	struct pm_scan_arg arg = {
		.size = sizeof(arg), .start = (uintptr_t)region, .end = (uintptr_t)region + LEN, .vec = (uintptr_t)answer,
		.vec_len = PAGES, .category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED | guard_bit,
		.return_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED | PAGE_IS_FILE | PAGE_IS_PFNZERO | guard_bit,
	};
	int n = ioctl(fd, PAGEMAP_SCAN, &arg);

	if (n < 0)
		return -errno;
	answer_len = n * sizeof(struct page_region);
	return arg.walk_end == arg.end ? 0 : -EAGAIN;
}

static int query(struct walk *w)
{
	struct procmap_query *q = (void *)answer;
	char *name = answer + (PAGES + 1) * sizeof(*q);

	/* The last one is of a file: this program. */
	for (int i = 0; i <= PAGES; i++) {
		q[i] = (struct procmap_query) {
			.size = sizeof(*q), .query_addr = i < PAGES ? (uintptr_t)region + i * PAGE : (uintptr_t)query,
			.vma_name_addr = (uintptr_t)name, .vma_name_size = 64,
		};
		if (ioctl(fd, PROCMAP_QUERY, &q[i]))
			return -errno;
		name += 64;
	}
	answer_len = name - answer;
	return 0;
}

static int in_core(struct walk *w)
{
	answer_len = PAGES;
	return mincore(region, LEN, (void *)answer) ? -errno : 0;
}

static int sync_all(struct walk *w)
{
	answer_len = 0;
	return msync(region, LEN, MS_SYNC | MS_INVALIDATE) ? -errno : 0;
}

static struct iovec *data(char *p)
{
	static struct iovec iov[2];

	iov[0] = (struct iovec) { p, GUARDED * PAGE };
	iov[1] = (struct iovec) { p + WATCHED * PAGE, PAGE };
	return iov;
}

static int readv_self(struct walk *w)
{
	struct iovec to = { answer, DATA };

	return take(process_vm_readv(getpid(), &to, 1, data(region), 2, 0), DATA);
}

static int writev_self(struct walk *w)
{
	struct iovec by = { right_answer, DATA };
	ssize_t n = process_vm_writev(getpid(), &by, 1, data(region), 2, 0);

	memcpy(answer, right_answer, DATA);
	return take(n, DATA);
}

static int read_mem(struct walk *w)
{
	ssize_t n = pread(fd, answer, GUARDED * PAGE, (uintptr_t)region);

	if (n == GUARDED * PAGE && pread(fd, answer + n, PAGE, (uintptr_t)region + WATCHED * PAGE) != PAGE)
		return -errno;
	return take(n < 0 ? n : n + PAGE, DATA);
}

static int to_pipe(struct walk *w)
{
	ssize_t n = vmsplice(pipe_fd[1], data(region), 2, SPLICE_F_NONBLOCK);
	int err = n < 0 ? errno : 0;

	if (n > 0)
		n = read(pipe_fd[0], answer, n);
	errno = err;
	return take(n, DATA);
}

static int pin_all(struct walk *w)
{
	answer_len = 0;
	return syscall(__NR_io_uring_register, fd, IORING_REGISTER_BUFFERS, data(region), 2U) ? -errno : 0;
}

static void unpin_all(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(0, syscall(__NR_io_uring_register, fd, IORING_UNREGISTER_BUFFERS, NULL, 0U));
}

/* Whose answer is that the pages are as if nobody had read them since. */
static int clear_refs(struct walk *w)
{
	return take(pwrite(fd, "1", 1, 0), 1);
}

static void touch(struct walk *w)
{
	for (int i = 0; i < PAGES; i++)
		if (has_data(i))
			mm_touch_read(region + i * PAGE, PAGE);
}

static int open_pagemap(void)
{
	return open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
}

static int open_maps(void)
{
	return open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
}

static int open_mem(void)
{
	return open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
}

static int open_clear_refs(void)
{
	return open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
}

static int open_ring(void)
{
	struct io_uring_params params = { 0 };

	return syscall(__NR_io_uring_setup, 1U, &params);
}

FIXTURE(reads) {
	struct walk w;
	struct mm_pin pin;
	int uffd;
	void *other;			/* of KSM */
};

FIXTURE_VARIANT(reads) {
	int (*call)(struct walk *w);
	int (*open)(void);
	void (*undo)(struct walk *w);
	bool brings;			/* pages: from swap, of zero, copies of what is merged */
	int error, or_error;
	int least;			/* allocations that fail it at least */
	unsigned int request;		/* an ioctl that not all kernels have */
};

#define V(variant) FIXTURE_VARIANT_ADD(reads, variant)
V(maps) { .call = maps, .error = ENOMEM, .least = 2 };
V(smaps) { .call = smaps, .error = ENOMEM, .least = 2 };
V(smaps_rollup) { .call = rollup, .error = ENOMEM, .least = 2 };
V(pagemap) { .call = pagemap, .open = open_pagemap, .error = ENOMEM, .least = 1 };
V(pagemap_scan) { .call = scan, .open = open_pagemap, .error = ENOMEM, .least = 1 };
V(procmap_query) { .call = query, .open = open_maps, .error = ENOMEM, .least = 1, .request = PROCMAP_QUERY };
V(mincore) { .call = in_core, .error = EAGAIN, .least = 1 };
V(msync) { .call = sync_all };
V(clear_refs) { .call = clear_refs, .open = open_clear_refs, .undo = touch, .error = ENOMEM };
V(process_vm_readv) { .call = readv_self, .brings = true, .error = EAGAIN, .or_error = ENOMEM };
V(process_vm_writev) { .call = writev_self, .brings = true, .error = EAGAIN, .or_error = ENOMEM };
V(mem) { .call = read_mem, .open = open_mem, .brings = true, .error = EAGAIN, .or_error = ENOMEM };
V(vmsplice) { .call = to_pipe, .brings = true, .error = EAGAIN, .or_error = ENOMEM };
V(pin) { .call = pin_all, .open = open_ring, .undo = unpin_all, .brings = true, .error = ENOMEM, .or_error = EFAULT, .least = 2 };

static const FIXTURE_VARIANT(reads) *v;
static uint64_t entries[PAGES];

static void read_entries(struct walk *w, uint64_t *to)
{
	struct __test_metadata *_metadata = w->_metadata;
	int f = open_pagemap();

	EXPECT_EQ(PAGES * 8, pread(f, to, PAGES * 8, (uintptr_t)region / PAGE * 8));
	close(f);
}

/* The bytes of all pages that can be read without a change, and the page table entries if the call leaves them. */
static void untouched(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;
	uint64_t now[PAGES];

	read_entries(w, now);
	for (int i = 0; i < PAGES; i++) {
		if (!v->brings || (i != MERGED && i != MERGED_TOO && i != SWAPPED && i != UNTOUCHED)) {
			EXPECT_EQ(entries[i], now[i]) TH_LOG("page %d", i);
		}
		if (has_data(i))
			EXPECT_EQ(-1, mm_check_from(region + i * PAGE, PAGE, SEED, pattern_of(i)));
	}
	EXPECT_TRUE(mm_vmflag(0, region + MISSING * PAGE, "um"));
}

static void same_answer(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(right_len, answer_len);
	EXPECT_EQ(0, memcmp(right_answer, answer, right_len));
	if (v->call == clear_refs)
		EXPECT_EQ(0, mm_smaps(0, region, "Referenced"));
	untouched(w);
}

static int ask(struct walk *w)
{
	memset(answer, 0xee, sizeof(answer));
	answer_len = 0;
	return v->call(w);
}

static void merge(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	for (int i = 0; i < 10 && mm_pfn(0, region + MERGED * PAGE) != mm_pfn(0, region + MERGED_TOO * PAGE); i++)
		EXPECT_EQ(0, mm_ksm_scan(1));
	EXPECT_EQ(mm_pfn(0, region + MERGED * PAGE), mm_pfn(0, region + MERGED_TOO * PAGE));
}

/* All pages as they were laid out, though perhaps in other frames. */
static void lay_out(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(0, madvise(region + UNTOUCHED * PAGE, PAGE, MADV_DONTNEED));
	merge(w);
	EXPECT_EQ(0, mm_pageout(region + SWAPPED * PAGE, PAGE));
	read_entries(w, entries);
}

static void undo(struct walk *w)
{
	if (v->undo)
		v->undo(w);
	if (v->brings)
		lay_out(w);
}

FIXTURE_SETUP(reads)
{
	struct walk *w = &self->w;

	NEED(mm_need_fail_nth());
	NEED(mm_need_swap());
	NEED(mm_need_ksm());
	NEED(mm_need_pin());
	NEED(uffd_need(UFFD_FEATURE_SIGBUS, "USERFAULTFD"));
	v = variant;
	*w = (struct walk) {
		._metadata = _metadata, .len = LEN, .error = v->error, .or_error = v->or_error, .call = ask, .done = same_answer,
		.intact = untouched, .undo = undo, .reclaims = v->brings,
	};
	fd = v->open ? v->open() : -1;
	if (v->open)
		ASSERT_LE(0, fd);
	ASSERT_EQ(0, pipe2(pipe_fd, O_CLOEXEC));
	w->p = region = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, region);
	for (int i = 0; i < PAGES; i++)
		if (has_data(i) || i == SWAPPED)
			mm_fill_from(region + i * PAGE, PAGE, SEED, pattern_of(i));
	self->other = mm_ksm_start();
	ASSERT_NE(NULL, self->other);
	ASSERT_EQ(0, madvise(region + MERGED * PAGE, 2 * PAGE, MADV_MERGEABLE));
	/* Without it, it is one more that is missing. */
	if (!mm_need_guard(MAP_PRIVATE)) {
		ASSERT_EQ(0, madvise(region + GUARDED * PAGE, PAGE, MADV_GUARD_INSTALL));
		guard_bit = PAGE_IS_GUARD;
	}
	self->uffd = uffd_open(UFFD_FEATURE_SIGBUS);
	ASSERT_LE(0, self->uffd);
	ASSERT_EQ(0, uffd_register(self->uffd, region + WATCHED * PAGE, 2 * PAGE, UFFDIO_REGISTER_MODE_MISSING));
	ASSERT_EQ(0, mm_pin_uring(&self->pin, region + PINNED * PAGE, PAGE));
	lay_out(w);
}

FIXTURE_TEARDOWN(reads)
{
	mm_unpin(&self->pin);
	close(self->uffd);
	mm_ksm_stop(self->other);
}

/* an error, or the whole answer; what was looked at is as it was, and whose it was */
TEST_F(reads, answer)
{
	struct walk *w = &self->w;
	int err;

	/* Those that write have to know what. */
	for (int i = 0; i < GUARDED; i++)
		if (i != UNTOUCHED)
			mm_fill_from(right_answer + i * PAGE, PAGE, SEED, pattern_of(i));
	mm_fill_from(right_answer + GUARDED * PAGE, PAGE, SEED, pattern_of(WATCHED));
	err = ask(w);
	if (v->request && err == -ENOTTY)
		SKIP(return, "needs PROCMAP_QUERY");
	ASSERT_EQ(0, err);
	/* Of the memory itself the answer is known. */
	if (v->brings && answer_len)
		EXPECT_EQ(0, memcmp(right_answer, answer, DATA));
	memcpy(right_answer, answer, answer_len);
	right_len = answer_len;
	undo(w);
	read_entries(w, entries);
	walk(w);
	EXPECT_LE(v->least, w->failed);
}

TEST_HARNESS_MAIN
