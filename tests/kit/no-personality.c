// SPDX-License-Identifier: GPL-2.0
/*
 * usage: no-personality COMMAND...   under a seccomp filter that refuses personality(2) all but what Docker's default profile
 * allows: 0, 8, 0x20000, 0x20008 and 0xffffffff.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ALLOW	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define LOAD(f)	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, f))
#define IF(n)	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, n, 0, 1)

int main(int argc, char **argv)
{
	struct sock_filter code[] = {
		LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_personality, 1, 0), ALLOW,
		LOAD(args[0]), IF(0), ALLOW, IF(8), ALLOW, IF(0x20000), ALLOW, IF(0x20008), ALLOW, IF(0xffffffff), ALLOW,
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	if (argc < 2 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
		perror("no-personality");
		return 3;
	}
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 127;
}
