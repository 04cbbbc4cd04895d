# SPDX-License-Identifier: GPL-2.0
"""Pages and folios: from an argument to the structure, flags by name, counts, mapping. Commands mm-page, mm-folio."""
from mmkit import kernel as k

ANON, KSM = 1, 3			# FOLIO_MAPPING_ANON, FOLIO_MAPPING_KSM
UNMAPPED = 0xffffffff

_aliases = {}
_types = {}


def flag_table():
    """{bit: name} of enum pageflags, without "PG_"."""
    if not _aliases:
        for bit, name in k.enum_names("PG_locked").items():
            if name.startswith("PG_"):
                _aliases[bit] = name[3:]
    return _aliases


def type_table():
    if not _types:
        for number, name in k.enum_names("PGTY_buddy").items():
            _types[number] = name[5:]
    return _types


def flags_of(page):
    return k.get("page", page, "flags")


def flag_names(page):
    """Names of the flags of an ordinary page; swapcache and anon_exclusive by what the page is."""
    bits = flags_of(page) & ((1 << k.value("__NR_PAGEFLAGS")) - 1)
    names = k.flag_names(bits, flag_table())
    anon = k.get("page", page, "mapping") & ANON
    swap = {"owner_priv_1": "swapcache"} if "swapbacked" in names else {}
    own = {"owner_2": "anon_exclusive"} if anon else {}
    return [swap.get(n, own.get(n, n)) for n in names]


def mem_map():
    return k.u64(k.symbol("mem_map"))


def max_pfn():
    return k.u64(k.symbol("max_mapnr"))


def page_of(pfn):
    if not 0 <= pfn < max_pfn():
        raise k.Error("PFN %#x is beyond the guest's memory (%#x pages)" % (pfn, max_pfn()))
    return mem_map() + pfn * k.sizeof("page")


def pfn_of(page):
    return (page - mem_map()) // k.sizeof("page")


def is_page(address):
    return mem_map() <= address < mem_map() + max_pfn() * k.sizeof("page")


def head_of(page):
    """compound_head() of a kernel without the vmemmap optimisation (UML has none)."""
    info = k.get("page", page, k.member("page", "compound_info", "compound_head"))
    return info - 1 if info & 1 else page


def page_type(page):
    """Name of its type ("buddy", "slab", "table", ...), None for a page that may be mapped."""
    raw = k.get("page", page, "page_type")
    if raw == UNMAPPED or raw < 0x80000000:
        return None
    return type_table().get(raw >> 24)


def order_of(head):
    if "head" not in flag_names(head):
        return 0
    return k.u64(head + k.sizeof("page") + k.offset("page", "flags")) & 0xff


def nr_pages(head):
    return 1 << order_of(head)


def mapcount(head):
    """folio_mapcount(): how many page-table entries map the folio."""
    if page_type(head):
        return 0
    if order_of(head):
        return k.gets("folio", head, "_large_mapcount") + 1
    return k.gets("page", head, "_mapcount") + 1


def refcount(page):
    return k.gets("page", page, "_refcount")


def kind(head):
    """"anon", "ksm", "file" or "-"."""
    mapping = k.get("page", head, "mapping")
    if page_type(head) or not mapping:
        return "-"
    return {0: "file", ANON: "anon", KSM: "ksm"}.get(mapping & 3, "?")


def dentry_path(dentry):
    """Path inside its file system."""
    names = []
    for _ in range(64):
        parent = k.get("dentry", dentry, "d_parent")
        if parent == dentry:
            break
        names.append(k.string(k.get("dentry", dentry, "d_name.name")))
        dentry = parent
    else:
        names.append("...")
    if not names:		# a root, or the only one of its kind, as a memfd
        name = k.string(k.get("dentry", dentry, "d_name.name"))
        return name
    return "/" + "/".join(reversed(names))


def file_name(file):
    return dentry_path(k.get("file", file, "f_path.dentry"))


def inode_name(inode):
    """Some name of an inode that a dentry knows, and its number."""
    name = ""
    for d in k.hlist_entries(inode + k.offset("inode", "i_dentry"), "dentry", "d_u.d_alias" if
                             k.has("dentry", "d_u.d_alias") else "d_alias"):
        name = " " + dentry_path(d)
        break
    return "inode %d%s" % (k.get("inode", inode, "i_ino"), name)


def describe_mapping(head):
    mapping = k.get("page", head, "mapping")
    what = kind(head)
    if what == "anon":
        return "anon_vma %#x" % (mapping & ~3)
    if what == "ksm":
        return "ksm_stable_node %#x" % (mapping & ~3)
    if what == "file":
        host = k.get("address_space", mapping, "host")
        return "address_space %#x (%s)" % (mapping, inode_name(host) if host else "no inode")
    return "%#x" % mapping


def index_field():
    """The member of struct page with its place in the mapping; renamed in 6.15."""
    return k.member("page", "__folio_index", "index")


def index_of(head):
    return k.get("page", head, index_field())


def from_argument(argv):
    """The page that PFN|PAGE|FOLIO|ADDR [PID] means: an address with a PID is one of that process's; a small number
    is a PFN; a pointer into mem_map is a page; the rest are addresses of the current process."""
    from mmkit import pgtable
    if not argv:
        raise k.Error("which page?  PFN, struct page or folio, or a user address [PID]")
    n = k.number(argv[0], "PFN, page or address")
    if len(argv) < 2:
        if is_page(n):
            page = mem_map() + (n - mem_map()) // k.sizeof("page") * k.sizeof("page")
            return page
        if n < max_pfn():
            return page_of(n)
    mm = k.user_mm(k.arg_task(argv, 1))
    entry = pgtable.lookup(mm, n)
    if entry.pfn is None:
        raise k.Error("%#x is not mapped there: %s" % (n, entry.text()))
    return page_of(entry.pfn)


def print_folio(head):
    order = order_of(head)
    k.say("folio %#x  pfn %#x  order %d", head, pfn_of(head), order)
    k.say("  flags     %#x  %s", flags_of(head), " ".join(flag_names(head)) or "-")
    typ = page_type(head)
    if typ:
        k.say("  type      %s%s", typ, " order %d" % k.get("page", head, "private") if typ == "buddy" else "")
    k.say("  refcount  %d   mapcount %d", refcount(head), mapcount(head))
    if not typ:
        k.say("  mapping   %s  %s", kind(head), describe_mapping(head))
        k.say("  index     %#x", index_of(head))
        if "swapcache" in flag_names(head):
            k.say("  swap      entry %#x", k.get("page", head, "private"))
    if k.has("page", "memcg_data"):
        k.say("  memcg     %#x", k.get("page", head, "memcg_data") & ~7)


class Page(k.Command):
    """mm-page PFN|PAGE|ADDR [PID]: one struct page: flags by name, type, counts, mapping, index.

With a PID, the address is one of that process; without, a number below the number of page frames is a PFN, a pointer
into mem_map a struct page, anything else an address of the current process. Expressions of gdb will do."""
    name = "mm-page"

    def run(self, argv):
        page = from_argument(argv)
        head = head_of(page)
        if head != page:
            k.say("page %#x  pfn %#x  tail %d of", page, pfn_of(page), pfn_of(page) - pfn_of(head))
        else:
            k.say("page %#x  pfn %#x", page, pfn_of(page))
        print_folio(head)


class Folio(k.Command):
    """mm-folio PFN|PAGE|FOLIO|ADDR [PID]: the folio of a page: flags by name, counts, mapping, index, memcg.

The argument is as for mm-page."""
    name = "mm-folio"

    def run(self, argv):
        print_folio(head_of(from_argument(argv)))


Page()
Folio()
