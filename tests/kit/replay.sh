# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Cases about records of runs: golden streams (tests/kit/streams), real runs replayed, records that were cut. Sourced by check.sh.

STREAMS=tests/kit/streams

# replay DIR: its results into $CHECK/replay, its exit status in CODE.
replay()
{
	mkdir -p "$CHECK/replay"
	rm -f "$CHECK"/replay/*
	CODE=0
	"$TOP/build/host-asan/mmuml-run" --replay "$1" --into "$CHECK/replay" >"$CHECK/replayed" 2>&1 || CODE=$?
	! grep -q Sanitizer "$CHECK/replayed" || { echo "$1:"; cat "$CHECK/replayed"; return 1; }
}

# same_files A B: as cmp, with the difference shown.
same_files()
{
	diff -u "$1" "$2" | head -n 20
	cmp -s "$1" "$2"
}

# as_expected NAME: a golden stream comes to what is written beside it, byte for byte, and to the exit code that stands there.
as_expected()
{
	dir=$STREAMS/$1
	replay "$dir"
	same_files "$dir/expected.ktap" "$CHECK/replay/results.ktap"
	same_files "$dir/expected.json" "$CHECK/replay/results.json"
	same_files "$dir/expected.verdict" "$CHECK/replay/verdict"
	[ ! -e "$dir/expected.memcheck" ] || same_files "$dir/expected.memcheck" "$CHECK/replay/memcheck.txt"
	same "$CODE" "$(jq .exit "$dir/expected.json")" "exit of $1"
}

golden_streams()
{
	n=0
	for dir in "$STREAMS"/*/; do
		name=$(basename "$dir")
		as_expected "$name" || { echo "stream $name"; return 1; }
		n=$((n + 1))
	done
	[ $n -ge 30 ] || { echo "$n streams only"; return 1; }
}

replay_cases()
{
	t replay.streams golden_streams
}
