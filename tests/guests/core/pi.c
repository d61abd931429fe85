// 4000 digits of pi by Machin's formula, with numbers of many words: multiplications, divisions and carries.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { DIGITS = 4000, WORDS = DIGITS * 10 / 96 + 8 };

// A fraction: the first word is what stands before the point.
struct number {
	uint32_t word[WORDS];
};

static void divide(struct number *x, uint32_t by)
{
	uint64_t rest = 0;

	for (int i = 0; i < WORDS; i++) {
		rest = rest << 32 | x->word[i];
		x->word[i] = rest / by;
		rest %= by;
	}
}

static uint32_t multiply(struct number *x, uint32_t by)
{
	uint64_t carry = 0;

	for (int i = WORDS; i-- > 0;) {
		carry += (uint64_t)x->word[i] * by;
		x->word[i] = carry;
		carry >>= 32;
	}
	return carry;
}

static void add(struct number *x, const struct number *y)
{
	uint64_t carry = 0;

	for (int i = WORDS; i-- > 0;) {
		carry += (uint64_t)x->word[i] + y->word[i];
		x->word[i] = carry;
		carry >>= 32;
	}
}

static void subtract(struct number *x, const struct number *y)
{
	uint64_t borrow = 0;

	for (int i = WORDS; i-- > 0;) {
		uint64_t difference = (uint64_t)x->word[i] - y->word[i] - borrow;

		x->word[i] = difference;
		borrow = difference >> 63;
	}
}

static int is_zero(const struct number *x)
{
	for (int i = 0; i < WORDS; i++)
		if (x->word[i])
			return 0;
	return 1;
}

// sum += sign · factor · arctan(1 / by)
static void arctan(struct number *sum, int sign, uint32_t factor, uint32_t by)
{
	struct number power = { { factor } };

	divide(&power, by);
	for (uint32_t n = 1; !is_zero(&power); n += 2, sign = -sign) {
		struct number term = power;

		divide(&term, n);
		(sign > 0 ? add : subtract)(sum, &term);
		divide(&power, by * by);
	}
}

int main(void)
{
	static struct number pi;

	arctan(&pi, 1, 16, 5);
	arctan(&pi, -1, 4, 239);
	printf("%u.", pi.word[0]);
	for (int i = 0; i < DIGITS / 8; i++) {
		pi.word[0] = 0;
		multiply(&pi, 100000000);
		printf("%08u%s", pi.word[0], i % 10 == 9 ? "\n" : "");
	}
	puts("");
	return 0;
}
