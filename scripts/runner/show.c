// SPDX-License-Identifier: GPL-2.0
/* The terminal: tests as they end, and the verdict. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "results.h"
#include "rundir.h"
#include "tool.h"

#define TRACE_LINES	30	/* of a trace on the terminal; all of it is in the run directory */
#define LOG_LINES	20
#define ALL_LINES	1000

static bool terminal(void)
{
	return isatty(STDOUT_FILENO);
}

static bool verbose(const struct show *s)
{
	return s->opt && s->opt->verbose;
}

static void indent(const char *text, int max_lines)
{
	const char *line;
	size_t len;

	for (int n = 0; text_line(&text, &line, &len); n++) {
		if (n == max_lines) {
			printf("          ...\n");
			return;
		}
		printf("          %.*s\n", (int)len, line);
	}
}

static void progress(const struct show *s, const struct test *t)
{
	int done = 0;

	for (int i = 0; i < s->v->plan.n; i++)
		done += s->v->plan.tests[i].stage == TEST_ENDED;
	printf("\r  TEST    %3d of %d  %-58.58s", done, s->v->plan.n, t->name);
	fflush(stdout);
}

/* The part of a trace that says most: from the first report on, without the stacks of idle tasks. */
static const char *interesting(const char *trace)
{
	const char *rest = trace, *line;
	struct line l;
	size_t len;

	while (text_line(&rest, &line, &len)) {
		char *copy = text_dup(line, len);

		detect_line(copy, &l);
		free(copy);
		if (l.kind == LINE_REPORT)
			return line;
	}
	return trace;
}

static void traces(const struct show *s, const struct buf *reports, const struct buf *trace)
{
	int lines = verbose(s) ? ALL_LINES : TRACE_LINES;

	indent(reports->s, lines);
	if (!reports->len)
		indent(interesting(trace->s), lines);
}

/* What to type to come to the test again. */
static void next_commands(const struct show *s, const struct test *t)
{
	char *words;

	if (!s->opt)
		return;
	/* A case that a program said is come to by its program. */
	words = manifest_words(s->opt, t->of < 0 ? t : &s->v->plan.tests[t->of]);
	printf("          rerun: make %s %s\n", s->opt->tool->verb, words);
	if (s->opt->tool->exec == NULL && !s->opt->tool->words)
		printf("          gdb:   make gdb %s\n", words);
	free(words);
}

void show_settled(void *arg, const struct test *t)
{
	const struct show *s = arg;
	const struct outcome *o = &t->now;
	bool bad = went_wrong(o->status), again;
	int first = -1;
	const char *colour = "", *plain = "", *reason = o->reason;

	if (terminal() && !verbose(s) && !bad && !(s->opt && s->opt->tool->debugger)) {
		progress(s, t);
		return;
	}
	if (terminal()) {
		colour = bad ? "\r\033[K\033[31m" : "\r\033[K";
		plain = "\033[0m";
	}
	/* One cause is shown once. */
	again = o->cause >= 0 && cause_tests(s->v, o->cause, &first) > 1 && first >= 0 && &s->v->plan.tests[first] != t && !verbose(s);
	printf("%s  %-7s %s%s%s%s%s%s%s\n", colour, status_word(o->status), t->name, reason ? " (" : "", reason ? reason : "",
	       again ? ", as " : "", again ? s->v->plan.tests[first].name : "", reason ? ")" : "", plain);
	if ((bad && !again) || verbose(s))
		indent(o->log.s, verbose(s) ? ALL_LINES : LOG_LINES);
	if (bad && !again) {
		traces(s, &o->reports, &o->trace);
		next_commands(s, t);
	}
	fflush(stdout);
}

void show_outside(void *arg, const struct outside *o)
{
	const struct show *s = arg;

	printf("%s  %-7s (%s: %s)\n", terminal() ? "\r\033[K" : "", status_word(o->status), o->where, o->reason);
	traces(s, &o->reports, &o->trace);
	fflush(stdout);
}

void show_round(void *arg, int round)
{
	const struct show *s = arg;

	printf("  ROUND   %d of %d\n", round, s->v->set.repeat);
	fflush(stdout);
}

/* No result at all: the end of the console says more than anything else. */
static void console_tail(const struct show *s)
{
	char *path = rundir_console(s->dir, 0), *text = read_whole(path, NULL), *at;
	int lines = 0;

	if (text) {
		for (at = text + strlen(text); at > text && lines <= 20; at--)
			lines += at[-1] == '\n';
		printf("  the end of %s:\n", path);
		indent(*at == '\n' ? at + 1 : at, 25);
	}
	free(path);
	free(text);
}

void show_end(const struct show *s)
{
	const struct verdict *v = s->v;
	char *line = results_line(v);

	if (terminal())
		printf("\r\033[K");
	for (int i = 0; i < v->n_causes; i++) {
		char *cause = results_cause(v, i);

		if (cause)
			printf("  CAUSE   %s\n", cause);
		free(cause);
	}
	/* A report says it all, and decoded. */
	if (!v->set.gdb && v->ended && !v->interrupted && !v->gave_up && v->ended_status != ST_REPORT)
		console_tail(s);
	printf("%s\n", line);
	fflush(stdout);
	free(line);
}
