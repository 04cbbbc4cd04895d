/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PID 1 of the guest: what its files offer to each other. What passes between it and the host is scripts/lib/protocol.h.
 * Nobody can be told of an error but the host, so functions return none: what makes the tests' results worthless ends in
 * die(), the rest is a line in the kernel's log.
 */
#ifndef MMUML_INIT_H
#define MMUML_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "protocol.h"

/* ---- base.c: the kernel's log, files and command line; the end ---- */

/* One line into the kernel's log; @fmt begins with its level, "<6>", and has no newline. Over 250 bytes are cut off. */
void kmsg(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void power_off(void) __attribute__((noreturn));
/* Power off with a reason, @what and errno, that the host prints: without a working init there is no test. */
void die(const char *what) __attribute__((noreturn));
/* Write @text to a file that is there; 0, or -errno, which is in the kernel's log too. */
int put_file(const char *path, const char *text);
/* realloc() that does not fail. */
void *grow(void *p, size_t size);

/* What the kernel command line asks for. */
struct settings {
	bool shell;		/* mmuml.mode=shell: a shell instead of the plan */
	bool coverage;		/* mmuml.coverage=1: gcov.c */
	bool counters;		/* mmuml.counters=1: counters.c */
	bool left;		/* mmuml.left=1: left.c */
	bool dry;		/* mmuml.dry=1: the programs of the tests are started, and run no test */
	char seed[32];		/* mmuml.seed=N: MMUML_SEED of the tests */
};
extern struct settings settings;
void read_settings(void);

/* ---- mounts.c ---- */

#define SWAP_DEVICE	"/dev/ubda"
/* All file systems that the tests need, hostfs with the host's files at /host, and swap. */
void mount_all(void);

/* ---- shell.c ---- */

/* A shell on the console, until it ends. */
void shell(void);

/* ---- run.c: the plan, one test ---- */

struct test {
	char *name, *program, *harness;
	long limit;		/* ms */
	pid_t pid;		/* of its first process, once it ran */
};

struct plan {
	struct test *tests;
	int n;
};

#define HELD_MAX	(256 * 1024)

/* What a test printed. Of more than HELD_MAX bytes the middle is lost: @lost bytes after the first HELD_MAX / 2. */
struct output {
	char text[HELD_MAX + 4096];
	size_t len, lost;
};

struct outcome {
	int status;		/* of waitpid() */
	bool timed_out;
	unsigned long taint;	/* bits that appeared during the test */
	int strays;		/* processes that outlived it */
	char left[256];		/* what else did; "" if nothing */
};

/* Whether the program is none of ours: started with words of its own, it says in TAP what it likes, and its exit code decides. */
static inline bool is_foreign(const struct test *t)
{
	return *t->harness == FOREIGN[0];
}

void read_plan(struct plan *plan);
/* Run one test to its end, or to the end of its time; nothing of it is running any more. */
void run_test(struct test *t, struct output *out, struct outcome *o);
/* Kill and reap everything but init; how many there were. */
int reap_strays(void);
/* What runs without any test, for coverage: the boot, then this program itself in the place of a test. */
void idle_windows(struct output *out);
/* Whether this process is that; it has nothing to do. */
bool is_idle_test(int argc, char **argv);

/* ---- collect.c ---- */

/* Milliseconds of CLOCK_MONOTONIC. */
long now_ms(void);
/* Read what the test's process prints, until it is gone or it is @deadline of now_ms(). Sets o->status, o->timed_out as well. */
void collect(int fd, pid_t pid, long deadline, struct output *out, struct outcome *o);
/* Every test of the plan, its results to the host. */
void run_plan(struct plan *plan);

/* ---- ktap.c: the result channel ---- */

/* Open it; the version, the plan and the seed. */
void ktap_begin(const struct plan *plan);
/* One line of the protocol that is no result: one of SAY_*, with its arguments. The host has it when this returns. */
void ktap_say(const char *what, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The result of test @nr, from 1, with all that it printed. */
void ktap_result(int nr, const struct test *t, const struct output *out, const struct outcome *o);
/* The plan was run. Returns when the host has all of it. */
void ktap_end(const struct plan *plan);

/* ---- counters.c: what the kernel counted over a whole test ---- */

/* Remember all counters as they are now; nothing of the test before is running. */
void counters_begin(void);
/* Read them again; all children of the test are reaped. */
void counters_end(void);
/* SAY_COUNTER for each that changed between the two. */
void counters_say(void);

/* ---- left.c: what is after a test as it was before ---- */

/* Remember how it is before the first test. */
void left_begin(void);
/*
 * Nothing of the test is running any more: what is not as it was, into @text, a string, "" if there is nothing. @kernel_only: only
 * what is the kernel's to keep right.
 */
void left_after(bool kernel_only, char *text, size_t size);

/* ---- gcov.c: the counters of the instrumented objects (CONFIG_GCOV_KERNEL), window by window ---- */

#define GCOV_DIR	"/sys/kernel/debug/gcov"
#define GCOV_STREAM	"/host/counters"
/* Open GCOV_STREAM and find the objects. Without it the other two do nothing. */
void gcov_open(void);
/* All counters to 0: a window begins. */
void gcov_reset(void);
/* The window ends: append its counters, under @name. */
void gcov_take(const char *name);

/* ---- leaks.c ---- */

/*
 * What kmemleak finds, into the kernel's log, each object with SAY_LEAK if a test of the plan allocated it; SAY_ARMED whether
 * it still works. Nothing without kmemleak in the kernel.
 */
void say_leaks(const struct plan *plan);

/* ---- armed.c ---- */

/* SAY_ARMED for each line of /host/armed. */
void say_armed(void);

#endif
