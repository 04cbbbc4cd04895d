# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Which cases there are, which of them may run side by side, and how they ended. Sourced by check.sh.
#
# t only registers. run_cases starts each case as a process of its own (check.sh --case NAME), in a session of its own, as many
# at a time as AT_ONCE says, the first of the list that nothing in progress stands in the way of.
#
# What a case needs are words: x:NAME it has for itself, r:NAME it shares with others that only read it. The names:
#   machine  every case has a share of it; what measures, or looks at all of /tmp or /dev/shm, has it for itself
#   tree     build/trees/default with its kernels: most cases read it, those that edit or build there have it for themselves
#   out      out/latest of this checkout
#   linux    $LINUX_TREE, the user's tree of user_tree()
#   change   $CHANGE, the change of the cases of make compare, with its tree
#   bugs     the tree with the seeded bugs
#   mistakes the tree with the mistakes
#   coverage build-coverage, in which a report compiles

# list: "NAME NEEDS..."; times: "SECONDS NAME"; failed: what to say of each; NAME.code, NAME.began, NAME.skip: why
STATE=${CHECK_TOP:?}/state
PASSED=0 FAILED=0 SKIPPED=0 LEFT_OUT=0

# t [-x NAME]... [-host] [-alone] [-full] [-may WHAT] CASE FUNCTION: register a case, or run it if it is the one asked for.
# -x: it has NAME for itself; -host: it does not read the tree; -alone: nothing runs beside it; -full: for FULL=1 only;
# -may: this host has to allow or to have WHAT (host_lacks), or the case is skipped.
t()
{
	needs="r:machine" tree=r:tree full='' may=''
	while :; do
		case $1 in
		-x)	case $2 in tree) tree=x:tree ;; *) needs="$needs x:$2" ;; esac; shift ;;
		-host)	tree='' ;;
		-alone)	needs="$needs x:machine" ;;
		-full)	full=1 ;;
		-may)	may=$2; shift ;;
		*)	break ;;
		esac
		shift
	done
	if [ -n "${CASE-}" ]; then
		[ "$CASE" != "$1" ] || FUNCTION=$2 MAY=$may
		return 0
	fi
	# shellcheck disable=SC2254 # ONLY is a glob
	[ -z "${ONLY-}" ] || case $1 in $ONLY) full='' ;; *) return 0 ;; esac
	if [ -n "$full" ] && [ -z "$FULL" ]; then
		LEFT_OUT=$((LEFT_OUT + 1))
		return 0
	fi
	echo "$1 $needs $tree" >> "$STATE/list"
}

# conflict "NEEDS" "NEEDS": whether two cases may not run side by side.
conflict()
{
	for need in $1; do
		for other in $2; do
			[ "${need#?:}" = "${other#?:}" ] || continue
			[ "$need$other" = "r:${need#?:}r:${need#?:}" ] || return 0
		done
	done
	return 1
}

# next_case: NEXT is the first of the list that can run beside those in progress, and is taken off the list; empty if none can.
next_case()
{
	NEXT=''
	# shellcheck disable=SC2094 # the list that is read stays; a new one takes its name
	while read -r name needs; do
		free=1
		for busy in "$STATE"/*.needs; do
			[ -e "$busy" ] || continue
			! conflict "$needs" "$(cat "$busy")" || { free=''; break; }
		done
		[ -n "$free" ] || continue
		NEXT=$name
		echo "$needs" > "$STATE/$name.needs"
		grep -v "^$name " "$STATE/list" > "$STATE/list.new" || true
		mv "$STATE/list.new" "$STATE/list"
		return 0
	done < "$STATE/list"
}

# start_case NAME: with SIGINT as a terminal's program has it; a shell's background ignores it.
start_case()
{
	date +%s > "$STATE/$1.began"
	mkdir -p "$CHECK_TOP/$1"
	setsid env --default-signal=INT,QUIT tests/kit/check.sh --case "$1" > "$CHECK_TOP/$1/log" 2>&1 < /dev/null &
	RUNNING="$RUNNING $!:$1"
}

# end_case PID NAME: say how it ended. One that was killed has left no code.
end_case()
{
	wait "$1" || true
	took=$(($(date +%s) - $(cat "$STATE/$2.began")))
	rm -f "$STATE/$2.needs"
	echo "$took kit.$2" >> "$STATE/times"
	if [ -e "$STATE/$2.skip" ]; then
		SKIPPED=$((SKIPPED + 1))
		printf '  SKIP    kit.%s  (%s)\n' "$2" "$(cat "$STATE/$2.skip")"
	elif [ "$(cat "$STATE/$2.code" 2>/dev/null)" = 0 ]; then
		PASSED=$((PASSED + 1))
		printf '  PASS    kit.%s  (%d s)\n' "$2" "$took"
	else
		FAILED=$((FAILED + 1))
		printf '  FAIL    kit.%s  (%d s)\n' "$2" "$took"
		[ -e "$STATE/$2.code" ] || echo "          it was killed"
		tail -n 30 "$CHECK_TOP/$2/log" | sed 's/^/          /'
		# What the commands of the case said about failures may stand far before its end.
		{
			echo "  kit.$2"
			grep -aE '^ *(FAIL|CRASH|TIMEOUT|error:|mmuml: (FAIL|error))' "$CHECK_TOP/$2/log" | tail -n 6 || true
			tail -n 4 "$CHECK_TOP/$2/log"
		} | sed 's/^/    /' >> "$STATE/failed"
	fi
	pkill -KILL -s "$1" 2>/dev/null || true
}

# Those of RUNNING that ended are said to.
reap_cases()
{
	still=''
	for job in $RUNNING; do
		if [ -e "$STATE/${job#*:}.code" ] || ! kill -0 "${job%%:*}" 2>/dev/null; then
			end_case "${job%%:*}" "${job#*:}"
		else
			still="$still $job"
		fi
	done
	RUNNING=$still
}

run_cases()
{
	RUNNING=''
	trap 'stop_cases; exit 130' INT TERM HUP
	while [ -s "$STATE/list" ] || [ -n "$RUNNING" ]; do
		# shellcheck disable=SC2086 # words
		set -- $RUNNING
		NEXT=''
		[ $# -ge "$AT_ONCE" ] || next_case
		if [ -n "$NEXT" ]; then
			start_case "$NEXT"
			continue
		fi
		sleep 0.1
		reap_cases
	done
	trap - INT TERM HUP
}

# Whatever the cases in progress have started: asked first, so that the runner can take its kernels down.
stop_cases()
{
	for job in $RUNNING; do
		pkill -TERM -s "${job%%:*}" 2>/dev/null || true
	done
	for _ in $(seq 30); do
		left=''
		for job in $RUNNING; do
			! pgrep -s "${job%%:*}" >/dev/null || left=1
		done
		[ -n "$left" ] || break
		sleep 0.1
	done
	for job in $RUNNING; do
		pkill -KILL -s "${job%%:*}" 2>/dev/null || true
	done
	echo "mmuml: check: interrupted"
}

# run_case: the one in FUNCTION; the code is the last thing that it leaves.
run_case()
{
	lacks=''
	[ -z "${MAY-}" ] || lacks=$(host_lacks "$MAY")
	if [ -n "$lacks" ]; then
		echo "$lacks" > "$STATE/$CASE.skip"
		echo 4 > "$STATE/$CASE.code"
		return 0
	fi
	# Not as a condition: errexit would not hold inside it.
	set +e
	( set -eu; "$FUNCTION" )
	echo $? > "$STATE/$CASE.code.new"
	mv "$STATE/$CASE.code.new" "$STATE/$CASE.code"
}

# What failed, once more, behind all that passed: the log of a check is long, and often only its end is kept.
show_failures()
{
	[ -s "$STATE/failed" ] || return 0
	echo "what failed:"
	cut -c 1-400 "$STATE/failed"
}

# Where the time went, slowest first: 15 lines, or all of them.
show_times()
{
	[ -s "$STATE/times" ] || return 0
	echo "where the time went:"
	sort -rn "$STATE/times" | if [ -n "$VERBOSE" ]; then cat; else head -n 15; fi | awk '{ printf "  %5d s  %s\n", $1, $2 }'
	[ "$SKIPPED" = 0 ] || echo "skipped, this host lacking something: $SKIPPED cases"
	[ "$LEFT_OUT" = 0 ] || echo "left out without FULL=1: $LEFT_OUT cases"
}
