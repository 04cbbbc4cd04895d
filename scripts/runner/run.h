/* SPDX-License-Identifier: GPL-2.0 */
/* A run in progress: one thread owns it, and all that happens goes through run_emit(). */
#ifndef MMUML_RUN_H
#define MMUML_RUN_H

#include "results.h"
#include "tool.h"

struct run {
	const struct options *opt;
	struct verdict v;
	char *dir;		/* out/runs/... */
	FILE *record;
	FILE **console;		/* by slot, opened when the first kernel there starts */
	struct boot **alive;	/* by slot; NULL: free */
	int *cpus;		/* of the host, by slot */
	int slots, jobs;	/* kernels at a time: with companions; of the plan */
	int next;		/* first test that no kernel has been given yet */
	struct piece *left;	/* parts of pieces whose kernel ended before their end */
	int n_left;
	double t0, deadline;	/* monotonic; of the whole run, in s of the run, 0 if none */
	char *armed;		/* text of ARMED_FILE */
	long long oom_kills;	/* of our control groups before the run (limits_oom_kills()) */
	int stacks;		/* how often a kernel's own stacks were looked at */
};

/* Record an event, and let the verdict know. @data: @len bytes, -1: up to its NUL. */
void run_emit(struct run *r, enum event_kind kind, int boot, const char *data, ssize_t len);
void run_emitf(struct run *r, enum event_kind kind, int boot, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Seconds of the run. */
double run_now(const struct run *r);

/* ---- sched.c ---- */

/* Run the tests @plan, and write the results of them into a new run directory; the exit code. */
int run_all(const struct options *o, struct plan *plan);

/* ---- boot.c: one kernel's life ---- */

struct boot {
	struct run *run;
	struct vboot *v;
	struct start start;
	struct guest g;
	int slot;
	struct boot *main;	/* the kernel that this one is a companion of, or NULL */
	double quiet;		/* s of the run: last words are over if nothing comes until then; 0: not at them */
	double words_end;	/* or at the latest then */
	bool put_down;		/* killed because it was on its way out and did not come to the end of it */
	double put_down_until;
	bool ended;
};

/* Start a kernel for tests [first, end) in @slot. */
struct boot *boot_start(struct run *r, enum job job, int first, int end, int slot);
/* Take what has come from it, and its end. @now: s of the run. */
void boot_step(struct boot *b);
/* Until when nothing needs to be done about it if nothing comes, in s of the run. */
double boot_deadline(const struct boot *b);
/* Put it down, with the run. */
void boot_stop(struct boot *b, const char *why);
void boot_free(struct boot *b);

#endif
