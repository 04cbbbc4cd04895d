// SPDX-License-Identifier: GPL-2.0
/* One kernel's life: started, listened to, asked for its last words when its time is up, put down, reaped. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "decode.h"
#include "hostlimits.h"
#include "run.h"
#include "rundir.h"

#define LAST_WORDS	3.0	/* s for the stacks of all tasks, */
#define QUIET		0.3	/* which are over when nothing comes for so long */
#define POWER_OFF	10.0	/* s, times the scale */
#define STACKS_UP_TO	5	/* kernels of a run whose own stacks are looked at: it takes a second */

static char *plan_text(const struct run *r, enum job job, int first, int end)
{
	struct buf b = { 0 };

	for (int i = first; i < end; i++) {
		const struct test *t = &r->v.plan.tests[i];
		double limit = r->opt->tool->debugger ? 7 * 86400 : verdict_limit(&r->v, t, job == JOB_TESTS);

		buf_printf(&b, "%s\t%s\t%s\t%.0f\n", t->name, t->program, t->harness, limit * 1000);
	}
	return b.s;
}

struct boot *boot_start(struct run *r, enum job job, int first, int end, int slot)
{
	struct boot *b = xcalloc(1, sizeof(*b));
	int nr = r->v.n_boots + 1;
	char *plan = plan_text(r, job, first, end);

	b->run = r;
	b->slot = slot;
	b->start = (struct start){ .opt = r->opt, .tool = tool_for(r->opt->tool, job), .job = job, .nr = nr,
				   .dir = xasprintf("%s/" RUN_BOOT "%d", r->dir, nr), .cpu = r->cpus[slot], .plan = plan,
				   .armed = r->armed };
	fprintf(r->console[slot], "==== boot %d: tests %d to %d%s%s\n", nr, first + 1, end, job == JOB_TESTS ? "" : ", ",
		job == JOB_TESTS ? "" : job_word(job));
	run_emitf(r, EV_START, nr, "%s %d %d %d", job_word(job), first, end, slot);
	b->v = verdict_boot(&r->v, nr);
	guest_start(&b->g, &b->start);
	free(plan);
	b->start.plan = NULL;
	return b;
}

/* Hand out what has come on one descriptor; false if there is nothing more for now. */
static bool drain(struct boot *b, int *fd, enum event_kind kind)
{
	char chunk[65536];
	ssize_t n;

	if (*fd < 0)
		return false;
	n = read(*fd, chunk, sizeof(chunk));
	if (n > 0) {
		if (b->quiet && kind == EV_CONSOLE)
			b->quiet = run_now(b->run) + QUIET;
		run_emit(b->run, kind, b->start.nr, chunk, n);
		return true;
	}
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return false;
	close(*fd);
	*fd = -1;
	return false;
}

/* Results first: a crash that follows a result belongs to the next test. */
static void drain_all(struct boot *b)
{
	bool more = true;

	while (more && !b->v->over) {
		more = drain(b, &b->g.result, EV_RESULT);
		more |= drain(b, &b->g.xml, EV_XML);
		more |= drain(b, &b->g.console, EV_CONSOLE);
		/* A kernel that never stops talking has its limits, too. */
		if (more && run_now(b->run) > boot_deadline(b))
			break;
	}
}

/* Resident memory of the kernel process, at most. */
static void note_peak(struct boot *b)
{
	char *path = xasprintf("/proc/%d/status", b->g.pid), *text = read_whole(path, NULL), *at;
	long kb = 0;

	at = text ? strstr(text, "VmHWM:") : NULL;
	if (at)
		kb = strtol(at + 6, NULL, 10);
	if (kb > b->run->v.peak_kb)
		run_emitf(b->run, EV_PEAK, b->start.nr, "%ld", kb);
	free(path);
	free(text);
}

/* The counters that the guest left, whatever became of it. */
static void keep_counters(const struct boot *b)
{
	char *from = xasprintf("%s/host/counters", b->start.dir), *dir = xasprintf("%s/" RUN_COVERAGE, b->run->dir);
	char *to = xasprintf("%s/counters.%d", dir, b->start.nr);

	mkdir(dir, 0755);
	if (rename(from, to) && errno != ENOENT)
		fprintf(stderr, "mmuml: warning: %s: %s\n", to, strerror(errno));
	free(from);
	free(dir);
	free(to);
}

/* Where the host's out-of-memory killer is seen to have ended it. @gone: without us. */
static void note_oom_kill(struct boot *b, bool gone)
{
	long long kills;

	if (!gone || !WIFSIGNALED(b->g.status) || WTERMSIG(b->g.status) != SIGKILL || b->run->v.ended)
		return;
	kills = limits_oom_kills("") - b->run->oom_kills;
	if (kills > 0)
		run_emitf(b->run, EV_END_RUN, 0, HOST_TOOK "out of memory (oom_kill of its control group: %lld); JOBS=1 takes less", kills);
}

static void end(struct boot *b)
{
	bool gone = guest_poll(&b->g);

	if (b->v->done)
		note_peak(b);
	guest_kill(&b->g, b->start.dir);
	if (b->run->opt->tool->debugger)
		run_emitf(b->run, EV_DEBUGGER, b->start.nr, "%d", WIFEXITED(b->g.status) ? WEXITSTATUS(b->g.status) : EX_FAIL);
	note_oom_kill(b, gone);
	run_emitf(b->run, EV_EXIT, b->start.nr, "%d", b->g.status);
	if (b->run->opt->coverage)
		keep_counters(b);
	remove_tree(b->start.dir);
	b->ended = true;
}

/* Its time is up: the stacks of all tasks, from inside if the kernel still answers, and of the kernel itself from outside. */
static void last_words(struct boot *b)
{
	struct run *r = b->run;
	struct buf host = { 0 };

	run_emit(r, EV_LIMIT, b->start.nr, "", 0);
	/* After the last test there is nobody whose stack would say anything. */
	if (b->v->done || b->g.gone) {
		end(b);
		return;
	}
	if (r->stacks++ < STACKS_UP_TO)
		decode_process(b->g.pid, &host);
	guest_sysrq(b->start.dir, 't');
	if (host.len)
		run_emit(r, EV_STACKS, b->start.nr, host.s, host.len);
	buf_free(&host);
	b->quiet = run_now(r) + QUIET;
	b->words_end = run_now(r) + LAST_WORDS;
}

double boot_deadline(const struct boot *b)
{
	if (b->quiet)
		return b->quiet < b->words_end ? b->quiet : b->words_end;
	if (b->put_down)
		return b->put_down_until;
	return verdict_deadline(&b->run->v, b->v);
}

/*
 * Arch/um kills the processes' stubs and may then be preempted by such a process, whose stub never answers: nothing comes after
 * "Power down".
 */
static void help_down(struct boot *b)
{
	b->put_down = true;
	b->put_down_until = run_now(b->run) + POWER_OFF * b->run->opt->scale;
	kill(-b->g.pid, SIGKILL);
}

void boot_step(struct boot *b)
{
	bool gone = guest_poll(&b->g);

	drain_all(b);
	/* A dead kernel's stubs may keep the pipes open for a moment: what was to come is in them already. */
	if (b->v->over || gone || (b->g.console < 0 && b->g.result < 0 && guest_poll(&b->g))) {
		end(b);
		return;
	}
	if (run_now(b->run) < boot_deadline(b))
		return;
	if (b->quiet)
		end(b);
	else if (b->v->powered_down && !b->v->done && !b->put_down)
		help_down(b);
	else
		last_words(b);
}

void boot_stop(struct boot *b, const char *why)
{
	run_emit(b->run, EV_STOP, b->start.nr, why, -1);
	end(b);
}

void boot_free(struct boot *b)
{
	free(b->start.dir);
	free(b);
}
