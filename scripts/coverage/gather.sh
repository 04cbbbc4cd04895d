#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Put into a run directory what the counters in it mean: notes of the compiler, sources, the change (cover.h has the list).
# usage: scripts/coverage/gather.sh RUN TREE PROFILE
set -eu
. scripts/lib/kit.sh
tree=$2
out=$tree/build-$3
dir=$1/coverage
cov=$BUILD/host/mmuml-cov
tmp=$dir/marked

tgit()
{
	(cd "$tree" && KGIT=$KGIT/worktrees/$(basename "$tree") kgit "$@")
}

# why_not_built PATH.c: the option in its directory's Makefile without which there is no object.
why_not_built()
{
	stem=$(basename "$1" .c)
	option=$(sed -n "s/^obj-\\\$(\\(CONFIG_[A-Z0-9_]*\\)).*[ \t]$stem\\.o.*/\\1/p" "$tree/$(dirname "$1")/Makefile" 2>/dev/null | head -n 1)
	echo "${option:-no object of it in this build}"
}

list_files()
{
	grep -v '^#' coverage/objects | sed 's/^/interest /'
	sed -n 's|^+++ b/\(.*\.[ch]\)$|touched \1|p' "$dir/changes.diff"
}

copy_sources()
{
	while read -r _ f; do
		[ -f "$dir/src/$f" ] || install -D -m 644 "$tree/$f" "$dir/src/$f"
		case $f in
		*.c)	[ -f "$out/${f%.c}.o" ] || echo "$f $(why_not_built "$f")"
			[ ! -f "$out/${f%.c}.o" ] || [ -f "$out/${f%.c}.gcno" ] || [ ! -f "$out/$(dirname "$f")/.$(basename "$f" .c).o.cmd" ] ||
				echo "$f without counters: the tree's makefiles leave it out of gcov" ;;
		esac
	done < "$dir/files" > "$dir/excluded"
	(cd "$out" && find mm fs kernel lib block io_uring arch drivers -name '*.gcno' 2>/dev/null) | while read -r f; do
		install -D -m 644 "$out/$f" "$dir/gcno/$f"
	done
}

# The command that compiled OBJECT, without its output and its source.
compiler()
{
	sed -n 's/^savedcmd_[^ ]* := //p' "$out/$(dirname "$1")/.$(basename "$1").cmd" |
		sed 's/\$\$/$/g; s/\\#/#/g; s|^ccache ||; s| -Wp,-MMD,[^ ]*||; s| -c -o .*||'
}

# The marks of conditional groups (mmuml-cov mark) that the preprocessor lets through when it compiles OBJECT.
preprocess()
{
	src=${1%.o}.c
	top=$TOP/$tmp
	[ ! -f "$tmp/$src" ] || src=$top/$src
	[ "$src" != "${1%.o}.c" ] || src=../$src
	cmd="$(compiler "$1" | sed "s|^\([^ ]*\)|\1 -I$top/include -I$top/arch/um/include -I$top/arch/x86/include -iquote ../$(dirname "$1")|") -E -P $src"
	(cd "$out" && sh -c "$cmd") 2>/dev/null | grep -oE 'mmuml_mark_[0-9]+_[0-9]+' || true
}

# whole_note STEM: the notes of a source compiled without optimisation, kept until its object is newer. Errors of the
# kernel's assertions, which hold for optimised code only, come after the notes.
whole_note()
{
	kept=$out/.whole/$1
	mkdir -p "$(dirname "$kept")" "$dir/whole/$(dirname "$1")"
	[ -n "$(find "$kept.gcno" -newer "$out/$1.o" 2>/dev/null)" ] ||
		(cd "$out"; sh -c "$(compiler "$1.o") -O0 -S -o .whole/$1.s ../$1.c") >/dev/null 2>&1 || true
	rm -f "$kept.s"
	[ ! -f "$kept.gcno" ] || cp "$kept.gcno" "$dir/whole/$1.gcno"
}

whole_notes()
{
	sed -n 's/^touched \(.*\)\.c$/\1/p' "$dir/files" | {
		while read -r stem; do
			[ ! -f "$out/$stem.gcno" ] || whole_note "$stem" &
		done
		wait
	}
}

# Objects that say what becomes of the touched files: their own, and for a header three that include it.
witnesses()
{
	while read -r kind f; do
		[ "$kind" = touched ] || continue
		case $f in
		*.c)	[ ! -f "$out/$(dirname "$f")/.$(basename "$f" .c).o.cmd" ] || echo "${f%.c}.o" ;;
		*.h)	(cd "$out" && grep -lE "(^| |/)$f " mm/.*.o.cmd kernel/.*.o.cmd arch/um/kernel/.*.o.cmd 2>/dev/null) | head -n 3 |
				sed 's|/\.\([^/]*\)\.cmd$|/\1|' ;;
		esac
	done < "$dir/files" | sort -u
}

make_marks()
{
	nr=0
	while read -r kind f; do
		# mmuml-cov numbers each file once, where it stands first.
		case " $seen " in *" $f "*) n=$(echo "$seen" | tr ' ' '\n' | grep -nxF "$f" | head -n 1 | cut -d: -f1) ;; *) nr=$((nr + 1)); n=$nr; seen="${seen:+$seen }$f" ;; esac
		[ "$kind" = touched ] || continue
		mkdir -p "$tmp/$(dirname "$f")"
		"$cov" mark "$n" "$tree/$f" > "$tmp/$f"
	done < "$dir/files"
	witnesses | while read -r o; do
		preprocess "$o"
	done | sort -u | sed 's/^mmuml_mark_//; s/_/ /' > "$dir/marks"
	rm -rf "$tmp"
}

mkdir -p "$dir"
since=$(scripts/tree.sh --since)
: > "$dir/changes.diff"
[ -z "$since" ] || tgit diff --no-ext-diff --no-color --no-renames --unified=0 "$since" -- '*.c' '*.h' > "$dir/changes.diff"
list_files > "$dir/files"
copy_sources
whole_notes
seen=
make_marks
