// Floating-point printf: doubles through SSE2, long doubles through x87.
#include "guest.h"
#include <float.h>
#include <math.h>

int main(void)
{
	static const double values[] = { 0, -0.0, 1, -1, 0.1, 1.0 / 3, 2.5, 3.5, 1e10, 1e15, 1e16, 123456.789, 1e-5, 1e100, 1e308, 5e-324,
					 DBL_MAX, DBL_MIN, DBL_EPSILON, INFINITY, -INFINITY, 0x1.8p3, 9007199254740993.0 };
	static const long double longs[] = { 0, -0.0L, 1, 0.1L, 1.0L / 3, 1e4000L, 1e-4000L, LDBL_MAX, LDBL_MIN, LDBL_EPSILON, INFINITY,
					     3.14159265358979323846264338327950288L, 18446744073709551615.0L, -1234567.875L };
	volatile long double sum = 0;
	volatile double d = 0;
	volatile float f = 0;

	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		printf("%g %f %e %.0f %.3f %+.15g %.17g %a %G|%12.4f|%-12.4e|%012.3f\n", values[i], values[i], values[i], values[i], values[i],
		       values[i], values[i], values[i], values[i], values[i], values[i], values[i]);
	printf("%f %F %g\n", NAN, NAN, -INFINITY);
	for (size_t i = 0; i < sizeof longs / sizeof *longs; i++)
		printf("%Lg %.21Lg %Le %La %.3Lf\n", longs[i], longs[i], longs[i], longs[i], fabsl(longs[i]) < 1e20L ? longs[i] : 0.0L);
	for (int i = 1; i <= 1000; i++) {
		sum += 1.0L / i;
		d += 1.0 / i;
		f += 1.0f / i;
	}
	printf("harmonic: %.25Lg %.20g %.10g\n", sum, d, f);
	printf("conversions: %d %ld %lu %u %lld\n", (int)-1.9, (long)1e18, (unsigned long)1.8e19, (unsigned)4e9, (long long)-2.5L);
	printf("rounding: %.0f %.0f %.0f %.0f %.1f %.2f %.10f\n", 0.5, 1.5, 2.5, -0.5, 0.25, 1.005, 0.1);
	printf("from integers: %.20g %.20g %.25Lg\n", (double)UINT64_MAX, (double)INT64_MIN, (long double)UINT64_MAX);
	printf("%.60f\n%.400g\n", 0.1, DBL_MAX);
	return 0;
}
