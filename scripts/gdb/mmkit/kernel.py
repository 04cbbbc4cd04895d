# SPDX-License-Identifier: GPL-2.0
"""The stopped kernel: memory, structures by field name, lists, trees, tasks. Everything is read from outside, so it
works in any state the guest may be in. Addresses are plain integers; a structure is (type name, address)."""
import struct

import gdb

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT
PAGE_MASK = ~(PAGE_SIZE - 1) & 0xffffffffffffffff


class Error(gdb.GdbError):
    """What a command tells its user in one line."""


# ---- memory ----

def read(addr, size):
    """@size bytes of guest memory at @addr."""
    try:
        return gdb.selected_inferior().read_memory(addr, size).tobytes()
    except (gdb.error, OverflowError):
        raise Error("no memory at %#x (stale pointer, or the guest is gone?)" % addr)


def u64(addr):
    return struct.unpack("<Q", read(addr, 8))[0]


def words(addr, count):
    return struct.unpack("<%dQ" % count, read(addr, 8 * count))


def string(addr, most=256):
    """The NUL-terminated string at @addr; never reads past the page that its end is in."""
    out = b""
    while len(out) < most:
        n = min(most - len(out), PAGE_SIZE - (addr + len(out)) % PAGE_SIZE)
        out += read(addr + len(out), n)
        if b"\0" in out:
            break
    return out.split(b"\0")[0].decode("utf-8", "replace")


# ---- structures ----

_fields = {}
_sizes = {}


def _type(name):
    for full in ("struct " + name, "union " + name, name):
        try:
            return gdb.lookup_type(full)
        except gdb.error:
            pass
    raise Error("this kernel has no type %s (no debug information, or another version?)" % name)


def sizeof(name):
    if name not in _sizes:
        _sizes[name] = _type(name).sizeof
    return _sizes[name]


def _find(typ, name):
    """(bit offset, type) of member @name, looked for in anonymous members too."""
    typ = typ.strip_typedefs()
    for f in typ.fields():
        if f.name == name:
            return f.bitpos, f.type
        if not f.name and f.type.strip_typedefs().code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            hit = _find(f.type, name)
            if hit:
                return f.bitpos + hit[0], hit[1]
    return None


def field(name, path):
    """(offset, size, signed) of the member @path ("mmap_lock.owner", "free_area[2]") of structure @name."""
    key = name, path
    if key not in _fields:
        typ, bits = _type(name), 0
        for part in path.split("."):
            part, _, index = part.partition("[")
            hit = _find(typ, part)
            if not hit:
                raise Error("struct %s has no member %s in this kernel" % (name, path))
            bits += hit[0]
            typ = hit[1].strip_typedefs()
            while index:
                typ = typ.target().strip_typedefs()
                number, _, index = index.partition("]")
                bits += 8 * int(number) * typ.sizeof
                index = index.lstrip("[")
        signed = typ.code == gdb.TYPE_CODE_INT and typ.is_signed
        _fields[key] = bits // 8, typ.sizeof, signed
    return _fields[key]


def offset(name, path):
    return field(name, path)[0]


def get(name, addr, path):
    """The integer or pointer in member @path of the structure @name at @addr."""
    off, size, signed = field(name, path)
    if size not in (1, 2, 4, 8):
        # atomic_t and the like hold one number.
        size, signed = min(size, 8), False
    return int.from_bytes(read(addr + off, size), "little", signed=signed)


def gets(name, addr, path):
    """The same, taken for signed: counters that may be negative."""
    off, size, _ = field(name, path)
    return int.from_bytes(read(addr + off, size), "little", signed=True)


def has(name, path):
    try:
        field(name, path)
        return True
    except Error:
        return False


def member(name, *paths):
    """Of the names that a member of structure @name has had, newest first, the one of this kernel."""
    return next((path for path in paths if has(name, path)), paths[0])


def symbol(name):
    """Address of a variable of the kernel."""
    try:
        return int(gdb.parse_and_eval("&" + name).cast(gdb.lookup_type("long")))
    except gdb.error:
        raise Error("no symbol %s (is this a UML kernel with debug information?)" % name)


def value(name):
    """An integer variable, enumerator or pointer of the kernel."""
    try:
        return int(gdb.parse_and_eval(name).cast(gdb.lookup_type("long")))
    except gdb.error:
        raise Error("no symbol %s in this kernel" % name)


def have_symbol(name):
    try:
        gdb.parse_and_eval("&" + name)
        return True
    except gdb.error:
        return False


def enum_names(member):
    """{number: name} of the enumeration that has @member; the first name of a number wins."""
    sym = gdb.lookup_symbol(member)[0] or gdb.lookup_static_symbol(member)
    if sym is None:
        raise Error("no enumerator %s in this kernel" % member)
    names = {}
    for f in sym.type.fields():
        names.setdefault(f.enumval, f.name)
    return names


# ---- lists and trees ----

def list_entries(head, name, member, most=1 << 20):
    """Addresses of the structures @name that hang on the list_head @head by @member. A list that does not come back to
    its head (a torn one) ends with an error."""
    off = offset(name, member)
    node = u64(head)
    for _ in range(most):
        if node == head:
            return
        if not node:
            raise Error("the list at %#x is torn (a NULL next pointer)" % head)
        yield node - off
        node = u64(node)
    raise Error("the list at %#x does not end" % head)


def hlist_entries(head, name, member):
    off = offset(name, member)
    node = u64(head)
    while node:
        yield node - off
        node = u64(node)


def rb_entries(root, name, member):
    """Addresses of the structures @name in the rb_root(_cached) at @root, in order."""
    off = offset(name, member)
    right, left = offset("rb_node", "rb_right"), offset("rb_node", "rb_left")
    # mm_take_all_locks() uses the low bit of the root.
    node, stack = u64(root) & ~1, []
    while node or stack:
        while node:
            stack.append(node)
            node = u64(node + left)
        node = stack.pop()
        yield node - off
        node = u64(node + right)


# ---- tasks ----

def tasks():
    """Addresses of all thread group leaders."""
    init = symbol("init_task")
    off = offset("task_struct", "tasks")
    yield init
    for t in list_entries(init + off, "task_struct", "tasks"):
        yield t


def threads(leader):
    head = get("task_struct", leader, "signal") + offset("signal_struct", "thread_head")
    return list_entries(head, "task_struct", "thread_node")


def all_threads():
    for leader in tasks():
        for t in threads(leader):
            yield t


def comm(task):
    return string(task + offset("task_struct", "comm"), field("task_struct", "comm")[1])


def pid(task):
    return get("task_struct", task, "pid")


def tgid(task):
    return get("task_struct", task, "tgid")


def mm_of(task):
    """mm_struct of a task, 0 for a kernel thread."""
    return get("task_struct", task, "mm")


def parent(task):
    return get("task_struct", task, "real_parent")


def task_by_pid(number):
    for t in all_threads():
        if pid(t) == number:
            return t
    raise Error("no task with PID %d  (mm-tasks lists them)" % number)


def ncpus():
    return value("uml_ncpus") if have_symbol("uml_ncpus") else 1


def cpu_of_stack(sp):
    """The guest CPU whose current task, or whose interrupt, has its stack at @sp; None: a helper thread of the kernel."""
    size = stack_size()
    for cpu in range(ncpus()):
        stack = get("task_struct", cpu_task(cpu), "stack")
        irq = symbol("cpu_irqstacks") + cpu * size
        if stack <= sp < stack + size or irq <= sp < irq + size:
            return cpu
    return None


def this_cpu():
    """The guest CPU that the selected host thread is; 0 for a helper thread. The stack pointer tells it, without a
    thread library; only in the few instructions of a context switch the thread's own number has to."""
    if ncpus() <= 1 or gdb.selected_thread() is None:
        return 0
    cpu = cpu_of_stack(stack_pointer())
    if cpu is None:
        try:
            return int(gdb.parse_and_eval("__curr_cpu"))
        except gdb.error:
            return 0
    return cpu


def stack_pointer():
    frame = gdb.selected_frame()
    return int(gdb.newest_frame().read_register("rsp").cast(gdb.lookup_type("unsigned long"))) if frame else 0


_stack = []


def stack_size():
    """THREAD_SIZE."""
    if not _stack:
        _stack.append(value("sizeof(cpu_irqstacks[0])"))
    return _stack[0]


def cpu_task(cpu):
    return u64(symbol("cpu_tasks") + 8 * cpu)


def current():
    """The task that the selected CPU runs."""
    if not gdb.selected_thread():
        raise Error("the guest is not running  (make gdb T=... starts one)")
    task = cpu_task(this_cpu())
    return task or symbol("init_task")


def arg_task(words_, at=0):
    """The task that argument number @at of a command names by its PID; the current one without it. A thread without
    memory of its own is an error of those who need one (see user_mm)."""
    if len(words_) <= at:
        return current()
    return task_by_pid(number(words_[at], "PID"))


def user_mm(task):
    mm = mm_of(task)
    if not mm:
        raise Error("task %d (%s) has no user memory: give the PID of one that has  (mm-tasks lists them)" %
                    (pid(task), comm(task)))
    return mm


def user_mms():
    """{mm: [leaders]} of all processes."""
    found = {}
    for t in tasks():
        for thread in threads(t):
            mm = mm_of(thread)
            if mm:
                found.setdefault(mm, [])
                if t not in found[mm]:
                    found[mm].append(t)
                break
    return found


def number(text, what="address"):
    """An expression of gdb as an integer."""
    try:
        v = gdb.parse_and_eval(text)
        if v.type.strip_typedefs().code == gdb.TYPE_CODE_STRUCT:
            v = v.address
        return int(v.cast(gdb.lookup_type("unsigned long")))
    except gdb.error as e:
        raise Error("'%s' is no %s: %s" % (text, what, e))


def flag_names(bits, names):
    """Names of the set bits, by a table {bit number: name}."""
    out = []
    for bit in range(64):
        if bits >> bit & 1:
            out.append(names.get(bit, "bit%d" % bit))
    return out


class Command(gdb.Command):
    """A command whose name is its class's `name`, whose help is its doc string, and whose body is run(words)."""
    most_args = 2

    def __init__(self):
        super().__init__(self.name, gdb.COMMAND_DATA)

    def invoke(self, arg, from_tty):
        self.dont_repeat()
        argv = gdb.string_to_argv(arg)
        if len(argv) > self.most_args:
            raise Error("%s takes at most %d argument(s)  (help %s)" % (self.name, self.most_args, self.name))
        if not gdb.selected_inferior().pid:
            raise Error("%s: the guest is not running  (make gdb T=... starts one)" % self.name)
        try:
            self.run(argv)
        except gdb.MemoryError as e:
            raise Error("%s: %s" % (self.name, e))


def say(fmt="", *args):
    gdb.write((fmt % args if args else fmt) + "\n")
