// A walk through a random cycle of argv[2] KiB, argv[1] thousand steps: one load that depends on another.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	size_t steps = (argc > 1 ? atol(argv[1]) : 1000) * 1000, n = (argc > 2 ? atol(argv[2]) : 32768) * 1024 / sizeof(void *);
	void **cycle = malloc(n * sizeof *cycle);
	uint64_t x = 88172645463325252;

	// Sattolo's shuffle leaves one cycle.
	for (size_t i = 0; i < n; i++)
		cycle[i] = &cycle[i];
	for (size_t i = n - 1; i > 0; i--) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		size_t j = x % i;
		void *other = cycle[i];

		cycle[i] = cycle[j];
		cycle[j] = other;
	}
	void **at = cycle;

	for (size_t i = 0; i < steps; i++)
		at = *at;
	printf("%zu\n", (size_t)(at - cycle));
	return 0;
}
