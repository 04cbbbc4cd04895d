#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Make the kernel tree of a stack of changes: base, uml-config/patches, the series, one commit each.
# usage: scripts/tree.sh          bring build/trees/NAME to the stack that S= and LINUX= ask for
#        scripts/tree.sh --name   print NAME
#        scripts/tree.sh --since  print the commit below the series: what differs from it is the change under study.
#                                 With LINUX= and no S=: SINCE=, or what is uncommitted, or the last commit
#        scripts/tree.sh --series print the stack's changes, one a line
#        scripts/tree.sh --patches print the paths of their patches, one a line
#        scripts/tree.sh --commit make the stack's commit in build/git, no work tree, and print it
# S is a list of changes, separated by commas: names below mm-changes/, directories of patches, mail boxes; "default" and
# "none" are what they say; NAME@N stands for the first N patches of one, and git:REV in the first place for that commit of
# LINUX (of build/git without LINUX).
# FROM=NAME: a tree that is made anew starts as a copy of that one. A patch that does not apply leaves the tree as it was.
set -eu
. scripts/lib/kit.sh
. scripts/tree/stack.sh
. scripts/tree/user.sh
. scripts/tree/apply.sh
. scripts/tree/worktree.sh

S=${S-}
LINUX=${LINUX-}
FROM=${FROM-}

# The stack's commit, in build/git; sets BASE.
find_commit()
{
	prune_alternates
	rev=$(revision) || exit $?
	if [ -n "$LINUX" ]; then
		BASE=$(snapshot "$rev") || exit $?
	elif [ -n "$rev" ]; then
		BASE=$rev
	else
		BASE=$(kgit rev-parse -q --verify refs/mmuml/base) || die $EX_HOST "no kernel source" "$KGIT has no base commit" "make fetch"
	fi
	want=$(stack_commit "$BASE") || exit $?
}

make_tree()
{
	find_commit
	# What a killed git left behind; nobody else works here while we hold the lock.
	find "$KGIT" -maxdepth 3 -name 'index.lock' -mmin +1 -delete 2>/dev/null || true
	if [ ! -e "$DIR/.git" ] || [ ! -f "$READY" ]; then
		new_tree "$want"
	fi
	update_tree "$want"
}

# The stack without the series. Dates are fixed, so it is the commit that lies in the tree's history, or has its content.
since()
{
	if [ -z "$LINUX" ]; then
		BASE=$(kgit rev-parse -q --verify refs/mmuml/base) || die $EX_HOST "no kernel source" "$KGIT has no base commit" "make fetch"
	elif [ -n "$S" ]; then
		BASE=$(tgit "$DIR" rev-list --max-parents=0 HEAD)
	else
		BASE=$(theirs_below) || exit $?
	fi
	[ -n "$BASE" ] || return 0
	S=none QUIET=1
	PATCHES=$(stack_patches) || exit $?
	stack_commit "$BASE"
}

# SCRATCH: a directory of this process. Two at once, the one under the lock and a --since beside it, must not meet in a file.
own_directory()
{
	mkdir -p "$BUILD/trees"
	SCRATCH=$(realpath "$(mktemp -d "$BUILD/tree.XXXXXX")")
	trap 'rm -rf "$SCRATCH"' EXIT
	trap 'exit $EX_INTERRUPTED' INT TERM HUP
}

NAME=$(tree_name)
DIR=$BUILD/trees/$NAME
READY=$KGIT/worktrees/$NAME/mmuml-ready	# the tree was made to its end
case ${1-} in
--name)
	echo "$NAME"
	;;
--series)
	series_names
	;;
--since)
	own_directory
	since
	;;
--patches)
	series_patches
	;;
--commit)
	PATCHES=$(stack_patches) || exit $?
	own_directory
	one_at_a_time tree find_commit >&2
	echo "$want"
	;;
'')
	PATCHES=$(stack_patches) || exit $?
	own_directory
	one_at_a_time tree make_tree
	;;
*)
	die $EX_USAGE "tree.sh: unknown argument $1" "" "make help"
	;;
esac
