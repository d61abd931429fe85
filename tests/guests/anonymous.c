// Large anonymous memory, as it is used in every way.
// It is filled in order, touched here and there, forked over, read first, partly given back, and moved.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096UL
#define PAGES 4096UL

static uint64_t sum(const uint8_t *memory)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < PAGES; i++)
		sum = sum * 31 + memory[i * PAGE] + memory[i * PAGE + 4095] * 3;
	return sum;
}

int main(void)
{
	uint8_t *memory = mmap(0, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t at = 1;

	// Here and there, some of it read before it is written.
	for (int i = 0; i < 3000; i++) {
		at = at * 1103515245 + 12345;
		uint8_t *page = memory + (at >> 8) % PAGES * PAGE;

		if (i % 3 == 0)
			printf("%d", *page == 0);
		*page += i;
		page[4095] ^= i;
	}
	printf("\n%016llx\n", (unsigned long long)sum(memory));

	// A child's writes are its own, and so are the parent's.
	fflush(stdout);
	if (fork() == 0) {
		for (size_t i = 0; i < PAGES; i += 7)
			memory[i * PAGE] = i;
		printf("child %016llx\n", (unsigned long long)sum(memory));
		return 0;
	}
	wait(NULL);
	for (size_t i = 0; i < PAGES; i += 5)
		memory[i * PAGE + 4095] = i;
	printf("parent %016llx\n", (unsigned long long)sum(memory));

	// What is given back is zero again, what is protected stays.
	madvise(memory + 100 * PAGE, 1000 * PAGE, MADV_DONTNEED);
	mprotect(memory + 2000 * PAGE, 600 * PAGE, PROT_READ);
	printf("%016llx\n", (unsigned long long)sum(memory));
	memset(memory + 100 * PAGE, 5, 1000 * PAGE);
	mprotect(memory + 2000 * PAGE, 600 * PAGE, PROT_READ | PROT_WRITE);
	memset(memory + 2000 * PAGE, 6, 600 * PAGE);
	memory = mremap(memory, PAGES * PAGE, 2 * PAGES * PAGE, MREMAP_MAYMOVE);
	printf("%016llx\n", (unsigned long long)sum(memory));
	memset(memory + PAGES * PAGE, 9, PAGES * PAGE);
	printf("%016llx %016llx\n", (unsigned long long)sum(memory), (unsigned long long)sum(memory + PAGES * PAGE));
	return 0;
}
