// SPDX-License-Identifier: GPL-2.0
/*
 * The limits of dirty memory: /proc/sys/vm/dirty_* (Documentation/admin-guide/sysctl/vm.rst) and those of a device in
 * /sys/class/bdi (Documentation/ABI/testing/sysfs-class-bdi): what is written is read back, the rest is an error and changes
 * nothing.
 */
#include "kselftest_harness.h"
#include <dirent.h>
#include <errno.h>
#include <unistd.h>
#include "mm.h"

#define VM	"/proc/sys/vm/"
#define BDI	"/sys/class/bdi/"
#define FINE	10000			/* parts of a per cent: the files "_fine" are of a million */

static int put(const char *path, unsigned long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", value);
	return mm_write_file(path, text);
}

/* Of the two of a pair the one counts that was written last, and the other is 0. */
FIXTURE(sysctl) {
	const char *bytes, *ratio;
	long old_bytes, old_ratio;
};

FIXTURE_VARIANT(sysctl) {
	const char *bytes, *ratio;
};

FIXTURE_VARIANT_ADD(sysctl, dirty) { VM "dirty_bytes", VM "dirty_ratio" };
FIXTURE_VARIANT_ADD(sysctl, background) { VM "dirty_background_bytes", VM "dirty_background_ratio" };

FIXTURE_SETUP(sysctl)
{
	self->old_bytes = mm_read_long(variant->bytes);
	self->old_ratio = mm_read_long(variant->ratio);
	ASSERT_LE(0, self->old_bytes);
	ASSERT_LE(0, self->old_ratio);
}

FIXTURE_TEARDOWN(sysctl)
{
	if (self->old_bytes)
		put(variant->bytes, self->old_bytes);
	else
		put(variant->ratio, self->old_ratio);
}

/* bytes take the place of the ratio, and the other way round */
TEST_F(sysctl, pair)
{
	EXPECT_EQ(0, put(variant->bytes, 16 * MB));
	EXPECT_EQ(16 * MB, mm_read_long(variant->bytes));
	EXPECT_EQ(0, mm_read_long(variant->ratio));
	EXPECT_EQ(0, put(variant->ratio, 7));
	EXPECT_EQ(7, mm_read_long(variant->ratio));
	EXPECT_EQ(0, mm_read_long(variant->bytes));
	EXPECT_EQ(0, put(variant->bytes, 2 * PAGE));
	EXPECT_EQ(2 * PAGE, mm_read_long(variant->bytes));
	/* The same again changes nothing. */
	EXPECT_EQ(0, put(variant->bytes, 2 * PAGE));
	EXPECT_EQ(2 * PAGE, mm_read_long(variant->bytes));
	EXPECT_EQ(0, mm_read_long(variant->ratio));
}

/* more than 2^32 pages is ERANGE, a ratio above 100 is EINVAL, and what was set stays */
TEST_F(sysctl, bounds)
{
	static const unsigned long many[] = { (1UL << 44) + 1, 1UL << 45, 1UL << 62, -2 * PAGE, (1UL << 44) + PAGE };

	EXPECT_EQ(0, put(variant->bytes, 16 * MB));
	for (int i = 0; i < sizeof(many) / sizeof(*many); i++) {
		EXPECT_GT(0, put(variant->bytes, many[i])) TH_LOG("%lx", many[i]);
		EXPECT_EQ(16 * MB, mm_read_long(variant->bytes)) TH_LOG("%lx", many[i]);
		EXPECT_EQ(0, mm_read_long(variant->ratio));
	}
	EXPECT_EQ(-ERANGE, put(variant->bytes, 1UL << 45));
	EXPECT_EQ(-EINVAL, put(variant->ratio, 101));
	EXPECT_EQ(-EINVAL, mm_write_file(variant->ratio, "-1"));
	EXPECT_EQ(-EINVAL, mm_write_file(variant->bytes, "x"));
	EXPECT_EQ(16 * MB, mm_read_long(variant->bytes));
	EXPECT_EQ(0, put(variant->bytes, (1UL << 44) - PAGE));
	EXPECT_EQ((1UL << 44) - PAGE, mm_read_long(variant->bytes));
}

FIXTURE(bdi) {
	char dir[2][64];
	int n;
};

static const char *file(const FIXTURE_DATA(bdi) *self, int i, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), BDI "%s/%s", self->dir[i], name);
	return path;
}

FIXTURE_SETUP(bdi)
{
	DIR *d = opendir(BDI);
	struct dirent *e;

	NEED(d ? NULL : BDI);
	while (self->n < 2 && (e = readdir(d)))
		if (*e->d_name != '.')
			snprintf(self->dir[self->n++], sizeof(self->dir[0]), "%.63s", e->d_name);
	closedir(d);
	NEED(self->n == 2 ? NULL : "two devices in " BDI);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, mm_read_long(file(self, i, "min_ratio")));
		ASSERT_EQ(100, mm_read_long(file(self, i, "max_ratio")));
	}
}

FIXTURE_TEARDOWN(bdi)
{
	for (int i = 0; i < self->n; i++) {
		EXPECT_EQ(0, put(file(self, i, "min_ratio"), 0));
		EXPECT_EQ(0, put(file(self, i, "max_ratio"), 100));
	}
}

#define EXPECT_BDI(i, name, value) EXPECT_EQ((long)(value), mm_read_long(file(self, i, name)))

/* each share that there can be is taken, shown in both files, and can be taken back */
TEST_F(bdi, shares)
{
	static const int ratios[] = { 1, 2, 50, 99, 30, 0, 99, 0 };

	for (int i = 0; i < sizeof(ratios) / sizeof(*ratios); i++) {
		EXPECT_EQ(0, put(file(self, 0, "min_ratio"), ratios[i])) TH_LOG("%d", ratios[i]);
		EXPECT_BDI(0, "min_ratio", ratios[i]);
		EXPECT_BDI(0, "min_ratio_fine", ratios[i] * FINE);
	}
	for (int i = 100; i >= 0; i -= 20) {
		EXPECT_EQ(0, put(file(self, 0, "max_ratio"), i));
		EXPECT_BDI(0, "max_ratio", i);
		EXPECT_BDI(0, "max_ratio_fine", i * FINE);
	}
	EXPECT_EQ(0, put(file(self, 0, "max_ratio_fine"), 123456));
	EXPECT_BDI(0, "max_ratio_fine", 123456);
	EXPECT_BDI(0, "max_ratio", 12);
	EXPECT_EQ(0, put(file(self, 0, "min_ratio_fine"), 23456));
	EXPECT_BDI(0, "min_ratio_fine", 23456);
	EXPECT_BDI(0, "min_ratio", 2);
}

/* above all there is, or beyond each other, is EINVAL, and what was set stays */
TEST_F(bdi, bounds)
{
	EXPECT_EQ(-EINVAL, put(file(self, 0, "min_ratio"), 101));
	EXPECT_EQ(-EINVAL, put(file(self, 0, "max_ratio"), 101));
	EXPECT_EQ(-EINVAL, put(file(self, 0, "min_ratio_fine"), 100 * FINE + 1));
	EXPECT_EQ(-EINVAL, put(file(self, 0, "max_ratio_fine"), 100 * FINE + 1));
	EXPECT_EQ(0, put(file(self, 0, "max_ratio"), 50));
	EXPECT_EQ(-EINVAL, put(file(self, 0, "min_ratio"), 51));
	EXPECT_EQ(-EINVAL, put(file(self, 0, "min_ratio_fine"), 50 * FINE + 1));
	EXPECT_EQ(0, put(file(self, 0, "min_ratio"), 50));
	EXPECT_EQ(-EINVAL, put(file(self, 0, "max_ratio"), 49));
	EXPECT_BDI(0, "min_ratio", 50);
	EXPECT_BDI(0, "max_ratio", 50);
}

/* all devices together cannot be promised all of it */
TEST_F(bdi, sum)
{
	EXPECT_EQ(0, put(file(self, 0, "min_ratio"), 60));
	EXPECT_EQ(-EINVAL, put(file(self, 1, "min_ratio"), 40));
	EXPECT_BDI(1, "min_ratio", 0);
	EXPECT_EQ(0, put(file(self, 1, "min_ratio"), 39));
	EXPECT_EQ(-EINVAL, put(file(self, 0, "min_ratio"), 61));
	EXPECT_EQ(0, put(file(self, 0, "min_ratio"), 10));
	EXPECT_EQ(0, put(file(self, 1, "min_ratio"), 89));
	EXPECT_EQ(0, put(file(self, 1, "min_ratio"), 0));
	EXPECT_EQ(0, put(file(self, 0, "min_ratio"), 99));
}

TEST_HARNESS_MAIN
