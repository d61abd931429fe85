// Named pipes: opening waits for the other end, unless told not to.
#include "guest.h"

int main(void)
{
	char buf[16];
	int fd, status;

	signal(SIGPIPE, SIG_IGN);
	TELL(mkfifo("fifo", 0644));
	TELL(mkfifo("fifo", 0644));
	TELL(open("fifo", O_WRONLY | O_NONBLOCK));
	TELL(fd = open("fifo", O_RDONLY | O_NONBLOCK));
	TELL(read(fd, buf, 1));
	TELL(close(fd));
	if (fork() == 0) {
		fd = open("fifo", O_WRONLY);
		write(fd, "through", 7);
		_exit(0);
	}
	TELL(fd = open("fifo", O_RDONLY));
	TELL(read(fd, buf, sizeof buf));
	TELL(read(fd, buf, sizeof buf));
	TELL(lseek(fd, 0, SEEK_SET));
	wait(&status);
	guest_status("the writer", status);
	TELL(close(fd));
	TELL(fd = open("fifo", O_RDWR));
	TELL(write(fd, "both", 4));
	TELL(read(fd, buf, sizeof buf));
	TELL(unlink("fifo"));
	return guest_done();
}
