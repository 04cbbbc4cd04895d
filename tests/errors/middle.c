// SPDX-License-Identifier: GPL-2.0
/*
 * Calls that change the middle of a mapping, with each allocation failing, while nobody, a userfaultfd, a pin or KSM holds on to it:
 * an error and not a page changed, or all of the middle and nothing else.
 */
#include "kselftest_harness.h"
#include <linux/mman.h>
#include <linux/prctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "mm.h"
#include "../uffd/uffd.h"
#include "walk.h"

#define SEED	81
#define PAGES	12
#define LEN	(PAGES * PAGE)
#define THIRD	(PAGES / 3 * PAGE)

/* A sealed region can never be used again: so many of them, each with a page behind it that is not mapped. */
#define REGIONS	48
#define STEP	(LEN + PAGE)

/* What smaps says of a page: its flags as a set of numbers of seen_flags[], and the name of its mapping. */
struct page_state {
	uint64_t flags;
	char name[32];
};

static char seen_flags[64][3];

static uint64_t flag_bit(const char *flag)
{
	int i = 0;

	while (i < 64 && seen_flags[i][0] && strcmp(seen_flags[i], flag))
		i++;
	if (i == 64)
		abort();
	memcpy(seen_flags[i], flag, 2);
	return 1ULL << i;
}

static uint64_t flag_set(const char *text)
{
	char buf[256], *save = NULL, *word;
	uint64_t set = 0;

	snprintf(buf, sizeof(buf), "%s", text ? text : "");
	for (word = strtok_r(buf, " \n", &save); word; word = strtok_r(NULL, " \n", &save))
		set |= flag_bit(word);
	return set;
}

/* All pages of the region, in one reading; flags are 0 where nothing is mapped. */
static void look(struct walk *w, struct page_state *state)
{
	unsigned long start = 0, end = 0, from, to;
	char line[256], name[32];
	static char buf[PAGE];
	FILE *f;

	memset(state, 0, PAGES * sizeof(*state));
	f = fopen("/proc/self/smaps", "re");
	if (!f)
		abort();
	setvbuf(f, buf, _IOFBF, sizeof(buf));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %31s", &from, &to, name) >= 2) {
			start = from;
			end = to;
			if (!strchr(line, '['))
				name[0] = '\0';
		} else if (!strncmp(line, "VmFlags: ", 9)) {
			for (int i = 0; i < PAGES; i++) {
				unsigned long at = (unsigned long)w->p + i * PAGE;

				if (at < start || at >= end)
					continue;
				state[i].flags = flag_set(line + 9);
				strcpy(state[i].name, name);
			}
		}
	}
	fclose(f);
}

FIXTURE(middle) {
	struct walk w;
	void *other;		/* of KSM */
};

FIXTURE_VARIANT(middle) {
	int (*call)(char *p, size_t len, int arg);	/* -1 and errno */
	int (*back)(char *p, size_t len, int arg);	/* for the region as a whole; NULL: there is none */
	int arg, back_arg;
	const char *gains, *loses;			/* flags */
	const char *name;
	int error;
	bool copies;					/* what KSM has merged */
	enum { NO_ONE, KSM, UFFD } own;			/* the holder that the call itself makes or ends */
};

/* ---- the calls ---- */

static int advise(char *p, size_t len, int advice)
{
	return madvise(p, len, advice);
}

static int protect(char *p, size_t len, int prot)
{
	return mprotect(p, len, prot);
}

static int lock(char *p, size_t len, int flags)
{
	return mlock2(p, len, flags);
}

static int unlock(char *p, size_t len, int unused)
{
	return munlock(p, len);
}

static int seal(char *p, size_t len, int unused)
{
	return mm_mseal(p, len);
}

static int give_name(char *p, size_t len, int has)
{
	return prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, len, has ? "middle" : NULL);
}

static int uffd = -1;

static int watch(char *p, size_t len, int unused)
{
	errno = uffd_register(uffd, p, len, UFFDIO_REGISTER_MODE_MISSING);
	return errno ? -1 : 0;
}

static int unwatch(char *p, size_t len, int unused)
{
	errno = uffd_unregister(uffd, p, len);
	return errno ? -1 : 0;
}

#define V(variant) FIXTURE_VARIANT_ADD(middle, variant)
#define RW	(PROT_READ | PROT_WRITE)
V(read_only) { .call = protect, .arg = PROT_READ, .back = protect, .back_arg = RW, .loses = "wr", .error = ENOMEM };
V(no_access) { .call = protect, .arg = PROT_NONE, .back = protect, .back_arg = RW, .loses = "rd wr", .error = ENOMEM };
V(dontfork) { .call = advise, .arg = MADV_DONTFORK, .back = advise, .back_arg = MADV_DOFORK, .gains = "dc", .error = EAGAIN };
V(dofork) { .call = advise, .arg = MADV_DOFORK, .back = advise, .back_arg = MADV_DONTFORK, .loses = "dc", .error = EAGAIN };
V(dontdump) { .call = advise, .arg = MADV_DONTDUMP, .back = advise, .back_arg = MADV_DODUMP, .gains = "dd", .error = EAGAIN };
V(wipeonfork) { .call = advise, .arg = MADV_WIPEONFORK, .back = advise, .back_arg = MADV_KEEPONFORK, .gains = "wf",
	.error = EAGAIN };
V(mergeable) { .call = advise, .arg = MADV_MERGEABLE, .back = advise, .back_arg = MADV_UNMERGEABLE, .gains = "mg",
	.error = EAGAIN, .own = KSM };
V(unmergeable) { .call = advise, .arg = MADV_UNMERGEABLE, .back = advise, .back_arg = MADV_MERGEABLE, .loses = "mg",
	.error = EAGAIN, .copies = true };
V(lock) { .call = lock, .back = unlock, .gains = "lo", .error = ENOMEM, .copies = true };
V(lock_on_fault) { .call = lock, .arg = MLOCK_ONFAULT, .back = unlock, .gains = "lo lf", .error = ENOMEM };
V(unlock) { .call = unlock, .back = lock, .loses = "lo", .error = ENOMEM, .copies = true };
V(name) { .call = give_name, .arg = 1, .back = give_name, .name = "[anon:middle]", .error = ENOMEM };
V(watch) { .call = watch, .back = unwatch, .gains = "um", .error = ENOMEM, .own = UFFD };
V(unwatch) { .call = unwatch, .back = watch, .loses = "um", .error = ENOMEM, .own = UFFD };
V(seal) { .call = seal, .gains = "sl", .error = ENOMEM };

/* ---- what has to hold ---- */

static const FIXTURE_VARIANT(middle) *v;
static struct page_state then[PAGES];

/* The pages that the call is for, and where one of the mappings that they lie in ends. */
static int first, last;
static const int *ends;

static int regions, last_error;
static struct mm_pin pin;
static uint64_t pinned_pfn;
static long sharing;	/* all pages of the region have the same bytes, and KSM knows: pages_sharing */

static void bytes(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	for (int i = 0; i < PAGES; i++)
		if (then[i].flags && !mm_probe_read(w->p + i * PAGE))
			EXPECT_EQ(-1, mm_check_from(w->p + i * PAGE, PAGE, SEED, sharing ? 0 : i * PAGE));
}

/* The first page that is not as it has to be if the call has reached page @upto; PAGES if there is none. */
static int first_wrong(const struct page_state *now, int upto)
{
	uint64_t gains = flag_set(v->gains), loses = flag_set(v->loses);
	int i;

	for (i = 0; i < PAGES; i++) {
		bool changed = first <= i && i < upto;
		uint64_t flags = changed ? (then[i].flags | gains) & ~loses : then[i].flags;
		const char *name = changed && v->name ? v->name : then[i].name;

		if (now[i].flags != flags || strcmp(now[i].name, name))
			break;
	}
	return i;
}

static void expect_upto(struct walk *w, int upto)
{
	struct __test_metadata *_metadata = w->_metadata;
	struct page_state now[PAGES];
	int wrong;

	look(w, now);
	wrong = first_wrong(now, upto);
	EXPECT_EQ(PAGES, wrong) TH_LOG("flags %#llx instead of %#llx, %s", (unsigned long long)now[wrong].flags,
				       (unsigned long long)then[wrong].flags, now[wrong].name);
	bytes(w);
	if (pinned_pfn && last_error != EAGAIN)
		EXPECT_EQ(pinned_pfn, mm_pfn(0, w->p + first * PAGE));
	if (sharing && !v->copies)
		EXPECT_EQ(sharing, mm_ksm_stat("pages_sharing"));
}

static void middle_done(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	expect_upto(w, last);
	if (!ends)
		EXPECT_EQ(3, mm_vma_count(0, w->p, LEN));
}

static void as_before(struct walk *w)
{
	/* mlock(2): "EAGAIN: Some or all of the specified address range could not be locked", which is what a copy needed. */
	expect_upto(w, v->call == lock && last_error == EAGAIN ? last : first);
}

/* Of several mappings those before the failure may have changed, and none in part. */
static void some_done(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;
	struct page_state now[PAGES];
	const int *end = ends;

	look(w, now);
	while (*end != last && first_wrong(now, *end) < PAGES)
		end++;
	EXPECT_NE(last, *end) TH_LOG("page %d", first_wrong(now, first));
	bytes(w);
}

static int call_middle(struct walk *w)
{
	last_error = v->call(w->p + first * PAGE, (last - first) * PAGE, v->arg) ? errno : 0;
	return -last_error;
}

/* The regions share one page. */
static void merge(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	for (int i = 0; i < regions; i++)
		EXPECT_EQ(0, madvise(w->p + i * STEP, LEN, MADV_MERGEABLE));
	for (int i = 0; i < regions; i++)
		walk_merge(w, w->p + i * STEP, PAGES);
	sharing = mm_ksm_stat("pages_sharing");
	EXPECT_LE(regions * PAGES - 1, sharing);
}

/* Another part of the memory, which is as this one was. */
static void next_region(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;
	int grown = mm_vma_count(0, w->p, LEN) - (ends ? 3 : 1);

	w->more.vma += grown;
	w->more.chain += grown;
	w->p += STEP;
	ASSERT_LT(0, --regions);
	if (pinned_pfn)
		pinned_pfn = mm_pfn(0, w->p + first * PAGE);
}

static void divide(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(0, madvise(w->p + THIRD, THIRD, MADV_RANDOM));
	EXPECT_EQ(3, mm_vma_count(0, w->p, LEN));
}

static void go_back(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	if (!v->back) {
		next_region(w);
		return;
	}
	if (ends)
		EXPECT_EQ(0, madvise(w->p, LEN, MADV_NORMAL));
	EXPECT_EQ(0, v->back(w->p, LEN, v->back_arg));
	/* What a failure has split merges when something changes. */
	if (!last_error)
		EXPECT_EQ(1, mm_vma_count(0, w->p, LEN));
	last_error = 0;
	if (ends)
		divide(w);
	if (sharing && v->copies)
		merge(w);
}

static void fill(struct walk *w, bool alike)
{
	for (int i = 0; i < regions * PAGES; i++)
		mm_fill_from(w->p + i / PAGES * STEP + i % PAGES * PAGE, PAGE, SEED, alike ? 0 : i % PAGES * PAGE);
}

static void walk_middle(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	look(w, then);
	walk(w);
	/* A split on each side. */
	EXPECT_LE(2, w->failed);
}

FIXTURE_SETUP(middle)
{
	struct walk *w = &self->w;

	NEED(mm_need_fail_nth());
	v = variant;
	regions = v->back ? 1 : REGIONS;
	first = PAGES / 3;
	last = 2 * first;
	*w = (struct walk) {
		._metadata = _metadata, .len = LEN, .error = v->error, .or_error = v->name ? EAGAIN : 0,
		.call = call_middle, .done = middle_done, .intact = as_before, .undo = go_back, .may_split = true,
	};
	w->p = mm_map_aligned(regions * STEP, PAGE);
	ASSERT_NE(NULL, w->p);
	for (int i = 0; i < regions; i++)
		ASSERT_EQ(0, munmap(w->p + i * STEP + LEN, PAGE));
	fill(w, false);
	if (v->own == UFFD) {
		NEED(uffd_need(UFFD_FEATURE_SIGBUS, "USERFAULTFD"));
		uffd = uffd_open(UFFD_FEATURE_SIGBUS);
	}
	if (v->back)
		ASSERT_EQ(0, v->back(w->p, LEN, v->back_arg)) {
			if (errno == EINVAL)
				SKIP(return, "needs the advice");
		}
}

FIXTURE_TEARDOWN(middle)
{
}

/* nobody holds on to it: the error that the manual page has, and no page has changed */
TEST_F(middle, alone)
{
	walk_middle(&self->w);
}

/* a userfaultfd watches it, and goes on to watch every page of it */
TEST_F(middle, watched)
{
	static const char *const caches[] = { "userfaultfd_ctx_cache", NULL };
	struct walk *w = &self->w;

	NEED(uffd_need(UFFD_FEATURE_SIGBUS, "USERFAULTFD"));
	if (v->own == UFFD)
		SKIP(return, "needs memory that no userfaultfd has yet");
	uffd = uffd_open(UFFD_FEATURE_SIGBUS);
	ASSERT_LE(0, uffd);
	for (int i = 0; i < regions; i++)
		ASSERT_EQ(0, uffd_register(uffd, w->p + i * STEP, LEN, UFFDIO_REGISTER_MODE_MISSING));
	w->caches = caches;
	walk_middle(w);
	munlock(w->p, LEN);
	ASSERT_EQ(0, madvise(w->p, LEN, MADV_DONTNEED));
	for (int i = 0; i < PAGES; i++)
		EXPECT_EQ(SIGBUS, mm_probe_read(w->p + i * PAGE));
	close(uffd);
}

/* a page of it is pinned, and stays in its frame */
TEST_F(middle, pinned)
{
	struct walk *w = &self->w;

	NEED(mm_need_pin());
	ASSERT_EQ(0, mm_pin_uring_stride(&pin, w->p + first * PAGE, (regions - 1) * STEP + PAGE, STEP / PAGE));
	pinned_pfn = mm_pfn(0, w->p + first * PAGE);
	ASSERT_NE(0, pinned_pfn);
	walk_middle(w);
	EXPECT_EQ(pinned_pfn, mm_pfn(0, w->p + first * PAGE));
	mm_unpin(&pin);
}

/* KSM has merged all of its pages, and they stay merged unless that is what the call ends */
TEST_F(middle, merged)
{
	static const char *const caches[] = { "ksm_stable_node", "ksm_mm_slot", NULL };
	struct walk *w = &self->w;

	NEED(mm_need_ksm());
	if (v->own == KSM)
		SKIP(return, "needs memory that is not mergeable yet");
	/* Those that one page can stand for. */
	if (regions > 20)
		regions = 20;
	self->other = mm_ksm_start();
	ASSERT_NE(NULL, self->other);
	fill(w, true);
	merge(w);
	ASSERT_LT(0, sharing);
	w->caches = caches;
	w->may_change = v->copies;
	if (v->call == lock)
		w->or_error = EAGAIN;
	walk_middle(w);
	mm_ksm_stop(self->other);
}

/* three mappings, the outer ones in part: those before the failure have changed, and none is changed in part */
TEST_F(middle, three)
{
	static const int three_ends[] = { 2, THIRD / PAGE, 2 * THIRD / PAGE, PAGES - 2 };
	struct walk *w = &self->w;
	char *start = w->p;

	ends = three_ends;
	first = ends[0];
	last = ends[3];
	w->intact = some_done;
	w->may_change = true;
	for (int i = 0; i < regions; i++, w->p += STEP)
		divide(w);
	w->p = start;
	walk_middle(w);
}

/* Bytes that process_madvise() said it has advised. */
static ssize_t advised;
static int pidfd;

/* Every second page. */
static int call_process(struct walk *w)
{
	struct iovec iov[PAGES / 2];

	for (int i = 0; i < PAGES / 2; i++)
		iov[i] = (struct iovec) { w->p + 2 * i * PAGE, PAGE };
	advised = syscall(__NR_process_madvise, pidfd, iov, (size_t)PAGES / 2, MADV_DONTFORK, 0U);
	if (advised < 0) {
		last_error = errno;
		advised = 0;
		return -last_error;
	}
	return advised == LEN / 2 ? 0 : -EAGAIN;
}

static void as_it_said(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;
	struct page_state now[PAGES];

	look(w, now);
	for (int i = 0; i < PAGES; i++)
		EXPECT_EQ(i % 2 == 0 && i / 2 * PAGE < advised, !!(now[i].flags & flag_set("dc")));
	bytes(w);
}

static void all_advised(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(LEN / 2, advised);
	as_it_said(w);
}

static void unadvise(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(0, madvise(w->p, LEN, MADV_DOFORK));
	advised = 0;
}

/* process_madvise() of six ranges: EAGAIN, or the number of bytes that have the advice, and those have it that come first */
TEST(process)
{
	struct walk w = {
		._metadata = _metadata, .len = LEN, .error = EAGAIN, .call = call_process, .done = all_advised, .undo = unadvise,
		.intact = as_it_said, .may_split = true, .may_change = true,
	};

	NEED(mm_need_fail_nth());
	w.p = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, w.p);
	regions = 1;
	fill(&w, false);
	look(&w, then);
	pidfd = syscall(__NR_pidfd_open, getpid(), 0);
	ASSERT_LE(0, pidfd);
	if (call_process(&w) && last_error == EINVAL)
		SKIP(return, "needs process_madvise() of the own memory with any advice");
	unadvise(&w);
	walk(&w);
	EXPECT_LE(PAGES / 2, w.failed);
	close(pidfd);
}

TEST_HARNESS_MAIN
