# SPDX-License-Identifier: GPL-2.0
"""Tasks and VMAs: the maple tree of an mm, flags by name. Commands mm-tasks, mm-current, mm-vmas."""
import struct

from mmkit import kernel as k
from mmkit import page

_flags = {}
ORDINARY = {"READ", "WRITE", "EXEC", "SHARED", "MAYREAD", "MAYWRITE", "MAYEXEC", "MAYSHARE"}


def printed_flags():
    """The same from the table that dump_vma() prints by, of kernels (before 6.19) that have macros instead of an enumeration."""
    entry = k.symbol("vmaflag_names")
    while True:
        mask, name = k.words(entry, 2)
        if not mask:
            return
        if not mask & (mask - 1):
            yield mask.bit_length() - 1, k.string(name).upper()
        entry += 16


def flag_table():
    """{bit: name} of the VMA flags, without VMA_ and _BIT."""
    if not _flags:
        try:
            for bit, name in k.enum_names("VMA_READ_BIT").items():
                _flags[bit] = name[4:-4]
        except k.Error:
            _flags.update(printed_flags())
    return _flags


def flags(vma):
    return k.get("vm_area_struct", vma, "vm_flags")


def perms(vma):
    f = flags(vma)
    return "".join(c if f >> i & 1 else "-" for i, c in enumerate("rwx")) + ("s" if f & 8 else "p")


def may(vma):
    return "".join(c if flags(vma) >> (4 + i) & 1 else "-" for i, c in enumerate("rwxs"))


def span(vma):
    return k.words(vma + k.offset("vm_area_struct", "vm_start"), 2)


def mm(vma):
    return k.get("vm_area_struct", vma, "vm_mm")


def pgoff(vma):
    return k.get("vm_area_struct", vma, "vm_pgoff")


def is_node(entry):
    return entry & 3 == 2 and entry > 4096


def slots(enode, least, most):
    """(first, last, entry) of every slot in use of a maple node, as mt_dump_range64() of lib/maple_tree.c has it."""
    typ = enode >> 3 & 0xf
    node = enode & ~0xff
    raw = struct.unpack("<32Q", k.read(node, 256))
    if typ == 0:			# maple_dense
        for i in range(31):
            if raw[1 + i]:
                yield least + i, least + i, raw[1 + i]
        return
    n = 10 if typ == 3 else 16
    pivots, slot = raw[1:n], raw[n:n + n]
    first = least
    for i in range(n):
        last = pivots[i] if i < n - 1 else most
        if i == n - 1 and not slot[i]:
            return
        if last == 0 and i > 0:
            return
        if slot[i] or first <= last:
            yield first, last, slot[i]
        if last >= most:
            return
        first = last + 1


def maple_entries(tree):
    """Every entry of a maple tree, in order. Only the root says of itself that it is a node."""
    root = k.get("maple_tree", tree, "ma_root")
    if not is_node(root):
        if root:
            yield root
        return
    stack = [(0, (1 << 64) - 1, root)]
    while stack:
        first, last, node = stack.pop()
        inside = [s for s in slots(node, first, last) if s[2]]
        if (node >> 3 & 0xf) < 2:
            yield from (entry for _, _, entry in inside if entry & 3 == 0)
        else:
            stack.extend(reversed(inside))


def vmas(mm_):
    return maple_entries(mm_ + k.offset("mm_struct", "mm_mt"))


def find(mm_, address):
    """The VMA that holds @address, or None."""
    for v in vmas(mm_):
        start, end = span(v)
        if start <= address < end:
            return v
    return None


def name(vma):
    """What /proc/PID/maps shows in its last column."""
    file = k.get("vm_area_struct", vma, "vm_file")
    if file:
        return page.file_name(file)
    start, end = span(vma)
    m = mm(vma)
    if start <= k.get("mm_struct", m, "brk") and end >= k.get("mm_struct", m, "start_brk"):
        return "[heap]"
    if start <= k.get("mm_struct", m, "start_stack") < end:
        return "[stack]"
    if k.has("vm_area_struct", "anon_name"):
        anon = k.get("vm_area_struct", vma, "anon_name")
        if anon:
            return "[anon:%s]" % k.string(anon + k.offset("anon_vma_name", "name"))
    return ""


def extra_flags(vma):
    return [n for n in k.flag_names(flags(vma), flag_table()) if n not in ORDINARY]


def owners(mm_):
    """"33 mremap.move" of the processes of an mm."""
    for found, leaders in k.user_mms().items():
        if found == mm_:
            return ", ".join("%d %s" % (k.pid(t), k.comm(t)) for t in leaders)
    return "no task"


def from_argument(argv):
    """The VMA that VMA|ADDR [PID] means: one at that address of the process, or else a struct vm_area_struct."""
    if not argv:
        raise k.Error("which VMA?  a struct vm_area_struct, or a user address [PID]")
    n = k.number(argv[0], "VMA or address")
    task = k.arg_task(argv, 1)
    mm_ = k.mm_of(task)
    v = find(mm_, n) if mm_ else None
    if v:
        return v
    for m in k.user_mms():
        if n in vmas(m):
            return n
    raise k.Error("%#x is neither a VMA nor inside one of task %d (%s)" % (n, k.pid(task), k.comm(task)))


STATES = ((0x1, "S"), (0x2, "D"), (0x4, "T"), (0x8, "t"), (0x20, "Z"), (0x10, "X"))


def state(task):
    bits = k.get("task_struct", task, "__state") | k.get("task_struct", task, "exit_state")
    if bits & 0x402 == 0x402:
        return "I"
    for bit, letter in STATES:
        if bits & bit:
            return letter
    return "R"


class Tasks(k.Command):
    """mm-tasks: every task of the guest: PID, parent, state, mm_struct, number of VMAs, resident pages, host process.

"*" marks what a guest CPU runs now; stub is the host process that holds the user mappings of the mm."""
    name = "mm-tasks"
    most_args = 0

    def run(self, argv):
        running = {k.cpu_task(c): c for c in range(k.ncpus())}
        k.say("   %5s %5s s %-15s %-18s %-18s %5s %7s %s", "PID", "PPID", "COMM", "TASK", "MM", "VMAS", "RSS", "STUB")
        for t in k.all_threads():
            m = k.mm_of(t)
            mark = "*%d" % running[t] if t in running else "  "
            line = "%s %5d %5d %s %-15s %#-18x" % (mark, k.pid(t), k.pid(k.parent(t)), state(t), k.comm(t), t)
            if m:
                line += " %#-18x %5d %7d %d" % (m, k.get("mm_struct", m, "map_count"), rss(m),
                                               k.get("mm_struct", m, "context.id.pid"))
            k.say("%s", line)


def rss(mm_):
    """Resident pages; what waits in the per-CPU part of the counters is added."""
    off = k.offset("mm_struct", "rss_stat")
    size = k.sizeof("percpu_counter")
    total = 0
    for i in (0, 1, 3):			# MM_FILEPAGES, MM_ANONPAGES, MM_SHMEMPAGES
        counter = mm_ + off + i * size
        total += k.gets("percpu_counter", counter, "count")
        if k.has("percpu_counter", "counters"):
            percpu = k.get("percpu_counter", counter, "counters")
            for cpu in range(k.ncpus()):
                at = percpu + k.u64(k.symbol("__per_cpu_offset") + 8 * cpu)
                total += int.from_bytes(k.read(at, 4), "little", signed=True)
    return total


class Current(k.Command):
    """mm-current: the task that the selected CPU runs, its mm_struct and what it is made of."""
    name = "mm-current"
    most_args = 0

    def run(self, argv):
        t = k.current()
        k.say("task %#x  pid %d  tgid %d  comm %s  cpu %d", t, k.pid(t), k.tgid(t), k.comm(t), k.this_cpu())
        m = k.mm_of(t)
        if not m:
            active = k.get("task_struct", t, "active_mm")
            k.say("  no mm of its own; active_mm %#x", active)
            return
        k.say("  mm %#x  users %d  count %d  VMAs %d  rss %d pages  page tables %d bytes", m,
              k.gets("mm_struct", m, "mm_users"), k.gets("mm_struct", m, "mm_count"),
              k.get("mm_struct", m, "map_count"), rss(m), k.get("mm_struct", m, "pgtables_bytes"))
        k.say("  pgd %#x  stub process %d on the host", k.get("mm_struct", m, "pgd"),
              k.get("mm_struct", m, "context.id.pid"))


class Vmas(k.Command):
    """mm-vmas [PID]: the VMAs of a process (default: the current one) from its maple tree.

Columns: address range, permissions now and possible (VM_MAY*), page offset, anon_vma, the VMA itself, further flags,
file or name. A count that is not the mm's map_count is marked."""
    name = "mm-vmas"
    most_args = 1

    def run(self, argv):
        task = k.arg_task(argv)
        m = k.user_mm(task)
        k.say("mm %#x of task %d (%s)", m, k.pid(task), k.comm(task))
        count = 0
        for v in vmas(m):
            start, end = span(v)
            count += 1
            k.say("  %#x-%#x %s/%s pgoff %#x anon_vma %#x vma %#x %s%s", start, end, perms(v), may(v), pgoff(v),
                  k.get("vm_area_struct", v, "anon_vma"), v, " ".join(extra_flags(v)) or "-",
                  "  " + name(v) if name(v) else "")
            if mm(v) != m:
                k.say("    !! its vm_mm is %#x", mm(v))
        if count != k.get("mm_struct", m, "map_count"):
            k.say("  !! %d VMAs in the tree, map_count says %d", count, k.get("mm_struct", m, "map_count"))


Tasks()
Current()
Vmas()
