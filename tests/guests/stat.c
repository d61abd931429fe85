// stat(2) and its kin: types, modes, sizes, times.
#include "guest.h"
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>

static void show(const char *path)
{
	struct stat st;

	if (lstat(path, &st)) {
		printf("%s: %s\n", path, strerror(errno));
		return;
	}
	printf("%s: mode %o", path, st.st_mode);
	if (!S_ISDIR(st.st_mode))
		printf(" links %ld", (long)st.st_nlink);
	if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))
		printf(" size %ld", (long)st.st_size);
	if (S_ISCHR(st.st_mode))
		printf(" device %d:%d", major(st.st_rdev), minor(st.st_rdev));
	puts("");
}

int main(void)
{
	struct stat st, by_fd;
	struct statx x;
	struct statfs fs;
	struct timespec now;
	int fd, ends[2];

	umask(027);
	guest_write_file("file", "12345");
	mkdir("dir", 0777);
	symlink("file", "soft");
	mkfifo("fifo", 0666);
	show("file"), show("dir"), show("soft"), show("fifo"), show("missing"), show("file/x"), show("soft/x");
	show("/dev/null"), show("/dev/zero"), show("/dev/full"), show("/dev/urandom"), show("/dev/tty");
	TELL(stat("file", &st));
	EXPECT(st.st_uid == geteuid() && st.st_gid == getegid());
	EXPECT(st.st_blocks * 512 >= 0 && st.st_blksize >= 512);
	fd = MUST(open("file", O_RDONLY));
	TELL(fstat(fd, &by_fd));
	EXPECT(st.st_ino == by_fd.st_ino && st.st_dev == by_fd.st_dev);
	clock_gettime(CLOCK_REALTIME, &now);
	EXPECT(llabs(now.tv_sec - st.st_mtim.tv_sec) < 60);
	EXPECT(st.st_mtim.tv_nsec < 1000000000);
	TELL(pipe(ends));
	TELL(fstat(ends[0], &st));
	EXPECT(S_ISFIFO(st.st_mode));
	EXPECT(st.st_size == 0 && st.st_nlink == 1);
	TELL(fstatat(AT_FDCWD, "soft", &st, 0));
	EXPECT(S_ISREG(st.st_mode));
	TELL(fstatat(AT_FDCWD, "soft", &st, AT_SYMLINK_NOFOLLOW));
	EXPECT(S_ISLNK(st.st_mode));
	TELL(fstatat(fd, "", &st, AT_EMPTY_PATH));
	EXPECT(st.st_size == 5);
	TELL(fstatat(fd, "", &st, 0));
	TELL(fstatat(fd, "x", &st, 0));
	TELL(fstatat(77, "x", &st, 0));
	TELL(fstatat(AT_FDCWD, "file", &st, 1));
	TELL(fstatat(77, "/", &st, 0));
	TELL(stat("", &st));
	TELL(stat("file", BAD_LOW));
	TELL(stat(BAD_LOW, &st));
	TELL(fstat(77, &st));
	TELL(fstat(77, BAD_LOW));
	TELL(statx(AT_FDCWD, "file", 0, STATX_BASIC_STATS, &x));
	EXPECT((x.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
	EXPECT(x.stx_size == 5 && x.stx_mode == (S_IFREG | 0640) && x.stx_nlink == 1);
	TELL(statx(AT_FDCWD, "missing", 0, STATX_BASIC_STATS, &x));
	TELL(statx(AT_FDCWD, "file", 0x8000, STATX_BASIC_STATS, &x));
	TELL(statx(AT_FDCWD, "file", 0, 0x80000000, &x));
	TELL(statfs("file", &fs));
	EXPECT(fs.f_bsize >= 512 && fs.f_namelen == 255);
	TELL(statfs("/proc", &fs));
	EXPECT(fs.f_type == 0x9fa0);
	TELL(statfs("missing", &fs));
	TELL(fstatfs(fd, &fs));
	TELL(fstatfs(77, &fs));
	return guest_done();
}
