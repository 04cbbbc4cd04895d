# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# What developers have in their environment, and type: tried one after the other, on the default tree. Sourced by check.sh;
# tests/kit/check.sh --habits prints them as a table, with what the kit said.

# habit WHAT CODE WORDS COMMAND...: that ends so, and says so.
habit()
{
	what=$1 want=$2 words=$3
	shift 3
	if [ -n "${TABLE-}" ]; then
		ended=0
		"$@" > "$CHECK/got" 2>&1 </dev/null || ended=$?
		said=$(grep -F -- "$words" "$CHECK/got" | head -n 1 | sed 's/^ *//; s/|/\\|/g; s/  boot .*//' | cut -c1-150)
		echo "| $what | $ended | ${said:-$(tail -n 1 "$CHECK/got")} |"
		return 0
	fi
	echo "$what"
	expect "$want" "$@"
	says "$words"
}

# edited COMMAND...: with an edit to be compiled before, which is taken back.
edited()
{
	code_of=0
	echo "/* $(date +%s%N) */" >> "${OUT%/*}/mm/mincore.c"
	"$@" || code_of=$?
	git -C "${OUT%/*}" checkout -q mm/mincore.c
	return $code_of
}

# cloned NAME COMMAND...: in a clone of that name.
cloned()
{
	mkdir -p "$CHECK/$1"
	git clone -q "$TOP" "$CHECK/$1/kit"
	(cd "$CHECK/$1/kit" && shift && "$@")
}

habits()
{
	pass="make run T=kit.plain.pass" fail="make run T=kit.plain.fail" passed="mmuml: PASS 1 of 1" failed="mmuml: FAIL 1 of 1"
	# As a user's first make has it.
	unset MAKELEVEL MMUML_MAKE
	# shellcheck disable=SC2086 # words
	{
	habit "LC_ALL, LANGUAGE: another language" 2 "$failed" env LC_ALL=de_DE.UTF-8 LANGUAGE=de LANG=xx $fail
	habit "CDPATH" 0 "$passed" env CDPATH=/tmp:. $pass
	habit "TMPDIR empty" 0 "$passed" env TMPDIR= $pass
	habit "TMPDIR that is not there" 2 "TMPDIR=no/such: No such file" env TMPDIR=no/such $pass
	habit "TMP that is not there" 2 "TMP=/nonexistent: No such file" env TMP=/nonexistent $pass
	habit "TEMP that is not there" 2 "TEMP=/nonexistent: No such file" env TEMP=/nonexistent $pass
	habit "make -i" 2 "mmuml: error: make -i has no answer" make -i run T=kit.plain.fail
	habit "MAKEFLAGS=n" 2 "mmuml: error: make -n has no answer" env MAKEFLAGS=n $fail
	habit "make -t" 2 "mmuml: error: make -t has no answer" make -t run T=kit.plain.fail
	habit "make -k, a test that fails" 2 "$failed" make -k run T=kit.plain.fail
	habit "make -j8" 0 "$passed" make -j8 run T=kit.plain.pass
	habit "make -s" 0 "$passed" make -s run T=kit.plain.pass
	habit "ARCH, SUBARCH, CROSS_COMPILE, KBUILD_OUTPUT, KCONFIG_CONFIG of another build" 0 "$passed" edited env ARCH=arm64 SUBARCH=arm64 \
		CROSS_COMPILE=aarch64-linux-gnu- KBUILD_OUTPUT="$CHECK/o" KCONFIG_CONFIG="$CHECK/c" $pass
	habit "the same: nothing is written there" 0 "nothing there" sh -c "[ ! -e '$CHECK/o' ] && [ ! -e '$CHECK/c' ] && echo nothing there"
	habit "T in the environment" 2 "NOTE    T=kit.plain.fail is of the environment" env T=kit.plain.fail make run
	habit "A, B, NAME in the environment" 0 "NOTE    NAME=host is of the environment" env A=1 B=2 NAME=host $pass
	habit "CCACHE_DIR that cannot be made" 0 "NOTE    ccache is not used: Failed to create directory" edited env CCACHE_DIR=/proc/x $pass
	habit "VALGRIND_OPTS" 0 "$passed" env VALGRIND_OPTS="--tool=massif --trace-children=yes" make memcheck T=kit.plain.pass
	mkdir -p "$CHECK/home"
	echo --tool=massif > "$CHECK/home/.valgrindrc"
	echo 'python print("gdbinit was read")' > "$CHECK/home/.gdbinit"
	habit ".valgrindrc" 0 "$passed" env HOME="$CHECK/home" make memcheck T=kit.plain.pass
	habit ".gdbinit" 0 "STOP    move_page_tables" env HOME="$CHECK/home" make gdb T=mremap.move.arrives-page B=move_page_tables CMD='bt 1'
	habit "GREP_OPTIONS, GREP_COLORS" 0 "$passed" env GREP_OPTIONS=--color=always $pass
	habit "POSIXLY_CORRECT, BC_ENV_ARGS, XZ_OPT" 0 "$passed" edited sh -c "rm -f ${OUT%/*}/build-fast/include/generated/timeconst.h; POSIXLY_CORRECT=1 BC_ENV_ARGS=-l XZ_OPT=-9 $pass"
	habit "umask 077" 0 "$passed" sh -c "umask 077; $pass"
	habit "closed standard input" 0 "$passed" sh -c "$pass <&-"
	habit "no controlling terminal" 0 "$passed" setsid -w $pass
	habit "no HOME" 0 "$passed" env -u HOME $pass
	habit "HOME that is not there" 0 "$passed" env HOME=/nonexistent $pass
	habit "LINUX=~/linux as dash and zsh leave it" 2 "LINUX=~/linux does not exist" make run LINUX='~/linux'
	habit "a blank in the checkout's path" 2 "kbuild cannot work in $CHECK/my trees/kit" cloned "my trees" make run
	habit "a colon in it" 2 "kbuild cannot work in $CHECK/a:b/kit" cloned a:b make run
	}
}

# points: tests/kit/points as a table, with how each case ended in the last make check of this checkout.
points()
{
	printf '| | what people have | case | last |\n|---|---|---|---|\n'
	grep -v '^#' tests/kit/points | while IFS="$(printf '\t')" read -r part what name; do
		last="not run"
		[ ! -f "$STATE/$name.began" ] || last=FAIL
		[ "$(cat "$STATE/$name.code" 2>/dev/null)" != 0 ] || last=PASS
		echo "| $part | $what | $name | $last |"
	done
}

# Each of them is a case that there is, and no part of the table is empty.
points_have_cases()
{
	cat tests/kit/*.sh | sed -n 's/^	t //p' | grep -oE '[a-z]+\.[a-z_0-9]+' | sort -u > "$CHECK/names"
	[ "$(wc -l < "$CHECK/names")" -gt 100 ]
	grep -v '^#' tests/kit/points | cut -f3 > "$CHECK/named"
	! grep -vxFf "$CHECK/names" "$CHECK/named" || { echo "no such case"; return 1; }
	same "$(grep -v '^#' tests/kit/points | cut -f1 | uniq | paste -sd' ')" "A B C D E" "parts"
	expect 0 tests/kit/check.sh --points
	same "$(wc -l < "$CHECK/got")" $(($(wc -l < "$CHECK/named") + 2)) "lines of the table"
}

habit_cases()
{
	t -host hygiene.points points_have_cases
	t -x tree -x out habits.environment habits
}
