// SPDX-License-Identifier: GPL-2.0
/*
 * What the counts say: of the change, of each file, of one line or one test, against an earlier run, against the list. One file,
 * because they all say it of the same ranges of lines in the same words.
 */
#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cover.h"

enum state { EXECUTED, NOT_EXECUTED, NOT_COMPILED, NO_CODE };

static const char *const state_word[] = { "executed", "not executed", "not compiled in this configuration", "no code" };

struct totals {
	struct share lines, functions, branches;
};

static const char *text_of(const struct source *f, int nr)
{
	return f->text[nr];
}

/* ---- lines ---- */

static const char *why_not_compiled(const struct source *f, int nr)
{
	return f->not_built ? f->not_built : f->excluded[nr];
}

static enum state state_of(const struct cover *c, const struct source *f, int nr)
{
	if (f->line[nr] >= 0)
		return c->lines[f->line[nr]].count ? EXECUTED : NOT_EXECUTED;
	return why_not_compiled(f, nr) ? NOT_COMPILED : NO_CODE;
}

static void add_changed(const struct cover *c, const struct source *f, struct share *s)
{
	for (int i = 1; i <= f->n_lines; i++) {
		if (!f->changed[i] || f->line[i] < 0)
			continue;
		s->all++;
		s->hit += c->lines[f->line[i]].count > 0;
	}
}

struct share changed_share(const struct cover *c, int file)
{
	struct share s = { 0 };

	for (int i = 0; i < c->n_files; i++)
		if (file < 0 || file == i)
			add_changed(c, &c->files[i], &s);
	return s;
}

static int n_tests_of(const struct cover *c, const struct line *l)
{
	int n = 0;

	for (int i = 0; i <= c->n_tests / 64; i++)
		n += __builtin_popcountll(l->tests[i]);
	return n;
}

static bool reached_by(const struct line *l, int test)
{
	return l->tests[test / 64] >> test % 64 & 1;
}

/* ---- functions ---- */

/* Its own counter does not count what was inlined: a line of it that ran says that it was entered, too. */
static bool entered(const struct cover *c, const struct function *f)
{
	const struct source *s = &c->files[f->file];

	if (f->entered)
		return true;
	for (int i = f->start; i <= f->end && i <= s->n_lines; i++)
		if (s->line[i] >= 0 && c->lines[s->line[i]].count)
			return true;
	return false;
}

/* A header's function is in several objects: the first of them stands for it. */
static bool repeated(const struct cover *c, int i)
{
	const struct function *f = &c->functions[i];

	for (int k = 0; k < i; k++)
		if (c->functions[k].file == f->file && c->functions[k].start == f->start &&
		    !strcmp(c->functions[k].name, f->name))
			return true;
	return false;
}

static const struct function *function_at(const struct cover *c, int file, int nr)
{
	for (int i = 0; i < c->n_functions; i++)
		if (c->functions[i].file == file && c->functions[i].start <= nr && nr <= c->functions[i].end)
			return &c->functions[i];
	return NULL;
}

/* Where the text of a function begins that encloses line @nr, 0 if none does: the compiler has no record of one that it
 * inlined everywhere. The kernel's layout is expected: the opening brace is alone on its line. */
static int text_start(const struct source *f, int nr)
{
	int i = nr;

	while (i > 1 && strcmp(f->text[i], "{") && strcmp(f->text[i], "}"))
		i--;
	if (i == 1 || *f->text[i] == '}')
		return 0;
	for (i--; i > 1 && (!isalpha((unsigned char)*f->text[i]) || !strchr(f->text[i], '(')); i--)
		;
	return i;
}

/* The name before the parenthesis. */
static char *text_name(const char *line)
{
	const char *end = strchr(line, '('), *begin = end;

	while (begin && begin > line && (isalnum((unsigned char)begin[-1]) || begin[-1] == '_'))
		begin--;
	return begin ? xasprintf("%.*s", (int)(end - begin), begin) : NULL;
}

/* The function around a line and where it begins; "?" and 0 outside any. */
static const char *place(const struct cover *c, int file, int nr, int *start)
{
	const struct function *f = function_at(c, file, nr);
	char *name;

	*start = f ? f->start : text_start(&c->files[file], nr);
	if (f)
		return f->name;
	name = *start ? text_name(c->files[file].text[*start]) : NULL;
	return name ? name : "?";
}

static struct totals totals_of(const struct cover *c, int file)
{
	struct totals t = { 0 };

	for (int i = 0; i < c->n_lines; i++) {
		if (c->lines[i].file != file)
			continue;
		t.lines.all++;
		t.lines.hit += c->lines[i].count > 0;
	}
	for (int i = 0; i < c->n_functions; i++) {
		if (c->functions[i].file != file || repeated(c, i))
			continue;
		t.functions.all++;
		t.functions.hit += entered(c, &c->functions[i]);
	}
	for (int i = 0; i < c->n_branches; i++) {
		if (c->lines[c->branches[i].line].file != file)
			continue;
		t.branches.all++;
		t.branches.hit += c->branches[i].taken > 0;
	}
	return t;
}

/* ---- ranges ---- */

struct range {
	int file, first, last;
	enum state state;
	const char *why;
};

typedef void range_fn(const struct cover *c, const struct range *r, void *arg);

static bool same_kind(const struct cover *c, const struct range *r, int nr)
{
	const struct source *f = &c->files[r->file];

	return state_of(c, f, nr) == r->state && why_not_compiled(f, nr) == r->why &&
	       function_at(c, r->file, nr) == function_at(c, r->file, r->first);
}

/* Runs of lines that no test reached; what is no code neither begins nor breaks one. @changed: only of the change. */
static void each_range(const struct cover *c, int file, bool changed, range_fn *fn, void *arg)
{
	const struct source *f = &c->files[file];
	struct range r = { .file = file };

	for (int i = 1; i <= f->n_lines + 1; i++) {
		bool in = i <= f->n_lines && (!changed || f->changed[i]);
		enum state s = in ? state_of(c, f, i) : EXECUTED;

		if (r.first && s == NO_CODE)
			continue;
		if (r.first && (!in || s == EXECUTED || !same_kind(c, &r, i))) {
			fn(c, &r, arg);
			r.first = 0;
		}
		if (!r.first && in && (s == NOT_EXECUTED || (changed && s == NOT_COMPILED)))
			r = (struct range){ file, i, i, s, why_not_compiled(f, i) };
		if (r.first)
			r.last = i;
	}
}

static const char *span(int first, int last)
{
	static char text[32];

	if (first == last)
		snprintf(text, sizeof(text), "%d", first);
	else
		snprintf(text, sizeof(text), "%d-%d", first, last);
	return text;
}

static bool boot_only(const struct cover *c, const struct range *r)
{
	for (int i = r->first; i <= r->last; i++)
		if (c->files[r->file].line[i] >= 0 && !c->lines[c->files[r->file].line[i]].idle)
			return false;
	return true;
}

static void print_range(const struct cover *c, const struct range *r, void *arg)
{
	const struct source *f = &c->files[r->file];
	int start;
	const char *fn = place(c, r->file, r->first, &start);

	(void)arg;
	printf("%s:%s: %s", f->path, span(r->first, r->last), state_word[r->state]);
	if (r->why)
		printf(" (%s)", r->why);
	else if (boot_only(c, r))
		printf(" (only without any test: boot, start of a process)");
	printf("%s%s\n", start ? ", in " : "", start ? fn : "");
	for (int i = r->first; i <= r->last; i++)
		if (state_of(c, f, i) != NO_CODE || f->changed[i])
			printf("%6d%c %s\n", i, f->changed[i] ? '+' : ' ', text_of(f, i));
}

/* ---- the text report ---- */

static int percent(struct share s)
{
	return s.all ? (int)(100.0 * s.hit / s.all) : 100;
}

static const char *shown(struct share s)
{
	static char text[4][48];
	static int n;
	char *t = text[n++ % 4];

	if (!s.all)
		return "-";
	snprintf(t, sizeof(text[0]), "%d/%d %d%%", s.hit, s.all, percent(s));
	return t;
}

/* How many changed lines are in each state; their sum. */
static int count_states(const struct cover *c, int lines[4])
{
	memset(lines, 0, 4 * sizeof(*lines));
	for (int i = 0; i < c->n_files; i++)
		for (int k = 1; k <= c->files[i].n_lines; k++)
			if (c->files[i].changed[k])
				lines[state_of(c, &c->files[i], k)]++;
	return lines[EXECUTED] + lines[NOT_EXECUTED] + lines[NOT_COMPILED] + lines[NO_CODE];
}

/* The line that says it all, malloc'ed. */
static char *headline(const struct cover *c)
{
	struct share all = changed_share(c, -1);
	int lines[4];

	if (!count_states(c, lines))
		return xasprintf("no changed lines: the tree is the base of the series");
	return xasprintf("changed lines executed: %d/%d (%d%%)", all.hit, all.all, percent(all));
}

void report_headline(const struct cover *c, const char *path)
{
	char *line = headline(c);
	int err = write_whole(path, line, strlen(line));

	if (err)
		die(EX_HOST, "df -h out", strerror(-err), "cannot write %s", path);
	free(line);
}

static void print_change(const struct cover *c)
{
	struct share all = changed_share(c, -1);
	int lines[4], sum = count_states(c, lines);
	char *head = headline(c);

	printf("%s\n", head);
	free(head);
	if (!sum)
		return;
	printf("  of %d changed lines", sum);
	for (int i = EXECUTED; i <= NO_CODE; i++)
		printf("%s %d %s", i ? "," : ":", lines[i], state_word[i]);
	printf("\n");
	for (int i = 0; i < c->n_files; i++) {
		const struct source *f = &c->files[i];
		struct share s = changed_share(c, i);

		if (!f->touched)
			continue;
		if (f->not_built)
			printf("  %-40s not compiled (%s)\n", f->path, f->not_built);
		else if (!f->instrumented)
			printf("  %-40s no code in an instrumented object\n", f->path);
		else if (!s.all)
			printf("  %-40s no changed line with code\n", f->path);
		else
			printf("  %-40s %d/%d (%d%%)\n", f->path, s.hit, s.all, percent(s));
	}
	for (int i = 0; i < c->n_files; i++)
		each_range(c, i, true, print_range, NULL);
	if (all.all && !all.hit)
		printf("THE CHANGED CODE WAS NEVER EXECUTED\n");
}

static void print_files(const struct cover *c)
{
	printf("\n%-28s %16s %16s %16s\n", "file", "lines", "functions", "branches");
	for (int i = 0; i < c->n_files; i++) {
		struct totals t = totals_of(c, i);

		if (t.lines.all)
			printf("%-28s %16s %16s %16s\n", c->files[i].path, shown(t.lines), shown(t.functions),
			       shown(t.branches));
	}
	for (int i = 0; i < c->n_files; i++) {
		struct share s = totals_of(c, i).functions;
		int column = 0;

		/* Of a file that the tests were not about, the list says nothing. */
		if (!c->files[i].touched && 2 * s.hit < s.all)
			continue;
		for (int k = 0; k < c->n_functions; k++) {
			const struct function *f = &c->functions[k];

			if (f->file != i || repeated(c, k) || entered(c, f))
				continue;
			if (!column)
				printf("never entered in %s:", c->files[i].path);
			if (!column || column + strlen(f->name) > 76)
				column = printf("\n ") - 1;
			column += printf(" %s", f->name);
		}
		if (column)
			printf("\n");
	}
}

/* Lines that exactly one test reaches. */
static int only_lines(const struct cover *c, int test)
{
	int n = 0;

	for (int i = 0; i < c->n_lines; i++)
		n += c->lines[i].count && reached_by(&c->lines[i], test) && n_tests_of(c, &c->lines[i]) == 1;
	return n;
}

static void print_only(const struct cover *c)
{
	int *n = xcalloc(c->n_tests + 1, sizeof(int)), head = 0;

	for (int i = 0; i < c->n_lines; i++) {
		if (!c->lines[i].count || n_tests_of(c, &c->lines[i]) != 1)
			continue;
		for (int t = 0; t < c->n_tests; t++)
			n[t] += reached_by(&c->lines[i], t);
	}
	for (int rank = 0; rank < 10 && c->n_tests > 1; rank++) {
		int best = 0;

		for (int t = 1; t < c->n_tests; t++)
			if (n[t] > n[best])
				best = t;
		if (!n[best])
			break;
		if (!head++)
			printf("\nlines that one test alone reaches (make coverage WHO=TEST shows them):\n");
		printf("%6d  %s\n", n[best], c->tests[best]);
		n[best] = 0;
	}
	free(n);
}

#define NAMES	5

/* Tests of which nothing is known: a few names; coverage.json has them all. */
static void print_lost(const struct cover *c, enum lost kind, const char *what)
{
	struct buf names = { 0 };
	int n = 0;

	for (int t = 0; t < c->n_tests; t++)
		if (c->lost[t] == kind && n++ < NAMES)
			buf_printf(&names, "%s%s", n > 1 ? ", " : "", c->tests[t]);
	if (n)
		printf("\nPARTIAL: %d %s: %s%s\n", n, what, names.s, n > NAMES ? "..." : "");
	buf_free(&names);
}

/* Reported files whose objects have notes, and no counters in any boot: their lines look as if no test had reached them. */
static void print_bare(const struct cover *c)
{
	for (int i = 0; i < c->n_objects; i++) {
		const char *path = c->objects[i].path;
		char *source = xasprintf("%.*s.c", (int)strlen(path) - 2, path);

		if (!c->objects[i].words && cover_file(c, source) >= 0)
			printf("\nPARTIAL: no counters of %s: the guest sent none\n", path);
		free(source);
	}
}

void report_text(struct cover *c)
{
	print_change(c);
	print_files(c);
	print_only(c);
	print_lost(c, LOST_WITH_GUEST, "test(s) ended with the guest before their counters were copied");
	print_lost(c, LOST_WINDOW, "test(s) ended as they should, and their counters are missing");
	print_bare(c);
}

/* ---- one line, one test ---- */

static void who_line(const struct cover *c, int file, int nr)
{
	const struct source *f = &c->files[file];
	const struct line *l;
	int n;

	if (nr < 1 || nr > f->n_lines)
		die(EX_USAGE, xasprintf("make coverage WHO=%s:%d", f->path, f->n_lines), NULL, "%s has %d lines", f->path,
		    f->n_lines);
	printf("%s:%d: %s\n", f->path, nr, text_of(f, nr));
	if (f->line[nr] < 0 || !c->lines[f->line[nr]].count) {
		printf("%s%s%s%s\n", state_word[state_of(c, f, nr)], why_not_compiled(f, nr) ? " (" : "",
		       why_not_compiled(f, nr) ? why_not_compiled(f, nr) : "", why_not_compiled(f, nr) ? ")" : "");
		return;
	}
	l = &c->lines[f->line[nr]];
	n = n_tests_of(c, l);
	printf("executed %llu times by %d of %d tests\n", (unsigned long long)l->count, n, c->n_tests);
	for (int t = 0; t < c->n_tests; t++)
		if (reached_by(l, t))
			printf("  %s\n", c->tests[t]);
}

static void who_test(const struct cover *c, int test)
{
	int n = 0;

	for (int i = 0; i < c->n_lines; i++)
		n += c->lines[i].count && reached_by(&c->lines[i], test);
	printf("%s reaches %d lines, %d of them no other test reaches\n", c->tests[test], n, only_lines(c, test));
	for (int i = 0; i < c->n_files; i++)
		for (int k = 1; k <= c->files[i].n_lines; k++) {
			int l = c->files[i].line[k];

			if (l >= 0 && reached_by(&c->lines[l], test) && n_tests_of(c, &c->lines[l]) == 1)
				printf("%s:%d: %s\n", c->files[i].path, k, text_of(&c->files[i], k));
		}
}

void report_who(struct cover *c, const char *who)
{
	const char *colon = strrchr(who, ':');
	char *path = xasprintf("%.*s", colon ? (int)(colon - who) : (int)strlen(who), who);
	int file = cover_file(c, path);
	struct buf names = { 0 };

	for (int t = 0; t < c->n_tests; t++)
		if (!strcmp(c->tests[t], who)) {
			who_test(c, t);
			free(path);
			return;
		}
	for (int i = 0; i < c->n_files; i++)
		buf_printf(&names, "%s%s", i ? " " : "", c->files[i].path);
	if (!colon || file < 0)
		die(EX_USAGE, "make coverage WHO=mm/rmap.c:1024, or WHO=area.file.case", xasprintf("reported are: %s", names.s),
		    "WHO=%s is no line of a reported file and no test of the run", who);
	who_line(c, file, atoi(colon + 1));
	buf_free(&names);
	free(path);
}

/* ---- against an earlier run ---- */

struct shift {
	struct source *f;
	const char *path;
	int *old;		/* [1..n_lines]: the same line of the earlier run, 0: new */
	int next_new, next_old;
};

static void note_hunk(void *arg, const struct hunk *h)
{
	struct shift *s = arg;
	int stop = h->new_n ? h->new_at : h->new_at + 1;

	while (s->next_new < stop && s->next_new <= s->f->n_lines)
		s->old[s->next_new++] = s->next_old++;
	s->next_new += h->new_n;
	s->next_old = h->old_n ? h->old_at + h->old_n : h->old_at + 1;
}

/* For each line of @f where it stood in the earlier run. */
static int *old_lines(const struct cover *c, const struct cover *base, struct source *f)
{
	struct shift s = { .f = f, .old = xcalloc(f->n_lines + 1, sizeof(int)), .next_new = 1, .next_old = 1 };
	char *cmd = xasprintf("git diff --no-index --unified=0 '%s/coverage/src/%s' '%s/coverage/src/%s' 2>/dev/null",
			      base->dir, f->path, c->dir, f->path), chunk[4096];
	struct buf text = { 0 };
	FILE *p = popen(cmd, "r");
	size_t n;

	while (p && (n = fread(chunk, 1, sizeof(chunk), p)) > 0)
		buf_add(&text, chunk, n);
	if (p)
		pclose(p);
	diff_read(text.s, note_hunk, &s);
	while (s.next_new <= f->n_lines)
		s.old[s.next_new++] = s.next_old++;
	buf_free(&text);
	free(cmd);
	return s.old;
}

static void compare_file(struct cover *c, const struct cover *base, int file, bool gained, int *n)
{
	struct source *f = &c->files[file], *was;
	int at = cover_file(base, f->path), *old;

	if (at < 0)
		return;
	was = &base->files[at];
	old = old_lines(c, base, f);
	for (int i = 1; i <= f->n_lines; i++) {
		int a = f->line[i], b = old[i] && old[i] <= was->n_lines ? was->line[old[i]] : -1;

		if (a < 0 || b < 0 || !c->lines[a].count == !base->lines[b].count || !c->lines[a].count == gained)
			continue;
		if (!(*n)++)
			printf("%s:\n", gained ? "newly covered" : "no longer covered");
		printf("%s:%d: %s\n", f->path, i, text_of(f, i));
	}
	free(old);
}

void report_base(struct cover *c, struct cover *base)
{
	int gained = 0, lost = 0;

	printf("\nagainst %s:\n", base->dir);
	for (int i = 0; i < c->n_files; i++)
		compare_file(c, base, i, true, &gained);
	for (int i = 0; i < c->n_files; i++)
		compare_file(c, base, i, false, &lost);
	printf("%d line(s) newly covered, %d no longer covered\n", gained, lost);
}

/* ---- the reviewed list ---- */

struct listed {
	int line;		/* of the list */
	char function[64];
	int file, first, last;
	bool race;		/* reached in some runs */
};

struct review {
	struct listed *list;
	int n, bad;
};

static int function_start(const struct cover *c, int file, const char *name)
{
	for (int i = 0; i < c->n_functions; i++)
		if (c->functions[i].file == file && !strcmp(c->functions[i].name, name))
			return c->functions[i].start;
	for (int i = 2; i <= c->files[file].n_lines; i++) {
		int start = strcmp(c->files[file].text[i], "{") ? 0 : text_start(&c->files[file], i);
		char *found = start ? text_name(c->files[file].text[start]) : NULL;
		bool same = found && !strcmp(found, name);

		free(found);
		if (same)
			return start;
	}
	return -1;
}

/* "FILE FUNCTION+FIRST-LAST reason", lines counted from the function's own; a reason "race: ..." allows either. */
static bool parse_listed(const struct cover *c, const char *s, struct listed *l)
{
	char path[128], reason[8];
	int n, start;

	l->last = -1;
	n = sscanf(s, "%127s %63[^+]+%d-%d", path, l->function, &l->first, &l->last);
	if (n == 3)
		l->last = l->first;
	if (n < 3 || sscanf(s, "%*s %*s %7s", reason) != 1)
		return false;
	l->race = !strncmp(reason, "race:", 5);
	l->file = cover_file(c, path);
	start = l->file < 0 ? -1 : function_start(c, l->file, l->function);
	if (start < 0)
		return false;
	l->first += start;
	l->last += start;
	return l->last <= c->files[l->file].n_lines && l->first <= l->last;
}

static void check_listed(const struct cover *c, struct review *r, const struct listed *l, const char *list)
{
	int code = 0;

	for (int i = l->first; i <= l->last; i++) {
		int at = c->files[l->file].line[i];

		code += at >= 0;
		if (at < 0 || !c->lines[at].count || l->race)
			continue;
		printf("%s:%d: %s:%d is reached: %s\n", list, l->line, c->files[l->file].path, i,
		       text_of(&c->files[l->file], i));
		r->bad++;
	}
	if (!code) {
		printf("%s:%d: there is no code\n", list, l->line);
		r->bad++;
	}
}

/* @races: lines that some runs reach count too. */
static bool is_listed(const struct review *r, int file, int nr, bool races)
{
	for (int i = 0; i < r->n; i++)
		if (r->list[i].file == file && (races || !r->list[i].race) && r->list[i].first <= nr && nr <= r->list[i].last)
			return true;
	return false;
}

static void check_range(const struct cover *c, const struct range *range, void *arg)
{
	struct review *r = arg;
	int first = range->first, last, start;
	const char *name = place(c, range->file, range->first, &start);

	while (first <= range->last && (c->files[range->file].line[first] < 0 || is_listed(r, range->file, first, true)))
		first++;
	for (last = first; last < range->last && !is_listed(r, range->file, last + 1, true); last++)
		;
	if (first > range->last)
		return;
	r->bad++;
	printf("not reached and not listed: %s %s+%s\n", c->files[range->file].path, name, span(first - start, last - start));
	print_range(c, &(struct range){ range->file, first, last, NOT_EXECUTED, NULL }, NULL);
}

/* Of a reviewed file: the share of the lines that can be reached, which are all but those listed for other than a race. */
static void reachable_share(const struct cover *c, const struct review *r, int file)
{
	const struct source *f = &c->files[file];
	int hit = 0, all = 0, never = 0;

	for (int i = 1; i <= f->n_lines; i++) {
		if (f->line[i] < 0)
			continue;
		all++;
		hit += c->lines[f->line[i]].count > 0;
		never += is_listed(r, file, i, false);
	}
	printf("%s: %d of %d lines (%d%%); %d cannot be reached here, of the others %d%%\n", f->path, hit, all,
	       100 * hit / all, never, 100 * hit / (all - never));
}

int report_unreached(struct cover *c, const char *list)
{
	char *text = read_whole(list, NULL), *s, *save = NULL;
	struct review r = { 0 };
	int nr = 0;

	if (!text)
		die(EX_USAGE, NULL, strerror(errno), "cannot read %s", list);
	for (s = text; s; s = save) {
		struct listed l = { .line = ++nr };

		save = strchr(s, '\n');
		if (save)
			*save++ = '\0';
		if (!*s || *s == '#')
			continue;
		if (!parse_listed(c, s, &l))
			die(EX_FAIL, "FILE FUNCTION+FIRST-LAST reason", s, "%s:%d names nothing in this tree", list, nr);
		r.list = realloc(r.list, (r.n + 1) * sizeof(l));
		r.list[r.n++] = l;
		check_listed(c, &r, &l, list);
	}
	for (int i = 0; i < c->n_files; i++) {
		bool reviewed = false;

		for (int k = 0; k < r.n; k++)
			reviewed |= r.list[k].file == i;
		if (!reviewed)
			continue;
		each_range(c, i, false, check_range, &r);
		reachable_share(c, &r, i);
	}
	printf("unreached: %d listed, %d wrong\n", r.n, r.bad);
	free(r.list);
	free(text);
	return r.bad ? EX_FAIL : EX_PASS;
}

/* ---- JSON ---- */

static json_t *share_json(struct share s)
{
	return json_pack("{s:i, s:i}", "all", s.all, "hit", s.hit);
}

static void range_json(const struct cover *c, const struct range *r, void *arg)
{
	const struct function *f = function_at(c, r->file, r->first);

	json_array_append_new(arg, json_pack("{s:i, s:i, s:s, s:s*, s:s*}", "first", r->first, "last", r->last,
		"state", state_word[r->state], "why", r->why, "function", f ? f->name : NULL));
}

static json_t *lines_json(const struct cover *c, const struct source *f)
{
	json_t *lines = json_array();

	for (int i = 1; i <= f->n_lines; i++) {
		enum state s = state_of(c, f, i);
		const struct line *l = f->line[i] < 0 ? NULL : &c->lines[f->line[i]];

		if (!l && !f->changed[i])
			continue;
		json_array_append_new(lines, json_pack("{s:i, s:s, s:b, s:I, s:i}", "line", i, "state", state_word[s],
			"changed", f->changed[i], "count", (json_int_t)(l ? l->count : 0), "tests", l ? n_tests_of(c, l) : 0));
	}
	return lines;
}

static json_t *never_json(const struct cover *c, int file)
{
	json_t *names = json_array();

	for (int i = 0; i < c->n_functions; i++)
		if (c->functions[i].file == file && !repeated(c, i) && !entered(c, &c->functions[i]))
			json_array_append_new(names, json_string(c->functions[i].name));
	return names;
}

static json_t *file_json(const struct cover *c, int i)
{
	struct totals t = totals_of(c, i);
	json_t *changed = json_array(), *unreached = json_array();

	each_range(c, i, true, range_json, changed);
	each_range(c, i, false, range_json, unreached);
	return json_pack("{s:s, s:b, s:s*, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "path", c->files[i].path,
		"touched", c->files[i].touched, "not_compiled", c->files[i].not_built, "changed", share_json(changed_share(c, i)),
		"lines", share_json(t.lines), "functions", share_json(t.functions), "branches", share_json(t.branches),
		"never_entered", never_json(c, i), "changed_never_executed", changed, "never_executed", unreached,
		"line", lines_json(c, &c->files[i]));
}

static json_t *lost_json(const struct cover *c)
{
	json_t *names = json_array();

	for (int t = 0; t < c->n_tests; t++)
		if (c->lost[t])
			json_array_append_new(names, json_string(c->tests[t]));
	return names;
}

static json_t *only_json(const struct cover *c)
{
	json_t *tests = json_object();

	for (int i = 0; i < c->n_lines; i++) {
		const struct line *l = &c->lines[i];

		if (!l->count || n_tests_of(c, l) != 1)
			continue;
		for (int t = 0; t < c->n_tests; t++) {
			json_t *list = json_object_get(tests, c->tests[t]);

			if (!reached_by(l, t))
				continue;
			if (!list) {
				list = json_array();
				json_object_set_new(tests, c->tests[t], list);
			}
			json_array_append_new(list, json_sprintf("%s:%d", c->files[l->file].path, l->nr));
		}
	}
	return tests;
}

void report_json(struct cover *c, const char *path)
{
	json_t *files = json_array(), *states = json_object(), *lost = lost_json(c), *root;
	int lines[4];

	for (int i = 0; i < c->n_files; i++)
		json_array_append_new(files, file_json(c, i));
	count_states(c, lines);
	for (int i = EXECUTED; i <= NO_CODE; i++)
		json_object_set_new(states, state_word[i], json_integer(lines[i]));
	root = json_pack("{s:o, s:o, s:i, s:i, s:i, s:o, s:o, s:o}", "changed", share_json(changed_share(c, -1)),
			 "changed_states", states, "tests", c->n_tests,
			 "boots", c->boots, "tests_without_counters", (int)json_array_size(lost),
			 "without_counters", lost, "files", files, "only", only_json(c));
	if (json_dump_file(root, path, JSON_INDENT(1)))
		die(EX_HOST, "df -h out", strerror(errno), "cannot write %s", path);
	json_decref(root);
}
