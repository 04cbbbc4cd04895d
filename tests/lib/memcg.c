// SPDX-License-Identifier: GPL-2.0
/* Memory cgroups, version 2, as children of the root group. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mm.h"
#include "internal.h"

#define CGROOT	"/sys/fs/cgroup"

const char *mm_need_memcg(void)
{
	char text[256];

	if (mm_read_file(CGROOT "/cgroup.controllers", text, sizeof(text)) < 0)
		return "cgroup2 at " CGROOT;
	return strstr(text, "memory") ? NULL : "MEMCG";
}

static void file_of(const struct mm_cgroup *cg, const char *file, char *path, size_t size)
{
	snprintf(path, size, "%s/%s", cg->path, file);
}

int mm_cgroup_create(struct mm_cgroup *cg, const char *name)
{
	int err;

	if (snprintf(cg->path, sizeof(cg->path), CGROOT "/%s", name) >= (int)sizeof(cg->path))
		return -ENAMETOOLONG;
	err = mm_write_file(CGROOT "/cgroup.subtree_control", "+memory");
	if (err)
		return err;
	return mkdir(cg->path, 0755) ? -errno : 0;
}

int mm_cgroup_enter(const struct mm_cgroup *cg)
{
	return mm_cgroup_write(cg, "cgroup.procs", "0");
}

int mm_cgroup_leave(void)
{
	return mm_write_file(CGROOT "/cgroup.procs", "0");
}

/* A process that was just reaped may keep the group busy for a moment. */
int mm_cgroup_remove(struct mm_cgroup *cg)
{
	for (int try = 0; try < 100; try++) {
		if (!rmdir(cg->path))
			return 0;
		if (errno != EBUSY)
			return -errno;
		usleep(10 * 1000);
	}
	return -EBUSY;
}

int mm_cgroup_write(const struct mm_cgroup *cg, const char *file, const char *text)
{
	char path[160];

	file_of(cg, file, path, sizeof(path));
	return mm_write_file(path, text);
}

long mm_cgroup_read(const struct mm_cgroup *cg, const char *file)
{
	char path[160], text[64];
	ssize_t len;

	if (!strcmp(file, "memory.swap.current"))
		mm_slots_drain();
	file_of(cg, file, path, sizeof(path));
	len = mm_read_file(path, text, sizeof(text));
	if (len < 0)
		return len;
	return strncmp(text, "max", 3) ? mm_read_long(path) : -ERANGE;
}

void mm_cgroup_stir(const struct mm_cgroup *cg)
{
	const size_t len = 512 * PAGE;
	char *p = mm_reserve(len, PAGE);

	mm_cgroup_enter(cg);
	if (!mprotect(p, len, PROT_READ | PROT_WRITE))
		madvise(p, len, MADV_POPULATE_WRITE);
	munmap(p, len);
	mm_cgroup_leave();
}

long mm_cgroup_stat(const struct mm_cgroup *cg, const char *name)
{
	char path[160], line[128], key[64];
	long value, found = -ENOENT;
	FILE *f;

	file_of(cg, "memory.stat", path, sizeof(path));
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (found < 0 && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %ld", key, &value) == 2 && !strcmp(key, name))
			found = value;
	fclose(f);
	return found;
}

long mm_cgroup_stat_now(const struct mm_cgroup *cg, const char *name)
{
	mm_cgroup_stir(cg);
	return mm_cgroup_stat(cg, name);
}

/* "max" takes no page of a file, 200 hardly any. */
int mm_cgroup_reclaim_anon(const struct mm_cgroup *cg, size_t bytes)
{
	char text[64];
	int err;

	snprintf(text, sizeof(text), "%zu swappiness=max", bytes);
	err = mm_cgroup_write(cg, "memory.reclaim", text);
	if (err != -EINVAL)
		return err;
	snprintf(text, sizeof(text), "%zu swappiness=200", bytes);
	return mm_cgroup_write(cg, "memory.reclaim", text);
}

int mm_cgroup_reclaim(const struct mm_cgroup *cg, size_t bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%zu", bytes);
	return mm_cgroup_write(cg, "memory.reclaim", text);
}
