// main's arguments and environment, and what setenv(3) makes of them.
#include "guest.h"

extern char **environ;

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int main(int argc, char **argv)
{
	size_t n = 0;

	printf("%d arguments after the name\n", argc - 1);
	for (int i = 1; i < argc; i++)
		printf("<%s>\n", argv[i]);
	EXPECT(argv[argc] == NULL);
	while (environ[n])
		n++;
	qsort(environ, n, sizeof *environ, by_text);
	for (size_t i = 0; i < n; i++)
		puts(environ[i]);
	TELL(setenv("ADDED", "a value", 1));
	puts(getenv("ADDED"));
	TELL(unsetenv("ADDED"));
	EXPECT(getenv("ADDED") == NULL);
	TELL(setenv("", "x", 1));
	return argc;
}
