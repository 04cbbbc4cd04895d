#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Run tests on the instrumented kernel and report what of the change they executed.
# usage: WHO= BASE= HTML= JSON= scripts/coverage/coverage.sh TREE RUNNER ARGS...
# WHO asks the newest run; everything else makes one. Exit status: that of the tests; 1 if the changed code never ran.
set -eu
. scripts/lib.sh
tree=$1
shift
cov=$BUILD/host/mmuml-cov

if [ -n "${WHO-}" ]; then
	run=$(find out/runs -maxdepth 1 -name '*-coverage*' 2>/dev/null | sort | tail -n 1)
	[ -n "$run" ] || die $EX_USAGE "no run to ask who reached $WHO" "there is no out/runs/*-coverage" "make coverage"
	exec "$cov" --who "$WHO" "$run"
fi
if [ -n "${BASE-}" ] && [ ! -d "$BASE/coverage" ]; then
	die $EX_USAGE "BASE=$BASE is no run of make coverage" "there is no $BASE/coverage" "ls -d out/runs/*-coverage"
fi
code=0
"$@" --what coverage --coverage || code=$?
run=out/$(readlink out/latest)
case $run in *-coverage*) ;; *) exit $code ;; esac
[ -d "$run/coverage" ] || exit $code
scripts/coverage/gather.sh "$run" "$tree" coverage
verdict=0
"$cov" --json "$run/coverage.json" --info "$run/coverage.info" --changed-info "$run/changed.info" \
	--base "${BASE-}" "$run" || verdict=$?
[ $verdict -le 1 ] || exit $verdict
[ -z "${JSON-}" ] || cp "$run/coverage.json" "$JSON"
if [ -n "${HTML-}" ]; then
	command -v genhtml >/dev/null || die $EX_HOST "no genhtml" "the HTML report is lcov's" "make deps"
	html=$TOP/$run/html
	for part in coverage changed; do
		[ -s "$run/$part.info" ] || continue
		(cd "$run/coverage/src" && genhtml --quiet --branch-coverage --show-details --legend --title "$part: $(cat ../../verdict)" \
			--output-directory "$html/$part" "../../$part.info") ||
			die $EX_FAIL "genhtml failed" "" "less $run/$part.info"
	done
	echo "  HTML    $run/html/coverage/index.html, $run/html/changed/index.html (the change alone)"
fi
echo "  REPORT  $run/coverage.json $run/coverage.info"
[ $code = 0 ] || exit $code
exit $verdict
