// SPDX-License-Identifier: GPL-2.0
/*
 * The windows that a run left (tests/init/counters.c has the format): what each test executed, line by line. One file, because
 * what a window may hold is known only to what solves it, and gcov is asked for the very sums that were made of them.
 */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cover.h"

#define MAGIC		0x564f436d
#define DATA_MAGIC	0x67636461
#define TAG_FUNCTION	0x01000000
#define TAG_ARC_COUNTS	0x01a10000
#define COUNT_MAX	(1ULL << 62)
/* A kernel thread that sleeps within a function from one window to the next leaves a path without its beginning. */
#define IN_FLIGHT	8

struct stream {
	const char *path;
	const unsigned char *s;
	size_t at, len;
	size_t record;		/* where the one in hand begins */
	int *map, n_map;	/* number of an object in the stream, less one -> index into cover.objects */
};

/* ---- one object's .gcda ---- */

static void broken_function(const char *path, const struct object *o)
{
	die(EX_BUILD, "make clean coverage", "a function's checksum, or the number of its counters, differs",
	    "%s: the .gcno of %s does not belong to its .gcda", path, o->path);
}

/* Where the counters of each function are; the notes must be those of the same compilation. */
static void locate(struct cover *c, struct object *o, const char *path)
{
	int f = o->first;

	if (o->n_words < 4 || o->words[0] != DATA_MAGIC)
		die(EX_BUILD, "make clean coverage", "it does not begin with 'gcda'", "%s: no counters of %s", path, o->path);
	if (o->words[1] != o->version)
		die(EX_BUILD, "make clean coverage", "the kernel and the notes come from two compilers",
		    "%s: the counters of %s are of another gcc", path, o->path);
	if (o->words[2] != o->stamp)
		die(EX_BUILD, "make coverage   (runs the tests again)",
		    "the object was compiled again after the kernel that ran was linked",
		    "%s: the .gcno of %s is newer than its .gcda", path, o->path);
	for (size_t i = 4; i + 2 <= o->n_words && o->words[i];) {
		uint32_t tag = o->words[i], len = o->words[i + 1];

		i += 2;
		if (tag == TAG_FUNCTION && len) {
			for (f = o->first; f < o->end && c->functions[f].ident != o->words[i]; f++)
				;
			if (f == o->end || c->functions[f].cfg != o->words[i + 2])
				broken_function(path, o);
		} else if (tag == TAG_ARC_COUNTS && f < o->end) {
			/* libgcov writes a length below zero, and no counters, where all are zero. */
			if ((int32_t)len < 0) {
				if ((int32_t)len != -8 * c->functions[f].n_counters)
					broken_function(path, o);
				continue;
			}
			if ((int32_t)len != 8 * c->functions[f].n_counters)
				broken_function(path, o);
			c->functions[f].counters = i;
		}
		i += len / 4;
	}
}

static uint64_t counter(const uint32_t *words, size_t at)
{
	return words[at] | (uint64_t)words[at + 1] << 32;
}

static void set_counter(uint32_t *words, size_t at, uint64_t v)
{
	words[at] = v;
	words[at + 1] = v >> 32;
}

/* ---- one function ---- */

/* Counts of all arcs from those that were measured; false if the function did not run. */
static bool solve(const struct cover *c, const struct function *f, const uint32_t *words, int64_t *arcs, int64_t *blocks)
{
	size_t at = f->counters;
	bool any = false;

	if (!at)
		return false;
	for (int i = 0; i < f->n_arcs; i++) {
		arcs[i] = 0;
		if (f->arcs[i].on_tree)
			continue;
		arcs[i] = counter(words, at);
		if ((uint64_t)arcs[i] > COUNT_MAX)
			die(EX_FAIL, "make coverage   (a second run that says the same is a bug of the kernel's counters)",
			    xasprintf("%lld", (long long)arcs[i]), "negative or wrapped count in %s of %s", f->name,
			    c->objects[f->object].path);
		any |= arcs[i] > 0;
		at += 2;
	}
	if (!any)
		return false;
	for (int i = 0; i < f->n_steps; i++) {
		const struct step *s = &f->steps[i];
		int64_t sum = 0;

		/* The arc that is asked for is still 0. */
		if (s->kind == BLOCK_SUCC || s->kind == ARC_SUCC)
			for (int a = f->out_at[s->block]; a < f->out_at[s->block + 1]; a++)
				sum += arcs[a];
		else
			for (int a = f->in_at[s->block]; a < f->in_at[s->block + 1]; a++)
				sum += arcs[f->in[a]];
		if (s->arc < 0)
			blocks[s->block] = sum;
		else
			arcs[s->arc] = blocks[s->block] - sum;
	}
	for (int i = 0; i < f->n_arcs; i++) {
		if (arcs[i] < -IN_FLIGHT)
			die(EX_FAIL, "make coverage   (with one CPU; a second run that says the same is a bug)",
			    xasprintf("%lld", (long long)arcs[i]), "negative count in %s of %s", f->name,
			    c->objects[f->object].path);
		if (arcs[i] < 0)
			arcs[i] = 0;
	}
	return true;
}

/* The window in hand, as counts of lines, functions and branches. */
static void count_window(struct cover *c)
{
	static int64_t arcs[GRAPH_MAX], blocks[GRAPH_MAX];
	int w = 0;

	for (int i = 0; i < c->n_branches; i++)
		c->branches[i].now = 0;
	memset(c->now, 0, c->n_lines * sizeof(*c->now));
	memset(c->now_entered, 0, c->n_functions * sizeof(*c->now_entered));
	for (int i = 0; i < c->n_functions; i++) {
		const struct function *f = &c->functions[i];
		bool ran = solve(c, f, c->objects[f->object].window, arcs, blocks);

		for (int p = 0; ran && p < f->n_parts; p++)
			for (int a = 0; a < f->parts[p].n; a++)
				c->now[f->parts[p].line] += arcs[f->parts[p].arcs[a]];
		for (; w < c->n_ways && c->ways[w].function == i; w++)
			c->branches[c->ways[w].branch].now += ran ? arcs[c->ways[w].arc] : 0;
		for (int a = 0; ran && a < f->n_arcs; a++)
			if (!f->arcs[a].src)
				c->now_entered[i] += arcs[a];
	}
}

/* ---- windows ---- */

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static void keep_most(uint64_t *most, const uint64_t *now, int n)
{
	for (int i = 0; i < n; i++)
		if (now[i] > most[i])
			most[i] = now[i];
}

/* What runs without a test: the most of the idle windows is taken off each test; the boot's lines are remembered. */
static void take_idle(struct cover *c, const char *name)
{
	for (int i = 0; i < c->n_lines; i++)
		c->lines[i].idle |= c->now[i] > 0;
	if (strcmp(name, "(idle)"))
		return;
	keep_most(c->idle, c->now, c->n_lines);
	keep_most(c->idle_entered, c->now_entered, c->n_functions);
	for (int i = 0; i < c->n_branches; i++)
		if (c->branches[i].now > c->branches[i].idle)
			c->branches[i].idle = c->branches[i].now;
}

static int test_index(struct cover *c, const char *name)
{
	for (int i = 0; i < c->n_tests; i++)
		if (!strcmp(c->tests[i], name))
			return i;
	return -1;
}

static void add_totals(struct cover *c, const struct stream *s)
{
	for (int i = 0; i < s->n_map; i++) {
		struct object *o = &c->objects[s->map[i]];

		for (int f = o->first; f < o->end; f++)
			for (int k = 0; c->functions[f].counters && k < c->functions[f].n_counters; k++) {
				size_t at = c->functions[f].counters + 2 * k;

				set_counter(o->total, at, counter(o->total, at) + counter(o->window, at));
			}
	}
}

static void take_test(struct cover *c, const struct stream *s, const char *name, window_fn *each, void *arg)
{
	int t = test_index(c, name);

	if (t < 0)
		die(EX_FAIL, "make coverage", "results.json of the run does not know it", "%s: counters of '%s'", s->path, name);
	add_totals(c, s);
	for (int i = 0; i < c->n_lines; i++) {
		c->lines[i].raw += c->now[i];
		c->now[i] = less(c->now[i], c->idle[i]);
		c->lines[i].count += c->now[i];
		if (c->now[i])
			c->lines[i].tests[t / 64] |= 1ULL << t % 64;
	}
	for (int i = 0; i < c->n_functions; i++) {
		c->now_entered[i] = less(c->now_entered[i], c->idle_entered[i]);
		c->functions[i].entered += c->now_entered[i];
	}
	for (int i = 0; i < c->n_branches; i++) {
		c->branches[i].now = less(c->branches[i].now, c->branches[i].idle);
		c->branches[i].taken += c->branches[i].now;
	}
	if (each)
		each(c, t, arg);
}

/* ---- the stream ---- */

static void broken(const struct stream *s, const char *because)
{
	die(EX_FAIL, "make coverage", because, "%s cannot be read: out of step in the record at byte %zu", s->path, s->record);
}

static uint32_t varint(struct stream *s, size_t end)
{
	uint32_t v = 0;

	for (int shift = 0; shift < 35; shift += 7) {
		if (s->at >= end)
			broken(s, "a number does not end in it");
		v |= (uint32_t)(s->s[s->at] & 0x7f) << shift;
		if (!(s->s[s->at++] & 0x80))
			return v;
	}
	broken(s, "a number of more than 32 bits");
	return 0;
}

static void object_record(struct cover *c, struct stream *s, size_t end)
{
	const char *path = (const char *)s->s + s->at;
	size_t n = strnlen(path, end - s->at);
	struct object *o = NULL;

	if (s->at + n >= end)
		broken(s, "the name of an object does not end in it");
	s->at += n + 1;
	/* "/abs/build-coverage/mm/mremap.gcda" */
	for (int i = 0; i < c->n_objects && !o; i++) {
		size_t m = strlen(c->objects[i].path) - 2;

		if (n > m + 6 && path[n - m - 6] == '/' && !strncmp(path + n - m - 5, c->objects[i].path, m))
			o = &c->objects[i];
	}
	if (!o)
		die(EX_BUILD, "make clean coverage", "the run's copy of the notes is incomplete", "%s: no .gcno for %s",
		    s->path, path);
	if (!o->words) {
		o->n_words = (end - s->at) / 4;
		o->words = xcalloc(o->n_words + 1, 4);
		o->window = xcalloc(o->n_words + 1, 4);
		o->total = xcalloc(o->n_words + 1, 4);
		memcpy(o->words, s->s + s->at, 4 * o->n_words);
		memcpy(o->total, o->words, 4 * o->n_words);
		locate(c, o, s->path);
		for (int f = o->first; f < o->end; f++)
			for (int k = 0; c->functions[f].counters && k < c->functions[f].n_counters; k++)
				set_counter(o->total, c->functions[f].counters + 2 * k, 0);
	} else if (o->n_words != (end - s->at) / 4) {
		broken(s, xasprintf("%zu words of counters of %s, %zu in another boot", (end - s->at) / 4, o->path, o->n_words));
	}
	/* Each boot has its own first reading. */
	memcpy(o->words, s->s + s->at, 4 * o->n_words);
	s->map = grow(s->map, s->n_map, sizeof(*s->map));
	s->map[s->n_map++] = o - c->objects;
}

static void window_record(struct cover *c, struct stream *s, size_t end, window_fn *each, void *arg)
{
	const char *name = (const char *)s->s + s->at;
	size_t n = strnlen(name, end - s->at);

	if (s->at + n >= end)
		broken(s, "the name of a window does not end in it");
	s->at += n + 1;
	for (int i = 0; i < s->n_map; i++)
		memcpy(c->objects[s->map[i]].window, c->objects[s->map[i]].words, 4 * c->objects[s->map[i]].n_words);
	while (s->at < end) {
		uint32_t nr = varint(s, end), differences = varint(s, end);
		struct object *o = nr && nr <= (uint32_t)s->n_map ? &c->objects[s->map[nr - 1]] : NULL;
		size_t at = 0;

		if (!o)
			broken(s, xasprintf("object %u of %d", nr, s->n_map));
		while (differences--) {
			at += varint(s, end);
			if (at >= o->n_words)
				broken(s, xasprintf("word %zu of the %zu of %s", at, o->n_words, o->path));
			o->window[at] = varint(s, end);
		}
	}
	count_window(c);
	if (*name == '(')
		take_idle(c, name);
	else
		take_test(c, s, name, each, arg);
}

/* Does a record begin anywhere in these bytes? */
static bool holds_record(const unsigned char *s, size_t len)
{
	const uint32_t magic = MAGIC;

	return len >= sizeof(magic) && memmem(s, len, &magic, sizeof(magic));
}

/*
 * The next record's head, false at the end. A record that was being written when the guest died is the end, and what came before
 * it counts; but one that others follow was never written whole, and nobody knows what it lacks.
 */
static bool next_record(struct stream *s, uint32_t head[3])
{
	size_t left = s->len - s->at;

	s->record = s->at;
	if (left >= sizeof(*head)) {
		memcpy(head, s->s + s->at, sizeof(*head));
		if (head[0] != MAGIC)
			broken(s, "it does not begin as one");
	}
	if (left < 3 * sizeof(*head))
		return false;
	memcpy(head, s->s + s->at, 3 * sizeof(*head));
	s->at += 3 * sizeof(*head);
	if (head[1] != 1 && head[1] != 2)
		broken(s, xasprintf("a record of type %u", head[1]));
	if (head[2] <= s->len - s->at)
		return true;
	if (holds_record(s->s + s->at, s->len - s->at))
		broken(s, "it is shorter than it says, and others follow");
	return false;
}

static void read_stream(struct cover *c, const char *path, window_fn *each, void *arg)
{
	struct stream s = { .path = path };
	uint32_t head[3];
	size_t end;

	s.s = (unsigned char *)read_whole(path, &s.len);
	if (!s.s)
		die(EX_HOST, NULL, strerror(errno), "cannot read %s", path);
	while (next_record(&s, head)) {
		end = s.at + head[2];
		if (head[1] == 1)
			object_record(c, &s, end);
		else
			window_record(c, &s, end, each, arg);
		s.at = end;
	}
	free((char *)s.s);
	free(s.map);
	c->boots++;
}

/* ---- all of a run ---- */

enum ending { NOT_RUN, ENDED, WITH_THE_GUEST };

static enum ending ending_of(const char *status)
{
	if (!status || !strcmp(status, "NOTRUN"))
		return NOT_RUN;
	return strcmp(status, "CRASH") && strcmp(status, "TIMEOUT") ? ENDED : WITH_THE_GUEST;
}

/* The tests of the run, and how each ended: results.json. */
static enum ending *read_tests(struct cover *c)
{
	char *path = xasprintf("%s/results.json", c->dir);
	json_error_t err;
	json_t *root = json_load_file(path, 0, &err), *tests = json_object_get(root, "tests"), *t;
	enum ending *ended;
	size_t i;

	if (!json_is_array(tests))
		die(EX_USAGE, "make coverage", err.text, "no results in %s", path);
	c->tests = xcalloc(json_array_size(tests) + 1, sizeof(*c->tests));
	ended = xcalloc(json_array_size(tests) + 1, sizeof(*ended));
	json_array_foreach(tests, i, t) {
		c->tests[c->n_tests] = xasprintf("%s", json_string_value(json_object_get(t, "name")));
		ended[c->n_tests++] = ending_of(json_string_value(json_object_get(t, "status")));
	}
	json_decref(root);
	free(path);
	return ended;
}

static void allocate(struct cover *c)
{
	c->now = xcalloc(c->n_lines + 1, sizeof(uint64_t));
	c->idle = xcalloc(c->n_lines + 1, sizeof(uint64_t));
	c->now_entered = xcalloc(c->n_functions + 1, sizeof(uint64_t));
	c->idle_entered = xcalloc(c->n_functions + 1, sizeof(uint64_t));
	for (int i = 0; i < c->n_lines; i++)
		c->lines[i].tests = xcalloc(c->n_tests / 64 + 1, sizeof(uint64_t));
}

struct seen {
	bool *tests;
	window_fn *each;
	void *arg;
};

static void see(struct cover *c, int test, void *arg)
{
	struct seen *s = arg;

	s->tests[test] = true;
	if (s->each)
		s->each(c, test, s->arg);
}

void counters_read_all(struct cover *c, window_fn *each, void *arg)
{
	char *dir = xasprintf("%s/coverage", c->dir);
	enum ending *ended = read_tests(c);
	struct seen seen = { xcalloc(c->n_tests + 1, 1), each, arg };
	struct dirent *e;
	DIR *d = opendir(dir);

	allocate(c);
	while (d && (e = readdir(d))) {
		char *path = xasprintf("%s/%s", dir, e->d_name);

		if (!strncmp(e->d_name, "counters.", 9))
			read_stream(c, path, see, &seen);
		free(path);
	}
	if (d)
		closedir(d);
	for (int i = 0; i < c->n_objects; i++)
		c->n_with_data += c->objects[i].words != NULL;
	if (!c->n_with_data)
		die(EX_FAIL, "less out/latest/console.log", "the kernel ended before its first test, or was built without counters",
		    "no .gcda at all in %s", dir);
	c->lost = xcalloc(c->n_tests + 1, sizeof(*c->lost));
	for (int i = 0; i < c->n_tests; i++)
		if (ended[i] && !seen.tests[i])
			c->lost[i] = ended[i] == WITH_THE_GUEST ? LOST_WITH_GUEST : LOST_WINDOW;
	free(ended);
	free(seen.tests);
	free(dir);
}

/* ---- gcov's own word ---- */

static char *scratch;

static void remove_scratch(void)
{
	if (scratch)
		remove_tree(scratch);
}

/* The version that "gcov --version" ends its first line with: 12 of "gcov (Debian 12.2.0-14) 12.2.0". */
static void check_gcov(const char *gcov, const struct object *o)
{
	char *cmd = xasprintf("%s --version 2>/dev/null", gcov), line[256] = "", *at;
	FILE *f = popen(cmd, "r");
	int a = o->version >> 24, b = o->version >> 16 & 0xff, want = a >= 'A' ? (a - 'A') * 10 + b - '0' : a - '0';

	if (f && fgets(line, sizeof(line), f))
		line[strcspn(line, "\n")] = '\0';
	if (f)
		pclose(f);
	at = strrchr(line, ' ');
	if (!at)
		die(EX_HOST, "make deps, or GCOV=/path/to/gcov", "it does not start", "no gcov at '%s'", gcov);
	if (atoi(at + 1) != want)
		die(EX_HOST, xasprintf("make coverage GCOV=gcov-%d", want), xasprintf("%s", line),
		    "%s is another gcc's: the kernel was compiled by gcc %d", gcov, want);
	free(cmd);
}

/* Add gcov's counts of one object to those of our lines. */
static void add_gcov(struct cover *c, json_t *root, uint64_t *gcov_count)
{
	json_t *file, *line;
	size_t i, k;

	json_array_foreach(json_object_get(root, "files"), i, file) {
		const char *name = json_string_value(json_object_get(file, "file"));
		int at;

		while (!strncmp(name, "../", 3))
			name += 3;
		at = cover_file(c, name);
		json_array_foreach(at < 0 ? NULL : json_object_get(file, "lines"), k, line) {
			json_int_t nr = json_integer_value(json_object_get(line, "line_number"));
			json_int_t count = json_integer_value(json_object_get(line, "count"));

			if (nr < 1 || nr > c->files[at].n_lines || c->files[at].line[nr] < 0)
				die(EX_FAIL, "report this as a bug", "gcov has code there, the notes reader has none",
				    "%s:%lld", name, (long long)nr);
			if (count > 0)
				gcov_count[c->files[at].line[nr]] += count;
		}
	}
}

static void ask_gcov(struct cover *c, const char *gcov, const struct object *o, uint64_t *gcov_count)
{
	char *base = xasprintf("%.*s", (int)strlen(o->path) - 2, o->path), *cmd, *slash;
	json_error_t err;
	json_t *root;
	FILE *f;

	for (slash = base; (slash = strchr(slash, '/')); slash++)
		*slash = '-';
	cmd = xasprintf("%s/%s.gcda", scratch, base);
	if (write_whole(cmd, (char *)o->total, 4 * o->n_words))
		die(EX_HOST, "df -h /tmp", strerror(errno), "cannot write %s", cmd);
	free(cmd);
	cmd = xasprintf("cp '%s/coverage/gcno/%.*s.gcno' %s/%s.gcno && cd %s && %s -t --json-format %s.gcda 2>&1",
			c->dir, (int)strlen(o->path) - 2, o->path, scratch, base, scratch, gcov, base);
	f = popen(cmd, "r");
	root = f ? json_loadf(f, JSON_DISABLE_EOF_CHECK, &err) : NULL;
	if (!root)
		die(EX_FAIL, "make clean coverage", f ? err.text : strerror(errno), "gcov cannot read the counters of %s", o->path);
	pclose(f);
	add_gcov(c, root, gcov_count);
	json_decref(root);
	free(cmd);
	free(base);
}

void counters_verify(struct cover *c)
{
	const char *gcov = getenv("GCOV") && *getenv("GCOV") ? getenv("GCOV") : "gcov";
	uint64_t *count = xcalloc(c->n_lines + 1, sizeof(*count));
	int bad = 0;

	check_gcov(gcov, &c->objects[0]);
	scratch = xasprintf("/tmp/mmuml-cov-XXXXXX");
	if (!mkdtemp(scratch))
		die(EX_HOST, "df -h /tmp", strerror(errno), "no scratch directory");
	atexit(remove_scratch);
	for (int i = 0; i < c->n_objects; i++)
		if (c->objects[i].words)
			ask_gcov(c, gcov, &c->objects[i], count);
	/* A line that is in the middle of an executed block and at the end of others counts for gcov at the end only. */
	for (int i = 0; i < c->n_lines; i++)
		if (!c->lines[i].raw != !count[i] && !(c->lines[i].raw && c->lines[i].shared) && !bad++)
			fprintf(stderr, "mmuml: warning: %s:%d: %llu times by the notes, %llu by gcov\n",
				c->files[c->lines[i].file].path, c->lines[i].nr, (unsigned long long)c->lines[i].raw,
				(unsigned long long)count[i]);
	if (bad)
		die(EX_FAIL, "report this as a bug", NULL, "gcov and the notes reader differ in %d lines", bad);
	free(count);
}
