# SPDX-License-Identifier: GPL-2.0
"""Pages of UML for the kernel tree's lx- commands, whose own operations know SPARSEMEM_VMEMMAP alone."""
import gdb

from mmkit import kernel as k
from mmkit import page
from mmkit import pgtable

VMALLOC_OFFSET = 8 << 20	# arch/um/include/asm/pgtable.h


class PageOps:
    """The part of linux/mm.py:x86_page_ops that its users call (of them slab.py, vmalloc.py, page_owner.py)."""
    MAX_NUMNODES = 1
    MAX_ORDER = 10
    MAX_ORDER_NR_PAGES = 1 << MAX_ORDER

    def __init__(self):
        self.ops = self
        self.type = gdb.lookup_type("struct page").pointer()
        self.VMALLOC_START = (k.u64(k.symbol("high_physmem")) + VMALLOC_OFFSET) & ~(VMALLOC_OFFSET - 1)
        self.VMALLOC_END = k.u64(k.symbol("task_size")) - 2 * k.PAGE_SIZE

    def kasan_reset_tag(self, address):
        return address

    def pfn_valid(self, pfn):
        return 0 <= int(pfn) < page.max_pfn()

    def pfn_to_section(self, pfn):
        raise gdb.GdbError("memory is flat: there are no sections")

    def pfn_to_page(self, pfn):
        return gdb.Value(page.page_of(int(pfn))).cast(self.type)

    def page_to_pfn(self, p):
        return page.pfn_of(int(p))

    def page_to_phys(self, p):
        return self.page_to_pfn(p) << k.PAGE_SHIFT

    def pfn_to_kaddr(self, pfn):
        return pgtable.virt(int(pfn) << k.PAGE_SHIFT)

    def page_to_virt(self, p):
        return self.pfn_to_kaddr(self.page_to_pfn(p))

    page_address = page_to_virt

    def folio_address(self, folio):
        return self.page_to_virt(folio["page"].address)

    def virt_to_phys(self, address):
        phys = int(address) - pgtable.virt(0)
        if not self.pfn_valid(phys >> k.PAGE_SHIFT):
            raise gdb.GdbError("%#x is no address of the linear mapping" % int(address))
        return phys

    def virt_to_pfn(self, address):
        return self.virt_to_phys(address) >> k.PAGE_SHIFT

    sym_to_pfn = virt_to_pfn

    def virt_to_page(self, address):
        return self.pfn_to_page(self.virt_to_pfn(address))
