// memcpy of 64 MiB, argv[1] times, between buffers that are not aligned alike.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	size_t rounds = argc > 1 ? atol(argv[1]) : 10, size = 64 << 20;
	uint8_t *from = malloc(size + 64), *to = malloc(size + 64);
	uint32_t sum = 0;

	memset(from, 0x5a, size + 64);
	memset(to, 0, size + 64);
	for (size_t i = 0; i < rounds; i++) {
		from[i * 4099 % size] = i;
		memcpy(to + i % 3 * 8, from, size);
		sum = sum * 31 + to[i * 4099 % size + i % 3 * 8];
	}
	printf("%08x\n", sum);
	return 0;
}
