// SPDX-License-Identifier: GPL-2.0
/*
 * What is said of a test, and of what was wrong outside all of them. A test is finished when its end has come on every stream of
 * its kernel, so that a report is never charged to the wrong one. After a crash, and after any report (most detectors speak only
 * once per boot), the tests that are left run in a fresh kernel.
 */
#include <stdlib.h>
#include <string.h>

#include "memcheck.h"
#include "verdict-parts.h"

#define ORIGINS_UP_TO	20	/* reports for which a test is run again to see where undefined values came from */

void outcome_set(struct outcome *o, enum status status, const char *reason)
{
	o->status = status;
	free(o->reason);
	o->reason = reason && *reason ? xasprintf("%s", reason) : NULL;
}

/* The outcome of this round is final: it counts if it is worse than all before. */
void test_count(struct verdict *v, struct test *t)
{
	struct outcome *o = &t->now;

	t->open = false;
	v->hooks.settled(v->hooks.arg, t);
	if (t->kept.round && o->status <= t->kept.status) {
		/* The rounds' logs are alike: the last is kept of those that passed. */
		if (o->status != t->kept.status || went_wrong(o->status)) {
			outcome_clear(o);
			return;
		}
	}
	outcome_clear(&t->kept);
	t->kept = *o;
	t->now = (struct outcome){ .cause = -1 };
}

/* Test @i ended in @b; @ended: and the kernel with it, for the same cause. */
void test_settle(struct verdict *v, struct vboot *b, int i, bool ended)
{
	struct test *t = verdict_test(v, i);
	struct outcome *o = &t->now;
	bool undefined = b->mc && memcheck_undefined(o->reports.s);
	bool doubtful = o->status == ST_TIMEOUT && boot_test_limit(v, b, i) < verdict_limit(v, t, false);

	t->stage = TEST_ENDED;
	o->boot = b->nr;
	o->round = v->round;
	v->boot_failures = 0;
	if (o->status == ST_PASS)
		cause_pass(v);
	if (b->job == JOB_AGAIN || (o->status == ST_TIMEOUT && !doubtful))
		cause_confirm(v, o->status);
	if (o->status == ST_TIMEOUT || o->status == ST_REPORT || (ended && went_wrong(o->status))) {
		o->cause = cause_note(v, i, o->status, o->reason ? o->reason : "", true);
		/* A hang costs as much as a kernel. */
		if (ended || o->status == ST_TIMEOUT)
			cause_boot(v, o->cause);
	}
	if (doubtful && !v->ended) {
		t->open = true;
		verdict_wish_for(v, JOB_AGAIN, i);
		if (cause_doubtful(v))
			b->over = true;
	} else if (undefined && v->origins++ < ORIGINS_UP_TO && !v->ended) {
		t->open = true;
		verdict_wish_for(v, JOB_ORIGINS, i);
	} else {
		if (undefined)
			buf_printf(&o->reports, "  (origins: looked for in the first %d of such reports only)\n", ORIGINS_UP_TO);
		cases_take(v, i);
		test_count(v, verdict_test(v, i));
	}
}

/* Whether something of the same cause was noted: at the same place, or after one test as after another. */
static bool alike(const struct outside *o, const char *where, const char *reason, int cause)
{
	return (!strcmp(o->where, where) && !strcmp(o->reason, reason)) ||
	       (o->cause == cause && !strncmp(o->where, "after ", 6) && !strncmp(where, "after ", 6));
}

/* Something of no test, in @b. @log: console text to be shown with it, or NULL; @reports: of memcheck, taken over. */
void outside_note(struct verdict *v, const struct vboot *b, const char *where, enum status status, const char *reason,
		    const char *log, struct buf *reports)
{
	bool ended = b->gone || b->over;
	int cause = cause_note(v, -1, status, reason, ended), i;
	struct outside *o;

	if (ended)
		cause_boot(v, cause);
	for (i = 0; i < v->n_outside; i++)
		if (alike(&v->outside[i], where, reason, cause)) {
			v->outside[i].times++;
			if (reports)
				buf_free(reports);
			return;
		}
	v->outside = grow(v->outside, v->n_outside, sizeof(*v->outside));
	o = &v->outside[v->n_outside++];
	*o = (struct outside){ .where = xasprintf("%s", where), .reason = xasprintf("%s", reason), .status = status,
			       .boot = b->nr, .times = 1, .cause = cause };
	if (log)
		cause_decode(v, log, &o->trace);
	if (reports) {
		o->reports = *reports;
		*reports = (struct buf){ 0 };
		if (memcheck_undefined(o->reports.s) && v->origins++ < ORIGINS_UP_TO && !v->ended) {
			o->open = true;
			verdict_wish_for(v, JOB_ORIGINS_BOOT, b->first);
		}
	}
	if (!o->open)
		v->hooks.outside(v->hooks.arg, o);
}

/* A class may be silent for the rest of a boot once it has spoken. */
void boot_note_class(struct vboot *b, const char *class)
{
	b->spoke = grow(b->spoke, b->n_spoke, sizeof(*b->spoke));
	b->spoke[b->n_spoke++] = class;
}

bool boot_class_spoke(const struct vboot *b, const char *class)
{
	for (int i = 0; i < b->n_spoke; i++)
		if (!strcmp(b->spoke[i], class))
			return true;
	return false;
}

void said_forget(struct said *s)
{
	buf_free(&s->log);
	*s = (struct said){ 0 };
}

/* The reason of a report, malloc'ed, and its decoded text behind @trace. */
char *said_reason(const struct verdict *v, const struct said *s, struct buf *trace)
{
	cause_decode(v, s->log.s, trace);
	return cause_reason(v, s->by, s->what, trace->s);
}

/* Where a kernel is that has left the tests [first, seen) behind and runs none, malloc'ed. */
static char *where(const struct verdict *v, const struct vboot *b, int seen)
{
	if (seen == b->first)
		return xasprintf("boot");
	if (seen == b->end)
		return xasprintf("power-off");
	return xasprintf("after %s", v->plan.tests[seen - 1].name);
}

char *boot_where(const struct verdict *v, const struct vboot *b)
{
	return where(v, b, b->seen_console);
}

/* What memcheck found outside the tests. */
void boot_take_outside(struct verdict *v, struct vboot *b)
{
	struct buf text = { 0 };
	char *first, *reason, *at;

	if (!b->mc || !memcheck_take(b->mc, NULL, &text, &first))
		return;
	reason = xasprintf("memcheck: %s", first);
	at = where(v, b, b->seen_xml);
	outside_note(v, b, at, ST_REPORT, reason, NULL, &text);
	free(at);
	free(reason);
	free(first);
}

/* Reports of memcheck on test @i; they come first: a crash may be what became of them. */
bool test_take_memcheck(struct verdict *v, struct vboot *b, int i)
{
	struct test *t = verdict_test(v, i);
	char *first, *reason;

	if (!b->mc || !memcheck_take(b->mc, t->name, &t->now.reports, &first))
		return false;
	reason = xasprintf("memcheck: %s", first);
	outcome_set(&t->now, ST_REPORT, reason);
	free(reason);
	free(first);
	return true;
}

/* What is known of test @i is all there will be; @ended: the kernel is gone with it. */
void test_finish(struct verdict *v, struct vboot *b, int i, bool ended)
{
	struct test *t = verdict_test(v, i);
	bool charged = test_take_memcheck(v, b, i) || t->now.reports.len, reported;
	struct said *said = i < b->seen_console ? &b->of_test[i - b->first] : &b->said;

	/* The console was done with it, its result never came: what was said in between is the nearest to a cause. */
	if (ended && !said->by && b->said.by)
		said = &b->said;
	reported = said->by;
	if (reported) {
		char *reason = said_reason(v, said, &t->now.trace);

		if (!charged)
			outcome_set(&t->now, ST_REPORT, reason);
		free(reason);
		b->over = !v->set.gdb;
	} else if (t->now.status == ST_TIMEOUT || ended) {
		cause_decode(v, said->log.s, &t->now.trace);
	}
	if (charged)
		b->over = true;
	said_forget(said);
	b->finished = i + 1;
	test_settle(v, b, i, ended || reported || charged);
	boot_take_outside(v, b);
}

static int least(int a, int b)
{
	return a < b ? a : b;
}

/* Tests whose end is on every stream: [first, n). */
int boot_seen(const struct vboot *b)
{
	int n = least(b->seen_result, b->seen_console);

	return b->mc ? least(n, b->seen_xml) : n;
}

void boot_finish_tests(struct verdict *v, struct vboot *b)
{
	while (!b->over && b->finished < boot_seen(b))
		test_finish(v, b, b->finished, false);
}

/* A report between tests, or before the first: its text is whole when something else begins. */
void boot_close_report(struct verdict *v, struct vboot *b)
{
	struct buf trace = { 0 };
	char *where, *reason;

	if (!b->said.by)
		return;
	where = boot_where(v, b);
	reason = said_reason(v, &b->said, &trace);
	/* What is said at each boot would be said by the next one, too. */
	if (b->seen_console > b->first && !v->set.gdb)
		b->over = true;
	outside_note(v, b, where, ST_REPORT, reason, b->said.log.s, NULL);
	said_forget(&b->said);
	buf_free(&trace);
	free(where);
	free(reason);
}
