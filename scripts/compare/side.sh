#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Stage of make compare: bring the tree and the kernel of one side up to date.
# usage: scripts/compare/side.sh WORK/N base|changed   -> TREE, TREE/build-PROFILE/vmlinux
# What is not there yet is copied: the base from a tree that has been built, the changed side from the base, so that only the
# changed objects are compiled. Both are left as make run S= uses them.
set -eu
. scripts/lib/kit.sh
. scripts/compare/lib.sh

use "$1" what resolve
stack=$(ask "$2") tree=$(ask "tree.$2") profile=$(ask profile)
S=$stack scripts/fetch.sh
# Of another kernel nothing can be copied.
if [ "$2" = base ]; then
	from=$(donor "build-$profile/.build.key")
elif [ "$(kernel_of "$(ask base)")" = "$(kernel_of "$stack")" ]; then
	from=$(ask tree.base)
else
	from=
fi
S=$stack FROM=${from##*/} scripts/tree.sh
[ -z "$from" ] || scripts/build/start.sh "$tree" "$profile" "$from"
scripts/config.sh "$tree" "$profile"
DEBUG_INFO=1 scripts/build.sh "$tree" "$profile"
