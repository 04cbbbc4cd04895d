// SPDX-License-Identifier: GPL-2.0
/*
 * Events of a run to what became of its tests. One thing, if a long one: the rules by which three streams of a kernel (results,
 * console, memcheck) and its end are brought together, which no part of them can decide alone.
 *
 * A test is finished when its end has come on every stream, so that a report of the kernel is never charged to the wrong test.
 * After a crash, and after any report (most detectors speak only once per boot), the tests that are left run in a fresh kernel.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "ktap.h"
#include "memcheck.h"
#include "trace.h"
#include "verdict.h"

#define GRACE		10.0	/* s that the host waits longer than the guest's own limit, at most */
#define POWER_OFF	10.0	/* s for the power-off after the last test */
#define LOG_MAX		(512 * 1024)
#define LEARNED_TIMES	10	/* of what a test took, where that is known: one that needs more is run again with all of its limit */
#define LEARNED_LEAST	2.0	/* s */
#define UNKNOWN		6.0	/* s, the same for one of which nothing is known */
#define ORIGINS_UP_TO	20	/* reports for which a test is run again to see where undefined values came from */
#define BOOTS_TRIED	3	/* in a row that came to no test */

const char *job_word(enum job job)
{
	static const char *const words[] = {
		[JOB_TESTS] = "tests", [JOB_AGAIN] = "again", [JOB_ORIGINS] = "origins", [JOB_ORIGINS_BOOT] = "origins-boot",
		[JOB_DRY] = "dry", [JOB_CALLS] = "calls",
	};

	return words[job];
}

/* Whether the kernel is there for verdicts, and not for what a tool writes about it. */
static bool judged(const struct vboot *b)
{
	return b->job == JOB_TESTS || b->job == JOB_AGAIN;
}

static struct test *test_of(struct verdict *v, int i)
{
	return &v->plan.tests[i];
}

double verdict_limit(const struct verdict *v, const struct test *t, bool learned)
{
	double whole = t->limit ? t->limit : v->set.test_limit, last = t->learned * LEARNED_TIMES;

	if (!learned)
		return whole * v->set.scale;
	last = !t->learned ? UNKNOWN : last < LEARNED_LEAST ? LEARNED_LEAST : ceil(last);
	return (last < whole ? last : whole) * v->set.scale;
}

static double limit_of(const struct verdict *v, const struct vboot *b, int i)
{
	return verdict_limit(v, &v->plan.tests[i], b->job == JOB_TESTS);
}

double verdict_deadline(const struct verdict *v, const struct vboot *b)
{
	int i = b->began < b->first ? b->first : b->began;
	double limit;

	if (v->set.gdb)
		return 1e9;
	if (b->done || b->powered_down)
		return b->since + POWER_OFF * v->set.scale;
	if (!b->version)
		return b->started + v->set.boot_limit * v->set.scale;
	limit = limit_of(v, b, i);
	/* A guest that still lives says itself that the time is up; beside a learned limit it need not be given long. */
	return b->since + limit + (limit < verdict_limit(v, &v->plan.tests[i], false) ? LEARNED_LEAST * v->set.scale : GRACE);
}

struct vboot *verdict_boot(const struct verdict *v, int nr)
{
	return nr > 0 && nr <= v->n_boots ? v->boots[nr - 1] : NULL;
}

static void wish(struct verdict *v, enum job job, int i)
{
	v->wishes = grow(v->wishes, v->n_wishes, sizeof(*v->wishes));
	v->wishes[v->n_wishes++] = (struct wish){ .job = job, .test = i };
}

bool verdict_wish(struct verdict *v, bool late, struct wish *w)
{
	for (int i = v->wishes_granted; i < v->n_wishes; i++) {
		if (v->wishes[i].job == JOB_AGAIN && !late)
			continue;
		*w = v->wishes[i];
		v->wishes[i] = v->wishes[v->wishes_granted];
		v->wishes[v->wishes_granted++] = *w;
		return true;
	}
	return false;
}

/* ---- what is said of a test ---- */

static void set_reason(struct outcome *o, enum status status, const char *reason)
{
	o->status = status;
	free(o->reason);
	o->reason = reason && *reason ? xasprintf("%s", reason) : NULL;
}

/* The outcome of this round is final: it counts if it is worse than all before. */
static void count(struct verdict *v, struct test *t)
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
static void settle(struct verdict *v, struct vboot *b, int i, bool ended)
{
	struct test *t = test_of(v, i);
	struct outcome *o = &t->now;
	bool undefined = b->mc && memcheck_undefined(o->reports.s);

	t->stage = TEST_ENDED;
	o->boot = b->nr;
	o->round = v->round;
	v->boot_failures = 0;
	if (o->status == ST_PASS)
		cause_pass(v);
	if (o->status == ST_TIMEOUT || o->status == ST_REPORT || (ended && went_wrong(o->status))) {
		o->cause = cause_note(v, i, o->status, o->reason ? o->reason : "");
		/* A hang costs as much as a kernel. */
		if (ended || o->status == ST_TIMEOUT)
			cause_boot(v, o->cause);
	}
	if (o->status == ST_TIMEOUT && limit_of(v, b, i) < verdict_limit(v, t, false) && !v->ended) {
		t->open = true;
		wish(v, JOB_AGAIN, i);
	} else if (undefined && v->origins++ < ORIGINS_UP_TO && !v->ended) {
		t->open = true;
		wish(v, JOB_ORIGINS, i);
	} else {
		if (undefined)
			buf_printf(&o->reports, "  (origins: looked for in the first %d of such reports only)\n", ORIGINS_UP_TO);
		count(v, t);
	}
}

/* Something of no test, in @b. @log: console text to be shown with it, or NULL; @reports: of memcheck, taken over. */
static void outside(struct verdict *v, const struct vboot *b, const char *where, enum status status, const char *reason,
		    const char *log, struct buf *reports)
{
	int cause = cause_note(v, -1, status, reason), i;
	struct outside *o;

	for (i = 0; i < v->n_outside; i++)
		if (!strcmp(v->outside[i].where, where) && !strcmp(v->outside[i].reason, reason)) {
			v->outside[i].times++;
			if (reports)
				buf_free(reports);
			return;
		}
	v->outside = grow(v->outside, v->n_outside, sizeof(*v->outside));
	o = &v->outside[v->n_outside++];
	*o = (struct outside){ .where = xasprintf("%s", where), .reason = xasprintf("%s", reason), .status = status,
			       .boot = b->nr, .times = 1 };
	if (log)
		cause_decode(v, log, &o->trace);
	if (reports) {
		o->reports = *reports;
		*reports = (struct buf){ 0 };
		if (memcheck_undefined(o->reports.s) && v->origins++ < ORIGINS_UP_TO && !v->ended) {
			o->open = true;
			wish(v, JOB_ORIGINS_BOOT, b->first);
		}
	}
	if (b->gone)
		cause_boot(v, cause);
	if (!o->open)
		v->hooks.outside(v->hooks.arg, o);
}

/* A class may be silent for the rest of a boot once it has spoken. */
static void note_class(struct vboot *b, const char *class)
{
	b->spoke = grow(b->spoke, b->n_spoke, sizeof(*b->spoke));
	b->spoke[b->n_spoke++] = class;
}

static bool class_spoke(const struct vboot *b, const char *class)
{
	for (int i = 0; i < b->n_spoke; i++)
		if (!strcmp(b->spoke[i], class))
			return true;
	return false;
}

static void forget(struct said *s)
{
	buf_free(&s->log);
	*s = (struct said){ 0 };
}

/* The reason of a report, malloc'ed, and its decoded text behind @trace. */
static char *decoded_reason(const struct verdict *v, const struct said *s, struct buf *trace)
{
	cause_decode(v, s->log.s, trace);
	return cause_reason(v, s->by, s->what, trace->s);
}

/* Where the kernel is that no test runs in, malloc'ed. */
static char *where_of(const struct verdict *v, const struct vboot *b)
{
	if (b->seen_console == b->first)
		return xasprintf("boot");
	if (b->seen_console == b->end)
		return xasprintf("power-off");
	return xasprintf("after %s", v->plan.tests[b->seen_console - 1].name);
}

/* What memcheck found outside the tests. */
static void take_outside(struct verdict *v, struct vboot *b)
{
	struct buf text = { 0 };
	char *first, *reason, *where;

	if (!b->mc || !memcheck_take(b->mc, NULL, &text, &first))
		return;
	reason = xasprintf("memcheck: %s", first);
	where = where_of(v, b);
	outside(v, b, where, ST_REPORT, reason, NULL, &text);
	free(where);
	free(reason);
	free(first);
}

/* Reports of memcheck on test @i; they come first: a crash may be what became of them. */
static bool take_memcheck(struct verdict *v, struct vboot *b, int i)
{
	struct test *t = test_of(v, i);
	char *first, *reason;

	if (!b->mc || !memcheck_take(b->mc, t->name, &t->now.reports, &first))
		return false;
	reason = xasprintf("memcheck: %s", first);
	set_reason(&t->now, ST_REPORT, reason);
	free(reason);
	free(first);
	return true;
}

/* What is known of test @i is all there will be; @ended: the kernel is gone with it. */
static void finish(struct verdict *v, struct vboot *b, int i, bool ended)
{
	struct test *t = test_of(v, i);
	bool charged = take_memcheck(v, b, i) || t->now.reports.len, reported;
	struct said *said = i < b->seen_console ? &b->of_test[i - b->first] : &b->said;

	/* The console was done with it, its result never came: what was said in between is the nearest to a cause. */
	if (ended && !said->by && b->said.by)
		said = &b->said;
	reported = said->by;
	if (reported) {
		char *reason = decoded_reason(v, said, &t->now.trace);

		if (!charged)
			set_reason(&t->now, ST_REPORT, reason);
		free(reason);
		b->over = !v->set.gdb;
	} else if (t->now.status == ST_TIMEOUT || ended) {
		cause_decode(v, said->log.s, &t->now.trace);
	}
	if (charged || v->set.isolate)
		b->over = true;
	forget(said);
	b->finished = i + 1;
	settle(v, b, i, ended || reported || charged);
	take_outside(v, b);
}

static int least(int a, int b)
{
	return a < b ? a : b;
}

/* Tests whose end is on every stream: [first, n). */
static int seen(const struct vboot *b)
{
	int n = least(b->seen_result, b->seen_console);

	return b->mc ? least(n, b->seen_xml) : n;
}

static void maybe_finish(struct verdict *v, struct vboot *b)
{
	while (!b->over && b->finished < seen(b))
		finish(v, b, b->finished, false);
}

/* A report between tests, or before the first: its text is whole when something else begins. */
static void close_report(struct verdict *v, struct vboot *b)
{
	struct buf trace = { 0 };
	char *where, *reason;

	if (!b->said.by)
		return;
	where = where_of(v, b);
	reason = decoded_reason(v, &b->said, &trace);
	outside(v, b, where, ST_REPORT, reason, b->said.log.s, NULL);
	/* What is said at each boot would be said by the next one, too. */
	if (b->seen_console > b->first && !v->set.gdb)
		b->over = true;
	forget(&b->said);
	buf_free(&trace);
	free(where);
	free(reason);
}

/* The guest's word cannot be taken: say so on the test that was running, and end the boot. */
static void protocol_error(struct verdict *v, struct vboot *b, const char *what)
{
	char *where;

	b->over = true;
	if (b->began >= b->seen_result && b->began >= b->finished) {
		/* What had its result has it, whether the console came as far or not. */
		while (b->finished < b->began)
			finish(v, b, b->finished, false);
		set_reason(&test_of(v, b->began)->now, ST_FAIL, what);
		finish(v, b, b->began, true);
		return;
	}
	where = where_of(v, b);
	outside(v, b, where, ST_FAIL, what, NULL, NULL);
	free(where);
	/* Nothing ran: neither will it in the next kernel. */
	if (b->began < b->first && !v->ended) {
		v->ended = xasprintf("%s", what);
		v->ended_status = ST_FAIL;
	}
}

/* ---- the result channel ---- */

static void take_result(struct verdict *v, struct vboot *b, const struct ktap_line *k, double t_now)
{
	int i = b->seen_result;
	struct test *t = i < b->end ? test_of(v, i) : NULL;

	if (!t || b->began != i || k->nr != i - b->first + 1 || strcmp(k->name, t->name)) {
		char *what = xasprintf("KTAP: result %ld '%s' when %s was running", k->nr, k->name,
				       t && b->began == i ? t->name : "no test");

		protocol_error(v, b, what);
		free(what);
		return;
	}
	t->now.ms = (t_now - t->began) * 1000;
	if (k->kind == KTAP_OK)
		set_reason(&t->now, k->skip ? ST_SKIP : ST_PASS, k->reason);
	else
		set_reason(&t->now, strncmp(k->reason, "timeout", 7) ? ST_FAIL : ST_TIMEOUT, k->reason);
	b->seen_result++;
	b->since = t_now;
}

static void begin_test(struct verdict *v, struct vboot *b, const char *name, double t_now)
{
	struct test *t;

	if (b->seen_result >= b->end || strcmp(name, v->plan.tests[b->seen_result].name)) {
		protocol_error(v, b, "KTAP: a test that was not next");
		return;
	}
	b->began = b->seen_result;
	t = test_of(v, b->began);
	outcome_clear(&t->now);
	t->began = b->since = t_now;
	t->stage = TEST_RUNS;
}

/* The answer of an armed detector, by its number among those asked; -1 if nobody asked. */
static int asked(const struct verdict *v, const char *name)
{
	for (int i = 0; i < v->set.n_asked; i++)
		if (!strcmp(v->set.asked[i], name))
			return i;
	return -1;
}

static void take_armed(struct verdict *v, struct vboot *b, const struct ktap_line *k)
{
	int q = asked(v, k->name);
	char *reason;

	if (q < 0)
		return;
	b->answered[q] = true;
	for (int i = 0; i < n_detectors; i++) {
		const struct detector *d = &detectors[i];

		if (strcmp(d->name, k->name) || k->nr >= d->armed_least || class_spoke(b, d->class))
			continue;
		reason = xasprintf("%s went off without a word: %s says %ld", d->name,
				   d->armed_file ? d->armed_file : "the guest", k->nr);
		outside(v, b, "at the end of a boot", ST_FAIL, reason, NULL, NULL);
		free(reason);
	}
}

static void take_done(struct verdict *v, struct vboot *b, long n, double t_now)
{
	if (n != b->end - b->first || b->seen_result != b->end) {
		protocol_error(v, b, "KTAP: done before the plan was");
		return;
	}
	b->done = true;
	b->since = t_now;
	for (int i = 0; i < v->set.n_asked && judged(b); i++) {
		char *reason = xasprintf("%s was not asked whether it is armed", v->set.asked[i]);

		if (!b->answered[i])
			outside(v, b, "power-off", ST_FAIL, reason, NULL, NULL);
		free(reason);
	}
}

static void take_diag(struct verdict *v, struct vboot *b, const char *text)
{
	if (b->began >= b->first && b->began == b->seen_result)
		buf_printf(&test_of(v, b->began)->now.log, "%s\n", text);
}

static void result_line(struct verdict *v, struct vboot *b, const char *line, double t_now)
{
	struct ktap_line k;

	ktap_parse(line, &k);
	if (!judged(b)) {
		b->since = t_now;
		b->version = true;
		b->done |= k.kind == KTAP_DONE;
		return;
	}
	switch (k.kind) {
	case KTAP_VERSION:
		b->version = true;
		if (!v->boot_s)
			v->boot_s = t_now - b->started;
		b->since = t_now;
		break;
	case KTAP_PLAN:
		if (b->planned || k.nr != b->end - b->first)
			protocol_error(v, b, "KTAP: a plan that is not ours");
		b->planned = true;
		break;
	case KTAP_BEGIN:
		begin_test(v, b, k.name, t_now);
		break;
	case KTAP_OK:
	case KTAP_NOT_OK:
		take_result(v, b, &k, t_now);
		break;
	case KTAP_DONE:
		take_done(v, b, k.nr, t_now);
		break;
	case KTAP_DIAG:
		take_diag(v, b, k.text);
		break;
	case KTAP_COUNTER:
		if (b->began >= b->first && b->began == b->seen_result)
			buf_printf(&test_of(v, b->began)->now.counters, "counter %s %ld\n", k.name, k.nr);
		break;
	case KTAP_ARMED:
		take_armed(v, b, &k);
		break;
	case KTAP_LEAK:
		b->leaks = grow(b->leaks, b->n_leaks, sizeof(*b->leaks));
		b->leaks[b->n_leaks++] = xasprintf("%s", k.name);
		break;
	case KTAP_OTHER:
		if (*line)
			protocol_error(v, b, "KTAP: a line that is none");
		break;
	}
}

/* ---- the console ---- */

static void note_report(struct vboot *b, const struct line *l)
{
	note_class(b, l->by->class);
	/*
	 * "BUG: failure at mm/rmap.c:7/f()!" names the place, the panic that follows does not; and the last words that were asked
	 * for are about all tasks and locks there are.
	 */
	if (b->said.by || b->limit)
		return;
	b->said.by = l->by;
	text_copy(b->said.what, sizeof(b->said.what), l->what, strlen(l->what));
}

static void console_line(struct verdict *v, struct vboot *b, const char *line, double t_now)
{
	struct line l;

	detect_line(line, &l);
	if (!judged(b) && l.kind != LINE_POWER_DOWN)
		return;
	switch (l.kind) {
	case LINE_PLAIN:
		if (!v->release && !strncmp(line, "Linux version ", 14))
			v->release = text_dup(line + 14, strcspn(line + 14, " "));
		break;
	case LINE_BEGIN:
		if (b->seen_console < b->end && !strcmp(l.what, v->plan.tests[b->seen_console].name)) {
			close_report(v, b);
			b->in_console = b->seen_console;
			forget(&b->said);
		}
		return;
	case LINE_END:
		if (b->in_console >= 0 && !strcmp(l.what, v->plan.tests[b->in_console].name)) {
			b->of_test[b->in_console - b->first] = b->said;
			b->said = (struct said){ 0 };
			b->seen_console = b->in_console + 1;
			b->in_console = -1;
		}
		return;
	case LINE_POWER_DOWN:
		/* Its end is near, also if a test and not init has called for it. */
		if (!b->powered_down)
			b->since = t_now;
		b->powered_down = true;
		break;
	case LINE_INIT:
		if (!v->ended) {
			v->ended = xasprintf("init: %s", l.what);
			v->ended_status = ST_FAIL;
		}
		break;
	case LINE_REPORT:
		note_report(b, &l);
		break;
	}
	if (b->said.log.len < LOG_MAX)
		buf_printf(&b->said.log, "%s\n", line);
}

/* ---- memcheck's XML ---- */

static void on_mark(void *arg, bool begin, const char *name)
{
	struct vboot *b = ((void **)arg)[1];
	struct verdict *v = ((void **)arg)[0];

	if (!begin && b->seen_xml < b->end && !strcmp(name, v->plan.tests[b->seen_xml].name))
		b->seen_xml++;
}

static void take_xml(struct verdict *v, struct vboot *b, const char *s, size_t len)
{
	void *both[] = { v, b };
	char *why;

	if (!b->mc)
		return;
	why = memcheck_feed(b->mc, s, len, on_mark, both);
	if (!why)
		return;
	/* From here on it is blind: no test of this kernel may pass as if it had been watched. */
	if (judged(b)) {
		char *where = where_of(v, b), *reason = xasprintf("memcheck: its reports cannot be read: %s", why);

		outside(v, b, where, ST_FAIL, reason, NULL, NULL);
		free(where);
		free(reason);
	}
	b->over = true;
	free(why);
}

/* ---- bytes of a kernel ---- */

/* Hand out the whole lines of what has come, as text. */
static void take_bytes(struct verdict *v, struct vboot *b, struct buf *keep, const struct event *e,
		       void (*take)(struct verdict *, struct vboot *, const char *, double))
{
	char *start, *nl;

	buf_add(keep, e->data, e->len);
	for (start = keep->s; (nl = memchr(start, '\n', keep->s + keep->len - start)); start = nl + 1) {
		struct buf line = { 0 };
		size_t n = nl - start;

		if (n && start[n - 1] == '\r')
			n--;
		buf_add_clean(&line, start, n);
		if (!b->over)
			take(v, b, line.s ? line.s : "", e->t);
		buf_free(&line);
	}
	keep->len -= start - keep->s;
	memmove(keep->s, start, keep->len);
	keep->s[keep->len] = '\0';
}

/* The line that the kernel did not come to the end of. */
static void last_line(struct verdict *v, struct vboot *b, struct buf *keep, double t_now,
		      void (*take)(struct verdict *, struct vboot *, const char *, double))
{
	struct event e = { .t = t_now, .data = "\n", .len = 1 };

	if (keep->len)
		take_bytes(v, b, keep, &e, take);
}

/* ---- how a boot ends ---- */

static char *end_reason(int status)
{
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
		words = decoded_reason(v, &b->said, &trace);
		reason = xasprintf("boot: %s", words);
		how = ST_REPORT;
	} else if (b->limit) {
		reason = xasprintf("boot timeout %gs", v->set.boot_limit * v->set.scale);
		how = ST_TIMEOUT;
	} else {
		reason = xasprintf("no results: the kernel ended with status %d before the first test",
				   WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	}
	outside(v, b, "boot", how, words ? words : reason, b->said.log.s, NULL);
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
		close_report(v, b);
		return;
	}
	where = where_of(v, b);
	reason = b->limit ? xasprintf("timeout") : end_reason(status);
	outside(v, b, where, b->limit ? ST_TIMEOUT : ST_FAIL, reason, b->said.log.s, NULL);
	free(where);
	free(reason);
}

static void died_in(struct verdict *v, struct vboot *b, int i, int status, double t_now)
{
	struct test *t = test_of(v, i);
	char *reason = b->limit ? xasprintf("timeout %gs", limit_of(v, b, i)) : end_reason(status);

	if (t->now.status == ST_NOTRUN)
		t->now.ms = (t_now - t->began) * 1000;
	set_reason(&t->now, b->limit ? ST_TIMEOUT : ST_FAIL, reason);
	free(reason);
	finish(v, b, i, true);
}

/* kmemleak speaks when the tests are over: what it can name is charged to the test. False if it could not name one. */
static bool charge_leaks(struct verdict *v, struct vboot *b)
{
	struct buf trace = { 0 };
	char *reason;

	if (!b->n_leaks || strcmp(b->said.by->class, "kmemleak"))
		return false;
	reason = decoded_reason(v, &b->said, &trace);
	for (int k = 0; k < b->n_leaks; k++)
		for (int i = b->first; i < b->finished; i++) {
			struct test *t = test_of(v, i);

			if (strcmp(t->name, b->leaks[k]) || t->kept.status == ST_REPORT)
				continue;
			outcome_clear(&t->now);
			t->now.ms = t->kept.ms;
			set_reason(&t->now, ST_REPORT, reason);
			buf_add(&t->now.log, t->kept.log.s ? t->kept.log.s : "", t->kept.log.len);
			buf_add(&t->now.trace, trace.s ? trace.s : "", trace.len);
			settle(v, b, i, true);
		}
	buf_free(&trace);
	free(reason);
	return true;
}

/* All results came: the end of the console must agree. */
static void check_power_off(struct verdict *v, struct vboot *b, int status)
{
	bool clean = b->powered_down && WIFEXITED(status) && !WEXITSTATUS(status);

	if (b->said.by) {
		if (!charge_leaks(v, b))
			close_report(v, b);
	} else if (b->limit) {
		outside(v, b, "power-off", ST_TIMEOUT, "no power-off after the last test", b->said.log.s, NULL);
	} else if (!clean) {
		outside(v, b, "power-off", ST_REPORT, "the kernel did not end with a clean power-off", b->said.log.s, NULL);
	}
}

/* gdb is gone: a test that it stopped in came to nothing. */
static void left_by_gdb(struct verdict *v, struct vboot *b)
{
	int i = b->seen_result;

	b->next = b->end;
	if (b->done || b->began != i || i >= b->end)
		return;
	set_reason(&test_of(v, i)->now, ST_FAIL, "stopped in gdb");
	settle(v, b, i, false);
}

/* What an origins kernel saw takes the place of the report that asked for it. */
static void take_origins(struct verdict *v, struct vboot *b)
{
	struct test *t = test_of(v, b->first);
	struct outside *o = NULL;
	struct buf again = { 0 }, *text = &t->now.reports;
	char *first = NULL;

	for (int i = 0; b->job == JOB_ORIGINS_BOOT && i < v->n_outside && !o; i++)
		if (v->outside[i].open)
			o = &v->outside[i];
	if (b->job == JOB_ORIGINS_BOOT && !o)
		return;
	if (o)
		text = &o->reports;
	memcheck_take(b->mc, o ? NULL : t->name, &again, &first);
	free(first);
	if (memcheck_undefined(again.s)) {
		buf_free(text);
		*text = again;
	} else {
		buf_printf(text, "  (origins: not met again by a memcheck that looks for them)\n");
		buf_free(&again);
	}
	if (o) {
		o->open = false;
		v->hooks.outside(v->hooks.arg, o);
	} else if (t->open) {
		count(v, t);
	}
}

static void judge_end(struct verdict *v, struct vboot *b, int status, double t_now)
{
	int i;

	/* Markers that memcheck's log would still have had do not come any more. */
	b->seen_xml = b->end;
	maybe_finish(v, b);
	i = seen(b);
	b->next = b->finished;
	if (b->over)
		return;
	if (b->done && b->seen_result == b->end && b->seen_console == b->end) {
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
	maybe_finish(v, b);
	b->next = b->finished;
	if (b->over)
		return;
	i = seen(b);
	said = i < b->seen_console ? &b->of_test[i - b->first] : b->in_console == i ? &b->said : NULL;
	if (i < b->end && b->began == i && (take_memcheck(v, b, i) || (said && said->by)))
		finish(v, b, i, false);
	else
		close_report(v, b);
	b->next = b->finished;
}

/* A soak has thousands of kernels. */
static void forget_streams(struct vboot *b)
{
	buf_free(&b->con);
	buf_free(&b->res);
	forget(&b->said);
	for (int i = b->first; i < b->end; i++)
		forget(&b->of_test[i - b->first]);
	if (b->mc)
		memcheck_free(b->mc);
	b->mc = NULL;
}

static void take_exit(struct verdict *v, struct vboot *b, int status, double t_now)
{
	last_line(v, b, &b->res, t_now, result_line);
	last_line(v, b, &b->con, t_now, console_line);
	b->gone = true;
	b->next = b->finished;
	if (v->set.gdb)
		left_by_gdb(v, b);
	else if (b->job == JOB_ORIGINS || b->job == JOB_ORIGINS_BOOT)
		take_origins(v, b);
	else if (judged(b) && b->stopped)
		judge_stop(v, b);
	else if (judged(b))
		judge_end(v, b, status, t_now);
	if (judged(b))
		take_outside(v, b);
	for (int i = b->first; i < b->end && judged(b); i++)
		if (test_of(v, i)->stage == TEST_RUNS)
			test_of(v, i)->stage = b->job == JOB_AGAIN ? TEST_ENDED : TEST_WAITS;
	forget_streams(b);
}

/* ---- events ---- */

static void no_sense(const struct event *e, const char *why)
{
	die(EX_USAGE, "mmuml-run --help", xasprintf("at %.6f s, kernel %d: %s", e->t, e->boot, why), "the record of the run makes no sense");
}

static struct vboot *start_boot(struct verdict *v, const struct event *e)
{
	struct vboot *b = xcalloc(1, sizeof(*b));
	char word[32];

	b->nr = e->boot;
	for (b->job = 0; b->job < JOBS; b->job++)
		if (sscanf(e->data, "%31s %d %d %d", word, &b->first, &b->end, &b->console) == 4 && !strcmp(word, job_word(b->job)))
			break;
	if (b->job == JOBS || e->boot != v->n_boots + 1 || b->first < 0 || b->end > v->plan.n || b->first >= b->end)
		no_sense(e, "a kernel that cannot be started here");
	b->seen_result = b->seen_console = b->seen_xml = b->finished = b->next = b->first;
	b->in_console = -1;
	b->began = b->first - 1;
	b->started = b->since = e->t;
	b->answered = xcalloc(v->set.n_asked + 1, sizeof(*b->answered));
	b->of_test = xcalloc(b->end - b->first, sizeof(*b->of_test));
	if (v->set.memcheck)
		b->mc = memcheck_new(v->hooks.symbol, v->hooks.arg);
	v->boots = grow(v->boots, v->n_boots, sizeof(*v->boots));
	v->boots[v->n_boots++] = b;
	return b;
}

static void take_setting(struct verdict *v, const char *data)
{
	struct settings *s = &v->set;
	const char *value = strchr(data, ' ');
	char name[32];

	value = value ? value + 1 : "";
	text_copy(name, sizeof(name), data, strcspn(data, " "));
	if (!strcmp(name, "test-limit"))
		s->test_limit = strtod(value, NULL);
	else if (!strcmp(name, "boot-limit"))
		s->boot_limit = strtod(value, NULL);
	else if (!strcmp(name, "scale"))
		s->scale = strtod(value, NULL);
	else if (!strcmp(name, "repeat"))
		s->repeat = atoi(value);
	else if (!strcmp(name, "isolate"))
		s->isolate = atoi(value);
	else if (!strcmp(name, "gdb"))
		s->gdb = atoi(value);
	else if (!strcmp(name, "keep-going"))
		s->keep_going = atoi(value);
	else if (!strcmp(name, "memcheck"))
		s->memcheck = atoi(value);
	else if (!strcmp(name, "dir"))
		s->dir = xasprintf("%s", value);
	else if (!strcmp(name, "ask")) {
		s->asked = grow(s->asked, s->n_asked, sizeof(*s->asked));
		s->asked[s->n_asked++] = xasprintf("%s", value);
	}
}

/*
 * Whether each test has come to its end in this round, unless something is known to have ended the run. A record that says it is
 * whole, and of which this does not hold, has lost something.
 */
static bool round_whole(const struct verdict *v)
{
	if (v->ended || v->set.gdb)
		return true;
	for (int i = 0; i < v->plan.n; i++)
		if (v->plan.tests[i].stage != TEST_ENDED)
			return false;
	return true;
}

static bool record_whole(const struct verdict *v)
{
	for (int i = 0; i < v->n_boots; i++)
		if (!v->boots[i]->gone)
			return false;
	return !v->gap && round_whole(v) && (v->ended || v->round >= v->set.repeat);
}

static void take_round(struct verdict *v, const char *data)
{
	if (v->round_began && !round_whole(v))
		v->gap = true;
	v->round_began = true;
	v->round = atoi(data);
	for (int i = 0; i < v->plan.n; i++)
		test_of(v, i)->stage = TEST_WAITS;
	if (v->round > 1)
		v->hooks.round(v->hooks.arg, v->round - 1);
}

/* "TEST\ncounter NAME N\n...": of the round that has just ended there. */
static void take_counters(struct verdict *v, const char *data)
{
	size_t n = strcspn(data, "\n");

	for (int i = 0; i < v->plan.n; i++) {
		struct test *t = test_of(v, i);

		if (strlen(t->name) == n && !strncmp(t->name, data, n) && data[n])
			buf_add(&t->kept.counters, data + n + 1, strlen(data + n + 1));
	}
}

static void take_amend(struct verdict *v, const char *data)
{
	char status[16] = "", *why = NULL, *add = NULL;

	sscanf(data, "%15[^\t]\t%m[^\t]\t%m[^\t]", status, &why, &add);
	for (enum status s = ST_NOTRUN; s <= ST_REPORT; s++)
		if (!strcmp(status_word(s), status))
			v->amended_status = s;
	free(v->amended);
	free(v->added);
	v->amended = why && strcmp(why, "-") ? why : NULL;
	v->added = add;
}

static void of_boot(struct verdict *v, struct vboot *b, const struct event *e)
{
	switch (e->kind) {
	case EV_CONSOLE:
		take_bytes(v, b, &b->con, e, console_line);
		break;
	case EV_RESULT:
		take_bytes(v, b, &b->res, e, result_line);
		break;
	case EV_XML:
		take_xml(v, b, e->data, e->len);
		break;
	case EV_STACKS:
		buf_add(&b->said.log, e->data, e->len);
		break;
	case EV_LIMIT:
		b->limit = true;
		break;
	case EV_STOP:
		b->stopped = true;
		break;
	case EV_EXIT:
		take_exit(v, b, atoi(e->data), e->t);
		return;
	default:
		return;
	}
	if (judged(b) && !b->gone && !b->stopped)
		maybe_finish(v, b);
}

void verdict_event(struct verdict *v, const struct event *e)
{
	struct vboot *b = verdict_boot(v, e->boot);

	if (!v->whole)
		v->run_s = e->t;
	switch (e->kind) {
	case EV_SET:
		take_setting(v, e->data);
		break;
	case EV_TEST:
		if (!plan_add(&v->plan, e->data))
			die(EX_USAGE, "mmuml-run --help", e->data, "the record of the run names no test here");
		break;
	case EV_ROUND:
		take_round(v, e->data);
		break;
	case EV_COUNTERS:
		take_counters(v, e->data);
		break;
	case EV_PEAK:
		if (atol(e->data) > v->peak_kb)
			v->peak_kb = atol(e->data);
		break;
	case EV_END_RUN:
		v->interrupted = !strcmp(e->data, "interrupted");
		if (!v->ended) {
			v->ended = xasprintf("%s", e->data);
			v->ended_status = v->interrupted ? ST_NOTRUN : ST_TIMEOUT;
		}
		break;
	case EV_DEBUGGER:
		v->gdb_status = atoi(e->data);
		break;
	case EV_AMEND:
		take_amend(v, e->data);
		v->total_s = strtod(strrchr(e->data, '\t') ? strrchr(e->data, '\t') + 1 : "0", NULL);
		break;
	case EV_DONE:
		v->whole = record_whole(v);
		v->total_s = strtod(e->data, NULL);
		break;
	case EV_START:
		start_boot(v, e);
		break;
	case EV_SYMBOL:
	case EV_KINDS:
		break;
	case EV_CONSOLE:
	case EV_RESULT:
	case EV_XML:
	case EV_STACKS:
	case EV_LIMIT:
	case EV_STOP:
	case EV_EXIT:
		if (!b || b->gone)
			no_sense(e, "of no kernel that runs");
		of_boot(v, b, e);
		break;
	}
}

void verdict_close(struct verdict *v)
{
	for (int i = 0; i < v->n_outside; i++)
		if (v->outside[i].open) {
			v->outside[i].open = false;
			v->hooks.outside(v->hooks.arg, &v->outside[i]);
		}
	for (int i = 0; i < v->plan.n; i++) {
		struct test *t = test_of(v, i);

		if (t->open && t->now.status == ST_NOTRUN)
			set_reason(&t->now, ST_TIMEOUT, "timeout, and then not tried to its end with the whole limit");
		if (t->open)
			count(v, t);
	}
}

void verdict_init(struct verdict *v, const struct verdict_hooks *hooks)
{
	*v = (struct verdict){ .hooks = *hooks, .gdb_status = -1, .round = 1,
			       .set = { .test_limit = 25, .boot_limit = 20, .scale = 1, .repeat = 1 } };
}
