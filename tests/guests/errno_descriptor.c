// EBADF: every call that takes a descriptor refuses one that isn't open, or isn't open for this.
#include "guest.h"
#include <poll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <sys/vfs.h>

int main(void)
{
	static const int bad[] = { -1, 77, 1 << 20, INT_MAX, INT_MIN };
	char buf[256];
	struct stat st;
	struct statfs fs;
	struct iovec v = { buf, 1 };
	struct timespec times[2] = { { 1, 1 }, { 1, 1 } };
	int reader, writer;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		int fd = bad[i];

		printf("descriptor %d\n", fd);
		TELL(read(fd, buf, 1));
		TELL(read(fd, buf, 0));
		TELL(read(fd, BAD_LOW, 1));
		TELL(write(fd, buf, 1));
		TELL(write(fd, BAD_LOW, 1));
		TELL(pread(fd, buf, 1, 0));
		TELL(pwrite(fd, buf, 1, 0));
		TELL(readv(fd, &v, 1));
		TELL(writev(fd, &v, 1));
		TELL(lseek(fd, 0, SEEK_SET));
		TELL(lseek(fd, 0, 99));
		TELL(close(fd));
		TELL(dup(fd));
		TELL(dup2(fd, 5));
		TELL(fcntl(fd, F_GETFD));
		TELL(fcntl(fd, F_GETFL));
		TELL(fstat(fd, &st));
		TELL(fstatfs(fd, &fs));
		TELL(ftruncate(fd, 0));
		TELL(fsync(fd));
		TELL(fchdir(fd));
		TELL(fchmod(fd, 0));
		TELL(fchown(fd, -1, -1));
		TELL(futimens(fd, times));
		TELL(syscall(SYS_getdents64, fd, buf, sizeof buf));
		TELL(ioctl(fd, TIOCGWINSZ, buf));
		TELL(flock(fd, LOCK_SH));
		TELL(isatty(fd) ? 0 : -1);
		TELL(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0);
	}
	// -100 is AT_FDCWD for the *at calls only.
	TELL(read(AT_FDCWD, buf, 1));
	TELL(fstatat(AT_FDCWD, ".", &st, 0));
	guest_write_file("file", "x");
	reader = MUST(open("file", O_RDONLY));
	writer = MUST(open("file", O_WRONLY));
	TELL(write(reader, buf, 1));
	TELL(write(reader, BAD_LOW, 1));
	TELL(read(writer, buf, 1));
	TELL(read(writer, BAD_LOW, 1));
	TELL(ftruncate(reader, 0));
	TELL(pwrite(reader, buf, 1, 0));
	TELL(pread(writer, buf, 1, 0));
	TELL(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, writer, 0) == MAP_FAILED ? -1 : 0);
	TELL(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, reader, 0) == MAP_FAILED ? -1 : 0);
	// Only the low 32 bits of the register are the descriptor.
	TELL(syscall(SYS_fcntl, 0x100000001, F_GETFD));
	TELL(syscall(SYS_lseek, 0xdead00000000 | reader, 0, SEEK_END));
	return guest_done();
}
