// SPDX-License-Identifier: GPL-2.0
/* Events of a run to what became of its tests: settings, rounds, limits of time, wishes, and who of the others takes an event. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memcheck.h"
#include "verdict-parts.h"

#define GRACE		10.0	/* s that the host waits longer than the guest's own limit, at most */
#define POWER_OFF	10.0	/* s for the power-off after the last test */
#define LEARNED_TIMES	10	/* of what a test took, where that is known: one that needs more is run again with all of its limit */
#define LEARNED_LEAST	2.0	/* s */
#define UNKNOWN		6.0	/* s, the same for one of which nothing is known */

const char *job_word(enum job job)
{
	static const char *const words[] = {
		[JOB_TESTS] = "tests", [JOB_AGAIN] = "again", [JOB_ORIGINS] = "origins", [JOB_ORIGINS_BOOT] = "origins-boot",
		[JOB_DRY] = "dry", [JOB_CALLS] = "calls",
	};

	return words[job];
}

/* Whether the kernel is there for verdicts, and not for what a tool writes about it. */
bool boot_judged(const struct vboot *b)
{
	return b->job == JOB_TESTS || b->job == JOB_AGAIN;
}

struct test *verdict_test(struct verdict *v, int i)
{
	return &v->plan.tests[i];
}

double verdict_limit(const struct verdict *v, const struct test *t, bool learned)
{
	double whole = t->limit ? t->limit : v->set.test_limit, last = t->learned * LEARNED_TIMES;

	if (!learned)
		return whole * v->set.scale;
	last = !t->learned ? UNKNOWN : last < LEARNED_LEAST ? LEARNED_LEAST : ceil(last);
	return (last < whole ? last : whole) * v->set.scale;
}

double boot_test_limit(const struct verdict *v, const struct vboot *b, int i)
{
	return verdict_limit(v, &v->plan.tests[i], b->job == JOB_TESTS);
}

double verdict_deadline(const struct verdict *v, const struct vboot *b)
{
	int i = b->began < b->first ? b->first : b->began;
	double limit;

	if (v->set.gdb)
		return 1e9;
	if (b->done || b->powered_down)
		return b->since + POWER_OFF * v->set.scale;
	if (!b->version)
		return b->started + v->set.boot_limit * v->set.scale;
	limit = boot_test_limit(v, b, i);
	/* A guest that still lives says itself that the time is up; beside a learned limit it need not be given long. */
	return b->since + limit + (limit < verdict_limit(v, &v->plan.tests[i], false) ? LEARNED_LEAST * v->set.scale : GRACE);
}

struct vboot *verdict_boot(const struct verdict *v, int nr)
{
	return nr > 0 && nr <= v->n_boots ? v->boots[nr - 1] : NULL;
}

void verdict_wish_for(struct verdict *v, enum job job, int i)
{
	v->wishes = grow(v->wishes, v->n_wishes, sizeof(*v->wishes));
	v->wishes[v->n_wishes++] = (struct wish){ .job = job, .test = i };
}

bool verdict_wish(struct verdict *v, bool late, struct wish *w)
{
	for (int i = v->wishes_granted; i < v->n_wishes; i++) {
		if (v->wishes[i].job == JOB_AGAIN) {
			if (!late && !v->confirm_now)
				continue;
			v->confirm_now = false;
		}
		*w = v->wishes[i];
		v->wishes[i] = v->wishes[v->wishes_granted];
		v->wishes[v->wishes_granted++] = *w;
		return true;
	}
	return false;
}

/* ---- events ---- */

static void no_sense(const struct event *e, const char *why)
{
	die(EX_USAGE, "mmuml-run --help", xasprintf("at %.6f s, kernel %d: %s", e->t, e->boot, why), "the record of the run makes no sense");
}

static struct vboot *start_boot(struct verdict *v, const struct event *e)
{
	struct vboot *b = xcalloc(1, sizeof(*b));
	char word[32];

	b->nr = e->boot;
	for (b->job = 0; b->job < JOBS; b->job++)
		if (sscanf(e->data, "%31s %d %d %d", word, &b->first, &b->end, &b->console) == 4 && !strcmp(word, job_word(b->job)))
			break;
	if (b->job == JOBS || e->boot != v->n_boots + 1 || b->first < 0 || b->end > v->planned || b->first >= b->end)
		no_sense(e, "a kernel that cannot be started here");
	b->seen_result = b->seen_console = b->seen_xml = b->finished = b->next = b->first;
	b->in_console = -1;
	b->began = b->first - 1;
	b->started = b->since = e->t;
	b->answered = xcalloc(v->set.n_asked + 1, sizeof(*b->answered));
	b->of_test = xcalloc(b->end - b->first, sizeof(*b->of_test));
	if (v->set.memcheck)
		b->mc = memcheck_new(v->hooks.symbol, v->hooks.arg);
	v->boots = grow(v->boots, v->n_boots, sizeof(*v->boots));
	v->boots[v->n_boots++] = b;
	return b;
}

static void take_setting(struct verdict *v, const char *data)
{
	struct settings *s = &v->set;
	const char *value = strchr(data, ' ');
	char name[32];

	value = value ? value + 1 : "";
	text_copy(name, sizeof(name), data, strcspn(data, " "));
	if (!strcmp(name, "test-limit"))
		s->test_limit = strtod(value, NULL);
	else if (!strcmp(name, "boot-limit"))
		s->boot_limit = strtod(value, NULL);
	else if (!strcmp(name, "scale"))
		s->scale = strtod(value, NULL);
	else if (!strcmp(name, "repeat"))
		s->repeat = atoi(value);
	else if (!strcmp(name, "cpus"))
		s->cpus = atoi(value);
	else if (!strcmp(name, "isolate"))
		s->isolate = atoi(value);
	else if (!strcmp(name, "gdb"))
		s->gdb = atoi(value);
	else if (!strcmp(name, "on-fail"))
		s->on_fail = atoi(value);
	else if (!strcmp(name, "keep-going"))
		s->keep_going = atoi(value);
	else if (!strcmp(name, "memcheck"))
		s->memcheck = atoi(value);
	else if (!strcmp(name, "known"))
		known_add(v, value);
	else if (!strcmp(name, "dir"))
		s->dir = xasprintf("%s", value);
	else if (!strcmp(name, "ask")) {
		s->asked = grow(s->asked, s->n_asked, sizeof(*s->asked));
		s->asked[s->n_asked++] = xasprintf("%s", value);
	}
}

/* What this guest cannot run is skipped without a kernel. */
static void skip_test(struct verdict *v, struct test *t)
{
	char *reason = xasprintf("needs %d CPUs", t->cpus);

	t->stage = TEST_ENDED;
	t->now.round = v->round;
	outcome_set(&t->now, ST_SKIP, reason);
	test_count(v, t);
	free(reason);
}

/*
 * Whether each test has come to its end in this round, unless something is known to have ended the run. A record that says it is
 * whole, and of which this does not hold, has lost something.
 */
static bool round_whole(const struct verdict *v)
{
	if (v->ended || v->set.gdb)
		return true;
	for (int i = 0; i < v->plan.n; i++)
		if (v->plan.tests[i].stage != TEST_ENDED)
			return false;
	return true;
}

static bool record_whole(const struct verdict *v)
{
	for (int i = 0; i < v->n_boots; i++)
		if (!v->boots[i]->gone)
			return false;
	return !v->gap && round_whole(v) && (v->ended || v->round >= v->set.repeat);
}

static void take_round(struct verdict *v, const char *data)
{
	if (v->round_began && !round_whole(v))
		v->gap = true;
	v->round_began = true;
	v->round = atoi(data);
	if (v->round > 1)
		v->hooks.round(v->hooks.arg, v->round - 1);
	for (int i = 0; i < v->plan.n; i++) {
		struct test *t = verdict_test(v, i);

		if (t->of >= 0)
			continue;
		t->stage = TEST_WAITS;
		if (t->cpus > v->set.cpus)
			skip_test(v, t);
	}
}

/* "TEST\ncounter NAME N\n...": of the round that has just ended there. */
static void take_counters(struct verdict *v, const char *data)
{
	size_t n = strcspn(data, "\n");

	for (int i = 0; i < v->plan.n; i++) {
		struct test *t = verdict_test(v, i);

		if (strlen(t->name) == n && !strncmp(t->name, data, n) && data[n])
			buf_add(&t->kept.counters, data + n + 1, strlen(data + n + 1));
	}
}

static void take_amend(struct verdict *v, const char *data)
{
	char status[16] = "", *why = NULL, *add = NULL;

	sscanf(data, "%15[^\t]\t%m[^\t]\t%m[^\t]", status, &why, &add);
	for (enum status s = ST_NOTRUN; s <= ST_REPORT; s++)
		if (!strcmp(status_word(s), status))
			v->amended_status = s;
	free(v->amended);
	free(v->added);
	v->amended = why && strcmp(why, "-") ? why : NULL;
	v->added = add && strcmp(add, "-") ? add : NULL;
}

static void of_boot(struct verdict *v, struct vboot *b, const struct event *e)
{
	switch (e->kind) {
	case EV_CONSOLE:
		stream_console(v, b, e);
		break;
	case EV_RESULT:
		stream_result(v, b, e);
		break;
	case EV_XML:
		stream_xml(v, b, e);
		break;
	case EV_STACKS:
		buf_add(&b->said.log, e->data, e->len);
		break;
	case EV_LIMIT:
		b->limit = true;
		break;
	case EV_STOP:
		b->stopped = true;
		break;
	case EV_EXIT:
		boot_exit(v, b, atoi(e->data), e->t);
		return;
	default:
		return;
	}
	if (boot_judged(b) && !b->gone && !b->stopped)
		boot_finish_tests(v, b);
}

void verdict_event(struct verdict *v, const struct event *e)
{
	struct vboot *b = verdict_boot(v, e->boot);

	if (!v->whole)
		v->run_s = e->t;
	switch (e->kind) {
	case EV_SET:
		take_setting(v, e->data);
		break;
	case EV_TEST:
		if (!plan_add(&v->plan, e->data))
			die(EX_USAGE, "mmuml-run --help", e->data, "the record of the run names no test here");
		v->planned = v->plan.n;
		break;
	case EV_ROUND:
		take_round(v, e->data);
		break;
	case EV_COUNTERS:
		take_counters(v, e->data);
		break;
	case EV_PEAK:
		if (atol(e->data) > v->peak_kb)
			v->peak_kb = atol(e->data);
		break;
	case EV_END_RUN:
		v->interrupted = !strcmp(e->data, "interrupted");
		if (!v->ended) {
			v->ended = xasprintf("%s", e->data);
			v->host_took = !strncmp(e->data, HOST_TOOK, strlen(HOST_TOOK));
			v->ended_status = v->interrupted || v->host_took ? ST_NOTRUN : ST_TIMEOUT;
		}
		break;
	case EV_DEBUGGER:
		v->gdb_status = atoi(e->data);
		break;
	case EV_AMEND:
		take_amend(v, e->data);
		v->total_s = strtod(strrchr(e->data, '\t') ? strrchr(e->data, '\t') + 1 : "0", NULL);
		break;
	case EV_DONE:
		v->whole = record_whole(v);
		v->total_s = strtod(e->data, NULL);
		break;
	case EV_START:
		start_boot(v, e);
		break;
	case EV_SYMBOL:
	case EV_KINDS:
		break;
	case EV_CONSOLE:
	case EV_RESULT:
	case EV_XML:
	case EV_STACKS:
	case EV_LIMIT:
	case EV_STOP:
	case EV_EXIT:
		if (!b || b->gone)
			no_sense(e, "of no kernel that runs");
		of_boot(v, b, e);
		break;
	}
}

void verdict_close(struct verdict *v)
{
	for (int i = 0; i < v->n_outside; i++)
		if (v->outside[i].open) {
			v->outside[i].open = false;
			v->hooks.outside(v->hooks.arg, &v->outside[i]);
		}
	for (int i = 0; i < v->plan.n; i++) {
		struct test *t = verdict_test(v, i);

		if (t->open && t->now.status == ST_NOTRUN)
			outcome_set(&t->now, ST_TIMEOUT, "timeout, and then not tried to its end with the whole limit");
		if (t->open)
			test_count(v, t);
	}
}

void verdict_init(struct verdict *v, const struct verdict_hooks *hooks)
{
	*v = (struct verdict){ .hooks = *hooks, .gdb_status = -1, .round = 1,
			       .set = { .test_limit = 25, .boot_limit = 20, .scale = 1, .repeat = 1, .cpus = 1 } };
}
