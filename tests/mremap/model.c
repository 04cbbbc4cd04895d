// SPDX-License-Identifier: GPL-2.0
/*
 * Hundreds of random steps on an arena of pages, against a model of what each page has to hold.
 *
 * Each process of a run is an actor with a model of its own: fork() copies the model together with the
 * memory that it describes. The test process tells one actor at a time to make one step. The actor draws
 * the step from the seed, or takes it from the log when a failing run is repeated, makes it, compares
 * result and errno with what the model says, and checks its address space: /proc/self/maps page by page,
 * and the bytes. A run that failed is cut to its shortest failing prefix and then to the steps needed.
 */
#include "kselftest_harness.h"
#include <fcntl.h>
#include <linux/mman.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "mm.h"

#define PMD_PAGES	((int)(PMD_SIZE / PAGE))
#define MAX_PAGES	(12 * PMD_PAGES)	/* of the arena */
#define FILE_PAGES	(MAX_PAGES + 4 * PMD_PAGES)
#define MAX_STEPS	600
#define MAX_ACTORS	4
#define MAX_LOCK	16			/* pages that one mlock() populates */
#define SCRATCH		16			/* pages that one write step fills at most */
#define REDUCE_RUNS	500			/* how often to look for fewer steps that fail */
#define ANSWER_MS	15000			/* a step that takes longer hangs */
#define END		(-1)

enum kind { NONE, ANON, FILE_PRIVATE, SHARED };

enum op {
	OP_MMAP, OP_MUNMAP, OP_MPROTECT, OP_RESIZE, OP_MOVE, OP_LEAVE, OP_DUP, OP_WRITE, OP_FILE_WRITE,
	OP_MADVISE, OP_MLOCK, OP_MUNLOCK, OP_READ, OP_FORK, OP_EXIT, OP_CORRUPT,
};

/* Everything that a step needs; pages are counted from the start of the arena. */
struct step {
	enum op op;
	int actor;		/* who makes it */
	int at, len;
	int new_len, to;	/* mremap() */
	int flags;		/* of mmap(), mremap(); of OP_WRITE: 1 is by read(2) */
	int arg;		/* kind, prot, advice, stride, actor */
	int prot;
	int fpage;
};

struct config {
	const char *name;
	int pages;		/* of the arena */
	unsigned int kinds;	/* bits by enum kind */
	bool forks, locks;
	int steps;
	int corrupt_at;		/* the step that changes a byte behind the model's back */
};

/* What one page of the arena must be. */
struct page {
	unsigned char kind, prot;
	bool own;		/* FILE_PRIVATE: has a copy of its own */
	bool guard, locked;
	uint32_t id;		/* bytes of ANON and of a copy: a pattern's seed, 0 for zeros */
	int fpage;
};

/* Between the processes of a run; only the one that makes a step touches it. */
struct shared {
	uint64_t rng;
	uint32_t next_id;
	bool generate, failed, hung;
	char why[256];
	pid_t pid[MAX_ACTORS];
	struct step log[MAX_STEPS];
	uint32_t file[FILE_PAGES], shmem[FILE_PAGES];
};

static const struct config *cfg;
static struct shared *sh;
static char *arena;
static int file_fd, shmem_fd, scratch_fd;
static ino_t file_ino, shmem_ino;
static int tell[MAX_ACTORS][2], answer[2];
static bool can_guard, moves_vmas, checks_first;

/* Of this actor. */
static int me, now;
static struct page model[MAX_PAGES];
static int vma_of[MAX_PAGES];	/* as /proc/self/maps had it after the last step; -1: none */
static int maps_fd, pagemap_fd;
static uint64_t local_rng;	/* what to check: the same in each replay */

/* ---- failure ---- */

static void finish(void)
{
	if (write(answer[1], "", 1) != 1)
		_exit(2);
}

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sh->why, sizeof(sh->why), fmt, ap);
	va_end(ap);
	sh->failed = true;
	finish();
	_exit(1);
}

/* ---- access that may fault ---- */

static sigjmp_buf fault_env;
static volatile sig_atomic_t fault_armed;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	if (!fault_armed)
		fail("signal %d at %p", sig, info->si_addr);
	siglongjmp(fault_env, sig);
}

static void catch_faults(void)
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

static char *addr(int page)
{
	return arena + page * PAGE;
}

static int try_read(int page)
{
	int sig = sigsetjmp(fault_env, 0);

	fault_armed = !sig;
	if (!sig)
		(void)*(volatile char *)addr(page);
	fault_armed = 0;
	return sig;
}

static int try_write(int page)
{
	int sig = sigsetjmp(fault_env, 0);

	fault_armed = !sig;
	if (!sig)
		*(volatile char *)addr(page) = 0x5a;
	fault_armed = 0;
	return sig;
}

/* ---- the model ---- */

static uint32_t content(const struct page *p)
{
	if (p->kind == SHARED)
		return sh->shmem[p->fpage];
	if (p->kind == FILE_PRIVATE && !p->own)
		return sh->file[p->fpage];
	return p->id;
}

static bool readable(int i)
{
	return model[i].kind && model[i].prot & PROT_READ && !model[i].guard;
}

static bool writable(int i)
{
	return readable(i) && model[i].prot & PROT_WRITE;
}

static bool all(int at, int len, bool (*is)(int))
{
	for (int i = at; i < at + len; i++)
		if (!is(i))
			return false;
	return true;
}

static bool mapped(int i)
{
	return model[i].kind;
}

static bool unmapped(int i)
{
	return !model[i].kind;
}

/* One past the last page of the VMA that holds page @at; @at itself if there is none. */
static int vma_end(int at)
{
	int i = at;

	while (i < cfg->pages && vma_of[i] >= 0 && vma_of[i] == vma_of[at])
		i++;
	return i;
}

static int vma_start(int at)
{
	int i = at;

	while (i > 0 && vma_of[at] >= 0 && vma_of[i - 1] == vma_of[at])
		i--;
	return i;
}

static void forget(int at, int len)
{
	memset(&model[at], 0, len * sizeof(model[0]));
}

/* What MADV_DONTNEED leaves of a page. */
static void drop(struct page *p)
{
	p->own = false;
	p->id = 0;
}

/*
 * Page tables of [at, at+old_len) go to @to. A hole moves nothing, and leaves what was at its new place.
 * With @leave the old VMAs stay, without their pages, guards and locks.
 */
static void model_move(int at, int to, int len, bool leave)
{
	for (int i = 0; i < len; i++) {
		struct page *from = &model[at + i];

		if (!from->kind)
			continue;
		model[to + i] = *from;
		if (!leave) {
			forget(at + i, 1);
			continue;
		}
		drop(from);
		from->guard = from->locked = false;
	}
}

/* Pages [at+len, at+new_len) are what a VMA grows by. */
static void model_grow(int at, int len, int new_len)
{
	for (int i = at + len; i < at + new_len; i++) {
		model[i] = model[i - 1];
		model[i].fpage++;
		model[i].guard = false;
		drop(&model[i]);
	}
}

/* ---- what the kernel says ---- */

static const char *prot_name(int prot)
{
	return !prot ? "---" : prot & PROT_WRITE ? "rw-" : "r--";
}

static void maps_line(const char *line, int vma)
{
	unsigned long start, end, offset, ino, base = (unsigned long)arena;
	char prot[5];

	if (sscanf(line, "%lx-%lx %4s %lx %*x:%*x %lu", &start, &end, prot, &offset, &ino) != 5)
		fail("a line of maps: %.60s", line);
	if (start < base || start >= base + cfg->pages * PAGE)
		return;
	for (; start < end; start += PAGE, offset += ino ? PAGE : 0) {
		int i = (start - base) / PAGE;
		const struct page *p = &model[i];
		ino_t want = p->kind == SHARED ? shmem_ino : p->kind == FILE_PRIVATE ? file_ino : 0;
		const char *rw = p->kind ? prot_name(p->prot) : "nothing";

		if (i >= cfg->pages)
			fail("a VMA reaches over the end of the arena");
		if (strncmp(prot, rw, 3) || prot[3] != (p->kind == SHARED ? 's' : 'p'))
			fail("maps: page %d is %s and has to be %s", i, prot, rw);
		if (ino != want || (ino && offset != p->fpage * PAGE))
			fail("maps: page %d is inode %lu page %lu and has to be inode %lu page %d", i, ino,
			     offset / PAGE, (unsigned long)want, ino ? p->fpage : 0);
		vma_of[i] = vma;
	}
}

/* Compare the VMAs of the arena with the model, and note which page belongs to which. */
static void check_maps(void)
{
	static char text[1 << 16];
	ssize_t n, len = 0;
	char *line, *save = NULL;
	int vma = 0;

	while ((n = pread(maps_fd, text + len, sizeof(text) - 1 - len, len)) > 0)
		len += n;
	if (n < 0 || len == sizeof(text) - 1)
		fail("/proc/self/maps: %zd bytes, %s", len, n < 0 ? strerror(errno) : "too long");
	text[len] = '\0';
	for (int i = 0; i < cfg->pages; i++)
		vma_of[i] = -1;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		maps_line(line, vma++);
	for (int i = 0; i < cfg->pages; i++)
		if (mapped(i) && vma_of[i] < 0)
			fail("maps: page %d is not mapped", i);
}

static void check_locked(void)
{
	long kb = 0;

	for (int i = 0; i < cfg->pages; i++)
		kb += model[i].locked * (long)(PAGE / KB);
	if (mm_status(0, "VmLck") != kb)
		fail("VmLck is %ld kB and has to be %ld", mm_status(0, "VmLck"), kb);
}

/* Some other pattern that the bytes at @p are, or 0. */
static uint32_t whose(const char *p)
{
	for (uint32_t id = 1; id < sh->next_id; id++)
		if (mm_check(p, PAGE, id) < 0)
			return id;
	return 0;
}

static int try_check(const char *p, uint32_t id, ssize_t *bad)
{
	int sig = sigsetjmp(fault_env, 0);

	fault_armed = !sig;
	if (!sig)
		*bad = id ? mm_check(p, PAGE, id) : mm_check_byte(p, PAGE, 0);
	fault_armed = 0;
	return sig;
}

static void check_bytes(int i)
{
	uint32_t id = content(&model[i]), other;
	const char *p = addr(i);
	ssize_t bad = -1;
	int sig;

	if (!readable(i))
		return;
	sig = try_check(p, id, &bad);
	if (sig)
		fail("page %d: signal %d, and it has to be readable", i, sig);
	if (bad < 0)
		return;
	if (mm_check_byte(p, PAGE, 0) < 0)
		fail("page %d is zero and has to be #%u", i, id);
	other = whose(p);
	if (other)
		fail("page %d is #%u and has to be #%u", i, other, id);
	fail("page %d: byte %zd is %#x, and the page has to be #%u", i, bad, p[bad] & 0xff, id);
}

/* What each access to the page does, on the host side too: a mapping that should be gone still reads. */
static void check_access(int i)
{
	int sig = try_read(i), want = readable(i) ? 0 : SIGSEGV;

	if (sig != want)
		fail("page %d: reading it gives signal %d and has to give %d", i, sig, want);
	check_bytes(i);
	if (!writable(i) && try_write(i) != SIGSEGV)
		fail("page %d could be written", i);
}

/* The pagemap entries of the range; good until the next call. */
static const uint64_t *pagemap(int at, int len)
{
	static uint64_t pm[MAX_PAGES];
	ssize_t size = len * sizeof(pm[0]);

	if (pread(pagemap_fd, pm, size, (uintptr_t)addr(at) / PAGE * sizeof(pm[0])) != size)
		fail("pagemap: %s", strerror(errno));
	return pm;
}

static int local(int n)
{
	return mm_rand(&local_rng) % n;
}

/*
 * The bytes of [at, at+len). A page that is neither in memory nor in swap and has to be zero is seldom read:
 * reading everything would leave nothing sparse.
 */
static void check_range(int at, int len)
{
	const uint64_t somewhere = 3ULL << 62, guard = 1ULL << 58;
	const uint64_t *pm = pagemap(at, len);

	for (int i = 0; i < len; i++) {
		if (!!(pm[i] & guard) != model[at + i].guard)
			fail("page %d: guard is %d", at + i, !model[at + i].guard);
		if (pm[i] & somewhere || (mapped(at + i) && content(&model[at + i])) || !local(32))
			check_bytes(at + i);
	}
}

static void check_all(void)
{
	check_maps();
	check_range(0, cfg->pages);
	if (cfg->locks)
		check_locked();
}

/* Before the end, what was out of reach of a check is made readable. */
static void check_hidden(void)
{
	for (int i = 0; i < cfg->pages; i++) {
		struct page *p = &model[i];

		if (!p->kind || readable(i))
			continue;
		if (p->guard && madvise(addr(i), PAGE, MADV_GUARD_REMOVE))
			fail("page %d: MADV_GUARD_REMOVE: %s", i, strerror(errno));
		if (mprotect(addr(i), PAGE, PROT_READ))
			fail("page %d: mprotect: %s", i, strerror(errno));
		p->guard = false;
		p->prot = PROT_READ;
		check_bytes(i);
	}
}

static void check_after(const struct step *s)
{
	check_maps();
	if (!local(12)) {
		check_all();
	} else if (s->len && local(2)) {
		check_range(s->at, s->len < 32 ? s->len : 32);
		check_access(s->at + local(s->len));
	}
	check_access(local(cfg->pages));
	if (cfg->locks && !local(4))
		check_locked();
}

/*
 * Populating a private file mapping gives the pages it may write a copy of their own. Which pages it got to
 * is the kernel's business; the bytes are the same.
 */
static void note_copies(int at, int len)
{
	const uint64_t present = 1ULL << 63, file = 1ULL << 61;
	const uint64_t *pm;

	if (!len || !(cfg->kinds & 1U << FILE_PRIVATE))
		return;
	pm = pagemap(at, len);
	for (int i = at; i < at + len; i++) {
		struct page *p = &model[i];

		if (p->kind != FILE_PRIVATE || p->own || !(pm[i - at] & present) || pm[i - at] & file)
			continue;
		p->id = content(p);
		p->own = true;
	}
}

/* ---- steps ---- */

static void expect_errno(const char *call, long ret, int want)
{
	int got = ret == -1 ? errno : 0;

	if (got != want)
		fail("%s: %s, and it has to be: %s", call, got ? strerror(got) : "success",
		     want ? strerror(want) : "success");
}

static void do_mmap(const struct step *s)
{
	const int fds[] = { [ANON] = -1, [FILE_PRIVATE] = file_fd, [SHARED] = shmem_fd };
	const int types[] = {
		[ANON] = MAP_PRIVATE | MAP_ANONYMOUS, [FILE_PRIVATE] = MAP_PRIVATE, [SHARED] = MAP_SHARED,
	};
	bool taken = (s->flags & MAP_FIXED_NOREPLACE) == MAP_FIXED_NOREPLACE && !all(s->at, s->len, unmapped);
	char *p;

	if (s->arg != ANON && s->fpage + s->len > FILE_PAGES)
		return;
	p = mmap(addr(s->at), s->len * PAGE, s->prot, s->flags | types[s->arg], fds[s->arg], s->fpage * PAGE);
	expect_errno("mmap", p == MAP_FAILED ? -1 : 0, taken ? EEXIST : 0);
	if (p == MAP_FAILED)
		return;
	if (p != addr(s->at))
		fail("mmap: page %ld instead of %d", (p - arena) / (long)PAGE, s->at);
	for (int i = 0; i < s->len; i++)
		model[s->at + i] = (struct page) { .kind = s->arg, .prot = s->prot, .fpage = s->fpage + i };
	note_copies(s->at, s->len);
}

static void do_munmap(const struct step *s)
{
	expect_errno("munmap", munmap(addr(s->at), s->len * PAGE), 0);
	forget(s->at, s->len);
}

static void do_mprotect(const struct step *s)
{
	int ret = mprotect(addr(s->at), s->len * PAGE, s->prot), i;

	/* What lies before the first hole is changed. */
	for (i = s->at; i < s->at + s->len && mapped(i); i++)
		model[i].prot = s->prot;
	expect_errno("mprotect", ret, i == s->at + s->len ? 0 : ENOMEM);
	note_copies(s->at, i - s->at);
}

/* The kernel chose another place: bring [q, q+len) of the model's @at into the arena, if it is outside. */
static int settle_at(char *q, int len, int to)
{
	long page = (q - arena) / (long)PAGE;

	if (q >= arena && page + len <= cfg->pages) {
		if (!all(page, len, unmapped))
			fail("mremap: moved to page %ld, which is in use", page);
		return page;
	}
	if (mremap(q, len * PAGE, len * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, addr(to)) != addr(to))
		fail("mremap: back into the arena: %s", strerror(errno));
	return to;
}

static bool beyond_file(int at, int new_len)
{
	return model[at].kind > ANON && model[at].fpage + new_len > FILE_PAGES;
}

/* Where one VMA's [at, at+len), grown or shrunk to @new_len, went. */
static void moved(int at, int len, int new_len, int to, bool leave)
{
	static struct page copy[MAX_PAGES];
	int n = len < new_len ? len : new_len;

	/* Taken out first: bringing it back into the arena may have replaced where it came from. */
	memcpy(copy, &model[at], n * sizeof(copy[0]));
	if (leave)
		for (int i = at; i < at + len; i++) {
			drop(&model[i]);
			model[i].guard = model[i].locked = false;
		}
	else
		forget(at, len);
	forget(to, new_len);
	memcpy(&model[to], copy, n * sizeof(copy[0]));
	model_grow(to, n, new_len);
	note_copies(to, new_len);
}

/* mremap() without an address: in place if it can be, or where the kernel likes. */
static void do_resize(const struct step *s)
{
	bool grow = s->new_len > s->len;
	int end = vma_end(s->at), tail = s->at + s->len, want = 0;
	bool in_place = !grow || (end == tail && s->at + s->new_len <= cfg->pages &&
				  all(tail, s->new_len - s->len, unmapped));
	char *q;

	if (beyond_file(s->at, s->new_len))
		return;
	if (end == s->at || (grow && tail > end))
		want = EFAULT;
	else if (!in_place && !(s->flags & MREMAP_MAYMOVE))
		want = ENOMEM;
	q = mremap(addr(s->at), s->len * PAGE, s->new_len * PAGE, s->flags);
	expect_errno("mremap", q == MAP_FAILED ? -1 : 0, want);
	if (want)
		return;
	if (in_place != (q == addr(s->at)))
		fail("mremap: page %d -> %ld", s->at, (q - arena) / (long)PAGE);
	if (!in_place) {
		moved(s->at, s->len, s->new_len, settle_at(q, s->new_len, s->to), false);
	} else if (grow) {
		model_grow(s->at, s->len, s->new_len);
		note_copies(tail, s->new_len - s->len);
	} else {
		forget(s->at + s->new_len, s->len - s->new_len);
	}
}

static bool overlap(int a, int a_len, int b, int b_len)
{
	return a < b + b_len && b < a + a_len;
}

/* MREMAP_FIXED that resizes: one VMA; what a shrink cuts off may be several. */
static int want_move_resize(const struct step *s)
{
	int n = s->len < s->new_len ? s->len : s->new_len;

	if (!checks_first && !mapped(s->at))
		return EFAULT;
	if (overlap(s->at, s->len, s->to, s->new_len))
		return EINVAL;
	return n > vma_end(s->at) - s->at ? EFAULT : 0;
}

/* What MREMAP_FIXED of @len pages has unmapped when it is refused, if it does not check first. */
static void refused(const struct step *s, int len)
{
	if (checks_first || !mapped(s->at) || overlap(s->at, len, s->to, s->new_len))
		return;
	forget(s->to, s->new_len);
	if (len > s->new_len)
		forget(s->at + s->new_len, len - s->new_len);
}

static void do_move(const struct step *s)
{
	bool leave = s->flags & MREMAP_DONTUNMAP;
	int want = want_move_resize(s);
	char *q;

	if (beyond_file(s->at, s->new_len))
		return;
	/* Without a new size, all the VMAs of the range are moved. */
	if (s->len == s->new_len && want != EINVAL && moves_vmas)
		want = mapped(s->at) ? 0 : EFAULT;
	q = mremap(addr(s->at), s->len * PAGE, s->new_len * PAGE, s->flags, addr(s->to));
	expect_errno("mremap", q == MAP_FAILED ? -1 : 0, want);
	if (want) {
		refused(s, s->len);
		return;
	}
	if (q != addr(s->to))
		fail("mremap: page %ld instead of %d", (q - arena) / (long)PAGE, s->to);
	if (s->len == s->new_len)
		model_move(s->at, s->to, s->len, leave);
	else
		moved(s->at, s->len, s->new_len, s->to, false);
}

/* MREMAP_DONTUNMAP with an address that is only a hint. */
static void do_leave(const struct step *s)
{
	bool is_free = all(s->to, s->len, unmapped);
	int want = 0;
	char *q;

	if (!checks_first && !mapped(s->at))
		want = EFAULT;
	else if (overlap(s->at, s->len, s->to, s->len))
		want = EINVAL;
	else if (s->len > vma_end(s->at) - s->at)
		want = EFAULT;
	q = mremap(addr(s->at), s->len * PAGE, s->len * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, addr(s->to));
	expect_errno("mremap", q == MAP_FAILED ? -1 : 0, want);
	if (want)
		return;
	if (is_free && q != addr(s->to))
		fail("mremap: page %ld, and %d was free", (q - arena) / (long)PAGE, s->to);
	if (is_free)
		model_move(s->at, s->to, s->len, true);
	else
		moved(s->at, s->len, s->len, settle_at(q, s->len, s->to), true);
}

/* An old length of zero: a second mapping of the same pages of a shared file. */
static void do_dup(const struct step *s)
{
	struct page first = model[s->at];
	int want = first.kind == NONE ? EFAULT : first.kind == SHARED ? 0 : EINVAL;
	char *q;

	if (beyond_file(s->at, s->new_len) || overlap(s->at, 1, s->to, s->new_len))
		return;
	q = mremap(addr(s->at), 0, s->new_len * PAGE, s->flags, addr(s->to));
	expect_errno("mremap", q == MAP_FAILED ? -1 : 0, want);
	if (want) {
		refused(s, 0);
		return;
	}
	first.guard = false;
	for (int i = 0; i < s->new_len; i++, first.fpage++)
		model[s->to + i] = first;
}

static void write_page(int i, bool by_read)
{
	static char buf[PAGE];
	struct page *p = &model[i];
	uint32_t id = sh->next_id++;

	if (by_read) {
		/* Through copy_to_user(). */
		mm_fill(buf, PAGE, id);
		if (pwrite(scratch_fd, buf, PAGE, 0) != PAGE || pread(scratch_fd, addr(i), PAGE, 0) != PAGE)
			fail("page %d: read(2) into it: %s", i, strerror(errno));
	} else {
		mm_fill(addr(i), PAGE, id);
	}
	if (p->kind == SHARED) {
		sh->shmem[p->fpage] = id;
	} else {
		p->own = p->kind == FILE_PRIVATE;
		p->id = id;
	}
}

static void do_write(const struct step *s)
{
	for (int i = s->at; i < s->at + s->len; i += s->arg)
		if (writable(i))
			write_page(i, s->flags);
}

/* A write to the file shows in every mapping that has no copy of its own. */
static void do_file_write(const struct step *s)
{
	static char buf[PAGE];
	uint32_t *file = s->arg == SHARED ? sh->shmem : sh->file;
	int fd = s->arg == SHARED ? shmem_fd : file_fd;

	for (int i = s->fpage; i < s->fpage + s->len; i++) {
		file[i] = sh->next_id++;
		mm_fill(buf, PAGE, file[i]);
		if (pwrite(fd, buf, PAGE, i * PAGE) != (ssize_t)PAGE)
			fail("write to the file: %s", strerror(errno));
	}
}

/* One page of a range that is advised; 0, or the errno that ends the call. */
static int model_advise(struct page *p, int advice)
{
	if (p->locked && advice != MADV_GUARD_REMOVE)
		return EINVAL;
	switch (advice) {
	case MADV_DONTNEED:
		drop(p);
		break;
	case MADV_REMOVE:
		sh->shmem[p->fpage] = 0;
		break;
	case MADV_GUARD_INSTALL:
		/* A guard that is there already stays; what it hides is gone. */
		drop(p);
		p->guard = true;
		break;
	case MADV_GUARD_REMOVE:
		p->guard = false;
		break;
	}
	return 0;
}

static void do_madvise(const struct step *s)
{
	int want = 0, err = 0, ret;

	ret = madvise(addr(s->at), s->len * PAGE, s->arg);
	for (int i = s->at; i < s->at + s->len && !err; i++) {
		if (mapped(i))
			err = model_advise(&model[i], s->arg);
		else
			want = ENOMEM;	/* and goes on */
	}
	expect_errno("madvise", ret, err ?: want);
}

/* Locks what lies before the first hole; without a hole, it populates up to the first page that it cannot. */
static void do_mlock(const struct step *s)
{
	int ret = mlock(addr(s->at), s->len * PAGE), i;

	for (i = s->at; i < s->at + s->len && mapped(i); i++)
		model[i].locked = true;
	expect_errno("mlock", ret, all(s->at, s->len, readable) ? 0 : ENOMEM);
	note_copies(s->at, s->len);
}

static void do_munlock(const struct step *s)
{
	int ret = munlock(addr(s->at), s->len * PAGE), i;

	for (i = s->at; i < s->at + s->len && mapped(i); i++)
		model[i].locked = false;
	expect_errno("munlock", ret, i == s->at + s->len ? 0 : ENOMEM);
}

static void actor_loop(int who);

static void do_fork(const struct step *s)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("fork: %s", strerror(errno));
	if (pid) {
		sh->pid[s->arg] = pid;
		return;
	}
	/* The child inherits no lock. */
	for (int i = 0; i < cfg->pages; i++)
		model[i].locked = false;
	actor_loop(s->arg);
}

static void do_corrupt(const struct step *s)
{
	if (writable(s->at))
		addr(s->at)[PAGE / 2] ^= 1;
}

static void do_read(const struct step *s)
{
	for (int i = s->at; i < s->at + s->len; i++)
		check_bytes(i);
}

static void make(const struct step *s)
{
	static void (*const how[])(const struct step *s) = {
		[OP_MMAP] = do_mmap, [OP_MUNMAP] = do_munmap, [OP_MPROTECT] = do_mprotect,
		[OP_RESIZE] = do_resize, [OP_MOVE] = do_move, [OP_LEAVE] = do_leave, [OP_DUP] = do_dup,
		[OP_WRITE] = do_write, [OP_FILE_WRITE] = do_file_write, [OP_MADVISE] = do_madvise,
		[OP_MLOCK] = do_mlock, [OP_MUNLOCK] = do_munlock, [OP_READ] = do_read, [OP_FORK] = do_fork,
		[OP_CORRUPT] = do_corrupt,
	};

	if (how[s->op])
		how[s->op](s);
}

/* ---- drawing a step ---- */

static int rnd(int n)
{
	return mm_rand(&sh->rng) % n;
}

/* One page, a few, or whole PMDs. */
static int some_len(void)
{
	int what = rnd(cfg->pages >= 4 * PMD_PAGES ? 11 : 7);

	return what < 3 ? 1 : what < 7 ? 2 + rnd(15) : PMD_PAGES * (1 + rnd(3));
}

static int some_place(int len)
{
	if (len % PMD_PAGES || !rnd(5))
		return rnd(cfg->pages - len + 1);
	return rnd((cfg->pages - len) / PMD_PAGES + 1) * PMD_PAGES;
}

/* A range, most often one that begins in a VMA, or is one. */
static void some_range(struct step *s)
{
	s->len = some_len();
	for (int tries = 0; tries < 8; tries++) {
		s->at = some_place(s->len);
		if (mapped(s->at))
			break;
	}
	if (mapped(s->at) && rnd(2)) {
		int end = vma_end(s->at);

		if (rnd(2))
			s->at = vma_start(s->at);
		if (rnd(2) || s->at + s->len > end)
			s->len = end - s->at;
	}
}

static int some_prot(void)
{
	static const int prots[] = { PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE };

	return prots[rnd(6) / 4 + rnd(6) / 5];
}

static int some_kind(void)
{
	int kind;

	do
		kind = ANON + rnd(SHARED);
	while (!(cfg->kinds & 1U << kind));
	return kind;
}

static void draw_mmap(struct step *s)
{
	s->len = some_len();
	s->at = some_place(s->len);
	s->arg = some_kind();
	s->prot = some_prot();
	s->fpage = s->len % PMD_PAGES ? rnd(cfg->pages) : rnd(cfg->pages / PMD_PAGES) * PMD_PAGES;
	s->flags = rnd(4) ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	if (s->len <= MAX_LOCK && !rnd(4))
		s->flags |= MAP_POPULATE;
}

static void draw_new_len(struct step *s)
{
	s->new_len = rnd(3) ? s->len + some_len() : s->len - rnd(s->len);
	if (s->new_len > cfg->pages)
		s->new_len = cfg->pages;
	s->to = some_place(s->new_len);
	s->flags = rnd(4) ? MREMAP_MAYMOVE : 0;
}

static void draw_move(struct step *s)
{
	s->new_len = s->len;
	if (!rnd(4))
		draw_new_len(s);
	else
		s->to = some_place(s->len);
	/* Mutually aligned, often: that is when page tables move whole. */
	if (s->len >= PMD_PAGES && rnd(3))
		s->to = (s->to & -PMD_PAGES) + s->at % PMD_PAGES;
	if (s->to + s->new_len > cfg->pages)
		s->to = cfg->pages - s->new_len;
	s->flags = MREMAP_MAYMOVE | MREMAP_FIXED;
	if (s->new_len == s->len && !rnd(5))
		s->flags |= MREMAP_DONTUNMAP;
}

static void draw_write(struct step *s)
{
	s->arg = 1 + s->len / (1 + rnd(SCRATCH));
	s->flags = !rnd(4);
}

static void draw_advice(struct step *s)
{
	static const int advices[] = {
		MADV_DONTNEED, MADV_PAGEOUT, MADV_PAGEOUT, MADV_COLD, MADV_GUARD_INSTALL, MADV_GUARD_REMOVE,
		MADV_GUARD_REMOVE, MADV_REMOVE,
	};

	s->arg = advices[rnd(8)];
	if ((s->arg == MADV_GUARD_INSTALL || s->arg == MADV_GUARD_REMOVE) && !can_guard)
		s->arg = MADV_DONTNEED;
	if (s->arg == MADV_GUARD_INSTALL && s->len > MAX_LOCK)
		s->len = 1 + rnd(MAX_LOCK);
	/* For shared mappings alone. */
	if (s->arg == MADV_REMOVE && cfg->kinds != 1U << SHARED)
		s->arg = MADV_DONTNEED;
}

static void draw_lock(struct step *s)
{
	if (!cfg->locks) {
		s->op = OP_READ;
		return;
	}
	s->op = rnd(2) ? OP_MLOCK : OP_MUNLOCK;
	if (s->op == OP_MLOCK && s->len > MAX_LOCK)
		s->len = 1 + rnd(MAX_LOCK);
}

/* A process joins, or one checks all it has and leaves. */
static void draw_fork(struct step *s)
{
	int others = 0;

	if (!cfg->forks) {
		s->op = OP_READ;
		return;
	}
	s->len = 0;
	s->arg = rnd(MAX_ACTORS);
	for (int i = 0; i < MAX_ACTORS; i++)
		others += i != s->arg && sh->pid[i];
	s->op = !sh->pid[s->arg] ? OP_FORK : others ? OP_EXIT : OP_READ;
}

static void draw(struct step *s)
{
	static const struct { enum op op; int weight; } table[] = {
		{ OP_WRITE, 20 }, { OP_MOVE, 20 }, { OP_RESIZE, 14 }, { OP_MMAP, 14 }, { OP_MADVISE, 12 },
		{ OP_MPROTECT, 6 }, { OP_MUNMAP, 4 }, { OP_LEAVE, 4 }, { OP_READ, 4 }, { OP_MLOCK, 4 },
		{ OP_DUP, 3 }, { OP_FILE_WRITE, 3 }, { OP_FORK, 4 },
	};
	int at = rnd(112), i = 0;

	while (at >= table[i].weight)
		at -= table[i++].weight;
	s->op = table[i].op;
	some_range(s);
	switch (s->op) {
	case OP_MMAP:		draw_mmap(s); break;
	case OP_MPROTECT:	s->prot = some_prot(); break;
	case OP_RESIZE:		draw_new_len(s); break;
	case OP_DUP:		draw_move(s); s->flags &= ~MREMAP_DONTUNMAP; break;
	case OP_MOVE:		draw_move(s); break;
	case OP_LEAVE:		s->to = some_place(s->len); break;
	case OP_WRITE:		draw_write(s); break;
	case OP_MADVISE:	draw_advice(s); break;
	case OP_MLOCK:		draw_lock(s); break;
	case OP_FORK:		draw_fork(s); break;
	case OP_FILE_WRITE:
		s->len = 1 + rnd(4);
		s->fpage = rnd(cfg->pages);
		s->arg = rnd(2) ? SHARED : FILE_PRIVATE;
		break;
	default:
		break;
	}
}

/* For the test of this test: a byte of the first page that may be written changes. */
static void draw_corrupt(struct step *s)
{
	*s = (struct step) { .op = OP_READ, .actor = me };
	for (int i = 0; i < cfg->pages && s->op == OP_READ; i++)
		if (writable(i))
			*s = (struct step) { .op = OP_CORRUPT, .actor = me, .at = i, .len = 1 };
}

/* ---- an actor ---- */

static int self_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fail("%s: %s", path, strerror(errno));
	return fd;
}

static void step(int i)
{
	struct step *s = &sh->log[i];

	now = i;
	local_rng = (i + 1) * 0x9e3779b97f4a7c15ULL;
	if (sh->generate)
		draw(s);
	if (sh->generate && i == cfg->corrupt_at)
		draw_corrupt(s);
	make(s);
	check_after(s);
}

static void __attribute__((noreturn)) actor_loop(int who)
{
	int i;

	me = who;
	maps_fd = self_open("/proc/self/maps");
	pagemap_fd = self_open("/proc/self/pagemap");
	while (read(tell[me][0], &i, sizeof(i)) == sizeof(i) && i != END) {
		step(i);
		finish();
	}
	local_rng = 1;
	check_all();
	check_hidden();
	finish();
	_exit(0);
}

/* ---- the runs ---- */

static void reset_file(int fd)
{
	if (ftruncate(fd, 0) || ftruncate(fd, FILE_PAGES * PAGE)) {
		perror("ftruncate");
		exit(1);
	}
}

static void start(void)
{
	pid_t pid;

	reset_file(file_fd);
	reset_file(shmem_fd);
	memset(sh->file, 0, sizeof(sh->file));
	memset(sh->shmem, 0, sizeof(sh->shmem));
	memset(sh->pid, 0, sizeof(sh->pid));
	sh->next_id = 1;
	sh->failed = sh->hung = false;
	for (int i = 0; i < MAX_ACTORS; i++)
		if (pipe2(tell[i], O_CLOEXEC))
			exit(1);
	if (pipe2(answer, O_CLOEXEC))
		exit(1);
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		exit(1);
	if (!pid) {
		catch_faults();
		memset(vma_of, 0xff, sizeof(vma_of));
		actor_loop(0);
	}
	sh->pid[0] = pid;
}

static void stop(void)
{
	for (int i = 0; i < MAX_ACTORS; i++)
		if (sh->pid[i])
			kill(sh->pid[i], SIGKILL);
	/* The caller is a subreaper: the children of actors become its own. */
	while (waitpid(-1, NULL, 0) > 0)
		;
	for (int i = 0; i < MAX_ACTORS; i++) {
		close(tell[i][0]);
		close(tell[i][1]);
	}
	close(answer[0]);
	close(answer[1]);
}

/* Let an actor make step @i, or END. */
static void ask(int who, int i)
{
	struct pollfd p = { .fd = answer[0], .events = POLLIN };
	char byte;

	if (write(tell[who][1], &i, sizeof(i)) != sizeof(i) || poll(&p, 1, ANSWER_MS) != 1 ||
	    read(answer[0], &byte, 1) != 1) {
		snprintf(sh->why, sizeof(sh->why), "no answer of process %d for %d s", who, ANSWER_MS / 1000);
		sh->failed = sh->hung = true;
	}
}

/* It checks everything and is gone. */
static void leave(int who)
{
	struct pollfd p = { .events = POLLIN };

	p.fd = syscall(__NR_pidfd_open, sh->pid[who], 0);
	ask(who, END);
	if (!sh->failed) {
		poll(&p, 1, ANSWER_MS);
		sh->pid[who] = 0;
	}
	close(p.fd);
}

static int some_actor(void)
{
	int who;

	do
		who = rnd(MAX_ACTORS);
	while (!sh->pid[who]);
	return who;
}

/* Make the first @n steps, or repeat them without those of @skip; the number made if they failed, or 0. */
static int run(int n, const bool *skip)
{
	int i;

	start();
	for (i = 0; i < n && !sh->failed; i++) {
		struct step *s = &sh->log[i];

		if (sh->generate)
			*s = (struct step) { .actor = some_actor() };
		else if (skip[i] || !sh->pid[s->actor] || (s->op == OP_FORK && sh->pid[s->arg]))
			continue;
		ask(s->actor, i);
		if (!sh->failed && s->op == OP_EXIT && sh->pid[s->arg])
			leave(s->arg);
	}
	for (int who = 0; who < MAX_ACTORS && !sh->failed; who++)
		if (sh->pid[who])
			leave(who);
	stop();
	return sh->failed ? i : 0;
}

/* The smallest n for which n steps fail and n - 1 do not; 0 if it does not fail again. */
static int shortest_prefix(int fails, const bool *skip)
{
	int passes = 0;

	if (!run(fails, skip))
		return 0;
	while (fails - passes > 1) {
		int mid = (passes + fails) / 2;

		if (run(mid, skip))
			fails = mid;
		else
			passes = mid;
	}
	return fails;
}

/* Leave out @chunk steps at a time, as long as the rest still fails; whether any could be left out. */
static bool reduce_by(int chunk, int n, bool *skip, int *runs)
{
	bool before[MAX_STEPS], any = false;

	for (int at = 0; at < n && *runs > 0; at += chunk) {
		memcpy(before, skip, sizeof(before));
		memset(skip + at, true, at + chunk < n ? chunk : n - at);
		if (!memcmp(before, skip, sizeof(before)))
			continue;
		--*runs;
		if (run(n, skip))
			any = true;
		else
			memcpy(skip, before, sizeof(before));
	}
	return any;
}

static void reduce(int n, bool *skip)
{
	int runs = REDUCE_RUNS;

	for (int chunk = n / 2; chunk > 1; chunk /= 2)
		reduce_by(chunk, n, skip, &runs);
	while (reduce_by(1, n, skip, &runs))
		;
	run(n, skip);
}

/* ---- what is printed ---- */

static const char *advice_name(int advice)
{
	switch (advice) {
	case MADV_DONTNEED:		return "DONTNEED";
	case MADV_PAGEOUT:		return "PAGEOUT";
	case MADV_COLD:			return "COLD";
	case MADV_REMOVE:		return "REMOVE";
	case MADV_GUARD_INSTALL:	return "GUARD_INSTALL";
	case MADV_GUARD_REMOVE:		return "GUARD_REMOVE";
	default:			return "?";
	}
}

static void print_step(int i, const struct step *s)
{
	static const char *const kinds[] = { "?", "anon", "private file", "shared" };
	const char *flags = s->flags & MREMAP_DONTUNMAP ? " FIXED|DONTUNMAP" :
			    s->flags & MREMAP_FIXED ? " FIXED" : s->flags & MREMAP_MAYMOVE ? " MAYMOVE" : "";

	printf("# %4d [%d] ", i + 1, s->actor);
	switch (s->op) {
	case OP_MMAP:
		printf("mmap %d+%d %s %s page %d%s%s\n", s->at, s->len, kinds[s->arg], prot_name(s->prot),
		       s->fpage, s->flags & MAP_POPULATE ? " POPULATE" : "",
		       s->flags & MAP_FIXED ? "" : " NOREPLACE");
		break;
	case OP_MUNMAP:		printf("munmap %d+%d\n", s->at, s->len); break;
	case OP_MPROTECT:	printf("mprotect %d+%d %s\n", s->at, s->len, prot_name(s->prot)); break;
	case OP_RESIZE:
		printf("mremap %d+%d to %d pages%s (if moved, back to %d)\n", s->at, s->len, s->new_len,
		       flags, s->to);
		break;
	case OP_MOVE:
		printf("mremap %d+%d -> %d+%d%s\n", s->at, s->len, s->to, s->new_len, flags);
		break;
	case OP_LEAVE:		printf("mremap %d+%d -> %d DONTUNMAP\n", s->at, s->len, s->to); break;
	case OP_DUP:		printf("mremap %d+0 -> %d+%d FIXED\n", s->at, s->to, s->new_len); break;
	case OP_WRITE:
		printf("write %d+%d every %d%s\n", s->at, s->len, s->arg, s->flags ? " by read(2)" : "");
		break;
	case OP_FILE_WRITE:	printf("pwrite %s page %d+%d\n", kinds[s->arg], s->fpage, s->len); break;
	case OP_MADVISE:	printf("madvise %d+%d %s\n", s->at, s->len, advice_name(s->arg)); break;
	case OP_MLOCK:		printf("mlock %d+%d\n", s->at, s->len); break;
	case OP_MUNLOCK:	printf("munlock %d+%d\n", s->at, s->len); break;
	case OP_READ:		printf("read %d+%d\n", s->at, s->len); break;
	case OP_FORK:		printf("fork: process %d\n", s->arg); break;
	case OP_EXIT:		printf("exit of process %d\n", s->arg); break;
	case OP_CORRUPT:	printf("a byte of page %d changes by itself\n", s->at); break;
	}
}

static void print_failure(int n, const bool *skip)
{
	int needed = 0;

	for (int i = 0; i < n; i++)
		needed += !skip[i];
	printf("# shortest failing prefix: %d steps, these %d are enough ([process], page+length):\n",
	       n, needed);
	for (int i = 0; i < n; i++)
		if (!skip[i])
			print_step(i, &sh->log[i]);
	printf("# -> %s\n", sh->why);
}

/* ---- the tests ---- */

static void *map_shared(size_t len, int prot, void *at)
{
	return mmap(at, len, prot, MAP_SHARED | MAP_ANONYMOUS | (at ? MAP_FIXED : 0), -1, 0);
}

/* The arena is a hole between two mappings that merge with nothing. */
static bool make_arena(void)
{
	size_t len = MAX_PAGES * PAGE;
	char *room = mm_reserve(len + 2 * PMD_SIZE, PMD_SIZE);

	if (!room || map_shared(PMD_SIZE, PROT_NONE, room) == MAP_FAILED)
		return false;
	arena = room + PMD_SIZE;
	room = arena + cfg->pages * PAGE;
	return map_shared(PAGE, PROT_NONE, room) != MAP_FAILED && !munmap(arena, room - arena);
}

static bool make_files(void)
{
	struct stat st;

	file_fd = mm_tmpfile("/mnt", 0);
	shmem_fd = mm_memfd(0);
	scratch_fd = mm_memfd(PAGE);
	if (file_fd < 0 || shmem_fd < 0 || scratch_fd < 0 || fstat(file_fd, &st))
		return false;
	file_ino = st.st_ino;
	if (fstat(shmem_fd, &st))
		return false;
	shmem_ino = st.st_ino;
	return true;
}

static uint64_t env_seed(void)
{
	const char *text = getenv("MMUML_SEED");

	return text ? strtoull(text, NULL, 0) : 1;
}

/* A run of @c: the length of its shortest failing prefix, or 0; in @skip, what is not needed of it. */
static int play(const struct config *c, uint64_t seed, bool *skip)
{
	uint64_t mix = seed;
	int n;

	for (const char *p = c->name; *p; p++)
		mix = (mix ^ *p) * 0x100000001b3ULL;
	sh->rng = mix ?: 1;
	sh->generate = true;
	memset(skip, 0, MAX_STEPS);
	n = run(c->steps, skip);
	sh->generate = false;
	if (!n)
		return 0;
	printf("# seed %llu, %s: step %d of %d: %s\n",
	       (unsigned long long)seed, c->name, n, c->steps, sh->why);
	fflush(stdout);
	/* Each repetition of a hang would take as long. */
	if (!sh->hung) {
		int shortest = shortest_prefix(n, skip);

		if (!shortest)
			printf("# it did not fail again: all the steps follow\n");
		else
			reduce(n = shortest, skip);
	}
	return n;
}

FIXTURE(model) {
	bool skip[MAX_STEPS];
};

FIXTURE_VARIANT(model) {
	struct config c;
};

#define SMALL	96
#define ANY	(1U << ANON | 1U << FILE_PRIVATE | 1U << SHARED)

#define VARIANT(variant_name, n_pages, kinds_, forks_, locks_)					\
	FIXTURE_VARIANT_ADD(model, variant_name) {						\
		.c = {										\
			.name = #variant_name, .pages = n_pages, .kinds = kinds_,		\
			.forks = forks_, .locks = locks_, .steps = 300, .corrupt_at = -1,	\
		},										\
	}

VARIANT(anon_small, SMALL, 1U << ANON, false, false);
VARIANT(anon_pmds, MAX_PAGES, 1U << ANON, false, false);
VARIANT(shmem_small, SMALL, 1U << SHARED, false, false);
VARIANT(shmem_pmds, MAX_PAGES, 1U << SHARED, false, false);
VARIANT(file_small, SMALL, 1U << FILE_PRIVATE, false, false);
VARIANT(file_pmds, MAX_PAGES, 1U << FILE_PRIVATE, false, false);
VARIANT(anon_fork_small, SMALL, 1U << ANON, true, false);
VARIANT(anon_fork_pmds, MAX_PAGES, 1U << ANON, true, false);
VARIANT(mixed_fork_small, SMALL, ANY, true, false);
VARIANT(mixed_fork_pmds, MAX_PAGES, ANY, true, false);
VARIANT(mixed_locked_small, SMALL, ANY, true, true);
VARIANT(mixed_locked_pmds, MAX_PAGES, ANY, true, true);

static bool set_up(const struct config *c)
{
	cfg = c;
	moves_vmas = !mm_need_mremap_vmas();
	checks_first = !mm_need_mremap_checks();
	can_guard = !mm_need_guard(MAP_PRIVATE) && !mm_need_guard(MAP_SHARED);
	sh = map_shared(sizeof(*sh), PROT_READ | PROT_WRITE, NULL);
	return (void *)sh != MAP_FAILED && !prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) &&
	       make_files() && make_arena();
}

FIXTURE_SETUP(model)
{
	ASSERT_TRUE(set_up(&variant->c));
}

FIXTURE_TEARDOWN(model)
{
}

/* random steps leave bytes, protections and VMAs as the model has them, in every process */
TEST_F(model, random_steps)
{
	int n = play(cfg, env_seed(), self->skip);

	if (n)
		print_failure(n, self->skip);
	EXPECT_EQ(0, n);
}

/* a byte that changes behind the model's back is found, and the failure is reduced to a few steps */
TEST(finds_corruption)
{
	static const struct config c = {
		.name = "corrupted", .pages = SMALL, .kinds = 1U << ANON, .forks = true,
		.steps = 60, .corrupt_at = 59,
	};
	bool skip[MAX_STEPS];
	int n = 0, needed = 0;

	ASSERT_TRUE(set_up(&c));
	/* A run that has no page to corrupt at its end does not fail. */
	for (uint64_t seed = 1; !n && seed < 10; seed++)
		n = play(&c, seed, skip);
	ASSERT_EQ(c.steps, n);
	EXPECT_EQ(OP_CORRUPT, sh->log[n - 1].op);
	for (int i = 0; i < n; i++)
		needed += !skip[i];
	/* At the least a mapping and the fault. */
	EXPECT_LE(2, needed);
	EXPECT_GE(c.steps / 2, needed);
	if (!__test_passed(_metadata))
		print_failure(n, skip);
}

TEST_HARNESS_MAIN
