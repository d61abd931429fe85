// pipe(2): bytes in order, ends of file, both directions of blocking, atomic writes, capacity.
#include "guest.h"
#include <sys/ioctl.h>

int main(void)
{
	static char block[200000];
	char buf[100];
	int ends[2], back[2], status, readable;
	long total = 0, n;
	uint32_t sum = 0, expected = 0;
	pid_t child;

	TELL(pipe(ends));
	printf("%d %d\n", ends[0], ends[1]);
	TELL(write(ends[1], "first second", 12));
	TELL(ioctl(ends[0], FIONREAD, &readable));
	TELL(readable);
	TELL(read(ends[0], buf, 5));
	TELL(read(ends[0], buf, sizeof buf));
	printf("%.7s\n", buf);
	TELL(write(ends[0], "x", 1));
	TELL(read(ends[1], buf, 1));
	TELL(fcntl(ends[0], F_GETFL) & O_ACCMODE);
	TELL(fcntl(ends[1], F_GETFL) & O_ACCMODE);
	TELL(fcntl(ends[0], F_GETPIPE_SZ));
	TELL(read(ends[0], buf, 0));
	// The reader waits for the writer.
	fflush(stdout);
	if (fork() == 0) {
		guest_nap(30);
		write(ends[1], "late", 4);
		_exit(0);
	}
	TELL(read(ends[0], buf, sizeof buf));
	wait(&status);
	// The writer waits for the reader: 200000 bytes through a buffer of 65536.
	for (size_t i = 0; i < sizeof block; i++) {
		block[i] = i * 7 + (i >> 8);
		expected = expected * 31 + (unsigned char)block[i];
	}
	child = fork();
	if (child == 0) {
		close(ends[0]);
		_exit(write(ends[1], block, sizeof block) == sizeof block ? 0 : 1);
	}
	close(ends[1]);
	guest_nap(20);
	while ((n = read(ends[0], buf, 97)) > 0) {
		for (long i = 0; i < n; i++)
			sum = sum * 31 + (unsigned char)buf[i];
		total += n;
	}
	TELL(total);
	EXPECT(sum == expected);
	wait(&status);
	guest_status("the writer", status);
	TELL(read(ends[0], buf, 1));
	// Non-blocking: a full pipe takes what fits, and nothing when a write of up to 4096 bytes doesn't fit whole.
	TELL(pipe2(ends, O_NONBLOCK | O_CLOEXEC));
	TELL(read(ends[0], buf, 1));
	TELL(write(ends[1], block, sizeof block));
	TELL(write(ends[1], block, 1));
	TELL(read(ends[0], block, 100));
	TELL(write(ends[1], block, 4096));
	TELL(read(ends[0], block, 4096));
	TELL(write(ends[1], block, 4096));
	TELL(write(ends[1], block, 5000));
	close(ends[0]), close(ends[1]);
	// Ping-pong: each side blocks in turn.
	MUST(pipe(ends)), MUST(pipe(back));
	if (fork() == 0) {
		int value;

		close(ends[1]), close(back[0]);
		while (read(ends[0], &value, sizeof value) == sizeof value) {
			value = value * 3 + 1;
			write(back[1], &value, sizeof value);
		}
		_exit(0);
	}
	close(ends[0]), close(back[1]);
	status = 1;
	for (int i = 0; i < 200; i++) {
		MUST(write(ends[1], &status, sizeof status));
		MUST(read(back[0], &status, sizeof status));
		status &= 0xffff;
	}
	TELL(status);
	close(ends[1]);
	TELL(read(back[0], buf, 1));
	wait(&status);
	// Many writers of whole records: none is torn.
	MUST(pipe(ends));
	for (int w = 0; w < 4; w++)
		if (fork() == 0) {
			char record[64];

			memset(record, 'A' + w, sizeof record);
			for (int i = 0; i < 100; i++)
				write(ends[1], record, sizeof record);
			_exit(0);
		}
	close(ends[1]);
	total = 0;
	while (1) {
		size_t got = 0;

		while (got < 64 && (n = read(ends[0], buf + got, 64 - got)) > 0)
			got += n;
		if (got < 64)
			break;
		for (int i = 1; i < 64; i++)
			total += buf[i] != buf[0];
	}
	TELL(total);
	while (wait(NULL) > 0)
		;
	return guest_done();
}
