# SPDX-License-Identifier: GPL-2.0
"""Plays an interleaving: one guest CPU is held at a place while the other one goes somewhere, by gdb's scheduler-locking
(a guest CPU is a host thread). The form of a script: scripts/gdb/README.md."""
import os
import re

import gdb

from mmkit import kernel as k
from mmkit.alarm import Alarm

PLACE = re.compile(r"(?P<place>\S+)(?:\s+as\s+(?P<comm>\S+))?(?:\s+if\s+(?P<cond>.+))?$")


class Failed(Exception):
    """The interleaving went another way; the words say how."""


class Late(Exception):
    """The script's time is up."""


class Point(gdb.Breakpoint):
    """A place of the script: counts for tasks of that name and where the condition holds, once the test has begun."""

    def __init__(self, spec):
        m = PLACE.match(spec)
        if not m:
            raise Failed("not a place: '%s'" % spec)
        super().__init__(m["place"], gdb.BP_BREAKPOINT, internal=True)
        self.silent = True
        self.comm, self.test = m["comm"], m["cond"]
        self.hit, self.error = False, None

    def stop(self):
        if self.comm and not k.comm(k.current()).startswith(self.comm):
            return False
        try:
            if self.test and not int(gdb.parse_and_eval(self.test)):
                return False
        except gdb.error as e:
            self.error = e
            return True
        self.hit = True
        return True


class Player:
    """The actors are guest CPUs: who is "A" is decided by the first line that names it."""

    def __init__(self, limit):
        self.limit = limit
        self.actors = {}
        self.spent = 0.0

    def thread(self, name):
        for t in gdb.selected_inferior().threads():
            if t.ptid[1] == self.actors[name]:
                return t
        raise Failed("CPU %s is gone" % name)

    def other(self, name):
        """The one CPU that is not the other actor: a thread on a CPU's stack."""
        held = {lwp for n, lwp in self.actors.items() if n != name}
        for t in gdb.selected_inferior().threads():
            t.switch()
            if t.ptid[1] not in held and k.cpu_of_stack(k.stack_pointer()) is not None:
                return t
        raise Failed("no CPU is left for %s" % name)

    def go(self, point, seconds, alone=None):
        """Let all CPUs run, or the thread @alone only, until @point is hit; false if the time is up first."""
        alarm = Alarm(seconds)
        try:
            if alone:
                alone.switch()
                gdb.execute("set scheduler-locking on")
            gdb.execute("continue", to_string=True)
            # A stop for nothing of ours (a panic has its own breakpoint) ends the play.
            if not gdb.selected_inferior().pid:
                return False
            if point and point.error:
                raise Failed("'%s': %s" % (point.test, point.error))
            if point and point.hit:
                return True
            if alarm.rang:
                return False
            from mmkit import session
            raise Failed("the guest stopped by itself: %s" % session.where())
        finally:
            alarm.cancel()
            if gdb.selected_inferior().pid:
                gdb.execute("set scheduler-locking off")

    def stops_at(self, name, spec):
        point = Point(spec)
        ok = self.go(point, self.limit)
        point.delete()
        if not ok:
            raise (Late if gdb.selected_inferior().pid else Failed)("%s never came to %s" % (name, spec))
        self.actors[name] = gdb.selected_thread().ptid[1]
        self.tell(name)

    def runs_to(self, name, spec):
        point = Point(spec)
        alone = self.thread(name) if name in self.actors else self.other(name)
        ok = self.go(point, self.limit, alone)
        point.delete()
        if not ok:
            raise Late("%s did not come to %s while the other CPU was held" % (name, spec))
        self.actors[name] = gdb.selected_thread().ptid[1]
        self.tell(name)

    def stays_before(self, name, spec, seconds):
        point = Point(spec)
        alone = self.thread(name) if name in self.actors else self.other(name)
        reached = self.go(point, seconds, alone)
        point.delete()
        if reached:
            raise Failed("%s came to %s" % (name, spec))
        self.actors.setdefault(name, alone.ptid[1])
        k.say("  %s       still before %s after %g s", name, spec, seconds)

    def to_the_end(self):
        self.go(None, self.limit)
        if gdb.selected_inferior().pid:
            raise Late("the guest does not come to its end after the interleaving")
        k.say("  ALL     ran to the end")

    def tell(self, name):
        from mmkit import session
        k.say("  %s       %s, CPU %d", name, session.where(), k.this_cpu())


def play(path, limit):
    """Run a script; raises Failed or Late with the line it happened in."""
    player = Player(limit)
    with open(path) as f:
        lines = f.read().splitlines()
    for number, raw in enumerate(lines, 1):
        line = raw.split("#")[0].strip()
        if not line or line.startswith(("test ", "test\t", "limit")):
            continue
        try:
            step(player, line)
        except (gdb.error, gdb.GdbError) as e:
            raise Failed("%s:%d: %s: %s" % (os.path.basename(path), number, line, e))
        except (Failed, Late) as e:
            raise type(e)("%s:%d: %s" % (os.path.basename(path), number, e))


def step(player, line):
    m = re.match(r"(\w+)\s+stops at\s+(.+)", line)
    if m:
        return player.stops_at(m[1], m[2])
    m = re.match(r"(\w+)\s+runs? to\s+(.+)", line)
    if m and m[1] == "all" and m[2] == "the end":
        return player.to_the_end()
    if m:
        return player.runs_to(m[1], m[2])
    m = re.match(r"(\w+)\s+stays before\s+(.+?)\s+for\s+([\d.]+)\s*s$", line)
    if m:
        return player.stays_before(m[1], m[2], float(m[3]))
    m = re.match(r"look\s+(\w+)$", line)
    if m:
        return player.thread(m[1]).switch()
    m = re.match(r"do\s+(.+)", line)
    if m:
        return gdb.execute(m[1])
    m = re.match(r"expect\s+(.+)", line)
    if m:
        if not int(gdb.parse_and_eval(m[1])):
            raise Failed("not so: %s" % m[1])
        return k.say("  EXPECT  %s", m[1])
    raise Failed("a line that is none: '%s'" % line)


def limit_of(path):
    with open(path) as f:
        for line in f:
            m = re.match(r"limit\s+([\d.]+)", line)
            if m:
                return float(m[1])
    return 20.0
