// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcalls, a tool of valgrind: instructions of each kernel function with all that it calls, between the markers that
 * init writes to the kernel's log around a test.
 *
 * A kernel has a stack per task, switches between them as it likes, and takes interrupts on another. So there is a list
 * of calls and a clock of instructions for each stack, known by its address; what a call costs is read from the clock
 * of its own stack, on which no time passes while the task sleeps. (callgrind 3.19 has one list per thread, and aborts
 * at the first signal of a UML kernel, vgCallgrind_post_signal().)
 *
 * A call is left when the stack pointer is above where it was at its first instruction, whatever the way: a return, a
 * tail call's return, longjmp(). Only the outermost of recursive calls counts, so nothing counts twice.
 *
 * Written against valgrind's public tool interface (pub_tool_*.h) of 3.19; that of 3.24 makes it as well.
 */
#include "pub_tool_basics.h"
#include "pub_tool_tooliface.h"
#include "pub_tool_libcassert.h"
#include "pub_tool_libcbase.h"
#include "pub_tool_libcprint.h"
#include "pub_tool_libcfile.h"
#include "pub_tool_debuginfo.h"
#include "pub_tool_machine.h"
#include "pub_tool_mallocfree.h"
#include "pub_tool_options.h"
#include "pub_tool_vki.h"
#include "libvex_guest_amd64.h"

#define HASH		8192		/* of functions, and of edges */
#define MARKER		"mmuml: "	/* then "begin TEST" or "end TEST": tests/init/run.c */
#define LOG_HOOK	"um_vg_message"	/* (text, length): arch/um/os-Linux/valgrind.c */
#define MAX_TEXT	256

struct fn {
	struct fn *next;		/* in its hash bucket */
	HChar *name, *file;
	ULong calls, inclusive, self;
};

struct edge {
	struct edge *next;
	struct fn *from, *to;
	ULong calls, inclusive;
};

/* Where a translation begins. */
struct block {
	struct fn *fn;
	Bool is_entry;			/* the first instruction of @fn */
};

struct call {
	struct fn *fn;
	struct edge *edge;		/* from the call below it, if there is one */
	Addr sp;			/* at its first instruction */
	ULong start;			/* the stack's clock then */
	Bool outermost;			/* of @fn on this stack */
};

struct stack {
	struct stack *next;
	UWord id;
	ULong clock;
	struct call *calls;		/* the oldest first */
	UInt nr, room;
};

static struct fn *fns[HASH];
static struct edge *edges[HASH];
static struct stack *stacks[HASH], *current;
static struct block *last;
static ULong ir, last_ir;		/* instructions so far; what is on the clocks of them */
static UInt last_jump;			/* IRJumpKind that led to where we are, Ijk_Boring for most */
static const HChar *out_prefix = "kcalls";
static Int stack_order = 2;

/* ---- functions, edges, stacks ---- */

static UInt hash_of(UWord a, UWord b)
{
	return ((a >> 4) * 31 + (b >> 4)) % HASH;
}

static struct fn *find_fn(const HChar *name, const HChar *file)
{
	UInt h = 0;
	SizeT len = VG_(strlen)(name);
	struct fn *f;

	/* What the compiler has moved away is part of its function. */
	if (len > 5 && !VG_(strcmp)(name + len - 5, ".cold"))
		len -= 5;
	for (SizeT i = 0; i < len; i++)
		h = h * 31 + (UChar)name[i];
	h %= HASH;
	for (f = fns[h]; f; f = f->next)
		if (!VG_(strncmp)(f->name, name, len) && !f->name[len])
			return f;
	f = VG_(calloc)("fn", 1, sizeof(*f));
	f->name = VG_(strdup)("fn.name", name);
	f->name[len] = '\0';
	f->file = VG_(strdup)("fn.file", file);
	f->next = fns[h];
	fns[h] = f;
	return f;
}

static struct edge *find_edge(struct fn *from, struct fn *to)
{
	UInt h = hash_of((UWord)from, (UWord)to);
	struct edge *e;

	for (e = edges[h]; e; e = e->next)
		if (e->from == from && e->to == to)
			return e;
	e = VG_(calloc)("edge", 1, sizeof(*e));
	e->from = from;
	e->to = to;
	e->next = edges[h];
	edges[h] = e;
	return e;
}

static struct stack *find_stack(UWord id)
{
	UInt h = id % HASH;
	struct stack *s;

	for (s = stacks[h]; s; s = s->next)
		if (s->id == id)
			return s;
	s = VG_(calloc)("stack", 1, sizeof(*s));
	s->id = id;
	s->next = stacks[h];
	stacks[h] = s;
	return s;
}

/* ---- calls ---- */

static void push(struct stack *s, struct fn *fn, Addr sp)
{
	struct call *c;

	if (s->nr == s->room) {
		s->room = s->room ? 2 * s->room : 64;
		s->calls = VG_(realloc)("calls", s->calls, s->room * sizeof(*s->calls));
	}
	c = &s->calls[s->nr];
	c->fn = fn;
	c->sp = sp;
	c->start = s->clock;
	c->edge = s->nr ? find_edge(s->calls[s->nr - 1].fn, fn) : NULL;
	c->outermost = True;
	for (UInt i = 0; i < s->nr; i++)
		if (s->calls[i].fn == fn)
			c->outermost = False;
	s->nr++;
	fn->calls++;
	if (c->edge)
		c->edge->calls++;
}

/* Charge a call with what it has cost so far. */
static void charge(struct stack *s, struct call *c)
{
	if (c->outermost)
		c->fn->inclusive += s->clock - c->start;
	if (c->edge)
		c->edge->inclusive += s->clock - c->start;
	c->start = s->clock;
}

static void pop(struct stack *s)
{
	charge(s, &s->calls[--s->nr]);
}

/* Put what was executed since the last time on the clock that it belongs to. */
static void settle(void)
{
	if (last) {
		last->fn->self += ir - last_ir;
		current->clock += ir - last_ir;
	}
	last_ir = ir;
}

/* A translation begins to run. */
static VG_REGPARM(2) void enter(struct block *b, Addr sp)
{
	UWord id = sp >> (12 + stack_order);
	Bool switched = False;
	struct stack *s;

	settle();
	if (current->id != id) {
		current = find_stack(id);
		switched = True;
	}
	s = current;
	while (s->nr && s->calls[s->nr - 1].sp < sp)
		pop(s);
	/* A signal handler, or a task, that begins where another one had begun */
	if (switched && b->is_entry)
		while (s->nr && s->calls[s->nr - 1].sp <= sp)
			pop(s);
	if (!s->nr || s->calls[s->nr - 1].fn != b->fn || (last_jump == Ijk_Call && b->is_entry))
		push(s, b->fn, sp);
	last = b;
	last_jump = Ijk_Boring;
}

/* ---- what is told ---- */

static void begin(void)
{
	settle();
	for (UInt h = 0; h < HASH; h++) {
		for (struct fn *f = fns[h]; f; f = f->next)
			f->calls = f->inclusive = f->self = 0;
		for (struct edge *e = edges[h]; e; e = e->next)
			e->calls = e->inclusive = 0;
		for (struct stack *s = stacks[h]; s; s = s->next)
			for (UInt i = 0; i < s->nr; i++)
				s->calls[i].start = s->clock;
	}
}

static void write_edges(VgFile *f, const struct fn *from)
{
	for (UInt h = 0; h < HASH; h++)
		for (struct edge *e = edges[h]; e; e = e->next)
			if (e->from == from && (e->calls || e->inclusive))
				VG_(fprintf)(f, "cfi=%s\ncfn=%s\ncalls=%llu 0\n0 %llu\n", e->to->file, e->to->name,
					     e->calls, e->inclusive);
}

/* callgrind's format, with a comment for each function: its calls, and its own sum, which recursion does not distort. */
static void end(const HChar *test)
{
	HChar path[MAX_TEXT + 256];
	VgFile *f;

	settle();
	for (UInt h = 0; h < HASH; h++)
		for (struct stack *s = stacks[h]; s; s = s->next)
			for (UInt i = 0; i < s->nr; i++)
				charge(s, &s->calls[i]);
	VG_(snprintf)(path, sizeof(path), "%s.%s", out_prefix, test);
	f = VG_(fopen)(path, VKI_O_CREAT | VKI_O_TRUNC | VKI_O_WRONLY, VKI_S_IRUSR | VKI_S_IWUSR | VKI_S_IRGRP | VKI_S_IROTH);
	if (!f) {
		VG_(umsg)("kcalls: cannot write %s\n", path);
		return;
	}
	VG_(fprintf)(f, "# callgrind format\nversion: 1\ncreator: kcalls\ncmd: %s\npositions: line\nevents: Ir\n\n", test);
	for (UInt h = 0; h < HASH; h++)
		for (struct fn *p = fns[h]; p; p = p->next) {
			if (!p->self && !p->calls && !p->inclusive)
				continue;
			VG_(fprintf)(f, "# %s %llu %llu %llu\nfl=%s\nfn=%s\n0 %llu\n", p->name, p->calls, p->inclusive,
				     p->self, p->file, p->name, p->self);
			write_edges(f, p);
		}
	VG_(fprintf)(f, "# whole\n");
	VG_(fclose)(f);
}

/* A line of the kernel's log. */
static VG_REGPARM(2) void logged(const HChar *text, UWord len)
{
	HChar line[MAX_TEXT], *at;

	len &= 0xffffffff;
	if (len >= sizeof(line))
		len = sizeof(line) - 1;
	VG_(memcpy)(line, text, len);
	line[len] = '\0';
	at = VG_(strstr)(line, MARKER);
	if (!at)
		return;
	at += sizeof(MARKER) - 1;
	for (HChar *c = at; *c; c++)
		if (*c == '\n' || *c == '/')
			*c = '\0';
	if (!VG_(strncmp)(at, "begin ", 6))
		begin();
	else if (!VG_(strncmp)(at, "end ", 4))
		end(at + 4);
}

/* ---- instrumentation ---- */

static void add_count(IRSB *out, UInt n)
{
	IRTemp was = newIRTemp(out->tyenv, Ity_I64), is = newIRTemp(out->tyenv, Ity_I64);

	if (!n)
		return;
	addStmtToIRSB(out, IRStmt_WrTmp(was, IRExpr_Load(Iend_LE, Ity_I64, mkIRExpr_HWord((HWord)&ir))));
	addStmtToIRSB(out, IRStmt_WrTmp(is, IRExpr_Binop(Iop_Add64, IRExpr_RdTmp(was), IRExpr_Const(IRConst_U64(n)))));
	addStmtToIRSB(out, IRStmt_Store(Iend_LE, mkIRExpr_HWord((HWord)&ir), IRExpr_RdTmp(is)));
}

static IRExpr *get_register(IRSB *out, Int offset)
{
	IRTemp t = newIRTemp(out->tyenv, Ity_I64);

	addStmtToIRSB(out, IRStmt_WrTmp(t, IRExpr_Get(offset, Ity_I64)));
	return IRExpr_RdTmp(t);
}

static void add_call(IRSB *out, const HChar *name, void *fn, IRExpr *a, IRExpr *b)
{
	IRDirty *d = unsafeIRDirty_0_N(2, name, VG_(fnptr_to_fnentry)(fn), mkIRExprVec_2(a, b));

	addStmtToIRSB(out, IRStmt_Dirty(d));
}

static struct block *new_block(Addr addr)
{
	DiEpoch ep = VG_(current_DiEpoch)();
	struct block *b = VG_(calloc)("block", 1, sizeof(*b));
	const HChar *name, *file, *dir;
	HChar *copy, path[512];
	UInt line;

	b->is_entry = VG_(get_fnname_if_entry)(ep, addr, &name);
	if (!b->is_entry && !VG_(get_fnname)(ep, addr, &name))
		name = "???";
	copy = VG_(strdup)("name", name);
	if (VG_(get_filename_linenum)(ep, addr, &file, &dir, &line))
		VG_(snprintf)(path, sizeof(path), "%s%s%s", dir, *dir ? "/" : "", file);
	else
		VG_(strcpy)(path, "???");
	b->fn = find_fn(copy, path);
	/* A function's file is the one that its first instruction is from. */
	if (b->is_entry && VG_(strcmp)(b->fn->file, path)) {
		VG_(free)(b->fn->file);
		b->fn->file = VG_(strdup)("fn.file", path);
	}
	VG_(free)(copy);
	return b;
}

static IRSB *instrument(VgCallbackClosure *closure, IRSB *in, const VexGuestLayout *layout,
			const VexGuestExtents *extents, const VexArchInfo *host, IRType guest_word, IRType host_word)
{
	IRSB *out = deepCopyIRSBExceptStmts(in);
	struct block *b = new_block(extents->base[0]);
	UInt pending = 0;
	Int i = 0;

	for (; i < in->stmts_used && in->stmts[i]->tag != Ist_IMark; i++)
		addStmtToIRSB(out, in->stmts[i]);
	add_call(out, "enter", enter, mkIRExpr_HWord((HWord)b), get_register(out, layout->offset_SP));
	if (b->is_entry && !VG_(strcmp)(b->fn->name, LOG_HOOK))
		add_call(out, "logged", logged, get_register(out, offsetof(VexGuestAMD64State, guest_RDI)),
			 get_register(out, offsetof(VexGuestAMD64State, guest_RSI)));
	for (; i < in->stmts_used; i++) {
		if (in->stmts[i]->tag == Ist_IMark)
			pending++;
		if (in->stmts[i]->tag == Ist_Exit) {
			add_count(out, pending);
			pending = 0;
		}
		addStmtToIRSB(out, in->stmts[i]);
	}
	add_count(out, pending);
	if (in->jumpkind == Ijk_Call)
		addStmtToIRSB(out, IRStmt_Store(Iend_LE, mkIRExpr_HWord((HWord)&last_jump),
						IRExpr_Const(IRConst_U32(Ijk_Call))));
	return out;
}

static Bool option(const HChar *arg)
{
	if VG_STR_CLO(arg, "--out", out_prefix) {}
	else if VG_BINT_CLO(arg, "--stack-order", stack_order, 0, 8) {}
	else
		return False;
	return True;
}

static void usage(void)
{
	VG_(printf)("    --out=PREFIX        write PREFIX.TEST for each test [kcalls]\n"
		    "    --stack-order=N     a kernel stack has 2^N pages [2]\n");
}

static void no_usage(void)
{
}

static void after_options(void)
{
	current = find_stack(0);
}

static void fini(Int status)
{
}

static void before_options(void)
{
	VG_(details_name)("kcalls");
	VG_(details_version)(NULL);
	VG_(details_description)("instructions of kernel functions with what they call");
	VG_(details_copyright_author)("GPL-2.0-or-later, by the mmuml developers.");
	VG_(details_bug_reports_to)("the mmuml developers");
	VG_(details_avg_translation_sizeB)(350);
	/* Each translation has one entry and is in one function. */
	VG_(clo_vex_control).guest_chase = False;
	VG_(basic_tool_funcs)(after_options, instrument, fini);
	VG_(needs_command_line_options)(option, usage, no_usage);
}

VG_DETERMINE_INTERFACE_VERSION(before_options)
