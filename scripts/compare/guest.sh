#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Stage of make compare: the test programs, the same for both sides, on the harness of the base.
# usage: scripts/compare/guest.sh WORK/N   -> WORK/N/guest, which names their directory
set -eu
. scripts/lib/kit.sh
. scripts/compare/lib.sh

use "$1" what resolve
base=$(ask tree.base)
from=$(donor build-guest/tests.list)
tree=$base
# Another tree's will do if it has the same harness; if not, they are a start.
if [ -n "$from" ] && [ "$from" != "$base" ] && [ -f "$from/build-guest/tests.list" ]; then
	head=$(tgit "$base" rev-parse HEAD)
	if tgit "$from" diff --quiet "$head" -- tools/testing/selftests/kselftest.h \
		tools/testing/selftests/kselftest_harness.h include/uapi arch/x86/include/uapi; then
		tree=$from
	elif [ ! -d "$base/build-guest" ]; then
		scripts/build/clone.sh "$from" "$base" build-headers
		scripts/build/clone.sh "$from" "$base" build-guest
	fi
fi
make -s -j"$(nproc)" -C tests TREE="$TOP/$tree" CC=gcc || exit $EX_BUILD
echo "$tree/build-guest" > "$dir/guest"
