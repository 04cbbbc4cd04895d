// SPDX-License-Identifier: GPL-2.0
/* One round: a command in a process group of its own, ended with all that it has started. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "watch.h"

#define WORDS_FD	7	/* of the round: its end of the pipe */
#define ASK_AGAIN	100	/* ms: a stage that must not be cut short does not hear the first signal */
#define PATIENCE	30000	/* ms from the first signal until it is killed */

static pid_t group;		/* 0: no round */
static int words = -1;

static void child(char **command, double saved, int fd)
{
	static const int signals[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD };
	int null = open("/dev/null", O_RDONLY);
	char *text = saved > 0 ? xasprintf("%.0f", saved * 1e3) : xasprintf("%s", "");
	sigset_t none;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setenv("SAVED", text, 1);
	dup2(null, STDIN_FILENO);
	if (fd == WORDS_FD)
		fcntl(fd, F_SETFD, 0);
	else
		dup2(fd, WORDS_FD);
	execvp(command[0], command);
	fprintf(stderr, "mmuml: error: %s: %s\n", command[0], strerror(errno));
	_exit(EX_HOST);
}

void round_start(char **command, double saved)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC | O_NONBLOCK))
		die(EX_HOST, "ulimit -n", strerror(errno), "no pipe to a round");
	fflush(stdout);
	group = fork();
	if (group < 0)
		die(EX_HOST, "ulimit -u", strerror(errno), "no process for a round");
	if (!group)
		child(command, saved, p[1]);
	setpgid(group, group);
	close(p[1]);
	words = p[0];
}

int round_fd(void)
{
	return words;
}

int round_word(void)
{
	unsigned char c;
	ssize_t n = words < 0 ? 0 : read(words, &c, 1);

	if (n == 1)
		return c;
	if (!n && words >= 0) {
		close(words);
		words = -1;
	}
	return 0;
}

/* Whether nobody of the group is left. What a killed stage has left behind is our child: it is waited for here. */
bool round_reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	if (group && kill(-group, 0) && errno == ESRCH)
		group = 0;
	return !group;
}

void round_stop(void)
{
	double start = now(), next = 0;

	while (!round_reap()) {
		double waited = (now() - start) * 1e3;

		if (waited >= next) {
			kill(-group, waited < PATIENCE ? SIGTERM : SIGKILL);
			next += ASK_AGAIN;
		}
		poll(NULL, 0, 2);
	}
	while (round_word())
		;
	if (words >= 0)
		close(words);
	words = -1;
}
