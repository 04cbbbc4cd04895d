// SPDX-License-Identifier: GPL-2.0
/*
 * Seals of a memfd and its mappings. fcntl(2) of F_SEAL_WRITE: "trying to create new shared, writable memory-mappings via mmap(2)
 * will also fail with EPERM"; what may be read may be mapped, and stays read-only.
 */
#include "kselftest_harness.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>
#include "mm.h"

#define PAGES	4
#define LEN	(PAGES * PAGE)
#define SEED	1
#define OWN	2
#define RW	(PROT_READ | PROT_WRITE)

/* 0 or the errno */
static int seal(int fd, int seals)
{
	return fcntl(fd, F_ADD_SEALS, seals) ? errno : 0;
}

/* A memfd that may be sealed, filled. */
static int filled_memfd(void)
{
	static char buf[LEN];
	int fd = memfd_create("mm", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	mm_fill(buf, LEN, SEED);
	return write(fd, buf, LEN) == LEN ? fd : -1;
}

static int read_only(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Whether the file has the bytes that it was filled with, by read(). */
static bool is_whole(int fd)
{
	static char buf[LEN];

	return pread(fd, buf, LEN, 0) == LEN && mm_check(buf, LEN, SEED) == -1;
}

FIXTURE(sealed) {
	int fd, ro;
	bool no_writes;
};

FIXTURE_VARIANT(sealed) {
	int seals;
};

FIXTURE_VARIANT_ADD(sealed, none) { .seals = 0 };
FIXTURE_VARIANT_ADD(sealed, seal) { .seals = F_SEAL_SEAL };
FIXTURE_VARIANT_ADD(sealed, shrink) { .seals = F_SEAL_SHRINK };
FIXTURE_VARIANT_ADD(sealed, grow) { .seals = F_SEAL_GROW };
FIXTURE_VARIANT_ADD(sealed, write) { .seals = F_SEAL_WRITE };
FIXTURE_VARIANT_ADD(sealed, future_write) { .seals = F_SEAL_FUTURE_WRITE };
FIXTURE_VARIANT_ADD(sealed, write_and_future) { .seals = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE };
FIXTURE_VARIANT_ADD(sealed, exec) { .seals = F_SEAL_EXEC };
FIXTURE_VARIANT_ADD(sealed, all) { .seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE };

FIXTURE_SETUP(sealed)
{
	self->fd = filled_memfd();
	ASSERT_LE(0, self->fd);
	self->ro = read_only(self->fd);
	ASSERT_LE(0, self->ro);
	/* A memfd of mode 0777 that is sealed against chmod is sealed against all else. */
	ASSERT_EQ(0, fchmod(self->fd, 0600));
	ASSERT_EQ(0, seal(self->fd, variant->seals));
	ASSERT_EQ(variant->seals, fcntl(self->fd, F_GET_SEALS) & variant->seals);
	self->no_writes = variant->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE);
}

FIXTURE_TEARDOWN(sealed)
{
	/* Whatever was tried, and allowed: the file is as it was. */
	EXPECT_TRUE(is_whole(self->fd));
	close(self->fd);
	close(self->ro);
}

static char *map(int prot, int flags, int fd)
{
	return mmap(NULL, LEN, prot, flags, fd, 0);
}

/* 0 or the errno */
static int protect(char *p, int prot)
{
	return mprotect(p, LEN, prot) ? errno : 0;
}

/* shared and read-only it can be mapped whatever the seals; those against writes keep it so for ever: EACCES */
TEST_F(sealed, shared_read)
{
	const int flags[] = { MAP_SHARED, MAP_SHARED_VALIDATE }, prots[] = { PROT_READ, PROT_NONE };

	for (int i = 0; i < 4; i++) {
		char *p = map(prots[i / 2], flags[i % 2], self->fd);

		ASSERT_NE(MAP_FAILED, p) TH_LOG("%s", strerror(errno));
		EXPECT_EQ(!self->no_writes, mm_vmflag(0, p, "mw"));
		EXPECT_EQ(0, protect(p, PROT_READ));
		EXPECT_EQ(-1, mm_check(p, LEN, SEED));
		EXPECT_EQ(SIGSEGV, mm_probe_write(p, 0));
		EXPECT_EQ(self->no_writes ? EACCES : 0, protect(p, RW));
		EXPECT_EQ(self->no_writes ? EACCES : 0, protect(p, PROT_WRITE));
		if (self->no_writes)
			EXPECT_EQ(SIGSEGV, mm_probe_write(p, 0));
		EXPECT_EQ(0, munmap(p, LEN));
	}
}

/* shared and writable it cannot be mapped if sealed against writes: EPERM; else it can */
TEST_F(sealed, shared_write)
{
	const int prots[] = { RW, PROT_WRITE, RW | PROT_EXEC };

	for (int i = 0; i < 3; i++) {
		char *p;

		errno = 0;
		p = map(prots[i], MAP_SHARED, self->fd);
		if (self->no_writes) {
			EXPECT_EQ(MAP_FAILED, p);
			EXPECT_EQ(EPERM, errno);
			continue;
		}
		ASSERT_NE(MAP_FAILED, p);
		mm_fill(p, LEN, SEED);
		EXPECT_EQ(0, munmap(p, LEN));
	}
}

/* private it can be mapped and written whatever the seals: the stores are the process's own */
TEST_F(sealed, private)
{
	for (int i = 0; i < 2; i++) {
		char *p = map(i ? RW : PROT_READ, MAP_PRIVATE, self->fd), *q = map(PROT_READ, MAP_PRIVATE, self->ro);

		ASSERT_NE(MAP_FAILED, p);
		ASSERT_NE(MAP_FAILED, q);
		EXPECT_EQ(-1, mm_check(p, LEN, SEED));
		EXPECT_EQ(0, protect(p, RW));
		EXPECT_EQ(0, protect(q, RW));
		mm_fill(p, LEN, OWN);
		mm_fill(q, LEN, OWN);
		EXPECT_TRUE(is_whole(self->fd));
		EXPECT_EQ(-1, mm_check(p, LEN, OWN));
		munmap(p, LEN);
		munmap(q, LEN);
	}
}

/* through a descriptor that may only read, the right is the descriptor's, not the seals' */
TEST_F(sealed, read_only_descriptor)
{
	char *p = map(PROT_READ, MAP_SHARED, self->ro);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_FALSE(mm_vmflag(0, p, "mw"));
	EXPECT_EQ(EACCES, protect(p, RW));
	munmap(p, LEN);
	errno = 0;
	EXPECT_EQ(MAP_FAILED, map(RW, MAP_SHARED, self->ro));
	EXPECT_EQ(EACCES, errno);
}

/* a mapping keeps what it may when it is moved, duplicated, split and inherited */
TEST_F(sealed, moved)
{
	char *p = map(PROT_READ, MAP_SHARED, self->fd), *to = mm_reserve(LEN, PAGE), *twin;
	const int err = self->no_writes ? EACCES : 0;

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(to, mremap(p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to));
	twin = mremap(to, 0, LEN, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, twin);
	EXPECT_EQ(err, mprotect(to + PAGE, PAGE, RW) ? errno : 0);
	EXPECT_EQ(err, protect(to, RW));
	EXPECT_EQ(err, protect(twin, RW));
	munmap(to, LEN);
	munmap(twin, LEN);
}

/* what the calls for files may do is what the seals leave: write, grow, shrink, punch a hole, further seals, chmod */
TEST_F(sealed, calls)
{
	const int seals = variant->seals, write_err = self->no_writes ? EPERM : 0, grow_err = seals & F_SEAL_GROW ? EPERM : 0;
	static char page[PAGE];
	int fd = filled_memfd();

	/* Of a file of its own, whose size changes. */
	ASSERT_EQ(0, fchmod(fd, 0600));
	ASSERT_EQ(0, seal(fd, seals));
	EXPECT_EQ(write_err, pwrite(fd, page, PAGE, 0) == PAGE ? 0 : errno);
	EXPECT_EQ(write_err, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE) ? errno : 0);
	EXPECT_EQ(0, fallocate(fd, 0, 0, LEN) ? errno : 0);
	EXPECT_EQ(grow_err, fallocate(fd, 0, 0, LEN + PAGE) ? errno : 0);
	EXPECT_EQ(grow_err, ftruncate(fd, LEN + 2 * PAGE) ? errno : 0);
	EXPECT_EQ(grow_err ?: write_err, pwrite(fd, page, PAGE, LEN + 2 * PAGE) == PAGE ? 0 : errno);
	EXPECT_EQ(seals & F_SEAL_SHRINK ? EPERM : 0, ftruncate(fd, PAGE) ? errno : 0);
	EXPECT_EQ(seals & F_SEAL_EXEC ? EPERM : 0, fchmod(fd, 0700) ? errno : 0);
	EXPECT_EQ(0, fchmod(fd, 0600));
	EXPECT_EQ(seals & F_SEAL_SEAL ? EPERM : 0, seal(fd, F_SEAL_SEAL));
	EXPECT_EQ(EPERM, seal(fd, F_SEAL_GROW));
	close(fd);
}

/* F_SEAL_WRITE with a shared mapping that may be written, now or ever, is EBUSY; with others it is not; without them it works */
TEST(while_mapped)
{
	int fd = filled_memfd(), ro = read_only(fd);
	char *p;

	ASSERT_LE(0, fd);
	p = map(RW, MAP_SHARED, fd);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(EBUSY, seal(fd, F_SEAL_WRITE));
	ASSERT_EQ(0, protect(p, PROT_READ));
	EXPECT_EQ(EBUSY, seal(fd, F_SEAL_WRITE));
	ASSERT_EQ(0, munmap(p + PAGE, PAGE));
	EXPECT_EQ(EBUSY, seal(fd, F_SEAL_WRITE));
	ASSERT_EQ(0, munmap(p, LEN));
	EXPECT_EQ(0, fcntl(fd, F_GET_SEALS));
	ASSERT_NE(MAP_FAILED, map(RW, MAP_PRIVATE, fd));
	ASSERT_NE(MAP_FAILED, map(PROT_READ, MAP_SHARED, ro));
	EXPECT_EQ(0, seal(fd, F_SEAL_WRITE));
	EXPECT_EQ(F_SEAL_WRITE, fcntl(fd, F_GET_SEALS));
	EXPECT_TRUE(is_whole(fd));
}

/* F_SEAL_FUTURE_WRITE leaves the mappings that there are writable, and no new ones; F_SEAL_WRITE has to wait for their end */
TEST(future)
{
	int fd = filled_memfd();
	char *p, *q;

	ASSERT_LE(0, fd);
	p = map(RW, MAP_SHARED, fd);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, seal(fd, F_SEAL_FUTURE_WRITE));
	p[0] ^= 1;
	q = map(PROT_READ, MAP_SHARED, fd);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_EQ(p[0], q[0]);
	p[0] ^= 1;
	EXPECT_EQ(0, protect(p, PROT_READ));
	EXPECT_EQ(0, protect(p, RW));
	EXPECT_EQ(EACCES, protect(q, RW));
	EXPECT_EQ(EBUSY, seal(fd, F_SEAL_WRITE));
	ASSERT_EQ(0, munmap(p, LEN));
	EXPECT_EQ(0, seal(fd, F_SEAL_WRITE));
	EXPECT_EQ(-1, mm_check(q, LEN, SEED));
}

/* without MFD_ALLOW_SEALING a memfd has the seal against seals, and mappings as without any; other files have no seals */
TEST(no_sealing)
{
	int fd = mm_memfd(LEN), file = mm_tmpfile("/mnt", LEN);
	char *p;

	EXPECT_EQ(F_SEAL_SEAL, fcntl(fd, F_GET_SEALS));
	EXPECT_EQ(EPERM, seal(fd, F_SEAL_WRITE));
	p = map(PROT_READ, MAP_SHARED, fd);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, protect(p, RW));
	EXPECT_EQ(-1, fcntl(file, F_GET_SEALS));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(EINVAL, seal(file, F_SEAL_WRITE));
	/* Who may not write may not seal. */
	EXPECT_EQ(EPERM, seal(read_only(fd), F_SEAL_WRITE));
	EXPECT_EQ(EINVAL, seal(filled_memfd(), 1 << 20));
}

TEST_HARNESS_MAIN
