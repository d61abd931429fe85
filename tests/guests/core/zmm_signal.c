/* AVX-512's registers across signal handlers and fork, and the XSAVE area that a handler finds and may change, by the places
   that CPUID tells. */
#include <cpuid.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static int change;

static unsigned place(int component)
{
	unsigned a, b, c, d;

	__cpuid_count(0xd, component, a, b, c, d);
	return b;
}

static void handler(int signal, siginfo_t *info, void *context)
{
	unsigned char *area = (unsigned char *)((ucontext_t *)context)->uc_mcontext.fpregs;
	uint32_t size, extended, magic2;
	uint64_t held, features;

	(void)signal;
	(void)info;
	memcpy(&extended, area + 468, 4);
	memcpy(&features, area + 472, 8);
	memcpy(&size, area + 480, 4);
	memcpy(&magic2, area + size, 4);
	memcpy(&held, area + 512, 8);
	printf("magic %x, %u more, features %x, held %x\n", magic2, extended - size, (int)(features & 0xe7), (int)(held & 0xe0));
	printf("k1 %02x, zmm3's last %02x, zmm20's last %02x\n", area[place(5) + 8], area[place(6) + 32 * 3 + 31],
	       area[place(7) + 64 * 4 + 63]);
	if (change) {
		area[place(5) + 8] = 0x77;
		area[place(6) + 32 * 3 + 31] = 0x5a;
		area[place(7) + 64 * 4 + 63] = 0xa5;
	}
	__asm__ volatile("kxorq %%k1, %%k1, %%k1\n\tvpxord %%zmm20, %%zmm20, %%zmm20\n\tvzeroall" ::: "memory");
}

static void show(const char *what, int how)
{
	unsigned char low[64], high[64];
	unsigned long k = 0x1122334455667788;
	long result, pid = getpid();

	memset(low, 0xc3, sizeof(low));
	memset(high, 0x3c, sizeof(high));
	low[63] = 1;
	high[63] = 2;
	/* The registers must hold over the call itself, so they are made here. */
	__asm__ volatile("vmovdqu64 (%[low]), %%zmm3\n\tvmovdqu64 (%[high]), %%zmm20\n\tkmovq %[k], %%k1\n\tsyscall\n\t"
			 "vmovdqu64 %%zmm3, (%[low])\n\tvmovdqu64 %%zmm20, (%[high])\n\tkmovq %%k1, %[k]"
			 : "=a"(result), [k] "+r"(k)
			 : "a"(how ? 57L : 62L), "D"(pid), "S"((long)SIGUSR1), [low] "r"(low), [high] "r"(high)
			 : "rcx", "r11", "memory", "xmm3", "xmm20", "k1");
	if (how) {
		if (result == 0)
			_exit(low[63] == 1 && high[63] == 2 && k == 0x1122334455667788 ? 7 : 8);
		int status;
		waitpid(result, &status, 0);
		printf("the child of fork says %d\n", WEXITSTATUS(status));
	}
	printf("%s: %lx, %02x %02x, %02x %02x\n", what, k, low[16], low[63], high[16], high[63]);
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

	if (!__builtin_cpu_supports("avx512f")) {
		puts("no AVX-512");
		return 0;
	}
	sigaction(SIGUSR1, &action, NULL);
	show("after a handler", 0);
	change = 1;
	show("after a handler that changed it", 0);
	show("after fork", 1);
	return 0;
}
