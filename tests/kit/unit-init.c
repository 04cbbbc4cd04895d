// SPDX-License-Identifier: GPL-2.0
/*
 * What the guest's init makes of text: a test's output, kmemleak's reports, the answers to /host/armed; its stream of counters;
 * and how it reads a test's output. Its files are taken in whole; their results go to memory. Built with AddressSanitizer by
 * check.sh; run in a scratch directory.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "../init/init.h"

#undef ARMED_FILE
#define ARMED_FILE "armed"
#undef GCOV_DIR
#define GCOV_DIR "gcov"
#undef GCOV_STREAM
#define GCOV_STREAM "gcov/stream"

static int alive;		/* a thread of the kernel has this number */

static int is_alive(pid_t pid, int signal)
{
	return pid == alive && !signal ? 0 : -1;
}

#define kill is_alive
#include "../init/armed.c"
#include "../init/gcov.c"
#include "../init/ktap.c"
#include "../init/leaks.c"

static int late_poll(struct pollfd *p, nfds_t n, int ms);

#define poll late_poll
#include "../init/collect.c"
#undef poll

struct settings settings = { .seed = "1" };

static int failures, cases;
static char *said, *logged;
static size_t said_len, logged_len;
static FILE *kernel_log;

void kmsg(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(kernel_log, fmt, ap);
	va_end(ap);
	fputc('\n', kernel_log);
}

static jmp_buf died;
static bool may_die;

void die(const char *what)
{
	if (may_die)
		longjmp(died, 1);
	printf("unit: die: %s\n", what);
	exit(1);
}

int put_file(const char *path, const char *text)
{
	return *path && *text ? 0 : -ENOENT;
}

void *grow(void *p, size_t size)
{
	p = realloc(p, size);
	if (!p)
		abort();
	return p;
}

static void check(bool ok, const char *what)
{
	cases++;
	if (ok)
		return;
	failures++;
	printf("unit: %s\n", what);
}

static void open_streams(void)
{
	result = open_memstream(&said, &said_len);
	kernel_log = open_memstream(&logged, &logged_len);
}

/* What was said since open_streams() must be @want. */
static void check_said(const char *want, const char *what)
{
	fclose(result);
	fclose(kernel_log);
	cases++;
	if (strcmp(said, want)) {
		failures++;
		printf("unit: %s: said '%s' instead of '%s'\n", what, said, want);
	}
	free(said);
	free(logged);
}

/* ---- ktap.c ---- */

struct text_case {
	const char *text;
	size_t len;
	const char *want;
};

#define TEXT(text, want) { text, sizeof(text) - 1, want }

static const struct text_case text_cases[] = {
	TEXT("plain \t text \\x41", "plain \t text \\x41"),
	TEXT("a\0b\r\x1b[m\x7f", "a\\x00b\\x0d\\x1b[m\\x7f"),
	TEXT("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
	TEXT("\xff\xfe", "\\xff\\xfe"),
	TEXT("\xc0\xaf", "\\xc0\\xaf"),
	TEXT("\xe0\x9f\xbf", "\\xe0\\x9f\\xbf"),
	TEXT("\xed\xa0\x80", "\\xed\\xa0\\x80"),
	TEXT("\xef\xbf\xbd\xef\xbf\xbf", "\xef\xbf\xbd\\xef\\xbf\\xbf"),
	TEXT("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"),
	TEXT("\xc2\x9b", "\\xc2\\x9b"),
	TEXT("\xc2\xa0", "\xc2\xa0"),
	TEXT("cut \xe2\x82", "cut \\xe2\\x82"),
	TEXT("cut \xe2(x", "cut \\xe2(x"),
};

static void test_text(void)
{
	for (size_t i = 0; i < sizeof(text_cases) / sizeof(text_cases[0]); i++) {
		/* Exactly so long, for the sanitizer to see a byte too many. */
		char *copy = malloc(text_cases[i].len);

		memcpy(copy, text_cases[i].text, text_cases[i].len);
		open_streams();
		put_text(copy, text_cases[i].len);
		check_said(text_cases[i].want, "text");
		free(copy);
	}
}

static void check_result_of(const char *harness, const char *printed, int status, bool timed_out, const char *want)
{
	static struct output out;
	struct test t = { .name = "a.b.c", .harness = (char *)harness, .limit = 1500 };
	const struct outcome o = { .status = status, .timed_out = timed_out };

	out.len = strlen(printed);
	memcpy(out.text, printed, out.len);
	open_streams();
	ktap_result(1, &t, &out, &o);
	check_said(want, "result");
}

static void check_result(const char *printed, int status, bool timed_out, const char *want)
{
	check_result_of("global.c", printed, status, timed_out, want);
}

static void test_result(void)
{
	check_result("ok 1 c\n", 0, false, "ok 1 a.b.c\n");
	check_result("ok 1 c", 0, false, "ok 1 a.b.c\n");
	check_result("", 0, false, "not ok 1 a.b.c # (exit 0 without a good result)\n");
	check_result("not ok 1 c # SKIP x\n", 0, false, "not ok 1 a.b.c # (exit 0 without a good result)\n");
	check_result("ok 1 x # SKIP lie\nok 1 c\n", 0, false, "# ok 1 x # SKIP lie\nok 1 a.b.c\n");
	check_result("ok 1 c # SKIP needs\xff it\n", 0, false, "ok 1 a.b.c # SKIP needs\\xff it\n");
	check_result("ok 1 c # SKIP x\n", W_EXITCODE(1, 0), false, "not ok 1 a.b.c # (exit 1)\n");
	check_result("ok 1 c\n", W_EXITCODE(4, 0), false, "ok 1 a.b.c # SKIP no reason given\n");
	check_result("", SIGSEGV, false, "not ok 1 a.b.c # (signal 11)\n");
	check_result("mmuml done 1\n# mmuml done 1\n", SIGKILL, true,
		     "# mmuml done 1\n# mmuml done 1\nnot ok 1 a.b.c # (timeout 1.5s)\n");
	/* A program that is none of ours: all that it says is passed on, and its exit code is its result. */
	check_result_of("!-s 2", "TAP version 13\n1..1\nok 1 c\n", 0, false, "# TAP version 13\n# 1..1\n# ok 1 c\nok 1 a.b.c\n");
	check_result_of("!", "not ok 1 c\n", W_EXITCODE(1, 0), false, "# not ok 1 c\nnot ok 1 a.b.c # (exit 1)\n");
	check_result_of("!", "ok 1 # SKIP c\n", W_EXITCODE(4, 0), false, "# ok 1 # SKIP c\nok 1 a.b.c # SKIP no reason given\n");
}

/* ---- leaks.c ---- */

#define OBJECT(who) "unreferenced object 0x649519a0 (size 80):\n" \
	"  comm " who ", jiffies 4294937337\n" \
	"  hex dump (first 32 bytes):\n    00 00 00 00  ....\n  backtrace (crc 0):\n    save_stack_trace+0x5a/0xa0\n"

static void check_leaks(struct test *tests, int n, const char *reports, const char *want)
{
	const struct plan plan = { tests, n };
	FILE *f = fmemopen((void *)reports, strlen(reports), "r");

	open_streams();
	copy_reports(f, &plan);
	check_said(want, reports);
	fclose(f);
}

static void test_leaks(void)
{
	struct test tests[] = {
		{ .name = "first", .pid = 40 }, { .name = "not started" }, { .name = "second", .pid = 50 },
	};
	struct test around[] = { { .name = "first", .pid = 32000 }, { .name = "second", .pid = 310 } };

	check_leaks(tests, 3, OBJECT("\"init\", pid 1"), "");
	check_leaks(tests, 3, OBJECT("\"softirq\", pid 0"), "");
	check_leaks(tests, 3, OBJECT("\"a.b\", pid 39"), "");
	check_leaks(tests, 3, OBJECT("\"a.b\", pid 40"), "mmuml leak first\n");
	check_leaks(tests, 3, OBJECT("\"a.b\", pid 49"), "mmuml leak first\n");
	check_leaks(tests, 3, OBJECT("\"a.b\", pid 50"), "mmuml leak second\n");
	check_leaks(tests, 3, OBJECT("\"x\", pid 40\", pid 51"), "mmuml leak second\n");
	check_leaks(tests, 3, OBJECT("\"kworker/0:1\", pid 45"), "");
	check_leaks(tests, 3, OBJECT("\"a.b\", pid 41") OBJECT("\"init\", pid 1") OBJECT("\"a.b\", pid 52"),
		    "mmuml leak first\nmmuml leak second\n");
	check_leaks(around, 2, OBJECT("\"a.b\", pid 32001") OBJECT("\"a.b\", pid 311"), "");
	alive = 45;
	check_leaks(tests, 3, OBJECT("\"ksmd\", pid 45"), "");
}

/* ---- armed.c ---- */

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (!f || fputs(text, f) < 0 || fclose(f))
		die(path);
}

static void test_armed(void)
{
	write_file("stats", " lock-classes: 12 [max: 8192]\n debug_locks:     1\n offset -3 7\n none here\n");
	write_file("flag", "\n0\n");
	write_file("armed", "locks\tstats\tdebug_locks:\nmax\tstats\tmax:\nflag\tflag\t\nno_line\tstats\tnosuch\n"
		   "no_file\tnosuch\t\nno_number\tstats\tnone\nminus\tstats\toffset\n");
	open_streams();
	say_armed();
	check_said("mmuml armed locks 1\nmmuml armed max 8192\nmmuml armed flag 0\nmmuml armed no_line -1\n"
		   "mmuml armed no_file -1\nmmuml armed no_number -1\nmmuml armed minus -3\n", "armed");
}

/* ---- gcov.c ---- */

#define MANY	300

static void write_object(int nr, uint32_t first)
{
	uint32_t words[3] = { first, 2, 3 };
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), GCOV_DIR "/%d.gcda", nr);
	f = fopen(path, "w");
	if (!f || fwrite(words, sizeof(words), 1, f) != 1 || fclose(f))
		die(path);
}

/* How many whole records of each type the stream holds; the bytes of the last. */
static size_t count_records(int counts[3])
{
	FILE *f = fopen(GCOV_STREAM, "r");
	uint32_t head[3];
	size_t last = 0;

	memset(counts, 0, 3 * sizeof(*counts));
	while (f && fread(head, sizeof(head), 1, f) == 1 && head[0] == MAGIC && head[1] < 3 && !fseek(f, head[2], SEEK_CUR)) {
		counts[head[1]]++;
		last = head[2];
	}
	if (f)
		fclose(f);
	return last;
}

/* Whether a window can be sent; room for @bytes more. */
static bool sends(const char *name, size_t bytes)
{
	struct rlimit was, now;
	struct stat st;

	getrlimit(RLIMIT_FSIZE, &was);
	now = was;
	stat(GCOV_STREAM, &st);
	now.rlim_cur = st.st_size + bytes;
	setrlimit(RLIMIT_FSIZE, &now);
	may_die = true;
	if (!setjmp(died)) {
		gcov_take(name);
		may_die = false;
	}
	setrlimit(RLIMIT_FSIZE, &was);
	return !may_die;
}

static void test_gcov(void)
{
	int counts[3];
	size_t bytes;

	signal(SIGXFSZ, SIG_IGN);
	if (system("rm -rf " GCOV_DIR) || mkdir(GCOV_DIR, 0700))
		die(GCOV_DIR);
	write_file(GCOV_DIR "/reset", "");
	for (int i = 0; i < MANY; i++)
		write_object(i, 1);
	gcov_open();
	count_records(counts);
	check(counts[1] == MANY, "gcov: an object is missing");
	for (int i = 0; i < MANY; i++)
		write_object(i, i + 2);
	check(sends("all", 1 << 20), "gcov: a window could not be sent");
	bytes = count_records(counts);
	/* A name of four bytes, and of each object: its number, one difference, the distance, the word; some take two bytes. */
	check(counts[2] == 1 && bytes == 4 + 4 * MANY + (MANY - 127) + (MANY + 1 - 127), "gcov: a difference is missing");
	check(!sends("cut", bytes / 2), "gcov: a write that fell short went unnoticed");
	write_file(GCOV_DIR "/7.gcda", "another size");
	check(sends("x", 1 << 20), "gcov: three words are three words");
	write_file(GCOV_DIR "/7.gcda", "another size, by far");
	check(!sends("size", 1 << 20), "gcov: an object of another size went unnoticed");
	remove(GCOV_DIR "/7.gcda");
	check(!sends("gone", 1 << 20), "gcov: an object that is gone went unnoticed");
}

/* ---- collect.c ---- */

static bool ended_behind;	/* the process writes and ends between the two looks of the first poll() */

static int late_poll(struct pollfd *p, nfds_t n, int ms)
{
	int ready = poll(p, n, ms);

	if (ended_behind && n == 2) {
		ended_behind = false;
		while (!p[1].revents)
			poll(p + 1, 1, -1);
		p[0].revents = 0;
		ready = 1;
	}
	return ready;
}

static void test_collect(void)
{
	static struct output out;
	const char words[] = "ok 1 a.b.c\n";

	for (int late = 0; late < 2; late++) {
		struct outcome o = { 0 };
		int fds[2];
		pid_t pid;

		out.len = out.lost = 0;
		ended_behind = late;
		if (pipe(fds))
			abort();
		pid = fork();
		if (!pid) {
			if (write(fds[1], words, sizeof(words) - 1) < 0)
				_exit(1);
			_exit(3);
		}
		close(fds[1]);
		collect(fds[0], pid, now_ms() + 20000, &out, &o);
		close(fds[0]);
		check(out.len == sizeof(words) - 1 && !memcmp(out.text, words, out.len), late ? "output behind the first look" : "output");
		check(WIFEXITED(o.status) && WEXITSTATUS(o.status) == 3 && !o.timed_out, "end of a process");
	}
}

int main(void)
{
	test_text();
	test_result();
	test_leaks();
	test_armed();
	test_gcov();
	test_collect();
	printf("unit: %d cases, %d failed\n", cases, failures);
	return failures != 0;
}
