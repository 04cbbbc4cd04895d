// SPDX-License-Identifier: GPL-2.0
/*
 * Kernels until every test has its verdict: a long list is cut into pieces that as many kernels as there are CPUs take one after
 * the other; each kernel stays a machine of its own. One loop listens to all of them; there are no threads.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hostlimits.h"
#include "run.h"
#include "rundir.h"
#include "symbols.h"

#define SHARE		2	/* a piece is a kernel's share of what is left, divided by this: they end together */
#define COMPANIONS	2	/* kernels beside one, at most */
#define WRITE_EACH	2.0	/* s between two looks at the results so far */

struct piece { int first, end; };

volatile sig_atomic_t interrupted;

double run_now(const struct run *r)
{
	return now() - r->t0;
}

void run_emit(struct run *r, enum event_kind kind, int boot, const char *data, ssize_t len)
{
	char *copy = len < 0 ? xasprintf("%s", data) : memcpy(xcalloc(len + 1, 1), data, len);
	struct event e = { .t = run_now(r), .kind = kind, .boot = boot, .data = copy, .len = len < 0 ? strlen(data) : (size_t)len };
	struct vboot *b = verdict_boot(&r->v, boot);

	/* As it will be read again. */
	e.t = (long)(e.t * 1e6) / 1e6;
	record_write(r->record, &e);
	if (b && (kind == EV_CONSOLE || kind == EV_STACKS))
		fwrite(copy, 1, e.len, r->console[b->console]);
	verdict_event(&r->v, &e);
	free(copy);
}

void run_emitf(struct run *r, enum event_kind kind, int boot, const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		die(EX_HOST, NULL, NULL, "out of memory");
	va_end(ap);
	run_emit(r, kind, boot, s, -1);
	free(s);
}

/* ---- what is to be done next ---- */

/* No kernel goes without because others took too much of a short list. */
static int piece_min(const struct run *r)
{
	int share = (r->v.planned + r->jobs - 1) / r->jobs;

	return r->opt->tool->piece_min < share ? r->opt->tool->piece_min : share;
}

/* Take the next piece of the list; false when there is none. */
static bool next_piece(struct run *r, struct piece *p)
{
	int left = r->v.planned - r->next, piece = r->jobs > 1 ? left / (r->jobs * SHARE) : left;

	if (r->n_left) {
		*p = r->left[--r->n_left];
		return true;
	}
	if (piece < piece_min(r))
		piece = piece_min(r);
	p->first = r->next;
	p->end = r->next + (piece < left ? piece : left);
	r->next = p->end;
	return p->first < p->end;
}

static void put_back(struct run *r, int first, int end)
{
	if (first >= end)
		return;
	r->left = grow(r->left, r->n_left, sizeof(*r->left));
	r->left[r->n_left++] = (struct piece){ first, end };
}

/* Whether there is nothing to run of it: skipped at once, or done. */
static bool ended(const struct run *r, int i)
{
	return r->v.plan.tests[i].stage == TEST_ENDED;
}

static bool companions(const struct run *r)
{
	return r->opt->tool->companions[0] != JOB_TESTS;
}

/* Of the tests [next, end), those that one kernel runs end before this one. */
static int end_of_boot(const struct run *r, int next, int end)
{
	const struct test *t = r->v.plan.tests;

	if (r->opt->isolate || companions(r) || t[next].alone)
		return next + 1;
	while (++next < end && !t[next].alone && !ended(r, next))
		;
	return next;
}

/* ---- slots ---- */

static int free_slot(const struct run *r)
{
	for (int i = 0; i < r->slots; i++)
		if (!r->alive[i])
			return i;
	return -1;
}

/* Kernels of the plan and of wishes, not their companions. */
static int busy(const struct run *r)
{
	int n = 0;

	for (int i = 0; i < r->slots; i++)
		n += r->alive[i] && !r->alive[i]->main;
	return n;
}

static struct boot *occupy(struct run *r, enum job job, int first, int end, struct boot *main)
{
	int slot = free_slot(r);
	char *path;

	if (!r->console[slot]) {
		path = rundir_console(r->dir, slot);
		r->console[slot] = fopen(path, "we");
		if (!r->console[slot])
			die(EX_HOST, "df -h out", strerror(errno), "cannot write %s", path);
		free(path);
	}
	r->alive[slot] = boot_start(r, job, first, end, slot);
	r->alive[slot]->main = main;
	return r->alive[slot];
}

/* Start whatever there is room for; false if there is nothing left to start. */
static bool start_more(struct run *r)
{
	struct wish w;
	struct piece p;

	while (busy(r) < r->jobs && !r->v.ended && !interrupted) {
		if (verdict_wish(&r->v, false, &w)) {
			occupy(r, w.job, w.test, w.test + 1, NULL);
		} else if (next_piece(r, &p)) {
			struct boot *main;
			int end;

			while (p.first < p.end && ended(r, p.first))
				p.first++;
			if (p.first == p.end)
				continue;
			end = end_of_boot(r, p.first, p.end);
			put_back(r, end, p.end);
			main = occupy(r, JOB_TESTS, p.first, end, NULL);
			for (int i = 0; i < COMPANIONS && companions(r); i++)
				occupy(r, r->opt->tool->companions[i], p.first, end, main);
		} else if (verdict_wish(&r->v, true, &w)) {
			occupy(r, w.job, w.test, w.test + 1, NULL);
		} else {
			return busy(r);
		}
	}
	return busy(r) || !r->v.ended;
}

/* A test's kernel and its companions are gone: what they counted. */
static void counted(struct run *r, const int *boots, int test)
{
	const struct test *t = &r->v.plan.tests[test];
	struct buf counters = { 0 };

	buf_printf(&counters, "%s\n", t->name);
	if (!r->v.ended && t->kept.status == ST_PASS)
		r->opt->tool->counted(r->opt, r->dir, t, boots, &counters);
	if (counters.len > strlen(t->name) + 1)
		run_emit(r, EV_COUNTERS, 0, counters.s, counters.len);
	buf_free(&counters);
}

/* The kernel of @slot is gone. One with companions waits for them in its slot, they for it. */
static void vacate(struct run *r, int slot)
{
	struct boot *b = r->alive[slot], *main = b->main ? b->main : b;
	int boots[JOBS] = { 0 };

	if (b->start.job == JOB_TESTS)
		put_back(r, b->v->next, b->v->end);
	if (companions(r)) {
		for (int i = 0; i < r->slots; i++) {
			struct boot *c = r->alive[i];

			if (c && (c == main || c->main == main) && !c->ended)
				return;
			if (c && (c == main || c->main == main))
				boots[c->start.job] = c->start.nr;
		}
		counted(r, boots, main->v->first);
	}
	for (int i = 0; i < r->slots; i++) {
		struct boot *c = r->alive[i];

		if (c != main && (!c || c->main != main))
			continue;
		fflush(r->console[i]);
		r->alive[i] = NULL;
		if (c != main)
			boot_free(c);
	}
	boot_free(main);
}

/* ---- the loop ---- */

/* Wait until something comes from a kernel, or something is due. */
static void wait_for_news(struct run *r, double until)
{
	struct pollfd *p = xcalloc(4 * r->slots + 1, sizeof(*p));
	double left;
	int n = 0;

	for (int i = 0; i < r->slots; i++) {
		struct boot *b = r->alive[i];

		if (!b || b->ended)
			continue;
		p[n++] = (struct pollfd){ b->g.result, POLLIN, 0 };
		p[n++] = (struct pollfd){ b->g.xml, POLLIN, 0 };
		p[n++] = (struct pollfd){ b->g.console, POLLIN, 0 };
		p[n++] = (struct pollfd){ b->g.pidfd, POLLIN, 0 };
		if (boot_deadline(b) < until)
			until = boot_deadline(b);
	}
	left = until - run_now(r);
	poll(p, n, left <= 0 ? 0 : left > 1 ? 1000 : (int)(left * 1000) + 1);
	free(p);
}

static void stop_all(struct run *r)
{
	for (int i = 0; i < r->slots; i++) {
		struct boot *b = r->alive[i];

		if (b && !b->ended)
			boot_stop(b, r->v.ended ? r->v.ended : "the run ends");
	}
	for (int i = 0; i < r->slots; i++)
		if (r->alive[i])
			vacate(r, i);
}

static void check_end(struct run *r)
{
	if (r->v.ended)
		return;
	if (interrupted)
		run_emit(r, EV_END_RUN, 0, "interrupted", -1);
	else if (r->deadline && run_now(r) > r->deadline)
		run_emitf(r, EV_END_RUN, 0, "run timeout %gs", r->opt->run_limit * r->opt->scale);
}

/* Every test once, and what is wished on the way. */
static void round_of_tests(struct run *r, double *written)
{
	r->next = r->n_left = 0;
	while (start_more(r)) {
		wait_for_news(r, *written + WRITE_EACH);
		for (int i = 0; i < r->slots; i++) {
			struct boot *b = r->alive[i];

			if (!b || b->ended)
				continue;
			boot_step(b);
			if (b->ended)
				vacate(r, i);
		}
		check_end(r);
		if (r->v.ended)
			stop_all(r);
		if (run_now(r) > *written + WRITE_EACH) {
			results_write(&r->v, r->dir);
			*written = run_now(r);
		}
	}
	/* The stubs were children of kernels that are gone; as subreaper we get them. */
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* ---- a run ---- */

static void learn_symbol(void *arg, const char *key, const char *text)
{
	run_emitf(arg, EV_SYMBOL, 0, "%s\t%s", key, text);
}

/* The questions to the guest's detectors that this kernel has: text of ARMED_FILE, and settings of the record. */
static void ask_detectors(struct run *r)
{
	char *config = kconfig_read(r->opt, NULL);
	struct buf b = { 0 };

	for (int i = 0; i < n_detectors; i++) {
		const struct detector *d = &detectors[i];

		if (!d->option || !d->armed_key || !kconfig_has(config, d->option))
			continue;
		if (d->armed_file)
			buf_printf(&b, "%s\t%s\t%s\n", d->name, d->armed_file, d->armed_key);
		run_emitf(r, EV_SET, 0, "ask %s", d->name);
	}
	r->armed = b.s ? b.s : xasprintf("%s", "");
	free(config);
}

/* Whether @word is in the comma-separated @list, or that is "*". */
static bool listed(const char *list, const char *word)
{
	size_t n = strlen(word);

	if (!strcmp(list, "*"))
		return true;
	for (const char *at = list; (at = strstr(at, word)); at += n)
		if ((at == list || at[-1] == ',') && (!at[n] || at[n] == ','))
			return true;
	return false;
}

/* The rows of the guest's KNOWN that hold for this profile: NAME<tab>HOW<tab>KERNELS<tab>PROFILES<tab>REASON. */
static void record_known(struct run *r)
{
	const char *profile = r->opt->profile ? r->opt->profile : "fast", *text, *line;
	char *path = xasprintf("%s/" RUN_KNOWN, r->opt->guest), *all = read_whole(path, NULL);
	size_t len;
	int nr = 0;

	for (text = all ? all : ""; text_line(&text, &line, &len); ) {
		char *row = text_dup(line, len), *name = NULL, *how = NULL, *kernels = NULL, *profiles = NULL, *reason = NULL;

		nr++;
		if (len && *row != '#') {
			if (sscanf(row, "%m[^\t]\t%m[^\t]\t%m[^\t]\t%m[^\t]\t%m[^\n]", &name, &how, &kernels, &profiles, &reason) != 5 ||
			    (strcmp(how, "fail") && strcmp(how, "skip") && strcmp(how, "timeout") && strcmp(how, "report")))
				die(EX_USAGE, "see the first lines of tests/upstream/KNOWN", xasprintf("%s:%d: %s", path, nr, row),
				    "malformed line in the list of what is known to fail");
			if (listed(profiles, profile))
				run_emitf(r, EV_SET, 0, "known %s\t%s\t%s\t%s", name, how, kernels, reason);
		}
		free(row), free(name), free(how), free(kernels), free(profiles), free(reason);
	}
	free(all);
	free(path);
}

static void record_settings(struct run *r, const struct plan *plan)
{
	const struct options *o = r->opt;

	run_emitf(r, EV_SET, 0, "dir %s", r->dir);
	run_emitf(r, EV_SET, 0, "test-limit %.17g", o->test_limit);
	run_emitf(r, EV_SET, 0, "boot-limit %.17g", o->boot_limit);
	run_emitf(r, EV_SET, 0, "scale %.17g", o->scale);
	run_emitf(r, EV_SET, 0, "repeat %d", o->repeat);
	run_emitf(r, EV_SET, 0, "cpus %ld", o->cpus);
	run_emitf(r, EV_SET, 0, "isolate %d", o->isolate);
	run_emitf(r, EV_SET, 0, "gdb %d", o->tool->debugger);
	run_emitf(r, EV_SET, 0, "on-fail %d", o->on_fail);
	run_emitf(r, EV_SET, 0, "keep-going %d", o->keep_going);
	run_emitf(r, EV_SET, 0, "memcheck %d", o->tool->xml);
	if (!o->tool->debugger)
		ask_detectors(r);
	record_known(r);
	for (int i = 0; i < plan->n; i++) {
		char *line = plan_line(&plan->tests[i]);

		run_emit(r, EV_TEST, 0, line, -1);
		free(line);
	}
}

static void prepare(struct run *r)
{
	const struct options *o = r->opt;
	char *path;

	r->jobs = o->jobs;
	r->slots = r->jobs * (1 + COMPANIONS);
	r->console = xcalloc(r->slots, sizeof(*r->console));
	r->alive = xcalloc(r->slots, sizeof(*r->alive));
	r->cpus = xcalloc(r->slots, sizeof(*r->cpus));
	for (int i = 0; i < r->slots; i++)
		r->cpus[i] = companions(r) ? -1 : guest_next_cpu(i ? r->cpus[i - 1] : -1);
	r->dir = rundir_make(o->what, o->note);
	rundir_latest(r->dir);
	path = xasprintf("%s/" RUN_RECORD, r->dir);
	r->record = record_open(path, false);
	free(path);
	r->t0 = now();
	r->deadline = o->run_limit * o->scale;
	r->oom_kills = limits_oom_kills("");
}

static double since(double started)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return started ? ts.tv_sec + ts.tv_nsec / 1e9 - started : 0;
}

int run_all(const struct options *o, struct plan *plan)
{
	struct run r = { .opt = o };
	struct show show = { .opt = o, .v = &r.v };
	struct verdict_hooks hooks = { .symbol = symbols_find, .in_text = symbols_in_text, .settled = show_settled,
				       .outside = show_outside, .round = show_round, .arg = &show };
	double written = 0;

	prepare(&r);
	manifest_begin(o);
	show.dir = r.dir;
	symbols_init(learn_symbol, &r);
	verdict_init(&r.v, &hooks);
	history_read(plan, o);
	record_settings(&r, plan);
	results_write(&r.v, r.dir);
	for (int round = 1; round <= o->repeat && !r.v.ended && !interrupted; round++) {
		run_emitf(&r, EV_ROUND, 0, "%d", round);
		round_of_tests(&r, &written);
	}
	check_end(&r);
	if (o->repeat > 1 && !r.v.ended)
		show_round(&show, o->repeat);
	verdict_close(&r.v);
	run_emitf(&r, EV_DONE, 0, "%.3f", since(o->started));
	for (int i = 0; i < r.slots; i++)
		if (r.console[i] && fclose(r.console[i]))
			die(EX_HOST, "df -h out", strerror(errno), "cannot write the console's log in %s", r.dir);
	if (o->tool->refused && r.v.ended && !r.v.boot_s)
		o->tool->refused(r.dir);
	if (o->tool->conclude)
		o->tool->conclude(&r.v.plan, r.dir);
	results_write(&r.v, r.dir);
	manifest_write(o, &r.v, r.dir);
	if (!o->tool->debugger)
		history_write(&r.v, o);
	show_end(&show);
	return results_code(&r.v);
}
