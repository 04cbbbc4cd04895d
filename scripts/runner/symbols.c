// SPDX-License-Identifier: GPL-2.0
/* What the debug information says of addresses, remembered. */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "symbols.h"

struct symbol {
	char *key, *text;	/* @text: NULL, there is nothing to say */
};

static void *tree;
static void (*on_learn)(void *arg, const char *key, const char *text);
static void *learn_arg;

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct symbol *)a)->key, ((const struct symbol *)b)->key);
}

static const struct symbol *known(const char *key)
{
	struct symbol want = { .key = (char *)key }, **at = tfind(&want, &tree, compare);

	return at ? *at : NULL;
}

static const struct symbol *add(const char *key, const char *text)
{
	struct symbol *s;

	if (known(key))
		return known(key);
	s = xcalloc(1, sizeof(*s));
	*s = (struct symbol){ .key = xasprintf("%s", key), .text = text ? xasprintf("%s", text) : NULL };
	if (!tsearch(s, &tree, compare))
		die(EX_HOST, NULL, NULL, "out of memory");
	return s;
}

void symbols_init(void (*learn)(void *arg, const char *key, const char *text), void *arg)
{
	on_learn = learn;
	learn_arg = arg;
}

void symbols_add(const char *key, const char *text)
{
	add(key, text);
}

bool symbols_find(void *unused, const char *key, struct buf *out)
{
	const struct symbol *s = known(key);
	struct buf text = { 0 };

	(void)unused;
	if (!s && on_learn) {
		s = add(key, decode_symbol(key, &text) ? text.s : NULL);
		if (s->text)
			on_learn(learn_arg, key, s->text);
		buf_free(&text);
	}
	if (!s || !s->text)
		return false;
	buf_add(out, s->text, strlen(s->text));
	return true;
}

bool symbols_in_text(void *unused, unsigned long addr)
{
	char exact[32], after[32];

	(void)unused;
	if (on_learn)
		return decode_in_text(addr);
	snprintf(exact, sizeof(exact), "%lx", addr);
	snprintf(after, sizeof(after), "%lx-", addr);
	return known(exact) || known(after);
}
