# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Cases about the tests that an edit concerns: make map, make run T=@changed. Sourced by check.sh.

# asked DIFF-LINE...: what the small map says of a diff of mm/x.c.
asked()
{
	printf '%s\n' 'test a.b.one' 'test a.b.two' 'test a.b.three' 'set 1' 'set 2' 'set 7' 'set 0' 'file mm/x.c' 'fn 10 20 f' 'ln 10 2 1' 'ln 12 0 0' \
		'ln 15 1 0' 'ln 19 3 0' 'fn 30 40 g' 'ln 31 3 0' > "$CHECK/map"
	printf '%s\n' '+++ b/mm/x.c' "$@" | build/host/mmuml-cov ask "$CHECK/map" | paste -sd' '
}

lines_of_a_map()
{
	same "$(asked '@@ -12 +12 @@' '-	a = 1;' '+	a = 2;')" "function f test a.b.one" "an edited line with code"
	same "$(asked '@@ -12,4 +12 @@' '-	a' '-	b' '-	c' '-	d' '+	a = 2;')" "function f test a.b.one test a.b.two" "edited lines"
	same "$(asked '@@ -12,0 +13 @@' '+	a = 2;')" "function f test a.b.one test a.b.two" "a new line"
	same "$(asked '@@ -10,0 +11 @@' '+	a = 2;')" "function f test a.b.one test a.b.two test a.b.three start" "one behind what each start executes"
	same "$(asked '@@ -13 +13 @@' '-	/* words */' '+	b = 1;')" "function f test a.b.one test a.b.two" "code in place of a comment"
	same "$(asked '@@ -19 +19 @@' '-	a;' '+	b;')" "function f" "a line that nothing executes"
	same "$(asked '@@ -31 +31 @@' '-	a;' '+	b;' '@@ -12 +12 @@' '-	a;' '+	b;')" "function g function f test a.b.one" "two functions"
	same "$(asked '@@ -12,0 +13,3 @@' '+	/* words' '+	 * more of them' '+	 */')" "" "a comment"
	same "$(asked '@@ -12,0 +13 @@' '+	/* words */ a = 2;')" "function f test a.b.one test a.b.two" "code behind a comment"
	same "$(asked '@@ -12,0 +13 @@' '+	*p = 2;')" "function f test a.b.one test a.b.two" "a line that begins as one of a comment may"
	same "$(asked '@@ -25,0 +26 @@' '+int table;')" "all mm/x.c:25 is outside of functions" "what is in no function"
	same "$(asked '@@ -20,0 +21 @@' '+int table;')" "all mm/x.c:20 is outside of functions" "what follows one"
	same "$(asked '@@ -1 +1 @@' '-int a;' '+int b;' '+++ b/mm/y.c' '@@ -1 +1 @@' '-int a;' '+int b;' | tr ' ' '\n' | grep -c '^all$')" 2 "another file"
	echo 'nonsense' > "$CHECK/bad"
	expect 7 build/host/mmuml-cov ask "$CHECK/bad"
	says "bad:1: 'nonsense' is no line of a map" "make map"
	expect 2 build/host/mmuml-cov ask "$CHECK/none"
	says "make map"
}

# edit FILE FUNCTION TEXT: a statement more behind the first { of a function of the default tree.
edit()
{
	awk -v fn="$2" -v text="$3" '
		!done && $0 ~ "^([a-z].*[ *])?" fn "\\(" && !/;$/ { here = 1 }
		{ print }
		here && /^{/ { print "\t" text; here = 0; done = 1 }' "${OUT%/*}/$1" > "$CHECK/edited"
	! cmp -s "$CHECK/edited" "${OUT%/*}/$1" || { echo "no place in $2() of $1"; return 1; }
	cat "$CHECK/edited" > "${OUT%/*}/$1"
}

unedited()
{
	git -C "${OUT%/*}" checkout -q .
}

# What T=@changed takes, and what it says where it takes all or none.
changed_tests()
{
	tree=${OUT%/*}
	[ ! -d build/map ] || mv build/map "$CHECK/map.kept"
	code=0
	expect 2 make run T=@changed || code=1
	says "nothing is edited" || code=1
	edit mm/ksm.c break_ksm 'barrier();' || code=1
	expect 0 env T=@changed scripts/changed.sh only "$tree" echo runner || code=1
	says "CHANGED all tests: there is no map yet (make map)" "runner --tests" || code=1
	unedited
	expect 0 make map || code=1
	says "MAP     " || code=1
	edit mm/ksm.c break_ksm 'barrier();' || code=1
	expect 0 make run T=@changed || code=1
	says " tests reach break_ksm()" "PASS    rmap.ksm." || code=1
	says_not "PASS    mremap.shrink" || code=1
	# Out of their order in the list, and the parts of the guest are as they were.
	for part in "$GUEST"/cpio/*.cpio; do
		[ "$(head -c 6 "$part")" = 070701 ] || { echo "$part is damaged"; code=1; }
	done
	# The rest follows where all are asked for.
	expect 0 make run || code=1
	says " tests reach break_ksm()" "mmuml: PASS " || code=1
	sed -n 's/^  PASS    //p' "$CHECK/got" | head -n 3 | grep -q ksm || { echo "they are not the first"; code=1; }
	# Other verbs take it as well.
	for verb in coverage soak; do
		expect 0 make $verb T=@changed || code=1
		says " tests reach break_ksm()" "mmuml: PASS " || code=1
		says_not "mremap.shrink" || code=1
	done
	unedited
	echo '/* words */' >> "$tree/mm/ksm.c"
	expect 2 make run T=@changed || code=1
	says "no code is edited" "Error 4" || code=1
	unedited
	echo 'int kit_word;' >> "$tree/mm/vmscan.c"
	expect 0 env T=@changed,rmap.x scripts/changed.sh only "$tree" echo runner || code=1
	says "CHANGED all tests: mm/vmscan.c is not in the map" "runner --tests rmap.x" || code=1
	unedited
	expect 0 make build || code=1
	return $code
}

# Edits that break a function, on each: what fails in a run of all tests is among those that T=@changed takes.
edits_concern_what_they_break()
{
	expect 0 make map
	code=0
	while read -r file function text; do
		edit "$file" "$function" "$text" || { code=1; continue; }
		make run > "$CHECK/all.$function" 2>&1 || true
		sed -n 's/^  \(FAIL\|CRASH\|TIMEOUT\) *\([^ ]*\).*/\2/p' "$CHECK/all.$function" | sort -u > "$CHECK/broken"
		scripts/changed.sh only "${OUT%/*}" printf '%s\n' > "$CHECK/words" 2>&1 || true
		chosen=$(sed -n '/^--tests$/{n;p;}' "$CHECK/words" | tail -n 1)
		echo "$chosen" | tr ',' '\n' | sort -u > "$CHECK/chosen"
		# What fails only in a kernel in which others failed before is not the edit's.
		comm -23 "$CHECK/broken" "$CHECK/chosen" > "$CHECK/left"
		if [ -s "$CHECK/left" ]; then
			make run ISOLATE=1 T="$(paste -sd, "$CHECK/left")" > "$CHECK/alone.$function" 2>&1 || true
			sed -n 's/^  \(FAIL\|CRASH\|TIMEOUT\) *\([^ ]*\).*/\2/p' "$CHECK/alone.$function" | sort -u > "$CHECK/left"
		fi
		left=$(wc -l < "$CHECK/left")
		echo "| \`$function()\` | $(sed -n 's/^  CHANGED //p' "$CHECK/words" | sed 's/ tests reach.*//; s/ of / | /') | $(wc -l < "$CHECK/broken") | $left |" >> "$CHECK/table"
		[ "$left" = 0 ] || { echo "$function(): left out: $(paste -sd' ' "$CHECK/left")"; code=1; }
		unedited
	done <<-END
	mm/rmap.c anon_vma_clone if (dst->vm_start == src->vm_start && dst->vm_mm == src->vm_mm) return -ENOMEM;
	mm/rmap.c folio_referenced_one return true;
	mm/rmap.c page_vma_mkclean_one return 0;
	mm/rmap.c try_to_migrate_one return false;
	mm/rmap.c folio_add_file_rmap_ptes return;
	mm/rmap.c rmap_walk_anon return;
	mm/mremap.c mremap_to return -ENOMEM;
	mm/mremap.c expand_vma return -ENOMEM;
	mm/mremap.c shrink_vma return -ENOMEM;
	mm/mremap.c move_vma return -ENOMEM;
	mm/mremap.c vrm_calc_charge return false;
	mm/migrate.c migrate_folio_unmap return -EAGAIN;
	mm/migrate.c migrate_folio_move return -EAGAIN;
	mm/migrate.c remove_migration_pte return true;
	mm/migrate.c __folio_migrate_mapping return -EAGAIN;
	mm/compaction.c isolate_migratepages_block return -EAGAIN;
	mm/compaction.c compact_zone return COMPACT_SKIPPED;
	mm/compaction.c isolate_freepages_block return 0;
	mm/ksm.c break_ksm return 0;
	mm/ksm.c try_to_merge_one_page return -EFAULT;
	END
	cat "$CHECK/table"
	return $code
}

changed_cases()
{
	t -host changed.map lines_of_a_map
	t -x tree -x out -x coverage changed.run changed_tests
	t -x tree -x out -x coverage -full changed.edits edits_concern_what_they_break
}
