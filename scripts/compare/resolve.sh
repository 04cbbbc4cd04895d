#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Stage of make compare: what one line of the plan means: profile, tests, the two trees.
# usage: scripts/compare/resolve.sh WORK/N   -> WORK/N/what
# PROFILE_ASKED= and T= go before what the expect file says; in another profile its promises are not checked.
set -eu
. scripts/lib/kit.sh
. scripts/compare/lib.sh

use "$1" ../plan plan
nr=$(basename "$dir")
column()
{
	sed -n "${nr}p" "$dir/../plan" | cut -f "$1"
}

base=$(column 1) changed=$(column 2) name=$(column 3) expect=$(column 4) step=$(column 5)
[ -n "$base" ] || die $EX_USAGE "$(dirname "$dir")/plan has no line $nr" "" "cat $(dirname "$dir")/plan"
: > "$dir/expect"
[ "$expect" = - ] || "$BUILD/host/mmuml-compare" --expect "$expect" --print > "$dir/expect"
promised=$(sed -n 's/^profile //p' "$dir/expect")
promised=${promised:-fast}
profile=${PROFILE_ASKED:-$promised}
tests=${T:-$(sed -n 's/^tests //p' "$dir/expect")}
if [ "$expect" != - ] && [ "$profile" != "$promised" ]; then
	say NOTE "$expect is about PROFILE=$promised: not checked"
	expect=-
fi
tree_a=$(tree_of "$base")
tree_b=$(tree_of "$changed")
[ "$tree_a" != "$tree_b" ] ||
	die $EX_USAGE "the two sides of $name are the same" "both are $tree_a" "make compare A=none B=default"
{
	printf '%s\n' "base $base" "changed $changed" "name $name" "profile $profile" "tests $tests" \
		"tree.base $tree_a" "tree.changed $tree_b"
	[ "$expect" = - ] || echo "expect $expect"
	[ "$step" = - ] || echo "step $step"
} > "$dir/what.tmp"
mv "$dir/what.tmp" "$dir/what"
