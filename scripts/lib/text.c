// SPDX-License-Identifier: GPL-2.0
/* Text that came from outside: lines of it, and bytes that are no text made visible. */
#include <stdlib.h>
#include <string.h>

#include "kit.h"

size_t utf8_len(const char *s, size_t len)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t n = !len ? 0 : u[0] < 0x80 ? 1 : u[0] >= 0xc2 && u[0] < 0xe0 ? 2 : (u[0] & 0xf0) == 0xe0 ? 3 :
		   u[0] >= 0xf0 && u[0] < 0xf5 ? 4 : 0;

	if (n > len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	/* Forms that are too long, surrogates, what is beyond U+10FFFF (RFC 3629, section 4). */
	if ((n == 3 && ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f))) ||
	    (n == 4 && ((u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f))))
		return 0;
	return n;
}

void buf_add_clean(struct buf *b, const char *s, size_t len)
{
	while (len) {
		size_t n = utf8_len(s, len);

		if (!n || ((unsigned char)*s < ' ' && *s != '\t' && *s != '\n') || *s == 0x7f) {
			buf_printf(b, "\\x%02x", (unsigned char)*s);
			n = 1;
		} else {
			buf_add(b, s, n);
		}
		s += n;
		len -= n;
	}
}

void text_copy(char *to, size_t size, const char *from, size_t len)
{
	size_t n = 0, step;

	while (n < len && (step = utf8_len(from + n, len - n) ? utf8_len(from + n, len - n) : 1) + n < size)
		n += step;
	memcpy(to, from, n);
	to[n] = '\0';
}

bool text_line(const char **text, const char **line, size_t *len)
{
	const char *end;

	if (!*text || !**text)
		return false;
	end = strchrnul(*text, '\n');
	*line = *text;
	*len = end - *text;
	*text = *end ? end + 1 : end;
	return true;
}

char *text_dup(const char *s, size_t len)
{
	return xasprintf("%.*s", (int)len, s);
}

unsigned long long hash_add(unsigned long long h, const void *data, size_t n)
{
	for (const unsigned char *c = data; n--; c++)
		h = (h ^ *c) * 1099511628211ULL;
	return h;
}
