// Interval timers of processor time, and the clocks of it.
#include "guest.h"
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>

static volatile sig_atomic_t virtuals, profs;

static void count(int sig)
{
	if (sig == SIGVTALRM)
		virtuals++;
	else
		profs++;
}

int main(void)
{
	struct itimerval timer;
	struct timespec t, u;
	struct rusage usage, later;
	struct tms tms;
	clockid_t clock;

	signal(SIGVTALRM, count);
	signal(SIGPROF, count);
	TELL(getitimer(ITIMER_VIRTUAL, &timer));
	EXPECT(timer.it_value.tv_sec == 0 && timer.it_value.tv_usec == 0);
	TELL(getitimer(3, &timer));
	TELL(getitimer(ITIMER_PROF, BAD_LOW));
	TELL(setitimer(3, &timer, NULL));
	TELL(setitimer(ITIMER_PROF, &(struct itimerval){ { 0, 0 }, { 0, 1000000 } }, NULL));
	TELL(setitimer(ITIMER_PROF, &(struct itimerval){ { -1, 0 }, { 0, 1 } }, NULL));
	TELL(setitimer(ITIMER_VIRTUAL, &(struct itimerval){ { 0, 10000 }, { 0, 10000 } }, NULL));
	TELL(setitimer(ITIMER_PROF, &(struct itimerval){ { 0, 0 }, { 0, 10000 } }, NULL));
	TELL(getrusage(RUSAGE_SELF, &usage));
	while (virtuals < 3 || profs < 1)
		;
	TELL(getrusage(RUSAGE_SELF, &later));
	EXPECT(later.ru_utime.tv_sec * 1000000L + later.ru_utime.tv_usec + later.ru_stime.tv_sec * 1000000L + later.ru_stime.tv_usec >
	       usage.ru_utime.tv_sec * 1000000L + usage.ru_utime.tv_usec);
	EXPECT(later.ru_maxrss > 0);
	TELL(getitimer(ITIMER_VIRTUAL, &timer));
	EXPECT(timer.it_interval.tv_usec == 10000 && timer.it_value.tv_usec <= 20000);
	TELL(getitimer(ITIMER_PROF, &timer));
	EXPECT(timer.it_value.tv_usec == 0);
	TELL(setitimer(ITIMER_VIRTUAL, &(struct itimerval){ { 0, 0 }, { 0, 0 } }, &timer));
	TELL(profs);
	TELL(getrusage(2, &usage));
	TELL(getrusage(RUSAGE_CHILDREN, &usage));
	TELL(getrusage(RUSAGE_SELF, BAD_LOW));
	IN_CHILD("a child", {
		TELL(getitimer(ITIMER_PROF, &timer));
		EXPECT(timer.it_value.tv_usec == 0 && timer.it_value.tv_sec == 0);
	});
	TELL(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t));
	for (volatile int i = 0; i < 1000000; i++)
		;
	TELL(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &u));
	EXPECT((u.tv_sec - t.tv_sec) * 1000000000L + u.tv_nsec - t.tv_nsec >= 0);
	TELL(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t));
	TELL(clock_getcpuclockid(getpid(), &clock));
	TELL(clock_gettime(clock, &t));
	TELL(clock_getcpuclockid(0x7ffffff, &clock));
	EXPECT(times(&tms) != -1 && tms.tms_utime >= 0);
	for (int i = -1; i < 13; i++) {
		if (i == 8 || i == 9)
			continue;
		TELL(syscall(SYS_clock_gettime, i, &t));
		TELL(syscall(SYS_clock_getres, i, &t));
		if (i != 2)
			TELL(syscall(SYS_clock_nanosleep, i, 0, &(struct timespec){ 0, 1 }, NULL));
		TELL(syscall(SYS_clock_settime, i, BAD_LOW));
	}
	TELL(syscall(SYS_clock_settime, CLOCK_REALTIME, &(struct timespec){ 0, 1000000000 }));
	TELL(syscall(SYS_clock_gettime, 0, BAD_LOW));
	TELL(syscall(SYS_clock_getres, 0, NULL));
	TELL(syscall(SYS_clock_getres, 0, BAD_LOW));
	TELL(syscall(SYS_nanosleep, BAD_LOW, NULL));
	TELL(syscall(SYS_nanosleep, &(struct timespec){ -1, 0 }, NULL));
	TELL(syscall(SYS_clock_nanosleep, 99, 0, BAD_LOW, NULL));
	TELL(syscall(SYS_settimeofday, BAD_LOW, NULL));
	TELL(syscall(SYS_settimeofday, &(struct timeval){ 0, -1 }, NULL));
	TELL(syscall(SYS_gettimeofday, BAD_LOW, NULL));
	TELL(syscall(SYS_gettimeofday, NULL, NULL));
	TELL(syscall(SYS_time, BAD_LOW));
	TELL(syscall(SYS_times, BAD_LOW));
	return guest_done();
}
