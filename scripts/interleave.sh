#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Play an interleaving in the test that its script names. usage: scripts/interleave.sh SCRIPT COMMAND...
# SCRIPT is a file, or the name of one in scripts/gdb/interleave/; COMMAND is what starts gdb, without its tests.
set -eu
. scripts/lib/kit.sh

script=$1
shift
[ -n "$script" ] || die $EX_USAGE "no SCRIPT=" "nothing says which interleaving to play" \
	"make interleave SCRIPT=migrate-exit  (ls scripts/gdb/interleave)"
[ -f "$script" ] || script=scripts/gdb/interleave/$script
[ -f "$script" ] || die $EX_USAGE "no script $script" "there is no such file, nor one in scripts/gdb/interleave" "ls scripts/gdb/interleave"
name=$(sed -n 's/^test[[:space:]]\{1,\}//p' "$script" | head -n 1)
[ -n "$name" ] || die $EX_USAGE "$script names no test" "it has no line 'test NAME'" "head scripts/gdb/interleave/*"
MMUML_SCRIPT=$(realpath "$script")
export MMUML_SCRIPT CMD='' B=''
exec "$@" --tests "$name"
