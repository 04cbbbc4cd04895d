#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The tests that reach what is edited, by the map that the last run of all tests under make coverage left (scripts/coverage/map.c).
# usage: scripts/changed.sh only TREE RUNNER ARGS...    make run T=@changed: those alone, and what else T= names
#        scripts/changed.sh first TREE RUNNER ARGS...   make run: those first, then the rest
# AMONG=FILE: all that can be edited, for who knows it (git then looks at no other file); where it is not there, it is written.
# Edited is what the tree has beyond the stack that it was made of; if nothing, what S= or LINUX= brings. Those that failed last
# come first, then the shortest. What the map does not know is run: then it is all tests.
set -eu
. scripts/lib/kit.sh

how=$1 tree=$2
shift 2
map=$BUILD/map
work=$(scratch changed)
trap 'rm -rf "$work"' EXIT

# edited COMMIT: the files that are other than in the commit that the tree was made of.
edited()
{
	if [ ! -f "${AMONG-/}" ]; then
		tgit "$tree" diff --name-only "$1" --
	elif [ -s "$AMONG" ]; then
		(
			IFS='
'
			set -f
			# shellcheck disable=SC2046 # one path a line
			GIT_LITERAL_PATHSPECS=1 tgit "$tree" diff --name-only "$1" -- $(sort -u "$AMONG")
		)
	fi > "$work/edited"
	[ -z "${AMONG-}" ] || cp "$work/edited" "$AMONG"
	cat "$work/edited"
}

# since: the commit below what is edited; nothing if nothing is.
since()
{
	made=$(sed -n 's/^commit //p' "$BUILD/stacks/$(basename "$tree")")
	if [ -z "${LINUX-}" ] && [ -n "$(edited "$made")" ]; then
		echo "$made"
	elif [ -n "${LINUX-}${S-}" ]; then
		scripts/tree.sh --since
	fi
}

# concerned COMMIT: what mmuml-cov ask says of all that differs from it.
concerned()
{
	# The same that since() has looked at, or all that S= or LINUX= brings.
	if [ -s "$work/edited" ]; then
		cp "$work/edited" "$work/files"
	else
		tgit "$tree" diff --name-only "$1" -- > "$work/files"
	fi
	: > "$work/diff"
	while read -r f; do
		case $f in
		Documentation/* | tools/* | *.rst) continue ;;
		esac
		if [ -f "$map/src/$f" ] && [ -f "$tree/$f" ]; then
			git_clean diff --no-index --no-ext-diff --no-color --unified=0 "$map/src/$f" "$tree/$f" > "$work/one" || true
			sed "s|^+++ .*|+++ b/$f|" "$work/one" >> "$work/diff"
		else
			echo "all $f is not in the map"
		fi
	done < "$work/files"
	"$BUILD/host/mmuml-cov" ask "$map/map" < "$work/diff"
}

# Those that failed in the last run, then by what they took.
in_order()
{
	{
		jq -r '.tests[] | select(.status | IN("FAIL", "CRASH", "TIMEOUT")) | "-1\t" + .name' out/latest/results.json 2>/dev/null || true
		awk -F'\t' 'NF == 2 { print $2 "\t" $1 }' "out/history/${PROFILE:-fast}.plain" 2>/dev/null || true
		sed 's/^/9\t/' "$1"
	} | sort -s -g -k1,1 | cut -f2 | awk -v want="$1" 'BEGIN { while ((getline l < want) > 0) ask[l] } $0 in ask && !seen[$0]++'
}

# functions: "move_ptes()", "move_ptes() and 2 other functions".
functions()
{
	sed -n 's/^function //p' "$work/said" | awk '{ n++ } n == 1 { one = $0 } END {
		printf "%s()%s", one, n == 1 ? "" : n == 2 ? " and another function" : " and " n - 1 " other functions" }'
}

# go_on WHY ARGS: all tests.
go_on()
{
	[ -z "$1" ] || say CHANGED "all tests: $1"
	shift
	exec_runner "$@"
}

# The runner takes the place of this shell: what it is to read is an open file by then, and no directory is left.
exec_runner()
{
	trap - EXIT
	[ ! -f "$work/first" ] || exec 8< "$work/first"
	rm -rf "$work"
	exec "$@"
}

others=$(printf '%s' "${T-}" | tr -s ', ' '\n' | sed '/^@changed$/d; /^$/d' | paste -sd,)
commit=$(since)
if [ -z "$commit" ]; then
	[ "$how" = first ] || die "$EX_USAGE" "nothing is edited" "$tree is as it was made" "make run"
	exec_runner "$@"
fi
if [ ! -f "$map/map" ]; then
	why="there is no map yet (make map)"
	[ "$how" = only ] || why=
	go_on "$why" "$@" --tests "$others"
fi
concerned "$commit" > "$work/said"
sed -n 's/^test //p' "$work/said" > "$work/reach"
unknown=$(sed -n 's/^all //p' "$work/said" | head -n 1)
if [ -n "$unknown" ]; then
	go_on "$unknown" "$@" --tests "$others"
fi
if ! grep -q '^function ' "$work/said"; then
	[ "$how" = first ] || die "$EX_SKIP" "no code is edited" "comments and documentation only" "make run"
	exec_runner "$@"
fi
if [ ! -s "$work/reach" ] && grep -qx start "$work/said"; then
	# Any will do: each executes it before its first line.
	sed -n 's/^test //p' "$map/map" > "$work/any"
	in_order "$work/any" | head -n 5 > "$work/reach"
	say CHANGED "$(functions) is executed by each test's start, and by no test itself: the 5 shortest"
elif [ ! -s "$work/reach" ]; then
	[ "$how" = first ] || die "$EX_SKIP" "no test reaches $(functions)" "the map of $(date -r "$map/map" '+%F %T') has none" "make run, or make map"
	exec_runner "$@"
else
	say CHANGED "$(wc -l < "$work/reach") of $(grep -c '^test ' "$map/map") tests reach $(functions)"
fi
in_order "$work/reach" > "$work/first"
case $how in
only) exec_runner "$@" --tests "$(paste -sd, "$work/first")${others:+,$others}" --first /dev/fd/8 ;;
first) exec_runner "$@" --first /dev/fd/8 ;;
esac
