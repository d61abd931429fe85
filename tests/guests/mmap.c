// mmap(2), munmap(2), mprotect(2), mremap(2), brk(2) and madvise(2) on anonymous memory.
#include "guest.h"

static bool readable(const void *p)
{
	int ends[2];
	bool ok;

	MUST(pipe(ends));
	ok = write(ends[1], p, 1) == 1; // the kernel answers EFAULT where we would fault
	close(ends[0]), close(ends[1]);
	return ok;
}

static bool writable(void *p)
{
	static int zero = -1;
	char keep;

	if (zero < 0)
		zero = MUST(open("/dev/zero", O_RDONLY));
	if (!readable(p))
		return false;
	keep = *(volatile char *)p;
	if (read(zero, p, 1) != 1)
		return false;
	*(volatile char *)p = keep;
	return true;
}

int main(void)
{
	const size_t page = 4096;
	char *p = MUST(mmap(NULL, 16 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)), *q, *hole, *top;
	int code;

	EXPECT((uintptr_t)p % page == 0);
	EXPECT(p[0] == 0 && p[16 * page - 1] == 0);
	memset(p, 'x', 16 * page);
	// A hole in the middle.
	TELL(munmap(p + 4 * page, 2 * page));
	EXPECT(readable(p + 4 * page - 1) && !readable(p + 4 * page) && !readable(p + 6 * page - 1) && readable(p + 6 * page));
	TELL(munmap(p + 4 * page, 2 * page));
	EXPECT(mmap(p + 4 * page, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == p + 4 * page);
	EXPECT(mmap(p + 4 * page, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED && errno == EEXIST);
	q = mmap(p + 4 * page, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT(q != MAP_FAILED && q != p + 4 * page);
	// MAP_FIXED replaces what was there.
	EXPECT(mmap(p + page, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p + page);
	EXPECT(p[page] == 0 && p[page - 1] == 'x' && p[2 * page] == 'x');
	EXPECT(!writable(p + page));
	// mprotect.
	TELL(mprotect(p + 2 * page, page, PROT_NONE));
	EXPECT(!readable(p + 2 * page));
	TELL(mprotect(p + 2 * page, page, PROT_READ));
	EXPECT(p[2 * page] == 'x' && !writable(p + 2 * page));
	TELL(mprotect(p + 2 * page, page, PROT_READ | PROT_WRITE));
	EXPECT(writable(p + 2 * page));
	TELL(mprotect(p + 3 * page, 4 * page, PROT_READ));
	EXPECT(!writable(p + 3 * page) && !writable(p + 4 * page));
	TELL(munmap(p, 16 * page));
	EXPECT(!readable(p) && !readable(p + 15 * page));
	TELL(munmap(p, 16 * page));
	// Code made at run time.
	p = MUST(mmap(NULL, page, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	for (code = 1; code <= 3; code++) {
		memcpy(p, "\xb8\x00\x00\x00\x00\xc3", 6); // mov $0, %eax; ret
		p[1] = code;
		printf("%d ", ((int (*)(void))p)());
	}
	puts("");
	TELL(mprotect(p, page, PROT_READ | PROT_EXEC));
	printf("%d\n", ((int (*)(void))p)());
	// mremap: growing in place or elsewhere, shrinking, to a given place.
	p = MUST(mmap(NULL, 8 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	memset(p, 'm', 8 * page);
	EXPECT(mremap(p, 8 * page, 4 * page, 0) == p);
	EXPECT(!readable(p + 4 * page));
	EXPECT(mremap(p, 4 * page, 6 * page, 0) == p && p[4 * page] == 0 && p[4 * page - 1] == 'm');
	hole = MUST(mmap(p + 6 * page, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	errno = 0;
	EXPECT(mremap(p, 6 * page, 12 * page, 0) == MAP_FAILED && errno == ENOMEM);
	q = MUST(mremap(p, 6 * page, 12 * page, MREMAP_MAYMOVE));
	EXPECT(q != p && q[0] == 'm' && q[4 * page - 1] == 'm' && q[12 * page - 1] == 0 && !readable(p));
	p = MUST(mmap(NULL, 2 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	EXPECT(mremap(q, 2 * page, 2 * page, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p && p[0] == 'm' && !readable(q) && readable(q + 2 * page));
	(void)hole;
	// brk.
	top = (char *)syscall(SYS_brk, 0);
	EXPECT(syscall(SYS_brk, top + 3 * page) == (long)top + 3 * (long)page);
	top[3 * page - 1] = 'b';
	EXPECT(syscall(SYS_brk, top + page) == (long)top + (long)page);
	EXPECT(!readable(top + 2 * page));
	EXPECT(syscall(SYS_brk, top + 3 * page) == (long)top + 3 * (long)page);
	EXPECT(top[3 * page - 1] == 0);
	EXPECT(syscall(SYS_brk, 1) == (long)top + 3 * (long)page);
	EXPECT(syscall(SYS_brk, -4096l) == (long)top + 3 * (long)page);
	EXPECT(syscall(SYS_brk, top) == (long)top);
	// MADV_DONTNEED: private memory reads as zeros again.
	p = MUST(mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	memset(p, 'd', 2 * page);
	TELL(madvise(p, page, MADV_DONTNEED));
	EXPECT(p[0] == 0 && p[page - 1] == 0 && p[page] == 'd');
	TELL(madvise(p, page, MADV_WILLNEED));
	// Reserved memory costs nothing until it is touched.
	p = MUST(mmap(NULL, 64l << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	p[0] = 1, p[32l << 30] = 2, p[(64l << 30) - 1] = 3;
	EXPECT(p[0] + p[32l << 30] + p[(64l << 30) - 1] == 6 && p[16l << 30] == 0);
	TELL(munmap(p, 64l << 30));
	EXPECT((uintptr_t)mmap(NULL, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0) < 1ul << 31);
	return guest_done();
}
