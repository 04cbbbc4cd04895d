// SPDX-License-Identifier: GPL-2.0
/* What the streams of a kernel say: the result channel, the console, memcheck's XML. */
#include <stdlib.h>
#include <string.h>

#include "ktap.h"
#include "memcheck.h"
#include "verdict-parts.h"

#define LOG_MAX		(256 * 1024)

/* The guest's word cannot be taken: say so on the test that was running, and end the boot. */
void boot_protocol_error(struct verdict *v, struct vboot *b, const char *what)
{
	char *where;

	b->over = true;
	if (b->began >= b->seen_result && b->began >= b->finished) {
		/* What had its result has it, whether the console came as far or not. */
		while (b->finished < b->began)
			test_finish(v, b, b->finished, false);
		outcome_set(&verdict_test(v, b->began)->now, ST_FAIL, what);
		test_finish(v, b, b->began, true);
		return;
	}
	where = boot_where(v, b);
	outside_note(v, b, where, ST_FAIL, what, NULL, NULL);
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
	struct test *t = i < b->end ? verdict_test(v, i) : NULL;

	if (!t || b->began != i || k->nr != i - b->first + 1 || strcmp(k->name, t->name)) {
		char *what = xasprintf("KTAP: result %ld '%s' when %s was running", k->nr, k->name,
				       t && b->began == i ? t->name : "no test");

		boot_protocol_error(v, b, what);
		free(what);
		return;
	}
	t->now.said = true;
	t->now.ms = (t_now - t->began) * 1000;
	if (k->kind == KTAP_OK)
		outcome_set(&t->now, k->skip ? ST_SKIP : ST_PASS, k->reason);
	else
		outcome_set(&t->now, strncmp(k->reason, "timeout", 7) ? ST_FAIL : ST_TIMEOUT, k->reason);
	b->seen_result++;
	b->since = t_now;
}

static void begin_test(struct verdict *v, struct vboot *b, const char *name, double t_now)
{
	struct test *t;

	if (b->seen_result >= b->end || strcmp(name, v->plan.tests[b->seen_result].name)) {
		boot_protocol_error(v, b, "KTAP: a test that was not next");
		return;
	}
	b->began = b->seen_result;
	t = verdict_test(v, b->began);
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

		if (strcmp(d->name, k->name) || k->nr >= d->armed_least || boot_class_spoke(b, d->class))
			continue;
		reason = xasprintf("%s went off without a word: %s says %ld", d->name,
				   d->armed_file ? d->armed_file : "the guest", k->nr);
		outside_note(v, b, "at the end of a boot", ST_FAIL, reason, NULL, NULL);
		free(reason);
	}
}

static void take_done(struct verdict *v, struct vboot *b, long n, double t_now)
{
	if (n != b->end - b->first || b->seen_result != b->end) {
		boot_protocol_error(v, b, "KTAP: done before the plan was");
		return;
	}
	b->done = true;
	b->since = t_now;
	for (int i = 0; i < v->set.n_asked && boot_judged(b); i++) {
		char *reason = xasprintf("%s was not asked whether it is armed", v->set.asked[i]);

		if (!b->answered[i])
			outside_note(v, b, "power-off", ST_FAIL, reason, NULL, NULL);
		free(reason);
	}
}

static void take_diag(struct verdict *v, struct vboot *b, const char *text)
{
	if (b->began >= b->first && b->began == b->seen_result)
		buf_printf(&verdict_test(v, b->began)->now.log, "%s\n", text);
}

static void result_line(struct verdict *v, struct vboot *b, const char *line, double t_now)
{
	struct ktap_line k;

	ktap_parse(line, &k);
	if (!boot_judged(b)) {
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
			boot_protocol_error(v, b, "KTAP: a plan that is not ours");
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
			buf_printf(&verdict_test(v, b->began)->now.counters, "counter %s %ld\n", k.name, k.nr);
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
			boot_protocol_error(v, b, "KTAP: a line that is none");
		break;
	}
}

/* ---- the console ---- */

static void note_report(struct vboot *b, const struct line *l)
{
	boot_note_class(b, l->by->class);
	/*
	 * "BUG: failure at mm/rmap.c:7/f()!" names the place, the panic that follows does not; and the last words that were asked
	 * for are about all tasks and locks there are.
	 */
	if (b->said.by || b->limit)
		return;
	b->said.by = l->by;
	text_copy(b->said.what, sizeof(b->said.what), l->what, strlen(l->what));
}

/* Of much that was said the end is kept, for that is where a report stands; of what follows one, its beginning. */
static void keep_line(struct said *s, const char *line)
{
	const char *nl;

	if (s->log.len >= LOG_MAX && !s->by) {
		nl = strchrnul(s->log.s + LOG_MAX / 2, '\n');
		nl += *nl == '\n';
		s->log.len -= nl - s->log.s;
		memmove(s->log.s, nl, s->log.len + 1);
	}
	if (s->log.len < 2 * LOG_MAX)
		buf_printf(&s->log, "%s\n", line);
}

static void console_line(struct verdict *v, struct vboot *b, const char *line, double t_now)
{
	struct line l;

	detect_line(line, &l);
	if (!boot_judged(b) && l.kind != LINE_POWER_DOWN)
		return;
	switch (l.kind) {
	case LINE_PLAIN:
		if (!v->release && !strncmp(line, "Linux version ", 14))
			v->release = text_dup(line + 14, strcspn(line + 14, " "));
		break;
	case LINE_BEGIN:
		if (b->seen_console < b->end && !strcmp(l.what, v->plan.tests[b->seen_console].name)) {
			boot_close_report(v, b);
			b->in_console = b->seen_console;
			said_forget(&b->said);
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
	keep_line(&b->said, line);
}

/* ---- memcheck's XML ---- */

static void on_mark(void *arg, bool begin, const char *name)
{
	struct vboot *b = ((void **)arg)[1];
	struct verdict *v = ((void **)arg)[0];

	if (begin && boot_judged(b))
		boot_take_outside(v, b);
	if (!begin && b->seen_xml < b->end && !strcmp(name, v->plan.tests[b->seen_xml].name))
		b->seen_xml++;
}

/* From here on it is blind: no test of this kernel may pass as if it had been watched, and one that breaks it each time is not tried again. */
static void went_blind(struct verdict *v, struct vboot *b, const char *why)
{
	char *reason = xasprintf("memcheck: its reports cannot be read: %s", why), *where = boot_where(v, b);
	int i = b->finished;

	if (b->began >= i) {
		outcome_set(&verdict_test(v, i)->now, ST_FAIL, reason);
		test_finish(v, b, i, true);
	} else {
		outside_note(v, b, where, ST_FAIL, reason, NULL, NULL);
	}
	free(where);
	free(reason);
}

void stream_xml(struct verdict *v, struct vboot *b, const struct event *e)
{
	void *both[] = { v, b };
	char *why;

	if (!b->mc)
		return;
	why = memcheck_feed(b->mc, e->data, e->len, on_mark, both);
	if (!why)
		return;
	b->over = true;
	if (boot_judged(b))
		went_blind(v, b, why);
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

void stream_console(struct verdict *v, struct vboot *b, const struct event *e)
{
	take_bytes(v, b, &b->con, e, console_line);
}

void stream_result(struct verdict *v, struct vboot *b, const struct event *e)
{
	take_bytes(v, b, &b->res, e, result_line);
}

void stream_end(struct verdict *v, struct vboot *b, double t_now)
{
	struct event e = { .t = t_now, .data = "\n", .len = 1 };

	if (b->res.len)
		take_bytes(v, b, &b->res, &e, result_line);
	if (b->con.len)
		take_bytes(v, b, &b->con, &e, console_line);
}
