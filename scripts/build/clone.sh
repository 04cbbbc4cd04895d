#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Copy a build directory of one tree into another, so that nothing in it is made again that would come out the same.
# usage: scripts/build/clone.sh FROM-TREE TREE NAME   -> TREE/NAME; nothing if FROM-TREE has none
# It is there whole or not at all: a copy that was cut short is NAME.tmp, and made again. Exit code 3 if it cannot be made.
set -eu
. scripts/lib/kit.sh

from=$1 to=$2 name=$3
new=$to/$name.tmp

# retarget FILE...: the files that name their tree name the other one; times stay as they were.
retarget()
{
	for f; do
		[ -f "$f" ] || continue
		touch -r "$f" "$new.stamp"
		sed -i "s|/$from\([/\"]\)|/$to\1|g" "$f"
		touch -r "$new.stamp" "$f"
	done
	rm -f "$new.stamp"
}

clone()
{
	[ "$(stat -c %i "$to/$name" 2>/dev/null || true)" = "$before" ] || return 0
	say COPY "$to/$name"
	rm -rf "$new"
	trap 'rm -rf "$new" "$new.log" "$new.stamp"' EXIT
	cp -a --reflink=auto "$from/$name" "$new" 2>"$new.log" ||
		die $EX_HOST "$from/$name cannot be copied to $to/$name" "$(head -n 1 "$new.log")" "df -h $to"
	retarget "$new/Makefile" "$new/.build.env" "$new/.light" "$new/compile_commands.json" "$new"/*.d "$new"/*/*.d
	[ ! -L "$new/source" ] || ln -sfn "$TOP/$to" "$new/source"
	rm -rf "${to:?}/$name"
	mv "$new" "$to/$name"
}

# Nobody builds in the one that is copied; and whoever waited for another copy finds it made.
before=$(stat -c %i "$to/$name" 2>/dev/null || true)
[ -d "$from/$name" ] || exit 0
take_lock 8 "$(lock_of "$from/$name")"
one_at_a_time "$(lock_of "$to/$name")" clone
