#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Give a kernel that was linked without debug information the same with it. usage: scripts/build/debug.sh TREE/build-PROFILE
# Nothing is done where it has it.
set -eu
. scripts/lib/kit.sh

explain()
{
	[ ! -f "$1/.light" ] || scripts/build/link.sh "$1" full
}

out=${1#"$TOP/"}
one_at_a_time "$(lock_of "$out")" explain "${out%/}" >&2
