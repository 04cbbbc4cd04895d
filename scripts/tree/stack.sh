# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# The stack that S= and LINUX= ask for: its changes, their patches, the name of its tree. Reads; what it makes lies below
# build/series. Sourced by scripts/tree.sh after kit.sh.

# The default stack belongs to the kit's own kernels; a user's own tree is tested as it is.
series_names()
{
	[ -n "$S$LINUX" ] || S=default
	elements "$S" | while read -r c; do
		case $c in
		default) default_names || exit $? ;;
		none | git:* | kernel:* | '') ;;
		*) echo "$c" ;;
		esac
	done
}

# base_kernels CHANGE: the supported kernels that it is for, from its base file.
base_kernels()
{
	sed -n '/^[0-9]/{p;q;}' "mm-changes/$1/base" 2>/dev/null | tr ' ' '\n' | sed 's/^\([0-9]*\.[0-9]*\).*/\1/'
}

# not_for CHANGE VERSION-NUMBER: whether it says for which of the supported kernels it is, and is not for this one.
not_for()
{
	for k in $(kernels); do
		[ "$(version_number "$k")" != "$2" ] || { ! base_kernels "$1" | grep -qxF "$k"; return; }
	done
	return 1
}

# The default stack, without the changes that have no form for this kernel.
default_names()
{
	asked_version=$(base_version) || exit $?
	sed '/^#/d; /^$/d' mm-changes/series | while read -r change; do
		not_for "$change" "$asked_version" || echo "$change"
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
	case $(step_of "$1") in
	*[02468]) echo "$(element "$(change_of "$1")")-even"; return ;;
	*[13579]) echo "$(element "$(change_of "$1")")-odd"; return ;;
	esac
	case $1 in
	git:*)
		rev=$(revision) || exit $?
		echo "git-$(echo "$rev" | cut -c1-12)" ;;
	kernel:*) ;;
	*/*) printf '%s-%s\n' "$(slug "$(basename "$1")")" "$(realpath -m -- "$1" | cksum | cut -d' ' -f1)" ;;
	*) slug "$1"; echo ;;
	esac
}

# The kernel is part of the name where it is not this build's own.
tree_name()
{
	kernel=$(kernel_asked) || exit $?
	stack=$(elements "${S:-default}" | while read -r e; do element "$e" || exit $?; done) || exit $?
	stack=$(echo "${stack:-none}" | paste -sd+)
	if [ -n "$LINUX" ]; then
		path=$(realpath -- "$LINUX" 2>/dev/null || echo "$LINUX")
		sum=$(printf '%s' "$path" | cksum | cut -d' ' -f1)
		echo "linux-$(slug "$(basename "$path")")-$sum${S:+-$stack}"
	elif [ -n "$kernel" ] && [ "$kernel" != "$(kernel_here)" ]; then
		echo "$kernel-$stack"
	else
		echo "$stack"
	fi
}

# base_version: the version number of the kernel below the stack.
base_version()
{
	if [ -n "${BASE-}" ]; then
		version_number "$(version_of "$BASE")"
	elif [ -n "$LINUX" ]; then
		tree_version "$LINUX"
	else
		here=$(kernel_asked) || exit $?
		[ -n "$here" ] || here=$(kernel_here)
		version_number "${here:-$(kernels | head -n 1)}"
	fi
}

near()
{
	find mm-changes -mindepth 1 -maxdepth 1 -type d -printf '%f ' | sed 's/ $//'
}

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

# read_dir ELEMENT: where the patches lie that were read from a mail box or a directory.
read_dir()
{
	echo "$BUILD/series/$(element "$(change_of "$1")")"
}

# as_git_writes DIR: whether each patch that the series of a directory names is one mail as git format-patch writes them.
as_git_writes()
{
	case $1 in *[[:space:],]*) return 1 ;; esac
	named=$(sed 's/#.*//; s/[[:space:]].*//; /^$/d' "$1/series")
	for p in $named; do
		[ -f "$1/$p" ] || continue	# said by who reads it
		awk -v cr="$(printf '\r')" '
			NR == 1 && !/^From / && !/^(From|Subject|Date): / { exit bad = 1 }
			/^From [0-9a-f]+ / && NR > 1 || substr($0, length($0)) == cr { exit bad = 1 }
			/^diff --git a\// { git = 1 }
			END { exit bad || !git }' "$1/$p" || return 1
	done
}

# made_dir CHANGE: prints the directory below build/series of what is not in that form, read anew if it is another than it was.
made_dir()
{
	made=$(read_dir "$1")
	sum=$(find "$1" scripts/mbox -maxdepth 1 -type f -exec cat {} + | sha256sum)
	if [ "$(cat "$made/sum" 2>/dev/null)" = "$sum" ]; then
		echo "$made"
		return 0
	fi
	mkdir -p "$BUILD/series" && new=$(scratch series/new) || exit "$EX_HOST"
	code=0
	scripts/mbox/patches.sh "$1" "$new" || code=$?
	[ "$code" != 0 ] || { chmod 755 "$new" && echo "$1" > "$new/source" && echo "$sum" > "$new/sum" && settle "$new" "$made"; } ||
		code="$EX_HOST"
	rm -rf "$new"
	[ "$code" = 0 ] || exit "$code"
	echo "$made"
}

# change_dir CHANGE: the directory with its series and patches.
change_dir()
{
	if [ -f "mm-changes/$1/series" ]; then
		made=mm-changes/$1
	elif [ -f "$1/series" ] && as_git_writes "$1"; then
		made=$1
	elif [ -d "$1" ] || [ -f "$1" ]; then
		made=$(made_dir "$1") || exit $?
	else
		die "$EX_USAGE" "no change named $1" "there is no mm-changes/$1/series" "make list  (changes: $(near))"
	fi
	listed=$(series_forms "$made/series") || exit $?
	[ -n "$listed" ] || die "$EX_USAGE" "the series of $1 is empty" "no patch in $made/series" \
		"make new-change NAME=x; make import NAME=x MBOX=file"
	echo "$made"
}

# change_patches CHANGE VERSION-NUMBER: the paths of its patches: all, or the first N of NAME@N.
change_patches()
{
	dir=$(change_dir "$(change_of "$1")") || exit $?
	first=$(step_of "$1")
	series_patches_of "$dir/series" "$2" | head -n "${first:--0}"
}

# series_patches [VERSION-NUMBER]: all of the stack's, in the forms for the kernel below it or for that one.
series_patches()
{
	patches_for=${1:-$(base_version)} || exit $?
	names=$(series_names) || exit $?
	[ -z "$names" ] || echo "$names" | while read -r c; do
		change_patches "$c" "$patches_for" || exit $?
	done
}
