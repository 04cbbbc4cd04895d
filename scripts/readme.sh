#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Make the transcripts in the READMEs again: the block after "<!-- $ COMMAND -->" is what COMMAND prints.
# usage: scripts/readme.sh [FILE...]   (default: every README.md that has such a block)
set -eu
# shellcheck disable=SC2046 # paths without blanks
[ $# -gt 0 ] || set -- $(git grep -l '^<!-- \$ ' -- '*README.md')

transcribe()
{
	awk '
	/^<!-- \$ .* -->$/ {
		print
		cmd = substr($0, 8, length($0) - 11)
		print "```"
		print "$ " cmd
		shell = cmd " 2>&1 </dev/null"
		while ((shell | getline line) > 0) {
			sub(/^make: \*\*\* \[Makefile:[0-9]+: /, "make: *** [", line)
			print line
		}
		close(shell)
		print "```"
		getline
		while ((getline line) > 0 && line != "```") ;
		next
	}
	{ print }' "$1"
}

for f; do
	transcribe "$f" > "$f.tmp"
	mv "$f.tmp" "$f"
done
