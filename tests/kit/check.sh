#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The tests of the kit itself, then all in-guest tests under fast and debug.
# usage: tests/kit/check.sh            everything; the last line is "N passed, N failed"
#        ONLY='runner.*' tests/kit/check.sh   only the kit's cases that match, no in-guest suite
set -eu
TOP=$(cd "$(dirname "$0")/../.." && pwd)
cd "$TOP"
. tests/kit/lib.sh
. tests/kit/hygiene.sh
. tests/kit/messages.sh
. tests/kit/runner.sh
. tests/kit/stages.sh
. tests/kit/hosts.sh
. tests/kit/gdb.sh
. tests/kit/coverage.sh
. tests/kit/compare.sh
. tests/kit/valgrind.sh

NAME=default
OUT=build/trees/$NAME/build-fast
GUEST=build/trees/$NAME/build-guest
unset MAKEFLAGS MAKELEVEL MFLAGS T S A B LINUX PROFILE V CMD ATTACH OG SCRIPT GDB WHO BASE HTML JSON SINCE
unset PROFILE_ASKED EACH REPEAT NAME DIR MBOX README

prepare()
{
	mkdir -p "$CHECK/run"
	echo "  CHECK   build (fast)"
	make build
	make kernel PROFILE=coverage
	make kernel PROFILE=valgrind
	make -s -j"$(nproc)" -C scripts OUT="$TOP/build/host-asan" SAN=address,undefined WERROR=1
}

# The suite of one profile; its counts are added to the kit's.
suite()
{
	[ -z "${ONLY-}" ] || return 0
	echo "  CHECK   in-guest tests, PROFILE=$1"
	make run PROFILE="$1" || true
	json=out/latest/results.json
	passed=$(jq '[.tests[] | select(.status == "PASS")] | length' $json)
	skipped=$(jq '[.tests[] | select(.status == "SKIP")] | length' $json)
	all=$(jq '.tests | length' $json)
	code=$(jq .exit $json)
	bad=$((all - passed - skipped))
	# A verdict that is not 0 although each test passed (a report outside the tests) is a failure of its own.
	[ "$code" = 0 ] || [ $bad != 0 ] || bad=1
	PASSED=$((PASSED + passed))
	FAILED=$((FAILED + bad))
}

prepare
hygiene_cases
message_cases
runner_cases
stage_cases
host_cases
gdb_cases
coverage_cases
compare_cases
valgrind_cases
suite fast
suite debug
echo "$PASSED passed, $FAILED failed"
[ $FAILED = 0 ]
