# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Series files: one patch a line, "#" begins a comment. A line may say for which versions of the kernel its patch is, "since V"
# or "until V", V being of two numbers; such a line with the number (0001-) of the line before it is another form of the same
# patch. A form is written on the kernel that its name ends with (x-6.12.patch), else on the first that the series is for.
# Sourced by scripts/tree.sh after kit.sh.

# series_entries FILE VERSION-NUMBER: one patch a line: its topic ("-" if the file has none), then the names of the forms that
# are for this version, the most special one last. A patch that is for other versions only has no line.
series_entries()
{
	awk -v version="$2" '
	function number(v, part) { split(v, part, "."); return part[1] * 1000 + part[2] }
	function flush() { if (forms != "") print topic, forms; forms = "" }
	/^# topic / { flush(); topic = $3; sub(/:$/, "", topic); key = ""; next }
	BEGIN { topic = "-" }
	{ sub(/#.*/, "") }
	NF == 0 { next }
	{
		ranged = 0; here = 1
		for (i = 2; i < NF; i += 2) {
			if ($i == "since") { ranged = 1; here = here && version >= number($(i + 1)) }
			if ($i == "until") { ranged = 1; here = here && version <= number($(i + 1)) }
		}
		this = match($1, /^[0-9]+-/) ? substr($1, 1, RLENGTH) : $1
		if (!ranged || this != key) flush()
		key = this
		if (here) forms = forms (forms == "" ? "" : " ") $1
	}
	END { flush() }' "$1"
}

# series_forms FILE: the paths of all forms of all its patches, in their order.
series_forms()
{
	dir=$(dirname "$1")
	[ -r "$1" ] || die "$EX_PATCH" "$1 cannot be read" "" "git status $dir"
	sed 's/#.*//; s/[[:space:]].*//; /^$/d' "$1" | while read -r p; do
		[ -f "$dir/$p" ] || die "$EX_PATCH" "no patch $dir/$p" "$1 names it" "git status $dir"
		echo "$dir/$p"
	done
}

# series_patches_of FILE VERSION-NUMBER: the paths of its patches for this version, in their order.
series_patches_of()
{
	series_forms "$1" >/dev/null || exit $?
	series_entries "$1" "$2" | while read -r _ forms; do
		echo "$(dirname "$1")/${forms##* }"
	done
}

# topic_says FILE TOPIC KEY: the text behind "# KEY: " in a topic's head.
topic_says()
{
	awk -v topic="$2" -v key="# $3: " '
	/^# topic / { here = $3 == topic ":" || $3 == topic }
	here && index($0, key) == 1 { print substr($0, length(key) + 1) }' "$1"
}

# written_on PATCH: the kernel whose source it was written on.
written_on()
{
	for w in $(kernels); do
		case $1 in *-"$w".patch) echo "$w"; return ;; esac
	done
	w=$(sed -n '/^[0-9]/{s/\([0-9]*\.[0-9]*\).*/\1/p;q}' "$(dirname "$1")/base" 2>/dev/null || true)
	echo "${w:-7.2}"
}
