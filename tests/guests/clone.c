// clone(2) without threads: as fork, with a stack of its own, with shared memory, files or directory.
#include "guest.h"
#include <sched.h>

static volatile int value;

static int child(void *argument)
{
	value += (int)(long)argument;
	return value & 0xff;
}

static int changes_directory(void *argument)
{
	(void)argument;
	return chdir("dir");
}

static int closes(void *argument)
{
	return close((int)(long)argument);
}

int main(void)
{
	char *stack = MUST(mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0)) + 65536;
	int status, fd;
	pid_t pid, tid = 0;

	MUST(mkdir("dir", 0755));
	pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		_exit(7);
	TELL(waitpid(pid, &status, 0) == pid);
	guest_status("as fork", status);
	pid = MUST(clone(child, stack, SIGCHLD, (void *)5));
	TELL(waitpid(pid, &status, 0) == pid);
	guest_status("with its own memory", status);
	TELL(value);
	pid = MUST(clone(child, stack, CLONE_VM | CLONE_VFORK | SIGCHLD, (void *)6));
	TELL(value);
	TELL(waitpid(pid, &status, 0) == pid);
	guest_status("with our memory", status);
	pid = MUST(clone(changes_directory, stack, SIGCHLD, NULL));
	TELL(waitpid(pid, &status, 0) == pid);
	TELL(access("../dir", F_OK));
	pid = MUST(clone(changes_directory, stack, CLONE_FS | SIGCHLD, NULL));
	TELL(waitpid(pid, &status, 0) == pid);
	TELL(access("../dir", F_OK));
	fd = MUST(open(".", O_RDONLY));
	pid = MUST(clone(closes, stack, SIGCHLD, (void *)(long)fd));
	TELL(waitpid(pid, &status, 0) == pid);
	TELL(fcntl(fd, F_GETFD));
	pid = MUST(clone(closes, stack, CLONE_FILES | SIGCHLD, (void *)(long)fd));
	TELL(waitpid(pid, &status, 0) == pid);
	TELL(fcntl(fd, F_GETFD));
	pid = MUST(clone(child, stack, CLONE_PARENT_SETTID | SIGCHLD, NULL, &tid));
	EXPECT(tid == pid);
	TELL(waitpid(pid, &status, 0) == pid);
	// Without SIGCHLD as its exit signal a child is only found with __WALL or __WCLONE.
	pid = MUST(clone(child, stack, 0, NULL));
	TELL(waitpid(pid, &status, 0));
	TELL(waitpid(pid, &status, __WALL) == pid);
	return guest_done();
}
