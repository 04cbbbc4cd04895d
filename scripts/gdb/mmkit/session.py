# SPDX-License-Identifier: GPL-2.0
"""One session of gdb with a guest: load the commands, go to the first stop, run what was asked for, end with a status."""
import os
import sys

import gdb

from mmkit import kernel, reports
from mmkit.alarm import Alarm
from mmkit.protocol import EX_FAIL, EX_INTERRUPTED, EX_PASS, EX_TIMEOUT, EX_USAGE, FOREIGN, PLAN_FILE

FUNCTION_OF_TEST_START = "sys_setpgid"	# what the harness's child calls right before the body of the test
FUNCTION_OF_PROGRAM_START = "finalize_exec"	# of a program that is not on the harness


def die(code, what, because=None, advice=None):
    """The kit's error form, and the end of gdb."""
    sys.stdout.flush()
    lines = ["mmuml: error: %s" % what]
    if because:
        lines.append("  because: %s" % because)
    if advice:
        lines.append("  try:     %s" % advice)
    gdb.write("\n".join(lines) + "\n", gdb.STDERR)
    finish(code)


def finish(code):
    if os.environ.get("MMUML_ATTACH"):
        gdb.execute("detach", to_string=True)
    gdb.execute("quit %d" % code)


def load_helpers():
    """The lx- commands of the tree that the kernel was built from, mended for UML, and the kit's own."""
    directory = os.path.dirname(os.path.realpath(gdb.current_progspace().filename or "."))
    script = os.path.join(directory, "vmlinux-gdb.py")
    if os.path.exists(script):
        try:
            sys.path.insert(0, os.path.join(directory, "scripts", "gdb"))
            gdb.execute("source " + script, to_string=True)
            mend_lx()
        except Exception as e:		# the kernel's scripts are not the kit's: they may fail in any way
            gdb.write("mmuml: warning: the kernel's lx- commands do not load: %s\n" % e, gdb.STDERR)
    else:
        gdb.write("mmuml: warning: no lx- commands: %s is missing\n" % script, gdb.STDERR)
    from mmkit import commands	# noqa: F401 (registers them)


def mend_lx():
    """What asks for the current CPU, as lx_current() does, and for pages: the tree's scripts know other machines only."""
    import linux.cpus as cpus
    import linux.mm as mm
    import linux.utils as utils
    from mmkit import flatmem

    task_type = gdb.lookup_type("struct task_struct").pointer()

    def current_task(cpu):
        address = kernel.current() if int(cpu) < 0 else kernel.cpu_task(int(cpu))
        return gdb.Value(address).cast(task_type).dereference()

    cpus.get_current_task = current_task
    cpus.get_current_cpu = kernel.this_cpu
    mm.page_ops = flatmem.PageOps
    utils.gdbserver_type = None


# ---- whose call it is ----

class Test:
    """The test that runs: known from its first own system call on."""
    program = None		# name of the test's program, as in the task's comm
    foreign = frozenset()	# those of them that are not on the harness
    harness = 0			# PID of the process that waits for the test
    begun = False


PF_KTHREAD = 0x00200000
MM_THREADS = ("kswapd", "kcompactd", "ksmd", "khugepaged", "kdamond", "oom_reaper")


def of_test(task):
    """Whether @task is one of the test's processes (an exiting one has no mm any more), or a thread of mm that works
    while it runs."""
    if not kernel.get("task_struct", task, "flags") & PF_KTHREAD:
        return kernel.tgid(task) not in (1, Test.harness)
    return kernel.comm(task).startswith(MM_THREADS)


class Stop(gdb.Breakpoint):
    """A breakpoint that only the test hits."""

    def stop(self):
        return of_test(kernel.current())


class End(gdb.Breakpoint):
    """A process of the test exits, the first one while there is something to draw."""

    def __init__(self):
        super().__init__("do_exit", gdb.BP_BREAKPOINT, internal=True)
        self.silent = True

    def stop(self):
        from mmkit import graph
        return of_test(kernel.current()) and graph.anything(graph.default_leaders())


class Begin(gdb.Breakpoint):
    """The test's process is about to run the body of the test, or the program that is all of it."""

    def __init__(self, arm, function=FUNCTION_OF_TEST_START):
        super().__init__(function, gdb.BP_BREAKPOINT, internal=True)
        self.silent = True
        self.arm = arm
        self.of_programs = Test.foreign if function == FUNCTION_OF_PROGRAM_START else Test.program - Test.foreign

    def stop(self):
        task = kernel.current()
        if kernel.comm(task) not in self.of_programs:
            return False
        Test.harness = kernel.tgid(kernel.parent(task))
        if not Test.begun:
            Test.begun = True
            self.arm()
        Watch.restart()
        return False


def near(name):
    """A function whose name is like @name, for an error message."""
    import difflib
    stem = name.strip("_")[:6]
    text = gdb.execute("info functions -n -q ^_*%s" % stem, to_string=True) if stem.isidentifier() else ""
    names = set()
    for line in text.splitlines():
        head = line.split("(")[0]
        if "(" in line:
            names.add(head.replace("*", " ").split()[-1])
    hit = difflib.get_close_matches(name, names, 1, 0.4)
    return hit[0] if hit else None


def locate(spec):
    """Check a breakpoint's place before the guest starts."""
    try:
        places = gdb.decode_line(spec)[1]
    except gdb.error:
        places = None
    if places:
        return
    hint = near(spec.split(":")[-1])
    die(EX_USAGE, "no place '%s' for a breakpoint" % spec,
        "this kernel has no such function or line (inlined everywhere, or not built?)",
        "make gdb B=%s" % (hint or "move_page_tables") + ("" if not hint else "  (or OG=mm/FILE.o: then nothing is inlined)"))


# ---- the first stop ----

class Fatal(gdb.Breakpoint):
    """The kernel is about to give up, or complains."""

    def __init__(self, where, word):
        super().__init__(where, gdb.BP_BREAKPOINT, internal=True)
        self.word = word
        self.silent = True

    def stop(self):
        Reason.text = self.word
        return True


class Failed(gdb.Breakpoint):
    """The process of a test ends and was not content."""

    def __init__(self):
        super().__init__("do_exit", gdb.BP_BREAKPOINT, internal=True)
        self.silent = True

    def stop(self):
        task = kernel.current()
        if not Test.begun or kernel.comm(task) not in Test.program or kernel.tgid(kernel.parent(task)) != Test.harness:
            return False
        code = int(gdb.parse_and_eval("$rdi")) & 0xffff
        if code in (0, 4 << 8):
            return False
        Reason.text = "the test failed (%s)" % ("signal %d" % (code & 0x7f) if code & 0x7f else "exit %d" % (code >> 8))
        return True


class Reason:
    text = None


def arm_fatal():
    for where, word in reports.FUNCTIONS:
        if gdb.lookup_global_symbol(where) or gdb.lookup_static_symbol(where):
            try:
                Fatal("*%#x" % kernel.symbol(where), word)
            except gdb.GdbError:	# a symbol of another name: print_bad_page_map.isra.0
                Fatal(where, word)


class Back(gdb.Breakpoint):
    """Where a signal interrupted a task: reached by that task only, which its stack tells."""

    def __init__(self, frame):
        super().__init__("*%#x" % frame.pc(), gdb.BP_BREAKPOINT, internal=True)
        self.silent = True
        self.sp = frame.read_register("rsp")

    def stop(self):
        return gdb.newest_frame().read_register("rsp") == self.sp


class Step:
    command = None		# the step that was begun at the prompt


TICKS = 1 << 13 | 1 << 28	# SIGALRM, SIGIO in the masks of /proc/PID/status


def ticks_wait():
    """Whether a signal of UML's own came while the guest was held."""
    pid, tid = gdb.selected_thread().ptid[:2]
    with open("/proc/%d/task/%d/status" % (pid, tid)) as f:
        return any(int(line.split()[1], 16) & TICKS for line in f if line.startswith(("SigPnd", "ShdPnd")))


def before_step(command):
    """gdb steps into UML's signal handler when a signal comes inside an inlined function. The one that nearly always
    waits, the tick of the time at the prompt, is taken before the step, by a call that does nothing."""
    Step.command = command
    for _ in range(3):
        if not ticks_wait():
            return
        gdb.parse_and_eval("(int)getpid()")


def in_handler():
    frame = gdb.newest_frame()
    outer = frame.older()
    return frame.name() == "hard_handler" and outer and outer.type() == gdb.SIGTRAMP_FRAME and outer.older()


def after_step(command):
    """For steps of scripts; at a prompt a step returns before the guest has stopped, and on_stop() does it."""
    if not gdb.selected_thread() or gdb.selected_thread().is_running():
        return
    Step.command = None
    leave_handler(command)


def leave_handler(command):
    """A signal came during the step itself: go back to where it came, and step again."""
    for _ in range(20):
        outer = in_handler()
        if not outer:
            return
        back = Back(outer)
        gdb.execute("continue", to_string=True)
        back.delete()
        gdb.execute(command)


def hook_steps():
    for command in ("next", "step"):
        for when, function in (("hook", "before_step"), ("hookpost", "after_step")):
            gdb.execute("define %s-%s\npython from mmkit import session; session.%s('%s')\nend" %
                        (when, command, function, command), to_string=True)


def on_stop(event):
    """^C may find any host thread: the CPU is the interesting one. A step from the prompt may end in a handler."""
    if isinstance(event, gdb.SignalEvent) and event.stop_signal == "SIGINT":
        gdb.selected_inferior().threads()[-1].switch()
    command, Step.command = Step.command, None
    if command and not isinstance(event, (gdb.SignalEvent, gdb.BreakpointEvent)) and in_handler():
        gdb.post_event(lambda: leave_handler(command))


class Watch:
    """The time limit of the test that runs, or of the command that lets it run, where nobody holds the guest."""
    wanted, alarm = False, None

    @classmethod
    def restart(cls):
        cls.end()
        if cls.wanted:
            cls.alarm = Alarm(limit())

    @classmethod
    def end(cls):
        """Whether the time was up."""
        alarm, cls.alarm = cls.alarm, None
        if alarm:
            alarm.cancel()
        return bool(alarm and alarm.rang)


def limit():
    """Seconds after which a test hangs."""
    return float(os.environ.get("MMUML_LIMIT") or 20)


def alive():
    return bool(gdb.selected_inferior().pid)


def programs():
    """comm of every program of the plan, and the tests' names."""
    with open(os.environ["MMUML_BOOT"] + PLAN_FILE) as f:
        rows = [line.split("\t") for line in f]
    Test.foreign = {r[1][:15] for r in rows if r[2].startswith(FOREIGN)}
    return {r[1][:15] for r in rows}, [r[0] for r in rows]


def start(breaks, on_fail):
    """Start the guest and go to the first stop; the names of the tests."""
    Test.program, names = programs()
    stops = []

    def arm():
        for b in stops:
            b.enabled = True

    for spec in breaks:
        stop = End() if spec == "@end" else Stop(spec)
        stop.enabled = False
        stops.append(stop)
    Begin(arm)
    if Test.foreign:
        Begin(arm, FUNCTION_OF_PROGRAM_START)
    arm_fatal()
    if on_fail:
        Failed()
    gdb.execute("set args " + os.environ["MMUML_ARGS"], to_string=True)
    gdb.execute("run", to_string=True)
    return names


def play(script):
    """Start the guest, go to the beginning of the test, and play an interleaving; the status for gdb."""
    from mmkit import interleave

    class Gate(Begin):
        def stop(self):
            super().stop()
            if Test.begun and not self.told:
                self.told = True
                return True
            return False

    Test.program, names = programs()
    gate = Gate(lambda: None)
    gate.told = False
    arm_fatal()
    gdb.execute("set args " + os.environ["MMUML_ARGS"], to_string=True)
    boot = Alarm(limit())
    gdb.execute("run", to_string=True)
    boot.cancel()
    if not alive() or not Test.begun:
        die(EX_FAIL, "%s did not begin" % names[0], "stopped: " + where() if alive() else "the guest ended before it", "make run T=%s" % names[0])
    gate.enabled = False
    try:
        interleave.play(script, interleave.limit_of(script))
    except interleave.Failed as e:
        die(EX_FAIL, "the interleaving went another way", str(e), "make gdb T=%s" % names[0])
    except interleave.Late as e:
        die(EX_TIMEOUT, "the interleaving took too long", str(e), "a larger 'limit' in the script")
    kernel.say("  PASS    %s", os.path.basename(script))
    return EX_PASS


def of_kernel(frame):
    """Whether it is a function of the kernel, not of the C library below it."""
    symtab = frame.find_sal().symtab
    return symtab and symtab.objfile.filename == gdb.current_progspace().filename


def where():
    """One line on the stop: the function, the task, the reason."""
    frame = gdb.selected_frame()
    # An inlined function counts only if it was asked for: else the one that it became part of says more.
    while frame.type() == gdb.INLINE_FRAME and frame.name() not in os.environ.get("B", ""):
        frame = frame.older()
    while frame.older() and not of_kernel(frame):
        frame = frame.older()
    task = kernel.current()
    sal = frame.find_sal()
    place = "%s:%d" % (sal.symtab.filename.replace("../", ""), sal.line) if sal.symtab else "?"
    return "%s at %s, in task %d (%s)%s" % (frame.name(), place, kernel.pid(task), kernel.comm(task),
                                           ": " + Reason.text if Reason.text else "")


RESUMES = ("c", "continue", "fg", "finish", "until", "advance", "next", "n", "step", "s", "signal", "jump")


def run_commands(text):
    """Each line of @text as a command; the status that gdb shall end with."""
    for line in text.splitlines():
        if not line.strip():
            continue
        if line.split()[0] in RESUMES:
            Watch.restart()
        try:
            gdb.execute(line)
        except KeyboardInterrupt:
            return EX_INTERRUPTED
        except (gdb.error, gdb.GdbError) as e:
            gdb.write("mmuml: error: %s: %s\n" % (line, e), gdb.STDERR)
            return EX_FAIL
        finally:
            late = Watch.end()
        gdb.flush()
        if late:
            die(EX_TIMEOUT, "CMD='%s' came to no end" % line, "the guest ran for %g s" % limit(), "make run SCALE=4 ...")
    return EX_PASS


def go(breaks, batch):
    """Start the guest, and tell of its first stop; ends gdb if there is none, or if it is not what B= asked for."""
    Watch.wanted = batch or not breaks
    names = start(breaks, not breaks)
    late = Watch.end()
    if not alive():
        if not breaks:
            finish(EX_PASS)
        die(EX_FAIL, "%s was not reached" % ", ".join(breaks),
            "%s ended without calling it" % names[0] if len(names) == 1 else "the tests ended without calling it",
            "make run T=%s  (its verdict and log)" % names[0])
    if late:
        Reason.text = "the test has run for %g s" % limit()
    kernel.say("  STOP    %s" % where())
    if Reason.text and breaks and batch:
        die(EX_TIMEOUT if late else EX_FAIL, "%s was not reached" % ", ".join(breaks), Reason.text,
            "make gdb T=%s  (to a prompt where it fails)" % names[0])
    Watch.wanted = batch


def main():
    text = os.environ.get("CMDS")
    batch = text is not None
    breaks = os.environ.get("B", "").replace(",", " ").split()
    attach = os.environ.get("MMUML_ATTACH")
    try:
        load_helpers()
        gdb.events.stop.connect(on_stop)
        hook_steps()
        if os.environ.get("MMUML_SCRIPT"):
            finish(play(os.environ["MMUML_SCRIPT"]))
        if attach:
            kernel.say("  STOP    attached: %s" % where())
        else:
            for spec in breaks:
                if spec != "@end":
                    locate(spec)
            go(breaks, batch)
    except gdb.GdbError as e:
        die(EX_FAIL, str(e))
    if batch:
        finish(run_commands(text))
