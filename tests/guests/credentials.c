// What root may do with ids, groups and capabilities, and what is left after that is given up (run natively as root, or not at all).
#include "guest.h"
#include <grp.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>

static void ids(void)
{
	uid_t r, e, s;
	gid_t g, h, i;

	getresuid(&r, &e, &s);
	getresgid(&g, &h, &i);
	printf("uid %d %d %d %d gid %d %d %d %d\n", r, e, s, setfsuid(-1), g, h, i, setfsgid(-1));
}

static void capabilities(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { 0 };

	TELL(syscall(SYS_capget, &header, data));
	printf("effective %d permitted %d\n", data[0].effective >> CAP_KILL & 1, data[0].permitted >> CAP_KILL & 1);
}

int main(void)
{
	gid_t groups[] = { 30, 10, 20 }, got[8];
	struct __user_cap_header_struct header = { 0x12345678, 0 };
	struct __user_cap_data_struct data[2] = { 0 };

	MUST(setgroups(0, NULL));
	ids();
	capabilities();
	TELL(syscall(SYS_capget, &header, data));
	printf("%#x\n", header.version);
	header.version = 1;
	TELL(syscall(SYS_capget, &header, NULL));
	header.pid = -1;
	TELL(syscall(SYS_capget, &header, data));
	TELL(syscall(SYS_capget, BAD_LOW, data));
	TELL(setgroups(3, groups));
	TELL(getgroups(0, NULL));
	TELL(getgroups(2, got));
	TELL(getgroups(-1, got));
	TELL(getgroups(8, got));
	printf("%d %d %d\n", got[0], got[1], got[2]);
	TELL(setgroups(65537, groups));
	TELL(setgroups(1, BAD_LOW));
	TELL(setuid(-1));
	TELL(setgid(-1));
	TELL(setreuid(-1, -1));
	TELL(setresuid(-1, -1, -1));
	ids();
	IN_CHILD("one that leaves root for a while", {
		TELL(seteuid(7));
		ids();
		capabilities();
		TELL(setgid(3));
		TELL(seteuid(0));
		ids();
		capabilities();
	});
	IN_CHILD("one that moves among its ids", {
		TELL(setresgid(4, 5, 6));
		TELL(setresuid(1, 2, 3));
		ids();
		capabilities();
		TELL(setreuid(2, 1));
		ids();
		TELL(setreuid(3, -1));
		TELL(setresuid(1, -1, 2));
		ids();
		TELL(setresuid(0, -1, -1));
		TELL(setfsuid(9));
		TELL(setregid(5, 4));
		ids();
		TELL(setgroups(0, NULL));
		TELL(sethostname("x", 1));
		TELL(kill(1, 0));
		TELL(prctl(PR_GET_DUMPABLE));
	});
	IN_CHILD("one that leaves root for good", {
		TELL(setgid(8));
		TELL(setuid(8));
		ids();
		capabilities();
		TELL(setuid(0));
		TELL(seteuid(0));
	});
	IN_CHILD("one that keeps its capabilities", {
		TELL(prctl(PR_SET_KEEPCAPS, 2));
		TELL(prctl(PR_SET_KEEPCAPS, 1));
		TELL(prctl(PR_GET_KEEPCAPS));
		TELL(setuid(8));
		capabilities();
	});
	IN_CHILD("one that drops capabilities", {
		header.version = _LINUX_CAPABILITY_VERSION_3;
		header.pid = 0;
		data[0].permitted = 1 << CAP_KILL;
		TELL(syscall(SYS_capset, &header, data));
		capabilities();
		data[0].permitted |= 1 << CAP_SETUID;
		TELL(syscall(SYS_capset, &header, data));
		data[0].permitted = 0;
		data[0].effective = 1 << CAP_KILL;
		TELL(syscall(SYS_capset, &header, data));
		TELL(setuid(5));
		TELL(prctl(PR_CAPBSET_DROP, CAP_KILL));
	});
	TELL(prctl(PR_CAPBSET_READ, CAP_KILL));
	TELL(prctl(PR_CAPBSET_READ, 1000));
	TELL(prctl(PR_CAPBSET_DROP, CAP_KILL));
	TELL(prctl(PR_CAPBSET_READ, CAP_KILL));
	return guest_done();
}
