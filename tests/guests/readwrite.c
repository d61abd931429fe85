// read(2), write(2), lseek(2), ftruncate(2), pread(2), pwrite(2): offsets, holes, short reads.
#include "guest.h"

int main(void)
{
	char buf[64];
	static char page[10000];
	struct stat st;
	int fd, other, copy;

	TELL(fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0644));
	TELL(write(fd, "0123456789", 10));
	TELL(write(fd, "", 0));
	TELL(lseek(fd, 0, SEEK_CUR));
	TELL(lseek(fd, 3, SEEK_SET));
	TELL(read(fd, buf, 4));
	printf("%.4s\n", buf);
	TELL(lseek(fd, -2, SEEK_CUR));
	TELL(write(fd, "ab", 2));
	TELL(lseek(fd, -1, SEEK_END));
	TELL(read(fd, buf, 10));
	TELL(read(fd, buf, 10));
	TELL(read(fd, buf, 0));
	guest_show_file("file");
	TELL(lseek(fd, -1, SEEK_SET));
	TELL(lseek(fd, -100, SEEK_CUR));
	TELL(lseek(fd, 0, 77));
	TELL(lseek(fd, 5, SEEK_END));
	TELL(read(fd, buf, 10));
	TELL(write(fd, "Z", 1));
	guest_show_file("file");
	TELL(pread(fd, buf, 4, 2));
	printf("%.4s\n", buf);
	TELL(pread(fd, buf, 4, 100));
	TELL(pread(fd, buf, 4, -1));
	TELL(pwrite(fd, "WW", 2, 1));
	TELL(pwrite(fd, "WW", 2, -1));
	TELL(lseek(fd, 0, SEEK_CUR));
	guest_show_file("file");
	TELL(ftruncate(fd, 5));
	guest_show_file("file");
	TELL(ftruncate(fd, 8));
	guest_show_file("file");
	TELL(ftruncate(fd, -1));
	TELL(truncate("file", 3));
	TELL(truncate("file", -3));
	TELL(truncate("missing", 3));
	TELL(truncate(".", 3));
	TELL(fstat(fd, &st) == 0 ? st.st_size : -1);
	TELL(read(fd, buf, 10));
	// Two opens have two offsets; a dup shares one.
	TELL(other = open("file", O_RDWR));
	TELL(copy = dup(fd));
	TELL(lseek(fd, 1, SEEK_SET));
	TELL(lseek(copy, 0, SEEK_CUR));
	TELL(lseek(other, 0, SEEK_CUR));
	TELL(write(copy, "QQQQ", 4));
	TELL(lseek(fd, 0, SEEK_CUR));
	TELL(read(other, buf, 10));
	printf("%.5s\n", buf);
	TELL(close(copy));
	TELL(close(other));
	// Bytes that were cut off come back as zeros.
	memset(page, 'p', sizeof page);
	TELL(pwrite(fd, page, sizeof page, 0));
	TELL(ftruncate(fd, 4098));
	TELL(ftruncate(fd, 9000));
	TELL(pread(fd, page, sizeof page, 0));
	EXPECT(page[4097] == 'p' && page[4098] == 0 && page[8191] == 0 && page[8999] == 0);
	// A hole of a gigabyte reads as zeros and costs nothing.
	TELL(pwrite(fd, "end", 3, 1 << 30));
	TELL(fstat(fd, &st) == 0 ? st.st_size : -1);
	EXPECT(st.st_blocks < 2048);
	TELL(pread(fd, buf, 10, 500 << 20));
	EXPECT(buf[0] == 0 && buf[9] == 0);
	TELL(pread(fd, buf, 10, 1 << 30));
	printf("%.3s\n", buf);
	TELL(lseek(fd, 1 << 20, SEEK_DATA) <= 1 << 30);
	TELL(lseek(fd, 0, SEEK_HOLE) > 0);
	TELL(lseek(fd, 1l << 31, SEEK_DATA));
	TELL(fsync(fd));
	TELL(fdatasync(fd));
	TELL(unlink("file"));
	TELL(pread(fd, buf, 3, 0));
	TELL(fstat(fd, &st) == 0 ? (long)st.st_nlink : -1);
	TELL(close(fd));
	TELL(access("file", F_OK));
	return guest_done();
}
