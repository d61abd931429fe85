// Waiting for signals: pause, sigsuspend, sigtimedwait, alarm, setitimer; calls that are interrupted, calls that go on.
#include "guest.h"
#include <sys/time.h>
#include <time.h>

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

static void in_a_moment(long milliseconds)
{
	MUST(setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 0 }, { 0, milliseconds * 1000 } }, NULL));
}

static long elapsed(void)
{
	static struct timespec before;
	struct timespec now;
	long passed;

	clock_gettime(CLOCK_MONOTONIC, &now);
	passed = (now.tv_sec - before.tv_sec) * 1000 + (now.tv_nsec - before.tv_nsec) / 1000000;
	before = now;
	return passed;
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval timer;
	struct timespec left = { 0, 0 };
	sigset_t set, none, old;
	siginfo_t info;
	char c;
	int ends[2], status;

	sigemptyset(&none);
	MUST(pipe(ends));
	sigaction(SIGALRM, &action, NULL);
	elapsed();
	in_a_moment(100);
	TELL(pause());
	EXPECT(elapsed() >= 95);
	TELL(alarms);
	// Without SA_RESTART a read is interrupted; with it, it goes on.
	in_a_moment(100);
	TELL(read(ends[0], &c, 1));
	TELL(alarms);
	action.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &action, NULL);
	fflush(stdout);
	if (fork() == 0) {
		guest_nap(250);
		write(ends[1], "r", 1);
		_exit(0);
	}
	in_a_moment(100);
	TELL(read(ends[0], &c, 1));
	TELL(alarms);
	TELL(wait(&status) > 0);
	// wait restarts too; nanosleep never does, and tells what is left.
	fflush(stdout);
	if (fork() == 0) {
		guest_nap(250);
		_exit(6);
	}
	in_a_moment(100);
	TELL(wait(&status) > 0);
	TELL(alarms);
	guest_status("the child", status);
	in_a_moment(100);
	TELL(nanosleep(&(struct timespec){ 1, 0 }, &left));
	EXPECT(left.tv_sec == 0 && left.tv_nsec > 500000000 && left.tv_nsec < 950000000);
	TELL(alarms);
	in_a_moment(100);
	TELL(clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){ 1, 0 }, &left) == EINTR);
	in_a_moment(100);
	TELL(pause());
	// An ignored signal interrupts nothing.
	signal(SIGALRM, SIG_IGN);
	elapsed();
	in_a_moment(10);
	TELL(nanosleep(&(struct timespec){ 0, 50000000 }, NULL));
	EXPECT(elapsed() >= 50);
	sigaction(SIGALRM, &action, NULL);
	// sigsuspend: the mask is exchanged and the wait begins in one step.
	sigemptyset(&set), sigaddset(&set, SIGUSR1), sigaddset(&set, SIGALRM);
	sigprocmask(SIG_BLOCK, &set, &old);
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	alarms = 0;
	TELL(sigsuspend(&none));
	TELL(alarms);
	sigprocmask(SIG_SETMASK, NULL, &old);
	EXPECT(sigismember(&old, SIGUSR1) && sigismember(&old, SIGALRM));
	// sigtimedwait takes a pending signal without a handler.
	TELL(sigtimedwait(&set, &info, &(struct timespec){ 0, 0 }));
	TELL(sigtimedwait(&set, &info, &(struct timespec){ 0, 10000000 }));
	sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 12 });
	TELL(sigwaitinfo(&set, &info) == SIGUSR1);
	EXPECT(info.si_value.sival_int == 12 && info.si_code == SI_QUEUE);
	in_a_moment(20);
	TELL(sigwaitinfo(&set, &info) == SIGALRM);
	EXPECT(info.si_code == SI_KERNEL);
	TELL(alarms);
	sigprocmask(SIG_SETMASK, &none, NULL);
	// alarm: seconds left, cancelled by 0.
	TELL(alarm(100));
	TELL(alarm(50) >= 99);
	TELL(alarm(0) >= 49);
	TELL(alarm(0));
	// A timer that repeats.
	alarms = 0;
	TELL(setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 5000 }, { 0, 5000 } }, NULL));
	while (alarms < 5)
		pause();
	TELL(getitimer(ITIMER_REAL, &timer));
	EXPECT(timer.it_interval.tv_usec == 5000 && timer.it_value.tv_usec <= 5000);
	TELL(setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 0 }, { 0, 0 } }, &timer));
	// A loop that makes no calls is interrupted as well.
	alarms = 0;
	in_a_moment(20);
	while (!alarms)
		;
	TELL(alarms);
	signal(SIGALRM, SIG_DFL);
	IN_CHILD("a child that waits too long", {
		in_a_moment(10);
		for (;;)
			;
	});
	return guest_done();
}
