#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Print "NAME PROGRAM HARNESS-NAME PURPOSE" for every case, tab separated; NAME is area.file.case, or
# area.file.case-variant. The purpose is the comment line right above TEST() in the source.
# usage: tests/list.sh PROGRAM...   (from tests/)
set -eu

# The harness prints three columns of 20, 25 and more characters: fixtures, their variants, their tests.
list()
{
	prog=$(basename "$1")
	src=$(echo "$prog" | sed 's,\.,/,; s,^kit/,kit/guest/,').c
	"$1" -l 2>&1 | awk -v prog="$prog" -v src="$src" '
	function die(what) { print "tests/" src ": " what > "/dev/stderr"; failed = 1; exit 1 }
	function trim(s) { gsub(/^ +| +$/, "", s); return s }
	function flush_fixture(   i, j, name) {
		for (i = 1; i <= ntests; i++)
			for (j = 1; j <= (nvariants ? nvariants : 1); j++) {
				name = prog "." tests[i] (nvariants ? "-" variants[j] : "")
				if (seen[name]++) die("two cases named " name)
				if (purpose[tests[i]] == "") die("no comment line right above " tests[i])
				printf "%s\t%s\t%s\t%s\n", name, prog,
				    fixture (nvariants ? "." variants[j] : "") "." tests[i], purpose[tests[i]]
			}
		ntests = nvariants = 0; fixture = ""
	}
	BEGIN {
		while ((getline line < src) > 0) {
			if (match(line, /^(TEST|TEST_F|TEST_F_TIMEOUT|TEST_SIGNAL)\(/)) {
				name = line; sub(/^[A-Z_]*\(/, "", name)
				if (line ~ /^TEST_F/) sub(/^[^,]*, */, "", name)
				sub(/[,)].*/, "", name)
				purpose[name] = last
			}
			last = ""
			if (line ~ /^(\/\*| \*) .*\*\/$/) last = trim(substr(line, 4, length(line) - 5))
		}
	}
	/^# FIXTURE/ { next }
	/^----/ { flush_fixture(); next }
	{
		if (substr($0, 21, 1) != " " || substr($0, 47, 1) != " ")
			die("a fixture name over 20 or a variant name over 25 characters: " $0)
		if (trim(substr($0, 1, 20)) != "") fixture = trim(substr($0, 1, 20))
		if (trim(substr($0, 22, 25)) != "") variants[++nvariants] = trim(substr($0, 22, 25))
		if (trim(substr($0, 48)) != "") tests[++ntests] = trim(substr($0, 48))
	}
	END { if (!failed) flush_fixture() }'
}

for p in "$@"; do
	list "$p"
done
