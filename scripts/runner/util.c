// SPDX-License-Identifier: GPL-2.0
/* Buffers, files and the error form that every part of the runner uses. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runner.h"

static void *oom(void *p)
{
	if (!p) {
		fputs("mmuml: error: out of memory\n", stderr);
		exit(EX_HOST);
	}
	return p;
}

void *xcalloc(size_t n, size_t size)
{
	return oom(calloc(n, size));
}

void *grow(void *array, size_t n, size_t size)
{
	/* Full at each power of two. */
	if (!(n & (n - 1)))
		array = oom(reallocarray(array, n ? 2 * n : 1, size));
	memset((char *)array + n * size, 0, size);
	return array;
}

char *beside_self(const char *name)
{
	char *self = oom(realpath("/proc/self/exe", NULL)), *path;

	*strrchr(self, '/') = '\0';
	path = xasprintf("%s/%s", self, name);
	free(self);
	return path;
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	return oom(s);
}

void buf_add(struct buf *b, const char *s, size_t len)
{
	if (b->len + len + 1 > b->cap) {
		b->cap = (b->len + len + 1) * 2;
		b->s = oom(realloc(b->s, b->cap));
	}
	if (len)
		memcpy(b->s + b->len, s, len);
	b->len += len;
	b->s[b->len] = '\0';
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		oom(NULL);
	buf_add(b, s, n);
	free(s);
}

void buf_free(struct buf *b)
{
	free(b->s);
	*b = (struct buf){ 0 };
}

double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

void die(int code, const char *advice, const char *because, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("mmuml: error: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	if (because)
		fprintf(stderr, "  because: %s\n", because);
	if (advice)
		fprintf(stderr, "  try:     %s\n", advice);
	exit(code);
}

int write_whole(const char *path, const char *s, size_t len)
{
	char *tmp = xasprintf("%s.tmp", path);
	FILE *f = fopen(tmp, "we");
	int err = 0;

	if (!f)
		err = -errno;
	else if (fwrite(s, 1, len, f) != len)
		err = -EIO;
	if (f && fclose(f) && !err)
		err = -errno;
	if (!err && rename(tmp, path))
		err = -errno;
	if (err)
		unlink(tmp);
	free(tmp);
	return err;
}

char *read_whole(const char *path, size_t *len)
{
	struct buf b = { 0 };
	char chunk[65536];
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return NULL;
	buf_add(&b, "", 0);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(&b, chunk, n);
	fclose(f);
	if (len)
		*len = b.len;
	return b.s;
}

/* Copy [at, end) from one descriptor to the other at the same place. */
static int copy_extent(int in, int out, off_t at, off_t end)
{
	char chunk[1 << 16];

	while (at < end) {
		size_t want = end - at < (off_t)sizeof(chunk) ? (size_t)(end - at) : sizeof(chunk);
		ssize_t n = pread(in, chunk, want, at);

		if (n <= 0 || pwrite(out, chunk, n, at) != n)
			return errno ? -errno : -EIO;
		at += n;
	}
	return 0;
}

int copy_sparse(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out = -1, err = 0;
	off_t at = 0, hole;
	struct stat st;

	if (in < 0 || fstat(in, &st))
		goto fail;
	out = open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (out < 0 || ftruncate(out, st.st_size))
		goto fail;
	while (!err && (at = lseek(in, at, SEEK_DATA)) >= 0) {
		hole = lseek(in, at, SEEK_HOLE);
		err = copy_extent(in, out, at, hole);
		at = hole;
	}
	goto out;
fail:
	err = -errno;
out:
	if (in >= 0)
		close(in);
	if (out >= 0 && close(out) && !err)
		err = -errno;
	return err;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

int remove_tree(const char *path)
{
	return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) ? -errno : 0;
}

char *report_dir(const char *what, const char *note)
{
	char stamp[32], *dir = NULL;
	time_t t = time(NULL);
	int err = 0;

	if ((mkdir("out", 0755) && errno != EEXIST) || (mkdir("out/runs", 0755) && errno != EEXIST))
		die(EX_HOST, "ls -ld out", strerror(errno), "cannot make out/runs");
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime(&t));
	for (int i = 0; i < 1000; i++) {
		free(dir);
		dir = i ? xasprintf("out/runs/%s-%s.%d", stamp, what, i) : xasprintf("out/runs/%s-%s", stamp, what);
		if (!mkdir(dir, 0755)) {
			err = 0;
			break;
		}
		err = errno;
		if (err != EEXIST)
			break;
	}
	if (err)
		die(EX_HOST, "ls -ld out/runs; df -h out", strerror(err), "cannot make %s", dir);
	if (note && (err = write_whole(note, dir, strlen(dir))))
		die(EX_HOST, "df -h .", strerror(-err), "cannot write %s", note);
	return dir;
}

void report_latest(const char *dir)
{
	char *tmp = xasprintf("out/latest.%d", getpid());

	if (symlink(dir + strlen("out/"), tmp) || rename(tmp, "out/latest"))
		die(EX_HOST, "ls -ld out/latest", strerror(errno), "cannot point out/latest to %s", dir);
	free(tmp);
}
