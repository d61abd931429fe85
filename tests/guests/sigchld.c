// SIGCHLD: a handler hears of each child's end, with its pid and status.
#include "guest.h"

static volatile sig_atomic_t heard, status_sum, code;
static volatile pid_t who;

static void on_child(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	heard++;
	who = info->si_pid;
	code = info->si_code;
	status_sum += info->si_status;
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = on_child, .sa_flags = SA_SIGINFO };
	int status;
	pid_t child;
	sigset_t set, old;

	sigaction(SIGCHLD, &action, NULL);
	sigemptyset(&set), sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	child = fork();
	if (child == 0)
		_exit(21);
	TELL(sigsuspend(&old));
	EXPECT(who == child && code == CLD_EXITED && status_sum == 21);
	TELL(heard);
	TELL(waitpid(child, &status, 0) == child);
	child = fork();
	if (child == 0) {
		raise(SIGTERM);
		_exit(0);
	}
	TELL(sigsuspend(&old));
	EXPECT(who == child && code == CLD_KILLED && status_sum == 21 + SIGTERM);
	TELL(waitpid(child, &status, 0) == child);
	// The child of a handler's process inherits the handler; an exec resets it.
	child = fork();
	if (child == 0) {
		sigprocmask(SIG_SETMASK, &old, NULL);
		heard = 0;
		IN_CHILD("a grandchild", _exit(1));
		_exit(heard);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	while (waitpid(child, &status, 0) < 0)
		;
	guest_status("the child", status);
	// SA_NOCLDWAIT: no zombie at all.
	action.sa_flags = SA_SIGINFO | SA_NOCLDWAIT;
	sigaction(SIGCHLD, &action, NULL);
	heard = 0;
	child = fork();
	if (child == 0)
		_exit(1);
	while (waitpid(child, &status, 0) != -1 || errno != ECHILD)
		;
	TELL(heard);
	return guest_done();
}
