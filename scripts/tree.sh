#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Make the kernel tree of a stack of changes: base, uml-config/patches, the series, one commit each.
# usage: scripts/tree.sh          bring build/trees/NAME to the stack that S= and LINUX= ask for
#        scripts/tree.sh --name   print NAME
#        scripts/tree.sh --series print the names of the stack's changes, one a line
# A patch that does not apply leaves the tree as it was.
set -eu
. scripts/lib.sh

S=${S-}
LINUX=${LINUX-}

# The default stack belongs to the pinned kernel; a user's own tree is tested as it is.
series_names()
{
	if [ "$S" = none ]; then
		return 0
	elif [ -n "$S" ]; then
		echo "$S" | tr ',' '\n'
	elif [ -z "$LINUX" ]; then
		grep -v '^#' mm-changes/series || true
	fi
}

slug()
{
	printf '%s' "$1" | tr -c 'A-Za-z0-9._-' '+'
}

tree_name()
{
	stack=${S:-default}
	if [ -n "$LINUX" ]; then
		path=$(realpath -- "$LINUX" 2>/dev/null || echo "$LINUX")
		sum=$(printf '%s' "$path" | cksum | cut -d' ' -f1)
		echo "linux-$(slug "$(basename "$path")")-$sum${S:+-$(slug "$S")}"
	else
		slug "$stack"
		echo
	fi
}

# patches_of SERIES-FILE: its patches' paths, in order.
patches_of()
{
	dir=$(dirname "$1")
	sed 's/#.*//; s/[[:space:]].*//; /^$/d' "$1" | while read -r p; do
		[ -f "$dir/$p" ] || die $EX_PATCH "no patch $dir/$p" "$1 names it" "git status $dir"
		echo "$dir/$p"
	done
}

near()
{
	find mm-changes -mindepth 1 -maxdepth 1 -type d -printf '%f ' | sed 's/ $//'
}

stack_patches()
{
	patches_of uml-config/patches/series
	for c in $(series_names); do
		[ -f "mm-changes/$c/series" ] ||
			die $EX_USAGE "no change named $c" "there is no mm-changes/$c/series" "make list  (changes: $(near))"
		patches_of "mm-changes/$c/series"
	done
}

check_linux()
{
	[ -e "$LINUX" ] || die $EX_USAGE "LINUX=$LINUX does not exist" "" "make run LINUX=/path/to/a/kernel/tree"
	if [ ! -r "$LINUX" ] || [ ! -x "$LINUX" ]; then
		die $EX_USAGE "LINUX=$LINUX cannot be read" "no permission for user $(id -un)" "ls -ld $LINUX"
	fi
	for f in Makefile arch/um/Kconfig mm/rmap.c; do
		[ -r "$LINUX/$f" ] || die $EX_USAGE "LINUX=$LINUX is not a kernel tree that can be read" \
			"there is no $f in it" "make run LINUX=/path/to/a/kernel/tree"
	done
}

# Every file of the user's tree but what a build leaves behind. Not the tree's own ignore rules: those of Debian's source
# package ignore all of it.
add_all()
{
	(
		cd "$LINUX"
		export GIT_INDEX_FILE="$1" GIT_WORK_TREE=.
		kgit add -u .
		kgit ls-files -z --others -x '.*' -x '*.o' -x '*.a' -x '*.ko' -x '*.mod' -x '*.mod.c' -x '*.order' \
			-x '*.symvers' -x '*.orig' -x '*.rej' -x '/vmlinux*' -x '/linux' -x '/System.map' -x '/build-*' \
			-x '/include/config/' -x '/include/generated/' -x '/arch/*/include/generated/' |
			kgit update-index -z --add --stdin
	)
}

# The user's tree as it is on disk, edits and new files included, as a commit of the kit's own.
# Nothing is written below LINUX: index and objects are the kit's; theirs are only read.
snapshot()
{
	check_linux
	[ -d "$KGIT/objects" ] || kgit init -q --bare "$KGIT"
	index=$KGIT/$NAME.index
	theirs=$(git -c safe.directory='*' -C "$LINUX" rev-parse --show-toplevel 2>/dev/null || true)
	if [ "$theirs" = "$(realpath "$LINUX")" ]; then
		objects=$(cd "$LINUX" && realpath "$(git -c safe.directory='*' rev-parse --git-path objects)")
		grep -qxF "$objects" "$KGIT/objects/info/alternates" 2>/dev/null ||
			echo "$objects" >> "$KGIT/objects/info/alternates"
		cp "$(cd "$LINUX" && realpath "$(git -c safe.directory='*' rev-parse --git-path index)")" "$index.tmp"
		mv "$index.tmp" "$index"
	fi
	say SNAP "$LINUX" >&2
	add_all "$index" >"$BUILD/snapshot.log" 2>&1 || die $EX_USAGE "LINUX=$LINUX cannot be read whole" \
		    "$(grep -m1 -E '^(error|fatal):' "$BUILD/snapshot.log")" "git -C $LINUX status"
	tree=$(GIT_INDEX_FILE=$index kgit write-tree)
	echo "snapshot of $LINUX" | GIT_AUTHOR_DATE='@0 +0000' GIT_COMMITTER_DATE='@0 +0000' kgit commit-tree "$tree"
}

# refuse PATCH LOG: name the patch, the file and the hunk, and stop.
refuse()
{
	where=$(sed -n 's/^error: patch failed: //p' "$2" | head -n 1)
	if [ -n "$where" ]; then
		hunk=$(awk -v file="${where%:*}" -v line="${where##*:}" '
			/^\+\+\+ / { n = 0; cur = $2; sub("^b/", "", cur) }
			/^@@ / { n++; split($2, a, ","); if (cur == file && -a[1] == line) print n }' "$1" | head -n 1)
		because="hunk ${hunk:-?} of ${where%:*} (line ${where##*:}) does not match the tree"
	else
		because=$(sed -n 's/^error: //p' "$2" | head -n 1)
	fi
	die $EX_PATCH "patch $1 does not apply" "$because" "git -C $BUILD/trees/$NAME log --oneline -5"
}

# One commit per patch on $1, made without a work tree; prints the last commit.
apply_stack()
{
	commit=$1
	tmp=$BUILD/patch.tmp
	mkdir -p "$tmp"
	GIT_INDEX_FILE=$TOP/$tmp/index
	export GIT_INDEX_FILE
	kgit read-tree "$commit"
	for p in $PATCHES; do
		if ! kgit apply --cached --whitespace=nowarn "$p" 2>"$tmp/log"; then
			if kgit apply --cached --reverse --check "$p" 2>/dev/null; then
				say SKIP "$p (already in the tree)" >&2
				continue
			fi
			refuse "$p" "$tmp/log"
		fi
		kgit mailinfo "$tmp/body" /dev/null < "$p" > "$tmp/info"
		field() { sed -n "s/^$1: //p" "$tmp/info"; }
		commit=$( { field Subject; echo; cat "$tmp/body"; } |
			GIT_AUTHOR_NAME=$(field Author) GIT_AUTHOR_EMAIL=$(field Email) \
			GIT_AUTHOR_DATE=$(field Date) GIT_COMMITTER_DATE='@0 +0000' \
			kgit commit-tree "$(kgit write-tree)" -p "$commit")
	done
	unset GIT_INDEX_FILE
	rm -rf "$tmp"
	echo "$commit"
}

# The commit of the stack; found again by a key over everything that it is made of.
stack_commit()
{
	# shellcheck disable=SC2086 # a list of paths without blanks
	key=$( { echo "$1"; cat $PATCHES; } | sha256sum | cut -c1-40)
	if ! kgit rev-parse -q --verify "refs/mmuml/stack/$key" 2>/dev/null; then
		commit=$(apply_stack "$1") || exit $?
		kgit update-ref "refs/mmuml/stack/$key" "$commit"
		echo "$commit"
	fi
}

# tgit ARGS: git in the work tree of this stack.
tgit()
{
	(cd "$DIR" && KGIT=$KGIT/worktrees/$NAME kgit "$@")
}

new_tree()
{
	say TREE "$DIR"
	rm -rf "$DIR"
	kgit worktree prune
	if [ -z "$LINUX" ] && [ -f "$KGIT/base.index" ] && [ -d "$BUILD/base.tmp" ]; then
		kgit worktree add -q --no-checkout --detach "$DIR" refs/mmuml/base
		mv "$BUILD"/base.tmp/* "$BUILD"/base.tmp/.[a-z]* "$DIR"/
		rm -rf "$BUILD/base.tmp"
		mv "$KGIT/base.index" "$KGIT/worktrees/$NAME/index"
	else
		kgit worktree add -q --detach "$DIR" "$1"
	fi
	echo '/build-*' >> "$KGIT/info/exclude"
	sort -u -o "$KGIT/info/exclude" "$KGIT/info/exclude"
	touch "$READY"
}

# Bring the tree to the commit. Edits and commits made in it by hand stay, or stop us.
update_tree()
{
	want=$1
	head=$(tgit rev-parse HEAD)
	last=$(kgit rev-parse -q --verify "refs/mmuml/tree/$NAME" || echo none)
	if [ "$head" != "$want" ]; then
		if tgit merge-base --is-ancestor "$want" "$head"; then
			return 0
		fi
		if [ "$head" != "$last" ] && [ "$last" != none ]; then
			die $EX_PATCH "$DIR has commits of yours on an older stack" \
			    "the patches of the stack changed under $(tgit rev-parse --short "$head")" \
			    "git -C $DIR rebase --onto $(echo "$want" | cut -c1-12) $(echo "$last" | cut -c1-12)"
		fi
		say TREE "$DIR ($(kgit rev-list --count "$want" ^"$BASE") patches)"
		tgit checkout -q --detach "$want" 2>"$BUILD/checkout.log" ||
			die $EX_PATCH "$DIR has edits of yours that the stack would overwrite" \
			    "$(grep -v '^error' "$BUILD/checkout.log" | head -n 1 | tr -d '\t')" \
			    "git -C $DIR stash"
	fi
	kgit update-ref "refs/mmuml/tree/$NAME" "$want"
}

# The objects of users' trees are read where they are; trees that are gone would make every git command complain.
prune_alternates()
{
	list=$KGIT/objects/info/alternates
	[ -f "$list" ] || return 0
	while read -r o; do
		[ ! -d "$o" ] || echo "$o"
	done < "$list" > "$list.tmp"
	mv "$list.tmp" "$list"
}

make_tree()
{
	prune_alternates
	if [ -n "$LINUX" ]; then
		BASE=$(snapshot) || exit $?
	else
		BASE=$(kgit rev-parse refs/mmuml/base)
	fi
	want=$(stack_commit "$BASE") || exit $?
	# What a killed git left behind; nobody else works here while we hold the lock.
	find "$KGIT" -maxdepth 3 -name 'index.lock' -mmin +1 -delete 2>/dev/null || true
	if [ ! -e "$DIR/.git" ] || [ ! -f "$READY" ]; then
		new_tree "$want"
	fi
	update_tree "$want"
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
'')
	PATCHES=$(stack_patches) || exit $?
	mkdir -p "$BUILD/trees"
	one_at_a_time tree make_tree
	;;
*)
	die $EX_USAGE "tree.sh: unknown argument $1" "" "make help"
	;;
esac
