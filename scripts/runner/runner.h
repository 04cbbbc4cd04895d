/* SPDX-License-Identifier: GPL-2.0 */
/* The runner's types and the interface of each of its files. */
#ifndef MMUML_RUNNER_H
#define MMUML_RUNNER_H

#include <pthread.h>
#include <signal.h>
#include <sys/types.h>

#include "../lib/kit.h"

/* ---- rundir.c ---- */

/* Make out/runs/<UTC>-<what> and write its name to the file @note, may be NULL; exits with EX_HOST if it cannot. */
char *report_dir(const char *what, const char *note);
/* Point out/latest to it; exits with EX_HOST if that cannot be done. */
void report_latest(const char *dir);

/* ---- plan.c: which tests there are, and which were asked for ---- */

enum status { ST_PENDING, ST_PASS, ST_FAIL, ST_SKIP, ST_REPORT, ST_TIMEOUT, ST_NOTRUN };

struct test {
	char *name;		/* area.file.case */
	char *program, *harness, *purpose;
	enum status status;	/* the worst of all rounds of --repeat */
	enum status latest;	/* of the last round */
	char *reason;		/* in parentheses in the output; NULL if there is none */
	struct buf log;		/* what it printed: in the round that failed, else in the last */
	struct buf counters;	/* "counter NAME N" lines of --counters: init's, then its own */
	struct buf trace;	/* reports of the kernel while it ran, decoded */
	double began, ms;
	int boot;		/* in which boot it ran, from 1 */
};

static inline bool went_wrong(enum status s)
{
	return s == ST_FAIL || s == ST_REPORT || s == ST_TIMEOUT;
}

struct plan {
	struct test *tests;
	int n;
};

/* Read tests.list; exits with EX_USAGE if it cannot be read. */
void plan_read(struct plan *all, const char *path);
/* The tests that match a comma- or blank-separated list of globs, in the order of the list file. An element that matches
 * none is an error that names what is near (EX_USAGE). Without globs: all but the kit's own (area "kit"). */
void plan_select(struct plan *out, const struct plan *all, const char *globs);

/* ---- ktap.c: the one KTAP reader ---- */

enum ktap_kind { KTAP_VERSION, KTAP_PLAN, KTAP_OK, KTAP_NOT_OK, KTAP_DIAG, KTAP_BEGIN, KTAP_DONE, KTAP_OTHER };

struct ktap_line {
	enum ktap_kind kind;
	long nr;		/* of a result; count of a plan or of done */
	char name[256];		/* of a result or begin */
	bool skip;
	char reason[512];	/* after "# SKIP ", or inside "# (...)" */
	const char *text;	/* of a diagnostic, without "# " */
};

/* Take one line (no newline) apart. Never fails: what is no KTAP is KTAP_OTHER. */
void ktap_parse(const char *line, struct ktap_line *out);

/* ---- watch.c: what a line of the kernel's console means ---- */

enum report_kind {
	RP_NONE, RP_PANIC, RP_OOPS, RP_BUG, RP_WARN, RP_KASAN, RP_UBSAN, RP_LOCKDEP, RP_HUNG, RP_STALL,
	RP_KMEMLEAK, RP_BADPAGE, RP_HOST_MEMORY, RP_BEGIN, RP_END, RP_POWER_DOWN, RP_INIT,
};

struct report {
	enum report_kind kind;
	char what[256];		/* the kernel's own words, or the test's name for RP_BEGIN and RP_END */
};

/* Classify one console line; RP_NONE for most. */
void watch_line(const char *line, struct report *out);
const char *report_word(enum report_kind kind);	/* "panic", "KASAN", ... */

/* ---- decode.c: addresses to function and file:line, by libdw ---- */

/* Open the debug information of @vmlinux (lazily, at the first address). */
void decode_init(const char *vmlinux);
/* What is at a code address: the functions inlined there, innermost first, then the one that they are in. @file: NULL if unknown. */
typedef void (*decode_frame)(void *arg, const char *fn, const char *file, int line);
/* Hand each of them to @frame; false if @addr is not in the kernel's text. */
bool decode_frames(unsigned long addr, decode_frame frame, void *arg);
/* Append @line to @out with " func (file:line)" after each kernel text address. */
void decode_line(const char *line, struct buf *out);
/* "file:line" of the first frame of @text that is not part of the kernel's panic and report machinery, or NULL; static storage. */
const char *decode_culprit(const char *text);
/* Path as the kernel's users write it: relative to the tree; static or part of @path. */
const char *decode_short_path(const char *path);
/* Stacks of every thread of a live process that may be traced, decoded, into @out. */
void decode_process(pid_t pid, struct buf *out);
void decode_end(void);

/* ---- host.c: what this machine must allow ---- */

/* Check /dev/shm (or TMPDIR), memory, ptrace and seccomp, vm.max_map_count; all that is wrong is printed at once.
 * Exits with EX_HOST if a kernel cannot be started. */
void host_check(long mem_mb);
/* The same as a table for "make doctor"; returns the number of problems. */
int host_report(long mem_mb);

/* ---- guest.c: one kernel process ---- */

struct options {
	const char *kernel, *guest;	/* vmlinux; directory with base.cpio, cpio/, swap.img, ext4.img */
	const char *tests, *what, *profile, *tree, *series, *linux_path, *given;
	const char *append;		/* further words of the kernel command line */
	const char *hostfs;		/* --shell: directory to show at /host */
	const char *seed;
	long mem_mb, cpus;
	double scale, boot_limit, test_limit, run_limit;
	int repeat, jobs;
	bool isolate, shell, verbose, list, counters;
	bool gdb, attach;		/* the guest runs under gdb; gdb on a guest that runs already */
	bool on_fail;			/* --gdb: of all tests, stop at the first that fails */
	const char *valgrind;		/* the tool that the guest runs under; NULL: none */
	bool origins;			/* memcheck: remember where each undefined value came from, half as fast */
	bool dry;			/* the test's program is started, and runs no test */
	bool coverage;			/* keep the counters of each test in <run directory>/coverage/counters.* */
	const char *probe;		/* addresses and lines: note which of them run in <run directory>/ran */
	const char *note;		/* file that gets the run directory's name */
	double started;			/* time() when the user's command began, 0 if unknown */
};

struct guest {
	pid_t pid;
	int pidfd, console, result;	/* -1 once closed */
	int status;			/* of waitpid(), once gone */
	bool gone;
};

/*
 * Start a kernel in @dir (a directory for its private files, made here) that reads @plan_text, with its one CPU on the
 * host's @cpu, if that is not -1. Exits with EX_HOST if it cannot.
 */
void guest_start(struct guest *g, const struct options *o, const char *dir, const char *plan_text, int cpu);
/* The host's CPU for the next kernel at work beside the one on CPU @last: ours if -1. -1 if it cannot be told. */
int guest_next_cpu(int last);
/* Run an interactive shell in the guest on this terminal; the kernel's exit status. */
int guest_shell(const struct options *o, const char *dir);
/* Ask the kernel for the stacks of all its tasks (mconsole sysrq); 0 or -errno. The answer is on the console. */
int guest_sysrq(const char *dir, char key);
/* Kill it and everything of its process group, and reap; of a guest under gdb, the kernel in @dir too. Nothing the second time. */
void guest_kill(struct guest *g, const char *dir);
/* waitpid() without blocking; true once it is gone. */
bool guest_poll(struct guest *g);

/* ---- gdb.c: gdb around a kernel ---- */

/* In the child that would become a kernel: become a gdb that will start it. Descriptor CONSOLE_FD is its console. */
#define CONSOLE_FD	6
void gdb_exec(const char *dir, const struct options *o, char **kernel_argv) __attribute__((noreturn));
/* Note the state of the terminal before a gdb gets it; @back: take it back as it was. */
void gdb_terminal(bool back);
/* Whatever is left of the kernel that a gdb, now gone, started in @dir. */
void gdb_kill_kernel(const char *dir);
/* gdb on the newest guest of this checkout that is still running, whoever started it; gdb's exit status. */
int guest_attach(void);

/* ---- valgrind.c: valgrind around a kernel ---- */

/* Exits with EX_HOST or EX_USAGE if there is no valgrind that will do, or the kernel or its command line does not. */
void valgrind_check(const struct options *o);
/* The words before the kernel's own, in @argv; returns how many. @dir: of the boot, "…/boot7". */
int valgrind_words(char **argv, const struct options *o, const char *dir);
/* In the child that becomes valgrind. */
void valgrind_env(const struct options *o);
struct vg;
/* The reports of boot @nr; before it is started. */
struct vg *valgrind_open(const char *run_dir, int nr);
/* Wait until the log says that @test has ended, or the kernel is gone, but not for long. */
void valgrind_wait(struct vg *v, const char *test, bool (*gone)(void *), void *arg);
/* Move the reports made while @test ran (NULL: outside tests) to the end of @out; returns how many, and in @first the kind and
 * place of the first, malloc'ed. */
int valgrind_take(struct vg *v, const char *test, struct buf *out, char **first);
void valgrind_close(struct vg *v);
/* Exits with EX_HOST if the first kernel did not come up because valgrind would not start it, in valgrind's own words. */
void valgrind_refused(const char *run_dir);

/* ---- plot.c ---- */

struct point { double x, y; };

struct curve {
	const char *name;
	struct point *at;	/* malloc'ed by curve_add() */
	int n;
};

/* "rmap.cost.depth-5" -> 5, and where it begins; NULL without digits at the end. */
const char *number_at_end(const char *name, double *x);
void curve_add(struct curve *c, double x, double y);
/* Write @svg with @n curves, sorted by x; NULL, or why there is none, malloc'ed. No text may hold a quote. */
char *plot_svg(const char *svg, const char *title, const char *xlabel, const char *ylabel, struct curve *c, int n);

/* ---- ir.c: instructions of a test ---- */

/* Subtract the counts of boot @dry from those of boot @boot, and take what kcalls wrote in boot @calls: as counters of @t, to
 * profile.txt of the run directory, and the larger ones, or those of the functions that F= names with their lines, to the
 * terminal. */
void ir_report(const struct options *o, const char *run_dir, struct test *t, int boot, int dry, int calls);
/* For each function that F= names: what it cost with what it calls, in the whole test and a call, over the numbers at the end
 * of the tests' names, as FUNCTION.svg and FUNCTION.call.svg of the run directory. */
void ir_plots(const struct plan *plan, const char *run_dir);

/* ---- run.c: boots until every test has its verdict ---- */

struct run {
	struct plan plan;
	const struct options *opt;
	char *dir;		/* out/runs/... */
	pthread_mutex_t lock;	/* over everything below, the tests, libdw and the terminal */
	int next;		/* first test that no kernel has been given yet */
	int jobs;		/* kernels at a time */
	int boots;
	double boot_s, tests_s;
	struct buf boot_reports;	/* reports outside any test, decoded */
	int n_boot_reports;
	int origins;			/* how often a test was run again for them */
	bool asked_boot;		/* for what boot reports, no more */
	char *fatal;		/* why there is no result at all: "boot timeout 10s", ... */
	enum status fatal_status;
	char *release;		/* of the kernel, from its banner */
	long peak_kb;		/* resident memory of the kernel process, at most */
	int gdb_status;		/* --gdb: how gdb ended */
};

void run_all(struct run *r);
extern volatile sig_atomic_t interrupted;

/* ---- report.c: the run directory and the verdict ---- */

/* Print what happened to one test, as it is known. */
void report_test(const struct run *r, const struct test *t);
/* Write results.ktap, results.json, junit.xml, manifest.json, repro.sh, verdict; print the last line; the exit code. */
int report_all(struct run *r, int argc, char **argv);

#endif
