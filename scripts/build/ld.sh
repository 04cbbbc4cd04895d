#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The compiler as scripts/build/link.sh and the tree's link-vmlinux.sh call it: a link of the kernel takes its objects from
# .objects instead of from archives, which would have to be made first, and is LIGHT, without debug information, if that is set
# to the number that it gets; to another file if OUTPUT is set. usage: ld.sh COMPILER ARGS   from the build directory
set -eu

case " $* " in
*" -Wl,--script="*/vmlinux.lds*) ;;
*) exec "$@" ;;
esac
# The words of such a link are no longer kbuild's.
case $1 in */cc.sh) shift ;; esac
n=$#
while [ $n -gt 0 ]; do
	word=$1
	shift
	n=$((n - 1))
	case $word in
	vmlinux.a) word=@.objects ;;
	-o)
		set -- "$@" -o
		word=${OUTPUT:-$1}
		shift
		n=$((n - 1)) ;;
	esac
	set -- "$@" "$word"
done
[ -z "${LIGHT-}" ] || set -- "$@" -Wl,--strip-debug "-Wl,--build-id=0x$LIGHT"
exec "$@"
