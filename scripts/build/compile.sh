#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Compile an object of a kernel again as kbuild did.
# usage: compile.sh FRESH OBJECT   from the build directory; FRESH: build/host/mmuml-fresh
# Its .cmd file is written as kbuild would, for the files that it is made of may be others now.
set -eu
fresh=$1 object=$2
cmd=${object%/*}/.${object##*/}

echo "  CC      $object"
command=$("$fresh" command . "$object")
# In kbuild's environment; what the user says to ccache now counts.
# shellcheck disable=SC2016 # sh expands it
xargs -0 -a .build.env sh -c 'command=$1; shift; exec env -i "$@" ${CCACHE_DISABLE:+CCACHE_DISABLE=1} \
	${CCACHE_RECACHE:+CCACHE_RECACHE=1} sh -ec "$command"' sh "$command"
head -n 1 "$cmd.cmd" > "$cmd.cmd.tmp"
scripts/basic/fixdep "$cmd.d" "$object" "" | sed 1d >> "$cmd.cmd.tmp"
mv "$cmd.cmd.tmp" "$cmd.cmd"
rm -f "$cmd.d"
