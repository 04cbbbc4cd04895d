#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Where each second of edit-to-verdict goes, by hyperfine: median of whole commands on this machine. Ratios travel,
# single times do not. Results: out/bench/*.json. usage: scripts/bench.sh   (warm builds; it touches, never edits)
set -eu
. scripts/lib/kit.sh
runs=${RUNS:-5}
warm=1
tree=$BUILD/trees/default
dir=out/bench

# bench NAME PREPARE COMMAND: one row of the table.
bench()
{
	hyperfine --style none --warmup "$warm" --runs "$runs" --prepare "$2" --export-json "$dir/$1.json" "$3" >/dev/null
	jq -r --arg name "$1" '.results[0] |
		"  \($name | . + " " * (34 - length)) median \(.median * 100 | round / 100) s   min \(.min * 100 | round / 100)   max \(.max * 100 | round / 100)"' \
		"$dir/$1.json"
}

# from NAME: a number of the last run's results.json.
last()
{
	jq -r "$1" out/latest/results.json
}

# slower: how much slower the last run's tests were than those of fast, without boots and builds.
slower()
{
	printf '  %-34s %.2f times fast\n' "  its tests" "$(last ".tests_s / $fast")"
}

# gdb_takes NAME TEST COMMAND: the command's own time inside gdb, at the getsid() of a test of tests/kit/guest/state.c.
gdb_takes()
{
	for _ in $(seq "$runs"); do
		make gdb T="$2" B=sys_getsid CMD='python import time; t = time.time()' CMD="$3" \
			CMD='python print("TOOK", time.time() - t)'
	done | sed -n 's/^TOOK //p' | jq -rs --arg name "$1" 'sort |
		"  \($name | . + " " * (34 - length)) median \(.[length / 2 | floor] * 100 | round / 100) s   min \(.[0] * 100 | round / 100)   max \(.[-1] * 100 | round / 100)"'
}

# stages_of TEST: where the time goes from an edit of mm/mremap.c to the verdict of TEST, in ms, as lines "STAGE MS".
stages_of()
{
	: > "$dir/stamps"
	touch "$tree/mm/mremap.c"
	began=$(date +%s.%N)
	# Compiled, not found in the cache.
	MMUML_STAGES=$TOP/$dir/stamps CCACHE_RECACHE=1 make run T="$1" >/dev/null
	ended=$(date +%s.%N)
	boot=$(last .boot_s) tests=$(last .tests_s)
	awk -v began="$began" -v ended="$ended" -v boot="$boot" -v tests="$tests" '
		{ at[$1] = $2 }
		function ms(stage, from, to) { printf "%s %d\n", stage, (to - from) * 1000 + 0.5 }
		END {
			if (!("link" in at)) exit 1
			ms("make", began, at["compile"])
			ms("compile", at["compile"], at["link"])
			ms("link", at["link"], at["built"])
			ms("boot", 0, boot)
			ms("tests", 0, tests)
			ms("report", at["built"] + boot + tests, ended)
		}' "$dir/stamps"
}

# stages TEST: a bar for each stage, the median of the runs, beside that of the last make bench; all in out/bench/stages.json.
stages()
{
	echo "one edit of mm/mremap.c, T=$1:"
	mv "$dir/stages.json" "$dir/stages.last.json" 2>/dev/null || echo '{}' > "$dir/stages.last.json"
	for _ in $(seq "$runs"); do
		stages_of "$1"
	done | jq -Rn --arg commit "$(git rev-parse --short HEAD 2>/dev/null || true)" '
		[inputs | split(" ") | { stage: .[0], ms: .[1] | tonumber }] | group_by(.stage) |
		map({ key: .[0].stage, value: map(.ms) | sort | { median: .[length / 2 | floor], min: .[0], max: .[-1] } }) |
		{ commit: $commit, stages: from_entries }' > "$dir/stages.json"
	jq -r --slurpfile before "$dir/stages.last.json" '.stages as $s | ["make", "compile", "link", "boot", "tests", "report"][] |
		($before[0].stages[.].median | if . then ", last \(.)" else "" end) as $last |
		"  \(. + " " * (10 - length))\($s[.].median | tostring | " " * (6 - length) + .) ms  \("#" * ($s[.].median / 20 | ceil))" +
		"  (\($s[.].min) to \($s[.].max)\($last))"' "$dir/stages.json"
}

mkdir -p "$dir"
make build >/dev/null
stages mremap.move.arrives-page
echo "edit to verdict ($(nproc) CPUs, $runs runs each):"
bench nothing-changed-one-test true "make run T=mremap.move.arrives-page"
printf '  %-34s %.2f s\n' "  of which boot" "$(last .boot_s)"
bench touch-mremap.c-run-mremap "touch $tree/mm/mremap.c" "make run T='mremap.*'"
bench touch-mremap.c-kernel-only "touch $tree/mm/mremap.c" "make kernel"
bench kernel-nothing-changed true "make kernel"
bench gdb-to-a-breakpoint-and-out true "make gdb T=mremap.move.arrives-page B=move_page_tables CMD='bt 1'"
gdb_takes mm-rmap-of-64-processes kit.state.many 'mm-rmap 0x50000000'
make kernel PROFILE=valgrind >/dev/null
bench memcheck-one-test true "make memcheck T=mremap.move.arrives-page"
bench profile-one-test true "make profile T=mremap.move.arrives-page"
runs=1
bench suite-fast true "make run || true"
printf '  %-34s %.0f MB\n' "  memory of the kernel process" "$(last '.peak_rss_kb / 1024')"
printf '  %-34s %s\n' "  slowest tests" "$(last '[.tests[] | {name, ms}] | sort_by(-.ms)[:5][] | "\(.name) \(.ms | round) ms"' | tr '\n' ';')"
fast=$(last .tests_s)
bench suite-debug true "make run PROFILE=debug || true"
slower
bench suite-coverage true "make coverage || true"
slower
# Minutes, and what it needs is built.
warm=0
bench suite-memcheck true "make memcheck || true"
slower
warm=1
if [ -n "${FULL-}" ]; then
	bench fast-from-nothing "rm -rf $tree/build-fast $BUILD/ccache" "make kernel"
	bench fast-with-ccache "rm -rf $tree/build-fast" "make kernel"
else
	echo "  (make bench FULL=1 also builds from nothing, without and with ccache)"
fi
