# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Cases that hold the runner's tables about the kernel against the kernel that was built. Sourced by check.sh.

# Whom a report is never charged to: nothing that mm/ defines, inline functions included, but for what only prints.
culprits_are_not_skipped()
{
	gcc -std=gnu11 -Wall -Wextra -Werror -D_GNU_SOURCE -o "$CHECK/unit-trace" tests/kit/unit-trace.c scripts/runner/trace.c \
	    scripts/lib/*.c -lelf
	tree=${OUT%/*}
	for f in compaction filemap gup huge_memory internal khugepaged ksm madvise memory migrate mlock mmap mprotect mremap \
		 page_alloc page_vma_mapped rmap shmem swap swap_state swapfile vma vma_exec vmscan; do
		for source in "$tree/mm/$f".[ch]; do
			[ ! -f "$source" ] || names_defined_in "$source"
		done
		[ ! -f "$OUT/mm/$f.o" ] || nm "$OUT/mm/$f.o" | awk '$2 ~ /[tT]/ { print $3 }'
	done | sort -u > "$CHECK/names"
	for must in anon_vma_clone check_pte check_prep_vma move_ptes; do
		grep -qx "$must" "$CHECK/names" || { echo "the names of mm/ lack $must"; return 1; }
	done
	same "$("$CHECK/unit-trace" --skipped < "$CHECK/names" | sed 's/\..*//' | sort -u | paste -sd' ')" \
		"__might_fault bad_page print_bad_page_map" "functions of mm/ that trace_culprit() skips"
}

# Names before the first bracket of a line that begins in column 0.
names_defined_in()
{
	awk '/^[a-z_A-Z]/ && match($0, /[a-zA-Z_0-9]+\(/) { print substr($0, RSTART, RLENGTH - 1) }' "$1"
}

message_cases()
{
	t messages.culprits culprits_are_not_skipped
}
