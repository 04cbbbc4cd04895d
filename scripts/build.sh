#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Build the kernel of one tree and profile.
# usage: scripts/build.sh TREE PROFILE   -> TREE/build-PROFILE/vmlinux
#   DEBUG_INFO=1   with debug information; else it may be without, which OUT/.light says, and scripts/build/link.sh OUT full adds it
# Three ways to the same kernel: nothing changed (a look at the recorded inputs); only sources changed (build/short.sh: the compiler
# and a link without debug information); all of kbuild.
set -eu
. scripts/lib/kit.sh

tree=$1
profile=$2
out=$tree/build-$profile
fresh=$BUILD/host/mmuml-fresh

# What kbuild says, from its log: on a terminal objects so far, the names of what is compiled otherwise.
show()
{
	grep --line-buffered -vE '^make(\[[0-9]+\])?: |^  (CALL|DESCEND) |^mmuml: ' |
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
	objects=$(scripts/coverage/objects.sh "$tree")
	# shellcheck disable=SC2016 # make expands it
	printf 'GCOV_PROFILE=$(if $(filter %s,$(obj)/$(target-stem)),y)' "$(echo "$objects" | sed 's/\.c$//' | tr '\n' ' ')"
}

# What besides the files decides the result.
build_key()
{
	echo "$gcov"
	# Of make's words only variables, one of which may be KCFLAGS or W.
	kmakeflags | sed -E 's/(^|[^\\]) /\1\n/g' | grep '=' | grep -v '^--' || true
	echo " ${CC-} ${LLVM-} ${KCFLAGS-} $(og_flags)$(stat -L -c '%n %Y %s' "$(command -v "$(compiler)")" 2>/dev/null)"
}

# does_not_build: with its first cause in build.log.
does_not_build()
{
	log=$out/build.log
	cause=$(grep -m1 -E 'error:|No rule to make target|Error |undefined reference' "$log" || tail -n 1 "$log")
	full=$(grep -m1 'No space left on device' "$log" || true)
	[ -z "$full" ] || die $EX_HOST "the kernel cannot be built" "$full" "df -h $out ${TMPDIR:-/tmp}"
	die $EX_BUILD "the kernel does not build" "${cause:-make was killed}" "make build V=1  (the whole log: $log)"
}

# All of kbuild. What a pipe hides is said by a file: it is there if kbuild came to its end.
whole()
{
	log=$out/build.log
	done=$out/.build.done
	rm -f "$done" "$out/.build.key"
	touch "$out/.build.began"
	# shellcheck disable=SC2046 # words
	{ kmake "$tree" "$out" $(og_flags) ${gcov:+"$gcov"} vmlinux 2>&1 && : > "$done"; } | tee "$log" | show
	[ -f "$done" ] || does_not_build
	# What the short way needs: the objects of the link, and the environment that kbuild gives to its sub-makes.
	rm -f "$out/.light"
	(cd "$out" && ar t vmlinux.a > .objects 2>/dev/null) || rm -f "$out/.objects"
	readelf -n "$out/vmlinux" 2>/dev/null | sed -n 's/.*Build ID: //p' > "$out/.id"
	# shellcheck disable=SC2016,SC2046 # make expands it; words
	kmake "$tree" "$out" $(og_flags) --eval='mmuml-env: ; @env -0 > $(objtree)/.build.env' mmuml-env >/dev/null 2>&1 ||
		rm -f "$out/.build.env"
}

# compile_commands.json for editors: the compiler's own command lines, without what stands before the compiler here.
# kbuild's .cmd files, of which they are made, stay as they are; and with the flags of the build, or kbuild would compile
# each object again that has others.
for_editors()
{
	json=$out/compile_commands.json
	# shellcheck disable=SC2046 # words
	if [ -n "$(find "$out/.config" -newer "$json" 2>&1)" ] &&
	   ! kmake "$tree" "$out" $(og_flags) ${gcov:+"$gcov"} -s compile_commands.json >"$out/editors.log" 2>&1; then
		say NOTE "no $json: $(head -n 1 "$out/editors.log")"
		rm -f "$json"
	elif grep -qm1 '/scripts/cc\.sh ' "$json"; then
		sed 's|"command": "[^" ]*/scripts/cc\.sh \(ccache \)\{0,1\}|"command": "|' "$json" > "$json.tmp"
		mv "$json.tmp" "$json"
	fi
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

# forget_gone: the objects of sources that are not there any more; kbuild takes an object for made whose source has no rule, and
# would link what nobody can see.
forget_gone()
{
	while read -r f; do
		case $f in ../*.[cS]) ;; *) continue ;; esac
		[ ! -e "$tree/${f#../}" ] || continue
		object=${f#../}
		rm -f "$out/${object%.[cS]}.o"
	done < "$out/.changed"
}

# check_ccache: one that cannot write where the user's variables send it would fail each compilation.
check_ccache()
{
	[ -n "${CCACHE_DIR-}${CCACHE_TEMPDIR-}${CCACHE_CONFIGPATH-}" ] && [ -z "${CCACHE_DISABLE-}" ] && command -v ccache >/dev/null || return 0
	echo 'int word;' > "$BUILD/ccache.$$.c"
	if ! ccache gcc -c -o "$BUILD/ccache.$$.o" "$BUILD/ccache.$$.c" 2>"$BUILD/ccache.$$.log"; then
		say NOTE "ccache is not used: $(sed -n 's/^ccache: error: //p' "$BUILD/ccache.$$.log" | head -n 1)"
		export CCACHE_DISABLE=1
	fi
	rm -f "$BUILD/ccache.$$".*
}

# by_short_way: 1 if it has to be done the long way; a source that does not compile is the end.
by_short_way()
{
	ended=0
	scripts/build/short.sh "$tree" "$profile" || ended=$?
	if [ $ended != 0 ] && [ $ended != $EX_BUILD ]; then
		# Why not, for who asks.
		{ echo "short way: $ended"; cat "$out/.changed" "$out/build.log"; } > "$out/short.log" 2>/dev/null || true
		return 1
	fi
	show < "$out/build.log"
	[ $ended = 0 ] || does_not_build
}

build()
{
	OG_GOOD=${OG-}
	gcov=$(instrument)
	key=$(build_key)
	changed=0
	"$fresh" check "$out" > "$out/.changed" || changed=$?
	forget_gone
	alike=
	[ "$(cat "$out/.build.key" 2>/dev/null)" != "$key" ] || alike=1
	if [ -n "$alike" ] && [ $changed = 0 ]; then
		explained
		return 0
	fi
	check_ccache
	# 1 says that something changed, and what; any other code that it is not known.
	if [ -n "$alike" ] && [ -z "${OG-}" ] && [ $changed = 1 ] && by_short_way; then
		"$fresh" update "$out" "$out/.build.began" < "$out/.changed.objects"
	else
		"$fresh" forget "$out" < "$out/.changed"
		og_try
		whole
		"$fresh" record "$out" "$out/.build.began"
	fi
	for_editors
	keep_warnings
	echo "$key" > "$out/.build.key"
	explained
}

# explained: with debug information, where somebody wants it.
explained()
{
	[ -n "${DEBUG_INFO-}" ] && [ -f "$out/.light" ] || return 0
	scripts/build/link.sh "$out" full
}

one_at_a_time "$(lock_of "$out")" build
stamp built
