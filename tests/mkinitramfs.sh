#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Make the guest's initramfs: init, busybox (if the host has it), the test programs.
# usage: tests/mkinitramfs.sh OUT.cpio INIT BUSYBOX-OR-EMPTY PROGRAM...
set -eu
out=$1
init=$2
busybox=$3
shift 3
root=$out.root
rm -rf "$root"
mkdir -p "$root/bin" "$root/tests" "$root/proc" "$root/sys" "$root/dev" "$root/tmp" "$root/mnt" "$root/host"
cp "$init" "$root/init"
[ -z "$busybox" ] || cp "$busybox" "$root/bin/busybox"
cp "$@" "$root/tests/"
(cd "$root" && find . -print0 | sort -z | cpio --quiet -0 -o -H newc -R 0:0 --reproducible) > "$out.tmp"
mv "$out.tmp" "$out"
rm -rf "$root"
