// SPDX-License-Identifier: GPL-2.0
/* Preloaded: every file system is NFS. */
#include <string.h>
#include <sys/vfs.h>

int statfs(const char *path, struct statfs *st)
{
	(void)path;
	memset(st, 0, sizeof(*st));
	st->f_type = 0x6969;
	return 0;
}
