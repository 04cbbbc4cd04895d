#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The patches of a mail box as a change's directory, decoded, in the order that "[PATCH n/m]" states; mails without a diff
# (cover letters, answers) are left out.
# usage: scripts/mbox/patches.sh FILE DIR     DIR is made anew: its patches and their series, empty if there are none
set -eu
. scripts/lib/kit.sh

rm -rf "$2"
mkdir -p "$2/mail"
kgit mailsplit -o"$2/mail" "$1" >/dev/null 2>"$2/log" ||
	die $EX_USAGE "$1 is not a mail box" "$(head -n 1 "$2/log")" "git format-patch --stdout REV..REV > $1"
for m in "$2"/mail/[0-9]*; do
	kgit mailinfo "$2/body" "$2/diff" < "$m" > "$2/info" 2>/dev/null || continue
	grep -q '^diff --git ' "$2/diff" || continue
	nr=$(sed -n 's/^Subject:.*\[[^]]*[^0-9]0*\([0-9][0-9]*\)\/[0-9][0-9]*\].*/\1/p' "$m" | head -n 1)
	field() { sed -n "s/^$1: //p" "$2/info"; }
	name=$(printf '%04d-%s.patch' "${nr:-$(basename "$m" | sed 's/^0*//')}" \
		"$(field Subject "$2" | tr -cs 'A-Za-z0-9._\n' '-' | cut -c1-52 | sed 's/[-.]*$//')")
	{
		echo "From $(printf '%040d' 0) Mon Sep 17 00:00:00 2001"
		echo "From: $(field Author "$2") <$(field Email "$2")>"
		echo "Date: $(field Date "$2")"
		echo "Subject: [PATCH] $(field Subject "$2")"
		echo
		cat "$2/body" "$2/diff"
	} > "$2/$name"
done
rm -rf "$2/mail" "$2/body" "$2/diff" "$2/info" "$2/log"
(cd "$2" && find . -name '*.patch' -printf '%f\n' | sort > series)
