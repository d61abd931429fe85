// Segment registers, what is told about descriptors, far returns, and what else ring 3 may try with the system's registers.
#include "guest.h"
#include <cpuid.h>
#include <setjmp.h>
#include <ucontext.h>

static sigjmp_buf again;
static volatile struct {
	int signal, code;
	long long trap, error;
} seen;

static void handler(int signal, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	seen.signal = signal;
	seen.code = info->si_code;
	seen.trap = u->uc_mcontext.gregs[REG_TRAPNO];
	seen.error = u->uc_mcontext.gregs[REG_ERR];
	siglongjmp(again, 1);
}

// Tries an instruction with eax and edx as given.
#define TRY(instruction, a, d)                                                                                                           \
	do {                                                                                                                             \
		seen.signal = 0;                                                                                                         \
		if (!sigsetjmp(again, 1))                                                                                                \
			asm volatile(instruction : : "a"((long)(a)), "d"((long)(d)) : "rcx", "rbx", "rsi", "rdi", "memory", "cc");       \
		if (seen.signal)                                                                                                         \
			printf("%s, %#lx: signal %d, code %d, trap %lld(%lld)\n", #instruction, (long)(a), seen.signal, seen.code,       \
			       seen.trap, seen.error);                                                                                   \
		else                                                                                                                     \
			printf("%s, %#lx: done\n", #instruction, (long)(a));                                                             \
	} while (0)

static unsigned char table[10];
static unsigned short word;

int main(void)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER };
	long value, flags, selector;
	volatile bool hidden = true;
	unsigned a, b, c, d;

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGILL, &action, NULL);
	sigaction(SIGTRAP, &action, NULL);
	for (int i = 0; i < 12; i++) {
		static const int selectors[] = { 0, 3, 0x10, 0x2b, 0x28, 0x33, 0x40, 0x53, 0x63, 0xf, 0xff8, 0xfffb };

		TRY("mov %%eax, %%ds\n mov %%edx, %%ds", selectors[i], 0);
	}
	TRY("mov %%eax, %%ss", 0x2b, 0);
	TRY("mov %%eax, %%ss", 0, 0);
	TRY("mov %%eax, %%ss", 3, 0);
	TRY("mov %%eax, %%ss", 0x28, 0);
	TRY("mov %%eax, %%ss", 0x33, 0);
	TRY("mov %%eax, %%cs", 0x33, 0);
	asm volatile("mov %%cs, %0" : "=r"(value));
	TELL((int)value);
	asm volatile("mov %%ss, %0" : "=r"(value));
	TELL((int)value);
	asm volatile("mov %%ds, %0" : "=r"(value));
	TELL((int)value);

	for (selector = 0; selector < 0x90; selector++) {
		long rights = -1, limit = -1;
		unsigned char has_rights, has_limit, read, write;

		if ((selector & 7) != 0 && (selector & 7) != 3)
			continue;
		asm volatile("lar %k2, %k0\n setz %1" : "+r"(rights), "=&r"(has_rights) : "r"(selector));
		asm volatile("lsl %k2, %k0\n setz %1" : "+r"(limit), "=&r"(has_limit) : "r"(selector));
		asm volatile("verr %w1\n setz %0" : "=&r"(read) : "r"(selector));
		asm volatile("verw %w1\n setz %0" : "=&r"(write) : "r"(selector));
		// The processor's and the node's numbers are in the limit of the last.
		if (has_rights || has_limit || read || write)
			printf("selector %#lx: rights %lx, limit %lx, read %d, write %d\n", selector, rights,
			       selector >= 0x78 ? has_limit : limit, read, write);
	}

	// A far return and an interrupt return within ring 3.
	asm volatile("sub $128, %%rsp\n mov %%cs, %%ecx\n push %%rcx\n lea 1f(%%rip), %%rcx\n push %%rcx\n lretq\n 1: add $128, %%rsp\n"
		     "mov $5, %k0"
		     : "=r"(value)
		     :
		     : "rcx", "memory");
	TELL(value);
	asm volatile("mov %%ss, %%ecx\n mov %%rsp, %%rdx\n push %%rcx\n push %%rdx\n pushfq\n orl $0x50000, (%%rsp)\n mov %%cs, %%ecx\n"
		     "push %%rcx\n lea 1f(%%rip), %%rcx\n push %%rcx\n iretq\n 1: pushfq\n pop %0\n push %0\n andl $~0x40000, (%%rsp)\n popfq"
		     : "=r"(flags)
		     :
		     : "rcx", "rdx", "memory", "cc");
	printf("after iretq: AC %lu, RF %lu\n", flags >> 18 & 1, flags >> 16 & 1);
	TRY("sub $64, %%rsp\n push %%rax\n push %%rdx\n lretq", 0x10, 0);
	TRY("sub $64, %%rsp\n push %%rax\n push %%rdx\n lretq", 0x33, 0x800000000000);
	TRY("sub $64, %%rsp\n push %%rax\n push %%rdx\n pushfq\n push $0x33\n push $0\n iretq", 0x28, 0);
	TRY("sub $64, %%rsp\n push %%rax\n push %%rdx\n pushfq\n push $0x10\n push $0\n iretq", 0x2b, 0);

	// What the kernel answers where the processor doesn't, if the processor has UMIP.
	__cpuid_count(7, 0, a, b, c, d);
	if (c >> 2 & 1) {
		static const unsigned char gdt[10] = { 0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff };
		static const unsigned char idt[10] = { 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

		asm volatile("sgdt %0" : "=m"(table));
		hidden = hidden && !memcmp(table, gdt, 10);
		asm volatile("sidt %0" : "=m"(table));
		hidden = hidden && !memcmp(table, idt, 10);
		value = -1;
		asm volatile("smsw %0" : "+r"(value));
		hidden = hidden && value == 0x80050033;
		value = -1;
		asm volatile("smsw %w0" : "+r"(value));
		hidden = hidden && value == (long)0xffffffffffff0033;
		asm volatile("smsw %0" : "=m"(word));
		hidden = hidden && word == 0x33;
		value = -1;
		asm volatile("str %k0" : "+r"(value));
		hidden = hidden && value == (long)0xffffffff00000040;
		value = -1;
		asm volatile("sldt %w0" : "+r"(value));
		hidden = hidden && value == (long)0xffffffffffff0000;
		seen.signal = 0;
		if (!sigsetjmp(again, 1))
			asm volatile("sgdt 8");
		hidden = hidden && seen.signal == SIGSEGV && seen.code == SEGV_MAPERR && seen.trap == 14 && seen.error == 6;
	}
	guest_expect("system tables are hidden, or not", hidden, __FILE__, __LINE__);

	TRY("mov %%dr0, %%rax", 0, 0);
	TRY("mov %%rax, %%dr7", 0, 0);
	TRY("mov %%cr8, %%rax", 0, 0);
	TRY("lgdt (%%rax)", 0, 0);
	TRY("lldt %%ax", 0, 0);
	TRY("ltr %%ax", 0, 0);
	TRY("lmsw %%ax", 0, 0);
	TRY("clts", 0, 0);
	TRY("xor %%ecx, %%ecx\n xsetbv", 7, 0);
	TRY("mov $5, %%ecx\n xgetbv", 0, 0);
	TRY("invlpg (%%rax)", 0, 0);
	TRY("wbinvd", 0, 0);
	TRY("in %%dx, %%al", 0, 0x80);
	TRY("out %%al, $0x80", 0, 0);
	TRY("insb", 0, 0x80);
	TRY("xor %%ecx, %%ecx\n rep outsb", 0, 0x80);
	TRY("sti", 0, 0);
	TRY("int $0x81", 0, 0);
	TRY(".byte 0xce", 0, 0);
	TRY(".byte 0xf0, 0x90", 0, 0);
	TRY(".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90", 0, 0);
	TRY(".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90", 0, 0);
	TRY(".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x06", 0, 0);
	return guest_done();
}
