// Clocks: they run, they don't run back, they agree; sleeping takes at least as long as asked.
#include "guest.h"
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>

static double now(clockid_t clock)
{
	struct timespec t;

	MUST(clock_gettime(clock, &t));
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(void)
{
	static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID,
					    CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME };
	struct timespec t, raw;
	struct timeval tv;
	struct tms tms;
	struct rusage usage;
	struct tm tm;
	time_t epoch = 0, date = 1700000000;
	double start, previous;
	char text[64];
	bool forward = true;

	for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
		previous = now(clocks[i]);
		for (int j = 0; j < 1000; j++) {
			start = now(clocks[i]);
			forward &= start >= previous;
			previous = start;
		}
		TELL(clock_getres(clocks[i], &t));
		EXPECT(t.tv_sec == 0 && t.tv_nsec > 0 && t.tv_nsec <= 10000000);
	}
	EXPECT(forward);
	EXPECT(now(CLOCK_REALTIME) > 1.7e9);
	MUST(syscall(SYS_clock_gettime, CLOCK_REALTIME, &raw)), MUST(clock_gettime(CLOCK_REALTIME, &t));
	EXPECT((t.tv_sec - raw.tv_sec) * 1e9 + t.tv_nsec - raw.tv_nsec < 1e9);
	TELL(gettimeofday(&tv, NULL));
	EXPECT(labs(tv.tv_sec - t.tv_sec) <= 1 && tv.tv_usec < 1000000);
	EXPECT(labs(time(NULL) - t.tv_sec) <= 1);
	EXPECT(labs(syscall(SYS_time, &epoch) - t.tv_sec) <= 1);
	EXPECT(labs(epoch - t.tv_sec) <= 1);
	start = now(CLOCK_MONOTONIC);
	TELL(nanosleep(&(struct timespec){ 0, 20000000 }, NULL));
	EXPECT(now(CLOCK_MONOTONIC) - start >= 0.02);
	start = now(CLOCK_MONOTONIC);
	TELL(usleep(5000));
	EXPECT(now(CLOCK_MONOTONIC) - start >= 0.005);
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += 30000000;
	if (t.tv_nsec >= 1000000000)
		t.tv_nsec -= 1000000000, t.tv_sec++;
	TELL(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
	EXPECT(now(CLOCK_MONOTONIC) >= t.tv_sec + t.tv_nsec / 1e9);
	TELL(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &(struct timespec){ 0, 0 }, NULL));
	TELL(clock_nanosleep(CLOCK_REALTIME, 0, &(struct timespec){ 0, 1000 }, NULL));
	TELL(nanosleep(&(struct timespec){ 0, 0 }, NULL));
	// Processor time grows with work, not with sleep.
	start = now(CLOCK_PROCESS_CPUTIME_ID);
	for (volatile int i = 0; i < 3000000; i++)
		;
	EXPECT(now(CLOCK_PROCESS_CPUTIME_ID) > start);
	EXPECT(times(&tms) != -1);
	TELL(getrusage(RUSAGE_SELF, &usage));
	EXPECT(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec < 100);
	EXPECT(clock() >= 0);
	// Calendars are the C library's.
	gmtime_r(&date, &tm);
	strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %j %a %b", &tm);
	puts(text);
	printf("%ld\n", (long)timegm(&tm));
	epoch = 0;
	fputs(asctime(gmtime(&epoch)), stdout);
	return guest_done();
}
