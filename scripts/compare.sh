#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Build a change's base and changed side, run the same tests on both, print one report.
# usage: scripts/compare.sh --below   print the stack that S stands on
#        scripts/compare.sh      with, in the environment:
#   S=       what to compare with its base: a change, a stack a,b (its last against what is before it), a directory of
#            patches, an mbox, git:REV..REV of LINUX=; empty: every change that has an expect file, one after the other
#   A= B=    two stacks instead of S=
#   EACH=1   patch by patch   REPEAT=n   run each side n times   JSON=1   the machine's form   V=1   all tests and counters
#   README=1 put the values behind a change's promises into the table of its README.md
#   T=       tests; PROFILE_ASKED= profile: what the expect file says otherwise; in another profile its promises are not checked
# Base and changed side are trees and build directories of their own, the second made as a copy of the first, so that
# only the changed objects are compiled. Both are left as make run S= uses them.
set -eu
. scripts/lib/kit.sh

S=${S-} A=${A-} B=${B-} T=${T-} LINUX=${LINUX-} EACH=${EACH-} REPEAT=${REPEAT:-1} V=${V-} JSON=${JSON-} README=${README-}
SEED=${SEED:-1} APPEND=${APPEND-} PROFILE_ASKED=${PROFILE_ASKED-} STARTED=${STARTED:-0} STEP=
export LINUX
# With JSON=1 standard output is the report's alone; what builds say goes beside it.
exec 3>&1
[ -z "$JSON" ] || exec >&2
compare=$BUILD/host/mmuml-compare
runner=$BUILD/host/mmuml-run

# ---- what stands on what ----

default_stack()
{
	grep -v '^#' mm-changes/series | sed '/^$/d'
}

# Names without order or commas doubled: a,b from lines.
commas()
{
	sed '/^$/d' | paste -sd,
}

# base_of CHANGE: the stack that it stands on: what is before it in mm-changes/series, else what its base file names with
# what those stand on, else the default stack.
base_of()
{
	change=${1%@*}
	if default_stack | grep -qxF "$change"; then
		default_stack | sed "/^$change\$/,\$d" | commas
	elif [ -f "mm-changes/$change/base" ]; then
		sed '/^#/d; /^[0-9]/d; /^$/d' "mm-changes/$change/base" | commas
	elif [ -z "$LINUX" ]; then
		echo default
	fi
}

# known STACK: "default" for the stack that it is if its tree is there as the kit made it: no tree more is needed.
known()
{
	if [ -z "$LINUX" ] && [ "$1" = "$(default_stack | commas)" ] && [ -d "$BUILD/trees/default" ] &&
	   [ "$(tgit default rev-parse HEAD)" = "$(kgit rev-parse -q --verify refs/mmuml/tree/default)" ] &&
	   tgit default diff-index --quiet HEAD --; then
		echo default
	else
		or_none "$1"
	fi
}

# tgit NAME ARGS: git in the work tree of that name.
tgit()
{
	(cd "$BUILD/trees/$1" && shift && GIT_CONFIG_GLOBAL=/dev/null git -c safe.directory='*' "$@")
}

# A stack as S= takes it: empty means none here.
or_none()
{
	if [ -n "$1" ]; then echo "$1"; else echo none; fi
}

tree_of()
{
	tree_name=$(S=$1 scripts/tree.sh --name) || exit $?
	echo "$BUILD/trees/$tree_name"
}

# donor FILE: the tree to copy the base from if there is none yet: that of the same LINUX=, else one of the kit's own, the
# first that has FILE.
donor()
{
	for dir in "$(tree_of '')" "$BUILD/trees/default" "$BUILD/trees/none"; do
		[ ! -f "$dir/$1" ] || { echo "$dir"; return 0; }
	done
	echo "$BUILD/trees/default"
}

# sides: set STACK_A, STACK_B, NAME and EXPECT from S=, A= and B=.
sides()
{
	EXPECT='' LAST=${B##*,}
	if [ -n "$A$B" ]; then
		if [ -z "$A" ] || [ -z "$B" ]; then
			die $EX_USAGE "A= and B= go together" "" "make compare A=none B=default"
		fi
		STACK_A=$A STACK_B=$B NAME="$A..$B"
		return 0
	fi
	case $S in
	git:*..*)
		range=${S#git:}
		STACK_A=git:${range%%..*} STACK_B=git:${range##*..} NAME=$range
		return 0 ;;
	git:*) die $EX_USAGE "$S is no range" "two revisions are compared" "make compare S=git:REV..REV LINUX=tree" ;;
	esac
	last=${S##*,} LAST=${S##*,}
	if [ "$last" != "$S" ]; then
		below=${S%,*}
	else
		below=$(base_of "$last")
	fi
	STACK_B=${below:+$below,}$last
	[ "$below" != none ] || STACK_B=$last
	STACK_A=$(known "$below")
	STACK_B=$(known "$STACK_B")
	NAME=$(basename "$last")
	EXPECT=mm-changes/$last/expect
	[ -f "$EXPECT" ] || EXPECT=$last/expect
	[ -f "$EXPECT" ] || EXPECT=
}

# ---- two trees, two builds ----

# retarget FROM TO FILE...: the files that name their tree name the other one; times stay as they were.
retarget()
{
	old=$1 new=$2
	shift 2
	for f; do
		[ -f "$f" ] || continue
		touch -r "$f" "$WORK/stamp"
		sed -i "s|/$old\([/\"]\)|/$new\1|g" "$f"
		touch -r "$WORK/stamp" "$f"
	done
}

# clone_dir FROM TO NAME: the directory NAME of the other tree, times kept, so that nothing in it is made again; a copy
# that was cut short leaves NAME.tmp and is made again.
clone_dir()
{
	[ -d "$1/$3" ] || return 0
	rm -rf "${2:?}/$3" "$2/$3.tmp"
	cp -a --reflink=auto "$1/$3" "$2/$3.tmp"
	retarget "$1" "$2" "$2/$3.tmp"/Makefile "$2/$3.tmp"/.build.env "$2/$3.tmp"/compile_commands.json \
		"$2/$3.tmp"/*.d "$2/$3.tmp"/*/*.d
	[ ! -L "$2/$3.tmp/source" ] || ln -sfn "$TOP/$2" "$2/$3.tmp/source"
	mv "$2/$3.tmp" "$2/$3"
}

# clone_build FROM TO: the kernel's build directory.
clone_build()
{
	if [ ! -f "$2/build-$PROFILE/.config.key" ] && [ -f "$1/build-$PROFILE/.build.key" ] && [ "$1" != "$2" ]; then
		say COPY "$2/build-$PROFILE"
		clone_dir "$1" "$2" "build-$PROFILE"
	fi
}

# guest DONOR: the test programs, on the harness of the base; those of the donor if it has the same. Sets GUEST.
guest()
{
	GUEST=$TREE_A
	if [ "$1" != "$TREE_A" ] && [ -f "$1/build-guest/tests.list" ] &&
	   tgit "$(basename "$1")" diff --quiet "$(tgit "$(basename "$TREE_A")" rev-parse HEAD)" -- \
		tools/testing/selftests/kselftest.h tools/testing/selftests/kselftest_harness.h include/uapi arch/x86/include/uapi
	then
		GUEST=$1
	elif [ ! -d "$TREE_A/build-guest" ] && [ "$1" != "$TREE_A" ]; then
		clone_dir "$1" "$TREE_A" build-headers
		clone_dir "$1" "$TREE_A" build-guest
	fi
	make -s -j"$(nproc)" -C tests TREE="$TOP/$GUEST" CC=gcc || exit $?
	GUEST=$GUEST/build-guest
}

# build_side STACK FROM-TREE: bring its tree and kernel up to date.
build_side()
{
	dir=$(tree_of "$1")
	S=$1 FROM=$(basename "$2") scripts/tree.sh || exit $?
	clone_build "$2" "$dir"
	scripts/config.sh "$dir" "$PROFILE" || exit $?
	scripts/build.sh "$dir" "$PROFILE" || exit $?
}

# The files that differ and of which nothing is compiled; sets IDLE if there are no others.
compiled_files()
{
	IDLE=
	tgit "$(basename "$TREE_B")" diff --name-only "$(tgit "$(basename "$TREE_A")" rev-parse HEAD)" > "$WORK/files"
	[ -s "$WORK/files" ] || die $EX_USAGE "the two sides of $NAME are the same" "$STACK_A and $STACK_B make the same tree" \
				    "make list"
	used=0
	while read -r f; do
		case $f in
		*Kconfig* | *Makefile* | *Kbuild* | scripts/* | *.lds* | *.tbl) used=1 ;;
		*) for t in "$TREE_A" "$TREE_B"; do
			! grep -qF " ../$f" "$t/build-$PROFILE/.inputs" || used=1
		   done ;;
		esac
	done < "$WORK/files"
	[ $used = 1 ] || IDLE="no file that the change touches is compiled by PROFILE=$PROFILE: $(paste -sd' ' "$WORK/files" |
			      cut -c1-200)"
}

# Which lines differ, and where their code begins in the two kernels: $WORK/code.base of those that are gone,
# $WORK/code.changed of the new ones. Not those that run in other threads of the kernel process: no breakpoint may be there.
find_lines()
{
	tgit "$(basename "$TREE_B")" diff -U0 --no-color --no-ext-diff --no-renames \
		"$(tgit "$(basename "$TREE_A")" rev-parse HEAD)" > "$WORK/diff"
	: > "$WORK/lines.base"
	: > "$WORK/lines.changed"
	awk -v work="$WORK" '
	function add(side, path, hunk,	n, i) {
		n = split(substr(hunk, 2), at, ",") > 1 ? at[2] : 1
		for (i = 0; path && i < n; i++)
			print path ":" at[1] + i > (work "/lines." side)
	}
	/^diff /   { old = new = "" }
	/^--- a\// { old = substr($0, 7) }
	/^\+\+\+ b\// { new = substr($0, 7) }
	old ~ /^arch\/um\/(os-Linux|drivers)\// || old !~ /\.[ch]$/ { old = "" }
	new ~ /^arch\/um\/(os-Linux|drivers)\// || new !~ /\.[ch]$/ { new = "" }
	/^@@ /     { add("base", old, $2); add("changed", new, $3) }' "$WORK/diff"
	find_code base "$TREE_A" & code_base=$!
	find_code changed "$TREE_B"
	wait $code_base
}

# More lines than that are no change to be looked at line by line.
MOST_LINES=5000

# find_code WORD TREE
find_code()
{
	: > "$WORK/code.$1"
	[ "$(wc -l < "$WORK/lines.$1")" -gt "$MOST_LINES" ] ||
		"$BUILD/host/mmuml-probe" --find "$2/build-$PROFILE/vmlinux" < "$WORK/lines.$1" | sort -u > "$WORK/code.$1"
}

# Set RAN to N/M: of M changed lines that have code, N ran on the side that has them; empty if that is not known.
count_lines()
{
	RAN=
	all=0 ran=0
	for side in base changed; do
		[ -s "$WORK/code.$side" ] || continue
		# shellcheck disable=SC2046 # paths without blanks
		set -- $(echo "$RUNS" | tr ' ' '\n' | grep -- "-compare-$side" | sed 's|$|/ran|')
		for f; do [ -f "$f" ] || return 0; done
		all=$((all + $(cut -d' ' -f2 "$WORK/code.$side" | sort -u | wc -l)))
		ran=$((ran + $(sort -u "$@" | wc -l)))
	done
	[ $all = 0 ] || RAN=$ran/$all
}

# ---- two runs ----

# Profile valgrind: ir: counters of functions and files below mm/.
counted()
{
	[ "$PROFILE" != valgrind ] || echo --tool cachegrind
}

# run_side TREE STACK WORD: one run with one kernel at a time, so that each test meets the same kernel state on both
# sides; its last line goes to $WORK/WORD.
run_side()
{
	# shellcheck disable=SC2046 # two words or none
	"$runner" --kernel "$1/build-$PROFILE/vmlinux" --guest "$GUEST" --tree "$1" --profile "$PROFILE" \
		--series "$2" --linux "$LINUX" --mem "${MEM:-$(profile_says "$PROFILE" MEM 512)}" \
		--scale "${SCALE:-$(profile_says "$PROFILE" SCALE 1)}" \
		--append "$APPEND" --tests "$TESTS" --seed "$SEED" --jobs 1 --counters --probe "$([ ! -s "$WORK/code.$3" ] || echo "$WORK/code.$3")" \
		--what "compare-$3" --note "$WORK/dir.$3" $(counted) > "$WORK/$3" 2>&1
}

# Both at the same time: what disturbs the one disturbs the other. A failing test is a result; no run directory is an error.
run_both()
{
	rm -f "$WORK/dir.base" "$WORK/dir.changed"
	run_side "$TREE_A" "$STACK_A" base & base=$!
	run_side "$TREE_B" "$STACK_B" changed & changed=$!
	trap 'kill $base $changed 2>/dev/null || true; wait; exit 130' INT TERM HUP
	code=0
	wait $base || code=$?
	wait $changed || code=$?
	trap 'exit 130' INT TERM HUP
	for side in base changed; do
		dir=$(cat "$WORK/dir.$side" 2>/dev/null) || true
		if [ ! -f "$dir/results.json" ]; then
			cat "$WORK/$side" >&2
			[ $code != 0 ] || code=$EX_HOST
			exit $code
		fi
		RUNS="$RUNS --$side $dir"
		say RUN "$side: $(sed 's/^mmuml: //' "$dir/verdict")"
	done
}

# ---- one comparison ----

# ask KEY: what the expect file says.
ask()
{
	[ -z "$EXPECT" ] || sed -n "s/^$1 //p" "$WORK/expect"
}

# Compare STACK_A and STACK_B; the report's exit code.
compare_one()
{
	[ -z "$EXPECT" ] || "$compare" --expect "$EXPECT" --print > "$WORK/expect" || exit $?
	promised=$(ask profile)
	promised=${promised:-fast}
	PROFILE=${PROFILE_ASKED:-$promised}
	TESTS=${T:-$(ask tests)}
	if [ -n "$EXPECT" ] && [ "$PROFILE" != "$promised" ]; then
		say NOTE "$EXPECT is about PROFILE=$promised: not checked"
		EXPECT=
	fi
	TREE_A=$(tree_of "$STACK_A") || exit $?
	TREE_B=$(tree_of "$STACK_B") || exit $?
	[ "$TREE_A" != "$TREE_B" ] ||
		die $EX_USAGE "the two sides of $NAME are the same" "both are $TREE_A" "make compare A=none B=default"
	build_side "$STACK_A" "$(donor "build-$PROFILE/.build.key")"
	guest "$(donor build-guest/tests.list)"
	build_side "$STACK_B" "$TREE_A"
	compiled_files
	# Code under valgrind is valgrind's translation: a breakpoint is never met.
	rm -f "$WORK"/code.*
	[ -n "$(counted)" ] || find_lines
	RUNS=
	say TEST "${TESTS:-all tests}, both sides at once"
	for _ in $(seq "$REPEAT"); do
		run_both
	done
	count_lines
	ended=0
	# shellcheck disable=SC2086 # RUNS: options and paths without blanks
	"$compare" $RUNS --name "$NAME" --base-stack "$STACK_A" --changed-stack "$STACK_B" \
		--base-build "$TREE_A/build-$PROFILE" --changed-build "$TREE_B/build-$PROFILE" --started "$STARTED" \
		${EXPECT:+--expect "$EXPECT"} ${STEP:+--step} ${IDLE:+--idle "$IDLE"} ${RAN:+--ran "$RAN"} ${JSON:+--json} ${V:+--verbose} \
		--note "$WORK/dir" >&3 || ended=$?
	[ -z "$README" ] || [ -n "$STEP" ] || [ $ended != 0 ] || [ -z "$EXPECT" ] ||
		into_readme "$(dirname "$EXPECT")/README.md" "$(cat "$WORK/dir")/table.md"
	return $ended
}

# into_readme FILE TABLE: between the marks.
into_readme()
{
	awk -v table="$2" '
	/^<!-- end of table -->$/ { skip = 0 }
	!skip { print }
	/^<!-- table: .* -->$/ { skip = 1; while ((getline line < table) > 0) print line }' "$1" > "$WORK/readme"
	cat "$WORK/readme" > "$1"
}

# remember CODE: a line of the table at the end; the worst code so far in WORST.
remember()
{
	verdict=$(cat "$WORK/dir" 2>/dev/null)/verdict || true
	rm -f "$WORK/dir"
	if [ -f "$verdict" ]; then
		word=FAILS
		[ "$1" != 0 ] || word=holds
		printf '  %-6s %s\n' $word "$(sed 's/^mmuml: //; s/ -> .*//' "$verdict")" >> "$WORK/table"
	else
		printf '  %-6s compare %s: error %s, see above\n' FAILS "$NAME" "$1" >> "$WORK/table"
	fi
	[ "$1" = 0 ] || [ "$WORST" != 0 ] || WORST=$1
}

summary()
{
	echo
	echo "Summary"
	cat "$WORK/table"
	exit "$WORST"
}

# Every change with an expect file against what it stands on.
compare_all()
{
	WORST=0 found=0
	for e in mm-changes/*/expect; do
		[ -f "$e" ] || continue
		found=1
		S=$(basename "$(dirname "$e")")
		STARTED=$(date +%s.%N)
		sides
		code=0
		(compare_one) || code=$?
		remember $code
	done
	[ $found = 1 ] || die $EX_USAGE "nothing to compare" "no change below mm-changes/ has an expect file" "make compare S=NAME"
	summary
}

# The stacks on the way from A to B, oldest first: patches of the last change, or commits of the range.
steps()
{
	case $STACK_B in
	git:*)
		repo=${LINUX:-$BUILD/git}
		echo "$STACK_A"
		git -c safe.directory='*' -C "$repo" rev-list --reverse "${STACK_A#git:}..${STACK_B#git:}" | sed 's/^/git:/' ;;
	*)
		total=$(S=$LAST scripts/tree.sh --patches | wc -l)
		echo "$STACK_A"
		for i in $(seq "$total"); do
			echo "$STACK_A,$LAST@$i" | sed 's/^none,//'
		done ;;
	esac
}

# Patch by patch, then the whole, which has to keep what it promises; a patch may break what the whole says it breaks.
compare_each()
{
	WORST=0 whole_name=$NAME whole_a=$STACK_A whole_b=$STACK_B
	steps > "$WORK/steps"
	total=$(($(wc -l < "$WORK/steps") - 1))
	for i in $(seq $total); do
		[ $total -gt 1 ] || break
		STACK_A=$(sed -n "${i}p" "$WORK/steps") STACK_B=$(sed -n "$((i + 1))p" "$WORK/steps")
		NAME="$whole_name patch $i of $total" STEP=1 STARTED=$(date +%s.%N)
		code=0
		(compare_one) || code=$?
		# A patch that only prepares is no failure.
		[ "$code" != 4 ] || code=0
		remember $code
	done
	STACK_A=$whole_a STACK_B=$whole_b NAME=$whole_name STEP='' code=0
	[ $total = 1 ] || STARTED=$(date +%s.%N)
	(compare_one) || code=$?
	remember $code
	summary
}

if [ "${1-}" = --below ]; then
	sides
	echo "${STACK_A:-none}"
	exit 0
fi
# What a killed comparison left, if none can be at work in it any more.
find "$BUILD" -maxdepth 1 -name 'compare.??????' -mtime +0 -exec rm -rf {} +
WORK=$(mktemp -d "$BUILD/compare.XXXXXX")
trap 'rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM HUP
if [ -z "$S$A$B" ]; then
	compare_all
fi
sides
if [ -n "$EACH" ]; then
	compare_each
fi
compare_one || exit $?
