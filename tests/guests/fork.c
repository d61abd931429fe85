// fork(2): two processes with equal memory that each changes alone; shared file offsets; who is whose parent.
#include "guest.h"

static int global = 1;

int main(void)
{
	int on_stack = 2, *on_heap = malloc(sizeof *on_heap), status, fd, pids = 0;
	char *big = MUST(mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)), c;
	pid_t parent = getpid(), child;

	*on_heap = 3;
	memset(big, 'a', 4 << 20);
	guest_write_file("file", "abcdef");
	fd = MUST(open("file", O_RDONLY));
	printf("buffered twice: ");
	fflush(stdout);
	child = MUST(fork());
	if (child == 0) {
		EXPECT(global == 1 && on_stack == 2 && *on_heap == 3 && big[1 << 20] == 'a');
		EXPECT(getppid() == parent && getpid() != parent);
		global = 10, on_stack = 20, *on_heap = 30;
		memset(big, 'b', 4 << 20);
		MUST(read(fd, &c, 1));
		printf("child read %c\n", c);
		fflush(stdout);
		_exit(42);
	}
	EXPECT(waitpid(child, &status, 0) == child);
	guest_status("the child", status);
	EXPECT(global == 1 && on_stack == 2 && *on_heap == 3 && big[1 << 20] == 'a' && big[(4 << 20) - 1] == 'a');
	MUST(read(fd, &c, 1));
	printf("parent read %c\n", c);
	// Descriptors are copies: closing one leaves the other.
	IN_CHILD("a closer", close(fd));
	TELL(lseek(fd, 0, SEEK_CUR));
	// A tree of processes; each level waits for its children.
	for (int i = 0; i < 3; i++)
		if (MUST(fork()) == 0) {
			for (int j = 0; j < 2; j++)
				if (MUST(fork()) == 0)
					_exit(i * 2 + j);
			int sum = 0;
			while (wait(&status) > 0)
				sum += WEXITSTATUS(status);
			_exit(100 + sum);
		}
	for (int sum = 0; wait(&status) > 0 || (printf("sum %d\n", sum), 0);)
		sum += WEXITSTATUS(status);
	TELL(wait(NULL));
	// Children can be many.
	for (int i = 0; i < 50; i++)
		if (MUST(fork()) == 0)
			_exit(i);
	for (int i = 0; i < 50; i++) {
		MUST(wait(&status));
		pids += WEXITSTATUS(status);
	}
	printf("sum of exit codes %d\n", pids);
	// exit(3) in a child runs handlers and flushes buffers.
	fflush(stdout);
	if (fork() == 0) {
		printf("flushed at exit\n");
		exit(3);
	}
	wait(&status);
	guest_status("the child", status);
	return guest_done();
}
