// The processor's own instructions, with their results and flags: what compilers seldom make but programs may hold.
#include "guest.h"
#include <emmintrin.h>

#define FLAGS 0x8d5 // OF SF ZF AF PF CF
#define NO_AF 0x8c5

static uint64_t flags;

#define OP2(name, type, mask, x, y)                                                                                                    \
	do {                                                                                                                            \
		type a_ = (type)(x), b_ = (type)(y);                                                                                    \
		asm volatile(name " %2, %0\n pushf\n pop %1" : "+r"(a_), "=m"(flags) : "r"(b_) : "cc");                                 \
		printf(name " %llx %03llx\n", (unsigned long long)a_, (unsigned long long)flags & (mask));                              \
	} while (0)

int main(void)
{
	static const uint64_t values[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff,
					   0x8000000000000000, 0xffffffffffffffff, 0x123456789abcdef0 };
	const int n = sizeof values / sizeof *values;
	uint32_t hash = 2166136261u, eax, ebx, ecx, edx;

	for (int i = 0; i < n; i += 3)
		for (int j = 1; j < n; j += 4) {
			OP2("add", uint64_t, FLAGS, values[i], values[j]);
			OP2("sub", uint32_t, FLAGS, values[i], values[j]);
			OP2("cmp", uint16_t, FLAGS, values[i], values[j]);
			OP2("add", uint8_t, FLAGS, values[i], values[j]);
			OP2("and", uint64_t, NO_AF, values[i], values[j]);
			OP2("xor", uint16_t, NO_AF, values[i], values[j]);
		}
	// A hash over many operands for the operations with a carry in, the shifts and the rotates.
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++)
			for (int carry = 0; carry < 2; carry++) {
				uint64_t a = values[i], f;
				uint32_t b = values[i];
				uint16_t w = values[i];
				uint8_t c = values[j] % 67, s = values[i];

#define MIX(v, mask)                                                                                                                    \
	hash = (hash ^ (uint32_t)(v) ^ (uint32_t)((uint64_t)(v) >> 32) ^ (uint32_t)(f & (mask))) * 16777619u
#define CARRY "bt $0, %k3\n"
				asm(CARRY "adc %2, %0\n pushf\n pop %1" : "+r"(a), "=r"(f) : "r"(values[j]), "r"(carry)); MIX(a, FLAGS);
				asm(CARRY "sbb %2, %0\n pushf\n pop %1" : "+r"(b), "=r"(f) : "r"((uint32_t)values[j]), "r"(carry)); MIX(b, FLAGS);
				asm(CARRY "adc %2, %0\n pushf\n pop %1" : "+q"(s), "=r"(f) : "q"((uint8_t)values[j]), "r"(carry)); MIX(s, FLAGS);
				asm(CARRY "rcl %2, %0\n pushf\n pop %1" : "+r"(a), "=r"(f) : "c"(c), "r"(carry)); MIX(a, 1);
				asm(CARRY "rcr %2, %0\n pushf\n pop %1" : "+r"(b), "=r"(f) : "c"(c), "r"(carry)); MIX(b, 1);
				asm(CARRY "rcl %2, %0\n pushf\n pop %1" : "+r"(w), "=r"(f) : "c"(c), "r"(carry)); MIX(w, 1);
				asm("rol %2, %0\n pushf\n pop %1" : "+r"(w), "=r"(f) : "c"(c)); MIX(w, c & 31 ? 1 : 0);
				asm("ror %2, %0\n pushf\n pop %1" : "+r"(a), "=r"(f) : "c"(c)); MIX(a, c & 63 ? 1 : 0);
				asm("shl %2, %0\n pushf\n pop %1" : "+r"(a), "=r"(f) : "c"(c)); MIX(a, c & 63 ? 0xc5 : 0);
				asm("sar %2, %0\n pushf\n pop %1" : "+r"(b), "=r"(f) : "c"(c)); MIX(b, c & 31 ? 0xc5 : 0);
				asm("shr %2, %0\n pushf\n pop %1" : "+q"(s), "=r"(f) : "c"((uint8_t)(c & 7))); MIX(s, c & 7 ? 0xc4 : 0);
				a = values[i];
				asm("shld %2, %3, %0\n pushf\n pop %1" : "+r"(a), "=r"(f) : "c"(c), "r"(values[j])); MIX(a, c & 63 ? 0xc5 : 0);
				asm("shrd %2, %3, %0\n pushf\n pop %1" : "+r"(a), "=r"(f) : "c"(c), "r"(values[j])); MIX(a, c & 63 ? 0xc5 : 0);
				asm("neg %0\n pushf\n pop %1" : "+r"(a), "=r"(f)); MIX(a, FLAGS);
				asm(CARRY "inc %0\n pushf\n pop %1" : "+r"(b), "=r"(f) : "r"(0), "r"(carry)); MIX(b, FLAGS);
				asm(CARRY "dec %0\n pushf\n pop %1" : "+r"(w), "=r"(f) : "r"(0), "r"(carry)); MIX(w, FLAGS);
				a = values[i];
				asm("imul %2, %0\n pushf\n pop %1" : "+r"(a), "=r"(f) : "r"(values[j])); MIX(a, 0x801);
				asm("imul $-77, %2, %0\n pushf\n pop %1" : "=r"(b), "=r"(f) : "r"((uint32_t)values[j])); MIX(b, 0x801);
				uint64_t other = values[j];
				asm("xadd %2, %0\n pushf\n pop %1" : "+m"(a), "=r"(f), "+r"(other)); MIX(a ^ other << 1, FLAGS);
				a = values[i];
				asm("bt %2, %0\n pushf\n pop %1" : "+r"(a), "=r"(f) : "r"(values[j])); MIX(a, 1);
				asm("btc %2, %0\n pushf\n pop %1" : "+r"(a), "=r"(f) : "r"(values[j])); MIX(a, 1);
				f = 0;
				asm("bswap %0" : "+r"(a)); MIX(a, 0);
				asm("movsx %b1, %0" : "=r"(a) : "q"(values[j])); MIX(a, 0);
				asm("movslq %k1, %0" : "=r"(a) : "r"(values[j])); MIX(a, 0);
				if (values[i]) {
					asm("bsf %2, %0\n pushf\n pop %1" : "=r"(a), "=r"(f) : "r"(values[i])); MIX(a, 0x40);
					asm("bsr %2, %0\n pushf\n pop %1" : "=r"(a), "=r"(f) : "r"(values[i])); MIX(a, 0x40);
				}
			}
	printf("%08x\n", hash);
	{
		uint64_t low = 0x123456789abcdef0, high, quotient, remainder;
		char from[64] = "the source of the strings", to[64] = "";
		const char *source = from;
		char *target = to;
		uint64_t count = 10, previous = 5, memory = 5;
		unsigned char equal;

		asm("mul %2" : "+a"(low), "=d"(high) : "r"(0xfedcba9876543210));
		printf("%llx %llx\n", (unsigned long long)low, (unsigned long long)high);
		asm("div %4" : "=a"(quotient), "=d"(remainder) : "0"(low), "1"(5ull), "r"(0xfedcba9876543210));
		printf("%llx %llx\n", (unsigned long long)quotient, (unsigned long long)remainder);
		asm volatile("rep movsb" : "+S"(source), "+D"(target), "+c"(count) : : "memory");
		printf("%s %ld %ld %ld\n", to, (long)(source - from), (long)(target - to), (long)count);
		target = to + 20, source = from + 20, count = 6;
		asm volatile("std\n rep movsb\n cld" : "+S"(source), "+D"(target), "+c"(count) : : "memory");
		printf("%.6s %ld\n", to + 15, (long)(source - from));
		target = to, count = 4;
		asm volatile("rep stosq" : "+D"(target), "+c"(count) : "a"(0x4141414141414141) : "memory");
		printf("%.33s\n", to);
		target = from, count = 64;
		asm volatile("repne scasb" : "+D"(target), "+c"(count) : "a"('c') : "memory", "cc");
		printf("%ld %ld\n", (long)(target - from), (long)count);
		memcpy(to, from, 64);
		to[17] = '!', target = to, source = from, count = 64;
		asm volatile("repe cmpsb\n seta %3" : "+D"(target), "+S"(source), "+c"(count), "=q"(equal) : : "memory", "cc");
		printf("%ld %d\n", (long)count, equal);
		source = from;
		asm volatile("lodsl" : "+S"(source), "=a"(eax) : : "memory");
		printf("%x\n", eax);
		asm volatile("lock cmpxchg %3, %1\n sete %2" : "+a"(previous), "+m"(memory), "=q"(equal) : "r"(9ull) : "cc");
		printf("%llu %d\n", (unsigned long long)memory, equal);
		asm volatile("lock cmpxchg %3, %1\n sete %2" : "+a"(previous), "+m"(memory), "=q"(equal) : "r"(11ull) : "cc");
		printf("%llu %d %llu\n", (unsigned long long)memory, equal, (unsigned long long)previous);
		asm volatile("xchg %0, %1" : "+r"(previous), "+m"(memory));
		asm volatile("lock addq $5, %0\n lock incq %0\n lock btsq $10, %0" : "+m"(memory));
		printf("%llu\n", (unsigned long long)memory);
	}
	{
		__m128i a = _mm_set_epi32(1, -2, 300000, INT_MIN), b = _mm_set_epi16(1, 2, -3, 4, 32767, -32768, 7, 8), out[12];
		__m128d x = _mm_set_pd(1.5, -2.25), y = _mm_set_pd(1e300, 3);
		double d[2];

		out[0] = _mm_add_epi16(a, b), out[1] = _mm_adds_epi16(a, b), out[2] = _mm_madd_epi16(a, b), out[3] = _mm_mul_epu32(a, b);
		out[4] = _mm_packs_epi32(a, b), out[5] = _mm_shuffle_epi32(a, 0x1b), out[6] = _mm_unpacklo_epi8(a, b);
		out[7] = _mm_cmpgt_epi16(a, b), out[8] = _mm_srai_epi16(b, 3), out[9] = _mm_sad_epu8(a, b), out[10] = _mm_avg_epu8(a, b);
		out[11] = _mm_slli_si128(a, 5);
		for (int i = 0; i < 12; i++)
			printf("%016llx%016llx\n", (unsigned long long)_mm_cvtsi128_si64(_mm_unpackhi_epi64(out[i], out[i])),
			       (unsigned long long)_mm_cvtsi128_si64(out[i]));
		printf("%d %d\n", _mm_movemask_epi8(b), _mm_movemask_pd(x));
		_mm_storeu_pd(d, _mm_div_pd(_mm_mul_pd(x, y), _mm_sqrt_pd(y)));
		printf("%.17g %.17g %d %lld\n", d[0], d[1], _mm_cvtsd_si32(x), (long long)_mm_cvttsd_si64(y));
		printf("%d %d\n", _mm_comilt_sd(x, y), _mm_cvttsd_si32(_mm_set_sd(1e20)));
	}
	// cpuid: AMD64's level, and nothing else promised.
	asm volatile("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(1), "c"(0));
	EXPECT((edx & (1 << 0 | 1 << 4 | 1 << 8 | 1 << 15 | 1 << 23 | 1 << 24 | 1 << 25 | 1 << 26)) ==
	       (1 << 0 | 1 << 4 | 1 << 8 | 1 << 15 | 1 << 23 | 1 << 24 | 1 << 25 | 1 << 26));
	asm volatile("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(0x80000001), "c"(0));
	EXPECT((edx & (1 << 29 | 1 << 20)) == (1 << 29 | 1 << 20)); // long mode, no-execute
	{
		uint64_t first, second;

		asm volatile("rdtsc\n shl $32, %%rdx\n or %%rdx, %0" : "=a"(first) : : "rdx");
		asm volatile("rdtsc\n shl $32, %%rdx\n or %%rdx, %0" : "=a"(second) : : "rdx");
		EXPECT(second >= first);
	}
	return guest_done();
}
