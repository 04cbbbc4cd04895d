# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2030,SC2031 # record() works on another base, in a shell of its own
# Patches as commits of the kit's repository, without a work tree. BASE is the commit below the stack, SCRATCH a directory of
# this process. Sourced by scripts/tree.sh.
#
# What became of the patches on a base is a record, one line each:
#   commit ID PATH          a patch and its commit
#   there PATH              the tree has it already
#   left NAME WHY           a topic of the kit, or a change of the default stack, that is not in this tree
#   top ID                  the last commit
#   incomplete              something was left out for want of a kernel to merge it with; such a record is not kept
# A record is kept under a key over everything that it came from: refs/mmuml/record/KEY, with refs/mmuml/stack/KEY for the
# commits in it.

# The bases whose records are being made, each asked for by a merge of the one before.
MERGING=

# cannot_apply PATCH: git failed where no patch can be the cause.
cannot_apply()
{
	die "$EX_HOST" "no commit of $1" "$(head -n 1 "$SCRATCH/log")" "df -h $KGIT"
}

# commit_patch PATCH FILES PARENT: the tree FILES as a commit with the patch's words; prints it.
commit_patch()
{
	kgit mailinfo "$SCRATCH/body" /dev/null < "$1" > "$SCRATCH/info" 2>"$SCRATCH/log" || cannot_apply "$1"
	field() { sed -n "s/^$1: //p" "$SCRATCH/info"; }
	{ field Subject; echo; cat "$SCRATCH/body"; } > "$SCRATCH/message"
	author=$(field Author) date=$(field Date)
	# Without a date git would take the time of day, and the same patches would be another commit each time.
	GIT_AUTHOR_NAME=${author:-nobody} GIT_AUTHOR_EMAIL=$(field Email) GIT_AUTHOR_DATE=${date:-@0 +0000} \
		GIT_COMMITTER_DATE='@0 +0000' kgit commit-tree "$2" -p "$3" < "$SCRATCH/message" 2>"$SCRATCH/log" || cannot_apply "$1"
}

# at COMMIT: what comes next goes on top of it.
at()
{
	TOP_COMMIT=$1
	export GIT_INDEX_FILE="$SCRATCH/index"
	kgit read-tree "$1" 2>"$SCRATCH/log" || cannot_apply "$1"
	unset GIT_INDEX_FILE
}

# took PATCH [FILES]: the index, or the tree FILES, is a patch more.
took()
{
	files=${2-}
	if [ -z "$files" ]; then
		files=$(GIT_INDEX_FILE=$SCRATCH/index kgit write-tree 2>"$SCRATCH/log") || cannot_apply "$1"
	else
		GIT_INDEX_FILE=$SCRATCH/index kgit read-tree "$files" 2>"$SCRATCH/log" || cannot_apply "$1"
	fi
	TOP_COMMIT=$(commit_patch "$1" "$files" "$TOP_COMMIT") || exit $?
	echo "commit $TOP_COMMIT $1" >> "$RECORD"
}

# plainly PATCH [OPTION]: as it is; 1 if it does not apply, with git's words in $SCRATCH/log.
plainly()
{
	if GIT_INDEX_FILE=$SCRATCH/index kgit apply --cached --whitespace=nowarn ${2+"$2"} "$1" 2>"$SCRATCH/log"; then
		took "$1"
	elif GIT_INDEX_FILE=$SCRATCH/index kgit apply --cached --reverse --check "$1" 2>/dev/null; then
		[ -n "${QUIET-}" ] || say SKIP "$1 (already in the tree)" >&2
		echo "there $1" >> "$RECORD"
	else
		return 1
	fi
}

# ancestor KERNEL: its commit; fetched if it is not here. Nothing if it is not to be had, with the cause in $SCRATCH/fetch.log.
ancestor()
{
	if ! kgit rev-parse -q --verify "refs/mmuml/kernel/$1" 2>/dev/null; then
		# Its lock is not ours, and what it does takes a while.
		scripts/fetch.sh "$1" 2>"$SCRATCH/fetch.log" >&3 || return 0
		kgit rev-parse -q --verify "refs/mmuml/kernel/$1"
	fi
}

# behind PATCH STACK KERNEL: the commit of PATCH on that kernel, behind STACK; nothing where there is none, with the cause in
# $SCRATCH/gone if there is no such kernel.
behind()
{
	below=$(ancestor "$3")
	if [ -z "$below" ]; then
		echo "error: and Linux $3, to merge it with, is not to be had: $(sed -n 's/^  because: //p' "$SCRATCH/fetch.log" | head -n 1)" > "$SCRATCH/gone"
		return 0
	fi
	[ "$below" != "$BASE" ] || return 0
	# Nor can one whose own merge has led here: a patch that goes on neither would be asked of each for ever.
	case " $MERGING " in
	*" $below "*)
		: > "$SCRATCH/circle"
		return 0 ;;
	esac
	# A stack that does not go on that kernel is no ancestor.
	there=$([ -z "$2" ] || series_patches "$(version_number "$(version_of "$below")")") || exit $?
	(record "$below" "$there") > "$SCRATCH/theirs" 2>/dev/null || return 0
	sed -n "s|^commit \([0-9a-f]*\) $1\$|\1|p" "$SCRATCH/theirs"
}

# merged PATCH STACK: by three-way merge. The common ancestor is this build's own kernel if the patch is in its tree, or else
# the one that the patch was written on, where it stands behind STACK; 1 with the cause in $SCRATCH/log.
merged()
{
	rm -f "$SCRATCH/circle"
	on=$(kernel_here) theirs=
	[ -z "$on" ] || theirs=$(behind "$1" "$2" "$on" 3>&2) || exit $?
	if [ -z "$theirs" ]; then
		rm -f "$SCRATCH/gone"
		on=$(written_on "$1")
		theirs=$(behind "$1" "$2" "$on" 3>&2) || exit $?
		if [ -s "$SCRATCH/gone" ]; then
			mv "$SCRATCH/gone" "$SCRATCH/log"
			INCOMPLETE=1
		fi
		if [ -z "$theirs" ]; then
			[ ! -e "$SCRATCH/circle" ] || INCOMPLETE=1
			return 1
		fi
	fi
	# git finds the ancestor by the history: give ours that of theirs.
	ours=$(echo ours | GIT_AUTHOR_DATE='@0 +0000' GIT_COMMITTER_DATE='@0 +0000' kgit commit-tree "$TOP_COMMIT^{tree}" -p "$theirs^" 2>"$SCRATCH/log") ||
		cannot_apply "$1"
	if kgit -c merge.directoryRenames=true merge-tree --write-tree "$ours" "$theirs" > "$SCRATCH/merge" 2>"$SCRATCH/log"; then
		took "$1" "$(head -n 1 "$SCRATCH/merge")"
		return 0
	fi
	sed -n 's/^CONFLICT ([^)]*): .* in \(.*\)$/\1/p; s/^CONFLICT ([^)]*): \([^ ]*\) deleted in.*/\1/p' "$SCRATCH/merge" | sort -u | paste -sd' ' |
		sed "s|^|error: Linux $on and this tree both changed |" > "$SCRATCH/log"
	return 1
}

# kit_patches: the topics of uml-config/patches on the index; one that does not fit is left out as a whole.
kit_patches()
{
	series=uml-config/patches/series
	series_forms "$series" >/dev/null || exit $?
	series_entries "$series" "$VERSION" > "$SCRATCH/entries"
	topic='' left=' '
	while read -r of forms; do
		if [ "$of" != "$topic" ]; then
			topic=$of before=$TOP_COMMIT out=
			too_old "$topic"
			for need in $(topic_says "$series" "$topic" needs); do
				case $left in *" $need "*) leave "$topic" "it needs topic $need" ;; esac
			done
		fi
		[ -z "$out" ] || continue
		fits "$forms" || leave "$topic" "${forms##* }: $(sed -n 's/^error: //p' "$SCRATCH/log.merge" | head -n 1)"
	done < "$SCRATCH/entries"
}

# too_old TOPIC: out, if it says since when it is.
too_old()
{
	since=$(topic_says "$series" "$1" since)
	[ -z "$since" ] || [ "$VERSION" -ge "$(version_number "$since")" ] || leave "$1" "before Linux $since"
}

# fits FORMS: one of them as it is, or the most special one that can be merged, or over lines that only have other blanks; else
# 1, with what the merge said in $SCRATCH/log.merge.
fits()
{
	for form in $1; do
		! plainly "uml-config/patches/$form" || return 0
	done
	! merged "uml-config/patches/$form" '' || return 0
	cp "$SCRATCH/log" "$SCRATCH/log.merge"
	[ "$form" = "${1%% *}" ] || ! merged "uml-config/patches/${1%% *}" '' || return 0
	plainly "uml-config/patches/$form" --ignore-whitespace
}

# leave TOPIC WHY: out with what of it is in already.
leave()
{
	out=1 left="$left$1 "
	if [ "$TOP_COMMIT" != "$before" ]; then
		at "$before"
	fi
	awk -v keep="$before" '
		{ line[NR] = $0 } $1 == "commit" && $2 == keep { last = NR }
		END { for (i = 1; i <= NR; i++) if (i <= last || line[i] ~ /^left /) print line[i] }' "$RECORD" > "$RECORD.new"
	mv "$RECORD.new" "$RECORD"
	echo "left $1 $2" >> "$RECORD"
}

# stack_patches_on PATCHES: those of the changes. What does not fit is the user's to mend, and said with its cause; a change
# of the kit's own is merged first.
stack_patches_on()
{
	for p in $1; do
		if plainly "$p"; then
			continue
		fi
		cp "$SCRATCH/log" "$SCRATCH/log.plain"
		case $p in
		mm-changes/*) ! merged "$p" "$1" || continue ;;
		esac
		refuse "$p" "$SCRATCH/log.plain"
	done
}

# touched BASE TOP PATCH...: the files that the patches name, and those that their commits have changed: a merge may have found
# a file elsewhere.
touched()
{
	kgit log --format= --name-only --no-renames "$1..$2"
	shift 2
	sed -n 's/^\(---\|+++\) [^/]*\/\([^\t]*\).*/\2/p; s/^rename \(from\|to\) //p' "$@"
}

# moved BASE PATCHES SUMS: the record of the tree's last base, its commits brought to this one; 1 if there is none, or if what
# the two bases differ in is named by any patch. Each commit is the one that applying the patches would make.
moved()
{
	old=$(sed -n 's/^base //p' "$STACK" 2>/dev/null) || return 1
	old_key=$( { echo "$old"; echo "$3"; } | sha256sum | cut -c1-40)
	kgit cat-file blob "refs/mmuml/record/$old_key" > "$SCRATCH/old" 2>/dev/null || return 1
	kgit diff-tree -r --name-only --no-renames "$old" "$1" > "$SCRATCH/differ" 2>/dev/null || return 1
	# shellcheck disable=SC2046,SC2086 # lists of paths without blanks
	{ echo Makefile; touched "$old" "refs/mmuml/stack/$old_key" $(series_forms uml-config/patches/series) $2; } | sort -u > "$SCRATCH/touched"
	! grep -qxFf "$SCRATCH/touched" "$SCRATCH/differ" || return 1
	kgit fast-export --no-data --reference-excluded-parents "refs/mmuml/stack/$old_key" "^$old" 2>/dev/null |
		sed "s|^commit refs/mmuml/stack/$old_key\$|commit refs/mmuml/stack/$key|; s/^from $old\$/from $1/" |
		kgit -c fastimport.unpackLimit=10000 fast-import --quiet --force --export-marks="$SCRATCH/marks" >/dev/null 2>&1 || return 1
	sort -t: -k2n "$SCRATCH/marks" | cut -d' ' -f2 > "$SCRATCH/new"
	kgit rev-list --reverse "refs/mmuml/stack/$old_key" "^$old" | paste -d' ' - "$SCRATCH/new" > "$SCRATCH/map"
	echo "$old $1" >> "$SCRATCH/map"
	awk 'NR == FNR { to[$1] = $2; next } /^(commit|top) / { if (!to[$2]) exit 1; $2 = to[$2] } { print }' "$SCRATCH/map" "$SCRATCH/old" \
		> "$SCRATCH/moved" || return 1
	blob=$(kgit hash-object -w "$SCRATCH/moved") && kgit update-ref "refs/mmuml/record/$key" "$blob" || return 1
	cat "$SCRATCH/moved"
}

# record BASE PATCHES: what became of the kit's patches and of these on BASE; made where it is not known yet.
record()
{
	# The paths are part of the key: they stand in the record.
	# shellcheck disable=SC2046,SC2086 # lists of paths without blanks
	sums=$(sha256sum uml-config/patches/series $(series_forms uml-config/patches/series) $2) ||
		die "$EX_PATCH" "a patch of the stack cannot be read" "" "scripts/tree.sh --patches"
	key=$( { echo "$1"; echo "$sums"; } | sha256sum | cut -c1-40)
	if kgit cat-file blob "refs/mmuml/record/$key" 2>/dev/null; then
		return 0
	fi
	if moved "$1" "$2" "$sums"; then
		return 0
	fi
	(
		# What a merge asks of another base is asked in here, and sets $key again.
		MERGING="$MERGING $1"
		KEY=$key BASE=$1 VERSION=$(version_number "$(version_of "$1")") INCOMPLETE=
		SCRATCH=$(mktemp -d "$SCRATCH/record.XXXXXX")
		RECORD=$SCRATCH/record
		: > "$RECORD"
		if [ -z "$2" ]; then
			at "$BASE"
			kit_patches
		else
			record "$BASE" '' > "$SCRATCH/kit" || exit $?
			sed '/^top /d' "$SCRATCH/kit" > "$RECORD"
			! grep -qx incomplete "$SCRATCH/kit" || INCOMPLETE=1
			at "$(sed -n 's/^top //p' "$SCRATCH/kit")"
			stack_patches_on "$2"
		fi
		sed -i '/^incomplete$/d' "$RECORD"
		echo "top $TOP_COMMIT" >> "$RECORD"
		[ -z "$INCOMPLETE" ] || echo incomplete >> "$RECORD"
		kgit update-ref "refs/mmuml/stack/$KEY" "$TOP_COMMIT" || exit "$EX_HOST"
		# What was left out for want of an ancestor is tried again the next time.
		if [ -z "$INCOMPLETE" ]; then
			blob=$(kgit hash-object -w "$RECORD") && kgit update-ref "refs/mmuml/record/$KEY" "$blob" || exit "$EX_HOST"
		fi
		cat "$RECORD"
	) || exit $?
}
