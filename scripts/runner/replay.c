// SPDX-License-Identifier: GPL-2.0
/* Results made again from the record of a run, as it was or with what a later stage has found. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "record.h"
#include "replay.h"
#include "results.h"
#include "rundir.h"
#include "symbols.h"

/* Answers of the debug information come before all that asks for them. */
static void take_symbol(void *arg, const struct event *e)
{
	char *key, *tab;

	(void)arg;
	if (e->kind != EV_SYMBOL)
		return;
	key = text_dup(e->data, e->len);
	tab = strchr(key, '\t');
	if (tab) {
		*tab = '\0';
		symbols_add(key, tab + 1);
	}
	free(key);
}

static void take_event(void *arg, const struct event *e)
{
	verdict_event(arg, e);
}

static void quiet_test(void *arg, const struct test *t)
{
	(void)arg, (void)t;
}

static void quiet_outside(void *arg, const struct outside *o)
{
	(void)arg, (void)o;
}

static void quiet_round(void *arg, int round)
{
	(void)arg, (void)round;
}

static void read_run(const char *dir, struct verdict *v, const struct verdict_hooks *hooks)
{
	char *path = xasprintf("%s/" RUN_RECORD, dir);

	symbols_init(NULL, NULL);
	record_read(path, take_symbol, NULL);
	verdict_init(v, hooks);
	record_read(path, take_event, v);
	verdict_close(v);
	free(path);
}

int replay(const char *dir, const char *into)
{
	struct verdict v;
	struct show show = { .v = &v, .dir = dir };
	struct verdict_hooks hooks = { .symbol = symbols_find, .in_text = symbols_in_text, .settled = show_settled,
				       .outside = show_outside, .round = show_round, .arg = &show };

	read_run(dir, &v, &hooks);
	results_write(&v, into ? into : dir);
	show_end(&show);
	return results_code(&v);
}

int amend(const char *dir, const char *status, const char *why, const char *add, double started)
{
	struct verdict_hooks hooks = { .symbol = symbols_find, .in_text = symbols_in_text, .settled = quiet_test,
				       .outside = quiet_outside, .round = quiet_round };
	char *path = xasprintf("%s/" RUN_RECORD, dir), *data, *line;
	struct timespec ts;
	struct verdict v;
	struct event e;
	FILE *f;

	if (!status || (strcmp(status, "PASS") && strcmp(status, "FAIL")))
		die(EX_USAGE, "mmuml-run --help", NULL, "--amend wants --status PASS or FAIL");
	read_run(dir, &v, &hooks);
	clock_gettime(CLOCK_REALTIME, &ts);
	data = xasprintf("%s\t%s\t%s\t%.3f", status, why ? why : "-", add ? add : "-",
			 started ? ts.tv_sec + ts.tv_nsec / 1e9 - started : v.total_s);
	e = (struct event){ .t = v.run_s, .kind = EV_AMEND, .data = data, .len = strlen(data) };
	f = record_open(path, true);
	record_write(f, &e);
	fclose(f);
	verdict_event(&v, &e);
	results_write(&v, dir);
	line = results_line(&v);
	printf("%s\n", line);
	free(line);
	free(data);
	free(path);
	return results_code(&v);
}
