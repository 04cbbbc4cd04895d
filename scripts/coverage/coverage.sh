#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Run tests on the instrumented kernel and report what of the change they executed.
# usage: WHO= BASE= HTML= JSON= scripts/coverage/coverage.sh TREE RUNNER ARGS...
# WHO asks the newest run; everything else makes one. Exit status: that of the run's verdict, which is FAIL
# if the changed code never ran; that of what could not tell whether it did.
set -eu
. scripts/lib/kit.sh
tree=$1
shift
runner=$1
cov=$BUILD/host/mmuml-cov

# pages PART OPTION...: genhtml's, of the tracefile PART.info.
pages()
{
	part=$1
	shift
	(cd "$run/coverage/src" && genhtml --quiet --show-details --legend --title "$part: $(cat ../../verdict)" "$@" \
		--output-directory "$TOP/$run/html/$part" "../../$part.info" >/dev/null) 2>"$run/genhtml.log"
}

genhtml_error()
{
	grep 'ERROR' "$run/genhtml.log" | tail -n 1
}

# again PART: lcov from 2.0 on ends at what it finds odd in a kernel's sources, but says how to go on: "... --ignore-errors CLASS".
# 2.5 cannot add up the branches of several tests, its own count of them being wrong then: its pages are without.
again()
{
	say NOTE "genhtml goes on over: $(genhtml_error)"
	ignored='' branches=--branch-coverage
	while :; do
		more=$(sed -n 's/.*--ignore-errors \([a-z]*\).*/\1/p' "$run/genhtml.log" | sort -u | grep -vxF "$(echo "$ignored" | tr , '\n')" | paste -sd,)
		if [ -n "$more" ]; then
			ignored=$ignored${ignored:+,}$more
		elif [ -n "$branches" ]; then
			say NOTE "without branches: $(genhtml_error)"
			branches=
		else
			return 1
		fi
		! pages "$1" ${branches:+"$branches"} ${ignored:+"--ignore-errors=$ignored"} || return 0
	done
}

# A page for each file, a column for each test: of all that is reported, and of the change alone.
make_html()
{
	for part in coverage changed; do
		[ -s "$run/$part.info" ] || continue
		pages "$part" --branch-coverage || again "$part" || die "$EX_FAIL" "genhtml failed" "$(genhtml_error)" "less $run/genhtml.log"
	done
	say HTML "$run/html/coverage/index.html, $run/html/changed/index.html (the change alone)"
}

# conclude --status PASS|FAIL ARGS: the verdict again, with what became of the change and the whole time; all of the run's
# results say the same. The exit status is that of the verdict.
conclude()
{
	"$runner" --amend "$run" "$@" --started "${STARTED-0}"
}

# cannot_tell CODE: tests that passed are no answer to what was asked.
cannot_tell()
{
	conclude --status FAIL --why "the coverage cannot be told" || true
	exit "$1"
}

# The reports; the exit status is that of mmuml-cov.
report()
{
	status=0
	if [ -n "${MAP-}" ]; then
		"$cov" --map "$run/coverage/map" "$run" > "$run/coverage.txt" || status=$?
		echo map > "$run/coverage/headline"
		[ $status != "$EX_NEVER" ] || status=0
		return $status
	fi
	"$cov" --json "$run/coverage.json" --info "$run/coverage.info" --changed-info "$run/changed.info" \
		--headline "$run/coverage/headline" --map "$run/coverage/map" --base "${BASE-}" "$run" > "$run/coverage.txt" || status=$?
	cat "$run/coverage.txt"
	return $status
}

# keep_map: of a run of all tests, build/map: the map and the sources that it is about. The one before stays until it is there.
keep_map()
{
	[ -z "${T-}" ] || return 0
	new=$(scratch map)
	cp "$run/coverage/map" "$new/" && cp -r "$run/coverage/src" "$new/src"
	rm -rf "$BUILD/map"
	mv "$new" "$BUILD/map"
	say MAP "$(grep -c '^test ' "$BUILD/map/map") tests, $(grep -c '^fn ' "$BUILD/map/map") functions of $(grep -c '^file ' "$BUILD/map/map") files"
}

if [ -n "${WHO-}" ]; then
	# Their names begin with the time.
	run=$(find out/runs -maxdepth 1 -name '*-coverage*' 2>/dev/null | sort | tail -n 1)
	[ -n "$run" ] || die "$EX_USAGE" "no run to ask who reached $WHO" "there is no out/runs/*-coverage" "make coverage"
	say ASK "$run"
	exec "$cov" --who "$WHO" "$run"
fi
if [ -n "${BASE-}" ] && [ ! -d "$BASE/coverage" ]; then
	die "$EX_USAGE" "BASE=$BASE is no run of make coverage" "there is no $BASE/coverage" "ls -d out/runs/*-coverage"
fi
[ -z "${HTML-}" ] || scripts/doctor.sh --want lcov
code=0
note=$(mktemp "${TMPDIR:-/tmp}/mmuml-coverage.XXXXXX")
trap 'rm -f "$note"' EXIT
"$@" --what coverage --coverage --note "$note" || code=$?
run=$(cat "$note")
# Without a run there is no report, and where no test began nothing to report.
if [ -z "$run" ] || [ ! -d "$run/coverage" ]; then
	exit $code
fi
scripts/coverage/gather.sh "$run" "$tree" coverage || cannot_tell $?
told=0
report || told=$?
case $told in
0 | "$EX_NEVER") ;;
*) cannot_tell $told ;;
esac
keep_map
if [ -n "${MAP-}" ]; then
	exit $code
fi
[ -z "${JSON-}" ] || cp "$run/coverage.json" "$JSON"
[ -z "${HTML-}" ] || make_html
say REPORT "$run/coverage.txt $run/coverage.json $run/coverage.info"
add=$(cat "$run/coverage/headline")
if [ $told = 0 ]; then
	conclude --status PASS --add "$add"
else
	conclude --status FAIL --why "the changed code was never executed" --add "$add"
fi
