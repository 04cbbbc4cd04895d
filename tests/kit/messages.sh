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
	# Those of these that this kernel has.
	printf '%s\n' __might_fault bad_page print_bad_page_map print_bad_pte | grep -xFf "$CHECK/names" > "$CHECK/printers"
	same "$("$CHECK/unit-trace" --skipped < "$CHECK/names" | sed 's/\..*//' | sort -u | paste -sd' ')" \
		"$(paste -sd' ' "$CHECK/printers")" "functions of mm/ that trace_culprit() skips"
}

# Names before the first bracket of a line that begins in column 0.
names_defined_in()
{
	awk '/^[a-z_A-Z]/ && match($0, /[a-zA-Z_0-9]+\(/) { print substr($0, RSTART, RLENGTH - 1) }' "$1"
}

# Where a message that says "something is wrong" is about memory, or comes from one of the kernel's detectors.
OBJECTS='^build-[a-z]*/((mm|lib|kernel/(locking|rcu|sched))/|(kernel/(exit|fork|hung_task|panic|softirq|watchdog|workqueue)'
OBJECTS=$OBJECTS'|fs/(dcache|inode|super)|arch/um/kernel/(tlb|trap|skas/mmu))\.o$)'

# said_by_kernels LIST: the messages of both kernels that the suite boots, against the rows and LIST.
said_by_kernels()
{
	tree=$(cd "${OUT%/*}" && pwd)
	for profile in fast debug; do
		# Given a whole path, ar names the members of a thin archive by theirs.
		ar t "$tree/build-$profile/vmlinux.a" | sed "s|^$tree/||"
	done | grep -E "$OBJECTS" > "$CHECK/objects"
	[ "$(grep -c '/mm/rmap\.o$' "$CHECK/objects")" = 2 ] || { echo "not the objects of two kernels: make kernel PROFILE=debug?"; return 1; }
	"$CHECK/messages" "$1" "$tree" < "$CHECK/objects"
}

messages_are_known()
{
	gcc -std=gnu11 -O1 -Wall -Wextra -Werror -D_GNU_SOURCE -o "$CHECK/messages" tests/kit/messages.c scripts/runner/detect.c \
	    scripts/lib/*.c -lelf
	said_by_kernels tests/kit/messages
	# The check itself: a message without a decision, and a decision without a message.
	grep -v 'mm/slub: FIX' tests/kit/messages > "$CHECK/list"
	printf '\tmm/rmap: no such words\n' >> "$CHECK/list"
	! said_by_kernels "$CHECK/list" > "$CHECK/got" || { cat "$CHECK/got"; return 1; }
	says "nobody decided on 'mm/slub: FIX %s: %pV' (level 3)" "'mm/rmap: no such words' is listed and no kernel has it" \
	     "scripts/runner/detect.c" "1 open, 1 stale"
}

message_cases()
{
	t messages.culprits culprits_are_not_skipped
	t messages.known messages_are_known
}
