// The C library's string functions at the very end of a page, where one byte too far faults.
#include "guest.h"

int main(void)
{
	char *page = MUST(mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) + 4096, *end = page + 4096;
	char other[300], copy[300];
	uint32_t hash = 0;

	MUST(munmap(page - 4096, 4096));
	MUST(munmap(end, 4096));
	for (int n = 1; n < 200; n++) {
		char *s = end - n - 1;

		for (int i = 0; i < n; i++)
			s[i] = 'a' + (i * 7 + n) % 26;
		s[n] = 0;
		strcpy(other, s);
		hash = hash * 31 + strlen(s);
		hash = hash * 31 + (strcmp(s, other) == 0) + 2 * (strncmp(s, other, n + 1) == 0);
		hash = hash * 31 + (memchr(s, 0, n + 1) == s + n) + 2 * (strchr(s, 0) == s + n) + 4 * (strrchr(s, 0) == s + n);
		hash = hash * 31 + (strchr(s, '!') == NULL) + 2 * (memchr(s, '!', n + 1) == NULL) + 4 * (strstr(s, "zq") != NULL);
		hash = hash * 31 + (memcmp(s, other, n + 1) == 0) + 2 * (strspn(s, "abcdefghijklmnopqrstuvwxyz") == (size_t)n);
		other[n / 2] ^= 1;
		hash = hash * 31 + (strcmp(s, other) > 0) + 2 * (memcmp(s, other, n + 1) > 0) + 4 * (strcasecmp(s, other) > 0);
		memcpy(copy, s, n + 1);
		memmove(copy + 3, copy, n);
		memmove(copy, copy + 1, n);
		memset(s, 'x', n);
		for (int i = 0; i < n; i++)
			hash = hash * 31 + copy[i] + s[i];
		hash = hash * 31 + strnlen(s, n);
		memcpy(page, other, n), memmove(page + 1, page, n), memset(page, n, 3);
		hash = hash * 31 + page[n] + stpcpy(copy, other) - copy;
		hash = hash * 31 + strcspn(other, "xyz") + (strpbrk(other, "qj") != NULL);
	}
	printf("%08x\n", hash);
	for (size_t n = 1; n < 4096; n = n * 3 + 1) {
		memset(page, 'p', 4096);
		memmove(page + 4096 - n, page, n);
		memcpy(page, end - n, n / 2);
		hash = hash * 31 + (unsigned char)page[n / 2] + n;
	}
	printf("%08x\n", hash);
	strcpy(other, "one,two;three  four");
	for (char *t = strtok(other, ",; "); t; t = strtok(NULL, ",; "))
		printf("<%s>", t);
	puts("");
	printf("%s %s\n", strerror(EBADF), strsignal(SIGSEGV));
	return 0;
}
