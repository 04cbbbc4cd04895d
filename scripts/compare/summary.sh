#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Stage of make compare: a line for each comparison of the plan, and the first exit code that is not 0 for all of them.
# usage: scripts/compare/summary.sh WORK   reads WORK/plan, WORK/N/code, WORK/N/report.dir
set -eu
. scripts/lib/kit.sh
work=$1 worst=0

echo
echo "Summary"
for nr in $(seq "$(wc -l < "$work/plan")"); do
	dir=$work/$nr word=FAILS
	code=$(cat "$dir/code")
	# A patch that only prepares is no failure.
	[ "$code" != $EX_SKIP ] || ! sed -n "${nr}p" "$work/plan" | cut -f5 | grep -qx step || code=0
	[ "$code" != 0 ] || word=holds
	if [ -f "$dir/report.dir" ]; then
		report=$(cat "$dir/report.dir")
		printf '  %-6s %s\n' $word "$(sed 's/^mmuml: //; s/ -> .*//' "$report/verdict")"
	else
		printf '  %-6s compare %s: error %s, see above\n' FAILS "$(sed -n "${nr}p" "$work/plan" | cut -f3)" "$code"
	fi
	[ "$worst" != 0 ] || worst=$code
done
exit "$worst"
