// libm: what gcc and glibc make of SSE2 and x87 (printed to fewer digits than libm promises, for it chooses its code by CPUID).
#include "guest.h"
#include <complex.h>
#include <fenv.h>
#include <math.h>

int main(void)
{
	volatile double x = 0.75, big = 12345.678, negative = -2.5;
	volatile long double l = 0.75L;

	printf("%.12g %.12g %.12g %.12g %.12g %.12g\n", sin(x), cos(x), tan(x), asin(x), acos(x), atan(x));
	printf("%.12g %.12g %.12g %.12g %.12g\n", exp(x), log(x), log10(x), log2(x), pow(x, big / 1000));
	printf("%.12g %.12g %.12g %.12g\n", sinh(x), cosh(x), tanh(x), atan2(x, negative));
	printf("%.17g %.17g %.12g %.12g\n", sqrt(big), cbrt(27.0), hypot(3, 4), fmod(big, 7));
	printf("%g %g %g %g %g %g\n", floor(negative), ceil(negative), trunc(negative), round(negative), rint(negative), nearbyint(negative));
	printf("%ld %ld %lld\n", lrint(2.5), lround(2.5), llrint(-3.5));
	printf("%.12g %.12g %.12g %.12g\n", tgamma(5.5), lgamma(5.5), erf(x), j0(x));
	printf("%.12g %.12g\n", sin(1e22), cos(1e6));
	printf("%.15Lg %.15Lg %.15Lg %.15Lg %.15Lg\n", sinl(l), expl(l), logl(l), powl(l, 3.5L), sqrtl(l));
	printf("%Lg %Lg %Lg %ld\n", floorl(-2.5L), ceill(-2.5L), fmodl(7.5L, 2), lrintl(2.5L));
	printf("%.6g %.6g %.6g\n", sinf(0.75f), expf(0.75f), powf(0.75f, 2.5f));
	{
		int e;
		double fraction = frexp(big, &e), whole;

		printf("%.17g %d %.17g %.17g", fraction, e, ldexp(fraction, e), modf(big, &whole));
		printf(" %g %d %g\n", whole, ilogb(big), scalbn(1.5, 10));
	}
	printf("%d %d %d %d %d\n", isnan(NAN) != 0, isinf(INFINITY) != 0, signbit(-0.0) != 0, isnormal(5e-324) != 0, fpclassify(0.0) == FP_ZERO);
	printf("%g %g %d %d\n", fmax(1, NAN), fmin(-0.0, 1), isless(1.0, NAN) != 0, isunordered(1.0, NAN) != 0);
	printf("%.17g %.17g\n", nextafter(1, 2), nextafter(0, 1));
	errno = 0;
	EXPECT(isinf(exp(1e10 * x)) && (errno == ERANGE || !(math_errhandling & MATH_ERRNO)));
	errno = 0;
	EXPECT(isnan(sqrt(negative)) && (errno == EDOM || !(math_errhandling & MATH_ERRNO)));
	feclearexcept(FE_ALL_EXCEPT);
	x = 1 / (x - 0.75);
	EXPECT(isinf(x) && fetestexcept(FE_DIVBYZERO));
	feclearexcept(FE_ALL_EXCEPT);
	x = 0.1;
	x = x * x;
	EXPECT(fetestexcept(FE_INEXACT));
	for (int i = 0; i < 4; i++) {
		static const int modes[] = { FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO };
		volatile double third = 1;
		volatile long double long_third = 1;

		fesetround(modes[i]);
		EXPECT(fegetround() == modes[i]);
		third /= 3;
		long_third /= 3;
		printf("%a %La %g %g\n", third, long_third, rint(2.5), rint(-2.5));
	}
	fesetround(FE_TONEAREST);
	{
		double complex z = csqrt(-1 + 0 * I) * (3 + 4 * I);

		printf("%.10g %.10g %.10g\n", creal(z), cimag(z), cabs(z));
	}
	return guest_done();
}
