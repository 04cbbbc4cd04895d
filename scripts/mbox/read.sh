# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2154 # w is of patches.sh
# One mail, decoded by git mailinfo: $w/N.author, .date, .title, .body, .diff, and .tags, a line for choose.sh. Sourced by patches.sh.

# field NAME FILE: of what git mailinfo prints.
field()
{
	sed -n "s/^$1: //p" "$2" | head -n 1
}

# decode MAIL N: its parts. The subject keeps its tags.
decode()
{
	kgit mailinfo -k "${w:?}/$2.body" "$w/$2.raw" < "$1" > "$w/$2.info" 2>"$w/mailinfo.log" || : > "$w/$2.raw"
}

# A mail about a patch that has it inside, with a header of its own: what mm-commits and -stable send, or an attachment. Prints
# that mail, if there is one. The header follows a line of dashes, or has a subject in a mail that is not marked as a patch.
inner_mail()
{
	cat "$w/$1.body" "$w/$1.raw" | awk -v marked="$2" '
		done { print; next }
		/^----------/ { dashed = NR; next }
		/^(From|Subject|Date|Message-I[Dd]): / || (block != "" && /^[ \t]/) {
			if (block == "") start = NR
			block = block $0 "\n"
			if (/^From: /) from = 1
			if (/^Subject: /) subject = 1
			next
		}
		block != "" && /^$/ && from && (subject && !marked || dashed && start - dashed <= 2) { printf "%s\n", block; done = 1; next }
		/^(diff |--- )/ { exit }
		/^(To|Cc|MIME-Version|Content-[A-Za-z-]*|X-[A-Za-z-]*): / { next }
		{ if (!/^$/ || block != "") { if (!/^$/) dashed = 0; block = ""; from = subject = 0 } }'
}

# The names of a diff as git writes them, a/FILE and b/FILE, from those of quilt (x.orig/, FILE~name), of diff.noprefix and of
# -p0. STRIP: "-pN" of a series file. Lines inside a hunk are text, whatever they look like.
git_names()
{
	awk -v strip="${1#-p}" '
		function name(path,   p) {
			sub(/[\t].*/, "", path)
			if (path == "/dev/null") return path
			p = strip
			if (p == "") p = path ~ tops ? 0 : 1
			while (p-- > 0) sub(/^[^\/]*\//, "", path)
			sub(/(~[A-Za-z0-9._+-]+|\.orig)$/, "", path)
			return path
		}
		function prefixed(side, path) { path = name(path); return path == "/dev/null" ? path : side "/" path }
		BEGIN {
			tops = "^(arch|block|certs|crypto|Documentation|drivers|fs|include|init|io_uring|ipc|kernel|lib|mm|net|rust|samples|" \
				"scripts|security|sound|tools|usr|virt)/"
		}
		old > 0 || new > 0 {
			print
			if (/^[- ]/ || /^$/) old--
			if (/^[+ ]/ || /^$/) new--
			next
		}
		/^@@ -[0-9]/ {
			old = new = 1
			split($2, a, ","); if (a[2] != "") old = a[2]
			split($3, a, ","); if (a[2] != "") new = a[2]
			print
			next
		}
		/^Index: / || /^=+$/ { next }
		/^diff --git / && NF == 4 { print "diff --git", prefixed("a", $3), prefixed("b", $4); next }
		/^--- / && !/^--- $/ { print "---", prefixed("a", substr($0, 5)); next }
		/^\+\+\+ / { print "+++", prefixed("b", substr($0, 5)); next }
		{ print }'
}

# tags_of SUBJECT: "KIND VERSION N M": KIND is answer, patch (marked as one) or other; of [PATCH v3 2/7] 3 2 7; 0 of what it does
# not say.
tags_of()
{
	printf '%s\n' "$1" | awk '
		{
			kind = "other"; v = 1; n = m = 0
			text = $0
			if (tolower(text) ~ /^((re|fwd?|aw|wg|antw|sv|vs)(\[[0-9]+\])? ?:|答复|回复|转发)/) { print "answer 0 0 0"; exit }
			while (match(text, /^ *\[[^]]*\]/)) {
				tag = tolower(substr(text, RSTART, RLENGTH))
				text = substr(text, RSTART + RLENGTH)
				if (tag ~ /patch|rfc/) kind = "patch"
				else if (tag !~ /[0-9]+\/[0-9]+/) continue
				if (match(tag, /[^a-z0-9]v[0-9]+/)) v = substr(tag, RSTART + 2, RLENGTH - 2)
				if (match(tag, /[0-9]+\/[0-9]+/)) {
					split(substr(tag, RSTART, RLENGTH), a, "/")
					n = a[1] + 0; m = a[2] + 0
					kind = "patch"
				}
			}
			print kind, v, n, m
		}'
}

# read_mail N
read_mail()
{
	decode "$w/$1.mail" "$1"
	whole=$(field Subject "$w/$1.info")
	tags=$(tags_of "$whole")
	marked=
	case $tags in patch*) marked=1 ;; esac
	inner_mail "$1" "$marked" > "$w/inner"
	if [ -s "$w/inner" ]; then
		grep -q '^Subject: ' "$w/inner" || sed -i "1i Subject: $(printf '%s' "$whole" | sed 's/\\/\\\\/g')" "$w/inner"
		mv "$w/$1.info" "$w/outer.info"
		decode "$w/inner" "$1"
		[ -n "$(field Date "$w/$1.info")" ] || sed -n '/^Date: /p' "$w/outer.info" >> "$w/$1.info"
		inside=$(field Subject "$w/$1.info")
	else
		inside=$whole
	fi
	git_names "$(cat "$w/$1.strip")" < "$w/$1.raw" > "$w/$1.diff"
	printf '%s\n' "$inside" | sed 's/^\( *\[[^]]*\]\)* *//' > "$w/$1.title"
	grep -q . "$w/$1.title" || cp "$w/$1.file" "$w/$1.title"
	author=$(field Author "$w/$1.info") email=$(field Email "$w/$1.info")
	printf '%s <%s>\n' "${author:-${email:-nobody}}" "${email:-nobody@localhost}" > "$w/$1.author"
	field Date "$w/$1.info" > "$w/$1.date"
	diff=0
	! grep -q -e '^+++ ' -e '^rename to ' -e '^new mode ' -e '^GIT binary patch' "$w/$1.diff" || diff=1
	echo "$1 $diff $tags $whole" > "$w/$1.tags"
}
