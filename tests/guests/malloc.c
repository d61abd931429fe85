// malloc(3) over brk and mmap: 8 MiB blocks, many small ones, growing ones.
#include "guest.h"
#include <malloc.h>

static uint32_t sum(const unsigned char *p, size_t n)
{
	uint32_t s = 0;

	while (n--)
		s = s * 31 + *p++;
	return s;
}

int main(void)
{
	enum { BIG = 8 << 20, MANY = 3000 };
	unsigned char *big = malloc(BIG), *zeroed, *aligned = NULL;
	static unsigned char *many[MANY];
	uint32_t seed = 1, checks = 0;
	size_t total = 0;

	EXPECT(big != NULL);
	for (size_t i = 0; i < BIG; i += 64)
		big[i] = i >> 12;
	memset(big + BIG / 2, 0xa5, BIG / 2);
	printf("%08x\n", sum(big, BIG / 8));
	EXPECT(big[BIG - 1] == 0xa5);
	EXPECT((big = realloc(big, 2 * BIG)) != NULL);
	EXPECT(big[BIG - 1] == 0xa5 && big[BIG / 2 - 64] == (unsigned char)((BIG / 2 - 64) >> 12));
	big[2 * BIG - 1] = 1;
	EXPECT((big = realloc(big, 100)) != NULL);
	free(big);
	EXPECT((zeroed = calloc(BIG / 8, 8)) != NULL);
	for (size_t i = 0; i < BIG; i += 4096)
		total += zeroed[i];
	EXPECT(total == 0);
	free(zeroed);
	for (int i = 0; i < MANY; i++) {
		size_t n = (seed = seed * 1103515245 + 12345) >> 20;

		many[i] = malloc(n + 1);
		memset(many[i], i, n + 1);
		many[i][n] = 0xee;
		if (i % 3 == 2) {
			checks += many[i / 2] ? many[i / 2][0] : 7;
			free(many[i / 2]);
			many[i / 2] = NULL;
		}
	}
	for (int i = 0; i < MANY; i++)
		free(many[i]);
	printf("%u\n", checks);
	for (size_t align = 16; align <= 1 << 16; align *= 4) {
		EXPECT(posix_memalign((void **)&aligned, align, 1000) == 0 && (uintptr_t)aligned % align == 0);
		free(aligned);
	}
	errno = 0;
	EXPECT(malloc(PTRDIFF_MAX) == NULL && errno == ENOMEM);
	errno = 0;
	EXPECT(calloc(SIZE_MAX / 2, 4) == NULL && errno == ENOMEM);
	return guest_done();
}
