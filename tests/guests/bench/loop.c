// An integer loop: additions, shifts, compares and a branch, all in registers. argv[1] is the number of rounds.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 0) : 10000000, x = 88172645463325252, sum = 0;

	for (uint64_t i = 0; i < rounds; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		if (x & 1)
			sum += x;
		else
			sum -= i;
	}
	printf("%016llx\n", (unsigned long long)sum);
	return 0;
}
