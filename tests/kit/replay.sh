# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Cases about records of runs: golden streams (tests/kit/streams), real runs replayed, records that were cut. Sourced by check.sh.

STREAMS=tests/kit/streams
RUN=build/host-asan/mmuml-run

# replay DIR: its results into $CHECK/replay, its exit status in CODE.
replay()
{
	mkdir -p "$CHECK/replay"
	rm -f "$CHECK"/replay/*
	CODE=0
	"$TOP/$RUN" --replay "$1" --into "$CHECK/replay" >"$CHECK/replayed" 2>&1 || CODE=$?
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
	echo "stream $1"
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
		# Not as a condition: errexit would not hold inside it.
		as_expected "$(basename "$dir")"
		n=$((n + 1))
	done
	[ $n -ge 30 ] || { echo "$n streams only"; return 1; }
}

# same_run DIR CODE: the results of a run, made again from its record, are the same, byte for byte.
same_run()
{
	replay "$1"
	for f in results.ktap results.json junit.xml verdict; do
		same_files "$1/$f" "$CHECK/replay/$f"
	done
	same "$CODE" "$2" "exit of the replay"
}

real_run_again()
{
	expect 8 run_guest --tests kit.plain.pass,kit.plain.fail,kit.plain.skip,kit.crash.panic,kit.crash.warn --repeat 2
	dir=$(readlink -f "$CHECK/run/out/latest")
	same_run "$dir" 8
	same "$(tail -n 1 "$CHECK/replayed")" "$(cat "$dir/verdict")" "the last line"
	# In place, after the results were lost.
	cp "$dir/results.json" "$CHECK/results.json"
	rm "$dir/results.json"
	expect 8 "$TOP/$RUN" --replay "$dir"
	same_files "$CHECK/results.json" "$dir/results.json"
	expect 2 "$TOP/$RUN" --replay "$CHECK/nothing"
	says "no record of a run at"
}

# Is the results.json of a run that goes on what it should be at any time: whole, and no pass?
results_while_it_runs()
{
	for _ in $(seq 20); do
		[ "$(jq -r .exit "$1/results.json")" = 130 ]
		in_file "CUT OFF" "$1/verdict"
		sleep 0.1
	done
}

killed_in_the_middle()
{
	mkdir -p "$CHECK/run"
	run_guest --jobs 1 --limit 1000 --note killed.note --tests kit.forge.results,kit.hang.forever,kit.plain.pass >/dev/null 2>&1 &
	runner=$!
	for _ in $(seq 100); do
		sleep 0.1
		dir=$CHECK/run/$(cat "$CHECK/run/killed.note" 2>/dev/null) || continue
		! grep -q "result 1 mmuml begin kit.hang.forever" "$dir/record" 2>/dev/null || break
	done
	results_while_it_runs "$dir"
	kill -KILL "$(pgrep -P $runner || echo $runner)"
	wait $runner || true
	jq -e . "$dir/results.json" >/dev/null
	replay "$dir"
	same $CODE 130 "exit of the replay"
	in_file "CUT OFF after 1 of 3 (kit.hang.forever: was running when the run was cut off)" "$CHECK/replay/verdict"
	same "$(jq -c '[.tests[].status]' "$CHECK/replay/results.json")" '["PASS","CRASH","NOTRUN"]' "what is known"
}

# variants STREAM FROM EACH: records that lack something, cut, without a line, or with two lines exchanged, at line FROM and each EACHth
# that follows, into $CHECK/fuzz/1/record, .../2/record, ...; prints what is wrong with each, one a line.
variants()
{
	awk -v to="$CHECK/fuzz" -v from="$2" -v each="$3" '
	function put(from, end,   k) { for (k = from; k <= end; k++) print line[k] > file }
	function begin(what) { file = to "/" ++made "/record"; print what }
	function needed(l) { return l ~ / (result [0-9]+ (not )?ok|start [0-9]+|exit [0-9]+) / }
	function without(i) { begin(needed(line[i]) ? "needed" : "line"); put(1, i - 1); put(i + 1, n); close(file) }
	/^[^#]/ { line[++n] = $0 }
	END {
		for (i = from; i < n && made < 290; i += each) {
			begin("cut"); put(1, i); close(file)
			without(i)
			begin("swap"); put(1, i - 1); put(i + 1, i + 1); put(i, i); put(i + 2, n); close(file)
		}
		for (i = n; i && found < 4; i--)
			if (needed(line[i])) {
				without(i)
				found++
			}
	}' "$1/record"
}

# try_variant N WHAT: no crash of the replay; what was cut off, or lacks the result of a test or the start or end of a kernel, is no pass.
try_variant()
{
	code=0
	"$TOP/$RUN" --replay "$CHECK/fuzz/$1" --into "$CHECK/fuzz" >"$CHECK/replayed" 2>&1 || code=$?
	verdict=
	read -r verdict < "$CHECK/fuzz/verdict" || true
	case $2,$code,$verdict in
	cut,130,*|cut,2,*) ;;
	cut,*|needed,0,*) return 1 ;;
	*,[01248],*|*,124,*|*,130,*|*,3,"mmuml: HOST after "*) ;;
	*) cat "$CHECK/replayed"; return 1 ;;
	esac
}

# What is said of a record that lacks something. FULL=1: at every line of each.
records_that_lack_something()
{
	export UBSAN_OPTIONS=halt_on_error=1:exitcode=99 ASAN_OPTIONS=detect_leaks=0:exitcode=99
	tried=0
	mkdir "$CHECK/fuzz"
	# shellcheck disable=SC2046 # numbers
	mkdir $(seq -f "$CHECK/fuzz/%g" 300)
	for dir in "$STREAMS"/*/; do
		lines=$(grep -c '^[^#]' "$dir/record")
		from=$((12 + tried % (lines - 12))) each=$lines
		[ -z "${FULL-}" ] || from=1 each=$((lines / 80 + 1))
		variants "$dir" $from "$each" > "$CHECK/fuzz/what"
		n=0
		while read -r what; do
			n=$((n + 1))
			try_variant $n "$what" || { echo "$dir: $what, $CHECK/fuzz/$n/record: $code $verdict"; return 1; }
		done < "$CHECK/fuzz/what"
		tried=$((tried + n))
	done
	[ $tried -ge 300 ] || { echo "$tried variants only"; return 1; }
}

# A panic behind a megabyte of other text has its stack and its place.
loud_before_a_panic()
{
	mkdir -p "$CHECK/loud"
	awk '{ print } / mmuml: begin kit.crash.panic/ { for (i = 0; i < 20000; i++) printf "%s console 1 %060d\\n\n", $1, i }' \
		"$STREAMS/panic-in-test/record" > "$CHECK/loud/record"
	replay "$CHECK/loud"
	in_file "(kit.crash.panic: panic: sysrq triggered crash: drivers/tty/sysrq.c:" "$CHECK/replay/verdict"
}

# What a later stage finds goes into the verdict, and is asked for by key.
amended_and_asked()
{
	mkdir "$CHECK/amended"
	sed '/kit.plain.fail/s/not ok 2 \(.*\) # (exit 1)/ok 2 \1/' "$STREAMS/pass-fail-skip/record" > "$CHECK/amended/record"
	expect 0 "$TOP/$RUN" --replay "$CHECK/amended"
	expect 0 "$TOP/$RUN" --amend "$CHECK/amended" --status PASS --add 'changed lines run: 3 of 3'
	says "PASS 2 of 3, 1 skipped" "  changed lines run: 3 of 3 -> "
	expect 1 "$TOP/$RUN" --amend "$CHECK/amended" --status FAIL --why 'the changed code never ran' --add 'changed lines run: 0 of 3'
	says "mmuml: FAIL (the changed code never ran)" "  changed lines run: 0 of 3 -> "
	says_not "3 of 3"
	same "$(cat "$CHECK/amended/verdict")" "$(cat "$CHECK/got")" verdict
	expect 0 "$TOP/$RUN" --result "$CHECK/amended" --key exit
	same "$(cat "$CHECK/got")" 1 "the key exit"
	expect 0 "$TOP/$RUN" --result "$CHECK/amended" --key summary.pass
	same "$(cat "$CHECK/got")" 2 "the key summary.pass"
	expect 2 "$TOP/$RUN" --result "$CHECK/amended" --key summary.none
	says "no 'summary.none' in the results" "verdict"
	# It is in the record: made again, it is the same.
	expect 1 "$TOP/$RUN" --replay "$CHECK/amended"
	expect 1 "$TOP/$RUN" --amend "$CHECK/amended" --status FAIL
	says "mmuml: FAIL, 1 skipped" "s -> out/runs"
	# A failure of the run itself is not amended away.
	cp "$STREAMS/panic-in-test/record" "$CHECK/amended/"
	expect 8 "$TOP/$RUN" --amend "$CHECK/amended" --status PASS
	expect 2 "$TOP/$RUN" --amend "$CHECK/amended" --status MAYBE
}

replay_cases()
{
	t -host replay.streams golden_streams
	t replay.real_run real_run_again
	t replay.killed killed_in_the_middle
	t -host replay.lacking records_that_lack_something
	t -host replay.loud loud_before_a_panic
	t -host replay.amend amended_and_asked
}
