# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# A kernel tree of the user's as a commit of the kit's repository. Nothing is written below LINUX. Sourced by scripts/tree.sh.

check_linux()
{
	[ -e "$LINUX" ] || die "$EX_USAGE" "LINUX=$LINUX does not exist" "" "make run LINUX=/path/to/a/kernel/tree"
	if [ ! -r "$LINUX" ] || [ ! -x "$LINUX" ]; then
		die "$EX_USAGE" "LINUX=$LINUX cannot be read" "no permission for user $(id -un)" "ls -ld $LINUX"
	fi
	for f in Makefile arch/um/Kconfig mm/rmap.c; do
		[ -r "$LINUX/$f" ] || die "$EX_USAGE" "LINUX=$LINUX is not a kernel tree that can be read" \
			"there is no $f in it" "make run LINUX=/path/to/a/kernel/tree"
	done
}

# unknown_files: the files of the tree that no index knows, but what a build, an editor or a tag program leaves behind: by the
# tree's own ignore rules; or by names, where those ignore the source itself, as in Debian's source package.
unknown_files()
{
	set -- -z --others -x '.*' -x '*.orig' -x '*.rej' -x '/vmlinux*' -x '/linux' -x '/System.map' -x '/build-*' -x '/cscope.*' -x /tags -x /TAGS \
		-x /GTAGS -x /GRTAGS -x /GPATH -x /compile_commands.json -x '/certs/signing_key.*' -x '/certs/x509.genkey'
	if ! kgit check-ignore -q --no-index mm/rmap.c; then
		exclude=$(ugit . rev-parse --git-path info/exclude 2>/dev/null) || exclude=
		[ ! -f "${exclude:-/}" ] || set -- "$@" -X "$exclude"
		kgit ls-files "$@" --exclude-per-directory=.gitignore
		return
	fi
	find . -name .config -not -path ./.config -printf '%h/\n' | sed 's,^\.,,' > "$SCRATCH/outputs" || return
	find . -type f -perm -100 -size +3k -exec env LC_ALL=C grep -lP '\A\x7fELF' {} + | sed 's,^\.,,' > "$SCRATCH/programs" || true
	kgit ls-files "$@" -X "$SCRATCH/outputs" -X "$SCRATCH/programs" -x '*.o' -x '*.a' -x '*.s' -x '*.ko' -x '*.mod' -x '*.mod.c' -x '*.order' \
		-x '*.symvers' -x '*.gcno' -x '*.gcda' -x '*.lex.c' -x '*.tab.[ch]' -x '/modules.builtin*' -x '/scripts/mod/elfconfig.h' \
		-x '/include/config/' -x '/include/generated/' -x '/arch/*/include/generated/'
}

# add_all INDEX: every file of the user's tree that is source.
add_all()
{
	(
		cd "$LINUX" || exit
		export GIT_INDEX_FILE="$1" GIT_WORK_TREE=.
		# A status is asked of all of this together: errexit does not hold.
		kgit add -u . || exit
		unknown_files > "$SCRATCH/others" || exit
		kgit update-index -z --add --stdin < "$SCRATCH/others"
	)
}

# add_these INDEX: the files that AMONG names; 1 if there is none, or one that the index does not know.
add_these()
{
	[ -s "${AMONG-}" ] && [ -f "$1" ] || return 1
	among=$(realpath "$AMONG")
	(cd "$LINUX" && GIT_INDEX_FILE=$1 GIT_WORK_TREE=. kgit update-index --remove --stdin < "$among") 2>/dev/null
}

# all_objects REV: of a partial clone git would fetch what is missing into the user's repository, which is not ours to do.
all_objects()
{
	[ -n "$(ugit "$LINUX" config --get-regexp '^remote\..*\.promisor$' 2>/dev/null)" ] || return 0
	missing=$(ugit "$LINUX" rev-list --objects --no-walk --missing=print "$1" | grep -c '^?' || true)
	[ "$missing" = 0 ] ||
		die "$EX_USAGE" "LINUX=$LINUX does not have all of $1" "it is a partial clone, $missing objects are missing" \
		    "git -C $LINUX archive $1 >/dev/null  (git fetches them)"
}

# copy_index INDEX: a copy of theirs saves reading 95,000 files; one that is split has its larger part in another file.
copy_index()
{
	from=$(cd "$LINUX" && realpath -m "$(ugit . rev-parse --git-path index)")
	[ -f "$from" ] || return 0
	find "${from%/*}" -maxdepth 1 -name 'sharedindex.*' -exec cp -p -t "$KGIT" {} + || exit "$EX_HOST"
	cp "$from" "$SCRATCH/index" && mv "$SCRATCH/index" "$1" || exit "$EX_HOST"
}

# The user's tree as it is on disk, edits and new files included, as a commit of the kit's own.
# Nothing is written below LINUX: index and objects are the kit's; theirs are only read.
# snapshot REV: the same of a commit of theirs, if one is given.
# AMONG=FILE: all that can be other than in the last snapshot, for who knows it: git looks at no other file.
snapshot()
{
	check_linux
	make_repo
	index=$KGIT/$NAME.index
	theirs=$(ugit "$LINUX" rev-parse --show-toplevel 2>/dev/null || true)
	if [ "$theirs" = "$(realpath "$LINUX")" ]; then
		objects=$(cd "$LINUX" && realpath "$(ugit . rev-parse --git-path objects)")
		grep -qxF "$objects" "$KGIT/objects/info/alternates" 2>/dev/null ||
			echo "$objects" >> "$KGIT/objects/info/alternates"
		[ -n "$1${AMONG-}" ] || copy_index "$index"
	fi
	if [ -n "$1" ]; then
		all_objects "$1"
		tree=$(kgit rev-parse "$1^{tree}") || die "$EX_USAGE" "LINUX=$LINUX has no commit $1" "" "git -C $LINUX log -1 $1"
		echo "$1 of $LINUX" | GIT_AUTHOR_DATE='@0 +0000' GIT_COMMITTER_DATE='@0 +0000' kgit commit-tree "$tree" || exit "$EX_HOST"
		return 0
	fi
	say SNAP "$LINUX" >&2
	add_these "$index" || add_all "$index" >"$SCRATCH/snapshot.log" 2>&1 ||
		die "$EX_USAGE" "LINUX=$LINUX cannot be read whole" \
		    "$(grep -m1 -E '^(error|fatal):' "$SCRATCH/snapshot.log")" "git -C $LINUX status"
	tree=$(GIT_INDEX_FILE=$index kgit write-tree 2>"$SCRATCH/snapshot.log") || die "$EX_USAGE" "LINUX=$LINUX cannot be read whole" \
		    "$(grep -m1 -E '^(error|fatal):' "$SCRATCH/snapshot.log")" "git -C $LINUX fsck"
	echo "snapshot of $LINUX" | GIT_AUTHOR_DATE='@0 +0000' GIT_COMMITTER_DATE='@0 +0000' kgit commit-tree "$tree"
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

# The commit of the user's own tree below the change: SINCE=, or the last one if there are edits, or the one before it.
theirs_below()
{
	theirs() { ugit "$LINUX" "$@" 2>/dev/null; }
	if [ -n "${SINCE-}" ]; then
		theirs rev-parse -q --verify "$SINCE^{commit}" ||
			die "$EX_USAGE" "SINCE=$SINCE is no commit" "git rev-parse does not find it in $LINUX" "git -C $LINUX log --oneline"
	elif theirs diff --quiet --no-ext-diff HEAD --; then
		theirs rev-parse -q --verify HEAD^ || true
	else
		theirs rev-parse -q --verify HEAD || true
	fi
}
