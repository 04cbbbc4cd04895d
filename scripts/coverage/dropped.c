// SPDX-License-Identifier: GPL-2.0
/*
 * Statements that the preprocessor lets through and the compiler drops, because a condition is constant in this
 * configuration (folio_test_hugetlb(), IS_ENABLED()) or because what they call is nothing here. They have no counters, as
 * comments have none. The notes of the same source compiled without optimisation have them: a block there of which no line
 * has code in the kernel was dropped. Only one that calls something counts: a return or an assignment may have been
 * merged with another.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cover.h"

/* "name(" where name is no word of the language. */
static bool calls(const char *text)
{
	static const char *const words[] = { "if", "for", "while", "switch", "return", "sizeof" };

	for (const char *s = text; (s = strchr(s, '(')); s++) {
		const char *begin = s;
		bool word = false;

		while (begin > text && (isalnum((unsigned char)begin[-1]) || begin[-1] == '_'))
			begin--;
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			word |= (size_t)(s - begin) == strlen(words[i]) && !strncmp(begin, words[i], s - begin);
		if (begin < s && !word)
			return true;
	}
	return false;
}

/* count of a line of @w: blocks that say that it was not dropped; @pairs are the (block, line) of one function. */
void dropped_vote(struct cover *w, int n_blocks, int (*pairs)[2], int n)
{
	bool *compiled = xcalloc(n_blocks + 1, 1), *call = xcalloc(n_blocks + 1, 1);

	for (int i = 0; i < n; i++) {
		const struct line *l = &w->lines[pairs[i][1]];

		compiled[pairs[i][0]] |= w->optimised->files[l->file].line[l->nr] >= 0;
		call[pairs[i][0]] |= calls(w->files[l->file].text[l->nr]);
	}
	for (int i = 0; i < n; i++)
		w->lines[pairs[i][1]].count += compiled[pairs[i][0]] || !call[pairs[i][0]];
	free(compiled);
	free(call);
}

static size_t indent(const char *text)
{
	return strspn(text, "\t");
}

/* The line of the if whose branch line @nr is in, 0 if there is none; *@other: it is in the else branch. */
static int enclosing_if(const struct source *f, int nr, bool *other)
{
	size_t depth = indent(f->text[nr]);

	*other = false;
	for (int i = nr - 1; i > 0 && *f->text[i] != '{' && *f->text[i] != '}'; i--) {
		const char *s = f->text[i] + indent(f->text[i]);

		if (!*s || indent(f->text[i]) >= depth + *other)
			continue;
		if (!strncmp(s, "if (", 4) || !strncmp(s, "} else if (", 11))
			return i;
		*other = !strncmp(s, "else", 4) || !strncmp(s, "} else", 6);
		depth = indent(f->text[i]);
	}
	return 0;
}

/* Why line @nr was dropped: the outermost condition above it that has no code either. */
static char *reason(const struct source *f, int nr)
{
	bool other, now;
	int at = 0, i = nr;

	while ((i = enclosing_if(f, i, &now)) && f->line[i] < 0) {
		at = i;
		other = now;
	}
	if (!at)
		return xasprintf("it compiles to nothing");
	return xasprintf("line %d is always %s: %s", at, other ? "true" : "false", f->text[at] + indent(f->text[at]));
}

static void find_in(struct cover *c, int file, const struct cover *w)
{
	struct source *f = &c->files[file];
	char *last = NULL;

	for (int nr = 1; nr <= f->n_lines; nr++) {
		int at = w->files[file].line[nr];
		char *why;

		if (at < 0 || w->lines[at].count || f->line[nr] >= 0 || f->excluded[nr])
			continue;
		why = reason(f, nr);
		if (!last || strcmp(last, why))
			last = why;
		f->excluded[nr] = last;
	}
}

void dropped_find(struct cover *c)
{
	for (int i = 0; i < c->n_files; i++) {
		struct cover w = { .dir = c->dir, .n_files = c->n_files, .optimised = c };
		int stem = strlen(c->files[i].path) - 1;
		char *name = xasprintf("%.*sgcno", stem, c->files[i].path);
		char *path = xasprintf("%s/coverage/whole/%s", c->dir, name);

		if (access(path, R_OK)) {
			free(name);
			free(path);
			continue;
		}
		w.files = xcalloc(c->n_files + 1, sizeof(*w.files));
		memcpy(w.files, c->files, c->n_files * sizeof(*w.files));
		for (int k = 0; k < c->n_files; k++) {
			w.files[k].line = xcalloc(w.files[k].n_lines + 1, sizeof(int));
			for (int nr = 0; nr <= w.files[k].n_lines; nr++)
				w.files[k].line[nr] = -1;
		}
		notes_read_one(&w, path, name);
		find_in(c, i, &w);
	}
}
