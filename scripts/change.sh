#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The directories below mm-changes/: make one from commits or mails, write one out as mails.
# usage: NAME=x [S=stack] scripts/change.sh new           from the commits made on the stack's managed tree
#        NAME=x LINUX=tree [S=git:REV..REV] scripts/change.sh new     from those of a git tree of the user's
#        NAME=x MBOX=file|DIR=dir scripts/change.sh import            from a mail box or a directory of patches
#        S=x DIR=dir scripts/change.sh export              ready-to-send patches, checked by the tree's own checkpatch
set -eu
. scripts/lib/kit.sh
. scripts/lib/kernels.sh
. scripts/lib/stack.sh

NAME=${NAME-} S=${S-} LINUX=${LINUX-} DIR=${DIR-} MBOX=${MBOX-} KERNEL=${KERNEL-}

new_dir()
{
	[ -n "$NAME" ] || die $EX_USAGE "NAME= names the change" "" "make $1 NAME=mm-my-change"
	case $NAME in *[!A-Za-z0-9_-]*)
		die $EX_USAGE "NAME=$NAME is no name of a directory" "letters, digits, - and _ only" "make $1 NAME=mm-my-change" ;;
	esac
	[ ! -e "mm-changes/$NAME" ] || die $EX_USAGE "there is a mm-changes/$NAME already" "" "ls mm-changes/$NAME"
	NEW=$(scratch change)
	trap 'rm -rf "$NEW"' EXIT
}

# What stands in the directory once its patches are there; $1: changes that it stands on, one a line.
fill()
{
	(cd "$NEW" && find . -name '*.patch' -printf '%f\n' | sort > series)
	[ -s "$NEW/series" ] || die $EX_USAGE "no patches for $NAME" "$2" "make new-change NAME=$NAME S=git:REV..REV LINUX=tree"
	{
		echo "# versions of the supported kernels that it is for, then the changes that this one stands on, one a line"
		version_of "$(base_commit)"
		echo "$1" | sed '/^$/d'
	} > "$NEW/base"
	{
		echo "# $NAME"
		echo
		first=$(head -n 1 "$NEW/series")
		kgit mailinfo "$NEW/body" "$NEW/diff" < "$NEW/$first" > "$NEW/info"
		sed -n 's/^Subject: //p' "$NEW/info"
		echo
		sed '/^[A-Z][a-z-]*-by: /d; /^---$/,$d' "$NEW/body"
		echo "- How the effect is shown: \`make compare S=$NAME\`."
	} > "$NEW/README.md"
	rm -f "$NEW/body" "$NEW/diff" "$NEW/info"
	chmod 755 "$NEW"
	mv "$NEW" "mm-changes/$NAME"
	say NEW "mm-changes/$NAME: $(wc -l < "mm-changes/$NAME/series") patch(es)"
	sed 's/^/          /' "mm-changes/$NAME/series"
}

# base_commit: the kernel that the change was made on; of a user's tree only its version counts.
base_commit()
{
	kernel=$(kernel_asked)
	echo "refs/mmuml/${kernel:+kernel/}${kernel:-base}"
}

# write_patches REPO RANGE DIR: whatever the repository's own configuration says of their form.
write_patches()
{
	git_clean -C "$1" format-patch -q --abbrev=12 --zero-commit -N --no-signature --no-cover-letter --no-attach --suffix=.patch \
		--no-ext-diff --no-color --src-prefix=a/ --dst-prefix=b/ -o "$(realpath -m "$3")" "$2" 2>"$BUILD/format.log" ||
		die $EX_USAGE "no patches from $2 of $1" "$(head -n 1 "$BUILD/format.log")" "git -C $1 log --oneline -5"
}

# The user's commits: those of S=git:REV..REV, else since the last release.
linux_range()
{
	case $S in git:*..*) echo "${S#git:}"; return ;; esac
	tag=$(ugit "$LINUX" describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null) ||
		die $EX_USAGE "which commits of $LINUX?" "it has no release tag" "make new-change NAME=$NAME LINUX=$LINUX S=git:REV..REV"
	echo "$tag..HEAD"
}

new()
{
	new_dir new-change
	if [ -n "$LINUX" ]; then
		range=$(linux_range) || exit $?
		write_patches "$LINUX" "$range" "$NEW"
		fill "" "no commits in $range of $LINUX"
		return
	fi
	stack=$(scripts/tree.sh --name)
	tree=$BUILD/trees/$stack
	last=$(kgit rev-parse -q --verify "refs/mmuml/tree/$stack") ||
		die $EX_USAGE "there is no tree $tree" "" "make tree S=$S"
	write_patches "$tree" "$last..HEAD" "$NEW"
	below=$(scripts/tree.sh --series) || exit $?
	fill "$below" "no commits on the stack in $tree"
}

# The stack on which the patches apply: none, or the default one.
import()
{
	new_dir import
	from=${MBOX:-$DIR}
	[ -n "$from" ] || die $EX_USAGE "MBOX= names the mail box" "" "make import NAME=$NAME MBOX=file"
	# A file, whatever changes there are of that name.
	case $from in /*) ;; *) from=./$from ;; esac
	patches=$(S=$from scripts/tree.sh --patches) || exit $?
	say_not_taken "$from" "$(dirname "$(echo "$patches" | head -n 1)")/left"
	# shellcheck disable=SC2086 # paths without blanks
	cp $patches "$NEW/"
	(cd "$NEW" && find . -name '*.patch' -printf '%f\n' | sort > series)
	below=$(scripts/tree.sh --series) || exit $?
	if S=$NEW LINUX='' scripts/tree.sh --commit >/dev/null 2>"$BUILD/import.log"; then
		fill "" ""
	elif S=$(printf %s "${below:+$below,}" | paste -sd,)$NEW scripts/tree.sh --commit >/dev/null; then
		fill "$below" ""
	else
		sed 's/^/  on the kernel alone: /' "$BUILD/import.log" >&2
		exit $EX_PATCH
	fi
}

# check PATCH: the tree's own checkpatch; by standard input, or it takes a tracked file for a source.
check()
{
	(cd "$1" && perl scripts/checkpatch.pl --no-summary --terse --strict --show-types - < "$2") > "$BUILD/checkpatch.log" || true
	sed "s|^[^:]*:|  $(basename "$2"):|" "$BUILD/checkpatch.log"
	COMPLAINTS=$((COMPLAINTS + $(grep -c . "$BUILD/checkpatch.log" || true)))
}

export_patches()
{
	[ -n "$S" ] || die $EX_USAGE "S= names the change to export" "" "make export S=name DIR=dir"
	[ -n "$DIR" ] || die $EX_USAGE "DIR= names the directory to write to" "" "make export S=$S DIR=/tmp/$S"
	[ -z "$(find "$DIR" -maxdepth 1 -name '*.patch' 2>/dev/null | head -n 1)" ] ||
		die $EX_USAGE "DIR=$DIR has patches already" "they would be sent with the new ones" "make export S=$S DIR=another"
	last=$(elements "$S" | tail -n 1)
	below=$(scripts/compare.sh --below) || exit $?
	head=$(S=$(echo "$below,$last" | sed 's/^none,//') scripts/tree.sh --commit) || exit $?
	base=$(S=$below scripts/tree.sh --commit) || exit $?
	# Any tree of that kernel has its checkpatch; that of the default stack is there in most cases.
	tree=$BUILD/trees/$(S='' scripts/tree.sh --name)
	S='' scripts/tree.sh >/dev/null || exit $?
	mkdir -p "$DIR"
	write_patches "$KGIT" "$base..$head" "$DIR"
	[ -n "$(find "$DIR" -maxdepth 1 -name '*.patch')" ] || die $EX_USAGE "the series of $S is empty" "" "ls mm-changes/$S"
	COMPLAINTS=0
	for p in "$DIR"/*.patch; do
		say PATCH "$p"
		check "$tree" "$(realpath "$p")"
	done
	echo "mmuml: $(find "$DIR" -name '*.patch' | wc -l) patch(es) in $DIR, $COMPLAINTS complaint(s) of checkpatch"
	echo "  send:    git send-email --to linux-mm@kvack.org $DIR/*.patch"
}

mkdir -p "$BUILD"
case ${1-} in
new) new ;;
import) import ;;
export) export_patches ;;
*) die $EX_USAGE "change.sh: unknown argument ${1-}" "" "make help" ;;
esac
