// mkdir(2), rmdir(2), getdents64(2) through readdir(3), chdir(2), getcwd(2).
#include "guest.h"
#include <dirent.h>

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *path)
{
	char *names[300];
	int n = 0, inodes_agree = 0, types_agree = 0;
	DIR *dir = opendir(path);
	struct dirent *entry;
	struct stat st;

	if (!dir) {
		printf("%s: %s\n", path, strerror(errno));
		return;
	}
	while ((entry = readdir(dir))) {
		fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW);
		inodes_agree += entry->d_ino == st.st_ino;
		types_agree += entry->d_type == IFTODT(st.st_mode);
		names[n++] = strdup(entry->d_name);
	}
	qsort(names, n, sizeof *names, by_text);
	printf("%s holds", path);
	for (int i = 0; i < n && i < 12; i++)
		printf(" %s", names[i]);
	printf(": %d\n", n);
	EXPECT(inodes_agree == n);
	EXPECT(types_agree == n);
	rewinddir(dir);
	for (int again = 0; readdir(dir); again++)
		n--;
	EXPECT(n == 0);
	closedir(dir);
}

int main(void)
{
	char start[PATH_MAX], buf[PATH_MAX], name[300];
	struct stat st;
	int fd;

	umask(022);
	MUST(mkdir("directories", 0755));
	MUST(chdir("directories"));
	TELL(mkdir("d", 0777));
	TELL(stat("d", &st));
	EXPECT(S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 0755);
	TELL(mkdir("d", 0777));
	TELL(mkdir("d/", 0777));
	TELL(mkdir("missing/d", 0777));
	TELL(mkdir("d/e/", 0700));
	TELL(mkdir("", 0777));
	TELL(mkdir(".", 0777));
	TELL(mkdir("/", 0777));
	guest_write_file("file", "");
	TELL(mkdir("file", 0777));
	TELL(mkdir("file/d", 0777));
	TELL(symlink("nowhere", "s"));
	TELL(mkdir("s", 0777));
	TELL(rmdir("missing"));
	TELL(rmdir("file"));
	TELL(rmdir("s"));
	TELL(rmdir("d"));
	TELL(rmdir("d/."));
	TELL(rmdir("d/e/.."));
	TELL(rmdir("/"));
	TELL(rmdir(""));
	list(".");
	list("d");
	list("file");
	list("missing");
	for (int i = 0; i < 250; i++) {
		snprintf(name, sizeof name, "d/%03d-%.*s", i, i / 2, "a long name makes the kernel return the entries in several calls, for the buffer is limited; "
							   "a long name makes the kernel return the entries in several calls");
		fd = MUST(open(name, O_CREAT | O_WRONLY, 0644));
		close(fd);
	}
	list("d");
	for (int i = 0; i < 250; i++) {
		snprintf(name, sizeof name, "d/%03d-%.*s", i, i / 2, "a long name makes the kernel return the entries in several calls, for the buffer is limited; "
							   "a long name makes the kernel return the entries in several calls");
		MUST(unlink(name));
	}
	list("d");
	// chdir and getcwd.
	EXPECT(getcwd(start, sizeof start) == start);
	EXPECT(start[0] == '/');
	TELL(chdir("d/e"));
	EXPECT(getcwd(buf, sizeof buf) == buf);
	EXPECT(strncmp(buf, start, strlen(start)) == 0);
	puts(buf + strlen(start) - (start[1] == 0));
	TELL(syscall(SYS_getcwd, buf, sizeof buf) - strlen(start) - (start[1] != 0));
	TELL(syscall(SYS_getcwd, buf, 3));
	TELL(syscall(SYS_getcwd, buf, 0));
	TELL(syscall(SYS_getcwd, BAD_LOW, 4096));
	TELL(chdir(".."));
	TELL(access("e", F_OK));
	TELL(chdir("../file"));
	TELL(chdir("missing"));
	TELL(chdir(""));
	TELL(fd = open("e", O_RDONLY));
	TELL(fchdir(fd));
	TELL(access("../e", F_OK));
	TELL(fchdir(-1));
	TELL(chdir("..") | chdir(".."));
	TELL(close(fd));
	TELL(fd = open("file", O_RDONLY));
	TELL(fchdir(fd));
	TELL(chdir("/"));
	EXPECT(getcwd(buf, sizeof buf) && strcmp(buf, "/") == 0);
	TELL(chdir(".."));
	EXPECT(getcwd(buf, sizeof buf) && strcmp(buf, "/") == 0);
	TELL(chdir(start));
	// A directory that was removed under its user.
	TELL(mkdir("gone", 0755));
	TELL(chdir("gone"));
	TELL(rmdir("../gone"));
	errno = 0;
	EXPECT(getcwd(buf, sizeof buf) == NULL && errno == ENOENT);
	TELL(open("x", O_CREAT | O_WRONLY, 0644));
	TELL(mkdir("x", 0755));
	TELL(access(".", F_OK));
	TELL(chdir(".."));
	// getdents64 itself.
	TELL(fd = open("d", O_RDONLY));
	TELL(syscall(SYS_getdents64, fd, buf, 10));
	TELL(syscall(SYS_getdents64, fd, buf, sizeof buf));
	TELL(syscall(SYS_getdents64, fd, buf, sizeof buf));
	TELL(lseek(fd, 0, SEEK_SET));
	TELL(syscall(SYS_getdents64, fd, BAD_LOW, 4096));
	TELL(syscall(SYS_getdents64, 1, buf, sizeof buf));
	TELL(syscall(SYS_getdents64, 99, buf, sizeof buf));
	return guest_done();
}
