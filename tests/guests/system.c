// What the system says of itself and of the process: uname, sysinfo, limits, ids, random bytes, processors.
#include "guest.h"
#include <sched.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

int main(void)
{
	struct utsname u;
	struct sysinfo info;
	struct rlimit limit;
	unsigned char a[256], b[256];
	int different = 0, zeros = 0, cpu = -1;
	gid_t groups[100];
	uid_t r, e, s;
	cpu_set_t set;
	char name[17] = "";

	TELL(uname(&u));
	EXPECT(strcmp(u.sysname, "Linux") == 0);
	EXPECT(strcmp(u.machine, "x86_64") == 0);
	EXPECT(u.release[0] >= '4' && u.release[0] <= '9' && u.release[1] == '.');
	EXPECT(u.nodename[0] && u.version[0] == '#');
	EXPECT(gethostname((char *)a, sizeof a) == 0 && strcmp((char *)a, u.nodename) == 0);
	TELL(sysinfo(&info));
	EXPECT(info.mem_unit >= 1 && info.totalram > 0 && info.freeram <= info.totalram && info.procs >= 1 && info.uptime >= 0);
	// Limits.
	TELL(getrlimit(RLIMIT_STACK, &limit));
	EXPECT(limit.rlim_cur >= 1 << 20);
	TELL(getrlimit(RLIMIT_NOFILE, &limit));
	EXPECT(limit.rlim_cur >= 256 && limit.rlim_cur <= limit.rlim_max);
	limit.rlim_cur = 200;
	TELL(setrlimit(RLIMIT_NOFILE, &limit));
	TELL(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &(struct rlimit){ 100, 150 }, &limit));
	EXPECT(limit.rlim_cur == 200);
	TELL(getrlimit(RLIMIT_NOFILE, &limit));
	printf("%ld %ld\n", (long)limit.rlim_cur, (long)limit.rlim_max);
	TELL(sysconf(_SC_OPEN_MAX));
	TELL(setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }));
	TELL(syscall(SYS_prlimit64, getpid(), RLIMIT_CORE, NULL, &limit));
	printf("%ld %ld\n", (long)limit.rlim_cur, (long)limit.rlim_max);
	// Random bytes differ and are not zero.
	TELL(getrandom(a, sizeof a, 0));
	TELL(getrandom(b, sizeof b, GRND_NONBLOCK));
	for (int i = 0; i < 256; i++)
		different += a[i] != b[i], zeros += a[i] == 0;
	EXPECT(different > 200 && zeros < 50);
	TELL(getrandom(a, 0, 0));
	TELL(getentropy(a, 257));
	TELL(getentropy(a, 256));
	// Ids.
	EXPECT(getresuid(&r, &e, &s) == 0 && r == getuid() && e == geteuid() && s == e);
	EXPECT(getresgid(&r, &e, &s) == 0 && r == getgid() && e == getegid() && s == e);
	EXPECT(getgroups(0, NULL) >= 0);
	EXPECT(getgroups(100, groups) == getgroups(0, NULL));
	TELL(setuid(getuid()));
	TELL(setgid(getgid()));
	EXPECT(getpid() > 0 && getppid() >= 0 && syscall(SYS_gettid) == getpid());
	EXPECT(getpgrp() == getpgid(0));
	EXPECT(getsid(0) >= 0);
	EXPECT(syscall(SYS_set_tid_address, &cpu) == getpid());
	// Processors.
	TELL(sched_yield());
	EXPECT(sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) >= 1);
	EXPECT(sysconf(_SC_NPROCESSORS_ONLN) >= 1);
	EXPECT((cpu = sched_getcpu()) >= 0);
	TELL(getpriority(PRIO_PROCESS, 0));
	// The name of the process.
	TELL(prctl(PR_GET_NAME, name));
	EXPECT(strlen(name) > 0 && strlen(name) < 16);
	TELL(prctl(PR_SET_NAME, "a name that is much too long"));
	TELL(prctl(PR_GET_NAME, name));
	puts(name);
	TELL(prctl(12345));
	TELL(sysconf(_SC_PAGESIZE));
	TELL(sysconf(_SC_CLK_TCK));
	EXPECT(sysconf(_SC_PHYS_PAGES) > 0);
	TELL(getdtablesize());
	TELL(syscall(SYS_personality, 0xffffffff));
	return guest_done();
}
