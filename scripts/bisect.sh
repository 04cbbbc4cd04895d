#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# make run for git bisect, whose exit status says what git wants to know: 0 good; 1, 8, 124 bad; 125 skip (host not ready,
# only skips, a patch that does not apply, an option lost, no build); 129 stop, for a usage error.
# usage, in a kernel tree:  git bisect run /path/to/mmuml/scripts/bisect.sh T='mremap.*' [VARIABLE=value...]
# LINUX= is the tree that it is started in, unless given.
set -u
# However this ends early, git shall not take it for a verdict.
ended=129
trap 'rm -f "${status-}"; exit $ended' EXIT
trap exit INT TERM HUP
unset CDPATH
here=$(pwd)
cd "$(dirname "$0")/.." || exit
. scripts/lib/kit.sh
# Letters without an argument: what runs nothing, or goes on whatever fails, has no answer.
letters=${MAKEFLAGS-}
letters=${letters%% *}
letters=${letters#-}
case $letters in
*[!BbdeikLnqrRsStw]*) ;;
*[inqt]*)
	echo "mmuml: error: make -$letters gives no answer to git bisect" >&2
	exit ;;
esac
status=$(mktemp) || exit
linux=
[ ! -f "$here/arch/um/Kconfig" ] || linux=LINUX=$here
MMUML_STATUS=$status make run BISECT= ${linux:+"$linux"} "$@" 2>&1
code=$?
# make itself only says 2; that of the stage that failed is in the file.
[ $code = 0 ] || code=$(cat "$status")
case $code in
"$EX_HOST" | "$EX_SKIP" | "$EX_PATCH" | "$EX_CONFIG" | "$EX_BUILD") ended=$EX_UNTESTABLE ;;
"$EX_PASS" | "$EX_FAIL" | "$EX_REPORT" | "$EX_TIMEOUT") ended=$code ;;
*) ended=$EX_BISECT_STOP ;;
esac
