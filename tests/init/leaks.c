// SPDX-License-Identifier: GPL-2.0
/*
 * Objects that nothing leads to any more (Documentation/dev-tools/kmemleak.rst), with the stacks that allocated them, and
 * the test that was running then: kmemleak remembers the process, and the numbers of processes grow from test to test.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "init.h"

#define KMEMLEAK	"/sys/kernel/debug/kmemleak"
#define WORKER		"kworker/"

/* The process that allocated the object, and its name in @comm, if @line is the one of a report that says so; or -1. */
static pid_t allocated_by(const char *line, char *comm, size_t size)
{
	static const char before[] = "  comm \"", after[] = "\", pid ";
	const char *at = NULL, *next;

	if (strncmp(line, before, strlen(before)))
		return -1;
	line += strlen(before);
	/* The last: the process chose its name. */
	for (next = strstr(line, after); next; next = strstr(next + 1, after))
		at = next;
	if (!at)
		return -1;
	snprintf(comm, size, "%.*s", (int)(at - line), line);
	return atoi(at + strlen(after));
}

/* Whether the numbers began anew, so that one stands for two processes. */
static bool numbers_reused(const struct plan *plan)
{
	pid_t last = 0;

	for (int i = 0; i < plan->n; i++) {
		if (!plan->tests[i].pid)
			continue;
		if (plan->tests[i].pid < last)
			return true;
		last = plan->tests[i].pid;
	}
	return false;
}

/*
 * The test during which the process began, NULL if it began before the first, or is no test's. All processes of tests
 * are gone: one that is still there is a thread of the kernel, as is a worker that is gone.
 */
static const struct test *test_of(const struct plan *plan, pid_t pid, const char *comm)
{
	const struct test *t = NULL;

	if (numbers_reused(plan) || !kill(pid, 0) || !strncmp(comm, WORKER, strlen(WORKER)))
		return NULL;
	for (int i = 0; i < plan->n && plan->tests[i].pid <= pid; i++)
		if (plan->tests[i].pid)
			t = &plan->tests[i];
	return t;
}

/* kmemleak's list into the kernel's log; after the lines of one object its test to the host. */
static void copy_reports(FILE *f, const struct plan *plan)
{
	const struct test *owner = NULL;
	char *line = NULL, comm[64];
	size_t size = 0;

	while (getline(&line, &size, f) > 0) {
		pid_t pid = allocated_by(line, comm, sizeof(comm));

		if (*line != ' ' && owner) {
			ktap_say(SAY_LEAK, "%s", owner->name);
			owner = NULL;
		}
		if (pid > 0)
			owner = test_of(plan, pid, comm);
		kmsg("<4>%.*s", (int)strcspn(line, "\n"), line);
	}
	if (owner)
		ktap_say(SAY_LEAK, "%s", owner->name);
	free(line);
}

/* Twice: it reports what is five seconds old and did not change between two scans. */
void say_leaks(const struct plan *plan)
{
	int refused;
	FILE *f;

	if (access(KMEMLEAK, F_OK))
		return;
	refused = put_file(KMEMLEAK, "scan");
	refused = refused ? refused : put_file(KMEMLEAK, "scan");
	ktap_say(SAY_ARMED, "kmemleak %d", !refused);
	f = fopen(KMEMLEAK, "re");
	if (!f)
		return;
	copy_reports(f, plan);
	fclose(f);
}
