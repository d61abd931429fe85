// EFLAGS.TF: a trap after each instruction, and after each iteration of a repeated string instruction.
#include "guest.h"
#include <ucontext.h>

#define STEPPED(setup, instructions)                                                                                                     \
	asm volatile(setup "\n sub $128, %%rsp\n pushfq\n orl $0x100, (%%rsp)\n popfq\n 1: " instructions                                 \
			   "\n pushfq\n andl $~0x100, (%%rsp)\n popfq\n add $128, %%rsp\n lea 1b(%%rip), %0"                              \
		     : "=r"(start)                                                                                                        \
		     :                                                                                                                    \
		     : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r11", "xmm0", "memory", "cc")

static volatile int count;
static volatile struct {
	long ip, left;
	int code;
	bool resume;
} traps[64];
char from[64], to[64];

static void handler(int signal, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	(void)signal;
	if (count < 64) {
		traps[count].ip = u->uc_mcontext.gregs[REG_RIP];
		traps[count].left = u->uc_mcontext.gregs[REG_RCX] & 0xff;
		traps[count].code = info->si_code;
		traps[count].resume = u->uc_mcontext.gregs[REG_EFL] >> 16 & 1;
	}
	count++;
}

static void show(const char *name, long start, bool counts)
{
	printf("%s: %d traps", name, count);
	for (int i = 0; i < count && i < 64; i++) {
		printf(" +%ld", traps[i].ip - start);
		if (counts)
			printf(" (%ld left)", traps[i].left);
		// Between two rounds Intel's processors set RF and AMD's don't.
		if (traps[i].code != 2 /* TRAP_TRACE */ || (traps[i].resume && !counts))
			printf(" code %d, RF %d", traps[i].code, traps[i].resume);
	}
	puts("");
	count = 0;
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	long start;

	sigaction(SIGTRAP, &action, NULL);
	STEPPED("", "nop\n xor %%eax, %%eax\n jz 2f\n ud2\n 2: mov $1, %%eax");
	show("a branch", start, false);
	STEPPED("mov $3, %%ecx\n lea from(%%rip), %%rsi\n lea to(%%rip), %%rdi", "rep movsb\n nop");
	show("rep movsb", start, true);
	STEPPED("xor %%ecx, %%ecx\n lea from(%%rip), %%rsi\n lea to(%%rip), %%rdi", "rep movsb\n nop");
	show("rep movsb of nothing", start, true);
	STEPPED("mov $9, %%ecx\n mov $1, %%al\n lea to(%%rip), %%rdi\n movb $1, 2(%%rdi)", "repne scasb\n nop");
	show("repne scasb that finds", start, true);
	STEPPED("mov $2, %%ecx\n xor %%eax, %%eax\n lea to(%%rip), %%rdi", "rep stosq\n nop");
	show("rep stosq", start, true);
	STEPPED("", "mov %%ss, %%eax\n mov %%eax, %%ss\n nop\n nop");
	show("a load of ss", start, false);
	STEPPED("mov $39, %%eax", "syscall\n nop\n nop");
	show("syscall", start, false);
	STEPPED("", "movd %%eax, %%xmm0\n cpuid\n rdtsc\n push %%rax\n pop %%rax\n pushfq\n pop %%rax\n and $0x100, %%eax");
	show("others", start, false);
	asm volatile("int3\n 1: lea 1b(%%rip), %0" : "=r"(start));
	show("int3", start, false);
	return guest_done();
}
