# SPDX-License-Identifier: GPL-2.0
"""The reverse map as a picture. Command mm-rmap-graph."""
import os
import subprocess

from mmkit import kernel as k
from mmkit import page
from mmkit import pgtable
from mmkit import rmap
from mmkit import vma

FOLIOS = 4			# of a VMA that are drawn; the rest is a number


def wanted(v, everything):
    """Anonymous memory that a program mapped for itself; with "-a", all that has an anon_vma."""
    if not k.get("vm_area_struct", v, "anon_vma"):
        return False
    return everything or not (k.get("vm_area_struct", v, "vm_file") or vma.name(v) in ("[heap]", "[stack]") or
                              vma.flags(v) & 4)


def anon_folios(v):
    """{first PFN: [addresses]} of the anonymous folios that a VMA maps."""
    found = {}
    start, end = vma.span(v)
    for base, entries in pgtable.tables(vma.mm(v)):
        if base + (512 << k.PAGE_SHIFT) <= start or base >= end:
            continue
        for i, value in enumerate(entries):
            address = base + (i << k.PAGE_SHIFT)
            if not start <= address < end:
                continue
            pfn = pgtable.Entry(value).pfn
            if pfn is not None and page.kind(page.head_of(page.page_of(pfn))) == "anon":
                found.setdefault(page.pfn_of(page.head_of(page.page_of(pfn))), []).append(address)
    return found


class Drawing:
    """Text for dot, built from processes."""

    def __init__(self, everything):
        self.everything = everything
        self.lines, self.edges = [], []
        self.anon_vmas, self.folios = {}, {}

    def process(self, leader):
        mm = k.user_mm(leader)
        self.lines.append('subgraph cluster_%d { label="%d %s"; style=rounded; color=gray;' %
                          (k.pid(leader), k.pid(leader), k.comm(leader)))
        for v in vma.vmas(mm):
            if wanted(v, self.everything):
                self.vma(v)
        self.lines.append("}")

    def vma(self, v):
        start, end = vma.span(v)
        self.lines.append('v%x [shape=box, label="%x-%x\\n%s pgoff %x"];' % (v, start, end, vma.perms(v), vma.pgoff(v)))
        own = k.get("vm_area_struct", v, "anon_vma")
        for avc in rmap.vma_chains(v):
            av = k.get("anon_vma_chain", avc, "anon_vma")
            self.anon_vmas[av] = True
            self.edges.append('v%x -> a%x [dir=both, arrowtail=none, arrowhead=none%s];' %
                              (v, av, ", penwidth=2.5" if av == own else ""))
        drawn = 0
        found = anon_folios(v)
        for pfn in sorted(found):
            if drawn == FOLIOS and pfn not in self.folios:
                continue
            drawn += 1
            self.folios[pfn] = True
            self.edges.append('v%x -> f%x [color=blue];' % (v, pfn))
        if len(found) > drawn:
            self.lines.append('m%x [shape=plaintext, fontcolor=blue, label="%d more folios"];' % (v, len(found) - drawn))
            self.edges.append('v%x -> m%x [color=blue, style=dotted, arrowhead=none];' % (v, v))

    def text(self):
        for av in self.anon_vmas:
            self.lines.append('a%x [shape=ellipse, style=filled, fillcolor=lightyellow, label="anon_vma %x\\nref %d '
                              'children %d active %d"];' % (av, av, k.gets("anon_vma", av, "refcount"),
                                                           k.get("anon_vma", av, "num_children"),
                                                           k.get("anon_vma", av, "num_active_vmas")))
            up = k.get("anon_vma", av, "parent")
            if up != av and up in self.anon_vmas:
                self.edges.append('a%x -> a%x [style=dashed, label=parent, fontsize=8];' % (av, up))
        for pfn in self.folios:
            folio = page.page_of(pfn)
            mapping = k.get("page", folio, "mapping") & ~3
            self.lines.append('f%x [shape=box, style="rounded,filled", fillcolor=lightblue, label="pfn %x\\nmapcount %d"];' %
                              (pfn, pfn, page.mapcount(folio)))
            if mapping in self.anon_vmas:
                self.edges.append('f%x -> a%x [color=darkgreen, style=dashed];' % (pfn, mapping))
        head = ['digraph rmap { rankdir=LR; fontname="sans-serif"; fontsize=10; nodesep=0.15; ranksep=0.6;',
                'node [fontname="monospace", fontsize=9, margin="0.08,0.04"]; edge [fontname="sans-serif"];',
                'labelloc=b; label="box: VMA   ellipse: anon_vma (bold line: the VMA\'s own)   blue: page-table entry'
                '   green: folio->mapping";']
        return "\n".join(head + self.lines + self.edges + ["}"]) + "\n"


def draw(leaders, everything):
    d = Drawing(everything)
    for t in leaders:
        d.process(t)
    if not d.anon_vmas:
        raise k.Error("none of these processes has anonymous memory of its own  (-a draws heap, stack and program too)")
    return d.text()


def anything(leaders):
    """Whether there is a VMA to draw in any of these processes."""
    return any(wanted(v, False) for t in leaders for v in vma.vmas(k.mm_of(t)))


def default_leaders():
    """The processes of the test: all but init and the one that waits for the test."""
    from mmkit import session
    return [t for t in k.tasks() if k.mm_of(t) and session.of_test(t)]


def write(text, path):
    """@text as a picture, by the name's ending; graphviz does it."""
    kind = os.path.splitext(path)[1].lstrip(".") or "svg"
    if kind == "dot":
        with open(path, "w") as f:
            f.write(text)
        return
    try:
        done = subprocess.run(["dot", "-T" + kind, "-o", path], input=text.encode(), stderr=subprocess.PIPE)
    except FileNotFoundError:
        raise k.Error("no dot on this machine: make deps  (package graphviz), or write FILE.dot")
    if done.returncode:
        raise k.Error("dot failed: %s" % done.stderr.decode().strip())


class Graph(k.Command):
    """mm-rmap-graph [-a] [PID...] [> FILE.svg]: processes, VMAs, chains, anon_vmas and folios as a picture.

Without PIDs: all processes of the test. -a: heap, stack and the program's own data too. The ending of FILE decides:
.svg, .png, .pdf, or .dot for graphviz's own text. Default: rmap.svg in the run directory."""
    name = "mm-rmap-graph"
    most_args = 70

    def run(self, argv):
        path = os.path.join(os.environ.get("MMUML_BOOT", "."), "..", "rmap.svg")
        if ">" in argv:
            at = argv.index(">")
            if len(argv) != at + 2:
                raise k.Error("mm-rmap-graph [-a] [PID...] > FILE.svg")
            path = os.path.join(os.environ.get("MMUML_TOP", "."), os.path.expanduser(argv[at + 1]))
            argv = argv[:at]
        pids = [a for a in argv if a != "-a"]
        leaders = [k.arg_task([p]) for p in pids] if pids else default_leaders()
        write(draw(leaders, "-a" in argv), path)
        k.say("  GRAPH   %s (%d processes)", os.path.relpath(path, os.environ.get("MMUML_TOP", ".")), len(leaders))


Graph()
