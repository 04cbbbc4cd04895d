#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# One round of make watch: what was saved is built, the tests that it concerns are run, then the others. mmuml-watch starts it, and
# ends it (SIGTERM) when something else is saved.
# usage: SAVED=MS WATCH=DIR scripts/watch/round.sh TREE GUEST RUNNER ARGS...     SAVED: empty for the first round
# DIR/saved: "KIND PATH" of what was saved since the last verdict; edited: what the tree may have beyond what it was made of;
# last: the verdict so far; runs: directories of earlier rounds.
set -eu
. scripts/lib/kit.sh
. scripts/watch/say.sh

KEEP=20		# directories of rounds, the newest
tree=$1 guest=$2
shift 2
out=$tree/build-$PROFILE

# uncut COMMAND...: one that leaves a tree that git does not know if it is cut short. mmuml-watch asks again.
uncut()
{
	trap '' INT TERM HUP
	code=0
	"$@" > "$WATCH/log" 2>&1 || code=$?
	trap - INT TERM HUP
	return $code
}

# stage WHAT COMMAND...: or the round ends with what it said.
stage()
{
	what=$1
	shift
	status "$what"
	"$@" > "$WATCH/log" 2>&1 || no_verdict "no $what" "$WATCH/log"
}

# make_tree: what a user saved in a tree of his own is all that differs there from the last round.
make_tree()
{
	status tree
	saved_of kernel > "$WATCH/among"
	list=$WATCH/among
	! is_saved 'patches|config' || list=
	AMONG=$list uncut scripts/tree.sh || no_verdict "no tree" "$WATCH/log"
	# The work of git in the tree was this round's.
	[ -n "$LINUX" ] || printf t >&7
	rm -f "$WATCH/edited"
}

make_kernel()
{
	status kernel
	code=0
	if [ ! -f "$out/vmlinux" ]; then
		scripts/build.sh "$tree" "$PROFILE" 7>&- || no_verdict "no kernel"
		: > "$WATCH/log"
	else
		scripts/build.sh "$tree" "$PROFILE" > "$WATCH/log" 2> "$WATCH/refused" 7>&- || code=$?
	fi
	compiler_says
	if [ $code != 0 ]; then
		if [ $code = $EX_BUILD ] && [ -s "$WATCH/said" ]; then
			no_verdict "does not build" "$WATCH/said"
		fi
		no_verdict "no kernel" "$WATCH/refused"
	fi
	! grep -q 'warning: ' "$WATCH/said" || show "$WATCH/said"
	printf b >&7
}

# make_guest: the programs that were compiled anew, area.file, are added to WATCH/programs.
make_guest()
{
	status guest
	code=0
	flock "$BUILD/$(lock_of "$tree/build-guest").lock" make -s -j"$(nproc)" -C tests TREE="$TOP/$tree" CC=gcc > "$WATCH/log" 2>&1 7>&- || code=$?
	{ sed -n 's/^  CC  *tests\///p' "$WATCH/log"; saved_of tests; } | sed -n '/^lib\//d; /^init/d; s/^kit\/guest/kit/; s/\//./; s/\.c$//p' >> "$WATCH/programs"
	if [ $code != 0 ]; then
		compiler_says
		no_verdict "does not build" "$WATCH/said"
	fi
}

# ask TESTS: which tests an edit concerns. TESTS, LABEL and HOW are what changed.sh says: some, all or none.
ask()
{
	code=0
	[ ! -f "$WATCH/edited" ] || saved_of kernel >> "$WATCH/edited"
	T=$1 AMONG=$WATCH/edited scripts/changed.sh only "$tree" printf '%s\n' > "$WATCH/asked" 2> "$WATCH/refused" || code=$?
	TESTS=$(sed -n '/^--tests$/{n;p;}' "$WATCH/asked" | tail -n 1)
	said=$(sed -n 's/^  CHANGED //p' "$WATCH/asked")
	case $code:$said in
	0:"all tests: there is no map"*)
		HOW=all ;;
	0:"all tests: "*)
		HOW=all WHY=${said#all tests: } ;;
	0:*"reach "*)
		HOW=some LABEL=${said##*reach } ;;
	0:*)
		HOW=some LABEL=${said%% is executed by *} ;;
	*)
		HOW=none WHY=$(sed -n 's/^mmuml: error: //p' "$WATCH/refused") ;;
	esac
}

# run ARGS: the runner; VERDICT is what it came to, without "of N" where all passed.
run()
{
	rm -f "$WATCH/verdict"
	"$@" --started "$(echo "$began" | sed 's/...$/.&/')" --what watch 7>&- | show_tests
	[ -s "$WATCH/verdict" ] || no_verdict "no test was run"
	VERDICT=$(sed 's/^PASS \([0-9]*\) of [0-9]*/PASS \1/' "$WATCH/verdict")
}

# old_runs: the directories of rounds before the last ones go.
old_runs()
{
	find out/runs -maxdepth 1 -name '*-watch*' 2>/dev/null | sort | head -n -$KEEP | xargs -r rm -rf
}

# tests_of_programs: of those in WATCH/programs, with commas between.
tests_of_programs()
{
	awk -F'\t' 'NR == FNR { want[$1]; next } $2 in want { print $1 }' "$WATCH/programs" "$guest/tests.list" | paste -sd,
}

# first_part: the tests that the save concerns, or all where that is not known.
first_part()
{
	others=$(printf '%s' "$T" | tr -s ', ' '\n' | sed '/^@changed$/d; /^$/d' | paste -sd,)
	programs=$(tests_of_programs)
	HOW=some TESTS=$programs LABEL=$(names) WHY=
	case ,$T, in
	,, | *,@changed,*)
		if [ -n "$FIRST" ] || is_saved 'kernel|patches|config'; then
			ask "@changed${others:+,$others}${programs:+,$programs}"
		elif [ -z "$programs" ]; then
			HOW=none
		fi
		[ "$HOW" != none ] || [ -z "$others$programs" ] || HOW=some TESTS=$others${others:+${programs:+,}}$programs ;;
	*)
		TESTS=$T ;;
	esac
	printf '%s\n' "$TESTS" | tr ',' '\n' > "$WATCH/first"
	[ "$HOW" != none ] || return 0
	[ "$HOW" != all ] || TESTS=$others
	stamp changed
	status "$LABEL"
	run "$@" --tests "$TESTS" --first "$WATCH/first"
	put "$at  $LABEL  $VERDICT  $(took)${WHY:+  ($WHY)}"
	stamp verdict
	echo "$at  $LABEL  $VERDICT" > "$WATCH/last"
}

# the_rest: all tests, those that the save concerns first.
the_rest()
{
	if [ -n "$T" ] && [ "$HOW" = none ]; then
		put "$at  $LABEL  ${WHY:-no test is concerned}  $(took)"
	fi
	[ -z "$T" ] && [ "$HOW" != all ] || return 0
	status "all tests"
	run "$@" --tests '' --first "$WATCH/first"
	case $VERDICT in
	PASS*)	text="all $(echo "$VERDICT" | sed 's/^PASS \([0-9]*\)/\1 PASS/')" ;;
	*)	text="all: $VERDICT" ;;
	esac
	if [ "$HOW" = none ]; then
		put "$at  ${WHY:-$LABEL}  $text  $(took)"
		echo "$at  ${WHY:-$LABEL}  $text" > "$WATCH/last"
	else
		put "          $text  $(took)"
		echo "$(cat "$WATCH/last"), $text" > "$WATCH/last.new"
		mv "$WATCH/last.new" "$WATCH/last"
	fi
}

# no_map: how to get one, once.
no_map()
{
	[ ! -f "$BUILD/map/map" ] && [ ! -f "$WATCH/no_map" ] || return 0
	: > "$WATCH/no_map"
	put "  NOTE    which tests an edit concerns is not known: all are run  (make map, once; or make watch T=)"
}

FIRST=
[ -n "$SAVED" ] || FIRST=1
if [ -n "$FIRST" ]; then
	rm -f "$WATCH/last" "$WATCH/edited" "$WATCH/no_map" "$WATCH/programs"
	: > "$saved"
fi
: > "$WATCH/shown"
: > "$WATCH/times"
stamp start
touch "$WATCH/programs"
old_runs
if is_saved 'patches|config' || { [ -n "$LINUX" ] && is_saved kernel; }; then
	make_tree
	stamp tree
fi
if is_saved config || grep -qE '^kernel (.*/)?Kconfig' "$saved"; then
	stage configuration scripts/config.sh "$tree" "$PROFILE"
fi
if [ -n "$FIRST" ] || is_saved 'kernel|patches|config'; then
	make_kernel
	stamp kernel
fi
if [ -n "$FIRST" ] || is_saved 'tests|patches|config'; then
	make_guest
	stamp guest
fi
[ -z "$FIRST" ] || : > "$WATCH/programs"
case ,$T, in ,, | *,@changed,*) no_map ;; esac
first_part "$@"
: > "$saved"
: > "$WATCH/programs"
the_rest "$@"
