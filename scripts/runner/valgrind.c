// SPDX-License-Identifier: GPL-2.0
/*
 * Valgrind around a kernel: the words that start it, and memcheck's reports, read from its XML as it grows. The kernel
 * repeats its log to valgrind, init's markers with it, so each report is known to lie within a test or outside all.
 */
#include <errno.h>
#include <expat.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner.h"

#define MARK_WAIT	5.0	/* seconds for a marker that the console has shown to come up in the XML */
#define OLDEST		319	/* 3.19: what Debian 12 has, and what this was made with */

struct frame {
	char *fn, *ip;
	char *aux;		/* what valgrind says between two stacks, of no frame */
	bool first;		/* in the first stack */
};

struct found {
	struct found *next;
	char *test, *first, *text;	/* @test: NULL outside tests; @first: kind and place */
};

struct vg {
	FILE *f;
	XML_Parser parser;
	struct buf text;	/* of the element being read */
	struct frame *frames;	/* of the report being read: they are decoded if it is kept */
	int n_frames;
	struct frame frame;
	char *kind, *what;
	bool in_frame, in_error, first_stack;
	bool object;		/* the first stack is that of a slab object's allocation */
	char *test;		/* that runs now, as the log has it */
	struct buf ended;	/* those whose end the log has, "\nNAME\n...": it may be ahead of us by many */
	struct found *found, **last;	/* not taken yet, oldest first */
};

static const char *tool_path(void)
{
	const char *name = getenv("VALGRIND");

	return name && *name ? name : "valgrind";
}

/* 319 for 3.19; 0 without a valgrind. */
static int version(void)
{
	char *cmd = xasprintf("'%s' --version 2>/dev/null", tool_path());
	FILE *p = popen(cmd, "r");
	int major = 0, minor = 0;

	if (p && fscanf(p, "valgrind-%d.%d", &major, &minor) != 2)
		major = minor = 0;
	if (p)
		pclose(p);
	free(cmd);
	return major * 100 + minor;
}

/* Where kcalls lies, beside the runner: valgrind takes its tools from one directory. */
#define KCALLS_DIR	"valgrind"

void valgrind_check(const struct options *o)
{
	char *dir = xasprintf("%s", o->kernel), *slash = strrchr(dir, '/'), *path, *config;
	int v = version();

	if (!v)
		die(EX_HOST, "make deps  (package valgrind)", NULL, "no valgrind: '%s --version' says nothing", tool_path());
	if (v < OLDEST)
		die(EX_HOST, "a valgrind from 3.19 on in PATH, or VALGRIND=/path/to/valgrind", NULL,
		    "valgrind %d.%d is too old", v / 100, v % 100);
	if (slash)
		*slash = '\0';
	path = xasprintf("%s/.config", slash ? dir : ".");
	config = read_whole(path, NULL);
	if (!config || !strstr(config, "\nCONFIG_UML_VALGRIND=y"))
		die(EX_HOST, "make memcheck, or make run PROFILE=valgrind", xasprintf("%s has no CONFIG_UML_VALGRIND=y", path),
		    "the kernel %s cannot run under valgrind", o->kernel);
	if (o->append && strstr(o->append, "slab_debug"))
		die(EX_USAGE, "leave slab_debug out of APPEND=", "SLUB's own checks read what memcheck guards: each is a report",
		    "slab_debug and valgrind do not go together");
	free(config);
	free(path);
	free(dir);
	if (!strcmp(o->valgrind, "memcheck"))
		return;
	path = beside_self(KCALLS_DIR "/kcalls-amd64-linux");
	if (access(path, X_OK))
		die(EX_HOST, "make deps  (package valgrind), then make host", "it is built where valgrind's libcoregrind is",
		    "no %s", path);
	free(path);
}

void valgrind_env(const struct options *o)
{
	if (!strcmp(o->valgrind, "kcalls"))
		setenv("VALGRIND_LIB", beside_self(KCALLS_DIR), 1);
}

int valgrind_words(char **argv, const struct options *o, const char *dir)
{
	const char *nr = dir + strlen(dir);
	int n = 0;

	while (nr > dir && nr[-1] >= '0' && nr[-1] <= '9')
		nr--;
	argv[n++] = xasprintf("%s", tool_path());
	argv[n++] = xasprintf("--tool=%s", o->valgrind);
	argv[n++] = xasprintf("--log-file=../valgrind.%s.log", nr);
	/* The processes of the guest are processes of the host that valgrind has no part in. */
	argv[n++] = xasprintf("--child-silent-after-fork=yes");
	argv[n++] = xasprintf("--trace-children=no");
	argv[n++] = xasprintf("--vgdb=no");
	/* Much of a kernel runs once: code translated anew for each way that leads to it costs more than the jumps saved. */
	argv[n++] = xasprintf("--vex-guest-chase=no");
	if (!strcmp(o->valgrind, "memcheck")) {
		argv[n++] = xasprintf("--xml=yes");
		argv[n++] = xasprintf("--xml-file=../memcheck.%s.xml", nr);
		argv[n++] = xasprintf("--num-callers=24");
		/* Of a report's addresses only, and by libdw: valgrind would read it all at each start. */
		argv[n++] = xasprintf("--read-inline-info=no");
		argv[n++] = xasprintf("--error-limit=no");
		argv[n++] = xasprintf("--track-origins=%s", o->origins ? "yes" : "no");
		argv[n++] = xasprintf("--show-leak-kinds=definite");
	} else if (!strcmp(o->valgrind, "kcalls")) {
		argv[n++] = xasprintf("--out=../calls.%s", nr);
	} else {
		argv[n++] = xasprintf("--cache-sim=no");
		argv[n++] = xasprintf("--cachegrind-out-file=../cachegrind.%s.out", nr);
	}
	return n;
}

/* ---- the XML ---- */

/* Where a report points to: the first frame outside the allocators, the hooks and the copying. */
static bool machinery(const char *file)
{
	static const char *const files[] = {
		"slub.c", "slab_common.c", "slab.h", "valgrind.c", "kasan.h", "kasan-valgrind.h", "page_alloc.c", "uaccess.c", "uaccess.h",
		"string.c", "fortify-string.h", "mempolicy.c", "gfp.h", "usercopy.c", "instrumented.h", "vmalloc.c", "util.c",
	};
	const char *name = strrchr(file, '/');

	name = name ? name + 1 : file;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (!strcmp(name, files[i]))
			return true;
	return false;
}

struct report_text {
	struct buf text;
	const struct frame *frame;	/* that is decoded */
	char *culprit;
};

static void add_frame(void *arg, const char *fn, const char *file, int line)
{
	struct report_text *r = arg;

	if (file)
		buf_printf(&r->text, "   %s (%s:%d)\n", fn, file, line);
	else
		buf_printf(&r->text, "   %s (%s)\n", fn, r->frame->ip ? r->frame->ip : "?");
	if (r->frame->first && !r->culprit && file && !machinery(file))
		r->culprit = xasprintf("%s:%d", file, line);
}

/* Valgrind gives callers by the address of the call, not of what comes after it. */
static void decode_report(const struct vg *v, struct report_text *r)
{
	for (int i = 0; i < v->n_frames; i++) {
		const struct frame *f = r->frame = &v->frames[i];

		if (f->aux)
			buf_printf(&r->text, "  %s\n", f->aux);
		else if (!f->ip || !decode_frames(strtoul(f->ip, NULL, 16), add_frame, r))
			add_frame(r, f->fn ? f->fn : "?", NULL, 0);
	}
}

static void keep_frame(struct vg *v)
{
	v->frames = grow(v->frames, v->n_frames, sizeof(*v->frames));
	v->frames[v->n_frames++] = v->frame;
	v->frame = (struct frame){ 0 };
}

static void forget_frames(struct vg *v)
{
	while (v->n_frames) {
		struct frame *f = &v->frames[--v->n_frames];

		free(f->fn);
		free(f->ip);
		free(f->aux);
	}
	free(v->frames);
	v->frames = NULL;
}

static void end_frame(struct vg *v)
{
	v->in_frame = false;
	v->frame.first = v->first_stack;
	if (v->first_stack && v->frame.fn && !strcmp(v->frame.fn, "valgrind_slab_alloc"))
		v->object = true;
	keep_frame(v);
}

static void end_error(struct vg *v)
{
	const char *kind = v->kind ? v->kind : "?", *what = v->what ? v->what : "";
	struct report_text r = { 0 };
	struct found *e;

	v->in_error = false;
	/* Pages are not found by their addresses, and what libc has is not the kernel's. */
	if (!strncmp(kind, "Leak_", 5) && !v->object)
		goto out;
	decode_report(v, &r);
	e = xcalloc(1, sizeof(*e));
	e->test = v->test ? xasprintf("%s", v->test) : NULL;
	e->first = r.culprit ? xasprintf("%s: %s", kind, r.culprit) : xasprintf("%s", kind);
	e->text = xasprintf("memcheck: %s: %s\n%s", kind, what, r.text.s ? r.text.s : "");
	*v->last = e;
	v->last = &e->next;
out:
	buf_free(&r.text);
	free(r.culprit);
	forget_frames(v);
	free(v->kind);
	free(v->what);
	v->kind = v->what = NULL;
}

/* A line of the kernel's log. */
static void message(struct vg *v, const char *s)
{
	const char *at = strstr(s, "mmuml: ");
	char name[256];

	if (!at)
		return;
	if (sscanf(at, "mmuml: begin %255s", name) == 1) {
		free(v->test);
		v->test = xasprintf("%s", name);
	} else if (sscanf(at, "mmuml: end %255s", name) == 1) {
		buf_printf(&v->ended, "\n%s\n", name);
		free(v->test);
		v->test = NULL;
	}
}

static void XMLCALL on_start(void *arg, const char *name, const char **attr)
{
	struct vg *v = arg;

	(void)attr;
	v->text.len = 0;
	if (v->text.s)
		v->text.s[0] = '\0';
	if (!strcmp(name, "error")) {
		v->in_error = v->first_stack = true;
		v->object = false;
	} else if (!strcmp(name, "frame")) {
		v->in_frame = true;
	}
}

static void XMLCALL on_text(void *arg, const char *s, int len)
{
	buf_add(&((struct vg *)arg)->text, s, len);
}

static void take(char **to, const struct vg *v)
{
	free(*to);
	*to = xasprintf("%s", v->text.s ? v->text.s : "");
}

static void end_in_frame(struct vg *v, const char *name)
{
	struct frame *f = &v->frame;

	if (!strcmp(name, "fn"))
		take(&f->fn, v);
	else if (!strcmp(name, "ip"))
		take(&f->ip, v);
	else if (!strcmp(name, "frame"))
		end_frame(v);
}

static void XMLCALL on_end(void *arg, const char *name)
{
	struct vg *v = arg;

	if (v->in_frame) {
		end_in_frame(v, name);
		return;
	}
	if (!strcmp(name, "kind")) {
		take(&v->kind, v);
	} else if (!strcmp(name, "what")) {
		take(&v->what, v);
	} else if (!strcmp(name, "text") && !v->in_error) {
		message(v, v->text.s ? v->text.s : "");
	} else if (!strcmp(name, "text")) {
		if (!v->what)
			take(&v->what, v);
	} else if (!strcmp(name, "auxwhat")) {
		take(&v->frame.aux, v);
		keep_frame(v);
	} else if (!strcmp(name, "stack")) {
		v->first_stack = false;
	} else if (!strcmp(name, "error")) {
		end_error(v);
	}
}

struct vg *valgrind_open(const char *run_dir, int nr)
{
	struct vg *v = xcalloc(1, sizeof(*v));
	char *path = xasprintf("%s/memcheck.%d.xml", run_dir, nr);

	/* Valgrind makes it anew; we read from its beginning whenever it comes. */
	v->f = fopen(path, "w+e");
	v->parser = XML_ParserCreate("UTF-8");
	if (!v->f || !v->parser)
		die(EX_HOST, "df -h out", strerror(errno), "cannot write %s", path);
	v->last = &v->found;
	XML_SetUserData(v->parser, v);
	XML_SetElementHandler(v->parser, on_start, on_end);
	XML_SetCharacterDataHandler(v->parser, on_text);
	free(path);
	return v;
}

/* Parse what has come. */
static void read_more(struct vg *v)
{
	char chunk[65536];
	size_t n;

	clearerr(v->f);
	while ((n = fread(chunk, 1, sizeof(chunk), v->f)) > 0)
		if (XML_Parse(v->parser, chunk, n, 0) == XML_STATUS_ERROR)
			break;
}

static bool has_ended(const struct vg *v, const char *line)
{
	return v->ended.s && strstr(v->ended.s, line);
}

void valgrind_wait(struct vg *v, const char *test, bool (*gone)(void *), void *arg)
{
	char *line = xasprintf("\n%s\n", test);
	double end = now() + MARK_WAIT;

	read_more(v);
	while (!has_ended(v, line) && now() < end && !gone(arg)) {
		usleep(2000);
		read_more(v);
	}
	free(line);
}

int valgrind_take(struct vg *v, const char *test, struct buf *out, char **first)
{
	struct found **at = &v->found, *e;
	int n = 0;

	read_more(v);
	*first = NULL;
	while ((e = *at)) {
		if (!e->test != !test || (test && strcmp(e->test, test))) {
			at = &e->next;
			continue;
		}
		buf_add(out, e->text, strlen(e->text));
		if (!n++)
			*first = e->first;
		else
			free(e->first);
		*at = e->next;
		free(e->test);
		free(e->text);
		free(e);
	}
	v->last = at;
	return n;
}

void valgrind_close(struct vg *v)
{
	XML_ParserFree(v->parser);
	fclose(v->f);
	buf_free(&v->text);
	forget_frames(v);
	free(v->test);
	buf_free(&v->ended);
	free(v);
}

void valgrind_refused(const char *run_dir)
{
	static const char *const logs[] = { "valgrind.1.log", "console.log" };

	for (int i = 0; i < 2; i++) {
		char *path = xasprintf("%s/%s", run_dir, logs[i]), *log = read_whole(path, NULL), *at;

		at = log ? strstr(log, "valgrind: ") : NULL;
		if (log && !at)
			at = strstr(log, "setup_physmem - mapping");
		if (at)
			die(EX_HOST, xasprintf("less %s; ulimit -v unlimited; make memcheck MEM=128", path),
			    xasprintf("%.*s", (int)strcspn(at, "\n"), at), "valgrind cannot run a kernel on this host");
		free(path);
		free(log);
	}
}
