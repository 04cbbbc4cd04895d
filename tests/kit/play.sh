# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Cases of whole runs without a kernel: tests/kit/player.c plays one. Sourced by check.sh, behind replay.sh.

# a_player: $CHECK/player, and a guest without anything in it but tests.list, from the lines of standard input.
a_player()
{
	gcc -std=gnu11 -g -Wall -Wextra -Werror -D_GNU_SOURCE -fsanitize=address,undefined -o "$CHECK/player" tests/kit/player.c \
		scripts/runner/record.c scripts/lib/*.c -lelf
	a_played_guest
}

a_played_guest()
{
	mkdir -p "$CHECK/guest/cpio" "$CHECK/run"
	cat > "$CHECK/guest/tests.list"
	for f in base.cpio swap.img ext4.img $(cut -f 2 "$CHECK/guest/tests.list" | sort -u | sed 's|.*|cpio/&.cpio|'); do
		: > "$CHECK/guest/$f"
	done
}

# played ARGS: a run of all tests of the guest, on the player.
played()
{
	(cd "$CHECK/run" && exec "$TOP/$RUN" --kernel "$CHECK/player" --guest "$CHECK/guest" \
		--tests "$(cut -f 1 "$CHECK/guest/tests.list" | tr '\n' ' ')" "$@")
}

# tests_of RECORD: its lines of tests.list; learned_of RECORD: what the runner would remember of their times.
tests_of()
{
	sed -n 's/^[0-9.]* test 0 //p' "$1" | awk -F '\\\\t' -v OFS='\t' '{ print $1, $2, $3, $4, $5 }'
}

learned_of()
{
	sed -n 's/^[0-9.]* test 0 //p' "$1" | awk -F '\\\\t' -v OFS='\t' '$6 > 0 { print $1, $6 }'
}

# known_of RECORD: the rows of tests/upstream/KNOWN that held in it, of any profile.
known_of()
{
	setting "$1" known | awk -F '\\\\t' -v OFS='\t' '{ print $1, $2, $3, "*", $4 }'
}

setting()
{
	sed -n "s/^[0-9.]* set 0 $2 //p" "$1"
}

# without_times FILE: what results.json says, but how long it took and where.
without_times()
{
	jq 'del(.verdict, .boot_s, .tests_s, .peak_rss_kb, .tests[].ms)' "$1"
}

# plays_alike NAME: a run whose kernels say what those of the golden stream said has the results that are expected of the stream.
plays_alike()
{
	record=$TOP/$STREAMS/$1/record
	tests_of "$record" | a_played_guest
	known_of "$record" > "$CHECK/guest/KNOWN"
	mkdir -p "$CHECK/run/out/history"
	learned_of "$record" > "$CHECK/run/out/history/unknown.none"
	set -- "$1" --jobs 1 --limit "$(setting "$record" test-limit)" --scale "$(setting "$record" scale)" --repeat "$(setting "$record" repeat)"
	[ "$(setting "$record" isolate)" = 0 ] || set -- "$@" --isolate
	[ "$(setting "$record" keep-going)" = 0 ] || set -- "$@" --keep-going
	name=$1
	shift
	code=0
	PLAY_RECORD=$record played "$@" > "$CHECK/got" 2>&1 || code=$?
	without_times "$STREAMS/$name/expected.json" > "$CHECK/want.json"
	without_times "$CHECK/run/out/latest/results.json" > "$CHECK/got.json"
	same_files "$CHECK/want.json" "$CHECK/got.json" || { cat "$CHECK/got"; echo "stream $name"; return 1; }
	same "$code" "$(jq .exit "$STREAMS/$name/expected.json")" "exit of $name"
	same_run "$(readlink -f "$CHECK/run/out/latest")" "$code"
}

# Streams of one kernel after the other that the runner would start by itself, and that wait for nothing.
streams_on_a_player()
{
	a_player < /dev/null
	n=0
	for dir in "$STREAMS"/*/; do
		! grep -Eq ' (limit|stop|stacks|symbol|debugger|end-run|xml) |^[0-9.]* set 0 ask |^[0-9.]* start [0-9]* tests .* [1-9]$' \
			"$dir/record" || continue
		grep -q ' done ' "$dir/record" || continue
		plays_alike "$(basename "$dir")"
		n=$((n + 1))
	done
	[ $n -ge 20 ] || { echo "$n streams only"; return 1; }
}

# many AREA KIND EVERY N: lines of tests.list, N tests of which each EVERYth is of that kind.
many()
{
	awk -v OFS='\t' -v area="$1" -v kind="$2" -v every="$3" -v n="$4" 'BEGIN {
		for (i = 1; i <= n; i++)
			print area ".many." (i % every ? "pass" : kind) i, area ".many", "t" i, "-", "test " i
	}'
}

# statuses: how many tests ended how, "3 CRASH 57 PASS".
statuses()
{
	jq -r '.tests[].status' "$CHECK/run/out/latest/results.json" | sort | uniq -c | tr -s ' \n' ' ' | sed 's/^ //; s/ $//'
}

several_kernels_at_once()
{
	{ many one crash 13 52; many two between 20 40; many three warn 9 18; many four fail 7 14; many five skip 5 10; \
		many six slow 2 4; many seven gone 9 18; } | a_player
	code=0
	played --jobs 3 > "$CHECK/got" 2>&1 || code=$?
	same $code 8 exit
	same "$(statuses)" "6 CRASH 2 FAIL 146 PASS 2 SKIP" "what became of the tests"
	# Two kernels at least were there at the same time, each in a console's log of its own.
	[ -s "$CHECK/run/out/latest/console-2.log" ]
	# Behind the last test of its kernel it would be of the power-off, and so an entry of its own.
	same "$(jq -c '[([.outside[].reason] | unique), ([.outside[].times] | add)]' "$CHECK/run/out/latest/results.json")" \
		'[["KASAN: BUG: KASAN: slab-use-after-free in played+0x1/0x2","kernel killed by signal 11"],4]' "outside the tests"
	same "$(jq -c '[.causes[] | select(.tests > 0) | [.tests, .reason]] | sort' "$CHECK/run/out/latest/results.json")" \
		'[[2,"WARN: mm/rmap.c:99"],[4,"BUG: mm/rmap.c:1234"]]' causes
	same_run "$(readlink -f "$CHECK/run/out/latest")" 8
}

gives_up_by_itself()
{
	many one crash 1 100 | a_player
	code=0
	played --jobs 2 > "$CHECK/got" 2>&1 || code=$?
	same $code 8 exit
	says "tests crashed: BUG: mm/rmap.c:1234 (first: one.many.crash" "; gave up after 6 failures of known causes" "KEEP_GOING=1" " not run"
	[ "$(jq .summary.crash "$CHECK/run/out/latest/results.json")" -le 10 ]
	# One trace.
	same "$(grep -c 'Kernel panic' "$CHECK/got")" 1 "traces on the terminal"
	same_run "$(readlink -f "$CHECK/run/out/latest")" 8
	code=0
	many one crash 1 20 | a_played_guest
	played --jobs 2 --keep-going > "$CHECK/got" 2>&1 || code=$?
	same "$code $(statuses)" "8 20 CRASH" "with --keep-going"
}

# The guest's word on a timeout comes before the host's, whatever SCALE is: with a limit of the test's own, and without.
limits_agree()
{
	{ many one hang 1 1; printf 'two.many.hang\ttwo.many\tt\tlimit=2\ta limit of its own\n'; } | a_player
	for case in 0.2:200:400 1.3:1300:2600; do
		ms=${case#*:}
		code=0
		played --jobs 1 --limit 1 --scale "${case%%:*}" > "$CHECK/got" 2>&1 || code=$?
		same "$code $(statuses)" "124 2 TIMEOUT" "$case"
		same "$(jq -c '[.boots, [.tests[].reason]]' "$CHECK/run/out/latest/results.json")" \
			"[1,[\"timeout, ${ms%:*} in the plan\",\"timeout, ${ms#*:} in the plan\"]]" "$case: who ended them"
	done
}

# ran GLOBS: the tests that a run with T=GLOBS had.
ran()
{
	(cd "$CHECK/run" && expect 0 "$TOP/$RUN" --kernel "$CHECK/player" --guest "$CHECK/guest" --tests "$1")
	jq -r '.tests[].name' "$CHECK/run/out/latest/results.json" | tr '\n' ' '
}

# Of the kernel's own tests the quick ones run where none is named, and those that take minutes only by their whole names.
which_run()
{
	for words in own:- mm.quick:upstream,quick mm.other:upstream,alone mm.long:upstream,asked kit.odd:-; do
		name=${words%%:*}
		printf '%s.x\t%s\tt\t%s\tpurpose\n' "$name" "$name" "$(echo "${words#*:}" | tr , ' ')"
	done | a_player
	same "$(ran '')" "own.x mm.quick.x " "no test is named"
	same "$(ran 'mm.*')" "mm.quick.x mm.other.x " "a glob"
	same "$(ran mm.long.x)" "mm.long.x " "a whole name"
	same "$(ran '*')" "own.x mm.quick.x mm.other.x " "all"
}

play_cases()
{
	t -host play.streams streams_on_a_player
	t -host play.several several_kernels_at_once
	t -host play.gives_up gives_up_by_itself
	t -host play.limits limits_agree
	t -host play.selection which_run
}
