// How a program ends that does what it may not; the argument names the fault.
#include "guest.h"
#include <sys/resource.h>

static volatile int zero, sink;
static int (*volatile self)(int);

static int deep(int n)
{
	volatile char frame[4096];

	frame[0] = n;
	return self(n + 1) + frame[0];
}

int main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "";
	static const char constant[] = "constant";
	volatile char *p;

	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	printf("before %s\n", kind);
	fflush(stdout);
	if (!strcmp(kind, "null-write"))
		*(volatile int *)(uintptr_t)zero = 1;
	else if (!strcmp(kind, "null-read"))
		sink = *(volatile int *)(uintptr_t)zero;
	else if (!strcmp(kind, "null-call"))
		((void (*)(void))(uintptr_t)zero)();
	else if (!strcmp(kind, "ud2"))
		asm volatile("ud2");
	else if (!strcmp(kind, "divide-by-zero"))
		sink = sink / zero;
	else if (!strcmp(kind, "divide-overflow")) {
		volatile int minimum = INT_MIN, minus = zero - 1;

		sink = minimum / minus;
	} else if (!strcmp(kind, "abort"))
		abort();
	else if (!strcmp(kind, "no-exec")) {
		p = MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		*p = 0xc3;
		((void (*)(void))p)();
	} else if (!strcmp(kind, "stack-exec")) {
		volatile char code[16] = { 0xc3 };

		((void (*)(void))code)();
	} else if (!strcmp(kind, "write-rodata")) {
		p = (volatile char *)constant;
		asm volatile("" : "+r"(p));
		*p = 'C';
	} else if (!strcmp(kind, "write-text")) {
		p = (volatile char *)main;
		*p = 0;
	} else if (!strcmp(kind, "stack-overflow")) {
		self = deep;
		sink = deep(zero);
	} else if (!strcmp(kind, "int3"))
		asm volatile("int3");
	else if (!strcmp(kind, "int1"))
		asm volatile(".byte 0xf1");
	else if (!strcmp(kind, "int-1"))
		asm volatile("int $1");
	else if (!strcmp(kind, "int-13"))
		asm volatile("int $13");
	else if (!strcmp(kind, "hlt"))
		asm volatile("hlt");
	else if (!strcmp(kind, "cli"))
		asm volatile("cli");
	else if (!strcmp(kind, "in"))
		asm volatile("inb $0x80, %%al" : : : "rax");
	else if (!strcmp(kind, "rdmsr"))
		asm volatile("rdmsr" : : "c"(0xc0000082) : "rax", "rdx");
	else if (!strcmp(kind, "swapgs"))
		asm volatile("swapgs");
	else if (!strcmp(kind, "mov-cr0"))
		asm volatile("mov %%cr0, %%rax" : : : "rax");
	else if (!strcmp(kind, "sysret"))
		asm volatile("sysretq");
	else if (!strcmp(kind, "noncanonical"))
		*(volatile char *)0x8000000000000000 = 1;
	else if (!strcmp(kind, "noncanonical-stack"))
		asm volatile("mov $0x1234567812345678, %%rsp\n push %%rax" : : : "memory");
	else if (!strcmp(kind, "kernel-read"))
		sink = *(volatile int *)0xffffffff81000000;
	else if (!strcmp(kind, "kernel-jump"))
		((void (*)(void))0xffffffff81000000)();
	else if (!strcmp(kind, "misaligned-sse"))
		asm volatile("movaps %%xmm0, 1(%0)" : : "r"((uintptr_t)&constant & -16));
	else if (!strcmp(kind, "prot-none"))
		*(volatile char *)MUST(mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) = 1;
	else if (!strcmp(kind, "unmapped")) {
		p = MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		*p = 1;
		munmap((void *)p, 4096);
		*p = 2;
	} else if (!strcmp(kind, "beyond-file")) {
		int fd;

		guest_write_file("short", "x");
		fd = MUST(open("short", O_RDWR));
		p = MUST(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
		printf("%c%d\n", p[0], p[4095]);
		fflush(stdout);
		sink = p[4096];
	} else if (!strcmp(kind, "simd-exception"))
		asm volatile("ldmxcsr %0\n xorps %%xmm0, %%xmm0\n divss %%xmm0, %%xmm0" : : "m"((unsigned){ 0 }) : "xmm0");
	else if (!strcmp(kind, "x87-exception"))
		asm volatile("fldcw %0\n fldz\n fldz\n fdivrp\n fwait" : : "m"((unsigned short){ 0x360 }));
	else if (!strcmp(kind, "trap-flag"))
		asm volatile("pushf\n orq $0x100, (%%rsp)\n popf\n nop" : : : "memory");
	else if (!strcmp(kind, "kill-self"))
		kill(getpid(), SIGKILL);
	else if (!strcmp(kind, "term-self"))
		raise(SIGTERM);
	else if (!strcmp(kind, "usr1-self"))
		raise(SIGUSR1);
	else if (!strcmp(kind, "blocked-fault")) {
		sigset_t all;

		// A fault that is blocked or ignored ends the program all the same.
		sigfillset(&all);
		sigprocmask(SIG_SETMASK, &all, NULL);
		signal(SIGSEGV, SIG_IGN);
		*(volatile int *)(uintptr_t)zero = 1;
	} else if (!strcmp(kind, "exit-300"))
		exit(300);
	else
		return 64;
	printf("still here after %s\n", kind);
	return 0;
}
