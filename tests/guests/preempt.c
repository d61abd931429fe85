// Processes share the processor: none can keep it, and each keeps its registers (x87 and SSE too).
#include "guest.h"

static double series(int seed)
{
	double d = seed;
	long double l = seed;
	uint64_t x = seed;

	for (int i = 1; i < 200000; i++) {
		d = d * 0.999 + 1.0 / i;
		l = l * 0.999L + 1.0L / i;
		x = x * 6364136223846793005 + i;
	}
	return d + (double)l + (x >> 40);
}

int main(void)
{
	int ends[2], status;
	double expected[4], got;
	pid_t spinner;

	for (int i = 0; i < 4; i++)
		expected[i] = series(i);
	MUST(pipe(ends));
	spinner = MUST(fork());
	if (spinner == 0)
		for (;;)
			;
	for (int i = 0; i < 4; i++)
		if (MUST(fork()) == 0) {
			got = series(i);
			_exit(got == expected[i] ? 0 : 1);
		}
	for (int i = 0; i < 4; i++) {
		MUST(wait(&status));
		guest_status("a child", status);
	}
	MUST(kill(spinner, SIGKILL));
	MUST(wait(&status));
	guest_status("the spinner", status);
	printf("%.12g\n", expected[3]);
	return guest_done();
}
