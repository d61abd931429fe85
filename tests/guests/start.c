// The state in which Linux starts a program, seen without a libc: all registers zero (rdx above all: libcs call it at exit unless it is
// zero), the stack aligned to 16 bytes with argc, argv, envp and auxv on it. gcc -nostdlib -static
#include <elf.h>
#include <stdint.h>

struct start {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15, flags, rsp;
};

// Stores the registers below the stack pointer's red zone before anything can change them.
asm(".globl _start\n"
    "_start:\n"
    "	mov %rsp, saved+128(%rip)\n"
    "	mov %rax, saved(%rip)\n"
    "	mov %rbx, saved+8(%rip)\n"
    "	mov %rcx, saved+16(%rip)\n"
    "	mov %rdx, saved+24(%rip)\n"
    "	mov %rsi, saved+32(%rip)\n"
    "	mov %rdi, saved+40(%rip)\n"
    "	mov %rbp, saved+48(%rip)\n"
    "	mov %r8, saved+56(%rip)\n"
    "	mov %r9, saved+64(%rip)\n"
    "	mov %r10, saved+72(%rip)\n"
    "	mov %r11, saved+80(%rip)\n"
    "	mov %r12, saved+88(%rip)\n"
    "	mov %r13, saved+96(%rip)\n"
    "	mov %r14, saved+104(%rip)\n"
    "	mov %r15, saved+112(%rip)\n"
    "	pushf\n"
    "	pop saved+120(%rip)\n"
    "	lea saved(%rip), %rdi\n"
    "	and $-16, %rsp\n"
    "	call begin\n"
    "	ud2\n");

struct start saved;

static long call3(long number, long a, long b, long c)
{
	long result;

	asm volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return result;
}

static uint64_t length(const char *s)
{
	uint64_t n = 0;

	while (s[n])
		n++;
	return n;
}

static int wrong;

static void expect(const char *what, int holds)
{
	const char *word = holds ? "ok: " : "WRONG: ";

	wrong += !holds;
	call3(1, 1, (long)word, length(word));
	call3(1, 1, (long)what, length(what));
	call3(1, 1, (long)"\n", 1);
}

void begin(struct start *s)
{
	uint64_t *stack = (uint64_t *)s->rsp;
	uint64_t argc = stack[0], i, strings_end = 0;
	char **argv = (char **)(stack + 1), **envp = argv + argc + 1;
	uint64_t auxv[64] = { 0 };
	uint16_t control, cs, ss, ds, es, fs, gs;
	uint32_t mxcsr;

	expect("rdx is 0", s->rdx == 0);
	expect("rax is 0", s->rax == 0);
	expect("rbx, rcx, rsi, rdi, rbp are 0", !(s->rbx | s->rcx | s->rsi | s->rdi | s->rbp));
	expect("r8 to r15 are 0", !(s->r8 | s->r9 | s->r10 | s->r11 | s->r12 | s->r13 | s->r14 | s->r15));
	expect("the stack pointer is aligned to 16", s->rsp % 16 == 0);
	expect("the direction, trap and arithmetic flags are clear, interrupts are on", (s->flags & ~0x202ull) == 0 && (s->flags & 0x200));
	asm volatile("fnstcw %0" : "=m"(control));
	asm volatile("stmxcsr %0" : "=m"(mxcsr));
	expect("the x87 control word is 0x37f", control == 0x37f);
	expect("mxcsr is 0x1f80", mxcsr == 0x1f80);
	asm volatile("mov %%cs, %w0\n mov %%ss, %w1" : "=r"(cs), "=r"(ss));
	asm volatile("mov %%ds, %w0\n mov %%es, %w1" : "=r"(ds), "=r"(es));
	asm volatile("mov %%fs, %w0\n mov %%gs, %w1" : "=r"(fs), "=r"(gs));
	expect("cs is 0x33", cs == 0x33);
	expect("ss is 0x2b", ss == 0x2b);
	expect("ds, es, fs and gs are 0", !(ds | es | fs | gs));
	expect("argc is 3", argc == 3);
	expect("argv[1] is the first argument", argv[1][0] == 'o' && argv[1][1] == 'n' && argv[1][2] == 'e' && !argv[1][3]);
	expect("argv[2] may be empty", argv[2][0] == 0);
	expect("argv ends in a null pointer", argv[argc] == 0);
	expect("the strings lie in argv's order", argv[0] + length(argv[0]) + 1 == argv[1] && argv[1] + 4 == argv[2]);
	for (i = 0; envp[i]; i++)
		strings_end = (uint64_t)envp[i] + length(envp[i]) + 1;
	expect("the environment holds PATH, HOME and TERM", i == 3);
	expect("the first environment string follows the last argument", envp[0] == argv[2] + 1);
	for (Elf64_auxv_t *aux = (Elf64_auxv_t *)(envp + i + 1); aux->a_type; aux++)
		if (aux->a_type < 64)
			auxv[aux->a_type] = aux->a_un.a_val;
	expect("AT_PAGESZ is 4096", auxv[AT_PAGESZ] == 4096);
	expect("AT_CLKTCK is 100", auxv[AT_CLKTCK] == 100);
	expect("AT_ENTRY is _start", auxv[AT_ENTRY] != 0);
	expect("AT_BASE is 0 without an interpreter", auxv[AT_BASE] == 0);
	expect("AT_PHENT is 56", auxv[AT_PHENT] == 56);
	expect("AT_PHDR and AT_PHNUM are there", auxv[AT_PHDR] && auxv[AT_PHNUM]);
	expect("AT_RANDOM points to bytes on the stack", auxv[AT_RANDOM] > s->rsp);
	expect("AT_SECURE is 0", auxv[AT_SECURE] == 0);
	expect("AT_PLATFORM is x86_64", auxv[AT_PLATFORM] && length((char *)auxv[AT_PLATFORM]) == 6);
	expect("AT_EXECFN is argv[0]'s text above the environment", auxv[AT_EXECFN] == strings_end);
	expect("the last 8 bytes of the stack are 0", *(uint64_t *)((strings_end + length((char *)auxv[AT_EXECFN]) + 1 + 7) & ~7ull) == 0);
	call3(60, wrong ? 98 : 7, 0, 0);
}
