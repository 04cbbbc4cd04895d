# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# What S= says: changes with commas between, NAME@N for the first N patches of one; a path that exists is what it is, whatever
# its name. Ranges as git reads them. Sourced after kit.sh.

# exists ELEMENT: a path, or the first patches of what lies there.
exists()
{
	[ -e "$1" ] || [ -e "${1%@*}" ]
}

# elements STACK: one a line.
elements()
{
	rest=$1
	while [ -n "$rest" ]; do
		one=$rest
		while ! exists "$one" && [ "$one" != "${one%,*}" ]; do
			one=${one%,*}
		done
		exists "$one" || one=${rest%%,*}
		[ -z "$one" ] || echo "$one"
		rest=${rest#"$one"}
		rest=${rest#,}
	done
}

# step_of ELEMENT: N of NAME@N; empty if it is a change as a whole.
step_of()
{
	[ -e "$1" ] || printf '%s\n' "$1" | sed -n 's/^..*@\([0-9][0-9]*\)$/\1/p'
}

# change_of ELEMENT: it without @N.
change_of()
{
	nr=$(step_of "$1")
	printf '%s\n' "${1%"${nr:+@$nr}"}"
}

# say_not_taken SOURCE LEFT: what of its mails is no patch of the series (scripts/mbox), if anything is.
say_not_taken()
{
	[ -s "$2" ] || return 0
	say MAIL "of $1 not taken:"
	sed 's/^/          /' "$2"
}

# range_of A..B|A...B REPO: "A B", what is left out being HEAD; of three dots A is where the two parted (gitrevisions(7)).
range_of()
{
	from=${1%%..*} to=${1##*..}
	from=${from:-HEAD}
	case $1 in
	*...*)
		to=${to:-HEAD}
		from=$(ugit "$2" merge-base "$from" "${to#.}" 2>/dev/null) ||
			die "$EX_USAGE" "$1 has no beginning" "the two have no common ancestor in $2" "git -C $2 merge-base ${1%%...*} $to" ;;
	esac
	echo "$from ${to:-HEAD}"
}
