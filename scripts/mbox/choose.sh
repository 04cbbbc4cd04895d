# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Which of the mails are the series: not the answers, of several versions the newest, whole or not at all; what was left out
# is said. Sourced by patches.sh.

# A line of a .tags file: N, 1 if it has a diff, KIND, VERSION, NUMBER, OF, SUBJECT (which may have blanks).
# quoted: their subjects.
quoted()
{
	cut -d' ' -f7- | sed 's/.*/"&"/'
}

# no_patch SOURCE: nothing was sent as a patch.
no_patch()
{
	[ -s "${w:?}/tags" ] ||
		die "$EX_USAGE" "the series of $1 is empty" "no patch is named in $1/series, and there is no .patch, .diff, .eml or .mbox" \
		    "make new-change NAME=x; make import NAME=x MBOX=file"
	seen=$(quoted < "${w:?}/tags" | head -n 3 | paste -sd, | sed 's/,"/, "/g')
	answers=$(awk '$3 == "answer" && $2' "$w/tags" | wc -l)
	die "$EX_USAGE" "no patch in $1" \
	    "$(wc -l < "$w/tags") mail(s), none with a diff$([ "$answers" = 0 ] || echo " but $answers answer(s)"): $seen" "ls -l $1"
}

# by_b4 SOURCE: the numbers of the mails that b4 takes for the series, in its order. It is told nothing of the user's.
by_b4()
{
	scripts/doctor.sh --want b4 >&2
	printf '[user]\n\tname = mmuml\n\temail = mmuml@localhost\n[b4]\n\tattestation-policy = off\n' > "$w/b4.config"
	mkdir "$w/b4.out"
	: > "$w/b4.box"
	: > "$w/b4.ids"
	while read -r n _; do
		id=$(awk '
			/^$/ { exit }
			/^[Mm]essage-[Ii][Dd]:/ { text = $0; more = 1; next }
			more && /^[ \t]/ { text = text $0; next }
			{ more = 0 }
			END { if (match(text, /<[^>]*>/)) print substr(text, RSTART, RLENGTH) }' "$w/$n.mail")
		echo "${id:=<$n@mmuml>} $n" >> "$w/b4.ids"
		{
			echo 'From mboxrd@z Thu Jan  1 00:00:00 1970'
			grep -qi '^Message-ID:' "$w/$n.mail" || echo "Message-ID: $id"
			sed '1{/^From /d}' "$w/$n.mail"
			echo
		} >> "$w/b4.box"
	done < "$w/candidates"
	at=$(realpath "$w")
	(cd "$w" && GIT_CONFIG_GLOBAL=$at/b4.config GIT_CONFIG_NOSYSTEM=1 GIT_CEILING_DIRECTORIES=${at%/*} HOME=$at TMPDIR=$at \
		b4 --offline-mode --no-interactive am -C -m b4.box -o b4.out) > "$w/b4.log" 2>&1 </dev/null || true
	kgit mailsplit -d4 -o"$w" "$w"/b4.out/*.mbx >/dev/null 2>&1 ||
		die "$EX_USAGE" "which mails of $1 are the series?" "b4 finds none: $(tail -n 1 "$w/b4.log")" "b4 am -m $1 -o DIR"
	for one in "$w"/[0-9][0-9][0-9][0-9]; do
		id=$(sed -n 's/^Message-I[Dd]: *//p; /^$/q' "$one" | head -n 1)
		awk -v id="$id" '$1 == id { print $2; exit }' "$w/b4.ids"
	done
}

# whole SOURCE: what is chosen is all of its series; a single mail is what somebody wants to try by itself.
whole()
{
	awk 'NR == FNR { chosen[$1] = 1; next } $1 in chosen && $5 { print $5, $6 }' "$w/chosen.new" "$w/tags" | sort -n | awk '
		{ have[$1] = 1; if ($2 > m) m = $2 }
		END { for (i = 1; i <= m; i++) if (!(i in have)) lack = lack (lack == "" ? "" : i == m ? " and " : ", ") i; if (lack != "") print lack " of " m }' > "$w/lack"
	[ ! -s "$w/lack" ] || [ "$(wc -l < "$w/candidates")" = 1 ] ||
		die "$EX_USAGE" "$(cat "$w/lack") are not in $1" "the series is sent as [PATCH n/$(sed 's/.* of //' "$w/lack")]" \
		    "b4 mbox MESSAGE-ID  (the whole thread)"
}

# said: of each mail with a diff that is not chosen, why.
said()
{
	awk 'NR == FNR { chosen[$1] = 1; next }
		{ subject = $0; for (i = 0; i < 6; i++) sub(/^[^ ]* /, "", subject) }
		$1 in chosen { if ($4 > top) top = $4; numbers = $6 > 0; next }
		$2 { n++; numbered[n] = $6 > 0; kind[n] = $3; v[n] = $4; text[n] = subject }
		END {
			for (i = 1; i <= n; i++)
				if (kind[i] == "answer") print "an answer with a diff: \"" text[i] "\""
				else if (kind[i] == "other") print "not marked as a patch: \"" text[i] "\""
				else if (v[i] < top && numbered[i] == numbers) older[v[i]]++
				else print "not of the series: \"" text[i] "\""
			for (i = 1; i < top; i++) if (i in older) print "v" i " (" older[i] " of the mails): v" top " is there as well"
		}' "$w/chosen.new" "$w/tags"
}

# choose SOURCE LEFT: prints the numbers of the mails to take; into LEFT what is not taken.
choose()
{
	cat "$w"/[0-9]*.tags > "$w/tags" 2>/dev/null || : > "$w/tags"
	awk '$2 && $3 != "answer"' "$w/tags" > "$w/candidates"
	[ -s "$w/candidates" ] || no_patch "$1"
	: > "$w/lack"
	if [ -d "$1" ]; then
		# Somebody has put them together, and in their order.
		if [ ! -f "$1/series" ]; then
			top=$(awk '$4 > v { v = $4 } END { print v }' "$w/candidates")
			awk -v top="$top" '$3 != "patch" || $4 == top' "$w/candidates" > "$w/newest"
			mv "$w/newest" "$w/candidates"
		fi
		cut -d' ' -f1 "$w/candidates" > "$w/chosen.new"
	else
		! grep -q '^[^ ]* [^ ]* patch ' "$w/candidates" || sed -i '/^[^ ]* [^ ]* other /d' "$w/candidates"
		case $(awk '{ v[$4]; m[$6]; if (seen[$5]++ && $5) again = 1 }
			END { print length(v), length(m), again + 0, m[0] "" }' "$w/candidates") in
		"1 1 0 ") sort -s -n -k5,5 "$w/candidates" | cut -d' ' -f1 ;;
		*) by_b4 "$1" ;;
		esac > "$w/chosen.new" || exit $?
		whole "$1"
	fi
	said > "$2"
	[ ! -s "$w/lack" ] || echo "$(cat "$w/lack"), which are not in it" >> "$2"
	cat "$w/chosen.new"
}
