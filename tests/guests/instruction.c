// What the syscall instruction promises: rcx is the next rip, r11 the flags, every other register is kept; only eax is the number.
#include "guest.h"
#include <immintrin.h>

struct regs {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, flags;
};

// Loads the registers of `in`, executes syscall, stores them all to `out`; `next` is the address after the instruction.
void all_registers(const struct regs *in, struct regs *out);
extern char next[], vector_next[];
asm(".text\n"
    ".globl all_registers, next\n"
    "all_registers:\n"
    "	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15; push %rsi\n"
    "	mov %rsp, keep(%rip)\n"
    "	pushq 128(%rdi); popf\n"
    "	mov (%rdi), %rax; mov 8(%rdi), %rbx; mov 16(%rdi), %rcx; mov 24(%rdi), %rdx; mov 32(%rdi), %rsi; mov 48(%rdi), %rbp\n"
    "	mov 64(%rdi), %r8; mov 72(%rdi), %r9; mov 80(%rdi), %r10; mov 88(%rdi), %r11; mov 96(%rdi), %r12; mov 104(%rdi), %r13\n"
    "	mov 112(%rdi), %r14; mov 120(%rdi), %r15; mov 40(%rdi), %rdi\n"
    "	syscall\n"
    "next:\n"
    "	mov %rdi, spill(%rip)\n"
    "	mov %rsp, spill+8(%rip)\n"
    "	pushf; popq spill+16(%rip)\n"
    "	pop %rdi\n"
    "	mov %rax, (%rdi); mov %rbx, 8(%rdi); mov %rcx, 16(%rdi); mov %rdx, 24(%rdi); mov %rsi, 32(%rdi); mov %rbp, 48(%rdi)\n"
    "	mov %r8, 64(%rdi); mov %r9, 72(%rdi); mov %r10, 80(%rdi); mov %r11, 88(%rdi); mov %r12, 96(%rdi); mov %r13, 104(%rdi)\n"
    "	mov %r14, 112(%rdi); mov %r15, 120(%rdi)\n"
    "	mov spill(%rip), %rax; mov %rax, 40(%rdi)\n"
    "	mov spill+8(%rip), %rax; mov %rax, 56(%rdi)\n"
    "	mov spill+16(%rip), %rax; mov %rax, 128(%rdi)\n"
    "	pushq $0x202; popf\n"
    "	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "	ret\n");
uint64_t keep, spill[3];

static long number(uint64_t rax)
{
	long result;

	asm volatile("syscall" : "=a"(result) : "a"(rax), "D"(0), "S"(0), "d"(0) : "rcx", "r11", "memory");
	return result;
}

int main(void)
{
	static const uint64_t flags[] = { 0x202, 0x202 | 0x8d5, 0x202 | 0x400, 0x202 | 0x40000, 0x202 | 0x200000 };
	struct regs in, out;
	uint64_t *fields = (uint64_t *)&in;
	pid_t pid = getpid();
	unsigned short segments[2][4];
	__m128i before = _mm_set_epi64x(0x1122334455667788, 0x99aabbccddeeff00), after;
	long double st;

	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		for (int r = 0; r < 16; r++)
			fields[r] = 0x0101010101010101 * (r + 1) ^ 0x8000000000000000;
		in.rax = SYS_getpid;
		in.flags = flags[i];
		all_registers(&in, &out);
		printf("flags %llx\n", (unsigned long long)flags[i]);
		EXPECT(out.rax == (uint64_t)pid);
		EXPECT(out.rcx == (uint64_t)next);
		EXPECT(out.r11 == in.flags);
		EXPECT(out.flags == in.flags);
		EXPECT(out.rbx == in.rbx && out.rdx == in.rdx && out.rsi == in.rsi && out.rdi == in.rdi && out.rbp == in.rbp);
		EXPECT(out.r8 == in.r8 && out.r9 == in.r9 && out.r10 == in.r10);
		EXPECT(out.r12 == in.r12 && out.r13 == in.r13 && out.r14 == in.r14 && out.r15 == in.r15);
		EXPECT(out.rsp == keep);
	}
	// An error leaves the registers alone just the same.
	in.rax = SYS_close;
	in.rdi = -1;
	in.flags = 0x202;
	all_registers(&in, &out);
	printf("close(-1) = %ld\n", (long)out.rax);
	EXPECT(out.rdi == in.rdi && out.rsi == in.rsi && out.rdx == in.rdx && out.rcx == (uint64_t)next && out.r11 == 0x202);
	// Only eax is the number.
	EXPECT(number(SYS_getpid) == pid);
	EXPECT(number(0xffffffff00000000 | SYS_getpid) == pid);
	EXPECT(number(0x1234567800000000 | SYS_getppid) == getppid());
	printf("%ld %ld %ld %ld\n", number(100000), number(-1), number(0xffffffff), number(0x100000000 | 100000));
	printf("%ld %ld %ld %ld %ld\n", number(380), number(400), number(423), number(600), number(999));
	printf("%ld %ld %ld\n", number(0x80000000), number(0x7fffffff), number(0x123456789abcdef0));
	// Vector and x87 registers are not the call's business.
	asm volatile("movdqu %1, %%xmm7\n"
		     "fldpi\n"
		     "mov %3, %%eax\n"
		     "syscall\n"
		     "movdqu %%xmm7, %0\n"
		     "fstpt %2\n"
		     : "=m"(after), "+m"(before), "=m"(st)
		     : "i"(SYS_getppid)
		     : "rax", "rcx", "r11", "xmm7", "memory");
	EXPECT(memcmp(&before, &after, 16) == 0);
	printf("%.15Lf\n", st);
	for (int i = 0; i < 2; i++) {
		asm volatile("mov %%cs, %0\n mov %%ss, %1\n mov %%ds, %2\n mov %%es, %3"
			     : "=m"(segments[i][0]), "=m"(segments[i][1]), "=m"(segments[i][2]), "=m"(segments[i][3]));
		number(SYS_getppid);
	}
	EXPECT(memcmp(segments[0], segments[1], sizeof segments[0]) == 0);
	printf("cs %x ss %x\n", segments[0][0], segments[0][1]);
	return guest_done();
}
