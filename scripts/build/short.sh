#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The short way to a kernel of which only sources below a few directories changed: kbuild for those, and the link.
# usage: scripts/build/short.sh TREE PROFILE [WORD-FOR-MAKE]   -> TREE/build-PROFILE/vmlinux, build.log
# Called by build.sh, which holds the lock, with what changed in .changed; any exit code but 0: it has to be done the long way.
set -eu
. scripts/lib/kit.sh

tree=$1 out=$1/build-$2 word=${3-}

# The top directories of the changed files, if only sources of objects changed for which that is all kbuild would find out.
changed_dirs()
{
	while read -r f; do
		case $f in
		../mm/*.c | ../fs/*.c | ../kernel/*.c | ../lib/*.c | ../block/*.c | ../io_uring/*.c | ../ipc/*.c) ;;
		*) exit 1 ;;
		esac
		obj=${f#../}
		obj=${obj%.c}.o
		[ -f "$out/$obj" ] && [ -f "$tree/${f#../}" ] || exit 1
		echo "${obj%%/*}"
	done < "$out/.changed"
}

# What the top Makefile does once the directories are done, without its look at all the others: their inputs are as
# they were. The archives are lists of names; a member's size in them must be right. The last line shows that all of it ran.
script()
{
	echo 'set -e'
	quoted=${word:+"'$word'"}
	while read -r d; do
		echo "make $quoted -f ../scripts/Makefile.build obj=$d need-builtin=1 need-modorder="
	done < "$out/.changed.dirs"
	for a in built-in.a built-in-fixup.a vmlinux.a; do
		[ ! -f "$out/.$a.cmd" ] || "$BUILD/host/mmuml-fresh" command "$out" $a
	done
	for step in vmlinux_o modpost vmlinux; do
		echo "make -f ../scripts/Makefile.$step"
	done
	echo 'echo "mmuml: short way done"'
}

[ -f "$out/.build.env" ]
dirs=$(changed_dirs)
[ -n "$dirs" ]
echo "$dirs" | sort -u > "$out/.changed.dirs"
script > "$out/.build.short"
touch "$out/.build.began"
flags="rR --no-print-directory --include-dir=$TOP/$tree"
(cd "$out" && xargs -0 -a .build.env sh -c "exec env -i \"\$@\" MAKEFLAGS='$flags' MFLAGS= MAKELEVEL=1 \
	MAKEOVERRIDES= sh .build.short" sh) > "$out/build.log" 2>&1
tail -n 1 "$out/build.log" | grep -qx 'mmuml: short way done'
