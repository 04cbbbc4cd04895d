/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MMUML_TRACE_H
#define MMUML_TRACE_H
#include "../lib/kit.h"
void trace_decode(const char *line, bool (*symbol)(void *arg, const char *key, struct buf *out),
		  bool (*in_text)(void *arg, unsigned long addr), void *arg, struct buf *out);
const char *trace_culprit(const char *text);
#endif
