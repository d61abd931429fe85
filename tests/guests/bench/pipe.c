// A byte into a pipe and out of it, argv[1] times: what two calls cost that move data.
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static long call(long number, long fd, char *byte)
{
	long result;

	asm volatile("syscall" : "=a"(result) : "a"(number), "D"(fd), "S"(byte), "d"(1L) : "rcx", "r11", "memory");
	return result;
}

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? atol(argv[1]) : 1000000, sum = 0;
	int ends[2];

	if (pipe(ends))
		return 1;
	for (long i = 0; i < rounds; i++) {
		char sent = i, received = 0;

		if (call(SYS_write, ends[1], &sent) != 1 || call(SYS_read, ends[0], &received) != 1)
			return 1;
		sum += received;
	}
	printf("%ld\n", sum);
	return 0;
}
