// /proc: what programs read there of themselves.
#include "guest.h"
#include <dirent.h>

static char text[1 << 16];

static const char *contents(const char *path)
{
	FILE *f = fopen(path, "r");
	size_t n;

	if (!f) {
		printf("WRONG: %s: %s\n", path, strerror(errno));
		return "";
	}
	n = fread(text, 1, sizeof text - 1, f);
	text[n] = 0;
	fclose(f);
	return text;
}

static bool numeric(const char *s)
{
	return strspn(s, "0123456789") == strlen(s);
}

int main(int argc, char **argv)
{
	char link[PATH_MAX], path[64], *field;
	struct stat a, b;
	struct dirent *entry;
	int fd, processes = 0, self_seen = 0, pid, ppid, ends[2];
	ssize_t n;
	DIR *dir;
	unsigned long from, to;
	bool stack = false, heap = false, own_code = false;

	(void)argc;
	n = MUST(readlink("/proc/self", link, sizeof link - 1));
	link[n] = 0;
	EXPECT(atoi(link) == getpid());
	n = MUST(readlink("/proc/self/exe", link, sizeof link - 1));
	link[n] = 0;
	EXPECT(link[0] == '/' && stat(link, &a) == 0 && stat("/proc/self/exe", &b) == 0 && a.st_ino == b.st_ino);
	n = MUST(readlink("/proc/self/cwd", link, sizeof link - 1));
	link[n] = 0;
	EXPECT(getcwd(text, sizeof text) && strcmp(text, link) == 0);
	n = MUST(readlink("/proc/self/root", link, sizeof link - 1));
	EXPECT(n == 1 && link[0] == '/');
	contents("/proc/self/cmdline");
	EXPECT(strcmp(text, argv[0]) == 0);
	contents("/proc/self/environ");
	EXPECT(strchr(text, '=') != NULL);
	contents("/proc/self/comm");
	EXPECT(strlen(text) > 1 && text[strlen(text) - 1] == '\n');
	contents("/proc/self/stat");
	EXPECT(sscanf(text, "%d (", &pid) == 1 && pid == getpid());
	field = strrchr(text, ')');
	EXPECT(field && sscanf(field, ") R %d", &ppid) == 1 && ppid == getppid());
	contents("/proc/self/status");
	EXPECT(strncmp(text, "Name:\t", 6) == 0);
	EXPECT((field = strstr(text, "\nPid:\t")) && atoi(field + 6) == getpid());
	EXPECT((field = strstr(text, "\nPPid:\t")) && atoi(field + 7) == getppid());
	EXPECT((field = strstr(text, "\nUid:\t")) && (uid_t)atoi(field + 6) == getuid());
	EXPECT(strstr(text, "\nVmRSS:\t") != NULL);
	free(malloc(100));
	contents("/proc/self/maps");
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		MUST(sscanf(line, "%lx-%lx", &from, &to) == 2 ? 0 : -1);
		stack |= strstr(line, "[stack]") && from <= (unsigned long)&from && to > (unsigned long)&from && strstr(line, " rw-p ");
		heap |= strstr(line, "[heap]") != NULL;
		own_code |= from <= (unsigned long)main && to > (unsigned long)main && strstr(line, " r-xp ") && strchr(line, '/');
	}
	EXPECT(stack), EXPECT(heap), EXPECT(own_code);
	// Descriptors are links.
	guest_write_file("file", "through proc");
	fd = MUST(open("file", O_RDONLY));
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	n = MUST(readlink(path, link, sizeof link - 1));
	link[n] = 0;
	EXPECT(strcmp(strrchr(link, '/'), "/file") == 0);
	EXPECT(strcmp(contents(path), "through proc") == 0);
	MUST(pipe(ends));
	snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
	n = MUST(readlink(path, link, sizeof link - 1));
	EXPECT(strncmp(link, "pipe:[", 6) == 0);
	EXPECT(access("/proc/self/fd/99", F_OK) == -1 && errno == ENOENT);
	EXPECT((dir = opendir("/proc/self/fd")) != NULL);
	n = 0;
	while ((entry = readdir(dir)))
		n += numeric(entry->d_name);
	closedir(dir);
	TELL(n);
	// The directory of processes.
	EXPECT((dir = opendir("/proc")) != NULL);
	while ((entry = readdir(dir))) {
		processes += numeric(entry->d_name);
		self_seen += strcmp(entry->d_name, "self") == 0;
	}
	closedir(dir);
	EXPECT(processes >= 1 && self_seen == 1);
	EXPECT(access("/proc/999999999", F_OK) == -1 && errno == ENOENT);
	IN_CHILD("a child", {
		snprintf(path, sizeof path, "/proc/%d/cmdline", getppid());
		EXPECT(strcmp(contents(path), argv[0]) == 0);
	});
	// The machine's.
	EXPECT(strncmp(contents("/proc/meminfo"), "MemTotal:", 9) == 0);
	EXPECT(strncmp(contents("/proc/version"), "Linux version ", 14) == 0);
	EXPECT(strtod(contents("/proc/uptime"), NULL) >= 0);
	EXPECT(strstr(contents("/proc/cpuinfo"), "processor\t: 0") != NULL);
	EXPECT(strstr(contents("/proc/stat"), "cpu ") != NULL);
	EXPECT(strstr(contents("/proc/filesystems"), "proc") != NULL);
	EXPECT(strstr(contents("/proc/mounts"), " / ") != NULL);
	EXPECT(strchr(contents("/proc/loadavg"), '.') != NULL);
	contents("/proc/sys/kernel/ostype");
	EXPECT(strcmp(text, "Linux\n") == 0);
	TELL(stat("/proc", &a));
	EXPECT(S_ISDIR(a.st_mode) && (a.st_mode & 0777) == 0555);
	TELL(stat("/proc/self/stat", &a));
	EXPECT(S_ISREG(a.st_mode) && a.st_size == 0 && (a.st_mode & 0777) == 0444);
	TELL(unlink("/proc/version") == -1);
	return guest_done();
}
