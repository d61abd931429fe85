// strtol(3), strtod(3) and their ERANGE.
#include "guest.h"
#include <inttypes.h>
#include <math.h>

static void integer(const char *text, int base)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, base);
	printf("strtol(\"%s\", %d) = %ld, rest \"%s\", %s\n", text, base, value, end, errno ? strerror(errno) : "no error");
	errno = 0;
	printf("strtoul = %lu, %s\n", strtoul(text, &end, base), errno ? strerror(errno) : "no error");
}

static void real(const char *text)
{
	char *end;
	double value;
	long double wide;

	errno = 0;
	value = strtod(text, &end);
	printf("strtod(\"%s\") = %.17g %a, rest \"%s\", %s\n", text, value, value, end, errno ? strerror(errno) : "no error");
	errno = 0;
	wide = strtold(text, &end);
	printf("strtold = %.21Lg, %s; ", wide, errno ? strerror(errno) : "no error");
	printf("strtof = %.9g\n", strtof(text, NULL));
}

int main(void)
{
	static const char *reals[] = { "0", "-0", "1.5", "  3.25xyz", "1e308", "1e309", "-1e400", "1e-310", "1e-400", "0x1.8p4", "inf", "nan",
				       ".5", "1e", "abc", "123456789012345678901234567890", "2.2250738585072011e-308", "1e4932", "1e5000",
				       "0.1", "179769313486231580793e289", "4.9406564584124654e-324" };

	integer("42", 10), integer("  -42abc", 10), integer("0x1F", 0), integer("0x1F", 16), integer("077", 0), integer("zz", 36);
	integer("9223372036854775807", 10), integer("9223372036854775808", 10), integer("-9223372036854775809", 10);
	integer("18446744073709551616", 10), integer("", 10), integer("+", 10), integer("12", 1), integer("12", 37), integer("102", 2);
	for (size_t i = 0; i < sizeof reals / sizeof *reals; i++)
		real(reals[i]);
	printf("%d %ld %lld %g\n", atoi("123x"), atol("-5"), atoll("99999999999"), atof("2.75e2"));
	printf("%jd %ju\n", strtoimax("-99", NULL, 10), strtoumax("99", NULL, 8));
	TELL(abs(-5) + labs(-7L));
	printf("%d %d %ld\n", div(-17, 5).quot, div(-17, 5).rem, ldiv(17, -5).rem);
	srand(7);
	printf("%d %d %d\n", rand(), rand(), rand());
	srandom(9);
	printf("%ld %ld\n", random(), random());
	printf("%.10f\n", drand48());
	return 0;
}
