// SPDX-License-Identifier: GPL-2.0
/*
 * Counters over a whole test, in namespaces: vmstat:NAME, slab:CACHE (objects in use), fault:minor and fault:major (of the
 * test and all its children), lock:CLASS (acquisitions, all modes and subclasses of the class; needs LOCK_STAT),
 * hold:CLASS-R, hold:CLASS-W (ns, the longest hold for reading, writing; without a suffix if one mode only was seen).
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "init.h"

#define NAME_MAX_LEN	96

struct counter {
	char name[NAME_MAX_LEN];
	long before, after;
};

static struct counter *table;
static int nr, cap;
static int cursor;		/* the files list their names in nearly the same order each time */
static bool second;		/* which of the two readings this is */

static struct counter *find(const char *name)
{
	for (int i = 0; i < nr; i++) {
		struct counter *c = &table[(cursor + i) % nr];

		if (!strcmp(c->name, name)) {
			cursor = (c - table + 1) % nr;
			return c;
		}
	}
	if (nr == cap) {
		cap += 512;
		table = grow(table, cap * sizeof(*table));
	}
	table[nr] = (struct counter){ 0 };
	snprintf(table[nr].name, sizeof(table[nr].name), "%s", name);
	return &table[nr++];
}

/* Names hold no blanks: the line is split at them. */
static struct counter *counter(const char *space, const char *name)
{
	char full[NAME_MAX_LEN];

	snprintf(full, sizeof(full), "%s:%s", space, name);
	for (char *p = full; *p; p++)
		if (*p == ' ' || *p == '\t')
			*p = '_';
	return find(full);
}

static void add(const char *space, const char *name, long value)
{
	struct counter *c = counter(space, name);

	if (second)
		c->after += value;
	else
		c->before += value;
}

static void poke(const char *path, const char *what)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (write(fd, what, 1) < 0)
			perror(path);
		close(fd);
	}
}

/* What the test's processes left to RCU callbacks is freed, and charged to this test instead of the next. */
static void settle(void)
{
	poke("/sys/module/rcutree/parameters/do_rcu_barrier", "1");
}

static void read_vmstat(void)
{
	char line[256], name[80];
	long value;
	FILE *f;

	/* The per-CPU differences are folded in; without it each nr_* may be off by 125. */
	poke("/proc/sys/vm/stat_refresh", "1");
	f = fopen("/proc/vmstat", "re");
	/* The thresholds are computed from the free pages: no counters. */
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%79s %ld", name, &value) == 2 && !strstr(name, "threshold"))
			add("vmstat", name, value);
	if (f)
		fclose(f);
}

static void read_slabs(void)
{
	FILE *f = fopen("/proc/slabinfo", "re");
	char line[512], name[80];
	long active;

	while (f && fgets(line, sizeof(line), f))
		if (line[0] != '#' && sscanf(line, "%79s %ld", name, &active) == 2)
			add("slab", name, active);
	if (f)
		fclose(f);
}

/* "  NAME[#VERSION][/SUBCLASS][-R|-W]:  con-bounces ... acquisitions ...": the name of the class alone, and the mode, which
 * is only there for a class that was taken in both modes. */
static char *class_of(char *line, const char **numbers, char *mode)
{
	char *colon = strrchr(line, ':'), *end = colon, *p;

	if (!colon)
		return NULL;
	*colon = '\0';
	*numbers = colon + 1;
	*mode = '\0';
	line += strspn(line, " ");
	if (end - line > 2 && end[-2] == '-' && (end[-1] == 'R' || end[-1] == 'W')) {
		*mode = end[-1];
		*(end -= 2) = '\0';
	}
	for (p = end; p > line && p[-1] >= '0' && p[-1] <= '9'; p--)
		;
	if (p < end && p - line > 1 && p[-1] == '/')
		*(end = p - 1) = '\0';
	for (p = end; p > line && p[-1] >= '0' && p[-1] <= '9'; p--)
		;
	if (p < end && p - line > 1 && p[-1] == '#')
		p[-1] = '\0';
	return line;
}

/* The longest of the class, since the test began: counters_begin() has cleared them. */
static void add_hold(const char *class, char mode, double usec)
{
	char name[NAME_MAX_LEN];
	struct counter *c;

	snprintf(name, sizeof(name), mode ? "%s-%c" : "%s", class, mode);
	c = counter("hold", name);
	if (usec * 1000 > c->after)
		c->after = usec * 1000;
}

static void read_locks(void)
{
	FILE *f = fopen("/proc/lock_stat", "re");
	const char *numbers;
	char line[512], *name, mode;
	double longest;
	long acquired;

	while (f && fgets(line, sizeof(line), f)) {
		name = class_of(line, &numbers, &mode);
		if (!name || sscanf(numbers, "%*s %*s %*s %*s %*s %*s %*s %ld %*s %lf", &acquired, &longest) != 2)
			continue;
		add("lock", name, acquired);
		if (second)
			add_hold(name, mode, longest);
	}
	if (f)
		fclose(f);
}

static void read_faults(void)
{
	struct rusage ru;

	getrusage(RUSAGE_CHILDREN, &ru);
	add("fault", "minor", ru.ru_minflt);
	add("fault", "major", ru.ru_majflt);
}

void counters_begin(void)
{
	if (!nr)
		settle();
	for (int i = 0; i < nr; i++)
		table[i].before = table[i].after = 0;
	second = false;
	cursor = 0;
	read_slabs();
	read_vmstat();
	read_faults();
	poke("/proc/lock_stat", "0");
	read_locks();
}

void counters_end(void)
{
	settle();
	second = true;
	cursor = 0;
	read_locks();
	read_faults();
	read_vmstat();
	read_slabs();
}

void counters_say(void)
{
	for (int i = 0; i < nr; i++)
		if (table[i].after != table[i].before)
			ktap_say(SAY_COUNTER, "%s %ld", table[i].name, table[i].after - table[i].before);
}
