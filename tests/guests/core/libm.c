// Every function of <math.h> in float, double and long double, over ordinary and awkward arguments, in all rounding modes.
//
// A line a function, type and mode: a hash of all results' bits and of the exceptions that were raised. With an argument,
// each result is printed: to find the one that differs.
//
// Of what long double functions compute, ten digits count: they use F2XM1, FYL2X and FPATAN, of which the manuals promise
// an error below one unit in the last place, and processors differ in that bit. Of results that aren't normal numbers that
// bit may be the only one, and whether there was an underflow may depend on it.
#include <fenv.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int verbose;
static uint64_t hash;
static const char *name;

static void note(const void *bits, size_t size)
{
	const uint8_t *bytes = bits;
	int raised = fetestexcept(FE_ALL_EXCEPT);

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3;
	hash = (hash ^ raised) * 0x100000001b3;
	if (verbose) {
		printf("%s %02x ", name, raised);
		for (size_t i = size; i-- > 0;)
			printf("%02x", bytes[i]);
		puts("");
	}
	feclearexcept(FE_ALL_EXCEPT);
}

static void note_digits(long double x)
{
	int raised = fetestexcept(FE_ALL_EXCEPT), rounding = fegetround();
	char digits[32];

	fesetround(FE_TONEAREST);
	memset(digits, 0, sizeof digits);
	if (fabsl(x) <= LDBL_MIN) {
		strcpy(digits, signbit(x) ? "-tiny" : "tiny");
		raised &= ~FE_UNDERFLOW;
	} else {
		snprintf(digits, sizeof digits, "%.10Lg", x);
	}
	fesetround(rounding);
	feclearexcept(FE_ALL_EXCEPT);
	feraiseexcept(raised);
	note(digits, sizeof digits);
}

static void begin(const char *function)
{
	name = function;
	hash = 0xcbf29ce484222325;
	feclearexcept(FE_ALL_EXCEPT);
}

static void end(const char *type, const char *mode)
{
	printf("%-12s %-12s %-10s %016llx\n", name, type, mode, (unsigned long long)hash);
}

static const char *mode;

#define SUFFIXED(f, s) f##s
#define EXACTLY(SIZE, result) note(&result, SIZE)
#define NEARLY(SIZE, result) (SIZE == 10 ? note_digits(result) : note(&result, SIZE))
#define EACH(T, SIZE, f, call, NOTE) \
	begin(#f); \
	for (int i = 0; i < n; i++) { \
		volatile T x = list[i]; \
		T result = call; \
		NOTE(SIZE, result); \
	} \
	end(#T, mode);
#define EACH_PAIR(T, SIZE, f, call, NOTE) \
	begin(#f); \
	for (int i = 0; i < n; i++) \
		for (int j = i % 5; j < n; j += 5) { \
			volatile T x = list[i], y = list[j]; \
			T result = call; \
			NOTE(SIZE, result); \
		} \
	end(#T, mode);
#define ONE(T, SIZE, s, f) EACH(T, SIZE, f, SUFFIXED(f, s)(x), NEARLY)
#define TWO(T, SIZE, s, f) EACH_PAIR(T, SIZE, f, SUFFIXED(f, s)(x, y), NEARLY)
#define EXACT(T, SIZE, s, f) EACH(T, SIZE, f, SUFFIXED(f, s)(x), EXACTLY)
#define EXACT_TWO(T, SIZE, s, f) EACH_PAIR(T, SIZE, f, SUFFIXED(f, s)(x, y), EXACTLY)
#define WHOLE(T, s, f) \
	begin(#f); \
	for (int i = 0; i < n; i++) { \
		volatile T x = list[i]; \
		long long result = SUFFIXED(f, s)(x); \
		note(&result, sizeof result); \
	} \
	end(#T, mode);

#define SWEEP(T, SIZE, s, MIN, MAX, TINY, EPS) \
	static void sweep_##T##s(void) \
	{ \
		static const T fixed[] = { 0.0, -0.0, 1, -1, 0.5, -0.5, 1.5, 2, -2, 2.5, 3, 10, -10, 100.25, 1e3, -1e4, 1e10, 1e-5, -1e-10, \
			MIN, -MIN, MAX, -MAX, TINY, -TINY, MIN / 2, EPS, 1 + EPS, 1 - EPS, INFINITY, -INFINITY, NAN, M_PI, M_PI_2, \
			-M_PI_4, M_E, M_LN2, M_SQRT2, 127, 128, -126, 709.5, -745, 1e22, 11356, 65536, 0x1p31, -0x1p31, 0x1p63, 1.0 / 3 }; \
		T list[120]; \
		int n = sizeof fixed / sizeof *fixed; \
		uint32_t seed = 12345; \
		memset(list, 0, sizeof list); \
		memcpy(list, fixed, sizeof fixed); \
		for (; n < 120; n++) { \
			seed = seed * 1664525 + 1013904223; \
			T x = (T)(int32_t)seed / 0x40000000; \
			seed = seed * 1664525 + 1013904223; \
			list[n] = SUFFIXED(ldexp, s)(x, (int)(seed >> 16) % 40 - 20); \
		} \
		ONE(T, SIZE, s, sin) ONE(T, SIZE, s, cos) ONE(T, SIZE, s, tan) ONE(T, SIZE, s, asin) ONE(T, SIZE, s, acos) \
		ONE(T, SIZE, s, atan) ONE(T, SIZE, s, sinh) ONE(T, SIZE, s, cosh) ONE(T, SIZE, s, tanh) ONE(T, SIZE, s, asinh) \
		ONE(T, SIZE, s, acosh) ONE(T, SIZE, s, atanh) ONE(T, SIZE, s, exp) ONE(T, SIZE, s, exp2) ONE(T, SIZE, s, exp10) \
		ONE(T, SIZE, s, expm1) ONE(T, SIZE, s, log) ONE(T, SIZE, s, log2) ONE(T, SIZE, s, log10) ONE(T, SIZE, s, log1p) \
		EXACT(T, SIZE, s, logb) EXACT(T, SIZE, s, sqrt) ONE(T, SIZE, s, cbrt) ONE(T, SIZE, s, erf) ONE(T, SIZE, s, erfc) \
		ONE(T, SIZE, s, lgamma) ONE(T, SIZE, s, tgamma) ONE(T, SIZE, s, j0) ONE(T, SIZE, s, j1) ONE(T, SIZE, s, y0) \
		ONE(T, SIZE, s, y1) EXACT(T, SIZE, s, ceil) EXACT(T, SIZE, s, floor) EXACT(T, SIZE, s, trunc) EXACT(T, SIZE, s, round) \
		EXACT(T, SIZE, s, rint) EXACT(T, SIZE, s, nearbyint) EXACT(T, SIZE, s, fabs) \
		TWO(T, SIZE, s, pow) TWO(T, SIZE, s, atan2) TWO(T, SIZE, s, hypot) EXACT_TWO(T, SIZE, s, fmod) EXACT_TWO(T, SIZE, s, remainder) \
		EXACT_TWO(T, SIZE, s, fdim) EXACT_TWO(T, SIZE, s, fmax) EXACT_TWO(T, SIZE, s, fmin) EXACT_TWO(T, SIZE, s, nextafter) EXACT_TWO(T, SIZE, s, copysign) \
		WHOLE(T, s, lrint) WHOLE(T, s, llrint) WHOLE(T, s, lround) WHOLE(T, s, llround) WHOLE(T, s, ilogb) \
		begin("fma"); \
		for (int i = 0; i < n - 2; i++) { \
			volatile T x = list[i], y = list[i + 1], z = list[(i * 7 + 2) % n]; \
			T result = SUFFIXED(fma, s)(x, y, z); \
			note(&result, SIZE); \
		} \
		end(#T, mode); \
		begin("several"); \
		for (int i = 0; i < n; i++) { \
			volatile T x = list[i], y = list[(i * 3 + 1) % n]; \
			int power = 0, quotient = 0; \
			T a, b, c = 0, whole = 0; \
			a = SUFFIXED(frexp, s)(x, &power); \
			note(&a, SIZE); \
			note(&power, isfinite(x) ? sizeof power : 0); \
			a = SUFFIXED(modf, s)(x, &whole); \
			note(&a, SIZE); \
			note(&whole, SIZE); \
			a = SUFFIXED(remquo, s)(x, y, &quotient); \
			quotient &= 7; \
			note(&a, SIZE); \
			note(&quotient, isfinite(a) ? sizeof quotient : 0); \
			SUFFIXED(sincos, s)(x, &b, &c); \
			NEARLY(SIZE, b); \
			NEARLY(SIZE, c); \
			a = SUFFIXED(scalbn, s)(x, i - 60); \
			note(&a, SIZE); \
			a = SUFFIXED(jn, s)(2, x); \
			NEARLY(SIZE, a); \
			a = x + y, b = x * y, c = x / y; \
			note(&a, SIZE); \
			note(&b, SIZE); \
			note(&c, SIZE); \
		} \
		end(#T, mode); \
	}

typedef long double longdouble;
SWEEP(float, 4, f, 0x1p-126f, 0x1.fffffep127f, 0x1p-149f, 0x1p-23f)
SWEEP(double, 8, , 0x1p-1022, 0x1.fffffffffffffp1023, 0x1p-1074, 0x1p-52)
SWEEP(longdouble, 10, l, 0x1p-16382L, 0x1.fffffffffffffffep16383L, 0x1p-16445L, 0x1p-63L)

int main(int argc, char **argv)
{
	static const struct {
		int mode;
		const char *name;
	} modes[] = { { FE_TONEAREST, "nearest" }, { FE_DOWNWARD, "down" }, { FE_UPWARD, "up" }, { FE_TOWARDZERO, "zero" } };

	verbose = argc > 1;
	for (int i = 0; i < 4; i++) {
		mode = modes[i].name;
		fesetround(modes[i].mode);
		sweep_floatf();
		sweep_double();
		sweep_longdoublel();
	}
	return 0;
}
