// umask(2), chmod(2), access(2).
#include "guest.h"

static long mode(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -1 : (long)(st.st_mode & 07777);
}

int main(void)
{
	int fd;

	umask(022);
	TELL(umask(077));
	TELL(umask(07777));
	TELL(umask(0));
	TELL(close(open("a", O_CREAT | O_WRONLY, 0666)));
	TELL(mode("a") == 0666);
	umask(026);
	TELL(close(open("b", O_CREAT | O_WRONLY, 0777)));
	TELL(mode("b") == 0751);
	TELL(close(open("b", O_CREAT | O_WRONLY, 0)));
	TELL(mode("b") == 0751);
	TELL(chmod("b", 0400));
	TELL(mode("b") == 0400);
	TELL(chmod("b", 0170777));
	TELL(mode("b") == 07777);
	TELL(fd = open("b", O_RDONLY));
	TELL(fchmod(fd, 0123));
	TELL(mode("b") == 0123);
	TELL(fchmodat(AT_FDCWD, "b", 0666, 0));
	TELL(mode("b") == 0666);
	TELL(chmod("missing", 0666));
	TELL(chmod("b/x", 0666));
	TELL(fchmod(99, 0666));
	TELL(mkdir("d", 01777));
	TELL(mode("d") == 01751);
	TELL(symlink("b", "s"));
	TELL(chmod("s", 0640));
	TELL(mode("b") == 0640);
	TELL(access("b", F_OK));
	TELL(access("b", R_OK | W_OK));
	TELL(access("b", X_OK));
	TELL(access("d", X_OK));
	TELL(access("missing", F_OK));
	TELL(access("b", 8));
	TELL(access("b/x", F_OK));
	TELL(access(BAD_LOW, F_OK));
	TELL(faccessat(AT_FDCWD, "b", R_OK, AT_EACCESS));
	TELL(faccessat(fd, "b", R_OK, 0));
	TELL(faccessat(99, "b", R_OK, 0));
	TELL(chmod("b", 0755));
	TELL(access("b", X_OK));
	// Who is nobody's group may still be set by the owner; -1 means "leave it".
	TELL(chown("b", -1, -1));
	TELL(chown("b", getuid(), getgid()));
	TELL(fchown(fd, -1, getgid()));
	TELL(lchown("s", getuid(), -1));
	TELL(chown("missing", -1, -1));
	TELL(fchown(99, -1, -1));
	return guest_done();
}
