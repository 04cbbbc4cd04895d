// SPDX-License-Identifier: GPL-2.0
/* Whole files, sparse copies, trees. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kit.h"

char *beside_self(const char *name)
{
	char *self = realpath("/proc/self/exe", NULL), *path;

	if (!self)
		die(EX_HOST, "ls -l /proc/self/exe", strerror(errno), "cannot tell where this program is");
	*strrchr(self, '/') = '\0';
	path = xasprintf("%s/%s", self, name);
	free(self);
	return path;
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
