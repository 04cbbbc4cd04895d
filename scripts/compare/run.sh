#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Stage of make compare: run the tests once on both sides.
# usage: scripts/compare/run.sh WORK/N ROUND   -> WORK/N/run.ROUND.SIDE, run.ROUND.SIDE.dir
# Both at the same time: what disturbs the one disturbs the other; one kernel at a time on each side, so that each test meets
# the same kernel state on both. A failing test is a result; no run directory is an error.
set -eu
. scripts/lib/kit.sh
. scripts/compare/lib.sh

# run_side SIDE: becomes the runner.
run_side()
{
	tree=$(ask "tree.$1") code=
	[ ! -s "$dir/code.$1" ] || code=$dir/code.$1
	set -- --kernel "$tree/build-$profile/vmlinux" --guest "$guest" --tree "$tree" --profile "$profile" \
		--series "$(ask "$1")" --linux "$LINUX" --mem "${MEM:-$(profile_says "$profile" MEM 512)}" \
		--scale "${SCALE:-$(profile_says "$profile" SCALE 1)}" --append "$APPEND" --tests "$(ask tests)" --seed "$SEED" \
		--jobs 1 --counters --probe "$code" --what "compare-$1" --note "$run.$1.dir"
	# Counters of functions and files below mm/.
	[ "$profile" != valgrind ] || set -- "$@" --tool cachegrind
	exec "$BUILD/host/mmuml-run" "$@"
}

use "$1" what resolve
use "$1" guest guest
use "$1" code.changed lines
run=$dir/run.$2
profile=$(ask profile) guest=$(cat "$dir/guest")
rm -f "$run".*
run_side base > "$run.base" 2>&1 & base=$!
run_side changed > "$run.changed" 2>&1 & changed=$!
trap 'kill $base $changed 2>/dev/null || true; wait; exit $EX_INTERRUPTED' INT TERM HUP
code=0
wait $base || code=$?
wait $changed || code=$?
for side in base changed; do
	result=
	[ ! -f "$run.$side.dir" ] || result=$(cat "$run.$side.dir")
	if [ ! -f "$result/results.json" ]; then
		cat "$run.$side" >&2
		[ $code != 0 ] || code=$EX_HOST
		exit $code
	fi
	say RUN "$side: $(sed 's/^mmuml: //' "$result/verdict")"
done
