/* SPDX-License-Identifier: GPL-2.0 */
/* libkit: what every host program of the kit is made of: buffers, files, the error form, kbuild's records. */
#ifndef MMUML_KIT_H
#define MMUML_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "protocol.h"

/* ---- buf.c ---- */

struct buf {
	char *s;		/* always NUL-terminated once something was added */
	size_t len, cap;
};

void buf_add(struct buf *b, const char *s, size_t len);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_free(struct buf *b);
void *xcalloc(size_t n, size_t size);
/* Room for one more behind the @n elements of an array that only grows by this, zeroed; the array, perhaps in another place. */
void *grow(void *array, size_t n, size_t size);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- text.c ---- */

/* Bytes of the UTF-8 character that @s (@len bytes) begins with; 0 if it begins with none. */
size_t utf8_len(const char *s, size_t len);
/* Append @s, with each byte that is no part of valid UTF-8, and each control character but tab and newline, as \xNN. */
void buf_add_clean(struct buf *b, const char *s, size_t len);
/* As much of @from as fits into @size bytes with the NUL; never a part of a character. */
void text_copy(char *to, size_t size, const char *from, size_t len);
/* Take the next line (without newline) from @text; false at the end. @text may be NULL at first. */
bool text_line(const char **text, const char **line, size_t *len);
/* @len bytes of @s, malloc'ed. */
char *text_dup(const char *s, size_t len);
/* FNV-1a, 64 bits, of @n bytes more; @h is HASH_START at first. */
#define HASH_START	14695981039346656037ULL
unsigned long long hash_add(unsigned long long h, const void *data, size_t n);

/* ---- error.c ---- */

double now(void);		/* monotonic seconds */
/* The kit's error form on stderr, then exit. @because and @advice may be NULL. */
void die(int code, const char *advice, const char *because, const char *fmt, ...)
	__attribute__((format(printf, 4, 5), noreturn));

/* ---- file.c ---- */

/* The path of what was built beside the program that runs, malloc'ed. */
char *beside_self(const char *name);
/* Write @len bytes of @s as the whole of @path: a temporary file and a rename; 0 or -errno. */
int write_whole(const char *path, const char *s, size_t len);
/* All of a file as a NUL-terminated string, or NULL with errno. */
char *read_whole(const char *path, size_t *len);
/* Copy a sparse file, holes and all; 0 or -errno. */
int copy_sparse(const char *from, const char *to);
int remove_tree(const char *path);

/* ---- kbuild.c: what kbuild keeps in .TARGET.cmd ---- */

struct kbuild_cmd {
	char *target;		/* relative to the build directory, as all paths here; NULL without a command */
	char *command;		/* what a shell ran, make's escapes undone; NULL if there is none */
	char *source;		/* of a compilation, or NULL */
	char **inputs;		/* the source, then what the compiler read for it */
	int n_inputs;
	char *text;		/* that they all lie in */
};

/* Read one .cmd file; NULL with errno. */
struct kbuild_cmd *kbuild_read(const char *path);
void kbuild_free(struct kbuild_cmd *k);
/* "mm/rmap.o" -> "mm/.rmap.o.cmd", malloc'ed. */
char *kbuild_cmd_path(const char *target);
/* The words of the command, NULL-terminated; NULL if there is none, or only a shell can make words of it. */
char **kbuild_words(const struct kbuild_cmd *k);
void kbuild_free_words(char **words);
/*
 * Of a compilation: how many words stand before the compiler (ccache, scripts/cc.sh, ...). The compiler is the word before the
 * first option, so that any wrapper is known.
 */
int kbuild_wrapper(char **words);
/* "../mm/damon/../vma.h" -> "mm/vma.h": an input relative to the kernel root, malloc'ed; NULL if it is not below it. */
char *kbuild_source_path(const char *name);

#endif
