// SPDX-License-Identifier: GPL-2.0
/* The run directory (results in every form, manifest, repro.sh) and the verdict. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "runner.h"

#define TRACE_LINES	30	/* of a trace on the terminal; all of it is in the run directory */
#define KEEP_KERNELS	10	/* run directories whose kernel is kept for repro.sh */

static const char *const status_word[] = {
	[ST_PENDING] = "NOTRUN", [ST_PASS] = "PASS", [ST_FAIL] = "FAIL", [ST_SKIP] = "SKIP",
	[ST_REPORT] = "CRASH", [ST_TIMEOUT] = "TIMEOUT", [ST_NOTRUN] = "NOTRUN",
};

static bool terminal(void)
{
	return isatty(STDOUT_FILENO);
}

static void put(const struct run *r, const char *name, const char *text, size_t len)
{
	char *path = xasprintf("%s/%s", r->dir, name);
	int err = write_whole(path, text, len);

	if (err)
		die(EX_HOST, "df -h out", strerror(-err), "cannot write %s", path);
	free(path);
}

/* ---- one test on the terminal ---- */

static void indent(const char *text, int max_lines)
{
	int lines = 0;

	while (text && *text) {
		const char *end = strchrnul(text, '\n');

		if (lines++ == max_lines) {
			printf("          ...\n");
			return;
		}
		printf("          %.*s\n", (int)(end - text), text);
		text = *end ? end + 1 : end;
	}
}

static void progress(const struct run *r, const struct test *t)
{
	int done = 0;

	for (int i = 0; i < r->plan.n; i++)
		done += r->plan.tests[i].status != ST_PENDING;
	printf("\r  TEST    %3d of %d  %-58.58s", done, r->plan.n, t->name);
	fflush(stdout);
}

/* The part of a trace that says most: from the first report on, without the stacks of idle tasks. */
static const char *interesting(const struct test *t)
{
	const char *s = t->trace.s, *line = s;
	struct report rp;

	while (line && *line) {
		char *copy = xasprintf("%.*s", (int)strcspn(line, "\n"), line);

		watch_line(copy, &rp);
		free(copy);
		if (rp.kind != RP_NONE)
			return line;
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return s;
}

/* The make target that runs tests in this way. */
static const char *verb(const struct options *o)
{
	return !o->valgrind ? "run" : !strcmp(o->valgrind, "memcheck") ? "memcheck" : "profile";
}

/* What a make line needs to come to the same test again. */
static char *make_words(const struct options *o, const struct test *t)
{
	struct buf b = { 0 };

	buf_printf(&b, "T=%s", t->name);
	if (o->profile && strcmp(o->profile, "fast") && !o->valgrind)
		buf_printf(&b, " PROFILE=%s", o->profile);
	if (o->series)
		buf_printf(&b, " S=%s", o->series);
	if (o->linux_path)
		buf_printf(&b, " LINUX=%s", o->linux_path);
	if (strcmp(o->seed, "1"))
		buf_printf(&b, " SEED=%s", o->seed);
	if (o->given)
		buf_printf(&b, " %s", o->given);
	return b.s;
}

void report_test(const struct run *r, const struct test *t)
{
	bool bad = went_wrong(t->latest);
	const char *colour = "", *plain = "", *reason = t->latest == ST_PASS ? NULL : t->reason;

	if (terminal() && !r->opt->verbose && !bad && !r->opt->gdb) {
		progress(r, t);
		return;
	}
	if (terminal()) {
		colour = bad ? "\r\033[K\033[31m" : "\r\033[K";
		plain = "\033[0m";
	}
	printf("%s  %-7s %s%s%s%s%s\n", colour, status_word[t->latest], t->name, reason ? " (" : "",
	       reason ? reason : "", reason ? ")" : "", plain);
	if (bad || r->opt->verbose)
		indent(t->log.s, r->opt->verbose ? 1000 : 20);
	if (bad) {
		char *words = make_words(r->opt, t);

		indent(interesting(t), r->opt->verbose ? 1000 : TRACE_LINES);
		printf("          rerun: make %s %s\n", verb(r->opt), words);
		if (!r->opt->gdb && !r->opt->valgrind)
			printf("          gdb:   make gdb %s\n", words);
		free(words);
	}
	fflush(stdout);
}

/* ---- files ---- */

static void add_lines(struct buf *b, const char *prefix, const char *text)
{
	while (text && *text) {
		const char *end = strchrnul(text, '\n');

		buf_printf(b, "%s%.*s\n", prefix, (int)(end - text), text);
		text = *end ? end + 1 : end;
	}
}

static void write_ktap(const struct run *r)
{
	struct buf b = { 0 };

	buf_printf(&b, "KTAP version 1\n1..%d\n", r->plan.n);
	for (int i = 0; i < r->plan.n; i++) {
		const struct test *t = &r->plan.tests[i];
		bool ok = t->status == ST_PASS || t->status == ST_SKIP;

		add_lines(&b, "# ", t->log.s);
		add_lines(&b, "# ", t->trace.s);
		buf_printf(&b, "%s %d %s", ok ? "ok" : "not ok", i + 1, t->name);
		if (t->status == ST_SKIP)
			buf_printf(&b, " # SKIP %s", t->reason ? t->reason : "");
		else if (t->status == ST_NOTRUN)
			buf_printf(&b, " # (not run)");
		else if (t->reason)
			buf_printf(&b, " # (%s)", t->reason);
		buf_printf(&b, "\n");
	}
	put(r, "results.ktap", b.s, b.len);
	buf_free(&b);
}

/* "counter NAME VALUE" lines; the last of a name counts. */
static void add_counters(json_t *obj, const char *s)
{
	char name[128];
	long value;

	while (s && *s) {
		if (sscanf(s, "counter %127s %ld", name, &value) == 2)
			json_object_set_new(obj, name, json_integer(value));
		s = strchr(s, '\n');
		s = s ? s + 1 : NULL;
	}
}

/* Counters of a test: in its log, or kept apart from it with --counters. */
static json_t *counters(const struct test *t)
{
	json_t *obj = json_object();

	add_counters(obj, t->log.s);
	add_counters(obj, t->counters.s);
	return obj;
}

static json_t *text(const char *s)
{
	json_t *j = s ? json_string(s) : NULL;

	/* Not valid UTF-8: byte by byte. */
	return j ? j : (s ? json_sprintf("%.0s(%zu bytes, not UTF-8)", s, strlen(s)) : json_null());
}

static void put_json(const struct run *r, const char *name, json_t *j)
{
	char *s = json_dumps(j, JSON_INDENT(1) | JSON_REAL_PRECISION(6));

	put(r, name, s, strlen(s));
	free(s);
	json_decref(j);
}

static void write_json(const struct run *r, const char *verdict, int code)
{
	json_t *tests = json_array();

	for (int i = 0; i < r->plan.n; i++) {
		const struct test *t = &r->plan.tests[i];

		json_array_append_new(tests, json_pack("{s:s, s:s, s:o, s:f, s:i, s:o, s:o, s:o}",
			"name", t->name, "status", status_word[t->status], "reason", text(t->reason), "ms", t->ms,
			"boot", t->boot, "counters", counters(t), "log", text(t->log.s), "trace", text(t->trace.s)));
	}
	put_json(r, "results.json", json_pack("{s:s, s:i, s:i, s:f, s:f, s:I, s:o, s:o}",
		"verdict", verdict, "exit", code, "boots", r->boots, "boot_s", r->boot_s, "tests_s", r->tests_s,
		"peak_rss_kb", (json_int_t)r->peak_kb, "outside_tests", text(r->boot_reports.s), "tests", tests));
}

static void xml(struct buf *b, const char *s)
{
	for (; s && *s; s++) {
		switch (*s) {
		case '<': buf_printf(b, "&lt;"); break;
		case '>': buf_printf(b, "&gt;"); break;
		case '&': buf_printf(b, "&amp;"); break;
		case '"': buf_printf(b, "&quot;"); break;
		default:
			if ((unsigned char)*s >= ' ' || *s == '\n' || *s == '\t')
				buf_add(b, s, 1);
		}
	}
}

static void write_junit(const struct run *r)
{
	int bad = 0, skipped = 0;
	struct buf b = { 0 };

	for (int i = 0; i < r->plan.n; i++) {
		skipped += r->plan.tests[i].status == ST_SKIP;
		bad += r->plan.tests[i].status != ST_SKIP && r->plan.tests[i].status != ST_PASS;
	}
	buf_printf(&b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"mmuml\" tests=\"%d\" failures=\"%d\" "
		   "skipped=\"%d\" time=\"%.3f\">\n", r->plan.n, bad, skipped, r->tests_s);
	for (int i = 0; i < r->plan.n; i++) {
		const struct test *t = &r->plan.tests[i];
		const char *dot = strrchr(t->name, '.');

		buf_printf(&b, "<testcase classname=\"%.*s\" name=\"%s\" time=\"%.3f\">", (int)(dot - t->name), t->name,
			   dot + 1, t->ms / 1000);
		if (t->status == ST_SKIP || (t->status != ST_PASS)) {
			const char *tag = t->status == ST_SKIP ? "skipped" : "failure";

			buf_printf(&b, "<%s message=\"%s ", tag, status_word[t->status]);
			xml(&b, t->reason);
			buf_printf(&b, "\">");
			xml(&b, t->log.s);
			xml(&b, t->trace.s);
			buf_printf(&b, "</%s>", tag);
		}
		buf_printf(&b, "</testcase>\n");
	}
	buf_printf(&b, "</testsuite>\n");
	put(r, "junit.xml", b.s, b.len);
	buf_free(&b);
}

/* First line that a command prints, or "". */
static char *ask(const char *fmt, const char *arg)
{
	char *cmd = xasprintf(fmt, arg), line[4096] = "";
	FILE *f = popen(cmd, "r");

	if (f) {
		if (fgets(line, sizeof(line), f))
			line[strcspn(line, "\n")] = '\0';
		pclose(f);
	}
	free(cmd);
	return xasprintf("%s", line);
}

/* Subjects of the patches on the base, oldest first, and whether the tree has edits beyond them. */
static json_t *tree_state(const char *tree)
{
	json_t *patches = json_array();
	char *cmd, line[1024], *head, *edits;
	FILE *f;

	cmd = xasprintf("git -C '%s' log --reverse --format='%%h %%s' HEAD 2>/dev/null | tail -n +2", tree);
	f = popen(cmd, "r");
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		json_array_append_new(patches, json_string(line));
	}
	if (f)
		pclose(f);
	free(cmd);
	head = ask("git -C '%s' rev-parse HEAD 2>/dev/null", tree);
	edits = ask("git -C '%s' diff-index --quiet HEAD -- 2>/dev/null || echo yes", tree);
	return json_pack("{s:s, s:b, s:o}", "commit", head, "uncommitted_edits", *edits != '\0', "patches", patches);
}

static void write_manifest(const struct run *r, int argc, char **argv)
{
	const struct options *o = r->opt;
	char *config, *dir = xasprintf("%s", o->kernel), *slash = strrchr(dir, '/');
	json_t *args = json_array();
	struct utsname host;
	size_t len;

	if (slash)
		*slash = '\0';
	uname(&host);
	for (int i = 0; i < argc; i++)
		json_array_append_new(args, json_string(argv[i]));
	put_json(r, "manifest.json", json_pack("{s:s, s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:f, s:o, s:s, s:s}",
		"kernel_release", r->release ? r->release : "", "tree", o->tree ? tree_state(o->tree) : json_null(),
		"series", o->series ? o->series : "", "linux", o->linux_path ? o->linux_path : "",
		"profile", o->profile ? o->profile : "", "tests", o->tests ? o->tests : "", "seed", o->seed,
		"compiler", ask("sed -n 's/^CONFIG_CC_VERSION_TEXT=//p' '%s/.config' 2>/dev/null | tr -d '\"'", dir),
		"mem_mb", (json_int_t)o->mem_mb, "scale", o->scale, "runner", args,
		"host_kernel", host.release, "host_arch", host.machine));
	config = xasprintf("%s/.config", dir);
	dir = read_whole(config, &len);
	if (dir)
		put(r, ".config", dir, len);
	free(dir);
	free(config);
}

/* A hard link costs nothing until the next build replaces the file; another file system needs a copy. */
static void keep(const struct run *r, const char *from, const char *name)
{
	char *to = xasprintf("%s/%s", r->dir, name);

	if (link(from, to))
		copy_sparse(from, to);
	if (!strcmp(name, "vmlinux"))
		chmod(to, 0755);
	free(to);
}

/* Kernels are large: only the newest runs keep theirs. */
static void drop_old_kernels(void)
{
	char *cmd = xasprintf("ls -1d out/runs/*/vmlinux 2>/dev/null | head -n -%d | xargs -r dirname | "
			      "while read -r d; do rm -rf \"$d/vmlinux\" \"$d/base.cpio\" \"$d/cpio\"; done", KEEP_KERNELS);

	if (system(cmd))
		fprintf(stderr, "mmuml: warning: old kernels in out/runs could not be removed\n");
	free(cmd);
}

static void quote(struct buf *b, const char *s)
{
	buf_add(b, "'", 1);
	for (; *s; s++) {
		if (*s == '\'')
			buf_printf(b, "'\\''");
		else
			buf_add(b, s, 1);
	}
	buf_add(b, "'", 1);
}

static void write_repro(const struct run *r)
{
	static const char *const images[] = { "base.cpio", "swap.img", "ext4.img", "tests.list" };
	const struct options *o = r->opt;
	struct buf b = { 0 };
	char *top = realpath(".", NULL), *path, *name;

	keep(r, o->kernel, "vmlinux");
	for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
		path = xasprintf("%s/%s", o->guest, images[i]);
		keep(r, path, images[i]);
		free(path);
	}
	path = xasprintf("%s/cpio", r->dir);
	mkdir(path, 0755);
	free(path);
	for (int i = 0; i < r->plan.n; i++) {
		const char *program = r->plan.tests[i].program;

		if (i && !strcmp(program, r->plan.tests[i - 1].program))
			continue;
		path = xasprintf("%s/cpio/%s.cpio", o->guest, program);
		name = xasprintf("cpio/%s.cpio", program);
		keep(r, path, name);
		free(path);
		free(name);
	}
	buf_printf(&b, "#!/bin/sh\n# Repeat this run: with its own kernel and guest as long as they are kept here, else "
		   "by building again.\nset -eu\nhere=$(cd \"$(dirname \"$0\")\" && pwd)\ncd ");
	quote(&b, top);
	buf_printf(&b, "\nif [ -f \"$here/vmlinux\" ] && [ -x build/host/mmuml-run ]; then\n"
		   "\texec build/host/mmuml-run --kernel \"$here/vmlinux\" --guest \"$here\" --mem %ld --cpus %ld "
		   "--scale %g --seed %s --limit %g --boot-limit %g", o->mem_mb, o->cpus, o->scale, o->seed,
		   o->test_limit, o->boot_limit);
	if (o->counters)
		buf_printf(&b, " --counters");
	if (o->isolate)
		buf_printf(&b, " --isolate");
	if (o->valgrind)
		buf_printf(&b, " --valgrind %s", o->valgrind);
	if (o->repeat > 1)
		buf_printf(&b, " --repeat %d", o->repeat);
	buf_printf(&b, " --what repro --tests ");
	quote(&b, o->tests ? o->tests : "");
	buf_printf(&b, " --append ");
	quote(&b, o->append ? o->append : "");
	buf_printf(&b, " \"$@\"\nfi\nexec make %s PROFILE=%s SEED=%s SCALE=%g MEM=%ld T=", verb(o),
		   o->profile ? o->profile : "fast", o->seed, o->scale, o->mem_mb);
	quote(&b, o->tests ? o->tests : "");
	buf_printf(&b, " S=");
	quote(&b, o->series ? o->series : "");
	buf_printf(&b, " LINUX=");
	quote(&b, o->linux_path ? o->linux_path : "");
	buf_printf(&b, "\n");
	put(r, "repro.sh", b.s, b.len);
	path = xasprintf("%s/repro.sh", r->dir);
	chmod(path, 0755);
	free(path);
	free(top);
	buf_free(&b);
	drop_old_kernels();
}

/* ---- the verdict ---- */

struct tally {
	int pass, fail, skip, crash, timeout, notrun;
	const struct test *first_bad;
};

static struct tally tally(const struct run *r)
{
	struct tally n = { 0 };

	for (int i = 0; i < r->plan.n; i++) {
		const struct test *t = &r->plan.tests[i];

		n.pass += t->status == ST_PASS;
		n.fail += t->status == ST_FAIL;
		n.skip += t->status == ST_SKIP;
		n.crash += t->status == ST_REPORT;
		n.timeout += t->status == ST_TIMEOUT;
		n.notrun += t->status == ST_NOTRUN;
		if (t->status != ST_PASS && t->status != ST_SKIP && t->status != ST_NOTRUN && !n.first_bad)
			n.first_bad = t;
	}
	return n;
}

/* The gravest class decides: a report of the kernel, a timeout, a failure, nothing but skips. */
static int exit_code(const struct run *r, const struct tally *n)
{
	if (interrupted)
		return EX_INTERRUPTED;
	if (n->crash || r->n_boot_reports || (r->fatal && r->fatal_status == ST_REPORT))
		return EX_REPORT;
	if (n->timeout || (r->fatal && r->fatal_status == ST_TIMEOUT))
		return EX_TIMEOUT;
	if (n->fail || n->notrun || r->fatal)
		return EX_FAIL;
	return n->pass ? EX_PASS : EX_SKIP;
}

static void why(const struct run *r, const struct tally *n, struct buf *b)
{
	const struct test *t = n->first_bad;

	if (r->fatal)
		buf_printf(b, " (%s)", r->fatal);
	else if (t && t->reason)
		buf_printf(b, " (%s: %s)", t->name, t->reason);
	else if (t)
		buf_printf(b, " (%s)", t->name);
	else if (r->n_boot_reports)
		buf_printf(b, " (outside the tests: %.*s)", (int)strcspn(r->boot_reports.s, "\n"), r->boot_reports.s);
}

static char *verdict_line(const struct run *r, const struct tally *n, int code)
{
	struct buf b = { 0 };
	double total = 0;

	buf_printf(&b, "mmuml: ");
	if (code == EX_PASS)
		buf_printf(&b, "PASS %d of %d", n->pass, r->plan.n);
	else if (code == EX_SKIP)
		buf_printf(&b, "SKIP %d of %d", n->skip, r->plan.n);
	else if (code == EX_INTERRUPTED)
		buf_printf(&b, "INTERRUPTED after %d of %d", r->plan.n - n->notrun, r->plan.n);
	else
		buf_printf(&b, "%s %d of %d", code == EX_REPORT ? "CRASH" : code == EX_TIMEOUT ? "TIMEOUT" : "FAIL",
			   r->plan.n - n->pass - n->skip, r->plan.n);
	why(r, n, &b);
	if (n->skip && code != EX_SKIP)
		buf_printf(&b, ", %d skipped", n->skip);
	if (r->opt->started) {
		struct timespec ts;

		clock_gettime(CLOCK_REALTIME, &ts);
		total = ts.tv_sec + ts.tv_nsec / 1e9 - r->opt->started;
	}
	buf_printf(&b, "  boot %.1fs tests %.1fs", r->boot_s, r->tests_s);
	if (total > 0)
		buf_printf(&b, " total %.1fs", total);
	buf_printf(&b, " -> %s", r->dir);
	return b.s;
}

/* No result at all: the end of the console says more than anything else. */
static void console_tail(const struct run *r)
{
	char *path = xasprintf("%s/console.log", r->dir), *s = read_whole(path, NULL), *at;
	int lines = 0;

	if (s) {
		for (at = s + strlen(s); at > s && lines <= 20; at--)
			lines += at[-1] == '\n';
		printf("  the end of %s:\n", path);
		indent(*at == '\n' ? at + 1 : at, 25);
	}
	free(path);
	free(s);
}

int report_all(struct run *r, int argc, char **argv)
{
	struct tally n = tally(r);
	int code = exit_code(r, &n);
	char *line = verdict_line(r, &n, code);

	if (terminal())
		printf("\r\033[K");
	if (r->fatal || r->n_boot_reports) {
		if (r->boot_reports.s)
			indent(r->boot_reports.s, TRACE_LINES);
		/* A report says it all, and decoded. */
		if (r->fatal_status != ST_REPORT)
			console_tail(r);
	}
	write_ktap(r);
	write_json(r, line, code);
	write_junit(r);
	write_manifest(r, argc, argv);
	write_repro(r);
	put(r, "verdict", line, strlen(line));
	printf("%s\n", line);
	free(line);
	return code;
}
