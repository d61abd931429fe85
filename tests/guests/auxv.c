// getauxval(3): what the kernel tells a program at its start.
#include "guest.h"
#include <elf.h>
#include <sys/auxv.h>

extern char __executable_start[], _start[], etext[];

int main(int argc, char **argv)
{
	Elf64_Phdr *headers = (Elf64_Phdr *)getauxval(AT_PHDR);
	unsigned char *random = (unsigned char *)getauxval(AT_RANDOM);
	int zeros = 0, loads = 0;

	(void)argc;
	EXPECT(getauxval(AT_PAGESZ) == 4096);
	EXPECT(getauxval(AT_CLKTCK) == (unsigned long)sysconf(_SC_CLK_TCK));
	EXPECT(getauxval(AT_UID) == getuid());
	EXPECT(getauxval(AT_EUID) == geteuid());
	EXPECT(getauxval(AT_GID) == getgid());
	EXPECT(getauxval(AT_EGID) == getegid());
	EXPECT(getauxval(AT_SECURE) == 0);
	EXPECT(getauxval(AT_ENTRY) == (unsigned long)_start);
	EXPECT(getauxval(AT_PHENT) == sizeof(Elf64_Phdr));
	EXPECT(strcmp((char *)getauxval(AT_PLATFORM), "x86_64") == 0);
	EXPECT(strcmp((char *)getauxval(AT_EXECFN), argv[0]) == 0);
	EXPECT(random != NULL);
	for (int i = 0; i < 16; i++)
		zeros += random[i] == 0;
	EXPECT(zeros < 8);
	for (unsigned long i = 0; i < getauxval(AT_PHNUM); i++)
		loads += headers[i].p_type == PT_LOAD;
	EXPECT(loads >= 2);
	EXPECT((char *)headers > __executable_start && (char *)headers < etext);
	return guest_done();
}
