#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Patches in the forms in which people have them, as a change's directory: decoded, a mail header on each, names a/FILE.
# usage: scripts/mbox/patches.sh SOURCE DIR
# SOURCE: a mail box, a mail, a bare diff, each of them plain or compressed; or a directory of such files, in the order of its
# series or of their names. DIR is made anew: its patches, their series, and "left", what was not taken and why, one a line.
set -eu
. scripts/lib/kit.sh
. scripts/mbox/split.sh
. scripts/mbox/read.sh
. scripts/mbox/choose.sh

# The files of a directory, in their order; with "-p0" and such behind a name, as quilt writes it.
files_of()
{
	if [ -f "$1/series" ]; then
		sed 's/#.*//; /^[[:space:]]*$/d' "$1/series"
	else
		find "$1" -maxdepth 1 -type f \( -name '*.patch' -o -name '*.diff' -o -name '*.eml' -o -name '*.mbox' -o -name '*.mbx' \) \
			-printf '%f\n' | sort
	fi
}

# take N: mail N becomes the next patch of the series.
take()
{
	taken=$((taken + 1))
	read -r author < "$w/$1.author"
	subject=$(cat "$w/$1.title")
	name=$(printf '%04d-%s.patch' $taken "$(printf '%s' "$subject" | tr -cs 'A-Za-z0-9._\n' '-' | cut -c1-52 | sed 's/^[-.]*//; s/[-.]*$//')")
	{
		echo "From $(printf '%040d' 0) Mon Sep 17 00:00:00 2001"
		echo "From: $author"
		sed 's/^/Date: /' "$w/$1.date"
		echo "Subject: [PATCH] $subject"
		echo
		cat "$w/$1.body" "$w/$1.diff"
	} > "$2/$name"
	echo "$name" >> "$2/series"
}

source=$1 dir=$2
rm -rf "$dir"
mkdir -p "$dir/work"
w=$dir/work mails=0 taken=0
: > "$dir/series"
: > "$dir/left"
if [ -d "$source" ]; then
	files_of "$source" > "$w/files"
	while read -r file strip _; do
		[ -f "$source/$file" ] ||
			die "$EX_PATCH" "no patch $source/$file" "$source/series names it" "ls $source"
		split_file "$source/$file" "${strip-}"
	done < "$w/files"
else
	split_file "$source" ''
fi
for mail in "$w"/[0-9]*.mail; do
	[ ! -f "$mail" ] || read_mail "$(basename "$mail" .mail)"
done
choose "$source" "$dir/left" > "$w/chosen"
while read -r n; do
	take "$n" "$dir"
done < "$w/chosen"
rm -rf "$w"
