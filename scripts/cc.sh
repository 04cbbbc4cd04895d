#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# usage: cc.sh COMPILER ARGS
# The compiler, told to name no directory of this machine in the debug information: the same source makes the same object in
# every tree, and who reads it knows that /mmuml/build is the build directory beside the kernel.
# The words of a kernel's link stay in .link.args, for build/link.sh.
# ccache before it, where there is one; not for what may take in a file by .incbin, which ccache does not look at (in depend
# mode): the kernel would keep a stub or a config.gz of another build.
case " $* " in *" -Wl,--script="*/vmlinux.lds*) printf '%s\0' "$@" > .link.args ;; esac
set -- "$@" -fdebug-prefix-map="$PWD"=/mmuml/build
command -v ccache >/dev/null || exec "$@"
for word; do
	case $word in
	*.S | */kernel/configs.c) exec "$@" ;;
	esac
done
exec ccache "$@"
