// SPDX-License-Identifier: GPL-2.0
/* Bugs that tests/memcheck/bugs seeds into a kernel, set off one by one: which detector finds which. Run by name only. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mm.h"

#define TRIGGER "/sys/kernel/debug/seeded_bug"

/* A kernel without the bugs is no place for these tests, nor is one that refuses the name. */
static void set_off(struct __test_metadata *_metadata, const char *name)
{
	char text[32] = "";
	int fd = open(TRIGGER, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		SKIP(return, "needs a kernel with the seeded bugs (S=default,tests/memcheck/bugs)");
	strncpy(text, name, sizeof(text) - 1);
	ASSERT_EQ((ssize_t)strlen(name), write(fd, text, strlen(name))) {
		TH_LOG("%s: %s", name, strerror(errno));
	}
	close(fd);
	/* What waits for a grace period, and what is only looked for in idle moments */
	usleep(200 * 1000);
}

/* a field of a fresh anon_vma_chain that nobody has written is used */
TEST(avc_uninit)
{
	set_off(_metadata, "avc_uninit");
}

/* a field of a fresh vm_area_struct that nobody has written is used */
TEST(vma_uninit)
{
	set_off(_metadata, "vma_uninit");
}

/* a slab object is written after it was freed */
TEST(slab_uaf)
{
	set_off(_metadata, "slab_uaf");
}

/* a slab object is written after it was freed and others of its size were allocated */
TEST(slab_uaf_late)
{
	set_off(_metadata, "slab_uaf_late");
}

/* an anon_vma is read after it was freed and a grace period has passed */
TEST(anon_vma_uaf)
{
	set_off(_metadata, "anon_vma_uaf");
}

/* a page is written after it was freed */
TEST(page_uaf)
{
	set_off(_metadata, "page_uaf");
}

/* one byte past the 40 that kmalloc() was asked for is written */
TEST(slab_overrun)
{
	set_off(_metadata, "slab_overrun");
}

/* one byte past a large kmalloc() is written */
TEST(large_overrun)
{
	set_off(_metadata, "large_overrun");
}

/* a slab object is freed twice */
TEST(double_free)
{
	set_off(_metadata, "double_free");
}

/* a variable on the stack is used that nobody has written */
TEST(stack_uninit)
{
	set_off(_metadata, "stack_uninit");
}

/* bytes that nobody has written are copied to user space */
TEST(user_leak)
{
	set_off(_metadata, "user_leak");
}

/* bytes of a page that nobody has written are used */
TEST(page_uninit)
{
	set_off(_metadata, "page_uninit");
}

/* bytes of a vmalloc() area that nobody has written are used */
TEST(vmalloc_uninit)
{
	set_off(_metadata, "vmalloc_uninit");
}

static int nothing(void *arg)
{
	return !!arg;
}

/* an anon_vma_chain is forgotten */
TEST(avc_leak)
{
	set_off(_metadata, "avc_leak");
	if (access("/sys/kernel/debug/kmemleak", F_OK))
		return;
	/*
	 * kmemleak, which init asks in the end, reports what is older than five seconds if its address stands nowhere, not
	 * even among the free places of SLUB: others that are freed take its place there.
	 */
	for (int i = 0; i < 32; i++)
		EXPECT_EQ(0, mm_in_child(nothing, NULL));
	sleep(6);
}
/* A kernel that another test's report ends is not asked for leaks. */
MM_TEST_IS(avc_leak, "alone");

/* a member of a slab object is written behind its end, inside the object */
TEST(member_overrun)
{
	set_off(_metadata, "member_overrun");
}

/* a number is shifted by more bits than it has */
TEST(shift)
{
	set_off(_metadata, "shift");
}

/* two locks are taken in one order, and then in the other */
TEST(lock_order)
{
	set_off(_metadata, "lock_order");
}

/* a page is put at a second address of its process, writable */
TEST(map_twice)
{
	set_off(_metadata, "map_twice");
}

/* a page is freed while user space can reach it */
TEST(free_mapped)
{
	set_off(_metadata, "free_mapped");
}

/* an entry of a page table above the last level leads nowhere */
TEST(bad_pmd)
{
	set_off(_metadata, "bad_pmd");
}

/* memory is freed in which a timer is active */
TEST(timer_freed)
{
	set_off(_metadata, "timer_freed");
}

TEST_HARNESS_MAIN
