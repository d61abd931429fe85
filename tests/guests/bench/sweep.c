// Reads and writes of one 64-bit word after another through 16 MiB, with a stride that changes, argv[1] times.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	size_t rounds = argc > 1 ? atol(argv[1]) : 10, n = 1 << 21;
	uint64_t *words = calloc(n, sizeof *words), sum = 0;

	for (size_t round = 0; round < rounds; round++) {
		size_t stride = 1 + round % 4 * 2;

		for (size_t first = 0; first < stride; first++)
			for (size_t i = first; i < n; i += stride) {
				sum += words[i];
				words[i] = sum ^ i;
			}
	}
	printf("%016llx\n", (unsigned long long)sum);
	return 0;
}
