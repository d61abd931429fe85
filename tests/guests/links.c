// link(2), symlink(2), readlink(2), unlink(2) and the counts of links.
#include "guest.h"

static long links(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? -1 : (long)st.st_nlink;
}

int main(void)
{
	char buf[64], tight[3];
	struct stat a, b;
	int fd;

	guest_write_file("file", "content");
	TELL(mkdir("dir", 0755));
	TELL(links("file"));
	TELL(link("file", "second"));
	TELL(links("file"));
	TELL(link("file", "second"));
	TELL(link("missing", "third"));
	TELL(link("dir", "dirlink"));
	TELL(link("file", "dir"));
	TELL(link("file", "missing/third"));
	TELL(link("file", "dir/third"));
	TELL(stat("file", &a) | stat("dir/third", &b));
	EXPECT(a.st_ino == b.st_ino && a.st_dev == b.st_dev && a.st_nlink == 3);
	TELL(unlink("file"));
	TELL(links("second"));
	guest_show_file("second");
	TELL(unlink("file"));
	TELL(unlink("dir"));
	TELL(unlink("second/"));
	TELL(unlink("second/x"));
	TELL(symlink("second", "soft"));
	TELL(symlink("second", "soft"));
	TELL(symlink("", "empty"));
	TELL(symlink("x", "missing/soft"));
	TELL(symlink("x", "dir/"));
	TELL(readlink("soft", buf, sizeof buf));
	printf("%.6s\n", buf);
	TELL(readlink("soft", tight, sizeof tight));
	printf("%.3s\n", tight);
	TELL(readlink("soft", buf, 0));
	TELL(readlink("soft", BAD_LOW, 10));
	TELL(readlink("second", buf, sizeof buf));
	TELL(readlink("missing", buf, sizeof buf));
	TELL(readlink("soft/", buf, sizeof buf));
	TELL(lstat("soft", &a));
	EXPECT(S_ISLNK(a.st_mode) && a.st_size == 6 && (a.st_mode & 07777) == 0777);
	TELL(stat("soft", &a));
	EXPECT(S_ISREG(a.st_mode) && a.st_size == 7);
	guest_show_file("soft");
	// Symbolic links in the middle of a path, up and down, absolute and relative.
	TELL(symlink("../second", "dir/up"));
	guest_show_file("dir/up");
	TELL(symlink("dir", "way"));
	guest_show_file("way/third");
	TELL(symlink("way/../dir/./up", "long"));
	guest_show_file("long");
	TELL(symlink("/", "root"));
	TELL(access("root/proc", F_OK));
	// Loops, and forty links in a row.
	TELL(symlink("loop2", "loop1"));
	TELL(symlink("loop1", "loop2"));
	TELL(open("loop1", O_RDONLY));
	TELL(stat("loop1/x", &a));
	TELL(lstat("loop1", &a));
	TELL(symlink("second", "l0"));
	for (int i = 1; i <= 41; i++) {
		char from[16], to[16];

		snprintf(from, sizeof from, "l%d", i);
		snprintf(to, sizeof to, "l%d", i - 1);
		MUST(symlink(to, from));
	}
	TELL(access("l39", F_OK));
	TELL(access("l40", F_OK));
	// link(2) doesn't follow, linkat(2) may.
	TELL(link("soft", "softer"));
	TELL(lstat("softer", &a));
	EXPECT(S_ISLNK(a.st_mode) && a.st_nlink == 2);
	TELL(linkat(AT_FDCWD, "soft", AT_FDCWD, "harder", AT_SYMLINK_FOLLOW));
	TELL(lstat("harder", &a));
	EXPECT(S_ISREG(a.st_mode));
	TELL(linkat(AT_FDCWD, "soft", AT_FDCWD, "flag", 0x80000));
	// A file lives on while it is open.
	TELL(fd = open("second", O_RDONLY));
	TELL(unlink("second") | unlink("harder") | unlink("dir/third"));
	TELL(read(fd, buf, sizeof buf));
	TELL(fstat(fd, &a) ? -1 : (long)a.st_nlink);
	TELL(open("soft", O_RDONLY));
	TELL(unlinkat(AT_FDCWD, "dir", 0));
	TELL(unlinkat(AT_FDCWD, "dir", AT_REMOVEDIR));
	TELL(unlinkat(AT_FDCWD, "dir/up", 0));
	TELL(unlinkat(AT_FDCWD, "dir", AT_REMOVEDIR));
	TELL(unlinkat(AT_FDCWD, "soft", AT_REMOVEDIR));
	TELL(unlinkat(AT_FDCWD, "soft", 1));
	return guest_done();
}
