// utimensat(2): access and modification times, and which calls change them.
#include "guest.h"
#include <sys/time.h>
#include <time.h>
#include <utime.h>

static struct stat st;

static void show(const char *path)
{
	MUST(stat(path, &st));
	printf("%s: accessed %ld.%09ld, modified %ld.%09ld\n", path, (long)st.st_atim.tv_sec, st.st_atim.tv_nsec, (long)st.st_mtim.tv_sec,
	       st.st_mtim.tv_nsec);
}

int main(void)
{
	struct timespec two[2] = { { 1000, 123456789 }, { 2000000000, 5 } }, omit[2] = { { 77, UTIME_OMIT }, { 88, 0 } };
	struct timespec now[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } }, bad[2] = { { 0, 1000000000 }, { 0, 0 } };
	struct timeval micro[2] = { { 111, 222 }, { 333, 444 } };
	struct timespec dir_before;
	int fd;

	guest_write_file("file", "x");
	TELL(utimensat(AT_FDCWD, "file", two, 0));
	show("file");
	TELL(utimensat(AT_FDCWD, "file", omit, 0));
	show("file");
	EXPECT(time(NULL) - st.st_ctim.tv_sec < 60);
	fd = MUST(open("file", O_RDWR));
	TELL(futimens(fd, two));
	show("file");
	TELL(utimes("file", micro));
	show("file");
	TELL(utime("file", &(struct utimbuf){ 5, 6 }));
	show("file");
	TELL(write(fd, "y", 1));
	MUST(stat("file", &st));
	EXPECT(time(NULL) - st.st_mtim.tv_sec < 60);
	TELL(futimens(fd, two));
	TELL(ftruncate(fd, 0));
	MUST(stat("file", &st));
	EXPECT(time(NULL) - st.st_mtim.tv_sec < 60);
	TELL(futimens(fd, two));
	TELL(chmod("file", 0600));
	show("file");
	TELL(utimensat(AT_FDCWD, "file", now, 0));
	MUST(stat("file", &st));
	EXPECT(time(NULL) - st.st_mtim.tv_sec < 60 && time(NULL) - st.st_atim.tv_sec < 60);
	TELL(utimensat(AT_FDCWD, "file", bad, 0));
	TELL(utimensat(AT_FDCWD, "missing", two, 0));
	TELL(utimensat(AT_FDCWD, "file", BAD_LOW, 0));
	TELL(utimensat(AT_FDCWD, "file", two, 1));
	TELL(futimens(99, two));
	TELL(symlink("file", "soft"));
	TELL(futimens(fd, two));
	TELL(utimensat(AT_FDCWD, "soft", (struct timespec[2]){ { 9, 9 }, { 9, 9 } }, AT_SYMLINK_NOFOLLOW));
	show("soft");
	MUST(lstat("soft", &st));
	printf("the link: %ld\n", (long)st.st_mtim.tv_sec);
	// Making and removing a name changes the directory, renaming does too.
	TELL(mkdir("dir", 0755));
	TELL(utimensat(AT_FDCWD, "dir", two, 0));
	guest_write_file("dir/x", "");
	MUST(stat("dir", &st));
	EXPECT(time(NULL) - st.st_mtim.tv_sec < 60);
	TELL(utimensat(AT_FDCWD, "dir", two, 0));
	guest_write_file("dir/x", "changing a file leaves its directory alone");
	show("dir");
	TELL(rename("dir/x", "dir/y"));
	MUST(stat("dir", &st));
	EXPECT(time(NULL) - st.st_mtim.tv_sec < 60);
	dir_before = st.st_mtim;
	TELL(unlink("dir/y"));
	MUST(stat("dir", &st));
	EXPECT(st.st_mtim.tv_sec >= dir_before.tv_sec);
	return guest_done();
}
