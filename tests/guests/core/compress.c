// zlib and zstd: what is compressed at several levels comes out again, and is compressed to the same bytes as natively.
// Needs libz.a and libzstd.a.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum { SIZE = 200000 };

static uint8_t data[SIZE], packed[2 * SIZE], unpacked[SIZE];

// Text of words that come again, numbers, and noise.
static void fill(void)
{
	static const char *const words[] = { "the ", "system ", "call ", "table ", "of ", "a ", "kernel ", "entry ", "page ", "fault\n" };
	uint32_t seed = 99;
	size_t n = 0;

	while (n < SIZE) {
		char piece[32];
		size_t length;

		seed = seed * 1664525 + 1013904223;
		if (seed >> 28 == 0)
			length = snprintf(piece, sizeof piece, "%u\t%x\n", seed, n);
		else if (seed >> 28 == 1)
			memcpy(piece, (uint32_t[]){ seed * 7, seed * 13, seed * 29 }, length = 12);
		else
			length = strlen(strcpy(piece, words[(seed >> 20) % 10]));
		if (length > SIZE - n)
			length = SIZE - n;
		memcpy(data + n, piece, length);
		n += length;
	}
}

static void report(const char *what, int level, size_t length, size_t back)
{
	int good = back == SIZE && memcmp(data, unpacked, SIZE) == 0;

	printf("%s -%d: %zu bytes, crc %08lx, adler %08lx, %s\n", what, level, length, crc32(0, packed, length), adler32(1, packed, length),
	       good ? "comes out again" : "WRONG");
	memset(unpacked, 0, SIZE);
}

int main(void)
{
	static const int gzip_levels[] = { 1, 6, 9 }, zstd_levels[] = { -3, 1, 3, 9, 19 };

	fill();
	for (int i = 0; i < 3; i++) {
		uLongf length = sizeof packed, back = SIZE;

		if (compress2(packed, &length, data, SIZE, gzip_levels[i]) != Z_OK || uncompress(unpacked, &back, packed, length) != Z_OK)
			return 1;
		report("zlib", gzip_levels[i], length, back);
	}
	for (int i = 0; i < 5; i++) {
		size_t length = ZSTD_compress(packed, sizeof packed, data, SIZE, zstd_levels[i]);
		size_t back = ZSTD_decompress(unpacked, SIZE, packed, length);

		if (ZSTD_isError(length) || ZSTD_isError(back))
			return 1;
		report("zstd", zstd_levels[i], length, back);
	}
	return 0;
}
