// SPDX-License-Identifier: GPL-2.0
/* The record of a run, written and read (record.h says what it holds). */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

static const char *const words[EV_KINDS] = {
	[EV_SET] = "set", [EV_TEST] = "test", [EV_ROUND] = "round", [EV_START] = "start", [EV_CONSOLE] = "console",
	[EV_RESULT] = "result", [EV_XML] = "xml", [EV_STACKS] = "stacks", [EV_SYMBOL] = "symbol",
	[EV_COUNTERS] = "counters", [EV_PEAK] = "peak", [EV_LIMIT] = "limit", [EV_STOP] = "stop", [EV_EXIT] = "exit",
	[EV_END_RUN] = "end-run", [EV_DEBUGGER] = "debugger", [EV_AMEND] = "amend", [EV_DONE] = "done",
};

FILE *record_open(const char *path, bool again)
{
	FILE *f = fopen(path, again ? "ae" : "we");

	if (!f)
		die(EX_HOST, "df -h out", strerror(errno), "cannot write %s", path);
	return f;
}

/* What an editor would take away, a blank at the end, is made visible. */
static void put_escaped(struct buf *line, const char *s, size_t len)
{
	if (len)
		buf_add(line, " ", 1);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = s[i];

		if (c == '\n')
			buf_add(line, "\\n", 2);
		else if (c == '\t')
			buf_add(line, "\\t", 2);
		else if (c == '\\')
			buf_add(line, "\\\\", 2);
		else if (c < ' ' || c > '~' || (c == ' ' && i == len - 1))
			buf_printf(line, "\\x%02x", c);
		else
			buf_add(line, s + i, 1);
	}
}

static bool is_stream(enum event_kind kind)
{
	return kind == EV_CONSOLE || kind == EV_RESULT || kind == EV_XML;
}

void record_write(FILE *f, const struct event *e)
{
	struct buf out = { 0 };
	size_t at = 0;

	do {
		const char *nl = is_stream(e->kind) ? memchr(e->data + at, '\n', e->len - at) : NULL;
		size_t n = nl ? (size_t)(nl + 1 - e->data) - at : e->len - at;

		buf_printf(&out, "%.6f %s %d", e->t, words[e->kind], e->boot);
		put_escaped(&out, e->data + at, n);
		buf_add(&out, "\n", 1);
		at += n;
	} while (at < e->len);
	if (fwrite(out.s, 1, out.len, f) != out.len || fflush(f))
		die(EX_HOST, "df -h out", strerror(errno), "the record of the run cannot be written");
	buf_free(&out);
}

static int hex(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undo put_escaped() in place; false if it is not its work. */
static bool unescape(char *s, size_t *len)
{
	char *to = s, *end = s + *len;

	while (s < end) {
		if (*s != '\\') {
			*to++ = *s++;
			continue;
		}
		if (s + 1 >= end)
			return false;
		if (s[1] == 'x') {
			if (s + 3 >= end || hex(s[2]) < 0 || hex(s[3]) < 0)
				return false;
			*to++ = hex(s[2]) << 4 | hex(s[3]);
			s += 4;
			continue;
		}
		if (s[1] != 'n' && s[1] != 't' && s[1] != '\\')
			return false;
		*to++ = s[1] == 'n' ? '\n' : s[1] == 't' ? '\t' : '\\';
		s += 2;
	}
	*len = to - (end - *len);
	*to = '\0';
	return true;
}

static bool parse(char *line, size_t len, struct event *e)
{
	char word[16];
	int used = 0;
	char *data;
	size_t n;

	if (sscanf(line, "%lf %15s %d%n", &e->t, word, &e->boot, &used) != 3 || (line[used] && line[used] != ' '))
		return false;
	used += line[used] == ' ';
	for (e->kind = 0; e->kind < EV_KINDS && strcmp(words[e->kind], word); e->kind++)
		;
	data = line + used;
	n = len - used;
	if (e->kind == EV_KINDS || !unescape(data, &n))
		return false;
	e->data = data;
	e->len = n;
	return true;
}

void record_read(const char *path, event_sink sink, void *arg)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;
	int nr = 0;

	if (!f)
		die(EX_USAGE, "ls -d out/runs/*", strerror(errno), "no record of a run at %s", path);
	while ((len = getline(&line, &cap, f)) > 0) {
		struct event e;

		nr++;
		if (line[len - 1] != '\n')
			break;
		line[--len] = '\0';
		if (!len || line[0] == '#')
			continue;
		if (!parse(line, len, &e))
			die(EX_USAGE, "mmuml-run --help", xasprintf("%s:%d: %.60s", path, nr, line), "no line of a record");
		sink(arg, &e);
	}
	free(line);
	fclose(f);
}
