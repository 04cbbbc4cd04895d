# SPDX-License-Identifier: GPL-2.0
"""The reverse map: anon_vmas with their chains, and every place that maps a folio. Commands mm-anon-vma, mm-rmap."""
from mmkit import kernel as k
from mmkit import page
from mmkit import pgtable
from mmkit import vma


def chains(anon_vma):
    """anon_vma_chains of the interval tree, in order of their VMA's page offset."""
    return k.rb_entries(anon_vma + k.offset("anon_vma", "rb_root"), "anon_vma_chain", "rb")


def vma_chains(v):
    """anon_vma_chains on the list of a VMA."""
    return k.list_entries(v + k.offset("vm_area_struct", "anon_vma_chain"), "anon_vma_chain", "same_vma")


def anon_vma_line(av, own=0):
    root, parent = k.get("anon_vma", av, "root"), k.get("anon_vma", av, "parent")
    return "anon_vma %#x  root %s  parent %s  refcount %d  num_children %d  num_active_vmas %d%s" % (
        av, "self" if root == av else "%#x" % root, "self" if parent == av else "%#x" % parent,
        k.gets("anon_vma", av, "refcount"), k.get("anon_vma", av, "num_children"),
        k.get("anon_vma", av, "num_active_vmas"), "  <- vma->anon_vma" if av == own else "")


def vma_line(v, names):
    start, end = vma.span(v)
    return "vma %#x  %#x-%#x pgoff %#x %s  %s" % (v, start, end, vma.pgoff(v), vma.perms(v),
                                                  names.get(vma.mm(v), "mm %#x" % vma.mm(v)))


def mm_names():
    """{mm: "33 comm"}."""
    return {m: ", ".join("%d %s" % (k.pid(t), k.comm(t)) for t in ts) for m, ts in k.user_mms().items()}


class AnonVma(k.Command):
    """mm-anon-vma VMA|ADDR [PID]: all anon_vmas that a VMA is linked to, with root, parent and counters, and below each
one the VMAs of its interval tree, in whichever process they are.

An object that does not agree with its neighbours is marked with "!!": a chain whose anon_vma or VMA points elsewhere,
a cached upper end of a subtree that is wrong, a counter that the trees do not confirm."""
    name = "mm-anon-vma"

    def run(self, argv):
        v = vma.from_argument(argv)
        names = mm_names()
        own = k.get("vm_area_struct", v, "anon_vma")
        k.say("%s", vma_line(v, names))
        if not own:
            k.say("  no anon_vma: nothing was written here yet, or the mapping is shared")
            return
        seen = set()
        for avc in vma_chains(v):
            av = k.get("anon_vma_chain", avc, "anon_vma")
            seen.add(av)
            k.say("  %s", anon_vma_line(av, own))
            if k.get("anon_vma_chain", avc, "vma") != v:
                k.say("    !! chain %#x of this VMA points to VMA %#x", avc, k.get("anon_vma_chain", avc, "vma"))
            active = 0
            for c in chains(av):
                other = k.get("anon_vma_chain", c, "vma")
                active += k.get("vm_area_struct", other, "anon_vma") == av
                k.say("    avc %#x  %s%s", c, vma_line(other, names), "  <- this one" if other == v else "")
                if k.get("anon_vma_chain", c, "anon_vma") != av:
                    k.say("      !! it says that it belongs to anon_vma %#x", k.get("anon_vma_chain", c, "anon_vma"))
                wrong = bad_subtree(c)
                if wrong:
                    k.say("      !! %s", wrong)
            if active != k.get("anon_vma", av, "num_active_vmas"):
                k.say("    !! %d VMAs of the tree have it as their anon_vma", active)
        if own not in seen:
            k.say("  !! vma->anon_vma %#x is not among the VMA's chains", own)


def last_index(avc):
    v = k.get("anon_vma_chain", avc, "vma")
    start, end = vma.span(v)
    return vma.pgoff(v) + ((end - start) >> k.PAGE_SHIFT) - 1


def bad_subtree(avc):
    """The augmentation of the interval tree: rb_subtree_last is the largest end of the node's subtree."""
    most = last_index(avc)
    rb = avc + k.offset("anon_vma_chain", "rb")
    for side in ("rb_left", "rb_right"):
        child = k.get("rb_node", rb, side)
        if child:
            most = max(most, k.get("anon_vma_chain", child - k.offset("anon_vma_chain", "rb"), "rb_subtree_last"))
    got = k.get("anon_vma_chain", avc, "rb_subtree_last")
    return "rb_subtree_last is %#x, its subtree ends at %#x" % (got, most) if got != most else None


def candidates(folio):
    """(VMA, address) of every place where the reverse map would look for @folio."""
    mapping = k.get("page", folio, "mapping")
    index, n = page.index_of(folio), page.nr_pages(folio)
    kind = page.kind(folio)
    if kind == "anon":
        vmas = (k.get("anon_vma_chain", c, "vma") for c in chains(mapping & ~3))
    elif kind == "file":
        vmas = k.rb_entries(mapping + k.offset("address_space", "i_mmap"), "vm_area_struct", "shared.rb")
    elif kind == "ksm":
        yield from ksm_candidates(mapping & ~3)
        return
    else:
        raise k.Error("pfn %#x is no folio that page tables map: %s" %
                      (page.pfn_of(folio), page.page_type(folio) or "no mapping"))
    for v in vmas:
        start, end = vma.span(v)
        first = vma.pgoff(v)
        for i in range(n):
            if first <= index + i < first + ((end - start) >> k.PAGE_SHIFT):
                yield v, start + ((index + i - first) << k.PAGE_SHIFT)


def ksm_candidates(stable_node):
    for item in k.hlist_entries(stable_node + k.offset("ksm_stable_node", "hlist"), "ksm_rmap_item", "hlist"):
        address = k.get("ksm_rmap_item", item, "address") & k.PAGE_MASK
        for c in chains(k.get("ksm_rmap_item", item, "anon_vma")):
            v = k.get("anon_vma_chain", c, "vma")
            start, end = vma.span(v)
            if start <= address < end:
                yield v, address


def mappings(pfns):
    """(mm, address, PTE) of every entry of any page table that maps one of the frames [first, last] or migrates it:
    the truth that the reverse map is held against."""
    first, last = pfns
    low, high = first << k.PAGE_SHIFT, (last + 1) << k.PAGE_SHIFT
    for mm in k.user_mms():
        for base, entries in pgtable.tables(mm):
            for i, value in enumerate(entries):
                if not value:
                    continue
                if value & 0x11:
                    if low <= value < high:
                        yield mm, base + (i << k.PAGE_SHIFT), value
                elif first <= (value >> 11 & 0xfffffffff) <= last:
                    e = pgtable.Entry(value)
                    if e.migrating is not None:
                        yield mm, base + (i << k.PAGE_SHIFT), value


class Rmap(k.Command):
    """mm-rmap PFN|PAGE|FOLIO|ADDR [PID]: every place that maps a folio, found through the reverse map (anon_vma, i_mmap
or KSM's stable node) and held against the page tables of all processes.

Each candidate of the reverse map is one line: "mapped", "migrating", or what is there instead ("copied": another page,
as after copy-on-write). "!!" marks disagreements: a page table that maps the folio where the reverse map does not
look, and a mapcount that is not the number of entries found."""
    name = "mm-rmap"

    def run(self, argv):
        folio = page.head_of(page.from_argument(argv))
        first = page.pfn_of(folio)
        last = first + page.nr_pages(folio) - 1
        names = mm_names()
        k.say("folio %#x  pfn %#x  %s  %s  index %#x  mapcount %d  refcount %d", folio, first, page.kind(folio),
              page.describe_mapping(folio), page.index_of(folio), page.mapcount(folio), page.refcount(folio))
        truth = {(mm, address): value for mm, address, value in mappings((first, last))}
        mapped, looked = 0, set()
        for v, address in candidates(folio):
            mm = vma.mm(v)
            if (mm, address) in looked:		# KSM may come to one place from two of its items
                continue
            looked.add((mm, address))
            entry = pgtable.lookup(mm, address)
            if entry.pfn is not None and first <= entry.pfn <= last:
                word = "mapped"
                mapped += 1
            elif entry.migrating is not None and first <= entry.migrating <= last:
                word = "migrating"
            else:
                word = "copied" if entry.pfn is not None else "absent"
            k.say("  %-9s %#x  vma %#x  %s  %s", word, address, v, names.get(mm, "mm %#x" % mm), entry.text())
        for (mm, address), value in sorted(truth.items()):
            if (mm, address) not in looked:
                mapped += bool(value & 0x11)
                k.say("  !! %#x of %s maps it, and the reverse map does not look there", address,
                      names.get(mm, "mm %#x" % mm))
        if mapped != page.mapcount(folio):
            k.say("  !! mapcount is %d, %d page-table entries map it", page.mapcount(folio), mapped)
        else:
            k.say("  %d entries map it: as its mapcount says", mapped)


AnonVma()
Rmap()
