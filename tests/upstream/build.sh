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
own="mm memfd mincore proc"		# of tools/testing/selftests
hosted="vma memblock radix-tree"	# of tools/testing

is_hosted()
{
	case " $hosted " in
	*" $1 "*) true ;;
	*) false ;;
	esac
}

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
	if [ "$1" = proc ] || is_hosted "$1"; then
		sed -n "s|^$1/\\([^	]*\\)	.*|\\1|p" "$table" | sort -u
	else
		make_in "$1" --eval='mmuml-list: ; @echo $(TEST_GEN_PROGS) $(TEST_GEN_FILES)' mmuml-list 2>/dev/null |
			tr ' ' '\n' | sed 's|.*/||; /\.so$/d; /^$/d' | sort -u
	fi | while read -r p; do
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

# sources DIR: what its programs are made of, below the tree.
sources()
{
	if is_hosted "$1"; then
		echo "tools/testing/$1 tools/testing/shared tools/include tools/lib include lib $tried"
	else
		for f in "$1" kselftest.h kselftest_harness.h lib.mk; do
			echo "tools/testing/selftests/$f"
		done
	fi
}

# edits_of SOURCES...: those of $edits that are among them.
edits_of()
{
	for f in $edits; do
		for source; do
			case $f in "$source" | "$source"/*) echo "$tree/$f" ;; esac
		done
	done
}

# key DIR: a number for all that decides what becomes of it.
# shellcheck disable=SC2046 # words
key()
{
	{
		git -C "$tree" ls-tree HEAD $(sources "$1")
		edits_of $(sources "$1") | xargs -r cksum 2>&1
		cat "$uapi/.sum" "$table" upstream/build.sh list.sh mkcpio.sh
	} | cksum
}

# give: the list of what is known, the guest's own tests and its parts, as they are now.
give()
{
	cmp -s upstream/KNOWN "$out/KNOWN" || { rm -f "$out/KNOWN"; cp upstream/KNOWN "$out/KNOWN"; }
	cp -lf "$guest/base.cpio" "$guest/swap.img" "$guest/ext4.img" "$out/"
	cp -lf "$guest"/cpio/*.cpio "$out/cpio/"
	cp "$guest/tests.list" "$out/tests.list.tmp"
	for dir in $own $hosted kit; do
		[ ! -e "$out/$dir.list" ] || cat "$out/$dir.list" >> "$out/tests.list.tmp"
	done
	cmp -s "$out/tests.list.tmp" "$out/tests.list" || mv "$out/tests.list.tmp" "$out/tests.list"
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

# Of the quick ones those are made that can be; the rest has to be had.
want_packages()
{
	for package in libcap-dev libnuma-dev liburing-dev liburcu-dev; do
		(cd .. && scripts/doctor.sh --want $package)
	done
}

# make_dir DIR: its programs and DIR.list, if they are not as they should be already. DIR.key says for what they were made, and
# DIR.set which of them.
make_dir()
{
	source=tools/testing/selftests/$1
	[ -d "$tree/$source" ] || source=tools/testing/$1
	[ -d "$tree/$source" ] || return 0
	key=$(key "$1")
	if [ "$key" = "$(cat "$out/$1.key" 2>/dev/null)" ]; then
		case $(cat "$out/$1.set" 2>/dev/null) in
		all | "$wanted") return 0 ;;
		esac
	fi
	programs "$1" > "$out/$1.programs"
	: > "$out/$1.list.tmp"
	if [ -s "$out/$1.programs" ]; then
		echo "  MAKE    $source$([ "$wanted" = all ] || echo ", what is quick of it")"
		# Headers are in no makefile's list.
		[ "$key" = "$(cat "$out/$1.key" 2>/dev/null)" ] || rm -rf "${out:?}/obj/$1" "${out:?}/obj/src/tools/testing/$1"
		rm -f "$out/$1.key" "$out/$1.set"
		[ "$wanted" != all ] || want_packages
		make_programs "$1"
	fi
	mv "$out/$1.list.tmp" "$out/$1.list"
	echo "$key" > "$out/$1.key"
	echo "$wanted" > "$out/$1.set"
}

# make_programs DIR: those of DIR.programs, each with its piece of the initramfs and its lines of DIR.list.
make_programs()
{
	if is_hosted "$1"; then
		made=$out/obj/src/tools/testing/$1
		make_hosted "$1" > "$out/$1.log" 2>&1 || true
	else
		made=$out/obj/$1
		make_selftests "$1" > "$out/$1.log" 2>&1 || true
	fi
	while read -r p; do
		name=$(name_of "$1/$p")
		rm -f "$out/bin/mm.$name" "$out/cpio/mm.$name.cpio"
		if [ ! -x "$made/$p" ]; then
			why=$(grep -m1 -E "^$p\.c:.*error:|$1/$p|/$p\]" "$out/$1.log" || true)
			echo "  NOTE    $1/$p does not build: ${why:-see $out/$1.log}"
		else
			strip -o "$out/bin/mm.$name" "$made/$p"
			if is_hosted "$1"; then
				hosted_cpio "$name"
			else
				./mkcpio.sh tests "$out/cpio/mm.$name.cpio" "$out/bin/mm.$name"
			fi
		fi
		list "$1" "$p" "$source/$p.c" >> "$out/$1.list.tmp"
	done < "$out/$1.programs"
}

# make_kit: of the kit, one that has KUnit, which is in the kernel already, run a suite, and one that says why another is not there.
make_kit()
{
	for p in kunit absent; do
		! cmp -s upstream/$p.c "$out/obj/$p.c" || continue
		gcc -std=gnu11 -O2 -Wall -Wextra -static -s -o "$out/bin/mm.$p" upstream/$p.c
		./mkcpio.sh tests "$out/cpio/mm.$p.cpio" "$out/bin/mm.$p"
		cp upstream/$p.c "$out/obj/$p.c"
	done
	sed -n 's/^kunit\///p' "$table" | while IFS='	' read -r suite _ _ attributes; do
		entry "mm.kunit.$suite" kunit "$suite" "$attributes" "KUnit's suite $suite"
	done > "$out/kit.list"
}

mkdir -p "$out/bin" "$out/cpio" "$out/obj"
# Of mm/ the hosted programs try a few files; an edit of the others is none here.
tried=$(git -C "$tree" ls-tree --name-only HEAD mm/ | grep -E '^mm/(vma|memblock)' | tr '\n' ' ')
edits=$(git -C "$tree" diff --name-only HEAD -- tools include lib mm; git -C "$tree" ls-files -o -- tools/testing)
for dir in $own $hosted; do
	make_dir "$dir"
done
make_kit
give
