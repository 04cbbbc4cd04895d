// SPDX-License-Identifier: GPL-2.0
/*
 * What a line of the kernel's console means: the reports that make a run fail, and init's own markers.
 *
 * A row has the words that a detector of the kernel prints, as exactly as they stand in its source (7.2's, and 6.12's where they
 * were others): what a patch under test prints with pr_warn("WARNING: ...") or pr_err("BUG: ...") is text. tests/kit/messages.sh
 * holds the rows against the formats that a built kernel contains.
 */
#include <ctype.h>
#include <pthread.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/kit.h"
#include "detect.h"

#define PANIC	"Kernel panic - not syncing: "

/* Bits of /proc/sys/kernel/tainted (Documentation/admin-guide/tainted-kernels.rst). */
enum { NO_TAINT = -1, TAINT_BAD_PAGE = 5, TAINT_DIE = 7, TAINT_WARN = 9, TAINT_SOFTLOCKUP = 14 };

const struct detector detectors[] = {
	/* The kernel gives up. */
	{ "mode-fault", "oops", PANIC "Kernel mode fault", .taint = NO_TAINT, .fatal = true },
	{ "no-mm", "oops", PANIC "Segfault with no mm", .taint = NO_TAINT, .fatal = true },
	{ "stack-corrupted", "oops", "(" PANIC "(stack-protector: Kernel stack is corrupted|corrupted stack end detected|"
	  "[Kk]ernel stack overflow)|Thread overran stack, or stack corrupted)", .taint = NO_TAINT, .fatal = true },
	{ "panic", "panic", PANIC, .taint = NO_TAINT, .fatal = true },
	{ "oops", "oops", "(Oops|Internal error: Oops|BUG: (unable to handle|kernel NULL pointer)|Fixing recursive fault but)",
	  .taint = TAINT_DIE, .fatal = true },

	/* Bad memory accesses. */
	{ "kasan", "KASAN", "(BUG: KASAN: |KASAN: .+ in range \\[)", "KASAN", .taint = TAINT_BAD_PAGE, .place = PLACE_TRACE },
	{ "kfence", "KASAN", "BUG: KFENCE: ", "KFENCE", .taint = TAINT_BAD_PAGE, .place = PLACE_TRACE,
	  .armed_file = "/sys/kernel/debug/kfence/stats", .armed_key = "enabled:", .armed_least = 1 },
	{ "kmsan", "KASAN", "BUG: KMSAN: ", "KMSAN", .taint = TAINT_BAD_PAGE, .place = PLACE_TRACE },
	{ "kcsan", "KCSAN", "BUG: KCSAN: ", "KCSAN", .taint = NO_TAINT, .place = PLACE_TRACE },
	{ "ubsan", "UBSAN", "UBSAN: ", "UBSAN", .taint = NO_TAINT, .place = PLACE_TRACE },
	{ "slub", "slab", "BUG .+ \\((Not t|T)ainted", "SLUB_DEBUG", .taint = TAINT_BAD_PAGE, .place = PLACE_TRACE },
	{ "slub-counts", "slab", "SLUB:? [^ ]+ [0-9]+ (partial )?slabs counted but counter=", "SLUB_DEBUG", .taint = NO_TAINT },
	{ "page-poison", "bad page", "pagealloc: (memory corruption|single bit error)", "PAGE_POISONING", .taint = TAINT_BAD_PAGE,
	  .place = PLACE_TRACE },
	{ "mempool", "slab", "BUG: mempool element poison mismatch", "SLUB_DEBUG", .taint = NO_TAINT, .place = PLACE_TRACE },
	{ "slab-create", "slab", "kmem_cache_create\\(.*\\) integrity check failed", "DEBUG_VM", .taint = NO_TAINT, .place = PLACE_TRACE },
	{ "usercopy", "BUG", "usercopy: Kernel memory (exposure|overwrite) attempt detected", "HARDENED_USERCOPY", .taint = NO_TAINT,
	  .place = PLACE_TRACE },

	/* Pages, page tables, swap. The first of a page's words is no report where a VM_BUG_ON() or VM_WARN_ON() follows. */
	{ "bad-page", "bad page", "BUG: Bad page (state|map|cache)( in process |: [0-9]+ messages suppressed)",
	  .taint = TAINT_BAD_PAGE, .place = PLACE_TRACE },
	{ "rss-counter", "bad page", "BUG: Bad rss-counter state ", .taint = NO_TAINT, .place = PLACE_TRACE },
	{ "pgtables-bytes", "bad page", "BUG: non-zero pgtables_bytes on freeing mm", .taint = NO_TAINT, .place = PLACE_TRACE },
	{ "zone-bounds", "bad page", "page 0x[0-9a-f]+ outside node ", "DEBUG_VM", .taint = NO_TAINT, .place = PLACE_TRACE },
	{ "page-dumped", "bad page", "page dumped because: ", .taint = NO_TAINT, .place = PLACE_TRACE },
	{ "bad-pmd", "bad page table", "[^ ]+:[0-9]+: bad (pte|pmd|pud|p4d|pgd) ", .taint = NO_TAINT, .place = PLACE_TRACE },
	{ "debug-vm-pgtable", "bad page table", "debug_vm_pgtable: .*[Ff]ailed", "DEBUG_VM_PGTABLE", .taint = NO_TAINT },
	{ "page-table-check", "bad page table", "BUG: failure at mm/page_table_check\\.c:[0-9]+/", "PAGE_TABLE_CHECK", .taint = NO_TAINT,
	  .fatal = true, .place = PLACE_TRACE },
	{ "bad-swap", "bad swap", "([a-z_]+: )?Bad swap (file|offset) entry ", .taint = NO_TAINT, .place = PLACE_TRACE },
	{ "swap-entry", "bad swap", "(unrecognized swap entry 0x|get_swap_device: Bad |swap:[0-9]+ != \\(max:)",
	  .taint = NO_TAINT, .place = PLACE_TRACE },
	{ "swap-io", "bad swap", "(Read|Write)-error on swap-device", .taint = NO_TAINT },
	{ "zswap", "bad swap", "zswap: Decompression error ", .taint = NO_TAINT },
	{ "maple-tree", "BUG", "BUG at [^ ]+:[0-9]+ \\([0-9]+\\)", "DEBUG_MAPLE_TREE", .taint = NO_TAINT, .place = PLACE_TRACE },
	/* Its VM_WARN_ON_ONCE() speaks once in a boot, this each time. */
	{ "validate-mm", "BUG", "(tree range: [^ ]+ start [0-9a-f]+ end |map_count [0-9]+ vma iterator )", "DEBUG_VM_MAPLE_TREE",
	  .taint = NO_TAINT, .place = PLACE_TRACE },
	{ "zsmalloc", "BUG", "zsmalloc: Class-[0-9]+ fullness group [0-9]+ is not empty", .taint = NO_TAINT },

	{ "vmstat", "BUG", "vmstat_refresh: [^ ]+ -[0-9]+$", .taint = NO_TAINT },

	/* Lists, objects, counts. */
	{ "list", "BUG", "list_(add|del) (corruption|double add)", "DEBUG_LIST", .taint = NO_TAINT, .place = PLACE_TRACE },
	{ "plist", "BUG", "top: [^ ]+, n: [^ ]+, p: ", "DEBUG_PLIST", .taint = TAINT_WARN, .place = PLACE_TRACE },
	{ "refcount", "WARN", "refcount_t: ", .taint = TAINT_WARN, .place = PLACE_TRACE },
	{ "percpu-ref", "BUG", ".*percpu_ref underflow", .taint = NO_TAINT, .place = PLACE_TRACE },
	{ "debug-objects", "debug objects", "ODEBUG: (.*\\(active state [0-9]+\\)|object .*stack|selftest (object|wrong|fixups|warnings))",
	  "DEBUG_OBJECTS", .taint = NO_TAINT, .place = PLACE_TRACE },
	{ "debug-objects-off", "debug objects", "(ODEBUG|debug_objects): .*Out of memory", "DEBUG_OBJECTS", .taint = NO_TAINT, .once = true },
	{ "dentry", "BUG", "BUG: Dentry ", .taint = NO_TAINT, .place = PLACE_TRACE },
	{ "busy-inodes", "BUG", "VFS: Busy inodes after unmount", .taint = NO_TAINT },
	{ "kobject", "BUG", "kobject: (.*something is seriously wrong|.*don't try to register things with the same name|"
	  "can not set name properly|must have a ktype|kobject \\([^ ]+\\): )", .taint = NO_TAINT, .place = PLACE_TRACE },
	{ "memcg-stat", "BUG", ".*: Warning, stat buffer overflow, please report", .taint = NO_TAINT },
	{ "stackdepot-off", "debug objects", "stackdepot: .* allocation failed, disabling", "STACKDEPOT", .taint = NO_TAINT, .once = true },
	{ "sched-domains", "BUG", "(BUG: arch topology borken|ERROR: (domain->|group|flag .* set here|parent span|repeated CPUs|empty group))",
	  .taint = NO_TAINT },
	{ "um", "BUG", "(corrupt mm_context - pid|Attempted to relay unknown signal)", .taint = NO_TAINT },

	/* Locks. Whatever of these speaks first, lockdep is off from there on; without proving, only the second row's is looked for. */
	{ "prove-locking", "lockdep", "(WARNING: (possible circular locking dependency|possible irq lock inversion dependency|"
	  "possible recursive locking|[A-Z]+-safe -> [A-Z]+-unsafe lock order) detected|WARNING: (inconsistent lock state|"
	  "chain_key collision)|\\[ BUG: Invalid wait context \\]|lockdep:[^ ]+ bad path found in chain graph)",
	  "PROVE_LOCKING", .taint = NO_TAINT, .once = true, .place = PLACE_TRACE,
	  .armed_file = "/proc/sys/kernel/prove_locking", .armed_key = "", .armed_least = 1 },
	{ "lockdep", "lockdep", "(WARNING: (bad (unlock balance|contention) detected!|Nested lock was not taken|held lock freed!|"
	  "lock held when returning to user space!|suspicious RCU usage|.*/[0-9]+ still has locks held!)|DEBUG_LOCKS_WARN_ON)",
	  "LOCKDEP", .taint = NO_TAINT, .once = true, .place = PLACE_TRACE,
	  .armed_file = "/proc/lockdep_stats", .armed_key = "debug_locks:", .armed_least = 1 },
	{ "lockdep-keys", "lockdep", "(INFO: trying to register non-static key|BUG: (looking up invalid subclass: |"
	  "key [^ ]+ has not been registered))", "PROVE_LOCKING", .taint = NO_TAINT, .once = true, .place = PLACE_TRACE },
	{ "spinlock", "lockdep", "BUG: (spinlock|rwlock) .* on CPU#", "DEBUG_SPINLOCK", .taint = NO_TAINT, .once = true, .place = PLACE_TRACE },
	{ "lockdep-off", "lockdep", "(BUG: MAX_[A-Z_]+ too low|INFO: lockdep is turned off|turning off the locking correctness|"
	  "Disabling lock debugging due to kernel taint)", "PROVE_LOCKING", .taint = NO_TAINT, .once = true },

	/* Contexts. */
	{ "atomic", "BUG", "(BUG: (scheduling while atomic: |scheduling in a non-blocking section: |sleeping function called from invalid|"
	  "assuming (atomic|non migratable) context at )|bad: scheduling from the idle thread)", "DEBUG_ATOMIC_SLEEP", .taint = TAINT_WARN },
	{ "preemptible", "BUG", "BUG: using [^ ]+ in preemptible ", "DEBUG_PREEMPT", .taint = NO_TAINT },
	{ "context-leaked", "BUG", "(BUG: workqueue leaked |softirq: huh, entered softirq )",
	  .taint = NO_TAINT, .place = PLACE_TRACE },

	/* It does not go on. */
	{ "soft-lockup", "stall", "(watchdog: )?BUG: soft lockup - CPU#", "SOFTLOCKUP_DETECTOR", .taint = TAINT_SOFTLOCKUP,
	  .armed_file = "/proc/sys/kernel/soft_watchdog", .armed_key = "", .armed_least = 1 },
	{ "hard-lockup", "stall", "(watchdog: )?(CPU[0-9]+: )?Watchdog detected hard LOCKUP", "HARDLOCKUP_DETECTOR", .taint = NO_TAINT },
	{ "workqueue-lockup", "stall", "(workqueue: )?BUG: workqueue lockup - pool", "WQ_WATCHDOG", .taint = NO_TAINT,
	  .armed_file = "/sys/module/workqueue/parameters/watchdog_thresh", .armed_key = "", .armed_least = 1 },
	{ "hung-task", "hung task", "INFO: task .* (<[^ ]*> )?(is )?blocked (in I/O wait )?for more than",
	  "DETECT_HUNG_TASK", .taint = NO_TAINT, .place = PLACE_TRACE,
	  .armed_file = "/proc/sys/kernel/hung_task_timeout_secs", .armed_key = "", .armed_least = 1 },
	{ "rcu-stall", "stall", "(rcu: )?(INFO: [^ ]+ (self-)?detected (expedited )?stall|[^ ]+ kthread (starved for|timer wakeup))",
	  .taint = NO_TAINT },
	{ "rcu-callback", "debug objects", "(rcu: )?[^ ]+: Double-freed CB ", "DEBUG_OBJECTS_RCU_HEAD", .taint = NO_TAINT },
	{ "rcu-selftest", "BUG", "[^ ]+ has failed boot-time tests", "PROVE_RCU", .taint = NO_TAINT },
	{ "need-resched", "stall", "sched: CPU [0-9]+ need_resched set for > ", .taint = NO_TAINT },

	/* Leaks. Init asks kmemleak itself, when it scans. */
	{ "kmemleak", "kmemleak", "kmemleak: .*new suspected memory leak", "DEBUG_KMEMLEAK", .taint = NO_TAINT, .place = PLACE_TRACE,
	  .armed_key = "", .armed_least = 1 },
	{ "kmemleak-off", "kmemleak", "kmemleak: (Kernel memory leak detector disabled|Kmemleak disabled without|Memory pool empty|"
	  "Cannot (allocate a kmemleak_object|insert 0x)|Failed to create the scan thread)", "DEBUG_KMEMLEAK", .taint = NO_TAINT, .once = true },
	{ "kmemleak-misuse", "kmemleak", "kmemleak: (.* unknown object at 0x|Found object by alias|Scan area larger than object)",
	  "DEBUG_KMEMLEAK", .taint = NO_TAINT, .place = PLACE_TRACE },

	/* The general ones, and the host. */
	{ "bug", "BUG", "(kernel BUG at [^ ]+:[0-9]+!|BUG: failure at [^ ]+:[0-9]+/.*\\(\\)!)", .taint = TAINT_DIE, .fatal = true },
	{ "warn", "WARN", "WARNING: ([^ ]+:[0-9]+ at |at .*, CPU#|CPU: [0-9]+ PID: [0-9]+ at )", .taint = TAINT_WARN },
	{ "flush-system-wq", "WARN", "WARNING: Flushing system-wide workqueues ", .taint = NO_TAINT, .place = PLACE_TRACE },
	{ "host-memory", "host memory", "(UML ran out of memory on the host side|Bus error - the host /dev/shm)", .taint = NO_TAINT },
};
const int n_detectors = sizeof(detectors) / sizeof(detectors[0]);

static const struct {
	const char *text;
	enum line_kind kind;
} marks[] = {
	{ MARK_BEGIN,			LINE_BEGIN },
	{ MARK_END,			LINE_END },
	{ MARK_INIT,			LINE_INIT },
	{ "reboot: Power down",		LINE_POWER_DOWN },
	{ "reboot: System halted",	LINE_POWER_DOWN },
};

/* Words before a report that says more: the assertion's own, or a page that is merely shown. */
static const char *const shown[] = {
	"page dumped because: VM_BUG_ON", "page dumped because: VM_WARN_ON", "page dumped because: migration failure",
	"page dumped because: unmovable page",
};

static regex_t compiled[sizeof(detectors) / sizeof(detectors[0])];

static void compile(void)
{
	for (int i = 0; i < n_detectors; i++) {
		char *whole = xasprintf("^(%s)", detectors[i].pattern);

		if (regcomp(&compiled[i], whole, REG_EXTENDED | REG_NOSUB))
			die(EX_FAIL, NULL, detectors[i].pattern, "the pattern of detector %s is none", detectors[i].name);
		free(whole);
	}
}

/* The length of "[   12.345678] ", "[  T123] " or "[    C0] "; 0 if it is something else: "[ BUG: Invalid wait context ]" is. */
static size_t stamp(const char *s)
{
	size_t n;

	if (*s != '[')
		return 0;
	n = 1 + strspn(s + 1, " ");
	if (s[n] == 'T' || s[n] == 'C')
		n++;
	if (!isdigit((unsigned char)s[n]))
		return 0;
	n += strspn(s + n, "0123456789.");
	return s[n] == ']' ? n + 1 : 0;
}

static const char *after_stamp(const char *line)
{
	size_t n;

	while ((n = stamp(line)))
		line += n + strspn(line + n, " ");
	return line;
}

/* Words that the class says already, and a place to look that is gone with the kernel. */
static void keep_words(const char *s, struct line *out)
{
	static const char *const said[] = { PANIC, "kmemleak: " };
	char *see;

	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		if (!strncmp(s, said[i], strlen(said[i])))
			s += strlen(said[i]);
	snprintf(out->what, sizeof(out->what), "%s", s);
	see = strstr(out->what, " (see /sys/kernel/debug/kmemleak");
	if (see)
		*see = '\0';
}

void detect_line(const char *line, struct line *out)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const char *s = after_stamp(line);

	pthread_once(&once, compile);
	out->kind = LINE_PLAIN;
	out->by = NULL;
	out->what[0] = '\0';
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		size_t n = strlen(marks[i].text);

		if (strncmp(s, marks[i].text, n))
			continue;
		out->kind = marks[i].kind;
		snprintf(out->what, sizeof(out->what), "%s", out->kind == LINE_POWER_DOWN ? s : s + n);
		return;
	}
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		if (!strncmp(s, shown[i], strlen(shown[i])))
			return;
	for (int i = 0; i < n_detectors; i++) {
		if (regexec(&compiled[i], s, 0, NULL, 0))
			continue;
		out->kind = LINE_REPORT;
		out->by = &detectors[i];
		keep_words(s, out);
		return;
	}
}

/* How a row is asked at the end of a boot. */
static const char *question(const struct detector *d, char *room, size_t size)
{
	if (!d->armed_key)
		return "-";
	if (!d->armed_file)
		return "the guest's init";
	snprintf(room, size, "%s%s%s >= %ld", d->armed_file, *d->armed_key ? " " : "", d->armed_key, d->armed_least);
	return room;
}

void detect_table(FILE *f)
{
	char room[128], taint[16];

	fprintf(f, "%-18s %-15s %-19s %-5s %-5s %s\n", "NAME", "CLASS", "OPTION", "FATAL", "TAINT", "ASKED AT THE END OF A BOOT");
	for (int i = 0; i < n_detectors; i++) {
		const struct detector *d = &detectors[i];

		if (d->taint < 0)
			snprintf(taint, sizeof(taint), "-");
		else
			snprintf(taint, sizeof(taint), "%d", d->taint);
		fprintf(f, "%-18s %-15s %-19s %-5s %-5s %s\n", d->name, d->class, d->option ? d->option : "-",
			d->fatal ? "yes" : "-", taint, question(d, room, sizeof(room)));
	}
}
