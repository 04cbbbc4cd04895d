// SPDX-License-Identifier: GPL-2.0
/* One kernel process: its private directory, its descriptors, its end. The only place that starts a kernel. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tool.h"

#define MAX_ARGS	64

/* A part of what the guest is made of: that it is not there is no matter of the host's room. */
static void need_part(const char *path)
{
	if (access(path, R_OK))
		die(EX_HOST, "make guest", strerror(errno), "a part of the guest cannot be read: %s", path);
}

/* Append a whole file to another. */
static int append_file(const char *from, FILE *to)
{
	size_t len;
	char *s;
	int err = 0;

	need_part(from);
	s = read_whole(from, &len);
	if (!s || fwrite(s, 1, len, to) != len)
		err = errno ? -errno : -EIO;
	free(s);
	return err;
}

/* The initramfs of one boot: init and the shell, then the programs that @plan_text names (all of them without one). An
 * initramfs may be several archives one after the other (Documentation/driver-api/early-userspace/buffer-format.rst). */
static int make_initramfs(const struct options *o, const char *dir, const char *plan_text)
{
	char *to = xasprintf("%s/initramfs.cpio", dir), *from = xasprintf("%s/base.cpio", o->guest);
	FILE *f = fopen(to, "we");
	char last[256] = "", program[256];
	int err = f ? append_file(from, f) : -errno;

	for (const char *s = plan_text; !err && s && *s; s = strchr(s, '\n') + 1) {
		if (sscanf(s, "%*[^\t]\t%255[^\t]", program) != 1 || !strcmp(program, last))
			continue;
		strcpy(last, program);
		free(from);
		from = xasprintf("%s/cpio/%s.cpio", o->guest, program);
		err = append_file(from, f);
	}
	if (!err && !plan_text) {
		free(from);
		from = xasprintf("%s/tests.cpio", o->guest);
		err = append_file(from, f);
	}
	if (f && fclose(f) && !err)
		err = -errno;
	free(from);
	free(to);
	return err;
}

/* Everything of one boot: jail for hostfs, UML's own files, disks. Relative names keep the socket path short. */
static int make_dir(const struct options *o, const char *dir, const char *plan_text, const char *armed)
{
	char *path;
	int err = 0;

	if (mkdir(dir, 0700) && errno != EEXIST)
		return -errno;
	path = xasprintf("%s/host", dir);
	if (mkdir(path, 0700) && errno != EEXIST)
		err = -errno;
	free(path);
	path = xasprintf("%s/uml", dir);
	if (!err && mkdir(path, 0700) && errno != EEXIST)
		err = -errno;
	free(path);
	path = xasprintf("%s/host/plan", dir);
	if (!err && plan_text)
		err = write_whole(path, plan_text, strlen(plan_text));
	free(path);
	path = xasprintf("%s/host/armed", dir);
	if (!err && armed)
		err = write_whole(path, armed, strlen(armed));
	free(path);
	if (!err)
		err = make_initramfs(o, dir, plan_text);
	for (int i = 0; !err && i < 2; i++) {
		const char *image = i ? "ext4.img" : "swap.img";
		char *from = xasprintf("%s/%s", o->guest, image);

		need_part(from);
		path = xasprintf("%s/%s", dir, image);
		err = copy_sparse(from, path);
		free(from);
		free(path);
	}
	return err;
}

/* The kernel command line, for both kinds of start. */
static int make_args(char **argv, const struct options *o, const struct start *s)
{
	const struct tool *tool = s ? s->tool : &tool_plain;
	int n = 0;

	if (tool->words)
		n = tool->words(argv, s);
	argv[n++] = realpath(o->kernel, NULL);
	argv[n++] = xasprintf("mem=%ldM", o->mem_mb);
	argv[n++] = xasprintf("initrd=initramfs.cpio");
	argv[n++] = xasprintf("ubd0=swap.img");
	argv[n++] = xasprintf("ubd1=ext4.img");
	argv[n++] = xasprintf("seccomp=%s", tool->seccomp);
	argv[n++] = xasprintf("ncpus=%ld", o->cpus);
	argv[n++] = xasprintf("lpj=20000000");
	argv[n++] = xasprintf("umid=guest");
	argv[n++] = xasprintf("uml_dir=uml/");
	argv[n++] = xasprintf("con=null");
	argv[n++] = xasprintf("con0=fd:0,fd:1");
	argv[n++] = xasprintf("ssl=null");
	argv[n++] = xasprintf("slab_nomerge");
	argv[n++] = xasprintf("oops=panic");
	argv[n++] = xasprintf("page_owner=on");
	argv[n++] = xasprintf("kmemleak=on");
	/* Detectors that would fall silent after their first report speak each time. */
	argv[n++] = xasprintf("kasan_multi_shot");
	/*
	 * A frame buffer in memory, mapped with deferred I/O, which no other device of a guest has. With a mode: vfb_init()
	 * leaks an empty option (drivers/video/fbdev/vfb.c).
	 */
	argv[n++] = xasprintf("video=vfb:640x480-8");
	argv[n++] = xasprintf("vfb.defio=1");
	argv[n++] = xasprintf("mmuml.seed=%s", o->seed);
	if (tool->kernel_words)
		n += tool->kernel_words(argv + n, s);
	/* What it asks the kernel after each test would be in what a tool or a counter says of the test. */
	if (tool == &tool_plain && !o->coverage)
		argv[n++] = xasprintf("mmuml.left=1");
	if (o->coverage)
		argv[n++] = xasprintf("mmuml.coverage=1");
	if (o->counters)
		argv[n++] = xasprintf("mmuml.counters=1");
	return n;
}

static int append_args(char **argv, int n, const struct options *o)
{
	char *copy, *save = NULL, *word;

	if (o->append) {
		copy = xasprintf("%s", o->append);
		for (word = strtok_r(copy, " ", &save); word && n < MAX_ARGS - 1; word = strtok_r(NULL, " ", &save))
			argv[n++] = xasprintf("%s", word);
		free(copy);
	}
	argv[n] = NULL;
	return n;
}

/*
 * In the child: the kernel and its stubs take turns, thousands of times a second. On one CPU that is a switch; on two it
 * is an interrupt to an idle CPU each time, and a run takes twice as long.
 */
static void stay_on(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	/* Worth the time only: in a cpuset that changed since, it runs wherever it may. */
	if (sched_setaffinity(0, sizeof(one), &one))
		return;
}

int guest_next_cpu(int last)
{
	cpu_set_t may;
	int here = last < 0 ? sched_getcpu() - 1 : last;

	if (here < -1 || sched_getaffinity(0, sizeof(may), &may))
		return -1;
	for (int i = 1; i <= CPU_SETSIZE; i++)
		if (CPU_ISSET((here + i) % CPU_SETSIZE, &may))
			return (here + i) % CPU_SETSIZE;
	return -1;
}

/* In the child: nothing of the kernel outlives the runner, and it starts without address randomisation, so that UML
 * does not execute itself again. */
static void become_kernel(const char *dir, char **argv)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* make gdb ATTACH=1 may trace it under Yama, too. */
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	if (chdir(dir)) {
		perror(dir);
		_exit(127);
	}
	personality(personality(0xffffffff) | ADDR_NO_RANDOMIZE);
	execvp(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

/* In the child: the descriptors of the kernel (tool.h), and no others. */
static void take_descriptors(const struct start *s, int null, int console, int result, int xml, int *silence)
{
	/* First out of the way of the numbers that are given out below. */
	for (int i = 0; i < 2; i++)
		silence[i] = fcntl(silence[i], F_DUPFD_CLOEXEC, 32);
	console = fcntl(console, F_DUPFD_CLOEXEC, 32);
	result = fcntl(result, F_DUPFD_CLOEXEC, 32);
	if (xml >= 0)
		xml = fcntl(xml, F_DUPFD_CLOEXEC, 32);
	dup2(result, RESULT_FD);
	dup2(silence[0], SILENCE_FD);
	dup2(silence[1], SILENCE_END_FD);
	if (xml >= 0)
		dup2(xml, XML_FD);
	if (s->tool->exec) {
		dup2(console, CONSOLE_FD);
		return;
	}
	dup2(null, 0);
	dup2(console, 1);
	dup2(console, 2);
}

static void in_child(const struct start *s, char **argv, int null, int console, int result, int xml, int *silence)
{
	setpgid(0, 0);
	if (s->tool->environment)
		s->tool->environment(s);
	if (s->cpu >= 0 && s->opt->cpus == 1)
		stay_on(s->cpu);
	take_descriptors(s, null, console, result, xml, silence);
	if (s->tool->exec)
		s->tool->exec(s, argv);
	become_kernel(s->dir, argv);
}

static int start(struct guest *g, const struct start *s)
{
	int console[2], result[2], silence[2], xml[2] = { -1, -1 }, null, n, err;
	const struct options *o = s->opt;
	char *argv[MAX_ARGS];

	err = make_dir(o, s->dir, s->plan, s->armed);
	if (err)
		return err;
	n = make_args(argv, o, s);
	argv[n++] = xasprintf("ssl0=fd:%d,fd:%d", SILENCE_FD, RESULT_FD);
	/* Not by its name, whose length would decide what the kernel allocates for it: equal runs count the same anywhere. */
	argv[n++] = xasprintf("hostfs=/proc/self/cwd/host");
	argv[n++] = xasprintf("loglevel=8");
	append_args(argv, n, o);
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null < 0 || pipe2(console, O_CLOEXEC) || pipe2(result, O_CLOEXEC) || pipe2(silence, O_CLOEXEC) ||
	    (s->tool->xml && pipe2(xml, O_CLOEXEC)))
		return -errno;
	fcntl(console[1], F_SETPIPE_SZ, 1 << 20);
	*g = (struct guest){ .pidfd = -1 };
	fflush(NULL);
	if (s->tool->debugger)
		gdb_terminal(false);
	g->pid = fork();
	if (g->pid < 0)
		return -errno;
	if (!g->pid)
		in_child(s, argv, null, console[1], result[1], xml[1], silence);
	setpgid(g->pid, g->pid);
	g->pidfd = syscall(SYS_pidfd_open, g->pid, 0);
	g->console = console[0];
	g->result = result[0];
	g->xml = xml[0];
	for (char **a = argv; *a; a++)
		free(*a);
	close(console[1]);
	close(result[1]);
	close(silence[0]);
	close(silence[1]);
	if (xml[1] >= 0)
		close(xml[1]);
	close(null);
	fcntl(g->console, F_SETFL, O_NONBLOCK);
	fcntl(g->result, F_SETFL, O_NONBLOCK);
	if (g->xml >= 0)
		fcntl(g->xml, F_SETFL, O_NONBLOCK);
	return 0;
}

void guest_start(struct guest *g, const struct start *s)
{
	int err = start(g, s);

	if (err)
		die(EX_HOST, "df -h .; make doctor", strerror(-err), "cannot start a kernel in %s", s->dir);
}

/*
 * UML hangs when its console's input ends. Commands from a pipe or a file go through a process that ends them as a
 * person does, with ^D, and then waits for its end. The end that the kernel reads becomes our standard input.
 */
static pid_t pump_input(void)
{
	char buf[4096];
	ssize_t n;
	int p[2];
	pid_t pid;

	if (pipe(p))
		die(EX_HOST, "ulimit -n", strerror(errno), "cannot make a pipe");
	pid = fork();
	if (pid < 0)
		die(EX_HOST, NULL, strerror(errno), "cannot start a process");
	if (pid) {
		dup2(p[0], STDIN_FILENO);
		close(p[0]);
		close(p[1]);
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(p[0]);
	while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0)
		if (write(p[1], buf, n) != n)
			_exit(1);
	/* One that comes before the shell has set up its terminal is lost. */
	while (write(p[1], "\004", 1) == 1)
		usleep(300 * 1000);
	_exit(0);
}

int guest_shell(const struct options *o, const char *dir)
{
	pid_t pid, pump = isatty(STDIN_FILENO) ? 0 : pump_input();
	char *argv[MAX_ARGS];
	int status, n, err;

	err = make_dir(o, dir, NULL, NULL);
	if (err)
		die(EX_HOST, "df -h .", strerror(-err), "cannot prepare %s", dir);
	n = make_args(argv, o, NULL);
	if (o->hostfs && !realpath(o->hostfs, NULL))
		die(EX_USAGE, "make shell HOSTFS=/existing/dir", strerror(errno), "HOSTFS=%s cannot be shown", o->hostfs);
	argv[n++] = o->hostfs ? xasprintf("hostfs=%s", realpath(o->hostfs, NULL))
			      : xasprintf("hostfs=/proc/self/cwd/host");
	argv[n++] = xasprintf("mmuml.mode=shell");
	argv[n++] = xasprintf("quiet");
	append_args(argv, n, o);
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		die(EX_HOST, NULL, strerror(errno), "cannot start a process");
	if (!pid)
		become_kernel(dir, argv);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		if (interrupted)
			kill(pid, SIGKILL);
	if (pump)
		kill(pump, SIGKILL);
	if (interrupted)
		return EX_INTERRUPTED;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EX_REPORT;
}

/* The protocol of arch/um/drivers/mconsole.h, version 2. Its answer is not waited for: a kernel that hangs has none. */
int guest_sysrq(const char *dir, char key)
{
	struct { uint32_t magic, version, len; char data[512]; } request = {
		.magic = 0xcafebabe, .version = 2,
	};
	struct sockaddr_un to = { .sun_family = AF_UNIX }, me = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;
	int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	request.len = snprintf(request.data, sizeof(request.data), "sysrq %c", key);
	/* A socket's path holds 108 bytes, ours may be longer: name it from its directory. */
	snprintf(to.sun_path, sizeof(to.sun_path), "/proc/self/fd/%d/uml/guest/mconsole", at);
	if (fd < 0 || at < 0 || bind(fd, (struct sockaddr *)&me, sizeof(sa_family_t)) ||
	    sendto(fd, &request, sizeof(request), MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to)) < 0)
		err = -errno;
	if (at >= 0)
		close(at);
	if (fd >= 0)
		close(fd);
	return err;
}

bool guest_poll(struct guest *g)
{
	if (!g->gone && waitpid(g->pid, &g->status, WNOHANG) == g->pid)
		g->gone = true;
	return g->gone;
}

void guest_kill(struct guest *g, const char *dir)
{
	/* Once: the number may be somebody else's by now. */
	if (!g->pid)
		return;
	kill(-g->pid, SIGKILL);
	if (!g->gone) {
		kill(g->pid, SIGKILL);
		waitpid(g->pid, &g->status, 0);
		g->gone = true;
	}
	gdb_terminal(true);
	gdb_kill_kernel(dir);
	if (g->console >= 0)
		close(g->console);
	if (g->result >= 0)
		close(g->result);
	if (g->xml >= 0)
		close(g->xml);
	if (g->pidfd >= 0)
		close(g->pidfd);
	g->console = g->result = g->xml = g->pidfd = -1;
	g->pid = 0;
}
