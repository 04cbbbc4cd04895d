// SPDX-License-Identifier: GPL-2.0
/*
 * What a built kernel can say, held against the table of detectors. For each object file that is named on standard input: its
 * printk formats, by the level in front ("\001" and a digit), and those without one that begin as reports do. A format says that
 * something is wrong if its level is error or worse, or if it has one of the words below. With sample values filled in it must be
 * matched by a row of detect.c, or be listed in tests/kit/messages with the reason why it is no report.
 * usage: messages LIST DIR < names of objects in DIR, "build-PROFILE/mm/rmap.o"
 */
#include <ctype.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <gelf.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../scripts/lib/kit.h"
#include "../../scripts/runner/detect.h"

#define WORST	'3'	/* KERN_ERR: always looked at */
#define SHORT	5	/* fewer characters are no message */

#define WRONG	"\\bbug|warning|info:|\\bbad\\b|corrupt|leak|inconsisten|stall|lock-?up|imbalance|underflow|overflow|disabl|turn(ed|ing) off|" \
		"poison|illegal|invalid|mismatch|overlap|unknown object|without schedule|not annotated|suspicious|wrong"
/* A format without a level is one of printk()'s, or of something else: only those that look like a heading. */
#define HEADING	"^(BUG|\\[ BUG|INFO: |WARNING: )|: bad p"

struct decision {
	char *glob;		/* of "mm/rmap: text" */
	bool used;		/* or need not be: of another configuration */
};

static struct decision *decisions;
static int n_decisions, n_formats, n_reported, n_listed, n_open;
static regex_t wrong, heading;
static char **seen;
static int n_seen;

/* "reason" in column 0; below it, behind a tab, "FILE: FORMAT" as a glob; behind two, one that these kernels need not have. */
static void read_list(const char *path)
{
	char *text = read_whole(path, NULL), *rest = text, *line;
	bool reason = false;

	if (!text)
		die(EX_HOST, NULL, NULL, "cannot read %s", path);
	while ((line = strsep(&rest, "\n"))) {
		if (*line == '#' || !*line)
			continue;
		if (*line != '\t') {
			reason = true;
			continue;
		}
		if (!reason)
			die(EX_FAIL, NULL, line, "no reason in %s", path);
		decisions = grow(decisions, n_decisions, sizeof(*decisions));
		decisions[n_decisions++] = (struct decision){ .glob = line + 1 + (line[1] == '\t'), .used = line[1] == '\t' };
	}
}

/* One conversion at @s ("%-5lu", "%pGp") as a value; where the format goes on. */
static const char *fill(const char *s, const char *word, struct buf *out)
{
	s += 1 + strspn(s + 1, "-+ #0123456789.*hlzqLjt");
	switch (*s) {
	case '%':
		buf_printf(out, "%%");
		break;
	case 's':
		buf_printf(out, "%s", word);
		break;
	case 'c':
		buf_printf(out, "x");
		break;
	case 'p':
		buf_printf(out, s[1] == 'S' || s[1] == 's' || s[1] == 'B' ? "anon_vma_clone+0x12/0x34" : "0000000060c0cf00");
		while (isalnum((unsigned char)s[1]))
			s++;
		break;
	case '\0':
		return s;
	default:
		buf_printf(out, "12");
	}
	return s + 1;
}

static bool any_line_is_a_report(char *text)
{
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n"))) {
		struct line l;

		detect_line(line, &l);
		if (l.kind == LINE_REPORT)
			return true;
	}
	return false;
}

/* With any of the words that a detector puts for its %s. */
static bool matched(const char *format)
{
	static const char *const words[] = { "name", "", "Not tainted", "SOFTIRQ" };
	bool hit = false;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && !hit; i++) {
		struct buf b = { 0 };

		buf_printf(&b, "%s", "");
		for (const char *s = format; *s;) {
			if (*s == '%')
				s = fill(s, words[i], &b);
			else
				buf_add(&b, s++, 1);
		}
		hit = any_line_is_a_report(b.s);
		buf_free(&b);
	}
	return hit;
}

static bool listed(const char *where)
{
	bool hit = false;

	for (int i = 0; i < n_decisions; i++) {
		if (fnmatch(decisions[i].glob, where, 0))
			continue;
		decisions[i].used = true;
		hit = true;
	}
	return hit;
}

static bool first_time(const char *where)
{
	for (int i = 0; i < n_seen; i++)
		if (!strcmp(seen[i], where))
			return false;
	seen = grow(seen, n_seen, sizeof(*seen));
	seen[n_seen++] = xasprintf("%s", where);
	return true;
}

/* "mm/rmap: text" of "build-debug/mm/rmap.o", in one line, the format's last newline gone. */
static char *where_of(const char *object, const char *format)
{
	struct buf b = { 0 };

	if (!strncmp(object, "build-", 6))
		object = strchr(object, '/') + 1;
	buf_printf(&b, "%.*s: ", (int)(strlen(object) - 2), object);
	for (const char *s = format; *s; s++) {
		if (*s != '\n')
			buf_add(&b, s, 1);
		else if (s[1])
			buf_printf(&b, "\\n");
	}
	return b.s;
}

static void judge(const char *object, char level, const char *format)
{
	char *where;

	if (level ? level > WORST && regexec(&wrong, format, 0, NULL, 0) : regexec(&heading, format, 0, NULL, 0))
		return;
	where = where_of(object, format);
	if (first_time(where)) {
		n_formats++;
		if (matched(format)) {
			n_reported++;
		} else if (listed(where)) {
			n_listed++;
		} else {
			n_open++;
			printf("messages: nobody decided on '%s' (level %c)\n", where, level ? level : '-');
		}
	}
	free(where);
}

/* A string of an object's constants. */
static void one_string(const char *object, const char *s, size_t len)
{
	char level = '\0', *copy;

	if (len > 2 && s[0] == '\001' && (isdigit((unsigned char)s[1]) || s[1] == 'c')) {
		level = s[1];
		s += 2;
		len -= 2;
	}
	if (len < SHORT)
		return;
	for (size_t i = 0; i < len; i++)
		if (!isprint((unsigned char)s[i]) && s[i] != '\n' && s[i] != '\t')
			return;
	copy = text_dup(s, len);
	judge(object, level, copy);
	free(copy);
}

static void strings_of(const char *object, const char *data, size_t size)
{
	size_t start = 0;

	for (size_t i = 0; i < size; i++) {
		if (data[i])
			continue;
		if (i > start)
			one_string(object, data + start, i - start);
		start = i + 1;
	}
}

static void read_object(const char *dir, const char *object)
{
	char *path = xasprintf("%s/%s", dir, object);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf *elf = fd < 0 ? NULL : elf_begin(fd, ELF_C_READ, NULL);
	Elf_Scn *scn = NULL;

	if (!elf || elf_kind(elf) != ELF_K_ELF)
		die(EX_FAIL, NULL, NULL, "%s is no object file", path);
	while ((scn = elf_nextscn(elf, scn))) {
		Elf_Data *d;
		GElf_Shdr sh;

		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_PROGBITS || !(sh.sh_flags & SHF_ALLOC) || sh.sh_flags & SHF_EXECINSTR)
			continue;
		d = elf_getdata(scn, NULL);
		if (d && d->d_buf)
			strings_of(object, d->d_buf, d->d_size);
	}
	elf_end(elf);
	close(fd);
	free(path);
}

int main(int argc, char **argv)
{
	int flags = REG_EXTENDED | REG_NOSUB, stale = 0;
	char object[4096];

	if (argc < 3 || regcomp(&wrong, WRONG, flags | REG_ICASE) || regcomp(&heading, HEADING, flags))
		return EX_USAGE;
	elf_version(EV_CURRENT);
	read_list(argv[1]);
	while (scanf("%4095s", object) == 1)
		read_object(argv[2], object);
	for (int i = 0; i < n_decisions; i++) {
		if (decisions[i].used)
			continue;
		printf("messages: '%s' is listed and no kernel has it, or a row matches it\n", decisions[i].glob);
		stale++;
	}
	if (n_open)
		printf("  because: a new message may be a new report, and a run with it would pass\n"
		       "  try:     a row in scripts/runner/detect.c (and its line in tests/kit/unit-detect.c), or a line below a reason in %s\n",
		       argv[1]);
	printf("messages: %d formats that say something is wrong: %d reports, %d listed, %d open, %d stale\n",
	       n_formats, n_reported, n_listed, n_open, stale);
	return n_open || stale || !n_formats ? EX_FAIL : EX_PASS;
}
