// SPDX-License-Identifier: GPL-2.0
/*
 * Run a kernel and note which of some source lines it executes: a breakpoint at each, taken out where it is hit, so that a
 * line costs one stop. Nothing is compiled for it, and no counter of the kernel changes.
 *
 * usage: mmuml-probe --find KERNEL < LINES > CODE	LINES: "path:line" in the kernel's tree, one a line
 *        mmuml-probe CODE RAN KERNEL [ARGUMENT...]	CODE: "address path:line" of each place where a line's code begins
 * RAN is appended to: "path:line" once it was reached. Ends as the kernel ends. With optimisation a line's code may be
 * shared with its neighbours: the answer is as good as that of a debugger. Where the kernel cannot be traced it runs all the
 * same, and RAN is not there: nothing is known. A kernel that is lost sight of on the way is ended, with EX_HOST: a line that
 * nobody watched must not pass for one that never ran.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/kit.h"

#define BREAKPOINT	0xcc

/* A line in question; with an address: a place where its code begins. */
struct line {
	char *path;
	int nr;
	Dwarf_Addr addr;
	unsigned char byte;	/* that stands there */
	bool planted, ran;
};

static struct line *lines;
static int n_lines;

static void add_line(char *path, Dwarf_Addr addr, const char *where)
{
	char *colon = strrchr(path, ':');

	if (!colon)
		die(EX_USAGE, NULL, NULL, "%s: '%s' is no path:line", where, path);
	*colon = '\0';
	if (!(n_lines & (n_lines - 1))) {
		lines = realloc(lines, (n_lines ? 2 * n_lines : 1) * sizeof(*lines));
		if (!lines)
			die(EX_HOST, NULL, NULL, "out of memory");
	}
	lines[n_lines++] = (struct line){ .path = path, .nr = atoi(colon + 1), .addr = addr };
}

/* ---- where the code of lines begins ---- */

/* Whether the compiler's name of a file, relative to the build directory or absolute, means that path of the tree. */
static bool is_path(const char *src, const char *path)
{
	size_t a = strlen(src), b = strlen(path);

	return a >= b && !strcmp(src + a - b, path) && (a == b || src[a - b - 1] == '/');
}

static bool wanted(const char *src)
{
	for (int i = 0; i < n_lines; i++)
		if (is_path(src, lines[i].path))
			return true;
	return false;
}

static void print_code(const char *src, int nr, Dwarf_Addr addr)
{
	for (int i = 0; i < n_lines; i++)
		if (lines[i].nr == nr && is_path(src, lines[i].path))
			printf("%lx %s:%d\n", addr, lines[i].path, nr);
}

/* The rows of a unit's line table that start statements of wanted lines. */
static void scan_unit(Dwarf_Die *cu)
{
	const char *last = NULL;
	bool want = false;
	Dwarf_Lines *table;
	size_t n;

	if (dwarf_getsrclines(cu, &table, &n))
		return;
	for (size_t i = 0; i < n; i++) {
		Dwarf_Line *row = dwarf_onesrcline(table, i);
		const char *src = dwarf_linesrc(row, NULL, NULL);
		Dwarf_Addr addr;
		bool starts, end;
		int nr;

		if (src && src != last) {
			last = src;
			want = wanted(src);
		}
		if (!src || !want || dwarf_lineno(row, &nr) || dwarf_lineaddr(row, &addr) ||
		    dwarf_linebeginstatement(row, &starts) || dwarf_lineendsequence(row, &end) || !starts || end)
			continue;
		print_code(src, nr, addr);
	}
}

/* Code of a header's lines may be anywhere, that of a source's lines is in its own unit. */
static bool may_have(const char *unit)
{
	size_t len;

	for (int i = 0; i < n_lines; i++) {
		len = strlen(lines[i].path);
		if (len < 2 || strcmp(lines[i].path + len - 2, ".c") || (unit && is_path(unit, lines[i].path)))
			return true;
	}
	return false;
}

static int find(const char *kernel)
{
	int fd = open(kernel, O_RDONLY | O_CLOEXEC);
	Dwarf *dw = fd < 0 ? NULL : dwarf_begin(fd, DWARF_C_READ);
	Dwarf_Off off = 0, next;
	char *line = NULL;
	size_t header, size = 0;
	Dwarf_Die cu;

	if (!dw)
		die(EX_USAGE, NULL, fd < 0 ? strerror(errno) : dwarf_errmsg(-1), "%s has no debug information", kernel);
	while (getline(&line, &size, stdin) > 0) {
		line[strcspn(line, "\n")] = '\0';
		add_line(xasprintf("%s", line), 0, "stdin");
	}
	for (; n_lines && !dwarf_nextcu(dw, off, &next, &header, NULL, NULL, NULL); off = next)
		if (dwarf_offdie(dw, off + header, &cu) && may_have(dwarf_diename(&cu)))
			scan_unit(&cu);
	dwarf_end(dw);
	close(fd);
	return EX_PASS;
}

/* ---- a kernel with breakpoints ---- */

static void read_code(const char *path)
{
	char *text = read_whole(path, NULL), *save = NULL;

	if (!text)
		die(EX_USAGE, NULL, strerror(errno), "%s cannot be read", path);
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		char *name;
		Dwarf_Addr addr = strtoul(l, &name, 16);

		add_line(name + (*name == ' '), addr, path);
	}
}

/* Write one byte of the kernel's text; what stood there, or -1. */
static int swap_byte(int mem, Dwarf_Addr addr, unsigned char byte)
{
	unsigned char old;

	if (pread(mem, &old, 1, addr) != 1 || pwrite(mem, &byte, 1, addr) != 1)
		return -1;
	return old;
}

static int open_memory(pid_t pid)
{
	char *path = xasprintf("/proc/%d/mem", (int)pid);
	int fd = open(path, O_RDWR | O_CLOEXEC);

	free(path);
	return fd;
}

/* All that were not hit yet, into the program that was just executed; false with errno if one cannot be. */
static bool plant(pid_t pid)
{
	int mem = open_memory(pid), i = 0;

	for (; mem >= 0 && i < n_lines; i++) {
		struct line *l = &lines[i];
		int byte = l->ran ? 0 : swap_byte(mem, l->addr, BREAKPOINT);

		if (byte < 0)
			break;
		l->planted = !l->ran;
		l->byte = byte;
		/* Another line's code begins in the same place: what stood there is known to it. */
		for (int j = 0; byte == BREAKPOINT && j < i; j++)
			if (lines[j].planted && lines[j].addr == l->addr)
				l->byte = lines[j].byte;
	}
	if (mem >= 0)
		close(mem);
	return mem >= 0 && i == n_lines;
}

/* Take out again what plant() put in before it failed. */
static void uproot(pid_t pid)
{
	int mem = open_memory(pid);

	for (int i = 0; mem >= 0 && i < n_lines; i++)
		if (lines[i].planted)
			swap_byte(mem, lines[i].addr, lines[i].byte);
	if (mem >= 0)
		close(mem);
}

/*
 * The kernel can no longer be watched: end it and say so, unless it is that it was killed (ESRCH), which the next waitpid()
 * tells in full.
 */
static void lost(pid_t pid, const char *what)
{
	int err = errno;

	if (err == ESRCH)
		return;
	kill(pid, SIGKILL);
	die(EX_HOST, NULL, strerror(err), "mmuml-probe has lost the kernel: %s", what);
}

/* What ptrace() says; where that is an error, lost() has its say first. */
static long must(enum __ptrace_request request, pid_t pid, void *data, const char *what)
{
	long ret = ptrace(request, pid, NULL, data);

	if (ret < 0)
		lost(pid, what);
	return ret;
}

/* Put back the byte of each line whose code begins at @addr, and note the line; whether there is one. */
static bool note_lines(pid_t pid, Dwarf_Addr addr, int ran_fd)
{
	int mem = open_memory(pid);
	bool ours = false;

	for (int i = 0; i < n_lines; i++) {
		struct line *l = &lines[i];

		if (l->addr != addr || !l->planted)
			continue;
		ours = true;
		if (mem < 0 || swap_byte(mem, l->addr, l->byte) < 0)
			lost(pid, "a breakpoint cannot be taken out");
		l->planted = false;
		l->ran = true;
		if (dprintf(ran_fd, "%s:%d\n", l->path, l->nr) < 0)
			lost(pid, "a line that ran cannot be noted");
	}
	if (mem >= 0)
		close(mem);
	return ours;
}

/* If one of the breakpoints was hit, go on where it stood; false if it is none of ours. */
static bool take_hit(pid_t pid, int ran_fd)
{
	struct user_regs_struct regs;

	if (must(PTRACE_GETREGS, pid, &regs, "its registers cannot be read") < 0)
		return false;
	regs.rip--;
	if (!note_lines(pid, regs.rip, ran_fd))
		return false;
	must(PTRACE_SETREGS, pid, &regs, "its registers cannot be set");
	return true;
}

/* The signal to go on with. */
static int stopped(pid_t pid, int status, int ran_fd)
{
	int sig = WSTOPSIG(status);

	if (status >> 16 == PTRACE_EVENT_EXEC) {
		if (!plant(pid))
			lost(pid, "no breakpoint can be written into what it executed");
		return 0;
	}
	if (sig == SIGTRAP && take_hit(pid, ran_fd))
		return 0;
	/* Nobody is there to continue it. */
	return sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU ? 0 : sig;
}

static void __attribute__((noreturn)) end_as(int status)
{
	if (WIFSIGNALED(status)) {
		signal(WTERMSIG(status), SIG_DFL);
		kill(getpid(), WTERMSIG(status));
	}
	exit(WEXITSTATUS(status));
}

/* Without a RAN file nobody takes the lines that are not in it for lines that never ran. */
static void untraced(const char *ran, const char *what)
{
	fprintf(stderr, "mmuml: warning: %s (%s): which lines run is not known\n", what, strerror(errno));
	unlink(ran);
}

static void __attribute__((noreturn)) become(const char *ran, char **argv)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		untraced(ran, "the kernel cannot be traced");
	execv(argv[0], argv);
	fprintf(stderr, "mmuml: error: cannot start %s\n  because: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/* The stop of the first execve(), before there were options. False: it runs untraced. */
static bool take_over(pid_t pid, const char *ran)
{
	void *options = (void *)(long)(PTRACE_O_EXITKILL | PTRACE_O_TRACEEXEC);

	if (!ptrace(PTRACE_SETOPTIONS, pid, NULL, options) && plant(pid)) {
		must(PTRACE_CONT, pid, NULL, "it cannot be continued");
		return true;
	}
	untraced(ran, "no breakpoint can be written into the kernel");
	uproot(pid);
	must(PTRACE_DETACH, pid, NULL, "it can neither be traced nor let go");
	return false;
}

/* A wait that signals do not end. */
static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, __WALL) != pid)
		if (errno != EINTR)
			die(EX_HOST, NULL, strerror(errno), "mmuml-probe cannot wait for its kernel");
	return status;
}

int main(int argc, char **argv)
{
	bool traced = true;
	int status, ran_fd;
	pid_t pid;

	if (argc == 3 && !strcmp(argv[1], "--find"))
		return find(argv[2]);
	if (argc < 4)
		die(EX_USAGE, NULL, NULL, "usage: mmuml-probe --find KERNEL, or CODE RAN KERNEL [ARGUMENT...]");
	read_code(argv[1]);
	ran_fd = open(argv[2], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (ran_fd < 0)
		die(EX_HOST, NULL, strerror(errno), "%s cannot be written", argv[2]);
	pid = fork();
	if (!pid)
		become(argv[2], argv + 3);
	if (pid < 0)
		die(EX_HOST, NULL, strerror(errno), "cannot start %s", argv[3]);
	status = wait_for(pid);
	if (WIFSTOPPED(status))
		traced = take_over(pid, argv[2]);
	while (WIFSTOPPED(status)) {
		status = wait_for(pid);
		if (WIFSTOPPED(status) && traced)
			must(PTRACE_CONT, pid, (void *)(long)stopped(pid, status, ran_fd), "it cannot be continued");
	}
	end_as(status);
}
