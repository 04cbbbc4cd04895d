// SPDX-License-Identifier: GPL-2.0
/*
 * The counters of the instrumented objects, from debugfs to /host/counters, in one packed stream.
 *
 * A .gcda file is an array of 32-bit words. Between two windows only the words of its counters can differ, so each
 * file is sent whole once, and then, for each window, as the words in which it differs from that.
 * The stream is made of records, little endian: u32 "mCOV", u32 type, u32 bytes that follow, the bytes.
 *   1 an object: its path below /sys/kernel/debug/gcov, NUL, the file
 *   2 a window: its name, NUL, then for each object that has differences, all in varints (LEB128): number of the object
 *     (from 1, in the order of the records of type 1), number of differences, and for each the distance in words from
 *     the last one and the word itself
 * What is lost with a crash is the record that was being written, nothing before it.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "counters.h"

#define GCOV_DIR	"/sys/kernel/debug/gcov"
#define OBJECTS_MAX	256
#define MAGIC		0x564f436d	/* "mCOV" */

struct object {
	char *path;
	uint32_t *words;	/* as first read */
	size_t n;
};

static struct object objects[OBJECTS_MAX];
static int n_objects, stream = -1, reset_fd = -1;
static uint32_t *now_words;	/* room for the largest object */
static size_t room;
static unsigned char *packed;
static size_t len, cap;

static void *grow(void *p, size_t size)
{
	p = realloc(p, size);
	if (!p)
		abort();
	return p;
}

static void add(const void *data, size_t n)
{
	if (len + n > cap) {
		cap = 2 * (len + n);
		packed = grow(packed, cap);
	}
	memcpy(packed + len, data, n);
	len += n;
}

static void add_varint(uint32_t v)
{
	unsigned char b[5];
	int n = 0;

	do {
		b[n++] = (v & 0x7f) | (v > 0x7f ? 0x80 : 0);
		v >>= 7;
	} while (v);
	add(b, n);
}

/* Hand one record to the host: out of the guest's page cache, so that a crash does not take it along. */
static void flush(uint32_t type)
{
	uint32_t head[3] = { MAGIC, type, len };

	if (write(stream, head, sizeof(head)) != sizeof(head) || write(stream, packed, len) != (ssize_t)len ||
	    sync_file_range(stream, 0, 0, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER))
		perror("init: /host/counters");
	len = 0;
}

/* One .gcda file into now_words; its size in words, 0 if it cannot be read. */
static size_t read_object(const char *path)
{
	size_t have = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	for (;;) {
		if (have == room) {
			room = room ? 2 * room : 1 << 18;
			now_words = grow(now_words, room);
		}
		n = read(fd, (char *)now_words + have, room - have);
		if (n <= 0)
			break;
		have += n;
	}
	close(fd);
	return n < 0 ? 0 : have / 4;
}

static int found(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	size_t n = strlen(path);
	struct object *o = &objects[n_objects];

	if (type != FTW_F || n < 5 || strcmp(path + n - 5, ".gcda") || n_objects == OBJECTS_MAX)
		return 0;
	o->n = read_object(path);
	if (!o->n)
		return 0;
	o->path = strdup(path);
	o->words = grow(NULL, 4 * o->n);
	memcpy(o->words, now_words, 4 * o->n);
	n_objects++;
	add(path + strlen(GCOV_DIR), n - strlen(GCOV_DIR) + 1);
	add(o->words, 4 * o->n);
	flush(1);
	return 0;
}

static void pack_object(int nr, const struct object *o)
{
	uint32_t differences = 0, last = 0;

	if (read_object(o->path) != o->n)
		return;
	for (size_t i = 0; i < o->n; i++)
		differences += now_words[i] != o->words[i];
	if (!differences)
		return;
	add_varint(nr);
	add_varint(differences);
	for (size_t i = 0; i < o->n; i++) {
		if (now_words[i] == o->words[i])
			continue;
		add_varint(i - last);
		add_varint(now_words[i]);
		last = i;
	}
}

void counters_take(const char *name)
{
	if (stream < 0)
		return;
	add(name, strlen(name) + 1);
	for (int i = 0; i < n_objects; i++)
		pack_object(i + 1, &objects[i]);
	flush(2);
}

void counters_reset(void)
{
	if (stream >= 0 && write(reset_fd, "0", 1) != 1)
		perror("init: " GCOV_DIR "/reset");
}

int counters_open(void)
{
	reset_fd = open(GCOV_DIR "/reset", O_WRONLY | O_CLOEXEC);
	if (reset_fd < 0)
		return -1;
	stream = open("/host/counters", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (stream < 0)
		return -1;
	nftw(GCOV_DIR, found, 8, FTW_PHYS);
	return 0;
}
