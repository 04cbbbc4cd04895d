// SPDX-License-Identifier: GPL-2.0
/*
 * The sources that are reported: their text, the lines of the change, and what conditional compilation leaves out.
 * Which groups of #if ... #endif the compiler sees is asked of the compiler: source_marked() writes a mark into each group,
 * the preprocessor drops those that it drops (marks.c).
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cover.h"

#define DEPTH	64

/* ---- lines ---- */

/* Split a text that is kept; [1..n] of the result are its lines. */
static char **split(char *text, int *n)
{
	char **lines = xcalloc(2, sizeof(*lines));
	int cap = 1;

	*n = 0;
	for (char *s = text, *end; *s; s = end) {
		end = strchrnul(s, '\n');
		if (*end)
			*end++ = '\0';
		if (++*n > cap) {
			cap *= 2;
			lines = realloc(lines, (cap + 1) * sizeof(*lines));
			if (!lines)
				die(EX_HOST, NULL, NULL, "out of memory");
		}
		lines[*n] = s;
	}
	return lines;
}

/* The word of a directive line ("ifdef", "else", ...) and what follows it, or NULL. @comment: inside a block comment. */
static const char *directive(const char *line, bool *comment, const char **rest)
{
	static const char *const words[] = { "ifdef", "ifndef", "if", "elif", "else", "endif" };
	const char *s = line + strspn(line, " \t"), *open, *close;
	bool was = *comment;

	for (s = line; *s; s = close) {
		if (*comment) {
			close = strstr(s, "*/");
			*comment = !close;
			close = close ? close + 2 : s + strlen(s);
		} else {
			open = strstr(s, "/*");
			close = strstr(s, "//");
			if (!open || (close && close < open))
				break;
			*comment = true;
			close = open + 2;
		}
	}
	s = line + strspn(line, " \t");
	if (was || *s != '#')
		return NULL;
	s += 1 + strspn(s + 1, " \t");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t n = strlen(words[i]);

		if (strncmp(s, words[i], n) || isalnum((unsigned char)s[n]))
			continue;
		*rest = s + n + strspn(s + n, " \t");
		return words[i];
	}
	return NULL;
}

static bool continued(const char *line)
{
	size_t n = strlen(line);

	return n && line[n - 1] == '\\';
}

void source_marked(const struct source *f, int nr, struct buf *out)
{
	const char *rest;
	bool comment = false;

	buf_printf(out, "mmuml_mark_%d_0\n", nr);
	for (int i = 1; i <= f->n_lines; i++) {
		const char *word = directive(f->text[i], &comment, &rest);
		int at = i;

		buf_printf(out, "%s\n", f->text[i]);
		if (!word)
			continue;
		while (i < f->n_lines && continued(f->text[i]))
			buf_printf(out, "%s\n", f->text[++i]);
		if (strcmp(word, "endif"))
			buf_printf(out, "mmuml_mark_%d_%d\n", nr, at);
	}
}

int source_mark(const char *nr, const char *path)
{
	char *text = read_whole(path, NULL);
	struct source f = { 0 };
	struct buf b = { 0 };

	if (!text)
		die(EX_HOST, NULL, strerror(errno), "cannot read %s", path);
	f.text = split(text, &f.n_lines);
	source_marked(&f, atoi(nr), &b);
	fputs(b.s, stdout);
	return EX_PASS;
}

/* ---- what was left out ---- */

static bool marked(const char *marks, int file, int line)
{
	char *want = xasprintf("%d %d\n", file + 1, line);
	const char *at = marks;
	bool found = false;

	while (!found && (at = strstr(at, want))) {
		found = at == marks || at[-1] == '\n';
		at++;
	}
	free(want);
	return found;
}

/* The options that a condition names, or all of it where it does more with them than to ask whether they are set. */
static char *options_of(const char *cond)
{
	struct buf b = { 0 };

	for (const char *s = strpbrk(cond, "!<>=") ? "" : cond; (s = strstr(s, "CONFIG_")); ) {
		size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_abcdefghijklmnopqrstuvwxyz");

		if (!b.s || !memmem(b.s, b.len, s, n))
			buf_printf(&b, "%s%.*s", b.len ? ", " : "", (int)n, s);
		s += n;
	}
	if (!b.len)
		buf_printf(&b, "%.60s", cond);
	return b.s;
}

/* Why a group is left out: its condition does not hold, or (@negated) it does. */
static char *reason(const char *cond, bool negated)
{
	char *what = options_of(cond), *text;

	if (!negated)
		return what;
	if (!strncmp(what, "CONFIG_", 7))
		text = xasprintf("%s is set", what);
	else
		text = xasprintf("%s is %s", what, strpbrk(what, "!<>=(") ? "true" : "defined");
	free(what);
	return text;
}

/* Whether a condition is the same in each object: it asks for nothing but options. */
static bool of_configuration(const char *cond)
{
	static const char *const words[] = { "defined", "IS_ENABLED", "IS_BUILTIN", "IS_REACHABLE", "CONFIG_" };
	bool known;

	for (const char *s = cond; *s; ) {
		size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_abcdefghijklmnopqrstuvwxyz");

		if (!strncmp(s, "/*", 2) || !strncmp(s, "//", 2))
			break;
		known = !n || isdigit((unsigned char)*s);
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			known |= !strncmp(s, words[i], strlen(words[i]));
		if (!known)
			return false;
		s += n + !n;
	}
	return true;
}

struct group {
	char *excluded;		/* reason, or NULL */
	const char *cond;	/* of the branch in hand, NULL in an #else */
	bool negated;		/* it is an #ifndef */
	const char *taken;	/* the condition of the branch that was taken */
	bool taken_negated;
	bool foreign;		/* some condition up to here asks for more than the configuration */
	bool unsure;		/* left out here, but another object may have it */
};

/* A branch of a group begins at line @at. */
static void begin_branch(struct group *g, const struct group *outer, const char *word, const char *cond, bool marked, bool whole)
{
	if (!strncmp(word, "if", 2))
		*g = (struct group){ .foreign = false };
	g->cond = strcmp(word, "else") ? cond : NULL;
	g->negated = !strcmp(word, "ifndef");
	g->foreign |= g->cond && (!whole || !of_configuration(cond));
	g->excluded = outer->excluded;
	g->unsure = outer->unsure;
	if (g->excluded)
		return;
	if (marked) {
		g->taken = g->cond;
		g->taken_negated = g->negated;
		return;
	}
	g->unsure = g->foreign;
	if (g->taken)
		g->excluded = reason(g->taken, !g->taken_negated);
	else
		g->excluded = reason(g->cond ? g->cond : "an #else", g->negated);
}

/* Sets excluded[] of the lines that the marks do not hold; @unsure, if not NULL, of those that another object might hold. */
static void find_excluded(struct source *f, int file, const char *marks, bool *unsure)
{
	struct group stack[DEPTH] = { 0 };
	const char *rest;
	bool comment = false;
	int depth = 0;

	for (int i = 1; i <= f->n_lines; i++) {
		const char *word = directive(f->text[i], &comment, &rest);
		int at = i;

		if (!word) {
			f->excluded[i] = stack[depth].excluded;
			if (unsure)
				unsure[i] = stack[depth].unsure;
			continue;
		}
		while (i < f->n_lines && continued(f->text[i]))
			i++;
		if (!strcmp(word, "endif")) {
			depth -= depth > 0;
			continue;
		}
		if (!strncmp(word, "if", 2) && depth < DEPTH - 1)
			depth++;
		if (depth)
			begin_branch(&stack[depth], &stack[depth - 1], word, rest, marked(marks, file, at), at == i);
	}
}

bool source_unsure(struct source *f, int file, const char *marks)
{
	bool *unsure = xcalloc(f->n_lines + 1, 1), any = false;

	find_excluded(f, file, marks, unsure);
	for (int i = 1; i <= f->n_lines; i++) {
		any |= unsure[i] && f->changed[i];
		f->excluded[i] = NULL;
	}
	free(unsure);
	return any;
}

/* ---- the change ---- */

/* Behind the lines of a hunk: one of them may look like the head of a file ("++ /"). */
static const char *skip_hunk(const char *s, int n)
{
	while (n-- > 0) {
		const char *next = strchr(s, '\n');

		if (!next || (next[1] != '+' && next[1] != '-'))
			break;
		s = next + 1;
	}
	return s;
}

void diff_read(const char *text, hunk_fn *fn, void *arg)
{
	char path[4096] = "";
	const char *s = text;

	while (s && *s) {
		struct hunk h = { .path = path, .old_n = 1, .new_n = 1 };
		int old, new;

		if (sscanf(s, "+++ %*[^/]/%4095[^\t\n]", path) == 1)
			;
		else if (!strncmp(s, "@@ -", 4)) {
			old = sscanf(s, "@@ -%d,%d", &h.old_at, &h.old_n);
			new = sscanf(strchr(s, '+'), "+%d,%d", &h.new_at, &h.new_n);
			h.old_n = old == 2 ? h.old_n : 1;
			h.new_n = new == 2 ? h.new_n : 1;
			h.lines = strchrnul(s, '\n');
			h.lines += *h.lines == '\n';
			fn(arg, &h);
			s = skip_hunk(s, h.old_n + h.new_n);
		}
		s = strchr(s, '\n');
		s = s ? s + 1 : NULL;
	}
}

static void note_change(void *arg, const struct hunk *h)
{
	struct cover *c = arg;
	int file = cover_file(c, h->path);

	for (int i = h->new_at; file >= 0 && i < h->new_at + h->new_n && i <= c->files[file].n_lines; i++)
		c->files[file].changed[i] = true;
}

/* ---- all of it ---- */

/* A file of the run's coverage directory; NULL if there is none. */
static char *piece(const struct cover *c, const char *name)
{
	char *path = xasprintf("%s/coverage/%s", c->dir, name), *text = read_whole(path, NULL);

	free(path);
	return text;
}

static void read_source(struct cover *c, const char *path, bool touched)
{
	struct source *f;
	char *name = xasprintf("src/%s", path), *text = piece(c, name);

	if (cover_file(c, path) >= 0) {
		c->files[cover_file(c, path)].touched |= touched;
		return;
	}
	c->files = realloc(c->files, (c->n_files + 1) * sizeof(*c->files));
	f = &c->files[c->n_files++];
	*f = (struct source){ .path = xasprintf("%s", path), .touched = touched };
	f->text = split(text ? text : xasprintf("%s", ""), &f->n_lines);
	f->line = xcalloc(f->n_lines + 1, sizeof(int));
	f->excluded = xcalloc(f->n_lines + 1, sizeof(char *));
	f->changed = xcalloc(f->n_lines + 1, 1);
	for (int i = 0; i <= f->n_lines; i++)
		f->line[i] = -1;
	free(name);
}

void sources_list(struct cover *c)
{
	char *list = piece(c, "files"), *diff = piece(c, "changes.diff"), kind[16], path[4096];

	if (!list)
		die(EX_USAGE, "make coverage", "it holds no coverage/files", "%s is no run of make coverage", c->dir);
	for (char *s = list; s && *s; s = strchr(s, '\n') ? strchr(s, '\n') + 1 : NULL)
		if (sscanf(s, "%15s %4095s", kind, path) == 2)
			read_source(c, path, !strcmp(kind, "touched"));
	diff_read(diff, note_change, c);
	free(list);
	free(diff);
}

/* What is left out of each touched file. A file that the marks know nothing of would be left out whole. */
static void read_marks(struct cover *c)
{
	char *marks = piece(c, "marks");

	for (int i = 0; i < c->n_files; i++) {
		if (!c->files[i].touched || c->files[i].not_built)
			continue;
		if (!marks || !marked(marks, i, 0))
			die(EX_BUILD, "make coverage   (runs the tests again)", "coverage/marks has nothing of it",
			    "%s: which lines of %s are compiled is not known", c->dir, c->files[i].path);
		find_excluded(&c->files[i], i, marks, NULL);
	}
	free(marks);
}

void sources_read(struct cover *c)
{
	char *excluded, path[4096], why[256];

	sources_list(c);
	excluded = piece(c, "excluded");
	for (char *s = excluded; s && *s; s = strchr(s, '\n') ? strchr(s, '\n') + 1 : NULL)
		if (sscanf(s, "%4095s %255[^\n]", path, why) == 2 && cover_file(c, path) >= 0)
			c->files[cover_file(c, path)].not_built = xasprintf("%s", why);
	read_marks(c);
	free(excluded);
}

struct cover *cover_read(const char *dir, window_fn *each, void *arg)
{
	struct cover *c = xcalloc(1, sizeof(*c));

	c->dir = xasprintf("%s", dir);
	sources_read(c);
	notes_read_all(c);
	dropped_find(c);
	counters_read_all(c, each, arg);
	return c;
}
