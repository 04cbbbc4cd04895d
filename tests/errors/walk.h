/* SPDX-License-Identifier: GPL-2.0 */
/* One call with each of its allocations failing in turn: what holds after each failure, and in the end. */
#ifndef MMUML_ERRORS_WALK_H
#define MMUML_ERRORS_WALK_H

/* Counters of the process that no failure may change. Page tables may stay, so VmPTE is none of them. */
static const char *const walk_counters[] = {
	"VmSize", "VmLck", "VmPin", "VmData", "RssAnon", "RssShmem", "VmSwap",
};

#define WALK_COUNTERS	(sizeof(walk_counters) / sizeof(walk_counters[0]))

/*
 * mmap() and execve() that fail have their charge back in 7.3, and in no kernel before; that counts what it rotates on the lists
 * of anonymous memory too, and no kernel before does.
 */
static inline const char *need_charge_back(void)
{
	return mm_need_vmstat("pgrotate_anon") ? "an mmap() that gives its charge back when it fails" : NULL;
}

/*
 * The call is made with the 1st, 2nd, 3rd ... allocation failing. When it returns an error, nothing may have
 * changed, and the same call without a failure must succeed. When it succeeds, with or without a failure, its
 * effect must be there. Then it is undone, and everything is as it was before the walk.
 */
struct walk {
	struct __test_metadata *_metadata;
	int (*call)(struct walk *w);		/* 0 or -errno */
	void (*done)(struct walk *w);		/* expect its effect */
	void (*undo)(struct walk *w);
	void (*intact)(struct walk *w);		/* expect the contents of before it */
	int error, or_error;			/* what the manual page promises */
	/* A VMA that was split for a call that failed then may stay split: the same mappings in more VMAs. */
	bool may_split;
	/* What a call that failed has changed is part of its contract; undo() is done after it. */
	bool may_change;
	bool any_commit;			/* leave Committed_AS to another case */
	bool reclaims;				/* anything: pages of the process itself and of the harness may go */
	int repeat_every;			/* a slow call is repeated after some failures only */

	char *p, *q;				/* the memory under test */
	size_t len;
	int seed;				/* of the bytes in it */
	int fd;

	/* Caches, with a NULL behind the last, of which nothing may be left, either; whether RCU frees of them. */
	const char *const *caches;
	bool by_rcu;
	struct mm_objects more;			/* what undo() has to leave */

	int nth, injected, failed;
	long counter[WALK_COUNTERS];
};

#define WALK_CACHES	8

#define WALK_TEXT	(64 * KB)

static char walk_then[WALK_TEXT], walk_now[WALK_TEXT], walk_text[WALK_TEXT];

struct walk_line {
	unsigned long start, end, offset, inode;
	char prot[5], path[200];
};

static bool walk_parse(const char *text, struct walk_line *l)
{
	int path = 0;

	if (sscanf(text, "%lx-%lx %4s %lx %*x:%*x %lu %n", &l->start, &l->end, l->prot, &l->offset, &l->inode,
		   &path) < 5 || !path)
		return false;
	snprintf(l->path, sizeof(l->path), "%.*s", (int)strcspn(text + path, "\n"), text + path);
	return true;
}

/* One mapping, in two VMAs? */
static bool walk_adjoins(const struct walk_line *a, const struct walk_line *b)
{
	return a->end == b->start && !strcmp(a->prot, b->prot) && !strcmp(a->path, b->path) &&
	       a->inode == b->inode && (!b->inode || a->offset + (a->end - a->start) == b->offset);
}

/* Without the inode: undo() may have to make a new file. */
static int walk_print(char *to, const struct walk_line *l)
{
	return sprintf(to, "%lx-%lx %s %lx %s\n", l->start, l->end, l->prot, l->offset, l->path);
}

/* /proc/self/maps; with @join, VMAs that could be one are shown as one. */
static void walk_maps(char *to, bool join)
{
	struct walk_line now, last = { 0 };
	char *line, *save = NULL;

	if (mm_read_file("/proc/self/maps", walk_text, WALK_TEXT) < 0)
		abort();
	for (line = strtok_r(walk_text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!walk_parse(line, &now))
			abort();
		if (join && last.end && walk_adjoins(&last, &now)) {
			last.end = now.end;
			continue;
		}
		if (last.end)
			to += walk_print(to, &last);
		last = now;
	}
	walk_print(to, &last);
}

static void walk_count(long *counter)
{
	char text[4096], *line;

	if (mm_read_file("/proc/self/status", text, sizeof(text)) < 0)
		abort();
	for (unsigned int i = 0; i < WALK_COUNTERS; i++) {
		line = strstr(text, walk_counters[i]);
		counter[i] = line ? atol(line + strlen(walk_counters[i]) + 1) : -1;
	}
}

/* The first line of @text that is not the same in @other. */
static const char *walk_difference(const char *text, const char *other)
{
	static char line[2][256];
	static int which;
	size_t i = 0;

	while (text[i] && text[i] == other[i])
		i++;
	while (i && text[i - 1] != '\n')
		i--;
	which = !which;
	snprintf(line[which], sizeof(line[0]), "%.*s", (int)strcspn(text + i, "\n"), text + i);
	return line[which];
}

static void walk_remember(struct walk *w)
{
	walk_maps(walk_then, w->may_split);
	walk_count(w->counter);
}

/* Expect the mappings and counters of walk_remember(). */
static void walk_unchanged(struct walk *w, const char *when)
{
	struct __test_metadata *_metadata = w->_metadata;
	long now[WALK_COUNTERS];

	walk_maps(walk_now, w->may_split);
	EXPECT_EQ(0, strcmp(walk_then, walk_now)) {
		TH_LOG("%s with allocation %d failing: %s\n# instead of %s", when, w->nth,
		       walk_difference(walk_now, walk_then), walk_difference(walk_then, walk_now));
	}
	walk_count(now);
	for (unsigned int i = 0; i < WALK_COUNTERS; i++) {
		const char *name = walk_counters[i];

		if (w->reclaims && (!strncmp(name, "Rss", 3) || !strcmp(name, "VmSwap")))
			continue;
		EXPECT_EQ(w->counter[i], now[i]) {
			TH_LOG("%s with allocation %d failing: %s", when, w->nth, name);
		}
	}
}

/* Returns whether the call was repeated, with success. */
static bool walk_failed(struct walk *w, int ret)
{
	struct __test_metadata *_metadata = w->_metadata;

	w->failed++;
	EXPECT_TRUE(mm_fail_injected());
	if (-ret != w->or_error)
		EXPECT_EQ(w->error, -ret) {
			TH_LOG("allocation %d failing: %s", w->nth, strerror(-ret));
		}
	if (!w->may_change)
		walk_unchanged(w, "after the call");
	w->intact(w);
	if (w->may_change)
		w->undo(w);
	if (w->repeat_every && w->nth % w->repeat_every)
		return false;
	EXPECT_EQ(0, w->call(w)) {
		TH_LOG("repeated after allocation %d had failed", w->nth);
	}
	return true;
}

static int walk_after(int nth, int ret, void *arg)
{
	struct walk *w = arg;
	struct __test_metadata *_metadata = w->_metadata;

	w->nth = nth;
	w->injected += mm_fail_injected();
	if (!ret || walk_failed(w, ret)) {
		w->done(w);
		w->undo(w);
		walk_unchanged(w, "after undoing it");
		w->intact(w);
	}
	if (__test_passed(_metadata))
		return 0;
	TH_LOG("allocation %d failing, result %d", nth, ret);
	return -ECANCELED;
}

/* Map fresh private memory there; whether it worked. */
static inline bool walk_map(char *p, size_t len)
{
	return mmap(p, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p;
}

/* expect every byte of the region */
static inline void walk_bytes(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(-1, mm_check(w->p, w->len, w->seed));
}

/* Let KSM merge all of the region: its pages have the same bytes, and mm_ksm_start() was called. */
static inline bool walk_is_merged(const char *p, int pages)
{
	uint64_t one = mm_pfn(0, p);

	for (int i = 1; i < pages; i++)
		if (mm_pfn(0, p + i * PAGE) != one)
			return false;
	return one;
}

static inline void walk_merge(struct walk *w, char *p, int pages)
{
	struct __test_metadata *_metadata = w->_metadata;

	EXPECT_EQ(0, madvise(p, pages * PAGE, MADV_MERGEABLE));
	for (int i = 0; i < 10 && !walk_is_merged(p, pages); i++)
		EXPECT_EQ(0, mm_ksm_scan(1));
	EXPECT_TRUE(walk_is_merged(p, pages));
}

/*
 * A walk over calls that split: @pages filled pages, the second third of them at w->q; false if they could not be mapped.
 */
static inline bool walk_split_region(struct walk *w, struct __test_metadata *metadata, int pages, int seed)
{
	*w = (struct walk) {
		._metadata = metadata, .len = pages * PAGE, .seed = seed, .error = ENOMEM, .intact = walk_bytes,
		.may_split = true,
	};
	w->p = mm_map_aligned(w->len, PAGE);
	if (!w->p)
		return false;
	w->q = w->p + pages / 3 * PAGE;
	mm_fill(w->p, w->len, seed);
	return true;
}

static int walk_call(void *arg)
{
	struct walk *w = arg;

	return w->call(w);
}

static int walk_nothing(void *arg)
{
	return 0;
}

/* The pages that the walk itself needs, its stack and its heap, are touched before they are counted. */
static void walk_warm_up(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;
	volatile char stack[64 * KB];
	char *heap = malloc(100 * KB), *more = malloc(100 * KB);

	ASSERT_TRUE(heap && more);
	mm_touch_write(heap, 100 * KB);
	mm_touch_write(more, 100 * KB);
	free(more);
	free(heap);
	for (size_t i = 0; i < sizeof(stack); i += PAGE)
		stack[i] = 1;
	mm_touch_write(walk_then, WALK_TEXT);
	mm_touch_write(walk_now, WALK_TEXT);
	mm_touch_write(walk_text, WALK_TEXT);
	for (int i = 0; i < 2; i++) {
		walk_remember(w);
		ASSERT_EQ(0, w->call(w));
		w->done(w);
		w->undo(w);
		w->intact(w);
	}
	ASSERT_EQ(0, mm_fail_walk(walk_nothing, NULL, w));
}

/* With KASAN or SLUB_RCU_DEBUG, which come with kmemleak in the debug profile, objects are freed late. */
static bool walk_frees_late(void)
{
	return !access("/sys/kernel/debug/kmemleak", F_OK);
}

static void walk_settle(void)
{
	if (walk_frees_late())
		mm_settle();
}

static void walk_look(struct walk *w, long *in_use)
{
	for (int i = 0; w->caches && w->caches[i]; i++)
		in_use[i] = mm_slab_now(w->caches[i]);
}

static void walk_caches(struct walk *w, long *in_use)
{
	walk_look(w, in_use);
	if (!w->caches || !walk_frees_late())
		return;
	/* What the first look took out of the quarantine waits for RCU. */
	mm_settle();
	walk_look(w, in_use);
}

/*
 * Whether there are as many as before, or (false) fewer: what another process has left, such as a ring of io_uring, goes late. RCU is
 * awaited while there is something to wait for: to ask for its end takes longer (rcu_barrier_throttled()).
 */
static bool walk_caches_unchanged(struct walk *w, const long *in_use)
{
	struct __test_metadata *_metadata = w->_metadata;
	long now[WALK_CACHES];
	bool same = true;

	walk_caches(w, now);
	for (int i = 0; w->caches && w->caches[i]; i++) {
		for (int ms = 0; w->by_rcu && now[i] != in_use[i] && ms < 100; ms++) {
			usleep(1000);
			now[i] = mm_slab_now(w->caches[i]);
		}
		if (now[i] != in_use[i])
			now[i] = mm_slab(w->caches[i]);
		EXPECT_GE(in_use[i], now[i]) TH_LOG("%s", w->caches[i]);
		same &= in_use[i] <= now[i];
	}
	return same;
}

static bool walk_once(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;
	long committed, swap, in_use[WALK_CACHES];
	struct mm_objects base;
	bool same;

	w->more = (struct mm_objects) { 0 };
	if (w->by_rcu)
		mm_settle();
	else
		walk_settle();
	walk_caches(w, in_use);
	base = mm_objects();
	committed = mm_meminfo("Committed_AS");
	swap = mm_swap_used();
	walk_remember(w);
	EXPECT_LE(0, mm_fail_walk(walk_call, walk_after, w));
	walk_settle();
	EXPECT_OBJECTS(base, w->more.anon_vma, w->more.chain, w->more.vma);
	same = walk_caches_unchanged(w, in_use);
	if (!w->any_commit)
		EXPECT_EQ(committed, mm_meminfo("Committed_AS"));
	if (!w->reclaims)
		EXPECT_EQ(swap, mm_swap_used());
	return same;
}

static void walk(struct walk *w)
{
	struct __test_metadata *_metadata = w->_metadata;
	int tries = 3;

	ASSERT_EQ(0, mm_fail_setup());
	walk_warm_up(w);
	/* Once, but for walks in which others' objects went. */
	while (!walk_once(w) && tries-- && __test_passed(_metadata))
		;
	EXPECT_LE(0, tries);
	mm_report("injected", w->injected);
	mm_report("failed", w->failed);
}

#endif
