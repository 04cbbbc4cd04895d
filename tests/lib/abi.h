/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests use of the kernel's interface and the headers of the tested tree may lack, with the kernel's values. Whether
 * the kernel has it too is for the test to ask: an errno, or a mm_need_*().
 */
#ifndef MMUML_TESTS_ABI_H
#define MMUML_TESTS_ABI_H

#include <stdint.h>

/* asm-generic/mman-common.h, in the same words: a second definition that differs is an error */
#define MADV_COLLAPSE 25
#define MADV_SOFT_OFFLINE 101
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103

/* linux/mman.h, linux/fcntl.h, linux/fs.h, which the C library's headers may not get along with */
#define MAP_DROPPABLE 0x08
#define F_SEAL_FUTURE_WRITE 0x0010
#define F_SEAL_EXEC 0x0020
#define PAGE_IS_GUARD (1 << 8)

/* linux/io_uring.h, whose enumerators and structs cannot be asked for: IORING_REGISTER_MEM_REGION and its two */
#define MM_REGISTER_MEM_REGION 34

struct mm_region_desc {			/* struct io_uring_region_desc */
	uint64_t user_addr;
	uint64_t size;
	uint32_t flags;
	uint32_t id;
	uint64_t mmap_offset;
	uint64_t resv[4];
};

struct mm_mem_region_reg {		/* struct io_uring_mem_region_reg */
	uint64_t region_uptr;
	uint64_t flags;
	uint64_t resv[2];
};

#endif
