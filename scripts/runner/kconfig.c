// SPDX-License-Identifier: GPL-2.0
/* The configuration of a kernel, which lies beside it. */
#include <stdlib.h>
#include <string.h>

#include "runner.h"

char *kconfig_path(const struct options *o)
{
	const char *slash = strrchr(o->kernel, '/');

	return xasprintf("%.*s/.config", slash ? (int)(slash - o->kernel) : 1, slash ? o->kernel : ".");
}

char *kconfig_read(const struct options *o, size_t *len)
{
	char *path = kconfig_path(o), *text = read_whole(path, len);

	free(path);
	return text;
}

bool kconfig_has(const char *config, const char *option)
{
	char *want = xasprintf("\nCONFIG_%s=y\n", option);
	bool has = config && strstr(config, want);

	free(want);
	return has;
}
