// SPDX-License-Identifier: GPL-2.0
/* How a kernel ended, and what that means for the test that ran, or for none. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "memcheck.h"
#include "verdict-parts.h"

#define BOOTS_TRIED	3	/* in a row that came to no test */

/* After "Power down" a kernel may hang and have to be killed: what it did is the same. */
static char *end_reason(const struct vboot *b, int status)
{
	if (b->powered_down)
		return xasprintf("the kernel powered off");
	return WIFSIGNALED(status) ? xasprintf("kernel killed by signal %d", WTERMSIG(status))
				   : xasprintf("kernel exited with status %d", WEXITSTATUS(status));
}

/* Before the first test. If that is all that happens, it is the end of the run. */
static void boot_failed(struct verdict *v, struct vboot *b, int status)
{
	enum status how = ST_FAIL;
	struct buf trace = { 0 };
	char *reason, *words = NULL;

	if (b->said.by) {
		words = said_reason(v, &b->said, &trace);
		reason = xasprintf("boot: %s", words);
		how = ST_REPORT;
	} else if (b->limit) {
		reason = xasprintf("boot timeout %gs", v->set.boot_limit * v->set.scale);
		how = ST_TIMEOUT;
	} else {
		reason = xasprintf("no results: the kernel ended with status %d before the first test",
				   WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	}
	outside_note(v, b, "boot", how, words ? words : reason, b->said.log.s, NULL);
	if (!v->ended && (++v->boot_failures >= BOOTS_TRIED || !b->first || v->n_boots == 1)) {
		v->ended = xasprintf("%s", reason);
		v->ended_status = how;
	}
	buf_free(&trace);
	free(words);
	free(reason);
}

/* Between two tests: whatever it was, the next one had not begun. */
static void died_between(struct verdict *v, struct vboot *b, int status)
{
	char *where, *reason;

	if (b->said.by) {
		boot_close_report(v, b);
		return;
	}
	where = boot_where(v, b);
	reason = b->limit ? xasprintf("the kernel hangs between two tests") : end_reason(b, status);
	outside_note(v, b, where, b->limit ? ST_TIMEOUT : ST_FAIL, reason, b->said.log.s, NULL);
	free(where);
	free(reason);
}

static void died_in(struct verdict *v, struct vboot *b, int i, int status, double t_now)
{
	struct test *t = verdict_test(v, i);
	char *reason;

	/* It went on with the next test: it did not die in this one, but what it complained of in it is not known. */
	if (b->began > i || b->done)
		reason = xasprintf("the console has no end of this test");
	else
		reason = b->limit ? xasprintf("timeout %gs", boot_test_limit(v, b, i)) : end_reason(b, status);

	if (t->now.status == ST_NOTRUN)
		t->now.ms = (t_now - t->began) * 1000;
	outcome_set(&t->now, b->limit && b->began == i && !b->done ? ST_TIMEOUT : ST_FAIL, reason);
	free(reason);
	test_finish(v, b, i, true);
}

/* kmemleak speaks when the tests are over: what it can name is charged to the test. False if it could not name one. */
static bool charge_leaks(struct verdict *v, struct vboot *b)
{
	struct buf trace = { 0 };
	bool charged = false;
	char *reason;

	if (!b->n_leaks || strcmp(b->said.by->class, "kmemleak"))
		return false;
	reason = said_reason(v, &b->said, &trace);
	for (int k = 0; k < b->n_leaks; k++)
		for (int i = b->first; i < b->finished; i++) {
			struct test *t = verdict_test(v, i);

			if (strcmp(t->name, b->leaks[k]) || t->kept.status == ST_REPORT)
				continue;
			outcome_clear(&t->now);
			t->now.ms = t->kept.ms;
			outcome_set(&t->now, ST_REPORT, reason);
			buf_add(&t->now.log, t->kept.log.s ? t->kept.log.s : "", t->kept.log.len);
			buf_add(&t->now.trace, trace.s ? trace.s : "", trace.len);
			test_settle(v, b, i, true);
			charged = true;
		}
	buf_free(&trace);
	free(reason);
	return charged;
}

/* All results came: the end of the console must agree. */
static void check_power_off(struct verdict *v, struct vboot *b, int status)
{
	bool clean = b->powered_down && WIFEXITED(status) && !WEXITSTATUS(status);

	if (b->said.by) {
		if (!charge_leaks(v, b))
			boot_close_report(v, b);
	} else if (b->limit) {
		outside_note(v, b, "power-off", ST_TIMEOUT, "no power-off after the last test", b->said.log.s, NULL);
	} else if (!clean) {
		outside_note(v, b, "power-off", ST_REPORT, "the kernel did not end with a clean power-off", b->said.log.s, NULL);
	}
}

/* gdb is gone: a test that it stopped in came to nothing. */
static void left_by_gdb(struct verdict *v, struct vboot *b)
{
	int i = b->seen_result;

	b->next = b->end;
	if (b->done || b->began != i || i >= b->end)
		return;
	outcome_set(&verdict_test(v, i)->now, ST_FAIL, "stopped in gdb");
	test_settle(v, b, i, false);
}

/* What an origins kernel saw takes the place of the report that asked for it. */
static void take_origins(struct verdict *v, struct vboot *b)
{
	struct test *t = verdict_test(v, b->first);
	struct outside *o = NULL;
	struct buf again = { 0 }, *text = &t->now.reports;
	char *first = NULL;

	for (int i = 0; b->job == JOB_ORIGINS_BOOT && i < v->n_outside && !o; i++)
		if (v->outside[i].open)
			o = &v->outside[i];
	if (!b->mc || (b->job == JOB_ORIGINS_BOOT && !o))
		return;
	if (o)
		text = &o->reports;
	memcheck_take(b->mc, o ? NULL : t->name, &again, &first);
	free(first);
	if (memcheck_undefined(again.s)) {
		buf_free(text);
		*text = again;
	} else {
		buf_printf(text, "  (origins: %s)\n", b->stopped ? "the run ended before they were found" :
			   "not met again by a memcheck that looks for them");
		buf_free(&again);
	}
	if (o) {
		o->open = false;
		v->hooks.outside(v->hooks.arg, o);
	} else if (t->open) {
		test_count(v, t);
	}
}

/*
 * A kernel does not kill itself with SIGKILL: that was the host's out-of-memory killer, or somebody. SIGBUS is the file that is its
 * memory, in a file system that is full; UML says so itself where it can. No test is to blame, and none is blamed.
 */
static bool host_took(struct verdict *v, const struct vboot *b, int status)
{
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	bool says = b->said.by && !strcmp(b->said.by->name, "host-memory");

	if (b->limit || b->powered_down || v->set.gdb || !(says || sig == SIGKILL || sig == SIGBUS))
		return false;
	if (!v->ended) {
		v->ended = says ? xasprintf(HOST_TOOK "%s", b->said.what) :
			   xasprintf(HOST_TOOK "signal %d, %s", sig, sig == SIGBUS ? "the file system of its memory is full" :
				     "which nobody here sent");
		v->ended_status = ST_NOTRUN;
	}
	v->host_took = true;
	return true;
}

static void judge_end(struct verdict *v, struct vboot *b, int status, double t_now)
{
	int i;

	/* Markers that memcheck's log would still have had do not come any more. */
	b->seen_xml = b->end;
	boot_finish_tests(v, b);
	i = boot_seen(b);
	b->next = b->finished;
	if (b->over) {
		/* Put down before it came to a test: the next one may do the same. */
		if (b->finished == b->first && ++v->boot_failures >= BOOTS_TRIED && !v->ended) {
			v->ended = xasprintf("%d kernels in a row came to no test", v->boot_failures);
			v->ended_status = ST_FAIL;
		}
		return;
	}
	if (host_took(v, b, status)) {
		b->next = b->end;
	} else if (b->done && b->seen_result == b->end && b->seen_console == b->end) {
		check_power_off(v, b, status);
	} else if (b->began < b->first) {
		boot_failed(v, b, status);
	} else if (b->began < i || (b->said.by && b->in_console < 0 && b->seen_console == i && b->seen_result == i && i > b->first)) {
		died_between(v, b, status);
	} else {
		died_in(v, b, i, status, t_now);
		b->next = i + 1;
	}
}

/* Put down with the run: what the test that ran would have come to is not known, but what was reported in it stays. */
static void judge_stop(struct verdict *v, struct vboot *b)
{
	struct said *said;
	int i;

	b->seen_xml = b->end;
	boot_finish_tests(v, b);
	b->next = b->finished;
	if (b->over)
		return;
	i = boot_seen(b);
	said = i < b->seen_console ? &b->of_test[i - b->first] : b->in_console == i ? &b->said : NULL;
	if (i < b->end && b->began == i && (test_take_memcheck(v, b, i) || (said && said->by)))
		test_finish(v, b, i, false);
	else
		boot_close_report(v, b);
	b->next = b->finished;
}

/* A soak has thousands of kernels. */
static void forget_streams(struct vboot *b)
{
	buf_free(&b->con);
	buf_free(&b->res);
	said_forget(&b->said);
	for (int i = b->first; i < b->end; i++)
		said_forget(&b->of_test[i - b->first]);
	if (b->mc)
		memcheck_free(b->mc);
	b->mc = NULL;
}

void boot_exit(struct verdict *v, struct vboot *b, int status, double t_now)
{
	stream_end(v, b, t_now);
	b->gone = true;
	b->next = b->finished;
	if (boot_judged(b))
		boot_take_outside(v, b);
	if (v->set.gdb)
		left_by_gdb(v, b);
	else if (b->job == JOB_ORIGINS || b->job == JOB_ORIGINS_BOOT)
		take_origins(v, b);
	else if (boot_judged(b) && b->stopped)
		judge_stop(v, b);
	else if (boot_judged(b))
		judge_end(v, b, status, t_now);
	for (int i = b->first; i < b->end && boot_judged(b); i++)
		if (verdict_test(v, i)->stage == TEST_RUNS)
			verdict_test(v, i)->stage = b->job == JOB_AGAIN ? TEST_ENDED : TEST_WAITS;
	forget_streams(b);
}
