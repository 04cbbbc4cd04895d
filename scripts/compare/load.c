// SPDX-License-Identifier: GPL-2.0
/* What the runs of one side found: statuses, counters, sizes. */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <glob.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compare.h"

static json_t *load(const char *dir, const char *name)
{
	char *path = xasprintf("%s/%s", dir, name);
	json_error_t err;
	json_t *j = json_load_file(path, 0, &err);

	if (!j)
		die(EX_USAGE, "make compare", err.text, "%s cannot be read", path);
	free(path);
	return j;
}

/* The N of console-N.log; console.log is the first. */
static long console_nr(const char *path)
{
	const char *dash = strrchr(path, '-'), *slash = strrchr(path, '/');

	return dash && (!slash || dash > slash) ? strtol(dash + 1, NULL, 10) : 0;
}

static int by_console(const void *a, const void *b)
{
	long x = console_nr(*(char *const *)a), y = console_nr(*(char *const *)b);

	return (x > y) - (x < y);
}

/* All console logs of the run, in the order of its kernels. A kernel that died in the middle of a line does not end the first
 * line of the next one, and a byte 0 does not end the text. */
static void add_consoles(struct buf *to, const char *dir)
{
	char *pattern = xasprintf("%s/console*.log", dir);
	glob_t g;

	if (!glob(pattern, GLOB_NOSORT, NULL, &g)) {
		qsort(g.gl_pathv, g.gl_pathc, sizeof(*g.gl_pathv), by_console);
		for (size_t i = 0; i < g.gl_pathc; i++) {
			size_t len = 0;
			char *text = read_whole(g.gl_pathv[i], &len);

			for (char *zero; text && (zero = memchr(text, '\0', len));)
				*zero = '?';
			if (text)
				buf_add(to, text, len);
			if (len && text[len - 1] != '\n')
				buf_add(to, "\n", 1);
			free(text);
		}
		globfree(&g);
	}
	free(pattern);
}

void side_add(struct side *s, const char *dir)
{
	json_t *results = load(dir, "results.json"), *tests = json_object(), *t;
	int n = s->n++;
	size_t i;

	if (s->n > MAX_RUNS)
		die(EX_USAGE, "make compare REPEAT=5", NULL, "more than %d runs of one side", MAX_RUNS);
	s->dirs[n] = xasprintf("%s", dir);
	s->results[n] = results;
	s->manifest[n] = load(dir, "manifest.json");
	json_array_foreach(json_object_get(results, "tests"), i, t)
		json_object_set(tests, json_string_value(json_object_get(t, "name")), t);
	s->tests[n] = tests;
	add_consoles(&s->console[n], dir);
}

struct function {
	GElf_Addr addr;
	GElf_Xword size;
};

static int by_address(const void *a, const void *b)
{
	const struct function *p = a, *q = b;

	if (p->addr != q->addr)
		return p->addr < q->addr ? -1 : 1;
	return (p->size > q->size) - (p->size < q->size);
}

/* Bytes of all functions, aliases once. Not the section's size: that is padded, up to a page or more, and hides what a
 * small change adds. */
static long function_bytes(Elf_Scn *scn, const GElf_Shdr *sh)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	size_t n = sh->sh_entsize ? sh->sh_size / sh->sh_entsize : 0, used = 0;
	struct function *f = xcalloc(n + 1, sizeof(*f));
	long sum = 0;
	GElf_Sym sym;

	for (size_t i = 0; data && i < n; i++)
		if (gelf_getsym(data, i, &sym) && GELF_ST_TYPE(sym.st_info) == STT_FUNC && sym.st_shndx != SHN_UNDEF)
			f[used++] = (struct function){ sym.st_value, sym.st_size };
	qsort(f, used, sizeof(*f), by_address);
	for (size_t i = 0; i < used; i++)
		if (i + 1 == used || f[i].addr != f[i + 1].addr)
			sum += f[i].size;
	free(f);
	return sum;
}

void side_sizes(struct side *s)
{
	char *path = xasprintf("%s/vmlinux", s->build ? s->build : s->dirs[0]);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;
	Elf *elf = NULL;

	s->text = s->data = s->bss = -1;
	elf_version(EV_CURRENT);
	if (fd >= 0)
		elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (elf && elf_kind(elf) == ELF_K_ELF) {
		s->text = s->data = s->bss = 0;
		while ((scn = elf_nextscn(elf, scn))) {
			if (!gelf_getshdr(scn, &sh))
				continue;
			if (sh.sh_type == SHT_SYMTAB)
				s->text += function_bytes(scn, &sh);
			if (!(sh.sh_flags & SHF_ALLOC))
				continue;
			if (sh.sh_type == SHT_NOBITS)
				s->bss += sh.sh_size;
			else if (sh.sh_flags & SHF_WRITE)
				s->data += sh.sh_size;
		}
	}
	if (elf)
		elf_end(elf);
	if (fd >= 0)
		close(fd);
	free(path);
}

json_t *side_test(const struct side *s, int run, const char *test)
{
	return json_object_get(s->tests[run], test);
}

/* The graver, the larger; a word that is not known is no better than any. */
static int gravity(const char *status)
{
	static const char *const order[] = { "PASS", "SKIP", "NOTRUN", "FAIL", "TIMEOUT", "CRASH" };
	size_t i = 0;

	while (i < sizeof(order) / sizeof(order[0]) && strcmp(order[i], status))
		i++;
	return i;
}

const char *side_status(const struct side *s, const char *test, const char **reason)
{
	const char *worst = NULL;

	if (reason)
		*reason = NULL;
	for (int i = 0; i < s->n; i++) {
		json_t *t = side_test(s, i, test);
		const char *status = json_string_value(json_object_get(t, "status"));

		/* A test that is listed and has no status did not come to one. */
		if (t && !status)
			status = "NOTRUN";
		if (!status || (worst && gravity(status) <= gravity(worst)))
			continue;
		worst = status;
		if (reason)
			*reason = json_string_value(json_object_get(t, "reason"));
	}
	return worst;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct stat_of stat_of(double *values, int n)
{
	struct stat_of s = { .n = n };

	if (!n)
		return s;
	qsort(values, n, sizeof(*values), by_value);
	s.min = values[0];
	s.max = values[n - 1];
	s.median = n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
	return s;
}

/* /proc/lock_stat cuts class names at 37 characters, less for versions and subclasses of a class. */
static json_t *look_up(json_t *counters, const char *name)
{
	static const int cuts[] = { 37, 35, 33 };
	json_t *v = json_object_get(counters, name);
	char cut[64];

	if (v || strncmp(name, "lock:", 5))
		return v;
	for (size_t i = 0; !v && i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		if (strlen(name + 5) <= (size_t)cuts[i])
			continue;
		snprintf(cut, sizeof(cut), "%.*s", 5 + cuts[i], name);
		v = json_object_get(counters, cut);
	}
	return v;
}

static bool has_namespace(json_t *counters, const char *name)
{
	const char *colon = strchr(name, ':'), *key;
	json_t *v;

	if (!colon)
		return false;
	json_object_foreach(counters, key, v)
		if (!strncmp(key, name, colon + 1 - name))
			return true;
	return false;
}

/* Whether any test of either side has the counter. */
static bool appeared(const struct side *sides, const char *counter)
{
	for (int w = 0; w < 2; w++) {
		for (int i = 0; i < sides[w].n; i++) {
			const char *name;
			json_t *t;

			json_object_foreach(sides[w].tests[i], name, t)
				if (look_up(json_object_get(t, "counters"), counter))
					return true;
		}
	}
	return false;
}

bool side_counter(const struct side *sides, int which, const char *test, const char *counter, struct stat_of *out)
{
	const struct side *s = &sides[which];
	double values[MAX_RUNS];
	int n = 0;

	for (int i = 0; i < s->n; i++) {
		json_t *counters = json_object_get(side_test(s, i, test), "counters"), *v = look_up(counters, counter);

		if (v)
			values[n++] = json_number_value(v);
		else if (has_namespace(counters, counter) && appeared(sides, counter))
			values[n++] = 0;
	}
	*out = stat_of(values, n);
	return n > 0;
}
