// SPDX-License-Identifier: GPL-2.0
/* The one KTAP reader (Documentation/dev-tools/ktap.rst), with the lines that the guest's init adds (protocol.h). */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/kit.h"
#include "ktap.h"

/* "NR [-] NAME [# DIRECTIVE]" after "ok " or "not ok ". */
static bool parse_result(const char *s, struct ktap_line *out)
{
	const char *hash, *end;
	char *after;

	if (!isdigit((unsigned char)*s))
		return false;
	out->nr = strtol(s, &after, 10);
	s = after;
	if (*s != ' ')
		return false;
	s += strspn(s, " ");
	if (!strncmp(s, "- ", 2))
		s += 2;
	if (*s == '#')
		return false;
	hash = strstr(s, " # ");
	end = hash ? hash : s + strlen(s);
	while (end > s && isspace((unsigned char)end[-1]))
		end--;
	if (end == s)
		return false;
	text_copy(out->name, sizeof(out->name), s, end - s);
	if (!hash)
		return true;
	hash += 3;
	if (!strncasecmp(hash, "SKIP", 4)) {
		out->skip = true;
		hash += 4;
		hash += strspn(hash, " ");
		text_copy(out->reason, sizeof(out->reason), hash, strlen(hash));
	} else if (*hash == '(') {
		const char *close = strrchr(hash, ')');

		text_copy(out->reason, sizeof(out->reason), hash + 1, close ? (size_t)(close - hash - 1) : strlen(hash + 1));
	}
	return true;
}

static bool after_word(const char *line, const char *word, const char **rest)
{
	size_t n = strlen(word);

	*rest = line + n;
	return !strncmp(line, word, n);
}

/* One word and nothing behind it. */
static bool take_name(const char *s, struct ktap_line *out)
{
	text_copy(out->name, sizeof(out->name), s, strlen(s));
	return *s && !strpbrk(s, " \t");
}

/* "NAME N" */
static bool take_number(const char *s, struct ktap_line *out)
{
	const char *blank = strchr(s, ' ');
	char *after;

	if (!blank || blank == s)
		return false;
	text_copy(out->name, sizeof(out->name), s, blank - s);
	out->nr = strtol(blank + 1, &after, 10);
	return after > blank + 1 && !*after;
}

void ktap_parse(const char *line, struct ktap_line *out)
{
	const char *rest;
	char *after;

	memset(out, 0, sizeof(*out));
	out->kind = KTAP_OTHER;
	if (!strncmp(line, "KTAP version ", 13)) {
		out->kind = KTAP_VERSION;
	} else if (!strncmp(line, "1..", 3) && isdigit((unsigned char)line[3])) {
		out->nr = strtol(line + 3, &after, 10);
		if (!*after)
			out->kind = KTAP_PLAN;
	} else if (!strncmp(line, "ok ", 3)) {
		if (parse_result(line + 3, out))
			out->kind = KTAP_OK;
	} else if (!strncmp(line, "not ok ", 7)) {
		if (parse_result(line + 7, out))
			out->kind = KTAP_NOT_OK;
	} else if (after_word(line, SAY_BEGIN, &rest)) {
		if (take_name(rest, out))
			out->kind = KTAP_BEGIN;
	} else if (after_word(line, SAY_DONE, &rest)) {
		out->nr = strtol(rest, &after, 10);
		if (isdigit((unsigned char)*rest) && !*after)
			out->kind = KTAP_DONE;
	} else if (after_word(line, SAY_COUNTER, &rest)) {
		if (take_number(rest, out))
			out->kind = KTAP_COUNTER;
	} else if (after_word(line, SAY_ARMED, &rest)) {
		if (take_number(rest, out))
			out->kind = KTAP_ARMED;
	} else if (after_word(line, SAY_LEAK, &rest)) {
		if (take_name(rest, out))
			out->kind = KTAP_LEAK;
	} else if (line[0] == '#') {
		out->kind = KTAP_DIAG;
		out->text = line + (line[1] == ' ' ? 2 : 1);
	}
}
