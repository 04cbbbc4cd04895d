// SPDX-License-Identifier: GPL-2.0
/* Run in-guest tests in a UML kernel and say how they ended. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "decode.h"
#include "options.h"
#include "replay.h"
#include "run.h"
#include "rundir.h"

static void on_signal(int sig)
{
	interrupted = sig;
}

/* Whatever ends us, the kernel and its stubs go too: we are their reaper, and they die with us. */
static void take_charge(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int list(const struct plan *all)
{
	for (int i = 0; i < all->n; i++)
		if (strncmp(all->tests[i].name, "kit.", 4))
			printf("%-44s %s\n", all->tests[i].name, all->tests[i].purpose);
	return EX_PASS;
}

static int shell(const struct options *o)
{
	char *dir = rundir_make("shell", NULL), *work = xasprintf("%s/" RUN_BOOT "1", dir);
	int code;

	signal(SIGINT, SIG_IGN);
	code = guest_shell(o, work);
	remove_tree(dir);
	free(work);
	free(dir);
	return code;
}

/* What needs no kernel; -1 if a kernel is asked for. */
static int without_kernel(const struct options *o, const struct request *q)
{
	switch (q->action) {
	case DO_DOCTOR:
		return host_report(o->mem_mb) ? EX_HOST : EX_PASS;
	case DO_DETECTORS:
		detect_table(stdout);
		return EX_PASS;
	case DO_REPLAY:
		return replay(q->dir, q->into);
	case DO_RESULT:
		return rundir_query(q->dir, q->key ? q->key : "verdict");
	case DO_AMEND:
		return amend(q->dir, q->status, q->why, q->add, o->started);
	case DO_ATTACH:
		take_charge();
		return guest_attach();
	default:
		return -1;
	}
}

/* Of the tests that match, those that this guest can run. */
static void select_tests(const struct options *o, struct plan *plan, struct plan *all)
{
	char *path = xasprintf("%s/tests.list", o->guest);

	plan_read(all, path);
	plan_select(plan, all, o->tests);
	if (o->first)
		plan_first(plan, o->first);
	free(path);
}

/* A note if the host takes fewer kernels at a time than were asked for, or suit its CPUs. */
static void choose_jobs(struct options *o, const struct plan *plan)
{
	char *why;

	o->jobs = host_jobs(o->jobs, plan->n / o->tool->piece_min, o->mem_mb, &why);
	if (why)
		printf("  NOTE    %d kernel%s of %ld MB at a time: %s\n", o->jobs, o->jobs > 1 ? "s" : "", o->mem_mb, why);
	free(why);
}

/* What is said to be exact is, or is not said. */
static void check_addresses(const struct options *o)
{
	if (host_fixes_addresses())
		return;
	if (o->tool->counted)
		die(EX_HOST, "docker run --security-opt seccomp=unconfined, or outside the container", ADDRESSES_VARY,
		    "no exact counts on this host");
	printf("  NOTE    " ADDRESSES_VARY "\n");
}

/* A kernel for one CPU would take no notice of a second: what should race would not. */
static void check_cpus(const struct options *o)
{
	char *config = o->cpus > 1 ? kconfig_read(o, NULL) : NULL;

	if (config && !kconfig_has(config, "SMP"))
		die(EX_USAGE, "make list  (another KERNEL= or LINUX=)", xasprintf("%s has no CONFIG_SMP=y", kconfig_path(o)),
		    "%ld CPUs are not to be had of this kernel", o->cpus);
	free(config);
}

int main(int argc, char **argv)
{
	struct options o;
	struct request q;
	struct plan plan, all;
	int code;

	options_read(&o, &q, argc, argv);
	code = without_kernel(&o, &q);
	if (code >= 0)
		return code;
	if (!o.guest || (!o.kernel && q.action != DO_LIST))
		die(EX_USAGE, "mmuml-run --help", NULL, "--kernel and --guest are needed");
	if (q.action == DO_LIST) {
		char *path = xasprintf("%s/tests.list", o.guest);

		plan_read(&all, path);
		return list(&all);
	}
	if (access(o.kernel, X_OK))
		die(EX_USAGE, "make build", strerror(errno), "no kernel at %s", o.kernel);
	take_charge();
	if (q.action == DO_SHELL) {
		host_check(o.mem_mb, false);
		return shell(&o);
	}
	select_tests(&o, &plan, &all);
	check_cpus(&o);
	if (o.tool->check)
		o.tool->check(&o);
	host_check(o.mem_mb, o.tool->traced);
	check_addresses(&o);
	choose_jobs(&o, &plan);
	decode_init(o.kernel);
	code = run_all(&o, &plan);
	decode_end();
	return code;
}
