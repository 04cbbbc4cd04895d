// SPDX-License-Identifier: GPL-2.0
/* Memcheck's XML (valgrind's docs/internals/xml-output-protocol4.txt) to reports, each with the test that ran. */
#include <expat.h>
#include <stdlib.h>
#include <string.h>

#include "memcheck.h"

struct frame {
	char *fn, *ip;
	char *aux;		/* what valgrind says between two stacks, of no frame */
	bool first;		/* in the first stack */
};

struct found {
	struct found *next;
	char *test, *first, *text;	/* @test: NULL outside tests; @first: kind and place */
};

struct memcheck {
	XML_Parser parser;
	long lines;			/* that it has had */
	bool (*symbol)(void *arg, const char *key, struct buf *out);
	void *symbol_arg;
	void (*mark)(void *arg, bool begin, const char *test);
	void *mark_arg;
	bool broken;
	bool in_message, in_text;	/* of a client: the kernel's log */
	struct buf line;	/* unfinished */
	struct buf text;	/* of the element being read */
	struct frame *frames;	/* of the report being read: they are decoded if it is kept */
	int n_frames;
	struct frame frame;
	char *kind, *what;
	bool in_frame, in_error, first_stack;
	bool object;		/* the first stack is that of a slab object's allocation */
	char *test;		/* that runs now, as the log has it */
	struct found *found, **last;	/* not taken yet, oldest first */
};

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

/* "f (file:line) inlined in g (file:line)", frame by frame. */
static void add_symbols(struct report_text *r, char *text)
{
	while (text) {
		char *next = strstr(text, " inlined in "), *place = strrchr(text, '('), *colon;

		if (next) {
			*next = '\0';
			place = strrchr(text, '(');
			next += strlen(" inlined in ");
		}
		colon = place ? strrchr(place, ':') : NULL;
		if (colon && place > text) {
			place[-1] = *colon = '\0';
			add_frame(r, text, place + 1, atoi(colon + 1));
		} else {
			add_frame(r, text, NULL, 0);
		}
		text = next;
	}
}

/* Valgrind gives callers by the address of the call, not of what comes after it. */
static void decode_report(const struct memcheck *v, struct report_text *r)
{
	for (int i = 0; i < v->n_frames; i++) {
		const struct frame *f = r->frame = &v->frames[i];
		struct buf text = { 0 };
		char key[32];

		snprintf(key, sizeof(key), "%lx", f->ip ? strtoul(f->ip, NULL, 16) : 0);
		if (f->aux)
			buf_printf(&r->text, "  %s\n", f->aux);
		else if (f->ip && v->symbol(v->symbol_arg, key, &text))
			add_symbols(r, text.s);
		else
			add_frame(r, f->fn ? f->fn : "?", NULL, 0);
		buf_free(&text);
	}
}

static void keep_frame(struct memcheck *v)
{
	v->frames = grow(v->frames, v->n_frames, sizeof(*v->frames));
	v->frames[v->n_frames++] = v->frame;
	v->frame = (struct frame){ 0 };
}

static void forget_frames(struct memcheck *v)
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

static void end_frame(struct memcheck *v)
{
	v->in_frame = false;
	v->frame.first = v->first_stack;
	if (v->first_stack && v->frame.fn && !strcmp(v->frame.fn, "valgrind_slab_alloc"))
		v->object = true;
	keep_frame(v);
}

static void end_error(struct memcheck *v)
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
static void message(struct memcheck *v, const char *s)
{
	const char *at;

	if ((at = strstr(s, MARK_BEGIN))) {
		at += strlen(MARK_BEGIN);
		free(v->test);
		v->test = text_dup(at, strcspn(at, " \n"));
		v->mark(v->mark_arg, true, v->test);
	} else if ((at = strstr(s, MARK_END))) {
		at += strlen(MARK_END);
		free(v->test);
		v->test = text_dup(at, strcspn(at, " \n"));
		v->mark(v->mark_arg, false, v->test);
		free(v->test);
		v->test = NULL;
	}
}

static void XMLCALL on_start(void *arg, const char *name, const char **attr)
{
	struct memcheck *v = arg;

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
	buf_add(&((struct memcheck *)arg)->text, s, len);
}

static void take(char **to, const struct memcheck *v)
{
	free(*to);
	*to = xasprintf("%s", v->text.s ? v->text.s : "");
}

static void end_in_frame(struct memcheck *v, const char *name)
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
	struct memcheck *v = arg;

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

struct memcheck *memcheck_new(bool (*symbol)(void *arg, const char *key, struct buf *out), void *arg)
{
	struct memcheck *m = xcalloc(1, sizeof(*m));

	m->symbol = symbol;
	m->symbol_arg = arg;
	m->parser = XML_ParserCreate("UTF-8");
	if (!m->parser)
		die(EX_HOST, NULL, NULL, "out of memory");
	m->last = &m->found;
	XML_SetUserData(m->parser, m);
	XML_SetElementHandler(m->parser, on_start, on_end);
	XML_SetCharacterDataHandler(m->parser, on_text);
	return m;
}

/* Text that is not markup. */
static void add_escaped(struct buf *b, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '<')
			buf_add(b, "&lt;", 4);
		else if (s[i] == '>')
			buf_add(b, "&gt;", 4);
		else if (s[i] == '&')
			buf_add(b, "&amp;", 5);
		else
			buf_add(b, s + i, 1);
	}
}

static bool is(const char *line, size_t len, const char *what)
{
	return len == strlen(what) && !strncmp(line, what, len);
}

/*
 * A line of the XML behind @out, as XML: in a client's message the kernel's log stands as it is, "[<60001234>] f" and bytes that are no
 * text included.
 */
static void add_line(struct memcheck *m, const char *line, size_t len, struct buf *out)
{
	static const char open[] = "  <text>";
	struct buf clean = { 0 };

	buf_add_clean(&clean, line, len);
	line = clean.s ? clean.s : "";
	len = clean.len;
	if (is(line, len, "<clientmsg>") || is(line, len, "</clientmsg>")) {
		m->in_message = line[1] != '/';
		m->in_text = false;
	} else if (m->in_text && is(line, len, "  </text>")) {
		m->in_text = false;
	} else if (m->in_text) {
		add_escaped(out, line, len);
		len = 0;
	} else if (m->in_message && !strncmp(line, open, strlen(open)) && !strstr(line, "</text>")) {
		m->in_text = true;
		buf_add(out, open, strlen(open));
		add_escaped(out, line + strlen(open), len - strlen(open));
		len = 0;
	}
	buf_add(out, line, len);
	buf_add(out, "\n", 1);
	buf_free(&clean);
}

char *memcheck_feed(struct memcheck *m, const char *s, size_t len, void (*mark)(void *arg, bool begin, const char *test), void *arg)
{
	struct buf xml = { 0 };
	char *start, *end, *why = NULL;

	if (m->broken)
		return NULL;
	m->mark = mark;
	m->mark_arg = arg;
	buf_add(&m->line, s, len);
	for (start = m->line.s; (end = memchr(start, '\n', m->line.s + m->line.len - start)); start = end + 1)
		add_line(m, start, end - start, &xml);
	m->line.len -= start - m->line.s;
	memmove(m->line.s, start, m->line.len);
	/* Line by line: the parser's own count of them has another name from version to version. */
	for (start = xml.s; start < xml.s + xml.len && !why; start = end) {
		end = (char *)memchr(start, '\n', xml.s + xml.len - start) + 1;
		m->lines++;
		if (XML_Parse(m->parser, start, end - start, 0) == XML_STATUS_ERROR)
			why = xasprintf("line %ld of the XML: %s", m->lines, XML_ErrorString(XML_GetErrorCode(m->parser)));
	}
	m->broken = why;
	buf_free(&xml);
	return why;
}

int memcheck_take(struct memcheck *m, const char *test, struct buf *out, char **first)
{
	struct found **at = &m->found, *e;
	int n = 0;

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
	m->last = at;
	return n;
}

void memcheck_free(struct memcheck *m)
{
	struct found *e;

	while ((e = m->found)) {
		m->found = e->next;
		free(e->test);
		free(e->first);
		free(e->text);
		free(e);
	}
	XML_ParserFree(m->parser);
	forget_frames(m);
	buf_free(&m->text);
	buf_free(&m->line);
	free(m->kind);
	free(m->what);
	free(m->test);
	free(m);
}

bool memcheck_undefined(const char *reports)
{
	return reports && strstr(reports, "ninitialised");
}
