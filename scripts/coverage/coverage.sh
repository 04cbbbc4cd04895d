#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Run tests on the instrumented kernel and report what of the change they executed.
# usage: WHO= BASE= HTML= JSON= scripts/coverage/coverage.sh TREE RUNNER ARGS...
# WHO asks the newest run; everything else makes one. Exit status: that of the tests; 1 if the changed code never ran.
set -eu
. scripts/lib/kit.sh
tree=$1
shift
cov=$BUILD/host/mmuml-cov

# A page for each file, a column for each test: of all that is reported, and of the change alone.
make_html()
{
	for part in coverage changed; do
		[ -s "$run/$part.info" ] || continue
		(cd "$run/coverage/src" && genhtml --quiet --branch-coverage --show-details --legend --title "$part: $(cat ../../verdict)" \
			--output-directory "$TOP/$run/html/$part" "../../$part.info") ||
			die $EX_FAIL "genhtml failed" "" "less $run/$part.info"
	done
	say HTML "$run/html/coverage/index.html, $run/html/changed/index.html (the change alone)"
}

# The run's verdict again, with what became of the change and the whole time: the last line, and kept in the run directory.
conclude()
{
	line=$(sed 's/ total [0-9.]*s -> .*//; s/ -> .*//' "$run/verdict")
	[ $code != 0 ] || [ $verdict = 0 ] || line="mmuml: FAIL (the changed code was never executed)"
	printf '%s total %.1fs  %s -> %s\n' "$line" "$(echo "$(date +%s.%N) ${STARTED-0}" | awk '{ print $1 - $2 }')" \
		"$(grep -m1 -E '^(changed lines executed:|no changed lines)' "$run/coverage.txt")" "$run" > "$run/verdict.tmp"
	mv "$run/verdict.tmp" "$run/verdict"
	cat "$run/verdict"
}

if [ -n "${WHO-}" ]; then
	run=$(find out/runs -maxdepth 1 -name '*-coverage*' 2>/dev/null | sort | tail -n 1)
	[ -n "$run" ] || die $EX_USAGE "no run to ask who reached $WHO" "there is no out/runs/*-coverage" "make coverage"
	exec "$cov" --who "$WHO" "$run"
fi
if [ -n "${BASE-}" ] && [ ! -d "$BASE/coverage" ]; then
	die $EX_USAGE "BASE=$BASE is no run of make coverage" "there is no $BASE/coverage" "ls -d out/runs/*-coverage"
fi
[ -z "${HTML-}" ] || scripts/doctor.sh --want lcov
code=0
before=$(readlink out/latest || true)
"$@" --what coverage --coverage || code=$?
run=out/$(readlink out/latest || true)
if [ "$run" = "out/$before" ] || [ ! -d "$run/coverage" ]; then
	exit $code
fi
scripts/coverage/gather.sh "$run" "$tree" coverage
verdict=0
"$cov" --json "$run/coverage.json" --info "$run/coverage.info" --changed-info "$run/changed.info" \
	--base "${BASE-}" "$run" > "$run/coverage.txt" || verdict=$?
cat "$run/coverage.txt"
[ $verdict = 0 ] || grep -q '^THE CHANGED CODE WAS NEVER EXECUTED' "$run/coverage.txt" || exit $verdict
[ -z "${JSON-}" ] || cp "$run/coverage.json" "$JSON"
[ -z "${HTML-}" ] || make_html
say REPORT "$run/coverage.txt $run/coverage.json $run/coverage.info"
conclude
[ $code = 0 ] || exit $code
exit $verdict
