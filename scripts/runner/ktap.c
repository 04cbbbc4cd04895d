// SPDX-License-Identifier: GPL-2.0
/* The one KTAP reader (Documentation/dev-tools/ktap.rst), with the markers that the guest's init adds. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "runner.h"

static void copy(char *to, size_t size, const char *from, size_t len)
{
	if (len >= size)
		len = size - 1;
	memcpy(to, from, len);
	to[len] = '\0';
}

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
	copy(out->name, sizeof(out->name), s, end - s);
	if (!hash)
		return true;
	hash += 3;
	if (!strncasecmp(hash, "SKIP", 4)) {
		out->skip = true;
		hash += 4;
		hash += strspn(hash, " ");
		copy(out->reason, sizeof(out->reason), hash, strlen(hash));
	} else if (*hash == '(') {
		const char *close = strrchr(hash, ')');

		copy(out->reason, sizeof(out->reason), hash + 1, close ? (size_t)(close - hash - 1) : strlen(hash + 1));
	}
	return true;
}

void ktap_parse(const char *line, struct ktap_line *out)
{
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
	} else if (!strncmp(line, "# begin ", 8)) {
		out->kind = KTAP_BEGIN;
		copy(out->name, sizeof(out->name), line + 8, strlen(line + 8));
	} else if (!strncmp(line, "# done ", 7) && isdigit((unsigned char)line[7])) {
		out->kind = KTAP_DONE;
		out->nr = strtol(line + 7, NULL, 10);
	} else if (line[0] == '#') {
		out->kind = KTAP_DIAG;
		out->text = line + (line[1] == ' ' ? 2 : 1);
	}
}
