// Random system calls with random arguments, in one child after the other: whatever they do to the children, the kernel
// must stay whole. Never run natively: as root it would reboot the machine or worse.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t state;

static uint64_t next(void)
{
	state += 0x9e3779b97f4a7c15;
	uint64_t z = state;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static char *pool;
enum { POOL = 16 * 4096 };

static const char *const names[] = {
	"/tmp/a", "/tmp/b", "/tmp/d", "/tmp/d/x", "/tmp/link", "/proc/self/status", "/proc/self/fd/0", "/proc/self/mem",
	"/dev/null", "/dev/zero", "/dev/tty", "/proc/1/maps", "/", ".", "..", "", "/proc/self/exe", "/tmp/fifo", "/proc/self/cwd/a",
};

// An argument: a number that calls like, a descriptor, or an address that is good, at an edge, or bad.
static uint64_t argument(void)
{
	static const uint64_t special[] = { 0, 1, 2, -1ul, -2ul, -100ul, 4096, 0x7fffffff, 0x80000000, 0xffffffff, 1ul << 63,
		0x7ffffffff000, 0x7fffffffefff, 0xffffffff81000000, 16, 8, 128, 65536, 0x1000000000000 };
	switch (next() % 8) {
	case 0: return special[next() % (sizeof special / sizeof *special)];
	case 1: return next() % 16;
	case 2: return (uint64_t)pool + next() % POOL;
	case 3: return (uint64_t)pool + next() % 16 * 4096;
	case 4: return (uint64_t)pool + POOL - next() % 64;
	case 5: return (uint64_t)names[next() % (sizeof names / sizeof *names)];
	case 6: return next() >> next() % 64;
	default: return 1ul << next() % 20;
	}
}

static int allowed(long nr)
{
	switch (nr) {
	case SYS_exit: case SYS_exit_group: return next() % 64 == 0;
	case SYS_fork: case SYS_vfork: case SYS_clone: case SYS_clone3: return next() % 16 == 0;
	case SYS_kill: case SYS_tkill: case SYS_tgkill: case SYS_rt_sigqueueinfo: case SYS_rt_tgsigqueueinfo: return next() % 16 == 0;
	default: return 1;
	}
}

static void child(long calls)
{
	for (long i = 0; i < calls; i++) {
		for (int j = 0; j < 64; j++) {
			uint64_t value = argument();
			memcpy(pool + next() % (POOL - 8), &value, 1 + next() % 8);
		}
		long nr = next() % 475;
		if (allowed(nr))
			syscall(nr, argument(), argument(), argument(), argument(), argument(), argument());
	}
	_exit(0);
}

static void nothing(int signal)
{
	(void)signal;
}

int main(int argc, char **argv)
{
	state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	long children = argc > 2 ? atol(argv[2]) : 50, calls = argc > 3 ? atol(argv[3]) : 200;
	struct sigaction action = { .sa_handler = nothing };

	sigaction(SIGALRM, &action, NULL);
	for (int i = 1; i < 65; i++)
		if (i != SIGALRM && i != SIGCHLD)
			signal(i, SIG_IGN);
	pool = mmap(NULL, POOL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (long i = 0; i < children; i++) {
		state += i;
		pid_t pid = fork();
		if (pid == 0)
			child(calls);
		alarm(20);
		if (waitpid(pid, NULL, 0) < 0) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
		}
		next();
	}
	return 0;
}
