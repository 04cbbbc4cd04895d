// SPDX-License-Identifier: GPL-2.0
/*
 * The sources that are reported: their text, the lines of the change, and what conditional compilation leaves out.
 * Which groups of #if ... #endif the compiler sees is asked of the compiler: source_mark() writes a mark into each group,
 * the preprocessor drops those that it drops (scripts/coverage/gather.sh).
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

int source_mark(const char *nr, const char *path)
{
	char *text = read_whole(path, NULL), **lines;
	const char *rest;
	bool comment = false;
	int n;

	if (!text)
		die(EX_HOST, NULL, strerror(errno), "cannot read %s", path);
	lines = split(text, &n);
	for (int i = 1; i <= n; i++) {
		const char *word = directive(lines[i], &comment, &rest);
		int at = i;

		puts(lines[i]);
		if (!word)
			continue;
		while (i < n && continued(lines[i]))
			puts(lines[++i]);
		if (strcmp(word, "endif"))
			printf("mmuml_mark_%s_%d\n", nr, at);
	}
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

/* "CONFIG_NUMA" of a condition, negated for an #else or #ifndef; the condition itself if it names no option. */
static char *reason(const char *word, const char *cond)
{
	struct buf b = { 0 };
	bool negated = !strcmp(word, "ifndef") || !strcmp(word, "else");

	for (const char *s = cond; (s = strstr(s, "CONFIG_")); ) {
		size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_abcdefghijklmnopqrstuvwxyz");

		if (!b.s || !memmem(b.s, b.len, s, n))
			buf_printf(&b, "%s%.*s", b.len ? ", " : "", (int)n, s);
		s += n;
	}
	if (!b.len)
		buf_printf(&b, "%.60s", cond);
	if (negated) {
		char *text = xasprintf("%s is %s", b.s, b.len > 7 && !strncmp(b.s, "CONFIG_", 7) ? "set" : "defined");

		buf_free(&b);
		return text;
	}
	return b.s;
}

struct group {
	char *excluded;		/* reason, or NULL */
	const char *cond;	/* of the #if that began it */
};

static void find_excluded(struct source *f, int file, const char *marks)
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
			continue;
		}
		while (i < f->n_lines && continued(f->text[i]))
			i++;
		if (!strcmp(word, "endif")) {
			depth -= depth > 0;
			continue;
		}
		if (!strncmp(word, "if", 2) && depth < DEPTH - 1)
			stack[++depth].cond = rest;
		else if (!strcmp(word, "elif"))
			stack[depth].cond = rest;
		if (!depth)
			continue;
		stack[depth].excluded = stack[depth - 1].excluded;
		if (!stack[depth].excluded && !marked(marks, file, at))
			stack[depth].excluded = reason(word, stack[depth].cond);
	}
}

/* ---- the change ---- */

void diff_read(const char *text, hunk_fn *fn, void *arg)
{
	char path[4096] = "";
	const char *s = text;

	while (s && *s) {
		int a = 0, an = 1, b = 0, bn = 1, old, new;

		if (sscanf(s, "+++ %*[^/]/%4095[^\t\n]", path) == 1)
			;
		else if (!strncmp(s, "@@ -", 4)) {
			old = sscanf(s, "@@ -%d,%d", &a, &an);
			new = sscanf(strchr(s, '+'), "+%d,%d", &b, &bn);
			fn(arg, path, a, old == 2 ? an : 1, b, new == 2 ? bn : 1);
		}
		s = strchr(s, '\n');
		s = s ? s + 1 : NULL;
	}
}

static void note_change(void *arg, const char *path, int old_at, int old_n, int new_at, int new_n)
{
	struct cover *c = arg;
	int file = cover_file(c, path);

	(void)old_at;
	(void)old_n;
	for (int i = new_at; file >= 0 && i < new_at + new_n && i <= c->files[file].n_lines; i++)
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

void sources_read(struct cover *c)
{
	char *list = piece(c, "files"), *diff = piece(c, "changes.diff"), *marks = piece(c, "marks");
	char *excluded = piece(c, "excluded"), kind[16], path[4096], why[256];

	if (!list)
		die(EX_USAGE, "make coverage", "it holds no coverage/files", "%s is no run of make coverage", c->dir);
	for (char *s = list; s && *s; s = strchr(s, '\n') ? strchr(s, '\n') + 1 : NULL)
		if (sscanf(s, "%15s %4095s", kind, path) == 2)
			read_source(c, path, !strcmp(kind, "touched"));
	diff_read(diff, note_change, c);
	for (int i = 0; i < c->n_files; i++)
		if (marks && c->files[i].touched)
			find_excluded(&c->files[i], i, marks);
	for (char *s = excluded; s && *s; s = strchr(s, '\n') ? strchr(s, '\n') + 1 : NULL)
		if (sscanf(s, "%4095s %255[^\n]", path, why) == 2 && cover_file(c, path) >= 0)
			c->files[cover_file(c, path)].not_built = xasprintf("%s", why);
	free(list);
	free(diff);
	free(marks);
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
