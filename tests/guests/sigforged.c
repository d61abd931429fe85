// Frames that a program has forged: whatever rt_sigreturn is told to go on with, it ends in the program's own signal.
#include "guest.h"
#include <ucontext.h>

static char alternate[1 << 16] __attribute__((aligned(16)));
static char page[4096] __attribute__((aligned(4096)));
static void (*forge)(ucontext_t *u);
static const char *what;
static ucontext_t forged;

static void returns(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)info;
	forge(context);
	forged = *(ucontext_t *)context;
}

// Tells what the processor said, and whether the registers are still the forged ones.
static void report(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	greg_t *is = u->uc_mcontext.gregs, *was = forged.uc_mcontext.gregs;
	bool same = true;

	for (int i = REG_R8; i <= REG_RIP; i++)
		same &= is[i] == was[i];
	printf("%s: signal %d, code %d, trap %lld, error %lld, registers %s, flags %#llx\n", what, sig, info->si_code, is[REG_TRAPNO],
	       is[REG_ERR], same ? "as forged" : "others", is[REG_EFL] & 0x3c0700);
	fflush(stdout);
	_exit(0);
}

static void forged_frame(const char *name, void (*how)(ucontext_t *))
{
	int status;

	fflush(stdout);
	what = name;
	forge = how;
	pid_t child = fork();
	if (child == 0) {
		static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE };
		struct sigaction action = { .sa_sigaction = report, .sa_flags = SA_SIGINFO | SA_ONSTACK };

		sigaltstack(&(stack_t){ .ss_sp = alternate, .ss_size = sizeof alternate }, NULL);
		for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
			sigaction(signals[i], &action, NULL);
		action.sa_sigaction = returns;
		sigaction(SIGUSR1, &action, NULL);
		raise(SIGUSR1);
		printf("%s: went on\n", name);
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, &status, 0);
	if (WIFSIGNALED(status))
		printf("%s: killed by %d\n", name, WTERMSIG(status));
}

// Code that is gone on with: ends in a signal of its own.
asm(".text\n.globl touch, pushes, traps, calls, jumps\n"
    "touch: mov (%rbx), %rax; ud2\n"
    "pushes: push %rax; ud2\n"
    "calls: call *%rbx; ud2\n"
    "jumps: push %rbx; ret\n"
    "traps: nop; nop; ud2\n");
extern char touch[], pushes[], calls[], jumps[], traps[];

#define REG(u, r) ((u)->uc_mcontext.gregs[REG_##r])
#define FORGED(name, ...)                                                                                                               \
	static void name(ucontext_t *u)                                                                                                 \
	{                                                                                                                               \
		(void)u;                                                                                                                \
		__VA_ARGS__;                                                                                                            \
	}

FORGED(nothing, )
FORGED(low_rip, REG(u, RIP) = 0x10)
FORGED(data_rip, REG(u, RIP) = (greg_t)page)
FORGED(host_rip, REG(u, RIP) = 0x600000000000)
FORGED(odd_rip, REG(u, RIP) = (greg_t)0x8000000000000000)
FORGED(kernel_rip, REG(u, RIP) = (greg_t)0xffffffff81000000)
FORGED(host_rsp, REG(u, RIP) = (greg_t)pushes; REG(u, RSP) = 0x600000000000)
FORGED(odd_rsp, REG(u, RIP) = (greg_t)pushes; REG(u, RSP) = (greg_t)0x8000000000000000)
FORGED(kernel_rsp, REG(u, RIP) = (greg_t)pushes; REG(u, RSP) = (greg_t)0xffffffff81000000)
FORGED(zero_rsp, REG(u, RIP) = (greg_t)pushes; REG(u, RSP) = 0)
FORGED(host_pointer, REG(u, RIP) = (greg_t)touch; REG(u, RBX) = 0x600000000000)
FORGED(kernel_pointer, REG(u, RIP) = (greg_t)touch; REG(u, RBX) = (greg_t)0xffffffff81000000)
FORGED(host_call, REG(u, RIP) = (greg_t)calls; REG(u, RBX) = 0x600000000000)
FORGED(host_return, REG(u, RIP) = (greg_t)jumps; REG(u, RBX) = 0x600000000000)
FORGED(middle, REG(u, RIP) = (greg_t)touch + 1)
FORGED(trap_flag, REG(u, RIP) = (greg_t)traps; REG(u, EFL) |= 0x100)
FORGED(iopl, REG(u, RIP) = (greg_t)traps; REG(u, EFL) |= 0x3000)
FORGED(no_interrupts, REG(u, RIP) = (greg_t)traps; REG(u, EFL) &= ~0x200)
FORGED(virtual_8086, REG(u, RIP) = (greg_t)traps; REG(u, EFL) |= 0x20000)
FORGED(nested_task, REG(u, RIP) = (greg_t)traps; REG(u, EFL) |= 0x4000)
FORGED(alignment, REG(u, RIP) = (greg_t)touch; REG(u, RBX) = (greg_t)page + 1; REG(u, EFL) |= 0x40000)
FORGED(all_flags, REG(u, RIP) = (greg_t)traps; REG(u, EFL) = ~0x100ull)
FORGED(null_cs, REG(u, CSGSFS) &= ~0xffffll)
FORGED(kernel_cs, REG(u, CSGSFS) = (REG(u, CSGSFS) & ~0xffffll) | 0x10)
FORGED(data_cs, REG(u, CSGSFS) = (REG(u, CSGSFS) & ~0xffffll) | 0x2b)
FORGED(far_cs, REG(u, CSGSFS) = (REG(u, CSGSFS) & ~0xffffll) | 0xfff8)
FORGED(null_ss, REG(u, CSGSFS) &= 0xffffffffffffll)
FORGED(kernel_ss, REG(u, CSGSFS) = (REG(u, CSGSFS) & 0xffffffffffffll) | 0x18ll << 48)
FORGED(no_fpregs, u->uc_mcontext.fpregs = NULL)
FORGED(low_fpregs, u->uc_mcontext.fpregs = (void *)0x40)
FORGED(odd_fpregs, u->uc_mcontext.fpregs = (void *)((char *)u->uc_mcontext.fpregs + 8))
FORGED(kernel_fpregs, u->uc_mcontext.fpregs = (void *)0xffffffff81000000)
FORGED(bad_mxcsr, u->uc_mcontext.fpregs->mxcsr = 0xffffffff)
FORGED(bad_magic, memset((char *)u->uc_mcontext.fpregs + 464, 0xff, 48))
FORGED(bad_header, memset((char *)u->uc_mcontext.fpregs + 512, 0xff, 64))
FORGED(garbage, memset(u->uc_mcontext.fpregs, 0xa5, 832); u->uc_mcontext.fpregs->mxcsr = 0x1f80)
FORGED(all_registers, for (int i = REG_R8; i <= REG_RCX; i++) u->uc_mcontext.gregs[i] = 0x600000000000 + i; REG(u, RIP) = (greg_t)touch)

int main(void)
{
#define TRY(name) forged_frame(#name, name)
	page[0] = 1;
	TRY(nothing), TRY(low_rip), TRY(data_rip), TRY(host_rip), TRY(odd_rip), TRY(kernel_rip);
	TRY(host_rsp), TRY(odd_rsp), TRY(kernel_rsp), TRY(zero_rsp);
	TRY(host_pointer), TRY(kernel_pointer), TRY(host_call), TRY(host_return), TRY(middle), TRY(all_registers);
	TRY(trap_flag), TRY(iopl), TRY(no_interrupts), TRY(virtual_8086), TRY(nested_task), TRY(alignment), TRY(all_flags);
	TRY(null_cs), TRY(kernel_cs), TRY(data_cs), TRY(far_cs), TRY(null_ss), TRY(kernel_ss);
	TRY(no_fpregs), TRY(low_fpregs), TRY(odd_fpregs), TRY(kernel_fpregs);
	TRY(bad_mxcsr), TRY(bad_magic), TRY(bad_header), TRY(garbage);
	return guest_done();
}
