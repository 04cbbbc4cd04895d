#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Make the transcripts in README.md again: the block after "<!-- $ COMMAND -->" is what COMMAND prints.
# usage: scripts/readme.sh
set -eu
tmp=README.md.tmp
awk '
/^<!-- \$ .* -->$/ {
	print
	cmd = substr($0, 8, length($0) - 11)
	print "```"
	print "$ " cmd
	shell = cmd " 2>&1"
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
{ print }' README.md > $tmp
mv $tmp README.md
