#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The sources whose objects are instrumented, one a line: those of coverage/objects, and every .c file that the series
# or an edit touches. usage: scripts/coverage/objects.sh TREE
set -eu
. scripts/lib/kit.sh
tree=$1

since=$(scripts/tree.sh --since)
{
	grep -v '^#' coverage/objects
	[ -z "$since" ] || (cd "$tree" && KGIT=$KGIT/worktrees/$(basename "$tree") kgit diff --name-only --diff-filter=d "$since" -- "*.c")
} | sort -u
