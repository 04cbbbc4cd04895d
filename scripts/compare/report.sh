#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Stage of make compare: the report of what run.sh left, on standard output, and with README=1 the table of the change.
# usage: scripts/compare/report.sh WORK/N   -> WORK/N/report.dir, which names the report's directory; exit code of the comparison
set -eu
. scripts/lib/kit.sh
. scripts/compare/lib.sh

# runs SIDE: the run directories, one a line.
runs()
{
	for round in $(seq "$REPEAT"); do
		d=$(cat "$dir/run.$round.$1.dir")
		echo "$d"
	done
}

# ran: N/M: of M changed lines that have code, N ran on the side that has them; nothing if that is not known.
ran()
{
	all=0 n=0
	for side in base changed; do
		[ -s "$dir/code.$side" ] || continue
		: > "$dir/ran"
		while read -r d; do
			[ -f "$d/ran" ] || return 0
			cat "$d/ran" >> "$dir/ran"
		done < "$dir/runs.$side"
		all=$((all + $(cut -d' ' -f2 "$dir/code.$side" | sort -u | wc -l)))
		n=$((n + $(sort -u "$dir/ran" | wc -l)))
	done
	[ $all = 0 ] || echo "$n/$all"
}

# into_readme FILE TABLE: between the marks; of those for two stacks, where they stand.
into_readme()
{
	awk -v table="$2" -v sides="A=$(ask base) B=$(ask changed) " '
	/^<!-- end of table -->$/ { skip = 0 }
	!skip { print }
	/^<!-- table: .* -->$/ && (!/ A=/ || index($0, sides)) { skip = 1; while ((got = (getline line < table)) > 0) print line; if (got < 0) exit 1 }' \
		"$1" > "$dir/readme" || die $EX_HOST "no table of values in $1" "$2 cannot be read" "scripts/compare/report.sh $dir"
	cat "$dir/readme" > "$1" || die $EX_HOST "$1 cannot be written" "" "ls -l $1"
}

use "$1" what resolve
use "$1" idle lines
profile=$(ask profile) expect=$(ask expect) step=$(ask step)
set --
for side in base changed; do
	runs "$side" > "$dir/runs.$side"
	while read -r d; do
		set -- "$@" "--$side" "$d"
	done < "$dir/runs.$side"
	set -- "$@" "--$side-stack" "$(ask "$side")" "--$side-build" "$(ask "tree.$side")/build-$profile"
done
lines=$(ran) idle=$(cat "$dir/idle") code=0 kernels=
[ "$(kernel_of "$(ask base)")" = "$(kernel_of "$(ask changed)")" ] || kernels=1
rm -f "$dir/report.dir"
"$BUILD/host/mmuml-compare" "$@" --name "$(ask name)" --started "$STARTED" ${expect:+--expect "$expect"} ${step:+--step} \
	${kernels:+--kernels} \
	${idle:+--idle "$idle"} ${lines:+--ran "$lines"} ${JSON:+--json} ${V:+--verbose} --note "$dir/report.dir" || code=$?
if [ -n "$README" ] && [ -z "$step" ] && [ $code = 0 ] && [ -n "$expect" ]; then
	report=$(cat "$dir/report.dir")
	into_readme "$(dirname "$expect")/README.md" "$report/table.md"
fi
exit $code
