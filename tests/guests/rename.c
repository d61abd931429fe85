// rename(2): over files, over directories, into itself.
#include "guest.h"

int main(void)
{
	char buf[16];
	struct stat st;
	ino_t inode;
	int fd;

	guest_write_file("a", "A");
	guest_write_file("b", "B");
	mkdir("dir", 0755);
	mkdir("dir/sub", 0755);
	mkdir("empty", 0755);
	mkdir("full", 0755);
	guest_write_file("full/x", "X");
	stat("a", &st);
	inode = st.st_ino;
	fd = open("b", O_RDONLY);
	TELL(rename("a", "b"));
	guest_show_file("a");
	guest_show_file("b");
	TELL(stat("b", &st));
	EXPECT(st.st_ino == inode);
	TELL(read(fd, buf, 1));
	printf("%c\n", buf[0]);
	TELL(rename("missing", "c"));
	TELL(rename("b", "missing/c"));
	TELL(rename("b", "b"));
	TELL(rename("b", "dir"));
	TELL(rename("dir", "b"));
	TELL(rename("b", "dir/b"));
	TELL(rename("dir", "dir/sub/dir"));
	TELL(rename("dir", "dir"));
	TELL(rename("dir/sub", "dir"));
	TELL(rename("empty", "full"));
	TELL(rename("full", "empty"));
	guest_show_file("empty/x");
	TELL(rename("dir/b", "./dir/./c"));
	TELL(rename("dir/c/", "dir/d"));
	TELL(rename("dir/c", "dir/d/"));
	TELL(rename("dir/", "moved/"));
	guest_show_file("moved/c");
	TELL(rename("moved/.", "x"));
	TELL(rename("moved/..", "x"));
	TELL(rename("moved", "."));
	TELL(rename(".", "x"));
	TELL(rename("", "x"));
	TELL(symlink("moved/c", "soft"));
	TELL(rename("soft", "softer"));
	TELL(lstat("softer", &st));
	EXPECT(S_ISLNK(st.st_mode));
	TELL(link("moved/c", "hard"));
	TELL(rename("hard", "moved/c")); // two names of one file: nothing happens
	TELL(access("hard", F_OK));
	TELL(renameat2(AT_FDCWD, "hard", AT_FDCWD, "moved/c", RENAME_NOREPLACE));
	TELL(renameat2(AT_FDCWD, "hard", AT_FDCWD, "fresh", RENAME_NOREPLACE));
	guest_write_file("other", "O");
	TELL(renameat2(AT_FDCWD, "other", AT_FDCWD, "fresh", RENAME_EXCHANGE));
	guest_show_file("fresh");
	TELL(renameat2(AT_FDCWD, "other", AT_FDCWD, "none", RENAME_EXCHANGE));
	TELL(renameat2(AT_FDCWD, "other", AT_FDCWD, "none", RENAME_EXCHANGE | RENAME_NOREPLACE));
	TELL(renameat2(AT_FDCWD, "other", AT_FDCWD, "none", 64));
	// The parent's link count follows a directory that moves.
	TELL(mkdir("p", 0755) | mkdir("q", 0755) | mkdir("p/child", 0755));
	TELL(rename("p/child", "q/child"));
	TELL(rmdir("p"));
	TELL(rmdir("q"));
	TELL(rmdir("q/child"));
	TELL(rmdir("q"));
	return guest_done();
}
