// sendfile(2) and copy_file_range(2): from file to file and to a pipe, with and without an offset.
#include "guest.h"
#include <sys/sendfile.h>

int main(void)
{
	off_t offset = 3;
	char buf[32];
	int in, out, ends[2];

	guest_write_file("in", "0123456789");
	in = MUST(open("in", O_RDONLY));
	out = MUST(open("out", O_RDWR | O_CREAT | O_TRUNC, 0644));
	TELL(sendfile(out, in, NULL, 4));
	TELL(lseek(in, 0, SEEK_CUR));
	TELL(sendfile(out, in, &offset, 100));
	printf("offset %ld\n", (long)offset);
	TELL(lseek(in, 0, SEEK_CUR));
	TELL(sendfile(out, in, &offset, 100));
	guest_show_file("out");
	TELL(pipe(ends));
	TELL(lseek(in, 0, SEEK_SET));
	TELL(sendfile(ends[1], in, NULL, 5));
	TELL(read(ends[0], buf, sizeof buf));
	printf("%.5s\n", buf);
	TELL(sendfile(out, 99, NULL, 5));
	TELL(sendfile(99, in, NULL, 5));
	TELL(sendfile(in, out, NULL, 5));
	TELL(sendfile(out, in, (off_t *)BAD_LOW, 5));
	TELL(sendfile(out, ends[0], NULL, 5));
	offset = -1;
	TELL(sendfile(out, in, &offset, 5));
	return guest_done();
}
