// SPDX-License-Identifier: GPL-2.0
/* What the files hold of which kernel and guest are made: a save that leaves them as they were is none. */
#include <ftw.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "watch.h"

struct file {
	char *path;			/* with the root's */
	unsigned long long hash;	/* 0: not there */
};

static void *files;		/* tree of struct file */
static void *input_dirs;	/* tree of paths: where a name more or less is a change to mmuml-fresh */
static bool have_inputs;

static int compare_files(const void *a, const void *b)
{
	return strcmp(((const struct file *)a)->path, ((const struct file *)b)->path);
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Of a file's content; 0 if it cannot be read. */
static unsigned long long hash_of(const char *path)
{
	unsigned long long h;
	size_t len;
	char *text = read_whole(path, &len);

	if (!text)
		return 0;
	h = hash_add(HASH_START, text, len);
	free(text);
	return h ? h : 1;
}

static bool ends_in(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n > m && !strcmp(name + n - m, end);
}

bool files_ignored(const char *name)
{
	static const char *const ends[] = { "~", ".tmp", ".orig", ".rej", ".swp", ".swx", ".bak", ".o", ".a", ".ko", ".cmd", ".d", ".md" };

	/* 4913: vim tries whether it may write into the directory. */
	if (name[0] == '.' || name[0] == '#' || !strcmp(name, "4913"))
		return true;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (ends_in(name, ends[i]))
			return true;
	return false;
}

/* The file at @path, which is kept or freed; known as it is now if it is new. */
static struct file *file_at(char *path, bool make)
{
	struct file key = { .path = path }, *f, **node = tfind(&key, &files, compare_files);

	if (node || !make) {
		free(path);
		return node ? *node : NULL;
	}
	f = xcalloc(1, sizeof(*f));
	*f = (struct file){ path, hash_of(path) };
	if (!tsearch(f, &files, compare_files))
		die(EX_HOST, NULL, NULL, "out of memory");
	return f;
}

static int know_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	if (flag == FTW_F && !files_ignored(path + ftw->base))
		file_at(xasprintf("%s", path), true);
	return 0;
}

/* One path of mmuml-fresh's list, a file or a directory. */
static void know_input(const struct root *root, const char *path)
{
	/* With a slash at its end "x/.." is taken away too. */
	char *slashed = xasprintf("%s/", path), *below = kbuild_source_path(slashed), *full;
	struct stat st;

	free(slashed);
	if (!below)
		return;
	below[strlen(below) - 1] = '\0';
	full = xasprintf("%s/%s", root->dir, below);
	free(below);
	have_inputs = true;
	if (stat(full, &st) || !S_ISDIR(st.st_mode)) {
		file_at(full, true);
	} else if (!tsearch(full, &input_dirs, compare)) {
		die(EX_HOST, NULL, NULL, "out of memory");
	}
}

/* "MTIME SIZE HASH PATH", one a line (scripts/fresh/fresh.c). */
static void know_inputs(const struct root *root, const char *list)
{
	char *text = read_whole(list, NULL);
	const char *rest = text, *line;
	size_t len;

	while (text && text_line(&rest, &line, &len)) {
		char *copy = text_dup(line, len);
		int at = 0;

		sscanf(copy, "%*d %*d %*x %n", &at);
		if (at)
			know_input(root, copy + at);
		free(copy);
	}
	free(text);
}

void files_know(const struct root *root, const char *inputs)
{
	if (root->kernel)
		know_inputs(root, inputs);
	else if (root->only)
		file_at(xasprintf("%s/%s", root->dir, root->only), true);
	else
		nftw(root->dir, know_one, 16, FTW_PHYS);
}

static bool is_source(const char *name)
{
	return ends_in(name, ".c") || ends_in(name, ".h") || ends_in(name, ".S") || ends_in(name, ".lds") || !strncmp(name, "Kconfig", 7) ||
	       !strcmp(name, "Makefile") || !strcmp(name, "Kbuild");
}

/* A file of a kernel's tree that is none of its inputs. */
static enum change unknown(const char *full, const char *name)
{
	char *dir = text_dup(full, name - full - 1);
	bool input = tfind(dir, &input_dirs, compare);

	free(dir);
	if (!is_source(name))
		return NOTHING;
	/* Which options there are, and where nothing was built yet, is for the round to find out. */
	if (!have_inputs || !strncmp(name, "Kconfig", 7))
		return CHANGED;
	if (!input || access(full, F_OK))
		return ELSEWHERE;
	file_at(xasprintf("%s", full), true);
	return CHANGED;
}

static bool changed(struct file *f)
{
	unsigned long long was = f->hash;

	f->hash = hash_of(f->path);
	return f->hash != was;
}

enum change files_look(const struct root *root, const char *path)
{
	char *full = xasprintf("%s/%s", root->dir, path);
	const char *name = strrchr(full, '/') + 1;
	struct file *f = file_at(xasprintf("%s", full), false);
	enum change what;

	if (root->sources && !is_source(name))
		what = NOTHING;
	else if (f)
		what = changed(f) ? CHANGED : SAME;
	else if (root->kernel)
		what = unknown(full, name);
	else
		what = file_at(xasprintf("%s", full), true)->hash ? CHANGED : SAME;
	free(full);
	return what;
}

static const struct root *asked;
static void (*tell)(const struct root *root, const char *path);

static void look_one(const void *node, VISIT visit, int depth)
{
	struct file *f = *(struct file *const *)node;
	size_t n = strlen(asked->dir);

	(void)depth;
	if ((visit == postorder || visit == leaf) && !strncmp(f->path, asked->dir, n) && f->path[n] == '/' && changed(f))
		tell(asked, f->path + n + 1);
}

void files_look_all(const struct root *root, void (*each)(const struct root *root, const char *path))
{
	asked = root;
	tell = each;
	twalk(files, look_one);
}
