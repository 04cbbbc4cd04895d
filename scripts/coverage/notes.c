// SPDX-License-Identifier: GPL-2.0
/*
 * The compiler's notes (.gcno): blocks, arcs and lines of each function, and the order in which the counts that were not
 * measured follow from those that were. The format is that of gcc 12 and later (gcc/gcov-io.h): gcov answers for one
 * set of counters in a tenth of a second, this for each test in a millisecond; counters_verify() holds the two together. One file:
 * the graph is of no use but for the order, nor the order but for the parts of lines.
 */
#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>

#include "cover.h"

#define NOTE_MAGIC	0x67636e6f
#define TAG_FUNCTION	0x01000000
#define TAG_BLOCKS	0x01410000
#define TAG_ARCS	0x01430000
#define TAG_LINES	0x01450000
#define ARC_ON_TREE	1
#define ARC_FAKE	2

struct reader {
	const char *path, *s;
	size_t at, len;
};

/* Lines of one function while it is read: (block, line) pairs. */
struct pairs {
	int (*p)[2], n, cap;
	int *last_line;		/* of each block, or -1 */
};

static void *resize(void *p, size_t size)
{
	p = realloc(p, size);
	if (!p)
		die(EX_HOST, NULL, NULL, "out of memory");
	return p;
}

static void damaged(const struct reader *r, const char *why)
{
	die(EX_BUILD, "make clean coverage", why, "%s cannot be read", r->path);
}

static uint32_t word(struct reader *r)
{
	uint32_t v;

	if (r->at + 4 > r->len)
		damaged(r, "it ends in the middle of a record");
	memcpy(&v, r->s + r->at, 4);
	r->at += 4;
	return v;
}

static const char *string(struct reader *r)
{
	uint32_t n = word(r);
	const char *s = r->s + r->at;

	if (n > r->len - r->at || (n && s[n - 1]))
		damaged(r, "it ends in the middle of a string");
	r->at += n;
	return n ? s : NULL;
}

/* "../mm/mremap.c", "/abs/tree/mm/mremap.c", "./include/generated/x.h" -> relative to the kernel root, where it can be. */
static const char *relative(const struct cover *c, const char *path)
{
	size_t n = strlen(path);

	while (!strncmp(path, "../", 3) || !strncmp(path, "./", 2))
		path += path[1] == '/' ? 2 : 3;
	if (*path != '/')
		return path;
	for (int i = 0; i < c->n_files; i++) {
		size_t m = strlen(c->files[i].path);

		if (n > m && path[n - m - 1] == '/' && !strcmp(path + n - m, c->files[i].path))
			return c->files[i].path;
	}
	return path;
}

int cover_file(const struct cover *c, const char *path)
{
	for (int i = 0; i < c->n_files; i++)
		if (!strcmp(c->files[i].path, path))
			return i;
	return -1;
}

static int line_index(struct cover *c, int file, int nr)
{
	struct source *f = &c->files[file];

	if (nr < 1 || nr > f->n_lines)
		return -1;
	f->instrumented = true;
	if (f->line[nr] < 0) {
		c->lines = resize(c->lines, (c->n_lines + 1) * sizeof(*c->lines));
		c->lines[c->n_lines] = (struct line){ .file = file, .nr = nr, .branches = -1 };
		f->line[nr] = c->n_lines++;
	}
	return f->line[nr];
}

/* ---- the records of one function ---- */

static void read_arcs(struct reader *r, struct function *f, int n)
{
	int src = word(r);

	if (f->n_arcs + n > GRAPH_MAX || f->n_blocks > GRAPH_MAX)
		damaged(r, "a function of more arcs than can be solved");
	f->arcs = resize(f->arcs, (f->n_arcs + n) * sizeof(*f->arcs));
	for (int i = 0; i < n; i++) {
		struct arc a = { .src = src };
		uint32_t flags;

		a.dst = word(r);
		flags = word(r);
		if (src < 0 || src >= f->n_blocks || a.dst < 0 || a.dst >= f->n_blocks)
			damaged(r, "an arc leads out of its function");
		a.on_tree = flags & ARC_ON_TREE;
		a.fake = flags & ARC_FAKE;
		f->n_counters += !a.on_tree;
		f->arcs[f->n_arcs++] = a;
	}
}

static void read_lines(struct cover *c, struct reader *r, struct pairs *p, int n_blocks)
{
	int block = word(r), file = -1, nr, line;
	const char *name;

	if (block < 0 || block >= n_blocks)
		damaged(r, "lines of a block that is not there");
	for (;;) {
		nr = word(r);
		if (!nr) {
			name = string(r);
			if (!name)
				return;
			file = cover_file(c, relative(c, name));
			p->last_line[block] = -1;
			continue;
		}
		line = file < 0 ? -1 : line_index(c, file, nr);
		if (line < 0)
			continue;
		/* As gcov has it: the last is the highest of the last file. */
		if (p->last_line[block] < 0 || c->lines[p->last_line[block]].nr < nr)
			p->last_line[block] = line;
		if (p->n == p->cap) {
			p->cap = p->cap ? 2 * p->cap : 64;
			p->p = resize(p->p, p->cap * sizeof(*p->p));
		}
		p->p[p->n][0] = block;
		p->p[p->n++][1] = line;
	}
}

/* Arcs by the block that they leave (they come in that order) and by the block that they enter. */
static void index_arcs(struct reader *r, struct function *f)
{
	int n = 0;

	f->out_at = xcalloc(f->n_blocks + 1, sizeof(int));
	f->in_at = xcalloc(f->n_blocks + 1, sizeof(int));
	f->in = xcalloc(f->n_arcs + 1, sizeof(int));
	for (int i = 0; i < f->n_arcs; i++) {
		f->out_at[f->arcs[i].src + 1] = i + 1;
		if (i && f->arcs[i].src < f->arcs[i - 1].src)
			damaged(r, "arcs out of order");
	}
	for (int b = 0; b < f->n_blocks; b++) {
		if (f->out_at[b + 1] < f->out_at[b])
			f->out_at[b + 1] = f->out_at[b];
		f->in_at[b] = n;
		for (int i = 0; i < f->n_arcs; i++)
			if (f->arcs[i].dst == b)
				f->in[n++] = i;
	}
	f->in_at[f->n_blocks] = n;
}

/* ---- the order of the solution ---- */

struct solver {
	struct function *f;
	int *succ, *pred;	/* arcs of each block that are not known yet */
	bool *block, *arc;	/* known */
};

static int unknown_out(const struct solver *s, int block)
{
	int i = s->f->out_at[block];

	while (s->arc[i])
		i++;
	return i;
}

static int unknown_in(const struct solver *s, int block)
{
	int i = s->f->in_at[block];

	while (s->arc[s->f->in[i]])
		i++;
	return s->f->in[i];
}

static void take_step(struct solver *s, int kind, int block, int arc)
{
	struct function *f = s->f;

	f->steps[f->n_steps++] = (struct step){ .kind = kind, .block = block, .arc = arc };
	if (arc < 0) {
		s->block[block] = true;
		return;
	}
	s->arc[arc] = true;
	s->succ[f->arcs[arc].src]--;
	s->pred[f->arcs[arc].dst]--;
}

/* What can be said of one block now; true if that was something. */
static bool advance(struct solver *s, int b)
{
	int entry = 0, exit = 1;

	if (!s->block[b]) {
		if (!s->succ[b] && b != exit)
			take_step(s, BLOCK_SUCC, b, -1);
		else if (!s->pred[b] && b != entry)
			take_step(s, BLOCK_PRED, b, -1);
		else
			return false;
		return true;
	}
	if (s->succ[b] == 1)
		take_step(s, ARC_SUCC, b, unknown_out(s, b));
	else if (s->pred[b] == 1)
		take_step(s, ARC_PRED, b, unknown_in(s, b));
	else
		return false;
	return true;
}

static void order_solution(struct reader *r, struct function *f)
{
	struct solver s = { .f = f, .succ = xcalloc(f->n_blocks, sizeof(int)), .pred = xcalloc(f->n_blocks, sizeof(int)),
			    .block = xcalloc(f->n_blocks, 1), .arc = xcalloc(f->n_arcs + 1, 1) };
	bool again = true;

	f->steps = xcalloc(f->n_blocks + f->n_arcs, sizeof(*f->steps));
	for (int i = 0; i < f->n_arcs; i++) {
		s.arc[i] = !f->arcs[i].on_tree;
		s.succ[f->arcs[i].src] += f->arcs[i].on_tree;
		s.pred[f->arcs[i].dst] += f->arcs[i].on_tree;
	}
	while (again) {
		again = false;
		for (int b = 0; b < f->n_blocks; b++)
			while (advance(&s, b))
				again = true;
	}
	for (int i = 0; i < f->n_arcs; i++)
		if (!s.arc[i])
			damaged(r, xasprintf("the flow graph of %s has no solution", f->name));
	free(s.succ);
	free(s.pred);
	free(s.block);
	free(s.arc);
}

/* ---- from blocks to lines and branches ---- */

static int by_line(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return x[1] != y[1] ? x[1] - y[1] : x[0] - y[0];
}

/* The part of the blocks in @p, pairs of one line, from @at to @end. */
static void add_part(struct cover *c, struct function *f, const struct pairs *p, int at, int end, bool tail)
{
	struct line_part part = { .line = p->p[at][1], .arcs = xcalloc(f->n_arcs + 1, sizeof(int)), .tail = tail };
	bool *mine = xcalloc(f->n_blocks, 1);

	for (; at < end; at++) {
		mine[p->p[at][0]] = true;
		part.ends |= p->last_line[p->p[at][0]] == part.line;
		c->lines[part.line].shared |= p->last_line[p->p[at][0]] != part.line;
	}
	for (int a = 0; a < f->n_arcs; a++)
		if (mine[f->arcs[a].dst] && !mine[f->arcs[a].src])
			part.arcs[part.n++] = a;
	part.arcs = resize(part.arcs, (part.n + 1) * sizeof(int));
	f->parts = resize(f->parts, (f->n_parts + 1) * sizeof(*f->parts));
	f->parts[f->n_parts++] = part;
	free(mine);
}

/*
 * A line that several blocks share was executed as often as it was entered from elsewhere. The last block, where the ways
 * out of a function meet, may carry a line that is none of its own: it counts where nothing else does (drop_tails()).
 */
static void make_parts(struct cover *c, struct function *f, struct pairs *p)
{
	if (p->n)
		qsort(p->p, p->n, sizeof(*p->p), by_line);
	for (int i = 0, end, last; i < p->n; i = end) {
		for (end = i; end < p->n && p->p[end][1] == p->p[i][1]; end++)
			;
		/* In the order of blocks. */
		for (last = end; last > i && p->p[last - 1][0] == f->n_blocks - 1; last--)
			;
		if (last > i)
			add_part(c, f, p, i, last, false);
		if (last < end)
			add_part(c, f, p, last, end, true);
	}
}

/* Branch @nr of a line: a header's code, or an inlined function's, has the same ones in each copy. */
static int branch_index(struct cover *c, int line, int nr)
{
	int *link = &c->lines[line].branches;

	while (*link >= 0 && c->branches[*link].nr != nr)
		link = &c->branches[*link].next;
	if (*link < 0) {
		*link = c->n_branches;
		c->branches = resize(c->branches, (c->n_branches + 1) * sizeof(*c->branches));
		c->branches[c->n_branches++] = (struct branch){ .line = line, .nr = nr, .next = -1 };
		return c->n_branches - 1;
	}
	return *link;
}

static void make_branches(struct cover *c, int function, const struct pairs *p)
{
	struct function *f = &c->functions[function];
	int *next = xcalloc(c->n_lines + 1, sizeof(int));

	for (int i = 0; i < f->n_arcs; i++) {
		int src = f->arcs[i].src, line = p->last_line[src], ways = 0;

		for (int j = f->out_at[src]; j < f->out_at[src + 1]; j++)
			ways += !f->arcs[j].fake;
		if (f->arcs[i].fake || ways < 2 || line < 0)
			continue;
		c->ways = resize(c->ways, (c->n_ways + 1) * sizeof(*c->ways));
		c->ways[c->n_ways++] = (struct way){ .function = function, .arc = i,
						     .branch = branch_index(c, line, next[line]++) };
	}
	free(next);
}

/* Whether the line is the function's own, and not one of what was inlined into it. */
static bool own_line(const struct cover *c, const struct function *f, int line)
{
	return c->lines[line].file == f->file && c->lines[line].nr >= f->start && c->lines[line].nr <= f->end;
}

/*
 * gcov does not take a function's last block for one that ends with a line, and counts a line by the blocks that end with it, if
 * there are any in the object; a line of the function's own, which may be inlined elsewhere, was executed all the same.
 */
static void drop_tails(struct cover *c, const struct object *o)
{
	bool *elsewhere = xcalloc(c->n_lines + 1, 1);

	for (int i = o->first; i < o->end; i++)
		for (int k = 0; k < c->functions[i].n_parts; k++) {
			const struct line_part *part = &c->functions[i].parts[k];

			elsewhere[part->line] |= part->ends && !part->tail;
		}
	for (int i = o->first; i < o->end; i++) {
		struct function *f = &c->functions[i];

		for (int k = 0; k < f->n_parts; k++) {
			if (!f->parts[k].tail || !elsewhere[f->parts[k].line])
				continue;
			if (own_line(c, f, f->parts[k].line) && !(k && f->parts[k - 1].line == f->parts[k].line))
				c->lines[f->parts[k].line].shared = true;
			else
				f->parts[k].n = 0;
		}
	}
	free(elsewhere);
}

static void end_function(struct cover *c, struct reader *r, int function, struct pairs *p)
{
	if (function < 0)
		return;
	if (c->optimised) {
		dropped_vote(c, c->functions[function].n_blocks, p->p, p->n);
		goto out;
	}
	index_arcs(r, &c->functions[function]);
	order_solution(r, &c->functions[function]);
	make_parts(c, &c->functions[function], p);
	make_branches(c, function, p);
out:
	free(p->p);
	free(p->last_line);
	*p = (struct pairs){ 0 };
}

static int begin_function(struct cover *c, struct reader *r, int object)
{
	struct function f = { .object = object };
	const char *path;

	f.ident = word(r);
	word(r);
	f.cfg = word(r);
	f.name = xasprintf("%s", string(r));
	word(r);
	path = string(r);
	f.file = path ? cover_file(c, relative(c, path)) : -1;
	f.start = word(r);
	word(r);
	f.end = word(r);
	word(r);
	c->functions = resize(c->functions, (c->n_functions + 1) * sizeof(f));
	c->functions[c->n_functions] = f;
	return c->n_functions++;
}

static void read_records(struct cover *c, struct reader *r, int object)
{
	struct pairs p = { 0 };
	int function = -1;

	while (r->at + 8 <= r->len) {
		uint32_t tag = word(r), len = word(r);
		size_t end = r->at + len;

		if (!tag)
			break;
		if (end > r->len)
			damaged(r, "it ends in the middle of a record");
		if (tag == TAG_FUNCTION) {
			end_function(c, r, function, &p);
			function = begin_function(c, r, object);
		} else if (function >= 0 && tag == TAG_BLOCKS) {
			c->functions[function].n_blocks = word(r);
			p.last_line = xcalloc(c->functions[function].n_blocks, sizeof(int));
			for (int i = 0; i < c->functions[function].n_blocks; i++)
				p.last_line[i] = -1;
		} else if (function >= 0 && tag == TAG_ARCS) {
			read_arcs(r, &c->functions[function], (len - 4) / 8);
		} else if (function >= 0 && tag == TAG_LINES) {
			read_lines(c, r, &p, c->functions[function].n_blocks);
		}
		r->at = end;
	}
	end_function(c, r, function, &p);
}

/* "B22*" is gcc 12.2. */
static int major(uint32_t version)
{
	int a = version >> 24, b = version >> 16 & 0xff;

	return a >= 'A' ? (a - 'A') * 10 + b - '0' : a - '0';
}

void notes_read_one(struct cover *c, const char *path, const char *name)
{
	struct reader r = { .path = path };
	struct object o = { .path = xasprintf("%.*s.o", (int)strlen(name) - 5, name), .first = c->n_functions };

	r.s = read_whole(path, &r.len);
	if (!r.s)
		die(EX_HOST, NULL, strerror(errno), "cannot read %s", path);
	if (word(&r) != NOTE_MAGIC)
		damaged(&r, "it is no .gcno file of this machine's byte order");
	o.version = word(&r);
	o.stamp = word(&r);
	if (major(o.version) < 12)
		damaged(&r, xasprintf("it was written by gcc %d; the reports read gcc 12 and later", major(o.version)));
	word(&r);
	string(&r);
	word(&r);
	read_records(c, &r, c->n_objects);
	o.end = c->n_functions;
	drop_tails(c, &o);
	c->objects = resize(c->objects, (c->n_objects + 1) * sizeof(o));
	c->objects[c->n_objects++] = o;
	free((char *)r.s);
}

static char **found;
static int n_found;

static int note(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	size_t n = strlen(path);

	(void)st;
	(void)ftw;
	if (type == FTW_F && n > 5 && !strcmp(path + n - 5, ".gcno")) {
		found = resize(found, (n_found + 1) * sizeof(*found));
		found[n_found++] = xasprintf("%s", path);
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char **)a, *(char **)b);
}

void notes_read_all(struct cover *c)
{
	char *dir = xasprintf("%s/coverage/gcno", c->dir);

	n_found = 0;
	nftw(dir, note, 8, FTW_PHYS);
	if (!n_found)
		die(EX_BUILD, "make coverage", "no instrumented object left notes there", "no .gcno in %s", dir);
	qsort(found, n_found, sizeof(*found), by_name);
	for (int i = 0; i < n_found; i++) {
		notes_read_one(c, found[i], found[i] + strlen(dir) + 1);
		free(found[i]);
	}
	free(dir);
}
