#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Make one piece of the guest's initramfs.
# usage: tests/mkcpio.sh base OUT.cpio INIT [BUSYBOX]    the directories, /init and /bin/busybox
#        tests/mkcpio.sh tests OUT.cpio PROGRAM...       the programs in /tests
#        tests/mkcpio.sh paths OUT.cpio /PATH...         files where they are on the host
set -eu
kind=$1
out=$2
shift 2
root=$out.root
rm -rf "$root"
mkdir -p "$root/tests"
if [ "$kind" = base ]; then
	for d in bin proc sys dev tmp mnt host; do
		mkdir "$root/$d"
	done
	cp "$1" "$root/init"
	[ $# -lt 2 ] || cp "$2" "$root/bin/busybox"
elif [ "$kind" = paths ]; then
	for f; do
		mkdir -p "$root${f%/*}"
		cp -L "$f" "$root$f"
	done
else
	ln "$@" "$root/tests/" 2>/dev/null || cp "$@" "$root/tests/"
fi
(cd "$root" && find . -print0 | sort -z | cpio --quiet -0 -o -H newc -R 0:0 --reproducible) > "$out.tmp"
mv "$out.tmp" "$out"
rm -rf "$root"
