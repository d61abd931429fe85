// AES-128 in counter mode, SHA-256 and GHASH's multiplication, in plain C and by the instructions: both must say the same.
// A processor without the instructions computes the plain one twice.
#include <cpuid.h>
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint8_t data[20000];

static void print(const char *what, const uint8_t *bytes, size_t n)
{
	printf("%-14s", what);
	for (size_t i = 0; i < n; i++)
		printf("%02x", bytes[i]);
	puts("");
}

static int has(unsigned leaf, int reg, int bit)
{
	unsigned r[4] = { 0 };

	__get_cpuid_count(leaf, 0, &r[0], &r[1], &r[2], &r[3]);
	return r[reg] >> bit & 1;
}

// AES: the field of 256 elements, and what follows from it.

static uint8_t sbox[256];

static uint8_t times(uint8_t a, uint8_t b)
{
	uint8_t product = 0;

	for (; b; b >>= 1) {
		if (b & 1)
			product ^= a;
		a = a << 1 ^ (a & 0x80 ? 0x1b : 0);
	}
	return product;
}

static void make_sbox(void)
{
	for (int x = 0; x < 256; x++) {
		uint8_t inverse = 0, s = 0x63;

		for (int y = 1; y < 256 && !inverse; y++)
			if (times(x, y) == 1)
				inverse = y;
		for (int turn = 0; turn < 5; turn++)
			s ^= inverse << turn | inverse >> (8 - turn);
		sbox[x] = s;
	}
}

static void expand_plain(const uint8_t key[16], uint8_t keys[11][16])
{
	uint8_t rcon = 1;

	memcpy(keys[0], key, 16);
	for (int round = 1; round < 11; round++, rcon = times(rcon, 2)) {
		uint8_t *k = keys[round], *before = keys[round - 1];

		for (int i = 0; i < 4; i++)
			k[i] = before[i] ^ sbox[before[12 + (i + 1) % 4]] ^ (i ? 0 : rcon);
		for (int i = 4; i < 16; i++)
			k[i] = before[i] ^ k[i - 4];
	}
}

static void encrypt_plain(uint8_t keys[11][16], uint8_t block[16])
{
	for (int i = 0; i < 16; i++)
		block[i] ^= keys[0][i];
	for (int round = 1; round < 11; round++) {
		uint8_t shifted[16];

		for (int i = 0; i < 16; i++)
			shifted[i] = sbox[block[(i + i % 4 * 4) % 16]];
		for (int i = 0; i < 16; i++) {
			int column = i & ~3, row = i & 3;
			uint8_t mixed = times(shifted[i], 2) ^ times(shifted[column + (row + 1) % 4], 3) ^ shifted[column + (row + 2) % 4] ^
					shifted[column + (row + 3) % 4];

			block[i] = (round < 10 ? mixed : shifted[i]) ^ keys[round][i];
		}
	}
}

#define EXPAND(round, rcon) \
	do { \
		__m128i k = keys[round - 1], word = _mm_shuffle_epi32(_mm_aeskeygenassist_si128(k, rcon), 0xff); \
		k = _mm_xor_si128(k, _mm_slli_si128(k, 4)); \
		k = _mm_xor_si128(k, _mm_slli_si128(k, 8)); \
		keys[round] = _mm_xor_si128(k, word); \
	} while (0)

__attribute__((target("aes,sse4.1"))) static void expand_ni(const uint8_t key[16], __m128i keys[11])
{
	keys[0] = _mm_loadu_si128((const __m128i *)key);
	EXPAND(1, 1);
	EXPAND(2, 2);
	EXPAND(3, 4);
	EXPAND(4, 8);
	EXPAND(5, 16);
	EXPAND(6, 32);
	EXPAND(7, 64);
	EXPAND(8, 128);
	EXPAND(9, 0x1b);
	EXPAND(10, 0x36);
}

__attribute__((target("aes"))) static void encrypt_ni(const __m128i keys[11], uint8_t block[16])
{
	__m128i x = _mm_xor_si128(_mm_loadu_si128((__m128i *)block), keys[0]);

	for (int round = 1; round < 10; round++)
		x = _mm_aesenc_si128(x, keys[round]);
	_mm_storeu_si128((__m128i *)block, _mm_aesenclast_si128(x, keys[10]));
}

__attribute__((target("aes"))) static void decrypt_ni(const __m128i keys[11], uint8_t block[16])
{
	__m128i x = _mm_xor_si128(_mm_loadu_si128((__m128i *)block), keys[10]);

	for (int round = 9; round > 0; round--)
		x = _mm_aesdec_si128(x, _mm_aesimc_si128(keys[round]));
	_mm_storeu_si128((__m128i *)block, _mm_aesdeclast_si128(x, keys[0]));
}

static void aes(int ni, uint8_t tag[16])
{
	uint8_t key[16], plain[11][16];
	__m128i keys[11];

	for (int i = 0; i < 16; i++)
		key[i] = i * 17;
	expand_plain(key, plain);
	if (ni) {
		expand_ni(key, keys);
		for (int i = 0; i < 11; i++)
			if (memcmp(&keys[i], plain[i], 16))
				printf("WRONG: the key of round %d\n", i);
	}
	memset(tag, 0, 16);
	for (size_t at = 0; at + 16 <= sizeof data; at += 16) {
		uint8_t counter[16] = { at, at >> 8, at >> 16 }, before[16];

		memcpy(before, counter, 16);
		if (ni)
			encrypt_ni(keys, counter);
		else
			encrypt_plain(plain, counter);
		for (int i = 0; i < 16; i++)
			tag[i] = (tag[i] << 1 | tag[i] >> 7) ^ counter[i] ^ data[at + i];
		if (ni) {
			decrypt_ni(keys, counter);
			if (memcmp(before, counter, 16))
				printf("WRONG: decryption at %zu\n", at);
		}
	}
}

// SHA-256, with constants that are the fractions of cube roots.

static uint32_t constants[64];

static void make_constants(void)
{
	for (int n = 0, prime = 2; n < 64; prime++) {
		int divisor = 2;
		unsigned __int128 root = 0;

		while (prime % divisor)
			divisor++;
		if (divisor < prime)
			continue;
		// The cube root of prime · 2^96, whose low 32 bits are the fraction.
		for (int bit = 35; bit >= 0; bit--) {
			unsigned __int128 next = root | (unsigned __int128)1 << bit;

			if (next * next * next <= (unsigned __int128)prime << 96)
				root = next;
		}
		constants[n++] = root;
	}
}

static uint32_t rotate(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

static void block_plain(uint32_t state[8], const uint8_t *p)
{
	uint32_t w[64], s[8];

	for (int i = 0; i < 16; i++)
		w[i] = __builtin_bswap32(((const uint32_t *)p)[i]);
	for (int i = 16; i < 64; i++)
		w[i] = w[i - 16] + (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3) + w[i - 7] +
		       (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10);
	memcpy(s, state, sizeof s);
	for (int i = 0; i < 64; i++) {
		uint32_t t = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + constants[i] + w[i];
		uint32_t u = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));

		memmove(s + 1, s, 7 * sizeof *s);
		s[4] += t;
		s[0] = t + u;
	}
	for (int i = 0; i < 8; i++)
		state[i] += s[i];
}

__attribute__((target("sha,ssse3,sse4.1"))) static void block_ni(uint32_t state[8], const uint8_t *p)
{
	__m128i w[16], abef = _mm_setr_epi32(state[5], state[4], state[1], state[0]);
	__m128i cdgh = _mm_setr_epi32(state[7], state[6], state[3], state[2]), first = abef, second = cdgh;
	const __m128i swap = _mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
	uint32_t halves[8];

	for (int i = 0; i < 4; i++)
		w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)p + i), swap);
	for (int i = 4; i < 16; i++) {
		__m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w[i - 4], w[i - 3]), _mm_alignr_epi8(w[i - 1], w[i - 2], 4));

		w[i] = _mm_sha256msg2_epu32(sum, w[i - 1]);
	}
	for (int i = 0; i < 16; i++) {
		__m128i k = _mm_add_epi32(w[i], _mm_loadu_si128((const __m128i *)constants + i));

		cdgh = _mm_sha256rnds2_epu32(cdgh, abef, k);
		abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(k, 0x0e));
	}
	_mm_storeu_si128((__m128i *)halves, _mm_add_epi32(abef, first));
	_mm_storeu_si128((__m128i *)halves + 1, _mm_add_epi32(cdgh, second));
	for (int i = 0; i < 4; i++)
		state[(i < 2 ? 5 : 1) - i % 2] = halves[i], state[(i < 2 ? 7 : 3) - i % 2] = halves[4 + i];
}

static void sha256(int ni, uint8_t tag[32])
{
	uint32_t state[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
	uint8_t last[64] = { 0 };
	size_t at = 0, rest;
	uint64_t bits = sizeof data * 8;

	for (; at + 64 <= sizeof data; at += 64)
		(ni ? block_ni : block_plain)(state, data + at);
	rest = sizeof data - at;
	memcpy(last, data + at, rest);
	last[rest] = 0x80;
	for (int i = 0; i < 8; i++)
		last[56 + i] = bits >> (56 - 8 * i);
	(ni ? block_ni : block_plain)(state, last);
	for (int i = 0; i < 8; i++)
		((uint32_t *)tag)[i] = __builtin_bswap32(state[i]);
}

// GHASH's field without its bit order: polynomials modulo x^128 + x^7 + x^2 + x + 1.

typedef unsigned __int128 u128;

static u128 multiply_plain(u128 a, u128 b)
{
	u128 product = 0;

	for (; b; b >>= 1) {
		if (b & 1)
			product ^= a;
		a = a << 1 ^ (a >> 127 ? 0x87 : 0);
	}
	return product;
}

__attribute__((target("pclmul"))) static u128 carryless(uint64_t a, uint64_t b)
{
	u128 product;
	__m128i x = _mm_clmulepi64_si128(_mm_set_epi64x(a, b), _mm_set_epi64x(0, b), 0x01);

	_mm_storeu_si128((__m128i *)&product, x);
	return product;
}

static u128 multiply_ni(u128 a, u128 b)
{
	uint64_t a1 = a >> 64, a0 = a, b1 = b >> 64, b0 = b;
	u128 low = carryless(a0, b0), high = carryless(a1, b1), middle = carryless(a0, b1) ^ carryless(a1, b0);

	low ^= middle << 64;
	high ^= middle >> 64;
	// x^128 is 0x87, and what that carries beyond once more.
	u128 upper = carryless(high >> 64, 0x87), lower = carryless(high, 0x87);

	return low ^ lower ^ upper << 64 ^ carryless(upper >> 64, 0x87);
}

static void ghash(int ni, uint8_t tag[16])
{
	u128 sum = 0, key = ((u128)0x0123456789abcdef << 64) | 0xfedcba9876543210;

	for (size_t at = 0; at + 16 <= sizeof data; at += 16) {
		u128 block;

		memcpy(&block, data + at, 16);
		sum = (ni ? multiply_ni : multiply_plain)(sum ^ block, key);
	}
	memcpy(tag, &sum, 16);
}

int main(void)
{
	uint32_t seed = 1;
	uint8_t tag[32];

	for (size_t i = 0; i < sizeof data; i++) {
		seed = seed * 1664525 + 1013904223;
		data[i] = seed >> 24;
	}
	make_sbox();
	make_constants();
	aes(0, tag);
	print("aes", tag, 16);
	aes(has(1, 2, 25), tag);
	print("aes again", tag, 16);
	sha256(0, tag);
	print("sha256", tag, 32);
	sha256(has(7, 1, 29), tag);
	print("sha256 again", tag, 32);
	ghash(0, tag);
	print("ghash", tag, 16);
	ghash(has(1, 2, 1), tag);
	print("ghash again", tag, 16);
	return 0;
}
