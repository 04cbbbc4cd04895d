/* SPDX-License-Identifier: GPL-2.0 */
/* Options of the runner, one kernel process, and what the machine must allow. */
#ifndef MMUML_RUNNER_H
#define MMUML_RUNNER_H

#include <signal.h>
#include <sys/types.h>

#include "../lib/kit.h"
#include "verdict.h"

struct tool;

struct options {
	const char *kernel, *guest;	/* vmlinux; directory with base.cpio, cpio/, swap.img, ext4.img */
	const char *tests, *first, *what, *profile, *tree, *series, *linux_path, *given;
	const char *append;		/* further words of the kernel command line */
	const char *hostfs;		/* --shell: directory to show at /host */
	const char *seed;
	long mem_mb, cpus;
	double scale, boot_limit, test_limit, run_limit;	/* limits in s, before the scale */
	int repeat, jobs;		/* @jobs: kernels at a time, 0: what suits the host */
	bool isolate, verbose, counters, keep_going;
	bool on_fail;			/* gdb: of all tests, stop at the first that fails */
	const struct tool *tool;	/* under which the kernel runs */
	bool coverage;			/* keep the counters of each test in <run directory>/coverage/counters.* */
	const char *probe;		/* addresses and lines: note which of them run in <run directory>/ran */
	const char *note;		/* file that gets the run directory's name */
	double started;			/* time() when the user's command began, 0 if unknown */
	int argc;
	char **argv;			/* the command line, for the manifest */
};

extern volatile sig_atomic_t interrupted;

/* ---- host.c: what this machine must allow ---- */

/*
 * Whether the kernels of guests lie at the same addresses in each run, which Docker's default profile forbids. Where they do not,
 * UML adds the distance of its heap to the guest's memory (linux_main() of arch/um/kernel/um_arch.c).
 */
bool host_fixes_addresses(void);
#define ADDRESSES_VARY	"memory and counts vary from run to run: personality(ADDR_NO_RANDOMIZE) is refused (a container's profile?)"
/* Check /dev/shm (or TMPDIR, TMP, TEMP), memory, seccomp, vm.max_map_count, and ptrace if the kernel is to be @traced; all that is
 * wrong is printed at once. Exits with EX_HOST if a kernel cannot be started. */
void host_check(long mem_mb, bool traced);
/* Exits with EX_HOST if ptrace is forbidden. */
void host_check_ptrace(void);
/*
 * How many kernels of @mem_mb MB at a time this host can take, at least 1: @wanted of them, 0: two for each CPU that may be
 * used; not more than @most, of which there is use. If memory, or the file system that the guests' memory is in, has not room
 * for so many, *@why, which the caller frees, says what; else it is NULL.
 */
int host_jobs(int wanted, int most, long mem_mb, char **why);
/* The checks, and what limits the kernels at a time, as a table for "make doctor"; returns the number of problems. */
int host_report(long mem_mb);

/* ---- guest.c: one kernel process ---- */

/* How one kernel is started. */
struct start {
	const struct options *opt;
	const struct tool *tool;
	enum job job;
	int nr;				/* of the boot */
	char *dir;			/* its private files, made here */
	int cpu;			/* of the host, for its one CPU; -1: any */
	const char *plan, *armed;	/* texts of PLAN_FILE and ARMED_FILE, see protocol.h */
};

struct guest {
	pid_t pid;
	int pidfd, console, result, xml;	/* -1 once closed, or never there */
	int status;				/* of waitpid(), once gone */
	bool gone;
};

/* Start a kernel. Exits with EX_HOST if it cannot. */
void guest_start(struct guest *g, const struct start *s);
/* The host's CPU for the next kernel at work beside the one on CPU @last: ours if -1. -1 if it cannot be told. */
int guest_next_cpu(int last);
/* Run an interactive shell in the guest on this terminal, with its files in @dir; the kernel's exit status. */
int guest_shell(const struct options *o, const char *dir);
/* Ask the kernel for the stacks of all its tasks (mconsole sysrq); 0 or -errno. The answer is on the console. */
int guest_sysrq(const char *dir, char key);
/* Kill it and everything of its process group, and reap; of a guest under gdb, the kernel in @dir too. Nothing the second time. */
void guest_kill(struct guest *g, const char *dir);
/* waitpid() without blocking; true once it is gone. */
bool guest_poll(struct guest *g);

/* ---- kconfig.c: the .config beside a kernel ---- */

/* Its path, malloc'ed. */
char *kconfig_path(const struct options *o);
/* Its text and, unless NULL, its length; NULL if it cannot be read. */
char *kconfig_read(const struct options *o, size_t *len);
/* Whether CONFIG_@option is y in this text, which may be NULL. */
bool kconfig_has(const char *config, const char *option);

/* ---- gdb.c: gdb around a kernel ---- */

/* Note the state of the terminal before a gdb gets it; @back: take it back as it was. */
void gdb_terminal(bool back);
/* Whatever is left of the kernel that a gdb, now gone, started in @dir. */
void gdb_kill_kernel(const char *dir);
/* gdb on the newest guest of this checkout that is still running, whoever started it; gdb's exit status. */
int guest_attach(void);

/* ---- valgrind.c ---- */

/* Exits with EX_HOST if the first kernel of the run did not come up because valgrind would not start it, in its own words. */
void valgrind_refused(const char *run_dir);

/* ---- ir.c: instructions of a test ---- */

/* Subtract the counts of boot @dry from those of boot @boot, and take what kcalls wrote in boot @calls: as "counter NAME N" lines
 * into @counters, to profile.txt of the run directory, and the larger ones, or those of the functions that F= names with their
 * lines, to the terminal. */
void ir_report(const struct options *o, const char *run_dir, const char *test, int boot, int dry, int calls, struct buf *counters);
/* For each function that F= names: what it cost with what it calls, in the whole test and a call, over the numbers at the end
 * of the tests' names, as FUNCTION.svg and FUNCTION.call.svg of the run directory. */
void ir_plots(const struct plan *plan, const char *run_dir);

#endif
