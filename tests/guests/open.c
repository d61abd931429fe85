// open(2): its flags, and which descriptor it gives.
#include "guest.h"

int main(void)
{
	char buf[16];
	int fd;

	umask(022);
	TELL(open("missing", O_RDONLY));
	TELL(fd = open("new", O_WRONLY | O_CREAT | O_EXCL, 0640));
	TELL(write(fd, "hello", 5));
	TELL(read(fd, buf, 5));
	TELL(close(fd));
	TELL(close(fd));
	TELL(open("new", O_WRONLY | O_CREAT | O_EXCL, 0640));
	TELL(fd = open("new", O_RDONLY));
	TELL(write(fd, "x", 1));
	TELL(read(fd, buf, sizeof buf));
	TELL(read(fd, buf, sizeof buf));
	TELL(close(fd));
	TELL(fd = open("new", O_RDWR | O_TRUNC));
	TELL(lseek(fd, 0, SEEK_END));
	TELL(close(fd));
	TELL(fd = open("new", O_WRONLY | O_APPEND));
	TELL(write(fd, "abc", 3));
	TELL(lseek(fd, 0, SEEK_SET));
	TELL(write(fd, "def", 3));
	TELL(lseek(fd, 0, SEEK_CUR));
	TELL(close(fd));
	guest_show_file("new");
	TELL(open("new/below", O_RDONLY));
	TELL(open("new/", O_RDONLY));
	TELL(open("new", O_RDONLY | O_DIRECTORY));
	TELL(open(".", O_WRONLY));
	TELL(open(".", O_RDWR));
	TELL(open(".", O_RDONLY | O_CREAT, 0644));
	TELL(open("missing/", O_WRONLY | O_CREAT, 0644));
	TELL(open("", O_RDONLY));
	TELL(fd = open(".", O_RDONLY | O_DIRECTORY));
	TELL(read(fd, buf, 1));
	TELL(write(fd, buf, 1));
	TELL(close(fd));
	TELL(symlink("new", "link"));
	TELL(open("link", O_RDONLY | O_NOFOLLOW));
	TELL(open("link", O_WRONLY | O_CREAT | O_EXCL, 0644));
	TELL(fd = open("link", O_RDONLY));
	TELL(close(fd));
	TELL(symlink("target", "dangling"));
	TELL(open("dangling", O_RDONLY));
	TELL(open("dangling", O_RDWR | O_CREAT | O_EXCL, 0644));
	TELL(fd = open("dangling", O_RDWR | O_CREAT, 0644));
	TELL(access("target", F_OK));
	TELL(close(fd));
	TELL(fd = creat("new", 0600));
	TELL(lseek(fd, 0, SEEK_END));
	TELL(read(fd, buf, 1));
	TELL(close(fd));
	TELL(fd = open("new", O_PATH));
	TELL(read(fd, buf, 1));
	TELL(write(fd, buf, 1));
	TELL(ftruncate(fd, 0));
	TELL(fchmod(fd, 0644));
	TELL(lseek(fd, 0, SEEK_SET));
	TELL(dup(fd));
	TELL(close(fd + 1));
	TELL(close(fd));
	TELL(fd = open("new", O_RDONLY | O_CLOEXEC));
	TELL(fcntl(fd, F_GETFD));
	TELL(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK));
	TELL(close(fd));
	// The lowest free descriptor is the one that is given.
	TELL(open("new", O_RDONLY));
	TELL(open("new", O_RDONLY));
	TELL(open("new", O_RDONLY));
	TELL(close(4));
	TELL(open("new", O_RDONLY));
	TELL(open("new", O_RDONLY | O_TMPFILE));
	return guest_done();
}
