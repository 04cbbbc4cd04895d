#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# make run for git bisect, whose exit status says what git wants to know: 0 good; 1, 8, 124 bad; 125 skip (host not ready,
# only skips, a patch that does not apply, an option lost, no build); 129 stop, for a usage error.
# usage, in a kernel tree:  git bisect run /path/to/mmuml/scripts/bisect.sh T='mremap.*' [VARIABLE=value...]
# LINUX= is the tree that it is started in, unless given.
set -u
# shellcheck disable=SC2046 # names of variables
unset CDPATH $(git rev-parse --local-env-vars 2>/dev/null)
here=$(pwd)
cd "$(dirname "$0")/.." || exit 129
log=$(mktemp) || exit 129
trap 'rm -f "$log"' EXIT
linux=
[ ! -f "$here/arch/um/Kconfig" ] || linux=LINUX=$here
make run BISECT= ${linux:+"$linux"} "$@" > "$log" 2>&1
code=$?
cat "$log"
# make itself only says 2; it names the status of the stage that failed.
[ $code = 0 ] || code=$(sed -n 's/^make\(\[[0-9]*\]\)*: \*\*\* \[.*\] Error \([0-9]*\)$/\2/p' "$log" | tail -n 1)
case $code in
3 | 4 | 5 | 6 | 7) exit 125 ;;
0 | 1 | 8 | 124) exit "$code" ;;
*) exit 129 ;;
esac
