// EFLAGS.AC: misaligned accesses of ring 3 raise SIGBUS, if the program has asked for that. What processors don't agree on (vectors without
// alignment, FXSAVE, pages that are not there) is the core's own tests' affair.
#include "guest.h"
#include <setjmp.h>
#include <ucontext.h>

#define FLIP_AC(instruction, bit) "pushfq\n " instruction " $" bit ", (%%rsp)\n popfq\n "
#define CHECKED(instructions)                                                                                                            \
	asm volatile("sub $128, %%rsp\n " FLIP_AC("orl", "0x40000") instructions "\n " FLIP_AC("andl", "~0x40000") "add $128, %%rsp"     \
		     : "+r"(p)                                                                                                            \
		     :                                                                                                                    \
		     : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "xmm0", "xmm1", "memory", "cc")

static sigjmp_buf again;
static char area[4096] __attribute__((aligned(64)));
static volatile struct {
	int signal, code;
	bool no_address, checked;
	long long trap, error;
} seen;

static void handler(int signal, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	// The handler starts with the flag as it was: whoever sets it must clear it before anything else.
	asm volatile("sub $128, %%rsp\n " FLIP_AC("andl", "~0x40000") "add $128, %%rsp" : : : "memory", "cc");
	seen.signal = signal;
	seen.code = info->si_code;
	seen.no_address = !info->si_addr;
	seen.checked = u->uc_mcontext.gregs[REG_EFL] >> 18 & 1;
	seen.trap = u->uc_mcontext.gregs[REG_TRAPNO];
	seen.error = u->uc_mcontext.gregs[REG_ERR];
	siglongjmp(again, 1);
}

#define TRY(name, offset, instructions)                                                                                                  \
	do {                                                                                                                             \
		seen.signal = 0;                                                                                                         \
		if (!sigsetjmp(again, 1)) {                                                                                              \
			char *p = area + 1024 + (offset);                                                                                \
			CHECKED(instructions);                                                                                           \
		}                                                                                                                        \
		asm volatile("fninit");                                                                                                  \
		if (seen.signal)                                                                                                         \
			printf("%s +%d: signal %d, code %d, trap %lld(%lld), %s address, flag %d\n", name, offset, seen.signal,          \
			       seen.code, seen.trap, seen.error, seen.no_address ? "no" : "an", seen.checked);                           \
		else                                                                                                                     \
			printf("%s +%d: done\n", name, offset);                                                                          \
	} while (0)

int main(void)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER };
	char *p;

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	TRY("byte", 1, "movb (%0), %%al");
	TRY("word", 1, "movw (%0), %%ax");
	TRY("doubleword", 2, "movl (%0), %%eax");
	TRY("doubleword", 4, "movl %%eax, (%0)");
	TRY("quadword", 4, "movq %%rax, (%0)");
	TRY("read and write", 2, "addl $1, (%0)");
	TRY("locked", 2, "lock addl $1, (%0)");
	TRY("cmpxchg8b", 4, "cmpxchg8b (%0)");
	TRY("cmpxchg16b", 8, "cmpxchg16b (%0)");
	TRY("movnti", 2, "movnti %%eax, (%0)");
	TRY("bit string", 1, "xor %%eax, %%eax\n btl %%eax, (%0)");
	TRY("movaps", 8, "movaps (%0), %%xmm0");
	TRY("movss", 2, "movss (%0), %%xmm0");
	TRY("movsd", 4, "movsd (%0), %%xmm0");
	TRY("movhps", 4, "movhps %%xmm0, (%0)");
	TRY("pinsrw", 1, "pinsrw $0, (%0), %%xmm0");
	TRY("movq mm", 4, "movq (%0), %%mm0");
	TRY("fld m80", 4, "fldt (%0)");
	TRY("fld m80", 8, "fldt (%0)");
	TRY("fld m64", 4, "fldl (%0)");
	TRY("fild m16", 1, "filds (%0)");
	TRY("fbstp", 4, "fld1\n fbstp (%0)");
	TRY("fnstcw", 1, "fnstcw (%0)");
	TRY("fnstenv", 2, "fnstenv (%0)");
	TRY("fnstenv", 4, "fnstenv (%0)");
	TRY("fnstenv of 16 bits", 2, "data16 fnstenv (%0)");
	TRY("fnstenv of 16 bits", 1, "data16 fnstenv (%0)");
	TRY("fnsave", 2, "fnsave (%0)");
	TRY("frstor", 4, "fnsave (%0)\n frstor (%0)");
	TRY("stmxcsr", 2, "stmxcsr (%0)");
	TRY("push", 0, "mov %%rsp, %%rbx\n sub $4, %%rsp\n push %%rax\n mov %%rbx, %%rsp");
	TRY("enter", 0, "mov %%rsp, %%rbx\n sub $4, %%rsp\n enter $8, $2\n leave\n mov %%rbx, %%rsp");
	TRY("rep movsb", 1, "mov %0, %%rsi\n lea 64(%0), %%rdi\n mov $300, %%ecx\n rep movsb");
	TRY("rep movsq", 4, "mov %0, %%rsi\n lea 68(%0), %%rdi\n mov $300, %%ecx\n rep movsq");
	TRY("rep stosq", 4, "mov %0, %%rdi\n mov $300, %%ecx\n rep stosq");
	TRY("cmpsl", 2, "mov %0, %%rsi\n mov %0, %%rdi\n cmpsl");
	TRY("prefetch", 1, "prefetcht0 (%0)");
	TRY("nop", 1, "nopl (%0)");
	seen.signal = 0;
	p = (char *)0x8000000000000001;
	if (!sigsetjmp(again, 1))
		CHECKED("movl (%0), %%eax");
	printf("no address: signal %d\n", seen.signal);
	return guest_done();
}
