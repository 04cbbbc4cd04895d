#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# On each save: build, run the tests that it concerns, say the verdict; then the rest, until the next save (scripts/watch/).
# usage: scripts/watch.sh TREE GUEST RUNNER ARGS...
# Watched are the kernel's tree (LINUX= itself, else TREE), tests/, uml-config/ and the patches of the stack. What a round needs of
# the one before it lies in TREE/build-PROFILE/.watch.
set -eu
. scripts/lib/kit.sh
. scripts/lib/stack.sh

tree=$1
watched=${LINUX:-$tree}
state=$tree/build-$PROFILE/.watch

# patches: where those of the stack come from, as options of mmuml-watch. Without S= a tree of the user's has none.
patches()
{
	stack=${S:-${LINUX:+none}}
	elements "${stack:-default}" | while read -r e; do
		e=$(change_of "$e")
		case $e in
		none | git:* | kernel:*) continue ;;
		default) e=mm-changes ;;
		*) [ ! -d "mm-changes/$e" ] || e=mm-changes/$e ;;
		esac
		if [ -d "$e" ]; then
			echo "--dir=patches=$e"
		elif [ -f "$e" ]; then
			echo "--file=patches=$e"
		fi
	done
}

# git_lock: what is there while git works in the tree that is watched.
git_lock()
{
	if [ -z "$LINUX" ]; then
		echo "$KGIT/worktrees/${tree##*/}/index.lock"
	elif [ "$(ugit "$LINUX" rev-parse --show-toplevel 2>/dev/null)" = "$(realpath "$LINUX")" ]; then
		(cd "$LINUX" && realpath -m "$(ugit . rev-parse --git-path index.lock)")
	fi
}

# edited: what the tree has beyond what it was made of, or beyond its last commit.
edited()
{
	if [ -z "$LINUX" ]; then
		tgit "$tree" diff --name-only "$(sed -n 's/^commit //p' "$BUILD/stacks/${tree##*/}")" --
	else
		ugit "$LINUX" diff --name-only --no-ext-diff HEAD -- 2>/dev/null
	fi | awk 'NR < 5 { words = words (NR > 1 ? ", " : "") $0 } END { if (NR) print words (NR > 4 ? " and " NR - 4 " others" : "") }'
}

mkdir -p "$state"
say WATCH "$watched"
words=$(edited) || true
[ -z "$words" ] || say EDITED "$words"
lock=$(git_lock) || true
options=$(patches) || exit $?
IFS='
'
# shellcheck disable=SC2086 # one option a line
exec env WATCH="$state" "$BUILD/host/mmuml-watch" --state "$state" --tree "kernel=$watched" --inputs "$tree/build-$PROFILE/.inputs" \
	--sources tests=tests --dir config=uml-config $options ${lock:+"--lock=$lock"} -- scripts/watch/round.sh "$@"
