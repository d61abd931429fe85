// Files in memory: private copies, shared ones between mappings, processes and read(2)/write(2), and the end of the file.
#include "guest.h"

int main(void)
{
	char buf[16], *a, *b, *shared;
	int fd, read_only, status;
	volatile char sink;

	guest_write_file("file", "0123456789");
	fd = MUST(open("file", O_RDWR));
	a = MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	printf("%.10s\n", a);
	EXPECT(a[10] == 0 && a[4095] == 0);
	a[0] = 'P';
	guest_show_file("file");
	b = MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	EXPECT(b[0] == '0');
	b[1] = 'S';
	guest_show_file("file");
	EXPECT(a[1] == '1'); // a's page was copied at the first write
	MUST(pwrite(fd, "W", 1, 2));
	EXPECT(b[2] == 'W');
	TELL(close(fd));
	b[3] = 'C';
	guest_show_file("file");
	TELL(msync(b, 4096, MS_SYNC));
	// Bytes after the end of the file don't reach it.
	b[100] = 'x';
	guest_show_file("file");
	TELL(munmap(b, 4096));
	// A page that was only read follows the file.
	fd = MUST(open("file", O_RDWR));
	b = MUST(mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, fd, 0));
	sink = b[0];
	MUST(pwrite(fd, "F", 1, 0));
	EXPECT(b[0] == 'F');
	(void)sink;
	IN_CHILD("a reader behind the end", sink = b[4096]);
	MUST(ftruncate(fd, 8192));
	EXPECT(b[4096] == 0);
	MUST(pwrite(fd, "T", 1, 8191));
	EXPECT(b[8191] == 'T');
	MUST(ftruncate(fd, 10));
	IN_CHILD("a reader of what was cut off", sink = b[4096]);
	TELL(write(1, b + 4096, 1));
	// An offset, and what may be asked of a file that is open for reading.
	MUST(pwrite(fd, "second page", 11, 4096));
	a = MUST(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 4096));
	printf("%.11s\n", a);
	read_only = MUST(open("file", O_RDONLY));
	EXPECT(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, read_only, 0) == MAP_FAILED && errno == EACCES);
	a = MUST(mmap(NULL, 4096, PROT_READ, MAP_SHARED, read_only, 0));
	errno = 0;
	EXPECT(mprotect(a, 4096, PROT_READ | PROT_WRITE) == -1 && errno == EACCES);
	a = MUST(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, read_only, 0));
	TELL(mprotect(a, 4096, PROT_READ | PROT_WRITE));
	a[0] = 'q';
	EXPECT(pread(fd, buf, 1, 0) == 1 && buf[0] == 'F');
	// A file that was unlinked lives on in memory.
	MUST(unlink("file"));
	close(fd), close(read_only);
	EXPECT(b[1] == 'S');
	// Shared and private anonymous memory over fork.
	shared = MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	a = MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	shared[0] = a[0] = '1';
	if (fork() == 0) {
		shared[0] = a[0] = '2';
		shared[2000] = 'c';
		_exit(0);
	}
	wait(&status);
	printf("shared %c private %c later %c\n", shared[0], a[0], shared[2000]);
	a = MUST(mremap(shared, 4096, 4096, MREMAP_MAYMOVE));
	EXPECT(a[0] == '2');
	return guest_done();
}
