#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Build the kernel of one tree and profile.
# usage: scripts/build.sh TREE PROFILE   -> TREE/build-PROFILE/vmlinux
set -eu
. scripts/lib.sh

tree=$1
profile=$2
out=$tree/build-$profile

# Progress of a long build on a terminal: objects so far; the names of what is compiled otherwise.
show()
{
	if [ -n "${V-}" ] || [ ! -t 1 ]; then
		cat
	else
		awk '/^  (CC|AS|LD|AR|GEN|HOSTCC)/ { printf "\r  %-7s %5d %-60.60s", $1, ++n, $NF; fflush(); next }
		     /^make/ { next } { print } END { if (n) printf "\r%79s\r", "" }'
	fi
}

build()
{
	log=$out/build.log
	status=$out/.build.status
	rm -f "$status"
	{ kmake "$tree" "$out" vmlinux 2>&1 || echo failed > "$status"; } | tee "$log" |
		grep -vE '^make(\[[0-9]+\])?: |^  (CALL|DESCEND) ' | show
	if [ -f "$status" ]; then
		die $EX_BUILD "the kernel does not build" "$(grep -m1 -E 'error:|Error |undefined reference' "$log")" \
		    "make build V=1  (the whole log: $log)"
	fi
	if [ -n "$(find "$out/.config" -newer "$out/compile_commands.json" 2>&1)" ]; then
		kmake "$tree" "$out" -s compile_commands.json >/dev/null 2>&1 || true
	fi
}

one_at_a_time "build-$profile" build
