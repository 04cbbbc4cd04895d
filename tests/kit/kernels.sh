# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Cases about kernels: the supported ones by name, and trees that nobody has seen, into which the kit's patches go as far as
# they fit. The trees are commits of build/git, made without a work tree. Sourced by check.sh.

kernels_by_name()
{
	names=$(kit kernels) here=$(kit kernel_here)
	other=$(echo "$names" | grep -vxF "$here" | head -n 1)
	expect 0 env KERNEL="$here" scripts/tree.sh --name
	same "$(cat "$CHECK/got")" default "this build's own"
	expect 0 env KERNEL="$other" scripts/tree.sh --name
	same "$(cat "$CHECK/got")" "$other-default" "another"
	expect 0 env S=kernel:6.12,rmap-lock-per-avc KERNEL="$other" scripts/tree.sh --name
	same "$(cat "$CHECK/got")" 6.12-rmap-lock-per-avc "in S="
	expect 2 env KERNEL=2.6 scripts/tree.sh --name
	says "no kernel named 2.6" "KERNEL=$(echo "$names" | head -n 1)" "kernels: $(echo "$names" | paste -sd' ')"
	# The word is a common one: of the environment it is somebody else's.
	# shellcheck disable=SC2016 # make expands it
	ask_kernel='kernel-of: ; @echo "kernel <$(KERNEL)> $(TREE)"'
	expect 0 env KERNEL=kernel8 make --eval="$ask_kernel" kernel-of
	says "kernel <> build/trees/default"
	expect 0 env KERNEL=kernel8 make --eval="$ask_kernel" kernel-of KERNEL="$other"
	says "kernel <$other> build/trees/$other-default"
	expect 0 make list
	says "*$here " " $other " " 6.12 "
}

# another_tree HOW FILE...: a commit in build/git, of the kit's own kernel with each FILE changed: renamed, blanks (other ones),
# shifted (further down), rewritten (its lines the other way round). Prints it.
another_tree()
{
	how=$1 base=$(git -C build/git rev-parse refs/mmuml/base)
	shift
	(
		export GIT_DIR=build/git GIT_INDEX_FILE="$CHECK/index"
		git read-tree "$base"
		for f; do
			git cat-file -e "$base:$f" 2>/dev/null || continue
			to=$f
			git show "$base:$f" > "$CHECK/text"
			case $how in
			renamed) to=$(dirname "$f")/x_$(basename "$f") ;;
			blanks) sed -i 's/	/        /' "$CHECK/text" ;;
			shifted) sed -i '1i /* a line more */\n' "$CHECK/text" ;;
			rewritten) tac "$CHECK/text" > "$CHECK/other" && mv "$CHECK/other" "$CHECK/text" ;;
			esac
			printf '0 %040d\t%s\n100644 %s\t%s\n' 0 "$f" "$(git hash-object -w "$CHECK/text")" "$to"
		done > "$CHECK/changes"
		git update-index --index-info < "$CHECK/changes"
		echo another | git -c user.name=u -c user.email=u@localhost commit-tree "$(git write-tree)"
	)
}

# files_of_the_kit: what its patches touch.
files_of_the_kit()
{
	sed -n 's,^--- a/,,p' uml-config/patches/*.patch | sort -u | grep '\.[ch]$'
}

# kit_commits COMMIT: how many of the kit's patches are in the tree that is made of it.
kit_commits()
{
	made=$(S=git:$1 scripts/tree.sh --commit) || return
	git -C build/git rev-list --count "$made" "^$1"
}

# of_topic NAME: how many patches it has for the kit's own kernel.
of_topic()
{
	# shellcheck disable=SC2016 # for that shell
	kit 'series_entries uml-config/patches/series "$(version_number "$(version_of refs/mmuml/base)")"' | grep -c "^$1 "
}

# Each file that the kit's patches touch renamed, or indented by blanks, or with its lines further down: all of them go in.
trees_that_moved()
{
	# shellcheck disable=SC2046 # paths without blanks
	set -- $(files_of_the_kit)
	all=$(git -C build/git rev-list --count "$(S=none scripts/tree.sh --commit)" ^refs/mmuml/base)
	for how in renamed blanks shifted; do
		tree=$(another_tree $how "$@")
		same "$(kit_commits "$tree")" "$all" "patches in a tree whose files are $how"
	done
	# What went in is what stands in the kit's own tree, at its place.
	tree=$(another_tree renamed arch/um/kernel/tlb.c)
	made=$(S=git:$tree scripts/tree.sh --commit)
	same "$(git -C build/git rev-parse "$made:arch/um/kernel/x_tlb.c")" \
	     "$(git -C build/git rev-parse "$(S=none scripts/tree.sh --commit):arch/um/kernel/tlb.c")" "the renamed file"
}

# A topic of which one patch does not fit is left out as a whole, with what needs it, and said with what that means; the others
# are there. No user's change is blamed, and nothing stops.
topic_is_left_out()
{
	tree=$(another_tree rewritten arch/um/kernel/tlb.c)
	none=$(S=none scripts/tree.sh --commit)
	all=$(git -C build/git rev-list --count "$none" ^refs/mmuml/base)
	out=0
	for topic in tlb pgtable valgrind; do
		out=$((out + $(of_topic $topic)))
	done
	same "$(kit_commits "$tree")" $((all - out)) "patches that went in"
	made=$(S=git:$tree scripts/tree.sh --commit)
	# 0003 of the topic fits, and is not in.
	same "$(git -C build/git rev-parse "$made:arch/um/include/asm/pgalloc.h")" \
	     "$(git -C build/git rev-parse "refs/mmuml/base:arch/um/include/asm/pgalloc.h")" "what another patch of the topic touches"
	export S="git:$tree"
	name=$(scripts/tree.sh --name)
	expect 0 scripts/tree.sh
	code=0
	says "LEFT    tlb, not for this tree: a guest process can read or write pages that were taken away" \
	     "Linux $(kit kernel_here) and this tree both changed arch/um/kernel/tlb.c" \
	     "LEFT    pgtable, not for this tree" "it needs topic tlb" \
	     "LEFT    valgrind, not for this tree: make memcheck and make profile are not to be had" || code=1
	says_not "mmuml: error" || code=1
	in_file "left tlb 0002-" "build/stacks/$name" || code=1
	# A profile that needs a topic is refused, for every commit that git bisect would try: it stops there.
	expect 2 scripts/config.sh "build/trees/$name" valgrind || code=1
	says "PROFILE=valgrind is not to be had on this tree" "topic valgrind of uml-config/patches is not in it: 0017-" \
	     "make run PROFILE=fast" || code=1
	git -C build/git worktree remove --force "$TOP/build/trees/$name"
	rm -f "build/stacks/$name"
	return $code
}

# Another form of a patch is taken where its line says so, and a form for other versions only is not missed.
forms_of_a_patch()
{
	printf '%s\n' 0001-a.patch '# topic x: y' '0002-b.patch' '0002-b-6.12.patch until 6.18' '0003-c.patch	since 7.0 # why' \
		'0004-d.patch until 6.12' '0004-d-7.3.patch	since 7.3' '0004-e.patch' > "$CHECK/series"
	for case in "6012 - 0001-a.patch|x 0002-b.patch 0002-b-6.12.patch|x 0004-d.patch|x 0004-e.patch" \
		    "7002 - 0001-a.patch|x 0002-b.patch|x 0003-c.patch|x 0004-e.patch" \
		    "7003 - 0001-a.patch|x 0002-b.patch|x 0003-c.patch|x 0004-d-7.3.patch|x 0004-e.patch"; do
		# shellcheck disable=SC2016 # for that shell
		same "$(kit 'series_entries "$1" "$2"' "$CHECK/series" "${case%% *}" | paste -sd'|')" "${case#* }" "forms for ${case%% *}"
	done
}

# other_context PATCH: its first line of context is one that no file has.
other_context()
{
	awk '/^@@/ { hunk = 1 } hunk && /^ / && !done { $0 = $0 "X"; done = 1 } { print }' "$1" > "$CHECK/damaged"
	cp "$CHECK/damaged" "$1"
}

# Where no ancestor is to be had, a topic is left out for this time only.
ancestor_is_gone()
{
	a_copy
	tree=$(cd "$TOP" && another_tree rewritten arch/um/kernel/stacktrace.c)
	echo 9.9 >> uml-config/kernels/order
	sed 's/7\.2/9.9/' uml-config/kernels/7.2 > uml-config/kernels/9.9
	for f in uml-config/patches/0010-*.patch; do
		# It is not in this build's own kernel either, which would be the ancestor.
		other_context "$f"
		mv "$f" "${f%.patch}-9.9.patch"
	done
	sed -i 's/^0010-\(.*\)\.patch/0010-\1-9.9.patch/' uml-config/patches/series
	stub bin/apt-get 'exit 1'
	expect 0 env PATH="$PWD/bin:$PATH" S="git:$tree" scripts/tree.sh --commit
	made=$(tail -n 1 "$CHECK/got")
	records=$(git -C build/git for-each-ref refs/mmuml/record | wc -l)
	expect 0 env PATH="$PWD/bin:$PATH" S="git:$tree" scripts/tree.sh --commit
	same "$(tail -n 1 "$CHECK/got")" "$made" "the commit"
	same "$(git -C build/git for-each-ref refs/mmuml/record | wc -l)" "$records" "records"
	expect 0 env PATH="$PWD/bin:$PATH" S="git:$tree" scripts/tree.sh
	says "LEFT    frames" "Linux 9.9, to merge it with, is not to be had"
	name=$(S=git:$tree scripts/tree.sh --name)
	git -C build/git worktree remove --force "$TOP/build/trees/$name"
	rm -f "build/stacks/$name"
}

# A patch that goes on none of the supported kernels: the merge on each would ask for the merge on another, and never end.
patch_for_no_kernel()
{
	a_copy
	before=$(scripts/tree.sh --commit)
	other_context mm-changes/mremap-move-page-tables/0002-um-let-mremap-move-page-tables.patch
	expect 5 timeout 300 scripts/tree.sh --commit
	says "0002-um-let-mremap-move-page-tables.patch does not apply" "hunk 1 of arch/um/Kconfig" "does not match the tree"
	cp "$TOP"/mm-changes/mremap-move-page-tables/0002-*.patch mm-changes/mremap-move-page-tables/
	# A topic of the kit's is left out, and the rest is in.
	other_context "$(echo uml-config/patches/0010-*.patch)"
	expect 0 timeout 300 scripts/tree.sh --commit
	same "$(git -C build/git rev-list --count "refs/mmuml/base..$(tail -n 1 "$CHECK/got")")" \
	     "$(($(git -C build/git rev-list --count "refs/mmuml/base..$before") - $(of_topic frames)))" "commits without the topic"
}

# stub_mirror PACKAGE=VERSION...: apt in $PWD/bin that has only these packages, whose kernel trees are a few files.
stub_mirror()
{
	mkdir -p bin mirror linux/arch/um linux/mm
	: > mirror/list
	for have; do
		echo " ${have%%=*} | ${have#*=} | http://localhost/debian sid/main amd64 Packages" >> mirror/list
	done
	printf '%s\n' "VERSION = 7" "PATCHLEVEL = 3" "SUBLEVEL = 9" > linux/Makefile
	echo word > linux/arch/um/Kconfig
	mkdir -p usr/src
	tar -cJf usr/src/linux.tar.xz linux
	tar -cf whole.tar ./usr/src/linux.tar.xz
	# shellcheck disable=SC2016 # for the stub
	stub bin/apt-get 'case " $* " in' \
		'*" indextargets "*) echo http://localhost/debian ;;' \
		'*" download "*) for last; do :; done; : > "${last%%=*}_${last#*=}_all.deb" ;;' 'esac'
	# shellcheck disable=SC2016 # for the stub
	stub bin/apt-cache "for last; do :; done" "grep \"^ \$last \" '$PWD/mirror/list' || true"
	stub bin/dpkg-deb "cat '$PWD/whole.tar'"
}

# A mirror that has another version of the series, or another supported kernel: one line of notice, and a kernel.
mirror_moves_on()
{
	a_copy
	rm build
	first=$(kit kernels | sed -n 1p) second=$(kit kernels | sed -n 2p)
	stub_mirror "linux-source-$first=$first.99-1" "linux-source-$second=$second.99-1"
	export PATH="$PWD/bin:$PATH"
	expect 0 scripts/fetch.sh
	says "notice: linux-source-$first $(sed -n 's/^version=//p' "uml-config/kernels/$first") is gone from the mirror; taking $first.99-1"
	same "$(git -C build/git symbolic-ref refs/mmuml/base)" "refs/mmuml/kernel/$first" "the kernel"
	rm -rf build
	stub_mirror "linux-source-$second=$second.99-1"
	expect 0 scripts/fetch.sh
	says "notice: $(sed -n 's/^suites=//p' "uml-config/kernels/$first") no longer carry linux-source-$first" "taking $second.99-1"
	same "$(git -C build/git symbolic-ref refs/mmuml/base)" "refs/mmuml/kernel/$second" "the kernel"
	same "$(git -C build/git show refs/mmuml/base:arch/um/Kconfig)" word "its source"
	same "$(scripts/tree.sh --name)" default "the name of its tree"
	# Asked for by name there is no other.
	expect 3 env KERNEL="$first" scripts/fetch.sh
	says "no source of Linux $first" "no suite has linux-source-$first"
	rm -rf build
	stub_mirror
	expect 3 scripts/fetch.sh
	says "no source of Linux of any version" "none of $(kit kernels | paste -sd' ') is on the mirror"
}

# An option that a tree of the user's does not offer is said and left out; one that the profile is nothing without is not.
options_of_another_tree()
{
	a_copy
	with_fragment odd CONFIG_NUMA=y
	cp build/stacks/default "$CHECK/kept"
	sed 's|^linux .*|linux /home/dev/linux|' "$CHECK/kept" > build/stacks/default
	code=0
	expect 0 scripts/config.sh build/trees/default odd || code=1
	says "LEFT    CONFIG_NUMA=y: " || code=1
	sed -i '2i # Must: NUMA' uml-config/fragments/odd.config
	expect 6 scripts/config.sh build/trees/default odd || code=1
	says "option lost: CONFIG_NUMA=y" "uml-config/fragments/odd.config:5" || code=1
	cp "$CHECK/kept" build/stacks/default
	with_fragment odd "CONFIG_NUMA=y # since 9.9"
	expect 0 scripts/config.sh build/trees/default odd || code=1
	says_not CONFIG_NUMA || code=1
	with_fragment odd "CONFIG_NUMA=y # until 9.9"
	expect 6 scripts/config.sh build/trees/default odd || code=1
	rm -rf "$TOP/build/trees/default/build-odd"
	return $code
}

# What works on which kernel, tried again, is what uml-config/README.md says.
table_of_kernels()
{
	sed -n '/^<!-- table: kernels -->$/,/^<!-- end of table -->$/p' uml-config/README.md | grep '^|' > "$CHECK/stated"
	scripts/kernels.sh > "$CHECK/tried" 2> "$CHECK/log"
	# How many tests there are, and so how many pass, changes with each that is written; how many fail does not.
	for f in stated tried; do
		sed -E 's/[0-9]+ (pass|skip)/N \1/g; /^\| skipped for want of/d' "$CHECK/$f" > "$CHECK/$f.words"
	done
	same_files "$CHECK/stated.words" "$CHECK/tried.words"
	[ "$(grep -o '[0-9]* fail' "$CHECK/tried" | sort -u)" = "0 fail" ]
}

kernel_cases()
{
	t -host kernels.names kernels_by_name
	t -x tree -x out -full kernels.table table_of_kernels
	t -host kernels.forms forms_of_a_patch
	t -host kernels.mirror_moves_on mirror_moves_on
	t -x tree kernels.moved trees_that_moved
	t -x tree kernels.topic_left_out topic_is_left_out
	t -x tree kernels.ancestor_gone ancestor_is_gone
	t -x tree kernels.options options_of_another_tree
	t kernels.no_kernel patch_for_no_kernel
}
