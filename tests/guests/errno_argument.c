// EINVAL and its neighbours: arguments that no state of the machine could make right.
#include "guest.h"
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <time.h>

int main(void)
{
	char buf[64];
	struct rlimit limit = { 2, 1 };
	struct timespec t;
	void *page = MUST(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	int fd, ends[2];

	guest_write_file("file", "x");
	fd = MUST(open("file", O_RDWR));
	MUST(pipe(ends));
	TELL(lseek(fd, 0, 5));
	TELL(lseek(fd, -1, SEEK_SET));
	TELL(lseek(fd, LONG_MAX, SEEK_END));
	TELL(read(fd, buf, -1));
	TELL(write(fd, buf, SSIZE_MAX));
	TELL(ftruncate(fd, -1));
	TELL(ftruncate(ends[0], 0));
	TELL(fcntl(fd, 12345));
	TELL(fcntl(fd, F_DUPFD, 1 << 30));
	TELL(pipe2(ends, 0x1));
	TELL(dup3(fd, fd, 0));
	TELL(readlink("file", buf, -1));
	TELL(readlink("file", buf, sizeof buf));
	TELL(access("file", 0x10));
	TELL(unlinkat(AT_FDCWD, "file", 0x1000));
	TELL(openat(AT_FDCWD, "file", O_TMPFILE | O_RDONLY));
	TELL(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
	TELL(mmap(NULL, 4096, PROT_READ, MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
	TELL(mmap(NULL, 4096, PROT_READ, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
	TELL(mmap((void *)4097, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ? -1 : 0);
	TELL(mmap(NULL, SIZE_MAX, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
	TELL(mmap(NULL, 1l << 47, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
	TELL(syscall(SYS_mmap, NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 1) == -1 ? -1 : 0);
	TELL(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, ends[0], 0) == MAP_FAILED ? -1 : 0);
	TELL(munmap((char *)page + 1, 4096));
	TELL(munmap(page, 0));
	TELL(munmap((void *)-4096, 4096));
	TELL(mprotect((char *)page + 1, 4096, PROT_READ));
	TELL(mprotect(page, 0, PROT_READ));
	TELL(mprotect(page, 4096, 0x1000));
	TELL(mprotect((void *)16384, 4096, PROT_READ));
	TELL(mremap(page, 8192, 0, 0) == MAP_FAILED ? -1 : 0);
	TELL(mremap((char *)page + 1, 4096, 4096, 0) == MAP_FAILED ? -1 : 0);
	TELL(mremap((void *)16384, 4096, 8192, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
	TELL(mremap(page, 4096, 8192, 0x80) == MAP_FAILED ? -1 : 0);
	TELL(madvise(page, 4096, 12345));
	TELL(madvise((char *)page + 1, 4096, MADV_NORMAL));
	TELL(msync((char *)page + 1, 4096, MS_SYNC));
	TELL(msync(page, 4096, MS_SYNC | MS_ASYNC));
	TELL(clock_gettime(99, &t));
	TELL(clock_gettime(-1, &t));
	TELL(clock_getres(99, NULL));
	TELL(syscall(SYS_nanosleep, &(struct timespec){ 0, 1000000000 }, NULL));
	TELL(syscall(SYS_nanosleep, &(struct timespec){ -1, 0 }, NULL));
	TELL(syscall(SYS_clock_nanosleep, 99, 0, &(struct timespec){ 0, 0 }, NULL));
	TELL(syscall(SYS_getrandom, buf, 1, 0x100));
	TELL(getrlimit(99, &limit));
	TELL(setrlimit(RLIMIT_NOFILE, &limit));
	TELL(syscall(SYS_prlimit64, 0, 99, NULL, NULL));
	TELL(getrusage(77, (struct rusage *)page));
	TELL(syscall(SYS_rt_sigaction, 0, NULL, NULL, 8));
	TELL(syscall(SYS_rt_sigaction, 65, NULL, NULL, 8));
	TELL(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4));
	TELL(signal(SIGKILL, SIG_IGN) == SIG_ERR ? -1 : 0);
	TELL(signal(SIGSTOP, SIG_IGN) == SIG_ERR ? -1 : 0);
	TELL(syscall(SYS_rt_sigprocmask, 99, page, NULL, 8));
	TELL(syscall(SYS_rt_sigprocmask, 99, NULL, NULL, 8));
	TELL(syscall(SYS_rt_sigprocmask, SIG_BLOCK, page, NULL, 4));
	TELL(kill(getpid(), 65));
	TELL(kill(getpid(), -1));
	TELL(waitpid(-1, NULL, 0x100));
	TELL(syscall(SYS_wait4, -1, NULL, 1 << 20, NULL));
	TELL(poll(page, 1 << 25, 0));
	TELL(select(-1, NULL, NULL, NULL, NULL));
	TELL(select(0, NULL, NULL, NULL, &(struct timeval){ -1, 0 }));
	TELL(setitimer(9, page, NULL));
	TELL(setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 0 }, { 0, 1000000 } }, NULL));
	TELL(syscall(SYS_arch_prctl, 0x9999, 0));
	TELL(syscall(SYS_arch_prctl, 0x1002 /* ARCH_SET_FS */, 1ul << 63));
	TELL(syscall(SYS_clone, CLONE_THREAD | SIGCHLD, 0, 0, 0, 0));
	TELL(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0));
	TELL(ioctl(fd, TCGETS, page));
	TELL(ioctl(ends[0], TIOCGWINSZ, page));
	TELL(ioctl(fd, 0x12345678, page));
	TELL(symlink("", "x"));
	TELL(setpgid(-1, 0));
	TELL(getpgid(-1));
	TELL(getsid(-1));
	TELL(getpriority(9, 0));
	TELL(sched_getaffinity(0, 1, page));
	TELL(syscall(SYS_set_robust_list, page, 1));
	TELL(syscall(SYS_flock, fd, 0));
	return guest_done();
}
