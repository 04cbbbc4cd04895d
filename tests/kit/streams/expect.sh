#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Write what the runner makes of golden streams today as what is expected of it: to be looked at, line by line, with git diff.
# usage: tests/kit/streams/expect.sh MMUML-RUN [NAME...]
set -eu
export ASAN_OPTIONS=detect_leaks=0
run=$(realpath "$1")
shift
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- */
into=$(mktemp -d)
for name; do
	name=${name%/}
	rm -f "$into"/* "$name"/expected.*
	# Its exit code is in results.json.
	"$run" --replay "$name" --into "$into" > /dev/null || true
	for suffix in ktap json; do
		cp "$into/results.$suffix" "$name/expected.$suffix"
	done
	cp "$into/verdict" "$name/expected.verdict"
	[ ! -e "$into/memcheck.txt" ] || cp "$into/memcheck.txt" "$name/expected.memcheck"
done
rm -r "$into"
