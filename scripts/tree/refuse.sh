# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# A patch of the user's that does not apply on BASE: which hunk of which file, and what is in the way. Sourced by scripts/tree.sh.

# called PATCH: its path; of one that was read from a mail, its subject and where that lies.
called()
{
	if [ -f "$(dirname "$1")/source" ]; then
		echo "\"$(sed -n 's/^Subject: \[PATCH\] //p; /^$/q' "$1" | head -n 1)\" of $(cat "$(dirname "$1")/source")"
	else
		echo "$1"
	fi
}

# change_called PATCH: the name of its change.
change_called()
{
	basename "$(cat "$(dirname "$1")/source" 2>/dev/null || dirname "$1")"
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
	stands_on "$1" "$(stated_base "$1")" > "$SCRATCH/stands"
	die "$EX_PATCH" "patch $(called "$1") does not apply" "$because$(rival "$1" "${where%:*}")" \
	    "$(remedy "$1")"
}

# alone PATCH: whether its series applies, up to it, without the other changes of the stack.
alone()
{
	index=$SCRATCH/alone
	kit=$(record "$BASE" '' | sed -n 's/^top //p')
	GIT_INDEX_FILE=$index kgit read-tree "$kit"
	for q in $PATCHES; do
		case $q in
		"$1") GIT_INDEX_FILE=$index kgit apply --cached --check "$q" 2>/dev/null; return ;;
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
		"$(dirname "$1")"/*) continue ;;
		esac
		if ! grep -qxF "+++ b/$2" "$other" || ! alone "$1"; then
			continue
		fi
		printf '; change %s conflicts with %s, which touches %s before it' "$(change_called "$1")" "$(change_called "$other")" "$2"
		return 0
	done
	wants=$(sed -n '/^[0-9]/{p;q;}' "$(dirname "$1")/base" 2>/dev/null || true)
	has=$(version_of "$BASE")
	case " ${wants:-$has} " in
	*" $has "*) ;;
	*) printf '; the series is for %s, the tree is %s' "$wants" "$has" ;;
	esac
	commit=$(stated_base "$1")
	[ -z "$commit" ] || printf '; its base-commit %.12s is not this base' "$commit"
	awk '{ n++; lack += $2 == "-" }
		END { if (lack) printf "; of the %d patches that it stands on (prerequisite-patch-id) the tree lacks %d", n, lack }' "$SCRATCH/stands"
}

# stands_on PATCH BASE: each patch that git format-patch says its series needs on top of BASE, as "PATCH-ID COMMIT" with the
# commit of LINUX= that is it, or "-". What is looked through is BASE.. of its branches.
stands_on()
{
	cat "$(dirname "$1")"/*.patch | sed -n 's/^prerequisite-patch-id: \([0-9a-f]*\)$/\1/p' | awk '!seen[$0]++' > "$SCRATCH/needs"
	[ -s "$SCRATCH/needs" ] || return 0
	: > "$SCRATCH/ids"
	if in_their_tree "$2"; then
		ugit "$LINUX" -c diff.noprefix=false -c diff.mnemonicPrefix=false log -p --no-ext-diff --no-textconv --no-merges -n 2000 \
			HEAD --branches --not "$2" | git_clean patch-id --stable > "$SCRATCH/ids"
	fi
	awk 'NR == FNR { commit[$1] = $2; next } { print $1, $1 in commit ? commit[$1] : "-" }' "$SCRATCH/ids" "$SCRATCH/needs"
}

# in_their_tree COMMIT: whether LINUX= has it.
in_their_tree()
{
	[ -n "$1" ] && [ -n "$LINUX" ] && ugit "$LINUX" cat-file -e "$1^{commit}" 2>/dev/null
}

# stated_base PATCH: the base-commit that git format-patch wrote behind the first or the last patch of its series.
stated_base()
{
	cat "$(dirname "$1")"/*.patch | sed -n 's/^base-commit: \([0-9a-f]*\)$/\1/p' | head -n 1
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
	commit=$(stated_base "$1")
	if in_their_tree "$commit"; then
		what="its base-commit, which this tree has"
		if [ -s "$SCRATCH/stands" ] && ! grep -q ' -$' "$SCRATCH/stands"; then
			commit=$(tail -n 1 "$SCRATCH/stands" | cut -d' ' -f2)
			what="the last of the patches that it stands on"
		fi
		echo "S=git:$(echo "$commit" | cut -c1-12),$S  ($what)"
		return 0
	fi
	echo "git -C $BUILD/trees/$NAME log --oneline -5"
}
