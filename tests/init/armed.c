// SPDX-License-Identifier: GPL-2.0
/* At the end of a boot: is each detector that was armed still armed? /host/armed has the questions (protocol.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "init.h"

/* The first whole number in @text; -1 if there is none. */
static long first_number(const char *text)
{
	const char *digit = strpbrk(text, "0123456789");

	return digit ? strtol(digit > text && digit[-1] == '-' ? digit - 1 : digit, NULL, 10) : -1;
}

/* The number behind @key in the first line of the file that has it, in any line without a key; -1 if there is none. */
static long ask(const char *path, const char *key)
{
	char *line = NULL, *at;
	size_t size = 0;
	long answer = -1;
	FILE *f = fopen(path, "re");

	while (f && getline(&line, &size, f) > 0) {
		at = strstr(line, key);
		if (!at)
			continue;
		answer = first_number(at + strlen(key));
		if (*key || answer != -1)
			break;
	}
	free(line);
	if (f)
		fclose(f);
	return answer;
}

void say_armed(void)
{
	char *line = NULL;
	size_t size = 0;
	FILE *f = fopen(ARMED_FILE, "re");

	while (f && getline(&line, &size, f) > 0) {
		char *rest = line, *name, *file, *key;

		line[strcspn(line, "\n")] = '\0';
		name = strsep(&rest, "\t");
		file = strsep(&rest, "\t");
		key = rest;
		errno = EINVAL;
		if (!file || !key)
			die("malformed line in " ARMED_FILE);
		ktap_say(SAY_ARMED, "%s %ld", name, ask(file, key));
	}
	free(line);
	if (f)
		fclose(f);
}
