// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel addresses to function and file:line, and the stacks of a live kernel process. elfutils' libdw does the
 * reading and the unwinding: it knows DWARF 5, split units and CFI, and runs inside the runner, which as the
 * kernel's parent may trace it where a gdb started beside it might not.
 */
#include <ctype.h>
#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "decode.h"

#define LIGHT		".light"	/* beside a vmlinux without debug information; a script that adds it */
#define MOST_PADDING	64		/* bytes behind a function; assembler code, whose symbols have no size, is not looked for */

typedef void (*decode_frame)(void *arg, const char *fn, const char *file, int line);

static const char *kernel;
static Dwfl *offline;
static bool failed;
static GElf_Addr text_start, text_end;

static const Dwfl_Callbacks offline_callbacks = {
	.find_elf = dwfl_build_id_find_elf,
	.find_debuginfo = dwfl_standard_find_debuginfo,
	.section_address = dwfl_offline_section_address,
};

void decode_init(const char *vmlinux)
{
	kernel = vmlinux;
}

/* The kernel is linked at fixed addresses: its executable segments are the range that can be code. */
static void find_text(Dwfl_Module *mod)
{
	GElf_Addr bias;
	Elf *elf = dwfl_module_getelf(mod, &bias);
	size_t n = 0;
	GElf_Phdr ph;

	text_start = ~0UL;
	if (!elf || elf_getphdrnum(elf, &n))
		return;
	for (size_t i = 0; i < n; i++) {
		if (!gelf_getphdr(elf, i, &ph) || ph.p_type != PT_LOAD || !(ph.p_flags & PF_X))
			continue;
		if (ph.p_vaddr < text_start)
			text_start = ph.p_vaddr;
		if (ph.p_vaddr + ph.p_memsz > text_end)
			text_end = ph.p_vaddr + ph.p_memsz;
	}
}

void decode_explain(const char *vmlinux)
{
	const char *slash = strrchr(vmlinux, '/');
	char *light = xasprintf("%.*s" LIGHT, slash ? (int)(slash + 1 - vmlinux) : 0, vmlinux), *argv[] = { light, NULL };
	pid_t pid;

	/* Its own words say what failed; the addresses stay numbers then. */
	if (!access(light, X_OK) && !posix_spawn(&pid, light, NULL, NULL, argv, environ))
		waitpid(pid, NULL, 0);
	free(light);
}

static bool ready(void)
{
	Dwfl_Module *mod;

	if (offline)
		return true;
	if (failed || !kernel)
		return false;
	failed = true;
	decode_explain(kernel);
	offline = dwfl_begin(&offline_callbacks);
	if (!offline)
		return false;
	mod = dwfl_report_offline(offline, "vmlinux", kernel, -1);
	dwfl_report_end(offline, NULL, NULL);
	if (!mod) {
		dwfl_end(offline);
		offline = NULL;
		return false;
	}
	find_text(mod);
	failed = false;
	return true;
}

/* Whether the kernel's code may be there. */
static bool in_text(GElf_Addr addr)
{
	return ready() && addr >= text_start && addr < text_end;
}

/* Path as the kernel's users write it: relative to the tree, "./" and "../" gone. */
const char *decode_short_path(const char *path)
{
	static const char *const roots[] = {
		"/arch/", "/block/", "/drivers/", "/fs/", "/include/", "/init/", "/io_uring/", "/ipc/", "/kernel/",
		"/lib/", "/mm/", "/security/", "/usr/",
	};
	const char *first = NULL, *up = path[0] == '/' ? strstr(path, "/../") : NULL;

	/* A source is named from the build's directory, which is one below the tree's: ".../build-PROFILE/../mm/rmap.c". */
	if (up)
		return decode_short_path(up + 4);
	while (!strncmp(path, "../", 3) || !strncmp(path, "./", 2))
		path = strchr(path, '/') + 1;
	if (path[0] != '/')
		return path;
	/* Else the first that may be one of the tree's: what lies below it may have any name ("drivers/x/lib/"). */
	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		const char *hit = strstr(path, roots[i]);

		if (hit && (!first || hit < first))
			first = hit;
	}
	return first ? first + 1 : path;
}

/* The name of the function that a scope is, or NULL. */
static const char *scope_name(Dwarf_Die *scope)
{
	Dwarf_Attribute attr;

	return dwarf_formstring(dwarf_attr_integrate(scope, DW_AT_name, &attr));
}

/* The innermost inlined function at an address and what contains it physically, up to the function that was really called;
 * malloc'ed, NULL if nothing is inlined there. (Past an inlined function, dwarf_getscopes() itself goes on with
 * where that was defined.) */
static Dwarf_Die *inline_chain(Dwarf_Die *cu, Dwarf_Addr pc, int *n)
{
	Dwarf_Die *scopes = NULL, *chain = NULL;

	*n = dwarf_getscopes(cu, pc, &scopes);
	for (int i = 0; i < *n; i++) {
		if (dwarf_tag(&scopes[i]) == DW_TAG_subprogram)
			break;
		if (dwarf_tag(&scopes[i]) == DW_TAG_inlined_subroutine) {
			*n = dwarf_getscopes_die(&scopes[i], &chain);
			break;
		}
	}
	free(scopes);
	return chain;
}

/* The compilation unit of an address. clang writes no .debug_aranges, by which libdw finds one: it may be another. */
static Dwarf_Die *unit_of(Dwfl_Module *mod, GElf_Addr addr, Dwarf_Addr *bias)
{
	Dwarf_Die *cu = dwfl_module_addrdie(mod, addr, bias);

	if (cu && dwarf_haspc(cu, addr - *bias) > 0)
		return cu;
	cu = NULL;
	while ((cu = dwfl_module_nextcu(mod, cu, bias)))
		if (dwarf_haspc(cu, addr - *bias) > 0)
			return cu;
	return NULL;
}

/* Hand out each inlined function at @pc, innermost first; @file and @nr go in as the address's line and come out as the
 * line in the function that was really called. */
static void each_inlined(Dwarf_Die *cu, Dwarf_Addr pc, const char **file, int *nr, decode_frame frame, void *arg)
{
	Dwarf_Files *files;
	Dwarf_Die *chain;
	size_t n_files;
	int n;

	if (dwarf_getsrcfiles(cu, &files, &n_files))
		return;
	chain = inline_chain(cu, pc, &n);
	for (int i = 0; chain && i < n && *file; i++) {
		Dwarf_Word call_file, call_line;
		Dwarf_Attribute attr;
		const char *name;

		if (dwarf_tag(&chain[i]) == DW_TAG_subprogram)
			break;
		if (dwarf_tag(&chain[i]) != DW_TAG_inlined_subroutine)
			continue;
		name = scope_name(&chain[i]);
		if (!name || dwarf_formudata(dwarf_attr(&chain[i], DW_AT_call_file, &attr), &call_file) ||
		    dwarf_formudata(dwarf_attr(&chain[i], DW_AT_call_line, &attr), &call_line))
			break;
		frame(arg, name, decode_short_path(*file), *nr);
		*file = dwarf_filesrc(files, call_file, NULL, NULL);
		*nr = call_line;
	}
	free(chain);
}

/* The functions of one code address; false if it is none. */
static bool frames_at(Dwfl *dwfl, GElf_Addr addr, decode_frame frame, void *arg)
{
	Dwfl_Module *mod = dwfl_addrmodule(dwfl, addr);
	const char *name = NULL, *file = NULL;
	Dwarf_Addr bias;
	Dwarf_Line *line;
	Dwarf_Die *cu;
	GElf_Off off;
	GElf_Sym sym;
	int nr = 0;

	if (mod)
		name = dwfl_module_addrinfo(mod, addr, &off, &sym, NULL, NULL, NULL);
	if (!name)
		return false;
	cu = unit_of(mod, addr, &bias);
	line = cu ? dwarf_getsrc_die(cu, addr - bias) : NULL;
	if (line && !dwarf_lineno(line, &nr))
		file = dwarf_linesrc(line, NULL, NULL);
	if (file)
		each_inlined(cu, addr - bias, &file, &nr, frame, arg);
	frame(arg, name, file ? decode_short_path(file) : NULL, nr);
	return true;
}

struct words {
	struct buf *out;
	int n;
};

static void append_frame(void *arg, const char *fn, const char *file, int line)
{
	struct words *w = arg;

	buf_printf(w->out, "%s%s", w->n++ ? " inlined in " : "", fn);
	if (file)
		buf_printf(w->out, " (%s:%d)", file, line);
}

/* "inner (file:line) inlined in outer (file:line)" of one code address; false if it is none. */
static bool describe(Dwfl *dwfl, GElf_Addr addr, struct buf *out)
{
	struct words w = { .out = out };

	return frames_at(dwfl, addr, append_frame, &w);
}

/* The address of "func+0x12/0x34", the last word of @line (printk's %pS); 0 if it is none, or the kernel has no such function. */
static GElf_Addr named_address(const char *line)
{
	const char *word = line + strlen(line);
	unsigned long off, size;
	Dwfl_Module *mod;
	size_t len;
	int used = 0;

	while (word > line && word[-1] != ' ')
		word--;
	len = strcspn(word, "+");
	if (sscanf(word + len, "+0x%lx/0x%lx%n", &off, &size, &used) != 2 || word[len + used] || !ready())
		return 0;
	mod = dwfl_addrmodule(offline, text_start);
	for (int i = mod ? dwfl_module_getsymtab(mod) : 0; --i > 0;) {
		GElf_Addr addr;
		GElf_Sym sym;
		const char *name = dwfl_module_getsym_info(mod, i, &sym, &addr, NULL, NULL, NULL);

		/* A local function's name may be another's, too; kallsyms counts the padding to the next one as well. */
		if (name && !strncmp(name, word, len) && !name[len] && size - sym.st_size < MOST_PADDING &&
		    in_text(addr))
			return addr + off;
	}
	return 0;
}

bool decode_in_text(unsigned long addr)
{
	return in_text(addr);
}

bool decode_symbol(const char *key, struct buf *out)
{
	GElf_Addr addr;
	char *end;

	if (strchr(key, '+')) {
		size_t n = strlen(key);
		bool exact = key[n - 1] == '=';
		char *name = xasprintf("%.*s", (int)(n - exact), key);

		addr = named_address(name);
		free(name);
		return addr && describe(offline, exact ? addr : addr - 1, out);
	}
	addr = strtoul(key, &end, 16);
	return in_text(addr) && describe(offline, *end == '-' ? addr - 1 : addr, out);
}

/* ---- a live process ---- */

static const Dwfl_Callbacks process_callbacks = {
	.find_elf = dwfl_linux_proc_find_elf,
	.find_debuginfo = dwfl_standard_find_debuginfo,
};

struct walk {
	struct buf *out;
	Dwfl *dwfl;
	int frames;
};

static int one_frame(Dwfl_Frame *frame, void *arg)
{
	struct walk *w = arg;
	bool activation;
	Dwarf_Addr pc;

	if (!dwfl_frame_pc(frame, &pc, &activation) || w->frames++ > 40)
		return DWARF_CB_ABORT;
	/* Kernel addresses are decoded with the rest of the console. */
	if (in_text(pc)) {
		buf_printf(w->out, "   %#lx\n", (unsigned long)pc);
		return DWARF_CB_OK;
	}
	buf_printf(w->out, "   ");
	if (!describe(w->dwfl, activation ? pc : pc - 1, w->out))
		buf_printf(w->out, "?");
	buf_printf(w->out, "\n");
	return DWARF_CB_OK;
}

static int one_thread(Dwfl_Thread *thread, void *arg)
{
	struct walk *w = arg;

	buf_printf(w->out, "host thread %d of the kernel:\n", dwfl_thread_tid(thread));
	w->frames = 0;
	dwfl_thread_getframes(thread, one_frame, w);
	return DWARF_CB_OK;
}

void decode_process(pid_t pid, struct buf *out)
{
	struct walk w = { .out = out };

	w.dwfl = dwfl_begin(&process_callbacks);
	if (!w.dwfl)
		return;
	if (!dwfl_linux_proc_report(w.dwfl, pid) && !dwfl_report_end(w.dwfl, NULL, NULL) &&
	    !dwfl_linux_proc_attach(w.dwfl, pid, false))
		dwfl_getthreads(w.dwfl, one_thread, &w);
	dwfl_end(w.dwfl);
}

void decode_end(void)
{
	if (offline)
		dwfl_end(offline);
	offline = NULL;
}
