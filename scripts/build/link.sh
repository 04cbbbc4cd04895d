#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Link a kernel's objects as kbuild did, without what it makes for modules.
# usage: scripts/build/link.sh OUT light   -> OUT/vmlinux without debug information; OUT/.light says so
#                                          and adds it, whoever runs it
#        scripts/build/link.sh OUT full    the same with it, byte for byte as kbuild would have made it; only if it is the same
#                                          kernel as the light one that it replaces
# kbuild's own link left its words in OUT/.link.args (scripts/cc.sh), build.sh the names of its objects in OUT/.objects and its
# number in OUT/.id.
# Debug information is four fifths of the link's time, and nobody reads it until an address is to be explained.
set -eu
. scripts/lib/kit.sh

out=$1 how=$2 fresh=$TOP/$BUILD/host/mmuml-fresh

# linked: .linked, by the words of kbuild's link; where it is several links, with tables of the kernel's symbols, by the tree's own
# script, whose result has a name that depends on the tree.
linked()
{
	if ! grep -qE '^CONFIG_(KALLSYMS|DEBUG_INFO_BTF|BUILDTIME_TABLE_SORT)=y' .config; then
		OUTPUT=.linked xargs -0 -a .link.args "$TOP/scripts/build/ld.sh"
		return
	fi
	made=vmlinux.unstripped
	command=$("$fresh" command . $made 2>/dev/null) || { made=vmlinux; command=$("$fresh" command . $made); }
	case $command in *link-vmlinux.sh*) ;; *) exit 1 ;; esac
	[ $made != vmlinux ] || mv vmlinux .before
	# shellcheck disable=SC2016 # sh expands it
	xargs -0 -a .build.env sh -c 'command=$1 ld=$2; shift 2; exec env -i "$@" sh -ec "export CC=\"$ld \$CC\" LIGHT=$LIGHT; $command"' \
		sh "$command" "$TOP/scripts/build/ld.sh"
	mv $made .linked
	[ $made != vmlinux ] || mv .before vmlinux
}

# finished: what kbuild does to what was linked.
finished()
{
	command=$("$fresh" command . vmlinux 2>/dev/null || true)
	case $command in
	*objcopy*vmlinux.unstripped*)
		sh -ec "$(echo "$command" | sed -E "s/(^| )vmlinux($|[ ;])/\1.finished\2/g; s/(^| )vmlinux\.unstripped($|[ ;])/\1.linked\2/g")"
		rm .linked ;;
	*) mv .linked .finished ;;
	esac
}

# loaded FILE: what of a kernel gets into memory, but for the number that the link gave it.
loaded()
{
	objcopy -O binary --remove-section .notes --remove-section .note.gnu.build-id "$1" "$1.loaded"
	sha256sum < "$1.loaded"
	rm "$1.loaded"
}

cd "$out"
if grep -qE '^CONFIG_(LTO_CLANG|MODULES|X86_KERNEL_IBT)=y' .config; then
	exit 1
fi
tr '\0' '\n' < .link.args | grep -qx vmlinux.a
LIGHT=
if [ "$how" = full ]; then
	say DEBUG "$out/vmlinux"
else
	echo "  LD      vmlinux"
	LIGHT=$(xargs cat .id < .changed.objects | sha1sum | cut -d' ' -f1)
fi
export LIGHT
linked
finished
if [ "$how" = full ]; then
	if [ "$(loaded .finished)" != "$(loaded vmlinux)" ]; then
		rm .finished
		die $EX_HOST "no debug information for $out/vmlinux" "its objects are of another build by now" "make build"
	fi
	touch -r vmlinux .finished
	rm -f .light
else
	echo "$LIGHT" > .id
	printf '#!/bin/sh\ncd "%s" && exec scripts/build/debug.sh "%s"\n' "$TOP" "$TOP/$out/" > .light
	chmod +x .light
fi
mv .finished vmlinux
