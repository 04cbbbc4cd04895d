#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Merge a profile's fragments over allnoconfig and verify that every option survived.
# usage: scripts/config.sh TREE PROFILE [FRAGMENT...]   -> TREE/build-PROFILE/.config
# FRAGMENT...: further files, for example a change's own, merged last.
# "CONFIG_X=y # since V" (until V) is asked of kernels of that version on (up to it); "CONFIG_X=y # or Y" for one of the two, a
# name that has changed. Of a tree of the user's, what else it does not offer is said and
# left out, unless the fragment calls it a "# Must:". A "# Topic:" of uml-config/patches that is not in the tree is the end.
set -eu
. scripts/lib/kit.sh
. scripts/lib/kernels.sh

tree=$1
profile=$2
shift 2
out=$tree/build-$profile
stack=$BUILD/stacks/${tree##*/}

profiles()
{
	(cd uml-config/profiles && echo *)
}

fragments()
{
	[ -f "uml-config/profiles/$profile" ] ||
		die $EX_USAGE "no profile named $profile" "there is no uml-config/profiles/$profile" \
		    "make run PROFILE=fast  (profiles: $(profiles))"
	named=$(sed 's/#.*//; /^$/d' "uml-config/profiles/$profile")
	[ -n "$named" ] || die $EX_CONFIG "profile $profile names no fragment" "uml-config/profiles/$profile is empty" \
			       "ls uml-config/fragments"
	for f in $named; do
		[ -f "uml-config/fragments/$f.config" ] ||
			die $EX_CONFIG "no fragment $f" "uml-config/profiles/$profile names it" "ls uml-config/fragments"
		echo "uml-config/fragments/$f.config"
	done
	for f; do
		[ -r "$f" ] || die $EX_CONFIG "no fragment $f" "it cannot be read" "ls -l $f"
	done
}

# head_says KEY: the words behind "# KEY:" in the heads of the fragments.
head_says()
{
	# shellcheck disable=SC2086 # a list of paths without blanks
	sed -n "s/^# $1: //p" $files
}

# in_tree: what the fragments want of uml-config/patches is in the tree.
in_tree()
{
	for topic in $(head_says Topic); do
		why=$(sed -n "s/^left $topic //p" "$stack" 2>/dev/null || true)
		[ -z "$why" ] || die $EX_USAGE "PROFILE=$profile is not to be had on this tree" \
			"topic $topic of uml-config/patches is not in it: $why" "make run PROFILE=fast"
	done
}

# Print "SYMBOL VALUE FILE:LINE OTHER-SYMBOL|-" for every setting that is for this version; refuse a symbol that is set two ways.
settings()
{
	awk -v version="$version" '
	function number(v, part) { split(v, part, "."); return part[1] * 1000 + part[2] }
	/^CONFIG_[A-Za-z0-9_]+=/ {
		if (match($0, /[[:space:]]+# (since|until) [0-9.]+$/)) {
			if ($(NF - 1) == "since" ? number($NF) > version : number($NF) < version) next
			$0 = substr($0, 1, RSTART - 1)
		}
		other = "-"
		if (match($0, /[[:space:]]+# or [A-Z0-9_]+$/)) {
			other = "CONFIG_" $NF
			$0 = substr($0, 1, RSTART - 1)
		}
		sym = $0; sub(/=.*/, "", sym); val = $0; sub(/^[^=]*=/, "", val)
		here = FILENAME ":" FNR
		if (sym in value && value[sym] != val) {
			printf "%s=%s at %s contradicts %s=%s at %s\n", sym, val, here, sym, value[sym], at[sym] > "/dev/stderr"
			bad = 1
		}
		if (!(sym in value)) { order[++n] = sym }
		value[sym] = val; at[sym] = here; instead[sym] = other; next
	}
	/^[[:space:]]*(#|$)/ { next }
	{ printf "not a setting: %s at %s:%d\n", $0, FILENAME, FNR > "/dev/stderr"; bad = 1 }
	END { for (i = 1; i <= n; i++) print order[i], value[order[i]], at[order[i]], instead[order[i]]; exit bad }' "$@"
}

# unmet SYMBOL: why the option cannot be had, from the depends lines around its definition.
unmet()
{
	sym=${1#CONFIG_}
	where=$(cd "$tree" && grep -rnE --include='Kconfig*' "^(menu)?config[[:space:]]+$sym\$" . | head -n 1 | cut -d: -f1,2)
	if [ -z "$where" ]; then
		echo "no Kconfig file of this tree defines $sym"
		return 0
	fi
	file=${where%:*}
	# The depends lines of the option itself, and those of the if and menu blocks around it.
	deps=$(awk -v start="${where##*:}" '
		FNR > start && !/^[[:space:]]/ && NF { exit }
		/^[[:space:]]+depends on/ {
			sub(/^[[:space:]]+depends on[[:space:]]+/, "")
			if (FNR > start) print
			else if (inmenu) menu[depth] = menu[depth] " " $0
			next
		}
		FNR >= start { next }
		/^(if|menu)[[:space:]]/ { inmenu = /^menu/; menu[++depth] = /^if/ ? substr($0, 4) : ""; next }
		/^end(if|menu)/ { depth--; inmenu = 0; next }
		/^(config|menuconfig|choice|comment)/ { inmenu = 0 }
		END { for (i = 1; i <= depth; i++) if (menu[i] != "") print menu[i] }' "$tree/$file")
	missing=
	for d in $(printf '%s\n' "$deps" | grep -oE '[A-Z][A-Z0-9_]+'); do
		grep -qE "^CONFIG_$d=[ym]" "$out/.config.tmp/.config" || missing="$missing $d=n"
	done
	printf '%s: depends on %s;%s' "${where#./}" \
	    "$(printf '%s' "${deps:-nothing of its own (an enclosing menu, or no prompt)}" | tr '\n' ',')" "${missing:- all met}"
}

# Every option that was asked for must be in the final configuration, with its value.
verify()
{
	config=$1
	lost=0
	must=" $(head_says Must | paste -sd' ') "
	while read -r sym val at other; do
		got=$(sed -n "s/^$sym=//p" "$config")
		[ "${got:-n}" != "$val" ] || continue
		[ "$other" = - ] || ! grep -qx "$other=$val" "$config" || continue
		case $must in
		*" ${sym#CONFIG_} "*) ;;
		*)
			if grep -q '^linux .' "$stack" 2>/dev/null; then
				say LEFT "$sym=$val: $(unmet "$sym")"
				continue
			fi ;;
		esac
		lost=$((lost + 1))
		printf 'mmuml: error: option lost: %s=%s is %s in the final .config\n' "$sym" "$val" "${got:-n}" >&2
		printf '  because: %s asks for it; %s\n' "$at" "$(unmet "$sym")" >&2
	done < "$out/.settings"
	[ $lost = 0 ] || die $EX_CONFIG "$lost option(s) of profile $profile lost" "see above" \
		"edit the fragment, or make run with another PROFILE="
}

# The tree's Kconfig files, as they are: a build directory may come from another tree, so their times say nothing.
kconfig_files()
{
	kconfigs=$(sed -n 's|^[[:space:]]*\(\.\./\)\{0,1\}\([^ ]*Kconfig[^ ]*\).*|\2|p' \
		   "$out/include/config/auto.conf.cmd" 2>/dev/null)
	# shellcheck disable=SC2086 # a list of paths without blanks
	[ -z "$kconfigs" ] || (cd "$tree" && cat $kconfigs 2>&1) | cksum
}

# Anything that the result depends on: fragments, compiler, Kconfig files.
up_to_date()
{
	[ -f "$out/.config" ] && [ "$(cat "$out/.config.key" 2>/dev/null)" = "$key $(kconfig_files)" ]
}

# The kernel release says which fragments are in it: those of which something is asked of this kernel.
localversion()
{
	printf -- '-mmuml'
	for f in $files; do
		! grep -qF " $f:" "$tmp/settings" || sed -n 's/^# TAG: /-/p' "$f"
	done | tr -d '\n'
}

make_config()
{
	say CONFIG "$out/.config"
	tmp=$out/.config.tmp
	rm -rf "$tmp"
	mkdir -p "$tmp"
	# shellcheck disable=SC2086
	settings $files "$@" > "$tmp/settings" 2>"$tmp/log" ||
		die $EX_CONFIG "the fragments of profile $profile cannot be merged" "$(head -n 1 "$tmp/log")" \
		    "edit one of the two lines"
	{ awk '{ sym = $1; other = $NF; sub(/^[^ ]* /, ""); sub(/ [^ ]* [^ ]*$/, ""); print sym "=" $0; if (other != "-") print other "=" $0 }' "$tmp/settings"
	  echo "CONFIG_LOCALVERSION=\"$(localversion)\""; } > "$tmp/merged"
	if ! KCONFIG_ALLCONFIG=$TOP/$tmp/merged kmake "$tree" "$tmp" -s allnoconfig >"$tmp/log" 2>&1; then
		tail -n 5 "$tmp/log" >&2
		# A tool that is too old is said in lines with three stars; the first line of a log is nearest to any other cause.
		cause=$(sed -n 's/^\*\*\* *\([^ ].*\)/\1/p' "$tmp/log" | tr -s ' \n' ' ' | sed 's, $,,')
		die $EX_CONFIG "kconfig failed" "${cause:-$(head -n 1 "$tmp/log")}" "make -C $tree ARCH=um O=$TOP/$tmp allnoconfig"
	fi
	mv "$tmp/settings" "$out/.settings"
	verify "$tmp/.config"
	cmp -s "$tmp/.config" "$out/.config" || mv "$tmp/.config" "$out/.config"
	rm -rf "$tmp"
	kmake "$tree" "$out" -s syncconfig >/dev/null
	echo "$key $(kconfig_files)" > "$out/.config.key"
}

files=$(fragments "$@")
version=$(tree_version "$tree")
in_tree
# shellcheck disable=SC2086
key=$({ cat $files "$@"; echo "${CC-} ${LLVM-} $version"; } | sha256sum | cut -c1-40)
mkdir -p "$out"
up_to_date || one_at_a_time config make_config "$@"
