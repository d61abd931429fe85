// poll(2), ppoll(2), select(2), pselect6(2): pipes, files, time limits, hang-ups, signals.
#include "guest.h"
#include <poll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <time.h>

static void on_alarm(int sig)
{
	(void)sig;
}

static void show(const struct pollfd *fds, int n)
{
	for (int i = 0; i < n; i++)
		printf(" %s%s%s%s%s.", fds[i].revents & POLLIN ? "in " : "", fds[i].revents & POLLOUT ? "out " : "",
		       fds[i].revents & POLLHUP ? "hup " : "", fds[i].revents & POLLERR ? "err " : "", fds[i].revents & POLLNVAL ? "nval " : "");
	puts("");
}

int main(void)
{
	int ends[2], file, fd, status;
	struct pollfd fds[4];
	struct timeval tv;
	struct timespec start, end;
	fd_set in, out;
	sigset_t set, none;
	static char block[70000];

	MUST(pipe2(ends, O_NONBLOCK));
	guest_write_file("file", "x");
	file = MUST(open("file", O_RDWR));
	fds[0] = (struct pollfd){ ends[0], POLLIN, 0 }, fds[1] = (struct pollfd){ ends[1], POLLOUT, 0 };
	fds[2] = (struct pollfd){ file, POLLIN | POLLOUT, 0 }, fds[3] = (struct pollfd){ -1, POLLIN, 0 };
	TELL(poll(fds, 4, 0));
	show(fds, 4);
	MUST(write(ends[1], "x", 1));
	TELL(poll(fds, 2, -1));
	show(fds, 2);
	MUST(write(ends[1], block, sizeof block));
	TELL(poll(fds, 2, -1));
	show(fds, 2);
	while (read(ends[0], block, sizeof block) > 0)
		;
	clock_gettime(CLOCK_MONOTONIC, &start);
	TELL(poll(fds, 1, 30));
	clock_gettime(CLOCK_MONOTONIC, &end);
	EXPECT((end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000 >= 29);
	TELL(poll(NULL, 0, 10));
	// Woken by another process.
	fflush(stdout);
	if (fork() == 0) {
		guest_nap(30);
		write(ends[1], "y", 1);
		_exit(0);
	}
	TELL(poll(fds, 1, 10000));
	show(fds, 1);
	wait(&status);
	fds[3].fd = 99;
	fds[3].revents = 0;
	TELL(poll(fds + 3, 1, 0));
	show(fds + 3, 1);
	MUST(read(ends[0], block, 10));
	// Hang-ups.
	fd = MUST(dup(ends[1]));
	close(ends[1]);
	TELL(poll(fds, 1, 0));
	close(fd);
	TELL(poll(fds, 1, -1));
	show(fds, 1);
	MUST(pipe(ends));
	close(ends[0]);
	fds[1].fd = ends[1];
	TELL(poll(fds + 1, 1, -1));
	show(fds + 1, 1);
	close(ends[1]);
	// select.
	MUST(pipe(ends));
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(ends[0], &in);
	FD_SET(ends[1], &out);
	FD_SET(file, &in);
	tv = (struct timeval){ 0, 0 };
	TELL(select(20, &in, &out, NULL, &tv));
	printf("%d %d %d\n", !!FD_ISSET(ends[0], &in), !!FD_ISSET(ends[1], &out), !!FD_ISSET(file, &in));
	FD_ZERO(&in);
	FD_SET(ends[0], &in);
	tv = (struct timeval){ 0, 20000 };
	TELL(select(20, &in, NULL, NULL, &tv));
	TELL(FD_ISSET(ends[0], &in));
#ifdef __GLIBC__ // musl keeps the time that is left to itself
	EXPECT(tv.tv_sec == 0 && tv.tv_usec == 0);
#endif
	MUST(write(ends[1], "s", 1));
	FD_SET(ends[0], &in);
	tv = (struct timeval){ 10, 0 };
	TELL(select(20, &in, NULL, NULL, &tv));
	EXPECT(tv.tv_sec >= 9);
	FD_SET(40, &in); // not open, and within the smallest table of descriptors that Linux makes
	TELL(select(64, &in, NULL, NULL, &tv));
	TELL(select(0, NULL, NULL, NULL, &(struct timeval){ 0, 5000 }));
	// A signal ends the wait; ppoll's mask lets it in only while it waits.
	MUST(read(ends[0], block, 1));
	signal(SIGALRM, on_alarm);
	fds[0].fd = ends[0];
	MUST(setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 0 }, { 0, 100000 } }, NULL));
	TELL(poll(fds, 1, -1));
	sigemptyset(&none), sigemptyset(&set), sigaddset(&set, SIGALRM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	MUST(setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 0 }, { 0, 20000 } }, NULL));
	TELL(poll(fds, 1, 50));
	TELL(ppoll(fds, 1, &(struct timespec){ 5, 0 }, &none));
	MUST(setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 0 }, { 0, 20000 } }, NULL));
	FD_ZERO(&in);
	FD_SET(ends[0], &in);
	TELL(pselect(20, &in, NULL, NULL, &(struct timespec){ 5, 0 }, &none));
	return guest_done();
}
