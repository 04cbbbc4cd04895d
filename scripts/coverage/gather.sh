#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Put into a run directory what the counters in it mean: the change, here; sources, notes and marks, by mmuml-cov gather.
# usage: scripts/coverage/gather.sh RUN TREE PROFILE
set -eu
. scripts/lib/kit.sh
tree=$2
dir=$1/coverage

mkdir -p "$dir"
since=$(scripts/tree.sh --since)
: > "$dir/changes.diff"
[ -z "$since" ] || tgit "$tree" diff --no-ext-diff --no-color --no-renames \
	--unified=0 "$since" -- '*.c' '*.h' > "$dir/changes.diff"
exec "$BUILD/host/mmuml-cov" gather "$1" "$tree" "$3" coverage/objects
