// SPDX-License-Identifier: GPL-2.0
/* Each row of the table of detectors on a line that a kernel prints, and lines that are none of theirs. */
#include <string.h>

#include "../../scripts/lib/kit.h"
#include "../../scripts/runner/detect.h"

#define UNIT "unit-detect"
#include "unit.h"

/* @row NULL: no report. */
static const struct {
	const char *row, *line;
} lines[] = {
	{ "mode-fault", "Kernel panic - not syncing: Kernel mode fault at addr 0x0, ip 0x60020000" },
	{ "no-mm", "Kernel panic - not syncing: Segfault with no mm" },
	{ "stack-corrupted", "Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: do_one_initcall+0x1/0x2" },
	{ "stack-corrupted", "Kernel panic - not syncing: corrupted stack end detected inside scheduler" },
	{ "stack-corrupted", "Kernel panic - not syncing: kernel stack overflow" },
	{ "stack-corrupted", "Thread overran stack, or stack corrupted" },
	{ "panic", "Kernel panic - not syncing: sysrq triggered crash" },
	{ "panic", "[    3.120000][   T12] Kernel panic - not syncing: Out of memory: compulsory panic_on_oom is enabled" },
	{ "oops", "Oops: general protection fault, probably for non-canonical address: 0000 [#1] SMP" },
	{ "oops", "Fixing recursive fault but reboot is needed!" },
	{ "kasan", "[    0.210000][   T12] BUG: KASAN: slab-use-after-free in f+0x1/0x2" },
	{ "kasan", "KASAN: null-ptr-deref in range [0x0000000000000000-0x0000000000000007]" },
	{ "kasan", "KASAN: probably user-memory-access in range [0x0000000000000008-0x000000000000000f]" },
	{ "kfence", "BUG: KFENCE: use-after-free read in anon_vma_clone+0x1/0x2" },
	{ "kmsan", "BUG: KMSAN: uninit-value in f" },
	{ "kcsan", "BUG: KCSAN: data-race in folio_lruvec_lock / lru_add" },
	{ "ubsan", "UBSAN: array-index-out-of-bounds in mm/x.c:1:2" },
	{ "ubsan", "UBSAN: shift-out-of-bounds in mm/x.c:1:2" },
	{ "slub", "BUG anon_vma_chain (Not tainted): Object already free" },
	{ "slub", "BUG kmalloc-64 (Tainted: G    B              ): Left Redzone overwritten" },
	{ "slub-counts", "SLUB: anon_vma 3 slabs counted but counter=4" },
	{ "slub-counts", "SLUB anon_vma: 3 partial slabs counted but counter=4" },
	{ "page-poison", "pagealloc: memory corruption" },
	{ "page-poison", "pagealloc: single bit error" },
	{ "mempool", "BUG: mempool element poison mismatch" },
	{ "usercopy", "usercopy: Kernel memory exposure attempt detected from SLUB object 'anon_vma' (offset 0, size 8)!" },
	{ "bad-page", "BUG: Bad page state in process x  pfn:01234" },
	{ "bad-page", "BUG: Bad page map in process mremap  pte:80000000 pmd:61234067" },
	{ "bad-page", "BUG: Bad page map: 12 messages suppressed" },
	{ "bad-page", "BUG: Bad page cache in process x  pfn:01234" },
	{ "rss-counter", "BUG: Bad rss-counter state mm:00 type:MM_ANONPAGES val:1 Comm:mremap Pid:44" },
	{ "pgtables-bytes", "BUG: non-zero pgtables_bytes on freeing mm: 4096" },
	{ "page-dumped", "page dumped because: nonzero mapcount" },
	{ "bad-pmd", "mm/memory.c:1234: bad pmd 000000006123a000(0000000061234060)." },
	{ "bad-pmd", "mm/pgtable-generic.c:54: bad pgd 000000006123a000(0000000061234060)." },
	{ "bad-pmd", "./arch/um/include/asm/x.h:54: bad p4d 000000006123a000(0000000061234060)." },
	{ "bad-pmd", "mm/pgtable-generic.c:40: bad pud 000000006123a000(0000000061234060)." },
	{ "debug-vm-pgtable", "debug_vm_pgtable: [debug_vm_pgtable         ]: Failed to allocate pmd entries" },
	{ "page-table-check", "BUG: failure at mm/page_table_check.c:118/page_table_check_set()!" },
	{ "bug", "kernel BUG at mm/page_table_check.c:67!" },
	{ "bad-swap", "get_swap_device: Bad swap file entry 3800000000000001" },
	{ "bad-swap", "get_swap_device: Bad swap offset entry 0000000000000fff" },
	{ "bad-swap", "Bad swap file entry 3800000000000001" },
	{ "swap-entry", "unrecognized swap entry 0x7c00000000000000" },
	{ "swap-io", "Write-error on swap-device (98:0:16)" },
	{ "swap-io", "Read-error on swap-device (98:0:16)" },
	{ "zswap", "zswap: Decompression error from zswap (0:3 lzo 812->0)" },
	{ "vmstat", "vmstat_refresh: nr_mlock -3" },
	{ "maple-tree", "BUG at mas_validate_gaps:6737 (1)" },
	{ "validate-mm", "tree range: 0000000060c0cf00 start 40000000 end 40000fff" },
	{ "validate-mm", "map_count 12 vma iterator 11" },
	{ "zsmalloc", "zsmalloc: Class-64 fullness group 3 is not empty" },
	{ "list", "list_add corruption. next->prev should be prev (0000000060c0cf00), but was 0000000061235d00. (next=0)." },
	{ "list", "list_del corruption, 0000000060c0cf00->next is LIST_POISON1 (dead000000000100)" },
	{ "list", "list_add double add: new=60c0cf00, prev=60c0cf00, next=61235d00." },
	{ "plist", "top: 0000000060c0cf00, n: 0000000061235d00, p: 0000000061235d00" },
	{ "refcount", "refcount_t: underflow; use-after-free." },
	{ "percpu-ref", "percpu_ref_switch_to_atomic_rcu: css_release(): percpu_ref underflow" },
	{ "debug-objects", "ODEBUG: free active (active state 0) object: 61235d00 object type: timer_list hint: f+0x0/0x10" },
	{ "debug-objects", "ODEBUG: object 61235d00 is on stack 61234000, but NOT annotated." },
	{ "debug-objects-off", "ODEBUG: Out of memory. ODEBUG disabled" },
	{ "debug-objects-off", "debug_objects: Out of memory. ODEBUG disabled" },
	{ "dentry", "BUG: Dentry 61235d00{i=12,n=x} still in use (1) [unmount of tmpfs tmpfs]" },
	{ "busy-inodes", "VFS: Busy inodes after unmount of tmpfs (tmpfs)" },
	{ "kobject", "kobject: kobject (61235d00): tried to init an initialized object, something is seriously wrong." },
	{ "kobject", "kobject: kobject_add_internal failed for x with -EEXIST, don't try to register things with the same name in the "
	  "same directory." },
	{ "um", "corrupt mm_context - pid = 1" },
	{ "um", "Attempted to relay unknown signal 7 (si_code = 2) with errno 0" },
	{ "slab-create", "kmem_cache_create(anon_vma) integrity check failed" },
	{ "zone-bounds", "page 0x12345 outside node 0 zone Normal [ 0x0 - 0xa000 ]" },
	{ "swap-entry", "swap:4095 != (max:4097 - 1)" },
	{ "memcg-stat", "memory_stat_format: Warning, stat buffer overflow, please report" },
	{ "stackdepot-off", "stackdepot: hash table allocation failed, disabling" },
	{ "sched-domains", "BUG: arch topology borken" },
	{ "sched-domains", "ERROR: domain->span does not contain CPU1" },
	{ "rcu-callback", "rcu: __call_rcu_common(): Double-freed CB 0000000060c0cf00->anon_vma_clone+0x0/0x20()!!!  " },
	{ "rcu-selftest", "call_rcu_tasks() has failed boot-time tests." },
	{ "flush-system-wq", "WARNING: Flushing system-wide workqueues will be prohibited in near future." },
	{ "prove-locking", "WARNING: possible circular locking dependency detected" },
	{ "prove-locking", "WARNING: possible irq lock inversion dependency detected" },
	{ "prove-locking", "WARNING: possible recursive locking detected" },
	{ "prove-locking", "WARNING: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected" },
	{ "prove-locking", "WARNING: inconsistent lock state" },
	{ "prove-locking", "WARNING: chain_key collision" },
	{ "prove-locking", "[ BUG: Invalid wait context ]" },
	{ "prove-locking", "[    0.210000][    C0] [ BUG: Invalid wait context ]" },
	{ "prove-locking", "lockdep:print_shortest_lock_dependencies bad path found in chain graph" },
	{ "lockdep", "WARNING: bad unlock balance detected!" },
	{ "lockdep", "WARNING: bad contention detected!" },
	{ "lockdep", "WARNING: Nested lock was not taken" },
	{ "lockdep", "WARNING: held lock freed!" },
	{ "lockdep", "WARNING: lock held when returning to user space!" },
	{ "lockdep", "WARNING: suspicious RCU usage" },
	{ "lockdep", "WARNING: mremap/12 still has locks held!" },
	{ "lockdep", "DEBUG_LOCKS_WARN_ON(lock->magic != lock)" },
	{ "lockdep-keys", "INFO: trying to register non-static key." },
	{ "lockdep-keys", "BUG: looking up invalid subclass: 9" },
	{ "lockdep-keys", "BUG: key 0000000060c0cf00 has not been registered!" },
	{ "spinlock", "BUG: spinlock bad magic on CPU#0, mremap/12" },
	{ "spinlock", "BUG: rwlock wrong CPU on CPU#0, mremap/12, 60c0cf00" },
	{ "lockdep-off", "BUG: MAX_LOCKDEP_ENTRIES too low!" },
	{ "lockdep-off", "BUG: MAX_STACK_TRACE_ENTRIES too low!" },
	{ "lockdep-off", "INFO: lockdep is turned off." },
	{ "lockdep-off", "Disabling lock debugging due to kernel taint" },
	{ "atomic", "BUG: scheduling while atomic: mremap/12/0x00000002" },
	{ "atomic", "BUG: sleeping function called from invalid context at mm/x.c:1" },
	{ "atomic", "bad: scheduling from the idle thread!" },
	{ "preemptible", "BUG: using smp_processor_id() in preemptible [00000000] code: mremap/12" },
	{ "context-leaked", "BUG: workqueue leaked atomic, lock or RCU: kworker/0:1[12]" },
	{ "context-leaked", "softirq: huh, entered softirq 9 RCU 60c0cf00 with preempt_count 00000100, exited with 00000101?" },
	{ "soft-lockup", "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [mremap:12]" },
	{ "hard-lockup", "watchdog: CPU0: Watchdog detected hard LOCKUP on cpu 1" },
	{ "workqueue-lockup", "BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 31s!" },
	{ "hung-task", "INFO: task x:12 blocked for more than 120 seconds." },
	{ "hung-task", "INFO: task x y:12 blocked in I/O wait for more than 120 seconds." },
	{ "rcu-stall", "rcu: INFO: rcu_preempt self-detected stall on CPU" },
	{ "rcu-stall", "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:" },
	{ "rcu-stall", "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: {" },
	{ "rcu-stall", "INFO: rcu_tasks detected stalls on tasks:" },
	{ "rcu-stall", "rcu: rcu_preempt kthread starved for 2100 jiffies! g1 f0x2 RCU_GP_WAIT_FQS(5) ->state=0x402 ->cpu=0" },
	{ "need-resched", "sched: CPU 0 need_resched set for > 100000000 ns (11 ticks) without schedule" },
	{ "kmemleak", "kmemleak: 2 new suspected memory leaks (see /sys/kernel/debug/kmemleak)" },
	{ "kmemleak-off", "kmemleak: Kernel memory leak detector disabled" },
	{ "kmemleak-off", "kmemleak: Cannot insert 0x60c0cf00 into the object search tree (overlaps existing)" },
	{ "kmemleak-off", "kmemleak: Memory pool empty, consider increasing CONFIG_DEBUG_KMEMLEAK_MEM_POOL_SIZE" },
	{ "kmemleak-off", "kmemleak: Cannot allocate a kmemleak_object structure" },
	{ "kmemleak-misuse", "kmemleak: Not scanning unknown object at 0x60c0cf00" },
	{ "bug", "kernel BUG at mm/rmap.c:1234!" },
	{ "bug", "BUG: failure at mm/rmap.c:1234/f()!" },
	{ "warn", "WARNING: arch/um/kernel/irq.c:317 at 0x60047a7e, CPU#0: init/1" },
	{ "warn", "WARNING: mm/rmap.c:17 at folio_add_anon_rmap+0x1/0x20, CPU#1: mremap/12" },
	{ "warn", "WARNING: at folio_add_anon_rmap+0x1/0x20, CPU#1: mremap/12" },
	{ "warn", "WARNING: CPU: 0 PID: 12 at mm/rmap.c:17 folio_add_anon_rmap+0x1/0x20" },
	{ "host-memory", "UML ran out of memory on the host side! This can happen due to a memory limitation or vm.max_map_count" },
	{ "host-memory", "Bus error - the host /dev/shm or /tmp mount likely just ran out of space" },

	/* What a patch prints, and what is no complaint. */
	{ NULL, "WARNING: my patch is not sure of this" },
	{ NULL, "WARNING: possible trouble with huge pages" },
	{ NULL, "BUG: my patch should not get here" },
	{ NULL, "BUG: mm/rmap.c is odd" },
	{ NULL, "BUGS are (Not there)" },
	{ NULL, "INFO: task came home" },
	{ NULL, "INFO: lockdep has nothing to say" },
	{ NULL, "refcounts: well" },
	{ NULL, "mm/rmap.c:12: bad luck" },
	{ NULL, "page dumped because: VM_BUG_ON_FOLIO(folio_test_tail(folio))" },
	{ NULL, "page dumped because: migration failure" },
	{ NULL, "ODEBUG: selftest passed" },
	{ NULL, "debug_vm_pgtable: [debug_vm_pgtable         ]: Validating architecture page table helpers" },
	{ NULL, "kmemleak: Kernel memory leak detector initialized (mem pool available: 15000)" },
	{ NULL, "kmemleak: Automatic memory scanning thread ended" },
	{ NULL, "rcu: \tHierarchical RCU autobalancing is disabled." },
	{ NULL, "Linux version 7.2.12-mmuml" },
	{ NULL, "a test says: BUG: KASAN: not at the start of the line" },
	{ NULL, "[" },
	{ NULL, "" },
};

static void test_rows(void)
{
	bool seen[256] = { false };

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct line l;

		detect_line(lines[i].line, &l);
		if (!lines[i].row) {
			check(l.kind == LINE_PLAIN && !l.by, l.by ? l.by->name : "no plain line", lines[i].line);
			continue;
		}
		check(l.kind == LINE_REPORT && l.by && !strcmp(l.by->name, lines[i].row), l.by ? l.by->name : "no report", lines[i].line);
		if (l.by)
			seen[l.by - detectors] = true;
	}
	for (int i = 0; i < n_detectors; i++)
		check(seen[i], "a row without a line here", detectors[i].name);
}

/* What the rest of the runner relies on. */
static void test_table(void)
{
	for (int i = 0; i < n_detectors; i++) {
		const struct detector *d = &detectors[i];

		for (int j = 0; j < i; j++)
			check(strcmp(d->name, detectors[j].name), "two rows of one name", d->name);
		check(!strpbrk(d->name, " \t"), "a blank in a name that is asked", d->name);
		check(!d->armed_file || d->armed_key, "a file without a key", d->name);
		check(!d->armed_key || d->option, "a question that no option arms", d->name);
		check(!d->armed_key || d->armed_least > 0, "an answer that cannot be too small", d->name);
	}
}

static void words(const char *line, enum line_kind kind, const char *what)
{
	struct line l;

	detect_line(line, &l);
	check(l.kind == kind, "kind", line);
	check(!strcmp(l.what, what), "words", line);
}

static void test_words(void)
{
	char huge[1024];
	struct line l;

	words("mmuml: begin a.b.c", LINE_BEGIN, "a.b.c");
	words("mmuml: end a.b.c", LINE_END, "a.b.c");
	words("[    0.210000] mmuml: begin a.b.c", LINE_BEGIN, "a.b.c");
	words("mmuml: init: mount /proc: no", LINE_INIT, "mount /proc: no");
	words("reboot: Power down", LINE_POWER_DOWN, "reboot: Power down");
	words("reboot: System halted", LINE_POWER_DOWN, "reboot: System halted");
	words("Kernel panic - not syncing: sysrq triggered crash", LINE_REPORT, "sysrq triggered crash");
	words("[    0.210000][   T12] BUG: KASAN: slab-use-after-free in f+0x1/0x2", LINE_REPORT,
	      "BUG: KASAN: slab-use-after-free in f+0x1/0x2");
	words("kmemleak: 2 new suspected memory leaks (see /sys/kernel/debug/kmemleak)", LINE_REPORT, "2 new suspected memory leaks");
	words("Linux version 7.2.12-mmuml", LINE_PLAIN, "");
	/* Longer than its field: cut, not overrun. */
	memset(huge, 'x', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	memcpy(huge, "UBSAN: ", 7);
	detect_line(huge, &l);
	check(l.kind == LINE_REPORT && strlen(l.what) == sizeof(l.what) - 1, "length", "UBSAN: xxx");
}

int main(void)
{
	test_rows();
	test_table();
	test_words();
	return unit_end();
}
