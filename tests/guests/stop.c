// SIGSTOP and SIGCONT: a stopped child does nothing, and its parent can be told.
#include "guest.h"

int main(void)
{
	int status, out[2];
	char c;
	pid_t child;

	MUST(pipe2(out, O_NONBLOCK));
	child = MUST(fork());
	if (child == 0) {
		// SIGTSTP does nothing to a group without a parent in its session; in a group of its own the child has one.
		setpgid(0, 0);
		raise(SIGSTOP);
		write(out[1], "x", 1);
		pause();
	}
	TELL(waitpid(child, &status, WUNTRACED) == child);
	guest_status("the child", status);
	TELL(read(out[0], &c, 1));
	TELL(waitpid(child, &status, WUNTRACED | WNOHANG));
	TELL(kill(child, SIGCONT));
	TELL(waitpid(child, &status, WCONTINUED) == child);
	guest_status("the child", status);
	while (read(out[0], &c, 1) != 1)
		guest_nap(1);
	printf("%c\n", c);
	TELL(kill(child, SIGTSTP));
	TELL(waitpid(child, &status, WUNTRACED) == child);
	guest_status("the child", status);
	TELL(kill(child, SIGKILL));
	TELL(waitpid(child, &status, 0) == child);
	guest_status("the child", status);
	return guest_done();
}
