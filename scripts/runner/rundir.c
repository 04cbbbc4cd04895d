// SPDX-License-Identifier: GPL-2.0
/* Run directories: made here, named here. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "rundir.h"

#define KEEP_KERNELS	10	/* run directories whose kernel is kept for repro.sh */

char *rundir_make(const char *what, const char *note)
{
	char stamp[32], *dir = NULL;
	time_t t = time(NULL);
	int err = 0;

	if ((mkdir("out", 0755) && errno != EEXIST) || (mkdir("out/runs", 0755) && errno != EEXIST))
		die(EX_HOST, "ls -ld out", strerror(errno), "cannot make out/runs");
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime(&t));
	for (int i = 0; i < 1000; i++) {
		free(dir);
		dir = i ? xasprintf("out/runs/%s-%s.%d", stamp, what, i) : xasprintf("out/runs/%s-%s", stamp, what);
		if (!mkdir(dir, 0755)) {
			err = 0;
			break;
		}
		err = errno;
		if (err != EEXIST)
			break;
	}
	if (err)
		die(EX_HOST, "ls -ld out/runs; df -h out", strerror(err), "cannot make %s", dir);
	if (note && (err = write_whole(note, dir, strlen(dir))))
		die(EX_HOST, "df -h .", strerror(-err), "cannot write %s", note);
	return dir;
}

void rundir_latest(const char *dir)
{
	char *tmp = xasprintf("out/latest.%d", getpid());

	if (symlink(dir + strlen("out/"), tmp) || rename(tmp, "out/latest"))
		die(EX_HOST, "ls -ld out/latest", strerror(errno), "cannot point out/latest to %s", dir);
	free(tmp);
}

void rundir_put(const char *dir, const char *name, const char *text, size_t len)
{
	char *path = xasprintf("%s/%s", dir, name);
	int err = write_whole(path, text, len);

	if (err)
		die(EX_HOST, "df -h out", strerror(-err), "cannot write %s", path);
	free(path);
}

char *rundir_console(const char *dir, int nr)
{
	return nr ? xasprintf("%s/" RUN_CONSOLE "-%d.log", dir, nr + 1) : xasprintf("%s/" RUN_CONSOLE ".log", dir);
}

void rundir_drop_kernels(void)
{
	static const char *const parts[] = { RUN_KERNEL, "base.cpio", "cpio" };
	glob_t g;

	if (glob("out/runs/*/" RUN_KERNEL, 0, NULL, &g))
		return;
	for (size_t i = 0; i + KEEP_KERNELS < g.gl_pathc; i++) {
		char *dir = text_dup(g.gl_pathv[i], strlen(g.gl_pathv[i]) - strlen("/" RUN_KERNEL));

		for (size_t k = 0; k < sizeof(parts) / sizeof(parts[0]); k++) {
			char *path = xasprintf("%s/%s", dir, parts[k]);

			if (!access(path, F_OK) && remove_tree(path))
				fprintf(stderr, "mmuml: warning: %s of an old run could not be removed\n", path);
			free(path);
		}
		free(dir);
	}
	globfree(&g);
}

/* "summary.pass" in an object; NULL if there is none. */
static json_t *find(json_t *at, const char *key)
{
	while (at && *key) {
		char *word = text_dup(key, strcspn(key, "."));

		at = json_object_get(at, word);
		key += strlen(word);
		key += *key == '.';
		free(word);
	}
	return at;
}

static void print_value(json_t *j)
{
	char *s;

	if (json_is_string(j)) {
		printf("%s\n", json_string_value(j));
		return;
	}
	s = json_dumps(j, JSON_ENCODE_ANY | JSON_COMPACT);
	printf("%s\n", s);
	free(s);
}

int rundir_query(const char *dir, const char *key)
{
	char *path = xasprintf("%s/" RUN_JSON, dir);
	json_error_t err;
	json_t *all = json_load_file(path, 0, &err), *j = find(all, key);
	struct buf keys = { 0 };
	const char *name;
	json_t *value;

	if (!all)
		die(EX_USAGE, "ls -d out/runs/*", err.text, "no results in %s", dir);
	if (!j) {
		json_object_foreach(all, name, value)
			buf_printf(&keys, " %s", name);
		die(EX_USAGE, "mmuml-run --result DIR verdict", xasprintf("%s has:%s", path, keys.s), "no '%s' in the results", key);
	}
	print_value(j);
	json_decref(all);
	free(path);
	return EX_PASS;
}
