#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Stage of make compare: T=@changed becomes the tests that reach what differs, by the map (scripts/changed.sh).
# usage: scripts/compare/tests.sh WORK/N   -> the line "tests" of WORK/N/what; what it was is said
set -eu
. scripts/lib/kit.sh
. scripts/compare/lib.sh

use "$1" files lines
asked=$(ask tests)
case ,$asked, in *,@changed,*) ;; *) exit 0 ;; esac
tree=$(ask tree.changed)
code=0
T=$asked PROFILE=$(ask profile) BELOW=$(tgit "$(ask tree.base)" rev-parse HEAD) \
	scripts/changed.sh only "$tree" printf '%s\n' > "$dir/chosen" || code=$?
[ $code = 0 ] || exit $code
grep '^  CHANGED ' "$dir/chosen"
tests=$(sed -n '/^--tests$/{n;p;}' "$dir/chosen" | tail -n 1)
sed -i '/^tests /d' "$dir/what"
echo "tests $tests" >> "$dir/what"
