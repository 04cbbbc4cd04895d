// SPDX-License-Identifier: GPL-2.0
/*
 * Whether a kernel build is still what its inputs say, without asking kbuild (which takes over a second to find
 * that nothing is to be done). After a build the inputs are recorded: every file that a .cmd file of kbuild names, the
 * makefiles of their directories, and the names in those directories, since a file that appears may shadow another.
 *
 * usage: mmuml-fresh record BUILD STAMP   STAMP: a file made before the build began
 *        mmuml-fresh check BUILD          prints what changed, one path a line; exit 0 if nothing did
 */
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <search.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST	".inputs"

static void *seen;		/* tree of paths, relative to the build directory */
static FILE *out;
static long long began;		/* inputs changed since then were perhaps not seen by the build */

static void fail(const char *what)
{
	fprintf(stderr, "mmuml: error: %s: %s\n", what, strerror(errno));
	exit(3);
}

static long long stamp_of(const struct stat *st)
{
	return st->st_mtim.tv_sec * 1000000000LL + st->st_mtim.tv_nsec;
}

/* The names in a directory, in any order; what editors leave for a moment does not count. */
static long long names_of(const char *path)
{
	unsigned long long sum = 0, h;
	struct dirent *e;
	DIR *d = opendir(path);

	while (d && (e = readdir(d))) {
		const char *c = e->d_name;
		size_t n = strlen(c);

		if (c[0] == '.' || c[0] == '#' || c[n - 1] == '~' || (n > 4 && !strcmp(c + n - 4, ".tmp")))
			continue;
		for (h = 14695981039346656037ULL; *c; c++)
			h = (h ^ (unsigned char)*c) * 1099511628211ULL;
		sum += h;
	}
	if (d)
		closedir(d);
	return sum >> 1;
}

static long long identity(const char *path, const struct stat *st)
{
	return S_ISDIR(st->st_mode) ? names_of(path) : stamp_of(st);
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Record one path; what cannot be looked at (a header that is gone) is no input. */
static void add(const char *path)
{
	char **node = tsearch(path, &seen, compare);
	struct stat st;

	if (!node)
		fail("tsearch");
	if (*node != path)
		return;
	*node = strdup(path);
	if (!*node)
		fail("strdup");
	if (stat(path, &st))
		return;
	fprintf(out, "%lld %lld %s\n",
		!S_ISDIR(st.st_mode) && stamp_of(&st) >= began ? 0 : identity(path, &st),
		S_ISDIR(st.st_mode) ? 0 : (long long)st.st_size, path);
}

/* A source's directory, and what kbuild reads there. */
static void add_directory(const char *path)
{
	static const char *const files[] = { "Makefile", "Kbuild" };
	const char *slash = strrchr(path, '/');
	char dir[4096], file[4200];

	if (!slash || strncmp(path, "../", 3))
		return;
	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	if (tfind(dir, &seen, compare))
		return;
	add(dir);
	for (size_t i = 0; i < 2; i++) {
		snprintf(file, sizeof(file), "%s/%s", dir, files[i]);
		if (!access(file, F_OK))
			add(file);
	}
}

/* The dependencies of a .cmd file stand one a line, indented, a backslash behind. */
static void read_cmd(const char *path)
{
	FILE *f = fopen(path, "re");
	char *line = NULL, *p, *end;
	size_t cap = 0;

	if (!f)
		fail(path);
	while (getline(&line, &cap, f) > 0) {
		if (line[0] == ' ')
			p = line;
		else if (!strncmp(line, "source_", 7) && (p = strstr(line, ":=")))
			p += 2;
		else
			continue;
		p += strspn(p, " \t");
		end = p + strcspn(p, " \t\n\\");
		*end = '\0';
		if (*p == '$' || end == p || !strcmp(p, "FORCE"))
			continue;
		add(p);
		add_directory(p);
	}
	free(line);
	fclose(f);
}

static int visit(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	const char *name = path + ftw->base;
	size_t n = strlen(name);

	(void)st;
	if (flag == FTW_F && name[0] == '.' && n > 4 && !strcmp(name + n - 4, ".cmd"))
		read_cmd(path);
	return 0;
}

static void add_scripts(const char *dir)
{
	struct dirent *e;
	char path[4096];
	DIR *d = opendir(dir);

	if (!d)
		fail(dir);
	while ((e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (e->d_type == DT_REG)
			add(path);
	}
	closedir(d);
}

static int record(const char *stamp_file)
{
	struct stat st;

	if (stat(stamp_file, &st))
		fail(stamp_file);
	began = stamp_of(&st);
	out = fopen(LIST ".tmp", "we");
	if (!out)
		fail(LIST);
	/* The result itself has to be as the build left it. */
	began = INT64_MAX;
	add("vmlinux");
	began = stamp_of(&st);
	add("../Makefile");
	add("../arch/um/Makefile");
	add("../arch/x86/Makefile.um");
	add(".config");
	add_scripts("../scripts");
	if (nftw(".", visit, 32, FTW_PHYS))
		fail("nftw");
	if (fclose(out) || rename(LIST ".tmp", LIST))
		fail(LIST);
	return 0;
}

static int check(void)
{
	FILE *f = fopen(LIST, "re");
	char *line = NULL, *path;
	long long mtime, size;
	bool fresh = true;
	size_t cap = 0;
	struct stat st;
	ssize_t n;
	int at;

	if (!f) {
		puts("(never built)");
		return 1;
	}
	while ((n = getline(&line, &cap, f)) > 0) {
		line[n - 1] = '\0';
		if (sscanf(line, "%lld %lld %n", &mtime, &size, &at) != 2)
			fail(LIST);
		path = line + at;
		if (!stat(path, &st) && identity(path, &st) == mtime && (S_ISDIR(st.st_mode) || st.st_size == size))
			continue;
		fresh = false;
		puts(path);
	}
	free(line);
	fclose(f);
	return !fresh;
}

int main(int argc, char **argv)
{
	char *stamp = argc > 3 ? realpath(argv[3], NULL) : NULL;

	if (argc < 3 || chdir(argv[2])) {
		fprintf(stderr, "usage: mmuml-fresh record BUILD STAMP | mmuml-fresh check BUILD\n");
		return 2;
	}
	if (!strcmp(argv[1], "record") && stamp)
		return record(stamp);
	if (!strcmp(argv[1], "check"))
		return check();
	fprintf(stderr, "mmuml-fresh: unknown command %s\n", argv[1]);
	return 2;
}
