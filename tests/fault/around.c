// SPDX-License-Identifier: GPL-2.0
/*
 * fault_around_bytes in debugfs: how much of a file in memory one read fault maps; a power of two of pages, and at least one page
 * ("must be rounded down to the nearest page order", mm/memory.c).
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "mm.h"

#define AROUND	"/sys/kernel/debug/fault_around_bytes"
#define PAGES	64
#define LEN	(PAGES * PAGE)
#define TABLE	512			/* entries of a page table: no fault maps more */
#define SEED	1

static int set(const char *text)
{
	return mm_write_file(AROUND, text);
}

FIXTURE(around) {
	long was;
	int fd;
	char *p;
};

FIXTURE_VARIANT(around) {
	const char *dir;
};

FIXTURE_VARIANT_ADD(around, ext4) { .dir = "/mnt" };
FIXTURE_VARIANT_ADD(around, tmpfs) { .dir = "/tmp" };

FIXTURE_SETUP(around)
{
	static char buf[LEN];

	self->was = mm_read_long(AROUND);
	NEED(self->was < 0 ? AROUND : NULL);
	self->fd = mm_tmpfile(variant->dir, LEN);
	ASSERT_LE(0, self->fd);
	mm_fill(buf, LEN, SEED);
	ASSERT_EQ(LEN, pwrite(self->fd, buf, LEN, 0));
	self->p = mm_reserve(LEN, PMD_SIZE);
	ASSERT_NE(NULL, self->p);
	mm_lru_drain();
}

FIXTURE_TEARDOWN(around)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", self->was);
	EXPECT_EQ(0, set(text));
	EXPECT_EQ(self->was, mm_read_long(AROUND));
	close(self->fd);
}

/* Pages that a fault of page @nr maps, read or written, of a mapping @flags. */
static long mapped(const FIXTURE_DATA(around) *self, int nr, int flags, bool write)
{
	if (mmap(self->p, LEN, PROT_READ | PROT_WRITE, flags | MAP_FIXED, self->fd, 0) != self->p)
		return -errno;
	if (write)
		mm_touch_write(self->p + nr * PAGE, PAGE);
	else
		mm_touch_read(self->p + nr * PAGE, PAGE);
	return mm_count_present(0, self->p, LEN);
}

/* what is written is rounded down to a power of two, at least a page, and that much one read fault maps */
TEST_F(around, rounded)
{
	static const struct { const char *text; long bytes; } values[] = {
		{ "0", PAGE }, { "1", PAGE }, { "4095", PAGE }, { "4096", PAGE }, { "4097", PAGE }, { "8191", PAGE },
		{ "8192", 2 * PAGE }, { "12288", 2 * PAGE }, { "16384", 4 * PAGE }, { "65536", 16 * PAGE },
		{ "131071", 16 * PAGE }, { "0x20000", 32 * PAGE }, { "2097152", TABLE * PAGE }, { "2097151", TABLE / 2 * PAGE },
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		const long pages = values[i].bytes / PAGE < PAGES ? values[i].bytes / PAGE : PAGES;

		ASSERT_EQ(0, set(values[i].text)) TH_LOG("%s", values[i].text);
		EXPECT_EQ(values[i].bytes, mm_read_long(AROUND)) TH_LOG("%s", values[i].text);
		EXPECT_EQ(pages, mapped(self, 33, MAP_SHARED, false)) TH_LOG("%s", values[i].text);
		EXPECT_EQ(pages, mapped(self, 33, MAP_PRIVATE, false)) TH_LOG("%s", values[i].text);
		EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
	}
}

/* more than a page table, less than nothing and what is no number is refused, and the value stays */
TEST_F(around, refused)
{
	static const char *const bad[] = { "2101248", "4194304", "-1", "18446744073709551615", "pages", "" };

	ASSERT_EQ(0, set("16384"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		int err = set(bad[i]);

		EXPECT_TRUE(*bad[i] ? err == -EINVAL || err == -ERANGE : !err || err == -EINVAL) TH_LOG("%s: %d", bad[i], err);
		EXPECT_EQ(4 * PAGE, mm_read_long(AROUND)) TH_LOG("%s", bad[i]);
	}
	EXPECT_EQ(4, mapped(self, 33, MAP_SHARED, false));
}

/* only what lies beside the page in its window is mapped, within the mapping, and only by a fault to read */
TEST_F(around, window)
{
	ASSERT_EQ(0, set("32768"));
	EXPECT_EQ(8, mapped(self, 11, MAP_SHARED, false));
	EXPECT_EQ(8, mm_count_present(0, self->p + 8 * PAGE, 8 * PAGE));
	EXPECT_EQ(1, mapped(self, 11, MAP_PRIVATE, true));
	EXPECT_EQ(1, mapped(self, 11, MAP_SHARED, true));
	/* A mapping that begins and ends in the middle of windows. */
	ASSERT_EQ(8, mapped(self, 3, MAP_SHARED, false));
	ASSERT_EQ(self->p, mmap(self->p, LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	ASSERT_EQ(self->p + 3 * PAGE,
		  mmap(self->p + 3 * PAGE, 10 * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, self->fd, 3 * PAGE));
	mm_touch_read(self->p + 4 * PAGE, PAGE);
	EXPECT_EQ(8, mm_count_present(0, self->p, LEN));
	mm_touch_read(self->p + 12 * PAGE, PAGE);
	EXPECT_EQ(10, mm_count_present(0, self->p, LEN));
	EXPECT_EQ(-1, mm_check_from(self->p + 3 * PAGE, 10 * PAGE, SEED, 3 * PAGE));
}

TEST_HARNESS_MAIN
