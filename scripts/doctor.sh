#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What this machine lacks to build and run the kit.
# usage: scripts/doctor.sh            report everything, as a table
#        scripts/doctor.sh --install  install what is missing (silent if nothing is)
#        scripts/doctor.sh --want PACKAGE   install what one verb alone needs
# Packages are named before they are installed, and on a terminal the user is asked; YES=1: not asked.
set -eu
. scripts/lib/kit.sh

# Debian's package, what shows that it is there, Fedora's package, Arch's, and why we want it.
needs()
{
	cat <<-'EOF'
	gcc             cmd:gcc                         gcc                      gcc         kernel, guest and host programs
	libc6-dev       static:stdio.h                  glibc-devel,glibc-static glibc       the same, and the guest's programs are static
	make            cmd:make                        make                     make        the interface, and kbuild
	git             cmd:git                         git                      git         the managed tree: one commit per patch
	flex            cmd:flex                        flex                     flex        kbuild's kconfig
	bison           cmd:bison                       bison                    bison       kbuild's kconfig
	bc              cmd:bc                          bc                       bc          kbuild's timeconst
	xz-utils        cmd:xz                          xz                       xz          the source package is .tar.xz
	cpio            cmd:cpio                        cpio                     cpio        the guest's initramfs
	util-linux      cmd:mkswap                      util-linux               util-linux  the guest's swap device
	e2fsprogs       cmd:mkfs.ext4                   e2fsprogs                e2fsprogs   the guest's ext4 device
	libelf-dev      header:gelf.h                   elfutils-libelf-devel    libelf      libdw's companion
	libdw-dev       header:elfutils/libdwfl.h       elfutils-devel           elfutils    addresses to file:line, stacks of a live kernel
	libjansson-dev  header:jansson.h                jansson-devel            jansson     results.json
	libexpat1-dev   header:expat.h                  expat-devel              expat       make memcheck reads valgrind's XML
	valgrind        file:/usr/include/valgrind/memcheck.h valgrind-devel           valgrind    make memcheck, make profile; its headers: the kernel of profile valgrind
	ccache          cmd:ccache                      ccache                   ccache      a second build of the same source in seconds
	busybox-static  file:/bin/busybox               busybox                  busybox     the shell in the guest
	shellcheck      cmd:shellcheck                  ShellCheck               shellcheck  make check
	hyperfine       cmd:hyperfine                   hyperfine                hyperfine   make bench
	gnuplot-nox     cmd:gnuplot                     gnuplot                  gnuplot     make compare: plots of counters over a parameter
	jq              cmd:jq                          jq                       jq          make check reads results.json with it
	python3         cmd:python3                     python3                  python      kbuild's compile_commands.json and gdb scripts
	gdb             cmd:gdb                         gdb                      gdb         make gdb, make interleave
	graphviz        cmd:dot                         graphviz                 graphviz    make rmap-graph: the picture
	EOF
}

# The same of what one verb alone needs: that verb asks for it, no other misses it.
wants()
{
	cat <<-'EOF'
	lcov            cmd:genhtml                     lcov                     lcov        make coverage HTML=1: the pages
	b4              cmd:b4                          b4                       b4          a mail box with several versions of a series: which mails are it
	libcap-dev      header:sys/capability.h         libcap-devel,libcap-static libcap    make selftests
	libnuma-dev     header:numa.h                   numactl-devel            numactl     make selftests
	liburcu-dev     header:urcu.h                   userspace-rcu-devel     userspace-rcu-devel make selftests
	liburing-dev    header:liburing.h               liburing-devel           liburing    make selftests
	EOF
}

# links_statically HEADER: a program that includes it can be made without shared libraries.
links_statically()
{
	linked=0
	printf '#include <%s>\nint main(void) { return 0; }\n' "$1" |
		${CC:-gcc} -static -x c -o "$BUILD/static.$$" - >/dev/null 2>&1 || linked=1
	rm -f "$BUILD/static.$$"
	return $linked
}

have()
{
	case $1 in
	cmd:*)	command -v "${1#cmd:}" >/dev/null ;;
	file:*)	[ -e "${1#file:}" ] ;;
	header:*) printf '#include <%s>\n' "${1#header:}" | ${CC:-gcc} -E -x c - >/dev/null 2>&1 ;;
	static:*) links_statically "${1#static:}" ;;
	esac
}

# Of the lines on standard input: the packages that are not there.
missing()
{
	while read -r package probe _; do
		have "$probe" || echo "$package"
	done
}

# refused LIST: what to type instead.
refused()
{
	echo >&2
	die $EX_HOST "missing: $1" "not installed, since you did not agree" \
	    "${sudo:+sudo }apt-get install --no-install-recommends $1, or the same make with YES=1"
}

# ask_first LIST: say what is going to be installed; on a terminal nothing happens without a yes.
ask_first()
{
	say DEPS "$1"
	[ "${YES-}" != 1 ] && [ -t 0 ] && [ -t 2 ] || return 0
	# first the trap: who sees the question may answer it with ^C at once
	trap 'refused "$1"' INT
	printf '          %sapt-get install --no-install-recommends %s\n          install these packages? [Y/n] ' "${sudo:+sudo }" "$1" >&2
	read -r answer || refused "$1"
	trap - INT
	case $answer in
	''|y|Y|yes|Yes|YES) ;;
	*) refused "$1" ;;
	esac
}

# elsewhere COLUMN LIST: what another distribution calls them, from that column of the lists.
elsewhere()
{
	{ needs; wants; } | awk -v column="$1" -v list=" $2 " 'index(list, " " $1 " ") { print $column }' | tr ',' '\n' | sort -u | paste -sd' '
}

# may_install LIST: there is apt, and we may call it; sudo is "sudo" where it takes that.
may_install()
{
	if ! command -v apt-get >/dev/null; then
		looked=$({ needs; wants; } | awk -v list=" $1 " 'index(list, " " $1 " ") { print $2 }' | sed 's/^cmd:/command /; s/^header:/header /
			s/^file:/file /; s/^static:/static libc, by header /' | paste -sd, | sed 's/,/, /g')
		fedora="dnf install $(elsewhere 3 "$1")" arch="pacman -S $(elsewhere 4 "$1")"
		if command -v dnf >/dev/null; then
			try=$fedora
		elif command -v pacman >/dev/null; then
			try=$arch
		else
			try="Debian: $1; Fedora: $fedora; Arch: $arch"
		fi
		die $EX_HOST "missing: $1" "this machine has no apt; looked for: $looked" "$try"
	fi
	sudo=
	[ "$(id -u)" != 0 ] || return 0
	sudo -n true 2>/dev/null ||
		die $EX_HOST "missing: $1" "not root, and no passwordless sudo" \
		    "sudo apt-get install --no-install-recommends $1"
	sudo=sudo
}

install_missing()
{
	# shellcheck disable=SC2086 # a list of package names
	set -- $1
	may_install "$*"
	ask_first "$*"
	export DEBIAN_FRONTEND=noninteractive
	log=$BUILD/deps.log
	$sudo apt-get install -y -q --no-install-recommends "$@" >"$log" 2>&1 </dev/null ||
		{ $sudo apt-get update >>"$log" 2>&1 </dev/null &&
		  $sudo apt-get install -y -q --no-install-recommends "$@" >>"$log" 2>&1 </dev/null; } ||
		die $EX_HOST "the packages could not be installed" "$(grep -m1 '^E:' "$log")" \
		    "sudo apt-get install --no-install-recommends $*   (log: $log)"
}

table()
{
	{ needs; wants | sed 's/$/ (installed when asked for)/'; } | while read -r package probe _ _ why; do
		state=ok
		have "$probe" || state=MISSING
		case $state$why in "MISSING"*"(installed when asked for)") state=- ;; esac
		printf '  %-16s %-8s %s\n' "$package" "$state" "$why"
	done
	if [ -x "$BUILD/host/mmuml-run" ]; then
		"$BUILD/host/mmuml-run" --doctor
	else
		say HOST "ptrace, seccomp and memory are checked once the runner is built (make build)"
	fi
}

# not_ours PATH: why it cannot be written, and what helps.
not_ours()
{
	at=$(realpath "$1")
	why=$(touch "$1" 2>&1 | sed -n '$s/.*: //p')
	case $why in
	'' | 'Permission denied')
		die $EX_HOST "$at cannot be written" "it belongs to $(stat -c %U "$1"), you are $(id -un 2>/dev/null || true)" \
		    "sudo chown -R $(id -u) $at, or a clone of your own" ;;
	*) die $EX_HOST "$at cannot be written" "$why" "a clone elsewhere: git clone $(realpath .)" ;;
	esac
}

# may_write: build/ and out/ are this user's, all of them; a make as root leaves files that later ones cannot replace.
may_write()
{
	[ -d "$BUILD" ] && [ -d out ] || [ -w . ] || not_ours .
	for d in "$BUILD" out; do
		[ ! -d "$d" ] || [ -w "$d" ] || not_ours "$d"
		[ ! -d "$d" ] || [ "$(id -u)" = 0 ] || alien=$(find "$d" -maxdepth 3 ! -user "$(id -u)" -print -quit)
		[ -z "${alien-}" ] || not_ours "$alien"
	done
}

# gnu_tools: the kit's scripts are written for GNU's; BusyBox or others may stand before them in PATH.
gnu_tools()
{
	while read -r tool words; do
		# shellcheck disable=SC2086 # words
		if ! why=$("$tool" $words 2>&1 >/dev/null </dev/null); then
			die $EX_HOST "$(command -v "$tool") is not GNU's $tool" "$tool $words: $(echo "$why" | head -n 1)" \
			    "PATH=/usr/bin:\$PATH make run"
		fi
	done <<-'EOF'
	find / -maxdepth 0 -printf %T@
	stat -c %Y -L /
	realpath -m /no/such/directory
	sort -sV /dev/null
	cp --reflink=auto -t /dev/null --version
	sed -Ez p /dev/null
	xargs -0 -r true
	grep -qP ^ /proc/version
	paste -sd, /dev/null
	env --default-signal=INT true
	timeout 1 true
	EOF
}

PATH=$PATH:/usr/sbin:/sbin
may_write
mkdir -p "$BUILD"
case ${1-} in
--install)
	stamp=$BUILD/deps.ok
	if [ "$(cat "$BUILD/tools.ok" 2>/dev/null)" != "$PATH" ]; then
		gnu_tools
		echo "$PATH" > "$BUILD/tools.ok"
	fi
	# A new list, or a change of the machine's packages, is looked at again.
	if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(cksum < "$0")" ] &&
	   [ -z "$(find /var/lib/dpkg/status -newer "$stamp" 2>/dev/null)" ]; then
		exit 0
	fi
	lack=$(needs | missing | tr '\n' ' ')
	[ -z "$lack" ] || install_missing "$lack"
	lack=$(needs | missing | tr '\n' ' ')
	[ -z "$lack" ] || die $EX_HOST "still missing: $lack" "installed, but not found in PATH=$PATH" "make doctor"
	cksum < "$0" > "$stamp"
	;;
--want)
	lack=$(wants | grep "^$2[[:space:]]" | missing)
	[ -z "$lack" ] || install_missing "$lack"
	;;
'')
	table
	lack=$(needs | missing | tr '\n' ' ')
	if [ -n "$lack" ]; then
		die $EX_HOST "missing: $lack" "" "make deps"
	fi
	;;
*)
	die $EX_USAGE "doctor.sh: unknown argument $1" "" "make help"
	;;
esac
