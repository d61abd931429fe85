// Recursive Fibonacci: calls, returns, pushes and pops. argv[1] is which number.
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline, optimize("O1"))) static int fib(int n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

int main(int argc, char **argv)
{
	printf("%d\n", fib(argc > 1 ? atoi(argv[1]) : 30));
	return 0;
}
