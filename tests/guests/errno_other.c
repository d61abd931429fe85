// The rest of the errors that programs meet: ESPIPE, EPIPE, ENOTTY, ECHILD, ESRCH, ENOSPC, EAGAIN, ENOEXEC, EACCES, EFBIG, ENOSYS.
#include "guest.h"
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <termios.h>

int main(void)
{
	char buf[64];
	struct termios t;
	struct winsize size;
	int ends[2], fd, full;

	signal(SIGPIPE, SIG_IGN);
	MUST(pipe2(ends, O_NONBLOCK));
	TELL(lseek(ends[0], 0, SEEK_SET));
	TELL(lseek(ends[0], 0, 99));
	TELL(pread(ends[0], buf, 1, 0));
	TELL(pwrite(ends[1], buf, 1, 0));
	TELL(read(ends[0], buf, 1));
	TELL(read(ends[1], buf, 1));
	TELL(write(ends[0], buf, 1));
	MUST(close(ends[0]));
	TELL(write(ends[1], buf, 1));
	TELL(write(ends[1], buf, 0));
	guest_write_file("file", "not a program\n");
	fd = MUST(open("file", O_RDWR));
	TELL(isatty(fd) ? 0 : -1);
	TELL(tcgetattr(fd, &t));
	TELL(ioctl(fd, TIOCGWINSZ, &size));
	TELL(ioctl(ends[1], TCGETS, &t));
	TELL(tcgetpgrp(fd));
	TELL(ttyname_r(fd, buf, sizeof buf));
	TELL(wait(NULL));
	TELL(waitpid(1 << 22, NULL, 0));
	TELL(waitpid(-(1 << 22), NULL, WNOHANG));
	TELL(kill(1 << 22, 0));
	TELL(kill(-(1 << 22), 0));
	TELL(kill(getpid(), 0));
	TELL(getpgid(1 << 22));
	TELL(getsid(1 << 22));
	TELL(setpgid(1 << 22, 0));
	TELL(syscall(SYS_tgkill, getpid(), 1 << 22, 0));
	TELL(syscall(SYS_tgkill, -1, 1, 0));
	TELL(syscall(SYS_prlimit64, 1 << 22, RLIMIT_NOFILE, NULL, NULL));
	full = MUST(open("/dev/full", O_RDWR));
	TELL(write(full, "x", 1));
	TELL(read(full, buf, 1));
	TELL(execve("file", (char *[]){ "file", NULL }, (char *[]){ NULL }));
	MUST(chmod("file", 0755));
	TELL(execve("file", (char *[]){ "file", NULL }, (char *[]){ NULL }));
	TELL(execve(".", (char *[]){ "file", NULL }, (char *[]){ NULL }));
	TELL(execve("missing", (char *[]){ "file", NULL }, (char *[]){ NULL }));
	TELL(execve("file/x", (char *[]){ "file", NULL }, (char *[]){ NULL }));
	MUST(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 20, 20 }));
	signal(SIGXFSZ, SIG_IGN);
	TELL(lseek(fd, 18, SEEK_SET));
	TELL(write(fd, "12345", 5));
	TELL(write(fd, "12345", 5));
	TELL(ftruncate(fd, 21));
	TELL(syscall(100000));
	TELL(syscall(-1));
	TELL(syscall(400));
	TELL(syscall(1000, 1, 2, 3));
	return guest_done();
}
