# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Mistakes that mm/ has made, made again (tests/mistakes): the tests that notice fail with them, and pass without.
# Sourced by check.sh.

MISTAKES=tests/mistakes/README.md

# mistakes: "PATCH TEST..." of each row of the table, one a line.
# shellcheck disable=SC2016 # the backquotes are the table's
mistakes()
{
	sed -n 's/^| [0-9][0-9]* | .* | \(`[0-9].*\.patch`\) | \(.*\) |$/\1 \2/p' $MISTAKES | tr -d '`'
}

# Each patch has a row, and each row a patch and a test that there is.
mistakes_are_listed()
{
	same "$(mistakes | cut -d' ' -f1)" "$(find tests/mistakes -name "*.patch" -printf "%f\n" | sort)" "patches of the table"
	same "$(grep -c '^| [0-9]' $MISTAKES)" "$(mistakes | wc -l)" "rows that can be read"
	mistakes | cut -d' ' -f2- | tr ' ' '\n' | while read -r test; do
		grep -q "^$test	" "$GUEST/tests.list" || { echo "no test $test"; return 1; }
	done
}

# One tree for all of them, one after the other: the stack is a directory, whose patch changes.
mistakes_are_noticed()
{
	missed=0
	mkdir -p "$CHECK/one"
	mistakes > "$CHECK/mistakes"
	while read -r patch tests; do
		rm -f "$CHECK"/one/*
		cp "tests/mistakes/$patch" "$CHECK/one/"
		ended=0
		make run S="default,$CHECK/one" T="$(echo "$tests" | tr " " ,)" NOTE="$CHECK/note" KEEP_GOING=1 \
			> "$CHECK/got" 2>&1 < /dev/null || ended=$?
		[ $ended = 2 ] || { cat "$CHECK/got"; echo "$patch: exit $ended"; return 1; }
		run=$(cat "$CHECK/note")
		for test in $tests; do
			how=$(jq -r --arg n "$test" '.tests[] | select(.name == $n) | .status' "$run/results.json")
			case $how in
			FAIL | CRASH | TIMEOUT) ;;
			*) echo "$patch: $test: ${how:-not run}"; missed=1 ;;
			esac
		done
	done < "$CHECK/mistakes"
	expect 0 run_guest --tests "$(cut -d' ' -f2- "$CHECK/mistakes" | tr ' \n' ,, | sed 's/,$//')"
	says "mmuml: PASS "
	return $missed
}

mistake_cases()
{
	t mistakes.listed mistakes_are_listed
	t -x out -x mistakes -full mistakes.noticed mistakes_are_noticed
}
