#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Build the tested tree's own tests of mm by its own makefiles, and list them as tests of the kit, mm.PROGRAM.CASE.
# usage: tests/upstream/build.sh TREE GUEST [quick]   (from tests/)
#        -> GUEST/upstream, a guest like GUEST with these tests beside its own; quick: those that make run has too
# The mm and other directories of tools/testing/selftests that are about mm, whole; of proc, and of the directories of tools/testing
# that try mm's own files as a program of the host, what tests/upstream/programs names.
# Programs on the harness are asked for their cases; the others say them in TAP when they run.
set -eu

tree=$1 guest=$2 wanted=${3-all}
out=$guest/upstream
selftests=$tree/tools/testing/selftests
table=upstream/programs
uapi=$tree/build-headers/usr/include
sources="mm memfd mincore proc kselftest.h kselftest_harness.h lib.mk"
hosted="vma memblock radix-tree"	# of tools/testing
shared="mm lib include tools/include tools/lib tools/testing/shared"

# make_in DIR WORDS...: the tree's own makefile there, its programs in $out/obj/DIR.
make_in()
{
	dir=$1
	shift
	mkdir -p "$out/obj/$dir"
	MAKEFLAGS='' make -s --no-print-directory -C "$selftests/$dir" ARCH=x86_64 OUTPUT="$out/obj/$dir" \
		KHDR_INCLUDES="-isystem $uapi" LDFLAGS=-static "$@"
}

# row FIELD DIR/PROGRAM: of the table, where it has one line for the program and no name behind it.
row()
{
	sed -n "s|^$2	-	\([^	]*\)	\([^	]*\)\$|\\$1|p" "$table"
}

# is_wanted DIR/PROGRAM
is_wanted()
{
	[ "$wanted" = all ] || grep -q "^$1	.*	.*[	 ]quick\b" "$table"
}

# programs DIR: what is made there and run.
# shellcheck disable=SC2016 # make expands it
programs()
{
	case $1 in
	proc | vma | memblock | radix-tree) sed -n "s|^$1/\([^	]*\)	.*|\1|p" "$table" | sort -u ;;
	*) make_in "$1" --eval='mmuml-list: ; @echo $(TEST_GEN_PROGS) $(TEST_GEN_FILES)' mmuml-list 2>/dev/null |
		tr ' ' '\n' | sed 's|.*/||; /\.so$/d; /^$/d' | sort -u ;;
	esac | while read -r p; do
		if [ "$(row 1 "$1/$p")" = no ] || ! is_wanted "$1/$p"; then
			continue
		fi
		[ ! -e "$selftests/$1/$p.c" ] && [ ! -d "$tree/tools/testing/$1" ] || echo "$p"
	done
}

# Its name among the tests.
name_of()
{
	case $1 in
	vma/vma | memblock/main | radix-tree/main) echo "${1%/*}" ;;
	radix-tree/*) echo "radix-tree.${1#*/}" ;;
	*) echo "${1#*/}" ;;
	esac
}

# entry NAME PROGRAM WORDS ATTRIBUTES WHERE: a line of tests.list. Each has a kernel of its own, for they set what all see, but the
# quick ones, which are chosen for that too.
entry()
{
	case " $4 " in
	*" quick "*) attributes="upstream" ;;
	*) attributes="upstream alone" ;;
	esac
	[ "$4" = - ] || attributes="$attributes $4"
	words=$3
	[ "$words" != - ] || words=''
	printf '%s\tmm.%s\t!%s\t%s\tof the kernel, %s\n' "$1" "$2" "$words" "$attributes" "$5"
}

# list DIR PROGRAM SOURCE
list()
{
	name=$(name_of "$1/$2")
	if [ ! -e "$out/bin/mm.$name" ]; then
		[ "$wanted" = all ] || return 0
		entry "mm.$name" absent "does not build" - "$3"
		return
	fi
	if grep -qs '^TEST_HARNESS_MAIN' "$tree/$3"; then
		attributes=$(row 2 "$1/$2")
		UPSTREAM=${3#tools/testing/selftests/} ATTRIBUTES=${attributes#-} ./list.sh "$out/bin/mm.$name"
		return
	fi
	if ! grep -q "^$1/$2	" "$table"; then
		entry "mm.$name" "$name" - - "$3"
		return
	fi
	grep "^$1/$2	" "$table" | while IFS='	' read -r _ suffix words attributes; do
		test=mm.$name
		[ "$suffix" = - ] || test=$test.$suffix
		[ "$words" = no ] || entry "$test" "$name" "$words" "${attributes:--}" "$3"
	done
}

# key: what it is made of.
key()
{
	# shellcheck disable=SC2086 # words
	(
		for f in $sources; do
			git -C "$tree" rev-parse -q --verify "HEAD:tools/testing/selftests/$f" || true
		done
		for f in $hosted; do
			git -C "$tree" rev-parse -q --verify "HEAD:tools/testing/$f" || true
		done
		for f in $shared; do
			git -C "$tree" rev-parse -q --verify "HEAD:$f" || true
		done
		# Edited where they are.
		cd "$tree" && git diff HEAD -- tools/testing $shared && git ls-files -o --exclude-standard -- tools/testing
	)
	cat "$uapi/.sum" "$table" upstream/build.sh upstream/*.c list.sh mkcpio.sh
}

# give: the list of what is known, the guest's own tests and its parts, as they are now.
give()
{
	cmp -s upstream/KNOWN "$out/KNOWN" || { rm -f "$out/KNOWN"; cp upstream/KNOWN "$out/KNOWN"; }
	cp -lf "$guest/base.cpio" "$guest/swap.img" "$guest/ext4.img" "$out/"
	cp -lf "$guest"/cpio/*.cpio "$out/cpio/"
	cat "$guest/tests.list" "$out/upstream.list" > "$out/tests.list.tmp"
	cmp -s "$out/tests.list.tmp" "$out/tests.list" || mv "$out/tests.list.tmp" "$out/tests.list"
}

is_hosted()
{
	case " $hosted " in
	*" $1 "*) true ;;
	*) false ;;
	esac
}

# make_selftests DIR: its programs, side by side; what does not build is no reason to stop.
# shellcheck disable=SC2046 # words
make_selftests()
{
	make_in "$1" -k -j"$(nproc)" $(sed "s|^|$out/obj/$1/|" "$out/$1.programs")
}

# make_hosted DIR: the programs of tools/testing/DIR, which are made in their directory, from mm's files above it: in a copy of it, below
# links to the rest. They watch their own memory (ASan), so they come with its libraries; what is left at their end is no fault.
make_hosted()
{
	src=$out/obj/src
	mkdir -p "$src/tools/testing/selftests"
	for f in arch fs include kernel lib mm scripts tools/arch tools/build tools/include tools/lib tools/scripts \
		tools/testing/selftests/kselftest.h; do
		[ ! -e "$tree/$f" ] || ln -sfn "$tree/$f" "$src/$f"
	done
	for f in shared "$1"; do
		[ ! -d "$tree/tools/testing/$f" ] || cp -r "$tree/tools/testing/$f" "$src/tools/testing/"
	done
	echo 'const char *__asan_default_options(void) { return "detect_leaks=0"; }' > "$src/options.c"
	gcc -c -o "$src/options.o" "$src/options.c"
	cc=gcc
	# Takes 16 MB anew for each of its cases: ASan's allocator has the kernel map them each time.
	if [ "$1" = memblock ]; then
		cc=$src/cc
		printf '#!/bin/sh\nexec gcc "$@" -fno-sanitize=address\n' > "$cc"
		chmod +x "$cc"
	fi
	# Not side by side: some of them make their links as they go.
	# shellcheck disable=SC2046 # words
	MAKEFLAGS='' make -k --no-print-directory -C "$src/tools/testing/$1" CC="$cc" LDLIBS="-lpthread -lurcu $src/options.o" \
		$(cat "$out/$1.programs")
}

# hosted_cpio PROGRAM: with what it is linked to.
hosted_cpio()
{
	ldd "$out/bin/mm.$1" | awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^\//) print $i }' > "$out/obj/libraries"
	# shellcheck disable=SC2046 # words
	./mkcpio.sh paths "$out/obj/libraries.cpio" $(cat "$out/obj/libraries")
	./mkcpio.sh tests "$out/obj/program.cpio" "$out/bin/mm.$1"
	cat "$out/obj/program.cpio" "$out/obj/libraries.cpio" > "$out/cpio/mm.$1.cpio"
}

key=$(key | cksum)
if [ "$key" = "$(cat "$out/.key" 2>/dev/null)" ]; then
	case $(cat "$out/.set" 2>/dev/null) in
	all | "$wanted")
		give
		exit 0 ;;
	esac
else
	# Headers are in no makefile's list.
	rm -rf "${out:?}/obj" "${out:?}/bin"
fi
# Of the quick ones those are made that can be.
[ "$wanted" != all ] || for package in libcap-dev libnuma-dev liburing-dev liburcu-dev; do
	(cd .. && scripts/doctor.sh --want $package)
done
echo "  MAKE    tools/testing: selftests/mm memfd mincore proc, $hosted$([ "$wanted" = all ] || echo ", what is quick of them")"
rm -f "$out/.key" "$out/.set"
mkdir -p "$out/bin" "$out/cpio"
: > "$out/failed"
: > "$out/upstream.list.tmp"
for dir in mm memfd mincore proc $hosted; do
	source=tools/testing/selftests/$dir
	[ -d "$tree/$source" ] || source=tools/testing/$dir
	[ -d "$tree/$source" ] || continue
	programs "$dir" > "$out/$dir.programs"
	[ -s "$out/$dir.programs" ] || continue
	if is_hosted "$dir"; then
		made=$out/obj/src/tools/testing/$dir
		make_hosted "$dir" > "$out/$dir.log" 2>&1 || true
	else
		made=$out/obj/$dir
		make_selftests "$dir" > "$out/$dir.log" 2>&1 || true
	fi
	while read -r p; do
		name=$(name_of "$dir/$p")
		rm -f "$out/bin/mm.$name" "$out/cpio/mm.$name.cpio"
		if [ ! -x "$made/$p" ]; then
			echo "$dir/$p" >> "$out/failed"
		else
			strip -o "$out/bin/mm.$name" "$made/$p"
			if is_hosted "$dir"; then
				hosted_cpio "$name"
			else
				./mkcpio.sh tests "$out/cpio/mm.$name.cpio" "$out/bin/mm.$name"
			fi
		fi
		list "$dir" "$p" "$source/$p.c" >> "$out/upstream.list.tmp"
	done < "$out/$dir.programs"
done
# Of the kit: one that has KUnit, which is in the kernel already, run a suite, and one that says why another is not there.
for p in kunit absent; do
	gcc -std=gnu11 -O2 -Wall -Wextra -static -s -o "$out/bin/mm.$p" upstream/$p.c
	./mkcpio.sh tests "$out/cpio/mm.$p.cpio" "$out/bin/mm.$p"
done
[ "$wanted" != all ] || sed -n 's/^kunit\///p' "$table" | while IFS='	' read -r suite _ _ attributes; do
	entry "mm.kunit.$suite" kunit "$suite" "$attributes" "KUnit's suite $suite"
done >> "$out/upstream.list.tmp"
while read -r p; do
	why=$(grep -m1 -E "^${p##*/}\.c:.*error:|$p|/${p##*/}\]" "$out/${p%%/*}.log" || true)
	echo "  NOTE    $p does not build: ${why:-see $out/${p%%/*}.log}"
done < "$out/failed"
mv "$out/upstream.list.tmp" "$out/upstream.list"
give
echo "$key" > "$out/.key"
echo "$wanted" > "$out/.set"
