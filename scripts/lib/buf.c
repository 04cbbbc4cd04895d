// SPDX-License-Identifier: GPL-2.0
/* Memory that is there or ends the program, buffers and strings. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

static void *oom(void *p)
{
	if (!p) {
		fputs("mmuml: error: out of memory\n", stderr);
		exit(EX_HOST);
	}
	return p;
}

void *xcalloc(size_t n, size_t size)
{
	return oom(calloc(n, size));
}

void *grow(void *array, size_t n, size_t size)
{
	/* Full at each power of two. */
	if (!(n & (n - 1)))
		array = oom(reallocarray(array, n ? 2 * n : 1, size));
	memset((char *)array + n * size, 0, size);
	return array;
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	return oom(s);
}

void buf_add(struct buf *b, const char *s, size_t len)
{
	if (b->len + len + 1 > b->cap) {
		b->cap = (b->len + len + 1) * 2;
		b->s = oom(realloc(b->s, b->cap));
	}
	if (len)
		memcpy(b->s + b->len, s, len);
	b->len += len;
	b->s[b->len] = '\0';
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		oom(NULL);
	buf_add(b, s, n);
	free(s);
}

void buf_free(struct buf *b)
{
	free(b->s);
	*b = (struct buf){ 0 };
}
