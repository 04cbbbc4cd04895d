# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Cases about the stages from source to kernel: tree, config, build. Sourced by check.sh.
# Long, for the cases of one subject share their helpers, and are looked for in one place.

tree_head()
{
	git -C build/trees/default rev-parse HEAD
}

patch_does_not_apply()
{
	before=$(tree_head)
	mkdir -p "$CHECK/bad"
	cat > "$CHECK/bad/0001-bad.patch" <<-'EOF'
	From: A Developer <dev@localhost>
	Date: Thu, 1 Jan 1970 00:00:00 +0000
	Subject: [PATCH] mm: change what is not there

	---
	diff --git a/mm/mremap.c b/mm/mremap.c
	--- a/mm/mremap.c
	+++ b/mm/mremap.c
	@@ -100,3 +100,3 @@
	 nothing like this
	-stands in the file
	+or ever did
	 at all
	EOF
	expect 5 env S="$CHECK/bad" scripts/tree.sh
	says "patch \"mm: change what is not there\" of $CHECK/bad does not apply" "hunk 1 of mm/mremap.c (line 100)" "try:"
	same "$(tree_head)" "$before" "the tree's commit"
}

missing_patch_file()
{
	a_copy
	echo 0000-gone.patch >> uml-config/patches/series
	expect 5 scripts/tree.sh
	says "no patch uml-config/patches/0000-gone.patch"
}

unknown_series()
{
	expect 2 env S=mremap-mov scripts/tree.sh
	says "no change named mremap-mov" "mremap-move-page-tables"
}

unknown_profile()
{
	expect 2 scripts/config.sh build/trees/default fastt
	says "no profile named fastt" "fast"
}

edits_survive()
{
	tree=build/trees/default
	head=$(tree_head)
	echo '/* an edit of the user */' >> $tree/mm/mremap.c
	expect 0 scripts/tree.sh
	in_file "an edit of the user" $tree/mm/mremap.c
	# A stack that would overwrite the edit is refused, and the edit stays.
	a_copy
	sed -i '1i # changed' uml-config/patches/series
	cat > uml-config/patches/9999-edit.patch <<-'EOF'
	From: A Developer <dev@localhost>
	Date: Thu, 1 Jan 1970 00:00:00 +0000
	Subject: [PATCH] mm: touch the same file

	---
	diff --git a/mm/mremap.c b/mm/mremap.c
	--- a/mm/mremap.c
	+++ b/mm/mremap.c
	@@ -1,2 +1,3 @@
	 // SPDX-License-Identifier: GPL-2.0
	+// the kit's
	 /*
	EOF
	echo 9999-edit.patch >> uml-config/patches/series
	code=0
	expect 5 scripts/tree.sh || code=1
	says "has edits of yours" || code=1
	cd "$TOP" || return
	in_file "an edit of the user" $tree/mm/mremap.c || code=1
	sed -i '/an edit of the user/d' $tree/mm/mremap.c
	same "$(tree_head)" "$head" "the tree's commit"
	git -C $tree diff --quiet
	return $code
}

# with_fragment NAME TEXT: a profile of that name, in the copy, of fast's fragments and one more.
with_fragment()
{
	printf '%s\n' "# TAG: $1" "# Why: a case of make check." "# Cost: none." "$2" > "uml-config/fragments/$1.config"
	{ cat uml-config/profiles/fast; echo "$1"; } > "uml-config/profiles/$1"
}

lost_option()
{
	a_copy
	with_fragment lost CONFIG_NUMA=y
	expect 6 scripts/config.sh build/trees/default lost
	rm -rf "$TOP/build/trees/default/build-lost"
	says "option lost: CONFIG_NUMA=y" "uml-config/fragments/lost.config:4"
	with_fragment lost CONFIG_TRANSPARENT_HUGEPAGE=y
	expect 6 scripts/config.sh build/trees/default lost
	rm -rf "$TOP/build/trees/default/build-lost"
	says "CONFIG_TRANSPARENT_HUGEPAGE=y" "mm/Kconfig:" "HAVE_ARCH_TRANSPARENT_HUGEPAGE=n"
}

contradiction()
{
	a_copy
	with_fragment contra CONFIG_KSM=n
	expect 6 scripts/config.sh build/trees/default contra
	rm -rf "$TOP/build/trees/default/build-contra"
	says "CONFIG_KSM=n at uml-config/fragments/contra.config:4 contradicts CONFIG_KSM=y at uml-config/fragments/mm.config:"
}

malformed_fragment()
{
	a_copy
	with_fragment odd "KSM yes please"
	expect 6 scripts/config.sh build/trees/default odd
	rm -rf "$TOP/build/trees/default/build-odd"
	says "not a setting: KSM yes please at uml-config/fragments/odd.config:4"
}

# A profile that names nothing is no kernel without options.
hollow_profile()
{
	a_copy
	echo "# nothing" > uml-config/profiles/hollow
	expect 6 scripts/config.sh build/trees/default hollow
	says "profile hollow names no fragment"
	expect 6 scripts/config.sh build/trees/default fast no/such.config
	says "no fragment no/such.config"
}

# A make that is killed with all that waits for it says nothing: that is no kernel that was built.
make_is_killed()
{
	rm -rf "${CHECK:?}/bin"
	mkdir -p "$CHECK/bin"
	cat > "$CHECK/bin/make" <<-EOF
	#!/bin/sh
	[ -e "$CHECK/bin/killed" ] && exec /usr/bin/make "\$@"
	: > "$CHECK/bin/killed"
	kill -KILL \$PPID
	EOF
	chmod 755 "$CHECK/bin/make"
	rm -f "$OUT/.build.key"
	expect 7 env PATH="$CHECK/bin:$PATH" scripts/build.sh build/trees/default fast
	says "the kernel does not build" "make was killed"
	expect 0 scripts/build.sh build/trees/default fast
}

# The short way needs all that kbuild kept; what it does not find is left to kbuild.
short_way_is_whole()
{
	tree=build/trees/default
	expect 0 scripts/build.sh $tree fast
	touch $tree/mm/mremap.c
	build/host/mmuml-fresh check "$OUT" > "$OUT/.changed" || true
	cp -p "$OUT/mm/.mremap.o.cmd" "$CHECK/cmd"
	sed -i 's/^savedcmd_/lost_/' "$OUT/mm/.mremap.o.cmd"
	expect 1 scripts/build/short.sh $tree fast
	cp -p "$CHECK/cmd" "$OUT/mm/.mremap.o.cmd"
	for needed in .link.args .objects .build.env; do
		mv "$OUT/$needed" "$CHECK/needed"
		expect 1 scripts/build/short.sh $tree fast
		mv "$CHECK/needed" "$OUT/$needed"
	done
	# What is made of more than the compiler's output, and what nobody knows.
	for odd in ../scripts/mod/modpost.c ../mm ../mm/Makefile ../mm/no-such.c; do
		echo "$odd" > "$OUT/.changed"
		expect 1 scripts/build/short.sh $tree fast
	done
	echo ../mm/mremap.c > "$OUT/.changed"
	# As kernels before 6.2 keep it.
	sed -i 's/^savedcmd_/cmd_/' "$OUT/mm/.mremap.o.cmd"
	expect 0 scripts/build/short.sh $tree fast
	in_file "CC      mm/mremap.o" "$OUT/build.log"
	in_file "LD      vmlinux" "$OUT/build.log"
	cp -p "$CHECK/cmd" "$OUT/mm/.mremap.o.cmd"
	rm -f "$OUT/.build.key"
	expect 0 scripts/build.sh $tree fast
}

# Editors ask the compiler itself; kbuild's own records keep what was run.
editors_get_the_compiler()
{
	json=$OUT/compile_commands.json
	touch build/trees/default/mm/mremap.c
	expect 0 scripts/build.sh build/trees/default fast
	same "$(jq -r '.[].command' "$json" | cut -d' ' -f1 | sort -u)" gcc "what the commands begin with"
	jq -r '.[] | select(.file | endswith("/mm/mremap.c")) | "cd \(.directory) && \(.command)"' "$json" |
		sed 's/ -Wp,-MMD,[^ ]*//; s/ -c -o [^ ]* / -fsyntax-only /' > "$CHECK/check.sh"
	in_file -fsyntax-only "$CHECK/check.sh"
	expect 0 sh -eu "$CHECK/check.sh"
	in_file scripts/cc.sh "$OUT/mm/.mremap.o.cmd"
	# And when it is made anew.
	touch "$OUT/.config"
	expect 0 scripts/build.sh build/trees/default fast
	same "$(jq -r '.[].command' "$json" | cut -d' ' -f1 | sort -u)" gcc "what the new commands begin with"
}

# Who builds one tree waits for no other's build, but for one that has the same directory.
locks_are_of_a_tree()
{
	expect 0 flock build/another.build-fast.lock timeout 60 scripts/build.sh build/trees/default fast
	says_not WAIT
	expect 124 flock build/default.build-fast.lock timeout 2 scripts/build.sh build/trees/default fast
	says "another mmuml holds build/default.build-fast.lock"
	rm -f build/another.build-fast.lock
}

does_not_compile()
{
	tree=build/trees/default
	echo 'int broken = ;' >> $tree/mm/mremap.c
	code=0
	expect 7 scripts/build.sh $tree fast || code=1
	says "the kernel does not build" "mm/mremap.c" || code=1
	sed -i '/int broken = ;/d' $tree/mm/mremap.c
	# The previous kernel still runs, and the next build is whole again.
	[ -x $tree/build-fast/vmlinux ] || code=1
	expect 0 scripts/build.sh $tree fast || code=1
	expect 0 run_guest --tests kit.plain.pass || code=1
	return $code
}

# A source that is gone, whose object is still asked for and still there: that is no build.
source_is_gone()
{
	tree=build/trees/default
	echo 'int kit_gone;' > $tree/mm/kit_gone.c
	echo 'obj-y += kit_gone.o' >> $tree/mm/Makefile
	code=0
	expect 0 scripts/build.sh $tree fast || code=1
	rm $tree/mm/kit_gone.c
	expect 7 scripts/build.sh $tree fast || code=1
	says "the kernel does not build" kit_gone || code=1
	git -C $tree checkout -q mm/Makefile
	expect 0 scripts/build.sh $tree fast || code=1
	return $code
}

# same_kernel A B: two kernels are the same in all that is loaded and in their symbols, but for the number that their link gave them.
same_kernel()
{
	for k in "$1" "$2"; do
		readelf -SW "$k" | sed 's/\[ *\([0-9]*\)\]/\1/' | awk '$8 ~ /A/ { print $2, $3, $4, $6, $7, $8 }' > "$CHECK/sections"
		objcopy -O binary --remove-section .notes --remove-section .note.gnu.build-id "$k" "$CHECK/loaded"
		nm "$k" > "$CHECK/symbols"
		[ "$(wc -l < "$CHECK/sections")" -gt 20 ] && [ "$(wc -l < "$CHECK/symbols")" -gt 1000 ]
		cat "$CHECK/sections" "$CHECK/symbols" "$CHECK/loaded" | sha256sum
	done > "$CHECK/kernels"
	same "$(sed -n 1p "$CHECK/kernels")" "$(sed -n 2p "$CHECK/kernels")" "what is in $1, in $2"
}

# by_short_way TREE PROFILE HOW: the tree's edits by the short way, or by all of kbuild if HOW is "whole", make the kernel that kbuild
# makes of them: section by section without debug information, byte by byte with it.
by_short_way()
{
	out=$1/build-$2
	expect 0 scripts/build.sh "$1" "$2"
	says "CC "
	how=light
	[ -f "$out/.light" ] || how=whole
	same $how "$3" "the way to $2"
	cp "$out/vmlinux" "$CHECK/$how"
	readelf -SW "$CHECK/$how" > "$CHECK/got"
	[ $how = whole ] || says_not .debug_info
	expect 0 scripts/build/debug.sh "$out"
	cp "$out/vmlinux" "$CHECK/full"
	rm -f "$out/.inputs" "$out/.build.key"
	expect 0 scripts/build.sh "$1" "$2"
	says_not " CC      mm/" " CC      fs/" " CC      kernel/"
	same "$(sha256sum < "$out/vmlinux")" "$(sha256sum < "$CHECK/full")" "the kernel of kbuild, with debug information"
	same_kernel "$CHECK/$how" "$out/vmlinux"
}

# edits_by_short_way PROFILE...: the tree is as it was when the case ends.
edits_by_short_way()
{
	tree=build/trees/default
	trap 'git -C build/trees/default checkout -q mm' EXIT
	for profile; do
		out=$tree/build-$profile
		expect 0 scripts/build/start.sh $tree "$profile"
		expect 0 scripts/config.sh $tree "$profile"
		expect 0 env DEBUG_INFO=1 scripts/build.sh $tree "$profile"
		expect 0 scripts/build.sh $tree "$profile"
		says_not "CC "
		before=$(sha256sum < "$out/vmlinux")
		# A statement and a function of a source.
		sed -i 's/^\(unsigned long move_page_tables(.*\)$/unsigned long mmuml_probe = 42;\n\1/' $tree/mm/mremap.c
		by_short_way $tree "$profile" light
		[ "$(sha256sum < "$out/vmlinux")" != "$before" ]
		# A header of a few sources: an inline function, and a definition.
		sed -i 's/^#endif.*__MM_VMA_H.*/static inline int mmuml_inline(void) { return 42; }\n#define MMUML_WORD 42\n&/' $tree/mm/vma.h
		echo 'int mmuml_user(void); int mmuml_user(void) { return mmuml_inline() + MMUML_WORD; }' >> $tree/mm/mmap.c
		by_short_way $tree "$profile" light
		in_file mmuml_user "$CHECK/symbols"
		# What only kbuild can find out: an option that is another.
		sed -i 's/^config COMPACTION$/config MMUML_OPTION\n\tdef_bool y\n\n&/' $tree/mm/Kconfig
		echo 'int mmuml_option = IS_ENABLED(CONFIG_MMUML_OPTION);' >> $tree/mm/mremap.c
		expect 0 scripts/config.sh $tree "$profile"
		by_short_way $tree "$profile" whole
		in_file CONFIG_MMUML_OPTION=y "$out/.config"
		in_file mmuml_option "$CHECK/symbols"
		git -C $tree checkout -q mm
		expect 0 scripts/config.sh $tree "$profile"
		expect 0 env DEBUG_INFO=1 scripts/build.sh $tree "$profile"
		same "$(sha256sum < "$out/vmlinux")" "$before" "the kernel after the edits were taken back"
	done
}

short_way_of_fast()
{
	edits_by_short_way fast
}

short_way_of_others()
{
	edits_by_short_way debug coverage valgrind count
}

# What changed decides what is done: nothing, one object and the link, everything.
short_ways_agree()
{
	tree=build/trees/default
	expect 0 make build
	before=$(sha256sum < "$OUT/vmlinux")
	touch $tree/mm/mremap.c
	expect 0 make run T=kit.plain.pass
	says "mm/mremap.o"
	same "$(grep -c '  CC  ' "$CHECK/got")" 1 "objects compiled"
	[ -f "$OUT/.light" ]
	# A kernel without debug information gets it when an address is to be explained, and is the same.
	expect 2 make -s run T=kit.crash.oops
	says "DEBUG   $OUT" "lkdtm_EXCEPTION (drivers/misc/lkdtm/bugs.c:"
	same "$(sha256sum < "$OUT/vmlinux")" "$before" "the kernel after touch"
	# Not, if the objects are no longer those that it was made of.
	touch $tree/mm/mremap.c
	expect 0 make run T=kit.plain.pass
	echo 'int kit_other = 42;' >> $tree/mm/mincore.c
	(cd "$OUT" && "$TOP/scripts/build/compile.sh" "$TOP/build/host/mmuml-fresh" mm/mincore.o) > "$CHECK/log" 2>&1
	git -C $tree checkout -q mm/mincore.c
	expect 3 scripts/build/debug.sh "$OUT"
	says "no debug information for $OUT/vmlinux" "of another build"
	expect 0 make run T=kit.plain.pass
	# One that does not compile, and its repair: nothing else is compiled.
	echo 'int broken = ;' >> $tree/mm/mremap.c
	expect 2 make run T=kit.plain.pass
	says "the kernel does not build" "mm/mremap.c"
	git -C $tree checkout -q mm/mremap.c
	expect 0 make run T=kit.plain.pass
	same "$(grep -c '  CC  ' "$CHECK/got")" 1 "objects compiled"
	[ -f "$OUT/.light" ]
	# One that is not to be done the short way, beside one that is.
	touch $tree/mm/mremap.c $tree/arch/um/os-Linux/signal.c $tree/init/main.c $tree/mm/Makefile
	expect 0 make build
	says "mm/mremap.o" "arch/um/os-Linux/signal.o" "init/main.o"
	same "$(sha256sum < "$OUT/vmlinux")" "$before" "the kernel at the end"
	# A constant that kbuild makes a header of: one that stays as it is is a matter of the compiler's, another is not.
	echo '/* */' >> $tree/kernel/bounds.c
	expect 0 make run T=kit.plain.pass
	says kernel/bounds.s
	[ -f "$OUT/.light" ]
	sed -i 's/^	DEFINE(NR_PAGEFLAGS, /	DEFINE(MMUML_CONSTANT, 42);\n&/' $tree/kernel/bounds.c
	build/host/mmuml-fresh check "$OUT" > "$OUT/.changed" || true
	expect 1 scripts/build/short.sh $tree fast
	in_file MMUML_CONSTANT "$OUT/kernel/bounds.s"
	git -C $tree checkout -q kernel/bounds.c
	expect 0 make build
	[ "$(grep -c '  CC  ' "$CHECK/got")" -lt 10 ]
}

# A header of the tests belongs to what is compiled again: the programs that name it, and no others.
test_headers()
{
	rm -rf "$CHECK/guest"
	make -s -C tests TREE="$TOP/build/trees/default" OUT="$CHECK/guest" "$CHECK/guest/bin/errors.migrate" "$CHECK/guest/bin/mremap.move"
	expect 0 make -n -C tests TREE="$TOP/build/trees/default" OUT="$CHECK/guest" -W errors/walk.h \
		"$CHECK/guest/bin/errors.migrate" "$CHECK/guest/bin/mremap.move"
	says "CC      tests/errors/migrate.c"
	says_not "CC      tests/mremap/move.c"
	expect 0 make -n -C tests TREE="$TOP/build/trees/default" OUT="$CHECK/guest" -W lib/mm.h "$CHECK/guest/bin/mremap.move"
	says "CC      tests/mremap/move.c" "CC      tests/lib/"
	# By whichever path the directory is reached.
	ln -s guest "$CHECK/same"
	expect 0 make -n -C tests TREE="$TOP/build/trees/default" OUT="$CHECK/same" -W lib/mm.h "$CHECK/same/bin/mremap.move"
	says "CC      tests/mremap/move.c"
	make -s -C scripts OUT="$CHECK/host" "$CHECK/host/mmuml-fresh"
	ln -s host "$CHECK/too"
	expect 0 make -n -C scripts OUT="$CHECK/too" -W lib/kit.h "$CHECK/too/mmuml-fresh"
	says "CC      scripts/lib/buf.c"
}

make_one()
{
	expect 0 make -C tests TREE="$TOP/build/trees/default" OUT="$CHECK/guest" "$CHECK/guest/bin/mremap.move"
}

# The tested tree's own headers for user space: an edit of one is seen by the tests, one that says the same compiles nothing.
user_headers()
{
	tree=build/trees/default header=include/uapi/linux/coda.h
	trap 'git -C build/trees/default checkout -q include/uapi' EXIT
	make_one
	make_one
	says_not HDRINST "CC "
	touch $tree/$header
	make_one
	says HDRINST
	says_not "CC "
	echo '#define MMUML_PROBE 42' >> $tree/$header
	make_one
	says HDRINST "CC      tests/mremap/move.c" "CC      tests/lib/"
	in_file "MMUML_PROBE 42" $tree/build-headers/usr/include/linux/coda.h
}

# What a source takes in by .incbin is not the cache's to forget.
incbin_is_seen()
{
	rm -rf "$CHECK/incbin"
	mkdir "$CHECK/incbin"
	printf '\t.data\n\t.incbin "part"\n' > "$CHECK/incbin/a.S"
	for text in one two; do
		echo $text > "$CHECK/incbin/part"
		(cd "$CHECK/incbin" && CCACHE_DIR=$CHECK/incbin/ccache CCACHE_DEPEND=1 "$TOP/scripts/cc.sh" \
			gcc -Wp,-MMD,a.d -c -o a.o a.S && objcopy -O binary -j .data a.o got)
		same "$(cat "$CHECK/incbin/got")" $text "what .incbin took in"
	done
}

# user_tree: a kernel tree of the user's, made from the base commit, in $LINUX_TREE.
user_tree()
{
	rm -rf "$LINUX_TREE"
	git clone -q --shared --no-checkout build/git "$LINUX_TREE" 2>/dev/null
	git -C "$LINUX_TREE" checkout -q --detach "$(git -C build/git rev-parse refs/mmuml/base)"
	rm -rf build/trees/linux-*
	rm -f build/git/objects/info/alternates
	git -C build/git worktree prune
}

# Started from a hook of git's: what it exports is the user's repository, and no git of the kit's may work there.
from_a_hook()
{
	a_copy
	printf -- '--- /dev/null\n+++ b/Documentation/mmuml-hook\n@@ -0,0 +1 @@\n+%s\n' "$(date +%s%N)" |
		sed '1i From: A Developer <dev@localhost>\nSubject: [PATCH] a file\n\n---\ndiff --git a/Documentation/mmuml-hook b/Documentation/mmuml-hook\nnew file mode 100644' \
		> uml-config/patches/9999-hook.patch
	echo 9999-hook.patch >> uml-config/patches/series
	theirs=$CHECK/hook/linux
	rm -rf "$CHECK/hook"
	git init -q "$theirs"
	echo word > "$theirs/file"
	git -C "$theirs" add file
	git -C "$theirs" -c user.name=u -c user.email=u@localhost commit -qm one
	state=$(state_of "$theirs")
	code=0
	expect 0 env GIT_DIR="$theirs/.git" GIT_INDEX_FILE="$theirs/.git/index" CDPATH="$CHECK" scripts/tree.sh || code=1
	same "$(state_of "$theirs")" "$state" "the user's repository" || code=1
	# Whatever else it exports: the same commit, which nothing but the patches decides.
	commit=$(scripts/tree.sh --commit)
	sed -i '1s/$/ /' uml-config/patches/9999-hook.patch
	expect 0 env GIT_COMMITTER_NAME=other GIT_LITERAL_PATHSPECS=1 GIT_NAMESPACE=x scripts/tree.sh --commit || code=1
	same "$(tail -n 1 "$CHECK/got")" "$commit" "the commit" || code=1
	[ -s build/trees/default/Documentation/mmuml-hook ] || { echo "the tree was not made"; code=1; }
	cd "$TOP" || return
	expect 0 scripts/tree.sh
	return $code
}

# Repositories of the user's in other forms: an index in two parts; a copy of it that a killed git had locked.
odd_repositories()
{
	user_tree
	git -C "$LINUX_TREE" update-index --split-index
	state=$(state_of "$LINUX_TREE")
	export LINUX="$LINUX_TREE"
	name=$(scripts/tree.sh --name)
	expect 0 scripts/tree.sh --commit
	base=$(root_of "$(tail -n 1 "$CHECK/got")")
	same "$(git -C build/git rev-parse "$base^{tree}")" "$(git -C build/git rev-parse "refs/mmuml/base^{tree}")" "the snapshot"
	touch -d '10 minutes ago' "build/git/$name.index.lock"
	expect 0 scripts/tree.sh --commit
	same "$(state_of "$LINUX")" "$state" "the user's tree"
}

# small_tree DIR: what the kit takes for a kernel tree, a repository of a few files and two commits.
small_tree()
{
	mkdir -p "$1/arch/um" "$1/mm" "$1/scripts/basic" "$1/certs"
	printf 'VERSION = 7\nPATCHLEVEL = 3\n' > "$1/Makefile"
	echo word > "$1/arch/um/Kconfig"
	echo 'int rmap;' > "$1/mm/rmap.c"
	printf '*.o\n.*\n!.gitignore\n/tags\n' > "$1/.gitignore"
	printf 'fixdep\n' > "$1/scripts/basic/.gitignore"
	git init -q "$1"
	git -C "$1" add -A
	git -C "$1" -c user.name=u -c user.email=u@localhost commit -qm one
	echo 'int ksm;' > "$1/mm/ksm.c"
	echo 'int other;' >> "$1/mm/rmap.c"
	git -C "$1" add -A
	git -C "$1" -c user.name=u -c user.email=u@localhost commit -qm two
}

# snapshot_of DIR [REV]: the files that the kit takes of it, in one line.
snapshot_of()
{
	# shellcheck disable=SC2016 # for that shell
	expect 0 env NAME=kit-snapshot SCRATCH="$CHECK" LINUX="$1" sh -euc '. scripts/lib/kit.sh; . scripts/tree/user.sh; prune_alternates; snapshot "$1"' - "${2-}"
	env -i PATH="$PATH" git -C build/git ls-tree -r --name-only "$(tail -n 1 "$CHECK/got")" | paste -sd' '
	rm -f build/git/kit-snapshot.index
}

# bytes_of DIR: the names, modes and contents of all that is in it. Not the times: git touches an object that is written again
# where it lies already, in a repository that it borrows from.
bytes_of()
{
	(cd "$1" && { find . -printf '%p %s %m\n' | sort; find . -type f -exec sha256sum {} + | sort; } | sha256sum)
}

# leave_a_build DIR: what make, make O=build and the like leave in a tree, in small.
leave_a_build()
{
	mkdir -p "$1/build/mm"
	echo 'CONFIG_X=y' | tee "$1/.config" > "$1/build/.config"
	[ -n "$2" ] || echo '*' > "$1/build/.gitignore"
	echo 'key' > "$1/certs/signing_key.pem"
	for f in mm/rmap.o vmlinux tags cscope.out compile_commands.json build/vmlinux build/mm/x.c; do
		echo made > "$1/$f"
	done
	cp /bin/true "$1/scripts/basic/fixdep"
	echo 'int mine;' > "$1/mm/new.c"
}

# Of a tree with a build in it only the sources are taken: by its own rules, or without any by what the files are. Nothing is
# written there.
tree_with_a_build()
{
	all="Makefile arch/um/Kconfig mm/ksm.c mm/new.c mm/rmap.c"
	rm -rf "$CHECK/u"
	small_tree "$CHECK/u"
	leave_a_build "$CHECK/u" ''
	state=$(bytes_of "$CHECK/u")
	same "$(snapshot_of "$CHECK/u")" ".gitignore $all scripts/basic/.gitignore" "what is taken by its rules"
	same "$(bytes_of "$CHECK/u")" "$state" "the user's tree"
	rm -rf "$CHECK/u/.git"
	same "$(snapshot_of "$CHECK/u")" "$all" "what is taken without git"
	# As Debian's source package has it: the rules ignore the source.
	echo '/*' >> "$CHECK/u/.gitignore"
	leave_a_build "$CHECK/u" without-rules
	state=$(bytes_of "$CHECK/u")
	same "$(snapshot_of "$CHECK/u")" "$all" "what is taken against its rules"
	same "$(bytes_of "$CHECK/u")" "$state" "the user's tree"
}

# Repositories of other forms and settings: what is taken is what lies there.
forms_of_repositories()
{
	all=".gitignore Makefile arch/um/Kconfig mm/ksm.c mm/rmap.c scripts/basic/.gitignore"
	rm -rf "$CHECK/u" "$CHECK"/other.* "$CHECK/super"
	small_tree "$CHECK/u"
	git -C "$CHECK/u" config uploadpack.allowFilter true
	git -C "$CHECK/u" worktree add -q "$CHECK/other.worktree"
	git clone -q --depth 1 "file://$CHECK/u" "$CHECK/other.shallow"
	git clone -q "$CHECK/u" "$CHECK/other.sparse"
	git -C "$CHECK/other.sparse" sparse-checkout set --cone --sparse-index arch mm
	git clone -q "$CHECK/u" "$CHECK/other.settings"
	for setting in diff.noprefix=true diff.mnemonicPrefix=true diff.external=false core.autocrlf=true commit.gpgsign=true color.ui=always \
		       core.fsmonitor=/bin/false format.coverLetter=true core.hooksPath=/nowhere user.useConfigOnly=true status.showUntrackedFiles=no; do
		git -C "$CHECK/other.settings" config "${setting%%=*}" "${setting#*=}"
	done
	git init -q "$CHECK/super"
	git -C "$CHECK/super" -c protocol.file.allow=always submodule -q add "$CHECK/u" linux 2>/dev/null
	mv "$CHECK/super" "$CHECK/other.super"
	git -C "$CHECK/other.super/linux" config core.worktree "$CHECK/other.super/linux"
	for form in worktree shallow settings super/linux sparse; do
		state=$(bytes_of "$CHECK/other.$form")
		want=$all
		# What a sparse checkout left out is in its index, and so in its tree.
		same "$(snapshot_of "$CHECK/other.$form")" "$want" "of $form"
		same "$(bytes_of "$CHECK/other.$form")" "$state" "the user's $form"
	done
	git -C build/git cat-file -e "$(tail -n 1 "$CHECK/got"):scripts/basic/.gitignore"
	# A commit of a partial clone that is not there: said, and not fetched.
	git clone -q --filter=blob:none "file://$CHECK/u" "$CHECK/other.partial"
	same "$(snapshot_of "$CHECK/other.partial")" "$all" "of a partial clone"
	state=$(bytes_of "$CHECK/other.partial")
	rev=$(git -C "$CHECK/u" rev-parse HEAD~1)
	# shellcheck disable=SC2016 # for that shell
	expect 2 env NAME=kit-snapshot SCRATCH="$CHECK" LINUX="$CHECK/other.partial" sh -euc '. scripts/lib/kit.sh; . scripts/tree/user.sh; snapshot "$1"' - "$rev"
	says "does not have all of $rev" "it is a partial clone, 1 objects are missing" "git -C $CHECK/other.partial archive $rev"
	same "$(bytes_of "$CHECK/other.partial")" "$state" "the user's partial clone"
	git -C "$CHECK/other.partial" archive HEAD~1 > /dev/null 2>&1
	same "$(snapshot_of "$CHECK/other.partial" "$rev")" ".gitignore Makefile arch/um/Kconfig mm/rmap.c scripts/basic/.gitignore" "once git has fetched them"
}

# Whatever git exports to what it starts: of each of its variables what is taken is the same, and theirs is as it was.
variables_of_git()
{
	rm -rf "$CHECK/u" "$CHECK/hook"
	small_tree "$CHECK/u"
	small_tree "$CHECK/hook"
	want=$(snapshot_of "$CHECK/u")
	state=$(bytes_of "$CHECK/hook")
	seen=0
	for v in $(git rev-parse --local-env-vars); do
		case $v in
		GIT_DIR | GIT_COMMON_DIR) value=$CHECK/hook/.git ;;
		GIT_INDEX_FILE) value=$CHECK/hook/.git/index ;;
		GIT_WORK_TREE) value=$CHECK/hook ;;
		GIT_OBJECT_DIRECTORY | GIT_ALTERNATE_OBJECT_DIRECTORIES) value=$CHECK/hook/.git/objects ;;
		GIT_CONFIG_COUNT) value=1; export GIT_CONFIG_KEY_0=core.bare GIT_CONFIG_VALUE_0=true ;;
		GIT_CONFIG_PARAMETERS) value="'core.bare=true'" ;;
		GIT_PREFIX) value=mm/ ;;
		*) value=1 ;;
		esac
		export "$v=$value"
		got=$(snapshot_of "$CHECK/u")
		unset "$v" GIT_CONFIG_KEY_0 GIT_CONFIG_VALUE_0
		same "$got" "$want" "what is taken with $v=$value"
		seen=$((seen + 1))
	done
	[ $seen -ge 10 ] || { echo "$seen variables only"; return 1; }
	same "$(bytes_of "$CHECK/hook")" "$state" "the repository that they name"
}

# Over every verb nothing below a user's tree changes, .git included; and git's hooks may call the kit.
every_verb_only_reads()
{
	user_tree
	theirs() { git -C "$LINUX_TREE" -c user.name=u -c user.email=u@localhost "$@"; }
	sed -i 's/^static unsigned long move_vma(/\n&/' "$LINUX_TREE/mm/mremap.c"
	theirs commit -qam "mm/mremap: a blank line"
	echo '/* not committed */' >> "$LINUX_TREE/mm/rmap.c"
	export LINUX="$LINUX_TREE"
	before=$(bytes_of "$LINUX_TREE")
	t=T=mremap.move.arrives-page
	code=0
	while read -r words; do
		echo "make $words"
		# shellcheck disable=SC2086 # words
		expect 0 make $words || code=1
		same "$(bytes_of "$LINUX_TREE")" "$before" "the user's tree after make $words" || code=1
	done <<-END
	run $t
	gdb $t B=move_page_tables CMD=mm-vmas
	rmap-graph T=rmap.anon_vma.growth-one_child
	interleave SCRIPT=migrate-exit
	coverage $t
	memcheck $t
	profile $t
	compare S=git:HEAD~1..HEAD $t
	compare EACH=1 S=git:HEAD~1.. $t
	list
	new-change NAME=kit-every-verb S=git:HEAD~1..HEAD
	END
	rm -rf mm-changes/kit-every-verb
	[ $code = 0 ] || return 1
	for hook in pre-commit post-commit; do
		printf '#!/bin/sh\ncd "%s" && exec make run LINUX="%s" %s >> "%s" 2>&1\n' "$TOP" "$LINUX_TREE" $t "$CHECK/hooks" \
			> "$LINUX_TREE/.git/hooks/$hook"
		chmod +x "$LINUX_TREE/.git/hooks/$hook"
	done
	unset LINUX
	theirs commit -qam "with hooks"
	same "$(grep -c '^mmuml: PASS 1 of 1' "$CHECK/hooks")" 2 "runs from hooks"
	rm "$LINUX_TREE"/.git/hooks/p*-commit
	theirs rebase -q --exec "cd '$TOP' && make run LINUX='$LINUX_TREE' $t >> '$CHECK/hooks' 2>&1" HEAD~2
	same "$(grep -c '^mmuml: PASS 1 of 1' "$CHECK/hooks")" 4 "runs from rebase --exec"
	same "$(theirs status --porcelain)" "" "git status"
	theirs fsck --no-dangling
}

# root_of COMMIT: the first of its history.
root_of()
{
	git -C build/git rev-list --max-parents=0 "$1"
}

# What the tree was made of is in a file, whatever became of the patches since; --since reads its base there.
stack_is_recorded()
{
	expect 0 scripts/tree.sh
	base=$(git -C build/git rev-parse refs/mmuml/base)
	expect 0 scripts/tree.sh --stack
	cp "$CHECK/got" "$CHECK/stack"
	same "$(sed -n '1,6p' "$CHECK/stack")" \
	     "$(printf 'name default\nlinux \nstack \nkernel %s\nbase %s\ncommit %s' "$(kit 'version_of refs/mmuml/base')" "$base" "$(tree_head)")" "head"
	sed -n 's/^patch \([0-9a-f]*\) /\1  /p' "$CHECK/stack" > "$CHECK/sums"
	sha256sum -c --quiet "$CHECK/sums"
	# shellcheck disable=SC2016 # for that shell
	same "$(cut -c67- "$CHECK/sums")" "$(kit 'series_patches_of uml-config/patches/series "$(version_number "$(version_of refs/mmuml/base)")"'; scripts/tree.sh --patches)" "patches"
	a_copy
	sed -i '1s/$/ /' uml-config/patches/0001-*.patch
	expect 0 scripts/tree.sh --stack
	cmp "$CHECK/got" "$CHECK/stack"
	expect 2 env S=none,mremap-move-page-tables@1 scripts/tree.sh --stack
	says "there is no tree" "make tree S=none,mremap-move-page-tables@1"
	# Another base: of a tree that is not there, then of the one that is.
	cd "$TOP" || return
	other=$(echo other | git -C build/git -c user.name=u -c user.email=u@localhost commit-tree "$base^{tree}")
	same "$(root_of "$(S=git:$other scripts/tree.sh --since)")" "$other" "below a commit of build/git"
	sed -i "s/^base .*/base $other/" build/stacks/default
	below=$(scripts/tree.sh --since) || true
	cp "$CHECK/stack" build/stacks/default
	same "$(root_of "$below")" "$other" "below the recorded base"
	same "$(root_of "$(scripts/tree.sh --since)")" "$base" "below the tree"
}

# stub FILE LINE...: a program that does only this.
stub()
{
	stub_file=$1
	shift
	mkdir -p "$(dirname "$stub_file")"
	rm -f "$stub_file"
	printf '%s\n' '#!/bin/sh' "$@" > "$stub_file"
	chmod 755 "$stub_file"
}

# A checkout whose stages do nothing, but for the one that fails, and a make that speaks German.
bisect_in_german()
{
	a_copy
	rm build
	for s in doctor fetch tree config build; do
		stub scripts/$s.sh 'exit 0'
	done
	stub build/host/mmuml-run 'exit 0'
	printf 'all:\n' | tee scripts/Makefile > tests/Makefile
	# shellcheck disable=SC2016 # for the stub
	stub bin/make "$(command -v make) \"\$@\" > said 2>&1" 'code=$?' 'sed "s/Error/Fehler/" said; exit $code'
	while read -r want stage code; do
		stub "$stage" "exit $code"
		expect "$want" env PATH="$PWD/bin:$PATH" scripts/bisect.sh T=kit.plain.pass || exit
		[ "$code" = 0 ] || says "Fehler $code"
		stub "$stage" 'exit 0'
	done <<-END
	0 build/host/mmuml-run 0
	1 build/host/mmuml-run 1
	8 build/host/mmuml-run 8
	124 build/host/mmuml-run 124
	125 build/host/mmuml-run 3
	125 build/host/mmuml-run 4
	125 scripts/tree.sh 5
	125 scripts/config.sh 6
	125 scripts/build.sh 7
	129 scripts/tree.sh 2
	129 build/host/mmuml-run 130
	END
	# What runs nothing, or goes on whatever happens, is no answer; everything else is as it was.
	stub scripts/tree.sh 'exit 5'
	for flags in -n ki 'n -j2 -- T=x'; do
		expect 129 env MAKEFLAGS="$flags" scripts/bisect.sh
		says "no answer to git bisect"
	done
	# What stages read of other programs is English.
	expect 2 env LANGUAGE=de LANG=C.UTF-8 sh -euc '. scripts/lib/kit.sh; make -f /dev/null nothing'
	says "No rule to make target"
	for flags in -j2 ks ' -j2 -- T=initq' '--no-print-directory'; do
		expect 125 env MAKEFLAGS="$flags" PATH="$PWD/bin:$PATH" scripts/bisect.sh
	done
	# A kit that is not whole is nothing that a commit did.
	rm scripts/lib/protocol.h
	expect 129 scripts/bisect.sh
}

# A copy of a tree that ends early has a cause.
copy_fails()
{
	a_copy
	stub bin/cp 'echo "cp: error writing x: No space left on device" >&2' 'exit 1'
	code=0
	expect 3 env PATH="$PWD/bin:$PATH" S=none,none FROM=default scripts/tree.sh || code=1
	rm -rf "$TOP/build/trees/none+none"
	git -C "$TOP/build/git" worktree prune
	says "build/trees/none+none cannot be made as a copy" "No space left" "try:"
	return $code
}

# A package that ends early, after what tar takes for a whole tree: of the pipe that unpacks it, only the last would be asked.
source_is_cut()
{
	a_copy
	rm build
	mkdir -p build/dl linux/arch/um usr/src
	echo word > linux/arch/um/Kconfig
	{ tar -cJf - linux; head -c 100000 /dev/urandom | xz; } > usr/src/linux.tar.xz
	tar -cf cut.tar ./usr/src/linux.tar.xz
	first=$(kit kernels | head -n 1)
	# shellcheck disable=SC2016 # for that shell
	kit 'pin "$1" version' "$first" > "build/dl/have.$first"
	touch "build/dl/linux-source-${first}_$(cat "build/dl/have.$first")_all.deb"
	stub bin/dpkg-deb 'head -c 51200 cut.tar' 'exit 2'
	expect 3 env PATH="$PWD/bin:$PATH" scripts/fetch.sh
	says "cannot be unpacked: " "dpkg-deb ended with 2" "try:"
	[ -f build/base.tmp/arch/um/Kconfig ] || { echo "it was not cut behind the file"; return 1; }
	! git -C build/git rev-parse -q --verify refs/mmuml/base || { echo "half a tree became the base commit"; return 1; }
	tar -cJf usr/src/linux.tar.xz linux
	tar -cf whole.tar ./usr/src/linux.tar.xz
	stub bin/dpkg-deb 'cat whole.tar'
	expect 0 env PATH="$PWD/bin:$PATH" scripts/fetch.sh
	same "$(git -C build/git show refs/mmuml/base:arch/um/Kconfig)" word "the base commit"
}

# apt-cache that fails is not a package that is gone.
lists_cannot_be_read()
{
	a_copy
	rm build
	stub bin/apt-get "case \" \$* \" in *' indextargets '*) echo http://localhost/debian ;; esac"
	stub bin/apt-cache 'echo "E: the lists are broken" >&2' 'exit 100'
	expect 3 env PATH="$PWD/bin:$PATH" scripts/fetch.sh
	says "no source of Linux" "apt-cache failed: E: the lists are broken"
}

# What a repository of the user's says of the form of patches is not for the kit.
their_configuration()
{
	a_copy
	theirs=$CHECK/hook/linux
	rm -rf "$CHECK/hook"
	git init -q "$theirs"
	for word in one two; do
		echo $word > "$theirs/file"
		git -C "$theirs" add file
		git -C "$theirs" -c user.name=u -c user.email=u@localhost commit -qm "mm: $word"
	done
	printf '[diff]\nnoprefix = true\n[format]\ncoverLetter = true\nsuffix = .txt\nattach = true\n' >> "$theirs/.git/config"
	expect 0 env NAME=theirs LINUX="$theirs" S=git:HEAD~1..HEAD scripts/change.sh new
	same "$(cat mm-changes/theirs/series)" 0001-mm-two.patch "the series"
	in_file "diff --git a/file b/file" mm-changes/theirs/0001-mm-two.patch
	in_file "mm: two" mm-changes/theirs/README.md
}

# A kernel without git, unpacked in a repository: that repository's commits are not its change.
no_repository_of_its_own()
{
	mkdir -p "$CHECK/plain/linux"
	git -C "$CHECK/plain" init -q
	git -C "$CHECK/plain" -c user.name=u -c user.email=u@localhost commit -q --allow-empty -m one
	git -C "$CHECK/plain" -c user.name=u -c user.email=u@localhost commit -q --allow-empty -m two
	expect 0 env LINUX="$CHECK/plain/linux" scripts/tree.sh --since
	same "$(cat "$CHECK/got")" "" "the commit below the change"
	expect 2 env LINUX="$CHECK/plain/linux" S=git:HEAD scripts/tree.sh --name
	says "no commit HEAD"
}

# waiting_git WORD: a git in $CHECK/bin that stops before its first command with that WORD, until $CHECK/bin/go is there.
waiting_git()
{
	rm -rf "${CHECK:?}/bin"
	mkdir -p "$CHECK/bin"
	cat > "$CHECK/bin/git" <<-EOF
	#!/bin/sh
	case " \$* " in
	*" $1 "*)
		if mkdir "$CHECK/bin/reached" 2>/dev/null; then
			while [ ! -e "$CHECK/bin/go" ]; do sleep 0.1; done
		fi ;;
	esac
	exec $(command -v git) "\$@"
	EOF
	chmod 755 "$CHECK/bin/git"
}

# appears FILE: wait for it, 30 s at most.
appears()
{
	for _ in $(seq 300); do
		[ ! -e "$1" ] || return 0
		sleep 0.1
	done
	echo "no $1"
	return 1
}

# Patches that were never applied before; while one process is between two of them, another does all of it.
two_at_once()
{
	a_copy
	sed -i "s/^Subject: .*/& $(date +%s%N)/" uml-config/patches/0001-*.patch
	waiting_git apply
	PATH=$CHECK/bin:$PATH scripts/tree.sh --since > "$CHECK/first" 2>&1 &
	first=$!
	appears "$CHECK/bin/reached"
	expect 0 scripts/tree.sh --since
	touch "$CHECK/bin/go"
	code=0
	wait $first || code=$?
	same $code 0 "status of the first ($(head -n 3 "$CHECK/first"))"
	same "$(cat "$CHECK/first")" "$(cat "$CHECK/got")" "the commit"
	same "$(find build/ -maxdepth 1 -name 'tree.*.??????')" "" "what is left"
}

# The same with a mail box, whose patches are written below build/series: they stay as they are for who reads them.
two_mail_boxes_at_once()
{
	mkdir -p "$CHECK/box"
	{ echo "From x Mon Sep 17 00:00:00 2001"; cat uml-config/patches/0001-*.patch; } > "$CHECK/box/a.mbox"
	export S="$CHECK/box/a.mbox"
	expect 0 scripts/tree.sh --patches
	patch=$(cat "$CHECK/got")
	# As if the mail box were another than it was.
	rm "$(dirname "$patch")/sum"
	waiting_git mailinfo
	PATH=$CHECK/bin:$PATH scripts/tree.sh --patches > "$CHECK/second" 2>&1 &
	second=$!
	appears "$CHECK/bin/reached"
	code=0
	cat "$patch" > "$CHECK/box/read" || code=1
	touch "$CHECK/bin/go"
	wait $second || code=$?
	same $code 0 "status"
	cmp "$CHECK/box/read" "$patch"
	# Another mail box of that name is another series.
	sed -i 's/^Subject: .*/Subject: [PATCH] um: other words/' "$CHECK/box/a.mbox"
	expect 0 scripts/tree.sh --patches
	says um-other-words
}

# Everything about the user's tree that a write would change.
state_of()
{
	(cd "$1" && find . -printf '%p %T@ %s %m\n' | sort | sha256sum)
}

own_tree()
{
	user_tree
	export LINUX="$LINUX_TREE"
	mine=build/trees/$(scripts/tree.sh --name)
	state=$(state_of "$LINUX")
	expect 0 scripts/tree.sh
	same "$(state_of "$LINUX")" "$state" "the user's tree"
	cmp "$LINUX/mm/rmap.c" "$mine/mm/rmap.c"
	# An edit and a new file, uncommitted; only they arrive.
	echo '/* an uncommitted edit */' >> "$LINUX/mm/mremap.c"
	echo '/* a new file */' > "$LINUX/mm/new.h"
	state=$(state_of "$LINUX")
	touch "$CHECK/stamp"
	sleep 0.1
	expect 0 scripts/tree.sh
	same "$(state_of "$LINUX")" "$state" "the user's tree"
	in_file "an uncommitted edit" "$mine/mm/mremap.c"
	in_file "a new file" "$mine/mm/new.h"
	same "$(find "$mine" -newer "$CHECK/stamp" -type f ! -path '*/.git*' | sort | tr '\n' ' ')" \
	     "$mine/mm/mremap.c $mine/mm/new.h " "files touched"
	# The same without git.
	rm -rf "$LINUX/.git"
	echo '/* a second edit */' >> "$LINUX/mm/mremap.c"
	state=$(state_of "$LINUX")
	expect 0 scripts/tree.sh
	same "$(state_of "$LINUX")" "$state" "the user's tree"
	in_file "a second edit" "$mine/mm/mremap.c"
}

# The edit of the tree that own_tree left is seen by a kernel built from it.
own_tree_runs()
{
	[ -d "$LINUX_TREE" ] || user_tree
	cat >> "$LINUX_TREE/mm/mremap.c" <<-'EOF'

	static int __init mmuml_hello(void)
	{
		pr_info("mmuml: the user was here\n");
		return 0;
	}
	late_initcall(mmuml_hello);
	EOF
	# It starts from the nearest tree's build: what differs is compiled, and nothing else.
	rm -rf build/trees/linux-*
	git -C build/git worktree prune
	expect 0 make run LINUX="$LINUX_TREE" S=default T=mremap.move.arrives-page
	says "mmuml: PASS 1 of 1" "COPY    build/trees/linux-"
	in_file "mmuml: the user was here" out/latest/console.log
	compiled=$(grep -c '^  CC ' "$CHECK/got" || true)
	[ "$compiled" -le 3 ] || { cat "$CHECK/got"; echo "$compiled objects were compiled for one that differs"; return 1; }
	# Objects name no tree, and gdb finds the sources of this one.
	expect 0 readelf --debug-dump=info --dwarf-depth=1 "build/trees/$(LINUX=$LINUX_TREE S=default scripts/tree.sh --name)/build-fast/mm/rmap.o"
	says "DW_AT_comp_dir" ": /mmuml/build"
	says_not "build/trees"
	expect 0 make gdb LINUX="$LINUX_TREE" S=default T=mremap.move.arrives-page B=move_page_tables CMD='list mmuml_hello'
	says 'pr_info("mmuml: the user was here'
}

not_a_tree()
{
	mkdir -p "$CHECK/empty"
	expect 2 env LINUX="$CHECK/empty" scripts/tree.sh
	says "is not a kernel tree" "there is no Makefile in it"
	expect 2 env LINUX="$CHECK/no/such" scripts/tree.sh
	says "does not exist"
}

unreadable_tree()
{
	mkdir -p "$CHECK/secret"
	chmod 000 "$CHECK/secret"
	code=0
	if [ "$(id -u)" = 0 ]; then
		# Root reads everything: ask as somebody else, in a checkout that he may write to.
		rm -rf "$CHECK/nobody"
		mkdir -p "$CHECK/nobody"
		cp -r uml-config mm-changes scripts "$CHECK/nobody/"
		chown -R 65534:65534 "$CHECK/nobody"
		mkdir -p /tmp/mmuml-check-secret
		chmod 000 /tmp/mmuml-check-secret
		expect 2 setpriv --reuid=65534 --regid=65534 --clear-groups sh -c \
			"cd '$CHECK/nobody' && LINUX=/tmp/mmuml-check-secret exec sh scripts/tree.sh" || code=1
		rmdir /tmp/mmuml-check-secret
	else
		expect 2 env LINUX="$CHECK/secret" scripts/tree.sh || code=1
	fi
	chmod 700 "$CHECK/secret"
	says "cannot be read" || code=1
	return $code
}

stage_cases()
{
	t -x tree tree.patch_refused patch_does_not_apply
	t -x tree tree.patch_missing missing_patch_file
	t -host tree.unknown_series unknown_series
	t -x tree tree.edits_survive edits_survive
	t -x tree -x linux tree.own_tree own_tree
	t -x tree -x linux -x out tree.own_tree_runs own_tree_runs
	t -host tree.not_a_tree not_a_tree
	t -host tree.unreadable unreadable_tree
	t -x tree tree.stack stack_is_recorded
	t -x tree tree.copy_fails copy_fails
	t -host tree.source_is_cut source_is_cut
	t -host tree.lists_cannot_be_read lists_cannot_be_read
	t -x tree -x linux tree.their_configuration their_configuration
	t -x tree tree.bisect_in_german bisect_in_german
	t -x tree -x linux tree.from_a_hook from_a_hook
	t -x tree -x linux tree.odd_repositories odd_repositories
	t -host tree.with_a_build tree_with_a_build
	t -host tree.forms forms_of_repositories
	t -host tree.variables variables_of_git
	t -x tree -x linux -x out -full tree.every_verb every_verb_only_reads
	t -x tree -x linux tree.two_at_once two_at_once
	t -x tree tree.two_mail_boxes two_mail_boxes_at_once
	t -host tree.no_repository no_repository_of_its_own
	t config.unknown_profile unknown_profile
	t config.lost_option lost_option
	t config.contradiction contradiction
	t config.malformed malformed_fragment
	t -x tree build.error does_not_compile
	t -x tree build.source_gone source_is_gone
	t -x tree -x out build.short_ways short_ways_agree
	t -x tree config.hollow hollow_profile
	t -x tree build.locks locks_are_of_a_tree
	t -x tree build.killed make_is_killed
	t -x tree build.short_way_whole short_way_is_whole
	t -x tree -full build.short_way short_way_of_fast
	t -x tree -full build.short_way_profiles short_way_of_others
	t -x tree build.editors editors_get_the_compiler
	t build.test_headers test_headers
	t -x tree build.user_headers user_headers
	t -host build.incbin incbin_is_seen
}
