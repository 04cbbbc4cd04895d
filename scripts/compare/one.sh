#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# One comparison of the plan, from its line to its report: the stages of make compare in their order.
# usage: scripts/compare/one.sh WORK/N   exit code: the comparison's, or that of the stage that could not do its work
# With JSON=1 standard output is the report's alone; what builds say goes beside it.
set -eu
. scripts/lib/kit.sh
. scripts/compare/lib.sh

until_the_report()
{
	stage 0 scripts/compare/resolve.sh "$dir"
	stage 0 scripts/compare/side.sh "$dir" base
	stage 0 scripts/compare/guest.sh "$dir"
	stage 0 scripts/compare/side.sh "$dir" changed
	stage 0 scripts/compare/lines.sh "$dir"
	tests=$(ask tests)
	say TEST "${tests:-all tests}, both sides at once"
	for round in $(seq "$REPEAT"); do
		stage 0 scripts/compare/run.sh "$dir" "$round"
	done
}

use "$1" ../plan plan
if [ -n "$JSON" ]; then
	until_the_report >&2
else
	until_the_report
fi
stage any scripts/compare/report.sh "$dir"
[ $ended != $EX_FAIL ] || [ -f "$dir/report.dir" ] || ended=$EX_HOST
exit $ended
