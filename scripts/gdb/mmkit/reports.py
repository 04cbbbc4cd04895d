# SPDX-License-Identifier: GPL-2.0
"""Functions of the kernel in which it gives up or complains, with the class that the runner has for that (the table of
scripts/runner/detect.c). What complains by a mere printk() in the midst of a function, as check_mm() does, has none."""

FUNCTIONS = (
    ("panic", "panic"),
    ("vpanic", "panic"),
    ("__warn", "WARN"),
    ("print_report", "KASAN"),
    ("ubsan_epilogue", "UBSAN"),
    ("debug_locks_off", "lockdep"),
    ("bad_page", "bad page"),
    ("print_bad_page_map", "bad page"),
    ("pmd_clear_bad", "bad page table"),
    ("pud_clear_bad", "bad page table"),
    ("pgd_clear_bad", "bad page table"),
    ("__slab_bug", "slab"),
    ("__schedule_bug", "BUG"),
)
