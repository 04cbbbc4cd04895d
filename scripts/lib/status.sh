#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The shell of make's recipes when MMUML_STATUS names a file (see Makefile): runs one as sh does, and writes its status into
# that file if it is not 0. make itself says 2 of all of them, and the rest in the user's language.
code=0
/bin/sh "$@" || code=$?
[ $code = 0 ] || echo $code > "$MMUML_STATUS"
exit $code
