// vfork(2): the parent sleeps until the child calls execve or _exit, and sees what the child wrote to their one memory.
#include "guest.h"

int main(int argc, char **argv)
{
	static volatile int shared = 1;
	int status;
	pid_t child;

	if (argc > 1) {
		printf("executed with %s\n", argv[1]);
		return 9;
	}
	child = vfork();
	if (child == 0) {
		shared = 2;
		_exit(5);
	}
	EXPECT(shared == 2);
	EXPECT(waitpid(child, &status, 0) == child);
	guest_status("the child", status);
	child = vfork();
	if (child == 0) {
		execl("/proc/self/exe", "vfork", "an argument", (char *)NULL);
		_exit(127);
	}
	EXPECT(waitpid(child, &status, 0) == child);
	guest_status("the program", status);
	child = vfork();
	if (child == 0) {
		execl("missing", "missing", (char *)NULL);
		shared = errno;
		_exit(1);
	}
	EXPECT(shared == ENOENT);
	wait(&status);
	guest_status("the child", status);
	return guest_done();
}
