// SPDX-License-Identifier: GPL-2.0
/*
 * DAMON's files in sysfs with inputs that make no sense: each is refused, and nothing begins or ends by it. Of nr_contexts
 * Documentation/admin-guide/mm/damon/usage.rst says "only ``0`` or ``1`` can be written to the file"; commands need the one.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include "damon.h"

#define PAGES	16
#define LEN	(PAGES * PAGE)
#define INTERVALS CONTEXT "monitoring_attrs/intervals/"
#define REGIONS	CONTEXT "monitoring_attrs/nr_regions/"

/* All that state takes but "off". */
static const char *const commands[] = {
	"on", "commit", "commit_schemes_quota_goals",
	/* what fills files, and does not read them */
	"update_schemes_stats", "update_schemes_tried_bytes",
	"update_schemes_tried_regions", "clear_schemes_tried_regions", "update_schemes_effective_quotas", "update_tuned_intervals",
};

enum { ON, TOLD = 3 };		/* where they begin */

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* The first command behind @from whose result is not @want, with it; empty if there is none. */
static const char *other_result(int want, size_t from)
{
	static char text[96];

	*text = 0;
	for (size_t i = from; i < COUNT(commands) && !*text; i++) {
		int err;

		if (!strcmp(commands[i], "update_tuned_intervals") && access(ADMIN INTERVALS "intervals_goal", F_OK))
			continue;
		err = put("0/state", "%s", commands[i]);
		if (err != want)
			snprintf(text, sizeof(text), "%s: %d", commands[i], err);
	}
	return text;
}

FIXTURE(damon) {
	char *p;
};

/* One that watches a range of the caller, with a scheme that does nothing but count. */
static int set_up(const char *p)
{
	int err;

	err = put("nr_kdamonds", "1");
	err = err ?: put("0/contexts/nr_contexts", "1");
	err = err ?: put(CONTEXT "operations", "fvaddr");
	err = err ?: put(INTERVALS "sample_us", "1000");
	err = err ?: put(INTERVALS "aggr_us", "2000");
	err = err ?: put(CONTEXT "targets/nr_targets", "1");
	err = err ?: put(CONTEXT "targets/0/pid_target", "%d", getpid());
	err = err ?: put(CONTEXT "targets/0/regions/nr_regions", "1");
	err = err ?: put_region(0, (uintptr_t)p, (uintptr_t)p + LEN);
	err = err ?: put(CONTEXT "schemes/nr_schemes", "1");
	return err ?: put(SCHEME "action", "stat");
}

FIXTURE_SETUP(damon)
{
	NEED(need_damon());
	self->p = mm_map_aligned(LEN, PAGE);
	ASSERT_NE(NULL, self->p);
	mm_touch_write(self->p, LEN);
	ASSERT_EQ(0, set_up(self->p));
}

FIXTURE_TEARDOWN(damon)
{
	put("0/state", "off");
	EXPECT_FALSE(is_on());
	EXPECT_EQ(0, put("nr_kdamonds", "0"));
}

/* Kernels without this file follow a null pointer where there is no context. */
static const char *need_checks(void)
{
	return access(ADMIN SCHEME "ops_filters", F_OK) ? "DAMON's ops_filters" : NULL;
}

/* without a context every command is EINVAL, and none of them turns anything on */
TEST_F(damon, no_context)
{
	NEED(need_checks());
	ASSERT_EQ(0, put("0/contexts/nr_contexts", "0"));
	for (size_t i = 0; i < COUNT(commands); i++) {
		EXPECT_EQ(-EINVAL, put("0/state", "%s", commands[i])) TH_LOG("%s", commands[i]);
		EXPECT_FALSE(is_on());
	}
	EXPECT_EQ(-EINVAL, put("0/state", "off"));
	/* With one it works. */
	ASSERT_EQ(0, set_up(self->p));
	EXPECT_EQ(0, put("0/state", "on"));
	EXPECT_TRUE(is_on());
}

/* the same when it is taken away from one that is on: all but "off" is EINVAL, and it goes on */
TEST_F(damon, context_taken)
{
	NEED(need_checks());
	ASSERT_EQ(0, put("0/state", "on"));
	ASSERT_EQ(0, put("0/contexts/nr_contexts", "0"));
	EXPECT_STREQ("", other_result(-EINVAL, ON + 1));
	EXPECT_NE(0, put("0/state", "on"));
	EXPECT_TRUE(is_on());
	EXPECT_EQ(0, put("0/state", "off"));
	EXPECT_FALSE(is_on());
}

/* one that never was on has nothing to commit or to tell: EINVAL; on, it has, until it is off */
TEST_F(damon, off)
{
	for (size_t i = 1; i < COUNT(commands); i++) {
		/* There is nothing to clear, which is no error. */
		if (!strncmp(commands[i], "clear", 5))
			continue;
		EXPECT_EQ(-EINVAL, put("0/state", "%s", commands[i])) TH_LOG("%s", commands[i]);
	}
	ASSERT_EQ(0, put("0/state", "on"));
	EXPECT_EQ(-EBUSY, put("0/state", "on"));
	EXPECT_STREQ("", other_result(0, ON + 1));
	EXPECT_EQ(-EBUSY, put("nr_kdamonds", "0"));
	EXPECT_EQ(-EBUSY, put("nr_kdamonds", "2"));
	EXPECT_TRUE(is_on());
	EXPECT_EQ(0, put("0/state", "off"));
}

/* targets, regions and schemes that are taken away while it is on: commands tell of what is left */
TEST_F(damon, parts_taken)
{
	ASSERT_EQ(0, put("0/state", "on"));
	ASSERT_EQ(0, put(CONTEXT "schemes/nr_schemes", "0"));
	EXPECT_STREQ("", other_result(0, TOLD));
	ASSERT_EQ(0, put(CONTEXT "targets/nr_targets", "0"));
	EXPECT_STREQ("", other_result(0, TOLD));
	EXPECT_TRUE(is_on());
}

/* numbers that are none, or too many, and words that nobody knows: EINVAL, and what was there stays */
TEST_F(damon, words)
{
	static const struct { const char *file, *bad[4]; } inputs[] = {
		{ "nr_kdamonds", { "-1", "many", "99999999999" } },
		{ "0/contexts/nr_contexts", { "-1", "2", "one" } },
		{ "0/state", { "", "On", "commit_all", "0" } },
		{ CONTEXT "operations", { "paddrs", "", "0" } },
		{ CONTEXT "targets/nr_targets", { "-1", "x" } },
		{ CONTEXT "targets/0/regions/nr_regions", { "-1", "x" } },
		{ CONTEXT "targets/0/regions/0/start", { "x", "99999999999999999999" } },
		{ CONTEXT "targets/0/pid_target", { "self" } },
		{ CONTEXT "schemes/nr_schemes", { "-1", "x" } },
		{ SCHEME "action", { "pageouts", "", "none" } },
		{ SCHEME "access_pattern/sz/min", { "x", "99999999999999999999" } },
		{ SCHEME "quotas/ms", { "x", "99999999999999999999" } },
		{ SCHEME "quotas/bytes", { "x" } },
		{ SCHEME "quotas/goals/nr_goals", { "-1", "x" } },
		{ SCHEME "watermarks/metric", { "free", "" } },
		{ SCHEME "filters/nr_filters", { "-1", "x" } },
		{ INTERVALS "sample_us", { "x", "99999999999999999999" } },
		{ INTERVALS "aggr_us", { "x" } },
		{ REGIONS "min", { "x", "99999999999999999999" } },
	};

	for (size_t i = 0; i < COUNT(inputs); i++) {
		char path[256], before[128], after[128];

		snprintf(path, sizeof(path), ADMIN "%s", inputs[i].file);
		ASSERT_LT(0, mm_read_file(path, before, sizeof(before))) TH_LOG("%s", inputs[i].file);
		for (int j = 0; j < 4 && inputs[i].bad[j]; j++) {
			const char *bad = inputs[i].bad[j];
			int err = put(inputs[i].file, "%s\n", bad);

			EXPECT_TRUE(err == -EINVAL || (strlen(bad) > 9 && err == -ERANGE))
				TH_LOG("%s: '%s' is %d", inputs[i].file, bad, err);
		}
		ASSERT_LT(0, mm_read_file(path, after, sizeof(after)));
		EXPECT_STREQ(before, after) TH_LOG("%s", inputs[i].file);
	}
	EXPECT_FALSE(is_on());
	EXPECT_EQ(0, put("0/state", "on"));
}

/* Settings that are well-formed, each by itself, and cannot be begun with. */
struct setting { const char *file, *value; };

/* what does not go together is EINVAL when it is turned on, or committed to one that is on, which goes on as it was */
TEST_F(damon, refused)
{
	static const struct { const char *what; struct setting bad[2], good; } inputs[] = {
		{ "fewer than three regions", { { REGIONS "min", "2" } }, { REGIONS "min", "10" } },
		{ "less at most than at least", { { REGIONS "max", "9" } }, { REGIONS "max", "1000" } },
		{ "samples rarer than sums", { { INTERVALS "sample_us", "3000" } }, { INTERVALS "sample_us", "1000" } },
		{ "a region that ends where it begins",
		  { { CONTEXT "targets/0/regions/0/start", "8192" }, { CONTEXT "targets/0/regions/0/end", "8192" } },
		  { INTERVALS "sample_us", "1000" } },
		{ "no such process", { { CONTEXT "targets/0/pid_target", "4194303" } }, { INTERVALS "sample_us", "1000" } },
	};

	/* Kernels that do not ask for a context turn off where they cannot commit. */
	for (int on = 0; on < (need_checks() ? 1 : 2); on++) {
		for (size_t i = 0; i < COUNT(inputs); i++) {
			ASSERT_EQ(0, set_up(self->p));
			if (on)
				ASSERT_EQ(0, put("0/state", "on"));
			for (int j = 0; j < 2 && inputs[i].bad[j].file; j++)
				ASSERT_EQ(0, put(inputs[i].bad[j].file, "%s", inputs[i].bad[j].value));
			EXPECT_EQ(-EINVAL, put("0/state", on ? "commit" : "on")) TH_LOG("%s", inputs[i].what);
			EXPECT_EQ(on, is_on()) TH_LOG("%s", inputs[i].what);
			ASSERT_EQ(0, put(inputs[i].good.file, "%s", inputs[i].good.value));
			if (on)
				ASSERT_EQ(0, put("0/state", "off"));
		}
	}
	ASSERT_EQ(0, set_up(self->p));
	EXPECT_EQ(0, put("0/state", "on"));
}

/* regions have to be in order and apart: EINVAL */
TEST_F(damon, regions)
{
	const uintptr_t p = (uintptr_t)self->p;

	ASSERT_EQ(0, put(CONTEXT "targets/0/regions/nr_regions", "2"));
	ASSERT_EQ(0, put_region(0, p + LEN / 2, p + LEN));
	ASSERT_EQ(0, put_region(1, p, p + LEN / 2));
	EXPECT_EQ(-EINVAL, put("0/state", "on"));
	ASSERT_EQ(0, put_region(0, p, p + LEN / 2 + PAGE));
	ASSERT_EQ(0, put_region(1, p + LEN / 2, p + LEN));
	EXPECT_EQ(-EINVAL, put("0/state", "on"));
	ASSERT_EQ(0, put_region(0, p, p + LEN / 2));
	EXPECT_EQ(0, put("0/state", "on"));
	EXPECT_TRUE(is_on());
}

TEST_HARNESS_MAIN
