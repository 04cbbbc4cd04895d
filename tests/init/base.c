// SPDX-License-Identifier: GPL-2.0
/* What every file of init needs: the kernel's log, its files, its command line, and the end. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "init.h"

struct settings settings = { .seed = "1" };

void kmsg(const char *fmt, ...)
{
	char buf[256];
	va_list ap;
	int fd, n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf) - 1, fmt, ap);
	va_end(ap);
	n = n < (int)sizeof(buf) - 1 ? n : (int)sizeof(buf) - 2;
	/* Without it the line is shown when the next one comes. */
	buf[n++] = '\n';
	fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, buf, n) < 0)
		perror("init: /dev/kmsg");
	close(fd);
}

void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	_exit(1);
}

void die(const char *what)
{
	kmsg("<2>" MARK_INIT "%s: %s", what, strerror(errno));
	power_off();
}

int put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0 || write(fd, text, strlen(text)) < 0) {
		err = -errno;
		/* No MARK_INIT: that would be the end. */
		kmsg("<4>mmuml: %s: %s", path, strerror(errno));
	}
	if (fd >= 0)
		close(fd);
	return err;
}

void *grow(void *p, size_t size)
{
	p = realloc(p, size);
	if (!p)
		die("no memory");
	return p;
}

/* One word KEY=VALUE of the kernel command line. */
static void set(const char *key, const char *value)
{
	if (!strcmp(key, "mmuml.mode"))
		settings.shell = !strcmp(value, "shell");
	else if (!strcmp(key, "mmuml.coverage"))
		settings.coverage = !strcmp(value, "1");
	else if (!strcmp(key, "mmuml.counters"))
		settings.counters = !strcmp(value, "1");
	else if (!strcmp(key, "mmuml.left"))
		settings.left = !strcmp(value, "1");
	else if (!strcmp(key, "mmuml.dry"))
		settings.dry = !strcmp(value, "1");
	else if (!strcmp(key, "mmuml.seed"))
		snprintf(settings.seed, sizeof(settings.seed), "%s", value);
}

void read_settings(void)
{
	char line[4096], *word, *value, *save = NULL;
	FILE *f = fopen("/proc/cmdline", "re");

	if (!f || !fgets(line, sizeof(line), f))
		die("/proc/cmdline");
	fclose(f);
	for (word = strtok_r(line, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		value = strchr(word, '=');
		if (!value)
			continue;
		*value++ = '\0';
		set(word, value);
	}
	setenv("MMUML_SEED", settings.seed, 1);
}
