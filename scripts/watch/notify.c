// SPDX-License-Identifier: GPL-2.0
/* inotify: directories, those that appear later included, and what happens to the files in them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "watch.h"

#define EVENTS	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ONLYDIR | IN_EXCL_UNLINK)

static int fd = -1, n_dirs;

/* By watch descriptor. Those of the kernel come in ascending order and are not used again. */
static struct dir {
	const struct root *root;
	char *path;		/* below the root, "" for itself; NULL: not watched */
} *dirs;
static int cap;

static void say_each(void (*each)(const struct root *, const char *), const struct root *root, const char *dir, const char *name)
{
	char *path = xasprintf("%s%s%s", dir, *dir ? "/" : "", name);

	each(root, path);
	free(path);
}

/* The lower of the two limits of a user, of all and of this user namespace. */
static long limit_of(const char *what, const char **which)
{
	static const char *const forms[] = { "/proc/sys/fs/inotify/max_user_%s", "/proc/sys/user/max_inotify_%s" };
	static const char *const names[] = { "fs.inotify.max_user_", "user.max_inotify_" };
	long least = -1;

	for (int i = 0; i < 2; i++) {
		char *path = xasprintf(forms[i], what), *text = read_whole(path, NULL);
		long n = text ? atol(text) : -1;

		if (n >= 0 && (least < 0 || n < least)) {
			least = n;
			*which = names[i];
		}
		free(text);
		free(path);
	}
	return least;
}

static void limited(const char *what, long enough, const char *failed)
{
	const char *which = "fs.inotify.max_user_";
	long n = limit_of(what, &which);

	die(EX_HOST, xasprintf("sudo sysctl %s%s=%ld", which, what, enough),
	    xasprintf("%s%s is %ld, and other programs of yours have their share of it", which, what, n), "%s", failed);
}

int notify_open(void)
{
	fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (fd < 0 && errno == EMFILE)
		limited("instances", 1024, "no inotify to watch with");
	if (fd < 0)
		die(EX_HOST, "make run T=@changed", strerror(errno), "no inotify to watch with");
	return fd;
}

int notify_count(void)
{
	return n_dirs;
}

/* What another machine, or the host of a virtual one, writes there is not heard of here. */
static void check_local(const char *dir)
{
	static const struct { unsigned int magic; const char *name; } far[] = {
		{ 0x6969, "NFS" }, { 0x517b, "SMB" }, { 0xff534d42, "CIFS" }, { 0xfe534d42, "SMB" }, { 0x01021997, "9p" },
		{ 0x65735546, "FUSE" }, { 0x00c36400, "Ceph" }, { 0x5346414f, "AFS" }, { 0x786f4256, "vboxsf" },
	};
	struct statfs st;

	if (statfs(dir, &st))
		die(EX_USAGE, xasprintf("ls -ld %s", dir), strerror(errno), "%s cannot be watched", dir);
	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++)
		if ((unsigned int)st.f_type == far[i].magic)
			die(EX_HOST, "make run T=@changed, or a clone on a local file system",
			    xasprintf("it is on %s: of what is written from elsewhere inotify does not tell", far[i].name),
			    "%s cannot be watched", dir);
}

/* Of a kernel's tree: what no kernel of the kit's is made of, and the outputs of builds. */
static bool passed_over(const struct root *root, const char *path, const char *full)
{
	static const char *const never[] = { "Documentation", "LICENSES", "rust", "samples", "sound", "tools" };
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char *config;
	bool output;

	if (name[0] == '.')
		return true;
	if (!root->kernel)
		return false;
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (!strcmp(path, never[i]))
			return true;
	if (!strncmp(path, "arch/", 5) && strncmp(path, "arch/um", 7) && strncmp(path, "arch/x86", 8))
		return true;
	if (!strncmp(path, "build-", 6))
		return true;
	config = xasprintf("%s/.config", full);
	output = !access(config, F_OK);
	free(config);
	return output;
}

static void watch(const struct root *root, const char *path, const char *full)
{
	int wd = inotify_add_watch(fd, full, EVENTS);

	if (wd < 0 && errno == ENOSPC)
		limited("watches", 65536, xasprintf("%s cannot be watched: %d of its directories are", root->dir, n_dirs));
	if (wd < 0 && (*path || errno == ENOMEM))
		return;		/* gone meanwhile, or not ours to read */
	if (wd < 0)
		die(EX_USAGE, xasprintf("ls -ld %s", full), strerror(errno), "%s cannot be watched", full);
	while (wd >= cap) {
		dirs = grow(dirs, cap, sizeof(*dirs));
		cap++;
	}
	if (!dirs[wd].path)
		n_dirs++;
	free(dirs[wd].path);
	dirs[wd] = (struct dir){ root, xasprintf("%s", path) };
}

/* @path of @root and what is below it; @each, if there is one, gets the files. */
static void add_below(const struct root *root, const char *path, void (*each)(const struct root *, const char *))
{
	char *full = xasprintf("%s%s%s", root->dir, *path ? "/" : "", path);
	struct dirent *e;
	DIR *d = NULL;

	if (*path && passed_over(root, path, full))
		goto out;
	watch(root, path, full);
	d = root->only ? NULL : opendir(full);
	while (d && (e = readdir(d))) {
		bool dir = e->d_type == DT_DIR;
		struct stat st;

		if (e->d_name[0] == '.')
			continue;
		if (e->d_type == DT_UNKNOWN)
			dir = !fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) && S_ISDIR(st.st_mode);
		if (dir) {
			char *sub = xasprintf("%s%s%s", path, *path ? "/" : "", e->d_name);

			add_below(root, sub, each);
			free(sub);
		} else if (each) {
			say_each(each, root, path, e->d_name);
		}
	}
	if (d)
		closedir(d);
out:
	free(full);
}

void notify_add(const struct root *root)
{
	check_local(root->dir);
	add_below(root, "", NULL);
}

static void take(const struct inotify_event *e, void (*each)(const struct root *, const char *))
{
	struct dir *dir;

	if (e->mask & IN_Q_OVERFLOW) {
		each(NULL, NULL);
		return;
	}
	if (e->wd < 0 || e->wd >= cap || !dirs[e->wd].path)
		return;
	dir = &dirs[e->wd];
	if (e->mask & IN_IGNORED) {
		if (!*dir->path)
			die(EX_USAGE, "make watch, when it is there again", "it was removed or unmounted", "%s cannot be watched any more",
			    dir->root->dir);
		free(dir->path);
		dir->path = NULL;
		n_dirs--;
	} else if (e->len && (e->mask & IN_ISDIR) && (e->mask & (IN_CREATE | IN_MOVED_TO)) && !dir->root->only) {
		char *path = xasprintf("%s%s%s", dir->path, *dir->path ? "/" : "", e->name);

		add_below(dir->root, path, each);
		free(path);
	} else if (e->len && !(e->mask & IN_ISDIR) && (!dir->root->only || !strcmp(dir->root->only, e->name))) {
		say_each(each, dir->root, dir->path, e->name);
	}
}

void notify_read(void (*each)(const struct root *root, const char *path))
{
	static char events[1 << 16] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;

	while ((n = read(fd, events, sizeof(events))) > 0) {
		const struct inotify_event *e;

		for (char *at = events; at < events + n; at += sizeof(*e) + e->len) {
			e = (const struct inotify_event *)at;
			take(e, each);
		}
	}
}
