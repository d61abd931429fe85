// Integer arithmetic at its edges: 128-bit products and quotients, signed division, shifts, rotates, carries.
#include "guest.h"

typedef __int128 i128;
typedef unsigned __int128 u128;

static void print128(u128 v)
{
	printf("%016llx%016llx ", (unsigned long long)(v >> 64), (unsigned long long)v);
}

int main(void)
{
	volatile u128 a = ((u128)0x123456789abcdef0 << 64) | 0xfedcba9876543210, b = 0xdeadbeefcafebabe;
	volatile i128 c = -((i128)1 << 100) + 12345, d = 987654321;
	volatile int64_t n[] = { 7, -7, INT64_MIN, INT64_MAX, 1, -1, 1000000007 };
	volatile int32_t m[] = { 7, -7, INT32_MIN, INT32_MAX, 3, -3 };
	volatile int8_t s = -128;
	volatile uint8_t u = 200;

	print128(a * b), print128(a / b), print128(a % b), print128(a >> 37), print128(a << 61), puts("");
	print128(c * d), print128(c / d), print128(c % d), print128(c >> 3), print128(-c), puts("");
	print128((u128)UINT64_MAX * UINT64_MAX), print128(a + b), print128(b - a), puts("");
	for (int i = 0; i < 7; i++)
		for (int j = 0; j < 7; j++) {
			if (n[i] == INT64_MIN && n[j] == -1)
				continue;
			printf("%lld %lld %llu %llx%s", (long long)(n[i] / n[j]), (long long)(n[i] % n[j]),
			       (unsigned long long)((uint64_t)n[i] / (uint64_t)n[j]), (unsigned long long)((uint64_t)n[i] * n[j]),
			       j == 6 ? "\n" : ", ");
		}
	for (int i = 0; i < 6; i++)
		for (int j = 0; j < 6; j++)
			if (!(m[i] == INT32_MIN && m[j] == -1))
				printf("%d %d %u %d%s", m[i] / m[j], m[i] % m[j], (uint32_t)m[i] / (uint32_t)m[j],
				       (int)((int64_t)m[i] * m[j] >> 16), j == 5 ? "\n" : ", ");
	printf("%d %d %d %d %d\n", s / 3, s % 3, u / 7, u % 7, (int8_t)(u + u));
	for (int shift = 0; shift < 64; shift += 9)
		printf("%llx %llx %llx %x %llx\n", (unsigned long long)(b << shift), (unsigned long long)((uint64_t)b >> shift),
		       (unsigned long long)((int64_t)b >> shift), (uint32_t)b >> (shift & 31),
		       (unsigned long long)((uint64_t)b << shift | (uint64_t)b >> ((64 - shift) & 63)));
	for (uint64_t v = 1, i = 0; i < 12; i++, v = v * 0x9e3779b97f4a7c15 >> (i % 5) | 1ull << (i * 5))
		printf("%d %d %d %llx\n", __builtin_clzll(v), __builtin_ctzll(v), __builtin_popcountll(v),
		       (unsigned long long)__builtin_bswap64(v));
	{
		long long r[3];
		unsigned long long ur;
		int w[2];

		printf("%d %d %d %d", __builtin_saddll_overflow(n[3], n[4], &r[0]), __builtin_ssubll_overflow(n[2], n[4], &r[1]),
		       __builtin_smulll_overflow(n[3], n[0], &r[2]), __builtin_uaddll_overflow(~0ull, b, &ur));
		printf(" %d %d\n", __builtin_sadd_overflow(m[3], m[4], &w[0]), __builtin_smul_overflow(m[2], m[5], &w[1]));
		printf("%lld %lld %lld %llu %d %d\n", r[0], r[1], r[2], ur, w[0], w[1]);
	}
	return 0;
}
