// SPDX-License-Identifier: GPL-2.0
/*
 * Put into a run directory what the counters in it mean: the list of files, their text, the compiler's notes, the marks
 * (cover.h has the list). The change, changes.diff, is there already (scripts/coverage/gather.sh).
 */
#include <errno.h>
#include <ftw.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gather.h"

char *built(const struct place *p, const char *format, const char *name)
{
	char *below = xasprintf(format, name), *path = xasprintf("%s/%s", p->build, below);

	free(below);
	return path;
}

void exclude(struct place *p, const char *path, const char *why)
{
	buf_printf(&p->excluded, "%s %s\n", path, why);
}

bool is_excluded(const struct place *p, const char *path)
{
	char *want = xasprintf("\n%s ", path);
	bool is = strstr(p->excluded.s, want) || !strncmp(p->excluded.s, want + 1, strlen(want) - 1);

	free(want);
	return is;
}

/* ---- files ---- */

static void make_parents(const char *path)
{
	char *dir = xasprintf("%s", path);

	for (char *s = dir + 1; (s = strchr(s, '/')); s++) {
		*s = '\0';
		if (mkdir(dir, 0755) && errno != EEXIST)
			die(EX_HOST, "df -h out", strerror(errno), "cannot make %s", dir);
		*s = '/';
	}
	free(dir);
}

static void put(const char *path, const char *text, size_t len)
{
	int err;

	make_parents(path);
	err = write_whole(path, text, len);
	if (err)
		die(EX_HOST, "df -h out", strerror(-err), "cannot write %s", path);
}

static void copy(const char *from, const char *to)
{
	size_t len;
	char *text = read_whole(from, &len);

	if (!text)
		die(EX_HOST, NULL, strerror(errno), "cannot read %s", from);
	put(to, text, len);
	free(text);
}

/* One line of coverage/files, and the source as it was compiled; a file of interest that this kernel has not is none. */
static void list_file(const struct place *p, struct buf *list, const char *kind, const char *path)
{
	char *from = xasprintf("%s/%s", p->tree, path), *to = xasprintf("%s/src/%s", p->dir, path);

	if (!access(from, F_OK) || strcmp(kind, "interest")) {
		buf_printf(list, "%s %s\n", kind, path);
		if (access(to, F_OK))
			copy(from, to);
	}
	free(from);
	free(to);
}

struct listing {
	const struct place *p;
	struct buf list;
	char *last;
};

static void list_touched(void *arg, const struct hunk *h)
{
	struct listing *l = arg;

	if (!*h->path || (l->last && !strcmp(l->last, h->path)))
		return;
	free(l->last);
	l->last = xasprintf("%s", h->path);
	list_file(l->p, &l->list, "touched", h->path);
}

static void list_files(const struct place *p, const char *interest)
{
	char *diff_path = xasprintf("%s/changes.diff", p->dir), *path = xasprintf("%s/files", p->dir);
	char *diff = read_whole(diff_path, NULL), *text = read_whole(interest, NULL), *save;
	struct listing l = { .p = p };

	if (!diff || !text)
		die(EX_HOST, NULL, strerror(errno), "cannot read %s", diff ? interest : diff_path);
	buf_add(&l.list, "", 0);
	for (char *s = strtok_r(text, "\n", &save); s; s = strtok_r(NULL, "\n", &save))
		if (*s != '#')
			list_file(p, &l.list, "interest", s);
	diff_read(diff, list_touched, &l);
	put(path, l.list.s, l.list.len);
	buf_free(&l.list);
	free(l.last);
	free(diff_path);
	free(path);
	free(diff);
	free(text);
}

/* ---- what is not built ---- */

/* The option in its directory's Makefile without which there is no object, of "obj-$(CONFIG_KSM) += ksm.o"; or NULL. */
static char *option_of(const struct place *p, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *makefile = xasprintf("%s/%.*sMakefile", p->tree, slash ? (int)(slash + 1 - path) : 0, path);
	char *text = read_whole(makefile, NULL), *pattern, *option = NULL;
	regmatch_t match[2];
	regex_t re;

	path = slash ? slash + 1 : path;
	pattern = xasprintf("-[$][(](CONFIG_[A-Z0-9_]+)[)][ \t]*[:+]?=(.*[ \t])?%.*s[.]o([ \t]|$)", (int)strlen(path) - 2, path);
	for (char *s = text; s && (s = strstr(s, "\\\n")); )
		memset(s, ' ', 2);
	if (regcomp(&re, pattern, REG_EXTENDED | REG_NEWLINE))
		die(EX_HOST, NULL, "regcomp", "no pattern %s", pattern);
	if (text && !regexec(&re, text, 2, match, 0))
		option = xasprintf("%.*s", (int)(match[1].rm_eo - match[1].rm_so), text + match[1].rm_so);
	regfree(&re);
	free(makefile);
	free(pattern);
	free(text);
	return option;
}

static bool exists(const struct place *p, const char *format, const char *stem)
{
	char *path = built(p, format, stem);
	bool is = !access(path, F_OK);

	free(path);
	return is;
}

/* A .c file of which no object is made, or one without counters. One that another includes is told by its marks. */
static void look_for_object(struct place *p, const struct source *f)
{
	size_t n = strlen(f->path);
	char *stem = xasprintf("%.*s", (int)n - 2, f->path), *option;

	if (n > 2 && !strcmp(f->path + n - 2, ".c")) {
		option = exists(p, "%s.o", stem) ? NULL : option_of(p, f->path);
		if (option)
			exclude(p, f->path, option);
		else if (exists(p, "%s.o", stem) && !exists(p, "%s.gcno", stem))
			exclude(p, f->path, "without counters: the tree's makefiles leave it out of gcov");
		else if (!exists(p, "%s.o", stem) && !f->touched)
			exclude(p, f->path, "no object of it in this build");
		free(option);
	}
	free(stem);
}

/* ---- the compiler's notes ---- */

static const struct place *copying;

static int copy_note(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	const char *name = path + strlen(copying->build) + 1;
	size_t n = strlen(path);
	char *to;

	(void)st, (void)ftw;
	/* What is hidden is our own: .whole/ */
	if (type != FTW_F || n < 5 || strcmp(path + n - 5, ".gcno") || *name == '.')
		return 0;
	to = xasprintf("%s/gcno/%s", copying->dir, name);
	copy(path, to);
	free(to);
	return 0;
}

static bool newer(const char *a, const char *b)
{
	struct stat x, y;

	return !stat(a, &x) && !stat(b, &y) && (x.st_mtim.tv_sec > y.st_mtim.tv_sec ||
		(x.st_mtim.tv_sec == y.st_mtim.tv_sec && x.st_mtim.tv_nsec > y.st_mtim.tv_nsec));
}

/* ---- the notes of a source compiled without optimisation, kept in the build directory until the object is newer ---- */

/* "mm/rmap" of a touched mm/rmap.c that has counters, or NULL; malloc'ed. */
static char *stem_of(const struct place *p, const struct source *f)
{
	size_t n = strlen(f->path);
	char *stem = xasprintf("%.*s", (int)n - 2, f->path);

	if (f->touched && n > 2 && !strcmp(f->path + n - 2, ".c") && exists(p, "%s.gcno", stem))
		return stem;
	free(stem);
	return NULL;
}

static bool is_kept(const struct place *p, const char *stem)
{
	char *kept = built(p, ".whole/%s.gcno", stem), *object = built(p, "%s.o", stem);
	bool is = newer(kept, object);

	free(kept);
	free(object);
	return is;
}

static void want_whole(const struct place *p, struct job *j, const char *stem, const char *file, int nr)
{
	char *to = xasprintf("%s/whole-%d.s", p->scratch, nr);
	/* Warnings that the kernel turned into errors are the build's affair. */
	const char *const add[] = { "-w", "-O0", "-ftest-coverage", "-S", "-o", to, NULL };

	j->object = xasprintf("%s.o", stem);
	j->file = file;
	job_prepare(j, p->build, p->scratch, add);
	free(to);
}

/*
 * Errors of the kernel's assertions, which hold for optimised code only, come after the notes. Without the notes the report is
 * less exact, and says so.
 */
static void keep_whole(const struct place *p, const struct job *j, int nr)
{
	char *from = xasprintf("%s/whole-%d.gcno", p->scratch, nr);
	char *stem = xasprintf("%.*s", (int)strlen(j->object) - 2, j->object), *kept = built(p, ".whole/%s.gcno", stem);

	unlink(kept);
	if (!access(from, F_OK))
		copy(from, kept);
	else
		fprintf(stderr, "mmuml: warning: %s: what the compiler drops is called \"no code\": no notes of unoptimised code\n"
			"  because: %s\n", j->file, j->error ? j->error : "the compiler wrote none");
	free(from);
	free(stem);
	free(kept);
}

static void copy_whole(const struct place *p, const char *stem)
{
	char *from = built(p, ".whole/%s.gcno", stem), *to = xasprintf("%s/whole/%s.gcno", p->dir, stem);

	if (!access(from, F_OK))
		copy(from, to);
	free(from);
	free(to);
}

static void whole_notes(const struct place *p)
{
	struct job *jobs = xcalloc(p->c->n_files + 1, sizeof(*jobs));
	char **stems = xcalloc(p->c->n_files + 1, sizeof(*stems));
	int n = 0;

	for (int i = 0; i < p->c->n_files; i++) {
		stems[i] = stem_of(p, &p->c->files[i]);
		if (!stems[i] || is_kept(p, stems[i]))
			continue;
		want_whole(p, &jobs[n], stems[i], p->c->files[i].path, n);
		n++;
	}
	jobs_run(jobs, n, p->build);
	for (int i = 0; i < n; i++) {
		keep_whole(p, &jobs[i], i);
		job_free(&jobs[i]);
	}
	for (int i = 0; i < p->c->n_files; i++) {
		if (stems[i])
			copy_whole(p, stems[i]);
		free(stems[i]);
	}
	free(stems);
	free(jobs);
}

/* ---- all of it ---- */

/* An edit made while the tests ran: the lines would not be those that were compiled. */
static void check_edits(const struct place *p)
{
	char *kernel = built(p, "%s", "vmlinux");

	for (int i = 0; i < p->c->n_files; i++) {
		char *path = xasprintf("%s/%s", p->tree, p->c->files[i].path);

		if (!is_excluded(p, p->c->files[i].path) && newer(path, kernel))
			die(EX_BUILD, "make coverage   (runs the tests again)", "it was edited after the kernel was built",
			    "%s is not what the tests executed", p->c->files[i].path);
		free(path);
	}
	free(kernel);
}

static char *absolute(const char *path)
{
	char *real = realpath(path, NULL);

	if (!real)
		die(EX_USAGE, "make coverage", strerror(errno), "there is no %s", path);
	return real;
}

static const char *scratch;

static void remove_scratch(void)
{
	remove_tree(scratch);
}

static void make_scratch(struct place *p)
{
	char *template = xasprintf("%s/scratch-XXXXXX", p->dir);

	if (!mkdtemp(template))
		die(EX_HOST, "df -h out", strerror(errno), "cannot make %s", template);
	scratch = p->scratch = template;
	atexit(remove_scratch);
}

int gather(char **argv)
{
	struct place p = { .tree = absolute(argv[1]), .c = xcalloc(1, sizeof(*p.c)) };
	char *run = absolute(argv[0]), *build = xasprintf("%s/build-%s", argv[1], argv[2]), *path;

	p.build = absolute(build);
	p.dir = xasprintf("%s/coverage", run);
	p.c->dir = run;
	/* The compiler's "error: " is looked for. */
	setenv("LC_ALL", "C", 1);
	buf_add(&p.excluded, "", 0);
	make_scratch(&p);
	list_files(&p, argv[3]);
	sources_list(p.c);
	for (int i = 0; i < p.c->n_files; i++)
		look_for_object(&p, &p.c->files[i]);
	copying = &p;
	if (nftw(p.build, copy_note, 16, FTW_PHYS))
		die(EX_HOST, NULL, strerror(errno), "cannot read %s", p.build);
	whole_notes(&p);
	marks_make(&p);
	check_edits(&p);
	path = xasprintf("%s/excluded", p.dir);
	put(path, p.excluded.s, p.excluded.len);
	free(path);
	free(build);
	return EX_PASS;
}
