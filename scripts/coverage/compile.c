// SPDX-License-Identifier: GPL-2.0
/* Compilations of the build again, for another output: the words that kbuild kept, no wrapper, no shell. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "gather.h"

extern char **environ;

/* What kbuild asked for that we do not: an object, and a list of what it was made of. */
static bool is_output(const char *word)
{
	return !strcmp(word, "-c") || !strncmp(word, "-Wp,-MMD", 8) || !strncmp(word, "-Wp,-MD", 7);
}

/* The words that compiled the object, up to what they compile into, followed by @add and the source. */
static char **words_of(struct job *j, const struct kbuild_cmd *k, const char *name, const char *const *add)
{
	char **from = kbuild_words(k), **words = NULL;
	int n = 0;

	if (!from || !k->source) {
		j->error = xasprintf("%s: the command there is none that can be run again", name);
		goto out;
	}
	for (char **w = from + kbuild_wrapper(from); *w; w++) {
		if (!strcmp(*w, "-o") && w[1])
			w++;
		else if (!is_output(*w) && strcmp(*w, k->source)) {
			words = grow(words, n, sizeof(*words));
			words[n++] = xasprintf("%s", *w);
		}
	}
	for (; *add; add++) {
		words = grow(words, n, sizeof(*words));
		words[n++] = xasprintf("%s", *add);
	}
	words = grow(words, n, sizeof(*words));
	words[n++] = xasprintf("%s", k->source);
	words = grow(words, n, sizeof(*words));
out:
	kbuild_free_words(from);
	return words;
}

void job_prepare(struct job *j, const char *build, const char *scratch, const char *const *add)
{
	char *name = kbuild_cmd_path(j->object), *path = xasprintf("%s/%s", build, name);
	struct kbuild_cmd *k = kbuild_read(path);
	static int nr;

	j->out = xasprintf("%s/%d.out", scratch, ++nr);
	j->err = xasprintf("%s/%d.err", scratch, nr);
	if (k)
		j->words = words_of(j, k, name, add);
	else
		j->error = xasprintf("%s: %s", name, strerror(errno));
	kbuild_free(k);
	free(path);
	free(name);
}

static void start(struct job *j, const char *cwd)
{
	posix_spawn_file_actions_t fa;
	int err;

	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&fa, 1, j->out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_addopen(&fa, 2, j->err, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_addchdir_np(&fa, cwd);
	err = posix_spawnp(&j->pid, j->words[0], &fa, NULL, j->words, environ);
	posix_spawn_file_actions_destroy(&fa);
	if (err) {
		j->pid = 0;
		j->error = xasprintf("%s: %s", j->words[0], strerror(err));
	}
}

/* Of what the compiler printed, the line that says what is wrong. */
static char *first_error(const char *text)
{
	const char *at = strstr(text, "error: ");

	while (at && at > text && at[-1] != '\n')
		at--;
	if (!at)
		at = text;
	return xasprintf("%.*s", (int)strcspn(at, "\n"), at);
}

static void finish(struct job *j, int status)
{
	char *text = status ? read_whole(j->err, NULL) : NULL;

	j->pid = 0;
	if (status && text && *text)
		j->error = first_error(text);
	else if (status)
		j->error = xasprintf("%s ended with status %#x and said nothing", j->words[0], status);
	free(text);
}

static int cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);
}

void jobs_run(struct job *jobs, int n, const char *cwd)
{
	int next = 0, running = 0, status, most = cpus();
	pid_t pid;

	while (next < n || running) {
		if (next < n && running < most) {
			if (!jobs[next].error)
				start(&jobs[next], cwd);
			running += jobs[next++].pid > 0;
			continue;
		}
		pid = wait(&status);
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			die(EX_HOST, NULL, strerror(errno), "a compiler was lost");
		for (int i = 0; i < next; i++)
			if (jobs[i].pid == pid) {
				finish(&jobs[i], status);
				running--;
			}
	}
}

void job_free(struct job *j)
{
	kbuild_free_words(j->words);
	free(j->object);
	free(j->out);
	free(j->err);
	free(j->error);
}
