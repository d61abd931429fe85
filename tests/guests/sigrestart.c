// Calls that a stop has interrupted: they go on as if nothing had been, unless a handler runs.
#include "guest.h"
#include <poll.h>
#include <time.h>

static void nothing(int sig)
{
	(void)sig;
}

static long elapsed(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

#define STOPPED_CHILD(who, pause_ms, ...)                                                                                               \
	do {                                                                                                                            \
		int status_;                                                                                                            \
		fflush(stdout);                                                                                                         \
		pid_t child_ = MUST(fork());                                                                                            \
		if (child_ == 0) {                                                                                                      \
			__VA_ARGS__;                                                                                                    \
			fflush(stdout);                                                                                                 \
			_exit(0);                                                                                                       \
		}                                                                                                                       \
		guest_nap(120);                                                                                                         \
		TELL(kill(child_, SIGSTOP));                                                                                            \
		TELL(waitpid(child_, &status_, WUNTRACED) == child_);                                                                   \
		guest_status(who, status_);                                                                                             \
		guest_nap(pause_ms);                                                                                                    \
		MUST(kill(child_, SIGCONT));                                                                                            \
		TELL(waitpid(child_, &status_, 0) == child_);                                                                           \
		guest_status(who, status_);                                                                                             \
	} while (0)

int main(void)
{
	struct timespec start, left = { -1, -1 };
	struct sigaction action = { .sa_handler = nothing };
	int ends[2];
	char c = 0;
	sigset_t set;

	MUST(pipe(ends));
	// A sleep ends when it would have.
	STOPPED_CHILD("a sleeper", 700, {
		clock_gettime(CLOCK_MONOTONIC, &start);
		TELL(nanosleep(&(struct timespec){ 0, 500000000 }, &left));
		EXPECT(elapsed(&start) >= 500 && elapsed(&start) < 1200);
	});
	STOPPED_CHILD("a sleeper until", 20, {
		clock_gettime(CLOCK_MONOTONIC, &start);
		struct timespec until = start;
		until.tv_sec += 1;
		TELL(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL));
		EXPECT(elapsed(&start) >= 999);
	});
	// A handler of SIGCONT makes it EINTR.
	STOPPED_CHILD("a sleeper with a handler", 20, {
		sigaction(SIGCONT, &action, NULL);
		TELL(nanosleep(&(struct timespec){ 5, 0 }, &left));
		EXPECT(left.tv_sec >= 4 && left.tv_sec < 5);
	});
	// A read goes on, or not.
	STOPPED_CHILD("a reader", 20, {
		if (MUST(fork()) == 0) {
			guest_nap(300);
			write(ends[1], "x", 1);
			_exit(0);
		}
		TELL(read(ends[0], &c, 1));
		TELL(c);
	});
	STOPPED_CHILD("a reader with a handler", 20, {
		sigaction(SIGCONT, &action, NULL);
		TELL(read(ends[0], &c, 1));
	});
	action.sa_flags = SA_RESTART;
	STOPPED_CHILD("a reader with a restarting handler", 20, {
		sigaction(SIGCONT, &action, NULL);
		if (MUST(fork()) == 0) {
			guest_nap(300);
			write(ends[1], "y", 1);
			_exit(0);
		}
		TELL(read(ends[0], &c, 1));
		TELL(c);
	});
	// poll knows how long it still has to wait.
	STOPPED_CHILD("a poller", 700, {
		clock_gettime(CLOCK_MONOTONIC, &start);
		TELL(poll(&(struct pollfd){ ends[0], POLLIN, 0 }, 1, 500));
		EXPECT(elapsed(&start) >= 499 && elapsed(&start) < 1200);
	});
	// The mask of sigsuspend holds across a stop.
	STOPPED_CHILD("one that is suspended", 20, {
		signal(SIGUSR1, nothing);
		sigemptyset(&set);
		sigaddset(&set, SIGUSR1);
		sigprocmask(SIG_BLOCK, &set, NULL);
		pid_t me = getpid();
		if (MUST(fork()) == 0) {
			guest_nap(300);
			kill(me, SIGUSR1);
			_exit(0);
		}
		sigemptyset(&set);
		TELL(sigsuspend(&set));
		sigprocmask(SIG_SETMASK, NULL, &set);
		EXPECT(sigismember(&set, SIGUSR1));
	});
	return guest_done();
}
