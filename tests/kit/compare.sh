# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Cases about make compare and the verbs for changes: small changes of mm/, compared with the default stack. Sourced by
# check.sh.
# Long, for the cases of one subject share their helpers, and are looked for in one place.

CHANGE=$CHECK_TOP/change		# a directory of patches; one name, so one tree for all cases

# compare VARIABLE=value...: scripts/compare.sh, at the exit status that make would hide.
compare()
{
	env STARTED=0 "$@" scripts/compare.sh
}

# The same for machines: standard output alone, what builds and runs say aside.
compare_json()
{
	compare JSON=1 "$@" 2>"$CHECK/said"
}

# patch FILE SUBJECT OLD NEW PATH: a mail that replaces, in the default stack's PATH, the line OLD by the line NEW.
patch_of()
{
	mkdir -p "$CHECK/edit/a/$(dirname "$5")" "$CHECK/edit/b/$(dirname "$5")"
	git -C build/trees/default show "HEAD:$5" > "$CHECK/edit/a/$5"
	awk -v old="$3" -v new="$4" '$0 == old && !done { $0 = new; done = 1 } { print } END { exit !done }' \
		"$CHECK/edit/a/$5" > "$CHECK/edit/b/$5"
	{
		printf 'From: A Developer <dev@localhost>\nDate: Thu, 1 Jan 1970 00:00:00 +0000\nSubject: [PATCH] %s\n\nWhy.\n\n' "$2"
		printf 'Signed-off-by: A Developer <dev@localhost>\n---\ndiff --git a/%s b/%s\n' "$5" "$5"
		(cd "$CHECK/edit" && diff -u --label "a/$5" --label "b/$5" "a/$5" "b/$5") || true
	} > "$1"
	rm -rf "$CHECK/edit"
}

fresh_change()
{
	rm -rf "$CHANGE"
	mkdir -p "$CHANGE"
}

# Counts an event that nothing else counts 7 times in each mremap() that moves.
counting_patch()
{
	patch_of "$1" "mm: count each move" "static unsigned long move_vma(struct vma_remap_struct *vrm)" \
		"static unsigned long move_vma_(struct vma_remap_struct *vrm); static unsigned long move_vma(struct vma_remap_struct *vrm) { count_vm_events(UNEVICTABLE_PGSCANNED, 7); return move_vma_(vrm); } static unsigned long move_vma_(struct vma_remap_struct *vrm)" \
		mm/mremap.c
}

# mremap() of 3 pages fails: mremap.move.* breaks, the rest of the kernel runs.
breaking_patch()
{
	patch_of "$1" "mm: no move at all" "static unsigned long move_vma(struct vma_remap_struct *vrm)" \
		"static unsigned long __maybe_unused move_vma_(struct vma_remap_struct *vrm); static unsigned long move_vma(struct vma_remap_struct *vrm) { return -EBUSY; } static unsigned long move_vma_(struct vma_remap_struct *vrm)" \
		mm/mremap.c
}

both_usable()
{
	expect 0 run_guest --tests kit.plain.pass
	other=build/trees/$(S=default,$CHANGE scripts/tree.sh --name)/build-fast
	(export OUT="$other"; expect 0 run_guest --tests kit.plain.pass)
}

breaks_a_test()
{
	fresh_change
	breaking_patch "$CHANGE/0001-break.patch"
	expect 1 compare S="$CHANGE" T='mremap.move.arrives-page,selfcheck.lib.vmstat*'
	says "BROKEN   mremap.move.arrives-page" "PASS     FAIL" "+ mm: no move at all" "1 BROKEN" "mmuml: FAIL compare change"
	both_usable
	# What the change promises to break is not BROKEN.
	printf 'tests mremap.move.arrives-page\nbroken mremap.move.arrives-page\n' > "$CHANGE/expect"
	expect 0 compare S="$CHANGE"
	says "promised mremap.move.arrives-page" "holds broken mremap.move.arrives-page" "1 broken as promised" \
	     "expect 1 of 1 hold"
	printf 'broken mremap.account.charge-move\n' > "$CHANGE/expect"
	expect 1 compare S="$CHANGE" T='mremap.move.arrives-page'
	says "FAILS broken mremap.account.charge-move" "did not run"
}

fixes_a_test()
{
	expect 0 compare S=mremap-fix-charge T='errors.mremap.charge_of_middle'
	says "FIXED    errors.mremap.charge_of_middle" "1 FIXED, 0 BROKEN" "mmuml: PASS compare mremap-fix-charge" \
	     "+ mm/mremap: keep the charge right if the source cannot be unmapped"
	[ -s out/latest/report.txt ]
	same "$(jq -r .summary.fixed out/latest/report.json)" 1 "fixed in report.json"
	# The two stacks the other way round.
	expect 1 compare A=mremap-fix-charge B=none T='errors.mremap.charge_of_middle'
	says "BROKEN   errors.mremap.charge_of_middle"
	[ "$(awk 'length > 80' out/latest/report.txt | wc -l)" -le 2 ]
}

counts_differ()
{
	fresh_change
	counting_patch "$CHANGE/0001-count.patch"
	counter=vmstat:unevictable_pgs_scanned
	cat > "$CHANGE/expect" <<-EOF
	# what the patch does
	tests mremap.move.arrives-page
	$counter mremap.move.arrives-page changed >= base + 7
	$counter mremap.move.arrives-page base == 0
	plot moves "Moves" "pages" $counter mremap.*
	EOF
	expect 0 compare S="$CHANGE"
	says "$counter" "0 FIXED, 0 BROKEN" "holds $counter mremap.move.arrives-page base == 0" "expect 2 of 2 hold" "no plot"
	expect 0 compare_json S="$CHANGE"
	same "$(jq -r .verdict "$CHECK/got" | grep -c PASS)" 1 "verdict in JSON"
	jq -e --arg c $counter '.counters[] | select(.counter == $c) | .difference >= 7' "$CHECK/got"
	# A relation that does not hold, a counter and a test that are not there, a line that is none.
	cat >> "$CHANGE/expect" <<-EOF
	$counter mremap.move.arrives-page changed <= base
	vmstat:no_such mremap.move.arrives-page changed == 0
	$counter mremap.move.no_such changed == 0
	EOF
	expect 1 compare S="$CHANGE" REPEAT=2
	says "FAILS $counter mremap.move.arrives-page changed <= base" "counter vmstat:no_such never appeared" \
	     "no test mremap.move.no_such ran" "expect 2 of 5 hold" "medians of 2 run(s)"
	echo "$counter mremap.move.arrives-page changed is small" >> "$CHANGE/expect"
	expect 2 compare S="$CHANGE"
	says "malformed expect file" "expect:9: 'is' is none of" "try:"
}

forms_of_a_series()
{
	fresh_change
	counting_patch "$CHANGE/0001-count.patch"
	commit=$(S=$CHANGE scripts/tree.sh --commit)
	{ echo "From 1111111111111111111111111111111111111111 Mon Sep 17 00:00:00 2001"
	  printf 'From: A Developer <dev@localhost>\nSubject: [PATCH 0/1] a cover letter\n\nNo diff.\n\n'
	  echo "From 1111111111111111111111111111111111111111 Mon Sep 17 00:00:00 2001"
	  cat "$CHANGE/0001-count.patch"; } > "$CHECK/change.mbox"
	same "$(git -C build/git rev-parse "$(S=$CHECK/change.mbox scripts/tree.sh --commit)^{tree}")" \
	     "$(git -C build/git rev-parse "$commit^{tree}")" "the tree of the mail box"
	# A quoted-printable mail says the same.
	sed 's/^Subject: .*/&\nMIME-Version: 1.0\nContent-Type: text\/plain; charset=UTF-8\nContent-Transfer-Encoding: quoted-printable/; s/=/=3D/g; s/charset=3D/charset=/' \
		"$CHANGE/0001-count.patch" | { echo "From x Mon Sep 17 00:00:00 2001"; cat; } > "$CHECK/change.mbox"
	same "$(git -C build/git rev-parse "$(S=$CHECK/change.mbox scripts/tree.sh --commit)^{tree}")" \
	     "$(git -C build/git rev-parse "$commit^{tree}")" "the tree of the encoded mail"
	echo nothing > "$CHECK/change.mbox"
	expect 2 env S="$CHECK/change.mbox" scripts/tree.sh --commit
	says "try:"
}

patch_by_patch()
{
	fresh_change
	counting_patch "$CHANGE/0001-count.patch"
	patch_of "$CHANGE/0002-text.patch" "mm: say it" " *	mm/mremap.c" " *	mm/mremap.c - moves" mm/mremap.c
	# Whatever else runs here meanwhile: out/latest is never what was just compared.
	ln -sfn nowhere "$CHECK/nowhere"
	while cp -P "$CHECK/nowhere" out/latest.kit && mv -T out/latest.kit out/latest; do :; done & other=$!
	end="kill $other; wait; rm -f out/latest.kit out/latest"
	# shellcheck disable=SC2064 # with this process
	trap "$end" EXIT
	expect 0 compare S="$CHANGE" EACH=1 T=mremap.move.arrives-page
	trap - EXIT
	eval "$end"
	says "change patch 1 of 2" "change patch 2 of 2" Summary
	same "$(grep -c '^  holds' "$CHECK/got")" 3 "lines of the summary: two patches and the whole"
	# What the change promises holds for the whole only; what it breaks on purpose a patch may break.
	breaking_patch "$CHANGE/0001-count.patch"
	{ echo "tests mremap.move.arrives-page,selfcheck.lib.child_results"; echo "broken mremap.move.arrives-page"; } > "$CHANGE/expect"
	expect 0 compare S="$CHANGE" EACH=1
	says "change patch 1 of 2" "expect 1 of 1 hold" "1 broken as promised"
	echo "vmstat:nr_mlock mremap.move.arrives-page changed < 0" >> "$CHANGE/expect"
	expect 1 compare S="$CHANGE" EACH=1
	same "$(grep -c '^  FAILS  FAIL compare change (' "$CHECK/got") $(grep -c '^  holds  PASS compare change patch' "$CHECK/got")" "1 2" \
		"the whole fails, its patches do not"
}

# A build directory is copied into a tree that was there before it: its sources are older than the donor's objects, and
# so is a Kconfig file; the change's own kernel and configuration come out all the same.
older_tree()
{
	fresh_change
	counting_patch "$CHANGE/0001-count.patch"
	patch_of "$CHANGE/0002-option.patch" "um: no PMD moves" "	select HAVE_MOVE_PMD if 64BIT" \
		"	select HAVE_MOVE_PMD if BROKEN" arch/um/Kconfig
	tree=build/trees/$(S=default,$CHANGE scripts/tree.sh --name)
	rm -rf "$tree/build-fast"
	expect 0 env S=default,"$CHANGE" FROM=default scripts/tree.sh
	touch -d '2 days ago' "$tree/mm/mremap.c" "$tree/arch/um/Kconfig"
	cat > "$CHANGE/expect" <<-EOF
	profile fast
	tests mremap.move.arrives-page
	vmstat:unevictable_pgs_scanned mremap.move.arrives-page changed >= base + 7
	EOF
	expect 0 compare S="$CHANGE"
	says "expect 1 of 1 hold"
	same "$(grep -c CONFIG_HAVE_MOVE_PMD=y "$tree/build-fast/.config")" 0 "settings"
	in_file CONFIG_HAVE_MOVE_PMD=y build/trees/default/build-fast/.config
	# A file that is put back with its old time.
	cp -p "$tree/mm/mremap.c" "$CHECK/mremap.c"
	sed -i 's/UNEVICTABLE_PGSCANNED, 7/UNEVICTABLE_PGSCANNED, 9/' "$tree/mm/mremap.c"
	expect 0 scripts/build.sh "$tree" fast
	after=$(sha256sum < "$tree/build-fast/vmlinux")
	cp -p "$CHECK/mremap.c" "$tree/mm/mremap.c"
	expect 0 scripts/build.sh "$tree" fast
	says mm/mremap.o
	[ "$(sha256sum < "$tree/build-fast/vmlinux")" != "$after" ]
	# Only older, and the same: nothing to compile.
	touch -d '3 days ago' "$tree/mm/mremap.c"
	expect 0 scripts/build.sh "$tree" fast
	says_not "CC "
}

empty_series()
{
	fresh_change
	expect 2 compare S="$CHANGE"
	says "the series of $CHANGE is empty"
	expect 2 compare S="mremap-fix-chrage"
	says "no change named mremap-fix-chrage" mremap-fix-charge
	expect 2 compare A=none
	says "A= and B= go together"
	expect 2 compare A=none B=none
	says "the two sides" "same"
	expect 2 compare S="$CHANGE" REPEAT=often
	says "REPEAT=often is no number of runs"
}

# Two changes that touch the same line; a series made for another kernel.
conflicting_changes()
{
	fresh_change
	counting_patch "$CHANGE/0001-count.patch"
	rm -rf "$CHECK/rival"
	mkdir -p "$CHECK/rival"
	breaking_patch "$CHECK/rival/0001-break.patch"
	echo 0001-count.patch > "$CHANGE/series"
	echo 0001-break.patch > "$CHECK/rival/series"
	before=$(tree_head)
	expect 5 compare S="$CHANGE,$CHECK/rival"
	says "0001-break.patch does not apply" "change rival conflicts with change" "mm/mremap.c"
	sed -i 's/^-static unsigned long move_vma(/-static long move_vma(/' "$CHECK/rival/0001-break.patch"
	printf '6.1.0\n' > "$CHECK/rival/base"
	expect 5 compare S="$CHECK/rival"
	says "does not apply" "the series is for 6.1.0, the tree is $(kit 'version_of refs/mmuml/base')"
	same "$(tree_head)" "$before" "the base's commit"
	fresh_change
	counting_patch "$CHANGE/0001-count.patch"
	expect 0 compare S="$CHANGE" T=mremap.move.arrives-page
}

no_compiled_file()
{
	fresh_change
	patch_of "$CHANGE/0001-doc.patch" "docs: a word" "Process Addresses" "Process addresses" Documentation/mm/process_addrs.rst ||
		return
	expect 4 compare S="$CHANGE" T=mremap.move.arrives-page
	says "NOTHING CAN DIFFER" "Documentation/mm/process_addrs.rst"
}

# A system call that one test makes and the other does not.
code_that_never_ran()
{
	fresh_change
	patch_of "$CHANGE/0001-count.patch" "mm: count each mincore()" "	start = untagged_addr(start);" \
		"	start = untagged_addr(start); count_vm_event(UNEVICTABLE_PGSCANNED);" mm/mincore.c
	expect 4 compare S="$CHANGE" T='selfcheck.lib.vmstat*'
	says "Changed lines that ran: 0 of " "THE CHANGED CODE NEVER RAN" "mmuml: SKIP compare change" "the changed code never ran"
	fresh_change
	counting_patch "$CHANGE/0001-count.patch"
	expect 0 compare S="$CHANGE" T=mremap.move.arrives-page
	says "Changed lines that ran: 1 of 1"
	[ "$(jq '.size.text[1] - .size.text[0]' out/latest/report.json)" -gt 0 ]
	same "$(jq -c .changed_lines out/latest/report.json)" '{"ran":1,"all":1}' "lines in report.json"
}

# A copy of the tree or of the build that was cut short is made again.
interrupted_copy()
{
	fresh_change
	counting_patch "$CHANGE/0001-count.patch"
	mine=build/trees/$(S=default,$CHANGE scripts/tree.sh --name)
	rm -rf "$mine"
	(setsid sh -c "STARTED=0 S=$CHANGE T=mremap.move.arrives-page exec scripts/compare.sh" >/dev/null 2>&1 & echo $! > "$CHECK/pid")
	for _ in $(seq 200); do
		[ ! -d "$mine/mm" ] || break
		sleep 0.05
	done
	kill -KILL -"$(cat "$CHECK/pid")"
	sleep 0.2
	[ ! -f "$mine/build-fast/vmlinux" ] || { echo "too late to interrupt"; return 1; }
	expect 0 compare S="$CHANGE" T=mremap.move.arrives-page
	in_file vmstat:unevictable_pgs_scanned out/latest/report.json
	rm -rf "$mine/build-fast"
	mkdir "$mine/build-fast.tmp"
	expect 0 compare S="$CHANGE" T=mremap.move.arrives-page
	[ ! -d "$mine/build-fast.tmp" ]
}

# a_cp: a directory for the front of PATH, with a cp to which the disk is full when it copies a build directory.
a_cp()
{
	rm -rf "${CHECK:?}/bin"
	mkdir -p "$CHECK/bin"
	cat > "$CHECK/bin/cp" <<-'EOF'
	#!/bin/sh
	for last; do :; done
	case $last in
	*/build-fast.tmp)
		mkdir -p "$last/mm"
		echo "cp: error writing '$last/vmlinux': No space left on device" >&2
		exit 1 ;;
	esac
	exec /bin/cp "$@"
	EOF
	chmod 755 "$CHECK/bin/cp"
}

# What is half there is not there, and the comparison does not go on with it.
copy_that_fails()
{
	fresh_change
	counting_patch "$CHANGE/0001-count.patch"
	mine=build/trees/$(S=default,$CHANGE scripts/tree.sh --name)
	rm -rf "$mine/build-fast"
	a_cp
	expect 3 compare S="$CHANGE" T=mremap.move.arrives-page PATH="$CHECK/bin:$PATH"
	says "build-fast cannot be copied to $mine/build-fast" "No space left on device" "try:" "stays; again: scripts/compare/one.sh"
	[ ! -e "$mine/build-fast" ] && [ ! -e "$mine/build-fast.tmp" ]
	# The files of the comparison are there: it goes on where it stood.
	work=$(sed -n 's/.*again: scripts.compare.one\.sh //p' "$CHECK/got")
	expect 0 scripts/compare/one.sh "$work"
	says "COPY    $mine/build-fast" "mmuml: PASS compare change"
	rm -rf "${work%/*}"
}

# small_sides: two trees of one file each, and what the stages before lines.sh would have left, in $CHECK/work/1.
small_sides()
{
	rm -rf "$CHECK/work"
	mkdir -p "$CHECK/work/1" "$CHECK/work/base/mm"
	echo "int a;" > "$CHECK/work/base/mm/a.c"
	git -C "$CHECK/work/base" init -q
	git -C "$CHECK/work/base" add mm
	git -C "$CHECK/work/base" -c user.name=u -c user.email=u@localhost commit -qm one
	git clone -q "$CHECK/work/base" "$CHECK/work/changed"
	printf 'int b;\nint c;\n' >> "$CHECK/work/changed/mm/a.c"
	for side in base changed; do
		mkdir "$CHECK/work/$side/build-fast"
		echo "1 1 0 ../mm/a.c" > "$CHECK/work/$side/build-fast/.inputs"
		echo "no kernel" > "$CHECK/work/$side/build-fast/vmlinux"
	done
	echo "REPEAT 1" > "$CHECK/work/asked"
	printf '%s\n' "base none" "changed x" "name x" "profile fast" "tests kit.*" "tree.base $CHECK/work/base" \
		"tree.changed $CHECK/work/changed" > "$CHECK/work/1/what"
}

# The changed lines and their code are known, or it is said why not.
lines_or_an_error()
{
	small_sides
	expect 3 scripts/compare/lines.sh "$CHECK/work/1"
	says "the changed lines are not found in $CHECK/work/base/build-fast/vmlinux" "has no debug information" "try:"
	# One that says nothing.
	mkdir -p "$CHECK/work/b/host"
	printf '#!/bin/sh\nkill -SEGV $$\n' > "$CHECK/work/b/host/mmuml-probe"
	chmod 755 "$CHECK/work/b/host/mmuml-probe"
	expect 3 env BUILD="$CHECK/work/b" scripts/compare/lines.sh "$CHECK/work/1"
	says "mmuml-probe ended with 139"
	[ ! -s "$CHECK/work/1/code.base" ]
	printf '#!/bin/sh\nsed s/^/10/\n' > "$CHECK/work/b/host/mmuml-probe"
	expect 0 env BUILD="$CHECK/work/b" scripts/compare/lines.sh "$CHECK/work/1"
	same "$(cat "$CHECK/work/1/lines.changed" "$CHECK/work/1/code.changed" "$CHECK/work/1/idle" | tr '\n' ' ')" \
	     "mm/a.c:2 mm/a.c:3 10mm/a.c:2 10mm/a.c:3 " "lines, and their code"
	# No record of what the kernel was built from says nothing about what goes into it.
	echo "1 1 0 ../mm/a.cc" > "$CHECK/work/base/build-fast/.inputs"
	echo "1 1 0 ../mm/a.cc" > "$CHECK/work/changed/build-fast/.inputs"
	expect 0 env BUILD="$CHECK/work/b" scripts/compare/lines.sh "$CHECK/work/1"
	in_file "no file that the change touches is compiled" "$CHECK/work/1/idle"
	rm "$CHECK/work/changed/build-fast/.inputs"
	expect 2 env BUILD="$CHECK/work/b" scripts/compare/lines.sh "$CHECK/work/1"
	says "$CHECK/work/changed/build-fast is not built"
}

# What a run directory lacks or has too much of is said, and hides nothing else.
odd_run_directories()
{
	rm -rf "$CHECK/work"
	mkdir -p "$CHECK/work/a" "$CHECK/work/b"
	cd "$CHECK/work" || return
	for side in a b; do
		echo '{}' > $side/manifest.json
		echo start > $side/console.log
	done
	cat > a/results.json <<-'EOF'
	{ "exit": 0, "tests": [ { "name": "x.y.a", "status": "PASS" }, { "name": "x.y.b", "status": "PASS" },
	  { "status": "PASS" }, { "name": "x.y.c", "status": "PASS" } ] }
	EOF
	cat > b/results.json <<-'EOF'
	{ "tests": [ { "name": "x.y.a", "status": "PASS" }, { "name": "x.y.b" }, { "name": "x.y.c", "status": "UNHEARD" } ] }
	EOF
	printf two > b/console-2.log
	printf 'ten\n\000\nlast\n' > b/console-10.log
	printf 'three\n' > b/console-3.log
	compare=$TOP/build/host-asan/mmuml-compare
	expect 1 "$compare" --base a --changed b --name odd
	says "BROKEN   x.y.b" "BROKEN   x.y.c" "UNHEARD" "of 3 tests: 0 FIXED, 2 BROKEN, 0 new, 1 same" "Boot: not known" "Tests: not known"
	same "$(sed -n 's/^  + //p' "$CHECK/got" | tr '\n' ' ')" "two three ten ? last " "lines of the consoles"
	# The worst of several runs, known or not.
	sed 's/UNHEARD/PASS/' b/results.json > results && mkdir c && cp b/manifest.json c/ && mv results c/results.json
	expect 1 "$compare" --base a --base a --changed c --changed b --name odd
	says "BROKEN   x.y.c"
	# Nothing at all.
	echo '{}' > b/results.json
	expect 1 "$compare" --base a --changed b --name odd
	says "NO RESULT on the changed side: the run has no verdict"
	echo '{' > b/results.json
	expect 2 "$compare" --base a --changed b --name odd
	says "b/results.json cannot be read"
}

# Each step is what one commit does to its own first parent: with a branch that was merged after two other commits, not what
# lies between two commits that happen to follow each other in a list.
steps_over_a_merge()
{
	user_tree
	theirs() { git -C "$LINUX_TREE" -c user.name=u -c user.email=u@localhost "$@"; }
	commit() { echo "/* $1 */" >> "$LINUX_TREE/$2"; theirs commit -qam "$1"; }
	base=$(theirs rev-parse HEAD)
	theirs checkout -q -b topic
	commit t1 mm/mremap.c
	commit t2 mm/mremap.c
	theirs checkout -q --detach "$base"
	commit m1 mm/rmap.c
	commit m2 mm/rmap.c
	theirs merge -q --no-ff -m merged topic
	expect 0 env LINUX="$LINUX_TREE" S="git:$base..HEAD" EACH=1 scripts/compare/plan.sh "$CHECK/work"
	subjects=
	while IFS='	' read -r one other _ _ step; do
		[ "$step" = step ] || continue
		subjects="$subjects $(theirs log -1 --format=%s "${other#git:}")"
		same "$(theirs diff "${one#git:}" "${other#git:}" | cksum)" \
		     "$(theirs show --format= -m --first-parent "${other#git:}" | cksum)" "the diff of a step and that of its commit"
	done < "$CHECK/work/plan"
	same "$subjects" " m1 m2 merged" "the steps"
	same "$(tail -n 1 "$CHECK/work/plan" | cut -f1,2,5)" "$(printf 'git:%s\tgit:HEAD\t-' "$base")" "the whole at the end"
	expect 2 env LINUX="$LINUX_TREE" S="git:$base..nowhere" EACH=1 scripts/compare/plan.sh "$CHECK/work"
	says "no commits in $base..nowhere"
}

# A killed comparison leaves no kernel running.
ends_when_told()
{
	STARTED=0 A=none B=default T='kit.hang.*' SCALE=10 SEED=$$ scripts/compare.sh >"$CHECK/said" 2>&1 & pid=$!
	for _ in $(seq 1200); do
		! grep -q 'both sides at once' "$CHECK/said" || break
		sleep 0.1
	done
	sleep 1
	mine=$(pgrep -fc -- "--see[d] $$ ") || true
	kill -TERM $pid
	code=0
	wait $pid || code=$?
	same "$code" 130 "exit code"
	[ "$mine" -ge 1 ] || { cat "$CHECK/said"; echo "no run to be killed"; return 1; }
	for _ in $(seq 50); do
		pgrep -f -- "--see[d] $$ " >/dev/null || return 0
		sleep 0.1
	done
	echo "a runner is left"
	return 1
}

git_range()
{
	user_tree
	sed -i 's|^ \*\tmm/mremap.c$| *\tmm/mremap.c, moves|' "$LINUX_TREE/mm/mremap.c"
	git -C "$LINUX_TREE" -c user.name=u -c user.email=u@localhost commit -qam "mm: a word"
	state=$(state_of "$LINUX_TREE")
	expect 0 compare LINUX="$LINUX_TREE" S=git:HEAD~1..HEAD T=mremap.move.arrives-page
	says "mmuml compare: HEAD~1..HEAD" "mmuml: PASS"
	same "$(state_of "$LINUX_TREE")" "$state" "the user's tree"
	expect 2 compare LINUX="$LINUX_TREE" S=git:HEAD~1..nowhere T=mremap.move.arrives-page
	says "no commit nowhere"
	same "$(grep -c "error:" "$CHECK/got")" 1 "errors"
	expect 2 compare LINUX="$LINUX_TREE" S=git:HEAD
	says "is no range"
}

new_export_import()
{
	tree=build/trees/default
	head=$(tree_head)
	a_copy
	sed -i 's|^ \*\tmm/mremap.c$| *\tmm/mremap.c, moves|' $tree/mm/mremap.c
	code=0
	git -C $tree -c user.name=u -c user.email=u@localhost commit -qam "mm: a word" -m "Why."
	expect 0 env NAME=my-change scripts/change.sh new || code=1
	git -C $tree checkout -q --detach "$head"
	same "$(cat mm-changes/my-change/series)" 0001-mm-a-word.patch "the series" || code=1
	in_file "mremap-fix-charge" mm-changes/my-change/base || code=1
	in_file "mm: a word" mm-changes/my-change/README.md || code=1
	expect 2 env NAME=my-change scripts/change.sh new || code=1
	says "there is a mm-changes/my-change already" || code=1
	[ $code = 0 ]
	expect 2 env NAME=other scripts/change.sh new
	says "no patches for other"
	# Out as mails, complaints and all, and in again.
	rm -rf "$CHECK/mails"
	expect 0 env S=my-change DIR="$CHECK/mails" scripts/change.sh export
	says "0001-mm-a-word.patch" "WARNING" "complaint(s) of checkpatch"
	cat "$CHECK"/mails/*.patch > "$CHECK/mails.mbox"
	expect 0 env NAME=again MBOX="$CHECK/mails.mbox" scripts/change.sh import
	same "$(S=$(scripts/compare.sh --below),again scripts/tree.sh --commit >/dev/null && cat mm-changes/again/series)" \
	     0001-mm-a-word.patch "the series of the import"
	expect 2 env S=my-change DIR="$CHECK/mails" scripts/change.sh export
	says "has patches already"
	expect 2 env NAME=../x MBOX="$CHECK/mails.mbox" scripts/change.sh import
	says "is no name of a directory"
}

# The status that git bisect run wants: what cannot be tested is skipped, a mistake stops it.
bisects()
{
	rm -rf "$CHECK/rival"
	mkdir -p "$CHECK/rival"
	breaking_patch "$CHECK/rival/0001-break.patch"
	sed -i 's/^-static unsigned long move_vma(/-static long move_vma(/' "$CHECK/rival/0001-break.patch"
	expect 125 scripts/bisect.sh S="$CHECK/rival"
	says "does not apply"
	expect 129 scripts/bisect.sh S=no-such-change
	expect 0 scripts/bisect.sh T=kit.plain.pass
	expect 1 scripts/bisect.sh T=kit.plain.fail
	expect 2 make run BISECT=1 S="$CHECK/rival"
	says "Error 125"
}

expect_files_are_sound()
{
	for e in mm-changes/*/expect; do
		[ -f "$e" ] || continue
		expect 0 build/host-asan/mmuml-compare --expect "$e" --print
	done
}

# What the changes that ship promise.
shipped_changes_hold()
{
	ls mm-changes/*/expect >/dev/null 2>&1 || return 0
	expect 0 compare S= >/dev/null || { grep -E "FAILS|BROKEN|^mmuml: FAIL|because" "$CHECK/got" | tail -n 25; return 1; }
	says Summary
	says_not FAILS
}

# One of them, where there is no time for all.
shipped_change_holds()
{
	expect 0 compare S=mremap-move-page-tables
	says "expect " " hold"
	says_not FAILS
}

compare_cases()
{
	t -host compare.expect_files expect_files_are_sound
	t -x change -x out compare.breaks breaks_a_test
	t -x change -x out compare.fixes fixes_a_test
	t -x change -x out compare.counts counts_differ
	t -x change -x out compare.forms forms_of_a_series
	t -x change -x out -full compare.each patch_by_patch
	t -x change -x out -full compare.older_tree older_tree
	t -x change -x out compare.empty empty_series
	t -x change -x out compare.conflict conflicting_changes
	t -x change -x out compare.no_code no_compiled_file
	t -may ptrace -x change -x out compare.never_ran code_that_never_ran
	t -x change -x out -full compare.interrupted interrupted_copy
	t -x tree -x linux -x out -full compare.git_range git_range
	t -x tree change.new_export_import new_export_import
	t -x tree -x out change.bisect bisects
	t -x change -x out compare.shipped_one shipped_change_holds
	t -x change -x out -full compare.shipped shipped_changes_hold
	t -x change -x out compare.copy_fails copy_that_fails
	t -may ptrace -x change -x out compare.lines lines_or_an_error
	t -host compare.odd_runs odd_run_directories
	t -x tree -x linux -full compare.steps steps_over_a_merge
	t -x change -x out compare.ends ends_when_told
}
