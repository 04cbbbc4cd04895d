#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Build the kernel of one tree and profile.
# usage: scripts/build.sh TREE PROFILE   -> TREE/build-PROFILE/vmlinux
# Three ways to the same bytes: nothing changed (a look at the recorded inputs); only .c files changed
# (kbuild for their directories and the link); all of kbuild.
set -eu
. scripts/lib/kit.sh

tree=$1
profile=$2
out=$tree/build-$profile
fresh=$BUILD/host/mmuml-fresh

# Progress of a long build on a terminal: objects so far; the names of what is compiled otherwise.
show()
{
	if [ -n "${V-}" ] || [ ! -t 1 ]; then
		cat
	else
		awk '/^  (CC|AS|LD|AR|GEN|HOSTCC)/ { printf "\r  %-7s %5d %-60.60s", $1, ++n, $NF; fflush(); next }
		     /^make/ { next } { print } END { if (n) printf "\r%79s\r", "" }'
	fi
}

# CFLAGS of the objects that OG= names, as words for kbuild. The stem of the object is all that kbuild looks at: -Og
# goes to every object of that name.
og_flags()
{
	for o in $(printf '%s' "${OG_GOOD-}" | tr ',' ' '); do
		o=${o##*/}
		printf 'CFLAGS_%s=-Og ' "$o"
	done
}

# Which of OG= compile with -Og; what does not is said with its first error, and built as ever.
og_try()
{
	OG_GOOD=
	for o in $(printf '%s' "${OG-}" | tr ',' ' '); do
		[ -f "$tree/${o%.o}.c" ] ||
			die $EX_USAGE "OG=$o names no object" "there is no ${o%.o}.c in $tree" "make gdb OG=mm/rmap.o,mm/mremap.o"
		if kmake "$tree" "$out" "CFLAGS_${o##*/}=-Og" "$o" >"$out/og.log" 2>&1; then
			say OG "$o"
			OG_GOOD=$OG_GOOD,$o
		else
			say OG "$o not with -Og: $(sed -n 's/.*error: //p' "$out/og.log" | head -n 1)"
		fi
	done
}

# The instrumented objects, exactly: a GCOV_PROFILE_x.o would match x.o in every directory, this one is expanded in each.
instrument()
{
	grep -q '^CONFIG_GCOV_KERNEL=y' "$out/.config" || return 0
	objects=$(scripts/coverage/objects.sh "$tree") || exit $?
	# shellcheck disable=SC2016 # make expands it
	printf 'GCOV_PROFILE=$(if $(filter %s,$(obj)/$(target-stem)),y)' "$(echo "$objects" | sed 's/\.c$//' | tr '\n' ' ')"
}

# What besides the files decides the result.
build_key()
{
	echo "$gcov"
	kmakeflags | sed -E 's/-j ?[0-9]*|--jobserver[^ ]*//g'
	echo " ${CC-} ${LLVM-} ${KCFLAGS-} $(og_flags)$(stat -L -c '%n %Y %s' "$(command -v "$(compiler)")" 2>/dev/null)"
}

whole()
{
	log=$out/build.log
	status=$out/.build.status
	rm -f "$status" "$out/.build.key"
	touch "$out/.build.began"
	# shellcheck disable=SC2046 # words
	{ kmake "$tree" "$out" $(og_flags) ${gcov:+"$gcov"} vmlinux 2>&1 || echo failed > "$status"; } | tee "$log" |
		grep --line-buffered -vE '^make(\[[0-9]+\])?: |^  (CALL|DESCEND) ' | show
	if [ -f "$status" ]; then
		die $EX_BUILD "the kernel does not build" "$(grep -m1 -E 'error:|Error |undefined reference' "$log")" \
		    "make build V=1  (the whole log: $log)"
	fi
	# The environment that kbuild gives to its sub-makes, for the short way.
	# shellcheck disable=SC2016 # make expands it
	# shellcheck disable=SC2016,SC2046
	kmake "$tree" "$out" $(og_flags) --eval='mmuml-env: ; @env -0 > $(objtree)/.build.env' mmuml-env >/dev/null 2>&1 ||
		rm -f "$out/.build.env"
	if [ -n "$(find "$out/.config" -newer "$out/compile_commands.json" 2>&1)" ]; then
		# With the same flags: kbuild would compile each object again that has others. Tools want the compiler, not ccache.
		# shellcheck disable=SC2046 # words
		{ kmake "$tree" "$out" $(og_flags) ${gcov:+"$gcov"} -s compile_commands.json &&
			sed -i "s|\"command\": \"$TOP/scripts/cc.sh |\"command\": \"|" "$out/compile_commands.json"; } >/dev/null 2>&1 || true
	fi
}

# The top directories of the changed files, if only sources of objects changed for which that is all kbuild would find out.
changed_dirs()
{
	# No pipe behind the loop: its status would be lost, and with it what is not to be done the short way.
	all=$(while read -r f; do
		case $f in
		../mm/*.c | ../fs/*.c | ../kernel/*.c | ../lib/*.c | ../block/*.c | ../io_uring/*.c | ../ipc/*.c) ;;
		*) exit 1 ;;
		esac
		obj=${f#../}
		obj=${obj%.c}.o
		[ -f "$out/$obj" ] && [ -f "$tree/${f#../}" ] || exit 1
		echo "${obj%%/*}"
	done < "$out/.changed") || return 1
	echo "$all" | sort -u
}

# What the top Makefile does once the directories are done, without its look at all the others: their inputs are as
# they were. The archives are lists of names; a member's size in them must be right.
short_script()
{
	echo 'set -e'
	quoted=${gcov:+"'$gcov'"}
	for d in $1; do
		echo "make $quoted -f ../scripts/Makefile.build obj=$d need-builtin=1 need-modorder="
	done
	for a in built-in.a built-in-fixup.a vmlinux.a; do
		[ ! -f "$out/.$a.cmd" ] || "$fresh" command "$out" $a || return 1
	done
	for step in vmlinux_o modpost vmlinux; do
		echo "make -f ../scripts/Makefile.$step"
	done
}

# The compiler's warnings about the sources as they are: what this build said instead of what an older one said about
# the objects that it compiled again.
keep_warnings()
{
	sed -n 's/^  CC  *\(.*\)\.o$/\1.c:/p' "$out/build.log" > "$out/.compiled"
	{ grep -vFf "$out/.compiled" "$out/warnings" 2>/dev/null || true
	  sed -n 's/^\(\.\.\/\)*\([^ ]*:[0-9]*:[0-9]*: warning: .*\)/\2/p' "$out/build.log"; } | sort -u > "$out/warnings.tmp"
	mv "$out/warnings.tmp" "$out/warnings"
}

# Build the directories of the changed files and link; false if it has to be done the long way.
short()
{
	dirs=$(changed_dirs) || return 1
	[ -n "$dirs" ] && [ -f "$out/.build.env" ] || return 1
	short_script "$dirs" > "$out/.build.short" || return 1
	touch "$out/.build.began"
	flags="rR --no-print-directory --include-dir=$TOP/$tree"
	(cd "$out" && xargs -0 -a .build.env sh -c "exec env -i \"\$@\" MAKEFLAGS='$flags' MFLAGS= MAKELEVEL=1 \
		MAKEOVERRIDES= sh .build.short" sh) > "$out/build.log" 2>&1 || return 1
	grep --line-buffered -vE '^make(\[[0-9]+\])?: |^  (CALL|DESCEND|AR) ' "$out/build.log" | show
}

build()
{
	OG_GOOD=${OG-}
	gcov=$(instrument) || exit $?
	key=$(build_key)
	changed=0
	"$fresh" check "$out" > "$out/.changed" || changed=$?
	if [ "$(cat "$out/.build.key" 2>/dev/null)" = "$key" ]; then
		[ $changed != 0 ] || return 0
		if [ -n "${OG-}" ]; then
			og_try
			whole
		else
			short || whole
		fi
	else
		og_try
		whole
	fi
	keep_warnings
	"$fresh" record "$out" "$out/.build.began"
	echo "$key" > "$out/.build.key"
}

one_at_a_time "build-$profile" build
