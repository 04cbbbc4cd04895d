// SPDX-License-Identifier: GPL-2.0
/*
 * What a change promises, one line each:
 *
 *	# comment
 *	profile NAME                      what to build on both sides
 *	tests GLOB[,GLOB...]              what to run on both sides
 *	COUNTER TEST SIDE OP EXPR         SIDE base|changed, OP <= >= < > == !=
 *	broken TEST                       passes on the base, fails or crashes with the change
 *	show COUNTER TEST                 print both values, whatever they are; fails if there is none
 *	plot NAME "TITLE" "X LABEL" COUNTER GLOB
 *
 * EXPR is terms joined by * / + -, worked out from left to right; a term is a number, base, changed, SIDE:TEST (the same
 * counter of another test) or COUNTER@SIDE (another counter of the same test).
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"

#define MAX_WORDS	64

static const char *const ops[] = { "<=", ">=", "<", ">", "==", "!=" };

static int side_of(const char *word, size_t len)
{
	if (len == 4 && !strncmp(word, "base", 4))
		return BASE;
	if (len == 7 && !strncmp(word, "changed", 7))
		return CHANGED;
	return -1;
}

/* Blank-separated words, a quoted one without its quotes; -1 for a quote that is not closed or too many words. */
static int split(char *line, char **words)
{
	int n = 0;

	for (;;) {
		char end = ' ';

		line += strspn(line, " \t");
		if (!*line)
			return n;
		if (n == MAX_WORDS)
			return -1;
		if (*line == '"') {
			end = '"';
			line++;
		}
		words[n++] = line;
		line += strcspn(line, end == '"' ? "\"" : " \t");
		if (!*line)
			return end == '"' ? -1 : n;
		*line++ = '\0';
	}
}

/* One term; false if it is none. */
static bool parse_term(struct term *t, const char *word)
{
	const char *colon = strchr(word, ':'), *at = strrchr(word, '@');
	char *end;

	t->number = strtod(word, &end);
	if (end != word && !*end && isfinite(t->number)) {
		t->kind = TERM_NUMBER;
		return true;
	}
	t->side = side_of(word, strlen(word));
	if (t->side >= 0) {
		t->kind = TERM_SIDE;
		return true;
	}
	if (at && at > word) {
		t->side = side_of(at + 1, strlen(at + 1));
		if (t->side >= 0) {
			t->kind = TERM_OTHER_COUNTER;
			t->name = xasprintf("%.*s", (int)(at - word), word);
			return true;
		}
	}
	if (colon && colon[1]) {
		t->side = side_of(word, colon - word);
		if (t->side >= 0) {
			t->kind = TERM_OTHER_TEST;
			t->name = xasprintf("%s", colon + 1);
			return true;
		}
	}
	return false;
}

static char *parse_relation(struct expect *e, char **w, int n, const char *text, int line)
{
	struct relation *r;
	bool known = false;

	if (n < 5)
		return xasprintf("not COUNTER TEST base|changed OP EXPR");
	e->relations = grow(e->relations, e->n_relations, sizeof(*r));
	r = &e->relations[e->n_relations++];
	r->line = line;
	r->text = xasprintf("%s", text);
	r->counter = xasprintf("%s", w[0]);
	r->test = xasprintf("%s", w[1]);
	r->side = side_of(w[2], strlen(w[2]));
	r->op = xasprintf("%s", w[3]);
	if (r->side < 0)
		return xasprintf("'%s' is neither base nor changed", w[2]);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		known |= !strcmp(ops[i], w[3]);
	if (!known)
		return xasprintf("'%s' is none of <= >= < > == !=", w[3]);
	if (n % 2 == 0)
		return xasprintf("'%s' ends where a term should follow", w[n - 1]);
	for (int i = 4; i < n; i += 2) {
		struct term *t = &r->terms[r->n_terms];

		if (r->n_terms++ == MAX_TERMS)
			return xasprintf("more than %d terms", MAX_TERMS);
		if (i > 4) {
			if (strlen(w[i - 1]) != 1 || !strchr("*/+-", w[i - 1][0]))
				return xasprintf("'%s' is none of * / + -", w[i - 1]);
			t->op = w[i - 1][0];
		}
		if (!parse_term(t, w[i]))
			return xasprintf("'%s' is no number, base, changed, SIDE:TEST or COUNTER@SIDE", w[i]);
	}
	return NULL;
}

static char *set_once(char **to, char **w, int n)
{
	if (n != 2)
		return xasprintf("'%s' takes one word", w[0]);
	if (*to)
		return xasprintf("a second '%s' line", w[0]);
	*to = xasprintf("%s", w[1]);
	return NULL;
}

static char *parse_plot(struct expect *e, char **w, int n, int line)
{
	struct plot *p;

	if (n != 6)
		return xasprintf("not plot NAME \"TITLE\" \"X LABEL\" COUNTER GLOB");
	if (strpbrk(w[1], "/'\"") || strchr(w[2], '\'') || strchr(w[3], '\''))
		return xasprintf("a plot's name, title or label with a slash or a quote");
	e->plots = grow(e->plots, e->n_plots, sizeof(*p));
	p = &e->plots[e->n_plots++];
	*p = (struct plot){ line, xasprintf("%s", w[1]), xasprintf("%s", w[2]), xasprintf("%s", w[3]),
			    xasprintf("%s", w[4]), xasprintf("%s", w[5]) };
	return NULL;
}

static char *parse_show(struct expect *e, char **w, int n, int line)
{
	if (n != 3)
		return xasprintf("not show COUNTER TEST");
	e->shows = grow(e->shows, e->n_shows, sizeof(*e->shows));
	e->shows[e->n_shows].line = line;
	e->shows[e->n_shows].counter = xasprintf("%s", w[1]);
	e->shows[e->n_shows++].test = xasprintf("%s", w[2]);
	return NULL;
}

static char *parse_line(struct expect *e, char *line, int nr)
{
	char *text = xasprintf("%s", line), *w[MAX_WORDS], *err = NULL;
	int n = split(line, w);

	if (n < 0)
		err = xasprintf("a quote that is not closed, or more than %d words", MAX_WORDS);
	else if (!n)
		;
	else if (!strcmp(w[0], "profile"))
		err = set_once(&e->profile, w, n);
	else if (!strcmp(w[0], "tests"))
		err = set_once(&e->tests, w, n);
	else if (!strcmp(w[0], "plot"))
		err = parse_plot(e, w, n, nr);
	else if (!strcmp(w[0], "show"))
		err = parse_show(e, w, n, nr);
	else if (!strcmp(w[0], "broken")) {
		e->broken = grow(e->broken, e->n_broken, sizeof(*e->broken));
		e->broken[e->n_broken].line = nr;
		err = set_once(&e->broken[e->n_broken++].test, w, n);
	} else {
		err = parse_relation(e, w, n, text, nr);
	}
	free(text);
	return err;
}

char *expect_parse(struct expect *e, const char *path, const char *text)
{
	int nr = 0;

	*e = (struct expect){ .path = xasprintf("%s", path) };
	while (*text) {
		const char *end = strchrnul(text, '\n');
		char *line = xasprintf("%.*s", (int)(end - text), text), *err = NULL;

		nr++;
		if (line[0] != '#')
			err = parse_line(e, line, nr);
		free(line);
		if (err) {
			char *whole = xasprintf("%s:%d: %s", path, nr, err);

			free(err);
			return whole;
		}
		text = *end ? end + 1 : end;
	}
	return NULL;
}

void expect_read(struct expect *e, const char *path)
{
	char *text = read_whole(path, NULL), *err;

	if (!text)
		die(EX_USAGE, NULL, strerror(errno), "%s cannot be read", path);
	err = expect_parse(e, path, text);
	if (err)
		die(EX_USAGE, "mm-changes/README.md has the grammar", err, "malformed expect file");
	free(text);
}

void expect_free(struct expect *e)
{
	for (int i = 0; i < e->n_relations; i++) {
		struct relation *r = &e->relations[i];

		for (int t = 0; t < MAX_TERMS; t++)
			free(r->terms[t].name);
		free(r->text);
		free(r->counter);
		free(r->test);
		free(r->op);
		free(r->why);
	}
	for (int i = 0; i < e->n_broken; i++) {
		free(e->broken[i].test);
		free(e->broken[i].why);
	}
	for (int i = 0; i < e->n_shows; i++) {
		free(e->shows[i].counter);
		free(e->shows[i].test);
		free(e->shows[i].why);
	}
	for (int i = 0; i < e->n_plots; i++) {
		free(e->plots[i].name);
		free(e->plots[i].title);
		free(e->plots[i].xlabel);
		free(e->plots[i].counter);
		free(e->plots[i].glob);
	}
	free(e->relations);
	free(e->broken);
	free(e->shows);
	free(e->plots);
	free(e->path);
	free(e->profile);
	free(e->tests);
	*e = (struct expect){ 0 };
}

/* ---- the check ---- */

/* A counter on one side; false, and why, if the test did not pass there or has no such counter. */
static bool counted(const struct side *sides, int side, const char *test, const char *counter, struct stat_of *out,
		    char **why)
{
	const char *status = side_status(&sides[side], test, NULL);

	if (!status)
		*why = xasprintf("no test %s ran", test);
	else if (strcmp(status, "PASS"))
		*why = xasprintf("%s is %s on the %s side", test, status, sides[side].word);
	else if (!side_counter(sides, side, test, counter, out))
		*why = xasprintf("counter %s never appeared on the %s side", counter, sides[side].word);
	return !*why;
}

/* The median of it. */
static bool value(const struct side *sides, int side, const char *test, const char *counter, double *out, char **why)
{
	struct stat_of s = { 0 };
	bool known = counted(sides, side, test, counter, &s, why);

	*out = s.median;
	return known;
}

static bool eval_term(const struct relation *r, const struct term *t, const struct side *sides, double *out, char **why)
{
	switch (t->kind) {
	case TERM_NUMBER:
		*out = t->number;
		return true;
	case TERM_SIDE:
		return value(sides, t->side, r->test, r->counter, out, why);
	case TERM_OTHER_TEST:
		return value(sides, t->side, t->name, r->counter, out, why);
	case TERM_OTHER_COUNTER:
		return value(sides, t->side, r->test, t->name, out, why);
	}
	return false;
}

static bool compare(double a, const char *op, double b)
{
	switch (op[0]) {
	case '<': return op[1] ? a <= b : a < b;
	case '>': return op[1] ? a >= b : a > b;
	case '=': return a == b;
	default: return a != b;
	}
}

static void check_relation(struct relation *r, const struct side *sides)
{
	double sum = 0, v = 0;

	r->known = r->holds = false;
	if (!value(sides, r->side, r->test, r->counter, &r->left, &r->why))
		return;
	for (int i = 0; i < r->n_terms; i++) {
		if (!eval_term(r, &r->terms[i], sides, &v, &r->why))
			return;
		switch (r->terms[i].op) {
		case '*': sum *= v; break;
		case '/': sum /= v; break;
		case '+': sum += v; break;
		case '-': sum -= v; break;
		default: sum = v;
		}
	}
	r->right = sum;
	if (!isfinite(sum)) {
		r->why = xasprintf("division by 0");
		return;
	}
	r->known = true;
	r->holds = compare(r->left, r->op, r->right);
}

static bool is_bad(const char *status)
{
	return status && (!strcmp(status, "FAIL") || !strcmp(status, "CRASH") || !strcmp(status, "TIMEOUT"));
}

static void check_broken(struct broken *b, const struct side *sides)
{
	const char *base = side_status(&sides[BASE], b->test, NULL);
	const char *changed = side_status(&sides[CHANGED], b->test, NULL);

	b->holds = base && !strcmp(base, "PASS") && is_bad(changed);
	b->why = xasprintf("%s -> %s", base ? base : "did not run", changed ? changed : "did not run");
}

int expect_check(struct expect *e, const struct side *sides)
{
	int failed = 0;

	for (int i = 0; i < e->n_relations; i++) {
		check_relation(&e->relations[i], sides);
		failed += !e->relations[i].holds;
	}
	for (int i = 0; i < e->n_broken; i++) {
		check_broken(&e->broken[i], sides);
		failed += !e->broken[i].holds;
	}
	for (int i = 0; i < e->n_shows; i++) {
		struct show *s = &e->shows[i];

		s->known = counted(sides, BASE, s->test, s->counter, &s->v[BASE], &s->why) &&
			   counted(sides, CHANGED, s->test, s->counter, &s->v[CHANGED], &s->why);
		failed += !s->known;
	}
	return failed;
}

bool expect_broken(const struct expect *e, const char *test)
{
	for (int i = 0; e && i < e->n_broken; i++)
		if (e->broken[i].holds && !strcmp(e->broken[i].test, test))
			return true;
	return false;
}
