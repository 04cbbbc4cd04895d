# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# The supported kernels: uml-config/kernels, one file each, which becomes refs/mmuml/kernel/NAME of build/git. Sourced after
# kit.sh, with S and KERNEL set.

# pin KERNEL KEY: a value of uml-config/kernels/KERNEL.
pin()
{
	sed -n "s/^$2=//p" "uml-config/kernels/$1"
}

# kernels: their names, in the order in which a run without KERNEL= takes them.
kernels()
{
	sed '/^#/d; /^$/d' uml-config/kernels/order
}

# kernel_asked: the name in S=kernel:NAME,..., or KERNEL=; empty if it may be any.
kernel_asked()
{
	asked=${KERNEL-}
	case ${S-} in
	kernel:*)
		asked=${S#kernel:}
		asked=${asked%%,*} ;;
	esac
	[ -z "$asked" ] || kernels | grep -qxF "$asked" ||
		die "$EX_USAGE" "no kernel named $asked" "there is no uml-config/kernels/$asked" \
		    "make run KERNEL=$(kernels | head -n 1)  (kernels: $(kernels | paste -sd' '))"
	echo "$asked"
}

# kernel_here: the one that is taken where none is asked for; empty before the first fetch.
kernel_here()
{
	kernel_ref=$(kgit symbolic-ref -q refs/mmuml/base 2>/dev/null) || return 0
	echo "${kernel_ref#refs/mmuml/kernel/}"
}

# version_number VERSION: "7.2.12", "7.3-rc1" as a number that compares: 7002, 7003.
version_number()
{
	echo "$1" | awk -F'[^0-9]+' '{ print $1 * 1000 + $2 }'
}

# tree_version DIR: the number of the version that a kernel tree's Makefile states.
tree_version()
{
	version_number "$(sed -n 's/^\(VERSION\|PATCHLEVEL\) = //p' "$1/Makefile" 2>/dev/null | head -n 2 | paste -sd.)"
}

# version_of COMMIT: the kernel version that the Makefile of a commit states.
version_of()
{
	kgit show "$1:Makefile" | sed -n 's/^\(VERSION\|PATCHLEVEL\|SUBLEVEL\) = //p' | head -n 3 | paste -sd.
}
