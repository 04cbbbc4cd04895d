// SPDX-License-Identifier: GPL-2.0
/*
 * Boots until every test has its verdict. Two streams come from a kernel: the result channel (KTAP from init) and the
 * console. A test is finished when its result has come on the one and its end marker on the other, so that a report
 * of the kernel is never charged to the wrong test. After a crash, and after any report (most detectors speak
 * only once per boot), the tests that are left run in a fresh boot. A long list is cut into pieces that as many
 * kernels as there are CPUs take one after the other; each kernel stays a one-CPU machine of its own.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner.h"

#define GRACE		10.0	/* seconds that the host waits longer than the guest's own limit */
#define POWER_OFF	10.0	/* seconds for the power-off after the last test */
#define ORIGINS_UP_TO	20	/* tests that are run again for memcheck to say where undefined values came from */
#define TRACE_MAX	(512 * 1024)
#define PIECE_MIN	24	/* tests for which another kernel is worth its boot */
#define PIECE_MIN_VG	100	/* of a long list under valgrind, where a boot takes some 2 s of a CPU, and a test 0.2 s */
#define SHARE		2	/* a piece is a kernel's share of what is left, divided by this: they end together */

struct worker {
	struct run *run;
	pthread_t thread;
	FILE *console;		/* console.log, console-2.log, ... */
	int cpu;		/* of the host, -1 if any */
	double deadline;	/* of the whole run, 0 if none */
};

volatile sig_atomic_t interrupted;

struct boot {
	struct run *run;
	FILE *console;
	struct guest g;
	char *dir;
	int nr;				/* of this boot, from 1 */
	int first, end;			/* tests [first, end) of the plan are in this boot */
	int seen_result, seen_console;	/* tests whose result / whose end marker has come: [first, n) */
	int finished;			/* tests whose verdict was given: [first, n) */
	int in_console;			/* test that runs as the console has it, -1 between tests */
	int began;			/* last test that init announced, -1 before */
	bool version, planned, done, powered_down, stop;
	bool reported;			/* the test in progress made the kernel complain */
	struct vg *vg;			/* memcheck's reports, NULL without it */
	struct buf con, res;		/* unfinished lines */
	struct buf kernel_log;		/* console text since the last begin marker */
	enum report_kind first_report;
	char first_what[256];
	double started, deadline;
};

static bool exhausted(const struct boot *b)
{
	return b->seen_result == b->end && b->seen_console == b->end;
}

/* @seconds from now; a guest that gdb holds has all the time there is. */
static double deadline(const struct run *r, double seconds)
{
	return r->opt->gdb ? now() + 1e9 : now() + seconds * r->opt->scale;
}

static double test_deadline(const struct run *r)
{
	return deadline(r, r->opt->test_limit) + GRACE;
}

/* ---- the test's verdict ---- */

/* Repetitions (REPEAT=) keep the worst that happened. */
static void settle(const struct boot *b, struct test *t, enum status status, const char *reason)
{
	t->ms = (now() - t->began) * 1000;
	t->boot = b->nr;
	t->latest = status;
	if (t->status == ST_PENDING || t->status == ST_PASS || (t->status == ST_SKIP && status != ST_PASS)) {
		t->status = status;
		free(t->reason);
		t->reason = reason && *reason ? xasprintf("%s", reason) : NULL;
	}
}

static void decode_text(const char *text, struct buf *out)
{
	const char *end;

	for (; text && *text && out->len < TRACE_MAX; text = *end ? end + 1 : end) {
		char *line;

		end = strchrnul(text, '\n');
		line = xasprintf("%.*s", (int)(end - text), text);
		decode_line(line, out);
		buf_add(out, "\n", 1);
		free(line);
	}
}

/* "panic: mm/rmap.c:1234" from the first report's words or, if they name no place, from its decoded stack. */
static char *report_reason(const struct boot *b, const char *trace)
{
	const char *word = report_word(b->first_report), *at, *culprit;
	struct buf words = { 0 };
	char place[128];

	if (b->first_report == RP_KASAN || b->first_report == RP_UBSAN || b->first_report == RP_LOCKDEP ||
	    b->first_report == RP_BADPAGE || b->first_report == RP_HUNG || b->first_report == RP_KMEMLEAK) {
		culprit = decode_culprit(trace ? trace : "");
		return culprit ? xasprintf("%s: %.80s: %s", word, b->first_what, culprit)
			       : xasprintf("%s: %.120s", word, b->first_what);
	}
	for (at = b->first_what; (at = strchr(at, ':')); at++) {
		const char *from = at;

		while (from > b->first_what && from[-1] != ' ')
			from--;
		if (at[1] >= '0' && at[1] <= '9' && memchr(from, '.', at - from)) {
			snprintf(place, sizeof(place), "%.*s", (int)(at + 1 + strspn(at + 1, "0123456789") - from), from);
			return xasprintf("%s: %s", word, place);
		}
	}
	/* "ip 0x60001234" says it best. */
	decode_line(b->first_what, &words);
	culprit = decode_culprit(words.s);
	if (!culprit)
		culprit = decode_culprit(trace ? trace : "");
	buf_free(&words);
	return culprit ? xasprintf("%s: %.80s: %s", word, b->first_what, culprit)
		       : xasprintf("%s: %.120s", word, b->first_what);
}

/* ---- kernels beside others ---- */

static char *plan_text(const struct run *r, int first, int end)
{
	struct buf b = { 0 };

	for (int i = first; i < end; i++) {
		const struct test *t = &r->plan.tests[i];

		buf_printf(&b, "%s\t%s\t%s\t%d\n", t->name, t->program, t->harness,
			   r->opt->gdb ? 7 * 86400 : (int)r->opt->test_limit);
	}
	return b.s;
}

/* The number of the next kernel, and where it will live, malloc'ed. */
static char *next_dir(struct run *r, int *nr)
{
	pthread_mutex_lock(&r->lock);
	*nr = ++r->boots;
	pthread_mutex_unlock(&r->lock);
	return xasprintf("%s/boot%d", r->dir, *nr);
}

/* A boot beside the one that runs test @i, which talks less than its pipes hold: only what its tool writes is of interest. */
struct aside {
	struct guest g;
	char *dir;
	int nr;
	struct vg *vg;		/* memcheck's reports, NULL of other tools */
};

static void aside_start(struct run *r, int i, const char *tool, bool dry, struct aside *a)
{
	struct options o = *r->opt;
	char *text = plan_text(r, i, i + 1);

	a->dir = next_dir(r, &a->nr);
	o.valgrind = tool;
	o.dry = dry;
	a->vg = NULL;
	if (!strcmp(tool, "memcheck")) {
		o.origins = true;
		a->vg = valgrind_open(r->dir, a->nr);
	}
	guest_start(&a->g, &o, a->dir, text, -1);
	free(text);
}

static void aside_end(struct run *r, struct aside *a)
{
	double end = now() + (r->opt->boot_limit + r->opt->test_limit) * r->opt->scale;
	struct pollfd p = { a->g.pidfd, POLLIN, 0 };

	while (!guest_poll(&a->g) && now() < end && !interrupted)
		poll(&p, 1, 100);
	guest_kill(&a->g, a->dir);
	remove_tree(a->dir);
	free(a->dir);
}

/* ---- memcheck's reports ---- */

static bool memcheck(const struct run *r)
{
	return r->opt->valgrind && !strcmp(r->opt->valgrind, "memcheck");
}

/* Reports go to memcheck.txt, too, each with the test that ran. */
static void keep_reports(const struct run *r, const char *test, const char *text)
{
	char *path = xasprintf("%s/memcheck.txt", r->dir);
	FILE *f = fopen(path, "ae");

	if (!f)
		die(EX_HOST, "df -h out", strerror(errno), "cannot write %s", path);
	for (const char *end; text && *text; text = *end ? end + 1 : end) {
		end = strchrnul(text, '\n');
		if (!strncmp(text, "memcheck: ", 10))
			fprintf(f, "%s%s: ", ftell(f) ? "\n" : "", test ? test : "(outside the tests)");
		fprintf(f, "%.*s\n", (int)(end - text), text);
	}
	if (fclose(f))
		die(EX_HOST, "df -h out", strerror(errno), "cannot write %s", path);
	free(path);
}

/* "Conditional jump or move depends on uninitialised value(s)", "Uninitialised byte(s) found", ... */
static bool is_undefined(const struct buf *text)
{
	return text->s && strstr(text->s, "ninitialised");
}

/*
 * Where the undefined values of the reports @text came from is known to a memcheck that is half as fast: test @i (@outside:
 * only its program's start) runs again there, and its reports take the place of @text. With the lock held, which others
 * get meanwhile.
 */
static void look_for_origins(struct run *r, int i, bool outside, struct buf *text)
{
	struct buf again = { 0 };
	struct aside a;
	char *first;

	if (!is_undefined(text) || interrupted)
		return;
	if (r->origins++ >= ORIGINS_UP_TO) {
		buf_printf(text, "  (origins: looked for in the first %d of such reports only)\n", ORIGINS_UP_TO);
		return;
	}
	pthread_mutex_unlock(&r->lock);
	aside_start(r, i, "memcheck", outside, &a);
	aside_end(r, &a);
	pthread_mutex_lock(&r->lock);
	valgrind_take(a.vg, outside ? NULL : r->plan.tests[i].name, &again, &first);
	valgrind_close(a.vg);
	free(first);
	if (is_undefined(&again)) {
		buf_free(text);
		*text = again;
		return;
	}
	buf_printf(text, "  (origins: not met again by a memcheck that looks for them)\n");
	buf_free(&again);
}

static bool is_gone(void *arg)
{
	struct boot *b = arg;

	return guest_poll(&b->g);
}

/* Reports outside tests. */
static void take_outside(struct boot *b)
{
	struct run *r = b->run;
	struct buf text = { 0 };
	char *first;

	r->n_boot_reports += valgrind_take(b->vg, NULL, &text, &first);
	if (!r->asked_boot) {
		r->asked_boot = is_undefined(&text);
		look_for_origins(r, b->first, true, &text);
	}
	keep_reports(r, NULL, text.s);
	buf_add(&r->boot_reports, text.s ? text.s : "", text.len);
	buf_free(&text);
	free(first);
}

/* Reports on a test, if there are any; most it makes only once per boot, as other detectors do. */
static bool take_memcheck(struct boot *b, int i)
{
	struct test *t = &b->run->plan.tests[i];
	struct buf text = { 0 };
	char *first, *reason;
	int n;

	valgrind_wait(b->vg, t->name, is_gone, b);
	n = valgrind_take(b->vg, t->name, &text, &first);
	if (n) {
		reason = xasprintf("memcheck: %s", first);
		t->status = ST_PENDING;
		settle(b, t, ST_REPORT, reason);
		free(reason);
		b->stop = true;
		guest_kill(&b->g, b->dir);
		look_for_origins(b->run, i, false, &text);
		keep_reports(b->run, t->name, text.s);
		buf_add(&t->trace, text.s, text.len);
	}
	buf_free(&text);
	free(first);
	take_outside(b);
	return n;
}

/* What is known of test @i is all there will be: print it, and end the boot if the kernel complained. */
static void finish(struct boot *b, int i)
{
	struct test *t = &b->run->plan.tests[i];

	bool charged = b->vg && take_memcheck(b, i);

	if (b->reported || t->status == ST_TIMEOUT)
		decode_text(b->kernel_log.s, &t->trace);
	/* What memcheck saw comes first, a crash may be what became of it. */
	if (b->reported && !charged) {
		char *reason = report_reason(b, t->trace.s);

		t->status = ST_PENDING;
		settle(b, t, ST_REPORT, reason);
		free(reason);
		b->stop = !b->run->opt->gdb;
	}
	b->reported = false;
	b->first_report = RP_NONE;
	if (b->run->opt->isolate)
		b->stop = true;
	report_test(b->run, t);
}

static void maybe_finish(struct boot *b)
{
	if (b->finished >= b->seen_result || b->finished >= b->seen_console)
		return;
	pthread_mutex_lock(&b->run->lock);
	while (b->finished < b->seen_result && b->finished < b->seen_console)
		finish(b, b->finished++);
	pthread_mutex_unlock(&b->run->lock);
}

/* The guest's word cannot be taken: say so on the test that was running, and end the boot. */
static void protocol_error(struct boot *b, const char *what)
{
	struct run *r = b->run;

	b->stop = true;
	pthread_mutex_lock(&r->lock);
	if (b->began >= b->seen_result) {
		settle(b, &r->plan.tests[b->began], ST_FAIL, what);
		r->plan.tests[b->began].status = ST_FAIL;
		report_test(r, &r->plan.tests[b->began]);
		b->seen_result = b->seen_console = b->began + 1;
	} else if (!r->fatal) {
		r->fatal = xasprintf("%s", what);
		r->fatal_status = ST_FAIL;
	}
	pthread_mutex_unlock(&r->lock);
}

/* ---- the result channel ---- */

static void take_result(struct boot *b, const struct ktap_line *k)
{
	struct run *r = b->run;
	int i = b->seen_result;
	struct test *t = i < b->end ? &r->plan.tests[i] : NULL;

	if (!t || b->began != i || k->nr != i - b->first + 1 || strcmp(k->name, t->name)) {
		char *what = xasprintf("KTAP: result %ld '%s' when %s was running", k->nr, k->name,
				       t && b->began == i ? t->name : "no test");

		protocol_error(b, what);
		free(what);
		return;
	}
	if (k->kind == KTAP_OK)
		settle(b, t, k->skip ? ST_SKIP : ST_PASS, k->reason);
	else
		settle(b, t, strncmp(k->reason, "timeout", 7) ? ST_FAIL : ST_TIMEOUT, k->reason);
	b->seen_result++;
	b->deadline = test_deadline(r);
}

static void result_line(struct boot *b, const char *line)
{
	struct run *r = b->run;
	struct ktap_line k;
	struct test *t;

	ktap_parse(line, &k);
	switch (k.kind) {
	case KTAP_VERSION:
		b->version = true;
		if (!r->boot_s)
			r->boot_s = now() - b->started;
		b->deadline = test_deadline(r);
		break;
	case KTAP_PLAN:
		if (b->planned || k.nr != b->end - b->first)
			protocol_error(b, "KTAP: a plan that is not ours");
		b->planned = true;
		break;
	case KTAP_BEGIN:
		if (b->seen_result >= b->end || strcmp(k.name, r->plan.tests[b->seen_result].name)) {
			protocol_error(b, "KTAP: a test that was not next");
			break;
		}
		b->began = b->seen_result;
		t = &r->plan.tests[b->began];
		t->began = now();
		if (!went_wrong(t->status))
			t->log.len = 0;
		b->deadline = test_deadline(r);
		break;
	case KTAP_OK:
	case KTAP_NOT_OK:
		take_result(b, &k);
		break;
	case KTAP_DONE:
		if (k.nr != b->end - b->first || b->seen_result != b->end)
			protocol_error(b, "KTAP: done before the plan was");
		b->done = true;
		b->deadline = deadline(r, POWER_OFF);
		break;
	case KTAP_DIAG:
		if (b->began < 0 || b->began != b->seen_result)
			break;
		t = &r->plan.tests[b->began];
		if (r->opt->counters && !strncmp(k.text, "counter ", 8))
			buf_printf(&t->counters, "%s\n", k.text);
		else if (!went_wrong(t->status))
			buf_printf(&t->log, "%s\n", k.text);
		break;
	case KTAP_OTHER:
		if (*line)
			protocol_error(b, "KTAP: a line that is none");
		break;
	}
}

/* ---- the console ---- */

static void note_report(struct boot *b, const struct report *rp)
{
	struct run *r = b->run;

	if (b->in_console < 0 && b->seen_console < b->end && b->began < b->seen_console) {
		pthread_mutex_lock(&r->lock);
		r->n_boot_reports++;
		buf_printf(&r->boot_reports, "%s: ", report_word(rp->kind));
		decode_line(rp->what, &r->boot_reports);
		buf_add(&r->boot_reports, "\n", 1);
		pthread_mutex_unlock(&r->lock);
	}
	if (b->first_report == RP_NONE || (rp->kind == RP_PANIC && b->first_report == RP_BUG)) {
		/* "BUG: failure at mm/rmap.c:7/f()!" names the place, the panic that follows does not. */
		if (b->first_report == RP_NONE)
			snprintf(b->first_what, sizeof(b->first_what), "%s", rp->what);
		b->first_report = rp->kind;
	}
	if (b->in_console >= 0)
		b->reported = true;
}

static void console_line(struct boot *b, const char *line)
{
	struct run *r = b->run;
	struct report rp;

	fprintf(b->console, "%s\n", line);
	watch_line(line, &rp);
	switch (rp.kind) {
	case RP_NONE:
		if (!r->release && !strncmp(line, "Linux version ", 14))
			r->release = xasprintf("%.*s", (int)strcspn(line + 14, " "), line + 14);
		break;
	case RP_BEGIN:
		if (b->seen_console < b->end && !strcmp(rp.what, r->plan.tests[b->seen_console].name)) {
			b->in_console = b->seen_console;
			b->kernel_log.len = 0;
		}
		return;
	case RP_END:
		if (b->in_console >= 0 && !strcmp(rp.what, r->plan.tests[b->in_console].name)) {
			b->seen_console = b->in_console + 1;
			b->in_console = -1;
		}
		return;
	case RP_POWER_DOWN:
		b->powered_down = true;
		/* Its end is near, also if a test and not init has called for it. */
		if (!b->done)
			b->deadline = now() + POWER_OFF * r->opt->scale;
		break;
	case RP_INIT:
		if (!r->fatal)
			r->fatal = xasprintf("init: %s", rp.what);
		r->fatal_status = ST_FAIL;
		break;
	default:
		note_report(b, &rp);
	}
	if (b->kernel_log.len < TRACE_MAX)
		buf_printf(&b->kernel_log, "%s\n", line);
}

/* ---- streams ---- */

/* Hand out the whole lines of what has come; -1 at the end of the stream. */
static int drain(struct boot *b, int *fd, struct buf *keep, void (*take)(struct boot *, const char *))
{
	char chunk[65536], *start, *nl;
	ssize_t n = read(*fd, chunk, sizeof(chunk));

	if (n < 0 && errno == EINTR)
		return 0;
	if (n <= 0) {
		if (keep->len)
			take(b, keep->s);
		keep->len = 0;
		close(*fd);
		*fd = -1;
		return -1;
	}
	buf_add(keep, chunk, n);
	for (start = keep->s; (nl = memchr(start, '\n', keep->s + keep->len - start)); start = nl + 1) {
		*nl = '\0';
		if (nl > start && nl[-1] == '\r')
			nl[-1] = '\0';
		if (!b->stop)
			take(b, start);
	}
	keep->len -= start - keep->s;
	memmove(keep->s, start, keep->len);
	return 0;
}

static void pump(struct boot *b, int timeout_ms)
{
	struct pollfd p[3] = {
		{ .fd = b->g.console, .events = POLLIN },
		{ .fd = b->g.result, .events = POLLIN },
		{ .fd = b->g.gone ? -1 : b->g.pidfd, .events = POLLIN },
	};

	if (poll(p, 3, timeout_ms) <= 0)
		return;
	/* Results first: a crash that follows a result belongs to the next test. */
	if (p[1].revents)
		drain(b, &b->g.result, &b->res, result_line);
	if (p[0].revents)
		drain(b, &b->g.console, &b->con, console_line);
	if (p[2].revents)
		guest_poll(&b->g);
}

/* The stacks of all tasks, from inside if the kernel still answers, and of the kernel itself from outside. */
static void take_stacks(struct boot *b)
{
	struct buf host = { 0 };
	double end = now() + 3;
	size_t before;

	if (b->g.gone)
		return;
	pthread_mutex_lock(&b->run->lock);
	decode_process(b->g.pid, &host);
	pthread_mutex_unlock(&b->run->lock);
	guest_sysrq(b->dir, 't');
	do {
		before = b->kernel_log.len;
		pump(b, 300);
	} while (now() < end && b->kernel_log.len != before);
	if (host.s) {
		fprintf(b->console, "%s", host.s);
		buf_add(&b->kernel_log, host.s, host.len);
	}
	buf_free(&host);
}

/* ---- how a boot ends ---- */

/* The kernel is gone, or was killed, while test @i (or none) was running. */
static void crashed(struct boot *b, bool timed_out)
{
	struct run *r = b->run;
	int i = b->seen_result > b->seen_console ? b->seen_console : b->seen_result;
	char *reason;

	if (b->done && exhausted(b))
		return;
	if (b->began < i) {
		if (r->fatal)
			return;
		buf_free(&r->boot_reports);
		decode_text(b->kernel_log.s, &r->boot_reports);
		if (timed_out) {
			r->fatal = xasprintf("boot timeout %gs", r->opt->boot_limit * r->opt->scale);
			r->fatal_status = ST_TIMEOUT;
		} else if (b->first_report != RP_NONE) {
			r->fatal = xasprintf("boot: %s", reason = report_reason(b, r->boot_reports.s));
			r->fatal_status = ST_REPORT;
			free(reason);
		} else {
			r->fatal = xasprintf("no results: the kernel ended with status %d before the first test",
					     WIFEXITED(b->g.status) ? WEXITSTATUS(b->g.status)
								    : 128 + WTERMSIG(b->g.status));
			r->fatal_status = ST_FAIL;
		}
		return;
	}
	if (timed_out)
		reason = xasprintf("timeout %gs", r->opt->test_limit * r->opt->scale);
	else if (WIFSIGNALED(b->g.status))
		reason = xasprintf("kernel killed by signal %d", WTERMSIG(b->g.status));
	else
		reason = xasprintf("kernel exited with status %d", WEXITSTATUS(b->g.status));
	r->plan.tests[i].status = ST_PENDING;
	settle(b, &r->plan.tests[i], timed_out ? ST_TIMEOUT : ST_FAIL, reason);
	free(reason);
	b->reported = b->first_report != RP_NONE && !timed_out;
	finish(b, i);
	b->seen_result = b->seen_console = i + 1;
}

/* All results came: the end of the console must agree. */
static void check_power_off(struct boot *b, bool timed_out)
{
	struct run *r = b->run;
	bool clean = b->powered_down && WIFEXITED(b->g.status) && !WEXITSTATUS(b->g.status);
	struct buf log = { 0 };

	if (!b->done || b->stop || r->fatal)
		return;
	if (!timed_out && b->first_report == RP_NONE && clean)
		return;
	decode_text(b->kernel_log.s, &log);
	if (timed_out)
		r->fatal = xasprintf("no power-off after the last test");
	else if (b->first_report != RP_NONE)
		r->fatal = xasprintf("power-off: %s", report_reason(b, log.s));
	else
		r->fatal = xasprintf("the kernel did not end with a clean power-off");
	r->fatal_status = timed_out ? ST_TIMEOUT : ST_REPORT;
	buf_add(&r->boot_reports, log.s, log.len);
	buf_free(&log);
}

/* gdb is gone: its status decides, unless all tests were to run and did. */
static void under_gdb(struct boot *b)
{
	struct run *r = b->run;
	int i = b->seen_result;

	r->gdb_status = WIFEXITED(b->g.status) ? WEXITSTATUS(b->g.status) : EX_FAIL;
	if (b->done)
		return;
	if (!r->gdb_status)
		r->gdb_status = r->opt->on_fail ? EX_FAIL : EX_PASS;
	if (b->began == i && r->plan.tests[i].status == ST_PENDING)
		settle(b, &r->plan.tests[i], ST_FAIL, "stopped in gdb");
	r->next = r->plan.n;
	b->seen_result = b->seen_console = b->end;
}

/* Resident memory of the kernel process, at most. */
static void note_peak(struct run *r, pid_t pid)
{
	char *path = xasprintf("/proc/%d/status", pid), *text = read_whole(path, NULL), *at;
	long kb = 0;

	at = text ? strstr(text, "VmHWM:") : NULL;
	if (at)
		kb = strtol(at + 6, NULL, 10);
	pthread_mutex_lock(&r->lock);
	if (kb > r->peak_kb)
		r->peak_kb = kb;
	pthread_mutex_unlock(&r->lock);
	free(path);
	free(text);
}

/* The counters that the guest left, whatever became of it. */
static void keep_counters(const struct boot *b)
{
	char *from = xasprintf("%s/host/counters", b->dir), *dir = xasprintf("%s/coverage", b->run->dir);
	char *to = xasprintf("%s/counters.%d", dir, b->nr);

	mkdir(dir, 0755);
	if (rename(from, to) && errno != ENOENT)
		fprintf(stderr, "mmuml: warning: %s: %s\n", to, strerror(errno));
	free(from);
	free(dir);
	free(to);
}

/* One kernel for tests [first, end); returns the first test that still has to run. */
static int boot(struct worker *w, int first, int end)
{
	struct run *r = w->run;
	struct boot b = { .run = r, .console = w->console, .first = first, .end = end, .seen_result = first,
			  .seen_console = first, .finished = first, .in_console = -1, .began = first - 1,
			  .started = now() };
	char *text = plan_text(r, first, end);
	bool timed_out = false, put_down = false;

	b.dir = next_dir(r, &b.nr);
	fprintf(b.console, "==== boot %d: tests %d to %d\n", b.nr, first + 1, end);
	if (memcheck(r))
		b.vg = valgrind_open(r->dir, b.nr);
	guest_start(&b.g, r->opt, b.dir, text, w->cpu);
	b.deadline = deadline(r, r->opt->boot_limit);
	while (!b.stop && !interrupted && !r->fatal && (b.g.console >= 0 || b.g.result >= 0 || !b.g.gone)) {
		double left = b.deadline - now();

		if (w->deadline && w->deadline - now() < left)
			left = w->deadline - now();
		if (left <= 0 && b.powered_down && !b.done && !put_down) {
			/*
			 * Arch/um kills the processes' stubs and may then be preempted by such a process, whose stub
			 * never answers: nothing comes after "Power down".
			 */
			put_down = true;
			kill(-b.g.pid, SIGKILL);
			b.deadline = now() + POWER_OFF * r->opt->scale;
			continue;
		}
		if (left <= 0) {
			timed_out = true;
			if (!b.done)
				take_stacks(&b);
			break;
		}
		pump(&b, left > 1 ? 1000 : (int)(left * 1000) + 1);
		maybe_finish(&b);
		if (b.done && !b.g.gone)
			note_peak(r, b.g.pid);
		/* A dead kernel's stubs may keep the pipes open for a moment: do not wait for them. */
		if (b.g.gone && !b.stop) {
			struct pollfd p[2] = { { b.g.console, POLLIN, 0 }, { b.g.result, POLLIN, 0 } };

			if (poll(p, 2, 0) <= 0)
				break;
		}
	}
	guest_kill(&b.g, b.dir);
	pthread_mutex_lock(&r->lock);
	if (r->opt->gdb)
		under_gdb(&b);
	else if (!interrupted && !b.stop) {
		crashed(&b, timed_out);
		check_power_off(&b, timed_out);
	}
	if (b.vg) {
		take_outside(&b);
		valgrind_close(b.vg);
	}
	pthread_mutex_unlock(&r->lock);
	if (r->opt->coverage)
		keep_counters(&b);
	remove_tree(b.dir);
	fflush(b.console);
	buf_free(&b.con);
	buf_free(&b.res);
	buf_free(&b.kernel_log);
	free(b.dir);
	free(text);
	return b.seen_result < b.seen_console ? b.seen_result : b.seen_console;
}

/*
 * Test @i thrice at once: cachegrind with the test, cachegrind without it, whose counts are subtracted, and kcalls, which
 * looks at the test only.
 */
static int counted_boot(struct worker *w, int i)
{
	struct run *r = w->run;
	struct test *t = &r->plan.tests[i];
	struct aside dry, calls;
	int next;

	aside_start(r, i, "cachegrind", true, &dry);
	aside_start(r, i, "kcalls", false, &calls);
	next = boot(w, i, i + 1);
	aside_end(r, &dry);
	aside_end(r, &calls);
	if (interrupted || r->fatal || went_wrong(t->status) || t->status == ST_SKIP)
		return next;
	pthread_mutex_lock(&r->lock);
	ir_report(r->opt, r->dir, t, t->boot, dry.nr, calls.nr);
	pthread_mutex_unlock(&r->lock);
	return next;
}

/* No kernel goes without because others took too much of a short list. */
static int piece_min(const struct run *r)
{
	int min = r->opt->valgrind ? PIECE_MIN_VG : PIECE_MIN, share = (r->plan.n + r->jobs - 1) / r->jobs;

	return min < share ? min : share;
}

/* Take the next piece of the list; false when there is none. */
static bool next_piece(struct worker *w, int *first, int *end)
{
	struct run *r = w->run;
	int left, piece;

	pthread_mutex_lock(&r->lock);
	*first = r->next;
	left = r->plan.n - r->next;
	piece = r->jobs > 1 ? left / (r->jobs * SHARE) : left;
	if (piece < piece_min(r))
		piece = piece_min(r);
	*end = *first + (piece < left ? piece : left);
	r->next = *end;
	pthread_mutex_unlock(&r->lock);
	return *first < *end;
}

/* A case whose purpose begins like this leaves memory in a state that others would meet: it has a kernel of its own. */
static bool alone(const struct test *t)
{
	return !strncmp(t->purpose, "alone: ", strlen("alone: "));
}

/* Of the tests [next, end), those that one kernel runs end before this one. */
static int end_of_boot(const struct run *r, int next, int end)
{
	const struct test *t = r->plan.tests;

	if (r->opt->isolate || alone(&t[next]))
		return next + 1;
	while (++next < end && !alone(&t[next]))
		;
	return next;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct run *r = w->run;
	int next, end;

	while (!interrupted && !r->fatal && next_piece(w, &next, &end)) {
		while (next < end && !interrupted && !r->fatal) {
			if (r->opt->valgrind && !strcmp(r->opt->valgrind, "cachegrind"))
				next = counted_boot(w, next);
			else
				next = boot(w, next, end_of_boot(r, next, end));
			if (!w->deadline || now() <= w->deadline)
				continue;
			pthread_mutex_lock(&r->lock);
			if (!r->fatal) {
				r->fatal = xasprintf("run timeout %gs", r->opt->run_limit * r->opt->scale);
				r->fatal_status = ST_TIMEOUT;
			}
			pthread_mutex_unlock(&r->lock);
		}
	}
	return NULL;
}

/* Every test once. */
static void round_of_tests(struct run *r, struct worker *w)
{
	r->next = 0;
	for (int i = 1; i < r->jobs; i++)
		if (pthread_create(&w[i].thread, NULL, work, &w[i]))
			die(EX_HOST, "make run JOBS=1", strerror(errno), "cannot start a thread");
	work(&w[0]);
	for (int i = 1; i < r->jobs; i++)
		pthread_join(w[i].thread, NULL);
	/* The stubs were children of kernels that are gone; as subreaper we get them. */
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

void run_all(struct run *r)
{
	double start = now(), deadline = r->opt->run_limit ? start + r->opt->run_limit * r->opt->scale : 0;
	int jobs = r->opt->jobs, most = r->plan.n / PIECE_MIN;
	struct worker *w;

	if (jobs > most)
		jobs = most > 0 ? most : 1;
	r->jobs = jobs;
	w = xcalloc(jobs, sizeof(*w));
	for (int i = 0; i < jobs; i++) {
		char *path = i ? xasprintf("%s/console-%d.log", r->dir, i + 1) : xasprintf("%s/console.log", r->dir);

		w[i] = (struct worker){ .run = r, .console = fopen(path, "we"), .deadline = deadline,
					 .cpu = guest_next_cpu(i ? w[i - 1].cpu : -1) };
		if (!w[i].console)
			die(EX_HOST, "df -h out", strerror(errno), "cannot write %s", path);
		free(path);
	}
	pthread_mutex_init(&r->lock, NULL);
	/* There, and empty, if all is well. */
	if (memcheck(r))
		keep_reports(r, NULL, "");
	for (int round = 0; round < r->opt->repeat && !interrupted && !r->fatal; round++) {
		round_of_tests(r, w);
		if (r->opt->repeat > 1 && !interrupted) {
			printf("  ROUND   %d of %d\n", round + 1, r->opt->repeat);
			fflush(stdout);
		}
	}
	for (int i = 0; i < jobs; i++)
		if (fclose(w[i].console))
			die(EX_HOST, "df -h out", strerror(errno), "cannot write %s/console.log", r->dir);
	free(w);
	for (int i = 0; i < r->plan.n; i++)
		if (r->plan.tests[i].status == ST_PENDING)
			r->plan.tests[i].status = ST_NOTRUN;
	r->tests_s = now() - start - r->boot_s;
}
