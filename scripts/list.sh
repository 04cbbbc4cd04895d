#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Tests, profiles, kernels and changes, one a line with its purpose. usage: scripts/list.sh GUESTDIR
set -eu
. scripts/lib/kit.sh
. scripts/lib/kernels.sh

echo "Tests (T=):"
"$BUILD/host/mmuml-run" --guest "$1" --list | sed 's/^/  /'
echo "Profiles (PROFILE=):"
for p in uml-config/profiles/*; do
	printf '  %-44s %s\n' "$(basename "$p")" "$(sed -n '1s/^# *//p' "$p")"
done
echo "Kernels (KERNEL=; * is this build's own):"
for k in $(kernels); do
	star=' '
	[ "$k" != "$(kernel_here)" ] || star='*'
	printf ' %s%-44s %s\n' "$star" "$k" "$(pin "$k" kernel): $(sed -n '1s/^# *//p' "uml-config/kernels/$k")"
done
echo "Changes (S=; * is in the default stack):"
for c in mm-changes/*/; do
	[ -f "$c/series" ] || continue
	c=$(basename "$c")
	star=' '
	! grep -qx "$c" mm-changes/series || star='*'
	printf ' %s%-44s %s\n' "$star" "$c" "$(sed -n '/^[A-Za-z]/{p;q;}' "mm-changes/$c/README.md" 2>/dev/null)"
done
