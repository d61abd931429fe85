// glibc's string functions, whose code it chooses by CPUID: every alignment, lengths around the vectors' sizes, and buffers
// that end at a page with nothing after it. Every answer is compared with a plain loop's.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <wchar.h>

enum { PAGE = 4096, GUARD = 0x5a };

static unsigned long tests, wrong;

static void expect(int good, const char *what, size_t length, size_t alignment)
{
	tests++;
	if (!good && wrong++ < 20)
		printf("WRONG: %s, %zu bytes, alignment %zu\n", what, length, alignment);
}

#define EXPECT(good) expect(good, #good, n, at)

static int sign(int x)
{
	return (x > 0) - (x < 0);
}

// A page with nothing before and after it.
static char *island(void)
{
	char *pages = mmap(NULL, 3 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED || mprotect(pages + PAGE, PAGE, PROT_READ | PROT_WRITE))
		exit(2);
	return pages + PAGE;
}

static char pattern(size_t i)
{
	return 'a' + i * 7 % 23;
}

static int all(const char *p, size_t n, char byte)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != byte)
			return 0;
	return 1;
}

static int patterned(const char *p, size_t n, size_t from)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != pattern(from + i))
			return 0;
	return 1;
}

static char *source, *target;

static void copies(size_t n, size_t at, size_t to)
{
	char *from = source + at, *into = target + to;
	size_t room = PAGE - to;

	for (size_t i = 0; i < n; i++)
		from[i] = pattern(i);
	memset(target, GUARD, PAGE);
	EXPECT(memcpy(into, from, n) == into && patterned(into, n, 0));
	EXPECT(all(target, to, GUARD) && all(into + n, room - n, GUARD));
	memset(target, GUARD, PAGE);
	EXPECT(mempcpy(into, from, n) == into + n && patterned(into, n, 0));
	EXPECT(all(target, to, GUARD) && all(into + n, room - n, GUARD));
	EXPECT(memcmp(into, from, n) == 0 && bcmp(into, from, n) == 0);
	if (n > 0) {
		size_t i = n * 5 / 7;

		into[i]++;
		EXPECT(memcmp(into, from, n) > 0 && memcmp(from, into, n) < 0);
		EXPECT(memchr(from, 1, n) == NULL && memrchr(from, 1, n) == NULL);
		from[i] = 1;
		EXPECT(memchr(from, 1, n) == from + i && memrchr(from, 1, n) == from + i && rawmemchr(from, 1) == from + i);
		from[i] = pattern(i);
	}
	memset(target, GUARD, PAGE);
	EXPECT(memset(into, n, n) == into && all(into, n, n));
	EXPECT(all(target, to, GUARD) && all(into + n, room - n, GUARD));
}

// Overlapping moves, both ways.
static void moves(size_t n, size_t at, size_t by)
{
	for (size_t i = 0; i < n + by; i++)
		target[at + i] = pattern(i);
	EXPECT(memmove(target + at + by, target + at, n) == target + at + by && patterned(target + at + by, n, 0));
	for (size_t i = 0; i < n + by; i++)
		target[at + i] = pattern(i);
	EXPECT(memmove(target + at, target + at + by, n) == target + at && patterned(target + at, n, by));
}

static void strings(size_t n, size_t at, size_t to)
{
	char *s = source + at, *other = target + to;

	memset(source, GUARD, PAGE);
	memset(target, GUARD, PAGE);
	for (size_t i = 0; i < n; i++)
		s[i] = pattern(i);
	s[n] = 0;
	EXPECT(strlen(s) == n && strnlen(s, n + 1) == n && strnlen(s, n / 2) == n / 2);
	EXPECT(strchr(s, 0) == s + n && strrchr(s, 0) == s + n && strchr(s, '!') == NULL && strrchr(s, '!') == NULL);
	EXPECT(strchrnul(s, '!') == s + n && memchr(s, 0, n + 1) == s + n && rawmemchr(s, 0) == s + n);
	EXPECT(strcpy(other, s) == other && patterned(other, n, 0) && other[n] == 0 && all(target, to, GUARD));
	EXPECT(strcmp(s, other) == 0 && strncmp(s, other, n + 8) == 0 && strcasecmp(s, other) == 0 && strncasecmp(s, other, n) == 0);
	EXPECT(strcoll(s, other) == 0 && strspn(s, "abcdefghijklmnopqrstuvw") == n && strcspn(s, "!xyz") == n && strpbrk(s, "xyz") == NULL);
	EXPECT(stpcpy(other, s) == other + n && strstr(other, s) == other && strcasestr(other, s) == other);
	if (n > 2) {
		size_t i = n * 3 / 5;
		char saved = s[i];

		s[i] = '!';
		EXPECT(strchr(s, '!') == s + i && strrchr(s, '!') == s + i && strchrnul(s, '!') == s + i);
		EXPECT(strcspn(s, "#!") == i && strpbrk(s, "#!") == s + i && strspn(s, "abcdefghijklmnopqrstuvw") == i);
		EXPECT(sign(strcmp(s, other)) == -1 && sign(strcmp(other, s)) == 1 && strncmp(s, other, i) == 0);
		EXPECT(strncmp(s, other, i + 1) < 0 && strcasecmp(s, other) < 0 && strncasecmp(other, s, n) > 0);
		EXPECT(strstr(other, s + i) == NULL && strstr(s, "!") == s + i && memmem(s, n, s + i, n - i) == s + i);
		s[i] = saved - 'a' + 'A';
		EXPECT(strcasecmp(s, other) == 0 && strcmp(s, other) < 0 && strcasestr(other, s + i) != NULL);
		s[i] = 0;
		EXPECT(strlen(s) == i && strcmp(s, other) < 0);
		memset(other, GUARD, n);
		EXPECT(strncpy(other, s, n) == other && patterned(other, i, 0) && all(other + i, n - i, 0) && other[n] == 0);
		memset(other, GUARD, n);
		EXPECT(stpncpy(other, s, n) == other + i && all(other + i, n - i, 0));
		other[i / 2] = 0;
		if (n > 12)
			EXPECT(strcat(other, "tail") == other && memcmp(other + i / 2, "tail", 5) == 0);
		other[i / 2] = 0;
		if (n > 12)
			EXPECT(strncat(other, "tail", 2) == other && memcmp(other + i / 2, "ta", 3) == 0);
	}
}

static void wide(size_t n, size_t at, size_t to)
{
	wchar_t *s = (wchar_t *)source + at, *other = (wchar_t *)target + to;

	for (size_t i = 0; i < n; i++)
		s[i] = 0x400 + i;
	s[n] = 0;
	EXPECT(wcslen(s) == n && wcsnlen(s, n / 2) == n / 2 && wcschr(s, 0x10000) == NULL && wcschr(s, 0) == s + n);
	EXPECT(wcscpy(other, s) == other && wcscmp(s, other) == 0 && wmemcmp(s, other, n + 1) == 0 && wcsncmp(s, other, n) == 0);
	EXPECT(wmemset(other, 0x123, n) == other && (n == 0 || other[n - 1] == 0x123) && other[n] == 0);
	if (n > 0) {
		EXPECT(wmemchr(s, 0x400 + n / 2, n) == s + n / 2 && wcsrchr(s, 0x400 + n / 2) == s + n / 2);
		EXPECT(wcscmp(s, other) > 0 && wmemcmp(other, s, n) < 0);
	}
}

int main(void)
{
	static const size_t lengths[] = { 0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 20, 31, 32, 33, 47, 48, 63, 64, 65, 79, 80, 95, 96, 97,
		127, 128, 129, 144, 191, 192, 193, 255, 256, 257, 300, 383, 384, 511, 512, 513, 700, 1023, 1024, 1500, 2047, 2048, 2049 };

	source = island();
	target = island();
	for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
		size_t n = lengths[l];

		for (size_t at = 0; at < 64; at += n > 256 ? 7 : 1) {
			size_t to = (at * 11 + l) % 64;

			// At the pages' beginnings, and at their ends.
			copies(n, at, to);
			copies(n, PAGE - n - at, to);
			copies(n, at, PAGE - n - to);
			moves(n, at, to + 1);
			strings(n, at, to);
			strings(n, PAGE - 1 - n - at, PAGE - 1 - n - to);
			if (n <= 512) {
				wide(n, at, to);
				wide(n, PAGE / sizeof(wchar_t) - 1 - n - at, PAGE / sizeof(wchar_t) - 1 - n - to);
			}
		}
	}
	// Past the size from which copies are done in another way.
	for (size_t size = 1 << 12; size <= 1 << 20; size <<= 2) {
		char *from = malloc(size + 200), *to = malloc(size + 200);

		for (size_t at = 0; at < 100; at += 33) {
			size_t n = size + at;

			for (size_t i = 0; i < n; i++)
				from[at + i] = pattern(i);
			EXPECT(memcpy(to + 1, from + at, n) == to + 1 && patterned(to + 1, n, 0));
			EXPECT(memmove(to + 64, to + 1, n) == to + 64 && patterned(to + 64, n, 0));
			EXPECT(memmove(to + 3, to + 64, n) == to + 3 && patterned(to + 3, n, 0) && memcmp(to + 3, from + at, n) == 0);
			EXPECT(memset(to, 7, n) == to && all(to, n, 7));
		}
		free(from);
		free(to);
	}
	printf("%lu tests, %lu wrong\n", tests, wrong);
	return wrong != 0;
}
