// SPDX-License-Identifier: GPL-2.0
/* gdb around a kernel: it starts the guest with the jail and the descriptors of every boot, or joins one that runs. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "decode.h"
#include "tool.h"

#define SCRIPT	"scripts/gdb/start.py"

static struct termios saved;
static bool has_terminal;

/* gdb gets the terminal with a process group of its own, so that ^C is for it alone. */
static void own_terminal(void)
{
	setpgid(0, 0);
	if (!has_terminal)
		return;
	signal(SIGTTOU, SIG_IGN);
	tcsetpgrp(STDIN_FILENO, getpgrp());
	signal(SIGTTOU, SIG_DFL);
}

void gdb_terminal(bool back)
{
	if (!back) {
		has_terminal = isatty(STDIN_FILENO) && !tcgetattr(STDIN_FILENO, &saved);
	} else if (has_terminal) {
		signal(SIGTTOU, SIG_IGN);
		tcsetpgrp(STDIN_FILENO, getpgrp());
		tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
		signal(SIGTTOU, SIG_DFL);
	}
}

/* The words of every start of gdb, before its program; returns how many. */
static int gdb_words(char **argv)
{
	char *gdb = getenv("GDB");
	int n = 0;

	argv[n++] = gdb && *gdb ? gdb : "gdb";
	argv[n++] = "-q";
	argv[n++] = "-nx";
	if (getenv("CMDS"))
		argv[n++] = "-batch";
	argv[n++] = "-iex";
	argv[n++] = "set debuginfod enabled off";
	argv[n++] = "-iex";
	argv[n++] = "set auto-load no";
	argv[n++] = "-x";
	argv[n++] = realpath(SCRIPT, NULL);
	if (!argv[n - 1])
		die(EX_USAGE, "run from the top of the checkout", strerror(errno), "no " SCRIPT);
	return n;
}

/* Time at a prompt of gdb is no stall. */
static int gdb_kernel(char **argv, const struct start *s)
{
	(void)s;
	argv[0] = xasprintf("rcupdate.rcu_cpu_stall_suppress=1");
	argv[1] = xasprintf("nosoftlockup");
	argv[2] = xasprintf("workqueue.watchdog_thresh=0");
	return 3;
}

static __attribute__((noreturn)) void gdb_exec(const struct start *s, char **kernel_argv)
{
	const struct options *o = s->opt;
	const char *dir = s->dir;
	char *argv[32], *path = realpath(dir, NULL);
	struct buf args = { 0 };
	int n = gdb_words(argv);

	own_terminal();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setenv("MMUML_ON_FAIL", o->on_fail ? "1" : "", 1);
	setenv("MMUML_BOOT", path ? path : dir, 1);
	setenv("MMUML_LIMIT", xasprintf("%g", o->test_limit * o->scale), 1);
	/* gdb starts its program through a shell: one that knows >&. */
	setenv("SHELL", "/bin/sh", 1);
	/* Through a shell, as gdb starts its program: quoted word by word. */
	for (int i = 1; kernel_argv[i]; i++)
		buf_printf(&args, "'%s' ", kernel_argv[i]);
	buf_printf(&args, "</dev/null >&%d 2>&%d %d>&-", CONSOLE_FD, CONSOLE_FD, CONSOLE_FD);
	setenv("MMUML_ARGS", args.s, 1);
	argv[n++] = kernel_argv[0];
	argv[n] = NULL;
	if (chdir(dir)) {
		perror(dir);
		_exit(127);
	}
	personality(personality(0xffffffff) | ADDR_NO_RANDOMIZE);
	execvp(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

const struct tool tool_gdb = {
	.name = "gdb", .verb = "gdb", .seccomp = "on", .traced = true, .debugger = true, .piece_min = 1 << 30,
	.kernel_words = gdb_kernel,
	.exec = gdb_exec,
};

static pid_t guest_pid(const char *dir)
{
	char *path = xasprintf("%s/uml/guest/pid", dir), *text = read_whole(path, NULL);
	pid_t pid = text ? atoi(text) : 0;

	free(path);
	free(text);
	return pid;
}

/* Whether @pid is a process that was started in @dir, and not one that got the number of a guest that is gone. */
static bool lives_in(pid_t pid, const char *dir)
{
	char *path = xasprintf("/proc/%d/cwd", pid), *cwd = realpath(path, NULL), *real = realpath(dir, NULL);
	bool same = cwd && real && !strcmp(cwd, real);

	free(path);
	free(cwd);
	free(real);
	return same;
}

void gdb_kill_kernel(const char *dir)
{
	pid_t pid = guest_pid(dir);

	/* gdb's death killed it, or it ended; then it is ours to reap. Else nobody of that number is our child. */
	if (pid > 1 && waitpid(pid, NULL, WNOHANG) >= 0) {
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		/* Its stubs are ours as well now; without a gdb there may be other kernels among our children. */
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}

/* The boot directory of the guest that was started last and still runs, or NULL. */
static char *newest_guest(void)
{
	char *found = NULL;
	time_t when = 0;
	glob_t g;

	if (glob("out/runs/*/boot*/uml/guest/pid", 0, NULL, &g))
		return NULL;
	for (size_t i = 0; i < g.gl_pathc; i++) {
		char *dir = xasprintf("%.*s", (int)(strlen(g.gl_pathv[i]) - strlen("/uml/guest/pid")), g.gl_pathv[i]);
		pid_t pid = guest_pid(dir);
		struct stat st;

		if (pid > 1 && lives_in(pid, dir) && !stat(g.gl_pathv[i], &st) && st.st_mtime >= when) {
			when = st.st_mtime;
			free(found);
			found = dir;
		} else {
			free(dir);
		}
	}
	globfree(&g);
	return found;
}

/* The file of a running kernel, with debug information; NULL if it was built again since. */
static char *kernel_of(pid_t pid)
{
	char *link = xasprintf("/proc/%d/exe", pid), *path = realpath(link, NULL);

	free(link);
	if (path)
		decode_explain(path);
	return path;
}

int guest_attach(void)
{
	char *argv[32], *dir = newest_guest(), *kernel;
	int status = 0, n;
	pid_t pid;

	if (!dir)
		die(EX_USAGE, "make shell, and in another terminal make gdb ATTACH=1", "no process of out/runs/*/boot* is alive",
		    "no guest is running");
	printf("  ATTACH  %s (process %d)\n", dir, guest_pid(dir));
	fflush(NULL);
	kernel = kernel_of(guest_pid(dir));
	gdb_terminal(false);
	pid = fork();
	if (!pid) {
		n = gdb_words(argv);
		own_terminal();
		setenv("MMUML_BOOT", realpath(dir, NULL), 1);
		setenv("MMUML_ATTACH", "1", 1);
		if (kernel)
			argv[n++] = kernel;
		argv[n++] = "-p";
		argv[n++] = xasprintf("%d", guest_pid(dir));
		argv[n] = NULL;
		execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	gdb_terminal(true);
	free(kernel);
	free(dir);
	return WIFEXITED(status) ? WEXITSTATUS(status) : EX_FAIL;
}
