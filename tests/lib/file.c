// SPDX-License-Identifier: GPL-2.0
/* Reading and writing the small text files through which the kernel shows and takes values. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mm.h"
#include "internal.h"

int mm_write_file(const char *path, const char *text)
{
	ssize_t len = strlen(text);
	ssize_t n;
	int fd, err = 0;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* One write() only: for most of these files a second one would be a second command. */
	n = write(fd, text, len);
	if (n < 0)
		err = -errno;
	else if (n != len)
		err = -EIO;
	if (close(fd) && !err)
		err = -errno;
	return err;
}

static ssize_t read_all(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size) {
		n = read(fd, buf + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		len += n;
	}
	return len;
}

ssize_t mm_read_file(const char *path, char *buf, size_t size)
{
	ssize_t len;
	int fd;

	if (!size)
		return -EINVAL;
	buf[0] = '\0';
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	len = read_all(fd, buf, size - 1);
	close(fd);
	buf[len < 0 ? 0 : len] = '\0';
	return len;
}

long mm_read_long(const char *path)
{
	char buf[256];
	ssize_t len = mm_read_file(path, buf, sizeof(buf));
	char *p, *end;
	long value;

	if (len < 0)
		return len;
	p = strpbrk(buf, "0123456789");
	if (!p)
		return -ENODATA;
	if (p > buf && p[-1] == '-')
		p--;
	errno = 0;
	value = strtol(p, &end, 10);
	return errno ? -errno : value;
}

static void proc_path(char *path, size_t size, pid_t pid, const char *name)
{
	if (pid)
		snprintf(path, size, "/proc/%d/%s", pid, name);
	else
		snprintf(path, size, "/proc/self/%s", name);
}

int mm_proc_open(pid_t pid, const char *name)
{
	char path[64];
	int fd;

	proc_path(path, sizeof(path), pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

FILE *mm_proc_fopen(pid_t pid, const char *name)
{
	char path[64];

	proc_path(path, sizeof(path), pid, name);
	return fopen(path, "re");
}

long mm_proc_value(pid_t pid, const char *name, const char *field)
{
	size_t len = strlen(field);
	long value = -ENOENT;
	char line[512];
	FILE *f;

	f = mm_proc_fopen(pid, name);
	if (!f)
		return -errno;
	while (value == -ENOENT && fgets(line, sizeof(line), f)) {
		if (strncmp(line, field, len) || !line[len] || !strchr(" :", line[len]))
			continue;
		value = strstr(line + len, "yes") ? 1 : strtol(line + len + strspn(line + len, ": \t"), NULL, 10);
	}
	fclose(f);
	return value;
}
