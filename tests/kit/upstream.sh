# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Cases about the kernel's own tests (tests/upstream). Sourced by check.sh.

# upstream_with KNOWN CODE: three of them with this list of what is known; one fails, one is skipped, one passes.
upstream_with()
{
	if [ ! -d "$CHECK/guest" ]; then
		expect 0 make guest T='mm.*'
		cp -al "$GUEST/upstream" "$CHECK/guest"
	fi
	rm -f "$CHECK/guest/KNOWN"
	printf '%b' "$1" > "$CHECK/guest/KNOWN"
	(cd "$CHECK/run" && expect "$2" "$TOP/build/host-asan/mmuml-run" --kernel "$TOP/$OUT/vmlinux" --guest "$CHECK/guest" \
		--profile fast --tests mm.map_populate,mm.hugetlb-mmap,mm.mlock2-tests)
}

results_are_held_against_what_is_known()
{
	why='no sockets here'
	upstream_with '' 1
	same "$(status mm.map_populate) $(status mm.hugetlb-mmap) $(status mm.mlock2-tests)" "FAIL FAIL PASS" "nothing is known"
	reason mm.map_populate > "$CHECK/reason"
	in_file "socketpair():Function not implemented" "$CHECK/reason"
	reason mm.hugetlb-mmap > "$CHECK/reason"
	in_file "skipped, and tests/upstream/KNOWN has no such skip: Could not detect default hugetlb page size" "$CHECK/reason"
	same "$(jq '[.tests[] | select(.name | startswith("mm.mlock2-tests.")) | select(.status == "PASS")] | length' \
		"$CHECK/run/out/latest/results.json")" "$(grep -c '^ok' "$CHECK/run/out/latest/results.ktap" | awk '{ print $1 - 1 }')" "cases of mlock2-tests"
	rows="# a comment\nmm.map_populate\tfail\t*\tfast\t$why\nmm.huge*\tskip\t*\t*\tno huge pages\n"
	upstream_with "$rows" 0
	says ", 1 known to fail, 1 skipped" "KNOWN   mm.map_populate ($why)"
	grep -qx "not ok [0-9]* mm.map_populate # TODO $why" "$CHECK/run/out/latest/results.ktap"
	same "$(jq .summary.known "$CHECK/run/out/latest/results.json")" 1 "known ones"
	# Of another profile, another kernel: not known here.
	upstream_with "$(printf %s "$rows" | sed 's/fast/debug/')" 1
	upstream_with "$(printf %s "$rows" | sed 's/fail.t\*/fail\\t1.2/')" 1
	same "$(status mm.map_populate)" FAIL "known on another kernel"
	# One that passes says what was thought of it.
	upstream_with "${rows}mm.mlock2-tests*\tfail\t*\t*\tit is slow\n" 0
	says "PASS    mm.mlock2-tests (known to fail: it is slow)"
	upstream_with "${rows}mm.odd fail\n" 2
	says "malformed line in the list of what is known to fail" "KNOWN:4: mm.odd fail"
}

# All of them, on the kernel that everybody gets.
own_tests_are_as_known()
{
	expect 0 make selftests PROFILE="$1" NOTE="$CHECK/note"
	says_not "(known to fail"
	run=$(cat "$CHECK/note")
	same "$(jq '[.tests[] | select(.status == "PASS")] | length > 400' "$run/results.json")" true "more than 400 pass"
	tail -n 1 "$CHECK/got"
}

own_tests_fast()
{
	own_tests_are_as_known fast
}

own_tests_debug()
{
	own_tests_are_as_known debug
}

upstream_cases()
{
	t upstream.known results_are_held_against_what_is_known
	t -x out upstream.fast own_tests_fast
	t -x out -full upstream.debug own_tests_debug
}
