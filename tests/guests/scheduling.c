// Priorities, policies, affinity, prctl's attributes, and process groups: values, inheritance, errors.
#include "guest.h"
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

int main(void)
{
	struct sched_param param = { 0 };
	struct timespec interval;
	uint64_t mask = 0;
	int sig = -1, status;
	unsigned cpu = 77, node = 77;

	TELL(getpriority(PRIO_PROCESS, 0));
	TELL(getpriority(3, 0));
	TELL(getpriority(PRIO_PROCESS, 0x7fffffff));
	TELL(setpriority(3, 0, 1));
	TELL(setpriority(PRIO_PROCESS, 0x7fffffff, 1));
	TELL(setpriority(PRIO_PROCESS, 0, 5));
	TELL(getpriority(PRIO_PROCESS, getpid()));
	IN_CHILD("a nice child", TELL(getpriority(PRIO_PROCESS, 0)); TELL(nice(100)); TELL(getpriority(PRIO_PROCESS, 0)));
	TELL(sched_getscheduler(0));
	TELL(sched_getscheduler(-1));
	TELL(sched_getscheduler(0x7fffffff));
	TELL(sched_getparam(0, &param));
	TELL(syscall(SYS_sched_getparam, 0, NULL));
	TELL(param.sched_priority);
	TELL(sched_setscheduler(0, 77, &param));
	TELL(sched_setscheduler(0, -1, &param));
	TELL(sched_setscheduler(0, SCHED_BATCH, &param));
	TELL(sched_getscheduler(getpid()));
	TELL(sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){ 1 }));
	TELL(sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ 0 }));
	TELL(sched_setscheduler(0, SCHED_OTHER, &param));
	TELL(sched_setparam(0, &(struct sched_param){ 3 }));
	TELL(sched_setparam(-1, &param));
	for (int policy = -1; policy < 7; policy++) {
		TELL(sched_get_priority_max(policy));
		TELL(sched_get_priority_min(policy));
	}
	TELL(sched_rr_get_interval(-1, &interval));
	TELL(sched_rr_get_interval(0x7fffffff, &interval));
	TELL(sched_rr_get_interval(0, &interval));
	TELL(syscall(SYS_sched_getaffinity, 0, 7, &mask));
	TELL(syscall(SYS_sched_getaffinity, 0x7fffffff, 8, &mask));
	TELL(syscall(SYS_sched_getaffinity, 0, 8, BAD_LOW));
	TELL(syscall(SYS_sched_getaffinity, 0, 8, &mask));
	EXPECT(mask & 1);
	mask = 0;
	TELL(syscall(SYS_sched_setaffinity, 0, 8, &mask));
	TELL(syscall(SYS_sched_setaffinity, 0, 8, BAD_LOW));
	mask = 1;
	TELL(syscall(SYS_sched_setaffinity, 0, 8, &mask));
	TELL(syscall(SYS_sched_setaffinity, 0, 0, &mask));
	TELL(syscall(SYS_getcpu, &cpu, &node, NULL));
	printf("%u %u\n", cpu, node);
	TELL(syscall(SYS_getcpu, NULL, BAD_LOW, NULL));
	// prctl.
	TELL(prctl(PR_SET_PDEATHSIG, 65));
	TELL(prctl(PR_SET_PDEATHSIG, SIGUSR1));
	TELL(prctl(PR_GET_PDEATHSIG, &sig));
	TELL(sig);
	IN_CHILD("a child", TELL(prctl(PR_GET_PDEATHSIG, &sig)); TELL(sig));
	TELL(prctl(PR_GET_DUMPABLE));
	TELL(prctl(PR_SET_DUMPABLE, 2));
	TELL(prctl(PR_SET_DUMPABLE, 0));
	TELL(prctl(PR_GET_DUMPABLE));
	TELL(prctl(PR_GET_TIMERSLACK));
	TELL(prctl(PR_SET_TIMERSLACK, 70000));
	TELL(prctl(PR_GET_TIMERSLACK));
	TELL(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	TELL(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
	TELL(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	TELL(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	TELL(prctl(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0));
	TELL(prctl(PR_GET_SECCOMP));
	TELL(prctl(PR_GET_TIMING));
	TELL(prctl(PR_SET_TIMING, 1));
	TELL(prctl(PR_SET_NAME, BAD_LOW));
	TELL(prctl(PR_GET_SECUREBITS));
	// A child that outlives its parent gets the signal that it has asked for.
	int out[2];
	char c;
	MUST(pipe(out));
	if (MUST(fork()) == 0) {
		if (MUST(fork()) == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			write(out[1], "x", 1);
			pause();
		}
		read(out[0], &c, 1);
		_exit(0);
	}
	close(out[1]);
	TELL(wait(&status) > 0);
	TELL(read(out[0], &c, 1));
	// Process groups and sessions.
	IN_CHILD("a child of groups", {
		TELL(setpgid(0, -1));
		TELL(setpgid(-5, 0));
		TELL(setpgid(0x7fffffff, 0));
		TELL(setpgid(0, 0x7ffffff0));
		EXPECT(getpgrp() == getpgid(getppid()));
		TELL(setpgid(0, 0));
		EXPECT(getpgrp() == getpid());
		TELL(setsid());
		TELL(getsid(-1));
		TELL(getpgid(0x7fffffff));
		EXPECT(getsid(0) == getsid(getppid()));
	});
	IN_CHILD("a leader of a session", {
		EXPECT(setsid() == getpid());
		EXPECT(getsid(0) == getpid() && getpgrp() == getpid());
		TELL(setpgid(0, 0));
		TELL(setsid());
		pid_t child = MUST(fork());
		if (child == 0) {
			guest_nap(30);
			EXPECT(getpgrp() == getpid());
			_exit(0);
		}
		TELL(setpgid(child, child));
		TELL(kill(-child, 0));
		TELL(killpg(child, 65));
		TELL(wait(NULL) == child);
		TELL(kill(-child, 0));
	});
	IN_CHILD("personality", TELL(syscall(SYS_personality, 8)); TELL(syscall(SYS_personality, 0xffffffff)));
	return guest_done();
}
