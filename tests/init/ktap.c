// SPDX-License-Identifier: GPL-2.0
/* What the host reads: KTAP (Documentation/dev-tools/ktap.rst) and the lines of scripts/lib/protocol.h, on a channel of its own. */
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "init.h"

#define RESULT_TTY	"/dev/ttyS0"
#define SKIP_CODE	4		/* KSFT_SKIP of kselftest.h */

static FILE *result;

void ktap_begin(const struct plan *plan)
{
	struct termios t;
	int fd = open(RESULT_TTY, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		die(RESULT_TTY);
	tcgetattr(fd, &t);
	cfmakeraw(&t);
	tcsetattr(fd, TCSANOW, &t);
	result = fdopen(fd, "w");
	if (!result)
		die(RESULT_TTY);
	fprintf(result, "KTAP version 1\n1..%d\n# seed %s\n", plan->n, settings.seed);
	fflush(result);
}

void ktap_say(const char *what, const char *fmt, ...)
{
	va_list ap;

	fputs(what, result);
	va_start(ap, fmt);
	vfprintf(result, fmt, ap);
	va_end(ap);
	fputc('\n', result);
	fflush(result);
}

/* How many bytes the character at @s has, of @left that there are; 0 if it is none that may be shown. */
static size_t utf8(const unsigned char *s, size_t left)
{
	static const unsigned int least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
	unsigned int c;

	if (n < 2)
		return n;
	if (n > left)
		return 0;
	c = s[0] & (0x7f >> n);
	for (size_t i = 1; i < n; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	/* Written too long, halves of UTF-16, above the last; the control characters up to U+009F; and what XML does not allow. */
	if (c < least[n] || c >> 11 == 27 || c > 0x10ffff || c < 0xa0 || c == 0xfffe || c == 0xffff)
		return 0;
	return n;
}

/* Text of a test: what is no printable UTF-8 and no tab as \xNN. */
static void put_text(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text, *end = s + len;
	size_t n;

	for (; s < end; s += n) {
		n = utf8(s, end - s);
		if (n > 1 || (n == 1 && ((*s >= ' ' && *s < 0x7f) || *s == '\t'))) {
			fwrite(s, 1, n, result);
			continue;
		}
		fprintf(result, "\\x%02x", *s);
		n = 1;
	}
}

static bool starts(const char *line, size_t len, const char *with)
{
	size_t n = strlen(with);

	return len >= n && !memcmp(line, with, n);
}

/* Lines of the harness that say nothing new: our own plan and result line stand for them. */
static bool boilerplate(const char *line, size_t len)
{
	static const char *const with[] = {
		"TAP version", "1..1", "# Starting ", "#  RUN  ", "#            OK  ", "#          FAIL  ", "#          SKIP ",
		"# PASSED: ", "# FAILED: ", "# Totals: ",
	};

	for (size_t i = 0; i < sizeof(with) / sizeof(with[0]); i++)
		if (starts(line, len, with[i]))
			return true;
	return false;
}

static size_t line_length(const char *line, const char *end)
{
	const char *newline = memchr(line, '\n', end - line);

	return newline ? newline - line : end - line;
}

/* The harness's own result line: the last of that form, whatever the test printed before. NULL if there is none. */
static const char *harness_result(const struct output *out)
{
	const char *line = out->text, *end = line + out->len, *last = NULL;
	size_t n;

	for (; line < end; line += n + 1) {
		n = line_length(line, end);
		if (starts(line, n, "ok 1 ") || starts(line, n, "not ok 1 "))
			last = line;
	}
	return last;
}

/* All that the test printed but what the harness did, "# " before each line. */
static void tell(const struct test *t, const struct output *out, const char *harness)
{
	const char *line = out->text, *end = line + out->len, *hole = out->lost ? line + HELD_MAX / 2 : NULL;
	size_t n;

	for (; line < end; line += n + 1) {
		n = line_length(line, end);
		if (line != harness && (is_foreign(t) || !boilerplate(line, n)) && n) {
			int known = starts(line, n, "# ") ? 2 : 0;

			fputs("# ", result);
			put_text(line + known, n - known);
			fputc('\n', result);
		}
		if (hole && line + n >= hole) {
			fprintf(result, "# (%zu bytes are left out, in or before this line)\n", out->lost);
			hole = NULL;
		}
	}
}

/* The reason, if the harness's result is a skip. */
static const char *skip_reason(const struct output *out, const char *line, size_t *len)
{
	const char *mark;
	size_t n;

	if (!line)
		return NULL;
	n = line_length(line, out->text + out->len);
	mark = memmem(line, n, " # SKIP ", 8);
	if (!mark)
		return NULL;
	*len = line + n - (mark + 8);
	return mark + 8;
}

/* Why the test failed, into @why; false if it did not. */
static bool failure(const struct test *t, const struct outcome *o, bool said_ok, char *why, size_t size)
{
	int code = WIFEXITED(o->status) ? WEXITSTATUS(o->status) : -1;

	if (o->timed_out)
		snprintf(why, size, "timeout %gs", t->limit / 1000.0);
	else if (o->taint)
		snprintf(why, size, "kernel tainted %#lx", o->taint);
	else if (WIFSIGNALED(o->status))
		snprintf(why, size, "signal %d", WTERMSIG(o->status));
	else if (code && code != SKIP_CODE)
		snprintf(why, size, "exit %d", code);
	else if (!code && !said_ok && !settings.dry && !is_foreign(t))
		snprintf(why, size, "exit 0 without a good result");
	else if (*o->left)
		snprintf(why, size, "left behind: %s", o->left);
	else
		return false;
	return true;
}

void ktap_result(int nr, const struct test *t, const struct output *out, const struct outcome *o)
{
	const char *harness = is_foreign(t) ? NULL : harness_result(out), *reason;
	char why[288];
	size_t len = 0;

	tell(t, out, harness);
	if (o->strays)
		fprintf(result, "# left %d process(es) behind\n", o->strays);
	reason = skip_reason(out, harness, &len);
	if (failure(t, o, harness && *harness == 'o', why, sizeof(why))) {
		fprintf(result, "not ok %d %s # (%s)", nr, t->name, why);
	} else if (reason) {
		fprintf(result, "ok %d %s # SKIP ", nr, t->name);
		put_text(reason, len);
	} else if (WEXITSTATUS(o->status) == SKIP_CODE) {
		fprintf(result, "ok %d %s # SKIP no reason given", nr, t->name);
	} else {
		fprintf(result, "ok %d %s", nr, t->name);
	}
	fputc('\n', result);
	fflush(result);
}

void ktap_end(const struct plan *plan)
{
	ktap_say(SAY_DONE, "%d", plan->n);
	tcdrain(fileno(result));
}
