# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Cases about make check itself: a small one of its own, of cases that pass, fail, vanish and hang. Sourced by check.sh.

# small_check REGISTRATION...: $CHECK/small/tests/kit/check.sh, which has the real one's cases.sh and cases of its own.
small_check()
{
	# shellcheck disable=SC2153 # of lib.sh
	mkdir -p "$CHECK/small/tests/kit"
	cd "$CHECK/small" || return
	cp "$TOP/tests/kit/cases.sh" tests/kit/
	cat > tests/kit/check.sh <<-'END'
	#!/bin/sh
	set -eu
		unset ONLY CHECK_FULL; TOP=$PWD CHECK_TOP=$PWD/top CASE='' FUNCTION='' FULL=${FULL-} VERBOSE='' AT_ONCE=2
	[ "${1-}" != --case ] || CASE=$2
	. tests/kit/cases.sh
	host_lacks() { [ "$1" = air ] || echo "no $1 here"; }
	passes() { echo nothing; }
	fails() { echo "what it said"; false; echo no; }
	vanishes() { kill -KILL $(ps -o sid= $$); }
	# Fails if another that has the same for itself is in here.
	has_it() { mkdir top/held; sleep 0.5; rmdir top/held; }
	reads_it() { [ ! -e top/held ]; sleep 0.5; [ ! -e top/held ]; }
	# Each waits for the other to come.
	beside() { touch top/beside.$CASE; for i in $(seq 50); do [ -e top/beside.$1 ] && return; sleep 0.1; done; false; }
	one() { beside a.two; }
	two() { beside a.one; }
	hangs() { sleep 1000 & timeout 1001 sleep 1001 & echo $! > top/pid; sleep 1002; }
	if [ -n "$CASE" ]; then . ./registered; run_case; exit; fi
	rm -rf top/state
	mkdir -p top/state
	. ./registered
	run_cases
	show_times
	show_failures
	echo "$PASSED passed, $FAILED failed"
	END
	echo "$1" > registered
	chmod +x tests/kit/check.sh
}

counts_what_ended()
{
	small_check "t a.pass passes; t a.fail fails; t a.gone vanishes; t -full a.full fails"
	expect 0 env FULL= tests/kit/check.sh
	says "PASS    kit.a.pass" "FAIL    kit.a.fail" "what it said" "FAIL    kit.a.gone" "it was killed" "where the time went" \
		"left out without FULL=1: 1 "
	says_not a.full
	same "$(tail -n 1 "$CHECK/got")" "1 passed, 2 failed" "the last line"
	same "$(sed '1,/^what failed/d' "$CHECK/got" | paste -sd' ' | tr -s ' ')" \
		" kit.a.fail what it said kit.a.gone 1 passed, 2 failed" "what is said again at the end"
	expect 0 env FULL=1 tests/kit/check.sh
	same "$(tail -n 1 "$CHECK/got")" "1 passed, 3 failed" "the last line with FULL=1"
}

says_what_it_skips()
{
	small_check "t a.pass passes; t -may fly a.fly fails; t -may air a.air passes"
	expect 0 tests/kit/check.sh
	says "SKIP    kit.a.fly  (no fly here)" "PASS    kit.a.air" "skipped, this host lacking something: 1 cases"
	same "$(tail -n 1 "$CHECK/got")" "2 passed, 0 failed" "the last line"
	# What the host has by the kit's own questions.
	gcc -o "$CHECK/refuse" "$TOP/tests/kit/refuse.c"
	cd "$TOP" || return
	same "$(CHECK_TOP=$CHECK_TOP TOP=$TOP "$CHECK/refuse" ptrace sh -c '. tests/kit/lib.sh; host_lacks ptrace')" "ptrace is forbidden here" "without ptrace"
	same "$(host_lacks ptrace)$(host_lacks namespaces)" "" "what this host lacks"
}

runs_side_by_side()
{
	small_check "t a.one one; t a.two two"
	expect 0 tests/kit/check.sh
	same "$(tail -n 1 "$CHECK/got")" "2 passed, 0 failed" "two at a time"
	small_check "t a.three reads_it; t -x tree a.one has_it; t -x tree a.two has_it; t a.four reads_it; t -alone a.five has_it"
	expect 0 tests/kit/check.sh
	same "$(tail -n 1 "$CHECK/got")" "5 passed, 0 failed" "what excludes one another"
}

leaves_nothing_behind()
{
	small_check "t a.hang hangs"
	env --default-signal=INT tests/kit/check.sh > "$CHECK/got" 2>&1 & check=$!
	for _ in $(seq 50); do
		[ ! -s top/pid ] || break
		sleep 0.1
	done
	kill -INT $check
	ended=0
	wait $check || ended=$?
	same $ended 130 "exit of an interrupted check"
	says interrupted
	! pgrep -fx "sleep 100[012]" > "$CHECK/left" || { cat "$CHECK/left"; return 1; }
}

self_cases()
{
	t -host check.counts counts_what_ended
	t -may ptrace -host check.skips says_what_it_skips
	t -host check.side_by_side runs_side_by_side
	t -host check.interrupt leaves_nothing_behind
}
