/* SPDX-License-Identifier: GPL-2.0 */
/* What the debug information says of addresses: asked once, kept with the record, so that a replay needs no kernel. */
#ifndef MMUML_SYMBOLS_H
#define MMUML_SYMBOLS_H

#include "../lib/kit.h"

/* @learn is called for each answer that was not known yet; NULL: nothing is asked, the answers are those of symbols_add(). */
void symbols_init(void (*learn)(void *arg, const char *key, const char *text), void *arg);
void symbols_add(const char *key, const char *text);
/* The hooks of verdict.h; @unused. */
bool symbols_find(void *unused, const char *key, struct buf *out);
bool symbols_in_text(void *unused, unsigned long addr);

#endif
