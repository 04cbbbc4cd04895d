#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Make the kernel tree of a stack of changes: base, uml-config/patches, the series, one commit each.
# usage: scripts/tree.sh          bring build/trees/NAME to the stack that S= and LINUX= ask for
#        scripts/tree.sh --name   print NAME
#        scripts/tree.sh --since  print the commit below the series: what differs from it is the change under study.
#                                 With LINUX= and no S=: SINCE=, or what is uncommitted, or the last commit
#        scripts/tree.sh --series print the stack's changes, one a line
#        scripts/tree.sh --patches print the paths of their patches, one a line
#        scripts/tree.sh --stack  print what the tree was made of when it last was: build/stacks/NAME (see below)
#        scripts/tree.sh --commit make the stack's commit in build/git, no work tree, and print it
# S is a list of changes, separated by commas: names below mm-changes/, directories of patches, mails (scripts/mbox); "default"
# and "none" are what they say; NAME@N stands for the first N patches of one, and git:REV in the first place for that commit of
# LINUX (of build/git without LINUX).
# FROM=NAME: a tree that is made anew starts as a copy of that one; without it of the one that is nearest, if any is near. A
# patch that does not apply leaves the tree as it was.
#
# build/stacks/NAME, "KEY VALUE" one a line, for the stages after this one:
#   name    NAME
#   linux   LINUX=, absolute; empty: the kit's own source
#   stack   S= as it was asked for
#   kernel  the version that the tree's Makefile states
#   base    the commit in build/git below all patches; of a user's tree, its snapshot
#   commit  that of the tree, base and patches; what the tree has beyond it is the user's
#   from    the tree that it was made as a copy of, if it was
#   left    a topic of uml-config/patches, or a change of the default stack, that is not in it, and why
#   patch   SHA-256 and path; one line for each that is in it, in their order, the kit's own first
set -eu
. scripts/lib/kit.sh
. scripts/lib/kernels.sh
. scripts/lib/stack.sh
. scripts/tree/series.sh
. scripts/tree/stack.sh
. scripts/tree/user.sh
. scripts/tree/apply.sh
. scripts/tree/refuse.sh
. scripts/tree/worktree.sh

S=${S-}
LINUX=${LINUX-}
KERNEL=${KERNEL-}
FROM=${FROM-}

kit_base()
{
	kernel=$(kernel_asked) || exit $?
	kgit rev-parse -q --verify "refs/mmuml/${kernel:+kernel/}${kernel:-base}" ||
		die $EX_HOST "no kernel source" "$KGIT has no base commit" "make fetch${kernel:+ KERNEL=$kernel}"
}

# The stack's commit, in build/git; sets BASE.
# shellcheck disable=SC2031 # SCRATCH and BASE are this shell's, whatever record() sets in its own
find_commit()
{
	# What a killed git left behind; nobody else works here while we hold the lock.
	find "$KGIT" "$KGIT/worktrees/$NAME" -maxdepth 1 -name '*index.lock' -mmin +1 -delete 2>/dev/null || true
	prune_alternates
	rev=$(revision) || exit $?
	if [ -n "$LINUX" ]; then
		BASE=$(snapshot "$rev") || exit $?
	elif [ -n "$rev" ]; then
		BASE=$rev
	else
		BASE=$(kit_base) || exit $?
	fi
	PATCHES=$(series_patches) || exit $?
	record "$BASE" "$PATCHES" > "$SCRATCH/record" || exit $?
	want=$(sed -n 's/^top //p' "$SCRATCH/record")
}

# shellcheck disable=SC2031
# What is not in the tree and what that means, once: when the tree is made or becomes another.
say_left()
{
	sed -n 's/^left //p' "$SCRATCH/record" | while read -r topic why; do
		say LEFT "$topic, not for this tree: $(topic_says uml-config/patches/series "$topic" 'without it')"
		say '' "$why"
	done
	elements "$S" | while read -r e; do
		say_not_taken "$e" "$(read_dir "$e")/left"
	done
	# Without S= a tree of the user's has no default stack.
	case ,${S:-${LINUX:+none}}, in ,, | *,default,*) ;; *) return 0 ;; esac
	kernel=$(version_of "$BASE")
	sed '/^#/d; /^$/d' mm-changes/series | while read -r change; do
		! not_for "$change" "$(version_number "$kernel")" ||
			say LEFT "change $change: it has no form for Linux $kernel (mm-changes/$change/base)"
	done
}

make_tree()
{
	find_commit
	was=$(kgit rev-parse -q --verify "refs/mmuml/tree/$NAME" || true)
	if [ ! -e "$DIR/.git" ] || [ ! -f "$READY" ]; then
		new_tree "$want"
		was=
	fi
	update_tree "$want"
	[ "$was" = "$want" ] || say_left
	write_stack "$want"
}

# unchanged: whether nothing of what decides the tree has changed since it was last brought to its stack: the kit's and the
# named patches, the scripts, the kernels in build/git, where the tree stands. Of a user's tree git alone knows.
unchanged()
{
	[ -z "$LINUX" ] && [ -e "$DIR/.git" ] && [ -f "$READY" ] && [ -f "$STACK" ] || return 1
	case $S in *git:*) return 1 ;; esac
	[ "$(cat "$CHECKED" 2>/dev/null)" = "$S $KERNEL" ] || return 1
	set -- mm-changes uml-config scripts "$KGIT/HEAD" "$KGIT/refs/mmuml/base" "$KGIT/refs/mmuml/kernel" "$KGIT/worktrees/$NAME/HEAD"
	case $S in
	*/*)
		elements "$S" > "$CHECKED.elements"
		while read -r e; do
			e=$(change_of "$e")
			[ ! -e "$e" ] || set -- "$@" "$e"
		done < "$CHECKED.elements"
		rm -f "$CHECKED.elements" ;;
	esac
	# By the time of the last change of their inodes, which no copy and no touch can set back.
	[ -z "$(find "$@" -newercm "$CHECKED" -print -quit 2>&1)" ]
}

# The base commit of the tree as it was made, if it was.
recorded_base()
{
	[ -f "$READY" ] && [ -f "$STACK" ] || return 0
	recorded=$(sed -n 's/^base //p' "$STACK")
	kgit rev-parse -q --verify "$recorded^{commit}" || true
}

# That of a tree that was not made, or before there were such files.
find_base()
{
	rev=$(revision) || exit $?
	if [ -n "$LINUX" ]; then
		tgit "$DIR" rev-list --max-parents=0 HEAD
	elif [ -n "$rev" ]; then
		echo "$rev"
	else
		kit_base
	fi
}

# The stack without the series. Dates are fixed, so it is the commit that lies in the tree's history, or has its content.
since()
{
	if [ -n "$LINUX" ] && [ -z "$S" ]; then
		BASE=$(theirs_below) || exit $?
	else
		BASE=$(recorded_base)
		[ -n "$BASE" ] || BASE=$(find_base) || exit $?
	fi
	[ -n "$BASE" ] || return 0
	QUIET=1
	record "$BASE" '' | sed -n 's/^top //p'
}

# SCRATCH: a directory of this process. Two at once, the one under the lock and a --since beside it, must not meet in a file.
own_directory()
{
	mkdir -p "$BUILD/trees"
	SCRATCH=$(realpath "$(scratch tree)")
	trap 'rm -rf "$SCRATCH"' EXIT
	trap 'exit $EX_INTERRUPTED' INT TERM HUP
}

NAME=$(tree_name)
DIR=$BUILD/trees/$NAME
STACK=$BUILD/stacks/$NAME
CHECKED=$BUILD/stacks/$NAME.checked	# its time: all that is older is in the tree
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
--stack)
	if [ ! -f "$READY" ] || [ ! -f "$STACK" ]; then
		die $EX_USAGE "there is no tree $DIR" "$STACK is written when it is made" "make tree${LINUX:+ LINUX=$LINUX}${S:+ S=$S}"
	fi
	cat "$STACK"
	;;
--patches)
	series_patches
	;;
--commit)
	own_directory
	one_at_a_time tree find_commit >&2
	echo "$want"
	;;
'')
	! unchanged || exit 0
	own_directory
	echo "$S $KERNEL" > "$SCRATCH/checked"
	one_at_a_time tree make_tree
	mv "$SCRATCH/checked" "$CHECKED"
	;;
*)
	die $EX_USAGE "tree.sh: unknown argument $1" "" "make help"
	;;
esac
