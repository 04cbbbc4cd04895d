# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# What the host-side tests of the kit share: expectations, a run of the runner, a checkout to break. Sourced by check.sh.
# $CHECK is the scratch directory of the case, empty when it begins.

# What lives until the end of a short program is no leak worth a report.
export ASAN_OPTIONS=detect_leaks=0
# shellcheck disable=SC2034 # for the cases
LINUX_TREE=${CHECK_TOP:?}/linux	# the user's kernel tree of user_tree()

# kit CODE [ARGUMENT...]: a line of shell that uses functions of the kit.
kit()
{
	code_of_kit=$1
	shift
	sh -euc ". scripts/lib/kit.sh; . scripts/lib/kernels.sh; . scripts/tree/series.sh; $code_of_kit" - "$@"
}

# expect CODE COMMAND...: the command must end with CODE; its output is in $CHECK/got.
expect()
{
	want=$1
	shift
	ended=0
	"$@" >"$CHECK/got" 2>&1 </dev/null || ended=$?
	[ "$ended" = "$want" ] || { cat "$CHECK/got"; echo "exit $ended instead of $want: $*"; return 1; }
}

# says TEXT...: each must stand in the last command's output; says_not the opposite.
says()
{
	for text; do
		grep -qF -- "$text" "$CHECK/got" || { cat "$CHECK/got"; echo "nothing said '$text' here"; return 1; }
	done
}

says_not()
{
	for text; do
		! grep -qF -- "$text" "$CHECK/got" || { cat "$CHECK/got"; echo "'$text' was said here"; return 1; }
	done
}

# same A B WHAT: two values must be equal; both are shown.
same()
{
	[ "$1" = "$2" ] || { echo "$3: '$1' is not '$2'"; return 1; }
}

# in_file TEXT FILE
in_file()
{
	grep -qF -- "$1" "$2" || { echo "no '$1' in $2:"; tail -n 20 "$2"; return 1; }
}

# run_guest ARGS: the runner, built with AddressSanitizer, on the fast kernel; out/ is $CHECK/run/out.
run_guest()
{
	(cd "$CHECK/run" && exec "$TOP/build/host-asan/mmuml-run" --kernel "$TOP/$OUT/vmlinux" \
		--guest "$TOP/$GUEST" --scale "${KIT_SCALE:-1}" "$@")
}

# status NAME: what results.json of the last run says of one test.
status()
{
	jq -r --arg n "$1" '.tests[] | select(.name == $n) | .status' "$CHECK/run/out/latest/results.json"
}

reason()
{
	jq -r --arg n "$1" '.tests[] | select(.name == $n) | .reason' "$CHECK/run/out/latest/results.json"
}

# nothing_left: no process of a run below $CHECK/run is alive, no boot directory is left.
nothing_left()
{
	for p in /proc/[0-9]*; do
		exe=$(readlink "$p/exe" 2>/dev/null) || continue
		cwd=$(readlink "$p/cwd" 2>/dev/null) || continue
		case $exe$cwd in
		*"$CHECK/run/out/"*) echo "left running: $p $exe in $cwd"; return 1 ;;
		esac
	done
}

# a_copy: a checkout of its own in $CHECK/copy that shares build/ with the real one, for cases that break something.
a_copy()
{
	rm -rf "$CHECK/copy"
	mkdir -p "$CHECK/copy"
	cp -r uml-config mm-changes scripts tests Makefile "$CHECK/copy/"
	ln -s "$TOP/build" "$CHECK/copy/build"
	cd "$CHECK/copy" || return
}

# host_lacks WHAT: why this host cannot do what a case needs; nothing if it can.
host_lacks()
{
	case $1 in
	ptrace)
		"$TOP/build/host/mmuml-run" --doctor 2>/dev/null | grep -q '^  ptrace  *ok$' || echo "ptrace is forbidden here" ;;
	namespaces)
		privately true 2>/dev/null || echo "no mount namespaces for this user" ;;
	debootstrap)
		[ "$(id -u)" = 0 ] && command -v debootstrap >/dev/null || echo "needs root and debootstrap" ;;
	*)	echo "nobody knows what '$1' is" ;;
	esac
}

# privately COMMANDS: sh -c in a mount namespace of its own.
privately()
{
	if [ "$(id -u)" = 0 ]; then
		unshare -m --propagation private sh -euc "$1"
	else
		unshare -rm --propagation private sh -euc "$1"
	fi
}
