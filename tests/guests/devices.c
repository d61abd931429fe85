// /dev: null, zero, full, random, urandom, and the standard streams' names.
#include "guest.h"

int main(void)
{
	char buf[4096];
	int fd, nonzero = 0, ends[2];
	char *p;
	struct stat st;

	fd = MUST(open("/dev/null", O_RDWR));
	TELL(read(fd, buf, 10));
	TELL(write(fd, buf, 4096));
	TELL(lseek(fd, 100, SEEK_SET));
	TELL(ftruncate(fd, 10));
	TELL(close(fd));
	TELL(fd = open("/dev/null", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644));
	close(fd);
	fd = MUST(open("/dev/zero", O_RDWR));
	memset(buf, 1, sizeof buf);
	TELL(read(fd, buf, sizeof buf));
	for (size_t i = 0; i < sizeof buf; i++)
		nonzero += buf[i] != 0;
	TELL(nonzero);
	TELL(write(fd, buf, 100));
	p = MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	EXPECT(p[0] == 0 && (p[0] = 1));
	close(fd);
	fd = MUST(open("/dev/full", O_RDWR));
	TELL(read(fd, buf, 10));
	TELL(write(fd, buf, 10));
	TELL(write(fd, buf, 0));
	close(fd);
	for (int i = 0; i < 2; i++) {
		fd = MUST(open(i ? "/dev/random" : "/dev/urandom", O_RDONLY));
		memset(buf, 0, 256);
		TELL(read(fd, buf, 256));
		nonzero = 0;
		for (int j = 0; j < 256; j++)
			nonzero += buf[j] != 0;
		EXPECT(nonzero > 200);
		close(fd);
	}
	MUST(pipe(ends));
	MUST(dup2(ends[0], 0));
	MUST(write(ends[1], "by name", 7));
	TELL(fd = open("/dev/stdin", O_RDONLY));
	TELL(read(fd, buf, 10));
	TELL(close(fd));
	TELL(fd = open("/dev/fd/0", O_RDONLY));
	TELL(stat("/dev/null", &st));
	EXPECT(S_ISCHR(st.st_mode));
	TELL(open("/dev/missing", O_RDONLY));
	TELL(open("/dev/null/x", O_RDONLY));
	TELL(open("/dev/null", O_RDONLY | O_DIRECTORY));
	TELL(isatty(1));
	return guest_done();
}
