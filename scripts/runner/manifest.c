// SPDX-License-Identifier: GPL-2.0
/* What a run was made of, and the way to it again: manifest.json, .config, repro.sh. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "results.h"
#include "rundir.h"
#include "tool.h"

/* ---- the tree ---- */

/* What git says of the tree, deaf to the user's and the machine's configuration; its exit status, -1 without a git. */
static int git(const char *tree, const char *const *words, struct buf *out)
{
	static const char *const clean[] = { "git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-C" };
	char *argv[32], **env, chunk[4096];
	posix_spawn_file_actions_t files;
	int p[2], n = 0, m = 0, status = -1, err;
	ssize_t got;
	pid_t pid;

	while (environ[m])
		m++;
	env = xcalloc(m + 5, sizeof(*env));
	m = 0;

	for (size_t i = 0; i < sizeof(clean) / sizeof(clean[0]); i++)
		argv[n++] = (char *)clean[i];
	argv[n++] = (char *)tree;
	while (*words)
		argv[n++] = (char *)*words++;
	argv[n] = NULL;
	for (char **e = environ; *e; e++)
		if (strncmp(*e, "GIT_", 4) && strncmp(*e, "LANG", 4) && strncmp(*e, "LC_", 3))
			env[m++] = *e;
	env[m++] = "GIT_CONFIG_GLOBAL=/dev/null";
	env[m++] = "GIT_CONFIG_NOSYSTEM=1";
	env[m++] = "GIT_OPTIONAL_LOCKS=0";
	env[m++] = "LC_ALL=C";
	if (pipe(p)) {
		free(env);
		return -1;
	}
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, p[1], 1);
	posix_spawn_file_actions_addclose(&files, p[0]);
	posix_spawn_file_actions_addopen(&files, 2, "/dev/null", 1, 0);
	err = posix_spawnp(&pid, "git", &files, NULL, argv, env);
	posix_spawn_file_actions_destroy(&files);
	close(p[1]);
	while (!err && (got = read(p[0], chunk, sizeof(chunk))) > 0)
		buf_add_clean(out, chunk, got);
	close(p[0]);
	free(env);
	if (err || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static const char *const diff[] = { "diff-index", "--quiet", "HEAD", "--", NULL };
static int looked = -1;		/* where one byte comes: what git said of edits */

void manifest_begin(const struct options *o)
{
	struct buf none = { 0 };
	unsigned char status;
	int p[2];

	if (!o->tree || pipe2(p, O_CLOEXEC))
		return;
	if (!fork()) {
		status = git(o->tree, diff, &none);
		_exit(write(p[1], &status, 1) != 1);
	}
	close(p[1]);
	looked = p[0];
}

/* 0: the tree has no edits, 1: it has; anything else: git did not say. */
static int edited(const char *tree)
{
	struct buf none = { 0 };
	unsigned char status;
	int edits;

	if (looked < 0)
		return git(tree, diff, &none);
	edits = read(looked, &status, 1) == 1 ? status : -1;
	close(looked);
	looked = -1;
	return edits;
}

/* Subjects of the patches on the base, oldest first, and whether the tree has edits beyond them; null where git does not say. */
static json_t *tree_state(const char *tree)
{
	static const char *const log[] = { "log", "--reverse", "--format=%h %s", "HEAD", NULL };
	static const char *const rev[] = { "rev-parse", "HEAD", NULL };
	json_t *patches = json_array();
	struct buf text = { 0 }, head = { 0 };
	const char *rest, *line;
	size_t len;
	int edits;

	if (git(tree, rev, &head) || git(tree, log, &text)) {
		json_decref(patches);
		return json_null();
	}
	head.s[strcspn(head.s, "\n")] = '\0';
	rest = text.s;
	/* The first is the kernel itself. */
	for (int i = 0; text_line(&rest, &line, &len); i++)
		if (i)
			json_array_append_new(patches, json_stringn(line, len));
	edits = edited(tree);
	return json_pack("{s:s, s:o, s:o}", "commit", head.s, "uncommitted_edits",
			 edits == 0 || edits == 1 ? json_boolean(edits) : json_null(), "patches", patches);
}

/* ---- what to type ---- */

static void quote(struct buf *b, const char *s)
{
	buf_add(b, "'", 1);
	for (; *s; s++) {
		if (*s == '\'')
			buf_printf(b, "'\\''");
		else
			buf_add(b, s, 1);
	}
	buf_add(b, "'", 1);
}

/* " NAME=VALUE", quoted where a shell needs it. */
static void word(struct buf *b, const char *name, const char *value)
{
	buf_printf(b, "%s%s=", b->len ? " " : "", name);
	if (strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./,:+@%-") == strlen(value))
		buf_add(b, value, strlen(value));
	else
		quote(b, value);
}

char *manifest_words(const struct options *o, const struct test *t)
{
	struct buf b = { 0 };

	word(&b, "T", t ? t->name : o->tests ? o->tests : "");
	if (o->profile && strcmp(o->profile, "fast") && !strcmp(o->tool->seccomp, "on"))
		word(&b, "PROFILE", o->profile);
	if (o->series)
		word(&b, "S", o->series);
	if (o->linux_path)
		word(&b, "LINUX", o->linux_path);
	if (strcmp(o->seed, "1"))
		word(&b, "SEED", o->seed);
	/* MEM, SCALE, APPEND, ... as they were typed. */
	if (o->given)
		buf_printf(&b, " %s", o->given);
	if (t)
		return b.s;
	if (o->repeat > 1)
		buf_printf(&b, " REPEAT=%d", o->repeat);
	if (o->isolate)
		buf_printf(&b, " ISOLATE=1");
	if (o->keep_going)
		buf_printf(&b, " KEEP_GOING=1");
	return b.s;
}

/* ---- files ---- */

/* "gcc (Debian ...) 12.2.0" of a configuration, malloc'ed. */
static char *compiler_of(const char *config)
{
	const char *at = config ? strstr(config, "CONFIG_CC_VERSION_TEXT=\"") : NULL;

	if (!at)
		return xasprintf("%s", "");
	at += strlen("CONFIG_CC_VERSION_TEXT=\"");
	return text_dup(at, strcspn(at, "\"\n"));
}

static json_t *arguments(const struct options *o)
{
	json_t *args = json_array();

	for (int i = 0; i < o->argc; i++) {
		struct buf clean = { 0 };

		buf_add_clean(&clean, o->argv[i], strlen(o->argv[i]));
		json_array_append_new(args, json_string(clean.s ? clean.s : ""));
		buf_free(&clean);
	}
	return args;
}

static void write_manifest(const struct options *o, const struct verdict *v, const char *dir)
{
	char *config, *compiler, *text;
	struct utsname host;
	size_t len = 0;
	json_t *j;

	config = kconfig_read(o, &len);
	compiler = compiler_of(config);
	uname(&host);
	j = json_pack("{s:s, s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:i, s:f, s:o, s:s, s:s}",
		"kernel_release", v->release ? v->release : "", "tree", o->tree ? tree_state(o->tree) : json_null(),
		"series", o->series ? o->series : "", "linux", o->linux_path ? o->linux_path : "",
		"profile", o->profile ? o->profile : "", "tool", o->tool->name, "tests", o->tests ? o->tests : "", "seed", o->seed,
		"compiler", compiler, "mem_mb", (json_int_t)o->mem_mb, "cpus", (int)o->cpus, "scale", o->scale, "runner",
		arguments(o), "host_kernel", host.release, "host_arch", host.machine);
	if (!j)
		die(EX_HOST, NULL, "an argument is no UTF-8", "the manifest cannot be written as JSON");
	text = json_dumps(j, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
	rundir_put(dir, RUN_MANIFEST, text, strlen(text));
	if (config)
		rundir_put(dir, RUN_CONFIG, config, len);
	json_decref(j);
	free(text);
	free(config);
	free(compiler);
}

/*
 * A hard link costs nothing until the next build replaces the file; another file system needs a copy. What is there already is the
 * same file, and a copy of it onto itself would be empty.
 */
static void keep(const char *dir, const char *from, const char *name)
{
	char *to = xasprintf("%s/%s", dir, name);
	int err;

	if (link(from, to) && errno != EEXIST) {
		err = copy_sparse(from, to);
		if (err)
			fprintf(stderr, "mmuml: warning: %s is not kept: %s\n", from, strerror(-err));
	}
	if (!strcmp(name, RUN_KERNEL))
		chmod(to, 0755);
	free(to);
}

/* The kernel and the parts of the guest that these tests need. */
static void keep_parts(const struct options *o, const struct verdict *v, const char *dir)
{
	static const char *const images[] = { "base.cpio", "swap.img", "ext4.img", "tests.list", RUN_KNOWN };
	char *path, *name;

	keep(dir, o->kernel, RUN_KERNEL);
	for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
		path = xasprintf("%s/%s", o->guest, images[i]);
		if (strcmp(images[i], RUN_KNOWN) || !access(path, R_OK))
			keep(dir, path, images[i]);
		free(path);
	}
	path = xasprintf("%s/cpio", dir);
	mkdir(path, 0755);
	free(path);
	for (int i = 0; i < v->planned; i++) {
		const char *program = v->plan.tests[i].program;

		if (i && !strcmp(program, v->plan.tests[i - 1].program))
			continue;
		path = xasprintf("%s/cpio/%s.cpio", o->guest, program);
		name = xasprintf("cpio/%s.cpio", program);
		keep(dir, path, name);
		free(path);
		free(name);
	}
}

static void write_repro(const struct options *o, const char *dir)
{
	struct buf b = { 0 };
	char *top = realpath(".", NULL), *words = manifest_words(o, NULL), *path;

	buf_printf(&b, "#!/bin/sh\n# Repeat this run: with its own kernel and guest as long as they are kept here, else "
		   "by building again.\nset -eu\nhere=$(cd \"$(dirname \"$0\")\" && pwd)\ncd ");
	quote(&b, top ? top : ".");
	buf_printf(&b, "\nif [ -f \"$here/" RUN_KERNEL "\" ] && [ -x build/host/mmuml-run ]; then\n"
		   "\texec build/host/mmuml-run --kernel \"$here/" RUN_KERNEL "\" --guest \"$here\" --mem %ld --cpus %ld "
		   "--scale %g --limit %g --boot-limit %g --tool %s --repeat %d%s%s%s --what repro --seed ", o->mem_mb, o->cpus,
		   o->scale, o->test_limit, o->boot_limit, o->tool == &tool_probe ? tool_plain.name : o->tool->name, o->repeat,
		   o->counters ? " --counters" : "", o->isolate ? " --isolate" : "", o->keep_going ? " --keep-going" : "");
	quote(&b, o->seed);
	buf_printf(&b, " --profile ");
	quote(&b, o->profile ? o->profile : "fast");
	buf_printf(&b, " --tests ");
	quote(&b, o->tests ? o->tests : "");
	buf_printf(&b, " --append ");
	quote(&b, o->append ? o->append : "");
	buf_printf(&b, " \"$@\"\nfi\nexec make %s %s\n", o->tool->verb, words);
	rundir_put(dir, RUN_REPRO, b.s, b.len);
	path = xasprintf("%s/" RUN_REPRO, dir);
	chmod(path, 0755);
	free(path);
	free(words);
	free(top);
	buf_free(&b);
}

void manifest_write(const struct options *o, const struct verdict *v, const char *dir)
{
	write_manifest(o, v, dir);
	keep_parts(o, v, dir);
	write_repro(o, dir);
	rundir_drop_kernels();
}
