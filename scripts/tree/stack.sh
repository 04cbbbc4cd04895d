# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# The stack that S= and LINUX= ask for: its changes, their patches, the name of its tree. Reads; what it makes lies below
# build/series. Sourced by scripts/tree.sh after kit.sh.

# The default stack belongs to the pinned kernel; a user's own tree is tested as it is.
series_names()
{
	[ -n "$S$LINUX" ] || S=default
	echo "$S" | tr ',' '\n' | while read -r c; do
		case $c in
		default) sed '/^#/d; /^$/d' mm-changes/series || exit "$EX_HOST" ;;
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
		ugit "$LINUX" rev-parse -q --verify "$rev^{commit}" 2>/dev/null
	else
		kgit rev-parse -q --verify "$rev^{commit}" 2>/dev/null
	fi || die "$EX_USAGE" "no commit $rev" "${LINUX:-build/git} has none of that name" \
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
	[ -r "$1" ] || die "$EX_PATCH" "$1 cannot be read" "" "git status $dir"
	sed 's/#.*//; s/[[:space:]].*//; /^$/d' "$1" | while read -r p; do
		[ -f "$dir/$p" ] || die "$EX_PATCH" "no patch $dir/$p" "$1 names it" "git status $dir"
		echo "$dir/$p"
	done
}

near()
{
	find mm-changes -mindepth 1 -maxdepth 1 -type d -printf '%f ' | sed 's/ $//'
}

# from_mail FILE DIR: the patches of a mail box as a change's directory, decoded, in the order that "[PATCH n/m]" states;
# settle NEW DIR: NEW becomes DIR, unless that holds the same: then whoever reads DIR at this moment goes on reading it.
settle()
{
	(
		flock 8
		if diff -rq "$1" "$2" >/dev/null 2>&1; then
			rm -rf "$1"
		else
			rm -rf "$2" && mv "$1" "$2"
		fi
	) 8>"$BUILD/series.lock"
}

# copy_patches FROM DIR: those of a directory that has no series, in the order of their names, without a cover letter.
copy_patches()
{
	find "$1" -maxdepth 1 -name '*.patch' -type f -exec cp {} "$2/" \; || return
	(cd "$2" && find . -name '*.patch' ! -name '0000-*' -printf '%f\n' | sort > series)
}

# made_dir CHANGE: prints the directory below build/series of what has no series yet, a mail box or patches.
made_dir()
{
	made=$BUILD/series/$(element "$1")
	mkdir -p "$BUILD/series" && new=$(mktemp -d "$BUILD/series/new.XXXXXX") || exit "$EX_HOST"
	code=0
	if [ -d "$1" ]; then
		chmod 755 "$new"
		copy_patches "$1" "$new" || code="$EX_HOST"
	else
		scripts/mbox/patches.sh "$1" "$new" || code=$?
	fi
	[ "$code" != 0 ] || settle "$new" "$made" || code="$EX_HOST"
	rm -rf "$new"
	[ "$code" = 0 ] || exit "$code"
	echo "$made"
}

# change_dir CHANGE: the directory with its series and patches.
change_dir()
{
	if [ -f "mm-changes/$1/series" ]; then
		made=mm-changes/$1
	elif [ -f "$1/series" ]; then
		made=$1
	elif [ -d "$1" ] || [ -f "$1" ]; then
		made=$(made_dir "$1") || exit $?
	else
		die "$EX_USAGE" "no change named $1" "there is no mm-changes/$1/series" "make list  (changes: $(near))"
	fi
	listed=$(patches_of "$made/series") || exit $?
	[ -n "$listed" ] || die "$EX_USAGE" "the series of $1 is empty" "no patch in $made/series" \
		"make new-change NAME=x; make import NAME=x MBOX=file"
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
	names=$(series_names) || exit $?
	[ -z "$names" ] || echo "$names" | while read -r c; do
		change_patches "$c" || exit $?
	done
}

stack_patches()
{
	patches_of uml-config/patches/series && series_patches
}
