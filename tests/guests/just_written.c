// Code that was written just now is executed as it is: at its own address, through another mapping of the same memory, by another
// process, by a system call.
#include "guest.h"
#include <sys/syscall.h>
#include <sys/uio.h>

typedef int function(void);

// mov $value, %eax; ret
static void put(unsigned char *at, int value)
{
	at[0] = 0xb8;
	memcpy(at + 1, &value, 4);
	at[5] = 0xc3;
}

int main(void)
{
	int fd = MUST(syscall(SYS_memfd_create, "code", 0)), pipe_[2];
	unsigned char bytes[16], *writable, *executable, *both;
	function *run;
	long sum = 0;

	MUST(ftruncate(fd, 8192));
	writable = MUST(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	executable = MUST(mmap(NULL, 8192, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0));
	run = (function *)executable;
	for (int i = 0; i < 1000; i++) {
		put(writable, i);
		sum += run();
	}
	TELL(sum);

	// A string copy, an atomic exchange, one byte.
	put(bytes, 77);
	asm volatile("rep movsb" : : "S"(bytes), "D"(writable), "c"(6) : "memory");
	TELL(run());
	__atomic_exchange_n((int *)(writable + 1), 78, __ATOMIC_SEQ_CST);
	TELL(run());
	*(volatile unsigned char *)(writable + 1) = 79;
	TELL(run());

	// System calls.
	put(bytes, 80);
	TELL(pwrite(fd, bytes, 6, 0));
	TELL(run());
	MUST(pipe(pipe_));
	put(bytes, 81);
	MUST(write(pipe_[1], bytes, 6));
	TELL(read(pipe_[0], writable, 6));
	TELL(run());
	put(bytes, 82);
	struct iovec here = { bytes, 6 };
	TELL(writev(pipe_[1], &here, 1));
	here.iov_base = writable;
	TELL(readv(pipe_[0], &here, 1));
	TELL(run());

	// Another process.
	for (int i = 0; i < 3; i++) {
		pid_t child = MUST(fork());

		if (!child) {
			put(writable, 100 + i);
			_exit(run() == 100 + i ? 0 : 1);
		}
		int status;
		MUST(waitpid(child, &status, 0));
		printf("child %d, here %d\n", status, run());
	}

	// An instruction that goes on in the next page, which alone is written.
	run = (function *)(executable + 4096 - 3);
	put(writable + 4096 - 3, 5);
	TELL(run());
	*(volatile unsigned char *)(writable + 4096) = 1;
	TELL(run());
	TELL(pwrite(fd, "\2", 1, 4096));
	TELL(run());

	// Memory that is writable and executable at once, and code that writes the instruction after it.
	both = MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	run = (function *)both;
	for (int i = 0; i < 3; i++) {
		// movb $i, 2(%rip), which is the operand of the next but one; nop; mov $9, %eax; ret.
		static const unsigned char code[] = { 0xc6, 0x05, 0x02, 0, 0, 0, 0, 0x90, 0xb8, 9, 0, 0, 0, 0xc3 };

		memcpy(both, code, sizeof code);
		both[6] = i;
		TELL(run());
	}
	// A private copy of a page of code is its own.
	both = MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE, fd, 0));
	run = (function *)both;
	put(writable, 1);
	TELL(run());
	put(both, 2);
	put(writable, 3);
	TELL(run());
	TELL(((function *)executable)());

	// Another page of code at the same address.
	MUST(mmap(executable, 4096, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, fd, 4096));
	put(writable + 4096, 4);
	TELL(((function *)executable)());
	MUST(mprotect(executable, 4096, PROT_READ));
	put(writable + 4096, 6);
	MUST(mprotect(executable, 4096, PROT_READ | PROT_EXEC));
	TELL(((function *)executable)());
	return guest_done();
}
