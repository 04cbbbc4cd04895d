# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Cases about whole machines: other compilers, the newest distribution, a path of 300 characters. Each builds a kernel from nothing,
# so all are for FULL=1. Sourced by check.sh.

# fresh_clone DIR: this checkout's commit in DIR, with its downloads and what ccache has.
fresh_clone()
{
	mkdir -p "$(dirname "$1")"
	git clone -q "$TOP" "$1"
	mkdir -p "$1/build"
	cp -a "$TOP/build/dl" "$TOP/build/ccache" "$1/build/"
}

# compilers: those that are installed beside the default one, "gcc-13 clang-19".
compilers()
{
	for dir in $(echo "$PATH" | tr : ' '); do
		ls "$dir" 2>/dev/null
	done | grep -xE '(gcc|clang)-[0-9]+' | sort -u | grep -vx "gcc-$(gcc -dumpversion)" || true
}

# Each compiler makes the host's programs and the guest's without a word, and a kernel that says by whom it is made; one that the
# kernel takes for too old is refused in the kernel's own words.
every_compiler()
{
	mkdir -p "$CHECK/one"
	tree=build/trees/default
	echo '/* made by another compiler */' >> $tree/mm/mremap.c
	{ printf 'From: a developer <dev@localhost>\nSubject: [PATCH] mm/mremap: a word\n\n---\n'; git -C $tree diff mm/mremap.c; } > "$CHECK/one/0001.patch"
	git -C $tree checkout -q mm/mremap.c
	for cc in $(compilers); do
		expect 0 make -s -C scripts OUT="$CHECK/host-$cc" CC="$cc"
		says_not warning
		expect 0 make -s -C tests TREE="$TOP/$tree" OUT="$CHECK/guest-$cc" CC="$cc"
		says_not warning
		rm -rf "$CHECK/host-$cc" "$CHECK/guest-$cc"
		ended=0
		case $cc in
		clang-*) make run LLVM="-${cc#clang-}" S="default,$CHECK/one" T='rmap.clone.*' NOTE="$CHECK/note" ;;
		*) make run CC="$cc" S="default,$CHECK/one" T='rmap.clone.*' NOTE="$CHECK/note" ;;
		esac > "$CHECK/got" 2>&1 < /dev/null || ended=$?
		if [ $ended = 0 ]; then
			says "mmuml: PASS 27 of 27"
			log=$(cat "$CHECK/note")/console.log
			grep -m1 "Linux version" "$log" > "$CHECK/version"
			in_file "$(echo "$cc" | sed 's/gcc-.*/gcc/; s/-/ version /') " "$CHECK/version" ||
				in_file "${cc%-*}" "$CHECK/version"
			in_file "${cc#*-}." "$CHECK/version"
			echo "$cc: $(cat "$CHECK/version")"
		else
			says "is too old" "mmuml: error: "
			echo "$cc: $(grep -m1 'is too old' "$CHECK/got")"
		fi
	done
}

# Where a socket's name would have no room, and a shebang's.
long_path()
{
	part=$(printf 'd%.0s' $(seq 140))
	long=$CHECK/$part/$part/kit
	[ ${#long} -gt 300 ]
	fresh_clone "$long"
	cd "$long" || return
	expect 0 make run T='mremap.shrink.*'
	says "mmuml: PASS 8 of 8"
	expect 0 make gdb T=mremap.move.arrives-page B=move_page_tables CMD=mm-vmas
	says "[stack]"
	expect 0 make coverage T='mremap.shrink.*'
	says "mm/mremap.c"
	expect 0 make memcheck T=mremap.shrink.tables
	says "mmuml: PASS 1 of 1"
	cd "$TOP" || return
	rm -rf "${CHECK:?}/$part"
}

# Debian's newest of everything, in a directory of its own.
newest_tools()
{
	root=$CHECK/sid
	# shellcheck disable=SC2016 # apt-get expands it
	mirror=$(apt-get indextargets --format '$(SUITE) $(REPO_URI)' 'Created-By: Packages' | grep -v security | sed -n '1s/[^ ]* //p')
	expect 0 debootstrap --variant=minbase --include=make,git,ca-certificates sid "$root" "$mirror"
	cp -L /etc/resolv.conf "$root/etc/"
	for f in /etc/apt/apt.conf.d/*; do
		! grep -qi proxy "$f" || cp "$f" "$root/etc/apt/apt.conf.d/"
	done
	fresh_clone "$root/kit"
	cat > "$root/try.sh" <<-'END'
	set -eux
	cd /kit
	git config --global --add safe.directory '*'
	make deps
	gcc --version
	make run
	make gdb T=mremap.move.arrives-page B=move_page_tables CMD=mm-vmas
	make coverage HTML=1 T='mremap.shrink.*'
	make memcheck T=mremap.shrink.tables
	make profile T=mremap.shrink.tables
	make run PROFILE=debug T='rmap.*'
	END
	expect 0 privately "mount --rbind /proc $root/proc; mount --rbind /sys $root/sys; mount --rbind /dev $root/dev
		mount -t tmpfs -o size=6G none $root/dev/shm; chroot $root sh /try.sh"
	says "[stack]" "mm/mremap.c" "mmuml: PASS 1 of 1"
	grep -E '^(gcc|mmuml: )' "$CHECK/got"
	rm -rf "$root"
}

machine_cases()
{
	t -x out -x compilers -full build.compilers every_compiler
	t -host -may ptrace -full build.long_path long_path
	t -host -may debootstrap -full host.newest newest_tools
}
