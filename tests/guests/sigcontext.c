// The frame of a handler: what it says, what changes in it do, nested handlers, alternate stacks, bad stacks and frames.
#include "guest.h"
#include <setjmp.h>
#include <ucontext.h>

static char alternate[1 << 15] __attribute__((aligned(16)));
static volatile int order[8], depth;
static volatile bool inside;
static stack_t seen;
static sigjmp_buf back;

static void skip(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	// ud2 has two bytes.
	EXPECT(sig == SIGILL && (char *)info->si_addr == (char *)u->uc_mcontext.gregs[REG_RIP]);
	u->uc_mcontext.gregs[REG_RIP] += 2;
	u->uc_mcontext.gregs[REG_RBX] = 0x1234567890abcdef;
	u->uc_mcontext.gregs[REG_EFL] |= 1;
	u->uc_mcontext.fpregs->_xmm[7].element[0] = 0xdeadbeef;
	sigaddset(&u->uc_sigmask, SIGUSR2);
}

static void nested(int sig)
{
	order[depth++] = sig;
}

static void on_stack(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	char here;

	(void)sig, (void)info;
	inside = &here >= alternate && &here < alternate + sizeof alternate;
	sigaltstack(NULL, &seen);
	EXPECT(u->uc_stack.ss_sp == alternate && u->uc_stack.ss_size == sizeof alternate);
	EXPECT((uintptr_t)u->uc_mcontext.fpregs % 64 == 0);
	EXPECT(u->uc_link == NULL);
}

static void red_zone(int sig)
{
	volatile char junk[512];

	for (unsigned i = 0; i < sizeof junk; i++)
		junk[i] = sig;
}

static void direction(int sig)
{
	unsigned long flags;

	asm volatile("pushf; pop %0" : "=r"(flags));
	EXPECT(!(flags & 0x400));
	(void)sig;
}

static void leave(int sig)
{
	siglongjmp(back, sig);
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = skip, .sa_flags = SA_SIGINFO };
	unsigned long rbx = 0, flags, xmm = 0;
	stack_t stack = { .ss_sp = alternate, .ss_size = sizeof alternate };
	sigset_t set, old;

	// What a handler writes to its context is what the program goes on with.
	sigaction(SIGILL, &action, NULL);
	asm volatile("clc; ud2; mov %%rbx, %0; movq %%xmm7, %2; pushf; pop %1"
		     : "=r"(rbx), "=r"(flags), "=r"(xmm)::"rbx", "xmm7", "cc", "memory");
	EXPECT(rbx == 0x1234567890abcdef && (flags & 1) && (uint32_t)xmm == 0xdeadbeef);
	sigprocmask(SIG_SETMASK, NULL, &old);
	EXPECT(sigismember(&old, SIGUSR2));
	// Of several signals that are pending, the lowest number's handler is interrupted by the others'.
	action = (struct sigaction){ .sa_handler = nested };
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	sigaction(SIGRTMIN, &action, NULL);
	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	raise(SIGRTMIN), raise(SIGUSR1), raise(SIGRTMIN), raise(SIGHUP), raise(SIGUSR1);
	sigemptyset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	for (int i = 0; i < depth; i++)
		printf("%d ", order[i] == SIGRTMIN ? 99 : order[i]);
	printf("\n");
	// Alternate stacks.
	TELL(sigaltstack(&stack, NULL));
	action = (struct sigaction){ .sa_sigaction = on_stack, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	EXPECT(inside && seen.ss_flags == SS_ONSTACK);
	stack.ss_flags = 1u << 31; // SS_AUTODISARM
	TELL(sigaltstack(&stack, NULL));
	raise(SIGUSR1);
	EXPECT(inside && seen.ss_flags == SS_DISABLE);
	TELL(sigaltstack(NULL, &seen));
	EXPECT(seen.ss_sp == alternate && seen.ss_flags == (int)(1u << 31));
	stack.ss_flags = 8;
	TELL(sigaltstack(&stack, NULL));
	stack.ss_flags = 0;
	stack.ss_size = 100;
	TELL(sigaltstack(&stack, NULL));
	TELL(sigaltstack(BAD_LOW, NULL));
	TELL(sigaltstack(NULL, BAD_LOW));
	// The red zone is kept, and the direction flag is clear in a handler and set again after it.
	action = (struct sigaction){ .sa_handler = red_zone };
	sigaction(SIGUSR1, &action, NULL);
	unsigned long kept;
	asm volatile("movq $4711, -128(%%rsp); movq $4712, -8(%%rsp); mov %1, %%eax; syscall; mov -128(%%rsp), %0; add -8(%%rsp), %0"
		     : "=&r"(kept)
		     : "i"(SYS_kill), "D"((long)getpid()), "S"((long)SIGUSR1)
		     : "rax", "rcx", "r11", "memory");
	EXPECT(kept == 4711 + 4712);
	action = (struct sigaction){ .sa_handler = direction };
	sigaction(SIGILL, &action, NULL);
	action = (struct sigaction){ .sa_sigaction = skip, .sa_flags = SA_SIGINFO };
	sigaction(SIGILL, &action, NULL);
	asm volatile("std; ud2; pushf; pop %0; cld" : "=r"(flags)::"rbx", "xmm7", "cc", "memory");
	EXPECT(flags & 0x400);
	sigprocmask(SIG_SETMASK, &set, NULL);
	// Faults that can't be told to the handler.
	IN_CHILD("a handler without a stack", {
		signal(SIGUSR1, leave);
		asm volatile("mov $16, %%rsp; mov %0, %%eax; syscall" ::"i"(SYS_kill), "D"((long)getpid()), "S"((long)SIGUSR1) : "memory");
	});
	IN_CHILD("one that heals a bad stack", {
		TELL(sigaltstack(&(stack_t){ .ss_sp = alternate, .ss_size = sizeof alternate }, NULL));
		action = (struct sigaction){ .sa_handler = leave, .sa_flags = SA_ONSTACK };
		sigaction(SIGSEGV, &action, NULL);
		signal(SIGUSR1, leave);
		int sig = sigsetjmp(back, 1);
		if (sig == 0)
			asm volatile("mov $16, %%rsp; mov %0, %%eax; syscall" ::"i"(SYS_kill), "D"((long)getpid()), "S"((long)SIGUSR1) : "memory");
		printf("left by signal %d\n", sig);
	});
	IN_CHILD("a frame that is no frame", asm volatile("mov $4096, %%rsp; mov $15, %%eax; syscall" ::: "rax", "memory"));
	IN_CHILD("a handler at a bad address", signal(SIGUSR1, (void *)0x10); raise(SIGUSR1));
	IN_CHILD("a handler at an address that isn't canonical", signal(SIGUSR1, (void *)0x8000000000000000); raise(SIGUSR1));
	IN_CHILD("a blocked fault", {
		signal(SIGSEGV, leave);
		sigfillset(&set);
		sigprocmask(SIG_SETMASK, &set, NULL);
		*(volatile char *)16;
	});
	IN_CHILD("an ignored fault", signal(SIGFPE, SIG_IGN); asm volatile("xor %%ecx, %%ecx; div %%ecx" ::: "rax", "rcx", "rdx"));
	// A restorer is what a handler returns to: without one there is no frame.
	struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		unsigned long mask;
	} raw = { leave, 0, NULL, 0 };
	TELL(syscall(SYS_rt_sigaction, SIGUSR1, &raw, NULL, 8));
	IN_CHILD("a handler without a restorer", kill(getpid(), SIGUSR1));
	raw.flags = -1;
	TELL(syscall(SYS_rt_sigaction, SIGUSR1, &raw, NULL, 8));
	TELL(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &raw, 8));
	printf("%#lx\n", raw.flags);
	return guest_done();
}
