/* SPDX-License-Identifier: GPL-2.0 */
/* Stacks in the kernel's log: addresses to function and file:line, and the frame that a report is about. */
#ifndef MMUML_TRACE_H
#define MMUML_TRACE_H

#include <stdbool.h>

#include "../lib/kit.h"

/*
 * Append @line (no newline) to @out, behind each kernel text address in it what @symbol says of it; other addresses stay as they
 * are. @in_text tells whether the kernel's code may be at an address. @symbol appends to @out and returns whether it knows; its key is
 *	"60001234"	this instruction ("ip 0x60001234", "RIP: ...")
 *	"60001234-"	a return address: the call before it
 *	"func+0x12/0x34"	a return address by name, printk's %pS, the last word of the line; asked where the line has no address
 *	"func+0x12/0x34="	an instruction by name: "RIP: 0033:func+0x12/0x34"
 * so that the answers can be recorded, and given again without the kernel.
 */
void trace_decode(const char *line, bool (*symbol)(void *arg, const char *key, struct buf *out),
		  bool (*in_text)(void *arg, unsigned long addr), void *arg, struct buf *out);

/*
 * "mm/rmap.c:1234": the place in the first frame of a decoded log that is no machinery, the first being the innermost of the first
 * stack. Of inlined functions each counts. NULL if there is none. The string is overwritten by the next call.
 */
const char *trace_culprit(const char *text);

/* Whether a function (a symbol, with its ".cold" or ".part.0") only makes, or carries, the report: the culprit is its caller. */
bool trace_skips(const char *name);

#endif
