// kill(2): to a process, to a group, to children that wait; what SIGKILL can't be kept from.
#include "guest.h"

int main(void)
{
	int status, ready[2];
	pid_t child, leader;
	sigset_t all;
	char c;

	MUST(pipe(ready));
	child = MUST(fork());
	if (child == 0) {
		write(ready[1], "r", 1);
		for (;;)
			pause();
	}
	MUST(read(ready[0], &c, 1));
	TELL(kill(child, 0));
	TELL(kill(child, SIGCONT));
	TELL(kill(child, SIGWINCH));
	TELL(kill(child, SIGHUP));
	TELL(waitpid(child, &status, 0) == child);
	guest_status("a waiting child", status);
	child = MUST(fork());
	if (child == 0) {
		sigfillset(&all);
		sigprocmask(SIG_BLOCK, &all, NULL);
		for (int sig = 1; sig < 65; sig++)
			signal(sig, SIG_IGN);
		write(ready[1], "r", 1);
		for (;;)
			;
	}
	MUST(read(ready[0], &c, 1));
	TELL(kill(child, SIGTERM));
	TELL(kill(child, SIGKILL));
	TELL(waitpid(child, &status, 0) == child);
	guest_status("a busy child that ignores all it can", status);
	// A child that is blocked in a read dies of its signal.
	child = MUST(fork());
	if (child == 0)
		_exit(read(ready[0], &c, 1));
	guest_nap(10);
	TELL(kill(child, SIGINT));
	TELL(waitpid(child, &status, 0) == child);
	guest_status("a reading child", status);
	// Groups.
	leader = MUST(fork());
	if (leader == 0) {
		setpgid(0, 0);
		for (int i = 0; i < 2; i++)
			if (fork() == 0)
				for (;;)
					pause();
		write(ready[1], "r", 1);
		for (int i = 0; i < 2; i++) {
			wait(&status);
		}
		for (;;)
			pause();
	}
	MUST(read(ready[0], &c, 1));
	EXPECT(getpgid(leader) == leader);
	EXPECT(getpgrp() != leader);
	child = MUST(fork());
	if (child == 0) {
		setpgid(0, leader);
		signal(SIGUSR1, SIG_IGN);
		write(ready[1], "r", 1);
		for (;;)
			pause();
	}
	MUST(read(ready[0], &c, 1));
	TELL(kill(-leader, SIGKILL));
	TELL(waitpid(leader, &status, 0) == leader);
	guest_status("the leader", status);
	TELL(waitpid(child, &status, 0) == child);
	guest_status("the joined member", status);
	TELL(kill(-leader, 0) == 0 || errno == ESRCH);
	// Sessions.
	IN_CHILD("a session's leader", {
		TELL(setsid() == getpid());
		TELL(getsid(0) == getpid());
		TELL(getpgrp() == getpid());
		TELL(setsid());
		TELL(setpgid(0, 0));
	});
	return guest_done();
}
