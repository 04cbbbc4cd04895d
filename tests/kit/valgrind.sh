# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Cases of make memcheck and make profile: silence where nothing is wrong, the right line where a bug was seeded, the same
# counts each time, and what goes wrong on the way. Sourced by check.sh.

BUGS=default,tests/memcheck/bugs

# vg_run TOOL ARGS: the runner, as make memcheck and make profile start it; out/ is $CHECK/run/out.
vg_run()
{
	tool=$1
	shift
	(cd "$CHECK/run" && exec "$TOP/build/host-asan/mmuml-run" --kernel "$TOP/build/trees/default/build-valgrind/vmlinux" \
		--guest "$TOP/$GUEST" --tree "$TOP/build/trees/default" --scale 20 --valgrind "$tool" "$@")
}

memcheck_is_silent()
{
	expect 0 vg_run memcheck --tests mremap.move.arrives-page
	says "mmuml: PASS 1 of 1"
	same "$(grep -c '<error>' "$CHECK/run/out/latest/memcheck.1.xml")" 0 "reports"
	same "$(stat -c %s "$CHECK/run/out/latest/memcheck.txt")" 0 "size of memcheck.txt"
	nothing_left
}

# bug_line NAME: FILE:LINE that the seeded bug is at, from its mark.
bug_line()
{
	tree=build/trees/$(S=$BUGS scripts/tree.sh --name)
	(cd "$tree" && grep -n "/\* $1 \*/" mm/seeded_bugs.c mm/rmap.c mm/vma_init.c | cut -d: -f1,2 | head -n 1)
}

# Each bug: charged to its test, at its line; nothing else is reported.
memcheck_finds_bugs()
{
	expect 2 make memcheck S=$BUGS T='kit.bugs.*'
	says "Error 8"
	for name in $(jq -r '.tests[].name' out/latest/results.json); do
		bug=${name##*.}
		at=$(bug_line "$bug")
		got=$(jq -r --arg n "$name" '.tests[] | select(.name == $n) | "\(.status) \(.reason)"' out/latest/results.json)
		case $got in
		"CRASH memcheck: "*": $at"*) ;;
		*) echo "$name at $at: $got"; return 1 ;;
		esac
	done
	# Where the memory came from and went.
	in_file "block of size" out/latest/memcheck.txt
	in_file "alloc'd" out/latest/memcheck.txt
}

# ir FILE: the counts of the one test of a run, sorted.
ir()
{
	jq -r '.tests[0].counters | to_entries[] | select(.key | startswith("ir:")) | "\(.key) \(.value)"' "$1" | sort
}

profile_is_exact()
{
	for i in 1 2 3; do
		expect 0 vg_run cachegrind --tests mremap.move.arrives-page
		ir "$CHECK/run/out/latest/results.json" | grep -v '^ir:total ' > "$CHECK/ir.$i"
	done
	[ "$(wc -l < "$CHECK/ir.1")" -gt 50 ]
	in_file "ir:move_page_tables " "$CHECK/ir.1"
	cmp "$CHECK/ir.1" "$CHECK/ir.2"
	cmp "$CHECK/ir.1" "$CHECK/ir.3"
	F=move_ptes expect 0 vg_run cachegrind --tests mremap.move.arrives-page
	says "move_ptes (mm/mremap.c)" "old_pte"
}

# A valgrind that says it is of version $1.
fake_valgrind()
{
	printf '#!/bin/sh\necho valgrind-%s\n' "$1" > "$CHECK/fake-valgrind"
	chmod +x "$CHECK/fake-valgrind"
}

valgrind_bad_hosts()
{
	VALGRIND=/nonexistent expect 3 vg_run memcheck --tests mremap.move.arrives-page
	says "no valgrind" "make deps"
	fake_valgrind 3.15.0
	VALGRIND=$CHECK/fake-valgrind expect 3 vg_run memcheck --tests mremap.move.arrives-page
	says "valgrind 3.15 is too old"
	expect 3 run_guest --valgrind memcheck --tests mremap.move.arrives-page
	says "cannot run under valgrind" "CONFIG_UML_VALGRIND"
	expect 2 vg_run memcheck --tests mremap.move.arrives-page --append slab_debug=FZPU
	says "slab_debug"
	# shellcheck disable=SC3045 # dash and bash have it
	(ulimit -v 3000000; expect 3 vg_run memcheck --tests mremap.move.arrives-page)
	says "valgrind cannot run a kernel on this host"
}

# The kernel of the profile without valgrind is a kernel as any other.
valgrind_kernel_alone()
{
	expect 0 run_guest --kernel "$TOP/build/trees/default/build-valgrind/vmlinux" --tests mremap.move.arrives-page
	says "mmuml: PASS 1 of 1"
}

valgrind_cases()
{
	t valgrind.memcheck_is_silent memcheck_is_silent
	t valgrind.memcheck_finds_bugs memcheck_finds_bugs
	t valgrind.profile_is_exact profile_is_exact
	t valgrind.bad_hosts valgrind_bad_hosts
	t valgrind.kernel_alone valgrind_kernel_alone
}
