// Handlers of faults: si_addr, si_code, the trap number and error code, longjmp out, SA_ONSTACK on an overflowed stack.
#include "guest.h"
#include <setjmp.h>
#include <sys/resource.h>
#include <ucontext.h>

static sigjmp_buf back;
static siginfo_t info;
static greg_t trap, error, cr2;
static volatile int zero;
static volatile bool on_alternate;
static char alternate[1 << 16];

static void handler(int sig, siginfo_t *i, void *context)
{
	ucontext_t *u = context;
	char here;

	info = *i;
	trap = u->uc_mcontext.gregs[REG_TRAPNO];
	error = u->uc_mcontext.gregs[REG_ERR];
	cr2 = u->uc_mcontext.gregs[REG_CR2];
	on_alternate = &here >= alternate && &here < alternate + sizeof alternate;
	siglongjmp(back, sig);
}

static int recurse(int depth)
{
	volatile char frame[1024];

	frame[depth & 1023] = 1;
	return depth < 1 << 30 ? recurse(depth + 1) + frame[5] : 0;
}

#define FAULT(...)                                                                                                                      \
	do {                                                                                                                            \
		int sig_ = sigsetjmp(back, 1);                                                                                          \
		if (!sig_) {                                                                                                            \
			__VA_ARGS__;                                                                                                    \
			puts("no fault: " #__VA_ARGS__);                                                                                \
		} else                                                                                                                  \
			printf("%s: signal %d code %d trap %lld error %lld\n", #__VA_ARGS__, sig_, info.si_code, (long long)trap,       \
			       (long long)error);                                                                                       \
	} while (0)

int main(void)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t stack = { .ss_sp = alternate, .ss_size = sizeof alternate }, old;
	char *page = MUST(mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)), *file;
	int fd;

	sigaction(SIGSEGV, &action, NULL), sigaction(SIGBUS, &action, NULL), sigaction(SIGILL, &action, NULL);
	sigaction(SIGFPE, &action, NULL), sigaction(SIGTRAP, &action, NULL);
	FAULT(*(volatile int *)(16 + (long)zero) = 1);
	EXPECT(info.si_addr == (void *)16 && cr2 == 16);
	FAULT((void)*(volatile int *)(24 + (long)zero));
	EXPECT(info.si_addr == (void *)24);
	FAULT(*(volatile char *)(page + 5) = 1);
	EXPECT(info.si_addr == page + 5);
	(void)*(volatile char *)page;
	FAULT(*(volatile char *)(page + 6) = 1);
	EXPECT(info.si_addr == page + 6);
	FAULT(*(volatile long *)(page + 4092) = 1);
	EXPECT(info.si_addr == page + 4092);
	MUST(munmap(page + 4096, 4096));
	FAULT((void)*(volatile long *)(page + 4092));
	EXPECT(info.si_addr == page + 4096);
	FAULT(((void (*)(void))page)());
	EXPECT(info.si_addr == page);
	FAULT(*(volatile int *)0x8000000000000000 = 1);
	EXPECT(info.si_addr == NULL);
	FAULT((void)*(volatile int *)0xffffffff81000000);
	EXPECT(info.si_addr == (void *)0xffffffff81000000);
	FAULT(asm volatile("hlt"));
	EXPECT(info.si_addr == NULL);
	FAULT(asm volatile("ud2"));
	EXPECT(*(unsigned char *)info.si_addr == 0x0f);
	FAULT(zero = zero / zero);
	FAULT(asm volatile("int3"));
	FAULT(asm volatile("int $13"));
	FAULT(asm volatile("int $0x81"));
	FAULT(asm volatile("ldmxcsr %0\n xorps %%xmm0, %%xmm0\n divss %%xmm0, %%xmm0" : : "m"((unsigned){ 0 }) : "xmm0"));
	guest_write_file("short", "abc");
	fd = MUST(open("short", O_RDONLY));
	file = MUST(mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0));
	FAULT((void)*(volatile char *)(file + 4096));
	EXPECT(info.si_addr == file + 4096);
	// A stack that has grown to its limit leaves no room for a handler's frame, unless it has a stack of its own.
	EXPECT(!on_alternate);
	TELL(sigaltstack(&stack, &old));
	EXPECT(old.ss_flags == SS_DISABLE);
	TELL(sigaltstack(NULL, &old));
	EXPECT(old.ss_sp == alternate && old.ss_size == sizeof alternate && old.ss_flags == 0);
	FAULT(*(volatile int *)(16 + (long)zero) = 1);
	EXPECT(on_alternate);
	MUST(setrlimit(RLIMIT_STACK, &(struct rlimit){ 1 << 20, RLIM_INFINITY }));
	FAULT(recurse(0));
	EXPECT(on_alternate);
	stack.ss_size = 100;
	TELL(sigaltstack(&stack, NULL));
	stack.ss_flags = 77;
	TELL(sigaltstack(&stack, NULL));
	stack.ss_flags = SS_DISABLE;
	TELL(sigaltstack(&stack, NULL));
	IN_CHILD("an overflow without a stack for its handler", {
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		recurse(0);
	});
	return guest_done();
}
