#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The tests of the kit itself, then all in-guest tests under fast and debug.
# usage: tests/kit/check.sh            what guards a promise of the README; the last line is "N passed, N failed"
#        FULL=1 tests/kit/check.sh     every case
#        ONLY='runner.*' tests/kit/check.sh   only the kit's cases that match, no in-guest suite
#        BUILT=1                       what is built is taken as it is
#        AT_ONCE=1                     cases side by side: as many as there are CPUs, at most 4, unless it says otherwise
#        V=1                           how long every case took, not the slowest 15
#        tests/kit/check.sh --case NAME   one case, as the above starts it
#        tests/kit/check.sh --habits      what developers have and type, tried, as a table (habits.sh)
#        tests/kit/check.sh --points      what developers have and bring, with the case that tries it and how that ended last
set -eu
TOP=$(cd "$(dirname "$0")/../.." && pwd)
cd "$TOP"
CHECK_TOP=$TOP/build/check	# scratch of the cases, a directory for each
CASE='' FUNCTION=''
[ "${1-}" != --case ] || CASE=$2
CHECK=$CHECK_TOP/${CASE:-none}
FULL=${CHECK_FULL-${FULL-}}
VERBOSE=${V-}
cpus=$(nproc)
AT_ONCE=${AT_ONCE:-$((cpus < 4 ? cpus : 4))}
. tests/kit/cases.sh
. tests/kit/lib.sh
. tests/kit/self.sh
. tests/kit/hygiene.sh
. tests/kit/messages.sh
. tests/kit/runner.sh
. tests/kit/replay.sh
. tests/kit/play.sh
. tests/kit/stages.sh
. tests/kit/kernels.sh
. tests/kit/mails.sh
. tests/kit/habits.sh
. tests/kit/changed.sh
. tests/kit/watch.sh
. tests/kit/hosts.sh
. tests/kit/gdb.sh
. tests/kit/coverage.sh
. tests/kit/compare.sh
. tests/kit/valgrind.sh
. tests/kit/mistakes.sh
. tests/kit/machines.sh
. tests/kit/upstream.sh

NAME=default
OUT=build/trees/$NAME/build-fast
GUEST=build/trees/$NAME/build-guest
unset MAKEFLAGS MAKELEVEL MFLAGS T S A B LINUX KERNEL PROFILE V CMD ATTACH OG SCRIPT GDB WHO BASE HTML JSON SINCE
unset PROFILE_ASKED EACH REPEAT NAME DIR MBOX README NOTE JOBS YES MMUML_CODES
# Of what is compiled here no compiler may have a word to say; a user's is perhaps newer.
export WERROR=1

# Long and rare ones first: what is cheap fills the gaps.
all_cases()
{
	compare_cases
	machine_cases
	upstream_cases
	mistake_cases
	valgrind_cases
	gdb_cases
	coverage_cases
	stage_cases
	kernel_cases
	mail_cases
	habit_cases
	changed_cases
	watch_cases
	runner_cases
	replay_cases
	play_cases
	host_cases
	hygiene_cases
	message_cases
	self_cases
}

# What the trees and builds of all cases take from nothing, and what is there of it; a full disk would fail in the middle of one.
ROOM_GB=25

check_room()
{
	free=$(df -Pk . | awk 'NR == 2 { print $4 }')
	[ "$free" -lt $((ROOM_GB * 1048576)) ] || return 0
	there=$(du -sk build 2>/dev/null | cut -f1)
	[ $((${there:-0} + free)) -lt $((ROOM_GB * 1048576)) ] || return 0
	echo "mmuml: error: make check finds no room"
	echo "  because: its trees and builds take $ROOM_GB GB; build/ has $((${there:-0} / 1048576)), and $((free / 1048576)) are free on its disk"
	echo "  try:     df -h ."
	exit 3
}

prepare()
{
	[ -z "${BUILT-}" ] || return 0
	[ -n "${ONLY-}" ] || check_room
	echo "  CHECK   build"
	began=$(date +%s)
	make build
	make kernel PROFILE=coverage
	make kernel PROFILE=valgrind
	make kernel PROFILE=debug
	make -s -j"$(nproc)" -C scripts OUT="$TOP/build/host-asan" SAN=address,undefined
	make -s -j"$(nproc)" -C scripts OUT="$TOP/build/host-tsan" SAN=thread
	echo "$(($(date +%s) - began)) build" >> "$STATE/times"
}

# ask DIR KEY: what the results of a run say; 0 if they say nothing.
ask()
{
	build/host/mmuml-run --result "$1" --key "$2" 2>/dev/null || echo 0
}

# failed_tests PROFILE CODE DIR: the tests that failed in a run, those that are known to apart, and the end of what each said.
failed_tests()
{
	echo "    in-guest.$1 (exit $2${3:+, $3})"
	[ ! -s "${3:-none}/results.ktap" ] || awk '
		/^ok / || /^not ok .*# TODO / { said = ""; next }
		/^#/ { said = said "        " $0 "\n"; next }
		/^not ok / { n = split(said, line, "\n"); print "      " $0
			for (i = n > 12 ? n - 12 : 1; i < n; i++) print line[i]
			said = "" }' "$3/results.ktap" | head -n 60
}

# The suite of one profile; its counts are added to the kit's. The run says itself where it is: out/latest is anybody's.
suite()
{
	echo "  CHECK   in-guest tests, PROFILE=$1"
	began=$(date +%s)
	note=$STATE/note.$1
	code=0
	make run PROFILE="$1" NOTE="$note" || code=$?
	echo "$(($(date +%s) - began)) in-guest.$1" >> "$STATE/times"
	run=$(cat "$note" 2>/dev/null) || true
	passed=0 bad=0
	if [ -n "$run" ]; then
		passed=$(ask "$run" summary.pass)
		for how in fail crash timeout notrun; do
			bad=$((bad + $(ask "$run" summary.$how)))
		done
	fi
	# A verdict that is not 0 although each test passed (a report outside the tests, no run at all) is a failure of its own.
	[ "$code" = 0 ] || [ $bad != 0 ] || bad=1
	[ $bad = 0 ] || failed_tests "$1" "$code" "$run" >> "$STATE/failed"
	PASSED=$((PASSED + passed))
	FAILED=$((FAILED + bad))
}

if [ -n "$CASE" ]; then
	export CHECK_FULL="$FULL"
	all_cases
	[ -n "$FUNCTION" ] || { echo "no case named $CASE"; exit 2; }
	mkdir -p "$CHECK/run"
	run_case
	exit "$(cat "$STATE/$CASE.code")"
fi
if [ "${1-}" = --habits ]; then
	mkdir -p "$CHECK"
	printf '| tried | exit | said |\n|---|---|---|\n'
	TABLE=1 habits
	exit 0
fi
if [ "${1-}" = --points ]; then
	points
	exit 0
fi
export CHECK_FULL="$FULL"
rm -rf "$CHECK_TOP"
mkdir -p "$STATE"
: > "$STATE/list"
all_cases
[ -s "$STATE/list" ] || { echo "mmuml: error: no case matches ONLY='$ONLY'"; exit 2; }
prepare
run_cases
if [ -z "${ONLY-}" ]; then
	suite fast
	suite debug
fi
show_times
show_failures
echo "$PASSED passed, $FAILED failed"
[ $FAILED = 0 ]
