// SPDX-License-Identifier: GPL-2.0
/*
 * Run one KUnit suite of the kernel and say its results in TAP: mm.kunit SUITE. By debugfs, as Documentation/dev-tools/kunit/
 * run_manual.rst has it: a write to "run", then its own KTAP in "results", whose cases stand one level in.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DIR	"/sys/kernel/debug/kunit"
#define SKIP	4

static int skip(const char *why)
{
	printf("1..0 # SKIP %s\n", why);
	return SKIP;
}

int main(int argc, char **argv)
{
	char path[256], line[512];
	int bad = 0, skipped = 0, n = 0, fd;
	FILE *f;

	if (argc != 2)
		return 2;
	if (access(DIR, F_OK))
		return skip("no KUnit in this kernel");
	snprintf(path, sizeof(path), DIR "/%s/run", argv[1]);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return skip("no such suite in this kernel");
	if (write(fd, "1", 1) != 1) {
		printf("Bail out! %s: %s\n", path, strerror(errno));
		return 1;
	}
	close(fd);
	snprintf(path, sizeof(path), DIR "/%s/results", argv[1]);
	f = fopen(path, "r");
	if (!f) {
		printf("Bail out! %s: %s\n", path, strerror(errno));
		return 1;
	}
	while (fgets(line, sizeof(line), f)) {
		const char *s = line + strspn(line, " ");
		int depth = s - line, ok = !strncmp(s, "ok ", 3), not_ok = !strncmp(s, "not ok ", 7);

		/* "ok 1 SUITE" itself, and the parameters of a case, which stand deeper, are diagnostics here. */
		if (depth != 4 || (!ok && !not_ok)) {
			printf("#   %s", s);
			continue;
		}
		n++;
		bad += not_ok;
		skipped += strstr(s, "# SKIP") != NULL;
		fputs(s, stdout);
	}
	if (!n) {
		printf("Bail out! no case in %s\n", path);
		return 1;
	}
	return bad ? 1 : skipped == n ? SKIP : 0;
}
