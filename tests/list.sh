#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Print tests.list (scripts/lib/protocol.h) of the programs OUT/bin/PROGRAM: one case a line, NAME is area.file.case, or
# area.file.case-variant. The purpose is the comment line right above TEST() in the source; the attributes are those of
# MM_TEST_IS() in OUT/obj/PROGRAM.o.
# usage: tests/list.sh OUT/bin/PROGRAM...   (from tests/)
#        UPSTREAM=DIR/FILE.c tests/list.sh OUT/bin/PROGRAM   one of the kernel's own, which has neither, but ATTRIBUTES
set -eu

# One line "@<tab>TEST<tab>WORDS" for each MM_TEST_IS() of an object. The compiler fills up with zeroes between them.
attributes()
{
	objcopy -O binary --only-section=mm_test_is "$1" "$2"
	tr '\0' '\n' < "$2" | sed '/./!d; s/^/@	/'
	rm -f "$2"
}

# The harness prints three columns of 20, 25 and more characters: fixtures, their variants, their tests.
list()
{
	prog=$(basename "$1")
	src=$(echo "$prog" | sed 's,\.,/,; s,^kit/,kit/guest/,').c
	obj=$(dirname "$1")/../obj/$prog.o
	{ [ -n "$upstream" ] || attributes "$obj" "$obj.is"; "$1" -l 2>&1 >/dev/null || true; } | awk -v prog="$prog" -v src="$src" -v upstream="$upstream" -v also="${ATTRIBUTES:+ $ATTRIBUTES}" '
	function die(what) { print "tests/" src ": " what > "/dev/stderr"; failed = 1; exit 1 }
	function trim(s) { gsub(/^ +| +$/, "", s); return s }
	# The next column of the line, which is wider where a name is.
	function column(width,   word) {
		word = rest
		sub(/ .*/, "", word)
		rest = substr(rest, (length(word) > width ? length(word) : width) + 2)
		return word
	}
	function take_attributes(test, words,   n, word, i) {
		n = split(words, word, " ")
		for (i = 1; i <= n; i++)
			if (word[i] !~ /^(alone|limit=[1-9][0-9]*|cpus=[1-9][0-9]*)$/)
				die("MM_TEST_IS(" test ", ...): no such attribute: " word[i])
		if (!n) die("MM_TEST_IS(" test ", ...): no attribute")
		is[test] = words
	}
	function flush_fixture(   i, j, name, key) {
		for (i = 1; i <= ntests; i++) {
			key = (fixture == "global" ? "" : fixture "_") tests[i]
			for (j = 1; j <= (nvariants ? nvariants : 1); j++) {
				name = prog "." tests[i] (nvariants ? "-" variants[j] : "")
				if (upstream && seen[name]) name = prog "." fixture "." substr(name, length(prog) + 2)
				if (seen[name]++) die("two cases named " name)
				if (upstream) purpose[tests[i]] = "of the kernel, tools/testing/selftests/" upstream
				if (purpose[tests[i]] == "") die("no comment line right above " tests[i])
				printf "%s\t%s\t%s\t%s\t%s\n", name, prog,
				    fixture (nvariants ? "." variants[j] : "") "." tests[i],
				    upstream ? "upstream" also : key in is ? is[key] : "-", purpose[tests[i]]
			}
			known[key] = 1
		}
		ntests = nvariants = 0; fixture = ""
	}
	BEGIN {
		while ((getline line < src) > 0) {
			if (match(line, /^(TEST|TEST_F|TEST_SIGNAL)\(/)) {
				name = line; sub(/^[A-Z_]*\(/, "", name)
				if (line ~ /^TEST_F/) sub(/^[^,]*, */, "", name)
				sub(/[,)].*/, "", name)
				purpose[name] = last
			}
			last = ""
			if (line ~ /^(\/\*| \*) .*\*\/$/) last = trim(substr(line, 4, length(line) - 5))
		}
	}
	/^@\t/ { split($0, part, "\t"); take_attributes(part[2], part[3]); next }
	/^# FIXTURE/ { next }
	/^----/ { flush_fixture(); next }
	{
		rest = $0
		word = column(20)
		if (word != "") fixture = word
		word = column(25)
		if (word != "") variants[++nvariants] = word
		if (trim(rest) != "") tests[++ntests] = trim(rest)
	}
	END {
		if (failed) exit 1
		flush_fixture()
		for (name in seen) some = 1
		if (!some) die("no test is listed by " prog " -l")
		for (test in is)
			if (!(test in known)) die("MM_TEST_IS(" test ", ...): no such test")
	}'
}

upstream=${UPSTREAM-}
for p in "$@"; do
	list "$p"
done
