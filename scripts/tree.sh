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
# "none" are what they say; NAME@N stands for the first N patches of one, and git:REV in the first place for that commit of LINUX (of build/git without LINUX).
# FROM=NAME: a tree that is made anew starts as a copy of that one. A patch that does not apply leaves the tree as it was.
set -eu
. scripts/lib/kit.sh

S=${S-}
LINUX=${LINUX-}
FROM=${FROM-}

# The default stack belongs to the pinned kernel; a user's own tree is tested as it is.
series_names()
{
	[ -n "$S$LINUX" ] || S=default
	echo "$S" | tr ',' '\n' | while read -r c; do
		case $c in
		default) sed '/^#/d; /^$/d' mm-changes/series ;;
		none | git:* | '') ;;
		*) echo "$c" ;;
		esac
	done
}

slug()
{
	printf '%s' "$1" | tr -c 'A-Za-z0-9._-' '+'
}

# The commit that S=git:REV,... asks for; nothing otherwise.
revision()
{
	case $S in git:*) ;; *) return 0 ;; esac
	rev=${S#git:}
	rev=${rev%%,*}
	if [ -n "$LINUX" ]; then
		git -c safe.directory='*' -C "$LINUX" rev-parse -q --verify "$rev^{commit}" 2>/dev/null
	else
		kgit rev-parse -q --verify "$rev^{commit}" 2>/dev/null
	fi || die $EX_USAGE "no commit $rev" "${LINUX:-build/git} has none of that name" \
		  "git -C ${LINUX:-build/git} log --oneline -5"
}

# One element of the stack in the tree's name: where a path points matters, not only its last part. Two trees do for all
# the steps of a series, for a step is compared with the one before it.
element()
{
	case $1 in
	*@*[02468]) echo "$(element "${1%@*}")-even" ;;
	*@*[13579]) echo "$(element "${1%@*}")-odd" ;;
	git:*)
		rev=$(revision) || exit $?
		echo "git-$(echo "$rev" | cut -c1-12)" ;;
	*/*) printf '%s-%s\n' "$(slug "$(basename "$1")")" "$(realpath -m -- "$1" | cksum | cut -d' ' -f1)" ;;
	*) slug "$1"; echo ;;
	esac
}

tree_name()
{
	stack=$(echo "${S:-default}" | tr ',' '\n' | while read -r e; do element "$e" || exit $?; done) || exit $?
	stack=$(echo "$stack" | paste -sd+)
	if [ -n "$LINUX" ]; then
		path=$(realpath -- "$LINUX" 2>/dev/null || echo "$LINUX")
		sum=$(printf '%s' "$path" | cksum | cut -d' ' -f1)
		echo "linux-$(slug "$(basename "$path")")-$sum${S:+-$stack}"
	else
		echo "$stack"
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

# from_mail FILE DIR: the patches of a mail box as a change's directory, decoded, in the order that "[PATCH n/m]" states;
# mails without a diff (cover letters, answers) are left out.
from_mail()
{
	rm -rf "$2"
	mkdir -p "$2/mail"
	kgit mailsplit -o"$2/mail" "$1" >/dev/null 2>"$BUILD/mail.log" ||
		die $EX_USAGE "$1 is not a mail box" "$(head -n 1 "$BUILD/mail.log")" "git format-patch --stdout REV..REV > $1"
	for m in "$2"/mail/[0-9]*; do
		kgit mailinfo "$2/body" "$2/diff" < "$m" > "$2/info" 2>/dev/null || continue
		grep -q '^diff --git ' "$2/diff" || continue
		nr=$(sed -n 's/^Subject:.*\[[^]]*[^0-9]0*\([0-9][0-9]*\)\/[0-9][0-9]*\].*/\1/p' "$m" | head -n 1)
		field() { sed -n "s/^$1: //p" "$2/info"; }
		name=$(printf '%04d-%s.patch' "${nr:-$(basename "$m" | sed 's/^0*//')}" \
			"$(field Subject "$2" | tr -cs 'A-Za-z0-9._\n' '-' | cut -c1-52 | sed 's/[-.]*$//')")
		{
			echo "From $(printf '%040d' 0) Mon Sep 17 00:00:00 2001"
			echo "From: $(field Author "$2") <$(field Email "$2")>"
			echo "Date: $(field Date "$2")"
			echo "Subject: [PATCH] $(field Subject "$2")"
			echo
			cat "$2/body" "$2/diff"
		} > "$2/$name"
	done
	rm -rf "$2/mail" "$2/body" "$2/diff" "$2/info"
	(cd "$2" && find . -name '*.patch' -printf '%f\n' | sort > series)
}

# change_dir CHANGE: the directory with its series and patches; made below build/series for what has no series yet.
change_dir()
{
	made=$BUILD/series/$(element "$1")
	if [ -f "mm-changes/$1/series" ]; then
		made=mm-changes/$1
	elif [ -f "$1/series" ]; then
		made=$1
	elif [ -d "$1" ]; then
		rm -rf "$made"
		mkdir -p "$made"
		find "$1" -maxdepth 1 -name '*.patch' -type f -exec cp {} "$made/" \;
		(cd "$made" && find . -name '*.patch' -printf '%f\n' | grep -v '^0000-' | sort > series) || true
	elif [ -f "$1" ]; then
		from_mail "$1" "$made"
	else
		die $EX_USAGE "no change named $1" "there is no mm-changes/$1/series" "make list  (changes: $(near))"
	fi
	if [ ! -s "$made/series" ] || [ -z "$(patches_of "$made/series")" ]; then
		die $EX_USAGE "the series of $1 is empty" "no patch in $made/series" "make new-change NAME=x; make import NAME=x MBOX=file"
	fi
	echo "$made"
}

# The paths of one change's patches: all, or the first N of NAME@N.
change_patches()
{
	case $1 in
	*@[0-9]*) dir=$(change_dir "${1%@*}") && patches_of "$dir/series" | head -n "${1##*@}" ;;
	*) dir=$(change_dir "$1") && patches_of "$dir/series" ;;
	esac
}

# All of the stack's own; stack_patches: the kit's before them.
series_patches()
{
	series_names | while read -r c; do
		change_patches "$c" || exit $?
	done
}

stack_patches()
{
	patches_of uml-config/patches/series && series_patches
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
# snapshot REV: the same of a commit of theirs, if one is given.
snapshot()
{
	check_linux
	make_repo
	index=$KGIT/$NAME.index
	theirs=$(git -c safe.directory='*' -C "$LINUX" rev-parse --show-toplevel 2>/dev/null || true)
	if [ "$theirs" = "$(realpath "$LINUX")" ]; then
		objects=$(cd "$LINUX" && realpath "$(git -c safe.directory='*' rev-parse --git-path objects)")
		grep -qxF "$objects" "$KGIT/objects/info/alternates" 2>/dev/null ||
			echo "$objects" >> "$KGIT/objects/info/alternates"
		cp "$(cd "$LINUX" && realpath "$(git -c safe.directory='*' rev-parse --git-path index)")" "$index.tmp"
		mv "$index.tmp" "$index"
	fi
	if [ -n "$1" ]; then
		tree=$(kgit rev-parse "$1^{tree}") || die $EX_USAGE "LINUX=$LINUX has no commit $1" "" "git -C $LINUX log -1 $1"
		echo "$1 of $LINUX" | GIT_AUTHOR_DATE='@0 +0000' GIT_COMMITTER_DATE='@0 +0000' kgit commit-tree "$tree"
		return 0
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
	die $EX_PATCH "patch $1 does not apply" "$because$(rival "$1" "${where%:*}")" \
	    "$(remedy "$1")"
}

# version_of COMMIT: the kernel version that the Makefile of a commit states.
version_of()
{
	kgit show "$1:Makefile" | sed -n 's/^\(VERSION\|PATCHLEVEL\|SUBLEVEL\) = //p' | head -n 3 | paste -sd.
}

# alone PATCH: whether its series applies, up to it, without the other changes of the stack.
alone()
{
	index=$TOP/$BUILD/patch.tmp/alone
	GIT_INDEX_FILE=$index kgit read-tree "$BASE"
	for q in $PATCHES; do
		case $q in
		"$1") GIT_INDEX_FILE=$index kgit apply --cached --check "$q" 2>/dev/null; return ;;
		uml-config/*) GIT_INDEX_FILE=$index kgit apply --cached --whitespace=nowarn "$q" 2>/dev/null || true ;;
		"$(dirname "$1")"/*) GIT_INDEX_FILE=$index kgit apply --cached --whitespace=nowarn "$q" 2>/dev/null || return 1 ;;
		esac
	done
}

# rival PATCH FILE: the other change of the stack that touches the file and is in the way, or the kernel that the series is
# for.
rival()
{
	for other in $PATCHES; do
		case $other in
		"$1") break ;;
		uml-config/* | "$(dirname "$1")"/*) continue ;;
		esac
		if ! grep -qxF "+++ b/$2" "$other" || ! alone "$1"; then
			continue
		fi
		printf '; change %s conflicts with %s, which touches %s before it' "$(basename "$(dirname "$1")")" \
			"$(basename "$(dirname "$other")")" "$2"
		return 0
	done
	wants=$(sed -n '/^[0-9]/{p;q;}' "$(dirname "$1")/base" 2>/dev/null || true)
	has=$(version_of "$BASE")
	[ -z "$wants" ] || [ "$wants" = "$has" ] || printf '; the series is for %s, the tree is %s' "$wants" "$has"
	commit=$(sed -n 's/^base-commit: //p' "$1" | head -n 1)
	[ -z "$commit" ] || printf '; its base-commit %.12s is not this base' "$commit"
}

# What the change stands on and the stack lacks, or a look at the tree.
remedy()
{
	dir=$(dirname "$1")
	for c in $(sed '/^[#0-9]/d' "$dir/base" 2>/dev/null || true); do
		if ! series_names | grep -qxF "$c"; then
			echo "S=$c,${S:-$(basename "$dir")}  ($dir/base: it stands on $c)"
			return 0
		fi
	done
	echo "git -C $BUILD/trees/$NAME log --oneline -5"
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
				[ -n "${QUIET-}" ] || say SKIP "$p (already in the tree)" >&2
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

# copy_tree NAME: all of that tree but its builds. What this kit's kernels hardly compile (drivers, other architectures,
# tools) is shared through hard links, which git replaces and never writes to; the rest is copied, times kept.
copy_tree()
{
	from=$BUILD/trees/$1
	for d in "$from"/* "$from"/.[a-z]*; do
		case ${d#"$from"/} in
		build-* | .git) ;;
		Documentation | arch | drivers | rust | samples | sound | tools) cp -al "$d" "$DIR/" ;;
		*) cp -a --reflink=auto "$d" "$DIR/" ;;
		esac
	done
	for d in arch/um arch/x86 drivers/base drivers/block drivers/char drivers/tty drivers/virtio; do
		rm -rf "${DIR:?}/$d"
		cp -a --reflink=auto "$from/$d" "$DIR/$d"
	done
	cp -p "$KGIT/worktrees/$1/index" "$KGIT/worktrees/$NAME/index"
}

new_tree()
{
	say TREE "$DIR"
	rm -rf "$DIR"
	kgit worktree prune
	if [ -n "$FROM" ] && [ "$FROM" != "$NAME" ] && [ -f "$KGIT/worktrees/$FROM/mmuml-ready" ]; then
		# Copies have other inodes: only times and sizes tell git that it knows the files.
		kgit config core.checkStat minimal
		kgit config core.trustctime false
		kgit worktree add -q --no-checkout --detach "$DIR" "$(cd "$BUILD/trees/$FROM" &&
			KGIT=$KGIT/worktrees/$FROM kgit rev-parse HEAD)"
		copy_tree "$FROM"
		# Edits of the other tree that were never committed are not this one's.
		tgit checkout -q -f --detach "$1"
		tgit clean -q -f -d
	elif [ -z "$LINUX" ] && [ -f "$KGIT/base.index" ] && [ -d "$BUILD/base.tmp" ]; then
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
		if [ "$head" != "$last" ] && tgit merge-base --is-ancestor "$want" "$head"; then
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
		BASE=$(kgit rev-parse refs/mmuml/base)
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

# The commit of the user's own tree below the change: SINCE=, or the last one if there are edits, or the one before it.
theirs_below()
{
	theirs() { git -c safe.directory='*' -C "$LINUX" "$@" 2>/dev/null; }
	if [ -n "${SINCE-}" ]; then
		theirs rev-parse -q --verify "$SINCE^{commit}" ||
			die $EX_USAGE "SINCE=$SINCE is no commit" "git rev-parse does not find it in $LINUX" "git -C $LINUX log --oneline"
	elif theirs diff-index --quiet HEAD --; then
		theirs rev-parse -q --verify HEAD^ || true
	else
		theirs rev-parse -q --verify HEAD || true
	fi
}

# The stack without the series. Dates are fixed, so it is the commit that lies in the tree's history, or has its content.
since()
{
	if [ -z "$LINUX" ]; then
		base=$(kgit rev-parse -q --verify refs/mmuml/base)
	elif [ -n "$S" ]; then
		base=$(tgit rev-list --max-parents=0 HEAD)
	else
		base=$(theirs_below) || exit $?
	fi
	[ -n "$base" ] || return 0
	S=none QUIET=1
	PATCHES=$(stack_patches) || exit $?
	stack_commit "$base"
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
	since
	;;
--patches)
	series_patches
	;;
--commit)
	PATCHES=$(stack_patches) || exit $?
	mkdir -p "$BUILD/trees"
	one_at_a_time tree find_commit >&2
	echo "$want"
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
