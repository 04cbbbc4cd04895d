# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Cases about patches in the forms in which people have them (scripts/mbox). All people and texts are invented. Sourced by
# check.sh.

# mgit ARGS: in $CHECK/src, a repository of three files with a commit for each: a, b and c in mails_are() and reads().
mgit()
{
	git -c user.name='Ann Author' -c user.email=ann@example.org -C "$CHECK/src" "$@"
}

# a_series: that repository; $CHECK/p1 to p3 are its patches as mails of version 2, $CHECK/wrong is a diff of somebody else.
a_series()
{
	rm -rf "$CHECK/src"
	mkdir -p "$CHECK/src/mm"
	git init -q "$CHECK/src"
	for f in one two three; do
		printf '%s\n' "long $f(long pages)" '{' '	long size = PAGE_SIZE;' '' '	return pages * size;' '}' > "$CHECK/src/mm/$f.c"
	done
	mgit add -A
	mgit commit -qm base
	mgit tag base
	for f in one two three; do
		sed -i "s/^	long size.*/&\n\n	BUILD_BUG_ON(PAGE_SIZE < 4096);/" "$CHECK/src/mm/$f.c"
		mgit commit -qam "mm/$f: check the size of a page

No page is smaller.

Signed-off-by: Ann Author <ann@example.org>"
	done
	number=0
	for f in one two three; do
		number=$((number + 1))
		mgit format-patch -q --stdout -1 -N --start-number 1 --subject-prefix="PATCH v2 $number/3" "HEAD~$((3 - number))" |
			sed "0,/^Subject: /s//Message-ID: <v2.$number@example.org>\nSubject: /" > "$CHECK/p$number"
		mgit diff "HEAD~$((4 - number))" "HEAD~$((3 - number))" > "$CHECK/d$number"
	done
	sed 's/PAGE_SIZE < 4096/PAGE_SHIFT < 12/' "$CHECK/d2" > "$CHECK/wrong"
	mid=0
}

# retagged FILE N: a mail with another tag.
retagged()
{
	sed "0,/^Subject: \[[^]]*\]/s//Subject: $2/" "$1"
}

# mail SUBJECT [SENDER]: as one of a box, its text from standard input.
mail()
{
	mid=$((mid + 1))
	printf 'From mboxrd@z Thu Jan  1 00:00:00 1970\nFrom: %s\nSubject: %s\nDate: Wed, 4 Nov 2026 10:00:00 +0000\nMessage-ID: <%s@example.net>\n' \
		"${2:-Bob Reviewer <bob@example.org>}" "$1" "$mid"
	cat
	echo
}

# text LINE...: an empty line, then these.
text()
{
	printf '\n'
	printf '%s\n' "$@"
}

# lines_of PATCH: the names and hunks of its diff.
lines_of()
{
	sed -n '/^--- a\//,$p' "$1" | grep '^\([-+@]\|	\)' | grep -v '^-- $'
}

# reads FILE PATCHES [TEXT...]: of that file become these of the patches a, b and c, Ann's; A, B, C: nobody's. Nothing is left out,
# or that, with these words.
reads()
{
	file=$1 wanted=$2
	shift 2
	rm -rf "$CHECK/made"
	expect 0 scripts/mbox/patches.sh "$file" "$CHECK/made"
	same "$(cat "$CHECK/got")" "" "what is printed of $file"
	found=
	while read -r p; do
		letter='?'
		for known in 1a 2b 3c; do
			[ "$(lines_of "$CHECK/made/$p")" != "$(lines_of "$CHECK/d${known%?}")" ] || letter=${known#?}
		done
		case $(sed -n '2p' "$CHECK/made/$p") in
		"From: Ann Author <ann@example.org>") ;;
		"From: nobody <nobody@localhost>") letter=$(echo "$letter" | tr abc ABC) ;;
		*) letter="$letter of $(sed -n '2p' "$CHECK/made/$p")" ;;
		esac
		found=$found$letter
		git -C "$CHECK/src" apply --check --cached --unidiff-zero "$CHECK/made/$p" 2>"$CHECK/log" || grep -q 'does not apply' "$CHECK/log" ||
			{ cat "$CHECK/log"; echo "git cannot read what became of $file"; return 1; }
	done < "$CHECK/made/series"
	same "$found" "$wanted" "the patches of $file"
	cp "$CHECK/made/left" "$CHECK/got"
	same "$(wc -l < "$CHECK/got")" $# "lines of what is left of $file ($(cat "$CHECK/got"))"
	[ $# = 0 ] || says "$@"
}

# titles: the subjects of the patches that reads() made last.
titles()
{
	sed 's,^,'"$CHECK/made/"',' "$CHECK/made/series" | xargs sed -n 's/^Subject: \[PATCH\] //p'
}

# A thread: answers with diffs, a fixup, older versions, missing ones.
mails_of_a_thread()
{
	a_series
	cover=$CHECK/cover
	text 'Three small checks.' | mail '[PATCH v2 0/3] mm: pages have a size' > "$cover"
	{
		cat "$cover" "$CHECK/p1" "$CHECK/p2"
		{ text '> say what a page is' '' 'Why not this instead?' ''; cat "$CHECK/wrong"; } | mail 'Re: [PATCH v2 2/3] mm/two: check the size of a page'
		{ text 'I would fold this in:' ''; cat "$CHECK/wrong"; } | mail 'AW: [PATCH v2 0/3] mm: pages have a size'
		cat "$CHECK/p3"
	} > "$CHECK/box"
	reads "$CHECK/box" abc 'an answer with a diff: "Re: [PATCH v2 2/3] mm/two: check the size of a page"' \
		'an answer with a diff: "AW: [PATCH v2 0/3] mm: pages have a size"'
	same "$(titles | paste -sd'|')" "mm/one: check the size of a page|mm/two: check the size of a page|mm/three: check the size of a page" "subjects"
	scripts/doctor.sh --want b4
	{ text 'A follow-up.' ---; cat "$CHECK/wrong"; } | mail '[PATCH] mm/two: fix' > "$CHECK/fixup"
	cat "$cover" "$CHECK/p1" "$CHECK/p2" "$CHECK/p3" "$CHECK/fixup" > "$CHECK/box"
	reads "$CHECK/box" abc 'not of the series: "[PATCH] mm/two: fix"'
	for v in 1 2 3; do
		for n in 1 2 3; do
			retagged "$CHECK/p$n" "[PATCH v$v $n\/3]" | sed "s/^Message-ID: <v2/Message-ID: <v$v/; s/is smaller\./is smaller, said version $v./"
		done
	done > "$CHECK/box"
	reads "$CHECK/box" abc 'v1 (3 of the mails): v3 is there as well' 'v2 (3 of the mails): v3 is there as well'
	same "$(grep -l 'said version 3' "$CHECK"/made/*.patch | wc -l)" 3 "patches of version 3"
	{ retagged "$CHECK/p3" '[PATCH v2 3\/4]'; retagged "$CHECK/p1" '[PATCH v2 1\/4]'; } > "$CHECK/box"
	expect 2 scripts/mbox/patches.sh "$CHECK/box" "$CHECK/made"
	says "2 and 4 of 4 are not in $CHECK/box" "[PATCH n/4]"
	cp "$cover" "$CHECK/box"
	expect 2 scripts/mbox/patches.sh "$CHECK/box" "$CHECK/made"
	says "no patch in $CHECK/box" 'none with a diff: "[PATCH v2 0/3] mm: pages have a size"'
	{ text 'Like this?' ''; cat "$CHECK/wrong"; } | mail 'Re: [PATCH v2 2/3] mm/two' >> "$CHECK/box"
	expect 2 scripts/mbox/patches.sh "$CHECK/box" "$CHECK/made"
	says "but 1 answer(s)"
}

# The order of the patches, by whatever form of tag.
mails_by_number()
{
	a_series
	for form in '[PATCH %d\/3 v3]' '[RFC PATCH mm-unstable v4 %d\/3]' '[RFC v2 %d\/3]' '[RESEND PATCH v2 %d\/3]' '[PATCH v2 %02d\/03]' \
		    '[patch %d\/3]' '[PATCH mm-hotfixes %d\/3]'; do
		for n in 2 1 3; do
			# shellcheck disable=SC2059 # the form is one
			retagged "$CHECK/p$n" "$(printf "$form" $n)"
		done > "$CHECK/box"
		reads "$CHECK/box" abc
	done
	{ cat "$CHECK/p2"; retagged "$CHECK/p1" "=?UTF-8?B?$(printf '[PATCH v2 1/3] mm/one: check' | base64 -w0)?= "; cat "$CHECK/p3"; } > "$CHECK/box"
	reads "$CHECK/box" abc
	# Without numbers their order is that of the file.
	for n in 2 1 3; do
		retagged "$CHECK/p$n" '[PATCH]'
	done > "$CHECK/box"
	reads "$CHECK/box" bac
	# One mail of a series is what somebody wants to try by itself.
	reads "$CHECK/p2" b "1 and 3 of 3, which are not in it"
}

# Files that are no mail boxes.
mails_as_files()
{
	a_series
	retagged "$CHECK/p1" '[PATCH]' | sed 1d > "$CHECK/single.eml"
	reads "$CHECK/single.eml" a
	sed 's/$/\r/' "$CHECK/single.eml" > "$CHECK/crlf.eml"
	reads "$CHECK/crlf.eml" a
	for pack in gzip xz bzip2; do
		command -v $pack >/dev/null || continue
		cat "$CHECK/p1" "$CHECK/p2" "$CHECK/p3" | $pack -c > "$CHECK/box.mbox.$pack"
		reads "$CHECK/box.mbox.$pack" abc
	done
	cp "$CHECK/d1" "$CHECK/0007-bare.diff"
	reads "$CHECK/0007-bare.diff" A
	same "$(titles)" bare "its subject"
	sed '/^diff --git/d; /^index/d' "$CHECK/d1" > "$CHECK/headless.patch"
	reads "$CHECK/headless.patch" A
	{ printf 'Description: what Debian says\nAuthor: Ann Author <ann@example.org>\nForwarded: no\n---\n'; cat "$CHECK/d1"; } > "$CHECK/dep3.patch"
	reads "$CHECK/dep3.patch" a
	same "$(titles)" "what Debian says" "its subject"
	mgit -c diff.noprefix=true format-patch --stdout -1 HEAD > "$CHECK/noprefix.patch"
	reads "$CHECK/noprefix.patch" c
	head -c 100 /dev/urandom > "$CHECK/noise"
	expect 2 scripts/mbox/patches.sh "$CHECK/noise" "$CHECK/made"
	says "no patch in"
	gzip -c "$CHECK/p1" | head -c 50 > "$CHECK/cut.gz"
	expect 2 scripts/mbox/patches.sh "$CHECK/cut.gz" "$CHECK/made"
	says "cut.gz cannot be unpacked"
}

# Mails with the patch inside, in the forms of quilt, of mm-commits and of -stable, attached, encoded.
mails_with_it_inside()
{
	a_series
	sed 's,^diff --git a/\(.*\) b/.*,Index: linux/\1\n===================================================================,; /^index/d
		s,^--- a/,--- linux.orig/,; s,^+++ b/,+++ linux/,' "$CHECK/d1" > "$CHECK/quilt"
	{ text 'No page is smaller.' ''; cat "$CHECK/quilt"; } | mail '[patch 1/1] mm/one' 'Ann Author <ann@example.org>' > "$CHECK/box"
	reads "$CHECK/box" a
	{
		text 'The patch titled' '     Subject: mm/one: check' 'has been added to the -mm mm-new branch.' '' \
			------------------------------------------------------ 'From: Ann Author <ann@example.org>' \
			'Subject: mm/one: check' 'Date: Wed, 4 Nov 2026 09:00:00 +0000' '' 'No page is smaller.' '---' ''
		sed '/^diff/d; /^index/d; s,^--- a/mm/one.c,&~mm-one-check,; s,^+++ b/,+++ a/,' "$CHECK/d1"
		printf '_\n\nPatches currently in -mm which might be from ann@example.org are\n\nmm-one-check.patch\n'
	} | mail '+ mm-one-check.patch added to mm-new branch' 'Max Maintainer <max@example.org>' > "$CHECK/box"
	reads "$CHECK/box" a
	same "$(titles)" "mm/one: check" "its subject"
	{
		text '7.3-stable review patch.  If anyone has any objections, please let me know.' '' ------------------ '' \
			'From: Ann Author <ann@example.org>' '' '[ Upstream commit 0123456789ab ]' ''
		cat "$CHECK/d1"
	} | mail '[PATCH 7.3 001/001] mm/one: check' 'Max Maintainer <max@example.org>' > "$CHECK/box"
	reads "$CHECK/box" a
	same "$(titles)" "mm/one: check" "its subject"
	{ text 'The patch below does not apply.' '' '------------------ original commit in Linus'\''s tree ------------------' ''
	  retagged "$CHECK/p1" '[PATCH]'; } | mail 'FAILED: patch "mm/one: check" failed to apply to 6.12-stable tree' > "$CHECK/box"
	reads "$CHECK/box" a
	{ printf 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: text/plain; charset=utf-8\n\nSee the attachment.\n\n'
	  printf -- '--b\nContent-Type: text/x-patch; name="0001.patch"\nContent-Disposition: attachment; filename="0001.patch"\nContent-Transfer-Encoding: base64\n\n'
	  retagged "$CHECK/p1" '[PATCH]' | sed 1d | base64; printf -- '\n--b--\n'; } | mail 'patch for page sizes' > "$CHECK/box"
	reads "$CHECK/box" a
	{
		retagged "$CHECK/p1" '[PATCH]' | sed '1d; /^$/,$d'
		printf 'MIME-Version: 1.0\nContent-Type: text/plain; charset=windows-1252\nContent-Transfer-Encoding: quoted-printable\n\n'
		sed '1,/^$/d; s/=/=3D/g; s/No page is smaller/No page is smaller =96 na=EFve/' "$CHECK/p1"
	} > "$CHECK/qp.eml"
	reads "$CHECK/qp.eml" a
	cat "$CHECK/made"/*.patch > "$CHECK/got"
	says "smaller – naïve"
}

# What somebody has put together in a directory.
mails_in_a_directory()
{
	a_series
	queue=$CHECK/queue
	rm -rf "$queue"
	mkdir -p "$queue"
	printf '# a distribution\n101-one.patch -p1\n102-two.diff\n103-three # the last\n' > "$queue/series"
	{ printf '# no mail header, only a remark\n\n'; cat "$CHECK/d1"; } > "$queue/101-one.patch"
	sed '/^diff --git/d; /^index/d' "$CHECK/d2" > "$queue/102-two.diff"
	{ printf 'Subject: the same for three\n\n'; cat "$CHECK/d3"; } > "$queue/103-three"
	reads "$queue" ABC
	same "$(titles | paste -sd'|')" "one|two|the same for three" "subjects"
	# -p0 as quilt writes it, and a file that is not there.
	sed 's,^--- a/,--- ,; s,^+++ b/,+++ ,; /^diff --git/d; /^index/d' "$CHECK/d2" > "$queue/102-two.diff"
	reads "$queue" ABC
	echo 104-gone.patch >> "$queue/series"
	expect 5 scripts/mbox/patches.sh "$queue" "$CHECK/made"
	says "no patch $queue/104-gone.patch"
	rm -rf "$queue"
	mkdir -p "$queue"
	for n in 1 2 3; do
		retagged "$CHECK/p$n" '[PATCH]'
	done > "$queue/all.patch"
	reads "$queue" abc
	# Two versions that git format-patch wrote there.
	rm "$queue/all.patch"
	for n in 1 2 3; do
		cp "$CHECK/p$n" "$queue/v2-000$n-x.patch"
		retagged "$CHECK/p$n" "[PATCH $n\/3]" > "$queue/000$n-x.patch"
	done
	reads "$queue" abc 'v1 (3 of the mails): v2 is there as well'
}

# What S= takes: a file that exists is a file, whatever its name; what was left out is said when the tree is made; a patch that
# cannot be read is called by its subject.
mails_as_stacks()
{
	a_series
	for name in 20261104-1-ann@163.com.mbx 'a,b and c.mbox'; do
		cat "$CHECK/p1" "$CHECK/p2" "$CHECK/p3" > "$CHECK/$name"
		expect 0 env S="none,$CHECK/$name" scripts/tree.sh --patches
		same "$(wc -l < "$CHECK/got")" 3 "patches of $name"
		expect 0 env S="none,$CHECK/$name@2" scripts/tree.sh --patches
		same "$(wc -l < "$CHECK/got")" 2 "the first two of them"
		expect 0 env S="none,$CHECK/$name" scripts/tree.sh --series
		same "$(cat "$CHECK/got")" "$CHECK/$name" "the stack"
	done
	sed '/^@@ /s/@@ /@@ -1,2 /' "$CHECK/p1" > "$CHECK/damaged.mbox"
	expect 5 env S="none,$CHECK/damaged.mbox" scripts/tree.sh --commit
	says "patch \"mm/one: check the size of a page\" of $CHECK/damaged.mbox does not apply" "corrupt patch"
	mkdir -p "$CHECK/change"
	counting_patch "$CHECK/change/0001-count.patch"
	{ echo 'From x Mon Sep 17 00:00:00 2001'; cat "$CHECK/change/0001-count.patch"
	  { text ''; cat "$CHECK/wrong"; } | mail 'Re: [PATCH] count'; } > "$CHECK/answered.mbox"
	export S="none,$CHECK/answered.mbox"
	name=$(scripts/tree.sh --name)
	expect 0 scripts/tree.sh
	code=0
	says "MAIL    of $CHECK/answered.mbox not taken:" 'an answer with a diff: "Re: [PATCH] count"' || code=1
	git -C build/git worktree remove --force "$TOP/build/trees/$name"
	rm -f "build/stacks/$name"
	return $code
}

# What git format-patch --base says of a series that does not apply: where it would.
mails_with_a_base()
{
	small_tree "$CHECK/linux"
	theirs() { git -C "$CHECK/linux" -c user.name=u -c user.email=u@localhost "$@"; }
	committed() { sed -i "s/$2/$3/" "$CHECK/linux/mm/$1.c"; theirs commit -qam "mm/$1: $3"; }
	main=$(theirs symbolic-ref --short HEAD)
	base=$(theirs rev-parse HEAD)
	theirs checkout -q -b needed
	committed rmap 'int other' 'long other'
	committed ksm 'int ksm' 'long ksm'
	needed=$(theirs rev-parse --short=12 HEAD)
	theirs checkout -q -b topic
	committed ksm 'long ksm' 'unsigned long ksm'
	theirs format-patch -q --base="$base" -o "$CHECK/series" -1
	same "$(grep -c '^prerequisite-patch-id' "$CHECK"/series/*.patch)" 2 "patches that it names"
	theirs checkout -q "$main"
	committed rmap 'int rmap' 'short rmap'
	export LINUX="$CHECK/linux" S="$CHECK/series"
	# The user's own settings change what a diff looks like, and so its number.
	theirs config diff.noprefix true
	expect 5 scripts/tree.sh --commit
	says "hunk 1 of mm/ksm.c" "try:     S=git:$needed,$S  (the last of the patches that it stands on)"
	says_not prerequisite
	theirs branch -qD topic
	theirs branch -qf needed needed~1
	expect 5 scripts/tree.sh --commit
	says "of the 2 patches that it stands on (prerequisite-patch-id) the tree lacks 1" \
		"try:     S=git:$(echo "$base" | cut -c1-12),$S  (its base-commit, which this tree has)"
}

mail_cases()
{
	t -host mails.base mails_with_a_base
	t -host mails.thread mails_of_a_thread
	t -host mails.numbers mails_by_number
	t -host mails.files mails_as_files
	t -host mails.inside mails_with_it_inside
	t -host mails.directory mails_in_a_directory
	t -host mails.stacks mails_as_stacks
}
