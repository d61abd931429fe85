// EFAULT: user memory is checked when it is touched, at an address that nothing maps (16) and at one that no program has (-1).
#include "guest.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>

int main(void)
{
	char small[64];
	struct stat st;
	int fd, zero, ends[2];
	char *edge;

	guest_write_file("file", "0123456789");
	fd = MUST(open("file", O_RDWR));
	zero = MUST(open("/dev/zero", O_RDONLY));
	MUST(pipe(ends));
	MUST(write(ends[1], "pipe", 4));
	for (int i = 0; i < 2; i++) {
		void *bad = i ? BAD_HIGH : BAD_LOW;

		printf("the %s address\n", i ? "high" : "low");
		MUST(lseek(fd, 0, SEEK_SET));
		TELL(read(fd, bad, 1));
		TELL(read(fd, bad, 0));
		TELL(write(fd, bad, 1));
		TELL(write(fd, bad, 0));
		TELL(write(1, bad, 1));
		TELL(read(ends[0], bad, 1));
		TELL(write(ends[1], bad, 1));
		TELL(read(zero, bad, 1));
		TELL(pread(fd, bad, 1, 0));
		TELL(pwrite(fd, bad, 1, 0));
		TELL(readv(fd, bad, 1));
		TELL(writev(fd, bad, 1));
		TELL(open(bad, O_RDONLY));
		TELL(openat(fd, bad, O_RDONLY));
		TELL(stat(bad, &st));
		TELL(stat("file", bad));
		TELL(fstat(fd, bad));
		TELL(syscall(SYS_stat, "missing", bad));
		TELL(access(bad, F_OK));
		TELL(mkdir(bad, 0));
		TELL(rmdir(bad));
		TELL(unlink(bad));
		TELL(rename(bad, "x"));
		TELL(rename("file", bad));
		TELL(link(bad, "x"));
		TELL(link("file", bad));
		TELL(symlink(bad, "x"));
		TELL(symlink("x", bad));
		TELL(readlink(bad, small, sizeof small));
		TELL(readlink("/proc/self/exe", bad, 10));
		TELL(truncate(bad, 0));
		TELL(chmod(bad, 0));
		TELL(chown(bad, -1, -1));
		TELL(chdir(bad));
		TELL(syscall(SYS_getcwd, bad, 100));
		TELL(statfs(bad, (struct statfs *)small));
		TELL(statfs("/", bad));
		TELL(pipe(bad));
		TELL(uname(bad));
		TELL(sysinfo(bad));
		TELL(syscall(SYS_times, bad));
		TELL(syscall(SYS_time, bad));
		TELL(syscall(SYS_gettimeofday, bad, NULL));
		TELL(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, bad));
		TELL(syscall(SYS_clock_getres, CLOCK_MONOTONIC, bad));
		TELL(syscall(SYS_nanosleep, bad, NULL));
		TELL(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, bad, NULL));
		TELL(syscall(SYS_getrandom, bad, 16, 0));
		TELL(syscall(SYS_getrandom, bad, 0, 0));
		TELL(getrlimit(RLIMIT_STACK, bad));
		TELL(setrlimit(RLIMIT_STACK, bad));
		TELL(getrusage(RUSAGE_SELF, bad));
		TELL(syscall(SYS_rt_sigaction, SIGUSR1, bad, NULL, 8));
		TELL(syscall(SYS_rt_sigaction, SIGUSR1, NULL, bad, 8));
		TELL(syscall(SYS_rt_sigprocmask, SIG_BLOCK, bad, NULL, 8));
		TELL(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, bad, 8));
		TELL(syscall(SYS_rt_sigpending, bad, 8));
		TELL(syscall(SYS_rt_sigsuspend, bad, 8));
		TELL(syscall(SYS_sigaltstack, bad, NULL));
		TELL(syscall(SYS_sigaltstack, NULL, bad));
		TELL(poll(bad, 1, 0));
		TELL(poll(bad, 0, 0));
		TELL(syscall(SYS_select, 1, bad, NULL, NULL, &(struct timeval){ 0, 0 }));
		TELL(syscall(SYS_select, 0, NULL, NULL, NULL, bad));
		TELL(execve(bad, (char *[]){ "x", NULL }, (char *[]){ NULL }));
		TELL(execve("/proc/self/exe", bad, (char *[]){ NULL }));
		TELL(execve("/proc/self/exe", (char *[]){ "x", NULL }, bad));
		TELL(execve("/proc/self/exe", (char *[]){ bad, NULL }, (char *[]){ NULL }));
		TELL(syscall(SYS_set_robust_list, bad, 24));
		TELL(syscall(SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */, bad));
		TELL(syscall(SYS_getdents64, 0, bad, 100) < 0);
		TELL(syscall(SYS_getgroups, 0, bad) >= 0);
		TELL(syscall(SYS_getresuid, bad, bad, bad));
		TELL(syscall(SYS_getcpu, bad, NULL, NULL));
		IN_CHILD("a child with an exit code to fetch", { TELL(fork() ? wait(bad) : (_exit(0), 0)); });
	}
	// A transfer that reaches unmapped memory stops there: what was moved counts.
	edge = MUST(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	MUST(munmap(edge + 4096, 4096));
	memset(edge, 'e', 4096);
	TELL(write(ends[1], edge + 4090, 100)); // but a pipe takes a piece whole or not at all
	TELL(read(ends[0], small, sizeof small));
	printf("%.4s\n", small);
	TELL(write(fd, edge + 4090, 100));
	MUST(lseek(fd, 0, SEEK_SET));
	TELL(read(fd, edge + 4093, 10));
	TELL(lseek(fd, 0, SEEK_CUR));
	TELL(read(zero, edge + 4000, 1000));
	memset(edge, '/', 4096);
	TELL(open(edge + 4090, O_RDONLY));
	TELL(open(edge, O_RDONLY));
	edge[4095] = 0;
	TELL(close(open(edge + 4090, O_RDONLY)));
	// Memory that may be read but not written, and the other way round for the kernel there is no difference.
	MUST(mprotect(edge, 4096, PROT_READ));
	MUST(lseek(fd, 0, SEEK_SET));
	TELL(read(fd, edge, 1));
	TELL(write(fd, edge, 1));
	TELL(fstat(fd, (struct stat *)edge));
	MUST(mprotect(edge, 4096, PROT_NONE));
	TELL(write(fd, edge, 1));
	TELL(read(fd, "constant", 1));
	return guest_done();
}
