# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# What every stage script shares: messages, exit codes, git without the user's configuration.
# Sourced, never run. The callers run with "set -eu" from the top of the checkout.

# Run from a hook of git's, these are the user's repository and index to every git below (git rev-parse --local-env-vars), its
# pathspecs, or the names that go into each commit and so into its id. With CDPATH cd prints.
unset CDPATH
# Options that programs take from the environment: bc makes the kernel's timeconst.h, and says more under POSIXLY_CORRECT.
unset POSIXLY_CORRECT BC_ENV_ARGS BC_LINE_LENGTH GREP_OPTIONS TAR_OPTIONS XZ_OPT XZ_DEFAULTS GZIP
case $(export -p) in
*' GIT_'*)
	for v in $(env | sed -n 's/^\(GIT_[A-Z0-9_]*\)=.*/\1/p'); do
		case $v in GIT_EXEC_PATH | GIT_TRACE*) ;; *) unset "$v" ;; esac
	done ;;
esac
# What other programs say is read in places: in English, and bytes sorted as bytes. kbuild takes LC_ALL away, hence LANG.
unset LANGUAGE
export LC_ALL=C.UTF-8 LANG=C.UTF-8

# EX_PASS, EX_FAIL, ...: the exit codes, the same for every program of the kit; a make of the kit's has read them.
eval "${MMUML_CODES:-$(sed -n 's/^#define \(EX_[A-Z_]*\)[[:space:]]*\([0-9]*\).*/\1=\2/p' scripts/lib/protocol.h)}"
# Numbers, which shellcheck cannot know of what eval sets.
EX_FAIL=$((EX_FAIL)) EX_USAGE=$((EX_USAGE)) EX_HOST=$((EX_HOST)) EX_SKIP=$((EX_SKIP)) EX_PATCH=$((EX_PATCH))
EX_CONFIG=$((EX_CONFIG)) EX_BUILD=$((EX_BUILD)) EX_INTERRUPTED=$((EX_INTERRUPTED))
TOP=$(pwd)
BUILD=${BUILD:-build}
case $BUILD in /*) KGIT=$BUILD/git ;; *) KGIT=$TOP/$BUILD/git ;; esac
export TOP BUILD KGIT

# say TAG TEXT: one kbuild-style progress line.
say()
{
	printf '  %-7s %s\n' "$1" "$2"
}

# stamp STAGE: that it begins now, in the file that MMUML_STAGES names, for make bench.
stamp()
{
	[ -z "${MMUML_STAGES-}" ] || echo "$1 $(date +%s.%N)" >> "$MMUML_STAGES"
}

# die CODE WHAT BECAUSE TRY: the kit's error form, then exit CODE.
die()
{
	printf 'mmuml: error: %s\n' "$2" >&2
	[ -z "$3" ] || printf '  because: %s\n' "$3" >&2
	[ -z "$4" ] || printf '  try:     %s\n' "$4" >&2
	exit "$1"
}

# profile_says PROFILE MEM|SCALE ELSE: what the profile needs more of than others, see uml-config/README.md.
profile_says()
{
	said=$(sed -n "s/^# .*$2=\([0-9]*\).*/\1/p" "uml-config/profiles/$1" 2>/dev/null) || true
	echo "${said:-$3}"
}

# git_clean ARGS: git, deaf to the user's and the machine's configuration and language; it writes no index that it was only
# asked to read. All of the kit's git commands are one of this and the three below.
git_clean()
{
	GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_ATTR_NOSYSTEM=1 GIT_OPTIONAL_LOCKS=0 LC_ALL=C \
	git -c safe.directory='*' -c core.attributesFile=/dev/null -c core.excludesFile=/dev/null -c core.fsmonitor=false "$@"
}

# kgit ARGS: on the kit's own repository.
kgit()
{
	git_clean --git-dir="$KGIT" -c core.compression=0 -c core.fsync=none -c gc.auto=0 -c advice.detachedHead=false \
		-c core.autocrlf=false -c user.name=mmuml -c user.email=mmuml@localhost "$@"
}

# tgit TREE ARGS: in a work tree of the kit's, below build/trees; a repository of its own will do.
tgit()
{
	tgit_tree=$1
	shift
	if [ -d "$tgit_tree/.git" ]; then
		git_clean -C "$tgit_tree" "$@"
	else
		(cd "$tgit_tree" && KGIT=$KGIT/worktrees/${tgit_tree##*/} kgit "$@")
	fi
}

# ugit DIR ARGS: in a repository of the user's, to read; one that DIR only lies in, such as this checkout, is not meant.
ugit()
{
	ugit_above=$(dirname "$(realpath "$1")")
	GIT_CEILING_DIRECTORIES=$ugit_above git_clean -C "$@"
}

# make_repo: the kit's repository. A commit made in a tree by hand must not set off a repack of the whole kernel.
make_repo()
{
	[ -d "$KGIT/objects" ] || kgit init -q --bare "$KGIT"
	kgit config gc.auto 0
	kgit config maintenance.auto false
}

# scratch NAME: makes a directory of this process below build/ and prints it. Those of processes that were killed go.
scratch()
{
	for old in "$BUILD/$1".[0-9]*.??????; do
		of=${old%.*}
		[ ! -d "$old" ] || [ -d "/proc/${of##*.}" ] || rm -rf "$old"
	done
	mktemp -d "$BUILD/$1.$$.XXXXXX"
}

# take_lock FD NAME: hold build/NAME.lock until this shell ends; said, if somebody else has it.
take_lock()
{
	lock=$BUILD/$2.lock
	mkdir -p "$BUILD"
	eval "exec $1>\"\$lock\""
	if ! flock -n "$1"; then
		say WAIT "another mmuml holds $lock"
		flock "$1"
	fi
}

# one_at_a_time NAME CMD...: run CMD holding build/NAME.lock, so that two makes do not collide.
#   What is made in a tree: NAME is its lock_of DIR.
one_at_a_time()
{
	take_lock 9 "$1"
	shift
	"$@"
}

# lock_of DIR: the name of the lock of a directory in a tree, TREE/build-PROFILE: default.build-fast
lock_of()
{
	dir=${1%/}
	parent=${dir%/*}
	echo "${parent##*/}.${dir##*/}"
}

# What the user's make line says to kbuild, without what it says to the kit.
kmakeflags()
{
	kit=$(sed -n 's/^\([A-Z_]*\)[[:space:]]*?=.*/\1/p' Makefile | tr '\n' '|')
	printf '%s' "${MAKEFLAGS-}" | sed -E "s/(^| )(${kit}CMD)=([^ \\\\]|\\\\.)*//g; s/ -- *\$//"
}

# The compiler that CC= or LLVM= asks for: LLVM=1, LLVM=-16, LLVM=/opt/llvm/bin/ (Documentation/kbuild/llvm.rst).
compiler()
{
	case ${LLVM-} in
	'') echo "${CC:-gcc}" ;;
	-*) echo "clang$LLVM" ;;
	*/) echo "${LLVM}clang" ;;
	*) echo clang ;;
	esac
}

# kmake TREE OUT ARGS: kbuild for one build directory, the same way for every stage.
# CC, LLVM, KCFLAGS, -j and V of the user's make reach it through the environment. A fixed build
# time keeps ccache useful and two builds of one tree identical.
kmake()
{
	kmake_tree=$1
	kmake_out=$2
	shift 2
	cc="$TOP/scripts/cc.sh $(compiler)"
	export CCACHE_DIR="${CCACHE_DIR:-$TOP/$BUILD/ccache}" CCACHE_BASEDIR="$TOP" CCACHE_NOHASHDIR=1 CCACHE_DEPEND=1
	MAKEFLAGS=$(kmakeflags)
	export MAKEFLAGS
	case $MAKEFLAGS in
	*-j*) ;;
	*) set -- -j"$(nproc)" "$@" ;;
	esac
	unset KCONFIG_CONFIG KBUILD_OUTPUT KBUILD_EXTMOD KCONFIG_DEFCONFIG_LIST
	make -C "$kmake_tree" ARCH=um CROSS_COMPILE= O="$TOP/$kmake_out" CC="$cc" KBUILD_BUILD_TIMESTAMP='1970-01-01' \
		KBUILD_BUILD_USER=mmuml KBUILD_BUILD_HOST=mmuml KBUILD_BUILD_VERSION=1 LOCALVERSION= "$@"
}
