// SPDX-License-Identifier: GPL-2.0
/*
 * On each save a round: a command that builds and tests. The next save ends it, with everything that it has started, and starts
 * another one. Several files that are written within a moment are one save; files that hold what they held are none.
 *
 * usage: mmuml-watch --state DIR [--tree KIND=DIR --inputs LIST] [--lock FILE] [--sources|--dir KIND=DIR]... [--file KIND=FILE]... -- COMMAND...
 *   --tree    a kernel's tree; LIST: of what the kernel was made (mmuml-fresh), relative to a directory in it
 *   --sources of its files only those that a compiler reads, or make
 *   --lock    while it is there git is at work in the tree
 *   --state   DIR/saved gets a line "KIND PATH" for each file that was saved; the round empties it when it has said its verdict
 * The round has SAVED in its environment, the time of the save (ms since 1970), and says on its descriptor 7
 *   t   the tree was brought to its stack, by the round and nobody else
 *   b   the kernel was built: of what is in LIST
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <search.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "watch.h"

#define QUIET		50	/* ms without an event: it is saved */
#define LOCK_MAX	3.0	/* s that a lock of git's is waited for; one that is older was left behind */

static struct root *roots;
static int n_roots;
static const char *inputs, *lock, *state;
static char **command;

/* What has come and was not looked at yet: "ROOT-NUMBER PATH". */
static void *pending;
static bool lost;		/* and more */
static double first_event, last_event, first_real;

/* What a look at it found. */
static int n_changed;
static char *elsewhere;
static FILE *saved;
static bool absorbing;

static double realtime(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* ---- events ---- */

static void heard(const struct root *root, const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	char *key;

	if (path && files_ignored(slash ? slash + 1 : path))
		return;
	last_event = now();
	if (!pending && !lost) {
		first_event = last_event;
		first_real = realtime();
	}
	if (!path) {
		lost = true;
		return;
	}
	key = xasprintf("%d %s", (int)(root - roots), path);
	if (*(char **)tsearch(key, &pending, compare) != key)
		free(key);
}

static void changed(const struct root *root, const char *path)
{
	n_changed++;
	if (saved && !absorbing)
		fprintf(saved, "%s %s\n", root->kind, path);
}

/* Look at what is pending; of the kernel's tree only if @tree_only, the rest stays. */
static void look(bool tree_only)
{
	void *later = NULL;

	while (pending) {
		char *key = *(char **)pending, *path;
		const struct root *root = &roots[strtol(key, &path, 10)];
		enum change what;

		tdelete(key, &pending, compare);
		if (tree_only && !root->kernel) {
			tsearch(key, &later, compare);
			continue;
		}
		what = files_look(root, ++path);
		if (what == CHANGED) {
			changed(root, path);
		} else if (what == ELSEWHERE) {
			free(elsewhere);
			elsewhere = xasprintf("%s", path);
		}
		free(key);
	}
	pending = later;
	for (int i = 0; lost && i < n_roots; i++)
		files_look_all(&roots[i], changed);
	lost = false;
}

/* ms until what is pending is a save; 0: it is; -1: nothing is. */
static int until_quiet(void)
{
	double t = now();
	int ms;

	if (!pending && !lost)
		return -1;
	ms = QUIET - (t - last_event) * 1e3;
	if (ms > 0)
		return ms;
	return lock && !access(lock, F_OK) && t - first_event < LOCK_MAX ? QUIET : 0;
}

/* The round's own work in the tree is no save. What a user saves there meanwhile is built by this round as well. */
static void absorb(void)
{
	notify_read(heard);
	absorbing = true;
	look(true);
	absorbing = false;
	free(elsewhere);
	elsewhere = NULL;
}

/* What was saved, if it is anything, takes back the round in progress. */
static void take_saves(void)
{
	char *path = xasprintf("%s/saved", state), at[16];
	double when = first_real;
	time_t seconds = when;

	saved = fopen(path, "ae");
	if (!saved)
		die(EX_HOST, xasprintf("ls -ld %s", state), strerror(errno), "cannot write %s", path);
	free(path);
	n_changed = 0;
	look(false);
	fclose(saved);
	saved = NULL;
	if (n_changed) {
		round_stop();
		round_start(command, when);
	} else if (elsewhere) {
		strftime(at, sizeof(at), "%H:%M:%S", localtime(&seconds));
		printf("%s%s  %s  is not in this kernel\n", isatty(STDOUT_FILENO) ? "\r\033[K" : "", at, elsewhere);
		fflush(stdout);
	}
	free(elsewhere);
	elsewhere = NULL;
}

/* ---- the loop ---- */

static void know_all(void)
{
	for (int i = 0; i < n_roots; i++)
		files_know(&roots[i], inputs);
}

static void hear_round(void)
{
	int word = round_word();

	if (word == 't')
		absorb();
	else if (word == 'b')
		for (int i = 0; i < n_roots; i++)
			if (roots[i].kernel)
				files_know(&roots[i], inputs);
}

/* Until a signal, or nobody reads what is said any more. */
static void loop(int events, int signals)
{
	for (;;) {
		struct pollfd p[] = {
			{ events, POLLIN, 0 }, { signals, POLLIN, 0 }, { STDOUT_FILENO, 0, 0 }, { round_fd(), POLLIN, 0 },
		};
		struct signalfd_siginfo si;

		if (poll(p, 4, until_quiet()) < 0 && errno != EINTR)
			die(EX_HOST, NULL, strerror(errno), "poll");
		if (p[2].revents & (POLLERR | POLLHUP))
			return;
		if (p[1].revents && read(signals, &si, sizeof(si)) == sizeof(si)) {
			if (si.ssi_signo != SIGCHLD)
				return;
			round_reap();
		}
		if (p[3].revents)
			hear_round();
		if (p[0].revents)
			notify_read(heard);
		if (!until_quiet())
			take_saves();
	}
}

/* ---- start ---- */

static void add_root(char *arg, bool kernel, bool file)
{
	char *dir = strchr(arg, '='), *slash;
	struct root *r;

	if (!dir)
		die(EX_USAGE, "make watch", NULL, "mmuml-watch: '%s' is no KIND=PATH", arg);
	*dir++ = '\0';
	roots = grow(roots, n_roots, sizeof(*roots));
	r = &roots[n_roots++];
	*r = (struct root){ .kind = arg, .dir = dir, .kernel = kernel };
	if (file) {
		slash = strrchr(dir, '/');
		r->only = slash ? slash + 1 : dir;
		r->dir = slash ? text_dup(dir, slash - dir) : ".";
	}
}

static void read_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "state", 1, NULL, 's' }, { "tree", 1, NULL, 't' }, { "inputs", 1, NULL, 'i' }, { "lock", 1, NULL, 'l' },
		{ "dir", 1, NULL, 'd' }, { "sources", 1, NULL, 'S' },
		{ "file", 1, NULL, 'f' }, { },
	};
	int c;

	while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (c) {
		case 's': state = optarg; break;
		case 't': add_root(optarg, true, false); break;
		case 'i': inputs = optarg; break;
		case 'l': lock = optarg; break;
		case 'd': add_root(optarg, false, false); break;
		case 'S':
			add_root(optarg, false, false);
			roots[n_roots - 1].sources = true;
			break;
		case 'f': add_root(optarg, false, true); break;
		default: exit(EX_USAGE);
		}
	}
	command = argv + optind;
	if (!*command || !state || !n_roots)
		die(EX_USAGE, "make watch", NULL, "mmuml-watch: no command, no --state, or nothing to watch");
}

/* One at a time for one tree and profile: two would take back each other's builds. */
static void lock_state(void)
{
	char *path = xasprintf("%s/lock", state);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		die(EX_HOST, xasprintf("ls -ld %s", state), strerror(errno), "cannot write %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB))
		die(EX_USAGE, xasprintf("fuser -v %s", path), "one tree and profile is watched once", "another make watch has %s", path);
	free(path);
}

int main(int argc, char **argv)
{
	int events, signals;
	sigset_t set;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	for (int i = 0; i < 4; i++) {
		int sig = (int[]){ SIGINT, SIGTERM, SIGHUP, SIGCHLD }[i];

		/* A shell's background ignores SIGINT, and what is ignored comes to no descriptor. */
		signal(sig, SIG_DFL);
		sigaddset(&set, sig);
	}
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	read_options(argc, argv);
	lock_state();
	events = notify_open();
	for (int i = 0; i < n_roots; i++)
		notify_add(&roots[i]);
	know_all();
	printf("  WATCH   %d directories, ^C ends it\n", notify_count());
	fflush(stdout);
	round_start(command, 0);
	loop(events, signals);
	if (isatty(STDOUT_FILENO))
		printf("\r\033[K");
	round_stop();
	return EX_INTERRUPTED;
}
