# SPDX-License-Identifier: GPL-2.0
"""Page tables of UML, level by level, swap and migration entries, and what the host has mapped. Command mm-pgwalk."""
import os
import re
import struct

import gdb

from mmkit import kernel as k
from mmkit import page
from mmkit import vma

PRESENT, NEEDSYNC, PROTNONE, RW, USER, ACCESSED, DIRTY, SWP_EXCLUSIVE = 1, 2, 0x10, 0x20, 0x40, 0x80, 0x100, 0x400
NAMES = ((PRESENT, "PRESENT"), (NEEDSYNC, "NEEDSYNC"), (PROTNONE, "PROTNONE"), (RW, "RW"), (USER, "USER"),
         (ACCESSED, "ACCESSED"), (DIRTY, "DIRTY"))
FOUR_LEVELS = (("pgd", 39), ("pud", 30), ("pmd", 21), ("pte", 12))
THREE_LEVELS = (("pgd", 30), ("pmd", 21), ("pte", 12))	# arch/um before 6.13: include/asm-generic/pgtable-nopud.h
MARKERS = ((1, "uffd-wp"), (2, "poisoned"), (4, "guard"))

_swap_types = {}
_levels = []


def table_levels():
    """(name, shift) of each level of page tables, from the top; a folded pud_t holds what is above it."""
    if not _levels:
        folded = gdb.lookup_type("pud_t").strip_typedefs().fields()[0].name != "pud"
        _levels.extend(THREE_LEVELS if folded else FOUR_LEVELS)
    return _levels


def swap_type_names():
    """{type: name} of the types that are no swap device: include/linux/swap.h, counted from the top of 32."""
    if not _swap_types:
        names, top = ["pte marker"], 32
        migration = k.have_symbol("migration_entry_wait")
        hwpoison = k.have_symbol("memory_failure")
        order = (["hwpoison"] if hwpoison else []) + \
                (["migration read", "migration read-exclusive", "migration write"] if migration else []) + names
        for i, name in enumerate(order):
            _swap_types[top - len(order) + i] = name
    return _swap_types


class Entry:
    """A page-table entry: value, where it is, the frame that it maps, and the frame that a migration entry names."""

    def __init__(self, value, address=None, level="pte"):
        self.value, self.address, self.level = value, address, level
        self.pfn = self.migrating = self.swap = None
        self.kind = "none"
        if value & (PRESENT | PROTNONE):
            self.kind = "present"
            self.pfn = (value & k.PAGE_MASK) >> k.PAGE_SHIFT
        elif value & ~NEEDSYNC:
            self.swap = value >> 5 & 0x1f, value >> 11
            self.kind = swap_type_names().get(self.swap[0], "swap")
            if self.kind.startswith(("migration", "hwpoison")):
                self.migrating = self.swap[1] & ((1 << 36) - 1)

    def text(self):
        """Decoded, for people."""
        flags = " ".join(n for bit, n in NAMES if self.value & bit)
        if self.kind == "none":
            return "not mapped" + (" (NEEDSYNC)" if self.value & NEEDSYNC else "")
        if self.kind == "present":
            return "pfn %#x  %s" % (self.pfn, flags)
        extra = " NEEDSYNC" if self.value & NEEDSYNC else ""
        if self.value & SWP_EXCLUSIVE and self.kind == "swap":
            extra += " exclusive"
        if self.kind == "pte marker":
            return "marker %s%s" % (" ".join(n for b, n in MARKERS if self.swap[1] & b) or "?", extra)
        if self.migrating is not None:
            return "%s entry, pfn %#x%s" % (self.kind, self.migrating, extra)
        return "swap entry, device %d offset %#x%s" % (self.swap[0], self.swap[1], extra)


def virt(phys):
    return phys + k.u64(k.symbol("uml_physmem"))


def levels(mm, address):
    """(name, address of the entry, value) of each level, as far as there are tables."""
    table = k.get("mm_struct", mm, "pgd")
    for name, shift in table_levels():
        at = table + 8 * (address >> shift & 511)
        value = k.u64(at)
        yield name, at, value
        if name != "pte" and not value & PRESENT:
            return
        table = virt(value & k.PAGE_MASK)


def lookup(mm, address):
    """The Entry that ends the walk."""
    for name, at, value in levels(mm, address):
        pass
    if name != "pte":
        return Entry(0, at, name)
    return Entry(value, at)


def tables(mm):
    """(first address, PTE table as 512 numbers) of every PTE table of an mm."""
    def below(table, level, base):
        entries = struct.unpack("<512Q", k.read(table, 4096))
        if shifts[level] == k.PAGE_SHIFT:
            yield base, entries
            return
        for i, value in enumerate(entries):
            if value & PRESENT:
                yield from below(virt(value & k.PAGE_MASK), level + 1, base | i << shifts[level])

    # Only the user half of the top level: the guest's user space ends at task_size.
    shifts = [shift for _, shift in table_levels()]
    top = k.get("mm_struct", mm, "pgd")
    last = (k.get("mm_struct", mm, "task_size") - 1) >> shifts[0]
    for i, value in enumerate(k.words(top, min(last, 511) + 1)):
        if value & PRESENT:
            yield from below(virt(value & k.PAGE_MASK), 1, i << shifts[0])


# ---- the host's side ----

class Host:
    """What the host has mapped in the stub of an mm: /proc/PID/maps."""

    def __init__(self, mm):
        self.pid = k.get("mm_struct", mm, "context.id.pid")
        self.rows = None
        try:
            with open("/proc/%d/maps" % self.pid) as f:
                lines = f.read().splitlines()
        except OSError:
            return
        self.rows = []
        for line in lines:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) ([0-9a-f]+) (\S+) (\d+)\s*(.*)", line)
            self.rows.append((int(m[1], 16), int(m[2], 16), m[3], int(m[4], 16), int(m[6]), m[7]))
        self.physmem = self.inode()

    def inode(self):
        """Of the file that is the guest's memory."""
        try:
            return os.stat("/proc/%d/fd/%d" % (k.gdb.selected_inferior().pid, k.value("physmem_fd"))).st_ino
        except OSError:
            return None

    def at(self, address):
        """(permissions, physical address or None, name) of what backs @address, or None."""
        for start, end, perms, offset, inode, name in self.rows or ():
            if start <= address < end:
                return perms, offset + (address & k.PAGE_MASK) - start if inode == self.physmem else None, name
        return None


def expected(value):
    """Permissions that um_tlb_sync() gives a present PTE on the host; None: nothing mapped."""
    if not value & (PRESENT | PROTNONE):
        return None
    if value & PROTNONE or not value & ACCESSED:
        return "---s"
    return "rwxs" if value & RW and value & DIRTY else "r-xs"


def disagreement(entry, host_row, stale):
    """What is wrong between an Entry and the host's mapping, or None; @stale: a sync is still to come."""
    if stale:
        return None
    want = expected(entry.value) if entry.level == "pte" else None
    if want is None:
        if host_row and host_row[1] is not None:
            return "the host still maps physical %#x here, UML's table has nothing" % host_row[1]
        return None
    if not host_row:
        # A page without any access may as well not be mapped.
        return None if want == "---s" else "the host has nothing mapped here"
    if host_row[1] is None:
        return "the host has something else mapped here: %s" % host_row[2]
    if host_row[1] >> k.PAGE_SHIFT != entry.pfn:
        return "the host maps pfn %#x, UML's table says pfn %#x" % (host_row[1] >> k.PAGE_SHIFT, entry.pfn)
    if host_row[0] != want:
        return "the host's permissions are %s, UML's table means %s" % (host_row[0], want)
    return None


class Walk(k.Command):
    """mm-pgwalk ADDR [PID]: the page-table walk of a user address, level by level, flags by name.

Swap, migration, hwpoison and marker entries are decoded. Below it: what the host has mapped at the address in the stub
process of that mm (/proc/PID/maps). "!!" marks where UML's table and the host disagree; an entry that still has
NEEDSYNC on some level is not yet told to the host and cannot disagree."""
    name = "mm-pgwalk"

    def run(self, argv):
        if not argv:
            raise k.Error("mm-pgwalk ADDR [PID]")
        address = k.number(argv[0])
        task = k.arg_task(argv, 1)
        mm = k.user_mm(task)
        if address >= k.get("mm_struct", mm, "task_size"):
            raise k.Error("%#x is no user address (they end at %#x)" % (address, k.get("mm_struct", mm, "task_size")))
        v = vma.find(mm, address)
        k.say("%#x of task %d (%s), %s", address, k.pid(task), k.comm(task),
              "VMA %#x %#x-%#x %s" % ((v,) + vma.span(v) + (vma.perms(v),)) if v else "in no VMA")
        stale = False
        entry = None
        for name, at, value in levels(mm, address):
            stale = stale or bool(value & NEEDSYNC)
            entry = Entry(value, at, name)
            if name == "pte":
                k.say("  pte %#x = %#018x  %s", at, value, entry.text())
            elif value & PRESENT:
                k.say("  %s %#x = %#018x  table at %#x%s", name, at, value, virt(value & k.PAGE_MASK),
                      " NEEDSYNC" if value & NEEDSYNC else "")
            else:
                k.say("  %s %#x = %#018x  none%s", name, at, value, " NEEDSYNC" if value & NEEDSYNC else "")
        host = Host(mm)
        if host.rows is None:
            k.say("  host: no process %d (the stub is gone, or this is a core)", host.pid)
            return
        row = host.at(address)
        k.say("  host: process %d %s", host.pid, "nothing mapped" if not row else
              "%s physical %#x (pfn %#x)" % (row[0], row[1], row[1] >> k.PAGE_SHIFT) if row[1] is not None else
              "%s %s" % (row[0], row[2]))
        if stale:
            k.say("  host: a sync is pending (NEEDSYNC)")
        wrong = disagreement(entry, row, stale)
        if wrong:
            k.say("  !! %s", wrong)


Walk()
