#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Look at what gdb needs, then start a guest under it. usage: scripts/gdb.sh OUT MAKE-PID RUNNER ARGS...
# Environment: B breakpoints, CMD commands, GDB the debugger. Several CMD= of one make line are all taken: make
# itself keeps the last, so they are read from its arguments.
set -eu
. scripts/lib/kit.sh

out=$1
makepid=$2
shift 2
gdb=${GDB:-gdb}

gdb_works()
{
	command -v "$gdb" >/dev/null ||
		die $EX_HOST "no gdb" "there is no program '$gdb' on this machine" "make deps  (package gdb)"
	"$gdb" --configuration 2>/dev/null | grep -q -- '--without-python' &&
		die $EX_HOST "this gdb has no Python" "$gdb was built without it: the kit's commands are written in Python" \
		    "install the full gdb  (package gdb, not gdb-minimal)"
	return 0
}

kernel_is_whole()
{
	[ -f "$out/vmlinux" ] ||
		die $EX_USAGE "no kernel in $out" "there is no $out/vmlinux: a wrong build directory, or not built yet" "make build"
	readelf -SW "$out/vmlinux" | grep -q '\.debug_info' ||
		die $EX_USAGE "$out/vmlinux has no debug information" "it was stripped, or built without DEBUG_INFO" \
		    "rm $out/vmlinux && make gdb"
}

# The constants that the kernel's own lx- commands need.
lx_scripts()
{
	tree=$(dirname "$out")
	if [ ! -f "$out/vmlinux-gdb.py" ] || [ ! -f "$out/scripts/gdb/linux/constants.py" ] ||
	   [ -n "$(find "$out/.config" -newer "$out/scripts/gdb/linux/constants.py")" ]; then
		say GEN "$out/scripts/gdb"
		kmake "$tree" "$out" -s scripts_gdb >"$out/scripts_gdb.log" 2>&1 ||
			echo "mmuml: warning: make scripts_gdb failed: $out/scripts_gdb.log" >&2
		touch "$out/scripts/gdb/linux/constants.py" 2>/dev/null || true
	fi
}

# All CMD= of the make line, one a line; CMD of the environment without any.
commands()
{
	given=$(tr '\0' '\n' < "/proc/$makepid/cmdline" 2>/dev/null | sed -n 's/^CMD=//p')
	printf '%s' "${given:-${CMD-}}"
}

gdb_works
[ -n "${ATTACH-}" ] || { kernel_is_whole; lx_scripts; }
cmds=$(commands)
if [ -n "$cmds" ]; then
	export CMDS="$cmds"
elif [ ! -t 0 ] || [ ! -t 1 ]; then
	[ -n "${MMUML_SCRIPT-}" ] ||
		die $EX_USAGE "gdb has no terminal here" "standard input or output is not one, and there is no CMD=" \
		    "make gdb T=... B=... CMD='bt 5'"
fi
export MMUML_TOP="$TOP"
exec "$@"
