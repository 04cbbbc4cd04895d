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

#include "init.h"

#define MAGIC		0x564f436d	/* "mCOV" */

struct object {
	char *path;
	uint32_t *words;	/* as first read */
	size_t n;
};

static struct object *objects;
static int n_objects, stream = -1, reset_fd = -1;
static uint32_t *now_words;	/* room for the largest object */
static size_t room;
static unsigned char *packed;
static size_t len, cap;

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

/* A record that is cut short, or one that is left out, puts all that follows out of step: rather no run. */
static void send(const void *data, size_t n)
{
	ssize_t done;

	for (const char *s = data; n; s += done, n -= done) {
		done = write(stream, s, n);
		if (done <= 0)
			die(GCOV_STREAM);
	}
}

/* Hand one record to the host: out of the guest's page cache, so that a crash does not take it along. */
static void flush(uint32_t type)
{
	uint32_t head[3] = { MAGIC, type, len };

	send(head, sizeof(head));
	send(packed, len);
	if (sync_file_range(stream, 0, 0, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER))
		die(GCOV_STREAM);
	len = 0;
}

/* One .gcda file into now_words; its size in words. */
static size_t read_object(const char *path)
{
	size_t have = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(path);
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
	if (n < 0)
		die(path);
	close(fd);
	return have / 4;
}

static int found(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	size_t n = strlen(path);
	struct object *o;

	if (type != FTW_F || n < 5 || strcmp(path + n - 5, ".gcda"))
		return 0;
	objects = grow(objects, (n_objects + 1) * sizeof(*objects));
	o = &objects[n_objects++];
	o->n = read_object(path);
	o->path = strcpy(grow(NULL, n + 1), path);
	o->words = grow(NULL, 4 * o->n);
	memcpy(o->words, now_words, 4 * o->n);
	add(path + strlen(GCOV_DIR), n - strlen(GCOV_DIR) + 1);
	add(o->words, 4 * o->n);
	flush(1);
	return 0;
}

static void pack_object(int nr, const struct object *o)
{
	uint32_t differences = 0, last = 0;

	errno = EINVAL;
	if (read_object(o->path) != o->n)
		die(o->path);
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

void gcov_take(const char *name)
{
	if (stream < 0)
		return;
	add(name, strlen(name) + 1);
	for (int i = 0; i < n_objects; i++)
		pack_object(i + 1, &objects[i]);
	flush(2);
}

void gcov_reset(void)
{
	if (stream >= 0 && write(reset_fd, "0", 1) != 1)
		die(GCOV_DIR "/reset");
}

void gcov_open(void)
{
	reset_fd = open(GCOV_DIR "/reset", O_WRONLY | O_CLOEXEC);
	if (reset_fd < 0)
		die("the kernel has no counters: " GCOV_DIR);
	stream = open(GCOV_STREAM, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (stream < 0)
		die(GCOV_STREAM);
	if (nftw(GCOV_DIR, found, 8, FTW_PHYS))
		die(GCOV_DIR);
}
