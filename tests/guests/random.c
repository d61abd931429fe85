// Prints what can't be the same twice, unless the machine repeats itself: random bytes, the clock, addresses, pids. (Not compared natively.)
#include "guest.h"
#include <sys/random.h>
#include <time.h>

int main(void)
{
	unsigned char bytes[8];
	struct timespec t;
	int status;

	getrandom(bytes, sizeof bytes, 0);
	for (size_t i = 0; i < sizeof bytes; i++)
		printf("%02x", bytes[i]);
	clock_gettime(CLOCK_REALTIME, &t);
	printf(" %ld.%09ld %p", (long)t.tv_sec, t.tv_nsec, (void *)&t);
	clock_gettime(CLOCK_MONOTONIC, &t);
	printf(" %ld.%09ld %d\n", (long)t.tv_sec, t.tv_nsec, getpid());
	for (int i = 0; i < 3; i++) {
		fflush(stdout);
		if (fork() == 0) {
			clock_gettime(CLOCK_MONOTONIC, &t);
			printf("%d %ld\n", getpid(), t.tv_nsec);
			fflush(stdout);
			_exit(i);
		}
	}
	while (wait(&status) > 0)
		printf("%d\n", WEXITSTATUS(status));
	return 0;
}
