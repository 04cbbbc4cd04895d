#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# usage: cc.sh COMPILER ARGS
# ccache before the compiler; not for what may take in a file by .incbin, which ccache does not look at (in depend mode):
# the kernel would keep a stub or a config.gz of another build.
for word; do
	case $word in
	*.S | */kernel/configs.c) exec "$@" ;;
	esac
done
exec ccache "$@"
