# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Cases about coverage. Most are of a run that is made here, of two objects and a header that both include. Sourced by check.sh.
# Long, for the cases of one subject share their helpers, and are looked for in one place.

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
	printf '2 0\n3 0\n' > coverage/marks
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
	expect 9 "$COV" --headline head run
	same "$(cat head)" "changed lines executed: 0/1 (0%)" headline
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
	expect 9 "$COV" --base run base
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
	says "counters.1 cannot be read: out of step in the record at byte $(($(object one | wc -c) + $(object two | wc -c)))" \
		"object 7 of 2"
}

# A record that is shorter than it says: what follows is no continuation of it, whether or not the file goes on for as long.
out_of_step()
{
	a_run
	echo '{"tests": [{"name": "t.f.one", "status": "PASS"}, {"name": "t.f.two", "status": "PASS"}]}' > run/results.json
	at=$(($(object one | wc -c) + $(object two | wc -c)))
	{ object one; object two; printf mCOV; u32 2; u32 200; printf 't.f.one\0'; window t.f.two; } > run/coverage/counters.1
	expect 1 "$COV" run
	says "counters.1 cannot be read: out of step in the record at byte $at" "shorter than it says"
	{ object one; object two; printf mCOV; u32 2; u32 8; printf 't.f.one\0xyz'; window t.f.two; } > run/coverage/counters.1
	expect 1 "$COV" run
	says "out of step in the record at byte $((at + 20))" "does not begin as one"
	{ object one; object two; window t.f.one; printf mCOV; u32 3; u32 0; } > run/coverage/counters.1
	expect 1 "$COV" run
	says "a record of type 3"
}

# More objects than a stream once could number; and a window that never came, of a test that ended well.
all_of_the_stream()
{
	a_run
	{ object one; object two; for _ in $(seq 300); do object two; done; window t.f.one; } > run/coverage/counters.1
	expect 0 "$COV" run
	says "changed lines executed: 1/2"
	echo '{"tests": [{"name": "t.f.one", "status": "PASS"}, {"name": "t.f.two", "status": "PASS"}]}' > run/results.json
	{ object two; window t.f.one; } > run/coverage/counters.1
	expect 9 "$COV" --json run/out.json run
	says "PARTIAL: 1 test(s) ended as they should, and their counters are missing: t.f.two" "PARTIAL: no counters of one.o"
	same "$(jq -c .without_counters run/out.json)" '["t.f.two"]' "without counters"
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
	same "$(grep mark "$CHECK/got" | tr '\n' ' ')" "mmuml_mark_3_0 mmuml_mark_3_3 mmuml_mark_3_6 " marks
	# The mark of a continued directive stands after all of it.
	same "$(sed -n 6p "$CHECK/got")" mmuml_mark_3_3 "the line after the condition"
}

# Why a branch is left out: its own condition, or that of the branch that was taken.
reasons_are_right()
{
	a_run
	printf '%s\n' '#ifndef CONFIG_A' 'int a;' '#else' 'int b;' '#endif' '#if defined(CONFIG_C)' 'int c;' '#elif defined(CONFIG_D)' \
		'int d;' '#else' 'int e;' '#endif' '#if LEVELS > 4' 'int f;' '#endif' '#ifndef THEIRS' 'int g;' '#endif' >> run/coverage/src/one.c
	printf '%s\n' '+++ b/one.c' '@@ -18,0 +19,18 @@' > run/coverage/changes.diff
	printf '2 19\n2 24\n' >> run/coverage/marks
	expect 0 "$COV" run
	says "one.c:22: not compiled in this configuration (CONFIG_A)" "one.c:27: not compiled in this configuration (CONFIG_C is set)" \
		"one.c:29: not compiled in this configuration (CONFIG_C is set)" "one.c:32: not compiled in this configuration (LEVELS > 4)" \
		"one.c:35: not compiled in this configuration (THEIRS is defined)"
	says_not one.c:20 one.c:25
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

# a_tree: a tree of two objects and a header as kbuild leaves them, compiled through a wrapper; $CHECK/cov/run has a change of all.
a_tree()
{
	rm -rf "$CHECK/cov"
	mkdir -p "$CHECK/cov/run/coverage" "$CHECK/cov/tree/mm" "$CHECK/cov/tree/build-x/mm" "$CHECK/cov/tree/include"
	cd "$CHECK/cov/tree" || return
	printf '#ifdef CONFIG_ON\n/* on */\n#else\nint off;\n#endif\n' > include/far.h
	printf '#ifndef CONFIG_ON\nint near_off;\n#else\nint near(void);\n#endif\n#ifdef FOR_B\nint for_b;\n#endif\n' > mm/near.h
	printf '#include "near.h"\nint near(void);\n' > mm/nearer.h
	printf '#include <far.h>\n#include "nearer.h"\nint a(void)\n{\n#ifdef CONFIG_ON\n\t/* on */\n#else\n\tx;\n#endif\n\treturn 0;\n}\n' > mm/a.c
	printf '#define FOR_B\n#include "near.h"\nint b(void)\n{\n\treturn 0;\n}\n' > mm/b.c
	# shellcheck disable=SC2016 # make's
	printf 'obj-$(CONFIG_A) += a.o\nobj-$(CONFIG_GONE) \\\n\t+= b.o gone.o\n' > mm/Makefile
	printf '#!/bin/sh\nexec "$@"\n' > cc.sh
	chmod +x cc.sh
	for o in a b; do
		(cd build-x || exit
		 ../cc.sh gcc -Wp,-MMD,mm/.$o.o.d -I../include -D'CONFIG_ON' "-DNAME=\"a b\"" -O2 --coverage -c -o mm/$o.o ../mm/$o.c
		 printf 'savedcmd_mm/%s.o := ../cc.sh gcc -Wp,-MMD,mm/.%s.o.d -I../include -D'"'CONFIG_ON' '-DNAME=\"a b\"'"' -O2 --coverage -c -o mm/%s.o ../mm/%s.c\n\nsource_mm/%s.o := ../mm/%s.c\n\ndeps_mm/%s.o := \\\n' $o $o $o $o $o $o $o
		 tr -s ' \\\n' '\n' < mm/.$o.o.d | sed -n 's|^\(\.\./.*\.h\)|  \1 \\|p') > build-x/mm/.$o.o.cmd
	done
	cd ..
	echo 'mm/a.c' > list
	for f in include/far.h mm/a.c mm/near.h; do
		printf -- '--- a/%s\n+++ b/%s\n@@ -0,0 +1,%d @@\n' $f $f "$(wc -l < tree/$f)"
		sed 's/^/+/' tree/$f
	done > run/coverage/changes.diff
}

marks_of()
{
	sed -n "s/^$1 //p" run/coverage/marks | tr '\n' ' '
}

# A header that a file beside it includes; a group that only the last of some objects compiles; notes of unoptimised code.
gathers()
{
	a_tree
	expect 0 "$COV" gather run tree x list
	same "$(cat run/coverage/files)" "$(printf 'interest mm/a.c\ntouched include/far.h\ntouched mm/a.c\ntouched mm/near.h')" files
	same "$(marks_of 1)" "0 5 " "marks of a.c"
	same "$(marks_of 2)" "0 1 " "marks of far.h"
	same "$(marks_of 3)" "0 3 6 " "marks of near.h"
	same "$(cd run/coverage && find gcno src whole -type f | sort | tr '\n' ' ')" \
		"gcno/mm/a.gcno gcno/mm/b.gcno src/include/far.h src/mm/a.c src/mm/near.h whole/mm/a.gcno " copies
	same "$(cat run/coverage/excluded)" "" excluded
	same "$(find run -name '*scratch*')" "" "left behind"
	# What no object is made of, and what none reads, is no error.
	printf -- '+++ b/mm/gone.c\n@@ -0,0 +1 @@\n+x\n+++ b/mm/none.h\n@@ -0,0 +1 @@\n+x\n' >> run/coverage/changes.diff
	echo x | tee tree/mm/gone.c > tree/mm/none.h
	expect 0 "$COV" gather run tree x list
	same "$(cat run/coverage/excluded)" "$(printf 'mm/gone.c CONFIG_GONE\nmm/none.h no object of this build includes it')" excluded
}

edited_meanwhile()
{
	a_tree
	touch -d '1 hour ago' tree/build-x/vmlinux
	expect 7 "$COV" gather run tree x list
	says "is not what the tests executed" "it was edited after the kernel was built"
	touch tree/build-x/vmlinux
	expect 0 "$COV" gather run tree x list
}

no_marks_no_report()
{
	a_tree
	sed -i 's/ -O2/ -include gone.h -O2/' tree/build-x/mm/.a.o.cmd
	expect 7 "$COV" gather run tree x list
	says "no marks of mm/a.c" "because:" "gone.h: No such file or directory"
	a_tree
	rm tree/build-x/mm/.a.o.cmd
	expect 7 "$COV" gather run tree x list
	says "no marks of mm/a.c" "mm/.a.o.cmd: No such file or directory"
	a_tree
	# shellcheck disable=SC2016 # a shell's
	sed -i 's/:= .*gcc/:= $(gone) gcc/' tree/build-x/mm/.a.o.cmd
	expect 7 "$COV" gather run tree x list
	says "no marks of mm/a.c" "none that can be run again"
	a_tree
	sed -i 's/:= .*gcc/:= gone-gcc/' tree/build-x/mm/.a.o.cmd
	expect 7 "$COV" gather run tree x list
	says "no marks of mm/a.c" "gone-gcc: No such file or directory"
	# Nor do the reports take half of it.
	a_run
	printf '2 0\n' > run/coverage/marks
	expect 7 "$COV" run
	says "which lines of twice.h are compiled is not known"
}

kbuild_records()
{
	gcc -std=gnu11 -g -Wall -Wextra -Werror -D_GNU_SOURCE -fsanitize=address,undefined -o "$CHECK/unit-kbuild" \
		tests/kit/unit-kbuild.c scripts/lib/*.c
	cd "$CHECK" || return
	expect 0 ./unit-kbuild
	says ", 0 failed"
}

# Every kind of line, of a .c file and of a header, in a kernel that kbuild made of them.
states_edit()
{
	cat > "$CHECK/states.h" <<-'EOS'
	/* kit: comment of the header */
	#ifdef CONFIG_KSM
	/* kit: comment, on */
	int kit_declared(int n); /* kit: declaration, on */
	static inline int kit_slot(int n)
	{
	return n + 1; /* kit: code, on */
	}
	#else
	static inline int kit_slot(int n)
	{
	return n - 1; /* kit: code, else */
	}
	#endif
	EOS
	cat > "$CHECK/states.c" <<-'EOS'
	#define kit_sum(a, b) \
	((a) + /* kit: macro */ \
	(b))
	#ifdef CONFIG_KSM
	extern int kit_elsewhere; /* kit: declaration, on */
	#endif
	static int kit_count; /* kit: declaration */
	static noinline __attribute__((__noipa__)) int kit_enter(int n)
	{
	#ifdef CONFIG_KSM
	int kit_local;
	/* kit: comment, on */
	kit_local = kit_sum(n, /* kit: call, on */
	READ_ONCE(kit_count));
	WRITE_ONCE(kit_count, kit_local); /* kit: code, on */
	#else
	kit_count = n - 1; /* kit: code, else */
	#endif
	#ifdef CONFIG_HUGETLB_PAGE
	/* kit: comment, off */
	kit_count++; /* kit: code, off */
	#endif
	if (READ_ONCE(kit_count) < 0)
	WRITE_ONCE(kit_count, 2); /* kit: code, never */
	return READ_ONCE(kit_count);
	}
	EOS
	# A small header that one instrumented object includes, and the function that its tests enter.
	awk -v add="$CHECK/states.h" '/^struct mm_slot \{/ { while ((getline l < add) > 0) print l } { print }' \
		"$tree/mm/mm_slot.h" > "$CHECK/edited.h"
	awk -v add="$CHECK/states.c" '/^int __ksm_enter\(/ { while ((getline l < add) > 0) print l; inside = 1 }
		inside && /needs_wakeup = / { print "kit_enter(kit_slot(READ_ONCE(kit_count)));"; inside = 0 } { print }' \
		"$tree/mm/ksm.c" > "$CHECK/edited.c"
	cp -p "$tree/mm/mm_slot.h" "$tree/mm/ksm.c" "$CHECK/"
	trap 'cp -p "$CHECK/mm_slot.h" "$CHECK/ksm.c" "$tree/mm/"' EXIT
	cp "$CHECK/edited.h" "$tree/mm/mm_slot.h"
	cp "$CHECK/edited.c" "$tree/mm/ksm.c"
}

# state FILE MARK: what the report says of the line that "kit: MARK" stands in.
line_state()
{
	nr=$(grep -n "kit: $2 \*/" "$tree/$1" | cut -d: -f1)
	jq -r --arg f "$1" --argjson n "$nr" '.files[] | select(.path == $f) | .line[] | select(.line == $n) | .state' "$CHECK/states.json"
}

line_states()
{
	tree=build/trees/default
	off="not compiled in this configuration"
	states_edit
	expect 0 make coverage T='migrate.ksm.moved' JSON="$CHECK/states.json"
	says "mm/mm_slot.h  " "(CONFIG_KSM is set)" "(CONFIG_HUGETLB_PAGE)"
	same "$(line_state mm/mm_slot.h 'comment of the header')" "no code" "comment"
	same "$(line_state mm/mm_slot.h 'comment, on')" "no code" "header: comment, on"
	same "$(line_state mm/mm_slot.h 'declaration, on')" "no code" "header: declaration, on"
	same "$(line_state mm/mm_slot.h 'code, on')" executed "header: code, on"
	same "$(line_state mm/mm_slot.h 'code, else')" "$off" "header: code, else"
	for what in macro declaration 'declaration, on' 'comment, on'; do
		same "$(line_state mm/ksm.c "$what")" "no code" "$what"
	done
	same "$(line_state mm/ksm.c 'call, on')" executed "call of a macro"
	same "$(line_state mm/ksm.c 'code, on')" executed "code, on"
	same "$(line_state mm/ksm.c 'code, never')" "not executed" "code, never"
	for what in 'code, else' 'comment, off' 'code, off'; do
		same "$(line_state mm/ksm.c "$what")" "$off" "$what"
	done
}

exact_objects()
{
	tree=build/trees/default
	same "$(cd $tree/build-coverage && find . -path ./.whole -prune -o -name '*.gcno' -print | sed 's|^\./||; s|gcno$|c|' | sort)" \
		"$(scripts/coverage/objects.sh $tree)" "instrumented objects"
}

# Tools get the compiler, and the objects keep their counters: kbuild looks at them once more for compile_commands.json.
compile_commands()
{
	out=build/trees/default/build-coverage
	rm -f $out/compile_commands.json $out/.build.key
	expect 0 make kernel PROFILE=coverage
	grep -q -e -ftest-coverage $out/mm/.rmap.o.cmd || { echo "mm/rmap.o was compiled again without counters"; return 1; }
	same "$(jq -r '.[] | select(.file | endswith("/mm/rmap.c")) | .command | split(" ")[0]' $out/compile_commands.json)" \
		gcc "compiler of mm/rmap.c"
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
	# Of the sources as they are now: other cases have touched them.
	make kernel PROFILE=coverage
	expect 8 run_guest --kernel "$TOP/build/trees/default/build-coverage/vmlinux" --coverage --what coverage \
		--tests 'mremap.shrink.middle,kit.crash.panic'
	run=$CHECK/run/out/latest/
	expect 0 scripts/coverage/gather.sh "$run" build/trees/default coverage
	expect 9 "$COV" "$run"
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
	says "ASK     out/runs/$(basename "$run")" "by 2 of 2 tests" mremap.shrink.middle mremap.move.arrives-page
	# A shrinking mremap() alone executes nothing of the default stack: that is its verdict.
	expect 2 make coverage BASE="$run" T=mremap.shrink.middle
	says "no longer covered:" "(the changed code was never executed)" "Error 1"
}

# genhtml of lcov 2 ends at what it finds odd, and says which option goes on; of one that goes on nowhere the last error is shown.
genhtml_of_lcov_2()
{
	scripts/doctor.sh --want lcov
	# shellcheck disable=SC2016 # for the stub
	stub "$CHECK/bin/genhtml" 'case " $* " in *" --ignore-errors=range "*) exit 0 ;; esac' \
		'echo "genhtml: ERROR: (range) unknown line 99 in mm/x.c" >&2' \
		'echo "	(use \"genhtml --ignore-errors range ...\" to bypass this error)" >&2' 'exit 1'
	expect 0 env PATH="$CHECK/bin:$PATH" make coverage T=mremap.move.arrives-page HTML=1
	says "NOTE    genhtml goes on over: " "ERROR: (range) unknown line 99" "HTML    out/runs/"
	# Of 2.5: one complaint behind the other, and the last of them goes with the branches alone.
	# shellcheck disable=SC2016 # for the stub
	stub "$CHECK/bin/genhtml" 'case " $* " in' '*" --branch-coverage "*"=corrupt "*) echo "genhtml: ERROR: empty worklist" >&2; exit 1 ;;' \
		'*" --branch-coverage "*) class=corrupt ;;' '*"=corrupt,inconsistent "*) exit 0 ;;' '*) class=inconsistent ;; esac' \
		'echo "genhtml: ERROR: odd" >&2' 'echo "	(use \"genhtml --ignore-errors $class,$class ...\" to bypass this error)" >&2' 'exit 1'
	expect 0 env PATH="$CHECK/bin:$PATH" make coverage T=mremap.move.arrives-page HTML=1
	says "NOTE    without branches: genhtml: ERROR: empty worklist" "HTML    out/runs/"
	stub "$CHECK/bin/genhtml" 'echo "genhtml: ERROR: no such thing" >&2' 'exit 1'
	expect 2 env PATH="$CHECK/bin:$PATH" make coverage T=mremap.move.arrives-page HTML=1
	says "genhtml failed" "because: genhtml: ERROR: no such thing" "genhtml.log"
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

# A verdict for all that read one: the last line, the file, and what automation reads.
never_executed()
{
	expect 2 make coverage T=kit.plain.pass
	says "changed lines executed: 0/" "THE CHANGED CODE WAS NEVER EXECUTED" "mmuml: FAIL (the changed code was never executed)" "Error 1"
	run=$(realpath out/latest)
	in_file "(the changed code was never executed)" "$run/verdict"
	same "$(jq .exit "$run/results.json")" 1 "exit of results.json"
}

# Between the run and its report somebody else's run becomes the latest.
reports_its_own_run()
{
	rm -rf out/runs/not-ours
	mkdir -p out/runs/not-ours/coverage
	# shellcheck disable=SC2016 # the script's own
	printf '#!/bin/sh\ncode=0\nbuild/host/mmuml-run "$@" || code=$?\nln -sfn runs/not-ours out/latest\nexit $code\n' > "$CHECK/wrap"
	chmod +x "$CHECK/wrap"
	tree=build/trees/default
	expect 0 scripts/coverage/coverage.sh $tree "$CHECK/wrap" --kernel $tree/build-coverage/vmlinux --guest $tree/build-guest \
		--tree $tree --profile coverage --tests mremap.move.arrives-page
	rm -rf out/runs/not-ours
	says "mm/mremap.c  " "changed lines executed: "
	says_not not-ours
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
	t -host coverage.changed reports_changed_lines
	t -host coverage.who says_who
	t -host coverage.idle idle_is_taken_off
	t -host coverage.base compares_runs
	t -host coverage.stamp other_compilation
	t -host coverage.gcov other_gcov
	t -host coverage.no_counters no_counters
	t -host coverage.bad_counts bad_counts
	t -host coverage.partial partial
	t -host coverage.out_of_step out_of_step
	t -host coverage.stream all_of_the_stream
	t -host coverage.list list_is_held_true
	t -host coverage.marks marks_tell_groups
	t -host coverage.reasons reasons_are_right
	t -host coverage.constant constant_condition
	t -host coverage.kbuild kbuild_records
	t -host coverage.gather gathers
	t -host coverage.edited edited_meanwhile
	t -host coverage.no_marks no_marks_no_report
	t -x coverage coverage.exact exact_objects
	t -x tree coverage.compile_commands compile_commands
	t -x tree coverage.not_compiled not_compiled
	t -x coverage coverage.crash guest_crashes
	t -x tree -x out coverage.states line_states
	t coverage.no_kernel no_kernel_counters
	t -x out -x coverage coverage.run a_real_run
	t -x out -x coverage coverage.lcov_2 genhtml_of_lcov_2
	t -host coverage.lcov needs_lcov
	t -x out -x coverage coverage.never never_executed
	t -x out -x coverage coverage.own_run reports_its_own_run
	t -x out -x coverage coverage.usage coverage_usage
	t -x out -x coverage -full coverage.unreached unreached_is_true
}
