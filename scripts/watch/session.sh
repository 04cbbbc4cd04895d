#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A session of make watch on the default tree, as the README shows it: nothing edited, a save after which the tests pass, one that
# does not build. The edits are taken back. usage: scripts/watch/session.sh
set -eu
file=build/trees/default/mm/ksm.c
out=$(mktemp)
before=$(mktemp)
cp -p $file "$before"

finish()
{
	cp -p "$before" $file
	pkill -INT -g "$pid" 2>/dev/null || true
	wait "$pid" || true
	rm -f "$out" "$before"
	make build > /dev/null 2>&1
}

# heard WORDS: wait until the watch has said them.
heard()
{
	until grep -q -- "$1" "$out"; do
		kill -0 "$pid"
		sleep 0.2
	done
}

setsid env --default-signal=INT make watch > "$out" 2>&1 < /dev/null &
pid=$!
trap finish EXIT
heard 'nothing is edited  all '
sed -i '/^static int break_ksm(/,/^{/s/^{/&\n\t\/* a word *\/;/' $file
heard '^  *all '
cp -p "$before" $file
sed -i '/^static int break_ksm(/i int broken = ;' $file
heard 'the last verdict stays'
cat "$out"
