# SPDX-License-Identifier: GPL-2.0
"""LRU lists and the buddy allocator. Commands mm-lru, mm-zones."""
from mmkit import kernel as k
from mmkit import page

LRU = ("inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable")


def count(head):
    """Entries of a list; a torn one is an error."""
    n, node = 0, k.u64(head)
    while node != head:
        n += 1
        node = k.u64(node)
        if not node or n > 1 << 24:
            raise k.Error("the list at %#x is torn after %d entries" % (head, n))
    return n


def pgdat():
    return k.symbol("contig_page_data")


def array_length(struct_, path):
    total = k.field(struct_, path)[1]
    return total // k.field(struct_, path + "[0]")[1]


def cgroup_name(memcg):
    node = k.get("mem_cgroup", memcg, "css.cgroup")
    node = k.get("cgroup", node, "kn") if node else 0
    names = []
    for _ in range(32):
        if not node:
            break
        text = k.string(k.get("kernfs_node", node, "name"))
        if text:
            names.append(text)
        node = k.get("kernfs_node", node, "__parent" if k.has("kernfs_node", "__parent") else "parent")
    return "/" + "/".join(reversed(names))


def memcgs(memcg=None):
    """All memory cgroups, parents first."""
    if memcg is None:
        memcg = k.u64(k.symbol("root_mem_cgroup"))
    yield memcg
    css = k.offset("mem_cgroup", "css")
    head = memcg + css + k.offset("cgroup_subsys_state", "children")
    for child in k.list_entries(head, "cgroup_subsys_state", "sibling"):
        yield from memcgs(child - css)


def lruvecs():
    """(name, lruvec)."""
    if k.have_symbol("root_mem_cgroup"):
        for m in memcgs():
            info = k.u64(m + k.offset("mem_cgroup", "nodeinfo"))
            yield "memcg " + cgroup_name(m), info + k.offset("mem_cgroup_per_node", "lruvec")
    else:
        yield "node 0", pgdat() + k.offset("pglist_data", "__lruvec")


class Lru(k.Command):
    """mm-lru: for every memory cgroup the LRU lists and the number of folios on each, counted on the lists themselves;
with multi-generational LRU, each generation's lists of anonymous and file folios."""
    name = "mm-lru"
    most_args = 0

    def run(self, argv):
        size = k.sizeof("list_head")
        for name, lruvec in lruvecs():
            lists = lruvec + k.offset("lruvec", "lists")
            # The list head of unevictable folios is poisoned: nothing walks it, so nothing links it.
            counts = [count(lists + i * size) for i in range(4)]
            gen = lruvec + k.offset("lruvec", "lrugen") if k.has("lruvec", "lrugen") else 0
            k.say("%s  lruvec %#x", name, lruvec)
            k.say("  %s", "  ".join("%s %d" % (LRU[i], counts[i]) for i in range(4)))
            if gen and k.get("lru_gen_folio", gen, "enabled"):
                self.generations(gen)

    def generations(self, gen):
        zones = array_length("lru_gen_folio", "folios[0][0]")
        gens = array_length("lru_gen_folio", "folios")
        newest = k.get("lru_gen_folio", gen, "max_seq")
        oldest = [k.u64(gen + k.offset("lru_gen_folio", "min_seq") + 8 * t) for t in (0, 1)]
        for seq in range(min(oldest), newest + 1):
            text = []
            for t, what in enumerate(("anon", "file")):
                n = sum(count(gen + k.offset("lru_gen_folio", "folios[%d][%d][%d]" % (seq % gens, t, z)))
                        for z in range(zones))
                text.append("%s %d" % (what, n))
            k.say("  generation %d  %s", seq, "  ".join(text))


class Zones(k.Command):
    """mm-zones: each zone's size, watermarks and free pages, its buddy free lists by order and migrate type, counted on the
lists, and how fragmented the free memory is.

fragmentation: the share of the free pages that lie in blocks too small for that order (0: none). "!!" marks a free
list whose length is not nr_free."""
    name = "mm-zones"
    most_args = 0

    def run(self, argv):
        base = pgdat() + k.offset("pglist_data", "node_zones")
        size = k.sizeof("zone")
        for i in range(k.get("pglist_data", pgdat(), "nr_zones")):
            zone = base + i * size
            if k.get("zone", zone, "present_pages"):
                self.zone(zone)

    def zone(self, zone):
        marks = k.words(zone + k.offset("zone", "_watermark"), 3)
        orders = array_length("zone", "free_area")
        types = array_length("free_area", "free_list")
        names = k.enum_names("MIGRATE_UNMOVABLE")
        free, rows = [], []
        for order in range(orders):
            area = zone + k.offset("zone", "free_area[%d]" % order)
            counts = [count(area + k.offset("free_area", "free_list[%d]" % t)) for t in range(types)]
            nr = k.get("free_area", area, "nr_free")
            free.append(nr)
            rows.append((order, nr, counts))
        total = sum(n << o for o, n in enumerate(free))
        k.say("zone %s  %#x  start pfn %#x  spanned %d  present %d  managed %d",
              k.string(k.get("zone", zone, "name")), zone, k.get("zone", zone, "zone_start_pfn"),
              k.get("zone", zone, "spanned_pages"), k.get("zone", zone, "present_pages"),
              k.get("zone", zone, "managed_pages"))
        k.say("  free %d  (vmstat says %d)  min %d low %d high %d", total,
              k.gets("zone", zone, "vm_stat[%d]" % k.value("NR_FREE_PAGES")), *marks)
        k.say("  order    free  fragmentation  %s", "  ".join(names.get(t, str(t))[8:].lower() for t in range(types)))
        for order, nr, counts in rows:
            usable = sum(free[o] << o for o in range(order, orders))
            share = 1 - usable / total if total else 1
            k.say("  %5d %7d  %13.3f  %s%s", order, nr, share, "  ".join(str(c) for c in counts),
                  "  !! the lists have %d" % sum(counts) if sum(counts) != nr else "")


Lru()
Zones()
