#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Build a change's base and changed side, run the same tests on both, print one report.
# usage: scripts/compare.sh --below      print the stack that S stands on
#        scripts/compare.sh --work DIR   keep the files between the stages (scripts/compare/lib.sh lists them) in DIR
#        scripts/compare.sh      with, in the environment:
#   S=       what to compare with its base: a change, a stack a,b (its last against what is before it), a directory of
#            patches, an mbox, git:REV..REV of LINUX=; empty: every change that has an expect file, one after the other
#   A= B=    two stacks instead of S=
#   EACH=1   patch by patch   REPEAT=n   run each side n times   JSON=1   the machine's form   V=1   all tests and counters
#   README=1 put the values behind a change's promises into the table of its README.md
#   T=       tests; PROFILE_ASKED= profile: what the expect file says otherwise; in another profile its promises are not checked
# Where a stage cannot do its work, its files stay for a day, and the command that repeats it is said.
set -eu
. scripts/lib/kit.sh
. scripts/compare/lib.sh

work=
case ${1-} in
--below) exec scripts/compare/plan.sh --below ;;
--work) work=$2 ;;
'') ;;
*) die $EX_USAGE "compare.sh: unknown argument $1" "" "make help" ;;
esac
keep=$work
[ -n "$work" ] || work=$(scratch compare)
trap '[ -n "$keep" ] || rm -rf "$work"' EXIT

# A comparison that has a result is done with, and what the user has to mend says so itself; of anything else the files are
# all there is.
compare()
{
	mkdir -p "$work/$1"
	rm -f "$work/$1/report.dir"
	stage any scripts/compare/one.sh "$work/$1"
	echo $ended > "$work/$1/code"
	[ ! -f "$work/$1/report.dir" ] || return 0
	case $ended in
	"$EX_USAGE" | "$EX_PATCH" | "$EX_CONFIG" | "$EX_BUILD") ;;
	"$EX_INTERRUPTED") exit $EX_INTERRUPTED ;;
	*)
		keep=1
		say WORK "$work/$1 stays; again: scripts/compare/one.sh $work/$1" >&2 ;;
	esac
}

stage 0 scripts/compare/plan.sh "$work"
total=$(wc -l < "$work/plan")
if [ "$total" = 1 ] && [ -z "$EACH" ] && [ -n "$S$A$B" ]; then
	compare 1
	exit $ended
fi
for nr in $(seq "$total"); do
	# The time of the whole command is the time of its only comparison.
	[ "$total" = 1 ] || STARTED=$(date +%s.%N)
	compare "$nr"
done
if [ -n "$JSON" ]; then
	scripts/compare/summary.sh "$work" >&2
else
	scripts/compare/summary.sh "$work"
fi
