/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MMUML_DECODE_H
#define MMUML_DECODE_H
#include <sys/types.h>
#include "../lib/kit.h"
void decode_init(const char *vmlinux);
bool decode_symbol(const char *key, struct buf *out);
bool decode_in_text(unsigned long addr);
const char *decode_short_path(const char *path);
void decode_process(pid_t pid, struct buf *out);
void decode_end(void);
#endif
