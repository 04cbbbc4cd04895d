# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Patches as commits of the kit's repository, without a work tree; what does not apply is refused with its cause. BASE is
# the commit below the stack, PATCHES the paths of its patches, SCRATCH a directory of this process. Sourced by
# scripts/tree.sh.

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
	die "$EX_PATCH" "patch $1 does not apply" "$because$(rival "$1" "${where%:*}")" \
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
	index=$SCRATCH/alone
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

# cannot_apply PATCH: git failed where no patch can be the cause.
cannot_apply()
{
	die "$EX_HOST" "no commit of $1" "$(head -n 1 "$SCRATCH/log")" "df -h $KGIT"
}

# commit_patch PATCH PARENT: the index as a commit with the patch's words; prints it.
commit_patch()
{
	kgit mailinfo "$SCRATCH/body" /dev/null < "$1" > "$SCRATCH/info" 2>"$SCRATCH/log" || cannot_apply "$1"
	field() { sed -n "s/^$1: //p" "$SCRATCH/info"; }
	files=$(kgit write-tree 2>"$SCRATCH/log") || cannot_apply "$1"
	{ field Subject; echo; cat "$SCRATCH/body"; } > "$SCRATCH/message"
	author=$(field Author) date=$(field Date)
	# Without a date git would take the time of day, and the same patches would be another commit each time.
	GIT_AUTHOR_NAME=${author:-nobody} GIT_AUTHOR_EMAIL=$(field Email) GIT_AUTHOR_DATE=${date:-@0 +0000} \
		GIT_COMMITTER_DATE='@0 +0000' kgit commit-tree "$files" -p "$2" < "$SCRATCH/message" 2>"$SCRATCH/log" || cannot_apply "$1"
}

# One commit per patch on $1, made without a work tree; prints the last commit. It runs where a status is asked for: each
# command's own is looked at.
apply_stack()
{
	commit=$1
	GIT_INDEX_FILE=$SCRATCH/index
	export GIT_INDEX_FILE
	kgit read-tree "$commit" 2>"$SCRATCH/log" || cannot_apply "$commit"
	for p in $PATCHES; do
		if ! kgit apply --cached --whitespace=nowarn "$p" 2>"$SCRATCH/log"; then
			if kgit apply --cached --reverse --check "$p" 2>/dev/null; then
				[ -n "${QUIET-}" ] || say SKIP "$p (already in the tree)" >&2
				continue
			fi
			refuse "$p" "$SCRATCH/log"
		fi
		commit=$(commit_patch "$p" "$commit") || exit $?
	done
	unset GIT_INDEX_FILE
	echo "$commit"
}

# The commit of the stack; found again by a key over everything that it is made of.
stack_commit()
{
	# shellcheck disable=SC2086 # a list of paths without blanks
	sums=$(sha256sum $PATCHES) || die "$EX_PATCH" "a patch of the stack cannot be read" "" "scripts/tree.sh --patches"
	key=$( { echo "$1"; echo "$sums" | cut -d' ' -f1; } | sha256sum | cut -c1-40)
	if ! kgit rev-parse -q --verify "refs/mmuml/stack/$key" 2>/dev/null; then
		commit=$(apply_stack "$1") || exit $?
		kgit update-ref "refs/mmuml/stack/$key" "$commit" || exit "$EX_HOST"
		echo "$commit"
	fi
}
