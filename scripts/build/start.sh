#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The first build of a tree that was made as a copy of another starts from that one's: only what differs is compiled.
# usage: scripts/build/start.sh TREE PROFILE       -> TREE/build-PROFILE, TREE/build-guest, or nothing
#        scripts/build/start.sh TREE PROFILE FROM-TREE   from that one, whatever TREE was made of
set -eu
. scripts/lib/kit.sh

tree=$1 profile=$2 from=${3-}
[ -n "$from" ] || from=$(sed -n "s|^from |$BUILD/trees/|p" "$BUILD/stacks/${tree##*/}" 2>/dev/null || true)
if [ -z "$from" ] || [ "$from" = "$tree" ]; then
	exit 0
fi
if [ ! -f "$tree/build-$profile/.config.key" ] && [ -f "$from/build-$profile/.build.key" ]; then
	scripts/build/clone.sh "$from" "$tree" "build-$profile"
fi
# The test programs are the same text, on the kernel's own headers.
if [ ! -d "$tree/build-guest" ] && [ -f "$from/build-guest/tests.list" ] &&
   tgit "$from" diff --quiet "$(tgit "$tree" rev-parse HEAD)" -- tools/testing/selftests/kselftest.h \
	tools/testing/selftests/kselftest_harness.h include/uapi arch/x86/include/uapi; then
	scripts/build/clone.sh "$from" "$tree" build-headers
	scripts/build/clone.sh "$from" "$tree" build-guest
fi
