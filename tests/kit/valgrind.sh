# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Cases of make memcheck and make profile: silence where nothing is wrong, the right line where a bug was seeded, the same
# counts each time, and what goes wrong on the way. Sourced by check.sh.

BUGS=default,tests/memcheck/bugs
VGTREE=build/trees/default
QUIET='rmap.anon_vma.*,rmap.reclaim.*,errors.fork.*,mremap.race.moves-dontneed_anon'
ONE=mremap.move.arrives-page

# vg_run TOOL ARGS: the runner, as make memcheck and make profile start it; out/ is $CHECK/run/out.
vg_run()
{
	tool=$1
	shift
	(cd "$CHECK/run" && exec "$TOP/build/${HOST:-host-asan}/mmuml-run" --kernel "$TOP/$VGTREE/build-valgrind/vmlinux" \
		--guest "$TOP/$GUEST" --tree "$TOP/$VGTREE" --mem 320 --scale 20 --tool "$tool" "$@")
}

# Leaks are looked for, too: a report outside the tests is none that can be passed over.
memcheck_is_silent()
{
	expect 0 vg_run memcheck --tests "$QUIET"
	says "mmuml: PASS "
	same "$(stat -c %s "$CHECK/run/out/latest/memcheck.txt")" 0 "size of memcheck.txt"
	nothing_left
}

# bug_line NAME: FILE:LINE that the seeded bug is at, from its mark.
bug_line()
{
	tree=build/trees/$(S=$BUGS scripts/tree.sh --name)
	(cd "$tree" && grep -n "/\* $1 \*/" mm/seeded_bugs.c mm/rmap.c mm/vma_init.c | cut -d: -f1,2 | head -n 1)
}

# bugs_of COLUMN: the bugs that the table in README.md says it finds.
bugs_of()
{
	awk -F'|' -v want="$1" '
		/^\| bug \|/ { for (i = 3; i < NF; i++) if ($i ~ "^ " want " $") column = i }
		/^\| `[a-z_]+`: / && $column ~ /x/ { split($2, word, "`"); print word[2] }' README.md | sort
}

# found_by WORD: those that the last run charged to it, each at its line.
found_by()
{
	jq -r --arg w "$1: " '.tests[] | select(.reason // "" | startswith($w)) | "\(.name) \(.reason)"' out/latest/results.json |
		while read -r name reason; do
			at=$(bug_line "${name##*.}")
			case $reason in
			*": $at"*) echo "${name##*.}" ;;
			*) echo "$name is at $at: $reason" ;;
			esac
		done | sort
}

# found_in FILE: those that the last run charged to a check in FILE, each with its line in its trace; "bad pmd" has none.
found_in()
{
	jq -r --arg f "$1" '.tests[] | select(.reason // "" | contains($f + ":")) | .name' out/latest/results.json |
		while read -r name; do
			at=$(bug_line "${name##*.}")
			if [ "$1" = mm/pgtable-generic.c ] ||
			   jq -r --arg n "$name" '.tests[] | select(.name == $n) | .trace' out/latest/results.json | grep -qF "($at)"; then
				echo "${name##*.}"
			else
				echo "${name##*.} is not at $at"
			fi
		done | sort
}

# Each bug: charged to its test, at its line. What is leaked is known at the end only, by where it was allocated.
memcheck_finds_bugs()
{
	expect 2 make memcheck S=$BUGS T='kit.bugs.*'
	says "Error 8"
	txt=out/latest/memcheck.txt
	grep -A10 '^(outside the tests): memcheck: Leak_DefinitelyLost' $txt | in_file "($(bug_line avc_leak))" /dev/stdin
	same "$( (found_by memcheck; echo avc_leak) | sort)" "$(bugs_of memcheck)" "bugs found by memcheck"
	# One report a bug, and nothing else.
	same "$(grep -c '^[^ ].*: memcheck: ' $txt)" "$(bugs_of memcheck | wc -l)" "reports"
	# Where the memory came from and went.
	in_file "block of size" $txt
	in_file "Uninitialised value was created by a heap allocation" $txt
	in_file "alloc'd" $txt
	in_file "free'd" $txt
}

# The kernel's own detectors. kmemleak speaks when the tests are over, if the kernel lives to see it.
debug_finds_bugs()
{
	expect 2 make run PROFILE=debug S=$BUGS T='kit.bugs.*'
	says "Error 8"
	for word in KASAN UBSAN lockdep; do
		same "$(found_by $word)" "$(bugs_of $word)" "bugs found by $word"
	done
	# These name themselves; who called them is in the trace.
	same "$(found_in mm/page_table_check.c)" "$(bugs_of page_table_check)" "bugs found by page_table_check"
	same "$(found_in lib/debugobjects.c)" "$(bugs_of DEBUG_OBJECTS)" "bugs found by DEBUG_OBJECTS"
	same "$(found_in mm/pgtable-generic.c)" "$(bugs_of "bad pmd")" "bugs found as bad entries of page tables"
	expect 2 make run PROFILE=debug S=$BUGS T=kit.bugs.avc_leak
	says "(kit.bugs.avc_leak: kmemleak: 1 new suspected memory leaks: mm/rmap.c:" "($(bug_line avc_leak))" "Error 8"
	same avc_leak "$(bugs_of kmemleak)" "bugs found by kmemleak"
}

# What a kernel was reported for is kept when it crashes after that.
memcheck_keeps_reports()
{
	expect 8 vg_run memcheck --tests kit.crash.use_after_free,kit.crash.panic
	says "kit.crash.use_after_free (memcheck: InvalidRead: drivers/misc/lkdtm/heap.c:"
	says "kit.crash.panic (panic: sysrq triggered crash"
	in_file "kit.crash.use_after_free: memcheck: InvalidRead" "$CHECK/run/out/latest/memcheck.txt"
	nothing_left
}

# ir FILE: the counts of the one test of a run, sorted.
ir()
{
	jq -r '.tests[0].counters | to_entries[] | select(.key | test("^(ir|incl|calls):")) | "\(.key) \(.value)"' "$1" | sort
}

profile_is_exact()
{
	for i in 1 2 3; do
		expect 0 vg_run cachegrind --tests $ONE
		ir "$CHECK/run/out/latest/results.json" > "$CHECK/ir.$i"
	done
	[ "$(wc -l < "$CHECK/ir.1")" -gt 500 ]
	in_file "calls:sys_mremap 1" "$CHECK/ir.1"
	in_file "ir:move_page_tables " "$CHECK/ir.1"
	diff "$CHECK/ir.1" "$CHECK/ir.2"
	diff "$CHECK/ir.1" "$CHECK/ir.3"
	F=move_page_tables expect 0 vg_run cachegrind --tests $ONE
	says "move_page_tables (mm/mremap.c)" "return pte_is_zero(pte);"
}

# count FN FILE: what FILE says that FN costs with what it calls.
count()
{
	sed -n "s/^incl:$1 //p" "$2"
}

# A function costs more with what it calls than by itself, and what calls it more than that.
profile_adds_up()
{
	expect 0 vg_run cachegrind --tests $ONE
	ir "$CHECK/run/out/latest/results.json" > "$CHECK/ir.1"
	in_file "callgrind" "$CHECK/run/out/latest/callgrind.out.$ONE"
	[ "$(count sys_mremap "$CHECK/ir.1")" -gt "$(count move_page_tables "$CHECK/ir.1")" ]
	[ "$(count move_page_tables "$CHECK/ir.1")" -gt "$(sed -n 's/^ir:move_page_tables //p' "$CHECK/ir.1")" ]
	# Moved alone, the page costs one call of each on the way.
	in_file "calls:move_page_tables 1" "$CHECK/ir.1"
	in_file "calls:copy_vma 1" "$CHECK/ir.1"
}

# A family of sizes gives curves, one size none.
profile_plots()
{
	latest=$CHECK/run/out/latest
	F=sys_mremap expect 0 vg_run cachegrind --tests mremap.cost.move-anon_1,mremap.cost.move-anon_16,$ONE
	says "PLOT    out/runs/" "-run/sys_mremap.svg"
	in_file "sys_mremap with callees, in the whole test" "$latest/sys_mremap.svg"
	in_file "mremap.cost.move-anon_<" "$latest/sys_mremap.svg"
	in_file "sys_mremap with callees, a call" "$latest/sys_mremap.call.svg"
	jq -e '[.tests[].counters["incl:sys_mremap"]] | .[1] > .[0] and .[0] > 0' "$latest/results.json"
	F=sys_mremap expect 0 vg_run cachegrind --tests $ONE
	says_not PLOT
}

# What a patch adds to a move, and to nothing beside it.
compare_instructions()
{
	fresh_change
	counting_patch "$CHANGE/0001-count.patch"
	cat > "$CHANGE/expect" <<-EOF
	profile valgrind
	tests $ONE
	incl:sys_mremap $ONE changed > base
	incl:sys_mremap $ONE changed <= base + 200
	ir:copy_vma $ONE changed == base
	incl:sys_munmap $ONE changed == base
	incl:anon_vma_clone $ONE changed == base
	EOF
	# In another profile none of these counters is there, and none was promised.
	expect 0 compare S="$CHANGE" PROFILE_ASKED=fast
	says "expect is about PROFILE=valgrind: not checked" "mmuml: PASS compare"
	says_not FAILS
	expect 0 compare_json S="$CHANGE"
	# Of a thousand counters those of the move, of the sums above it, and of nothing else.
	jq -e '[.counters[] | select(.difference != 0) | .counter | select(startswith("calls:") | not)] | length > 2 and length < 15' \
		"$CHECK/got"
}

# A valgrind that says it is of version $1.
fake_valgrind()
{
	printf '#!/bin/sh\necho valgrind-%s\n' "$1" > "$CHECK/fake-valgrind"
	chmod +x "$CHECK/fake-valgrind"
}

valgrind_bad_hosts()
{
	VALGRIND=/nonexistent expect 3 vg_run memcheck --tests $ONE
	says "no valgrind" "make deps"
	fake_valgrind 3.15.0
	VALGRIND=$CHECK/fake-valgrind expect 3 vg_run memcheck --tests $ONE
	says "valgrind 3.15 is too old"
	expect 3 run_guest --tool memcheck --tests $ONE
	says "cannot run under valgrind" "CONFIG_UML_VALGRIND"
	expect 2 vg_run memcheck --tests $ONE --append slab_debug=FZPU
	says "slab_debug"
	# Not the runner with AddressSanitizer, which itself needs more.
	# shellcheck disable=SC3045 # dash and bash have it
	(ulimit -v 350000; HOST=host; expect 3 vg_run memcheck --tests $ONE)
	says "valgrind cannot run a kernel on this host"
}

# The kernel of the profile without valgrind is a kernel as any other.
valgrind_kernel_alone()
{
	expect 0 run_guest --kernel "$TOP/$VGTREE/build-valgrind/vmlinux" --tests $ONE
	says "mmuml: PASS 1 of 1"
}

valgrind_cases()
{
	t -may ptrace valgrind.memcheck_is_silent memcheck_is_silent
	t -may ptrace -x out -x bugs valgrind.memcheck_finds_bugs memcheck_finds_bugs
	t -may ptrace -x out -x bugs valgrind.debug_finds_bugs debug_finds_bugs
	t -may ptrace valgrind.memcheck_keeps_reports memcheck_keeps_reports
	t -may ptrace -alone valgrind.profile_is_exact profile_is_exact
	t -may ptrace valgrind.profile_adds_up profile_adds_up
	t -may ptrace valgrind.profile_plots profile_plots
	t -may ptrace -x change -x out valgrind.compare_instructions compare_instructions
	t -may ptrace valgrind.bad_hosts valgrind_bad_hosts
	t -may ptrace valgrind.kernel_alone valgrind_kernel_alone
}
