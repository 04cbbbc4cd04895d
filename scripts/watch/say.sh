# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# What a round of make watch says, and what was saved: lines that stay, and on a terminal where it is. Sourced by round.sh.

tty=
[ ! -t 1 ] || tty=1
saved=$WATCH/saved
began=${SAVED:-$(date +%s%3N)}	# ms since 1970
at=$(date -d "@$((began / 1000))" +%T)

# put TEXT: a line that stays; status TEXT: one that the next takes the place of, on a terminal only.
put()
{
	printf '%s%s\n' "${tty:+$(printf '\r\033[K')}" "$1"
}

status()
{
	[ -z "$tty" ] || printf '\r\033[K%s  ... %.60s' "$at" "$1"
}

# took: seconds from the save until now.
took()
{
	tenths=$((($(date +%s%3N) - began) / 100))
	echo "$((tenths / 10)).$((tenths % 10))s"
}

# stamp STAGE: that it ended now, ms after the save, in WATCH/times.
stamp()
{
	echo "$1 $(($(date +%s%3N) - began))" >> "$WATCH/times"
}

# saved_of KIND: the paths.
saved_of()
{
	sed -n "s/^$1 //p" "$saved" | sort -u
}

is_saved()
{
	grep -qE "^($1) " "$saved"
}

# names: of what was saved: one, or one and how many others.
names()
{
	sed 's/^kernel //; s/^tests /tests\//; s/^config /uml-config\//; s/^patches //' "$saved" | sort -u | awk 'NR == 1 { one = $0 } END {
		print NR == 0 ? "start" : NR == 1 ? one : one " and " NR - 1 " other" (NR > 2 ? "s" : "") }'
}

# show FILE: its lines.
show()
{
	[ -z "$tty" ] || printf '\r\033[K'
	cat "$1"
}

# no_verdict WHAT [FILE]: the round ends here; what FILE says is shown, and the last verdict stays.
no_verdict()
{
	[ -z "${2-}" ] || show "$2"
	put "$at  $(names)  $1  $(took)"
	[ ! -s "$WATCH/last" ] || put "          the last verdict stays: $(cat "$WATCH/last")"
	exit 0
}

# compiler_says: of what kbuild or make said, in WATCH/log, the compiler's own words, in WATCH/said.
compiler_says()
{
	grep -vE '^make(\[[0-9]+\])?: |^  [A-Z]+ +[^ ]+$' "$WATCH/log" > "$WATCH/said" || true
}

# show_tests: the runner's lines, without those of tests that pass, and without those that this round has shown already.
show_tests()
{
	skip=
	if [ -n "${V-}" ]; then
		cat
	else
		grep --line-buffered -vE '^  (PASS|SKIP) '
	fi | while IFS= read -r line; do
		case $line in
		"mmuml: "*)
			line=${line#mmuml: }
			echo "${line%%  boot *}" > "$WATCH/verdict"
			continue ;;
		"          "*) ;;
		"  "[A-Z]*)
			name=${line#  }
			name=${name#"${name%% *}"}
			name=$(echo "$name" | awk '{ print $1 }')
			skip=
			! grep -qxF "$name" "$WATCH/shown" || skip=1
			echo "$name" >> "$WATCH/shown" ;;
		esac
		[ -n "$skip" ] || put "$line"
	done
}

