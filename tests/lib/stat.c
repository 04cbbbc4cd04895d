// SPDX-License-Identifier: GPL-2.0
/* The kernel's counters, read so that equal states of the kernel give equal numbers. */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/membarrier.h>

#include "mm.h"
#include "internal.h"

#define VMSTAT_SIZE	(32 * KB)

/* Longest name in /proc/lock_stat: seq_stats() cuts what is longer. */
#define LOCK_NAME_MAX	37

struct mm_snap {
	char text[VMSTAT_SIZE];
};

/* Static, and touched by mm_snap(): the page faults of a look at the counters are no effect of the test. */
static char now[VMSTAT_SIZE];

/* The per-CPU differences of the nr_* counters are folded in first; without it each may be off by 125. */
static int read_vmstat(char *text)
{
	ssize_t len;

	mm_write_file("/proc/sys/vm/stat_refresh", "1");
	len = mm_read_file("/proc/vmstat", text, VMSTAT_SIZE);
	if (len == VMSTAT_SIZE - 1)
		return -E2BIG;
	return len < 0 ? len : 0;
}

/* The number behind "NAME" and @sep at the start of a line. */
static long field(const char *text, const char *name, char sep)
{
	size_t len = strlen(name);
	const char *line;

	for (line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, len) && line[len] == sep)
			return strtol(line + len + 1, NULL, 10);
	}
	return -ENOENT;
}

void mm_let_others_finish(void)
{
	char text[64];
	int running;

	for (int ms = 0; ms < 500; ms++) {
		if (mm_read_file("/proc/loadavg", text, sizeof(text)) < 0 ||
		    sscanf(text, "%*s %*s %*s %d/", &running) != 1 || running <= 1)
			break;
		usleep(1000);
	}
}

/*
 * The first look waits for the others: a copy that the harness breaks later, or memory that a process gives back as it
 * ends, would count as the test's.
 */
static void first_look(void)
{
	static bool settled;

	if (!settled)
		mm_let_others_finish();
	settled = true;
}

long mm_meminfo(const char *name)
{
	char text[8 * KB];
	ssize_t len;

	first_look();
	mm_write_file("/proc/sys/vm/stat_refresh", "1");
	len = mm_read_file("/proc/meminfo", text, sizeof(text));
	return len < 0 ? len : field(text, name, ':');
}

long mm_mlocked(void)
{
	mm_lru_drain();
	return mm_vmstat("nr_mlock");
}

long mm_vmstat(const char *name)
{
	int err;

	first_look();
	err = read_vmstat(now);
	return err ? err : field(now, name, ' ');
}

const char *mm_need_vmstat(const char *name)
{
	static char why[80];

	if (mm_vmstat(name) != -ENOENT)
		return NULL;
	snprintf(why, sizeof(why), "%s in /proc/vmstat", name);
	return why;
}

struct mm_snap *mm_snap(void)
{
	struct mm_snap *s = malloc(sizeof(*s));

	if (!s)
		return NULL;
	mm_let_others_finish();
	if (!read_vmstat(s->text)) {
		mm_delta(s, "nr_free_pages");
		if (!read_vmstat(s->text))
			return s;
	}
	free(s);
	return NULL;
}

long mm_delta(const struct mm_snap *before, const char *name)
{
	long was = before ? field(before->text, name, ' ') : -ENOENT;
	long is = mm_vmstat(name);

	if (was < 0 || is < 0) {
		fprintf(stderr, "# mm_delta: no counter \"%s\" in %s\n", name,
			before ? "/proc/vmstat" : "a snapshot that failed");
		abort();
	}
	return is - was;
}

void mm_snap_free(struct mm_snap *s)
{
	free(s);
}

void mm_report(const char *name, long value)
{
	printf("# counter %s %ld\n", name, value);
	fflush(stdout);
}

/*
 * MADV_COLD drains the batches of the CPU it runs on before it looks at the range, here a page that is
 * never touched; there is no call that drains all CPUs and does nothing else.
 */
void mm_lru_drain(void)
{
	static char nothing[PAGE] __attribute__((aligned(PAGE)));
	cpu_set_t old, one;

	madvise(nothing, PAGE, MADV_COLD);
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1 && !sched_getaffinity(0, sizeof(old), &old)) {
		for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			if (!sched_setaffinity(0, sizeof(one), &one))
				madvise(nothing, PAGE, MADV_COLD);
		}
		sched_setaffinity(0, sizeof(old), &old);
	}
}

/*
 * rcutree.do_rcu_barrier is there for test suites. membarrier(MEMBARRIER_CMD_GLOBAL), the usual trick,
 * returns at once with one CPU online, and waits for a grace period only, not for the callbacks.
 */
void mm_rcu_barrier(void)
{
	if (!mm_write_file("/sys/module/rcutree/parameters/do_rcu_barrier", "1"))
		return;
	syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	usleep(100 * 1000);
}

void mm_settle(void)
{
	mm_let_others_finish();
	mm_lru_drain();
	mm_rcu_barrier();
	/* What the callbacks freed may have gone through per-CPU counters and batches again. */
	mm_lru_drain();
	mm_write_file("/proc/sys/vm/stat_refresh", "1");
}

/*
 * Objects that wait in a per-CPU sheaf, in the barn or in the KASAN quarantine count as used; shrinking
 * the cache flushes all of them. The objects of kfree_rcu() are in an RCU sheaf that the first shrink
 * hands to call_rcu(); the callbacks of others free into the sheaves again: hence the second shrink.
 */
long mm_slab(const char *cache)
{
	char path[128];
	int err;

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", cache);
	err = mm_write_file(path, "1");
	if (err)
		return err;
	mm_rcu_barrier();
	mm_write_file(path, "1");
	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/objects", cache);
	return mm_read_long(path);
}

/*
 * "  NAME[#VERSION][/SUBCLASS][-R|-W]:  con-bounces contentions wait-min wait-max wait-total wait-avg
 * acq-bounces acquisitions ...": whether the line is one of the class.
 */
static bool of_class(const char *line, const char *name, const char **numbers)
{
	const char *colon = strrchr(line, ':');
	size_t len = strlen(name);

	if (len > LOCK_NAME_MAX)
		len = LOCK_NAME_MAX;
	line += strspn(line, " ");
	if (!colon || strncmp(line, name, len))
		return false;
	*numbers = colon + 1;
	line += len;
	if (*line == '#')
		line += 1 + strspn(line + 1, "0123456789");
	if (*line == '/')
		line += 1 + strspn(line + 1, "0123456789");
	if (!strncmp(line, "-R", 2) || !strncmp(line, "-W", 2))
		line += 2;
	return line == colon;
}

/*
 * Add to n[i] the acquisitions of class names[i], for all classes in one reading. Each read() takes locks itself,
 * those of the page table among them, so there should be few: a page at a time is what the kernel gives.
 */
static int count_locks(const char *const *names, long *n, int nr)
{
	static char buf[PAGE];
	const char *numbers;
	char line[512];
	long acquired;
	FILE *f;

	f = fopen("/proc/lock_stat", "re");
	if (!f)
		return -errno;
	setvbuf(f, buf, _IOFBF, sizeof(buf));
	while (fgets(line, sizeof(line), f))
		for (int i = 0; i < nr; i++)
			if (names[i] && of_class(line, names[i], &numbers) &&
			    sscanf(numbers, "%*s %*s %*s %*s %*s %*s %*s %ld", &acquired) == 1)
				n[i] += acquired;
	fclose(f);
	return 0;
}

long mm_minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

long mm_lock_count(const char *class_name)
{
	long sum = 0;
	int err = count_locks(&class_name, &sum, 1);

	return err ? err : sum;
}

/* ---- what a stretch of a test costs ---- */

#define COST_NAMES	24
#define LOCK_PREFIX	"lock:"
#define VMSTAT_PREFIX	"vmstat:"

struct mm_cost {
	const char *const *names;
	const char *locks[COST_NAMES];		/* the class of names[i], NULL if that is no lock */
	long before[COST_NAMES];
	struct mm_snap *snap;
	int nr;
	bool lock_stat;
};

struct mm_cost *mm_cost_begin(const char *const *names)
{
	struct mm_cost *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->names = names;
	for (; names[c->nr]; c->nr++) {
		if (c->nr == COST_NAMES)
			goto fail;
		if (!strncmp(names[c->nr], LOCK_PREFIX, strlen(LOCK_PREFIX)))
			c->locks[c->nr] = names[c->nr] + strlen(LOCK_PREFIX);
		else if (strncmp(names[c->nr], VMSTAT_PREFIX, strlen(VMSTAT_PREFIX)))
			goto fail;
	}
	c->snap = mm_snap();
	if (!c->snap)
		goto fail;
	c->lock_stat = !count_locks(c->locks, c->before, c->nr);
	return c;
fail:
	free(c);
	return NULL;
}

void mm_cost_end(struct mm_cost *c)
{
	long after[COST_NAMES] = { 0 };

	if (!c)
		return;
	if (c->lock_stat)
		count_locks(c->locks, after, c->nr);
	for (int i = 0; i < c->nr; i++) {
		if (!c->locks[i])
			mm_report(c->names[i], mm_delta(c->snap, c->names[i] + strlen(VMSTAT_PREFIX)));
		else if (c->lock_stat)
			mm_report(c->names[i], after[i] - c->before[i]);
	}
	mm_snap_free(c->snap);
	free(c);
}
