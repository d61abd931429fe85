// What only root may do with files: change owners, read what has no permission bits (run natively as root, or not at all).
#include "guest.h"

int main(void)
{
	struct stat st;
	char c;
	int fd;

	umask(0);
	guest_write_file("file", "secret");
	TELL(chmod("file", 0));
	TELL(access("file", R_OK));
	TELL(access("file", W_OK));
	TELL(access("file", X_OK));
	TELL(fd = open("file", O_RDWR));
	TELL(read(fd, &c, 1));
	TELL(chmod("file", 06755));
	TELL(chown("file", 1000, 2000));
	TELL(stat("file", &st));
	printf("%d:%d mode %o\n", st.st_uid, st.st_gid, st.st_mode & 07777);
	TELL(chown("file", -1, 3000));
	TELL(stat("file", &st));
	printf("%d:%d\n", st.st_uid, st.st_gid);
	TELL(symlink("file", "soft"));
	TELL(lchown("soft", 5, 6));
	TELL(lstat("soft", &st));
	printf("%d:%d\n", st.st_uid, st.st_gid);
	TELL(chown("soft", 7, 8));
	TELL(stat("file", &st));
	printf("%d:%d\n", st.st_uid, st.st_gid);
	printf("%d %d %d %d\n", getuid(), geteuid(), getgid(), getegid());
	IN_CHILD("a child without privileges", {
		TELL(setgid(1234));
		TELL(setuid(1234));
		printf("%d %d %d %d\n", getuid(), geteuid(), getgid(), getegid());
		TELL(setuid(0));
	});
	return guest_done();
}
