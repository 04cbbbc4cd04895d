// SPDX-License-Identifier: GPL-2.0
/* Run directories: made here, named here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runner.h"

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
