# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Cases about coverage. Most are of a run that is made here, of two objects and a header that both include. Sourced by check.sh.

COV=$TOP/build/host-asan/mmuml-cov

# u32 N: four bytes, the lowest first.
u32()
{
	# shellcheck disable=SC2059 # the format is the data
	printf "$(printf '\\%03o\\%03o\\%03o\\%03o' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)))"
}

# record TYPE: a record of the stream (tests/init/counters.c), its bytes from standard input.
record()
{
	cat > "$CHECK/record"
	printf mCOV
	u32 "$1"
	u32 "$(stat -c %s "$CHECK/record")"
	cat "$CHECK/record"
}

# window NAME [BYTES]: the window of one test, with the differences that BYTES (for printf) describe.
window()
{
	# shellcheck disable=SC2059
	{ printf '%s\0' "$1"; printf "${2-}"; } | record 2
}

# object NAME: the first reading of its counters.
object()
{
	{ printf '/where/ever/build/%s.gcda\0' "$1"; cat "$CHECK/cov/obj/$1.gcda"; } | record 1
}

# The sources of the run: twice() is in a header, one.c has code for a configuration that this one is not.
sources()
{
	cat > twice.h <<-'EOS'
	static inline __attribute__((always_inline)) int twice(int x)
	{
		return x * 2;
	}
	EOS
	cat > one.c <<-'EOS'
	#include "twice.h"
	int two(int);
	int one(int x)
	{
		if (x > 5)
			return -1;
		return twice(x) + two(x);
	}
	#ifdef CONFIG_ABSENT
	int absent(int x)
	{
		return x;
	}
	#endif
	int main(void)
	{
		return one(3) == 12 ? 0 : 1;
	}
	EOS
	cat > two.c <<-'EOS'
	#include "twice.h"
	int two(int x)
	{
		return twice(x);
	}
	int never(int x)
	{
		return x + 1;
	}
	EOS
}

# a_run: $CHECK/cov/run, a run of the tests t.f.one, which called everything, and t.f.none, which called nothing.
a_run()
{
	rm -rf "$CHECK/cov"
	mkdir -p "$CHECK/cov/obj" "$CHECK/cov/run/coverage/src" "$CHECK/cov/run/coverage/gcno"
	cd "$CHECK/cov/obj" || return
	sources
	gcc -O0 --coverage -c one.c two.c
	gcc --coverage -o prog one.o two.o
	./prog
	cd ../run || return
	cp ../obj/*.c ../obj/*.h coverage/src/
	cp ../obj/*.gcno coverage/gcno/
	printf 'interest two.c\ntouched one.c\ntouched twice.h\n' > coverage/files
	: > coverage/excluded
	printf '2 0\n' > coverage/marks
	printf '%s\n' '+++ b/one.c' '@@ -3,0 +4,3 @@' '@@ -9,0 +10,4 @@' > coverage/changes.diff
	{ object one; object two; window t.f.one; } > coverage/counters.1
	echo '{"tests": [{"name": "t.f.one", "status": "PASS"}]}' > results.json
	cd ..
}

reports_changed_lines()
{
	a_run
	expect 0 "$COV" --json run/out.json --info run/out.info --changed-info run/changed.info run
	says "changed lines executed: 1/2 (50%)" "one.c:6: not executed, in one" "return -1;" \
	     "of 7 changed lines: 1 executed, 1 not executed, 4 not compiled in this configuration, 1 no code" "one.c:10-13: not compiled in this configuration (CONFIG_ABSENT)" \
	     "never entered in two.c" "  never"
	same "$(jq -c .changed run/out.json)" '{"all":2,"hit":1}' changed
	same "$(jq -c .changed_states run/out.json)" \
		'{"executed":1,"not executed":1,"not compiled in this configuration":4,"no code":1}' states
	# The header's code is in both objects: its lines are counted once, with the executions of both.
	same "$(jq -c '.files[] | select(.path == "twice.h") | [.lines.all, ([.line[] | .count] | max)]' run/out.json)" '[1,2]' twice.h
	in_file "TN:t_f_one" run/out.info
	in_file "SF:twice.h" run/out.info
	in_file "BRDA:5," run/changed.info
	! grep -q '^DA:7' run/changed.info || { echo "a line that did not change is in changed.info"; return 1; }
}

says_who()
{
	a_run
	expect 0 "$COV" --who one.c:5 run
	says "executed 1 times by 1 of 1 tests" t.f.one
	expect 0 "$COV" --who one.c:6 run
	says "not executed"
	expect 0 "$COV" --who t.f.one run
	says "no other test reaches" "one.c:5:"
	expect 2 "$COV" --who three.c:5 run
	says "one.c"
	expect 2 "$COV" --who one.c:500 run
	says "one.c has 18 lines"
}

idle_is_taken_off()
{
	a_run
	{ object one; object two; window '(idle)'; window t.f.one; } > run/coverage/counters.1
	printf '%s\n' '+++ b/one.c' '@@ -4,0 +5 @@' > run/coverage/changes.diff
	expect 1 "$COV" run
	says "changed lines executed: 0/1 (0%)" "one.c:5: not executed (only without any test" "THE CHANGED CODE WAS NEVER EXECUTED"
}

compares_runs()
{
	a_run
	cp -r run base
	# The earlier run, two lines shorter, did not execute anything of one.c: all its counters to 0.
	sed -i 1,2d base/coverage/src/one.c
	{ object two; window t.f.one; } > base/coverage/counters.1
	expect 0 "$COV" --base base run
	says "newly covered" "one.c:5:" "0 no longer covered"
	sed -i '1i #include "twice.h"\nint two(int);' base/coverage/src/one.c
	expect 1 "$COV" --base run base
	says "no longer covered" "one.c:5:" "0 line(s) newly covered"
}

other_compilation()
{
	a_run
	printf 'XXXX' | dd of=run/coverage/gcno/one.gcno bs=1 seek=8 conv=notrunc status=none
	expect 7 "$COV" run
	says "the .gcno of one.o is newer than its .gcda" "because:" "try:"
}

other_gcov()
{
	a_run
	printf '#!/bin/sh\necho "gcov (GCC) 99.1.0"\n' > gcov
	chmod +x gcov
	expect 3 env GCOV="$CHECK/cov/gcov" "$COV" run
	says "another gcc" "99.1.0" "try:     make coverage GCOV=gcov-"
	expect 3 env GCOV="$CHECK/cov/absent" "$COV" run
	says "no gcov at"
	printf 'B19*' | dd of=run/coverage/gcno/one.gcno bs=1 seek=4 conv=notrunc status=none
	expect 7 "$COV" run
	says "one.gcno cannot be read" "gcc 12 and later"
}

no_counters()
{
	a_run
	rm run/coverage/counters.1
	expect 1 "$COV" run
	says "no .gcda at all"
	rm -r run/coverage/gcno
	expect 7 "$COV" run
	says "no .gcno in run/coverage/gcno"
}

bad_counts()
{
	a_run
	# Word 16 is the upper half of the first counter.
	{ object one; object two; window t.f.one '\001\001\020\377\377\377\377\017'; } > run/coverage/counters.1
	expect 1 "$COV" run
	says "negative or wrapped count in" "one.o"
	{ object one; object two; window t.f.one '\007\001\014\001'; } > run/coverage/counters.1
	expect 1 "$COV" run
	says "counters.1 cannot be read"
}

# The stream ends within a record, and a test is missing: what is there is reported, and what is not is named.
partial()
{
	a_run
	echo '{"tests": [{"name": "t.f.one", "status": "PASS"}, {"name": "t.f.crash", "status": "CRASH"},
		{"name": "t.f.later", "status": "NOTRUN"}]}' > run/results.json
	window t.f.crash | head -c 15 >> run/coverage/counters.1
	expect 0 "$COV" run
	says "changed lines executed: 1/2" "PARTIAL: 1 test(s)" "t.f.crash"
	says_not t.f.later
}

list_is_held_true()
{
	a_run
	printf '%s\n' '# reviewed' 'one.c one+2-3 never asked for' > list
	expect 1 "$COV" --unreached list run
	says "one.c:5 is reached" "list:2"
	printf '%s\n' 'one.c one+3 never asked for' > list
	expect 0 "$COV" --unreached list run
	says "1 listed, 0 wrong" "one.c: 5 of 6 lines (83%); 1 cannot be reached here, of the others 100%"
	printf '%s\n' 'one.c one+1 its brace' 'one.c one+3 never asked for' > list
	expect 1 "$COV" --unreached list run
	says "list:1: there is no code"
	# What depends on a race may be reached, or not.
	printf '%s\n' 'one.c one+2-3 race: sometimes' > list
	expect 0 "$COV" --unreached list run
	says "one.c: 5 of 6 lines (83%); 0 cannot be reached here, of the others 83%"
	printf '%s\n' 'two.c never+0 half of it' > list
	expect 1 "$COV" --unreached list run
	says "not reached and not listed: two.c never+2"
	printf '%s\n' 'two.c never+0-2' > list
	expect 1 "$COV" --unreached list run
	says "names nothing in this tree"
	printf '%s\n' 'two.c gone+0-2 reason' > list
	expect 1 "$COV" --unreached list run
	says "names nothing in this tree"
}

marks_tell_groups()
{
	mkdir -p "$CHECK/cov"
	cat > "$CHECK/cov/m.c" <<-'EOS'
	/*
	#ifdef NO */
	#if defined(A) && \
	    B
	x
	#else
	y
	#endif
	EOS
	expect 0 "$COV" mark 3 "$CHECK/cov/m.c"
	same "$(grep mark "$CHECK/got" | tr '\n' ' ')" "mmuml_mark_3_3 mmuml_mark_3_6 " marks
	# The mark of a continued directive stands after all of it.
	same "$(sed -n 5p "$CHECK/got")" mmuml_mark_3_3 "the line after the condition"
}

# A branch that the compiler drops has no counters, as a comment has none; it is not compiled all the same.
constant_condition()
{
	a_run
	# Two blanks for a tab, which the shell would take.
	sed 's/  /\t/g' > obj/one.c <<-'EOS'
	int puts(const char *);
	static inline int never_here(void)
	{
	  return 0;
	}
	int main(void)
	{
	  /* nothing */
	  if (never_here()) {
	    int x;

	    x = puts("never");
	    return x;
	  }
	  return puts("here") < 0;
	}
	EOS
	rm obj/one.gcda
	(cd obj && gcc -O2 --coverage -c one.c && gcc --coverage -o prog one.o && ./prog &&
	 mkdir -p ../run/coverage/whole && gcc -O0 -ftest-coverage -S -o ../run/coverage/whole/one.s one.c)
	cp obj/one.c run/coverage/src/
	cp obj/one.gcno run/coverage/gcno/
	printf '%s\n' '+++ b/one.c' '@@ -7,0 +8,10 @@' > run/coverage/changes.diff
	{ object one; window t.f.one; } > run/coverage/counters.1
	expect 0 "$COV" run
	says "one.c:12: not compiled in this configuration (line 9 is always false: if (never_here()) {), in main" \
		"changed lines executed: 1/1 (100%)" "1 not compiled in this configuration, 7 no code"
}

exact_objects()
{
	tree=build/trees/default
	same "$(cd $tree/build-coverage && find . -name '*.gcno' | sed 's|^\./||; s|gcno$|c|' | sort)" \
		"$(scripts/coverage/objects.sh $tree)" "instrumented objects"
}

# An edit of a file that no object is made of: said so, with the option.
not_compiled()
{
	tree=build/trees/default
	run=$CHECK/cov/gathered
	rm -rf "$run"
	mkdir -p "$run"
	echo 'int mmuml_edit;' >> $tree/mm/hugetlb.c
	code=0
	expect 0 scripts/coverage/gather.sh "$run" $tree coverage || code=1
	sed -i '/^int mmuml_edit;$/d' $tree/mm/hugetlb.c
	in_file "mm/hugetlb.c CONFIG_HUGETLB" "$run/coverage/excluded"
	in_file "touched mm/hugetlb.c" "$run/coverage/files"
	return $code
}

guest_crashes()
{
	rm -rf "$CHECK/run/out"
	expect 8 run_guest --kernel "$TOP/build/trees/default/build-coverage/vmlinux" --coverage --what coverage \
		--tests 'mremap.shrink.middle,kit.crash.panic'
	run=$CHECK/run/out/latest/
	expect 0 scripts/coverage/gather.sh "$run" build/trees/default coverage
	expect 1 "$COV" "$run"
	says "PARTIAL: 1 test(s) ended with the guest before their counters were copied: kit.crash.panic"
	expect 0 "$COV" --who mremap.shrink.middle "$run"
	says "mm/mremap.c:"
}

no_kernel_counters()
{
	expect 1 run_guest --coverage --tests kit.plain.pass
	says "the kernel has no counters"
}

# Everything that the verb makes of one run. lcov is its alone to ask for.
a_real_run()
{
	scripts/doctor.sh --want lcov
	expect 0 make coverage T='mremap.shrink.middle,mremap.move.arrives-page' HTML=1 JSON="$CHECK/coverage.json"
	says "changed lines executed: " "mm/mremap.c  " "never entered in mm/mremap.c" "lines that one test alone reaches"
	case $(tail -n 1 "$CHECK/got") in
	"mmuml: PASS 2 of 2"*"changed lines executed: "*" -> out/runs/"*) ;;
	*) echo "the last line is no verdict"; cat "$CHECK/got"; return 1 ;;
	esac
	run=$(realpath out/latest)
	same "$(tail -n 1 "$CHECK/got")" "$(cat "$run/verdict")" verdict
	same "$(jq .tests "$CHECK/coverage.json")" 2 "tests in JSON"
	grep -q '^TN:mremap_shrink_middle$' "$run/coverage.info"
	same "$(sed -n 's/^SF://p' "$run/coverage.info" "$run/changed.info" | grep -v '^[a-z]*/' || true)" "" "paths not below the kernel root"
	in_file mremap_shrink_middle "$run/html/coverage/mm/index-detail.html"
	in_file "move_page_tables" "$run/html/coverage/mm/mremap.c.gcov.html"
	[ -s "$run/html/changed/index.html" ]
	line=$(jq '.files[] | select(.path == "mm/mremap.c") | [.line[] | select(.tests == 2)][0].line' "$CHECK/coverage.json")
	expect 0 make coverage WHO="mm/mremap.c:$line"
	says "by 2 of 2 tests" mremap.shrink.middle mremap.move.arrives-page
	# A shrinking mremap() alone executes nothing of the default stack: that is its verdict.
	expect 2 make coverage BASE="$run" T=mremap.shrink.middle
	says "no longer covered:" "(the changed code was never executed)" "Error 1"
}

# With every program of this machine but genhtml and apt-get.
needs_lcov()
{
	rm -rf "${CHECK:?}/bin"
	mkdir -p "$CHECK/bin"
	ln -s /usr/bin/* "$CHECK/bin/"
	rm -f "$CHECK/bin/genhtml" "$CHECK/bin/apt-get"
	path=$CHECK/bin:/usr/sbin
	expect 3 env PATH="$path" HTML=1 scripts/coverage/coverage.sh build/trees/default echo started
	says "missing: lcov" "try:"
	says_not started
	expect 0 env PATH="$path" BUILD="$CHECK/doctor" scripts/doctor.sh --install
	expect 0 env PATH="$path" BUILD="$CHECK/doctor" scripts/doctor.sh
	says "lcov             -        make coverage HTML=1"
}

never_executed()
{
	expect 2 make coverage T=kit.plain.pass
	says "changed lines executed: 0/" "THE CHANGED CODE WAS NEVER EXECUTED" "mmuml: FAIL (the changed code was never executed)" "Error 1"
}

coverage_usage()
{
	expect 2 make coverage BASE=out/runs/nothing
	says "BASE=out/runs/nothing is no run of make coverage"
	# Not the report of the run before.
	expect 2 make coverage T=no.such.test
	says "no test 'no.such.test'" "Error 2"
	says_not "changed lines"
	expect 2 "$COV"
	says "usage:"
	expect 2 "$COV" "$CHECK"
	says "is no run of make coverage"
}

# The whole suite, and the reviewed list.
unreached_is_true()
{
	make coverage > "$CHECK/got" 2>&1 || { tail -n 40 "$CHECK/got"; return 1; }
	says "changed lines executed:" "mm/mremap.c"
	expect 0 build/host/mmuml-cov --unreached coverage/unreached out/latest/
}

coverage_cases()
{
	t coverage.changed reports_changed_lines
	t coverage.who says_who
	t coverage.idle idle_is_taken_off
	t coverage.base compares_runs
	t coverage.stamp other_compilation
	t coverage.gcov other_gcov
	t coverage.no_counters no_counters
	t coverage.bad_counts bad_counts
	t coverage.partial partial
	t coverage.list list_is_held_true
	t coverage.marks marks_tell_groups
	t coverage.constant constant_condition
	t coverage.exact exact_objects
	t coverage.not_compiled not_compiled
	t coverage.crash guest_crashes
	t coverage.no_kernel no_kernel_counters
	t coverage.run a_real_run
	t coverage.lcov needs_lcov
	t coverage.never never_executed
	t coverage.usage coverage_usage
	t coverage.unreached unreached_is_true
}
