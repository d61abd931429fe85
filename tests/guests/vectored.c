// readv(2), writev(2), preadv(2), pwritev(2): many buffers, one transfer.
#include "guest.h"
#include <sys/uio.h>

int main(void)
{
	char a[4], b[8], c[8];
	struct iovec out[] = { { "one ", 4 }, { NULL, 0 }, { "two ", 4 }, { "three", 5 } };
	struct iovec in[] = { { a, 4 }, { b, 8 }, { c, 8 } };
	struct iovec fault[] = { { "good", 4 }, { BAD_LOW, 4 } };
	struct iovec huge[] = { { a, SSIZE_MAX }, { b, SSIZE_MAX } };
	static struct iovec many[1025];
	int fd;

	TELL(fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0644));
	TELL(writev(fd, out, 4));
	guest_show_file("file");
	TELL(lseek(fd, 0, SEEK_SET));
	memset(c, 0, sizeof c);
	TELL(readv(fd, in, 3));
	printf("%.4s|%.8s|%.8s\n", a, b, c);
	TELL(readv(fd, in, 3));
	TELL(preadv(fd, in, 1, 4));
	printf("%.4s\n", a);
	TELL(pwritev(fd, out + 2, 1, 0));
	guest_show_file("file");
	TELL(lseek(fd, 0, SEEK_CUR));
	TELL(writev(fd, out, 0));
	TELL(writev(fd, out, -1));
	TELL(writev(fd, many, 1025));
	TELL(writev(fd, many, 1024));
	TELL(writev(fd, (struct iovec *)BAD_LOW, 1));
	TELL(writev(fd, huge, 2));
	TELL(writev(-1, out, 1));
	TELL(lseek(fd, 0, SEEK_SET));
	TELL(writev(fd, fault, 2));
	TELL(writev(fd, fault + 1, 1));
	TELL(lseek(fd, 0, SEEK_SET));
	fault[0].iov_base = a;
	TELL(readv(fd, fault, 2));
	TELL(preadv(fd, in, 1, -1));
	TELL(preadv2(fd, in, 1, 0, 0));
	TELL(preadv2(fd, in, 1, -1, 0));
	TELL(pwritev2(fd, out, 1, 0, 0x40000000));
	return guest_done();
}
