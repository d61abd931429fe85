// The *at calls: paths that start at a directory's descriptor.
#include "guest.h"

int main(void)
{
	char buf[32];
	struct stat st;
	int dir, file, fd;

	TELL(mkdir("d", 0755));
	TELL(dir = open("d", O_RDONLY | O_DIRECTORY));
	TELL(fd = openat(dir, "f", O_CREAT | O_RDWR, 0644));
	TELL(write(fd, "inside", 6));
	TELL(close(fd));
	guest_show_file("d/f");
	TELL(mkdirat(dir, "e", 0755));
	TELL(symlinkat("../f", dir, "e/s"));
	TELL(readlinkat(dir, "e/s", buf, sizeof buf));
	printf("%.4s\n", buf);
	TELL(fstatat(dir, "e/s", &st, 0));
	TELL(linkat(dir, "f", dir, "e/g", 0));
	TELL(renameat(dir, "e/g", AT_FDCWD, "h"));
	guest_show_file("h");
	TELL(unlinkat(dir, "e", 0));
	TELL(unlinkat(dir, "e/s", 0));
	TELL(unlinkat(dir, "e", AT_REMOVEDIR));
	TELL(file = open("h", O_RDONLY));
	TELL(openat(file, "x", O_RDONLY));
	TELL(openat(99, "x", O_RDONLY));
	TELL(openat(-1, "x", O_RDONLY));
	TELL(fd = openat(99, "/", O_RDONLY));
	TELL(close(fd));
	TELL(openat(dir, "", O_RDONLY));
	TELL(openat(dir, "..", O_WRONLY));
	TELL(fd = openat(dir, "../h", O_RDONLY));
	TELL(close(fd));
	TELL(faccessat(dir, "f", F_OK, 0));
	TELL(faccessat(dir, "zz", F_OK, 0));
	// The descriptor stays good when the directory is renamed.
	TELL(rename("d", "moved"));
	TELL(faccessat(dir, "f", F_OK, 0));
	TELL(fd = openat(dir, ".", O_PATH));
	TELL(faccessat(fd, "f", F_OK, 0));
	TELL(mkfifoat(dir, "p", 0644));
	TELL(fstatat(dir, "p", &st, 0));
	EXPECT(S_ISFIFO(st.st_mode));
	return guest_done();
}
