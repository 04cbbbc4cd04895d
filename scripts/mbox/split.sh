# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# A file as single mails, $w/NNNN.mail: whatever it is, it becomes a mail box first, which git mailsplit reads. Sourced by
# patches.sh; counts in $mails.

# plain FILE: its text, unpacked, with the line ends of Unix if its first line has others.
plain()
{
	case $(od -An -tx1 -N6 "$1" | tr -d ' ') in
	1f8b*) set -- "$1" gzip ;;
	fd377a585a00) set -- "$1" xz ;;
	425a68*) set -- "$1" bzip2 ;;
	28b52ffd*) set -- "$1" zstd ;;
	*) set -- "$1" cat ;;
	esac
	if [ "$2" = cat ]; then
		cat "$1"
	else
		command -v "$2" >/dev/null || die "$EX_HOST" "$1 cannot be unpacked" "there is no $2 on this machine" "$2 -dc $1"
		"$2" -dc < "$1" 2>"$w/log" || die "$EX_USAGE" "$1 cannot be unpacked" "$(head -n 1 "$w/log")" "$2 -t $1"
	fi > "${w:?}/packed"
	if head -n 1 "$w/packed" | grep -q "$(printf '\r')\$"; then
		sed 's/\r$//' "$w/packed"
	else
		cat "$w/packed"
	fi
}

# A file that begins with a mail's header has a subject or a sender in it.
begins_as_mail()
{
	sed '/^$/q' "$1" | awk '
		NR == 1 && /^From / { next }
		/^[ \t]/ { next }
		/^(Subject|From): / { seen = 1 }
		/^$/ { exit }
		!/^[A-Za-z][A-Za-z0-9-]*:/ { other = 1; exit }
		END { exit !(seen && !other) }'
}

# diff_as_mail FILE TITLE: a bare diff, with what stands above it as its message. Author: and Description: there are Debian's
# (DEP 3).
diff_as_mail()
{
	awk -v title="$2" '
		/^(diff |Index: |--- )/ { exit }
		{ sub(/^# ?/, "") }
		/^(Author|From): / { sub(/^[A-Za-z]*: /, ""); if (author == "") author = $0; next }
		/^(Description|Subject): / { sub(/^[A-Za-z]*: /, ""); if (described == "") described = $0; next }
		{ text = text $0 "\n" }
		END {
			if (author == "") author = "nobody <nobody@localhost>"
			if (described == "") described = title
			printf "From: %s\nSubject: %s\n\n%s---\n", author, described, text
		}' "$1"
	sed -n '/^\(diff \|Index: \|--- \)/,$p' "$1"
}

# split_file FILE STRIP: its mails, numbered on. STRIP: "-p0" if a series file says so.
split_file()
{
	plain "$1" > "$w/text"
	title=$(basename "$1" | sed 's/\.\(gz\|xz\|bz2\|zst\)$//; s/\.\(patch\|diff\)$//; s/^[0-9]*-//')
	if head -n 1 "$w/text" | grep -q '^From ' && ! begins_as_mail "$w/text" && ! grep -q '^Subject: ' "$w/text"; then
		die "$EX_USAGE" "$1 is not a mail box" "no mail in it has a subject" "head -n 20 '$1'"
	elif head -n 1 "$w/text" | grep -q '^From '; then
		cp "$w/text" "$w/box"
	else
		{
			echo 'From mboxrd@z Thu Jan  1 00:00:00 1970'
			if begins_as_mail "$w/text"; then
				cat "$w/text"
			else
				diff_as_mail "$w/text" "$title"
			fi
		} > "$w/box"
	fi
	mkdir -p "$w/split"
	kgit mailsplit -d4 -o"$w/split" "$w/box" >/dev/null 2>"$w/log" ||
		die "$EX_USAGE" "$1 is not a mail box" "$(head -n 1 "$w/log")" "head -n 20 '$1'"
	for one in "$w"/split/*; do
		[ -f "$one" ] || continue
		mails=$((mails + 1))
		n=$(printf %04d $mails)
		mv "$one" "$w/$n.mail"
		echo "$2" > "$w/$n.strip"
		echo "$title" > "$w/$n.file"
	done
	rm -rf "$w/split"
}
