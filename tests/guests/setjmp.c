// setjmp(3), alloca, recursion, function pointers, varargs, thread-local variables, computed gotos.
#include "guest.h"
#include <setjmp.h>
#include <stdarg.h>

static jmp_buf env;
static volatile int kept_alive;
static __thread int local = 5;
static __thread char local_text[16] = "initial";
static __thread long zeroed[100];

static __attribute__((noinline)) void deep(int n)
{
	if (n == 0)
		longjmp(env, 42);
	deep(n - 1);
	kept_alive++;
}

static long sum(int n, ...)
{
	va_list args;
	double total = 0;

	va_start(args, n);
	for (int i = 0; i < n; i++)
		total += i % 2 ? va_arg(args, double) : va_arg(args, int);
	va_end(args);
	return total;
}

static int ackermann(int m, int n)
{
	return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

int main(void)
{
	volatile int kept = 1, got;
	static const void *labels[] = { &&first, &&second, &&third };
	uint64_t fs_base, by_call;

	got = setjmp(env);
	if (got == 0) {
		kept = 2;
		deep(100);
	}
	printf("%d %d\n", got, kept);
	if (setjmp(env) == 0)
		longjmp(env, 0);
	else
		puts("longjmp with 0 returns 1");
	printf("%ld\n", sum(10, 1, 2.5, 3, 4.5, 5, 6.5, 7, 8.5, 9, 10.5));
	printf("%d\n", ackermann(2, 300));
	for (int i = 0; i < 3; i++) {
		goto *labels[i];
	first:
		printf("first ");
		continue;
	second:
		printf("second ");
		continue;
	third:
		printf("third\n");
	}
	EXPECT(local == 5 && strcmp(local_text, "initial") == 0 && zeroed[99] == 0);
	local = 6;
	zeroed[99] = 7;
	IN_CHILD("a child", {
		EXPECT(local == 6 && zeroed[99] == 7);
		local = 8;
	});
	EXPECT(local == 6);
	asm volatile("mov %%fs:0, %0" : "=r"(fs_base));
	TELL(syscall(SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */, &by_call));
	EXPECT(fs_base == by_call);
	TELL(syscall(SYS_arch_prctl, 0x1001 /* ARCH_SET_GS */, &fs_base));
	asm volatile("mov %%gs:0, %0" : "=r"(by_call));
	EXPECT(fs_base == by_call);
	TELL(syscall(SYS_arch_prctl, 0x1004 /* ARCH_GET_GS */, &by_call));
	EXPECT(by_call == (uint64_t)&fs_base);
	return guest_done();
}
