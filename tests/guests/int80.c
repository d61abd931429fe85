// int $0x80 from 64-bit code: the i386 table, arguments in ebx, ecx, edx, esi, edi, ebp, each cut to 32 bits.
#include "guest.h"

static long int80(uint64_t rax, uint64_t rbx, uint64_t rcx, uint64_t rdx)
{
	long result;

	asm volatile("int $0x80" : "=a"(result) : "a"(rax), "b"(rbx), "c"(rcx), "d"(rdx) : "memory", "r8", "r9", "r10", "r11");
	return result;
}

int main(void)
{
	static const char text[] = "through the gate\n"; // -no-pie -static: below 4 GiB
	char *low = MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0));
	uint64_t rcx, r11, flags_before, flags_after, r12;
	int fds[2];

	EXPECT(int80(20, 0, 0, 0) == getpid());
	EXPECT(int80(64, 0, 0, 0) == getppid());
	EXPECT(int80(0xffffffff00000014, 0, 0, 0) == getpid());
	printf("%ld %ld %ld\n", int80(4000, 0, 0, 0), int80(-1, 0, 0, 0), int80(0x7fffffff, 0, 0, 0));
	strcpy(low, "hello from int 0x80\n");
	printf("%ld\n", int80(4, 1, (uint64_t)low, 20));
	if ((uint64_t)text < 1ul << 32)
		printf("%ld\n", int80(4, 1, (uint64_t)text, sizeof text - 1));
	else
		printf("through the gate\n17\n");
	printf("%ld\n", int80(4, 0xabcd00000001, 0xffffffff00000000 | (uint64_t)low, 20));
	printf("%ld\n", int80(4, 99, (uint64_t)low, 20));
	printf("%ld\n", int80(4, 1, 16, 20));
	printf("%ld\n", int80(4, 1, 0xfffffff0, 20));
	strcpy(low, "missing");
	printf("%ld\n", int80(5, (uint64_t)low, 0, 0));
	printf("%ld\n", int80(6, -1, 0, 0));
	// pipe, read, close of the i386 table.
	printf("%ld\n", int80(42, (uint64_t)low, 0, 0));
	memcpy(fds, low, sizeof fds);
	printf("%d %d\n", fds[0], fds[1]);
	TELL(write(fds[1], "abc", 3));
	printf("%ld %.3s\n", int80(3, fds[0], (uint64_t)low, 10), low);
	printf("%ld %ld\n", int80(6, fds[0], 0, 0), int80(6, fds[1], 0, 0));
	// Unlike syscall, the gate keeps rcx; r8 to r15 and the flags too.
	asm volatile("mov $0x1111111111111111, %%rcx\n"
		     "mov $0x2222222222222222, %%r11\n"
		     "mov $0x3333333333333333, %%r12\n"
		     "mov $20, %%eax\n"
		     "stc\n"
		     "pushf\n pop %2\n"
		     "int $0x80\n"
		     "pushf\n pop %3\n"
		     "mov %%rcx, %0\n mov %%r11, %1\n mov %%r12, %4\n"
		     : "=m"(rcx), "=m"(r11), "=m"(flags_before), "=m"(flags_after), "=m"(r12)
		     :
		     : "rax", "rcx", "r11", "r12", "memory");
	EXPECT(rcx == 0x1111111111111111);
	EXPECT(r11 == 0x2222222222222222);
	EXPECT(r12 == 0x3333333333333333);
	EXPECT(flags_before == flags_after);
	fflush(stdout);
	int80(252, 5, 0, 0); // exit_group
	return 1;
}
