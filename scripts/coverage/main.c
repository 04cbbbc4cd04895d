// SPDX-License-Identifier: GPL-2.0
/* The reports of a run that kept its counters: what of the change ran, which test ran it, what never did. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "gather.h"

static const char usage[] =
"usage: mmuml-cov [options] RUN             RUN: a directory out/runs/*-coverage\n"
"       mmuml-cov gather RUN TREE PROFILE LIST   add to RUN what its counters mean, of TREE/build-PROFILE; LIST: files of interest\n"
"       mmuml-cov mark NUMBER FILE          the file with a mark in each conditional group\n"
"       mmuml-cov ask MAP < DIFF            which tests an edit concerns (--map)\n"
"  --who FILE:LINE | TEST   which tests reach the line; what only that test reaches\n"
"  --base RUN               newly covered and no longer covered since that run\n"
"  --json FILE  --info FILE --changed-info FILE   write a report; --info: lcov's format\n"
"  --map FILE               which tests execute which line, for mmuml-cov ask\n"
"  --unreached LIST         only compare with the reviewed list\n"
"  --headline FILE          write the line that says how many of the changed lines ran\n"
"exit status: 0  9 the changed code was never executed  1 the list is wrong, or counters contradict themselves  2 usage  3 host\n"
"             7 unusable data\n";

enum { WHO = 256, BASE, JSON, INFO, CHANGED_INFO, UNREACHED, HEADLINE, MAP };

static const struct option longopts[] = {
	{ "who", 1, NULL, WHO }, { "base", 1, NULL, BASE }, { "json", 1, NULL, JSON }, { "info", 1, NULL, INFO },
	{ "changed-info", 1, NULL, CHANGED_INFO }, { "unreached", 1, NULL, UNREACHED },
	{ "headline", 1, NULL, HEADLINE }, { "map", 1, NULL, MAP }, { 0 },
};

struct wishes {
	const char *who, *base, *json, *info, *changed_info, *unreached, *headline, *map;
};

struct tracefiles {
	struct tracefile *t[2];
};

static void window(struct cover *c, int test, void *arg)
{
	struct tracefiles *t = arg;

	for (int i = 0; i < 2; i++)
		if (t->t[i])
			tracefile_window(c, test, t->t[i]);
}

static const char *non_empty(const char *s)
{
	return *s ? s : NULL;
}

static const char *parse(int argc, char **argv, struct wishes *w)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		switch (opt) {
		case WHO: w->who = non_empty(optarg); break;
		case BASE: w->base = non_empty(optarg); break;
		case JSON: w->json = non_empty(optarg); break;
		case INFO: w->info = non_empty(optarg); break;
		case CHANGED_INFO: w->changed_info = non_empty(optarg); break;
		case UNREACHED: w->unreached = non_empty(optarg); break;
		case MAP: w->map = non_empty(optarg); break;
		case HEADLINE: w->headline = non_empty(optarg); break;
		default:
			fputs(usage, stderr);
			exit(EX_USAGE);
		}
	}
	if (optind + 1 != argc) {
		fputs(usage, stderr);
		exit(EX_USAGE);
	}
	return argv[optind];
}

int main(int argc, char **argv)
{
	struct tracefiles t = { 0 };
	struct wishes w = { 0 };
	struct share changed;
	struct cover *c;
	const char *dir;

	if (argc == 4 && !strcmp(argv[1], "mark"))
		return source_mark(argv[2], argv[3]);
	if (argc == 3 && !strcmp(argv[1], "ask"))
		return map_ask(argv[2]);
	if (argc == 6 && !strcmp(argv[1], "gather"))
		return gather(argv + 2);
	dir = parse(argc, argv, &w);
	if (w.info)
		t.t[0] = tracefile_open(w.info, false);
	if (w.changed_info)
		t.t[1] = tracefile_open(w.changed_info, true);
	c = cover_read(dir, window, &t);
	for (int i = 0; i < 2; i++)
		if (t.t[i])
			tracefile_close(c, t.t[i]);
	if (w.unreached)
		return report_unreached(c, w.unreached);
	if (w.who) {
		report_who(c, w.who);
		return EX_PASS;
	}
	counters_verify(c);
	report_text(c);
	if (w.json)
		report_json(c, w.json);
	if (w.map)
		map_write(c, w.map);
	if (w.headline)
		report_headline(c, w.headline);
	if (w.base)
		report_base(c, cover_read(w.base, NULL, NULL));
	changed = changed_share(c, -1);
	return changed.all && !changed.hit ? EX_NEVER : EX_PASS;
}
