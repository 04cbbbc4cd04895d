// SPDX-License-Identifier: GPL-2.0
/* How much of this machine its processes may use: CPUs and memory, by affinity and control groups of both versions. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/kit.h"
#include "hostlimits.h"

/* What counts as no limit: the kernel's PAGE_COUNTER_MAX of version 1 is a little less than this many bytes. */
#define UNLIMITED	(1LL << 60)

/* One control group that this process is in, and the mount below which it stands. */
struct group {
	const char *root;
	char *dir, *mount;	/* without @root */
	bool v2;
};

static char *read_at(const char *root, const char *dir, const char *file)
{
	char *path = xasprintf("%s%s/%s", root, dir, file), *text = read_whole(path, NULL);

	free(path);
	return text;
}

/* The number after @key in @text, at the beginning of a line; -1 if there is none. */
static long long number_of(const char *text, const char *key)
{
	size_t len = strlen(key), n;
	const char *line;

	while (text_line(&text, &line, &n))
		if (n > len && !strncmp(line, key, len))
			return strtoll(line + len, NULL, 10);
	return -1;
}

/* All of a file as one number; @none if it is not there or says "max". */
static long long number_in(const struct group *g, const char *file, long long none)
{
	char *text = read_at(g->root, g->dir, file), *end = NULL;
	long long n = text ? strtoll(text, &end, 10) : none;

	if (text && end == text)
		n = none;
	free(text);
	return n;
}

/* Whether the list @words, separated by commas and ended by blank, ':' or the end, has @word. */
static bool has_word(const char *words, const char *word)
{
	size_t len = strlen(word);

	while (*words && !strchr(" :\n", *words)) {
		size_t n = strcspn(words, ", :\n");

		if (n == len && !strncmp(words, word, n))
			return true;
		words += n + (words[n] == ',');
	}
	return false;
}

/* The path of our group in /proc/self/cgroup: of the hierarchy with @controller, or of version 2. Malloc'ed, or NULL. */
static char *path_of(const char *cgroup, const char *controller, bool v2)
{
	const char *line;
	size_t n;

	while (text_line(&cgroup, &line, &n)) {
		const char *words = memchr(line, ':', n), *path = words ? memchr(words + 1, ':', n - (words + 1 - line)) : NULL;

		if (!path)
			continue;
		if (v2 ? path == words + 1 && line[0] == '0' : has_word(words + 1, controller))
			return text_dup(path + 1, n - (path + 1 - line));
	}
	return NULL;
}

/*
 * Where that hierarchy is mounted, from /proc/self/mountinfo (proc_pid_mountinfo(5)); @top gets the group that is the root of
 * the mount. False if it is not mounted.
 */
static bool mount_of(const char *mounts, const char *controller, bool v2, char top[4096], char where[4096])
{
	char type[64], options[4096];
	const char *line, *rest;
	size_t n;

	while (text_line(&mounts, &line, &n)) {
		char *copy = text_dup(line, n);
		bool ours = sscanf(copy, "%*s %*s %*s %4095s %4095s", top, where) == 2 && (rest = strstr(copy, " - ")) &&
			    sscanf(rest, " - %63s %*s %4095s", type, options) == 2 &&
			    (v2 ? !strcmp(type, "cgroup2") : !strcmp(type, "cgroup") && has_word(options, controller));

		free(copy);
		if (ours)
			return true;
	}
	return false;
}

/* Our group with that controller; false if there is none. Ended by group_end(). */
static bool group_find(struct group *g, const char *root, const char *controller, bool v2)
{
	char *cgroup = read_at(root, "/proc/self", "cgroup"), *mounts = read_at(root, "/proc/self", "mountinfo");
	char *path = path_of(cgroup, controller, v2), top[4096], where[4096];
	size_t len;

	*g = (struct group){ .root = root, .v2 = v2 };
	if (path && mount_of(mounts, controller, v2, top, where)) {
		/* In a container the mount shows a part of the hierarchy, and the path may be that of the host. */
		len = strcmp(top, "/") ? strlen(top) : 0;
		g->mount = xasprintf("%s", where);
		g->dir = xasprintf("%s%s", where, strncmp(path, top, len) || !strcmp(path + len, "/") ? "" : path + len);
		if (strstr(g->dir, "/.."))
			strcpy(g->dir, where);
	}
	free(path);
	free(cgroup);
	free(mounts);
	return g->dir;
}

/* The group above; false at the top of the mount. */
static bool group_up(struct group *g)
{
	char *slash = strrchr(g->dir, '/');

	if (!slash || strlen(g->dir) <= strlen(g->mount))
		return false;
	*slash = '\0';
	return true;
}

static void group_end(struct group *g)
{
	free(g->dir);
	free(g->mount);
}

/* CPUs that the group's quota is worth; negative if it has none. */
static double quota_of(const struct group *g)
{
	long long quota = -1, period = 0;
	char *text;

	if (!g->v2) {
		quota = number_in(g, "cpu.cfs_quota_us", -1);
		period = number_in(g, "cpu.cfs_period_us", 0);
	} else if ((text = read_at(g->root, g->dir, "cpu.max"))) {
		if (sscanf(text, "%lld %lld", &quota, &period) != 2)
			quota = -1;
		free(text);
	}
	return quota > 0 && period > 0 ? (double)quota / period : -1;
}

/*
 * Bytes that the group may still take; negative if it has no limit. What the cache of files holds is given back when somebody
 * needs it.
 */
static long long memory_of(const struct group *g)
{
	const char *prefix = g->v2 ? "" : "total_", *used = g->v2 ? "memory.current" : "memory.usage_in_bytes";
	long long max = number_in(g, g->v2 ? "memory.max" : "memory.limit_in_bytes", UNLIMITED), left;
	long long high = g->v2 ? number_in(g, "memory.high", UNLIMITED) : UNLIMITED;
	char *stat = read_at(g->root, g->dir, "memory.stat");

	left = (high < max ? high : max) - number_in(g, used, 0);
	for (int i = 0; stat && i < 2; i++) {
		char *key = xasprintf("%s%sactive_file ", prefix, i ? "in" : "");
		long long cache = number_of(stat, key);

		left += cache > 0 ? cache : 0;
		free(key);
	}
	free(stat);
	if (high >= UNLIMITED / 2 && max >= UNLIMITED / 2)
		return -1;
	return left > 0 ? left : 0;
}

static void take_cpus(struct limits *l, const struct group *g)
{
	double cpus = quota_of(g);

	if (cpus < 0 || cpus >= l->cpus)
		return;
	free(l->cpus_by);
	l->cpus = cpus;
	l->cpus_by = xasprintf("the quota of %g CPUs of %s", cpus, g->dir);
}

static void take_memory(struct limits *l, const struct group *g)
{
	long long left = memory_of(g);

	if (left < 0 || (l->memory_mb >= 0 && left >> 20 >= l->memory_mb))
		return;
	free(l->memory_by);
	l->memory_mb = left >> 20;
	l->memory_by = xasprintf("the memory limit of %s", g->dir);
}

static void take_all(struct limits *l, const char *root, const char *controller, bool v2,
		     void (*take)(struct limits *l, const struct group *g))
{
	struct group g;

	if (group_find(&g, root, controller, v2))
		do
			take(l, &g);
		while (group_up(&g));
	group_end(&g);
}

void limits_read(struct limits *l, const char *root)
{
	char *meminfo = read_at(root, "/proc", "meminfo");
	long long kb = number_of(meminfo, "MemAvailable:");
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;

	*l = (struct limits){ .cpus = online, .memory_mb = kb < 0 ? -1 : kb / 1024 };
	if (!sched_getaffinity(0, sizeof(set), &set) && CPU_COUNT(&set) < online) {
		l->cpus = CPU_COUNT(&set);
		l->cpus_by = xasprintf("the affinity to %d of %ld CPUs", CPU_COUNT(&set), online);
	}
	for (int v2 = 0; v2 < 2; v2++) {
		take_all(l, root, "cpu", v2, take_cpus);
		take_all(l, root, "memory", v2, take_memory);
	}
	free(meminfo);
}

static long long oom_kills_of(const struct group *g)
{
	char *text = read_at(g->root, g->dir, g->v2 ? "memory.events" : "memory.oom_control");
	long long n = text ? number_of(text, "oom_kill ") : 0;

	free(text);
	return n > 0 ? n : 0;
}

/* The groups above count those below as well in version 2 only: the most is what concerns us. */
long long limits_oom_kills(const char *root)
{
	long long most = 0;

	for (int v2 = 0; v2 < 2; v2++) {
		struct group g;

		if (group_find(&g, root, "memory", v2))
			do {
				long long n = oom_kills_of(&g);

				most = n > most ? n : most;
			} while (group_up(&g));
		group_end(&g);
	}
	return most;
}

void limits_free(struct limits *l)
{
	free(l->cpus_by);
	free(l->memory_by);
}
