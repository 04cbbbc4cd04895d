# SPDX-License-Identifier: GPL-2.0
"""Who holds and who waits for the rwsems of mm. Command mm-locks."""
import itertools
import re

from mmkit import kernel as k
from mmkit import rmap
from mmkit import vma

WRITER, WAITERS, HANDOFF, READER_SHIFT = 1, 2, 4, 8
READER_OWNED, OWNER_FLAGS = 1, 3


def task_text(task):
    try:
        return "%d %s" % (k.pid(task), k.comm(task))
    except k.Error:
        return "task %#x" % task


def waiter(w):
    # RWSEM_WAITING_FOR_WRITE is 0.
    return k.get("rwsem_waiter", w, "task"), "read" if k.get("rwsem_waiter", w, "type") else "write"


def waiters(sem):
    """[(task, "read"|"write")] in the order of the queue, at most 1000: a torn queue must not hold gdb up."""
    if k.has("rw_semaphore", "first_waiter"):
        first = k.get("rw_semaphore", sem, "first_waiter")
    else:				# older: the queue has a head
        head = sem + k.offset("rw_semaphore", "wait_list")
        return [waiter(w) for w in itertools.islice(k.list_entries(head, "rwsem_waiter", "list"), 1000)]
    out, w = [], first
    while w and len(out) < 1000:
        out.append(waiter(w))
        w = k.u64(w + k.offset("rwsem_waiter", "list")) - k.offset("rwsem_waiter", "list")
        if w == first:
            break
    return out


def describe(sem):
    """What there is to say of a rwsem, or None if it is free and nobody waits."""
    count = k.gets("rw_semaphore", sem, "count")
    owner = k.get("rw_semaphore", sem, "owner")
    if not count:
        return None
    readers = count >> READER_SHIFT if count > 0 else 0
    parts = []
    if count & WRITER:
        parts.append("held for write by %s" % task_text(owner & ~OWNER_FLAGS))
    elif readers:
        last = owner & ~OWNER_FLAGS
        parts.append("held for read by %d%s" % (readers, " (last taken by %s)" % task_text(last)
                                                if owner & READER_OWNED and last else ""))
    waiting = waiters(sem)
    for task, how in waiting:
        parts.append("waits for %s: %s" % (how, task_text(task)))
    return "; ".join(parts) or "count %#x" % count


def semaphores():
    """(name, rwsem) of every mmap_lock, root anon_vma and file mapping that a process reaches."""
    names = rmap.mm_names()
    seen = set()
    for mm, who in names.items():
        yield "mmap_lock of %s (mm %#x)" % (who, mm), mm + k.offset("mm_struct", "mmap_lock")
        for v in vma.vmas(mm):
            for avc in rmap.vma_chains(v):
                root = k.get("anon_vma", k.get("anon_vma_chain", avc, "anon_vma"), "root")
                if root not in seen:
                    seen.add(root)
                    yield "anon_vma %#x rwsem" % root, root + k.offset("anon_vma", "rwsem")
            file = k.get("vm_area_struct", v, "vm_file")
            mapping = k.get("file", file, "f_mapping") if file else 0
            if mapping and mapping not in seen:
                seen.add(mapping)
                yield "i_mmap_rwsem of %s" % vma.name(v), mapping + k.offset("address_space", "i_mmap_rwsem")


def vma_locks(mm):
    """(VMA, what) of the per-VMA locks that are held: lines of explanation."""
    seq = k.get("mm_struct", mm, "mm_lock_seq.sequence")
    for v in vma.vmas(mm):
        refs = k.get("vm_area_struct", v, "vm_refcnt")
        if k.get("vm_area_struct", v, "vm_lock_seq") == seq and seq & 1:
            yield v, "write-locked"
        elif refs > 1:
            yield v, "read-locked by %d" % (refs - 1 & 0x3fffffff)


class Locks(k.Command):
    """mm-locks [PID]: who holds and who waits for the mmap_lock, the anon_vma and the i_mmap rwsems of all processes, and
the per-VMA locks that are held; with a PID, of the locks that this task holds or waits for only.

A rwsem knows its writer; of its readers it knows the number and, as a hint, who came last. Free locks are left out."""
    name = "mm-locks"
    most_args = 1

    def run(self, argv):
        only = re.compile(r"(?<!\d)%s(?![\w.-])" % re.escape(task_text(k.arg_task(argv)))) if argv else None
        n = held = 0
        for name, sem in semaphores():
            n += 1
            text = describe(sem)
            if text and (not only or only.search(text)):
                held += 1
                k.say("  %s: %s", name, text)
        if k.has("vm_area_struct", "vm_refcnt"):
            for mm, who in rmap.mm_names().items():
                for v, text in vma_locks(mm):
                    if not only or only.search(who):
                        held += 1
                        k.say("  VMA %#x %#x-%#x of %s: %s", v, *vma.span(v), who, text)
        k.say("%d rwsems looked at, %d locks held", n, held)


Locks()
