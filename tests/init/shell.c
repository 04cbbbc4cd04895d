// SPDX-License-Identifier: GPL-2.0
/* The interactive guest: busybox on the console. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init.h"

static void become_shell(void)
{
	int tty = open("/dev/tty0", O_RDWR);

	setsid();
	ioctl(tty, TIOCSCTTY, 1);
	dup2(tty, 0);
	dup2(tty, 1);
	dup2(tty, 2);
	setenv("PATH", "/bin:/tests", 1);
	setenv("HOME", "/tmp", 1);
	setenv("PS1", "mmuml:\\w# ", 1);
	if (symlink("busybox", "/bin/sh") || system("busybox --install -s /bin"))
		perror("busybox --install");
	execl("/bin/busybox", "sh", "-i", NULL);
	_exit(127);
}

void shell(void)
{
	int status;
	pid_t pid;

	if (access("/bin/busybox", X_OK)) {
		errno = ENOENT;
		die("/bin/busybox (the host had none when the guest was built)");
	}
	pid = fork();
	if (!pid)
		become_shell();
	waitpid(pid, &status, 0);
	reap_strays();
}
