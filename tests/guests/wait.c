// wait4(2), waitid(2): statuses, WNOHANG, zombies, who may be waited for, orphans.
#include "guest.h"
#include <sys/prctl.h>
#include <sys/resource.h>

static pid_t ends_with(int code)
{
	pid_t pid = MUST(fork());

	if (pid == 0)
		_exit(code);
	return pid;
}

int main(void)
{
	int status, gate[2];
	char c;
	pid_t a, b, grandchild;
	siginfo_t info;
	struct rusage usage;

	a = ends_with(300);
	TELL(waitpid(a, &status, 0) == a);
	guest_status("exit(300)", status);
	IN_CHILD("a killed child", raise(SIGKILL));
	IN_CHILD("a terminated child", raise(SIGTERM));
	IN_CHILD("a child of SIGUSR1", raise(SIGUSR1));
	IN_CHILD("a child of SIGALRM", raise(SIGALRM));
	IN_CHILD("a real-time child", raise(40));
	IN_CHILD("an ignorer", { raise(SIGCHLD), raise(SIGURG), raise(SIGWINCH), raise(SIGCONT); });
	// WNOHANG: 0 while the child lives.
	MUST(pipe(gate));
	a = MUST(fork());
	if (a == 0) {
		close(gate[1]);
		read(gate[0], &c, 1);
		_exit(1);
	}
	TELL(waitpid(a, &status, WNOHANG));
	TELL(waitpid(-1, &status, WNOHANG));
	close(gate[1]);
	TELL(waitpid(a, &status, 0) == a);
	TELL(waitpid(a, &status, WNOHANG));
	// Zombies keep their status and their pid until they are waited for, in any order.
	a = ends_with(1), b = ends_with(2);
	guest_nap(20);
	TELL(kill(a, 0));
	TELL(kill(a, SIGKILL));
	TELL(waitpid(b, &status, 0) == b);
	guest_status("b", status);
	TELL(waitpid(a, &status, 0) == a);
	guest_status("a", status);
	TELL(kill(a, 0));
	TELL(wait4(-1, &status, 0, &usage));
	// Groups.
	a = MUST(fork());
	if (a == 0) {
		setpgid(0, 0);
		_exit(11);
	}
	setpgid(a, a);
	TELL(waitpid(0, &status, 0));
	TELL(waitpid(-a, &status, 0) == a);
	// waitid can look without taking.
	a = ends_with(12);
	memset(&info, 0, sizeof info);
	TELL(waitid(P_PID, a, &info, WEXITED | WNOWAIT));
	EXPECT(info.si_pid == a && info.si_status == 12 && info.si_code == CLD_EXITED && info.si_signo == SIGCHLD);
	TELL(waitid(P_ALL, 0, &info, WEXITED));
	EXPECT(info.si_pid == a);
	TELL(waitid(P_ALL, 0, &info, WEXITED));
	TELL(waitid(P_ALL, 0, &info, 0));
	// SIGCHLD ignored: no zombies, and wait ends with ECHILD once all are gone.
	signal(SIGCHLD, SIG_IGN);
	ends_with(1), ends_with(2);
	TELL(wait(&status));
	signal(SIGCHLD, SIG_DFL);
	// An orphan gets another parent, and may still run.
	MUST(prctl(PR_SET_CHILD_SUBREAPER, 1));
	MUST(pipe(gate));
	a = MUST(fork());
	if (a == 0) {
		pid_t middle = getpid();

		if (fork() == 0) {
			while (getppid() == middle)
				guest_nap(1);
			grandchild = getppid();
			write(gate[1], &grandchild, sizeof grandchild);
			_exit(77);
		}
		_exit(0);
	}
	TELL(waitpid(a, &status, 0) == a);
	MUST(read(gate[0], &grandchild, sizeof grandchild));
	EXPECT(grandchild == getpid());
	TELL(wait(&status) > 0);
	guest_status("the adopted child", status);
	TELL(wait(&status));
	// A parent that ends leaves its zombies to the next parent.
	a = MUST(fork());
	if (a == 0) {
		ends_with(55);
		guest_nap(20);
		_exit(0);
	}
	TELL(waitpid(a, &status, 0) == a);
	TELL(wait(&status) > 0);
	guest_status("the inherited zombie", status);
	return guest_done();
}
