// SPDX-License-Identifier: GPL-2.0
/* The reason of a failure, what several failures have in common, and when there are enough of them. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"
#include "verdict.h"

#define TRACE_MAX	(1024 * 1024)
#define ROW_MOST	6	/* failures of known causes without a pass in between: the rest would fail likewise */
#define ANY_MOST	24	/* the same of whatever cause */
#define CONFIRM_AT	4	/* timeouts within learned limits, before one is looked at with the whole limit */
#define BOOTS_MOST	12	/* kernels that one cause may end, or tests that it may hang */

void cause_decode(const struct verdict *v, const char *text, struct buf *out)
{
	const char *line;
	size_t len;

	while (out->len < TRACE_MAX && text_line(&text, &line, &len)) {
		char *copy = text_dup(line, len);

		trace_decode(copy, v->hooks.symbol, v->hooks.in_text, v->hooks.arg, out);
		buf_add(out, "\n", 1);
		free(copy);
	}
}

/* "mm/rmap.c:12" among the words, malloc'ed; NULL without one. */
static char *place_in(const char *words)
{
	for (const char *at = words; (at = strchr(at, ':')); at++) {
		const char *from = at;

		while (from > words && from[-1] != ' ')
			from--;
		if (isdigit((unsigned char)at[1]) && memchr(from, '.', at - from))
			return text_dup(from, at + 1 + strspn(at + 1, "0123456789") - from);
	}
	return NULL;
}

static char *with_place(const char *class, const char *what, const char *place)
{
	char words[128];

	text_copy(words, place ? 81 : 121, what, strlen(what));
	return place ? xasprintf("%s: %s: %s", class, words, place) : xasprintf("%s: %s", class, words);
}

char *cause_reason(const struct verdict *v, const struct detector *by, const char *what, const char *trace)
{
	const char *culprit = NULL;
	struct buf words = { 0 };
	char *place, *reason;

	if (by->place == PLACE_TRACE)
		return with_place(by->class, what, trace_culprit(trace ? trace : ""));
	place = place_in(what);
	if (place) {
		reason = xasprintf("%s: %s", by->class, place);
		free(place);
		return reason;
	}
	/* "ip 0x60001234" says it best. */
	cause_decode(v, what, &words);
	culprit = trace_culprit(words.s ? words.s : "");
	if (!culprit)
		culprit = trace_culprit(trace ? trace : "");
	reason = with_place(by->class, what, culprit);
	buf_free(&words);
	return reason;
}

/* What is the same for all that fail for one cause: numbers and addresses differ, but not those of a line of source. */
static char *key_of(enum status status, const char *reason)
{
	struct buf b = { 0 };
	char *place;

	if (status == ST_TIMEOUT && !strncmp(reason, "timeout", 7))
		return xasprintf("timeout");
	place = place_in(reason);
	if (place) {
		/* "KASAN: BUG: KASAN: slab-use-after-free in f: mm/x.c:12" */
		buf_printf(&b, "%.*s %s", (int)strcspn(reason, ":"), reason, place);
		free(place);
		return b.s;
	}
	for (const char *s = reason; *s; s++) {
		size_t n = !strncmp(s, "0x", 2) ? 2 + strspn(s + 2, "0123456789abcdef") : strspn(s, "0123456789");

		if (n) {
			buf_add(&b, "#", 1);
			s += n - 1;
		} else {
			buf_add(&b, s, 1);
		}
	}
	return b.s ? b.s : xasprintf("%s", "");
}

static void enough(struct verdict *v, const struct cause *c)
{
	if (v->ended || v->set.keep_going || v->set.gdb)
		return;
	/* On a busy host quick tests are slow: that they hang is known when one has had all of its time. */
	if (c->status == ST_TIMEOUT && !v->confirmed)
		return;
	if (v->row_of_any >= ANY_MOST)
		v->ended = xasprintf("gave up after %d failures and no pass between them; KEEP_GOING=1 goes on", v->row_of_any);
	else if (v->row >= ROW_MOST)
		v->ended = xasprintf("gave up after %d failures of known causes and no pass between them; KEEP_GOING=1 goes on",
				     v->row);
	else if (c->boots >= BOOTS_MOST)
		v->ended = xasprintf("gave up after %d kernels or tests that ended for one cause; KEEP_GOING=1 goes on", c->boots);
	else
		return;
	v->ended_status = c->status;
	v->gave_up = true;
}

static bool failed_for(const struct test *t, int c)
{
	return t->kept.cause == c || t->now.cause == c;
}

int cause_tests(const struct verdict *v, int c, int *first)
{
	int n = 0, at = v->causes[c].first;

	/* It may have passed since, with more time. */
	if (at >= 0 && !failed_for(&v->plan.tests[at], c))
		at = -1;
	for (int i = 0; i < v->plan.n; i++) {
		if (!failed_for(&v->plan.tests[i], c))
			continue;
		n++;
		if (at < 0 && v->causes[c].first >= 0)
			at = i;
	}
	*first = at;
	return n;
}

int cause_note(struct verdict *v, int i, enum status status, const char *reason, bool ended)
{
	char *key = key_of(status, reason);
	int n;

	for (n = 0; n < v->n_causes && strcmp(v->causes[n].key, key); n++)
		;
	if (n == v->n_causes) {
		v->causes = grow(v->causes, n, sizeof(*v->causes));
		v->causes[v->n_causes++] = (struct cause){ .key = key, .reason = xasprintf("%s", reason), .first = i,
							   .status = status };
	} else {
		free(key);
		v->row += ended;
	}
	v->row_of_any += ended;
	enough(v, &v->causes[n]);
	return n;
}

void cause_boot(struct verdict *v, int cause)
{
	v->causes[cause].boots++;
	enough(v, &v->causes[cause]);
}

void cause_pass(struct verdict *v)
{
	v->row = v->row_of_any = 0;
}

bool cause_doubtful(struct verdict *v)
{
	if (++v->doubtful < CONFIRM_AT || v->confirming || v->confirmed)
		return v->confirm_now;
	v->confirming = v->confirm_now = true;
	return true;
}

void cause_confirm(struct verdict *v, enum status status)
{
	v->confirming = false;
	v->doubtful = 0;
	if (status == ST_TIMEOUT) {
		v->confirmed = true;
		return;
	}
	for (int i = 0; i < v->n_causes; i++)
		if (v->causes[i].status == ST_TIMEOUT)
			v->causes[i].boots = 0;
	v->row = 0;
}
