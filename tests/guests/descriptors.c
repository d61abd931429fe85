// dup(2), dup2(2), dup3(2), fcntl(2), close_range(2), and the limit of descriptors.
#include "guest.h"
#include <sys/resource.h>

int main(void)
{
	struct rlimit limit;
	int fd, n, last = -1;

	guest_write_file("file", "abc");
	TELL(fd = open("file", O_RDWR | O_CLOEXEC));
	TELL(dup(fd));
	TELL(fcntl(fd, F_GETFD));
	TELL(fcntl(4, F_GETFD));
	TELL(dup2(fd, 10));
	TELL(dup2(fd, fd));
	TELL(fcntl(fd, F_GETFD));
	TELL(dup2(99, 11));
	TELL(dup2(99, 99));
	TELL(dup2(fd, -1));
	TELL(dup3(fd, 12, O_CLOEXEC));
	TELL(fcntl(12, F_GETFD));
	TELL(dup3(fd, fd, 0));
	TELL(dup3(fd, 13, O_APPEND));
	TELL(dup(99));
	TELL(dup(-1));
	TELL(fcntl(fd, F_DUPFD, 20));
	TELL(fcntl(fd, F_DUPFD, 20));
	TELL(fcntl(fd, F_DUPFD_CLOEXEC, 5));
	TELL(fcntl(5, F_GETFD));
	TELL(fcntl(fd, F_DUPFD, -1));
	TELL(fcntl(fd, F_SETFD, 0));
	TELL(fcntl(fd, F_GETFD));
	TELL(fcntl(fd, F_SETFL, O_APPEND | O_RDONLY));
	TELL((fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND)) == (O_RDWR | O_APPEND));
	TELL((fcntl(10, F_GETFL) & O_APPEND) != 0);
	TELL(write(10, "d", 1));
	guest_show_file("file");
	TELL(fcntl(fd, F_SETFL, O_NONBLOCK));
	TELL((fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK)) == O_NONBLOCK);
	TELL(fcntl(99, F_GETFL));
	TELL(fcntl(fd, 9999));
	TELL(syscall(SYS_close_range, 20, 30, 0));
	TELL(fcntl(21, F_GETFD));
	TELL(syscall(SYS_close_range, 5, 4, 0));
	TELL(syscall(SYS_close_range, 10, 12, 4));
	TELL(fcntl(10, F_GETFD));
	TELL(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = 40;
	TELL(setrlimit(RLIMIT_NOFILE, &limit));
	for (n = 0; (fd = dup(1)) >= 0; n++)
		last = fd;
	TELL(dup(1));
	TELL(last);
	TELL(open("file", O_RDONLY));
	TELL(pipe((int[2]){ 0 }));
	TELL(dup2(1, 40));
	TELL(dup2(1, 39));
	TELL(fcntl(1, F_DUPFD, 40));
	TELL(close(30));
	TELL(pipe((int[2]){ 0 }));
	TELL(dup(1));
	return guest_done();
}
