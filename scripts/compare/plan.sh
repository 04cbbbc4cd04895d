#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Stage of make compare: from S=, A=, B=, EACH= and LINUX= to what is compared with what.
# usage: scripts/compare/plan.sh WORK      -> WORK/plan, and the rest of the environment in WORK/asked
#        scripts/compare/plan.sh --below   print the stack that S stands on
# One comparison a line, five columns with tabs between: stack of the base, changed stack, name, expect file or "-", and
# "step" for one patch of a series or "-".
set -eu
. scripts/lib/kit.sh
. scripts/compare/lib.sh
. scripts/lib/stack.sh

default_stack()
{
	sed '/^#/d; /^$/d' mm-changes/series
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
	change=$(change_of "$1")
	if default_stack | grep -qxF "$change"; then
		default_stack | sed "/^$change\$/,\$d" | commas
	elif [ -f "mm-changes/$change/base" ]; then
		sed '/^#/d; /^[0-9]/d; /^$/d' "mm-changes/$change/base" | commas
	elif [ -z "$LINUX" ]; then
		echo default
	fi
}

# as_made: whether the default tree is there as the kit made it.
as_made()
{
	[ -z "$LINUX" ] && [ -d "$BUILD/trees/default" ] &&
	[ "$(tgit "$BUILD/trees/default" rev-parse HEAD)" = "$(kgit rev-parse -q --verify refs/mmuml/tree/default)" ] &&
	tgit "$BUILD/trees/default" diff-index --quiet HEAD --
}

# known STACK: as S= takes it, where empty means none here; "default" for the stack that it is: no tree more is needed.
known()
{
	whole=$(default_stack | commas)
	if [ "$1" = "$whole" ] && as_made; then
		echo default
	else
		echo "${1:-none}"
	fi
}

# sides: set STACK_A, STACK_B, NAME, EXPECT and LAST, the change that the steps are of, from S=, A= and B=.
sides()
{
	EXPECT=- LAST=$(elements "$B" | tail -n 1)
	if [ -n "$A$B" ]; then
		if [ -z "$A" ] || [ -z "$B" ]; then
			die $EX_USAGE "A= and B= go together" "" "make compare A=none B=default"
		fi
		STACK_A=$A STACK_B=$B NAME="$A..$B"
		# Of two kernels there is a choice of what to look at.
		[ -n "$T" ] || [ "$(kernel_of "$A")" = "$(kernel_of "$B")" ] || EXPECT=uml-config/kernels/expect
		return 0
	fi
	case $S in
	git:*..*)
		NAME=${S#git:}
		ends=$(range_of "$NAME" "${LINUX:-$BUILD/git}") || exit $?
		STACK_A=git:${ends% *} STACK_B=git:${ends#* }
		return 0 ;;
	git:*) die $EX_USAGE "$S is no range" "two revisions are compared" "make compare S=git:REV..REV LINUX=tree" ;;
	esac
	LAST=$(elements "$S" | tail -n 1) below=
	if [ "$LAST" != "$S" ]; then
		below=${S%,"$LAST"}
	else
		below=$(base_of "$LAST")
	fi
	STACK_B=${below:+$below,}$LAST
	[ "$below" != none ] || STACK_B=$LAST
	STACK_A=$(known "$below")
	STACK_B=$(known "$STACK_B")
	NAME=$(basename "$LAST")
	for f in "mm-changes/$LAST/expect" "$LAST/expect"; do
		[ "$EXPECT" != - ] || [ ! -f "$f" ] || EXPECT=$f
	done
}

# line BASE CHANGED NAME EXPECT STEP
line()
{
	printf '%s\t%s\t%s\t%s\t%s\n' "$@"
}

# Every change with an expect file against what it stands on.
plan_all()
{
	found=
	for e in mm-changes/*/expect; do
		[ -f "$e" ] || continue
		found=1 S=$(basename "$(dirname "$e")")
		sides
		line "$STACK_A" "$STACK_B" "$NAME" "$EXPECT" -
	done
	[ -n "$found" ] || die $EX_USAGE "nothing to compare" "no change below mm-changes/ has an expect file" "make compare S=NAME"
}

# git_steps REV REV: commits from the one to the other, oldest first, by first parents: a merge is one step, with all that it
# brought. Each stands beside its own first parent: "PARENT COMMIT", one a line.
git_steps()
{
	repo=${LINUX:-$BUILD/git}
	ugit "$repo" rev-list --first-parent --reverse --parents "$1..$2" \
		> "$work/commits" 2> "$work/commits.log" ||
		die $EX_USAGE "no commits in $1..$2" "$(sed -n '1s/^fatal: //p' "$work/commits.log")" "git -C $repo log --oneline -5"
	awk 'NF < 2 { print $1; exit 1 } { print $2, $1 }' "$work/commits" > "$work/pairs" ||
		die $EX_USAGE "a commit of $1..$2 has no parent" "$(tail -n 1 "$work/pairs")" "make compare S=git:REV..REV LINUX=tree"
	sed 's/[0-9a-f]\{40,\}/git:&/g' "$work/pairs"
}

# patch_steps: the same for the patches of the last change, stacks with one more of them each.
patch_steps()
{
	S=$LAST scripts/tree.sh --patches > "$work/patches"
	below=$STACK_A
	[ "$below" != none ] || below=
	awk -v below="$below" -v last="$LAST" -v none="$STACK_A" '
		{ now = (below ? below "," : "") last "@" NR; print (NR > 1 ? before : none), now; before = now }' "$work/patches"
}

# Patch by patch, then the whole, which has to keep what it promises.
plan_each()
{
	case $STACK_B in
	git:*) git_steps "${STACK_A#git:}" "${STACK_B#git:}" ;;
	*) patch_steps ;;
	esac > "$work/steps"
	total=$(wc -l < "$work/steps")
	nr=0
	while [ "$total" -gt 1 ] && read -r one other; do
		nr=$((nr + 1))
		line "$one" "$other" "$NAME patch $nr of $total" "$EXPECT" step
	done < "$work/steps"
	line "$STACK_A" "$STACK_B" "$NAME" "$EXPECT" -
}

if [ "${1-}" = --below ]; then
	sides
	echo "$STACK_A"
	exit 0
fi
work=$1
case $REPEAT in
*[!0-9]* | 0*) die $EX_USAGE "REPEAT=$REPEAT is no number of runs" "" "make compare REPEAT=5" ;;
esac
mkdir -p "$work"
printf '%s\n' "T $T" "LINUX $LINUX" "KERNEL $KERNEL" "REPEAT $REPEAT" "SEED $SEED" "APPEND $APPEND" "MEM $MEM" "SCALE $SCALE" \
	"PROFILE_ASKED $PROFILE_ASKED" "V $V" "JSON $JSON" "README $README" > "$work/asked"
if [ -z "$S$A$B" ]; then
	plan_all > "$work/plan.tmp"
else
	sides
	if [ -n "$EACH" ]; then
		plan_each > "$work/plan.tmp"
	else
		line "$STACK_A" "$STACK_B" "$NAME" "$EXPECT" - > "$work/plan.tmp"
	fi
fi
mv "$work/plan.tmp" "$work/plan"
