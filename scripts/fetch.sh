#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Fetch the source package of a supported kernel, verify it, and store the tree as a commit of build/git.
# usage: scripts/fetch.sh          the kernel that KERNEL= or S=kernel:NAME names; without one the first of
#                                  uml-config/kernels/order that can be had, which stays this build's own
#        scripts/fetch.sh NAME     that kernel
# (from the top of the checkout; resumes, and does nothing when done)
set -eu
. scripts/lib/kit.sh
. scripts/lib/kernels.sh

dl=$BUILD/dl

# The mirror is the one this machine's apt is configured for; only the suite differs.
apt_private()
{
	cmd=$1
	shift
	"$cmd" -o "Dir::Etc::sourcelist=$TOP/$dl/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
	    -o "Dir::State::Lists=$TOP/$dl/apt/lists" -o "Dir::Cache=$TOP/$dl/apt/cache" \
	    -o APT::Sandbox::User= -o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}

no_source()
{
	die $EX_HOST "no source of Linux ${k:-of any version}" "$1" "make run LINUX=/path/to/a/kernel/tree"
}

# apt_error LOG: what apt complains of, without the mirror's name.
apt_error()
{
	grep -m1 -E '^[EW]:' "$1" | sed 's,//[^/]*,//...,'
}

# Lists of the suites of all supported kernels, once a call.
private_apt_lists()
{
	[ -z "${listed-}" ] || return 0
	command -v apt-get >/dev/null || no_source "this machine has no apt"
	keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	[ -r $keyring ] || no_source "$keyring is missing (package debian-archive-keyring)"
	# shellcheck disable=SC2016 # apt expands it
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
		 grep -E '/debian/?$' | sort -u | head -n 1)
	[ -n "$mirror" ] || no_source "apt knows no Debian mirror (apt-get indextargets names none)"
	mkdir -p "$dl/apt/lists/partial" "$dl/apt/cache/archives/partial"
	suites=$(for each in $1; do pin "$each" suites; done | tr ' ' '\n' | awk '!seen[$0]++')
	for suite in $suites; do
		echo "deb [signed-by=$keyring] $mirror $suite main"
	done > "$dl/apt/sources.list"
	say APT "lists of $(echo "$suites" | paste -sd' ')"
	apt_private apt-get -qq update >"$dl/apt/log" 2>&1 || no_source "apt-get update failed: $(apt_error "$dl/apt/log")"
	listed=1
}

# choose_version: the pinned one, else the newest of the same series; nothing if no suite has one.
choose_version()
{
	apt_private apt-cache madison "$package" > "$dl/madison" 2>"$dl/apt/log" ||
		no_source "apt-cache failed: $(apt_error "$dl/apt/log")"
	awk -F'|' '{ gsub(/ /, "", $2); print $2 }' "$dl/madison" > "$dl/versions" || exit $EX_HOST
	if grep -qxF "$version" "$dl/versions"; then
		echo "$version"
	else
		sort -rV "$dl/versions" | head -n 1
	fi
}

# download VERSION: into build/dl, whole or not at all.
download()
{
	say FETCH "$package $1"
	quiet=-qq
	[ -t 1 ] && quiet=-q=0
	(cd "$dl" && apt_private apt-get $quiet download "$package=$1") || no_source "the download failed"
	deb=$dl/${package}_$1_all.deb
	if [ "$1" = "$version" ]; then
		sum=$(sha256sum "$deb" | cut -d' ' -f1)
		if [ "$sum" != "$(pin "$k" sha256)" ]; then
			mv "$deb" "$deb.bad"
			die $EX_HOST "the downloaded source is not the pinned one" \
			    "$deb has SHA-256 $sum, uml-config/kernels/$k says $(pin "$k" sha256)" "make fetch KERNEL=$k"
		fi
	fi
	echo "$1" > "$dl/have.tmp"
	mv "$dl/have.tmp" "$dl/have.$k"
}

# part COMMAND...: one command of a pipe, whose status nobody else sees: a failure stands in build/dl/failed.
part()
{
	code=0
	"$@" || code=$?
	[ $code = 0 ] || echo "$1 ended with $code" >> "$dl/failed"
}

# take_out DEB DIR: the kernel tree in the package. What arrived before a failure can look like a tree, and is none.
take_out()
{
	progress=
	[ -t 1 ] && progress='--checkpoint=20000 --checkpoint-action=dot'
	rm -f "$dl/failed"
	# shellcheck disable=SC2086 # two options or none
	part dpkg-deb --fsys-tarfile "$1" | part tar -xOf - --wildcards './usr/src/*.tar.xz' |
		part xz -T0 -dc | part tar -xf - -C "$2" --strip-components=1 $progress
	[ -t 1 ] && echo
	[ ! -s "$dl/failed" ] || no_source "$1 cannot be unpacked: $(paste -sd, "$dl/failed") (remove it to fetch again; df -h $2)"
	[ -f "$2/arch/um/Kconfig" ] || no_source "$1 holds no complete kernel tree (remove it to fetch again)"
}

# Unpack into a directory that the first tree can take over, so that nothing is written twice: build/base.tmp, of the commit in
# build/git/base.commit.
unpack()
{
	src=$BUILD/base.tmp
	rm -rf "$src"
	mkdir -p "$src"
	v=$(cat "$dl/have.$k")
	say UNPACK "$package $v"
	take_out "$dl/${package}_${v}_all.deb" "$src"

	say GIT "base commit of $v (95,000 files)"
	make_repo
	rm -f "$KGIT/base.index" "$KGIT/base.index.lock" "$KGIT/base.commit"
	index=$KGIT/base.index
	GIT_INDEX_FILE=$index GIT_WORK_TREE=$src kgit add -A -f .
	tree=$(GIT_INDEX_FILE=$index kgit write-tree)
	commit=$(echo "Linux $v" | GIT_AUTHOR_DATE='@0 +0000' GIT_COMMITTER_DATE='@0 +0000' kgit commit-tree "$tree")
	echo "$commit" > "$KGIT/base.commit"
	kgit update-ref "refs/mmuml/kernel/$k" "$commit"
}

# have_deb: whether the package is here already, of whichever version it was taken.
have_deb()
{
	v=$(cat "$dl/have.$k" 2>/dev/null || true)
	[ -n "$v" ] && [ -f "$dl/${package}_${v}_all.deb" ]
}

# get KERNEL OTHERS: store it; sets GONE, having said so, if no suite has it any more. OTHERS: whose lists are read too.
get()
{
	k=$1 GONE=
	package=$(pin "$k" package) version=$(pin "$k" version)
	if kgit rev-parse -q --verify "refs/mmuml/kernel/$k" >/dev/null 2>&1; then
		return 0
	fi
	if ! have_deb; then
		private_apt_lists "$k $2"
		v=$(choose_version) || exit $?
		if [ -z "$v" ]; then
			echo "mmuml: notice: $(pin "$k" suites) no longer carry $package" >&2
			GONE=1
			return 0
		fi
		[ "$v" = "$version" ] ||
			echo "mmuml: notice: $package $version is gone from the mirror; taking $v (not verified by the pin)" >&2
		download "$v"
	fi
	unpack
}

fetch()
{
	mkdir -p "$dl"
	if [ -n "$1" ]; then
		get "$1" ""
		[ -z "$GONE" ] || no_source "no suite has $package: $(pin "$1" suites)"
		return 0
	fi
	if kgit rev-parse -q --verify refs/mmuml/base >/dev/null 2>&1; then
		return 0
	fi
	for name in $(kernels); do
		get "$name" "$(kernels | paste -sd' ')"
		if [ -z "$GONE" ]; then
			kgit symbolic-ref refs/mmuml/base "refs/mmuml/kernel/$name"
			return 0
		fi
	done
	k=
	no_source "none of $(kernels | paste -sd' ') is on the mirror"
}

if [ -n "${1-}" ]; then
	one_at_a_time fetch fetch "$1"
elif [ -z "${LINUX-}" ]; then
	asked=$(kernel_asked) || exit $?
	one_at_a_time fetch fetch "$asked"
fi	# else a tree of the user's own is the source
