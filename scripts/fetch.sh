#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Fetch the pinned kernel source package, verify it, and store the tree as the base commit of build/git.
# usage: scripts/fetch.sh     (from the top of the checkout; resumes, and does nothing when done)
set -eu
. scripts/lib/kit.sh

package=$(pin package)
version=$(pin version)
kernel=$(pin kernel)
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
	die $EX_HOST "no source of Linux $kernel" "$1" "make run LINUX=/path/to/a/kernel/tree"
}

private_apt_lists()
{
	command -v apt-get >/dev/null || no_source "this machine has no apt"
	keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	[ -r $keyring ] || no_source "$keyring is missing (package debian-archive-keyring)"
	# shellcheck disable=SC2016 # apt expands it
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
		 grep -E '/debian/?$' | sort -u | head -n 1)
	[ -n "$mirror" ] || no_source "apt knows no Debian mirror (apt-get indextargets names none)"
	mkdir -p "$dl/apt/lists/partial" "$dl/apt/cache/archives/partial"
	for suite in $(pin suites); do
		echo "deb [signed-by=$keyring] $mirror $suite main"
	done > "$dl/apt/sources.list"
	say APT "lists of $(pin suites)"
	apt_private apt-get -qq update >"$dl/apt/log" 2>&1 ||
		no_source "apt-get update failed: $(grep -m1 -E '^[EW]:' "$dl/apt/log" | sed 's,//[^/]*,//...,')"
}

# Print the version to take: the pinned one, else the newest of the same series.
choose_version()
{
	apt_private apt-cache madison "$package" > "$dl/madison" 2>"$dl/apt/log" ||
		no_source "apt-cache failed: $(grep -m1 -E '^[EW]:' "$dl/apt/log")"
	awk -F'|' '{ gsub(/ /, "", $2); print $2 }' "$dl/madison" > "$dl/versions" || exit $EX_HOST
	if grep -qxF "$version" "$dl/versions"; then
		echo "$version"
	else
		sort -rV "$dl/versions" | head -n 1
	fi
}

download()
{
	private_apt_lists
	v=$(choose_version) || exit $?
	[ -n "$v" ] || no_source "$(pin suites) no longer carry $package"
	if [ "$v" != "$version" ]; then
		echo "mmuml: warning: $package $version is gone from the mirror; taking $v (not verified by the pin)" >&2
	fi
	say FETCH "$package $v"
	quiet=-qq
	[ -t 1 ] && quiet=-q=0
	(cd "$dl" && apt_private apt-get $quiet download "$package=$v") || no_source "the download failed"
	deb=$dl/${package}_${v}_all.deb
	if [ "$v" = "$version" ]; then
		sum=$(sha256sum "$deb" | cut -d' ' -f1)
		if [ "$sum" != "$(pin sha256)" ]; then
			mv "$deb" "$deb.bad"
			die $EX_HOST "the downloaded source is not the pinned one" \
			    "$deb has SHA-256 $sum, uml-config/kernel.pin says $(pin sha256)" "make fetch"
		fi
	fi
	echo "$v" > "$dl/have.tmp"
	mv "$dl/have.tmp" "$dl/have"
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

# Unpack into a directory that the first tree can take over, so that nothing is written twice.
unpack()
{
	src=$BUILD/base.tmp
	rm -rf "$src"
	mkdir -p "$src"
	v=$(cat "$dl/have")
	say UNPACK "$package $v"
	take_out "$dl/${package}_${v}_all.deb" "$src"

	say GIT "base commit of $kernel (95,000 files)"
	make_repo
	rm -f "$KGIT/base.index" "$KGIT/base.index.lock"
	index=$KGIT/base.index
	GIT_INDEX_FILE=$index GIT_WORK_TREE=$src kgit add -A -f .
	tree=$(GIT_INDEX_FILE=$index kgit write-tree)
	commit=$(echo "Linux $v" | GIT_AUTHOR_DATE='@0 +0000' GIT_COMMITTER_DATE='@0 +0000' kgit commit-tree "$tree")
	kgit update-ref refs/mmuml/base "$commit"
}

fetch()
{
	mkdir -p "$dl"
	if kgit rev-parse -q --verify refs/mmuml/base >/dev/null 2>&1; then
		return 0
	fi
	v=$(cat "$dl/have" 2>/dev/null || true)
	if [ -z "$v" ] || [ ! -f "$dl/${package}_${v}_all.deb" ]; then
		download
	fi
	unpack
}

# A tree of the user's own is the source then.
[ -n "${LINUX-}" ] || one_at_a_time fetch fetch
