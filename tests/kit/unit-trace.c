// SPDX-License-Identifier: GPL-2.0
/*
 * Which frame of a stack is blamed, and which addresses of a line are asked for.
 * "unit-trace --skipped" prints those names of its standard input, one a line, that are never blamed (trace.sh).
 */
#include <stdlib.h>
#include <string.h>

#include "../../scripts/lib/kit.h"
#include "../../scripts/runner/trace.h"

#define UNIT "unit-trace"
#include "unit.h"

static const struct {
	const char *place, *text;
} stacks[] = {
	{ "mm/rmap.c:1234",
	  " [<60035a28>] show_stack (arch/um/kernel/sysrq.c:40)\n"
	  " [<60035a29>] ? dump_stack_lvl (lib/dump_stack.c:12)\n"
	  " [<600c7a60>] folio_remove_rmap_ptes (mm/rmap.c:1234)\n"
	  " [<600c7a61>] zap_present_ptes (mm/memory.c:99)\n" },
	/* the innermost of what is inlined, and on to what it became part of */
	{ "mm/page_vma_mapped.c:150",
	  " [<60035a29>] __warn (kernel/panic.c:12)\n"
	  " [<600c7a60>] check_pte (mm/page_vma_mapped.c:150) inlined in page_vma_mapped_walk (mm/page_vma_mapped.c:400)\n" },
	{ "mm/rmap.c:300",
	  " [<600c7a60>] list_add (include/linux/list.h:150) inlined in anon_vma_chain_link (mm/rmap.c:300)\n" },
	{ "mm/mremap.c:12", " [<60035a29>] print_report.cold (mm/kasan/report.c:1)\n [<600c7a60>] check_prep_vma (mm/mremap.c:12)\n" },
	{ "mm/mremap.c:13", " check_mremap_params (mm/mremap.c:13)\n mremap_at (mm/mremap.c:99)\n" },
	/* what lay on the stack is not blamed, alone or not */
	{ NULL, " [<600c7a60>] ? folio_remove_rmap_ptes (mm/rmap.c:1234)\n" },
	{ "mm/memory.c:99", " [<600c7a60>] ? f (mm/rmap.c:1234)\n [<600c7a61>] zap_present_ptes (mm/memory.c:99)\n" },
	/* who asked the allocator, who freed */
	{ "mm/rmap.c:80", " kmem_cache_alloc_noprof (mm/slub.c:4000)\n anon_vma_alloc (mm/rmap.c:80)\n" },
	{ "mm/rmap.c:90", " kasan_report_invalid_free (mm/kasan/report.c:4)\n kmem_cache_free.part.0 (mm/slub.c:4000)\n"
	  " anon_vma_free (mm/rmap.c:90)\n" },
	{ "mm/page_alloc.c:1000", " bad_page.cold (mm/page_alloc.c:640)\n free_pages_prepare (mm/page_alloc.c:1000)\n" },
	{ NULL, "no address (here)\n" },
	{ NULL, "f (mm/rmap.c: no number)\n" },
	{ NULL, "f (mm/rmap.c:12" },
	{ NULL, "" },
};

static void test_culprit(void)
{
	for (size_t i = 0; i < sizeof(stacks) / sizeof(stacks[0]); i++) {
		const char *got = trace_culprit(stacks[i].text), *want = stacks[i].place;

		check(!got == !want && (!want || !strcmp(got, want)), got ? got : "none", stacks[i].text);
	}
}

static bool says_key(void *arg, const char *key, struct buf *out)
{
	(void)arg;
	buf_printf(out, "<%s>", key);
	return true;
}

static bool low(void *arg, unsigned long addr)
{
	(void)arg;
	return addr >= 0x60000000 && addr < 0x61000000;
}

static const struct {
	const char *line, *decoded;
} decoded[] = {
	{ " [<60035a28>] 0x60035a28", " [<60035a28>] 0x60035a28 <60035a28->" },
	{ " [<60035a28>] ? show_stack+0x1/0x2", " [<60035a28>] ? show_stack+0x1/0x2 <60035a28->" },
	{ "fault at addr 0x0, ip 0x60035a28", "fault at addr 0x0, ip 0x60035a28 <60035a28>" },
	{ "RIP: 0033:lkdtm_EXCEPTION+0x11/0x40", "RIP: 0033:lkdtm_EXCEPTION+0x11/0x40 <lkdtm_EXCEPTION+0x11/0x40=>" },
	{ "RIP: 0033:0x0", "RIP: 0033:0x0" },
	{ "f+0x1/0x2", "f+0x1/0x2 <f+0x1/0x2>" },
	{ "RIP: 0033:[<60035a28>]", "RIP: 0033:[<60035a28>] <60035a28>" },
	{ " anon_vma_clone+0x12/0x34", " anon_vma_clone+0x12/0x34 <anon_vma_clone+0x12/0x34>" },
	{ "page:0x71235d00 is not code", "page:0x71235d00 is not code" },
	{ "0x6003", "0x6003" },
	{ "[<60035a28", "[<60035a28" },
	{ "", "" },
};

static void test_decode(void)
{
	for (size_t i = 0; i < sizeof(decoded) / sizeof(decoded[0]); i++) {
		struct buf out = { 0 };

		trace_decode(decoded[i].line, says_key, low, NULL, &out);
		check(!strcmp(out.s ? out.s : "", decoded[i].decoded), out.s ? out.s : "", decoded[i].line);
		buf_free(&out);
	}
}

static int skipped(void)
{
	char name[256];

	while (scanf("%255s", name) == 1)
		if (trace_skips(name))
			puts(name);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--skipped"))
		return skipped();
	test_culprit();
	test_decode();
	return unit_end();
}
