#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What works on which supported kernel, tried: each verb once, and the suite.
# usage: scripts/kernels.sh [KERNEL...]      print the tables (Markdown); all kernels without an argument; VERBS="run gdb": only these
#        scripts/kernels.sh --readme         put them into uml-config/README.md
#        TRY="gdb" scripts/kernels.sh ...    only these are tried, of the others it is what they came to when they last were
# What is not built yet is built: from nothing this takes an hour. Output of the verbs: build/kernels/KERNEL.VERB
set -eu
. scripts/lib/kit.sh
. scripts/lib/kernels.sh

VERBS=${VERBS:-run gdb rmap-graph interleave shell compare coverage memcheck profile debug selftests}
LOGS=$BUILD/kernels

# tried KERNEL VERB: that verb, as briefly as it shows that it works.
tried()
{
	# shellcheck disable=SC2016 # the guest's shell expands it
	case $2 in
	run) make run KERNEL="$1" ;;
	debug) make run PROFILE=debug KERNEL="$1" ;;
	selftests) make selftests KERNEL="$1" ;;
	coverage) make coverage KERNEL="$1" T='mremap.move.*' ;;
	gdb) make gdb KERNEL="$1" T=mremap.move.arrives-page B=move_page_tables CMD='bt 1' CMD=mm-vmas CMD='mm-pgwalk 0x10000000' CMD=mm-locks ;;
	rmap-graph) make rmap-graph KERNEL="$1" T=rmap.anon_vma.growth-one_child ;;
	interleave) make interleave KERNEL="$1" SCRIPT=migrate-exit ;;
	shell) echo 'echo it was $((40 + 2)); exit' | make shell KERNEL="$1" ;;
	compare) make compare KERNEL="$1" S=mremap-fix-charge T=errors.mremap.charge_of_middle ;;
	memcheck) make memcheck KERNEL="$1" T=mremap.move.arrives-page ;;
	profile) make profile KERNEL="$1" T=mremap.move.arrives-page ;;
	esac
}

# shown KERNEL VERB: whether the log shows its effect; an exit status alone is that of a pipe at times.
shown()
{
	case $2 in
	gdb) grep -q 'STOP    move_page_tables' "$LOGS/$1.$2" ;;
	shell) grep -q 'it was 42' "$LOGS/$1.$2" ;;
	compare) grep -q 'FIXED    errors.mremap.charge_of_middle' "$LOGS/$1.$2" ;;
	*) true ;;
	esac
}

# cell KERNEL VERB: "works", or why not in the words of the kit, or that it failed.
cell()
{
	code=0
	tried "$1" "$2" > "$LOGS/$1.$2" 2>&1 || code=$?
	why=$(sed -n 's/^  because: //p' "$LOGS/$1.$2" | head -n 1)
	if [ $code = 0 ] && shown "$1" "$2"; then
		echo works
	elif [ -n "$why" ]; then
		echo "no: $why" | sed 's/ of uml-config\/patches is not in it:/:/; s/build\/trees\/[^ ]*\/\.config has/it has/'
	else
		echo "FAILS: $(tail -n 1 "$LOGS/$1.$2")"
	fi
}

# run_of KERNEL VERB: the run directory that the log ends with.
run_of()
{
	sed -n 's/^mmuml: .* -> //p' "$LOGS/$1.$2" | tail -n 1
}

# suite KERNEL VERB: "1007 pass, 1 skip, 0 fail", and how many are known to fail.
suite()
{
	jq -r '.summary | (.fail + .crash + .timeout + .notrun) as $bad |
		"\(.pass) pass, \(.skip) skip, \(if .known then "\(.known) known to fail, " else "" end)\($bad) fail"' \
		"$(run_of "$1" "$2")/results.json" 2>/dev/null || echo "no result"
}

# skips KERNEL: why tests are skipped under fast, "59 MADV_GUARD_INSTALL", commas between.
skips()
{
	jq -r '.tests[] | select(.status == "SKIP") | .reason' "$(run_of "$1" run)/results.json" 2>/dev/null | sed 's/^needs //' | sort | uniq -c |
		sort -rn | sed 's/^ *//' | paste -sd, | sed 's/,/, /g'
}

tables()
{
	mkdir -p "$LOGS"
	for k in $names; do
		for verb in $VERBS; do
			case " ${TRY-$VERBS} " in *" $verb "*) ;; *) continue ;; esac
			say TRY "$verb on $k" >&2
			cell "$k" "$verb" > "$LOGS/$k.$verb.cell"
		done
	done
	printf '| |'
	for k in $names; do
		printf ' %s |' "$(pin "$k" kernel)"
	done
	printf '\n|---|'
	for k in $names; do
		printf -- '---|'
	done
	echo
	for verb in $VERBS; do
		printf '| make %s |' "$(echo "$verb" | sed 's/^debug$/run PROFILE=debug/')"
		for k in $names; do
			printf ' %s |' "$(cat "$LOGS/$k.$verb.cell")"
		done
		echo
	done
	for verb in run debug selftests; do
		printf '| %s |' "$(echo $verb | sed "s/run/suite, fast/; s/debug/suite, debug/; s/selftests/the kernel's own tests, fast/")"
		for k in $names; do
			printf ' %s |' "$(suite "$k" $verb)"
		done
		echo
	done
	printf '| skipped for want of |'
	for k in $names; do
		printf ' %s |' "$(skips "$k")"
	done
	echo
}

readme=
if [ "${1-}" = --readme ]; then
	readme=uml-config/README.md
	shift
fi
names=${*:-$(kernels | sort -V | paste -sd' ')}
unset MAKEFLAGS MFLAGS MAKELEVEL
if [ -z "$readme" ]; then
	tables
	exit 0
fi
tables > "$LOGS.tmp"
awk -v table="$LOGS.tmp" '
	/^<!-- end of table -->$/ { skip = 0 }
	!skip { print }
	/^<!-- table: kernels -->$/ { skip = 1; while ((getline line < table) > 0) print line }' $readme > "$LOGS.readme"
cat "$LOGS.readme" > $readme
