/* Vector registers across signal handlers and fork, and the XSAVE area that a handler finds and may change.
   Compiled for any x86-64: AVX is used only where the processor has it. */
#include <cpuid.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static int change;

static void handler(int signal, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	unsigned char *area = (unsigned char *)uc->uc_mcontext.fpregs;
	uint32_t magic1, size, magic2;
	uint64_t held;

	(void)signal;
	(void)info;
	memcpy(&magic1, area + 464, 4);
	memcpy(&size, area + 480, 4);
	memcpy(&magic2, area + size, 4);
	memcpy(&held, area + 512, 8);
	printf("xstate %d, magic %x %x, avx held %d\n", (int)(uc->uc_flags & 1), magic1, magic2, (int)(held >> 2 & 1));
	if (change)
		memset(area + 576 + 16 * 3, 0x5a, 16);
	__asm__ volatile("vpxor %%ymm3, %%ymm3, %%ymm3\n\tvzeroall" ::: "xmm3", "memory");
}

static void show(const char *what, int how)
{
	unsigned char value[32];

	memset(value, 0xc3, sizeof(value));
	value[31] = 1;
	long result, pid = getpid();
	/* ymm3 must hold over the call itself, so it is made here. */
	if (how == 0)
		__asm__ volatile("vmovdqu (%[v]), %%ymm3\n\tsyscall\n\tvmovdqu %%ymm3, (%[v])"
				 : "=a"(result)
				 : "a"(62L), "D"(pid), "S"((long)SIGUSR1), [v] "r"(value)
				 : "rcx", "r11", "memory", "xmm3");
	else
		__asm__ volatile("vmovdqu (%[v]), %%ymm3\n\tsyscall\n\tvmovdqu %%ymm3, (%[v])"
				 : "=a"(result)
				 : "a"(57L), [v] "r"(value)
				 : "rcx", "r11", "memory", "xmm3");
	if (how == 1) {
		if (result == 0)
			_exit(value[16] == 0xc3 && value[31] == 1 ? 7 : 8);
		int status;
		waitpid(result, &status, 0);
		printf("the child of fork says %d\n", WEXITSTATUS(status));
	}
	printf("%s: %02x %02x %02x %02x\n", what, value[0], value[15], value[16], value[31]);
}

int main(void)
{
	unsigned a, b, c, d;

	__cpuid(1, a, b, c, d);
	if ((c >> 27 & 3) != 3) {
		puts("no AVX");
		return 0;
	}
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
	sigaction(SIGUSR1, &action, NULL);
	show("after a handler", 0);
	change = 1;
	show("after a handler that changed it", 0);
	show("after fork", 1);
	return 0;
}
