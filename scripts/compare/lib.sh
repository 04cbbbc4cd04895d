# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# What the stages of make compare share. Sourced after scripts/lib/kit.sh, from the top of the checkout.
#
# A stage is a process of its own: scripts/compare/STAGE.sh WORK/N [ARGUMENT], for the Nth line of WORK/plan. It reads files
# that earlier stages left there and writes its own, so that it can be run alone, again, and its files looked at:
#   plan.sh    WORK/plan          what is compared, one comparison a line (see there)
#              WORK/asked         "VARIABLE VALUE", one a line: what else was asked for; it holds for all stages
#   resolve.sh what               "KEY VALUE", one a line: base, changed (the stacks), name, expect, step, profile, tests,
#                                 tree.base, tree.changed
#   side.sh                       the tree and the kernel of one side, below build/trees
#   guest.sh   guest              the directory of the test programs
#   lines.sh   files, idle        what differs; why nothing can differ (empty if something can)
#              diff, lines.SIDE, code.SIDE   the changed lines of C, and "address path:line" of their code
#   run.sh     run.ROUND.SIDE     what the runner said; run.ROUND.SIDE.dir names the run directory
#   report.sh  report.dir         the directory of the report; exit code of the comparison
# A function whose status is asked for (f || ..., if f) runs without "set -e" to its end: ask processes, not functions.

. scripts/lib/kernels.sh

S=${S-} A=${A-} B=${B-} T=${T-} LINUX=${LINUX-} EACH=${EACH-} REPEAT=${REPEAT:-1} V=${V-} JSON=${JSON-} README=${README-}
KERNEL=${KERNEL-} SEED=${SEED:-1} APPEND=${APPEND-} PROFILE_ASKED=${PROFILE_ASKED-} STARTED=${STARTED:-0}
MEM=${MEM-} SCALE=${SCALE-}
export S A B T LINUX KERNEL EACH REPEAT V JSON README SEED APPEND PROFILE_ASKED STARTED MEM SCALE

# use DIR FILE STAGE: this stage works in DIR, as WORK/asked says, on FILE, which STAGE makes.
use()
{
	dir=$1
	[ -e "$dir/$2" ] || die "$EX_USAGE" "$dir/$2 is missing" "scripts/compare/$3.sh makes it" "scripts/compare/$3.sh $dir"
	while read -r name value; do
		export "$name=$value"
	done < "$dir/../asked"
}

# ask KEY: of $dir/what; empty if it says nothing.
ask()
{
	sed -n "s/^$1 //p" "$dir/what"
}

# tree_of STACK: the directory of its tree.
tree_of()
{
	tree_name=$(S=$1 scripts/tree.sh --name)
	echo "$BUILD/trees/$tree_name"
}

# kernel_of STACK: the supported kernel below it; empty for this build's own, and for a tree of the user's.
kernel_of()
{
	k=$(S=$1 kernel_asked)
	[ "$k" = "$(kernel_here)" ] || echo "$k"
}

# donor FILE: the tree to copy a new one from: that of the same LINUX=, else one of the kit's own, the first that has FILE.
# Nothing for a side on another kernel than this build's own.
donor()
{
	base_kernel=$(kernel_of "$(ask base)")
	[ -z "$base_kernel" ] || return 0
	first=$(tree_of '')
	for tree in "$first" "$BUILD/trees/default" "$BUILD/trees/none"; do
		[ ! -f "$tree/$1" ] || { echo "$tree"; return 0; }
	done
	echo "$BUILD/trees/default"
}

# stage 0|any COMMAND...: run a stage as a child that a signal to this shell ends too; sets ended to its exit code, which ends
# this process if it must be 0 and is not. The child must be able to hear ^C, which a shell takes from what runs in
# its background.
stage()
{
	codes=$1 ended=0
	shift
	env --default-signal=INT,QUIT "$@" <&0 &
	child=$!
	trap 'kill $child 2>/dev/null || true; wait; exit $EX_INTERRUPTED' INT TERM HUP
	wait $child || ended=$?
	trap 'exit $EX_INTERRUPTED' INT TERM HUP
	[ "$codes" != any ] && [ $ended != 0 ] || return 0
	# 1 is a failed test: of a stage that runs none it is a tool that could not do its work, and said so.
	[ $ended != "$EX_FAIL" ] || ended=$EX_HOST
	exit "$ended"
}
