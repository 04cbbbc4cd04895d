// SPDX-License-Identifier: GPL-2.0
/* The one reader of the .cmd files in which kbuild keeps, beside each thing it made, how and of what. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wordexp.h>

#include "kit.h"

/* What make would undo: "$$" is a dollar, "$(pound)" (formerly "\#") a number sign. In place. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '$' && s[1] == '$') {
			*to++ = '$';
			s += 2;
		} else if (!strncmp(s, "$(pound)", 8)) {
			*to++ = '#';
			s += 8;
		} else if (s[0] == '\\' && s[1] == '#') {
			*to++ = '#';
			s += 2;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* "KEY_TARGET := VALUE" with one of these keys: the value, and the target cut off behind the key. */
static char *assignment(char *line, const char *key, char **target)
{
	size_t n = strlen(key);
	char *at = strncmp(line, key, n) ? NULL : strstr(line, " :=");

	if (!at)
		return NULL;
	*at = '\0';
	if (target)
		*target = line + n;
	at += 3;
	return at + strspn(at, " ");
}

static void add_input(struct kbuild_cmd *k, char *path)
{
	path[strcspn(path, " \t\\")] = '\0';
	if (!*path || *path == '$' || !strcmp(path, "FORCE"))
		return;
	k->inputs = grow(k->inputs, k->n_inputs, sizeof(*k->inputs));
	k->inputs[k->n_inputs++] = path;
}

static void read_line(struct kbuild_cmd *k, char *line)
{
	char *value;

	if (*line == ' ') {
		add_input(k, line + strspn(line, " \t"));
	} else if ((value = assignment(line, "savedcmd_", &k->target)) || (value = assignment(line, "cmd_", &k->target))) {
		unescape(value);
		k->command = value;
	} else if ((value = assignment(line, "source_", NULL))) {
		k->source = value;
		add_input(k, value);
	}
}

struct kbuild_cmd *kbuild_read(const char *path)
{
	struct kbuild_cmd *k = xcalloc(1, sizeof(*k));

	k->text = read_whole(path, NULL);
	if (!k->text) {
		free(k);
		return NULL;
	}
	for (char *s = k->text, *end; *s; s = end) {
		end = strchrnul(s, '\n');
		if (*end)
			*end++ = '\0';
		read_line(k, s);
	}
	return k;
}

void kbuild_free(struct kbuild_cmd *k)
{
	if (!k)
		return;
	free(k->inputs);
	free(k->text);
	free(k);
}

char *kbuild_cmd_path(const char *target)
{
	const char *slash = strrchr(target, '/');
	int dir = slash ? slash + 1 - target : 0;

	return xasprintf("%.*s.%s.cmd", dir, target, target + dir);
}

char **kbuild_words(const struct kbuild_cmd *k)
{
	char **words = NULL;
	wordexp_t w;
	size_t i;

	/* A second command, a redirection, $(...), a variable: words for a shell alone. */
	if (!k->command || wordexp(k->command, &w, WRDE_NOCMD | WRDE_UNDEF))
		return NULL;
	for (i = 0; i < w.we_wordc; i++) {
		words = grow(words, i, sizeof(*words));
		words[i] = xasprintf("%s", w.we_wordv[i]);
	}
	words = grow(words, i, sizeof(*words));
	wordfree(&w);
	return words;
}

int kbuild_wrapper(char **words)
{
	int option = 0;

	while (words[option] && *words[option] != '-')
		option++;
	return words[option] && option ? option - 1 : 0;
}

void kbuild_free_words(char **words)
{
	for (int i = 0; words && words[i]; i++)
		free(words[i]);
	free(words);
}

char *kbuild_source_path(const char *name)
{
	char *path = xasprintf("%s", name), *to, *back;

	/* "a/../" goes, wherever it stands. */
	for (char *s = path; (s = strstr(s, "/../")); ) {
		*s = '\0';
		back = strrchr(path, '/');
		to = back ? back + 1 : path;
		*s = '/';
		if (s == to || !strncmp(to, "../", 3)) {
			s++;
			continue;
		}
		memmove(to, s + 4, strlen(s + 4) + 1);
		s = path;
	}
	if (!strncmp(path, "../", 3) && strncmp(path + 3, "../", 3)) {
		memmove(path, path + 3, strlen(path + 3) + 1);
		return path;
	}
	free(path);
	return NULL;
}
