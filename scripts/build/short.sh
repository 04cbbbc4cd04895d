#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The short way to a kernel of which only sources changed: the compiler for what is made of them, and the link.
# usage: scripts/build/short.sh TREE PROFILE   -> TREE/build-PROFILE/vmlinux without debug information, build.log
# Called by build.sh, which holds the lock, with what changed in .changed. Exit codes: 0, EX_BUILD if a source does not compile
# (the compiler's words are in build.log); any other: it has to be done the long way.
set -eu
. scripts/lib/kit.sh

out=$1/build-$2

# What else would change: of names in a directory, makefiles and options only kbuild knows.
only_sources()
{
	while read -r f; do
		case $f in ../*.[chS]) ;; *) return 1 ;; esac
		[ -f "$out/$f" ] || return 1
	done < "$out/.changed"
}

# objects: what was made of the changed files, if it goes into the kernel as it is, or is what constants of headers are taken from.
objects()
{
	find "$out" -name '.*.cmd' -print0 | xargs -0 grep -lFf "$out/.changed" | sed "s|^$out/||; s|\(.*/\)\.\(.*\)\.cmd\$|\1\2|" |
		sort > "$out/.changed.objects"
	[ -s "$out/.changed.objects" ] || return 1
	! grep -vxFf "$out/.objects" "$out/.changed.objects" | grep -vxE 'init/version-timestamp\.o|kernel/bounds\.s|.*-offsets\.s' >/dev/null
}

# constants: those of the headers that kbuild makes of the compiler's output.
constants()
{
	grep '\.s$' "$out/.changed.objects" | while read -r s; do
		grep -e '->' "$out/$s" || true
	done
}

for f in .build.env .link.args .objects; do
	[ -f "$out/$f" ] || exit 1
done
only_sources && objects || exit 1
touch "$out/.build.began"
stamp compile
before=$(constants)
failed=
(cd "$out" && < .changed.objects xargs -P "$(nproc)" -n 1 "$TOP/scripts/build/compile.sh" "$TOP/$BUILD/host/mmuml-fresh") \
	> "$out/build.log" 2>&1 || failed=1
if [ -n "$failed" ]; then
	grep -qE '^[^ ]+:[0-9]+:[0-9]+: (fatal )?error: ' "$out/build.log" || exit 1
	exit $EX_BUILD
fi
[ "$(constants)" = "$before" ] || exit 1
stamp link
scripts/build/link.sh "$out" light >> "$out/build.log" 2>&1
