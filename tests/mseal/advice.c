// SPDX-License-Identifier: GPL-2.0
/*
 * madvise(2) of sealed mappings. Documentation/userspace-api/mseal.rst: "Certain destructive madvise behaviors [...] can introduce
 * risks when applied to anonymous memory by threads lacking write permissions": these are EPERM, and no others.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	4
#define LEN	(PAGES * PAGE)
#define SEED	1

/* All advice but MADV_HWPOISON and MADV_SOFT_OFFLINE, which is about frames: what keeps the bytes, */
static const struct advice {
	const char *name;
	int nr;
} harmless[] = {
	{ "NORMAL", MADV_NORMAL },
	{ "RANDOM", MADV_RANDOM },
	{ "SEQUENTIAL", MADV_SEQUENTIAL },
	{ "WILLNEED", MADV_WILLNEED },
	{ "COLD", MADV_COLD },
	{ "PAGEOUT", MADV_PAGEOUT },
	{ "POPULATE_READ", MADV_POPULATE_READ },
	{ "POPULATE_WRITE", MADV_POPULATE_WRITE },
	{ "MERGEABLE", MADV_MERGEABLE },
	{ "UNMERGEABLE", MADV_UNMERGEABLE },
	{ "HUGEPAGE", MADV_HUGEPAGE },
	{ "NOHUGEPAGE", MADV_NOHUGEPAGE },
	{ "COLLAPSE", MADV_COLLAPSE },
	{ "DONTDUMP", MADV_DONTDUMP },
	{ "DODUMP", MADV_DODUMP },
	{ "DOFORK", MADV_DOFORK },
	{ "KEEPONFORK", MADV_KEEPONFORK },
	{ "GUARD_REMOVE", MADV_GUARD_REMOVE },
	{ "7", 7 },			/* no advice: EINVAL */
}, discards[] = {	/* and what gives them up, here or in a child */
	{ "DONTFORK", MADV_DONTFORK },
	{ "WIPEONFORK", MADV_WIPEONFORK },
	{ "FREE", MADV_FREE },
	{ "REMOVE", MADV_REMOVE },
	{ "GUARD_INSTALL", MADV_GUARD_INSTALL },
	{ "DONTNEED_LOCKED", MADV_DONTNEED_LOCKED },
	{ "DONTNEED", MADV_DONTNEED },
};

#define COUNT(a)	(sizeof(a) / sizeof(*(a)))

FIXTURE(sealed) {
	char *p, *twin;		/* the same in all but the seal */
	int fd;
};

FIXTURE_VARIANT(sealed) {
	int flags, prot;
	const char *dir;	/* of a file, "" is a memfd */
	bool refused;		/* what discards is EPERM */
};

FIXTURE_VARIANT_ADD(sealed, private_read) { .flags = MAP_PRIVATE, .prot = PROT_READ, .refused = true };
FIXTURE_VARIANT_ADD(sealed, private_none) { .flags = MAP_PRIVATE, .prot = PROT_NONE, .refused = true };
FIXTURE_VARIANT_ADD(sealed, private_exec) { .flags = MAP_PRIVATE, .prot = PROT_READ | PROT_EXEC, .refused = true };
FIXTURE_VARIANT_ADD(sealed, private_write) { .flags = MAP_PRIVATE, .prot = PROT_READ | PROT_WRITE };
FIXTURE_VARIANT_ADD(sealed, shared_read) { .flags = MAP_SHARED, .prot = PROT_READ };
FIXTURE_VARIANT_ADD(sealed, shared_write) { .flags = MAP_SHARED, .prot = PROT_READ | PROT_WRITE };
FIXTURE_VARIANT_ADD(sealed, memfd_read) { .flags = MAP_SHARED, .prot = PROT_READ, .dir = "" };
FIXTURE_VARIANT_ADD(sealed, memfd_private_read) { .flags = MAP_PRIVATE, .prot = PROT_READ, .dir = "" };
FIXTURE_VARIANT_ADD(sealed, file_read) { .flags = MAP_SHARED, .prot = PROT_READ, .dir = "/mnt" };
FIXTURE_VARIANT_ADD(sealed, file_write) { .flags = MAP_SHARED, .prot = PROT_READ | PROT_WRITE, .dir = "/mnt" };
FIXTURE_VARIANT_ADD(sealed, file_private_read) { .flags = MAP_PRIVATE, .prot = PROT_READ, .dir = "/mnt" };

/* LEN bytes of the mapping that the variant asks for, filled. */
static char *map(const FIXTURE_VARIANT(sealed) *variant, int *fd)
{
	char *p;

	*fd = variant->dir ? mm_tmpfile(variant->dir, LEN) : -1;
	if (variant->dir && *fd < 0)
		return NULL;
	p = mm_map(LEN, PAGE, variant->flags, *fd);
	if (!p)
		return NULL;
	mm_fill(p, LEN, SEED);
	return mprotect(p, LEN, variant->prot) ? NULL : p;
}

static const char *need_mseal(void)
{
	char *p = mm_map_aligned(PAGE, PAGE);

	return p && !mm_mseal(p, 0) ? NULL : "mseal(2)";
}

FIXTURE_SETUP(sealed)
{
	int fd;

	NEED(need_mseal());
	self->p = map(variant, &self->fd);
	self->twin = map(variant, &fd);
	ASSERT_NE(NULL, self->p);
	ASSERT_NE(NULL, self->twin);
	ASSERT_EQ(0, mm_mseal(self->p, LEN));
}

FIXTURE_TEARDOWN(sealed)
{
	close(self->fd);
}

/* 0 or the errno */
static int advise(char *p, size_t len, int nr)
{
	return madvise(p, len, nr) ? errno : 0;
}

/* advice that keeps the bytes does on a sealed mapping what it does on one that is not, and is never EPERM */
TEST_F(sealed, harmless)
{
	for (size_t i = 0; i < COUNT(harmless); i++) {
		EXPECT_EQ(advise(self->twin, LEN, harmless[i].nr), advise(self->p, LEN, harmless[i].nr))
			TH_LOG("MADV_%s", harmless[i].name);
	}
	if (variant->prot & PROT_READ) {
		EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
	}
	EXPECT_EQ(EPERM, munmap(self->p, LEN) ? errno : 0);
}

/* what discards is EPERM, and keeps the bytes, if the memory is private, anonymous and not writable; else it is as ever */
TEST_F(sealed, discards)
{
	for (size_t i = 0; i < COUNT(discards); i++) {
		if (discards[i].nr == MADV_GUARD_INSTALL && mm_need_guard(MAP_PRIVATE | MAP_ANONYMOUS))
			continue;
		if (variant->refused) {
			EXPECT_EQ(EPERM, advise(self->p, LEN, discards[i].nr)) TH_LOG("MADV_%s", discards[i].name);
			EXPECT_EQ(PAGES, mm_count_present(0, self->p, LEN)) TH_LOG("MADV_%s", discards[i].name);
		} else {
			EXPECT_EQ(advise(self->twin, LEN, discards[i].nr), advise(self->p, LEN, discards[i].nr))
				TH_LOG("MADV_%s", discards[i].name);
			EXPECT_EQ(mm_count_present(0, self->twin, LEN), mm_count_present(0, self->p, LEN))
				TH_LOG("MADV_%s", discards[i].name);
		}
	}
	if (variant->refused && variant->prot & PROT_READ) {
		EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
	}
}



FIXTURE(in_part) {
	char *p;
};

FIXTURE_VARIANT(in_part) {
	int prot;
};

FIXTURE_VARIANT_ADD(in_part, read) { .prot = PROT_READ };
FIXTURE_VARIANT_ADD(in_part, none) { .prot = PROT_NONE };

FIXTURE_SETUP(in_part)
{
	NEED(need_mseal());
	self->p = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, self->p);
	mm_fill(self->p, LEN, SEED);
	ASSERT_EQ(0, mprotect(self->p + 2 * PAGE, PAGE, variant->prot));
	ASSERT_EQ(0, mm_mseal(self->p + 2 * PAGE, PAGE));
}

FIXTURE_TEARDOWN(in_part)
{
}

/* advice that discards a range in which a VMA is sealed: that VMA and what lies behind it stay */
TEST_F(in_part, discarded)
{
	EXPECT_EQ(EPERM, advise(self->p, LEN, MADV_DONTNEED));
	EXPECT_EQ(2, mm_count_present(0, self->p + 2 * PAGE, 2 * PAGE));
	EXPECT_EQ(-1, mm_check_from(self->p + 3 * PAGE, PAGE, SEED, 3 * PAGE));
}

/* advice that changes the flags of the VMAs changes those of all of them */
TEST_F(in_part, advised)
{
	EXPECT_EQ(0, advise(self->p, LEN, MADV_RANDOM));
	for (int i = 0; i < PAGES; i++)
		EXPECT_TRUE(mm_vmflag(0, self->p + i * PAGE, "rr"));
	EXPECT_EQ(0, advise(self->p, LEN, MADV_NORMAL));
	EXPECT_FALSE(mm_vmflag(0, self->p + 2 * PAGE, "rr"));
}

TEST_HARNESS_MAIN
