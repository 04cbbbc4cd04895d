// SPDX-License-Identifier: GPL-2.0
/*
 * What /proc/meminfo, memory.stat and /proc/PID/status count of memory of each kind: it is counted once, as what it is, and gone
 * when it is gone (Documentation/filesystems/proc.rst, Documentation/admin-guide/cgroup-v2.rst).
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	256
#define LEN	(PAGES * PAGE)
#define LEN_KB	((long)(LEN / KB))
#define SLACK	(LEN_KB / 8)	/* kB: what else the system does meanwhile */

/* One of meminfo, one of memory.stat, one of status, and whether they go up. */
struct counters {
	const char *meminfo, *group, *process;
};

FIXTURE(counted) {
	struct mm_cgroup cg;
	char *p;
	int fd;
};

FIXTURE_VARIANT(counted) {
	char *(*make)(FIXTURE_DATA(counted) *self);
	size_t len;			/* of address space */
	struct counters up[4];
};

static char *anon(FIXTURE_DATA(counted) *self)
{
	char *p = mm_map(LEN, PMD_SIZE, MAP_PRIVATE, -1);

	mm_touch_write(p, LEN);
	return p;
}

static char *locked(FIXTURE_DATA(counted) *self)
{
	char *p = anon(self);

	return mlock(p, LEN) ? NULL : p;
}

static char *shared(FIXTURE_DATA(counted) *self)
{
	char *p = mm_map(LEN, PMD_SIZE, MAP_SHARED, -1);

	mm_touch_write(p, LEN);
	return p;
}

static char *file(FIXTURE_DATA(counted) *self)
{
	char *p;

	self->fd = mm_tmpfile("/mnt", LEN);
	p = mm_map(LEN, PMD_SIZE, MAP_SHARED, self->fd);
	mm_touch_write(p, LEN);
	return fsync(self->fd) ? NULL : p;
}

/* A page of zeroes in each of 256 page tables: what it takes is the tables. */
static char *tables(FIXTURE_DATA(counted) *self)
{
	char *p = mm_map(PAGES * PMD_SIZE, PMD_SIZE, MAP_PRIVATE | MAP_NORESERVE, -1);

	for (int i = 0; i < PAGES; i++)
		mm_touch_read(p + i * PMD_SIZE, PAGE);
	return p;
}

FIXTURE_VARIANT_ADD(counted, anon) {
	.make = anon, .len = LEN, .up = {
		{ "AnonPages", "anon", "RssAnon" }, { "Inactive(anon)", NULL, "VmRSS" }, { "Committed_AS", NULL, "VmData" },
	},
};

FIXTURE_VARIANT_ADD(counted, locked) {
	.make = locked, .len = LEN, .up = {
		{ "AnonPages", "anon", "RssAnon" }, { "Mlocked", NULL, "VmLck" }, { "Unevictable", "unevictable", "VmRSS" },
	},
};

FIXTURE_VARIANT_ADD(counted, shared) {
	.make = shared, .len = LEN, .up = {
		{ "Shmem", "shmem", "RssShmem" }, { "Mapped", "file_mapped", "VmRSS" }, { "Cached", "file", NULL },
		{ "Committed_AS", NULL, NULL },
	},
};

FIXTURE_VARIANT_ADD(counted, file) {
	.make = file, .len = LEN, .up = {
		{ "Cached", "file", "RssFile" }, { "Mapped", "file_mapped", "VmRSS" },
	},
};

FIXTURE_VARIANT_ADD(counted, tables) {
	.make = tables, .len = PAGES * PMD_SIZE, .up = { { "PageTables", "pagetables", "VmPTE" } },
};

static long look(const FIXTURE_DATA(counted) *self, const struct counters *c, int which)
{
	switch (which) {
	case 0:
		return c->meminfo ? mm_meminfo(c->meminfo) : 0;
	case 1:
		return c->group ? mm_cgroup_stat(&self->cg, c->group) / (long)KB : 0;
	default:
		return c->process ? mm_status(0, c->process) : 0;
	}
}

FIXTURE_SETUP(counted)
{
	self->fd = -1;
	NEED(mm_need_memcg());
	NEED(variant->make == file && access("/dev/ubdb", F_OK) ? "ext4 on /dev/ubdb" : NULL);
	ASSERT_EQ(0, mm_cgroup_create(&self->cg, "counted"));
}

FIXTURE_TEARDOWN(counted)
{
	if (self->p)
		munmap(self->p, variant->len);
	if (self->fd >= 0)
		close(self->fd);
	EXPECT_EQ(0, mm_cgroup_remove(&self->cg));
}

/* each of its counters grows by what it is, in all three files, and falls by as much when it is unmapped */
TEST_F(counted, once)
{
	long was[4][3], is[4][3], after;

	mm_cgroup_stir(&self->cg);
	mm_lru_drain();
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < 3; j++)
			was[i][j] = look(self, &variant->up[i], j);
	ASSERT_EQ(0, mm_cgroup_enter(&self->cg));
	self->p = variant->make(self);
	ASSERT_EQ(0, mm_cgroup_leave());
	ASSERT_NE(NULL, self->p);
	mm_cgroup_stir(&self->cg);
	mm_lru_drain();
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < 3; j++)
			is[i][j] = look(self, &variant->up[i], j);
	munmap(self->p, variant->len);
	self->p = NULL;
	if (self->fd >= 0)
		ASSERT_EQ(0, ftruncate(self->fd, 0));
	/* Page tables are freed when nobody can walk them any more. */
	mm_settle();
	mm_cgroup_stir(&self->cg);
	mm_lru_drain();
	for (int i = 0; i < 4; i++) {
		const struct counters *c = &variant->up[i];
		const char *const names[] = { c->meminfo, c->group, c->process };

		for (int j = 0; j < 3; j++) {
			if (!names[j])
				continue;
			EXPECT_LE(LEN_KB - SLACK, is[i][j] - was[i][j]) TH_LOG("%s", names[j]);
			EXPECT_GE(LEN_KB + SLACK, is[i][j] - was[i][j]) TH_LOG("%s", names[j]);
			after = look(self, c, j);
			EXPECT_LE(LEN_KB - SLACK, is[i][j] - after) TH_LOG("%s", names[j]);
			EXPECT_GE(LEN_KB + SLACK, is[i][j] - after) TH_LOG("%s", names[j]);
		}
	}
}

TEST_HARNESS_MAIN
