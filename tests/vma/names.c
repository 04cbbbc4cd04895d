// SPDX-License-Identifier: GPL-2.0
/*
 * Names of anonymous memory: PR_SET_VMA_ANON_NAME (PR_SET_VMA(2const), Documentation/filesystems/proc.rst: "[anon:<name>]",
 * "[anon_shmem:<name>]"). They follow the mapping, keep mappings apart whose names differ, and are freed with it.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	8
#define LEN	(PAGES * PAGE)
#define ROUNDS	1000
#define NAME_MAX_ 80			/* with its end */
#define RW	(PROT_READ | PROT_WRITE)
/* Where the kernel has a name: four bytes and the name. */
#define CACHE	"kmalloc-96"

/* 0 or the errno */
static int set_name(void *p, size_t len, const char *name)
{
	return prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, len, name) ? errno : 0;
}

static const char *need_names(void)
{
	char *p = mm_map_aligned(PAGE, PAGE);
	int err = set_name(p, PAGE, "name");

	munmap(p, PAGE);
	return err ? "PR_SET_VMA_ANON_NAME" : NULL;
}

FIXTURE(named) {
	char *p;
};

FIXTURE_VARIANT(named) {
	int flags;
	const char *kind;
};

FIXTURE_VARIANT_ADD(named, private) { MAP_PRIVATE, "anon" };
FIXTURE_VARIANT_ADD(named, shared) { MAP_SHARED, "anon_shmem" };

static char *map(int flags)
{
	char *p = mm_reserve(LEN, PAGE);

	return mmap(p, LEN, RW, flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p ? p : NULL;
}

FIXTURE_SETUP(named)
{
	NEED(need_names());
	self->p = map(variant->flags);
	ASSERT_NE(NULL, self->p);
}

FIXTURE_TEARDOWN(named)
{
	munmap(self->p, LEN);
}

/* Whether the mapping at @p is called so. */
static bool is_called(const char *kind, const char *p, const char *name)
{
	char want[128];
	struct mm_vma vma;

	snprintf(want, sizeof(want), "[%s:%s]", kind, name);
	return !mm_vma(0, p, &vma) && !strcmp(vma.path, want);
}

static bool has_none(const char *p)
{
	struct mm_vma vma;

	return !mm_vma(0, p, &vma) && !strstr(vma.path, "[anon");
}

/* maps and smaps show the name, of a part as well, which is a mapping then; another takes its place, none ends it */
TEST_F(named, shown)
{
	ASSERT_EQ(0, set_name(self->p, LEN, "first"));
	EXPECT_TRUE(is_called(variant->kind, self->p, "first"));
	ASSERT_EQ(0, set_name(self->p + 2 * PAGE, 3 * PAGE, "second"));
	EXPECT_EQ(3, mm_vma_count(0, self->p, LEN));
	EXPECT_TRUE(is_called(variant->kind, self->p + PAGE, "first"));
	EXPECT_TRUE(is_called(variant->kind, self->p + 2 * PAGE, "second"));
	EXPECT_TRUE(is_called(variant->kind, self->p + 5 * PAGE, "first"));
	ASSERT_EQ(0, set_name(self->p, LEN, "third"));
	EXPECT_EQ(1, mm_vma_count(0, self->p, LEN));
	EXPECT_TRUE(is_called(variant->kind, self->p, "third"));
	ASSERT_EQ(0, set_name(self->p, LEN, NULL));
	EXPECT_TRUE(has_none(self->p) || variant->flags == MAP_SHARED);
	EXPECT_FALSE(is_called(variant->kind, self->p, "third"));
}

static int child_sees(void *arg)
{
	const FIXTURE_VARIANT(named) *variant = arg;
	char *maps = mm_maps(0), want[32];

	snprintf(want, sizeof(want), "[%s:moved]", variant->kind);
	return maps && strstr(maps, want) ? 0 : 1;
}

/* the name goes with a mapping that is split, protected, moved, grown, left behind, and with a child */
TEST_F(named, follows)
{
	char *to = mm_reserve(2 * LEN, PAGE);

	ASSERT_EQ(0, set_name(self->p, LEN, "moved"));
	ASSERT_EQ(0, mprotect(self->p + PAGE, PAGE, PROT_READ));
	EXPECT_TRUE(is_called(variant->kind, self->p + PAGE, "moved"));
	ASSERT_EQ(0, mprotect(self->p + PAGE, PAGE, RW));
	EXPECT_EQ(1, mm_vma_count(0, self->p, LEN));
	munmap(to, 2 * LEN);
	ASSERT_EQ(to, mremap(self->p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to));
	self->p = to;
	EXPECT_TRUE(is_called(variant->kind, to, "moved"));
	ASSERT_EQ(to, mremap(to, LEN, 2 * LEN, 0));
	EXPECT_TRUE(is_called(variant->kind, to + LEN, "moved"));
	ASSERT_EQ(to, mremap(to, 2 * LEN, LEN, 0));
	EXPECT_TRUE(is_called(variant->kind, to, "moved"));
	EXPECT_EQ(0, mm_in_child(child_sees, (void *)variant));
}

/* neighbours with other names, or one of them without any, are two mappings; with the same one they are one */
TEST_F(named, keeps_apart)
{
	char *room = mm_reserve(2 * LEN, PAGE);

	ASSERT_EQ(room, mmap(room, 2 * LEN, RW, variant->flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	ASSERT_EQ(0, set_name(room, LEN, "one"));
	EXPECT_EQ(2, mm_vma_count(0, room, 2 * LEN));
	ASSERT_EQ(0, set_name(room + LEN, LEN, "two"));
	EXPECT_EQ(2, mm_vma_count(0, room, 2 * LEN));
	ASSERT_EQ(0, set_name(room + LEN, LEN, "one"));
	EXPECT_EQ(1, mm_vma_count(0, room, 2 * LEN));
	munmap(room, 2 * LEN);
}

/* Objects in use where names are, and may be others. */
static long objects(void)
{
	return mm_slab(CACHE);
}

/* Each a name of its own, so that none is shared with another. */
static const char *long_name(int round)
{
	static char name[NAME_MAX_];

	snprintf(name, sizeof(name), "%078d", round);
	return name;
}

/* How a name may come to its end, @p being a mapping with one. */
static int end_unmap(char *p, int round)
{
	return munmap(p, LEN);
}

static int end_replaced(char *p, int round)
{
	return set_name(p, LEN, "x") || munmap(p, LEN);
}

static int end_removed(char *p, int round)
{
	return set_name(p, LEN, NULL) || munmap(p, LEN);
}

static int end_covered(char *p, int round)
{
	return mmap(p, LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != p || munmap(p, LEN);
}

static int end_split(char *p, int round)
{
	return set_name(p + PAGE, PAGE, "x") || mprotect(p + 3 * PAGE, PAGE, PROT_READ) || munmap(p + 5 * PAGE, PAGE) ||
	       munmap(p, LEN);
}

static int end_moved(char *p, int round)
{
	char *to = mremap(p, LEN, 2 * LEN, MREMAP_MAYMOVE);

	return to == MAP_FAILED || munmap(to, 2 * LEN);
}

static int end_same(char *p, int round)
{
	return set_name(p, LEN, long_name(round)) || munmap(p, LEN);
}

static int end_refused(char *p, int round)
{
	return set_name(p, LEN, "[") != EINVAL || set_name(p + 1, LEN, long_name(round)) != EINVAL || munmap(p, LEN);
}

static int nothing(void *arg)
{
	return 0;
}

static int end_forked(char *p, int round)
{
	/* Processes are dear, and few are enough to be seen. */
	return (round % 4 ? 0 : mm_in_child(nothing, NULL)) || munmap(p, LEN);
}

static const struct way {
	const char *name;
	int (*end)(char *p, int round);
} ways[] = {
	{ "unmapped", end_unmap }, { "replaced", end_replaced }, { "removed", end_removed }, { "covered", end_covered },
	{ "split", end_split }, { "moved", end_moved }, { "the same again", end_same }, { "refused", end_refused },
	{ "forked", end_forked },
};

#define WAYS	(sizeof(ways) / sizeof(*ways))

/* Rounds that end so, or not at all; how many failed. */
static int rounds(int flags, int n, const struct way *way)
{
	int failed = 0;

	for (int i = 0; i < n; i++) {
		char *p = mmap(NULL, LEN, RW, flags | MAP_ANONYMOUS, -1, 0);

		failed += p == MAP_FAILED || set_name(p, LEN, long_name(i)) || (way && way->end(p, i));
	}
	return failed;
}

/* after a thousand names there is no object more than before, however they ended */
TEST_F(named, freed)
{
	const int n = ROUNDS / WAYS;
	long before;

	NEED(objects() < 0 ? CACHE " in /sys/kernel/slab" : NULL);
	before = objects();
	for (size_t i = 0; i < WAYS; i++)
		EXPECT_EQ(0, rounds(variant->flags, n, &ways[i]));
	/* Others have objects there, too, of which some come and go. */
	EXPECT_GT(before + n / 2, objects());
	for (size_t i = 0; i < WAYS && _metadata->exit_code != KSFT_PASS; i++) {
		before = objects();
		rounds(variant->flags, n, &ways[i]);
		TH_LOG("%s: %ld of %d", ways[i].name, objects() - before, n);
	}
}

/* while they are there they are seen in that cache: what the others count is what a name is */
TEST(held)
{
	long before;

	NEED(need_names());
	before = objects();
	NEED(before < 0 ? CACHE " in /sys/kernel/slab" : NULL);
	ASSERT_EQ(0, rounds(MAP_PRIVATE, ROUNDS / 4, NULL));
	EXPECT_LT(before + ROUNDS / 4 - ROUNDS / 40, objects());
}

/* names that are too long or not to be printed, ranges that are none, and memory with a file of its own are refused */
TEST(refused)
{
	static const char *const bad[] = { "a[b", "a]b", "a$b", "a`b", "a\\b", "a\nb", "a\x7f", "\xc3\xa4" };
	char *p = mm_map_aligned(LEN, PAGE), name[NAME_MAX_ + 1];
	char *hole = mm_reserve(PAGE, PAGE);
	int fd = mm_memfd(LEN), file = mm_tmpfile("/mnt", LEN);

	NEED(need_names());
	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, set_name(p, LEN, "name"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		EXPECT_EQ(EINVAL, set_name(p, LEN, bad[i]));
	memset(name, 'n', NAME_MAX_);
	name[NAME_MAX_] = 0;
	EXPECT_EQ(EINVAL, set_name(p, LEN, name));
	EXPECT_EQ(EFAULT, set_name(p, LEN, hole));
	EXPECT_EQ(EFAULT, set_name(p, LEN, (char *)-PAGE));
	EXPECT_EQ(EINVAL, set_name(p + 1, PAGE, "x"));
	EXPECT_EQ(EINVAL, set_name(p, -1UL, "x"));
	EXPECT_EQ(EINVAL, set_name(p, -PAGE, "x"));
	EXPECT_TRUE(is_called("anon", p, "name"));
	name[NAME_MAX_ - 1] = 0;
	EXPECT_EQ(0, set_name(p, LEN, name));
	EXPECT_TRUE(is_called("anon", p, name));
	EXPECT_EQ(0, set_name(p, LEN, ""));
	EXPECT_TRUE(is_called("anon", p, ""));
	EXPECT_EQ(0, set_name(p, 0, "x"));
	EXPECT_TRUE(is_called("anon", p, ""));
	/* A hole is ENOMEM, what lies before it has the name. */
	ASSERT_EQ(0, munmap(p + PAGE, PAGE));
	EXPECT_EQ(ENOMEM, set_name(p, 3 * PAGE, "x"));
	EXPECT_TRUE(is_called("anon", p, "x"));
	p = mmap(NULL, LEN, RW, MAP_PRIVATE, file, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(EBADF, set_name(p, LEN, "x"));
	p = mmap(NULL, LEN, RW, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	/* A memfd is anonymous memory, and has a name. */
	EXPECT_EQ(0, set_name(p, LEN, "x"));
}

TEST_HARNESS_MAIN
