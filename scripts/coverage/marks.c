// SPDX-License-Identifier: GPL-2.0
/*
 * Which groups of #if ... #endif of the touched files are compiled. The preprocessor is asked, with the kernel's own words, in
 * a mirror of the tree: links to everything, but the touched files, which have a mark in each group (source_marked()). A mirror,
 * because #include "x.h" looks beside the file that includes before it looks anywhere else.
 */
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gather.h"

#define MARK		"mmuml_mark_"
#define FEW		3	/* witnesses of a header that is in no instrumented object */

struct marks {
	struct place *p;
	bool **seen;		/* as p->c->files: [0..n_lines], 0: the file itself */
	char *mirror;
	struct job *jobs;	/* all that were run, for no object is asked twice */
	int n_jobs;
	char **objects;		/* of the build, those with counters first; their inputs */
	struct kbuild_cmd **cmds;
	int n_objects;
};

/* ---- the mirror ---- */

/* How much of a path is mirrored whole, if a file there is touched: mm/ of mm/x.h, arch/um/ of arch/um/include/x.h. */
static size_t root_of(const char *path)
{
	static const char *const wide[] = { "arch/", "drivers/", "fs/", "net/", "sound/", "tools/" };
	size_t n = strcspn(path, "/");

	for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++)
		if (!strncmp(path, wide[i], n + 1) && strchr(path + n + 1, '/'))
			return n + 1 + strcspn(path + n + 1, "/");
	return n;
}

/* Is the directory @path mirrored, as one that a touched file's root is, holds, or lies in? */
static bool is_mirrored(const struct cover *c, const char *path)
{
	size_t n = strlen(path);

	for (int i = 0; i < c->n_files; i++) {
		size_t root = root_of(c->files[i].path), least = n < root ? n : root;

		if (c->files[i].touched && !strncmp(path, c->files[i].path, least) &&
		    (path[least] == '/' || !path[least]) && (c->files[i].path[least] == '/' || !c->files[i].path[least]))
			return true;
	}
	return false;
}

static void make_link(const char *to, const char *at)
{
	if (symlink(to, at))
		die(EX_HOST, "df -h out", strerror(errno), "cannot make %s", at);
}

static void make_dir(const char *at)
{
	if (mkdir(at, 0755))
		die(EX_HOST, "df -h out", strerror(errno), "cannot make %s", at);
}

static bool is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/* @path: relative to the tree and to the mirror, "" at the top. */
static void mirror_dir(const struct marks *m, const char *path)
{
	const char *sep = *path ? "/" : "";
	char *from = xasprintf("%s%s%s", m->p->tree, sep, path), *to = xasprintf("%s%s%s", m->mirror, sep, path);
	DIR *d = opendir(from);
	struct dirent *e;

	make_dir(to);
	if (!d)
		die(EX_HOST, NULL, strerror(errno), "cannot read %s", from);
	while ((e = readdir(d))) {
		char *below = xasprintf("%s%s%s", path, sep, e->d_name);
		char *there = xasprintf("%s/%s", m->p->tree, below), *here = xasprintf("%s/%s", m->mirror, below);
		struct stat st;

		if (is_dots(e->d_name) || (!*path && !strncmp(e->d_name, "build", 5)))
			;
		else if (!lstat(there, &st) && S_ISDIR(st.st_mode) && is_mirrored(m->p->c, below))
			mirror_dir(m, below);
		else
			make_link(there, here);
		free(below);
		free(there);
		free(here);
	}
	closedir(d);
	free(from);
	free(to);
}

/* The build directory is a real one: from a link to it, "../mm" would lead into the real tree. */
static char *mirror_build(const struct marks *m)
{
	char *at = xasprintf("%s/build", m->mirror);
	DIR *d = opendir(m->p->build);
	struct dirent *e;

	make_dir(at);
	while (d && (e = readdir(d))) {
		char *there = built(m->p, "%s", e->d_name), *here = xasprintf("%s/%s", at, e->d_name);

		if (!is_dots(e->d_name))
			make_link(there, here);
		free(there);
		free(here);
	}
	if (d)
		closedir(d);
	return at;
}

static void mark_files(const struct marks *m)
{
	for (int i = 0; i < m->p->c->n_files; i++) {
		const struct source *f = &m->p->c->files[i];
		char *at = xasprintf("%s/%s", m->mirror, f->path);
		struct buf text = { 0 };
		int err;

		if (f->touched) {
			source_marked(f, i + 1, &text);
			err = write_whole(at, text.s, text.len);
			if (err)
				die(EX_HOST, "df -h out", strerror(-err), "cannot write %s", at);
		}
		buf_free(&text);
		free(at);
	}
}

/* ---- the objects ---- */

/* A program of the host is none of the kernel's objects; kbuild does not remove what is left of a source that has gone. */
static bool is_kernel_object(const struct place *p, const struct kbuild_cmd *k)
{
	static const char *const host[] = { "scripts/", "tools/", "usr/" };
	char *path;
	bool is;

	if (!k->source || !k->target)
		return false;
	for (size_t i = 0; i < sizeof(host) / sizeof(host[0]); i++)
		if (!strncmp(k->target, host[i], strlen(host[i])))
			return false;
	path = built(p, "%s", k->source);
	is = *k->source == '/' || !access(path, F_OK);
	free(path);
	return is;
}

static struct marks *collecting;

static int collect(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	struct marks *m = collecting;
	const char *name = path + ftw->base;
	size_t n = strlen(name);
	struct kbuild_cmd *k;

	(void)st;
	if (type != FTW_F || *name != '.' || n < 7 || strcmp(name + n - 6, ".o.cmd"))
		return 0;
	k = kbuild_read(path);
	if (!k || !is_kernel_object(m->p, k)) {
		kbuild_free(k);
		return 0;
	}
	m->objects = grow(m->objects, m->n_objects, sizeof(*m->objects));
	m->cmds = grow(m->cmds, m->n_objects, sizeof(*m->cmds));
	m->objects[m->n_objects] = k->target;
	m->cmds[m->n_objects++] = k;
	return 0;
}

static bool has_counters(const struct place *p, const char *object)
{
	char *stem = xasprintf("%.*s", (int)strlen(object) - 2, object), *path = built(p, "%s.gcno", stem);
	bool is = !access(path, F_OK);

	free(stem);
	free(path);
	return is;
}

/* Every compilation of the build, the instrumented ones first: they are what the report is about. */
static void collect_objects(struct marks *m)
{
	int first = 0;

	if (m->n_objects)
		return;
	collecting = m;
	nftw(m->p->build, collect, 16, FTW_PHYS);
	for (int i = 0; i < m->n_objects; i++) {
		struct kbuild_cmd *k = m->cmds[i];

		if (!has_counters(m->p, m->objects[i]))
			continue;
		m->objects[i] = m->objects[first];
		m->cmds[i] = m->cmds[first];
		m->objects[first] = k->target;
		m->cmds[first++] = k;
	}
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

static bool reads(const struct kbuild_cmd *k, const char *path)
{
	const char *slash = strrchr(path, '/');
	bool is = false;

	if (!ends_with(k->source, ".c"))
		return false;
	for (int i = 0; i < k->n_inputs && !is; i++) {
		char *input = ends_with(k->inputs[i], slash ? slash : path) ? kbuild_source_path(k->inputs[i]) : NULL;

		is = input && !strcmp(input, path);
		free(input);
	}
	return is;
}

/* ---- asking ---- */

static void take_marks(struct marks *m, const char *text)
{
	const struct cover *c = m->p->c;
	int file, line;

	for (const char *s = text; (s = strstr(s, MARK)); s += strlen(MARK))
		if (sscanf(s + strlen(MARK), "%d_%d", &file, &line) == 2 && file > 0 && file <= c->n_files &&
		    line >= 0 && line <= c->files[file - 1].n_lines)
			m->seen[file - 1][line] = true;
}

static bool was_asked(const struct marks *m, const char *object)
{
	for (int i = 0; i < m->n_jobs; i++)
		if (!strcmp(m->jobs[i].object, object))
			return true;
	return false;
}

/* Preprocess the object for a touched file when ask() is called next. Macros stay: a mark in the arguments of one that drops them is seen, too. */
static void want(struct marks *m, const char *object, const char *file)
{
	static const char *const add[] = { "-E", "-fdirectives-only", "-P", NULL };

	if (was_asked(m, object))
		return;
	m->jobs = grow(m->jobs, m->n_jobs, sizeof(*m->jobs));
	m->jobs[m->n_jobs].object = xasprintf("%s", object);
	m->jobs[m->n_jobs].file = file;
	job_prepare(&m->jobs[m->n_jobs++], m->p->build, m->p->scratch, add);
}

static void ask(struct marks *m, int first, const char *cwd)
{
	jobs_run(m->jobs + first, m->n_jobs - first, cwd);
	for (int i = first; i < m->n_jobs; i++) {
		char *text = m->jobs[i].error ? NULL : read_whole(m->jobs[i].out, NULL);

		if (text)
			take_marks(m, text);
		unlink(m->jobs[i].out);
		free(text);
	}
}

static char *own_object(const struct source *f)
{
	return xasprintf("%.*s.o", (int)strlen(f->path) - 2 * ends_with(f->path, ".c"), f->path);
}

/* The object of a .c file; what includes another file: those with counters, and a few. False if there is none. */
static bool want_first(struct marks *m, const struct source *f)
{
	char *object = own_object(f), *path = built(m->p, "%s", object);
	bool own = !access(path, F_OK);
	int others = 0, n = 0;

	if (own)
		want(m, object, f->path);
	free(object);
	free(path);
	if (own)
		return true;
	collect_objects(m);
	for (int i = 0; i < m->n_objects; i++) {
		if (!reads(m->cmds[i], f->path))
			continue;
		n++;
		if (has_counters(m->p, m->objects[i]) || others++ < FEW)
			want(m, m->objects[i], f->path);
	}
	return n;
}

/* A group that a few objects leave out for another reason than the configuration may be compiled in one of the others. */
static void want_all(struct marks *m, const char *path)
{
	for (int i = 0; i < m->n_objects; i++)
		if (reads(m->cmds[i], path))
			want(m, m->objects[i], path);
}

static char *marks_text(const struct marks *m)
{
	struct buf b = { 0 };

	buf_add(&b, "", 0);
	for (int i = 0; i < m->p->c->n_files; i++)
		for (int k = 0; k <= m->p->c->files[i].n_lines; k++)
			if (m->seen[i][k])
				buf_printf(&b, "%d %d\n", i + 1, k);
	return b.s;
}

static void exclude_unread(struct place *p, const struct source *f)
{
	exclude(p, f->path, ends_with(f->path, ".c") ? "no object of it in this build" :
		"no object of this build includes it");
}

static void ask_all(struct marks *m, const char *cwd)
{
	struct cover *c = m->p->c;
	int first = m->n_jobs;
	char *text;

	for (int i = 0; i < c->n_files; i++)
		if (c->files[i].touched && !want_first(m, &c->files[i]) && !is_excluded(m->p, c->files[i].path))
			exclude_unread(m->p, &c->files[i]);
	ask(m, first, cwd);
	first = m->n_jobs;
	text = marks_text(m);
	for (int i = 0; i < c->n_files; i++)
		if (c->files[i].touched && m->seen[i][0] && source_unsure(&c->files[i], i, text))
			want_all(m, c->files[i].path);
	free(text);
	ask(m, first, cwd);
}

/* ---- all of it ---- */

static void complain(const char *file, const char *because)
{
	fprintf(stderr, "mmuml: error: no marks of %s: which of its lines are compiled is not known\n  because: %s\n", file, because);
}

/* Half of the marks are as bad as none: what they do not hold would be called not compiled. */
static void check(const struct marks *m)
{
	int bad = 0;

	for (int i = 0; i < m->n_jobs; i++)
		if (m->jobs[i].error && ++bad)
			complain(m->jobs[i].file, m->jobs[i].error);
	for (int i = 0; !bad && i < m->p->c->n_files; i++) {
		const struct source *f = &m->p->c->files[i];

		if (f->touched && !m->seen[i][0] && !is_excluded(m->p, f->path) && ++bad)
			complain(f->path, "no object that includes it by its .cmd file takes it from the tree");
	}
	if (bad)
		die(EX_BUILD, "make clean coverage", NULL, "no report of the change");
}

static void write_marks(const struct marks *m)
{
	char *path = xasprintf("%s/marks", m->p->dir), *text = marks_text(m);
	int err = write_whole(path, text, strlen(text));

	if (err)
		die(EX_HOST, "df -h out", strerror(-err), "cannot write %s", path);
	free(path);
	free(text);
}

void marks_make(struct place *p)
{
	struct marks m = { .p = p, .mirror = xasprintf("%s/tree", p->scratch) };
	char *cwd;

	m.seen = xcalloc(p->c->n_files + 1, sizeof(*m.seen));
	for (int i = 0; i < p->c->n_files; i++)
		m.seen[i] = xcalloc(p->c->files[i].n_lines + 1, 1);
	mirror_dir(&m, "");
	cwd = mirror_build(&m);
	mark_files(&m);
	ask_all(&m, cwd);
	check(&m);
	write_marks(&m);
	for (int i = 0; i < m.n_jobs; i++)
		job_free(&m.jobs[i]);
	for (int i = 0; i < m.n_objects; i++)
		kbuild_free(m.cmds[i]);
	for (int i = 0; i < p->c->n_files; i++)
		free(m.seen[i]);
	free(m.jobs);
	free(m.cmds);
	free(m.objects);
	free(m.seen);
	free(m.mirror);
	free(cwd);
}
