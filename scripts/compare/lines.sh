#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Stage of make compare: which files and lines differ, and where the code of those lines begins in the two kernels.
# usage: scripts/compare/lines.sh WORK/N   -> WORK/N/files, idle, diff, lines.base, lines.changed, code.base, code.changed
# code.SIDE is empty where nothing can be told: under valgrind, whose translation never meets a breakpoint, for a change
# that is too large to be looked at line by line, and for two kernels.
set -eu
. scripts/lib/kit.sh
. scripts/compare/lib.sh

MOST_LINES=5000

# Why the comparison can show nothing: no file that differs goes into a kernel.
idle()
{
	while read -r f; do
		case $f in
		*Kconfig* | *Makefile* | *Kbuild* | scripts/* | *.lds* | *.tbl) return 0 ;;
		esac
		if awk -v file="../$f" '$4 == file { found = 1 } END { exit !found }' "$base/$out/.inputs" "$changed/$out/.inputs"
		then
			return 0
		fi
	done < "$dir/files"
	echo "no file that the change touches is compiled by PROFILE=$profile: $(paste -sd' ' "$dir/files" | cut -c1-200)"
}

# Lines that are gone, and new ones, as "path:line". Not those that run in other threads of the kernel process: no breakpoint
# may be there.
lines()
{
	: > "$dir/lines.base"
	: > "$dir/lines.changed"
	awk -v dir="$dir" '
	function add(side, path, hunk,	n, i) {
		n = split(substr(hunk, 2), at, ",") > 1 ? at[2] : 1
		for (i = 0; path && i < n; i++)
			print path ":" at[1] + i > (dir "/lines." side)
	}
	/^diff /   { old = new = "" }
	/^--- a\// { old = substr($0, 7) }
	/^\+\+\+ b\// { new = substr($0, 7) }
	old ~ /^arch\/um\/(os-Linux|drivers)\// || old !~ /\.[ch]$/ { old = "" }
	new ~ /^arch\/um\/(os-Linux|drivers)\// || new !~ /\.[ch]$/ { new = "" }
	/^@@ /     { add("base", old, $2); add("changed", new, $3) }' "$dir/diff"
}

# find_code SIDE TREE: the probe's own words become the cause; one that was killed said none.
find_code()
{
	vmlinux=$2/$out/vmlinux said=0
	"$BUILD/host/mmuml-probe" --find "$vmlinux" < "$dir/lines.$1" > "$dir/code.$1.tmp" 2> "$dir/code.$1.log" || said=$?
	if [ $said != 0 ]; then
		why=$(sed -n 's/^mmuml: error: //p; s/^  because: /: /p' "$dir/code.$1.log" | paste -sd'\0')
		die $EX_HOST "the changed lines are not found in $vmlinux" "${why:-mmuml-probe ended with $said}" \
			"scripts/compare/lines.sh $dir"
	fi
	sort -u -o "$dir/code.$1" "$dir/code.$1.tmp"
	rm -f "$dir/code.$1.tmp" "$dir/code.$1.log"
}

use "$1" what resolve
base=$(ask tree.base) changed=$(ask tree.changed) profile=$(ask profile)
out=build-$profile
for tree in "$base" "$changed"; do
	[ -f "$tree/$out/.inputs" ] || die $EX_USAGE "$tree/$out is not built" "it has no .inputs" "scripts/compare/side.sh $dir base"
done
if [ "$(kernel_of "$(ask base)")" != "$(kernel_of "$(ask changed)")" ]; then
	for f in files idle diff lines.base lines.changed code.base code.changed; do
		: > "$dir/$f"
	done
	exit 0
fi
head=$(tgit "$base" rev-parse HEAD)
tgit "$changed" diff --name-only "$head" > "$dir/files"
[ -s "$dir/files" ] || die $EX_USAGE "the two sides of $(ask name) are the same" \
			   "$(ask base) and $(ask changed) make the same tree" "make list"
idle > "$dir/idle"
tgit "$changed" diff -U0 --no-color --no-ext-diff --no-renames "$head" > "$dir/diff"
lines
for side in base changed; do
	: > "$dir/code.$side"
	[ "$profile" != valgrind ] || continue
	[ "$(wc -l < "$dir/lines.$side")" -le "$MOST_LINES" ] || continue
	find_code "$side" "$(ask "tree.$side")"
done
