// SPDX-License-Identifier: GPL-2.0
/*
 * PROCMAP_QUERY of /proc/PID/maps: what it says of a mapping is what the file says, its errors are those of the caller, and none of
 * them leaves anything behind (Documentation/filesystems/proc.rst, linux/fs.h).
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	8
#define LEN	(PAGES * PAGE)
#define SEED	1
#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* A line of the file. */
struct line {
	unsigned long start, end, offset, inode;
	unsigned int major, minor;
	char prot[5], path[256];
};

static struct line lines[128];
static int n_lines;

FIXTURE(query) {
	int fd;
	char *p;	/* anonymous, and before it and behind it file mappings and holes */
	int file;
};

static int ask(int fd, struct procmap_query *q)
{
	q->size = q->size ?: sizeof(*q);
	return ioctl(fd, PROCMAP_QUERY, q) ? errno : 0;
}

static int read_lines(pid_t pid)
{
	char *maps = mm_maps(pid), *save = NULL;

	n_lines = 0;
	for (char *text = strtok_r(maps, "\n", &save); text && n_lines < 128; text = strtok_r(NULL, "\n", &save)) {
		struct line *l = &lines[n_lines++];
		int path = 0;

		sscanf(text, "%lx-%lx %4s %lx %x:%x %lu %n", &l->start, &l->end, l->prot, &l->offset, &l->major, &l->minor,
		       &l->inode, &path);
		snprintf(l->path, sizeof(l->path), "%s", text + path);
	}
	free(maps);
	return n_lines;
}

static uint64_t flags_of(const struct line *l)
{
	return (l->prot[0] == 'r' ? PROCMAP_QUERY_VMA_READABLE : 0) | (l->prot[1] == 'w' ? PROCMAP_QUERY_VMA_WRITABLE : 0) |
	       (l->prot[2] == 'x' ? PROCMAP_QUERY_VMA_EXECUTABLE : 0) | (l->prot[3] == 's' ? PROCMAP_QUERY_VMA_SHARED : 0);
}

FIXTURE_SETUP(query)
{
	struct procmap_query q = { .query_flags = PROCMAP_QUERY_COVERING_OR_NEXT_VMA };
	char *p;

	self->fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	NEED(ask(self->fd, &q) == ENOTTY ? "PROCMAP_QUERY" : NULL);
	p = mm_reserve(5 * LEN, PAGE);
	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, munmap(p, 5 * LEN));
	self->file = mm_tmpfile("/tmp", LEN);
	ASSERT_LE(0, self->file);
	self->p = p + 2 * LEN;
	ASSERT_EQ(p, mmap(p, LEN, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, self->file, 0));
	ASSERT_EQ(self->p, mmap(self->p, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	ASSERT_EQ(p + 4 * LEN, mmap(p + 4 * LEN, LEN - PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED_NOREPLACE,
				    self->file, PAGE));
	mm_fill(self->p, LEN, SEED);
}

FIXTURE_TEARDOWN(query)
{
	close(self->fd);
	close(self->file);
}

/* every mapping, asked for by its first byte and by its last one: bounds, rights, offset, file, name */
TEST_F(query, as_in_the_file)
{
	ASSERT_LT(5, read_lines(0));
	for (int i = 0; i < 2 * n_lines; i++) {
		const struct line *l = &lines[i / 2];
		char name[256] = "";
		struct procmap_query q = {
			.query_addr = i % 2 ? l->end - 1 : l->start,
			.vma_name_addr = (uintptr_t)name, .vma_name_size = sizeof(name),
		};

		ASSERT_EQ(0, ask(self->fd, &q)) TH_LOG("%lx", l->start);
		EXPECT_EQ(l->start, q.vma_start);
		EXPECT_EQ(l->end, q.vma_end);
		EXPECT_EQ(flags_of(l), q.vma_flags) TH_LOG("%lx", l->start);
		EXPECT_EQ(PAGE, q.vma_page_size);
		EXPECT_EQ(l->inode, q.inode);
		if (l->inode) {
			EXPECT_EQ(l->offset, q.vma_offset);
			EXPECT_EQ(l->major, q.dev_major);
			EXPECT_EQ(l->minor, q.dev_minor);
		}
		EXPECT_STREQ(l->path, name);
		EXPECT_EQ(*l->path ? strlen(l->path) + 1 : 0, q.vma_name_size);
	}
}

/* where no mapping is: ENOENT, or the next one; with conditions the next that meets all of them, none is ENOENT */
TEST_F(query, conditions)
{
	struct procmap_query q;

	read_lines(0);
	q = (struct procmap_query){ .query_addr = (uintptr_t)self->p + LEN };
	EXPECT_EQ(ENOENT, ask(self->fd, &q));
	q = (struct procmap_query){ .query_addr = (uintptr_t)self->p - 1 };
	EXPECT_EQ(ENOENT, ask(self->fd, &q));
	q = (struct procmap_query){ .query_addr = -1UL, .query_flags = PROCMAP_QUERY_COVERING_OR_NEXT_VMA };
	EXPECT_EQ(ENOENT, ask(self->fd, &q));
	for (unsigned int flags = 0; flags < 64; flags++) {
		for (int i = 0; i < n_lines; i++) {
			const bool next = flags & PROCMAP_QUERY_COVERING_OR_NEXT_VMA;
			const uint64_t rights = flags & (PROCMAP_QUERY_VMA_READABLE | PROCMAP_QUERY_VMA_WRITABLE |
							 PROCMAP_QUERY_VMA_EXECUTABLE | PROCMAP_QUERY_VMA_SHARED);
			const struct line *want = NULL;

			for (int j = i; j < (next ? n_lines : i + 1) && !want; j++)
				if ((flags_of(&lines[j]) & rights) == rights &&
				    (!(flags & PROCMAP_QUERY_FILE_BACKED_VMA) || lines[j].inode))
					want = &lines[j];
			q = (struct procmap_query){ .query_addr = lines[i].start, .query_flags = flags };
			ASSERT_EQ(want ? 0 : ENOENT, ask(self->fd, &q)) TH_LOG("flags %x of %lx", flags, lines[i].start);
			ASSERT_TRUE(!want || want->start == q.vma_start) TH_LOG("flags %x of %lx", flags, lines[i].start);
		}
	}
}

/* The program that runs is a mapping with a build ID. */
static uint64_t program(void)
{
	read_lines(0);
	return lines[0].start;
}

/* requests that are refused, each a few times, and that the process lives on, with all its memory */
static const struct refused {
	const char *what;
	int err;
	struct procmap_query q;
} refusals[] = {
	{ "size 0", EINVAL, { .size = 8 } },
	{ "no address", EINVAL, { .size = 16 } },
	{ "too large", E2BIG, { .size = 2 * PAGE } },
	{ "flags", EINVAL, { .query_flags = 1 << 20 } },
	{ "name without a place", EINVAL, { .vma_name_size = 16 } },
	{ "place without a size", EINVAL, { .vma_name_addr = 16 } },
	{ "ID without a place", EINVAL, { .build_id_size = 16 } },
	{ "ID without a size", EINVAL, { .build_id_addr = 16 } },
	{ "short for the name", ENAMETOOLONG, { .vma_name_size = 3 } },
	{ "nowhere for the name", EFAULT, { .vma_name_size = 256 } },
	{ "short for the ID", ENAMETOOLONG, { .build_id_size = 4 } },
	{ "short for the ID, with a name", ENAMETOOLONG, { .build_id_size = 4, .vma_name_size = 256 } },
	{ "nowhere for the ID", EFAULT, { .build_id_size = 64 } },
};

static int is_alive(void *arg)
{
	return mm_check(arg, LEN, SEED) != -1;
}

/* whatever is wrong with a query, it is an error that leaves nothing behind, of the caller as of another process */
TEST_F(query, refused)
{
	struct mm_tree *t = mm_tree_fork(1, 1, NULL, NULL);
	char path[64], name[256], id[64], *maps = mm_maps(0);
	uint64_t at = program();
	int fds[2];

	ASSERT_NE(NULL, t);
	snprintf(path, sizeof(path), "/proc/%d/maps", mm_tree_pid(t, 0));
	fds[0] = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fds[0]);
	fds[1] = self->fd;
	/* First of the child, which has less to lose. */
	for (int i = 0; i < 2 * COUNT(refusals); i++) {
		const struct refused *r = &refusals[i % COUNT(refusals)];

		for (int again = 0; again < 4; again++) {
			struct procmap_query q = r->q;
			bool nowhere = r->err == EFAULT;

			q.query_addr = at;
			if (r->err != EINVAL && q.vma_name_size)
				q.vma_name_addr = nowhere ? 8 : (uintptr_t)name;
			if (r->err != EINVAL && q.build_id_size)
				q.build_id_addr = nowhere ? 8 : (uintptr_t)id;
			ASSERT_EQ(r->err, ask(fds[i / COUNT(refusals)], &q)) TH_LOG("%s", r->what);
		}
	}
	EXPECT_EQ(-1, mm_check(self->p, LEN, SEED));
	mm_touch_write(self->p, LEN);
	EXPECT_EQ(0, mm_tree_call(t, 0, is_alive, self->p));
	EXPECT_STREQ(maps, mm_maps(0));
	EXPECT_LT(0, mm_status(mm_tree_pid(t, 0), "VmSize"));
	close(fds[0]);
	mm_tree_end(t);
}

/* the build ID is that of the file, for all its mappings, and anonymous memory has none */
TEST_F(query, build_id)
{
	char id[2][64];
	struct procmap_query q = { .query_addr = program(), .build_id_addr = (uintptr_t)id[0], .build_id_size = 64 };

	ASSERT_EQ(0, ask(self->fd, &q));
	EXPECT_EQ(20, q.build_id_size);
	q = (struct procmap_query){ .query_addr = lines[1].start, .build_id_addr = (uintptr_t)id[1], .build_id_size = 20 };
	ASSERT_EQ(lines[0].inode, lines[1].inode);
	ASSERT_EQ(0, ask(self->fd, &q));
	EXPECT_EQ(0, memcmp(id[0], id[1], 20));
	q = (struct procmap_query){ .query_addr = (uintptr_t)self->p, .build_id_addr = (uintptr_t)id[1], .build_id_size = 64 };
	EXPECT_EQ(0, ask(self->fd, &q));
	EXPECT_EQ(0, q.build_id_size);
	q = (struct procmap_query){
		.query_addr = (uintptr_t)self->p - 2 * LEN, .build_id_addr = (uintptr_t)id[1], .build_id_size = 64,
	};
	EXPECT_EQ(0, ask(self->fd, &q));
	EXPECT_EQ(0, q.build_id_size);
}

/* a process that has exited has no mapping: ESRCH */
TEST_F(query, exited)
{
	struct mm_tree *t = mm_tree_fork(1, 1, NULL, NULL);
	struct procmap_query q = { .query_addr = (uintptr_t)self->p };
	char path[64];
	int fd;

	ASSERT_NE(NULL, t);
	snprintf(path, sizeof(path), "/proc/%d/maps", mm_tree_pid(t, 0));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, ask(fd, &q));
	mm_tree_end(t);
	EXPECT_EQ(ESRCH, ask(fd, &q));
	close(fd);
}

TEST_HARNESS_MAIN
