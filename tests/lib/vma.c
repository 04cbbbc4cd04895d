// SPDX-License-Identifier: GPL-2.0
/* VMAs and their accounts: /proc/PID/maps, smaps and status. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mm.h"
#include "internal.h"

/* A line of maps, or the first line of an smaps entry; other lines of smaps do not parse. */
static bool parse_vma(const char *line, struct mm_vma *vma)
{
	int path = 0;

	if (sscanf(line, "%lx-%lx %4s %lx %*x:%*x %*u %n",
		   &vma->start, &vma->end, vma->prot, &vma->offset, &path) < 4 || !path)
		return false;
	snprintf(vma->path, sizeof(vma->path), "%.*s", (int)strcspn(line + path, "\n"), line + path);
	return true;
}

int mm_vma(pid_t pid, const void *addr, struct mm_vma *vma)
{
	unsigned long at = (unsigned long)addr;
	char line[512];
	int ret = -ENOENT;
	FILE *f;

	f = mm_proc_fopen(pid, "maps");
	if (!f)
		return -errno;
	while (ret && fgets(line, sizeof(line), f))
		if (parse_vma(line, vma) && vma->start <= at && at < vma->end)
			ret = 0;
	fclose(f);
	if (ret)
		*vma = (struct mm_vma) { 0 };
	return ret;
}

int mm_vma_count(pid_t pid, const void *addr, size_t len)
{
	unsigned long start = (unsigned long)addr, end = start + len;
	struct mm_vma vma;
	char line[512];
	int n = 0;
	FILE *f;

	f = mm_proc_fopen(pid, "maps");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		if (parse_vma(line, &vma) && vma.start < end && start < vma.end)
			n++;
	fclose(f);
	return n;
}

/* The length of a file of /proc, which stat() does not know. */
static ssize_t proc_length(pid_t pid, const char *name)
{
	char buf[4096];
	ssize_t len = 0, n;
	int fd;

	fd = mm_proc_open(pid, name);
	if (fd < 0)
		return fd;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		len += n;
	n = n < 0 ? -errno : len;
	close(fd);
	return n;
}

char *mm_maps(pid_t pid)
{
	ssize_t len, room;
	char path[64], *text;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	else
		strcpy(path, "/proc/self/maps");
	do {
		/* The buffer comes first, so that what malloc() does to the heap is in the text. */
		room = proc_length(pid, "maps");
		if (room < 0)
			return NULL;
		room += 512;
		text = malloc(room);
		if (!text)
			return NULL;
		len = mm_read_file(path, text, room);
		if (len >= 0 && len < room - 1)
			return text;
		free(text);
	} while (len > 0);
	return NULL;
}

/* Find the line of the VMA's smaps entry that starts with "@field:"; what follows the colon, in @line. */
static char *smaps_line(pid_t pid, const void *addr, const char *field, char *line, size_t size, int *err)
{
	unsigned long at = (unsigned long)addr;
	size_t len = strlen(field);
	bool inside = false;
	struct mm_vma vma;
	char *found = NULL;
	FILE *f;

	*err = -ENOENT;
	f = mm_proc_fopen(pid, "smaps");
	if (!f) {
		*err = -errno;
		return NULL;
	}
	while (!found && fgets(line, size, f)) {
		if (parse_vma(line, &vma))
			inside = vma.start <= at && at < vma.end;
		else if (inside && !strncmp(line, field, len) && line[len] == ':')
			found = line + len + 1;
	}
	fclose(f);
	return found;
}

long mm_smaps(pid_t pid, const void *addr, const char *field)
{
	char line[512];
	int err;
	char *text = smaps_line(pid, addr, field, line, sizeof(line), &err);

	return text ? strtol(text, NULL, 10) : err;
}

/* Whether one of the words of @text, which is cut into them, is @flag. */
static bool has_word(char *text, const char *flag)
{
	char *save = NULL;

	for (char *word = strtok_r(text, " \n", &save); word; word = strtok_r(NULL, " \n", &save))
		if (!strcmp(word, flag))
			return true;
	return false;
}

bool mm_vmflag(pid_t pid, const void *addr, const char *flag)
{
	char line[512];
	int err;
	char *text = smaps_line(pid, addr, "VmFlags", line, sizeof(line), &err);

	return text && has_word(text, flag);
}

/* VmFlags is the last line of an entry. */
long mm_smaps_sum(pid_t pid, const char *field, const char *flag)
{
	size_t len = strlen(field);
	long sum = 0, kb = 0;
	char line[512];
	FILE *f;

	f = mm_proc_fopen(pid, "smaps");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, field, len) && line[len] == ':')
			kb = strtol(line + len + 1, NULL, 10);
		else if (!strncmp(line, "VmFlags:", 8) && has_word(line + 8, flag))
			sum += kb;
	}
	fclose(f);
	return sum;
}

const char *mm_need_guard(int flags)
{
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
	bool has = p != MAP_FAILED && !madvise(p, PAGE, MADV_GUARD_INSTALL);

	if (p != MAP_FAILED)
		munmap(p, PAGE);
	if (has)
		return NULL;
	return flags & MAP_SHARED ? "MADV_GUARD_INSTALL of shared memory" : "MADV_GUARD_INSTALL";
}

const char *mm_need_mremap_vmas(void)
{
	char *p = mm_reserve(4 * PAGE, PAGE);
	bool lacks;

	if (!p)
		return NULL;
	lacks = mprotect(p, PAGE, PROT_READ) ||
		(mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + 2 * PAGE) == MAP_FAILED && errno == EFAULT);
	munmap(p, 4 * PAGE);
	return lacks ? "mremap() of several VMAs" : NULL;
}

/* One that is refused: the range to be moved goes beyond its VMA. */
const char *mm_need_mremap_checks(void)
{
	char *p = mm_reserve(4 * PAGE, PAGE);
	bool lacks;

	if (!p)
		return NULL;
	lacks = mremap(p + 3 * PAGE, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p) == MAP_FAILED &&
		mm_vma_count(0, p, PAGE) == 0;
	munmap(p, 4 * PAGE);
	return lacks ? "mremap() that checks before it unmaps" : NULL;
}

long mm_status(pid_t pid, const char *field)
{
	return mm_proc_value(pid, "status", field);
}
