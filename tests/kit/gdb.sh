# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2016 # $1 and $lx_current() are for gdb
# Cases of make gdb: guests in known states (tests/kit/guest/state.c), what the commands say of them, and what goes
# wrong on the way. Sourced by check.sh.
# Long, for the cases of one subject share their helpers, and are looked for in one place.

# first_of NAME...: the first that this kernel has; names change from version to version.
first_of()
{
	nm "$OUT/vmlinux" | cut -d' ' -f3 > "$CHECK/symbols"
	printf '%s\n' "$@" | grep -xFf "$CHECK/symbols" | head -n 1
}

# gdb_at STATUS TEST PLACE COMMAND...: make gdb with these commands; gdb must end with STATUS. The kernel's log is
# part of what is said, for value().
gdb_at()
{
	status=$1
	test=$2
	place=$3
	shift 3
	n=$#
	for cmd; do
		set -- "$@" "CMD=$cmd"
	done
	shift "$n"
	timeout 120 make gdb ${ON_KERNEL+KERNEL="$ON_KERNEL"} T="$test" B="$place" "$@" >"$CHECK/got" 2>&1 </dev/null || true
	says "mmuml: GDB status $status "
}

# value NAME: what the guest test said of its state, as a plain number.
value()
{
	hex=$(sed -n "s/.*mmuml: state $1 \(0x[0-9a-f]*\|0\)$/\1/p" "$CHECK/got" | head -n 1)
	[ -n "$hex" ] || { echo "the guest said no '$1'" >&2; cat "$CHECK/got" >&2; return 1; }
	echo $((hex))
}

hex()
{
	printf '0x%x' "$(value "$1")"
}

# lines REGEX: how many lines of the output match.
lines()
{
	grep -cE -- "$1" "$CHECK/got" || true
}

gdb_stops_in_the_test()
{
	gdb_at 0 mremap.move.arrives-page move_page_tables 'bt 5' 'mm-current'
	says "STOP    move_page_tables at mm/mremap.c:" "(mremap.move)" "copy_vma_and_data" "comm mremap.move"
	says_not "debuginfod" "auto-load" "SIGSEGV" "SIGALRM"
	# Called thousands of times by init and by the harness: none of them counts.
	gdb_at 0 rmap.anon_vma.first_write handle_mm_fault 'mm-current' 'p $lx_current().real_parent->real_parent->tgid'
	same "$(sed -n 's/^\$1 = //p' "$CHECK/got")" 1 "the process that waits for the test is a child of init, the test's own one's"
}

# The kernel's own tests: one on the harness, and one that is a program of its own.
gdb_stops_in_the_kernels_own()
{
	gdb_at 0 mm.merge.ksm_merge vma_merge_new_range 'mm-current' 'bt 3'
	says "STOP    vma_merge_new_range at " "comm mm.merge" "mmap_region"
	gdb_at 0 mm.cow wp_page_copy 'mm-current' 'bt 3'
	says "STOP    wp_page_copy at " "comm mm.cow" "handle_pte_fault"
}

# visit TEST PLACE...: one guest, a breakpoint at each of them; it must stop in each, in whichever order.
visit()
{
	test=$1
	shift
	places=$*
	set -- 'bt 1' clear
	for _ in ${places#* }; do
		[ "$places" = "${places#* }" ] || set -- "$@" continue 'bt 1' clear
	done
	gdb_at 0 "$test" "$(echo "$places" | tr ' ' ,)" "$@"
	for place in $places; do
		same "$(lines "^#0 +(0x[0-9a-f]+ in )?$place \\(")" 1 "stops in $place of $test"
	done
}

gdb_goes_to_every_place()
{
	sed 's/#.*//; /^$/d' scripts/gdb/places > "$CHECK/places"
	[ "$(wc -l < "$CHECK/places")" -ge 30 ]
	awk '{ print $2 }' "$CHECK/places" | sort -u > "$CHECK/tests"
	while read -r test; do
		# shellcheck disable=SC2046 # names of functions
		visit "$test" $(awk -v t="$test" '$2 == t { print $1 }' "$CHECK/places")
	done < "$CHECK/tests"
}

gdb_ends_with_a_real_status()
{
	gdb_at 1 mremap.move.arrives-page compact_zone 'bt 1'
	says "compact_zone was not reached" "ended without calling it"
	gdb_at 1 mremap.move.arrives-page move_page_tables 'bt 1' 'no-such-command' 'mm-current'
	says "no-such-command"
	says_not "pgd 0x"
	gdb_at 2 mremap.move.arrives-page move_page_tablez 'bt 1'
	says "no place 'move_page_tablez'" "B=move_page_tables"
	gdb_at 1 kit.crash.panic move_page_tables 'bt 1'
	says "move_page_tables was not reached" "because: panic"
	says_not "#0 "
	timeout 60 make gdb T=mremap.move.arrives-page B=move_page_tables >"$CHECK/got" 2>&1 </dev/null || true
	says "gdb has no terminal here" "CMD="
}

# A timer tick in the middle of a step is not a place to stop at.
gdb_steps_over_ticks()
{
	gdb_at 0 mremap.move.arrives-page move_page_tables 'python import time; time.sleep(0.3)' next next next next 'bt 6'
	says " move_page_tables (pmc="
	same "$(lines '^#[0-9]+ .*hard_handler')" 0 "frames of a signal handler"
}

gdb_knows_vmas_and_tasks()
{
	gdb_at 0 kit.state.forked sys_getsid mm-tasks mm-current mm-vmas 'lx-ps' 'p $lx_current().tgid' \
		'p $lx_per_cpu(runqueues).curr == &$lx_current()' 'p $lx_task_by_pid(1).tgid' 'lx-dmesg'
	pid=$(value pid)
	same "$(sed -n 's/^\$[1-3] = //p' "$CHECK/got" | tr '\n' ' ')" "$pid 1 1 " '$lx_current(), $lx_per_cpu(), $lx_task_by_pid()'
	says "task 0x" "pid $pid  tgid $pid  comm kit.state"
	# Every child, with its parent.
	for i in 0 1 2 3 4; do
		same "$(lines " +$(value child$i) +$pid [SRD] kit.state ")" 1 "child $i in mm-tasks"
	done
	same "$(lines "^\*0 +$pid ")" 1 "the running task is marked"
	same "$(lines '^  0x[0-9a-f]+-0x[0-9a-f]+ [r-]')" "$(value vmas)" "number of VMAs"
	same "$(lines "^  $(hex vma_start)-$(hex vma_end) rw-p/rwx- pgoff 0x50000 ")" 1 "the VMA under test"
	same "$(lines '0x51000000-0x51001000 rw-s.* memfd:')" 1 "the file's VMA"
	says_not "!!"
}

gdb_walks_the_reverse_map()
{
	gdb_at 0 kit.state.forked sys_getsid 'mm-rmap 0x50000000' 'mm-anon-vma 0x50000000' 'lx-dmesg'
	pfn=$(hex pfn)
	count=$(value count)
	says "pfn $pfn  anon " "index 0x50000  mapcount $count" "$count entries map it"
	same "$(lines "^  mapped +0x50000000 .* kit.state  pfn $pfn ")" "$count" "places that map the folio"
	same "$(lines "^  copied +0x50000000 .* $(value copy_pid) kit.state  pfn $(hex copy_pfn) ")" 1 "the copy"
	same "$(lines '^    avc 0x')" 6 "chains of the anon_vma"
	same "$(lines 'num_children 6  num_active_vmas 1 ')" 1 "counters of the anon_vma"
	says_not "!!"
	gdb_at 0 kit.state.forked sys_getsid 'mm-rmap 0x51000000' 'lx-dmesg'
	says "pfn $(hex file_pfn)  file " "memfd:" "mapcount $(value file_count)"
	same "$(lines '^  mapped +0x51000000 ')" "$(value file_count)" "places that map the file's folio"
	gdb_at 0 kit.state.ksm sys_getsid 'mm-rmap 0x52000000' 'lx-dmesg'
	says "pfn $(hex pfn)  ksm "
	same "$(lines "^  mapped +0x5200[01]000 .* pfn $(hex pfn) ")" "$(value count)" "places that map the merged page"
	says_not "!!"
}

gdb_walks_page_tables()
{
	gdb_at 0 kit.state.forked sys_getsid 'mm-pgwalk 0x50000000' 'mm-pgwalk 0x50001000' 'mm-pgwalk 0x50002000' \
		'mm-page 0x50000000' 'mm-folio 0x50000000' 'mm-pgwalk 0x50000000 $lx_current().tgid+2' 'lx-dmesg'
	says "pfn $(hex pfn)  PRESENT USER ACCESSED" "(pfn $(hex pfn))" \
	     "swap entry, device $(value swap_type) offset $(hex swap_offset)" "not mapped" "host: process"
	says "of task $(value copy_pid) (kit.state)" "pfn $(hex copy_pfn)  PRESENT RW"
	same "$(lines '^  (pgd|pud|pmd|pte) 0x')" $((4 * $(sed -n 's/^CONFIG_PGTABLE_LEVELS=//p' "$OUT/.config"))) "levels of four walks"
	# Bits of linux/kernel-page-flags.h against the names: uptodate 3, swapbacked 14.
	flags=$(value kpageflags)
	same "$(lines '  flags .* uptodate')" $(((flags >> 3 & 1) * 2)) uptodate
	same "$(lines '  flags .* swapbacked')" $(((flags >> 14 & 1) * 2)) swapbacked
	same "$(lines "  refcount  [0-9]+   mapcount $(value count)$")" 2 mapcount
	says_not "!!"
}

# The marks: a PTE, a mapcount and a chain are bent by hand, and each command sees it.
gdb_marks_disagreements()
{
	gdb_at 0 kit.state.forked sys_getsid \
		'python from mmkit import kernel as k, pgtable, page; import gdb' \
		'python mm = k.mm_of(k.current()); e = pgtable.lookup(mm, 0x50000000)' \
		'python gdb.execute("set *(long *)%d = %d" % (e.address, e.value + 0x1000))' 'mm-pgwalk 0x50000000' \
		'python gdb.execute("set *(long *)%d = %d" % (e.address, e.value))' \
		'python gdb.execute("set ((struct page *)%d)->_mapcount.counter = 8" % page.page_of(e.pfn))' 'mm-rmap 0x50000000' \
		'python gdb.execute("set ((struct page *)%d)->%s = 5" % (page.page_of(e.pfn), page.index_field()))' 'mm-rmap 0x50000000'
	says "!! the host maps pfn" "!! mapcount is 9, 5 page-table entries map it" "the reverse map does not look there"
}

# The kernel's own commands about pages and memory, of which UML has nothing but flat memory.
gdb_mends_lx_commands()
{
	pte='python from mmkit import kernel as k, pgtable; e = pgtable.lookup(k.mm_of(k.current()), 0x50000000); import gdb'
	gdb_at 0 kit.state.forked sys_getsid "$pte" 'python gdb.execute("lx-pfn_to_page %d" % e.pfn)' \
		'python gdb.execute("lx-page_to_pfn %#x" % (k.u64(k.symbol("mem_map")) + e.pfn * k.sizeof("page")))' \
		'python gdb.execute("lx-virt_to_phys %#x" % pgtable.virt(e.pfn * 4096))' lx-vmallocinfo lx-slabinfo lx-dmesg
	pfn=$(hex pfn)
	page=$(sed -n "s/^pfn_to_page($pfn) = \\(0x[0-9a-f]*\\)$/\\1/p" "$CHECK/got")
	says "page_to_pfn($page) = $pfn" "= ${pfn}000" "n_tty_open" " vmalloc"
	same "$(lines "^0x[0-9a-f]+ +. anon_vma +. $(value anon_vmas) ")" 1 "anon_vmas of lx-slabinfo"
	gdb_at 1 kit.state.forked sys_getsid 'lx-virt_to_phys 0x10'
	says "0x10 is no address of the linear mapping"
}

# The PID that mm-current said.
current_pid()
{
	sed -n 's/^task .*  pid \([0-9]*\)  .*/\1/p' "$CHECK/got"
}

gdb_knows_lists_and_locks()
{
	gdb_at 0 kit.state.cgroup sys_getsid mm-lru 'lx-dmesg'
	grep -A1 '^memcg /state ' "$CHECK/got" > "$CHECK/lru"
	in_file "inactive_anon $(value inactive_anon)  active_anon $(value active_anon) " "$CHECK/lru"
	gdb_at 0 kit.state.forked sys_getsid mm-zones 'lx-dmesg'
	says "spanned $(value spanned) " "managed $(value managed)" "low $(value low) "
	same "$(sed -n 's/^     10 *\([0-9]*\) .*/\1/p' "$CHECK/got")" "$(value order10)" "free blocks of order 10"
	says_not "!!"
	gdb_at 0 kit.state.locks rwsem_wake mm-locks 'lx-dmesg'
	# Who of the two waits is chance.
	same "$(lines "mmap_lock of $(value holder) kit.state .*waits for (read|write): ($(value waiter)|$(value holder)) kit.state")" \
		1 "the waiter"
	gdb_at 0 mremap.move.arrives-page move_page_tables mm-locks mm-current
	pid=$(current_pid)
	says "held for write by $pid mremap.move"
	gdb_at 0 mremap.file.shared-shmem_pmd "$(first_of vma_interval_tree_remove mapping_rmap_tree_remove)" mm-locks mm-current
	pid=$(current_pid)
	says "i_mmap_rwsem of memfd:mm: held for write by $pid mremap.file"
	# The first child that exits, while its parent still has the tree.
	gdb_at 0 kit.state.forked "$(first_of anon_vma_interval_tree_remove anon_rmap_tree_remove)" mm-locks mm-current 'up' 'p vma->anon_vma->root'
	pid=$(current_pid)
	root=$(sed -n 's/^\$1 = .*\(0x[0-9a-f]*\)$/\1/p' "$CHECK/got")
	says "anon_vma $root rwsem: held for write by $pid kit.state"
}

# What the commands read differs from version to version: the same on each other supported kernel.
gdb_reads_every_kernel()
{
	here=$(kit kernel_here)
	code=0
	for ON_KERNEL in $(kit kernels); do
		[ "$ON_KERNEL" != "$here" ] || continue
		OUT=build/trees/$(KERNEL=$ON_KERNEL scripts/tree.sh --name)/build-fast
		expect 0 make build KERNEL="$ON_KERNEL"
		for what in gdb_knows_vmas_and_tasks gdb_walks_the_reverse_map gdb_walks_page_tables gdb_knows_lists_and_locks gdb_marks_disagreements; do
			# Not as a condition: without set -e a case cannot fail.
			set +e
			(set -e; $what)
			ended=$?
			set -e
			[ $ended = 0 ] || { echo "$what on $ON_KERNEL"; code=1; }
		done
	done
	unset ON_KERNEL
	return $code
}

# Structures grow under lockdep and KASAN, and page owner has its own part of each page.
gdb_reads_a_debug_kernel()
{
	expect 0 make kernel PROFILE=debug
	PROFILE=debug gdb_at 0 kit.state.forked sys_getsid mm-vmas 'mm-rmap 0x50000000' 'mm-pgwalk 0x50000000' \
		'mm-anon-vma 0x50000000' lx-dmesg
	says "pfn $(hex pfn)  PRESENT USER ACCESSED"
	same "$(lines '^  0x[0-9a-f]+-0x[0-9a-f]+ [r-]')" "$(value vmas)" "number of VMAs"
	same "$(lines "^  mapped +0x50000000 .* kit.state  pfn $(hex pfn) ")" "$(value count)" "places that map the folio"
	same "$(lines '^    avc 0x')" 6 "chains of the anon_vma"
	says_not "!!"
}

gdb_finds_64_processes()
{
	gdb_at 0 kit.state.many sys_getsid 'mm-rmap 0x50000000' 'lx-dmesg'
	same "$(lines '^  mapped ')" "$(value count)" "places that map the folio"
	same "$(value count)" 64 "processes"
}

gdb_draws()
{
	gdb_at 0 kit.state.forked sys_getsid "mm-rmap-graph > $CHECK/rmap.svg" "mm-rmap-graph > $CHECK/rmap.dot" 'lx-dmesg'
	for i in 0 1 2 3 4; do
		in_file "$(value child$i) kit.state" "$CHECK/rmap.svg"
	done
	same "$(grep -c '^subgraph cluster' "$CHECK/rmap.dot")" 6 "processes in the picture"
	same "$(grep -c "^v.* -> f$(printf %x "$(value pfn)") " "$CHECK/rmap.dot")" "$(value count)" "lines to the shared folio"
	timeout 60 make rmap-graph T=rmap.anon_vma.growth-one_child >"$CHECK/got" 2>&1 </dev/null
	says "  GRAPH   " "rmap.svg"
}

gdb_sees_a_panicked_guest()
{
	gdb_at 0 kit.crash.panic '' mm-tasks mm-current mm-vmas mm-locks mm-lru mm-zones lx-dmesg
	says "panic at kernel/panic.c" "(kit.crash): panic" "managed" "rwsems looked at" "/tests/kit.crash"
	timeout 60 make run T=kit.crash.bug MEM=256 APPEND='quiet nosmp' >"$CHECK/got" 2>&1 </dev/null || true
	says "gdb:   make gdb T=kit.crash.bug MEM='256' APPEND='quiet nosmp'"
}

gdb_on_fail_stops_by_itself()
{
	timeout 60 make run T=kit.plain.fail GDB_ON_FAIL=1 CMD='bt 3' CMD=mm-current >"$CHECK/got" 2>&1 </dev/null || true
	says "the test failed (exit 1)" "comm kit.plain" "FAIL 1 of 1 (kit.plain.fail: stopped in gdb)"
	timeout 60 make run T=kit.plain.pass GDB_ON_FAIL=1 CMD='bt 3' >"$CHECK/got" 2>&1 </dev/null
	says "mmuml: PASS 1 of 1"
	says_not STOP
	timeout 100 make run T=kit.hang.forever GDB_ON_FAIL=1 SCALE=0.1 CMD=mm-tasks >"$CHECK/got" 2>&1 </dev/null || true
	says "the test has run for 2 s" " S kit.hang" "(kit.hang.forever: stopped in gdb)"
	timeout 60 make run T=kit.hang.forever SCALE=0.1 >"$CHECK/got" 2>&1 </dev/null || true
	says "gdb:   make gdb T=kit.hang.forever"
}

gdb_attaches()
{
	timeout 60 make gdb ATTACH=1 CMD='bt 1' >"$CHECK/got" 2>&1 </dev/null || true
	says "no guest is running"
	build/host/mmuml-run --kernel "$OUT/vmlinux" --guest "$GUEST" --tests kit.hang.forever --limit 20 >"$CHECK/hang" 2>&1 &
	runner=$!
	sleep 2
	timeout 60 make gdb ATTACH=1 CMD=mm-tasks CMD='lx-ps' >"$CHECK/got" 2>&1 </dev/null || true
	kill -TERM $runner
	wait $runner || true
	says "kit.hang" "STOP    attached"
}

gdb_interleaves()
{
	timeout 120 make interleave SCRIPT=migrate-exit >"$CHECK/got" 2>&1 </dev/null || true
	says "PASS    migrate-exit" "waits for write: " "mmuml: GDB status 0"
	timeout 120 make interleave SCRIPT=migrate-unlocked >"$CHECK/got" 2>&1 </dev/null || true
	says "vm_area_free at" "PASS    migrate-unlocked" "mmuml: GDB status 0"
	sed 's/first_waiter != 0/first_waiter == 0/' scripts/gdb/interleave/migrate-exit > "$CHECK/other"
	timeout 120 make interleave SCRIPT="$CHECK/other" >"$CHECK/got" 2>&1 </dev/null || true
	says "went another way" "other:11: not so:" "mmuml: GDB status 1"
	echo "dance" >> "$CHECK/other"
	sed -i '/^[ABde]/d' "$CHECK/other"
	echo "A jumps" >> "$CHECK/other"
	timeout 120 make interleave SCRIPT="$CHECK/other" >"$CHECK/got" 2>&1 </dev/null || true
	says "a line that is none"
	timeout 60 make interleave SCRIPT=nothing >"$CHECK/got" 2>&1 </dev/null || true
	says "no script" "ls scripts/gdb/interleave"
}

gdb_builds_objects_for_debugging()
{
	timeout 300 make gdb T=mremap.move.arrives-page B=move_page_tables OG=mm/mremap.o,mm/page_alloc.o CMD=up \
		CMD='p vrm->vma->vm_mm == $lx_current().mm' CMD='info locals' >"$CHECK/got" 2>&1 </dev/null || true
	says "OG      mm/mremap.o" "OG      mm/page_alloc.o not with -Og: " '$1 = 1' "vma = 0x" "need_rmap_locks = "
	grep -q -e -Og "$OUT/mm/.mremap.o.cmd"
	timeout 60 make gdb T=mremap.move.arrives-page OG=mm/nothing.o CMD='bt 1' >"$CHECK/got" 2>&1 </dev/null || true
	says "OG=mm/nothing.o names no object"
	make -s kernel >/dev/null
	! grep -q -e -Og "$OUT/mm/.mremap.o.cmd"
}

# needs CODE TEXT...: gdb.sh with a broken surrounding ends with that and says it in one error.
needs()
{
	code=$1
	shift
	expect "$code" env CMD='bt 1' scripts/gdb.sh "${KERNEL_DIR:-$OUT}" $$ true
	says "$@"
	same "$(lines '^mmuml: error:')" 1 "errors"
}

gdb_says_what_is_missing()
{
	GDB=/nonexistent/gdb needs 3 "no gdb" "make deps"
	printf '#!/bin/sh\necho "  --without-python"\n' > "$CHECK/gdb"
	chmod +x "$CHECK/gdb"
	GDB=$CHECK/gdb needs 3 "no Python"
	KERNEL_DIR=$CHECK/nowhere needs 2 "no kernel in" "make build"
	mkdir -p "$CHECK/stripped"
	strip -o "$CHECK/stripped/vmlinux" "$OUT/vmlinux"
	KERNEL_DIR=$CHECK/stripped needs 2 "has no debug information"
	rm -rf "$CHECK/stripped"
}

gdb_explains_every_command()
{
	gdb_at 0 kit.state.forked sys_getsid 'help mm-tasks' 'help mm-current' 'help mm-vmas' 'help mm-anon-vma' 'help mm-rmap' \
		'help mm-pgwalk' 'help mm-folio' 'help mm-page' 'help mm-locks' 'help mm-lru' 'help mm-zones' 'help mm-rmap-graph'
	for c in tasks current vmas anon-vma rmap pgwalk folio page locks lru zones rmap-graph; do
		same "$(lines "^mm-${c}[ :]")" 1 "help mm-$c"
	done
	gdb_at 1 kit.state.forked sys_getsid 'mm-pgwalk nonsense'
	says "'nonsense' is no address"
	gdb_at 1 kit.state.forked sys_getsid 'mm-vmas 9999'
	says "no task with PID 9999"
	gdb_at 1 kit.state.forked sys_getsid 'mm-rmap 0x12345678'
	says "not mapped there"
}

gdb_leaves_the_terminal_as_it_was()
{
	command -v script >/dev/null || { echo "no script(1): skipped"; return 0; }
	# Steps at a prompt end later than their command does; a tick waits for each.
	wait="python import time; time.sleep(0.2)"
	printf '%s\n' mm-current "$wait" next "$wait" next "$wait" next "$wait" next 'bt 3' quit | timeout 120 script -qec "stty -a > $CHECK/before; make gdb T=mremap.move.arrives-page \
		B=move_page_tables; stty -a > $CHECK/after" "$CHECK/terminal" >/dev/null
	# Without the colours, which are there or not as TERM has it.
	sed 's/\x1b\[[0-9;?]*[a-zA-Z]//g' "$CHECK/terminal" > "$CHECK/got"
	says "comm mremap.move" "move_page_tables (pmc="
	says_not Traceback
	same "$(lines 'hard_handler')" 0 "steps that ended in a signal handler"
	cmp "$CHECK/before" "$CHECK/after"
}

gdb_completes()
{
	bash -c '. scripts/completion.bash; COMP_WORDS=(make gdb B = move_p); COMP_CWORD=4; _mmuml; echo "${COMPREPLY[@]}"' \
		> "$CHECK/got" 2>/dev/null
	says move_page_tables
}

# What gdb's Python and the shell read from protocol.h is what the compiler reads.
protocol_is_read_alike()
{
	echo '#include "scripts/lib/protocol.h"' | gcc -E -dM -x c -I. - |
		sed -nE 's/^#define ((EX|MARK|SAY|PLAN|ARMED|LIST|UPSTREAM)_[A-Z_]+) (.*)/\1 \3/p' | tr -d '"' | sort > "$CHECK/by-c"
	gdb -nx -batch -ex 'python import sys; sys.path.insert(0, "scripts/gdb")' -ex 'python from mmkit import protocol' \
	    -ex 'python print("\n".join("%s %s" % v for v in vars(protocol).items() if "_" in v[0] and v[0].isupper()))' |
		sort > "$CHECK/by-gdb"
	[ -s "$CHECK/by-c" ] && cmp "$CHECK/by-c" "$CHECK/by-gdb"
	sh -euc '. scripts/lib/kit.sh; set' | tr -d "'" | sed -nE 's/^(EX_[A-Z_]+)=/\1 /p' | sort > "$CHECK/by-sh"
	grep '^EX_' "$CHECK/by-c" | cmp - "$CHECK/by-sh"
}

# Where gdb stops because the kernel complains: functions that a kernel has, and the runner's words for them.
gdb_stops_where_the_table_says()
{
	sed -n 's/^    ("\([a-z_]*\)", "\(.*\)"),$/\1 \2/p' scripts/gdb/mmkit/reports.py > "$CHECK/functions"
	same "$(grep -c . "$CHECK/functions")" "$(grep -c '^    (' scripts/gdb/mmkit/reports.py)" "functions that were read"
	build/host/mmuml-run --detectors | sed 1d | cut -c20-34 | sed 's/ *$//' | sort -u > "$CHECK/classes"
	make kernel PROFILE=debug
	nm "$OUT/vmlinux" "${OUT%/*}/build-debug/vmlinux" | sed 's/.* //; s/\..*//' | sort -u > "$CHECK/symbols"
	while read -r function class; do
		grep -qxF "$class" "$CHECK/classes" || { echo "gdb calls $function '$class': no such class of detectors"; return 1; }
		grep -qxF "$function" "$CHECK/symbols" || { echo "gdb would stop in $function(): no kernel has it"; return 1; }
	done < "$CHECK/functions"
}

gdb_cases()
{
	t -host gdb.protocol protocol_is_read_alike
	t -may ptrace gdb.reports gdb_stops_where_the_table_says
	t -may ptrace -x out gdb.stops gdb_stops_in_the_test
	t -may ptrace -x out gdb.upstream gdb_stops_in_the_kernels_own
	t -may ptrace -x out gdb.status gdb_ends_with_a_real_status
	t -may ptrace -x out gdb.steps gdb_steps_over_ticks
	t -may ptrace -x out gdb.vmas gdb_knows_vmas_and_tasks
	t -may ptrace -x out gdb.rmap gdb_walks_the_reverse_map
	t -may ptrace -x out gdb.pgwalk gdb_walks_page_tables
	t -may ptrace -x out gdb.marks gdb_marks_disagreements
	t -may ptrace -x out gdb.lx gdb_mends_lx_commands
	t -may ptrace -x out gdb.lists gdb_knows_lists_and_locks
	t -may ptrace -x out -x tree gdb.debug gdb_reads_a_debug_kernel
	t -may ptrace -x out gdb.many gdb_finds_64_processes
	t -may ptrace -x out gdb.graph gdb_draws
	t -may ptrace -x out gdb.panicked gdb_sees_a_panicked_guest
	t -may ptrace -x out gdb.on_fail gdb_on_fail_stops_by_itself
	t -may ptrace -x out gdb.attach gdb_attaches
	t -may ptrace -x out gdb.interleave gdb_interleaves
	t -may ptrace -x out -x tree gdb.og gdb_builds_objects_for_debugging
	t gdb.missing gdb_says_what_is_missing
	t -may ptrace -x out gdb.help gdb_explains_every_command
	t -may ptrace -x out gdb.terminal gdb_leaves_the_terminal_as_it_was
	t gdb.completion gdb_completes
	t -may ptrace -x out -full gdb.places gdb_goes_to_every_place
	t -may ptrace -x out -full gdb.kernels gdb_reads_every_kernel
}
