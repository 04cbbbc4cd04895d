#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The sources whose objects are instrumented, one a line: those of coverage/objects, and every .c file that the series
# or an edit touches. usage: scripts/coverage/objects.sh TREE
set -eu
. scripts/lib/kit.sh
tree=$1

since=$(scripts/tree.sh --since)
changed=
[ -z "$since" ] || changed=$(tgit "$tree" diff --name-only --diff-filter=d "$since" -- "*.c")
{
	grep -v '^#' coverage/objects
	echo "$changed"
} | sed '/^$/d' | sort -u
