# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Cases about the project's own files. Sourced by check.sh.

shell_scripts_are_clean()
{
	# shellcheck disable=SC2046 # paths without blanks
	shellcheck -x $(git ls-files '*.sh' .ci/run)
}

# The modes are git's: a clone has them.
scripts_can_be_run()
{
	for s in $(grep -oE '(scripts|tests)/[a-z/]+\.sh' Makefile | sort -u) .ci/run; do
		git ls-files -s "$s" | grep -q '^100755' || { echo "$s is called and cannot be executed"; return 1; }
	done
}

host_programs_compile_without_warnings()
{
	rm -rf "$CHECK/warn"
	expect 0 make -s -C scripts OUT="$CHECK/warn" WERROR=1 CC="gcc -Wshadow -Wstrict-prototypes -Wold-style-definition"
	says_not warning
}

parsers_hold()
{
	gcc -std=gnu11 -g -Wall -Wextra -Werror -D_GNU_SOURCE -fsanitize=address,undefined -o "$CHECK/unit-run" \
	    tests/kit/unit-run.c scripts/runner/ktap.c scripts/runner/memcheck.c scripts/runner/record.c scripts/lib/*.c -lelf -lexpat
	gcc -std=gnu11 -g -Wall -Wextra -Werror -D_GNU_SOURCE -fsanitize=address,undefined -o "$CHECK/unit-compare" \
	    tests/kit/unit-compare.c scripts/compare/expect.c scripts/compare/load.c scripts/compare/log.c scripts/compare/table.c \
	    scripts/runner/detect.c scripts/runner/rundir.c scripts/lib/*.c -ljansson -lelf -lm
	gcc -std=gnu11 -g -Wall -Wextra -Werror -D_GNU_SOURCE -fsanitize=address,undefined -o "$CHECK/unit-detect" \
	    tests/kit/unit-detect.c scripts/runner/detect.c scripts/lib/*.c -lelf
	gcc -std=gnu11 -g -Wall -Wextra -Werror -D_GNU_SOURCE -fsanitize=address,undefined -o "$CHECK/unit-trace" \
	    tests/kit/unit-trace.c scripts/runner/trace.c scripts/lib/*.c -lelf
	gcc -std=gnu11 -g -Wall -Wextra -Wno-unused-parameter -Werror -D_GNU_SOURCE -fsanitize=address,undefined \
	    -Iscripts/lib -o "$CHECK/unit-init" tests/kit/unit-init.c
	cd "$CHECK" || return
	expect 0 ./unit-init
	says ", 0 failed"
	expect 0 ./unit-detect
	says ", 0 failed"
	expect 0 ./unit-trace
	says ", 0 failed"
	expect 0 ./unit-run
	says ", 0 failed"
	expect 0 ./unit-compare
	says ", 0 failed"
}

no_mirror_is_named()
{
	# The mirror is the one that the machine uses: no host of one may stand in any file.
	pattern='(deb|ftp|security|snapshot|mirrors?)\.[a-z0-9.-]*(debian|ubuntu|kernel)\.(org|net|com)'
	! git grep -nE "$pattern" -- . ':!tests/kit/hygiene.sh'
}

every_directory_says_what_belongs_there()
{
	for d in uml-config mm-changes tests coverage scripts; do
		[ -s "$d/README.md" ] || { echo "no $d/README.md"; return 1; }
	done
}

every_test_has_a_purpose()
{
	[ "$(cut -f5 "$GUEST/tests.list" | grep -c '^.')" = "$(wc -l < "$GUEST/tests.list")" ]
	awk -F'\t' '$1 !~ /^[a-z0-9_]+\.[a-z0-9_]+\.[A-Za-z0-9_-]+$/ { print "odd name " $1; bad = 1 } END { exit bad }' \
		"$GUEST/tests.list"
	n=$(grep -cv '^kit\.' "$GUEST/tests.list")
	[ "$n" -ge 80 ] || { echo "only $n in-guest tests"; return 1; }
}

# A copy of a program with other attributes: what list.sh says of them.
attributes_are_checked()
{
	tree=build/trees/default
	mkdir -p "$CHECK/attr/bin" "$CHECK/attr/obj"
	cp "$GUEST/bin/kit.plain" "$CHECK/attr/bin/"
	while read -r code words; do
		sed "s/^TEST_HARNESS_MAIN/MM_TEST_IS(pass, \"$words\");\n&/" tests/kit/guest/plain.c > "$CHECK/attr/plain.c"
		gcc -std=gnu11 -D_GNU_SOURCE -Itests/lib -I$tree/tools/testing/selftests -isystem $tree/build-headers/usr/include \
			-c -o "$CHECK/attr/obj/kit.plain.o" "$CHECK/attr/plain.c"
		(cd tests && expect "$code" ./list.sh "$CHECK/attr/bin/kit.plain")
		case $code in
		0)	says "kit.plain.pass	kit.plain	global.pass	$words	a test that passes" \
				"kit.plain.fail	kit.plain	global.fail	-	" ;;
		*)	says "tests/kit/guest/plain.c" "MM_TEST_IS(pass, ...)" ;;
		esac
	done <<-END
	0 alone limit=60 cpus=2
	1 alnoe
	1 limit=0
	1 limit
	1 alone cpus=two
	END
	sed 's/^TEST_HARNESS_MAIN/MM_TEST_IS(nosuch, "alone");\n&/' tests/kit/guest/plain.c > "$CHECK/attr/plain.c"
	expect 1 gcc -std=gnu11 -D_GNU_SOURCE -Itests/lib -I$tree/tools/testing/selftests \
		-isystem $tree/build-headers/usr/include -fsyntax-only "$CHECK/attr/plain.c"
	says "plain.c:" nosuch
}

# Through standard input: checkpatch takes a patch that git tracks for a source file. The tree has no history of Linux in
# which a commit could be looked up; continuation lines in mm/ are indented by two tabs.
patches_are_clean()
{
	bad=0
	for p in uml-config/patches/*.patch mm-changes/*/*.patch tests/mistakes/*.patch; do
		build/trees/default/scripts/checkpatch.pl --no-tree --no-summary --terse --strict \
			--ignore FILE_PATH_CHANGES,UNKNOWN_COMMIT_ID,PARENTHESIS_ALIGNMENT - < "$p" || { echo "$p"; bad=1; }
	done
	return $bad
}

# Each patch is named by its series, and each named patch is there.
series_are_whole()
{
	for s in uml-config/patches/series mm-changes/*/series; do
		d=$(dirname "$s")
		same "$(sed 's/#.*//; s/[[:space:]].*//; /^$/d' "$s" | sort)" "$(find "$d" -name "*.patch" -printf "%f\n" | sort)" "$s"
	done
}

help_fits()
{
	expect 0 make help
	[ "$(wc -l < "$CHECK/got")" -le 40 ]
	says "make run T=" "S=(mm-changes/series)" "PROFILE=fast"
	expect 0 make help PROFILE=debug S=none
	says "PROFILE=debug" "S=none"
}

list_shows_all()
{
	expect 0 make list
	says mremap.move.arrives-page "the kernel's own detectors" mremap-move-page-tables
	says_not kit.crash
}

# The case files are one program: the second function of a name takes the first one's place.
functions_have_names_of_their_own()
{
	same "$(cat tests/kit/*.sh | grep -oE '^[a-z_0-9]+\(\)' | sort | uniq -d)" "" "functions that stand twice in tests/kit"
}

hygiene_cases()
{
	t -host hygiene.shellcheck shell_scripts_are_clean
	t -host hygiene.names functions_have_names_of_their_own
	t -host hygiene.modes scripts_can_be_run
	t -host hygiene.warnings host_programs_compile_without_warnings
	t -host hygiene.parsers parsers_hold
	t -host hygiene.no_mirror no_mirror_is_named
	t -host hygiene.readmes every_directory_says_what_belongs_there
	t hygiene.purposes every_test_has_a_purpose
	t hygiene.attributes attributes_are_checked
	t hygiene.checkpatch patches_are_clean
	t -host hygiene.series series_are_whole
	t -host hygiene.help help_fits
	t hygiene.list list_shows_all
}
