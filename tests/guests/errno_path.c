// What is wrong with a path: ENOENT, ENOTDIR, EISDIR, EEXIST, ENOTEMPTY, ELOOP, ENAMETOOLONG, EXDEV, ENXIO, and which comes first.
#include "guest.h"
#include <sys/statfs.h>

int main(void)
{
	static char name255[256], name256[257], path4095[4096], path4096[4097];
	struct stat st;

	memset(name255, 'n', 255), memset(name256, 'n', 256);
	for (int i = 0; i < 4095; i++)
		path4095[i] = i % 2 ? '/' : '.';
	for (int i = 0; i < 4096; i++)
		path4096[i] = i % 2 ? '/' : '.';
	guest_write_file("file", "");
	MUST(mkdir("dir", 0755));
	guest_write_file("dir/inside", "");
	MUST(symlink("loop", "loop"));
	TELL(open("missing", O_RDONLY));
	TELL(open("missing/missing", O_RDONLY | O_CREAT, 0644));
	TELL(open("file/x", O_RDONLY));
	TELL(open("file/.", O_RDONLY));
	TELL(open("file/..", O_RDONLY));
	TELL(open("missing/..", O_RDONLY));
	TELL(open("dir", O_WRONLY));
	TELL(open("dir", O_RDWR | O_CREAT, 0644));
	TELL(open("dir", O_RDONLY | O_CREAT | O_EXCL, 0644));
	TELL(open("dir", O_RDONLY | O_TRUNC));
	TELL(open("dir/", O_RDONLY | O_CREAT, 0644));
	TELL(open("loop", O_RDONLY));
	TELL(open("loop/x", O_RDONLY));
	TELL(open("loop", O_CREAT | O_WRONLY, 0644));
	TELL(unlink("loop/"));
	TELL(mkdir("file/x", 0755));
	TELL(mkdir("loop/x", 0755));
	TELL(rmdir("dir"));
	TELL(rmdir("file"));
	TELL(unlink("dir"));
	TELL(rename("dir", "file"));
	TELL(rename("file", "dir"));
	TELL(link("file", "dir"));
	TELL(symlink("x", "file"));
	TELL(truncate("dir", 0));
	TELL(truncate("file/x", 0));
	TELL(truncate("loop", 0));
	TELL(chmod("loop", 0));
	TELL(chdir("file"));
	TELL(chdir("loop"));
	TELL(readlink("dir", (char[8]){ 0 }, 8));
	TELL(stat(name255, &st));
	TELL(stat(name256, &st));
	TELL(open(name256, O_CREAT | O_WRONLY, 0644));
	TELL(close(open(name255, O_CREAT | O_WRONLY, 0644)));
	TELL(stat(name255, &st));
	TELL(mkdir(name256, 0755));
	TELL(symlink("x", name256));
	TELL(link("file", name256));
	TELL(rename("file", name256));
	TELL(rename(name256, "file"));
	TELL(stat(path4095, &st));
	TELL(stat(path4096, &st));
	TELL(open(path4096, O_RDONLY));
	TELL(mkdir(path4096, 0755));
	TELL(symlink(path4096, "x"));
	TELL(symlink(path4095, "x"));
	TELL(chdir(path4096));
	TELL(execve(path4096, (char *[]){ "x", NULL }, (char *[]){ NULL }));
	TELL(statfs(path4096, &(struct statfs){ 0 }));
	// Names in /proc can't be moved to another file system, nor linked there.
	TELL(rename("file", "/proc/file"));
	TELL(rename("/proc/self", "here"));
	TELL(link("/proc/self/stat", "here"));
	TELL(link("file", "/proc/here"));
	TELL(mkdir("/proc/here", 0755));
	TELL(open("/proc/here", O_CREAT | O_WRONLY, 0644));
	TELL(open("/proc/self/missing", O_RDONLY));
	TELL(mkfifo("fifo", 0644));
	TELL(open("fifo", O_WRONLY | O_NONBLOCK));
	TELL(open("fifo/x", O_RDONLY));
	return guest_done();
}
