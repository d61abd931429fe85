// The cheapest of calls, argv[1] times: what a system call costs.
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? atol(argv[1]) : 1000000, changes = 0, first = getppid();

	for (long i = 0; i < rounds; i++) {
		long result;

		asm volatile("syscall" : "=a"(result) : "a"(SYS_getppid) : "rcx", "r11", "memory");
		changes += result != first;
	}
	printf("%ld\n", changes);
	return 0;
}
