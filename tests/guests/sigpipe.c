// Writing to a pipe that nobody reads: SIGPIPE by default, EPIPE when it is ignored or handled.
#include "guest.h"

static volatile sig_atomic_t pipes;

static void on_pipe(int sig)
{
	pipes += sig == SIGPIPE;
}

int main(void)
{
	int ends[2];

	MUST(pipe(ends));
	close(ends[0]);
	IN_CHILD("the writer", { write(ends[1], "x", 1), puts("not reached"); });
	signal(SIGPIPE, SIG_IGN);
	TELL(write(ends[1], "x", 1));
	IN_CHILD("an ignoring writer", TELL(write(ends[1], "x", 1)));
	signal(SIGPIPE, on_pipe);
	TELL(write(ends[1], "x", 1));
	TELL(pipes);
	signal(SIGPIPE, SIG_DFL);
	write(ends[1], "the last words", 14);
	puts("not reached");
	return 0;
}
