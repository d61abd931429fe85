// What guest programs share. A guest prints what the kernel answers; the harness runs it natively first, then on callgate, and the two
// outputs must be equal. So a guest never prints what differs between two good runs (addresses, pids, times): it prints a property.
#ifndef GUEST_H
#define GUEST_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static int guest_wrong;

#ifndef GUEST_KEEPS_DESCRIPTORS
// Who starts a program natively may leave it descriptors of his own; the numbers that a guest prints begin at 3.
__attribute__((constructor)) static void guest_close_inherited(void)
{
	syscall(436 /* close_range, which older headers don't have */, 3, ~0u, 0);
}
#endif

static inline void guest_tell(const char *text, long value)
{
	int error = errno;

	if (value == -1 && error)
		printf("%s = -1 (%s)\n", text, strerror(error));
	else
		printf("%s = %ld\n", text, value);
	fflush(stdout);
}

static inline void guest_expect(const char *text, bool holds, const char *file, int line)
{
	if (holds)
		printf("ok: %s\n", text);
	else
		printf("WRONG: %s (%s:%d)\n", text, file, line);
	guest_wrong += !holds;
	fflush(stdout);
}

// Prints a call with its value, or with the text of its error.
#define TELL(...)                                                                                                                       \
	do {                                                                                                                            \
		errno = 0;                                                                                                              \
		long value_ = (long)(__VA_ARGS__);                                                                                      \
		guest_tell(#__VA_ARGS__, value_);                                                                                       \
	} while (0)

// The same for a call whose good value differs from run to run (a descriptor is no such value; an address or a pid is).
#define TELL_ONLY_ERRORS(...)                                                                                                           \
	do {                                                                                                                            \
		errno = 0;                                                                                                              \
		long value_ = (long)(__VA_ARGS__);                                                                                      \
		guest_tell(#__VA_ARGS__, value_ == -1 ? -1 : 0);                                                                        \
	} while (0)

// States what Linux promises. The harness refuses a native run that says WRONG.
#define EXPECT(...) guest_expect(#__VA_ARGS__, !!(__VA_ARGS__), __FILE__, __LINE__)

// For set-up that has to work before a test means anything.
#define MUST(...)                                                                                                                       \
	({                                                                                                                              \
		__typeof__(__VA_ARGS__) must_ = (__VA_ARGS__);                                                                          \
		if ((long)must_ == -1) {                                                                                                \
			printf("WRONG: set-up failed: %s: %s (%s:%d)\n", #__VA_ARGS__, strerror(errno), __FILE__, __LINE__);            \
			exit(99);                                                                                                       \
		}                                                                                                                       \
		must_;                                                                                                                  \
	})

// Addresses that no program has; volatile, so that the compiler doesn't know either.
static void *volatile guest_low = (void *)16, *volatile guest_high = (void *)-1;
#define BAD_LOW guest_low   // a user address that nothing maps
#define BAD_HIGH guest_high // not a user address at all

static inline void guest_status(const char *who, int status)
{
	if (WIFEXITED(status))
		printf("%s exited with %d\n", who, WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		printf("%s was ended by signal %d\n", who, WTERMSIG(status));
	else if (WIFSTOPPED(status))
		printf("%s was stopped by signal %d\n", who, WSTOPSIG(status));
	else if (WIFCONTINUED(status))
		printf("%s was continued\n", who);
	else
		printf("%s has status %#x\n", who, status);
	fflush(stdout);
}

// Runs `body` in a child and prints how the child ended.
#define IN_CHILD(who, ...)                                                                                                              \
	do {                                                                                                                            \
		int status_ = 0;                                                                                                        \
		fflush(stdout);                                                                                                         \
		pid_t child_ = MUST(fork());                                                                                            \
		if (child_ == 0) {                                                                                                      \
			__VA_ARGS__;                                                                                                    \
			fflush(stdout);                                                                                                 \
			_exit(0);                                                                                                       \
		}                                                                                                                       \
		MUST(waitpid(child_, &status_, 0));                                                                                     \
		guest_status(who, status_);                                                                                             \
	} while (0)

static inline void guest_write_file(const char *path, const char *text)
{
	int fd = MUST(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));

	MUST(write(fd, text, strlen(text)));
	close(fd);
}

// Prints a file's bytes, the unprintable ones as octal escapes.
static inline void guest_show_file(const char *path)
{
	unsigned char buf[512];
	ssize_t n;
	int fd = open(path, O_RDONLY);

	if (fd < 0) {
		printf("%s: %s\n", path, strerror(errno));
		return;
	}
	printf("%s: \"", path);
	while ((n = read(fd, buf, sizeof buf)) > 0)
		for (ssize_t i = 0; i < n; i++)
			if (buf[i] == '\n')
				printf("\\n");
			else if (buf[i] < 32 || buf[i] > 126)
				printf("\\%o", buf[i]);
			else
				putchar(buf[i]);
	printf("\"\n");
	close(fd);
}

static inline void guest_nap(long milliseconds)
{
	usleep(milliseconds * 1000);
}

static inline int guest_done(void)
{
	fflush(stdout);
	return guest_wrong ? 98 : 0;
}

#endif
