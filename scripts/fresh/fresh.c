// SPDX-License-Identifier: GPL-2.0
/*
 * Whether a kernel build is still what its inputs say, without asking kbuild (which takes over a second to find
 * that nothing is to be done). After a build the inputs are recorded: every file that a .cmd file of kbuild names, the
 * makefiles of their directories, and the names in those directories, since a file that appears may shadow another.
 * kbuild looks at times only: a source that changed but is older than the kernel (a build directory that came from
 * another tree, a file put back with its time) would never be compiled. Its content is recorded too, and what was made
 * of it can be forgotten, so that kbuild makes it again.
 *
 * usage: mmuml-fresh record BUILD STAMP   STAMP: a file made before the build began
 *        mmuml-fresh update BUILD STAMP < OBJECTS   the same where only these were made again since check, one a line
 *        mmuml-fresh check BUILD          prints what changed, one path a line; exit 0 if nothing did
 *        mmuml-fresh forget BUILD < PATHS   what check printed: kbuild shall make again what was made of it
 *        mmuml-fresh command BUILD TARGET prints what kbuild ran to make it, for a shell
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

#include "../lib/kit.h"

#define LIST	".inputs"
#define KERNEL	"vmlinux"
#define ALL	"(recorded otherwise)"	/* instead of what changed: nobody knows */

static void *seen;		/* tree of paths, relative to the build directory */
static void *unseen;		/* those that kbuild would perhaps not look at again, though they changed */
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

/* Of a file's content; 0 if it cannot be read. */
static unsigned long long hash_of(const char *path)
{
	static char buf[1 << 16];
	unsigned long long h = HASH_START;
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return 0;
	while ((n = fread(buf, 1, sizeof(buf), f)))
		h = hash_add(h, buf, n);
	if (ferror(f))
		h = 0;
	fclose(f);
	return h;
}

/* The names in a directory, in any order; what editors leave for a moment does not count. */
static long long names_of(const char *path)
{
	unsigned long long sum = 0;
	struct dirent *e;
	DIR *d = opendir(path);

	while (d && (e = readdir(d))) {
		const char *c = e->d_name;
		size_t n = strlen(c);

		if (c[0] == '.' || c[0] == '#' || c[n - 1] == '~' || (n > 4 && !strcmp(c + n - 4, ".tmp")))
			continue;
		sum += hash_add(HASH_START, c, n);
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

static void write_entry(long long mtime, long long size, unsigned long long content, const char *path)
{
	fprintf(out, "%lld %lld %llx %s\n", mtime, size, content, path);
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
	if (S_ISDIR(st.st_mode))
		write_entry(identity(path, &st), 0, 0, path);
	else if (stamp_of(&st) >= began)
		write_entry(0, 0, 0, path);
	else
		write_entry(stamp_of(&st), st.st_size, strncmp(path, "../", 3) ? 0 : hash_of(path), path);
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

/* What a .cmd file names as input: @each is called for every one until it returns true. */
static bool read_cmd(const char *path, bool (*each)(const char *path))
{
	struct kbuild_cmd *k = kbuild_read(path);
	bool done = false;

	if (!k)
		fail(path);
	for (int i = 0; i < k->n_inputs && !done; i++)
		done = each(k->inputs[i]);
	kbuild_free(k);
	return done;
}

static bool add_input(const char *path)
{
	add(path);
	add_directory(path);
	return false;
}

static bool is_unseen(const char *path)
{
	return tfind(path, &unseen, compare);
}

static bool is_cmd(const char *path, int flag, const struct FTW *ftw)
{
	const char *name = path + ftw->base;
	size_t n = strlen(name);

	return flag == FTW_F && name[0] == '.' && n > 4 && !strcmp(name + n - 4, ".cmd");
}

static int visit(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	if (is_cmd(path, flag, ftw))
		read_cmd(path, add_input);
	return 0;
}

/* Without the command that made it, kbuild makes a file again. */
static int forget_all(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	if (is_cmd(path, flag, ftw) && unlink(path))
		fail(path);
	return 0;
}

static int forget(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	if (is_cmd(path, flag, ftw) && read_cmd(path, is_unseen) && unlink(path))
		fail(path);
	return 0;
}

static int forget_changed(void)
{
	char *line = NULL;
	bool all = false;
	size_t cap = 0;
	ssize_t n;

	while ((n = getline(&line, &cap, stdin)) > 0) {
		line[n - 1] = '\0';
		all |= !strcmp(line, ALL);
		if (!strncmp(line, "../", 3) && !tsearch(strdup(line), &unseen, compare))
			fail("tsearch");
	}
	free(line);
	if ((all || unseen) && nftw(".", all ? forget_all : forget, 32, FTW_PHYS))
		fail("nftw");
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

static void begin(const char *stamp_file)
{
	struct stat st;

	if (stat(stamp_file, &st))
		fail(stamp_file);
	began = stamp_of(&st);
	out = fopen(LIST ".tmp", "we");
	if (!out)
		fail(LIST);
}

/* The result itself has to be as the build left it; its time says so, for debug information may come to it later. */
static void add_kernel(void)
{
	struct stat st;

	if (!stat(KERNEL, &st))
		write_entry(stamp_of(&st), 0, 0, KERNEL);
}

static int record(const char *stamp_file)
{
	begin(stamp_file);
	add_kernel();
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

/* Of the last record, the path of a line; NULL if the line has another form. */
static char *entry(char *line, long long *mtime, long long *size, unsigned long long *content)
{
	int at;

	line[strcspn(line, "\n")] = '\0';
	return sscanf(line, "%lld %lld %llx %n", mtime, size, content, &at) == 3 ? line + at : NULL;
}

/* What check() found changed has no time in the record; what the objects are made of may be new in it. */
static int update(const char *stamp_file)
{
	FILE *f = fopen(LIST, "re");
	char *line = NULL, *path;
	long long mtime, size;
	unsigned long long content;
	size_t cap = 0;
	ssize_t n;

	if (!f)
		fail(LIST);
	begin(stamp_file);
	add_kernel();
	while (getline(&line, &cap, f) > 0) {
		path = entry(line, &mtime, &size, &content);
		if (!path)
			fail(LIST);
		if (!strcmp(path, KERNEL))
			continue;
		if (!mtime)
			add(path);
		else if (!tsearch(strdup(path), &seen, compare))
			fail("tsearch");
		else
			write_entry(mtime, size, content, path);
	}
	fclose(f);
	while ((n = getline(&line, &cap, stdin)) > 0) {
		line[n - 1] = '\0';
		path = kbuild_cmd_path(line);
		read_cmd(path, add_input);
		free(path);
	}
	free(line);
	if (fclose(out) || rename(LIST ".tmp", LIST))
		fail(LIST);
	return 0;
}

/*
 * What is to be made again is recorded as unknown until the build has ended: one that is cut short has perhaps compiled
 * it, and nobody knows from which content.
 */
static int check(void)
{
	FILE *f = fopen(LIST, "re");
	char *line = NULL, *path;
	long long mtime, size, made;
	unsigned long long content;
	bool fresh = true, all = false;
	size_t cap = 0;
	struct stat st;

	if (!f) {
		puts("(never built)");
		return 1;
	}
	made = stat(KERNEL, &st) ? 0 : stamp_of(&st);
	out = fopen(LIST ".tmp", "we");
	if (!out)
		fail(LIST);
	while (getline(&line, &cap, f) > 0) {
		bool source;

		path = entry(line, &mtime, &size, &content);
		if (!path) {
			puts(ALL);
			all = true;
			break;
		}
		source = !strncmp(path, "../", 3);
		if (!stat(path, &st)) {
			bool same = identity(path, &st) == mtime && (!size || st.st_size == size);

			source = source && !S_ISDIR(st.st_mode);
			if (!same && source && content && stamp_of(&st) <= made)
				same = hash_of(path) == content;
			if (same) {
				write_entry(mtime, size, content, path);
				continue;
			}
		}
		fresh = false;
		write_entry(0, 0, 0, path);
		puts(path);
	}
	free(line);
	fclose(f);
	if (fclose(out) || (fresh && !all ? unlink(LIST ".tmp") : rename(LIST ".tmp", LIST)))
		fail(LIST);
	return !fresh || all;
}

static int command(const char *target)
{
	char *path = kbuild_cmd_path(target);
	struct kbuild_cmd *k = kbuild_read(path);

	if (!k)
		fail(path);
	if (!k->command) {
		fprintf(stderr, "mmuml: error: %s holds no command\n", path);
		return 3;
	}
	puts(k->command);
	kbuild_free(k);
	free(path);
	return 0;
}

int main(int argc, char **argv)
{
	char *stamp = argc > 3 ? realpath(argv[3], NULL) : NULL;

	if (argc < 3 || chdir(argv[2])) {
		fprintf(stderr, "usage: mmuml-fresh record BUILD STAMP | update BUILD STAMP | check BUILD | forget BUILD | command BUILD TARGET\n");
		return 2;
	}
	if (!strcmp(argv[1], "record") && stamp)
		return record(stamp);
	if (!strcmp(argv[1], "update") && stamp)
		return update(stamp);
	if (!strcmp(argv[1], "check"))
		return check();
	if (!strcmp(argv[1], "forget"))
		return forget_changed();
	if (!strcmp(argv[1], "command") && argc > 3)
		return command(argv[3]);
	fprintf(stderr, "mmuml-fresh: unknown command %s\n", argv[1]);
	return 2;
}
