#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Build the tested tree's own tests of mm by its own makefiles, and list them as tests of the kit, mm.PROGRAM.CASE.
# usage: tests/upstream/build.sh TREE GUEST   -> GUEST/upstream, a guest like GUEST with these tests (from tests/)
# The mm and other directories of tools/testing/selftests that are about mm, whole; of proc what tests/upstream/programs names.
# Programs on the harness are asked for their cases; the others say them in TAP when they run.
set -eu

tree=$1 guest=$2
out=$guest/upstream
selftests=$tree/tools/testing/selftests
table=upstream/programs
uapi=$tree/build-headers/usr/include

# make_in DIR WORDS...: the tree's own makefile there, its programs in $out/obj/DIR.
make_in()
{
	dir=$1
	shift
	mkdir -p "$out/obj/$dir"
	MAKEFLAGS='' make -s --no-print-directory -C "$selftests/$dir" ARCH=x86_64 OUTPUT="$out/obj/$dir" \
		KHDR_INCLUDES="-isystem $uapi" LDFLAGS=-static "$@"
}

# programs DIR: what is made there and run.
# shellcheck disable=SC2016 # make expands it
programs()
{
	case $1 in
	proc) sed -n 's|^proc/\([^	]*\)	.*|\1|p' "$table" | sort -u ;;
	*) make_in "$1" --eval='mmuml-list: ; @echo $(TEST_GEN_PROGS) $(TEST_GEN_FILES)' mmuml-list 2>/dev/null |
		tr ' ' '\n' | sed 's|.*/||; /\.so$/d; /^$/d' | sort -u ;;
	esac | while read -r p; do
		[ ! -e "$selftests/$1/$p.c" ] || grep -q "^$1/$p	-	no	" "$table" || echo "$p"
	done
}

# entry NAME PROGRAM WORDS ATTRIBUTES WHERE: a line of tests.list. Each has a kernel of its own: they set what all see.
entry()
{
	attributes="upstream alone"
	[ "$4" = - ] || attributes="$attributes $4"
	words=$3
	[ "$words" != - ] || words=''
	printf '%s\tmm.%s\t!%s\t%s\tof the kernel, %s\n' "$1" "$2" "$words" "$attributes" "$5"
}

# list DIR PROGRAM
list()
{
	if [ ! -e "$out/bin/mm.$2" ]; then
		entry "mm.$2" absent "does not build" - "tools/testing/selftests/$1/$2.c"
		return
	fi
	if grep -q '^TEST_HARNESS_MAIN' "$selftests/$1/$2.c"; then
		UPSTREAM=$1/$2.c ./list.sh "$out/bin/mm.$2"
		return
	fi
	if ! grep -q "^$1/$2	" "$table"; then
		entry "mm.$2" "$2" - - "tools/testing/selftests/$1/$2.c"
		return
	fi
	grep "^$1/$2	" "$table" | while IFS='	' read -r _ suffix words attributes; do
		name=mm.$2
		[ "$suffix" = - ] || name=$name.$suffix
		[ "$words" = no ] || entry "$name" "$2" "$words" "${attributes:--}" "tools/testing/selftests/$1/$2.c"
	done
}

# as_new: nothing that it is made of is younger.
as_new()
{
	[ -e "$out/.made" ] && [ -z "$(cd "$selftests" && find mm memfd mincore proc kselftest.h kselftest_harness.h lib.mk "$uapi/.sum" \
		"$OLDPWD/upstream/build.sh" "$OLDPWD/$table" "$OLDPWD/upstream/kunit.c" "$OLDPWD/upstream/absent.c" "$OLDPWD/list.sh" "$guest/base.cpio" -newer "$out/.made" ! -name 'local_config.*' 2>/dev/null | head -n 1)" ]
}

# give_known: the list as it is now.
give_known()
{
	cmp -s upstream/KNOWN "$out/KNOWN" || { rm -f "$out/KNOWN"; cp upstream/KNOWN "$out/KNOWN"; }
}

if as_new; then
	give_known
	exit 0
fi
for package in libcap-dev libnuma-dev liburing-dev; do
	(cd .. && scripts/doctor.sh --want $package)
done
echo "  MAKE    tools/testing/selftests: mm memfd mincore proc"
# Headers are in no makefile's list.
rm -rf "${out:?}/obj" "${out:?}/bin" "$out/tests.list.tmp"
mkdir -p "$out/bin" "$out/cpio"
: > "$out/failed"
for dir in mm memfd mincore proc; do
	[ -d "$selftests/$dir" ] || continue
	programs $dir > "$out/$dir.programs"
	# shellcheck disable=SC2046 # words
	make_in $dir -k -j"$(nproc)" $(sed "s|^|$out/obj/$dir/|" "$out/$dir.programs") > "$out/$dir.log" 2>&1 || true
	while read -r p; do
		if [ -x "$out/obj/$dir/$p" ]; then
			strip -o "$out/bin/mm.$p" "$out/obj/$dir/$p"
			./mkcpio.sh tests "$out/cpio/mm.$p.cpio" "$out/bin/mm.$p"
		else
			echo "$dir/$p" >> "$out/failed"
			rm -f "$out/cpio/mm.$p.cpio"
		fi
		list "$dir" "$p" >> "$out/tests.list.tmp"
	done < "$out/$dir.programs"
done
# Of the kit: one that has KUnit, which is in the kernel already, run a suite, and one that says why another is not there.
for p in kunit absent; do
	gcc -std=gnu11 -O2 -Wall -Wextra -static -s -o "$out/bin/mm.$p" upstream/$p.c
	./mkcpio.sh tests "$out/cpio/mm.$p.cpio" "$out/bin/mm.$p"
done
sed -n 's/^kunit\///p' "$table" | while IFS='	' read -r suite _ _ attributes; do
	entry "mm.kunit.$suite" kunit "$suite" "$attributes" "KUnit's suite $suite"
done >> "$out/tests.list.tmp"
while read -r p; do
	why=$(grep -m1 -E "^${p##*/}\.c:.*error:|$p|/${p##*/}\]" "$out/${p%%/*}.log" || true)
	echo "  NOTE    $p does not build: ${why:-see $out/${p%%/*}.log}"
done < "$out/failed"
for part in base.cpio swap.img ext4.img; do
	ln -f "$guest/$part" "$out/$part"
done
give_known
mv "$out/tests.list.tmp" "$out/tests.list"
touch "$out/.made"
