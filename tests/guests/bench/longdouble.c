// Leibniz's series in 80 bits, on the x87 unit. argv[1] is the number of terms.
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	long terms = argc > 1 ? atol(argv[1]) : 10000000;
	long double sum = 0, sign = 1;
	double halves = 0;

	for (long i = 0; i < terms; i++) {
		sum += sign / (2 * i + 1);
		sign = -sign;
		if (i % 64 == 0)
			halves += (double)sum;
	}
	printf("%.12Lf %.6f\n", 4 * sum, halves);
	return 0;
}
