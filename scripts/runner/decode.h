/* SPDX-License-Identifier: GPL-2.0 */
/* Kernel addresses to function and file:line, out of the DWARF of a vmlinux; and the stacks of a kernel that does not answer. */
#ifndef MMUML_DECODE_H
#define MMUML_DECODE_H

#include <stdbool.h>
#include <sys/types.h>

#include "../lib/kit.h"

/* The vmlinux to read, by a path that stays valid until decode_end(). It is opened when the first question comes. */
void decode_init(const char *vmlinux);
/* Let a kernel have debug information, if it was linked without. */
void decode_explain(const char *vmlinux);
void decode_end(void);

/*
 * Append "inner (mm/x.c:12) inlined in outer (mm/y.c:34)" for a key as in trace.h: "ADDR" in hex for exactly this instruction,
 * "ADDR-" for the call that returns there, "func+0x12/0x34" for the call that returns to that offset of the function, whose
 * size tells it from others of its name, "func+0x12/0x34=" for the instruction there. False, and nothing appended, if it is no code, or the vmlinux cannot be read.
 */
bool decode_symbol(const char *key, struct buf *out);

/* Whether @addr lies in the executable segments of the vmlinux. */
bool decode_in_text(unsigned long addr);

/* The part of a source's path that begins in the kernel's tree: "mm/rmap.c"; @path itself if none does. Points into @path. */
const char *decode_short_path(const char *path);

/*
 * Append the stacks of all host threads of @pid, a stopped or hanging kernel: a child, or one that may be traced. The kernel's own
 * addresses stay numbers, for trace_decode(); the host's C library is named. Nothing if it cannot be traced.
 */
void decode_process(pid_t pid, struct buf *out);

#endif
