// SPDX-License-Identifier: GPL-2.0
/* Children and trees of processes that stay alive and do what they are told. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mm.h"

#define MAX_NODES	1024

/* waitpid() that nothing interrupts; the exit status as the header has it. */
static int reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int mm_in_child(int (*fn)(void *arg), void *arg)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		int ret = fn(arg);

		fflush(NULL);
		_exit(ret);
	}
	return reap(pid);
}

/*
 * The tree lives in one shared mapping, so that commands and answers pass without a fault of private
 * memory. A node sleeps in poll() on its eventfd and on a pipe whose write end the caller alone holds:
 * when the caller dies, however it dies, every node sees the pipe hang up. (PR_SET_PDEATHSIG would also
 * kill the children of a node that was told to exit.) The caller is a subreaper, so that such children
 * become its own.
 */
enum command { CMD_CALL, CMD_EXIT };

struct node {
	pid_t pid;
	int parent;			/* index, -1: the caller */
	unsigned int level;
	int wake;			/* eventfd */
	int ready;			/* pipe to the parent, while the tree grows */
	bool dead;
	int status;			/* of a dead node, as reap() gives it */
	enum command command;
	int (*fn)(void *arg);
	void *arg;
	int ret;
};

struct mm_tree {
	pid_t caller;
	unsigned int depth, width;
	void (*setup)(unsigned int level, void *arg);
	void *arg;
	int life[2];			/* pipe */
	int done;			/* eventfd: the node has answered */
	int was_subreaper;
	unsigned int planned;		/* nodes that have an eventfd */
	unsigned int size;		/* nodes that were created */
	struct node node[];
};

static size_t tree_bytes(unsigned int nodes)
{
	return sizeof(struct mm_tree) + nodes * sizeof(struct node);
}

static void signal_fd(int fd)
{
	uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void drain_fd(int fd)
{
	uint64_t n;

	while (read(fd, &n, sizeof(n)) < 0 && errno == EINTR)
		;
}

/* Do what the caller says until it says exit, or is gone. */
static void __attribute__((noreturn)) node_serve(struct mm_tree *t, struct node *me)
{
	struct pollfd fds[2] = {
		{ .fd = me->wake, .events = POLLIN },
		{ .fd = t->life[0], .events = POLLIN },
	};

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents)
			_exit(0);
		if (!fds[0].revents)
			continue;
		drain_fd(me->wake);
		if (me->command == CMD_EXIT)
			_exit(0);
		me->ret = me->fn(me->arg);
		signal_fd(t->done);
	}
}

static int spawn_children(struct mm_tree *t, int parent, unsigned int level);

/*
 * On the pipe @ready the parent waits for the subtree. A node that dies closes it, which only tells if no
 * other process holds it: each closes what it got of its parent's.
 */
static void __attribute__((noreturn)) node_main(struct mm_tree *t, struct node *me)
{
	int err;

	close(me->parent < 0 ? t->life[1] : t->node[me->parent].ready);
	me->pid = getpid();
	if (t->setup)
		t->setup(me->level, t->arg);
	err = spawn_children(t, me - t->node, me->level + 1);
	if (write(me->ready, &err, sizeof(err)) != sizeof(err))
		_exit(1);
	close(me->ready);
	node_serve(t, me);
}

/* Fork one child and wait until the tree below it is complete. */
static int spawn_child(struct mm_tree *t, int parent, unsigned int level)
{
	struct node *child = &t->node[t->size];
	int ready[2], err = -ECHILD;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC))
		return -errno;
	child->parent = parent;
	child->level = level;
	child->ready = ready[1];
	pid = fork();
	if (pid < 0) {
		err = -errno;
		close(ready[0]);
		close(ready[1]);
		return err;
	}
	if (!pid) {
		t->size++;
		close(ready[0]);
		node_main(t, child);
	}
	child->pid = pid;
	close(ready[1]);
	while (read(ready[0], &err, sizeof(err)) < 0 && errno == EINTR)
		;
	close(ready[0]);
	return err;
}

static int spawn_children(struct mm_tree *t, int parent, unsigned int level)
{
	int err = 0;

	if (level > t->depth)
		return 0;
	for (unsigned int i = 0; i < t->width && !err; i++)
		err = spawn_child(t, parent, level);
	return err;
}

static unsigned int count_nodes(unsigned int depth, unsigned int width)
{
	unsigned int n = 0, level = 1;

	while (depth--) {
		level *= width;
		n += level;
		if (n > MAX_NODES)
			return 0;
	}
	return n;
}

static void allow_files(unsigned int n)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= n)
		return;
	limit.rlim_cur = n;
	if (limit.rlim_max < n)
		limit.rlim_max = n;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Everything that costs a descriptor, before the first fork: the nodes inherit it. */
static int open_tree(struct mm_tree *t, unsigned int nodes)
{
	allow_files(nodes + 64);
	if (pipe2(t->life, O_CLOEXEC))
		return -errno;
	t->done = eventfd(0, EFD_CLOEXEC);
	if (t->done < 0)
		return -errno;
	for (; t->planned < nodes; t->planned++) {
		t->node[t->planned].wake = eventfd(0, EFD_CLOEXEC);
		if (t->node[t->planned].wake < 0)
			return -errno;
	}
	prctl(PR_GET_CHILD_SUBREAPER, &t->was_subreaper, 0, 0, 0);
	return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) ? -errno : 0;
}

static void close_tree(struct mm_tree *t, unsigned int nodes)
{
	for (unsigned int i = 0; i < t->planned; i++)
		close(t->node[i].wake);
	if (t->done >= 0)
		close(t->done);
	if (t->life[0] >= 0) {
		close(t->life[0]);
		close(t->life[1]);
	}
	munmap(t, tree_bytes(nodes));
}

struct mm_tree *mm_tree_fork(unsigned int depth, unsigned int width,
			     void (*setup)(unsigned int level, void *arg), void *arg)
{
	unsigned int nodes = count_nodes(depth, width);
	struct mm_tree *t;
	int err;

	if (!nodes) {
		errno = EINVAL;
		return NULL;
	}
	t = mmap(NULL, tree_bytes(nodes), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (t == MAP_FAILED)
		return NULL;
	t->caller = getpid();
	t->depth = depth;
	t->width = width;
	t->setup = setup;
	t->arg = arg;
	t->life[0] = t->done = -1;
	err = open_tree(t, nodes);
	if (err) {
		close_tree(t, nodes);
		errno = -err;
		return NULL;
	}
	fflush(NULL);
	err = spawn_children(t, -1, 1);
	if (err) {
		mm_tree_end(t);
		errno = -err;
		return NULL;
	}
	return t;
}

unsigned int mm_tree_size(const struct mm_tree *t)
{
	return t->size;
}

pid_t mm_tree_pid(const struct mm_tree *t, unsigned int i)
{
	return i < t->size ? t->node[i].pid : -ESRCH;
}

unsigned int mm_tree_level(const struct mm_tree *t, unsigned int i)
{
	return i < t->size ? t->node[i].level : 0;
}

/* Wait until the node has answered (true) or died (false). */
static bool wait_answer(struct mm_tree *t, struct node *node)
{
	struct pollfd fds[2] = { { .fd = t->done, .events = POLLIN }, { .events = POLLIN } };

	/* A dead node keeps its pid until it is reaped, which the library alone does. */
	fds[1].fd = syscall(__NR_pidfd_open, node->pid, 0);
	while (poll(fds, 2, -1) < 0)
		;
	if (fds[1].fd >= 0)
		close(fds[1].fd);
	if (!(fds[0].revents & POLLIN))
		return false;
	drain_fd(t->done);
	return true;
}

static int reap_fn(void *arg)
{
	return reap(*(pid_t *)arg);
}

/* The status of a node that is dead or about to be: only its parent, or the caller as subreaper, gets it. */
static int bury(struct mm_tree *t, struct node *node)
{
	struct node *parent = node->parent < 0 ? NULL : &t->node[node->parent];

	if (!parent || parent->dead)
		node->status = reap(node->pid);
	else
		node->status = mm_tree_call(t, parent - t->node, reap_fn, &node->pid);
	node->dead = true;
	return node->status;
}

static void command(struct node *node, enum command command)
{
	node->command = command;
	__sync_synchronize();
	signal_fd(node->wake);
}

int mm_tree_call(struct mm_tree *t, unsigned int i, int (*fn)(void *arg), void *arg)
{
	struct node *node = &t->node[i];

	if (i >= t->size || node->dead)
		return -ESRCH;
	node->fn = fn;
	node->arg = arg;
	command(node, CMD_CALL);
	return wait_answer(t, node) ? node->ret : bury(t, node);
}

int mm_tree_kill(struct mm_tree *t, unsigned int i)
{
	struct node *node = &t->node[i];

	if (i >= t->size || node->dead)
		return -ESRCH;
	command(node, CMD_EXIT);
	return bury(t, node);
}

/* From the top down: when a node is gone, the caller is the parent of its children, alive or dead. */
void mm_tree_end(struct mm_tree *t)
{
	if (!t)
		return;
	for (unsigned int i = 0; i < t->size; i++) {
		struct node *node = &t->node[i];

		if (node->dead)
			continue;
		kill(node->pid, SIGKILL);
		reap(node->pid);
		node->dead = true;
	}
	prctl(PR_SET_CHILD_SUBREAPER, t->was_subreaper, 0, 0, 0);
	close_tree(t, t->planned);
}
