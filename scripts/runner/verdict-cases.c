// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's own tests (tests/upstream): the cases that a program reports in TAP of its own, each as a result of its own, and what
 * is known to fail or to be skipped. A result that is not as known is a failure; so is a skip that nobody wrote down.
 */
#include <ctype.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "verdict-parts.h"

#define NAME_MAX_LEN	80	/* of a case, of what it says itself */

/* What a line of TAP says: kselftest.h writes the name of a case behind the directive if there is one. */
struct tap {
	enum status status;
	char *name;
	const char *reason;	/* in @name's memory, or constant; NULL */
};

static bool directive(const char **s, const char *word)
{
	size_t n = strlen(word);

	if (strncasecmp(*s, word, n))
		return false;
	*s += n;
	*s += strspn(*s, " :");
	return true;
}

/* "ok 3 NAME", "not ok 3 - NAME # SKIP why", "ok 3 # SKIP NAME"; false if it is no result. @t->name is malloc'ed. */
static bool parse(const char *line, struct tap *t)
{
	const char *s = line, *rest;
	char *hash;
	bool ok;

	if (strncmp(s, "not ok ", 7) && strncmp(s, "ok ", 3))
		return false;
	ok = *s == 'o';
	s += ok ? 3 : 7;
	if (!isdigit((unsigned char)*s))
		return false;
	s += strspn(s, "0123456789");
	s += strspn(s, " ");
	if (!strncmp(s, "- ", 2))
		s += 2;
	*t = (struct tap){ .status = ok ? ST_PASS : ST_FAIL, .reason = ok ? NULL : "not ok" };
	if (*s == '#') {
		rest = s + 1 + strspn(s + 1, " ");
		if (directive(&rest, "SKIP"))
			t->status = ST_SKIP;
		else if (directive(&rest, "XFAIL"))
			t->status = ST_KNOWN;
		else if (!directive(&rest, "XPASS") && !directive(&rest, "error"))
			rest = s;
		t->name = xasprintf("%s", rest);
		if (t->status == ST_SKIP || t->status == ST_KNOWN)
			t->reason = t->name;
		return true;
	}
	t->name = xasprintf("%s", s);
	hash = strstr(t->name, " # ");
	if (hash) {
		*hash = '\0';
		rest = hash + 3;
		if (directive(&rest, "SKIP"))
			t->status = ST_SKIP;
		else if (directive(&rest, "XFAIL"))
			t->status = ST_KNOWN;
		if (*rest)
			t->reason = rest;
	}
	return true;
}

/* PROGRAM.CASE with what may stand in a name, malloc'ed. */
static char *name_of(const char *program, const char *said)
{
	struct buf b = { 0 };
	size_t start;

	buf_printf(&b, "%s.", program);
	start = b.len;
	for (; *said && b.len - start < NAME_MAX_LEN; said++) {
		if (isalnum((unsigned char)*said) || *said == '-')
			buf_add(&b, said, 1);
		else if (b.s[b.len - 1] != '_' && b.len > start)
			buf_add(&b, "_", 1);
	}
	while (b.len > start && b.s[b.len - 1] == '_')
		b.s[--b.len] = '\0';
	if (b.len == start)
		buf_printf(&b, "case");
	return b.s;
}

/* ---- what is known ---- */

void known_add(struct verdict *v, const char *row)
{
	struct known k = { 0 };
	char how[16] = "";

	if (sscanf(row, "%m[^\t]\t%15[^\t]\t%m[^\t]\t%m[^\n]", &k.name, how, &k.kernels, &k.reason) != 4)
		return;
	k.how = !strcmp(how, "skip") ? ST_SKIP : !strcmp(how, "timeout") ? ST_TIMEOUT : !strcmp(how, "report") ? ST_REPORT : ST_FAIL;
	v->known = grow(v->known, v->n_known, sizeof(*v->known));
	v->known[v->n_known++] = k;
}

static bool any_kernel(const struct known *k, const char *release)
{
	char *copy = xasprintf("%s", k->kernels), *save = NULL, *glob;
	bool hit = false;

	for (glob = strtok_r(copy, ",", &save); glob && !hit; glob = strtok_r(NULL, ",", &save)) {
		size_t n = strlen(glob);

		/* "6.12" is 6.12.117, and not 6.121. */
		hit = !strcmp(glob, "*") || (release && !strncmp(release, glob, n) && !isdigit((unsigned char)release[n]));
	}
	free(copy);
	return hit;
}

static const struct known *find(const struct verdict *v, const char *name, enum status how)
{
	for (int i = 0; i < v->n_known; i++)
		if (v->known[i].how == how && !fnmatch(v->known[i].name, name, 0) && any_kernel(&v->known[i], v->release))
			return &v->known[i];
	return NULL;
}

/*
 * The outcome @o of the test @name, held against what is known. A report is known only if the row names it in the report's own words;
 * a guest's silence never is.
 */
static void judge(const struct verdict *v, const char *name, struct outcome *o)
{
	const struct known *k = find(v, name, o->status), *fails = NULL;
	char *reason;

	switch (o->status) {
	case ST_SKIP:
		if (k)
			return;
		reason = xasprintf("skipped, and tests/upstream/KNOWN has no such skip: %s", o->reason ? o->reason : "no reason given");
		outcome_set(o, ST_FAIL, reason);
		free(reason);
		return;
	case ST_FAIL:
	case ST_TIMEOUT:
		if (k && o->said)
			outcome_set(o, ST_KNOWN, k->reason);
		return;
	case ST_REPORT:
		if (k && o->said && o->reason && strstr(k->reason, o->reason))
			outcome_set(o, ST_KNOWN, k->reason);
		return;
	case ST_PASS:
		for (enum status s = ST_FAIL; s <= ST_REPORT && !fails; s++)
			fails = find(v, name, s);
		if (!fails)
			return;
		reason = xasprintf("known to fail: %s", fails->reason);
		outcome_set(o, ST_PASS, reason);
		free(reason);
		return;
	default:
		return;
	}
}

/* ---- the cases of a program ---- */

/* The case called @name of test @parent, which may be new: plan.tests may move. */
static int case_of(struct verdict *v, int parent, const char *name)
{
	struct test t = { .of = parent, .stage = TEST_ENDED, .now.cause = -1, .kept.cause = -1 };

	for (int i = v->planned; i < v->plan.n; i++)
		if (v->plan.tests[i].of == parent && !strcmp(v->plan.tests[i].name, name))
			return i;
	t.name = xasprintf("%s", name);
	t.program = v->plan.tests[parent].program;
	t.harness = t.attributes = t.purpose = "-";
	v->plan.tests = grow(v->plan.tests, v->plan.n, sizeof(t));
	v->plan.tests[v->plan.n] = t;
	return v->plan.n++;
}

/* Of the cases: how many; as they ended, before that was held against what is known, but for those that failed. */
struct counted {
	int all, skipped, failed, known;
};

static void take_case(struct verdict *v, int parent, const struct tap *tap, struct buf *names, struct counted *n)
{
	char *base = name_of(v->plan.tests[parent].name, tap->name), *name = xasprintf("%s", base), *entry = xasprintf("\n%s\n", name);
	struct outcome *o;
	struct test *t;

	/* Two that say the same of themselves are told apart by their order. */
	for (int again = 2; names->s && strstr(names->s, entry); again++) {
		free(name);
		free(entry);
		name = xasprintf("%s-%d", base, again);
		entry = xasprintf("\n%s\n", name);
	}
	buf_printf(names, "%s", entry);
	t = verdict_test(v, case_of(v, parent, name));
	o = &t->now;
	o->boot = v->plan.tests[parent].now.boot;
	o->round = v->round;
	o->said = true;
	outcome_set(o, tap->status, tap->reason);
	judge(v, name, o);
	n->all++;
	n->skipped += tap->status == ST_SKIP;
	n->failed += tap->status == ST_FAIL && o->status == ST_FAIL;
	n->known += tap->status == ST_FAIL && o->status == ST_KNOWN;
	test_count(v, t);
	free(base);
	free(name);
	free(entry);
}

/* What the program said last about its end: "1..0 # SKIP why", "Bail out! why"; NULL if nothing. In @log's memory, @len bytes. */
static const char *last_word(const char *log, const char *word, size_t *len)
{
	const char *line, *found = NULL;
	size_t n, w = strlen(word);

	while (text_line(&log, &line, &n))
		if (n > w && !strncmp(line, word, w)) {
			found = line + w;
			*len = n - w;
		}
	return found;
}

/* The outcome of the program itself, of which the cases said what they had to say. */
static void judge_program(struct verdict *v, struct test *t, const struct counted *n)
{
	struct outcome *o = &t->now;
	enum status status = o->status;
	const char *word = NULL;
	char *reason = NULL;
	size_t len = 0;

	if (o->status == ST_SKIP) {
		word = last_word(o->log.s, "1..0 # SKIP ", &len);
		if (n->skipped && n->skipped == n->all)
			reason = xasprintf("all of its cases are");
	} else if (o->status == ST_FAIL && n->failed) {
		reason = xasprintf("%d of its %d cases", n->failed, n->all);
	} else if (o->status == ST_FAIL && n->known && o->reason && !strcmp(o->reason, "exit 1")) {
		reason = xasprintf("%d of its %d cases, as known", n->known, n->all);
		status = ST_KNOWN;
	} else if (o->status == ST_FAIL) {
		word = last_word(o->log.s, "Bail out! ", &len);
	} else if (o->status == ST_PASS && n->failed) {
		reason = xasprintf("exit 0 with %d of its %d cases not ok", n->failed, n->all);
		status = ST_FAIL;
	}
	if (word && !reason)
		reason = text_dup(word, len);
	if (reason)
		outcome_set(o, status, reason);
	free(reason);
	/* If it has no more to say than its cases, they have been judged for it. */
	if (!n->failed && !(o->status == ST_SKIP && n->all && n->skipped == n->all))
		judge(v, t->name, o);
}

void cases_take(struct verdict *v, int i)
{
	struct test *t = verdict_test(v, i);
	const char *text, *line;
	struct counted n = { 0 };
	struct buf names = { 0 };
	struct tap tap;
	size_t len;

	if (!t->upstream)
		return;
	/* What a program said beside a report is not looked at. */
	if (*t->harness != FOREIGN[0] || t->now.status == ST_REPORT) {
		judge(v, t->name, &t->now);
		return;
	}
	text = t->now.log.s;
	while (text_line(&text, &line, &len)) {
		char *copy = text_dup(line, len);

		if (parse(copy, &tap)) {
			take_case(v, i, &tap, &names, &n);
			free(tap.name);
		}
		free(copy);
	}
	judge_program(v, verdict_test(v, i), &n);
	buf_free(&names);
}
