// SPDX-License-Identifier: GPL-2.0
/*
 * usage: refuse personality|ptrace COMMAND...   under a seccomp filter that refuses with EPERM, as the profiles of containers do:
 *   personality   personality(2), all but what Docker's default profile allows: 0, 8, 0x20000, 0x20008 and 0xffffffff
 *   ptrace        ptrace(2), all of it; to a program it is as with kernel.yama.ptrace_scope=3
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ALLOW	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define LOAD(f)	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, f))
#define IF(n)	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, n, 0, 1)
#define ONLY(n)	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, n, 1, 0)
#define REFUSE	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)

static struct sock_filter personality[] = {
	LOAD(nr), ONLY(SYS_personality), ALLOW,
	LOAD(args[0]), IF(0), ALLOW, IF(8), ALLOW, IF(0x20000), ALLOW, IF(0x20008), ALLOW, IF(0xffffffff), ALLOW,
	REFUSE,
};
static struct sock_filter no_ptrace[] = { LOAD(nr), ONLY(SYS_ptrace), ALLOW, REFUSE };

int main(int argc, char **argv)
{
	struct sock_fprog program = { sizeof(personality) / sizeof(*personality), personality };

	if (argc > 1 && !strcmp(argv[1], "ptrace"))
		program = (struct sock_fprog){ sizeof(no_ptrace) / sizeof(*no_ptrace), no_ptrace };
	if (argc < 3 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
		perror("refuse");
		return 3;
	}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
