// SPDX-License-Identifier: GPL-2.0
/* What the kernel and the compiler said on one side and not on the other. */
#include <ctype.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "../runner/detect.h"
#include "compare.h"

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Call @take for each line of @text. */
static void each_line(const char *text, void (*take)(const char *line, void *arg), void *arg)
{
	while (text && *text) {
		const char *end = strchrnul(text, '\n');
		char *line = xasprintf("%.*s", (int)(end - text), text);

		take(line, arg);
		free(line);
		text = *end ? end + 1 : end;
	}
}

/* "[    1.234567][   T12] " */
static const char *without_stamp(const char *line)
{
	while (*line == '[') {
		size_t inside = strspn(line + 1, " 0123456789.TC");

		if (line[1 + inside] != ']')
			break;
		line += inside + 2;
		line += *line == ' ';
	}
	return line;
}

void log_normalise(const char *line, char *out, size_t size)
{
	size_t n = 0;

	line = without_stamp(line);
	while (*line && n + 2 < size) {
		size_t hex = strspn(line, "0123456789abcdef"), skip;

		skip = !strncmp(line, "0x", 2) ? 2 + strspn(line + 2, "0123456789abcdefABCDEF")
		     : hex >= 8 || isdigit((unsigned char)*line) ? (hex >= 8 ? hex : strspn(line, "0123456789.")) : 0;
		if (skip) {
			out[n++] = '#';
			line += skip;
		} else {
			bool word = isalpha((unsigned char)*line);

			/* A word to its end: the digits inside it are part of a name. */
			do
				out[n++] = *line++;
			while (word && n + 2 < size && (isalnum((unsigned char)*line) || *line == '_'));
		}
	}
	out[n] = '\0';
}

/* Lines about the run itself. */
static bool of_the_run(const char *line)
{
	return !*line || !strncmp(line, "====", 4) || !strncmp(line, "mmuml: ", 7) || strstr(line, "Command line: ") ||
	       strstr(line, "Linux version ") || strstr(line, "hysical memory") || strstr(line, "Memory: ");
}

struct pick {
	void *theirs, *seen;
	struct buf *out;
	int *lines;
};

static void learn(const char *line, void *arg)
{
	char norm[512], *copy;
	void **set = arg;

	log_normalise(line, norm, sizeof(norm));
	if (tfind(norm, set, by_text))
		return;
	copy = xasprintf("%s", norm);
	if (!tsearch(copy, set, by_text))
		free(copy);
}

static void choose(const char *line, void *arg)
{
	struct pick *p = arg;
	char norm[512];

	if (of_the_run(without_stamp(line)))
		return;
	log_normalise(line, norm, sizeof(norm));
	if (tfind(norm, &p->theirs, by_text) || tfind(norm, &p->seen, by_text))
		return;
	learn(line, &p->seen);
	buf_printf(p->out, "%s\n", without_stamp(line));
	(*p->lines)++;
}

/* Only the first run of @of speaks; all runs of @against answer, so that what comes and goes is not new. */
void log_new(const struct side *of, const struct side *against, struct buf *out, int *lines)
{
	struct pick p = { .out = out, .lines = lines };

	*lines = 0;
	for (int i = 0; i < against->n; i++)
		each_line(against->console[i].s, learn, &p.theirs);
	each_line(of->console[0].s, choose, &p);
	tdestroy(p.theirs, free);
	tdestroy(p.seen, free);
}

static void count_report(const char *line, void *arg)
{
	struct line l;

	detect_line(line, &l);
	if (l.kind == LINE_REPORT || l.kind == LINE_INIT)
		(*(int *)arg)++;
}

int log_reports(const struct side *s)
{
	int n = 0;

	each_line(s->console[0].s, count_report, &n);
	return n;
}

static char *warnings_of(const struct side *s)
{
	char *path = xasprintf("%s/warnings", s->build), *text;

	text = s->build ? read_whole(path, NULL) : NULL;
	free(path);
	return text;
}

void log_warnings(const struct side *of, const struct side *against, struct buf *out, int *lines)
{
	struct pick p = { .out = out, .lines = lines };
	char *ours = warnings_of(of), *theirs = warnings_of(against);

	*lines = 0;
	each_line(theirs, learn, &p.theirs);
	each_line(ours, choose, &p);
	tdestroy(p.theirs, free);
	tdestroy(p.seen, free);
	free(ours);
	free(theirs);
}
