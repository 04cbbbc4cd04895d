# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# bash completion of the kit's make: verbs, tests, profiles, changes. Use: . scripts/completion.bash

_mmuml()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words
	# bash takes T=x apart at the "=".
	if [ "$cur" = = ]; then
		cur=
	elif [ "$prev" = = ]; then
		prev=${COMP_WORDS[COMP_CWORD-2]}
	fi
	[ "${COMP_WORDS[COMP_CWORD]}" != = ] || prev=${COMP_WORDS[COMP_CWORD-1]}
	if [ ! -f uml-config/kernels/order ]; then
		# Somebody else's Makefile: the completion that was there before.
		! declare -F _make >/dev/null || _make "$@"
		return
	fi
	case $prev in
	T)	words=@changed; words="$words "$(cut -f1 build/trees/default/build-guest/tests.list 2>/dev/null | grep -v '^kit\.') ;;
	S | A)	words="none default $(cd mm-changes && printf '%s\n' */ | tr -d /)" ;;
	B)	words=$(sed 's/#.*//; s/[[:space:]].*//; /^$/d' scripts/gdb/places 2>/dev/null) ;;
	SCRIPT)	words=$(cd scripts/gdb/interleave && printf '%s\n' *) ;;
	KERNEL)	words=$(sed '/^#/d' uml-config/kernels/order) ;;
	PROFILE) words=$(cd uml-config/profiles && printf '%s\n' *) ;;
	LINUX | HOSTFS | BASE | DIR) mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	*)	words="$(sed -n 's/^\.PHONY: //p; s/^\([A-Z_]*\)[[:space:]]*?=.*/\1=/p' Makefile)" ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	case ${COMPREPLY[0]-} in *=) compopt -o nospace ;; esac
}
complete -o bashdefault -o default -F _mmuml make
